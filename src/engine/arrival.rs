//! Windows on the arrival clock, which open when their first event arrives.
//!
//! The clock never goes back, so the window that opened first is over first: the sessions lie in a
//! queue, and closing takes them from its front.

use alloc::collections::BTreeMap;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::look::Sighting;
use crate::engine::shared::{Ending, Out, Outcome, Shared};
use crate::engine::store::Store;
use crate::engine::touched::Cursor;
use crate::engine::whereabouts::Whereabouts;
use crate::event::EventRef;
use crate::index::Index;
use crate::parts::{ClosedParts, Partition};
use crate::segments::Segments;
use crate::session::{Opening, RareState, Removed, Session, WithRare};
use crate::strategy::Rounding;
use crate::summary::CloseReason;
use crate::time::Timestamp;
use crate::window::Window;

/// The open windows of an engine on the arrival clock.
pub(crate) struct ArrivalWindows<K, V, S> {
    rounding: Option<Rounding>,
    range: i64,
    index: Index,
    /// In order of opening. `None` where a session was removed.
    sessions: Segments<Option<Session<K, V, S>>>,
    /// No session has a lower number.
    first: u32,
    /// The part of those that are not the first of their partition.
    rare: HashMap<u32, RareState<V>>,
    closed: ClosedParts<K>,
    /// How many sessions are open in each bucket, where there are buckets.
    buckets: BTreeMap<i64, u32>,
    /// The bucket of the last event.
    recent: Window,
    /// The bucket of the session that closed last.
    recent_closed: Window,
}

const NO_BUCKET: Window = Window::new(Timestamp::MIN, Timestamp::MIN);

impl<K: Key, V: Value, S> ArrivalWindows<K, V, S> {
    pub(crate) fn new(rounding: Option<Rounding>, range: i64, remember: i64) -> Self {
        Self {
            rounding,
            range,
            index: Index::new(),
            sessions: Segments::new(),
            first: 0,
            rare: HashMap::new(),
            closed: ClosedParts::new(range, remember),
            buckets: BTreeMap::new(),
            recent: NO_BUCKET,
            recent_closed: NO_BUCKET,
        }
    }

