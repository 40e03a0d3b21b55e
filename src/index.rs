//! A hash index from a hash to a number; never sees a key.
//!
//! It is hashbrown's table of `u32`. Growing such a table computes every hash anew, each with a load of
//! a session from memory: tens of milliseconds for a million. So from [`SPLIT`] entries on there are
//! several tables, and one of them is split at a time ("linear hashing", Litwin, 1980): no call moves
//! more than a few hundred entries, and each table stays between 44 and 88 % full.

use alloc::vec::Vec;

use hashbrown::HashTable;

/// Entries of a hash and a number. Several may have the same hash.
pub(crate) struct Index {
    /// The only table, while there are few entries.
    one: HashTable<u32>,
    /// Else all tables.
    many: Vec<HashTable<u32>>,
    /// Selects the bits of a hash that choose its table.
    mask: usize,
    len: usize,
    /// The number of entries at which the next table is split.
    split_at: usize,
}

/// The result of one look at an entry.
pub(crate) enum Probe<T> {
    /// There is none.
    Absent,
    /// This is it.
    Found(T),
    /// There may be one.
    Unsure,
}

/// A table is split when there are more entries for each: half of the capacity of 8,192 buckets.
const SPLIT: usize = 3_584;

impl Index {
    pub(crate) const fn new() -> Self {
        Self { one: HashTable::new(), many: Vec::new(), mask: 0, len: 0, split_at: SPLIT }
    }

    /// Makes room for a number of entries at once, in an index without any.
    pub(crate) fn reserve(&mut self, entries: usize) {
        if self.len > 0 || entries < SPLIT {
            return;
        }
        let tables = entries.div_ceil(SPLIT);
        self.many = (0..tables).map(|_| HashTable::with_capacity(SPLIT)).collect();
        self.mask = tables.next_power_of_two() - 1;
        self.split_at = SPLIT * tables;
    }

    /// How many entries there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there have been more entries than one table holds.
    pub(crate) fn is_split(&self) -> bool {
        !self.many.is_empty()
    }

    /// The table of a hash, by bits that the table itself does not use.
    #[inline]
    fn address(&self, hash: u64) -> usize {
        let address = (hash >> 32) as usize & self.mask;
        if address < self.many.len() { address } else { address & (self.mask >> 1) }
    }

    #[inline(always)]
    fn table(&self, hash: u64) -> &HashTable<u32> {
        if self.many.is_empty() { &self.one } else { &self.many[self.address(hash)] }
    }

    #[inline(always)]
    fn table_mut(&mut self, hash: u64) -> &mut HashTable<u32> {
        if self.many.is_empty() {
            return &mut self.one;
        }
        let address = self.address(hash);
        &mut self.many[address]
    }

