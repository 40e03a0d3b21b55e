//! Rows as a Parquet file, for Athena, DuckDB, Spark and the like.
//!
//! The columns are those of [`Columns::json`], and always all of them. Times are
//! `TIMESTAMP(MICROS, isAdjustedToUTC = true)`: instants, not what a clock on some wall showed. Key
//! fields are strings or, where they are declared so, 64-bit integers; the type never depends on
//! what is in the file, since all files of a table must agree.

use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use ::parquet::file::metadata::SortingColumn;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{ColumnPath, Type, TypePtr};
use anyhow::{Context, Result, anyhow};
use serde_json::Value;
use stagger::Timestamp;

use crate::session::{Columns, KeyKind, Session};

/// Rows of one row group: enough for good compression, few enough for readers that work on several.
const ROW_GROUP: usize = 128 * 1024;
const CREATED_BY: &str = "stagger kinesis example";

/// A file of these rows, ordered by the beginning of the session.
pub(crate) fn write(columns: &Columns, sessions: &[Session]) -> Result<Vec<u8>> {
    write_groups(columns, sessions, ROW_GROUP)
}

fn write_groups(columns: &Columns, sessions: &[Session], group: usize) -> Result<Vec<u8>> {
    let all = all(columns);
    let mut rows: Vec<&Session> = sessions.iter().collect();
    rows.sort_by(|a, b| (a.begin, &a.id, a.revision).cmp(&(b.begin, &b.id, b.revision)));
    let mut file = SerializedFileWriter::new(Vec::new(), schema(&all, columns)?, properties(&all))?;
    for rows in rows.chunks(group) {
        let mut group = file.next_row_group()?;
        for column in &all {
            let values = column.values(rows, columns)?;
            let mut writer = group.next_column()?.ok_or_else(|| anyhow!("the schema has too few columns"))?;
            values.write(&mut writer)?;
            writer.close()?;
        }
        group.close()?;
    }
    Ok(file.into_inner()?)
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Id,
    /// The number of a key field.
    Key(usize),
    TimeAgg,
    Events,
    BeginNavigation,
    EndNavigation,
    Begin,
    End,
    Duration,
    Reason,
    Revision,
    Supersedes,
}

/// In their order.
fn all(columns: &Columns) -> Vec<Column> {
    use Column::*;
    let keys = (0..columns.key.len()).map(Key);
    let others = [TimeAgg, Events, BeginNavigation, EndNavigation, Begin, End, Duration, Reason, Revision, Supersedes];
    std::iter::once(Id).chain(keys).chain(others).collect()
}

impl Column {
    fn name(self, columns: &Columns) -> &str {
        match self {
            Self::Id => "session_id",
            Self::Key(index) => &columns.key[index],
            Self::TimeAgg => "timeagg",
            Self::Events => "events",
            Self::BeginNavigation => "beginnavigation",
            Self::EndNavigation => "endnavigation",
            Self::Begin => "beginsession",
            Self::End => "endsession",
            Self::Duration => "duration_sec",
            Self::Reason => "reason",
            Self::Revision => "revision",
            Self::Supersedes => "supersedes",
        }
    }

