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
//! `cargo run --release -p generate -- --users 1000 --rate 50 --duration 10m --disorder 5s`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use generate::Options;

fn run(options: &Options) -> io::Result<()> {
    let Some(path) = &options.output else {
        let mut to = BufWriter::new(io::stdout().lock());
        options.write(&mut to)?;
        return to.flush();
    };
    let mut to = BufWriter::new(File::create(path)?);
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
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(2)
        }
    }
}
