//! The price of being led to the session of each event.
//!
//! `cargo test --release --test tagged -- --ignored --nocapture` measures it, on a quiet machine.

use std::hint::black_box;
use std::time::{Duration, Instant};

use stagger::{Bucket, Config, Engine, Event, Gap, Stagger, Strategy, Timestamp};

type Clicks = Engine<u64, u64>;

const USERS: u64 = 1_000;
const CLICKS: u64 = 500_000;
const ROUNDS: usize = 21;
/// Nanoseconds for each event.
const MOST: f64 = 5.0;

fn click(n: u64) -> Event<u64, u64> {
    let user = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Event::new(user % USERS, Timestamp::from_micros(n as i64), n)
}

fn push(engine: &mut Clicks, clicks: &[Event<u64, u64>]) {
    for click in clicks {
        black_box(engine.push(*click, &mut |_| {}).is_returned());
    }
}

fn push_tagged(engine: &mut Clicks, clicks: &[Event<u64, u64>]) {
    for click in clicks {
        let tagged = engine.push_tagged(*click, &mut |_| {});
        black_box(tagged.session().map_or(0, |session| session.count()));
    }
}

fn nanoseconds_each(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_nanos() as f64 / CLICKS as f64
}

/// The middle of the differences between two rounds that follow each other.
#[test]
#[ignore = "measures time"]
fn a_tag_costs_at_most_five_nanoseconds() {
    let hour = Duration::from_secs(3_600);
    let strategies: [Strategy; 2] = [Gap::new(hour).into(), Stagger::on_event_time(Bucket::step(hour)).into()];
    for strategy in strategies {
        let name = format!("{strategy:?}");
        let config = Config::<u64, u64>::new(strategy).out_of_order(Duration::from_secs(1));
        let mut engine = config.build().expect("a configuration that works");
        let mut differences: Vec<f64> = (0..ROUNDS as u64)
            .map(|round| {
                let clicks: Vec<_> = (round * CLICKS..(round + 1) * CLICKS).map(click).collect();
                let alone = nanoseconds_each(|| push(&mut engine, &clicks));
                nanoseconds_each(|| push_tagged(&mut engine, &clicks)) - alone
            })
            .collect();
        differences.sort_by(f64::total_cmp);
        let middle = differences[ROUNDS / 2];
        println!("{name}: {middle:.1} ns more than push, of {differences:.1?}");
        assert!(middle <= MOST, "{name}: {middle} ns");
    }
}
