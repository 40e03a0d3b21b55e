//! The state of the rows of a window, and the keys that rows are grouped by.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::types::{Evaluated, Type, Value, decimal_value, integer_value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Count,
    Sum,
    Average,
    Min,
    Max,
    First,
    Last,
    /// Variance, of a sample or of all; and its root.
    Variance {
        of_sample: bool,
        root: bool,
    },
}

/// An aggregate of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    pub kind: Kind,
    /// The number of its argument; none for `COUNT(*)`.
    pub argument: Option<usize>,
    pub is_distinct: bool,
    /// NULL counts for FIRST_VALUE and LAST_VALUE, unless it says otherwise.
    pub ignores_nulls: bool,
    pub ty: Type,
}

/// The state of one aggregate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    Count(i64),
    /// Digits of exact numbers, and how many numbers.
    Exact(i128, u8, i64),
    Double(f64, i64),
    /// The current value, if there was one.
    One(Option<Value>),
    /// Count, mean, and sum of squared distances from it.
    Spread(i64, f64, f64),
    /// Each value once, by its key.
    Distinct(#[serde(with = "crate::pairs")] BTreeMap<Box<[u8]>, Value>),
}

impl Kind {
    /// The type of the result for an argument.
    pub const fn type_for(self, argument: Type) -> Type {
        match self {
            Self::Count => Type::BigInt,
            Self::Sum | Self::Average => match argument {
                Type::SmallInt | Type::Integer | Type::BigInt | Type::Null => Type::BigInt,
                Type::Decimal { scale, .. } => Type::Decimal { precision: crate::types::MOST_DIGITS, scale },
                _ => Type::Double,
            },
            Self::Variance { .. } => Type::Double,
            Self::Min | Self::Max | Self::First | Self::Last => argument,
        }
    }
}

impl Aggregate {
    /// The state before the first row.
    pub fn start(&self) -> State {
        if self.is_distinct { State::Distinct(BTreeMap::new()) } else { self.start_plain() }
    }

    fn start_plain(&self) -> State {
        match (self.kind, self.ty) {
            (Kind::Count, _) => State::Count(0),
            (Kind::Sum | Kind::Average, Type::Double) => State::Double(0.0, 0),
            (Kind::Sum | Kind::Average, Type::Decimal { scale, .. }) => State::Exact(0, scale, 0),
            (Kind::Sum | Kind::Average, _) => State::Exact(0, 0, 0),
            (Kind::Variance { .. }, _) => State::Spread(0, 0.0, 0.0),
            _ => State::One(None),
        }
    }

    /// Adds a row by the values of all arguments.
    #[inline]
    pub fn add(&self, state: &mut State, arguments: &[Value]) {
        match self.argument {
            None => {
                if let State::Count(count) = state {
                    *count += 1;
                }
            }
            Some(argument) => self.add_value(state, &arguments[argument]),
        }
    }

    fn add_value(&self, state: &mut State, value: &Value) {
        if value.is_null() && (self.ignores_nulls || !matches!(self.kind, Kind::First | Kind::Last)) {
            return;
        }
        match state {
            State::Count(count) => *count += 1,
            State::Exact(sum, scale, count) => {
                *sum = sum.saturating_add(value.as_digits(*scale));
                *count += 1;
            }
            State::Double(sum, count) => {
                *sum += value.as_double();
                *count += 1;
            }
            State::One(one) => {
                if self.replaces(one.as_ref(), value) {
                    *one = Some(value.clone());
                }
            }
            State::Spread(count, mean, squares) => {
                *count += 1;
                let distance = value.as_double() - *mean;
                *mean += distance / *count as f64;
                *squares += distance * (value.as_double() - *mean);
            }
            State::Distinct(values) => {
                let mut key = Vec::new();
                encode(value, &mut key);
                values.entry(key.into()).or_insert_with(|| value.clone());
            }
        }
    }

    /// Whether a value that came after `one` counts instead of it.
    fn replaces(&self, one: Option<&Value>, value: &Value) -> bool {
        let Some(one) = one else { return true };
        match self.kind {
            Kind::First => false,
            Kind::Last => true,
            Kind::Min => value.compare(one).is_some_and(|order| order.is_lt()),
            _ => value.compare(one).is_some_and(|order| order.is_gt()),
        }
    }

