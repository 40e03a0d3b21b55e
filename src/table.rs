//! The open sessions, found by key. Never compares times but for the order within one key.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::data::{Key, Value};
use crate::session::Session;
use crate::time::Timestamp;

/// A place in the table. It stays the same while the session is open, and is used again after.
pub(crate) type SlotId = u32;

/// Sessions live in slots. An index finds the slot by the hash of (key, bucket); a key that has
/// several sessions at once, which only gap sessions can, is sent on to a tree ordered by their
/// first event.
pub(crate) struct Table<K, V, S> {
    slots: Vec<Slot<K, V, S>>,
    free: Vec<SlotId>,
    index: HashTable<Indexed>,
    trees: Vec<BTreeMap<Place, SlotId>>,
    free_trees: Vec<u32>,
    hasher: DefaultHashBuilder,
}

struct Slot<K, V, S> {
    generation: u32,
    hash: u32,
    session: Option<Session<K, V, S>>,
}

/// Half a hash is kept, so that most mismatches are seen without a look at the slot and the index
/// can grow without one.
#[derive(Clone, Copy)]
struct Indexed {
    hash: u32,
    home: Home,
}

/// Where the sessions of one partition are: in one slot, or in a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home(u32);

/// The order of sessions within a key: by first event, then by opening.
type Place = (Timestamp, u64);

const TREE: u32 = 1 << 31;

/// More sessions than this cannot be open at once.
pub(crate) const MOST_SESSIONS: usize = TREE as usize - 1;

impl Home {
    pub(crate) const fn slot(self) -> Option<SlotId> {
        if self.0 & TREE == 0 { Some(self.0) } else { None }
    }

    const fn tree(self) -> usize {
        (self.0 & !TREE) as usize
    }
}

/// Spreads half a hash over the bits that the index looks at.
const fn spread(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}

