//! A second opinion: the expected sessions, computed as plainly as possible.
//!
//! [`batch`] sorts the events and groups them in one loop. [`stream`] is a simulation that keeps
//! every event in plain vectors and works everything out anew at each step. Both were written from
//! the rules, not from the engine, and use nothing of the crate: times are `i64` microseconds,
//! sums are `i128`, and results saturate only where they are reported. [`subject`] alone names the
//! crate, to run it beside them.
#![allow(dead_code)] // each test file uses a part

pub(crate) mod batch;
pub(crate) mod calendar;
pub(crate) mod generate;
pub(crate) mod stream;
pub(crate) mod subject;

/// An event. `id` tells it from all others of a stream, `kind` is what rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ev {
    pub(crate) id: u32,
    pub(crate) key: u8,
    pub(crate) kind: u8,
    pub(crate) time: i64,
    pub(crate) arrival: i64,
}

/// How many keys and kinds there are.
pub(crate) const KEYS: u8 = 3;
pub(crate) const KINDS: u8 = 6;

/// An event and its place in the order of arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) arrived: usize,
    pub(crate) event: Ev,
}

/// A configuration, lengths in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) strategy: Strategy,
    pub(crate) out_of_order: Option<i64>,
    pub(crate) max_future: Option<i64>,
    pub(crate) lateness: i64,
    pub(crate) first_last_by_arrival: bool,
    pub(crate) most: Option<(usize, WhenFull)>,
    pub(crate) updates: Updates,
    /// Events whose ids are the same modulo this are copies of one.
    pub(crate) unique: Option<u32>,
}

/// When sessions are emitted that are open: at every so many microseconds of the clock, and after so many events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Updates {
    pub(crate) every: Option<i64>,
    pub(crate) events: Option<usize>,
}

impl Updates {
    /// Whether the clock moves into another stretch.
    pub(crate) fn is_due(&self, before: i64, now: i64) -> bool {
        self.every.is_some_and(|every| before.div_euclid(every) < now.div_euclid(every))
    }

    /// Whether so many events that are new are enough.
    pub(crate) fn are_enough(&self, fresh: usize) -> bool {
        self.events.is_some_and(|events| fresh >= events)
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Strategy {
    Bucketed(Rounding),
    Arrival { rounding: Option<Rounding>, range: i64, remember: Option<i64> },
    Gap(GapSpec),
    Sliding { size: i64, slide: i64, origin: i64 },
}

#[derive(Clone, Debug)]
pub(crate) struct GapSpec {
    pub(crate) gap: i64,
    pub(crate) inclusive: bool,
    /// The gap after an event of each kind, where it is not the default one.
    pub(crate) per_kind: Option<[Option<i64>; KINDS as usize]>,
    pub(crate) max: Option<i64>,
    pub(crate) cut_between: Option<Rounding>,
    /// Whether [`cuts`] is the cut rule.
    pub(crate) cut_rule: bool,
    /// Whether [`cuts_with`] is the rule that knows its session.
    pub(crate) cut_with: bool,
    pub(crate) max_events: Option<usize>,
    /// The kind of event that ends a session.
    pub(crate) end_kind: Option<u8>,
    /// The kind of event that never opens a session, and whether it prolongs one.
    pub(crate) pings: Option<(u8, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    Step { width: i64, origin: i64 },
    Floor { unit: Unit, zone: Zone },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Utc,
    /// Seconds east of Greenwich.
    Fixed(i32),
    Named(chrono_tz::Tz),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Refuse,
    CloseOldest,
}

/// One step of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Push(Ev),
    Advance(i64),
    Flush,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Opened,
    Extended,
    Merged,
    Held,
    Late,
    Future,
    Full,
    Between,
    Orphan,
    Duplicate,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    Gap,
    Range,
    Watermark,
    MaxDuration,
    Cut,
    CutWith,
    CutBetween,
    MaxEvents,
    EndEvent,
    Flush,
    Evicted,
    Update,
}

/// A summary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) key: u8,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) bucket: Option<i64>,
    pub(crate) part: u32,
    pub(crate) first_time: i64,
    pub(crate) last_time: i64,
    /// Ids of the events that are reported as first and last.
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) reason: Reason,
    /// Ids of all events, by time, then by arrival.
    pub(crate) members: Vec<u32>,
    /// The members of each earlier summary that this one replaces.
    pub(crate) replaces: Vec<Vec<u32>>,
}

/// Counts since the beginning, as the crate's `Counters` defines them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) pushed: u64,
    pub(crate) late: u64,
    pub(crate) refused_future: u64,
    pub(crate) refused_full: u64,
    pub(crate) between_windows: u64,
    pub(crate) orphaned: u64,
    pub(crate) held: u64,
    pub(crate) placed: u64,
    pub(crate) extra_windows: u64,
    pub(crate) late_windows: u64,
    pub(crate) reported: u64,
    pub(crate) opened: u64,
    pub(crate) merged: u64,
    pub(crate) closed: u64,
    pub(crate) revisions: u64,
    pub(crate) updates: u64,
    pub(crate) duplicates: u64,
}

/// The furthest that an event moves a clock. At `i64::MAX` the stream is over: only the caller says so.
pub(crate) const LAST: i64 = i64::MAX - 1;

