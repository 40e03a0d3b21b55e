//! Placing an event in gap sessions, which grow and merge in any order of arrival.

use super::{Engine, Out, Placed};
use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::session::{Mark, Opening, Session};
use crate::strategy::Reach;
use crate::table::{Home, SlotId, Visited};
use crate::time::{Timestamp, micros};

/// What a visit to the only session of a key has come to.
enum Visit {
    Extended,
    /// The session had been handed out.
    Corrected(SlotId),
    /// The event does not touch the session.
    Elsewhere,
}

/// Whether a session is over and waits to be handed out: no event joins it. (With a gap per event
/// another may have begun beside it, even before it.)
#[inline]
fn waits<K: Key, V: Value, S>(session: &Session<K, V, S>, now: Timestamp) -> bool {
    session.place <= now && !session.is(Mark::Extra)
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    #[inline(never)]
    pub(super) fn push_to_gap(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        reach: Reach,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        let end = self.reach_of(event, reach);
        let (now, order, aggregate) = (self.now, self.rules.first_last, &self.aggregate);
        let visited = self.table.visit(hash, event.key, |slot, session| {
            if waits(session, now) || !Reach::touches(session.first, session.place, event.event_time, end) {
                return Some(Visit::Elsewhere);
            }
            session.note_beginning(event.event_time, now);
            session.place = session.place.max(end);
            session.extend(event, order, aggregate);
            Some(if session.is(Mark::Extra) { Visit::Corrected(slot) } else { Visit::Extended })
        });
        match visited {
            Visited::One(_, Visit::Extended) => {
                self.counters.placed += 1;
                Placed::Extended
            }
            Visited::One(_, Visit::Corrected(slot)) => self.corrected(hash, slot, out),
            Visited::One(home, Visit::Elsewhere) => self.open_gap(hash, Some(home), event, end, out),
            Visited::Nothing => self.open_gap(hash, None, event, end, out),
            Visited::Several(home) => self.push_to_several(hash, home, event, end, out),
        }
    }

    #[cold]
    fn corrected(&mut self, hash: u32, slot: SlotId, out: Out<'_, K, V, A>) -> Placed {
        self.counters.placed += 1;
        self.table.outdate(slot);
        self.after_change(hash, slot, out);
        Placed::Extended
    }

    /// The key has several open sessions: the event belongs to one, bridges some, or opens another.
    #[cold]
    fn push_to_several(
        &mut self,
        hash: u32,
        home: Home,
        event: &Lent<'_, K, V>,
        end: Timestamp,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        let now = self.now;
        let touches =
            |session: &Session<K, V, A::State>| Reach::touches(session.first, session.place, event.event_time, end);
        let touching = self.table.select(home, end, |session| waits(session, now), touches);
        let (slot, placed) = match touching[..] {
            [] => return self.open_gap(hash, Some(home), event, end, out),
            [only] => (only, Placed::Extended),
            _ => (self.merge(hash, &touching), Placed::Merged),
        };
        let (order, aggregate, now) = (self.rules.first_last, &self.aggregate, self.now);
        self.table.update(hash, slot, |table| {
            let session = table.get_mut(slot);
            session.note_beginning(event.event_time, now);
            session.place = session.place.max(end);
            session.extend(event, order, aggregate);
        });
        if self.table.get(slot).is(Mark::Extra) {
            self.table.outdate(slot);
        }
        self.counters.placed += 1;
        self.after_change(hash, slot, out);
        placed
    }

    /// Up to which instant this event keeps a session open.
    #[inline]
    pub(super) fn reach_of(&self, event: &Lent<'_, K, V>, reach: Reach) -> Timestamp {
        if self.rules.gap_of.is_some() { self.own_reach_of(event, reach) } else { reach.after(event.event_time) }
    }

    #[inline(never)]
    fn own_reach_of(&self, event: &Lent<'_, K, V>, reach: Reach) -> Timestamp {
        let own = self.rules.gap_of.as_ref().and_then(|gap_of| gap_of(event));
        own.map_or_else(|| reach.after(event.event_time), |own| reach.after_own(event.event_time, micros(own)))
    }

    #[inline]
    pub(super) fn open_gap(
        &mut self,
        hash: u32,
        home: Option<Home>,
        event: &Lent<'_, K, V>,
        end: Timestamp,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        if self.is_over(end) {
            return self.late();
        }
        let home = if self.has_room(1) {
            home
        } else if self.make_room(1, out) {
            self.table.find_key(hash, event.key) // the sessions of this key may have had to go
        } else {
            return self.full();
        };
        let opening = Opening { place: end, opened: self.arrivals, part: 1, again: event.event_time < self.now };
        let slot = self.open(event, opening);
        self.make_known(hash, home, slot);
        self.after_change(hash, slot, out);
        Placed::Opened
    }

    /// Joins sessions that an event bridges. The one that opened first goes on.
    fn merge(&mut self, hash: u32, touching: &[SlotId]) -> SlotId {
        let opened = |slot: &SlotId| self.table.get(*slot).opened;
        let survivor = *touching.iter().min_by_key(|slot| opened(slot)).expect("there are at least two");
        for &slot in touching.iter().filter(|slot| **slot != survivor) {
            let Some(other) = self.take_out(hash, slot) else { continue };
            let (order, aggregate) = (self.rules.first_last, &self.aggregate);
            self.table.update(hash, survivor, |table| table.merge(survivor, other, order, aggregate));
            self.counters.merged += 1;
        }
        survivor
    }
}
