//! The shop: what its visitors click, and how the clicks arrive.
//!
//! Shared by `generate`, which writes them to a file, and the package `kinesis`, which puts them on a
//! stream.

#![allow(missing_docs, reason = "for the programs beside it only: as within a program, names say most of it")]

mod options;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use events::lengths;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stagger::Timestamp;

pub use options::Options;

const EVENTS: [&str; 6] =
    ["beer_vitrine_nav", "beer_checkout", "beer_product_detail", "beer_products", "beer_selection", "beer_cart"];
/// Mobile and computer are twice as likely as tablet.
const DEVICES: [&str; 5] = ["mobile", "computer", "tablet", "mobile", "computer"];

const SECOND: i64 = 1_000_000;
const YEAR: i64 = 365 * 86_400 * SECOND;
/// A visit goes on after each click with this probability: eight clicks on average.
const GOES_ON: f64 = 7.0 / 8.0;
const CLICKS_PER_VISIT: f64 = 8.0;
/// Seconds until the number of visits under way has settled.
const OPEN_BEFORE: f64 = 2_400.0;
/// The maximum number of clicks left out: without it a high rate would begin with a long wait.
const MOST_BEFORE: f64 = 1e6;
/// How busy each hour of the day is, against the average.
const RHYTHM: [f64; 24] = [
    0.5, 0.3, 0.2, 0.1, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.1, 1.3, 1.1, 0.9, 0.9, 1.1, 1.5, 2.0, 2.4, 2.6, 2.2, 1.5,
    0.8,
];

