//! Which files were opened for rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

/// Of all tables that were asked for. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads(Arc<Mutex<BTreeMap<String, Table>>>);

#[derive(Debug, Default)]
struct Table {
    files: usize,
    last_day: String,
    read: BTreeSet<PathBuf>,
}

impl Reads {
    /// Rows of this table are wanted.
    pub(crate) fn asked(&self, table: &str, files: usize, last_day: String) {
        let mut tables = self.tables();
        let table = tables.entry(table.to_owned()).or_default();
        (table.files, table.last_day) = (files, last_day);
    }

    /// A file is opened.
    pub(crate) fn opened(&self, table: &str, file: &Path) {
        self.tables().entry(table.to_owned()).or_default().read.insert(file.to_owned());
    }

    /// A line for each table; after it the files, below this folder.
    pub(crate) fn report(&self, list_below: Option<&Path>, today: NaiveDate) -> String {
        let mut text = String::new();
        for (name, table) in &*self.tables() {
            let (read, files) = (table.read.len(), table.files);
            let _ = write!(text, "{name}: {read} of {files} files read");
            if read == 0 && files > 0 {
                let _ =
                    write!(text, "; current_date was {today}, the last day in it is {0}: --today {0}", table.last_day);
            }
            text.push('\n');
            if let Some(folder) = list_below {
                for file in &table.read {
                    let _ = writeln!(text, "  {}", file.strip_prefix(folder).unwrap_or(file).display());
                }
            }
        }
        text
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
