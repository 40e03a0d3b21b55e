//! Numbered slots for values of one type, which stay where they are and are used again.
//!
//! Slots lie in chunks, so that growing neither moves a value nor takes more than a chunk ahead. A chunk
//! begins on a boundary of 64 bytes, so that a slot of 64 bytes is one cache line.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The number of a slot. It is the value's as long as that is in, and is used again after.
pub(crate) type SlotId = u32;

/// Values in numbered slots.
pub(crate) struct Slab<T> {
    chunks: Vec<Box<Chunk<T>>>,
    /// The slot freed last. Each free slot names the one freed before it.
    free: Option<SlotId>,
    /// How many slots have been used.
    slots: SlotId,
    len: usize,
}

#[repr(align(64))]
struct Chunk<T>([Slot<T>; SLOTS]);

/// Slots in a chunk.
const SLOTS: usize = 128;

enum Slot<T> {
    Taken(T),
    Free(Option<SlotId>),
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: None, slots: 0, len: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many slots have been used at the same time.
    pub(crate) const fn used(&self) -> SlotId {
        self.slots
    }

    #[inline(always)]
    fn slot(&self, slot: SlotId) -> Option<&Slot<T>> {
        let slot = slot as usize;
        Some(&self.chunks.get(slot / SLOTS)?.0[slot % SLOTS])
    }

    #[inline(always)]
    fn slot_mut(&mut self, slot: SlotId) -> Option<&mut Slot<T>> {
        let slot = slot as usize;
        Some(&mut self.chunks.get_mut(slot / SLOTS)?.0[slot % SLOTS])
    }

    #[inline]
    pub(crate) fn get(&self, slot: SlotId) -> Option<&T> {
        match self.slot(slot) {
            Some(Slot::Taken(value)) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: SlotId) -> Option<&mut T> {
        match self.slot_mut(slot) {
            Some(Slot::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// Puts a value in the slot freed last, or in a new one. (`make` runs when there is room, so that the
    /// compiler builds the value in place.)
    #[inline(always)]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce() -> T) -> SlotId {
        let slot = self.free.unwrap_or(self.slots);
        if slot == self.slots {
            self.grow();
        }
        if let Some(place) = self.slot_mut(slot) {
            if let Slot::Free(next) = *place {
                *place = Slot::Taken(make());
                self.free = next;
                self.len += 1;
            }
        }
        slot
    }

    #[cfg(test)]
    fn insert(&mut self, value: T) -> SlotId {
        self.insert_with(|| value)
    }

    /// Adds one slot.
    #[inline]
    fn grow(&mut self) {
        if self.slots as usize % SLOTS == 0 {
            self.add_chunk();
        }
        self.slots += 1;
    }

    #[cold]
    fn add_chunk(&mut self) {
        self.chunks.push(Box::new(Chunk([const { Slot::Free(None) }; SLOTS])));
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, slot: SlotId) -> Option<T> {
        let free = self.free;
        let place = self.slot_mut(slot)?;
        if matches!(place, Slot::Free(_)) {
            return None;
        }
        let Slot::Taken(value) = core::mem::replace(place, Slot::Free(free)) else { return None };
        self.free = Some(slot);
        self.len -= 1;
        Some(value)
    }

    /// All values with their slots, in order of these.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotId, &T)> {
        let slots = self.chunks.iter().flat_map(|chunk| &chunk.0);
        slots.zip(0..).filter_map(|(place, slot)| match place {
            Slot::Taken(value) => Some((slot, value)),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::num::NonZeroU64;

    #[test]
    fn slots_keep_their_values_and_are_used_again() {
        let mut slab = Slab::new();
        let slots: Vec<_> = (0..3_000_u32).map(|n| slab.insert(n.to_string())).collect();
        assert_eq!(slots, (0..3_000).collect::<Vec<_>>());
        for slot in (0..3_000).step_by(2) {
            assert_eq!(slab.remove(slot), Some(slot.to_string()));
            assert_eq!(slab.remove(slot), None);
        }
        assert_eq!((slab.len(), slab.get(4), slab.get(5)), (1_500, None, Some(&"5".to_string())));
        assert_eq!(slab.insert("new".into()), 2_998, "the slot freed last");
        assert_eq!(slab.iter().count(), 1_501);
        assert_eq!(slab.iter().next(), Some((1, &"1".to_string())));
        let fresh: Vec<_> = (0..1_500).map(|_| slab.insert(String::new())).collect();
        assert_eq!((fresh[1_498], fresh[1_499], slab.len()), (0, 3_000, 3_001));
        assert_eq!((slab.get(3_001), slab.get(u32::MAX)), (None, None));
    }

    #[test]
    fn a_slot_is_no_larger_than_its_value() {
        assert_eq!(size_of::<Chunk<(u64, NonZeroU64)>>(), 16 * SLOTS);
    }
}
