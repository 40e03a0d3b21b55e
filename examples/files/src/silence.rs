//! How long the input has been silent.

use std::time::{Duration, Instant};

/// How long to wait for input before finished rows are shown.
const PAUSE: Duration = Duration::from_millis(50);
/// How long to wait before the next look at the time, and at whether the work should end.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) struct Silence {
    /// When the last input came.
    since: Instant,
    /// Whether the rows finished by then have been shown.
    pub(crate) is_noted: bool,
}

impl Default for Silence {
    fn default() -> Self {
        Self { since: Instant::now(), is_noted: false }
    }
}

impl Silence {
    pub(crate) fn length(&self) -> Duration {
        self.since.elapsed()
    }

    /// How long to wait for the end of it.
    pub(crate) fn patience(&self) -> Duration {
        if self.is_noted { PATIENCE } else { PAUSE }
    }
}
