//! The state machine that wires strategy, table, deadlines and watermark together.
//!
//! `mod.rs` holds what all strategies share: the clock, closing, reporting, room for new sessions.
//! `windows.rs`, `gap.rs` and `ordered.rs` place an event.

mod gap;
mod ordered;
mod parts;
mod windows;

use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

use crate::aggregate::Aggregate;
use crate::config::{CutRule, GapRule, WhenFull};
use crate::data::{Key, Value};
use crate::deadline::{DeadlineQueue, Entry};
use crate::event::Lent;
use crate::held::Held;
use crate::session::{FirstLast, Opening, Report, Session};
use crate::sessionizer::{Clock, Counters, Pushed, Refusal, Sessionizer, SummaryOf};
use crate::strategy::{Hops, Reach, Rounding};
use crate::summary::{CloseReason, Identity, SessionSummary};
use crate::table::{SlotId, Table};
use crate::time::Timestamp;
use crate::window::Window;

pub(crate) use parts::Parts;

/// The sessionizer: made by [`Config::build`](crate::Config::build), used through the
/// [`Sessionizer`] trait.
///
/// # Memory
/// Per open session: its key, two values, the aggregate's state, and about 120 bytes (slot 96,
/// index 10 to 20, deadline 24). Nothing is kept for keys without an open session.
pub struct Engine<K: Key, V: Value, A: Aggregate<K, V> = ()> {
    pub(crate) rules: Rules<K, V>,
    aggregate: A,
    pub(crate) now: Timestamp,
    pub(crate) table: Table<K, V, A::State>,
    queue: DeadlineQueue,
    pub(crate) held: Held<K, V>,
    pub(crate) parts: Parts,
    /// Sessions by opening, kept only to find the oldest.
    ages: BinaryHeap<Reverse<Age>>,
    pub(crate) counters: Counters,
    /// The bucket of the last event, where the next one probably is too.
    recent: Window,
    /// The number of the latest push: what tells which of two events arrived first. Further windows
    /// that it opens take a number each.
    pub(crate) arrivals: u64,
    pub(crate) flushes: u32,
}

/// A checked configuration.
pub(crate) struct Rules<K: Key, V: Value> {
    pub(crate) plan: Plan,
    pub(crate) lateness: i64,
    pub(crate) out_of_order: Option<i64>,
    pub(crate) max_future: Option<i64>,
    pub(crate) first_last: FirstLast,
    pub(crate) most: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) gap_of: Option<GapRule<K, V>>,
    pub(crate) cut: Option<CutRule<V>>,
    pub(crate) settings: Vec<(String, String)>,
}

/// How events find their session.
pub(crate) enum Plan {
    /// One bucket per event, closed by the watermark.
    Bucketed(Rounding),
    /// Several windows per event, closed by the watermark.
    Sliding(Hops),
    /// One bucket per event, or none, closed by age on the arrival clock.
    Arrival { rounding: Option<Rounding>, range: i64, remember: i64 },
    /// Sessions that grow and merge in any order of events.
    Gap(Reach),
    /// Sessions that must be built in order of time.
    Ordered { reach: Reach, days: Option<Rounding> },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    opened: u64,
    slot: SlotId,
    generation: u32,
}

type Out<'o, K, V, A> = &'o mut dyn FnMut(SessionSummary<K, V, <A as Aggregate<K, V>>::Output>);

