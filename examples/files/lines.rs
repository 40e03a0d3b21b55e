//! Lines, and records of several lines, with the number of each line.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use crate::parse::{End, Parser, Reject};

/// A line beyond this is rejected without being held in memory.
const LONGEST_LINE: usize = 16 << 20;
/// A record that goes on beyond this has a quote that was never closed.
const LONGEST_RECORD: usize = 1 << 20;
const MOST_LINES: usize = 1_000;

/// Where a record begins, its bytes without the line end, and whether they can be used.
pub(crate) struct Framed<'a> {
    pub(crate) line: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) whole: Result<(), Reject>,
}

/// Cuts an input into records. Empty lines between records are skipped.
pub(crate) struct Lines<R> {
    reader: R,
    number: u64,
    empty: u64,
    buffer: Vec<u8>,
    /// Lines read ahead for a record that never ended, to be read again one by one.
    again: VecDeque<(u64, Vec<u8>)>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, number: 0, empty: 0, buffer: Vec::new(), again: VecDeque::new() }
    }

    /// How many lines were read.
    pub(crate) fn count(&self) -> u64 {
        self.number
    }

    /// How many of them were empty.
    pub(crate) fn empty(&self) -> u64 {
        self.empty
    }

    /// The next record.
    pub(crate) fn next(&mut self, parser: &mut dyn Parser) -> io::Result<Option<Framed<'_>>> {
        let line = loop {
            let Some((line, size)) = self.read()? else { return Ok(None) };
            if size == Size::TooLong {
                let whole = Err(Reject::TooLong { most: LONGEST_LINE });
                return Ok(Some(Framed { line, bytes: &self.buffer, whole }));
            }
            if !without_end(&self.buffer).trim_ascii().is_empty() {
                break line;
            }
            self.empty += 1;
        };
        let mut whole = Ok(());
        if parser.end(without_end(&self.buffer)) == End::Later {
            whole = self.read_on(line, parser)?;
        }
        Ok(Some(Framed { line, bytes: without_end(&self.buffer), whole }))
    }

    /// Reads the further lines of a record. If it never ends, only its first line is lost.
    #[cold]
    fn read_on(&mut self, first: u64, parser: &mut dyn Parser) -> io::Result<Result<(), Reject>> {
        let mut lines = vec![(first, std::mem::take(&mut self.buffer))];
        let mut bytes = lines[0].1.len();
        while lines.len() < MOST_LINES && bytes < LONGEST_RECORD {
            let Some((line, _)) = self.read()? else { break };
            lines.push((line, std::mem::take(&mut self.buffer)));
            let text = &lines[lines.len() - 1].1;
            bytes += text.len();
            match parser.end(without_end(text)) {
                End::Later => {}
                End::Never => break,
                End::Here => {
                    self.buffer = lines.into_iter().flat_map(|(_, text)| text).collect();
                    return Ok(Ok(()));
                }
            }
        }
        parser.give_up();
        let mut lines = lines.into_iter();
        self.buffer = lines.next().map(|(_, text)| text).unwrap_or_default();
        for line in lines.rev() {
            self.again.push_front(line);
        }
        Ok(Err(Reject::Quotes))
    }

    /// Reads a line into the buffer, its end included.
    fn read(&mut self) -> io::Result<Option<(u64, Size)>> {
        if let Some((line, text)) = self.again.pop_front() {
            self.buffer = text;
            return Ok(Some((line, Size::Fits)));
        }
        self.buffer.clear();
        let read = (&mut self.reader).take(LONGEST_LINE as u64).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read == LONGEST_LINE && self.buffer.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
            self.buffer.truncate(LONGEST_RECORD);
            return Ok(Some((self.number, Size::TooLong)));
        }
        Ok(Some((self.number, Size::Fits)))
    }
}

#[derive(PartialEq)]
enum Size {
    Fits,
    TooLong,
}

/// A line without LF or CR LF.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
