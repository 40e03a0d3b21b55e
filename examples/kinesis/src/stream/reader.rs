//! One task for each shard: asks for its records and sends them on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use stagger::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::about;
use super::asked::Asked;
use super::pace::Pace;
use super::roster::{Latest, Roster};
use super::{Reading, Record, ShardId, Start, timestamp};
use crate::retry::{Retry, explain};
use crate::status::Status;

/// Pages of one shard that are read ahead: one in use, one that waits.
const PAGES_AHEAD: usize = 2;
/// How long to wait before looking again for the shards that follow one that has ended, and after how
/// many looks to say so.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const LOOKS_BEFORE_TELLING: u32 = 20;
/// How long to wait after an empty page of a closed shard: its end may be some pages away.
const BEFORE_THE_END: Duration = Duration::from_millis(200);

/// The answer of a shard.
#[derive(Debug)]
pub(crate) enum Report {
    Page(ShardId, Vec<Record>, Leave),
    /// There is no more for now: all that arrived before this has been read, and nothing of it is in
    /// shards that follow this one, which the list has as open.
    Tip(ShardId, Timestamp, Arc<Roster>),
    /// It was read to its end; the shards of the stream, those that follow among them.
    Ended(ShardId, Arc<Roster>),
    Failed(anyhow::Error),
}

/// The leave to hold one page in memory; the next one is asked for when it is given back.
pub(crate) type Leave = OwnedSemaphorePermit;

/// Shared by all readers of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) client: aws_sdk_kinesis::Client,
    pub(crate) name: String,
    pub(crate) reading: Reading,
    pub(crate) retry: Retry,
    pub(crate) status: Arc<Status>,
    pub(crate) rosters: Latest,
}

impl Stream {
    /// The shards, asked for at that time or later.
    pub(crate) async fn roster(&self, since: Instant) -> Result<Arc<Roster>> {
        let Self { client, name, retry, status, .. } = self;
        self.rosters.since(since, about::Stream { client, name, retry: *retry, status }).await
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
    let (shard, reports) = (ShardId::clone(&reader.shard), reader.reports.clone());
    tokio::spawn(watch(reader.work(), shard, reports));
}

/// A reader that panics reports nothing any more: without this the others would wait for its shard without end.
async fn watch(work: impl Future<Output = ()> + Send + 'static, shard: ShardId, reports: mpsc::Sender<Report>) {
    if tokio::spawn(work).await.is_err_and(|ended| ended.is_panic()) {
        let _ = reports.send(Report::Failed(anyhow!("shard {shard}: its reader has panicked"))).await;
    }
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
            Ok(Some(roster)) => Report::Ended(ShardId::clone(&self.shard), roster),
            Ok(None) => return,
            Err(error) => Report::Failed(error.context(format!("shard {}", self.shard))),
        };
        let _ = self.report(last_word).await;
    }

    /// Returns the shards of the stream when this one has ended; `None` if nobody listens.
    async fn read_to_end(&mut self) -> Result<Option<Arc<Roster>>> {
        let mut iterator = self.iterator().await?;
        loop {
            let Ok(leave) = Arc::clone(&self.room).acquire_owned().await else { return Ok(None) };
            self.pace.wait().await;
            let asked = Asked::now();
            let Some(mut page) = self.page(&iterator, &asked).await? else {
                iterator = self.iterator().await?; // the old one has expired
                continue;
            };
            self.stream.status.clock_ahead(asked.clock_ahead(), self.stream.reading.arrival_slack);
            let next = page.next_shard_iterator.take();
            let behind = page.millis_behind_latest.unwrap_or(0);
            let mut records = self.records(page)?;
            let bytes = records.iter().map(|record| record.data.len()).sum();
            self.pace.called(asked.sent(), bytes);
            if let Some(last) = records.last() {
                self.last = Some(last.sequence.clone());
            }
            let is_at_tip = records.is_empty() && behind == 0;
            self.skip_earlier(&mut records);
            self.count(records.len(), bytes, behind);
            if !records.is_empty()
                && self.report(Report::Page(ShardId::clone(&self.shard), records, leave)).await.is_err()
            {
                return Ok(None);
            }
            let Some(next) = next else { return self.successors().await };
            iterator = next;
            if is_at_tip && self.at_tip(&asked).await?.is_err() {
                return Ok(None);
            }
        }
    }

    /// There is nothing more for now. That says something about the time only while the shard is open: a
    /// server may answer so at the end of a closed one too, and what followed is in its children.
    async fn at_tip(&mut self, asked: &Asked) -> Result<Result<(), Unheard>> {
        let Reading { poll_every, arrival_slack, .. } = self.stream.reading;
        let lately = asked.sent().checked_sub(poll_every / 2).unwrap_or_else(|| asked.sent());
        let roster = self.stream.roster(lately).await?;
        if !roster.is_open(&self.shard) {
            self.pace.at_tip(asked.sent(), poll_every.min(BEFORE_THE_END));
            return Ok(Ok(()));
        }
        self.pace.at_tip(asked.sent(), poll_every);
        let frontier = asked.as_of().min(roster.as_of()) - arrival_slack;
        Ok(self.report(Report::Tip(ShardId::clone(&self.shard), frontier, roster)).await)
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
    async fn page(&self, iterator: &str, asked: &Asked) -> Result<Option<GetRecordsOutput>> {
        let request = || {
            let request = self.stream.client.get_records().shard_iterator(iterator).limit(self.stream.reading.page);
            request.customize().interceptor(asked.clone()).send()
        };
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
                bail!("record {} came without its arrival time", record.sequence_number);
            };
            let arrival = timestamp(&arrival);
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

    /// The shards of the stream, once they take all that this one would have taken. They may be listed
    /// later than it ends; without them nothing is known about the records after it, so there is no
    /// going on. `None` if nobody listens.
    async fn successors(&self) -> Result<Option<Arc<Roster>>> {
        let mut looks = 0_u32;
        while !self.reports.is_closed() {
            let roster = self.stream.roster(Instant::now()).await?;
            if roster.has_successors_of(&self.shard) {
                return Ok(Some(roster));
            }
            looks += 1;
            if looks == LOOKS_BEFORE_TELLING {
                let text = format!(
                    "shard {} has ended, and ListShards has no open shards for all of its keys: waiting for them",
                    self.shard
                );
                self.stream.status.trouble(text);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_panics_is_told() {
        let (reports, mut told) = mpsc::channel(1);
        watch(async { panic!("asked for") }, "shard-7".into(), reports.clone()).await;
        let Some(Report::Failed(error)) = told.recv().await else { panic!("it is told") };
        assert_eq!(error.to_string(), "shard shard-7: its reader has panicked");
        watch(async {}, "shard-7".into(), reports).await;
        assert!(told.recv().await.is_none(), "one that ends says so itself");
    }
}
