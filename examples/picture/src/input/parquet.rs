//! Rows of Parquet files, packed with Snappy or not at all.

use std::fs::File;

use events::parquet::whole;
use events::parse::times::Recent;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use super::Reading;
use crate::row::{Cell, Draft, Role};

pub(super) fn read(file: File, reading: &mut Reading<'_>) -> Result<(), String> {
    let reader = whole(|| SerializedFileReader::new(file))?;
    let mut rows = whole(|| reader.get_row_iter(None))?;
    let recent = Recent::default();
    let mut number = 0;
    while let Some(row) = whole(|| rows.next().transpose())? {
        number += 1;
        reading.take(&format!("row {number}"), draft(&row, &recent));
    }
    Ok(())
}

fn draft(row: &Row, recent: &Recent) -> Result<Draft, String> {
    let mut draft = Draft::default();
    for (name, field) in row.get_column_iter() {
        draft.set(name, Role::of(name), &cell(field), recent)?;
    }
    Ok(draft)
}

fn cell(field: &Field) -> Cell<'_> {
    match field {
        Field::Null => Cell::Empty,
        Field::Str(text) => Cell::Text(text.as_str().into()),
        Field::Int(number) => Cell::Whole(i64::from(*number)),
        Field::Long(number) => Cell::Whole(*number),
        Field::TimestampMicros(micros) => Cell::Time(*micros),
        Field::TimestampMillis(millis) => Cell::Time(millis.saturating_mul(1_000)),
        other => Cell::Text(other.to_string().into()),
    }
}
