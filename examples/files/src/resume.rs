//! Where a run with `--state` ended in each input, so that the next one goes on there.
//!
//! An input is known again by its first bytes, whatever its name: a log may have been renamed and packed since.

use std::hash::Hasher;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::failure::{Failure, Outcome};
use events::input::{Input, Source};
use events::setup::AnyParser;
use program::say::say;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// The number of first bytes that tell one input from another.
const HEAD: u64 = 4_096;
/// The number of inputs that are remembered: those of the latest runs.
const REMEMBERED: usize = 1_000;

/// Where a run ended in an input. All numbers are of its content, unpacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Hash of its first bytes, and how many they are.
    head: u64,
    head_bytes: u64,
    bytes: u64,
    lines: u64,
    /// The last line had no end, but could be used.
    is_unfinished: bool,
}

/// An input on its way.
pub(crate) struct Tracked {
    head: Vec<u8>,
    position: Arc<Mutex<Position>>,
    /// The lines before those that are read now.
    pub(crate) lines_before: u64,
    began_at: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    bytes: u64,
    /// Behind the last line end.
    line_start: u64,
    is_over: bool,
}

/// An input, ready to be read from where an earlier run ended.
pub(crate) fn resume(known: &[Known], source: &Source, parser: &AnyParser, input: Input) -> Outcome<(Input, Tracked)> {
    let unreadable = |error: io::Error| source.unreadable(&error);
    let mut content = input.content();
    let mut head = Vec::new();
    content.by_ref().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    let is_known = |known: &&Known| {
        known.head_bytes <= head.len() as u64 && hash(&head[..known.head_bytes as usize]) == known.head
    };
    let known = known.iter().filter(is_known).max_by_key(|known| known.bytes);
    let mut content = Cursor::new(head.clone()).chain(content);
    let Some(Known { bytes, lines, is_unfinished, .. }) = known.cloned() else {
        let (input, tracked) = track(head, Vec::new(), Box::new(content), 0);
        return Ok((input, tracked));
    };
    let mut passing = Passing { parser, line: Vec::new(), preamble: Vec::new() };
    let skipped = io::copy(&mut content.by_ref().take(bytes), &mut passing).map_err(unreadable)?;
    let header = passing.end();
    if skipped < bytes {
        return Err(Failure::usage(format_args!(
            "{} begins like an input of an earlier run, of which {bytes} bytes were read, but has {skipped}: give the \
             whole of it, or begin with a new --state",
            source.name()
        )));
    }
    let (rest, has_gone_on) = if is_unfinished { rest_of_line(&mut content).map_err(unreadable)? } else { (0, false) };
    if has_gone_on {
        let name = source.name();
        say(format_args!("{name}, line {lines}: it had no end when an earlier run used it, and has gone on since"));
    }
    let bytes = bytes + rest;
    let replayed = header.iter().filter(|byte| **byte == b'\n').count() as u64;
    let (input, mut tracked) = track(head, header, Box::new(content), bytes);
    tracked.lines_before = lines.saturating_sub(replayed);
    Ok((input, tracked))
}

fn track(head: Vec<u8>, header: Vec<u8>, rest: Box<dyn Read + Send>, bytes: u64) -> (Input, Tracked) {
    let position = Arc::new(Mutex::new(Position { bytes, line_start: bytes, is_over: false }));
    let reader = Reader { inner: rest, position: Arc::clone(&position) };
    (Input::going_on(header, Box::new(reader)), Tracked { head, position, lines_before: 0, began_at: bytes })
}

/// Takes what an earlier run has read, and keeps the lines that name the fields.
struct Passing<'p> {
    parser: &'p AnyParser,
    /// The beginning of the line at hand.
    line: Vec<u8>,
    preamble: Vec<u8>,
}

/// A line that is longer names no fields.
const LONGEST_PREAMBLE: usize = 1 << 20;

impl Passing<'_> {
    fn end(mut self) -> Vec<u8> {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.pass();
        }
        self.preamble
    }

    fn pass(&mut self) {
        self.parser.pass(&self.line, &mut self.preamble);
        self.line.clear();
    }
}

impl Write for Passing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() < LONGEST_PREAMBLE {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.pass();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes over the rest of a line whose beginning was used. Gives its length, and whether it was
/// more than the line end.
fn rest_of_line(content: &mut impl Read) -> io::Result<(u64, bool)> {
    let (mut passed, mut has_gone_on, mut byte) = (0, false, [0]);
    while content.read(&mut byte)? == 1 {
        passed += 1;
        match byte[0] {
            b'\n' => break,
            other => has_gone_on |= other != b'\r',
        }
    }
    Ok((passed, has_gone_on))
}

impl Tracked {
    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a line that cannot be used is the last one and has no end yet. Then it waits for the next run.
    pub(crate) fn holds_back(&self, line: &[u8]) -> bool {
        let mut position = self.position();
        let is_last = position.is_over && position.bytes - position.line_start == line.len() as u64 && !line.is_empty();
        if is_last {
            position.bytes = position.line_start;
        }
        is_last
    }

    /// Whether there was anything that no earlier run had read.
    pub(crate) fn has_news(&self) -> bool {
        self.position().bytes > self.began_at
    }

    /// Where it ended, and after how many lines.
    pub(crate) fn end(&self, lines: u64) -> Option<Known> {
        let Position { bytes, line_start, .. } = *self.position();
        let head_bytes = bytes.min(self.head.len() as u64);
        let head = hash(&self.head[..head_bytes as usize]);
        let lines = self.lines_before + lines;
        (bytes > 0).then_some(Known { head, head_bytes, bytes, lines, is_unfinished: bytes > line_start })
    }
}

/// Adds where an input ended, in the place of an earlier entry.
pub(crate) fn remember(known: &mut Vec<Known>, ended: Known, tracked: &Tracked) {
    known.retain(|known| {
        let head = tracked.head.get(..known.head_bytes as usize);
        known.bytes > ended.bytes || head.is_none_or(|head| hash(head) != known.head)
    });
    known.push(ended);
    let too_many = known.len().saturating_sub(REMEMBERED);
    known.drain(..too_many);
}

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Counts what passes through.
struct Reader {
    inner: Box<dyn Read + Send>,
    position: Arc<Mutex<Position>>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = buffer[..read].iter().rposition(|byte| *byte == b'\n') {
            position.line_start = position.bytes + end as u64 + 1;
        }
        position.bytes += read as u64;
        position.is_over |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}
