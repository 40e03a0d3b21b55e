//! The clock: where it stands, what moves it, and when something is due.

use crate::event::Event;
use crate::sessionizer;
use crate::time::Timestamp;

/// What moves the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockSource {
    /// Only the caller.
    Caller,
    /// The event times, with this bound on how far they are out of order.
    Watermark(i64),
    /// The arrival times.
    Arrival,
}

/// The clock of an engine. It never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    now: Timestamp,
    /// Where it stood before the latest move.
    before: Timestamp,
    source: ClockSource,
    /// No event before this moves the clock or brings anything about.
    next_move: Timestamp,
    /// Nothing is due before this.
    next_due: Timestamp,
    /// How far an event time may be after the arrival; [`NO_BOUND`] without a bound.
    max_future: i64,
    /// Windows that end up to here were given up under another lateness, before a restore.
    given_up: Timestamp,
}

/// See [`Clock::movers`].
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Movers {
    clock: Clock,
    /// The greatest time so far.
    greatest: Timestamp,
}

#[cfg(feature = "std")]
impl Movers {
    /// Whether the next event may move the clock. Some of which it says so do not.
    #[inline(always)]
    pub(crate) fn may_move<K, V>(&mut self, event: &Event<K, V>) -> bool {
        let time = self.clock.time_of(event);
        let may_move = time > self.greatest;
        if !self.clock.is_too_early(event) {
            self.greatest = self.greatest.max(time);
        }
        may_move
    }
}

/// No event moves the clock further: none says that the stream is over, not even one at the end of time.
const LAST: Timestamp = Timestamp::MAX.shift(-1);
const NO_BOUND: i64 = i64::MAX;

impl Clock {
    pub(crate) fn new(source: ClockSource, max_future: Option<i64>) -> Self {
        let (now, next_due, next_move) = (Timestamp::MIN, Timestamp::MAX, Timestamp::MIN);
        let (before, given_up) = (now, Timestamp::MIN);
        Self { now, before, source, next_move, next_due, max_future: max_future.unwrap_or(NO_BOUND), given_up }
    }

    #[inline]
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Where it stood before the call that goes on now moved it.
    pub(crate) const fn before(&self) -> Timestamp {
        self.before
    }

    pub(crate) const fn kind(&self) -> sessionizer::Clock {
        match self.source {
            ClockSource::Caller | ClockSource::Watermark(_) => sessionizer::Clock::Event,
            ClockSource::Arrival => sessionizer::Clock::Arrival,
        }
    }

