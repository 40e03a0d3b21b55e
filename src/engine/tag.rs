//! The session that took an event: for those who tag each event with it.

use core::fmt;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::Engine;
use crate::engine::shared::{Out, Outcome};
use crate::engine::state::State;
use crate::engine::whereabouts::Whereabouts;
use crate::event::EventRef;
use crate::id::SessionId;
use crate::open::OpenSession;
use crate::sessionizer::Pushed;
use crate::time::Timestamp;

/// What became of an event, and the session that took it: from [`Engine::push_tagged`] and
/// [`Engine::push_batch_tagged`], and from those of [`Queued`](crate::Queued) and `Sharded`.
///
/// | the event | [`session`](Self::session) is |
/// |---|---|
/// | opened or extended a session, or merged some | that session |
/// | is in several sliding windows | that of the window that began last; [`sessions`](Self::sessions) has all (those that [hold a copy](crate::Config::unique_by) of the event included) |
/// | waits for the watermark ([`Pushed::Held`]) | nothing: which session takes it is not decided yet |
/// | was handed back | nothing |
/// | closed its session at once: it came behind the watermark, and by a rule its session ends there | nothing: the last summary that the call gave to `out` is that of its session |
///
/// # When the id still changes
/// The [id](OpenSession::id) is provisional. That of a bucket, a sliding window or a window on the
/// arrival clock stays. That of a gap session changes if an earlier event moves its start, or merges it
/// with another session: no longer when the watermark has passed its start, and never if events come in
/// order of time. It changes too if the session is closed early to [make room](crate::Config::max_open_sessions).
///
/// So an event that was tagged before such a change bears an id that no final summary has. Push events in
/// order of time where each tag must be final.
pub struct Tagged<'s, 'e, K: Key, V: Value, A: Aggregate<K, V> = ()> {
    pushed: Pushed<EventRef<'e, K, V>>,
    time: Timestamp,
    at: Option<Whereabouts>,
    engine: &'s Engine<K, V, A>,
}

impl<'s, 'e, K: Key, V: Value, A: Aggregate<K, V>> Tagged<'s, 'e, K, V, A> {
    #[inline(always)]
    fn new(engine: &'s Engine<K, V, A>, event: EventRef<'e, K, V>, outcome: Outcome) -> Self {
        Self { time: event.event_time, at: outcome.whereabouts(), pushed: outcome.with(event), engine }
    }

