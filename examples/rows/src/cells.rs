//! The cells of CSV rows, written straight into bytes as the `csv` crate and `Display` would.

use std::io::Write as _;

use events::eight;
use stagger::{SessionId, Timestamp};

const DAY: i64 = 86_400_000_000;
/// `2018-11-29T`
const DATE: usize = 11;
/// `2018-11-29T23:35:10.123456Z`
const TIME: usize = 27;

/// How many times are remembered: those of a row.
const RECENT: usize = 4;

/// Rows in the making.
pub struct Cells {
    pub bytes: Vec<u8>,
    /// The day of the last time written, and how its date reads: times of one day are many.
    day: i64,
    date: [u8; DATE],
    /// The last different times, since those of one row, and windows of several, are often the same.
    recent: [(Timestamp, [u8; TIME + 1]); RECENT],
    newest: usize,
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
        Self {
            bytes: Vec::new(),
            day: i64::MIN,
            date: [0; DATE],
            recent: [(Timestamp::EPOCH, *b"1970-01-01T00:00:00.000000Z,"); RECENT],
            newest: 0,
        }
    }
}

impl Cells {
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

    #[inline]
    pub fn number(&mut self, number: impl itoa::Integer) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.bytes.push(b',');
    }

    #[inline]
    pub fn id(&mut self, id: SessionId) {
        let mut cell = [b','; 33];
        for (pair, byte) in cell.chunks_exact_mut(2).zip(id.as_u128().to_be_bytes()) {
            pair.copy_from_slice(&HEX[usize::from(byte)]);
        }
        self.bytes.extend_from_slice(&cell);
    }

    #[inline]
    pub fn time(&mut self, time: Timestamp) {
        match self.recent.iter().find(|(known, _)| *known == time) {
            Some((_, cell)) => self.bytes.extend_from_slice(cell),
            None => self.new_time(time),
        }
    }

    fn new_time(&mut self, time: Timestamp) {
        let (day, within) = (time.as_micros().div_euclid(DAY), time.as_micros().rem_euclid(DAY));
        if day != self.day && !self.set_day(day, time) {
            return;
        }
        let (secs, micros) = ((within / 1_000_000) as u32, (within % 1_000_000) as u32);
        let mut cell = *b"2018-11-29T23:35:10.123456Z,";
        cell[..DATE].copy_from_slice(&self.date);
        cell[11..13].copy_from_slice(pair(secs / 3600));
        cell[14..16].copy_from_slice(pair(secs % 3600 / 60));
        cell[17..19].copy_from_slice(pair(secs % 60));
        cell[20..22].copy_from_slice(pair(micros / 10_000));
        cell[22..24].copy_from_slice(pair(micros % 10_000 / 100));
        cell[24..26].copy_from_slice(pair(micros % 100));
        self.bytes.extend_from_slice(&cell);
        self.newest = (self.newest + 1) % RECENT;
        self.recent[self.newest] = (time, cell);
    }

    /// Remembers how a day reads. Writes the time as it is if its year has not four digits.
    #[cold]
    fn set_day(&mut self, day: i64, time: Timestamp) -> bool {
        let start = self.bytes.len();
        let _ = write!(self.bytes, "{time}"); // a Vec takes everything
        if self.bytes.len() - start != TIME {
            self.bytes.push(b',');
            return false;
        }
        self.date.copy_from_slice(&self.bytes[start..start + DATE]);
        self.day = day;
        self.bytes.truncate(start);
        true
    }
}
