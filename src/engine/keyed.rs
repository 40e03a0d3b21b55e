//! Gap sessions of all keys, with their deadlines: shared by the two forms of gap sessions.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::deadline::{DeadlineQueue, Due, Entry};
use crate::engine::look::Sighting;
use crate::engine::shared::{Ending, Out, Shared};
use crate::engine::touched::Cursor;
use crate::engine::whereabouts::Whereabouts;
use crate::event::EventRef;
use crate::id::{Distinction, Identity, SessionId};
use crate::reopen::ReopenCounter;
use crate::rules::GapRule;
use crate::session::{Mark, Opening, Origin, RareState, Session};
use crate::strategy::Reach;
use crate::summary::CloseReason;
use crate::table::{Location, SlotId, Table};
use crate::time::{Timestamp, micros};
use crate::window::Window;

/// The open gap sessions of an engine.
pub(crate) struct Keyed<K: Key, V: Value, S> {
    pub(super) reach: Reach,
    gap_rule: Option<GapRule<K, V>>,
    /// Whether each event may have a gap of its own.
    pub(super) gap_varies: bool,
    /// Events at one time may have had other gaps: the gap has been changed in a restore.
    pub(crate) gap_changed: bool,
    pub(super) table: Table<K, V, S>,
    queue: DeadlineQueue,
    /// Sessions by opening, kept only to find the oldest.
    ages: BinaryHeap<Reverse<(u64, SlotId)>>,
    /// The parts of sessions that began behind the watermark and were ended by a rule, for as long as an
    /// event may begin another in the same place.
    ended: ReopenCounter,
}

/// A session to be removed, and what its removal needs to know of it: looked up once.
#[derive(Clone, Copy)]
struct Removal {
    slot: SlotId,
    hash: u64,
    ending: Ending,
    has_rare_state: bool,
    is_early: bool,
}

/// The part of a gap that is one tick of the deadline queue.
const TICKS_PER_GAP: i64 = 32;

impl<K: Key, V: Value, S> Keyed<K, V, S> {
    pub(crate) fn new(reach: Reach, gap_rule: Option<GapRule<K, V>>) -> Self {
        let queue = DeadlineQueue::new(reach.gap / TICKS_PER_GAP);
        let (table, ages, ended) = (Table::new(), BinaryHeap::new(), ReopenCounter::new(0, 0));
        Self { reach, gap_varies: gap_rule.is_some(), gap_rule, gap_changed: false, table, queue, ages, ended }
    }

