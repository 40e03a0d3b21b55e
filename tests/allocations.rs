//! Counts every allocation. Text keys and values are lent: once a key's session is open, an event
//! that extends it allocates nothing. When everything is over, the memory is given back.
//!
//! A program of its own without the test harness, whose threads would be counted too.

mod counting;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use counting::{CALLS, LIVE_BYTES};
use stagger::{
    Bucket, Config, Engine, Event, FirstLast, Gap, Pushed, Sliding, Stagger, Timestamp, Unit,
    calendar::{ChronoZone, FixedOffset},
};

type Sessions = Engine<String, String>;

const EVENTS: i64 = 10_000;
const USERS: usize = 100;
const HOUR: Duration = Duration::from_secs(3600);
/// One event every 50 ms, so that 10,000 take less than nine minutes.
const PACE: i64 = 50_000;
/// The start of an hour, with the nine minutes and the warming up all within its first half.
const START: i64 = 1_543_532_400_000_000;

const VALUES: [&str; 3] = ["beer_product_detail", "beer_cart", "beer_vitrine_nav"];

/// The `n`th event, up to four seconds before its place in line.
fn event(users: &[String], n: i64) -> Event<&str, &str> {
    let disorder = n * 7_919 % 4_000_000;
    let time = Timestamp::from_micros(START + 10_000_000 + n * PACE - disorder);
    Event::new(users[n as usize % users.len()].as_str(), time, VALUES[n as usize % VALUES.len()])
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|user| format!("user-{user:06}")).collect()
}

fn build(config: Config<String, String>) -> Sessions {
    config.build().expect("a configuration that works")
}

fn push_all(sessions: &mut Sessions, users: &[String], events: std::ops::Range<i64>) -> (u64, u64) {
    let (mut opened, mut closed) = (0, 0);
    for n in events {
        match sessions.push(event(users, n), &mut |_| closed += 1) {
            Pushed::Opened => opened += 1,
            Pushed::Extended | Pushed::Held | Pushed::Merged => {}
            Pushed::Late(_) | Pushed::Refused(..) => panic!("no event is late"),
        }
    }
    (opened, closed)
}

/// Allocations while 10,000 events extend sessions that are open.
fn allocations_when_extending(config: Config<String, String>) -> u64 {
    let users = users(USERS);
    let mut sessions = build(config);
    // Opens all sessions and lets every buffer grow to the longest value.
    let warm = 20 * USERS as i64;
    let _ = push_all(&mut sessions, &users, 0..warm);
    let placed = sessions.counters().placed;
    let before = CALLS.load(Relaxed);
    let (opened, closed) = push_all(&mut sessions, &users, warm..warm + EVENTS);
    let calls = CALLS.load(Relaxed) - before;
    assert_eq!((opened, closed), (0, 0), "every event extends a session");
    assert!(sessions.counters().placed >= placed + EVENTS as u64, "every event was placed, or one held before it");
    calls
}

/// A strategy whose windows hold all events of [`allocations_when_extending`].
fn cases() -> Vec<(&'static str, Config<String, String>)> {
    let bound = Duration::from_secs(5);
    let on_event_time = |bucket| Config::new(Stagger::on_event_time(bucket)).out_of_order(bound);
    let gap = || Config::new(Gap::new(HOUR)).out_of_order(bound);
    let at_most = || Config::new(Gap::new(HOUR).max_duration(3 * HOUR)).out_of_order(bound);
    let berlin = ChronoZone(chrono_tz::Europe::Berlin);
    let east = FixedOffset::east(2 * 3600);
    vec![
        ("step", on_event_time(Bucket::step(HOUR))),
        ("floor", on_event_time(Bucket::floor(Unit::Hour))),
        ("floor at an offset", on_event_time(Bucket::floor(Unit::Hour).zone(east))),
        ("floor in Berlin", on_event_time(Bucket::floor(Unit::Hour).zone(berlin))),
        ("first and last by arrival", on_event_time(Bucket::step(HOUR)).first_last_by(FirstLast::Arrival)),
        ("sliding", Config::new(Sliding::new(24 * HOUR, HOUR)).out_of_order(bound)),
        ("tumbling", Config::new(Sliding::tumbling(HOUR)).out_of_order(bound)),
        ("stagger on arrival", Config::new(Stagger::on_arrival(Bucket::step(HOUR), HOUR))),
        ("stagger per key", Config::new(Stagger::per_key(HOUR))),
        ("gap", gap()),
        ("gap, watermark by the caller", Config::new(Gap::new(HOUR))),
        ("gap per event", gap().gap_per_event("long for carts", |e| (e.value == "beer_cart").then_some(2 * HOUR))),
        ("gap with lateness", gap().allowed_lateness(HOUR)),
        ("gap with a bound on sessions", gap().max_open_sessions(USERS, stagger::WhenFull::CloseOldest)),
        ("maximum duration", at_most()),
        ("cut by day", Config::new(Gap::new(HOUR).cut_between(Bucket::floor(Unit::Day))).out_of_order(bound)),
        ("cut by a rule", gap().cut("never", |before, after| before.time > after.time)),
        ("maximum duration, by arrival", at_most().first_last_by(FirstLast::Arrival)),
    ]
}

