//! The interface as a user meets it: its forms, their inputs and their outputs.

use std::time::Duration;

use stagger::{
    Bucket, Config, Counters, Engine, Event, EventRef, Gap, JoinOnly, Pushed, Queued, Refusal, RestoreError, Rfc3339,
    SessionId, SessionSummary, Sessionizer, Sliding, Snapshot, Stagger, Strategy, SummaryOf, TimedValue, Timestamp,
    WhenFull, Window,
};

const fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn minute() -> Config<String, u32> {
    Config::new(Gap::new(Duration::from_secs(60)))
}

/// Pushes and flushes by the trait alone.
fn drive<S: Sessionizer<Key = String, Value = u32>>(mut sessions: S) -> (Vec<u64>, Counters) {
    let mut counts = Vec::new();
    let events = [("ann", 0), ("bob", 10), ("ann", 20), ("ann", 200)];
    for (i, (key, second)) in events.into_iter().enumerate() {
        let event = Event::new(key, at(second), i as u32);
        assert!(!sessions.push(event, &mut |session: SummaryOf<S>| counts.push(session.count)).is_returned());
    }
    sessions.advance_to(at(100), &mut |session| counts.push(session.count));
    sessions.flush(&mut |session| counts.push(session.count));
    let counters = sessions.counters();
    (counts, counters)
}

#[test]
fn pointers_to_sessionizers_are_sessionizers() {
    let whole = drive(minute().build().unwrap());
    let mut engine = minute().build().unwrap();
    assert_eq!(drive(&mut engine), whole);
    assert_eq!(engine.counters(), whole.1);
    let boxed: Box<dyn Sessionizer<Key = String, Value = u32, Output = ()>> = Box::new(minute().build().unwrap());
    assert_eq!(drive(boxed), whole);
    assert_eq!(whole.0, [1, 2, 1]); // in order of their ends
}

#[test]
fn a_config_can_be_cloned_with_its_rules() {
    let config = minute().cut("odd", |_, next| next.value % 2 == 1).out_of_order(Duration::from_secs(5));
    let (one, other) = (config.clone().build().unwrap(), config.build().unwrap());
    assert_eq!(one.settings(), other.settings());
    assert_eq!(drive(one), drive(other));
}

#[test]
fn what_is_set_can_be_compared() {
    let gap = || Gap::new(Duration::from_secs(1)).cut_between(Bucket::floor(stagger::Unit::Day));
    assert_eq!(gap(), gap());
    assert_ne!(gap(), gap().inclusive());
    assert_ne!(Bucket::step(Duration::from_secs(1)), Bucket::step(Duration::from_secs(2)));
    let east = |seconds| Bucket::floor(stagger::Unit::Day).zone(stagger::calendar::FixedOffset::east(seconds));
    assert_eq!(east(60), east(60));
    assert_ne!(east(60), east(120));
    let hops = || Strategy::from(Sliding::tumbling(Duration::from_secs(1)));
    assert_eq!(hops(), hops());
    assert_ne!(hops(), Strategy::from(Stagger::per_key(Duration::from_secs(1))));
}

#[test]
fn snapshots_of_the_same_state_are_equal() {
    let mut engine = minute().build().unwrap();
    let empty = engine.snapshot();
    let _ = engine.push(Event::new("ann", at(0), 1), &mut |_| {});
    assert_eq!(engine.snapshot(), engine.snapshot());
    assert_ne!(engine.snapshot(), empty);
}

#[test]
fn a_queue_keeps_what_a_loop_has_not_taken() {
    let mut sessions = Queued::new(minute().build().unwrap());
    let events = ["ann", "bob", "cid"].map(|key| Event::new(key, at(0), 0));
    assert!(sessions.push_batch(&events).is_empty());
    sessions.advance_to(at(60));
    let written: Result<(), &str> = sessions.drain().try_for_each(|session| match session.key.as_str() {
        "bob" => Err("disk full"),
        _ => Ok(()),
    });
    assert_eq!((written, sessions.ready()), (Err("disk full"), 1));
    let (engine, rest) = sessions.into_inner();
    assert_eq!((engine.open_sessions(), rest.len(), rest[0].key.as_str()), (0, 1, "cid"));
}

