//! Taking events a few dozen at a time.
//!
//! An event needs two or three places in memory, each known only from the one before: the line of
//! the index, the session, the text of its key. One event after the other, each wait is in full.
//! Here the lines of all events are asked for first, then all sessions, so that the waits overlap;
//! then the events are taken one by one. That is plain code: a load whose result nothing depends on
//! does not stop the processor, and what it brings stays in the cache. The result cannot differ.

use alloc::vec::Vec;
use core::mem::{needs_drop, size_of};

use super::{Engine, Out, Plan, recall};
use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::index::Glance;
use crate::session::Session;
use crate::sessionizer::Pushed;
use crate::table::SlotId;

/// So many events are looked at ahead: more than a processor can wait for at once.
pub(crate) const AHEAD: usize = 64;
/// No slot has this number.
const NO_SLOT: SlotId = SlotId::MAX;

fn slot_of(glance: Glance) -> SlotId {
    if let Glance::Likely(slot) = glance { slot } else { NO_SLOT }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    pub(super) fn take_batch<'e>(
        &mut self,
        events: &[Lent<'e, K, V>],
        out: Out<'_, K, V, A>,
    ) -> Vec<Pushed<Lent<'e, K, V>>> {
        let mut returned = Vec::new();
        let mut hashes = [0; AHEAD];
        for events in events.chunks(AHEAD) {
            let looks_ahead = self.is_large();
            if looks_ahead {
                hashes.iter_mut().zip(events).for_each(|(hash, event)| *hash = self.partition(event));
                self.look_ahead(events.iter(), &hashes);
            }
            for (event, hash) in events.iter().zip(hashes) {
                let pushed = self.take(event, looks_ahead.then_some(hash), out).with(*event);
                if pushed.is_returned() {
                    returned.push(pushed);
                }
            }
        }
        returned
    }

    /// Whether the sessions are more than a cache close to the processor holds. If they are in it,
    /// there is nothing to wait for, and looking ahead is in vain.
    pub(crate) fn is_large(&self) -> bool {
        const CACHE: usize = 4 << 20;
        self.table.len() * size_of::<Session<K, V, A::State>>() > CACHE
    }

    /// Has at hand what it takes to find the session of each event, given the hash of its partition.
    /// Each loop does as little as it can: the fewer instructions between two loads, the more of them
    /// the processor has under way.
    pub(crate) fn look_ahead<'a, 'e: 'a>(
        &mut self,
        events: impl Iterator<Item = &'a Lent<'e, K, V>> + Clone,
        hashes: &[u32; AHEAD],
    ) {
        let mut slots = [NO_SLOT; AHEAD];
        if let Plan::Bucketed(rounding) = &self.rules.plan {
            for ((slot, hash), event) in slots.iter_mut().zip(hashes).zip(events.clone()) {
                let place = recall(&mut self.recent, rounding, event.event_time).start.as_micros();
                *slot = slot_of(self.groups.glance(place, *hash));
            }
        } else {
            hashes.iter().for_each(|hash| self.table.touch_index(*hash));
            for (slot, hash) in slots.iter_mut().zip(hashes) {
                *slot = slot_of(self.table.glance(*hash));
            }
        }
        slots.iter().for_each(|slot| self.table.touch(*slot));
        if needs_drop::<K>() {
            // Such a key is likely to keep its text elsewhere.
            slots.iter().zip(events).for_each(|(slot, event)| self.table.touch_key(*slot, event.key));
        }
    }
}
