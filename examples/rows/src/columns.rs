//! A session as a row, and the columns of a table of sessions: the one place to add a column.
//!
//! `kinesis` writes these columns as JSON and as Parquet, `files` as Parquet; `query` and `picture` read them. To
//! add one, put a line into [`SESSION`] and, if [`SessionRow`] does not hold the value yet, a field into that and
//! into [`SessionRow::of`]. Tables of AWS Glue have the column in `kinesis/deploy/template.yaml` too.

use std::time::Duration;

use events::columns::{Columns, KeyKind};
use events::parse::keys;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stagger::{SessionId, SessionSummary, Timestamp};

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

/// Refuses a key field that has the name of another column of the rows.
pub fn check_names(columns: &Columns) -> Result<(), String> {
    match columns.key.iter().find(|name| named(name).is_some()) {
        Some(name) => Err(format!("`{name}` is a column of every row: give the key field another name")),
        None => Ok(()),
    }
}

impl SessionRow {
    /// The row of a session with this id, its key as one text (see [`keys`]), and its first and last value.
    pub fn of<K, V, O>(
        session: &SessionSummary<K, V, O>,
        id: SessionId,
        (key, kinds): (&str, &[KeyKind]),
        (first, last): (String, String),
    ) -> Self {
        Self {
            id: id.to_string(),
            key: keys::split(key, kinds.len()).zip(kinds).map(|(text, kind)| key_value(&text, *kind)).collect(),
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

/// A key field as it stands in a row.
fn key_value(text: &str, kind: KeyKind) -> Value {
    match (kind, text.parse::<i64>()) {
        (KeyKind::Integer, Ok(number)) => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_field_with_the_name_of_another_column_is_refused() {
        let taken = check_names(&Columns::declared(&["events:int"]).unwrap());
        assert_eq!(taken.unwrap_err(), "`events` is a column of every row: give the key field another name");
        assert_eq!(check_names(&Columns::declared(&["user_id:int"]).unwrap()), Ok(()));
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
