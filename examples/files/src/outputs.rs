//! That no output overwrites an input, or another output.

use std::path::{Path, PathBuf};

use events::failure::{Failure, Outcome};
use events::input::Source;

use crate::options::Results;

/// Finds such mistakes in the command while nothing has been written.
pub(crate) fn check(results: &Results, sources: &[Source]) -> Outcome<()> {
    let mut written: Vec<PathBuf> = Vec::new();
    for path in [&results.output, &results.events, &results.rejects, &results.late].into_iter().flatten() {
        if path == Path::new("-") && Some(path) == results.output.as_ref() {
            continue;
        }
        if path.exists() && !path.is_file() {
            continue; // a device or a pipe
        }
        let place = resolved(path);
        let is_input = |source: &Source| matches!(source, Source::File(input) if resolved(input) == place);
        if sources.iter().any(is_input) {
            return Err(Failure::usage(format_args!("{} is an input: write to another file", path.display())));
        }
        if written.contains(&place) {
            return Err(Failure::usage(format_args!("{} is written twice: name two files", path.display())));
        }
        written.push(place);
    }
    Ok(())
}

fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
