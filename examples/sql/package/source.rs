//! From records to rows of the source.

use serde_json::Value as Json;
use stagger::Timestamp;

use crate::model::{Arrival, Column, Plan};
use crate::times::any;
use crate::types::{Evaluated, Failure, Type, Value, cast, failure};

/// Reads records of JSON.
pub struct Source {
    columns: Vec<Column>,
    arrival: Arrival,
}

impl Source {
    pub fn new(plan: &Plan, arrival: &Arrival) -> Self {
        Self { columns: plan.streams[plan.source].columns.clone(), arrival: arrival.clone() }
    }

    /// Reads a record. The row has room for the two columns that every source has. Gives the arrival, if it is in
    /// the record.
    pub fn read(&mut self, line: &str, row: &mut Vec<Value>) -> Result<Option<Timestamp>, Failure> {
        let record: Json = serde_json::from_str(line).or_else(|error| failure(format!("no JSON: {error}")))?;
        if !record.is_object() {
            return failure("no JSON object");
        }
        row.clear();
        for column in &self.columns {
            let field = column.fields.iter().find_map(|name| field(&record, name));
            row.push(field.map_or(Ok(Value::Null), |field| value(field, column))?);
        }
        row.extend([Value::Null, Value::Null]);
        let Arrival::Field(name) = &self.arrival else { return Ok(None) };
        match field(&record, name).and_then(text).and_then(|text| any(&text)) {
            Some(time) => Ok(Some(time)),
            None => failure(format!("`{name}`, the time of arrival, is no time")),
        }
    }
}

/// A field of this name, or, for `a.b`, the field `b` within `a`.
fn field<'r>(record: &'r Json, name: &str) -> Option<&'r Json> {
    let within = || {
        let (outer, inner) = name.split_once('.')?;
        field(record.get(outer)?, inner)
    };
    record.get(name).or_else(within)
}

fn text(field: &Json) -> Option<String> {
    match field {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(field.to_string()),
        _ => None,
    }
}

/// The value of a field, as its column has it.
fn value(field: &Json, column: &Column) -> Evaluated {
    if field.is_null() {
        return Ok(Value::Null);
    }
    let Some(text) = text(field) else { return failure(format!("\"{}\" is no plain value", column.name)) };
    match column.ty {
        Type::Timestamp => match any(&text) {
            Some(time) => Ok(Value::Timestamp(time.as_micros().div_euclid(1_000))),
            None => failure(format!("\"{}\" is no TIMESTAMP: '{text}'", column.name)),
        },
        to => cast(Value::text(text), to).map_err(|Failure(what)| Failure(format!("\"{}\": {what}", column.name))),
    }
}
