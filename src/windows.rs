//! Windows on the event clock: each owns its sessions, which end together.
//!
//! Sessions lie in order of their opening, beside an index of the window's own. So nothing is taken out
//! of an index, put in order or looked at again when the window is over: its sessions are emitted from
//! front to back, and index and list serve a later window.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::data::Key;
use crate::index::Index;
use crate::segments::Segments;
use crate::session::{RareState, Removed, Session, WithRare};
use crate::time::Timestamp;
use crate::window::Window;

/// The windows that have sessions.
pub(crate) struct WindowTable<K, V, S> {
    windows: Vec<OpenWindow<K, V, S>>,
    free: Vec<WindowId>,
    by_start: BTreeMap<i64, WindowId>,
    /// In the order in which something must be done about them: those first that have not been emitted.
    by_deadline: BTreeMap<(Next, i64), WindowId>,
    /// Windows used lately: most events go to one of a few.
    recent: [(i64, WindowId); RECENT],
    /// Spreads starts over `recent`.
    scatter: u64,
    /// Nothing is due before this.
    bound: Timestamp,
}

/// When something must be done about a window, and whether its sessions have been emitted by then.
pub(crate) type Next = (Timestamp, bool);

/// The index of a window in the table; used again when the window is over.
pub(crate) type WindowId = usize;

/// The number of a session in its window, in order of opening.
pub(crate) type Number = u32;

/// A session, or nothing where one was removed before the window was over.
type Slot<K, V, S> = Option<Session<K, V, S>>;

type Slots<'w, K, V, S> = Option<&'w mut [Slot<K, V, S>]>;
type RareStates<V> = HashMap<Number, RareState<V>>;

/// One window with its sessions.
pub(crate) struct OpenWindow<K, V, S> {
    /// What tells it from others: its start, or the index of a sliding window.
    pub(crate) start: i64,
    pub(crate) span: Window,
    next: Next,
    index: Index,
    sessions: Segments<Slot<K, V, S>>,
    /// No session has a lower number.
    first: Number,
    rare: RareStates<V>,
}

const RECENT_BITS: u32 = 5;
const RECENT: usize = 1 << RECENT_BITS;
const NOWHERE: (i64, WindowId) = (0, WindowId::MAX);
/// The number of past windows that keep memory for new ones, at any size…
const SPARE: usize = 4;
/// …and the number of small ones, which have at most `SMALL` sessions.
const SMALL_SPARE: usize = 64;
const SMALL: usize = 64;

/// Spreads starts that are multiples of some width.
pub(crate) const BY_START: u64 = 0x9e37_79b9_7f4a_7c15;
/// Spreads consecutive indices: takes their lowest bits.
pub(crate) const BY_INDEX: u64 = 1 << (u64::BITS - RECENT_BITS);

impl<K: Key, V, S> WindowTable<K, V, S> {
    pub(crate) const fn new(scatter: u64) -> Self {
        Self {
            windows: Vec::new(),
            free: Vec::new(),
            by_start: BTreeMap::new(),
            by_deadline: BTreeMap::new(),
            recent: [NOWHERE; RECENT],
            scatter,
            bound: Timestamp::MAX,
        }
    }

    /// Nothing is due before this. O(1).
    #[inline]
    pub(crate) const fn bound(&self) -> Timestamp {
        self.bound
    }

    /// Where a window is noted among those used lately.
    #[inline]
    const fn note_of(&self, start: i64) -> usize {
        ((start as u64).wrapping_mul(self.scatter) >> (u64::BITS - RECENT_BITS)) as usize
    }

    /// The window with a start, if it has sessions. O(1) if it was used lately, else O(log n).
    #[inline]
    pub(crate) fn find(&mut self, start: i64) -> Option<WindowId> {
        let (known, id) = self.recent[self.note_of(start)];
        if known == start && id != WindowId::MAX { Some(id) } else { self.look_up(start) }
    }

