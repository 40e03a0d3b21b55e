//! The price of every strategy and option: the same million clicks under each.
//!
//! `cargo bench --bench options`, or with a part of a name: `cargo bench --bench options -- price/gap`.
//! `STAGGER_BENCH_EVENTS` sets another number of clicks. With `-- --test` each runs once.
//!
//! `price/…` is per click, with everything that closing its sessions costs; `snapshot/…` is per open
//! session. A snapshot that is not taken costs nothing: no event does anything for it.

#![allow(clippy::incompatible_msrv)] // only the library promises the oldest compiler

#[allow(dead_code, unreachable_pub, reason = "as in a crate of its own, which all benches share")]
mod clicks;

use std::cell::LazyCell;
use std::hint::black_box;
use std::time::Duration;

use clicks::{Click, Clicks, Visits, is_quick, number_of_events};
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, Bencher, BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use stagger::{
    Aggregate, Bucket, Config, Engine, Event, EventRef, FirstLast, Gap, JoinOnly, Sliding, Snapshot, Stagger, Strategy,
    Timestamp, Unit, WhenFull,
    aggregate::{Count, List, Max, Min, Sum},
    calendar::ChronoZone,
};

type Clicked = Event<u64, u64>;
type Setup<A = ()> = Config<u64, u64, A>;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// How far the clicks are out of order.
const DISORDER: Duration = Duration::from_secs(10);

/// The strategy of the jobs by AWS, and that of visits.
fn step() -> Stagger {
    Stagger::on_event_time(Bucket::step(30 * SECOND))
}

fn half_an_hour() -> Gap {
    Gap::new(30 * MINUTE)
}

fn setup(strategy: impl Into<Strategy>) -> Setup {
    Setup::new(strategy).out_of_order(DISORDER)
}

/// How the clicks get into the engine.
type Drive<A> = fn(&mut Engine<u64, u64, A>, &[Clicked]) -> u64;

fn one_by_one<A: Aggregate<u64, u64>>(engine: &mut Engine<u64, u64, A>, clicks: &[Clicked]) -> u64 {
    clicks.iter().filter(|click| engine.push(**click, &mut |session| drop(black_box(session))).is_returned()).count()
        as u64
}

/// Each click leads to its session.
fn tagged<A: Aggregate<u64, u64>>(engine: &mut Engine<u64, u64, A>, clicks: &[Clicked]) -> u64 {
    let mut returned = 0;
    for click in clicks {
        let tagged = engine.push_tagged(*click, &mut |session| drop(black_box(session)));
        match tagged.session() {
            Some(session) => _ = black_box(session.count()),
            None => returned += u64::from(tagged.pushed().is_returned()),
        }
    }
    returned
}

/// The same, and computes the id of each.
fn tagged_with_ids<A: Aggregate<u64, u64>>(engine: &mut Engine<u64, u64, A>, clicks: &[Clicked]) -> u64 {
    let mut returned = 0;
    for click in clicks {
        let tagged = engine.push_tagged(*click, &mut |session| drop(black_box(session)));
        returned += u64::from(black_box(tagged.id()).is_none());
    }
    returned
}

/// The caller knows the watermark, and tells it about once a second.
fn with_watermark<A: Aggregate<u64, u64>>(engine: &mut Engine<u64, u64, A>, clicks: &[Clicked]) -> u64 {
    let (mut latest, mut returned) = (Timestamp::MIN, 0);
    for clicks in clicks.chunks(100) {
        returned += one_by_one(engine, clicks);
        latest = clicks.iter().map(|click| click.event_time).fold(latest, Timestamp::max);
        let watermark = Timestamp::from_micros(latest.as_micros() - DISORDER.as_micros() as i64);
        engine.advance_to(watermark, &mut |session| drop(black_box(session)));
    }
    returned
}

/// The price list, and the clicks that everything is priced by.
struct Prices<'c, 'g> {
    group: BenchmarkGroup<'g, WallTime>,
    clicks: &'c [Clicked],
}

impl Prices<'_, '_> {
    fn add<A: Aggregate<u64, u64>>(&mut self, name: &str, setup: impl Fn() -> Setup<A>) {
        self.driven(name, one_by_one, setup);
    }

    fn driven<A: Aggregate<u64, u64>>(&mut self, name: &str, drive: Drive<A>, setup: impl Fn() -> Setup<A>) {
        let clicks = self.clicks;
        self.group.bench_function(name, |b| {
            b.iter(|| {
                let mut engine = setup().build().expect("a configuration that works");
                let returned = drive(&mut engine, clicks);
                engine.flush(&mut |session| drop(black_box(session)));
                check(&engine, returned);
            });
        });
    }
}

/// Every click is accounted for.
fn check<A: Aggregate<u64, u64>>(engine: &Engine<u64, u64, A>, returned: u64) {
    let counters = engine.counters();
    assert!(counters.is_conserved());
    assert!((returned..=returned + counters.orphaned).contains(&(counters.late + counters.refused())));
    assert_eq!(counters.open_events(), 0);
}

