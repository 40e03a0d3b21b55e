//! Sessions from a Kafka topic, exactly once, on any number of processes. README.md says how to use it.
//!
//! ```text
//! consumer group ─▶ worker ─▶ one task for each partition ─▶ one transaction for each partition
//!                   worker    sessions (or repartition)       producer: rows, state, offset
//!                                └▶ state: base and changes ─▶ topic ─▶ restored after assignment
//! ```
//!
//! - [`options`], [`properties`], [`client`], [`topics`]: the command line; settings of librdkafka; clients; names of topics.
//! - [`sessions`]: from the records of one partition to sessions, without any input or output.
//! - [`state`]: the records of a partition's state, and how it is put together again; likewise.
//! - [`commit`]: one transaction. [`restore`]: reading the state again. [`worker`]: the consumer group.
//! - [`produce`], [`repartition`], [`watch`], [`report`], [`metrics`], [`demo`]: the rest.

mod client;
mod commit;
mod demo;
mod metrics;
mod options;
mod produce;
mod properties;
mod repartition;
mod report;
mod restore;
mod sessions;
mod state;
mod topics;
mod watch;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use options::{Command, Options, Serve};
use program::failure::{Failure, Outcome};
use program::{command, signals, stdout};

fn main() -> ExitCode {
    signals::watch("kafka");
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("kafka"),
    }
}

fn work() -> Outcome<()> {
    let Some(mut options) = command::parse::<Options>(std::env::args_os())? else { return Ok(()) };
    if let Some(connection) = options.command.connection() {
        properties::settle(connection).map_err(|error| Failure::usage(format_args!("{error:#}")))?;
    }
    // The others print nothing.
    if !matches!(options.command, Command::Run(_) | Command::Repartition(_)) {
        stdout::check()?;
    }
    let done = match options.command {
        Command::Produce(options) => produce::produce(&options),
        Command::Run(options) => sessions::run(&options),
        Command::Repartition(options) => repartition::repartition(&options),
        Command::Demo(options) => demo::demo(&options),
        Command::Watch(options) => watch::watch(&options),
        Command::Report(options) => report::report(&options),
        Command::Serve(options) => serve(&options),
    };
    done.map_err(|error| match error.downcast::<io::Error>() {
        Ok(error) => Failure::writing(&error),
        Err(error) => Failure::usage(format_args!("{error:#}")),
    })
}

/// Until a signal comes.
fn serve(options: &Serve) -> anyhow::Result<()> {
    let broker = broker::Broker::start(options.port, options.journal.as_deref())?;
    writeln!(io::stdout(), "{}", broker.bootstrap())?;
    loop {
        std::thread::park();
    }
}
