//! Standard input, and whether it was closed when the program began.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Outcome};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// The standard library opens `/dev/null` in the place of a closed standard input, which would pass for an empty
/// one. So it is asked for before.
#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn look() {
    let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdin()).is_err();
    WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Fails if standard input was closed when the program began (`<&-`).
pub fn check() -> Outcome<()> {
    if WAS_CLOSED.load(Ordering::Relaxed) {
        return Err(Failure::usage("cannot read standard input: it is closed"));
    }
    Ok(())
}
