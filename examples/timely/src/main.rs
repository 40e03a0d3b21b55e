//! Sessions from files on several threads and machines. README.md says how to use it.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Error, Result};
use program::failure::{self, Failure, Outcome};
use program::say::{counted, grouped, say};
use program::{command, stdout};
use timely_sessions::job::{self, Ended};
use timely_sessions::options::{Command, Options};
use timely_sessions::state::{Folder, When};

fn main() -> ExitCode {
    let options = command::parse::<Options>(std::env::args_os());
    match options.and_then(|options| options.map_or(Ok(()), |options| work(options.command))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("timely-sessions"),
    }
}

/// The failure with its exit status.
fn failure(error: &Error) -> Failure {
    let io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(failure::plain);
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::writing(error),
        _ => {
            let words = error.chain().map(|cause| io(cause).unwrap_or_else(|| cause.to_string()));
            Failure::usage(words.collect::<Vec<_>>().join(": "))
        }
    }
}

fn work(command: Command) -> Outcome<()> {
    let failed = |error: Error| failure(&error);
    match command {
        Command::Run(run) => {
            let (state, allowed) = (run.state.display().to_string(), run.max_rejected);
            let rows = format!("`timely-sessions rows {state}` prints the sessions");
            let (amount, is_whole) = match job::run(*run).map_err(failed)? {
                Ended::Done { amount, is_whole } => (amount, is_whole),
                Ended::Before => {
                    say(format_args!("nothing to do: the job has ended already; {rows}"));
                    return Ok(());
                }
            };
            let (events, rejected) = (counted(amount.events, "event"), grouped(amount.rejected));
            say(format_args!("done: {events}, {rejected} rejected; {rows}"));
            if !amount.broken.is_empty() {
                return Err(Failure::not_used(amount.broken.join("; ")));
            }
            // A run that goes on where another ended may see a few lines only.
            if let (true, Some(field)) = (is_whole && amount.events == 0, amount.seen.missing_everywhere()) {
                return Err(Failure::usage(format_args!(
                    "no line has the field `{field}`; remove {state} to begin anew"
                )));
            }
            allowed.check(
                amount.events,
                amount.rejected,
                format_args!(": `timely-sessions rows {state} --unused` has those lines"),
            )
        }
        Command::Rows { state, unused } => {
            stdout::check()?;
            let what = if unused { "unused.jsonl" } else { "sessions.jsonl" };
            rows(&Folder::new(state), what).map_err(failed)
        }
    }
}

/// Prints the rows.
fn rows(folder: &Folder, what: &str) -> Result<()> {
    let paths = folder.rows(what)?;
    if folder.newest()? != Some(When::End) {
        say("timely-sessions: the job has not ended: these are the rows up to its newest checkpoint");
    }
    let mut out = io::stdout().lock();
    for path in paths {
        let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        io::copy(&mut file, &mut out).with_context(|| format!("cannot print {}", path.display()))?;
    }
    out.flush().context("cannot print the rows")
}
