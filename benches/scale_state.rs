//! The cost of a partition, by the number of its open sessions: memory, events, checkpoints, restores.
//!
//! `cargo bench --bench scale_state` measures 100,000, a million and ten million (4 GB); with `-- NUMBER` it measures one.
//! `-- --test` runs once, with few. docs/SCALE.md says what follows from the figures.
//!
//! Times are those of the processor. Gap sessions with integer keys and values. Each number is measured in a process of its own, since memory that
//! was given back would be used again.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

use std::process::Command;
use std::time::{Duration, Instant};

use stagger::{Config, Engine, Event, Gap, Snapshot, Timestamp};

type Setup = Config<u64, u64>;
type Clicks = Engine<u64, u64>;

const START: i64 = 1_543_534_510_000_000;
const PORTION: usize = 10_000;
/// Events pushed between two portions.
const BETWEEN: u64 = 1_000;

fn setup() -> Setup {
    Config::new(Gap::new(Duration::from_secs(1_800))).out_of_order(Duration::from_secs(10))
}

/// Clicks of a number of users in no order, all within a gap.
struct Source {
    users: u64,
    sent: u64,
}

impl Source {
    fn next(&mut self) -> Event<u64, u64> {
        let user = (self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % self.users;
        self.sent += 1;
        let micros = (self.sent * 20_000_000 / self.users) as i64; // each user about once in twenty seconds
        Event::new(user, Timestamp::from_micros(START + micros), self.sent)
    }

    fn push(&mut self, engine: &mut Clicks, events: u64) {
        for _ in 0..events {
            let event = self.next();
            assert!(!engine.push(event, &mut |_| {}).is_returned());
        }
    }
}

/// The time that this thread has had a processor, and how often: others on the machine count less. Linux tells it.
fn processor_time() -> Option<(Duration, u64)> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut fields = text.split_whitespace();
    let running = fields.next()?.parse().ok().map(Duration::from_nanos)?;
    Some((running, fields.nth(1)?.parse().ok()?))
}

/// The time of a call, unless it was interrupted. (The time of the processor is too coarse for one call.)
fn uninterrupted<T>(act: impl FnOnce() -> T) -> (T, Option<Duration>) {
    let (before, begin) = (processor_time(), Instant::now());
    let done = act();
    let wall = begin.elapsed();
    let times = |time: Option<(Duration, u64)>| time.map(|(_, times)| times);
    (done, Some(wall).filter(|_| times(before) == times(processor_time())))
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let (begin, running) = (Instant::now(), processor_time());
    let done = act();
    let wall = begin.elapsed();
    let running = running.and_then(|(before, _)| processor_time()?.0.checked_sub(before));
    (done, running.map_or(wall, |running| running.min(wall)))
}

/// The memory of this process in bytes; 0 where nobody tells.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4_096
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn line(name: &str, value: impl std::fmt::Display) {
    println!("  {name:<44} {value}");
}

fn measure(users: u64) {
    println!("{users} users");
    let before = memory();
    let mut engine = setup().build().expect("a configuration that works");
    let mut source = Source { users, sent: 0 };
    // Every user once, so that there are as many sessions; then at random.
    for user in 0..users {
        let event = Event::new(user, Timestamp::from_micros(START), user);
        assert!(!engine.push(event, &mut |_| {}).is_returned());
    }
    let open = engine.open_sessions() as u64;
    let used = memory().saturating_sub(before);
    line("memory, bytes for each session", format!("{:.1}", used as f64 / open as f64));
    let events = if users < 100_000 { users } else { 2_000_000 };
    let ((), time) = timed(|| source.push(&mut engine, events));
    line("events a second", format!("{:.2} M", events as f64 / time.as_secs_f64() / 1e6));
    assert_eq!(engine.open_sessions() as u64, open);

    checkpoint(&engine, users, open);
    portions(&mut engine, &mut source);
}

fn checkpoint(engine: &Clicks, users: u64, open: u64) {
    let (snapshot, copying) = timed(|| engine.snapshot());
    let (bytes, writing) = timed(|| snapshot.to_bytes().expect("integers can be written"));
    drop(snapshot);
    line("snapshot: copied in, written in", format!("{}, {}", millis(copying), millis(writing)));
    line("snapshot: bytes, and for each session", format!("{}, {:.1}", bytes.len(), bytes.len() as f64 / open as f64));
    let (read, reading) = timed(|| Snapshot::from_bytes(&bytes).expect("as it was written"));
    let (again, restoring) = timed(|| setup().restore(read).expect("the same configuration"));
    line("snapshot: read in, restored in", format!("{}, {}", millis(reading), millis(restoring)));
    assert_eq!(again.open_sessions() as u64, open);
    drop(again);

    let changed: Vec<u64> = (0..users / 100).map(|n| n * 100 + 7).collect();
    let (changes, copying) = timed(|| engine.changes(changed.iter().copied()).expect("nothing is held"));
    let (bytes, writing) = timed(|| changes.to_bytes().expect("integers can be written"));
    line("changes of 1 %: copied in, written in", format!("{}, {}", millis(copying), millis(writing)));
    line("changes of 1 %: bytes", bytes.len());
}

/// Takes a snapshot in portions, with events in between.
fn portions(engine: &mut Clicks, source: &mut Source) {
    let (mut number, mut bytes, mut calls, mut all) = (0, 0, Vec::new(), Duration::ZERO);
    let (mut pushed, mut pushing, mut longest) = (0, Duration::ZERO, Duration::ZERO);
    engine.begin_snapshot();
    loop {
        let take = || Some(engine.next_portion(PORTION)?.to_bytes().expect("integers can be written").len());
        let ((written, call), time) = timed(|| uninterrupted(take));
        let Some(written) = written else { break };
        calls.extend(call);
        (number, bytes, all) = (number + 1, bytes + written, all + time);
        if engine.is_taking_snapshot() {
            let (((), call), time) = timed(|| uninterrupted(|| source.push(engine, BETWEEN)));
            pushing += time;
            longest = longest.max(call.unwrap_or_default());
            pushed += BETWEEN;
        }
    }
    calls.sort_unstable();
    line("in portions: number, bytes", format!("{number}, {bytes}"));
    line("in portions: all of it, written", millis(all));
    let at = |percent: usize| calls.get((calls.len() * percent / 100).min(calls.len().saturating_sub(1)));
    let [middle, late, last] = [50, 99, 100].map(|percent| at(percent).map_or("none".to_owned(), |time| millis(*time)));
    line(
        "in portions: one, 99 of 100, the longest",
        format!("{middle}, {late}, {last} of {} uninterrupted", calls.len()),
    );
    let rate = pushed as f64 / pushing.as_secs_f64() / 1e6;
    line("in portions: events a second meanwhile", format!("{rate:.2} M, the slowest thousand in {}", millis(longest)));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = arguments.iter().find_map(|argument| argument.parse().ok());
    match number {
        Some(users) => measure(users),
        None if arguments.iter().any(|argument| argument == "--test") => measure(20_000),
        None => {
            for users in ["100000", "1000000", "10000000"] {
                let this = std::env::current_exe().expect("this program has a path");
                let status = Command::new(this).arg(users).status().expect("it starts again");
                assert!(status.success(), "{users} users");
            }
        }
    }
}
