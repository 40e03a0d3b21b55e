//! The calendar: civil dates, the start of a minute or a month, and time zones.
//!
//! Day counts follow the proleptic Gregorian calendar. A day count of an `i64` of microseconds is
//! at most 1.1e8 from 1970, so nothing here can overflow an `i64`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::civil::Civil;
use crate::time::Timestamp;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A unit of the calendar, for [`Bucket::floor`](crate::Bucket::floor).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// From one full second to the next.
    Second,
    /// From one full minute to the next.
    Minute,
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday, as ISO 8601 has it.
    Week,
    /// From the first day of a month.
    Month,
    /// From the first day of January, April, July or October.
    Quarter,
    /// From 1 January.
    Year,
}

/// How the length of a unit is told.
enum Measure {
    /// By the clock: always the same, in microseconds.
    Clock { width: i64 },
    /// In whole days from one midnight to another; the first begins `phase` days after 1970.
    Days { days: i64, phase: i64 },
    /// In months, from the first day of one to that of another.
    Months(i64),
}

impl Unit {
    /// Every unit, from the shortest to the longest.
    pub const ALL: [Self; 8] =
        [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The name of the unit, in lower case: `minute`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// How its lengths are told.
    const fn measure(self) -> Measure {
        match self {
            Self::Second => Measure::Clock { width: SECOND },
            Self::Minute => Measure::Clock { width: MINUTE },
            Self::Hour => Measure::Clock { width: HOUR },
            Self::Day => Measure::Days { days: 1, phase: 0 },
            Self::Week => Measure::Days { days: 7, phase: 4 }, // 1970-01-05 was a Monday
            Self::Month => Measure::Months(1),
            Self::Quarter => Measure::Months(3),
            Self::Year => Measure::Months(12),
        }
    }

    /// Start of the unit that holds `t`, and of the next, on a clock without offset.
    pub(crate) const fn floor(self, t: Timestamp) -> (Timestamp, Timestamp) {
        match self.measure() {
            Measure::Clock { width } => t.step(width, 0),
            Measure::Days { days, phase } => t.step(days * DAY, phase * DAY),
            Measure::Months(months) => {
                let Civil { year, month, .. } = Civil::from_days(t.as_micros().div_euclid(DAY));
                let first = (month - 1) / months * months + 1;
                let start = Civil::days_to_month(year, first).saturating_mul(DAY);
                let end = Civil::days_to_month(year, first + months).saturating_mul(DAY);
                (Timestamp::from_micros(start), Timestamp::from_micros(end))
            }
        }
    }

    /// Start of the unit that holds `t` by the clocks of `zone`, and of the next.
    ///
    /// Seconds, minutes and hours are counted on the local clock and never straddle a change of
    /// offset. Longer units begin at the first instant at which the local clock shows their first
    /// midnight or, where that midnight is skipped, a later time: days of 23 and 25 hours come out.
    pub(crate) fn floor_in(self, t: Timestamp, zone: &dyn Zone) -> (Timestamp, Timestamp) {
        let offset = zone.offset_at(t);
        if let Measure::Clock { width } = self.measure() {
            let (start, end) = t.step(width, (-offset).rem_euclid(width));
            let start = change_between(start, t, zone).unwrap_or(start);
            return (start, change_between(t, end, zone).unwrap_or(end));
        }
        let (midnight, next) = self.floor(t.shift(offset));
        let end = first_instant_at(next, zone);
        if t < end || end == Timestamp::MAX {
            return (first_instant_at(midnight, zone), end);
        }
        // The clock was set back across midnight: the repeated time belongs to the unit begun.
        (end, first_instant_at(self.floor(next).1, zone))
    }
}

/// The text names no unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnitError;

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [units @ .., last] = Unit::ALL;
        f.write_str("not a unit of the calendar: write ")?;
        for (index, unit) in units.iter().enumerate() {
            write!(f, "{}{unit}", if index == 0 { "" } else { ", " })?;
        }
        write!(f, " or {last}")
    }
}

impl core::error::Error for UnitError {}

impl FromStr for Unit {
    type Err = UnitError;

