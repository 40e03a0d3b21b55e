//! Where a run with `--state` ended in each input, so that the next one goes on there.
//!
//! An input is known again by its first bytes, whatever its name: a log may have been renamed and packed since. The
//! last bytes that were read of it must still be there, before those that are new.

use std::hash::Hasher;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events::failure::{Failure, Outcome};
use events::input::{Failing, Input, Source};
use events::setup::AnyParser;
use program::say::say;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// The number of first bytes that tell one input from another.
const HEAD: u64 = 4_096;
/// The number of last bytes that must still be there.
const TAIL: usize = 4_096;
/// The number of inputs that are remembered: those of the latest runs.
const REMEMBERED: usize = 1_000;

/// Where a run ended in an input. All numbers are of its content, unpacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Hash of its first bytes, and how many they are.
    head: u64,
    head_bytes: u64,
    /// Hash of the last bytes before the end.
    #[serde(default)]
    tail: Option<u64>,
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

#[derive(Clone, Debug, Default)]
struct Position {
    bytes: u64,
    tail: Tail,
    /// Behind the last line end.
    line_start: u64,
    is_over: bool,
}

impl Position {
    /// To the beginning of the last line.
    fn go_back(&mut self) {
        let line = self.bytes.saturating_sub(self.line_start) as usize;
        let kept = self.tail.0.len().saturating_sub(line);
        self.tail.0.truncate(kept);
        self.bytes = self.line_start;
    }
}

/// The last bytes that were read.
#[derive(Clone, Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(TAIL)..];
        let too_many = (self.0.len() + bytes.len()).saturating_sub(TAIL);
        self.0.drain(..too_many);
        self.0.extend_from_slice(bytes);
    }

    fn hash(&self) -> u64 {
        hash(&self.0)
    }
}

/// An input, ready to be read from where an earlier run ended.
pub(crate) fn resume(known: &[Known], source: &Source, parser: &AnyParser, input: Input) -> Outcome<(Input, Tracked)> {
    let unreadable = |error: io::Error| source.unreadable(&error);
    let mut content = input.content();
    let mut head = Vec::new();
    let failure = content.by_ref().take(HEAD).read_to_end(&mut head).err();
    let content = Failing { failure, rest: content };
    let is_known = |known: &&Known| {
        known.head_bytes <= head.len() as u64 && hash(&head[..known.head_bytes as usize]) == known.head
    };
    let known = known.iter().filter(is_known).max_by_key(|known| known.bytes);
    let mut content = Cursor::new(head.clone()).chain(content);
    let Some(Known { bytes, lines, is_unfinished, tail, .. }) = known.cloned() else {
        return Ok(track(head, Vec::new(), Box::new(content), Position::default()));
    };
    let mut passing = Passing { parser, line: Vec::new(), preamble: Vec::new(), tail: Tail::default() };
    let skipped = io::copy(&mut content.by_ref().take(bytes), &mut passing).map_err(unreadable)?;
    let (header, mut passed) = passing.end();
    if skipped < bytes {
        return Err(Failure::usage(format_args!(
            "{} begins like an input of an earlier run, of which {bytes} bytes were read, but has {skipped}: give the \
             whole of it, or begin with a new --state",
            source.name()
        )));
    }
    if tail.is_some_and(|tail| tail != passed.hash()) {
        return Err(Failure::usage(format_args!(
            "{} begins like an input of an earlier run, but the end of the {bytes} bytes that were read then has changed \
             since: give it as it was, or begin with a new --state",
            source.name()
        )));
    }
    let rest = if is_unfinished { rest_of_line(&mut content).map_err(unreadable)? } else { Vec::new() };
    if rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
        let name = source.name();
        say(format_args!("{name}, line {lines}: it had no end when an earlier run used it, and has gone on since"));
    }
    passed.push(&rest);
    let is_ended = !is_unfinished || rest.ends_with(b"\n");
    let line_start = if is_ended { bytes + rest.len() as u64 } else { bytes.saturating_sub(1) };
    let position = Position { bytes: bytes + rest.len() as u64, tail: passed, line_start, is_over: false };
    let replayed = header.iter().filter(|byte| **byte == b'\n').count() as u64;
    let (input, mut tracked) = track(head, header, Box::new(content), position);
    tracked.lines_before = lines.saturating_sub(replayed);
    Ok((input, tracked))
}

fn track(head: Vec<u8>, header: Vec<u8>, rest: Box<dyn Read + Send>, position: Position) -> (Input, Tracked) {
    let began_at = position.bytes;
    let position = Arc::new(Mutex::new(position));
    let reader = Reader { inner: rest, position: Arc::clone(&position) };
    (Input::going_on(header, Box::new(reader)), Tracked { head, position, lines_before: 0, began_at })
}

/// Takes what an earlier run has read, and keeps the lines that name the fields.
struct Passing<'p> {
    parser: &'p AnyParser,
    /// The beginning of the line at hand.
    line: Vec<u8>,
    preamble: Vec<u8>,
    tail: Tail,
}

/// A line that is longer names no fields.
const LONGEST_PREAMBLE: usize = 1 << 20;

impl Passing<'_> {
    /// The lines that name the fields, and the last bytes.
    fn end(mut self) -> (Vec<u8>, Tail) {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.pass();
        }
        (self.preamble, self.tail)
    }

    fn pass(&mut self) {
        self.parser.pass(&self.line, &mut self.preamble);
        self.line.clear();
    }
}

impl Write for Passing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tail.push(bytes);
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

/// The rest of a line whose beginning was used, with the line end if there is one by now.
fn rest_of_line(content: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut rest, mut byte) = (Vec::new(), [0]);
    while !rest.ends_with(b"\n") && content.read(&mut byte)? == 1 {
        rest.push(byte[0]);
    }
    Ok(rest)
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
            position.go_back();
        }
        is_last
    }

    /// Leaves a line that a failure cuts in two to the next run.
    pub(crate) fn break_off(&self) {
        self.position().go_back();
    }

    /// Whether there was anything that no earlier run had read.
    pub(crate) fn has_news(&self) -> bool {
        self.position().bytes > self.began_at
    }

    /// Where it ended, and after how many lines.
    pub(crate) fn end(&self, lines: u64) -> Option<Known> {
        let Position { bytes, line_start, ref tail, .. } = *self.position();
        let head_bytes = bytes.min(self.head.len() as u64);
        let head = hash(&self.head[..head_bytes as usize]);
        let lines = self.lines_before + lines;
        // Of a long line that waits too little is left to compare with.
        let tail = (tail.0.len() as u64 == bytes.min(TAIL as u64)).then(|| tail.hash());
        (bytes > 0).then_some(Known { head, head_bytes, tail, bytes, lines, is_unfinished: bytes > line_start })
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
        position.tail.push(&buffer[..read]);
        position.is_over |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}