    /// The number under a hash that `is_it` accepts. Expected O(1) and the entries of equal hash.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.table(hash).find(hash, |number| is_it(*number)).copied()
    }

    /// The likely number under a hash, after one look.
    #[inline]
    pub(crate) fn likely(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Adds an entry. `hash_of` tells the hash of one that is in.
    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if self.len >= self.split_at {
            self.split(&hash_of);
        }
        self.table_mut(hash).insert_unique(hash, number, |number| hash_of(*number));
        self.len += 1;
    }

    /// Splits the next table in turn.
    #[cold]
    #[inline(never)]
    fn split(&mut self, hash_of: &impl Fn(u32) -> u64) {
        if self.many.is_empty() {
            self.many.push(core::mem::take(&mut self.one));
        }
        let new = self.many.len();
        self.many.push(HashTable::new());
        self.mask = self.many.len().next_power_of_two() - 1;
        self.split_at = SPLIT * self.many.len();
        let source = new & (self.mask >> 1);
        let mut moved = core::mem::take(&mut self.many[source]);
        for number in moved.drain() {
            let hash = hash_of(number);
            let address = self.address(hash);
            self.many[address].insert_unique(hash, number, |number| hash_of(*number));
        }
    }

    /// Removes an entry. Returns whether it was there.
    #[inline(always)]
    pub(crate) fn remove(&mut self, hash: u64, number: u32) -> bool {
        let Ok(entry) = self.table_mut(hash).find_entry(hash, |other| *other == number) else { return false };
        entry.remove();
        self.len -= 1;
        true
    }

    /// Gives an entry another number. Returns whether it was there.
    pub(crate) fn renumber(&mut self, hash: u64, from: u32, to: u32) -> bool {
        let found = self.table_mut(hash).find_mut(hash, |number| *number == from);
        found.map(|number| *number = to).is_some()
    }

    /// Removes all entries. The memory stays for as many again, unless most of it was not in use.
    pub(crate) fn clear(&mut self) {
        if 4 * self.len < SPLIT * self.many.len() {
            *self = Self::new();
        }
        self.one.clear();
        self.many.iter_mut().for_each(HashTable::clear);
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    /// A hash of a number: all bits depend on it.
    fn hash(number: u32) -> u64 {
        let mixed = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ mixed.rotate_left(17)
    }

    fn index_of(numbers: impl Iterator<Item = u32>) -> Index {
        let mut index = Index::new();
        numbers.for_each(|number| index.insert(hash(number), number, hash));
        index
    }

    #[test]
    fn every_entry_is_found_while_tables_split() {
        let mut index = Index::new();
        for number in 0..20_000_u32 {
            index.insert(hash(number), number, hash);
            if number % 997 == 0 {
                assert!((0..=number).all(|n| index.find(hash(n), |found| found == n) == Some(n)), "{number}");
            }
        }
        assert_eq!((index.len(), index.find(hash(20_000), |n| n == 20_000)), (20_000, None));
    }

    #[test]
    fn an_index_with_room_is_like_one_that_has_grown() {
        for entries in [1, SPLIT, SPLIT + 1, 5 * SPLIT, 40_000] {
            let (mut reserved, grown) = (Index::new(), index_of(0..entries as u32));
            reserved.reserve(entries);
            (0..entries as u32).for_each(|number| reserved.insert(hash(number), number, hash));
            assert!(reserved.many.len().abs_diff(grown.many.len()) <= 2, "{entries}");
            assert!((0..entries as u32).all(|n| reserved.find(hash(n), |found| found == n) == Some(n)), "{entries}");
            for number in entries as u32..2 * entries as u32 {
                reserved.insert(hash(number), number, hash);
            }
            assert!((0..2 * entries as u32).all(|n| reserved.find(hash(n), |found| found == n) == Some(n)));
        }
    }

    #[test]
    fn no_table_outgrows_eight_thousand_buckets() {
        let index = index_of(0..200_000);
        let largest = index.many.iter().map(HashTable::len).max();
        assert!(largest.is_some_and(|largest| largest <= 7_168), "{largest:?}");
    }

    #[test]
    fn removed_and_renumbered_entries_are_not_found() {
        let mut index = index_of(0..5_000);
        for number in (0..5_000).step_by(2) {
            assert!(index.remove(hash(number), number));
            assert!(!index.remove(hash(number), number));
        }
        assert!(index.renumber(hash(1), 1, 77_777));
        assert!(!index.renumber(hash(1), 1, 2));
        let found: BTreeSet<u32> = (0..5_000).filter_map(|n| index.find(hash(n), |found| found == n)).collect();
        assert_eq!(found, (3..5_000).step_by(2).collect());
        assert_eq!(index.find(hash(1), |_| true), Some(77_777));
        assert_eq!(index.len(), 2_500);
    }

    #[test]
    fn a_cleared_index_keeps_its_tables_for_as_many_again() {
        let mut index = index_of(0..5_000);
        let tables = index.many.len();
        index.clear();
        assert_eq!((index.len(), index.many.len(), index.find(hash(1), |_| true)), (0, tables, None));
        (0..200).for_each(|number| index.insert(hash(number), number, hash));
        assert_eq!(index.find(hash(7), |number| number == 7), Some(7));
        index.clear();
        assert_eq!(index.many.len(), 0, "most of it was not in use");
    }

    #[test]
    fn entries_of_equal_hash_are_told_apart() {
        let mut index = Index::new();
        (0..3_000).for_each(|number| index.insert(7, number, |_| 7));
        assert_eq!(index.find(7, |number| number == 2_999), Some(2_999));
        assert!(index.remove(7, 5));
        assert_eq!(index.find(7, |number| number == 5), None);
    }
}
