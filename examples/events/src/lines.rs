//! Lines, and records of several lines, with the number of each line.
//!
//! The input is read in blocks into one buffer, and records are lent from there: nothing is copied
//! but the beginning of a line that the block before did not finish.

use std::io::{self, ErrorKind, Read};

use memchr::{memchr, memrchr};

use crate::batch::Batch;
use crate::parse::{End, Line, Parser, Record, Reject};

/// How much is read at once. It stays in a core's cache while its lines are parsed.
const BLOCK: usize = 256 << 10;
/// A line beyond this is rejected without being held in memory.
pub(crate) const LONGEST_LINE: usize = 16 << 20;
/// A record that goes on beyond this has a quote that was never closed.
const LONGEST_RECORD: usize = 1 << 20;
const MOST_LINES: u64 = 1_000;
/// What a log rotation leaves where the old lines were.
const ZERO: u8 = 0;
/// It begins a file, and stands within one where files were put together.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where a record begins, its bytes without the line end, and whether they can be used.
pub struct Framed<'a> {
    pub line: u64,
    pub bytes: &'a [u8],
    pub whole: Result<(), Reject>,
}

/// Cuts an input into records. Empty lines between records are skipped.
pub struct Lines<R> {
    reader: R,
    block: usize,
    buffer: Vec<u8>,
    /// Bytes that have been read and not been used yet.
    start: usize,
    end: usize,
    is_over: bool,
    number: u64,
    empty: u64,
    /// The beginning of a line that is too long.
    too_long: Vec<u8>,
}

