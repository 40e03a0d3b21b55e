//! A session as it is written: the columns of the article's `DESTINATION_SQL_STREAM`, and what tells
//! a row apart from others.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stagger::Timestamp;

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The same whenever the same events are read again: what makes a repeated row recognisable.
    pub(crate) id: String,
    /// The values of the key fields, in the order of [`Columns::key`].
    pub(crate) key: Vec<Value>,
    /// The rounded time, or where the window begins.
    pub(crate) timeagg: Timestamp,
    pub(crate) events: u64,
    pub(crate) begin_navigation: String,
    pub(crate) end_navigation: String,
    /// Time of the first event.
    pub(crate) begin: Timestamp,
    /// Time of the last event.
    pub(crate) end: Timestamp,
    /// Why it closed, as `stagger::CloseReason` names it.
    pub(crate) reason: String,
    /// 0, and more for a corrected row, which takes the place of `supersedes`.
    pub(crate) revision: u32,
    pub(crate) supersedes: Vec<String>,
}

impl Session {
    /// From the first event to the last.
    pub(crate) fn duration(&self) -> Duration {
        self.end.since(self.begin)
    }

    /// In whole seconds, cut off as the article's `TSDIFF(…)/1000` does.
    pub(crate) fn duration_sec(&self) -> u64 {
        self.duration().as_secs()
    }
}

/// The columns of all rows of a run.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// Names of the key fields.
    pub(crate) key: Vec<String>,
    /// The types of their columns, where columns have types. Those that are missing are texts.
    pub(crate) kinds: Vec<KeyKind>,
}

/// The type of a key column. It is declared, not found in the data, so that all files of a table agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Numbers are written as their digits.
    #[default]
    Text,
    /// Signed, 64 bits.
    Integer,
}

/// Columns that are no key fields.
const OTHERS: [&str; 11] = [
    "session_id",
    "timeagg",
    "events",
    "beginnavigation",
    "endnavigation",
    "beginsession",
    "endsession",
    "duration_sec",
    "reason",
    "revision",
    "supersedes",
];

impl Columns {
    /// Reads key fields as they are given on the command line: `user_id:int`, `device_id`.
    pub(crate) fn declared<S: AsRef<str>>(fields: &[S]) -> Result<Self, String> {
        let mut columns = Self { key: Vec::new(), kinds: Vec::new() };
        for field in fields {
            let (name, kind) = declared(field.as_ref())?;
            if OTHERS.contains(&name) {
                return Err(format!("`{name}` is a column of every row: give the key field another name"));
            }
            if columns.key.iter().any(|known| known == name) {
                return Err(format!("the key field `{name}` is given twice: leave one out"));
            }
            columns.key.push(name.to_owned());
            columns.kinds.push(kind);
        }
        Ok(columns)
    }

    /// The type of a key column.
    pub(crate) fn kind(&self, index: usize) -> KeyKind {
        self.kinds.get(index).copied().unwrap_or_default()
    }

    /// The row as a JSON object, its columns in the article's order.
    pub(crate) fn json(&self, session: &Session) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("session_id".to_owned(), session.id.clone().into());
        for (name, value) in self.key.iter().zip(&session.key) {
            row.insert(name.clone(), value.clone());
        }
        let text = |time: Timestamp| Value::String(time.to_string());
        row.insert("timeagg".to_owned(), text(session.timeagg));
        row.insert("events".to_owned(), session.events.into());
        row.insert("beginnavigation".to_owned(), session.begin_navigation.clone().into());
        row.insert("endnavigation".to_owned(), session.end_navigation.clone().into());
        row.insert("beginsession".to_owned(), text(session.begin));
        row.insert("endsession".to_owned(), text(session.end));
        row.insert("duration_sec".to_owned(), session.duration_sec().into());
        row.insert("reason".to_owned(), session.reason.clone().into());
        if session.revision > 0 {
            row.insert("revision".to_owned(), session.revision.into());
            row.insert("supersedes".to_owned(), session.supersedes.clone().into());
        }
        row
    }

    /// The same as a line.
    pub(crate) fn line(&self, session: &Session) -> Vec<u8> {
        let mut line = Value::Object(self.json(session)).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

fn declared(field: &str) -> Result<(&str, KeyKind), String> {
    let (name, kind) = match field.rsplit_once(':') {
        None => (field, KeyKind::Text),
        Some((name, "int")) => (name, KeyKind::Integer),
        Some((name, "text")) => (name, KeyKind::Text),
        Some((_, other)) => {
            return Err(format!("`{field}` has an unknown type `{other}`: write int or text after the colon"));
        }
    };
    if name.is_empty() {
        return Err(format!("`{field}` names no field: write its name, or name:int"));
    }
    Ok((name, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_fields_may_have_types() {
        let columns = Columns::declared(&["user_id:int", "device_id", "a:b:text"]).unwrap();
        assert_eq!(columns.key, ["user_id", "device_id", "a:b"]);
        assert_eq!(columns.kinds, [KeyKind::Integer, KeyKind::Text, KeyKind::Text]);
        assert_eq!(columns.kind(3), KeyKind::Text);
        let reason = |fields: &[&str]| Columns::declared(fields).unwrap_err();
        assert_eq!(reason(&["a:bool"]), "`a:bool` has an unknown type `bool`: write int or text after the colon");
        assert_eq!(reason(&[":int"]), "`:int` names no field: write its name, or name:int");
        assert_eq!(reason(&["a", "a:int"]), "the key field `a` is given twice: leave one out");
        assert_eq!(reason(&["events"]), "`events` is a column of every row: give the key field another name");
    }
}
