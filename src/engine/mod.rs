//! The state machine that wires strategy, table, deadlines and watermark together.
//!
//! `mod.rs` holds what all strategies share: the clock, opening, room for new sessions. `windows.rs`,
//! `arrival.rs`, `gap.rs` and `ordered.rs` place an event, and `closing.rs` hands sessions out.

mod arrival;
mod closing;
mod gap;
mod batch;
mod ordered;
mod parts;
#[cfg(feature = "std")]
mod shard;
mod windows;

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;

use crate::aggregate::Aggregate;
use crate::config::{CutRule, GapRule, WhenFull};
use crate::data::{Key, Value};
use crate::deadline::{DeadlineQueue, Entry};
use crate::event::{Event, Lent};
use crate::groups::Groups;
use crate::held::Held;
use crate::index::Glance;
use crate::session::{Extra, FirstLast, Mark, Opening, Session};
use crate::sessionizer::{Clock, Counters, Pushed, Refusal, Sessionizer, SummaryOf};
use crate::strategy::{Hops, Reach, Rounding};
use crate::summary::{CloseReason, SessionSummary};
use crate::table::{Home, SlotId, Table, Taken};
use crate::time::Timestamp;
use crate::window::Window;

#[cfg(feature = "std")]
pub(crate) use batch::AHEAD;
use closing::Over;
pub(crate) use parts::Parts;
#[cfg(feature = "std")]
pub(crate) use shard::ClockRule;
use windows::WindowPlace;

/// The sessionizer: made by [`Config::build`](crate::Config::build), used through the
/// [`Sessionizer`] trait.
///
/// # Memory
/// Bytes per open session, beyond its key, its two values and the aggregate's state:
///
/// | for | bytes |
/// |---|---|
/// | its slot | 40, and what rounds the whole up to a multiple of the greatest alignment in it |
/// | its place in the index | 9 to 11: 32 for six places, of which 48 to 60 % are taken |
/// | its deadline, where deadlines differ | 8 to 9; with fewer than 16 sessions per 256th of the gap or range, up to 16 |
/// | its place in a window on the event clock | 8 to 16 |
///
/// Slots come 128 at a time. So with a key and two values of eight bytes, gap sessions take 58 to 64
/// bytes more (58.3 measured at a million sessions), and STEP windows 70 to 76, with the memory of a
/// window that is over kept for the next. Sessions with a part above 1, or kept for corrections, take
/// about 100 bytes more. Nothing is kept for keys without an open session, and after a flush nothing.
///
/// # Speed
/// `docs/PERFORMANCE.md` in the repository has the figures, next to loops written by hand.
pub struct Engine<K: Key, V: Value, A: Aggregate<K, V> = ()> {
    pub(crate) rules: Rules<K, V>,
    aggregate: A,
    pub(crate) now: Timestamp,
    /// No event before this moves the clock.
    ahead: Timestamp,
    pub(crate) table: Table<K, V, A::State>,
    /// Sessions whose deadlines differ.
    queue: DeadlineQueue,
    /// Sessions that share their deadline with all others of their window.
    groups: Groups,
    pub(crate) held: Held<K, V>,
    pub(crate) parts: Parts,
    /// Windows that are over, whose sessions have not all been handed out.
    over: VecDeque<Over>,
    /// How many sessions this call may still hand out.
    quota: usize,
    /// Whether sessions that are over may wait.
    pub(crate) may_wait: bool,
    /// Deadline and opening of each session handed out, if somebody must put them in order with
    /// those of others.
    pub(crate) order: Option<Vec<(Timestamp, u64)>>,
    /// Sessions by opening, kept only to find the oldest.
    ages: BinaryHeap<Reverse<Age>>,
    pub(crate) counters: Counters,
    /// The bucket of the last event, where the next one probably is too, and that of the last
    /// session handed out.
    recent: Window,
    closing: Window,
    /// The number of the latest push: what tells which of two events arrived first. Further windows
    /// that it opens take a number each.
    pub(crate) arrivals: u64,
    pub(crate) flushes: u32,
}

