//! The configuration: a strategy and its options, checked once.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::{Engine, EngineClock, Plan, Shape};
use crate::error::ConfigError;
use crate::event::EventRef;
use crate::gap_rules::{CutWithRule, EndRule, JoinOnly, JoinRule, Rules};
use crate::open::OpenSession;
use crate::rules::{CutRule, FirstLast, GapRule, IdRule, Options, TimedValue, UpdateRule, WhenFull};
use crate::strategy::{Strategy, length, length_text, or_none, positive};
use crate::table::MAX_SESSIONS;

/// A rule with its name.
type Named<R> = (String, R);

/// The configuration of a sessionizer: a strategy and its options.
///
/// `K` and `V` are the key and value types that are kept; events carry their borrowed forms (see
/// [`Key`]).
///
/// ```
/// use core::time::Duration;
/// use stagger::{Config, Gap};
///
/// let sessions = Config::<String, String>::new(Gap::new(Duration::from_secs(30 * 60)))
///     .out_of_order(Duration::from_secs(10))
///     .max_future(Duration::from_secs(3600))
///     .build()?;
/// # let _ = sessions;
/// # Ok::<(), stagger::ConfigError>(())
/// ```
pub struct Config<K: Key, V: Value, A: Aggregate<K, V> = ()> {
    strategy: Strategy,
    aggregate: A,
    out_of_order: Option<Duration>,
    max_future: Option<Duration>,
    allowed_lateness: Duration,
    first_last: FirstLast,
    max_open: usize,
    when_full: WhenFull,
    max_emits: usize,
    update_every: Option<Duration>,
    update_every_events: Option<u64>,
    gap_of: Option<Named<GapRule<K, V>>>,
    cut: Option<Named<CutRule<V>>>,
    cut_with: Option<Named<CutWithRule<K, V, A::State>>>,
    end_at: Option<Named<EndRule<K, V>>>,
    join_only: Option<Named<JoinRule<K, V>>>,
    unique: Option<Named<IdRule<K, V>>>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> Config<K, V> {
    /// Starts with a strategy: [`Stagger`](crate::Stagger), [`Gap`](crate::Gap) or
    /// [`Sliding`](crate::Sliding).
    ///
    /// Without further settings the watermark is given by the caller
    /// ([`advance_to`](crate::Sessionizer::advance_to)), no lateness is allowed, and any number of
    /// sessions may be open.
    pub fn new(strategy: impl Into<Strategy>) -> Self {
        Self {
            strategy: strategy.into(),
            aggregate: (),
            out_of_order: None,
            max_future: None,
            allowed_lateness: Duration::ZERO,
            first_last: FirstLast::EventTime,
            max_open: MAX_SESSIONS,
            when_full: WhenFull::Refuse,
            max_emits: usize::MAX,
            update_every: None,
            update_every_events: None,
            gap_of: None,
            cut: None,
            cut_with: None,
            end_at: None,
            join_only: None,
            unique: None,
            types: PhantomData,
        }
    }

    /// Keeps an [`Aggregate`] of the caller's own for each session. [`EventFn`](crate::EventFn) shows how
    /// to put an engine with one into a struct.
    pub fn aggregate<A: Aggregate<K, V>>(self, aggregate: A) -> Config<K, V, A> {
        let Self { strategy, out_of_order, max_future, allowed_lateness, first_last, .. } = self;
        let Self { update_every, update_every_events, .. } = self;
        let Self { max_open, when_full, max_emits, gap_of, cut, cut_with, end_at, join_only, unique, types, .. } = self;
        // Set before, it knows nothing of the aggregate.
        let cut_with = cut_with.map(|(name, rule)| {
            let rule: CutWithRule<K, V, A::State> =
                Arc::new(move |session, previous, next| rule(&session.without_state(), previous, next));
            (name, rule)
        });
        Config {
            strategy,
            aggregate,
            out_of_order,
            max_future,
            allowed_lateness,
            first_last,
            max_open,
            when_full,
            max_emits,
            update_every,
            update_every_events,
            gap_of,
            cut,
            cut_with,
            end_at,
            join_only,
            unique,
            types,
        }
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Config<K, V, A> {
    /// Derives the watermark from the events: the greatest event time so far minus `bound`. While
    /// events are no more than `bound` behind the latest one, the sessions are exactly those of the
    /// same events in order of time; [`Counters::behind`](crate::Counters::behind) counts those that are further
    /// behind. [`advance_to`](crate::Sessionizer::advance_to) may still move
    /// the watermark ahead, for example when the source is idle. An event further behind is late only
    /// if every window it could join is over.
    ///
    /// Together with [`max_future`](Self::max_future), or one event with a wild time in the future
    /// makes everything after it late. On the arrival clock it has no meaning and is refused.
    #[must_use]
    pub fn out_of_order(mut self, bound: Duration) -> Self {
        self.out_of_order = Some(bound);
        self
    }

    /// Hands back events whose event time is more than `ahead` after their arrival time. Such an
    /// event leaves the watermark alone.
    ///
    /// **It needs arrival times.** [`Event::new`](crate::Event::new) says that an event arrived when it
    /// happened, and no such event is ahead: give the time of receipt with
    /// [`arriving_at`](crate::Event::arriving_at), or this setting has no effect. (The watermark cannot stand
    /// for the time of receipt: after a night without events every event would be ahead of it.)
    /// [`Counters::without_arrival`](crate::Counters::without_arrival) counts events without it.
    #[must_use]
    pub fn max_future(mut self, ahead: Duration) -> Self {
        self.max_future = Some(ahead);
        self
    }

    /// Keeps closed sessions for corrections until the watermark is `lateness` past their end. A
    /// late event that still finds its session (or a window of its own within the lateness) yields
    /// a new [revision](crate::SessionSummary::revision), which names the summaries that it
    /// replaces. Zero, the default, means one final summary per session.
    ///
    /// With a maximum duration, a maximum number of events or a rule, an event behind the watermark joins the
    /// session that it touches if that breaks no rule, and else opens one of its own: sessions are not cut anew.
    /// [`Counters::uncorrected`](crate::Counters::uncorrected) counts events whose sessions may differ from those
    /// in order of time.
    ///
    /// On the arrival clock nothing is late, and a lateness is refused.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.allowed_lateness = lateness;
        self
    }

    /// Tells first and last event by another order than event time. First and last *time* are
    /// always by event time.
    #[must_use]
    pub fn first_last_by(mut self, order: FirstLast) -> Self {
        self.first_last = order;
        self
    }

    /// Bounds the open sessions (each event held for a maximum duration or a cut rule counts as one
    /// too). Memory is then bounded by `max` times the size of a session, with its key and values.
    ///
    /// Refused events and sessions closed early leave nothing behind, for any number of keys.
    #[must_use]
    pub fn max_open_sessions(mut self, max: usize, when_full: WhenFull) -> Self {
        (self.max_open, self.when_full) = (max.min(MAX_SESSIONS), when_full);
        self
    }

    /// Bounds the number of sessions that one call emits, so that no call takes long: where very many are
    /// over at once, such as those of a bucket, the others are emitted by the next calls to
    /// [`push`](crate::Sessionizer::push) and [`advance_to`](crate::Sessionizer::advance_to), in the
    /// same order. Zero counts as one. Without this setting each call emits all sessions that are over.
    ///
    /// The output is the same, a little later. While sessions wait,
    /// [`next_deadline`](crate::Sessionizer::next_deadline) is not after
    /// [`now`](crate::Sessionizer::now): advance to `now` again to get more. They count as open. Some
    /// calls emit all waiting sessions, because their own output comes after them: a flush, an advance to
    /// the end of time, an event that finds no room, and an event behind the watermark that may be a
    /// correction (with an allowed lateness) or a cut (with a maximum duration or a cut rule).
    ///
    /// An engine restored from a snapshot emits the same in the same order. Where
    /// [`max_open_sessions`](Self::max_open_sessions) is set too, it may do so in other calls: sessions that can be
    /// corrected no more are not restored and take no room.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Bucket, Config, Event, Stagger, Timestamp};
    ///
    /// let minute = Stagger::on_event_time(Bucket::step(Duration::from_secs(60)));
    /// let mut sessions = Config::<u32, ()>::new(minute).close_at_most(100).build()?;
    /// for user in 0..250 {
    ///     let _ = sessions.push(Event::new(user, Timestamp::from_secs(1), ()), &mut |_| {});
    /// }
    /// let mut calls = Vec::new();
    /// while sessions.next_deadline().is_some_and(|deadline| deadline <= Timestamp::from_secs(60)) {
    ///     let mut closed = 0;
    ///     sessions.advance_to(Timestamp::from_secs(60), &mut |_| closed += 1);
    ///     calls.push(closed);
    /// }
    /// assert_eq!(calls, [100, 100, 50]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn close_at_most(mut self, sessions: usize) -> Self {
        self.max_emits = sessions.max(1);
        self
    }

    /// Emits sessions while they are open, as time goes by: early results, for a dashboard. Their
    /// reason is [`Update`](crate::CloseReason::Update).
    ///
    /// The time is that of the clock: event time, or arrival time on the arrival clock. It is cut into
    /// stretches of the length `every`, counted from 1970. A call that moves the clock into another stretch
    /// first closes sessions that are over, then emits each session that is still open and has changed since its latest
    /// summary, in order of opening: at most one update a stretch, and none of a session that has not changed.
    /// [`next_deadline`](crate::Sessionizer::next_deadline) takes the end of the stretch into account.
    ///
    /// Each summary of a session replaces the one before it: its [revision](crate::SessionSummary::revision)
    /// counts on, and [`supersedes`](crate::SessionSummary::supersedes) names what it replaces, with the id that it
    /// had. The id is [provisional](OpenSession::id) until the final summary, which has its usual reason. Where
    /// two sessions merge, the next summary replaces those of both. Counters count each event once, and
    /// [`updates`](crate::Counters::updates) apart.
    ///
    /// With [`close_at_most`](Self::close_at_most) an update counts as a session. It may then come with a
    /// later call, and shows its session as it is by then; where the session is over first, it is left out.
    ///
    /// O(log n) for each update, with n sessions that have changed, and about 120 bytes for each session that has
    /// been emitted while it is open, in a snapshot too.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{CloseReason, Config, Event, Gap, Timestamp};
    ///
    /// let at = Timestamp::from_secs;
    /// let mut visits = Config::<String, ()>::new(Gap::new(Duration::from_secs(60)))
    ///     .update_every(Duration::from_secs(10))
    ///     .out_of_order(Duration::ZERO)
    ///     .build()?;
    /// let mut seen = Vec::new();
    /// for second in [3, 9, 12, 35] {
    ///     let _ = visits.push(Event::new("ann", at(second), ()), &mut |v| seen.push((v.reason, v.revision(), v.count)));
    /// }
    /// visits.advance_to(at(1000), &mut |v| seen.push((v.reason, v.revision(), v.count)));
    /// assert_eq!(seen, [(CloseReason::Update, 0, 2), (CloseReason::Update, 1, 3), (CloseReason::Gap, 2, 4)]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn update_every(mut self, every: Duration) -> Self {
        self.update_every = Some(every);
        self
    }

