//! The trait that everything else is built on, and the outcomes of a push.

use alloc::vec::Vec;

use crate::data::{Key, Value};
use crate::event::{Event, EventRef};
use crate::session::MAX_EVENTS;
use crate::summary::SessionSummary;
use crate::time::Timestamp;

/// Turns events into sessions: a state machine without I/O, threads or a clock of its own.
///
/// [`Engine`](crate::Engine) is the implementation; take `&mut dyn Sessionizer<…>` to accept any, or
/// to wrap one. Closed sessions are handed to the callback `out` during the call that closes them,
/// in order of their deadline, then of their opening.
///
/// `out` is any closure: `&mut |session| all.push(session)` keeps them in a `Vec`. To leave with `?` or to wait
/// with `.await`, take them from a [`Queued`](crate::Queued) instead: a write that fails loses no session.
///
/// # Panics in `out`
/// If `out` panics and the panic is caught, the session that it was called with is gone, and so may be the event
/// that was being pushed; of a batch, the events after that one are not taken. All other sessions stay, and every
/// method can be called as before: sessions that were due come with the next advance or flush.
///
/// A flush that panics leaves the other sessions open: events still join them. Its sessions have the ids of a flush that
/// is not over, so flush again before you push: otherwise the session that an event opens in the place of one just
/// flushed may have the same id.
///
/// # Other panics
/// If a rule panics, or an aggregate over an event, that event is gone and all else stays, but for this: an event that
/// bridges sessions has joined them, one in several sliding windows may be in some of them, and the aggregate's state is
/// what the aggregate has left. After a panic of a key, a value, or an aggregate that merges or finishes states, go on from
/// a snapshot taken before.
///
/// # Snapshots
/// They are not part of the trait, since their type names the state of the aggregate, which
/// `dyn Sessionizer` hides. Keep the [`Engine`](crate::Engine) and lend it, as in `Queued::new(&mut engine)`, or
/// reach it through the wrapper, as in `queued.sessionizer().snapshot()`.
pub trait Sessionizer {
    /// The kept key type.
    type Key: Key;
    /// The kept value type.
    type Value: Value;
    /// The output of the caller's aggregate.
    type Output;

    /// Takes one event. Sessions that it closes, by moving the clock, are emitted first; then the event is
    /// placed.
    ///
    /// Expected time O(1) when the event belongs to its key's only open session or opens one;
    /// O(log n) with n open sessions of the same key. Closing is O(log m) per session, with m
    /// sessions closing at about the same time.
    #[must_use = "a late or refused event is handed back here and nowhere else"]
    fn push<'e>(
        &mut self,
        event: EventRef<'e, Self::Key, Self::Value>,
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Pushed<EventRef<'e, Self::Key, Self::Value>>;

    /// Takes several events, one after the other: with the same result as pushing each of them, and
    /// sooner. Returns those that are handed back, in their order, each with its index in `events`, as
    /// [`Pushed::Late`] or [`Pushed::Refused`]; nothing is allocated if there are none.
    ///
    /// What makes it faster is that memory is waited for once for many events. That pays where the
    /// open sessions outgrow the processor's cache, and costs next to nothing elsewhere. A few dozen
    /// events are enough; more than a thousand at once gain nothing.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp};
    ///
    /// let mut sessions = Config::<u64, ()>::new(Gap::new(Duration::from_secs(60))).build()?;
    /// let events = [0, 10, 100].map(|second| Event::new(7, Timestamp::from_secs(second), ()));
    /// let returned = sessions.push_batch(&events, &mut |_| {});
    /// assert_eq!((returned.len(), sessions.open_sessions()), (0, 2));
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use = "late and refused events are handed back here and nowhere else"]
    fn push_batch<'e>(
        &mut self,
        events: &[EventRef<'e, Self::Key, Self::Value>],
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Returned<EventRef<'e, Self::Key, Self::Value>> {
        let push = |(i, event): (usize, &EventRef<'e, Self::Key, Self::Value>)| (i, self.push(*event, out));
        events.iter().enumerate().map(push).filter(|(_, pushed)| pushed.is_returned()).collect()
    }

    /// Takes the events that waited and found no session to join; see [`Engine::take_orphans`](crate::Engine::take_orphans).
    /// A sessionizer without such events has none.
    fn take_orphans(&mut self) -> Vec<Event<Self::Key, Self::Value>> {
        Vec::new()
    }

    /// Takes the events that waited and were in their session already; see
    /// [`Engine::take_duplicates`](crate::Engine::take_duplicates). A sessionizer without such events has none.
    fn take_duplicates(&mut self) -> Vec<Event<Self::Key, Self::Value>> {
        Vec::new()
    }

    /// Moves the clock to `time`: the watermark on the event clock ("no more events before `time`"),
    /// the present on the arrival clock. It never goes back; an earlier `time` does nothing.
    fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>));

    /// Where the clock stands; [`Timestamp::MIN`] in the beginning.
    fn now(&self) -> Timestamp;

    /// Which clock that is.
    fn clock(&self) -> Clock;

    /// The time to which the clock must move before another session is emitted, if any is open.
    ///
    /// It may be too early, since it is not moved at each event: advancing to it is harmless, and
    /// the next answer is later. Advancing later only delays output. O(1).
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Closes everything that is open, at the end of the stream or before a pause. A session that had
    /// reached its end keeps its reason, the others have [`CloseReason::Flush`](crate::CloseReason::Flush): at
    /// the end of a file, first advance to the greatest event time, so that only the sessions that
    /// the file may have cut off say so.
    /// The clock stays where it is, and events may follow.
    fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>));

    /// Counts of all events and sessions.
    fn counters(&self) -> Counters;

    /// How many sessions are open, counting those kept only for corrections.
    fn open_sessions(&self) -> usize;
}

