//! What programs call that `sql translate` has made: the operators and functions of SQL on values.

use std::cmp::Ordering;

use compact_str::CompactString;

pub use crate::aggregate::{Aggregate, Kind};
pub use crate::expr::{Comparison, Expr, Native, Numbers, Operator};
pub use crate::functions::{Field, Side};
pub use crate::model::{Column, Frame, Group, Over, Plan, Pump, Stream, Texts, Typed, Window, Work};
pub use crate::types::{Evaluated, Failure, Type, Value, cast};

use crate::expr;
use crate::functions::Function;
use crate::types::write_text;

/// An expression that is computed only if it is needed.
pub type Lazy<'l> = &'l dyn Fn() -> Evaluated;

/// A function of a row, as an expression of the plan.
pub fn native(function: fn(&[Value]) -> Evaluated) -> Expr {
    Expr::Native(Native(function))
}

/// A column, and for one of the source the fields that may hold it.
pub fn column(name: &str, ty: Type, fields: &[&str]) -> Column {
    Column { name: name.to_owned(), ty, fields: fields.iter().map(|field| (*field).to_owned()).collect() }
}

pub fn is_true(condition: &Value) -> bool {
    expr::truth(condition) == Some(true)
}

pub fn not(one: &Value) -> Value {
    expr::value_of(expr::truth(one).map(|is| !is))
}

pub fn and(parts: &[Lazy<'_>]) -> Evaluated {
    all_of(parts, false)
}

pub fn or(parts: &[Lazy<'_>]) -> Evaluated {
    all_of(parts, true)
}

/// The first part that is `decides` does so.
fn all_of(parts: &[Lazy<'_>], decides: bool) -> Evaluated {
    let mut all = Some(!decides);
    for part in parts {
        match expr::truth(&part()?) {
            Some(is) if is == decides => return Ok(Value::Bool(decides)),
            Some(_) => {}
            None => all = None,
        }
    }
    Ok(expr::value_of(all))
}

pub fn compare(left: &Value, comparison: Comparison, right: &Value) -> Value {
    expr::value_of(left.compare(right).map(|order| comparison.holds(order)))
}

pub fn is_null(one: &Value) -> Value {
    Value::Bool(one.is_null())
}

pub fn is(one: &Value, target: bool) -> Value {
    Value::Bool(expr::truth(one) == Some(target))
}

pub fn is_in(one: &Value, list: &[Lazy<'_>]) -> Evaluated {
    let mut found = Some(false);
    for other in list {
        let other = other()?;
        if one.compare(&other) == Some(Ordering::Equal) {
            return Ok(Value::Bool(true));
        }
        if one.is_null() || other.is_null() {
            found = None;
        }
    }
    Ok(expr::value_of(found))
}

pub fn like(text: &Value, pattern: &Value, escape: Option<char>) -> Evaluated {
    expr::like(text, pattern, escape)
}

pub fn calculate(left: &Value, operator: Operator, right: &Value, numbers: Numbers) -> Evaluated {
    expr::arithmetic(operator, numbers, left, right)
}

pub fn negate(one: Value) -> Evaluated {
    expr::negate(one)
}

/// A time, and an interval to add to it.
pub fn later(time: &Value, interval: &Value) -> Evaluated {
    expr::later(time, interval)
}

/// `||`
pub fn join(parts: &[Lazy<'_>]) -> Evaluated {
    let mut text = CompactString::default();
    for part in parts {
        let part = part()?;
        if part.is_null() {
            return Ok(Value::Null);
        }
        write_text(&part, &mut text);
    }
    Ok(Value::Text(text))
}

pub fn coalesce(parts: &[Lazy<'_>]) -> Evaluated {
    for part in parts {
        let value = part()?;
        if !value.is_null() {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

/// STEP of a time by milliseconds.
pub fn step(time: Value, millis: i64) -> Evaluated {
    Function::Step(millis).of(&[time])
}

pub fn floor_to(time: Value, unit: stagger::Unit) -> Evaluated {
    Function::Floor(unit).of(&[time])
}

pub fn ceil_to(time: Value, unit: stagger::Unit) -> Evaluated {
    Function::Ceil(unit).of(&[time])
}

pub fn extract(field: Field, time: Value) -> Evaluated {
    Function::Extract(field).of(&[time])
}

pub fn trim(side: Side, text: Value, what: Value) -> Evaluated {
    Function::Trim(side).of(&[text, what])
}

macro_rules! functions {
    ($($name:ident = $function:ident($($argument:ident),*);)*) => {$(
        pub fn $name($($argument: Value),*) -> Evaluated {
            Function::$function.of(&[$($argument),*])
        }
    )*};
}

functions! {
    step_number = StepNumber(number, by);
    floor = FloorNumber(number);
    ceil = CeilNumber(number);
    substring = Substring(text, start, length);
    position = Position(what, text);
    char_length = CharLength(text);
    upper = Upper(text);
    lower = Lower(text);
    unix_timestamp = UnixTimestamp(time);
    to_timestamp = ToTimestamp(millis);
    tsdiff = Tsdiff(one, other);
    nullif = Nullif(one, other);
    abs = Abs(number);
    sqrt = Sqrt(number);
    exp = Exp(number);
    ln = Ln(number);
    log10 = Log10(number);
    power = Power(base, exponent);
}

pub fn substring_from(text: Value, start: Value) -> Evaluated {
    Function::Substring.of(&[text, start])
}
