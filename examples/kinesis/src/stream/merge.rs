//! All shards as one sequence of records, in order of arrival.
//!
//! The network, restarts and the load of each shard decide when a record is read. If records were
//! taken as they come, these would also decide which events are late, and which window on the arrival clock an
//! event falls into. So they are taken in the order (arrival, shard, place in the shard), which is the
//! same in every run. A record may be taken when no shard can bring one that belongs before it:
//!
//! - a shard with records at hand shows its next one;
//! - one without has a *frontier*: nothing that arrived before it can still come, neither from the shard
//!   nor from the shards that follow it. It is the arrival of its last record, or, when it was asked, had
//!   no more and was known to be open, a moment before the question ([`super::feed`] has the rule);
//! - a shard that was read to its end brings nothing more, but its children begin where it ended: it is
//!   waited for until it has been let go, and they are there in its place.
//!
//! So an idle shard holds nothing up for longer than it takes to ask it, and makes nothing late when
//! it wakes: records of the others after its frontier have not been taken yet.
//!
//! Within a shard the order is that of its sequence numbers. Arrivals are only approximate and may go
//! back a little; such a record counts as having arrived with the one before it. A frontier never changes
//! the arrival of a record, so the order does not depend on the times of requests.

use std::collections::{BTreeMap, VecDeque};

use stagger::Timestamp;

use super::{Position, Record, ShardId};

/// A record that is next, and where it comes from.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) shard: ShardId,
    /// Never before that of a record taken earlier.
    pub(crate) arrival: Timestamp,
    pub(crate) record: Record,
}

/// Records read ahead, and which of them may be taken. `P` goes with each page and is dropped once the
/// page is used up: the leave to read another.
#[derive(Debug)]
pub(crate) struct Merge<P> {
    lanes: BTreeMap<ShardId, Lane<P>>,
    /// All that arrived before this has been taken, or so it was said.
    passed: Timestamp,
    ruled_out: u64,
}

#[derive(Debug)]
struct Lane<P> {
    /// Records read ahead, in order.
    ahead: VecDeque<Read<P>>,
    /// The next record with its arrival.
    head: Option<(Timestamp, Record)>,
    /// Nothing that arrived before this can still come from beyond the head.
    tip: Timestamp,
    /// The last record taken.
    position: Position,
    is_ended: bool,
}

/// The answer of a shard.
#[derive(Debug)]
enum Read<P> {
    Page(std::vec::IntoIter<Record>, P),
    /// There was no more, and nothing that arrived before this will come.
    Tip(Timestamp),
}

impl<P> Lane<P> {
    /// The earliest arrival that can still come: from the shard, or from its children once it is ended.
    fn earliest(&self) -> Timestamp {
        self.head.as_ref().map_or(self.tip.max(self.position.arrival), |(arrival, _)| *arrival)
    }

    /// Makes the next record known, if there is one and none is.
    fn fill(&mut self) {
        while self.head.is_none() {
            let Some(read) = self.ahead.front_mut() else { return };
            let next = match read {
                Read::Page(page, _) => page.next(),
                Read::Tip(tip) => {
                    self.tip = self.tip.max(*tip);
                    None
                }
            };
            match next {
                Some(record) => self.head = Some((record.arrival.max(self.position.arrival), record)),
                None => _ = self.ahead.pop_front(),
            }
        }
    }
}

impl<P> Merge<P> {
    /// All that arrived before `passed` was taken by an earlier run.
    pub(crate) fn new(passed: Timestamp) -> Self {
        Self { lanes: BTreeMap::new(), passed, ruled_out: 0 }
    }

    /// Waits for a shard from now on, which goes on at a position.
    pub(crate) fn add(&mut self, shard: ShardId, position: Position) {
        let tip = Timestamp::MIN;
        let lane = Lane { ahead: VecDeque::new(), head: None, tip, position, is_ended: false };
        self.lanes.insert(shard, lane);
    }

    /// Takes a page of a shard's records.
    pub(crate) fn page(&mut self, shard: &str, records: Vec<Record>, leave: P) {
        self.read(shard, Read::Page(records.into_iter(), leave));
    }

    /// A shard was asked and had no more; nothing that arrived before `frontier` will come.
    pub(crate) fn at_tip(&mut self, shard: &str, frontier: Timestamp) {
        self.read(shard, Read::Tip(frontier));
    }

    fn read(&mut self, shard: &str, read: Read<P>) {
        if let Some(lane) = self.lanes.get_mut(shard) {
            lane.ahead.push_back(read);
            lane.fill();
        }
    }

