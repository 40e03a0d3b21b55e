//! Placing events in order of time: gap sessions with a maximum duration or a cut rule.
//!
//! Where a session is cut depends on every event before. So an event ahead of the watermark is held;
//! when the watermark reaches it, nothing can come before it any more, and it is placed for good.
//! Between two held events the sessions that end are closed, as if the watermark had come by slowly.
//! An event at the watermark itself needs no holding: whatever comes at the same time comes later.

use super::{Engine, Out, Plan};
use crate::aggregate::Aggregate;
use crate::config::Moment;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::session::{FirstLast, Opening, Session};
use crate::sessionizer::Pushed;
use crate::strategy::Reach;
use crate::table::SlotId;
use crate::time::Timestamp;
use crate::window::is_past;

/// Whether an event belongs to a session.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    Joins,
    /// It would, but a cut falls between the session's last event and this one.
    Cuts,
    No,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    pub(super) fn push_in_order<'e>(
        &mut self,
        event: Lent<'e, K, V>,
        reach: Reach,
        out: Out<'_, K, V, A>,
    ) -> Pushed<Lent<'e, K, V>> {
        if !self.make_room(1, out) {
            return self.full(event);
        }
        let arrival = self.arrivals;
        if event.event_time > self.now {
            self.held.hold(&event, arrival);
            return Pushed::Held;
        }
        let over = self.reach_of(&event, reach).min(reach.limit(event.event_time));
        let (slot, pushed) = match self.join(&event, reach, arrival) {
            Some(slot) => (slot, Pushed::Extended),
            None if self.is_over(over) => return self.late(event),
            None => (self.open_in_order(&event, reach, arrival), Pushed::Opened),
        };
        self.after_change(slot, out);
        self.close_due(self.now, out);
        pushed
    }

    /// Places the held events up to `time`, and closes what ends before each.
    pub(super) fn settle_until(&mut self, time: Timestamp, out: Out<'_, K, V, A>) {
        while let Some(first) = self.held.first_time().filter(|first| *first <= time) {
            self.close_due(first.shift(-1), out);
            self.settle_first();
        }
    }

    /// Places the first held event. False: none is held.
    pub(super) fn settle_first(&mut self) -> bool {
        let Some((event, arrival, place)) = self.held.take_first() else { return false };
        if let Plan::Ordered { reach, .. } = self.rules.plan {
            let slot = self.join(&event.lend(), reach, arrival);
            let slot = slot.unwrap_or_else(|| self.open_in_order(&event.lend(), reach, arrival));
            if self.table.get(slot).reported().is_some() {
                self.enqueue(slot);
            }
        }
        self.held.give_back(event, place);
        true
    }

    /// Puts an event into a session of its key, if it belongs to one. Otherwise cuts the latest one,
    /// if that is what keeps the event out.
    fn join(&mut self, event: &Lent<'_, K, V>, reach: Reach, arrival: u64) -> Option<SlotId> {
        let end = self.reach_of(event, reach);
        let hash = self.table.hash(&event.key, 0);
        let home = self.table.find(hash, &event.key, 0)?;
        let fits = |slot| (slot, self.fit(self.table.get(slot), event, reach, end));
        let mut fits = self.table.before(home, end).map(fits).filter(|(_, fit)| *fit != Fit::No);
        let latest = fits.next()?;
        let joined = core::iter::once(latest).chain(fits).find(|(_, fit)| *fit == Fit::Joins);
        if let Some((slot, _)) = joined {
            self.extend_in_order(hash, slot, event, arrival, end);
            return Some(slot);
        }
        self.cut(latest.0, event.event_time);
        None
    }

    fn fit(&self, session: &Session<K, V, A::State>, event: &Lent<'_, K, V>, reach: Reach, end: Timestamp) -> Fit {
        let time = event.event_time;
        let (first, last) = (session.first.min(time), session.last.max(time));
        if !Reach::touches(session.first, session.end, time, end) || is_past(reach.limit(first), last) {
            return Fit::No;
        }
        let this = Moment { time, value: event.value };
        if time >= session.last {
            let previous = Moment { time: session.last, value: session.latest() };
            return match self.cuts(previous, this) {
                true if session.is_reported() => Fit::No,
                true => Fit::Cuts,
                false => Fit::Joins,
            };
        }
        // By arrival the value of the earliest event is not kept; only behind the watermark is it missed.
        if time < session.first && self.rules.first_last == FirstLast::EventTime {
            let next = Moment { time: session.first, value: session.first_value.lend() };
            if self.cuts(this, next) {
                return Fit::No;
            }
        }
        Fit::Joins
    }

    /// Whether a session ends between two events that follow each other.
    fn cuts(&self, previous: Moment<V::Ref<'_>>, next: Moment<V::Ref<'_>>) -> bool {
        let Plan::Ordered { days, .. } = &self.rules.plan else { return false };
        days.as_ref().is_some_and(|days| !days.window_of(previous.time).contains(next.time))
            || self.rules.cut.as_ref().is_some_and(|rule| rule(previous, next))
    }

    /// Ends a session where another begins, but not before its own last event.
    fn cut(&mut self, slot: SlotId, time: Timestamp) {
        let session = self.table.get_mut(slot);
        session.cut = true;
        session.end = time.max(session.last.shift(1));
        self.enqueue(slot);
    }

    fn extend_in_order(&mut self, hash: u32, slot: SlotId, event: &Lent<'_, K, V>, arrival: u64, end: Timestamp) {
        let (order, aggregate) = (self.rules.first_last, &self.aggregate);
        let began_earlier = self.table.update(hash, slot, |session| {
            let first = session.first;
            session.extend_with_earlier_arrival(event, arrival, order, aggregate);
            if !session.cut {
                session.end = session.end.max(end);
            }
            session.first < first
        });
        self.counters.placed += 1;
        if began_earlier {
            self.enqueue(slot); // its maximum duration may be over sooner
        }
    }

    fn open_in_order(&mut self, event: &Lent<'_, K, V>, reach: Reach, arrival: u64) -> SlotId {
        let hash = self.table.hash(&event.key, 0);
        let end = self.reach_of(event, reach);
        self.open(hash, event, Opening { bucket: 0, end, opened: arrival, part: 1 })
    }
}
