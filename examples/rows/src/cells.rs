//! The cells of CSV rows, written straight into bytes as the `csv` crate and `Display` would.

use std::io::Write as _;

use events::eight;
use stagger::{SessionId, Timestamp};

use crate::columns::FilesCell;
use crate::lines::texts;

const DAY: u64 = 86_400_000_000;
/// `2018-11-29T23:35:10.123456Z`
const TIME: usize = 27;

/// Rows in the making.
pub struct Cells {
    pub bytes: Vec<u8>,
    /// When the day of the last time began, and the cell of a time in it: times of one day are many.
    day: i64,
    in_day: [u8; TIME + 1],
}

/// All numbers of two digits, one after the other.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

#[inline]
fn pair(number: u32) -> &'static [u8; 2] {
    &PAIRS[number as usize]
}

/// Whether a cell needs quotes for this byte.
#[inline]
fn is_special(byte: u8) -> bool {
    matches!(byte, b',' | b'"' | b'\n' | b'\r')
}

/// The two digits of each byte.
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

impl Default for Cells {
    fn default() -> Self {
        Self { bytes: Vec::new(), day: 0, in_day: *b"1970-01-01T00:00:00.000000Z," }
    }
}

impl Cells {
    /// Appends a cell of a fixed length, to be changed where it lies.
    #[inline(always)]
    fn put<const N: usize>(&mut self, cell: [u8; N]) -> &mut [u8; N] {
        self.bytes.extend_from_slice(&cell);
        self.bytes.last_chunk_mut().expect("it has just been appended")
    }

    /// Ends the row.
    #[inline]
    pub fn end_row(&mut self) {
        if let Some(comma) = self.bytes.last_mut() {
            *comma = b'\n';
        }
    }

    /// A text, in quotes where it needs them.
    #[inline]
    pub fn text(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        if eight::any(text, eight::has_mark, is_special) && text.iter().any(|byte| is_special(*byte)) {
            self.quoted(text);
        } else {
            self.bytes.extend_from_slice(text);
        }
        self.bytes.push(b',');
    }

    #[cold]
    fn quoted(&mut self, text: &[u8]) {
        self.bytes.push(b'"');
        for part in text.split_inclusive(|byte| *byte == b'"') {
            self.bytes.extend_from_slice(part);
            if part.ends_with(b"\"") {
                self.bytes.push(b'"');
            }
        }
        self.bytes.push(b'"');
    }

    /// A text that needs no quotes.
    #[inline]
    pub fn name(&mut self, name: &str) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b',');
    }

    #[inline]
    pub fn number(&mut self, number: impl itoa::Integer) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.bytes.push(b',');
    }

    /// Any cell of the rows of `files`.
    #[inline(always)]
    pub(crate) fn cell(&mut self, cell: FilesCell<'_>) {
        match cell {
            FilesCell::Id(id) => self.id(id),
            FilesCell::Text(text) => self.text(text),
            FilesCell::Name(name) => self.name(name),
            FilesCell::Time(time) | FilesCell::TimeOrNull(Some(time)) => self.time(time),
            FilesCell::TimeOrNull(None) => self.text(""),
            // Parts and counts are, mostly.
            FilesCell::Number(number @ ..10) => _ = self.put([b'0' + number as u8, b',']),
            FilesCell::Number(number) => self.number(number),
            FilesCell::Ids(ids) => self.text(texts(ids).join(" ")),
        }
    }

    #[inline]
    pub fn id(&mut self, id: SessionId) {
        for (pair, byte) in self.put([b','; 33]).chunks_exact_mut(2).zip(id.as_u128().to_be_bytes()) {
            pair.copy_from_slice(&HEX[usize::from(byte)]);
        }
    }

    #[inline]
    pub fn time(&mut self, time: Timestamp) {
        // Of a time before that day it is a very large number.
        let within = time.as_micros().wrapping_sub(self.day) as u64;
        if within < DAY { self.time_in_day(within) } else { self.time_in_other_day(time) }
    }

    /// A time in the day of the last one.
    #[inline]
    fn time_in_day(&mut self, micros: u64) {
        let (secs, micros) = ((micros / 1_000_000) as u32, (micros % 1_000_000) as u32);
        let (minutes, secs) = (secs / 60, secs % 60);
        let (ten_thousands, micros) = (micros / 10_000, micros % 10_000);
        let cell = self.put(self.in_day);
        cell[11..13].copy_from_slice(pair(minutes / 60));
        cell[14..16].copy_from_slice(pair(minutes % 60));
        cell[17..19].copy_from_slice(pair(secs));
        cell[20..22].copy_from_slice(pair(ten_thousands));
        cell[22..24].copy_from_slice(pair(micros / 100));
        cell[24..26].copy_from_slice(pair(micros % 100));
    }

    /// Remembers the day too, unless its year has not four digits.
    #[inline(never)]
    fn time_in_other_day(&mut self, time: Timestamp) {
        let start = self.bytes.len();
        let _ = write!(self.bytes, "{time},"); // a Vec takes everything
        if let Ok(cell) = self.bytes[start..].try_into() {
            self.day = time.as_micros() - time.as_micros().rem_euclid(DAY as i64);
            self.in_day = cell;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_it_is_shown() {
        let mut cells = Cells::default();
        let numbers = [0, 1, 9, 10, 11, 99, 100, u64::MAX];
        numbers.iter().for_each(|number| cells.cell(FilesCell::Number(*number)));
        let expected: String = numbers.iter().map(|number| format!("{number},")).collect();
        assert_eq!(String::from_utf8(cells.bytes).unwrap(), expected);
    }

    #[test]
    fn a_time_is_written_as_it_is_shown() {
        let days = [0, 1, -1, 17_864, -719_529, -719_528, -25_833_333, 2_932_896, 2_932_897, 3_750_000];
        let within = [0, 1, 59_999_999, 60_000_000, 3_600_000_000, 84_910_123_456, 86_399_999_999];
        let mut times: Vec<i64> = days.iter().flat_map(|day| within.map(|within| day * DAY as i64 + within)).collect();
        times.extend([i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1]);
        for first in &times {
            for second in &times {
                let mut cells = Cells::default();
                let times = [*second, *first, *second].map(Timestamp::from_micros);
                times.iter().for_each(|time| cells.time(*time));
                let expected: String = times.iter().map(|time| format!("{time},")).collect();
                assert_eq!(String::from_utf8(cells.bytes).unwrap(), expected);
            }
        }
    }
}
