//! The state of an engine: all that a snapshot is taken from and restored into.

use alloc::string::String;
use alloc::vec::Vec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::Engine;
use crate::engine::look::Sighting;
use crate::engine::ordered::UnplacedEvent;
use crate::engine::plan::{Placement, Plan, Shape};
use crate::engine::shared::Shared;
use crate::engine::touched::Touched;
use crate::event::Event;
use crate::id::SessionId;
use crate::session::{RareState, Session};
use crate::sessionizer::Counters;
use crate::time::Timestamp;

/// The clock, the counters, the open sessions and the events that wait, with the strategy and its settings. The engine
/// works on its fields; snapshots know its methods only.
pub(crate) struct State<K: Key, V: Value, A: Aggregate<K, V>> {
    pub(super) shared: Shared<K, A>,
    pub(super) plan: Plan<K, V, A::State>,
    settings: Vec<(String, String)>,
}

/// The single values of the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) now: Timestamp,
    pub(crate) flushes: u32,
    /// How many sessions were closed early.
    pub(crate) early_closings: u64,
    /// Windows that end up to here were given up under another lateness.
    pub(crate) given_up: Option<Timestamp>,
    pub(crate) gap_changed: bool,
    /// The number of the latest push.
    pub(crate) last_seq: u64,
    pub(crate) counters: Counters,
    /// Some updates are due that a bounded call has not emitted.
    pub(crate) has_updates_due: bool,
}

/// An open session as its storage has it.
pub(crate) struct Stored<'e, K, V, S> {
    pub(crate) session: &'e Session<K, V, S>,
    pub(crate) rare: Option<&'e RareState<V>>,
    pub(crate) placement: Placement,
}

/// The state, and how far it has been copied.
pub(crate) type InPortions<'e, K, V, A> = (&'e State<K, V, A>, &'e mut Touched<K>);

/// A part that is remembered after a closing: its partition, its number, and the instant that it is remembered by.
pub(crate) type Part = (SessionId, u32, Timestamp);

impl<K: Key, V: Value, A: Aggregate<K, V>> State<K, V, A> {
    pub(super) const fn new(shared: Shared<K, A>, plan: Plan<K, V, A::State>, settings: Vec<(String, String)>) -> Self {
        Self { shared, plan, settings }
    }

    /// The settings that it was built with, as names and values.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The properties of the strategy.
    pub(crate) fn shape(&self) -> Shape {
        self.plan.shape()
    }

    pub(crate) fn counters(&self) -> Counters {
        let held = self.plan.occupied::<A>() - self.plan.len::<A>();
        let counters = Counters { held: held as u64, ..self.shared.counters };
        Counters { pushed: counters.accounted_for(), ..counters }
    }

    // --- Taking a snapshot ---

    pub(crate) fn standing(&self) -> Standing {
        let Shared { clock, flushes, early_closings, last_seq, updates, .. } = &self.shared;
        Standing {
            now: clock.now(),
            flushes: *flushes,
            early_closings: *early_closings,
            given_up: clock.given_up(),
            gap_changed: self.plan.gap_changed(),
            last_seq: *last_seq,
            counters: self.counters(),
            has_updates_due: updates.due() <= clock.now(),
        }
    }

    /// Whether sessions may change without an event or a summary of their key.
    pub(crate) fn changes_in_silence(&self) -> bool {
        self.shape().holds_events || self.shared.may_drop_silently()
    }

