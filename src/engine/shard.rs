//! What an engine needs to be one of several that make a whole.

use super::{Drive, Engine, Out, Plan, is_future};
use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::{Event, Lent};
use crate::sessionizer::Pushed;
use crate::time::Timestamp;

/// All that it takes to know how far an event moves the clock.
#[derive(Clone, Copy)]
pub(crate) struct ClockRule {
    drive: Drive,
    max_future: Option<i64>,
}

impl ClockRule {
    /// To where an event moves the clock: to the beginning of time, if it does not.
    #[inline]
    pub(crate) fn clock_of<K, V>(&self, event: &Event<K, V>) -> Timestamp {
        let clock =
            if is_future(self.max_future, event) { None } else { self.drive.clock_at(self.drive.time_of(event)) };
        clock.unwrap_or(Timestamp::MIN)
    }
}

impl Plan {
    /// How many numbers the sessions that one event opens may take.
    pub(crate) fn numbers_per_event(&self) -> u64 {
        if let Self::Sliding(hops) = self { hops.most_per_event().next_power_of_two() } else { 1 }
    }

    /// Whether the hash of a partition is that of its key.
    pub(crate) fn hashes_key_only(&self) -> bool {
        !matches!(self, Self::Arrival { .. })
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Takes an event in as the push of this number.
    #[inline]
    pub(crate) fn push_as<'e>(
        &mut self,
        number: u64,
        event: &Lent<'e, K, V>,
        hash: Option<u32>,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        self.arrivals = number.wrapping_sub(1);
        self.take(event, hash, out).with(*event)
    }

    pub(crate) fn clock_rule(&self) -> ClockRule {
        ClockRule { drive: self.rules.drive, max_future: self.rules.max_future }
    }
}