    /// Adds the state of later rows.
    pub fn merge(&self, state: &mut State, later: &State) {
        match (state, later) {
            (State::Count(count), State::Count(more)) => *count += more,
            (State::Exact(sum, _, count), State::Exact(more, _, others)) => {
                *sum = sum.saturating_add(*more);
                *count += others;
            }
            (State::Double(sum, count), State::Double(more, others)) => {
                *sum += more;
                *count += others;
            }
            (State::One(one), State::One(Some(value))) if self.replaces(one.as_ref(), value) => {
                *one = Some(value.clone());
            }
            (State::Spread(count, mean, squares), State::Spread(others, other_mean, other_squares)) if *others > 0 => {
                let (n, m) = (*count as f64, *others as f64);
                let distance = other_mean - *mean;
                *mean += distance * m / (n + m);
                *squares += other_squares + distance * distance * n * m / (n + m);
                *count += others;
            }
            (State::Distinct(values), State::Distinct(others)) => {
                values.extend(others.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => {}
        }
    }

    pub fn finish(&self, state: &State) -> Evaluated {
        match state {
            State::Count(count) => Ok(Value::Int(*count)),
            State::Exact(_, _, 0) | State::Double(_, 0) | State::One(None) => Ok(Value::Null),
            State::Exact(sum, _, count) => {
                self.exact(if self.kind == Kind::Sum { *sum } else { sum / i128::from(*count) })
            }
            State::Double(sum, _) if self.kind == Kind::Sum => Ok(Value::Double(*sum)),
            State::Double(sum, count) => Ok(Value::Double(sum / *count as f64)),
            State::One(Some(value)) => Ok(value.clone()),
            State::Spread(count, _, squares) => Ok(self.spread(*count, *squares)),
            State::Distinct(values) => {
                let mut state = self.start_plain();
                values.values().for_each(|value| self.add_value(&mut state, value));
                self.finish(&state)
            }
        }
    }

    fn exact(&self, digits: i128) -> Evaluated {
        match self.ty {
            Type::Decimal { precision, scale } => decimal_value(digits, precision, scale),
            ty => integer_value(digits, ty),
        }
    }

    fn spread(&self, count: i64, squares: f64) -> Value {
        let Kind::Variance { of_sample, root } = self.kind else { return Value::Null };
        let divisor = count - i64::from(of_sample);
        if divisor <= 0 {
            return Value::Null;
        }
        let variance = squares / divisor as f64;
        Value::Double(if root { variance.sqrt() } else { variance })
    }
}

// --- Keys ---

/// Appends a value so that equal values have equal bytes, and [`decode`] finds it again.
#[inline]
pub fn encode(value: &Value, key: &mut Vec<u8>) {
    let mut fixed = |tag: u8, number: i64| {
        key.push(tag);
        key.extend_from_slice(&number.to_le_bytes());
    };
    match *value {
        Value::Null => key.push(0),
        Value::Bool(is) => fixed(1, is.into()),
        Value::Int(number) => fixed(2, number),
        Value::Decimal(digits, scale) => {
            fixed(3, digits);
            key.push(scale);
        }
        // 0.0 and -0.0 are one key, and so is every NaN.
        Value::Double(number) => {
            let number = if number.is_nan() { f64::NAN } else { number + 0.0 };
            fixed(4, number.to_bits() as i64);
        }
        Value::Text(ref text) => {
            fixed(5, text.len() as i64);
            key.extend_from_slice(text.as_bytes());
        }
        Value::Timestamp(time) => fixed(6, time),
        Value::Date(day) => fixed(7, day.into()),
        Value::Time(time) => fixed(8, time.into()),
        Value::Interval(length) => fixed(9, length),
    }
}

/// Takes the next value off a key. NULL where the key is none that [`encode`] made.
pub fn decode(key: &mut &[u8]) -> Value {
    let Some((&tag, rest)) = key.split_first().filter(|(tag, _)| **tag != 0) else {
        *key = key.get(1..).unwrap_or_default();
        return Value::Null;
    };
    let Some((number, rest)) = rest.split_first_chunk() else { return Value::Null };
    let number = i64::from_le_bytes(*number);
    *key = rest;
    match tag {
        1 => Value::Bool(number != 0),
        2 => Value::Int(number),
        3 => {
            let scale = key.first().copied().unwrap_or_default();
            *key = key.get(1..).unwrap_or_default();
            Value::Decimal(number, scale)
        }
        4 => Value::Double(f64::from_bits(number as u64)),
        5 => {
            let (text, rest) = key.split_at(key.len().min(number as usize));
            *key = rest;
            Value::Text(CompactString::from_utf8_lossy(text))
        }
        6 => Value::Timestamp(number),
        7 => Value::Date(number as i32),
        8 => Value::Time(number as i32),
        _ => Value::Interval(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(kind: Kind, argument: Type, is_distinct: bool) -> Aggregate {
        Aggregate { kind, argument: Some(0), is_distinct, ignores_nulls: false, ty: kind.type_for(argument) }
    }

    fn of(aggregate: Aggregate, values: &[Value]) -> Value {
        let mut whole = aggregate.start();
        values.iter().for_each(|value| aggregate.add(&mut whole, std::slice::from_ref(value)));
        for middle in 0..=values.len() {
            let (mut one, mut other) = (aggregate.start(), aggregate.start());
            values[..middle].iter().for_each(|value| aggregate.add(&mut one, std::slice::from_ref(value)));
            values[middle..].iter().for_each(|value| aggregate.add(&mut other, std::slice::from_ref(value)));
            aggregate.merge(&mut one, &other);
            let (merged, whole) = (aggregate.finish(&one), aggregate.finish(&whole));
            match (&merged, &whole) {
                (Ok(Value::Double(one)), Ok(Value::Double(other))) => assert!((one - other).abs() < 1e-9),
                _ => assert_eq!(merged, whole, "{aggregate:?} in two parts"),
            }
        }
        aggregate.finish(&whole).expect("a value")
    }

    #[test]
    fn aggregates_pass_over_null_but_for_first_and_last() {
        let values = [Value::Null, Value::Int(4), Value::Int(1), Value::Int(4), Value::Null];
        let of = |kind, is_distinct| of(aggregate(kind, Type::Integer, is_distinct), &values);
        assert_eq!((of(Kind::Count, false), of(Kind::Count, true)), (Value::Int(3), Value::Int(2)));
        assert_eq!((of(Kind::Sum, false), of(Kind::Sum, true)), (Value::Int(9), Value::Int(5)));
        assert_eq!(
            (of(Kind::Average, false), of(Kind::Min, false), of(Kind::Max, false)),
            (Value::Int(3), Value::Int(1), Value::Int(4))
        );
        assert_eq!((of(Kind::First, false), of(Kind::Last, false)), (Value::Null, Value::Null));
        assert_eq!(of(Kind::Variance { of_sample: false, root: false }, false), Value::Double(2.0));
        assert_eq!(of(Kind::Variance { of_sample: true, root: true }, false), Value::Double(3_f64.sqrt()));
    }

    #[test]
    fn nothing_has_no_sum() {
        for kind in [Kind::Sum, Kind::Average, Kind::Min, Kind::Last, Kind::Variance { of_sample: true, root: false }] {
            assert_eq!(of(aggregate(kind, Type::Double, false), &[]), Value::Null);
        }
        assert_eq!(
            of(aggregate(Kind::Variance { of_sample: true, root: false }, Type::Double, false), &[Value::Int(1)]),
            Value::Null
        );
    }

    #[test]
    fn a_key_gives_its_values_back() {
        let values = [
            Value::Null,
            Value::text(""),
            Value::text("a longer text than the others, with åäö"),
            Value::Bool(true),
            Value::Int(-1),
            Value::Decimal(-125, 2),
            Value::Double(-0.5),
            Value::Timestamp(i64::MIN),
            Value::Date(-1),
            Value::Time(1),
            Value::Interval(7),
            Value::Null,
        ];
        let mut key = Vec::new();
        values.iter().for_each(|value| encode(value, &mut key));
        let mut rest = key.as_slice();
        for value in &values {
            assert_eq!(decode(&mut rest), *value);
        }
        assert!(rest.is_empty() && decode(&mut rest).is_null());
        let key_of = |value| {
            let mut key = Vec::new();
            encode(&value, &mut key);
            key
        };
        assert_eq!(key_of(Value::Double(0.0)), key_of(Value::Double(-0.0)));
    }
}
