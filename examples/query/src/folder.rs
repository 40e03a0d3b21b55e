//! The folders and files of tables: `FOLDER/TABLE/YYYY/MM/DD/HH/name.json[.gz]|.parquet`. A folder with
//! years in it is itself the only table.
//!
//! Names that begin with `.` or `_` are passed over, as Athena does.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// How many digits the folders of a year, a month, a day and an hour have.
const DIGITS: [usize; 4] = [4, 2, 2, 2];

/// A table with its files, in the order of their names.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) files: Vec<DataFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) partition: Partition,
}

/// Year, month, day and hour.
pub(crate) type Partition = [i32; 4];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    JsonGz,
    Parquet,
}

/// All tables of a folder.
pub(crate) fn tables(folder: &Path) -> Result<Vec<Table>> {
    let shown = folder.display();
    if !folder.is_dir() {
        bail!("{shown} is no folder: give one that `kinesis` wrote, or `files --output-format parquet`");
    }
    if is_table(folder) {
        return Ok(vec![table(folder)?]);
    }
    let children = children(folder)?;
    let mut tables: Vec<Table> = Vec::new();
    for path in children.iter().filter(|path| is_table(path)) {
        let table = table(path)?;
        if tables.iter().any(|other| other.name == table.name) {
            bail!("two folders of {shown} make the same table `{}`: rename one", table.name);
        }
        tables.push(table);
    }
    if tables.is_empty() {
        bail!("{shown} has no tables, which are folders with years in them{}", advice(&children));
    }
    Ok(tables)
}

fn table(folder: &Path) -> Result<Table> {
    let mut table = Table { name: table_name(folder), files: Vec::new() };
    collect(folder, &[], &mut table.files)?;
    Ok(table)
}

/// The folder that was probably meant.
fn advice(children: &[PathBuf]) -> String {
    let has_tables = |path: &&PathBuf| self::children(path).is_ok_and(|paths| paths.iter().any(|path| is_table(path)));
    match children.iter().find(has_tables) {
        Some(below) => format!(": try {}", below.display()),
        None => ": `cargo run --release -p kinesis -- demo` writes some to kinesis-demo/sessions".to_owned(),
    }
}

/// As a crawler of AWS Glue names it: lower case, and nothing but letters, digits and `_`.
fn table_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned()); // of `.` too
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

fn is_table(path: &Path) -> bool {
    children(path).is_ok_and(|paths| paths.iter().any(|path| path.is_dir() && level(path, 0).is_some()))
}

/// The year, month, day or hour that a folder has in its name.
fn level(path: &Path, level: usize) -> Option<i32> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_number = name.len() == *DIGITS.get(level)? && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| is_number)
}

fn collect(folder: &Path, above: &[i32], files: &mut Vec<DataFile>) -> Result<()> {
    for path in children(folder)? {
        if let Some(number) = level(&path, above.len()).filter(|_| path.is_dir()) {
            collect(&path, &[above, &[number]].concat(), files)?;
            continue;
        }
        let Ok(partition) = Partition::try_from(above) else {
            bail!("{} is not at its place, which is TABLE/YYYY/MM/DD/HH/file: move it there or away", path.display());
        };
        files.push(DataFile { kind: kind(&path)?, path, partition });
    }
    Ok(())
}

fn kind(path: &Path) -> Result<Kind> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kinds = [(".json", Kind::Json), (".json.gz", Kind::JsonGz), (".parquet", Kind::Parquet)];
    let kind = kinds.iter().find(|(ending, _)| name.ends_with(ending) && path.is_file());
    let kind = kind.with_context(|| format!("{} is no .json, .json.gz or .parquet file: move it away", path.display()));
    Ok(kind?.1)
}

/// The entries of a folder, by name.
fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = read().with_context(|| format!("cannot read the folder {}", folder.display()))?;
    paths.retain(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with(['.', '_']));
    paths.sort();
    Ok(paths)
}