    fn stored<'e>(&self, sighting: &Sighting<'e, K, V, A::State>) -> Stored<'e, K, V, A::State> {
        Stored { session: sighting.session, rare: sighting.rare, placement: self.plan.placement_of(sighting) }
    }

    /// Every open session, in no particular order.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = Stored<'_, K, V, A::State>> {
        self.plan.sightings().map(|sighting| self.stored(&sighting))
    }

    /// The open sessions of a key.
    pub(crate) fn sessions_of(&self, key: K::Ref<'_>) -> impl Iterator<Item = Stored<'_, K, V, A::State>> {
        self.plan.sightings_of(key, &self.shared).map(|sighting| self.stored(&sighting))
    }

    /// Visits the next sessions of a snapshot in portions: O(`most`), and the number of windows.
    pub(crate) fn next_sessions<'e>(
        &'e self,
        touched: &mut Touched<K>,
        most: usize,
        mut visit: impl FnMut(Stored<'e, K, V, A::State>),
    ) {
        self.plan.for_each_from(&mut touched.cursor, most, |sighting| visit(self.stored(&sighting)));
    }

    /// The events that wait for the watermark, each with its push, in order of time.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&Event<K, V>, u64)> {
        self.plan.held().into_iter().flat_map(|held| held.iter())
    }

    /// The events that no session took, until the caller takes them.
    pub(crate) fn unplaced(&self) -> impl Iterator<Item = &UnplacedEvent<K, V>> {
        self.plan.unplaced().into_iter().flatten()
    }

    /// All remembered parts, in the order in which they will be forgotten.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> {
        self.plan.parts_after(0).map(|(_, part)| part)
    }

    /// How many parts a snapshot in portions still has to look at.
    pub(crate) fn count_parts_left(&self, touched: &Touched<K>) -> usize {
        self.plan.count_parts_after(touched.closing)
    }

    /// The next parts of a snapshot in portions.
    pub(crate) fn next_parts(&self, touched: &mut Touched<K>, most: usize) -> impl Iterator<Item = Part> {
        let all = self.plan.parts_after(touched.closing).take(most);
        all.inspect(|(closing, _)| touched.closing = *closing).map(|(_, part)| part)
    }

    // --- Restoring one ---

    /// Whether a session from `first` to `last` could have come about.
    pub(crate) fn allows(&self, first: Timestamp, last: Timestamp, placement: Placement) -> bool {
        self.plan.allows(first, last, placement)
    }

    /// Whether a window that opened at this arrival is over: it may be pending while the next part of its partition is
    /// open.
    pub(crate) fn may_be_pending(&self, opened: Timestamp, now: Timestamp) -> bool {
        self.plan.may_be_pending(opened, now)
    }

    /// Takes over the content of a snapshot; the engine must be unused. On the arrival clock sessions that opened first
    /// must come first.
    pub(crate) fn restore(
        &mut self,
        standing: Standing,
        sessions: impl ExactSizeIterator<Item = (Session<K, V, A::State>, Option<RareState<V>>, Placement)>,
        held: impl Iterator<Item = (Event<K, V>, u64)>,
        unplaced: impl Iterator<Item = UnplacedEvent<K, V>>,
        parts: impl Iterator<Item = Part>,
    ) {
        self.set_standing(&standing);
        let Self { shared, plan, .. } = self;
        plan.reserve(sessions.len());
        for (session, rare, placement) in sessions {
            let reach = rare.as_ref().filter(|rare| rare.is_final()).map(|rare| latest_reach(rare, placement.end));
            if !reach.is_some_and(|reach| shared.is_late(reach)) {
                plan.resume(session, rare, placement.bucket, shared);
            } // else: kept for corrections, in a state older than its changes
        }
        held.for_each(|(event, seq)| plan.hold(&event.as_event_ref(), seq, shared));
        if standing.has_updates_due {
            shared.updates.bring_forward(standing.now);
            shared.clock.schedule(shared.updates.due());
        }
        if let Some(all) = plan.unplaced_mut() {
            all.extend(unplaced);
        }
        let max = shared.options.max_open;
        parts.for_each(|(partition, part, opened)| plan.restore_part(partition, part, opened, max));
    }

    fn set_standing(&mut self, standing: &Standing) {
        let Self { shared, plan, .. } = self;
        let Standing { now, flushes, early_closings, given_up, gap_changed, last_seq, counters, .. } = *standing;
        shared.clock.advance(now);
        if let Some(end) = given_up {
            shared.clock.give_up(end);
        }
        if gap_changed {
            plan.set_gap_changed();
        }
        (shared.flushes, shared.early_closings) = (flushes, early_closings);
        (shared.last_seq, shared.counters) = (last_seq, counters);
    }
}

/// The end of a session; or the reach of the event that opened it behind the watermark, in whose place an event may
/// still begin another although a rule has ended the session.
fn latest_reach<V>(rare: &RareState<V>, end: Timestamp) -> Timestamp {
    let reach = rare.origin.and_then(|origin| origin.besides.reach);
    reach.map_or(end, |reach| reach.max(end))
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// The content of a snapshot.
    pub(crate) const fn state(&self) -> &State<K, V, A> {
        &self.state
    }

    /// The place of a snapshot that is restored.
    pub(crate) const fn state_mut(&mut self) -> &mut State<K, V, A> {
        &mut self.state
    }

    /// The state, and the keys that have changed in it, while a snapshot is taken in portions.
    pub(crate) fn touched(&mut self) -> Option<InPortions<'_, K, V, A>> {
        self.note_changes(); // a call that ended in a panic has not done so
        let touched = self.touched.as_mut()?;
        touched.follow(self.state.shared.flushes);
        Some((&self.state, touched))
    }
}
