//! The stream as it comes, with late events, moving watermarks and all: a simulation that keeps
//! every event of every open session and works out bounds, order and summaries anew at each step.
//!
//! Not for gaps with a maximum duration or cuts, where a late event has no single right answer; as
//! long as nothing is late there, [`batch`](super::batch) over every beginning of the stream has
//! the expected sessions.

use super::{Ev, Fate, GapSpec, Op, Reason, Rounding, Row, Seen, Spec, Strategy, Tally, WhenFull};
use super::{LAST, calendar, clamp, is_copy, is_future, is_over, row, sliding_windows};

pub(crate) struct Simulation<'s> {
    spec: &'s Spec,
    now: i64,
    arrived: usize,
    open: Vec<Open>,
    /// On the arrival clock: the windows closed since the last flush.
    past: Vec<Past>,
    tally: Tally,
}

/// A session that is open, or kept for corrections.
#[derive(Clone)]
struct Open {
    members: Vec<Seen>,
    /// Where they do not follow from the members: the bounds.
    window: Option<(i128, i128)>,
    bucket: Option<i64>,
    part: u32,
    /// The members of the summaries that its next summary replaces.
    reported: Vec<Vec<u32>>,
    /// A final summary has been emitted.
    is_settled: bool,
    /// The latest summary was an update.
    is_updated: bool,
}

struct Past {
    key: u8,
    bucket: Option<i64>,
    part: u32,
    deadline: i64,
}

impl Open {
    fn new(seen: Seen, window: Option<(i128, i128)>, bucket: Option<i64>, part: u32) -> Self {
        let (is_settled, is_updated) = (false, false);
        Self { members: vec![seen], window, bucket, part, reported: Vec::new(), is_settled, is_updated }
    }

    fn key(&self) -> u8 {
        self.members[0].event.key
    }

    /// Arrival of the earliest arrived event.
    fn opened(&self) -> usize {
        self.members.iter().map(|m| m.arrived).min().expect("a session has an event")
    }

    fn first_time(&self) -> i64 {
        self.members.iter().map(|m| m.event.time).min().expect("a session has an event")
    }
}

