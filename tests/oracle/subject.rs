//! The crate under test: built from a [`Spec`], fed with [`Op`]s, read back as [`Row`]s.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use stagger::{
    Aggregate, Bucket, CloseReason, Config, Counters, Engine, Event, EventRef, FirstLast, Gap, JoinOnly, OpenSession,
    Pushed, Refusal, SessionId, SessionSummary, Sessionizer, Sliding, Stagger, Superseded, Timestamp,
    aggregate::{Count, List, Max, Min, Set, Sum},
    calendar::{ChronoZone, FixedOffset},
};

use super::{
    Ev, Fate, GapSpec, Op, Reason, Rounding, Row, Spec, Strategy, Tally, Unit, WhenFull, Zone, cuts, cuts_with,
};

/// The kept form of a key, and of an event: its id and kind.
pub(crate) type Key = String;
pub(crate) type Value = (u32, u8);

type Id = for<'e> fn(&EventRef<'e, Key, Value>) -> u32;
type Time = for<'e> fn(&EventRef<'e, Key, Value>) -> i64;

/// Every aggregate that comes with the crate.
pub(crate) type All = (List<Id, u32>, Count, Sum<Time, i64>, Min<Id, u32>, Max<Id, u32>, Set<Id, u32>);
pub(crate) type Output = (Vec<u32>, u64, i128, u32, u32, BTreeSet<u32>);
pub(crate) type Subject = Engine<Key, Value, All>;
pub(crate) type View<'e> = OpenSession<'e, Key, Value, <All as Aggregate<Key, Value>>::State>;
pub(crate) type Summary = SessionSummary<Key, Value, Output>;

pub(crate) fn aggregates() -> All {
    let id: Id = |event| event.value.0;
    let time: Time = |event| event.event_time.as_micros();
    (List::of(id), Count, Sum::of(time), Min::of(id), Max::of(id), Set::of(id))
}

// --- Configuration ---

pub(crate) fn config(spec: &Spec) -> Config<Key, Value, All> {
    let mut config = match &spec.strategy {
        Strategy::Bucketed(rounding) => Config::new(Stagger::on_event_time(bucket(*rounding))),
        Strategy::Arrival { rounding, range, remember } => {
            let stagger = match rounding {
                Some(rounding) => Stagger::on_arrival(bucket(*rounding), length(*range)),
                None => Stagger::per_key(length(*range)),
            };
            Config::new(match remember {
                Some(remember) => stagger.remember_parts(length(*remember)),
                None => stagger,
            })
        }
        Strategy::Gap(gap) => gaps(gap),
        Strategy::Sliding { size, slide, origin } => {
            Config::new(Sliding::new(length(*size), length(*slide)).origin(Timestamp::from_micros(*origin)))
        }
    };
    if let Some(bound) = spec.out_of_order {
        config = config.out_of_order(length(bound));
    }
    if let Some(ahead) = spec.max_future {
        config = config.max_future(length(ahead));
    }
    if let Some((most, when_full)) = spec.most {
        config = config.max_open_sessions(
            most,
            match when_full {
                WhenFull::Refuse => stagger::WhenFull::Refuse,
                WhenFull::CloseOldest => stagger::WhenFull::CloseOldest,
            },
        );
    }
    if let Some(every) = spec.updates.every {
        config = config.update_every(length(every));
    }
    if let Some(events) = spec.updates.events {
        config = config.update_every_events(events as u64);
    }
    if let Some(unique) = spec.unique {
        config = config.unique_by("ids", move |event| (event.value.0 % unique).into());
    }
    if spec.first_last_by_arrival {
        config = config.first_last_by(FirstLast::Arrival);
    }
    let config = config.allowed_lateness(length(spec.lateness)).aggregate(aggregates());
    match &spec.strategy {
        Strategy::Gap(GapSpec { cut_with: true, .. }) => config.cut_with("by session", |session, previous, next| {
            let (.., least, _, _) = session.state();
            let so_far = (session.first_time().as_micros(), session.count() as usize, *least);
            cuts_with(so_far, previous.value.1, (next.time.as_micros(), next.value.1))
        }),
        _ => config,
    }
}

fn gaps(spec: &GapSpec) -> Config<Key, Value> {
    let mut gap = Gap::new(length(spec.gap));
    if spec.inclusive {
        gap = gap.inclusive();
    }
    if let Some(max) = spec.max {
        gap = gap.max_duration(length(max));
    }
    if let Some(rounding) = spec.cut_between {
        gap = gap.cut_between(bucket(rounding));
    }
    if let Some(max) = spec.max_events {
        gap = gap.max_events(max as u64);
    }
    let mut config = Config::<Key, Value>::new(gap);
    if let Some(per_kind) = spec.per_kind {
        config = config.gap_per_event("per kind", move |event| per_kind[usize::from(event.value.1)].map(length));
    }
    if let Some(kind) = spec.end_kind {
        config = config.end_at("one kind", move |event| event.value.1 == kind);
    }
    if let Some((pings, prolongs)) = spec.pings {
        let joins = if prolongs { JoinOnly::Prolongs } else { JoinOnly::DoesNotProlong };
        config = config.join_only("pings", move |event| if event.value.1 == pings { joins } else { JoinOnly::No });
    }
    if spec.cut_rule {
        config = config.cut("by kind", |previous, next| {
            cuts((previous.time.as_micros(), previous.value.1), (next.time.as_micros(), next.value.1))
        });
    }
    config
}

