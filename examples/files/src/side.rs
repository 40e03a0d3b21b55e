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

use crate::early::EarlyEvent;
use crate::facts::{Kept, Member};
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

    /// Writes waiting rows, if others see the output.
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
        let revision = self.revisions.then(|| session.revision());
        let mut members = session.aggregate.members().iter();
        members.try_for_each(|member| self.write_event(member, session.key.as_str(), session_id, revision))
    }

    /// Writes an event of a session that is open.
    pub(crate) fn write_early(&mut self, event: &EarlyEvent) -> Outcome<()> {
        self.write_event(&event.member, event.key.as_str(), event.session_id, None)
    }

    fn write_event(&mut self, event: &Member, key: &str, session_id: SessionId, revision: Option<u32>) -> Outcome<()> {
        self.file.write(&EventRow {
            session_id,
            revision,
            input: &self.inputs[event.place.input as usize],
            line: event.place.line,
            key: KeyFields { columns: &self.columns, key },
            time: Time(event.time),
            value: event.value.as_str(),
        })
    }
}
