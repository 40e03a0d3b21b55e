//! The interface between the engine and a strategy's storage.

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::look::Sighting;
use crate::engine::shared::{Ending, Out, Shared};
use crate::engine::updates::Changed;
use crate::engine::whereabouts::Whereabouts;
use crate::event::EventRef;
use crate::session::WithRare;
use crate::summary::CloseReason;
use crate::time::Timestamp;

/// The open sessions of a strategy. Each implementation has a file of its own.
pub(crate) trait Store<K: Key, V: Value, A: Aggregate<K, V>> {
    /// How many sessions are open, those included that are kept for corrections or pending.
    fn len(&self) -> usize;

    /// How many events take room in it: held ones count as a session each.
    fn occupied(&self) -> usize {
        self.len()
    }

    /// Nothing must be done before this; it may be a little early. O(1).
    fn next_due(&self) -> Timestamp;

    /// Closes sessions that the clock has passed, as far as the quota of the call reaches.
    fn close_due(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>);

    /// Closes everything in order. [`end_flush`](Self::end_flush) follows, even if `out` panics.
    fn close_all(&mut self, shared: &mut Shared<K, A>, reason: CloseReason, out: Out<'_, K, V, A>);

    /// Gives the memory back, if all is closed. Otherwise `out` has panicked: makes those sessions open again that are
    /// left and not over.
    fn end_flush(&mut self, shared: &mut Shared<K, A>);

    /// Closes the session that opened first. False: there is none.
    fn evict_oldest(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) -> bool;

    /// Gives back memory that a peak has left.
    fn shrink_to_fit(&mut self, shared: &mut Shared<K, A>);

    /// The session that lies there, if one does.
    fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, A::State>>;

    /// The same with its rare state, to be changed.
    fn with_rare(&mut self, at: Whereabouts) -> Option<WithRare<'_, K, V, A::State>>;

    /// Closes due sessions, updates open ones, and notes the next deadline.
    fn advance(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        self.close_due(shared, out);
        if shared.updates.due() <= shared.clock.now() {
            self.emit_updates(shared, out);
        }
        shared.clock.reschedule(self.next_due().min(shared.updates.due()));
    }

    /// Notes the id of an event in the session that has taken it.
    fn note_id(&mut self, at: Whereabouts, id: u128) {
        if let Some((_, rare)) = self.with_rare(at) {
            rare.add_event(id);
        }
    }

    // --- Updates ---

    /// A session has taken an event: emits it at once if it holds enough that is new, or else later. `is_first`:
    /// the first change since it was emitted or opened.
    #[inline(never)]
    fn follow_up(&mut self, at: Whereabouts, is_first: bool, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        let now = shared.clock.now();
        self.follow_up_from(now, at, is_first, shared, out);
    }

    /// The same for an event taken while the clock was on its way: where it comes from says which stretch
    /// the event still belongs to.
    fn follow_up_from(
        &mut self,
        from: Timestamp,
        at: Whereabouts,
        is_first: bool,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let now = shared.clock.now();
        let Some(sighting) = self.sighting(at) else { return };
        if sighting.deadline > now && shared.updates.are_enough(sighting.fresh()) {
            self.emit_update(at, shared, out);
        } else if is_first && shared.updates.go_by_time() {
            // (It may be over by now, and another event that waited may still prolong it.)
            let changed = Changed { opened: sighting.session.opened, window: sighting.window, at };
            self.note_change(changed, from, shared);
        }
    }

    /// Notes a session again as a snapshot has it, or after it has moved.
    fn note_again(&mut self, at: Whereabouts, shared: &mut Shared<K, A>) {
        if !shared.updates.go_by_time() {
            return;
        }
        let (now, sighting) = (shared.clock.now(), self.sighting(at));
        if let Some(Sighting { session, window, .. }) = sighting.filter(|sighting| !sighting.is_current()) {
            let changed = Changed { opened: session.opened, window, at };
            self.note_change(changed, now, shared);
        }
    }

    fn note_change(&mut self, changed: Changed, from: Timestamp, shared: &mut Shared<K, A>) {
        const FEW: usize = 1_024;
        shared.updates.note(changed, from);
        shared.clock.schedule(shared.updates.due());
        if shared.updates.len() > 2 * self.len() + FEW {
            shared.updates.retain(|changed| self.noted(changed).is_some());
        }
    }

    /// The session that was noted, if it is still there and has not been emitted since.
    fn noted(&self, changed: &Changed) -> Option<Sighting<'_, K, V, A::State>> {
        let sighting = self.sighting(changed.at)?;
        let is_it = (sighting.session.opened, sighting.window) == (changed.opened, changed.window);
        (is_it && !sighting.is_current()).then_some(sighting)
    }

    /// Emits the sessions that have changed, as far as the quota of the call reaches.
    #[cold]
    fn emit_updates(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        let (now, mut looks) = (shared.clock.now(), shared.looks());
        while let Some(changed) = shared.updates.first() {
            let is_open = self.noted(&changed).is_some_and(|sighting| sighting.deadline > now);
            if !shared.pass(is_open, &mut looks) {
                return;
            }
            shared.updates.remove_first();
            if is_open {
                self.emit_update(changed.at, shared, out);
            }
        }
        shared.updates.set_none_due();
    }

    fn emit_update(&mut self, at: Whereabouts, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        let Some(Sighting { ending, .. }) = self.sighting(at) else { return };
        let ending = Ending { reason: CloseReason::Update, ..ending };
        if let Some((session, rare)) = self.with_rare(at) {
            shared.emit_and_keep(session, rare, ending, out);
        }
    }

    // --- Room ---

    /// Emits all sessions that are pending.
    #[cold]
    fn drain_pending(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        shared.lift_quota();
        self.advance(shared, out);
    }

    /// With lateness, an event behind the watermark may be a correction: pending sessions come first.
    #[inline]
    fn drain_for_correction(&mut self, event: &EventRef<'_, K, V>, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        if shared.options.lateness > 0 && event.event_time <= shared.clock.now() && shared.has_pending() {
            self.drain_pending(shared, out);
        }
    }

    /// Makes room for `more` sessions, as the configuration wants. False: refuse.
    #[inline]
    fn make_room(&mut self, more: usize, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) -> bool {
        while !shared.has_room(self.occupied(), more) {
            if shared.has_pending() {
                self.drain_pending(shared, out);
            } else if !shared.may_evict() || !self.evict_oldest(shared, out) {
                return false;
            }
        }
        true
    }
}
