//! One open session: opened by an event, extended, merged.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::ops::RangeInclusive;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::event::EventRef;
use crate::event_ids::EventIds;
use crate::id::{Distinction, Identity, SummaryId};
use crate::rules::FirstLast;
use crate::summary::{CloseReason, Correction, Superseded};
use crate::time::Timestamp;

/// An open session. With a key and two values of eight bytes it is one cache line. State that only
/// some configurations need is in its [`RareState`].
#[derive(Clone, Debug)]
pub(crate) struct Session<K, V, S> {
    pub(crate) key: K,
    /// Least and greatest event time.
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// The edge of its window that its events alone do not tell. Gap sessions: the end of their reach.
    /// Windows on the arrival clock: the arrival that opened them. On the event clock: the window's end.
    pub(crate) edge: Timestamp,
    /// Number of the push that brought the earliest arrival in it.
    pub(crate) opened: u64,
    tally: Tally,
    pub(crate) last_value: V,
    pub(crate) first_value: V,
    pub(crate) state: S,
}

/// How many events, at least one, and two marks.
#[derive(Clone, Copy, Debug)]
struct Tally(NonZeroU64);

/// The marks of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Ended by a rule: its edge is the time of the event that began the next session, or follows its last event.
    Cut,
    /// There is a [`RareState`] of it.
    Rare,
}

/// No session holds more events, and no counter counts further: marks are above it.
pub(crate) const MAX_EVENTS: u64 = 1 << 60;

impl Mark {
    const fn bit(self) -> u64 {
        match self {
            Self::Cut => 1 << 61,
            Self::Rare => 1 << 63,
        }
    }
}

impl Tally {
    const fn count(self) -> u64 {
        self.0.get() & (Mark::Cut.bit() - 1)
    }

    #[inline(always)]
    fn add_one(&mut self) {
        if let Some(more) = self.0.checked_add(1) {
            self.0 = more;
        }
    }

    #[inline]
    fn add(&mut self, events: u64) {
        self.0 = self.0.saturating_add(events);
    }

    fn mark(&mut self, mark: Mark, is: bool) {
        let rest = self.0.get() & !mark.bit();
        self.0 = NonZeroU64::new(if is { rest | mark.bit() } else { rest }).unwrap_or(NonZeroU64::MIN);
    }
}

/// A session that was removed from its storage, with its rare state.
pub(crate) struct Removed<K, V, S> {
    pub(crate) session: Session<K, V, S>,
    pub(crate) rare: Option<RareState<V>>,
}

/// A session with its rare state, to be changed together.
pub(crate) type WithRare<'s, K, V, S> = (&'s mut Session<K, V, S>, &'s mut RareState<V>);

/// State of a session that only some configurations need.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct RareState<V> {
    /// How often its partition has been opened, this time included.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) part: u32,
    /// How it began, where its first event does not tell.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) origin: Option<Origin>,
    /// With allowed lateness or updates: the last emitted summary.
    pub(crate) reported: Option<Reported>,
    /// Summaries that the next revision replaces.
    pub(crate) supersedes: Vec<Superseded>,
    /// When sessions are built in order of time but first and last are told by arrival: the number
    /// of the push that brought the latest arrival, and the value of the latest event.
    pub(crate) newest: u64,
    pub(crate) previous: Option<V>,
    /// The ids of its events, where each may be in it once.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) ids: Option<EventIds>,
    /// What marked it as [`Mark::Cut`], if it was not [`Config::cut`](crate::Config::cut).
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) cut_by: Option<CloseReason>,
}

impl<V: Value> RareState<V> {
    pub(crate) fn copy(&self) -> Self {
        let previous = self.previous.as_ref().map(|value| V::value_from(value.value_ref()));
        Self { supersedes: self.supersedes.clone(), previous, ids: self.ids.clone(), ..*self }
    }
}

impl<V> Default for RareState<V> {
    fn default() -> Self {
        Self {
            part: 1,
            origin: None,
            reported: None,
            supersedes: Vec::new(),
            newest: 0,
            previous: None,
            ids: None,
            cut_by: None,
        }
    }
}

/// How a session began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Origin {
    /// What places it among the sessions of its key: the time of the event that it is known by, or the end
    /// of its window.
    pub(crate) anchor: Timestamp,
    pub(crate) besides: Distinction,
}

/// The parts of the id of a session, besides its rare state.
#[derive(Clone, Copy)]
pub(crate) struct IdParts {
    pub(crate) anchor: Timestamp,
    /// Its part tells it apart too.
    pub(crate) by_part: bool,
    pub(crate) flushes: u32,
    /// How many sessions were closed early, if it is one.
    pub(crate) early: u64,
}

