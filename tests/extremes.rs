//! The extremes: both ends of time, difficult days, nothing at all, and very many of one kind.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use chrono::DateTime;
use chrono_tz::{America, Europe, Tz};
use stagger::{
    Bucket, CloseReason, Config, Event, Gap, Key, SessionSummary, Sessionizer, Sliding, Stagger, Strategy, Timestamp,
    Unit, WhenFull, Window, calendar::ChronoZone,
};

type Summary = SessionSummary<u64, ()>;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: u64 = 3600;

/// One of each, with windows of about `length`, and to how many sessions one event belongs.
fn strategies(length: Duration) -> Vec<(Strategy, u64)> {
    let step = Bucket::step(length);
    vec![
        (Stagger::on_event_time(step.clone()).into(), 1),
        (Stagger::on_event_time(Bucket::floor(Unit::Year)).into(), 1),
        (Stagger::on_arrival(step, length).into(), 1),
        (Stagger::per_key(length).into(), 1),
        (Gap::new(length).into(), 1),
        (Gap::new(length).inclusive().into(), 1),
        (Gap::new(length).max_duration(length / 2).into(), 1),
        (Gap::new(length).cut_between(Bucket::floor(Unit::Day)).into(), 1),
        (Sliding::new(length, length / 2).into(), 2),
        (Sliding::tumbling(length).into(), 1),
    ]
}

fn build(strategy: impl Into<Strategy>) -> impl Sessionizer<Key = u64, Value = (), Output = ()> {
    Config::<u64, ()>::new(strategy).build().expect("a configuration that works")
}

/// The sessions of events at `times`, all of one key, pushed in that order and then flushed.
fn sessions(strategy: impl Into<Strategy>, times: impl IntoIterator<Item = Timestamp>) -> Vec<Summary> {
    let mut sessions = build(strategy);
    let mut all = Vec::new();
    for time in times {
        let pushed = sessions.push(Event::new(1, time, ()), &mut |s| all.push(s));
        assert!(pushed.returned().is_none(), "{time}");
    }
    sessions.flush(&mut |s| all.push(s));
    assert_eq!(sessions.open_sessions(), 0);
    assert_eq!(sessions.next_deadline(), None);
    all
}

fn at(rfc_3339: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(rfc_3339).expect("a time").into()
}

/// The bucket that holds a time, in hours since 1970.
fn hours(bucket: &Bucket, time: &str) -> (i64, i64) {
    let window = bucket.window_of(at(time)).expect("a bucket that works");
    (window.start.as_micros() / 3_600_000_000, window.end.as_micros() / 3_600_000_000)
}

fn assert_bucket(bucket: &Bucket, times: &[&str], start: &str, end: &str) {
    for time in times {
        let window = bucket.window_of(at(time)).expect("a bucket that works");
        assert_eq!(window, Window::new(at(start), at(end)), "{bucket} of {time}");
    }
    let all = sessions(Stagger::on_event_time(bucket.clone()), times.iter().map(|time| at(time)));
    assert_eq!(all.len(), 1, "{bucket}");
    assert_eq!(all[0].count, times.len() as u64);
}

// --- Ends of time ---

#[test]
fn both_ends_of_time_are_instants_like_others() {
    for length in [Duration::from_micros(4), SECOND, Duration::from_micros(i64::MAX as u64 - 1)] {
        for (strategy, windows) in strategies(length) {
            for end in [Timestamp::MIN, Timestamp::MAX] {
                let all = sessions(strategy.clone(), [end; 3]);
                assert_eq!(all.iter().map(|s| s.count).collect::<Vec<_>>(), vec![3; windows as usize], "{strategy:?}");
                assert!(all.iter().all(|s| (s.first_time, s.last_time) == (end, end)), "{strategy:?}: {all:?}");
            }
        }
    }
}

#[test]
fn the_two_ends_of_time_are_far_apart() {
    for (strategy, windows) in strategies(SECOND) {
        let all = sessions(strategy.clone(), [Timestamp::MIN, Timestamp::MAX]);
        assert_eq!(all.len() as u64, 2 * windows, "{strategy:?}");
    }
}

#[test]
fn with_a_slide_of_one_microsecond_no_window_begins_before_time_does() {
    let slide = Duration::from_micros(1);
    let all = sessions(Sliding::new(3 * slide, slide), [Timestamp::MIN, Timestamp::MAX]);
    let ends: Vec<_> = all.iter().map(|session| (session.first_time, session.window.end)).collect();
    let after_min = Timestamp::from_micros(i64::MIN + 3);
    assert_eq!(
        ends,
        [(Timestamp::MIN, after_min)].into_iter().chain([(Timestamp::MAX, Timestamp::MAX); 3]).collect::<Vec<_>>()
    );
}