impl Plan {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bucketed(_) => "stagger windows on the event clock",
            Self::Sliding(_) => "sliding windows",
            Self::Arrival { .. } => "stagger windows on the arrival clock",
            Self::Gap(_) | Self::Ordered { .. } => "gap sessions",
        }
    }

    /// A width for the ticks of the deadline queue: all of a bucket, a fraction of a longer life.
    fn tick(&self) -> i64 {
        match self {
            Self::Bucketed(Rounding::Step { width, .. }) => *width,
            Self::Bucketed(Rounding::Floor { .. }) => 1_000_000,
            Self::Sliding(hops) => hops.slide(),
            Self::Arrival { range, .. } => range / 64,
            Self::Gap(reach) | Self::Ordered { reach, .. } => reach.gap / 64,
        }
    }

    fn reach(&self) -> Option<&Reach> {
        match self {
            Self::Gap(reach) | Self::Ordered { reach, .. } => Some(reach),
            _ => None,
        }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self, Self::Ordered { .. })
    }

    /// Whether a key can have several open sessions that only their times tell apart.
    pub(crate) fn has_several_per_key(&self) -> bool {
        self.reach().is_some()
    }

    /// Whether a session could have come about under this plan.
    pub(crate) fn may_hold<K, V, S>(&self, session: &Session<K, V, S>) -> bool {
        let Session { first, last, end, .. } = *session;
        match self {
            Self::Bucketed(rounding) => {
                let window = rounding.window_of(first);
                window.start.as_micros() == session.bucket && window.end == end && window.contains(last)
            }
            Self::Sliding(hops) => {
                let window = hops.window_of(session.bucket, first);
                window.end == end && window.contains(first) && window.contains(last)
            }
            Self::Arrival { rounding, .. } => {
                let bucket = |t| rounding.as_ref().map_or(0, |r| r.window_of(t).start.as_micros());
                bucket(first) == session.bucket && bucket(last) == session.bucket
            }
            Self::Gap(_) | Self::Ordered { .. } => session.bucket == 0 && end >= last,
        }
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    pub(crate) fn new(rules: Rules<K, V>, aggregate: A) -> Self {
        Self {
            queue: DeadlineQueue::new(rules.plan.tick()),
            rules,
            aggregate,
            now: Timestamp::MIN,
            table: Table::new(),
            held: Held::new(),
            parts: Parts::default(),
            ages: BinaryHeap::new(),
            counters: Counters::default(),
            recent: Window::new(Timestamp::MIN, Timestamp::MIN),
            arrivals: 0,
            flushes: 0,
        }
    }

    /// The settings it was built with, as names and values: those that a snapshot carries.
    #[must_use]
    pub fn settings(&self) -> &[(String, String)] {
        &self.rules.settings
    }

    // --- The clock ---

    /// Moves the clock as the event demands: the derived watermark, or the arrival clock.
    #[inline]
    fn observe(&mut self, event: &Lent<'_, K, V>, out: Out<'_, K, V, A>) {
        let time = match (&self.rules.plan, self.rules.out_of_order) {
            (Plan::Arrival { .. }, _) => event.arrival_time,
            (_, Some(bound)) => event.event_time.shift(-bound),
            (_, None) => return,
        };
        // No event says that the stream is over, not even one at the end of time.
        self.advance(time.min(Timestamp::MAX.shift(-1)), out);
    }

    #[inline]
    fn advance(&mut self, time: Timestamp, out: Out<'_, K, V, A>) {
        if time >= self.now {
            self.now = time;
            if self.held.len() > 0 {
                self.settle_until(time, out);
            }
            self.close_due(time, out);
            self.forget_parts();
        }
    }

    /// Whether a window that ends at `end` is past correcting.
    #[inline]
    fn is_over(&self, end: Timestamp) -> bool {
        self.now >= end.shift(self.rules.lateness)
    }

    // --- Closing ---

    #[inline]
    fn close_due(&mut self, now: Timestamp, out: Out<'_, K, V, A>) {
        while let Some(entry) = self.queue.pop_due(now) {
            self.look_at(entry, out);
        }
    }

    /// An entry of the queue has surfaced: closes its session, lets go of it, or looks again later.
    fn look_at(&mut self, entry: Entry, out: Out<'_, K, V, A>) {
        let Some(session) = self.table.get_if(entry.slot, entry.generation) else { return };
        let deadline = self.due(session);
        if deadline > entry.deadline {
            self.queue.push(Entry { deadline, opened: session.opened, ..entry });
        } else if session.is_reported() {
            self.table.remove(entry.slot);
        } else {
            self.close(entry.slot, None, out);
        }
    }

    /// The instant at which no event joins the session any more.
    fn deadline(&self, session: &Session<K, V, A::State>) -> Timestamp {
        match &self.rules.plan {
            Plan::Bucketed(_) | Plan::Sliding(_) => session.end,
            Plan::Arrival { range, .. } => session.end.shift(*range),
            Plan::Gap(reach) | Plan::Ordered { reach, .. } => session.end.min(reach.limit(session.first)),
        }
    }

    /// The instant at which something must be done about the session.
    fn due(&self, session: &Session<K, V, A::State>) -> Timestamp {
        let deadline = self.deadline(session);
        if session.is_reported() { deadline.shift(self.rules.lateness) } else { deadline }
    }

    /// Queues a look at a session when it is due.
    fn enqueue(&mut self, slot: SlotId) {
        let session = self.table.get(slot);
        let entry = Entry {
            deadline: self.due(session),
            opened: session.opened,
            slot,
            generation: self.table.generation(slot),
        };
        self.queue.push(entry);
    }

    /// Hands a session out. It stays for corrections if lateness is allowed and it ended by itself,
    /// that is, unless it is closed `early`.
    fn close(&mut self, slot: SlotId, early: Option<CloseReason>, out: Out<'_, K, V, A>) {
        if early.is_none() && self.rules.lateness > 0 {
            self.report(slot, out);
            self.enqueue(slot);
        } else {
            let session = self.table.remove(slot);
            self.finish(session, early, out);
        }
    }

    /// Hands out what a session that stays for corrections holds now.
    fn report(&mut self, slot: SlotId, out: Out<'_, K, V, A>) {
        let ending = self.ending(self.table.get(slot), None);
        let report = self.table.get_mut(slot).mark_reported(ending.identity, ending.bucket);
        let copy = self.table.get(slot).copy();
        out(self.summary(copy, ending, report));
    }

    /// Hands out a session that is gone, unless all of it has been.
    fn finish(&mut self, mut session: Session<K, V, A::State>, early: Option<CloseReason>, out: Out<'_, K, V, A>) {
        if session.is_reported() {
            return;
        }
        let ending = self.ending(&session, early);
        let report = match session.extra {
            None => Report { identity: ending.identity, fresh: session.count, correction: None },
            Some(_) => session.mark_reported(ending.identity, ending.bucket),
        };
        self.remember_part(&session, early);
        out(self.summary(session, ending, report));
    }

    fn summary(&mut self, session: Session<K, V, A::State>, ending: Ending, report: Report) -> SummaryOf<Self> {
        self.counters.reported += report.fresh;
        match report.correction {
            Some(_) => self.counters.revisions += 1,
            None => self.counters.closed += 1,
        }
        SessionSummary {
            key: session.key,
            window: ending.window,
            bucket: ending.bucket,
            part: session.part,
            count: session.count,
            first_time: session.first,
            last_time: session.last,
            first_event: session.first_value,
            last_event: session.last_value,
            reason: ending.reason,
            aggregate: self.aggregate.finish(session.state),
            identity: report.identity,
            correction: report.correction,
        }
    }

    fn identity(&self, session: &Session<K, V, A::State>, early: Option<CloseReason>) -> Identity {
        let anchor = match &self.rules.plan {
            Plan::Bucketed(_) | Plan::Sliding(_) | Plan::Arrival { .. } => session.end,
            Plan::Gap(_) | Plan::Ordered { .. } => session.first,
        };
        let again = session.again || early == Some(CloseReason::Evicted);
        Identity { anchor, flushes: self.flushes, opened: if again { session.opened } else { 0 } }
    }

    /// What a summary says of a session that ends now, besides what it holds.
    fn ending(&self, session: &Session<K, V, A::State>, early: Option<CloseReason>) -> Ending {
        let start = Timestamp::from_micros(session.bucket);
        let (window, bucket, reason) = match &self.rules.plan {
            Plan::Bucketed(_) => (Window::new(start, session.end), Some(start), CloseReason::Watermark),
            Plan::Sliding(hops) => {
                let window = hops.window_of(session.bucket, session.first);
                (window, Some(window.start), CloseReason::Watermark)
            }
            Plan::Arrival { rounding, range, .. } => {
                let window = Window::new(session.end, session.end.shift(*range));
                (window, rounding.as_ref().map(|_| start), CloseReason::Range)
            }
            Plan::Gap(reach) | Plan::Ordered { reach, .. } => {
                let limit = reach.limit(session.first);
                let (end, reason) = match () {
                    () if session.cut => (session.end, CloseReason::Cut),
                    () if limit < session.end => (limit, CloseReason::MaxDuration),
                    () => (reach.window_end(session.end), CloseReason::Gap),
                };
                (Window::new(session.first, end), None, reason)
            }
        };
        let identity = self.identity(session, early);
        Ending { window, bucket, reason: early.unwrap_or(reason), identity }
    }

    // --- Opening ---

    /// Opens a session with its first event.
    fn open(&mut self, hash: u32, event: &Lent<'_, K, V>, opening: Opening) -> SlotId {
        let state = self.aggregate.open(event);
        let slot = self.table.insert(hash, self.rules.plan.has_several_per_key(), Session::open(event, opening, state));
        self.enqueue(slot);
        self.counters.opened += 1;
        self.counters.placed += 1;
        self.note_age(slot);
        slot
    }

    /// Opens a session again as a snapshot has it.
    pub(crate) fn resume(&mut self, session: Session<K, V, A::State>) {
        let hash = self.table.hash(&session.key.lend(), session.bucket);
        let slot = self.table.insert(hash, self.rules.plan.has_several_per_key(), session);
        self.enqueue(slot);
        self.note_age(slot);
    }

    /// Remembers how old a session is, if the oldest may have to go.
    fn note_age(&mut self, slot: SlotId) {
        if self.rules.when_full == WhenFull::CloseOldest {
            let (opened, generation) = (self.table.get(slot).opened, self.table.generation(slot));
            self.ages.push(Reverse(Age { opened, slot, generation }));
            self.forget_ages();
        }
    }

    /// Lets go of the ages of sessions that are gone, when they are the greater part.
    fn forget_ages(&mut self) {
        if self.ages.len() > 2 * self.table.len() + 16 {
            let table = &self.table;
            self.ages.retain(|Reverse(age)| table.get_if(age.slot, age.generation).is_some());
        }
    }

    /// Makes room for `more` sessions, as the configuration wants. False: refuse.
    #[inline]
    fn make_room(&mut self, more: usize, out: Out<'_, K, V, A>) -> bool {
        while self.table.len() + self.held.len() + more > self.rules.most {
            if self.rules.when_full == WhenFull::Refuse || !self.evict(out) {
                return false;
            }
        }
        true
    }

    /// Closes the oldest session, or places the first event that is held. False: there is neither.
    #[cold]
    fn evict(&mut self, out: Out<'_, K, V, A>) -> bool {
        while let Some(Reverse(age)) = self.ages.pop() {
            if self.table.get_if(age.slot, age.generation).is_some_and(|session| session.opened == age.opened) {
                self.close(age.slot, Some(CloseReason::Evicted), out);
                return true;
            }
        }
        self.settle_first()
    }

    /// A session kept for corrections has changed: hands out the correction, or waits for its end.
    #[inline]
    fn after_change(&mut self, slot: SlotId, out: Out<'_, K, V, A>) {
        if self.rules.lateness > 0 {
            self.correct(slot, out);
        }
    }

    #[cold]
    fn correct(&mut self, slot: SlotId, out: Out<'_, K, V, A>) {
        if self.table.get(slot).reported().is_some() {
            self.enqueue(slot);
        }
        self.close_due(self.now, out);
    }

    fn late<E>(&mut self, event: E) -> Pushed<E> {
        self.counters.late += 1;
        Pushed::Late(event)
    }

    fn full<E>(&mut self, event: E) -> Pushed<E> {
        self.counters.refused_full += 1;
        Pushed::Refused(event, Refusal::Full)
    }
}

