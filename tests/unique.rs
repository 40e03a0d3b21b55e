//! Each event once for a session: by boundary, in every strategy.

use std::time::Duration;

use stagger::{
    Bucket, CloseReason, Config, Engine, Event, Gap, JoinOnly, Pushed, Refusal, Sessionizer, Sharded, Sliding, Stagger,
    Strategy, Timestamp, fingerprint,
};

/// The value of an event: its id and a text.
type Value = (u32, u8);
type Setup = Config<u8, Value>;

fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn once(strategy: impl Into<Strategy>) -> Setup {
    Setup::new(strategy).unique_by("id", |event| event.value.0.into())
}

fn built(setup: Setup) -> Engine<u8, Value> {
    setup.build().expect("a configuration that works")
}

fn push(engine: &mut Engine<u8, Value>, time: i64, id: u32) -> Pushed<()> {
    engine.push(Event::new(1, at(time), (id, 0)), &mut |_| {}).map(|_| ())
}

const TWICE: Pushed<()> = Pushed::Refused((), Refusal::Duplicate);

/// Count, first and last time of the sessions that close by a time.
fn closed(engine: &mut Engine<u8, Value>, time: i64) -> Vec<(u64, i64, i64)> {
    let mut all = Vec::new();
    let mut out = |s: stagger::SessionSummary<_, _>| {
        all.push((s.count, s.first_time.as_micros(), s.last_time.as_micros()));
    };
    engine.advance_to(at(time), &mut out);
    engine.flush(&mut out);
    all
}

#[test]
fn a_window_holds_each_id_once_and_the_next_window_again() {
    let tens = Bucket::step(us(10));
    for strategy in [Strategy::from(Stagger::on_event_time(tens.clone())), Stagger::on_arrival(tens, us(10)).into()] {
        let mut engine = built(once(strategy));
        let pushed = [(3, 7), (3, 8), (3, 7), (9, 7), (10, 7)].map(|(time, id)| push(&mut engine, time, id));
        assert_eq!(pushed, [Pushed::Opened, Pushed::Extended, TWICE, TWICE, Pushed::Opened]);
        assert_eq!((engine.counters().duplicates, engine.counters().refused()), (2, 2));
        assert!(engine.counters().is_conserved());
    }
}

#[test]
fn other_keys_have_ids_of_their_own() {
    let mut engine = built(once(Stagger::on_event_time(Bucket::step(us(10)))));
    assert_eq!(push(&mut engine, 3, 7), Pushed::Opened);
    assert_eq!(engine.push(Event::new(2, at(3), (7, 0)), &mut |_| {}), Pushed::Opened);
}

#[test]
fn a_copy_goes_to_the_sliding_windows_that_do_not_hold_it() {
    let mut engine = built(once(Sliding::new(us(10), us(5))));
    assert_eq!([3, 8, 8].map(|time| push(&mut engine, time, 7)), [Pushed::Opened, Pushed::Opened, TWICE]);
    assert_eq!(closed(&mut engine, 100), [(1, 3, 3), (1, 3, 3), (1, 8, 8)]);
}

#[test]
fn of_two_copies_in_a_gap_session_the_first_in_order_of_time_stays_whichever_comes_first() {
    for order in [[(5, 7), (9, 7)], [(9, 7), (5, 7)]] {
        let mut engine = built(once(Gap::new(us(10))));
        assert_eq!(order.map(|(time, id)| push(&mut engine, time, id)), [Pushed::Held; 2]);
        assert_eq!(closed(&mut engine, 50), [(1, 5, 5)]);
        let copies: Vec<_> = engine.take_duplicates().into_iter().map(|event| event.event_time).collect();
        assert_eq!((copies, engine.take_duplicates(), engine.counters().duplicates), (vec![at(9)], vec![], 1));
    }
}

#[test]
fn sessions_that_an_event_between_them_would_have_merged_hold_the_first_copy() {
    let mut engine = built(once(Gap::new(us(10))));
    for (time, id) in [(0, 7), (18, 7), (9, 1)] {
        assert_eq!(push(&mut engine, time, id), Pushed::Held);
    }
    assert_eq!(closed(&mut engine, 50), [(2, 0, 9)]);
    assert_eq!(engine.take_duplicates().len(), 1);
}

#[test]
fn exactly_a_gap_later_a_copy_opens_a_session() {
    let mut engine = built(once(Gap::new(us(10))));
    assert_eq!([0, 10].map(|time| push(&mut engine, time, 7)), [Pushed::Held; 2]);
    assert_eq!(closed(&mut engine, 50), [(1, 0, 0), (1, 10, 10)]);
    let mut engine = built(once(Gap::new(us(10)).inclusive()));
    assert_eq!([0, 10].map(|time| push(&mut engine, time, 7)), [Pushed::Held; 2]);
    assert_eq!(closed(&mut engine, 50), [(1, 0, 0)]);
}

#[test]
fn a_copy_of_the_event_that_ended_its_session_is_one_at_that_instant_only() {
    let setup = once(Gap::new(us(10))).end_at("9", |event| event.value.0 == 9);
    let mut engine = built(setup);
    for (time, id) in [(0, 7), (5, 9), (5, 9), (6, 9)] {
        assert_eq!(push(&mut engine, time, id), Pushed::Held);
    }
    assert_eq!(closed(&mut engine, 50), [(2, 0, 5), (1, 6, 6)]);
    assert_eq!(engine.counters().duplicates, 1);
}

