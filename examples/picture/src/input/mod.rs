//! Files and folders with session rows: JSON lines, CSV, each with gzip or without, and Parquet.
//!
//! The content of a file decides its format, not its name.

mod csv;
mod json;
mod parquet;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use program::same;

use crate::row::Draft;
use crate::sessions::Sessions;

/// How many bad rows are told one by one.
const TOLD: u64 = 5;

/// The folder where `kinesis` puts records that hold no event.
const ERRORS: &str = "errors";

/// What folders are searched for.
const ENDINGS: [&str; 5] = ["json", "jsonl", "ndjson", "csv", "parquet"];

/// Takes rows, and keeps count of those that are none.
pub(crate) struct Reading<'a> {
    sessions: &'a mut Sessions,
    output: &'a Path,
    file: PathBuf,
    pub(crate) files: u64,
    pub(crate) good: u64,
    pub(crate) bad: u64,
    /// Folders above year, month, day and hour that rows came from. Elsewhere all files are one table.
    pub(crate) tables: Vec<PathBuf>,
    /// Messages about the first bad ones.
    pub(crate) told: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Begins to read for a page that is written there, which none of the files may be.
    pub(crate) fn new(sessions: &'a mut Sessions, output: &'a Path) -> Self {
        Self { sessions, output, file: PathBuf::new(), files: 0, good: 0, bad: 0, tables: Vec::new(), told: Vec::new() }
    }

    /// Reads a file, or all files of a folder. Fails if it is not there.
    pub(crate) fn path(&mut self, path: &Path) -> Result<(), String> {
        let mut files = Vec::new();
        find(path, &mut files).map_err(|error| format!("cannot read {}: {}", path.display(), plain(&error)))?;
        if files.is_empty() {
            return Err(format!("{} holds no file of session rows: name another folder", path.display()));
        }
        same::check(files.iter().map(|file| same::Input::File(file)), [self.output])
            .map_err(|failure| failure.message)?;
        for file in files {
            self.files += 1;
            self.file = file.clone();
            let table = self.table(&file);
            self.sessions.of_table(table);
            if let Err(reason) = self.read(&file) {
                self.refuse("", &reason);
            }
        }
        Ok(())
    }

    /// The number of a file's table.
    fn table(&mut self, file: &Path) -> u32 {
        let folder = table(file).unwrap_or_default();
        let known = self.tables.iter().position(|table| *table == folder);
        known.unwrap_or_else(|| {
            self.tables.push(folder);
            self.tables.len() - 1
        }) as u32
    }

    fn read(&mut self, path: &Path) -> Result<(), String> {
        let mut file = BufReader::new(File::open(path).map_err(|error| plain(&error))?);
        let head = file.fill_buf().map_err(|error| plain(&error))?;
        if head.starts_with(b"PAR1") {
            return parquet::read(file.into_inner(), self);
        }
        if head.starts_with(&[0x1f, 0x8b]) {
            return self.text(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)));
        }
        self.text(file)
    }

    /// Reads JSON lines if it begins like an object, and else CSV.
    pub(crate) fn text<R: Read>(&mut self, mut from: BufReader<R>) -> Result<(), String> {
        let head = from.fill_buf().map_err(|error| plain(&error))?;
        match head.trim_ascii_start().first() {
            None => Ok(()),
            Some(b'{') => json::read(from, self),
            Some(b'[') => Err("it is a JSON array: put one object on each line (`jq -c '.[]'` does that)".to_owned()),
            Some(_) => csv::read(from, self),
        }
    }

    /// Takes a row, or the reason why it is none, from a place such as `line 3`.
    fn take(&mut self, place: &str, row: Result<Draft, String>) {
        match row.and_then(|draft| self.sessions.add(&draft)) {
            Ok(()) => self.good += 1,
            Err(reason) => self.refuse(place, &reason),
        }
    }

    fn refuse(&mut self, place: &str, reason: &str) {
        self.bad += 1;
        if self.bad <= TOLD {
            let comma = if place.is_empty() { "" } else { ", " };
            self.told.push(format!("{}{comma}{place}: {reason}", self.file.display()));
        }
    }
}

/// The words of an error without the number that the standard library adds.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// `prefix/table` of `prefix/table/YYYY/MM/DD/HH/name`.
fn table(file: &Path) -> Option<PathBuf> {
    let mut folders = file.ancestors().skip(1);
    for _ in 0..4 {
        let name = folders.next()?.file_name()?.to_str()?;
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    folders.next().map(Path::to_owned)
}

/// The file itself, or those within the folder in order of their names. Names that begin with a dot
/// or an underscore are passed over, as Hadoop and Athena do, and folders of records that could not be read.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let is_hidden = name.starts_with(['.', '_']) || (name == ERRORS && entry.is_dir());
        let ending = name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.').map_or("", |(_, ending)| ending);
        if !is_hidden && (entry.is_dir() || ENDINGS.contains(&ending)) {
            find(&entry, files)?;
        }
    }
    Ok(())
}