    /// Every session, with how it would end.
    pub(crate) fn sightings(&self) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        self.table.iter().map(|(slot, _)| self.sighting(slot))
    }

    /// The sessions of a key, in order of their first event.
    pub(crate) fn sightings_of(&self, hash: u64, key: K::Ref<'_>) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        let location = self.table.find(hash, key);
        location.into_iter().flat_map(|location| self.table.all_of(location)).map(|slot| self.sighting(slot))
    }

    /// The session in a slot, if there is one.
    #[inline(always)]
    pub(crate) fn try_sighting(&self, slot: SlotId) -> Option<Sighting<'_, K, V, S>> {
        self.table.try_get(slot).map(|session| self.sighting_of(slot, session))
    }

    pub(super) fn sighting(&self, slot: SlotId) -> Sighting<'_, K, V, S> {
        self.sighting_of(slot, self.table.get(slot))
    }

    #[inline(always)]
    fn sighting_of<'e>(&'e self, slot: SlotId, session: &'e Session<K, V, S>) -> Sighting<'e, K, V, S> {
        let (rare, ending) = (self.table.rare(slot, session), self.ending_of(slot, session, None));
        let deadline = self.reach.deadline(session.first, session.edge);
        Sighting { session, rare, ending, deadline, window: 0 }
    }

    /// Up to which instant this event keeps a session open.
    #[inline]
    pub(super) fn reach_of(&self, event: &EventRef<'_, K, V>) -> Timestamp {
        if self.gap_varies { self.own_reach_of(event) } else { self.reach.after(event.event_time) }
    }

    #[inline(never)]
    fn own_reach_of(&self, event: &EventRef<'_, K, V>) -> Timestamp {
        let own = self.gap_rule.as_ref().and_then(|gap_of| gap_of(event));
        let own = own.map(|own| self.reach.after_own(event.event_time, micros(own)));
        own.unwrap_or_else(|| self.reach.after(event.event_time))
    }

    /// Queues a look at a session when it is due.
    #[inline]
    pub(super) fn enqueue<A>(&mut self, slot: SlotId, shared: &mut Shared<K, A>) {
        let session = self.table.get(slot);
        let deadline = due_of(self.reach, shared.options.lateness, &self.table, slot, session);
        let due = Due { deadline, opened: session.opened, slot };
        self.queue.push(due);
        shared.clock.schedule(due.deadline);
    }

    /// Where the session under a hash is likely to be, after one look at the index.
    #[inline(always)]
    pub(crate) fn likely(&self, hash: u64) -> Option<Whereabouts> {
        Some(Whereabouts::numbered(self.table.likely(hash)?))
    }

    #[inline(always)]
    pub(crate) fn session_at(&self, number: SlotId) -> Option<&Session<K, V, S>> {
        self.table.try_get(number)
    }

    /// Makes room for a number of sessions, while there are none.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        self.table.reserve(sessions);
    }

    /// The sessions in slots from a place on, in order, of a number of slots at most.
    pub(crate) fn sessions_from<'e>(
        &'e self,
        cursor: &mut Cursor,
        most: usize,
        mut visit: impl FnMut(Sighting<'e, K, V, S>),
    ) {
        let begin = cursor.number.unwrap_or(0);
        let end = begin.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)).min(self.table.used());
        (begin..end).filter_map(|slot| self.try_sighting(slot)).for_each(&mut visit);
        (cursor.number, cursor.is_done) = (Some(end), end == self.table.used() || end < begin);
    }

    /// Whether a final summary of everything in the session has been emitted.
    pub(super) fn is_final(&self, slot: SlotId) -> bool {
        self.table.rare(slot, self.table.get(slot)).is_some_and(RareState::is_final)
    }

    /// Whether a final summary of the session has been emitted.
    pub(super) fn is_settled(&self, slot: SlotId) -> bool {
        self.table.rare(slot, self.table.get(slot)).is_some_and(RareState::is_settled)
    }

    /// How a session began.
    pub(super) fn origin_of(&self, slot: SlotId) -> Origin {
        let session = self.table.get(slot);
        let origin = self.table.rare(slot, session).and_then(|rare| rare.origin);
        origin.unwrap_or(Origin { anchor: session.first, besides: Distinction::default() })
    }

    /// Notes how a session began, if its first event does not tell.
    pub(super) fn set_origin(&mut self, slot: SlotId, origin: Option<Origin>) {
        if origin.is_some() || self.table.get(slot).has_rare_state() {
            self.table.with_rare(slot).1.origin = origin;
        }
    }

    /// The number of a session that begins now: more than that of any other of its key in this place, be
    /// it open or one that a rule has ended.
    pub(super) fn next_part(&self, others: Option<Location>, key: K::Ref<'_>, origin: Origin) -> u32 {
        let open = others.into_iter().flat_map(|location| self.table.all_of(location));
        let open = open.filter(|slot| self.origin_of(*slot).anchor == origin.anchor);
        let part_of = |slot| self.table.rare(slot, self.table.get(slot)).map_or(1, |rare| rare.part);
        let next = open.map(part_of).max().map_or(1, |part| part.saturating_add(1));
        match origin.besides.reach {
            Some(_) => next.max(self.ended.next(|| origin_id(&K::key_from(key), origin))),
            None => next,
        }
    }

    /// Notes how a session began, although its first event may be another.
    pub(super) fn keep_origin(&mut self, slot: SlotId, origin: Origin) {
        let is_told = origin.anchor == self.table.get(slot).first && origin.besides.is_none();
        self.set_origin(slot, (!is_told).then_some(origin));
    }

    /// Forgets the ended sessions whose place no event can take any more. They are noted by their reach alone: after
    /// a restore the lateness may be another.
    pub(super) fn forget_ended<A>(&mut self, shared: &Shared<K, A>) {
        self.ended.forget(shared.clock.now().shift(-shared.options.lateness));
    }

    pub(crate) const fn ended(&self) -> &ReopenCounter {
        &self.ended
    }

    pub(crate) const fn ended_mut(&mut self) -> &mut ReopenCounter {
        &mut self.ended
    }

    // --- Opening ---

    /// Opens a session beside the others of its key.
    #[inline(always)]
    pub(super) fn open<A: Aggregate<K, V, State = S>>(
        &mut self,
        hash: u64,
        others: Option<Location>,
        event: &EventRef<'_, K, V>,
        opening: Opening,
        shared: &mut Shared<K, A>,
    ) -> SlotId {
        let state = shared.open_state(event);
        let hash_of = |key: &K| shared.hash(key.key_ref());
        let slot = self.table.insert_with(hash, others, || Session::open(event, opening, state), hash_of);
        let deadline = self.reach.deadline(event.event_time, opening.edge);
        self.queue.push(Due { deadline, opened: opening.opened, slot });
        shared.clock.schedule(deadline);
        self.note_age(slot, shared);
        slot
    }

    /// Opens a session again as a snapshot has it.
    pub(crate) fn resume<A: Aggregate<K, V, State = S>>(
        &mut self,
        session: Session<K, V, S>,
        rare: Option<RareState<V>>,
        shared: &mut Shared<K, A>,
    ) -> SlotId {
        let hash = shared.hash(session.key.key_ref());
        let others = self.table.find(hash, session.key.key_ref());
        let slot = self.table.insert_with(hash, others, || session, |key| shared.hash(key.key_ref()));
        if let Some(rare) = rare {
            *self.table.with_rare(slot).1 = rare;
        }
        self.enqueue(slot, shared);
        self.note_age(slot, shared);
        slot
    }

    /// Notes how old a session is, if the oldest may have to go.
    #[inline(always)]
    pub(super) fn note_age<A>(&mut self, slot: SlotId, shared: &Shared<K, A>) {
        if shared.may_evict() {
            self.push_age(slot);
        }
    }

    #[inline(never)]
    fn push_age(&mut self, slot: SlotId) {
        self.ages.push(Reverse((self.table.get(slot).opened, slot)));
        if self.ages.len() > 2 * self.table.len() + 16 {
            let table = &self.table;
            self.ages.retain(|Reverse((opened, slot))| table.get_if(*slot, *opened).is_some());
        }
    }

    /// Forgets entries of the queue for sessions that are gone, or have another, when they are the
    /// greater part.
    pub(super) fn forget_obsolete<A>(&mut self, shared: &mut Shared<K, A>) {
        const FEW: usize = 1_024;
        if self.queue.len() > 2 * self.table.len() + FEW {
            self.queue.clear();
            let slots: Vec<SlotId> = self.table.iter().map(|(slot, _)| slot).collect();
            slots.into_iter().for_each(|slot| self.enqueue(slot, shared));
        }
    }

    /// Moves all sessions into storage of just their size. Returns their new slots.
    pub(super) fn rebuild<A: Aggregate<K, V, State = S>>(&mut self, shared: &mut Shared<K, A>) -> Vec<SlotId> {
        self.queue.clear();
        self.ages = BinaryHeap::new();
        let mut before = core::mem::replace(&mut self.table, Table::new());
        let mut slots: Vec<_> = before.iter().map(|(slot, session)| (session.opened, slot)).collect();
        slots.sort_unstable();
        let all = slots.into_iter().filter_map(|(_, slot)| before.take(slot));
        all.map(|removed| self.resume(removed.session, removed.rare, shared)).collect()
    }

    /// Removes a session that becomes part of another.
    pub(super) fn merge_into<A: Aggregate<K, V, State = S>>(
        &mut self,
        survivor: SlotId,
        slot: SlotId,
        hash: u64,
        shared: &mut Shared<K, A>,
    ) {
        let (ours, theirs) = (self.origin_of(survivor), self.origin_of(slot));
        let Some(other) = self.table.remove(hash, slot) else { return };
        let (order, aggregate) = (shared.options.first_last, &shared.aggregate);
        self.table.update(hash, survivor, |table| table.merge(survivor, other, order, aggregate));
        self.keep_origin(survivor, if theirs.anchor < ours.anchor { theirs } else { ours });
        shared.counters.merged += 1;
        self.forget_obsolete(shared);
    }

    // --- Closing ---

    /// Closes sessions that are due at `now`, as far as the quota reaches.
    #[inline]
    pub(super) fn close_until<A: Aggregate<K, V, State = S>>(
        &mut self,
        now: Timestamp,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        if now < self.queue.bound() {
            return;
        }
        let mut looks = shared.looks();
        while shared.has_quota() {
            let Some(due) = self.pop_due(now, &mut looks, shared.options.lateness) else { break };
            let has_emitted = self.look_at(due, shared, out);
            if !shared.pass(has_emitted, &mut looks) {
                break;
            }
        }
        if self.table.len() == 0 {
            self.table.trim();
            self.queue.clear();
        }
    }

    #[inline]
    fn pop_due(&mut self, now: Timestamp, looks: &mut usize, lateness: i64) -> Option<Due> {
        let Self { reach, table, queue, .. } = self;
        let prefetch = |entry: Entry| table.try_get(entry.slot).map_or(0, |session| session.opened);
        queue.pop_due(now, looks, prefetch, |entry| {
            let session = table.get_if_half(entry.slot, entry.opened)?;
            let deadline = due_of(*reach, lateness, table, entry.slot, session);
            Some(Due { deadline, opened: session.opened, slot: entry.slot })
        })
    }

    /// A session has surfaced in the queue: emits it, removes it, or looks again later. Returns whether it was
    /// emitted.
    #[inline]
    fn look_at<A: Aggregate<K, V, State = S>>(
        &mut self,
        surfaced: Due,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        let Some(session) = self.table.get_if(surfaced.slot, surfaced.opened) else { return false };
        let deadline = due_of(self.reach, shared.options.lateness, &self.table, surfaced.slot, session);
        if deadline > surfaced.deadline {
            self.queue.push(Due { deadline, ..surfaced });
            return false;
        }
        let was_final = self.is_final(surfaced.slot);
        if shared.options.lateness > 0 && !was_final {
            // Before anything that may panic: it is looked at again when it can be corrected no more.
            let due = Due { deadline: deadline.shift(shared.options.lateness), ..surfaced };
            self.queue.push(due);
            shared.clock.schedule(due.deadline);
            self.emit_and_keep(surfaced.slot, shared, out);
        } else {
            let removal = self.removal(surfaced.slot, session, None, shared);
            self.emit_and_remove(removal, shared, out);
        }
        !was_final
    }

    /// Which rule has cut a session.
    #[cold]
    fn cut_by(&self, slot: SlotId) -> CloseReason {
        let rare = self.table.rare(slot, self.table.get(slot));
        rare.and_then(|rare| rare.cut_by).unwrap_or(CloseReason::Cut)
    }

    fn emit_and_keep<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let ending = self.ending(slot, None);
        let (session, rare) = self.table.with_rare(slot);
        shared.emit_and_keep(session, rare, ending, out);
    }

    #[inline(always)]
    fn removal<A>(
        &self,
        slot: SlotId,
        session: &Session<K, V, S>,
        early: Option<CloseReason>,
        shared: &Shared<K, A>,
    ) -> Removal {
        let (hash, ending) = (shared.hash(session.key.key_ref()), self.ending_of(slot, session, early));
        Removal { slot, hash, ending, has_rare_state: session.has_rare_state(), is_early: early.is_some() }
    }

    #[inline(always)]
    fn emit_and_remove<A: Aggregate<K, V, State = S>>(
        &mut self,
        removal: Removal,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let Removal { slot, hash, ending, has_rare_state, is_early } = removal;
        self.table.forget(hash, slot);
        if has_rare_state {
            self.emit_and_take_rare(slot, ending, !is_early, shared, out);
        } else if let Some(session) = self.table.take_alone(slot) {
            shared.emit(session, ending, out);
        }
    }

    #[inline(never)]
    fn emit_and_take_rare<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        ending: Ending,
        is_noted: bool,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let Some(mut removed) = self.table.take(slot) else { return };
        if let Some(rare) = removed.rare.as_mut().filter(|_| is_noted) {
            self.note_end(&removed.session.key, rare, shared);
        }
        shared.emit_removed(removed, ending, out);
    }

    /// Emits a session and frees its slot. The index has forgotten it, or is about to be cleared.
    #[inline(always)]
    fn emit_and_take<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        ending: Ending,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        if self.table.get(slot).has_rare_state() {
            self.emit_and_take_rare(slot, ending, false, shared, out);
        } else if let Some(session) = self.table.take_alone(slot) {
            shared.emit(session, ending, out);
        }
    }

    /// Notes that a session is gone in whose place an event may begin another, because a rule has ended it
    /// behind the watermark. Without room it counts as closed early.
    #[cold]
    fn note_end<A>(&mut self, key: &K, rare: &mut RareState<V>, shared: &mut Shared<K, A>) {
        let Some(origin) = &mut rare.origin else { return };
        let Some(reach) = origin.besides.reach.filter(|reach| !shared.is_late(*reach)) else { return };
        self.forget_ended(shared);
        if self.ended.len() < shared.options.max_open {
            self.ended.remember(origin_id(key, *origin), rare.part, reach, usize::MAX);
        } else {
            shared.early_closings = shared.early_closings.saturating_add(1);
            origin.besides.early = shared.early_closings;
        }
    }

    /// The end of a session, as its summary tells it.
    #[inline]
    fn ending(&self, slot: SlotId, early: Option<CloseReason>) -> Ending {
        self.ending_of(slot, self.table.get(slot), early)
    }

    #[inline(always)]
    fn ending_of(&self, slot: SlotId, session: &Session<K, V, S>, early: Option<CloseReason>) -> Ending {
        let deadline = self.reach.deadline(session.first, session.edge);
        let (end, reason) = match () {
            () if session.is(Mark::Cut) => (session.edge, self.cut_by(slot)),
            () if deadline < session.edge => (deadline, CloseReason::MaxDuration),
            // An event at an inclusive edge may join without prolonging: the window holds it.
            () => (self.reach.window_end(session.edge).max(session.last.shift(1)), CloseReason::Gap),
        };
        let window = Window::new(session.first, end);
        Ending { window, bucket: None, reason: early.unwrap_or(reason), anchor: window.start, by_part: true }
    }

    #[inline]
    pub(super) const fn next_deadline(&self) -> Timestamp {
        self.queue.bound()
    }

    /// Emits and removes every session, in order. The index is not told of each that goes:
    /// [`end_flush`](Self::end_flush) makes up for it.
    pub(super) fn close_each<A: Aggregate<K, V, State = S>>(
        &mut self,
        reason: CloseReason,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let order = |(slot, session): (SlotId, &Session<K, V, S>)| {
            (self.reach.deadline(session.first, session.edge), session.opened, slot)
        };
        let mut all: Vec<_> = self.table.iter().map(order).collect();
        all.sort_unstable();
        for (.., slot) in all {
            let ending = self.ending(slot, Some(reason));
            self.emit_and_take(slot, ending, shared, out);
        }
    }

    /// Gives the memory back, if no session is left. Otherwise `out` has panicked: makes the index anew. (Slots stay as
    /// they are: a snapshot may be taken in portions.)
    pub(super) fn end_flush<A>(&mut self, shared: &Shared<K, A>) {
        if self.table.len() > 0 {
            self.table.reindex(|key| shared.hash(key.key_ref()));
            return;
        }
        self.table.clear();
        self.queue.clear();
        self.ages = BinaryHeap::new();
        self.ended.clear();
    }

    /// Closes the session that opened first. False: there is none.
    #[cold]
    pub(super) fn evict<A: Aggregate<K, V, State = S>>(
        &mut self,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        while let Some(Reverse((opened, slot))) = self.ages.pop() {
            if let Some(session) = self.table.get_if(slot, opened) {
                let removal = self.removal(slot, session, Some(CloseReason::Evicted), shared);
                shared.early_closings = shared.early_closings.saturating_add(1);
                self.emit_and_remove(removal, shared, out);
                self.forget_obsolete(shared);
                return true;
            }
        }
        false
    }
}

