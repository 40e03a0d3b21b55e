//! The scalar functions.

use compact_str::CompactString;
use stagger::{Bucket, Timestamp, Unit};

use crate::expr::Expr;
use crate::types::{DAY, Evaluated, Failure, Value, date_of, failure};

/// A function that names the arguments it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// STEP of a time by milliseconds.
    Step(i64),
    /// STEP of a number.
    StepNumber,
    Floor(Unit),
    Ceil(Unit),
    FloorNumber,
    CeilNumber,
    /// Text, start, and a length unless it goes to the end.
    Substring,
    /// Text, and the character to take off.
    Trim(Side),
    /// The text looked for, and the text that it is looked for in.
    Position,
    CharLength,
    Upper,
    Lower,
    UnixTimestamp,
    ToTimestamp,
    Tsdiff,
    Extract(Field),
    Coalesce,
    Nullif,
    Abs,
    Sqrt,
    Exp,
    Ln,
    Log10,
    Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Both,
    Leading,
    Trailing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Function {
    pub fn call(self, arguments: &[Expr], row: &[Value]) -> Evaluated {
        if self == Self::Coalesce {
            return coalesce(arguments, row);
        }
        let first = arguments[0].eval(row)?;
        let Some(rest) = arguments.get(1..).filter(|rest| !rest.is_empty()) else { return self.of_one(first) };
        let second = rest[0].eval(row)?;
        let third = rest.get(1).map(|third| third.eval(row)).transpose()?;
        self.of_several(&first, &second, third.as_ref())
    }

    /// Of values. COALESCE, which looks at no more than it needs, is not among them.
    pub fn of(self, values: &[Value]) -> Evaluated {
        match values {
            [one] => self.of_one(one.clone()),
            [first, second, rest @ ..] => self.of_several(first, second, rest.first()),
            [] => Ok(Value::Null),
        }
    }

    /// Of one argument. NULL has no value of any function.
    fn of_one(self, value: Value) -> Evaluated {
        Ok(match (self, value) {
            (_, Value::Null) => Value::Null,
            (Self::Step(by), Value::Timestamp(time)) => Value::Timestamp(time.div_euclid(by).saturating_mul(by)),
            (Self::Floor(unit), time) => return with_millis(&time, |millis| floor(millis, unit)),
            (Self::Ceil(unit), time) => return with_millis(&time, |millis| ceil(millis, unit)),
            (Self::FloorNumber, number) => return whole(number, f64::floor, i128::div_euclid),
            (Self::CeilNumber, number) => return whole(number, f64::ceil, |n, by| -(-n).div_euclid(by)),
            (Self::CharLength, Value::Text(text)) => Value::Int(text.chars().count() as i64),
            (Self::Upper, Value::Text(text)) => Value::Text(upper(text)),
            (Self::Lower, Value::Text(text)) => Value::Text(text.to_lowercase()),
            (Self::UnixTimestamp, Value::Timestamp(time)) => Value::Int(time),
            (Self::ToTimestamp, Value::Int(time)) => Value::Timestamp(time),
            (Self::Extract(field), time) => return extract(field, &time),
            (Self::Abs, number) => return absolute(number),
            (Self::Sqrt, number) => return real(f64::sqrt(number.as_double()), "SQRT"),
            (Self::Exp, number) => return real(f64::exp(number.as_double()), "EXP"),
            (Self::Ln, number) => return real(f64::ln(number.as_double()), "LN"),
            (Self::Log10, number) => return real(f64::log10(number.as_double()), "LOG10"),
            _ => Value::Null,
        })
    }

    fn of_several(self, first: &Value, second: &Value, third: Option<&Value>) -> Evaluated {
        Ok(match (self, first, second) {
            (Self::Nullif, one, other) if one.compare(other).is_some_and(|order| order.is_eq()) => Value::Null,
            (Self::Nullif, one, _) => one.clone(),
            (Self::Substring, Value::Text(text), Value::Int(start)) => match third {
                None => Value::Text(substring(text, *start, None)),
                Some(Value::Int(length)) => Value::Text(substring(text, *start, Some(*length))),
                Some(_) => Value::Null,
            },
            (Self::Trim(side), Value::Text(text), Value::Text(what)) => return trim(side, text, what),
            (Self::Position, Value::Text(what), Value::Text(text)) => {
                Value::Int(text.find(what.as_str()).map_or(0, |at| text[..at].chars().count() as i64 + 1))
            }
            (Self::Tsdiff, Value::Timestamp(one), Value::Timestamp(other)) => Value::Int(one.saturating_sub(*other)),
            (Self::StepNumber, Value::Int(number), Value::Int(by)) => match number.checked_div_euclid(by.abs()) {
                Some(steps) => Value::Int(steps.saturating_mul(by.abs())),
                None => return failure("STEP by zero"),
            },
            (Self::Power, Value::Null, _) | (Self::Power, _, Value::Null) => Value::Null,
            (Self::Power, base, exponent) => return real(base.as_double().powf(exponent.as_double()), "POWER"),
            _ => Value::Null,
        })
    }
}

