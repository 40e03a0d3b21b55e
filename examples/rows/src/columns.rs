//! The columns of the rows of sessions: the one place to add a column.
//!
//! - [`SESSION`] has the columns of a table of sessions, named as in the article. `kinesis` writes them as JSON and
//!   as Parquet, `files` as Parquet; `query` and `picture` read them.
//! - [`FILES`] has the columns that `files` writes as CSV and as JSON lines, named as in the library.
//!
//! To add a column, add a line to its list. If the row ([`SessionRow`] or [`ClosedSession`]) does not hold the value
//! yet, add a field to the row and to its `of`. Tables of AWS Glue declare the columns of [`SESSION`] in
//! `kinesis/deploy/template.yaml`.

use std::time::Duration;

use events::columns::{Columns, KeyKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stagger::{CloseReason, SessionId, SessionSummary, Superseded, Timestamp, Window};

use crate::cells::Cells;

/// A session on its way to where it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The same whenever the same events are read again: what makes a repeated row recognisable.
    pub id: String,
    /// The values of the key fields, in the order of [`Columns::key`].
    pub key: Vec<Value>,
    /// The rounded time, or where the window begins.
    pub timeagg: Timestamp,
    pub events: u64,
    pub begin_navigation: String,
    pub end_navigation: String,
    /// Time of the first event.
    pub begin: Timestamp,
    /// Time of the last event.
    pub end: Timestamp,
    /// Why it closed, as `stagger::CloseReason` names it.
    pub reason: String,
    /// 0, and more for a corrected row, which takes the place of `supersedes`.
    pub revision: u32,
    pub supersedes: Vec<String>,
}

/// A column that is no key field.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub cell: Cell,
}

/// The type of a column, and the cell of a row in it.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    Text(fn(&SessionRow) -> &str),
    Time(fn(&SessionRow) -> Timestamp),
    /// A number of 64 bits.
    Long(fn(&SessionRow) -> u64),
    /// A number of 32 bits.
    Int(fn(&SessionRow) -> u32),
    /// A list, with commas between its texts where a column is plain, NULL where it is empty.
    Texts(fn(&SessionRow) -> &[String]),
}

/// All columns that are no key fields, in the order of the article's `DESTINATION_SQL_STREAM`. The key fields
/// stand behind the first.
#[rustfmt::skip] // a line for each
pub static SESSION: [Column; 11] = [
    Column { name: "session_id", cell: Cell::Text(|row| &row.id) },
    Column { name: "timeagg", cell: Cell::Time(|row| row.timeagg) },
    Column { name: "events", cell: Cell::Long(|row| row.events) },
    Column { name: "beginnavigation", cell: Cell::Text(|row| &row.begin_navigation) },
    Column { name: "endnavigation", cell: Cell::Text(|row| &row.end_navigation) },
    Column { name: "beginsession", cell: Cell::Time(|row| row.begin) },
    Column { name: "endsession", cell: Cell::Time(|row| row.end) },
    Column { name: "duration_sec", cell: Cell::Long(SessionRow::duration_sec) },
    Column { name: "reason", cell: Cell::Text(|row| &row.reason) },
    Column { name: REVISION, cell: Cell::Int(|row| row.revision) },
    Column { name: SUPERSEDES, cell: Cell::Texts(|row| &row.supersedes) },
];

// JSON rows have these two only if they are corrections.
const REVISION: &str = "revision";
const SUPERSEDES: &str = "supersedes";

/// The column of that name.
pub fn named(name: &str) -> Option<&'static Column> {
    SESSION.iter().find(|column| column.name == name)
}

/// The key fields under names that no column of [`SESSION`] has.
pub fn session_columns(columns: Columns) -> Columns {
    session_columns_beside(columns, &[])
}

/// The same, and none of these further columns.
pub fn session_columns_beside(columns: Columns, more: &[String]) -> Columns {
    beside(columns, |name| named(name).is_some() || more.iter().any(|other| other == name))
}

/// A key field with the name of another column, or of another key field, gets a prefix.
fn beside(mut columns: Columns, is_taken: impl Fn(&str) -> bool) -> Columns {
    for index in 0..columns.key.len() {
        while is_taken(&columns.key[index]) || is_repeated(&columns.key, index) {
            columns.key[index].insert_str(0, "key_");
        }
    }
    columns
}