#[test]
fn a_copy_is_known_before_cuts_and_pings() {
    let setup = once(Gap::new(us(10)))
        .cut("before 8", |_, next| next.value.0 == 8)
        .join_only("9", |event| if event.value.0 == 9 { JoinOnly::Prolongs } else { JoinOnly::No });
    let mut engine = built(setup);
    for (time, id) in [(0, 8), (1, 9), (2, 8), (3, 9)] {
        assert_eq!(push(&mut engine, time, id), Pushed::Held);
    }
    assert_eq!(closed(&mut engine, 50), [(2, 0, 1)]);
    assert_eq!((engine.counters().duplicates, engine.counters().orphaned), (2, 0));
}

#[test]
fn at_the_watermark_and_behind_it_a_copy_comes_back_at_once() {
    let mut engine = built(once(Gap::new(us(10))));
    engine.advance_to(at(5), &mut |_| {});
    assert_eq!(
        [(5, 7), (5, 7), (4, 7), (4, 8)].map(|(time, id)| push(&mut engine, time, id)),
        [Pushed::Opened, TWICE, TWICE, Pushed::Extended]
    );
}

#[test]
fn with_lateness_a_session_that_is_over_still_knows_its_events() {
    let mut engine = built(once(Stagger::on_event_time(Bucket::step(us(10)))).allowed_lateness(us(5)));
    assert_eq!(push(&mut engine, 3, 7), Pushed::Opened);
    engine.advance_to(at(14), &mut |_| {});
    assert_eq!([push(&mut engine, 3, 7), push(&mut engine, 4, 8)], [TWICE, Pushed::Extended]);
    engine.advance_to(at(15), &mut |_| {});
    assert_eq!(push(&mut engine, 3, 7), Pushed::Late(()));
}

#[test]
fn a_window_that_is_pending_knows_its_events_too() {
    let setup = once(Stagger::on_event_time(Bucket::step(us(10)))).allowed_lateness(us(50)).close_at_most(1);
    let mut engine = built(setup);
    assert_eq!([push(&mut engine, 13, 8), push(&mut engine, 3, 7)], [Pushed::Opened; 2]);
    assert_eq!(engine.push(Event::new(2, at(3), (7, 0)), &mut |_| {}), Pushed::Opened);
    engine.advance_to(at(20), &mut |_| {});
    assert_eq!(push(&mut engine, 13, 8), TWICE);
}

#[test]
fn ids_and_copies_are_in_snapshots_and_leave_with_their_session() {
    let setup = || once(Gap::new(us(10)));
    let mut engine = built(setup());
    for (time, id) in [(0, 7), (1, 7), (2, u32::MAX)] {
        assert_eq!(push(&mut engine, time, id), Pushed::Held);
    }
    engine.advance_to(at(1), &mut |_| {});
    let json = serde_json::to_string(&engine.snapshot()).expect("a snapshot can be written");
    let mut engine = setup().restore(serde_json::from_str(&json).expect("and read")).expect("its own");
    assert_eq!(engine.take_duplicates().len(), 1);
    assert_eq!(push(&mut engine, 1, 7), TWICE);
    let mut reasons = Vec::new();
    engine.advance_to(at(100), &mut |summary| reasons.push((summary.count, summary.reason)));
    assert_eq!(reasons, [(2, CloseReason::Gap)]);
    assert!(!serde_json::to_string(&engine.snapshot()).expect("again").contains("ids"));
    let other = Setup::new(Gap::new(us(10))).unique_by("another", |event| event.value.0.into());
    assert!(other.restore(engine.snapshot()).is_err_and(|error| error.to_string().contains("unique_by")));
}

#[test]
fn shards_and_pointers_give_copies_too() {
    let outputs = [|_| {}, |_| {}];
    let mut sharded = Sharded::new(outputs, || once(Gap::new(us(10)))).expect("a configuration that works");
    for key in 0..4 {
        for _ in 0..2 {
            assert_eq!(sharded.push(Event::new(key, at(3), (7, 0))), Pushed::Held);
        }
    }
    sharded.advance_to(at(3));
    assert_eq!(sharded.take_duplicates().len(), 4);

    let pings = once(Gap::new(us(10))).join_only("9", |event| match event.value.0 {
        9 => JoinOnly::Prolongs,
        _ => JoinOnly::No,
    });
    let mut boxed: Box<dyn Sessionizer<Key = u8, Value = Value, Output = ()>> = Box::new(built(pings));
    for (time, id) in [(1, 9), (2, 7), (2, 7)] {
        assert_eq!(boxed.push(Event::new(1, at(time), (id, 0)), &mut |_| {}), Pushed::Held);
    }
    boxed.advance_to(at(5), &mut |_| {});
    let mut pointer = &mut boxed; // a pointer is a sessionizer of its own
    let counts = (Sessionizer::take_orphans(&mut pointer).len(), Sessionizer::take_duplicates(&mut pointer).len());
    assert_eq!(counts, (1, 1));
}

#[test]
fn a_fingerprint_is_the_same_in_every_release() {
    assert_eq!(fingerprint("order 7"), fingerprint(String::from("order 7")));
    assert_eq!(fingerprint("order 7"), GOLDEN);
}

const GOLDEN: u128 = 0x7d88_04a4_31fd_8645_9408_4d07_1904_1b47;
