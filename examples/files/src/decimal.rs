//! Numbers that add up exactly, in whatever order: 18 digits before the point and 18 behind it.

use std::fmt;

use serde::{Deserialize, Serialize};

const DIGITS: u32 = 18;
const ONE: i128 = 10i128.pow(DIGITS);
/// Beyond it a number is not read.
const MOST: i128 = ONE * ONE;
/// The number of digits behind the point of an average.
const OF_AVERAGE: u32 = 12;

/// A multiple of 10^-18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Decimal(i128);

impl Decimal {
    /// Reads a number such as `12`, `-9.50` or `1.7E+3`. Digits behind the 18th are rounded off.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let (mut value, mut scale) = (0i128, exponent);
        for (place, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
            if !digit.is_ascii_digit() {
                return None;
            }
            let is_behind = place >= whole.len();
            if value < MOST {
                value = value * 10 + i128::from(digit - b'0');
                scale = scale.saturating_sub(i32::from(is_behind));
            } else {
                scale = scale.saturating_add(i32::from(!is_behind)); // too small a digit to count
            }
        }
        let value = shifted(value, scale.saturating_add(DIGITS as i32))?;
        let value = if mantissa.starts_with('-') { -value } else { value };
        (value.abs() <= MOST).then_some(Self(value))
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// An equal share.
    pub(crate) fn divided_by(self, count: u64) -> Self {
        let unit = 10i128.pow(DIGITS - OF_AVERAGE);
        let rounded = rounded_quotient(self.0, i128::from(count.max(1)) * unit);
        Self(rounded * unit)
    }
}

/// Times ten to the power of `digits`, rounded half away from zero.
fn shifted(value: i128, digits: i32) -> Option<i128> {
    let power = 10i128.checked_pow(digits.unsigned_abs());
    match (digits >= 0, power) {
        _ if value == 0 => Some(0),
        (true, power) => value.checked_mul(power?),
        (false, None) => Some(0),
        (false, Some(power)) => Some(rounded_quotient(value, power)),
    }
}

fn rounded_quotient(value: i128, by: i128) -> i128 {
    let (whole, rest) = (value / by, value % by);
    whole + if rest.abs() >= by - rest.abs() { value.signum() } else { 0 }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / ONE as u128, self.0.unsigned_abs() % ONE as u128);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:018}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_exactly() {
        for (text, shown) in [
            ("0", "0"),
            ("-0", "0"),
            ("9.50", "9.5"),
            (" 12 ", "12"),
            ("+7", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1.7E+3", "1700"),
            ("1e-18", "0.000000000000000001"),
            ("0.0000000000000000015", "0.000000000000000002"),
            ("-0.1", "-0.1"),
            ("999999999999999999", "999999999999999999"),
            ("0.30000000000000000000000000000000000000000000000000001", "0.3"),
        ] {
            assert_eq!(Decimal::parse(text).map(|number| number.to_string()).as_deref(), Some(shown), "{text}");
        }
        for wrong in ["", "-", ".", "1,5", "0x1", "1e", "NaN", "inf", "1e300", "12 km", "--1", "1_000"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let sum = |numbers: &[&str]| {
            let add = |sum: Decimal, text: &&str| sum.add(Decimal::parse(text).unwrap()).unwrap();
            numbers.iter().fold(Decimal(0), add)
        };
        assert_eq!(sum(&["0.1", "0.2", "1e17", "-1e17"]).to_string(), "0.3");
        assert_eq!(sum(&["1e17", "0.1", "-1e17", "0.2"]).to_string(), "0.3");
        assert_eq!(sum(&["9.5", "12", "11.5"]).divided_by(3).to_string(), "11");
        assert_eq!(sum(&["1"]).divided_by(3).to_string(), "0.333333333333");
        assert_eq!(sum(&["2"]).divided_by(3).to_string(), "0.666666666667");
        assert_eq!(sum(&["-2"]).divided_by(3).to_string(), "-0.666666666667");
    }
}
