//! `kinesis replay`: puts rows of the table `errors` on a stream again, once their cause is mended.
//!
//! Files of errors stay as they are. Rows that were put are noted in the table `replayed`, in a file of the
//! same name, so that another run leaves them out. It is written once Kinesis has taken all records of
//! the file: who is killed before that puts them again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use events::lengths;
use serde::Deserialize;
use stagger::Timestamp;

use crate::admin::Stream;
use crate::aws::Aws;
use crate::output::{ERRORS, prefix};
use crate::produce::{Producer, Record};
use crate::retry::Retry;
use crate::status::Status;
use crate::store::Store;
use crate::{gzip, shutdown};
use events::stream::time;

/// The table of the rows that were put again.
const REPLAYED: &str = "replayed";

/// Puts rows of errors/ on a stream again, once their cause is mended
///
/// Each row is put once, however often the command runs: the table replayed/ notes them. The rows get a new
/// arrival time, so events whose session has closed are late on the event clock, and open another window on the
/// arrival clock. For complete sessions, read the stream again with another --state and --output.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The --output of the consumer: a directory, or s3://BUCKET
    #[arg(long, value_name = "PLACE")]
    output: String,
    /// The --prefix of the consumer
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = prefix)]
    prefix: String,
    /// The stream to put them on
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Which rows, by their column kind
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',', default_values_t = [Kind::Rejected, Kind::Refused])]
    kind: Vec<Kind>,
    /// Leave out rows that arrived before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only show the rows that would be put
    #[arg(long)]
    dry_run: bool,
    /// Endpoint of Kinesis, in place of AWS_ENDPOINT_URL
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How long to retry a request that fails
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = lengths::parse)]
    give_up_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// No event
    Rejected,
    /// An event that no rule took: from the future, or from before --earliest
    Refused,
    /// An event that some rules have not taken, and others may have: for a stream of its own
    Late,
    /// A record of the KPL on a wrong shard, which the KPL sends again itself
    Misplaced,
}

/// A row of the table of errors.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    kind: Kind,
    shard: String,
    sequence: String,
    /// Rows of before there was such a column are without.
    partition_key: Option<String>,
    arrival: String,
    data: Option<String>,
    data_base64: Option<String>,
    strategy: Option<String>,
}

impl Row {
    fn record(self) -> Result<Record> {
        let data = match (self.data, self.data_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(packed)) => BASE64_STANDARD.decode(packed).context("data_base64 is no base64")?,
            (None, None) => Vec::new(),
        };
        Ok(Record { data, partition_key: self.partition_key.unwrap_or(self.sequence) })
    }
}

/// The counts of a run.
#[derive(Debug, Default)]
struct Counts {
    put: u64,
    before: u64,
    others: u64,
    too_large: u64,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let stop = shutdown::on_signal();
    let (retry, status) = (Retry { give_up_after: options.give_up_after }, Arc::new(Status::new()));
    let aws = Aws::new(options.endpoint.clone()).await;
    let client = aws.kinesis()?;
    Stream { client: &client, name: &options.stream, retry, status: &status }.ready().await?;
    let store = Store::parse(&options.output, &aws, retry, Arc::clone(&status))?;
    let producer = Producer::new(client, options.stream.clone(), retry, status);
    let mut replay =
        Replay { options: &options, store, producer, events: Events::default(), counts: Counts::default() };
    let (errors, mut is_stopped) = (format!("{}{ERRORS}/", options.prefix), false);
    for name in replay.store.list(&errors).await? {
        is_stopped = stop.is_cancelled();
        if is_stopped {
            break;
        }
        let noted = format!("{}{REPLAYED}/{}", options.prefix, &name[errors.len()..]);
        replay.file(&name, &noted).await.with_context(|| format!("{name} in {}", options.output))?;
    }
    let Counts { put, before, others, too_large } = replay.counts;
    writeln!(
        stdout(),
        "{}{} {put} rows of {errors} on {}; {before} were put before, {others} are of other kinds or times, \
         {too_large} are too large",
        if is_stopped { "stopped: " } else { "" },
        if options.dry_run { "would put" } else { "put" },
        options.stream,
    )?;
    Ok(())
}

struct Replay<'a> {
    options: &'a Options,
    store: Store,
    producer: Producer,
    events: Events,
    counts: Counts,
}

impl Replay<'_> {
    /// Puts the chosen rows of a file, then notes the file.
    async fn file(&mut self, name: &str, noted: &str) -> Result<()> {
        let before = self.lines(noted).await?;
        let mut left: BTreeMap<&str, u64> = BTreeMap::new();
        for line in before.lines() {
            *left.entry(line).or_default() += 1;
        }
        let (errors, mut now) = (self.lines(name).await?, before.clone());
        for line in errors.lines() {
            let row: Row = serde_json::from_str(line).context("a row is no row of errors")?;
            if let Some(count) = left.get_mut(line).filter(|count| **count > 0) {
                *count -= 1;
                self.counts.before += 1;
                self.events.is_new(&row);
                continue;
            }
            let arrival = time(&row.arrival).map_err(|_| anyhow::anyhow!("a row has no arrival time"))?;
            let is_in_time = self.options.since.is_none_or(|since| arrival >= since);
            if !self.options.kind.contains(&row.kind) || !is_in_time {
                self.counts.others += 1;
                continue;
            }
            let is_new = self.events.is_new(&row);
            let record = row.record()?;
            if !record.fits() {
                self.counts.too_large += 1;
                continue;
            }
            self.counts.put += 1;
            now.push_str(line);
            now.push('\n');
            if is_new && !self.options.dry_run {
                self.producer.put(record).await?;
            }
        }
        if self.options.dry_run || now.len() == before.len() {
            return Ok(());
        }
        self.producer.flush().await?;
        let bytes = if name.ends_with(".gz") { gzip::packed(now.as_bytes())? } else { now.into_bytes() };
        self.store.put(noted, bytes).await
    }

    /// The lines of a file; none if there is no such file.
    async fn lines(&self, name: &str) -> Result<String> {
        let bytes = self.store.get(name).await?.unwrap_or_default();
        let bytes = match gzip::unpacked(&bytes, u64::MAX) {
            None => bytes,
            Some(plain) => plain.map_err(|what| anyhow::anyhow!("it cannot be unpacked: {what}"))?,
        };
        String::from_utf8(bytes).context("it is not UTF-8")
    }
}

/// Tells the rows that several rules have written of one event from those of several events.
#[derive(Debug, Default)]
struct Events {
    rows: BTreeMap<(String, String, String, String), u64>,
    known: BTreeSet<(String, String, String, u64)>,
}

impl Events {
    fn is_new(&mut self, row: &Row) -> bool {
        let Some(rule) = &row.strategy else { return true };
        let data = row.data.as_ref().or(row.data_base64.as_ref()).cloned().unwrap_or_default();
        let (shard, sequence) = (row.shard.clone(), row.sequence.clone());
        let count = self.rows.entry((rule.clone(), shard.clone(), sequence.clone(), data.clone())).or_default();
        *count += 1;
        self.known.insert((shard, sequence, data, *count))
    }
}
