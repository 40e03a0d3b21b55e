//! A bound on open sessions is one on memory: a flood of keys leaves nothing behind.
//!
//! Every strategy and option that a bound goes with gets a new key with each event. Measured by an
//! allocator that counts; a program of its own without the test harness, whose threads would be counted
//! too. `STAGGER_FLOOD=4000000 cargo test --release --test flood` sends as many keys.

#[allow(dead_code, reason = "shared with other tests")]
mod counting;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use counting::LIVE_BYTES;
use stagger::{Bucket, Config, Event, FirstLast, Gap, Sliding, Stagger, Strategy, Timestamp, Unit, WhenFull};

const BOUND: usize = 100;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// Memory that a bounded engine may take: sessions of 64 bytes and more, rounded up to whole segments and tables.
const MAX_BYTES: i64 = 1 << 20;
/// By how much the second half of a flood may go beyond the first: lists double.
const MAX_GROWTH: i64 = 1 << 16;

/// How event times and the clock go.
#[derive(Clone, Copy, Debug)]
enum Times {
    /// All at one instant.
    Still,
    /// One second further with each event, while the caller's watermark stands still.
    Ahead,
    /// One second further with each event, and the clock with them.
    Moving,
}

fn strategies() -> Vec<(&'static str, Strategy)> {
    vec![
        ("step", Stagger::on_event_time(Bucket::step(30 * SECOND)).into()),
        ("floor", Stagger::on_event_time(Bucket::floor(Unit::Minute)).into()),
        ("tumbling", Sliding::tumbling(30 * SECOND).into()),
        ("sliding", Sliding::new(30 * SECOND, 10 * SECOND).into()),
        ("gap", Gap::new(1_800 * SECOND).into()),
        ("maximum duration", Gap::new(1_800 * SECOND).max_duration(7_200 * SECOND).into()),
        ("cut by day", Gap::new(1_800 * SECOND).cut_between(Bucket::floor(Unit::Day)).into()),
        ("stagger", Stagger::on_arrival(Bucket::step(30 * SECOND), DAY).into()),
        ("stagger per key", Stagger::per_key(DAY).into()),
        ("stagger, nothing remembered", Stagger::per_key(DAY).remember_parts(Duration::ZERO).into()),
        ("stagger, short", Stagger::per_key(10 * SECOND).remember_parts(DAY).into()),
    ]
}

type Configuration = Config<u64, u64>;
type Setting = (&'static str, fn(Configuration) -> Configuration);

/// Options that go with the event clock, and with both.
fn options() -> Vec<Setting> {
    vec![
        ("", |config| config),
        ("lateness", |config| config.allowed_lateness(DAY)),
        ("in portions", |config| config.close_at_most(1)),
        ("first and last by arrival", |config| config.first_last_by(FirstLast::Arrival)),
        ("all of them", |config| config.allowed_lateness(DAY).close_at_most(3).first_last_by(FirstLast::Arrival)),
    ]
}

/// The most bytes that an engine takes in the first and in the second half of a flood.
fn flood(config: Configuration, times: Times, keys: u64) -> [i64; 2] {
    let before = LIVE_BYTES.load(Relaxed);
    let mut sessions = config.build().expect("a configuration that works");
    let mut most = [0; 2];
    for n in 0..keys {
        let second = if let Times::Still = times { 0 } else { n as i64 };
        let time = Timestamp::from_secs(1_543_449_600 + second);
        let _ = sessions.push(Event::new(n, time, n), &mut |_| {});
        if n % 100 == 0 {
            let half = &mut most[usize::from(n >= keys / 2)];
            *half = (*half).max(LIVE_BYTES.load(Relaxed) - before);
        }
    }
    assert!(sessions.open_sessions() as u64 + sessions.counters().held <= BOUND as u64);
    assert!(sessions.counters().is_conserved());
    most
}

fn main() {
    let keys = std::env::var("STAGGER_FLOOD").map_or(20_000, |keys| keys.parse().expect("a number of keys"));
    let mut floods = 0;
    for (strategy_name, strategy) in strategies() {
        let is_on_arrival = strategy_name.starts_with("stagger");
        for (option, with) in options() {
            if is_on_arrival && (option == "lateness" || option == "all of them") {
                continue; // nothing is late there
            }
            for times in [Times::Still, Times::Ahead, Times::Moving] {
                for when_full in [WhenFull::CloseOldest, WhenFull::Refuse] {
                    let config = Config::new(strategy.clone()).max_open_sessions(BOUND, when_full);
                    let config = if matches!(times, Times::Moving) && !is_on_arrival {
                        config.out_of_order(10 * SECOND)
                    } else {
                        config
                    };
                    let [first, second] = flood(with(config), times, keys);
                    let name =
                        format!("{strategy_name}, {option}, {times:?}, {when_full:?}: {first}, then {second} bytes");
                    assert!(second < MAX_BYTES, "{name}");
                    assert!(second <= first + MAX_GROWTH, "{name}");
                    floods += 1;
                }
            }
        }
    }
    println!("test result: ok. {floods} passed; 0 failed (floods of {keys} keys)");
}
