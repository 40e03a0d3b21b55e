//! The state machine: the clock, then the strategy, then due sessions.
//!
//! | file | decides |
//! |---|---|
//! | `plan` | everything that depends on the strategy |
//! | `clock` | where the clock stands, which event moves it, which window is past |
//! | `shared` | which event is late, whether there is room, the fields of a summary |
//! | `whereabouts` | where a session lies in a storage |
//! | `store` | the interface of a strategy's storage |
//! | `windows`, `arrival`, `gap`, `ordered` | which session an event belongs to, and when it is over |
//! | `keyed` | the part that the two forms of gap sessions share |
//! | `batch` | looking ahead over many events |
//! | `updates` | which open sessions are emitted early, and when |
//! | `look` | looking at open sessions |
//! | `tag` | the session that took an event |
//! | `state` | the content of snapshots, and their restoring |
//! | `shard` | an engine as one of several shards |
//! | `touched` | which keys change while a snapshot is taken in portions |

mod arrival;
mod batch;
mod clock;
mod gap;
mod keyed;
mod look;
mod ordered;
mod plan;
#[cfg(feature = "std")]
mod shard;
mod shared;
mod state;
mod store;
mod tag;
mod touched;
mod updates;
mod whereabouts;
mod windows;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::{Event, EventRef};
use crate::rules::{IdRule, Options};
use crate::sessionizer::{Clock, Counters, Pushed, Refusal, Returned, Sessionizer, SummaryOf};
use crate::summary::CloseReason;
use crate::time::Timestamp;

use self::shared::{Out, Outcome, Shared};

pub(crate) use clock::Clock as EngineClock;
#[cfg(feature = "std")]
pub(crate) use clock::Movers;
pub(crate) use ordered::UnplacedEvent;
pub(crate) use plan::{Placement, Plan, Shape};
pub(crate) use shared::Unplaced;
pub(crate) use state::{Part, Standing, State, Stored};
pub use tag::Tagged;
pub(crate) use touched::Touched;

/// The sessionizer, made by [`Config::build`](crate::Config::build). It has the methods of the trait
/// [`Sessionizer`], which is for code that takes or wraps any sessionizer.
///
/// # Memory
/// Bytes per open session, beyond its key, its two values and the aggregate's state:
///
/// | for | bytes |
/// |---|---|
/// | the session | 40, and for gap sessions what rounds the whole up to a multiple of the greatest alignment in it |
/// | its place in the index | 6 to 12: five bytes for each place, of which 44 to 88 % are taken |
/// | its deadline, for gap sessions | 8, and up to 8 more where few sessions share a 32nd of the gap |
///
/// Sessions lie in segments of 64 KiB, of which the last is partly empty. Sessions with a part above 1,
/// or kept for corrections, take about 100 bytes more. Nothing is kept for keys without an open session,
/// and after a flush nothing. [`shrink_to_fit`](Self::shrink_to_fit) gives memory back after a peak.
///
/// # Speed
/// `docs/PERFORMANCE.md` in the repository has the figures, next to loops written by hand.
pub struct Engine<K: Key, V: Value, A: Aggregate<K, V> = ()> {
    state: State<K, V, A>,
    unique: Option<IdRule<K, V>>,
    /// While a snapshot is taken in portions.
    touched: Option<Box<Touched<K>>>,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    pub(crate) fn new(
        plan: Plan<K, V, A::State>,
        clock: EngineClock,
        options: Options,
        aggregate: A,
        settings: Vec<(String, String)>,
        unique: Option<IdRule<K, V>>,
    ) -> Self {
        let mut shared = Shared::new(aggregate, options, clock);
        shared.is_plain &= !plan.gap_varies();
        Self { state: State::new(shared, plan, settings), unique, touched: None }
    }

    /// The settings it was built with, as names and values: those that a snapshot carries.
    #[must_use]
    pub fn settings(&self) -> &[(String, String)] {
        self.state.settings()
    }

    /// Gives back memory that a peak of open sessions has left. O(n log n) in the open sessions.
    ///
    /// Without it, memory goes down by itself when all sessions have closed; windows give it back
    /// whenever one is over. Does nothing while a snapshot is taken in portions.
    pub fn shrink_to_fit(&mut self) {
        if self.touched.is_none() {
            self.state.plan.shrink_to_fit(&mut self.state.shared);
        }
    }