impl IdParts {
    /// The id of a session of which no final summary has been emitted.
    pub(crate) fn id_of<K: Key, V>(self, key: &K, bucket: Option<Timestamp>, rare: Option<&RareState<V>>) -> SummaryId {
        let origin = rare.and_then(|rare| rare.origin);
        let Origin { anchor, besides } =
            origin.unwrap_or(Origin { anchor: self.anchor, besides: Distinction::default() });
        let part = rare.filter(|_| self.by_part).map_or(1, |rare| rare.part);
        let besides = Distinction { early: besides.early.max(self.early), ..besides }; // of the two, one is zero
        SummaryId::new(key, bucket, Identity { anchor, part, flushes: self.flushes }, besides)
    }
}

/// The latest summary emitted of a session that stays: kept for corrections, or open.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Reported {
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) id: SummaryId,
    pub(crate) revision: u32,
    pub(crate) count: u64,
    /// Nothing has changed since.
    pub(crate) current: bool,
    /// It was an update: the session was not over.
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) is_update: bool,
    /// There has been a final summary: the next one is a correction, under the same identity.
    #[cfg_attr(feature = "serde", serde(default = "before_updates"))]
    pub(crate) is_settled: bool,
}

/// Before there were updates, every summary was final.
#[cfg(feature = "serde")]
const fn before_updates() -> bool {
    true
}

/// How a session opens.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) edge: Timestamp,
    pub(crate) opened: u64,
}

impl<K, V, S> Session<K, V, S> {
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.tally.count()
    }

    #[inline]
    pub(crate) fn is(&self, mark: Mark) -> bool {
        self.tally.0.get() & mark.bit() != 0
    }

    #[inline]
    pub(crate) fn mark(&mut self, mark: Mark, is: bool) {
        self.tally.mark(mark, is);
    }

    /// Whether its storage has a [`RareState`] of it.
    #[inline]
    pub(crate) fn has_rare_state(&self) -> bool {
        self.is(Mark::Rare)
    }

    pub(crate) fn set_rare_state(&mut self) {
        self.mark(Mark::Rare, true);
    }
}

impl<K: Key, V: Value, S> Session<K, V, S> {
    #[inline]
    pub(crate) fn open(event: &EventRef<'_, K, V>, opening: Opening, state: S) -> Self {
        let Opening { edge, opened } = opening;
        Self {
            key: K::key_from(event.key),
            first: event.event_time,
            last: event.event_time,
            edge,
            opened,
            tally: Tally(NonZeroU64::MIN),
            last_value: V::value_from(event.value),
            first_value: V::value_from(event.value),
            state,
        }
    }

    /// A session that was open before.
    pub(crate) fn new(
        key: K,
        times: RangeInclusive<Timestamp>,
        edge: Timestamp,
        opened: u64,
        count: u64,
        [first_value, last_value]: [V; 2],
        state: S,
    ) -> Self {
        let (first, last) = times.into_inner();
        let tally = Tally(NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN));
        Self { key, first, last, edge, opened, tally, last_value, first_value, state }
    }

    /// Adds the event that arrives now. (First to the caller's own state: if that panics, nothing else has changed.)
    #[inline(always)]
    pub(crate) fn extend<A>(&mut self, event: &EventRef<'_, K, V>, order: FirstLast, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        let time = event.event_time;
        if order == FirstLast::Arrival {
            return self.add(event, false, true, aggregate);
        }
        aggregate.add(&mut self.state, event);
        self.last_value.set_value_if(time >= self.last, event.value);
        self.last = self.last.max(time);
        if time < self.first {
            self.first = time;
            self.first_value.set_value(event.value);
        }
        self.tally.add_one();
    }

    /// Adds the event of push number `arrival`, which may have arrived before others in here, where
    /// first and last event are told by arrival.
    pub(crate) fn extend_by_arrival<A>(
        &mut self,
        rare: &mut RareState<V>,
        event: &EventRef<'_, K, V>,
        arrival: u64,
        aggregate: &A,
    ) where
        A: Aggregate<K, V, State = S>,
    {
        let is_latest = event.event_time >= self.last;
        let newest = rare.newest.max(self.opened);
        self.add(event, arrival < self.opened, arrival > newest, aggregate);
        rare.newest = newest.max(arrival);
        if is_latest {
            match &mut rare.previous {
                Some(previous) => previous.set_value(event.value),
                none => *none = Some(V::value_from(event.value)),
            }
        }
    }

    #[inline(never)]
    fn add<A>(&mut self, event: &EventRef<'_, K, V>, is_first: bool, is_last: bool, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        aggregate.add(&mut self.state, event);
        self.tally.add_one();
        if is_first {
            self.first_value.set_value(event.value);
        }
        if is_last {
            self.last_value.set_value(event.value);
        }
        self.first = self.first.min(event.event_time);
        self.last = self.last.max(event.event_time);
    }

    pub(crate) fn copy(&self) -> Self
    where
        S: Clone,
    {
        Self {
            key: K::key_from(self.key.key_ref()),
            first_value: V::value_from(self.first_value.value_ref()),
            last_value: V::value_from(self.last_value.value_ref()),
            state: self.state.clone(),
            ..*self
        }
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
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.edge = self.edge.max(other.edge);
        self.tally.add(other.tally.count());
        aggregate.merge(&mut self.state, other.state);
    }
}

