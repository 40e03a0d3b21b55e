//! The output: one summary per session.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::data::Key;
use crate::id::{Identity, SessionId, SummaryId};
use crate::rules::TimedValue;
use crate::time::Timestamp;
use crate::window::Window;

/// One session: what belonged together, from when to when, and why it ended.
///
/// `K` and `V` are the kept key and value types, `O` the output of the caller's own
/// [`Aggregate`](crate::Aggregate).
///
/// # Written form
/// With the feature `serde` a summary is written in a form that stays. All times are integers,
/// microseconds since 1970-01-01T00:00:00Z; as [`Rfc3339(summary)`](crate::Rfc3339) they are text. An id
/// is text of 32 hexadecimal digits. In JSON:
///
/// ```json
/// {
///   "id": "fe873c77797e3dfe7997eddc221f0597",
///   "revision": 1,
///   "supersedes": [{"id": "fe873c77797e3dfe7997eddc221f0597", "revision": 0}],
///   "key": "ann",
///   "window": {"start": 1543534510000000, "end": 1543534600000000},
///   "bucket": null,
///   "part": 1,
///   "count": 2,
///   "first_time": 1543534510000000,
///   "last_time": 1543534540000000,
///   "first_event": "/beer",
///   "last_event": "/cart",
///   "reason": "gap",
///   "aggregate": null
/// }
/// ```
///
/// It can be read back with its id. `supersedes` is empty in revision 0. Later versions may add fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionSummary<K, V, O = ()> {
    /// Whose session it was.
    pub key: K,
    /// The time it covered. Gap: from the first event to the last plus the gap. Event clock:
    /// the bucket or sliding window. Arrival clock: from the arrival that opened it, for `range`.
    pub window: Window,
    /// The event time after STEP or FLOOR (or the sliding window's start), where the strategy has
    /// buckets.
    pub bucket: Option<Timestamp>,
    /// 1, and more where a straggler opened the same (key, bucket) again on the arrival clock, or
    /// several sessions of a key begin at one instant by a rule.
    pub part: u32,
    /// How many events it holds. At least one.
    pub count: u64,
    /// The earliest event time in it.
    pub first_time: Timestamp,
    /// The latest event time in it (inclusive).
    pub last_time: Timestamp,
    /// The value of its first event: by event time, or by arrival if the configuration says so.
    pub first_event: V,
    /// The value of its last event, likewise.
    pub last_event: V,
    /// Why it is over.
    pub reason: CloseReason,
    /// The value of the caller's own aggregate.
    pub aggregate: O,
    pub(crate) id: SummaryId,
    pub(crate) correction: Option<Box<Correction>>,
}

/// What makes a summary a revision of earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    pub(crate) revision: u32,
    pub(crate) supersedes: Vec<Superseded>,
}

impl Correction {
    /// Nothing for a first summary.
    pub(crate) fn new(revision: u32, supersedes: Vec<Superseded>) -> Option<Box<Self>> {
        (revision > 0 || !supersedes.is_empty()).then(|| Box::new(Self { revision, supersedes }))
    }
}

/// An earlier summary that a revision replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Superseded {
    /// The id under which it was reported.
    pub id: SessionId,
    /// Its revision.
    pub revision: u32,
}

impl<K, V, O> SessionSummary<K, V, O> {
    /// A summary made by hand, for tests of code that takes summaries: of the two events `first` and
    /// `last`, closed by a gap. All fields can be set afterwards, and its id
    /// [chosen](Self::with_id).
    ///
    /// ```
    /// use stagger::{CloseReason, SessionSummary, TimedValue, Timestamp, Window};
    ///
    /// let at = Timestamp::from_secs;
    /// let first = TimedValue { time: at(10), value: "/beer" };
    /// let last = TimedValue { time: at(40), value: "/cart" };
    /// let mut visit = SessionSummary::new(7_u64, Window::new(at(10), at(100)), first, last, ());
    /// visit.count = 3;
    /// visit.reason = CloseReason::Flush;
    /// assert_eq!(visit.duration().as_secs(), 30);
    /// ```
    pub fn new(key: K, window: Window, first: TimedValue<V>, last: TimedValue<V>, aggregate: O) -> Self {
        Self {
            key,
            window,
            bucket: None,
            part: 1,
            count: 2,
            first_time: first.time,
            last_time: last.time,
            first_event: first.value,
            last_event: last.value,
            reason: CloseReason::Gap,
            aggregate,
            id: SummaryId::Of(Identity::of(first.time)),
            correction: None,
        }
    }