fn price(criterion: &mut Criterion) {
    let clicks = Clicks::new(1_000_000, number_of_events()).events();
    let mut in_order = clicks.clone();
    in_order.sort_by_key(|click| click.event_time);
    let mut group = criterion.benchmark_group("price");
    group.throughput(Throughput::Elements(clicks.len() as u64));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(SECOND).measurement_time(3 * SECOND);
    let mut prices = Prices { group, clicks: &clicks };
    strategies(&mut prices);
    updates(&mut prices);
    cuts(&mut prices);
    watermarks(&mut prices);
    lateness(&mut prices);
    bounds(&mut prices);
    aggregates(&mut prices);
    prices.clicks = &in_order;
    prices.add("step/in_order", || setup(step()));
    prices.add("gap/in_order", || setup(half_an_hour()));
}

fn strategies(prices: &mut Prices<'_, '_>) {
    let berlin = || Bucket::floor(Unit::Day).zone(ChronoZone(chrono_tz::Europe::Berlin));
    prices.add("step", || setup(step()));
    prices.add("floor/minute", || setup(Stagger::on_event_time(Bucket::floor(Unit::Minute))));
    prices.add("floor/day_in_berlin", || setup(Stagger::on_event_time(berlin())));
    prices.add("gap", || setup(half_an_hour()));
    prices.add("gap/inclusive", || setup(half_an_hour().inclusive()));
    prices.add("gap/per_event", || {
        setup(half_an_hour()).gap_per_event("long for some", |click| (click.value == 5).then_some(HOUR))
    });
    prices.driven("step/tagged", tagged, || setup(step()));
    prices.driven("gap/tagged", tagged, || setup(half_an_hour()));
    prices.driven("gap/tagged/with_ids", tagged_with_ids, || setup(half_an_hour()));
    prices.add("sliding/tumbling", || setup(Sliding::tumbling(30 * SECOND)));
    prices.add("sliding/10_windows", || setup(Sliding::new(5 * MINUTE, 30 * SECOND)));
    prices.add("arrival/step", || Setup::new(Stagger::on_arrival(Bucket::step(30 * SECOND), 30 * SECOND)));
    prices.add("arrival/per_key", || Setup::new(Stagger::per_key(30 * SECOND)));
}

/// No click is a copy of another.
fn once(click: &EventRef<'_, u64, u64>) -> u128 {
    u128::from(click.event_time.as_micros().unsigned_abs()) << 64 | u128::from(click.value)
}

/// Early results.
fn updates(prices: &mut Prices<'_, '_>) {
    prices.add("step/update_every_10s", || setup(step()).update_every(10 * SECOND));
    prices.add("gap/update_every_minute", || setup(half_an_hour()).update_every(MINUTE));
    prices.add("gap/update_every_10_events", || setup(half_an_hour()).update_every_events(10));
    prices.add("gap/update_every_event", || setup(half_an_hour()).update_every_events(1));
    prices.add("step/unique", || setup(step()).unique_by("time and value", once));
}

/// With these, sessions are built in order of time, and clicks wait for the watermark.
fn cuts(prices: &mut Prices<'_, '_>) {
    prices.add("gap/max_duration", || setup(half_an_hour().max_duration(2 * HOUR)));
    prices.add("gap/cut_between_days", || setup(half_an_hour().cut_between(Bucket::floor(Unit::Day))));
    prices.add("gap/cut_rule", || {
        setup(half_an_hour()).cut("after a checkout", |before, after| before.value == 1 && after.value != 1)
    });
    prices.add("gap/max_events", || setup(half_an_hour().max_events(20)));
    prices.add("gap/cut_with", || {
        setup(half_an_hour()).cut_with("another than the first", |visit, _, next| {
            next.value == 1 && *visit.first_event() != next.value && visit.count() > 5
        })
    });
    prices.add("gap/end_at", || setup(half_an_hour()).end_at("a checkout", |click| click.value == 1));
    prices.add("gap/unique", || setup(half_an_hour()).unique_by("time and value", once));
    prices.add("gap/join_only", || {
        setup(half_an_hour()).join_only("pings", |click| match click.value {
            1 => JoinOnly::DoesNotProlong,
            _ => JoinOnly::No,
        })
    });
    prices.add("gap/max_duration/last_by_arrival", || {
        setup(half_an_hour().max_duration(2 * HOUR)).first_last_by(FirstLast::Arrival)
    });
}

fn watermarks(prices: &mut Prices<'_, '_>) {
    prices.driven("step/callers_watermark", with_watermark, || Setup::new(step()));
    prices.driven("gap/callers_watermark", with_watermark, || Setup::new(half_an_hour()));
    prices.add("gap/max_future", || setup(half_an_hour()).max_future(HOUR));
    prices.add("step/last_by_arrival", || setup(step()).first_last_by(FirstLast::Arrival));
    prices.add("gap/last_by_arrival", || setup(half_an_hour()).first_last_by(FirstLast::Arrival));
}

