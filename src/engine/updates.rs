//! Which open sessions have changed since they were emitted, and when they are emitted next.
//!
//! The clock is cut into equal stretches, counted from 1970. When a call moves it into another stretch, the
//! sessions that have changed and are still open are emitted, in order of their opening. A session is noted
//! with its first change, so an event that follows costs nothing here. Entries whose session is gone, or has
//! been emitted since, are harmless.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use crate::engine::whereabouts::Whereabouts;
use crate::rules::UpdateRule;
use crate::time::Timestamp;

/// A session that has changed: the push that opened it, its window among those that the same push opened,
/// and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Changed {
    pub(crate) opened: u64,
    pub(crate) window: i64,
    pub(crate) at: Whereabouts,
}

/// The sessions to be emitted early.
pub(crate) struct Updates {
    rule: UpdateRule,
    is_on: bool,
    changed: BinaryHeap<Reverse<Changed>>,
    due: Timestamp,
}

impl Updates {
    pub(crate) fn new(rule: UpdateRule) -> Self {
        Self { rule, is_on: rule.is_on(), changed: BinaryHeap::new(), due: Timestamp::MAX }
    }

    #[inline(always)]
    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether a session with this number of events not yet in a summary is emitted at once.
    pub(crate) const fn are_enough(&self, fresh: u64) -> bool {
        fresh >= self.rule.events
    }

    /// Whether sessions are to be emitted as time goes by.
    pub(crate) const fn go_by_time(&self) -> bool {
        self.rule.every.is_some()
    }

    /// When sessions are emitted next; [`Timestamp::MAX`] if none has changed.
    #[inline]
    pub(crate) const fn due(&self) -> Timestamp {
        self.due
    }

    pub(crate) fn len(&self) -> usize {
        self.changed.len()
    }

    /// Notes that a session has changed, in the stretch of the clock that holds `at`. O(log n).
    pub(crate) fn note(&mut self, changed: Changed, at: Timestamp) {
        let Some(every) = self.rule.every else { return };
        self.changed.push(Reverse(changed));
        if self.due == Timestamp::MAX {
            self.due = next_multiple(every, at);
        }
    }

    /// Changed sessions are due already.
    pub(crate) fn bring_forward(&mut self, now: Timestamp) {
        if !self.changed.is_empty() {
            self.due = now;
        }
    }

    /// The session that opened first.
    pub(crate) fn first(&self) -> Option<Changed> {
        self.changed.peek().map(|Reverse(changed)| *changed)
    }

    /// All that were due have been emitted, and none is noted.
    pub(crate) const fn set_none_due(&mut self) {
        self.due = Timestamp::MAX;
    }

    pub(crate) fn remove_first(&mut self) {
        self.changed.pop();
    }

    /// Forgets entries that are obsolete (`is_obsolete`) or noted twice.
    pub(crate) fn retain(&mut self, is_needed: impl Fn(&Changed) -> bool) {
        let mut all = core::mem::take(&mut self.changed).into_vec();
        all.sort_unstable();
        all.dedup();
        all.retain(|Reverse(changed)| is_needed(changed));
        self.changed = all.into();
    }

    /// Forgets everything noted. The next entries are due when these would have been.
    pub(crate) fn forget(&mut self) {
        self.changed = BinaryHeap::new();
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.forget();
        self.set_none_due();
    }
}

