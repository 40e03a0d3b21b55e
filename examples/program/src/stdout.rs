//! Standard output, and whether it was closed when the program began.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Outcome};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// The standard library opens `/dev/null` in the place of a closed standard output, and rows would vanish in
/// silence. So it is asked for before.
#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn look() {
    let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err();
    WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Fails if standard output was closed when the program began (`>&-`).
pub fn check() -> Outcome<()> {
    if WAS_CLOSED.load(Ordering::Relaxed) {
        return Err(Failure::usage("cannot write to standard output: it is closed"));
    }
    Ok(())
}

/// Writes a whole text.
pub fn write(text: impl AsRef<[u8]>) -> Outcome<()> {
    check()?;
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_ref()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::writing(&error))
}
