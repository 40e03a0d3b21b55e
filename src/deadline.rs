//! The queue of deadlines: which session may be over next. Never sees a key.
//!
//! A session has one entry, made when it opens. The entry does not move when the session grows: it
//! is looked at again when it surfaces, and put back if the session is not over yet. So an event
//! that extends a session costs nothing here, and a session that lives for many gaps comes up about
//! once per gap.
//!
//! Entries wait unsorted in ticks of a fixed width. When the clock reaches a tick, its entries are
//! looked at, and those that are due within it are sorted by (deadline, opening): an insertion is an
//! append, and only a small part of the queue is ever in order. This is a ladder queue with one rung
//! (Tang, Goh and Thng, 2005). A bounded call looks at and sorts a portion of a tick only; the sorted
//! runs are merged when the whole tick has been looked at.

use alloc::collections::binary_heap::PeekMut;
use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::hint::black_box;

use crate::segments::Segments;
use crate::slab::SlotId;
use crate::time::Timestamp;

/// When to look at a session again. Ordered by deadline, then by opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) deadline: Timestamp,
    pub(crate) opened: u64,
    pub(crate) slot: SlotId,
}

impl Due {
    /// Its sort key, as one number: that is faster to compare.
    #[inline(always)]
    const fn rank(&self) -> i128 {
        (self.deadline.as_micros() as i128) << 64 | self.opened as i128
    }
}

/// Which session to look at: the one in a slot, if the lower half of its opening agrees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) slot: SlotId,
    pub(crate) opened: u32,
}

pub(crate) struct DeadlineQueue {
    /// The length of a tick, as a number of doublings of a microsecond.
    doublings: u32,
    /// The first entry of each run of the ticks reached, and single entries that came later for them.
    heads: BinaryHeap<Reverse<(Due, RunId)>>,
    /// Entries in order, and the index of the one in `heads`.
    runs: Vec<(Vec<Due>, usize)>,
    /// The tick reached last.
    reached: i64,
    /// Its entries; those from `next_look` on have not been looked at.
    sweeping: Segments<Entry>,
    next_look: u32,
    /// Ticks not reached, and where their entries are.
    ahead: BTreeMap<i64, usize>,
    ticks: Vec<Segments<Entry>>,
    free: Vec<usize>,
    /// How many entries have not been looked at.
    waiting: usize,
    /// Ticks used lately: most entries go to one of a few.
    recent: Vec<(i64, usize)>,
    /// The first tick not reached.
    frontier: i64,
    /// Nothing is due before this.
    bound: Timestamp,
}

type RunId = usize;
const NO_RUN: RunId = usize::MAX;
const RECENT: usize = 512;
/// The number of entries that a past tick may keep memory for.
const SMALL: usize = 64;
/// The number of sessions brought into the cache before they are looked at.
const AHEAD: usize = 32;
const NOWHERE: (i64, usize) = (i64::MIN, usize::MAX);

impl DeadlineQueue {
    /// `width`: the greatest length of a tick in microseconds, best a small fraction of a session's
    /// life.
    pub(crate) fn new(width: i64) -> Self {
        Self::with_doublings(width.max(1).ilog2())
    }

    const fn with_doublings(doublings: u32) -> Self {
        Self {
            doublings,
            heads: BinaryHeap::new(),
            runs: Vec::new(),
            reached: i64::MIN,
            sweeping: Segments::new(),
            next_look: 0,
            ahead: BTreeMap::new(),
            ticks: Vec::new(),
            free: Vec::new(),
            waiting: 0,
            recent: Vec::new(),
            frontier: i64::MIN,
            bound: Timestamp::MAX,
        }
    }

    /// Expected O(1); O(log n) for a tick that is reached already or was not used lately.
    #[inline(always)]
    pub(crate) fn push(&mut self, due: Due) {
        self.bound = self.bound.min(due.deadline);
        let tick = self.tick_of(due.deadline);
        if tick < self.frontier {
            self.push_reached(due);
        } else {
            self.waiting += 1;
            self.tick_mut(tick).push(Entry { slot: due.slot, opened: due.opened as u32 });
        }
    }

