//! Times as files write them, read as microseconds.
//!
//! The form is told by each value on its own, never by those before it, so the result does not
//! depend on the order of lines:
//!
//! | form | example |
//! |---|---|
//! | RFC 3339, 0 to 9 digits of fraction, any offset | `2018-11-29T23:35:10.123456789+01:00` |
//! | the same without a zone: local time | `2018-11-29 23:35:10.5` |
//! | with the word UTC, GMT or Z | `2019-10-01 00:00:00 UTC` |
//! | without seconds, or with slashes | `2019-10-01 00:00`, `2019/10/01 00:00:00` |
//! | with the name of the zone behind the offset | `2019-10-01T02:00:00+02:00[Europe/Berlin]`, `… +0200 CEST` |
//! | Unix seconds, milliseconds, microseconds, nanoseconds | `1543534510.123`, `1.543534510123E12` |
//! | digits of a date and a time: local time | `20181129233510`, `201811292335`, `20181129T233510Z` |
//! | the web server log's own, with or without a fraction | `17/May/2015:10:05:03 +0000` |
//! | milliseconds of ASP.NET | `/Date(1543534510123)/`, `/Date(1543534510123+0100)/` |
//! | with the name of a month, or the year first: see `worded.rs` | `Thu, 29 Nov 2018 23:35:10 GMT` |
//!
//! A number is a Unix time in the unit that puts it into the [`Span`] of plausible times, 1990 to 2100 if no
//! other is given. A number that lies there in no unit is refused, and so is any other time outside of the span.
//! Digits that lie there in two ways are refused, too: `2024030409` is a second of 2034, or 9 o'clock of a day of
//! 2024. `--time-format` says the form where the span does not help. A fraction of a microsecond is cut off.
//!
//! Local times are those of the zone of the [`TimeReader`], UTC if none is given. Where clocks are set back, a time that
//! they show twice is the earlier of the two. Where clocks are set forward, a time that they skip is moved
//! forward by as much (02:30 becomes 03:30). Both are counted. RFC 5545 and java.time decide in the same way.
//!
//! Second 60 is the first instant of the next minute. It is accepted where a leap second can be: at the end of
//! June or December in UTC.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use stagger::Timestamp;

use super::numbers::Decimal;
use super::seen::{Forms, TimesSeen};
use super::worded::{self, Lacks, Worded};
use crate::eight::{self, Pattern};
use crate::zones::{AnyZone, Local};

#[derive(Clone, Debug)]
pub enum TimeFormat {
    /// By the form of each value.
    Auto,
    Iso,
    /// A Unix time, in units of 10^-n seconds.
    Unix(u32),
    /// Days since 1899-12-30, as spreadsheets count them.
    Excel,
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
            "excel" => Self::Excel,
            "log" => Self::Log,
            pattern if pattern.contains('%') => Self::Pattern(items(pattern)?),
            _ => {
                return Err("choose auto, iso, seconds, millis, micros, nanos, excel or log, \
                            or give a pattern such as \"%d.%m.%Y %H:%M:%S\""
                    .to_owned());
            }
        })
    }
}

impl TimeFormat {
    /// The instant that a text names, if it is of this form and within the range of timestamps. Local times
    /// are UTC.
    pub fn parse(&self, text: &str) -> Option<Timestamp> {
        self.parse_after(text, &Recent::default())
    }

    /// The same, with less work if the text names the same minute as the one before.
    #[inline]
    pub fn parse_after(&self, text: &str, recent: &Recent) -> Option<Timestamp> {
        let read = self.read(text, Span::PLAUSIBLE, recent)?;
        if read.form.has(Forms::LEAP) && !can_be_leap(read.micros) {
            return None;
        }
        Some(Timestamp::from_micros(read.micros))
    }

    /// The time that a text means, by this form.
    #[inline]
    fn read(&self, text: &str, span: Span, recent: &Recent) -> Option<Read> {
        let is_bare = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
        let bytes = text.as_bytes();
        let text = if is_bare(bytes.first()) && is_bare(bytes.last()) { text } else { text.trim() };
        match self {
            Self::Auto => auto(text, span, recent),
            Self::Iso => iso(text.as_bytes(), recent),
            Self::Unix(digits) => unix(text, *digits),
            Self::Excel => excel(text),
            Self::Log => log(text.as_bytes()),
            Self::Pattern(items) => pattern(text, items),
        }
    }
}

/// A time as it was written, and in which form.
#[derive(Clone, Copy)]
struct Read {
    /// Microseconds since 1970; of a local time as if it were UTC.
    micros: i64,
    form: Forms,
}

