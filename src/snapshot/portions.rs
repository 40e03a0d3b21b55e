//! Snapshots in portions, with events in between.

use alloc::vec::Vec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::{Engine, State, Touched};
use crate::error::RestoreError;
use crate::snapshot::{Changes, RememberedPart, Saved, Snapshot};

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Begins a snapshot that is taken in portions, so that no event waits for all of it: of 10 million sessions a
    /// whole one takes seconds. One begun before is abandoned.
    ///
    /// Take the [portions](Self::next_portion), with any calls of the engine in between, and put them together with
    /// [`Snapshot::from_portions`]. The snapshot stands for the instant at which the last portion was taken.
    ///
    /// While it is taken, the engine notes the keys of all events and summaries, one copy of each: a push costs that
    /// much more. [`shrink_to_fit`](Self::shrink_to_fit) does nothing meanwhile. Otherwise nothing costs anything.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Snapshot, Timestamp};
    ///
    /// let config = || Config::<u64, ()>::new(Gap::new(Duration::from_secs(60)));
    /// let mut engine = config().build()?;
    /// for user in 0..10_000 {
    ///     let _ = engine.push(Event::new(user, Timestamp::from_secs(1), ()), &mut |_| {});
    /// }
    /// let mut portions = Vec::new();
    /// engine.begin_snapshot();
    /// while let Some(portion) = engine.next_portion(1_000) {
    ///     portions.push(portion); // or write its bytes
    ///     if engine.is_taking_snapshot() {
    ///         let _ = engine.push(Event::new(7, Timestamp::from_secs(2), ()), &mut |_| {});
    ///     } // else: the snapshot has all events up to here
    /// }
    /// let restored = config().restore(Snapshot::from_portions(portions)?)?;
    /// assert_eq!(restored.snapshot(), engine.snapshot());
    /// # Ok::<(), stagger::RestoreError>(())
    /// ```
    pub fn begin_snapshot(&mut self) {
        self.begin_noting();
    }

    /// The next portion of the snapshot that was [begun](Self::begin_snapshot). `None`: the last one was taken, or none
    /// was begun.
    ///
    /// A portion looks at `most` sessions; if keys change faster than that, at four times as many as have changed since
    /// the portion before, so that there always is a last one. 10,000 take about a millisecond. First come all sessions,
    /// then those of keys that have changed meanwhile, then of those that have changed meanwhile again. The last portion
    /// has all events that wait for the watermark.
    ///
    /// Time and memory: O(`most` + keys changed since the portion before); with windows, for each window in which any
    /// key has a session.
    #[must_use]
    pub fn next_portion(&mut self, most: usize) -> Option<Changes<K, V, A::State>> {
        let (state, touched) = self.touched()?;
        let limit = touched.limit(most);
        let (portion, is_last) = portion(state, touched, limit);
        if is_last {
            self.end_noting();
        }
        Some(portion)
    }

    /// Whether a snapshot was [begun](Self::begin_snapshot), and its last portion was not taken yet.
    #[must_use]
    pub fn is_taking_snapshot(&self) -> bool {
        self.is_noting()
    }

    /// Gives up the snapshot that was [begun](Self::begin_snapshot), if there is one.
    pub fn abandon_snapshot(&mut self) {
        self.end_noting();
    }
}

/// A portion, and whether it is the last.
fn portion<K: Key, V: Value, A: Aggregate<K, V>>(
    state: &State<K, V, A>,
    touched: &mut Touched<K>,
    limit: usize,
) -> (Changes<K, V, A::State>, bool) {
    if !touched.has_all_sessions() {
        let mut sessions = Vec::new();
        state.next_sessions(touched, limit, |stored| sessions.push(Saved::from(stored)));
        return (Changes { keys: Vec::new(), state: Snapshot::of(state, sessions) }, false);
    }
    let next_parts = |touched: &mut _, most| state.next_parts(touched, most).map(RememberedPart::from).collect();
    if state.count_parts_left(touched) > limit {
        let parts = next_parts(touched, limit);
        return (Changes { keys: Vec::new(), state: Snapshot { parts, ..Snapshot::of(state, Vec::new()) } }, false);
    }
    let is_last = touched.len() <= limit;
    let keys: Vec<K> = core::iter::from_fn(|| touched.take()).take(limit).collect();
    let mut snapshot = Snapshot::of_keys(state, &keys);
    if is_last {
        snapshot.copy_waiting(state);
        snapshot.parts = next_parts(touched, usize::MAX);
    }
    (Changes { keys, state: snapshot }, is_last)
}