/// The watermark of a step one second behind comes too early for many of the clicks.
fn lateness(prices: &mut Prices<'_, '_>) {
    prices.add("step/lateness/nothing_late", || setup(step()).allowed_lateness(MINUTE));
    prices.add("step/lateness/with_revisions", || Setup::new(step()).out_of_order(SECOND).allowed_lateness(MINUTE));
    prices.add("gap/lateness/nothing_late", || setup(half_an_hour()).allowed_lateness(MINUTE));
    prices.add("gap_20s/no_lateness", || Setup::new(Gap::new(20 * SECOND)).out_of_order(SECOND));
    prices.add("gap_20s/lateness/with_revisions", || {
        Setup::new(Gap::new(20 * SECOND)).out_of_order(SECOND).allowed_lateness(MINUTE)
    });
}

/// About 25,000 sessions would be open.
fn bounds(prices: &mut Prices<'_, '_>) {
    prices.add("gap/bound/never_reached", || setup(half_an_hour()).max_open_sessions(1_000_000, WhenFull::CloseOldest));
    prices.add("gap/bound/close_oldest", || setup(half_an_hour()).max_open_sessions(10_000, WhenFull::CloseOldest));
    prices.add("gap/bound/refuse", || setup(half_an_hour()).max_open_sessions(10_000, WhenFull::Refuse));
}

fn aggregates(prices: &mut Prices<'_, '_>) {
    fn value(click: &EventRef<'_, u64, u64>) -> u64 {
        click.value
    }
    prices.add("gap/aggregate/count", || setup(half_an_hour()).aggregate(Count));
    prices.add("gap/aggregate/sum", || setup(half_an_hour()).aggregate(Sum::of(value)));
    prices.add("gap/aggregate/min_and_max", || setup(half_an_hour()).aggregate((Min::of(value), Max::of(value))));
    prices.add("gap/aggregate/list", || setup(half_an_hour()).aggregate(List::of(value)));
}

fn snapshot(criterion: &mut Criterion) {
    let (sessions, name) = if is_quick() { (10_000, "10k") } else { (1_000_000, "1m") };
    let engine = LazyCell::new(|| with_open_sessions(sessions));
    let snapshot = LazyCell::new(|| engine.snapshot());
    let json = LazyCell::new(|| serde_json::to_vec(&*snapshot).expect("a snapshot has a form in JSON"));
    let binary = LazyCell::new(|| postcard::to_stdvec(&*snapshot).expect("a snapshot has a form in postcard"));
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Elements(sessions as u64));
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let mut time = |what: &str, run: &mut dyn FnMut(&mut Bencher<'_>)| {
        group.bench_function(format!("{what}/{name}_open"), run);
    };
    time("save", &mut |b| b.iter_with_large_drop(|| engine.snapshot()));
    time("restore", &mut |b| b.iter_batched(|| snapshot.clone(), restore, BatchSize::PerIteration));
    time("to_json", &mut |b| b.iter_with_large_drop(|| serde_json::to_vec(&*snapshot)));
    time("from_json", &mut |b| b.iter_with_large_drop(|| serde_json::from_slice::<Saved>(&json).expect("as it was")));
    time("to_postcard", &mut |b| b.iter_with_large_drop(|| postcard::to_stdvec(&*snapshot)));
    time("from_postcard", &mut |b| {
        b.iter_with_large_drop(|| postcard::from_bytes::<Saved>(&binary).expect("as it was"));
    });
    let bytes = LazyCell::new(|| snapshot.to_bytes().expect("a snapshot has a form as bytes"));
    time("to_bytes", &mut |b| b.iter_with_large_drop(|| snapshot.to_bytes()));
    time("from_bytes", &mut |b| b.iter_with_large_drop(|| Saved::from_bytes(&bytes).expect("as it was")));
    group.finish();
    println!("snapshot of {} open sessions: {} bytes of its own", snapshot.open_sessions(), bytes.len());
    println!("snapshot of {} open sessions: {} bytes of JSON", snapshot.open_sessions(), json.len());
    println!("snapshot of {} open sessions: {} bytes of postcard", snapshot.open_sessions(), binary.len());
}

type Saved = Snapshot<u64, u64>;

fn restore(snapshot: Saved) -> Engine<u64, u64> {
    setup(half_an_hour()).restore(snapshot).expect("the same configuration")
}

fn with_open_sessions(sessions: usize) -> Engine<u64, u64> {
    let mut engine = setup(half_an_hour()).build().expect("a configuration that works");
    let visits = Visits::new(sessions);
    let clicks = visits.clicks_in(clicks::GAP + 300 * clicks::SECOND);
    for Click { key, time, value } in visits.take(clicks) {
        let _ = engine.push(Event::new(key, Timestamp::from_micros(time), value), &mut |_| {});
    }
    engine
}

criterion_group!(benches, price, snapshot);
criterion_main!(benches);
