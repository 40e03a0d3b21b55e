//! The columns of a table and their types.
//!
//! Columns that every row of a session has are declared here. The others, the key fields, are found
//! by a look at one file of each kind: a Parquet file names its types, of JSON lines the first ones
//! show them. Everything is nullable; the columns of the partition come last, as Athena has them.

use std::sync::Arc;

use anyhow::{Result, bail};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use events::columns::{Columns, KeyKind};
use rows::columns::{Cell, SESSION, named};
use serde_json::Value;

use crate::folder::{DataFile, Kind, Table};
use crate::read;

/// Year, month, day and hour, named as a crawler of AWS Glue does. They are integers, as in the tables of
/// `kinesis/deploy/template.yaml`.
pub(crate) const PARTITION: [&str; 4] = ["partition_0", "partition_1", "partition_2", "partition_3"];

/// Lines that are looked at.
const LINES: usize = 100;

/// The type of an instant.
pub(crate) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A column that every row has.
fn declared(column: &rows::columns::Column) -> Column {
    let kind = match column.cell {
        Cell::Text(_) | Cell::Texts(_) => DataType::Utf8,
        Cell::Time(_) => instant(),
        Cell::Long(_) => DataType::Int64,
        Cell::Int(_) => DataType::Int32,
    };
    (column.name.to_owned(), kind)
}

type Column = (String, DataType);

/// All columns of a table, those of the partition included.
pub(crate) fn of(table: &Table, keys: &Columns) -> Result<SchemaRef> {
    let mut found = found(table)?;
    let is_sessions = found.is_empty() || found.iter().any(|(name, _)| name == SESSION[0].name);
    if is_sessions {
        found.retain(|(name, _)| named(name).is_none());
    }
    for (key, kind) in keys.key.iter().zip(&keys.kinds) {
        if let Some((_, found)) = found.iter_mut().find(|(name, _)| name == key) {
            *found = if *kind == KeyKind::Integer { DataType::Int64 } else { DataType::Utf8 };
        }
    }
    if let Some((name, _)) = found.iter().find(|(name, _)| PARTITION.contains(&&**name)) {
        bail!("the files of table {} have a column {name}, which is the name of a folder: rename it", table.name);
    }
    let (first, others) = if is_sessions { SESSION.split_at(1) } else { (&[][..], &[][..]) };
    let partition = PARTITION.map(|name| (name.to_owned(), DataType::Int32));
    let columns = first.iter().map(declared).chain(found).chain(others.iter().map(declared)).chain(partition);
    Ok(Arc::new(Schema::new(columns.map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>())))
}

/// The columns of the first file of each kind that has columns.
fn found(table: &Table) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    for is_parquet in [true, false] {
        for file in table.files.iter().filter(|file| (file.kind == Kind::Parquet) == is_parquet) {
            let columns = if is_parquet { read::parquet_columns(file)? } else { of_lines(file)? };
            if !columns.is_empty() {
                columns.into_iter().for_each(|column| add(&mut found, column));
                break;
            }
        }
    }
    Ok(found)
}

fn of_lines(file: &DataFile) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    for row in read::first_rows(file, LINES)? {
        for (name, value) in row {
            found_in(&value).into_iter().for_each(|kind| add(&mut found, (name.clone(), kind)));
        }
    }
    Ok(found)
}

/// Nothing of a NULL, and nothing of lists and objects, which are left out.
fn found_in(value: &Value) -> Option<DataType> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::Bool(_) => Some(DataType::Boolean),
        Value::Number(number) if number.is_i64() => Some(DataType::Int64),
        Value::Number(_) => Some(DataType::Float64),
        Value::String(_) => Some(DataType::Utf8),
    }
}

/// A column of two types is a text.
fn add(found: &mut Vec<Column>, (name, kind): Column) {
    match found.iter_mut().find(|(known, _)| *known == name) {
        None => found.push((name, kind)),
        Some((_, known)) if *known == kind => {}
        Some((_, known @ DataType::Int64)) if kind == DataType::Float64 => *known = kind,
        Some((_, DataType::Float64)) if kind == DataType::Int64 => {}
        Some((_, known)) => *known = DataType::Utf8,
    }
}
