//! The strategies as the engine sees them: everything that depends on which one it is, in one place.
//!
//! A strategy is a variant of [`Plan`]: its arithmetic and its storage. Every match is exhaustive, so
//! the compiler names the places where a new one needs an answer.

use alloc::vec::Vec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::arrival::ArrivalWindows;
use crate::engine::clock::ClockSource;
use crate::engine::gap::GapSessions;
use crate::engine::keyed::Keyed;
use crate::engine::look::Sighting;
use crate::engine::ordered::{OrderRules, OrderedSessions, UnplacedEvent};
use crate::engine::shared::{Out, Outcome, Shared, Unplaced};
use crate::engine::store::Store;
use crate::engine::touched::Cursor;
use crate::engine::whereabouts::Whereabouts;
use crate::engine::windows::Windows;
use crate::error::ConfigError;
use crate::event::EventRef;
use crate::gap_rules::Rules;
use crate::id::SessionId;
use crate::reorder::ReorderBuffer;
use crate::rules::IdRule;
use crate::session::{RareState, Session};
use crate::strategy::{Bucket, Gap, Hops, Reach, Rounding, Stagger, StaggerClock, Strategy, length, positive};
use crate::summary::CloseReason;
use crate::time::Timestamp;
use crate::windows::{BY_INDEX, BY_START};

/// A strategy with its open sessions. (Its tag lies apart from everything else: each event reads it.)
#[repr(u8)]
pub(crate) enum Plan<K: Key, V: Value, S> {
    /// One bucket per event, closed by the watermark.
    Bucketed(Rounding, Windows<K, V, S>),
    /// Several windows per event, closed by the watermark.
    Sliding(Hops, Windows<K, V, S>),
    /// One bucket per event, or none, closed by age on the arrival clock.
    Arrival(ArrivalWindows<K, V, S>),
    /// Sessions that grow and merge in any order of events.
    Gap(GapSessions<K, V, S>),
    /// Sessions that must be built in order of time.
    Ordered(OrderedSessions<K, V, S>),
}

/// The properties of a strategy that code outside the engine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Its windows follow the arrival clock; else the watermark.
    pub(crate) is_on_arrival: bool,
    /// It has a gap, and takes rules about it.
    has_gap: bool,
    /// A key may have several open sessions that only their times tell apart.
    pub(crate) has_several_per_key: bool,
    /// Events may wait for the watermark.
    pub(crate) holds_events: bool,
    /// How many sessions one event may open.
    pub(crate) max_per_event: u64,
}

/// What places an open session in its strategy, as a snapshot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Start of the bucket, index of the sliding window, or 0.
    pub(crate) bucket: i64,
    /// End of the window, or the end of a gap session's reach. On the arrival clock: the arrival that opened it.
    pub(crate) end: Timestamp,
}

