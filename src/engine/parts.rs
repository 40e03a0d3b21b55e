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

/// Whether a window opened at that arrival is remembered, or will be when it closes.
pub(super) fn is_remembered(opened: Timestamp, now: Timestamp, range: i64, remember: i64) -> bool {
    let deadline = i128::from(opened.shift(range).as_micros());
    i128::from(now.as_micros()) < deadline + i128::from(remember)
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    part: u32,
    opened: Timestamp,
}

impl Parts {
    pub(crate) fn remember(&mut self, partition: SessionId, part: u32, opened: Timestamp) {
        self.closed.insert(partition, Closed { part, opened });
        self.order.push_back((opened, partition));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Forgets windows of `range` whose deadline was `remember` or more before `now`.
    pub(crate) fn forget(&mut self, now: Timestamp, range: i64, remember: i64) {
        while let Some(&(opened, partition)) = self.order.front() {
            if is_remembered(opened, now, range, remember) {
                return;
            }
            self.order.pop_front();
            if self.closed.get(&partition).is_some_and(|closed| closed.opened == opened) {
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
        let current = |(opened, partition): &(Timestamp, SessionId)| {
            let closed = self.closed.get(partition).filter(|closed| closed.opened == *opened)?;
            Some((*partition, closed.part, *opened))
        };
        self.order.iter().filter_map(current)
    }
}
