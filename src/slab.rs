//! Numbered places for values of one type, which stay where they are.
//!
//! Places lie eight in a row on a boundary of 64 bytes, so that one of 64 bytes is one cache line,
//! and in chunks, so that growing neither moves a value nor takes more than a chunk ahead.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The number of a place. It is the value's as long as that is in, and is used again after.
pub(crate) type SlotId = u32;

/// Values in numbered places.
pub(crate) struct Slab<T> {
    chunks: Vec<Box<Chunk<T>>>,
    /// The place freed last. Each free place names the one freed before it.
    free: Option<SlotId>,
    /// How many places have been used.
    places: SlotId,
    len: usize,
}

type Chunk<T> = [Octet<T>; OCTETS];

/// Eight places fill whole cache lines whatever the size of one.
#[repr(align(64))]
struct Octet<T>([Place<T>; 8]);

enum Place<T> {
    Taken(T),
    Free(Option<SlotId>),
}

/// Octets in a chunk: 128 places.
const OCTETS: usize = 16;
const PLACES: usize = 8 * OCTETS;

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: None, places: 0, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn place(&self, slot: SlotId) -> Option<&Place<T>> {
        let slot = slot as usize;
        Some(&self.chunks.get(slot / PLACES)?[slot / 8 % OCTETS].0[slot % 8])
    }

    #[inline]
    fn place_mut(&mut self, slot: SlotId) -> Option<&mut Place<T>> {
        let slot = slot as usize;
        Some(&mut self.chunks.get_mut(slot / PLACES)?[slot / 8 % OCTETS].0[slot % 8])
    }

    #[inline]
    pub(crate) fn get(&self, slot: SlotId) -> Option<&T> {
        match self.place(slot) {
            Some(Place::Taken(value)) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: SlotId) -> Option<&mut T> {
        match self.place_mut(slot) {
            Some(Place::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// Puts a value in the place freed last, or in a new one.
    #[inline(always)]
    pub(crate) fn insert(&mut self, value: T) -> SlotId {
        let slot = self.free.unwrap_or(self.places);
        if slot == self.places {
            self.grow();
        }
        if let Some(place) = self.place_mut(slot) {
            if let Place::Free(next) = *place {
                *place = Place::Taken(value);
                self.free = next;
                self.len += 1;
            }
        }
        slot
    }

    /// Adds one place.
    #[inline]
    fn grow(&mut self) {
        if self.places as usize % PLACES == 0 {
            self.add_chunk();
        }
        self.places += 1;
    }

    #[cold]
    fn add_chunk(&mut self) {
        let octet = |_| Octet([const { Place::Free(None) }; 8]);
        let octets: Vec<_> = (0..OCTETS).map(octet).collect(); // not by way of the stack
        if let Ok(chunk) = octets.into_boxed_slice().try_into() {
            self.chunks.push(chunk);
        }
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, slot: SlotId) -> Option<T> {
        let free = self.free;
        let place = self.place_mut(slot)?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let Place::Taken(value) = core::mem::replace(place, Place::Free(free)) else { return None };
        self.free = Some(slot);
        self.len -= 1;
        Some(value)
    }

    /// All values with their places, in order of these.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotId, &T)> {
        let places = self.chunks.iter().flat_map(|chunk| &**chunk).flat_map(|octet| &octet.0);
        places.zip(0..).filter_map(|(place, slot)| match place {
            Place::Taken(value) => Some((slot, value)),
            Place::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use core::num::NonZeroU64;

    #[test]
    fn places_keep_their_values_and_are_used_again() {
        let mut slab = Slab::new();
        let slots: Vec<_> = (0..3_000_u32).map(|n| slab.insert(n.to_string())).collect();
        assert_eq!(slots, (0..3_000).collect::<Vec<_>>());
        for slot in (0..3_000).step_by(2) {
            assert_eq!(slab.remove(slot), Some(slot.to_string()));
            assert_eq!(slab.remove(slot), None);
        }
        assert_eq!((slab.len(), slab.get(4), slab.get(5)), (1_500, None, Some(&"5".to_string())));
        assert_eq!(slab.insert("new".into()), 2_998, "the place freed last");
        assert_eq!(slab.iter().count(), 1_501);
        assert_eq!(slab.iter().next(), Some((1, &"1".to_string())));
        let fresh: Vec<_> = (0..1_500).map(|_| slab.insert(String::new())).collect();
        assert_eq!((fresh[1_498], fresh[1_499], slab.len()), (0, 3_000, 3_001));
        assert_eq!((slab.get(3_001), slab.get(u32::MAX)), (None, None));
    }

    #[test]
    fn a_place_is_no_larger_than_what_is_in_it() {
        assert_eq!(size_of::<Octet<(u64, NonZeroU64)>>(), 2 * 64);
    }
}
