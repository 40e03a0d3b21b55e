//! Gap sessions that grow and merge in any order of arrival.

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::keyed::Keyed;
use crate::engine::look::Sighting;
use crate::engine::shared::{Out, Outcome, Shared};
use crate::engine::store::Store;
use crate::engine::whereabouts::Whereabouts;
use crate::event::EventRef;
use crate::index::Probe;
use crate::session::{Opening, Origin, WithRare};
use crate::strategy::Reach;
use crate::summary::CloseReason;
use crate::table::{Location, SlotId};
use crate::time::Timestamp;

/// The storage of gap sessions without a maximum duration or cuts.
pub(crate) struct GapSessions<K: Key, V: Value, S>(Keyed<K, V, S>);

impl<K: Key, V: Value, S> GapSessions<K, V, S> {
    pub(crate) const fn new(sessions: Keyed<K, V, S>) -> Self {
        Self(sessions)
    }

    pub(crate) const fn sessions(&self) -> &Keyed<K, V, S> {
        &self.0
    }

    /// Whether a session is over and pending: no event joins it. (With a gap per event another may have
    /// begun beside it, even before it.)
    #[inline]
    fn is_pending(&self, slot: SlotId, now: Timestamp) -> bool {
        self.0.table.get(slot).edge <= now && !self.0.is_settled(slot)
    }

    pub(crate) const fn sessions_mut(&mut self) -> &mut Keyed<K, V, S> {
        &mut self.0
    }

