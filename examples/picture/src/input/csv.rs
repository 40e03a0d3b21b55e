//! Rows as comma-separated values, the names of the columns first.

use std::io::Read;

use events::parse::times::Recent;

use super::Reading;
use crate::row::{Cell, Draft, Role};

pub(super) fn read(from: impl Read, reading: &mut Reading<'_>) -> Result<(), String> {
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(from);
    let header = rows.headers().map_err(|error| format!("its first line has no names of columns ({error})"))?;
    let columns: Vec<(String, Role)> = header.iter().map(|name| (name.to_owned(), Role::of(name))).collect();
    if !columns.iter().any(|(_, role)| *role == Role::Events) {
        return Err(
            "its first line does not name the columns of session rows: `events` or `count` is missing".to_owned()
        );
    }
    let recent = Recent::default();
    let mut record = csv::ByteRecord::new();
    while rows.read_byte_record(&mut record).map_err(|error| format!("it breaks off: {error}"))? {
        let place = format!("line {}", record.position().map_or(0, csv::Position::line));
        reading.take(&place, row(&columns, &record, &recent));
    }
    Ok(())
}

fn row(columns: &[(String, Role)], record: &csv::ByteRecord, recent: &Recent) -> Result<Draft, String> {
    if record.len() != columns.len() {
        return Err(format!("it has {} cells, the first line {}", record.len(), columns.len()));
    }
    let mut draft = Draft::default();
    for ((name, role), bytes) in columns.iter().zip(record) {
        draft.set(name, *role, &Cell::Text(String::from_utf8_lossy(bytes)), recent)?;
    }
    Ok(draft)
}
