//! The records of a partition's state, and how it is put together again: without any input or output.
//!
//! Each commit writes one *entry*: now and then a base, which is the whole state, and changes in between, which are
//! the sessions of the keys that changed. An entry that is too large for one record is cut into pieces. Entries are
//! numbered, so that a reader knows whether it has all of them.
//!
//! Records of the topic are keyed (partition, kind, number since the base, piece): those of the base before have the
//! same keys, and compaction removes them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use stagger::{Changes, Snapshot};

use crate::sessions::About;

/// Of the form in which pieces are written.
const FORMAT: u8 = 1;
/// Brokers take records of 1 MB, unless they are told otherwise.
const LARGEST_PIECE: usize = 900_000;
/// A base is not worth its bytes before there are so many bytes of changes.
const LEAST_CHANGES: usize = 256 * 1024;

/// The state of each rule, under its name.
type Rules<T> = Vec<(String, T)>;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    Base(About, Rules<Snapshot<String, String>>),
    Changes(About, Rules<Changes<String, String>>),
}

/// A part of an entry, as the value of a record.
#[derive(Debug, Serialize, Deserialize)]
struct Piece<'a> {
    format: u8,
    is_base: bool,
    number: u64,
    index: u32,
    count: u32,
    bytes: &'a [u8],
}

/// A record for the topic of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateRecord {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
}

/// How far the state has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The number of the latest entry.
    pub(crate) number: u64,
    /// Entries since the base.
    since_base: u64,
    base_bytes: usize,
    changed_bytes: usize,
}

impl Written {
    /// Whether the next entry should be a base: if there is none, or if reading the changes costs more than reading
    /// it. So all that is written is at most about twice the changes.
    pub(crate) fn wants_base(&self) -> bool {
        self.number == 0 || self.changed_bytes >= self.base_bytes.max(LEAST_CHANGES)
    }

    /// What a restore has to read.
    pub(crate) const fn bytes(&self) -> usize {
        self.base_bytes + self.changed_bytes
    }

    /// The records of the next entry, and how far the state is written with them.
    pub(crate) fn next(&self, partition: i32, entry: &Entry) -> Result<(Vec<StateRecord>, Self)> {
        let bytes = postcard::to_stdvec(entry).context("the state cannot be written")?;
        let mut next = Self { number: self.number + 1, ..*self };
        let is_base = matches!(entry, Entry::Base(..));
        next.count(is_base, bytes.len());
        let kind = if is_base { "base" } else { "change" };
        let count = u32::try_from(bytes.len().div_ceil(LARGEST_PIECE))?;
        let piece = |(index, bytes): (u32, &[u8])| {
            let piece = Piece { format: FORMAT, is_base, number: next.number, index, count, bytes };
            let key = format!("{partition}/{kind}/{}/{index}", next.since_base);
            Ok(StateRecord { key, value: postcard::to_stdvec(&piece)? })
        };
        Ok(((0..).zip(bytes.chunks(LARGEST_PIECE)).map(piece).collect::<Result<_>>()?, next))
    }

    fn count(&mut self, is_base: bool, bytes: usize) {
        match is_base {
            true => (self.since_base, self.base_bytes, self.changed_bytes) = (0, bytes, 0),
            false => (self.since_base, self.changed_bytes) = (self.since_base + 1, self.changed_bytes + bytes),
        }
    }
}

/// Puts the pieces of a partition together, in the order of its log.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    entries: BTreeMap<u64, Collecting>,
}

#[derive(Debug)]
struct Collecting {
    is_base: bool,
    pieces: Vec<Option<Vec<u8>>>,
}

impl Collecting {
    fn bytes(&self) -> Option<Vec<u8>> {
        let pieces: Option<Vec<&[u8]>> = self.pieces.iter().map(Option::as_deref).collect();
        pieces.map(|pieces| pieces.concat())
    }
}

impl Collected {
    pub(crate) fn add(&mut self, value: &[u8]) -> Result<()> {
        let piece: Piece<'_> = postcard::from_bytes(value).context("a record of the state cannot be read")?;
        ensure!(piece.format == FORMAT, "the state was written by another version of this program");
        let (index, count) = (usize::try_from(piece.index)?, usize::try_from(piece.count)?);
        let entry = self
            .entries
            .entry(piece.number)
            .or_insert_with(|| Collecting { is_base: piece.is_base, pieces: vec![None; count] });
        let place = entry.pieces.get_mut(index).context("a record of the state contradicts another")?;
        *place = Some(piece.bytes.to_vec());
        if entry.is_base && entry.pieces.iter().all(Option::is_some) {
            self.entries = self.entries.split_off(&piece.number); // older ones are of no use
        }
        Ok(())
    }

    /// The entries from the newest base on. Of older ones compaction may have left a part.
    pub(crate) fn entries(self) -> Result<Option<(Vec<Entry>, Written)>> {
        let mut entries = self.entries.into_iter();
        let Some((first, base)) = entries.next() else { return Ok(None) };
        ensure!(base.is_base, "the state has no base: records are missing");
        let mut written = Written { number: first - 1, ..Written::default() };
        let mut all = Vec::new();
        for (number, entry) in std::iter::once((first, base)).chain(entries) {
            let bytes = entry.bytes().filter(|_| number == written.number + 1);
            let Some(bytes) = bytes else { bail!("the state lacks entry {}: records are missing", written.number + 1) };
            written.number = number;
            written.count(entry.is_base, bytes.len());
            all.push(postcard::from_bytes(&bytes).context("an entry of the state cannot be read")?);
        }
        Ok(Some((all, written)))
    }
}
