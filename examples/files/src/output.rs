//! The rows: one for each session, as CSV, as JSON lines or as the article's SQL wrote them.

use std::io::{self, Write};

use events::columns::Columns;
use events::parse::keys;
use rows::cells::Cells;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use stagger::{SessionId, Timestamp, kinesis_sql_id};

use crate::side::{KeyFields, Members};
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

/// How many bytes are written at once.
const BLOCK: usize = 1 << 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Jsonl,
    KinesisSql,
}

pub(crate) struct Rows {
    to: Box<dyn Write + Send>,
    form: Form,
    columns: Columns,
    revisions: bool,
    /// Rows that have not been written yet.
    cells: Cells,
}

impl Rows {
    /// Begins the output. `revisions`: whether sessions may be corrected.
    pub(crate) fn new(to: Box<dyn Write + Send>, form: Form, columns: Columns, revisions: bool) -> Self {
        let mut rows = Self { to, form, columns, revisions, cells: Cells::default() };
        rows.header();
        rows
    }

    fn header(&mut self) {
        let keys = self.columns.key.iter().map(String::as_str);
        let more: &[&str] = if self.revisions { &REVISION_COLUMNS } else { &[] };
        let (first, others) = COLUMNS.split_at(1);
        let csv = first.iter().copied().chain(keys).chain(others.iter().chain(more).copied());
        match self.form {
            Form::Csv => csv.for_each(|column| self.cells.text(column)),
            Form::KinesisSql => KINESIS_COLUMNS.iter().for_each(|column| self.cells.text(column)),
            Form::Jsonl => return,
        }
        self.cells.end_row();
    }

    /// Writes the row of one session.
    pub(crate) fn write<O: Members>(&mut self, session: &Summary<O>, id: SessionId) -> io::Result<()> {
        match self.form {
            Form::Csv => self.write_csv(session, id),
            Form::KinesisSql => self.write_kinesis_sql(session),
            Form::Jsonl => {
                let row = Row { session, id, columns: &self.columns, revisions: self.revisions };
                serde_json::to_writer(&mut self.cells.bytes, &row)?;
                self.cells.bytes.push(b'\n');
            }
        }
        if self.cells.bytes.len() >= BLOCK { self.empty() } else { Ok(()) }
    }

    fn empty(&mut self) -> io::Result<()> {
        let written = self.to.write_all(&self.cells.bytes);
        self.cells.bytes.clear();
        written
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.empty()?;
        self.to.flush()
    }

    fn write_csv<O: Members>(&mut self, session: &Summary<O>, id: SessionId) {
        let cells = &mut self.cells;
        cells.id(id);
        for part in keys::split(session.key.as_str(), self.columns.key.len()) {
            cells.text(part.as_bytes());
        }
        cells.time(session.window.start);
        cells.time(session.window.end);
        cells.number(session.part);
        cells.number(session.count);
        cells.time(session.first_time);
        cells.time(session.last_time);
        cells.number(session.duration().as_micros() as u64); // of two i64: it fits
        cells.text(session.first_event.0.as_str());
        cells.text(session.last_event.0.as_str());
        cells.text(session.reason.name());
        if self.revisions {
            cells.number(session.revision());
            let ids: Vec<String> = session.supersedes().iter().map(|earlier| earlier.id.to_string()).collect();
            cells.text(ids.join(" "));
        }
        cells.end_row();
    }

    /// Times are printed as Kinesis SQL casts a TIMESTAMP to VARCHAR; begin and end keep, as in the
    /// article, what follows the hour.
    fn write_kinesis_sql<O: Members>(&mut self, session: &Summary<O>) {
        let cells = &mut self.cells;
        let mut key = keys::split(session.key.as_str(), 2);
        let (user, device) = (key.next().unwrap_or_default(), key.next().unwrap_or_default());
        let bucket = session.bucket.unwrap_or(session.window.start);
        cells.text(kinesis_sql_id(&user, &device, bucket));
        cells.text(user.as_bytes());
        cells.text(device.as_bytes());
        cells.text(sql_timestamp(bucket));
        cells.number(session.count);
        cells.text(session.first_event.0.as_str());
        cells.text(session.last_event.0.as_str());
        for time in [session.first_time, session.last_time] {
            cells.text(substring(&sql_timestamp(time), 15, 19));
        }
        let millis = |time: Timestamp| time.as_micros().div_euclid(1_000);
        cells.number((millis(session.last_time) - millis(session.first_time)) / 1_000);
        cells.end_row();
    }
}

/// What is left when the work stops early.
impl Drop for Rows {
    fn drop(&mut self) {
        let _ = self.empty();
    }
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
struct Row<'a, O: Members> {
    session: &'a Summary<O>,
    id: SessionId,
    columns: &'a Columns,
    revisions: bool,
}

impl<O: Members> Serialize for Row<'_, O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let session = self.session;
        let time = |time: Timestamp| time.to_string();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("session_id", &self.id)?;
        for (name, field) in (KeyFields { columns: self.columns, key: session.key.as_str() }).iter() {
            map.serialize_entry(name, &field)?;
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