/// The first multiple of a length after `now`.
fn next_multiple(length: i64, now: Timestamp) -> Timestamp {
    let length = i128::from(length);
    let next = (i128::from(now.as_micros()).div_euclid(length) + 1) * length;
    Timestamp::from_micros(i64::try_from(next).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::iter;

    use super::*;
    use crate::config::Config;
    use crate::event::Event;
    use crate::rules::WhenFull;
    use crate::strategy::{Bucket, Gap, Sliding, Stagger, Strategy};
    use crate::summary::CloseReason::{self, Evicted, Flush, Gap as Silence, Update};
    use crate::testing::{Run, Settings, at, config, us};

    /// Key, first event, number of events, revision, reason.
    type Seen = (u8, i64, u64, u32, CloseReason);

    fn seen(run: &mut Run) -> Vec<Seen> {
        let all = run.summaries().into_iter();
        all.map(|s| (s.key, s.first_time.as_micros(), s.count, s.revision(), s.reason)).collect()
    }

    fn push(run: &mut Run, key: u8, times: &[i64]) {
        times.iter().for_each(|time| assert!(!run.push(key, *time).is_returned()));
    }

    fn every_ten() -> Settings {
        config(Gap::new(us(100))).update_every(us(10))
    }

    #[test]
    fn multiples_are_counted_from_1970() {
        let next = |now| next_multiple(10, at(now)).as_micros();
        assert_eq!([-11, -10, -1, 0, 9, 10].map(next), [-10, 0, 0, 10, 10, 20]);
        assert_eq!(next(i64::MAX), i64::MAX);
        assert_eq!(next_multiple(i64::MAX, Timestamp::MIN), at(-i64::MAX));
    }

    #[test]
    fn at_the_end_of_a_stretch_and_not_one_microsecond_before() {
        let mut run = Run::new(every_ten());
        run.advance(3);
        push(&mut run, 1, &[4, 25]);
        assert_eq!(run.engine.next_deadline(), Some(at(10)));
        run.close_until(9);
        assert_eq!(seen(&mut run), []);
        run.close_until(10);
        assert_eq!(seen(&mut run), [(1, 4, 2, 0, Update)]);
        assert!(run.engine.next_deadline() > Some(at(20)), "nothing has changed since");
        run.close_until(20);
        assert_eq!((seen(&mut run), run.counters().updates), ([].into(), 1));
        push(&mut run, 1, &[26]);
        run.close_until(57);
        run.close_until(126);
        assert_eq!(seen(&mut run), [(1, 4, 3, 1, Update), (1, 4, 3, 2, Silence)]);
    }

    #[test]
    fn what_is_over_by_then_is_not_updated() {
        let mut run = Run::new(config(Gap::new(us(5))).update_every(us(10)));
        push(&mut run, 1, &[3]);
        push(&mut run, 2, &[8]);
        run.close_until(10);
        assert_eq!(seen(&mut run), [(1, 3, 1, 0, Silence), (2, 8, 1, 0, Update)]);
    }

    #[test]
    fn updates_come_in_order_of_opening() {
        for strategy in [
            Strategy::from(Gap::new(us(100))),
            Stagger::on_event_time(Bucket::step(us(100))).into(),
            Sliding::tumbling(us(100)).into(),
        ] {
            let mut run = Run::new(config(strategy).update_every(us(10)));
            for (key, time) in [(3, 5), (1, 6), (2, 4)] {
                push(&mut run, key, &[time]);
            }
            run.close_until(10);
            assert_eq!(seen(&mut run), [(3, 5, 1, 0, Update), (1, 6, 1, 0, Update), (2, 4, 1, 0, Update)]);
            push(&mut run, 1, &[7]);
            push(&mut run, 3, &[7]);
            run.close_until(20);
            assert_eq!(seen(&mut run), [(3, 5, 2, 1, Update), (1, 6, 2, 1, Update)]);
        }
    }

    #[test]
    fn on_the_arrival_clock_by_arrival() {
        let stagger = Stagger::on_arrival(Bucket::step(us(1_000)), us(100));
        let mut run = Run::new(config(stagger).update_every(us(10)));
        for arrival in [103, 109] {
            assert!(!run.push_at(1, 5, arrival).is_returned());
        }
        assert_eq!(run.engine.next_deadline(), Some(at(110)));
        run.close_until(110);
        run.close_until(203);
        assert_eq!(seen(&mut run), [(1, 5, 2, 0, Update), (1, 5, 2, 1, CloseReason::Range)]);
    }

    #[test]
    fn after_so_many_events_at_once() {
        let mut run = Run::new(config(Gap::new(us(100))).update_every_events(2));
        push(&mut run, 1, &[0, 1, 2, 3, 4]);
        assert_eq!(seen(&mut run), [(1, 0, 2, 0, Update), (1, 0, 4, 1, Update)]);
        run.close_all();
        assert_eq!(seen(&mut run), [(1, 0, 5, 2, Flush)]);
        assert_eq!((run.counters().updates, run.counters().closed, run.counters().reported), (2, 1, 5));
    }

    #[test]
    fn zero_events_count_as_one() {
        let mut run = Run::new(config(Gap::new(us(100))).update_every_events(0));
        push(&mut run, 1, &[0, 1]);
        assert_eq!(seen(&mut run), [(1, 0, 1, 0, Update), (1, 0, 2, 1, Update)]);
    }

    #[test]
    fn a_final_summary_names_the_update_by_the_id_that_it_had() {
        let mut run = Run::new(config(Gap::new(us(100))).update_every_events(1));
        push(&mut run, 1, &[50, 40]);
        run.close_all();
        let [first, second, last] = &run.summaries()[..] else { panic!("three summaries") };
        assert!(first.id() != second.id() && second.id() == last.id());
        let names = |summary: &crate::SessionSummary<u8, i64>| {
            summary.supersedes().iter().map(|earlier| (earlier.id, earlier.revision)).collect::<Vec<_>>()
        };
        assert_eq!((names(second), names(last)), ([(first.id(), 0)].into(), [(second.id(), 1)].into()));
        let mut alone = Run::new(config(Gap::new(us(100))));
        push(&mut alone, 1, &[50, 40]);
        alone.close_all();
        assert_eq!(alone.summaries()[0].id(), last.id(), "updates do not show in the final id");
    }

    #[test]
    fn the_next_summary_of_merged_sessions_replaces_both() {
        let mut run = Run::new(config(Gap::new(us(10))).update_every_events(1));
        push(&mut run, 1, &[18, 20, 22, 0]);
        let before = run.summaries();
        push(&mut run, 1, &[9]);
        let [merged] = &run.summaries()[..] else { panic!("one update") };
        let mut replaced: Vec<_> = merged.supersedes().iter().map(|earlier| (earlier.id, earlier.revision)).collect();
        replaced.sort_unstable();
        let mut expected = [(before[2].id(), 2), (before[3].id(), 0)];
        expected.sort_unstable();
        assert_eq!((replaced, merged.revision(), merged.count), (expected.to_vec(), 3, 5));
        assert_eq!(merged.id(), before[3].id(), "it begins where the second did");
    }

    #[test]
    fn corrections_count_on() {
        let mut run = Run::new(config(Gap::new(us(10))).update_every_events(1).allowed_lateness(us(50)));
        push(&mut run, 1, &[0]);
        run.close_until(10);
        push(&mut run, 1, &[5]);
        assert_eq!(seen(&mut run), [(1, 0, 1, 0, Update), (1, 0, 1, 1, Silence), (1, 0, 2, 2, Update)]);
        run.close_until(15);
        assert_eq!(seen(&mut run), [(1, 0, 2, 3, Silence)]);
        push(&mut run, 1, &[1]);
        assert_eq!(seen(&mut run), [(1, 0, 3, 4, Silence)]);
        let counters = run.counters();
        assert_eq!((counters.updates, counters.closed, counters.revisions), (2, 1, 2));
    }

    #[test]
    fn a_session_closed_to_make_room_replaces_its_update() {
        let bound = |config: Settings| config.max_open_sessions(1, WhenFull::CloseOldest);
        let mut run = Run::new(bound(config(Gap::new(us(10))).update_every_events(1)));
        push(&mut run, 1, &[0]);
        push(&mut run, 2, &[0]);
        assert_eq!(seen(&mut run), [(1, 0, 1, 0, Update), (1, 0, 1, 1, Evicted), (2, 0, 1, 0, Update)]);
    }

    #[test]
    fn a_bounded_call_counts_updates_and_the_rest_comes_with_the_next() {
        let mut run = Run::new(every_ten().close_at_most(2));
        (1..=5).for_each(|key| push(&mut run, key, &[0]));
        let mut calls = Vec::new();
        while run.engine.next_deadline().is_some_and(|deadline| deadline <= at(10)) {
            run.close_until(10);
            calls.push(run.reasons());
            let mut resumed = Run::of(every_ten().close_at_most(2).restore(run.engine.snapshot()).expect("its own"));
            assert_eq!(resumed.engine.next_deadline() <= Some(at(10)), run.engine.next_deadline() <= Some(at(10)));
            resumed.close_all();
            assert!(!resumed.reasons().contains(&Update), "what is flushed is not updated before");
        }
        assert_eq!(calls, [[Update; 2].to_vec(), [Update; 2].to_vec(), [Update].to_vec()]);
    }

    #[test]
    fn a_note_of_a_session_emitted_since_makes_no_other_update_early() {
        let mut run = Run::new(every_ten().update_every_events(2).close_at_most(1));
        (8..=9).for_each(|key| push(&mut run, key, &[-89]));
        (1..=3).for_each(|key| push(&mut run, key, &[0]));
        (0..3).for_each(|_| run.close_until(10));
        push(&mut run, 3, &[1]);
        let updated: Vec<u8> = seen(&mut run).iter().map(|(key, ..)| *key).collect();
        assert_eq!(updated, [8, 9, 1, 2, 3], "the last because it has two events; its note is left");
        run.close_until(11);
        push(&mut run, 1, &[11]);
        assert_eq!(seen(&mut run), [(8, -89, 1, 1, Silence), (9, -89, 1, 1, Silence)]);
        run.close_until(19);
        assert_eq!(seen(&mut run), []);
        run.close_until(20);
        assert_eq!(seen(&mut run), [(1, 0, 2, 1, Update)]);
    }

    #[test]
    fn a_call_without_a_bound_that_closes_sessions_emits_all_updates() {
        const CHANGED: u32 = 3_000;
        for strategy in [
            Strategy::from(Gap::new(us(10))),
            Gap::new(us(10)).max_duration(us(500)).into(),
            Stagger::on_event_time(Bucket::step(us(12))).into(),
            Stagger::on_arrival(Bucket::step(us(1_000)), us(10)).into(),
            Sliding::new(us(12), us(6)).into(),
        ] {
            let config = || Config::<u32, ()>::new(strategy.clone()).update_every(us(10));
            let mut engine = config().build().expect("a configuration that works");
            engine.advance_to(at(10), &mut |_| {});
            let ends = Event::new(CHANGED, at(10), ());
            for event in iter::once(ends).chain((0..CHANGED).map(|key| Event::new(key, at(15), ()))) {
                assert!(!engine.push(event, &mut |_| {}).is_returned());
            }
            let mut resumed = config().restore(engine.snapshot()).expect("its own");
            for engine in [&mut engine, &mut resumed] {
                let mut reasons = Vec::new();
                engine.advance_to(at(20), &mut |summary| reasons.push(summary.reason));
                assert!(reasons.first().is_some_and(|reason| *reason != Update), "{strategy:?}");
                let updates = reasons.iter().filter(|reason| **reason == Update).count();
                assert_eq!(updates, CHANGED as usize, "{strategy:?}");
                assert!(engine.next_deadline() > Some(at(20)), "{strategy:?}: nothing is pending");
            }
        }
    }

    #[test]
    fn shrinking_forgets_no_change() {
        for strategy in [
            Strategy::from(Gap::new(us(100))),
            Gap::new(us(100)).max_duration(us(500)).into(),
            Stagger::on_event_time(Bucket::step(us(100))).into(),
            Stagger::on_arrival(Bucket::step(us(100)), us(100)).into(),
        ] {
            let mut run = Run::new(config(strategy).update_every(us(10)));
            run.advance(5);
            (1..=4).for_each(|key| push(&mut run, key, &[5]));
            run.engine.shrink_to_fit();
            run.close_until(10);
            assert_eq!(run.reasons(), [Update; 4]);
            push(&mut run, 3, &[10]);
            run.engine.shrink_to_fit();
            run.close_until(20);
            assert_eq!(seen(&mut run), [(3, 5, 2, 1, Update)]);
        }
    }

    #[test]
    fn a_flood_of_keys_leaves_as_many_notes_as_there_are_sessions() {
        let mut run = Run::new(every_ten().max_open_sessions(3, WhenFull::CloseOldest));
        for turn in 0..5_000_i64 {
            push(&mut run, (turn % 5) as u8, &[turn % 7]);
        }
        assert!(
            run.engine.state.shared.updates.len() <= 2 * 3 + 1_024 + 1,
            "{}",
            run.engine.state.shared.updates.len()
        );
        run.close_all();
        assert_eq!(run.engine.state.shared.updates.len(), 0);
    }
}