/// The kind of clicks.
#[derive(Clone, Debug, Args)]
pub struct Plan {
    /// How many different users there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub users: u64,
    /// Clicks per second, on average over the day
    #[arg(long, default_value_t = 10.0, value_parser = rate)]
    pub rate: f64,
    /// From the first click to the last
    #[arg(long, default_value = "1h", value_parser = lengths::parse)]
    pub duration: Duration,
    /// Stop after this number of lines instead
    #[arg(long)]
    pub events: Option<u64>,
    /// Fewer clicks at night and most in the evening
    #[arg(long)]
    pub daily_rhythm: bool,
    /// Maximum delay between a click and its arrival
    #[arg(long, default_value = "0s", value_parser = lengths::parse)]
    pub disorder: Duration,
    /// Share of clicks that arrive later than that, between 0 and 1
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub stragglers: f64,
    /// How late a straggler may be
    #[arg(long, default_value = "2h", value_parser = lengths::parse)]
    pub late_by: Duration,
    /// Share of clicks that are delivered twice
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub duplicates: f64,
    /// Robots that click every few seconds for an eighth of the time
    #[arg(long, default_value_t = 0)]
    pub robots: u64,
    /// Share of lines that are broken: cut off, not JSON, without user, without a time, or with a
    /// clock that is a year ahead
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub broken: f64,
    /// Another seed makes other clicks
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Plan {
    /// From the first click to the last, in microseconds.
    pub fn length(&self) -> i64 {
        match self.events {
            Some(events) => (events as f64 / self.rate * SECOND as f64) as i64,
            None => micros(self.duration),
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (1e-6..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 0.000001 to 1000000".to_owned())
}

/// A click that will happen, ordered by time, then by `number`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Click {
    time: i64,
    number: u64,
    user: u64,
    device: &'static str,
    event: &'static str,
    robot: bool,
}

/// What makes the clicks, in order of time.
struct Shop {
    plan: Plan,
    random: StdRng,
    coming: BinaryHeap<Reverse<Click>>,
    next_visit: i64,
    end: i64,
    robots_end: i64,
    number: u64,
}

impl Shop {
    fn new(plan: Plan, start: i64, length: i64) -> Self {
        let end = if plan.events.is_some() { i64::MAX } else { start.saturating_add(length) };
        let (robots, users) = (plan.robots, plan.users);
        let mut shop = Self {
            random: StdRng::seed_from_u64(plan.seed),
            plan,
            coming: BinaryHeap::new(),
            next_visit: start,
            end,
            robots_end: 0,
            number: 0,
        };
        for robot in 1..=robots {
            let first = start + shop.up_to(length / 2);
            shop.robots_end = shop.robots_end.max(first + length / 8);
            let click = shop.first_click(first, users + robot);
            shop.add(Click { robot: true, ..click });
        }
        shop
    }

    /// A number of microseconds from 0 to `most`.
    fn up_to(&mut self, most: i64) -> i64 {
        self.random.random_range(0..=most.max(0))
    }

    fn first_click(&mut self, time: i64, user: u64) -> Click {
        let device = DEVICES[self.random.random_range(0..DEVICES.len())];
        Click { time, number: 0, user, device, event: EVENTS[0], robot: false }
    }

    fn add(&mut self, click: Click) {
        self.number += 1;
        self.coming.push(Reverse(Click { number: self.number, ..click }));
    }

    /// Lets new visitors in who come before anything else happens.
    fn let_in(&mut self) {
        while self.next_visit < self.end && self.coming.peek().is_none_or(|Reverse(next)| self.next_visit <= next.time)
        {
            let user = self.random.random_range(1..=self.plan.users.max(1));
            let click = self.first_click(self.next_visit, user);
            self.add(click);
            self.next_visit += self.until_next_visit();
        }
    }

    fn until_next_visit(&mut self) -> i64 {
        let hour = self.next_visit.div_euclid(3_600 * SECOND).rem_euclid(24) as usize;
        let busy = if self.plan.daily_rhythm { RHYTHM[hour] } else { 1.0 };
        let mean = SECOND as f64 * CLICKS_PER_VISIT / (self.plan.rate * busy);
        (self.random.random::<f64>() * 2.0 * mean) as i64 + 1
    }

    /// The next click of the same user, if there is one.
    fn follow(&mut self, click: Click) {
        let event = EVENTS[self.random.random_range(0..EVENTS.len())];
        let pause = if click.robot {
            5 * SECOND + self.up_to(5 * SECOND)
        } else if self.random.random_bool(0.03) {
            120 * SECOND + self.up_to(1_200 * SECOND) // reads, or is called away
        } else {
            let short = self.random.random::<f64>();
            SECOND + (short * short * short * 60.0 * SECOND as f64) as i64
        };
        let time = click.time + pause;
        let goes_on = if click.robot { time < self.robots_end } else { self.random.random_bool(GOES_ON) };
        if goes_on && time < self.end {
            self.add(Click { time, event, ..click });
        }
    }
}

impl Iterator for Shop {
    type Item = Click;

    fn next(&mut self) -> Option<Click> {
        self.let_in();
        let Reverse(click) = self.coming.pop()?;
        self.follow(click);
        Some(click)
    }
}

/// A line as it is written.
#[derive(Debug)]
pub struct Line<'l> {
    pub arrival: Timestamp,
    /// With its end.
    pub text: &'l [u8],
}

/// The clicks as lines, in order of arrival.
pub struct Lines {
    shop: Shop,
    /// The click that comes next, once all that arrives before it is written.
    next: Option<Click>,
    has_arrival: bool,
    random: StdRng,
    /// By arrival time, then in order of clicks.
    under_way: BinaryHeap<Reverse<(i64, Click)>>,
    written: u64,
    line: Vec<u8>,
}

impl Lines {
    /// The first click is at `start`. `has_arrival`: with the field `arrival_timestamp`.
    pub fn new(plan: Plan, start: Timestamp, has_arrival: bool) -> Self {
        let length = plan.length();
        Self::of_shop(Shop::new(plan, start.as_micros(), length), has_arrival)
    }

    /// The shop has been open for a while at `start`: visits are under way, so the rate is as chosen
    /// from the first moment on. What arrived before is left out.
    pub fn under_way_at(plan: Plan, start: Timestamp, has_arrival: bool) -> Self {
        let length = plan.length();
        let before = (OPEN_BEFORE.min(MOST_BEFORE / plan.rate) * SECOND as f64) as i64;
        let opening = start.as_micros().saturating_sub(before);
        let mut lines = Self::of_shop(Shop::new(plan, opening, length.saturating_add(before)), has_arrival);
        lines.skip_until(start);
        lines
    }

    /// Leaves out what arrives before `time`. It does not count as written.
    pub fn skip_until(&mut self, time: Timestamp) {
        while self.coming().is_some_and(|arrival| arrival < time.as_micros()) {
            self.under_way.pop();
        }
    }

    fn of_shop(mut shop: Shop, has_arrival: bool) -> Self {
        // Another stream of random numbers, so that disorder does not change the clicks.
        let random = StdRng::seed_from_u64(shop.plan.seed ^ 0x5eed_0fde_11f3_7119);
        let next = shop.next();
        Self { shop, next, has_arrival, random, under_way: BinaryHeap::new(), written: 0, line: Vec::new() }
    }

    /// The next line, if there is one.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.is_full() || self.coming().is_none() {
            return Ok(None);
        }
        self.deliver()
    }