    /// Whether there is a bound on how far an event time may be after the arrival.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.max_future != NO_BOUND
    }

    /// Whether an event is further in the future than the bound allows.
    #[inline]
    pub(crate) fn is_too_early<K, V>(&self, event: &Event<K, V>) -> bool {
        self.max_future != NO_BOUND && event.event_time > event.arrival_time.shift(self.max_future)
    }

    /// Whether an event is behind the watermark.
    #[inline(always)]
    pub(crate) fn is_behind<K, V>(&self, event: &Event<K, V>) -> bool {
        event.event_time < self.now
    }

    /// The time of an event that this clock looks at.
    #[inline(always)]
    const fn time_of<K, V>(&self, event: &Event<K, V>) -> Timestamp {
        match self.source {
            ClockSource::Caller | ClockSource::Watermark(_) => event.event_time,
            ClockSource::Arrival => event.arrival_time,
        }
    }

    /// Whether an event may move the clock, or cause the output of pending sessions.
    #[inline(always)]
    pub(crate) fn is_moved_by<K, V>(&self, event: &Event<K, V>) -> bool {
        self.time_of(event) >= self.next_move
    }

    /// What tells the events that may move the clock from here on, one after the other, as long as
    /// [`reschedule`](Self::reschedule) leaves nothing due: no call is bounded.
    #[cfg(feature = "std")]
    pub(crate) const fn movers(self) -> Movers {
        Movers { greatest: self.next_move.shift(-1), clock: self }
    }

    /// Moves the clock as the event demands. Returns whether something is due.
    #[inline(always)]
    pub(crate) fn observe<K, V>(&mut self, event: &Event<K, V>) -> bool {
        let time = self.time_of(event);
        let moved = match self.source {
            ClockSource::Caller => Timestamp::MIN,
            ClockSource::Watermark(bound) => time.shift(-bound),
            ClockSource::Arrival => time,
        };
        self.before = self.now;
        self.now = self.now.max(moved.min(LAST));
        self.next_move = match self.source {
            ClockSource::Caller => Timestamp::MAX,
            ClockSource::Watermark(bound) => self.now.shift(bound).shift(1),
            ClockSource::Arrival => self.now.shift(1),
        };
        self.is_due()
    }

    /// Moves the clock to `time`. False: it is already further.
    pub(crate) fn advance(&mut self, time: Timestamp) -> bool {
        let is_ahead = time >= self.now;
        self.before = self.now;
        self.now = self.now.max(time);
        is_ahead
    }

    /// Takes every window for past that ends up to `end`, for any lateness.
    pub(crate) fn give_up(&mut self, end: Timestamp) {
        self.given_up = self.given_up.max(end);
    }

    /// The end up to which windows are past for any lateness, if there is one.
    pub(crate) fn given_up(&self) -> Option<Timestamp> {
        (self.given_up != Timestamp::MIN).then_some(self.given_up)
    }

    /// Notes that something must be done when the clock reaches `deadline`.
    #[inline]
    pub(crate) fn schedule(&mut self, deadline: Timestamp) {
        self.next_due = self.next_due.min(deadline);
    }

    /// Notes when something must be done next, after all that was due is done.
    pub(crate) fn reschedule(&mut self, next_due: Timestamp) {
        self.next_due = next_due;
        if self.is_due() {
            self.next_move = Timestamp::MIN; // every event brings about more
        }
    }

    /// Whether something is due. At the end of time no event brings it about, only the caller.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        self.now >= self.next_due && self.now != Timestamp::MAX
    }

    /// Whether the clock has reached `end` and the lateness after it.
    #[inline]
    pub(crate) fn is_past(&self, end: Timestamp, lateness: i64) -> bool {
        self.now >= end.shift(lateness) || end <= self.given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn event(time: i64, arrival: i64) -> Event<(), ()> {
        Event::new((), at(time), ()).arriving_at(at(arrival))
    }

    #[test]
    fn a_derived_watermark_trails_the_greatest_event_time_by_the_bound() {
        let mut clock = Clock::new(ClockSource::Watermark(10), None);
        [30, 25, 31].iter().for_each(|time| _ = clock.observe(&event(*time, 0)));
        assert_eq!(clock.now(), at(21));
        assert!(!clock.is_moved_by(&event(31, 0)) && clock.is_moved_by(&event(32, 0)));
    }

    #[test]
    fn the_arrival_clock_never_goes_back() {
        let mut clock = Clock::new(ClockSource::Arrival, None);
        [5, 3].iter().for_each(|arrival| _ = clock.observe(&event(99, *arrival)));
        assert_eq!(clock.now(), at(5));
    }

    #[test]
    fn only_the_caller_reaches_the_end_of_time() {
        let mut clock = Clock::new(ClockSource::Arrival, None);
        clock.observe(&event(0, i64::MAX));
        assert_eq!(clock.now(), LAST);
        assert!(clock.advance(Timestamp::MAX));
        clock.schedule(at(0));
        assert!(!clock.is_due());
    }

    #[test]
    fn due_at_the_deadline_and_not_one_microsecond_before() {
        let mut clock = Clock::new(ClockSource::Caller, None);
        clock.schedule(at(40));
        clock.schedule(at(50));
        clock.advance(at(39));
        assert!(!clock.is_due());
        clock.advance(at(40));
        assert!(clock.is_due());
        clock.reschedule(at(50));
        assert!(!clock.is_due());
    }

    #[test]
    fn while_something_is_pending_every_event_counts() {
        let mut clock = Clock::new(ClockSource::Watermark(0), None);
        assert!(!clock.observe(&event(50, 0)));
        assert!(!clock.is_moved_by(&event(10, 0)));
        clock.reschedule(at(50));
        assert!(clock.is_moved_by(&event(10, 0)) && clock.observe(&event(10, 0)));
    }

    #[test]
    fn past_at_the_end_plus_the_lateness() {
        let mut clock = Clock::new(ClockSource::Caller, None);
        clock.advance(at(59));
        assert!(!clock.is_past(at(50), 10));
        clock.advance(at(60));
        assert!(clock.is_past(at(50), 10));
    }

    #[test]
    fn too_early_is_more_than_the_bound_after_the_arrival() {
        let clock = Clock::new(ClockSource::Caller, Some(5));
        assert!(!clock.is_too_early(&event(15, 10)));
        assert!(clock.is_too_early(&event(16, 10)));
        assert!(!Clock::new(ClockSource::Caller, None).is_too_early(&event(i64::MAX, -9)));
    }
}
