//! Events that wait for the watermark, in order of time.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::data::{Key, Value};
use crate::event::{Event, Lent};
use crate::time::Timestamp;

/// A heap of events, first by event time, then by number of push. Places are used again with their
/// buffers, so that holding allocates nothing once the buffer has grown.
pub(crate) struct Held<K, V> {
    order: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    events: Vec<Option<Event<K, V>>>,
    free: Vec<usize>,
}

impl<K: Key, V: Value> Held<K, V> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The time of the first event.
    pub(crate) fn first_time(&self) -> Option<Timestamp> {
        self.order.peek().map(|Reverse((time, ..))| *time)
    }

    pub(crate) fn hold(&mut self, event: &Lent<'_, K, V>, arrival: u64) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        match &mut self.events[place] {
            Some(kept) => {
                kept.key.replace(event.key);
                kept.value.replace(event.value);
                (kept.event_time, kept.arrival_time) = (event.event_time, event.arrival_time);
            }
            empty => *empty = Some(keep::<K, V>(event)),
        }
        self.order.push(Reverse((event.event_time, arrival, place)));
    }

    /// Takes the first event out, with its number and its place, to which it must be given back.
    pub(crate) fn take_first(&mut self) -> Option<(Event<K, V>, u64, usize)> {
        let Reverse((_, arrival, place)) = self.order.pop()?;
        Some((self.events[place].take()?, arrival, place))
    }

    /// Gives an event back once it is placed, for its buffers to be used again.
    pub(crate) fn give_back(&mut self, event: Event<K, V>, place: usize) {
        self.events[place] = Some(event);
        self.free.push(place);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Every event with its number, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Event<K, V>, u64)> {
        let mut order: Vec<_> = self.order.iter().map(|Reverse(entry)| *entry).collect();
        order.sort_unstable();
        order.into_iter().filter_map(|(_, arrival, place)| Some((self.events[place].as_ref()?, arrival)))
    }
}

fn keep<K: Key, V: Value>(event: &Lent<'_, K, V>) -> Event<K, V> {
    Event {
        key: K::keep(event.key),
        event_time: event.event_time,
        arrival_time: event.arrival_time,
        value: V::keep(event.value),
    }
}
