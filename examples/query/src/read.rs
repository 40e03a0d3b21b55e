//! The rows of one file.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, RecordBatch, RecordBatchOptions, StringBuilder, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::ReaderBuilder;
use flate2::bufread::MultiGzDecoder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use program::panics::caught;
use program::say::escaped;
use serde_json::{Map, Value};

use crate::columns::PARTITION;
use crate::folder::{DataFile, Kind};

/// Rows of a batch.
const BATCH: usize = 8192;
/// A list in JSON, and a text with commas in Parquet. Here it is a text.
const SUPERSEDES: &str = "supersedes";
const DAMAGED: &str = "fetch it again or move it away";

/// Hands over all rows, with these columns, until that one has enough.
pub(crate) fn rows(file: &DataFile, columns: &SchemaRef, mut each: impl FnMut(RecordBatch) -> bool) -> Result<()> {
    let mut finished = |batch: RecordBatch| Ok(each(finish(file, columns, &batch)?));
    match file.kind {
        Kind::Parquet => parquet_rows(file, columns, &mut finished),
        Kind::Json | Kind::JsonGz => {
            let read = json_rows(file, columns, &mut finished);
            read.map_err(|error| match error.downcast_ref::<ArrowError>() {
                Some(arrow) => diagnosed(file, arrow),
                None => error,
            })
        }
    }
}

type Each<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<bool>;

fn json_rows(file: &DataFile, columns: &SchemaRef, each: Each<'_>) -> Result<()> {
    let schema = Arc::new(Schema::new(columns.fields().iter().filter_map(|field| in_json(field)).collect::<Vec<_>>()));
    for batch in ReaderBuilder::new(schema).with_coerce_primitive(true).with_batch_size(BATCH).build(open(file)?)? {
        if !each(batch?)? {
            break;
        }
    }
    Ok(())
}

/// The column as it is in JSON; none for those of the partition.
fn in_json(field: &Field) -> Option<Field> {
    let name = &**field.name();
    match name {
        SUPERSEDES => Some(Field::new_list(name, Field::new_list_field(DataType::Utf8, true), true)),
        _ => (!PARTITION.contains(&name)).then(|| field.clone()),
    }
}

/// The text of a JSON file.
fn open(file: &DataFile) -> Result<Box<dyn BufRead>> {
    let packed = File::open(&file.path).with_context(|| format!("cannot open {}", file.path.display()))?;
    let packed = BufReader::with_capacity(128 * 1024, packed);
    Ok(match file.kind {
        Kind::JsonGz => Box::new(BufReader::with_capacity(128 * 1024, MultiGzDecoder::new(packed))),
        _ => Box::new(packed),
    })
}

fn parquet_rows(file: &DataFile, columns: &SchemaRef, each: Each<'_>) -> Result<()> {
    let builder = parquet(file)?;
    let wanted = builder.schema().fields().iter().enumerate();
    let wanted: Vec<usize> =
        wanted.filter(|(_, field)| columns.index_of(field.name()).is_ok()).map(|(at, _)| at).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let mut reader = of_parquet(file, || builder.with_projection(mask).with_batch_size(BATCH).build())?;
    while let Some(batch) = of_parquet(file, || reader.next().transpose())? {
        if !each(batch)? {
            break;
        }
    }
    Ok(())
}

fn parquet(file: &DataFile) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let opened = File::open(&file.path).with_context(|| format!("cannot open {}", file.path.display()))?;
    of_parquet(file, || ParquetRecordBatchReaderBuilder::try_new(opened))
}

/// What the reader of Parquet gives. It refuses most damaged files, and panics over others.
fn of_parquet<T, E: Display>(file: &DataFile, read: impl FnOnce() -> Result<T, E>) -> Result<T> {
    let error = match caught(read) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    Err(anyhow!("{} is not a whole Parquet file ({}): {DAMAGED}", file.path.display(), escaped(&error)))
}

/// The columns of a Parquet file that a table can have.
pub(crate) fn parquet_columns(file: &DataFile) -> Result<Vec<(String, DataType)>> {
    let builder = parquet(file)?;
    let fields = builder.schema().fields().iter().filter(|field| !field.data_type().is_nested());
    Ok(fields.map(|field| (field.name().clone(), field.data_type().clone())).collect())
}

