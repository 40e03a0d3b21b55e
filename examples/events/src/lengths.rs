//! Lengths of time as people write them: `30s`, `1h30m`, `250ms`, and calendar units.

use std::time::Duration;

use stagger::{Unit, calendar::UnitError};

const UNITS: [(&str, u64); 8] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

/// Reads one or more whole numbers, each with its unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut micros: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = first_part(rest).ok_or_else(|| explain(text))?;
        micros = micros.checked_add(part).ok_or("too long")?;
        rest = after;
    }
    if text.is_empty() { Err(explain(text)) } else { Ok(Duration::from_micros(micros)) }
}

fn first_part(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((number.parse::<u64>().ok()?.checked_mul(*micros)?, rest))
}

fn explain(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return format!("add a unit: {text}s, {text}m, {text}h");
    }
    if let Some(length) = text.strip_prefix('-') {
        return format!("a length of time cannot be negative: say {length}");
    }
    "a length of time is a whole number and a unit (us, ms, s, m, h, d, w), such as 30s or 1h30m".to_owned()
}

/// Reads `SIZE/SLIDE`, or `SIZE` alone for windows that follow each other.
pub fn parse_pair(text: &str) -> Result<(Duration, Duration), String> {
    let (size, slide) = text.split_once('/').unwrap_or((text, text));
    Ok((parse(size)?, parse(slide)?))
}

/// Reads the name of a calendar unit.
pub fn unit(text: &str) -> Result<Unit, String> {
    text.parse().map_err(|error: UnitError| error.to_string())
}

/// Writes a length of time as it could be given as an option: `1h30m`.
pub fn compact(length: Duration) -> String {
    let mut rest = length.as_micros();
    let mut text = String::new();
    for unit in ["w", "d", "h", "m", "s", "ms", "us"] {
        let width = UNITS.iter().find(|(name, _)| *name == unit).map_or(1, |(_, micros)| u128::from(*micros));
        if rest >= width {
            text += &format!("{}{unit}", rest / width);
            rest %= width;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Writes a length of time for people: `2 h 05 min`, `3 min 20 s`, `4.2 s`.
pub fn show(micros: u64) -> String {
    let secs = micros / 1_000_000;
    match secs {
        0..60 => format!("{}.{} s", secs, micros / 100_000 % 10),
        60..3_600 => format!("{} min {:02} s", secs / 60, secs % 60),
        3_600..86_400 => format!("{} h {:02} min", secs / 3_600, secs / 60 % 60),
        _ => format!("{} d {:02} h", secs / 86_400, secs / 3_600 % 24),
    }
}
