//! Lengths of time as people write them: `30s`, `1h30m`, `1.5h`, `30 minutes`, and calendar units.

use std::time::Duration;

use stagger::{Unit, calendar::UnitError};

/// The names of each unit, the one that is written first, and its microseconds. Those of more than two letters have a
/// plural.
const UNITS: [(&[&str], u64); 7] = [
    (&["w", "week"], 604_800_000_000),
    (&["d", "day"], 86_400_000_000),
    (&["h", "hr", "hour"], 3_600_000_000),
    (&["m", "min", "minute"], 60_000_000),
    (&["s", "sec", "second"], 1_000_000),
    (&["ms", "millisecond"], 1_000),
    (&["us", "\u{b5}s", "microsecond"], 1),
];

/// Reads one or more numbers, each with its unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut micros: u64 = 0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (part, after) = first_part(rest).ok_or_else(|| explain(text.trim()))?;
        micros = part.and_then(|part| micros.checked_add(part)).ok_or_else(too_long)?;
        rest = after.trim_start();
    }
    if text.trim().is_empty() { Err(explain(text)) } else { Ok(Duration::from_micros(micros)) }
}

/// The microseconds of the first number and its unit, none if they are too many, and what follows.
fn first_part(text: &str) -> Option<(Option<u64>, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let rest = rest.trim_start();
    let (name, rest) = rest.split_at(rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()));
    Some((times(number, unit_of(name)?)?, rest))
}

fn unit_of(name: &str) -> Option<u64> {
    let singular = name.strip_suffix('s').filter(|singular| singular.len() > 1);
    let is_named = |names: &[&str]| names.iter().any(|known| *known == name || Some(*known) == singular);
    UNITS.iter().find(|(names, _)| is_named(names)).map(|(_, micros)| *micros)
}

/// A number such as `12` or `1.5` times a unit, if it comes to whole microseconds; none within if that is too many.
fn times(number: &str, unit: u64) -> Option<Option<u64>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit);
    if part % u128::from(scale) != 0 {
        return None;
    }
    let whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit));
    Some(whole.and_then(|whole| whole.checked_add((part / u128::from(scale)) as u64)))
}

fn too_long() -> String {
    format!("a length of time is at most {}w", u64::MAX / UNITS[0].1)
}

fn explain(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return format!("add a unit: {text}s, {text}m, {text}h");
    }
    if let Some(length) = text.strip_prefix('-') {
        return format!("a length of time cannot be negative: say {length}");
    }
    if unit_of(text).is_some() {
        return format!("add a number: 1{text}");
    }
    if let Some(meant) = meant(text) {
        return format!("say {}", compact(meant));
    }
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').to_lowercase();
    if ["mo", "month", "months", "y", "yr", "year", "years"].contains(&&*unit) {
        return "months and years differ in length: say days, such as 30d or 365d".to_owned();
    }
    "a length of time is a number and a unit (us, ms, s, m, h, d, w), such as 30s or 1h30m".to_owned()
}

/// The length that is meant in capitals, by a plus, as ISO 8601 writes it (`PT30M`), or as clocks show it (`00:30:00`).
fn meant(text: &str) -> Option<Duration> {
    let small = text.to_lowercase();
    let length = small.strip_prefix("pt").or(small.strip_prefix('+')).unwrap_or(&small);
    let clock: Vec<u64> = text.split(':').map_while(|part| part.parse().ok()).collect();
    match clock[..] {
        [hours, minutes, seconds] if text.matches(':').count() == 2 => {
            parse(&format!("{hours}h{minutes}m{seconds}s")).ok()
        }
        _ if length != text => parse(length).ok(),
        _ => None,
    }
}

/// Reads `SIZE/SLIDE`, or `SIZE` alone for windows that follow each other.
pub fn parse_pair(text: &str) -> Result<(Duration, Duration), String> {
    let (size, slide) = text.split_once('/').unwrap_or((text, text));
    let form =
        |error| if text.matches('/').count() == 1 { error } else { format!("say SIZE/SLIDE, as in 10m/1m: {error}") };
    Ok((parse(size).map_err(form)?, parse(slide).map_err(form)?))
}

/// Reads the name of a calendar unit.
pub fn unit(text: &str) -> Result<Unit, String> {
    text.parse().map_err(|error: UnitError| error.to_string())
}

/// Writes a length of time as it could be given as an option: `1h30m`.
pub fn compact(length: Duration) -> String {
    let mut rest = length.as_micros();
    let mut text = String::new();
    for (names, micros) in UNITS {
        let width = u128::from(micros);
        if rest >= width {
            text += &format!("{}{}", rest / width, names[0]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_as_people_write_them() {
        for (text, is) in [
            ("30s", "30s"),
            ("1h30m", "1h30m"),
            ("1h 30m", "1h30m"),
            ("30 m", "30m"),
            (" 30m ", "30m"),
            ("30min", "30m"),
            ("30mins", "30m"),
            ("30 minutes", "30m"),
            ("1 hour 1 second", "1h1s"),
            ("2weeks", "2w"),
            ("1.5h", "1h30m"),
            ("0.25s", "250ms"),
            ("1.000001s", "1s1us"),
            ("500\u{b5}s", "500us"),
            ("0s", "0s"),
            ("30500568w", "30500568w"),
        ] {
            assert_eq!(parse(text).map(compact), Ok(is.to_owned()), "{text}");
        }
        let usual = "a length of time is a number and a unit (us, ms, s, m, h, d, w), such as 30s or 1h30m";
        let calendar = "months and years differ in length: say days, such as 30d or 365d";
        for (text, sentence) in [
            ("", usual),
            ("x", usual),
            ("1x", usual),
            ("1..5h", usual),
            (".5h", usual),
            ("5.h", usual),
            ("1.0000001s", usual),
            ("1h30", usual),
            ("00:30", usual),
            ("30", "add a unit: 30s, 30m, 30h"),
            ("-5m", "a length of time cannot be negative: say 5m"),
            ("minute", "add a number: 1minute"),
            ("30M", "say 30m"),
            ("+30m", "say 30m"),
            ("PT30M", "say 30m"),
            ("PT1H30M", "say 1h30m"),
            ("00:30:00", "say 30m"),
            ("300000y", calendar),
            ("1 month", calendar),
            ("6mo", calendar),
            ("30500569w", "a length of time is at most 30500568w"),
            ("99999999999999999999s", "a length of time is at most 30500568w"),
        ] {
            assert_eq!(parse(text), Err(sentence.to_owned()), "{text}");
        }
        assert_eq!(parse_pair("10m/1m"), Ok((Duration::from_secs(600), Duration::from_secs(60))));
        for text in ["10m:1m", "10m,1m", "10m/1m/1s"] {
            assert_eq!(parse_pair(text), Err(format!("say SIZE/SLIDE, as in 10m/1m: {usual}")), "{text}");
        }
    }
}
