//! Times in words, of which no part can be another: the month has a name, or the year is first.
//!
//! | form | example |
//! |---|---|
//! | RFC 5322 and HTTP | `Mon, 04 Mar 2024 10:00:00 +0100`, `Mon, 04 Mar 2024 09:00:00 GMT` |
//! | `date`, C, Ruby, Twitter | `Mon Mar  4 09:00:00 UTC 2024`, `Mon Mar 04 09:00:00 +0000 2024` |
//! | JavaScript | `Mon Mar 04 2024 10:00:00 GMT+0100 (Central European Standard Time)` |
//! | Kibana, Java | `Mar 4, 2024 @ 09:00:00.000`, `Mar 4, 2024, 9:00:00 AM` |
//! | databases | `04-MAR-2024 09.00.00.000000 AM`, `Mar  4 2024  9:00AM`, `04 Mar 2024 09:00:00:000` |
//! | the year first | `2024-3-4 9:00:00`, `2024-03-04 09:00:00 PM` |
//! | Go | `2024-03-04 09:00:00.5 +0000 UTC m=+0.000123` |
//!
//! The parts may come in any order. A month is named in English. A day of the week must be that of the date. A year has
//! four digits. A zone is an offset, UTC or GMT: other names have several meanings.

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};

/// A time as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Worded {
    /// Microseconds since 1970; of a local time as if it were UTC.
    pub(super) micros: i64,
    pub(super) is_local: bool,
    pub(super) is_leap: bool,
}

/// What may be missing to a time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lacks {
    Year,
    /// The year has two digits.
    Century,
    Date,
    Clock,
    /// Anything else.
    Meaning,
}

/// The time that a text names, or what it lacks.
#[cold]
pub(super) fn read(text: &str) -> Result<Worded, Lacks> {
    let mut parts = Parts::default();
    for word in text.split_whitespace() {
        if word.starts_with('(') && parts.offset.is_some() {
            break; // the name of the zone
        }
        parts.take(word.trim_end_matches(',')).ok_or(Lacks::Meaning)?;
    }
    parts.time()
}

#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    weekday: Option<u32>,
    clock: Option<Clock>,
    /// Whether twelve hours are to be added to those before noon.
    is_afternoon: Option<bool>,
    /// In seconds.
    offset: Option<i64>,
    has_short_year: bool,
}

struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    micros: i64,
}

impl Parts {
    /// Takes a word, if it has a meaning that no word before had.
    fn take(&mut self, word: &str) -> Option<()> {
        if let Some(number) = small_number(word) {
            return if word.len() == 4 { set(&mut self.year, number as i32) } else { self.take_day(word, number) };
        }
        if let Some(month) = named(word, &MONTHS) {
            return set(&mut self.month, month + 1);
        }
        if let Some(weekday) = named(word.trim_end_matches('.'), &WEEKDAYS) {
            return set(&mut self.weekday, weekday);
        }
        if let Some(is_afternoon) = afternoon(word) {
            return set(&mut self.is_afternoon, is_afternoon);
        }
        if let Some(offset) = offset(word) {
            // `+0000 UTC`: the name behind an offset adds nothing.
            return if self.offset == Some(offset) { Some(()) } else { set(&mut self.offset, offset) };
        }
        if self.offset.is_some() && (is_zone_name(word) || word.starts_with("m=")) {
            return Some(());
        }
        if matches!(word, "@" | "at") {
            return Some(());
        }
        self.take_date(word).or_else(|| self.take_clock(word))
    }

    fn take_day(&mut self, word: &str, day: u32) -> Option<()> {
        (word.len() <= 2).then_some(())?;
        set(&mut self.day, day)
    }

    /// `04-Mar-2024`, `2024-3-4`.
    fn take_date(&mut self, word: &str) -> Option<()> {
        let mut parts = word.split(['-', '/']);
        let [first, second, third] = [parts.next()?, parts.next()?, parts.next()?];
        if parts.next().is_some() {
            return None;
        }
        if let Some(month) = named(second, &MONTHS) {
            self.take_day(first, small_number(first)?)?;
            let year = small_number(third)?;
            self.has_short_year = third.len() == 2;
            set(&mut self.month, month + 1)?;
            return if third.len() == 4 { set(&mut self.year, year as i32) } else { self.has_short_year.then_some(()) };
        }
        (first.len() == 4 && second.len() <= 2).then_some(())?;
        set(&mut self.year, small_number(first)? as i32)?;
        set(&mut self.month, small_number(second)?)?;
        self.take_day(third, small_number(third)?)
    }

