//! Gap sessions that grow and merge in any order of arrival.

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::keyed::Keyed;
use crate::engine::shared::{Out, Outcome, Shared};
use crate::engine::store::Store;
use crate::event::EventRef;
use crate::index::Glance;
use crate::session::{Opening, Session};
use crate::strategy::Reach;
use crate::summary::CloseReason;
use crate::table::{Location, SlotId};
use crate::time::Timestamp;

/// The storage of gap sessions without a maximum duration or cuts.
pub(crate) struct GapSessions<K: Key, V: Value, S>(Keyed<K, V, S>);

/// Whether a session is over and pending: no event joins it. (With a gap per event another may have
/// begun beside it, even before it.)
#[inline]
fn is_pending<K: Key, V: Value, S>(session: &Session<K, V, S>, now: Timestamp) -> bool {
    session.edge <= now && !session.has_rare_state()
}

impl<K: Key, V: Value, S> GapSessions<K, V, S> {
    pub(crate) const fn new(sessions: Keyed<K, V, S>) -> Self {
        Self(sessions)
    }

    pub(crate) const fn sessions(&self) -> &Keyed<K, V, S> {
        &self.0
    }

    pub(crate) const fn sessions_mut(&mut self) -> &mut Keyed<K, V, S> {
        &mut self.0
    }

    /// Assigns an event. The usual one extends the only session of its key and does not come before
    /// the first of it; everything else is out of line.
    #[inline(always)]
    pub(crate) fn assign<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        if !PLAIN && shared.may_leave_pending() {
            self.drain_for_correction(event, shared, out);
        }
        let (time, now) = (event.event_time, shared.clock.now());
        let Keyed { table, reach, gap_varies, .. } = &mut self.0;
        match table.glance(hash, event.key) {
            Glance::Found(session) => {
                let is_within = time >= session.first && time < session.edge;
                let is_simple = PLAIN || (session.edge > now && !session.has_rare_state());
                if is_within && is_simple && !*gap_varies {
                    session.edge = session.edge.max(reach.after(time));
                    shared.extend::<K, V, PLAIN>(session, event);
                    return Outcome::Extended;
                }
                self.assign_anyhow(event, hash, shared, out)
            }
            Glance::Absent => self.open_first(event, hash, shared, out),
            Glance::Unsure => self.assign_anyhow(event, hash, shared, out),
        }
    }

    #[inline(never)]
    fn open_first<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let end = self.0.reach_of(event);
        self.open(event, hash, None, end, shared, out)
    }

    /// The event belongs to an open session of its key, bridges some, or opens another.
    #[inline(never)]
    fn assign_anyhow<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let Some(location) = self.0.table.find(hash, event.key) else {
            return self.open_first(event, hash, shared, out);
        };
        let (end, now) = (self.0.reach_of(event), shared.clock.now());
        let touches = |session: &Session<K, V, S>| Reach::touches(session.first, session.edge, event.event_time, end);
        let touching = self.0.table.select(location, end, |session| is_pending(session, now), touches);
        let (slot, outcome) = match touching[..] {
            [] => return self.open(event, hash, Some(location), end, shared, out),
            [only] => (only, Outcome::Extended),
            _ => (self.merge(hash, &touching, shared), Outcome::Merged),
        };
        self.0.table.update(hash, slot, |table| {
            let session = table.get_mut(slot);
            session.note_beginning(event.event_time, now);
            session.edge = session.edge.max(end);
            shared.extend::<K, V, false>(session, event);
        });
        if self.0.table.get(slot).has_rare_state() {
            self.0.table.outdate(slot);
        }
        self.after_change(slot, shared, out);
        outcome
    }

    #[inline]
    fn open<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        others: Option<Location>,
        end: Timestamp,
        shared: &mut Shared<A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        if shared.is_late(end) {
            return shared.late();
        }
        let others = if shared.has_room(self.0.table.len(), 1) {
            others
        } else if self.make_room(1, shared, out) {
            self.0.table.find(hash, event.key) // the sessions of this key may have had to go
        } else {
            return shared.full();
        };
        let opening = Opening { edge: end, opened: shared.last_seq, again: event.event_time < shared.clock.now() };
        let slot = self.0.open(hash, others, event, opening, shared);
        self.after_change(slot, shared, out);
        Outcome::Opened
    }

    /// Joins sessions that an event bridges. The one that opened first goes on.
    #[cold]
    fn merge<A: Aggregate<K, V, State = S>>(
        &mut self,
        hash: u64,
        touching: &[SlotId],
        shared: &mut Shared<A>,
    ) -> SlotId {
        let opened = |slot: &SlotId| self.0.table.get(*slot).opened;
        let survivor = *touching.iter().min_by_key(|slot| opened(slot)).expect("there are at least two");
        for &slot in touching.iter().filter(|slot| **slot != survivor) {
            self.0.merge_into(survivor, slot, hash, shared);
        }
        survivor
    }

    /// With lateness, a session that has changed may be over: the correction is emitted at once.
    #[inline]
    fn after_change<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        shared: &mut Shared<A>,
        out: Out<'_, K, V, A>,
    ) {
        if shared.options.lateness > 0 {
            self.correct(slot, shared, out);
        }
    }

    #[cold]
    fn correct<A: Aggregate<K, V, State = S>>(&mut self, slot: SlotId, shared: &mut Shared<A>, out: Out<'_, K, V, A>) {
        if self.0.is_reported(slot) {
            self.0.enqueue(slot, shared);
            self.0.forget_obsolete(shared);
        }
        if shared.clock.is_due() {
            self.drain_pending(shared, out);
        }
    }

    /// With lateness, an event behind the watermark may be a correction: what is pending comes first.
    #[inline]
    fn drain_for_correction<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        shared: &mut Shared<A>,
        out: Out<'_, K, V, A>,
    ) {
        if shared.options.lateness > 0 && event.event_time <= shared.clock.now() && shared.has_pending() {
            self.drain_pending(shared, out);
        }
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Store<K, V, A> for GapSessions<K, V, A::State> {
    fn len(&self) -> usize {
        self.0.table.len()
    }

    fn next_due(&self) -> Timestamp {
        self.0.next_deadline()
    }

    fn close_due(&mut self, shared: &mut Shared<A>, out: Out<'_, K, V, A>) {
        self.0.close_until(shared.clock.now(), shared, out);
    }

    fn close_all(&mut self, shared: &mut Shared<A>, reason: CloseReason, out: Out<'_, K, V, A>) {
        self.0.close_each(reason, shared, out);
    }

    fn shrink_to_fit(&mut self, shared: &mut Shared<A>) {
        self.0.rebuild(shared);
    }

    fn evict_oldest(&mut self, shared: &mut Shared<A>, out: Out<'_, K, V, A>) -> bool {
        self.0.evict(shared, out)
    }
}
