//! A Parquet file of events in, a Parquet file of their sessions out, for use beside DuckDB, Polars or Spark.
//!
//! ```sh
//! duckdb -c "COPY (SELECT user_id, event_time FROM clicks ORDER BY event_time) TO 'clicks.parquet'"
//! cargo run --release -p rows --features parquet --example beside_duckdb -- clicks.parquet visits.parquet
//! duckdb -c "SELECT count(*), avg(events) FROM 'visits.parquet'"
//! ```
//!
//! The events need a column `user_id` (64-bit integer) and a column `event_time` (timestamp in microseconds). They may be up to
//! a minute out of order; without any order, sort them in DuckDB, which spills to disk where memory is short.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RowAccessor;
use parquet::schema::parser::parse_message_type;
use stagger::{Config, Event, Gap, SessionSummary, Timestamp};

type Visit = SessionSummary<i64, ()>;

const VISITS: &str = "message visits {
    required binary session_id (UTF8);
    required int64 user_id;
    required int64 begins (TIMESTAMP(MICROS,true));
    required int64 ends (TIMESTAMP(MICROS,true));
    required int64 events;
}";

/// A session after 30 minutes without an event.
fn visits() -> Config<i64, ()> {
    Config::new(Gap::new(Duration::from_secs(30 * 60))).out_of_order(Duration::from_secs(60))
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let [events, sessions] = &paths[..] else {
        return Err("usage: beside_duckdb EVENTS.parquet SESSIONS.parquet".into());
    };
    let late = run(events.as_ref(), sessions.as_ref())?;
    eprintln!("{late} events came too late");
    Ok(())
}

/// Returns how many events came too late.
pub(crate) fn run(events: &Path, sessions: &Path) -> Result<u64, Box<dyn Error>> {
    let events = SerializedFileReader::new(File::open(events)?)?;
    let columns = events.metadata().file_metadata().schema_descr();
    let column = |name: &str| columns.columns().iter().position(|column| column.name() == name);
    let user = column("user_id").ok_or("the events have no column `user_id`")?;
    let event_time = column("event_time").ok_or("the events have no column `event_time`")?;
    let mut output = Output::new(File::create(sessions)?)?;
    let mut engine = visits().build()?;
    let mut closed = Vec::new();
    for row in events.get_row_iter(None)? {
        let row = row?;
        let event = Event::new(row.get_long(user)?, Timestamp::from_micros(row.get_timestamp_micros(event_time)?), ());
        let _ = engine.push(event, &mut |visit| closed.push(visit)).returned(); // the counters know those too late
        if closed.len() >= ROW_GROUP {
            output.write(&mut closed)?;
        }
    }
    engine.flush(&mut |visit| closed.push(visit));
    output.write(&mut closed)?;
    output.0.close()?;
    Ok(engine.counters().late)
}

const ROW_GROUP: usize = 100_000;

struct Output(SerializedFileWriter<File>);

impl Output {
    fn new(file: File) -> Result<Self, ParquetError> {
        let schema = Arc::new(parse_message_type(VISITS)?);
        Ok(Self(SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default()))?))
    }

    /// Writes visits as one row group, column by column.
    fn write(&mut self, visits: &mut Vec<Visit>) -> Result<(), ParquetError> {
        let visits = std::mem::take(visits);
        let mut group = self.0.next_row_group()?;
        let mut ids = group.next_column()?.expect("the schema has five columns");
        let texts: Vec<_> = visits.iter().map(|visit| ByteArray::from(visit.id().to_string().into_bytes())).collect();
        ids.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
        ids.close()?;
        let numbers: [fn(&Visit) -> i64; 4] = [
            |visit| visit.key,
            |visit| visit.first_time.as_micros(),
            |visit| visit.last_time.as_micros(),
            |visit| visit.count as i64,
        ];
        for number in numbers {
            let mut column = group.next_column()?.expect("the schema has five columns");
            let values: Vec<_> = visits.iter().map(number).collect();
            column.typed::<Int64Type>().write_batch(&values, None, None)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }
}