/// A checked configuration.
pub(crate) struct Rules<K: Key, V: Value> {
    pub(crate) plan: Plan,
    pub(crate) lateness: i64,
    pub(crate) drive: Drive,
    pub(crate) max_future: Option<i64>,
    pub(crate) first_last: FirstLast,
    pub(crate) most: usize,
    pub(crate) close_most: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) gap_of: Option<GapRule<K, V>>,
    pub(crate) cut: Option<CutRule<V>>,
    pub(crate) settings: Vec<(String, String)>,
}

/// What moves the clock.
#[derive(Clone, Copy)]
pub(crate) enum Drive {
    /// Only the caller.
    Given,
    /// The event times, with this bound on how far they are out of order.
    Derived(i64),
    /// The arrival times.
    Arrival,
}

impl Drive {
    /// To where an event at `time` (its arrival, on that clock) moves the clock, if it does.
    #[inline]
    fn clock_at(self, time: Timestamp) -> Option<Timestamp> {
        let clock = match self {
            Self::Given => return None,
            Self::Derived(bound) => time.shift(-bound),
            Self::Arrival => time,
        };
        // No event says that the stream is over, not even one at the end of time.
        Some(clock.min(Timestamp::MAX.shift(-1)))
    }

    /// The time of an event that this clock looks at.
    #[inline]
    fn time_of<K, V>(self, event: &Event<K, V>) -> Timestamp {
        if let Self::Arrival = self { event.arrival_time } else { event.event_time }
    }
}

/// Whether an event is further in the future than the bound allows.
#[inline]
fn is_future<K, V>(max_future: Option<i64>, event: &Event<K, V>) -> bool {
    max_future.is_some_and(|ahead| event.event_time > event.arrival_time.shift(ahead))
}

/// What has become of an event. (To move the event into the answer here would cost more than the
/// rest of the answer.)
#[derive(Clone, Copy)]
enum Placed {
    Opened,
    Extended,
    Merged,
    Held,
    Late,
    Refused(Refusal),
}

impl Placed {
    #[inline]
    fn with<E>(self, event: E) -> Pushed<E> {
        match self {
            Self::Opened => Pushed::Opened,
            Self::Extended => Pushed::Extended,
            Self::Merged => Pushed::Merged,
            Self::Held => Pushed::Held,
            Self::Late => Pushed::Late(event),
            Self::Refused(why) => Pushed::Refused(event, why),
        }
    }
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

    /// A width for the ticks of the deadline queue: a fraction of a session's life.
    fn tick(&self) -> i64 {
        match self {
            Self::Bucketed(_) | Self::Sliding(_) => 1,
            Self::Arrival { range, .. } => range / 256,
            Self::Gap(reach) | Self::Ordered { reach, .. } => reach.gap / 256,
        }
    }

    /// Whether sessions of one window share their deadline.
    #[inline]
    pub(crate) fn has_groups(&self) -> bool {
        matches!(self, Self::Bucketed(_) | Self::Sliding(_))
    }

    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self, Self::Ordered { .. })
    }

    /// Whether a key can have several open sessions that only their times tell apart.
    pub(crate) fn has_several_per_key(&self) -> bool {
        matches!(self, Self::Gap(_) | Self::Ordered { .. })
    }

    /// Whether a window that opened at this arrival is over: it may wait to be handed out while the
    /// next part of its partition is open.
    pub(crate) fn is_over(&self, opened: Timestamp, now: Timestamp) -> bool {
        matches!(self, Self::Arrival { range, .. } if opened.shift(*range) <= now)
    }

    /// The bucket of a session: its start, the index of its sliding window, or 0.
    pub(crate) fn bucket_of<K, V, S>(&self, session: &Session<K, V, S>) -> i64 {
        match self {
            Self::Bucketed(_) | Self::Sliding(_) => session.place.as_micros(),
            Self::Arrival { rounding, .. } => start_of(rounding.as_ref(), session.first),
            Self::Gap(_) | Self::Ordered { .. } => 0,
        }
    }

    /// What goes into the hash of a session beside its key: its bucket, where those of a key are in
    /// one table.
    #[inline]
    fn salt_of<K, V, S>(&self, session: &Session<K, V, S>) -> i64 {
        match self {
            Self::Arrival { rounding, .. } => start_of(rounding.as_ref(), session.first),
            _ => 0,
        }
    }

    /// The first instant at which no event joins a session by time alone: the end of the window, or
    /// the furthest reach of a gap. On the arrival clock: the arrival that opened it.
    #[inline]
    pub(crate) fn end_of<K, V, S>(&self, session: &Session<K, V, S>) -> Timestamp {
        match self {
            Self::Bucketed(rounding) => rounding.window_of(session.first).end,
            Self::Sliding(hops) => hops.window_of(session.place.as_micros(), session.first).end,
            Self::Arrival { .. } | Self::Gap(_) | Self::Ordered { .. } => session.place,
        }
    }

    /// The instant at which no event joins the session any more.
    #[inline(always)]
    fn deadline<K, V, S>(&self, session: &Session<K, V, S>) -> Timestamp {
        match self {
            Self::Bucketed(_) | Self::Sliding(_) => self.end_of(session),
            Self::Arrival { range, .. } => session.place.shift(*range),
            Self::Gap(reach) | Self::Ordered { reach, .. } => session.place.min(reach.limit(session.first)),
        }
    }
}