#[test]
fn outcomes_can_be_written_and_read() {
    let late: Pushed<EventRef<'_, String, u32>> = Pushed::Late(Event::new("ann", at(1), 7));
    let json = serde_json::to_string(&late).unwrap();
    assert_eq!(json, r#"{"late":{"key":"ann","event_time":1000000,"arrival_time":1000000,"value":7}}"#);
    let refused: Pushed<Event<String, u32>> = Pushed::Refused(Event::new("ann".into(), at(1), 7), Refusal::Future);
    let json = serde_json::to_string(&refused).unwrap();
    assert_eq!(serde_json::from_str::<Pushed<Event<String, u32>>>(&json).unwrap(), refused);
    assert_eq!(serde_json::to_string(&Refusal::BetweenWindows).unwrap(), r#""between_windows""#);
}

#[test]
fn a_summary_is_written_in_its_documented_form_and_read_back() {
    let mut engine = minute().allowed_lateness(Duration::from_secs(600)).build().unwrap();
    let mut closed = Vec::new();
    let _ = engine.push(Event::new("ann", at(100), 7), &mut |session| closed.push(session));
    engine.advance_to(at(200), &mut |session| closed.push(session));
    let _ = engine.push(Event::new("ann", at(110), 8), &mut |session| closed.push(session));
    let id = closed[0].id();
    let micros = format!(
        r#"{{"id":"{id}","revision":1,"supersedes":[{{"id":"{id}","revision":0}}],"key":"ann","window":{{"start":100000000,"end":170000000}},"bucket":null,"part":1,"count":2,"first_time":100000000,"last_time":110000000,"first_event":7,"last_event":8,"reason":"gap","aggregate":null}}"#
    );
    assert_eq!(serde_json::to_string(&closed[1]).unwrap(), micros);
    let text = serde_json::to_string(&Rfc3339(&closed[1])).unwrap();
    assert!(text.contains(r#""window":{"start":"1970-01-01T00:01:40.000000Z","end":"1970-01-01T00:02:50.000000Z"}"#));
    for summary in closed {
        let json = serde_json::to_string(&summary).unwrap();
        let read: SessionSummary<String, u32> = serde_json::from_str(&json).unwrap();
        assert_eq!((read.id(), &read), (summary.id(), &summary));
        let text = serde_json::to_string(&Rfc3339(&summary)).unwrap();
        let Rfc3339(read) = serde_json::from_str::<Rfc3339<SessionSummary<String, u32>>>(&text).unwrap();
        assert_eq!((read.id(), &read), (summary.id(), &summary));
        let bytes = postcard::to_stdvec(&summary).unwrap();
        assert_eq!(postcard::from_bytes::<SessionSummary<String, u32>>(&bytes).unwrap(), summary);
    }
}

#[test]
fn a_summary_made_by_hand_is_that_of_an_engine() {
    let mut engine = minute().build().unwrap();
    let _ = engine.push_batch(&[Event::new("ann", at(10), 7), Event::new("ann", at(40), 8)], &mut |_| {});
    let timed = |second, value| TimedValue { time: at(second), value };
    let by_hand = SessionSummary::new("ann".to_owned(), Window::new(at(10), at(100)), timed(10, 7), timed(40, 8), ());
    engine.advance_to(at(100), &mut |session| assert_eq!(session, by_hand));
    let other = by_hand.clone().with_id(SessionId::from_u128(9)).with_revision(2, Vec::new());
    assert_eq!((other.id().as_u128(), other.revision()), (9, 2));
    assert_ne!(other, by_hand);
}

#[test]
fn settings_may_change_where_the_state_stays_valid() {
    let steps = || Stagger::on_event_time(Bucket::step(Duration::from_secs(60)));
    let late = |seconds| Config::<String, u32>::new(steps()).allowed_lateness(Duration::from_secs(seconds));
    let mut before = late(30).build().unwrap();
    let _ = before.push(Event::new("ann", at(70), 1), &mut |_| {});
    before.advance_to(at(100), &mut |_| {}); // the first minute is given up: it ended 40 s ago
    assert!(late(300).restore(before.snapshot()).unwrap_err().to_string().contains("restore_changed"));

    let mut after = late(300).restore_changed(before.snapshot()).unwrap();
    let back = after.push(Event::new("ann", at(10), 2), &mut |_| panic!("nothing closes"));
    assert!(matches!(back, Pushed::Late(_)), "its summary may have been emitted and forgotten");
    let mut again = late(300).restore(after.snapshot()).unwrap();
    assert!(again.push(Event::new("ann", at(10), 2), &mut |_| {}).is_returned(), "after another restart too");
    again.advance_to(at(400), &mut |_| {});
    let mut revised = 0;
    let pushed = again.push(Event::new("ann", at(80), 3), &mut |session| revised = session.revision());
    assert_eq!((pushed, revised), (Pushed::Extended, 1), "the second minute has the new lateness");

    let refused = |config: Config<String, u32>| config.restore_changed(before.snapshot()).unwrap_err().to_string();
    assert!(refused(late(0)).starts_with("allowed_lateness cannot change from 30s to 0ns"), "{}", refused(late(0)));
    assert!(refused(minute()).starts_with("strategy cannot change"));
}

#[test]
fn a_shorter_gap_counts_from_the_restart_on() {
    let gap = |seconds| Config::<String, u32>::new(Gap::new(Duration::from_secs(seconds)));
    let mut before = gap(60).build().unwrap();
    let _ = before.push(Event::new("ann", at(0), 1), &mut |_| {});
    let mut after = gap(10).restore_changed(before.snapshot()).unwrap();
    let mut counts = Vec::new();
    for second in [50, 59, 70] {
        let _ = after.push(Event::new("ann", at(second), 1), &mut |_| {});
    }
    after.flush(&mut |session| counts.push(session.count));
    assert_eq!(counts, [3, 1], "the open session lasts to 60 as promised, then 10 s from its last event");
}

#[test]
fn a_pointer_to_a_sessionizer_hands_out_its_orphans() {
    let ping = |event: &EventRef<'_, String, u32>| match event.value {
        0 => JoinOnly::Prolongs,
        _ => JoinOnly::No,
    };
    let mut engine = minute().join_only("pings", ping).build().expect("a gap");
    assert_eq!(Sessionizer::push(&mut engine, Event::new("ann", at(5), 0), &mut |_| {}), Pushed::Held);
    let mut boxed: Box<dyn Sessionizer<Key = String, Value = u32, Output = ()>> = Box::new(engine);
    assert_eq!(boxed.next_deadline(), Some(at(5)), "the event that waits");
    boxed.advance_to(at(10), &mut |_| {});
    assert_eq!(boxed.next_deadline(), None);
    assert_eq!(Queued::new(&mut boxed).take_orphans().len(), 1);
}

#[test]
fn events_without_an_arrival_of_their_own_are_counted_where_arrivals_bound_the_future() {
    let mut engine = minute().max_future(Duration::from_secs(9)).build().expect("a gap");
    let _ = engine.push(Event::new("ann", at(5), 1), &mut |_| {});
    let _ = engine.push(Event::new("ann", at(5_000), 1), &mut |_| {});
    let _ = engine.push(Event::new("ann", at(50), 1).arriving_at(at(51)), &mut |_| {});
    assert_eq!((engine.counters().without_arrival, engine.counters().refused_future), (2, 0));
}

/// A snapshot of version 1, as written by the release before.
const VERSION_1: &str = r#"{"version":1,"settings":[["strategy","gap"],["gap","10µs"],["inclusive","false"],["max_duration","50µs"],["cut_between","none"],["out_of_order","none"],["max_future","none"],
["allowed_lateness","100µs"],["first_last_by","EventTime"],["max_open_sessions","none"],["when_full","Refuse"],["gap_per_event","none"],["cut","none"]],"now":20,"flushes":0,"arrivals":3,
"counters":{"pushed":3,"late":0,"refused_future":0,"refused_full":0,"between_windows":0,"held":1,"placed":2,"extra_windows":0,"late_windows":0,"reported":2,"opened":1,"merged":0,"closed":1,"revisions":0,"carried_in":0,"carried_out":0,"orphaned":0},
"sessions":[{"key":"ann","first_value":1,"last_value":1,"state":null,"bucket":0,"first":3,"last":5,"end":15,"opened":1,"count":2,"part":1,"cut":false,"again":false,
"extra":{"reported":{"identity":{"anchor":3,"flushes":0,"opened":0},"revision":0,"count":2,"current":true},"supersedes":[],"newest":0,"previous":null,"cut_by":null}}],"held":[{"arrival":2,"event":{"key":"ann","event_time":30,"arrival_time":30,"value":1}}],"parts":[],"orphans":[]}"#;

#[test]
fn a_snapshot_of_another_version_is_refused_by_its_number() {
    let config = || Config::<String, u32>::new(Gap::new(Duration::from_micros(10)));
    let read = serde_json::from_str(VERSION_1).expect("it can be read, so that its version can be told");
    let error = config().restore(read).expect_err("version 1");
    assert_eq!(error, RestoreError::Version { found: 1, expected: 2 });
    assert!(error.to_string().contains("has version 1, and this release reads version 2"), "{error}");

    let mut newer = serde_json::to_value(config().build().expect("a gap").snapshot()).expect("it can be written");
    newer["version"] = 3.into();
    newer["something"] = "new".into();
    let read = serde_json::from_value(newer).expect("it can be read");
    assert_eq!(config().restore(read).err(), Some(RestoreError::Version { found: 3, expected: 2 }));
}

#[test]
fn a_place_behind_the_watermark_is_remembered_for_a_lateness_that_comes_with_a_restore() {
    let (us, at) = (Duration::from_micros, Timestamp::from_micros);
    let config = |lateness: u64| {
        let one = Gap::new(us(6)).max_duration(us(6)).max_events(1);
        let config = Config::<u8, u32>::new(one).out_of_order(us(2));
        if lateness > 0 { config.allowed_lateness(us(lateness)) } else { config }
    };
    let mut ids = Vec::new();
    let mut before = config(0).build().unwrap();
    for (number, (key, time)) in (0..).zip([(0, 3), (1, -4)]) {
        let _ = before.push(Event::new(key, at(time), number), &mut |session| ids.push(session.id()));
    }
    // The same place again: late by the old lateness, and not by the new one.
    let mut after = config(5).restore_changed(before.snapshot()).unwrap();
    for (number, (key, time)) in (2..).zip([(0, 8), (0, 5), (1, -4)]) {
        let pushed = after.push(Event::new(key, at(time), number), &mut |session| ids.push(session.id()));
        assert!(pushed.returned().is_none(), "{number}");
    }
    after.flush(&mut |session| ids.push(session.id()));
    ids.sort_unstable();
    let sessions = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), sessions), (5, 5));
}

