//! The end of a run: its summary in one line, and the exit status.

use std::path::Path;
use std::time::Duration;

use events::failure::{Failure, Outcome};
use program::say::{counted, grouped, say};
use stagger::Counters;

use crate::options::Options;
use crate::unused::Unused;

/// How much was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amount {
    pub(crate) lines: u64,
    pub(crate) empty: u64,
    pub(crate) events: u64,
    /// By a condition.
    pub(crate) left_out: u64,
    /// Values that should be numbers and are none.
    pub(crate) no_numbers: u64,
}

/// Says which lines were not used, as far as they are remembered.
pub(crate) fn tell_unused(unused: &Unused) {
    for message in &unused.first {
        say(format_args!("not used: {message}"));
    }
    let more = unused.rejected - unused.first.len() as u64;
    if more > 0 {
        say(format_args!("not used: {} more (see --rejects)", grouped(more)));
    }
}

/// Sums the run up in one line. `counters` may begin with those of earlier runs; `open`: how many sessions the
/// next one goes on with.
pub(crate) fn tell(amount: &Amount, unused: &Unused, counters: &Counters, open: Option<usize>, took: Duration) {
    let Amount { lines, empty, events, left_out, no_numbers } = *amount;
    let mut line = format!(
        "{} read: {}, {} rejected, {} late",
        counted(lines, "line"),
        counted(events, "event"),
        grouped(unused.rejected),
        grouped(unused.late_events),
    );
    for (count, what) in [
        (unused.refused, "refused"),
        (unused.duplicates, "left out by --unique"),
        (counters.revisions, "corrected"),
        (counters.behind, "beyond --out-of-order"),
        (counters.uncorrected, "in sessions that are not corrected"),
    ] {
        if count > 0 {
            line += &format!(", {} {what}", grouped(count));
        }
    }
    for (count, what) in [
        (left_out, "left out by --where and --not"),
        (no_numbers, if no_numbers == 1 { "value that is no number" } else { "values that are no numbers" }),
    ] {
        if count > 0 {
            line += &format!(", {} {what}", grouped(count));
        }
    }
    if counters.updates > 0 {
        line += &format!(", {}", counted(counters.updates, "update"));
    }
    if empty > 0 {
        line += &format!(", {}", counted(empty, "empty line"));
    }
    let seconds = took.as_secs_f64();
    let rate = (events as f64 / seconds.max(1e-6)) as u64;
    let mut sessions = counted(counters.closed, "session");
    if let Some(open) = open {
        sessions += &format!(", {} open for the next run", grouped(open as u64));
    }
    say(format_args!("{line}; {sessions}; {seconds:.2} s, {} events/s", grouped(rate)));
}

/// Status 1 if an input breaks off, if none of the lines could be used, or if a greater share than
/// `--max-rejected` could not.
pub(crate) fn status(amount: &Amount, unused: &Unused, options: &Options) -> Outcome<()> {
    let (rejected, events) = (unused.rejected, amount.events);
    if !unused.broken.is_empty() {
        return Err(Failure::not_used(unused.broken.join("; ")));
    }
    if events == 0 && amount.left_out > 0 {
        let left_out = counted(amount.left_out, "line");
        let message = format!("{left_out} left out by --where and --not: none remained");
        if rejected > 0 {
            let bad = grouped(rejected);
            return Err(Failure::not_used(format_args!("{message}, and {bad} could not be used")));
        }
        say(format_args!("note: {message}"));
        return Ok(());
    }
    let more = format!("; {}: --rejects FILE keeps those lines", written(options));
    options.results.max_rejected.check(events, rejected, more)
}

/// What became of the lines that could be used.
fn written(options: &Options) -> String {
    let output = options.results.output.as_deref().filter(|path| *path != Path::new("-"));
    match output {
        _ if options.shows_report() => "the report is about the others".to_owned(),
        Some(path) => format!("the rows of the others are written to {}", path.display()),
        None => "the rows of the others are written to standard output".to_owned(),
    }
}