    /// Every session, with how it would end.
    pub(crate) fn sightings(&self) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        self.sessions.iter().filter_map(|(number, _)| self.sighting(number))
    }

    /// Makes room for a number of sessions, while there are none.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        self.index.reserve(sessions);
    }

    /// The sessions from a place in the queue on, of a number of places at most.
    pub(crate) fn sessions_from<'e>(
        &'e self,
        cursor: &mut Cursor,
        most: usize,
        mut visit: impl FnMut(Sighting<'e, K, V, S>),
    ) {
        let length = self.sessions.end().wrapping_sub(self.first);
        let begin = cursor.number.map_or(0, |number| number.wrapping_sub(self.first));
        let begin = if begin > length { 0 } else { begin }; // those before have closed
        let stop = begin.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)).min(length);
        (begin..stop).filter_map(|i| self.sighting(self.first.wrapping_add(i))).for_each(&mut visit);
        (cursor.number, cursor.is_done) = (Some(self.first.wrapping_add(stop)), stop == length);
    }

    /// The sessions of a key: by bucket, then by part.
    pub(crate) fn sightings_of<'e, A>(
        &'e self,
        key: K::Ref<'_>,
        shared: &'e Shared<K, A>,
    ) -> impl Iterator<Item = Sighting<'e, K, V, S>> {
        let without = self.rounding.is_none().then_some(0);
        let starts = without.into_iter().chain(self.buckets.keys().copied());
        let numbers = starts.flat_map(move |start| self.numbers_of(key, start, shared.hash((key, start))));
        numbers.filter_map(|number| self.sighting(number))
    }

    /// The numbers of the sessions of a partition: several while some are over and pending.
    fn numbers_of(&self, key: K::Ref<'_>, start: i64, hash: u64) -> SmallVec<[u32; 1]> {
        let mut numbers = SmallVec::<[u32; 1]>::new();
        let is_it = |session: &Session<K, V, S>| session.key.key_eq(key) && self.start_of(session.first) == start;
        self.index.find(hash, |number| {
            if self.get(number).is_some_and(is_it) {
                numbers.push(number);
            }
            false
        });
        numbers.sort_unstable_by_key(|number| number.wrapping_sub(self.first));
        numbers
    }

    /// The session with a number, if it is open.
    #[inline(always)]
    pub(crate) fn sighting(&self, number: u32) -> Option<Sighting<'_, K, V, S>> {
        let session = self.get(number)?;
        let rare = if session.has_rare_state() { self.rare.get(&number) } else { None };
        let bucket = self.rounding.as_ref().map(|rounding| rounding.window_of(session.first).start);
        let ending = self.ending(session.edge, bucket, CloseReason::Range);
        Some(Sighting { session, rare, ending, deadline: ending.window.end, window: 0 })
    }

    /// The parts that are remembered.
    pub(crate) const fn closed(&self) -> &ClosedParts<K> {
        &self.closed
    }

    pub(crate) const fn closed_mut(&mut self) -> &mut ClosedParts<K> {
        &mut self.closed
    }

    /// The start of the bucket of an event time; zero where there are no buckets.
    pub(crate) fn start_of(&self, time: Timestamp) -> i64 {
        start_of(self.rounding.as_ref(), time)
    }

    /// The hash of the partition of an event.
    #[inline]
    pub(crate) fn hash<A>(&mut self, event: &EventRef<'_, K, V>, shared: &Shared<K, A>) -> u64 {
        let start = self.bucket_of(event.event_time).map_or(0, |bucket| bucket.start.as_micros());
        shared.hash((event.key, start))
    }

    /// The bucket of an event, where there are buckets.
    #[inline]
    fn bucket_of(&mut self, time: Timestamp) -> Option<Window> {
        Some(bucket_of(self.rounding.as_ref()?, &mut self.recent, time))
    }

    #[inline]
    fn get(&self, number: u32) -> Option<&Session<K, V, S>> {
        self.sessions.get(number)?.as_ref()
    }

    /// Where the session under a hash is likely to be, after one look at the index.
    #[inline]
    pub(crate) fn likely(&self, hash: u64) -> Option<Whereabouts> {
        Some(Whereabouts::numbered(self.index.likely(hash)?))
    }

    #[inline]
    pub(crate) fn session_at(&self, number: u32) -> Option<&Session<K, V, S>> {
        self.get(number)
    }

    /// Assigns an event to the window of its partition, which is never over. `hash`: that of the partition, if it is
    /// known.
    #[inline(never)]
    pub(crate) fn assign<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: Option<u64>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let hash = hash.unwrap_or_else(|| self.hash(event, shared));
        let bucket = self.bucket_of(event.event_time);
        let pending = shared.has_pending().then_some(shared.clock.now());
        let (found, before) = self.find(event, hash, bucket, pending);
        if let Some((number, session)) =
            found.and_then(|number| Some((number, self.sessions.get_mut(number)?.as_mut()?)))
        {
            shared.extend::<V, false>(session, event);
            let at = Whereabouts::numbered(number);
            if shared.updates.is_on() {
                let was_current = self.rare.get_mut(&number).is_some_and(RareState::outdate);
                self.follow_up(at, was_current, shared, out);
            }
            return Outcome::Extended(at);
        }
        if shared.is_bounded() && shared.has_pending() && self.closed.is_on() {
            self.drain_pending(shared, out); // it may make room for itself among the parts that are remembered
        }
        if !self.make_room(1, shared, out) {
            return shared.full();
        }
        let at = self.open(event, hash, bucket, before, shared);
        if shared.updates.is_on() {
            self.follow_up(at, true, shared, out);
        }
        Outcome::Opened(at)
    }

    /// The number of the open window of an event's partition; and that of the part before it, if it is over and
    /// pending. `pending`: windows that are over by this time are pending.
    #[inline(always)]
    fn find(
        &self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        bucket: Option<Window>,
        pending: Option<Timestamp>,
    ) -> (Option<u32>, Option<u32>) {
        let mut before: Option<u32> = None;
        let open = self.index.find(hash, |number| {
            let Some(session) = self.get(number).filter(|session| session.key.key_eq(event.key)) else { return false };
            let is_here = bucket.is_none_or(|bucket| self.is_in_bucket(session, bucket));
            let is_over = pending.is_some_and(|now| self.deadline_of(session.edge) <= now);
            if is_here && is_over {
                let age = |number: u32| number.wrapping_sub(self.first);
                before = before.filter(|other| age(*other) > age(number)).or(Some(number));
            }
            is_here && !is_over
        });
        (open, before)
    }

    /// Opens a window. `before`: the part before it, if it is pending.
    #[inline(always)]
    fn open<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        bucket: Option<Window>,
        before: Option<u32>,
        shared: &mut Shared<K, A>,
    ) -> Whereabouts {
        let now = shared.clock.now();
        self.closed.forget(now);
        let start = bucket.map_or(0, |bucket| bucket.start.as_micros());
        let before = before.and_then(|number| Some((self.get(number)?.edge, self.part_of(number))));
        let part = match before {
            Some((opened, part)) if self.closed.remembers(opened, now) => part.saturating_add(1),
            _ => self.closed.next(Partition { key: event.key, start, hash }),
        };
        let (opening, state) = (Opening { edge: now, opened: shared.last_seq }, shared.open_state(event));
        let number = self.insert_with(start, hash, now, || Session::open(event, opening, state), shared);
        if part != 1 {
            self.set_rare(number, RareState { part, ..RareState::default() });
        }
        Whereabouts::numbered(number)
    }

    /// Whether the open window of an event's partition holds an event of an id. `pending`: windows that are over
    /// by this time are pending, and take no event.
    pub(crate) fn holds(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        id: u128,
        pending: Option<Timestamp>,
    ) -> bool {
        let start = self.bucket_of(event.event_time).map_or(0, |bucket| bucket.start.as_micros());
        let is_over = |session: &Session<K, V, S>| pending.is_some_and(|now| self.deadline_of(session.edge) <= now);
        let is_open = |number: &u32| self.get(*number).is_some_and(|session| !is_over(session));
        let mut open = self.numbers_of(event.key, start, hash).into_iter().filter(is_open);
        open.any(|number| self.rare.get(&number).is_some_and(|rare| rare.has_event(id)))
    }

    fn part_of(&self, number: u32) -> u32 {
        self.rare.get(&number).map_or(1, |rare| rare.part)
    }

    fn set_rare(&mut self, number: u32, rare: RareState<V>) {
        if let Some(Some(session)) = self.sessions.get_mut(number) {
            session.set_rare_state();
            self.rare.insert(number, rare);
        }
    }

    /// Whether a session is of this bucket. Where the end of the bucket is that of time, the bucket
    /// after it may have the same end.
    #[inline]
    fn is_in_bucket(&self, session: &Session<K, V, S>, bucket: Window) -> bool {
        let is_last = || self.start_of(session.first) == bucket.start.as_micros();
        session.first >= bucket.start && (session.first < bucket.end || is_last())
    }

    /// Adds a session that opened at an arrival. (It is made in its place.)
    #[inline]
    fn insert_with<A>(
        &mut self,
        start: i64,
        hash: u64,
        opened: Timestamp,
        make: impl FnOnce() -> Session<K, V, S>,
        shared: &mut Shared<K, A>,
    ) -> u32 {
        shared.clock.schedule(self.deadline_of(opened));
        if self.rounding.is_some() {
            *self.buckets.entry(start).or_default() += 1;
        }
        let number = self.sessions.push_with(|| Some(make()));
        let Self { rounding, index, sessions, .. } = self;
        let session_at = |number| sessions.get(number).and_then(Option::as_ref);
        index.insert(hash, number, |number| {
            session_at(number).map_or(0, |session| hash_of(rounding.as_ref(), session, shared))
        });
        number
    }

    /// Opens a session again as a snapshot has it. Those that opened first must come first.
    pub(crate) fn resume<A>(
        &mut self,
        session: Session<K, V, S>,
        rare: Option<RareState<V>>,
        shared: &mut Shared<K, A>,
    ) -> u32 {
        let start = self.start_of(session.first);
        let hash = shared.hash((session.key.key_ref(), start));
        shared.clock.advance(session.edge); // a session cannot have opened in the future
        let number = self.insert_with(start, hash, session.edge, || session, shared);
        if let Some(rare) = rare {
            self.set_rare(number, rare);
        }
        number
    }

    // --- Closing ---

    /// Emits and removes the session at the front. False: there is none.
    #[inline]
    fn close_first<A: Aggregate<K, V, State = S>>(
        &mut self,
        early: Option<CloseReason>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        let Some(number) = self.front() else { return false };
        let Self { rounding, sessions, closed, recent_closed, .. } = self;
        let Some(session) = sessions.get(number).and_then(Option::as_ref) else { return false };
        let rounding = rounding.as_ref();
        let bucket = rounding.map(|rounding| bucket_of(rounding, recent_closed, session.first).start);
        let start = bucket.map_or(0, Timestamp::as_micros);
        let hash = shared.hash((session.key.key_ref(), start));
        self.index.remove(hash, number);
        let rare = if session.has_rare_state() { self.rare.remove(&number) } else { None };
        if early.is_none() && closed.is_on() {
            let partition = Partition { key: session.key.key_ref(), start, hash };
            let part = rare.as_ref().map_or(1, |rare| rare.part);
            closed.remember(partition, part, session.edge, shared.options.max_open);
        }
        let (edge, reason) = (session.edge, early.unwrap_or(CloseReason::Range));
        let ending = self.ending(edge, bucket, reason);
        self.leave_bucket(start);
        self.first = number.wrapping_add(1);
        if let Some(session) = self.sessions.get_mut(number).and_then(Option::take) {
            match rare {
                None => shared.emit(session, ending, out),
                rare => shared.emit_removed(Removed { session, rare }, ending, out),
            }
        }
        self.sessions.release_before(self.first);
        true
    }

    /// One session less is open in a bucket.
    fn leave_bucket(&mut self, start: i64) {
        if let Some(open) = self.buckets.get_mut(&start) {
            *open -= 1;
            if *open == 0 {
                self.buckets.remove(&start);
            }
        }
    }

    /// The number of the session that opened first.
    #[inline]
    fn front(&self) -> Option<u32> {
        (self.first != self.sessions.end()).then_some(self.first)
    }

    /// When a window is over that opened at this arrival.
    pub(crate) fn deadline_of(&self, opened: Timestamp) -> Timestamp {
        opened.shift(self.range)
    }

    fn deadline(&self) -> Timestamp {
        let front = self.front().and_then(|number| self.get(number));
        front.map_or(Timestamp::MAX, |session| self.deadline_of(session.edge))
    }

    #[inline]
    fn ending(&self, opened: Timestamp, bucket: Option<Timestamp>, reason: CloseReason) -> Ending {
        let window = Window::new(opened, self.deadline_of(opened));
        Ending { window, bucket, reason, anchor: window.start, by_part: false }
    }

    /// Gives memory back when nothing is open.
    fn trim(&mut self) {
        (self.index, self.sessions, self.first, self.rare) = (Index::new(), Segments::new(), 0, HashMap::new());
        self.buckets = BTreeMap::new();
    }
}

