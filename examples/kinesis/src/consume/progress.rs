//! Figures while the consumer runs: a line on a terminal that is drawn again and again, a message now
//! and then, and a line at the end.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::status::{Now, Shard, Status, Strategy};

const OFTEN: Duration = Duration::from_millis(250);
/// How many shards a message names: those that are most behind.
const NAMED_SHARDS: usize = 4;

/// The line that is drawn; hidden where there is no terminal.
pub(super) fn bar() -> ProgressBar {
    let bar = match stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Draws until it is told to stop.
pub(super) async fn draw(bar: ProgressBar, status: Arc<Status>, stop: CancellationToken) {
    let mut before = 0;
    while stop.run_until_cancelled(tokio::time::sleep(OFTEN)).await.is_some() {
        let now = status.now();
        let rate = (now.records - before) as f64 / OFTEN.as_secs_f64();
        before = now.records;
        bar.set_message(format!("{}, {}/s", line(&now), HumanCount(rate as u64)));
        bar.tick();
    }
    bar.finish_and_clear();
}

/// Tells how things are every so often, until it is told to stop; never, if `every` is nothing.
pub(super) async fn report(every: Duration, status: Arc<Status>, stop: CancellationToken) {
    if every.is_zero() {
        return;
    }
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        tracing::info!("{}", message(&status.now(), Instant::now()));
    }
}

/// The line at the end. `state` is where open sessions are kept, if anywhere.
pub(super) fn close(now: &Now, state: Option<&str>) {
    let seconds = now.started.elapsed().as_secs_f64();
    let _ = writeln!(stderr(), "{} in {seconds:.1} s{}", line(now), still_open(now, state)); // nobody reads it then
}

fn still_open(now: &Now, state: Option<&str>) -> String {
    let open: usize = now.strategies.iter().map(|rule| rule.open).sum();
    match (open, state) {
        (0, _) => String::new(),
        (_, Some(state)) => format!("; {}, kept in {state} for the next run", sessions_open(open)),
        (_, None) => format!("; {}, dropped: --state keeps them, --flush closes them", sessions_open(open)),
    }
}

fn sessions_open(open: usize) -> String {
    let (noun, verb) = if open == 1 { ("session", "is") } else { ("sessions", "are") };
    format!("{} {noun} {verb} still open", HumanCount(open as u64))
}

fn line(now: &Now) -> String {
    let open = now.shards.values().filter(|shard| !shard.is_closed).count();
    let behind = now.shards.values().filter(|shard| !shard.is_closed).map(|shard| shard.millis_behind).max();
    let closed: u64 = now.strategies.iter().map(|rule| rule.closed).sum();
    let mut line = format!(
        "{} records of {open} shards, {:.1} s behind; {} sessions, {} late, {} refused, {} rejected",
        HumanCount(now.records),
        behind.unwrap_or(0) as f64 / 1_000.0,
        HumanCount(closed),
        HumanCount(now.late()),
        HumanCount(now.refused()),
        HumanCount(now.rejected),
    );
    let figures = [
        (now.ruled_out, "ruled out"),
        (now.files_published, "files"),
        (now.checkpoints, "checkpoints"),
        (now.retries, "retries"),
    ];
    let figures = figures.map(|(count, what)| (count, what.to_owned()));
    let sinks = now.sinks.iter().flat_map(|(name, sink)| {
        [(sink.waiting, format!("waiting for {name}")), (sink.failed, format!("given up by {name}"))]
    });
    for (count, what) in figures.into_iter().chain(sinks).filter(|(count, _)| *count > 0) {
        line += &format!(", {} {what}", HumanCount(count));
    }
    line
}

/// All that somebody asks who watches: lag by shard, watermarks, open sessions, rows, late events, and
/// the age of the checkpoint.
fn message(now: &Now, at: Instant) -> String {
    let Now { records, rejected, ruled_out, .. } = now;
    let mut text = format!("{records} records, {rejected} rejected, {ruled_out} ruled out; {}", lag(now));
    for rule in &now.strategies {
        let clock = rule.clock.map_or("none yet".to_owned(), |clock| clock.to_string());
        let Strategy { name, open, closed, late, refused, .. } = rule;
        text += &format!("; {name}: watermark {clock}, {open} open, {closed} closed, {late} late, {refused} refused");
    }
    text += &format!("; {} rows in {} files", now.rows_published, now.files_published);
    for (name, sink) in &now.sinks {
        text += &format!("; {name}: {} sent, {} waiting, {} given up", sink.sent, sink.waiting, sink.failed);
    }
    if let Some(last) = now.last_checkpoint {
        text += &format!("; checkpoint {:.1} s ago", at.saturating_duration_since(last).as_secs_f64());
    }
    text
}

