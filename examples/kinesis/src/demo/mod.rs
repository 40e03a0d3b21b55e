//! `kinesis demo`: everything at once and without an account. A server in this process, a stream of
//! several shards, live clicks, the consumer, and a view of all of them; then a report.

mod clicks;
mod consumer;
mod folder;
mod plain;
mod report;
mod reshard;
mod screen;
mod view;

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use events::lengths;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Stream;
use crate::aws::Aws;
use crate::produce::{Producer, Sent};
use crate::retry::Retry;
use crate::serve::{self, Server};
use crate::shutdown;
use crate::status::Status;

const STREAM: &str = "clicks";
const RETRY: Retry = Retry { give_up_after: Duration::from_secs(10) };
/// How long to wait at the end for the last records to be read.
const LAST_RECORDS: Duration = Duration::from_secs(60);

/// Shows everything on this machine: a stream, live clicks, sessions as they close
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Shards of the stream at the beginning
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    shards: u32,
    /// Clicks per second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// How long clicks are put on the stream
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = lengths::parse)]
    duration: Duration,
    /// How many different users there are
    #[arg(long, default_value_t = 60)]
    users: u64,
    /// Another seed makes other clicks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for sessions, checkpoints and the report, new or empty; without it, ./kinesis-demo or,
    /// where that is there already, ./kinesis-demo-2 and so on
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print a line every few seconds in place of the view
    #[arg(long)]
    plain: bool,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let folder = folder::prepare(options.output.as_deref())?;
    let is_plain = options.plain || !stdout().is_terminal();
    let stop = match is_plain {
        true => shutdown::on_signal(),
        false => shutdown::on_signal_and(ratatui::restore),
    };
    let server = Server::start(serve::Options::default()).await?;
    let aws = Aws::new(Some(server.endpoint())).await;
    let demo = Demo { options, aws, status: Arc::new(Status::new()), stop, folder };
    let outcome = demo.run(is_plain).await;
    server.stop().await;
    let report = outcome?;
    std::fs::write(demo.folder.join("report.txt"), &report)
        .with_context(|| format!("cannot write the report to {}", demo.folder.display()))?;
    write!(stdout(), "{report}")?;
    Ok(())
}

struct Demo {
    options: Options,
    aws: Aws,
    status: Arc<Status>,
    stop: CancellationToken,
    folder: PathBuf,
}

/// What runs beside the view.
struct Parts {
    clicks: JoinHandle<Result<Sent>>,
    consumer: JoinHandle<Result<()>>,
    resharding: JoinHandle<Result<()>>,
    stop_consumer: CancellationToken,
}

impl Demo {
    /// Until the last click is read; gives the report.
    async fn run(&self, is_plain: bool) -> Result<String> {
        let client = self.aws.kinesis()?;
        let stream = Stream { client: &client, name: STREAM, retry: RETRY, status: &self.status };
        let lines = clicks::open(&self.options)?; // which takes a moment, as the stream does
        stream.create(self.options.shards).await?;
        let parts = self.start(&client, lines);
        let began = Instant::now();
        let (watched, ended) = (CancellationToken::new(), CancellationToken::new());
        let finish = async {
            let outcome = self.finish(parts).await;
            watched.cancel();
            outcome
        };
        let watch = async {
            let outcome = self.watch(is_plain, began, &watched).await;
            ended.cancel();
            outcome
        };
        // The view leaves the terminal before an error is told.
        let (sent, seen) = tokio::join!(finish, watch);
        let sent = sent?;
        seen?;
        report::write(&self.status.now(), sent, began.elapsed(), &self.folder)
    }

    fn start(&self, client: &aws_sdk_kinesis::Client, lines: clicks::Lines) -> Parts {
        let producer = Producer::new(client.clone(), STREAM.to_owned(), RETRY, Arc::clone(&self.status));
        let stop_consumer = CancellationToken::new();
        Parts {
            clicks: tokio::spawn(clicks::run(lines, self.options.duration, producer, self.stop.clone())),
            consumer: tokio::spawn(consumer::start(
                consumer::arguments(&self.folder),
                self.aws.clone(),
                Arc::clone(&self.status),
                stop_consumer.clone(),
            )),
            resharding: tokio::spawn(reshard::run(
                client.clone(),
                self.options.duration,
                Arc::clone(&self.status),
                self.stop.clone(),
            )),
            stop_consumer,
        }
    }

    /// Waits for the clicks to end, then for the consumer to have read them, or for what fails first.
    async fn finish(&self, mut parts: Parts) -> Result<Sent> {
        let sent = tokio::select! {
            sent = &mut parts.clicks => joined(sent),
            early = &mut parts.consumer => {
                self.stop.cancel();
                return joined(early).and_then(|()| anyhow::bail!("the consumer ended before the clicks did"));
            }
        };
        self.stop.cancel();
        if let Ok(sent) = &sent {
            self.read_to_the_end(sent.records, &parts.consumer).await;
        }
        parts.stop_consumer.cancel();
        let consumed = joined(parts.consumer.await);
        if let Err(error) = joined(parts.resharding.await) {
            self.status.trouble(format!("{error:#}")); // the stream stays as it is, which is no harm
        }
        let sent = sent?;
        consumed?;
        Ok(sent)
    }

    async fn read_to_the_end(&self, records: u64, consumer: &JoinHandle<Result<()>>) {
        let deadline = Instant::now() + LAST_RECORDS;
        while self.status.change(|now| now.records) < records && !consumer.is_finished() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn watch(&self, is_plain: bool, began: Instant, ended: &CancellationToken) -> Result<()> {
        if is_plain {
            return plain::run(&self.status, began, ended, consumer::WINDOW).await;
        }
        let title = view::Title { stream: STREAM.to_owned(), length: self.options.duration, window: consumer::WINDOW };
        screen::run(view::View::new(title), &self.status, began, &self.stop, ended).await
    }
}

/// The outcome of a task; one that panicked has told why.
fn joined<T>(outcome: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    outcome.context("a part of the demonstration broke down")?
}
