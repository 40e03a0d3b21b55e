//! Makes clicks of the form in AWS's clickstream article, as JSON lines:
//!
//! ```text
//! {"user_id": 20, "device_id": "mobile", "client_event": "beer_cart", "client_timestamp": "2018-11-29T23:35:10.123456", "arrival_timestamp": "2018-11-29T23:35:10.987654"}
//! ```
//!
//! Users come for a visit, click with some seconds between, and go. The lines are in order of
//! arrival; how far that is from the order of clicks, and what else is wrong with the data, is
//! chosen. The same options make the same lines. Not by any clock: the first click is at `--start`.
//!
//! `cargo run --release --example generate -- --users 1000 --rate 50 --duration 10m --disorder 5s`

#[allow(dead_code, reason = "only lengths of time are read here")]
#[path = "../files/lengths.rs"]
mod lengths;
#[allow(dead_code, reason = "only --start is read here")]
#[path = "../files/parse/times.rs"]
mod times;
#[allow(dead_code, reason = "the package `kinesis` delivers lines at the time of their arrival")]
mod shop;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use shop::{Lines, Plan};
use stagger::Timestamp;

/// Makes clicks of a beer shop as JSON lines, in order of arrival.
#[derive(Debug, Parser)]
#[command(name = "generate", disable_version_flag = true)]
struct Options {
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
    output: Option<PathBuf>,
}

fn start(text: &str) -> Result<Timestamp, String> {
    times::TimeFormat::Iso.parse(text).ok_or_else(|| "give a time such as 2018-11-29T00:00:00Z".to_owned())
}

fn write_clicks(options: &Options, to: &mut dyn Write) -> io::Result<()> {
    let mut lines = Lines::new(options.plan.clone(), options.start, !options.no_arrival);
    while let Some(line) = lines.next_line()? {
        to.write_all(line.text)?;
    }
    Ok(())
}

fn run(options: &Options) -> io::Result<()> {
    let Some(path) = &options.output else {
        let mut to = BufWriter::new(io::stdout().lock());
        write_clicks(options, &mut to)?;
        return to.flush();
    };
    let mut to = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut packed = GzEncoder::new(to, Compression::best());
        write_clicks(options, &mut packed)?;
        packed.finish()?.flush()
    } else {
        write_clicks(options, &mut to)?;
        to.flush()
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(2)
        }
    }
}
