//! SIGINT, SIGTERM and SIGHUP: unfinished files are removed, and the process ends with status 130.
//!
//! A program that can end in an orderly way [asks](Orderly) from time to time whether it should. Only a second
//! signal ends it at once, unless it is the first one again: `timeout` sends each signal to the process and to its group.
//!
//! A signal that is ignored when the program begins stays so: that of `nohup`, and that of a job in the background.
//! Others that would end the program (SIGQUIT, SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2) do so, after unfinished files are
//! removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(unix)]
use signal_hook::consts;

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
        let ignored = ignored();
        let heeded = WITH_A_STATUS.iter().chain(&AS_USUAL).filter(|signal| !is_among(**signal, ignored));
        // Without them, the system ends the program as any other.
        let Ok(mut signals) = signal_hook::iterator::Signals::new(heeded) else { return };
        // A file that grows beyond `ulimit -f` is a failure to write like others.
        let _ = signal_hook::flag::register(consts::SIGXFSZ, std::sync::Arc::default());
        let watch = move || {
            let mut first = None;
            signals.forever().for_each(|signal| act(name, &mut first, (signal, Instant::now())));
        };
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    }
}

/// Signals that end the program with [`STATUS`].
#[cfg(unix)]
const WITH_A_STATUS: [i32; 3] = [consts::SIGHUP, consts::SIGINT, consts::SIGTERM];
/// Signals that end the program as if it did not know them.
#[cfg(unix)]
const AS_USUAL: [i32; 5] = [consts::SIGQUIT, consts::SIGALRM, consts::SIGXCPU, consts::SIGUSR1, consts::SIGUSR2];

/// The signals that are ignored, a bit for each, where the system tells it (Linux).
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(unix)]
fn is_among(signal: i32, bits: u64) -> bool {
    bits & (1 << (signal - 1)) != 0
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

#[cfg(unix)]
fn act(name: &str, first: &mut Option<Came>, came: Came) {
    if AS_USUAL.contains(&came.0) {
        let _nothing_is_renamed = growing::abandon();
        let _ = signal_hook::low_level::emulate_default_handler(came.0);
    }
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
