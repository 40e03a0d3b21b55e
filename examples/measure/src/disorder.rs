//! How far events are out of order.

use std::time::Duration;

use stagger::Timestamp;

use crate::load::TextEvent;

/// How far each event is behind the latest one before it.
pub(crate) struct Disorder {
    /// Those that are behind at all, sorted.
    behind: Vec<Duration>,
    events: usize,
}

impl Disorder {
    pub(crate) fn of(events: &[TextEvent<'_>]) -> Self {
        let mut latest = Timestamp::MIN;
        let lag = |event: &TextEvent<'_>| {
            latest = latest.max(event.event_time);
            latest.since(event.event_time)
        };
        let mut behind: Vec<Duration> = events.iter().map(lag).filter(|lag| !lag.is_zero()).collect();
        behind.sort_unstable();
        Self { behind, events: events.len() }
    }

    /// The share of events that are behind.
    pub(crate) fn share(&self) -> f64 {
        self.behind.len() as f64 / self.events.max(1) as f64
    }

    /// The delay that this share of all events does not exceed.
    pub(crate) fn within(&self, share: f64) -> Duration {
        let in_order = self.events - self.behind.len();
        let rank = (share * self.events as f64).ceil() as usize;
        let index = rank.saturating_sub(in_order + 1);
        if rank <= in_order { Duration::ZERO } else { self.behind.get(index).copied().unwrap_or_default() }
    }

    /// With this bound nothing is late.
    pub(crate) fn most(&self) -> Duration {
        self.behind.last().copied().unwrap_or_default()
    }
}
