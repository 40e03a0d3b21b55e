//! Writing on a thread of its own, so that the next sessions are made at the same time.

use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use events::failure::Outcome;
use events::relay::{Filling, Using, relay};

use crate::results::Files;
use crate::side::Members;
use crate::text::Summary;

/// How many sessions are handed over at once.
const MANY: usize = 512;

/// Files that are being written.
pub(crate) struct Writing<O: Members> {
    sessions: Vec<Summary<O>>,
    /// None once the thread has been told that there are no more.
    filling: Option<Filling<Vec<Summary<O>>>>,
    thread: Option<JoinHandle<Outcome<Files>>>,
    has_failed: bool,
}

impl<O: Members> Writing<O> {
    /// Begins to write.
    pub(crate) fn start(files: Files) -> Self {
        let (filling, using) = relay();
        let thread = thread::Builder::new().name("writing".to_owned());
        let thread = thread.spawn(move || write(files, &using)).expect("the system starts a thread");
        Self { sessions: Vec::new(), filling: Some(filling), thread: Some(thread), has_failed: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, session: Summary<O>) {
        self.sessions.push(session);
        if self.sessions.len() >= MANY {
            self.hand_over();
        }
    }
}

impl<O: Members> Writing<O> {
    fn hand_over(&mut self) {
        if let Some(filling) = &mut self.filling {
            self.has_failed |= !filling.hand_over(&mut self.sessions);
        }
    }

    /// Whether writing has stopped; [`finish`](Self::finish) says why.
    #[inline]
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Waits until everything is written and finished, or tells what failed.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        self.wait()?.map_or(Ok(()), Files::finish)
    }

    fn wait(&mut self) -> Outcome<Option<Files>> {
        self.hand_over();
        self.filling = None;
        let thread = self.thread.take();
        thread.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).transpose()
    }
}

/// What has closed is written even where the work stops early. It is not finished then: of files that
/// appear as a whole there will be none.
impl<O: Members> Drop for Writing<O> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = self.wait(); // there is a failure to tell already
        }
    }
}

/// Writes all sessions, until the first failure.
fn write<O: Members>(mut files: Files, using: &Using<Vec<Summary<O>>>) -> Outcome<Files> {
    while let Some(mut sessions) = using.next() {
        sessions.iter_mut().try_for_each(|session| files.write(session))?;
        sessions.clear();
        using.give_back(sessions);
    }
    Ok(files)
}
