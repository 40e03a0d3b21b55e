//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::{Parser, ValueEnum};

/// SQL over files of sessions, as `kinesis` and `files` write them
#[derive(Debug, Parser)]
#[command(name = "query", version)]
pub(crate) struct Options {
    /// A folder that holds a folder for each table: FOLDER/TABLE/YYYY/MM/DD/HH/file, where a file is
    /// .json, .json.gz or .parquet; or the folder of one table [default: sessions of the bundled clicks]
    pub(crate) folder: Option<PathBuf>,

    /// SQL to run; several statements have `;` between them [default: the article's query of durations]
    #[arg(long, conflicts_with = "file")]
    pub(crate) sql: Option<String>,

    /// Read the SQL from a file, or from standard input with `-`
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,

    /// Give a table a second name; without NAME=, that of the article
    #[arg(long, value_name = "[NAME=]TABLE")]
    pub(crate) table: Vec<Alias>,

    /// The day that current_date is, in UTC [default: today, and 2018-11-29 for the bundled clicks]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) today: Option<NaiveDate>,

    /// Format of the rows
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// The type of a key column in JSON files, where their first lines do not show it
    #[arg(long, value_name = "COLUMN:int|text")]
    pub(crate) key: Vec<String>,

    /// List the files that were read
    #[arg(long)]
    pub(crate) explain_files: bool,

    /// Write the sessions of the bundled clicks into this folder, and stop
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["folder", "sql", "file"])]
    pub(crate) sample: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people
    Table,
    /// With a header; a NULL is nothing, an empty text is ""
    Csv,
    /// An object on each line
    Json,
}

/// The article's name of the table of sessions.
pub(crate) const AGGREGATED: &str = "aggregated";

/// A second name of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) table: String,
}

impl FromStr for Alias {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, table) = text.split_once('=').unwrap_or((AGGREGATED, text));
        if name.is_empty() || table.is_empty() {
            return Err("write NAME=TABLE, such as aggregated=stagger_step_30s".to_owned());
        }
        Ok(Self { name: name.to_lowercase(), table: table.to_lowercase() })
    }
}