/// The start of the bucket of an event time; zero where there are no buckets.
fn start_of(rounding: Option<&Rounding>, time: Timestamp) -> i64 {
    rounding.map_or(0, |rounding| rounding.window_of(time).start.as_micros())
}

/// The hash of the partition of a session.
fn hash_of<K: Key, V, S, A>(rounding: Option<&Rounding>, session: &Session<K, V, S>, shared: &Shared<K, A>) -> u64 {
    shared.hash((session.key.key_ref(), start_of(rounding, session.first)))
}

/// The bucket of an event time, which often is the one before.
#[inline]
fn bucket_of(rounding: &Rounding, before: &mut Window, time: Timestamp) -> Window {
    if time < before.start || time >= before.end {
        *before = rounding.window_of(time);
    }
    *before
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Store<K, V, A> for ArrivalWindows<K, V, A::State> {
    fn len(&self) -> usize {
        self.index.len()
    }

    fn next_due(&self) -> Timestamp {
        self.deadline()
    }

    fn close_due(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        let now = shared.clock.now();
        while self.front().is_some() && self.deadline() <= now && shared.spend() {
            self.close_first(None, shared, out);
        }
        self.closed.forget(now);
        if self.index.len() == 0 && self.index.is_split() {
            self.trim();
        }
    }

    fn close_all(&mut self, shared: &mut Shared<K, A>, reason: CloseReason, out: Out<'_, K, V, A>) {
        while self.close_first(Some(reason), shared, out) {}
    }

    fn end_flush(&mut self, _: &mut Shared<K, A>) {
        if self.index.len() == 0 {
            self.trim();
            self.closed.clear();
        }
    }

    fn shrink_to_fit(&mut self, shared: &mut Shared<K, A>) {
        self.index = Index::new();
        let Self { rounding, index, sessions, .. } = self;
        let session_at = |number| sessions.get(number).and_then(Option::as_ref);
        let hash_at = |number| session_at(number).map_or(0, |session| hash_of(rounding.as_ref(), session, shared));
        for (number, session) in sessions.iter() {
            if session.is_some() {
                index.insert(hash_at(number), number, hash_at);
            }
        }
    }

    fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, A::State>> {
        self.sighting(at.number())
    }

    fn with_rare(&mut self, at: Whereabouts) -> Option<WithRare<'_, K, V, A::State>> {
        let session = self.sessions.get_mut(at.number())?.as_mut()?;
        session.set_rare_state();
        Some((session, self.rare.entry(at.number()).or_default()))
    }

    #[cold]
    fn evict_oldest(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) -> bool {
        if self.front().is_none() {
            return false;
        }
        shared.early_closings = shared.early_closings.saturating_add(1);
        self.close_first(Some(CloseReason::Evicted), shared, out)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::engine::Plan;
    use crate::rules::WhenFull;
    use crate::sessionizer::{Pushed, Refusal};
    use crate::strategy::{Bucket, Stagger};
    use crate::summary::CloseReason;
    use crate::testing::{Run, config, us};

    fn stagger() -> Stagger {
        Stagger::on_arrival(Bucket::step(us(10)), us(10))
    }

    fn run(stagger: Stagger) -> Run {
        Run::new(crate::testing::config(stagger))
    }

    fn parts(run: &mut Run) -> Vec<(u8, u32)> {
        run.summaries().into_iter().map(|summary| (summary.key, summary.part)).collect()
    }

    #[test]
    fn how_long_parts_are_remembered_does_not_show_in_ids() {
        let windows = |remember| {
            let windows = Stagger::on_arrival(Bucket::step(us(60)), us(1)).remember_parts(us(remember));
            let mut run = Run::new(config(windows));
            assert_eq!([0, 120].map(|arrival| run.push_at(1, 0, arrival)), [Pushed::Opened; 2]);
            run.close_all();
            let found = run.summaries();
            (found.iter().map(|summary| summary.part).collect::<Vec<_>>(), found.into_iter().map(|s| s.id()).collect())
        };
        let (short, long): ((_, Vec<_>), (_, Vec<_>)) = (windows(1), windows(3_600));
        assert_eq!((short.0, long.0), ([1, 1].to_vec(), [1, 2].to_vec()));
        assert_eq!(short.1, long.1);
        assert_ne!(long.1[0], long.1[1]);
    }

    #[test]
    fn exactly_range_after_the_opening() {
        let mut run = run(stagger());
        assert_eq!(run.push_at(1, 5, 100), Pushed::Opened);
        assert_eq!(run.push_at(1, 5, 110), Pushed::Opened);
        assert_eq!(run.closed(), [(1, 100, 110, 1)]);
    }

    #[test]
    fn one_microsecond_less_than_range_after_the_opening() {
        let mut run = run(stagger());
        assert_eq!([100, 109].map(|arrival| run.push_at(1, 5, arrival)), [Pushed::Opened, Pushed::Extended]);
        assert_eq!((run.advance(109), run.advance(110)), ([].into(), [(1, 100, 110, 2)].into()));
    }

    #[test]
    fn buckets_of_one_key_are_apart() {
        let mut run = run(stagger());
        assert_eq!(
            [9, 10, 0, 19].map(|time| run.push_at(1, time, 100)),
            [Pushed::Opened, Pushed::Opened, Pushed::Extended, Pushed::Extended]
        );
        assert_eq!(run.advance(110), [(1, 100, 110, 2), (1, 100, 110, 2)]);
    }

    #[test]
    fn without_a_bucket_a_key_has_one_window() {
        let mut run = run(Stagger::per_key(us(10)));
        assert_eq!([-500, 500].map(|time| run.push_at(1, time, 100)), [Pushed::Opened, Pushed::Extended]);
        assert_eq!(run.summaries(), []);
        run.flush();
        assert_eq!(run.push_at(1, 0, 100), Pushed::Opened, "as if for the first time");
    }

    #[test]
    fn an_earlier_arrival_arrives_now() {
        let mut run = run(stagger());
        assert_eq!([100, 50].map(|arrival| run.push_at(1, 5, arrival)), [Pushed::Opened, Pushed::Extended]);
        assert_eq!(run.push_at(2, 5, 60), Pushed::Opened);
        assert_eq!(run.advance(110), [(1, 100, 110, 2), (2, 100, 110, 1)]);
    }

    #[test]
    fn a_part_is_remembered_until_just_before_the_time_is_over() {
        for (arrival, part) in [(116, 2), (117, 1)] {
            let mut run = run(stagger().remember_parts(us(7)));
            assert_eq!([100, arrival].map(|arrival| run.push_at(1, 5, arrival)), [Pushed::Opened; 2]);
            run.engine.flush(&mut |summary| assert_eq!(summary.part, part, "{arrival}"));
        }
    }

    #[test]
    fn the_next_part_follows_a_part_that_is_pending() {
        let mut run = Run::new(crate::testing::config(stagger()).close_at_most(1));
        for key in [1, 2, 3] {
            assert_eq!(run.push_at(key, 5, 100), Pushed::Opened);
        }
        assert_eq!([3, 3].map(|key| run.push_at(key, 5, 110)), [Pushed::Opened, Pushed::Extended]);
        assert_eq!(parts(&mut run), [(1, 1), (2, 1)]);
        run.close_until(120);
        run.close_until(120);
        assert_eq!(parts(&mut run), [(3, 1), (3, 2)]);
    }

    #[test]
    fn a_window_closed_to_make_room_is_not_remembered() {
        let mut run = Run::new(crate::testing::config(stagger()).max_open_sessions(2, WhenFull::CloseOldest));
        assert_eq!(
            [3, 1, 2, 1].map(|key| run.push_at(key, 5, 100)),
            [Pushed::Opened, Pushed::Opened, Pushed::Opened, Pushed::Extended]
        );
        assert_eq!([3, 1].map(|key| run.push_at(key, 5, 100)), [Pushed::Opened; 2]);
        assert_eq!(run.reasons(), [CloseReason::Evicted; 3]);
        run.engine.flush(&mut |summary| assert_eq!(summary.part, 1));
    }

    #[test]
    fn one_window_more_than_the_bound_is_refused() {
        let mut run = Run::new(crate::testing::config(stagger()).max_open_sessions(1, WhenFull::Refuse));
        assert_eq!([1, 2].map(|key| run.push_at(key, 5, 100)), [Pushed::Opened, Pushed::Refused((), Refusal::Full)]);
        assert_eq!(run.push_at(2, 5, 110), Pushed::Opened, "the first is over");
    }

    #[test]
    fn the_next_part_follows_the_latest_of_several_that_are_pending() {
        for (remember, last_part) in [(100, 7), (0, 1)] {
            let stagger = stagger().remember_parts(us(remember));
            let mut run = Run::new(crate::testing::config(stagger).close_at_most(1));
            for key in [1, 2, 9] {
                assert_eq!(run.push_at(key, 5, 100), Pushed::Opened);
            }
            for arrival in [110, 120, 130, 140, 150, 160] {
                assert_eq!(run.push_at(9, 5, arrival), Pushed::Opened);
            }
            assert_eq!((run.open(), run.engine.sessions_of(9).count()), (3, 3));
            run.summaries();
            run.close_all();
            let parts = parts(&mut run);
            assert_eq!(parts.last(), Some(&(9, last_part)), "{parts:?}");
        }
    }

    #[test]
    fn buckets_of_one_key_whose_hashes_look_alike_are_apart() {
        let mut run = run(stagger());
        for expected in [Pushed::Opened, Pushed::Extended] {
            for bucket in 0..4_000 {
                assert_eq!(run.push_at(1, 10 * bucket, 100), expected, "{bucket}");
            }
        }
        assert_eq!(run.engine.sessions_of(1).count(), 4_000);
        let Plan::Arrival(windows) = &run.engine.state.plan else { panic!("windows on the arrival clock") };
        assert_eq!(windows.buckets.len(), 4_000);
        assert_eq!(run.push_at(2, -5, 105), Pushed::Opened);
        assert_eq!(run.advance(110).len(), 4_000);
        let Plan::Arrival(windows) = &run.engine.state.plan else { panic!("windows on the arrival clock") };
        assert_eq!(windows.buckets.len(), 1, "no bucket is kept that has no session");
    }
}