    /// When the next line arrives.
    fn coming(&mut self) -> Option<i64> {
        loop {
            let arrival = self.under_way.peek().map(|Reverse((arrival, _))| *arrival);
            match self.next {
                Some(click) if arrival.is_none_or(|arrival| arrival >= click.time) => {
                    self.send(click);
                    self.next = self.shop.next();
                }
                _ => return arrival,
            }
        }
    }

    fn deliver(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some(Reverse((arrival, click))) = self.under_way.pop() else { return Ok(None) };
        self.compose(click, arrival)?;
        self.written += 1;
        Ok(Some(Line { arrival: Timestamp::from_micros(arrival), text: &self.line }))
    }

    fn send(&mut self, click: Click) {
        let copies = if self.random.random_bool(self.shop.plan.duplicates) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            self.under_way.push(Reverse((click.time + delay, click)));
        }
    }

    fn delay(&mut self) -> i64 {
        let (usual, most) = (micros(self.shop.plan.disorder), micros(self.shop.plan.late_by));
        if self.random.random_bool(self.shop.plan.stragglers) {
            return self.random.random_range(usual.min(most)..=most);
        }
        self.random.random_range(0..=usual)
    }

    fn is_full(&self) -> bool {
        self.shop.plan.events.is_some_and(|most| self.written >= most)
    }

    fn compose(&mut self, click: Click, arrival: i64) -> io::Result<()> {
        let damage = self.random.random_bool(self.shop.plan.broken).then(|| self.random.random_range(0..5));
        let (mut user, mut time) = (click.user.to_string(), quoted(click.time));
        match damage {
            Some(1) => {
                self.line = b"WARN delivery stream: throttled, 3 records retried\n".to_vec();
                return Ok(());
            }
            Some(2) => user = "null".to_owned(),
            Some(3) => time = "\"unknown\"".to_owned(),
            Some(4) => time = quoted(click.time + YEAR),
            _ => {}
        }
        self.line.clear();
        write!(
            self.line,
            r#"{{"user_id": {user}, "device_id": "{}", "client_event": "{}", "client_timestamp": {time}"#,
            click.device, click.event,
        )?;
        if self.has_arrival {
            write!(self.line, r#", "arrival_timestamp": {}"#, quoted(arrival))?;
        }
        self.line.push(b'}');
        if damage == Some(0) {
            let length = self.random.random_range(1..self.line.len());
            self.line.truncate(length);
        }
        self.line.push(b'\n');
        Ok(())
    }
}

/// As Python's `isoformat` writes it: no zone.
fn quoted(time: i64) -> String {
    let text = Timestamp::from_micros(time).to_string();
    format!("\"{}\"", text.trim_end_matches('Z'))
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