    /// Emits a session while it is open whenever it holds `events` more than its latest summary: with 1, on
    /// every event. Zero counts as one.
    ///
    /// The call that places the event emits the update, also where [`close_at_most`](Self::close_at_most) holds back
    /// others: the push, or, if the event waits for the watermark, the call that moves the watermark there. A session that is over by then is not
    /// updated: its final summary follows. The rest is as for [`update_every`](Self::update_every), with which it can be
    /// combined.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp};
    ///
    /// let mut visits = Config::<String, ()>::new(Gap::new(Duration::from_secs(60))).update_every_events(2).build()?;
    /// let mut seen = Vec::new();
    /// for second in [0, 9, 5, 12, 14] {
    ///     let _ = visits.push(Event::new("ann", Timestamp::from_secs(second), ()), &mut |visit| seen.push(visit));
    /// }
    /// visits.flush(&mut |visit| seen.push(visit));
    /// assert_eq!(seen.iter().map(|visit| (visit.count, visit.is_update())).collect::<Vec<_>>(), [
    ///     (2, true),
    ///     (4, true),
    ///     (5, false),
    /// ]);
    /// assert_eq!(seen[2].supersedes()[0].id, seen[1].id());
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn update_every_events(mut self, events: u64) -> Self {
        self.update_every_events = Some(events.max(1));
        self
    }

