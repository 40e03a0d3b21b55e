//! Windows on the event clock, whose bounds are known before they open: STEP, FLOOR and sliding.

use alloc::collections::{BTreeSet, BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::mem;
use core::ops::{Range, RangeInclusive};

use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::look::Sighting;
use crate::engine::shared::{Ending, Out, Outcome, Shared, Unplaced};
use crate::engine::store::Store;
use crate::engine::touched::Cursor;
use crate::engine::whereabouts::Whereabouts;
use crate::event::EventRef;
use crate::session::{Opening, RareState, Removed, Session, WithRare};
use crate::sessionizer::Refusal;
use crate::strategy::{Hops, Rounding};
use crate::summary::CloseReason;
use crate::time::Timestamp;
use crate::window::Window;
use crate::windows::{Next, Number, OpenWindow, WindowId, WindowTable};

/// The open windows of an engine, with those that are over and pending.
pub(crate) struct Windows<K, V, S> {
    table: WindowTable<K, V, S>,
    /// Windows that are over, whose sessions have not all been emitted.
    closing: VecDeque<Closing<K, V, S>>,
    /// The windows of the latest events, the newer one last: most events are in one of the two.
    recent: [Recent; 2],
    /// The windows of the latest events, where each is in several: those before closed, or are too old.
    cells: Vec<Cell>,
    /// Windows by their oldest session, kept only to find the oldest of all.
    ages: BTreeSet<(u64, i64)>,
    len: usize,
}

/// A window that was looked up, and where it is: [`NOWHERE`] while it has no sessions.
#[derive(Clone, Copy)]
struct Recent {
    span: Window,
    id: WindowId,
}

/// A span of time whose events are all in the same sliding windows, and these, which have sessions.
struct Cell {
    span: Range<Timestamp>,
    windows: Vec<WindowId>,
}

/// Windows that end together, and how far they have been emitted.
struct Closing<K, V, S> {
    windows: SmallVec<[ClosingWindow<K, V, S>; 1]>,
    deadline: Timestamp,
    /// Their sessions have been emitted before, and were kept for corrections.
    was_emitted: bool,
    /// Of several windows, the next session of each that has one left. May be behind.
    heads: BinaryHeap<Reverse<Head>>,
}

/// When a session opened, the span and the place of its window, and its number there: the order in which sessions of
/// several windows are emitted.
type Head = (u64, Window, usize, Number);

/// A window that is over, and the number of the session to be emitted next.
type ClosingWindow<K, V, S> = (OpenWindow<K, V, S>, Number);

/// What tells a window from others: its start or index, and its span.
#[derive(Clone, Copy)]
struct WindowKey {
    start: i64,
    span: Window,
}

/// The sliding windows that an event may join.
struct Joinable {
    windows: RangeInclusive<i128>,
    /// Those of them whose session holds a copy of the event.
    copies: SmallVec<[i128; 2]>,
}

impl Joinable {
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = i128> {
        self.windows.clone().filter(|index| !self.copies.contains(index))
    }

    #[inline(always)]
    fn len(&self) -> usize {
        (self.windows.end() - self.windows.start()) as usize + 1 - self.copies.len()
    }
}

/// The greatest number of cells that are noted: events that are out of order lie in several.
const CELLS: usize = 8;
const NOWHERE: WindowId = WindowId::MAX;
const NO_WINDOWS: [Recent; 2] = [Recent { span: Window::new(Timestamp::MIN, Timestamp::MIN), id: NOWHERE }; 2];

impl Recent {
    /// Without a branch: which of two windows an event is in is hard to foresee.
    #[inline(always)]
    fn holds(&self, time: Timestamp) -> bool {
        (time >= self.span.start) & (time < self.span.end)
    }
}

fn ending(span: Window, reason: CloseReason) -> Ending {
    Ending { window: span, bucket: Some(span.start), reason, anchor: span.end, by_part: false }
}

#[inline(always)]
fn sighting_of<'e, K: Key, V: Value, S>(
    window: &'e OpenWindow<K, V, S>,
    number: Number,
    session: &'e Session<K, V, S>,
) -> Sighting<'e, K, V, S> {
    let (rare, ending) = (window.rare(number, session), ending(window.span, CloseReason::Watermark));
    Sighting { session, rare, ending, deadline: window.span.end, window: window.start }
}

impl<K: Key, V: Value, S> Closing<K, V, S> {
    fn new(windows: SmallVec<[ClosingWindow<K, V, S>; 1]>, deadline: Timestamp, was_emitted: bool) -> Self {
        let mut closing = Self { windows, deadline, was_emitted, heads: BinaryHeap::new() };
        if closing.windows.len() > 1 {
            closing.heads = (0..closing.windows.len()).filter_map(|i| closing.head(i).map(Reverse)).collect();
        }
        closing
    }

    /// The next session of a window.
    #[inline]
    fn head(&mut self, i: usize) -> Option<Head> {
        let (window, next) = &mut self.windows[i];
        while *next != window.numbers().1 {
            if let Some(session) = window.get(*next) {
                return Some((session.opened, window.span, i, *next));
            }
            *next = next.wrapping_add(1);
        }
        None
    }

