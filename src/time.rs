//! Instants as whole microseconds, and arithmetic on them that cannot overflow.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::civil::Civil;

/// An instant: whole microseconds since 1970-01-01T00:00:00Z, before or after.
///
/// Every `i64` is a valid timestamp. All arithmetic saturates at [`Timestamp::MIN`] and
/// [`Timestamp::MAX`]; a window whose end saturates at `MAX` has no end but that of the stream.
/// Nothing in this crate reads a clock: instants are always arguments.
///
/// ```
/// use core::time::Duration;
/// use stagger::Timestamp;
///
/// let t = Timestamp::from_millis(1_543_534_510_123);
/// assert_eq!(t.to_string(), "2018-11-30T00:35:10.123000Z".replace("30T00", "29T23"));
/// assert_eq!((t + Duration::from_micros(5)).as_micros(), 1_543_534_510_123_005);
/// assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant, about 292,000 years before 1970.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant, about 292,000 years after 1970. As the end of a window it means "never".
    pub const MAX: Self = Self(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The instant `micros` microseconds after 1970 (before it, if negative).
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after 1970, saturating.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The instant `secs` seconds after 1970, saturating.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, rounded down, before 1970 too.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since 1970, rounded down, before 1970 too.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long after `earlier` this instant is; zero if it is not after it.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::Timestamp;
    ///
    /// let (a, b) = (Timestamp::from_secs(10), Timestamp::from_secs(13));
    /// assert_eq!(b.since(a), Duration::from_secs(3));
    /// assert_eq!(a.since(b), Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        if self.0 <= earlier.0 { Duration::ZERO } else { Duration::from_micros(self.0.abs_diff(earlier.0)) }
    }

    /// This instant moved by a signed number of microseconds, saturating.
    pub(crate) const fn shift(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The start of the step of `width` microseconds that holds this instant, and the start of the
    /// next. Steps begin at `phase` (from 0 to `width`, exclusive) past the multiples of `width`,
    /// before 1970 too. A bound that no timestamp can hold saturates.
    #[inline]
    pub(crate) const fn step(self, width: i64, phase: i64) -> (Self, Self) {
        let into = self.0.rem_euclid(width) - phase;
        let into = if into < 0 { into + width } else { into };
        (Self(self.0.saturating_sub(into)), Self(self.0.saturating_add(width - into)))
    }
}

/// Whole microseconds of a `Duration`, rounded down, saturating at `i64::MAX`.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl core::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`]; a fraction of a microsecond is dropped.
    fn add(self, duration: Duration) -> Self {
        self.shift(micros(duration))
    }
}

