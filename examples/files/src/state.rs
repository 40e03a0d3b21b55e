//! The file of `--state`, which a run leaves for the next one.
//!
//! It is written last, after the rows have their names. So a run that is killed anywhere, and started again with
//! the same command, leaves the same rows as one that was not.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;

use events::failure::{Failure, Outcome};
use program::growing::Growing;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stagger::{RestoreError, Snapshot, Timestamp};

use crate::options::Options;
use crate::resume::Known;
use crate::text::Text;
use crate::visits::Visits;

const VERSION: u32 = 1;

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
}

impl<V: Serialize + DeserializeOwned, S: Serialize + DeserializeOwned> State<V, S> {
    /// A state that begins with these sessions.
    pub(crate) fn new(options: &Options, snapshot: Snapshot<Text, V, S>) -> Self {
        let options = options.echo();
        let (inputs, greatest, present, visits) = (Vec::new(), None, None, None);
        Self { version: VERSION, options, inputs, greatest, present, visits, snapshot }
    }

    /// Reads the state of an earlier run, if there was one.
    pub(crate) fn read(path: &Path, options: &Options) -> Outcome<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| Failure::file("read", path, &error))?,
        };
        let state = serde_json::from_reader::<_, Self>(BufReader::new(file)).map_err(|error| {
            Failure::usage(format_args!("{} is no state of a run like this: {error}", path.display()))
        })?;
        if state.version != VERSION {
            let (shown, found) = (path.display(), state.version);
            return Err(Failure::usage(format_args!("{shown} has version {found}, but this program reads {VERSION}")));
        }
        let current = options.echo();
        match state.options.iter().zip(&current).find(|(then, now)| then != now) {
            Some(((name, then), (_, now))) => Err(differs(path, name, then, now)),
            None => Ok(Some(state)),
        }
    }

    /// Writes the state, which is to be placed after everything else.
    pub(crate) fn write(&self, path: &Path) -> Outcome<Growing> {
        let failed = |error: std::io::Error| Failure::file("write", path, &error);
        let mut file = Growing::file(path).map_err(failed)?;
        let mut to = BufWriter::new(&mut file);
        let written = serde_json::to_writer(&mut to, self).map_err(Into::into).and_then(|()| to.flush());
        drop(to);
        written.and_then(|()| file.sync()).map_err(failed)?;
        Ok(file)
    }
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
