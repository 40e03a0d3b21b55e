//! How many bytes an open session takes beyond the caller's own: its key and two values.
//!
//! Measured by an allocator that counts, with the clicks that the benches use. A program of its own
//! without the test harness, whose threads would be counted too.

#[allow(dead_code, unreachable_pub, reason = "shared with the benches")]
#[path = "../benches/clicks/mod.rs"]
mod clicks;
#[allow(dead_code, reason = "shared with other tests")]
mod counting;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use clicks::{Click, DISORDER, GAP, SECOND, Visits};
use counting::LIVE_BYTES;
use stagger::{Bucket, Config, Engine, Event, Gap, Stagger, Strategy, Timestamp};

/// Key and two values.
const OWN: f64 = 24.0;
const STEP: i64 = 30 * SECOND;

fn micros(length: i64) -> Duration {
    Duration::from_micros(length.unsigned_abs())
}

fn build(strategy: impl Into<Strategy>) -> Engine<u64, u64> {
    Config::new(strategy).out_of_order(micros(DISORDER)).build().expect("a configuration that works")
}

/// Open sessions, and the bytes that each takes.
#[derive(Clone, Copy)]
struct Measured {
    open: usize,
    bytes: f64,
}

/// Pushes clicks for a time, and measures when the most sessions are open. (The engine keeps room
/// for as many when some are over.)
fn measure(mut engine: Engine<u64, u64>, visits: Visits, time: i64) -> Measured {
    let clicks = visits.clicks_in(time);
    let before = LIVE_BYTES.load(Relaxed);
    let mut at_most = Measured { open: 0, bytes: 0.0 };
    for Click { key, time, value } in visits.take(clicks) {
        let _ = engine.push(Event::new(key, Timestamp::from_micros(time), value), &mut |_| {});
        let open = engine.open_sessions();
        if open > at_most.open {
            let live = LIVE_BYTES.load(Relaxed) - before;
            at_most = Measured { open, bytes: live as f64 / open as f64 };
        }
    }
    at_most
}

/// Prints the figure. Returns whether it is at most `most` bytes beyond key and values.
fn is_small(name: &str, most: f64, Measured { open, bytes }: Measured) -> bool {
    let beyond = bytes - OWN;
    println!("{name}: {open} open sessions of {bytes:.1} bytes each, {beyond:.1} beyond key and values");
    beyond <= most
}

/// How many sessions to open. A million takes a debug build a quarter of a minute.
fn sizes() -> impl Iterator<Item = usize> {
    let largest = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    [10_000, 100_000, 1_000_000].into_iter().take_while(move |size| *size <= largest)
}

/// Visits with a gap of 30 minutes.
fn gaps_are_small() -> bool {
    sizes().all(|open| {
        let engine = build(Gap::new(micros(GAP)));
        is_small("gap 30 min", 64.0, measure(engine, Visits::new(open), GAP + 300 * SECOND))
    })
}

/// Windows of 30 seconds. The memory of one that is over is kept for the next, and counts here.
fn steps_are_small() -> bool {
    // Nearly as many as that are open in the 40 s that a bucket is.
    sizes().all(|open| {
        let engine = build(Stagger::on_event_time(Bucket::step(micros(STEP))));
        is_small("step 30 s", 64.0, measure(engine, Visits::new(open * 10), 5 * STEP))
    })
}

fn main() {
    assert!(gaps_are_small());
    assert!(steps_are_small());
    println!("test result: ok. 2 passed; 0 failed (memory)");
}
