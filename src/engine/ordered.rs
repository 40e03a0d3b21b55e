//! Placing events in order of time: gap sessions with a maximum duration or a cut rule.
//!
//! Where a session is cut depends on every event before. So an event ahead of the watermark is held;
//! when the watermark reaches it, nothing can come before it any more, and it is placed for good.
//! Between two held events the sessions that end are closed, as if the watermark had come by slowly.
//! An event at the watermark itself needs no holding: whatever comes at the same time comes later.

use super::{Engine, Out, Placed, Plan};
use crate::aggregate::Aggregate;
use crate::config::Moment;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::session::{FirstLast, Mark, Opening};
use crate::strategy::Reach;
use crate::table::SlotId;
use crate::time::Timestamp;
use crate::window::is_past;

/// Whether an event belongs to a session.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    Joins(SlotId),
    /// It would, but a cut falls between the session's last event and this one.
    Cuts(SlotId),
    No,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    #[inline(never)]
    pub(super) fn push_in_order(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        reach: Reach,
        out: Out<'_, K, V, A>,
    ) -> Placed {
        if !self.make_room(1, out) {
            return self.full();
        }
        let arrival = self.arrivals;
        if event.event_time > self.now {
            self.held.hold(event, arrival);
            return Placed::Held;
        }
        let end = self.reach_of(event, reach);
        let behind = event.event_time < self.now;
        let fit = self.find_fit(event, hash, reach, end);
        if !matches!(fit, Fit::Joins(_)) && self.is_over(end.min(reach.limit(event.event_time))) {
            return self.late();
        }
        let (slot, placed) = self.put(event, hash, arrival, end, fit, behind);
        self.after_change(hash, slot, out);
        self.quota = self.rules.close_most;
        self.close_due(self.now, out);
        placed
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
            let end = self.reach_of(&event.lend(), reach);
            let hash = self.table.hash(event.key.lend(), 0);
            let fit = self.find_fit(&event.lend(), hash, reach, end);
            let (slot, _) = self.put(&event.lend(), hash, arrival, end, fit, false);
            if self.is_reported(slot) {
                self.enqueue(hash, slot);
            }
        }
        self.held.give_back(event, place);
        true
    }

    /// The latest session of the key that the event belongs to, or else the latest that it cuts.
    fn find_fit(&self, event: &Lent<'_, K, V>, hash: u32, reach: Reach, end: Timestamp) -> Fit {
        let Some(home) = self.table.find_key(hash, event.key) else { return Fit::No };
        let mut best = Fit::No;
        for slot in self.table.before(home, end) {
            match self.fit(slot, event, reach, end) {
                Fit::No => {}
                Fit::Cuts(_) if best != Fit::No => {}
                Fit::Cuts(slot) => best = Fit::Cuts(slot),
                Fit::Joins(slot) => return Fit::Joins(slot),
            }
        }
        best
    }

    /// Puts an event where it belongs.
    fn put(
        &mut self,
        event: &Lent<'_, K, V>,
        hash: u32,
        arrival: u64,
        end: Timestamp,
        fit: Fit,
        behind: bool,
    ) -> (SlotId, Placed) {
        let part = match fit {
            Fit::Joins(slot) => {
                self.extend_in_order(slot, event, hash, arrival, end, behind);
                return (slot, Placed::Extended);
            }
            Fit::Cuts(slot) => self.cut(hash, slot, event.event_time),
            Fit::No => 1,
        };
        let home = self.table.find_key(hash, event.key);
        let opening = Opening { place: end, opened: arrival, part, again: behind };
        let slot = self.open(event, opening);
        self.make_known(hash, home, slot);
        (slot, Placed::Opened)
    }

    fn fit(&self, slot: SlotId, event: &Lent<'_, K, V>, reach: Reach, end: Timestamp) -> Fit {
        let session = self.table.get(slot);
        let time = event.event_time;
        let (first, last) = (session.first.min(time), session.last.max(time));
        let is_cut_off = session.is(Mark::Cut) && time >= session.last;
        let is_too_long = is_past(reach.limit(first), last);
        if is_cut_off || is_too_long || !Reach::touches(session.first, session.place, time, end) {
            return Fit::No;
        }
        let this = Moment { time, value: event.value };
        if time >= session.last {
            let latest = self.table.extra(slot, session).and_then(|extra| extra.previous.as_ref());
            let previous = Moment { time: session.last, value: latest.unwrap_or(&session.last_value).lend() };
            return match self.cuts(previous, this) {
                true if self.is_current(slot) => Fit::No,
                true => Fit::Cuts(slot),
                false => Fit::Joins(slot),
            };
        }
        // By arrival the value of the earliest event is not kept; only behind the watermark is it missed.
        if time < session.first && self.rules.first_last == FirstLast::EventTime {
            let next = Moment { time: session.first, value: session.first_value.lend() };
            if self.cuts(this, next) {
                return Fit::No;
            }
        }
        Fit::Joins(slot)
    }

    /// Whether a session ends between two events that follow each other.
    fn cuts(&self, previous: Moment<V::Ref<'_>>, next: Moment<V::Ref<'_>>) -> bool {
        let Plan::Ordered { days, .. } = &self.rules.plan else { return false };
        days.as_ref().is_some_and(|days| days.window_of(previous.time) != days.window_of(next.time))
            || self.rules.cut.as_ref().is_some_and(|rule| rule(previous, next))
    }

    /// Ends a session where another begins, but not before its own last event. Returns the part that
    /// begins: sessions cut within one instant are numbered.
    fn cut(&mut self, hash: u32, slot: SlotId, time: Timestamp) -> u32 {
        let part = self.part_of(slot);
        let session = self.table.get_mut(slot);
        session.mark(Mark::Cut, true);
        session.place = time.max(session.last.shift(1));
        // (A straggler may have moved the start of a session that began at this instant.)
        let within_an_instant = session.first == time || (session.is(Mark::Again) && session.last == time);
        self.enqueue(hash, slot);
        if within_an_instant { part.saturating_add(1) } else { 1 }
    }

    fn extend_in_order(
        &mut self,
        slot: SlotId,
        event: &Lent<'_, K, V>,
        hash: u32,
        arrival: u64,
        end: Timestamp,
        behind: bool,
    ) {
        let (order, aggregate) = (self.rules.first_last, &self.aggregate);
        let is_earlier = self.table.update(hash, slot, |table| {
            let before = table.get(slot);
            let (first, opened) = (before.first, before.opened);
            if order == FirstLast::EventTime {
                table.get_mut(slot).extend(event, order, aggregate);
            } else {
                let (session, extra) = table.with_extra(slot);
                session.extend_by_arrival(extra, event, arrival, aggregate);
            }
            if table.get(slot).is(Mark::Extra) {
                table.outdate(slot);
            }
            let session = table.get_mut(slot);
            session.opened = opened.min(arrival);
            if !session.is(Mark::Cut) {
                session.place = session.place.max(end);
            }
            if behind && session.first < first {
                session.mark(Mark::Again, true);
            }
            session.first < first || session.opened < opened
        });
        self.counters.placed += 1;
        if is_earlier {
            // It may be over sooner, or come before another.
            self.enqueue(hash, slot);
            self.note_age(slot);
        }
    }
}
