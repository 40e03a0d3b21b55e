//! Makes clicks of the form in AWS's clickstream article, as JSON lines:
//!
//! ```text
//! {"user_id": 20, "device_id": "mobile", "client_event": "beer_cart", "client_timestamp": "2018-11-29T23:35:10.123456", "arrival_timestamp": "2018-11-29T23:35:10.987654"}
//! ```
//!
//! Users come for a visit, click with some seconds between, and go. The lines are in order of
//! arrival; how far that is from the order of clicks, and what else is wrong with the data, is
//! chosen. The same options make the same lines. Not by any clock: the first click is at `--start`.
//!
//! `cargo run --release --example generate -- --users 1000 --rate 50 --duration 10m --disorder 5s`

#[allow(dead_code, reason = "only lengths of time are read here")]
#[path = "files/lengths.rs"]
mod lengths;
#[allow(dead_code, reason = "only --start is read here")]
#[path = "files/parse/times.rs"]
mod times;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stagger::Timestamp;

/// Makes clicks of a beer shop as JSON lines, in order of arrival.
#[derive(Debug, Parser)]
#[command(name = "generate", disable_version_flag = true)]
struct Options {
    /// How many different users there are
    #[arg(long, default_value_t = 1_000)]
    users: u64,
    /// Clicks per second, on average over the day
    #[arg(long, default_value_t = 10.0, value_parser = rate)]
    rate: f64,
    /// From the first click to the last
    #[arg(long, default_value = "1h", value_parser = lengths::parse)]
    duration: Duration,
    /// Stop after so many lines instead
    #[arg(long)]
    events: Option<u64>,
    /// Fewer clicks at night and most in the evening
    #[arg(long)]
    daily_rhythm: bool,
    /// Clicks arrive up to so much later than they happen
    #[arg(long, default_value = "0s", value_parser = lengths::parse)]
    disorder: Duration,
    /// Share of clicks that arrive later than that, between 0 and 1
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    stragglers: f64,
    /// How late a straggler may be
    #[arg(long, default_value = "2h", value_parser = lengths::parse)]
    late_by: Duration,
    /// Share of clicks that are delivered twice
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    duplicates: f64,
    /// Robots that click every few seconds for an eighth of the time
    #[arg(long, default_value_t = 0)]
    robots: u64,
    /// Share of lines that are broken: cut off, not JSON, without user, without a time, or with a
    /// clock that is a year ahead
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    broken: f64,
    /// Leave out the field `arrival_timestamp`: arrival is the order of the lines
    #[arg(long)]
    no_arrival: bool,
    /// Another seed makes other clicks
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Time of the first click
    #[arg(long, default_value = "2018-11-29T00:00:00Z", value_parser = start)]
    start: Timestamp,
    /// Where to write; packed if the name ends in .gz
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (1e-6..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 0.000001 to 1000000".to_owned())
}

fn start(text: &str) -> Result<Timestamp, String> {
    times::TimeFormat::Iso.parse(text).ok_or_else(|| "give a time such as 2018-11-29T00:00:00Z".to_owned())
}

const EVENTS: [&str; 6] =
    ["beer_vitrine_nav", "beer_checkout", "beer_product_detail", "beer_products", "beer_selection", "beer_cart"];
/// Mobile and computer are twice as likely as tablet.
const DEVICES: [&str; 5] = ["mobile", "computer", "tablet", "mobile", "computer"];

const SECOND: i64 = 1_000_000;
const YEAR: i64 = 365 * 86_400 * SECOND;
/// A visit goes on after each click with this probability: eight clicks on average.
const GOES_ON: f64 = 7.0 / 8.0;
const CLICKS_PER_VISIT: f64 = 8.0;
/// How busy each hour of the day is, against the average.
const RHYTHM: [f64; 24] = [
    0.5, 0.3, 0.2, 0.1, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.1, 1.3, 1.1, 0.9, 0.9, 1.1, 1.5, 2.0, 2.4, 2.6, 2.2, 1.5,
    0.8,
];

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
struct Shop<'o> {
    options: &'o Options,
    random: StdRng,
    coming: BinaryHeap<Reverse<Click>>,
    next_visit: i64,
    end: i64,
    robots_end: i64,
    number: u64,
}

