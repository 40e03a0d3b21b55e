//! The report of a demonstration: counts of events put, read, late and refused, of rows written, and where they are.

use std::fmt::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use events::lengths;
use indicatif::{DecimalBytes, HumanCount};

use super::folder::{self, Entry};
use crate::produce::Sent;
use crate::status::{Now, Strategy};

/// The report as text.
pub(crate) fn write(now: &Now, sent: Sent, elapsed: Duration, folder: &Path) -> Result<String> {
    let entries = folder::entries(folder)?;
    let mut text = String::new();
    all(&mut text, now, sent, elapsed, folder, &entries).context("the report cannot be put in words")?;
    Ok(text)
}

fn all(text: &mut String, now: &Now, sent: Sent, elapsed: Duration, folder: &Path, entries: &[Entry]) -> fmt::Result {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    writeln!(text, "{} in {}", records(now, sent), lengths::show(micros))?;
    shards(text, now)?;
    events(text, now)?;
    now.strategies.iter().try_for_each(|of| strategy(text, of))?;
    work(text, now)?;
    left(text, folder, entries)?;
    next(text, entries)
}

fn records(now: &Now, sent: Sent) -> String {
    let (put, read) = (HumanCount(sent.records), HumanCount(now.records));
    let again = if sent.again > 0 { format!(", {} of them again", HumanCount(sent.again)) } else { String::new() };
    format!("{put} records put on the stream{again}, {read} read ({})", DecimalBytes(now.bytes))
}

fn shards(text: &mut String, now: &Now) -> fmt::Result {
    for (id, shard) in &now.shards {
        let closed = if shard.is_closed { "  closed, read to its end" } else { "" };
        writeln!(text, "  {id}  {:>9}{closed}", HumanCount(shard.records).to_string())?;
    }
    Ok(())
}

fn events(text: &mut String, now: &Now) -> fmt::Result {
    let (events, rejected) = (HumanCount(now.events), HumanCount(now.rejected));
    writeln!(text, "{events} events, {rejected} rejected: no events, or parts of them missing")
}

fn strategy(text: &mut String, of: &Strategy) -> fmt::Result {
    let (closed, open) = (HumanCount(of.closed), HumanCount(of.open as u64));
    let (late, refused) = (HumanCount(of.late), HumanCount(of.refused));
    writeln!(text, "\n{}: {closed} sessions, {open} still open; {late} events late, {refused} refused", of.name)?;
    if let (Some(seconds), Some(events)) = (of.seconds.mean(), of.events.mean()) {
        let most = of.seconds.most;
        let most_events = HumanCount(of.events.most as u64);
        writeln!(
            text,
            "  on average {seconds:.1} s and {events:.1} events, at most {most:.1} s and {most_events} events"
        )?;
    }
    Ok(())
}

fn work(text: &mut String, now: &Now) -> fmt::Result {
    let [checkpoints, alerts, retries] = [now.checkpoints, now.alerts, now.retries].map(HumanCount);
    writeln!(text, "\nCheckpoints: {checkpoints}. Alerts: {alerts}. Requests tried again: {retries}.")?;
    for (name, sink) in &now.sinks {
        let [sent, failed] = [sink.sent, sink.failed].map(HumanCount);
        writeln!(text, "{name}: {sent} sent, {failed} failed")?;
    }
    Ok(())
}

fn left(text: &mut String, folder: &Path, entries: &[Entry]) -> fmt::Result {
    writeln!(text, "\nIn {}:", folder.display())?;
    for Entry { name, files, bytes, .. } in entries {
        let count = if name.ends_with('/') { format!("{}, ", plural(*files, "file")) } else { String::new() };
        writeln!(text, "  {name}  {count}{}", DecimalBytes(*bytes))?;
    }
    writeln!(text, "  report.txt  these lines")
}

fn plural(count: u64, word: &str) -> String {
    format!("{} {word}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

fn next(text: &mut String, entries: &[Entry]) -> fmt::Result {
    writeln!(text, "\nNext:")?;
    if let Some(rows) = entries.iter().find_map(|entry| entry.rows.as_deref()) {
        writeln!(text, "  head -3 {}", rows.display())?;
    }
    let run = "cargo run --release -p kinesis --";
    writeln!(text, "  {run} serve --stream clicks --shards 4")?;
    writeln!(text, "  {run} produce --endpoint http://127.0.0.1:4567 --stream clicks --clicks --rate 100")?;
    writeln!(text, "  {run} consume --endpoint http://127.0.0.1:4567 --stream clicks --state state --output sessions")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::view::samples;
    use super::*;

    #[test]
    fn the_report_tells_what_was_read_written_late_and_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir_all(folder.path().join("sessions/day"))?;
        fs::write(folder.path().join("sessions/day/1.json"), "{}\n")?;
        fs::write(folder.path().join("sessions/day/2.json"), "{}\n")?;
        let sent = Sent { records: 4_612, bytes: 581_112, again: 5 };
        let text = write(&samples::now(), sent, Duration::from_secs(65), folder.path())?;
        for line in [
            "4,612 records put on the stream, 5 of them again, 4,612 read (581.11 kB) in 1 min 05 s\n",
            "  shardId-000000000001        600\n",
            "  shardId-000000000003        800  closed, read to its end\n",
            "\n4,605 events, 7 rejected: no events, or parts of them missing\n",
            "\nFLOOR minute: 98 sessions, 131 still open; 3 events late, 0 refused\n  on average 3723.0 s and 1234.0 events, at most 3723.0 s",
            "\nCheckpoints: 12. Alerts: 1. Requests tried again: 3.\nfirehose: 410 sent, 0 failed\n",
            "  sessions/  2 files, 6 B\n",
            &format!("\n  head -3 {}\n", folder.path().join("sessions/day/1.json").display()),
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
        Ok(())
    }
}
