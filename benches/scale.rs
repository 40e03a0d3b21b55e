//! The cost of an event with a thousand to ten million open sessions.
//!
//! `scale/gap`: uniform random keys, all of them with an open session, which each event extends.
//! `floor` is the price of memory alone: one line of 64 bytes per session, at a known place.
//!
//! `scale/visits`: clicks of a beer shop of any size, so that sessions also open and close.
//!
//! `cargo bench --bench scale`, or with a part of a name: `cargo bench --bench scale -- 1m_open`. Ten
//! million sessions take 1.5 GiB. With `-- --test` each of the small ones runs once; with
//! `STAGGER_BENCH_ALL=1` the large ones do too.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod clicks;
#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod contest;
#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod hand_written;

use std::hint::black_box;
use std::time::Duration;

use clicks::{Click, DISORDER, GAP, SECOND, Visits, is_quick};
use contest::{ByHand, Contestant, Count, InBatches, Job, OneByOne, agree};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

/// Extends sessions whose keys are drawn at random, after each has been opened once.
struct Uniform {
    sessions: u64,
    opened: u64,
    random: u64,
    time: i64,
}

impl Uniform {
    fn new(sessions: usize) -> Self {
        Self { sessions: sessions as u64, opened: 0, random: 1, time: 1_543_449_600 * SECOND }
    }

    /// The number of the next session.
    #[inline]
    fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        if self.opened < self.sessions {
            self.opened += 1;
            return self.opened - 1;
        }
        ((self.random >> 32) * self.sessions) >> 32
    }
}

impl Iterator for Uniform {
    type Item = Click<u64, u64>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.number().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.time += 1; // so slowly that nothing closes
        let disorder = (self.random >> 20) as i64 & 0x7f_ffff;
        Some(Click { key, time: self.time - disorder, value: self.random >> 60 })
    }
}

/// A contestant on the way, with the stream that it takes its clicks from.
struct Running<C, S> {
    contestant: C,
    stream: S,
    taken: u64,
    count: Count,
}

impl<C: Contestant<u64, u64>, S: Iterator<Item = Click<u64, u64>>> Running<C, S> {
    fn start(stream: S, warm_up: usize) -> Self {
        let mut running = Self { contestant: C::new(Job::Gap), stream, taken: 0, count: Count::default() };
        running.take(warm_up);
        running
    }

    fn take(&mut self, clicks: usize) {
        let Self { contestant, stream, count, .. } = self;
        contestant.take(stream.by_ref().take(clicks), &mut |key, session| count.add(&key, &session));
        self.taken += clicks as u64;
    }

    /// Checks that no click was lost.
    fn finish(mut self) {
        let Self { contestant, count, .. } = &mut self;
        contestant.finish(&mut |key, session| count.add(&key, &session));
        assert_eq!(self.count.0, self.taken);
    }
}

/// The clicks in each timed portion, and the clicks before the first.
#[derive(Clone, Copy)]
struct Course {
    warm_up: usize,
    clicks: usize,
}

type Group<'c> = BenchmarkGroup<'c, WallTime>;

fn group<'c>(criterion: &'c mut Criterion, name: &str, clicks: usize) -> Group<'c> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(clicks as u64));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1));
    group
}

/// Opens the sessions only if the benchmark is among those chosen, and only once.
fn time<C, S>(group: &mut Group<'_>, name: &str, course: Course, stream: impl Fn() -> S)
where
    C: Contestant<u64, u64>,
    S: Iterator<Item = Click<u64, u64>>,
{
    let mut running = None;
    group.bench_function(name, |b| {
        let running = running.get_or_insert_with(|| Running::<C, S>::start(stream(), course.warm_up));
        b.iter(|| running.take(course.clicks));
    });
    running.into_iter().for_each(Running::finish);
}

fn time_all<S: Iterator<Item = Click<u64, u64>>>(group: &mut Group<'_>, course: Course, stream: impl Fn() -> S) {
    time::<OneByOne<u64, u64>, S>(group, "push", course, &stream);
    time::<InBatches<u64, u64>, S>(group, "batch", course, &stream);
    time::<ByHand<u64, u64>, S>(group, "by_hand", course, &stream);
}

/// The least memory of a session.
#[derive(Clone)]
#[repr(align(64))]
struct Line([u64; 8]);

/// Reads and writes one line of memory per event.
fn time_floor(group: &mut Group<'_>, course: Course, sessions: usize) {
    let mut lines = None;
    let mut uniform = Uniform { opened: sessions as u64, ..Uniform::new(sessions) };
    group.bench_function("floor", |b| {
        let lines = lines.get_or_insert_with(|| vec![Line([1; 8]); sessions]);
        b.iter(|| {
            for _ in 0..course.clicks {
                let line = &mut lines[uniform.number() as usize];
                line.0[0] += 1;
                line.0[1] = line.0[1].max(uniform.random);
            }
            black_box(&lines[0]);
        });
    });
}

fn sizes() -> Vec<(usize, &'static str)> {
    let mut all = vec![(1_000, "1k"), (10_000, "10k"), (100_000, "100k"), (1_000_000, "1m"), (10_000_000, "10m")];
    if is_quick() {
        all.truncate(2);
    }
    all
}

fn extending(criterion: &mut Criterion) {
    let clicks = if is_quick() { 20_000 } else { 500_000 };
    agree::<u64, u64, _>(Job::Gap, || Uniform::new(10_000).take(50_000));
    for (sessions, name) in sizes() {
        let course = Course { warm_up: sessions, clicks };
        let mut group = group(criterion, &format!("scale/gap/u64/{name}_open"), clicks);
        time_all(&mut group, course, || Uniform::new(sessions));
        time_floor(&mut group, course, sessions);
    }
}

fn visits_sizes() -> Vec<(usize, &'static str)> {
    let mut all = vec![(25_000, "25k"), (250_000, "250k"), (1_000_000, "1m"), (10_000_000, "10m")];
    if is_quick() {
        all = vec![(2_500, "2500")];
    }
    all
}

fn visits(criterion: &mut Criterion) {
    agree::<u64, u64, _>(Job::Gap, || Visits::new(1_000).take(100_000));
    for (sessions, name) in visits_sizes() {
        let stream = || Visits::new(sessions);
        // As many as there are from one sweep of the loop by hand to the next, so that each time has
        // its share of them.
        let course =
            Course { warm_up: stream().clicks_in(GAP + 300 * SECOND + DISORDER), clicks: stream().clicks_in(GAP / 8) };
        let mut group = group(criterion, &format!("scale/visits/u64/{name}_open"), course.clicks);
        time_all(&mut group, course, stream);
    }
}

criterion_group!(benches, extending, visits);
criterion_main!(benches);
