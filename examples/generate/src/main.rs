//! Makes clicks of the form in AWS's clickstream article, as JSON lines:
//!
//! ```text
//! {"user_id": 20, "device_id": "mobile", "client_event": "beer_cart", "client_timestamp": "2018-11-29T23:35:10.123456", "arrival_timestamp": "2018-11-29T23:35:10.987654"}
//! ```
//!
//! Users come for a visit, click with some seconds between, and go. The lines are in order of
//! arrival. Options choose how far that is from the order of clicks, and which other faults the data
//! has. The same options make the same lines. Not by any clock: the first click is at `--start`.
//!
//! `cargo run --release -p generate -- --users 1000 --rate 50 --duration 10m --disorder 5s`

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use flate2::Compression;
use flate2::write::GzEncoder;
use generate::Options;
use program::failure::{Failure, Outcome};
use program::growing::Growing;
use program::{command, signals, stdout};

fn run(options: &Options) -> Outcome<()> {
    let Some(path) = &options.output else {
        stdout::check()?;
        let mut to = BufWriter::new(io::stdout().lock());
        return options.write(&mut to).and_then(|()| to.flush()).map_err(|error| Failure::writing(&error));
    };
    let unwritten = |error: io::Error| Failure::file("write", path, &error);
    let mut to = Growing::file(path).map_err(unwritten)?;
    write(options, path, &mut to).map_err(unwritten)?;
    Growing::place([to]).map_err(|(path, error)| Failure::file("write", &path, &error))
}

/// Writes all clicks, packed if the name says so.
fn write(options: &Options, path: &Path, to: &mut Growing) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut packed = GzEncoder::new(to, Compression::best());
        options.write(&mut packed)?;
        packed.finish()?.flush()
    } else {
        options.write(&mut to)?;
        to.flush()
    }
}

fn main() -> ExitCode {
    signals::watch("generate");
    let options = command::parse(std::env::args_os());
    match options.and_then(|options| options.map_or(Ok(()), |options| run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("generate"),
    }
}
