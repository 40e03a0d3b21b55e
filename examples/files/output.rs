//! The rows: one for each session, as CSV, as JSON lines or as the article's SQL wrote them.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use stagger::{Timestamp, kinesis_sql_id};

use crate::options::OutputFormat;
use crate::parse::keys;
use crate::text::Summary;

/// The columns of the csv form; the key fields follow the first.
const COLUMNS: [&str; 11] = [
    "session_id",
    "window_start",
    "window_end",
    "part",
    "count",
    "first_time",
    "last_time",
    "duration_us",
    "first_event",
    "last_event",
    "reason",
];

/// Further ones when sessions may be corrected.
const REVISION_COLUMNS: [&str; 2] = ["revision", "supersedes"];

/// The columns of the article's DESTINATION_SQL_STREAM.
const KINESIS_COLUMNS: [&str; 10] = [
    "session_id",
    "user_id",
    "device_id",
    "timeagg",
    "events",
    "beginnavigation",
    "endnavigation",
    "beginsession",
    "endsession",
    "duration_sec",
];

/// Whether a key field cannot keep its own name, because a column has it already.
pub(crate) fn is_taken(name: &str) -> bool {
    COLUMNS.contains(&name) || REVISION_COLUMNS.contains(&name) || name == "bucket"
}

pub(crate) struct Rows {
    form: Form,
    keys: Vec<String>,
    revisions: bool,
    text: String,
}

enum Form {
    Csv(csv::Writer<Box<dyn Write>>),
    Jsonl(io::BufWriter<Box<dyn Write>>),
    KinesisSql(csv::Writer<Box<dyn Write>>),
}

impl Rows {
    /// Begins the output. `revisions`: whether sessions may be corrected.
    pub(crate) fn new(
        to: Box<dyn Write>,
        format: OutputFormat,
        keys: Vec<String>,
        revisions: bool,
    ) -> io::Result<Self> {
        const BUFFER: usize = 1 << 18;
        let csv = |to| csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(to);
        let form = match format {
            OutputFormat::Csv => Form::Csv(csv(to)),
            OutputFormat::Jsonl => Form::Jsonl(io::BufWriter::with_capacity(BUFFER, to)),
            OutputFormat::KinesisSql => Form::KinesisSql(csv(to)),
        };
        let mut rows = Self { form, keys, revisions, text: String::new() };
        rows.header()?;
        Ok(rows)
    }

    fn header(&mut self) -> io::Result<()> {
        match &mut self.form {
            Form::Csv(csv) => {
                let keys = self.keys.iter().map(String::as_str);
                let more: &[&str] = if self.revisions { &REVISION_COLUMNS } else { &[] };
                let columns = COLUMNS[..1].iter().copied().chain(keys);
                let columns = columns.chain(COLUMNS[1..].iter().copied()).chain(more.iter().copied());
                csv.write_record(columns).map_err(io_error)
            }
            Form::Jsonl(_) => Ok(()),
            Form::KinesisSql(csv) => csv.write_record(KINESIS_COLUMNS).map_err(io_error),
        }
    }

    /// Writes the row of one session.
    pub(crate) fn write<O>(&mut self, session: &Summary<O>) -> io::Result<()> {
        match &mut self.form {
            Form::Csv(csv) => write_csv(csv, session, self.keys.len(), self.revisions, &mut self.text),
            Form::KinesisSql(csv) => write_kinesis_sql(csv, session, &mut self.text),
            Form::Jsonl(to) => {
                let row = Row { session, keys: &self.keys, revisions: self.revisions };
                serde_json::to_writer(&mut *to, &row)?;
                to.write_all(b"\n")
            }
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        match &mut self.form {
            Form::Csv(csv) | Form::KinesisSql(csv) => csv.flush(),
            Form::Jsonl(to) => to.flush(),
        }
    }
}

type CsvWriter = csv::Writer<Box<dyn Write>>;

/// The error behind an error of writing CSV, so that a broken pipe is known as one.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn plain(csv: &mut CsvWriter, text: impl AsRef<[u8]>) -> io::Result<()> {
    csv.write_field(text).map_err(io_error)
}

/// Writes one field by way of a buffer.
fn field(csv: &mut CsvWriter, text: &mut String, value: impl std::fmt::Display) -> io::Result<()> {
    text.clear();
    let _ = write!(text, "{value}"); // a String takes everything
    csv.write_field(&*text).map_err(io_error)
}

