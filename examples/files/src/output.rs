//! The rows: one for each session, as CSV, as JSON lines or as the article's SQL wrote them.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use events::failure::{Failure, Outcome};
use events::parse::keys;
use program::growing::Growing;
use program::stdout;
use rows::cells::Cells;
use rows::columns::ClosedSession;
use rows::lines::{Lines, More};
use stagger::{SessionId, Timestamp, kinesis_sql_id};

use crate::facts::Kept;
use crate::text::Summary;

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

/// How many bytes are written at once.
const BLOCK: usize = 1 << 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Jsonl,
    KinesisSql,
}

/// Where rows go.
pub(crate) enum Output {
    Stdout,
    File(Growing),
}

impl Output {
    /// `-`, or nothing, is standard output.
    pub(crate) fn create(path: Option<&Path>) -> Outcome<Self> {
        match path {
            Some(path) if path != Path::new("-") => {
                Ok(Self::File(Growing::file(path).map_err(|error| Failure::file("write", path, &error))?))
            }
            _ => stdout::check().map(|()| Self::Stdout),
        }
    }

    /// The failure to write it.
    fn failed(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stdout => Failure::writing(error),
            Self::File(file) => Failure::file("write", file.name(), error),
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout) && io::stdout().is_terminal()
    }
}

pub(crate) struct Rows {
    to: Output,
    form: Form,
    lines: Lines,
    /// Rows that have not been written yet.
    cells: Cells,
}

impl Rows {
    /// Begins the output.
    pub(crate) fn new(to: Output, form: Form, lines: Lines) -> Self {
        let mut cells = Cells::default();
        match form {
            Form::Csv => lines.csv_header(&mut cells),
            Form::KinesisSql => {
                KINESIS_COLUMNS.iter().for_each(|column| cells.text(column));
                cells.end_row();
            }
            Form::Jsonl => {}
        }
        Self { to, form, lines, cells }
    }

    /// Writes the row of one session, with the cells of the further columns.
    pub(crate) fn write<O: Kept>(&mut self, session: &Summary<O>, id: SessionId, more: &[More]) -> Outcome<()> {
        let values = (session.first_event.0.as_str(), session.last_event.0.as_str());
        let row = ClosedSession::of(session, id, session.key.as_str(), values);
        match self.form {
            Form::Csv => self.lines.csv(&row, more, &mut self.cells),
            Form::Jsonl => {
                let written = self.lines.json(&row, more, &mut self.cells.bytes);
                written.map_err(|error| Failure::writing(&error))?;
            }
            Form::KinesisSql => self.write_kinesis_sql(&row),
        }
        if self.cells.bytes.len() >= BLOCK { self.empty() } else { Ok(()) }
    }

    fn empty(&mut self) -> Outcome<()> {
        let written = match &mut self.to {
            Output::Stdout => write_out(&self.cells.bytes),
            Output::File(file) => file.write_all(&self.cells.bytes),
        };
        self.cells.bytes.clear();
        written.map_err(|error| self.to.failed(&error))
    }

    /// Writes waiting rows, if others see the output.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        match &self.to {
            Output::File(file) if !file.is_direct() => Ok(()),
            _ => self.empty(),
        }
    }

    /// Writes the last rows. The file, if there is one, is to be placed.
    pub(crate) fn finish(mut self) -> Outcome<Option<Growing>> {
        self.empty()?;
        Ok(match self.to {
            Output::Stdout => None,
            Output::File(file) => Some(file),
        })
    }

    /// Times are printed as Kinesis SQL casts a TIMESTAMP to VARCHAR; begin and end keep, as in the
    /// article, minutes and seconds.
    fn write_kinesis_sql(&mut self, session: &ClosedSession<'_>) {
        let cells = &mut self.cells;
        let mut key = keys::split(session.key, 2);
        let (user, device) = (key.next().unwrap_or_default(), key.next().unwrap_or_default());
        let bucket = session.bucket.unwrap_or(session.window.start);
        cells.text(kinesis_sql_id(&user, &device, bucket));
        cells.text(user.as_bytes());
        cells.text(device.as_bytes());
        cells.text(sql_timestamp(bucket));
        cells.number(session.count);
        cells.text(session.first_event);
        cells.text(session.last_event);
        for time in [session.first_time, session.last_time] {
            cells.text(substring(&sql_timestamp(time), 15, 19));
        }
        let millis = |time: Timestamp| time.as_micros().div_euclid(1_000);
        cells.number((millis(session.last_time) - millis(session.first_time)) / 1_000);
        cells.end_row();
    }
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// `2018-11-29 23:35:10.123`, cut to milliseconds.
fn sql_timestamp(time: Timestamp) -> String {
    let iso = time.to_string();
    iso[..iso.len() - "456Z".len()].replace('T', " ")
}

/// SQL's SUBSTRING: from a position that counts from 1, up to a number of characters.
fn substring(text: &str, from: usize, length: usize) -> &str {
    let rest = text.get(from - 1..).unwrap_or_default();
    rest.get(..length).unwrap_or(rest)
}