    #[cold]
    #[inline(never)]
    fn push_reached(&mut self, due: Due) {
        self.heads.push(Reverse((due, NO_RUN)));
    }

    #[inline(always)]
    const fn tick_of(&self, deadline: Timestamp) -> i64 {
        deadline.as_micros() >> self.doublings
    }

    #[inline(always)]
    fn tick_mut(&mut self, tick: i64) -> &mut Segments<Entry> {
        let index = match self.recent.get(tick as usize % RECENT) {
            Some((known, index)) if *known == tick && *index < self.ticks.len() => *index,
            _ => self.look_up(tick),
        };
        &mut self.ticks[index]
    }

    #[cold]
    fn look_up(&mut self, tick: i64) -> usize {
        let index = *self.ahead.entry(tick).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.ticks.push(Segments::new());
                self.ticks.len() - 1
            })
        });
        self.recent.resize(RECENT, NOWHERE);
        self.recent[tick as usize % RECENT] = (tick, index);
        index
    }

    /// Nothing is due before this; it may be a little early. O(1).
    #[inline]
    pub(crate) const fn bound(&self) -> Timestamp {
        self.bound
    }

    /// Takes the first entry that is due at or before `now`. `look` tells the deadline of an entry, unless it is
    /// obsolete; `prefetch` brings the session that `look` needs into the cache. `looks` bounds how often `look` is
    /// called, and is counted down: when it reaches zero the answer may be `None` although entries are due, and
    /// [`bound`](Self::bound) is not after `now`.
    #[inline]
    pub(crate) fn pop_due(
        &mut self,
        now: Timestamp,
        looks: &mut usize,
        prefetch: impl Fn(Entry) -> u64,
        mut look: impl FnMut(Entry) -> Option<Due>,
    ) -> Option<Due> {
        loop {
            if self.next_look != self.sweeping.end() {
                if *looks == 0 {
                    return None;
                }
                self.sweep(looks, &prefetch, &mut look);
            } else if let Some(head) = self.heads.peek_mut() {
                let Reverse((due, _)) = *head;
                if due.deadline > now {
                    self.bound = due.deadline;
                    return None;
                }
                take_head(&mut self.runs, head);
                return Some(due);
            } else if !self.reach_next(now) {
                return None;
            }
        }
    }

    /// Reaches the next tick, if it has begun by `now`.
    fn reach_next(&mut self, now: Timestamp) -> bool {
        self.runs.truncate(1);
        if let Some((run, next)) = self.runs.first_mut() {
            run.clear(); // for the next tick to use
            *next = 0;
        }
        let Some(next) = self.ahead.first_entry() else {
            self.bound = Timestamp::MAX;
            return false;
        };
        let tick = *next.key();
        self.bound = Timestamp::from_micros(tick << self.doublings);
        if self.bound > now {
            return false;
        }
        let index = next.remove();
        self.reached = tick;
        self.frontier = tick.saturating_add(1);
        if let Some(noted) = self.recent.get_mut(tick as usize % RECENT) {
            *noted = NOWHERE; // the last tick of all may be used again
        }
        if self.sweeping.len() > SMALL {
            self.sweeping = Segments::new();
        }
        self.sweeping.clear(); // for a later tick to use
        core::mem::swap(&mut self.sweeping, &mut self.ticks[index]);
        self.next_look = 0;
        self.free.push(index);
        true
    }

    /// Looks at the next entries of the tick reached last, and puts those that are due in it in order;
    /// the others go on to a later tick.
    #[inline(never)]
    fn sweep(
        &mut self,
        looks: &mut usize,
        prefetch: &impl Fn(Entry) -> u64,
        look: &mut impl FnMut(Entry) -> Option<Due>,
    ) {
        let count = (self.sweeping.end() - self.next_look).min(u32::try_from(*looks).unwrap_or(u32::MAX));
        let mut next = self.next_look;
        *looks -= count as usize;
        self.next_look += count;
        self.waiting -= count as usize;
        let mut run = match self.runs.first_mut() {
            Some((first, _)) if first.is_empty() => self.runs.swap_remove(0).0,
            _ => Vec::new(),
        };
        let mut sweeping = core::mem::replace(&mut self.sweeping, Segments::new());
        while let Some(entries) = sweeping.slots_from(next).filter(|_| next < self.next_look) {
            let count = entries.len().min(AHEAD).min((self.next_look - next) as usize);
            let entries = &entries[..count];
            next += count as u32;
            black_box(entries.iter().fold(0, |all, entry| all ^ prefetch(*entry)));
            for due in entries.iter().filter_map(|entry| look(*entry)) {
                if self.tick_of(due.deadline) <= self.reached {
                    run.push(due);
                } else {
                    self.push(due);
                }
            }
        }
        self.sweeping = sweeping;
        run.sort_unstable_by_key(Due::rank);
        if let Some(first) = run.first() {
            self.heads.push(Reverse((*first, self.runs.len())));
        }
        self.runs.push((run, 0));
    }

    /// How many entries there are, counting those of sessions that are gone.
    pub(crate) fn len(&self) -> usize {
        self.waiting
            + self.heads.len()
            + self.runs.iter().map(|(run, next)| run.len().saturating_sub(next + 1)).sum::<usize>()
    }

    /// Forgets all entries and gives back their memory.
    pub(crate) fn clear(&mut self) {
        *self = Self { frontier: self.frontier, ..Self::with_doublings(self.doublings) };
    }
}