fn write_csv<O>(
    csv: &mut CsvWriter,
    session: &Summary<O>,
    keys: usize,
    revisions: bool,
    text: &mut String,
) -> io::Result<()> {
    field(csv, text, session.id())?;
    for part in keys::split(session.key.as_str(), keys) {
        plain(csv, part.as_bytes())?;
    }
    for time in [session.window.start, session.window.end] {
        field(csv, text, time)?;
    }
    field(csv, text, session.part)?;
    field(csv, text, session.count)?;
    for time in [session.first_time, session.last_time] {
        field(csv, text, time)?;
    }
    field(csv, text, session.duration().as_micros())?;
    plain(csv, session.first_event.0.as_str())?;
    plain(csv, session.last_event.0.as_str())?;
    plain(csv, session.reason.name())?;
    if revisions {
        field(csv, text, session.revision())?;
        let ids: Vec<String> = session.supersedes().iter().map(|earlier| earlier.id.to_string()).collect();
        plain(csv, ids.join(" "))?;
    }
    csv.write_record(None::<&[u8]>).map_err(io_error)
}

/// Times are printed as Kinesis SQL casts a TIMESTAMP to VARCHAR; begin and end keep, as in the
/// article, what follows the hour.
fn write_kinesis_sql<O>(csv: &mut CsvWriter, session: &Summary<O>, text: &mut String) -> io::Result<()> {
    let mut key = keys::split(session.key.as_str(), 2);
    let (user, device) = (key.next().unwrap_or_default(), key.next().unwrap_or_default());
    let bucket = session.bucket.unwrap_or(session.window.start);
    plain(csv, kinesis_sql_id(&user, &device, bucket))?;
    plain(csv, user.as_bytes())?;
    plain(csv, device.as_bytes())?;
    plain(csv, sql_timestamp(bucket))?;
    field(csv, text, session.count)?;
    plain(csv, session.first_event.0.as_str())?;
    plain(csv, session.last_event.0.as_str())?;
    for time in [session.first_time, session.last_time] {
        let sql = sql_timestamp(time);
        plain(csv, substring(&sql, 15, 19))?;
    }
    let millis = |time: Timestamp| time.as_micros().div_euclid(1_000);
    field(csv, text, (millis(session.last_time) - millis(session.first_time)) / 1_000)?;
    csv.write_record(None::<&[u8]>).map_err(io_error)
}

/// `2018-11-29 23:35:10.123`, cut to milliseconds.
fn sql_timestamp(time: Timestamp) -> String {
    let iso = time.to_string();
    iso[..iso.len() - "456Z".len()].replace('T', " ")
}

/// SQL's SUBSTRING: from a position that counts from 1, so many characters at most.
fn substring(text: &str, from: usize, length: usize) -> &str {
    let rest = text.get(from - 1..).unwrap_or_default();
    rest.get(..length).unwrap_or(rest)
}

/// A session as a JSON object.
struct Row<'a, O> {
    session: &'a Summary<O>,
    keys: &'a [String],
    revisions: bool,
}

impl<O> Serialize for Row<'_, O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = self.session;
        let time = |time: Timestamp| time.to_string();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("session_id", &session.id())?;
        for (name, part) in self.keys.iter().zip(keys::split(session.key.as_str(), self.keys.len())) {
            map.serialize_entry(name, &part)?;
        }
        map.serialize_entry("window_start", &time(session.window.start))?;
        map.serialize_entry("window_end", &time(session.window.end))?;
        map.serialize_entry("bucket", &session.bucket.map(time))?;
        map.serialize_entry("part", &session.part)?;
        map.serialize_entry("count", &session.count)?;
        map.serialize_entry("first_time", &time(session.first_time))?;
        map.serialize_entry("last_time", &time(session.last_time))?;
        map.serialize_entry("duration_us", &session.duration().as_micros())?;
        map.serialize_entry("first_event", session.first_event.0.as_str())?;
        map.serialize_entry("last_event", session.last_event.0.as_str())?;
        map.serialize_entry("reason", session.reason.name())?;
        if self.revisions {
            map.serialize_entry("revision", &session.revision())?;
            let ids: Vec<String> = session.supersedes().iter().map(|earlier| earlier.id.to_string()).collect();
            map.serialize_entry("supersedes", &ids)?;
        }
        map.end()
    }
}
