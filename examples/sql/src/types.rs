//! Types and values of SQL, how they are written, and the rules of CAST.

use std::cmp::Ordering;
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::times::iso;

/// The maximum number of digits of a DECIMAL.
pub const MOST_DIGITS: u8 = 18;
pub const DAY: i64 = 86_400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Type {
    /// Of the literal NULL.
    Null,
    Boolean,
    SmallInt,
    Integer,
    BigInt,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Real,
    Double,
    /// With its length, if it has a bound.
    Varchar(Option<u32>),
    Char(u32),
    Timestamp,
    Date,
    Time,
    /// Of days and time.
    Interval,
}

/// A value. Its type is known from the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Its digits, and how many of them are behind the point.
    Decimal(i64, u8),
    Double(f64),
    Text(CompactString),
    /// Milliseconds since 1970.
    Timestamp(i64),
    /// Days since 1970.
    Date(i32),
    /// Milliseconds since midnight.
    Time(i32),
    /// Milliseconds.
    Interval(i64),
}

/// Why a row has no value: it goes to the error stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

pub type Evaluated = Result<Value, Failure>;

#[cold]
pub fn failure<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(message.into()))
}

impl Type {
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::SmallInt | Self::Integer | Self::BigInt | Self::Null)
    }

    pub const fn is_exact(self) -> bool {
        self.is_integer() || matches!(self, Self::Decimal { .. })
    }

    pub const fn is_number(self) -> bool {
        self.is_exact() || matches!(self, Self::Real | Self::Double)
    }

    pub const fn is_text(self) -> bool {
        matches!(self, Self::Varchar(_) | Self::Char(_) | Self::Null)
    }

    /// Precision and scale as a DECIMAL.
    pub const fn digits(self) -> (u8, u8) {
        match self {
            Self::SmallInt => (5, 0),
            Self::Integer => (10, 0),
            Self::Decimal { precision, scale } => (precision, scale),
            _ => (MOST_DIGITS, 0),
        }
    }

    /// The type that holds values of both, if they can be compared.
    pub fn common(self, other: Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Null, one) | (one, Self::Null) => one,
            (one, same) if one == same => one,
            (one, other) if one.is_integer() && other.is_integer() => Self::BigInt,
            (one, other) if one.is_exact() && other.is_exact() => {
                let ((p1, s1), (p2, s2)) = (one.digits(), other.digits());
                let scale = s1.max(s2);
                Self::Decimal { precision: ((p1 - s1).max(p2 - s2) + scale).min(MOST_DIGITS), scale }
            }
            (one, other) if one.is_number() && other.is_number() => Self::Double,
            (one, other) if one.is_text() && other.is_text() => match (one.length(), other.length()) {
                (Some(one), Some(other)) => Self::Varchar(Some(one.max(other))),
                _ => Self::Varchar(None),
            },
            (Self::Timestamp, Self::Date) | (Self::Date, Self::Timestamp) => Self::Timestamp,
            _ => return None,
        })
    }

    fn length(self) -> Option<u32> {
        match self {
            Self::Varchar(length) => length,
            Self::Char(length) => Some(length),
            _ => None,
        }
    }

    /// Whether CAST can make `to` of it.
    pub fn can_become(self, to: Self) -> bool {
        match (self, to) {
            (Self::Null, _) => true,
            (from, to) if from == to => true,
            (from, to) if from.is_number() => to.is_number() || to.is_text(),
            (_, Self::Interval) | (Self::Interval, _) => false,
            (from, _) if from.is_text() => true,
            (Self::Date, to) => to.is_text() || to == Self::Timestamp,
            (Self::Time | Self::Boolean, to) => to.is_text(),
            (Self::Timestamp, to) => to.is_text() || matches!(to, Self::Date | Self::Time),
            _ => false,
        }
    }

    /// Whether INSERT puts such a value into a column of type `to` without a CAST.
    pub fn can_fill(self, to: Self) -> bool {
        self == Self::Null || self.common(to).is_some() && !(self == Self::Timestamp && to == Self::Date)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Real => f.write_str("REAL"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Varchar(None) => f.write_str("VARCHAR"),
            Self::Varchar(Some(length)) => write!(f, "VARCHAR({length})"),
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Interval => f.write_str("INTERVAL"),
        }
    }
}