/// The nearest instant that an `i64` can hold.
pub(crate) fn clamp(instant: i128) -> i64 {
    instant.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Whether a window with this `end` is over for an event at `time`. An end of `i64::MAX` means never.
pub(crate) fn is_over(end: i64, time: i64) -> bool {
    time >= end && end != i64::MAX
}

/// Whether an event claims to be from too far in the future.
pub(crate) fn is_future(spec: &Spec, event: &Ev) -> bool {
    spec.max_future.is_some_and(|ahead| i128::from(event.time) - i128::from(event.arrival) > ahead.into())
}

/// Whether an event is a copy of one of these.
pub(crate) fn is_copy(spec: &Spec, event: &Ev, members: &[Seen]) -> bool {
    spec.unique.is_some_and(|unique| members.iter().any(|m| m.event.id % unique == event.id % unique))
}

/// The cut rule of [`GapSpec::cut_rule`]: on the event after the cut, on the event before it, on both,
/// and on the distance.
pub(crate) fn cuts(previous: (i64, u8), next: (i64, u8)) -> bool {
    let distance = i128::from(next.0) - i128::from(previous.0);
    previous.1 == 5 || next.1 == 4 || (previous.1 == 3 && next.1 == 2) || distance == 2
}

/// The rule of [`GapSpec::cut_with`]: on how a session began, how many events it has and which is the
/// least of them, on its latest event and on the next.
pub(crate) fn cuts_with(session: (i64, usize, u32), previous: u8, next: (i64, u8)) -> bool {
    let (first, count, least) = session;
    let since = i128::from(next.0) - i128::from(first);
    (count >= 3 && next.1 == 1) || since == 7 || (next.1 == 0 && least % 4 == 1) || (count == 2 && previous == 2)
}

impl GapSpec {
    /// Whether an event may only join a session.
    pub(crate) fn is_ping(&self, event: &Ev) -> bool {
        self.pings.is_some_and(|(kind, _)| kind == event.kind)
    }

    /// Whether only the order of time can tell where sessions end.
    pub(crate) fn needs_order(&self) -> bool {
        self.max.is_some()
            || self.cut_between.is_some()
            || self.cut_rule
            || self.cut_with
            || self.max_events.is_some()
            || self.end_kind.is_some()
            || self.pings.is_some()
    }

    /// The gap after one event; none at all counts as a microsecond.
    pub(crate) fn gap_after(&self, event: &Ev) -> i64 {
        let own = self.per_kind.and_then(|gaps| gaps[usize::from(event.kind)]);
        own.unwrap_or(self.gap).max(1)
    }

    /// `last + gap`, where a shorter later gap does not shrink the session.
    fn silent_from(&self, members: &[Seen]) -> i128 {
        let prolongs = |m: &&Seen| self.pings != Some((m.event.kind, false));
        let ends =
            members.iter().filter(prolongs).map(|m| i128::from(m.event.time) + i128::from(self.gap_after(&m.event)));
        ends.max().expect("a session has an event")
    }

    /// The first instant at which no event joins any more: the same, or a microsecond later where
    /// the edge belongs to the session.
    pub(crate) fn reach(&self, members: &[Seen]) -> i64 {
        clamp(self.silent_from(members) + i128::from(self.inclusive))
    }

    /// The end that is reported: none, if every later event joins.
    pub(crate) fn end(&self, members: &[Seen]) -> i64 {
        // The window holds its last event, if it prolonged nothing at an inclusive edge.
        let last = members.iter().map(|m| i128::from(m.event.time)).max().expect("a session has an event");
        if self.reach(members) == i64::MAX { i64::MAX } else { clamp(self.silent_from(members).max(last + 1)) }
    }
}

/// The windows `[k·slide, k·slide + size)` from `origin` that hold `time`, bounds not saturated.
pub(crate) fn sliding_windows(size: i64, slide: i64, origin: i64, time: i64) -> Vec<(i128, i128)> {
    let (size, slide, time) = (i128::from(size), i128::from(slide), i128::from(time));
    let mut windows = Vec::new();
    // The latest start at or before the event, and then back for as long as the windows hold it.
    let mut start = time - (time - i128::from(origin)).rem_euclid(slide);
    // With a slide of one microsecond, no window begins before time does.
    while time < start + size && (slide > 1 || start >= i64::MIN.into()) {
        windows.push((start, start + size));
        start -= slide;
    }
    windows.reverse();
    windows
}

/// The summary of a group of events.
pub(crate) fn row(
    spec: &Spec,
    members: &[Seen],
    (start, end): (i64, i64),
    bucket: Option<i64>,
    part: u32,
    reason: Reason,
) -> Row {
    let mut by_time = members.to_vec();
    by_time.sort_by_key(|m| (m.event.time, m.arrived));
    let mut told_by = by_time.clone();
    if spec.first_last_by_arrival {
        told_by.sort_by_key(|m| m.arrived);
    }
    Row {
        key: by_time[0].event.key,
        start,
        end,
        bucket,
        part,
        first_time: by_time[0].event.time,
        last_time: by_time[by_time.len() - 1].event.time,
        first: told_by[0].event.id,
        last: told_by[told_by.len() - 1].event.id,
        reason,
        members: by_time.iter().map(|m| m.event.id).collect(),
        replaces: Vec::new(),
    }
}
