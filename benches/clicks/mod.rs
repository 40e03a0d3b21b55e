//! Clicks of a beer shop, as in AWS's clickstream article: ten million a day, in visits of eight.
//!
//! With a gap of 30 minutes about 25,000 sessions are open at once, if there are many users. With
//! few users, most of their sessions are open most of the time, and last long. Not by any clock, and
//! the same in every run.

use std::fmt::Write;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use stagger::{Event, Timestamp};

pub const SECOND: i64 = 1_000_000;
/// How much later than it happens a click may arrive.
pub const DISORDER: i64 = 10 * SECOND;
/// A visit is over after this time without a click.
pub const GAP: i64 = 30 * 60 * SECOND;

const START: i64 = 1_543_449_600 * SECOND;
const CLICKS_PER_DAY: i64 = 10_000_000;
const CLICKS_PER_VISIT: i64 = 8;
const DEVICES: [&str; 5] = ["mobile", "computer", "tablet", "mobile", "computer"];
const VALUES: [&str; 6] =
    ["beer_vitrine_nav", "beer_checkout", "beer_product_detail", "beer_products", "beer_selection", "beer_cart"];

/// How many clicks a benchmark takes: a million, or `STAGGER_BENCH_EVENTS`.
pub fn number_of_events() -> usize {
    std::env::var("STAGGER_BENCH_EVENTS").map_or(1_000_000, |number| number.parse().expect("a number of events"))
}

/// Makes the C library keep memory that is freed, as it does in a program that runs for long. Without
/// it, whoever comes first pays for fresh pages in each iteration.
pub fn keep_freed_memory() {
    drop(std::hint::black_box(vec![1_u8; 30 << 20])); // glibc's threshold follows what is freed
}

/// Whether each benchmark only runs once, to see that it works. `STAGGER_BENCH_ALL` demands that the
/// large ones do too.
pub fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--test") && std::env::var_os("STAGGER_BENCH_ALL").is_none()
}

/// One click, with the forms of key and value that a benchmark wants.
#[derive(Clone, Copy, Debug)]
pub struct Click<K, V> {
    pub key: K,
    pub time: i64,
    pub value: V,
}

/// User, device and page, as numbers.
#[derive(Clone, Copy, Debug)]
struct Raw {
    arrival: i64,
    time: i64,
    user: u64,
    device: usize,
    value: usize,
}

impl Raw {
    #[inline]
    fn number(&self) -> Click<u64, u64> {
        Click { key: self.user * 8 + self.device as u64, time: self.time, value: self.value as u64 }
    }
}

/// All clicks, in order of arrival.
pub struct Clicks(Vec<Raw>);

impl Clicks {
    pub fn new(users: u64, clicks: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(users);
        let mut all = Vec::with_capacity(clicks + 100);
        let mut begin = START;
        while all.len() < clicks + clicks / 8 {
            begin += random.random_range(0..2 * 86_400 * SECOND * CLICKS_PER_VISIT / CLICKS_PER_DAY);
            visit(&mut random, users, begin, &mut all);
        }
        all.sort_by_key(|click| click.arrival);
        all.truncate(clicks); // the last visits are not complete
        Self(all)
    }

    /// User and device in one integer; the value is one too.
    pub fn numbers(&self) -> Vec<Click<u64, u64>> {
        self.0.iter().map(Raw::number).collect()
    }

    /// The same as events, which know when they arrived.
    pub fn events(&self) -> Vec<Event<u64, u64>> {
        let at = Timestamp::from_micros;
        let event = |raw: &Raw| {
            let Click { key, time, value } = raw.number();
            Event::new(key, at(time), value).arriving_at(at(raw.arrival))
        };
        self.0.iter().map(event).collect()
    }

