//! The cells of CSV rows, written straight into bytes as the `csv` crate and `Display` would.

use std::io::Write as _;

use stagger::{SessionId, Timestamp};

const DAY: i64 = 86_400_000_000;
/// `2018-11-29T`
const DATE: usize = 11;
/// `2018-11-29T23:35:10.123456Z`
const TIME: usize = 27;

/// Rows in the making.
pub(crate) struct Cells {
    pub(crate) bytes: Vec<u8>,
    /// The day of the last time written, and how its date reads: times of one day are many.
    day: i64,
    date: [u8; DATE],
}

impl Cells {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), day: i64::MIN, date: [0; DATE] }
    }

    /// Ends the row that the cells so far make up.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        if let Some(comma) = self.bytes.last_mut() {
            *comma = b'\n';
        }
    }

    /// A text, in quotes where it needs them.
    #[inline]
    pub(crate) fn text(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        if text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
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
    pub(crate) fn number(&mut self, number: impl itoa::Integer) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.bytes.push(b',');
    }

    #[inline]
    pub(crate) fn id(&mut self, id: SessionId) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut cell = [b','; 33];
        for (pair, byte) in cell.chunks_exact_mut(2).zip(id.as_u128().to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        self.bytes.extend_from_slice(&cell);
    }

    #[inline]
    pub(crate) fn time(&mut self, time: Timestamp) {
        let (day, within) = (time.as_micros().div_euclid(DAY), time.as_micros().rem_euclid(DAY));
        if day != self.day && !self.set_day(day, time) {
            return;
        }
        let (secs, micros) = ((within / 1_000_000) as u32, (within % 1_000_000) as u32);
        let mut cell = *b"2018-11-29T23:35:10.123456Z,";
        cell[..DATE].copy_from_slice(&self.date);
        let pairs = [(11, secs / 3600), (14, secs / 60 % 60), (17, secs % 60)];
        let fraction = [(20, micros / 10_000), (22, micros / 100 % 100), (24, micros % 100)];
        for (at, number) in pairs.into_iter().chain(fraction) {
            cell[at] = b'0' + (number / 10) as u8;
            cell[at + 1] = b'0' + (number % 10) as u8;
        }
        self.bytes.extend_from_slice(&cell);
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
