//! `kinesis serve`: a Kinesis server on this machine, until Ctrl-C.

use std::io::{Write, stdout};

use anyhow::Result;
use clap::Args;

use crate::admin::Stream;
use crate::aws::Aws;
use crate::retry::Retry;
use crate::serve::{self, Server};
use crate::status::Status;

/// Serves Kinesis on this machine, in memory, until Ctrl-C
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Where to listen; 0 for any port that is free
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// Create this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// The number of its shards
    #[arg(long, default_value_t = 1, requires = "stream", value_parser = clap::value_parser!(u32).range(1..=500))]
    shards: u32,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let stop = crate::shutdown::on_signal();
    let server = Server::start(serve::Options { port: options.port, ..serve::Options::default() }).await?;
    let endpoint = server.endpoint();
    writeln!(stdout(), "Kinesis listens at {endpoint}\nexport AWS_ENDPOINT_URL={endpoint}")?;
    if let Some(name) = &options.stream {
        create(&endpoint, name, options.shards).await?;
        writeln!(stdout(), "stream {name}, shards: {}", options.shards)?;
    }
    stop.cancelled().await;
    server.stop().await;
    Ok(())
}

async fn create(endpoint: &str, name: &str, shards: u32) -> Result<()> {
    let client = Aws::new(Some(endpoint.to_owned())).await.kinesis()?;
    let (retry, status) = (Retry { give_up_after: std::time::Duration::from_secs(10) }, Status::new());
    Stream { client: &client, name, retry, status: &status }.create(shards).await?;
    Ok(())
}