/// The times that a number may mean when nobody says its unit, `FROM..TO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Microseconds since 1970, both included.
    from: i64,
    to: i64,
}

impl Span {
    /// 1990 to 2100.
    pub const PLAUSIBLE: Self = Self { from: 631_152_000_000_000, to: 4_102_444_800_000_000 };
    pub const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    fn contains(self, micros: i64) -> bool {
        self.from <= micros && micros <= self.to
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let explain = || "give two years or times with two points between them, such as 1970..2100".to_owned();
        let (from, to) = text.split_once("..").ok_or_else(explain)?;
        let bound = |text: &str, open: i64| match text.len() {
            0 => Some(open),
            4 => TimeFormat::Iso.parse(&format!("{text}-01-01T00:00:00Z")).map(Timestamp::as_micros),
            10 => TimeFormat::Iso.parse(&format!("{text}T00:00:00Z")).map(Timestamp::as_micros),
            _ => TimeFormat::Iso.parse(text).map(Timestamp::as_micros),
        };
        let from = bound(from, i64::MIN).ok_or_else(explain)?;
        let to = bound(to, i64::MAX).ok_or_else(explain)?;
        if from < to { Ok(Self { from, to }) } else { Err("the second time must be later than the first".to_owned()) }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day = |micros: i64| Timestamp::from_micros(micros).to_string()[..10].to_owned();
        match (self.from, self.to) {
            (i64::MIN, i64::MAX) => f.write_str("ever"),
            (i64::MIN, to) => write!(f, "before {}", day(to)),
            (from, i64::MAX) => write!(f, "after {}", day(from)),
            (from, to) => write!(f, "from {} to {}", day(from), day(to)),
        }
    }
}

/// The meaning of the times of a field.
#[derive(Clone, Debug)]
pub struct TimeMeaning {
    pub format: TimeFormat,
    /// The zone of times that name none; UTC if not given.
    pub zone: Option<AnyZone>,
    pub span: Span,
}

impl Default for TimeMeaning {
    fn default() -> Self {
        Self { format: TimeFormat::Auto, zone: None, span: Span::PLAUSIBLE }
    }
}

/// Reads the times of one field, and remembers their forms.
#[derive(Clone, Debug, Default)]
pub struct TimeReader {
    meaning: TimeMeaning,
    recent: Recent,
    forms: Cell<Forms>,
    seen: RefCell<TimesSeen>,
}

impl TimeReader {
    pub fn new(meaning: TimeMeaning) -> Self {
        Self { meaning, ..Self::default() }
    }

    /// What its times mean.
    pub(super) fn meaning(&self) -> &TimeMeaning {
        &self.meaning
    }

