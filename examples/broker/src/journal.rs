//! What changed the broker, in a file, so that it outlives the process.
//!
//! An entry is its length in four bytes, its kind in one, and its content. It is written by one call before it is carried
//! out, and answered after that. So the death of the process loses nothing that was answered; that of the machine may,
//! since nobody waits for the disk. The file only grows.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A request, as it came.
    Request(Bytes),
    /// The transaction of this id was given up, for it was open for too long.
    Expired(String),
}

#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// The length of all whole entries.
    end: u64,
}

impl Journal {
    /// Opens a file, or makes it, and gives all entries in it to `replay`. The last one may lack its end, if the process
    /// died while writing it: nobody has had an answer to it, and it is cut off.
    pub(crate) fn open(path: &Path, mut replay: impl FnMut(Entry) -> Result<()>) -> Result<Self> {
        let open = || OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = open().with_context(|| format!("cannot open the journal {}", path.display()))?;
        file.try_lock().with_context(|| format!("another process has the journal {} open", path.display()))?;
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let mut end = 0;
        while let Some((entry, length)) = read_entry(&mut reader)? {
            let replayed = entry.and_then(&mut replay);
            replayed.with_context(|| format!("{} is damaged at byte {end}: delete it", path.display()))?;
            end += length;
        }
        file.set_len(end)?;
        Ok(Self { file, end })
    }

    pub(crate) fn write(&mut self, entry: &Entry) -> Result<()> {
        let bytes = bytes_of(entry)?;
        if let Err(error) = self.file.write_all(&bytes) {
            self.file.set_len(self.end)?; // a part of it may be there
            return Err(error).context("cannot write the journal");
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

fn bytes_of(entry: &Entry) -> Result<Vec<u8>> {
    let (kind, content) = match entry {
        Entry::Request(frame) => (0, &frame[..]),
        Entry::Expired(id) => (1, id.as_bytes()),
    };
    let mut bytes = u32::try_from(content.len())?.to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(content);
    Ok(bytes)
}

/// The next entry, if it is whole, and how many bytes it takes.
fn read_entry(from: &mut impl Read) -> Result<Option<(Result<Entry>, u64)>> {
    let Some(head) = read_exactly(from, 5)? else { return Ok(None) };
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let Some(content) = read_exactly(from, length.into())? else { return Ok(None) };
    let entry = match head[4] {
        0 => Ok(Entry::Request(content.into())),
        1 => String::from_utf8(content).map(Entry::Expired).context("an id is no text"),
        kind => Err(anyhow::anyhow!("an entry has the unknown kind {kind}")),
    };
    Ok(Some((entry, u64::from(length) + 5)))
}

/// Nothing if fewer bytes are left.
fn read_exactly(from: &mut impl Read, length: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).context("cannot read the journal")?;
    Ok((bytes.len() as u64 == length).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(path: &Path) -> (Journal, Vec<Entry>) {
        let mut entries = Vec::new();
        let journal = Journal::open(path, |entry| {
            entries.push(entry);
            Ok(())
        });
        (journal.unwrap(), entries)
    }

    #[test]
    fn an_entry_without_its_end_is_cut_off() {
        let path = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let [first, second, third] = ["first", "", "third"].map(|text| Entry::Request(Bytes::from(text)));
        let entries = [first, Entry::Expired("id".to_owned()), second];
        let mut journal = read(&path).0;
        entries.iter().for_each(|entry| journal.write(entry).unwrap());
        assert!(
            format!("{:#}", Journal::open(&path, |_| Ok(())).unwrap_err()).contains("another process has the journal")
        );
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let ends = [0, 10, 17, 22];
        assert_eq!(whole.len(), ends[3]);
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (mut journal, found) = read(&path);
            let left = ends[1..].iter().filter(|end| **end <= length).count();
            assert_eq!(found, entries[..left]);
            journal.write(&third).unwrap();
            drop(journal);
            assert_eq!(read(&path).1, [&entries[..left], std::slice::from_ref(&third)].concat());
        }
        fs::write(&path, b"\0\0\0\x01\x07?").unwrap();
        let error = format!("{:#}", Journal::open(&path, |_| Ok(())).unwrap_err());
        assert!(error.contains("is damaged at byte 0: delete it: an entry has the unknown kind 7"), "{error}");
        fs::remove_file(&path).unwrap();
    }
}
