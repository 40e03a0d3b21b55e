//! `kinesis produce`: puts lines of files, or clicks of a shop that does not exist, on a stream.
//!
//! # The partition key
//!
//! AWS's article puts every record with the key `partitionkey`. A key belongs to one shard, so all
//! records go to one: the 1 MB and 1,000 records a second that a shard takes are then the limit of
//! the whole stream, and the other shards stay empty. Here the key is a field of the record, `user_id`
//! unless another is named. That spreads the load, and the events of one user stay in order in one shard.
//!
//! # Promises
//!
//! Every record is on the stream when the last line is printed, most of them once. Where an answer
//! was lost, the records of that request are put again and may be there twice. Records that a shard
//! refused, because it was asked too much, are put again alone: they then come after later ones of the
//! same request.

mod lines;
mod producer;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, Command};
use events::lengths;
use events::parse::times;
use generate::Plan;
use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressStyle};
use stagger::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::admin::Stream;
use crate::aws::Aws;
use crate::retry::Retry;
use crate::status::Status;

pub(crate) use lines::{Given, Pace, clicks};
pub(crate) use producer::{Producer, Record, Sent};

/// Records wait no longer than this for others to share a request with.
const LINGER: Duration = Duration::from_millis(100);

/// Puts lines of files, or generated clicks, on a stream
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct Options {
    /// Lines to put, one record each, unpacked if they are gzip; - for standard input
    #[arg(value_name = "FILE", group = "source")]
    files: Vec<PathBuf>,
    /// The stream's name
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Field of the line that is the partition key
    ///
    /// The key decides which shard a record goes to. With one and the same for all (the article's
    /// 'partitionkey') everything goes to one shard: its 1 MB and 1,000 records a second are the limit
    /// of the whole stream, and the other shards stay empty. A user's id spreads the load and keeps the
    /// clicks of each user in order.
    #[arg(long, value_name = "FIELD", default_value = "user_id")]
    partition_key: String,
    /// Create the stream if there is none of that name, and wait until it is ready
    #[arg(long)]
    create: bool,
    /// Create it with this number of shards
    #[arg(long, default_value_t = 1, requires = "create", value_parser = clap::value_parser!(u32).range(1..))]
    shards: u32,
    /// Endpoint of Kinesis, in place of AWS_ENDPOINT_URL
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How long to retry a request that fails
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = lengths::parse)]
    give_up_after: Duration,
    /// Put generated clicks of the present time instead, at the rate given below
    #[arg(long, group = "source", conflicts_with = "files", help_heading = "Clicks")]
    clicks: bool,
    #[command(flatten, next_help_heading = "Clicks")]
    plan: Plan,
    /// Time of the first click, if not the present; without --full-speed they are still put at the rate
    #[arg(long, value_parser = start, conflicts_with = "files", help_heading = "Clicks")]
    start: Option<Timestamp>,
    /// As fast as the stream takes them; without --start, the last click is of the present
    #[arg(long, conflicts_with = "files", help_heading = "Clicks")]
    full_speed: bool,
}

fn start(text: &str) -> Result<Timestamp, String> {
    times::TimeFormat::Iso.parse(text).ok_or_else(|| "give a time such as 2018-11-29T00:00:00Z".to_owned())
}

/// The options that say what clicks to make mean nothing with files: better refused than not heeded.
pub(crate) fn strict(command: Command) -> Command {
    let plan = Plan::augment_args(Command::new("plan"));
    let belongs = |id: &clap::Id| plan.get_arguments().any(|argument| argument.get_id() == id);
    command.mut_args(|argument| if belongs(argument.get_id()) { argument.conflicts_with("files") } else { argument })
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let stop = crate::shutdown::on_signal_with_deadline();
    let client = Aws::new(options.endpoint.clone()).await.kinesis()?;
    let (retry, status) = (Retry { give_up_after: options.give_up_after }, Arc::new(Status::new()));
    let stream = Stream { client: &client, name: &options.stream, retry, status: &status };
    if options.create {
        stream.create(options.shards).await?;
    } else {
        stream.ready().await?;
    }
    let lines = options.lines()?;
    let producer = Producer::new(client.clone(), options.stream.clone(), retry, Arc::clone(&status));
    let mut run = Run::new(producer, options.partition_key);
    let outcome = run.put_all(lines, &stop).await;
    run.progress.finish_and_clear();
    if outcome.is_ok() || run.producer.sent().records > 0 {
        let stopped = if stop.is_cancelled() { "stopped: " } else { "" };
        writeln!(stdout(), "{stopped}{}", run.figures(&options.stream))?;
    }
    outcome
}

