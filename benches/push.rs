//! Pushing events one by one and in batches, next to hand-written loops that do the same.
//!
//! `cargo bench --bench push`, or with a part of a name: `cargo bench --bench push -- gap/u64`.
//! A million clicks per iteration; `STAGGER_BENCH_EVENTS` sets another number. With `-- --test` each
//! runs once.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod clicks;
#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod contest;
#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod hand_written;

use std::hash::Hash;

use clicks::{Click, Clicks, keep_freed_memory, number_of_events};
use contest::{ByHand, Contestant, Count, InBatches, Job, OneByOne, agree};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use stagger::{Key, Value};

/// Times all three, after they gave the same sessions.
fn compare<'c, K, V>(criterion: &mut Criterion, name: &str, job: Job, clicks: &[Click<K::Ref<'c>, V::Ref<'c>>])
where
    K: Key + Hash,
    V: Value + Hash,
{
    agree::<K, V, _>(job, || clicks.iter().copied());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(clicks.len() as u64));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    time::<K, V, OneByOne<K, V>>(&mut group, job, clicks);
    time::<K, V, InBatches<K, V>>(&mut group, job, clicks);
    time::<K, V, ByHand<K, V>>(&mut group, job, clicks);
    group.finish();
}

fn time<'c, K, V, C>(group: &mut BenchmarkGroup<'_, WallTime>, job: Job, clicks: &[Click<K::Ref<'c>, V::Ref<'c>>])
where
    K: Key,
    V: Value,
    C: Contestant<K, V>,
{
    let run = || {
        let (mut contestant, mut count) = (C::new(job), Count::default());
        contestant.take(clicks.iter().copied(), &mut |key, session| count.add(&key, &session));
        contestant.finish(&mut |key, session| count.add(&key, &session));
        count.0
    };
    group.bench_function(C::NAME, |b| b.iter(run));
}

fn push(criterion: &mut Criterion) {
    keep_freed_memory();
    for (users, keys) in [(10_000, "10k_keys"), (1_000_000, "1m_keys")] {
        let clicks = Clicks::new(users, number_of_events());
        let (numbers, text) = (clicks.numbers(), clicks.text());
        let lent = text.lent();
        for (job, name) in [(Job::Step, "step"), (Job::Gap, "gap")] {
            compare::<u64, u64>(criterion, &format!("push/{name}/u64/{keys}/10s_disorder"), job, &numbers);
            let name = format!("push/{name}/str/{keys}/10s_disorder");
            compare::<(String, String), String>(criterion, &name, job, &lent);
        }
    }
}

criterion_group!(benches, push);
criterion_main!(benches);
