//! Pushing events one by one, next to hand-written loops that do the same.
//!
//! `cargo bench --bench push`, or with a part of a name: `cargo bench --bench push -- gap/u64`.
//! A million clicks per iteration; `STAGGER_BENCH_EVENTS` sets another number. With `-- --test` each
//! runs once.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

#[allow(unreachable_pub, reason = "as in a crate of its own")]
mod clicks;
#[allow(unreachable_pub, reason = "as in a crate of its own")]
mod hand_written;

use std::fmt::Debug;
use std::hint::black_box;
use std::time::Duration;

use clicks::{Click, Clicks, DISORDER, SECOND};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use hand_written::{Kept, MapKey, Session};
use stagger::prelude::*;
use stagger::{Bucket, Config, Event, Gap, Key, Stagger, Strategy, Timestamp, Value};

const STEP: i64 = 30 * SECOND;
const GAP: i64 = 30 * 60 * SECOND;

#[derive(Clone, Copy)]
enum Job {
    Step,
    Gap,
}

impl Job {
    fn strategy(self) -> Strategy {
        let length = |micros: i64| Duration::from_micros(micros.unsigned_abs());
        match self {
            Self::Step => Stagger::on_event_time(Bucket::step(length(STEP))).into(),
            Self::Gap => Gap::new(length(GAP)).into(),
        }
    }
}

fn library<'c, K: Key, V: Value>(
    job: Job,
    clicks: &[Click<K::Ref<'c>, V::Ref<'c>>],
    out: &mut dyn FnMut(K, Session<V>),
) {
    let disorder = Duration::from_micros(DISORDER.unsigned_abs());
    let mut sessions =
        Config::<K, V>::new(job.strategy()).out_of_order(disorder).build().expect("a configuration that works");
    let mut over = |s: stagger::SessionSummary<K, V>| {
        let (first, last) = (s.first_time.as_micros(), s.last_time.as_micros());
        out(s.key, Session { first, last, count: s.count, first_value: s.first_event, last_value: s.last_event });
    };
    for click in clicks {
        let event = Event::new(click.key, Timestamp::from_micros(click.time), click.value);
        let _ = sessions.push(event, &mut over);
    }
    sessions.flush(&mut over);
}

fn by_hand<K: MapKey, V: Kept>(job: Job, clicks: &[Click<K::Ref<'_>, V::Ref<'_>>], out: &mut dyn FnMut(K, Session<V>)) {
    match job {
        Job::Step => hand_written::step(STEP, clicks, out),
        Job::Gap => hand_written::gap(GAP, clicks, out),
    }
}

/// Number of sessions, number of clicks in them, and a sum over all that is in them.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    sessions: u64,
    clicks: u64,
    sum: u64,
}

impl Tally {
    fn add<V: Debug>(&mut self, key: &impl Debug, session: &Session<V>) {
        let hash = format!("{key:?} {session:?}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
        });
        self.sessions += 1;
        self.clicks += session.count;
        self.sum = self.sum.wrapping_add(hash);
    }
}

/// Times the library and the loop by hand, after both gave the same sessions.
macro_rules! compare {
    ($criterion:expr, $name:expr, $job:expr, $clicks:expr, $key:ty, $value:ty) => {{
        let (job, clicks) = ($job, $clicks);
        let (mut of_library, mut by_hand_tally) = (Tally::default(), Tally::default());
        library::<$key, $value>(job, clicks, &mut |key, s| of_library.add(&key, &s));
        by_hand::<$key, $value>(job, clicks, &mut |key, s| by_hand_tally.add(&key, &s));
        assert_eq!(of_library, by_hand_tally);
        assert_eq!(of_library.clicks, clicks.len() as u64);
        let mut group = $criterion.benchmark_group($name);
        group.throughput(Throughput::Elements(clicks.len() as u64));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.bench_function("stagger", |b| b.iter(|| count(|out| library::<$key, $value>(job, clicks, out))));
        group.bench_function("by_hand", |b| b.iter(|| count(|out| by_hand::<$key, $value>(job, clicks, out))));
        group.finish();
    }};
}

/// Takes what comes out, and does next to nothing with it.
fn count<K, V>(run: impl FnOnce(&mut dyn FnMut(K, Session<V>))) -> u64 {
    let mut clicks = 0;
    run(&mut |key, session| {
        clicks += session.count;
        drop(black_box((key, session)));
    });
    clicks
}

fn push(criterion: &mut Criterion) {
    let number = std::env::var("STAGGER_BENCH_EVENTS").ok().map(|n| n.parse().expect("a number of events"));
    for (users, keys) in [(10_000, "10k_keys"), (1_000_000, "1m_keys")] {
        let clicks = Clicks::new(users, number.unwrap_or(1_000_000));
        let (numbers, text) = (clicks.numbers(), clicks.text());
        let lent = text.lent();
        for (job, name) in [(Job::Step, "step"), (Job::Gap, "gap")] {
            compare!(criterion, format!("push/{name}/u64/{keys}/10s_disorder"), job, &numbers, u64, u64);
            let name = format!("push/{name}/str/{keys}/10s_disorder");
            compare!(criterion, name, job, &lent, (String, String), String);
        }
    }
}

criterion_group!(benches, push);
criterion_main!(benches);
