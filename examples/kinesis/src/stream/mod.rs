//! Reading a stream: which shards there are, their records, and the one order they are taken in.

pub(crate) mod about;
pub(crate) mod asked;
pub(crate) mod feed;
mod lineage;
mod merge;
mod pace;
mod reader;
mod roster;
#[cfg(test)]
mod simulated;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::primitives::DateTime;
use serde::{Deserialize, Serialize};
use stagger::Timestamp;

/// A shard's id, shared by all that comes from it.
pub(crate) type ShardId = Arc<str>;

/// A record as Kinesis gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) sequence: String,
    /// ApproximateArrivalTimestamp. Real ones have milliseconds, `ferrokinesis` has whole seconds.
    pub(crate) arrival: Timestamp,
    pub(crate) partition_key: String,
    pub(crate) data: Vec<u8>,
}

/// Where to begin in shards of which nothing has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Start {
    /// With the oldest record that is kept.
    TrimHorizon,
    /// With the first record that arrived at this time or later. LATEST becomes this too: a shard of
    /// which nothing was read before a restart must begin where it would have begun then.
    At(Timestamp),
}

/// How far a shard has been taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The last record taken.
    pub(crate) sequence: Option<String>,
    /// Its arrival, never before that of an earlier one.
    pub(crate) arrival: Timestamp,
}

/// A time of the service; the epoch where it is none of ours.
fn timestamp(time: &DateTime) -> Timestamp {
    i64::try_from(time.as_nanos().div_euclid(1_000)).map_or(Timestamp::EPOCH, Timestamp::from_micros)
}

/// How a stream is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) start: Start,
    /// How long to wait at the tip of a shard before asking again.
    pub(crate) poll_every: Duration,
    /// Whether the limits on reading a shard are kept; a local server has none.
    pub(crate) is_paced: bool,
    /// How far an arrival may lie behind the server's clock when the record becomes visible: the resolution
    /// of ApproximateArrivalTimestamp, the error of the clocks of all shards, the time to store it, and
    /// how late ListShards may be to say that a shard is closed.
    pub(crate) arrival_slack: Duration,
    /// The most records to ask for at once, at most 10,000.
    pub(crate) page: i32,
}