    /// `9:00`, `09:00:00.000`, `9:00AM`, and with points or a colon before the fraction, as databases write it.
    fn take_clock(&mut self, word: &str) -> Option<()> {
        let digits = word.trim_end_matches(|end: char| end.is_ascii_alphabetic());
        if digits.len() < word.len() {
            set(&mut self.is_afternoon, afternoon(&word[digits.len()..])?)?;
        }
        let mark = if digits.contains(':') { ':' } else { '.' };
        let mut parts = digits.splitn(4, mark);
        let [hour, minute] = [parts.next()?, parts.next()?];
        // `9.30` may be a number.
        let second = parts.next().or((mark == ':').then_some("00"))?;
        let (second, fraction) = match parts.next() {
            Some(fraction) => (second, fraction),
            None => second.split_once(['.', ',']).unwrap_or((second, "0")),
        };
        let number = |text: &str, least: usize| small_number(text).filter(|_| (least..=2).contains(&text.len()));
        let (hour, minute, second) = (number(hour, 1)?, number(minute, 2)?, number(second, 2)?);
        let clock = Clock { hour, minute, second, micros: micros(fraction)? };
        set(&mut self.clock, clock)
    }

    fn time(self) -> Result<Worded, Lacks> {
        let Self { year, month, day, weekday, clock, is_afternoon, offset, has_short_year } = self;
        let (year, month, day) = match (year, month, day) {
            (Some(year), Some(month), Some(day)) => (year, month, day),
            (None, Some(_), Some(_)) => return Err(if has_short_year { Lacks::Century } else { Lacks::Year }),
            (None, None, None) if clock.is_some() => return Err(Lacks::Date),
            _ => return Err(Lacks::Meaning),
        };
        let Clock { hour, minute, second, micros } = clock.ok_or(Lacks::Clock)?;
        let hour = match is_afternoon {
            None => Some(hour),
            Some(is_afternoon) => (1..=12).contains(&hour).then_some(hour % 12 + 12 * u32::from(is_afternoon)),
        };
        let date = NaiveDate::from_ymd_opt(year, month, day)
            .filter(|date| weekday.is_none_or(|weekday| date.weekday().num_days_from_monday() == weekday));
        let is_leap = second == 60;
        let clock = hour.and_then(|hour| NaiveTime::from_hms_opt(hour, minute, if is_leap { 59 } else { second }));
        let (Some(date), Some(clock)) = (date, clock) else { return Err(Lacks::Meaning) };
        let seconds =
            date.and_time(NaiveTime::MIN).and_utc().timestamp() + i64::from(clock.num_seconds_from_midnight());
        let seconds = seconds + i64::from(is_leap) - offset.unwrap_or(0);
        Ok(Worded { micros: seconds * 1_000_000 + micros, is_local: offset.is_none(), is_leap })
    }
}

fn set<T>(part: &mut Option<T>, value: T) -> Option<()> {
    part.is_none().then(|| *part = Some(value))
}

/// A number of one to four digits.
fn small_number(word: &str) -> Option<u32> {
    let is_number = (1..=4).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| word.parse().ok()).flatten()
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The number of a name, which may be cut to three letters.
fn named(word: &str, names: &[&str]) -> Option<u32> {
    let is_name = |name: &&str| name.eq_ignore_ascii_case(word) || name[..3].eq_ignore_ascii_case(word);
    names.iter().position(is_name).map(|number| number as u32)
}

fn afternoon(word: &str) -> Option<bool> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("pm") { Some(true) } else { is("am").then_some(false) }
}

