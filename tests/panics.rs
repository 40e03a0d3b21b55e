//! A callback that panics in a flush: the sessions that it has not been called with stay open. The property
//! `outlives_panics` tries this on arbitrary streams.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use stagger::{Bucket, CloseReason, Config, Engine, Event, Gap, Pushed, Sliding, Stagger, Strategy, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);

fn strategies() -> [Strategy; 6] {
    let gap = Gap::new(MINUTE);
    [
        Stagger::on_event_time(Bucket::step(MINUTE)).into(),
        Stagger::on_arrival(Bucket::step(MINUTE), MINUTE).into(),
        Stagger::per_key(MINUTE).into(),
        Sliding::tumbling(MINUTE).into(),
        gap.clone().into(),
        gap.max_duration(3 * MINUTE).into(),
    ]
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn push(engine: &mut Engine<u8, ()>, key: u8, second: i64) -> Pushed<()> {
    engine.push(Event::new(key, at(second), ()), &mut |_| panic!("no session is over")).map(|_| ())
}

/// Flushes with a callback that panics when it gets its first session.
fn break_off(engine: &mut Engine<u8, ()>) {
    let flush = || engine.flush(&mut |_| resume_unwind(Box::new(()))); // without a message
    assert!(catch_unwind(AssertUnwindSafe(flush)).is_err());
}

fn config(strategy: &Strategy) -> Config<u8, ()> {
    Config::new(strategy.clone()).update_every(Duration::from_secs(10))
}

/// An engine at second 5, after a flush of the keys 1 to 3 that has emitted key 1.
fn broken_off(strategy: &Strategy) -> Engine<u8, ()> {
    let mut engine = config(strategy).build().expect("a configuration that works");
    engine.advance_to(at(5), &mut |_| {});
    for key in [1, 2, 3] {
        assert_eq!(push(&mut engine, key, 5), Pushed::Opened);
    }
    break_off(&mut engine);
    engine
}

#[test]
fn events_still_join_the_sessions_that_are_left() {
    for strategy in strategies() {
        let mut engine = broken_off(&strategy);
        assert_eq!([1, 2].map(|key| push(&mut engine, key, 5)), [Pushed::Opened, Pushed::Extended], "{strategy:?}");
        let mut restored = config(&strategy).restore(engine.snapshot()).expect("its own");
        for engine in [&mut engine, &mut restored] {
            let mut flushed = Vec::new();
            engine.flush(&mut |session| flushed.push((session.key, session.count, session.reason)));
            let expected = [(2, 2), (3, 1), (1, 1)].map(|(key, count)| (key, count, CloseReason::Flush));
            assert_eq!(flushed, expected, "{strategy:?}");
        }
    }
}

#[test]
fn the_sessions_that_are_left_close_at_their_deadlines() {
    for strategy in strategies() {
        let mut engine = broken_off(&strategy);
        let mut closed = Vec::new();
        engine.advance_to(at(200), &mut |session| closed.push((session.key, session.reason)));
        assert_eq!(closed.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 3], "{strategy:?}");
        assert!(closed.iter().all(|(_, reason)| *reason != CloseReason::Flush), "{strategy:?}: {closed:?}");
        assert_eq!((engine.open_sessions(), engine.next_deadline()), (0, None), "{strategy:?}");
    }
}

#[test]
fn the_sessions_that_are_left_are_still_updated() {
    for strategy in strategies() {
        let mut engine = broken_off(&strategy);
        let mut updated = Vec::new();
        engine.advance_to(at(10), &mut |session| updated.push((session.key, session.reason)));
        assert_eq!(updated, [2, 3].map(|key| (key, CloseReason::Update)), "{strategy:?}");
    }
}