    /// The instant that a text names.
    #[inline]
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        match self.read_alike(text.as_bytes()) {
            Some((time, length)) if length == text.len() => Some(time),
            _ => self.read_any(text),
        }
    }

    /// The instant of a time that begins a text, if it is written like the one before and lies in the same hour.
    /// Comes with its length; it has no control character, quote or backslash.
    #[inline(always)]
    pub(super) fn read_alike(&self, text: &[u8]) -> Option<(Timestamp, usize)> {
        self.recent.alike.borrow().as_ref()?.read(text)
    }

    /// The same, whatever the text before it was.
    #[inline(never)]
    fn read_any(&self, text: &str) -> Option<Timestamp> {
        let TimeMeaning { format, zone, span } = &self.meaning;
        let Read { mut micros, form } = format.read(text, *span, &self.recent)?;
        let mut unusual = None;
        if form.has(Forms::LOCAL)
            && let Some(zone) = zone
        {
            (micros, unusual) = self.utc(micros, zone);
        }
        let is_auto = matches!(format, TimeFormat::Auto);
        if (form.has(Forms::LEAP) && !can_be_leap(micros)) || (is_auto && !span.contains(micros)) {
            return None;
        }
        let known = self.forms.get();
        let form = if span.contains(micros) { form } else { form.with(Forms::OUTSIDE) };
        if known.with(form) != known {
            self.remember(form, text, micros);
        }
        match unusual {
            Some(local) => self.seen.borrow_mut().unusual(local),
            None if matches!(format, TimeFormat::Auto | TimeFormat::Iso) => {
                let is_within = |alike: &Alike| span.contains(alike.hour) && span.contains(alike.hour + 60 * MINUTE);
                // In a zone, the clocks may be changed at any minute.
                let alike = Alike::to(text.as_bytes(), micros, zone.is_none() || form.has(Forms::ZONED));
                self.recent.alike.replace(alike.filter(|alike| !is_auto || is_within(alike)));
            }
            None => {}
        }
        Some(Timestamp::from_micros(micros))
    }

    /// Why a text is no time, with what helps.
    #[cold]
    pub fn hint(&self, text: &str) -> Option<String> {
        let text = text.trim();
        let is_auto = matches!(self.meaning.format, TimeFormat::Auto);
        if is_auto && text.len() == 10 && self.meaning.format.parse(&format!("{text}T00:00:00")).is_some() {
            let pattern = if text.contains('/') { "%Y/%m/%d" } else { "%Y-%m-%d" };
            return Some(format!("it names no time of day: --time-format {pattern} reads it as its midnight"));
        }
        let outside = || format!("it is not {}", self.meaning.span);
        let Some(number) = Decimal::parse(text).filter(|_| is_auto) else {
            let is_outside = is_auto && self.meaning.format.parse(text).is_some();
            let is_numeric = is_auto && looks_numeric(text);
            return match is_outside {
                true => Some(format!("{}: widen --plausible if that is right", outside())),
                false if is_numeric => Some(
                    "say its form: --time-format '%d.%m.%Y %H:%M:%S', or '%m/%d/%Y %I:%M:%S %p' if the month is first"
                        .to_owned(),
                ),
                false => (is_auto && text.contains(|c: char| c.is_ascii_digit())).then(|| self.lack(text)),
            };
        };
        if plausible(text, self.meaning.span).is_some() && has_date(text.as_bytes(), self.meaning.span) {
            let pattern = &"%Y%m%d%H%M%S"[..text.len().min(14) - 2];
            return Some(format!(
                "it can be a Unix time or the digits of a date: pass --time-format seconds (or millis, micros), or \
                 --time-format {pattern}"
            ));
        }
        let is_date = text.len() == 8 && date_of_digits(text.as_bytes()).is_some();
        let is_sheet = number.scaled(0).is_some_and(|days| (30_000..80_000).contains(&days));
        if number.scaled(-3).is_some_and(is_ticks) {
            return Some("it looks like ticks of .NET: write them as Unix times or ISO 8601".to_owned());
        }
        // Steps of 100 ns since 1601, from 1990 to 2100.
        if number.scaled(-3).is_some_and(|micros| (122_000_000_000_000..158_000_000_000_000).contains(&micros)) {
            return Some("it looks like a FILETIME of Windows: write it as a Unix time or in ISO 8601".to_owned());
        }
        if let Some(pattern) = pattern_with_fraction(text) {
            return Some(format!(
                "it looks like the digits of a date and a time, with a fraction: --time-format {pattern} reads it"
            ));
        }
        let way = match (is_date, is_sheet) {
            (true, _) => "--time-format %Y%m%d reads it as a date",
            (_, true) => "--time-format excel reads it as days of a spreadsheet",
            _ => "say its unit with --time-format, or widen --plausible",
        };
        Some(format!("as a Unix time in any unit it is not {}: {way}", self.meaning.span))
    }

    /// What a text lacks to be a time.
    fn lack(&self, text: &str) -> String {
        let is_time = |text: &str| self.meaning.format.parse(text).is_some();
        if let Some((time, zone)) = text.rsplit_once(' ')
            && zone.bytes().all(|byte| byte.is_ascii_alphabetic())
            && is_time(time)
        {
            return format!(
                "no offset is known of `{zone}`: write it into a pattern, as in --time-format '%Y-%m-%d %H:%M:%S {zone}', \
                 and name the zone with --input-zone"
            );
        }
        match worded::read(text) {
            Err(Lacks::Year) => "it names no year: have the program that writes it add one",
            Err(Lacks::Century) => "its year has two digits: say its form, such as --time-format '%d-%b-%y %H:%M:%S'",
            Err(Lacks::Date) => "it names no date: join the date and the time of day into one field",
            Err(Lacks::Clock) => "it names no time of day: say its form, such as --time-format '%b %d, %Y'",
            _ if text.contains(',') && Decimal::parse(&text.replacen(',', ".", 1)).is_some() => {
                "it has a comma in the place of a point"
            }
            _ if looks_iso(text) => "there is no such date or time of day, or other text is behind it",
            _ => "say its form, such as --time-format '%d.%m.%Y %H:%M:%S'",
        }
        .to_owned()
    }

    pub fn seen(&self) -> TimesSeen {
        let mut seen = self.seen.borrow().clone();
        seen.span = self.meaning.span.to_string();
        seen.zone = self.meaning.zone.as_ref().map(stagger::calendar::Zone::name);
        seen
    }

    #[cold]
    fn remember(&self, form: Forms, text: &str, micros: i64) {
        self.forms.set(self.forms.get().with(form));
        self.seen.borrow_mut().add(form, text, Timestamp::from_micros(micros));
    }

    /// A local time as UTC, and what there is to tell of it.
    #[inline]
    fn utc(&self, local: i64, zone: &AnyZone) -> (i64, Option<Local>) {
        let minute = local.div_euclid(MINUTE);
        let (known, offset) = self.recent.offset.get();
        if known == minute {
            return (local.saturating_sub(offset), None);
        }
        let found = zone.local(local);
        let micros = local.saturating_sub(found.offset);
        if found.is_unique() {
            self.recent.offset.set((minute, found.offset));
            return (micros, None);
        }
        (micros, Some(found))
    }
}

