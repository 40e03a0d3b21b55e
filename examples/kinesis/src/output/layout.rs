//! Names and contents of files.
//!
//! Firehose writes `prefix/YYYY/MM/DD/HH/name`, by the time of delivery in UTC. Here the hour is that
//! of the row itself, of the first event of a session: then the name of a file says which rows it holds, the same in
//! every run, and a query for a day reads that day's sessions and no others.

use std::io::Write;

use anyhow::{Error, Result};
use clap::ValueEnum;
use events::columns::Columns;
use rows::SessionRow;
use rows::hours::{folder_of, formatted};
use rows::parquet::Rows;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagger::Timestamp;

use super::{Content, ERRORS, Publication};
use crate::gzip;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Format {
    /// JSON lines
    Json,
    /// Parquet, packed with Snappy
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Compression {
    Gzip,
    None,
}

/// Where files go, how they are named and how they are written. A checkpoint fixes it for the files that
/// it promises: a later run may choose another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    /// A directory by its whole path, or a bucket.
    pub(crate) output: String,
    /// Before the name of the table; with its `/`, if it is to be a folder.
    pub(crate) prefix: String,
    pub(crate) format: Format,
    /// Of JSON lines.
    pub(crate) compression: Compression,
}

/// How files are named and written.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) target: Target,
    pub(crate) stream: String,
    pub(crate) columns: Columns,
}

impl Layout {
    /// `prefix/table/YYYY/MM/DD/HH/stream-1-YYYY-MM-DD-HH-MM-SS-number`, as Firehose puts its stream,
    /// its version, the time and something unique into the name.
    pub(super) fn name(&self, hour: Timestamp, publication: &Publication) -> String {
        let Publication { table, number, part, time, .. } = publication;
        let (hour, time) = (folder_of(hour), formatted(*time, "%Y-%m-%d-%H-%M-%S"));
        let Self { target: Target { prefix, .. }, stream, .. } = self;
        format!("{prefix}{table}/{hour}/{stream}-1-{time}-{number:08}-{part}{}", self.ending(table))
    }

    fn ending(&self, table: &str) -> &'static str {
        match (self.target.format, self.target.compression) {
            (Format::Parquet, _) if table != ERRORS => ".parquet",
            (_, Compression::Gzip) => ".json.gz",
            (_, Compression::None) => ".json",
        }
    }

    /// The bytes of a file. Rows that are no sessions are always JSON lines.
    pub(crate) fn file(&self, rows: Vec<Content>) -> Result<Vec<u8>> {
        let mut sessions = Vec::new();
        let mut lines = Vec::new();
        for row in rows {
            match row {
                Content::Session(session) if self.target.format == Format::Parquet => sessions.push(session),
                Content::Session(session) => lines.extend(session.line(&self.columns)),
                Content::Error(row) | Content::Row(row) => writeln!(lines, "{}", Value::Object(row))?,
            }
        }
        if !sessions.is_empty() {
            return self.parquet(&sessions);
        }
        match self.target.compression {
            Compression::None => Ok(lines),
            Compression::Gzip => Ok(gzip::packed(&lines)?),
        }
    }

    fn parquet(&self, sessions: &[SessionRow]) -> Result<Vec<u8>> {
        let mut rows = Rows::new(self.columns.clone());
        sessions.iter().try_for_each(|session| rows.push(session).map(drop)).map_err(Error::msg)?;
        rows.file().map_err(Error::msg)
    }
}

/// A prefix stays within --output, and names no file or folder that a listing leaves out.
pub(crate) fn prefix(text: &str) -> Result<String, String> {
    let is_outside = |part: &str| part == ".." || part == ".";
    let (folders, last) = text.rsplit_once('/').unwrap_or(("", text));
    let has_hole = text.starts_with('/') || folders.contains("//") || text.ends_with("//");
    if has_hole || text.contains(['\\', ':', '\0']) || folders.split('/').any(is_outside) || is_outside(last) {
        return Err("it must stay within --output: give folders and the beginning of a name, such as aggregated/ \
                    or 2026/clicks-, without .., a leading /, \\ or :"
            .to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stays_within_the_output() {
        for fine in ["", "aggregated/", "a/b/c-", "..a/", "a../b.", "2026-11/x.y/"] {
            assert_eq!(prefix(fine).unwrap(), fine);
        }
        for outside in ["../x/", "../../x/", "a/../../x/", "..", "a/..", "/x/", "//", "a//b/", "./", "x\\..\\", "c:/"] {
            assert!(prefix(outside).unwrap_err().contains("within --output"), "{outside}");
        }
    }
}
