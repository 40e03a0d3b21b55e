//! From a Kinesis stream to sessions, and on to storage, metrics and alerts.
//!
//! `cargo run --release -p kinesis -- demo` shows it without an account; README.md has the rest.

mod aws;
mod checkpoint;
mod consume;
mod decode;
mod kpl;
mod output;
mod pipeline;
mod retry;
mod session;
mod shutdown;
mod sink;
mod status;
#[cfg(test)]
mod stand_in;
mod store;
mod strategy;
mod stream;

#[allow(dead_code, reason = "only lengths of time are read here")]
#[path = "../../files/lengths.rs"]
mod lengths;
#[allow(dead_code, reason = "the command line of `files` chooses among the forms of time")]
#[path = "../../files/parse/times.rs"]
mod times;

use clap::Parser;

#[derive(Parser)]
#[command(name = "kinesis")]
enum Command {
    Consume(Box<consume::Options>),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> std::process::ExitCode {
    let Command::Consume(options) = Command::parse();
    let aws = aws::Aws::new(options.source.endpoint.clone()).await;
    let status = std::sync::Arc::new(status::Status::new());
    match consume::run(*options, aws, status.clone(), shutdown::on_signal(), false).await {
        Ok(()) => {
            eprintln!("{:?}", status.now().strategies);
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("kinesis: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