impl<'o> Shop<'o> {
    fn new(options: &'o Options) -> Self {
        let start = options.start.as_micros();
        let length = match options.events {
            Some(events) => (events as f64 / options.rate * SECOND as f64) as i64,
            None => micros(options.duration),
        };
        let end = if options.events.is_some() { i64::MAX } else { start.saturating_add(length) };
        let mut shop = Self {
            options,
            random: StdRng::seed_from_u64(options.seed),
            coming: BinaryHeap::new(),
            next_visit: start,
            end,
            robots_end: 0,
            number: 0,
        };
        for robot in 1..=options.robots {
            let first = start + shop.up_to(length / 2);
            shop.robots_end = shop.robots_end.max(first + length / 8);
            let click = shop.first_click(first, options.users + robot);
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
            let user = self.random.random_range(1..=self.options.users.max(1));
            let click = self.first_click(self.next_visit, user);
            self.add(click);
            self.next_visit += self.until_next_visit();
        }
    }

    fn until_next_visit(&mut self) -> i64 {
        let hour = self.next_visit.div_euclid(3_600 * SECOND).rem_euclid(24) as usize;
        let busy = if self.options.daily_rhythm { RHYTHM[hour] } else { 1.0 };
        let mean = SECOND as f64 * CLICKS_PER_VISIT / (self.options.rate * busy);
        (self.random.random::<f64>() * 2.0 * mean) as i64 + 1
    }

    /// What the same user does next, if anything.
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

impl Iterator for Shop<'_> {
    type Item = Click;

    fn next(&mut self) -> Option<Click> {
        self.let_in();
        let Reverse(click) = self.coming.pop()?;
        self.follow(click);
        Some(click)
    }
}

/// Brings the clicks into order of arrival and writes them.
struct Delivery<'o> {
    options: &'o Options,
    random: StdRng,
    /// By time of arrival, then in order of clicks.
    under_way: BinaryHeap<Reverse<(i64, Click)>>,
    written: u64,
    line: Vec<u8>,
}

impl<'o> Delivery<'o> {
    fn new(options: &'o Options) -> Self {
        // Another stream of random numbers, so that disorder does not change the clicks.
        let random = StdRng::seed_from_u64(options.seed ^ 0x5eed_0fde_11f3_7119);
        Self { options, random, under_way: BinaryHeap::new(), written: 0, line: Vec::new() }
    }

    fn send(&mut self, click: Click) {
        let copies = if self.random.random_bool(self.options.duplicates) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            self.under_way.push(Reverse((click.time + delay, click)));
        }
    }

    fn delay(&mut self) -> i64 {
        let (usual, most) = (micros(self.options.disorder), micros(self.options.late_by));
        if self.random.random_bool(self.options.stragglers) {
            return self.random.random_range(usual.min(most)..=most);
        }
        self.random.random_range(0..=usual)
    }

    fn is_full(&self) -> bool {
        self.options.events.is_some_and(|most| self.written >= most)
    }

    /// Writes what arrives before `time`.
    fn arrive(&mut self, time: i64, to: &mut dyn Write) -> io::Result<()> {
        while let Some(&Reverse((arrival, click))) = self.under_way.peek() {
            if arrival >= time || self.is_full() {
                return Ok(());
            }
            self.under_way.pop();
            self.compose(click, arrival)?;
            to.write_all(&self.line)?;
            self.written += 1;
        }
        Ok(())
    }

    fn compose(&mut self, click: Click, arrival: i64) -> io::Result<()> {
        let damage = self.random.random_bool(self.options.broken).then(|| self.random.random_range(0..5));
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
        if !self.options.no_arrival {
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

fn write_clicks(options: &Options, to: &mut dyn Write) -> io::Result<()> {
    let mut delivery = Delivery::new(options);
    for click in Shop::new(options) {
        delivery.arrive(click.time, to)?;
        if delivery.is_full() {
            return Ok(());
        }
        delivery.send(click);
    }
    delivery.arrive(i64::MAX, to)
}

fn run(options: &Options) -> io::Result<()> {
    let Some(path) = &options.output else {
        let mut to = BufWriter::new(io::stdout().lock());
        write_clicks(options, &mut to)?;
        return to.flush();
    };
    let mut to = BufWriter::new(File::create(path)?);
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut packed = GzEncoder::new(to, Compression::best());
        write_clicks(options, &mut packed)?;
        packed.finish()?.flush()
    } else {
        write_clicks(options, &mut to)?;
        to.flush()
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::from(2)
        }
    }
}
