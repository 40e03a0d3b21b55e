//! One task for each shard: asks for its records and sends them on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{HashKeyRange, SequenceNumberRange, ShardIteratorType};
use chrono::Utc;
use stagger::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::about;
use super::lineage::Listed;
use super::pace::Pace;
use super::{Reading, Record, ShardId, Start};
use crate::retry::{Retry, explain};
use crate::status::Status;

/// Pages of one shard that are read ahead: one in use, one that waits.
const PAGES_AHEAD: usize = 2;
/// How often to look for the children of a shard that has ended, and how long to wait in between.
const LOOKS_FOR_CHILDREN: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What a shard had to say.
#[derive(Debug)]
pub(crate) enum Report {
    Page(ShardId, Vec<Record>, Leave),
    /// There is no more for now; what arrived before this has all been read.
    Tip(ShardId, Timestamp),
    /// It was read to its end; all shards of the stream as they are then.
    Ended(ShardId, Vec<Listed>),
    Failed(anyhow::Error),
}

/// The leave to hold one page in memory; the next one is asked for when it is given back.
pub(crate) type Leave = OwnedSemaphorePermit;

/// What all readers of a stream share.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) client: aws_sdk_kinesis::Client,
    pub(crate) name: String,
    pub(crate) reading: Reading,
    pub(crate) retry: Retry,
    pub(crate) status: Arc<Status>,
}

impl Stream {
    /// Waits until there is a stream: one in the making has no shards.
    pub(crate) async fn made(&self) -> Result<()> {
        self.about().made().await
    }

    pub(crate) async fn shards(&self) -> Result<Vec<Listed>> {
        Ok(self.about().shards().await?.iter().map(listed).collect())
    }

    fn about(&self) -> about::Stream<'_> {
        let Self { client, name, retry, status, .. } = self;
        about::Stream { client, name, retry: *retry, status }
    }
}

fn listed(shard: &aws_sdk_kinesis::types::Shard) -> Listed {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let hash = |text: Option<&str>, otherwise| text.and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let range = shard.hash_key_range();
    let first = hash(range.map(HashKeyRange::starting_hash_key), 0);
    let last = hash(range.map(HashKeyRange::ending_hash_key), u128::MAX);
    Listed {
        id: shard.shard_id().into(),
        parents: parents.into_iter().flatten().map(ShardId::from).collect(),
        hashes: first..=last,
        begins: shard.sequence_number_range().map_or("", SequenceNumberRange::starting_sequence_number).to_owned(),
    }
}

/// Begins to read a shard after a record, or where the reading starts. Ends with the shard, or when
/// nobody listens any more.
pub(crate) fn read(stream: Arc<Stream>, shard: ShardId, after: Option<String>, reports: mpsc::Sender<Report>) {
    let reader = Reader {
        pace: Pace::new(stream.reading.is_paced),
        room: Arc::new(Semaphore::new(PAGES_AHEAD)),
        stream,
        shard,
        is_beginning: after.is_none(),
        last: after,
        reports,
    };
    tokio::spawn(reader.work());
}

struct Reader {
    stream: Arc<Stream>,
    shard: ShardId,
    /// The last record read.
    last: Option<String>,
    /// Whether none has been sent on.
    is_beginning: bool,
    pace: Pace,
    room: Arc<Semaphore>,
    reports: mpsc::Sender<Report>,
}

/// Nobody listens any more.
struct Unheard;

impl Reader {
    async fn work(mut self) {
        let outcome = self.read_to_end().await;
        let last_word = match outcome {
            Ok(Some(shards)) => Report::Ended(ShardId::clone(&self.shard), shards),
            Ok(None) => return,
            Err(error) => Report::Failed(error.context(format!("shard {}", self.shard))),
        };
        let _ = self.report(last_word).await;
    }

