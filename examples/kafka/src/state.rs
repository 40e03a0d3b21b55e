//! The records of a partition's state, and how it is put together again: without any input or output.
//!
//! Each commit writes one *entry*: now and then a base, which is the whole state, and changes in between, which are
//! the sessions of the keys that changed. An entry that is too large for one record is cut into pieces. Entries are
//! numbered, so that a reader knows whether it has all of them.
//!
//! Records of the topic are keyed (partition, kind, number since the base, piece): those of the base before have the
//! same keys, and compaction removes them.
//!
//! Entry and record are a line of JSON each, with bytes behind it: in an entry the engines' own
//! ([`Snapshot::to_bytes`], [`Changes::to_bytes`]), which have a version and a checksum; in a record a piece of the
//! entry.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use stagger::{Changes, Snapshot};

use crate::sessions::About;

/// The format of entries and records. The bytes of engines have a version of their own.
const FORMAT: u8 = 2;
/// Format 1, of postcard: its first byte is its number.
const FORMER: u8 = 1;
/// Brokers take records of 1 MB, unless they are told otherwise.
const LARGEST_PIECE: usize = 900_000;
/// A base is not worth its bytes before changes take this number of bytes.
const LEAST_CHANGES: usize = 256 * 1024;

/// The state of each rule, under its name.
type Rules<T> = Vec<(String, T)>;

#[derive(Debug)]
pub(crate) enum Entry {
    Base(About, Rules<Snapshot<String, String>>),
    Changes(About, Rules<Changes<String, String>>),
}

/// The line before the bytes of an entry.
#[derive(Serialize, Deserialize)]
struct EntryHead {
    about: About,
    /// The name of each rule, and the number of its bytes.
    rules: Rules<usize>,
}

/// The line before a piece of an entry.
#[derive(Serialize, Deserialize)]
struct PieceHead {
    format: u8,
    is_base: bool,
    number: u64,
    index: u32,
    count: u32,
}

/// The part of [`PieceHead`] that all formats have.
#[derive(Deserialize)]
struct Format {
    format: u8,
}

fn with_head(head: &impl Serialize, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut all = serde_json::to_vec(head)?;
    all.push(b'\n'); // none is in the JSON
    all.extend(bytes);
    Ok(all)
}

fn split_head(all: &[u8]) -> Result<(&[u8], &[u8])> {
    let end = all.iter().position(|byte| *byte == b'\n').context("it has no line of JSON")?;
    Ok((&all[..end], &all[end + 1..]))
}

impl Entry {
    const fn is_base(&self) -> bool {
        matches!(self, Self::Base(..))
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let (about, rules): (_, Rules<Vec<u8>>) = match self {
            Self::Base(about, rules) => (about, each(rules, Snapshot::to_bytes)?),
            Self::Changes(about, rules) => (about, each(rules, Changes::to_bytes)?),
        };
        let lengths = rules.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect();
        let bytes: Vec<&[u8]> = rules.iter().map(|(_, bytes)| &**bytes).collect();
        with_head(&EntryHead { about: about.clone(), rules: lengths }, &bytes.concat())
    }

    fn from_bytes(is_base: bool, bytes: &[u8]) -> Result<Self> {
        let (head, mut rest) = split_head(bytes)?;
        let EntryHead { about, rules } = serde_json::from_slice(head)?;
        let mut parts = Rules::new();
        for (name, length) in rules {
            let (part, after) = rest.split_at_checked(length).context("it ends too early")?;
            parts.push((name, part));
            rest = after;
        }
        ensure!(rest.is_empty(), "{} bytes follow its end", rest.len());
        Ok(match is_base {
            true => Self::Base(about, each(&parts, |bytes| Snapshot::from_bytes(bytes))?),
            false => Self::Changes(about, each(&parts, |bytes| Changes::from_bytes(bytes))?),
        })
    }
}

