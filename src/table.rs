//! Open sessions whose keys may have several, found by key. Never compares times but for the order
//! within one key.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::index::{Index, Probe};
use crate::rules::FirstLast;
use crate::session::{RareState, Removed, Session, WithRare};
use crate::slab::Slab;
use crate::time::Timestamp;

pub(crate) use crate::slab::SlotId;

/// Sessions live in slots. An index finds the slot by the hash of a key; a key that has several
/// sessions at once is sent on to a tree ordered by their first event.
pub(crate) struct Table<K, V, S> {
    slots: Slab<Session<K, V, S>>,
    rare: HashMap<SlotId, RareState<V>>,
    index: Index,
    trees: Vec<BTreeMap<OrderKey, SlotId>>,
    free_trees: Vec<u32>,
}

/// Where the sessions of a key are: in one slot, or in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location(u32);

/// The order of sessions within a key: by first event, then by opening.
type OrderKey = (Timestamp, u64);

const TREE: u32 = 1 << 31;

/// More sessions than this cannot be open at once.
pub(crate) const MAX_SESSIONS: usize = TREE as usize - 1;

impl Location {
    pub(crate) const fn slot(self) -> Option<SlotId> {
        if self.0 & TREE == 0 { Some(self.0) } else { None }
    }

    const fn tree(self) -> usize {
        (self.0 & !TREE) as usize
    }
}

