//! How often a partition has been opened on the arrival clock.

use alloc::collections::VecDeque;

use hashbrown::HashMap;

use crate::id::SessionId;
use crate::time::Timestamp;

/// The parts of windows closed lately, by a hash of (key, bucket) that is the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    closed: HashMap<SessionId, Closed>,
    order: VecDeque<(Timestamp, SessionId)>,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    part: u32,
    until: Timestamp,
}

impl Parts {
    pub(crate) fn remember(&mut self, partition: SessionId, part: u32, until: Timestamp) {
        self.closed.insert(partition, Closed { part, until });
        self.order.push_back((until, partition));
    }

    /// Forgets what needs no more remembering at `now`.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        while let Some(&(until, partition)) = self.order.front() {
            if until > now {
                return;
            }
            self.order.pop_front();
            if self.closed.get(&partition).is_some_and(|closed| closed.until <= now) {
                self.closed.remove(&partition);
            }
        }
    }

    /// The part that opens now.
    pub(crate) fn next(&self, partition: impl FnOnce() -> SessionId) -> u32 {
        if self.closed.is_empty() {
            return 1;
        }
        self.closed.get(&partition()).map_or(1, |closed| closed.part.saturating_add(1))
    }

    /// Everything remembered, in the order in which it will be forgotten.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, u32, Timestamp)> {
        let current = |(until, partition): &(Timestamp, SessionId)| {
            let closed = self.closed.get(partition).filter(|closed| closed.until == *until)?;
            Some((*partition, closed.part, *until))
        };
        self.order.iter().filter_map(current)
    }
}