/// The same for each rule.
fn each<T, U, E>(rules: &Rules<T>, convert: impl Fn(&T) -> Result<U, E>) -> Result<Rules<U>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let of =
        |(name, of): &(String, T)| Ok((name.clone(), convert(of).with_context(|| format!("the sessions of {name}"))?));
    rules.iter().map(of).collect()
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

    /// The entries that a restore has to read.
    pub(crate) const fn bytes(&self) -> usize {
        self.base_bytes + self.changed_bytes
    }

    /// The records of the next entry, and how far the state is written with them.
    pub(crate) fn next(&self, partition: i32, entry: &Entry) -> Result<(Vec<StateRecord>, Self)> {
        let bytes = entry.to_bytes().context("the state cannot be written")?;
        let mut next = Self { number: self.number + 1, ..*self };
        let is_base = entry.is_base();
        next.count(is_base, bytes.len());
        let kind = if is_base { "base" } else { "change" };
        let count = u32::try_from(bytes.len().div_ceil(LARGEST_PIECE))?;
        let piece = |(index, bytes): (u32, &[u8])| {
            let head = PieceHead { format: FORMAT, is_base, number: next.number, index, count };
            let key = format!("{partition}/{kind}/{}/{index}", next.since_base);
            Ok(StateRecord { key, value: with_head(&head, bytes)? })
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
        let (piece, bytes) = read_piece(value).context("a record of the state cannot be read")?;
        let (index, count) = (usize::try_from(piece.index)?, usize::try_from(piece.count)?);
        let entry = self
            .entries
            .entry(piece.number)
            .or_insert_with(|| Collecting { is_base: piece.is_base, pieces: vec![None; count] });
        let place = entry.pieces.get_mut(index).context("a record of the state contradicts another")?;
        *place = Some(bytes.to_vec());
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
            let entry = Entry::from_bytes(entry.is_base, &bytes);
            all.push(entry.with_context(|| format!("entry {number} of the state cannot be read"))?);
        }
        Ok(Some((all, written)))
    }
}

fn read_piece(value: &[u8]) -> Result<(PieceHead, &[u8])> {
    if value.first() == Some(&FORMER) {
        bail!(of_another_format(FORMER));
    }
    let (head, bytes) = split_head(value)?;
    let Format { format } = serde_json::from_slice(head)?;
    if format != FORMAT {
        bail!(of_another_format(format));
    }
    Ok((serde_json::from_slice(head)?, bytes))
}

