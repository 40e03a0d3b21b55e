//! The records of one read of an input, on their way from the thread that parses to the one that sessionizes.

use std::io;
use std::ops::Range;

use program::say::counted;
use stagger::Timestamp;

use crate::failure::plain;
use crate::input::Source;
use crate::parse::seen::Seen;
use crate::parse::{Record, Reject, keys};

/// Records and rejects of one block, in order of their lines. All texts lie in one buffer, so that
/// handing a block over costs no allocation per record.
#[derive(Default)]
pub struct Batch {
    /// For each record its key, its value, then its further fields, as UTF-8.
    texts: Vec<u8>,
    records: Vec<Stored>,
    /// If a field for it was named, for each record.
    arrivals: Vec<Timestamp>,
    rejects: Vec<Rejected>,
    /// How many lines it took, and how many of them were empty.
    pub lines: u64,
    pub empty: u64,
    /// How many records were left out by a condition.
    pub left_out: u64,
    /// The number of lines read from the input.
    pub last_line: u64,
    /// Reading failed behind all this.
    pub failure: Option<io::Error>,
    /// At the end of the input: what its fields held.
    pub seen: Option<Box<Seen>>,
}

struct Stored {
    time: Timestamp,
    line: u64,
    key: u32,
    value: u32,
    more: u32,
    marks: u8,
}

/// A line that cannot be used.
pub struct Rejected {
    pub line: u64,
    pub bytes: Box<[u8]>,
    pub reject: Reject,
    /// How many records come before it.
    after: usize,
}

/// One line's worth.
pub enum Item<'a> {
    Record(u64, Record<'a>),
    Rejected(&'a Rejected),
}

impl Batch {
    /// Says where its input could not be read any further, if so, and why. A line that its end cuts in two is not used.
    pub fn broken_off(&self, source: &Source) -> Option<String> {
        let (name, after) = (source.name(), counted(self.last_line, "line"));
        let why = plain(self.failure.as_ref()?);
        Some(format!("{name} cannot be read to its end: after {after}, which are used, {why}"))
    }

    /// Adds a record, or why a line is none.
    pub fn take(&mut self, line: u64, bytes: &[u8], record: Result<Record<'_>, Reject>) {
        match record {
            Ok(record) => self.add(line, &record),
            Err(reject) => self.reject(line, bytes, reject),
        }
    }

    #[inline]
    fn add(&mut self, line: u64, record: &Record<'_>) {
        let Record { key, time, arrival, value, marks, more } = *record;
        let texts = [key, value, more];
        texts.iter().for_each(|text| self.texts.extend_from_slice(text.as_bytes()));
        let [key, value, more] = texts.map(|text| text.len() as u32);
        self.records.push(Stored { time, line, key, value, more, marks });
        self.arrivals.extend(arrival);
    }

    /// Adds a record of a key and a value that are parts of a text. A key of several parts has separators between them.
    /// Nothing is added if one of them is missing.
    #[inline(always)]
    pub fn add_parts(
        &mut self,
        line: u64,
        time: Timestamp,
        bytes: &[u8],
        first: Range<usize>,
        others: impl Iterator<Item = Option<Range<usize>>>,
        value: Range<usize>,
    ) -> Option<()> {
        let start = self.texts.len();
        push_part(&mut self.texts, bytes, first);
        for part in others {
            let Some(part) = part else {
                self.texts.truncate(start);
                return None;
            };
            self.texts.push(keys::SEPARATOR as u8);
            push_part(&mut self.texts, bytes, part);
        }
        let key = (self.texts.len() - start) as u32;
        push_part(&mut self.texts, bytes, value);
        let value = (self.texts.len() - start) as u32 - key;
        self.records.push(Stored { time, line, key, value, more: 0, marks: 0 });
        Some(())
    }

    #[cold]
    pub fn reject(&mut self, line: u64, bytes: &[u8], reject: Reject) {
        if let Reject::LeftOut = reject {
            self.left_out += 1;
            return;
        }
        self.rejects.push(Rejected { line, bytes: bytes.into(), reject, after: self.records.len() });
    }

    /// Everything in order of its lines.
    pub fn iter(&self) -> Items<'_> {
        let texts = simdutf8::basic::from_utf8(&self.texts).expect("only whole texts are added");
        Items { batch: self, records: 0, rejects: 0, texts }
    }

    /// How many bytes its texts have.
    pub fn size(&self) -> usize {
        self.texts.len() + self.rejects.iter().map(|rejected| rejected.bytes.len()).sum::<usize>()
    }

    /// Makes it empty; its room is used again.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.records.clear();
        self.arrivals.clear();
        self.rejects.clear();
        (self.lines, self.empty, self.left_out) = (0, 0, 0);
    }
}

/// Appends a part of some bytes. A short one is copied with bytes behind it, which are cut off again: so many at once
/// take no loop and no call.
#[inline(always)]
fn push_part(texts: &mut Vec<u8>, bytes: &[u8], part: Range<usize>) {
    const SHORT: usize = 32;
    let length = part.end.saturating_sub(part.start); // `len` of a range asserts more than is to tell here
    match bytes.get(part.start..).and_then(<[u8]>::first_chunk::<SHORT>) {
        Some(bytes) if length <= SHORT => {
            let end = texts.len() + length;
            texts.extend_from_slice(bytes);
            texts.truncate(end);
        }
        _ => texts.extend_from_slice(&bytes[part]),
    }
}

/// The items of a batch.
pub struct Items<'a> {
    batch: &'a Batch,
    /// How many of each were given.
    records: usize,
    rejects: usize,
    /// The texts from the next record on.
    texts: &'a str,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let batch = self.batch;
        if let Some(rejected) = batch.rejects.get(self.rejects).filter(|rejected| rejected.after == self.records) {
            self.rejects += 1;
            return Some(Item::Rejected(rejected));
        }
        let stored = batch.records.get(self.records)?;
        let (key, texts) = self.texts.split_at(stored.key as usize);
        let (value, texts) = texts.split_at(stored.value as usize);
        let (more, texts) = if stored.more == 0 { ("", texts) } else { texts.split_at(stored.more as usize) };
        let arrival = batch.arrivals.get(self.records).copied();
        self.records += 1;
        self.texts = texts;
        let Stored { line, time, marks, .. } = *stored;
        Some(Item::Record(line, Record { key, time, arrival, value, marks, more }))
    }
}
