//! Times as files write them, read as microseconds.
//!
//! The form is told by each value on its own, never by those before it, so the result does not
//! depend on the order of lines:
//!
//! | form | example |
//! |---|---|
//! | RFC 3339, 0 to 9 digits of fraction, any offset | `2018-11-29T23:35:10.123456789+01:00` |
//! | the same without a zone: taken as UTC | `2018-11-29 23:35:10.5` |
//! | with the word UTC, GMT or Z | `2019-10-01 00:00:00 UTC` |
//! | Unix seconds: up to 11 digits before the point | `1543534510.123` |
//! | Unix milliseconds: 12 to 14 digits | `1543534510123` |
//! | Unix microseconds: 15 to 17 digits | `1543534510123456` |
//! | Unix nanoseconds: 18 digits and more | `1543534510123456789` |
//! | the web server log's own | `17/May/2015:10:05:03 +0000` |
//!
//! Where these limits are wrong (milliseconds before March 1973 have 11 digits and count as
//! seconds), `--time-format` says the unit. A fraction of
//! a microsecond is cut off. Second 60 is the first instant of the next minute.

use std::cell::Cell;

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use stagger::Timestamp;

#[derive(Clone, Debug)]
pub enum TimeFormat {
    /// By the form of each value.
    Auto,
    Iso,
    /// A Unix time, in units of 10^-n seconds.
    Unix(u32),
    /// As in web server logs.
    Log,
    /// A pattern with `%`, as `strftime` has them.
    Pattern(Vec<Item<'static>>),
}

impl std::str::FromStr for TimeFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "iso" => Self::Iso,
            "seconds" => Self::Unix(0),
            "millis" => Self::Unix(3),
            "micros" => Self::Unix(6),
            "nanos" => Self::Unix(9),
            "log" => Self::Log,
            pattern if pattern.contains('%') => {
                let items: Vec<Item<'_>> = StrftimeItems::new(pattern).map(Item::to_owned).collect();
                if items.contains(&Item::Error) {
                    return Err("it holds a % code that strftime does not know".to_owned());
                }
                Self::Pattern(items)
            }
            _ => {
                return Err("choose auto, iso, seconds, millis, micros, nanos or log, \
                            or give a pattern such as \"%d.%m.%Y %H:%M:%S\""
                    .to_owned());
            }
        })
    }
}

impl TimeFormat {
    /// The instant that a text names, if it is of this form and within the range of timestamps.
    pub fn parse(&self, text: &str) -> Option<Timestamp> {
        self.parse_after(text, &Recent::default())
    }

    /// The same, with less work if the text names the same minute as the one before.
    #[inline]
    pub fn parse_after(&self, text: &str, recent: &Recent) -> Option<Timestamp> {
        let is_bare = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
        let bytes = text.as_bytes();
        let text = if is_bare(bytes.first()) && is_bare(bytes.last()) { text } else { text.trim() };
        let micros = match self {
            Self::Auto => auto(text, recent),
            Self::Iso => iso(text.as_bytes(), recent),
            Self::Unix(digits) => unix(text, *digits),
            Self::Log => log(text.as_bytes()),
            Self::Pattern(items) => pattern(text, items),
        };
        micros.map(Timestamp::from_micros)
    }
}

/// The minute that was read last. Most lines are of the same one as the line before.
#[derive(Clone, Debug, Default)]
pub struct Recent(Cell<(Minute, i64)>);

/// `2018-11-29T23:35`
type Minute = [u8; 16];

impl Recent {
    /// Seconds from 1970 to a minute.
    #[inline]
    fn seconds_to(&self, minute: &Minute) -> Option<i64> {
        let (known, seconds) = self.0.get();
        if u128::from_ne_bytes(known) == u128::from_ne_bytes(*minute) {
            return Some(seconds);
        }
        let seconds = seconds_to(minute)?;
        self.0.set((*minute, seconds));
        Some(seconds)
    }
}

#[inline]
fn auto(text: &str, recent: &Recent) -> Option<i64> {
    let bytes = text.as_bytes();
    match (bytes.get(2), bytes.get(4)) {
        (_, Some(b'-')) => iso(bytes, recent),
        (Some(b'/'), _) => log(bytes),
        _ => unix(text, unit_of(text)),
    }
}

/// The unit that a Unix time must be in to lie within some thousand years of today.
fn unit_of(number: &str) -> u32 {
    let digits = number.trim_start_matches(['-', '+']);
    let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    match digits[..whole].trim_start_matches('0').len() {
        0..=11 => 0,
        12..=14 => 3,
        15..=17 => 6,
        _ => 9,
    }
}