impl<K: Key, V: Value, S> Table<K, V, S> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slab::new(),
            rare: HashMap::new(),
            index: Index::new(),
            trees: Vec::new(),
            free_trees: Vec::new(),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Makes room for a number of sessions, while there are none.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        self.index.reserve(sessions);
    }

    /// Every slot in use has a lower number.
    pub(crate) const fn used(&self) -> SlotId {
        self.slots.used()
    }

    /// Where the sessions of a key are. Expected O(1).
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, key: K::Ref<'_>) -> Option<Location> {
        let is_it = |number| match Location(number).slot() {
            Some(slot) => self.slots.get(slot).is_some_and(|session| session.key.key_eq(key)),
            None => self.is_tree_of(Location(number), key),
        };
        self.index.find(hash, is_it).map(Location)
    }

    /// One look at the likely only session of a key. The usual event needs no more.
    #[inline(always)]
    pub(crate) fn probe(&mut self, hash: u64, key: K::Ref<'_>) -> Probe<(SlotId, &mut Session<K, V, S>)> {
        let Some(number) = self.index.likely(hash) else { return Probe::Absent };
        let Some(slot) = Location(number).slot() else { return Probe::Unsure };
        match self.slots.get_mut(slot) {
            Some(session) if session.key.key_eq(key) => Probe::Found((slot, session)),
            _ => Probe::Unsure,
        }
    }

    #[cold]
    #[inline(never)]
    fn is_tree_of(&self, location: Location, key: K::Ref<'_>) -> bool {
        self.get(first_of(&self.trees, location)).key.key_eq(key)
    }

    /// The number of the likely slot under a hash, after one look.
    #[inline(always)]
    pub(crate) fn likely(&self, hash: u64) -> Option<SlotId> {
        self.index.likely(hash)
    }

    /// The session in a slot, if there is one.
    #[inline(always)]
    pub(crate) fn try_get(&self, slot: SlotId) -> Option<&Session<K, V, S>> {
        self.slots.get(slot)
    }

    #[inline]
    pub(crate) fn get(&self, slot: SlotId) -> &Session<K, V, S> {
        self.slots.get(slot).expect("the slot is in use")
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: SlotId) -> &mut Session<K, V, S> {
        self.slots.get_mut(slot).expect("the slot is in use")
    }

    /// The session in a slot, if it still is the one opened by that push.
    #[inline]
    pub(crate) fn get_if(&self, slot: SlotId, opened: u64) -> Option<&Session<K, V, S>> {
        self.slots.get(slot).filter(|session| session.opened == opened)
    }

    /// The same, knowing half of the number of the push: almost certainly.
    #[inline]
    pub(crate) fn get_if_half(&self, slot: SlotId, opened: u32) -> Option<&Session<K, V, S>> {
        self.slots.get(slot).filter(|session| session.opened as u32 == opened)
    }

    /// The rare state of a session.
    #[inline]
    pub(crate) fn rare(&self, slot: SlotId, session: &Session<K, V, S>) -> Option<&RareState<V>> {
        if session.has_rare_state() { self.rare.get(&slot) } else { None }
    }

    /// A session with its rare state: a blank one at first.
    pub(crate) fn with_rare(&mut self, slot: SlotId) -> WithRare<'_, K, V, S> {
        let session = self.slots.get_mut(slot).expect("the slot is in use");
        session.set_rare_state();
        (session, self.rare.entry(slot).or_default())
    }

    /// Notes that a session has changed since it was emitted. Returns whether that is the first change.
    #[cold]
    #[inline(never)]
    pub(crate) fn outdate(&mut self, slot: SlotId) -> bool {
        self.with_rare(slot).1.outdate()
    }

    /// The slots of all sessions of a partition, in order of their first event, from the latest
    /// that begins before `before` backwards.
    pub(crate) fn before(&self, location: Location, before: Timestamp) -> impl Iterator<Item = SlotId> + '_ {
        let one = location.slot();
        let end = if before == Timestamp::MAX { (before, u64::MAX) } else { (before, 0) };
        let many = one.is_none().then(|| self.trees[location.tree()].range(..end).rev().map(|(_, slot)| *slot));
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The slots of all sessions of a partition, in order of their first event.
    pub(crate) fn all_of(&self, location: Location) -> impl Iterator<Item = SlotId> + '_ {
        let one = location.slot();
        let many = one.is_none().then(|| self.trees[location.tree()].values().copied());
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Every session with its slot, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotId, &Session<K, V, S>)> {
        self.slots.iter()
    }

    /// Adds a session; if its key has others, beside them. `hash_of` tells the hash of a key that is in.
    #[inline(always)]
    pub(crate) fn insert_with(
        &mut self,
        hash: u64,
        others: Option<Location>,
        make: impl FnOnce() -> Session<K, V, S>,
        hash_of: impl Fn(&K) -> u64,
    ) -> SlotId {
        let slot = self.slots.insert_with(make);
        self.add_to_index(hash, others, slot, hash_of);
        slot
    }

    #[inline(always)]
    fn add_to_index(&mut self, hash: u64, others: Option<Location>, slot: SlotId, hash_of: impl Fn(&K) -> u64) {
        let Self { slots, index, trees, .. } = self;
        match others {
            None => index.insert(hash, slot, |number| hash_at(slots, trees, Location(number), &hash_of)),
            Some(location) => self.insert_beside(hash, location, slot),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert_beside(&mut self, hash: u64, location: Location, slot: SlotId) {
        let order_key = order_key_of(self.get(slot));
        if let Some(other) = location.slot() {
            let theirs = order_key_of(self.get(other));
            let tree = self.free_trees.pop().unwrap_or_else(|| {
                self.trees.push(BTreeMap::new());
                self.trees.len() as u32 - 1
            });
            self.trees[tree as usize].extend([(theirs, other), (order_key, slot)]);
            self.relocate(hash, location, Location(tree | TREE));
        } else {
            self.trees[location.tree()].insert(order_key, slot);
        }
    }

    fn relocate(&mut self, hash: u64, from: Location, to: Location) {
        let was_there = self.index.renumber(hash, from.0, to.0);
        debug_assert!(was_there, "every location is in the index");
    }

    /// Changes a session in a way that may change its order among those of its key.
    #[inline(always)]
    pub(crate) fn update<T>(&mut self, hash: u64, slot: SlotId, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = order_key_of(self.get(slot));
        let result = change(self);
        let after = order_key_of(self.get(slot));
        if before != after {
            self.reorder(hash, slot, before, after);
        }
        result
    }

    #[cold]
    fn reorder(&mut self, hash: u64, slot: SlotId, before: OrderKey, after: OrderKey) {
        if self.index.find(hash, |number| number == slot).is_some() {
            return;
        }
        // The tree may hold this very session under its old order; any session of it has the key.
        if let Some(location) = self.find(hash, self.get(slot).key.key_ref()) {
            let tree = &mut self.trees[location.tree()];
            tree.remove(&before);
            tree.insert(after, slot);
        }
    }

    /// Joins a session of the same key to another.
    pub(crate) fn merge<A>(&mut self, slot: SlotId, other: Removed<K, V, S>, order: FirstLast, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        if let Some(rare) = other.rare {
            let (session, ours) = self.with_rare(slot);
            ours.take_over(&session.key, rare);
        }
        self.get_mut(slot).merge(other.session, order, aggregate);
    }

    /// Removes a session.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, slot: SlotId) -> Option<Removed<K, V, S>> {
        self.forget(hash, slot);
        self.take(slot)
    }

    /// Removes a session from the index: no event finds it any more.
    #[inline(always)]
    pub(crate) fn forget(&mut self, hash: u64, slot: SlotId) {
        if !self.index.remove(hash, slot) {
            self.remove_from_tree(hash, slot);
        }
    }

    /// Frees the slot of a session that the index has [forgotten](Self::forget), or before the table is
    /// [cleared](Self::clear).
    #[inline]
    pub(crate) fn take(&mut self, slot: SlotId) -> Option<Removed<K, V, S>> {
        let session = self.slots.remove(slot)?;
        let rare = if session.has_rare_state() { self.rare.remove(&slot) } else { None };
        Some(Removed { session, rare })
    }

    /// The same for a session without rare state.
    #[inline(always)]
    pub(crate) fn take_alone(&mut self, slot: SlotId) -> Option<Session<K, V, S>> {
        self.slots.remove(slot)
    }

    #[cold]
    fn remove_from_tree(&mut self, hash: u64, slot: SlotId) {
        let session = self.get(slot);
        let order_key = order_key_of(session);
        let location = self.find(hash, session.key.key_ref());
        let location = location.expect("every session is in the index");
        let tree = &mut self.trees[location.tree()];
        tree.remove(&order_key);
        if tree.len() == 1 {
            let (_, last) = tree.pop_first().expect("one is left");
            self.free_trees.push(location.tree() as u32);
            self.relocate(hash, location, Location(last));
        }
    }

    /// Makes the index anew, for the sessions that are in slots.
    #[cold]
    pub(crate) fn reindex(&mut self, hash_of: impl Fn(&K) -> u64) {
        (self.index, self.trees, self.free_trees) = (Index::new(), Vec::new(), Vec::new());
        for slot in 0..self.used() {
            let Some(session) = self.slots.get(slot) else { continue };
            let hash = hash_of(&session.key);
            let others = self.find(hash, session.key.key_ref());
            self.add_to_index(hash, others, slot, &hash_of);
        }
    }

    /// Gives memory back while no session is open. That of a few sessions stays.
    pub(crate) fn trim(&mut self) {
        const FEW: SlotId = 1_024;
        if self.slots.used() > FEW {
            self.clear();
        }
    }

    /// Forgets all sessions and gives the memory back.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The slots of a partition whose sessions are to be taken, in order of their first event: without
    /// those to `skip`, they lie next to each other.
    pub(crate) fn select(
        &self,
        location: Location,
        before: Timestamp,
        skip: impl Fn(SlotId) -> bool,
        take: impl Fn(SlotId) -> bool,
    ) -> SmallVec<[SlotId; 4]> {
        let others = self.before(location, before).filter(|slot| !skip(*slot));
        let mut slots: SmallVec<[SlotId; 4]> = others.take_while(|slot| take(*slot)).collect();
        slots.reverse();
        slots
    }
}

