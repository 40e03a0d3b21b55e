//! The command line.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use events::parse::times::TimeFormat;
use stagger::Timestamp;

use crate::{Lines, Plan};

/// Makes clicks of a beer shop as JSON lines, in order of arrival.
#[derive(Debug, Parser)]
#[command(name = "generate", version)]
pub struct Options {
    #[command(flatten)]
    plan: Plan,
    /// Leave out the field `arrival_timestamp`: arrival is the order of the lines
    #[arg(long)]
    no_arrival: bool,
    /// Time of the first click
    #[arg(long, default_value = "2018-11-29T00:00:00Z", value_parser = start)]
    start: Timestamp,
    /// Where to write; packed if the name ends in .gz
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

fn start(text: &str) -> Result<Timestamp, String> {
    TimeFormat::Iso.parse(text).ok_or_else(|| "give a time such as 2018-11-29T00:00:00Z".to_owned())
}

impl Options {
    /// Writes all clicks as JSON lines.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut lines = Lines::new(self.plan.clone(), self.start, !self.no_arrival);
        while let Some(line) = lines.next_line()? {
            to.write_all(line.text)?;
        }
        Ok(())
    }
}
