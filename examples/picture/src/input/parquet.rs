//! Rows of Parquet files, packed with Snappy or not at all.

use std::fs::File;

use events::parse::times::Recent;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use super::Reading;
use crate::row::{Cell, Draft, Role};

pub(super) fn read(file: File, reading: &mut Reading<'_>) -> Result<(), String> {
    let broken = |error: parquet::errors::ParquetError| format!("it is no Parquet file that can be read: {error}");
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let recent = Recent::default();
    for (number, row) in reader.get_row_iter(None).map_err(broken)?.enumerate() {
        let row = row.map_err(broken)?;
        reading.take(&format!("row {}", number + 1), draft(&row, &recent));
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
