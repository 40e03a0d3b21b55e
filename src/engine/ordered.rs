//! Gap sessions that are built in order of time: those with a maximum duration or number of events,
//! or a rule that looks at events in order.
//!
//! Where a session is cut depends on every event before. So an event ahead of the watermark is held;
//! when the watermark reaches it, nothing can come before it any more, and it is assigned for good.
//! Between two held events the sessions that end are closed, as if the watermark had come by slowly.
//! An event at the watermark itself needs no holding: an event that comes with the same time comes later.

use alloc::vec::Vec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::keyed::Keyed;
use crate::engine::look::Sighting;
use crate::engine::shared::{Out, Outcome, Shared, Unplaced};
use crate::engine::store::Store;
use crate::engine::whereabouts::Whereabouts;
use crate::event::{Event, EventRef};
use crate::gap_rules::{CutWithRule, EndRule, JoinOnly, JoinRule};
use crate::id::Distinction;
use crate::reorder::ReorderBuffer;
use crate::rules::{CutRule, FirstLast, IdRule, TimedValue};
use crate::session::{Mark, Opening, Origin, Session, WithRare};
use crate::strategy::{Reach, Rounding};
use crate::summary::CloseReason;
use crate::table::SlotId;
use crate::time::Timestamp;
use crate::window::is_past;

/// The storage of gap sessions that are built in order of time.
pub(crate) struct OrderedSessions<K: Key, V: Value, S> {
    sessions: Keyed<K, V, S>,
    held: ReorderBuffer<K, V>,
    /// Events that waited and that no session took, until the caller takes them.
    unplaced: Vec<UnplacedEvent<K, V>>,
    rules: OrderRules<K, V, S>,
}

/// An event that no session took, with the number of its push, and why.
pub(crate) struct UnplacedEvent<K, V> {
    pub(crate) event: Event<K, V>,
    pub(crate) seq: u64,
    pub(crate) why: Unplaced,
}

/// The rules that end sessions besides the gap and their maximum duration.
pub(crate) struct OrderRules<K: Key, V: Value, S> {
    /// A session is cut between two of these.
    pub(crate) buckets: Option<Rounding>,
    pub(crate) cut: Option<CutRule<V>>,
    pub(crate) cut_with: Option<CutWithRule<K, V, S>>,
    pub(crate) end_at: Option<EndRule<K, V>>,
    pub(crate) join_only: Option<JoinRule<K, V>>,
    pub(crate) unique: Option<IdRule<K, V>>,
    pub(crate) max_events: u64,
}

/// Whether an event belongs to a session.
#[derive(Clone, Copy, PartialEq)]
enum Fit {
    Joins(SlotId),
    /// The session holds an event of its id.
    Repeats,
    /// It would, but a cut falls between the session's last event and this one, by this rule.
    Cuts(SlotId, CloseReason),
    No,
}

/// An event to be assigned: up to which instant it keeps a session open, and its push.
struct Arriving<'a, 'e, K: Key, V: Value> {
    event: &'a EventRef<'e, K, V>,
    hash: u64,
    seq: u64,
    end: Timestamp,
    /// It came behind the watermark.
    is_behind: bool,
    joins: JoinOnly,
    id: Option<u128>,
}

impl<K: Key, V: Value, S> OrderedSessions<K, V, S> {
    pub(crate) const fn new(sessions: Keyed<K, V, S>, rules: OrderRules<K, V, S>) -> Self {
        Self { sessions, held: ReorderBuffer::new(), unplaced: Vec::new(), rules }
    }

    pub(crate) const fn sessions(&self) -> &Keyed<K, V, S> {
        &self.sessions
    }

    pub(crate) const fn sessions_mut(&mut self) -> &mut Keyed<K, V, S> {
        &mut self.sessions
    }

    /// The events that wait for the watermark.
    pub(crate) const fn held(&self) -> &ReorderBuffer<K, V> {
        &self.held
    }

    /// The events that no session took.
    pub(crate) const fn unplaced(&self) -> &Vec<UnplacedEvent<K, V>> {
        &self.unplaced
    }

    pub(crate) const fn unplaced_mut(&mut self) -> &mut Vec<UnplacedEvent<K, V>> {
        &mut self.unplaced
    }

    /// Holds an event until the watermark reaches it.
    pub(crate) fn hold<A>(&mut self, event: &EventRef<'_, K, V>, seq: u64, shared: &mut Shared<K, A>) {
        shared.clock.schedule(event.event_time);
        self.held.hold(event, seq);
    }