/// A decimal number of units of 10^-digits seconds, rounded down to microseconds.
fn unix(text: &str, digits: u32) -> Option<i64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Digits beyond the 19 that an i64 can hold, after the point, are below a microsecond.
    let fraction = &fraction[..fraction.len().min(18)];
    let shift = exponent.parse::<i32>().ok().filter(|e| e.abs() <= 30)? + 6 - digits as i32 - fraction.len() as i32;
    let number = sign * format!("{whole}{fraction}").parse::<i128>().ok()?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let micros = if shift < 0 { number.div_euclid(power) } else { number.checked_mul(power)? };
    micros.try_into().ok()
}

/// `YYYY-MM-DD`, `T` or blank, `HH:MM:SS`, a fraction, a zone; the last two may be absent.
#[inline]
fn iso(bytes: &[u8], recent: &Recent) -> Option<i64> {
    let (minute, rest) = bytes.split_first_chunk()?;
    let seconds = recent.seconds_to(minute)?;
    let &[b':', s1, s2, ref rest @ ..] = rest else { return None };
    let second = two([s1, s2]).filter(|second| *second <= 60)?;
    let (fraction, rest) = match rest {
        [b'.' | b',', digits @ ..] => fraction(digits)?,
        _ => (0, rest),
    };
    Some((seconds + second - zone(rest)?) * 1_000_000 + fraction)
}

fn seconds_to(minute: &Minute) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2] = minute else {
        return None;
    };
    let year = two([y1, y2])? * 100 + two([y3, y4])?;
    let days = days_from_1970(year, two([m1, m2])?, two([d1, d2])?)?;
    Some(days * 86_400 + of_day(&[h1, h2, b':', n1, n2, b':', b'0', b'0'])?)
}

/// `17/May/2015:10:05:03 +0000`
fn log(bytes: &[u8]) -> Option<i64> {
    let (date, rest) = bytes.split_at_checked(12)?;
    let &[d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':'] = date else { return None };
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = MONTHS.iter().position(|name| **name == [m1, m2, m3])? as i64 + 1;
    let days = days_from_1970(two([y1, y2])? * 100 + two([y3, y4])?, month, two([d1, d2])?)?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let zone = zone(rest.strip_prefix(b" ")?)?;
    Some((days * 86_400 + of_day(clock)? - zone) * 1_000_000)
}

fn days_from_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)?;
    const DAYS_TO_1970: i32 = 719_163;
    Some(i64::from(date.num_days_from_ce() - DAYS_TO_1970))
}

/// Seconds from midnight to `HH:MM:SS`.
fn of_day(clock: &[u8]) -> Option<i64> {
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let (hour, minute, second) = (two([h1, h2])?, two([m1, m2])?, two([s1, s2])?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Digits after the point, as microseconds, and what follows them.
#[inline]
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    let micros = match *digits {
        // As most programs write it: without a loop.
        [a, b, c, d, e, f] => number([a, b, c, d, e, f]),
        _ if (1..=9).contains(&length) => {
            let mut six = [b'0'; 6];
            let kept = length.min(6);
            six[..kept].copy_from_slice(&digits[..kept]);
            number(six)
        }
        _ => return None,
    };
    Some((micros, rest))
}

/// Of digits.
#[inline]
fn number<const N: usize>(digits: [u8; N]) -> i64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

/// The offset of a zone from UTC in seconds. No zone at all is UTC.
#[inline]
fn zone(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() {
        return Some(0);
    }
    let bytes = bytes.trim_ascii_start();
    let (sign, digits) = match bytes {
        b"" | b"Z" | b"z" | b"UTC" | b"GMT" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [h1, h2] => (two([h1, h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two([h1, h2])?, two([m1, m2])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn two([a, b]: [u8; 2]) -> Option<i64> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
}

/// A time without a zone is UTC, a date without a time is its midnight.
fn pattern(text: &str, items: &[Item<'_>]) -> Option<i64> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
    let time: DateTime<Utc> = parsed
        .to_datetime()
        .map(|zoned| zoned.to_utc())
        .or_else(|_| parsed.to_naive_datetime_with_offset(0).map(|local| local.and_utc()))
        .or_else(|_| parsed.to_naive_date().map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc()))
        .ok()?;
    Some(time.timestamp_micros())
}
