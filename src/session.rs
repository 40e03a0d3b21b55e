//! One open session: opened by an event, extended, merged, and turned into a summary.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::Lent;
use crate::id::SessionId;
use crate::summary::{Correction, Identity, Superseded};
use crate::time::Timestamp;

/// By what clock the first and the last event of a session are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FirstLast {
    /// By event time; within one time by arrival.
    #[default]
    EventTime,
    /// By arrival, as Kinesis SQL's `FIRST_VALUE` and `LAST_VALUE` are.
    Arrival,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Session<K, V, S> {
    pub(crate) key: K,
    pub(crate) first_value: V,
    pub(crate) last_value: V,
    pub(crate) state: S,
    /// Start of the bucket, index of the sliding window, or 0.
    pub(crate) bucket: i64,
    /// Least and greatest event time.
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// The first instant at which no event joins by time alone: end of the window, or the furthest
    /// reach of a gap. On the arrival clock: the arrival that opened it.
    pub(crate) end: Timestamp,
    /// Number of the push that brought the earliest arrival in it.
    pub(crate) opened: u64,
    pub(crate) count: u64,
    pub(crate) part: u32,
    /// Ended by a cut rule; `end` is the time of the event that did it.
    pub(crate) cut: bool,
    /// It began behind the watermark, where its key may have had another session before.
    pub(crate) again: bool,
    pub(crate) extra: Option<Box<Extra<V>>>,
}

/// What only some configurations need to know about a session.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Extra<V> {
    /// With allowed lateness: what has been handed out.
    pub(crate) reported: Option<Reported>,
    /// Summaries that the next revision replaces.
    pub(crate) supersedes: Vec<Superseded>,
    /// When sessions are built in order of time but first and last are told by arrival: the number
    /// of the push that brought the latest arrival, and the value of the latest event.
    pub(crate) newest: u64,
    pub(crate) previous: Option<V>,
}

impl<V: Value> Extra<V> {
    pub(crate) fn copy(&self) -> Self {
        let previous = self.previous.as_ref().map(|value| V::keep(value.lend()));
        Self { supersedes: self.supersedes.clone(), previous, ..*self }
    }
}

impl<V> Default for Extra<V> {
    fn default() -> Self {
        Self { reported: None, supersedes: Vec::new(), newest: 0, previous: None }
    }
}

/// The latest summary handed out for a session that is kept for corrections.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Reported {
    pub(crate) identity: Identity,
    pub(crate) revision: u32,
    pub(crate) count: u64,
    /// Nothing has changed since.
    pub(crate) current: bool,
}

/// Where and how a session opens.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) bucket: i64,
    pub(crate) end: Timestamp,
    pub(crate) opened: u64,
    pub(crate) part: u32,
    pub(crate) again: bool,
}

impl<K: Key, V: Value, S> Session<K, V, S> {
    pub(crate) fn open(event: &Lent<'_, K, V>, opening: Opening, state: S) -> Self {
        let Opening { bucket, end, opened, part, again } = opening;
        Self {
            key: K::keep(event.key),
            first_value: V::keep(event.value),
            last_value: V::keep(event.value),
            state,
            bucket,
            first: event.event_time,
            last: event.event_time,
            end,
            opened,
            count: 1,
            part,
            cut: false,
            again,
            extra: None,
        }
    }

    /// Whether, with an event at `time`, the session begins behind the watermark `now`. Within the
    /// out-of-orderness bound it never does.
    #[inline]
    pub(crate) fn begins_again(&self, time: Timestamp, now: Timestamp) -> bool {
        if time < self.first { time < now } else { self.again }
    }