impl Options {
    fn lines(&self) -> Result<Receiver<Result<Given>>> {
        if !self.clicks {
            return lines::files(self.files.clone());
        }
        let pace = match (self.start, self.full_speed) {
            (None, false) => Pace::Live,
            (Some(start), false) => Pace::RealFrom(start),
            (start, true) => Pace::FullSpeed(start),
        };
        clicks(self.plan.clone(), pace)
    }
}

/// From lines to records, counted.
struct Run {
    producer: Producer,
    partition_key: String,
    refused: u64,
    without_key: u64,
    /// When the first line came: it takes a moment to open a file or the shop.
    began: Option<Instant>,
    progress: ProgressBar,
}

impl Run {
    fn new(producer: Producer, partition_key: String) -> Self {
        Self { producer, partition_key, refused: 0, without_key: 0, began: None, progress: progress() }
    }

    /// Puts every line, until there are no more or it is asked to stop.
    async fn put_all(&mut self, mut lines: Receiver<Result<Given>>, stop: &CancellationToken) -> Result<()> {
        let mut waited = ticks();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = waited.tick() => {
                    self.producer.flush().await?;
                    self.show();
                }
                given = lines.recv() => match given {
                    Some(given) => self.put(given?).await?,
                    None => break,
                },
            }
        }
        self.producer.flush().await
    }

    async fn put(&mut self, given: Given) -> Result<()> {
        self.began.get_or_insert_with(Instant::now);
        let place = given.place;
        let (record, has_field) = Record::of_line(given.line, &self.partition_key);
        if !record.fits() {
            self.refused += 1;
            let told = format!("{place} is refused: with its key it has more than the 1 MiB that a record may have");
            self.progress.suspend(|| drop(writeln!(stderr(), "{told}"))); // nobody reads it then
            return Ok(());
        }
        self.without_key += u64::from(!has_field);
        self.producer.put(record).await
    }

    fn show(&self) {
        let (sent, rate) = (self.producer.sent(), self.rate());
        let again = if sent.again > 0 { format!(", {} sent again", HumanCount(sent.again)) } else { String::new() };
        let records = HumanCount(sent.records);
        self.progress.set_message(format!("{records} records, {} per second{again}", HumanCount(rate)));
    }

    fn seconds(&self) -> f64 {
        self.began.map_or(0.0, |began| began.elapsed().as_secs_f64())
    }

    /// Records per second.
    fn rate(&self) -> u64 {
        (self.producer.sent().records as f64 / self.seconds().max(0.001)) as u64
    }

    /// The last line.
    fn figures(&self, stream: &str) -> String {
        let (sent, seconds) = (self.producer.sent(), self.seconds());
        let mut text = format!(
            "put {} records ({}) on {stream} in {seconds:.1} s, {} per second; {} sent again, {} refused",
            HumanCount(sent.records),
            DecimalBytes(sent.bytes),
            HumanCount(self.rate()),
            HumanCount(sent.again),
            HumanCount(self.refused),
        );
        if self.without_key > 0 {
            text += &format!(", {} without {}", HumanCount(self.without_key), self.partition_key);
        }
        text
    }
}

/// When waiting records are put, though there is room for more in their request.
pub(crate) fn ticks() -> Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LINGER, LINGER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(LINGER);
    bar
}
