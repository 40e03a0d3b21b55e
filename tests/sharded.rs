//! Shards on threads of their own: batches large enough for threads give the sessions of one
//! engine. (That shards do so for any stream and configuration, on one thread, is among the properties.)

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stagger::{
    Bucket, Config, ConfigError, Event, Gap, Queued, SessionId, SessionSummary, Sharded, Sliding, Stagger, Strategy,
    Timestamp, WhenFull,
};

type Events = Vec<Event<u64, u64>>;

/// A stream of a few thousand keys, out of order by up to a minute, with some far behind.
fn events(number: u64) -> Events {
    let mut random = 1_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let event = |n: u64| {
        let behind = if next(50) == 0 { 3_600 } else { 60 };
        // The last of each thousand is ahead of all: events after it, in another portion, must know.
        let ahead = if n % 1_000 == 999 { 120_000 } else { 0 };
        let time = Timestamp::from_millis(n as i64 * 50 + ahead - next(behind * 1_000) as i64);
        Event::new(next(3_000), time, n).arriving_at(Timestamp::from_millis(n as i64 * 50))
    };
    (0..number).map(event).collect()
}

type Configuration = fn() -> Config<u64, u64>;

fn configurations() -> Vec<(&'static str, Configuration)> {
    fn derived(strategy: impl Into<Strategy>) -> Config<u64, u64> {
        Config::new(strategy).out_of_order(Duration::from_secs(60))
    }
    const MINUTE: Duration = Duration::from_secs(60);
    vec![
        ("step", || derived(Stagger::on_event_time(Bucket::step(MINUTE)))),
        ("step with lateness", || derived(Stagger::on_event_time(Bucket::step(MINUTE))).allowed_lateness(60 * MINUTE)),
        ("gap", || derived(Gap::new(MINUTE))),
        ("gap with lateness", || derived(Gap::new(MINUTE)).allowed_lateness(30 * MINUTE)),
        ("gap with maximum", || derived(Gap::new(5 * MINUTE).max_duration(20 * MINUTE))),
        ("sliding", || derived(Sliding::new(5 * MINUTE, MINUTE))),
        ("stagger on arrival", || Config::new(Stagger::on_arrival(Bucket::step(MINUTE), MINUTE))),
        ("a bound on the future", || derived(Gap::new(MINUTE)).max_future(Duration::from_secs(1))),
    ]
}

#[test]
fn threads_do_what_one_engine_does() {
    let events = events(30_000);
    for (name, config) in configurations() {
        let mut engine = config().build().expect(name);
        let (mut expected, mut expected_back) = (Vec::new(), Vec::new());
        for (i, event) in events.iter().enumerate() {
            let pushed = engine.push(*event, &mut |summary| expected.push(summary));
            if pushed.is_returned() {
                expected_back.push((i, pushed));
            }
        }
        engine.flush(&mut |summary| expected.push(summary));
        for shards in [1, 2, 5] {
            let emitted: Vec<Emitted> = (0..shards).map(|_| Emitted::default()).collect();
            let mut sharded = Sharded::new(outputs(&emitted), config).expect(name);
            let mut back = Vec::new();
            for (n, batch) in events.chunks(10_000).enumerate() {
                back.extend(sharded.push_batch(batch).into_iter().map(|(i, pushed)| (n * 10_000 + i, pushed)));
            }
            assert_eq!(sharded.now(), engine.now(), "{name}");
            sharded.flush();
            for (shard, emitted) in emitted.iter().enumerate() {
                let own = expected.iter().filter(|summary| sharded.shard_of(summary.key) == shard);
                assert!(emitted.lock().expect("no panic").iter().eq(own), "{name}, shard {shard} of {shards}");
            }
            assert_eq!(back, expected_back, "{name}, {shards} shards");
            assert_eq!(sharded.counters(), engine.counters(), "{name}, {shards} shards");
        }
    }
}