    /// Adds the event that arrives now.
    #[inline]
    pub(crate) fn extend<A>(&mut self, event: &Lent<'_, K, V>, order: FirstLast, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        let (is_first, is_last) = match order {
            FirstLast::EventTime => (event.event_time < self.first, event.event_time >= self.last),
            FirstLast::Arrival => (false, true),
        };
        self.add(event, is_first, is_last, aggregate);
    }

    /// Adds the event of push number `arrival`, which may have arrived before others in here.
    pub(crate) fn extend_with_earlier_arrival<A>(
        &mut self,
        event: &Lent<'_, K, V>,
        arrival: u64,
        order: FirstLast,
        aggregate: &A,
    ) where
        A: Aggregate<K, V, State = S>,
    {
        if order == FirstLast::EventTime {
            self.extend(event, order, aggregate);
        } else {
            let is_latest = event.event_time >= self.last;
            let extra = self.extra.get_or_insert_default();
            extra.newest = extra.newest.max(self.opened);
            let is_last = arrival > extra.newest;
            extra.newest = extra.newest.max(arrival);
            if is_latest {
                match &mut extra.previous {
                    Some(previous) => previous.replace(event.value),
                    none => *none = Some(V::keep(event.value)),
                }
            }
            self.add(event, arrival < self.opened, is_last, aggregate);
        }
        self.opened = self.opened.min(arrival);
    }

    #[inline]
    fn add<A>(&mut self, event: &Lent<'_, K, V>, is_first: bool, is_last: bool, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        if is_first {
            self.first_value.replace(event.value);
        }
        if is_last {
            self.last_value.replace(event.value);
        }
        self.first = self.first.min(event.event_time);
        self.last = self.last.max(event.event_time);
        self.count += 1;
        aggregate.add(&mut self.state, event);
        if let Some(reported) = self.extra.as_mut().and_then(|extra| extra.reported.as_mut()) {
            reported.current = false;
        }
    }

    pub(crate) fn copy(&self) -> Self
    where
        S: Clone,
    {
        Self {
            key: K::keep(self.key.lend()),
            first_value: V::keep(self.first_value.lend()),
            last_value: V::keep(self.last_value.lend()),
            state: self.state.clone(),
            extra: self.extra.as_ref().map(|extra| Box::new(extra.copy())),
            ..*self
        }
    }

    /// The value of the latest event by event time.
    pub(crate) fn latest(&self) -> V::Ref<'_> {
        let previous = self.extra.as_ref().and_then(|extra| extra.previous.as_ref());
        previous.unwrap_or(&self.last_value).lend()
    }

    /// Takes over another session, which opened later. (By arrival the last event is the one that
    /// bridges the two, and is added afterwards.)
    pub(crate) fn merge<A>(&mut self, other: Self, order: FirstLast, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        if order == FirstLast::EventTime && other.first < self.first {
            self.first_value = other.first_value;
        }
        if other.last > self.last {
            self.last_value = other.last_value;
        }
        if other.first < self.first {
            (self.first, self.again) = (other.first, other.again);
        }
        self.last = self.last.max(other.last);
        self.end = self.end.max(other.end);
        self.count += other.count;
        aggregate.merge(&mut self.state, other.state);
        if let Some(others) = other.extra {
            self.take_over_reports(&other.key, other.part, *others);
        }
    }

    /// What was reported of a merged session is replaced by the next revision of this one.
    fn take_over_reports(&mut self, key: &K, part: u32, others: Extra<V>) {
        let Some(theirs) = others.reported else { return };
        let extra = self.extra.get_or_insert_default();
        extra.supersedes.extend(others.supersedes);
        if let Some(ours) = &mut extra.reported {
            let id = SessionId::of(key, None, part, theirs.identity);
            extra.supersedes.push(Superseded { id, revision: theirs.revision });
            ours.count += theirs.count;
            ours.current = false;
        } else {
            extra.reported = Some(Reported { current: false, ..theirs });
        }
    }

    pub(crate) fn reported(&self) -> Option<&Reported> {
        self.extra.as_ref()?.reported.as_ref()
    }

    /// Whether a summary of everything in it has been handed out.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported().is_some_and(|reported| reported.current)
    }

    /// Records that a summary is handed out now, under the identity of the first one.
    pub(crate) fn mark_reported(&mut self, identity: Identity, bucket: Option<Timestamp>) -> Report {
        let before = self.reported().copied();
        let identity = before.map_or(identity, |before| before.identity);
        let id = SessionId::of(&self.key, bucket, self.part, identity);
        let count = self.count;
        let extra = self.extra.get_or_insert_default();
        let revision = before.map_or(0, |before| before.revision.saturating_add(1));
        extra.reported = Some(Reported { identity, revision, count, current: true });
        let correction = before.map(|before| {
            let mut supersedes = alloc::vec![Superseded { id, revision: before.revision }];
            supersedes.append(&mut extra.supersedes);
            Box::new(Correction { revision, supersedes })
        });
        Report { identity, fresh: count - before.map_or(0, |before| before.count), correction }
    }
}

/// What is special about a summary of a session that may be corrected.
pub(crate) struct Report {
    pub(crate) identity: Identity,
    /// Events that no summary has held before.
    pub(crate) fresh: u64,
    pub(crate) correction: Option<Box<Correction>>,
}
