//! Stagger windows: partitions of (key, bucket), closed by age or by the watermark.

use alloc::string::ToString;
use core::time::Duration;

use super::{Bucket, Settings, length_text, or_none};

/// Kinesis SQL's stagger windows, and their counterpart on the event clock.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Bucket, Stagger, Unit};
///
/// // WINDOWED BY STAGGER (PARTITION BY key, STEP(t BY INTERVAL '30' SECOND) RANGE INTERVAL '30' SECOND)
/// let seconds = Stagger::on_arrival(Bucket::step(Duration::from_secs(30)), Duration::from_secs(30));
/// // The same partitions, closed by the watermark: the result does not depend on arrival order.
/// let minutes = Stagger::on_event_time(Bucket::floor(Unit::Minute));
/// # let _ = (seconds, minutes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stagger {
    pub(crate) clock: StaggerClock,
    /// How long parts are remembered, if the caller says so.
    pub(crate) remember: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StaggerClock {
    Event { bucket: Bucket },
    Arrival { bucket: Option<Bucket>, range: Duration },
}

impl Stagger {
    /// The arrival clock, as Kinesis SQL has it: per (key, bucket) a window opens when its first
    /// event arrives and closes when the arrival clock is `range` later. Activity does not extend
    /// it, it is not aligned, and nothing is late: a straggler opens the partition again as the
    /// next part.
    ///
    /// The arrival clock is the greatest arrival time so far; an event that claims to have arrived
    /// earlier arrives now. An event exactly `range` after the opening belongs to the next part
    /// (AWS documents no case at this boundary; windows here are half open).
    ///
    /// Source: "Stagger Windows" in the Kinesis Data Analytics for SQL developer guide.
    #[must_use]
    pub const fn on_arrival(bucket: Bucket, range: Duration) -> Self {
        Self { clock: StaggerClock::Arrival { bucket: Some(bucket), range }, remember: None }
    }

    /// The arrival clock without a bucket: one window at a time for each key.
    #[must_use]
    pub const fn per_key(range: Duration) -> Self {
        Self { clock: StaggerClock::Arrival { bucket: None, range }, remember: None }
    }

    /// The event clock: the window of a (key, bucket) is the bucket itself, and it closes when the
    /// watermark reaches its end.
    #[must_use]
    pub const fn on_event_time(bucket: Bucket) -> Self {
        Self { clock: StaggerClock::Event { bucket }, remember: None }
    }

    /// How long after closing a window its partition is remembered, so that a straggler becomes
    /// the next part; a later one begins again with part 1 (under a different session id all the
    /// same). Default: as long as the range. Costs a copy of the key and about 50 bytes per window closed
    /// within this time, and nothing when zero. A window closed early to make room is not remembered, and of more
    /// than [`max_open_sessions`](crate::Config::max_open_sessions) the one closed first is forgotten.
    /// On the event clock it has no meaning and is refused.
    #[must_use]
    pub const fn remember_parts(mut self, remember: Duration) -> Self {
        self.remember = Some(remember);
        self
    }
    /// How long parts are remembered on the arrival clock with this range.
    pub(crate) fn remember(&self, range: Duration) -> Duration {
        self.remember.unwrap_or(range)
    }

    pub(super) fn settings(&self) -> Settings {
        let strategy = ("strategy", "stagger".into());
        match &self.clock {
            StaggerClock::Event { bucket } => {
                [strategy, ("bucket", bucket.to_string()), ("clock", "event time".into())].into()
            }
            StaggerClock::Arrival { bucket, range } => [
                strategy,
                ("bucket", or_none(bucket.as_ref(), ToString::to_string)),
                ("clock", "arrival time".into()),
                ("range", length_text(*range)),
                ("remember_parts", length_text(self.remember(*range))),
            ]
            .into(),
        }
    }
}
