//! Placing an event in gap sessions, which grow and merge in any order of arrival.

use super::{Engine, Out};
use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::session::{Opening, Session};
use crate::sessionizer::Pushed;
use crate::strategy::Reach;
use crate::table::{Home, SlotId};
use crate::time::{Timestamp, micros};

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    #[inline]
    pub(super) fn push_to_gap<'e>(
        &mut self,
        event: Lent<'e, K, V>,
        reach: Reach,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        let end = self.reach_of(&event, reach);
        let hash = self.table.hash(&event.key, 0);
        let Some(home) = self.table.find(hash, &event.key, 0) else {
            return self.open_gap(hash, event, end, out);
        };
        let Some(only) = home.slot() else {
            return self.push_to_several(hash, home, event, end, out);
        };
        let session = self.table.get_mut(only);
        if !Reach::touches(session.first, session.end, event.event_time, end) {
            return self.open_gap(hash, event, end, out);
        }
        session.again = session.begins_again(event.event_time, self.now);
        session.extend(&event, self.rules.first_last, &self.aggregate);
        session.end = session.end.max(end);
        self.counters.placed += 1;
        self.after_change(only, out);
        Pushed::Extended
    }

    /// The key has several open sessions: the event belongs to one, bridges some, or opens another.
    #[cold]
    fn push_to_several<'e>(
        &mut self,
        hash: u32,
        home: Home,
        event: Lent<'e, K, V>,
        end: Timestamp,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        let touches =
            |session: &Session<K, V, A::State>| Reach::touches(session.first, session.end, event.event_time, end);
        let touching = self.table.select(home, end, touches);
        let (slot, pushed) = match touching[..] {
            [] => return self.open_gap(hash, event, end, out),
            [only] => (only, Pushed::Extended),
            _ => (self.merge(hash, &touching), Pushed::Merged),
        };
        let (order, aggregate, now) = (self.rules.first_last, &self.aggregate, self.now);
        self.table.update(hash, slot, |session| {
            session.again = session.begins_again(event.event_time, now);
            session.extend(&event, order, aggregate);
            session.end = session.end.max(end);
        });
        self.counters.placed += 1;
        self.after_change(slot, out);
        pushed
    }

    /// Up to which instant this event keeps a session open.
    #[inline]
    pub(super) fn reach_of(&self, event: &Lent<'_, K, V>, reach: Reach) -> Timestamp {
        let own = self.rules.gap_of.as_ref().and_then(|gap_of| gap_of(event));
        reach.of(event.event_time, own.map_or(reach.gap, micros))
    }

    fn open_gap<'e>(
        &mut self,
        hash: u32,
        event: Lent<'e, K, V>,
        end: Timestamp,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        if self.is_over(end) {
            return self.late(event);
        }
        if !self.make_room(1, out) {
            return self.full(event);
        }
        let opened = self.arrivals;
        let slot =
            self.open(hash, &event, Opening { bucket: 0, end, opened, part: 1, again: event.event_time < self.now });
        self.after_change(slot, out);
        Pushed::Opened
    }

    /// Joins sessions that an event bridges. The one that opened first goes on.
    fn merge(&mut self, hash: u32, touching: &[SlotId]) -> SlotId {
        let opened = |slot: &SlotId| self.table.get(*slot).opened;
        let survivor = *touching.iter().min_by_key(|slot| opened(slot)).expect("there are at least two");
        for &slot in touching.iter().filter(|slot| **slot != survivor) {
            let other = self.table.remove(slot);
            let (order, aggregate) = (self.rules.first_last, &self.aggregate);
            self.table.update(hash, survivor, |session| session.merge(other, order, aggregate));
            self.counters.merged += 1;
        }
        survivor
    }
}
