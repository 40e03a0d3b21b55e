//! Rows as a Parquet file, for Athena, DuckDB, Polars, pandas, Spark and the like.
//!
//! Times are `TIMESTAMP(MICROS, isAdjustedToUTC = true)`: instants, not what a clock on some wall
//! showed. Key fields are strings or, where they are declared so, 64-bit integers; the type never
//! depends on what is in the file, since all files of a table must agree. Rows are ordered by
//! `beginsession`, then `session_id`, then `revision`.

use std::ops::Range;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::SortingColumn;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{ColumnPath, Type, TypePtr};
use events::columns::{Columns, KeyKind};
use stagger::Timestamp;

use crate::columns::SESSION;

/// Rows of one row group: enough for good compression, few enough for readers that work on several.
const ROW_GROUP: usize = 128 * 1024;
const CREATED_BY: &str = "stagger examples";

/// A session, but for its key fields.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The same whenever the same events are read again.
    pub id: &'a str,
    /// The rounded time, or where the window begins.
    pub timeagg: Timestamp,
    pub events: u64,
    pub begin_navigation: &'a str,
    pub end_navigation: &'a str,
    /// Time of the first event.
    pub begin: Timestamp,
    /// Time of the last event.
    pub end: Timestamp,
    /// Why it closed, as `stagger::CloseReason` names it.
    pub reason: &'a str,
    /// 0, and more for a corrected row.
    pub revision: u32,
    /// The ids whose place it takes, with commas between them; empty for most.
    pub supersedes: &'a str,
}

/// The rows of a file in the making, column by column.
#[derive(Debug)]
pub struct Rows {
    columns: Columns,
    id: Texts,
    keys: Vec<Keys>,
    timeagg: Vec<i64>,
    events: Vec<i64>,
    begin_navigation: Texts,
    end_navigation: Texts,
    begin: Vec<i64>,
    end: Vec<i64>,
    duration_sec: Vec<i64>,
    reason: Texts,
    revision: Vec<i32>,
    supersedes: Texts,
}

/// Texts one behind the other.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    fn get(&self, row: usize) -> &[u8] {
        &self.bytes[span(&self.ends, row)]
    }
}

/// A key column.
#[derive(Debug)]
enum Keys {
    Texts(Texts),
    Integers(Vec<i64>),
}

impl Rows {
    pub fn new(columns: Columns) -> Self {
        let keys = columns.kinds.iter().map(|kind| match kind {
            KeyKind::Text => Keys::Texts(Texts::default()),
            KeyKind::Integer => Keys::Integers(Vec::new()),
        });
        Self {
            keys: keys.collect(),
            columns,
            id: Texts::default(),
            timeagg: Vec::new(),
            events: Vec::new(),
            begin_navigation: Texts::default(),
            end_navigation: Texts::default(),
            begin: Vec::new(),
            end: Vec::new(),
            duration_sec: Vec::new(),
            reason: Texts::default(),
            revision: Vec::new(),
            supersedes: Texts::default(),
        }
    }

    /// Takes a session with the texts of its key fields, and says how many bytes it takes, roughly.
    /// After an error the rows are of no use any more.
    ///
    /// Fails if there are too few key fields, if one is no integer though it was declared so, or if a
    /// number is too large for its column.
    pub fn push<K: AsRef<str>>(&mut self, row: &Row<'_>, key: impl IntoIterator<Item = K>) -> Result<usize, String> {
        let mut key = key.into_iter();
        let texts = [row.id, row.begin_navigation, row.end_navigation, row.reason, row.supersedes];
        let mut bytes: usize = texts.iter().map(|text| text.len() + size_of::<usize>()).sum();
        bytes += 6 * size_of::<i64>();
        for (column, name) in self.keys.iter_mut().zip(&self.columns.key) {
            let missing = || format!("the row of session {} is without the key field `{name}`", row.id);
            let text = key.next().ok_or_else(missing)?;
            bytes += text.as_ref().len() + size_of::<usize>();
            match column {
                Keys::Texts(texts) => texts.push(text.as_ref()),
                Keys::Integers(integers) => integers.push(integer(name, text.as_ref(), row)?),
            }
        }
        self.id.push(row.id);
        self.timeagg.push(row.timeagg.as_micros());
        self.events.push(whole(row.events, row)?);
        self.begin_navigation.push(row.begin_navigation);
        self.end_navigation.push(row.end_navigation);
        self.begin.push(row.begin.as_micros());
        self.end.push(row.end.as_micros());
        self.duration_sec.push(whole(row.end.since(row.begin).as_secs(), row)?);
        self.reason.push(row.reason);
        self.revision.push(whole(row.revision, row)?);
        self.supersedes.push(row.supersedes);
        Ok(bytes)
    }

    /// The file.
    pub fn file(self) -> Result<Vec<u8>, String> {
        self.file_in_groups(ROW_GROUP).map_err(|error| error.to_string())
    }

    fn file_in_groups(self, rows: usize) -> Result<Vec<u8>, ParquetError> {
        let order = self.order();
        let columns = self.into_columns();
        let mut file = SerializedFileWriter::new(Vec::new(), schema(&columns)?, properties(&columns))?;
        for rows in order.chunks(rows) {
            let mut group = file.next_row_group()?;
            for column in &columns {
                let writer = group.next_column()?;
                let mut writer =
                    writer.ok_or_else(|| ParquetError::General("the schema has too few columns".into()))?;
                column.cells.write(rows, &mut writer)?;
                writer.close()?;
            }
            group.close()?;
        }
        file.into_inner()
    }