/// The summary that a sessionizer emits.
pub type SummaryOf<S> = SessionSummary<<S as Sessionizer>::Key, <S as Sessionizer>::Value, <S as Sessionizer>::Output>;

/// What moves the clock of a sessionizer. There are these two, and code that feeds a clock must tell them
/// apart: so the enum is exhaustive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Clock {
    /// Event time: the clock is a watermark.
    Event,
    /// Arrival time.
    Arrival,
}

/// What became of a pushed event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use = "a late or refused event is handed back here and nowhere else"]
pub enum Pushed<E> {
    /// It opened a session (of several sliding windows: at least one).
    Opened,
    /// It belongs to a session that was open.
    Extended,
    /// It bridged open sessions, which became one.
    Merged,
    /// It waits for the watermark to reach it: with a maximum duration or number of events or a cut
    /// rule, sessions are only built in order of time.
    Held,
    /// It is handed back: every window it could join is past.
    Late(E),
    /// It is handed back for another reason.
    Refused(E, Refusal),
}

impl<E> Pushed<E> {
    /// Whether the event was handed back.
    #[must_use]
    pub const fn is_returned(&self) -> bool {
        matches!(self, Self::Late(_) | Self::Refused(..))
    }

    /// The event, if it was handed back.
    pub fn returned(self) -> Option<E> {
        match self {
            Self::Late(event) | Self::Refused(event, _) => Some(event),
            Self::Opened | Self::Extended | Self::Merged | Self::Held => None,
        }
    }

    /// The same outcome for another form of the event.
    pub fn map<T>(self, form: impl FnOnce(E) -> T) -> Pushed<T> {
        match self {
            Self::Opened => Pushed::Opened,
            Self::Extended => Pushed::Extended,
            Self::Merged => Pushed::Merged,
            Self::Held => Pushed::Held,
            Self::Late(event) => Pushed::Late(form(event)),
            Self::Refused(event, why) => Pushed::Refused(form(event), why),
        }
    }
}

/// The events of a batch that were handed back, in their order, each with its index in the batch.
pub type Returned<E> = Vec<(usize, Pushed<E>)>;

/// Why an event was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Refusal {
    /// Its event time is further ahead of its arrival time than
    /// [`max_future`](crate::Config::max_future) allows.
    #[error("its time is too far in the future")]
    Future,
    /// The bound on open sessions is reached, and the choice was to refuse.
    #[error("too many sessions are open")]
    Full,
    /// The slide is longer than the size, and it falls between two windows.
    #[error("it falls between two windows")]
    BetweenWindows,
    /// It [may only join](crate::Config::join_only) a session, and there is none.
    #[error("it may only join a session, and there is none")]
    NoSession,
    /// Its session holds an event of its [id](crate::Config::unique_by) already.
    #[error("its session holds an event with its id already")]
    Duplicate,
}