    /// What became of the event.
    pub const fn pushed(&self) -> &Pushed<EventRef<'e, K, V>> {
        &self.pushed
    }

    /// What became of the event, without its session.
    pub fn into_pushed(self) -> Pushed<EventRef<'e, K, V>> {
        self.pushed
    }

    /// The session that took the event, if it is open. O(1), without a look at an index.
    #[inline(always)] // whatever is not asked for is not computed
    #[must_use]
    pub fn session(&self) -> Option<OpenSession<'s, K, V, A::State>> {
        let sighting = self.engine.state.plan.sighting(self.at?)?;
        Some(sighting.view(&self.engine.state.shared))
    }

    /// All open sessions that took the event, in order of their windows: several only with sliding windows.
    /// O(1) expected for each.
    pub fn sessions(&self) -> impl Iterator<Item = OpenSession<'s, K, V, A::State>> + use<'s, 'e, K, V, A> {
        let (State { plan, shared, .. }, time) = (&self.engine.state, self.time);
        let sightings = self.at.into_iter().flat_map(move |at| plan.sightings_with(at, time, shared));
        sightings.map(|sighting| sighting.view(shared))
    }

    /// The provisional id of the session that took the event. Computing it takes longer than the push; an
    /// id that is asked for again, of the same session, is computed again.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.session().map(|session| session.id())
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> fmt::Debug for Tagged<'_, '_, K, V, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pushed = self.pushed.map(|event| event.event_time);
        f.debug_struct("Tagged").field("pushed", &pushed).field("id", &self.id()).finish()
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Takes one event like [`push`](Self::push), and leads to the session that took it: to tag each event
    /// with its session at once. [`Tagged`] says when a tag may still change.
    ///
    /// The session is found without another look by key: a few nanoseconds more than `push`.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp};
    ///
    /// let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(60))).build()?;
    /// let mut tags = Vec::new();
    /// for (user, second, page) in [("ann", 0, "/"), ("bob", 9, "/"), ("ann", 5, "/beer"), ("ann", 500, "/")] {
    ///     let tagged = visits.push_tagged(Event::new(user, Timestamp::from_secs(second), page), &mut |_| {});
    ///     let visit = tagged.session().expect("nothing is late");
    ///     tags.push((visit.id(), visit.count()));
    /// }
    /// assert_eq!(tags[0].0, tags[2].0);
    /// assert_eq!(tags.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1, 1, 2, 1]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use = "a late or refused event is handed back here and nowhere else"]
    #[inline]
    pub fn push_tagged<'s, 'e>(
        &'s mut self,
        event: EventRef<'e, K, V>,
        out: Out<'_, K, V, A>,
    ) -> Tagged<'s, 'e, K, V, A> {
        let outcome = self.take(&event, None, out);
        Tagged::new(self, event, outcome)
    }

    /// Takes several events, one after the other, like [`push_batch`](Self::push_batch). `each` gets every
    /// one, also those handed back, with its index in `events`, as it is taken: after the summaries that it
    /// has brought about, and before the next event.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp};
    ///
    /// let mut visits = Config::<u64, ()>::new(Gap::new(Duration::from_secs(60))).build()?;
    /// let events = [0, 10, 100].map(|second| Event::new(7, Timestamp::from_secs(second), ()));
    /// let mut tags = Vec::new();
    /// visits.push_batch_tagged(&events, &mut |_| {}, |_, tagged| tags.extend(tagged.id()));
    /// assert!(tags[0] == tags[1] && tags[1] != tags[2]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    pub fn push_batch_tagged<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        out: Out<'_, K, V, A>,
        mut each: impl FnMut(usize, Tagged<'_, 'e, K, V, A>),
    ) {
        self.take_batch(events, out, |engine, i, event, outcome| each(i, Tagged::new(engine, event, outcome)));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::event::Event;
    use crate::sessionizer::Pushed;
    use crate::strategy::{Bucket, Gap, Sliding, Stagger, Strategy};
    use crate::testing::{Settings, at, config, us};

    /// Start and end of a window, and how many events.
    type Session = (i64, i64, u64);
    type Seen = (Pushed<()>, Option<Session>, usize);

    /// What became of each event, and its session: window and count.
    fn tags(config: Settings, watermark: i64, times: &[i64]) -> Vec<Seen> {
        let mut engine = config.build().expect("a configuration that works");
        engine.advance_to(at(watermark), &mut |_| {});
        let mut seen = Vec::new();
        for time in times {
            let tagged = engine.push_tagged(Event::new(1, at(*time), *time), &mut |_| {});
            assert_eq!(tagged.id(), tagged.session().map(|session| session.id()));
            let session = tagged
                .session()
                .map(|session| (session.window().start.as_micros(), session.window().end.as_micros(), session.count()));
            assert_eq!(tagged.sessions().last().map(|session| session.id()), tagged.id());
            seen.push((tagged.pushed().map(|_| ()), session, tagged.sessions().count()));
        }
        seen
    }

    #[test]
    fn each_strategy_leads_to_the_session_that_took_the_event() {
        let tens = Bucket::step(us(10));
        let cases: [(Strategy, [Session; 3]); 3] = [
            (Gap::new(us(10)).into(), [(5, 15, 1), (5, 19, 2), (30, 40, 1)]),
            (Stagger::on_event_time(tens.clone()).into(), [(0, 10, 1), (0, 10, 2), (30, 40, 1)]),
            (Stagger::on_arrival(tens, us(10)).into(), [(5, 15, 1), (5, 15, 2), (30, 40, 1)]),
        ];
        for (strategy, expected) in cases {
            let expected = expected.map(Some);
            let seen = tags(config(strategy), i64::MIN, &[5, 9, 30]);
            assert_eq!(seen.iter().map(|(_, session, _)| *session).collect::<Vec<_>>(), expected);
            let pushed: Vec<_> = seen.into_iter().map(|(pushed, ..)| pushed).collect();
            assert_eq!(pushed, [Pushed::Opened, Pushed::Extended, Pushed::Opened]);
        }
    }

    #[test]
    fn an_event_that_merges_leads_to_the_session_that_stays() {
        let seen = tags(config(Gap::new(us(10))), i64::MIN, &[0, 18, 9]);
        assert_eq!(seen[2], (Pushed::Merged, Some((0, 28, 3)), 1));
    }

    #[test]
    fn in_sliding_windows_the_last_is_the_session_and_all_can_be_seen() {
        let seen = tags(config(Sliding::new(us(10), us(5))), i64::MIN, &[12, 12, 17]);
        assert_eq!(seen[0], (Pushed::Opened, Some((10, 20, 1)), 2));
        assert_eq!(seen[1], (Pushed::Extended, Some((10, 20, 2)), 2));
        assert_eq!(seen[2], (Pushed::Opened, Some((15, 25, 1)), 2));
    }

    #[test]
    fn an_event_that_is_held_or_handed_back_has_no_session() {
        let ordered = || config(Gap::new(us(10)).max_duration(us(20)));
        assert_eq!(tags(ordered(), 5, &[6, 5]), [(Pushed::Held, None, 0), (Pushed::Opened, Some((5, 15, 1)), 1)]);
        assert_eq!(tags(config(Gap::new(us(10))), 15, &[5]), [(Pushed::Late(()), None, 0)]);
    }

    #[test]
    fn a_session_that_closes_at_once_is_in_the_last_summary() {
        let mut engine = config(Gap::new(us(10))).end_at("4", |event| event.value == 4).build().expect("it works");
        engine.advance_to(at(9), &mut |_| {});
        let mut closed = Vec::new();
        let tagged = engine.push_tagged(Event::new(1, at(4), 4), &mut |summary| closed.push(summary.last_event));
        assert_eq!((tagged.pushed(), tagged.id().is_none()), (&Pushed::Opened, true));
        assert_eq!(closed, [4]);
    }

    #[test]
    fn a_batch_tags_each_event_before_the_next() {
        let mut engine = config(Gap::new(us(10))).build().expect("it works");
        engine.advance_to(at(20), &mut |_| {});
        let events = [20, 25, 3, 29].map(|time| Event::new(1, at(time), time));
        let mut counts = Vec::new();
        engine.push_batch_tagged(&events, &mut |_| {}, |i, tagged| {
            assert_eq!(tagged.pushed().is_returned(), i == 2);
            counts.push(tagged.session().map(|session| session.count()));
        });
        assert_eq!(counts, [Some(1), Some(2), None, Some(3)]);
    }
}
