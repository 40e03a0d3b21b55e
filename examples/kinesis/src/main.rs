//! From a Kinesis stream to sessions, and on to storage, metrics and alerts.
//!
//! `cargo run --release -p kinesis -- demo` shows it without an account; README.md has the rest.

mod aws;
mod retry;
mod session;
mod shutdown;
mod status;
mod sink;
#[cfg(test)]
mod stand_in;
mod store;

#[allow(dead_code, reason = "only lengths of time are read here")]
#[path = "../../files/lengths.rs"]
mod lengths;
#[allow(dead_code, reason = "the command line of `files` chooses among the forms of time")]
#[path = "../../files/parse/times.rs"]
mod times;

fn main() {}
