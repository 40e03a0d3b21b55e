//! Expressions as they run: names are numbers of columns, types are known, logic has three values.

use std::cmp::Ordering;

use compact_str::CompactString;

use crate::functions::Function;
use crate::types::{
    Evaluated, Failure, Type, Value, cast, decimal_value, divided, failure, integer_value, power, rescaled, write_text,
};

/// An expression. Its type is with its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Column(usize),
    Literal(Value),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Compare(Comparison, Box<Self>, Box<Self>),
    IsNull(Box<Self>),
    /// IS TRUE, IS FALSE.
    Is(Box<Self>, bool),
    In(Box<Self>, Vec<Self>),
    Like(Box<Self>, Box<Self>, Option<char>),
    Arithmetic(Operator, Numbers, Box<Self>, Box<Self>),
    Negate(Box<Self>),
    /// A time and an interval to add.
    Later(Box<Self>, Box<Self>),
    Concat(Vec<Self>),
    Case(Vec<(Self, Self)>, Box<Self>),
    Cast(Box<Self>, Type),
    Call(Function, Vec<Self>),
    /// Written in Rust, in a program that was made by `translate`.
    Native(Native),
}

/// A function of a row. No two are the same.
#[derive(Clone, Copy)]
pub struct Native(pub fn(&[Value]) -> Evaluated);

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Native")
    }
}

impl PartialEq for Native {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}

/// How an operation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    Integer,
    Decimal { precision: u8, scale: u8 },
    Double,
}

impl Comparison {
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// True, false, or unknown.
pub type Truth = Option<bool>;

pub fn truth(value: &Value) -> Truth {
    match value {
        Value::Bool(is) => Some(*is),
        _ => None,
    }
}

pub fn value_of(truth: Truth) -> Value {
    truth.map_or(Value::Null, Value::Bool)
}

impl Expr {
    /// The value for a row.
    pub fn eval(&self, row: &[Value]) -> Evaluated {
        match self {
            Self::Column(index) => Ok(row[*index].clone()),
            Self::Literal(value) => Ok(value.clone()),
            Self::Not(one) => Ok(value_of(one.truth(row)?.map(|is| !is))),
            Self::And(all) => all_of(all, row, false).map(value_of),
            Self::Or(any) => all_of(any, row, true).map(value_of),
            Self::Compare(comparison, left, right) => compare(*comparison, left, right, row).map(value_of),
            Self::IsNull(one) => Ok(Value::Bool(one.with(row, Value::is_null)?)),
            Self::Is(one, target) => Ok(Value::Bool(one.truth(row)? == Some(*target))),
            Self::In(one, list) => is_in(&one.eval(row)?, list, row).map(value_of),
            Self::Like(one, pattern, escape) => like(&one.eval(row)?, &pattern.eval(row)?, *escape),
            Self::Arithmetic(operator, numbers, left, right) => {
                arithmetic(*operator, *numbers, &left.eval(row)?, &right.eval(row)?)
            }
            Self::Negate(one) => negate(one.eval(row)?),
            Self::Later(time, interval) => later(&time.eval(row)?, &interval.eval(row)?),
            Self::Concat(parts) => concat(parts, row),
            Self::Case(conditions, otherwise) => case(conditions, otherwise, row),
            Self::Cast(one, to) => cast(one.eval(row)?, *to),
            Self::Call(function, arguments) => function.call(arguments, row),
            Self::Native(Native(function)) => function(row),
        }
    }

    /// The expressions that it is made of.
    pub fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Column(_) | Self::Literal(_) | Self::Native(_) => Vec::new(),
            Self::Not(one) | Self::IsNull(one) | Self::Is(one, _) | Self::Negate(one) | Self::Cast(one, _) => vec![one],
            Self::And(all) | Self::Or(all) | Self::Concat(all) | Self::Call(_, all) => all.iter().collect(),
            Self::Compare(_, one, other)
            | Self::Like(one, other, _)
            | Self::Arithmetic(_, _, one, other)
            | Self::Later(one, other) => vec![one, other],
            Self::In(one, list) => std::iter::once(&**one).chain(list).collect(),
            Self::Case(whens, otherwise) => {
                whens.iter().flat_map(|(when, then)| [when, then]).chain(std::iter::once(&**otherwise)).collect()
            }
        }
    }

    /// Whether a condition holds for a row.
    pub fn truth(&self, row: &[Value]) -> Result<Truth, Failure> {
        self.with(row, truth)
    }

    /// Looks at the value without a copy of it, where it is a column or a literal.
    pub fn with<T>(&self, row: &[Value], look: impl FnOnce(&Value) -> T) -> Result<T, Failure> {
        match self {
            Self::Column(index) => Ok(look(&row[*index])),
            Self::Literal(value) => Ok(look(value)),
            _ => Ok(look(&self.eval(row)?)),
        }
    }
}