fn is_repeated(names: &[String], index: usize) -> bool {
    names.iter().enumerate().any(|(other, name)| other != index && *name == names[index])
}

impl SessionRow {
    /// The row of a session with this id, its key as one text (see [`events::parse::keys`]), and its first and last value.
    pub fn of<K, V, O>(
        session: &SessionSummary<K, V, O>,
        id: SessionId,
        (key, kinds): (&str, &[KeyKind]),
        (first, last): (String, String),
    ) -> Self {
        Self {
            id: id.to_string(),
            key: crate::key::fields(key, kinds).map(|field| field.value()).collect(),
            timeagg: session.bucket.unwrap_or(session.window.start),
            events: session.count,
            begin_navigation: first,
            end_navigation: last,
            begin: session.first_time,
            end: session.last_time,
            reason: session.reason.name().to_owned(),
            revision: session.revision(),
            supersedes: session.supersedes().iter().map(|earlier| earlier.id.to_string()).collect(),
        }
    }

    /// From the first event to the last.
    pub fn duration(&self) -> Duration {
        self.end.since(self.begin)
    }

    /// In whole seconds, cut off. The article's `TSDIFF(…)/1000` cuts the times to milliseconds before.
    pub fn duration_sec(&self) -> u64 {
        self.duration().as_secs()
    }

    /// The row as a JSON object, its columns in order.
    pub fn json(&self, columns: &Columns) -> Map<String, Value> {
        let [first, others @ ..] = &SESSION;
        let of_key = columns.key.iter().zip(&self.key).map(|(name, value)| (name.clone(), value.clone()));
        let others = others.iter().filter(|column| self.revision > 0 || ![REVISION, SUPERSEDES].contains(&column.name));
        let own = |column: &Column| (column.name.to_owned(), column.cell.json(self));
        std::iter::once(own(first)).chain(of_key).chain(others.map(own)).collect()
    }

    /// The same as a line.
    pub fn line(&self, columns: &Columns) -> Vec<u8> {
        let mut line = Value::Object(self.json(columns)).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

impl Cell {
    fn json(self, row: &SessionRow) -> Value {
        match self {
            Self::Text(text) => text(row).into(),
            Self::Time(time) => time(row).to_string().into(),
            Self::Long(number) => number(row).into(),
            Self::Int(number) => number(row).into(),
            Self::Texts(texts) => texts(row).into(),
        }
    }
}

/// A closed session on its way into a row of [`FILES`]. It borrows its texts: `files` writes millions of rows.
#[derive(Clone, Copy, Debug)]
pub struct ClosedSession<'a> {
    pub id: SessionId,
    pub key: &'a str,
    pub window: Window,
    pub bucket: Option<Timestamp>,
    pub part: u32,
    pub count: u64,
    pub first_time: Timestamp,
    pub last_time: Timestamp,
    pub first_event: &'a str,
    pub last_event: &'a str,
    pub reason: CloseReason,
    pub revision: u32,
    pub supersedes: &'a [Superseded],
}

impl<'a> ClosedSession<'a> {
    /// The row of a session with this id, this key as one text, and these first and last values.
    #[inline]
    pub fn of<K, V, O>(
        session: &'a SessionSummary<K, V, O>,
        id: SessionId,
        key: &'a str,
        (first_event, last_event): (&'a str, &'a str),
    ) -> Self {
        let SessionSummary { window, bucket, part, count, first_time, last_time, reason, .. } = *session;
        let (revision, supersedes) = (session.revision(), session.supersedes());
        Self {
            id,
            key,
            window,
            bucket,
            part,
            count,
            first_time,
            last_time,
            first_event,
            last_event,
            reason,
            revision,
            supersedes,
        }
    }

    fn duration_us(&self) -> u64 {
        self.last_time.since(self.first_time).as_micros() as u64 // of two i64: it fits
    }
}

/// A column of the CSV and the JSON lines of `files` that is no key field.
#[derive(Clone, Copy, Debug)]
pub struct FilesColumn {
    pub name: &'static str,
    pub written: Written,
    pub cell: for<'s> fn(&ClosedSession<'s>) -> FilesCell<'s>,
    /// Writes that cell: a function of its own for each column, without a choice by kind.
    pub(crate) put: fn(&ClosedSession<'_>, &mut Cells),
}

/// Which outputs have a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Always,
    /// JSON lines, not CSV.
    InJson,
    /// Both, if sessions may be corrected.
    WithRevisions,
}

