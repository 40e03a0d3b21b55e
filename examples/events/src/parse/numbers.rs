//! Numbers as files write them, in one place for all formats: `7`, `7.0`, `1.7E+12`, `-0`.
//!
//! The value counts, not the spelling. A number is read exactly, never by way of a float.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A decimal number: `digits` times ten to the power of `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    exponent: i32,
    /// Digits that cannot matter for a time were cut off.
    is_cut: bool,
}

/// Digits behind the point that can matter; an i128 holds 38 digits in all.
const FRACTION: usize = 18;
const MOST_EXPONENT: u32 = 30;

impl Decimal {
    /// Reads a number: a sign, digits, a fraction, an exponent.
    pub fn parse(text: &str) -> Option<Self> {
        const SAFE: usize = 18; // digits that an i64 can hold
        if (1..=SAFE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            let digits = text.bytes().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
            return Some(Self { digits: i128::from(digits), exponent: 0, is_cut: false });
        }
        Self::parse_any(text)
    }

    fn parse_any(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (sign, unsigned) = match mantissa.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.parse::<i32>().ok().filter(|e| e.unsigned_abs() <= MOST_EXPONENT)?;
        let kept = fraction.len().min(FRACTION + exponent.max(0) as usize);
        let (fraction, rest) = fraction.split_at(kept);
        let digits = sign * format!("{whole}{fraction}").parse::<i128>().ok()?;
        Some(Self { digits, exponent: exponent - kept as i32, is_cut: rest.bytes().any(|b| b != b'0') })
    }

    /// What the last digit that is written is worth: ten to this power.
    pub fn last_digit(self) -> i32 {
        self.exponent
    }

    /// The number times ten to the power of `shift`, rounded down.
    pub fn scaled(self, shift: i32) -> Option<i64> {
        let shift = self.exponent + shift;
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        let scaled = if shift < 0 { self.digits.div_euclid(power) } else { self.digits.checked_mul(power)? };
        scaled.try_into().ok()
    }

    /// The number, if it is an integer of 64 bits.
    pub fn integer(self) -> Option<i64> {
        let whole = self.scaled(0)?;
        let power = 10_i128.checked_pow(self.exponent.unsigned_abs())?;
        (!self.is_cut && (self.exponent >= 0 || i128::from(whole) * power == self.digits)).then_some(whole)
    }
}

/// The order of two numbers that are one as floats: `9007199254740993` is more than `9007199254740992`.
#[cold]
pub(super) fn order(one: &str, other: &str) -> Ordering {
    match (significant(one), significant(other)) {
        (Some((true, one)), Some((true, other))) => other.cmp(&one),
        (Some((_, one)), Some((_, other))) => one.cmp(&other),
        _ => Ordering::Equal,
    }
}

/// Whether a number is negative, and its size: the place of its first digit before the point, and the digits from there
/// to the last one that is not zero.
fn significant(text: &str) -> Option<(bool, (i64, String))> {
    let text = text.trim();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let unsigned = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let zeros = digits.bytes().take_while(|digit| *digit == b'0').count();
    let place = exponent.parse::<i64>().ok()?.checked_add(whole.len() as i64 - zeros as i64)?;
    let digits = digits[zeros..].trim_end_matches('0').to_owned();
    let place = if digits.is_empty() { i64::MIN } else { place };
    Some((mantissa.starts_with('-') && !digits.is_empty(), (place, digits)))
}

/// The integer that a text names: `7`, `007`, `+7`, `7.0`, `7e0`; `-0` is 0.
pub fn integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| Decimal::parse(text)?.integer())
}

/// A number of JSON as text, the same text however it is written. Refuses one that would be rounded: two
/// users might become one.
pub fn canonical(json: &str) -> Result<Cow<'_, str>, &'static str> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    let is_integer = json != "-0" && !json.contains(['.', 'e', 'E']);
    if is_integer && (json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok()) {
        return Ok(Cow::Borrowed(json));
    }
    match json.parse::<f64>() {
        Ok(0.0) => Ok(Cow::Borrowed("0")), // -0 too
        Ok(number) if number.abs() < EXACT => match number.to_string() {
            text if order(json, &text) == Ordering::Equal => Ok(Cow::Owned(text)),
            _ => Err("a number with too many digits to be read exactly: send it as a text"),
        },
        _ => Err("a number too large to be read exactly: send it as a text"),
    }
}
