//! Lines, and records of several lines, with the number of each line.
//!
//! The input is read in blocks into one buffer, and records are lent from there: nothing is copied
//! but the beginning of a line that the block before did not finish.

use std::io::{self, ErrorKind, Read};

use memchr::{memchr, memrchr};

use crate::parse::{End, Parser, Reject};

/// How much is read at once. It stays in a core's cache while its lines are parsed.
const BLOCK: usize = 256 << 10;
/// A line beyond this is rejected without being held in memory.
const LONGEST_LINE: usize = 16 << 20;
/// A record that goes on beyond this has a quote that was never closed.
const LONGEST_RECORD: usize = 1 << 20;
const MOST_LINES: u64 = 1_000;

/// Where a record begins, its bytes without the line end, and whether they can be used.
pub(crate) struct Framed<'a> {
    pub(crate) line: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) whole: Result<(), Reject>,
}

/// Cuts an input into records. Empty lines between records are skipped.
pub(crate) struct Lines<R> {
    reader: R,
    block: usize,
    buffer: Vec<u8>,
    /// What has been read and not been used yet.
    start: usize,
    end: usize,
    /// Behind the last line end in the buffer.
    whole_until: usize,
    is_over: bool,
    number: u64,
    empty: u64,
    /// The beginning of a line that is too long.
    too_long: Vec<u8>,
}

/// A line at some distance from the next one to be used; lengths count the line end.
#[derive(Clone, Copy)]
enum Found {
    Line(usize),
    TooLong,
    Nothing,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self::in_blocks(reader, BLOCK)
    }

    /// Reads so much at once.
    pub(crate) fn in_blocks(reader: R, block: usize) -> Self {
        Self {
            reader,
            block,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            whole_until: 0,
            is_over: false,
            number: 0,
            empty: 0,
            too_long: Vec::new(),
        }
    }

    /// How many lines were used.
    pub(crate) fn count(&self) -> u64 {
        self.number
    }

    /// How many of them were empty.
    pub(crate) fn empty(&self) -> u64 {
        self.empty
    }

    /// Whether the next record asks for more input, which may be long in coming.
    pub(crate) fn must_read(&self) -> bool {
        self.start >= self.whole_until
    }

    /// The next record.
    pub(crate) fn next(&mut self, parser: &mut impl Parser) -> io::Result<Option<Framed<'_>>> {
        loop {
            let mut length = match self.line_at(0)? {
                Found::Nothing => return Ok(None),
                Found::TooLong => return self.skip().map(Some),
                Found::Line(length) => length,
            };
            let (first, mut lines) = (self.number + 1, 1);
            let text = without_end(&self.buffer[self.start..self.start + length]);
            if text.trim_ascii_start().is_empty() {
                self.empty += 1;
                self.number += 1;
                self.start += length;
                continue;
            }
            let mut whole = Ok(());
            if parser.end(text) == End::Later {
                match self.read_on(length, parser)? {
                    Some(longer) => (length, lines) = longer,
                    None => whole = Err(Reject::Quotes),
                }
            }
            let bytes = without_end(&self.buffer[self.start..self.start + length]);
            self.start += length;
            self.number += lines;
            return Ok(Some(Framed { line: first, bytes, whole }));
        }
    }

    /// Looks for the end of a record in the lines behind its first one. Gives its length and how
    /// many lines it has. If it never ends, only its first line is lost.
    #[cold]
    fn read_on(&mut self, first: usize, parser: &mut impl Parser) -> io::Result<Option<(usize, u64)>> {
        let (mut length, mut lines) = (first, 1);
        while lines < MOST_LINES && length < LONGEST_RECORD {
            let Found::Line(more) = self.line_at(length)? else { break };
            let at = self.start + length;
            length += more;
            lines += 1;
            match parser.end(without_end(&self.buffer[at..at + more])) {
                End::Later => {}
                End::Never => break,
                End::Here => return Ok(Some((length, lines))),
            }
        }
        parser.give_up();
        Ok(None)
    }

    /// The line that begins so many bytes behind the next one. Reads until it is whole.
    #[inline]
    fn line_at(&mut self, distance: usize) -> io::Result<Found> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start + distance..self.end];
            let most = unread.len().min(LONGEST_LINE);
            if let Some(at) = memchr(b'\n', &unread[searched..most]) {
                return Ok(Found::Line(searched + at + 1));
            }
            if most == LONGEST_LINE {
                return Ok(Found::TooLong);
            }
            if self.is_over {
                return Ok(if most == 0 { Found::Nothing } else { Found::Line(most) });
            }
            searched = most;
            self.fill()?;
        }
    }

    /// Passes over a line that is too long. Its beginning is kept to be shown.
    #[cold]
    fn skip(&mut self) -> io::Result<Framed<'_>> {
        self.too_long.clear();
        self.too_long.extend_from_slice(&self.buffer[self.start..self.start + LONGEST_RECORD]);
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.start..self.end]) {
                self.start += at + 1;
                break;
            }
            self.start = self.end;
            if self.is_over {
                break;
            }
            self.fill()?;
        }
        self.number += 1;
        let whole = Err(Reject::TooLong { most: LONGEST_LINE });
        Ok(Framed { line: self.number, bytes: &self.too_long, whole })
    }

    /// Reads a block, or less if no more is there yet.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.whole_until = self.whole_until.saturating_sub(self.start);
        self.start = 0;
        if self.buffer.len() < self.end + self.block {
            // Grown in steps that double, so that a long line is not moved for each of its blocks.
            self.buffer.resize((self.end + self.block).max(2 * self.end), 0);
        }
        let read = loop {
            match self.reader.read(&mut self.buffer[self.end..self.end + self.block]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if let Some(at) = memrchr(b'\n', &self.buffer[self.end..self.end + read]) {
            self.whole_until = self.end + at + 1;
        }
        self.is_over = read == 0;
        self.end += read;
        Ok(())
    }
}

/// A line without LF or CR LF.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