    /// Lets the gap depend on the event: the session then ends at the furthest `time + gap`, which
    /// a shorter later gap does not shrink. `None` means the default gap; less than a microsecond
    /// counts as one. For [`Gap`](crate::Gap) only.
    ///
    /// `name` identifies the rule: a snapshot is only restored under the same name.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Gap};
    ///
    /// let patient = Config::<String, String>::new(Gap::new(Duration::from_secs(60)))
    ///     .gap_per_event("video plays on", |event| {
    ///         (event.value == "video").then_some(Duration::from_secs(3600))
    ///     });
    /// # let _ = patient;
    /// ```
    #[must_use]
    pub fn gap_per_event(
        mut self,
        name: &str,
        gap: impl for<'e> Fn(&EventRef<'e, K, V>) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.gap_of = Some((name.to_owned(), Arc::new(gap)));
        self
    }

    /// Starts a new session between two events of a key that follow each other in time, wherever
    /// `rule(previous, next)` says so: a logout, a change of campaign. For [`Gap`](crate::Gap) only.
    ///
    /// The session before ends at the time of the event that begins the next. Exact for any order
    /// of arrival within the bound: events ahead of the watermark are held until it reaches them.
    /// `name` identifies the rule: a snapshot is only restored under the same name.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Gap};
    ///
    /// let logins = Config::<u64, String>::new(Gap::new(Duration::from_secs(1800)))
    ///     .cut("logout", |previous, _next| previous.value == "logout");
    /// # let _ = logins;
    /// ```
    #[must_use]
    pub fn cut(
        mut self,
        name: &str,
        rule: impl for<'p, 'n> Fn(TimedValue<V::Ref<'p>>, TimedValue<V::Ref<'n>>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.cut = Some((name.to_owned(), Arc::new(rule)));
        self
    }

    /// Starts a new session before an event wherever `rule(session, previous, next)` says so, which
    /// sees the session as it stands before `next`, with the [state](OpenSession::state) of the
    /// aggregate, and its latest event: another campaign than that of the session, regardless of the events in
    /// between. For [`Gap`](crate::Gap) only; set the [`aggregate`](Self::aggregate) first if the rule looks at it.
    ///
    /// As with [`cut`](Self::cut) the session before ends at the time of `next`, and the result is
    /// exact for any order of arrival within the bound. An event behind the watermark that falls
    /// before the latest event of a session joins it without being asked about. The reason is
    /// [`CloseReason::CutWith`](crate::CloseReason::CutWith). `name` identifies the rule: a snapshot
    /// is only restored under the same name. O(1) for each event, and the rule.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp, prelude::*};
    ///
    /// let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(1800)))
    ///     .out_of_order(Duration::from_secs(90))
    ///     .cut_with("another campaign", |visit, _previous, next| {
    ///         !next.value.is_empty() && next.value != visit.first_event()
    ///     })
    ///     .build()?;
    /// let mut counts = Vec::new();
    /// for (second, campaign) in [(0, "A"), (120, "A"), (60, ""), (240, "B"), (180, "")] {
    ///     let _ = visits.push(Event::new("ann", Timestamp::from_secs(second), campaign), &mut |v| counts.push(v.count));
    /// }
    /// visits.flush(&mut |visit| counts.push(visit.count));
    /// assert_eq!(counts, [4, 1]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn cut_with(
        mut self,
        name: &str,
        rule: impl for<'s, 'n> Fn(&OpenSession<'s, K, V, A::State>, TimedValue<V::Ref<'s>>, TimedValue<V::Ref<'n>>) -> bool
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.cut_with = Some((name.to_owned(), Arc::new(rule)));
        self
    }

    /// Ends a session after each event for which `rule` holds: a logout, the end of a checkout. For
    /// [`Gap`](crate::Gap) only.
    ///
    /// The session ends one microsecond after that event, as soon as the watermark gets there, without
    /// waiting for the next event of the key as [`cut`](Self::cut) does; a later event opens another.
    /// Exact for any order of arrival within the bound: events ahead of the watermark are held until it
    /// reaches them. An event behind the watermark ends its session only if it is the latest of it. The
    /// reason is [`CloseReason::EndEvent`](crate::CloseReason::EndEvent). `name` identifies the rule: a
    /// snapshot is only restored under the same name. O(1) for each event, and the rule.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{CloseReason, Config, Event, Gap, Timestamp, prelude::*};
    ///
    /// let at = Timestamp::from_secs;
    /// let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(1800)))
    ///     .end_at("logout", |event| event.value == "logout")
    ///     .build()?;
    /// for (second, page) in [(20, "logout"), (0, "/"), (30, "/")] {
    ///     let _ = visits.push(Event::new("ann", at(second), page), &mut |_| {});
    /// }
    /// let mut closed = Vec::new();
    /// visits.advance_to(at(21), &mut |visit| closed.push((visit.count, visit.reason)));
    /// assert_eq!(closed, [(2, CloseReason::EndEvent)]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn end_at(
        mut self,
        name: &str,
        rule: impl for<'e> Fn(&EventRef<'e, K, V>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.end_at = Some((name.to_owned(), Arc::new(rule)));
        self
    }

    /// Lets some events join a session that is there but never open one: heartbeats, page pings. For
    /// [`Gap`](crate::Gap) only.
    ///
    /// Decided in order of time, and so exact for any order of arrival within the bound: such an event
    /// joins the session that an event before it (or earlier at the same time) has opened. Without one,
    /// and where a rule cuts between the session and the event, it is counted as
    /// [`orphaned`](crate::Counters::orphaned) and comes back: from the push with
    /// [`Refusal::NoSession`](crate::Refusal::NoSession) if the watermark has reached it by then, else
    /// from [`take_orphans`](crate::Engine::take_orphans) when it has. [`JoinOnly`] says whether it prolongs the
    /// session; its last time and event count in either case. `name` identifies the rule: a snapshot is
    /// only restored under the same name. O(1) for each event, and the rule.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, JoinOnly, Timestamp, prelude::*};
    ///
    /// let at = Timestamp::from_secs;
    /// let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(1800)))
    ///     .join_only("pings", |event| match event.value {
    ///         "ping" => JoinOnly::DoesNotProlong,
    ///         _ => JoinOnly::No,
    ///     })
    ///     .build()?;
    /// for (second, what) in [(600, "ping"), (0, "page"), (1200, "ping"), (1800, "ping")] {
    ///     let _ = visits.push(Event::new("ann", at(second), what), &mut |_| {});
    /// }
    /// visits.advance_to(at(1800), &mut |visit| assert_eq!((visit.count, visit.window.end), (3, at(1800))));
    /// let orphans: Vec<_> = visits.take_orphans().into_iter().map(|event| event.event_time).collect();
    /// assert_eq!(orphans, [at(1800)]);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn join_only(
        mut self,
        name: &str,
        rule: impl for<'e> Fn(&EventRef<'e, K, V>) -> JoinOnly + Send + Sync + 'static,
    ) -> Self {
        self.join_only = Some((name.to_owned(), Arc::new(rule)));
        self
    }

    /// Takes each event once for a session: `rule` gives the number that tells an event from others, and an
    /// event whose session holds that number already is handed back, with
    /// [`Refusal::Duplicate`](crate::Refusal::Duplicate), and counted as
    /// [`duplicates`](crate::Counters::duplicates). Without this setting every copy counts.
    ///
    /// The number is compared as it is: give an integer or a UUID itself, and the
    /// [`fingerprint`](crate::fingerprint) of text or of several fields. A number is remembered for as long as
    /// its session is there (with an allowed lateness, until no correction can come): a copy that comes after
    /// that opens a session as any event does.
    ///
    /// | sessions | which of several copies stays |
    /// |---|---|
    /// | of a gap | the first in order of time, within one time the first to arrive; whatever the order of arrival within the bound. So sessions are built in order of time, as with a [`cut`](Self::cut): events ahead of the watermark wait, and [`take_duplicates`](crate::Engine::take_duplicates) gives the copies that waited. A copy is known before cuts and [`join_only`](Self::join_only) are asked |
    /// | in buckets and on the arrival clock | the first to arrive: the number of events is the same in any order, but where copies differ in time or value, so may first and last |
    /// | in sliding windows | likewise in each window; a copy is handed back if all its windows hold one |
    ///
    /// `name` identifies the rule: a snapshot is only restored under the same name, and holds the numbers.
    /// O(1) expected for each event. Memory: 19 to 39 bytes for each event of an open session (a hash table of
    /// numbers of 16 bytes), and about 250 for each session.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Bucket, Config, Event, Stagger, Timestamp, fingerprint};
    ///
    /// let minute = Stagger::on_event_time(Bucket::step(Duration::from_secs(60)));
    /// let mut orders = Config::<String, String>::new(minute)
    ///     .unique_by("order number", |event| fingerprint(event.value))
    ///     .build()?;
    /// let mut twice = Vec::new();
    /// for (second, order) in [(1, "order 7"), (2, "order 8"), (1, "order 7"), (70, "order 7")] {
    ///     let pushed = orders.push(Event::new("ann", Timestamp::from_secs(second), order), &mut |_| {});
    ///     twice.extend(pushed.returned().map(|event| event.value));
    /// }
    /// assert_eq!((twice, orders.counters().duplicates), (vec!["order 7"], 1));
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    #[must_use]
    pub fn unique_by(
        mut self,
        name: &str,
        rule: impl for<'e> Fn(&EventRef<'e, K, V>) -> u128 + Send + Sync + 'static,
    ) -> Self {
        self.unique = Some((name.to_owned(), Arc::new(rule)));
        self
    }

    /// Checks the settings and makes an empty sessionizer.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot work and what to change.
    pub fn build(self) -> Result<Engine<K, V, A>, ConfigError> {
        let settings = self.settings();
        let unique = self.unique.map(|(_, rule)| rule);
        let rules = Rules {
            gap: self.gap_of.map(|(_, rule)| rule),
            cut: self.cut.map(|(_, rule)| rule),
            cut_with: self.cut_with.map(|(_, rule)| rule),
            end_at: self.end_at.map(|(_, rule)| rule),
            join_only: self.join_only.map(|(_, rule)| rule),
            unique: unique.clone(),
        };
        let plan = Plan::new(&self.strategy, rules)?;
        let out_of_order = self.out_of_order.map(|bound| length("out-of-order bound", bound)).transpose()?;
        let max_future = self.max_future.map(|ahead| length("bound on the future", ahead)).transpose()?;
        let options = Options {
            lateness: length("allowed lateness", self.allowed_lateness)?,
            first_last: self.first_last,
            max_open: self.max_open,
            when_full: self.when_full,
            max_emits: self.max_emits,
            is_unique: unique.is_some(),
            updates: UpdateRule {
                every: self.update_every.map(|every| positive("time between updates", every)).transpose()?,
                events: self.update_every_events.unwrap_or(u64::MAX),
            },
        };
        check(&plan.shape(), &options, out_of_order)?;
        let clock = EngineClock::new(plan.clock_source(out_of_order), max_future);
        Ok(Engine::new(plan, clock, options, self.aggregate, settings, unique))
    }

    /// Refuses what looks at all keys at once.
    #[cfg(feature = "std")]
    pub(crate) fn for_one_of_several(self) -> Result<Self, ConfigError> {
        let unless = |fine: bool, setting, instead| match fine {
            true => Ok(()),
            false => Err(ConfigError::NotForThisStrategy { setting, strategy: "shards", instead }),
        };
        let instead = "each shard knows its own keys only, so leave it out or use one `Engine`";
        unless(self.max_open == MAX_SESSIONS, "max_open_sessions", instead)?;
        unless(self.max_emits == usize::MAX, "close_at_most", instead)?;
        Ok(self)
    }

    /// The settings that a snapshot is only restored under, as names and values.
    fn settings(&self) -> Vec<(String, String)> {
        let mut all = self.strategy.settings();
        // Later settings are only named where they are used: earlier snapshots stay valid.
        let later = [
            ("cut_with", name_of(&self.cut_with)),
            ("end_at", name_of(&self.end_at)),
            ("join_only", name_of(&self.join_only)),
            ("unique_by", name_of(&self.unique)),
            ("update_every", self.update_every.map(length_text)),
            ("update_every_events", self.update_every_events.map(|events| events.to_string())),
        ];
        all.extend(later.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let max_open = Some(self.max_open).filter(|max| *max != MAX_SESSIONS);
        all.extend([
            ("out_of_order", or_none(self.out_of_order, length_text)),
            ("max_future", or_none(self.max_future, length_text)),
            ("allowed_lateness", length_text(self.allowed_lateness)),
            ("first_last_by", format!("{:?}", self.first_last)),
            ("max_open_sessions", or_none(max_open, |max| max.to_string())),
            ("when_full", format!("{:?}", self.when_full)),
            ("gap_per_event", or_none(name_of(&self.gap_of), |name| name)),
            ("cut", or_none(name_of(&self.cut), |name| name)),
        ]);
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The name of a rule, if it is set.
fn name_of<R>(rule: &Option<Named<R>>) -> Option<String> {
    rule.as_ref().map(|(name, _)| name.clone())
}

/// Refuses settings that have no meaning together.
fn check(shape: &Shape, options: &Options, out_of_order: Option<i64>) -> Result<(), ConfigError> {
    let unless = |fine: bool, setting, instead| match fine {
        true => Ok(()),
        false => Err(ConfigError::NotForThisStrategy { setting, strategy: shape.name, instead }),
    };
    let instead = "its windows follow the arrival clock, so leave it out";
    unless(!shape.is_on_arrival || out_of_order.is_none(), "out_of_order", instead)?;
    let instead = "nothing is late there; see `Stagger::remember_parts`";
    unless(!shape.is_on_arrival || options.lateness == 0, "allowed_lateness", instead)?;
    if options.max_open == 0 {
        return Err(ConfigError::NoRoom);
    }
    let (most, per_event) = (options.max_open, shape.max_per_event);
    if (most as u64) < per_event {
        return Err(ConfigError::TooFewSessions { most, per_event });
    }
    Ok(())
}

impl<K: Key, V: Value, A: Aggregate<K, V> + Clone> Clone for Config<K, V, A> {
    /// Rules are shared, not copied.
    fn clone(&self) -> Self {
        Self {
            strategy: self.strategy.clone(),
            aggregate: self.aggregate.clone(),
            gap_of: self.gap_of.clone(),
            cut: self.cut.clone(),
            cut_with: self.cut_with.clone(),
            end_at: self.end_at.clone(),
            join_only: self.join_only.clone(),
            unique: self.unique.clone(),
            ..*self
        }
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> fmt::Debug for Config<K, V, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.settings()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::calendar::Unit;
    use crate::strategy::{Bucket, Gap, Sliding, Stagger};
    use crate::testing::{Settings, config, error_of, us};

    fn gap() -> Settings {
        config(Gap::new(us(10)))
    }

    fn by_arrival() -> Settings {
        config(Stagger::per_key(us(10)))
    }

    #[test]
    fn settings_of_the_event_clock_are_refused_on_the_arrival_clock() {
        for (config, setting) in [
            (by_arrival().out_of_order(us(0)), "`out_of_order`"),
            (by_arrival().allowed_lateness(us(1)), "`allowed_lateness`"),
        ] {
            let error = error_of(config).to_string();
            assert!(error.starts_with(setting) && error.contains("stagger windows on the arrival clock"), "{error}");
        }
        assert!(by_arrival().allowed_lateness(us(0)).max_future(us(0)).build().is_ok());
    }

    #[test]
    fn a_bound_of_one_session_is_the_least() {
        assert_eq!(error_of(gap().max_open_sessions(0, WhenFull::Refuse)), ConfigError::NoRoom);
        assert!(gap().max_open_sessions(1, WhenFull::Refuse).build().is_ok());
    }

    #[test]
    fn a_bound_of_as_many_sessions_as_one_event_may_open_is_the_least() {
        let bounded = |most| config(Sliding::new(us(12), us(5))).max_open_sessions(most, WhenFull::CloseOldest);
        assert_eq!(error_of(bounded(2)), ConfigError::TooFewSessions { most: 2, per_event: 3 });
        assert!(bounded(3).build().is_ok());
    }

    #[test]
    fn a_bound_beyond_what_the_tables_hold_is_none() {
        let settings = |config: Settings| config.build().expect("a configuration that works").settings().to_vec();
        assert_eq!(settings(gap().max_open_sessions(usize::MAX, WhenFull::Refuse)), settings(gap()));
        let says = |config, bound: &str| settings(config).contains(&("max_open_sessions".into(), bound.into()));
        assert!(says(gap(), "none") && says(gap().max_open_sessions(3, WhenFull::Refuse), "3"));
    }

    #[test]
    fn zero_sessions_a_call_count_as_one() {
        assert_eq!(gap().close_at_most(0).max_emits, 1);
    }

    #[test]
    fn lengths_are_whole_microseconds() {
        let uneven = Duration::from_nanos(1);
        for (config, name) in [
            (gap().out_of_order(uneven), "out-of-order bound"),
            (gap().max_future(uneven), "bound on the future"),
            (gap().allowed_lateness(uneven), "allowed lateness"),
            (config(Gap::new(uneven)), "gap"),
        ] {
            assert_eq!(error_of(config), ConfigError::Fraction { setting: name, length: uneven });
        }
    }

    #[test]
    fn every_setting_that_decides_about_output_is_told_apart() {
        let base = |change: fn(Settings) -> Settings| change(gap()).settings();
        let changes: [fn(Settings) -> Settings; 10] = [
            |c| c,
            |c| c.out_of_order(us(1)),
            |c| c.max_future(us(1)),
            |c| c.allowed_lateness(us(1)),
            |c| c.first_last_by(FirstLast::Arrival),
            |c| c.max_open_sessions(5, WhenFull::Refuse),
            |c| c.max_open_sessions(5, WhenFull::CloseOldest),
            |c| c.gap_per_event("own", |_| None),
            |c| c.cut("never", |_, _| false),
            |c| c.cut("always", |_, _| true),
        ];
        let strategies: [Settings; 10] = [
            config(Gap::new(us(11))),
            config(Gap::new(us(10)).inclusive()),
            config(Gap::new(us(10)).max_duration(us(20))),
            config(Gap::new(us(10)).cut_between(Bucket::floor(Unit::Day))),
            config(Stagger::on_event_time(Bucket::step(us(10)))),
            config(Stagger::on_arrival(Bucket::step(us(10)), us(10))),
            config(Stagger::per_key(us(10))),
            config(Stagger::per_key(us(10)).remember_parts(us(1))),
            config(Sliding::new(us(10), us(5))),
            config(Sliding::new(us(10), us(5)).origin(crate::testing::at(1))),
        ];
        let mut all: Vec<_> = changes.into_iter().map(base).chain(strategies.map(|c| c.settings())).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20);
        assert_eq!(gap().close_at_most(1).settings(), gap().settings(), "portions change nothing that is emitted");
    }
}
