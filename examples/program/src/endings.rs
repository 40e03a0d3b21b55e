//! Names of outputs that promise another form than they would have.

use std::ffi::OsStr;
use std::path::Path;

use crate::failure::{Failure, Outcome};

/// Refuses files that would not be packed, though their names say so.
pub fn check_packed<'a>(outputs: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    for path in outputs {
        let packed = match of(path) {
            "gz" => "gzip",
            "zst" => "zstd",
            "bz2" => "bzip2",
            "xz" => "xz",
            _ => continue,
        };
        return refused(path, &format!("would not be packed: leave out its ending, and pack it with {packed} then"));
    }
    Ok(())
}

/// Refuses a file that would be CSV because no other form was asked for, though its name says another one.
pub fn check_csv(output: &Path) -> Outcome<()> {
    match of(output) {
        "parquet" => refused(output, "would be CSV: say --output-format parquet, which makes a folder of that name"),
        "json" | "jsonl" | "ndjson" => {
            refused(output, "would be CSV: say --output-format jsonl, or csv if that is meant")
        }
        "xlsx" | "xls" | "ods" => {
            let csv = output.with_extension("csv");
            refused(output, &format!("would be CSV, which spreadsheets open too: name it {}", csv.display()))
        }
        _ => Ok(()),
    }
}

fn refused(path: &Path, why: &str) -> Outcome<()> {
    Err(Failure::usage(format_args!("{} {why}", path.display())))
}

/// What follows the last point of the name of a file.
fn of(path: &Path) -> &str {
    path.extension().and_then(OsStr::to_str).unwrap_or_default()
}
