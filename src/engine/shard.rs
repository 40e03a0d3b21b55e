//! An engine as one of several shards: besides its own events it takes the times of the others'.

use alloc::vec::Vec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::clock::Movers;
use crate::engine::ordered::UnplacedEvent;
use crate::engine::shared::{Out, Unplaced};
use crate::engine::state::State;
use crate::engine::{Engine, move_clock};
use crate::event::EventRef;

/// All that a shard needs of its engine beyond the public interface.
pub(crate) struct ShardDriver<'e, K: Key, V: Value, A: Aggregate<K, V>> {
    engine: &'e mut Engine<K, V, A>,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    #[inline(always)]
    pub(crate) const fn as_shard(&mut self) -> ShardDriver<'_, K, V, A> {
        ShardDriver { engine: self }
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> ShardDriver<'_, K, V, A> {
    /// What tells the events that may move the clock.
    pub(crate) const fn movers(&self) -> Movers {
        self.engine.state.shared.clock.movers()
    }

    /// Takes the time of an event of another shard, and counts it.
    pub(crate) fn pass(&mut self, event: &EventRef<'_, K, V>, out: Out<'_, K, V, A>) {
        self.observe(event, out);
        self.engine.state.shared.last_seq += 1;
    }

    /// Takes the times of some of these events (`movers`), of any shards, in order, and counts a number of events of
    /// other shards. A plain engine needs the last time only, which is the greatest: due sessions come in the same
    /// order, however many steps the clock takes. (That costs no branch that cannot be foreseen.)
    #[inline(always)]
    pub(crate) fn pass_all(
        &mut self,
        events: &[EventRef<'_, K, V>],
        movers: &[u32],
        passed: usize,
        out: Out<'_, K, V, A>,
    ) {
        let State { shared, plan, .. } = &mut self.engine.state;
        if !shared.is_plain {
            movers.iter().for_each(|i| self.observe(&events[*i as usize], out));
        } else if let Some(last) = movers.last() {
            move_clock(&events[*last as usize], shared, plan, out);
        }
        self.engine.state.shared.last_seq += passed as u64;
    }

    #[inline]
    fn observe(&mut self, event: &EventRef<'_, K, V>, out: Out<'_, K, V, A>) {
        let State { shared, plan, .. } = &mut self.engine.state;
        if !shared.clock.is_too_early(event) && shared.clock.is_moved_by(event) {
            move_clock(event, shared, plan, out);
        }
    }

    /// Takes the events that waited and that no session took.
    pub(crate) fn take_unplaced(&mut self, why: Unplaced) -> Vec<UnplacedEvent<K, V>> {
        self.engine.take_unplaced(why)
    }
}
