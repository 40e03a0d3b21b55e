//! Taking events a few dozen at a time.
//!
//! An event needs two or three places in memory, each known only from the one before: the line of
//! the index, the session, the text of its key. One event after the other, each wait is in full.
//! Here the lines of all events are asked for first, then all sessions, so that the waits overlap;
//! then the events are taken one by one. That is plain code: a load whose result nothing depends on
//! does not stop the processor, and its line stays in the cache. The result cannot differ.

use core::hint::black_box;
use core::mem::{needs_drop, size_of};

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::Engine;
use crate::engine::shared::{Out, Outcome};
use crate::engine::state::State;
use crate::event::EventRef;
use crate::session::Session;

/// The number of events looked at ahead: more than a processor can wait for at once.
const AHEAD: usize = 64;
/// The size of a processor's own cache. If the sessions fit into it, looking ahead is in vain.
const CACHE: usize = 8 << 20;

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Takes several events. `each` gets each of them, with its index and its outcome.
    #[inline(always)]
    pub(super) fn take_batch<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        out: Out<'_, K, V, A>,
        mut each: impl FnMut(&Self, usize, EventRef<'e, K, V>, Outcome),
    ) {
        for (chunk, events) in events.chunks(AHEAD).enumerate() {
            let indices = chunk * AHEAD..;
            if self.is_large() {
                let mut hashes = [0; AHEAD];
                self.look_ahead(events, &mut hashes);
                for ((i, event), hash) in indices.zip(events).zip(hashes) {
                    let outcome = self.take(event, Some(hash), out);
                    each(self, i, *event, outcome);
                }
            } else {
                for (i, event) in indices.zip(events) {
                    let outcome = self.take(event, None, out);
                    each(self, i, *event, outcome);
                }
            }
        }
    }

    fn is_large(&self) -> bool {
        self.len() * size_of::<Session<K, V, A::State>>() > CACHE
    }

    /// Loads the index entries and sessions of the events ahead. Each loop does as little as it
    /// can: the fewer instructions between two loads, the more of them the processor has under way.
    fn look_ahead(&mut self, events: &[EventRef<'_, K, V>], hashes: &mut [u64; AHEAD]) {
        let State { plan, shared, .. } = &mut self.state;
        for (hash, event) in hashes.iter_mut().zip(events) {
            *hash = plan.hash(event, shared);
        }
        let mut likely = [None; AHEAD];
        for ((at, hash), event) in likely.iter_mut().zip(&*hashes).zip(events) {
            *at = plan.likely(event, *hash);
        }
        let likely = likely.into_iter().zip(events).filter_map(|(at, event)| Some((at?, event)));
        for (at, _) in likely.clone() {
            black_box(plan.session_at(at).map(|session| session.first));
        }
        if needs_drop::<K>() {
            // Such a key is likely to keep its text elsewhere.
            for (at, event) in likely {
                black_box(plan.session_at(at).map(|session| session.key.key_eq(event.key)));
            }
        }
    }
}
