//! Random bytes, read as a configuration and a sequence of calls with extreme arguments.
//!
//! Nothing may panic, no event may be lost, the clock may not go back, nothing may be left after a
//! flush, and an engine restored from a snapshot must do as the original does. A damaged snapshot is
//! refused, or gives an engine that keeps all of this too.
//!
//! 1,000 runs, or another number, or a time:
//! `STAGGER_FUZZ_RUNS=100000 cargo test --release --test fuzz -- --nocapture`
//! `STAGGER_FUZZ_SECONDS=600 cargo test --release --test fuzz -- --nocapture`
//! A failure prints its seed. `STAGGER_FUZZ_SEED=…` runs that one again.

use std::fmt::Debug;
use std::hash::Hasher;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stagger::{
    Bucket, Clock, Config, Engine, Event, FirstLast, Gap, JoinOnly, Pushed, Sliding, Snapshot, SourceId, Stagger,
    Strategy, SummaryOf, Timestamp, Unit, WatermarkMerger, WhenFull, aggregate::List, calendar::ChronoZone,
    fingerprint,
};

const RUNS: u64 = 2_000;

// --- Bytes ---

/// Random bytes that run out. After the end every byte is zero.
struct Bytes {
    state: u64,
    left: usize,
}

impl Bytes {
    fn new(seed: u64) -> Self {
        let mut bytes = Self { state: seed, left: usize::MAX };
        bytes.left = match bytes.byte() {
            0..20 => 5_000,
            20..80 => 1_000,
            _ => 250,
        };
        bytes
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn byte(&mut self) -> u8 {
        if self.left == 0 {
            return 0;
        }
        self.left -= 1;
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as u8
    }

    fn any(&mut self) -> i64 {
        i64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn up_to(&mut self, most: usize) -> usize {
        let wide = usize::from(self.byte()) << 8 | usize::from(self.byte());
        wide % (most + 1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.up_to(from.len() - 1)]
    }

    fn one_in(&mut self, n: u8) -> bool {
        self.byte() % n == 1
    }

    fn maybe<T>(&mut self, one_in: u8, of: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(one_in).then(|| of(self))
    }

    fn length(&mut self) -> Duration {
        match self.byte() % 16 {
            0 => Duration::from_micros(self.any().unsigned_abs()),
            1 => self.pick(&[Duration::ZERO, Duration::MAX, Duration::from_nanos(1_500)]),
            2 => Duration::from_micros(i64::MAX as u64 - 1),
            3 => Duration::from_secs(self.pick(&[60, 1_800, 86_400, 40 * 86_400])),
            _ => Duration::from_micros(1 + u64::from(self.byte() % 40)),
        }
    }

    fn time(&mut self, base: i64) -> Timestamp {
        Timestamp::from_micros(match self.byte() % 32 {
            0 => self.any(),
            1 => self.pick(&[i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1, 0, -1]),
            2 => base.saturating_add(self.any() >> 16),
            _ => base.saturating_add(i64::from(self.byte()) - 100),
        })
    }
}

// --- Configurations ---

type Values = List<fn(&Event<&str, &str>) -> String, String>;
type Kept = Config<String, String, Values>;
type Sessions = Engine<String, String, Values>;
type Summary = SummaryOf<Sessions>;
type Saved = Snapshot<String, String, Vec<(Timestamp, String)>>;

fn bucket(bytes: &mut Bytes) -> Bucket {
    if bytes.one_in(2) {
        return Bucket::step(bytes.length()).origin(bytes.time(0));
    }
    let floor = Bucket::floor(bytes.pick(&Unit::ALL));
    match bytes.byte() % 3 {
        0 => floor,
        1 => floor.zone(ChronoZone(chrono_tz::Europe::Berlin)),
        _ => floor.zone(ChronoZone(chrono_tz::Australia::Lord_Howe)),
    }
}

fn strategy(bytes: &mut Bytes) -> Strategy {
    match bytes.byte() % 8 {
        0 => Stagger::on_event_time(bucket(bytes)).into(),
        1 => Stagger::on_arrival(bucket(bytes), bytes.length()).remember_parts(bytes.length()).into(),
        2 => Stagger::per_key(bytes.length()).into(),
        3 => {
            let slide = bytes.length();
            let most = if bytes.one_in(16) { 12_000 } else { 20 };
            Sliding::new(slide.saturating_mul(bytes.up_to(most) as u32), slide).origin(bytes.time(0)).into()
        }
        4 => Sliding::new(bytes.length(), bytes.length()).into(),
        _ => gap(bytes).into(),
    }
}

fn gap(bytes: &mut Bytes) -> Gap {
    let mut gap = Gap::new(bytes.length());
    if bytes.one_in(2) {
        gap = gap.inclusive();
    }
    if bytes.one_in(3) {
        gap = gap.max_duration(bytes.length());
    }
    if bytes.one_in(4) {
        gap = gap.cut_between(bucket(bytes));
    }
    if bytes.one_in(6) {
        gap = gap.max_events(1 + bytes.up_to(4) as u64);
    }
    gap
}

/// The same bytes give the same configuration, however often it is asked for.
fn config(seed: u64) -> (Kept, Bytes) {
    let mut bytes = Bytes::new(seed);
    let b = &mut bytes;
    let strategy = strategy(b);
    let is_gap = matches!(strategy, Strategy::Gap(_));
    let on_event_clock = !matches!(b.byte(), 0..4) && !on_arrival(&strategy);
    let mut config = Config::new(strategy).aggregate(List::of(value as fn(&Event<&str, &str>) -> String));
    if on_event_clock {
        config = b.maybe(2, Bytes::length).into_iter().fold(config, Kept::out_of_order);
        config = b.maybe(2, Bytes::length).into_iter().fold(config, Kept::allowed_lateness);
    }
    config = b.maybe(4, Bytes::length).into_iter().fold(config, Kept::max_future);
    let is_bounded = b.one_in(3);
    if is_bounded {
        let when_full = b.pick(&[WhenFull::Refuse, WhenFull::CloseOldest]);
        config = config.max_open_sessions(b.up_to(30), when_full);
    }
    if b.one_in(3) {
        config = config.first_last_by(FirstLast::Arrival);
    }
    if is_gap && b.one_in(3) {
        let long = b.length();
        config = config.gap_per_event("long for l", move |event| event.value.starts_with('l').then_some(long));
    }
    if is_gap && b.one_in(3) {
        config = config.cut("logout", |before, _| before.value == "logout");
    }
    if is_gap {
        config = with_rules(config, b);
    }
    config = b.maybe(4, Bytes::length).into_iter().fold(config, Kept::update_every);
    config = b.maybe(6, |b| 1 + b.up_to(5) as u64).into_iter().fold(config, Kept::update_every_events);
    // With both bounds a restored engine may need no room where the original does, and emit in other calls.
    let portion = b.maybe(4, |b| b.up_to(4)).filter(|_| !is_bounded);
    config = portion.into_iter().fold(config, Kept::close_at_most);
    if b.one_in(4) {
        config = config.unique_by("value", |event| fingerprint(event.value));
    }
    (config, bytes)
}

/// Rules of gap sessions that look at events in order of time.
fn with_rules(config: Kept, bytes: &mut Bytes) -> Kept {
    let mut config = config;
    if bytes.one_in(6) {
        config = config.end_at("logout", |event| event.value == "logout");
    }
    if bytes.one_in(6) {
        let joins = bytes.pick(&[JoinOnly::Prolongs, JoinOnly::DoesNotProlong]);
        config = config.join_only("empty", move |event| if event.value.is_empty() { joins } else { JoinOnly::No });
    }
    if bytes.one_in(6) {
        config = config.cut_with("click after two", |session, _, next| session.count() > 2 && next.value == "click");
    }
    config
}

fn value(event: &Event<&str, &str>) -> String {
    event.value.to_owned()
}

fn on_arrival(strategy: &Strategy) -> bool {
    Config::<u8, u8>::new(strategy.clone()).build().is_ok_and(|engine| engine.clock() == Clock::Arrival)
}

// --- Calls ---

const KEYS: [&str; 7] = ["", "a", "b", "c", "ä", "\0", "a key that does not fit where a short one did"];
const VALUES: [&str; 5] = ["", "click", "logout", "long", "a value that is longer than the others"];

/// The result of a call: sessions, and the outcome of the event.
#[derive(Debug, PartialEq)]
struct Given<'e> {
    sessions: Vec<Summary>,
    pushed: Option<Pushed<Event<&'e str, &'e str>>>,
}

#[derive(Clone, Copy, Debug)]
enum Call<'e> {
    Push(Event<&'e str, &'e str>),
    Advance(Timestamp),
    Flush,
}

