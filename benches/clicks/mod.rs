//! Clicks of a beer shop, as in AWS's clickstream article: ten million a day, in visits of eight.
//!
//! With a gap of 30 minutes about 25,000 sessions are open at once, if there are many users. With
//! few users, most of their sessions are open most of the time, and last long. Not by any clock, and
//! the same in every run.

use std::fmt::Write;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub const SECOND: i64 = 1_000_000;
/// How much later than it happens a click may arrive.
pub const DISORDER: i64 = 10 * SECOND;

const START: i64 = 1_543_449_600 * SECOND;
const CLICKS_PER_DAY: i64 = 10_000_000;
const CLICKS_PER_VISIT: i64 = 8;
const DEVICES: [&str; 5] = ["mobile", "computer", "tablet", "mobile", "computer"];
const VALUES: [&str; 6] =
    ["beer_vitrine_nav", "beer_checkout", "beer_product_detail", "beer_products", "beer_selection", "beer_cart"];

/// One click, with the forms of key and value that a benchmark wants.
#[derive(Clone, Copy, Debug)]
pub struct Click<K, V> {
    pub key: K,
    pub time: i64,
    pub value: V,
}

/// User, device and what was clicked, as numbers.
#[derive(Clone, Copy, Debug)]
struct Raw {
    arrival: i64,
    time: i64,
    user: u64,
    device: usize,
    value: usize,
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
        let number =
            |raw: &Raw| Click { key: raw.user * 8 + raw.device as u64, time: raw.time, value: raw.value as u64 };
        self.0.iter().map(number).collect()
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
