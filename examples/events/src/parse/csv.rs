//! CSV as RFC 4180 has it and as the `csv` crate reads it, with a header line or without, separated by commas or
//! by another character.
//!
//! Blanks around a cell do not count, nor do those around a name of the header. An empty cell is no value.
//!
//! Fields are split here rather than by that crate for the sake of bad input: a quote that is never
//! closed costs one line, not the rest of the file, and the byte after a closing quote must be a delimiter.
//! The tests compare the two on arbitrary bytes.

use std::ops::Range;

use memchr::{memchr, memchr2_iter};

use super::seen::Seen;
use super::{End, Field, Line, Parser, Record, Reject, Wanted};
use crate::batch::Batch;
use crate::eight;
use crate::lines::LONGEST_LINE;

pub struct Csv {
    wanted: Wanted,
    delimiter: u8,
    has_header: bool,
    /// The column of each wanted field. Nothing as long as no row has been seen.
    columns: Vec<usize>,
    width: usize,
    /// The same without columns at the end that have no name.
    named: usize,
    /// For rows with quotes.
    row: Row,
    /// For rows without: where each field ends in the line.
    ends: Vec<usize>,
    joined: String,
    /// A quoted field is open at the end of the line before.
    open: bool,
}

/// How cells are separated, and whether the first line names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    pub has_header: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', has_header: true }
    }
}

impl Dialect {
    /// The names of the columns, by the first line of a file.
    pub fn titles(self, line: &[u8]) -> Vec<String> {
        let mut row = Row::default();
        row.split(line, self.delimiter);
        let name = |index| match self.has_header {
            true => String::from_utf8_lossy(trimmed(row.field(index))).into_owned(),
            false => (index + 1).to_string(),
        };
        (0..row.width()).map(name).collect()
    }
}

/// The delimiter that a first line for Excel names: `sep=;`, perhaps in quotes. It is no row.
pub fn named_delimiter(line: &[u8]) -> Option<u8> {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'))?;
    match line[..=end] {
        [b's', b'e', b'p', b'=', delimiter] | [b'"', b's', b'e', b'p', b'=', delimiter, b'"'] => Some(delimiter),
        _ => None,
    }
}

impl Csv {
    pub fn new(wanted: Wanted, dialect: Dialect) -> Self {
        let Dialect { delimiter, has_header } = dialect;
        let (row, joined) = (Row::default(), String::new());
        let (columns, ends) = (Vec::new(), Vec::new());
        Self { wanted, delimiter, has_header, columns, width: 0, named: 0, row, ends, joined, open: false }
    }

    /// Whether the first line names the columns.
    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// Takes the first line. A field that it does not have is missing in every record.
    #[cold]
    fn begin(&mut self, line: &[u8]) {
        let titles = Dialect { delimiter: self.delimiter, has_header: self.has_header }.titles(line);
        let column = |name: &String| titles.iter().position(|title| title == name).unwrap_or(usize::MAX);
        self.columns = self.wanted.names.iter().map(column).collect();
        self.width = titles.len();
        self.named = titles.iter().rposition(|title| !title.is_empty()).map_or(self.width, |last| last + 1);
    }

    /// Whether a line names all wanted columns: a header, perhaps of another file that was appended to the first.
    pub fn is_header(&self, line: &[u8]) -> bool {
        let Wanted { names, time, .. } = &self.wanted;
        let time = names[time.0].as_bytes();
        let is_around = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'"';
        let is_time = |cell: &[u8]| {
            let start = cell.iter().take_while(|byte| is_around(byte)).count();
            cell[start..].strip_prefix(time).is_some_and(|rest| rest.iter().all(is_around))
        };
        if !self.has_header || !line.split(|byte| *byte == self.delimiter).any(is_time) {
            return false;
        }
        let titles = Dialect { delimiter: self.delimiter, has_header: true }.titles(line);
        names.iter().all(|name| titles.contains(name))
    }
}

