//! Writing on a thread of its own, so that the next sessions are made at the same time.

use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use events::failure::Outcome;
use events::relay::{Filling, Using, Waited, relay};

use crate::early::EarlyEvent;
use crate::facts::Kept;
use crate::results::{Files, Finished};
use crate::text::Summary;

/// How many sessions and events are handed over at once.
const MANY: usize = 512;

/// The items that are written.
pub(crate) enum Out<O: Kept> {
    Session(Summary<O>),
    /// An event of a session that is open.
    Event(EarlyEvent),
}

/// Files that are being written.
pub(crate) struct Writing<O: Kept> {
    waiting: Vec<Out<O>>,
    /// None once the thread has been told that there are no more.
    filling: Option<Filling<Vec<Out<O>>>>,
    thread: Option<JoinHandle<Outcome<Files>>>,
    has_failed: bool,
}

impl<O: Kept> Writing<O> {
    /// Begins to write. `streams`: rows are shown as soon as they are there.
    pub(crate) fn start(files: Files, streams: bool) -> Self {
        let (filling, using) = relay();
        let thread = thread::Builder::new().name("writing".to_owned());
        let thread = thread.spawn(move || write(files, &using, streams)).expect("the system starts a thread");
        Self { waiting: Vec::new(), filling: Some(filling), thread: Some(thread), has_failed: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, out: Out<O>) {
        self.waiting.push(out);
        if self.waiting.len() >= MANY {
            self.hand_over();
        }
    }
}

impl<O: Kept> Writing<O> {
    /// Passes waiting items on.
    pub(crate) fn hand_over(&mut self) {
        if let Some(filling) = &mut self.filling {
            self.has_failed |= !filling.hand_over(&mut self.waiting);
        }
    }

    /// Whether writing has stopped; [`finish`](Self::finish) says why.
    #[inline]
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Waits until everything is written and finished, or tells what failed.
    pub(crate) fn finish(&mut self) -> Outcome<Finished> {
        self.wait()?.map_or(Ok(Finished::default()), Files::finish)
    }

    fn wait(&mut self) -> Outcome<Option<Files>> {
        self.hand_over();
        self.filling = None;
        let thread = self.thread.take();
        thread.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).transpose()
    }
}

/// Where rows are shown as they come, those that have closed are shown even where the work stops early.
impl<O: Kept> Drop for Writing<O> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = self.wait(); // there is a failure to tell already
        }
    }
}

/// Writes all sessions, until the first failure.
fn write<O: Kept>(mut files: Files, using: &Using<Vec<Out<O>>>, streams: bool) -> Outcome<Files> {
    loop {
        let waited = using.next_now();
        if streams && !matches!(waited, Waited::Ready(_)) {
            files.flush()?;
        }
        let next = if let Waited::Ready(outs) = waited { Some(outs) } else { using.next() };
        let Some(mut outs) = next else { return Ok(files) };
        outs.iter_mut().try_for_each(|out| match out {
            Out::Session(session) => files.write(session),
            Out::Event(event) => files.write_event(event),
        })?;
        outs.clear();
        using.give_back(outs);
    }
}