    #[inline(never)]
    pub(crate) fn assign<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: Option<u64>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let now = shared.clock.now();
        if event.event_time <= now && shared.has_pending() {
            self.drain_pending(shared, out); // what is pending ended before this event
        }
        if !self.make_room(1, shared, out) {
            return shared.full();
        }
        if event.event_time > now {
            self.hold(event, shared.last_seq, shared);
            return Outcome::Held;
        }
        let (end, hash) = (self.sessions.reach_of(event), hash.unwrap_or_else(|| shared.hash(event.key)));
        let is_behind = event.event_time < now;
        let joins = self.joins(event);
        let (seq, id) = (shared.last_seq, self.id_of(event));
        let arriving = Arriving { event, hash, seq, end, is_behind, joins, id };
        let fit = self.find_fit(&arriving, shared);
        let reach = &self.sessions.reach;
        if !matches!(fit, Fit::Joins(_) | Fit::Repeats) && shared.is_late(reach.deadline(event.event_time, end)) {
            return shared.late();
        }
        if let Some(unplaced) = why_unplaced(fit, joins) {
            return shared.unplaced(unplaced);
        }
        let (slot, outcome, is_first) = self.put(&arriving, fit, shared);
        self.after_change(slot, shared, out);
        if shared.updates.is_on() {
            self.follow_up(Whereabouts::numbered(slot), is_first, shared, out);
        }
        shared.counters.uncorrected += u64::from(is_behind);
        shared.renew_quota();
        if shared.clock.is_due() {
            self.advance(shared, out);
        }
        outcome
    }

    /// Assigns the held events up to `time`, and closes sessions that end before each.
    fn settle_until<A: Aggregate<K, V, State = S>>(
        &mut self,
        time: Timestamp,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        while let Some(first) = self.held.first_time().filter(|first| *first <= time) {
            self.sessions.close_until(first.shift(-1), shared, out);
            self.settle_and_follow_up(shared.clock.before(), shared, out);
        }
    }

    /// Assigns the first held event, and may emit its session. False: none is held.
    fn settle_and_follow_up<A: Aggregate<K, V, State = S>>(
        &mut self,
        from: Timestamp,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        let Some(settled) = self.settle_first(shared) else { return false };
        if let Some((slot, is_first)) = settled.filter(|_| shared.updates.is_on()) {
            self.follow_up_from(from, Whereabouts::numbered(slot), is_first, shared, out);
        }
        true
    }

    /// Assigns the first held event, if there is one. Returns its session, if it has one, and whether that
    /// is the first change of it.
    #[allow(clippy::option_option)]
    fn settle_first<A: Aggregate<K, V, State = S>>(
        &mut self,
        shared: &mut Shared<K, A>,
    ) -> Option<Option<(SlotId, bool)>> {
        let first = self.held.take_first()?;
        let event = &first.event.as_event_ref();
        let (end, hash) = (self.sessions.reach_of(event), shared.hash(event.key));
        let joins = self.joins(event);
        let arriving = Arriving { event, hash, seq: first.seq, end, is_behind: false, joins, id: self.id_of(event) };
        let fit = self.find_fit(&arriving, shared);
        if let Some(why) = why_unplaced(fit, joins) {
            shared.count_unplaced(why);
            let seq = first.seq;
            self.unplaced.push(UnplacedEvent { event: self.held.release(first), seq, why });
            return Some(None);
        }
        let (slot, _, is_first) = self.put(&arriving, fit, shared);
        shared.note_key(&first.event.key);
        self.held.recycle(first);
        Some(Some((slot, is_first)))
    }

    /// Whether an event may only join.
    fn joins(&self, event: &EventRef<'_, K, V>) -> JoinOnly {
        self.rules.join_only.as_ref().map_or(JoinOnly::No, |rule| rule(event))
    }

    /// The number that tells an event from others of its session.
    fn id_of(&self, event: &EventRef<'_, K, V>) -> Option<u128> {
        self.rules.unique.as_ref().map(|rule| rule(event))
    }

    /// The latest session of the key that the event belongs to, or else the latest that it cuts.
    fn find_fit<A>(&self, arriving: &Arriving<'_, '_, K, V>, shared: &Shared<K, A>) -> Fit {
        let table = &self.sessions.table;
        let Some(location) = table.find(arriving.hash, arriving.event.key) else { return Fit::No };
        if let (Some(slot), None) = (location.slot(), arriving.id) {
            return self.fit(slot, arriving, shared); // it is the only session of its key
        }
        let mut best = Fit::No;
        if arriving.id.is_some() && table.before(location, arriving.end).any(|slot| self.holds(slot, arriving)) {
            return Fit::Repeats;
        }
        for slot in table.before(location, arriving.end) {
            match (self.fit(slot, arriving, shared), best) {
                (Fit::Joins(slot), _) => return Fit::Joins(slot),
                (cuts @ Fit::Cuts(..), Fit::No) => best = cuts,
                (Fit::No | Fit::Cuts(..) | Fit::Repeats, _) => {}
            }
        }
        best
    }

    /// Whether a session that reaches to an event holds one of its id: also one that a rule ended at this very
    /// instant, and whatever cuts would say.
    fn holds(&self, slot: SlotId, arriving: &Arriving<'_, '_, K, V>) -> bool {
        let Keyed { table, reach, .. } = &self.sessions;
        let (session, time) = (table.get(slot), arriving.event.event_time);
        let reaches = Reach::touches(session.first, session.edge, time, arriving.end)
            && !is_past(reach.limit(session.first), time);
        let holds = |id| table.rare(slot, session).is_some_and(|rare| rare.has_event(id));
        reaches && arriving.id.is_some_and(holds)
    }

    fn fit<A>(&self, slot: SlotId, arriving: &Arriving<'_, '_, K, V>, shared: &Shared<K, A>) -> Fit {
        let Keyed { table, reach, .. } = &self.sessions;
        let session = table.get(slot);
        let time = arriving.event.event_time;
        let (first, last) = (session.first.min(time), session.last.max(time));
        let is_before = arriving.joins != JoinOnly::No && time < session.first;
        let is_cut_off = session.is(Mark::Cut) && time >= session.last;
        let is_full = session.count() >= self.rules.max_events;
        let is_too_long = is_past(reach.limit(first), last);
        if is_before
            || is_cut_off
            || is_full
            || is_too_long
            || !Reach::touches(session.first, session.edge, time, arriving.end)
        {
            return Fit::No;
        }
        let this = TimedValue { time, value: arriving.event.value };
        if time >= session.last {
            // Told by arrival, the last event may not be the latest.
            let rare = if shared.options.first_last == FirstLast::Arrival { table.rare(slot, session) } else { None };
            let latest = rare.and_then(|rare| rare.previous.as_ref());
            let previous = TimedValue { time: session.last, value: latest.unwrap_or(&session.last_value).value_ref() };
            let cut = self.cut_between(previous, this);
            return match cut.or_else(|| self.cut_with(slot, previous, this, shared)) {
                Some(_) if self.sessions.is_final(slot) => Fit::No,
                Some(rule) => Fit::Cuts(slot, rule),
                None => Fit::Joins(slot),
            };
        }
        // By arrival the value of the earliest event is not kept; only behind the watermark is it missed.
        if time < session.first && shared.options.first_last == FirstLast::EventTime {
            let next = TimedValue { time: session.first, value: session.first_value.value_ref() };
            if self.cut_between(this, next).is_some() {
                return Fit::No;
            }
        }
        Fit::Joins(slot)
    }

    /// The rule by which a session ends between two events that follow each other, regardless of its content.
    fn cut_between(&self, previous: TimedValue<V::Ref<'_>>, next: TimedValue<V::Ref<'_>>) -> Option<CloseReason> {
        let OrderRules { buckets, cut, .. } = &self.rules;
        if buckets.as_ref().is_some_and(|buckets| buckets.window_of(previous.time) != buckets.window_of(next.time)) {
            return Some(CloseReason::CutBetween);
        }
        cut.as_ref().is_some_and(|rule| rule(previous, next)).then_some(CloseReason::Cut)
    }

    /// Whether the rule that knows the session ends it before the next event.
    fn cut_with<'s, A>(
        &'s self,
        slot: SlotId,
        previous: TimedValue<V::Ref<'s>>,
        next: TimedValue<V::Ref<'_>>,
        shared: &Shared<K, A>,
    ) -> Option<CloseReason> {
        let rule = self.rules.cut_with.as_ref()?;
        let session = self.sessions.sighting(slot).view(shared);
        rule(&session, previous, next).then_some(CloseReason::CutWith)
    }

    /// Puts an event where it belongs. Returns its session, and whether this is the first change of it.
    fn put<A: Aggregate<K, V, State = S>>(
        &mut self,
        arriving: &Arriving<'_, '_, K, V>,
        fit: Fit,
        shared: &mut Shared<K, A>,
    ) -> (SlotId, Outcome, bool) {
        let Arriving { event, hash, seq, end, is_behind, .. } = *arriving;
        // The caller's rule first: if it panics, nothing has changed.
        let is_end = self.rules.end_at.as_ref().is_some_and(|ends| self.is_latest(event, fit) && ends(event));
        if let Fit::Joins(slot) = fit {
            let is_first = self.extend(slot, arriving, shared);
            self.end_after(slot, is_end, shared);
            return (slot, Outcome::Extended(Whereabouts::numbered(slot)), is_first);
        }
        let others = self.sessions.table.find(hash, event.key);
        let anchor = event.event_time;
        let origin = shared.origin(anchor, is_behind, Some(self.sessions.reach.deadline(anchor, end)));
        let usual = Origin { anchor, besides: Distinction::default() };
        let part = self.sessions.next_part(others, event.key, origin.unwrap_or(usual));
        let slot = self.sessions.open(hash, others, event, Opening { edge: end, opened: seq }, shared);
        if let Fit::Cuts(before, rule) = fit {
            self.cut(before, event.event_time, rule, shared);
        }
        self.sessions.set_origin(slot, origin);
        self.note_id_in(slot, arriving);
        if part != 1 {
            self.sessions.table.with_rare(slot).1.part = part;
        }
        self.end_after(slot, is_end, shared);
        (slot, Outcome::Opened(Whereabouts::numbered(slot)), true)
    }

    fn note_id_in(&mut self, slot: SlotId, arriving: &Arriving<'_, '_, K, V>) {
        if let Some(id) = arriving.id {
            self.sessions.table.with_rare(slot).1.add_event(id);
        }
    }

    /// Ends a session where another begins, but not before its own last event.
    fn cut<A>(&mut self, slot: SlotId, time: Timestamp, rule: CloseReason, shared: &mut Shared<K, A>) {
        let after_last = self.sessions.table.get(slot).last.shift(1);
        self.end(slot, time.max(after_last), rule, shared);
    }

    /// Whether an event would be the latest of the session that it fits, so that a rule may end that with it.
    fn is_latest(&self, event: &EventRef<'_, K, V>, fit: Fit) -> bool {
        let Fit::Joins(slot) = fit else { return true };
        let session = self.sessions.table.get(slot);
        !session.is(Mark::Cut) && event.event_time >= session.last
    }

    /// Ends a session with the event that it has just taken, if that is the last by the caller's rule (`is_end`) or
    /// as many as it may hold.
    #[inline]
    fn end_after<A>(&mut self, slot: SlotId, is_end: bool, shared: &mut Shared<K, A>) {
        if is_end || self.rules.max_events != u64::MAX {
            self.end_if_last(slot, is_end, shared);
        }
    }

    #[inline(never)]
    fn end_if_last<A>(&mut self, slot: SlotId, is_end: bool, shared: &mut Shared<K, A>) {
        let session = self.sessions.table.get(slot);
        if session.is(Mark::Cut) {
            return;
        }
        let rule = if is_end {
            CloseReason::EndEvent
        } else if session.count() >= self.rules.max_events {
            CloseReason::MaxEvents
        } else {
            return;
        };
        self.end(slot, session.last.shift(1), rule, shared);
    }

    /// Ends a session by a rule.
    fn end<A>(&mut self, slot: SlotId, end: Timestamp, rule: CloseReason, shared: &mut Shared<K, A>) {
        let session = self.sessions.table.get_mut(slot);
        session.mark(Mark::Cut, true);
        session.edge = end;
        if rule != CloseReason::Cut {
            self.sessions.table.with_rare(slot).1.cut_by = Some(rule);
        }
        self.sessions.enqueue(slot, shared);
    }

    /// Adds an event to a session. Returns whether that has to be noted: it is the first change since the
    /// session was emitted, or the session goes by another push now.
    #[inline]
    fn extend<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        arriving: &Arriving<'_, '_, K, V>,
        shared: &mut Shared<K, A>,
    ) -> bool {
        let Arriving { event, seq, end, joins, id, .. } = *arriving;
        let session = self.sessions.table.get_mut(slot);
        let is_earlier = event.event_time < session.first || seq < session.opened;
        let is_by_time = shared.options.first_last == FirstLast::EventTime;
        if is_earlier || !is_by_time || id.is_some() || session.has_rare_state() {
            return self.extend_unusual(slot, arriving, is_earlier, shared);
        }
        shared.extend::<V, true>(session, event);
        prolong(session, end, joins);
        false
    }

    /// The same for an event that comes before others of its session, or where that has a rare state.
    #[inline(never)]
    fn extend_unusual<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        arriving: &Arriving<'_, '_, K, V>,
        is_earlier: bool,
        shared: &mut Shared<K, A>,
    ) -> bool {
        let Arriving { event, hash, seq, end, joins, id, .. } = *arriving;
        let origin = is_earlier.then(|| self.sessions.origin_of(slot));
        let was_current = self.sessions.table.update(hash, slot, |table| {
            match shared.options.first_last {
                FirstLast::EventTime => shared.extend::<V, false>(table.get_mut(slot), event),
                FirstLast::Arrival => {
                    let (session, rare) = table.with_rare(slot);
                    session.extend_by_arrival(rare, event, seq, &shared.aggregate);
                    shared.counters.placed += 1;
                }
            }
            let was_current = match id {
                None => table.get(slot).has_rare_state() && table.outdate(slot),
                Some(id) => table.with_rare(slot).1.outdate_by(id),
            };
            let session = table.get_mut(slot);
            session.opened = session.opened.min(seq);
            prolong(session, end, joins);
            was_current
        });
        if let Some(origin) = origin {
            // It stays the session that it was opened as.
            self.sessions.keep_origin(slot, origin);
            // It may be over sooner, or come before another.
            self.sessions.enqueue(slot, shared);
            self.sessions.note_age(slot, shared);
            self.sessions.forget_obsolete(shared);
        }
        was_current || is_earlier
    }

    /// A session that was emitted before has changed: its next summary is a correction.
    #[inline]
    fn after_change<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        if shared.options.lateness == 0 {
            return;
        }
        if self.sessions.is_settled(slot) {
            self.sessions.enqueue(slot, shared);
            self.sessions.forget_obsolete(shared);
        }
        if shared.clock.is_due() {
            self.drain_pending(shared, out);
        }
    }
}