    /// A shard was read to its end.
    pub(crate) fn end(&mut self, shard: &str) {
        if let Some(lane) = self.lanes.get_mut(shard) {
            lane.is_ended = true;
        }
    }

    /// The next record, if it is certain which one that is.
    pub(crate) fn next(&mut self) -> Option<Next> {
        let (id, lane) = self.lanes.iter_mut().min_by_key(|(_, lane)| lane.earliest())?; // the first of equals
        let (arrival, record) = lane.head.take()?;
        lane.position = Position { sequence: Some(record.sequence.clone()), arrival };
        lane.fill();
        self.ruled_out += u64::from(arrival < self.passed);
        self.passed = self.passed.max(arrival);
        Some(Next { shard: ShardId::clone(id), arrival: self.passed, record })
    }

    /// Nothing that arrived before this will come from any shard; `None` without shards.
    pub(crate) fn frontier(&mut self) -> Option<Timestamp> {
        let frontier = self.lanes.values().map(Lane::earliest).min()?;
        self.passed = self.passed.max(frontier);
        Some(self.passed)
    }

    /// Lets go of the shards that are ended and used up, with where they ended. Until their children
    /// are added nothing must be taken.
    pub(crate) fn take_ended(&mut self) -> Vec<(ShardId, Position)> {
        let ended = self.lanes.extract_if(.., |_, lane| lane.is_ended && lane.head.is_none());
        ended.map(|(id, lane)| (id, lane.position)).collect()
    }

