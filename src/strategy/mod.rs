//! Which session an event belongs to: the choices, as plain data.

mod bucket;
mod gap;
mod sliding;
mod stagger;

pub use bucket::Bucket;
pub use gap::Gap;
pub use sliding::Sliding;
pub use stagger::Stagger;

pub(crate) use bucket::Rounding;
pub(crate) use gap::Reach;
pub(crate) use sliding::Hops;
pub(crate) use stagger::StaggerClock;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::error::ConfigError;
use crate::time::micros;

/// A way to group events into sessions. Made from [`Stagger`], [`Gap`] or [`Sliding`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Kinesis SQL's stagger windows, on the arrival or the event clock.
    Stagger(Stagger),
    /// Sessions that end with a silence.
    Gap(Gap),
    /// Windows of one size at regular distances; tumbling windows if size and distance agree.
    Sliding(Sliding),
}

impl From<Stagger> for Strategy {
    fn from(stagger: Stagger) -> Self {
        Self::Stagger(stagger)
    }
}

impl From<Gap> for Strategy {
    fn from(gap: Gap) -> Self {
        Self::Gap(gap)
    }
}

impl From<Sliding> for Strategy {
    fn from(sliding: Sliding) -> Self {
        Self::Sliding(sliding)
    }
}

/// Settings as a snapshot carries them, to be compared: names and values.
pub(crate) type Settings = Vec<(&'static str, String)>;

impl Strategy {
    pub(crate) fn settings(&self) -> Settings {
        match self {
            Self::Stagger(stagger) => stagger.settings(),
            Self::Gap(gap) => gap.settings(),
            Self::Sliding(sliding) => sliding.settings(),
        }
    }
}

/// The text of a value that may be missing.
pub(crate) fn or_none<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "none".into(), text)
}

/// The text of a length of time.
pub(crate) fn length_text(length: Duration) -> String {
    format!("{length:?}")
}

/// The length in microseconds of such a text.
pub(crate) fn length_of_text(text: &str) -> Option<i64> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit);
    let nanoseconds = match unit {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "µs" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let length = digits.checked_mul(nanoseconds)? / 10_i128.checked_pow(fraction.len() as u32)?;
    i64::try_from(length / 1_000).ok()
}

/// Checks a length of time at the edge and turns it into microseconds. Zero is allowed.
pub(crate) fn length(setting: &'static str, length: Duration) -> Result<i64, ConfigError> {
    let whole = micros(length);
    if whole == i64::MAX {
        return Err(ConfigError::TooLong { setting, length });
    }
    if length.subsec_nanos() % 1_000 != 0 {
        return Err(ConfigError::Fraction { setting, length });
    }
    Ok(whole)
}

/// The same for a length that must not be zero.
pub(crate) fn positive(setting: &'static str, value: Duration) -> Result<i64, ConfigError> {
    match length(setting, value)? {
        0 => Err(ConfigError::Zero { setting }),
        whole => Ok(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_length_but_not_a_positive_one() {
        assert_eq!(length("gap", Duration::ZERO), Ok(0));
        assert_eq!(positive("gap", Duration::ZERO), Err(ConfigError::Zero { setting: "gap" }));
        assert_eq!(positive("gap", Duration::from_micros(1)), Ok(1));
    }

    #[test]
    fn the_text_of_a_length_is_read_back() {
        for micros in [0, 1, 999, 1_500, 2_000_000, 4_000_004, 86_400_000_001, i64::MAX as u64 - 1] {
            assert_eq!(length_of_text(&length_text(Duration::from_micros(micros))), Some(micros as i64));
        }
        for text in ["none", "5 s", "7", "1.2.3s", ".s", &format!("{:050}s", 7), &format!("{}s", i128::MAX)] {
            assert!(length_of_text(text).is_none_or(|length| length == 7_000_000), "{text}");
        }
    }

    #[test]
    fn one_nanosecond_more_than_whole_microseconds() {
        let uneven = Duration::from_nanos(5_001);
        assert_eq!(length("gap", uneven), Err(ConfigError::Fraction { setting: "gap", length: uneven }));
        assert_eq!(length("gap", Duration::from_nanos(5_000)), Ok(5));
    }

    #[test]
    fn the_longest_length_is_one_microsecond_short_of_all_time_after_1970() {
        let [longest, longer] = [i64::MAX as u64 - 1, i64::MAX as u64].map(Duration::from_micros);
        assert_eq!(length("gap", longest), Ok(i64::MAX - 1));
        assert_eq!(length("gap", longer), Err(ConfigError::TooLong { setting: "gap", length: longer }));
        assert!(length("gap", Duration::MAX).is_err());
    }
}