    /// Writes the text of the users, one after the other, as a reader of a file would come upon it.
    pub fn text(&self) -> Text<'_> {
        let mut users = String::new();
        let mut ends = Vec::with_capacity(self.0.len());
        for raw in &self.0 {
            write!(users, "{}", raw.user).expect("a string takes everything");
            ends.push(users.len());
        }
        Text { clicks: &self.0, users, ends }
    }
}

/// A visit: the first click, and each next one with a probability of seven in eight.
fn visit(random: &mut SmallRng, users: u64, begin: i64, all: &mut Vec<Raw>) {
    let (user, device) = (random.random_range(0..users), random.random_range(0..DEVICES.len()));
    // The names that occur twice are one device.
    let device = device % 3;
    let mut time = begin;
    loop {
        let (arrival, value) = (time + random.random_range(0..=DISORDER), random.random_range(0..VALUES.len()));
        all.push(Raw { arrival, time, user, device, value });
        if random.random_bool(1.0 / CLICKS_PER_VISIT as f64) {
            return;
        }
        let short: f64 = random.random();
        time += SECOND + (short * short * short * 60.0 * SECOND as f64) as i64;
    }
}

/// Visits without end, that keep about the same number of sessions open for ever.
///
/// The clicks of one period come again and again, by other users each time. The rest of a visit
/// at the end of the period is in the next, so that nothing is special about where one begins.
pub struct Visits {
    clicks: Vec<Raw>,
    period: i64,
    round: u64,
    next: usize,
}

impl Visits {
    const USERS: u64 = 10_000_000;
    const MOST_IN_PERIOD: i64 = 250_000;
    /// How long the clicks of a visit take, with the delay of the watermark.
    const OPEN_BESIDE_THE_GAP: i64 = 112 * SECOND + DISORDER;

    /// As many visits as keep about `open` of them open with a gap of 30 minutes.
    pub fn new(open: usize) -> Self {
        let interval = (GAP + Self::OPEN_BESIDE_THE_GAP) / open as i64;
        let period = interval * Self::MOST_IN_PERIOD.min(10 * open as i64);
        let mut random = SmallRng::seed_from_u64(open as u64);
        let mut clicks = Vec::new();
        for begin in (0..period).step_by(interval as usize) {
            let begin = begin + random.random_range(0..interval);
            visit(&mut random, Self::USERS, begin, &mut clicks);
        }
        clicks.iter_mut().for_each(|click| click.wrap(period));
        clicks.sort_by_key(|click| click.arrival);
        Self { clicks, period, round: 0, next: 0 }
    }

    /// The number of clicks in a time.
    pub fn clicks_in(&self, time: i64) -> usize {
        (self.clicks.len() as f64 * time as f64 / self.period as f64) as usize
    }
}

impl Raw {
    /// Puts a click that arrives after the end of the period into the next.
    fn wrap(&mut self, period: i64) {
        let rounds = self.arrival / period;
        self.arrival -= rounds * period;
        self.time -= rounds * period;
        self.user = self.user.wrapping_sub(rounds as u64 * Visits::USERS);
    }
}

impl Iterator for Visits {
    type Item = Click<u64, u64>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.clicks.len() {
            (self.next, self.round) = (0, self.round + 1);
        }
        let raw = self.clicks[self.next];
        self.next += 1;
        let user = raw.user.wrapping_add(self.round * Self::USERS) & (u64::MAX >> 3);
        Some(Raw { user, time: START + self.round as i64 * self.period + raw.time, ..raw }.number())
    }
}

/// The clicks as text.
pub struct Text<'c> {
    clicks: &'c [Raw],
    users: String,
    ends: Vec<usize>,
}

impl Text<'_> {
    pub fn lent(&self) -> Vec<Click<(&str, &str), &str>> {
        let mut start = 0;
        let lend = |(raw, &end): (&Raw, &usize)| {
            let user = &self.users[start..end];
            start = end;
            Click { key: (user, DEVICES[raw.device]), time: raw.time, value: VALUES[raw.value] }
        };
        self.clicks.iter().zip(&self.ends).map(lend).collect()
    }
}