/// Whether second 60 can be the first instant of this minute: at the end of June or December in UTC.
#[cold]
fn can_be_leap(next: i64) -> bool {
    let next = DateTime::from_timestamp(next.div_euclid(1_000_000), 0);
    next.is_some_and(|next| next.time() == NaiveTime::MIN && next.day() == 1 && matches!(next.month(), 1 | 7))
}

const MINUTE: i64 = 60_000_000;

/// The minute that was read last. Most lines are of the same one as the line before.
#[derive(Clone, Debug)]
pub struct Recent {
    minute: Cell<(Minute, i64)>,
    /// A local minute since 1970, and how far the clocks are ahead of UTC in it.
    offset: Cell<(i64, i64)>,
    alike: RefCell<Option<Alike>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { minute: Cell::default(), offset: Cell::new((i64::MIN, 0)), alike: RefCell::default() }
    }
}

/// `2018-11-29T23:35`
type Minute = [u8; 16];

impl Recent {
    /// Seconds from 1970 to a minute.
    #[inline]
    fn seconds_to(&self, minute: &Minute) -> Option<i64> {
        let (known, seconds) = self.minute.get();
        if u128::from_ne_bytes(known) == u128::from_ne_bytes(*minute) {
            return Some(seconds);
        }
        let seconds = seconds_to(minute)?;
        self.minute.set((*minute, seconds));
        Some(seconds)
    }
}

/// The ISO time that was read last. A text that differs from it only within the hour, or within the minute, needs no
/// more than its minutes, seconds and microseconds read.
#[derive(Clone, Debug)]
struct Alike {
    /// The text of `2018-11-29T23:35:10.123456` and a zone, whose digits within the hour or minute may be any.
    pattern: Pattern,
    length: usize,
    /// When the hour began, in microseconds since 1970.
    hour: i64,
}

impl Alike {
    /// The places of the digits within the hour: the first two are those of the minute.
    const DIGITS: [usize; 10] = [14, 15, 17, 18, 20, 21, 22, 23, 24, 25];

    /// Of a text and its meaning, if they are of that form.
    fn to(text: &[u8], micros: i64, is_of_hour: bool) -> Option<Self> {
        let length = text.len();
        let is_plain = text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let goes_on = text.get(26).is_some_and(u8::is_ascii_digit);
        let has_marks = [text.get(13)?, text.get(16)?, text.get(19)?] == [&b':', &b':', &b'.'];
        if !is_plain || goes_on || !has_marks || length > Pattern::LENGTH {
            return None;
        }
        let places = if is_of_hour { &Self::DIGITS[..] } else { &Self::DIGITS[2..] };
        let mut first = [0; Pattern::LENGTH];
        first[..length].copy_from_slice(text);
        let hour = micros.checked_sub(Self::within_hour(&first)?)?;
        Some(Self { pattern: Pattern::of(text, places), length, hour })
    }

    /// The meaning and the length of a text that is like it.
    #[inline(always)]
    fn read(&self, text: &[u8]) -> Option<(Timestamp, usize)> {
        match text.first_chunk() {
            Some(text) => self.read_first(text),
            None => self.read_short(text),
        }
    }

    /// The same of a text with nothing behind it.
    #[inline(never)]
    fn read_short(&self, text: &[u8]) -> Option<(Timestamp, usize)> {
        let mut first = [0; Pattern::LENGTH];
        first.get_mut(..text.len())?.copy_from_slice(text);
        self.read_first(&first)
    }

