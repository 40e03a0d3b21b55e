//! The sessions of a finished stream on the event clock: sort, then group in one loop.

use std::collections::BTreeMap;

use super::{
    Ev, GapSpec, Reason, Rounding, Row, Seen, Spec, Strategy, calendar, clamp, cuts, cuts_with, is_copy, is_future,
    is_over,
};
use super::{row, sliding_windows};

/// A session, and what its place in the output depends on.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The watermark that closes it.
    pub(crate) deadline: i64,
    /// Arrival of the earliest arrived of its events.
    pub(crate) opened: usize,
    /// The event that cuts it.
    pub(crate) cut_by: Option<u32>,
    /// Why it ends, if the watermark gets that far.
    pub(crate) row: Row,
}

/// The sessions of `arrivals` (in order of arrival), in order of output.
pub(crate) fn sessions(spec: &Spec, arrivals: &[Ev]) -> Vec<Session> {
    let mut events: Vec<Seen> = Vec::new();
    for (arrived, event) in arrivals.iter().enumerate() {
        if !is_future(spec, event) {
            events.push(Seen { arrived, event: *event });
        }
    }
    events.sort_by_key(|seen| (seen.event.time, seen.arrived));
    let mut sessions = match &spec.strategy {
        Strategy::Bucketed(rounding) => bucketed(spec, *rounding, &events),
        Strategy::Sliding { size, slide, origin } => sliding(spec, (*size, *slide, *origin), &events),
        Strategy::Gap(gap) => by_key(&events).values().flat_map(|events| gaps(spec, gap, events).0).collect(),
        Strategy::Arrival { .. } => panic!("on the arrival clock the order of arrival decides: simulate"),
    };
    sessions.sort_by_key(|s| (s.deadline, s.opened, s.row.start, s.row.end));
    sessions
}

/// The events that found no session to join, and the copies of others, in no particular order.
pub(crate) fn unplaced(spec: &Spec, arrivals: &[Ev]) -> (Vec<u32>, Vec<u32>) {
    let Strategy::Gap(gap) = &spec.strategy else { return (Vec::new(), copies(spec, arrivals)) };
    let seen = |(arrived, event): (usize, &Ev)| Seen { arrived, event: *event };
    let mut events: Vec<Seen> = arrivals.iter().enumerate().map(seen).collect();
    events.retain(|seen| !is_future(spec, &seen.event));
    events.sort_by_key(|seen| (seen.event.time, seen.arrived));
    let (mut orphans, mut copies) = (Vec::new(), Vec::new());
    for events in by_key(&events).values() {
        let (_, more_orphans, more_copies) = gaps(spec, gap, events);
        orphans.extend(more_orphans);
        copies.extend(more_copies);
    }
    (orphans, copies)
}

/// The events that no window took.
fn copies(spec: &Spec, arrivals: &[Ev]) -> Vec<u32> {
    let sessions = sessions(spec, arrivals);
    let is_there = |event: &Ev| sessions.iter().any(|session| session.row.members.contains(&event.id));
    let is_in_some = |event: &Ev| match spec.strategy {
        Strategy::Sliding { size, slide, origin } => !sliding_windows(size, slide, origin, event.time).is_empty(),
        _ => true,
    };
    let copies = arrivals.iter().filter(|event| !is_future(spec, event) && is_in_some(event) && !is_there(event));
    copies.map(|event| event.id).collect()
}

/// Of several copies, the one that arrived first.
fn first_copies(spec: &Spec, mut members: Vec<Seen>) -> Vec<Seen> {
    members.sort_by_key(|m| m.arrived);
    let mut kept = Vec::new();
    for member in members {
        if !is_copy(spec, &member.event, &kept) {
            kept.push(member);
        }
    }
    kept.sort_by_key(|m| (m.event.time, m.arrived));
    kept
}

/// The rows of the sessions as they come out when the watermark ends at `watermark` and what is
/// open then is flushed.
pub(crate) fn rows_at_the_end(sessions: Vec<Session>, watermark: i64) -> Vec<Row> {
    let flushed = |s: Session| if s.deadline <= watermark { s.row } else { Row { reason: Reason::Flush, ..s.row } };
    sessions.into_iter().map(flushed).collect()
}

fn by_key(events: &[Seen]) -> BTreeMap<u8, Vec<Seen>> {
    let mut keys: BTreeMap<u8, Vec<Seen>> = BTreeMap::new();
    for seen in events {
        keys.entry(seen.event.key).or_default().push(*seen);
    }
    keys
}

fn session(spec: &Spec, members: &[Seen], window: (i64, i64), bucket: Option<i64>, reason: Reason) -> Session {
    let opened = members.iter().map(|m| m.arrived).min().expect("a session has an event");
    Session { deadline: window.1, opened, cut_by: None, row: row(spec, members, window, bucket, 1, reason) }
}

fn bucketed(spec: &Spec, rounding: Rounding, events: &[Seen]) -> Vec<Session> {
    let mut groups: BTreeMap<(u8, (i64, i64)), Vec<Seen>> = BTreeMap::new();
    for seen in events {
        let window = calendar::bucket(rounding, seen.event.time);
        groups.entry((seen.event.key, window)).or_default().push(*seen);
    }
    let closed = |((_, window), members): ((u8, (i64, i64)), Vec<Seen>)| {
        session(spec, &first_copies(spec, members), window, Some(window.0), Reason::Watermark)
    };
    groups.into_iter().map(closed).collect()
}

