//! NEXMark's queries of sessions, on one core and in memory: Q11, how many bids a person makes in each
//! session with a gap of 10 s, and Q12, how many in each 10 s of processing time.
//!
//! `cargo bench --bench nexmark`. A million events per iteration; `STAGGER_BENCH_EVENTS` sets another
//! number. With `-- --test` each runs once.
//!
//! Events are those of the generator at <https://github.com/nexmark/nexmark> with its defaults: of 50
//! events one is a person, 3 are auctions and 46 are bids; three bids in four are by the hot bidder of
//! the latest hundred people, the rest by one of the last 1,000 people or of the 10 next. At 10,000
//! events a second, the generator's default, sessions close all the time. At 10 million, the rate of
//! the published run, nearly all close at the end. Times are whole milliseconds, in order, and the
//! watermark is 4 s behind, as in the published queries.
//!
//! The README there publishes for Flink 1.13 on 8 cores, with RocksDB and checkpoints, 100 million
//! events: 39.7 thousand events per second and core for Q11, 75.67 for Q12. There a source, a
//! serializer and a sink take part; here neither persons nor auctions nor the other fields of a bid are
//! made. As there, each of the 50 events counts.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod clicks;

use std::time::Duration;

use clicks::{keep_freed_memory, number_of_events};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use stagger::{Bucket, Config, Engine, Event, Gap, Stagger, Timestamp};

const TEN_SECONDS: Duration = Duration::from_secs(10);
const BEHIND: Duration = Duration::from_secs(4);
/// Bids in each call of the form that takes several.
const BATCH: usize = 256;

/// The proportions of the generator.
mod proportions {
    /// Events for each new person.
    pub(crate) const EVENTS_PER_PERSON: u64 = 50;
    pub(crate) const AUCTIONS_PER_PERSON: u64 = 3;
    /// One of this number of bids is not by a hot bidder.
    pub(crate) const HOT_RATIO: u32 = 4;
    /// One of this number of people is a hot bidder.
    pub(crate) const PEOPLE_PER_HOT_BIDDER: u64 = 100;
    pub(crate) const ACTIVE_PEOPLE: u64 = 1_000;
    /// People who bid shortly before they are there.
    pub(crate) const LEAD: u64 = 10;
}

/// An event as far as the queries look at it.
#[derive(Clone, Copy)]
enum Nexmark {
    PersonOrAuction,
    Bid { bidder: u64, time: Timestamp },
}

/// The time of event number `id` at a rate per second.
fn event(random: &mut SmallRng, id: u64, per_second: u64) -> Nexmark {
    use proportions::{ACTIVE_PEOPLE, AUCTIONS_PER_PERSON, EVENTS_PER_PERSON, HOT_RATIO, LEAD, PEOPLE_PER_HOT_BIDDER};
    if id % EVENTS_PER_PERSON < 1 + AUCTIONS_PER_PERSON {
        return Nexmark::PersonOrAuction;
    }
    let latest = id / EVENTS_PER_PERSON;
    let bidder = if random.random_range(0..HOT_RATIO) > 0 {
        latest / PEOPLE_PER_HOT_BIDDER * PEOPLE_PER_HOT_BIDDER + 1
    } else {
        let people = latest + 1;
        let active = people.min(ACTIVE_PEOPLE);
        people - active + random.random_range(0..active + LEAD)
    };
    Nexmark::Bid { bidder, time: Timestamp::from_millis((id * 1_000 / per_second) as i64) }
}

fn events(number: usize, per_second: u64) -> Vec<Nexmark> {
    let mut random = SmallRng::seed_from_u64(per_second);
    (0..number as u64).map(|id| event(&mut random, id, per_second)).collect()
}

fn bids(events: &[Nexmark]) -> impl Iterator<Item = Event<u64, ()>> {
    events.iter().filter_map(|event| match *event {
        Nexmark::PersonOrAuction => None,
        Nexmark::Bid { bidder, time } => Some(Event::new(bidder, time, ())),
    })
}

/// Q11: sessions with a gap, on event time.
fn user_sessions() -> Engine<u64, ()> {
    Config::new(Gap::new(TEN_SECONDS)).out_of_order(BEHIND).build().expect("a configuration that works")
}

/// Q12: tumbling windows on processing time, so that the time at which a bid is pushed is its only one.
fn processing_time_windows() -> Engine<u64, ()> {
    let tumbling = Stagger::on_event_time(Bucket::step(TEN_SECONDS));
    Config::new(tumbling).out_of_order(Duration::ZERO).build().expect("a configuration that works")
}

type Query = fn() -> Engine<u64, ()>;

/// The rows of a query, and how many bids are in them.
type Rows = (u64, u64);

fn one_by_one(mut engine: Engine<u64, ()>, events: &[Nexmark]) -> Rows {
    let mut rows = (0, 0);
    for bid in bids(events) {
        let pushed = engine.push(bid, &mut |session| rows = (rows.0 + 1, rows.1 + session.count));
        assert!(!pushed.is_returned());
    }
    engine.flush(&mut |session| rows = (rows.0 + 1, rows.1 + session.count));
    rows
}

fn in_batches(mut engine: Engine<u64, ()>, events: &[Nexmark]) -> Rows {
    let (mut rows, mut batch) = ((0, 0), Vec::with_capacity(BATCH));
    for events in events.chunks(BATCH) {
        batch.clear();
        batch.extend(bids(events));
        let returned = engine.push_batch(&batch, &mut |session| rows = (rows.0 + 1, rows.1 + session.count));
        assert!(returned.is_empty());
    }
    engine.flush(&mut |session| rows = (rows.0 + 1, rows.1 + session.count));
    rows
}

fn nexmark(criterion: &mut Criterion) {
    keep_freed_memory();
    let queries: [(&str, Query); 2] = [("q11", user_sessions), ("q12", processing_time_windows)];
    for (per_second, rate) in [(10_000, "10k_per_s"), (10_000_000, "10m_per_s")] {
        let events = events(number_of_events(), per_second);
        for (query, engine) in queries {
            let rows = one_by_one(engine(), &events);
            assert_eq!(rows.1, bids(&events).count() as u64, "every bid is in one row");
            assert_eq!(rows, in_batches(engine(), &events));
            let mut group = criterion.benchmark_group(format!("nexmark/{query}/{rate}"));
            group.throughput(Throughput::Elements(events.len() as u64));
            group.sample_size(10).sampling_mode(SamplingMode::Flat);
            group.bench_function("push", |b| b.iter(|| one_by_one(engine(), &events)));
            group.bench_function("batch", |b| b.iter(|| in_batches(engine(), &events)));
            group.finish();
        }
    }
}

criterion_group!(benches, nexmark);
criterion_main!(benches);
