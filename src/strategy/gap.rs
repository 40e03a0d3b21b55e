//! Sessions that end with a silence.

use alloc::string::ToString;
use core::time::Duration;

use super::{Bucket, Settings, length_text, or_none};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub(crate) gap: Duration,
    pub(crate) inclusive: bool,
    pub(crate) max_duration: Option<Duration>,
    pub(crate) cut_between: Option<Bucket>,
    pub(crate) max_events: Option<u64>,
}

impl Gap {
    /// Sessions that end after a silence of `gap`. It can be made to depend on the event with
    /// [`Config::gap_per_event`](crate::Config::gap_per_event).
    #[must_use]
    pub const fn new(gap: Duration) -> Self {
        Self { gap, inclusive: false, max_duration: None, cut_between: None, max_events: None }
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

    /// The event after the first `max` of a session, in order of time, starts a new one. Zero counts
    /// as one.
    ///
    /// A full session ends one microsecond after its last event, as soon as the watermark gets there,
    /// with [`CloseReason::MaxEvents`](crate::CloseReason::MaxEvents). Exact for any order of arrival
    /// within the bound, as [`max_duration`](Self::max_duration) is. An event behind the watermark
    /// does not join a full session: it opens one of its own or is late. O(1) for each event.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{CloseReason, Config, Event, Gap, Timestamp, prelude::*};
    ///
    /// let mut batches = Config::<u32, ()>::new(Gap::new(Duration::from_secs(60)).max_events(2)).build()?;
    /// for second in [2, 0, 1] {
    ///     let _ = batches.push(Event::new(7, Timestamp::from_secs(second), ()), &mut |_| {});
    /// }
    /// let mut closed = Vec::new();
    /// batches.advance_to(Timestamp::from_secs(2), &mut |batch| closed.push((batch.count, batch.reason)));
    /// assert_eq!(closed, [(2, CloseReason::MaxEvents)]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub const fn max_events(mut self, max: u64) -> Self {
        self.max_events = Some(if max == 0 { 1 } else { max });
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

    pub(super) fn settings(&self) -> Settings {
        let mut all: Settings = [
            ("strategy", "gap".into()),
            ("gap", length_text(self.gap)),
            ("inclusive", self.inclusive.to_string()),
            ("max_duration", or_none(self.max_duration, length_text)),
            ("cut_between", or_none(self.cut_between.as_ref(), ToString::to_string)),
        ]
        .into();
        // Snapshots from before it was there do not name it.
        all.extend(self.max_events.map(|max| ("max_events", max.to_string())));
        all
    }
}

/// The arithmetic of a checked gap. A session's *reach* is the first instant at which an event no
/// longer joins it: `last + gap`, and one microsecond more if the edge is inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) gap: i64,
    pub(crate) edge: i64,
    /// Both together.
    silence: i64,
    pub(crate) max: Option<i64>,
}

impl Reach {
    pub(crate) const fn new(gap: i64, is_inclusive: bool, max: Option<i64>) -> Self {
        let edge = is_inclusive as i64;
        Self { gap, edge, silence: gap.saturating_add(edge), max }
    }

    /// The reach of one event with the usual gap.
    #[inline]
    pub(crate) fn after(&self, time: Timestamp) -> Timestamp {
        time.shift(self.silence)
    }

    /// The reach of one event with a gap of its own, which counts as one microsecond at least.
    pub(crate) fn after_own(&self, time: Timestamp, gap: i64) -> Timestamp {
        time.shift(gap.max(1)).shift(self.edge)
    }

    /// The reported end of a session that reaches to `reach`.
    pub(crate) fn window_end(&self, reach: Timestamp) -> Timestamp {
        if reach == Timestamp::MAX { reach } else { reach.shift(-self.edge) }
    }

    /// The instant from which on a session that began at `first` takes no event, for any gap.
    pub(crate) fn limit(&self, first: Timestamp) -> Timestamp {
        self.max.map_or(Timestamp::MAX, |max| first.shift(max))
    }

    /// The instant at which a session from `first`, whose events reach to `reach`, takes no event any more.
    #[inline]
    pub(crate) fn deadline(&self, first: Timestamp, reach: Timestamp) -> Timestamp {
        if self.max.is_none() { reach } else { self.limited(first, reach) }
    }

    /// (Apart, so that sessions without a maximum do not compute it.)
    #[inline(never)]
    fn limited(&self, first: Timestamp, reach: Timestamp) -> Timestamp {
        reach.min(self.limit(first))
    }

    /// Whether an event at `time` that reaches to `reach` belongs with a session from `first` to
    /// its own reach, as far as silence goes.
    #[inline]
    pub(crate) fn touches(first: Timestamp, session: Timestamp, time: Timestamp, reach: Timestamp) -> bool {
        (time < session && first < reach) || (!is_past(session, time) && !is_past(reach, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const OPEN: Reach = Reach::new(10, false, None);
    const INCLUSIVE: Reach = Reach::new(10, true, None);

    /// Whether two events belong together, whichever comes first.
    fn together(reach: Reach, one: i64, other: i64) -> bool {
        let touches = |a, b| Reach::touches(at(a), reach.after(at(a)), at(b), reach.after(at(b)));
        assert_eq!(touches(one, other), touches(other, one));
        touches(one, other)
    }

    #[test]
    fn exactly_gap_apart() {
        assert!(!together(OPEN, 0, 10));
        assert!(together(INCLUSIVE, 0, 10));
    }

    #[test]
    fn one_microsecond_less_than_gap_apart() {
        assert!(together(OPEN, 0, 9));
        assert!(together(INCLUSIVE, 0, 9));
    }

    #[test]
    fn one_microsecond_more_than_gap_apart() {
        assert!(!together(INCLUSIVE, 0, 11));
    }

    #[test]
    fn a_reach_to_the_end_of_time_holds_that_instant_too() {
        assert!(together(OPEN, i64::MAX - 10, i64::MAX));
        assert!(!together(OPEN, i64::MAX - 11, i64::MAX - 1));
    }

    #[test]
    fn the_window_of_an_inclusive_gap_ends_one_microsecond_before_its_reach() {
        assert_eq!(OPEN.window_end(OPEN.after(at(5))), at(15));
        assert_eq!(INCLUSIVE.after(at(5)), at(16));
        assert_eq!(INCLUSIVE.window_end(at(16)), at(15));
        assert_eq!(INCLUSIVE.window_end(Timestamp::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_gap_of_its_own_is_at_least_one_microsecond() {
        assert_eq!(OPEN.after_own(at(5), 0), at(6));
        assert_eq!(OPEN.after_own(at(5), 2), at(7));
        assert_eq!(INCLUSIVE.after_own(at(5), 0), at(7));
    }

    #[test]
    fn the_deadline_is_the_reach_or_the_maximum_duration_if_that_is_sooner() {
        let limited = Reach::new(10, false, Some(20));
        assert_eq!(limited.deadline(at(0), at(19)), at(19));
        assert_eq!(limited.deadline(at(0), at(21)), at(20));
        assert_eq!(OPEN.limit(at(0)), Timestamp::MAX);
    }

    #[test]
    fn at_most_no_event_is_at_most_one() {
        let most = |events| Gap::new(core::time::Duration::from_secs(1)).max_events(events).max_events;
        assert_eq!([0, 1, 2].map(most), [Some(1), Some(1), Some(2)]);
    }
}
