//! Rows of the columns [`FILES`] as CSV and as JSON lines.

use std::io;

use events::columns::Columns;
use events::parse::keys;
use serde::ser::{Serialize, SerializeMap, Serializer};
use stagger::{Superseded, Timestamp};

use crate::cells::Cells;
use crate::columns::{ClosedSession, FILES, FilesCell, FilesColumn, Written};
use crate::key::KeyFields;

/// Writes rows. It knows the key fields, and whether sessions may be corrected.
#[derive(Clone, Debug)]
pub struct Lines {
    columns: Columns,
    has_revisions: bool,
    more: Vec<String>,
    /// The columns of CSV behind the key fields.
    in_csv: Vec<&'static FilesColumn>,
}

/// The type of a further column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoreKind {
    Number,
    Count,
    Texts,
}

/// The cell of a further column.
#[derive(Clone, Debug, PartialEq)]
pub enum More {
    Null,
    /// As JSON has numbers.
    Number(String),
    Count(u64),
    /// A list; in CSV a JSON array too, since a value may have any character.
    Texts(Vec<String>),
}

impl Lines {
    /// `more` are the names of further columns, which stand last.
    #[must_use]
    pub fn new(columns: Columns, has_revisions: bool, more: Vec<String>) -> Self {
        let mut lines = Self { columns, has_revisions, more, in_csv: Vec::new() };
        let is_in_csv = |column: &&FilesColumn| column.written != Written::InJson && lines.is_in_json(column);
        lines.in_csv = FILES[1..].iter().filter(is_in_csv).collect();
        lines
    }

    /// The names of the columns, as the first line of CSV.
    pub fn csv_header(&self, cells: &mut Cells) {
        cells.text(FILES[0].name);
        self.columns.key.iter().for_each(|name| cells.text(name));
        self.in_csv.iter().for_each(|column| cells.text(column.name));
        self.more.iter().for_each(|name| cells.text(name));
        cells.end_row();
    }

    /// A row, with the cells of the further columns.
    pub fn csv(&self, session: &ClosedSession<'_>, more: &[More], cells: &mut Cells) {
        (FILES[0].put)(session, cells);
        for field in keys::split(session.key, self.columns.key.len()) {
            cells.text(field.as_bytes());
        }
        for column in &self.in_csv {
            (column.put)(session, cells);
        }
        more.iter().for_each(|cell| put_more(cells, cell));
        cells.end_row();
    }

    /// The same as a line of JSON.
    pub fn json(&self, session: &ClosedSession<'_>, more: &[More], bytes: &mut Vec<u8>) -> io::Result<()> {
        serde_json::to_writer(&mut *bytes, &JsonRow { lines: self, session, more })?;
        bytes.push(b'\n');
        Ok(())
    }

    fn is_in_json(&self, column: &FilesColumn) -> bool {
        column.written != Written::WithRevisions || self.has_revisions
    }
}

fn put_more(cells: &mut Cells, cell: &More) {
    match cell {
        More::Null => cells.text(""),
        More::Number(number) => cells.text(number),
        More::Count(count) => cells.number(*count),
        More::Texts(texts) => cells.text(serde_json::to_string(texts).unwrap_or_default()), // texts are always JSON
    }
}

impl Serialize for More {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Number(number) => {
                let raw = serde_json::value::RawValue::from_string(number.clone());
                raw.map_err(serde::ser::Error::custom)?.serialize(serializer)
            }
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Texts(texts) => texts.serialize(serializer),
        }
    }
}

pub(crate) fn texts(ids: &[Superseded]) -> Vec<String> {
    ids.iter().map(|earlier| earlier.id.to_string()).collect()
}

/// A session as a JSON object.
struct JsonRow<'a> {
    lines: &'a Lines,
    session: &'a ClosedSession<'a>,
    more: &'a [More],
}

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { lines, session, more } = *self;
        let [first, others @ ..] = &FILES;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(first.name, &(first.cell)(session))?;
        for (name, field) in (KeyFields { columns: &lines.columns, key: session.key }).iter() {
            map.serialize_entry(name, &field)?;
        }
        for column in others.iter().filter(|column| lines.is_in_json(column)) {
            map.serialize_entry(column.name, &(column.cell)(session))?;
        }
        for (name, cell) in lines.more.iter().zip(more) {
            map.serialize_entry(name, cell)?;
        }
        map.end()
    }
}

impl Serialize for FilesCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(serializer),
            Self::Text(text) | Self::Name(text) => serializer.serialize_str(text),
            Self::Time(time) => Time(*time).serialize(serializer),
            Self::TimeOrNull(time) => time.map(Time).serialize(serializer),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Ids(ids) => texts(ids).serialize(serializer),
        }
    }
}

/// A time as in the rows: text.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use stagger::{CloseReason, Window};

    use super::*;

    /// The header, the CSV row and the JSON line of a session, as names and as texts.
    fn written(has_revisions: bool) -> (Vec<String>, Vec<String>, Vec<String>) {
        let lines = Lines::new(Columns::declared(&["user:int"]).unwrap(), has_revisions, vec!["sum_x".to_owned()]);
        let window = Window::new(Timestamp::EPOCH, Timestamp::from_secs(60));
        let session = ClosedSession {
            id: format!("{:032x}", 7).parse().unwrap(),
            key: "7",
            window,
            bucket: None,
            part: 1,
            count: 2,
            first_time: window.start,
            last_time: window.end,
            first_event: "a",
            last_event: "b",
            reason: CloseReason::Gap,
            revision: 0,
            supersedes: &[],
        };
        let mut csv = Cells::default();
        lines.csv_header(&mut csv);
        let more = [More::Number("1.5".to_owned())];
        lines.csv(&session, &more, &mut csv);
        let csv = String::from_utf8(csv.bytes).unwrap();
        let mut rows = csv.lines().map(|line| line.split(',').map(str::to_owned).collect());
        let mut json = Vec::new();
        lines.json(&session, &more, &mut json).unwrap();
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["user"], 7, "declared as an integer");
        assert_eq!(json["sum_x"], 1.5);
        (rows.next().unwrap(), rows.next().unwrap(), json.keys().cloned().collect())
    }

    /// The names of the columns that are written so, the key field behind the first.
    fn expected(is_written: impl Fn(Written) -> bool) -> Vec<String> {
        let mut names: Vec<_> =
            FILES.iter().filter(|column| is_written(column.written)).map(|column| column.name.to_owned()).collect();
        names.insert(1, "user".to_owned());
        names.push("sum_x".to_owned());
        names
    }

    #[test]
    fn every_column_is_written_where_it_belongs() {
        for has_revisions in [false, true] {
            let (header, row, json) = written(has_revisions);
            let is_there = |written| written != Written::WithRevisions || has_revisions;
            assert_eq!(header, expected(|written| is_there(written) && written != Written::InJson));
            assert_eq!(row.len(), header.len());
            assert_eq!(json, expected(is_there));
        }
    }
}