impl core::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MIN`]; a fraction of a microsecond is dropped.
    fn sub(self, duration: Duration) -> Self {
        self.shift(-micros(duration))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with six digits of fraction: `2018-11-29T23:35:10.123456Z`.
    /// Years beyond 0000 to 9999 carry a sign, as ISO 8601 asks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day_micros = 86_400_000_000;
        let (days, within) = (self.0.div_euclid(day_micros), self.0.rem_euclid(day_micros));
        let Civil { year, month, day } = Civil::from_days(days);
        let (secs, fraction) = (within / 1_000_000, within % 1_000_000);
        let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
        if (0..=9999).contains(&year) {
            write!(f, "{year:04}")?;
        } else {
            write!(f, "{year:+07}")?;
        }
        write!(f, "-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{fraction:06}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("-infinity"),
            Self::MAX => f.write_str("+infinity"),
            _ => fmt::Display::fmt(self, f),
        }
    }
}

/// The text is not a time of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of RFC 3339: write it as 2018-11-29T23:35:10.123456Z or 2018-11-30T00:35:10+01:00")]
#[non_exhaustive]
pub struct ParseTimestampError;

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339: a date, `T` or a space, a time with any number of digits of fraction (those
    /// beyond the microsecond are dropped), and `Z` or an offset. Every timestamp that was printed can
    /// be read back, those with signed years too. The second 60 is read as the next minute.
    ///
    /// ```
    /// use stagger::Timestamp;
    ///
    /// let t: Timestamp = "2018-11-30T00:35:10.123+01:00".parse()?;
    /// assert_eq!(t.as_millis(), 1_543_534_510_123);
    /// assert_eq!(t.to_string().parse(), Ok(t));
    /// # Ok::<(), stagger::ParseTimestampError>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        parse(text.as_bytes()).ok_or(ParseTimestampError)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (year, text) = match text.split_first()? {
        (sign @ (b'+' | b'-'), rest) => {
            let (year, rest) = digits(rest, 6)?;
            (if *sign == b'-' { -year } else { year }, rest)
        }
        _ => digits(text, 4)?,
    };
    let (month, text) = digits(literal(text, b"-")?, 2)?;
    let (day, text) = digits(literal(text, b"-")?, 2)?;
    let (hour, text) = digits(literal(text, b"Tt ")?, 2)?;
    let (minute, text) = digits(literal(text, b":")?, 2)?;
    let (second, text) = digits(literal(text, b":")?, 2)?;
    let (fraction, text) = fraction(text)?;
    let offset = offset(text)?;
    let is_clock_time = hour < 24 && minute < 60 && second <= 60;
    if !(1..=12).contains(&month) || !is_clock_time {
        return None;
    }
    let days = Civil::days_to_month(year, month) + day - 1;
    if day < 1 || days >= Civil::days_to_month(year, month + 1) {
        return None;
    }
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    let micros = i128::from(seconds) * 1_000_000 + i128::from(fraction); // the least timestamp is not a whole second
    i64::try_from(micros).ok().map(Timestamp)
}

/// A number with exactly this number of digits, and the text after it.
fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let value = number
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))?;
    Some((value, rest))
}

/// The text after one of these characters.
fn literal<'t>(text: &'t [u8], one_of: &[u8]) -> Option<&'t [u8]> {
    let (first, rest) = text.split_first()?;
    one_of.contains(first).then_some(rest)
}

/// Microseconds after a point, if there is one, and the text after them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = literal(text, b".") else { return Some((0, text)) };
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let six = text[..count].iter().map(|digit| i64::from(digit - b'0')).chain(core::iter::repeat(0)).take(6);
    Some((six.fold(0, |micros, digit| micros * 10 + digit), &text[count..]))
}

/// Seconds ahead of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    if matches!(text, b"Z" | b"z") {
        return Some(0);
    }
    let (hours, rest) = digits(literal(text, b"+-")?, 2)?;
    let (minutes, rest) = digits(literal(rest, b":")?, 2)?;
    let seconds = (hours * 60 + minutes) * 60;
    let is_offset = rest.is_empty() && hours < 24 && minutes < 60;
    is_offset.then_some(if text[0] == b'-' { -seconds } else { seconds })
}

/// A time outside the range of a [`Timestamp`], or one that another type cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time is outside the range that the target type can hold")]
#[non_exhaustive]
pub struct TimeRangeError;

#[cfg(feature = "std")]
impl TryFrom<std::time::SystemTime> for Timestamp {
    type Error = TimeRangeError;

    /// Rounds down to a whole microsecond.
    ///
    /// # Errors
    /// If the time is more than 292,000 years from 1970.
    fn try_from(time: std::time::SystemTime) -> Result<Self, TimeRangeError> {
        let micros = match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).ok(),
            Err(before) => {
                let nanos = i128::try_from(before.duration().as_nanos()).map_err(|_| TimeRangeError)?;
                i64::try_from((-nanos).div_euclid(1_000)).ok()
            }
        };
        micros.map(Self).ok_or(TimeRangeError)
    }
}

#[cfg(feature = "std")]
impl TryFrom<Timestamp> for std::time::SystemTime {
    type Error = TimeRangeError;

    /// # Errors
    /// If the platform's clock cannot hold the time.
    fn try_from(time: Timestamp) -> Result<Self, TimeRangeError> {
        let from_epoch = Duration::from_micros(time.0.unsigned_abs());
        let moved = match time.0 {
            0.. => Self::UNIX_EPOCH.checked_add(from_epoch),
            _ => Self::UNIX_EPOCH.checked_sub(from_epoch),
        };
        moved.ok_or(TimeRangeError)
    }
}

