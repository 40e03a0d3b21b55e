//! The open sessions, found by key. Never compares times but for the order within one key.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::hint::black_box;

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::index::{Glance, Index};
use crate::session::{Extra, FirstLast, Mark, Session};
use crate::slab::Slab;
use crate::time::Timestamp;

pub(crate) use crate::slab::SlotId;

/// Sessions live in slots. An index finds the slot by the hash of a partition; a key that has
/// several sessions at once, which only gap sessions can, is sent on to a tree ordered by their
/// first event.
pub(crate) struct Table<K, V, S> {
    slots: Slab<Session<K, V, S>>,
    extras: HashMap<SlotId, Extra<V>>,
    index: Index,
    trees: Vec<BTreeMap<Place, SlotId>>,
    free_trees: Vec<u32>,
    hasher: DefaultHashBuilder,
}

/// A session that has been taken out, with all that is known about it.
pub(crate) struct Taken<K, V, S> {
    pub(crate) session: Session<K, V, S>,
    pub(crate) extra: Option<Extra<V>>,
}

/// Where the sessions of one partition are: in one slot, or in a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home(u32);

/// What a visit has come to.
pub(crate) enum Visited<T> {
    /// There is no session.
    Nothing,
    /// There is one, and this is the answer for it.
    One(Home, T),
    /// The key has several.
    Several(Home),
}

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

