//! Why the program stops, and with which exit status.

use std::fmt;
use std::io;
use std::path::Path;

/// One clear sentence, and the exit status that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    pub(crate) message: String,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// The command or its files cannot work as they are: status 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { status: 2, message: message.to_string() }
    }

    /// `--strict` met a bad line: status 1.
    pub(crate) fn strict(message: impl fmt::Display) -> Self {
        Self { status: 1, message: message.to_string() }
    }

    /// A file could not be read or written.
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::usage(format_args!("cannot {doing} {}: {}", path.display(), plain(error)))
    }

    /// Writing the results failed. A reader that has seen enough (`| head`) is no failure.
    pub(crate) fn writing(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { status: 0, message: String::new() };
        }
        Self::usage(format_args!("cannot write the results: {}", plain(error)))
    }
}

/// The words of an error without the number that the standard library adds.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
