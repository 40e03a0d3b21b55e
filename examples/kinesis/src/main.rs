//! From a Kinesis stream to sessions, and on to storage, metrics and alerts.
//!
//! `cargo run --release -p kinesis -- demo` shows it without an account; README.md has the rest.

mod admin;
mod aws;
mod checkpoint;
mod consume;
mod decode;
mod demo;
mod gzip;
mod health;
mod kpl;
mod log;
mod output;
mod pipeline;
mod produce;
mod replay;
mod retry;
mod serve;
mod server;
mod shutdown;
mod sink;
#[cfg(test)]
mod stand_in;
mod status;
mod store;
mod stream;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use program::command;
use program::failure::Outcome;

/// Pages of records and sessions come and go by the megabyte, on several threads. With the allocator of
/// glibc memory in use grew by a third over millions of records, though nothing was kept.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From a Kinesis stream to sessions, and on to storage, metrics and alerts
#[derive(Debug, Parser)]
#[command(name = "kinesis", version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Consume(Box<consume::Options>),
    Demo(demo::Options),
    Health(health::Options),
    Produce(Box<produce::Options>),
    Replay(replay::Options),
    Serve(server::Options),
}

/// The options, unless help or the version was asked for.
fn options() -> Outcome<Option<Options>> {
    command::parse_as(&Options::command().mut_subcommand("produce", produce::strict), std::env::args_os())
}

async fn run(options: Options) -> Result<()> {
    match options.what {
        What::Consume(options) => consume::alone(*options).await,
        What::Demo(options) => demo::run(options).await,
        What::Health(options) => health::run(options).await,
        What::Produce(options) => produce::run(*options).await,
        What::Replay(options) => replay::run(options).await,
        What::Serve(options) => server::run(options).await,
    }
}

/// The exit status that a shell gives a program that SIGPIPE has ended: not all was written, and who closed the pipe
/// knows why.
const BROKEN_PIPE: u8 = 128 + 13;

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(failure) => return failure.end("kinesis"),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::anyhow!("cannot start threads: {error}")),
    };
    let outcome = runtime.block_on(run(options));
    runtime.shutdown_background(); // a thread that hangs in the file system is not waited for
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(BROKEN_PIPE),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "kinesis: {error:#}"); // nobody reads it then
    ExitCode::FAILURE
}

/// Whether nobody reads the output any more, as behind `| head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
