//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sql::rows::Form;

/// Runs the text of an Amazon Kinesis Data Analytics SQL application: JSON lines in, rows out.
#[derive(Debug, Parser)]
#[command(name = "sql", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: Option<RunOptions>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says for each pump which clock, window, partition and aggregates it has, and what differs from the service
    Explain(TextOptions),
    /// Writes a program in Rust that does the same, with the SQL beside its lines
    Translate(TranslateOptions),
}

/// The text, and the settings that it leaves open.
#[derive(Debug, Args)]
pub(crate) struct TextOptions {
    /// The text of the application
    #[arg(value_name = "APP.SQL")]
    pub(crate) text: PathBuf,

    /// Columns of the source as CREATE STREAM has them: '"user_id" INTEGER, "at" TIMESTAMP', or a file with them.
    /// By default the types follow from the use of the columns in the text
    #[arg(long, value_name = "COLUMNS")]
    pub(crate) schema: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TranslateOptions {
    #[command(flatten)]
    pub(crate) text: TextOptions,

    /// A folder that does not exist yet, for a package with the program and all that it needs
    /// [default: the program as one file, to standard output]
    #[arg(long, value_name = "DIR")]
    pub(crate) package: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The text of the application
    #[arg(value_name = "APP.SQL")]
    pub(crate) text: PathBuf,

    /// Columns of the source as CREATE STREAM has them: '"user_id" INTEGER, "at" TIMESTAMP', or a file with them.
    /// By default the types follow from the use of the columns in the text
    #[arg(long, value_name = "COLUMNS")]
    pub(crate) schema: Option<String>,

    /// Taken so that clap says that --input is missing, not that this is no subcommand
    #[arg(value_name = "RECORDS", hide = true)]
    pub(crate) records: Option<PathBuf>,

    /// The records: JSON lines, packed or not; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Field with the time of arrival, which is ROWTIME. By default rows arrive when they happen, if the text uses
    /// one column of time
    #[arg(long, value_name = "FIELD")]
    pub(crate) arrival: Option<String>,

    /// A file for the rows of one stream; or a folder, with a file for each stream and for the error stream
    /// [default: standard output]
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,

    /// The stream whose rows are written, if it is not the only one that no pump reads
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,

    /// Form of the rows; csv if not given
    #[arg(long, value_name = "FORM")]
    pub(crate) output_format: Option<FormOption>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormOption {
    Csv,
    #[value(aliases = ["json", "ndjson"])]
    Jsonl,
}

impl From<FormOption> for Form {
    fn from(option: FormOption) -> Self {
        match option {
            FormOption::Csv => Self::Csv,
            FormOption::Jsonl => Self::Jsonl,
        }
    }
}
