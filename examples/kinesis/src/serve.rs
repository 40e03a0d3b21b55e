//! A Kinesis server in this process, for the demonstration, for tests and for trying things out: it
//! keeps streams in memory and speaks the protocol of AWS over plain HTTP.
//!
//! It differs from AWS in ways that matter to readers: the arrival time has whole seconds, the
//! token for the next page of `ListShards` does not work (ask with `ExclusiveStartShardId`), and an
//! answer of `GetRecords` may have more than 10 MB.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use ferrokinesis::store::StoreOptions;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// More than AWS lets an account have at first, so that nobody meets a limit that is not Kinesis' own.
const MOST_SHARDS: u32 = 500;
/// The 5 MB that `PutRecords` may have, in base64 and with all that is around it.
const LARGEST_REQUEST: usize = 16 << 20;
/// How long requests under way may take at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// How to serve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Where to listen, on this machine only; 0 for any port that is free.
    pub(crate) port: u16,
    /// How long a stream takes to be created, split or merged.
    pub(crate) delay: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, delay: Duration::from_millis(500) }
    }
}

/// A server that listens, until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
    stop: DropGuard,
}

impl Server {
    pub(crate) async fn start(options: Options) -> Result<Self> {
        Self::start_behind(options, |kinesis| kinesis).await
    }

    /// The same with something before it that changes requests or answers.
    pub(crate) async fn start_behind(options: Options, front: impl FnOnce(Router) -> Router) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.with_context(|| {
            format!("cannot listen on port {} of this machine: choose another with --port", options.port)
        })?;
        let address = listener.local_addr().context("the system does not tell on which port it listens")?;
        let (kinesis, _) = ferrokinesis::create_app(store(options.delay));
        let kinesis = kinesis.layer(DefaultBodyLimit::max(LARGEST_REQUEST));
        let stop = CancellationToken::new();
        let server = axum::serve(listener, front(kinesis)).with_graceful_shutdown(stop.clone().cancelled_owned());
        Ok(Self { address, task: tokio::spawn(async move { server.await }), stop: stop.drop_guard() })
    }

    /// What `AWS_ENDPOINT_URL` must be to reach it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the requests under way, then the server.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let end = self.task.abort_handle();
        if tokio::time::timeout(LAST_REQUESTS, self.task).await.is_err() {
            end.abort();
        }
    }
}

fn store(delay: Duration) -> StoreOptions {
    let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    StoreOptions {
        create_stream_ms: millis,
        delete_stream_ms: millis,
        update_stream_ms: millis,
        shard_limit: MOST_SHARDS,
        ..StoreOptions::default()
    }
}
