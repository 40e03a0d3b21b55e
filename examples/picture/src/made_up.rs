//! Sessions that nobody had, to measure with: as many as wanted, the same for the same number.

use events::parse::times::Recent;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::row::{Cell, Draft, Role};
use crate::sessions::Sessions;

/// 2018-11-29T00:00:00Z
const START: i64 = 1_543_449_600_000_000;
const WEEK: i64 = 7 * 86_400_000_000;
const PAGES: u32 = 40;
const DEVICES: u32 = 200;

pub(crate) fn add_to(sessions: &mut Sessions, number: u64) -> Result<(), String> {
    let mut random = SmallRng::seed_from_u64(20_181_129);
    (0..number).try_for_each(|_| sessions.add(&row(&mut random)?))
}

fn row(random: &mut SmallRng) -> Result<Draft, String> {
    let begin = START + random.random_range(0..WEEK);
    let is_bounce = random.random_bool(0.3);
    let micros = if is_bounce { 0 } else { 10f64.powf(random.random_range(5.0..10.2)) as i64 };
    let events = if is_bounce { 1 } else { 2 + micros / 20_000_000 + random.random_range(0..4) };
    let first = page(random);
    let last = if is_bounce { first.clone() } else { page(random) };
    let cells = [
        ("user_id", Cell::Whole(random.random_range(0..200_000))),
        ("device_id", Cell::Text(format!("device {}", often_low(random, DEVICES)).into())),
        ("events", Cell::Whole(events)),
        ("beginsession", Cell::Time(begin)),
        ("endsession", Cell::Time(begin + micros)),
        ("beginnavigation", Cell::Text(first.into())),
        ("endnavigation", Cell::Text(last.into())),
    ];
    let mut draft = Draft::default();
    for (name, cell) in &cells {
        draft.set(name, Role::of(name), cell, &Recent::default())?;
    }
    Ok(draft)
}

fn page(random: &mut SmallRng) -> String {
    format!("page_{}", often_low(random, PAGES))
}

/// A number below the bound; low ones are much more likely.
fn often_low(random: &mut SmallRng, bound: u32) -> u32 {
    let share: f64 = random.random();
    (share.powi(3) * f64::from(bound)) as u32
}