    /// The next session: the one that opened first. Several windows end together only at the end of time.
    #[inline]
    fn next(&mut self) -> Option<(usize, Number)> {
        if self.windows.len() == 1 {
            return self.head(0).map(|(.., number)| (0, number));
        }
        while let Some(&Reverse(noted)) = self.heads.peek() {
            let head = self.head(noted.2);
            if head == Some(noted) {
                return Some((noted.2, noted.3));
            }
            self.heads.pop();
            self.heads.extend(head.map(Reverse));
        }
        None
    }
}

impl<K: Key, V: Value, S> Windows<K, V, S> {
    /// `scatter`: how starts are spread over the windows used lately.
    pub(crate) const fn new(scatter: u64) -> Self {
        let table = WindowTable::new(scatter);
        Self { table, closing: VecDeque::new(), recent: NO_WINDOWS, cells: Vec::new(), ages: BTreeSet::new(), len: 0 }
    }

    /// The windows that are over and pending, then the others in order of their start.
    fn windows(&self) -> impl Iterator<Item = &OpenWindow<K, V, S>> {
        let closing = self.closing.iter().flat_map(|closing| closing.windows.iter().map(|(window, _)| window));
        closing.chain(self.table.ids().map(|id| self.table.get(id)))
    }

    /// Every session, with how it would end.
    pub(crate) fn sightings(&self) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        self.windows().flat_map(|window| {
            let (ending, deadline) = (ending(window.span, CloseReason::Watermark), window.span.end);
            let all = window.iter();
            all.map(move |(session, rare)| Sighting { session, rare, ending, deadline, window: window.start })
        })
    }

    /// The sessions from a place on, by window and number, of a number of places at most.
    pub(crate) fn sessions_from<'e>(
        &'e self,
        cursor: &mut Cursor,
        most: usize,
        mut visit: impl FnMut(Sighting<'e, K, V, S>),
    ) {
        let mut windows: Vec<_> = self.windows().filter(|window| Some(window.start) >= cursor.window).collect();
        windows.sort_by_key(|window| window.start);
        let mut left = most;
        for window in windows {
            let (first, end) = window.numbers();
            let is_begun = cursor.window == Some(window.start);
            let mut number = cursor.number.filter(|_| is_begun).unwrap_or(first);
            while number != end {
                if left == 0 {
                    (cursor.window, cursor.number) = (Some(window.start), Some(number));
                    return;
                }
                left -= 1;
                window.get(number).into_iter().for_each(|session| visit(sighting_of(window, number, session)));
                number = number.wrapping_add(1);
            }
        }
        cursor.is_done = true;
    }

    /// The sessions of a key, in order of their windows.
    pub(crate) fn sightings_of(&self, hash: u64, key: K::Ref<'_>) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        self.windows().filter_map(move |window| {
            let number = window.find(hash, key)?;
            let session = window.get(number)?;
            Some(sighting_of(window, number, session))
        })
    }

    /// Which of the latest windows an event in STEP or FLOOR is in: it is noted there. Mostly that saves a
    /// division, or a search in a time zone.
    #[inline(always)]
    fn bucket_of(&mut self, rounding: &Rounding, time: Timestamp) -> &Recent {
        let newer = usize::from(self.recent[1].holds(time));
        if self.recent[newer].holds(time) { &self.recent[newer] } else { self.round(rounding, time) }
    }

    #[inline(never)]
    fn round(&mut self, rounding: &Rounding, time: Timestamp) -> &Recent {
        let span = rounding.window_of(time);
        let id = self.table.find(span.start.as_micros()).unwrap_or(NOWHERE);
        self.recent = [self.recent[1], Recent { span, id }];
        &self.recent[1]
    }

    /// Where the session of an event is likely to be, after one look at the index.
    #[inline(always)]
    pub(crate) fn likely(&mut self, rounding: &Rounding, time: Timestamp, hash: u64) -> Option<Whereabouts> {
        let window = self.bucket_of(rounding, time).id;
        Some(Whereabouts::in_window(window, self.table.try_get(window)?.likely(hash)?))
    }

    #[inline(always)]
    pub(crate) fn session_at(&self, window: WindowId, number: Number) -> Option<&Session<K, V, S>> {
        self.table.get(window).get(number)
    }

    /// Assigns an event to its bucket.
    #[inline(always)]
    pub(crate) fn assign_bucket<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        rounding: &Rounding,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        if !PLAIN {
            self.drain_for_correction(event, shared, out);
        }
        let Recent { span, id } = *self.bucket_of(rounding, event.event_time);
        match self.assign_to::<A, PLAIN>(id, span.end, event, hash, shared, out) {
            Some(outcome) => outcome,
            None => self.open_bucket(span, event, hash, shared, out),
        }
    }

    /// Assigns an event to a window, unless that has no session, or none of its key and opening takes more.
    #[inline(always)]
    fn assign_to<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        id: WindowId,
        end: Timestamp,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Option<Outcome> {
        let window = self.table.try_get_mut(id)?;
        if let Some((number, session)) = window.find_mut(hash, event.key) {
            shared.extend::<V, PLAIN>(session, event);
            let at = Whereabouts::in_window(id, number);
            if !PLAIN && (session.has_rare_state() || shared.updates.is_on()) {
                self.after_change(at, shared, out);
            }
            return Some(Outcome::Extended(at));
        }
        // It has sessions, so its deadline is known.
        let is_simple = PLAIN || (end > shared.clock.now() && !shared.updates.is_on());
        if !is_simple || !shared.has_room(self.len, 1) {
            return None;
        }
        let number = open_in(window, event, hash, shared);
        self.len += 1;
        Some(Outcome::Opened(Whereabouts::in_window(id, number)))
    }

    #[inline(never)]
    fn open_bucket<A: Aggregate<K, V, State = S>>(
        &mut self,
        span: Window,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        if shared.is_late(span.end) {
            return shared.late();
        }
        if !self.make_room(1, shared, out) {
            return shared.full();
        }
        Outcome::Opened(self.open(event, hash, WindowKey { start: span.start.as_micros(), span }, shared, out))
    }

    /// Assigns an event to the windows of its cell, if they are noted and have room: none of them is past, and each
    /// has sessions. (They would be found and compared with the clock one by one, which takes longer.)
    #[inline(always)]
    fn assign_to_cell<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        shared: &mut Shared<K, A>,
    ) -> Option<Outcome> {
        let Self { table, cells, len, .. } = self;
        let Cell { windows, .. } = cells.iter().rev().find(|cell| cell.span.contains(&event.event_time))?;
        if !shared.has_room(*len, windows.len()) {
            return None;
        }
        let (before, mut latest) = (*len, None);
        for id in windows {
            let window = table.get_mut(*id);
            let number = match window.find_mut(hash, event.key) {
                Some((number, session)) => {
                    shared.extend::<V, true>(session, event);
                    number
                }
                None => {
                    let number = open_in(window, event, hash, shared);
                    *len += 1;
                    number
                }
            };
            latest = Some(Whereabouts::in_window(*id, number));
        }
        shared.counters.extra_windows += windows.len() as u64 - 1;
        latest.map(if *len > before { Outcome::Opened } else { Outcome::Extended })
    }

    /// Notes the windows of an event, which all have sessions by now.
    fn note_cell(&mut self, hops: &Hops, time: Timestamp) {
        let Self { table, cells, .. } = self;
        if cells.len() == CELLS {
            cells.remove(0);
        }
        let windows = hops.indices_of(time).filter_map(|index| table.find(index as i64)).collect();
        cells.push(Cell { span: hops.cell_of(time), windows });
    }

    /// Forgets which windows the latest events were in: one of them has been taken away.
    fn forget_recent(&mut self) {
        self.recent = NO_WINDOWS;
        self.cells.clear();
    }

    /// Assigns an event to each sliding window that holds it. With an `id`, which none has in a plain engine: where
    /// the session of its key does not hold an event of that id.
    #[inline(never)]
    pub(crate) fn assign_all<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        hops: &Hops,
        event: &EventRef<'_, K, V>,
        hash: u64,
        id: Option<u128>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        if PLAIN {
            if let Some(outcome) = self.assign_to_cell(event, hash, shared) {
                return outcome;
            }
        }
        let id = if PLAIN { None } else { id };
        if !PLAIN {
            self.drain_for_correction(event, shared, out);
        }
        let indices = hops.indices_of(event.event_time);
        if indices.is_empty() {
            shared.counters.between_windows += 1;
            return Outcome::Refused(Refusal::BetweenWindows);
        }
        let past = indices.clone().take_while(|&index| shared.is_late(hops.window(index).end)).count();
        let windows = indices.start() + past as i128..=*indices.end(); // ends grow with the index
        if windows.is_empty() {
            return shared.late();
        }
        let open = self.without_copies(windows, event, hash, id);
        if open.len() == 0 {
            return shared.unplaced(Unplaced::Duplicate);
        }
        if !self.make_room_for_all(event, hash, &open, shared, out) {
            return shared.full();
        }
        let outcome = self.assign_to_each::<A, PLAIN>((hops, &open), event, hash, id, shared, out);
        shared.counters.late_windows += past as u64;
        if PLAIN && past == 0 {
            self.note_cell(hops, event.event_time);
        }
        outcome
    }

    /// These windows, and which of them hold a copy of the event. (That is asked once: making room may close them.)
    #[inline(always)]
    fn without_copies(
        &self,
        windows: RangeInclusive<i128>,
        event: &EventRef<'_, K, V>,
        hash: u64,
        id: Option<u128>,
    ) -> Joinable {
        let holds = |index: &i128| id.is_some_and(|id| self.holds(*index as i64, hash, event.key, id));
        let copies = if id.is_some() { windows.clone().filter(holds).collect() } else { SmallVec::new() };
        Joinable { windows, copies }
    }

    /// Assigns an event to these sliding windows, for which there is room.
    #[inline(always)]
    fn assign_to_each<A: Aggregate<K, V, State = S>, const PLAIN: bool>(
        &mut self,
        (hops, windows): (&Hops, &Joinable),
        event: &EventRef<'_, K, V>,
        hash: u64,
        id: Option<u128>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Outcome {
        let (mut latest, mut has_opened) = (Outcome::Late, false);
        for (i, index) in windows.iter().enumerate() {
            shared.counters.extra_windows += u64::from(i > 0);
            let (found, span) = (self.table.find(index as i64).unwrap_or(NOWHERE), hops.window(index));
            let assigned = self.assign_to::<A, PLAIN>(found, span.end, event, hash, shared, out);
            let assigned = assigned.unwrap_or_else(|| {
                Outcome::Opened(self.open(event, hash, WindowKey { start: index as i64, span }, shared, out))
            });
            if let (Some(id), Some(at)) = (id, assigned.whereabouts()) {
                Store::<K, V, A>::note_id(self, at, id);
            }
            has_opened |= matches!(assigned, Outcome::Opened(_));
            latest = assigned;
        }
        match latest {
            Outcome::Extended(at) if has_opened => Outcome::Opened(at),
            latest => latest,
        }
    }

    /// Whether the session of a key in a window holds an event of an id.
    pub(crate) fn holds(&self, start: i64, hash: u64, key: K::Ref<'_>, id: u128) -> bool {
        let holds = |window: WindowId| {
            let window = self.table.get(window);
            let number = window.find(hash, key)?;
            window.rare(number, window.get(number)?).map(|rare| rare.has_event(id))
        };
        self.table.peek(start).and_then(holds).unwrap_or(false)
    }

    /// The sessions of a key in the sliding windows that hold an instant, in order of their start.
    pub(crate) fn sightings_in(
        &self,
        hops: &Hops,
        time: Timestamp,
        hash: u64,
        key: K::Ref<'_>,
    ) -> impl Iterator<Item = Sighting<'_, K, V, S>> {
        let windows = hops.indices_of(time).filter_map(|index| self.table.peek(index as i64));
        windows.filter_map(move |id| {
            let window = self.table.get(id);
            self.sighting(Whereabouts::in_window(id, window.find(hash, key)?))
        })
    }

    /// The session that lies there, if one does.
    #[inline(always)]
    pub(crate) fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, S>> {
        let window = self.table.try_get(at.window())?;
        let session = window.get(at.number())?;
        Some(sighting_of(window, at.number(), session))
    }

    /// Makes room for the sessions that an event would open in these windows. False: refuse.
    fn make_room_for_all<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        windows: &Joinable,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> bool {
        if shared.has_room(self.len, windows.len()) {
            return true;
        }
        if shared.has_pending() {
            self.drain_pending(shared, out);
        }
        // Making room may close a window that the event would have joined: count again.
        loop {
            let mut is_new = |index: &i128| {
                let id = self.table.find(*index as i64);
                id.is_none_or(|id| self.table.get(id).find(hash, event.key).is_none())
            };
            let new = windows.iter().filter(&mut is_new).count();
            if shared.has_room(self.len, new) {
                return true;
            }
            if !shared.may_evict() || !self.evict_oldest(shared, out) {
                return false;
            }
        }
    }

    /// Opens a session in a window.
    #[inline]
    fn open<A: Aggregate<K, V, State = S>>(
        &mut self,
        event: &EventRef<'_, K, V>,
        hash: u64,
        key: WindowKey,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) -> Whereabouts {
        let end = key.span.end;
        // Over, but within the lateness: its window was emitted, or nothing was in it.
        let is_over = end <= shared.clock.now();
        let origin = shared.origin(end, is_over, None);
        let session = shared.open(event, Opening { edge: end, opened: shared.last_seq });
        let (id, number) = self.insert(session, hash, key, is_over, shared);
        if is_over {
            let window = self.table.get_mut(id);
            if let (Some(_), Some((_, rare))) = (origin, window.with_rare(number)) {
                rare.origin = origin;
            }
            emit_and_keep(window, number, shared, out);
        } else if shared.updates.is_on() {
            self.follow_up(Whereabouts::in_window(id, number), true, shared, out);
        }
        Whereabouts::in_window(id, number)
    }

    /// A session has changed that was emitted before, or may be emitted while it is open.
    #[inline(never)]
    fn after_change<A: Aggregate<K, V, State = S>>(
        &mut self,
        at: Whereabouts,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let (window, number) = (self.table.get_mut(at.window()), at.number());
        let has_rare = window.get(number).is_some_and(Session::has_rare_state);
        let rare = if has_rare { window.with_rare(number) } else { None };
        let (was_current, is_settled) = rare.map_or((false, false), |(_, rare)| (rare.outdate(), rare.is_settled()));
        if is_settled {
            emit_and_keep(window, number, shared, out);
        } else if shared.updates.is_on() {
            self.follow_up(at, was_current, shared, out);
        }
    }

    /// Puts a session into its window. `is_emitted`: it was emitted before, or is at once.
    #[inline]
    fn insert<A: Aggregate<K, V, State = S>>(
        &mut self,
        session: Session<K, V, S>,
        hash: u64,
        key: WindowKey,
        is_emitted: bool,
        shared: &mut Shared<K, A>,
    ) -> (WindowId, Number) {
        let deadline = if is_emitted { key.span.end.shift(shared.options.lateness) } else { key.span.end };
        shared.clock.schedule(deadline);
        let id = self.table.find_or_open(key.start, key.span, (deadline, is_emitted));
        let recent = self.recent.iter_mut().filter(|recent| recent.span == key.span);
        recent.for_each(|recent| recent.id = id);
        let opened = session.opened;
        let window = self.table.get_mut(id);
        if shared.may_evict() && window.len() == 0 {
            self.ages.insert((opened, key.start));
        }
        self.len += 1;
        (id, window.insert_with(hash, || session, |key| shared.hash(key.key_ref())))
    }

    /// Opens a session again as a snapshot has it.
    pub(crate) fn resume<A: Aggregate<K, V, State = S>>(
        &mut self,
        session: Session<K, V, S>,
        rare: Option<RareState<V>>,
        (start, span): (i64, Window),
        shared: &mut Shared<K, A>,
    ) -> Whereabouts {
        let is_emitted = rare.as_ref().is_some_and(RareState::is_settled);
        let hash = shared.hash(session.key.key_ref());
        let (id, number) = self.insert(session, hash, WindowKey { start, span }, is_emitted, shared);
        if let Some(rare) = rare {
            self.table.get_mut(id).set_rare(number, rare);
        }
        Whereabouts::in_window(id, number)
    }

    // --- Closing ---

    /// Emits the windows that the clock has passed. They stay in place meanwhile: if `out` panics, only the session
    /// in its hand is gone.
    fn close<A: Aggregate<K, V, State = S>>(
        &mut self,
        now: Timestamp,
        early: Option<CloseReason>,
        shared: &mut Shared<K, A>,
        out: Out<'_, K, V, A>,
    ) {
        let mut looks = shared.looks();
        loop {
            self.begin_closing(now);
            let Some(closing) = self.closing.front_mut() else { return self.trim() };
            let keeps = early.is_none() && shared.options.lateness > 0 && !closing.was_emitted;
            let reason = early.unwrap_or(CloseReason::Watermark);
            let is_done = if keeps {
                emit_and_keep_all(closing, &mut looks, shared, out)
            } else {
                emit_and_remove_all(closing, &mut self.len, reason, &mut looks, shared, out)
            };
            if !is_done {
                return;
            }
            for (window, _) in self.closing.pop_front().into_iter().flat_map(|closing| closing.windows) {
                if keeps {
                    let deadline = window.span.end.shift(shared.options.lateness);
                    self.put_back((deadline, true), window, shared);
                } else {
                    self.table.recycle(window);
                }
            }
        }
    }

    /// Gives memory back when nothing is open.
    fn trim(&mut self) {
        if self.len == 0 {
            self.closing = VecDeque::new();
        }
    }

    /// Takes the windows out that the clock has passed: from here on no event finds them.
    fn begin_closing(&mut self, now: Timestamp) {
        while let Some((deadline, was_emitted)) = self.table.next().filter(|(deadline, _)| *deadline <= now) {
            let mut windows = SmallVec::new();
            while self.table.next() == Some((deadline, was_emitted)) {
                let Some(mut window) = self.table.pop_first() else { break };
                if let Some((_, session)) = window.oldest() {
                    self.ages.remove(&(session.opened, window.start));
                }
                let (first, _) = window.numbers();
                windows.push((window, first));
            }
            self.forget_recent();
            self.closing.push_back(Closing::new(windows, deadline, was_emitted));
        }
    }

    /// Puts a window back that was taken out: events find it again.
    fn put_back<A>(&mut self, next: Next, mut window: OpenWindow<K, V, S>, shared: &Shared<K, A>) {
        let (start, oldest) = (window.start, window.oldest().map(|(_, session)| session.opened));
        self.forget_recent();
        let Some(opened) = oldest else { return self.table.recycle(window) };
        self.table.put_back(next, window);
        if shared.may_evict() {
            self.ages.insert((opened, start));
        }
    }
}

