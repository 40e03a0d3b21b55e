//! Why the program stops, and with which exit status.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};

use crate::say::say;
use crate::signals;

/// Some of the input could not be used, more than was allowed, or none of it could.
const NOT_USED: u8 = 1;
/// The command or its files cannot work as they are.
const CANNOT: u8 = 2;
/// The exit status that a shell gives a program that SIGPIPE has ended: output is missing, and the reader closed the
/// pipe.
pub const CLOSED_PIPE: u8 = 128 + 13;

/// One clear sentence, and the exit status that goes with it.
#[derive(Debug)]
pub struct Failure {
    pub status: u8,
    /// Empty where there is nothing to say.
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// The command or its files cannot work as they are: status 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { status: CANNOT, message: message.to_string() }
    }

    /// Input could not be used: status 1.
    pub fn not_used(message: impl fmt::Display) -> Self {
        Self { status: NOT_USED, message: message.to_string() }
    }

    /// A signal has ended the work early: status 130.
    pub fn interrupted(message: impl fmt::Display) -> Self {
        Self { status: signals::STATUS, message: message.to_string() }
    }

    /// Says why, as the program of this name, and gives the exit status.
    pub fn end(self, name: &str) -> ExitCode {
        if !self.message.is_empty() {
            say(format_args!("{name}: {}", self.message));
        }
        ExitCode::from(self.status)
    }

    /// A file could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::usage(format_args!("cannot {doing} {}: {}", path.display(), plain(error)))
    }

    /// Writing the results failed. A reader that has seen enough (`| head`) needs no message.
    pub fn writing(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { status: CLOSED_PIPE, message: String::new() };
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
pub(crate) fn one_sentence(error: &clap::Error) -> String {
    if let (ErrorKind::UnknownArgument, Some(option)) = (error.kind(), error.get(ContextKind::InvalidArg)) {
        let meant = error.get(ContextKind::SuggestedArg).map(|similar| format!("; did you mean {similar}?"));
        return format!("there is no option {option}{}", meant.unwrap_or_default());
    }
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
