//! A stream as one sequence of records, the same in every run: lineage, readers and merge together.
//!
//! # Order
//!
//! A record's *effective arrival* is the latest ApproximateArrivalTimestamp among the record itself, those
//! before it in its shard, and the last ones of the parents of its shard. Records are taken in the order
//! (effective arrival, shard, place in the shard). Nothing in it depends on when a shard was read.
//!
//! # Invariant
//!
//! *The frontier of a shard is never later than the effective arrival of a record that is still to come
//! from that shard or from any shard that takes over its keys.* A record is taken when no frontier and no
//! record at hand is before it, so by the invariant none that belongs before it can come. It holds because:
//!
//! 1. **A tip needs an open shard.** That a shard has no more records (an empty page, `MillisBehindLatest`
//!    0) says nothing about its children, and a server may answer so at the end of a closed shard. A tip is
//!    reported only if ListShards says that the shard is open, and for the earlier of the two times at which
//!    the page and the list were asked for, less `arrival_slack`. While a shard is open its children have no
//!    records, and records that they get later arrive after that time.
//! 2. **A closed shard keeps its frontier until its end.** No tips are reported for it. It is read on until
//!    there is no next iterator; whether that takes one more page or many makes no difference.
//! 3. **An ended shard is let go together with the start of its successors.** Its reader waits until
//!    the open shards of the list take all of its keys: then the list has its children, and theirs. The
//!    lane stays in the merge until all records are taken, and is removed in the same step in which its
//!    children are added, with the arrival of its last record as their first frontier. A child of two
//!    parents waits for both; the lane of the second one stands for it in between. So an empty child, or a
//!    chain of them, hands the frontier down as it is.
//! 4. **A checkpoint has the same.** Positions have the effective arrival of the last record, and ended
//!    shards are kept, with theirs, for as long as they are listed. A run that goes on waits for a list that
//!    is not older than its checkpoint: no ended shard is open in it, all shards of the checkpoint are
//!    there, and open shards take all keys.
//!
//! Times are those of the server, from the `Date` header of its answers: see [`super::asked`].
//!
//! # Assumptions
//!
//! - A record can be read at most `arrival_slack` after its arrival, by the clock of the server.
//! - ListShards says that a shard is closed at most `arrival_slack` after it was. When it has the children
//!   does not matter, but it has none without its parents, unless they have been forgotten.
//! - Shards that name no parents (those of UpdateShardCount in `ferrokinesis`; AWS names all) and those
//!   that come from them get no record that arrived before the last one of the shards whose keys they
//!   took over.
//!
//! Where that is not so, the records that come too late are counted: [`Feed::ruled_out`].

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use stagger::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lineage::Lineage;
use super::merge::Merge;
pub(crate) use super::merge::Next;
use super::reader::{self, Leave, Report, Stream};
use super::roster::{Latest, Roster};
use super::{Position, Reading, ShardId};
use crate::retry::Retry;
use crate::status::Status;

/// Reports under way from the readers; they are bounded by the pages that may be read ahead.
const REPORTS: usize = 64;
/// How often to look for a list that is not older than the checkpoint, and how long to wait in between.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How far a stream has been taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The shards that are being read.
    pub(crate) shards: BTreeMap<ShardId, Position>,
    /// Those that were taken to their end, with the arrival of their last record.
    pub(crate) finished: BTreeMap<ShardId, Timestamp>,
}

/// All shards of a stream, being read.
#[derive(Debug)]
pub(crate) struct Feed {
    stream: Arc<Stream>,
    lineage: Lineage,
    /// The list that was last taken note of.
    roster: Option<Arc<Roster>>,
    merge: Merge<Leave>,
    to_readers: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
}

impl Feed {
    pub(crate) fn new(
        client: aws_sdk_kinesis::Client,
        name: String,
        reading: Reading,
        retry: Retry,
        status: Arc<Status>,
    ) -> Self {
        let (lineage, merge) = (Lineage::default(), Merge::new(Timestamp::MIN));
        let (to_readers, reports) = mpsc::channel(REPORTS);
        let stream = Arc::new(Stream { client, name, reading, retry, status, rosters: Latest::default() });
        Self { stream, lineage, roster: None, merge, to_readers, reports }
    }

