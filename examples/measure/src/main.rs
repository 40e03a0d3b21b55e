//! Measures each strategy on your own data: nanoseconds per event, sessions, late events, sessions
//! open at once. It helps to choose a strategy by its price.
//!
//! ```text
//! cargo run --release -p measure
//! cargo run --release -p measure -- clicks.jsonl --key user_id,device_id --time client_timestamp
//! cargo run --release -p measure -- access.log.gz --gap 10m --json
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

use std::process::ExitCode;

use disorder::Disorder;
use events::failure::{Failure, Outcome};
use program::stdout;

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("measure"),
    }
}

fn work() -> Outcome<()> {
    let Some(command) = command::read(std::env::args_os().collect())? else { return Ok(()) };
    let loaded = load::load(&command)?;
    let events = loaded.events();
    let disorder = Disorder::of(&events);
    let bound = command.measuring.out_of_order.unwrap_or_else(|| disorder.most());
    let numbers = load::numbered(&events);
    let results = race::run(&command, bound, &events, &numbers)?;
    let about = show::About { loaded: &loaded, disorder: &disorder, bound, keys: load::keys(&numbers) };
    let show = if command.measuring.json { show::json } else { show::table };
    stdout::write(show(&command, &about, &results))?;
    match &loaded.broken[..] {
        [] => Ok(()),
        broken => Err(Failure::not_used(broken.join("; "))),
    }
}
