//! What one read of an input gave, on its way from the thread that parses to the one that sessionizes.

use std::io;

use stagger::Timestamp;

use crate::parse::{Record, Reject};

/// Records and rejects of one block, in order of their lines. All texts lie in one buffer, so that
/// handing a block over costs no allocation per record.
#[derive(Default)]
pub struct Batch {
    /// For each record its key, then its value.
    texts: String,
    records: Vec<Stored>,
    rejects: Vec<Rejected>,
    /// How many lines it took, and how many of them were empty.
    pub lines: u64,
    pub empty: u64,
    /// Reading failed behind all this.
    pub failure: Option<io::Error>,
}

struct Stored {
    time: Timestamp,
    arrival: Option<Timestamp>,
    line: u64,
    key: u32,
    value: u32,
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
    #[inline]
    pub fn add(&mut self, line: u64, record: &Record<'_>) {
        self.texts.push_str(record.key);
        self.texts.push_str(record.value);
        let (key, value) = (record.key.len() as u32, record.value.len() as u32);
        self.records.push(Stored { time: record.time, arrival: record.arrival, line, key, value });
    }

    #[cold]
    pub fn reject(&mut self, line: u64, bytes: &[u8], reject: Reject) {
        self.rejects.push(Rejected { line, bytes: bytes.into(), reject, after: self.records.len() });
    }

    /// Everything in order of its lines.
    pub fn iter(&self) -> Items<'_> {
        Items { batch: self, records: 0, rejects: 0, start: 0 }
    }

    /// How many bytes its texts have.
    pub fn size(&self) -> usize {
        self.texts.len() + self.rejects.iter().map(|rejected| rejected.bytes.len()).sum::<usize>()
    }

    /// Makes it empty; its room is used again.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.records.clear();
        self.rejects.clear();
        (self.lines, self.empty) = (0, 0);
    }
}

/// The items of a batch.
pub struct Items<'a> {
    batch: &'a Batch,
    /// How many of each were given.
    records: usize,
    rejects: usize,
    /// Where the texts of the next record begin.
    start: usize,
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
        let value = self.start + stored.key as usize;
        let end = value + stored.value as usize;
        let (key, value) = (&batch.texts[self.start..value], &batch.texts[value..end]);
        self.records += 1;
        self.start = end;
        Some(Item::Record(stored.line, Record { key, time: stored.time, arrival: stored.arrival, value }))
    }
}
