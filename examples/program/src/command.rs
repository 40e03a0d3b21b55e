//! The command line.

use std::ffi::OsString;

use clap::Parser;

use crate::failure::{Failure, Outcome, one_sentence};
use crate::stdout;

/// Reads the command line, the program's name first. None if it asked for help or the version, which is written.
pub fn parse<T: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Outcome<Option<T>> {
    match T::try_parse_from(arguments) {
        Ok(options) => Ok(Some(options)),
        Err(error) if !error.use_stderr() => stdout::write(error.render().to_string()).map(|()| None),
        Err(error) => Err(Failure::usage(one_sentence(&error))),
    }
}