    /// The places of the rows, in their order in the file.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.begin.len()).collect();
        order.sort_by(|&a, &b| {
            let begins = self.begin[a].cmp(&self.begin[b]);
            let ids = || self.id.get(a).cmp(self.id.get(b));
            begins.then_with(ids).then_with(|| self.revision[a].cmp(&self.revision[b]))
        });
        order
    }

    /// In their order in the file.
    fn into_columns(self) -> Vec<Column> {
        let [id, others @ ..] = SESSION;
        let column = |(name, cells): (&str, Cells)| Column { name: name.to_owned(), cells };
        let keys = self.columns.key.into_iter().zip(self.keys).map(|(name, keys)| match keys {
            Keys::Texts(texts) => Column { name, cells: Cells::Texts(texts.into()) },
            Keys::Integers(integers) => Column { name, cells: Cells::Longs(integers) },
        });
        let cells = [
            Cells::Times(self.timeagg),
            Cells::Longs(self.events),
            Cells::Texts(self.begin_navigation.into()),
            Cells::Texts(self.end_navigation.into()),
            Cells::Times(self.begin),
            Cells::Times(self.end),
            Cells::Longs(self.duration_sec),
            Cells::Texts(self.reason.into()),
            Cells::Ints(self.revision),
            Cells::TextsOrNull(self.supersedes.into()),
        ];
        let id = column((id, Cells::Texts(self.id.into())));
        std::iter::once(id).chain(keys).chain(others.into_iter().zip(cells).map(column)).collect()
    }
}

/// Where the text of a row lies.
fn span(ends: &[usize], row: usize) -> Range<usize> {
    row.checked_sub(1).map_or(0, |before| ends[before])..ends[row]
}

/// A number that is no larger than the type of its column.
fn whole<N: Copy + std::fmt::Display, T: TryFrom<N>>(number: N, row: &Row<'_>) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("{number} in the row of session {} is too large for its column", row.id))
}

fn integer(name: &str, text: &str, row: &Row<'_>) -> Result<i64, String> {
    text.parse().map_err(|_| {
        format!(
            "the key field `{name}` is {text:?} in the row of session {}, which is no integer of 64 bits: \
             declare it as {name}:text",
            row.id
        )
    })
}

/// A column with all its cells.
struct Column {
    name: String,
    cells: Cells,
}

enum Cells {
    Texts(Shared),
    /// Those that are empty are NULL.
    TextsOrNull(Shared),
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Times(Vec<i64>),
}

/// [`Texts`] of which parts can be lent to the writer.
struct Shared {
    bytes: ByteArray,
    ends: Vec<usize>,
}

impl From<Texts> for Shared {
    fn from(Texts { bytes, ends }: Texts) -> Self {
        Self { bytes: bytes.into(), ends }
    }
}

impl Shared {
    fn of(&self, rows: &[usize]) -> Vec<ByteArray> {
        let text = |&row: &usize| {
            let Range { start, end } = span(&self.ends, row);
            self.bytes.slice(start, end - start)
        };
        rows.iter().map(text).collect()
    }
}

impl Cells {
    fn types(&self) -> (Physical, Option<LogicalType>) {
        match self {
            Self::Texts(_) | Self::TextsOrNull(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Self::Longs(_) => (Physical::INT64, None),
            Self::Ints(_) => (Physical::INT32, None),
            Self::Times(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        }
    }

    /// Writes the cells of these rows.
    fn write(&self, rows: &[usize], writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Texts(texts) => writer.typed::<ByteArrayType>().write_batch(&texts.of(rows), None, None),
            Self::TextsOrNull(texts) => {
                let mut texts = texts.of(rows);
                let are_there: Vec<i16> = texts.iter().map(|text| i16::from(!text.is_empty())).collect();
                texts.retain(|text| !text.is_empty());
                writer.typed::<ByteArrayType>().write_batch(&texts, Some(&are_there), None)
            }
            Self::Longs(numbers) | Self::Times(numbers) => {
                let numbers: Vec<i64> = rows.iter().map(|&row| numbers[row]).collect();
                writer.typed::<Int64Type>().write_batch(&numbers, None, None)
            }
            Self::Ints(numbers) => {
                let numbers: Vec<i32> = rows.iter().map(|&row| numbers[row]).collect();
                writer.typed::<Int32Type>().write_batch(&numbers, None, None)
            }
        }?;
        Ok(())
    }
}

impl Column {
    fn field(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = self.cells.types();
        let is_optional = matches!(self.cells, Cells::TextsOrNull(_));
        let repetition = if is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(&self.name, physical);
        Ok(Arc::new(field.with_repetition(repetition).with_logical_type(logical).build()?))
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(Column::field).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder("session").with_fields(fields).build()?))
}

fn properties(columns: &[Column]) -> WriterPropertiesPtr {
    let place = |name: &&str| columns.iter().position(|column| column.name == *name);
    let ascending = |index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: false };
    let order = ["beginsession", "session_id", "revision"].iter().filter_map(place).map(ascending).collect();
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(order))
        // No id occurs twice.
        .set_column_dictionary_enabled(ColumnPath::from("session_id"), false);
    Arc::new(properties.build())
}

#[cfg(test)]
mod tests;