#[test]
fn a_session_can_last_for_all_of_time() {
    let longest = Gap::new(Duration::from_micros(i64::MAX as u64 - 1));
    let all =
        sessions(longest.clone(), [i64::MIN, i64::MIN / 2, 0, i64::MAX / 2, i64::MAX].map(Timestamp::from_micros));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].window, Window::new(Timestamp::MIN, Timestamp::MAX));
    assert_eq!(all[0].duration(), Duration::from_micros(u64::MAX));
    let all = sessions(longest, [Timestamp::MIN, Timestamp::EPOCH]);
    assert_eq!(all.len(), 2, "to 1970 it is two microseconds more than the longest gap");
}

#[test]
fn the_end_of_the_stream_closes_everything() {
    for length in [SECOND, Duration::from_micros(i64::MAX as u64 - 1)] {
        for (strategy, windows) in strategies(length) {
            let mut sessions = build(strategy.clone());
            let mut closed = Vec::new();
            for time in [Timestamp::MAX, Timestamp::EPOCH] {
                let pushed = sessions.push(Event::new(1, time, ()).arriving_at(Timestamp::EPOCH), &mut |_| {});
                assert!(pushed.returned().is_none());
            }
            sessions.advance_to(Timestamp::MAX, &mut |s| closed.push(s));
            assert_eq!(closed.iter().map(|s| s.count).sum::<u64>(), 2 * windows, "{strategy:?}");
            assert!(closed.iter().all(|s| s.reason != CloseReason::Flush), "{closed:?}");
            assert_eq!((sessions.open_sessions(), sessions.next_deadline()), (0, None));
        }
    }
}

#[test]
fn an_event_at_the_end_of_time_does_not_end_the_stream() {
    for (strategy, windows) in strategies(SECOND).into_iter().filter(|(s, _)| !format!("{s:?}").contains("Arrival")) {
        let config = Config::<u64, ()>::new(strategy.clone()).out_of_order(Duration::ZERO);
        let mut sessions = config.build().expect("a configuration that works");
        let mut all = Vec::new();
        for micros in [i64::MAX - 1, i64::MAX, i64::MAX] {
            let pushed = sessions.push(Event::new(1, Timestamp::from_micros(micros), ()), &mut |s| all.push(s));
            assert!(pushed.returned().is_none(), "{strategy:?}");
        }
        sessions.flush(&mut |s| all.push(s));
        assert_eq!(all.iter().map(|s| s.count).collect::<Vec<_>>(), vec![3; windows as usize], "{strategy:?}");
    }
}

// --- Difficult days ---

#[test]
fn before_1970_buckets_round_down() {
    let steps = Bucket::step(30 * SECOND);
    assert_bucket(
        &steps,
        &["1969-12-31T23:59:30Z", "1969-12-31T23:59:59.999999Z"],
        "1969-12-31T23:59:30Z",
        "1970-01-01T00:00:00Z",
    );
    let weeks = Bucket::floor(Unit::Week);
    assert_bucket(
        &weeks,
        &["1900-01-01T00:00:00Z", "1900-01-07T23:59:59.999999Z"],
        "1900-01-01T00:00:00Z",
        "1900-01-08T00:00:00Z",
    );
    let quarters = Bucket::floor(Unit::Quarter);
    assert_bucket(
        &quarters,
        &["1752-09-03T00:00:00Z", "1752-07-01T00:00:00Z"],
        "1752-07-01T00:00:00Z",
        "1752-10-01T00:00:00Z",
    );
}