impl<'s> Simulation<'s> {
    pub(crate) fn new(spec: &'s Spec) -> Self {
        Self { spec, now: i64::MIN, arrived: 0, open: Vec::new(), past: Vec::new(), tally: Tally::default() }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    pub(crate) fn open_sessions(&self) -> usize {
        self.open.len()
    }

    /// The sessions that a flush would emit now, in no particular order.
    pub(crate) fn look(&self) -> Vec<Row> {
        self.open.iter().map(|open| self.row_of(open, Reason::Flush)).collect()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// The first instant at which something comes out, if nothing more happens.
    pub(crate) fn next_output(&self) -> Option<i64> {
        self.open.iter().filter(|o| !self.is_final(o)).map(|o| self.deadline(o)).min()
    }

    pub(crate) fn step(&mut self, op: &Op) -> (Option<Fate>, Vec<Row>) {
        let mut rows = Vec::new();
        match op {
            Op::Push(event) => {
                let fate = self.push(*event, &mut rows);
                return (Some(fate), rows);
            }
            Op::Advance(time) => self.advance_to(*time, &mut rows),
            Op::Flush => self.flush(&mut rows),
        }
        (None, rows)
    }

    fn push(&mut self, event: Ev, rows: &mut Vec<Row>) -> Fate {
        self.tally.pushed += 1;
        let seen = Seen { arrived: self.arrived, event };
        self.arrived += 1;
        if is_future(self.spec, &event) {
            self.tally.refused_future += 1;
            return Fate::Future;
        }
        if matches!(self.spec.strategy, Strategy::Arrival { .. }) {
            self.advance_to(event.arrival.min(LAST), rows);
        } else if let Some(bound) = self.spec.out_of_order {
            self.advance_to(clamp(i128::from(event.time) - i128::from(bound)).min(LAST), rows);
        }
        let fate = match &self.spec.strategy {
            Strategy::Bucketed(rounding) => self.place_in_bucket(*rounding, seen, rows),
            Strategy::Arrival { rounding, range, .. } => self.place_on_arrival(*rounding, *range, seen, rows),
            Strategy::Gap(gap) => self.place_in_gap(gap, seen, rows),
            Strategy::Sliding { size, slide, origin } => {
                self.place_in_windows(sliding_windows(*size, *slide, *origin, event.time), seen, rows)
            }
        };
        match fate {
            Fate::Late => self.tally.late += 1,
            Fate::Full => self.tally.refused_full += 1,
            Fate::Between => self.tally.between_windows += 1,
            Fate::Duplicate => self.tally.duplicates += 1,
            _ => {}
        }
        self.hand_out_corrections(rows);
        let is_enough = |sim: &Self, open: &Open| {
            let known: usize = open.reported.iter().map(Vec::len).sum();
            let is_in = open.members.iter().any(|m| m.arrived == seen.arrived);
            is_in && sim.spec.updates.are_enough(open.members.len() - known)
        };
        self.update(is_enough, false, rows);
        fate
    }

    // --- Placing ---

    fn place_in_bucket(&mut self, rounding: Rounding, seen: Seen, rows: &mut Vec<Row>) -> Fate {
        let (start, end) = calendar::bucket(rounding, seen.event.time);
        let window = (i128::from(start), i128::from(end));
        if self.holds(seen, window) {
            return Fate::Duplicate;
        }
        if self.join(seen, window) {
            return Fate::Extended;
        }
        if self.is_lost(end) {
            return Fate::Late;
        }
        self.open_one(Open::new(seen, Some(window), Some(start), 1), rows)
    }

    fn place_on_arrival(&mut self, rounding: Option<Rounding>, range: i64, seen: Seen, rows: &mut Vec<Row>) -> Fate {
        let bucket = rounding.map(|rounding| calendar::bucket(rounding, seen.event.time).0);
        let is_here = |open: &&Open| open.key() == seen.event.key && open.bucket == bucket;
        if self.open.iter().filter(is_here).any(|open| is_copy(self.spec, &seen.event, &open.members)) {
            return Fate::Duplicate;
        }
        for open in &mut self.open {
            if open.key() == seen.event.key && open.bucket == bucket {
                open.members.push(seen);
                self.tally.placed += 1;
                return Fate::Extended;
            }
        }
        let now = i128::from(self.now);
        let mut open = Open::new(seen, Some((now, now + i128::from(range))), bucket, 1);
        if !self.has_room(1, rows) {
            return Fate::Full;
        }
        open.part = self.next_part(seen.event.key, bucket);
        self.open(open);
        Fate::Opened
    }

    fn place_in_gap(&mut self, gap: &GapSpec, seen: Seen, rows: &mut Vec<Row>) -> Fate {
        let (time, reach) = (seen.event.time, gap.reach(&[seen]));
        let touches = |open: &Open| {
            open.key() == seen.event.key
                && !is_over(gap.reach(&open.members), time)
                && !is_over(reach, open.first_time())
        };
        let (mut touched, others): (Vec<Open>, Vec<Open>) = self.open.drain(..).partition(touches);
        self.open = others;
        if touched.is_empty() {
            if self.is_lost(reach) {
                return Fate::Late;
            }
            return self.open_one(Open::new(seen, None, None, 1), rows);
        }
        touched.sort_by_key(Open::opened);
        let mut joined = touched.remove(0);
        let fate = if touched.is_empty() { Fate::Extended } else { Fate::Merged };
        for other in touched {
            joined.members.extend(other.members);
            joined.reported.extend(other.reported);
            joined.is_settled |= other.is_settled;
            self.tally.merged += 1;
        }
        joined.members.push(seen);
        self.tally.placed += 1;
        self.open.push(joined);
        fate
    }

    fn place_in_windows(&mut self, windows: Vec<(i128, i128)>, seen: Seen, rows: &mut Vec<Row>) -> Fate {
        if windows.is_empty() {
            return Fate::Between;
        }
        let is_open = |sim: &Self, window| sim.open.iter().any(|o| sim.is_of(o, seen.event.key, window));
        let (lost, live): (Vec<_>, Vec<_>) =
            windows.into_iter().partition(|window| !is_open(self, *window) && self.is_lost(clamp(window.1)));
        if live.is_empty() {
            return Fate::Late;
        }
        let (copies, live): (Vec<_>, Vec<_>) = live.into_iter().partition(|window| self.holds(seen, *window));
        if live.is_empty() {
            return Fate::Duplicate;
        }
        drop(copies);
        let missing = |sim: &Self| live.iter().filter(|window| !is_open(sim, **window)).count();
        // A window closed to make room may be one that the event would have joined.
        while !self.has_room_now(missing(self)) {
            if !self.evict(rows) {
                return Fate::Full;
            }
        }
        let mut fate = Fate::Extended;
        for window in &live {
            if !self.join(seen, *window) {
                self.open(Open::new(seen, Some(*window), Some(clamp(window.0)), 1));
                fate = Fate::Opened;
            }
        }
        self.tally.extra_windows += live.len() as u64 - 1;
        self.tally.late_windows += lost.len() as u64;
        fate
    }

    fn is_of(&self, open: &Open, key: u8, window: (i128, i128)) -> bool {
        open.key() == key && open.window == Some(window)
    }

    /// Whether the open session of a window has a copy of the event.
    fn holds(&self, seen: Seen, window: (i128, i128)) -> bool {
        let mut open = self.open.iter().filter(|open| self.is_of(open, seen.event.key, window));
        open.any(|open| is_copy(self.spec, &seen.event, &open.members))
    }

    /// Adds the event to the open session of a window, if there is one.
    fn join(&mut self, seen: Seen, window: (i128, i128)) -> bool {
        for open in &mut self.open {
            if open.key() == seen.event.key && open.window == Some(window) {
                open.members.push(seen);
                self.tally.placed += 1;
                return true;
            }
        }
        false
    }

    fn open_one(&mut self, open: Open, rows: &mut Vec<Row>) -> Fate {
        if !self.has_room(1, rows) {
            return Fate::Full;
        }
        self.open(open);
        Fate::Opened
    }

    fn open(&mut self, open: Open) {
        self.tally.opened += 1;
        self.tally.placed += 1;
        self.open.push(open);
    }

    /// The part that opens now: one more than the latest that is still remembered.
    fn next_part(&self, key: u8, bucket: Option<i64>) -> u32 {
        let Strategy::Arrival { range, remember, .. } = &self.spec.strategy else { return 1 };
        let remember = i128::from(remember.unwrap_or(*range));
        let latest = self.past.iter().rfind(|past| past.key == key && past.bucket == bucket);
        let remembered = latest.filter(|past| i128::from(self.now) < i128::from(past.deadline) + remember);
        remembered.map_or(1, |past| past.part + 1)
    }

    // --- Room ---

    fn has_room_now(&self, more: usize) -> bool {
        self.spec.most.is_none_or(|(most, _)| self.open.len() + more <= most)
    }

    fn has_room(&mut self, more: usize, rows: &mut Vec<Row>) -> bool {
        while !self.has_room_now(more) {
            if !self.evict(rows) {
                return false;
            }
        }
        true
    }

    /// Closes the session that was opened first, if the configuration asks for it.
    fn evict(&mut self, rows: &mut Vec<Row>) -> bool {
        if self.spec.most.is_none_or(|(_, when_full)| when_full == WhenFull::Refuse) {
            return false;
        }
        let oldest = (0..self.open.len()).min_by_key(|&i| (self.open[i].opened(), self.open[i].window));
        let open = self.open.remove(oldest.expect("something is open"));
        if !self.is_final(&open) {
            rows.push(self.report(&open, Reason::Evicted));
        }
        true
    }

    // --- Closing ---

    fn advance_to(&mut self, time: i64, rows: &mut Vec<Row>) {
        if time <= self.now && time != i64::MAX {
            return;
        }
        let before = std::mem::replace(&mut self.now, time);
        self.hand_out_due(rows);
        let open = std::mem::take(&mut self.open);
        let (gone, kept): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|open| self.is_lost(self.deadline(open)));
        self.open = kept;
        for open in gone {
            self.remember(&open);
        }
        if self.spec.updates.is_due(before, time) {
            self.update(|_, _| true, true, rows);
        }
    }

    /// Emits sessions that are open and have changed, if `is_wanted`.
    fn update(&mut self, is_wanted: impl Fn(&Self, &Open) -> bool, by_opening: bool, rows: &mut Vec<Row>) {
        let is_due = |open: &Open| self.deadline(open) > self.now && !self.is_current(open) && is_wanted(self, open);
        let mut due: Vec<usize> = (0..self.open.len()).filter(|&i| is_due(&self.open[i])).collect();
        due.sort_by_key(|&i| (by_opening.then(|| self.open[i].opened()), self.open[i].window));
        for i in due {
            let open = self.open[i].clone();
            let row = self.report(&open, Reason::Update);
            self.open[i].reported = vec![row.members.clone()];
            self.open[i].is_updated = true;
            rows.push(row);
        }
    }

    fn flush(&mut self, rows: &mut Vec<Row>) {
        let mut all: Vec<Open> = self.open.drain(..).collect();
        all.sort_by_key(|open| self.place_in_output(open));
        for open in all {
            if !self.is_final(&open) {
                let reason = if self.deadline(&open) <= self.now { self.natural_reason() } else { Reason::Flush };
                rows.push(self.report(&open, reason));
            }
        }
        self.past.clear();
    }

    /// A session that was over before the event joined it is corrected at once.
    fn hand_out_corrections(&mut self, rows: &mut Vec<Row>) {
        if self.spec.lateness > 0 {
            self.hand_out_due(rows);
        }
    }

    fn hand_out_due(&mut self, rows: &mut Vec<Row>) {
        let is_due = |open: &Open| self.deadline(open) <= self.now && !self.is_final(open);
        let mut due: Vec<usize> = (0..self.open.len()).filter(|&i| is_due(&self.open[i])).collect();
        due.sort_by_key(|&i| self.place_in_output(&self.open[i]));
        for i in due {
            let open = self.open[i].clone();
            let row = self.report(&open, self.natural_reason());
            self.open[i].reported = vec![row.members.clone()];
            (self.open[i].is_settled, self.open[i].is_updated) = (true, false);
            rows.push(row);
        }
    }

    fn place_in_output(&self, open: &Open) -> (i64, usize, Option<(i128, i128)>) {
        (self.deadline(open), open.opened(), open.window)
    }

    fn natural_reason(&self) -> Reason {
        match self.spec.strategy {
            Strategy::Gap(_) => Reason::Gap,
            Strategy::Arrival { .. } => Reason::Range,
            Strategy::Bucketed(_) | Strategy::Sliding { .. } => Reason::Watermark,
        }
    }

    /// The instant of the clock at which a session is over.
    fn deadline(&self, open: &Open) -> i64 {
        match (&self.spec.strategy, open.window) {
            (_, Some((_, end))) => clamp(end),
            (Strategy::Gap(gap), None) => gap.reach(&open.members),
            _ => unreachable!("only gap sessions have no window of their own"),
        }
    }

    /// Whether everything in it has been reported.
    fn is_current(&self, open: &Open) -> bool {
        let [reported] = &open.reported[..] else { return false };
        reported.len() == open.members.len()
    }

    /// Whether that was in a final summary.
    fn is_final(&self, open: &Open) -> bool {
        self.is_current(open) && !open.is_updated
    }

    /// Whether a window that ends at `end` takes nothing any more.
    fn is_lost(&self, end: i64) -> bool {
        clamp(i128::from(end) + i128::from(self.spec.lateness)) <= self.now
    }

    fn row_of(&self, open: &Open, reason: Reason) -> Row {
        let window = match (&self.spec.strategy, open.window) {
            (_, Some((start, end))) => (clamp(start), clamp(end)),
            (Strategy::Gap(gap), None) => (open.first_time(), gap.end(&open.members)),
            _ => unreachable!("only gap sessions have no window of their own"),
        };
        row(self.spec, &open.members, window, open.bucket, open.part, reason)
    }

    fn report(&mut self, open: &Open, reason: Reason) -> Row {
        let mut row = self.row_of(open, reason);
        row.replaces.clone_from(&open.reported);
        row.replaces.sort();
        let known: usize = open.reported.iter().map(Vec::len).sum();
        self.tally.reported += (open.members.len() - known) as u64;
        match () {
            () if reason == Reason::Update => self.tally.updates += 1,
            () if open.is_settled => self.tally.revisions += 1,
            () => self.tally.closed += 1,
        }
        row
    }

    fn remember(&mut self, open: &Open) {
        let (key, bucket, part, deadline) = (open.key(), open.bucket, open.part, self.deadline(open));
        self.past.retain(|past| (past.key, past.bucket) != (key, bucket));
        self.past.push(Past { key, bucket, part, deadline });
        // A bound on sessions bounds remembered parts too.
        if self.spec.most.is_some_and(|(most, _)| self.past.len() > most) {
            self.past.remove(0);
        }
    }
}