    /// Assigns an event. The usual one extends the only session of its key; everything else is out of line.
    #[inline(always)]
    pub(crate) fn assign<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        if !PLAIN {
            self.drain_for_correction(event, shared, out);
        }
        let (time, now) = (event.event_time, shared.clock.now());
        let Keyed { table, reach, gap_varies, .. } = &mut self.0;
        match table.probe(hash, event.key) {
            Probe::Found((slot, session)) => {
                let end = reach.after(time);
                // An event before the first, and not behind the watermark, tells all of how the session begins.
                let may_begin = || session.first < end && time >= now && !session.has_rare_state();
                let is_simple = PLAIN || (session.edge > now && !session.has_rare_state() && !shared.updates.is_on());
                if is_simple && (PLAIN || !*gap_varies) && time < session.edge && (time >= session.first || may_begin())
                {
                    shared.extend::<V, PLAIN>(session, event);
                    session.edge = session.edge.max(end);
                    return Outcome::Extended(Whereabouts::numbered(slot));
                }
                self.assign_anyhow(event, hash, shared, out)
            }
            Probe::Absent => self.open_first(event, hash, shared, out),
            Probe::Unsure => self.assign_anyhow(event, hash, shared, out),
        }
    }

    #[inline(never)]
    fn open_first<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<K, A>,
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
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let Some(location) = self.0.table.find(hash, event.key) else {
            return self.open_first(event, hash, shared, out);
        };
        let (end, now) = (self.0.reach_of(event), shared.clock.now());
        let touches = |slot| {
            let session = self.0.table.get(slot);
            Reach::touches(session.first, session.edge, event.event_time, end)
        };
        let touching = self.0.table.select(location, end, |slot| self.is_pending(slot, now), touches);
        let (slot, outcome) = match touching[..] {
            [] => return self.open(event, hash, Some(location), end, shared, out),
            [only] => (only, Outcome::Extended(Whereabouts::numbered(only))),
            _ => {
                let slot = self.merge(hash, &touching, shared);
                (slot, Outcome::Merged(Whereabouts::numbered(slot)))
            }
        };
        let before = (event.event_time < self.0.table.get(slot).first).then(|| self.0.origin_of(slot));
        self.0.table.update(hash, slot, |table| {
            let session = table.get_mut(slot);
            shared.extend::<V, false>(session, event);
            session.edge = session.edge.max(end);
        });
        let was_current = self.0.table.get(slot).has_rare_state() && self.0.table.outdate(slot);
        match before {
            // By itself it would be late, and a session that began there may be gone.
            Some(before) if shared.is_late(end) => self.0.keep_origin(slot, before),
            Some(_) => self.0.set_origin(slot, self.origin(event.event_time, end, shared)),
            None => {}
        }
        if before.is_some() {
            shared.count_uncorrected(event.event_time);
        }
        self.after_change(slot, was_current || touching.len() > 1, shared, out);
        outcome
    }

    /// How a session begins with an event that is not late.
    #[inline]
    fn origin<A>(&self, time: Timestamp, end: Timestamp, shared: &Shared<K, A>) -> Option<Origin> {
        // With one gap for all, a session that began at this time reached as far, and is not gone.
        let varies = self.0.gap_varies || self.0.gap_changed;
        shared.origin(time, time < shared.clock.now(), varies.then_some(end))
    }

    #[inline(always)]
    fn open<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        others: Option<Location>,
        end: Timestamp,
        shared: &mut Shared<K, A>,
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
        let opening = Opening { edge: end, opened: shared.last_seq };
        let slot = self.0.open(hash, others, event, opening, shared);
        if event.event_time < shared.clock.now() {
            self.0.set_origin(slot, self.origin(event.event_time, end, shared));
            shared.count_uncorrected(event.event_time);
        }
        self.after_change(slot, true, shared, out);
        Outcome::Opened(Whereabouts::numbered(slot))
    }

    /// Joins sessions that an event bridges. The one that opened first goes on.
    #[cold]
    fn merge<A: Aggregate<K, V, State = S>>(
        &mut self,
        hash: u64,
        touching: &[SlotId],
        shared: &mut Shared<K, A>,
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
        is_first: bool,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        if shared.options.lateness > 0 {
            self.correct(slot, shared, out);
        }
        if shared.updates.is_on() {
            self.follow_up(Whereabouts::numbered(slot), is_first, shared, out);
        }
    }

    #[cold]
    fn correct<A: Aggregate<K, V, State = S>>(
        &mut self,
        slot: SlotId,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        if self.0.is_settled(slot) {
            self.0.enqueue(slot, shared);
            self.0.forget_obsolete(shared);
        }
        let is_over = self.0.table.get(slot).edge <= shared.clock.now();
        if is_over && shared.clock.is_due() {
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

    fn close_due(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        self.0.close_until(shared.clock.now(), shared, out);
    }

    fn close_all(&mut self, shared: &mut Shared<K, A>, reason: CloseReason, out: Out<'_, K, V, A>) {
        self.0.close_each(reason, shared, out);
    }

    fn end_flush(&mut self, shared: &mut Shared<K, A>) {
        self.0.end_flush(shared);
    }

    fn shrink_to_fit(&mut self, shared: &mut Shared<K, A>) {
        shared.updates.forget();
        let slots = self.0.rebuild(shared);
        slots.into_iter().for_each(|slot| self.note_again(Whereabouts::numbered(slot), shared));
    }

    fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, A::State>> {
        self.0.try_sighting(at.number())
    }

    fn with_rare(&mut self, at: Whereabouts) -> Option<WithRare<'_, K, V, A::State>> {
        Some(self.0.table.with_rare(at.number()))
    }

    fn evict_oldest(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) -> bool {
        self.0.evict(shared, out)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::id::SessionId;
    use crate::sessionizer::Pushed;
    use crate::strategy::Gap;
    use crate::summary::CloseReason;
    use crate::testing::{Run, Settings, config, us};

    fn tens() -> Settings {
        config(Gap::new(us(10)))
    }

    #[test]
    fn exactly_gap_apart() {
        let mut run = Run::new(tens());
        assert_eq!([0, 10].map(|time| run.push(1, time)), [Pushed::Opened; 2]);
        assert_eq!(run.flush(), [(1, 0, 10, 1), (1, 10, 20, 1)]);
        let mut run = Run::new(config(Gap::new(us(10)).inclusive()));
        assert_eq!([0, 10].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Extended]);
        assert_eq!(run.flush(), [(1, 0, 20, 2)]);
    }

    #[test]
    fn one_microsecond_less_than_gap_apart() {
        let mut run = Run::new(tens());
        assert_eq!([10, 19, 1].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Extended, Pushed::Extended]);
        assert_eq!(run.flush(), [(1, 1, 29, 3)]);
    }

    #[test]
    fn exactly_gap_before_the_first() {
        let mut run = Run::new(tens());
        assert_eq!([10, 0].map(|time| run.push(1, time)), [Pushed::Opened; 2]);
    }

    #[test]
    fn an_event_that_bridges_two_merges_them() {
        let mut run = Run::new(tens());
        assert_eq!([0, 18, 9].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Opened, Pushed::Merged]);
        assert_eq!((run.counters().merged, run.open()), (1, 1));
        assert_eq!(run.flush(), [(1, 0, 28, 3)]);
    }

    #[test]
    fn an_event_exactly_gap_after_the_first_bridges_only_the_second() {
        let mut run = Run::new(tens());
        assert_eq!([0, 18, 10].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Opened, Pushed::Extended]);
        assert_eq!(run.flush(), [(1, 0, 10, 1), (1, 10, 28, 2)]);
    }

    #[test]
    fn at_the_watermark() {
        let mut run = Run::new(tens());
        assert_eq!(run.push(1, 0), Pushed::Opened);
        assert_eq!((run.advance(9), run.push(1, 9)), ([].into(), Pushed::Extended));
        assert_eq!((run.advance(18), run.advance(19)), ([].into(), [(1, 0, 19, 2)].into()));
        assert_eq!([9, 10].map(|time| run.push(2, time)), [Pushed::Late(()), Pushed::Opened]);
    }

    #[test]
    fn an_inclusive_edge_closes_one_microsecond_after_the_end() {
        let mut run = Run::new(config(Gap::new(us(10)).inclusive()));
        assert_eq!(run.push(1, 0), Pushed::Opened);
        assert_eq!(run.advance(10), []);
        assert_eq!(run.advance(11), [(1, 0, 10, 1)]);
    }

    #[test]
    fn a_straggler_joins_an_open_session_however_late() {
        let mut run = Run::new(tens());
        assert_eq!(run.push(1, 20), Pushed::Opened);
        run.advance(29);
        assert_eq!((run.push(1, 12), run.push(1, 3)), (Pushed::Extended, Pushed::Extended));
        assert_eq!(run.advance(30), [(1, 3, 30, 3)]);
    }

    #[test]
    fn at_the_end_plus_the_lateness() {
        let mut run = Run::new(tens().allowed_lateness(us(5)));
        assert_eq!(run.push(1, 0), Pushed::Opened);
        assert_eq!(run.advance(14), [(1, 0, 10, 1)]);
        assert_eq!(run.push(1, 2), Pushed::Extended);
        let [revision] = &run.summaries()[..] else { panic!("it is corrected at once: its end is 12") };
        assert_eq!((revision.count, revision.revision(), revision.reason), (2, 1, CloseReason::Gap));
        assert_eq!((run.advance(16), run.push(1, 3)), ([].into(), Pushed::Extended));
        run.closed();
        assert_eq!((run.advance(18), run.open()), ([].into(), 0));
        assert_eq!([3, 4].map(|time| run.push(1, time)), [Pushed::Late(()), Pushed::Opened]);
    }

    #[test]
    fn no_event_joins_a_session_that_is_pending() {
        let mut run = Run::new(tens().close_at_most(1));
        for key in 1..=5 {
            assert_eq!(run.push(key, 0), Pushed::Opened);
        }
        assert_eq!(run.advance(10), [(1, 0, 10, 1)]);
        assert_eq!(run.push(5, 5), Pushed::Opened);
        assert_eq!((run.closed(), run.open()), ([(2, 0, 10, 1)].into(), 4));
        assert_eq!(run.flush(), [(3, 0, 10, 1), (4, 0, 10, 1), (5, 0, 10, 1), (5, 5, 15, 1)]);
    }

    #[test]
    fn no_event_joins_a_session_that_is_pending_and_whose_end_is_behind_the_watermark() {
        let mut run = Run::new(tens().close_at_most(1));
        assert_eq!([1, 2, 3].map(|key| run.push(key, 0)), [Pushed::Opened; 3]);
        assert_eq!((run.advance(12), run.push(3, 5)), ([(1, 0, 10, 1)].into(), Pushed::Opened));
        assert_eq!(run.flush(), [(2, 0, 10, 1), (3, 0, 10, 1), (3, 5, 15, 1)]);
    }

    #[test]
    fn pending_sessions_come_before_a_correction_and_not_before_another_event() {
        for (time, emitted) in [(3, 5), (10, 5), (11, 2)] {
            let mut run = Run::new(tens().allowed_lateness(us(5)).close_at_most(1));
            for key in 1..=5 {
                assert_eq!(run.push(key, 0), Pushed::Opened);
            }
            run.close_until(10);
            assert!(!run.push(5, time).is_returned());
            assert_eq!(run.closed().len(), emitted, "an event at {time}");
        }
    }

    #[test]
    fn a_straggler_that_may_belong_to_a_session_given_up_is_counted() {
        let counted = |lateness| {
            let mut run = Run::new(config(Gap::new(us(5))).out_of_order(us(1)).allowed_lateness(us(lateness)));
            for (key, time) in [(1, 0), (2, 7), (1, 3), (2, 20)] {
                assert!(!run.push(key, time).is_returned());
            }
            let sessions = run.flush().iter().filter(|(key, ..)| *key == 1).map(|(.., count)| *count).collect();
            (sessions, run.counters().behind, run.counters().uncorrected)
        };
        assert_eq!(counted(0), (Vec::from([1, 1]), 1, 1));
        assert_eq!(counted(60), (Vec::from([1, 2]), 1, 0), "the second is a correction");
    }

    #[test]
    fn a_session_that_ended_at_the_watermark_less_the_lateness_is_still_there() {
        for (time, uncorrected) in [(5, 0), (4, 1)] {
            let mut run = Run::new(tens().allowed_lateness(us(5)));
            run.advance(10);
            assert_eq!((run.push(1, time), run.counters().uncorrected), (Pushed::Opened, uncorrected), "{time}");
        }
    }

    #[test]
    fn a_straggler_at_the_time_of_the_first_event_moves_no_start() {
        for settings in [tens(), tens().gap_per_event("that of all", |_| None)] {
            let mut run = Run::new(settings);
            assert_eq!((run.push(1, 5), run.advance(12)), (Pushed::Opened, [].into()));
            assert_eq!((run.push(1, 5), run.counters().behind, run.counters().uncorrected), (Pushed::Extended, 1, 0));
            assert_eq!((run.push(1, 4), run.counters().behind, run.counters().uncorrected), (Pushed::Extended, 2, 1));
        }
    }

    #[test]
    fn sessions_that_were_updated_and_merge_are_updated_again() {
        let mut run = Run::new(config(Gap::new(us(100))).update_every(us(10)));
        assert_eq!([0, 150].map(|time| run.push(1, time)), [Pushed::Opened; 2]);
        assert_eq!(run.advance(10).len(), 2);
        assert_eq!(run.push(1, 75), Pushed::Merged);
        assert_eq!(run.advance(20), [(1, 0, 250, 3)]);
    }

    #[test]
    fn shrinking_frees_the_slots_that_a_peak_has_left() {
        let mut run = Run::new(tens());
        (0..100).for_each(|key| assert_eq!(run.push(key, 0), Pushed::Opened));
        assert_eq!((run.push(100, 5), run.advance(10).len()), (Pushed::Opened, 100));
        let slots = |run: &Run| {
            let crate::engine::Plan::Gap(sessions) = &run.engine.state.plan else { panic!("gap sessions") };
            sessions.sessions().table.used()
        };
        assert_eq!(slots(&run), 101);
        run.engine.shrink_to_fit();
        assert_eq!((slots(&run), run.flush()), (1, [(100, 5, 15, 1)].into()));
    }

    /// The ids of key 1, after some events of others.
    fn ids(config: Settings, watermark: i64, times: &[i64], others: u8) -> Vec<SessionId> {
        let mut run = Run::new(config);
        (0..others).for_each(|n| assert_eq!(run.push(100 + n, 1_000), Pushed::Opened));
        run.advance(watermark);
        times.iter().for_each(|time| assert!(!run.push(1, *time).is_returned()));
        run.close_all();
        run.summaries().into_iter().filter(|summary| summary.key == 1).map(|summary| summary.id()).collect()
    }

    #[test]
    fn the_first_event_tells_a_session_apart_wherever_the_watermark_stands() {
        let id = |watermark, others| ids(tens(), watermark, &[5], others);
        assert_eq!([id(5, 0), id(6, 0), id(14, 0), id(14, 3)], [id(4, 0), id(4, 0), id(4, 0), id(4, 0)]);
    }

    #[test]
    fn a_straggler_that_is_late_by_itself_does_not_change_the_id() {
        assert_eq!(ids(tens(), 22, &[20, 12], 0), ids(tens(), 20, &[20], 0));
        assert_eq!(ids(tens(), 21, &[20, 12], 0), ids(tens(), 12, &[12], 0));
        assert_eq!(ids(tens(), 40, &[39, 34, 28], 0), ids(tens(), 34, &[34], 0), "28 is late by itself, 34 is not");
        assert_eq!(ids(tens(), 40, &[49, 31, 40], 0), ids(tens(), 31, &[31], 0), "40 merges them");
    }

    #[test]
    fn with_a_gap_per_event_the_reach_tells_sessions_behind_the_watermark_apart() {
        let own = || tens().gap_per_event("those of odd keys: 50", |event| (event.key % 2 == 1).then(|| us(50)));
        assert_eq!(ids(own(), 5, &[5], 0), ids(own(), 4, &[5], 0));
        assert_ne!(ids(own(), 6, &[5], 0), ids(own(), 5, &[5], 0));
        assert_eq!(ids(own(), 6, &[5], 2), ids(own(), 7, &[5], 0));
    }

    #[test]
    fn an_earlier_start_at_the_watermark_is_not_behind_it() {
        let own = || tens().gap_per_event("those of odd keys: 50", |event| (event.key % 2 == 1).then(|| us(50)));
        assert_eq!(ids(own(), 5, &[6, 5], 0), ids(own(), 4, &[6, 5], 0));
    }

    #[test]
    fn after_the_gap_has_changed_the_reach_tells_sessions_behind_the_watermark_apart() {
        let id = |settings: &[Settings]| {
            let mut run = Run::new(tens());
            run.advance(8);
            for config in settings {
                run = Run::of(config.clone().restore_changed(run.engine.snapshot()).expect("a gap may change"));
            }
            assert_eq!(run.push(1, 5), Pushed::Opened);
            run.close_all();
            run.summaries()[0].id()
        };
        let twenty = || config(Gap::new(us(20)));
        assert_eq!(id(&[]), id(&[tens()]));
        assert_ne!(id(&[tens()]), id(&[twenty()]));
        assert_ne!(id(&[twenty(), tens()]), id(&[tens()]), "it stays so: the session may have begun before");
        assert_eq!(id(&[twenty(), tens()]), id(&[twenty(), tens(), tens()]));
    }
}
