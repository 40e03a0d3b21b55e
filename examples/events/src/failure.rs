//! Why the program stops, and with which exit status.

use std::fmt;
use std::io;
use std::path::Path;

use clap::error::{ContextKind, ErrorKind};
use stagger::ConfigError;

/// One clear sentence, and the exit status that goes with it.
#[derive(Debug)]
pub struct Failure {
    pub status: u8,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

impl Failure {
    /// The command or its files cannot work as they are: status 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { status: 2, message: message.to_string() }
    }

    /// `--strict` met a bad line: status 1.
    pub fn strict(message: impl fmt::Display) -> Self {
        Self { status: 1, message: message.to_string() }
    }

    /// A file could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::usage(format_args!("cannot {doing} {}: {}", path.display(), plain(error)))
    }

    /// Writing the results failed. A reader that has seen enough (`| head`) is no failure.
    pub fn writing(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { status: 0, message: String::new() };
        }
        Self::usage(format_args!("cannot write the results: {}", plain(error)))
    }
}

/// The words of an error without the number that the standard library adds.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The message of an error in the command line without the usage that follows it.
pub fn one_sentence(error: &clap::Error) -> String {
    if let (ErrorKind::UnknownArgument, Some(option)) = (error.kind(), error.get(ContextKind::InvalidArg)) {
        let meant = error.get(ContextKind::SuggestedArg).map(|similar| format!("; did you mean {similar}?"));
        return format!("there is no option {option}{}", meant.unwrap_or_default());
    }
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