#[cfg(feature = "chrono")]
impl<Tz: chrono::TimeZone> From<chrono::DateTime<Tz>> for Timestamp {
    /// Every `chrono` instant fits; a fraction of a microsecond is rounded down.
    fn from(time: chrono::DateTime<Tz>) -> Self {
        Self(time.timestamp_micros())
    }
}

#[cfg(feature = "chrono")]
impl TryFrom<Timestamp> for chrono::DateTime<chrono::Utc> {
    type Error = TimeRangeError;

    /// # Errors
    /// If the year is beyond the range of `chrono`, about 262,000 years from year 0.
    fn try_from(time: Timestamp) -> Result<Self, TimeRangeError> {
        chrono::DateTime::from_timestamp_micros(time.0).ok_or(TimeRangeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn step(t: i64, width: i64, origin: i64) -> (i64, i64) {
        let (a, b) = Timestamp(t).step(width, origin.rem_euclid(width));
        (a.0, b.0)
    }

    #[test]
    fn steps_round_down_before_and_after_1970() {
        assert_eq!(step(23, 5, 0), (20, 25));
        assert_eq!(step(30, 10, 0), (30, 40));
        assert_eq!(step(-1, 30, 0), (-30, 0));
        assert_eq!(step(-30, 30, 0), (-30, 0));
        assert_eq!(step(-23, 5, 0), (-25, -20));
    }

    #[test]
    fn steps_count_from_their_origin() {
        assert_eq!(step(0, 5000, -100), (-100, 4900));
        assert_eq!(step(4900, 5000, -100), (4900, 9900));
        assert_eq!(step(4899, 5000, 4900), (-100, 4900));
    }

    #[test]
    fn steps_at_the_ends_of_time_saturate() {
        assert_eq!(step(i64::MIN, 30, 0).0, i64::MIN);
        assert_eq!(step(i64::MAX, 30, 0).1, i64::MAX);
        assert_eq!(step(i64::MIN, i64::MAX, i64::MAX), (i64::MIN, i64::MIN + 1));
        assert_eq!(step(i64::MAX, i64::MAX, i64::MIN).1, i64::MAX);
    }

    #[test]
    fn prints_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_543_534_510_123_456, "2018-11-29T23:35:10.123456Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "+010000-01-01T00:00:00.000000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00.000000Z"),
            (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999999Z"),
        ];
        for (micros, text) in cases {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(micros)));
        }
    }

    #[test]
    fn reads_what_it_prints_to_the_ends_of_time() {
        for micros in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            assert_eq!(Timestamp(micros).to_string().parse(), Ok(Timestamp(micros)));
        }
    }

    #[test]
    fn reads_every_form_of_rfc_3339() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01 00:00:00z", 0),
            ("1970-01-01t01:00:00.5+01:00", 500_000),
            ("1969-12-31T23:30:00.1234567-00:30", 123_456),
            ("1970-01-01T00:00:60Z", 60_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ];
        for (text, micros) in cases {
            assert_eq!(text.parse(), Ok(Timestamp(micros)), "{text}");
        }
    }

    #[test]
    fn refuses_other_text() {
        let cases = [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-1-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:61Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00Z ",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+0100",
            "+999999-01-01T00:00:00Z",
        ];
        for text in cases {
            assert_eq!(text.parse::<Timestamp>(), Err(ParseTimestampError), "{text}");
        }
    }

    #[test]
    fn whole_seconds_and_milliseconds_are_rounded_down() {
        let at = |micros| (Timestamp(micros).as_secs(), Timestamp(micros).as_millis());
        assert_eq!(at(1_999_999), (1, 1_999));
        assert_eq!(at(-1), (-1, -1));
    }

    #[cfg(feature = "std")]
    #[test]
    fn system_time_both_ways() {
        use std::time::SystemTime;
        for micros in [-1_500_000, -1, 0, 1, 1_543_534_510_123_456] {
            let time = SystemTime::try_from(Timestamp(micros)).unwrap();
            assert_eq!(Timestamp::try_from(time), Ok(Timestamp(micros)));
        }
    }
}
