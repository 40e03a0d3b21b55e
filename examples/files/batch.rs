//! What one read of an input gave, on its way from the thread that parses to the one that sessionizes.

use std::io;

use stagger::Timestamp;

use crate::parse::{Record, Reject};

/// Records and rejects of one block, in order of their lines. All texts lie in one buffer, so that
/// handing a block over costs no allocation per record.
#[derive(Default)]
pub(crate) struct Batch {
    /// For each record its key, then its value.
    texts: String,
    records: Vec<Stored>,
    rejects: Vec<Rejected>,
    /// How many lines it took, and how many of them were empty.
    pub(crate) lines: u64,
    pub(crate) empty: u64,
    /// Reading failed behind all this.
    pub(crate) failure: Option<io::Error>,
}

struct Stored {
    time: Timestamp,
    arrival: Option<Timestamp>,
    line: u64,
    key: u32,
    value: u32,
}

/// A line that cannot be used.
pub(crate) struct Rejected {
    pub(crate) line: u64,
    pub(crate) bytes: Box<[u8]>,
    pub(crate) reject: Reject,
    /// How many records come before it.
    after: usize,
}

/// One line's worth.
pub(crate) enum Item<'a> {
    Record(u64, Record<'a>),
    Rejected(&'a Rejected),
}

impl Batch {
    #[inline]
    pub(crate) fn add(&mut self, line: u64, record: &Record<'_>) {
        self.texts.push_str(record.key);
        self.texts.push_str(record.value);
        let (key, value) = (record.key.len() as u32, record.value.len() as u32);
        self.records.push(Stored { time: record.time, arrival: record.arrival, line, key, value });
    }

    #[cold]
    pub(crate) fn reject(&mut self, line: u64, bytes: &[u8], reject: Reject) {
        self.rejects.push(Rejected { line, bytes: bytes.into(), reject, after: self.records.len() });
    }

    /// Everything in order of its lines.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        let mut rejects = self.rejects.iter().peekable();
        let mut records = self.records.iter().enumerate().peekable();
        let mut texts = self.texts.as_str();
        std::iter::from_fn(move || {
            let done = records.peek().map_or(self.records.len(), |(index, _)| *index);
            if let Some(rejected) = rejects.next_if(|rejected| rejected.after <= done) {
                return Some(Item::Rejected(rejected));
            }
            let (_, stored) = records.next()?;
            let (key, rest) = texts.split_at(stored.key as usize);
            let (value, rest) = rest.split_at(stored.value as usize);
            texts = rest;
            Some(Item::Record(stored.line, Record { key, time: stored.time, arrival: stored.arrival, value }))
        })
    }

    /// Makes it empty; its room is used again.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.records.clear();
        self.rejects.clear();
        (self.lines, self.empty) = (0, 0);
    }
}
