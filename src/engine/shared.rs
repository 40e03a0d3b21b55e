//! The parts that all strategies share: the clock, the counters, the room for sessions, and how one is emitted.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::clock::Clock;
use crate::engine::updates::Updates;
use crate::engine::whereabouts::Whereabouts;
use crate::event::{Event, EventRef};
use crate::id::{Distinction, Identity, SummaryId};
use crate::rules::{FirstLast, Options, WhenFull};
use crate::session::{IdParts, Opening, Origin, RareState, Removed, Report, Session};
use crate::sessionizer::{self, Counters, Pushed, Refusal};
use crate::summary::{CloseReason, SessionSummary};
use crate::table::MAX_SESSIONS;
use crate::time::Timestamp;
use crate::window::Window;

/// Where closed sessions go.
pub(crate) type Out<'o, K, V, A> = &'o mut dyn FnMut(SessionSummary<K, V, <A as Aggregate<K, V>>::Output>);

/// The state that every strategy needs beside its own sessions.
pub(crate) struct Shared<K, A> {
    pub(crate) aggregate: A,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    /// The number of the latest push: it tells which of two events arrived first.
    pub(crate) last_seq: u64,
    pub(crate) flushes: u32,
    /// How many sessions were closed early, where another may begin in the same place.
    pub(crate) early_closings: u64,
    /// The sessions that have changed since they were emitted, where updates are wanted.
    pub(crate) updates: Updates,
    /// None of the options is in use that the usual event would have to ask about.
    pub(crate) is_plain: bool,
    /// While a snapshot is taken in portions: the keys of sessions that were emitted, or changed in silence.
    noted: Option<Vec<K>>,
    /// How many sessions this call may still emit; `None`: all.
    quota: Option<usize>,
    hasher: DefaultHashBuilder,
}

/// The outcome of an event, and where the session lies that took it. (To move the event into the answer here
/// would cost more than the rest of the answer.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Opened(Whereabouts),
    Extended(Whereabouts),
    Merged(Whereabouts),
    Held,
    Late,
    Refused(Refusal),
}

impl Outcome {
    /// Where the session lies that took the event.
    #[inline(always)]
    pub(crate) const fn whereabouts(self) -> Option<Whereabouts> {
        match self {
            Self::Opened(at) | Self::Extended(at) | Self::Merged(at) => Some(at),
            Self::Held | Self::Late | Self::Refused(_) => None,
        }
    }

    #[inline(always)]
    pub(crate) fn with<E>(self, event: E) -> Pushed<E> {
        match self {
            Self::Opened(_) => Pushed::Opened,
            Self::Extended(_) => Pushed::Extended,
            Self::Merged(_) => Pushed::Merged,
            Self::Held => Pushed::Held,
            Self::Late => Pushed::Late(event),
            Self::Refused(why) => Pushed::Refused(event, why),
        }
    }
}

/// Why no session takes an event that is not late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// It may only join a session, and there is none.
    Orphan,
    /// Its session holds an event of its id.
    Duplicate,
}

/// How a session ends, by its strategy.
#[derive(Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) window: Window,
    pub(crate) bucket: Option<Timestamp>,
    pub(crate) reason: CloseReason,
    /// What tells the session from others of its key and bucket.
    pub(crate) anchor: Timestamp,
    /// Its part tells it apart too.
    pub(crate) by_part: bool,
}

impl<K: Key, A> Shared<K, A> {
    pub(crate) fn new(aggregate: A, options: Options, clock: Clock) -> Self {
        let (counters, hasher) = (Counters::default(), DefaultHashBuilder::default());
        let is_plain = options.is_plain() && !clock.is_bounded();
        let updates = Updates::new(options.updates);
        let (last_seq, flushes, early_closings, quota) = (0, 0, 0, None);
        Self {
            is_plain,
            aggregate,
            options,
            clock,
            counters,
            last_seq,
            flushes,
            early_closings,
            updates,
            noted: None,
            quota,
            hasher,
        }
    }

    /// The hash of a key, or of a key and its bucket.
    #[inline(always)]
    pub(crate) fn hash(&self, partition: impl core::hash::Hash) -> u64 {
        self.hasher.hash_one(partition)
    }

    // --- Bounded calls ---

    /// Whether one call may leave sessions pending that are over.
    #[inline]
    pub(crate) const fn may_leave_pending(&self) -> bool {
        self.options.max_emits != usize::MAX
    }

    /// Whether sessions that are over are pending, because one call must not emit all.
    #[inline]
    pub(crate) fn has_pending(&self) -> bool {
        self.clock.is_due()
    }