    /// The same summary under another id.
    #[must_use]
    pub fn with_id(self, id: SessionId) -> Self {
        Self { id: SummaryId::known(id), ..self }
    }

    /// The same summary as a revision that replaces others.
    #[must_use]
    pub fn with_revision(self, revision: u32, supersedes: Vec<Superseded>) -> Self {
        Self { correction: Correction::new(revision, supersedes), ..self }
    }

    /// From the first event to the last; zero for a single event.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.last_time.since(self.first_time)
    }

    /// 0 for the first summary of a session, and one more for each that follows: after updates, and for
    /// corrections, which only come with [`allowed_lateness`](crate::Config::allowed_lateness).
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.correction.as_ref().map_or(0, |c| c.revision)
    }

    /// Whether it is an early result of a session that is not over, which a later summary replaces.
    #[must_use]
    pub fn is_update(&self) -> bool {
        self.reason == CloseReason::Update
    }

    /// The summaries that this one replaces: the one before it, and more than one where an event joined
    /// sessions that had been reported apart; empty for revision 0. Updates may have had another id, if
    /// an earlier event moved the start of the session since.
    #[must_use]
    pub fn supersedes(&self) -> &[Superseded] {
        self.correction.as_ref().map_or(&[], |c| &c.supersedes)
    }
}

impl<K: Key, V, O> SessionSummary<K, V, O> {
    /// The id of the session: unique over all keys, the same for the final summary and every correction
    /// of it, and the same again when the same events are read in another run. See [`SessionId`]. That of an
    /// update is [provisional](crate::OpenSession::id).
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id.of(&self.key, self.bucket)
    }
}

impl<K: Key + PartialEq, V: PartialEq, O: PartialEq> PartialEq for SessionSummary<K, V, O> {
    fn eq(&self, other: &Self) -> bool {
        let plain = |summary: &Self| {
            let Self { window, bucket, part, count, first_time, last_time, reason, .. } = summary;
            (*window, *bucket, *part, *count, *first_time, *last_time, *reason)
        };
        plain(self) == plain(other)
            && self.key == other.key
            && (&self.first_event, &self.last_event) == (&other.first_event, &other.last_event)
            && self.aggregate == other.aggregate
            && self.correction == other.correction
            && self.id() == other.id()
    }
}

/// Why a session ended, or why it is emitted before. Each reason stands for one rule of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CloseReason {
    /// The key was silent for the gap.
    Gap,
    /// The arrival clock reached the opening plus the range.
    Range,
    /// The watermark passed the end of the bucket or sliding window.
    Watermark,
    /// The maximum duration of a gap session.
    MaxDuration,
    /// The caller's rule for cutting a gap session: [`Config::cut`](crate::Config::cut).
    Cut,
    /// The caller's rule that knows its session: [`Config::cut_with`](crate::Config::cut_with).
    CutWith,
    /// The next event lies in another bucket: [`Gap::cut_between`](crate::Gap::cut_between).
    CutBetween,
    /// The caller's rule for the last event of a session: [`Config::end_at`](crate::Config::end_at).
    EndEvent,
    /// The maximum number of events: [`Gap::max_events`](crate::Gap::max_events).
    MaxEvents,
    /// [`flush`](crate::Sessionizer::flush) was called: the session may have gone on.
    Flush,
    /// The bound on open sessions was reached: the session may have gone on.
    Evicted,
    /// It is not over: an early result, asked for with [`Config::update_every`](crate::Config::update_every) or
    /// [`update_every_events`](crate::Config::update_every_events). A later summary replaces it.
    Update,
}

impl CloseReason {
    /// The reason in snake case, as in the output files: `max_duration`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Range => "range",
            Self::Watermark => "watermark",
            Self::MaxDuration => "max_duration",
            Self::Cut => "cut",
            Self::CutWith => "cut_with",
            Self::CutBetween => "cut_between",
            Self::EndEvent => "end_event",
            Self::MaxEvents => "max_events",
            Self::Flush => "flush",
            Self::Evicted => "evicted",
            Self::Update => "update",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