fn of_another_format(format: u8) -> String {
    format!(
        "it has format {format}, and this release of kafka reads format {FORMAT}: go on with the release that wrote \
         it, or give another --group and --output, which begin with the first record of the input"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stagger::{Config, Engine, Event, Gap, Timestamp};

    use super::*;
    use crate::sessions::tests::about;

    fn engine() -> Engine<String, String> {
        Config::new(Gap::new(Duration::from_secs(60))).build().unwrap()
    }

    fn push(engine: &mut Engine<String, String>, key: &str, second: i64) {
        let event = Event::new(key, Timestamp::from_secs(second), "v");
        assert!(engine.push(event, &mut |_| {}).returned().is_none());
    }

    fn base(engine: &Engine<String, String>) -> Entry {
        Entry::Base(about(), vec![("gap".to_owned(), engine.snapshot())])
    }

    fn change(engine: &Engine<String, String>, keys: &[&str]) -> Entry {
        Entry::Changes(about(), vec![("gap".to_owned(), engine.changes(keys.iter().copied()).unwrap())])
    }

    /// The records of a base, a change, a base and two changes, and which entry each is of.
    fn log() -> Vec<(u64, StateRecord)> {
        let (mut engine, mut written, mut log) = (engine(), Written::default(), Vec::new());
        for number in 1..=5 {
            push(&mut engine, "ann", number);
            let entry = if [1, 3].contains(&number) { base(&engine) } else { change(&engine, &["ann"]) };
            let (records, next) = written.next(7, &entry).unwrap();
            written = next;
            log.extend(records.into_iter().map(|record| (written.number, record)));
        }
        log
    }

    fn collected(records: impl IntoIterator<Item = StateRecord>) -> Result<Option<(Vec<Entry>, Written)>> {
        let mut collected = Collected::default();
        records.into_iter().for_each(|record| collected.add(&record.value).unwrap());
        collected.entries()
    }

    #[test]
    fn reading_begins_with_the_newest_base() {
        let (entries, written) = collected(log().into_iter().map(|(_, record)| record)).unwrap().unwrap();
        assert!(matches!(entries[..], [Entry::Base(..), Entry::Changes(..), Entry::Changes(..)]));
        assert_eq!((written.number, written.since_base), (5, 2));
        assert!(collected([]).unwrap().is_none());
    }

    /// Of records with one key compaction keeps the latest.
    #[test]
    fn compaction_takes_nothing_that_is_needed() {
        let log = log();
        let keys: Vec<&str> = log.iter().map(|(_, record)| &*record.key).collect();
        assert_eq!(keys, ["7/base/0/0", "7/change/1/0", "7/base/0/0", "7/change/1/0", "7/change/2/0"]);
        let is_latest = |i: usize| !keys[i + 1..].contains(&keys[i]);
        let kept = (0..log.len()).filter(|i| is_latest(*i)).map(|i| log[i].1.clone());
        assert_eq!(collected(kept).unwrap().unwrap().1.number, 5);
    }

    #[test]
    fn a_missing_entry_is_told() {
        let without = |missing: u64| collected(log().into_iter().filter(|(n, _)| *n != missing).map(|(_, r)| r));
        assert_eq!(without(4).unwrap_err().to_string(), "the state lacks entry 4: records are missing");
        let headless = log().into_iter().filter(|(n, _)| *n == 2).map(|(_, record)| record);
        assert_eq!(collected(headless).unwrap_err().to_string(), "the state has no base: records are missing");
    }

    /// What one record tells, with all its causes.
    fn told(value: &[u8]) -> String {
        let mut collected = Collected::default();
        let read = collected.add(value).and_then(|()| collected.entries());
        format!("{:#}", read.expect_err("it cannot be read"))
    }

    #[test]
    fn state_of_another_format_is_refused_with_what_to_do() {
        let begin = "a record of the state cannot be read: it has format";
        let end = "and this release of kafka reads format 2: go on with the release that wrote it, or give another \
                   --group and --output, which begin with the first record of the input";
        let former = [1, 1, 1, 0, 1, 3, b'a', b'b', b'c']; // format, base, entry 1, piece 0 of 1, three bytes
        assert_eq!(told(&former), format!("{begin} 1, {end}"));
        assert_eq!(told(b"{\"format\":3,\"new\":[]}\nabc"), format!("{begin} 3, {end}"));
    }

    #[test]
    fn damage_is_told() {
        let whole = log().swap_remove(0).1.value;
        assert!(collected([StateRecord { key: String::new(), value: whole.clone() }]).is_ok());
        for end in 0..whole.len() {
            told(&whole[..end]);
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let error = "its bytes do not agree with their checksum";
        let what = "entry 1 of the state cannot be read: the sessions of gap: the snapshot is damaged";
        assert_eq!(told(&damaged), format!("{what}: {error}"));
        assert_eq!(told(&[&whole[..], b"!"].concat()), "entry 1 of the state cannot be read: 1 bytes follow its end");
        assert_eq!(told(b"\xff"), "a record of the state cannot be read: it has no line of JSON");
    }

    #[test]
    fn a_large_entry_is_cut_into_records_that_a_broker_takes() {
        let mut engine = engine();
        (0..30_000).for_each(|n| push(&mut engine, &format!("a key of some length {n}"), 1));
        let (records, written) = Written::default().next(0, &base(&engine)).unwrap();
        assert!(records.len() > 1 && records.iter().all(|record| record.value.len() < 1_000_000));
        assert_eq!(records[1].key, "0/base/0/1");
        let (entries, found) = collected(records.iter().rev().cloned()).unwrap().unwrap();
        assert_eq!((entries.len(), found), (1, written));
        assert!(collected(records.into_iter().skip(1)).is_err());
    }

    /// Bytes written stay within about twice those of the changes, and bytes to read within twice the state.
    #[test]
    fn a_base_comes_when_changes_have_its_size() {
        let mut written = Written { number: 1, base_bytes: 4 * LEAST_CHANGES, ..Written::default() };
        assert!(Written::default().wants_base() && !written.wants_base());
        written.count(false, 4 * LEAST_CHANGES - 1);
        assert!(!written.wants_base());
        written.count(false, 1);
        assert!(written.wants_base());
        written.count(true, 10);
        assert_eq!((written.bytes(), written.wants_base()), (10, false));
    }
}