    /// A new call begins, which may emit at most the configured number of sessions.
    pub(crate) const fn renew_quota(&mut self) {
        self.quota = if self.may_leave_pending() { Some(self.options.max_emits) } else { None };
    }

    /// This call may emit as many sessions as there are.
    pub(crate) const fn lift_quota(&mut self) {
        self.quota = None;
    }

    /// Whether this call may emit more sessions.
    #[inline]
    pub(crate) const fn has_quota(&self) -> bool {
        !matches!(self.quota, Some(0))
    }

    /// Takes one from the quota of this call. False: it is used up.
    #[inline]
    pub(crate) const fn spend(&mut self) -> bool {
        match &mut self.quota {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    /// Passes a session that is over: takes one from the quota if the session has something to emit (`emits`),
    /// and otherwise one from the `looks` of the call. False: there is none left.
    ///
    /// A session without output takes nothing from the quota. A restored engine has no such sessions of calls
    /// before, and must emit as many in a call as the original.
    #[inline]
    pub(crate) const fn pass(&mut self, emits: bool, looks: &mut usize) -> bool {
        if emits {
            return self.spend();
        }
        let may_look = *looks > 0;
        *looks = looks.saturating_sub(1);
        may_look
    }

    /// How many sessions this call may look at, to find those that are over.
    pub(crate) const fn looks(&self) -> usize {
        const LOOKS: usize = 1_024;
        if self.quota.is_none() { usize::MAX } else { LOOKS }
    }

    // --- Lateness ---

    /// Whether a window that ends at `end` is past correcting: an event that could join no other is late.
    #[inline]
    pub(crate) fn is_late(&self, end: Timestamp) -> bool {
        self.clock.is_past(end, self.options.lateness)
    }

    /// Whether the bound on open sessions may remove sessions that were reported and wait for corrections.
    pub(crate) const fn may_drop_silently(&self) -> bool {
        self.options.lateness > 0 && self.options.max_open < MAX_SESSIONS
    }

    /// Counts an event that is pushed, if it is behind the watermark.
    #[inline(always)]
    pub(crate) fn count_behind<T, V>(&mut self, event: &Event<T, V>) {
        if self.clock.is_behind(event) {
            self.note_behind();
        }
    }

    #[cold]
    #[inline(never)]
    fn note_behind(&mut self) {
        if self.clock.kind() == sessionizer::Clock::Event {
            self.counters.behind += 1;
        }
    }

    /// Counts an event that begins a session or moves its start, if sessions that it would have joined may
    /// have been given up.
    #[inline]
    pub(crate) fn count_uncorrected(&mut self, time: Timestamp) {
        if time < self.clock.now() && time.shift(self.options.lateness) < self.clock.now() {
            self.counters.uncorrected += 1;
        }
    }

    pub(crate) const fn late(&mut self) -> Outcome {
        self.counters.late += 1;
        Outcome::Late
    }

    /// Counts an event that its session does not take.
    pub(crate) const fn count_unplaced(&mut self, unplaced: Unplaced) {
        match unplaced {
            Unplaced::Orphan => self.counters.orphaned += 1,
            Unplaced::Duplicate => self.counters.duplicates += 1,
        }
    }

    /// An event that its session does not take.
    pub(crate) const fn unplaced(&mut self, unplaced: Unplaced) -> Outcome {
        self.count_unplaced(unplaced);
        Outcome::Refused(match unplaced {
            Unplaced::Orphan => Refusal::NoSession,
            Unplaced::Duplicate => Refusal::Duplicate,
        })
    }

    // --- Room ---

    pub(crate) const fn full(&mut self) -> Outcome {
        self.counters.refused_full += 1;
        Outcome::Refused(Refusal::Full)
    }

    #[inline]
    pub(crate) const fn has_room(&self, open: usize, more: usize) -> bool {
        open + more <= self.options.max_open
    }

    /// Whether there is a bound on open sessions.
    #[inline]
    pub(crate) const fn is_bounded(&self) -> bool {
        self.options.max_open != MAX_SESSIONS
    }

    /// Whether the oldest session may be closed to make room.
    #[inline]
    pub(crate) fn may_evict(&self) -> bool {
        self.options.when_full == WhenFull::CloseOldest
    }

    // --- Opening, extending ---

    /// The caller's own state for a session that opens with an event.
    #[inline]
    pub(crate) fn open_state<V: Value>(&mut self, event: &EventRef<'_, K, V>) -> A::State
    where
        A: Aggregate<K, V>,
    {
        let state = self.aggregate.open(event);
        self.counters.opened += 1;
        self.counters.placed += 1;
        state
    }

    #[inline]
    pub(crate) fn open<V: Value>(&mut self, event: &EventRef<'_, K, V>, opening: Opening) -> Session<K, V, A::State>
    where
        A: Aggregate<K, V>,
    {
        let state = self.open_state(event);
        Session::open(event, opening, state)
    }

    /// Adds the event that arrives now to its session.
    #[inline(always)]
    pub(crate) fn extend<V: Value, const PLAIN: bool>(
        &mut self,
        session: &mut Session<K, V, A::State>,
        event: &EventRef<'_, K, V>,
    ) where
        A: Aggregate<K, V>,
    {
        let order = if PLAIN { FirstLast::EventTime } else { self.options.first_last };
        session.extend(event, order, &self.aggregate);
        self.counters.placed += 1;
    }

    // --- Ids ---

    /// The id of a session that ends now, if no summary of it has been emitted.
    #[inline]
    pub(crate) fn id_of<V: Value, S>(
        &self,
        session: &Session<K, V, S>,
        rare: Option<&RareState<V>>,
        ending: &Ending,
    ) -> SummaryId {
        let is_early = ending.reason == CloseReason::Evicted;
        match rare {
            None if !is_early => SummaryId::Of(Identity { flushes: self.flushes, ..Identity::of(ending.anchor) }),
            _ => self.unusual_id_of(session, rare, *ending),
        }
    }

    #[cold]
    fn unusual_id_of<V: Value, S>(
        &self,
        session: &Session<K, V, S>,
        rare: Option<&RareState<V>>,
        ending: Ending,
    ) -> SummaryId {
        let early = if ending.reason == CloseReason::Evicted { self.early_closings } else { 0 };
        self.id_parts(&ending, early).id_of(&session.key, ending.bucket, rare)
    }

    /// The parts of the id of a session that ends this way.
    #[inline(always)]
    pub(crate) fn id_parts(&self, ending: &Ending, early: u64) -> IdParts {
        IdParts { anchor: ending.anchor, by_part: ending.by_part, flushes: self.flushes, early }
    }

    /// How a session begins that an event opens or extends to before its first. Nothing if the event's
    /// time tells all: no other session of the key can have begun there.
    ///
    /// Only behind the watermark there may have been another. It has been closed, so its reach was less
    /// than that of an event that is not late. With a lateness it may have been reported, and closed early.
    pub(crate) fn origin(&self, anchor: Timestamp, is_behind: bool, reach: Option<Timestamp>) -> Option<Origin> {
        let reach = reach.filter(|_| is_behind);
        let after = if is_behind && self.options.lateness > 0 { self.early_closings } else { 0 };
        let besides = Distinction { reach, after, early: 0 };
        (!besides.is_none()).then_some(Origin { anchor, besides })
    }

    // --- Keys whose sessions changed ---

    /// From here on such keys are noted, or not.
    pub(crate) fn note_keys(&mut self, are_noted: bool) {
        self.noted = are_noted.then(Vec::new);
    }

    /// Notes a key whose sessions change, if a snapshot is being taken. Those that are emitted or removed are noted by
    /// themselves.
    #[inline(always)]
    pub(crate) fn note_key(&mut self, key: &K) {
        if let Some(noted) = &mut self.noted {
            noted.push(K::key_from(key.key_ref()));
        }
    }

    /// The keys that were noted since they were last taken.
    pub(crate) fn take_noted(&mut self) -> Vec<K> {
        self.noted.as_mut().map(core::mem::take).unwrap_or_default()
    }

    // --- Emitting ---

    /// Emits a session that was removed, unless all of it has been emitted before.
    #[inline(always)]
    pub(crate) fn emit_removed<V: Value>(
        &mut self,
        removed: Removed<K, V, A::State>,
        ending: Ending,
        out: Out<'_, K, V, A>,
    ) where
        A: Aggregate<K, V>,
    {
        match removed.rare {
            Some(rare) => self.emit_with_rare(removed.session, rare, ending, out),
            None => self.emit(removed.session, ending, out),
        }
    }

    /// Emits a session that has no rare state. (It goes straight into its summary: to move it would cost
    /// more than the rest.)
    #[inline(always)]
    pub(crate) fn emit<V: Value>(&mut self, session: Session<K, V, A::State>, ending: Ending, out: Out<'_, K, V, A>)
    where
        A: Aggregate<K, V>,
    {
        let id = self.id_of(&session, None, &ending);
        let report = Report { id, part: 1, fresh: session.count(), correction: None, was_settled: false };
        out(self.summary(session, ending, report));
    }

    #[cold]
    #[inline(never)]
    fn emit_with_rare<V: Value>(
        &mut self,
        session: Session<K, V, A::State>,
        mut rare: RareState<V>,
        ending: Ending,
        out: Out<'_, K, V, A>,
    ) where
        A: Aggregate<K, V>,
    {
        if rare.is_final() {
            self.note_key(&session.key); // it goes without a summary
            return;
        }
        let id = self.id_of(&session, Some(&rare), &ending);
        let report = rare.report(&session.key, session.count(), id, ending.bucket, false);
        out(self.summary(session, ending, report));
    }

    /// Emits the present content of a session that stays: open, or for corrections.
    pub(crate) fn emit_and_keep<V: Value>(
        &mut self,
        session: &Session<K, V, A::State>,
        rare: &mut RareState<V>,
        ending: Ending,
        out: Out<'_, K, V, A>,
    ) where
        A: Aggregate<K, V>,
    {
        let copy = session.copy();
        let id = self.id_of(&copy, Some(rare), &ending);
        let is_update = ending.reason == CloseReason::Update;
        let report = rare.report(&copy.key, copy.count(), id, ending.bucket, is_update);
        out(self.summary(copy, ending, report));
    }

    #[inline(always)]
    fn summary<V: Value>(
        &mut self,
        session: Session<K, V, A::State>,
        ending: Ending,
        report: Report,
    ) -> SessionSummary<K, V, A::Output>
    where
        A: Aggregate<K, V>,
    {
        self.note_key(&session.key);
        self.counters.reported += report.fresh;
        let counter = match () {
            () if ending.reason == CloseReason::Update => &mut self.counters.updates,
            () if report.was_settled => &mut self.counters.revisions,
            () => &mut self.counters.closed,
        };
        *counter += 1;
        SessionSummary {
            count: session.count(),
            key: session.key,
            window: ending.window,
            bucket: ending.bucket,
            part: report.part,
            first_time: session.first,
            last_time: session.last,
            first_event: session.first_value,
            last_event: session.last_value,
            reason: ending.reason,
            aggregate: self.aggregate.finish(session.state),
            id: report.id,
            correction: report.correction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::clock::ClockSource;
    use crate::rules::UpdateRule;
    use crate::testing::at;

    fn shared(change: impl FnOnce(&mut Options)) -> Shared<u8, ()> {
        let (first_last, when_full) = (FirstLast::EventTime, WhenFull::Refuse);
        let (max_open, max_emits, updates) = (MAX_SESSIONS, usize::MAX, UpdateRule::NEVER);
        let mut options =
            Options { lateness: 0, first_last, max_open, when_full, max_emits, updates, is_unique: false };
        change(&mut options);
        Shared::new((), options, Clock::new(ClockSource::Caller, None))
    }

    #[test]
    fn each_option_that_the_usual_event_must_ask_about_is_not_plain() {
        assert!(shared(|_| {}).is_plain);
        assert!(!shared(|options| options.lateness = 1).is_plain);
        assert!(!shared(|options| options.max_emits = 1).is_plain);
        assert!(!shared(|options| options.updates.events = 1).is_plain);
        assert!(!shared(|options| options.is_unique = true).is_plain);
        assert!(!shared(|options| options.updates.every = Some(1)).is_plain);
        assert!(!shared(|options| options.first_last = FirstLast::Arrival).is_plain);
        let bounded = Clock::new(ClockSource::Caller, Some(0));
        assert!(!Shared::<u8, ()>::new((), shared(|_| {}).options, bounded).is_plain);
    }

    #[test]
    fn late_at_the_end_plus_the_lateness_and_not_one_microsecond_before() {
        let mut shared = shared(|options| options.lateness = 5);
        shared.clock.advance(at(14));
        assert!(!shared.is_late(at(10)));
        shared.clock.advance(at(15));
        assert!(shared.is_late(at(10)));
    }

    #[test]
    fn room_for_exactly_as_many_as_the_bound() {
        let shared = shared(|options| options.max_open = 3);
        assert!(shared.has_room(2, 1) && shared.has_room(0, 3));
        assert!(!shared.has_room(3, 1) && !shared.has_room(2, 2));
        assert!(shared.is_bounded() && !self::shared(|_| {}).is_bounded());
    }

    #[test]
    fn a_call_may_emit_as_many_as_its_quota() {
        let mut shared = shared(|options| options.max_emits = 2);
        shared.renew_quota();
        assert_eq!([(); 3].map(|()| shared.spend()), [true, true, false]);
        assert!(!shared.has_quota());
        let mut looks = 1;
        assert_eq!([false, false, true].map(|emits| shared.pass(emits, &mut looks)), [true, false, false]);
        assert_ne!(shared.looks(), usize::MAX);
        shared.renew_quota();
        assert!(shared.has_quota());
        shared.lift_quota();
        assert_eq!((shared.spend(), shared.looks()), (true, usize::MAX), "no bound, however many it has emitted");
    }
}