#[test]
fn a_gap_session_runs_across_1970() {
    let all = sessions(Gap::new(2 * SECOND), [-1_000_001, 0, 1_999_999, -3_000_001].map(Timestamp::from_micros));
    assert_eq!(all.iter().map(|s| s.count).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(all[1].first_time, Timestamp::from_micros(-1_000_001));
}

#[test]
fn the_year_9999_ends_like_others() {
    let last = "9999-12-31T23:59:59.999999Z";
    let after = Timestamp::from_micros(at(last).as_micros() + 1);
    for unit in Unit::ALL.into_iter().filter(|unit| *unit != Unit::Week) {
        let window = Bucket::floor(unit).window_of(at(last)).expect("a bucket");
        assert_eq!(window.end, after, "{unit:?}");
        assert_eq!(Bucket::floor(unit).window_of(after).expect("a bucket").start, after, "{unit:?}");
    }
    assert_eq!(sessions(Stagger::on_event_time(Bucket::floor(Unit::Year)), [at(last), after]).len(), 2);
    assert_eq!(sessions(Gap::new(SECOND), [at(last), after]).len(), 1);
}

#[test]
fn leap_days_belong_to_their_month() {
    let month = Bucket::floor(Unit::Month);
    for (year, days) in [("2000", 29), ("2024", 29), ("1900", 28), ("2100", 28), ("2023", 28), ("0004", 29)] {
        let (start, end) = hours(&month, &format!("{year}-02-28T12:00:00Z"));
        assert_eq!(end - start, days * 24, "February {year}");
    }
    assert_bucket(
        &Bucket::floor(Unit::Day),
        &["2024-02-29T00:00:00Z", "2024-02-29T23:59:59.999999Z"],
        "2024-02-29T00:00:00Z",
        "2024-03-01T00:00:00Z",
    );
    let (start, end) = hours(&Bucket::floor(Unit::Year), "2024-02-29T00:00:00Z");
    assert_eq!(end - start, 366 * 24);
}

fn days(zone: Tz) -> Bucket {
    Bucket::floor(Unit::Day).zone(ChronoZone(zone))
}

#[test]
fn days_have_23_24_or_25_hours() {
    let berlin = days(Europe::Berlin);
    assert_bucket(
        &berlin,
        &["2024-03-30T23:00:00Z", "2024-03-31T00:59:59Z", "2024-03-31T01:00:00Z", "2024-03-31T21:59:59.999999Z"],
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
    );
    for (noon, length) in [
        ("2024-03-30T12:00:00Z", 24),
        ("2024-03-31T12:00:00Z", 23),
        ("2024-10-26T12:00:00Z", 24),
        ("2024-10-27T12:00:00Z", 25),
    ] {
        let (start, end) = hours(&berlin, noon);
        assert_eq!(end - start, length, "{noon}");
    }
}

#[test]
fn a_day_without_midnight_begins_at_one() {
    assert_bucket(
        &days(America::Sao_Paulo),
        &["2018-11-04T03:00:00Z", "2018-11-05T01:59:59Z"],
        "2018-11-04T01:00:00-02:00",
        "2018-11-05T00:00:00-02:00",
    );
}

#[test]
fn an_hour_lived_twice_is_two_hours() {
    let by_hour = Bucket::floor(Unit::Hour).zone(ChronoZone(Europe::Berlin));
    // From 02:00 to 03:00 in summer time, and again in winter time.
    let all =
        sessions(Stagger::on_event_time(by_hour.clone()), [at("2024-10-27T00:30:00Z"), at("2024-10-27T01:30:00Z")]);
    assert_eq!(all.len(), 2);
    assert_eq!(hours(&by_hour, "2024-10-27T00:30:00Z").1, hours(&by_hour, "2024-10-27T01:30:00Z").0);
}

#[test]
fn a_session_is_cut_at_midnight_in_its_zone() {
    let visits = Gap::new(HOUR as u32 * SECOND).cut_between(days(Europe::Berlin));
    let all = sessions(visits, ["2024-03-31T21:40:00Z", "2024-03-31T22:20:00Z"].map(at));
    assert_eq!(all.iter().map(|s| s.count).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(all[0].window.end, at("2024-03-31T22:20:00Z"), "it ends where the next begins");
}

// --- Nothing, one, and many ---

#[test]
fn nothing_in_nothing_out() {
    for (strategy, _) in strategies(SECOND) {
        let mut sessions = build(strategy);
        assert_eq!(sessions.next_deadline(), None);
        assert_eq!(sessions.now(), Timestamp::MIN);
        sessions.advance_to(Timestamp::EPOCH, &mut |s| panic!("{s:?}"));
        sessions.flush(&mut |s| panic!("{s:?}"));
        sessions.advance_to(Timestamp::MAX, &mut |s| panic!("{s:?}"));
        sessions.flush(&mut |s| panic!("{s:?}"));
        assert_eq!(sessions.counters(), Default::default());
    }
}

#[test]
fn one_event_is_a_session_of_no_duration() {
    for (strategy, windows) in strategies(SECOND) {
        let all = sessions(strategy.clone(), [at("2024-02-29T12:34:56.789Z")]);
        assert_eq!(all.len() as u64, windows, "{strategy:?}");
        for session in all {
            assert_eq!((session.count, session.duration()), (1, Duration::ZERO), "{strategy:?}");
            assert_eq!(session.reason, CloseReason::Flush);
        }
    }
}

#[test]
fn events_at_one_time_are_one_session_in_order_of_arrival() {
    for (strategy, windows) in strategies(SECOND) {
        let mut sessions = Config::<u64, u32>::new(strategy.clone()).build().expect("a configuration that works");
        let mut all = Vec::new();
        for id in 0..100 {
            let pushed = sessions.push(Event::new(1, Timestamp::EPOCH, id), &mut |s| all.push(s));
            assert!(pushed.returned().is_none());
        }
        sessions.flush(&mut |s| all.push(s));
        assert_eq!(all.len() as u64, windows, "{strategy:?}");
        for session in all {
            assert_eq!((session.count, session.first_event, session.last_event), (100, 0, 99), "{strategy:?}");
        }
    }
}

const MANY: u64 = 1_000_000;

/// The time of one event of many: a thousand in each second.
fn nth(event: u64) -> Timestamp {
    Timestamp::from_millis(event as i64)
}

#[test]
fn a_million_events_of_one_key() {
    let length = 100 * SECOND;
    for (strategy, expected) in [
        (Strategy::from(Stagger::on_event_time(Bucket::step(length))), 10),
        (Stagger::per_key(length).into(), 10),
        (Gap::new(length).into(), 1),
        (Gap::new(SECOND).max_duration(length).into(), 10),
        (Sliding::tumbling(length).into(), 10),
    ] {
        let mut sessions = build(strategy.clone());
        let (mut count, mut events) = (0, 0);
        let mut out = |s: Summary| (count, events) = (count + 1, events + s.count);
        for event in 0..MANY {
            if event % 1000 == 0 {
                sessions.advance_to(nth(event), &mut out);
            }
            assert!(sessions.push(Event::new(7, nth(event), ()), &mut out).returned().is_none());
        }
        assert!(sessions.open_sessions() <= 2, "{strategy:?}");
        sessions.advance_to(Timestamp::MAX, &mut out);
        assert_eq!((count, events), (expected, MANY), "{strategy:?}");
        assert_eq!(sessions.open_sessions(), 0);
    }
}

#[test]
fn a_million_keys_with_one_event() {
    for strategy in [Strategy::from(Gap::new(SECOND)), Stagger::on_event_time(Bucket::step(SECOND)).into()] {
        let mut sessions = build(strategy.clone());
        // Keys in an order that has nothing to do with time.
        for event in 0..MANY {
            let key = event.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            assert!(sessions.push(Event::new(key, nth(event), ()), &mut |s| panic!("{s:?}")).returned().is_none());
        }
        assert_eq!(sessions.open_sessions() as u64, MANY);
        let mut next = 0;
        let mut out = |s: Summary| {
            assert_eq!((s.first_time, s.count), (nth(next), 1), "in order of time: {strategy:?}");
            next += 1;
        };
        sessions.advance_to(nth(MANY / 2), &mut out);
        sessions.flush(&mut out);
        assert_eq!(next, MANY, "{strategy:?}");
        assert_eq!((sessions.open_sessions(), sessions.next_deadline()), (0, None));
    }
}

/// A key of which the hash tells as good as nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Alike(u64);

impl Hash for Alike {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0 % 2).hash(state);
    }
}