impl Csv {
    /// Finds the ends of the fields of the first line, eight bytes at a time. Gives the place of the line end, or
    /// nothing if there is a quote or another control character before it, or the text is nearly over.
    #[inline]
    fn find_ends(&mut self, bytes: &[u8]) -> Option<usize> {
        self.ends.clear();
        let mut start = 0;
        loop {
            let mut marks = eight::marks(*bytes.get(start..)?.first_chunk()?, self.delimiter);
            while marks != 0 {
                let at = start + marks.trailing_zeros() as usize / 8;
                marks &= marks - 1;
                match bytes[at] {
                    byte if byte == self.delimiter => self.ends.push(at),
                    b'\n' => {
                        let has_return = bytes[..at].ends_with(b"\r");
                        self.ends.push(at - usize::from(has_return));
                        return Some(at);
                    }
                    b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
                    b'"' | 0..b' ' => return None,
                    _ => {}
                }
            }
            start += 8;
        }
    }

    /// The place of a wanted field in a line without quotes whose fields have been found.
    #[inline]
    fn place(&self, index: usize) -> Option<Range<usize>> {
        place(&self.ends, self.columns[index])
    }

    /// The record of such a line.
    #[inline]
    fn record<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let (ends, columns) = (&self.ends, &self.columns);
        self.wanted.record(&mut self.joined, |index| match place(ends, columns[index]) {
            Some(place) => cell(line.field(place)),
            None => Field::Missing,
        })
    }

    fn parse_quoted<'a>(&'a mut self, bytes: &[u8]) -> Result<Record<'a>, Reject> {
        if !self.row.split(bytes, self.delimiter) {
            return Err(Reject::Quotes);
        }
        let row = &self.row;
        self.check_width(row.width(), |column| row.field(column))?;
        let columns = &self.columns;
        self.wanted.record(&mut self.joined, |index| match columns[index] {
            column if column < row.width() => cell(Field::from_bytes(row.field(column))),
            _ => Field::Missing,
        })
    }

    /// A delimiter behind the last cell of a row, or behind the last name of the header, begins no cell.
    fn check_width<'b>(&self, found: usize, cell: impl Fn(usize) -> &'b [u8]) -> Result<(), Reject> {
        let expected = self.width;
        let has_no_more = || (expected..found).all(|column| cell(column).trim_ascii().is_empty());
        if (self.named..=expected).contains(&found) || (found > expected && has_no_more()) {
            return Ok(());
        }
        Err(Reject::Columns { found, expected })
    }
}

/// The place of a column in a line whose fields end there.
#[inline]
fn place(ends: &[usize], column: usize) -> Option<Range<usize>> {
    let end = *ends.get(column)?;
    let start = column.checked_sub(1).map_or(0, |before| ends[before] + 1);
    Some(start..end)
}

