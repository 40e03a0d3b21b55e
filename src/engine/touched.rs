//! What changes while a snapshot is taken in portions.

use alloc::boxed::Box;
use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::Engine;
use crate::index::Index;
use crate::segments::Segments;

/// A place among the open sessions. Sessions that nothing happens to keep theirs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// Start or index of the window, where there are windows.
    pub(crate) window: Option<i64>,
    pub(crate) number: Option<u32>,
    pub(crate) is_done: bool,
}

/// Keys whose sessions may have changed since they were copied, and how far the copying has come. Neither the keys nor
/// their index is ever moved as a whole, which would hold an event up.
pub(crate) struct Touched<K> {
    /// In the order in which they were touched. `None` where one was taken.
    keys: Segments<Option<K>>,
    /// No key has a lower number.
    first: u32,
    index: Index,
    hasher: DefaultHashBuilder,
    /// How many keys were touched since the last portion.
    fresh: usize,
    pub(super) cursor: Cursor,
    /// Parts remembered up to this closing have been copied, since this flush.
    pub(super) closing: u64,
    flushes: u32,
    was_plain: bool,
}

impl<K: Key> Touched<K> {
    fn new(was_plain: bool, flushes: u32) -> Self {
        Self {
            keys: Segments::new(),
            first: 0,
            index: Index::new(),
            hasher: DefaultHashBuilder::default(),
            fresh: 0,
            cursor: Cursor::default(),
            closing: 0,
            flushes,
            was_plain,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.end().wrapping_sub(self.first) as usize
    }

    /// Whether all open sessions have been copied once.
    pub(crate) const fn has_all_sessions(&self) -> bool {
        self.cursor.is_done
    }

    /// After another flush, parts copied before count no more.
    pub(super) const fn follow(&mut self, flushes: u32) {
        if self.flushes != flushes {
            (self.flushes, self.closing) = (flushes, 0);
        }
    }

    pub(super) fn note(&mut self, key: K::Ref<'_>) {
        let Self { keys, index, hasher, fresh, .. } = self;
        let at = |number| keys.get(number).and_then(Option::as_ref);
        let hash = hasher.hash_one(key);
        if index.find(hash, |number| at(number).is_some_and(|known| known.key_eq(key))).is_none() {
            let hash_of = |number| at(number).map_or(0, |known| hasher.hash_one(known.key_ref()));
            index.insert(hash, keys.end(), hash_of);
            keys.push(Some(K::key_from(key)));
            *fresh += 1;
        }
    }

    /// Takes the key that was touched first.
    pub(crate) fn take(&mut self) -> Option<K> {
        let key = self.keys.get_mut(self.first)?.take()?;
        self.index.remove(self.hasher.hash_one(key.key_ref()), self.first);
        self.first = self.first.wrapping_add(1);
        self.keys.release_before(self.first);
        Some(key)
    }

    /// The size of the next portion: more than the number of keys touched meanwhile, so that there is a last one.
    pub(crate) fn limit(&mut self, most: usize) -> usize {
        most.max(1).max(4 * core::mem::take(&mut self.fresh))
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// From here on, touched keys are noted.
    pub(crate) fn begin_noting(&mut self) {
        let was_plain = self.state.shared.is_plain || self.touched.as_ref().is_some_and(|touched| touched.was_plain);
        self.state.shared.is_plain = false; // the usual event asks for nothing else
        self.state.shared.note_keys(true);
        self.touched = Some(Box::new(Touched::new(was_plain, self.state.shared.flushes)));
    }

    pub(crate) const fn is_noting(&self) -> bool {
        self.touched.is_some()
    }

    pub(crate) fn end_noting(&mut self) {
        let Some(touched) = self.touched.take() else { return };
        self.state.shared.is_plain = touched.was_plain;
        self.state.shared.note_keys(false);
    }

    /// Takes over the keys of all that was emitted, or changed in silence. (The caller's own `out` goes down to where
    /// sessions are emitted, so that a compiler can put it in there.)
    #[inline]
    pub(super) fn note_changes(&mut self) {
        if let Some(touched) = &mut self.touched {
            self.state.shared.take_noted().iter().for_each(|key| touched.note(key.key_ref()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use crate::strategy::Gap;
    use crate::testing::{Run, config, us};

    #[test]
    fn an_engine_is_plain_again_when_no_key_is_noted_any_more() {
        let mut run = Run::new(config(Gap::new(us(10))));
        run.engine.begin_noting();
        assert!(!run.engine.state.shared.is_plain && run.engine.is_noting());
        run.engine.begin_noting(); // anew
        run.engine.end_noting();
        assert!(run.engine.state.shared.is_plain && !run.engine.is_noting());
    }

    #[test]
    fn keys_are_taken_once_in_the_order_in_which_they_were_touched() {
        let mut touched = Touched::<String>::new(true, 0);
        let key = |n: u32| format!("a key with the number {n}");
        for n in (0..10_000).chain(0..10_000) {
            touched.note(&key(n));
        }
        assert_eq!((touched.len(), touched.limit(5)), (10_000, 40_000));
        let first: Vec<String> = core::iter::from_fn(|| touched.take()).take(4_000).collect();
        assert_eq!(first, (0..4_000).map(key).collect::<Vec<_>>());
        (3_990..4_010).for_each(|n| touched.note(&key(n)));
        assert_eq!((touched.len(), touched.limit(5)), (6_010, 40));
        let rest: Vec<String> = core::iter::from_fn(|| touched.take()).collect();
        assert_eq!(rest, (4_000..10_000).chain(3_990..4_000).map(key).collect::<Vec<_>>());
        assert_eq!((touched.len(), touched.take(), touched.limit(5)), (0, None, 5));
    }
}
