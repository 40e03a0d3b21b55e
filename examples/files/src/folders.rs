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
use rows::SessionRow;
use rows::columns::check_names;
use rows::hours::{folder_of, hour_of};
use rows::parquet::Rows;
use stagger::{SessionId, Timestamp};
use tempfile::TempDir;

use crate::side::Members;
use crate::text::Summary;

/// Rows that wait become files when they make up so many bytes. Sessions close in order of time, so
/// that most hours are complete by then.
const ENOUGH: usize = 64 << 20;

pub(crate) struct Folders {
    output: PathBuf,
    /// Where it grows.
    growing: TempDir,
    columns: Columns,
    /// What waits, by hour.
    waiting: BTreeMap<Timestamp, Rows>,
    bytes: usize,
    files: u32,
    /// Makes files of what waited before, at the same time.
    making: Option<JoinHandle<Result<(), String>>>,
}

impl Folders {
    /// Begins a table in a folder that is new or empty.
    pub(crate) fn create(output: &Path, columns: Columns) -> Outcome<Self> {
        check_names(&columns).map_err(Failure::usage)?;
        let shown = output.display();
        if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) || output.is_file() {
            return Err(Failure::usage(format_args!(
                "{shown} is there already, and two runs in one folder would count twice: name a new one, or remove it"
            )));
        }
        let name =
            output.file_name().ok_or_else(|| Failure::usage(format_args!("{shown} is no name: name a new folder")))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".");
        let beside = output.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let growing =
            fs::create_dir_all(beside).and_then(|()| tempfile::Builder::new().prefix(&hidden).tempdir_in(beside));
        let growing = growing.map_err(|error| Failure::file("write", output, &error))?;
        Ok(Self {
            output: output.to_owned(),
            growing,
            columns,
            waiting: BTreeMap::new(),
            bytes: 0,
            files: 0,
            making: None,
        })
    }

    pub(crate) fn write<O: Members>(&mut self, session: &Summary<O>, id: SessionId) -> Outcome<()> {
        let rows = self.waiting.entry(hour_of(session.first_time));
        let rows = rows.or_insert_with(|| Rows::new(self.columns.clone()));
        let key = (session.key.as_str(), &self.columns.kinds[..]);
        let values = [&session.first_event, &session.last_event].map(|event| event.0.as_str().to_owned());
        self.bytes += rows.push(&SessionRow::of(session, id, key, values.into())).map_err(Failure::usage)?;
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
        self.making = Some(making.map_err(|error| Failure::file("write", &self.output, &error))?);
        Ok(())
    }

    /// Waits for the files that are being made.
    fn wait(&mut self) -> Outcome<()> {
        let made = self.making.take().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let output = self.output.display();
        made.unwrap_or(Ok(())).map_err(|error| Failure::usage(format_args!("cannot write {output}: {error}")))
    }

    /// Puts everything in its place.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        self.write_files()?;
        self.wait()?;
        let cleared = if self.output.exists() { fs::remove_dir(&self.output) } else { Ok(()) }; // it was empty
        let placed = cleared.and_then(|()| fs::rename(self.growing.path(), &self.output));
        placed.map_err(|error| Failure::file("write", &self.output, &error))?;
        self.growing.disable_cleanup(true); // it has another name now
        Ok(())
    }
}

/// Nothing may be written any more into a folder that goes.
impl Drop for Folders {
    fn drop(&mut self) {
        let _ = self.making.take().map(JoinHandle::join);
    }
}

/// Makes a file in the folder of its hour.
fn write(folder: &Path, number: u32, rows: Rows) -> Result<(), String> {
    let bytes = rows.file()?;
    let file = folder.join(format!("sessions-{number:05}.parquet"));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, bytes));
    written.map_err(|error| plain(&error))
}