/// The bucket of an event: a look at the last one saves a division, or a search in a time zone.
#[inline]
fn recall(recent: &mut Window, rounding: &Rounding, time: Timestamp) -> Window {
    if time < recent.start || time >= recent.end {
        *recent = rounding.window_of(time);
    }
    *recent
}

/// How a session ends.
#[derive(Clone, Copy)]
struct Ending {
    window: Window,
    bucket: Option<Timestamp>,
    reason: CloseReason,
    identity: Identity,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Sessionizer for Engine<K, V, A> {
    type Key = K;
    type Value = V;
    type Output = A::Output;

    fn push<'e>(&mut self, event: Lent<'e, K, V>, out: &mut dyn FnMut(SummaryOf<Self>)) -> Pushed<Lent<'e, K, V>> {
        self.counters.pushed += 1;
        self.arrivals += 1;
        if let Some(ahead) = self.rules.max_future {
            if event.event_time > event.arrival_time.shift(ahead) {
                self.counters.refused_future += 1;
                return Pushed::Refused(event, Refusal::Future);
            }
        }
        self.observe(&event, out);
        match &self.rules.plan {
            Plan::Bucketed(rounding) => {
                let window = recall(&mut self.recent, rounding, event.event_time);
                self.push_to_bucket(event, window, out)
            }
            Plan::Gap(reach) => {
                let reach = *reach;
                self.push_to_gap(event, reach, out)
            }
            Plan::Arrival { rounding, .. } => {
                let bucket = rounding
                    .as_ref()
                    .map_or(0, |rounding| recall(&mut self.recent, rounding, event.event_time).start.as_micros());
                self.push_to_part(event, bucket, out)
            }
            Plan::Sliding(hops) => {
                let hops = *hops;
                self.push_to_windows(event, hops, out)
            }
            Plan::Ordered { reach, .. } => {
                let reach = *reach;
                self.push_in_order(event, reach, out)
            }
        }
    }

    fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>)) {
        self.advance(time, out);
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn clock(&self) -> Clock {
        match self.rules.plan {
            Plan::Arrival { .. } => Clock::Arrival,
            _ => Clock::Event,
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let closing = (self.table.len() > 0).then(|| self.queue.bound());
        [closing, self.held.first_time()].into_iter().flatten().min()
    }

    fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>)) {
        let forgets = self.table.len() > 0 || self.held.len() > 0 || !self.parts.is_empty();
        self.close_due(self.now, out);
        while self.settle_first() {}
        let mut rest: Vec<_> = self.table.drain().map(|session| (self.deadline(&session), session)).collect();
        rest.sort_unstable_by_key(|(deadline, session)| (*deadline, session.opened));
        for (_, session) in rest {
            self.finish(session, Some(CloseReason::Flush), out);
        }
        self.flushes = self.flushes.wrapping_add(u32::from(forgets));
        self.queue.clear();
        self.held.clear();
        self.ages = BinaryHeap::new();
        self.parts = Parts::default();
    }

    fn counters(&self) -> Counters {
        Counters { held: self.held.len() as u64, ..self.counters }
    }

    fn open_sessions(&self) -> usize {
        self.table.len()
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> fmt::Debug for Engine<K, V, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.rules.settings)
            .field("now", &self.now)
            .field("open_sessions", &self.table.len())
            .field("counters", &self.counters())
            .finish()
    }
}
