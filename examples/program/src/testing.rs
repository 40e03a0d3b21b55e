//! What tests of several programs need, and a test that every program passes.

mod running;

use std::io::PipeWriter;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::CLOSED_PIPE;
#[cfg(unix)]
pub use running::Signal;
pub use running::{PATIENCE, Running, output, until};

/// A pipe that nobody reads.
///
/// # Panics
/// If the system makes none.
pub fn closed_pipe() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("the system makes a pipe");
    drop(reader);
    writer
}

/// A free port of this machine for a program that is to begin. It is none that systems give to connections, and given once
/// in a process: so nobody takes it until then, nor while the program is away.
///
/// # Panics
/// If no port is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FROM: u32 = 20_000;
    const COUNT: u32 = 12_000;
    let first = std::process::id().wrapping_mul(97); // processes that follow each other begin far apart
    let next = || FROM + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..COUNT).filter_map(|_| u16::try_from(next()).ok()).find(is_free).expect("a port is free")
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
