//! The files beside the rows, all of them JSON lines: events with their sessions, rejects, late.

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use events::columns::Columns;
use events::failure::{Failure, Outcome};
use program::growing::Growing;
use rows::key::KeyFields;
use rows::lines::Time;
use serde::Serialize;
use stagger::SessionId;

use crate::facts::Kept;
use crate::text::Summary;

/// A file of JSON lines.
pub(crate) struct JsonLines {
    path: PathBuf,
    to: BufWriter<Growing>,
}

impl JsonLines {
    pub(crate) fn create(path: &Path) -> Outcome<Self> {
        let file = Growing::file(path).map_err(|error| Failure::file("write", path, &error))?;
        Ok(Self { path: path.to_owned(), to: BufWriter::with_capacity(1 << 18, file) })
    }

    pub(crate) fn write(&mut self, row: &impl Serialize) -> Outcome<()> {
        let written = serde_json::to_writer(&mut self.to, row).map_err(Into::into);
        let written = written.and_then(|()| self.to.write_all(b"\n"));
        written.map_err(|error| Failure::file("write", &self.path, &error))
    }

    /// Writes what waits, if others see it.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        let flushed = if self.to.get_ref().is_direct() { self.to.flush() } else { Ok(()) };
        flushed.map_err(|error| Failure::file("write", &self.path, &error))
    }

    /// Writes the last of it. The file is to be placed.
    pub(crate) fn finish(self) -> Outcome<Growing> {
        let Self { path, to } = self;
        to.into_inner().map_err(|error| Failure::file("write", &path, error.error()))
    }
}

/// A line that cannot be used.
#[derive(Serialize)]
pub(crate) struct RejectRow<'a> {
    pub(crate) input: &'a str,
    pub(crate) line: u64,
    pub(crate) reason: String,
    /// The line itself; bytes that are not UTF-8 are replaced.
    pub(crate) text: Cow<'a, str>,
}

/// An event that was handed back.
#[derive(Serialize)]
pub(crate) struct LateRow<'a> {
    pub(crate) input: &'a str,
    pub(crate) line: u64,
    pub(crate) reason: String,
    pub(crate) key: KeyFields<'a>,
    pub(crate) time: Time,
    pub(crate) value: &'a str,
}

/// An event with the id of its session.
#[derive(Serialize)]
struct EventRow<'a> {
    session_id: SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
    input: &'a str,
    line: u64,
    key: KeyFields<'a>,
    time: Time,
    value: &'a str,
}

/// The file of `--events`.
pub(crate) struct EventsFile {
    pub(crate) file: JsonLines,
    pub(crate) inputs: Vec<String>,
    pub(crate) columns: Columns,
    pub(crate) revisions: bool,
}

impl EventsFile {
    /// Writes the events of a session that closes, in order of time. Updates of one that is open have no final id yet.
    pub(crate) fn write<O: Kept>(&mut self, session: &Summary<O>, session_id: SessionId) -> Outcome<()> {
        if session.is_update() {
            return Ok(());
        }
        for member in session.aggregate.members() {
            self.file.write(&EventRow {
                session_id,
                revision: self.revisions.then(|| session.revision()),
                input: &self.inputs[member.place.input as usize],
                line: member.place.line,
                key: KeyFields { columns: &self.columns, key: session.key.as_str() },
                time: Time(member.time),
                value: member.value.as_str(),
            })?;
        }
        Ok(())
    }
}
