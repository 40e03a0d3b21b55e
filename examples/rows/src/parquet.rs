//! Rows as a Parquet file, for Athena, DuckDB, Polars, pandas, Spark and the like.
//!
//! Times are `TIMESTAMP(MICROS, isAdjustedToUTC = true)`: instants, not local
//! times. Key fields are strings or, where they are declared so, 64-bit integers; the type never
//! depends on the values in the file, since all files of a table must agree. A further column has counts (64-bit
//! integers), numbers (`DOUBLE`, or NULL) or lists of strings. Rows are ordered by `beginsession`, then `session_id`, then
//! `revision`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use ::parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::SortingColumn;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{ColumnPath, Type, TypePtr};
use events::columns::{Columns, KeyKind};
use serde_json::Value;

use crate::columns::{Cell, SESSION, SessionRow};
use crate::lines::{More, MoreKind};

/// Rows of one row group: enough for good compression, few enough for readers that work on several.
const ROW_GROUP: usize = 128 * 1024;
/// The columns that rows of a file are ordered by.
const ORDER: [&str; 3] = ["beginsession", "session_id", "revision"];
const CREATED_BY: &str = "stagger examples";

/// The rows of a file in the making, column by column.
#[derive(Debug)]
pub struct Rows {
    columns: Columns,
    /// Those of [`SESSION`].
    session: Vec<Cells>,
    keys: Vec<Cells>,
    /// The further columns, which stand last.
    more: Vec<(String, Cells)>,
}

/// A column with all its cells.
#[derive(Debug)]
enum Cells {
    Texts(Texts),
    /// Those that are empty are NULL.
    TextsOrNull(Texts),
    Longs(Vec<i64>),
    Ints(Vec<i32>),
    Times(Vec<i64>),
    Numbers(Vec<Option<f64>>),
    Lists(Lists),
}

/// Texts one behind the other.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    /// Takes a text, and says how many bytes it takes.
    fn push(&mut self, text: &str) -> usize {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
        text.len() + size_of::<usize>()
    }

    fn get(&self, row: usize) -> &[u8] {
        &self.bytes[span(&self.ends, row)]
    }
}

/// Lists of texts one behind the other.
#[derive(Debug, Default)]
struct Lists {
    texts: Texts,
    /// Where each list ends among the texts.
    ends: Vec<usize>,
}

impl Lists {
    /// Takes a list, and says how many bytes it takes.
    fn push(&mut self, list: &[String]) -> usize {
        let bytes = list.iter().map(|text| self.texts.push(text)).sum::<usize>();
        self.ends.push(self.texts.ends.len());
        bytes + size_of::<usize>()
    }
}

impl Cells {
    fn of(cell: Cell) -> Self {
        match cell {
            Cell::Text(_) => Self::Texts(Texts::default()),
            Cell::Texts(_) => Self::TextsOrNull(Texts::default()),
            Cell::Long(_) => Self::Longs(Vec::new()),
            Cell::Int(_) => Self::Ints(Vec::new()),
            Cell::Time(_) => Self::Times(Vec::new()),
        }
    }

    fn of_key(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Text => Self::Texts(Texts::default()),
            KeyKind::Integer => Self::Longs(Vec::new()),
        }
    }

    fn of_more(kind: MoreKind) -> Self {
        match kind {
            MoreKind::Number => Self::Numbers(Vec::new()),
            MoreKind::Count => Self::Longs(Vec::new()),
            MoreKind::Texts => Self::Lists(Lists::default()),
        }
    }

    /// Takes the cell of a row, and says how many bytes it takes, roughly.
    fn push(&mut self, cell: Cell, row: &SessionRow) -> Result<usize, String> {
        match (self, cell) {
            (Self::Texts(texts), Cell::Text(text)) => return Ok(texts.push(text(row))),
            (Self::TextsOrNull(texts), Cell::Texts(list)) => return Ok(texts.push(&list(row).join(","))),
            (Self::Longs(numbers), Cell::Long(number)) => numbers.push(whole(number(row), row)?),
            (Self::Ints(numbers), Cell::Int(number)) => numbers.push(whole(number(row), row)?),
            (Self::Times(times), Cell::Time(time)) => times.push(time(row).as_micros()),
            _ => unreachable!("cells are of the type of their column"),
        }
        Ok(size_of::<i64>())
    }

    /// The same with the key field of this name.
    fn push_key(&mut self, name: &str, value: &Value, row: &SessionRow) -> Result<usize, String> {
        let text = value.as_str().map_or_else(|| value.to_string().into(), Cow::from);
        match self {
            Self::Longs(numbers) => numbers.push(integer(name, &text, row)?),
            Self::Texts(texts) => return Ok(texts.push(&text)),
            _ => unreachable!("a key field is a text or an integer"),
        }
        Ok(size_of::<i64>())
    }

    /// The same with the cell of a further column.
    fn push_more(&mut self, cell: &More, row: &SessionRow) -> Result<usize, String> {
        match (self, cell) {
            (Self::Numbers(numbers), More::Number(number)) => numbers.push(number.parse().ok()),
            (Self::Numbers(numbers), More::Null) => numbers.push(None),
            (Self::Longs(numbers), More::Count(count)) => numbers.push(whole(*count, row)?),
            (Self::Lists(lists), More::Texts(list)) => return Ok(lists.push(list)),
            _ => unreachable!("cells are of the type of their column"),
        }
        Ok(size_of::<i64>())
    }

    /// The order of two rows by this column.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Self::Texts(texts) | Self::TextsOrNull(texts) => texts.get(a).cmp(texts.get(b)),
            Self::Longs(numbers) | Self::Times(numbers) => numbers[a].cmp(&numbers[b]),
            Self::Ints(numbers) => numbers[a].cmp(&numbers[b]),
            Self::Numbers(_) | Self::Lists(_) => Ordering::Equal, // no rows are ordered by them
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) | Self::TextsOrNull(texts) => texts.ends.len(),
            Self::Longs(numbers) | Self::Times(numbers) => numbers.len(),
            Self::Ints(numbers) => numbers.len(),
            Self::Numbers(numbers) => numbers.len(),
            Self::Lists(lists) => lists.ends.len(),
        }
    }
}

