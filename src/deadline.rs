//! The queue of deadlines: which session may be over next.
//!
//! A session has one entry, made when it opens. The entry does not move when the session grows: it
//! is looked at again when it surfaces, and put back if the session is not over yet. So an event
//! that extends a session costs nothing here, and a session that lives for many gaps comes up about
//! once per gap. The queue never sees a key.
//!
//! Entries wait unsorted in ticks of a fixed width, and are sorted by (deadline, opening) tick by
//! tick as the clock reaches them: an insertion is an append, and only a small part of the queue is
//! ever in order. This is a ladder queue with one rung (Tang, Goh and Thng, 2005).

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::time::Timestamp;

/// When to look at a session again. Ordered by deadline, then by opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) deadline: Timestamp,
    pub(crate) opened: u64,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

#[derive(Debug)]
pub(crate) struct DeadlineQueue {
    width: i64,
    /// Entries of the ticks reached, latest first.
    run: Vec<Entry>,
    /// Entries that came later for a tick reached already.
    inserted: BinaryHeap<Reverse<Entry>>,
    /// Ticks not reached, unsorted within.
    ahead: BTreeMap<i64, Vec<Entry>>,
    /// The first tick not reached.
    frontier: i64,
    /// No entry is due before this.
    bound: Timestamp,
}

impl DeadlineQueue {
    /// `width`: the length of a tick in microseconds, best a small fraction of a session's life.
    pub(crate) fn new(width: i64) -> Self {
        Self {
            width: width.max(1),
            run: Vec::new(),
            inserted: BinaryHeap::new(),
            ahead: BTreeMap::new(),
            frontier: i64::MIN,
            bound: Timestamp::MAX,
        }
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.bound = self.bound.min(entry.deadline);
        let tick = entry.deadline.as_micros().div_euclid(self.width);
        if tick < self.frontier {
            self.inserted.push(Reverse(entry));
        } else {
            self.ahead.entry(tick).or_default().push(entry);
        }
    }

    /// No entry is due before this; it may be a little early. O(1).
    #[inline]
    pub(crate) fn bound(&self) -> Timestamp {
        self.bound
    }

    /// Takes the first entry, if its deadline is at or before `now`.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Entry> {
        if now < self.bound { None } else { self.pop_reached(now) }
    }

    fn pop_reached(&mut self, now: Timestamp) -> Option<Entry> {
        loop {
            if let Some(first) = self.first_reached() {
                self.bound = first.deadline;
                if first.deadline > now {
                    return None;
                }
                return if self.run.last() == Some(&first) {
                    self.run.pop()
                } else {
                    self.inserted.pop().map(|Reverse(entry)| entry)
                };
            }
            let Some(ahead) = self.ahead.first_entry() else {
                self.bound = Timestamp::MAX;
                return None;
            };
            let tick = *ahead.key();
            self.bound = Timestamp::from_micros(tick.saturating_mul(self.width));
            if self.bound > now {
                return None;
            }
            self.run = ahead.remove();
            self.run.sort_unstable_by(|a, b| b.cmp(a));
            self.frontier = tick.saturating_add(1);
        }
    }

    fn first_reached(&self) -> Option<Entry> {
        let inserted = self.inserted.peek().map(|Reverse(entry)| *entry);
        match (self.run.last().copied(), inserted) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Forgets all entries and gives back their memory.
    pub(crate) fn clear(&mut self) {
        *self = Self { frontier: self.frontier, ..Self::new(self.width) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(deadline: i64, opened: u64) -> Entry {
        Entry { deadline: Timestamp::from_micros(deadline), opened, slot: 0, generation: 0 }
    }

    fn drain(queue: &mut DeadlineQueue, now: i64) -> Vec<(i64, u64)> {
        let due = core::iter::from_fn(|| queue.pop_due(Timestamp::from_micros(now)));
        due.map(|e| (e.deadline.as_micros(), e.opened)).collect()
    }

    #[test]
    fn comes_out_by_deadline_then_opening_whatever_the_width() {
        for width in [1, 7, 1_000, i64::MAX] {
            let mut queue = DeadlineQueue::new(width);
            for (deadline, opened) in [(30, 2), (-5, 9), (30, 1), (8, 4), (i64::MAX, 0), (i64::MIN, 7)] {
                queue.push(entry(deadline, opened));
            }
            assert_eq!(drain(&mut queue, 8), [(i64::MIN, 7), (-5, 9), (8, 4)], "{width}");
            queue.push(entry(9, 5));
            queue.push(entry(3, 6));
            assert_eq!(drain(&mut queue, 30), [(3, 6), (9, 5), (30, 1), (30, 2)], "{width}");
            assert_eq!(drain(&mut queue, i64::MAX), [(i64::MAX, 0)], "{width}");
            assert_eq!(queue.pop_due(Timestamp::MAX), None);
        }
    }

    #[test]
    fn the_bound_is_never_late() {
        let mut queue = DeadlineQueue::new(10);
        queue.push(entry(25, 0));
        assert_eq!(queue.bound(), Timestamp::from_micros(25));
        assert_eq!(queue.pop_due(Timestamp::from_micros(24)), None);
        queue.push(entry(45, 1));
        queue.push(entry(44, 2));
        assert_eq!(drain(&mut queue, 30), [(25, 0)]);
        assert!(queue.bound() <= Timestamp::from_micros(44));
        assert_eq!(queue.pop_due(Timestamp::from_micros(43)), None);
        assert_eq!(queue.bound(), Timestamp::from_micros(44));
    }
}
