//! The loop that an expert would write by hand for exactly one job: no options, no order of output, no ids,
//! nothing handed back. It relies on clicks that are at most [`DISORDER`] late. Only the forms of
//! keys and values are the library's, since integers and text are not part of the job.
//!
//! - STEP: one table per bucket; when the watermark has passed a bucket, its table is emptied and
//!   used again for a later one.
//! - GAP: one table for all. Sessions that are over stay until their key comes again, or until the
//!   table is swept, eight times per gap. A queue of deadlines would cost more per session than its
//!   share of the sweeps.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::hash_table::{Entry, HashTable};
use stagger::{Key, Value};

use crate::clicks::{Click, DISORDER};

/// The state of a session.
#[derive(Debug, Hash)]
pub struct Session<V> {
    pub first: i64,
    pub last: i64,
    pub count: u64,
    pub first_value: V,
    pub last_value: V,
}

impl<V: Value> Session<V> {
    fn open(time: i64, value: V::Ref<'_>) -> Self {
        Self { first: time, last: time, count: 1, first_value: V::value_from(value), last_value: V::value_from(value) }
    }

    #[inline]
    fn extend(&mut self, time: i64, value: V::Ref<'_>) {
        self.count += 1;
        self.last_value.set_value_if(time >= self.last, value);
        self.last = self.last.max(time);
        if time < self.first {
            self.first = time;
            self.first_value.set_value(value);
        }
    }

    /// Takes over a session that begins later.
    fn merge(&mut self, later: Self) {
        self.count += later.count;
        if later.last >= self.last {
            self.last = later.last;
            self.last_value = later.last_value;
        }
    }
}

/// Sessions by key. Each click's key is hashed once.
struct Table<K, V> {
    hasher: hashbrown::DefaultHashBuilder,
    sessions: HashTable<(K, Session<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { hasher: Default::default(), sessions: HashTable::new() }
    }
}

impl<K: Key, V> Table<K, V> {
    #[inline]
    fn entry(&mut self, key: K::Ref<'_>) -> Entry<'_, (K, Session<V>)> {
        let Self { hasher, sessions } = self;
        let hash = |(key, _): &(K, Session<V>)| hasher.hash_one(key.key_ref());
        sessions.entry(hasher.hash_one(key), |(other, _)| other.key_eq(key), hash)
    }
}

/// The clock of both jobs.
struct Watermark(i64);

impl Watermark {
    #[inline]
    fn observe(&mut self, time: i64) {
        self.0 = self.0.max(time - DISORDER);
    }
}

/// STEP with buckets of `WIDTH` microseconds, and one table for each.
pub struct Steps<const WIDTH: i64, K, V> {
    watermark: Watermark,
    /// Where the first bucket in `open` starts.
    start: i64,
    open: VecDeque<Table<K, V>>,
    spare: Vec<Table<K, V>>,
}

impl<const WIDTH: i64, K: Key, V: Value> Steps<WIDTH, K, V> {
    pub fn new() -> Self {
        Self { watermark: Watermark(i64::MIN), start: 0, open: VecDeque::new(), spare: Vec::new() }
    }

    #[inline]
    pub fn push(&mut self, click: &Click<K::Ref<'_>, V::Ref<'_>>, out: &mut dyn FnMut(K, Session<V>)) {
        self.watermark.observe(click.time);
        if self.watermark.0 >= self.start + WIDTH {
            self.go_on(out);
        }
        let bucket = (click.time - self.start) as usize / WIDTH as usize;
        if bucket >= self.open.len() {
            self.add_buckets(bucket);
        }
        match self.open[bucket].entry(click.key) {
            Entry::Occupied(mut entry) => entry.get_mut().1.extend(click.time, click.value),
            Entry::Vacant(entry) => {
                entry.insert((K::key_from(click.key), Session::open(click.time, click.value)));
            }
        }
    }

    /// Hands out the buckets that the watermark has passed.
    #[cold]
    fn go_on(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        while self.watermark.0 >= self.start + WIDTH {
            let Some(mut over) = self.open.pop_front() else {
                self.start = self.watermark.0 - self.watermark.0.rem_euclid(WIDTH);
                return;
            };
            over.sessions.drain().for_each(|(key, session)| out(key, session));
            self.spare.push(over);
            self.start += WIDTH;
        }
    }

