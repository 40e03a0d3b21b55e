//! The rows of Parquet files, packed with Snappy or not at all, as lines of JSON: all options then mean what they mean
//! for those.
//!
//! A time of a column with a logical type becomes ISO 8601, without a zone where the column is local.

use std::fs::File;
use std::io::{self, Read, Seek};

use ::parquet::basic::{LogicalType, TimeUnit};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;
use program::panics::caught;
use serde_json::{Map, Number, Value};
use stagger::Timestamp;

/// The first bytes of a file, and the last.
pub const MAGIC: &[u8] = b"PAR1";

/// How much text is made at once.
const BLOCK: usize = 64 << 10;
const DAY: i64 = 86_400;

/// Reads lines of JSON, one for each row.
pub struct JsonLines {
    rows: RowIter<'static>,
    /// What the numbers in each column are, if they are times.
    times: Vec<Option<Times>>,
    text: Vec<u8>,
    /// How much of the text has been read.
    read: usize,
    failure: Option<io::Error>,
}

#[derive(Clone, Copy)]
struct Times {
    scale: Scale,
    is_local: bool,
}

#[derive(Clone, Copy)]
enum Scale {
    Millis,
    Micros,
    Nanos,
}

/// Whether a file begins as Parquet does. It is read from its beginning after that.
pub fn is_parquet(file: &mut File) -> bool {
    let mut head = Vec::new();
    let is_seekable = file.metadata().is_ok_and(|known| known.is_file());
    is_seekable
        && file.take(MAGIC.len() as u64).read_to_end(&mut head).is_ok()
        && file.rewind().is_ok()
        && head == MAGIC
}

impl JsonLines {
    pub fn open(file: File) -> io::Result<Self> {
        let reader = whole(|| SerializedFileReader::new(file)).map_err(io::Error::other)?;
        let columns = reader.metadata().file_metadata().schema().get_fields();
        let times = columns.iter().map(|column| times(column)).collect();
        let rows = whole(|| Ok(RowIter::from_file_into(Box::new(reader)))).map_err(io::Error::other)?;
        Ok(Self { rows, times, text: Vec::new(), read: 0, failure: None })
    }

    /// Makes the text of the next rows.
    fn fill(&mut self) {
        self.text.clear();
        self.read = 0;
        while self.text.len() < BLOCK && self.failure.is_none() {
            match whole(|| self.rows.next().transpose()) {
                Ok(None) => return,
                Ok(Some(row)) => self.add(&row),
                Err(error) => self.failure = Some(io::Error::other(error)),
            }
        }
    }

    fn add(&mut self, row: &Row) {
        let cells = row.get_column_iter().zip(&self.times);
        let object = cells.map(|((name, field), times)| (name.clone(), value(field, *times))).collect();
        if serde_json::to_writer(&mut self.text, &Value::Object(object)).is_ok() {
            self.text.push(b'\n');
        }
    }
}

impl Read for JsonLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.text.len() {
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            self.fill();
        }
        let read = (&self.text[self.read..]).read(buffer)?;
        self.read += read;
        if read == 0 && !buffer.is_empty() { self.failure.take().map_or(Ok(0), Err) } else { Ok(read) }
    }
}

/// What the reader of Parquet gives. It refuses most damaged files, and panics over others.
pub fn whole<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    let read = caught(read).and_then(|result| result.map_err(|error| error.to_string()));
    read.map_err(|error| {
        let hint = if error.contains("Disabled feature") { "; write it again with Snappy" } else { "" };
        format!("it is no Parquet file that can be read: {error}{hint}")
    })
}

/// What the numbers of a column are, if they are times. Those in groups and lists are left as they are.
fn times(column: &Type) -> Option<Times> {
    let Some(LogicalType::Timestamp(meaning)) = column.get_basic_info().logical_type_ref() else { return None };
    let scale = match meaning.unit {
        TimeUnit::MILLIS => Scale::Millis,
        TimeUnit::MICROS => Scale::Micros,
        TimeUnit::NANOS => Scale::Nanos,
    };
    Some(Times { scale, is_local: !meaning.is_adjusted_to_u_t_c })
}

fn time(number: i64, times: Times) -> Value {
    let micros = match times.scale {
        Scale::Millis => number.saturating_mul(1_000),
        Scale::Micros => number,
        Scale::Nanos => number.div_euclid(1_000),
    };
    let text = Timestamp::from_micros(micros).to_string();
    if times.is_local { text.trim_end_matches('Z').into() } else { text.into() }
}

fn value(field: &Field, times: Option<Times>) -> Value {
    let utc = |scale| times.unwrap_or(Times { scale, is_local: false });
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match field {
        Field::Null => Value::Null,
        Field::Bool(is_true) => (*is_true).into(),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) => (*number).into(),
        Field::Long(number) => times.map_or_else(|| (*number).into(), |times| time(*number, times)),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        // The shortest digits that are this number, as CSV would have them.
        Field::Float(number) => float(number.to_string().parse().unwrap_or(f64::NAN)),
        Field::Double(number) => float(*number),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into(),
        Field::Date(day) => Timestamp::from_secs(i64::from(*day) * DAY).to_string()[..].split('T').next().into(),
        Field::TimestampMillis(number) => time(*number, utc(Scale::Millis)),
        Field::TimestampMicros(number) => time(*number, utc(Scale::Micros)),
        Field::Group(row) => {
            let fields = row.get_column_iter().map(|(name, field)| (name.clone(), value(field, None)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Field::ListInternal(list) => list.elements().iter().map(|field| value(field, None)).collect(),
        // Decimals keep their digits.
        other => other.to_string().trim_matches('"').into(),
    }
}