fn call(engine: &Sessions, bytes: &mut Bytes, base: i64) -> Call<'static> {
    match bytes.byte() % 32 {
        0 => Call::Flush,
        1..4 => Call::Advance(bytes.time(base)),
        4 => Call::Advance(engine.next_deadline().unwrap_or(Timestamp::EPOCH)),
        _ => {
            let event = Event::new(bytes.pick(&KEYS), bytes.time(base), bytes.pick(&VALUES));
            let arrival = bytes.maybe(2, |b| b.time(base));
            Call::Push(arrival.map_or(event, |arrival| event.arriving_at(arrival)))
        }
    }
}

fn perform<'e>(engine: &mut Sessions, call: Call<'e>) -> Given<'e> {
    let mut sessions = Vec::new();
    let mut out = |session| sessions.push(session);
    let mut pushed = None;
    match call {
        Call::Push(event) => pushed = Some(engine.push(event, &mut out)),
        Call::Advance(time) => engine.advance_to(time, &mut out),
        Call::Flush => engine.flush(&mut out),
    }
    Given { sessions, pushed }
}

/// Makes a call and checks the invariants of every call.
fn check<'e>(engine: &mut Sessions, call: Call<'e>) -> Given<'e> {
    let (before, deadline) = (engine.now(), engine.next_deadline());
    let given = perform(engine, call);
    if let Call::Advance(time) = call {
        let may_close = deadline.is_some_and(|deadline| time >= deadline);
        assert!(may_close || given.sessions.is_empty(), "{deadline:?} was too late: {given:?}");
    }
    let counters = engine.counters();
    assert!(engine.now() >= before, "the clock went back from {before} to {}", engine.now());
    assert!(counters.is_conserved(), "{counters:?}");
    if let Call::Flush = call {
        assert_eq!(engine.open_sessions(), 0);
        assert_eq!(engine.next_deadline(), None);
        assert_eq!((counters.held, counters.open_events()), (0, 0), "{counters:?}");
    }
    given
}