/// Some session of those in a tree.
#[cold]
#[inline(never)]
fn first_of(trees: &[BTreeMap<OrderKey, SlotId>], location: Location) -> SlotId {
    *trees[location.tree()].first_key_value().expect("a tree in the index is never empty").1
}

/// The hash of the key at a location.
fn hash_at<K: Key, V, S>(
    slots: &Slab<Session<K, V, S>>,
    trees: &[BTreeMap<OrderKey, SlotId>],
    location: Location,
    hash_of: impl Fn(&K) -> u64,
) -> u64 {
    let slot = location.slot().unwrap_or_else(|| first_of(trees, location));
    slots.get(slot).map_or(0, |session| hash_of(&session.key))
}

fn order_key_of<K, V, S>(session: &Session<K, V, S>) -> OrderKey {
    (session.first, session.opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::session::Opening;
    use crate::testing::at;

    /// The hash of every key: all share one, so that only keys tell them apart.
    const HASH: u64 = 7;

    fn session(key: u8, first: i64, opened: u64) -> Session<u8, (), ()> {
        let opening = Opening { edge: at(first + 10), opened };
        Session::open(&Event::new(key, at(first), ()), opening, ())
    }

    fn insert(table: &mut Table<u8, (), ()>, key: u8, first: i64, opened: u64) -> SlotId {
        let others = table.find(HASH, key);
        table.insert_with(HASH, others, || session(key, first, opened), |_| HASH)
    }

    fn before(table: &Table<u8, (), ()>, key: u8, time: Timestamp) -> Vec<i64> {
        let location = table.find(HASH, key).expect("the key has sessions");
        table.before(location, time).map(|slot| table.get(slot).first.as_micros()).collect()
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut table = Table::new();
        let [a, b] = [1, 2].map(|key| insert(&mut table, key, 0, u64::from(key)));
        assert_eq!(table.find(HASH, 1).and_then(Location::slot), Some(a));
        assert_eq!(table.find(HASH, 2).and_then(Location::slot), Some(b));
        assert_eq!(table.find(HASH, 3), None);
    }

    #[test]
    fn several_sessions_of_a_key_are_in_order_of_their_first_event() {
        let mut table = Table::new();
        for (first, opened) in [(20, 1), (0, 2), (40, 3)] {
            insert(&mut table, 1, first, opened);
        }
        assert_eq!(before(&table, 1, at(41)), [40, 20, 0]);
        assert_eq!(before(&table, 1, at(40)), [20, 0], "one that begins at the instant is not before it");
        assert_eq!(before(&table, 1, Timestamp::MAX), [40, 20, 0]);
    }

    #[test]
    fn the_last_session_of_a_key_needs_no_tree() {
        let mut table = Table::new();
        let slots = [0, 20, 40].map(|first| insert(&mut table, 1, first, first as u64));
        assert_eq!(table.find(HASH, 1).and_then(Location::slot), None);
        for slot in [slots[1], slots[0]] {
            assert!(table.remove(HASH, slot).is_some());
        }
        assert_eq!(table.find(HASH, 1).and_then(Location::slot), Some(slots[2]));
        assert_eq!((table.len(), table.trees.len(), table.free_trees.len()), (1, 1, 1));
        insert(&mut table, 1, 60, 60);
        assert_eq!((table.trees.len(), table.free_trees.len()), (1, 0), "its tree is used again");
        assert_eq!(before(&table, 1, at(100)), [60, 40]);
    }

    #[test]
    fn an_earlier_first_event_changes_the_order() {
        let mut table = Table::new();
        let slots = [0, 20, 40].map(|first| insert(&mut table, 1, first, first as u64));
        table.update(HASH, slots[2], |table| table.get_mut(slots[2]).first = at(10));
        assert_eq!(before(&table, 1, at(100)), [20, 10, 0]);
        assert!(table.remove(HASH, slots[2]).is_some());
        assert_eq!(before(&table, 1, at(100)), [20, 0]);
    }

    #[test]
    fn a_slot_is_known_by_the_push_that_opened_its_session() {
        let mut table = Table::new();
        let slot = insert(&mut table, 1, 0, 1 << 32 | 5);
        assert!(table.get_if(slot, 1 << 32 | 5).is_some() && table.get_if(slot, 5).is_none());
        assert!(table.get_if_half(slot, 5).is_some() && table.get_if_half(slot, 6).is_none());
        table.remove(HASH, slot);
        assert!(table.get_if(slot, 1 << 32 | 5).is_none() && table.try_get(slot).is_none());
    }

    #[test]
    fn rare_state_leaves_with_its_session() {
        let mut table = Table::new();
        let slot = insert(&mut table, 1, 0, 1);
        assert!(table.rare(slot, table.get(slot)).is_none());
        table.with_rare(slot).1.part = 3;
        assert_eq!(table.rare(slot, table.get(slot)).map(|rare| rare.part), Some(3));
        assert_eq!(table.remove(HASH, slot).and_then(|removed| removed.rare).map(|rare| rare.part), Some(3));
        assert_eq!(insert(&mut table, 2, 0, 2), slot);
        assert!(table.rare(slot, table.get(slot)).is_none(), "the next session in the slot has none");
    }

    #[test]
    fn selection_skips_and_ends_with_the_first_that_is_not_taken() {
        let mut table = Table::new();
        for first in [0, 20, 40, 60] {
            insert(&mut table, 1, first, first as u64);
        }
        let location = table.find(HASH, 1).expect("the key has sessions");
        let first = |slot| table.get(slot).first;
        let chosen = table.select(location, at(60), |s| first(s) == at(20), |s| first(s) >= at(20));
        assert_eq!(chosen.iter().map(|slot| table.get(*slot).first).collect::<Vec<_>>(), [at(40)]);
        let chosen = table.select(location, at(61), |_| false, |s| first(s) >= at(20));
        assert_eq!(chosen.iter().map(|slot| table.get(*slot).first).collect::<Vec<_>>(), [at(20), at(40), at(60)]);
    }
}
