//! Placing an event in windows on the arrival clock, which open when their first event arrives.

use super::parts::is_remembered;
use super::{Engine, Out, Placed, Plan};
use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::id::SessionId;
use crate::session::{Opening, Session};
use crate::strategy::Rounding;
use crate::summary::{CloseReason, Identity};
use crate::table::Visited;
use crate::time::Timestamp;
use crate::window::Window;

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// One window, which is never over.
    #[inline(never)]
    pub(super) fn push_to_part(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        window: Option<Window>,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        let Plan::Arrival { rounding, range, remember } = &self.rules.plan else { return self.late() };
        let (range, remember) = (*range, *remember);
        let (order, aggregate) = (self.rules.first_last, &self.aggregate);
        let now = self.has_waiting().then_some(self.now);
        // The part before, if it is over and waits to be handed out: when it opened, and its slot.
        let mut before = None;
        let visited = self.table.visit(hash, event.key, |slot, session| {
            let is_here = window.is_none_or(|window| is_in_bucket(rounding.as_ref(), session, window));
            if is_here && now.is_some_and(|now| session.place.shift(range) <= now) {
                before = before.max(Some((session.opened, session.place, slot)));
                return None;
            }
            is_here.then(|| session.extend(event, order, aggregate))
        });
        if let Visited::One(..) = visited {
            self.counters.placed += 1;
            return Placed::Extended;
        }
        if !self.make_room(1, out) {
            return self.full();
        }
        self.forget_parts();
        let bucket = window.map_or(0, |window| window.start.as_micros());
        let before = before.filter(|(opened, _, slot)| self.table.get_if(*slot, *opened).is_some());
        let part = match before {
            Some((_, place, slot)) if is_remembered(place, self.now, range, remember) => {
                self.part_of(slot).saturating_add(1)
            }
            _ => self.parts.next(|| partition(&K::keep(event.key), bucket)),
        };
        // At the end of time the clock stands still, and a key may open twice at the same instant.
        let again = self.now == Timestamp::MAX;
        let slot = self.open(event, Opening { place: self.now, opened: self.arrivals, part, again });
        self.make_known(hash, None, slot);
        Placed::Opened
    }

    #[inline]
    pub(super) fn forget_parts(&mut self) {
        if let Plan::Arrival { range, remember, .. } = self.rules.plan {
            self.parts.forget(self.now, range, remember);
        }
    }

    /// A straggler may open the same partition again: as the next part.
    #[inline]
    pub(super) fn remember_part(&mut self, session: &Session<K, V, A::State>, part: u32, early: Option<CloseReason>) {
        let plan = &self.rules.plan;
        let Plan::Arrival { remember, .. } = plan else { return };
        if *remember > 0 || early.is_some() {
            self.parts.remember(partition(&session.key, plan.bucket_of(session)), part, session.place);
        }
    }
}

/// Whether a session is of the bucket that is this window. Where the end of the bucket is that of
/// time, the bucket after it may have the same end.
#[inline]
fn is_in_bucket<K, V, S>(rounding: Option<&Rounding>, session: &Session<K, V, S>, window: Window) -> bool {
    let is_last = || rounding.is_none_or(|rounding| rounding.window_of(session.first).start == window.start);
    session.first >= window.start && (session.first < window.end || is_last())
}

/// What tells one partition from another.
fn partition<K: Key>(key: &K, bucket: i64) -> SessionId {
    let identity = Identity { anchor: Timestamp::EPOCH, flushes: 0, opened: 0 };
    SessionId::of(key, Some(Timestamp::from_micros(bucket)), 0, identity)
}
