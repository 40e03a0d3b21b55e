//! All shards of a stream, as one answer of the server has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use aws_sdk_kinesis::types::{HashKeyRange, Shard};
use stagger::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ShardId;
use super::about;
use super::asked::Asked;
use super::lineage::Listed;

/// A list of shards and when it was asked for.
#[derive(Debug)]
pub(crate) struct Roster {
    asked: Instant,
    as_of: Timestamp,
    shards: BTreeMap<ShardId, Listed>,
}

impl Roster {
    async fn ask(stream: about::Stream<'_>) -> Result<Self> {
        let asked = Asked::now();
        let shards = stream.shards(asked.clone()).await?;
        let shards = shards.iter().map(|shard| (shard.shard_id().into(), listed(shard))).collect();
        Ok(Self { asked: asked.sent(), as_of: asked.as_of(), shards })
    }

    /// The server's time before which this list was not made.
    pub(crate) fn as_of(&self) -> Timestamp {
        self.as_of
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = &Listed> {
        self.shards.values()
    }

    pub(crate) fn has(&self, shard: &str) -> bool {
        self.shards.contains_key(shard)
    }

    /// Whether a shard is listed and takes records.
    pub(crate) fn is_open(&self, shard: &str) -> bool {
        self.shards.get(shard).is_some_and(|shard| shard.is_open)
    }

    /// Whether every record that a closed shard would have taken now goes to a shard of this list. Not
    /// asked by parents: `ferrokinesis` names none after UpdateShardCount. A shard that is not listed
    /// has been forgotten together with its records, long after its children appeared.
    pub(crate) fn has_successors_of(&self, shard: &str) -> bool {
        let Some(this) = self.shards.get(shard) else { return true };
        self.covers(*this.hashes.start(), *this.hashes.end(), Some(shard))
    }

    /// Whether each record that may come goes to a shard of this list.
    pub(crate) fn is_complete(&self) -> bool {
        self.covers(0, u128::MAX, None)
    }

    /// Whether open shards other than `except` take all these hashes.
    fn covers(&self, first: u128, last: u128, except: Option<&str>) -> bool {
        let open = self.shards().filter(|shard| shard.is_open && Some(&*shard.id) != except);
        let mut ranges: Vec<_> = open.map(|shard| (*shard.hashes.start(), *shard.hashes.end())).collect();
        ranges.sort_unstable();
        let mut missing = first;
        for (start, end) in ranges {
            if start > missing {
                return false;
            }
            if end >= last {
                return true;
            }
            missing = missing.max(end + 1);
        }
        false
    }
}

/// The latest list, shared by all that ask for one: a stream of many shards is not listed for each.
#[derive(Debug, Default)]
pub(crate) struct Latest(Mutex<Option<Arc<Roster>>>);

impl Latest {
    /// A list that was asked for at that time or later.
    pub(crate) async fn since(&self, time: Instant, stream: about::Stream<'_>) -> Result<Arc<Roster>> {
        let mut latest = self.0.lock().await;
        if let Some(roster) = latest.as_ref().filter(|roster| roster.asked >= time) {
            return Ok(Arc::clone(roster));
        }
        let roster = Arc::new(Roster::ask(stream).await?);
        *latest = Some(Arc::clone(&roster));
        Ok(roster)
    }
}

fn listed(shard: &Shard) -> Listed {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let hash = |text: Option<&str>, otherwise| text.and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let range = shard.hash_key_range();
    let first = hash(range.map(HashKeyRange::starting_hash_key), 0);
    let last = hash(range.map(HashKeyRange::ending_hash_key), u128::MAX);
    Listed {
        id: shard.shard_id().into(),
        parents: parents.into_iter().flatten().map(ShardId::from).collect(),
        hashes: first..=last,
        is_open: shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(shards: &[(&str, u128, u128, bool)]) -> Roster {
        let listed = |&(id, first, last, is_open): &(&str, u128, u128, bool)| {
            let listed = Listed { id: id.into(), parents: Vec::new(), hashes: first..=last, is_open };
            (ShardId::from(id), listed)
        };
        Roster { asked: Instant::now(), as_of: Timestamp::EPOCH, shards: shards.iter().map(listed).collect() }
    }

    #[test]
    fn successors_are_there_once_open_shards_take_all_its_keys() {
        let has = |shards: &[_]| roster(shards).has_successors_of("old");
        assert!(!has(&[("old", 10, 20, true)]), "the list is from before its end");
        assert!(!has(&[("old", 10, 20, false)]));
        assert!(!has(&[("old", 10, 20, false), ("a", 10, 15, true)]), "one of two children");
        assert!(has(&[("old", 10, 20, false), ("a", 10, 15, true), ("b", 16, 20, true)]));
        assert!(has(&[("old", 10, 20, false), ("b", 16, 90, true), ("a", 0, 15, true)]), "shards counted anew");
        let nested = [("old", 10, 20, false), ("a", 10, 15, false), ("b", 16, 20, true), ("c", 10, 12, true)];
        assert!(!has(&nested), "a was split, and one of its children is missing");
        assert!(has(&[&nested[..], &[("d", 13, 15, true)]].concat()));
        assert!(!has(&[("old", 10, 20, false), ("a", 10, 15, true), ("b", 17, 20, true)]));
        assert!(has(&[("other", 0, 5, true)]), "forgotten");
    }

    #[test]
    fn a_complete_list_leaves_no_key_out() {
        assert!(!roster(&[]).is_complete());
        assert!(!roster(&[("a", 0, u128::MAX - 1, true)]).is_complete());
        assert!(roster(&[("a", 0, 7, true), ("b", 8, u128::MAX, true)]).is_complete());
        assert!(!roster(&[("a", 0, 7, true), ("b", 8, u128::MAX, false)]).is_complete());
    }
}