    #[inline(never)]
    fn look_up(&mut self, start: i64) -> Option<WindowId> {
        let id = *self.by_start.get(&start)?;
        self.recent[self.note_of(start)] = (start, id);
        Some(id)
    }

    /// The same, without a note.
    pub(crate) fn peek(&self, start: i64) -> Option<WindowId> {
        self.by_start.get(&start).copied()
    }

    /// The window with an id, if there is one.
    #[inline(always)]
    pub(crate) fn try_get(&self, id: WindowId) -> Option<&OpenWindow<K, V, S>> {
        self.windows.get(id)
    }

    #[inline(always)]
    pub(crate) fn get(&self, id: WindowId) -> &OpenWindow<K, V, S> {
        &self.windows[id]
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, id: WindowId) -> &mut OpenWindow<K, V, S> {
        &mut self.windows[id]
    }

    #[inline(always)]
    pub(crate) fn try_get_mut(&mut self, id: WindowId) -> Option<&mut OpenWindow<K, V, S>> {
        self.windows.get_mut(id)
    }

    /// The window with a start, or else an empty one about which something must be done at `next`.
    #[inline]
    pub(crate) fn find_or_open(&mut self, start: i64, span: Window, next: Next) -> WindowId {
        let Some(id) = self.find(start) else { return self.open(start, span, next) };
        if next < self.windows[id].next {
            self.bring_forward(id, next);
        }
        id
    }

    #[inline(never)]
    fn open(&mut self, start: i64, span: Window, next: Next) -> WindowId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.windows.push(OpenWindow::new());
            self.windows.len() - 1
        });
        let window = &mut self.windows[id];
        (window.start, window.span, window.next) = (start, span, next);
        self.by_start.insert(start, id);
        self.by_deadline.insert((next, start), id);
        self.bound = self.bound.min(next.0);
        self.recent[self.note_of(start)] = (start, id);
        id
    }

    #[cold]
    fn bring_forward(&mut self, id: WindowId, next: Next) {
        let OpenWindow { start, next: before, .. } = self.windows[id];
        self.by_deadline.remove(&(before, start));
        self.by_deadline.insert((next, start), id);
        self.windows[id].next = next;
        self.bound = self.bound.min(next.0);
    }

    /// The next task, if there is a window.
    pub(crate) fn next(&self) -> Option<Next> {
        self.by_deadline.first_key_value().map(|((next, _), _)| *next)
    }

    /// Takes the window of the first deadline out: no event finds it any more.
    pub(crate) fn pop_first(&mut self) -> Option<OpenWindow<K, V, S>> {
        let (_, id) = self.by_deadline.first_key_value()?;
        Some(self.take(*id))
    }

    /// Takes a window out.
    pub(crate) fn take(&mut self, id: WindowId) -> OpenWindow<K, V, S> {
        let window = core::mem::replace(&mut self.windows[id], OpenWindow::new());
        self.by_start.remove(&window.start);
        self.by_deadline.remove(&(window.next, window.start));
        self.bound = self.next().map_or(Timestamp::MAX, |(deadline, _)| deadline);
        self.recent[self.note_of(window.start)] = NOWHERE;
        self.free.push(id);
        window
    }

    /// Puts a window back in that was taken out.
    pub(crate) fn put_back(&mut self, next: Next, window: OpenWindow<K, V, S>) {
        let id = self.find_or_open(window.start, window.span, next);
        self.windows[id] = OpenWindow { next, ..window };
    }

    /// Lets a window that is over serve a later one with its memory.
    pub(crate) fn recycle(&mut self, mut window: OpenWindow<K, V, S>) {
        if self.by_start.is_empty() {
            *self = Self::new(self.scatter);
            return;
        }
        let spare = if window.sessions.len() <= SMALL { SMALL_SPARE } else { SPARE };
        let Some(&id) = self.free.last().filter(|_| self.free.len() <= spare) else { return };
        window.clear();
        self.windows[id] = window;
    }

    /// Gives back memory that a peak has left.
    pub(crate) fn shrink_to_fit(&mut self) {
        let windows: Vec<_> = core::iter::from_fn(|| self.pop_first()).collect();
        *self = Self::new(self.scatter);
        windows.into_iter().for_each(|window| self.put_back(window.next, window));
    }

    /// The windows that have sessions, in order of their start.
    pub(crate) fn ids(&self) -> impl Iterator<Item = WindowId> {
        self.by_start.values().copied()
    }
}