fn check_session(session: &Summary, clock: Clock) {
    assert!(session.count >= 1 && session.first_time <= session.last_time, "{session:?}");
    assert!(session.window.start <= session.window.end, "{session:?}");
    assert_eq!(session.aggregate.len() as u64, session.count, "{session:?}");
    if clock == Clock::Event {
        assert!(session.window.start <= session.first_time, "{session:?}");
        assert!(session.last_time < session.window.end || session.window.end == Timestamp::MAX, "{session:?}");
    }
}

// --- Snapshots ---

fn written(snapshot: &Saved) -> String {
    serde_json::to_string(snapshot).expect("a snapshot can be written")
}

fn read(json: &str) -> Saved {
    serde_json::from_str(json).expect("what was written can be read")
}

/// An engine that must go on as the original: through text, or through pieces put together again.
fn twin(seed: u64, original: &Sessions, bytes: &mut Bytes) -> Sessions {
    let saved = original.snapshot();
    let binary = saved.to_bytes().expect("a snapshot has a form as bytes");
    assert_eq!(Snapshot::from_bytes(&binary).as_ref(), Ok(&saved));
    let saved = read(&written(&saved));
    let saved = if bytes.one_in(2) {
        let pieces = saved.split(bytes.up_to(4), |key| key.len());
        let pieces = pieces.iter().map(|piece| read(&written(piece)));
        Snapshot::join(pieces).expect("pieces of one snapshot fit together")
    } else {
        saved
    };
    let twin = config(seed).0.restore(saved).expect("an undamaged snapshot is restored");
    assert_eq!(twin.now(), original.now());
    // With a bound on a call, sessions may be pending of which nothing is left to emit: those are not restored.
    let has_pending = original.next_deadline().is_some_and(|deadline| deadline <= original.now());
    assert!(has_pending || twin.open_sessions() == original.open_sessions());
    assert_eq!(twin.counters().is_conserved(), original.counters().is_conserved());
    twin
}

