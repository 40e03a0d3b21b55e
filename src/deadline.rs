//! The queue of deadlines: which session may be over next.
//!
//! A session has one entry, made when it opens. The entry does not move when the session grows: it
//! is looked at again when it surfaces, and put back if the session is not over yet. So an event
//! that extends a session costs nothing here, and a session that lives for many gaps comes up about
//! once per gap. The queue never sees a key.
//!
//! Entries wait unsorted in ticks of a fixed width. When the clock reaches a tick, every entry of it
//! is looked at, and those that are due within it are sorted by (deadline, opening): an insertion is
//! an append, and only a small part of the queue is ever in order. This is a ladder queue with one
//! rung (Tang, Goh and Thng, 2005). Until then an entry is just the name of a session, in eight
//! bytes; and the looks, which do not depend on each other, need not wait for each other's memory.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::slab::SlotId;
use crate::time::Timestamp;

/// When to look at a session again. Ordered by deadline, then by opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) deadline: Timestamp,
    pub(crate) opened: u64,
    pub(crate) slot: SlotId,
    /// Of its partition; it comes along for use when the session closes.
    pub(crate) hash: u32,
}

/// Which session to look at: the one in a slot, if the lower half of its opening agrees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) slot: SlotId,
    pub(crate) opened: u32,
}

#[derive(Debug)]
pub(crate) struct DeadlineQueue {
    /// A tick is so many doublings of a microsecond.
    doublings: u32,
    /// What is due in the ticks reached, in order; all before `next` has been taken.
    run: Vec<Due>,
    next: usize,
    /// What came later for a tick reached already.
    inserted: BinaryHeap<Reverse<Due>>,
    /// Ticks not reached, and where their entries are.
    ahead: BTreeMap<i64, usize>,
    entries: Vec<Vec<Entry>>,
    /// How many entries that is in all.
    waiting: usize,
    free: Vec<usize>,
    /// Ticks used lately: most entries go to one of a few.
    recent: [(i64, usize); RECENT],
    /// The first tick not reached.
    frontier: i64,
    /// Nothing is due before this.
    bound: Timestamp,
}

const RECENT: usize = 64;
/// So many entries may a tick that is over keep memory for.
const SMALL: usize = 64;
const NOWHERE: (i64, usize) = (i64::MIN, usize::MAX);

impl DeadlineQueue {
    /// `width`: the greatest length of a tick in microseconds, best a small fraction of a session's
    /// life.
    pub(crate) fn new(width: i64) -> Self {
        Self::with_doublings(width.max(1).ilog2())
    }

    fn with_doublings(doublings: u32) -> Self {
        Self {
            doublings,
            run: Vec::new(),
            next: 0,
            inserted: BinaryHeap::new(),
            ahead: BTreeMap::new(),
            entries: Vec::new(),
            waiting: 0,
            free: Vec::new(),
            recent: [NOWHERE; RECENT],
            frontier: i64::MIN,
            bound: Timestamp::MAX,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, due: Due) {
        self.bound = self.bound.min(due.deadline);
        let tick = self.tick_of(due.deadline);
        if tick < self.frontier {
            self.inserted.push(Reverse(due));
        } else {
            let entry = Entry { slot: due.slot, opened: due.opened as u32 };
            self.waiting += 1;
            let entries = self.entries_of(tick);
            if entries.len() == entries.capacity() {
                reserve(entries);
            }
            entries.push(entry);
        }
    }

    #[inline]
    const fn tick_of(&self, deadline: Timestamp) -> i64 {
        deadline.as_micros() >> self.doublings
    }

    #[inline]
    fn entries_of(&mut self, tick: i64) -> &mut Vec<Entry> {
        let (known, place) = self.recent[tick as usize % RECENT];
        let place = if known == tick && place < self.entries.len() { place } else { self.look_up(tick) };
        &mut self.entries[place]
    }

    #[cold]
    fn look_up(&mut self, tick: i64) -> usize {
        let place = *self.ahead.entry(tick).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.entries.push(Vec::new());
                self.entries.len() - 1
            })
        });
        self.recent[tick as usize % RECENT] = (tick, place);
        place
    }

    /// Nothing is due before this; it may be a little early. O(1).
    #[inline]
    pub(crate) fn bound(&self) -> Timestamp {
        self.bound
    }

    /// Takes what is due first, if that is at or before `now`. `look` tells when an entry of a tick
    /// reached is due by now, unless it is not to be looked at any more.
    #[inline]
    pub(crate) fn pop_due(&mut self, now: Timestamp, look: impl Fn(Entry) -> Option<Due>) -> Option<Due> {
        loop {
            let Some(first) = self.first_reached() else {
                if self.reach_next(now, &look) {
                    continue;
                }
                return None;
            };
            if first.deadline > now {
                self.bound = first.deadline;
                return None;
            }
            let first = *first;
            if self.run.get(self.next) == Some(&first) {
                self.next += 1;
            } else {
                self.inserted.pop();
            }
            return Some(first);
        }
    }

    #[inline]
    fn first_reached(&self) -> Option<&Due> {
        match (self.run.get(self.next), self.inserted.peek()) {
            (Some(a), Some(Reverse(b))) => Some(a.min(b)),
            (Some(a), None) => Some(a),
            (None, b) => b.map(|Reverse(due)| due),
        }
    }

    /// Reaches the next tick, if it has begun by `now`: puts what is due in it in order; what is not
    /// goes on to a later tick.
    fn reach_next(&mut self, now: Timestamp, look: impl Fn(Entry) -> Option<Due>) -> bool {
        let Some(next) = self.ahead.first_entry() else {
            self.bound = Timestamp::MAX;
            return false;
        };
        let tick = *next.key();
        self.bound = Timestamp::from_micros(tick << self.doublings);
        if self.bound > now {
            return false;
        }
        let place = next.remove();
        self.frontier = tick.saturating_add(1);
        self.recent[tick as usize % RECENT] = NOWHERE; // the last tick of all may be used again
        self.waiting -= self.entries[place].len();
        let mut entries = core::mem::take(&mut self.entries[place]);
        self.run.clear();
        self.next = 0;
        for due in entries.drain(..).filter_map(look) {
            if self.tick_of(due.deadline) <= tick {
                self.run.push(due);
            } else {
                self.push(due);
            }
        }
        self.run.sort_unstable();
        if entries.capacity() <= SMALL {
            self.entries[place] = entries; // for a later tick to use
        }
        self.free.push(place);
        true
    }

    /// How many entries there are, counting those of sessions that are gone.
    pub(crate) fn len(&self) -> usize {
        self.waiting + self.run.len() - self.next + self.inserted.len()
    }

    /// Lets go of the entries of slots and openings that are of no use.
    pub(crate) fn retain(&mut self, is_of_use: impl Fn(SlotId, u32) -> bool) {
        self.run.drain(..self.next);
        self.next = 0;
        self.run.retain(|due| is_of_use(due.slot, due.opened as u32));
        self.inserted.retain(|Reverse(due)| is_of_use(due.slot, due.opened as u32));
        self.entries.iter_mut().for_each(|entries| entries.retain(|entry| is_of_use(entry.slot, entry.opened)));
        self.waiting = self.entries.iter().map(Vec::len).sum();
    }

    /// Forgets all entries and gives back their memory.
    pub(crate) fn clear(&mut self) {
        *self = Self { frontier: self.frontier, ..Self::with_doublings(self.doublings) };
    }
}