impl<K: Key, V, S> OpenWindow<K, V, S> {
    fn new() -> Self {
        let (span, next) = (Window::new(Timestamp::MIN, Timestamp::MIN), (Timestamp::MAX, true));
        let (index, sessions, rare) = (Index::new(), Segments::new(), HashMap::new());
        Self { start: 0, span, next, index, sessions, first: 0, rare }
    }

    fn clear(&mut self) {
        self.index.clear();
        self.sessions.clear();
        self.rare = HashMap::new();
        self.first = 0;
    }

    /// The number of the session of a key. Expected O(1).
    #[inline(never)]
    pub(crate) fn find(&self, hash: u64, key: K::Ref<'_>) -> Option<Number> {
        self.index.find(hash, |number| self.is_of(number, key))
    }

    /// The session of a key, to be changed. Expected O(1).
    #[inline(always)]
    pub(crate) fn find_mut(&mut self, hash: u64, key: K::Ref<'_>) -> Option<(Number, &mut Session<K, V, S>)> {
        let number = self.index.find(hash, |number| self.is_of(number, key))?;
        Some((number, self.sessions.get_mut(number)?.as_mut()?))
    }

    #[inline(always)]
    fn is_of(&self, number: Number, key: K::Ref<'_>) -> bool {
        self.get(number).is_some_and(|session| session.key.key_eq(key))
    }

    /// The number of the likely session under a hash, after one look.
    #[inline(always)]
    pub(crate) fn likely(&self, hash: u64) -> Option<Number> {
        self.index.likely(hash)
    }

    #[inline(always)]
    pub(crate) fn get(&self, number: Number) -> Option<&Session<K, V, S>> {
        self.sessions.get(number)?.as_ref()
    }

    /// Adds a session. `hash_of` tells the hash of a key that is in.
    #[inline(always)]
    pub(crate) fn insert_with(
        &mut self,
        hash: u64,
        make: impl FnOnce() -> Session<K, V, S>,
        hash_of: impl Fn(&K) -> u64,
    ) -> Number {
        let number = self.sessions.push_with(|| Some(make()));
        let sessions = &self.sessions;
        let hash_at = |number| sessions.get(number).and_then(Option::as_ref).map_or(0, |session| hash_of(&session.key));
        self.index.insert(hash, number, hash_at);
        number
    }

    /// Removes a session when the window is over, or makes room. The index forgets it only if `hash` tells where.
    #[inline]
    pub(crate) fn remove(&mut self, number: Number, hash: Option<u64>) -> Option<Removed<K, V, S>> {
        let session = self.sessions.get_mut(number)?.take()?;
        if let Some(hash) = hash {
            self.index.remove(hash, number);
        }
        let rare = if session.has_rare_state() { self.rare.remove(&number) } else { None };
        Some(Removed { session, rare })
    }

    /// Makes the index anew, for the sessions that are in.
    #[cold]
    pub(crate) fn reindex(&mut self, hash_of: impl Fn(&K) -> u64) {
        self.index = Index::new();
        let Self { index, sessions, .. } = self;
        let hash_at = |number| sessions.get(number).and_then(Option::as_ref).map_or(0, |session| hash_of(&session.key));
        for (number, _) in sessions.iter().filter(|(_, session)| session.is_some()) {
            index.insert(hash_at(number), number, hash_at);
        }
    }

    /// Sessions that lie next to each other from this number on, if there are any, and the rare states of all.
    #[inline]
    pub(crate) fn slots_from(&mut self, number: Number) -> (Slots<'_, K, V, S>, &mut RareStates<V>) {
        (self.sessions.slots_from(number), &mut self.rare)
    }