#[test]
fn a_split_and_a_join_keep_the_order_in_which_parts_are_forgotten() {
    let (us, at) = (Duration::from_micros, Timestamp::from_micros);
    let config = || {
        let windows = Stagger::per_key(us(10)).remember_parts(us(1_000));
        Config::<u32, ()>::new(windows).max_open_sessions(8, WhenFull::Refuse)
    };
    let mut engine = config().build().unwrap();
    let push = |engine: &mut Engine<u32, ()>, key, time| {
        let _ = engine.push(Event::new(key, at(time), ()), &mut |_| {});
    };
    // Eight windows of one instant are remembered, and a ninth, for which the first is forgotten.
    (0..8).for_each(|key| push(&mut engine, key, 0));
    push(&mut engine, 8, 10);
    let pieces = engine.snapshot().split(3, |key| key as usize % 3);
    let mut joined = config().restore(Snapshot::join(pieces).unwrap()).unwrap();
    let parts = |engine: &mut Engine<u32, ()>| {
        let mut parts = Vec::new();
        engine.advance_to(at(20), &mut |_| {});
        (0..8).for_each(|key| push(engine, key, 20));
        engine.flush(&mut |session| parts.push((session.key, session.part)));
        parts
    };
    let expected = parts(&mut engine);
    assert_eq!(expected[..2], [(0, 1), (1, 2)]);
    assert_eq!(parts(&mut joined), expected);
}
