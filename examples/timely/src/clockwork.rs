//! From event times to times of the dataflow.

use std::time::Duration;

use stagger::Timestamp;

use crate::message::Epoch;

/// All of it in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clockwork {
    out_of_order: i64,
    /// The length of an epoch.
    pub epoch: i64,
    /// The distance of checkpoints, a multiple of the epoch.
    checkpoint: i64,
}

impl Clockwork {
    /// An epoch is at least a microsecond. Checkpoints are rounded up to whole epochs.
    pub fn new(out_of_order: Duration, epoch: Duration, checkpoint: Duration) -> Self {
        let micros = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        let epoch = micros(epoch).max(1);
        let epochs = (micros(checkpoint).saturating_add(epoch - 1) / epoch).max(1);
        Self { out_of_order: micros(out_of_order), epoch, checkpoint: epochs.saturating_mul(epoch) }
    }

    /// The watermark of a source that has come to this event time, rounded down to an epoch.
    pub fn watermark(self, greatest: Timestamp) -> Epoch {
        round_down(greatest.as_micros().saturating_sub(self.out_of_order), self.epoch)
    }

    /// The last checkpoint after one watermark and not after another. None if nothing was known before.
    pub fn checkpoint_between(self, before: Epoch, after: Epoch) -> Option<Epoch> {
        let last = round_down(after, self.checkpoint);
        (before > Epoch::MIN && last > before).then_some(last)
    }
}

fn round_down(time: i64, unit: i64) -> i64 {
    time.saturating_sub(time.rem_euclid(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clockwork() -> Clockwork {
        Clockwork::new(Duration::from_micros(5), Duration::from_micros(10), Duration::from_micros(25))
    }

    #[test]
    fn watermarks_are_rounded_down_before_1970_too() {
        let watermark = |time| clockwork().watermark(Timestamp::from_micros(time));
        assert_eq!([14, 15, 24, 25, 5, 4, -5].map(watermark), [0, 10, 10, 20, 0, -10, -10]);
        assert!(watermark(i64::MIN) <= i64::MIN + 10);
    }

    #[test]
    fn checkpoints_are_whole_epochs_apart() {
        let between = |before, after| clockwork().checkpoint_between(before, after);
        assert_eq!(between(10, 20), None);
        assert_eq!(between(20, 30), Some(30)); // 25 is rounded up to 30
        assert_eq!(between(20, 100), Some(90));
        assert_eq!(between(Epoch::MIN, 100), None);
    }
}