/// The kinds of storage; one of them is there.
type Storages<'p, K, V, S> =
    (Option<&'p Windows<K, V, S>>, Option<&'p ArrivalWindows<K, V, S>>, Option<&'p Keyed<K, V, S>>);

/// The same for the storage of every strategy.
macro_rules! each {
    ($plan:expr, $store:ident => $do:expr) => {
        match $plan {
            Plan::Bucketed(_, $store) | Plan::Sliding(_, $store) => $do,
            Plan::Arrival($store) => $do,
            Plan::Gap($store) => $do,
            Plan::Ordered($store) => $do,
        }
    };
}

impl<K: Key, V: Value, S> Plan<K, V, S> {
    /// Checks a strategy and the rules that go with it.
    pub(crate) fn new(strategy: &Strategy, rules: Rules<K, V, S>) -> Result<Self, ConfigError> {
        let rule = rules.of_gap_sessions();
        let plan = match strategy {
            Strategy::Stagger(stagger) => Self::stagger(stagger)?,
            Strategy::Sliding(sliding) => Self::Sliding(sliding.hops()?, Windows::new(BY_INDEX)),
            Strategy::Gap(gap) => Self::gap(gap, rules)?,
        };
        match rule {
            Some(rule) if !plan.shape().has_gap => Err(plan.refusal(rule, "use it with `Gap`")),
            _ => Ok(plan),
        }
    }

    fn stagger(stagger: &Stagger) -> Result<Self, ConfigError> {
        match &stagger.clock {
            StaggerClock::Event { bucket } => {
                let plan = Self::Bucketed(bucket.rounding()?, Windows::new(BY_START));
                match stagger.remember {
                    Some(_) => Err(plan.refusal("remember_parts", "nothing opens again there, so leave it out")),
                    None => Ok(plan),
                }
            }
            StaggerClock::Arrival { bucket, range } => {
                let rounding = bucket.as_ref().map(Bucket::rounding).transpose()?;
                let remember = length("time to remember parts", stagger.remember(*range))?;
                Ok(Self::Arrival(ArrivalWindows::new(rounding, positive("range", *range)?, remember)))
            }
        }
    }

    fn gap(gap: &Gap, rules: Rules<K, V, S>) -> Result<Self, ConfigError> {
        let max = gap.max_duration.map(|max| positive("maximum duration", max)).transpose()?;
        let reach = Reach::new(positive("gap", gap.gap)?, gap.inclusive, max);
        let buckets = gap.cut_between.as_ref().map(Bucket::rounding).transpose()?;
        let has_limit = reach.max.is_some() || gap.max_events.is_some() || buckets.is_some();
        let is_ordered = has_limit || rules.need_order();
        let Rules { gap: gap_rule, cut, cut_with, end_at, join_only, unique } = rules;
        let sessions = Keyed::new(reach, gap_rule);
        if !is_ordered {
            return Ok(Self::Gap(GapSessions::new(sessions)));
        }
        let max_events = gap.max_events.unwrap_or(u64::MAX);
        let rules = OrderRules { buckets, cut, cut_with, end_at, join_only, unique, max_events };
        Ok(Self::Ordered(OrderedSessions::new(sessions, rules)))
    }

    fn refusal(&self, setting: &'static str, instead: &'static str) -> ConfigError {
        ConfigError::NotForThisStrategy { setting, strategy: self.shape().name, instead }
    }

    pub(crate) fn shape(&self) -> Shape {
        let windows = Shape {
            name: "stagger windows on the event clock",
            is_on_arrival: false,
            has_gap: false,
            has_several_per_key: false,
            holds_events: false,
            max_per_event: 1,
        };
        let gap = Shape { name: "gap sessions", has_gap: true, has_several_per_key: true, ..windows };
        match self {
            Self::Bucketed(..) => windows,
            Self::Sliding(hops, _) => Shape { name: "sliding windows", max_per_event: hops.max_per_event(), ..windows },
            Self::Arrival(_) => Shape { name: "stagger windows on the arrival clock", is_on_arrival: true, ..windows },
            Self::Gap(_) => gap,
            Self::Ordered(_) => Shape { holds_events: true, ..gap },
        }
    }

    /// What moves the clock, given the bound on how far events are out of order.
    pub(crate) fn clock_source(&self, out_of_order: Option<i64>) -> ClockSource {
        match (self.shape().is_on_arrival, out_of_order) {
            (true, _) => ClockSource::Arrival,
            (false, Some(bound)) => ClockSource::Watermark(bound),
            (false, None) => ClockSource::Caller,
        }
    }

    // --- Events ---

    /// The hash by which the storage finds the session of an event.
    #[inline(always)]
    pub(crate) fn hash<A>(&mut self, event: &EventRef<'_, K, V>, shared: &Shared<K, A>) -> u64 {
        match self {
            Self::Bucketed(..) | Self::Sliding(..) | Self::Gap(_) | Self::Ordered(_) => shared.hash(event.key),
            Self::Arrival(windows) => windows.hash(event, shared),
        }
    }

    /// Puts an event where it belongs, in an engine that is plain. `hash`: the one by which the storage finds
    /// its session, if it is known.
    #[inline(always)]
    pub(crate) fn assign<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: Option<u64>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        self.assign_as::<A, true>(event, hash, shared, out)
    }

    /// The same in any engine.
    #[inline(never)]
    pub(crate) fn assign_with_options<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: Option<u64>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        self.assign_as::<A, false>(event, hash, shared, out)
    }

    #[inline(always)]
    fn assign_as<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: Option<u64>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let of_key = |shared: &Shared<K, A>| hash.unwrap_or_else(|| shared.hash(event.key));
        match self {
            Self::Bucketed(rounding, windows) => {
                windows.assign_bucket::<A, PLAIN>(rounding, event, of_key(shared), shared, out)
            }
            Self::Sliding(hops, windows) => {
                windows.assign_all::<A, PLAIN>(hops, event, of_key(shared), None, shared, out)
            }
            Self::Arrival(windows) => windows.assign(event, hash, shared, out),
            Self::Gap(sessions) => sessions.assign::<A, PLAIN>(event, of_key(shared), shared, out),
            Self::Ordered(sessions) => sessions.assign(event, hash, shared, out),
        }
    }

    /// The same where a session holds one event of each id. Gap sessions know the rule themselves: they ask it
    /// when it is the event's turn.
    #[inline(never)]
    pub(crate) fn assign_once<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: Option<u64>,
        rule: &IdRule<K, V>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let hash = hash.unwrap_or_else(|| self.hash(event, shared));
        let id = match self {
            Self::Bucketed(..) | Self::Sliding(..) | Self::Arrival(_) => rule(event),
            Self::Gap(_) | Self::Ordered(_) => return self.assign_with_options(event, Some(hash), shared, out),
        };
        let is_there = match self {
            Self::Bucketed(rounding, windows) => {
                windows.drain_for_correction(event, shared, out); // a pending window holds ids too
                let start = rounding.window_of(event.event_time).start;
                windows.holds(start.as_micros(), hash, event.key, id)
            }
            Self::Sliding(hops, windows) => {
                return windows.assign_all::<A, false>(hops, event, hash, Some(id), shared, out);
            }
            Self::Arrival(windows) => {
                let pending = shared.has_pending().then_some(shared.clock.now());
                windows.holds(event, hash, id, pending)
            }
            Self::Gap(_) | Self::Ordered(_) => false,
        };
        if is_there {
            return shared.unplaced(Unplaced::Duplicate);
        }
        let outcome = self.assign_with_options(event, Some(hash), shared, out);
        if let Some(at) = outcome.whereabouts() {
            each!(self, store => Store::<K, V, A>::note_id(store, at, id));
        }
        outcome
    }

    /// Where the session of an event is likely to be, after one look at the index.
    #[inline(always)]
    pub(crate) fn likely(&mut self, event: &EventRef<'_, K, V>, hash: u64) -> Option<Whereabouts> {
        match self {
            Self::Bucketed(rounding, windows) => windows.likely(rounding, event.event_time, hash),
            Self::Sliding(..) => None,
            Self::Arrival(windows) => windows.likely(hash),
            Self::Gap(sessions) => sessions.sessions().likely(hash),
            Self::Ordered(sessions) => sessions.sessions().likely(hash),
        }
    }

    /// The session that is there now, if there is one.
    #[inline(always)]
    pub(crate) fn session_at(&self, whereabouts: Whereabouts) -> Option<&Session<K, V, S>> {
        let (window, number) = (whereabouts.window(), whereabouts.number());
        match self {
            Self::Bucketed(_, windows) | Self::Sliding(_, windows) => windows.session_at(window, number),
            Self::Arrival(windows) => windows.session_at(number),
            Self::Gap(sessions) => sessions.sessions().session_at(number),
            Self::Ordered(sessions) => sessions.sessions().session_at(number),
        }
    }

    // --- Storage ---

    pub(crate) fn len<A: Aggregate<K, V, State = S>>(&self) -> usize {
        each!(self, store => Store::<K, V, A>::len(store))
    }

    pub(crate) fn occupied<A: Aggregate<K, V, State = S>>(&self) -> usize {
        each!(self, store => Store::<K, V, A>::occupied(store))
    }

    pub(crate) fn next_due<A: Aggregate<K, V, State = S>>(&self) -> Timestamp {
        each!(self, store => Store::<K, V, A>::next_due(store))
    }

    pub(crate) fn advance<A: Aggregate<K, V, State = S>>(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        each!(self, store => store.advance(shared, out));
    }

    pub(crate) fn close_due<A: Aggregate<K, V, State = S>>(
        &mut self,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        each!(self, store => store.close_due(shared, out));
    }

    pub(crate) fn close_all<A: Aggregate<K, V, State = S>>(
        &mut self,
        shared: &mut Shared<K, A>,
        reason: CloseReason,
        out: Out<'_, K, V, A>,
    ) {
        each!(self, store => store.close_all(shared, reason, out));
    }

    pub(crate) fn end_flush<A: Aggregate<K, V, State = S>>(&mut self, shared: &mut Shared<K, A>) {
        each!(self, store => Store::<K, V, A>::end_flush(store, shared));
    }

    pub(crate) fn shrink_to_fit<A: Aggregate<K, V, State = S>>(&mut self, shared: &mut Shared<K, A>) {
        each!(self, store => store.shrink_to_fit(shared));
    }

    // --- Looking ---

    /// The storage, by its kind.
    const fn storage(&self) -> Storages<'_, K, V, S> {
        match self {
            Self::Bucketed(_, windows) | Self::Sliding(_, windows) => (Some(windows), None, None),
            Self::Arrival(windows) => (None, Some(windows), None),
            Self::Gap(sessions) => (None, None, Some(sessions.sessions())),
            Self::Ordered(sessions) => (None, None, Some(sessions.sessions())),
        }
    }

    /// Every open session, in no particular order.
    pub(crate) fn sightings(&self) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        let (windows, arrival, keyed) = self.storage();
        let windows = windows.into_iter().flat_map(Windows::sightings);
        let arrival = arrival.into_iter().flat_map(ArrivalWindows::sightings);
        let keyed = keyed.into_iter().flat_map(Keyed::sightings);
        windows.chain(arrival).chain(keyed)
    }

    /// The open sessions of a key, in order.
    pub(crate) fn sightings_of<'e, A>(
        &'e self,
        key: K::Ref<'_>,
        shared: &'e Shared<K, A>,
    ) -> impl Iterator<Item = Sighting<'e, K, V, S>> {
        let hash = move || shared.hash(key);
        let (windows, arrival, keyed) = self.storage();
        let windows = windows.into_iter().flat_map(move |windows| windows.sightings_of(hash(), key));
        let arrival = arrival.into_iter().flat_map(move |windows| windows.sightings_of(key, shared));
        let keyed = keyed.into_iter().flat_map(move |sessions| sessions.sightings_of(hash(), key));
        windows.chain(arrival).chain(keyed)
    }

    /// The session that lies there, if one does.
    #[inline(always)]
    pub(crate) fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, S>> {
        match self {
            Self::Bucketed(_, windows) | Self::Sliding(_, windows) => windows.sighting(at),
            Self::Arrival(windows) => windows.sighting(at.number()),
            Self::Gap(sessions) => sessions.sessions().try_sighting(at.number()),
            Self::Ordered(sessions) => sessions.sessions().try_sighting(at.number()),
        }
    }

    /// The sessions that an event at `time` is in, if one of them lies there: in order of their windows.
    pub(crate) fn sightings_with<'e, A>(
        &'e self,
        at: Whereabouts,
        time: Timestamp,
        shared: &'e Shared<K, A>,
    ) -> impl Iterator<Item = Sighting<'e, K, V, S>> {
        let one = self.sighting(at);
        let (one, several) = match self {
            Self::Sliding(hops, windows) => (None, one.map(|one| (hops, windows, one.session.key.key_ref()))),
            Self::Bucketed(..) | Self::Arrival(_) | Self::Gap(_) | Self::Ordered(_) => (one, None),
        };
        let several = several.into_iter();
        let several =
            several.flat_map(move |(hops, windows, key)| windows.sightings_in(hops, time, shared.hash(key), key));
        one.into_iter().chain(several)
    }

    // --- Snapshots ---

    /// Visits the open sessions from a place on, and moves it on: O(`most`), and the number of windows.
    pub(crate) fn for_each_from<'e>(
        &'e self,
        cursor: &mut Cursor,
        most: usize,
        visit: impl FnMut(Sighting<'e, K, V, S>),
    ) {
        match self {
            Self::Bucketed(_, windows) | Self::Sliding(_, windows) => windows.sessions_from(cursor, most, visit),
            Self::Arrival(windows) => windows.sessions_from(cursor, most, visit),
            Self::Gap(sessions) => sessions.sessions().sessions_from(cursor, most, visit),
            Self::Ordered(sessions) => sessions.sessions().sessions_from(cursor, most, visit),
        }
    }

    /// What places a session.
    pub(crate) fn placement_of(&self, sighting: &Sighting<'_, K, V, S>) -> Placement {
        let bucket = match self {
            Self::Arrival(_) => sighting.ending.bucket.map_or(0, Timestamp::as_micros),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Gap(_) | Self::Ordered(_) => sighting.window,
        };
        Placement { bucket, end: sighting.session.edge }
    }

    /// Makes room for a number of sessions, while there are none. Windows do not know how many each of them will have.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        match self {
            Self::Bucketed(..) | Self::Sliding(..) => {}
            Self::Arrival(windows) => windows.reserve(sessions),
            Self::Gap(all) => all.sessions_mut().reserve(sessions),
            Self::Ordered(all) => all.sessions_mut().reserve(sessions),
        }
    }

    /// Opens a session again. On the arrival clock those that opened first must come first.
    pub(crate) fn resume<A: Aggregate<K, V, State = S>>(
        &mut self,
        session: Session<K, V, S>,
        rare: Option<RareState<V>>,
        bucket: i64,
        shared: &mut Shared<K, A>,
    ) {
        match self {
            Self::Bucketed(rounding, windows) => {
                let span = rounding.window_of(session.first);
                let at = windows.resume(session, rare, (bucket, span), shared);
                windows.note_again(at, shared);
            }
            Self::Sliding(hops, windows) => {
                let span = hops.window_of(bucket, session.first);
                let at = windows.resume(session, rare, (bucket, span), shared);
                windows.note_again(at, shared);
            }
            Self::Arrival(windows) => {
                let number = windows.resume(session, rare, shared);
                windows.note_again(Whereabouts::numbered(number), shared);
            }
            Self::Gap(sessions) => {
                let slot = sessions.sessions_mut().resume(session, rare, shared);
                sessions.note_again(Whereabouts::numbered(slot), shared);
            }
            Self::Ordered(sessions) => {
                let slot = sessions.sessions_mut().resume(session, rare, shared);
                sessions.note_again(Whereabouts::numbered(slot), shared);
            }
        }
    }

    /// Whether a session from `first` to `last` could have come about.
    pub(crate) fn allows(&self, first: Timestamp, last: Timestamp, placement: Placement) -> bool {
        let Placement { bucket, end } = placement;
        match self {
            Self::Bucketed(rounding, _) => {
                let window = rounding.window_of(first);
                window.start.as_micros() == bucket && window.end == end && window.contains(last)
            }
            Self::Sliding(hops, _) => {
                let window = hops.window_of(bucket, first);
                window.end == end && window.contains(first) && window.contains(last)
            }
            Self::Arrival(windows) => windows.start_of(first) == bucket && windows.start_of(last) == bucket,
            Self::Gap(_) | Self::Ordered(_) => bucket == 0 && end >= last,
        }
    }

    /// Whether a window that opened at this arrival is over: it may be pending while the next part of
    /// its partition is open.
    pub(crate) fn may_be_pending(&self, opened: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Arrival(windows) => windows.deadline_of(opened) <= now,
            Self::Bucketed(..) | Self::Sliding(..) | Self::Gap(_) | Self::Ordered(_) => false,
        }
    }

    /// The events that wait for the watermark, where there may be any.
    pub(crate) const fn held(&self) -> Option<&ReorderBuffer<K, V>> {
        match self {
            Self::Ordered(sessions) => Some(sessions.held()),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Arrival(_) | Self::Gap(_) => None,
        }
    }

    /// The events that waited and found no session, where there may be any.
    pub(crate) const fn unplaced(&self) -> Option<&Vec<UnplacedEvent<K, V>>> {
        match self {
            Self::Ordered(sessions) => Some(sessions.unplaced()),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Arrival(_) | Self::Gap(_) => None,
        }
    }

    pub(crate) const fn unplaced_mut(&mut self) -> Option<&mut Vec<UnplacedEvent<K, V>>> {
        match self {
            Self::Ordered(sessions) => Some(sessions.unplaced_mut()),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Arrival(_) | Self::Gap(_) => None,
        }
    }

    /// Holds an event again.
    pub(crate) fn hold<A>(&mut self, event: &EventRef<'_, K, V>, seq: u64, shared: &mut Shared<K, A>) {
        match self {
            Self::Ordered(sessions) => sessions.hold(event, seq, shared),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Arrival(_) | Self::Gap(_) => {}
        }
    }

    /// The parts that were remembered after a closing, in that order, with the numbers of the closings.
    pub(crate) fn parts_after(&self, closing: u64) -> impl Iterator<Item = (u64, (SessionId, u32, Timestamp))> {
        let (closed, ended) = match self {
            Self::Arrival(windows) => (Some(windows.closed()), None),
            Self::Ordered(sessions) => (None, Some(sessions.sessions().ended())),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Gap(_) => (None, None),
        };
        let closed = closed.into_iter().flat_map(move |closed| closed.after(closing));
        closed.chain(ended.into_iter().flat_map(move |ended| ended.after(closing)))
    }

    /// How many entries [`parts_after`](Self::parts_after) looks at.
    pub(crate) fn count_parts_after(&self, closing: u64) -> usize {
        match self {
            Self::Arrival(windows) => windows.closed().count_after(closing),
            Self::Ordered(sessions) => sessions.sessions().ended().count_after(closing),
            Self::Bucketed(..) | Self::Sliding(..) | Self::Gap(_) => 0,
        }
    }

    /// Remembers a part again: on the arrival clock of as many as may be open.
    pub(crate) fn restore_part(&mut self, partition: SessionId, part: u32, opened: Timestamp, max_open: usize) {
        match self {
            Self::Arrival(windows) => windows.closed_mut().restore(partition, part, opened, max_open),
            Self::Ordered(sessions) => {
                sessions.sessions_mut().ended_mut().remember(partition, part, opened, usize::MAX);
            }
            Self::Bucketed(..) | Self::Sliding(..) | Self::Gap(_) => {}
        }
    }

    /// Whether each event may have a gap of its own.
    pub(crate) const fn gap_varies(&self) -> bool {
        match self.storage() {
            (_, _, Some(sessions)) => sessions.gap_varies,
            _ => false,
        }
    }

    /// Whether events at one time may have had different gaps, because the gap has been changed.
    pub(crate) const fn gap_changed(&self) -> bool {
        match self.storage() {
            (_, _, Some(sessions)) => sessions.gap_changed,
            _ => false,
        }
    }

    pub(crate) const fn set_gap_changed(&mut self) {
        match self {
            Self::Gap(sessions) => sessions.sessions_mut().gap_changed = true,
            Self::Ordered(sessions) => sessions.sessions_mut().gap_changed = true,
            Self::Bucketed(..) | Self::Sliding(..) | Self::Arrival(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use super::*;
    use crate::config::Config;
    use crate::event::Event;
    use crate::sessionizer::Pushed;
    use crate::strategy::Sliding;
    use crate::testing::{Run, at, config, us};

    type Made = Result<Plan<u8, i64, ()>, ConfigError>;

    fn plan(strategy: impl Into<Strategy>) -> Plan<u8, i64, ()> {
        Plan::new(&strategy.into(), no_rules()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn tens() -> Stagger {
        Stagger::on_event_time(Bucket::step(us(10)))
    }

    fn by_arrival() -> Stagger {
        Stagger::on_arrival(Bucket::step(us(10)), us(10))
    }

    const fn no_rules() -> Rules<u8, i64, ()> {
        Rules { gap: None, cut: None, cut_with: None, end_at: None, join_only: None, unique: None }
    }

    fn allows(plan: &Plan<u8, i64, ()>, first: i64, last: i64, bucket: i64, end: i64) -> bool {
        plan.allows(at(first), at(last), Placement { bucket, end: at(end) })
    }

    #[test]
    fn the_shape_of_each_strategy() {
        let facts = |strategy: Strategy| {
            let Shape { is_on_arrival, has_gap, has_several_per_key, holds_events, max_per_event, .. } =
                plan(strategy).shape();
            (is_on_arrival, has_gap, has_several_per_key, holds_events, max_per_event)
        };
        assert_eq!(facts(tens().into()), (false, false, false, false, 1));
        assert_eq!(facts(by_arrival().into()), (true, false, false, false, 1));
        assert_eq!(facts(Sliding::new(us(12), us(5)).into()), (false, false, false, false, 3));
        assert_eq!(facts(Gap::new(us(10)).into()), (false, true, true, false, 1));
        assert_eq!(facts(Gap::new(us(10)).max_duration(us(20)).into()), (false, true, true, true, 1));
        assert_eq!(facts(Gap::new(us(10)).cut_between(Bucket::step(us(5))).into()), (false, true, true, true, 1));
        let by_rule = Plan::<u8, i64, ()>::new(
            &Gap::new(us(10)).into(),
            Rules { cut: Some(Arc::new(|_, _| false)), ..no_rules() },
        );
        assert!(by_rule.is_ok_and(|plan| plan.shape().holds_events));
    }

    #[test]
    fn what_moves_the_clock() {
        assert_eq!(plan(tens()).clock_source(None), ClockSource::Caller);
        assert_eq!(plan(tens()).clock_source(Some(0)), ClockSource::Watermark(0));
        assert_eq!(plan(by_arrival()).clock_source(None), ClockSource::Arrival);
    }

    #[test]
    fn rules_and_settings_of_other_strategies_are_refused() {
        let refused = |made: Made| made.err().map(|error| error.to_string()).unwrap_or_default();
        for strategy in [tens().into(), by_arrival().into(), Strategy::from(Sliding::tumbling(us(10)))] {
            let gap = refused(Plan::new(&strategy, Rules { gap: Some(Arc::new(|_| None)), ..no_rules() }));
            assert!(gap.starts_with("`gap_per_event` has no meaning for s"), "{gap}");
            let cut = refused(Plan::new(&strategy, Rules { cut: Some(Arc::new(|_, _| true)), ..no_rules() }));
            assert!(cut.starts_with("`cut` has no meaning for s"), "{cut}");
        }
        let parts = refused(Plan::new(&tens().remember_parts(us(1)).into(), no_rules()));
        assert!(parts.starts_with("`remember_parts` has no meaning for stagger windows on the event clock"), "{parts}");
        assert!(Plan::<u8, i64, ()>::new(&by_arrival().remember_parts(us(0)).into(), no_rules()).is_ok());
    }

    #[test]
    fn lengths_of_zero_are_refused() {
        let zero = |strategy: Strategy| Plan::<u8, i64, ()>::new(&strategy, no_rules()).err();
        assert_eq!(zero(Gap::new(us(0)).into()), Some(ConfigError::Zero { setting: "gap" }));
        let at_once = Gap::new(us(1)).max_duration(us(0));
        assert_eq!(zero(at_once.into()), Some(ConfigError::Zero { setting: "maximum duration" }));
        assert_eq!(zero(Stagger::per_key(us(0)).into()), Some(ConfigError::Zero { setting: "range" }));
    }

    #[test]
    fn a_bucket_allows_events_from_its_start_to_one_microsecond_before_its_end() {
        let plan = plan(tens());
        assert!(allows(&plan, 10, 19, 10, 20));
        assert!(!allows(&plan, 10, 20, 10, 20));
        assert!(!allows(&plan, 9, 19, 10, 20));
        assert!(!allows(&plan, 10, 19, 10, 21) && !allows(&plan, 10, 19, 0, 20));
    }

    #[test]
    fn a_sliding_window_allows_the_events_within_it() {
        let plan = plan(Sliding::new(us(10), us(5)));
        assert!(allows(&plan, 5, 14, 1, 15));
        assert!(!allows(&plan, 4, 14, 1, 15) && !allows(&plan, 5, 15, 1, 15));
        assert!(!allows(&plan, 5, 14, 1, 16) && !allows(&plan, 5, 14, 2, 15));
    }

    #[test]
    fn on_the_arrival_clock_first_and_last_are_of_the_bucket() {
        let plan = plan(by_arrival());
        assert!(allows(&plan, 10, 19, 10, 1_000));
        assert!(!allows(&plan, 9, 19, 10, 1_000) && !allows(&plan, 10, 20, 10, 1_000));
    }

    #[test]
    fn a_gap_session_reaches_to_its_last_event_at_least() {
        for plan in [plan(Gap::new(us(10))), plan(Gap::new(us(10)).max_duration(us(20)))] {
            assert!(allows(&plan, 0, 5, 0, 5));
            assert!(!allows(&plan, 0, 5, 0, 4) && !allows(&plan, 0, 5, 1, 15));
        }
    }

    #[test]
    fn only_a_window_on_the_arrival_clock_may_be_pending_from_its_deadline_on() {
        let pending = |plan: Plan<u8, i64, ()>, now| plan.may_be_pending(at(100), at(now));
        assert!(!pending(plan(by_arrival()), 109) && pending(plan(by_arrival()), 110));
        assert!(!pending(plan(tens()), 110) && !pending(plan(Gap::new(us(10))), 110));
    }

    fn all() -> [Strategy; 5] {
        let gap = Gap::new(us(10));
        [tens().into(), by_arrival().into(), Sliding::new(us(10), us(5)).into(), gap.clone().into(), {
            gap.max_duration(us(20)).into()
        }]
    }

    /// The number of keys at which `push_batch` looks ahead.
    const MANY: u32 = 30_000;

    #[test]
    fn a_batch_finds_the_sessions_that_single_events_opened() {
        for strategy in all() {
            let text = alloc::format!("{strategy:?}");
            let mut engine = Config::<u32, ()>::new(strategy).build().expect("a configuration that works");
            engine.advance_to(at(7), &mut |_| {});
            let events: Vec<_> = (0..MANY).map(|key| Event::new(key, at(7), ())).collect();
            events.iter().for_each(|event| assert!(!engine.push(*event, &mut |_| {}).is_returned()));
            let opened = engine.counters().opened;
            assert!(engine.push_batch(&events, &mut |_| {}).is_empty());
            assert_eq!(engine.counters().opened, opened, "{text}");
        }
    }

    #[test]
    fn every_strategy_shows_its_open_sessions() {
        for strategy in all() {
            let mut run = Run::new(config(strategy.clone()));
            run.advance(7);
            for key in [1, 2] {
                assert_eq!(run.push(key, 7), Pushed::Opened);
            }
            let seen = |sessions: usize, of: usize| assert_eq!(sessions, of, "{strategy:?}");
            seen(run.engine.open().count(), run.open());
            seen(run.engine.sessions_of(1).count(), run.open() / 2);
            let deadline = run.engine.next_deadline().expect("sessions are open");
            assert!(deadline > at(7) && deadline <= at(17), "{strategy:?}: {deadline}");
        }
    }
}
