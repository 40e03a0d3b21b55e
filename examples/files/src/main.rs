//! Sessions from files: JSON lines, CSV and web server logs in, one row per session out.
//!
//! `cargo run --release -p files` shows a day of bundled clicks,
//! `cargo run --release -p files -- --help` all options.
//!
//! Without `--out-of-order` the whole input is one set of events in any order: every event is
//! pushed before the clock moves, so the result is exact. With it the input is a stream. Both end
//! alike: the clock moves to the latest event, and sessions still open then are flushed. Rows come in
//! the order in which the library closes sessions.

mod closing;
mod decimal;
mod early;
mod facts;
#[cfg(feature = "parquet")]
mod folders;
mod job;
mod options;
mod output;
mod progress;
mod report;
mod results;
mod resume;
mod side;
mod silence;
mod state;
mod strategy;
mod text;
mod unused;
mod visits;
mod waiting;
mod writing;

use std::ffi::OsString;
use std::process::ExitCode;

use events::failure::Outcome;
use events::input;
use program::{signals, stdout};

/// Without arguments the bundled clicks are read as a stream, so that the report has something to
/// say about events that come too late, or from the future.
const DEFAULT: [&str; 6] = ["--out-of-order", "1m", "--arrival", "arrival_timestamp", "--max-future", "1h"];

fn main() -> ExitCode {
    signals::watch("files");
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("files"),
    }
}

fn work() -> Outcome<()> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let is_bare = arguments.len() <= 1;
    if is_bare {
        arguments = std::iter::once("files").chain(DEFAULT).map(OsString::from).collect();
    }
    let Some(options) = options::read(arguments.into_iter())? else { return Ok(()) };
    if !is_bare {
        input::note_unread_stdin(&options.inputs);
    }
    job::run(&options)?;
    if is_bare {
        stdout::write(format!("  the report above is the same as: files {} --report\n", DEFAULT.join(" ")))?;
    }
    Ok(())
}