/// The start of the bucket of an event on the arrival clock, where there are buckets.
#[inline]
fn start_of(rounding: Option<&Rounding>, time: Timestamp) -> i64 {
    rounding.map_or(0, |rounding| rounding.window_of(time).start.as_micros())
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    pub(crate) fn new(rules: Rules<K, V>, aggregate: A) -> Self {
        Self {
            queue: DeadlineQueue::new(rules.plan.tick()),
            may_wait: rules.close_most != usize::MAX,
            groups: Groups::new(),
            rules,
            aggregate,
            now: Timestamp::MIN,
            ahead: Timestamp::MIN,
            table: Table::new(),
            held: Held::new(),
            parts: Parts::default(),
            over: VecDeque::new(),
            quota: usize::MAX,
            order: None,
            ages: BinaryHeap::new(),
            counters: Counters::default(),
            recent: Window::new(Timestamp::MIN, Timestamp::MIN),
            closing: Window::new(Timestamp::MIN, Timestamp::MIN),
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
        let time = self.rules.drive.time_of(event);
        if time >= self.ahead {
            self.move_clock(time, out);
        }
    }

    #[inline(never)]
    fn move_clock(&mut self, time: Timestamp, out: Out<'_, K, V, A>) {
        let to = self.rules.drive.clock_at(time).unwrap_or(self.now);
        self.quota = self.rules.close_most;
        if to > self.now || self.has_waiting() {
            self.advance(to.max(self.now), out);
        }
        self.ahead = match self.rules.drive {
            _ if self.has_waiting() => Timestamp::MIN,
            Drive::Derived(bound) => self.now.shift(bound),
            Drive::Arrival => self.now,
            Drive::Given => Timestamp::MAX,
        };
    }

    #[inline]
    fn advance(&mut self, time: Timestamp, out: Out<'_, K, V, A>) {
        if time >= self.now {
            self.now = time;
            if self.held.len() > 0 {
                self.settle_until(time, out);
            }
            self.close_due(time, out);
            if !self.parts.is_empty() {
                self.forget_parts();
            }
        }
    }

    /// Whether a window that ends at `end` is past correcting.
    #[inline]
    fn is_over(&self, end: Timestamp) -> bool {
        self.now >= end.shift(self.rules.lateness)
    }

    // --- Placing ---

    /// Counts an event and moves the clock, unless the event is refused.
    #[inline]
    fn receive(&mut self, event: &Lent<'_, K, V>, out: Out<'_, K, V, A>) -> Option<Refusal> {
        self.counters.pushed += 1;
        self.arrivals += 1;
        if is_future(self.rules.max_future, event) {
            self.counters.refused_future += 1;
            return Some(Refusal::Future);
        }
        self.observe(event, out);
        None
    }

    /// The hash of the partition of an event; with sliding windows, of its key.
    #[inline]
    fn partition(&mut self, event: &Lent<'_, K, V>) -> u32 {
        let salt = match &self.rules.plan {
            Plan::Arrival { rounding: Some(rounding), .. } => {
                recall(&mut self.recent, rounding, event.event_time).start.as_micros()
            }
            _ => 0,
        };
        self.table.hash(event.key, salt)
    }

    /// Takes an event in. `hash`: that of its partition, if it is known.
    #[inline(always)]
    fn take(&mut self, event: &Lent<'_, K, V>, hash: Option<u32>, out: Out<'_, K, V, A>) -> Placed {
        if let Some(why) = self.receive(event, out) {
            return Placed::Refused(why);
        }
        let hash = hash.unwrap_or_else(|| self.partition(event));
        match self.glance(event, hash) {
            Glance::Likely(slot) if self.extend_at_once(event, slot) => Placed::Extended,
            Glance::Absent => self.open_first(event, hash, out),
            Glance::Likely(_) | Glance::Unsure => self.place(event, hash, out),
        }
    }

    /// What one look says of the session of an event's partition, where it has only one.
    #[inline]
    fn glance(&mut self, event: &Lent<'_, K, V>, hash: u32) -> Glance {
        match &self.rules.plan {
            Plan::Gap(_) => self.table.glance(hash),
            Plan::Bucketed(rounding) => {
                let place = recall(&mut self.recent, rounding, event.event_time).start.as_micros();
                self.groups.glance(place, hash)
            }
            _ => Glance::Unsure,
        }
    }

    /// The short way for what is usual: an event that extends the only session of its partition, and
    /// does not come before its first. False: nothing has been done.
    #[inline]
    fn extend_at_once(&mut self, event: &Lent<'_, K, V>, slot: SlotId) -> bool {
        let Some(session) = self.table.get_with_key(slot, event.key) else { return false };
        let time = event.event_time;
        if time < session.first || session.is(Mark::Extra) {
            return false;
        }
        if let Plan::Gap(reach) = &self.rules.plan {
            if time >= session.place || session.place <= self.now || self.rules.gap_of.is_some() {
                return false;
            }
            session.place = session.place.max(reach.after(time));
        }
        session.extend(event, self.rules.first_last, &self.aggregate);
        self.counters.placed += 1;
        true
    }

    /// Puts an event where its partition has no session.
    #[inline(never)]
    fn open_first(&mut self, event: &Lent<'_, K, V>, hash: u32, out: Out<'_, K, V, A>) -> Placed {
        if self.catch_up(event, out) {
            return self.place(event, hash, out);
        }
        match &self.rules.plan {
            Plan::Bucketed(rounding) => {
                let Window { start: place, end } = recall(&mut self.recent, rounding, event.event_time);
                self.open_bucket(event, hash, WindowPlace { place, end }, out)
            }
            Plan::Gap(reach) => {
                let end = self.reach_of(event, *reach);
                self.open_gap(hash, None, event, end, out)
            }
            _ => self.place(event, hash, out),
        }
    }

    /// Puts an event where it belongs.
    #[inline(never)]
    fn place(&mut self, event: &Lent<'_, K, V>, hash: u32, out: Out<'_, K, V, A>) -> Placed {
        self.catch_up(event, out);
        match &self.rules.plan {
            Plan::Bucketed(rounding) => {
                let Window { start: place, end } = recall(&mut self.recent, rounding, event.event_time);
                self.push_to_bucket(event, hash, WindowPlace { place, end }, out)
            }
            Plan::Arrival { rounding, .. } => {
                let window = rounding.as_ref().map(|rounding| recall(&mut self.recent, rounding, event.event_time));
                self.push_to_part(event, hash, window, out)
            }
            Plan::Sliding(hops) => {
                let hops = *hops;
                self.push_to_windows(event, hash, hops, out)
            }
            Plan::Gap(reach) => {
                let reach = *reach;
                self.push_to_gap(event, hash, reach, out)
            }
            Plan::Ordered { reach, .. } => {
                let reach = *reach;
                self.push_in_order(event, hash, reach, out)
            }
        }
    }

    // --- Opening ---

    /// Opens a session with its first event. It must be made known, or it is not found.
    #[inline(always)]
    fn open(&mut self, event: &Lent<'_, K, V>, opening: Opening) -> SlotId {
        let Opening { place, opened, part, again } = opening;
        let mut session = Session::open(event, place, opened, self.aggregate.open(event));
        if again {
            session.mark(Mark::Again, true);
        }
        let slot = self.table.store(session);
        if part != 1 {
            self.table.with_extra(slot).1.part = part;
        }
        self.counters.opened += 1;
        self.counters.placed += 1;
        self.note_age(slot);
        slot
    }

    /// Makes a session known under its key, and queues a look at it when it is due.
    #[inline]
    fn make_known(&mut self, hash: u32, home: Option<Home>, slot: SlotId) {
        let plan = &self.rules.plan;
        self.table.make_known(hash, home, slot, |session| plan.salt_of(session));
        self.enqueue(hash, slot);
    }

    /// Makes a session known in its window. `is_reported`: it has been handed out, or is at once.
    #[inline(always)]
    fn make_known_in_window(&mut self, hash: u32, slot: SlotId, window: WindowPlace, is_reported: bool) {
        let table = &self.table;
        let entry = Entry { slot, opened: table.get(slot).opened as u32 };
        let deadline = if is_reported { window.end.shift(self.rules.lateness) } else { window.end };
        let group = self.groups.find_or_open(window.place.as_micros(), (deadline, is_reported));
        self.groups.insert(group, hash, entry, |slot| table.hash(table.get(slot).key.lend(), 0));
    }

    /// Opens a session again as a snapshot has it.
    pub(crate) fn resume(&mut self, session: Session<K, V, A::State>, extra: Option<Extra<V>>) {
        let hash = self.hash_of(&session);
        let end = self.rules.plan.end_of(&session);
        let several = self.rules.plan.has_several_per_key();
        let home = if several { self.table.find_key(hash, session.key.lend()) } else { None };
        let place = session.place;
        let slot = self.table.store(session);
        if let Some(extra) = extra {
            *self.table.with_extra(slot).1 = extra;
        }
        if self.rules.plan.has_groups() {
            let is_reported = self.is_reported(slot);
            self.make_known_in_window(hash, slot, WindowPlace { place, end }, is_reported);
        } else {
            self.make_known(hash, home, slot);
        }
        self.note_age(slot);
    }

    /// Takes a session out that is open.
    #[inline(always)]
    fn take_out(&mut self, hash: u32, slot: SlotId) -> Option<Taken<K, V, A::State>> {
        let plan = &self.rules.plan;
        if plan.has_groups() {
            return self.take_out_of_window(hash, slot);
        }
        self.table.remove(hash, slot, |session| plan.salt_of(session))
    }

    #[cold]
    fn take_out_of_window(&mut self, hash: u32, slot: SlotId) -> Option<Taken<K, V, A::State>> {
        let table = &self.table;
        let hash_of = |slot| table.hash(table.get(slot).key.lend(), 0);
        let place = table.get(slot).place.as_micros();
        self.groups.forget(place, hash, slot, hash_of);
        let taken = self.table.take(slot);
        let is_open = |entry: &Entry| self.table.get_if_half(entry.slot, entry.opened).is_some();
        self.groups.forget_entries(place, is_open);
        taken
    }

    /// Remembers how old a session is, if the oldest may have to go.
    #[inline]
    fn note_age(&mut self, slot: SlotId) {
        if self.rules.when_full == WhenFull::CloseOldest {
            self.ages.push(Reverse(Age { opened: self.table.get(slot).opened, slot }));
            self.forget_ages();
        }
    }

    /// Lets go of what the queue has of sessions that are gone, when it is the greater part.
    fn forget_entries(&mut self) {
        if self.queue.len() > 2 * self.table.len() + 1_024 {
            let table = &self.table;
            self.queue.retain(|slot, opened| table.get_if_half(slot, opened).is_some());
        }
    }

    /// Lets go of the ages of sessions that are gone, when they are the greater part.
    fn forget_ages(&mut self) {
        if self.ages.len() > 2 * self.table.len() + 16 {
            let table = &self.table;
            self.ages.retain(|Reverse(age)| table.get_if(age.slot, age.opened).is_some());
        }
    }

    #[inline]
    fn has_room(&self, more: usize) -> bool {
        self.table.len() + self.held.len() + more <= self.rules.most
    }

    /// Makes room for `more` sessions, as the configuration wants. False: refuse.
    #[inline]
    fn make_room(&mut self, more: usize, out: Out<'_, K, V, A>) -> bool {
        while !self.has_room(more) {
            if self.has_waiting() {
                self.hand_out_waiting(out);
                continue;
            }
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
            if let Some(session) = self.table.get_if(age.slot, age.opened) {
                let hash = self.hash_of(session);
                self.finish(hash, age.slot, Some(CloseReason::Evicted), out);
                self.forget_entries();
                return true;
            }
        }
        self.settle_first()
    }

    fn part_of(&self, slot: SlotId) -> u32 {
        self.table.extra(slot, self.table.get(slot)).map_or(1, |extra| extra.part)
    }

    /// The hash under which a session is in the table.
    fn hash_of(&self, session: &Session<K, V, A::State>) -> u32 {
        self.table.hash(session.key.lend(), self.rules.plan.salt_of(session))
    }

    fn late(&mut self) -> Placed {
        self.counters.late += 1;
        Placed::Late
    }

    fn full(&mut self) -> Placed {
        self.counters.refused_full += 1;
        Placed::Refused(Refusal::Full)
    }
}

/// The bucket of an event: a look at the last one saves a division, or a search in a time zone.
#[inline]
fn recall(recent: &mut Window, rounding: &Rounding, time: Timestamp) -> Window {
    if time < recent.start || time >= recent.end {
        round(recent, rounding, time);
    }
    *recent
}

#[inline(never)]
fn round(recent: &mut Window, rounding: &Rounding, time: Timestamp) {
    *recent = rounding.window_of(time);
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Sessionizer for Engine<K, V, A> {
    type Key = K;
    type Value = V;
    type Output = A::Output;

    fn push<'e>(&mut self, event: Lent<'e, K, V>, out: &mut dyn FnMut(SummaryOf<Self>)) -> Pushed<Lent<'e, K, V>> {
        self.take(&event, None, out).with(event)
    }

    fn push_batch<'e>(
        &mut self,
        events: &[Lent<'e, K, V>],
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Vec<Pushed<Lent<'e, K, V>>> {
        self.take_batch(events, out)
    }

    fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>)) {
        // The end of time is that of the stream.
        self.quota = if time == Timestamp::MAX { usize::MAX } else { self.rules.close_most };
        self.advance(time, out);
        if self.has_waiting() {
            self.ahead = Timestamp::MIN; // the next event hands more out
        }
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
        let over = self.over.front().map(|over| over.deadline);
        let closing = over.or_else(|| (self.table.len() > 0).then(|| self.next_look()));
        [closing, self.held.first_time()].into_iter().flatten().min()
    }

    fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>)) {
        if self.has_waiting() {
            self.hand_out_waiting(out);
        }
        self.flush_all(self.is_in_use(), out);
    }

    fn counters(&self) -> Counters {
        Counters { held: self.held.len() as u64, ..self.counters }
    }

    fn open_sessions(&self) -> usize {
        self.table.len()
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Whether there is anything that a flush forgets.
    pub(crate) fn is_in_use(&self) -> bool {
        self.table.len() > 0 || self.held.len() > 0 || !self.parts.is_empty()
    }

    /// Closes everything. `forgets`: ids must differ from those before.
    pub(crate) fn flush_all(&mut self, forgets: bool, out: Out<'_, K, V, A>) {
        self.hand_out_waiting(out);
        while self.settle_first() {}
        self.close_all(out);
        self.flushes = self.flushes.wrapping_add(u32::from(forgets));
        self.queue.clear();
        self.groups = Groups::new();
        self.over = VecDeque::new();
        self.held.clear();
        self.ages = BinaryHeap::new();
        self.parts = Parts::default();
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
