//! Handing sessions out when they are over, and again when they are corrected.

use alloc::vec::Vec;

use smallvec::SmallVec;

use super::{Engine, Out, Plan, recall};
use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::deadline::{Due, Entry};
use crate::event::Lent;
use crate::groups::{Group, Next};
use crate::session::{Mark, Report, Session};
use crate::sessionizer::SummaryOf;
use crate::summary::{CloseReason, Identity, SessionSummary};
use crate::table::{SlotId, Table, Taken};
use crate::time::Timestamp;
use crate::window::Window;

/// How a session ends.
#[derive(Clone, Copy)]
struct Ending {
    window: Window,
    bucket: Option<Timestamp>,
    reason: CloseReason,
    identity: Identity,
}

/// Windows that are over, and how far they have been dealt with.
pub(super) struct Over {
    groups: SmallVec<[Group; 1]>,
    entries: Vec<Entry>,
    next: usize,
    pub(super) deadline: Timestamp,
    is_reported: bool,
}

impl Over {
    /// The next entry, unless the quota is used up.
    #[inline]
    fn take_next(&mut self, quota: &mut usize) -> Option<Entry> {
        let entry = self.entries.get(self.next)?;
        *quota = quota.checked_sub(1)?;
        self.next += 1;
        Some(*entry)
    }

    /// Whether a session is of these windows. An entry that has outlived its session may, once in four
    /// billion pushes, name another that has come to the same slot.
    #[inline]
    fn holds(&self, place: Timestamp) -> bool {
        self.groups.iter().any(|group| group.place == place.as_micros())
    }
}

/// Appends; moves nothing if there was nothing before.
fn append(all: &mut Vec<Entry>, more: &mut Vec<Entry>) {
    if all.is_empty() { core::mem::swap(all, more) } else { all.append(more) }
}