fn length(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).expect("no length is negative"))
}

pub(crate) fn bucket(rounding: Rounding) -> Bucket {
    match rounding {
        Rounding::Step { width, origin } => Bucket::step(length(width)).origin(Timestamp::from_micros(origin)),
        Rounding::Floor { unit, zone } => {
            let bucket = Bucket::floor(match unit {
                Unit::Second => stagger::Unit::Second,
                Unit::Minute => stagger::Unit::Minute,
                Unit::Hour => stagger::Unit::Hour,
                Unit::Day => stagger::Unit::Day,
                Unit::Week => stagger::Unit::Week,
                Unit::Month => stagger::Unit::Month,
                Unit::Quarter => stagger::Unit::Quarter,
                Unit::Year => stagger::Unit::Year,
            });
            match zone {
                Zone::Utc => bucket,
                Zone::Fixed(seconds) => bucket.zone(FixedOffset::east(seconds)),
                Zone::Named(zone) => bucket.zone(ChronoZone(zone)),
            }
        }
    }
}

pub(crate) fn build(spec: &Spec) -> Subject {
    config(spec).build().unwrap_or_else(|e| panic!("{e}: {spec:?}"))
}

// --- Input ---

/// One is empty, and each has another length.
pub(crate) const NAMES: [&str; super::KEYS as usize] = ["", "b", "cc"];

pub(crate) fn lend(event: &Ev) -> EventRef<'static, Key, Value> {
    Event::new(NAMES[usize::from(event.key)], Timestamp::from_micros(event.time), (event.id, event.kind))
        .arriving_at(Timestamp::from_micros(event.arrival))
}

/// Calls an engine for one step. The fate is that of the event.
pub(crate) fn call(
    engine: &mut dyn Sessionizer<Key = Key, Value = Value, Output = Output>,
    op: &Op,
    out: &mut dyn FnMut(Summary),
) -> Option<Fate> {
    match op {
        Op::Push(event) => return Some(fate(event, engine.push(lend(event), out))),
        Op::Advance(time) => engine.advance_to(Timestamp::from_micros(*time), out),
        Op::Flush => engine.flush(out),
    }
    None
}

/// Takes one step. The summaries are those of this step.
pub(crate) fn step(engine: &mut dyn Sessionizer<Key = Key, Value = Value, Output = Output>, op: &Op) -> Step {
    let mut summaries = Vec::new();
    let fate = call(engine, op, &mut |summary| summaries.push(summary));
    // Some wait: they stay in a snapshot.
    let waits = matches!(op, Op::Push(event) if event.id % 3 == 0);
    let orphans = if waits { Vec::new() } else { engine.take_orphans() };
    let copies = if waits { Vec::new() } else { engine.take_duplicates() };
    Step {
        fate,
        orphans: orphans.into_iter().map(|event| event.value.0).collect(),
        copies: copies.into_iter().map(|event| event.value.0).collect(),
        summaries,
        now: engine.now().as_micros(),
        open: engine.open_sessions(),
        tally: tally(engine.counters()),
    }
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) fate: Option<Fate>,
    /// Events that waited and found no session.
    pub(crate) orphans: Vec<u32>,
    /// Events that waited and were in their session already.
    pub(crate) copies: Vec<u32>,
    pub(crate) summaries: Vec<Summary>,
    pub(crate) now: i64,
    pub(crate) open: usize,
    pub(crate) tally: Tally,
}

/// What became of an event. One that is handed back must be the one that was pushed.
pub(crate) fn fate(event: &Ev, pushed: Pushed<EventRef<'_, Key, Value>>) -> Fate {
    if let Some(returned) = pushed.returned() {
        assert_eq!(returned, lend(event));
    }
    match pushed {
        Pushed::Opened => Fate::Opened,
        Pushed::Extended => Fate::Extended,
        Pushed::Merged => Fate::Merged,
        Pushed::Held => Fate::Held,
        Pushed::Late(_) => Fate::Late,
        Pushed::Refused(_, Refusal::Future) => Fate::Future,
        Pushed::Refused(_, Refusal::Full) => Fate::Full,
        Pushed::Refused(_, Refusal::BetweenWindows) => Fate::Between,
        Pushed::Refused(_, Refusal::NoSession) => Fate::Orphan,
        Pushed::Refused(_, Refusal::Duplicate) => Fate::Duplicate,
        Pushed::Refused(_, other) => panic!("an unknown refusal: {other}"),
    }
}

