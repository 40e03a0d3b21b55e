//! Time zones by name (`Europe/Berlin`) or by offset (`+05:45`).

use chrono::{DateTime, MappedLocalTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use stagger::{
    Timestamp,
    calendar::{ChronoZone, FixedOffset, Zone},
};

#[derive(Clone, Copy, Debug)]
pub enum AnyZone {
    Named(Tz),
    Fixed(FixedOffset),
}

impl AnyZone {
    pub const UTC: Self = Self::Fixed(FixedOffset::east(0));
}

/// How far the clocks of a zone are ahead of UTC at a local time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub offset: i64,
    /// The clocks show that time twice: the offset is that of the earlier.
    pub is_twice: bool,
    /// The clocks never show that time: the offset is that before they are set forward.
    pub is_never: bool,
}

impl Local {
    pub fn is_unique(self) -> bool {
        !self.is_twice && !self.is_never
    }
}

impl AnyZone {
    /// The time that the clocks show, as microseconds since 1970 by these clocks, against UTC.
    pub fn local(&self, local: i64) -> Local {
        let unique = |offset| Local { offset, is_twice: false, is_never: false };
        let tz = match self {
            Self::Fixed(fixed) => return unique(fixed.offset_at(Timestamp::EPOCH)),
            Self::Named(tz) => tz,
        };
        let Some(time) = DateTime::from_timestamp_micros(local).map(|time| time.naive_utc()) else { return unique(0) };
        let micros = |offset: <Tz as TimeZone>::Offset| i64::from(offset.fix().local_minus_utc()) * 1_000_000;
        match tz.offset_from_local_datetime(&time) {
            MappedLocalTime::Single(offset) => unique(micros(offset)),
            MappedLocalTime::Ambiguous(earlier, _) => Local { is_twice: true, ..unique(micros(earlier)) },
            MappedLocalTime::None => {
                let before = time.checked_sub_signed(TimeDelta::days(1)).unwrap_or(time);
                let offset = tz.offset_from_local_datetime(&before).earliest().map_or(0, micros);
                Local { is_never: true, ..unique(offset) }
            }
        }
    }
}

/// Reads a zone.
pub fn parse(text: &str) -> Result<AnyZone, String> {
    if let Some(seconds) = offset(text) {
        return Ok(AnyZone::Fixed(FixedOffset::east(seconds)));
    }
    let named = text.parse().map(AnyZone::Named);
    named.map_err(|_| "a zone is a name such as Europe/Berlin, or an offset such as +05:45".to_owned())
}

fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let number = |digits: &str, most: i32| -> Option<i32> {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|n| plain && *n <= most)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}

impl Zone for AnyZone {
    fn offset_at(&self, instant: Timestamp) -> i64 {
        match self {
            Self::Named(tz) => ChronoZone(*tz).offset_at(instant),
            Self::Fixed(fixed) => fixed.offset_at(instant),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Named(tz) => tz.name().to_owned(),
            Self::Fixed(fixed) if fixed.offset_at(Timestamp::EPOCH) == 0 => "UTC".to_owned(),
            Self::Fixed(fixed) => fixed.name(),
        }
    }
}