/// The instant at which something must be done about a session.
#[inline(always)]
fn due<K: Key, V: Value, S>(
    plan: &Plan,
    lateness: i64,
    table: &Table<K, V, S>,
    slot: SlotId,
    session: &Session<K, V, S>,
) -> Timestamp {
    let deadline = plan.deadline(session);
    let is_reported = lateness > 0 && table.extra(slot, session).is_some_and(|extra| extra.is_current());
    if is_reported { deadline.shift(lateness) } else { deadline }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    #[inline]
    pub(super) fn close_due(&mut self, now: Timestamp, out: Out<'_, K, V, A>) {
        if now >= self.queue.bound() {
            self.close_reached(now, out);
        }
        if now >= self.groups.bound() || !self.over.is_empty() {
            self.close_windows(now, None, out);
        }
    }

    /// Whether sessions that are over wait to be handed out, because one call must not hand out all.
    #[inline]
    pub(super) fn has_waiting(&self) -> bool {
        self.may_wait
            && self.now < Timestamp::MAX
            && (!self.over.is_empty() || (self.table.len() > 0 && self.now >= self.next_look()))
    }

    /// Nothing must be done about a session before this.
    pub(crate) fn next_look(&self) -> Timestamp {
        self.queue.bound().min(self.groups.bound())
    }

    /// Hands out what waits, if an event might be taken to be part of it, or has to come after it:
    /// one behind the watermark. True: it did.
    #[inline]
    pub(super) fn catch_up(&mut self, event: &Lent<'_, K, V>, out: Out<'_, K, V, A>) -> bool {
        if !self.may_wait || event.event_time > self.now || !self.has_waiting() {
            return false;
        }
        let must = self.rules.plan.is_ordered() || self.rules.lateness > 0;
        if must {
            self.hand_out_waiting(out);
        }
        must
    }

    #[cold]
    pub(super) fn hand_out_waiting(&mut self, out: Out<'_, K, V, A>) {
        self.quota = usize::MAX;
        self.advance(self.now, out);
    }

    #[inline(never)]
    fn close_reached(&mut self, now: Timestamp, out: Out<'_, K, V, A>) {
        while self.quota > 0 {
            let Some(due) = self.next_due(now) else { break };
            self.quota -= 1;
            self.look_at(due, out);
        }
        if self.table.len() == 0 {
            self.queue.clear();
        }
    }

    #[inline]
    fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let (table, rules) = (&self.table, &self.rules);
        self.queue.pop_due(now, |entry| {
            let session = table.get_if_half(entry.slot, entry.opened)?;
            let hash = table.hash(session.key.lend(), rules.plan.salt_of(session));
            table.touch_index(hash);
            let deadline = due(&rules.plan, rules.lateness, table, entry.slot, session);
            Some(Due { deadline, opened: session.opened, slot: entry.slot, hash })
        })
    }

    /// A session has surfaced in the queue: hands it out, lets go of it, or looks again later.
    #[inline]
    fn look_at(&mut self, surfaced: Due, out: Out<'_, K, V, A>) {
        let Due { slot, hash, .. } = surfaced;
        let Some(session) = self.table.get_if(slot, surfaced.opened) else { return };
        let deadline = due(&self.rules.plan, self.rules.lateness, &self.table, slot, session);
        if deadline > surfaced.deadline {
            self.queue.push(Due { deadline, ..surfaced });
        } else if self.rules.lateness > 0 && !self.is_current(slot) {
            self.report(slot, out);
            self.enqueue(hash, slot);
        } else {
            self.finish(hash, slot, None, out);
        }
    }

    /// Hands out the sessions of all windows that are over. They stay for corrections if lateness is
    /// allowed and they ended by themselves, that is, unless they are closed `early`.
    #[inline(never)]
    fn close_windows(&mut self, now: Timestamp, early: Option<CloseReason>, out: Out<'_, K, V, A>) {
        loop {
            // From here on no event finds them.
            while let Some(next) = self.groups.next().filter(|(deadline, _)| *deadline <= now) {
                let over = self.pop_windows(next);
                self.over.push_back(over);
            }
            let Some(mut over) = self.over.pop_front() else { return };
            if early.is_some() || self.rules.lateness == 0 || over.is_reported {
                self.finish_all(&mut over, early, out);
            } else {
                self.report_all(&mut over, out);
            }
            if over.next < over.entries.len() {
                return self.over.push_front(over);
            }
            for mut group in over.groups {
                group.entries = core::mem::take(&mut over.entries);
                if early.is_some() || self.rules.lateness == 0 || over.is_reported {
                    self.groups.let_go(group);
                } else {
                    self.groups.keep_until(over.deadline.shift(self.rules.lateness), group);
                }
            }
        }
    }

    /// Takes the windows out about which something must be done next, with their sessions in order.
    fn pop_windows(&mut self, next: Next) -> Over {
        let mut groups: SmallVec<[Group; 1]> = SmallVec::new();
        while self.groups.next() == Some(next) {
            groups.extend(self.groups.pop_first());
        }
        let mut entries = Vec::new();
        groups.iter_mut().for_each(|group| append(&mut entries, &mut group.entries));
        if groups.len() > 1 {
            // Several windows end together only at the end of time.
            let opened = |entry: &Entry| self.table.get_if_half(entry.slot, entry.opened).map(|s| s.opened);
            entries.sort_by_key(opened);
        }
        let (deadline, is_reported) = next;
        Over { groups, entries, next: 0, deadline, is_reported }
    }

    fn report_all(&mut self, over: &mut Over, out: Out<'_, K, V, A>) {
        while let Some(Entry { slot, opened }) = over.take_next(&mut self.quota) {
            let is_open = self.table.get_if_half(slot, opened).is_some_and(|session| over.holds(session.place));
            if is_open && !self.is_current(slot) {
                self.report(slot, out);
            }
        }
    }

    fn finish_all(&mut self, over: &mut Over, early: Option<CloseReason>, out: Out<'_, K, V, A>) {
        let mut known: Option<(Timestamp, Ending)> = None;
        while let Some(Entry { slot, opened }) = over.take_next(&mut self.quota) {
            let Some(session) = self.table.get_if_half(slot, opened) else { continue };
            if !over.holds(session.place) {
                continue;
            }
            // Sessions of one window end alike.
            let (place, again) = (session.place, session.is(Mark::Again));
            let ending = match known {
                Some((known, ending)) if known == place && !again => ending,
                _ => self.ending(slot, early),
            };
            known = (!again).then_some((place, ending));
            self.note_order_of_fresh(slot);
            if let Some(taken) = self.table.take(slot) {
                self.hand_out(taken, ending, early, out);
            }
        }
    }

    /// Whether a summary of everything in the session has been handed out.
    pub(super) fn is_current(&self, slot: SlotId) -> bool {
        self.table.extra(slot, self.table.get(slot)).is_some_and(|extra| extra.is_current())
    }

    /// Whether a summary of the session has been handed out.
    pub(super) fn is_reported(&self, slot: SlotId) -> bool {
        self.table.extra(slot, self.table.get(slot)).is_some_and(|extra| extra.reported.is_some())
    }

    /// Queues a look at a session when it is due.
    #[inline]
    pub(super) fn enqueue(&mut self, hash: u32, slot: SlotId) {
        let session = self.table.get(slot);
        let deadline = due(&self.rules.plan, self.rules.lateness, &self.table, slot, session);
        self.queue.push(Due { deadline, opened: session.opened, slot, hash });
    }

    /// A session kept for corrections has changed: hands out the correction, or waits for its end.
    #[inline]
    pub(super) fn after_change(&mut self, hash: u32, slot: SlotId, out: Out<'_, K, V, A>) {
        if self.rules.lateness > 0 {
            self.correct(hash, slot, out);
        }
    }

    #[cold]
    #[inline(never)]
    fn correct(&mut self, hash: u32, slot: SlotId, out: Out<'_, K, V, A>) {
        if self.is_reported(slot) {
            self.enqueue(hash, slot);
        }
        self.hand_out_waiting(out);
    }

    /// Hands out what a session that stays for corrections holds now.
    #[inline(never)]
    pub(super) fn report(&mut self, slot: SlotId, out: Out<'_, K, V, A>) {
        self.note_order(slot);
        let ending = self.ending(slot, None);
        let copy = self.table.get(slot).copy();
        let extra = self.table.with_extra(slot).1;
        let report = extra.report(&copy.key, copy.count(), ending.identity, ending.bucket);
        out(self.summary(copy, ending, report));
    }

    /// Takes a session out and hands it out, unless all of it has been.
    #[inline(always)]
    pub(super) fn finish(&mut self, hash: u32, slot: SlotId, early: Option<CloseReason>, out: Out<'_, K, V, A>) {
        self.note_order_of_fresh(slot);
        let ending = self.ending(slot, early);
        if let Some(taken) = self.take_out(hash, slot) {
            self.hand_out(taken, ending, early, out);
        }
    }

    /// Notes where a session that is to be handed out belongs among others.
    #[inline]
    fn note_order(&mut self, slot: SlotId) {
        if let Some(order) = &mut self.order {
            let session = self.table.get(slot);
            order.push((self.rules.plan.deadline(session), session.opened));
        }
    }

    /// The same for one that comes out only if not all of it has been.
    #[inline]
    fn note_order_of_fresh(&mut self, slot: SlotId) {
        if self.order.is_some() && !self.is_current(slot) {
            self.note_order(slot);
        }
    }

    /// Hands out a session that is gone, unless all of it has been.
    #[inline(always)]
    fn hand_out(
        &mut self,
        taken: Taken<K, V, A::State>,
        ending: Ending,
        early: Option<CloseReason>,
        out: Out<'_, K, V, A>,
    ) {
        let Taken { session, extra } = taken;
        let report = match extra {
            None => Report { identity: ending.identity, part: 1, fresh: session.count(), correction: None },
            Some(extra) if extra.is_current() => return,
            Some(mut extra) => extra.report(&session.key, session.count(), ending.identity, ending.bucket),
        };
        self.remember_part(&session, report.part, early);
        out(self.summary(session, ending, report));
    }

    /// Hands out everything that is open, in order.
    pub(super) fn close_all(&mut self, out: Out<'_, K, V, A>) {
        self.quota = usize::MAX;
        self.close_windows(Timestamp::MAX, Some(CloseReason::Flush), out);
        let plan = &self.rules.plan;
        let place = |(slot, session)| (plan.deadline(session), session.opened, slot);
        let mut rest: Vec<_> = self.table.iter().map(place).collect();
        rest.sort_unstable();
        let early = Some(CloseReason::Flush);
        for (.., slot) in rest {
            self.note_order_of_fresh(slot);
            let ending = self.ending(slot, early);
            if let Some(taken) = self.table.take(slot) {
                self.hand_out(taken, ending, early, out);
            }
        }
        self.table.clear();
    }

    #[inline(always)]
    fn summary(&mut self, session: Session<K, V, A::State>, ending: Ending, report: Report) -> SummaryOf<Self> {
        self.counters.reported += report.fresh;
        match report.correction {
            Some(_) => self.counters.revisions += 1,
            None => self.counters.closed += 1,
        }
        SessionSummary {
            count: session.count(),
            key: session.key,
            window: ending.window,
            bucket: ending.bucket,
            part: report.part,
            first_time: session.first,
            last_time: session.last,
            first_event: session.first_value,
            last_event: session.last_value,
            reason: ending.reason,
            aggregate: self.aggregate.finish(session.state),
            identity: report.identity,
            correction: report.correction,
        }
    }

    /// What a summary says of a session that ends now, besides what it holds.
    #[inline]
    fn ending(&mut self, slot: SlotId, early: Option<CloseReason>) -> Ending {
        let session = self.table.get(slot);
        let (window, bucket, reason) = match &self.rules.plan {
            Plan::Bucketed(rounding) => {
                let window = recall(&mut self.closing, rounding, session.first);
                (window, Some(window.start), CloseReason::Watermark)
            }
            Plan::Sliding(hops) => {
                let window = hops.window_of(session.place.as_micros(), session.first);
                (window, Some(window.start), CloseReason::Watermark)
            }
            Plan::Arrival { rounding, range, .. } => {
                let start = rounding.as_ref().map(|rounding| rounding.window_of(session.first).start);
                (Window::new(session.place, session.place.shift(*range)), start, CloseReason::Range)
            }
            Plan::Gap(reach) | Plan::Ordered { reach, .. } => {
                let limit = reach.limit(session.first);
                let (end, reason) = match () {
                    () if session.is(Mark::Cut) => (session.place, CloseReason::Cut),
                    () if limit < session.place => (limit, CloseReason::MaxDuration),
                    () => (reach.window_end(session.place), CloseReason::Gap),
                };
                (Window::new(session.first, end), None, reason)
            }
        };
        let anchor = if self.rules.plan.has_groups() { window.end } else { window.start };
        let again = session.is(Mark::Again) || early == Some(CloseReason::Evicted);
        let identity = Identity { anchor, flushes: self.flushes, opened: if again { session.opened } else { 0 } };
        Ending { window, bucket, reason: early.unwrap_or(reason), identity }
    }
}