/// Whether a cell is a text without blanks around it.
#[inline]
fn is_bare(cell: &[u8]) -> bool {
    matches!(cell, [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'])
}

/// A cell without the blanks around it. An empty one is no value.
#[inline]
fn cell(field: Field<'_>) -> Field<'_> {
    match field {
        Field::Text(text) if is_bare(text.as_bytes()) => field,
        Field::Text(text) => match text.trim() {
            "" => Field::Absent("empty"),
            text => Field::Text(text),
        },
        other => other,
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    std::str::from_utf8(bytes).map_or(bytes, |text| text.trim().as_bytes())
}

impl Parser for Csv {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let bytes = line.bytes();
        self.ends.clear();
        for at in memchr2_iter(self.delimiter, b'"', bytes) {
            if bytes[at] == b'"' {
                return self.parse_quoted(bytes);
            }
            self.ends.push(at);
        }
        self.ends.push(bytes.len());
        let ends = &self.ends;
        self.check_width(ends.len(), |column| place(ends, column).map_or(&[], |place| &bytes[place]))?;
        self.record(line)
    }

    #[inline(always)]
    fn parse_first(&mut self, text: &str, line: u64, batch: &mut Batch) -> Option<usize> {
        let end = self.find_ends(text.as_bytes())?;
        // An empty line is no row of one column either: it has no time that could be read.
        if self.ends.len() != self.width || end >= LONGEST_LINE {
            return None;
        }
        let time = self.place(self.wanted.time.0).and_then(|place| {
            let read = self.wanted.time.1.read_alike(text.as_bytes().get(place.start..)?);
            read.filter(|(_, length)| *length == place.len()).map(|(time, _)| time)
        });
        let bytes = text.as_bytes();
        let usual = |index| self.place(index).filter(|place| is_bare(&bytes[place.clone()]));
        if self.wanted.add_usual(batch, line, text, time, usual).is_none() {
            let record = self.record(Line::Text(text)).ok()?;
            batch.take(line, &[], Ok(record));
        }
        Some(end + 1)
    }

    #[inline]
    fn parse_each(&mut self, line: Line<'_>, mut each: impl FnMut(&[u8], Result<Record<'_>, Reject>)) {
        if self.columns.is_empty() {
            if named_delimiter(line.bytes()).is_some() {
                return;
            }
            self.begin(line.bytes());
            if self.has_header {
                return;
            }
        }
        let reject = match self.parse_line(line) {
            Ok(record) => return each(line.bytes(), Ok(record)),
            Err(reject) => reject,
        };
        // It is no record either: the name of the time is no time.
        if self.is_header(line.bytes()) {
            return self.begin(line.bytes());
        }
        each(line.bytes(), Err(reject));
    }

    fn end(&mut self, line: &[u8]) -> End {
        let end = end(line, self.delimiter, self.open);
        self.open = end == End::Later;
        end
    }

    fn give_up(&mut self) {
        self.open = false;
    }

    fn seen(&self) -> Seen {
        self.wanted.seen()
    }
}

/// Where a record ends, by the quotes of one line; `open` says whether a field goes on from before.
fn end(line: &[u8], delimiter: u8, open: bool) -> End {
    if !open && memchr(b'"', line).is_none() {
        return End::Here;
    }
    let (mut rest, mut quoted) = (line, open);
    loop {
        if let (false, [b'"', inside @ ..]) = (quoted, rest) {
            (rest, quoted) = (inside, true);
        }
        if quoted {
            let Some(after) = after_quoted(rest, |_| ()) else { return End::Later };
            if after.first().is_some_and(|byte| *byte != delimiter) {
                return End::Never;
            }
            (rest, quoted) = (after, false);
        }
        let Some(comma) = memchr(delimiter, rest) else { return End::Here };
        rest = &rest[comma + 1..];
    }
}

/// The fields of one row, in buffers that are used again.
#[derive(Default)]
pub struct Row {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Row {
    /// Takes a row apart. `false` if the quotes of a field do not match.
    pub fn split(&mut self, bytes: &[u8], delimiter: u8) -> bool {
        self.text.clear();
        self.ends.clear();
        let mut rest = bytes;
        loop {
            if let [b'"', inside @ ..] = rest {
                match after_quoted(inside, |part| self.text.extend_from_slice(part)) {
                    Some(after) if after.first().is_none_or(|byte| *byte == delimiter) => rest = after,
                    _ => return false,
                }
            }
            let comma = memchr(delimiter, rest);
            self.text.extend_from_slice(&rest[..comma.unwrap_or(rest.len())]);
            self.ends.push(self.text.len());
            match comma {
                Some(comma) => rest = &rest[comma + 1..],
                None => return true,
            }
        }
    }

    pub fn width(&self) -> usize {
        self.ends.len()
    }

    pub fn field(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }
}

/// The text after the quote that closes a field, given the text after the one that opened it. Passes
/// the content on in parts. A quote is written as two.
fn after_quoted<'b>(mut rest: &'b [u8], mut part: impl FnMut(&'b [u8])) -> Option<&'b [u8]> {
    loop {
        let quote = memchr(b'"', rest)?;
        if rest.get(quote + 1) != Some(&b'"') {
            part(&rest[..quote]);
            return Some(&rest[quote + 1..]);
        }
        part(&rest[..=quote]);
        rest = &rest[quote + 2..];
    }
}
