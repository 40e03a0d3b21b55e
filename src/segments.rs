//! A list in segments: it grows without moving more than one small segment, and shrinks from the front.

use alloc::vec::Vec;

/// Elements with ascending numbers, which wrap around after 2^32.
pub(crate) struct Segments<T> {
    segments: Vec<Vec<T>>,
    /// Empty segments for those to come, in reverse order.
    spare: Vec<Vec<T>>,
    /// The number of the first element of the first segment.
    base: u32,
    /// The number of the next element.
    end: u32,
}

/// The approximate size of a segment in bytes: moving it takes microseconds.
const SEGMENT_BYTES: usize = 1 << 16;
/// The number of elements that the first segment has room for.
const FEW: usize = 4;

impl<T> Segments<T> {
    const SIZE: usize = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    const SHIFT: u32 = {
        let fitting = SEGMENT_BYTES / Self::SIZE;
        if fitting < 16 { 4 } else { fitting.ilog2() }
    };
    const LENGTH: usize = 1 << Self::SHIFT;
    /// The greatest number of segments that stay when a list is cleared.
    const KEPT: usize = (3 * SEGMENT_BYTES).div_ceil(Self::LENGTH * Self::SIZE);

    pub(crate) const fn new() -> Self {
        Self { segments: Vec::new(), spare: Vec::new(), base: 0, end: 0 }
    }

    /// The number of the next element.
    pub(crate) const fn end(&self) -> u32 {
        self.end
    }

    /// How many elements there are.
    pub(crate) const fn len(&self) -> usize {
        self.end.wrapping_sub(self.base) as usize
    }

    /// Segment and index in it.
    #[inline(always)]
    const fn locate(&self, number: u32) -> (usize, usize) {
        let index = number.wrapping_sub(self.base) as usize;
        (index >> Self::SHIFT, index & (Self::LENGTH - 1))
    }

    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (segment, index) = self.locate(number);
        self.segments.get(segment)?.get(index)
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (segment, index) = self.locate(number);
        self.segments.get_mut(segment)?.get_mut(index)
    }

    /// The elements that lie next to each other from this number on, if there are any.
    #[inline]
    pub(crate) fn slots_from(&mut self, number: u32) -> Option<&mut [T]> {
        let (segment, index) = self.locate(number);
        self.segments.get_mut(segment)?.get_mut(index..).filter(|slots| !slots.is_empty())
    }

    /// Appends an element. Amortized O(1); no call moves more than one segment. (`make` runs when there is
    /// room, so that the compiler builds the element in place.)
    #[inline(always)]
    pub(crate) fn push_with(&mut self, make: impl FnOnce() -> T) -> u32 {
        let number = self.end;
        self.end = number.wrapping_add(1);
        loop {
            match self.segments.last_mut() {
                Some(last) if last.len() < last.capacity() => {
                    last.push(make());
                    return number;
                }
                _ => self.make_room(),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) -> u32 {
        self.push_with(|| value)
    }

    /// The first segment may stay small; of the others, most will be full. They double: none outgrows its length.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self) {
        match self.segments.last_mut() {
            Some(last) if last.len() < Self::LENGTH => last.reserve_exact(last.len().max(FEW)),
            last => {
                let capacity = if last.is_none() { FEW } else { Self::LENGTH / 4 };
                let segment = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(capacity));
                self.segments.push(segment);
            }
        }
    }

    /// Frees the segments that hold only elements before `number`.
    #[inline]
    pub(crate) fn release_before(&mut self, number: u32) {
        let (full, _) = self.locate(number);
        if full > 0 {
            self.segments.drain(..full.min(self.segments.len()));
            self.base = self.base.wrapping_add((full << Self::SHIFT) as u32);
        }
    }

    /// Every element with its number, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let base = self.base;
        let numbered = move |(index, value)| (base.wrapping_add(index as u32), value);
        self.segments.iter().flatten().enumerate().map(numbered)
    }

    /// Removes all elements. The memory stays for as many again, up to a few segments: to give it back and
    /// ask for it anew would cost more than the rest, above all beside small pieces of text.
    pub(crate) fn clear(&mut self) {
        self.segments.truncate(Self::KEPT);
        self.segments.iter_mut().for_each(Vec::clear);
        self.spare.clear();
        self.spare.extend(self.segments.drain(..).rev());
        (self.base, self.end) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(segments: &Segments<u64>) -> Vec<(u32, u64)> {
        segments.iter().map(|(number, value)| (number, *value)).collect()
    }

    #[test]
    fn elements_stay_at_their_number_over_many_segments() {
        let mut segments = Segments::new();
        let many = 3 * Segments::<u64>::LENGTH as u64 + 5;
        for value in 0..many {
            assert_eq!(segments.push(value), value as u32);
        }
        assert!((0..many).all(|value| segments.get(value as u32) == Some(&value)));
        assert_eq!((segments.get(many as u32), segments.len()), (None, many as usize));
    }

    #[test]
    fn releasing_frees_whole_segments_only() {
        let length = Segments::<u64>::LENGTH as u32;
        let mut segments = Segments::new();
        (0..2 * u64::from(length) + 1).for_each(|value| _ = segments.push(value));
        segments.release_before(length - 1);
        assert!(segments.get(0).is_some());
        segments.release_before(length);
        assert_eq!((segments.get(length - 1), segments.get(length)), (None, Some(&u64::from(length))));
        assert_eq!(segments.len(), length as usize + 1);
        assert_eq!(segments.push(7), 2 * length + 1);
    }

    #[test]
    fn numbers_wrap_around() {
        let mut segments = Segments { base: u32::MAX - 1, end: u32::MAX - 1, ..Segments::new() };
        for value in 0..4 {
            segments.push(value);
        }
        assert_eq!(numbers(&segments), [(u32::MAX - 1, 0), (u32::MAX, 1), (0, 2), (1, 3)]);
        assert_eq!(segments.get(1), Some(&3));
    }

    #[test]
    fn a_cleared_list_counts_from_zero() {
        let mut segments = Segments::new();
        (0..10_u64).for_each(|value| _ = segments.push(value));
        segments.clear();
        assert_eq!((segments.len(), segments.push(5)), (0, 0));
        let many = 2 * Segments::<u64>::LENGTH as u64;
        (1..many).for_each(|value| _ = segments.push(value));
        segments.clear();
        assert!((0..many).all(|value| segments.push(value) == value as u32));
        assert!((0..many).all(|value| segments.get(value as u32) == Some(&value)));
    }

    #[test]
    fn a_cleared_list_keeps_memory_for_as_many_again_and_no_more() {
        let length = Segments::<u64>::LENGTH as u64;
        let capacity = |segments: &Segments<u64>| -> usize {
            segments.segments.iter().chain(&segments.spare).map(Vec::capacity).sum()
        };
        let mut segments = Segments::new();
        (0..3 * length).for_each(|value| _ = segments.push(value));
        let full = capacity(&segments);
        segments.clear();
        assert_eq!(capacity(&segments), full);
        (0..length + 1).for_each(|value| _ = segments.push(value));
        assert_eq!(capacity(&segments), full, "nothing is asked for anew");
        segments.clear();
        assert_eq!(capacity(&segments), 2 * full / 3, "what was not needed goes");
    }
}
