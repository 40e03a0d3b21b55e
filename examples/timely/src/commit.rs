//! The last operator: rows and state, written together.

use std::collections::BTreeMap;

use anyhow::Result;
use events::columns::Columns;
use rows::SessionRow;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::job::stop;
use crate::message::{Epoch, Timed, Unused};
use crate::sessions::{Streams, Summary};
use crate::state::{Folder, Part, Saved, When};

/// Writes the output of the operator into the folder.
pub fn commit(streams: Streams<'_>, folder: Folder, columns: Columns) {
    let scope = streams.sessions.scope();
    let mut writer = Writer {
        folder,
        columns,
        worker: scope.index(),
        workers: scope.peers(),
        sessions: BTreeMap::new(),
        unused: BTreeMap::new(),
        saved: BTreeMap::new(),
        is_over: false,
    };
    let mut builder = OperatorBuilder::new("commit".to_owned(), scope);
    let mut sessions = builder.new_input(streams.sessions, Pipeline);
    let mut unused = builder.new_input(streams.unused, Pipeline);
    let mut saved = builder.new_input(streams.saved, Pipeline);
    builder.build(move |_| {
        move |frontiers| {
            sessions.for_each(|_, rows| writer.sessions(rows));
            unused.for_each(|_, rows| writer.unused(rows));
            saved.for_each(|_, states| writer.saved.extend(states.drain(..).map(|saved| (saved.epoch, saved))));
            let firsts = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied());
            writer.write(firsts.min()).unwrap_or_else(|error| stop(&error));
        }
    });
}

/// Rows wait until a checkpoint is complete here.
struct Writer {
    folder: Folder,
    columns: Columns,
    worker: usize,
    workers: usize,
    sessions: BTreeMap<Epoch, Vec<u8>>,
    unused: BTreeMap<Epoch, Vec<u8>>,
    saved: BTreeMap<Epoch, Saved>,
    is_over: bool,
}

impl Writer {
    fn sessions(&mut self, sessions: &mut Vec<Timed<Summary>>) {
        for (epoch, session) in sessions.drain(..) {
            let key = (session.key.as_str(), &self.columns.kinds[..]);
            let values = (session.first_event.clone(), session.last_event.clone());
            let line = SessionRow::of(&session, session.id(), key, values).line(&self.columns);
            self.sessions.entry(epoch).or_default().extend(line);
        }
    }

    fn unused(&mut self, unused: &mut Vec<Timed<Unused>>) {
        for (epoch, line) in unused.drain(..) {
            let lines = self.unused.entry(epoch).or_default();
            lines.extend(serde_json::to_vec(&line).unwrap_or_default());
            lines.push(b'\n');
        }
    }

    /// Writes the checkpoints that the frontier has come to. No frontier: everything is there.
    fn write(&mut self, frontier: Option<Epoch>) -> Result<()> {
        while let Some(entry) = self.saved.first_entry()
            && frontier.is_none_or(|frontier| *entry.key() <= frontier)
        {
            let saved = entry.remove();
            let (sessions, unused) = (before(&mut self.sessions, saved.epoch), before(&mut self.unused, saved.epoch));
            let part = Part { sessions: &sessions, unused: &unused, state: Some(&saved) };
            self.folder.write(When::Before(saved.epoch), self.worker, self.workers, &part)?;
            self.folder.clean(self.worker, self.workers)?;
        }
        if frontier.is_none() && !self.is_over {
            self.is_over = true;
            let (sessions, unused) = (all(&mut self.sessions), all(&mut self.unused));
            let part = Part { sessions: &sessions, unused: &unused, state: None };
            self.folder.write(When::End, self.worker, self.workers, &part)?;
        }
        Ok(())
    }
}

/// Takes the lines of epochs before this one.
fn before(lines: &mut BTreeMap<Epoch, Vec<u8>>, epoch: Epoch) -> Vec<u8> {
    let later = lines.split_off(&epoch);
    all(&mut std::mem::replace(lines, later))
}

fn all(lines: &mut BTreeMap<Epoch, Vec<u8>>) -> Vec<u8> {
    std::mem::take(lines).into_values().flatten().collect()
}