    /// Takes the events that [may only join](crate::Config::join_only), waited for the watermark, and
    /// found no session there: in the order in which that was decided. They are counted as
    /// [`orphaned`](Counters::orphaned), and kept, also in snapshots, until they are taken: take them after
    /// each push, advance and flush.
    ///
    /// (A push answers long before, and summaries of others may be on their way to the callback when
    /// it is decided; so such events have a list of their own.)
    pub fn take_orphans(&mut self) -> Vec<Event<K, V>> {
        self.take_unplaced(Unplaced::Orphan).into_iter().map(|unplaced| unplaced.event).collect()
    }

    /// Takes the events that waited for the watermark, and whose session held one of their
    /// [id](crate::Config::unique_by) by then: in the order in which that was decided. They are counted as
    /// [`duplicates`](Counters::duplicates), and kept like [orphans](Self::take_orphans) until they are taken.
    pub fn take_duplicates(&mut self) -> Vec<Event<K, V>> {
        self.take_unplaced(Unplaced::Duplicate).into_iter().map(|unplaced| unplaced.event).collect()
    }

    fn take_unplaced(&mut self, why: Unplaced) -> Vec<UnplacedEvent<K, V>> {
        let Some(all) = self.state.plan.unplaced_mut() else { return Vec::new() };
        let (taken, others) = core::mem::take(all).into_iter().partition(|unplaced| unplaced.why == why);
        *all = others;
        taken
    }

    #[inline]
    fn len(&self) -> usize {
        self.state.plan.len::<A>()
    }

    /// Takes an event in. `hash`: that of its partition, if it is known.
    #[inline(always)]
    fn take(&mut self, event: &EventRef<'_, K, V>, hash: Option<u64>, out: Out<'_, K, V, A>) -> Outcome {
        let State { shared, plan, .. } = &mut self.state;
        shared.last_seq += 1;
        if shared.is_plain {
            if shared.clock.is_moved_by(event) {
                move_clock(event, shared, plan, out);
            }
            shared.count_behind(event);
            return plan.assign(event, hash, shared, out);
        }
        self.take_with_options(event, hash, out)
    }

    /// The same with options that only some use.
    #[inline(never)]
    fn take_with_options(&mut self, event: &EventRef<'_, K, V>, hash: Option<u64>, out: Out<'_, K, V, A>) -> Outcome {
        match self.touched {
            None => self.ask_and_take(event, hash, out),
            Some(_) => self.note_and_take(event, hash, out),
        }
    }

    #[inline(always)]
    fn ask_and_take(&mut self, event: &EventRef<'_, K, V>, hash: Option<u64>, out: Out<'_, K, V, A>) -> Outcome {
        let (State { shared, plan, .. }, unique) = (&mut self.state, &self.unique);
        if shared.clock.is_bounded() {
            shared.counters.without_arrival += u64::from(event.arrival_time == event.event_time);
            if shared.clock.is_too_early(event) {
                shared.counters.refused_future += 1;
                return Outcome::Refused(Refusal::Future);
            }
        }
        if shared.clock.is_moved_by(event) {
            move_clock(event, shared, plan, out);
        }
        shared.count_behind(event);
        match unique {
            None => plan.assign_with_options(event, hash, shared, out),
            Some(rule) => plan.assign_once(event, hash, rule, shared, out),
        }
    }

    /// The same while a snapshot is taken in portions.
    #[cold]
    fn note_and_take(&mut self, event: &EventRef<'_, K, V>, hash: Option<u64>, out: Out<'_, K, V, A>) -> Outcome {
        if let Some(touched) = &mut self.touched {
            touched.note(event.key);
        }
        let outcome = self.ask_and_take(event, hash, out);
        self.note_changes();
        outcome
    }
}

/// Moves the clock as the event demands, and closes sessions that it has passed.
#[inline(always)]
fn move_clock<K: Key, V: Value, A: Aggregate<K, V>>(
    event: &EventRef<'_, K, V>,
    shared: &mut Shared<K, A>,
    plan: &mut Plan<K, V, A::State>,
    out: Out<'_, K, V, A>,
) {
    if shared.clock.observe(event) {
        do_due(shared, plan, out);
    }
}

#[inline(never)]
fn do_due<K: Key, V: Value, A: Aggregate<K, V>>(
    shared: &mut Shared<K, A>,
    plan: &mut Plan<K, V, A::State>,
    out: Out<'_, K, V, A>,
) {
    shared.renew_quota();
    plan.advance(shared, out);
}

/// A flush, which ends in good order even if `out` panics.
struct Flushing<'f, K: Key, V: Value, A: Aggregate<K, V>> {
    shared: &'f mut Shared<K, A>,
    plan: &'f mut Plan<K, V, A::State>,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Drop for Flushing<'_, K, V, A> {
    fn drop(&mut self) {
        self.plan.end_flush(self.shared);
    }
}

