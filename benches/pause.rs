//! The longest single call when very many sessions close.
//!
//! `cargo bench --bench pause`. With `-- --test` it runs once, with fewer sessions.
//!
//! Each row opens a million sessions, then brings the event at which they are all over, then goes on
//! with others; every call is timed. A row is measured three times and the best is printed, since
//! anything else that the machine does can only make a call longer.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use stagger::{Bucket, Config, Engine, Event, Gap, Stagger, Timestamp};

const SECOND: i64 = 1_000_000;
const STEP: i64 = 30 * SECOND;
const GAP: i64 = 30 * 60 * SECOND;
const DISORDER: i64 = 10 * SECOND;
/// A start of a bucket.
const START: i64 = 1_543_449_600 * SECOND;

/// The bound on the sessions that one call emits.
const BOUND: usize = 1_000;

type Setup = Config<u64, u64>;

fn micros(length: i64) -> Duration {
    Duration::from_micros(length.unsigned_abs())
}

fn step() -> Setup {
    Setup::new(Stagger::on_event_time(Bucket::step(micros(STEP)))).out_of_order(micros(DISORDER))
}

fn gap() -> Setup {
    Setup::new(Gap::new(micros(GAP))).out_of_order(micros(DISORDER))
}

/// One kind of pause.
struct Row {
    name: &'static str,
    setup: fn() -> Setup,
    /// The time in which the sessions open.
    spread: i64,
    /// The distance from the first event to the event that ends them. Without it, many events follow at the same
    /// pace.
    jump: Option<i64>,
}

fn bounded_step() -> Setup {
    step().close_at_most(BOUND)
}

fn bounded_gap() -> Setup {
    gap().close_at_most(BOUND)
}

fn rows() -> Vec<Row> {
    let (tick, long) = (SECOND, GAP - SECOND);
    let after_a_bucket = Some(STEP + DISORDER);
    let after_all = Some(2 * GAP + DISORDER);
    vec![
        Row { name: "step, one bucket", setup: step, spread: tick, jump: after_a_bucket },
        Row { name: "the same, at most 1000 a call", setup: bounded_step, spread: tick, jump: after_a_bucket },
        Row { name: "gap, all in one tick", setup: gap, spread: tick, jump: after_all },
        Row { name: "the same, at most 1000 a call", setup: bounded_gap, spread: tick, jump: after_all },
        Row { name: "gap, spread over the gap, all at once", setup: gap, spread: long, jump: after_all },
        Row { name: "the same, at most 1000 a call", setup: bounded_gap, spread: long, jump: after_all },
        Row { name: "gap, spread over the gap, one by one", setup: gap, spread: long, jump: None },
        Row { name: "the same, at most 1000 a call", setup: bounded_gap, spread: long, jump: None },
    ]
}

/// How long calls took, in nanoseconds.
struct Calls(Vec<u64>);

impl Calls {
    fn longest(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    fn mean(&self) -> u64 {
        self.0.iter().sum::<u64>() / self.0.len().max(1) as u64
    }

    /// All but one in ten thousand took no longer.
    fn usual(&mut self) -> u64 {
        let place = (self.0.len() as f64 * 0.9999) as usize;
        *self.0.select_nth_unstable(place).1
    }

    fn print(&mut self, name: &str, what: &str) {
        let micros = |nanos: u64| nanos as f64 / 1_000.0;
        let (longest, usual, mean) = (micros(self.longest()), micros(self.usual()), self.mean());
        println!("{name:<42} {what:<8} {longest:>14.1} {usual:>14.1} {mean:>10}");
    }
}

/// Pushes events of some keys in turn, and times each.
fn push_all(engine: &mut Engine<u64, u64>, times: impl Iterator<Item = i64>, keys: Range<u64>, most: usize) -> Calls {
    let mut calls = Calls(Vec::with_capacity(most));
    for (time, key) in times.zip(keys.cycle()) {
        let event = Event::new(key, Timestamp::from_micros(START + time), 0);
        let start = Instant::now();
        let _ = engine.push(event, &mut |session| drop(black_box(session)));
        calls.0.push(start.elapsed().as_nanos() as u64);
    }
    calls
}

/// The calls that open the sessions, and those that follow and close them.
fn measure(row: &Row, sessions: usize) -> [Calls; 2] {
    let mut engine = (row.setup)().build().expect("a configuration that works");
    let pace = (row.spread / sessions as i64).max(1);
    let times = |first: i64| (0..sessions as i64).map(move |n| first + n * pace);
    let keys = sessions as u64;
    let opening = push_all(&mut engine, times(0), 0..keys, sessions);
    assert_eq!(engine.open_sessions(), sessions, "none is over yet");
    // Few keys: else the opening of their sessions would be measured.
    let closing = push_all(&mut engine, times(row.jump.unwrap_or(row.spread)), keys..keys + 1_000, sessions);
    assert!(engine.counters().closed >= sessions as u64 * 9 / 10, "they are over");
    [opening, closing]
}

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (sessions, rounds) = if is_test { (10_000, 1) } else { (1_000_000, 3) };
    println!("{:<42} {:<8} {:>14} {:>14} {:>10}", "calls with", "", "longest in us", "99.99 % in us", "mean in ns");
    for row in rows() {
        let all = (0..rounds).map(|_| measure(&row, sessions));
        let best = all.min_by_key(|[_, closing]| closing.longest());
        let [mut opening, mut closing] = best.expect("a row is measured at least once");
        opening.print(row.name, "opening");
        closing.print(row.name, "closing");
    }
}
