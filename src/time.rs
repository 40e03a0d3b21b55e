//! Instants as whole microseconds, and arithmetic on them that cannot overflow.

use core::fmt;
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

/// A time outside the range of a [`Timestamp`], or one that another type cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time is outside the range that the target type can hold")]
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
        }
    }
}