impl Rows {
    pub fn new(columns: Columns) -> Self {
        Self::with_more(columns, &[])
    }

    /// Rows with further columns.
    pub fn with_more(columns: Columns, more: &[(String, MoreKind)]) -> Self {
        let keys = columns.kinds.iter().map(|kind| Cells::of_key(*kind)).collect();
        let session = SESSION.iter().map(|column| Cells::of(column.cell)).collect();
        let more = more.iter().map(|(name, kind)| (name.clone(), Cells::of_more(*kind))).collect();
        Self { columns, session, keys, more }
    }

    /// Takes a session of rows without further columns: see [`push_with`](Self::push_with).
    pub fn push(&mut self, row: &SessionRow) -> Result<usize, String> {
        self.push_with(row, &[])
    }

    /// Takes a session with the cells of the further columns, and says how many bytes it takes, roughly. After an error
    /// the rows are of no use any more.
    ///
    /// Fails if there are too few key fields, if one is no integer though it was declared so, or if a
    /// number is too large for its column.
    pub fn push_with(&mut self, row: &SessionRow, more: &[More]) -> Result<usize, String> {
        let mut bytes = 0;
        for (index, (cells, name)) in self.keys.iter_mut().zip(&self.columns.key).enumerate() {
            let missing = || format!("the row of session {} is without the key field `{name}`", row.id);
            bytes += cells.push_key(name, row.key.get(index).ok_or_else(missing)?, row)?;
        }
        for (cells, column) in self.session.iter_mut().zip(&SESSION) {
            bytes += cells.push(column.cell, row)?;
        }
        for ((_, cells), cell) in self.more.iter_mut().zip(more) {
            bytes += cells.push_more(cell, row)?;
        }
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
                column.write(rows, &mut writer)?;
                writer.close()?;
            }
            group.close()?;
        }
        file.into_inner()
    }

    /// The places of the rows, in their order in the file.
    fn order(&self) -> Vec<usize> {
        let of = |name: &&str| SESSION.iter().position(|column| column.name == *name).map(|place| &self.session[place]);
        let by: Vec<&Cells> = ORDER.iter().filter_map(of).collect();
        let mut order: Vec<usize> = (0..self.session[0].len()).collect();
        order.sort_by(|&a, &b| {
            by.iter().fold(Ordering::Equal, |so_far, cells| so_far.then_with(|| cells.compare(a, b)))
        });
        order
    }

    /// In their order in the file.
    fn into_columns(self) -> Vec<NamedCells> {
        let own = SESSION.iter().zip(self.session).map(|(column, cells)| NamedCells::new(column.name, cells));
        let keys = self.columns.key.iter().zip(self.keys).map(|(name, cells)| NamedCells::new(name, cells));
        let mut columns: Vec<NamedCells> = own.collect();
        columns.splice(1..1, keys);
        columns.extend(self.more.into_iter().map(|(name, cells)| NamedCells::new(&name, cells)));
        columns
    }
}

/// Where the text of a row lies.
fn span(ends: &[usize], row: usize) -> Range<usize> {
    row.checked_sub(1).map_or(0, |before| ends[before])..ends[row]
}

/// A number that is no larger than the type of its column.
fn whole<N: Copy + std::fmt::Display, T: TryFrom<N>>(number: N, row: &SessionRow) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("{number} in the row of session {} is too large for its column", row.id))
}

fn integer(name: &str, text: &str, row: &SessionRow) -> Result<i64, String> {
    text.parse().map_err(|_| {
        format!(
            "the key field `{name}` is {text:?} in the row of session {}, which is no integer of 64 bits: \
             declare it as {name}:text",
            row.id
        )
    })
}