    fn types(self, columns: &Columns) -> (Physical, Option<LogicalType>) {
        match self {
            Self::Key(index) if columns.kind(index) == KeyKind::Integer => (Physical::INT64, None),
            Self::Events | Self::Duration => (Physical::INT64, None),
            Self::Revision => (Physical::INT32, None),
            Self::TimeAgg | Self::Begin | Self::End => {
                (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            }
            _ => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        }
    }

    fn field(self, columns: &Columns) -> Result<TypePtr> {
        let (physical, logical) = self.types(columns);
        let repetition = if self == Self::Supersedes { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(self.name(columns), physical);
        Ok(Arc::new(field.with_repetition(repetition).with_logical_type(logical).build()?))
    }

    fn values(self, rows: &[&Session], columns: &Columns) -> Result<Values> {
        let times =
            |time: fn(&Session) -> Timestamp| Values::Long(rows.iter().map(|row| time(row).as_micros()).collect());
        let texts = |text: fn(&Session) -> &str| Values::Text(rows.iter().map(|row| text(row).into()).collect());
        let counts = |count: fn(&Session) -> u64| rows.iter().map(|row| whole(count(row), row)).collect::<Result<_>>();
        Ok(match self {
            Self::Id => texts(|row| &row.id),
            Self::Key(index) => return keys(rows, columns, index),
            Self::TimeAgg => times(|row| row.timeagg),
            Self::Events => Values::Long(counts(|row| row.events)?),
            Self::BeginNavigation => texts(|row| &row.begin_navigation),
            Self::EndNavigation => texts(|row| &row.end_navigation),
            Self::Begin => times(|row| row.begin),
            Self::End => times(|row| row.end),
            Self::Duration => Values::Long(counts(Session::duration_sec)?),
            Self::Reason => texts(|row| &row.reason),
            Self::Revision => Values::Int(rows.iter().map(|row| whole(row.revision, row)).collect::<Result<_>>()?),
            Self::Supersedes => superseded(rows),
        })
    }
}

/// A number that is no larger than the type of its column.
fn whole<N: Copy + std::fmt::Display, T: TryFrom<N>>(number: N, row: &Session) -> Result<T> {
    T::try_from(number).map_err(|_| anyhow!("{number} in the row of session {} is too large for its column", row.id))
}

fn keys(rows: &[&Session], columns: &Columns, index: usize) -> Result<Values> {
    let name = &columns.key[index];
    let keys = rows.iter().map(|row| {
        let key = row.key.get(index).filter(|key| !key.is_null());
        key.with_context(|| format!("the row of session {} is without the key field `{name}`", row.id))
            .map(|key| (*row, key))
    });
    match columns.kind(index) {
        KeyKind::Text => keys.map(|key| Ok(text_of(key?.1))).collect::<Result<_>>().map(Values::Text),
        KeyKind::Integer => {
            keys.map(|key| key.and_then(|(row, key)| integer(name, key, row))).collect::<Result<_>>().map(Values::Long)
        }
    }
}

fn text_of(key: &Value) -> ByteArray {
    key.as_str().map_or_else(|| key.to_string().into_bytes().into(), ByteArray::from)
}

fn integer(name: &str, key: &Value, row: &Session) -> Result<i64> {
    key.as_i64().with_context(|| {
        format!(
            "the key field `{name}` is {key} in the row of session {}, which is no integer of 64 bits: \
             declare it as {name}:text",
            row.id
        )
    })
}

/// The ids that a row takes the place of, with commas between them; null for most rows.
fn superseded(rows: &[&Session]) -> Values {
    let corrected = rows.iter().filter(|row| !row.supersedes.is_empty());
    Values::OptionalText {
        texts: corrected.map(|row| row.supersedes.join(",").into_bytes().into()).collect(),
        are_there: rows.iter().map(|row| i16::from(!row.supersedes.is_empty())).collect(),
    }
}

/// The values of one column in one row group.
enum Values {
    Text(Vec<ByteArray>),
    OptionalText { texts: Vec<ByteArray>, are_there: Vec<i16> },
    Long(Vec<i64>),
    Int(Vec<i32>),
}

impl Values {
    fn write(&self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Self::Text(texts) => writer.typed::<ByteArrayType>().write_batch(texts, None, None),
            Self::OptionalText { texts, are_there } => {
                writer.typed::<ByteArrayType>().write_batch(texts, Some(are_there), None)
            }
            Self::Long(numbers) => writer.typed::<Int64Type>().write_batch(numbers, None, None),
            Self::Int(numbers) => writer.typed::<Int32Type>().write_batch(numbers, None, None),
        }?;
        Ok(())
    }
}

fn schema(all: &[Column], columns: &Columns) -> Result<TypePtr> {
    let fields = all.iter().map(|column| column.field(columns)).collect::<Result<_>>()?;
    Ok(Arc::new(Type::group_type_builder("session").with_fields(fields).build()?))
}

fn properties(all: &[Column]) -> WriterPropertiesPtr {
    let order = [Column::Begin, Column::Id].iter().filter_map(|column| all.iter().position(|other| other == column));
    let ascending = |index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: false };
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(order.map(ascending).collect()))
        // No id occurs twice.
        .set_column_dictionary_enabled(ColumnPath::from("session_id"), false);
    Arc::new(properties.build())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field;
    use serde_json::json;

    use super::*;

    fn columns() -> Columns {
        Columns::declared(&["user_id:int", "device_id"]).unwrap()
    }

    fn session(user: i64, begin: i64) -> Session {
        Session {
            id: format!("id-{user}"),
            key: vec![json!(user), json!("möbile")],
            timeagg: Timestamp::from_secs(begin / 60 * 60),
            events: 3,
            begin_navigation: "beer_vitrine_nav".to_owned(),
            end_navigation: String::new(),
            begin: Timestamp::from_micros(begin * 1_000_000 + 123_456),
            end: Timestamp::from_micros(begin * 1_000_000 + 34_123_455),
            reason: "range".to_owned(),
            revision: 0,
            supersedes: Vec::new(),
        }
    }

    const AT: i64 = 1_543_534_510; // 2018-11-29T23:35:10Z

    /// The second begins first; the third is a correction.
    fn sessions() -> Vec<Session> {
        let corrected = Session { revision: 2, supersedes: vec!["x".to_owned(), "y".to_owned()], ..session(7, AT) };
        vec![session(20, AT), session(-5, AT - 100), corrected]
    }

    fn read(bytes: Vec<u8>) -> SerializedFileReader<axum::body::Bytes> {
        SerializedFileReader::new(bytes.into()).unwrap()
    }

    fn rows(bytes: Vec<u8>) -> Vec<Vec<(String, Field)>> {
        let reader = read(bytes);
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
        rows.map(|row| row.get_column_iter().map(|(name, value)| (name.clone(), value.clone())).collect()).collect()
    }

    #[test]
    fn all_columns_can_be_read_back() {
        let rows = rows(write(&columns(), &sessions()).unwrap());
        let text = |text: &str| Field::Str(text.to_owned());
        let row = |id: &str, user, begin: i64, revision, supersedes| {
            let columns = [
                ("session_id", text(id)),
                ("user_id", Field::Long(user)),
                ("device_id", text("möbile")),
                ("timeagg", Field::TimestampMicros(begin / 60 * 60_000_000)),
                ("events", Field::Long(3)),
                ("beginnavigation", text("beer_vitrine_nav")),
                ("endnavigation", text("")),
                ("beginsession", Field::TimestampMicros(begin * 1_000_000 + 123_456)),
                ("endsession", Field::TimestampMicros(begin * 1_000_000 + 34_123_455)),
                ("duration_sec", Field::Long(33)),
                ("reason", text("range")),
                ("revision", Field::Int(revision)),
                ("supersedes", supersedes),
            ];
            columns.map(|(name, value)| (name.to_owned(), value)).to_vec()
        };
        let expected = [
            row("id--5", -5, AT - 100, 0, Field::Null),
            row("id-20", 20, AT, 0, Field::Null),
            row("id-7", 7, AT, 2, text("x,y")),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn the_file_says_what_is_in_it() {
        let reader = read(write(&columns(), &sessions()).unwrap());
        let file = reader.metadata().file_metadata();
        assert_eq!((file.created_by(), file.num_rows()), (Some(CREATED_BY), 3));
        let column = |name: &str| {
            let schema = file.schema_descr();
            schema.columns().iter().find(|column| column.name() == name).unwrap().clone()
        };
        let utc = LogicalType::timestamp(true, TimeUnit::MICROS);
        for name in ["timeagg", "beginsession", "endsession"] {
            assert_eq!(column(name).logical_type_ref(), Some(&utc), "{name}");
        }
        let group = reader.metadata().row_group(0);
        let order: Vec<i32> = group.sorting_columns().unwrap().iter().map(|column| column.column_idx).collect();
        assert_eq!(order, [7, 0]);
        for column in group.columns() {
            let name = column.column_descr().name();
            assert_eq!(column.compression(), Compression::SNAPPY, "{name}");
            assert!(column.statistics().is_some_and(|statistics| statistics.min_bytes_opt().is_some()), "{name}");
        }
    }

    #[test]
    fn many_rows_are_in_groups_in_one_order() {
        let sessions: Vec<Session> = (0..10).map(|user| session(user, AT - user)).collect();
        let bytes = write_groups(&columns(), &sessions, 4).unwrap();
        let groups = read(bytes.clone());
        let sizes: Vec<i64> = groups.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        assert_eq!(sizes, [4, 4, 2]);
        let users: Vec<Field> = rows(bytes).iter().map(|row| row[1].1.clone()).collect();
        assert_eq!(users, (0..10).rev().map(Field::Long).collect::<Vec<_>>());
        assert!(rows(write(&columns(), &[]).unwrap()).is_empty());
    }

    #[test]
    fn a_text_column_takes_numbers_as_their_digits() {
        let columns = Columns::declared(&["user_id", "device_id"]).unwrap();
        let keys = |value: Value| {
            let row = Session { key: vec![value, json!("d")], ..session(1, AT) };
            rows(write(&columns, &[row]).unwrap()).remove(0).remove(1).1
        };
        assert_eq!(keys(json!(20)), Field::Str("20".to_owned()));
        assert_eq!(keys(json!("20")), Field::Str("20".to_owned()));
        assert_eq!(keys(json!(true)), Field::Str("true".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_the_row() {
        let reason = |row: Session| write(&columns(), &[session(1, AT), row]).unwrap_err().to_string();
        let key = |value: Value| reason(Session { key: vec![value, json!("d")], ..session(2, AT) });
        let no_integer = |value: &str| {
            format!(
                "the key field `user_id` is {value} in the row of session id-2, which is no integer of 64 bits: \
                 declare it as user_id:text"
            )
        };
        assert_eq!(key(json!("20")), no_integer("\"20\""));
        assert_eq!(key(json!(2.5)), no_integer("2.5"));
        assert_eq!(key(json!(u64::MAX)), no_integer("18446744073709551615"));
        assert_eq!(key(Value::Null), "the row of session id-2 is without the key field `user_id`");
        let short = reason(Session { key: vec![json!(1)], ..session(2, AT) });
        assert_eq!(short, "the row of session id-2 is without the key field `device_id`");
        let large = reason(Session { events: u64::MAX, ..session(2, AT) });
        assert_eq!(large, "18446744073709551615 in the row of session id-2 is too large for its column");
    }

    const DUCKDB: &str = r#"
import sys
try:
    import duckdb
except ImportError:
    sys.exit(77)
rows = duckdb.connect()
path = sys.argv[1].replace("'", "''")
print([(row[0], row[1]) for row in rows.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()])
print(rows.execute(f"SELECT count(*), min(user_id), sum(events), epoch_us(min(beginsession)), max(supersedes), "
                   f"count(supersedes) FROM '{path}' WHERE user_id < 100").fetchone())
"#;

    #[test]
    fn duckdb_reads_it() {
        let file = tempfile::NamedTempFile::with_suffix(".parquet").unwrap();
        std::fs::write(file.path(), write(&columns(), &sessions()).unwrap()).unwrap();
        let python = std::env::var("KINESIS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let output = Command::new(&python).args(["-c", DUCKDB]).arg(file.path()).output();
        let output = match output {
            Ok(output) if output.status.code() != Some(77) => output,
            _ => {
                // Past the capture of output: who runs the tests shall see it.
                writeln!(std::io::stderr(), "SKIPPED duckdb_reads_it: {python} with duckdb is needed").unwrap();
                return;
            }
        };
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let expected = "[('session_id', 'VARCHAR'), ('user_id', 'BIGINT'), ('device_id', 'VARCHAR'), \
            ('timeagg', 'TIMESTAMP WITH TIME ZONE'), ('events', 'BIGINT'), ('beginnavigation', 'VARCHAR'), \
            ('endnavigation', 'VARCHAR'), ('beginsession', 'TIMESTAMP WITH TIME ZONE'), \
            ('endsession', 'TIMESTAMP WITH TIME ZONE'), ('duration_sec', 'BIGINT'), ('reason', 'VARCHAR'), \
            ('revision', 'INTEGER'), ('supersedes', 'VARCHAR')]\n\
            (3, -5, 9, 1543534410123456, 'x,y', 1)\n";
        assert_eq!(text, expected, "{errors}");
    }
}
