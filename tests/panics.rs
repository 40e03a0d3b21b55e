//! Panics of the caller's own code. After one of a callback in a flush, the sessions that it has not been called with
//! stay open (the property `outlives_panics` tries this on arbitrary streams). After one of an aggregate or a rule, the
//! event is gone, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::proptest;
use stagger::{
    Aggregate, Bucket, CloseReason, Config, Engine, Event, EventRef, FirstLast, Gap, Pushed, SessionSummary, Sliding,
    Stagger, Strategy, Timestamp,
};

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

/// The numbers of the events of a session. Panics over some.
struct Numbers;

impl Aggregate<u8, u32> for Numbers {
    type State = Vec<u32>;
    type Output = Vec<u32>;

    fn open(&self, event: &EventRef<'_, u8, u32>) -> Vec<u32> {
        panic_over(event.value, IN_THE_AGGREGATE);
        vec![event.value]
    }

    fn add(&self, state: &mut Vec<u32>, event: &EventRef<'_, u8, u32>) {
        panic_over(event.value, IN_THE_AGGREGATE);
        state.push(event.value);
    }

    fn merge(&self, state: &mut Vec<u32>, other: Vec<u32>) {
        state.extend(other);
    }

    fn finish(&self, state: Vec<u32>) -> Vec<u32> {
        state
    }
}

/// An event tells by its number who panics over it: no one over most.
const KINDS: u32 = 16;
const IN_THE_AGGREGATE: u32 = 1;
const IN_THE_CUT: u32 = 2;
const IN_THE_END: u32 = 3;
const IN_THE_ID: u32 = 4;
const IN_THE_GAP: u32 = 5;

fn panic_over(number: u32, kind: u32) {
    if number % KINDS == kind {
        resume_unwind(Box::new(()));
    }
}

/// With rules that change nothing, and panic over some events.
fn with_rules(strategy: &Strategy) -> Config<u8, u32, Numbers> {
    let config = Config::new(strategy.clone()).aggregate(Numbers);
    let Strategy::Gap(gap) = strategy else { return config };
    let config = config.gap_per_event("that of all", |event| {
        panic_over(event.value, IN_THE_GAP);
        None
    });
    if *gap == Gap::new(MINUTE) {
        return config;
    }
    let config = config.cut("never", |_, next| {
        panic_over(next.value, IN_THE_CUT);
        false
    });
    config.end_at("never", |event| {
        panic_over(event.value, IN_THE_END);
        false
    })
}

fn with_options(strategy: &Strategy, lateness: u64, by: FirstLast, has_ids: bool) -> Config<u8, u32, Numbers> {
    let mut config = with_rules(strategy).first_last_by(by);
    if !format!("{strategy:?}").contains("Arrival") {
        config = config.out_of_order(Duration::from_secs(20)).allowed_lateness(Duration::from_secs(lateness));
    }
    if !has_ids {
        return config;
    }
    config.unique_by("the number", |event| {
        panic_over(event.value, IN_THE_ID);
        event.value.into()
    })
}

proptest! {
    #[test]
    fn an_event_over_which_an_aggregate_or_a_rule_panics_is_gone_and_nothing_else(
        (which, lateness, is_by_arrival, has_ids) in (0..strategies().len(), 0_u64..90, any::<bool>(), any::<bool>()),
        events in vec((0_u8..3, 0_i64..40, 0..KINDS), 1..60),
    ) {
        let by = if is_by_arrival { FirstLast::Arrival } else { FirstLast::EventTime };
        let config = || with_options(&strategies()[which], lateness, by, has_ids);
        let mut engine = config().build().expect("a configuration that works");
        let (mut taken, mut found) = (Vec::new(), Vec::new());
        for (n, (key, second, kind)) in (0..).zip(&events) {
            let number = n * KINDS + kind;
            let event = Event::new(*key, at(i64::from(n) * 5 + second), number);
            let mut out = |session: SessionSummary<u8, u32, Vec<u32>>| found.extend(session.aggregate);
            let pushed = catch_unwind(AssertUnwindSafe(|| engine.push(event, &mut out).is_returned()));
            taken.extend(pushed.is_ok_and(|is_returned| !is_returned).then_some(number));
            let restored = config().restore(engine.snapshot()).map(|restored| restored.counters());
            assert_eq!(restored, Ok(engine.counters()), "after event {number}");
        }
        // An event that waits may panic in a flush.
        let is_over = events.iter().chain(&events).any(|_| {
            let mut out = |session: SessionSummary<u8, u32, Vec<u32>>| found.extend(session.aggregate);
            catch_unwind(AssertUnwindSafe(|| engine.flush(&mut out))).is_ok()
        });
        assert!(is_over);
        assert_eq!((engine.open_sessions(), engine.counters().open_events(), engine.counters().held), (0, 0, 0));
        let panics = |number: &u32| (IN_THE_AGGREGATE..=IN_THE_GAP).contains(&(number % KINDS));
        assert!(taken.iter().all(|number| found.contains(number) || panics(number)), "{taken:?} {found:?}");
        assert!(found.iter().all(|number| number % KINDS != IN_THE_AGGREGATE), "{found:?}");
    }
}