    /// Returns all shards of the stream when this one has ended; `None` if nobody listens.
    async fn read_to_end(&mut self) -> Result<Option<Vec<Listed>>> {
        let mut iterator = self.iterator().await?;
        loop {
            let Ok(leave) = Arc::clone(&self.room).acquire_owned().await else { return Ok(None) };
            self.pace.wait().await;
            let (sent, sent_at) = (Instant::now(), Timestamp::from(Utc::now()));
            let Some(mut page) = self.page(&iterator).await? else {
                iterator = self.iterator().await?; // the old one has expired
                continue;
            };
            let next = page.next_shard_iterator.take();
            let behind = page.millis_behind_latest.unwrap_or(0);
            let mut records = self.records(page)?;
            let bytes = records.iter().map(|record| record.data.len()).sum();
            self.pace.called(sent, bytes);
            if let Some(last) = records.last() {
                self.last = Some(last.sequence.clone());
            }
            let is_empty = records.is_empty();
            self.skip_earlier(&mut records);
            self.count(records.len(), bytes, behind);
            let heard = if !records.is_empty() {
                self.report(Report::Page(ShardId::clone(&self.shard), records, leave)).await
            } else if is_empty && behind == 0 {
                self.pace.at_tip(sent, self.stream.reading.poll_every);
                let frontier = sent_at - self.stream.reading.arrival_slack;
                self.report(Report::Tip(ShardId::clone(&self.shard), frontier)).await
            } else {
                Ok(()) // a page without records on the way to some
            };
            if heard.is_err() {
                return Ok(None);
            }
            match next {
                Some(next) => iterator = next,
                None => return self.children().await.map(Some),
            }
        }
    }

    /// Leaves out what arrived before the time to begin with: `ferrokinesis` begins with the oldest record
    /// where none is as young.
    fn skip_earlier(&mut self, records: &mut Vec<Record>) {
        if let (Start::At(time), true) = (self.stream.reading.start, self.is_beginning) {
            let earlier = records.iter().take_while(|record| record.arrival < time).count();
            records.drain(..earlier);
            self.is_beginning = records.is_empty();
        }
    }

    async fn report(&self, report: Report) -> Result<(), Unheard> {
        self.reports.send(report).await.map_err(|_| Unheard)
    }

    /// An iterator that goes on after the last record read.
    async fn iterator(&self) -> Result<String> {
        let request = || {
            let request = self.stream.client.get_shard_iterator().stream_name(&self.stream.name).shard_id(&*self.shard);
            match (&self.last, self.stream.reading.start) {
                (Some(last), _) => {
                    request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(last)
                }
                (None, Start::TrimHorizon) => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
                (None, Start::At(time)) => request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(
                    DateTime::from_nanos(i128::from(time.as_micros()) * 1_000).unwrap_or(DateTime::from_secs(0)),
                ),
            }
        };
        let found = self.stream.retry.run("GetShardIterator", &self.stream.status, || request().send()).await;
        let found = found.map_err(explain).context("no iterator to read on with")?;
        found.shard_iterator.context("Kinesis gave no iterator to read on with")
    }

    /// One page; `None` if the iterator has expired.
    async fn page(&self, iterator: &str) -> Result<Option<GetRecordsOutput>> {
        let request =
            || self.stream.client.get_records().shard_iterator(iterator).limit(self.stream.reading.page).send();
        match self.stream.retry.run("GetRecords", &self.stream.status, request).await {
            Ok(page) => Ok(Some(page)),
            Err(error) if error.as_service_error().is_some_and(GetRecordsError::is_expired_iterator_exception) => {
                self.stream.status.retried(&format!("GetRecords of {}", self.shard), false, "the iterator has expired");
                Ok(None)
            }
            Err(error) => Err(explain(error)).context("cannot read records"),
        }
    }

    fn records(&self, page: GetRecordsOutput) -> Result<Vec<Record>> {
        let record = |record: aws_sdk_kinesis::types::Record| {
            let Some(arrival) = record.approximate_arrival_timestamp else {
                bail!("record {} came without its time of arrival", record.sequence_number);
            };
            let micros = arrival.as_nanos().div_euclid(1_000);
            let arrival = i64::try_from(micros).map_or(Timestamp::EPOCH, Timestamp::from_micros);
            let partition_key = record.partition_key.unwrap_or_default();
            Ok(Record { sequence: record.sequence_number, arrival, partition_key, data: record.data.into_inner() })
        };
        page.records.into_iter().map(record).collect()
    }

    fn count(&self, records: usize, bytes: usize, behind: i64) {
        self.stream.status.change(|now| {
            let shard = now.shards.entry(self.shard.to_string()).or_default();
            shard.records += records as u64;
            shard.bytes += bytes as u64;
            shard.millis_behind = behind;
            shard.last_answer = Some(std::time::Instant::now());
        });
    }

    /// The shards of the stream, among them the children of this one. They may be listed a little
    /// later than it ends.
    async fn children(&self) -> Result<Vec<Listed>> {
        for _ in 0..LOOKS_FOR_CHILDREN {
            let shards = self.stream.shards().await?;
            let this = shards.iter().find(|shard| shard.id == self.shard);
            if this.is_none_or(|this| shards.iter().any(|other| this.is_followed_by(other))) {
                return Ok(shards);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.stream.status.trouble(format!("shard {} has ended and no other follows it", self.shard));
        self.stream.shards().await
    }
}