/// The first record in a part of an input. Lengths count the line end; lines are those that end in it.
pub enum Frame {
    Record {
        length: usize,
        lines: u64,
        whole: Result<(), Reject>,
    },
    Empty {
        length: usize,
    },
    /// Bytes between records: zeros that a log rotation left, marks between the objects of a list.
    Padding {
        length: usize,
        lines: u64,
    },
    TooLong,
    /// More must be read to tell.
    Unfinished,
    Nothing,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self::in_blocks(reader, BLOCK)
    }

    /// The number of bytes read at once.
    pub fn in_blocks(reader: R, block: usize) -> Self {
        let (buffer, too_long) = (Vec::new(), Vec::new());
        Self { reader, block, buffer, start: 0, end: 0, is_over: false, number: 0, empty: 0, too_long }
    }

    /// How many lines were used.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// How many of them were empty.
    pub fn empty(&self) -> u64 {
        self.empty
    }

    /// The next record.
    pub fn next(&mut self, parser: &mut impl Parser) -> io::Result<Option<Framed<'_>>> {
        loop {
            match framed(&self.buffer[self.start..self.end], self.is_over, parser) {
                Frame::Record { length, lines, whole } => {
                    let bytes = without_end(&self.buffer[self.start..self.start + length]);
                    let line = self.number + 1;
                    self.start += length;
                    self.number += lines;
                    return Ok(Some(Framed { line, bytes, whole }));
                }
                Frame::Empty { length } => {
                    self.start += length;
                    self.number += 1;
                    self.empty += 1;
                }
                Frame::Padding { length, lines } => {
                    self.start += length;
                    self.number += lines;
                }
                Frame::TooLong => return self.skip().map(Some),
                Frame::Unfinished => self.fill()?,
                Frame::Nothing => return Ok(None),
            }
        }
    }

    /// The records of a block: all that can be had without waiting for more input, and at least one. `false` at the end
    /// of the input.
    pub fn parse_block<P: Parser>(&mut self, parser: &mut P, batch: &mut Batch) -> io::Result<bool> {
        let mut is_first = true;
        loop {
            let block = &self.buffer[self.start..self.end];
            let text = text_of(block);
            let mut at = 0;
            let stopped_by = loop {
                let before = self.number;
                at += parse_quickly(text.get(at..).unwrap_or_default(), &mut self.number, parser, batch);
                is_first &= self.number == before;
                let number = self.number + 1;
                match framed(&block[at..], self.is_over, parser) {
                    Frame::Record { length, lines, whole } => {
                        let bytes = without_end(&block[at..at + length]);
                        let line = text.get(at..at + bytes.len()).map_or(Line::Bytes(bytes), Line::Text);
                        match whole {
                            Ok(()) => parser.parse_each(line, |bytes, record| batch.take(number, bytes, record)),
                            Err(reject) => batch.reject(number, bytes, reject),
                        }
                        at += length;
                        self.number += lines;
                        is_first = false;
                    }
                    Frame::Empty { length } => {
                        at += length;
                        self.number += 1;
                        self.empty += 1;
                    }
                    Frame::Padding { length, lines } => {
                        at += length;
                        self.number += lines;
                    }
                    other => break other,
                }
            };
            self.start += at;
            match stopped_by {
                Frame::Nothing => return Ok(false),
                Frame::TooLong => {
                    let Framed { line, bytes, whole } = self.skip()?;
                    batch.take(line, bytes, whole.and_then(|()| parser.parse_line(Line::Bytes(bytes))));
                    is_first = false;
                }
                _ if is_first => self.fill()?,
                _ => return Ok(true),
            }
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
        self.start = 0;
        if self.buffer.len() < self.end + self.block {
            // Grown in steps that double, so that a long line is not moved for each of its blocks.
            let room = (2 * self.end).min(LONGEST_LINE + self.block);
            self.buffer.resize(room.max(self.end + self.block), 0);
        }
        let read = loop {
            match self.reader.read(&mut self.buffer[self.end..self.end + self.block]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.is_over = read == 0;
        self.end += read;
        Ok(())
    }
}

/// Reads the lines that begin a text as long as that can be done without looking for their ends before. Gives their
/// length, and counts them.
#[inline(never)] // a loop of its own keeps its values in registers
fn parse_quickly(text: &str, number: &mut u64, parser: &mut impl Parser, batch: &mut Batch) -> usize {
    let (mut rest, mut line) = (text, *number);
    while !matches!(rest.as_bytes(), [ZERO | 0xef, ..])
        && let Some(length) = parser.parse_first(rest, line + 1, batch)
    {
        line += 1;
        rest = &rest[length..];
    }
    *number = line;
    text.len() - rest.len()
}

/// The lines that end in a block as text, or none if one of them is not text: telling it for many at once is
/// far cheaper than line by line.
fn text_of(block: &[u8]) -> &str {
    let end = memrchr(b'\n', block).map_or(0, |end| end + 1);
    simdutf8::basic::from_utf8(&block[..end]).unwrap_or_default()
}

/// Reads all records of a text that lies in memory as a whole. Gives how many were framed, whether they can be used or
/// not.
pub fn each_in<P: Parser>(
    text: &[u8],
    parser: &mut P,
    mut take: impl FnMut(&[u8], Result<Record<'_>, Reject>),
) -> usize {
    let (mut rest, mut framed_so_far) = (text, 0);
    loop {
        let length = match framed(rest, true, parser) {
            Frame::Record { length, whole, .. } => {
                let bytes = rest[..length].trim_ascii();
                match whole {
                    Ok(()) => parser.parse_each(Line::Bytes(bytes), &mut take),
                    Err(reject) => take(bytes, Err(reject)),
                }
                framed_so_far += 1;
                length
            }
            Frame::Empty { length } | Frame::Padding { length, .. } => length,
            Frame::TooLong => {
                take(&rest[..LONGEST_RECORD], Err(Reject::TooLong { most: LONGEST_LINE }));
                return framed_so_far + 1;
            }
            Frame::Unfinished | Frame::Nothing => return framed_so_far,
        };
        rest = &rest[length..];
    }
}

/// The first record in an input. Zeros and marks of byte order are no part of any line.
#[inline]
fn framed(input: &[u8], is_all: bool, parser: &mut impl Parser) -> Frame {
    let length = match input {
        [ZERO, ..] => input.iter().take_while(|byte| **byte == ZERO).count(),
        [0xef, ..] if input.starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
        // It must not depend on how much has been read.
        [0xef] | [0xef, 0xbb] if !is_all => return Frame::Unfinished,
        _ => return parser.frame(input, is_all),
    };
    Frame::Padding { length, lines: 0 }
}

/// Finds the end of the record that begins an input, line by line. If it never ends, only its first line is lost.
#[inline]
pub(crate) fn frame(input: &[u8], is_all: bool, parser: &mut impl Parser) -> Frame {
    let length = match line(input, is_all) {
        Frame::Record { length, .. } => length,
        other => return other,
    };
    match parser.end(without_end(&input[..length])) {
        End::Later => frame_on(input, length, is_all, parser),
        _ => Frame::Record { length, lines: 1, whole: Ok(()) },
    }
}

/// Looks for the end of a record in the lines behind its first one.
#[cold]
fn frame_on(input: &[u8], first: usize, is_all: bool, parser: &mut impl Parser) -> Frame {
    let (mut length, mut lines) = (first, 1);
    while lines < MOST_LINES && length < LONGEST_RECORD {
        let more = match line(&input[length..], is_all) {
            Frame::Record { length, .. } | Frame::Empty { length } => length,
            Frame::Unfinished => {
                parser.give_up(); // it is asked again from the first line on
                return Frame::Unfinished;
            }
            _ => break,
        };
        let text = without_end(&input[length..length + more]);
        length += more;
        lines += 1;
        match parser.end(text) {
            End::Later => {}
            End::Never => break,
            End::Here => return Frame::Record { length, lines, whole: Ok(()) },
        }
    }
    parser.give_up();
    Frame::Record { length: first, lines: 1, whole: Err(Reject::Quotes) }
}

/// The line that begins an input.
#[inline]
pub(crate) fn line(input: &[u8], is_all: bool) -> Frame {
    let whole = |length| match input[..length].trim_ascii_start().is_empty() {
        false => Frame::Record { length, lines: 1, whole: Ok(()) },
        true => Frame::Empty { length },
    };
    match memchr(b'\n', &input[..input.len().min(LONGEST_LINE)]) {
        Some(end) => whole(end + 1),
        None if input.len() >= LONGEST_LINE => Frame::TooLong,
        None if !is_all => Frame::Unfinished,
        None if input.is_empty() => Frame::Nothing,
        None => whole(input.len()),
    }
}

/// A line without LF or CR LF.
pub(crate) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
