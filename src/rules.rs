//! The caller's own rules, and choices that go with every strategy.

use alloc::sync::Arc;
use core::time::Duration;

use crate::data::Value;
use crate::event::EventRef;
use crate::time::Timestamp;

/// The gap after an event, if it is not the default one.
pub(crate) type GapRule<K, V> = Arc<dyn for<'e> Fn(&EventRef<'e, K, V>) -> Option<Duration> + Send + Sync>;

/// The number that tells an event from others of its session.
pub(crate) type IdRule<K, V> = Arc<dyn for<'e> Fn(&EventRef<'e, K, V>) -> u128 + Send + Sync>;

/// Whether a new session starts between two events that follow each other.
pub(crate) type CutRule<V> =
    Arc<dyn for<'p, 'n> Fn(TimedValue<<V as Value>::Ref<'p>>, TimedValue<<V as Value>::Ref<'n>>) -> bool + Send + Sync>;

/// When something happened, and what: one of the events that a [cut rule](crate::Config::cut) looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedValue<V> {
    /// The event time.
    pub time: Timestamp,
    /// The event's value.
    pub value: V,
}

/// What happens when an event would open more sessions than the
/// [bound](crate::Config::max_open_sessions) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// The event is handed back.
    Refuse,
    /// The session that was opened first is closed early, with
    /// [`CloseReason::Evicted`](crate::CloseReason::Evicted).
    CloseOldest,
}

/// By what clock the first and the last event of a session are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FirstLast {
    /// By event time; within one time by arrival.
    #[default]
    EventTime,
    /// By arrival, as Kinesis SQL's `FIRST_VALUE` and `LAST_VALUE` are.
    Arrival,
}

/// The options that go with every strategy, checked.
pub(crate) struct Options {
    /// Allowed lateness in microseconds.
    pub(crate) lateness: i64,
    pub(crate) first_last: FirstLast,
    pub(crate) max_open: usize,
    pub(crate) when_full: WhenFull,
    /// How many sessions one call may emit.
    pub(crate) max_emits: usize,
    pub(crate) updates: UpdateRule,
    /// A session holds one event of each id.
    pub(crate) is_unique: bool,
}

/// When a session that is open is emitted early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpdateRule {
    /// At each multiple of this many microseconds of the clock.
    pub(crate) every: Option<i64>,
    /// When it has this number of events more than its latest summary.
    pub(crate) events: u64,
}

impl UpdateRule {
    pub(crate) const NEVER: Self = Self { every: None, events: u64::MAX };

    pub(crate) fn is_on(&self) -> bool {
        *self != Self::NEVER
    }
}

impl Options {
    /// Whether first and last go by event time, a session is emitted once, and no call leaves any pending.
    pub(crate) fn is_plain(&self) -> bool {
        let is_emitted_once = self.lateness == 0 && !self.updates.is_on();
        is_emitted_once && !self.is_unique && self.max_emits == usize::MAX && self.first_last == FirstLast::EventTime
    }
}
