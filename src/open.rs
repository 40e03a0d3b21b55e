//! An open session as its caller may look at it.

use core::fmt;
use core::time::Duration;

use crate::data::Key;
use crate::id::SessionId;
use crate::session::{IdParts, RareState, Reported, Session};
use crate::time::Timestamp;
use crate::window::Window;

/// An open session, borrowed from its [`Engine`](crate::Engine): what its summary would say if no
/// further event joined it. `S` is the [state](crate::Aggregate::State) of the aggregate.
///
/// Looking changes nothing: no clock moves, no session closes, nothing is counted, nothing is copied.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Config, Event, Gap, Timestamp, prelude::*};
///
/// let at = Timestamp::from_secs;
/// let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(60))).build()?;
/// for (user, second, page) in [("ann", 0, "/"), ("bob", 9, "/"), ("ann", 5, "/beer"), ("ann", 500, "/")] {
///     let _ = visits.push(Event::new(user, at(second), page), &mut |_| {});
/// }
///
/// let firsts: Vec<_> = visits.sessions_of("ann").map(|visit| visit.first_time()).collect();
/// assert_eq!(firsts, [at(0), at(500)]);
/// let visit = visits.session_at("ann", at(7)).expect("ann is here");
/// assert_eq!((visit.count(), visit.last_event().as_str(), visit.window().end), (2, "/beer", at(65)));
/// assert_eq!(visits.open().count(), 3);
/// # Ok::<(), stagger::ConfigError>(())
/// ```
pub struct OpenSession<'e, K, V, S = ()> {
    key: &'e K,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    first_event: &'e V,
    last_event: &'e V,
    state: &'e S,
    rare: Option<&'e RareState<V>>,
    window: Window,
    bucket: Option<Timestamp>,
    parts: IdParts,
}

impl<'e, K, V, S> OpenSession<'e, K, V, S> {
    #[inline(always)]
    pub(crate) fn new(
        session: &'e Session<K, V, S>,
        rare: Option<&'e RareState<V>>,
        window: Window,
        bucket: Option<Timestamp>,
        parts: IdParts,
    ) -> Self {
        Self {
            key: &session.key,
            first: session.first,
            last: session.last,
            count: session.count(),
            first_event: &session.first_value,
            last_event: &session.last_value,
            state: &session.state,
            rare,
            window,
            bucket,
            parts,
        }
    }

    /// The same for a rule that knows nothing of the aggregate.
    pub(crate) const fn without_state(&self) -> OpenSession<'e, K, V> {
        let Self { key, first, last, count, first_event, last_event, rare, window, bucket, parts, .. } = *self;
        let state = &();
        OpenSession { key, first, last, count, first_event, last_event, state, rare, window, bucket, parts }
    }

    /// Whose session it is.
    #[must_use]
    pub const fn key(&self) -> &'e K {
        self.key
    }

    /// The time that it covers: of a gap session, from its first event to its last plus the gap.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// The bucket, or the start of the sliding window, where the strategy has buckets.
    #[must_use]
    pub const fn bucket(&self) -> Option<Timestamp> {
        self.bucket
    }

    /// Its part, as in [`SessionSummary::part`](crate::SessionSummary::part).
    #[must_use]
    pub const fn part(&self) -> u32 {
        match self.rare {
            Some(rare) => rare.part,
            None => 1,
        }
    }

    /// How many events it holds. At least one.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The earliest event time in it.
    #[must_use]
    pub const fn first_time(&self) -> Timestamp {
        self.first
    }

    /// The latest event time in it.
    #[must_use]
    pub const fn last_time(&self) -> Timestamp {
        self.last
    }

    /// From the first event to the last; zero for a single event.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.last_time().since(self.first_time())
    }

    /// The value of its first event: by event time, or by arrival if the configuration says so.
    #[must_use]
    pub const fn first_event(&self) -> &'e V {
        self.first_event
    }

    /// The value of its last event, likewise.
    #[must_use]
    pub const fn last_event(&self) -> &'e V {
        self.last_event
    }

    /// The state of the caller's aggregate, as its events have made it: a clone can be
    /// [finished](crate::Aggregate::finish) to the value that the summary would hold.
    #[must_use]
    pub const fn state(&self) -> &'e S {
        self.state
    }

    const fn reported(&self) -> Option<Reported> {
        match self.rare {
            Some(rare) => rare.reported,
            None => None,
        }
    }

    /// Whether a summary of it has been emitted: an update, or a final one, and it is kept for corrections.
    #[must_use]
    pub const fn is_reported(&self) -> bool {
        self.reported().is_some()
    }

    /// How many of its events no summary has held yet.
    #[must_use]
    pub const fn unreported(&self) -> u64 {
        match self.reported() {
            Some(reported) => self.count - reported.count,
            None => self.count,
        }
    }
}

impl<K: Key, V, S> OpenSession<'_, K, V, S> {
    /// The provisional id: the one that its summary has if nothing happens to the session but
    /// further events behind its first.
    ///
    /// It changes if an earlier event moves the start of a gap session, or if two sessions merge,
    /// which ends when the watermark has passed the start; and if the session is closed early to
    /// make room. In a sorted stream without a bound on sessions it never changes, nor does that of
    /// a bucket, a sliding window or a window on the arrival clock.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let settled = self.reported().filter(|reported| reported.is_settled);
        let id = settled.map_or_else(|| self.parts.id_of(self.key, self.bucket, self.rare), |settled| settled.id);
        id.of(self.key, self.bucket)
    }
}

impl<K, V, S> Clone for OpenSession<'_, K, V, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, S> Copy for OpenSession<'_, K, V, S> {}

impl<K: fmt::Debug, V: fmt::Debug, S: fmt::Debug> fmt::Debug for OpenSession<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSession")
            .field("key", self.key())
            .field("window", &self.window)
            .field("bucket", &self.bucket)
            .field("part", &self.part())
            .field("count", &self.count())
            .field("first_event", self.first_event())
            .field("last_event", self.last_event())
            .field("state", self.state())
            .field("is_reported", &self.is_reported())
            .finish()
    }
}
