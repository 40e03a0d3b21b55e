//! From records to rows of the source.

use events::parse::json::number_of;
use events::parse::row::JsonRow;
use events::parse::times::{Recent, TimeFormat};
use events::parse::{Field, start_of};
use stagger::Timestamp;

use crate::model::{Arrival, Column, Plan};
use crate::types::{Evaluated, Failure, Type, Value, cast, failure};

/// Reads records of JSON.
pub struct Source {
    columns: Vec<SourceColumn>,
    json: JsonRow,
    recent: Recent,
    /// The number of the field with the time of arrival, if it is in the record.
    arrival: Option<usize>,
    arrival_name: String,
    arrival_recent: Recent,
}

struct SourceColumn {
    name: String,
    ty: Type,
    /// The numbers of the fields that may hold it.
    fields: Vec<usize>,
    /// Whether a record had one of them.
    is_known: bool,
}

impl Source {
    pub fn new(plan: &Plan, arrival: &Arrival) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut number_of = |name: &String| number_of(&mut names, name);
        let column = |Column { name, ty, fields }: &Column| SourceColumn {
            name: name.clone(),
            ty: *ty,
            fields: fields.iter().map(&mut number_of).collect(),
            is_known: false,
        };
        let columns = plan.streams[plan.source].columns.iter().map(column).collect();
        let (arrival, arrival_name) = match arrival {
            Arrival::Field(name) => (Some(number_of(name)), name.clone()),
            Arrival::Known => (None, String::new()),
        };
        let json = JsonRow::new(&names);
        Self { columns, json, recent: Recent::default(), arrival, arrival_name, arrival_recent: Recent::default() }
    }

    /// Reads a record. The row has room for the two columns that every source has. Gives the arrival, if it is in
    /// the record.
    pub fn read(&mut self, line: &str, row: &mut Vec<Value>) -> Result<Option<Timestamp>, Failure> {
        row.clear();
        self.json.read(line).or_else(|reject| failure(reject.to_string()))?;
        for column in &mut self.columns {
            let field = |index: &usize| match self.json.field(*index, line) {
                Field::Missing => None,
                found => Some(found),
            };
            let found = column.fields.iter().find_map(field);
            column.is_known |= found.is_some();
            row.push(match found {
                None | Some(Field::Absent(_)) => Value::Null,
                Some(Field::Text(text) | Field::Number(text)) => value(text, column, &self.recent)?,
                Some(Field::Not(_, what) | Field::Bad(what)) => {
                    return failure(format!("\"{}\" is {what}", column.name));
                }
                Some(_) => return failure(format!("\"{}\" is no text", column.name)),
            });
        }
        row.extend([Value::Null, Value::Null]);
        self.arrival(line)
    }

    /// Columns that no record had a field for.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| !column.is_known).map(|column| column.name.as_str())
    }

    fn arrival(&self, line: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(index) = self.arrival else { return Ok(None) };
        let (Field::Text(text) | Field::Number(text)) = self.json.field(index, line) else {
            return failure(format!("`{}`, the time of arrival, is missing", self.arrival_name));
        };
        match TimeFormat::Auto.parse_after(text, &self.arrival_recent) {
            Some(time) => Ok(Some(time)),
            None => failure(format!("`{}`, the time of arrival, is no time: {}", self.arrival_name, start_of(text))),
        }
    }
}

/// The value of a field, as its column has it. Times are read in every form that the programs know.
#[inline]
fn value(text: &str, column: &SourceColumn, recent: &Recent) -> Evaluated {
    match column.ty {
        Type::Varchar(None) => Ok(Value::text(text)),
        Type::Timestamp => match TimeFormat::Auto.parse_after(text, recent) {
            Some(time) => Ok(Value::Timestamp(time.as_micros().div_euclid(1_000))),
            None => failure(format!("\"{}\" is no TIMESTAMP: '{}'", column.name, start_of(text))),
        },
        to => cast(Value::text(text), to).map_err(|Failure(what)| Failure(format!("\"{}\": {what}", column.name))),
    }
}

/// The columns that an event's time is taken from, by their use: those of type TIMESTAMP.
pub fn time_columns(plan: &Plan) -> Vec<&Column> {
    let is_time = |column: &&Column| column.ty == Type::Timestamp;
    plan.streams[plan.source].columns.iter().filter(is_time).collect()
}