impl Value {
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(CompactString::new(text))
    }

    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn as_double(&self) -> f64 {
        match *self {
            Self::Int(number) => number as f64,
            Self::Decimal(digits, scale) => digits as f64 / power(scale) as f64,
            Self::Double(number) => number,
            _ => f64::NAN,
        }
    }

    /// Digits with this number of them behind the point; for exact numbers. Saturates.
    pub fn as_digits(&self, scale: u8) -> i128 {
        let (digits, own) = match *self {
            Self::Int(number) => (number, 0),
            Self::Decimal(digits, own) => (digits, own),
            _ => (0, 0),
        };
        rescaled(digits.into(), own, scale)
    }

    /// The order of two values of comparable types; none with NULL or NaN. Blanks at the end of a text do not count.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => Some(one.trim_end_matches(' ').cmp(other.trim_end_matches(' '))),
            (Self::Timestamp(one), Self::Timestamp(other)) | (Self::Interval(one), Self::Interval(other)) => {
                Some(one.cmp(other))
            }
            (Self::Date(one), Self::Date(other)) | (Self::Time(one), Self::Time(other)) => Some(one.cmp(other)),
            (Self::Date(one), Self::Timestamp(other)) => Some((i64::from(*one) * DAY).cmp(other)),
            (Self::Timestamp(one), Self::Date(other)) => Some(one.cmp(&(i64::from(*other) * DAY))),
            (Self::Double(_), _) | (_, Self::Double(_)) => self.as_double().partial_cmp(&other.as_double()),
            _ => Some(self.as_digits(MOST_DIGITS).cmp(&other.as_digits(MOST_DIGITS))),
        }
    }
}

/// 10 to the power of a scale.
pub const fn power(scale: u8) -> i128 {
    10_i128.pow(if scale > 36 { 36 } else { scale as u32 })
}

/// Digits with another number of them behind the point, rounded half away from zero.
pub fn rescaled(digits: i128, from: u8, to: u8) -> i128 {
    if to >= from {
        return digits.saturating_mul(power(to - from));
    }
    divided(digits, power(from - to))
}

/// A quotient, rounded half away from zero. The divisor is not zero.
pub fn divided(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    if rest.unsigned_abs() * 2 >= divisor.unsigned_abs() {
        return quotient + if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    }
    quotient
}

/// A DECIMAL of digits, if there are no more than 18.
pub fn decimal_value(digits: i128, precision: u8, scale: u8) -> Evaluated {
    match i64::try_from(digits) {
        Ok(digits) if i128::from(digits).abs() < power(precision) => Ok(Value::Decimal(digits, scale)),
        _ => failure(format!("the number has more digits than DECIMAL({precision}, {scale}) holds")),
    }
}

/// An integer within the range of its type.
pub fn integer_value(number: i128, to: Type) -> Evaluated {
    let fits = match to {
        Type::SmallInt => i16::try_from(number).is_ok(),
        Type::Integer => i32::try_from(number).is_ok(),
        _ => true,
    };
    match i64::try_from(number) {
        Ok(number) if fits => Ok(Value::Int(number)),
        _ => failure(format!("{number} is out of range for {to}")),
    }
}

// --- CAST ---

/// Makes a value of another type. The plan has checked that the types go together.
pub fn cast(value: Value, to: Type) -> Evaluated {
    match (value, to) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Text(text), Type::Varchar(_) | Type::Char(_)) => fit(text, to),
        (value, Type::Varchar(_) | Type::Char(_)) => {
            let mut text = CompactString::default();
            write_text(&value, &mut text);
            fit(text, to)
        }
        (Value::Text(text), to) => parse(text.trim(), to),
        (value, Type::Real | Type::Double) => Ok(double_value(value.as_double(), to)),
        (Value::Double(number), to) => from_double(number, to),
        (value, Type::SmallInt | Type::Integer | Type::BigInt) => integer_value(value.as_digits(0), to),
        (value, Type::Decimal { precision, scale }) => decimal_value(value.as_digits(scale), precision, scale),
        (Value::Timestamp(time), Type::Date) => Ok(Value::Date(time.div_euclid(DAY) as i32)),
        (Value::Timestamp(time), Type::Time) => Ok(Value::Time(time.rem_euclid(DAY) as i32)),
        (Value::Date(day), Type::Timestamp) => Ok(Value::Timestamp(i64::from(day) * DAY)),
        (value, _) => Ok(value),
    }
}

/// The number that a REAL is written as: 43.65, not the 43.650001525878906 that its bits are.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn double_value(number: f64, to: Type) -> Value {
    Value::Double(if to == Type::Real { shortest(number as f32) } else { number })
}

fn from_double(number: f64, to: Type) -> Evaluated {
    let scale = if let Type::Decimal { scale, .. } = to { scale } else { 0 };
    let scaled = (number * power(scale) as f64).round();
    if scaled.is_nan() || scaled.abs() > 1e19 {
        return failure(format!("{number:?} is out of range for {to}"));
    }
    match to {
        Type::Decimal { precision, scale } => decimal_value(scaled as i128, precision, scale),
        _ => integer_value(scaled as i128, to),
    }
}