/// Opens a session in a window that has some.
#[inline(always)]
fn open_in<K: Key, V: Value, A: Aggregate<K, V>>(
    window: &mut OpenWindow<K, V, A::State>,
    event: &EventRef<'_, K, V>,
    hash: u64,
    shared: &mut Shared<K, A>,
) -> Number {
    let opening = Opening { edge: window.span.end, opened: shared.last_seq };
    let state = shared.open_state(event);
    window.insert_with(hash, || Session::open(event, opening, state), |key| shared.hash(key.key_ref()))
}

/// Emits a session that few are like.
#[cold]
#[inline(never)]
fn emit_with_rare<K: Key, V: Value, A: Aggregate<K, V>>(
    session: Option<Session<K, V, A::State>>,
    rare: Option<RareState<V>>,
    ending: Ending,
    shared: &mut Shared<K, A>,
    out: Out<'_, K, V, A>,
) {
    if let Some(session) = session {
        shared.emit_removed(Removed { session, rare }, ending, out);
    }
}

/// Emits and removes sessions as far as the quota reaches. Returns whether all are done. `len` counts those that are
/// left.
fn emit_and_remove_all<K: Key, V: Value, A: Aggregate<K, V>>(
    closing: &mut Closing<K, V, A::State>,
    len: &mut usize,
    reason: CloseReason,
    looks: &mut usize,
    shared: &mut Shared<K, A>,
    out: Out<'_, K, V, A>,
) -> bool {
    if let [window] = &mut closing.windows[..] {
        return emit_and_remove_from(window, len, reason, looks, shared, out);
    }
    while let Some((i, number)) = closing.next() {
        let (window, next) = &mut closing.windows[i];
        if !shared.pass(!is_final(window, number), looks) {
            return false;
        }
        *next = number.wrapping_add(1);
        if let Some(removed) = window.remove(number, None) {
            *len -= 1;
            shared.emit_removed(removed, ending(window.span, reason), out);
        }
    }
    true
}

