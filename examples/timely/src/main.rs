//! Sessions from files on several threads and machines. README.md says how to use it.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Error, Result};
use program::failure::{Failure, Outcome};
use program::say::say;
use program::{command, stdout};
use timely_sessions::job::{self, Ended};
use timely_sessions::options::{Command, Options};
use timely_sessions::state::Folder;

fn main() -> ExitCode {
    let options = command::parse::<Options>(std::env::args_os());
    match options.and_then(|options| options.map_or(Ok(()), |options| work(options.command))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("timely-sessions"),
    }
}

/// The failure with its exit status.
fn failure(error: &Error) -> Failure {
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::writing(error),
        _ => Failure::usage(format_args!("{error:#}")),
    }
}

fn work(command: Command) -> Outcome<()> {
    let failed = |error: Error| failure(&error);
    match command {
        Command::Run(run) => {
            let state = run.state.display().to_string();
            let (how, broken) = match job::run(*run).map_err(failed)? {
                Ended::Done { broken } => ("done", broken),
                Ended::Before => ("nothing to do: the job has ended already", Vec::new()),
            };
            say(format_args!("{how}; `timely-sessions rows {state}` prints the sessions"));
            if broken.is_empty() { Ok(()) } else { Err(Failure::not_used(broken.join("; "))) }
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
    let mut out = io::stdout().lock();
    if !folder.has_ended()? {
        say("timely-sessions: the job has not ended: these are the rows up to its newest checkpoint");
    }
    for path in folder.rows(what)? {
        let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        io::copy(&mut file, &mut out)?;
    }
    Ok(out.flush()?)
}