    /// Goes on where a run has stopped that had taken all that arrived before `passed`; begins those
    /// shards that may be begun.
    pub(crate) async fn begin(&mut self, progress: Progress, passed: Timestamp) -> Result<()> {
        let roster = self.roster_for(&progress).await?;
        let Progress { mut shards, finished } = progress;
        self.lineage = Lineage::new(finished);
        self.merge = Merge::new(passed);
        self.learn(roster);
        for (shard, arrival) in self.lineage.begin() {
            let position = shards.remove(&shard).unwrap_or(Position { sequence: None, arrival });
            self.read(shard, position);
        }
        for gone in shards.into_keys() {
            let text =
                format!("shard {gone} is no longer kept by Kinesis: its records that were not read by now are lost");
            self.stream.status.trouble(text);
        }
        Ok(())
    }

    /// A list that is not older than the progress. After some seconds the last one has to do: shards of the
    /// checkpoint may be forgotten.
    async fn roster_for(&self, progress: &Progress) -> Result<Arc<Roster>> {
        let is_older = |roster: &Roster| {
            let comes_back = progress.finished.keys().any(|shard| roster.is_open(shard));
            comes_back || !progress.shards.keys().all(|shard| roster.has(shard)) || !roster.is_complete()
        };
        let mut roster = self.stream.roster(Instant::now()).await?;
        for _ in 0..LOOKS {
            if !is_older(&roster) {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            roster = self.stream.roster(Instant::now()).await?;
        }
        Ok(roster)
    }

    fn read(&mut self, shard: ShardId, position: Position) {
        self.stream.status.change(|now| _ = now.shards.entry(shard.to_string()).or_default());
        let after = position.sequence.clone();
        reader::read(Arc::clone(&self.stream), ShardId::clone(&shard), after, self.to_readers.clone());
        self.merge.add(shard, position);
    }

    /// The next record, if it is certain which one that is.
    pub(crate) fn next(&mut self) -> Result<Option<Next>> {
        loop {
            if let Some(next) = self.merge.next() {
                return Ok(Some(next));
            }
            let mut has_news = false;
            while let Ok(report) = self.reports.try_recv() {
                self.hear(report)?;
                has_news = true;
            }
            if !self.close_shards() && !has_news {
                return Ok(None);
            }
        }
    }

    /// Waits until there is news from a shard. Nothing is lost if the caller stops waiting.
    pub(crate) async fn news(&mut self) -> Result<()> {
        match self.reports.recv().await {
            Some(report) => self.hear(report),
            None => Ok(()), // never: there is a sender here
        }
    }

    fn hear(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Page(shard, records, leave) => self.merge.page(&shard, records, leave),
            Report::Tip(shard, frontier, roster) => {
                self.learn(roster);
                self.merge.at_tip(&shard, frontier);
            }
            Report::Ended(shard, roster) => {
                self.learn(roster);
                self.merge.end(&shard);
            }
            Report::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes note of every list: a shard that should have been in an earlier one is read late, not never.
    fn learn(&mut self, roster: Arc<Roster>) {
        if self.roster.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &roster)) {
            self.lineage.learn(roster.shards());
            self.roster = Some(roster);
        }
    }

    /// Lets go of shards that were taken to their end, and begins their children where they ended.
    fn close_shards(&mut self) -> bool {
        let ended = self.merge.take_ended();
        for (shard, position) in &ended {
            self.lineage.finish(shard, position.arrival);
            self.stream.status.change(|now| now.shards.entry(shard.to_string()).or_default().is_closed = true);
        }
        for (child, arrival) in self.lineage.begin() {
            self.read(child, Position { sequence: None, arrival });
        }
        !ended.is_empty()
    }

    /// Nothing that arrived before this will come any more; `None` without shards.
    pub(crate) fn frontier(&mut self) -> Option<Timestamp> {
        self.merge.frontier()
    }

    pub(crate) fn progress(&self) -> Progress {
        let shards = self.merge.positions().map(|(id, position)| (ShardId::clone(id), position.clone())).collect();
        Progress { shards, finished: self.lineage.finished() }
    }

    /// The hashes of partition keys whose records a shard takes.
    pub(crate) fn hashes(&self, shard: &str) -> Option<&RangeInclusive<u128>> {
        self.lineage.hashes(shard)
    }

    /// Records that came out of order, so that rows may differ from those of another run.
    pub(crate) fn ruled_out(&self) -> u64 {
        self.merge.ruled_out()
    }

    pub(crate) fn reading(&self) -> &Reading {
        &self.stream.reading
    }

    pub(crate) fn name(&self) -> &str {
        &self.stream.name
    }
}