/// The same for one window, whose sessions lie in the order in which they are emitted.
fn emit_and_remove_from<K: Key, V: Value, A: Aggregate<K, V>>(
    (window, next): &mut ClosingWindow<K, V, A::State>,
    len: &mut usize,
    reason: CloseReason,
    looks: &mut usize,
    shared: &mut Shared<K, A>,
    out: Out<'_, K, V, A>,
) -> bool {
    let ending = ending(window.span, reason);
    while let (Some(slots), rare) = window.slots_from(*next) {
        for slot in slots {
            let is_rare = slot.as_ref().is_some_and(Session::has_rare_state);
            let was_final = is_rare && rare.get(next).is_some_and(RareState::is_final);
            if slot.is_some() && !shared.pass(!was_final, looks) {
                return false;
            }
            *len -= usize::from(slot.is_some());
            if is_rare {
                emit_with_rare(slot.take(), rare.remove(next), ending, shared, out);
            } else if let Some(session) = slot.take() {
                shared.emit(session, ending, out);
            }
            *next = next.wrapping_add(1);
        }
    }
    true
}

/// Emits sessions that stay for corrections, as far as the quota reaches. Returns whether all are done.
fn emit_and_keep_all<K: Key, V: Value, A: Aggregate<K, V>>(
    closing: &mut Closing<K, V, A::State>,
    looks: &mut usize,
    shared: &mut Shared<K, A>,
    out: Out<'_, K, V, A>,
) -> bool {
    while let Some((i, number)) = closing.next() {
        let (window, next) = &mut closing.windows[i];
        let emits = !is_final(window, number);
        if !shared.pass(emits, looks) {
            return false;
        }
        *next = number.wrapping_add(1);
        if emits {
            emit_and_keep(window, number, shared, out);
        }
    }
    true
}