/// A piece of a split snapshot goes on alone.
fn piece(seed: u64, original: &Sessions, bytes: &mut Bytes) -> Option<Sessions> {
    let mut pieces = original.snapshot().split(3, |key| key.len());
    let piece = pieces.swap_remove(bytes.up_to(2));
    Some(config(seed).0.restore(piece).expect("a piece of a snapshot is restored"))
}

/// An engine from a snapshot in which something was changed, if it is let in.
fn from_damaged(seed: u64, original: &Sessions, bytes: &mut Bytes) -> Option<Sessions> {
    if bytes.one_in(3) {
        return config(seed).0.restore(from_damaged_bytes(original, bytes)?).ok();
    }
    let text = written(&original.snapshot());
    let damaged = if bytes.one_in(3) { damage_text(text, bytes) } else { damage_values(&text, bytes) };
    let saved = serde_json::from_str(&damaged).ok()?;
    config(seed).0.restore(saved).ok()
}

/// Read from bytes in which something was changed, mostly under a checksum that fits.
fn from_damaged_bytes(original: &Sessions, bytes: &mut Bytes) -> Option<Saved> {
    let mut raw = original.snapshot().to_bytes().expect("a snapshot has a form as bytes");
    let (head, checksum) = (14, 8);
    for _ in 0..=bytes.up_to(2) {
        let place = bytes.up_to(raw.len() - 1);
        match bytes.byte() % 4 {
            0 => raw[place] = bytes.byte(),
            1 => raw[place] ^= 1 << bytes.up_to(7),
            2 => raw.truncate(place.max(head + checksum)),
            _ => drop(raw.splice(place..place, [bytes.byte()])),
        }
    }
    if !bytes.one_in(8) {
        raw.truncate(raw.len() - checksum);
        let length = (raw.len() - head) as u64;
        raw[6..head].copy_from_slice(&length.to_le_bytes());
        let mut hasher = siphasher::sip::SipHasher13::new();
        hasher.write(&raw);
        raw.extend(hasher.finish().to_le_bytes());
    }
    Snapshot::from_bytes(&raw).ok()
}

fn damage_text(text: String, bytes: &mut Bytes) -> String {
    let mut raw = text.into_bytes();
    for _ in 0..=bytes.up_to(2) {
        let place = bytes.up_to(raw.len() - 1);
        match bytes.byte() % 3 {
            0 => raw[place] = bytes.byte(),
            1 => raw[place] = bytes.pick(b"0123456789"),
            _ => raw.truncate(place.max(1)),
        }
    }
    String::from_utf8_lossy(&raw).into_owned()
}

fn damage_values(text: &str, bytes: &mut Bytes) -> String {
    let mut json: Json = serde_json::from_str(text).expect("a snapshot is JSON");
    for _ in 0..=bytes.up_to(2) {
        damage(&mut json, bytes);
    }
    json.to_string()
}

/// Goes down to a random place and changes the value there.
fn damage(json: &mut Json, bytes: &mut Bytes) {
    match json {
        Json::Array(list) if !list.is_empty() => {
            let place = bytes.up_to(list.len() - 1);
            match bytes.byte() % 8 {
                0 => drop(list.remove(place)),
                1 => list.push(list[place].clone()),
                2 => list.reverse(),
                _ => damage(&mut list[place], bytes),
            }
        }
        Json::Object(fields) => {
            let place = bytes.up_to(fields.len().saturating_sub(1));
            fields.values_mut().nth(place).into_iter().for_each(|value| damage(value, bytes));
        }
        Json::Number(number) => *json = other_number(number.as_i64().unwrap_or(0), bytes),
        Json::Bool(bool) => *bool = !*bool,
        Json::String(text) => *text = bytes.pick(&KEYS).to_owned(),
        other => *other = Json::Null,
    }
}

fn other_number(number: i64, bytes: &mut Bytes) -> Json {
    match bytes.byte() % 6 {
        0 => Json::from(u64::MAX),
        1 => Json::from(bytes.pick(&[i64::MAX, i64::MIN, 0, 1, u32::MAX.into()])),
        2 => Json::from(bytes.any()),
        3 => Json::from(number.saturating_add(1)),
        4 => Json::from(number.saturating_sub(1)),
        _ => Json::from(number.wrapping_neg()),
    }
}

// --- Runs ---