    #[inline(always)]
    fn read_first(&self, text: &[u8; Pattern::LENGTH]) -> Option<(Timestamp, usize)> {
        let micros = Self::within_hour(text)?;
        self.pattern.fits(text).then(|| (Timestamp::from_micros(self.hour + micros), self.length))
    }

    /// The microseconds since the beginning of the hour.
    #[inline(always)]
    fn within_hour(text: &[u8; Pattern::LENGTH]) -> Option<i64> {
        let [.., m, n, _, s, t, _, a, b, c, d, e, f, _, _, _, _, _, _] = *text;
        let (minutes, micros) = (two([m, n])?, eight::number([s, t, a, b, c, d, e, f])?);
        (minutes < 60 && micros < MINUTE).then_some(minutes * MINUTE + micros)
    }
}

#[inline]
fn auto(text: &str, span: Span, recent: &Recent) -> Option<Read> {
    usual(text, span, recent).or_else(|| in_words(text)).or_else(|| of_asp_net(text))
}

/// The pattern of digits of a date and a time with a fraction of a second.
#[cold]
fn pattern_with_fraction(text: &str) -> Option<&'static str> {
    let (clock, fraction) = text.split_at_checked(14)?;
    digits(clock.as_bytes())?;
    match fraction.len() {
        _ if fraction.starts_with('.') => Some("%Y%m%d%H%M%S%.f"),
        3 => Some("%Y%m%d%H%M%S%3f"),
        6 => Some("%Y%m%d%H%M%S%6f"),
        _ => None,
    }
}

/// Milliseconds as ASP.NET writes them in JSON. An offset behind them does not change the instant.
#[cold]
fn of_asp_net(text: &str) -> Option<Read> {
    let inside = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let end = inside.get(1..)?.find(['+', '-']).map_or(inside.len(), |end| end + 1);
    unix(&inside[..end], 3)
}

#[cold]
fn in_words(text: &str) -> Option<Read> {
    let Worded { micros, is_local, is_leap } = worded::read(text).ok()?;
    let form = if is_local { Forms::LOCAL } else { Forms::ZONED };
    Some(Read { micros, form: if is_leap { form.with(Forms::LEAP) } else { form } })
}

#[inline]
fn usual(text: &str, span: Span, recent: &Recent) -> Option<Read> {
    let bytes = text.as_bytes();
    match (bytes.get(2), bytes.get(4)) {
        (_, Some(b'-')) => iso(bytes, recent),
        (Some(b'/'), _) => log(bytes),
        (_, Some(b'/')) => with_slashes(bytes),
        _ => match plausible(text, span) {
            Some(_) if has_date(bytes, span) => None,
            Some(number) => Some(number),
            None => digits(bytes).filter(|read| is_basic(bytes) || span.contains(read.micros)),
        },
    }
}

/// Whether a text begins with a day and a month in numbers.
fn looks_numeric(text: &str) -> bool {
    let mut parts = text.split(['.', '/', ' ']);
    let mut has = |digits: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    has(1..=2) && has(1..=2) && has(2..=4)
}

/// Whether a text begins with a year, a month and a day, as ISO 8601 writes them.
fn looks_iso(text: &str) -> bool {
    let is_like = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() > 10 && text.bytes().zip(*b"0000-00-00").all(is_like)
}

/// Whether the digits of a number are those of a date and an hour of the span too, perhaps with minutes and seconds.
#[inline]
fn has_date(text: &[u8], span: Span) -> bool {
    matches!((text, text.len()), ([b'1', b'9', ..] | [b'2', b'0', ..], 10 | 12 | 14)) && date_and_hour(text, span)
}

#[cold]
fn date_and_hour(text: &[u8], span: Span) -> bool {
    let mut whole = text.to_vec();
    whole.resize(14, b'0');
    digits(&whole).is_some_and(|read| span.contains(read.micros))
}

/// Whether a number of nanoseconds, here in microseconds, is that of ticks of .NET in 1990 to 2100: these are 100 ns
/// since the year 1. Taken for nanoseconds they lie between 1989 and 1991, when nobody counted any.
fn is_ticks(micros: i64) -> bool {
    (627_000_000_000_000..663_000_000_000_000).contains(&micros)
}

/// The Unix time that a number is, in the first unit that puts it into the span.
fn plausible(text: &str, span: Span) -> Option<Read> {
    const UNITS: [(Forms, i32); 4] = [(Forms::SECONDS, 6), (Forms::MILLIS, 3), (Forms::MICROS, 0), (Forms::NANOS, -3)];
    let number = Decimal::parse(text)?;
    let in_unit = |&(form, shift): &(Forms, i32)| {
        let is_rounded = number.last_digit() + shift > 6;
        let form = if is_rounded { form.with(Forms::ROUNDED) } else { form };
        Some(Read { micros: number.scaled(shift)?, form })
    };
    let read = UNITS.iter().filter_map(in_unit).find(|read| span.contains(read.micros))?;
    (!read.form.has(Forms::NANOS) || !is_ticks(read.micros)).then_some(read)
}

