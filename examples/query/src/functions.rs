//! Functions that Athena has and the engine calls otherwise, so that one text serves both.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListBuilder, StringBuilder};
use datafusion::arrow::compute::{DatePart, cast, date_part};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::columns::instant;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = ScalarUDF> {
    let parts = PARTS.iter().enumerate().map(|(at, (name, ..))| Function::new(name, Work::Part(at)));
    let others = [
        Function::new("date", Work::Date),
        Function::new("date_diff", Work::DateDiff),
        Function::new("from_iso8601_timestamp", Work::FromIso),
        Function::new("split", Work::Split),
    ];
    parts.chain(others).map(ScalarUDF::new_from_impl)
}

/// Parts of a time by the name of their function, and what to add to the engine's number.
const PARTS: [(&str, DatePart, i64); 12] = [
    ("year", DatePart::Year, 0),
    ("quarter", DatePart::Quarter, 0),
    ("month", DatePart::Month, 0),
    ("week", DatePart::WeekISO, 0),
    ("day", DatePart::Day, 0),
    ("day_of_month", DatePart::Day, 0),
    ("day_of_week", DatePart::DayOfWeekMonday0, 1),
    ("day_of_year", DatePart::DayOfYear, 0),
    ("hour", DatePart::Hour, 0),
    ("minute", DatePart::Minute, 0),
    ("second", DatePart::Second, 0),
    ("millisecond", DatePart::Millisecond, 0),
];

/// Lengths that `date_diff` counts, in microseconds.
const UNITS: [(&str, i64); 6] = [
    ("millisecond", 1_000),
    ("second", 1_000_000),
    ("minute", 60_000_000),
    ("hour", 3_600_000_000),
    ("day", 86_400_000_000),
    ("week", 604_800_000_000),
];

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    name: &'static str,
    work: Work,
    signature: Signature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Work {
    /// `year(time)` and the like: its place in [`PARTS`].
    Part(usize),
    /// `date(time)`
    Date,
    /// `date_diff(unit, from, to)`: whole units, cut off towards zero.
    DateDiff,
    /// `from_iso8601_timestamp(text)`
    FromIso,
    /// `split(text, separator)`
    Split,
}

impl Function {
    fn new(name: &'static str, work: Work) -> Self {
        Self { name, work, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// A time, a text or anything that can become one.
    fn time(&self, given: &DataType) -> Result<DataType> {
        match given {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Ok(given.clone()),
            DataType::Null => Ok(DataType::Date32),
            other => plan_err!("{}() takes a date or a timestamp, not {other}: cast it first", self.name),
        }
    }

    fn is_text(&self, given: &DataType) -> Result<DataType> {
        match given {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(DataType::Utf8),
            other => plan_err!("{}() takes a text, not {other}: cast it first", self.name),
        }
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.work {
            Work::Part(..) | Work::DateDiff => DataType::Int64,
            Work::Date => DataType::Date32,
            Work::FromIso => instant(),
            Work::Split => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (self.work, given) {
            (Work::Part(..), [time]) => Ok(vec![self.time(time)?]),
            (Work::Date, [time]) => Ok(vec![self.time(time).or_else(|_| self.is_text(time))?]),
            (Work::DateDiff, [unit, from, to]) => {
                self.time(from).and(self.time(to))?;
                Ok(vec![self.is_text(unit)?, instant(), instant()])
            }
            (Work::FromIso, [text]) => Ok(vec![self.is_text(text)?]),
            (Work::Split, [text, separator]) => Ok(vec![self.is_text(text)?, self.is_text(separator)?]),
            (_, given) => plan_err!("{}() does not take {} values", self.name, given.len()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let given = ColumnarValue::values_to_arrays(&args.args)?;
        let array: ArrayRef = match (self.work, &given[..]) {
            (Work::Part(at), [time]) => {
                let (_, part, add) = PARTS[at];
                let part = date_part(time, part)?;
                Arc::new(part.as_primitive::<Int32Type>().unary::<_, Int64Type>(|part| i64::from(part) + add))
            }
            (Work::Date, [time]) => cast(time, &DataType::Date32)?,
            (Work::DateDiff, [unit, from, to]) => date_diff(unit, from, to)?,
            (Work::FromIso, [text]) => cast_strictly(text)?,
            (Work::Split, [text, separator]) => split(text, separator),
            _ => return exec_err!("{}() does not take {} values", self.name, given.len()),
        };
        match is_scalar && array.len() == 1 {
            true => Ok(ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }
}

fn cast_strictly(text: &ArrayRef) -> Result<ArrayRef> {
    let options = datafusion::arrow::compute::CastOptions { safe: false, ..Default::default() };
    Ok(datafusion::arrow::compute::cast_with_options(text, &instant(), &options)?)
}

fn date_diff(unit: &ArrayRef, from: &ArrayRef, to: &ArrayRef) -> Result<ArrayRef> {
    let (from, to) = (from.as_primitive::<TimestampMicrosecondType>(), to.as_primitive::<TimestampMicrosecondType>());
    let mut diffs = Vec::with_capacity(from.len());
    for (unit, (from, to)) in unit.as_string::<i32>().iter().zip(from.iter().zip(to)) {
        let (Some(unit), Some(from), Some(to)) = (unit, from, to) else {
            diffs.push(None);
            continue;
        };
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return exec_err!(
                "date_diff() does not know the unit '{unit}': write 'second', 'minute', 'hour', 'day' or 'week'"
            );
        };
        diffs.push(Some(to.saturating_sub(from) / length));
    }
    Ok(Arc::new(Int64Array::from(diffs)))
}

fn split(text: &ArrayRef, separator: &ArrayRef) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (text, separator) in text.as_string::<i32>().iter().zip(separator.as_string::<i32>()) {
        match (text, separator) {
            (Some(text), Some(separator)) => lists.append_value(text.split(separator).map(Some)),
            _ => lists.append_null(),
        }
    }
    Arc::new(lists.finish())
}