    /// Reads the [name](Self::name), in lower or upper case.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        Self::ALL.into_iter().find(|unit| unit.name().eq_ignore_ascii_case(text)).ok_or(UnitError)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A time zone: how far local clocks are ahead of UTC at each instant.
///
/// With the feature `chrono` every `chrono::TimeZone` is one by way of [`ChronoZone`]. Without it,
/// [`FixedOffset`] serves zones without daylight saving, or implement the trait over a table of
/// your own. Offsets may change at most once within any two days.
pub trait Zone: Send + Sync {
    /// The offset of local time from UTC at `instant`, in microseconds; positive east of Greenwich.
    fn offset_at(&self, instant: Timestamp) -> i64;

    /// A name that tells this zone from others; a snapshot is only restored under the same name.
    fn name(&self) -> String;
}

/// A zone with the same offset all year round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedOffset {
    seconds: i32,
}

impl FixedOffset {
    /// A zone `seconds` ahead of UTC (behind it, if negative).
    ///
    /// ```
    /// use stagger::calendar::{FixedOffset, Zone};
    /// assert_eq!(FixedOffset::east(20_700).name(), "+05:45"); // Kathmandu
    /// ```
    #[must_use]
    pub const fn east(seconds: i32) -> Self {
        Self { seconds }
    }
}

impl Zone for FixedOffset {
    fn offset_at(&self, _: Timestamp) -> i64 {
        i64::from(self.seconds) * SECOND
    }

    fn name(&self) -> String {
        let (sign, s) = (if self.seconds < 0 { '-' } else { '+' }, self.seconds.unsigned_abs());
        let mut name = alloc::format!("{sign}{:02}:{:02}", s / 3600, s / 60 % 60);
        if s % 60 != 0 {
            name += &alloc::format!(":{:02}", s % 60);
        }
        name
    }
}

/// Any `chrono` time zone as a [`Zone`], for example one of `chrono-tz`.
#[cfg(feature = "chrono")]
#[derive(Clone, Copy, Debug)]
pub struct ChronoZone<Tz>(pub Tz);

#[cfg(feature = "chrono")]
impl<Tz> Zone for ChronoZone<Tz>
where
    Tz: chrono::TimeZone + core::fmt::Debug + Send + Sync,
{
    /// Instants beyond the range of `chrono` have the offset of the nearest one within it.
    fn offset_at(&self, instant: Timestamp) -> i64 {
        use chrono::{DateTime, Offset, Utc};
        let utc = DateTime::<Utc>::try_from(instant).unwrap_or(if instant < Timestamp::EPOCH {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        });
        let offset = self.0.offset_from_utc_datetime(&utc.naive_utc());
        i64::from(offset.fix().local_minus_utc()) * SECOND
    }

    fn name(&self) -> String {
        alloc::format!("{:?}", self.0)
    }
}