/// Makes room for more entries. A few may double; millions wait, and must not.
#[cold]
fn reserve(entries: &mut Vec<Entry>) {
    entries.reserve_exact(if entries.len() < 16 { 8 } else { entries.len() / 8 });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deadline and opening of each session, by slot. Some are moved on after they went in.
    struct Sessions(Vec<(i64, u64)>);

    impl Sessions {
        fn push(&mut self, queue: &mut DeadlineQueue, deadline: i64, opened: u64) {
            self.0.push((deadline, opened));
            queue.push(self.due(self.0.len() - 1));
        }

        fn due(&self, slot: usize) -> Due {
            let (deadline, opened) = self.0[slot];
            Due { deadline: Timestamp::from_micros(deadline), opened, slot: slot as u32, hash: 0 }
        }

        fn drain(&self, queue: &mut DeadlineQueue, now: i64) -> Vec<(i64, u64)> {
            let look = |entry: Entry| Some(self.due(entry.slot as usize));
            let due = core::iter::from_fn(|| queue.pop_due(Timestamp::from_micros(now), look));
            due.map(|due| (due.deadline.as_micros(), due.opened)).collect()
        }
    }

    #[test]
    fn comes_out_by_deadline_then_opening_whatever_the_width() {
        for width in [1, 7, 1_000, i64::MAX] {
            let (mut queue, mut sessions) = (DeadlineQueue::new(width), Sessions(Vec::new()));
            for (deadline, opened) in [(30, 2), (-5, 9), (30, 1), (8, 4), (i64::MAX, 0), (i64::MIN, 7)] {
                sessions.push(&mut queue, deadline, opened);
            }
            assert_eq!(sessions.drain(&mut queue, 8), [(i64::MIN, 7), (-5, 9), (8, 4)], "{width}");
            sessions.push(&mut queue, 9, 5);
            sessions.push(&mut queue, 3, 6);
            assert_eq!(sessions.drain(&mut queue, 30), [(3, 6), (9, 5), (30, 1), (30, 2)], "{width}");
            assert_eq!(sessions.drain(&mut queue, i64::MAX), [(i64::MAX, 0)], "{width}");
            assert_eq!(sessions.drain(&mut queue, i64::MAX), []);
        }
    }

    #[test]
    fn what_moved_on_waits_for_its_new_deadline() {
        let (mut queue, mut sessions) = (DeadlineQueue::new(10), Sessions(Vec::new()));
        sessions.push(&mut queue, 12, 1);
        sessions.push(&mut queue, 15, 2);
        sessions.0[0].0 = 47;
        assert_eq!(sessions.drain(&mut queue, 20), [(15, 2)]);
        assert_eq!(queue.bound(), Timestamp::from_micros(40), "the start of its tick of 8");
        assert_eq!(sessions.drain(&mut queue, 46), []);
        assert_eq!(sessions.drain(&mut queue, 47), [(47, 1)]);
    }

    #[test]
    fn the_bound_is_never_late() {
        let (mut queue, mut sessions) = (DeadlineQueue::new(10), Sessions(Vec::new()));
        sessions.push(&mut queue, 25, 0);
        assert_eq!(queue.bound(), Timestamp::from_micros(25));
        assert_eq!(sessions.drain(&mut queue, 19), []);
        assert_eq!(queue.bound(), Timestamp::from_micros(24), "the start of its tick");
        sessions.push(&mut queue, 45, 1);
        sessions.push(&mut queue, 44, 2);
        assert_eq!(sessions.drain(&mut queue, 30), [(25, 0)]);
        assert!(queue.bound() <= Timestamp::from_micros(44));
        assert_eq!(sessions.drain(&mut queue, 43), []);
        assert_eq!(queue.bound(), Timestamp::from_micros(44));
    }
}
