//! The folder of a demonstration.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const USUAL: &str = "kinesis-demo";

/// Makes the folder. Nothing that is there already is touched.
pub(crate) fn prepare(given: Option<&Path>) -> Result<PathBuf> {
    let Some(folder) = given else { return usual() };
    if !is_free(folder)? {
        bail!("{} is not an empty folder: give a new one with --output", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| failed(folder))?;
    Ok(folder.to_owned())
}

/// The first that is new. Two demonstrations that begin at once get one each.
fn usual() -> Result<PathBuf> {
    let mut folder = PathBuf::from(USUAL);
    let mut number = 1;
    loop {
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.with_context(|| failed(&folder)).map(|()| folder),
        }
        number += 1;
        folder = PathBuf::from(format!("{USUAL}-{number}"));
    }
}

fn failed(folder: &Path) -> String {
    format!("cannot make the folder {}: give another with --output", folder.display())
}

/// Whether nothing is there, or an empty folder.
fn is_free(folder: &Path) -> Result<bool> {
    if !folder.try_exists().with_context(|| format!("cannot look at {}", folder.display()))? {
        return Ok(true);
    }
    if !folder.is_dir() {
        return Ok(false);
    }
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.next().is_none())
}

/// A file or a folder at the top, with the files below it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// The first with rows as lines, for something to look at.
    pub(crate) rows: Option<PathBuf>,
}

/// Files and folders at the top of a folder, by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for path in children(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut entry = Entry { name, ..Entry::default() };
        entry.add(&path)?;
        if path.is_dir() {
            entry.name.push('/');
        }
        entries.push(entry);
    }
    Ok(entries)
}

impl Entry {
    fn add(&mut self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return children(path)?.iter().try_for_each(|child| self.add(child));
        }
        let about = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        self.files += 1;
        self.bytes += about.len();
        let is_sessions = !path.components().any(|part| part.as_os_str() == crate::output::ERRORS);
        if self.rows.is_none() && is_sessions && path.extension().is_some_and(|ending| ending == "json") {
            self.rows = Some(path.to_owned());
        }
        Ok(())
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = read().with_context(|| format!("cannot read {}", folder.display()))?;
    paths.sort();
    Ok(paths)
}