/// Removes the first of all heads. The next entry of its run follows it.
#[inline]
fn take_head(runs: &mut [(Vec<Due>, usize)], mut head: PeekMut<'_, Reverse<(Due, RunId)>>) {
    let run = head.0.1;
    let following = runs.get_mut(run).and_then(|(run, next)| {
        *next += 1;
        run.get(*next)
    });
    match following {
        Some(due) => *head = Reverse((*due, run)),
        None => drop(PeekMut::pop(head)),
    }
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
            Due { deadline: Timestamp::from_micros(deadline), opened, slot: slot as u32 }
        }

        fn drain(&self, queue: &mut DeadlineQueue, now: i64) -> Vec<(i64, u64)> {
            let look = |entry: Entry| Some(self.due(entry.slot as usize));
            let due = core::iter::from_fn(|| {
                queue.pop_due(Timestamp::from_micros(now), &mut usize::MAX.clone(), |_| 0, look)
            });
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
    fn a_bounded_call_looks_at_a_portion_and_the_order_is_the_same() {
        let (mut queue, mut sessions) = (DeadlineQueue::new(1_000), Sessions(Vec::new()));
        for opened in 0..100 {
            sessions.push(&mut queue, 512 + (opened as i64 * 37) % 50, opened);
        }
        let look = |entry: Entry| Some(sessions.due(entry.slot as usize));
        let (now, mut taken, mut calls) = (Timestamp::from_micros(600), Vec::new(), 0);
        while queue.bound() <= now {
            let mut looks = 7;
            while let Some(due) = queue.pop_due(now, &mut looks, |_| 0, look) {
                taken.push((due.deadline, due.opened));
            }
            calls += 1;
        }
        assert_eq!((taken.len(), calls), (100, 15));
        assert!(taken.is_sorted(), "{taken:?}");
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn entries_that_come_for_a_reached_tick_take_their_turn() {
        let (mut queue, mut sessions) = (DeadlineQueue::new(1_000), Sessions(Vec::new()));
        [(10, 1), (30, 2)].iter().for_each(|(deadline, opened)| sessions.push(&mut queue, *deadline, *opened));
        assert_eq!(sessions.drain(&mut queue, 10), [(10, 1)]);
        sessions.push(&mut queue, 20, 3);
        assert_eq!((queue.len(), queue.bound()), (2, Timestamp::from_micros(20)));
        assert_eq!(sessions.drain(&mut queue, 30), [(20, 3), (30, 2)]);
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