/// A decimal number of units of 10^-digits seconds, rounded down to microseconds.
fn unix(text: &str, digits: u32) -> Option<Read> {
    Some(Read { micros: Decimal::parse(text)?.scaled(6 - digits as i32)?, form: Forms::SAID })
}

/// Days and their fraction, to the nearest millisecond: spreadsheets cut the fraction of a day.
fn excel(text: &str) -> Option<Read> {
    const DAYS_TO_1970: i64 = 25_569;
    const SCALE: i128 = 1_000_000_000_000;
    let days = i128::from(Decimal::parse(text)?.scaled(12)?) - i128::from(DAYS_TO_1970) * SCALE;
    let millis = (days * 86_400_000 + SCALE / 2).div_euclid(SCALE);
    Some(Read { micros: i64::try_from(millis * 1_000).ok()?, form: Forms::LOCAL })
}

/// `YYYY-MM-DD`, `T` or blank, `HH:MM:SS`, a fraction, a zone; the last two may be absent.
#[inline]
fn iso(bytes: &[u8], recent: &Recent) -> Option<Read> {
    let (minute, rest) = bytes.split_first_chunk()?;
    let seconds = recent.seconds_to(minute)?;
    // Seconds may be left out: spreadsheets do.
    let (micros, rest) = if rest.first() == Some(&b':') { within_minute(rest)? } else { (0, rest) };
    let (offset, form) = zone(rest)?;
    let form = if micros >= 60_000_000 { form.with(Forms::LEAP) } else { form };
    Some(Read { micros: (seconds - offset) * 1_000_000 + micros, form })
}

/// `2024/03/04 09:00:00`, as Go and nginx's error log write it.
#[cold]
fn with_slashes(bytes: &[u8]) -> Option<Read> {
    let &[y1, y2, y3, y4, b'/', m1, m2, b'/', d1, d2, b' ', ref clock @ ..] = bytes else { return None };
    let date = [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' '];
    iso(&[&date, clock].concat(), &Recent::default())
}

/// `:SS` and a fraction, as microseconds, and the text after them.
#[inline]
fn within_minute(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let &[b':', s1, s2, ref rest @ ..] = bytes else { return None };
    // As most programs write it: without a loop.
    let six = bytes.split_first_chunk().filter(|(_, after)| !after.first().is_some_and(u8::is_ascii_digit));
    let (micros, rest) = match six.and_then(|(six, after)| Some((micros_of(six)?, after))) {
        Some(micros) => micros,
        None => {
            let (fraction, rest) = fraction(rest)?;
            (two([s1, s2])? * 1_000_000 + fraction, rest)
        }
    };
    (micros < 61_000_000).then_some((micros, rest))
}

/// `:SS.ffffff` as microseconds.
#[inline]
fn micros_of(text: &[u8; 10]) -> Option<i64> {
    let &[b':', s1, s2, b'.', a, b, c, d, e, f] = text else { return None };
    eight::number([s1, s2, a, b, c, d, e, f])
}

fn seconds_to(minute: &Minute) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ' | b'\t', h1, h2, b':', n1, n2] = minute else {
        return None;
    };
    let year = two([y1, y2])? * 100 + two([y3, y4])?;
    let days = days_from_1970(year, two([m1, m2])?, two([d1, d2])?)?;
    Some(days * 86_400 + of_day(&[h1, h2, b':', n1, n2, b':', b'0', b'0'])?)
}

/// `20181129233510`, `201811292335`, `20181129T233510`, the first and the last perhaps with a zone.
fn digits(bytes: &[u8]) -> Option<Read> {
    let (date, rest) = bytes.split_at_checked(8)?;
    let days = date_of_digits(date)?;
    let (clock, rest) = match rest {
        [h1, h2, m1, m2] => ([*h1, *h2, *m1, *m2, b'0', b'0'], &[][..]),
        [b'T', clock @ ..] | clock => {
            let (clock, rest) = clock.split_first_chunk()?;
            (*clock, rest)
        }
    };
    let [h1, h2, m1, m2, s1, s2] = clock;
    let seconds = of_day(&[h1, h2, b':', m1, m2, b':', s1, s2])?;
    let (fraction, rest) = fraction(rest)?;
    let (offset, mut form) = zone(rest)?;
    // With a fraction and no zone it may be a number.
    if !is_basic(bytes) && form.has(Forms::LOCAL) && bytes.len() > 14 {
        return None;
    }
    if s1 == b'6' {
        form = form.with(Forms::LEAP);
    }
    Some(Read { micros: (days * 86_400 + seconds - offset) * 1_000_000 + fraction, form: form.with(Forms::DIGITS) })
}

