//! Checkpoints: how far every shard was taken, the state of the pipeline, and the rows that wait for
//! their file, as one object that is written whole or not at all.
//!
//! The object is a line with its kind and version, a line of JSON that a person can read, the state of the
//! engines (postcard), and a CRC-32 of all that in four bytes, lowest first.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use stagger::Timestamp;

use crate::output::Pending;
use crate::pipeline;
use crate::sink::Undelivered;
use crate::store::{CHECKPOINT, Store};
use crate::stream::{Position, ShardId, Start};

const FIRST_LINE: &[u8] = b"stagger kinesis checkpoint, version 2\n";

/// The part that `head -2` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Counts the checkpoints from the first run on.
    pub(crate) number: u64,
    pub(crate) stream: String,
    /// When that stream was created.
    pub(crate) created: Timestamp,
    /// The fields that sessions are made by, as options.
    pub(crate) fields: String,
    pub(crate) start: Start,
    /// The shards that are being read.
    pub(crate) shards: BTreeMap<ShardId, Position>,
    /// Those that were taken to their end, with the arrival of their last record.
    pub(crate) finished: BTreeMap<ShardId, Timestamp>,
    pub(crate) totals: Totals,
    pub(crate) pending: Pending,
    #[serde(default)]
    pub(crate) undelivered: Undelivered,
    /// The state of an application in SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<String>,
}

/// Counts from the first run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    pub(crate) rejected: u64,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) header: Header,
    pub(crate) state: pipeline::State,
}

impl Checkpoint {
    pub(crate) async fn load(store: &Store) -> Result<Option<Self>> {
        let Some(bytes) = store.get(CHECKPOINT).await? else { return Ok(None) };
        let read = decode(&bytes).with_context(|| format!("the checkpoint in {} cannot be used", store.place()))?;
        Ok(Some(read))
    }

    pub(crate) async fn save(&self, store: &Store) -> Result<()> {
        store.put(CHECKPOINT, self.encode()?).await.context("the checkpoint was not saved")
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = FIRST_LINE.to_vec();
        serde_json::to_writer(&mut bytes, &self.header)?;
        bytes.push(b'\n');
        let mut bytes = postcard::to_extend(&self.state, bytes)?;
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        Ok(bytes)
    }
}

fn decode(bytes: &[u8]) -> Result<Checkpoint> {
    let Some(rest) = bytes.strip_prefix(FIRST_LINE) else {
        bail!("it was written by another version, or is no checkpoint");
    };
    let Some((_, crc)) = bytes.split_last_chunk::<4>() else { bail!("it is cut off") };
    ensure!(
        crc32fast::hash(&bytes[..bytes.len() - 4]) == u32::from_le_bytes(*crc),
        "it is damaged: its checksum differs"
    );
    let end = rest.iter().position(|byte| *byte == b'\n').context("it has no header")?;
    let header = serde_json::from_slice(&rest[..end]).context("its header is not understood")?;
    let state = postcard::from_bytes(&rest[end + 1..rest.len() - 4]).context("its state is not understood")?;
    Ok(Checkpoint { header, state })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::{Pipeline, Timing};
    use events::columns::Columns;
    use events::parse::Record;
    use events::rules::Strategies;
    use events::stream::MaxDelay;

    fn checkpoint() -> Checkpoint {
        let timing = Timing {
            of_events: events::stream::EventTiming {
                out_of_order: Duration::from_secs(5),
                allowed_lateness: None,
                earliest: Timestamp::MIN,
                max_future: Duration::from_secs(3_600),
                max_delay: MaxDelay(None),
            },
            idle_after: Duration::from_secs(10),
        };
        let strategies = Strategies { gap: vec![Duration::from_secs(60)], ..Strategies::default() };
        let columns = Columns::declared(&["user_id"]).unwrap();
        let mut pipeline = Pipeline::new(&strategies.named().unwrap(), &columns, timing).unwrap();
        let shard = ShardId::from("shardId-000000000000");
        let event = Record { key: "1", time: Timestamp::from_secs(7), arrival: None, value: "a", marks: 0, more: "" };
        pipeline.take(&shard, Timestamp::from_secs(8), &event, &mut |_| panic!("nothing is over yet"));
        let position = Position { sequence: Some("49".to_owned()), arrival: Timestamp::from_secs(8) };
        let header = Header {
            number: 3,
            stream: "clicks".to_owned(),
            created: Timestamp::from_secs(2),
            fields: "--key user_id".to_owned(),
            start: Start::TrimHorizon,
            shards: [(shard, position)].into(),
            finished: [("shardId-000000000007".into(), Timestamp::from_secs(6))].into(),
            totals: Totals { records: 1, bytes: 20, events: 1, rejected: 0 },
            pending: Pending::default(),
            undelivered: Undelivered { firehose: vec!["{}\n".to_owned()], ..Undelivered::default() },
            sql: Some("AA==".to_owned()),
        };
        Checkpoint { header, state: pipeline.state() }
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let written = checkpoint();
        let read = decode(&written.encode().unwrap()).unwrap();
        assert_eq!(read.header, written.header);
        assert_eq!(format!("{:?}", read.state), format!("{:?}", written.state));
    }

    /// Cut off anywhere, or with any byte changed, it is refused with a sentence.
    #[test]
    fn damage_is_noticed() {
        let bytes = checkpoint().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
        }
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x20;
            assert!(decode(&damaged).is_err(), "byte {place}");
        }
        let other = decode(b"stagger kinesis checkpoint, version 1\n{}\n").unwrap_err();
        assert!(other.to_string().contains("another version"), "{other}");
    }
}