fn coalesce(arguments: &[Expr], row: &[Value]) -> Evaluated {
    for argument in arguments {
        let value = argument.eval(row)?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

fn upper(mut text: CompactString) -> CompactString {
    if text.is_ascii() {
        text.make_ascii_uppercase();
        return text;
    }
    text.to_uppercase()
}

/// From a position on, counted from 1. A start before 1 is 1, and shortens the length.
pub fn substring(text: &str, start: i64, length: Option<i64>) -> CompactString {
    let before = usize::try_from(start.saturating_sub(1)).unwrap_or(0);
    let rest = text.char_indices().nth(before).map_or("", |(at, _)| &text[at..]);
    let Some(length) = length else { return rest.into() };
    let length = if start < 1 { length.saturating_sub(1_i64.saturating_sub(start)) } else { length };
    let length = usize::try_from(length).unwrap_or(0);
    rest.char_indices().nth(length).map_or(rest, |(end, _)| &rest[..end]).into()
}

fn trim(side: Side, text: &str, what: &str) -> Evaluated {
    let mut chars = what.chars();
    let (Some(what), None) = (chars.next(), chars.next()) else {
        return failure("TRIM takes off one character");
    };
    Ok(Value::text(match side {
        Side::Both => text.trim_matches(what),
        Side::Leading => text.trim_start_matches(what),
        Side::Trailing => text.trim_end_matches(what),
    }))
}

fn with_millis(time: &Value, rounded: impl Fn(i64) -> i64) -> Evaluated {
    Ok(match *time {
        Value::Timestamp(time) => Value::Timestamp(rounded(time)),
        Value::Date(day) => Value::Date(rounded(i64::from(day).saturating_mul(DAY)).div_euclid(DAY) as i32),
        Value::Time(time) => Value::Time(rounded(time.into()).rem_euclid(DAY) as i32),
        _ => Value::Null,
    })
}

/// Milliseconds of a unit of fixed length.
const fn fixed(unit: Unit) -> Option<i64> {
    match unit {
        Unit::Second => Some(1_000),
        Unit::Minute => Some(60_000),
        Unit::Hour => Some(3_600_000),
        Unit::Day => Some(DAY),
        _ => None,
    }
}

fn floor(millis: i64, unit: Unit) -> i64 {
    match fixed(unit) {
        Some(length) => millis.div_euclid(length).saturating_mul(length),
        None => window(millis, unit).0,
    }
}

fn ceil(millis: i64, unit: Unit) -> i64 {
    match fixed(unit) {
        Some(length) => -(millis.saturating_neg().div_euclid(length).saturating_mul(length)),
        None => match window(millis, unit) {
            (start, _) if start == millis => millis,
            (_, end) => end,
        },
    }
}

/// Start and end of the calendar unit around a time.
fn window(millis: i64, unit: Unit) -> (i64, i64) {
    let window = Bucket::floor(unit).window_of(Timestamp::from_millis(millis));
    window.map_or((millis, millis), |window| (window.start.as_millis(), window.end.as_millis()))
}

fn whole(number: Value, double: impl Fn(f64) -> f64, exact: impl Fn(i128, i128) -> i128) -> Evaluated {
    Ok(match number {
        Value::Double(number) => Value::Double(double(number)),
        Value::Decimal(digits, scale) => {
            let whole = exact(digits.into(), crate::types::power(scale));
            Value::Decimal(i64::try_from(whole).unwrap_or(i64::MAX), 0)
        }
        other => other,
    })
}

fn absolute(number: Value) -> Evaluated {
    Ok(match number {
        Value::Int(number) => match number.checked_abs() {
            Some(number) => Value::Int(number),
            None => return failure("ABS is out of range"),
        },
        Value::Decimal(digits, scale) => Value::Decimal(digits.abs(), scale),
        Value::Double(number) => Value::Double(number.abs()),
        other => other,
    })
}

fn real(number: f64, name: &str) -> Result<Value, Failure> {
    if number.is_finite() { Ok(Value::Double(number)) } else { failure(format!("{name} has no value there")) }
}

fn extract(field: Field, time: &Value) -> Evaluated {
    let millis = match *time {
        Value::Timestamp(time) => time,
        Value::Date(day) => i64::from(day) * DAY,
        Value::Time(time) => time.into(),
        _ => return Ok(Value::Null),
    };
    let (year, month, day) = date_of(millis.div_euclid(DAY));
    let of_day = millis.rem_euclid(DAY);
    Ok(Value::Int(match field {
        Field::Year => year,
        Field::Quarter => (month - 1) / 3 + 1,
        Field::Month => month,
        Field::Week => week(millis.div_euclid(DAY)),
        Field::Day => day,
        Field::Hour => of_day / 3_600_000,
        Field::Minute => of_day / 60_000 % 60,
        Field::Second => of_day / 1_000 % 60,
    }))
}

/// The number of the week by ISO 8601: that of its Thursday.
fn week(day: i64) -> i64 {
    let thursday = day - (day + 3).rem_euclid(7) + 3;
    let (mut first, year) = (thursday, date_of(thursday).0);
    while first > thursday - 366 && date_of(first - 1).0 == year {
        first -= 1;
    }
    (thursday - first) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substring_counts_characters_from_one() {
        for (start, length, expected) in [
            (3, Some(4), "3456"),
            (17, Some(4), ""),
            (-1, Some(4), "12"),
            (6, Some(0), ""),
            (8, Some(4), "89"),
            (8, None, "89"),
            (0, None, "123456789"),
            (2, Some(-1), ""),
            (i64::MIN, Some(i64::MAX), ""),
        ] {
            assert_eq!(substring("123456789", start, length), expected, "{start} {length:?}");
        }
        assert_eq!(substring("åäö", 2, Some(1)), "ä");
    }

    #[test]
    fn rounding_goes_down_before_1970() {
        assert_eq!(floor(-1, Unit::Minute), -60_000);
        assert_eq!(
            (ceil(-1, Unit::Minute), ceil(60_000, Unit::Minute), ceil(60_001, Unit::Minute)),
            (0, 60_000, 120_000)
        );
        assert_eq!((ceil(1, Unit::Year), ceil(0, Unit::Year)), (365 * DAY, 0));
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        // 1 January 2021 was a Friday of week 53; 4 January a Monday of week 1.
        assert_eq!([18_628, 18_631, 17_897].map(week), [53, 1, 1]);
    }
}