/// What tells the place of a session behind the watermark from those of all others.
fn origin_id<K: Key>(key: &K, origin: Origin) -> SessionId {
    let besides = Distinction { reach: origin.besides.reach, ..Distinction::default() };
    SessionId::of(key, None, Identity::of(origin.anchor), besides)
}

/// The instant at which something must be done about a session.
#[inline(always)]
fn due_of<K: Key, V: Value, S>(
    reach: Reach,
    lateness: i64,
    table: &Table<K, V, S>,
    slot: SlotId,
    session: &Session<K, V, S>,
) -> Timestamp {
    let deadline = reach.deadline(session.first, session.edge);
    let is_final = lateness > 0 && table.rare(slot, session).is_some_and(RareState::is_final);
    if is_final { deadline.shift(lateness) } else { deadline }
}

#[cfg(test)]
mod tests {
    use crate::rules::WhenFull;
    use crate::sessionizer::{Pushed, Refusal};
    use crate::strategy::Gap;
    use crate::summary::CloseReason;
    use crate::testing::{Run, at, config, us};

    #[test]
    fn a_session_that_has_grown_is_looked_at_again_at_its_deadline() {
        let mut run = Run::new(config(Gap::new(us(100))));
        assert_eq!(run.push(1, 0), Pushed::Opened);
        assert_eq!((run.push(2, 50), run.push(1, 60)), (Pushed::Opened, Pushed::Extended));
        assert_eq!(run.advance(100), []);
        assert_eq!((run.advance(149), run.advance(150)), ([].into(), [(2, 50, 150, 1)].into()));
        assert_eq!((run.advance(159), run.advance(160)), ([].into(), [(1, 0, 160, 2)].into()));
        assert_eq!(run.engine.next_deadline(), None);
    }