impl<K: Key, V: Value, S> Snapshot<K, V, S> {
    /// Puts the [portions](Engine::next_portion) of one snapshot together: all of them, in the order in which they were
    /// taken.
    ///
    /// Time and memory are linear in their sessions and events.
    ///
    /// # Errors
    /// If there is none, or version or settings differ. If one is missing, restoring finds that counters and sessions
    /// disagree.
    pub fn from_portions(portions: impl IntoIterator<Item = Changes<K, V, S>>) -> Result<Self, RestoreError> {
        let mut portions: Vec<_> = portions.into_iter().collect();
        let flushes = portions.last().map(|last| last.state.flushes);
        let mut parts = Vec::new();
        for portion in &mut portions {
            let taken = core::mem::take(&mut portion.state.parts);
            parts.extend(taken.into_iter().filter(|_| Some(portion.state.flushes) == flushes)); // a flush leaves none
        }
        let mut portions = portions.into_iter();
        let none = || RestoreError::Damaged { what: "there are no portions".into() };
        let first = portions.next().ok_or_else(none)?.state;
        Ok(Self { parts, ..first.with_changes(portions)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::WhenFull;
    use crate::strategy::{Bucket, Gap, Stagger};
    use crate::testing::{Run, Settings, at, config, us};

    type Portions = Vec<Changes<u8, i64>>;

    /// Takes a snapshot in portions, and compares it with one that is taken at once.
    fn taken(run: &mut Run, most: usize, mut between: impl FnMut(&mut Run, usize)) -> usize {
        let mut portions = Portions::new();
        run.engine.begin_snapshot();
        while let Some(portion) = run.engine.next_portion(most) {
            portions.push(portion);
            if run.engine.is_taking_snapshot() {
                between(run, portions.len());
            }
        }
        let number = portions.len();
        assert_eq!(Snapshot::from_portions(portions), Ok(run.engine.snapshot()));
        number
    }

    fn with_keys(config: Settings, keys: u8) -> Run {
        let mut run = Run::new(config);
        run.advance(0);
        (0..keys).for_each(|key| _ = run.push(key, i64::from(key)));
        run
    }

    fn steps() -> Settings {
        config(Stagger::on_event_time(Bucket::step(us(100))))
    }

    fn gap() -> Settings {
        config(Gap::new(us(1_000)))
    }

    #[test]
    fn no_portion_holds_more_sessions_than_it_may() {
        let arrival = || config(Stagger::on_arrival(Bucket::step(us(10)), us(1_000)));
        for config in [gap, steps, arrival] {
            let mut run = with_keys(config(), 100);
            run.engine.begin_snapshot();
            let portions: Portions = core::iter::from_fn(|| run.engine.next_portion(7)).collect();
            let sizes: Vec<usize> = portions.iter().map(|portion| portion.state.open_sessions()).collect();
            assert!(sizes.iter().all(|size| *size <= 7), "{sizes:?}");
            assert_eq!(sizes.iter().sum::<usize>(), 100);
        }
    }

    #[test]
    fn there_is_a_last_portion_however_fast_keys_change() {
        let mut key = 0_u8;
        let mut run = with_keys(gap(), 250);
        let number = taken(&mut run, 1, |run, _| {
            for _ in 0..10 {
                key = key.wrapping_add(1) % 250;
                let _ = run.push(key, 500);
            }
        });
        assert!(number < 50, "{number}");
    }

    #[test]
    fn remembered_parts_come_in_portions() {
        let arrival = Stagger::on_arrival(Bucket::step(us(10)), us(5)).remember_parts(us(10_000));
        let mut run = with_keys(config(arrival), 100);
        run.advance(500);
        let mut largest = 0;
        run.engine.begin_snapshot();
        let portions: Portions = core::iter::from_fn(|| run.engine.next_portion(9)).collect();
        for portion in &portions {
            largest = largest.max(portion.state.parts.len());
        }
        assert_eq!((largest, portions.len()), (9, 13), "nothing is open, eleven portions of parts, and the last");
        assert_eq!(Snapshot::from_portions(portions), Ok(run.engine.snapshot()));
        taken(&mut run, 9, |run, n| _ = run.push(n as u8, 490 + n as i64));
    }

    #[test]
    fn a_session_that_goes_in_silence_is_gone() {
        for config in [steps, gap] {
            let mut run = Run::new(config().allowed_lateness(us(5_000)).max_open_sessions(3, WhenFull::CloseOldest));
            (0..3).for_each(|key| _ = run.push(key, 5));
            run.advance(1_500);
            assert_eq!(run.open(), 3, "they wait for corrections");
            taken(&mut run, 9, |run, n| _ = (n == 1).then(|| run.push(7, 1_600)));
        }
    }

    #[test]
    fn a_session_that_can_be_corrected_no_more_is_gone() {
        for config in [steps, gap] {
            let mut run = Run::new(config().allowed_lateness(us(100)));
            (0..3).for_each(|key| _ = run.push(key, 5));
            run.advance(1_010);
            let before = run.open();
            taken(&mut run, 9, |run, n| {
                if n == 1 {
                    run.advance(1_200);
                }
            });
            assert!(run.open() < before || before == 0, "{} of {before}", run.open());
        }
    }

    #[test]
    fn windows_that_close_beyond_those_copied_hide_none_of_the_others() {
        let arrival = Stagger::on_arrival(Bucket::step(us(1_000)), us(50));
        let mut run = with_keys(config(arrival), 100);
        assert_eq!(run.closed().len(), 50, "the last to come has closed those before 50");
        taken(&mut run, 7, |run, n| {
            if n == 2 {
                assert_eq!(run.advance(120).len(), 21);
            }
        });
        assert_eq!(run.open(), 29);
    }

    #[test]
    fn a_flush_on_the_way_leaves_nothing() {
        for config in [steps, gap] {
            let mut run = with_keys(config(), 100);
            taken(&mut run, 7, |run, n| {
                if n == 5 {
                    run.flush();
                    let _ = run.push(3, 2_000);
                }
            });
        }
    }

    #[test]
    fn memory_is_given_back_later_and_a_new_beginning_forgets_the_old_one() {
        let mut run = with_keys(gap(), 100);
        run.engine.begin_snapshot();
        let _ = run.engine.next_portion(7);
        taken(&mut run, 7, |run, n| {
            let _ = run.push(n as u8, 1_000 + n as i64);
            run.engine.shrink_to_fit();
        });
        assert!(!run.engine.is_taking_snapshot());
        assert!(run.engine.next_portion(7).is_none());
        run.engine.begin_snapshot();
        run.engine.abandon_snapshot();
        assert!(run.engine.next_portion(7).is_none());
        assert_eq!(run.engine.now(), at(0));
    }

    #[test]
    fn a_portion_that_is_missing_is_found_at_the_restore() {
        let mut run = with_keys(gap(), 100);
        run.engine.begin_snapshot();
        let portions: Portions = core::iter::from_fn(|| run.engine.next_portion(30)).collect();
        for missing in 0..portions.len() - 1 {
            let mut portions = portions.clone();
            portions.remove(missing);
            let whole = Snapshot::from_portions(portions).expect("they are of one configuration");
            assert!(matches!(gap().restore(whole), Err(RestoreError::Damaged { .. })), "{missing}");
        }
        assert!(Snapshot::from_portions(Portions::new()).is_err());
    }
}
