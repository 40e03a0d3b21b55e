//! Sessions as Parquet, in a folder for each hour: `OUTPUT/YYYY/MM/DD/HH/sessions-00001.parquet`.
//!
//! All of it appears at once, when everything is written. Until then it grows in a folder beside it
//! whose name begins with a dot, which other programs pass over: nobody takes a part for the whole.

use std::collections::BTreeMap;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use events::columns::Columns;
use events::failure::{Failure, Outcome, plain};
use program::growing::{self, Growing};
use rows::SessionRow;
use rows::columns::session_columns_beside;
use rows::hours::{folder_of, hour_of};
use rows::lines::{More, MoreKind};
use rows::parquet::Rows;
use stagger::{SessionId, Timestamp};

use crate::facts::Kept;
use crate::text::Summary;

/// The number of bytes at which waiting rows become files. Sessions close in order of time, so
/// that most hours are complete by then.
const ENOUGH: usize = 64 << 20;

pub(crate) struct Folders {
    output: PathBuf,
    /// Makes files of earlier rows, at the same time. Ends before the folder goes.
    making: Making,
    growing: Growing,
    columns: Columns,
    more: Vec<(String, MoreKind)>,
    /// Waiting rows, by hour.
    waiting: BTreeMap<Timestamp, Rows>,
    bytes: usize,
    files: u32,
}

/// A thread that makes files.
#[derive(Default)]
struct Making(Option<JoinHandle<Result<(), String>>>);

impl Making {
    /// Waits for its end.
    fn end(&mut self) -> Result<(), String> {
        self.0.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = self.0.take().map(JoinHandle::join);
    }
}

impl Folders {
    /// Begins a table in a folder that is new or empty.
    pub(crate) fn create(output: &Path, columns: Columns, more: Vec<(String, MoreKind)>) -> Outcome<Self> {
        let shown = output.display();
        if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) || output.is_file() {
            return Err(Failure::usage(format_args!(
                "{shown} is there already, and two runs in one folder would count twice: name a new one, or remove it"
            )));
        }
        if output.file_name().is_none() {
            return Err(Failure::usage(format_args!("{shown} is no name: name a new folder")));
        }
        let growing = Growing::folder(output).map_err(|error| Failure::file("write", output, &error))?;
        let names: Vec<String> = more.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self {
            output: output.to_owned(),
            growing,
            columns: session_columns_beside(columns, &names),
            more,
            waiting: BTreeMap::new(),
            bytes: 0,
            files: 0,
            making: Making::default(),
        })
    }

    pub(crate) fn write<O: Kept>(&mut self, session: &Summary<O>, id: SessionId, more: &[More]) -> Outcome<()> {
        let rows = self.waiting.entry(hour_of(session.first_time));
        let rows = rows.or_insert_with(|| Rows::with_more(self.columns.clone(), &self.more));
        let key = (session.key.as_str(), &self.columns.kinds[..]);
        let values = [&session.first_event, &session.last_event].map(|event| event.0.as_str().to_owned());
        let row = SessionRow::of(session, id, key, values.into());
        self.bytes += rows.push_with(&row, more).map_err(Failure::usage)?;
        if self.bytes >= ENOUGH { self.write_files() } else { Ok(()) }
    }

    /// Makes files of all rows that wait, once those before them are made.
    fn write_files(&mut self) -> Outcome<()> {
        self.wait()?;
        self.bytes = 0;
        let folder = self.growing.path().to_owned();
        let first = self.files + 1;
        let rows = std::mem::take(&mut self.waiting);
        self.files += rows.len() as u32;
        let thread = thread::Builder::new().name("parquet".to_owned());
        let making = thread.spawn(move || {
            let mut numbered = (first..).zip(rows);
            numbered.try_for_each(|(number, (hour, rows))| write(&folder.join(folder_of(hour)), number, rows))
        });
        self.making.0 = Some(making.map_err(|error| Failure::file("write", &self.output, &error))?);
        Ok(())
    }

    /// Waits for the files that are being made.
    fn wait(&mut self) -> Outcome<()> {
        let output = self.output.display();
        self.making.end().map_err(|error| Failure::usage(format_args!("cannot write {output}: {error}")))
    }

    /// Completes the folder, which is to be placed.
    pub(crate) fn finish(mut self) -> Outcome<Growing> {
        self.write_files()?;
        self.wait()?;
        Ok(self.growing)
    }
}

/// Makes a file in the folder of its hour.
fn write(folder: &Path, number: u32, rows: Rows) -> Result<(), String> {
    let bytes = rows.file()?;
    let file = folder.join(format!("sessions-{number:05}.parquet"));
    let written = growing::undisturbed(|| fs::create_dir_all(folder).and_then(|()| fs::write(file, bytes)));
    written.map_err(|error| plain(&error))
}