/// AND for `decides` false, OR for true: the first part with that value decides.
fn all_of(parts: &[Expr], row: &[Value], decides: bool) -> Result<Truth, Failure> {
    let mut all = Some(!decides);
    for part in parts {
        match part.truth(row)? {
            Some(is) if is == decides => return Ok(Some(decides)),
            Some(_) => {}
            None => all = None,
        }
    }
    Ok(all)
}

fn compare(comparison: Comparison, left: &Expr, right: &Expr, row: &[Value]) -> Result<Truth, Failure> {
    let order = left.with(row, |left| right.with(row, |right| left.compare(right)))??;
    Ok(order.map(|order| comparison.holds(order)))
}

fn is_in(value: &Value, list: &[Expr], row: &[Value]) -> Result<Truth, Failure> {
    let mut found = Some(false);
    for one in list {
        let (order, is_null) = one.with(row, |other| (value.compare(other), value.is_null() || other.is_null()))?;
        if order == Some(Ordering::Equal) {
            return Ok(Some(true));
        }
        if is_null {
            found = None;
        }
    }
    Ok(found)
}

pub fn like(value: &Value, pattern: &Value, escape: Option<char>) -> Evaluated {
    let (Value::Text(text), Value::Text(pattern)) = (value, pattern) else { return Ok(Value::Null) };
    let mut signs = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        signs.push(match c {
            c if Some(c) == escape => match rest.next() {
                Some(next) => Sign::Char(next),
                None => return failure(format!("the LIKE pattern '{pattern}' ends with its escape character")),
            },
            '%' => Sign::Any,
            '_' => Sign::One,
            c => Sign::Char(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    Ok(Value::Bool(matches(&text, &signs)))
}

#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Char(char),
    One,
    Any,
}

/// Goes back to the latest `%` only: that is enough, and takes at most text times pattern steps.
fn matches(text: &[char], signs: &[Sign]) -> bool {
    let (mut at, mut sign) = (0, 0);
    let mut latest_any = None;
    while at < text.len() {
        match signs.get(sign) {
            Some(Sign::Any) => {
                latest_any = Some((at, sign));
                sign += 1;
            }
            Some(Sign::One) => (at, sign) = (at + 1, sign + 1),
            Some(Sign::Char(c)) if *c == text[at] => (at, sign) = (at + 1, sign + 1),
            _ => match &mut latest_any {
                Some((start, any)) => {
                    *start += 1;
                    (at, sign) = (*start, *any + 1);
                }
                None => return false,
            },
        }
    }
    signs[sign..].iter().all(|sign| *sign == Sign::Any)
}

const ZERO: &str = "division by zero";

pub fn arithmetic(operator: Operator, numbers: Numbers, left: &Value, right: &Value) -> Evaluated {
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    match numbers {
        Numbers::Integer => integers(operator, left.as_digits(0), right.as_digits(0)),
        Numbers::Double => doubles(operator, left.as_double(), right.as_double()),
        Numbers::Decimal { precision, scale } => decimals(operator, precision, scale, left, right),
    }
}

fn integers(operator: Operator, left: i128, right: i128) -> Evaluated {
    if right == 0 && matches!(operator, Operator::Divide | Operator::Modulo) {
        return failure(ZERO);
    }
    let number = match operator {
        Operator::Plus => left + right,
        Operator::Minus => left - right,
        Operator::Times => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
    };
    integer_value(number, Type::BigInt)
}

fn doubles(operator: Operator, left: f64, right: f64) -> Evaluated {
    if right == 0.0 && matches!(operator, Operator::Divide | Operator::Modulo) {
        return failure(ZERO);
    }
    Ok(Value::Double(match operator {
        Operator::Plus => left + right,
        Operator::Minus => left - right,
        Operator::Times => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
    }))
}

fn decimals(operator: Operator, precision: u8, scale: u8, left: &Value, right: &Value) -> Evaluated {
    let own = |value: &Value| match value {
        Value::Decimal(digits, scale) => (i128::from(*digits), *scale),
        other => (other.as_digits(0), 0),
    };
    let ((left, left_scale), (right, right_scale)) = (own(left), own(right));
    let digits = match operator {
        Operator::Plus | Operator::Minus => {
            let widest = left_scale.max(right_scale);
            let (left, right) = (rescaled(left, left_scale, widest), rescaled(right, right_scale, widest));
            rescaled(if operator == Operator::Plus { left + right } else { left - right }, widest, scale)
        }
        Operator::Times => rescaled(left * right, left_scale + right_scale, scale),
        Operator::Divide | Operator::Modulo if right == 0 => return failure(ZERO),
        Operator::Divide => {
            // At most 18 digits, moved by at most 36 places: it fits unless it is out of range anyway.
            let places = scale + right_scale;
            match left.checked_mul(power(places.saturating_sub(left_scale))) {
                Some(left) => divided(left, right.saturating_mul(power(left_scale.saturating_sub(places)))),
                None => return failure("the quotient has too many digits"),
            }
        }
        Operator::Modulo => {
            let widest = left_scale.max(right_scale);
            rescaled(rescaled(left, left_scale, widest) % rescaled(right, right_scale, widest), widest, scale)
        }
    };
    decimal_value(digits, precision, scale)
}

pub fn negate(value: Value) -> Evaluated {
    Ok(match value {
        Value::Int(number) => return integer_value(-i128::from(number), Type::BigInt),
        Value::Decimal(digits, scale) => Value::Decimal(-digits, scale),
        Value::Double(number) => Value::Double(-number),
        Value::Interval(length) => Value::Interval(length.saturating_neg()),
        other => other,
    })
}

pub fn later(time: &Value, interval: &Value) -> Evaluated {
    let &Value::Interval(length) = interval else { return Ok(Value::Null) };
    let sum = match *time {
        Value::Timestamp(time) => time.checked_add(length).map(Value::Timestamp),
        Value::Interval(other) => other.checked_add(length).map(Value::Interval),
        Value::Date(day) => length
            .div_euclid(crate::types::DAY)
            .checked_add(day.into())
            .and_then(|day| i32::try_from(day).ok())
            .map(Value::Date),
        Value::Time(time) => {
            let time = (i64::from(time) + length % crate::types::DAY).rem_euclid(crate::types::DAY);
            Some(Value::Time(time as i32))
        }
        _ => Some(Value::Null),
    };
    sum.map_or_else(|| failure("the time is out of range"), Ok)
}

fn concat(parts: &[Expr], row: &[Value]) -> Evaluated {
    let mut text = CompactString::default();
    for part in parts {
        let is_null = part.with(row, |value| {
            write_text(value, &mut text);
            value.is_null()
        })?;
        if is_null {
            return Ok(Value::Null);
        }
    }
    Ok(Value::Text(text))
}

fn case(conditions: &[(Expr, Expr)], otherwise: &Expr, row: &[Value]) -> Evaluated {
    for (condition, then) in conditions {
        if condition.truth(row)? == Some(true) {
            return then.eval(row);
        }
    }
    otherwise.eval(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(truth: Truth) -> Expr {
        Expr::Literal(value_of(truth))
    }

    #[test]
    fn logic_has_three_values() {
        let all = [Some(true), Some(false), None];
        for one in all {
            for other in all {
                let pair = || vec![literal(one), literal(other)];
                let and = if one == Some(false) || other == Some(false) {
                    Some(false)
                } else {
                    one.and(other).filter(|_| one.is_some())
                };
                let or = if one == Some(true) || other == Some(true) {
                    Some(true)
                } else {
                    one.and(other).filter(|_| one.is_some())
                };
                assert_eq!(Expr::And(pair()).truth(&[]), Ok(and), "{one:?} AND {other:?}");
                assert_eq!(Expr::Or(pair()).truth(&[]), Ok(or), "{one:?} OR {other:?}");
            }
            assert_eq!(Expr::Not(Box::new(literal(one))).truth(&[]), Ok(one.map(|is| !is)));
        }
    }

    #[test]
    fn a_pattern_goes_back_to_its_latest_percent() {
        for (text, pattern, is) in [
            ("beer_cart", "beer%", true),
            ("beer_cart", "beer!_c%", true),
            ("beerxcart", "beer!_c%", false),
            ("aab", "%ab", true),
            ("", "%", true),
            ("", "_", false),
            ("abc", "a_c", true),
            ("mississippi", "m%iss%pi", true),
            ("mississippi", "m%iss%pa", false),
        ] {
            let like = like(&Value::text(text), &Value::text(pattern), Some('!'));
            assert_eq!(like, Ok(Value::Bool(is)), "{text} {pattern}");
        }
        let many = "a".repeat(5_000);
        assert_eq!(like(&Value::text(&many), &Value::text("%a%a%a%a%b"), None), Ok(Value::Bool(false)));
    }

    #[test]
    fn a_quotient_of_decimals_keeps_its_scale() {
        let divide = |left, right| decimals(Operator::Divide, 18, 6, &left, &right);
        assert_eq!(divide(Value::Decimal(10, 1), Value::Int(3)), Ok(Value::Decimal(333_333, 6)));
        assert_eq!(divide(Value::Decimal(-2, 0), Value::Decimal(300, 2)), Ok(Value::Decimal(-666_667, 6)));
        assert!(divide(Value::Int(1), Value::Decimal(0, 2)).is_err());
        assert_eq!(integers(Operator::Divide, -7, 2), Ok(Value::Int(-3)));
    }
}
