//! The progress bar: bytes, rate and time left, for a person who watches.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const KNOWN: &str = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{spinner} {bytes}, {bytes_per_sec}";

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    read: Arc<AtomicU64>,
}

impl Progress {
    /// `total`: the bytes to read, if known. `shares_terminal`: rows go to the terminal too.
    pub(crate) fn new(total: Option<u64>, shares_terminal: bool, read: Arc<AtomicU64>) -> Self {
        let is_watched = io::stderr().is_terminal() && !shares_terminal;
        let bar = is_watched.then(|| {
            let template = if total.is_some() { KNOWN } else { UNKNOWN };
            let style = ProgressStyle::with_template(template).expect("the templates are right");
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
            bar.with_style(style)
        });
        Self { bar, read }
    }

    /// Shows where the reading is.
    pub(crate) fn update(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.read.load(Ordering::Relaxed));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
