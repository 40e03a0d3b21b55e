//! One engine next to shards on two cores, in wall time: the same sessions, in the same order.
//!
//! `cargo bench --bench sharded`. A million clicks per iteration, handed over 65,536 at a time;
//! `STAGGER_BENCH_EVENTS` sets another number. On a machine with one core it shows what sharing out
//! costs.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

#[allow(unreachable_pub, dead_code, reason = "as in a crate of its own")]
mod clicks;

use std::time::Duration;

use clicks::{Clicks, DISORDER, keep_freed_memory, number_of_events};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use stagger::prelude::*;
use stagger::{Bucket, Config, Event, Gap, Key, Lent, Sharded, Stagger, Strategy, Timestamp, Value};

const BATCH: usize = 1 << 16;

fn config<K: Key, V: Value>(name: &str) -> Config<K, V> {
    let strategy: Strategy = match name {
        "step" => Stagger::on_event_time(Bucket::step(Duration::from_secs(30))).into(),
        _ => Gap::new(Duration::from_secs(30 * 60)).into(),
    };
    Config::new(strategy).out_of_order(Duration::from_micros(DISORDER.unsigned_abs()))
}

/// Sessions and the events in them.
fn run<S: Sessionizer>(mut sessions: S, events: &[Lent<'_, S::Key, S::Value>], batch: bool) -> (u64, u64) {
    let (mut number, mut counted) = (0, 0);
    let mut out = |session: stagger::SummaryOf<S>| {
        number += 1;
        counted += session.count;
    };
    if batch {
        for events in events.chunks(BATCH) {
            let _ = sessions.push_batch(events, &mut out);
        }
    } else {
        for event in events {
            let _ = sessions.push(*event, &mut out);
        }
    }
    sessions.flush(&mut out);
    (number, counted)
}

macro_rules! compare {
    ($criterion:expr, $kind:expr, $events:expr, $key:ty, $value:ty) => {
        for name in ["step", "gap"] {
            let engine = || config::<$key, $value>(name).build().expect("a configuration that works");
            let sharded = |shards| Sharded::new(shards, || config::<$key, $value>(name)).expect("the same");
            let expected = run(engine(), $events, false);
            assert_eq!(expected.1, $events.len() as u64);
            let mut group = $criterion.benchmark_group(format!("sharded/{name}/{}/1m_keys/10s_disorder", $kind));
            group.throughput(Throughput::Elements($events.len() as u64));
            group.sample_size(10).sampling_mode(SamplingMode::Flat);
            group.bench_function("engine", |b| b.iter(|| run(engine(), $events, false)));
            for shards in [1, 2] {
                assert_eq!(run(sharded(shards), $events, true), expected);
                group.bench_function(format!("{shards}_shards"), |b| b.iter(|| run(sharded(shards), $events, true)));
            }
            group.finish();
        }
    };
}

fn sharded(criterion: &mut Criterion) {
    keep_freed_memory();
    let clicks = Clicks::new(1_000_000, number_of_events());
    let at = Timestamp::from_micros;
    let numbers: Vec<Event<u64, u64>> =
        clicks.numbers().iter().map(|click| Event::new(click.key, at(click.time), click.value)).collect();
    compare!(criterion, "u64", &numbers[..], u64, u64);
    let text = clicks.text();
    let text: Vec<Event<(&str, &str), &str>> =
        text.lent().iter().map(|click| Event::new(click.key, at(click.time), click.value)).collect();
    compare!(criterion, "str", &text[..], (String, String), String);
}

criterion_group!(benches, sharded);
criterion_main!(benches);
