//! Why the program stops, and with which exit status.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::say::say;
use crate::signals;

/// Some of the input could not be used, more than was allowed, or none of it could.
const NOT_USED: u8 = 1;
/// The command or its files cannot work as they are.
pub const CANNOT: u8 = 2;
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

    /// A file could not be read or written. It may be a pipe: see [`writing`](Self::writing).
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::writing(error);
        }
        let hint = if doing == "read" && error.kind() == io::ErrorKind::NotFound { unfound(path) } else { None };
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        Self::usage(format_args!("cannot {doing} {}: {}{hint}", path.display(), plain(error)))
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

/// What may be meant by the name of a file that is not there.
fn unfound(path: &Path) -> Option<String> {
    let name = path.to_str()?;
    if let Some((scheme, rest)) = name.split_once("://") {
        let fetch = match scheme {
            "file" => return Some(format!("write the path alone: {rest}")),
            "s3" => format!("aws s3 cp {name} ."),
            "gs" => format!("gcloud storage cp {name} ."),
            "http" | "https" | "ftp" => format!("curl -LO {name}"),
            _ => return None,
        };
        return Some(format!("fetch it first, as with `{fetch}`"));
    }
    let is_option = |(option, _): &(&str, &str)| {
        option.starts_with(|c: char| c.is_ascii_lowercase())
            && option.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
    };
    match name {
        "help" | "version" => Some(format!("did you mean --{name}?")),
        _ if name.starts_with('~') => Some("the shell replaces ~ only without quotes".to_owned()),
        _ if name.contains(['*', '?']) => {
            Some("no file fits the pattern, or it stands in quotes, where the shell leaves it as it is".to_owned())
        }
        _ if name.starts_with(DASHES) => {
            Some(format!("an option begins with two hyphens: did you mean --{}?", name.trim_start_matches(DASHES)))
        }
        _ if !name.contains('/') && name.split_once('=').as_ref().is_some_and(is_option) => {
            Some(format!("did you mean --{name}?"))
        }
        _ => None,
    }
}

/// Characters that text programs put in the place of hyphens.
const DASHES: [char; 3] = ['\u{2013}', '\u{2014}', '\u{2212}'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_guessed_at() {
        for (name, hint) in [
            ("none.log", ""),
            ("a=b/none.log", ""),
            ("Year=2024", ""),
            ("access*.log", "; no file fits the pattern, or it stands in quotes, where the shell leaves it as it is"),
            ("~/access.log", "; the shell replaces ~ only without quotes"),
            ("file:///var/log/x", "; write the path alone: /var/log/x"),
            ("s3://b/k.gz", "; fetch it first, as with `aws s3 cp s3://b/k.gz .`"),
            ("https://e.org/x", "; fetch it first, as with `curl -LO https://e.org/x`"),
            ("gap=30m", "; did you mean --gap=30m?"),
            ("\u{2013}gap", "; an option begins with two hyphens: did you mean --gap?"),
            ("\u{2014}gap", "; an option begins with two hyphens: did you mean --gap?"),
            ("help", "; did you mean --help?"),
        ] {
            let error = io::ErrorKind::NotFound.into();
            let said = |doing| Failure::file(doing, Path::new(name), &error).message;
            assert_eq!(said("read"), format!("cannot read {name}: entity not found{hint}"));
            assert_eq!(said("write"), format!("cannot write {name}: entity not found"));
        }
    }
}
