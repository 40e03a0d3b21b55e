//! A session on its way to where it is written. Its columns are those of [`rows`].

use std::time::Duration;

use events::columns::Columns;
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

    /// In whole seconds, cut off. The article's `TSDIFF(…)/1000` cuts the times to milliseconds before.
    pub(crate) fn duration_sec(&self) -> u64 {
        self.duration().as_secs()
    }
}

/// Rows as JSON, their columns in the article's order.
pub(crate) trait Json {
    /// The row as an object.
    fn json(&self, session: &Session) -> Map<String, Value>;

    /// The same as a line.
    fn line(&self, session: &Session) -> Vec<u8> {
        let mut line = Value::Object(self.json(session)).to_string().into_bytes();
        line.push(b'\n');
        line
    }
}

impl Json for Columns {
    fn json(&self, session: &Session) -> Map<String, Value> {
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
}