    #[test]
    fn with_one_deadline_the_first_to_open_is_the_first_to_close() {
        let mut run = Run::new(config(Gap::new(us(10))));
        for (key, time) in [(3, 0), (1, 5), (2, 5), (3, 5)] {
            let _ = run.push(key, time);
        }
        assert_eq!(run.advance(15), [(3, 0, 15, 2), (1, 5, 15, 1), (2, 5, 15, 1)]);
    }

    #[test]
    fn a_session_that_goes_without_a_summary_takes_nothing_from_the_quota() {
        let mut run = Run::new(config(Gap::new(us(10))).allowed_lateness(us(5)).close_at_most(1));
        assert_eq!((run.push(1, 0), run.advance(10)), (Pushed::Opened, [(1, 0, 10, 1)].into()));
        assert_eq!((run.push(2, 5), run.advance(15)), (Pushed::Opened, [(2, 5, 15, 1)].into()));
        assert_eq!(run.open(), 1, "the first is gone");
    }

    #[test]
    fn the_furthest_of_all_gaps_counts() {
        let own = config(Gap::new(us(10))).gap_per_event("at 0: 30, at 3: 0, at 20: 40", |event| match event.value {
            0 => Some(us(30)),
            3 => Some(us(0)),
            20 => Some(us(40)),
            _ => None,
        });
        let mut run = Run::new(own);
        assert_eq!([0, 1, 20].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Extended, Pushed::Extended]);
        assert_eq!((run.push(2, 3), run.push(2, 4)), (Pushed::Opened, Pushed::Opened));
        assert_eq!(run.flush(), [(2, 3, 4, 1), (2, 4, 14, 1), (1, 0, 60, 3)]);
    }

    #[test]
    fn the_oldest_makes_room_and_the_youngest_stays() {
        let mut run = Run::new(config(Gap::new(us(10))).max_open_sessions(2, WhenFull::CloseOldest));
        assert_eq!(
            [(1, 9), (2, 5), (2, 6), (3, 7)].map(|(key, time)| run.push(key, time)),
            [Pushed::Opened, Pushed::Opened, Pushed::Extended, Pushed::Opened]
        );
        let [evicted] = &run.summaries()[..] else { panic!("one had to go") };
        assert_eq!((evicted.key, evicted.reason), (1, CloseReason::Evicted));
        assert_eq!(run.flush(), [(2, 5, 16, 2), (3, 7, 17, 1)]);
    }

    #[test]
    fn no_room_until_something_closes() {
        let mut run = Run::new(config(Gap::new(us(10))).max_open_sessions(1, WhenFull::Refuse));
        assert_eq!([0, 1].map(|key| run.push(key, 0)), [Pushed::Opened, Pushed::Refused((), Refusal::Full)]);
        run.advance(10);
        assert_eq!(run.push(1, 10), Pushed::Opened);
    }

    #[test]
    fn shrinking_changes_nothing_that_is_emitted() {
        let config = || config(Gap::new(us(10))).allowed_lateness(us(20));
        let mut runs = [Run::new(config()), Run::new(config())];
        let outputs = runs.each_mut().map(|run| {
            for (key, time) in [(1, 0), (2, 3), (1, 30), (3, 7)] {
                assert_eq!(run.push(key, time), Pushed::Opened);
            }
            run.advance(11)
        });
        assert_eq!(outputs[0], outputs[1]);
        runs[1].engine.shrink_to_fit();
        let outputs = runs.each_mut().map(|run| {
            let _ = (run.push(1, 4), run.push(3, 16));
            let mut all = run.advance(25);
            all.extend(run.flush());
            all
        });
        assert_eq!(outputs[0], outputs[1]);
    }

    #[test]
    fn a_flood_of_keys_leaves_as_many_entries_as_there_are_sessions() {
        let mut run = Run::new(config(Gap::new(us(1_000))).max_open_sessions(3, WhenFull::CloseOldest));
        for turn in 0..5_000_i64 {
            let _ = run.push((turn % 5) as u8, turn % 7);
        }
        let crate::engine::Plan::Gap(sessions) = &run.engine.state.plan else { panic!("gap sessions") };
        let keyed = sessions.sessions();
        assert!(keyed.queue.len() <= 2 * 3 + 1_024 && keyed.ages.len() <= 2 * 3 + 16, "{}", keyed.queue.len());
        assert_eq!((keyed.sightings().count(), run.engine.now()), (3, at(i64::MIN)));
    }
}
