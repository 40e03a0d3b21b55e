//! Reading and parsing on a thread of their own, so that sessions are made at the same time.
//!
//! The records of each read are handed over in order. No record is held back while the thread waits for
//! more input, but one that goes on over several lines. The thread is not joined when the work stops
//! early, since it may be waiting for input that never comes.

use std::io::Read;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::batch::Batch;
use crate::input::Input;
use crate::lines::Lines;
use crate::parse::Parser;
use crate::relay::{Filling, Using, Waited, relay};
use crate::setup::AnyParser;

/// Batches of very long lines are used one at a time, so that memory stays bounded.
const LARGE: usize = 1 << 20;

/// An input that is being read.
pub struct Reading {
    using: Using<Batch>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Begins to read.
    pub fn start<R, P>(lines: Lines<R>, parser: P) -> Self
    where
        R: Read + Send + 'static,
        P: Parser + Send + 'static,
    {
        let (mut filling, using) = relay();
        let thread = thread::Builder::new().name("reading".to_owned());
        let thread = thread.spawn(move || read(lines, parser, &mut filling)).expect("the system starts a thread");
        Self { using, thread: Some(thread) }
    }

    /// Gives a batch back that is done with.
    pub fn give_back(&self, mut batch: Batch) {
        batch.clear();
        self.using.give_back(batch);
    }

    /// The next batch, if it is there within some time.
    pub fn next_within(&mut self, time: Duration) -> Waited<Batch> {
        let waited = self.using.next_within(time);
        if let Waited::Over = waited {
            self.end();
        }
        waited
    }

    fn end(&mut self) {
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
    }
}

impl Iterator for Reading {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let next = self.using.next();
        if next.is_none() {
            self.end();
        }
        next
    }
}

/// Begins to read an input.
pub fn start(input: Input, parser: AnyParser) -> Reading {
    let lines = Lines::new(input.content());
    match parser {
        AnyParser::Jsonl(parser) => Reading::start(lines, parser),
        AnyParser::Combined(parser) => Reading::start(lines, parser),
        AnyParser::Csv(parser) => Reading::start(lines, parser),
        AnyParser::W3c(parser) => Reading::start(lines, parser),
        AnyParser::Layout(parser) => Reading::start(lines, parser),
    }
}

/// Reads everything, unless nobody takes it.
fn read<R: Read>(mut lines: Lines<R>, mut parser: impl Parser, filling: &mut Filling<Batch>) {
    let mut batch = Batch::default();
    let (mut told, mut told_empty) = (0, 0);
    loop {
        let goes_on = lines.parse_block(&mut parser, &mut batch).unwrap_or_else(|error| {
            batch.failure = Some(error);
            false
        });
        (batch.lines, batch.empty) = (lines.count() - told, lines.empty() - told_empty);
        (told, told_empty) = (lines.count(), lines.empty());
        batch.last_line = told;
        if !goes_on {
            batch.seen = Some(Box::new(parser.seen()));
        }
        let is_large = batch.size() > LARGE;
        if !(filling.hand_over(&mut batch) && goes_on) {
            return;
        }
        if is_large {
            filling.start_anew();
        }
    }
}
