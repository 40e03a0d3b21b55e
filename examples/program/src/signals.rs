//! SIGINT, SIGTERM and SIGHUP: unfinished files are removed, and the process ends with status 130.
//!
//! A program that can end in an orderly way [asks](Orderly) from time to time whether it should. Only a second
//! signal ends it at once, unless it is the first one again: `timeout` sends each signal to the process and to its group.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::growing;
use crate::say::say;

/// The exit status after a signal.
pub const STATUS: u8 = 130;

static IS_ORDERLY: AtomicBool = AtomicBool::new(false);
static WAS_ASKED: AtomicBool = AtomicBool::new(false);

/// Begins to watch for signals. `name`: the program, for its message.
pub fn watch(name: &'static str) {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        // Without them, the system ends the program as any other.
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
        // A file that grows beyond `ulimit -f` is a failure to write like others.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
        let watch = move || {
            let mut first = None;
            signals.forever().for_each(|signal| act(name, &mut first, (signal, Instant::now())));
        };
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    }
}

/// A signal, and when it came.
type Came = (i32, Instant);

/// Within this time, the same signal again is no second one.
const TWICE: Duration = Duration::from_millis(500);

/// Whether a signal only asks for the end. `first`: the one that did so before.
fn only_asks(first: &mut Option<Came>, (signal, now): Came) -> bool {
    let (same, began) = *first.get_or_insert((signal, now));
    same == signal && now.duration_since(began) < TWICE
}

fn act(name: &str, first: &mut Option<Came>, came: Came) {
    if IS_ORDERLY.load(Ordering::SeqCst) && only_asks(first, came) {
        WAS_ASKED.store(true, Ordering::SeqCst);
        return;
    }
    let (_nothing_is_renamed, has_placed) = growing::abandon();
    let when = if has_placed { "after files were written" } else { "before the end: no file is written" };
    say(format_args!("{name}: interrupted {when}"));
    std::process::exit(STATUS.into());
}

/// As long as this lives, the first signal waits to be asked for.
pub struct Orderly(());

impl Orderly {
    #[must_use]
    pub fn begin() -> Self {
        IS_ORDERLY.store(true, Ordering::SeqCst);
        Self(())
    }

    /// Whether the work should end.
    pub fn is_asked_to_end(&self) -> bool {
        WAS_ASKED.load(Ordering::SeqCst)
    }
}

impl Drop for Orderly {
    fn drop(&mut self) {
        IS_ORDERLY.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_at_once_is_no_second_one() {
        let (start, mut first) = (Instant::now(), None);
        let mut asks = |signal, millis| only_asks(&mut first, (signal, start + Duration::from_millis(millis)));
        assert!(asks(15, 0) && asks(15, 0) && asks(15, 499));
        assert!(!asks(15, 500));
        assert!(!asks(2, 1));
    }
}
