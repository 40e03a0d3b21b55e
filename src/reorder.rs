//! Events that wait for the watermark, in order of time.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::data::{Key, Value};
use crate::event::{Event, EventRef};
use crate::time::Timestamp;

/// A heap of events, first by event time, then by number of push. Indices are used again with their
/// buffers, so that holding allocates nothing once the buffer has grown.
pub(crate) struct ReorderBuffer<K, V> {
    order: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    events: Vec<Option<Event<K, V>>>,
    free: Vec<usize>,
}

/// An event that waited, with the number of its push.
pub(crate) struct HeldEvent<K, V> {
    pub(crate) event: Event<K, V>,
    pub(crate) seq: u64,
    index: usize,
}

/// The number of places that may stay when no event is held.
const FEW: usize = 1_024;

impl<K: Key, V: Value> ReorderBuffer<K, V> {
    pub(crate) const fn new() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The time of the first event.
    pub(crate) fn first_time(&self) -> Option<Timestamp> {
        self.order.peek().map(|Reverse((time, ..))| *time)
    }

    /// O(log n).
    pub(crate) fn hold(&mut self, event: &EventRef<'_, K, V>, seq: u64) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        match &mut self.events[index] {
            Some(kept) => {
                kept.key.set_key(event.key);
                kept.value.set_value(event.value);
                (kept.event_time, kept.arrival_time) = (event.event_time, event.arrival_time);
            }
            empty => *empty = Some(keep::<K, V>(event)),
        }
        self.order.push(Reverse((event.event_time, seq, index)));
    }

    /// Takes the first event out; it must be [recycled](Self::recycle). O(log n).
    pub(crate) fn take_first(&mut self) -> Option<HeldEvent<K, V>> {
        let Reverse((_, seq, index)) = self.order.pop()?;
        Some(HeldEvent { event: self.events[index].take()?, seq, index })
    }

    /// Takes an event back once it is assigned, for its buffers to be used again.
    pub(crate) fn recycle(&mut self, held: HeldEvent<K, V>) {
        if self.order.is_empty() && self.events.len() > FEW {
            *self = Self::new();
            return;
        }
        self.events[held.index] = Some(held.event);
        self.free.push(held.index);
    }

    /// Gives an event away that was taken out: its buffers are not used again.
    pub(crate) fn release(&mut self, held: HeldEvent<K, V>) -> Event<K, V> {
        if self.order.is_empty() && self.events.len() > FEW {
            *self = Self::new();
        } else {
            self.free.push(held.index);
        }
        held.event
    }

    /// Gives back memory that a peak has left.
    pub(crate) fn shrink_to_fit(&mut self) {
        let mut before = core::mem::replace(self, Self::new());
        while let Some(held) = before.take_first() {
            self.hold(&held.event.as_event_ref(), held.seq);
        }
    }

    /// Every event with its number, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Event<K, V>, u64)> {
        let mut order: Vec<_> = self.order.iter().map(|Reverse(entry)| *entry).collect();
        order.sort_unstable();
        order.into_iter().filter_map(|(_, seq, index)| Some((self.events[index].as_ref()?, seq)))
    }
}

fn keep<K: Key, V: Value>(event: &EventRef<'_, K, V>) -> Event<K, V> {
    Event {
        key: K::key_from(event.key),
        event_time: event.event_time,
        arrival_time: event.arrival_time,
        value: V::value_from(event.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(times: &[i64]) -> ReorderBuffer<u8, u8> {
        let mut buffer = ReorderBuffer::new();
        for (seq, time) in times.iter().enumerate() {
            buffer.hold(&Event::new(1, Timestamp::from_secs(*time), seq as u8), seq as u64);
        }
        buffer
    }

    #[test]
    fn events_come_out_by_time_then_by_push() {
        let mut buffer = buffer(&[5, 3, 5, 4]);
        assert_eq!(buffer.first_time(), Some(Timestamp::from_secs(3)));
        let mut taken = Vec::new();
        while let Some(held) = buffer.take_first() {
            taken.push(held.seq);
            buffer.recycle(held);
        }
        assert_eq!(taken, [1, 3, 0, 2]);
    }

    #[test]
    fn memory_of_many_is_given_back() {
        let mut buffer = buffer(&[7; FEW + 1]);
        while let Some(held) = buffer.take_first() {
            buffer.recycle(held);
        }
        assert_eq!((buffer.len(), buffer.events.capacity()), (0, 0));
    }
}