/// The methods of [`Sessionizer`], so that a program with an engine needs no trait in scope.
impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Takes one event; see [`Sessionizer::push`].
    #[must_use = "a late or refused event is handed back here and nowhere else"]
    pub fn push<'e>(
        &mut self,
        event: EventRef<'e, K, V>,
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Pushed<EventRef<'e, K, V>> {
        self.take(&event, None, out).with(event)
    }

    /// Takes several events, one after the other; see [`Sessionizer::push_batch`].
    #[must_use = "late and refused events are handed back here and nowhere else"]
    pub fn push_batch<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Returned<EventRef<'e, K, V>> {
        let mut returned = Vec::new();
        self.take_batch(events, out, |_, i, event, outcome| {
            let pushed = outcome.with(event);
            if pushed.is_returned() {
                returned.push((i, pushed));
            }
        });
        returned
    }

    /// Moves the clock to `time`; see [`Sessionizer::advance_to`].
    pub fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>)) {
        self.move_clock_to(time, out);
        self.note_changes();
    }

    fn move_clock_to(&mut self, time: Timestamp, out: Out<'_, K, V, A>) {
        let State { shared, plan, .. } = &mut self.state;
        if !shared.clock.advance(time) {
            return;
        }
        if time == Timestamp::MAX {
            shared.lift_quota(); // the end of time is that of the stream
        } else {
            shared.renew_quota();
        }
        plan.advance(shared, out);
        if time == Timestamp::MAX {
            shared.flushes = shared.flushes.wrapping_add(1); // a window may open once more at this instant
        }
    }

    /// Where the clock stands; [`Timestamp::MIN`] in the beginning.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state.shared.clock.now()
    }

    /// Which clock that is.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.state.shared.clock.kind()
    }

    /// The time to which the clock must move before a session is emitted, if any is open; see
    /// [`Sessionizer::next_deadline`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        (self.state.plan.occupied::<A>() > 0)
            .then(|| self.state.plan.next_due::<A>().min(self.state.shared.updates.due()))
    }

    /// Closes everything that is open; see [`Sessionizer::flush`].
    pub fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>)) {
        self.close_all(out);
        self.note_changes();
    }

    fn close_all(&mut self, out: Out<'_, K, V, A>) {
        let State { shared, plan, .. } = &mut self.state;
        shared.lift_quota();
        let flushing = Flushing { shared, plan };
        flushing.plan.close_due(flushing.shared, out);
        flushing.plan.close_all(flushing.shared, CloseReason::Flush, out);
        drop(flushing);
        shared.updates.clear(); // final summaries have been emitted
        shared.clock.reschedule(Timestamp::MAX);
        // Whether or not this engine had a session: ids must not tell which keys lie in it.
        shared.flushes = shared.flushes.wrapping_add(1);
    }

    /// Counts of all events and sessions.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state.counters()
    }

    /// How many sessions are open, counting those kept only for corrections.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.len()
    }
}

/// Each method is the engine's own of that name.
impl<K: Key, V: Value, A: Aggregate<K, V>> Sessionizer for Engine<K, V, A> {
    type Key = K;
    type Value = V;
    type Output = A::Output;

    #[inline]
    fn push<'e>(
        &mut self,
        event: EventRef<'e, K, V>,
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Pushed<EventRef<'e, K, V>> {
        Self::push(self, event, out)
    }

    #[inline]
    fn push_batch<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Returned<EventRef<'e, K, V>> {
        Self::push_batch(self, events, out)
    }

    #[inline]
    fn take_orphans(&mut self) -> Vec<Event<K, V>> {
        Self::take_orphans(self)
    }

    #[inline]
    fn take_duplicates(&mut self) -> Vec<Event<K, V>> {
        Self::take_duplicates(self)
    }

    fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>)) {
        Self::advance_to(self, time, out);
    }

    #[inline]
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    #[inline]
    fn clock(&self) -> Clock {
        Self::clock(self)
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        Self::next_deadline(self)
    }

    #[inline]
    fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>)) {
        Self::flush(self, out);
    }

    #[inline]
    fn counters(&self) -> Counters {
        Self::counters(self)
    }

    #[inline]
    fn open_sessions(&self) -> usize {
        Self::open_sessions(self)
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> fmt::Debug for Engine<K, V, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.settings())
            .field("now", &self.now())
            .field("open_sessions", &self.len())
            .field("counters", &self.counters())
            .finish()
    }
}