impl<K: Key, V: Value, S> Table<K, V, S> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slab::new(),
            extras: HashMap::new(),
            index: Index::NEW,
            trees: Vec::new(),
            free_trees: Vec::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Hashes as another table does. Only before the first session.
    #[cfg(feature = "std")]
    pub(crate) fn set_hasher(&mut self, hasher: DefaultHashBuilder) {
        self.hasher = hasher;
    }

    /// Half a hash of a partition: of a key, and of what tells its buckets apart.
    #[inline]
    pub(crate) fn hash(&self, key: K::Ref<'_>, salt: i64) -> u32 {
        (self.hasher.hash_one((key, salt)) >> 32) as u32
    }

    /// The session in a slot, if it has this key.
    #[inline]
    pub(crate) fn get_with_key(&mut self, slot: SlotId, key: K::Ref<'_>) -> Option<&mut Session<K, V, S>> {
        self.slots.get_mut(slot).filter(|session| session.key.is(key))
    }

    /// Makes room in the index for so many sessions of a snapshot.
    pub(crate) fn reserve(&mut self, sessions: usize) {
        self.index.reserve(sessions, |_| 0); // it is empty
    }

    /// What one look says of the slot of a key.
    #[inline]
    pub(crate) fn glance(&self, hash: u32) -> Glance {
        match self.index.glance(hash) {
            Glance::Likely(home) if Home(home).slot().is_none() => Glance::Unsure,
            glance => glance,
        }
    }

    /// Visits what may be the session of a partition: the only one with this key that `visit`
    /// answers for. Where the key has several sessions, `visit` is not asked.
    #[inline]
    pub(crate) fn visit<T>(
        &mut self,
        hash: u32,
        key: K::Ref<'_>,
        mut visit: impl FnMut(SlotId, &mut Session<K, V, S>) -> Option<T>,
    ) -> Visited<T> {
        let (slots, trees) = (&mut self.slots, &self.trees);
        let mut visited = Visited::Nothing;
        self.index.find(hash, |home| {
            let home = Home(home);
            let Some(slot) = home.slot() else {
                let same = slots.get(first_of(trees, home)).is_some_and(|session| session.key.is(key));
                if same {
                    visited = Visited::Several(home);
                }
                return same;
            };
            let session = slots.get_mut(slot).expect("the slot is in use");
            let answer = if session.key.is(key) { visit(slot, session) } else { None };
            let is_it = answer.is_some();
            if let Some(answer) = answer {
                visited = Visited::One(home, answer);
            }
            is_it
        });
        visited
    }

    /// The home of a key whose sessions only times tell apart.
    pub(crate) fn find_key(&self, hash: u32, key: K::Ref<'_>) -> Option<Home> {
        self.index.find(hash, |home| self.get(self.any_slot(Home(home))).key.is(key)).map(Home)
    }

    #[inline]
    fn any_slot(&self, home: Home) -> SlotId {
        home.slot().unwrap_or_else(|| first_of(&self.trees, home))
    }

    /// Has the memory of a partition ready for a look at it soon: first its place in the index…
    #[inline]
    pub(crate) fn touch_index(&self, hash: u32) {
        self.index.touch(hash);
    }

    /// …which tells what is likely to be its slot, then its session…
    #[inline]
    pub(crate) fn touch(&self, slot: SlotId) {
        black_box(self.slots.get(slot).map(|session| session.first));
    }

    /// …and the text of its key.
    #[inline]
    pub(crate) fn touch_key(&self, slot: SlotId, key: K::Ref<'_>) {
        black_box(self.slots.get(slot).map(|session| session.key.is(key)));
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

    /// What else is known about a session.
    #[inline]
    pub(crate) fn extra(&self, slot: SlotId, session: &Session<K, V, S>) -> Option<&Extra<V>> {
        if session.is(Mark::Extra) { self.extras.get(&slot) } else { None }
    }

    /// A session, and what else is known about it: a blank sheet at first.
    pub(crate) fn with_extra(&mut self, slot: SlotId) -> (&mut Session<K, V, S>, &mut Extra<V>) {
        let session = self.slots.get_mut(slot).expect("the slot is in use");
        session.mark(Mark::Extra, true);
        (session, self.extras.entry(slot).or_default())
    }

    /// Notes that a session with more to it is not any more what was handed out of it.
    #[cold]
    #[inline(never)]
    pub(crate) fn outdate(&mut self, slot: SlotId) {
        self.with_extra(slot).1.outdate();
    }

    /// The slots of all sessions of a partition, in order of their first event, from the latest
    /// that begins before `before` backwards.
    pub(crate) fn before(&self, home: Home, before: Timestamp) -> impl Iterator<Item = SlotId> + '_ {
        let one = home.slot();
        let end = if before == Timestamp::MAX { (before, u64::MAX) } else { (before, 0) };
        let many = one.is_none().then(|| self.trees[home.tree()].range(..end).rev().map(|(_, slot)| *slot));
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Every session with its slot, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SlotId, &Session<K, V, S>)> {
        self.slots.iter()
    }

    /// Puts a session in a slot. How it is found from there is not the table's business until it is
    /// [known](Self::make_known).
    #[inline]
    pub(crate) fn store(&mut self, session: Session<K, V, S>) -> SlotId {
        self.slots.insert(session)
    }

    /// Makes a session known under its key; if the key has a home already, beside the others.
    /// `salt_of` tells what else goes into the hash of a session.
    #[inline]
    pub(crate) fn make_known(
        &mut self,
        hash: u32,
        home: Option<Home>,
        slot: SlotId,
        salt_of: impl Fn(&Session<K, V, S>) -> i64,
    ) {
        let Self { slots, index, trees, hasher, .. } = self;
        match home {
            None => index.insert(hash, slot, |home| hash_at(slots, trees, hasher, home, &salt_of)),
            Some(home) => self.insert_beside(hash, home, place_of(self.get(slot)), slot),
        }
    }

    #[cold]
    #[inline(never)]
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
        let was_there = self.index.renumber(hash, from.0, to.0);
        debug_assert!(was_there, "every home is in the index");
    }

    /// Changes a session in a way that may change its place among those of its key.
    pub(crate) fn update<T>(&mut self, hash: u32, slot: SlotId, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = place_of(self.get(slot));
        let result = change(self);
        let after = place_of(self.get(slot));
        if before != after {
            self.move_place(hash, slot, before, after);
        }
        result
    }

    #[cold]
    fn move_place(&mut self, hash: u32, slot: SlotId, before: Place, after: Place) {
        if self.index.find(hash, |home| home == slot).is_some() {
            return;
        }
        // The tree may hold this very session under its old place; any session of it has the key.
        if let Some(home) = self.find_key(hash, self.get(slot).key.lend()) {
            let tree = &mut self.trees[home.tree()];
            tree.remove(&before);
            tree.insert(after, slot);
        }
    }

    /// Joins a session of the same key to another.
    pub(crate) fn merge<A>(&mut self, slot: SlotId, other: Taken<K, V, S>, order: FirstLast, aggregate: &A)
    where
        A: Aggregate<K, V, State = S>,
    {
        if let Some(extra) = other.extra {
            let (session, ours) = self.with_extra(slot);
            ours.take_over(&session.key, extra);
        }
        self.get_mut(slot).merge(other.session, order, aggregate);
    }

    /// Takes a session out that is known under its key.
    #[inline(always)]
    pub(crate) fn remove(
        &mut self,
        hash: u32,
        slot: SlotId,
        salt_of: impl Fn(&Session<K, V, S>) -> i64,
    ) -> Option<Taken<K, V, S>> {
        let Self { slots, index, trees, hasher, .. } = self;
        if !index.remove(hash, slot, |home| hash_at(slots, trees, hasher, home, &salt_of)) {
            self.remove_from_tree(hash, slot);
        }
        self.take(slot)
    }

    /// Takes a session out of its slot.
    #[inline(always)]
    pub(crate) fn take(&mut self, slot: SlotId) -> Option<Taken<K, V, S>> {
        let session = self.slots.remove(slot)?;
        let extra = if session.is(Mark::Extra) { self.extras.remove(&slot) } else { None };
        Some(Taken { session, extra })
    }

    #[cold]
    fn remove_from_tree(&mut self, hash: u32, slot: SlotId) {
        let session = self.get(slot);
        let place = place_of(session);
        let home = self.find_key(hash, session.key.lend());
        let home = home.expect("every session is in the index");
        let tree = &mut self.trees[home.tree()];
        tree.remove(&place);
        if tree.len() == 1 {
            let (_, last) = tree.pop_first().expect("one is left");
            self.free_trees.push(home.tree() as u32);
            self.rehome(hash, home, Home(last));
        }
    }

    /// Forgets what is left and gives back the memory.
    pub(crate) fn clear(&mut self) {
        *self = Self { hasher: self.hasher.clone(), ..Self::new() };
    }

    /// The slots of a partition whose sessions are to be taken, in order of their first event: without
    /// those to `skip`, they lie next to each other.
    pub(crate) fn select(
        &self,
        home: Home,
        before: Timestamp,
        skip: impl Fn(&Session<K, V, S>) -> bool,
        take: impl Fn(&Session<K, V, S>) -> bool,
    ) -> SmallVec<[SlotId; 4]> {
        let others = self.before(home, before).filter(|slot| !skip(self.get(*slot)));
        let mut slots: SmallVec<[SlotId; 4]> = others.take_while(|slot| take(self.get(*slot))).collect();
        slots.reverse();
        slots
    }
}

/// Some session of those in a tree.
#[cold]
#[inline(never)]
fn first_of(trees: &[BTreeMap<Place, SlotId>], home: Home) -> SlotId {
    *trees[home.tree()].first_key_value().expect("a tree in the index is never empty").1
}

/// The hash of the partition at a home.
fn hash_at<K: Key, V, S>(
    slots: &Slab<Session<K, V, S>>,
    trees: &[BTreeMap<Place, SlotId>],
    hasher: &DefaultHashBuilder,
    home: u32,
    salt_of: impl Fn(&Session<K, V, S>) -> i64,
) -> u32 {
    let slot = Home(home).slot().unwrap_or_else(|| first_of(trees, Home(home)));
    let hash = |session: &Session<K, V, S>| hasher.hash_one((session.key.lend(), salt_of(session)));
    (slots.get(slot).map_or(0, hash) >> 32) as u32
}

fn place_of<K, V, S>(session: &Session<K, V, S>) -> Place {
    (session.first, session.opened)
}