/// A text that is no longer than its type. Blanks may be cut off its end, nothing else.
fn fit(mut text: CompactString, to: Type) -> Evaluated {
    let Some(length) = to.length().map(|length| length as usize) else { return Ok(Value::Text(text)) };
    // A text has no more characters than bytes.
    if text.len() > length && text.chars().count() > length {
        let end = text.char_indices().nth(length).map_or(text.len(), |(end, _)| end);
        if text[end..].bytes().any(|byte| byte != b' ') {
            return failure(format!("'{text}' is longer than {to}"));
        }
        text.truncate(end);
    }
    if let Type::Char(_) = to {
        for _ in text.chars().count()..length {
            text.push(' ');
        }
    }
    Ok(Value::Text(text))
}

fn parse(text: &str, to: Type) -> Evaluated {
    let parsed = match to {
        Type::Boolean => match text {
            _ if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            _ if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            _ if text.eq_ignore_ascii_case("unknown") => Some(Value::Null),
            _ => None,
        },
        Type::Real | Type::Double => text.parse().ok().map(|number| double_value(number, to)),
        Type::SmallInt | Type::Integer | Type::BigInt | Type::Decimal { .. } => return parse_exact(text, to),
        Type::Timestamp => parse_timestamp(text).map(Value::Timestamp),
        Type::Date => parse_date(text).map(Value::Date),
        Type::Time => parse_time(text).map(Value::Time),
        _ => None,
    };
    parsed.map_or_else(|| failure(format!("'{text}' is no {to}")), Ok)
}

fn parse_exact(text: &str, to: Type) -> Evaluated {
    if let Ok(number) = text.parse::<i64>() {
        return cast(Value::Int(number), to);
    }
    match parse_decimal(text) {
        Some((digits, scale)) => cast(Value::Decimal(digits, scale), to),
        None => match text.parse::<f64>() {
            Ok(number) if text.bytes().any(|byte| byte.is_ascii_digit()) => from_double(number, to),
            _ => failure(format!("'{text}' is no {to}")),
        },
    }
}

/// `-12.50` as its digits and how many are behind the point.
pub fn parse_decimal(text: &str) -> Option<(i64, u8)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let digits = unsigned.len() + fraction.len();
    let is_plain = unsigned.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if digits == 0 || fraction.len() > MOST_DIGITS.into() || !is_plain {
        return None;
    }
    let number: i64 = format!("{whole}{fraction}").parse().ok()?;
    Some((number, fraction.len() as u8))
}

/// `2018-11-29 23:35:10.123`, with a T instead of the blank or a zone, or a date alone.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    if text.len() == 10 {
        return parse_date(text).map(|day| i64::from(day) * DAY);
    }
    iso(text).map(|time| time.as_micros().div_euclid(1000))
}

pub fn parse_date(text: &str) -> Option<i32> {
    let midnight = iso(&format!("{text} 00:00:00"))?;
    (text.len() == 10).then(|| midnight.as_micros().div_euclid(DAY * 1000) as i32)
}

pub fn parse_time(text: &str) -> Option<i32> {
    let time = iso(&format!("1970-01-01 {text}"))?;
    i32::try_from(time.as_micros() / 1000).ok().filter(|time| (0..DAY).contains(&i64::from(*time)))
}

// --- Text of values ---

/// Appends a value as CAST to VARCHAR writes it; nothing for NULL.
pub fn write_text(value: &Value, to: &mut CompactString) {
    use std::fmt::Write as _;
    match *value {
        Value::Null => {}
        Value::Bool(is) => to.push_str(if is { "TRUE" } else { "FALSE" }),
        Value::Int(number) => _ = write!(to, "{number}"),
        Value::Decimal(digits, scale) => write_decimal(digits, scale, to),
        Value::Double(number) => _ = write!(to, "{number:?}"),
        Value::Text(ref text) => to.push_str(text),
        Value::Timestamp(time) => {
            write_date(time.div_euclid(DAY), to);
            to.push(' ');
            write_time(time.rem_euclid(DAY), to);
        }
        Value::Date(day) => write_date(day.into(), to),
        Value::Time(time) => write_time(time.into(), to),
        Value::Interval(length) => _ = write!(to, "{length}"),
    }
}

fn write_decimal(digits: i64, scale: u8, to: &mut CompactString) {
    use std::fmt::Write as _;
    let (sign, digits) = (if digits < 0 { "-" } else { "" }, digits.unsigned_abs());
    let power = power(scale) as u64;
    _ = match scale {
        0 => write!(to, "{sign}{digits}"),
        _ => write!(to, "{sign}{}.{:0width$}", digits / power, digits % power, width = scale.into()),
    };
}

/// Digits of a number below 100.
fn two(number: i64) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

