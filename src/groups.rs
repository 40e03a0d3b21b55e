//! Sessions that are over at the same instant: those of one bucket, or of one sliding window.
//!
//! Each window has an index of its own, so that nothing needs to be taken out of an index, put in
//! order or looked at again when the window is over: its sessions come out as they opened.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::deadline::Entry;
use crate::index::{Glance, Index};
use crate::slab::SlotId;
use crate::time::Timestamp;

/// The windows with open sessions.
pub(crate) struct Groups {
    /// By start or index, which no other window has.
    by_place: BTreeMap<i64, GroupId>,
    /// In the order in which something must be done about them: those first that have not been
    /// handed out.
    by_deadline: BTreeMap<(Next, i64), GroupId>,
    groups: Vec<Group>,
    free: Vec<GroupId>,
    /// Windows used lately: most events go to one of a few.
    recent: [(i64, GroupId); RECENT],
    /// Nothing is due before this.
    bound: Timestamp,
}

/// When something must be done about a group, and whether its sessions have been handed out then.
pub(crate) type Next = (Timestamp, bool);

/// The place of a group; used again when it is over.
pub(crate) type GroupId = usize;

/// The sessions of one window.
pub(crate) struct Group {
    pub(crate) place: i64,
    next: Next,
    index: Index,
    /// In order of their opening.
    pub(crate) entries: Vec<Entry>,
}

const RECENT: usize = 16;
const NOWHERE: (i64, GroupId) = (0, GroupId::MAX);
/// So many windows that are over may keep memory for those to come.
const SPARE: usize = 4;

/// Where a window is noted among those used lately.
#[inline]
const fn note_of(place: i64) -> usize {
    (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> (usize::BITS - RECENT.ilog2())
}

impl Groups {
    pub(crate) const fn new() -> Self {
        Self {
            by_place: BTreeMap::new(),
            by_deadline: BTreeMap::new(),
            groups: Vec::new(),
            free: Vec::new(),
            recent: [NOWHERE; RECENT],
            bound: Timestamp::MAX,
        }
    }

    /// Nothing is due before this. O(1).
    #[inline]
    pub(crate) const fn bound(&self) -> Timestamp {
        self.bound
    }

    /// The group of a window, if it has sessions. O(1) if it was used lately.
    #[inline]
    pub(crate) fn find(&mut self, place: i64) -> Option<GroupId> {
        let (known, group) = self.recent[note_of(place)];
        if known == place && group != GroupId::MAX { Some(group) } else { self.look_up(place) }
    }

    #[inline(never)]
    fn look_up(&mut self, place: i64) -> Option<GroupId> {
        let group = *self.by_place.get(&place)?;
        self.recent[note_of(place)] = (place, group);
        Some(group)
    }

    /// The group of a window, or else an empty one about which something must be done at `next`.
    #[inline]
    pub(crate) fn find_or_open(&mut self, place: i64, next: Next) -> GroupId {
        let Some(group) = self.find(place) else { return self.open(place, next) };
        if next < self.groups[group].next {
            self.bring_forward(group, next);
        }
        group
    }

    #[inline(never)]
    fn open(&mut self, place: i64, next: Next) -> GroupId {
        let group = self.free.pop().unwrap_or_else(|| {
            self.groups.push(Group::NEW);
            self.groups.len() - 1
        });
        (self.groups[group].place, self.groups[group].next) = (place, next);
        self.by_place.insert(place, group);
        self.by_deadline.insert((next, place), group);
        self.bound = self.bound.min(next.0);
        self.recent[note_of(place)] = (place, group);
        group
    }

    #[cold]
    fn bring_forward(&mut self, group: GroupId, next: Next) {
        let Group { place, next: before, .. } = self.groups[group];
        self.by_deadline.remove(&(before, place));
        self.by_deadline.insert((next, place), group);
        self.groups[group].next = next;
        self.bound = self.bound.min(next.0);
    }

    #[inline]
    pub(crate) fn get(&self, group: GroupId) -> &Group {
        &self.groups[group]
    }

    /// What one look says of the slot of a key in a window.
    #[inline]
    pub(crate) fn glance(&mut self, place: i64, hash: u32) -> Glance {
        self.find(place).map_or(Glance::Absent, |group| self.groups[group].index.glance(hash))
    }

    /// Adds a session. `hash_of` tells the hash of one that is in.
    #[inline]
    pub(crate) fn insert(&mut self, group: GroupId, hash: u32, entry: Entry, hash_of: impl Fn(SlotId) -> u32) {
        let group = &mut self.groups[group];
        group.index.insert(hash, entry.slot, hash_of);
        group.entries.push(entry);
    }

    /// Makes a session of a window unknown.
    pub(crate) fn forget(&mut self, place: i64, hash: u32, slot: SlotId, hash_of: impl Fn(SlotId) -> u32) {
        if let Some(group) = self.find(place) {
            self.groups[group].index.remove(hash, slot, hash_of);
        }
    }

    /// Lets go of the entries of a window that are of no use, when they are the greater part.
    pub(crate) fn forget_entries(&mut self, place: i64, is_of_use: impl Fn(&Entry) -> bool) {
        if let Some(group) = self.find(place) {
            let Group { entries, index, .. } = &mut self.groups[group];
            if entries.len() > 2 * index.len() + 16 {
                entries.retain(is_of_use);
            }
        }
    }

    /// What must be done next, if there is a group.
    pub(crate) fn next(&self) -> Option<Next> {
        self.by_deadline.first_key_value().map(|((next, _), _)| *next)
    }

    /// Takes the group of the first deadline out.
    pub(crate) fn pop_first(&mut self) -> Option<Group> {
        let ((_, place), group) = self.by_deadline.pop_first()?;
        self.bound = self.next().map_or(Timestamp::MAX, |(deadline, _)| deadline);
        self.by_place.remove(&place);
        self.recent[note_of(place)] = NOWHERE;
        self.free.push(group);
        Some(core::mem::replace(&mut self.groups[group], Group::NEW))
    }

    /// Puts a group back in that has been handed out, until another deadline.
    pub(crate) fn keep_until(&mut self, deadline: Timestamp, group: Group) {
        let next = (deadline, true);
        let id = self.find_or_open(group.place, next);
        self.groups[id] = Group { next, ..group };
    }

    /// Lets go of a group that is over. What it leaves serves the next.
    pub(crate) fn let_go(&mut self, mut group: Group) {
        if self.by_place.is_empty() {
            *self = Self::new();
            return;
        }
        let Some(&place) = self.free.last().filter(|_| self.free.len() <= SPARE) else { return };
        group.index.clear();
        group.entries.clear();
        self.groups[place] = group;
    }
}

impl Group {
    const NEW: Self = Self { place: 0, next: (Timestamp::MAX, true), index: Index::NEW, entries: Vec::new() };

    /// The session that `is_it` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl FnMut(SlotId) -> bool) -> Option<SlotId> {
        self.index.find(hash, is_it)
    }
}