/// All columns at their place: those that the file lacks are NULL, those of the partition are the
/// numbers of its folders.
fn finish(file: &DataFile, columns: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let arrays = columns.fields().iter().map(|field| {
        if let Some(level) = PARTITION.iter().position(|name| name == field.name()) {
            return Ok(Arc::new(Int32Array::from_value(file.partition[level], rows)) as ArrayRef);
        }
        let Some(array) = batch.column_by_name(field.name()) else {
            return Ok(new_null_array(field.data_type(), rows));
        };
        of_type(array, field).with_context(|| {
            let (path, name, to) = (file.path.display(), field.name(), type_name(field.data_type()));
            format!(
                "{path}: column {name} holds {}, where the table has {to}: write it anew",
                type_name(array.data_type())
            )
        })
    });
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(columns), arrays, &options)?)
}

fn type_name(kind: &DataType) -> &'static str {
    match kind {
        DataType::Int64 | DataType::Int32 => "whole numbers",
        DataType::Utf8 => "texts",
        DataType::Timestamp(..) => "times",
        _ => "something else",
    }
}

fn of_type(array: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    if let (SUPERSEDES, Some(lists)) = (&**field.name(), array.as_list_opt::<i32>()) {
        return Ok(joined(lists.iter()));
    }
    cast_with_options(array, field.data_type(), &CastOptions { safe: false, ..CastOptions::default() })
}

/// Lists of texts as texts with commas between them.
fn joined(lists: impl Iterator<Item = Option<ArrayRef>>) -> ArrayRef {
    let mut texts = StringBuilder::new();
    for list in lists {
        let list = list.as_ref().and_then(|list| list.as_string_opt::<i32>());
        texts.append_option(list.map(|list| list.iter().flatten().collect::<Vec<_>>().join(",")));
    }
    Arc::new(texts.finish())
}

/// The first rows of a file of JSON lines.
pub(crate) fn first_rows(file: &DataFile, rows: usize) -> Result<Vec<Map<String, Value>>> {
    let mut found = Vec::new();
    let mut lines = Lines::of(file)?;
    while found.len() < rows {
        match lines.next()? {
            Some(row) => found.push(row),
            None => break,
        }
    }
    Ok(found)
}

/// The fault of a file that could not be read: the slow way, which knows lines.
fn diagnosed(file: &DataFile, error: &ArrowError) -> anyhow::Error {
    let looked = Lines::of(file).and_then(|mut lines| {
        while lines.next()?.is_some() {}
        Ok(())
    });
    let path = file.path.display();
    looked.err().unwrap_or_else(|| {
        let error = error.to_string();
        let what = error.strip_prefix("Json error: ").unwrap_or(&error);
        anyhow!("{path}: a value is not of the type of its column ({what}): give a key column its type with --key, as in --key user_id:text")
    })
}

/// Rows one by one, with the number of their line.
struct Lines<'a> {
    file: &'a DataFile,
    text: Box<dyn BufRead>,
    number: usize,
    line: Vec<u8>,
}

/// Longer lines are no sessions, and would fill the memory.
const LONGEST: u64 = 16 << 20;

impl<'a> Lines<'a> {
    fn of(file: &'a DataFile) -> Result<Self> {
        Ok(Self { file, text: open(file)?, number: 0, line: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<Map<String, Value>>> {
        let path = self.file.path.display();
        loop {
            self.line.clear();
            self.number += 1;
            let read = (&mut self.text).take(LONGEST).read_until(b'\n', &mut self.line);
            match read {
                Ok(0) => return Ok(None),
                Ok(_) if self.line.trim_ascii().is_empty() => {}
                Ok(_) => break,
                Err(error) if self.file.kind == Kind::JsonGz => {
                    return Err(anyhow!("{path} is not a whole gzip file ({error}): {DAMAGED}"));
                }
                Err(error) => return Err(anyhow!("cannot read {path} ({error})")),
            }
        }
        let number = self.number;
        serde_json::from_slice(&self.line).map(Some).map_err(|error| {
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or_default();
            anyhow!("line {number} of {path} is no JSON object ({what}): correct or delete that line")
        })
    }
}
