//! The limits on reading a shard: five calls and two megabytes a second.
//!
//! Source: Kinesis Data Streams developer guide, "Quotas and limits", and the API reference of
//! GetRecords.

use std::time::Duration;

use tokio::time::Instant;

const CALLS_PER_SECOND: u32 = 5;
const BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;

/// When the next call may be made.
#[derive(Debug)]
pub(crate) struct Pace {
    is_kept: bool,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(is_kept: bool) -> Self {
        Self { is_kept, next: Instant::now() }
    }

    /// Waits until a call may be made.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep_until(self.next).await;
    }

    /// A call was made at `sent` and brought this number of bytes.
    pub(crate) fn called(&mut self, sent: Instant, bytes: usize) {
        if self.is_kept {
            self.next = sent + pause_after(bytes);
        }
    }

    /// Nothing more is to be had for now.
    pub(crate) fn at_tip(&mut self, sent: Instant, poll_every: Duration) {
        self.next = self.next.max(sent + poll_every);
    }
}

fn pause_after(bytes: usize) -> Duration {
    let by_calls = Duration::from_secs(1) / CALLS_PER_SECOND;
    by_calls.max(Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_keep_their_distance() {
        let begin = Instant::now();
        let mut pace = Pace::new(true);
        for _ in 0..10 {
            pace.wait().await;
            pace.called(Instant::now(), 1_000);
        }
        assert_eq!(begin.elapsed().as_millis(), 1_800, "the tenth call of five a second");
        pace.at_tip(Instant::now(), Duration::from_secs(1));
        pace.wait().await;
        assert_eq!(begin.elapsed().as_millis(), 2_800);
        pace.called(Instant::now(), 4 * 1024 * 1024);
        pace.wait().await;
        assert_eq!(begin.elapsed().as_millis(), 4_800, "two seconds for four megabytes");
    }

    #[test]
    fn small_pages_are_bound_by_calls_and_large_ones_by_bytes() {
        assert_eq!(pause_after(0), Duration::from_millis(200));
        assert_eq!(pause_after(419_430), Duration::from_millis(200));
        assert_eq!(pause_after(10 * 1024 * 1024), Duration::from_secs(5), "a full page of 10 MB");
    }
}