fn write_date(day: i64, to: &mut CompactString) {
    use std::fmt::Write as _;
    let (year, month, of_month) = date_of(day);
    if !(0..=9999).contains(&year) {
        _ = write!(to, "{year:05}-{month:02}-{of_month:02}");
        return;
    }
    let mut text = *b"0000-00-00";
    text[0..2].copy_from_slice(&two(year / 100));
    text[2..4].copy_from_slice(&two(year % 100));
    text[5..7].copy_from_slice(&two(month));
    text[8..10].copy_from_slice(&two(of_month));
    to.push_str(std::str::from_utf8(&text).unwrap_or_default());
}

fn write_time(time: i64, to: &mut CompactString) {
    let mut text = *b"00:00:00.000";
    text[0..2].copy_from_slice(&two(time / 3_600_000));
    text[3..5].copy_from_slice(&two(time / 60_000 % 60));
    text[6..8].copy_from_slice(&two(time / 1_000 % 60));
    text[9] = b'0' + (time / 100 % 10) as u8;
    text[10..12].copy_from_slice(&two(time % 100));
    to.push_str(std::str::from_utf8(&text).unwrap_or_default());
}

/// Year, month and day of the month, in the Gregorian calendar.
pub fn date_of(day: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last day of one.
    let since = day + 719_468;
    let era = since.div_euclid(146_097);
    let of_era = since.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast_text(text: &str, to: Type) -> Result<String, String> {
        shown(cast(Value::text(text), to))
    }

    fn shown(value: Evaluated) -> Result<String, String> {
        let mut text = CompactString::default();
        value.map(|value| write_text(&value, &mut text)).map_err(|failure| failure.0)?;
        Ok(text.into())
    }

    #[test]
    fn texts_become_numbers_and_times_or_fail() {
        let varchar = |length| Type::Varchar(Some(length));
        for (text, to, expected) in [
            (" 12 ", Type::Integer, Ok("12")),
            ("12.5", Type::Integer, Ok("13")),
            ("-2.5", Type::BigInt, Ok("-3")),
            ("x", Type::Integer, Err("'x' is no INTEGER")),
            ("40000", Type::SmallInt, Err("40000 is out of range for SMALLINT")),
            ("1.005", Type::Decimal { precision: 4, scale: 2 }, Ok("1.01")),
            (
                "123.4",
                Type::Decimal { precision: 4, scale: 2 },
                Err("the number has more digits than DECIMAL(4, 2) holds"),
            ),
            ("1e3", Type::Double, Ok("1000.0")),
            ("TRUE", Type::Boolean, Ok("TRUE")),
            ("2018-11-29 23:35:10", Type::Timestamp, Ok("2018-11-29 23:35:10.000")),
            ("2018-11-29T23:35:10.1239Z", Type::Timestamp, Ok("2018-11-29 23:35:10.123")),
            ("2018-11-29", Type::Date, Ok("2018-11-29")),
            ("23:35:10.5", Type::Time, Ok("23:35:10.500")),
            ("soon", Type::Timestamp, Err("'soon' is no TIMESTAMP")),
            ("abcd", varchar(4), Ok("abcd")),
            ("abc  ", varchar(3), Ok("abc")),
            ("abcd", varchar(3), Err("'abcd' is longer than VARCHAR(3)")),
            ("ab", Type::Char(4), Ok("ab  ")),
        ] {
            assert_eq!(cast_text(text, to), expected.map(str::to_owned).map_err(str::to_owned), "{text} {to}");
        }
    }

    #[test]
    fn a_date_needs_ten_characters() {
        // AWS's page of CAST: no row for VARCHAR(9), ten characters for VARCHAR(10).
        let date = parse_date("2008-08-23").map(Value::Date).expect("a date");
        assert_eq!(shown(cast(date.clone(), Type::Varchar(Some(10)))), Ok("2008-08-23".to_owned()));
        assert!(shown(cast(date.clone(), Type::Varchar(Some(9)))).is_err());
        assert_eq!(shown(cast(date, Type::Char(14))), Ok("2008-08-23    ".to_owned()));
    }

    #[test]
    fn dates_of_all_days_follow_each_other() {
        let mut last = date_of(-800_000);
        for day in -799_999..800_000 {
            let next = date_of(day);
            assert!(next == (last.0, last.1, last.2 + 1) || next.2 == 1, "{day} {next:?}");
            last = next;
        }
        assert_eq!((date_of(0), date_of(17_864)), ((1970, 1, 1), (2018, 11, 29)));
    }

    #[test]
    fn numbers_are_rounded_half_away_from_zero() {
        assert_eq!([-25, -15, -14, 15, 24, 25].map(|n| divided(n, 10)), [-3, -2, -1, 2, 2, 3]);
        assert_eq!(shown(cast(Value::Double(-1.5), Type::Integer)), Ok("-2".to_owned()));
        assert!(cast(Value::Double(f64::NAN), Type::Integer).is_err());
        assert_eq!(shown(cast(Value::Decimal(-5, 2), Type::Varchar(None))), Ok("-0.05".to_owned()));
    }
}