/// The first instant at which the offset of `zone` differs from that at `from`, within
/// `(from, to]`, if the two ends differ.
fn change_between(from: Timestamp, to: Timestamp, zone: &dyn Zone) -> Option<Timestamp> {
    let before = zone.offset_at(from);
    if from >= to || zone.offset_at(to) == before {
        return None;
    }
    let (mut low, mut high) = (from.as_micros(), to.as_micros());
    while high.abs_diff(low) > 1 {
        let middle = (i128::from(low) + i128::from(high)).div_euclid(2) as i64; // i64::midpoint needs Rust 1.87
        if zone.offset_at(Timestamp::from_micros(middle)) == before {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(Timestamp::from_micros(high))
}

/// The first instant at which the local clock of `zone` shows `local` or later.
fn first_instant_at(local: Timestamp, zone: &dyn Zone) -> Timestamp {
    if local == Timestamp::MIN || local == Timestamp::MAX {
        return local; // saturated: the unit begins or ends beyond the range of timestamps
    }
    let (from, to) = (local.shift(-DAY), local.shift(DAY));
    let before = local.shift(-zone.offset_at(from));
    match change_between(from, to, zone) {
        Some(change) if before >= change => change.max(local.shift(-zone.offset_at(change))),
        _ => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// Offset `first` until `change`, `second` from then on.
    struct Changing {
        change: i64,
        first: i64,
        second: i64,
    }

    impl Zone for Changing {
        fn offset_at(&self, t: Timestamp) -> i64 {
            if t.as_micros() < self.change { self.first } else { self.second }
        }
        fn name(&self) -> String {
            "changing".into()
        }
    }

    fn hours(unit: Unit, zone: &dyn Zone, at: i64) -> (i64, i64) {
        let (start, end) = unit.floor_in(Timestamp::from_micros(at), zone);
        assert!(start.as_micros() <= at && at < end.as_micros());
        (start.as_micros() / MINUTE, end.as_micros() / MINUTE)
    }

    #[test]
    fn an_unknown_unit_is_refused_with_the_names_of_all() {
        let text = "fortnight".parse::<Unit>().unwrap_err().to_string();
        assert_eq!(text, "not a unit of the calendar: write second, minute, hour, day, week, month, quarter or year");
    }

    #[test]
    fn every_unit_is_read_by_its_name() {
        assert!(Unit::ALL.into_iter().all(|unit| unit.to_string().to_uppercase().parse() == Ok(unit)));
        assert_eq!("fortnight".parse::<Unit>(), Err(UnitError));
    }

    #[test]
    fn units_nest_at_the_ends_of_time() {
        for t in [Timestamp::MIN, Timestamp::MAX, Timestamp::EPOCH] {
            for unit in Unit::ALL {
                for east in [-50_000, 0, 50_000] {
                    let (start, end) = unit.floor_in(t, &FixedOffset::east(east));
                    assert!(start <= t && (t < end || end == Timestamp::MAX), "{unit:?} {t:?} {east}");
                }
            }
        }
    }

    #[test]
    fn a_week_begins_on_monday() {
        let sunday = Timestamp::from_secs(3 * 86_400);
        assert_eq!(Unit::Week.floor(sunday).1, Timestamp::from_secs(4 * 86_400));
        assert_eq!(Unit::Week.floor(Timestamp::EPOCH).0, Timestamp::from_secs(-3 * 86_400));
    }

    #[test]
    fn a_skipped_midnight_starts_the_day_late() {
        // UTC-3 until 03:00Z on day 0 = local midnight, then UTC-2: local 00:00 to 01:00 is skipped.
        let zone = Changing { change: 3 * HOUR, first: -3 * HOUR, second: -2 * HOUR };
        assert_eq!(hours(Unit::Day, &zone, 5 * HOUR), (180, 180 + 23 * 60));
        assert_eq!(hours(Unit::Day, &zone, 2 * HOUR), (180 - 24 * 60, 180));
    }

    #[test]
    fn a_repeated_hour_makes_a_day_of_25_hours() {
        // UTC+2 until 01:00Z (local 03:00), then UTC+1.
        let zone = Changing { change: HOUR, first: 2 * HOUR, second: HOUR };
        assert_eq!(hours(Unit::Day, &zone, 5 * HOUR), (-120, 23 * 60));
        // The hour from 02:00 to 03:00 is lived twice: two hours.
        assert_eq!(hours(Unit::Hour, &zone, 0), (0, 60));
        assert_eq!(hours(Unit::Hour, &zone, HOUR), (60, 120));
    }

    #[test]
    fn a_clock_set_back_across_midnight_keeps_days_in_one_piece() {
        // Local 00:01 becomes 23:01: UTC+0 until 00:01Z, then UTC-1.
        let zone = Changing { change: MINUTE, first: 0, second: -HOUR };
        assert_eq!(hours(Unit::Day, &zone, 0), (0, 25 * 60));
        assert_eq!(hours(Unit::Day, &zone, 30 * MINUTE), (0, 25 * 60));
        assert_eq!(hours(Unit::Day, &zone, -1), (-24 * 60, 0));
    }

    #[test]
    fn hours_do_not_straddle_a_change_by_half_an_hour() {
        // As on Lord Howe Island: UTC+11 until 15:00Z, then UTC+10:30.
        let zone = Changing { change: 15 * HOUR, first: 11 * HOUR, second: 10 * HOUR + 30 * MINUTE };
        assert_eq!(hours(Unit::Hour, &zone, 15 * HOUR - 1), (14 * 60, 15 * 60));
        assert_eq!(hours(Unit::Hour, &zone, 15 * HOUR), (15 * 60, 15 * 60 + 30));
    }
}
