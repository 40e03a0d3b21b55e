//! Which shards come from which: parents before children.
//!
//! A shard is split into two, or merged with its neighbour into one, and then takes no more records;
//! those that follow, of the same keys, are in its children. So a child is begun only when all its
//! parents have been taken to their end. A parent that is no longer listed has been forgotten with
//! its records, and nothing waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use stagger::Timestamp;

use super::ShardId;

/// A shard in the list of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: ShardId,
    /// None, one, or two where shards were merged.
    pub(crate) parents: Vec<ShardId>,
    /// The hashes of partition keys whose records it takes.
    pub(crate) hashes: RangeInclusive<u128>,
    /// Whether it took records when the list was made.
    pub(crate) is_open: bool,
}

/// The known shards of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    /// Every shard that was ever listed.
    listed: BTreeMap<ShardId, Listed>,
    begun: BTreeSet<ShardId>,
    /// With the arrival of their last record.
    finished: BTreeMap<ShardId, Timestamp>,
}

impl Lineage {
    /// Goes on where the shards in `finished` had been taken to their end.
    pub(crate) fn new(finished: BTreeMap<ShardId, Timestamp>) -> Self {
        Self { finished, ..Self::default() }
    }

    /// Takes note of shards. Those known already stay as they are.
    pub(crate) fn learn<'l>(&mut self, listed: impl IntoIterator<Item = &'l Listed>) {
        for shard in listed {
            if !self.listed.contains_key(&shard.id) {
                self.listed.insert(ShardId::clone(&shard.id), shard.clone());
            }
        }
    }

    /// A shard was taken to its end, and its last record had arrived at this time.
    pub(crate) fn finish(&mut self, shard: &str, arrival: Timestamp) {
        if let Some(id) = self.begun.take(shard) {
            self.finished.insert(id, arrival);
        }
    }

    /// The shards to begin now, which are then taken to be begun, each with a time before which none of
    /// its records has arrived: that of the last record of its parents.
    pub(crate) fn begin(&mut self) -> Vec<(ShardId, Timestamp)> {
        let is_done = |id: &ShardId| self.finished.contains_key(id) || !self.listed.contains_key(id);
        let is_new = |id: &ShardId| !self.begun.contains(id) && !self.finished.contains_key(id);
        let ready = |(id, Listed { parents, .. }): (&ShardId, &Listed)| {
            let ended = parents.iter().filter_map(|parent| self.finished.get(parent)).max();
            let from = ended.copied().unwrap_or(Timestamp::MIN);
            (is_new(id) && parents.iter().all(is_done)).then(|| (ShardId::clone(id), from))
        };
        let ready: Vec<_> = self.listed.iter().filter_map(ready).collect();
        self.begun.extend(ready.iter().map(|(id, _)| ShardId::clone(id)));
        ready
    }

    /// The hashes of partition keys whose records a shard takes.
    pub(crate) fn hashes(&self, shard: &str) -> Option<&RangeInclusive<u128>> {
        self.listed.get(shard).map(|shard| &shard.hashes)
    }

    /// The shards taken to their end that are still listed: once they are forgotten, they are no
    /// parents of anything to come.
    pub(crate) fn finished(&self) -> BTreeMap<ShardId, Timestamp> {
        let listed = |(id, _): &(&ShardId, &Timestamp)| self.listed.contains_key(*id);
        self.finished.iter().filter(listed).map(|(id, arrival)| (ShardId::clone(id), *arrival)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, parents: &[&str]) -> Listed {
        let parents = parents.iter().map(|&parent| parent.into()).collect();
        Listed { id: id.into(), parents, hashes: 0..=u128::MAX, is_open: true }
    }

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    /// The shards that are begun next, with the second that they are begun at, if any.
    fn begin(lineage: &mut Lineage) -> String {
        let text = |(id, from): &(ShardId, Timestamp)| match *from {
            Timestamp::MIN => id.to_string(),
            from => format!("{id}@{}", from.as_micros() / 1_000_000),
        };
        lineage.begin().iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn children_wait_for_all_their_parents_and_begin_where_those_ended() {
        let mut lineage = Lineage::default();
        lineage.learn(&[listed("a", &[]), listed("b", &[]), listed("c", &["a"]), listed("d", &["a"])]);
        lineage.learn(&[listed("m", &["b", "c"])]);
        assert_eq!(begin(&mut lineage), "a b");
        assert_eq!(begin(&mut lineage), "", "each is begun once");
        lineage.finish("b", at(9));
        assert_eq!(begin(&mut lineage), "", "m waits for c, which waits for a");
        lineage.finish("a", at(3));
        assert_eq!(begin(&mut lineage), "c@3 d@3");
        lineage.finish("c", at(5));
        assert_eq!(begin(&mut lineage), "m@9");
    }

    #[test]
    fn a_parent_that_is_not_listed_has_been_forgotten() {
        let mut lineage = Lineage::default();
        lineage.learn(&[listed("c", &["a"])]);
        assert_eq!(begin(&mut lineage), "c");
    }

    #[test]
    fn after_a_restart_what_was_finished_is_not_begun_again() {
        let mut lineage = Lineage::new([("a".into(), at(4)), ("gone".into(), at(1))].into());
        lineage.learn(&[listed("a", &[]), listed("b", &["a"])]);
        assert_eq!(begin(&mut lineage), "b@4");
        assert_eq!(lineage.finished(), [("a".into(), at(4))].into(), "what is not listed is let go");
    }
}
