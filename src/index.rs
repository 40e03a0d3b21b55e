//! A hash index from half a hash to a number, which never sees a key.
//!
//! Six entries share a line of half a cache line, with a word of tags: a byte for each, with seven
//! bits of its hash. All six are compared at once, so that a look-up needs one place in memory and
//! hardly a branch that is hard to foresee. An entry is in the line that its hash falls on, or, where that was full, in one of the
//! next: a look-up goes on until a line with room. Removing an entry moves one that had to go further
//! back into its place, so there are no traces of what is gone.
//!
//! Any number of lines will do: a hash falls on line `hash * lines / 2^32`. So the index grows by a
//! quarter at a time, and takes 32 bytes for six places: nine to eleven for each entry.

use alloc::vec::Vec;
use core::hint::black_box;

/// Entries of a hash and a number. Several may have the same hash. The hash is not kept: who asks
/// knows it, and can tell it again when the index grows.
pub(crate) struct Index {
    lines: Vec<Line>,
    len: usize,
    /// How many entries there may be before it grows: few lines are full then.
    most: usize,
}

#[derive(Clone)]
#[repr(align(32))]
struct Line {
    /// A byte for each lane: seven bits of the hash below a one, or zero if the lane is empty.
    tags: u64,
    numbers: [u32; LANES],
}

/// What one look at a line may say.
#[derive(Clone, Copy)]
pub(crate) enum Glance {
    /// There is no entry with this hash.
    Absent,
    /// There may be one, and this most likely is it.
    Likely(u32),
    /// There may be one.
    Unsure,
}

/// A place in the index, until it changes.
#[derive(Clone, Copy)]
struct Lane {
    line: usize,
    lane: usize,
}

const LANES: usize = 6;
const EMPTY: Line = Line { tags: 0, numbers: [0; LANES] };
/// The lowest bit of the tag of each lane, and the highest.
const LOW: u64 = 0x0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// The tag of a hash. The line depends on the upper bits, so these are the lower ones.
#[inline]
const fn tag_of(hash: u32) -> u64 {
    (hash & 0x7f | 0x80) as u64
}

impl Line {
    /// The lanes that have the tag of a hash, and rarely another one too.
    #[inline]
    fn candidates(&self, hash: u32) -> Lanes {
        let differs = self.tags ^ (LOW * tag_of(hash));
        Lanes(differs.wrapping_sub(LOW) & !differs & HIGH)
    }

    #[inline]
    fn empty(&self) -> Lanes {
        Lanes(!self.tags & HIGH)
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.empty().0 == 0
    }

    #[inline]
    fn put(&mut self, lane: usize, hash: u32, number: u32) {
        self.tags |= tag_of(hash) << (8 * lane);
        self.numbers[lane] = number;
    }

    #[inline]
    fn clear(&mut self, lane: usize) {
        self.tags &= !(0xff << (8 * lane));
    }

    /// The lanes that are taken, with their numbers.
    fn entries(&self) -> impl Iterator<Item = (usize, u32)> {
        Lanes(self.tags & HIGH).map(|lane| (lane, self.numbers[lane]))
    }
}

/// Some of the lanes of a line: the highest bit of the byte of each.
struct Lanes(u64);

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let lane = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0.wrapping_sub(1);
        (lane < LANES).then_some(lane)
    }
}

impl Index {
    pub(crate) const NEW: Self = Self { lines: Vec::new(), len: 0, most: 0 };

