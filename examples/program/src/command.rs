//! The command line.

use std::ffi::OsString;

use clap::Parser;

use crate::failure::{Failure, Outcome, one_sentence};
use crate::stdout;

/// Reads the command line, the program's name first. None if it asked for help or the version, which is written.
pub fn parse<T: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Outcome<Option<T>> {
    match T::try_parse_from(joined(arguments)) {
        Ok(options) => Ok(Some(options)),
        Err(error) if !error.use_stderr() => stdout::write(error.render().to_string()).map(|()| None),
        Err(error) => Err(Failure::usage(one_sentence(&error, &T::command()))),
    }
}

/// Joins an option and a value that begins with a minus, `--zone -03:00`, which would be taken for options.
fn joined(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let is_negative = matches!(argument.as_encoded_bytes(), [b'-', b'0'..=b'9', ..]);
        match joined.last_mut() {
            Some(option) if is_negative && is_option(option) => {
                option.push("=");
                option.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

fn is_option(argument: &OsString) -> bool {
    let bytes = argument.as_encoded_bytes();
    bytes.starts_with(b"--") && bytes.len() > 2 && !bytes.contains(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_begin_with_a_minus() {
        let joined = |text: &str| {
            let words = joined(text.split(' ').map(OsString::from));
            words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(joined("files - --zone -03:00 --gap -5m -"), "files - --zone=-03:00 --gap=-5m -");
        assert_eq!(joined("files --strict --gap=1m -5 -- -5"), "files --strict --gap=1m -5 -- -5");
    }
}
