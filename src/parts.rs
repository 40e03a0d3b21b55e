//! The parts of windows closed lately on the arrival clock, by key and bucket.
//!
//! They are forgotten in the order of closing, which is that of opening too.

use crate::data::Key;
use crate::id::{Distinction, Identity, SessionId};
use crate::index::Index;
use crate::reopen::ReopenCounter;
use crate::segments::Segments;
use crate::time::Timestamp;

/// The parts that are remembered.
pub(crate) struct ClosedParts<K> {
    /// By the hash of a partition.
    index: Index,
    /// In order of closing. `None` where the partition has been closed again since.
    notes: Segments<Option<Note<K>>>,
    /// No note has a lower number.
    first: u32,
    /// How many windows have closed.
    closings: u64,
    /// Those of a snapshot, which knows no keys of them. They closed before all others.
    restored: ReopenCounter,
}

/// What tells one partition from another: a key, the start of its bucket, and the hash of both.
#[derive(Clone, Copy)]
pub(crate) struct Partition<R> {
    pub(crate) key: R,
    pub(crate) start: i64,
    pub(crate) hash: u64,
}

struct Note<K> {
    key: K,
    start: i64,
    hash: u64,
    part: u32,
    opened: Timestamp,
}

impl<K: Key> ClosedParts<K> {
    /// Remembers windows of `range` for `remember` after their deadline.
    pub(crate) fn new(range: i64, remember: i64) -> Self {
        let restored = ReopenCounter::new(range, remember);
        Self { index: Index::new(), notes: Segments::new(), first: 0, closings: 0, restored }
    }

    /// Whether anything is ever remembered.
    pub(crate) const fn is_on(&self) -> bool {
        self.restored.is_on()
    }

    /// Whether a window opened at that arrival is remembered, or will be when it closes.
    pub(crate) fn remembers(&self, opened: Timestamp, now: Timestamp) -> bool {
        self.restored.remembers(opened, now)
    }

    /// How many are remembered.
    fn len(&self) -> usize {
        self.restored.len() + self.index.len()
    }

    /// Remembers a window that closes; of more than `max` partitions the one closed first is forgotten.
    pub(crate) fn remember(&mut self, partition: Partition<K::Ref<'_>>, part: u32, opened: Timestamp, max: usize) {
        if part > 1 {
            self.forget_before(partition);
        }
        let Partition { key, start, hash } = partition;
        let number = self.notes.push_with(|| Some(Note { key: K::key_from(key), start, hash, part, opened }));
        let notes = &self.notes;
        self.index
            .insert(hash, number, |number| notes.get(number).and_then(Option::as_ref).map_or(0, |note| note.hash));
        self.closings += 1;
        while self.len() > max {
            if self.restored.len() > 0 {
                self.restored.forget_first();
            } else {
                self.forget_first();
            }
        }
    }

    /// Remembers a part as a snapshot has it: before any window closes.
    pub(crate) fn restore(&mut self, partition: SessionId, part: u32, opened: Timestamp, max: usize) {
        self.restored.remember(partition, part, opened, max);
        self.closings += 1;
    }

    /// Forgets the part of a partition, if one is remembered.
    #[cold]
    fn forget_before(&mut self, partition: Partition<K::Ref<'_>>) {
        self.restored.forget_one(|| id_of(&K::key_from(partition.key), partition.start));
        if let Some(number) = self.find(partition) {
            self.forget_note(number);
        }
    }

    fn find(&self, Partition { key, start, hash }: Partition<K::Ref<'_>>) -> Option<u32> {
        let is_it = |note: &Note<K>| note.start == start && note.key.key_eq(key);
        self.index.find(hash, |number| self.notes.get(number).and_then(Option::as_ref).is_some_and(is_it))
    }

    fn forget_note(&mut self, number: u32) {
        if let Some(note) = self.notes.get_mut(number).and_then(Option::take) {
            self.index.remove(note.hash, number);
        }
    }

    #[inline]
    fn forget_first(&mut self) {
        self.forget_note(self.first);
        self.first = self.first.wrapping_add(1);
        self.notes.release_before(self.first);
    }

    /// Forgets the windows whose time is over, and gives memory back when none is left.
    #[inline]
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.restored.forget(now);
        while self.first != self.notes.end() {
            let note = self.notes.get(self.first).and_then(Option::as_ref);
            if note.is_some_and(|note| self.remembers(note.opened, now)) {
                return;
            }
            self.forget_first();
        }
        if self.index.is_split() {
            self.clear_notes();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.restored.clear();
        self.clear_notes();
    }

    fn clear_notes(&mut self) {
        (self.index, self.notes, self.first) = (Index::new(), Segments::new(), 0);
    }

    /// The part that opens now.
    #[inline]
    pub(crate) fn next(&self, partition: Partition<K::Ref<'_>>) -> u32 {
        let note = self.find(partition).and_then(|number| self.notes.get(number)?.as_ref());
        match note {
            Some(note) => note.part.saturating_add(1),
            None => self.restored.next(|| id_of(&K::key_from(partition.key), partition.start)),
        }
    }