/// `+0100`, `+01:00`, `GMT+0100`, `UTC`, in seconds.
fn offset(word: &str) -> Option<i64> {
    let rest = ["UTC", "GMT"].iter().find_map(|name| word.strip_prefix(name)).unwrap_or(word);
    if rest.is_empty() || word == "Z" {
        return Some(0);
    }
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(2))?;
    let two = |text: &str| small_number(text).filter(|_| text.len() == 2).map(i64::from);
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn is_zone_name(word: &str) -> bool {
    (1..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The digits behind a point, as microseconds.
fn micros(fraction: &str) -> Option<i64> {
    let is_digits = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| format!("{fraction:0<6}")[..6].parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE: i64 = 1_709_542_800_000_000;

    #[test]
    fn each_form_is_read() {
        let utc =
            |text: &str| assert_eq!(read(text), Ok(Worded { micros: NINE, is_local: false, is_leap: false }), "{text}");
        let local =
            |text: &str| assert_eq!(read(text), Ok(Worded { micros: NINE, is_local: true, is_leap: false }), "{text}");
        utc("Mon, 04 Mar 2024 10:00:00 +0100");
        utc("Mon, 4 Mar 2024 09:00:00 GMT");
        utc("Mon Mar  4 09:00:00 UTC 2024");
        utc("Mon Mar 04 09:00:00 +0000 2024");
        utc("Mon Mar 04 2024 10:00:00 GMT+0100 (Central European Standard Time)");
        utc("2024-03-04 09:00:00 +0000 UTC m=+0.000123");
        utc("2024-03-04 10:00:00 +0100 CET m=+0.000123");
        utc("2024-03-04 10:00:00 UTC+01:00");
        local("Mon Mar  4 09:00:00 2024");
        local("Mar 4, 2024 @ 09:00:00.000");
        local("March 4, 2024 at 9:00 AM");
        local("Mar 4, 2024, 9:00:00\u{202f}AM");
        local("04-MAR-2024 09.00.00.000000 AM");
        local("Mar  4 2024  9:00AM");
        local("04 Mar 2024 09:00:00:000");
        local("04/Mar/2024 09:00:00");
        local("2024-3-4 9:00:00");
        local("2024-03-04 09:00:00 AM");
        local("2024/3/4  9:00");
    }

    #[test]
    fn twelve_is_the_beginning_of_a_half_day() {
        let micros = |text: &str| read(text).map(|read| read.micros - NINE + 9 * 3_600_000_000);
        assert_eq!(micros("Mar 4, 2024 12:30:00 AM"), Ok(1_800_000_000));
        assert_eq!(micros("Mar 4, 2024 12:30:00 PM"), Ok(45_000_000_000));
        assert_eq!(micros("2024-03-04 02:00:00.25 PM"), Ok(50_400_250_000));
        assert_eq!(read("Mar 4, 2024 13:00:00 PM"), Err(Lacks::Meaning));
        assert_eq!(read("Mar 4, 2024 0:00:00 AM"), Err(Lacks::Meaning));
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(read("Mar  4 09:00:00"), Err(Lacks::Year));
        assert_eq!(read("Monday, 04-Mar-24 09:00:00 GMT"), Err(Lacks::Century));
        assert_eq!(read("09:00:00"), Err(Lacks::Date));
        assert_eq!(read("Mar 4, 2024"), Err(Lacks::Clock));
        for text in ["", "x", "4 mars 2024 09:00:00", "Tue, 04 Mar 2024 09:00:00 GMT", "30 Feb 2024 09:00:00"] {
            assert_eq!(read(text), Err(Lacks::Meaning), "{text}");
        }
        for text in ["04.03.2024 09:00:00", "3/4/2024 9:00:00 AM", "2024-03-04T9:00", "2024-03-04 9.30"] {
            assert_eq!(read(text), Err(Lacks::Meaning), "{text}");
        }
        for text in ["Mon Mar  4 09:00:00 EST 2024", "4 Mar 2024 2024 09:00:00", "4 Mar 2024 09:00:00 +0100 +0200"] {
            assert_eq!(read(text), Err(Lacks::Meaning), "{text}");
        }
        // A line that breaks off within them.
        for text in ["2024-03-04 09:1", "2024-03-04 09:00:1", "4 Mar 2024 09:", "4 Mar 2024 09:00:"] {
            assert_eq!(read(text), Err(Lacks::Meaning), "{text}");
        }
        for text in ["4 Mar 2024 24:00:00", "4 Mar 2024 09:60:00", "4 Mar 2024 -1:00:00", "4 Mar 12024 09:00:00"] {
            assert_eq!(read(text), Err(Lacks::Meaning), "{text}");
        }
    }
}