impl<K: Key, V: Value, S> Table<K, V, S> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            trees: Vec::new(),
            free_trees: Vec::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn hash(&self, key: &K::Ref<'_>, bucket: i64) -> u32 {
        let hash = self.hasher.hash_one((key, bucket));
        (hash >> 32) as u32 ^ hash as u32
    }

    /// The home of a partition.
    #[inline]
    pub(crate) fn find(&self, hash: u32, key: &K::Ref<'_>, bucket: i64) -> Option<Home> {
        let same = |indexed: &Indexed| {
            indexed.hash == hash && {
                let session = self.get(self.any_slot(indexed.home));
                session.bucket == bucket && session.key.is(*key)
            }
        };
        self.index.find(spread(hash), same).map(|indexed| indexed.home)
    }

    /// The only session of a partition that cannot have several.
    #[inline]
    pub(crate) fn find_one(&self, hash: u32, key: &K::Ref<'_>, bucket: i64) -> Option<SlotId> {
        self.find(hash, key, bucket)?.slot()
    }

    fn any_slot(&self, home: Home) -> SlotId {
        home.slot().unwrap_or_else(|| {
            let first = self.trees[home.tree()].first_key_value();
            *first.expect("a tree in the index is never empty").1
        })
    }

    #[inline]
    pub(crate) fn get(&self, slot: SlotId) -> &Session<K, V, S> {
        self.slots[slot as usize].session.as_ref().expect("the slot is in use")
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: SlotId) -> &mut Session<K, V, S> {
        self.slots[slot as usize].session.as_mut().expect("the slot is in use")
    }

    /// The session in a slot, if it still is the one of that generation.
    pub(crate) fn get_if(&self, slot: SlotId, generation: u32) -> Option<&Session<K, V, S>> {
        let slot = self.slots.get(slot as usize)?;
        slot.session.as_ref().filter(|_| slot.generation == generation)
    }

    pub(crate) fn generation(&self, slot: SlotId) -> u32 {
        self.slots[slot as usize].generation
    }

    /// The slots of all sessions of a partition, in order of their first event, from the latest
    /// that begins before `before` backwards.
    pub(crate) fn before(&self, home: Home, before: Timestamp) -> impl Iterator<Item = SlotId> + '_ {
        let one = home.slot();
        let end = if before == Timestamp::MAX { (before, u64::MAX) } else { (before, 0) };
        let many = one.is_none().then(|| self.trees[home.tree()].range(..end).rev().map(|(_, slot)| *slot));
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Every session, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session<K, V, S>> {
        self.slots.iter().filter_map(|slot| slot.session.as_ref())
    }

    /// Adds a session; if its key may have others, it gets a place beside them.
    pub(crate) fn insert(&mut self, hash: u32, several: bool, session: Session<K, V, S>) -> SlotId {
        let home = if several { self.find(hash, &session.key.lend(), session.bucket) } else { None };
        let place = place_of(&session);
        let slot = self.store(hash, session);
        match home {
            None => {
                let indexed = Indexed { hash, home: Home(slot) };
                self.index.insert_unique(spread(hash), indexed, |indexed| spread(indexed.hash));
            }
            Some(home) => self.insert_beside(hash, home, place, slot),
        }
        slot
    }

    fn store(&mut self, hash: u32, session: Session<K, V, S>) -> SlotId {
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot as usize];
            place.hash = hash;
            place.session = Some(session);
            return slot;
        }
        self.slots.push(Slot { generation: 0, hash, session: Some(session) });
        self.slots.len() as SlotId - 1
    }

    #[cold]
    fn insert_beside(&mut self, hash: u32, home: Home, place: Place, slot: SlotId) {
        if let Some(other) = home.slot() {
            let theirs = place_of(self.get(other));
            let tree = self.free_trees.pop().unwrap_or_else(|| {
                self.trees.push(BTreeMap::new());
                self.trees.len() as u32 - 1
            });
            self.trees[tree as usize].extend([(theirs, other), (place, slot)]);
            self.rehome(hash, home, Home(tree | TREE));
        } else {
            self.trees[home.tree()].insert(place, slot);
        }
    }

    fn rehome(&mut self, hash: u32, from: Home, to: Home) {
        let found = self.index.find_mut(spread(hash), |indexed| indexed.home == from);
        found.expect("every home is in the index").home = to;
    }

    /// Changes a session in a way that may change its place among those of its key.
    pub(crate) fn update<T>(&mut self, hash: u32, slot: SlotId, change: impl FnOnce(&mut Session<K, V, S>) -> T) -> T {
        let session = self.get_mut(slot);
        let before = place_of(session);
        let result = change(session);
        let after = place_of(session);
        if before != after {
            self.move_place(hash, slot, before, after);
        }
        result
    }

    #[cold]
    fn move_place(&mut self, hash: u32, slot: SlotId, before: Place, after: Place) {
        let at_home = |indexed: &Indexed| indexed.home == Home(slot);
        if self.index.find(spread(hash), at_home).is_some() {
            return;
        }
        let session = self.get(slot);
        // The tree may hold this very session under its old place; any session of it has the key.
        if let Some(home) = self.find(hash, &session.key.lend(), session.bucket) {
            let tree = &mut self.trees[home.tree()];
            tree.remove(&before);
            tree.insert(after, slot);
        }
    }

    /// Takes a session out.
    pub(crate) fn remove(&mut self, slot: SlotId) -> Session<K, V, S> {
        let hash = self.slots[slot as usize].hash;
        match self.index.find_entry(spread(hash), |indexed| indexed.home == Home(slot)) {
            Ok(entry) => {
                entry.remove();
            }
            Err(_) => self.remove_from_tree(hash, slot),
        }
        let slot_ref = &mut self.slots[slot as usize];
        slot_ref.generation = slot_ref.generation.wrapping_add(1);
        self.free.push(slot);
        slot_ref.session.take().expect("the slot is in use")
    }

    #[cold]
    fn remove_from_tree(&mut self, hash: u32, slot: SlotId) {
        let session = self.get(slot);
        let place = place_of(session);
        let home = self.find(hash, &session.key.lend(), session.bucket);
        let home = home.expect("every session is in the index");
        let tree = &mut self.trees[home.tree()];
        tree.remove(&place);
        if tree.len() == 1 {
            let (_, last) = tree.pop_first().expect("one is left");
            self.free_trees.push(home.tree() as u32);
            self.rehome(hash, home, Home(last));
        }
    }

    /// Takes all sessions out, in no particular order, and gives back the memory.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Session<K, V, S>> + use<K, V, S> {
        let slots = core::mem::replace(self, Self::new()).slots;
        slots.into_iter().filter_map(|slot| slot.session)
    }

    /// The slots of a partition whose sessions fulfil a condition, in order of their first event.
    pub(crate) fn select(
        &self,
        home: Home,
        before: Timestamp,
        mut take: impl FnMut(&Session<K, V, S>) -> bool,
    ) -> SmallVec<[SlotId; 4]> {
        let mut slots: SmallVec<[SlotId; 4]> =
            self.before(home, before).take_while(|slot| take(self.get(*slot))).collect();
        slots.reverse();
        slots
    }
}

fn place_of<K, V, S>(session: &Session<K, V, S>) -> Place {
    (session.first, session.opened)
}