/// Counts since the beginning, kept through snapshots.
///
/// Nothing is lost: `pushed + extra_windows + carried_in = late + refused + held + placed +
/// carried_out`, and `placed = reported + open` (see [`open_events`](Self::open_events)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))] // a snapshot of another version can be read, to name the version
#[non_exhaustive]
pub struct Counters {
    /// Events pushed.
    pub pushed: u64,
    /// Events handed back as late.
    pub late: u64,
    /// Events handed back as too far in the future.
    pub refused_future: u64,
    /// Events handed back because too many sessions were open.
    pub refused_full: u64,
    /// Events handed back because they fall between two windows.
    pub between_windows: u64,
    /// Events that wait for the watermark now.
    pub held: u64,
    /// Events placed in sessions; with sliding windows, once for each window.
    pub placed: u64,
    /// Sliding windows beyond the first in which events were placed: `placed` minus the number of
    /// events placed.
    pub extra_windows: u64,
    /// Sliding windows that were past for events which other windows took.
    pub late_windows: u64,
    /// Events in emitted summaries; a revision counts only the events that it adds.
    pub reported: u64,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions that became part of another one.
    pub merged: u64,
    /// Sessions that are over: final summaries, corrections not counted.
    pub closed: u64,
    /// Summaries that corrected final ones.
    pub revisions: u64,
    /// Open and held events taken over when a snapshot was [split](crate::Snapshot::split).
    pub carried_in: u64,
    /// Open and held events given away when a snapshot was split.
    pub carried_out: u64,
    /// Events that may only join and found no session: handed back, or left to be
    /// [taken](crate::Engine::take_orphans).
    pub orphaned: u64,
    /// Summaries of sessions that were not over: see [`Config::update_every`](crate::Config::update_every).
    pub updates: u64,
    /// Events whose session held one of their id: handed back, or left to be
    /// [taken](crate::Engine::take_duplicates).
    pub duplicates: u64,
    /// Events behind the watermark when they were pushed: beyond the out-of-orderness bound. Late events
    /// are among them.
    pub behind: u64,
    /// Events behind the watermark that were placed where the result may not be that of the events in
    /// order of time, nor will be corrected: sessions that they belong to may have been given up.
    ///
    /// Of gap sessions those that are behind by more than the
    /// [allowed lateness](crate::Config::allowed_lateness), and open a session or move its start; with a
    /// maximum duration or rules all, as sessions behind the watermark are not cut anew. Windows never need it.
    /// While this, `late`, `late_windows` and the refused are zero, and no session is closed early, the last
    /// revisions are exactly the sessions of the same events in order of time.
    pub uncorrected: u64,
    /// Events whose arrival is the time at which they happened, with [`max_future`](crate::Config::max_future):
    /// nothing bounds their time. If it is as great as `pushed`, no event has an arrival time of its own.
    pub without_arrival: u64,
}

impl Counters {
    /// Events handed back for a reason other than being late.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused_future + self.refused_full + self.between_windows + self.orphaned + self.duplicates
    }

    /// Events in open sessions that no summary has reported yet.
    #[must_use]
    pub const fn open_events(&self) -> u64 {
        self.placed.saturating_sub(self.reported)
    }

    /// The events whose fate is known. Each push decides one, unless it ends in a panic; so they are not counted apart.
    pub(crate) const fn accounted_for(&self) -> u64 {
        let went = self.late + self.refused() + self.held + self.placed + self.carried_out;
        went.saturating_sub(self.extra_windows + self.carried_in)
    }

    /// Whether every event is accounted for. Always true, unless a snapshot was tampered with.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let sum = |counts: &[u64]| counts.iter().map(|&count| u128::from(count)).sum::<u128>();
        let Self { refused_future, refused_full, between_windows, orphaned, duplicates, .. } = *self;
        let refused = [refused_future, refused_full, between_windows, orphaned, duplicates];
        let came = sum(&[self.pushed, self.extra_windows, self.carried_in]);
        let went = sum(&[self.late, self.held, self.placed, self.carried_out]) + sum(&refused);
        came == went && self.reported <= self.placed
    }

    /// Whether no count is beyond anything that can have happened, so that counting on is safe.
    pub(crate) fn are_possible(&self) -> bool {
        self.clone().all().into_iter().all(|count| *count <= MAX_EVENTS)
    }

    fn all(&mut self) -> [&mut u64; 22] {
        let Self { pushed, late, refused_future, refused_full, between_windows, held, placed, extra_windows, .. } =
            self;
        let Self {
            late_windows,
            reported,
            opened,
            merged,
            closed,
            revisions,
            carried_in,
            carried_out,
            orphaned,
            updates,
            duplicates,
            ..
        } = self;
        let Self { behind, uncorrected, without_arrival, .. } = self;
        [
            pushed,
            late,
            refused_future,
            refused_full,
            between_windows,
            held,
            placed,
            extra_windows,
            late_windows,
            reported,
            opened,
            merged,
            closed,
            revisions,
            carried_in,
            carried_out,
            orphaned,
            updates,
            duplicates,
            behind,
            uncorrected,
            without_arrival,
        ]
    }

    /// Adds the counts of another sessionizer.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.all().into_iter().zip(other.clone().all()) {
            *sum = sum.saturating_add(*more);
        }
        // What moved from one to the other has moved nowhere.
        let both = self.carried_in.min(self.carried_out);
        self.carried_in -= both;
        self.carried_out -= both;
    }

    /// Moves open and held events away. Returns the counters they begin with elsewhere.
    pub(crate) fn carry_out(&mut self, placed: u64, held: u64) -> Self {
        self.placed = self.placed.saturating_sub(placed);
        self.held = self.held.saturating_sub(held);
        self.carried_out = self.carried_out.saturating_add(placed).saturating_add(held);
        Self { placed, held, carried_in: placed.saturating_add(held), ..Self::default() }
    }
}