/// An event keeps its session open up to an instant, unless a rule says that it does not.
#[inline(always)]
fn prolong<K, V, S>(session: &mut Session<K, V, S>, end: Timestamp, joins: JoinOnly) {
    if !session.is(Mark::Cut) && joins != JoinOnly::DoesNotProlong {
        session.edge = session.edge.max(end);
    }
}

/// Why no session takes an event, if none does.
const fn why_unplaced(fit: Fit, joins: JoinOnly) -> Option<Unplaced> {
    match (fit, joins) {
        (Fit::Repeats, _) => Some(Unplaced::Duplicate),
        (Fit::Joins(_), _) | (_, JoinOnly::No) => None,
        (Fit::Cuts(..) | Fit::No, _) => Some(Unplaced::Orphan),
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Store<K, V, A> for OrderedSessions<K, V, A::State> {
    fn len(&self) -> usize {
        self.sessions.table.len()
    }

    fn occupied(&self) -> usize {
        self.sessions.table.len() + self.held.len()
    }

    fn next_due(&self) -> Timestamp {
        self.held.first_time().map_or(Timestamp::MAX, |first| first).min(self.sessions.next_deadline())
    }

    fn close_due(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        let now = shared.clock.now();
        self.settle_until(now, shared, out);
        self.sessions.close_until(now, shared, out);
        self.sessions.forget_ended(shared);
    }

    fn close_all(&mut self, shared: &mut Shared<K, A>, reason: CloseReason, out: Out<'_, K, V, A>) {
        while self.settle_first(shared).is_some() {}
        self.sessions.close_each(reason, shared, out);
    }

    fn end_flush(&mut self, shared: &mut Shared<K, A>) {
        self.sessions.end_flush(shared);
        if self.held.len() == 0 {
            self.held = ReorderBuffer::new();
        }
    }

    fn shrink_to_fit(&mut self, shared: &mut Shared<K, A>) {
        shared.updates.forget();
        let slots = self.sessions.rebuild(shared);
        slots.into_iter().for_each(|slot| self.note_again(Whereabouts::numbered(slot), shared));
        self.held.shrink_to_fit();
    }

    fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, A::State>> {
        self.sessions.try_sighting(at.number())
    }

    fn with_rare(&mut self, at: Whereabouts) -> Option<WithRare<'_, K, V, A::State>> {
        Some(self.sessions.table.with_rare(at.number()))
    }

    fn evict_oldest(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) -> bool {
        self.sessions.evict(shared, out) || self.settle_and_follow_up(shared.clock.now(), shared, out)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::gap_rules::JoinOnly;
    use crate::id::SessionId;
    use crate::rules::{FirstLast, WhenFull};
    use crate::sessionizer::{Pushed, Refusal};
    use crate::strategy::{Bucket, Gap};
    use crate::summary::CloseReason::{self, Cut, CutBetween, Gap as Silence, MaxDuration};
    use crate::testing::{Run, Settings, config, us};

    fn at_most_20() -> Settings {
        config(Gap::new(us(10)).max_duration(us(20)))
    }

    fn cut_by_tens() -> Settings {
        config(Gap::new(us(10)).cut_between(Bucket::step(us(10))))
    }

    type Session = (i64, i64, u64, CloseReason);

    fn emitted(run: &mut Run) -> Vec<Session> {
        let all = run.summaries().into_iter();
        all.map(|s| (s.window.start.as_micros(), s.window.end.as_micros(), s.count, s.reason)).collect()
    }

    /// The sessions of events of one key that are all held first.
    fn sessions(config: Settings, times: &[i64]) -> Vec<Session> {
        let mut run = Run::new(config);
        times.iter().for_each(|time| assert_eq!(run.push(1, *time), Pushed::Held));
        run.close_until(100);
        emitted(&mut run)
    }

    #[test]
    fn at_the_watermark() {
        let mut run = Run::new(at_most_20());
        run.advance(5);
        assert_eq!([5, 6].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Held]);
        assert_eq!((run.counters().held, run.open()), (1, 1));
        assert_eq!((run.advance(6), run.counters().held), ([].into(), 0));
        assert_eq!(run.advance(16), [(1, 5, 16, 2)]);
    }

    #[test]
    fn exactly_the_maximum_duration_after_the_first() {
        assert_eq!(sessions(at_most_20(), &[0, 9, 18, 20]), [(0, 20, 3, MaxDuration), (20, 30, 1, Silence)]);
    }

    #[test]
    fn one_microsecond_less_than_the_maximum_duration_after_the_first() {
        assert_eq!(sessions(at_most_20(), &[19, 18, 9, 0]), [(0, 20, 4, MaxDuration)]);
    }

    #[test]
    fn a_gap_that_ends_with_the_maximum_duration_is_the_reason() {
        assert_eq!(sessions(at_most_20(), &[0, 5, 10]), [(0, 20, 3, Silence)]);
        assert_eq!(sessions(at_most_20(), &[0, 5, 11]), [(0, 20, 3, MaxDuration)]);
    }

    #[test]
    fn a_session_is_cut_where_the_next_bucket_has_an_event() {
        assert_eq!(sessions(cut_by_tens(), &[8, 9, 10]), [(8, 10, 2, CutBetween), (10, 20, 1, Silence)]);
        assert_eq!(sessions(cut_by_tens(), &[8, 9, 13]), [(8, 13, 2, CutBetween), (13, 23, 1, Silence)]);
        assert_eq!(sessions(cut_by_tens(), &[0, 9]), [(0, 19, 2, Silence)]);
    }

    #[test]
    fn pings_neither_keep_a_session_open_nor_open_one() {
        let is_ping = |time: i64| if time % 6 == 0 && time > 0 { JoinOnly::DoesNotProlong } else { JoinOnly::No };
        let config = config(Gap::new(us(18))).join_only("pings", move |event| is_ping(event.value));
        let mut run = Run::new(config);
        for time in (6..=72).step_by(6).chain([0, 73]) {
            assert_eq!(run.push(1, time), Pushed::Held);
        }
        run.close_until(100);
        assert_eq!(emitted(&mut run), [(0, 18, 3, Silence), (73, 91, 1, Silence)]);
        let orphans: Vec<_> = run.engine.take_orphans().into_iter().map(|event| event.value).collect();
        assert_eq!(orphans, [18, 24, 30, 36, 42, 48, 54, 60, 66, 72]);
        assert_eq!((run.counters().orphaned, run.engine.take_orphans().len()), (10, 0));
    }

    #[test]
    fn exactly_gap_apart_is_silence_and_not_a_cut() {
        assert_eq!(sessions(cut_by_tens(), &[5, 15]), [(5, 15, 1, Silence), (15, 25, 1, Silence)]);
    }

    #[test]
    fn sessions_cut_within_one_instant_are_numbered() {
        let always = config(Gap::new(us(10))).cut("always", |_, _| true);
        let mut run = Run::new(always);
        assert_eq!([5, 5, 5, 6].map(|time| run.push(1, time)), [Pushed::Held; 4]);
        run.close_until(100);
        let all = run.summaries();
        let seen: Vec<_> = all.iter().map(|s| (s.window.end.as_micros(), s.part, s.reason)).collect();
        assert_eq!(seen, [(6, 1, Cut), (6, 2, Cut), (6, 3, Cut), (16, 1, Silence)]);
    }

    #[test]
    fn a_cut_rule_sees_events_in_order_of_time() {
        let rising = config(Gap::new(us(10))).cut("odd to even", |previous, next| {
            assert!(previous.time <= next.time);
            previous.value % 2 == 1 && next.value % 2 == 0
        });
        assert_eq!(sessions(rising, &[4, 1, 3, 6]), [(1, 4, 2, Cut), (4, 16, 2, Silence)]);
    }

    #[test]
    fn a_straggler_joins_what_it_touches_but_never_too_long_a_session() {
        let mut run = Run::new(at_most_20());
        run.advance(30);
        assert_eq!([30, 21].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Extended]);
        assert_eq!(run.push(1, 38), Pushed::Held);
        run.advance(38);
        assert_eq!([19, 18].map(|time| run.push(1, time)), [Pushed::Extended, Pushed::Late(())], "38 is 20 after 18");
        run.close_until(100);
        assert_eq!(emitted(&mut run), [(19, 39, 4, MaxDuration)]);
    }

    #[test]
    fn a_straggler_before_a_cut_joins_no_session_beyond_it() {
        let mut run = Run::new(cut_by_tens());
        run.advance(12);
        assert_eq!([12, 9].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Opened]);
        run.close_until(100);
        assert_eq!(emitted(&mut run), [(9, 19, 1, Silence), (12, 22, 1, Silence)]);
    }

    #[test]
    fn a_correction_within_the_lateness() {
        let mut run = Run::new(at_most_20().allowed_lateness(us(5)));
        run.advance(0);
        assert_eq!(run.push(1, 0), Pushed::Opened);
        assert_eq!(run.advance(10), [(1, 0, 10, 1)]);
        assert_eq!(run.push(1, 3), Pushed::Extended);
        assert_eq!(run.advance(13), [(1, 0, 13, 2)], "its end has moved beyond the watermark");
        assert_eq!((run.advance(17), run.open()), ([].into(), 1));
        assert_eq!((run.advance(18), run.open()), ([].into(), 0));
        assert_eq!([3, 4].map(|time| run.push(1, time)), [Pushed::Late(()), Pushed::Opened]);
    }

    #[test]
    fn a_held_event_takes_the_room_of_a_session() {
        let mut run = Run::new(at_most_20().max_open_sessions(1, WhenFull::Refuse));
        assert_eq!([5, 6].map(|time| run.push(1, time)), [Pushed::Held, Pushed::Refused((), Refusal::Full)]);
        let mut run = Run::new(at_most_20().max_open_sessions(1, WhenFull::CloseOldest));
        assert_eq!([5, 6].map(|time| run.push(1, time)), [Pushed::Held; 2]);
        assert_eq!(emitted(&mut run), [(5, 15, 1, CloseReason::Evicted)]);
    }

    #[test]
    fn pending_sessions_come_before_an_event_at_the_watermark_and_not_before_one_ahead() {
        for (time, emitted) in [(10, 5), (11, 2)] {
            let mut run = Run::new(at_most_20().close_at_most(1));
            run.advance(0);
            for key in 1..=5 {
                assert_eq!(run.push(key, 0), Pushed::Opened);
            }
            run.close_until(10);
            assert!(!run.push(9, time).is_returned());
            assert_eq!(run.closed().len(), emitted, "an event at {time}");
        }
    }

    #[test]
    fn a_session_that_begins_behind_the_watermark_has_an_id_of_its_own() {
        let id = |watermark, times: &[i64]| ids(at_most_20(), watermark, times, 0)[0];
        assert_eq!(id(4, &[5]), id(5, &[5]));
        assert_ne!(id(5, &[5]), id(6, &[5]));
        assert_eq!(id(6, &[5]), id(9, &[5]), "but not one that tells where the watermark stood");
        assert_eq!(id(4, &[5, 8]), id(5, &[5, 8]));
        assert_eq!(id(8, &[8, 5]), id(8, &[8]), "a straggler does not change it");
        assert_eq!(id(8, &[8, 8]), id(8, &[8]));
    }

    #[test]
    fn what_is_not_cut_anew_is_counted() {
        let run = |times: &[i64]| {
            let mut run = Run::new(config(Gap::new(us(5)).max_duration(us(10))).allowed_lateness(us(120)));
            for time in times {
                run.close_until(*time - 1);
                assert!(!run.push(1, *time).is_returned());
            }
            (run.flush().into_iter().map(|(.., count)| count).collect::<Vec<_>>(), run.counters())
        };
        let (sessions, counters) = run(&[0, 4, 8, 12, 16, -3]);
        assert_eq!((sessions, counters.behind, counters.uncorrected), ([3, 1, 2].into(), 1, 1));
        let (sessions, counters) = run(&[-3, 0, 4, 8, 12, 16]);
        assert_eq!((sessions, counters.behind, counters.uncorrected), ([3, 3].into(), 0, 0));
    }

    /// The ids of key 1, after some events of others that do not move the watermark.
    fn ids(config: Settings, watermark: i64, times: &[i64], others: u8) -> Vec<SessionId> {
        let mut run = Run::new(config);
        run.advance(watermark);
        for time in times {
            (0..others).for_each(|n| assert!(!run.push(100 + n, watermark).is_returned()));
            assert!(!run.push(1, *time).is_returned());
        }
        run.close_all();
        run.summaries().into_iter().filter(|summary| summary.key == 1).map(|summary| summary.id()).collect()
    }

    #[test]
    fn sessions_that_a_rule_ends_at_once_behind_the_watermark_are_numbered() {
        let singles = || config(Gap::new(us(10)).max_events(1));
        let alone = ids(singles(), 8, &[5, 5, 4, 5], 0);
        assert_eq!(alone, ids(singles(), 8, &[5, 5, 4, 5], 2), "events of others do not show");
        for (i, id) in alone.iter().enumerate() {
            assert!(!alone[..i].contains(id), "{alone:?}");
        }
    }

    #[test]
    fn sessions_that_a_rule_ends_at_once_and_that_reach_differently_far_are_numbered_apart() {
        let own = config(Gap::new(us(10)).max_events(1))
            .gap_per_event("arrived at 9: 20", |event| (event.arrival_time == crate::testing::at(9)).then(|| us(20)));
        let mut run = Run::new(own);
        run.advance(8);
        assert_eq!([5, 9, 5, 9].map(|arrival| run.push_at(1, 5, arrival)), [Pushed::Opened; 4]);
        let parts: Vec<_> = run.summaries().into_iter().map(|summary| summary.part).collect();
        assert_eq!(parts, [1, 1, 2, 2]);
    }

    #[test]
    fn what_a_rule_has_ended_is_remembered_while_another_may_begin_there_and_within_the_bound() {
        let bounded = config(Gap::new(us(10)).max_events(1)).max_open_sessions(3, WhenFull::Refuse);
        let mut run = Run::new(bounded);
        run.advance(8);
        for _ in 0..10 {
            for time in [3, 4, 5, 6, 7] {
                assert_eq!(run.push(1, time), Pushed::Opened);
            }
        }
        let mut ids: Vec<_> = run.summaries().into_iter().map(|summary| summary.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let remembered = |run: &Run| run.engine.state.plan.parts_after(0).count();
        assert_eq!((ids.len(), remembered(&run)), (50, 3));
        run.advance(17);
        assert_eq!(remembered(&run), 0);
    }

    #[test]
    fn what_a_rule_has_ended_without_room_to_remember_it_has_an_id_of_its_own_also_after_a_restore() {
        let bounded = || config(Gap::new(us(10)).max_events(1)).max_open_sessions(1, WhenFull::Refuse);
        let mut run = Run::new(bounded());
        run.advance(8);
        assert_eq!([3, 4].map(|time| run.push(1, time)), [Pushed::Opened; 2]);
        assert_eq!(run.engine.state.plan.parts_after(0).count(), 1, "no room for the second");
        let mut ids: Vec<_> = run.summaries().into_iter().map(|summary| summary.id()).collect();
        let restored = bounded().allowed_lateness(us(5)).restore_changed(run.engine.snapshot());
        let mut run = Run::of(restored.expect("the lateness may grow"));
        assert_eq!(run.push(1, 4), Pushed::Opened, "in the place of the second");
        run.close_all();
        ids.extend(run.summaries().into_iter().map(|summary| summary.id()));
        assert_eq!(ids.len(), 3);
        assert!(ids[2] != ids[0] && ids[2] != ids[1], "{ids:?}");
    }

    #[test]
    fn shrinking_frees_the_slots_that_a_peak_has_left() {
        let mut run = Run::new(at_most_20());
        run.advance(0);
        (0..100).for_each(|key| assert_eq!(run.push(key, 0), Pushed::Opened));
        assert_eq!((run.push(100, 5), run.advance(10).len()), (Pushed::Held, 100));
        let slots = |run: &Run| {
            let crate::engine::Plan::Ordered(ordered) = &run.engine.state.plan else { panic!("ordered sessions") };
            ordered.sessions().table.used()
        };
        assert!(slots(&run) > 1);
        run.engine.shrink_to_fit();
        assert_eq!((slots(&run), run.flush()), (1, [(100, 5, 15, 1)].into()));
    }

    #[test]
    fn an_earlier_start_makes_the_session_end_earlier() {
        let mut run = Run::new(at_most_20());
        run.advance(30);
        assert_eq!([30, 38].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Held]);
        run.close_until(38);
        assert_eq!(run.push(1, 21), Pushed::Extended);
        assert_eq!((run.advance(40), run.advance(41)), ([].into(), [(1, 21, 41, 3)].into()));
    }

    #[test]
    fn a_straggler_joins_a_session_that_was_cut_only_before_its_last_event() {
        let mut run = Run::new(cut_by_tens().allowed_lateness(us(5)));
        assert_eq!([7, 9].map(|time| run.push(1, time)), [Pushed::Held; 2]);
        run.close_until(12);
        assert_eq!(run.push(1, 12), Pushed::Opened);
        assert_eq!(emitted(&mut run), [(7, 12, 2, CutBetween)]);
        assert_eq!(run.push(1, 8), Pushed::Extended);
        assert_eq!(emitted(&mut run), [(7, 12, 3, CutBetween)]);
        assert_eq!(run.push(1, 10), Pushed::Extended);
        assert_eq!(run.flush(), [(1, 10, 22, 2)]);
    }

    #[test]
    fn a_session_that_was_emitted_is_cut_no_more() {
        let cut = config(Gap::new(us(10))).cut("before 8", |_, next| next.value == 8).allowed_lateness(us(50));
        let mut run = Run::new(cut);
        run.advance(0);
        assert_eq!((run.push(1, 0), run.advance(10)), (Pushed::Opened, [(1, 0, 10, 1)].into()));
        assert_eq!([8, 3].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Extended]);
        run.close_until(100);
        assert_eq!(emitted(&mut run), [(0, 13, 2, Silence), (8, 18, 1, Silence)]);
    }

    #[test]
    fn a_straggler_within_a_session_is_no_event_before_its_first() {
        let backwards = config(Gap::new(us(10))).cut("backwards", |previous, next| previous.time >= next.time);
        let mut run = Run::new(backwards);
        assert_eq!([5, 9].map(|time| run.push(1, time)), [Pushed::Held; 2]);
        run.advance(9);
        assert_eq!([5, 6].map(|time| run.push(1, time)), [Pushed::Extended; 2]);
        assert_eq!(run.flush(), [(1, 5, 19, 4)]);
    }

    #[test]
    fn by_arrival_the_first_to_arrive_is_the_first() {
        let mut run = Run::new(at_most_20().first_last_by(FirstLast::Arrival));
        assert_eq!([5, 7, 3].map(|time| run.push(1, time)), [Pushed::Held; 3]);
        run.close_until(100);
        assert!(run.counters().is_conserved());
        let [summary] = &run.summaries()[..] else { panic!("one session") };
        assert_eq!((summary.first_event, summary.last_event, summary.first_time), (5, 3, crate::testing::at(3)));
    }
}