fn sliding(spec: &Spec, (size, slide, origin): (i64, i64, i64), events: &[Seen]) -> Vec<Session> {
    let mut groups: BTreeMap<(u8, (i128, i128)), Vec<Seen>> = BTreeMap::new();
    for seen in events {
        for window in sliding_windows(size, slide, origin, seen.event.time) {
            groups.entry((seen.event.key, window)).or_default().push(*seen);
        }
    }
    let closed = |((_, (start, end)), members): ((u8, (i128, i128)), Vec<Seen>)| {
        let window = (clamp(start), clamp(end));
        session(spec, &first_copies(spec, members), window, Some(clamp(start)), Reason::Watermark)
    };
    groups.into_iter().map(closed).collect()
}

/// The sessions of one key, whose events are in order of time, the events without one, and copies.
fn gaps(spec: &Spec, gap: &GapSpec, events: &[Seen]) -> (Vec<Session>, Vec<u32>, Vec<u32>) {
    let (mut sessions, mut orphans, mut copies) = (Vec::<Session>::new(), Vec::new(), Vec::new());
    // The sessions that a rule has ended, which still cover the instant of their last event.
    let mut ended_here: Vec<(i64, Vec<Seen>)> = Vec::new();
    let mut members: Vec<Seen> = Vec::new();
    for next in events {
        let is_in_ended =
            |(end, ended): &(i64, Vec<Seen>)| !is_over(*end, next.event.time) && is_copy(spec, &next.event, ended);
        let is_in_open = !members.is_empty() && !is_silent_or_full(gap, &members, next);
        if ended_here.iter().any(is_in_ended) || (is_in_open && is_copy(spec, &next.event, &members)) {
            copies.push(next.event.id);
            continue;
        }
        let has_none = || is_silent_or_full(gap, &members, next) || cut_by(gap, &members, next).is_some();
        if gap.is_ping(&next.event) && (members.is_empty() || has_none()) {
            orphans.push(next.event.id);
            continue;
        }
        if !members.is_empty() {
            if is_silent_or_full(gap, &members, next) {
                sessions.push(run_out(spec, gap, &members));
                members.clear();
            } else if let Some(rule) = cut_by(gap, &members, next) {
                sessions.push(cut(spec, &members, next, rule));
                ended_here.push((sessions[sessions.len() - 1].deadline, std::mem::take(&mut members)));
            }
        }
        members.push(*next);
        let ends = gap.end_kind.is_some_and(|kind| next.event.kind == kind).then_some(Reason::EndEvent);
        let is_full = gap.max_events.is_some_and(|max| members.len() == max);
        if let Some(reason) = ends.or(is_full.then_some(Reason::MaxEvents)) {
            sessions.push(ended(spec, &members, reason));
            ended_here.push((sessions[sessions.len() - 1].deadline, std::mem::take(&mut members)));
        }
    }
    if !members.is_empty() {
        sessions.push(run_out(spec, gap, &members));
    }
    number_cuts_within_an_instant(&mut sessions);
    (sessions, orphans, copies)
}

fn number_cuts_within_an_instant(sessions: &mut [Session]) {
    for i in 1..sessions.len() {
        if sessions[i - 1].row.first_time == sessions[i].row.first_time {
            sessions[i].row.part = sessions[i - 1].row.part + 1;
        }
    }
}

/// The first instant at which the maximum duration ends a session.
fn limit(gap: &GapSpec, members: &[Seen]) -> i64 {
    gap.max.map_or(i64::MAX, |max| clamp(i128::from(members[0].event.time) + i128::from(max)))
}

fn is_silent_or_full(gap: &GapSpec, members: &[Seen], next: &Seen) -> bool {
    is_over(gap.reach(members), next.event.time) || is_over(limit(gap, members), next.event.time)
}

fn cut_by(gap: &GapSpec, members: &[Seen], next: &Seen) -> Option<Reason> {
    let previous = members[members.len() - 1].event;
    let next = next.event;
    let bucket_of = |rounding: Rounding, event: Ev| calendar::bucket(rounding, event.time);
    let new_bucket = gap.cut_between.is_some_and(|r| bucket_of(r, previous) != bucket_of(r, next));
    let least = members.iter().map(|m| m.event.id).min().expect("a session has an event");
    let session = (members[0].event.time, members.len(), least);
    match () {
        () if new_bucket => Some(Reason::CutBetween),
        () if gap.cut_rule && cuts((previous.time, previous.kind), (next.time, next.kind)) => Some(Reason::Cut),
        () if gap.cut_with && cuts_with(session, previous.kind, (next.time, next.kind)) => Some(Reason::CutWith),
        () => None,
    }
}

/// A session that ends by itself.
fn run_out(spec: &Spec, gap: &GapSpec, members: &[Seen]) -> Session {
    let (reach, limit) = (gap.reach(members), limit(gap, members));
    let (deadline, end, reason) =
        if limit < reach { (limit, limit, Reason::MaxDuration) } else { (reach, gap.end(members), Reason::Gap) };
    let window = (members[0].event.time, end);
    Session { deadline, ..session(spec, members, window, None, reason) }
}

/// A session that the next event ends. If both are at one instant, it still covers that instant.
fn cut(spec: &Spec, members: &[Seen], next: &Seen, rule: Reason) -> Session {
    let last = members[members.len() - 1].event.time;
    let end = clamp((i128::from(last) + 1).max(next.event.time.into()));
    let cut_by = Some(next.event.id);
    Session { cut_by, ..session(spec, members, (members[0].event.time, end), None, rule) }
}

/// A session that its last event ends.
fn ended(spec: &Spec, members: &[Seen], reason: Reason) -> Session {
    let last = members[members.len() - 1].event.time;
    session(spec, members, (members[0].event.time, clamp(i128::from(last) + 1)), None, reason)
}
