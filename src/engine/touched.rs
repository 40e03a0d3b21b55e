//! What changes while a snapshot is taken in portions.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::Engine;
use crate::engine::shared::Out;

/// A place among the open sessions. Sessions that nothing happens to keep theirs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// Start or index of the window, where there are windows.
    pub(crate) window: Option<i64>,
    pub(crate) number: Option<u32>,
    pub(crate) is_done: bool,
}

/// Keys whose sessions may have changed since they were copied, and how far the copying has come.
pub(crate) struct Touched<K> {
    keys: Vec<K>,
    /// The places of the keys.
    index: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// How many keys were touched since the last portion.
    fresh: usize,
    pub(crate) cursor: Cursor,
    /// Parts remembered up to this closing have been copied.
    pub(crate) closing: u64,
    was_plain: bool,
}

impl<K: Key> Touched<K> {
    fn new(was_plain: bool) -> Self {
        let (keys, index, hasher) = (Vec::new(), HashTable::new(), DefaultHashBuilder::default());
        Self { keys, index, hasher, fresh: 0, cursor: Cursor::default(), closing: 0, was_plain }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn note(&mut self, key: K::Ref<'_>) {
        let Self { keys, index, hasher, fresh, .. } = self;
        let hash_of = |place: &usize| hasher.hash_one(keys[*place].key_ref());
        if let Entry::Vacant(room) = index.entry(hasher.hash_one(key), |place| keys[*place].key_eq(key), hash_of) {
            room.insert(keys.len());
            keys.push(K::key_from(key));
            *fresh += 1;
        }
    }

    pub(crate) fn take(&mut self) -> Option<K> {
        let key = self.keys.pop()?;
        let (hash, last) = (self.hasher.hash_one(key.key_ref()), self.keys.len());
        if let Ok(entry) = self.index.find_entry(hash, |place| *place == last) {
            entry.remove();
        }
        Some(key)
    }

    /// How much the next portion holds: more than what is touched meanwhile, so that there is a last one.
    pub(crate) fn limit(&mut self, most: usize) -> usize {
        most.max(1).max(4 * core::mem::take(&mut self.fresh))
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// From here on, touched keys are noted.
    pub(crate) fn begin_noting(&mut self) {
        let was_plain = self.shared.is_plain || self.touched.as_ref().is_some_and(|touched| touched.was_plain);
        self.shared.is_plain = false; // the usual event asks for nothing else
        self.plan.note_keys(true);
        self.touched = Some(Box::new(Touched::new(was_plain)));
    }

    pub(crate) fn end_noting(&mut self) {
        let Some(touched) = self.touched.take() else { return };
        self.shared.is_plain = touched.was_plain;
        self.plan.note_keys(false);
    }

    /// Notes the keys of all that an act emits, or changes in silence.
    #[inline]
    pub(super) fn noting<T>(&mut self, out: Out<'_, K, V, A>, act: impl FnOnce(&mut Self, Out<'_, K, V, A>) -> T) -> T {
        let Some(mut touched) = self.touched.take() else { return act(self, out) };
        let done = act(self, &mut |summary| {
            touched.note(summary.key.key_ref());
            out(summary);
        });
        let silent = self.plan.noted_keys_mut().map(core::mem::take).unwrap_or_default();
        silent.iter().for_each(|key| touched.note(key.key_ref()));
        self.touched = Some(touched);
        done
    }
}
