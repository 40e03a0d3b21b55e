//! How often a session has begun in one place, by a hash of it: an instant behind the watermark, or a partition on the
//! arrival clock that a snapshot has brought.

use alloc::collections::{BinaryHeap, VecDeque};
use core::cmp::Reverse;

use hashbrown::HashMap;

use crate::id::SessionId;
use crate::time::Timestamp;

/// The parts of windows closed lately, by a hash of (key, bucket) that is the same in every run.
#[derive(Debug)]
pub(crate) struct ReopenCounter {
    range: i64,
    remember: i64,
    closed: HashMap<SessionId, Closed>,
    /// Closings in order; the one of a partition that has been closed again since is obsolete.
    order: VecDeque<(u64, SessionId)>,
    /// The same behind the watermark, where sessions end in any order: by the time at which they are forgotten.
    by_time: BinaryHeap<Reverse<(Timestamp, u64, SessionId)>>,
    closings: u64,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    part: u32,
    opened: Timestamp,
    closing: u64,
}

impl ReopenCounter {
    /// Remembers windows of `range` for `remember` after their deadline.
    pub(crate) fn new(range: i64, remember: i64) -> Self {
        let (closed, order, by_time) = (HashMap::new(), VecDeque::new(), BinaryHeap::new());
        Self { range, remember, closed, order, by_time, closings: 0 }
    }

    /// Whether anything is ever remembered.
    pub(crate) const fn is_on(&self) -> bool {
        self.remember > 0
    }

    /// Whether a window opened at that arrival is remembered, or will be when it closes.
    #[inline]
    pub(crate) fn remembers(&self, opened: Timestamp, now: Timestamp) -> bool {
        let until = opened.shift(self.range).as_micros().checked_add(self.remember);
        until.is_none_or(|until| now.as_micros() < until)
    }

    /// Remembers a window that closes; of more than `max` partitions the one closed first is forgotten.
    pub(crate) fn remember(&mut self, partition: SessionId, part: u32, opened: Timestamp, max: usize) {
        self.closings += 1;
        self.closed.insert(partition, Closed { part, opened, closing: self.closings });
        self.order.push_back((self.closings, partition));
        if !self.is_on() {
            self.by_time.push(Reverse((opened, self.closings, partition)));
        }
        while self.closed.len() > max {
            self.forget_first();
        }
        if self.order.len() > 2 * self.closed.len() + FEW {
            let closed = &self.closed;
            self.order.retain(|entry| current(closed, entry).is_some());
            self.by_time.retain(|Reverse((_, closing, partition))| current(closed, &(*closing, *partition)).is_some());
        }
    }

    /// Forgets the one closed first.
    pub(crate) fn forget_first(&mut self) {
        let Some(first) = self.order.pop_front() else { return };
        self.forget_closing(first);
    }

    /// Forgets one partition, if any is remembered.
    pub(crate) fn forget_one(&mut self, partition: impl FnOnce() -> SessionId) {
        if !self.closed.is_empty() {
            self.closed.remove(&partition());
        }
    }

    fn forget_closing(&mut self, closing: (u64, SessionId)) {
        if current(&self.closed, &closing).is_some() {
            self.closed.remove(&closing.1);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { closings: self.closings, ..Self::new(self.range, self.remember) };
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.closed.len()
    }

    /// Forgets the windows whose time is over, and gives memory back when none is left.
    #[inline]
    pub(crate) fn forget(&mut self, now: Timestamp) {
        if !self.order.is_empty() {
            self.forget_some(now);
        }
    }

    fn forget_some(&mut self, now: Timestamp) {
        while let Some(Reverse((opened, closing, partition))) = self.by_time.peek().copied() {
            if self.remembers(opened, now) {
                break;
            }
            self.by_time.pop();
            self.forget_closing((closing, partition));
        }
        while let Some(first) = self.order.front() {
            if current(&self.closed, first).is_some_and(|closed| self.remembers(closed.opened, now)) {
                break;
            }
            self.forget_first();
        }
        if self.order.is_empty() && self.order.capacity() > FEW {
            self.clear();
        }
    }

    /// The part that opens now.
    pub(crate) fn next(&self, partition: impl FnOnce() -> SessionId) -> u32 {
        if self.closed.is_empty() {
            return 1;
        }
        self.closed.get(&partition()).map_or(1, |closed| closed.part.saturating_add(1))
    }

    /// The parts remembered after a closing, in the order of their closings, with the number of each.
    pub(crate) fn after(&self, closing: u64) -> impl Iterator<Item = (u64, (SessionId, u32, Timestamp))> {
        let from = self.order.len() - self.count_after(closing);
        let closed = |entry: &(u64, SessionId)| Some((*entry, current(&self.closed, entry)?));
        let all = self.order.range(from..).filter_map(closed);
        all.map(|((closing, partition), closed)| (closing, (partition, closed.part, closed.opened)))
    }

    /// How many entries [`after`](Self::after) looks at. O(log n).
    pub(crate) fn count_after(&self, closing: u64) -> usize {
        self.order.len() - self.order.partition_point(|(number, _)| *number <= closing)
    }
}

/// A closed partition, unless it has been closed again since.
fn current(closed: &HashMap<SessionId, Closed>, (closing, partition): &(u64, SessionId)) -> Option<Closed> {
    closed.get(partition).copied().filter(|closed| closed.closing == *closing)
}

/// The number of parts that memory may stay for when none is remembered.
const FEW: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Distinction, Identity};

    const fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn partition(key: u8) -> SessionId {
        SessionId::of(&key, None, Identity::of(at(0)), Distinction::default())
    }

    #[test]
    fn a_window_is_remembered_until_its_time_is_over() {
        let mut counter = ReopenCounter::new(10, 5);
        counter.remember(partition(1), 3, at(100), usize::MAX);
        counter.forget(at(114));
        assert_eq!(counter.next(|| partition(1)), 4);
        counter.forget(at(115));
        assert_eq!((counter.next(|| partition(1)), counter.order.is_empty()), (1, true));
    }

    #[test]
    fn behind_the_watermark_one_that_is_remembered_for_long_holds_back_no_other() {
        let mut counter = ReopenCounter::new(0, 0);
        for (key, reach) in [(1, 200), (2, 100), (3, 150)] {
            counter.remember(partition(key), 1, at(reach), usize::MAX);
        }
        counter.forget(at(99));
        assert_eq!(counter.len(), 3);
        counter.forget(at(100));
        assert_eq!(counter.len(), 2);
        assert!(counter.after(0).map(|(_, (.., reach))| reach).eq([at(200), at(150)]));
    }

    #[test]
    fn of_more_than_the_bound_the_first_is_forgotten() {
        let mut counter = ReopenCounter::new(10, 5);
        for key in 0..4 {
            counter.remember(partition(key), 1, at(100), 3);
        }
        assert_eq!((counter.next(|| partition(0)), counter.next(|| partition(1))), (1, 2));
        assert_eq!(counter.after(0).count(), 3);
    }
}