/// Whether a date and a time in digits have the letter of ISO 8601 between them: no number looks like that.
fn is_basic(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'T')
}

/// Days from 1970 to `YYYYMMDD`.
fn date_of_digits(date: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, m1, m2, d1, d2] = date else { return None };
    days_from_1970(two([y1, y2])? * 100 + two([y3, y4])?, two([m1, m2])?, two([d1, d2])?)
}

/// `17/May/2015:10:05:03 +0000`, perhaps with a fraction of a second
fn log(bytes: &[u8]) -> Option<Read> {
    let (date, rest) = bytes.split_at_checked(12)?;
    let &[d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':'] = date else { return None };
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = MONTHS.iter().position(|name| **name == [m1, m2, m3])? as i64 + 1;
    let days = days_from_1970(two([y1, y2])? * 100 + two([y3, y4])?, month, two([d1, d2])?)?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let seconds = of_day(clock)?;
    let (fraction, rest) = fraction(rest)?;
    let (offset, form) = zone(rest)?;
    let form = if clock.ends_with(b"60") { form.with(Forms::LEAP) } else { form };
    Some(Read { micros: (days * 86_400 + seconds - offset) * 1_000_000 + fraction, form })
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

/// A point and the digits behind it, as microseconds, and the text after them. Nothing is zero.
#[inline]
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', bytes @ ..] = bytes else { return Some((0, bytes)) };
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    if !(1..=9).contains(&length) {
        return None;
    }
    let mut six = [b'0'; 6];
    let kept = length.min(6);
    six[..kept].copy_from_slice(&digits[..kept]);
    Some((six.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')), rest))
}

/// The offset of a zone from UTC in seconds. No zone at all makes it a local time.
#[inline]
fn zone(bytes: &[u8]) -> Option<(i64, Forms)> {
    if bytes.is_empty() {
        return Some((0, Forms::LOCAL));
    }
    let bytes = bytes.trim_ascii_start();
    let (sign, digits) = match bytes {
        b"" | b"Z" | b"z" | b"UTC" | b"GMT" => return Some((0, Forms::ZONED)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        [b'Z', b'[', ..] => return zone(without_name(bytes)?),
        _ => return None,
    };
    let (hours, minutes) = match *digits {
        [h1, h2] => (two([h1, h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two([h1, h2])?, two([m1, m2])?),
        _ => return zone(without_name(bytes)?),
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), Forms::ZONED))
}

/// An offset without the name of the zone behind it, which adds nothing: `+01:00[Europe/Berlin]` of RFC 9557 and Java,
/// `+0100 CET` of Go.
#[cold]
fn without_name(zone: &[u8]) -> Option<&[u8]> {
    let end = zone.iter().position(|byte| matches!(byte, b'[' | b' ')).filter(|end| *end > 0)?;
    let (offset, name) = zone.split_at(end);
    let is_name = match name {
        [b'[', name @ .., b']'] => !name.is_empty() && !name.contains(&b'['),
        [b' ', name @ ..] => (1..=5).contains(&name.len()) && name.iter().all(u8::is_ascii_uppercase),
        _ => false,
    };
    is_name.then_some(offset)
}

#[inline]
fn two([a, b]: [u8; 2]) -> Option<i64> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
}

/// The items of a pattern. Refuses one that would lose a part of the text.
fn items(pattern: &str) -> Result<Vec<Item<'static>>, String> {
    // `%f` of chrono counts nanoseconds; everybody else means the digits behind the point.
    let pattern = pattern.replace(".%f", "%.f");
    let items: Vec<Item<'_>> = StrftimeItems::new(&pattern).map(Item::to_owned).collect();
    if items.contains(&Item::Error) {
        return Err("it holds a % code that strftime does not know".to_owned());
    }
    let has = |wanted: &[Item<'_>]| items.iter().any(|item| wanted.contains(item));
    if has(&[Item::Numeric(Numeric::Nanosecond, chrono::format::Pad::Zero)]) {
        return Err(
            "%f would read the digits behind the point as nanoseconds: write %.f for a point and any number of \
                    digits, or %3f, %6f, %9f for so many digits"
                .to_owned(),
        );
    }
    let offsets = [Fixed::TimezoneOffset, Fixed::TimezoneOffsetColon, Fixed::TimezoneOffsetDoubleColon];
    let more = [Fixed::TimezoneOffsetTripleColon, Fixed::TimezoneOffsetColonZ, Fixed::TimezoneOffsetZ, Fixed::RFC2822];
    let more = more.into_iter().chain(offsets).chain([Fixed::RFC3339]);
    let has_offset = items.iter().any(|item| more.clone().any(|fixed| *item == Item::Fixed(fixed)));
    if has(&[Item::Fixed(Fixed::TimezoneName)]) && !has_offset {
        return Err("%Z would skip the name of the zone: write the name itself into the pattern (UTC, CET) and give \
                    --input-zone, or write %z where the times have an offset"
            .to_owned());
    }
    // A time of which every part differs from the others and from its default.
    let sample =
        DateTime::parse_from_rfc3339("2018-11-29T23:35:10.123456789+01:00").map_err(|error| error.to_string())?;
    let mut text = String::new();
    write!(text, "{}", sample.format_with_items(items.iter()))
        .map_err(|_| "it holds %#z, by which no time can be written: write %z")?;
    let read = self::pattern(&text, &items);
    let hours = [sample.timestamp_micros(), sample.naive_local().and_utc().timestamp_micros()]
        .map(|micros| micros.div_euclid(3_600_000_000));
    let is_day = |read: &Read| read.micros.div_euclid(86_400_000_000) == 17_864 && !has_clock(&items);
    match read {
        Some(read) if hours.contains(&read.micros.div_euclid(3_600_000_000)) || is_day(&read) => Ok(items),
        _ => Err(format!(
            "it does not name a date with its year, and a whole time of day: it reads {text:?} of {sample}"
        )),
    }
}

/// Whether a pattern reads any part of a time of day.
fn has_clock(items: &[Item<'_>]) -> bool {
    use Numeric::{Hour, Hour12, Minute, Second};
    items.iter().any(|item| matches!(item, Item::Numeric(Hour | Hour12 | Minute | Second, _)))
}

/// Whether a pattern has the name of UTC in itself, as `%Y-%m-%dT%H:%M:%SZ` does.
fn names_utc(items: &[Item<'_>]) -> bool {
    let word = |item| match item {
        &Item::Literal(text) => text,
        Item::OwnedLiteral(text) => text,
        _ => "",
    };
    let word = |item| word(item).trim_matches(|c: char| !c.is_ascii_alphanumeric());
    items.iter().any(|item| matches!(word(item), "UTC" | "GMT")) || items.last().is_some_and(|item| word(item) == "Z")
}

/// Without an offset it is a local time; a date without a time is its midnight.
fn pattern(text: &str, items: &[Item<'_>]) -> Option<Read> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, items.iter()).ok()?;
    // %Y takes two digits too, which would be a year of the Roman empire.
    if parsed.year().is_some_and(|year| !(1_000..=9_999).contains(&year)) {
        return None;
    }
    let leap = if parsed.second() == Some(60) { Forms::LEAP } else { Forms::NONE };
    if parsed.offset().is_some() || parsed.timestamp().is_some() || names_utc(items) {
        let local = parsed.to_naive_datetime_with_offset(parsed.offset().unwrap_or(0)).ok()?;
        let micros = micros(local)?.checked_sub(i64::from(parsed.offset().unwrap_or(0)) * 1_000_000)?;
        return Some(Read { micros, form: Forms::ZONED.with(leap) });
    }
    let local = parsed.to_naive_datetime_with_offset(0).ok().or_else(|| {
        // An hour alone is its beginning.
        if let (Some(half), Some(hour), None) = (parsed.hour_div_12(), parsed.hour_mod_12(), parsed.minute()) {
            return parsed.to_naive_date().ok()?.and_hms_opt(12 * half + hour, 0, 0);
        }
        let has_no_clock = parsed.hour_mod_12().is_none() && parsed.minute().is_none();
        has_no_clock.then(|| parsed.to_naive_date().ok()).flatten().map(|date| date.and_time(NaiveTime::MIN))
    })?;
    Some(Read { micros: micros(local)?, form: Forms::LOCAL.with(leap) })
}

/// A leap second of chrono is second 59 with more than a second of nanoseconds.
fn micros(local: NaiveDateTime) -> Option<i64> {
    Some(local.and_utc().timestamp_micros())
}