    /// The session that opened first, of those that are left.
    pub(crate) fn oldest(&mut self) -> Option<(Number, &Session<K, V, S>)> {
        while self.first != self.sessions.end() && self.get(self.first).is_none() {
            self.first = self.first.wrapping_add(1);
        }
        self.sessions.release_before(self.first);
        self.get(self.first).map(|session| (self.first, session))
    }

    /// How many sessions can be found in it.
    pub(crate) const fn len(&self) -> usize {
        self.index.len()
    }

    /// The numbers of its sessions: from the first to the one after the last. Some may be gone.
    pub(crate) const fn numbers(&self) -> (Number, Number) {
        (self.first, self.sessions.end())
    }

    /// The rare state of a session.
    #[inline]
    pub(crate) fn rare(&self, number: Number, session: &Session<K, V, S>) -> Option<&RareState<V>> {
        if session.has_rare_state() { self.rare.get(&number) } else { None }
    }

    /// A session with its rare state: a blank one at first.
    pub(crate) fn with_rare(&mut self, number: Number) -> Option<WithRare<'_, K, V, S>> {
        let session = self.sessions.get_mut(number)?.as_mut()?;
        session.set_rare_state();
        Some((session, self.rare.entry(number).or_default()))
    }

    pub(crate) fn set_rare(&mut self, number: Number, rare: RareState<V>) {
        if let Some((_, blank)) = self.with_rare(number) {
            *blank = rare;
        }
    }

    /// Every session with its rare state, in order of opening.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Session<K, V, S>, Option<&RareState<V>>)> {
        self.sessions.iter().filter_map(|(number, session)| {
            let session = session.as_ref()?;
            Some((session, self.rare(number, session)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::session::Opening;
    use crate::testing::at;

    type Windows = WindowTable<u8, (), ()>;

    fn span(start: i64) -> Window {
        Window::new(at(start), at(start + 10))
    }

    fn open(table: &mut Windows, start: i64, next: Next) -> WindowId {
        table.find_or_open(start, span(start), next)
    }

    fn insert(window: &mut OpenWindow<u8, (), ()>, key: u8, opened: u64) -> Number {
        let session = Session::open(&Event::new(key, at(0), ()), Opening { edge: at(10), opened }, ());
        window.insert_with(key.into(), || session, |key| (*key).into())
    }

    fn starts(table: &mut Windows) -> Vec<i64> {
        core::iter::from_fn(|| table.pop_first()).map(|window| window.start).collect()
    }

    #[test]
    fn windows_are_due_by_deadline_and_those_first_that_were_not_emitted() {
        let mut table = Windows::new(BY_START);
        for (start, deadline, was_emitted) in [(30, 40, false), (20, 35, true), (25, 35, false), (10, 20, false)] {
            open(&mut table, start, (at(deadline), was_emitted));
        }
        assert_eq!((table.bound(), table.next()), (at(20), Some((at(20), false))));
        assert_eq!(starts(&mut table), [10, 25, 20, 30]);
        assert_eq!((table.bound(), table.next()), (Timestamp::MAX, None));
    }

    #[test]
    fn a_window_is_found_until_it_is_taken() {
        let mut table = Windows::new(BY_START);
        let id = open(&mut table, 10, (at(20), false));
        assert_eq!((table.find(10), table.find(0), table.find(20)), (Some(id), None, None));
        table.take(id);
        assert_eq!(table.find(10), None);
    }

    #[test]
    fn windows_that_share_a_note_are_both_found() {
        let mut table = Windows::new(BY_INDEX);
        let apart = RECENT as i64;
        let [a, b] = [0, apart].map(|start| open(&mut table, start, (at(start), false)));
        assert_eq!(table.note_of(0), table.note_of(apart));
        for _ in 0..2 {
            assert_eq!([0, apart].map(|start| table.find(start)), [Some(a), Some(b)]);
        }
        assert_ne!(table.note_of(0), table.note_of(1), "neighbours do not share one");
    }

    #[test]
    fn an_earlier_deadline_counts_and_a_later_one_does_not() {
        let mut table = Windows::new(BY_START);
        let id = open(&mut table, 10, (at(25), true));
        assert_eq!(open(&mut table, 10, (at(30), true)), id);
        assert_eq!(table.next(), Some((at(25), true)));
        assert_eq!(open(&mut table, 10, (at(20), false)), id);
        assert_eq!((table.next(), table.bound()), (Some((at(20), false)), at(20)));
        assert_eq!(starts(&mut table), [10]);
    }

    #[test]
    fn a_window_that_is_kept_is_due_again_with_its_sessions() {
        let mut table = Windows::new(BY_START);
        let id = open(&mut table, 10, (at(20), false));
        insert(table.get_mut(id), 1, 1);
        let window = table.pop_first().expect("it is due");
        table.put_back((at(25), true), window);
        assert_eq!((table.next(), table.bound()), (Some((at(25), true)), at(25)));
        let id = table.find(10).expect("it is kept");
        assert_eq!(table.get(id).find(1, 1), Some(0));
    }

    #[test]
    fn shrinking_keeps_windows_and_their_order() {
        let mut table = Windows::new(BY_START);
        for start in [30, 10, 20] {
            let id = open(&mut table, start, (at(start + 10), false));
            insert(table.get_mut(id), 1, 1);
        }
        table.pop_first();
        table.shrink_to_fit();
        assert_eq!((table.windows.len(), table.bound()), (2, at(30)));
        let id = table.find(20).expect("it is there");
        assert_eq!(table.get(id).find(1, 1), Some(0));
        assert_eq!(starts(&mut table), [20, 30]);
    }

    #[test]
    fn the_memory_of_a_window_that_is_over_serves_the_next() {
        let mut table = Windows::new(BY_START);
        for start in [10, 20] {
            let id = open(&mut table, start, (at(start + 10), false));
            insert(table.get_mut(id), 1, 1);
        }
        let over = table.pop_first().expect("it is due");
        table.recycle(over);
        let id = open(&mut table, 30, (at(40), false));
        let window = table.get(id);
        assert_eq!((table.windows.len(), window.len(), window.numbers(), window.find(1, 1)), (2, 0, (0, 0), None));
        for start in [20, 30] {
            let over = table.pop_first().expect("it is due");
            assert_eq!(over.start, start);
            table.recycle(over);
        }
        assert!(table.windows.is_empty(), "with the last window all memory is given back");
    }

    #[test]
    fn the_oldest_session_is_the_first_that_is_left() {
        let mut window = OpenWindow::new();
        assert!(window.oldest().is_none());
        let [a, b, c] = [1, 2, 3].map(|key| insert(&mut window, key, key.into()));
        assert!(window.remove(b, Some(2)).is_some());
        assert_eq!(window.oldest().map(|(number, _)| number), Some(a));
        assert!(window.remove(a, Some(1)).is_some() && window.remove(a, Some(1)).is_none());
        assert_eq!(window.oldest().map(|(number, session)| (number, session.opened)), Some((c, 3)));
        assert_eq!((window.len(), window.numbers(), window.find(2, 2)), (1, (c, c + 1), None));
    }

    #[test]
    fn rare_state_leaves_with_its_session() {
        let mut window = OpenWindow::new();
        let number = insert(&mut window, 1, 1);
        window.set_rare(number, RareState { part: 3, ..RareState::default() });
        assert_eq!(window.iter().map(|(_, rare)| rare.map(|rare| rare.part)).collect::<Vec<_>>(), [Some(3)]);
        let removed = window.remove(number, None).expect("it is there");
        assert_eq!(removed.rare.map(|rare| rare.part), Some(3));
        assert!(window.with_rare(number).is_none() && window.iter().next().is_none());
    }
}