impl Key for Alike {
    type Ref<'a> = Self;

    fn key_from(borrowed: Self) -> Self {
        borrowed
    }

    fn key_ref(&self) -> Self {
        *self
    }

    fn key_eq(&self, borrowed: Self) -> bool {
        *self == borrowed
    }
}

/// Key, window, number of events, first event, and reason.
type Row = (u64, Window, u64, u64, CloseReason);

/// What is emitted, but for the ids: they go by the hash of the key too.
fn rows<K: for<'k> Key<Ref<'k> = K> + Copy>(
    config: Config<K, u64>,
    key: impl Fn(u64) -> K,
    number: impl Fn(K) -> u64,
) -> Vec<Row> {
    let mut engine = config.build().expect("a configuration that works");
    let mut rows = Vec::new();
    let mut out = |s: SessionSummary<K, u64>| rows.push((number(s.key), s.window, s.count, s.first_event, s.reason));
    for n in 0..3_000 {
        let time = (n * 3 / 2 + n * n % 17) as i64;
        let _ = engine.push(Event::new(key(n * n % 61), Timestamp::from_micros(time), n), &mut out);
        engine.advance_to(Timestamp::from_micros(time - 20), &mut out);
    }
    engine.flush(&mut out);
    assert_eq!(engine.open_sessions(), 0);
    rows
}

#[test]
fn keys_with_one_hash_are_told_apart() {
    fn assert_apart(alike: Config<Alike, u64>, apart: Config<u64, u64>) {
        let expected = rows(apart, |key| key, |key| key);
        assert!(expected.len() >= 31, "there are 31 keys");
        assert_eq!(rows(alike, Alike, |key| key.0), expected);
    }
    for (strategy, _) in strategies(Duration::from_micros(40)) {
        let (alike, apart) = (|| Config::new(strategy.clone()), || Config::new(strategy.clone()));
        assert_apart(alike(), apart());
        assert_apart(alike().close_at_most(2), apart().close_at_most(2));
        let full = WhenFull::CloseOldest;
        assert_apart(alike().max_open_sessions(20, full), apart().max_open_sessions(20, full));
        let every = Duration::from_micros(9);
        assert_apart(alike().update_every(every), apart().update_every(every));
    }
}