impl<V> RareState<V> {
    /// Whether an event with this id is in the session.
    pub(crate) fn has_event(&self, id: u128) -> bool {
        self.ids.as_ref().is_some_and(|ids| ids.contains(id))
    }

    pub(crate) fn add_event(&mut self, id: u128) {
        self.ids.get_or_insert_default().insert(id);
    }

    /// Whether a summary of everything in the session has been emitted.
    pub(crate) fn is_current(&self) -> bool {
        self.reported.is_some_and(|reported| reported.current)
    }

    /// Whether that summary is final.
    pub(crate) fn is_final(&self) -> bool {
        self.reported.is_some_and(|reported| reported.current && !reported.is_update)
    }

    /// Whether a final summary of the session has been emitted: then it is kept for corrections.
    pub(crate) fn is_settled(&self) -> bool {
        self.reported.is_some_and(|reported| reported.is_settled)
    }

    /// Whether it says nothing that is not usual, but for the part.
    pub(crate) fn is_blank(&self) -> bool {
        let Self { part: _, origin, reported, supersedes, newest, previous, ids, cut_by } = self;
        let is_reported = reported.is_some() || !supersedes.is_empty();
        !is_reported && origin.is_none() && *newest == 0 && previous.is_none() && ids.is_none() && cut_by.is_none()
    }

    /// The session has changed since it was emitted, if it was. Returns whether that is the first change.
    pub(crate) fn outdate(&mut self) -> bool {
        self.reported.as_mut().is_some_and(|reported| core::mem::replace(&mut reported.current, false))
    }

    /// The same with the id of the event that changes it.
    pub(crate) fn outdate_by(&mut self, id: u128) -> bool {
        self.add_event(id);
        self.outdate()
    }

    /// The next revision replaces reports of a session that is merged into this one.
    pub(crate) fn take_over<K: Key>(&mut self, key: &K, other: Self) {
        let Some(theirs) = other.reported else { return };
        self.supersedes.extend(other.supersedes);
        let Some(ours) = self.reported else {
            self.reported = Some(Reported { current: false, ..theirs });
            return;
        };
        // The id of a final summary goes on.
        let has_final = theirs.is_settled && !ours.is_settled;
        let (goes_on, replaced) = if has_final { (theirs, ours) } else { (ours, theirs) };
        self.supersedes.push(Superseded { id: replaced.id.of(key, None), revision: replaced.revision });
        self.reported = Some(Reported { count: ours.count + theirs.count, current: false, ..goes_on });
    }

    /// Records that a summary of all `count` events is emitted now. The first final summary fixes the id.
    pub(crate) fn report<K: Key>(
        &mut self,
        key: &K,
        count: u64,
        id: SummaryId,
        bucket: Option<Timestamp>,
        is_update: bool,
    ) -> Report {
        let before = self.reported;
        let was_settled = self.is_settled();
        let id = before.filter(|before| before.is_settled).map_or(id, |before| before.id);
        let revision = before.map_or(0, |before| {
            // An id that is not fixed may be that of any session that was merged into this one.
            let others = self.supersedes.iter().map(|other| other.revision).filter(|_| !was_settled);
            others.fold(before.revision, u32::max).saturating_add(1)
        });
        let is_settled = was_settled || !is_update;
        self.reported = Some(Reported { id, revision, count, current: true, is_update, is_settled });
        let correction = before.map(|before| {
            let id = before.id.of(key, bucket);
            let mut supersedes = alloc::vec![Superseded { id, revision: before.revision }];
            supersedes.append(&mut self.supersedes);
            Box::new(Correction { revision, supersedes })
        });
        let fresh = count - before.map_or(0, |before| before.count);
        Report { id, part: self.part, fresh, correction, was_settled }
    }
}

/// The revision in a summary of a session that may be corrected.
pub(crate) struct Report {
    pub(crate) id: SummaryId,
    pub(crate) part: u32,
    /// Events that no summary has held before.
    pub(crate) fresh: u64,
    pub(crate) correction: Option<Box<Correction>>,
    /// There was a final summary before.
    pub(crate) was_settled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_small_parts_is_one_cache_line() {
        assert_eq!(size_of::<Session<u64, u64, ()>>(), 64);
    }

    #[test]
    fn marks_and_counts_do_not_mix() {
        let mut tally = Tally(NonZeroU64::MIN);
        tally.add(MAX_EVENTS - 1);
        tally.mark(Mark::Rare, true);
        tally.mark(Mark::Cut, true);
        tally.mark(Mark::Cut, false);
        assert_eq!((tally.count(), tally.0.get()), (MAX_EVENTS, MAX_EVENTS | Mark::Rare.bit()));
    }
}
