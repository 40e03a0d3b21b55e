//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use events::failure::Outcome;
use events::fields::Fields;
use events::{input, lengths};
use stagger::Unit;

use crate::strategies::Choice;

/// Measures every strategy on your own events.
///
/// Reads JSON lines, CSV and web server logs into memory, then makes sessions of them under each
/// strategy. Without any argument it measures a day of bundled clicks.
#[derive(Debug, Parser)]
#[command(name = "measure", max_term_width = 100, version)]
pub(crate) struct Command {
    /// Files to read, `-` for standard input; gzip included [default: the bundled clicks]
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) fields: Fields,

    #[command(flatten)]
    pub(crate) measuring: Measuring,

    #[command(flatten)]
    pub(crate) lengths: Lengths,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Measuring")]
pub(crate) struct Measuring {
    /// How far events may be behind the latest one [default: as far as the events are]
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) out_of_order: Option<Duration>,

    /// Leave out events with a time more than LENGTH after their arrival (without --arrival: after the
    /// latest earlier event)
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) max_future: Option<Duration>,

    /// How often each strategy is timed; the median is shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) runs: u32,

    #[arg(id = "strategies", long = "only", value_name = "NAME[,NAME...]", value_delimiter = ',', hide_possible_values = true,
        help = format!("Measure only some of the strategies: {}", Choice::names()))]
    pub(crate) only: Vec<Choice>,

    /// Write the results as JSON, with every run
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Lengths of the strategies")]
pub(crate) struct Lengths {
    /// Length of a STEP window
    #[arg(long, value_name = "LENGTH", default_value = "30s", value_parser = lengths::parse)]
    pub(crate) step: Duration,
    /// Calendar unit of FLOOR: second, minute, hour, day, week, month, quarter, year
    #[arg(long, value_name = "UNIT", default_value = "minute", value_parser = lengths::unit)]
    pub(crate) floor: Unit,
    /// Gap: the time without an event that ends a session
    #[arg(long, value_name = "LENGTH", default_value = "30m", value_parser = lengths::parse)]
    pub(crate) gap: Duration,
    /// Maximum duration of a gap session, for the strategy with one
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = lengths::parse)]
    pub(crate) max_duration: Duration,
    /// Allowed lateness, for the strategy with corrections
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = lengths::parse)]
    pub(crate) allowed_lateness: Duration,
    /// Size and slide of sliding windows
    #[arg(long, value_name = "SIZE/SLIDE", default_value = "10m/1m", value_parser = lengths::parse_pair)]
    pub(crate) sliding: (Duration, Duration),
    /// How long a stagger window on the arrival clock stays open
    #[arg(long, value_name = "LENGTH", default_value = "30s", value_parser = lengths::parse)]
    pub(crate) range: Duration,
}

/// The bundled clicks have late ones, and clocks a year ahead.
const DEFAULT: [&str; 6] = ["--out-of-order", "1m", "--arrival", "arrival_timestamp", "--max-future", "1h"];

/// Reads the command line, the program's name first. None if it asked for help, which is written.
pub(crate) fn read(mut arguments: Vec<OsString>) -> Outcome<Option<Command>> {
    if arguments.len() <= 1 {
        arguments = std::iter::once("measure").chain(DEFAULT).map(OsString::from).collect();
        return program::command::parse(arguments);
    }
    let command: Option<Command> = program::command::parse(arguments)?;
    if let Some(command) = &command {
        input::note_unread_stdin(&command.inputs);
    }
    Ok(command)
}

impl Command {
    /// The strategies to measure.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        let only = &self.measuring.only;
        if only.is_empty() { Choice::all().to_vec() } else { only.clone() }
    }
}