/// Whether a final summary of everything in the session has been emitted.
fn is_final<K: Key, V: Value, S>(window: &OpenWindow<K, V, S>, number: Number) -> bool {
    window.get(number).and_then(|session| window.rare(number, session)).is_some_and(RareState::is_final)
}

/// Emits the present content of a session that stays for corrections.
#[inline(never)]
fn emit_and_keep<K: Key, V: Value, A: Aggregate<K, V>>(
    window: &mut OpenWindow<K, V, A::State>,
    number: Number,
    shared: &mut Shared<K, A>,
    out: Out<'_, K, V, A>,
) {
    let ending = ending(window.span, CloseReason::Watermark);
    if let Some((session, rare)) = window.with_rare(number) {
        shared.emit_and_keep(session, rare, ending, out);
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Store<K, V, A> for Windows<K, V, A::State> {
    fn len(&self) -> usize {
        self.len
    }

    fn next_due(&self) -> Timestamp {
        self.closing.front().map_or(self.table.bound(), |closing| closing.deadline)
    }

    fn close_due(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) {
        self.close(shared.clock.now(), None, shared, out);
    }

    fn close_all(&mut self, shared: &mut Shared<K, A>, reason: CloseReason, out: Out<'_, K, V, A>) {
        self.close(Timestamp::MAX, Some(reason), shared, out);
    }

    fn end_flush(&mut self, shared: &mut Shared<K, A>) {
        let now = shared.clock.now();
        let open: VecDeque<Closing<K, V, A::State>>;
        (self.closing, open) = mem::take(&mut self.closing).into_iter().partition(|closing| closing.deadline <= now);
        for Closing { windows, deadline, was_emitted, .. } in open {
            for (mut window, _) in windows {
                window.reindex(|key| shared.hash(key.key_ref()));
                self.put_back((deadline, was_emitted), window, shared);
            }
        }
    }

    fn shrink_to_fit(&mut self, shared: &mut Shared<K, A>) {
        self.forget_recent();
        self.table.shrink_to_fit();
        shared.updates.forget();
        let ids: Vec<WindowId> = self.table.ids().collect();
        for id in ids {
            let (mut number, end) = self.table.get(id).numbers();
            while number != end {
                self.note_again(Whereabouts::in_window(id, number), shared);
                number = number.wrapping_add(1);
            }
        }
    }

    fn sighting(&self, at: Whereabouts) -> Option<Sighting<'_, K, V, A::State>> {
        self.sighting(at)
    }

    fn with_rare(&mut self, at: Whereabouts) -> Option<WithRare<'_, K, V, A::State>> {
        self.table.try_get_mut(at.window())?.with_rare(at.number())
    }

    #[cold]
    fn evict_oldest(&mut self, shared: &mut Shared<K, A>, out: Out<'_, K, V, A>) -> bool {
        let Some((_, start)) = self.ages.pop_first() else { return false };
        let Some(id) = self.table.find(start) else { return false };
        let window = self.table.get_mut(id);
        let Some((number, session)) = window.oldest() else { return false };
        let hash = shared.hash(session.key.key_ref());
        let span = window.span;
        let removed = window.remove(number, Some(hash));
        match window.oldest() {
            Some((_, next)) => _ = self.ages.insert((next.opened, start)),
            None => {
                drop(self.table.take(id));
                self.forget_recent();
            }
        }
        self.len -= 1;
        if let Some(removed) = removed {
            shared.early_closings = shared.early_closings.saturating_add(1);
            shared.emit_removed(removed, ending(span, CloseReason::Evicted), out);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::config::Config;
    use crate::event::Event;
    use crate::rules::WhenFull;
    use crate::sessionizer::{Pushed, Refusal};
    use crate::strategy::{Bucket, Sliding, Stagger};
    use crate::summary::CloseReason;
    use crate::testing::{Run, Settings, at, config, us};

    fn tens() -> Settings {
        config(Stagger::on_event_time(Bucket::step(us(10))))
    }

    #[test]
    fn at_the_end_of_the_bucket() {
        let mut run = Run::new(tens());
        assert_eq!([9, 10, 0].map(|time| run.push(1, time)), [Pushed::Opened, Pushed::Opened, Pushed::Extended]);
        assert_eq!(run.flush(), [(1, 0, 10, 2), (1, 10, 20, 1)]);
    }

    #[test]
    fn a_key_that_comes_to_a_window_when_the_watermark_is_at_its_end_is_emitted_at_once() {
        let mut run = Run::new(tens().allowed_lateness(us(5)));
        assert_eq!((run.push(1, 5), run.advance(10)), (Pushed::Opened, [(1, 0, 10, 1)].into()));
        assert_eq!((run.push(2, 6), run.closed()), (Pushed::Opened, [(2, 0, 10, 1)].into()));
    }

    #[test]
    fn a_restored_engine_emits_as_many_in_a_call_as_the_original() {
        let settings = || tens().allowed_lateness(us(10)).close_at_most(1);
        let mut run = Run::new(settings());
        assert_eq!([1, 2, 3].map(|key| run.push(key, 0)), [Pushed::Opened; 3]);
        assert_eq!(run.advance(10), [(1, 0, 10, 1)]);
        let mut restored = Run::of(settings().restore(run.engine.snapshot()).expect("its own"));
        for run in [&mut run, &mut restored] {
            assert_eq!((run.advance(10), run.advance(10)), ([(2, 0, 10, 1)].into(), [(3, 0, 10, 1)].into()));
            assert_eq!(run.push(4, 15), Pushed::Opened);
            assert_eq!(run.advance(20), [(4, 10, 20, 1)], "three others go without a summary");
            assert_eq!(run.open(), 1);
        }
    }

    #[test]
    fn a_restored_engine_that_needs_no_room_emits_the_same_in_later_calls() {
        let settings = || tens().allowed_lateness(us(25)).close_at_most(1).max_open_sessions(4, WhenFull::Refuse);
        let mut run = Run::new(settings());
        assert_eq!([5, 15, 25, 35].map(|time| run.push(1, time)), [Pushed::Opened; 4]);
        assert_eq!(run.advance(100), [(1, 0, 10, 1)]);
        let mut restored = Run::of(settings().restore(run.engine.snapshot()).expect("its own"));
        assert_eq!((run.open(), restored.open()), (4, 3), "the first can be corrected no more");
        assert_eq!([&mut run, &mut restored].map(|run| run.push(1, 105)), [Pushed::Opened; 2]);
        let at_once = run.closed();
        assert_eq!(at_once, [(1, 10, 20, 1), (1, 20, 30, 1), (1, 30, 40, 1)]);
        restored.close_until(100);
        restored.close_until(100);
        assert_eq!(restored.closed(), at_once);
        assert_eq!(run.flush(), restored.flush());
    }

    #[test]
    fn at_the_watermark() {
        let mut run = Run::new(tens());
        assert_eq!(run.push(1, 5), Pushed::Opened);
        assert_eq!(run.advance(9), []);
        assert_eq!(run.push(1, 0), Pushed::Extended);
        assert_eq!(run.advance(10), [(1, 0, 10, 2)]);
        assert_eq!((run.push(1, 9), run.push(1, 10)), (Pushed::Late(()), Pushed::Opened));
        assert_eq!(run.counters().late, 1);
    }

    #[test]
    fn at_the_end_plus_the_lateness() {
        let mut run = Run::new(tens().allowed_lateness(us(5)));
        assert_eq!(run.push(1, 5), Pushed::Opened);
        assert_eq!((run.advance(10), run.open()), ([(1, 0, 10, 1)].into(), 1));
        assert_eq!(run.advance(14), []);
        assert_eq!((run.push(1, 6), run.push(2, 7)), (Pushed::Extended, Pushed::Opened));
        let corrected = run.summaries();
        assert_eq!(
            corrected.iter().map(|s| (s.key, s.count, s.revision())).collect::<Vec<_>>(),
            [(1, 2, 1), (2, 1, 0)]
        );
        assert_eq!((run.advance(15), run.open()), ([].into(), 0));
        assert_eq!(run.push(1, 8), Pushed::Late(()));
    }

    #[test]
    fn sessions_are_emitted_by_deadline_and_then_by_opening() {
        let mut run = Run::new(tens());
        for (key, time) in [(3, 15), (2, 5), (1, 6), (9, 11)] {
            assert_eq!(run.push(key, time), Pushed::Opened);
        }
        assert_eq!(run.advance(20), [(2, 0, 10, 1), (1, 0, 10, 1), (3, 10, 20, 1), (9, 10, 20, 1)]);
    }

    #[test]
    fn an_event_between_two_windows_is_handed_back() {
        let mut run = Run::new(config(Sliding::new(us(3), us(10))));
        assert_eq!(run.push(1, 3), Pushed::Refused((), Refusal::BetweenWindows));
        assert_eq!(run.push(1, 2), Pushed::Opened);
        assert_eq!((run.counters().between_windows, run.counters().placed), (1, 1));
    }

    #[test]
    fn an_event_joins_the_windows_that_are_not_over() {
        let mut run = Run::new(config(Sliding::new(us(10), us(5))));
        run.advance(10);
        assert_eq!(run.push(1, 7), Pushed::Opened);
        assert_eq!(run.push(1, 4), Pushed::Late(()));
        let counters = run.counters();
        assert_eq!((counters.late_windows, counters.extra_windows, counters.late), (1, 0, 1));
        assert_eq!(run.push(1, 12), Pushed::Opened); // in [5, 15), which is open, and in [10, 20)
        assert_eq!(run.push(1, 14), Pushed::Extended);
        assert_eq!(run.counters().extra_windows, 2);
        assert_eq!(run.flush(), [(1, 5, 15, 3), (1, 10, 20, 2)]);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut run = Run::new(tens().max_open_sessions(2, WhenFull::CloseOldest));
        for (key, time) in [(1, 15), (2, 5)] {
            assert_eq!(run.push(key, time), Pushed::Opened);
        }
        assert_eq!(run.push(2, 6), Pushed::Extended);
        assert_eq!(run.closed(), []);
        assert_eq!(run.push(3, 5), Pushed::Opened);
        assert_eq!((run.closed(), run.open()), ([(1, 10, 20, 1)].into(), 2));
        assert_eq!(run.push(1, 16), Pushed::Opened);
        assert_eq!(run.reasons(), [CloseReason::Evicted]);
        assert_eq!(run.flush(), [(3, 0, 10, 1), (1, 10, 20, 1)]);
    }

    #[test]
    fn one_session_more_than_the_bound_is_refused() {
        let mut run = Run::new(tens().max_open_sessions(1, WhenFull::Refuse));
        assert_eq!(
            [1, 2, 1].map(|key| run.push(key, 5)),
            [Pushed::Opened, Pushed::Refused((), Refusal::Full), Pushed::Extended]
        );
        assert_eq!(run.counters().refused_full, 1);
    }

    #[test]
    fn sliding_windows_make_room_for_all_or_none() {
        let sliding = || config(Sliding::new(us(10), us(5)));
        let mut run = Run::new(sliding().max_open_sessions(3, WhenFull::Refuse));
        assert_eq!(run.push(1, 7), Pushed::Opened);
        assert_eq!(run.push(2, 7), Pushed::Refused((), Refusal::Full));
        assert_eq!(run.push(1, 12), Pushed::Opened, "one of its windows is open");
        assert_eq!(run.open(), 3);
        let mut run = Run::new(sliding().max_open_sessions(3, WhenFull::CloseOldest));
        assert_eq!([1, 2].map(|key| run.push(key, 7)), [Pushed::Opened; 2]);
        assert_eq!((run.closed(), run.open()), ([(1, 0, 10, 1)].into(), 3));
    }

    #[test]
    fn what_one_call_may_not_emit_comes_with_the_next() {
        let mut run = Run::new(tens().close_at_most(2));
        for key in 1..=5 {
            assert_eq!(run.push(key, 5), Pushed::Opened);
        }
        assert_eq!(run.advance(10), [(1, 0, 10, 1), (2, 0, 10, 1)]);
        assert_eq!((run.open(), run.push(5, 6)), (3, Pushed::Late(())));
        assert_eq!(run.closed(), [(3, 0, 10, 1), (4, 0, 10, 1)]);
        assert_eq!(run.advance(10), [(5, 0, 10, 1)]);
    }

    #[test]
    fn pending_sessions_need_not_come_before_an_event_ahead_of_the_watermark() {
        let mut run = Run::new(tens().allowed_lateness(us(5)).close_at_most(1));
        for key in 1..=3 {
            assert_eq!(run.push(key, 5), Pushed::Opened);
        }
        assert_eq!(run.advance(10), [(1, 0, 10, 1)]);
        assert_eq!(run.push(3, 11), Pushed::Opened);
        assert_eq!(run.closed(), [(2, 0, 10, 1)]);
    }

    #[test]
    fn pending_sessions_come_before_a_correction() {
        let mut run = Run::new(tens().allowed_lateness(us(5)).close_at_most(1));
        for key in 1..=3 {
            assert_eq!(run.push(key, 5), Pushed::Opened);
        }
        assert_eq!(run.advance(10), [(1, 0, 10, 1)]);
        assert_eq!(run.push(3, 6), Pushed::Extended);
        assert_eq!(run.closed(), [(2, 0, 10, 1), (3, 0, 10, 1), (3, 0, 10, 2)]);
    }

    #[test]
    fn keys_whose_hashes_look_alike_are_apart() {
        let mut sessions = Config::<u32, ()>::new(Stagger::on_event_time(Bucket::step(us(10)))).build().expect("works");
        for expected in [Pushed::Opened, Pushed::Extended, Pushed::Extended] {
            for key in 0..4_000 {
                assert_eq!(sessions.push(Event::new(key, at(5), ()), &mut |_| {}).map(|_| ()), expected, "{key}");
            }
        }
    }

    #[test]
    fn the_next_deadline_is_that_of_the_first_window() {
        let mut run = Run::new(tens().close_at_most(1));
        assert_eq!(run.engine.next_deadline(), None);
        for (key, time) in [(1, 25), (1, 15), (1, 5), (2, 5)] {
            assert_eq!(run.push(key, time), Pushed::Opened);
        }
        assert_eq!(run.engine.next_deadline(), Some(at(10)));
        run.advance(10);
        assert_eq!(run.engine.next_deadline(), Some(at(10)), "one is pending");
        run.advance(10);
        assert_eq!(run.engine.next_deadline(), Some(at(20)));
    }
}