pub(crate) fn tally(counters: Counters) -> Tally {
    Tally {
        pushed: counters.pushed,
        late: counters.late,
        refused_future: counters.refused_future,
        refused_full: counters.refused_full,
        between_windows: counters.between_windows,
        orphaned: counters.orphaned,
        held: counters.held,
        placed: counters.placed,
        extra_windows: counters.extra_windows,
        late_windows: counters.late_windows,
        reported: counters.reported,
        opened: counters.opened,
        merged: counters.merged,
        closed: counters.closed,
        revisions: counters.revisions,
        updates: counters.updates,
        duplicates: counters.duplicates,
    }
}

// --- Output ---

/// An open session as the row that it would be if it were flushed now.
pub(crate) fn row_of(view: &View<'_>) -> Row {
    let (members, ..) = Aggregate::<Key, Value>::finish(&aggregates(), view.state().clone());
    assert_eq!(view.count(), members.len() as u64, "{view:?}");
    Row {
        key: NAMES.iter().position(|name| name == view.key()).expect("a key that was pushed") as u8,
        start: view.window().start.as_micros(),
        end: view.window().end.as_micros(),
        bucket: view.bucket().map(Timestamp::as_micros),
        part: view.part(),
        first_time: view.first_time().as_micros(),
        last_time: view.last_time().as_micros(),
        first: view.first_event().0,
        last: view.last_event().0,
        reason: Reason::Flush,
        members,
        replaces: Vec::new(),
    }
}

/// Turns summaries into rows. Remembers them all: every summary must differ from all others by id
/// and revision, and a revision must name earlier ones.
#[derive(Default)]
pub(crate) struct Reader {
    members: HashMap<(SessionId, u32), Vec<u32>>,
    updates: HashSet<(SessionId, u32)>,
    replaced: HashSet<(SessionId, u32)>,
}

impl Reader {
    pub(crate) fn rows(&mut self, summaries: &[Summary]) -> Vec<Row> {
        summaries.iter().map(|summary| self.row(summary)).collect()
    }

    pub(crate) fn row(&mut self, summary: &Summary) -> Row {
        let (members, count, _, least, greatest, set) = &summary.aggregate;
        let as_set: BTreeSet<u32> = members.iter().copied().collect();
        assert_eq!(summary.count, members.len() as u64, "{summary:?}");
        assert_eq!(summary.count, *count, "{summary:?}");
        assert_eq!(&as_set, set, "{summary:?}");
        assert_eq!((as_set.first(), as_set.last()), (Some(least), Some(greatest)), "{summary:?}");
        assert_eq!(as_set.len(), members.len(), "no event is in one session twice: {summary:?}");
        let elapsed = i128::from(summary.last_time.as_micros()) - i128::from(summary.first_time.as_micros());
        assert_eq!(summary.duration().as_micros() as i128, elapsed, "{summary:?}");
        let revision = summary.revision();
        let mut replaces: Vec<Vec<u32>> = Vec::new();
        for earlier in summary.supersedes() {
            let found = self.members.get(&(earlier.id, earlier.revision));
            replaces.push(found.unwrap_or_else(|| panic!("replaces what never was: {summary:?}")).clone());
            self.replaced.insert((earlier.id, earlier.revision));
        }
        replaces.sort();
        // The id of an update is provisional.
        let is_own = |s: &Superseded| s.id == summary.id() || self.updates.contains(&(s.id, s.revision));
        let goes_on = summary.supersedes().iter().any(|s| is_own(s) && s.revision + 1 == revision);
        assert_eq!(revision > 0, goes_on, "a revision continues its own session: {summary:?}");
        let name = (summary.id(), revision);
        let twin = self.members.insert(name, members.clone());
        // A session that was updated and then closed to make room may begin again at the same instant.
        let is_free = self.updates.remove(&name) && self.replaced.remove(&name);
        assert!(twin.is_none() || is_free, "two summaries with one id: {summary:?}, {twin:?}");
        if summary.is_update() {
            self.updates.insert(name);
        }
        Row {
            key: NAMES.iter().position(|name| *name == summary.key).expect("a key that was pushed") as u8,
            start: summary.window.start.as_micros(),
            end: summary.window.end.as_micros(),
            bucket: summary.bucket.map(Timestamp::as_micros),
            part: summary.part,
            first_time: summary.first_time.as_micros(),
            last_time: summary.last_time.as_micros(),
            first: summary.first_event.0,
            last: summary.last_event.0,
            reason: reason(summary.reason),
            members: members.clone(),
            replaces,
        }
    }
}

fn reason(reason: CloseReason) -> Reason {
    match reason {
        CloseReason::Gap => Reason::Gap,
        CloseReason::Range => Reason::Range,
        CloseReason::Watermark => Reason::Watermark,
        CloseReason::MaxDuration => Reason::MaxDuration,
        CloseReason::Cut => Reason::Cut,
        CloseReason::CutWith => Reason::CutWith,
        CloseReason::CutBetween => Reason::CutBetween,
        CloseReason::MaxEvents => Reason::MaxEvents,
        CloseReason::EndEvent => Reason::EndEvent,
        CloseReason::Flush => Reason::Flush,
        CloseReason::Evicted => Reason::Evicted,
        CloseReason::Update => Reason::Update,
        other => panic!("an unknown reason: {other}"),
    }
}
