//! Sessions that end with a silence.

use core::time::Duration;

use super::Bucket;
use crate::time::Timestamp;
use crate::window::is_past;

/// A session lasts while events of its key follow each other within the gap.
///
/// It covers `[first, last + gap)`: two events exactly one gap apart are two sessions, as in Beam
/// and RisingWave. [`inclusive`](Self::inclusive) makes them one, as in Flink, Kafka and Spark.
/// One event may bridge two open sessions; they become one.
///
/// ```
/// use core::time::Duration;
/// use stagger::Gap;
///
/// let visits = Gap::new(Duration::from_secs(30 * 60)).max_duration(Duration::from_secs(12 * 3600));
/// # let _ = visits;
/// ```
#[derive(Clone, Debug)]
pub struct Gap {
    pub(crate) gap: Duration,
    pub(crate) inclusive: bool,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) cut_between: Option<Bucket>,
}

impl Gap {
    /// Sessions that end after a silence of `gap`. It can be made to depend on the event with
    /// [`Config::gap_per_event`](crate::Config::gap_per_event).
    #[must_use]
    pub const fn new(gap: Duration) -> Self {
        Self { gap, inclusive: false, max_duration: None, cut_between: None }
    }

    /// An event exactly one gap after the last one still belongs to the session.
    ///
    /// The reported window stays `[first, last + gap)`. Because an event at its very end may still
    /// come while the watermark stands there, such a session closes one microsecond later: when
    /// `watermark > end`. (Flink and Spark close at the end, so that the grouping there may depend
    /// on other keys.)
    #[must_use]
    pub const fn inclusive(mut self) -> Self {
        self.inclusive = true;
        self
    }

    /// The first event at or after `first + max` starts a new session, whatever its distance.
    ///
    /// Exact for any order of arrival within the bound: events ahead of the watermark are held
    /// until it reaches them, since one early straggler may move every later cut. (Azure Stream
    /// Analytics checks only at multiples of the maximum, so that its sessions reach twice as far.)
    #[must_use]
    pub const fn max_duration(mut self, max: Duration) -> Self {
        self.max_duration = Some(max);
        self
    }

    /// A new session starts where two events that follow each other lie in different buckets: cut
    /// at midnight with `Bucket::floor(Unit::Day).zone(…)`. Exact for any order of arrival within
    /// the bound, as [`max_duration`](Self::max_duration) is. For a rule of your own see
    /// [`Config::cut`](crate::Config::cut).
    #[must_use]
    pub fn cut_between(mut self, buckets: Bucket) -> Self {
        self.cut_between = Some(buckets);
        self
    }
}

/// The arithmetic of a checked gap. A session's *reach* is the first instant at which an event no
/// longer joins it: `last + gap`, and one microsecond more if the edge is inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) gap: i64,
    pub(crate) edge: i64,
    pub(crate) max: Option<i64>,
}

impl Reach {
    /// The reach of one event with the usual gap.
    #[inline]
    pub(crate) fn after(&self, time: Timestamp) -> Timestamp {
        time.shift(self.gap + self.edge)
    }

    /// The reach of one event with a gap of its own, which counts as one microsecond at least.
    pub(crate) fn after_own(&self, time: Timestamp, gap: i64) -> Timestamp {
        time.shift(gap.max(1)).shift(self.edge)
    }

    /// The reported end of a session that reaches to `reach`.
    pub(crate) fn window_end(&self, reach: Timestamp) -> Timestamp {
        if reach == Timestamp::MAX { reach } else { reach.shift(-self.edge) }
    }

    /// The instant from which on a session that began at `first` takes no event, whatever the gap.
    pub(crate) fn limit(&self, first: Timestamp) -> Timestamp {
        self.max.map_or(Timestamp::MAX, |max| first.shift(max))
    }

    /// The instant at which a session from `first`, whose events reach to `reach`, takes no event any more.
    #[inline]
    pub(crate) fn deadline(&self, first: Timestamp, reach: Timestamp) -> Timestamp {
        reach.min(self.limit(first))
    }

    /// Whether an event at `time` that reaches to `reach` belongs with a session from `first` to
    /// its own reach, as far as silence goes.
    #[inline]
    pub(crate) fn touches(first: Timestamp, session: Timestamp, time: Timestamp, reach: Timestamp) -> bool {
        (time < session && first < reach) || (!is_past(session, time) && !is_past(reach, first))
    }
}
