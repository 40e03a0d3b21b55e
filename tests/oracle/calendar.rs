//! STEP and FLOOR, the slow way.
//!
//! Dates are those of `chrono`, which shares nothing with the crate's own calendar. Where a zone
//! changes its clocks, the change is looked for second by second.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Weekday};
use chrono_tz::Tz;

use super::{Rounding, Unit, Zone, clamp};

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;

/// The Gregorian calendar repeats after 400 years, a whole number of weeks.
const CYCLE: i128 = 146_097 * DAY;

/// The bucket that holds `time`: its start and the start of the next.
pub(crate) fn bucket(rounding: Rounding, time: i64) -> (i64, i64) {
    let (start, end) = match rounding {
        Rounding::Step { width, origin } => {
            let (width, origin) = (i128::from(width), i128::from(origin));
            let start = origin + (i128::from(time) - origin).div_euclid(width) * width;
            (start, start + width)
        }
        Rounding::Floor { unit, zone: Zone::Utc } => with_fixed_offset(unit, 0, time),
        Rounding::Floor { unit, zone: Zone::Fixed(seconds) } => with_fixed_offset(unit, seconds, time),
        Rounding::Floor { unit, zone: Zone::Named(zone) } => match seconds_in(unit) {
            Some(seconds) => by_the_clock(seconds, zone, time),
            None => by_the_date(unit, zone, time),
        },
    };
    (clamp(start), clamp(end))
}

fn with_fixed_offset(unit: Unit, seconds: i32, time: i64) -> (i128, i128) {
    let offset = i128::from(seconds) * SECOND;
    let (start, end) = floor(unit, i128::from(time) + offset);
    (start - offset, end - offset)
}

/// Length of the units that are counted by the clock and not by the date.
fn seconds_in(unit: Unit) -> Option<i128> {
    match unit {
        Unit::Second => Some(1),
        Unit::Minute => Some(60),
        Unit::Hour => Some(3600),
        _ => None,
    }
}

/// Without any zone: the unit that holds the local time `local`.
fn floor(unit: Unit, local: i128) -> (i128, i128) {
    if let Some(seconds) = seconds_in(unit) {
        let start = local.div_euclid(seconds * SECOND) * seconds * SECOND;
        return (start, start + seconds * SECOND);
    }
    let cycles = local.div_euclid(CYCLE);
    let (first, next) = dates(unit, date_of(local - cycles * CYCLE));
    (midnight(first) + cycles * CYCLE, midnight(next) + cycles * CYCLE)
}

/// The first date of the unit that holds `date`, and of the next unit.
fn dates(unit: Unit, date: NaiveDate) -> (NaiveDate, NaiveDate) {
    let first_of_month = date.with_day(1).unwrap();
    let (first, months) = match unit {
        Unit::Day => return (date, date.succ_opt().unwrap()),
        Unit::Week => {
            let monday = date.week(Weekday::Mon).first_day();
            return (monday, monday + Days::new(7));
        }
        Unit::Month => (first_of_month, 1),
        Unit::Quarter => (first_of_month - Months::new(date.month0() % 3), 3),
        Unit::Year => (first_of_month - Months::new(date.month0()), 12),
        Unit::Second | Unit::Minute | Unit::Hour => unreachable!("counted by the clock"),
    };
    (first, first + Months::new(months))
}

fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(1970, 1, 1).unwrap()
}

fn date_of(local: i128) -> NaiveDate {
    epoch() + TimeDelta::days(local.div_euclid(DAY) as i64)
}

fn midnight(date: NaiveDate) -> i128 {
    i128::from(date.signed_duration_since(epoch()).num_days()) * DAY
}

/// How far local clocks are ahead of UTC.
fn offset(zone: Tz, instant: i128) -> i128 {
    let utc = DateTime::from_timestamp_micros(clamp(instant)).expect("within the range of chrono");
    i128::from(zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()) * SECOND
}

/// A unit counted on the local clock, cut where the offset changes.
fn by_the_clock(seconds: i128, zone: Tz, time: i64) -> (i128, i128) {
    let time = i128::from(time);
    let now = offset(zone, time);
    let mut start = (time + now).div_euclid(seconds * SECOND) * seconds * SECOND - now;
    let mut end = start + seconds * SECOND;
    let this_second = time.div_euclid(SECOND) * SECOND;
    if offset(zone, start) != now {
        start = this_second;
        while offset(zone, start - SECOND) == now {
            start -= SECOND;
        }
    }
    if offset(zone, end) != now {
        end = this_second + SECOND;
        while offset(zone, end) == now {
            end += SECOND;
        }
    }
    (start, end)
}

/// A unit from one local midnight to another. Time that the clocks repeat across midnight belongs
/// to the unit that has begun already.
fn by_the_date(unit: Unit, zone: Tz, time: i64) -> (i128, i128) {
    let time = i128::from(time);
    let (first, next) = dates(unit, date_of(time + offset(zone, time)));
    if time < first_instant(zone, next) {
        (first_instant(zone, first), first_instant(zone, next))
    } else {
        (first_instant(zone, next), first_instant(zone, dates(unit, next).1))
    }
}

/// The first instant at which the local clock shows the midnight that begins `date`, or later.
fn first_instant(zone: Tz, date: NaiveDate) -> i128 {
    let mut local = date.and_time(NaiveTime::MIN);
    let instant = loop {
        // No instant shows a time that the clocks skip: try the next second.
        match zone.from_local_datetime(&local).earliest() {
            Some(instant) => break i128::from(instant.timestamp_micros()),
            None => local += TimeDelta::seconds(1),
        }
    };
    let midnight = midnight(date);
    assert!(instant + offset(zone, instant) >= midnight, "{zone} {date}");
    assert!(instant - 1 + offset(zone, instant - 1) < midnight, "{zone} {date}");
    instant
}