fn run(seed: u64) {
    let (config, mut bytes) = config(seed);
    let Ok(mut engine) = config.build() else { return };
    let base = bytes.pick(&[0, 0, 1_543_534_510_000_000, i64::MIN, i64::MAX - 300, 1_729_990_800_000_000]);
    let mut twins: Vec<Sessions> = Vec::new();
    let mut others: Vec<Sessions> = Vec::new();
    while bytes.left > 0 {
        if bytes.one_in(24) {
            twins = vec![twin(seed, &engine, &mut bytes)];
        }
        if bytes.one_in(12) {
            let other = if bytes.one_in(4) { piece } else { from_damaged };
            others = other(seed, &engine, &mut bytes).into_iter().collect();
        }
        let call = call(&engine, &mut bytes, base);
        act(&mut engine, &mut twins, &mut others, call);
    }
    act(&mut engine, &mut twins, &mut others, Call::Flush);
}

fn act(engine: &mut Sessions, twins: &mut [Sessions], others: &mut [Sessions], call: Call<'_>) {
    let given = check(engine, call);
    given.sessions.iter().for_each(|session| check_session(session, engine.clock()));
    for twin in twins {
        assert_eq!(check(twin, call), given, "after {call:?}");
        assert_eq!(twin.now(), engine.now());
    }
    for other in others {
        let _ = check(other, call);
    }
}

/// Watermarks of sources that come, go and fall silent.
fn run_sources(seed: u64) {
    let mut bytes = Bytes::new(seed);
    let mut sources = WatermarkMerger::new(bytes.length());
    let mut ids: Vec<SourceId> = Vec::new();
    let mut watermark = Timestamp::MIN;
    while bytes.left > 0 {
        let id = ids.get(bytes.up_to(3)).copied();
        match (bytes.byte() % 8, id) {
            (0, _) | (_, None) => ids.push(sources.add()),
            (1, Some(id)) => sources.remove(id),
            (2, Some(id)) => sources.set_idle(id),
            (3, Some(id)) => sources.set_active(id, bytes.time(0)),
            (4, Some(id)) => sources.report(id, bytes.time(0), bytes.time(0)),
            (5, Some(_)) => sources.check_idle(bytes.time(0), bytes.length()),
            (_, Some(id)) => sources.observe(id, bytes.time(0), bytes.time(0)),
        }
        assert!(sources.watermark() >= watermark, "from {watermark} back to {}", sources.watermark());
        watermark = sources.watermark();
    }
}

/// Says which run it was, if it fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("again: STAGGER_FUZZ_SEED={} cargo test --test fuzz", self.0);
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

/// On all cores.
fn fuzz(what: &str, run: impl Fn(u64) + Sync) {
    if let Some(seed) = setting("STAGGER_FUZZ_SEED") {
        return run(seed);
    }
    let most = setting("STAGGER_FUZZ_RUNS").unwrap_or(RUNS);
    let time = setting("STAGGER_FUZZ_SECONDS").map(Duration::from_secs);
    let first = setting("STAGGER_FUZZ_FIRST").unwrap_or(0);
    let (start, next, runs) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if time.map_or(number >= most, |time| start.elapsed() >= time) {
                return;
            }
            let named = Named(first + number);
            run(named.0);
            runs.fetch_add(1, Ordering::Relaxed);
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    println!("{what}: {} runs", runs.into_inner());
}

#[test]
fn sequences_of_calls() {
    fuzz("sequences of calls", run);
}

#[test]
fn sequences_of_sources() {
    fuzz("sequences of sources", run_sources);
}

/// The fuzzer must notice the faults that it looks for.
#[test]
fn most_runs_get_somewhere() {
    fn count<T: Debug>(runs: u64, of: impl Fn(u64) -> Option<T>) -> usize {
        (0..runs).filter_map(of).count()
    }
    assert!(count(300, |seed| config(seed).0.build().ok()) > 200);
    let damaged = |seed| {
        let (config, mut bytes) = config(seed);
        let mut engine = config.build().ok()?;
        for _ in 0..20 {
            let call = call(&engine, &mut bytes, 0);
            let _ = perform(&mut engine, call);
        }
        from_damaged(seed, &engine, &mut bytes)
    };
    let let_in = count(300, damaged);
    assert!((20..280).contains(&let_in), "{let_in}");
}
