//! Draws the sessions of one user under each strategy, below each other on one axis of time, so that
//! a person can choose a strategy by looking: in the terminal, and as a picture.
//!
//! ```text
//! cargo run -p timeline
//! cargo run -p timeline -- --svg timeline.svg
//! cargo run -p timeline -- --events mine.txt --gap 5m --floor hour
//! ```
//!
//! A file of events has a line for each: when it happened and, if known, when it was received, both
//! in seconds since 1970 (or since anything else), as in `1543535885.25 1543535886`.

mod lanes;
mod reading;
mod scale;
mod strategies;
mod svg;
mod terminal;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use events::failure::{Failure, Outcome};
use events::lengths;
use program::{command, growing, same, signals, stdout};
use scale::Scale;
use stagger::Unit;

/// Draws one user's events under each strategy.
#[derive(Debug, Parser)]
#[command(name = "timeline", version)]
struct Options {
    /// Lines of `SECONDS [ARRIVAL]`, or - for standard input; without it, events made up to show
    /// the differences
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write a picture too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Length of a STEP window
    #[arg(long, default_value = "30s", value_parser = lengths::parse)]
    step: Duration,
    /// Calendar unit: second, minute, hour, day, week, month, quarter, year
    #[arg(long, default_value = "minute", value_parser = lengths::unit)]
    floor: Unit,
    /// How long a stagger window on the arrival clock stays open
    #[arg(long, default_value = "1m", value_parser = lengths::parse)]
    range: Duration,
    /// Gap: the time without an event that ends a session
    #[arg(long, default_value = "30s", value_parser = lengths::parse)]
    gap: Duration,
    /// Maximum duration of a gap session
    #[arg(long, default_value = "1m", value_parser = lengths::parse)]
    max_duration: Duration,
    /// Size and slide of sliding windows
    #[arg(long, default_value = "1m/30s", value_parser = lengths::parse_pair)]
    sliding: (Duration, Duration),
    /// How far events may be out of order [default: as far as the events are]
    #[arg(long, value_parser = lengths::parse)]
    out_of_order: Option<Duration>,
}

fn main() -> ExitCode {
    signals::watch("timeline");
    let options = command::parse(std::env::args_os());
    match options.and_then(|options| options.map_or(Ok(()), |options| draw(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("timeline"),
    }
}

fn draw(options: &Options) -> Outcome<()> {
    let input = options.events.as_deref();
    let input = input.map(|path| if path == Path::new("-") { same::Input::Stdin } else { same::Input::File(path) });
    same::check(input, options.svg.as_deref())?;
    let clicks = match &options.events {
        Some(path) => reading::read(path).map_err(Failure::usage)?,
        None => reading::sample(),
    };
    let rows = strategies::rows(options, &clicks).map_err(Failure::usage)?;
    let scale = Scale::over(&clicks, &rows);
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = terminal::draw(&scale, &clicks, &rows, colour);
    if let Some(path) = &options.svg {
        let picture = svg::draw(&scale, &clicks, &rows);
        growing::write(path, picture.as_bytes()).map_err(|error| Failure::file("write", path, &error))?;
        text += &format!("\nThe picture is in {}.\n", path.display());
    }
    stdout::write(text)
}