    /// The parts remembered after a closing, in the order of their closings, with the number of each.
    pub(crate) fn after(&self, closing: u64) -> impl Iterator<Item = (u64, (SessionId, u32, Timestamp))> {
        let notes = (self.closings - self.notes_after(closing)..self.closings).filter_map(|before| {
            let number = self.notes.end().wrapping_sub((self.closings - before) as u32);
            let note = self.notes.get(number)?.as_ref()?;
            Some((before + 1, (id_of(&note.key, note.start), note.part, note.opened)))
        });
        self.restored.after(closing).chain(notes)
    }

    fn notes_after(&self, closing: u64) -> u64 {
        u64::from(self.notes.end().wrapping_sub(self.first)).min(self.closings.saturating_sub(closing))
    }

    /// How many entries [`after`](Self::after) looks at. O(log n).
    pub(crate) fn count_after(&self, closing: u64) -> usize {
        self.restored.count_after(closing) + self.notes_after(closing) as usize
    }
}

/// The hash of a partition that is the same in every run, as snapshots have it.
fn id_of<K: Key>(key: &K, start: i64) -> SessionId {
    let identity = Identity { anchor: Timestamp::EPOCH, part: 0, flushes: 0 };
    SessionId::of(key, Some(Timestamp::from_micros(start)), identity, Distinction::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    /// Remembered for 5 after a range of 10.
    fn parts() -> ClosedParts<u8> {
        ClosedParts::new(10, 5)
    }

    /// All partitions share a hash, so that only keys and buckets tell them apart.
    const fn partition(key: u8, start: i64) -> Partition<u8> {
        Partition { key, start, hash: 7 }
    }

    fn opened(parts: &ClosedParts<u8>, after: u64) -> alloc::vec::Vec<(u64, i64)> {
        parts.after(after).map(|(closing, (_, _, opened))| (closing, opened.as_micros())).collect()
    }

    #[test]
    fn a_window_is_remembered_until_its_time_is_over() {
        let mut parts = parts();
        parts.remember(partition(1, 0), 3, at(100), usize::MAX);
        parts.forget(at(114));
        assert_eq!(parts.next(partition(1, 0)), 4);
        assert_eq!((parts.next(partition(2, 0)), parts.next(partition(1, 60))), (1, 1), "another key or bucket");
        parts.forget(at(115));
        assert_eq!((parts.next(partition(1, 0)), parts.len(), parts.notes.len()), (1, 0, 1));
    }

    #[test]
    fn of_a_partition_the_latest_part_is_remembered() {
        let mut parts = parts();
        for (part, opened) in [(1, 100), (2, 110)] {
            parts.remember(partition(1, 0), part, at(opened), usize::MAX);
        }
        assert_eq!((parts.next(partition(1, 0)), parts.len(), opened(&parts, 0)), (3, 1, [(2, 110)].into()));
        parts.forget(at(124));
        assert_eq!(parts.next(partition(1, 0)), 3);
    }

    #[test]
    fn parts_of_a_snapshot_are_found_by_their_id_until_they_close_again() {
        let mut parts = parts();
        let id = |key: u8| id_of(&key, 0);
        [1, 2, 3].into_iter().for_each(|key| parts.restore(id(key), 4, at(90), usize::MAX));
        assert_eq!([1, 4].map(|key| parts.next(partition(key, 0))), [5, 1]);
        parts.remember(partition(1, 0), 5, at(100), usize::MAX);
        assert_eq!((parts.next(partition(1, 0)), parts.len()), (6, 3));
        assert_eq!(opened(&parts, 0), [(2, 90), (3, 90), (4, 100)]);
        assert_eq!((opened(&parts, 3), parts.count_after(3)), ([(4, 100)].into(), 1));
        parts.forget(at(105));
        assert_eq!(([1, 2].map(|key| parts.next(partition(key, 0))), parts.len()), ([6, 1], 1));
    }

    #[test]
    fn of_more_than_the_bound_the_first_is_forgotten_and_those_of_a_snapshot_before_all_others() {
        let mut parts = parts();
        parts.restore(id_of(&0_u8, 0), 1, at(90), 3);
        (1..4).for_each(|key| parts.remember(partition(key, 0), 1, at(100), 3));
        assert_eq!([0, 1].map(|key| parts.next(partition(key, 0))), [1, 2]);
        parts.remember(partition(4, 0), 1, at(100), 3);
        assert_eq!(([1, 2].map(|key| parts.next(partition(key, 0))), parts.len()), ([1, 2], 3));
        assert_eq!(opened(&parts, 3), [(4, 100), (5, 100)]);
        parts.clear();
        assert_eq!((parts.len(), parts.next(partition(3, 0)), parts.count_after(0)), (0, 1, 0));
    }
}
