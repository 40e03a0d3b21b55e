//! One engine next to shards on two cores, in wall time: the same sessions.
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
use stagger::{
    Bucket, Config, Engine, Event, EventRef, Gap, Key, SessionSummary, Sharded, Stagger, Strategy, Timestamp, Value,
};

const BATCH: usize = 1 << 16;

fn config<K: Key, V: Value>(name: &str) -> Config<K, V> {
    let strategy: Strategy = match name {
        "step" => Stagger::on_event_time(Bucket::step(Duration::from_secs(30))).into(),
        _ => Gap::new(Duration::from_secs(30 * 60)).into(),
    };
    Config::new(strategy).out_of_order(Duration::from_micros(DISORDER.unsigned_abs()))
}

/// Sessions and the events in them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    sessions: u64,
    events: u64,
}

impl Tally {
    fn add<K, V>(&mut self, session: &SessionSummary<K, V>) {
        self.sessions += 1;
        self.events += session.count;
    }
}

fn run_engine<K: Key, V: Value>(mut engine: Engine<K, V>, events: &[EventRef<'_, K, V>], batch: bool) -> Tally {
    let mut tally = Tally::default();
    let mut out = |session| tally.add(&session);
    if batch {
        events.chunks(BATCH).for_each(|events| drop(engine.push_batch(events, &mut out)));
    } else {
        events.iter().for_each(|event| _ = engine.push(*event, &mut out));
    }
    engine.flush(&mut out);
    tally
}

/// On cache lines of its own, as an output of a shard should be.
#[derive(Default)]
#[repr(align(128))]
struct Output(Tally);

fn run_shards<K, V>(shards: usize, name: &str, events: &[EventRef<'_, K, V>]) -> Tally
where
    K: Key + Send,
    V: Value + Send,
    for<'e> K::Ref<'e>: Send + Sync,
    for<'e> V::Ref<'e>: Send + Sync,
{
    let mut tallies: Vec<Output> = (0..shards).map(|_| Output::default()).collect();
    let outputs = tallies.iter_mut().map(|Output(tally)| |session| tally.add(&session));
    let mut sharded = Sharded::new(outputs, || config::<K, V>(name)).expect("a configuration that works");
    events.chunks(BATCH).for_each(|events| drop(sharded.push_batch(events)));
    sharded.flush();
    drop(sharded);
    tallies.iter().fold(Tally::default(), |sum, Output(tally)| Tally {
        sessions: sum.sessions + tally.sessions,
        events: sum.events + tally.events,
    })
}

macro_rules! compare {
    ($criterion:expr, $kind:expr, $events:expr, $key:ty, $value:ty) => {
        for name in ["step", "gap"] {
            let engine = || config::<$key, $value>(name).build().expect("a configuration that works");
            let expected = run_engine(engine(), $events, false);
            assert_eq!(expected.events, $events.len() as u64);
            let mut group = $criterion.benchmark_group(format!("sharded/{name}/{}/1m_keys/10s_disorder", $kind));
            group.throughput(Throughput::Elements($events.len() as u64));
            group.sample_size(10).sampling_mode(SamplingMode::Flat);
            group.bench_function("engine", |b| b.iter(|| run_engine(engine(), $events, false)));
            group.bench_function("engine_batch", |b| b.iter(|| run_engine(engine(), $events, true)));
            for shards in [1, 2] {
                assert_eq!(run_shards::<$key, $value>(shards, name, $events), expected);
                group.bench_function(format!("{shards}_shards"), |b| {
                    b.iter(|| run_shards::<$key, $value>(shards, name, $events));
                });
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