#[test]
fn threads_tag_as_one_engine_does() {
    let all = events(11_000);
    let (batch, rest) = all.split_at(10_000);
    for (name, config) in configurations() {
        let mut engine = config().build().expect(name);
        let tags = all.iter().map(|event| engine.push_tagged(*event, &mut |_| {}).id());
        let expected: Vec<Option<SessionId>> = tags.collect();
        assert!(expected.iter().any(Option::is_some), "{name}");
        for shards in [1, 3] {
            let emitted: Vec<Emitted> = (0..shards).map(|_| Emitted::default()).collect();
            let mut sharded = Sharded::new(outputs(&emitted), config).expect(name);
            let tags = Mutex::new(Vec::new());
            sharded.push_batch_tagged(batch, |i, tagged| {
                tags.lock().expect("no panic").push((i, tagged.id()));
            });
            let mut tags = tags.into_inner().expect("no panic");
            tags.sort_unstable_by_key(|(i, _)| *i);
            assert!(tags.iter().map(|(i, _)| *i).eq(0..batch.len()), "each event once");
            let tags = tags.into_iter().map(|(_, tag)| tag);
            let tags: Vec<_> = tags.chain(rest.iter().map(|event| sharded.push_tagged(*event).id())).collect();
            assert!(tags == expected, "{name}, {shards} shards");
            assert_eq!(sharded.counters(), engine.counters(), "{name}, {shards} shards");
        }
    }
}

#[test]
fn a_queue_tags_as_its_engine_does() {
    let all = events(2_000);
    let (batch, rest) = all.split_at(1_000);
    for (name, config) in configurations() {
        let (mut engine, mut queued) = (config().build().expect(name), Queued::new(config().build().expect(name)));
        let mut closed = Vec::new();
        let tags = all.iter().map(|event| engine.push_tagged(*event, &mut |summary| closed.push(summary)).id());
        let expected: Vec<Option<SessionId>> = tags.collect();
        let mut tags = Vec::new();
        queued.push_batch_tagged(batch, |i, tagged| {
            assert_eq!(i, tags.len());
            tags.push(tagged.id());
        });
        tags.extend(rest.iter().map(|event| queued.push_tagged(*event).id()));
        assert!(tags == expected, "{name}");
        assert!(queued.drain().eq(closed), "{name}");
    }
}

/// The output of a shard.
type Emitted = Arc<Mutex<Vec<SessionSummary<u64, u64>>>>;

fn outputs(emitted: &[Emitted]) -> Vec<impl FnMut(SessionSummary<u64, u64>) + use<>> {
    let output = |emitted: &Emitted| {
        let emitted = Arc::clone(emitted);
        move |summary| emitted.lock().expect("no panic").push(summary)
    };
    emitted.iter().map(output).collect()
}

#[test]
fn every_shard_takes_its_part() {
    let gap = || Config::<u64, u64>::new(Gap::new(Duration::from_secs(60)));
    let mut sharded = Sharded::new([|_| {}; 4], gap).expect("it works");
    let _ = sharded.push_batch(&events(10_000));
    assert_eq!(sharded.shards(), 4);
    let pieces = sharded.snapshot().split(4, |key| sharded.shard_of(key));
    assert!(pieces.iter().all(|piece| piece.open_sessions() > 0));
}

#[test]
fn what_looks_at_all_keys_is_refused() {
    let gap = || Config::<u64, u64>::new(Gap::new(Duration::from_secs(60)));
    let refused = |config: &dyn Fn() -> Config<u64, u64>| {
        Sharded::new([|_| {}; 2], config).map(|_| ()).expect_err("refused").to_string()
    };
    assert_eq!(
        refused(&|| gap().max_open_sessions(9, WhenFull::Refuse)),
        "`max_open_sessions` has no meaning for shards: each shard knows its own keys only, so leave it out or use one `Engine`"
    );
    assert!(refused(&|| gap().close_at_most(9)).starts_with("`close_at_most`"));
    let none: [fn(SessionSummary<u64, u64>); 0] = [];
    assert_eq!(Sharded::new(none, gap).map(|_| ()), Err(ConfigError::NoShards));
}