    #[cold]
    fn add_buckets(&mut self, last: usize) {
        while self.open.len() <= last {
            self.open.push_back(self.spare.pop().unwrap_or_default());
        }
    }

    pub fn finish(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        self.open.drain(..).flat_map(|table| table.sessions).for_each(|(key, session)| out(key, session));
    }
}

/// GAP: a session ends `LENGTH` microseconds after its last click.
pub struct Gaps<const LENGTH: i64, K, V> {
    watermark: Watermark,
    next_sweep: i64,
    /// The first open session of each key.
    open: Table<K, V>,
    /// The others: rarely any, since one must begin before the watermark has seen the last one off.
    more: Vec<(K, Session<V>)>,
}

impl<const LENGTH: i64, K: Key, V: Value> Gaps<LENGTH, K, V> {
    pub fn new() -> Self {
        Self { watermark: Watermark(i64::MIN), next_sweep: i64::MIN, open: Table::default(), more: Vec::new() }
    }

    #[inline]
    pub fn push(&mut self, click: &Click<K::Ref<'_>, V::Ref<'_>>, out: &mut dyn FnMut(K, Session<V>)) {
        self.watermark.observe(click.time);
        if self.watermark.0 >= self.next_sweep {
            self.next_sweep = self.watermark.0 + LENGTH / 8;
            self.sweep(out);
        }
        self.place(click, out);
    }

    #[inline]
    fn place(&mut self, click: &Click<K::Ref<'_>, V::Ref<'_>>, out: &mut dyn FnMut(K, Session<V>)) {
        let (time, value) = (click.time, click.value);
        let mut entry = match self.open.entry(click.key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                entry.insert((K::key_from(click.key), Session::open(time, value)));
                return;
            }
        };
        let session = &mut entry.get_mut().1;
        if time < session.last + LENGTH && time + LENGTH > session.first {
            session.extend(time, value);
            if !self.more.is_empty() {
                self.untangle(click.key, None);
            }
        } else if self.watermark.0 >= session.last + LENGTH && self.more.is_empty() {
            let over = std::mem::replace(session, Session::open(time, value));
            out(K::key_from(click.key), over);
        } else {
            self.untangle(click.key, Some(Session::open(time, value)));
        }
    }

    /// Joins sessions of a key that belong together.
    #[cold]
    fn untangle(&mut self, key: K::Ref<'_>, new: Option<Session<V>>) {
        let others = self.more.extract_if(.., |(other, _)| other.key_eq(key)).map(|(_, session)| session);
        let mut all: Vec<_> = others.chain(new).collect();
        let Entry::Occupied(mut entry) = self.open.entry(key) else { return };
        let first = &mut entry.get_mut().1;
        all.sort_by_key(|session| session.first);
        if all.first().is_some_and(|other| other.first < first.first) {
            std::mem::swap(first, &mut all[0]);
            all.sort_by_key(|session| session.first);
        }
        let mut apart: Vec<Session<V>> = Vec::new();
        for session in all {
            let before = apart.last_mut().unwrap_or(first);
            if session.first < before.last + LENGTH {
                before.merge(session);
            } else {
                apart.push(session);
            }
        }
        self.more.extend(apart.into_iter().map(|session| (K::key_from(key), session)));
    }

    /// Hands out all sessions that are over.
    #[cold]
    fn sweep(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        let now = self.watermark.0;
        let is_over = |session: &Session<V>| session.last + LENGTH <= now;
        let over = self.open.sessions.extract_if(|(_, session)| is_over(session));
        over.for_each(|(key, session)| out(key, session));
        self.more.sort_by_key(|(_, session)| session.first);
        for (key, session) in std::mem::take(&mut self.more) {
            if is_over(&session) {
                out(key, session);
                continue;
            }
            match self.open.entry(key.key_ref()) {
                Entry::Occupied(_) => self.more.push((key, session)),
                Entry::Vacant(entry) => {
                    entry.insert((key, session));
                }
            }
        }
    }

    pub fn finish(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        self.watermark = Watermark(i64::MAX);
        self.sweep(out);
    }
}
