//! Time zones by name (`Europe/Berlin`) or by offset (`+05:45`).

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
