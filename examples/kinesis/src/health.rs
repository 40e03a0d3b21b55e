//! `health`: asks a consumer on this machine whether it works, for the health check of a container.

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

/// Where `--listen` is asked for in the template, and where this asks unless it is told otherwise.
const USUAL: &str = "127.0.0.1:9464";
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a consumer that was started with --listen whether it works; ends with 1 if it does not
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The address that the consumer listens on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = USUAL)]
    listen: SocketAddr,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let address = format!("http://{}/healthz", options.listen);
    let client = reqwest::Client::builder().timeout(PATIENCE).build().context("cannot make a client")?;
    let answer = client.get(&address).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("no answer from {address}: is the consumer started with --listen?"))?;
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    ensure!(status.is_success(), "{address} answers {status}: {}", body.trim());
    Ok(writeln!(stdout(), "{}", body.trim())?)
}
