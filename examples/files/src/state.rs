//! The file of `--state`, which a run leaves for the next one.
//!
//! It is written last, after the rows have their names. So a run that is killed anywhere, and started again with
//! the same command, leaves the same rows as one that was not.
//!
//! It is an object of JSON, and on a line of its own the checksum of that text.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use events::failure::{Failure, Outcome};
use program::growing::Growing;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stagger::{RestoreError, Snapshot, Timestamp};

use crate::options::Options;
use crate::resume::{self, Known};
use crate::text::Text;
use crate::visits::Visits;

const VERSION: u32 = 2;

/// `V` and `S` are what sessions keep.
#[derive(Serialize, Deserialize)]
pub(crate) struct State<V, S> {
    version: u32,
    /// Settings that must be the same in every run.
    options: Vec<(String, String)>,
    pub(crate) inputs: Vec<Known>,
    pub(crate) greatest: Option<Timestamp>,
    pub(crate) present: Option<Timestamp>,
    pub(crate) visits: Option<Visits>,
    pub(crate) snapshot: Snapshot<Text, V, S>,
    /// Of the whole file as it was read; none if there was no file.
    #[serde(skip)]
    read_from: Option<u64>,
}

/// The beginning of a state, which tells whether the rest can be read.
#[derive(Deserialize)]
struct Header {
    version: u32,
    options: Vec<(String, String)>,
}

impl<V: Serialize + DeserializeOwned, S: Serialize + DeserializeOwned> State<V, S> {
    /// A state that begins with these sessions.
    pub(crate) fn new(options: &Options, snapshot: Snapshot<Text, V, S>) -> Self {
        let options = options.echo();
        let (inputs, greatest, present, visits) = (Vec::new(), None, None, None);
        Self { version: VERSION, options, inputs, greatest, present, visits, snapshot, read_from: None }
    }

    /// Reads the state of an earlier run, if there was one.
    pub(crate) fn read(path: &Path, options: &Options) -> Outcome<Option<Self>> {
        let Some(bytes) = content(path)? else { return Ok(None) };
        let shown = path.display();
        let no_state = |error: &dyn std::fmt::Display| {
            Failure::usage(format_args!("{shown} is no state of a run like this: {error}"))
        };
        if bytes.is_empty() {
            return Err(Failure::usage(format_args!("{shown} is empty: remove it to begin with a new state")));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| no_state(&error))?;
        let (json, checksum) = text.trim_end().rsplit_once('\n').unwrap_or((text, ""));
        let header: Header = serde_json::from_str(json).map_err(|error| no_state(&error))?;
        if header.version != VERSION {
            let found = header.version;
            return Err(Failure::usage(format_args!("{shown} has version {found}, but this program reads {VERSION}")));
        }
        if checksum != checksum_of(json) {
            return Err(Failure::usage(format_args!(
                "{shown} is damaged, its checksum does not fit: put a copy in its place, or begin with a new --state"
            )));
        }
        let current = options.echo();
        if let Some(((name, then), (_, now))) = header.options.iter().zip(&current).find(|(then, now)| then != now) {
            return Err(differs(path, name, then, now));
        }
        let state: Self = serde_json::from_str(json).map_err(|error| no_state(&error))?;
        Ok(Some(Self { read_from: Some(resume::hash(&bytes)), ..state }))
    }

    /// Writes the state, which is to be placed after everything else. Fails if another run has written one since this
    /// one began: its events would be lost.
    pub(crate) fn write(&self, path: &Path) -> Outcome<Growing> {
        if content(path)?.map(|bytes| resume::hash(&bytes)) != self.read_from {
            return Err(Failure::usage(format_args!(
                "another run has written {} since this one began, so nothing is written: start this one again",
                path.display()
            )));
        }
        let failed = |error: std::io::Error| Failure::file("write", path, &error);
        let json = serde_json::to_string(self).map_err(|error| failed(error.into()))?;
        let mut file = Growing::file(path).map_err(failed)?;
        writeln!(file, "{json}\n{}", checksum_of(&json)).map_err(failed)?;
        file.sync().map_err(|(_, error)| failed(error))?;
        Ok(file)
    }
}

/// Fails if a state cannot be written here, while nothing else has been written.
pub(crate) fn check(path: &Path) -> Outcome<()> {
    Growing::file(path).map(drop).map_err(|error| Failure::file("write", path, &error))
}

/// How long another run may take to give its files their names: they are written before.
const OTHERS: Duration = Duration::from_secs(60);

/// Keeps other runs from writing a state in the same folder, as long as it lives: each sees whether another was first.
/// None where the file system has no locks.
pub(crate) fn lock(path: &Path) -> Outcome<Option<File>> {
    lock_within(OTHERS, path)
}

fn lock_within(patience: Duration, path: &Path) -> Outcome<Option<File>> {
    let place = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let Ok(folder) = File::open(place) else { return Ok(None) };
    let began = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if began.elapsed() < patience => thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::usage(format_args!(
                    "another run has kept the folder {} locked for {} s, so nothing is written: start this one again when \
                     that one has ended",
                    place.display(),
                    patience.as_secs()
                )));
            }
        }
    }
}

/// The bytes of the file, if there is one.
fn content(path: &Path) -> Outcome<Option<Vec<u8>>> {
    if path.metadata().is_ok_and(|known| !known.is_file()) {
        return Err(Failure::usage(format_args!("{} is no file: --state needs one", path.display())));
    }
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some).map_err(|error| Failure::file("read", path, &error)),
    }
}

fn checksum_of(json: &str) -> String {
    format!("{:016x}", resume::hash(json.as_bytes()))
}

/// Why a run cannot go on from a state.
pub(crate) fn cannot_go_on(path: &Path, error: &RestoreError) -> Failure {
    match error {
        RestoreError::Setting { setting, snapshot, current } => differs(path, setting, snapshot, current),
        error => Failure::usage(format_args!("cannot go on from {}: {error}", path.display())),
    }
}

fn differs(path: &Path, name: &str, then: &str, now: &str) -> Failure {
    Failure::usage(format_args!(
        "{} was written with {name} = {then}, but it is {now} now: use the same options, or another --state",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_another_run_keeps_locked_is_not_waited_for_without_end() {
        let folder = std::env::temp_dir().join(format!("stagger-files-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("state");
        let first = lock(&path).unwrap();
        assert!(first.is_some());
        let told = lock_within(Duration::ZERO, &path).unwrap_err().message;
        assert!(told.contains(" locked for 0 s, so nothing is written: start this one again "), "{told}");
        drop(first);
        assert!(lock_within(Duration::ZERO, &path).unwrap().is_some());
        std::fs::remove_dir(folder).unwrap();
    }
}
