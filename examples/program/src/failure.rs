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
pub const CANNOT: u8 = 2;
/// The exit status that a shell gives a program that SIGPIPE has ended: output is missing, and the reader closed the
/// pipe.
pub const CLOSED_PIPE: u8 = 128 + 13;

/// Options that users of one program look for in others.
const OF_FILES: [&str; 10] =
    ["--sum", "--min", "--max", "--avg", "--distinct", "--list", "--where", "--not", "--unique", "--visit-number"];

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
pub(crate) fn one_sentence(error: &clap::Error, command: &clap::Command) -> String {
    if let (ErrorKind::UnknownArgument, Some(option)) = (error.kind(), error.get(ContextKind::InvalidArg)) {
        let option = option.to_string();
        let similar = error.get(ContextKind::SuggestedArg).map(ToString::to_string);
        let meant = similar.or_else(|| nearly(&option, command)).map(|similar| format!("; did you mean {similar}?"));
        let elsewhere = || OF_FILES.contains(&&*option).then(|| "; only the program `files` has it".to_owned());
        return format!("there is no option {option}{}", meant.or_else(elsewhere).unwrap_or_default());
    }
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ");
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The option of which one letter is missing, wrong or too much. clap compares longer names only.
fn nearly(wrong: &str, command: &clap::Command) -> Option<String> {
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    names.map(|name| format!("--{name}")).find(|name| differ_by_a_letter(name, wrong))
}

fn differ_by_a_letter(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let before = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[before..], &other[before..]);
    match (one, other) {
        ([_, one_rest @ ..], [_, other_rest @ ..]) => one_rest == other_rest || one_rest == other || one == other_rest,
        ([_], []) | ([], [_]) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_files_is_known_elsewhere() {
        let said = |name: &'static str, wrong: &str| {
            let command = clap::Command::new(name).subcommand(clap::Command::new("run"));
            one_sentence(&command.clone().try_get_matches_from([name, "run", wrong]).unwrap_err(), &command)
        };
        assert_eq!(said("kafka", "--sum"), "there is no option --sum; only the program `files` has it");
        assert_eq!(said("kafka", "--xyzzy"), "there is no option --xyzzy");
    }

    #[test]
    fn a_letter_may_be_missing_wrong_or_too_much() {
        let command = clap::Command::new("files").arg(clap::Arg::new("gap").long("gap"));
        for (wrong, meant) in [
            ("--gp", Some("--gap")),
            ("--ap", Some("--gap")),
            ("--ga", Some("--gap")),
            ("--gop", Some("--gap")),
            ("--gapp", Some("--gap")),
            ("--g", None),
            ("--xyz", None),
            ("--", None),
        ] {
            assert_eq!(nearly(wrong, &command).as_deref(), meant, "{wrong}");
        }
    }
}
