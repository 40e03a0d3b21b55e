//! Sessions from files on several threads and machines. README.md says how to use it.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use program::failure::CLOSED_PIPE;
use program::say::say;
use timely_sessions::job;
use timely_sessions::options::{Command, Options};
use timely_sessions::state::Folder;

fn main() -> ExitCode {
    match work(Options::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let is_closed = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
            if is_closed {
                return ExitCode::from(CLOSED_PIPE);
            }
            say(format_args!("timely-sessions: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn work(command: Command) -> Result<()> {
    match command {
        Command::Run(run) => {
            let state = run.state.display().to_string();
            let is_new = job::run(*run)?;
            let how = if is_new { "done" } else { "nothing to do: the job has ended already" };
            say(format_args!("{how}; `timely-sessions rows {state}` prints the sessions"));
            Ok(())
        }
        Command::Rows { state, unused } => {
            let (folder, mut out) = (Folder::new(state), io::stdout().lock());
            if !folder.has_ended()? {
                say("timely-sessions: the job has not ended: these are the rows up to its newest checkpoint");
            }
            for path in folder.rows(if unused { "unused.jsonl" } else { "sessions.jsonl" })? {
                let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
                io::copy(&mut file, &mut out)?;
            }
            Ok(out.flush()?)
        }
    }
}