fn lag(now: &Now) -> String {
    let mut open: Vec<(&String, &Shard)> = now.shards.iter().filter(|(_, shard)| !shard.is_closed).collect();
    open.sort_by_key(|(id, shard)| (std::cmp::Reverse(shard.millis_behind), *id));
    let seconds = |shard: &Shard| shard.millis_behind as f64 / 1_000.0;
    let mut text = open
        .iter()
        .take(NAMED_SHARDS)
        .map(|(id, shard)| format!("{id} {:.1} s behind", seconds(shard)))
        .collect::<Vec<_>>()
        .join(", ");
    if open.len() > NAMED_SHARDS {
        text += &format!(", {} more shards", open.len() - NAMED_SHARDS);
    }
    if text.is_empty() { "no open shard".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use stagger::Timestamp;

    use super::*;
    use crate::status::Sink;

    fn now() -> Now {
        let status = Status::new();
        status.change(|now| {
            now.records = 120;
            now.ruled_out = 4;
            for (number, millis_behind) in [0, 250, 9_000, 100, 0, 0].into_iter().enumerate() {
                now.shards.insert(format!("s{number}"), Shard { millis_behind, ..Shard::default() });
            }
            now.last_checkpoint = Some(now.started);
            let clock = Some(Timestamp::EPOCH);
            now.strategies =
                vec![Strategy { name: "gap_30m".to_owned(), clock, open: 12, late: 3, ..Strategy::default() }];
        });
        status.now()
    }

    #[test]
    fn the_message_has_lag_watermark_sessions_rows_and_the_age_of_the_checkpoint() {
        let mut now = now();
        now.sinks.insert("webhook", Sink { sent: 1, waiting: 2, failed: 3, ..Sink::default() });
        assert_eq!(
            message(&now, now.started + Duration::from_millis(4_200)),
            "120 records, 0 rejected, 4 ruled out; s2 9.0 s behind, s1 0.2 s behind, s3 0.1 s behind, s0 0.0 s behind, \
             2 more shards; gap_30m: watermark 1970-01-01T00:00:00.000000Z, 12 open, 0 closed, 3 late, 0 refused; \
             0 rows in 0 files; webhook: 1 sent, 2 waiting, 3 given up; checkpoint 4.2 s ago"
        );
    }

    #[test]
    fn an_event_that_several_rules_refuse_is_one() {
        let mut now = now();
        now.strategies[0].refused = 2;
        now.strategies.push(now.strategies[0].clone());
        assert!(line(&now).contains("0 sessions, 3 late, 2 refused, 0 rejected"), "{}", line(&now));
    }

    #[test]
    fn the_line_has_what_was_ruled_out_given_up_or_waits() {
        let mut now = now();
        now.sinks.insert("webhook", Sink { sent: 1, waiting: 2, failed: 3, ..Sink::default() });
        assert_eq!(
            line(&now),
            "120 records of 6 shards, 9.0 s behind; 0 sessions, 3 late, 0 refused, 0 rejected, 4 ruled out, \
             2 waiting for webhook, 3 given up by webhook"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_reported_if_not_asked() {
        report(Duration::ZERO, Arc::new(Status::new()), CancellationToken::new()).await;
    }

    #[test]
    fn open_sessions_are_told_with_what_becomes_of_them() {
        let mut now = now();
        assert_eq!(still_open(&now, Some("st")), "; 12 sessions are still open, kept in st for the next run");
        now.strategies[0].open = 1;
        let dropped = "; 1 session is still open, dropped: --state keeps them, --flush closes them";
        assert_eq!(still_open(&now, None), dropped);
        now.strategies[0].open = 0;
        assert_eq!(still_open(&now, None), "");
    }
}
