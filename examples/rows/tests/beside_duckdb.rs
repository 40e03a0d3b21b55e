//! The example `beside_duckdb` on a few events. (`.ci/together.py` has DuckDB itself beside it.)
#![cfg(feature = "parquet")]

#[allow(dead_code, reason = "a test has a `main` of its own")]
#[path = "../examples/beside_duckdb.rs"]
mod example;

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use example::run;
use parquet::data_type::Int64Type;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RowAccessor;
use parquet::schema::parser::parse_message_type;

const MINUTE: i64 = 60_000_000;

fn write_events(path: &Path, events: &[(i64, i64)]) -> Result<(), ParquetError> {
    let schema = "message clicks { optional int64 event_time (TIMESTAMP(MICROS,false)); optional int64 user_id; }";
    let schema = Arc::new(parse_message_type(schema)?);
    let file = File::create(path).expect("a folder for the test");
    let mut file = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default()))?;
    let mut group = file.next_row_group()?;
    let columns =
        [events.iter().map(|(_, at)| *at).collect::<Vec<_>>(), events.iter().map(|(user, _)| *user).collect()];
    for values in columns {
        let mut column = group.next_column()?.expect("two columns");
        column.typed::<Int64Type>().write_batch(&values, Some(&vec![1; values.len()]), None)?;
        column.close()?;
    }
    group.close()?;
    file.close().map(|_| ())
}

#[test]
fn events_in_parquet_become_sessions_in_parquet() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (events, sessions) = (folder.path().join("clicks.parquet"), folder.path().join("visits.parquet"));
    let times = [(7, 0), (8, 5), (7, 29), (8, 34), (7, 60), (8, 61), (7, 20)];
    write_events(&events, &times.map(|(user, minute)| (user, minute * MINUTE)))?;
    assert_eq!(run(&events, &sessions)?, 1);
    let file = SerializedFileReader::new(File::open(&sessions)?)?;
    let mut found = Vec::new();
    for row in file.get_row_iter(None)? {
        let row = row?;
        assert_eq!(row.get_string(0)?.len(), 32);
        let minutes = |column| row.get_timestamp_micros(column).map(|time| time / MINUTE);
        found.push((row.get_long(1)?, minutes(2)?, minutes(3)?, row.get_long(4)?));
    }
    assert_eq!(found, [(7, 0, 29, 2), (7, 60, 60, 1), (8, 5, 61, 3)]);
    Ok(())
}