    /// The line that a hash falls on.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.lines.len() as u64) >> 32) as usize
    }

    fn after(&self, line: usize) -> usize {
        if line + 1 < self.lines.len() { line + 1 } else { 0 }
    }

    /// How many lines come after `from` until `to`.
    fn distance(&self, from: usize, to: usize) -> usize {
        if from <= to { to - from } else { to + self.lines.len() - from }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number that `is_it` accepts, of those that may have this hash. Expected O(1).
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        Some(self.lane_of(hash, is_it)?.1)
    }

    /// What one look says of a hash.
    #[inline]
    pub(crate) fn glance(&self, hash: u32) -> Glance {
        let Some(line) = self.lines.get(self.home(hash)) else { return Glance::Absent };
        match line.candidates(hash).next() {
            Some(lane) => Glance::Likely(line.numbers[lane]),
            None if line.is_full() => Glance::Unsure,
            None => Glance::Absent,
        }
    }

    #[inline]
    fn lane_of(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<(Lane, u32)> {
        let mut at = self.home(hash);
        loop {
            let line = self.lines.get(at)?;
            for lane in line.candidates(hash) {
                let number = line.numbers[lane];
                if is_it(number) {
                    return Some((Lane { line: at, lane }, number));
                }
            }
            if !line.is_full() {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Brings the line of a hash into the cache: a look at it soon need not wait for memory.
    #[inline]
    pub(crate) fn touch(&self, hash: u32) {
        black_box(self.lines.get(self.home(hash)).map(|line| line.tags));
    }

    /// Adds an entry. `hash_of` tells the hash of a number that is in. Amortized O(1).
    #[inline]
    pub(crate) fn insert(&mut self, hash: u32, number: u32, hash_of: impl Fn(u32) -> u32) {
        if self.len >= self.most {
            self.grow(hash_of);
        }
        self.len += 1;
        self.put(hash, number);
    }

    #[inline]
    fn put(&mut self, hash: u32, number: u32) {
        let mut at = self.home(hash);
        loop {
            let line = &mut self.lines[at];
            if let Some(lane) = line.empty().next() {
                line.put(lane, hash, number);
                return;
            }
            at = self.after(at);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u32) {
        self.grow_to(self.lines.len() + self.lines.len() / 4 + 1, hash_of);
    }

    /// Makes room for so many entries in all, as far as they are known beforehand.
    pub(crate) fn reserve(&mut self, entries: usize, hash_of: impl Fn(u32) -> u32) {
        if entries > self.most {
            self.grow_to((entries * 5).div_ceil(LANES * 3) + 1, hash_of);
        }
    }

    fn grow_to(&mut self, more: usize, hash_of: impl Fn(u32) -> u32) {
        let old = core::mem::replace(&mut self.lines, alloc::vec![EMPTY; more]);
        self.most = more * LANES * 3 / 5;
        for (_, number) in old.iter().flat_map(Line::entries) {
            self.put(hash_of(number), number);
        }
    }

    /// Gives an entry another number. False: it is not there.
    pub(crate) fn renumber(&mut self, hash: u32, from: u32, to: u32) -> bool {
        let Some((Lane { line, lane }, _)) = self.lane_of(hash, |number| number == from) else { return false };
        self.lines[line].numbers[lane] = to;
        true
    }

    /// Takes an entry out. `hash_of` tells the hash of a number that is in. False: it is not there.
    /// Expected O(1).
    #[inline]
    pub(crate) fn remove(&mut self, hash: u32, number: u32, hash_of: impl Fn(u32) -> u32) -> bool {
        let Some((place, _)) = self.lane_of(hash, |other| other == number) else { return false };
        let line = &mut self.lines[place.line];
        let was_full = line.is_full();
        line.clear(place.lane);
        self.len -= 1;
        if was_full {
            self.fill(place, hash_of);
        }
        true
    }

    /// Moves entries back that went further because a line was full which is not any more. Ends,
    /// since there is always a line that is not full.
    #[cold]
    #[inline(never)]
    fn fill(&mut self, mut hole: Lane, hash_of: impl Fn(u32) -> u32) {
        let mut at = hole.line;
        loop {
            at = self.after(at);
            let line = &self.lines[at];
            let is_full = line.is_full();
            let wants_back = |&(_, number): &(usize, u32)| {
                self.distance(self.home(hash_of(number)), at) >= self.distance(hole.line, at)
            };
            let entry = line.entries().find(wants_back);
            if let Some((lane, number)) = entry {
                self.lines[hole.line].put(hole.lane, hash_of(number), number);
                self.lines[at].clear(lane);
                hole = Lane { line: at, lane };
            }
            if !is_full {
                return;
            }
        }
    }

    /// Takes all entries out, and keeps the memory for others.
    pub(crate) fn clear(&mut self) {
        self.lines.fill(EMPTY);
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that crowd in a few places.
    fn hash(n: u32) -> u32 {
        match n % 3 {
            0 => n.wrapping_mul(0x9e37_79b9),
            1 => n / 40,
            _ => u32::MAX - n / 40,
        }
    }

    fn check(index: &Index, there: impl Fn(u32) -> bool, all: u32) {
        for n in 0..all {
            assert_eq!(index.find(hash(n), |other| other == n), there(n).then_some(n), "{n}");
        }
    }

    #[test]
    fn finds_what_is_in_whatever_was_taken_out() {
        const ALL: u32 = 3_000;
        let mut index = Index::NEW;
        assert_eq!(index.find(7, |_| true), None);
        (0..ALL).for_each(|n| index.insert(hash(n), n, hash));
        check(&index, |_| true, ALL);
        for n in (0..ALL).filter(|n| n % 7 < 5) {
            assert!(index.remove(hash(n), n, hash), "{n}");
            assert!(!index.remove(hash(n), n, hash), "{n}");
        }
        check(&index, |n| n % 7 >= 5, ALL);
        (0..ALL).filter(|n| n % 7 < 5).for_each(|n| index.insert(hash(n), n, hash));
        check(&index, |_| true, ALL);
        (0..ALL).rev().for_each(|n| assert!(index.remove(hash(n), n, hash), "{n}"));
        assert_eq!(index.len, 0);
        assert!(index.lines.iter().all(|line| line.tags == 0), "no trace is left");
    }

    #[test]
    fn renumbers_in_place() {
        let mut index = Index::NEW;
        (0..10).for_each(|n| index.insert(5, n, |_| 5));
        assert!(index.renumber(5, 3, 33) && !index.renumber(5, 3, 34) && !index.renumber(6, 4, 44));
        assert_eq!((index.find(5, |n| n == 33), index.find(5, |n| n == 3)), (Some(33), None));
    }

    #[test]
    fn is_as_good_as_new_when_cleared() {
        let mut index = Index::NEW;
        index.reserve(100, hash);
        let lines = index.lines.len();
        (0..100).for_each(|n| index.insert(hash(n), n, hash));
        assert_eq!(index.lines.len(), lines, "there was room");
        index.clear();
        check(&index, |_| false, 100);
        (50..60).for_each(|n| index.insert(hash(n), n, hash));
        check(&index, |n| (50..60).contains(&n), 100);
    }
}
