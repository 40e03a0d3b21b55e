//! A test that every program passes.

use std::io::PipeWriter;
use std::process::{Command, Stdio};

use crate::failure::CLOSED_PIPE;

/// A pipe that nobody reads.
///
/// # Panics
/// If the system makes none.
pub fn closed_pipe() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("the system makes a pipe");
    drop(reader);
    writer
}

/// `PROGRAM 2>&1 | head`: the reader of standard output, of standard error, or of both is gone. That is no panic, and
/// has the usual exit status.
///
/// # Panics
/// If the program does otherwise.
pub fn closed_pipes_are_no_panic(program: impl Fn() -> Command) {
    let closed_pipe_status = i32::from(CLOSED_PIPE);
    for (argument, whole, closed) in [
        (None, 0, closed_pipe_status),
        (Some("--help"), 0, closed_pipe_status),
        (Some("--version"), 0, closed_pipe_status),
        (Some("--xyzzy"), 2, 2),
    ] {
        let run = |out: Stdio, errors: Stdio| {
            let mut command = program();
            let ran = command.args(argument).stdout(out).stderr(errors).status();
            ran.expect("the program starts").code()
        };
        assert_eq!(run(closed_pipe().into(), Stdio::null()), Some(closed), "{argument:?}");
        assert_eq!(run(closed_pipe().into(), closed_pipe().into()), Some(closed), "{argument:?}");
        assert_eq!(run(Stdio::null(), closed_pipe().into()), Some(whole), "{argument:?}");
    }
}