    /// How far each shard has been taken.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        self.lanes.iter().map(|(id, lane)| (id, &lane.position))
    }

    /// Records that came after later ones had been taken, or after it had been said that none would come:
    /// the order was not that of arrivals.
    pub(crate) fn ruled_out(&self) -> u64 {
        self.ruled_out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    fn start() -> Position {
        Position { sequence: None, arrival: Timestamp::MIN }
    }

    fn record(shard: usize, number: usize, arrival: i64) -> Record {
        let sequence = format!("{shard}/{number}");
        Record { sequence, arrival: at(arrival), partition_key: String::new(), data: Vec::new() }
    }

    fn page(shard: usize, arrivals: &[i64]) -> Vec<Record> {
        arrivals.iter().enumerate().map(|(number, &arrival)| record(shard, number, arrival)).collect()
    }

    fn merge_of(shards: usize) -> Merge<()> {
        let mut merge = Merge::new(Timestamp::MIN);
        (0..shards).for_each(|shard| merge.add(shard.to_string().into(), start()));
        merge
    }

    /// All that can be taken now, as `shard/number@arrival`.
    fn taken(merge: &mut Merge<()>) -> Vec<String> {
        let text = |next: Next| format!("{}@{}", next.record.sequence, next.arrival.as_micros() / 1_000_000);
        std::iter::from_fn(|| merge.next()).map(text).collect()
    }

    #[test]
    fn what_another_shard_may_still_bring_is_waited_for() {
        let mut merge = merge_of(2);
        merge.page("0", page(0, &[1, 5]), ());
        assert!(taken(&mut merge).is_empty(), "nothing is known of shard 1");
        merge.page("1", page(1, &[1, 3]), ());
        assert_eq!(taken(&mut merge), ["0/0@1", "1/0@1", "1/1@3"]);
        merge.at_tip("1", at(5));
        assert_eq!(taken(&mut merge), ["0/1@5"], "of equal arrivals the first shard's comes first");
        merge.page("1", page(1, &[9]), ());
        assert!(taken(&mut merge).is_empty(), "shard 0 may bring another of 5");
        merge.at_tip("0", at(9));
        assert!(taken(&mut merge).is_empty(), "and one of 9");
        merge.at_tip("0", at(10));
        assert_eq!(taken(&mut merge), ["1/0@9"]);
    }

    #[test]
    fn an_ended_shard_is_waited_for_until_its_children_are_there() {
        let mut merge = merge_of(2);
        merge.page("0", page(0, &[1]), ());
        merge.page("1", page(1, &[7]), ());
        merge.end("0");
        assert!(merge.take_ended().is_empty(), "its record has not been taken");
        assert_eq!(taken(&mut merge), ["0/0@1"], "a child of 0 may bring what arrived before 7");
        let ended = merge.take_ended();
        assert_eq!(ended, [("0".into(), Position { sequence: Some("0/0".to_owned()), arrival: at(1) })]);
        merge.add("2".into(), Position { sequence: None, arrival: at(1) });
        assert!(taken(&mut merge).is_empty());
        merge.page("2", page(2, &[5, 8]), ());
        assert_eq!(taken(&mut merge), ["2/0@5", "1/0@7"]);
    }

    #[test]
    fn arrivals_never_go_back_and_broken_promises_are_counted() {
        let mut merge = merge_of(1);
        merge.page("0", page(0, &[5, 3, 6]), ());
        assert_eq!((taken(&mut merge).join(" "), merge.ruled_out()), ("0/0@5 0/1@5 0/2@6".to_owned(), 0));
        merge.at_tip("0", at(10));
        assert_eq!(merge.frontier(), Some(at(10)));
        merge.page("0", page(0, &[9, 9, 12]), ());
        assert_eq!((taken(&mut merge).join(" "), merge.ruled_out()), ("0/0@10 0/1@10 0/2@12".to_owned(), 2));
    }

    /// The child of a shard whose end was taken for the tip, or a run that goes on behind where it stopped.
    #[test]
    fn records_of_a_new_shard_behind_those_taken_are_counted() {
        let mut merge = merge_of(1);
        merge.page("0", page(0, &[8]), ());
        assert_eq!(taken(&mut merge), ["0/0@8"]);
        merge.add("1".into(), Position { sequence: None, arrival: at(3) });
        merge.page("1", page(1, &[4, 7, 8, 9]), ());
        merge.at_tip("0", at(20));
        assert_eq!(taken(&mut merge), ["1/0@8", "1/1@8", "1/2@8", "1/3@9"]);
        assert_eq!(merge.ruled_out(), 2);

        let mut again = Merge::new(at(9));
        again.add("1".into(), Position { sequence: None, arrival: at(3) });
        again.page("1", page(1, &[8, 9]), ());
        assert_eq!((taken(&mut again).join(" "), again.ruled_out()), ("1/0@9 1/1@9".to_owned(), 1));
    }

    #[test]
    fn a_tip_that_nothing_has_passed_leaves_arrivals_as_they_are() {
        let mut merge = merge_of(2);
        merge.at_tip("0", at(10));
        merge.page("0", page(0, &[9]), ());
        merge.page("1", page(1, &[1]), ());
        assert_eq!(taken(&mut merge), ["1/0@1"]);
        merge.at_tip("1", at(20));
        assert_eq!((taken(&mut merge).join(" "), merge.ruled_out()), ("0/0@9".to_owned(), 0));
    }

    #[test]
    fn a_tip_counts_once_the_records_before_it_are_taken() {
        let mut merge = merge_of(2);
        merge.page("0", page(0, &[1]), ());
        merge.at_tip("0", at(20));
        assert_eq!(merge.frontier(), Some(Timestamp::MIN), "nothing is known of shard 1");
        merge.page("1", page(1, &[2]), ());
        assert_eq!(taken(&mut merge), ["0/0@1", "1/0@2"]);
        assert_eq!(merge.frontier(), Some(at(2)));
    }

    proptest! {
        /// However pages are cut and in whatever order shards are asked, the sequence is the same.
        #[test]
        fn the_order_does_not_depend_on_reading(
            shards in prop::collection::vec(prop::collection::vec(0i64..20, 0..30), 1..5),
            asked in prop::collection::vec((any::<prop::sample::Index>(), 1usize..7), 0..200),
        ) {
            let mut shards = shards;
            shards.iter_mut().for_each(|arrivals| arrivals.sort_unstable());
            let mut expected: Vec<(i64, usize, usize)> = Vec::new();
            for (shard, arrivals) in shards.iter().enumerate() {
                expected.extend(arrivals.iter().enumerate().map(|(number, &arrival)| (arrival, shard, number)));
            }
            expected.sort_unstable();
            let expected: Vec<String> = expected.iter().map(|(at, shard, number)| format!("{shard}/{number}@{at}")).collect();

            let mut merge = merge_of(shards.len());
            let mut read = vec![0_usize; shards.len()];
            let mut all = Vec::new();
            let every = (0..shards.len()).map(|shard| (shard, usize::MAX));
            let asked = asked.iter().map(|(index, most)| (index.index(shards.len()), *most)).chain(every);
            for (shard, most) in asked {
                let from = read[shard];
                let to = shards[shard].len().min(from.saturating_add(most));
                let records = (from..to).map(|number| record(shard, number, shards[shard][number])).collect();
                merge.page(&shard.to_string(), records, ());
                read[shard] = to;
                if to == shards[shard].len() {
                    merge.end(&shard.to_string());
                } else if let Some(&next) = shards[shard].get(to) {
                    merge.at_tip(&shard.to_string(), at(next));
                }
                all.extend(taken(&mut merge));
                while !merge.take_ended().is_empty() {
                    all.extend(taken(&mut merge));
                }
            }
            prop_assert_eq!(all, expected);
            prop_assert_eq!(merge.ruled_out(), 0);
        }
    }
}
