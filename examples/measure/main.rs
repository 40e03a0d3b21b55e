//! What each strategy costs on your own data: nanoseconds per event, sessions, late events, sessions
//! open at once. For choosing a strategy with its price known.
//!
//! ```text
//! cargo run --release --example measure
//! cargo run --release --example measure -- clicks.jsonl --key user_id,device_id --time client_timestamp
//! cargo run --release --example measure -- access.log.gz --gap 10m --json
//! ```
//!
//! It reads whatever `files` reads, but into memory first: only the library is measured, and not the
//! reading. Every strategy then gets the same events in the order of their lines, once with keys and
//! values as text and once with both numbered, which shows what text costs.

mod command;
mod disorder;
mod load;
mod race;
mod show;
mod strategies;

// Of `files`: used by `command` and `load` alone, but for the kind of failure.
#[allow(dead_code, reason = "no rows are written here")]
#[path = "../files/columns.rs"]
mod columns;
#[allow(dead_code, reason = "`files` fails in more ways")]
#[path = "../files/failure.rs"]
mod failure;
#[path = "../files/formats.rs"]
mod formats;
#[allow(dead_code, reason = "nothing shows a progress here")]
#[path = "../files/input.rs"]
mod input;
#[allow(dead_code, reason = "not every form of a length is read or shown here")]
#[path = "../files/lengths.rs"]
mod lengths;
#[allow(dead_code, reason = "lines are not counted here")]
#[path = "../files/lines.rs"]
mod lines;
#[allow(dead_code, reason = "only inputs and fields are asked for here")]
#[path = "../files/options.rs"]
mod options;
#[allow(dead_code, reason = "keys are not taken apart, rejects not told apart")]
#[path = "../files/parse/mod.rs"]
mod parse;
#[allow(dead_code, reason = "the key fields are not written out here")]
#[path = "../files/setup.rs"]
mod setup;
#[allow(dead_code, reason = "every zone is as good as another here")]
#[path = "../files/zones.rs"]
mod zones;

use std::io::Write;
use std::process::ExitCode;

use command::Asked;
use disorder::Disorder;
use failure::{Failure, Outcome};

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, message }) => {
            if !message.is_empty() {
                eprintln!("measure: {message}");
            }
            ExitCode::from(status)
        }
    }
}

fn work() -> Outcome<()> {
    let text = match command::read(std::env::args_os().collect())? {
        Asked::Help(text) => text,
        Asked::Run(command) => {
            let loaded = load::load(&command)?;
            let events = loaded.events();
            let disorder = Disorder::of(&events);
            let bound = command.measuring.out_of_order.unwrap_or_else(|| disorder.most());
            let numbers = load::numbered(&events);
            let results = race::run(&command, bound, &events, &numbers)?;
            let about = show::About { loaded: &loaded, disorder: &disorder, bound, keys: load::keys(&numbers) };
            if command.measuring.json {
                show::json(&command, &about, &results)
            } else {
                show::table(&command, &about, &results)
            }
        }
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::writing(&error))
}