/// A column of the file.
struct NamedCells {
    name: String,
    cells: Cells,
    /// The bytes of texts, of which the writer is lent parts.
    texts: ByteArray,
}

impl NamedCells {
    fn new(name: &str, mut cells: Cells) -> Self {
        let texts = match &mut cells {
            Cells::Texts(texts) | Cells::TextsOrNull(texts) | Cells::Lists(Lists { texts, .. }) => {
                std::mem::take(&mut texts.bytes)
            }
            _ => Vec::new(),
        };
        Self { name: name.to_owned(), cells, texts: texts.into() }
    }

    fn types(&self) -> (Physical, Option<LogicalType>) {
        match &self.cells {
            Cells::Texts(_) | Cells::TextsOrNull(_) | Cells::Lists(_) => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String))
            }
            Cells::Longs(_) => (Physical::INT64, None),
            Cells::Ints(_) => (Physical::INT32, None),
            Cells::Numbers(_) => (Physical::DOUBLE, None),
            Cells::Times(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        }
    }

    fn field(&self) -> Result<TypePtr, ParquetError> {
        let (physical, logical) = self.types();
        let is_list = matches!(self.cells, Cells::Lists(_));
        let is_optional = matches!(self.cells, Cells::TextsOrNull(_) | Cells::Numbers(_));
        let repetition = if is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(if is_list { "element" } else { &self.name }, physical);
        let field = Arc::new(field.with_repetition(repetition).with_logical_type(logical).build()?);
        if is_list { self.list_of(field) } else { Ok(field) }
    }

    /// A list of three levels, as the format prescribes it.
    fn list_of(&self, element: TypePtr) -> Result<TypePtr, ParquetError> {
        let elements = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
        let elements = Arc::new(elements.with_fields(vec![element]).build()?);
        let list = Type::group_type_builder(&self.name).with_repetition(Repetition::REQUIRED);
        let list = list.with_logical_type(Some(LogicalType::List)).with_converted_type(ConvertedType::LIST);
        Ok(Arc::new(list.with_fields(vec![elements]).build()?))
    }

    /// The texts of these rows.
    fn texts(&self, ends: &[usize], rows: &[usize]) -> Vec<ByteArray> {
        let text = |&row: &usize| {
            let Range { start, end } = span(ends, row);
            self.texts.slice(start, end - start)
        };
        rows.iter().map(text).collect()
    }

    /// Writes the cells of these rows.
    fn write(&self, rows: &[usize], writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match &self.cells {
            Cells::Texts(Texts { ends, .. }) => {
                writer.typed::<ByteArrayType>().write_batch(&self.texts(ends, rows), None, None)
            }
            Cells::TextsOrNull(Texts { ends, .. }) => {
                let mut texts = self.texts(ends, rows);
                let are_there: Vec<i16> = texts.iter().map(|text| i16::from(!text.is_empty())).collect();
                texts.retain(|text| !text.is_empty());
                writer.typed::<ByteArrayType>().write_batch(&texts, Some(&are_there), None)
            }
            Cells::Longs(numbers) | Cells::Times(numbers) => {
                let numbers: Vec<i64> = rows.iter().map(|&row| numbers[row]).collect();
                writer.typed::<Int64Type>().write_batch(&numbers, None, None)
            }
            Cells::Ints(numbers) => {
                let numbers: Vec<i32> = rows.iter().map(|&row| numbers[row]).collect();
                writer.typed::<Int32Type>().write_batch(&numbers, None, None)
            }
            Cells::Numbers(numbers) => {
                let are_there: Vec<i16> = rows.iter().map(|&row| i16::from(numbers[row].is_some())).collect();
                let numbers: Vec<f64> = rows.iter().filter_map(|&row| numbers[row]).collect();
                writer.typed::<DoubleType>().write_batch(&numbers, Some(&are_there), None)
            }
            Cells::Lists(Lists { texts, ends }) => {
                let (mut elements, mut are_there, mut go_on) = (Vec::new(), Vec::new(), Vec::new());
                for &row in rows {
                    let list: Vec<usize> = span(ends, row).collect();
                    // An empty list has a place without an element.
                    are_there.extend(vec![i16::from(!list.is_empty()); list.len().max(1)]);
                    go_on.extend((0..list.len().max(1)).map(|place| i16::from(place > 0)));
                    elements.extend(self.texts(&texts.ends, &list));
                }
                writer.typed::<ByteArrayType>().write_batch(&elements, Some(&are_there), Some(&go_on))
            }
        }?;
        Ok(())
    }
}

fn schema(columns: &[NamedCells]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(NamedCells::field).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder("session").with_fields(fields).build()?))
}

fn properties(columns: &[NamedCells]) -> WriterPropertiesPtr {
    let place = |name: &&str| columns.iter().position(|column| column.name == *name);
    let ascending = |index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: false };
    let order = ORDER.iter().filter_map(place).map(ascending).collect();
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