fn extending_a_session_allocates_nothing() {
    for (name, config) in cases() {
        let calls = allocations_when_extending(config);
        println!("{name}: {calls} allocations in {EVENTS} events");
        assert_eq!(calls, 0, "{name}");
    }
}

/// Sessions that outlive many gaps are looked at again about once per gap. That may cost memory for
/// the queue, but far from once per event.
fn long_sessions_allocate_next_to_nothing() {
    let users = users(USERS);
    let gap = Duration::from_secs(10); // every user comes back after five seconds
    let mut sessions = build(Config::new(Gap::new(gap)).out_of_order(Duration::from_secs(5)));
    let warm = 20 * USERS as i64;
    let _ = push_all(&mut sessions, &users, 0..warm);
    let before = CALLS.load(Relaxed);
    let (opened, closed) = push_all(&mut sessions, &users, warm..warm + EVENTS);
    let calls = CALLS.load(Relaxed) - before;
    println!("sessions of 50 gaps: {calls} allocations in {EVENTS} events");
    assert_eq!((opened, closed), (0, 0));
    assert!(calls <= EVENTS as u64 / 4);
}

/// Live bytes beyond those at the start: with sessions open, and when all are over.
fn live_bytes(config: Config<String, String>, close: fn(&mut Sessions)) -> (i64, i64) {
    let users = users(10_000);
    let mut sessions = build(config);
    let start = LIVE_BYTES.load(Relaxed);
    let _ = push_all(&mut sessions, &users, 0..EVENTS);
    let open = LIVE_BYTES.load(Relaxed) - start;
    close(&mut sessions);
    assert_eq!(sessions.open_sessions(), 0);
    (open, LIVE_BYTES.load(Relaxed) - start)
}

fn a_flush_gives_the_memory_back() {
    for (name, config) in cases() {
        if name == "gap with a bound on sessions" {
            continue; // never has many
        }
        let (open, over) = live_bytes(config, |sessions| sessions.flush(&mut |_| {}));
        println!("{name}: {open} bytes while {EVENTS} users are there, {over} after the flush");
        assert!(open > 100 * EVENTS, "{name}: {open}");
        assert!(over < 1_000, "{name}: {over}");
    }
}

/// Without a flush room is kept for as many sessions as there were, but it does not grow.
fn closing_by_the_clock_leaves_no_growth() {
    for (name, config) in cases() {
        let users = users(1_000);
        let mut sessions = build(config);
        let mut after = Vec::with_capacity(8); // counted too, so it must not grow
        for round in 0..8 {
            let day = Duration::from_secs(round * 400 * 86_400);
            for n in 0..2_000 {
                let event = event(&users, n);
                let time = event.event_time + day;
                let _ = sessions.push(Event::new(event.key, time, event.value), &mut |_| {});
            }
            sessions.advance_to(Timestamp::from_micros(START) + day + 200 * 24 * HOUR, &mut |_| {});
            assert_eq!(sessions.open_sessions(), 0, "{name}");
            after.push(LIVE_BYTES.load(Relaxed));
        }
        println!("{name}: {:?} bytes more after each round", after.iter().map(|b| b - after[3]).collect::<Vec<_>>());
        assert!(after[7] <= after[3], "{name}");
    }
}

fn main() {
    extending_a_session_allocates_nothing();
    long_sessions_allocate_next_to_nothing();
    a_flush_gives_the_memory_back();
    closing_by_the_clock_leaves_no_growth();
    println!("test result: ok. 4 passed; 0 failed (allocations)");
}