/// A cell of a column of [`FILES`].
#[derive(Clone, Copy, Debug)]
pub enum FilesCell<'a> {
    Id(SessionId),
    Text(&'a str),
    /// A text of letters, digits, `-` and `_`.
    Name(&'static str),
    Time(Timestamp),
    TimeOrNull(Option<Timestamp>),
    Number(u64),
    /// A list; in CSV one text with blanks between the ids.
    Ids(&'a [Superseded]),
}

macro_rules! column {
    ($name:expr, $written:expr, |$row:ident| $cell:expr) => {
        FilesColumn { name: $name, written: $written, cell: |$row| $cell, put: |$row, cells| cells.cell($cell) }
    };
}

/// The columns of the CSV and the JSON lines of `files`, in order. The key fields stand behind the first.
#[rustfmt::skip] // a line for each
pub static FILES: [FilesColumn; 14] = {
    use FilesCell::{Id, Ids, Name, Number, Text, Time, TimeOrNull};
    use Written::{Always, InJson, WithRevisions};
    [
        column!("session_id", Always, |row| Id(row.id)),
        column!("window_start", Always, |row| Time(row.window.start)),
        column!("window_end", Always, |row| Time(row.window.end)),
        column!("bucket", InJson, |row| TimeOrNull(row.bucket)),
        column!("part", Always, |row| Number(row.part.into())),
        column!("count", Always, |row| Number(row.count)),
        column!("first_time", Always, |row| Time(row.first_time)),
        column!("last_time", Always, |row| Time(row.last_time)),
        column!("duration_us", Always, |row| Number(row.duration_us())),
        column!("first_event", Always, |row| Text(row.first_event)),
        column!("last_event", Always, |row| Text(row.last_event)),
        column!("reason", Always, |row| Name(row.reason.name())),
        column!(REVISION, WithRevisions, |row| Number(row.revision.into())),
        column!(SUPERSEDES, WithRevisions, |row| Ids(row.supersedes)),
    ]
};

/// The key fields under names that no column of [`FILES`] has, nor any of `more`.
pub fn files_columns(columns: Columns, more: &[String]) -> Columns {
    beside(columns, |name| FILES.iter().any(|column| column.name == name) || more.iter().any(|other| other == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_field_with_the_name_of_another_column_gets_a_prefix() {
        let declared = |names: &[&str]| Columns::declared(names).unwrap();
        assert_eq!(session_columns(declared(&["events:int", "user_id"])).key, ["key_events", "user_id"]);
        assert_eq!(files_columns(declared(&["count", "key_count"]), &[]).key, ["key_key_count", "key_count"]);
        assert_eq!(files_columns(declared(&["events", "sum_x"]), &["sum_x".to_owned()]).key, ["events", "key_sum_x"]);
    }

    #[test]
    fn json_has_revision_and_supersedes_of_corrections_only() {
        let row = SessionRow {
            id: "id".to_owned(),
            key: vec![7.into(), "d".into()],
            timeagg: Timestamp::EPOCH,
            events: 3,
            begin_navigation: "a".to_owned(),
            end_navigation: "b".to_owned(),
            begin: Timestamp::EPOCH,
            end: Timestamp::from_millis(2_900),
            reason: "gap".to_owned(),
            revision: 0,
            supersedes: Vec::new(),
        };
        let columns = Columns::declared(&["user_id:int", "device_id"]).unwrap();
        let mut expected = serde_json::json!({
            "session_id": "id", "user_id": 7, "device_id": "d", "timeagg": "1970-01-01T00:00:00.000000Z", "events": 3,
            "beginnavigation": "a", "endnavigation": "b", "beginsession": "1970-01-01T00:00:00.000000Z",
            "endsession": "1970-01-01T00:00:02.900000Z", "duration_sec": 2, "reason": "gap",
        });
        assert_eq!(Value::Object(row.json(&columns)), expected);
        let correction = SessionRow { revision: 1, supersedes: vec!["old".to_owned()], ..row };
        expected["revision"] = 1.into();
        expected["supersedes"] = serde_json::json!(["old"]);
        assert_eq!(Value::Object(correction.json(&columns)), expected);
    }
}
