//! What an expert would write by hand for exactly one job: no options, no order of output, no ids,
//! nothing handed back. It relies on clicks that are at most [`DISORDER`] late.
//!
//! - STEP: one map per bucket; when the watermark has passed a bucket, its map is emptied and used
//!   again for a later one.
//! - GAP: one map per key. Sessions that are over stay until their key comes again, or until the map
//!   is swept, eight times per gap. A queue of deadlines would cost more per session than its share
//!   of the sweeps.

use std::collections::VecDeque;
use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

use crate::clicks::{Click, DISORDER};

/// What is kept of a key or a value, and the form in which a click lends it.
pub trait Kept: Sized {
    type Ref<'a>: Copy;

    fn keep(lent: Self::Ref<'_>) -> Self;
    fn replace(&mut self, lent: Self::Ref<'_>);
}

impl Kept for u64 {
    type Ref<'a> = u64;

    fn keep(lent: u64) -> Self {
        lent
    }

    fn replace(&mut self, lent: u64) {
        *self = lent;
    }
}

impl Kept for String {
    type Ref<'a> = &'a str;

    fn keep(lent: &str) -> Self {
        lent.to_owned()
    }

    fn replace(&mut self, lent: &str) {
        lent.clone_into(self);
    }
}

impl Kept for (String, String) {
    type Ref<'a> = (&'a str, &'a str);

    fn keep((a, b): (&str, &str)) -> Self {
        (a.to_owned(), b.to_owned())
    }

    fn replace(&mut self, (a, b): (&str, &str)) {
        a.clone_into(&mut self.0);
        b.clone_into(&mut self.1);
    }
}

/// Looks an owned key up by a lent one.
#[derive(Hash)]
struct By<T>(T);

impl Equivalent<u64> for By<u64> {
    fn equivalent(&self, key: &u64) -> bool {
        self.0 == *key
    }
}

impl Equivalent<(String, String)> for By<(&str, &str)> {
    fn equivalent(&self, key: &(String, String)) -> bool {
        self.0.0 == key.0 && self.0.1 == key.1
    }
}

/// A key type that a lent key can be looked up in.
pub trait MapKey: Kept + Eq + Hash {
    fn find<'m, V>(map: &'m mut HashMap<Self, V>, lent: Self::Ref<'_>) -> Option<&'m mut V>;
    fn is(&self, lent: Self::Ref<'_>) -> bool;
}

impl MapKey for u64 {
    #[inline]
    fn find<V>(map: &mut HashMap<Self, V>, lent: u64) -> Option<&mut V> {
        map.get_mut(&By(lent))
    }

    fn is(&self, lent: u64) -> bool {
        *self == lent
    }
}

impl MapKey for (String, String) {
    #[inline]
    fn find<'m, V>(map: &'m mut HashMap<Self, V>, lent: (&str, &str)) -> Option<&'m mut V> {
        map.get_mut(&By(lent))
    }

    fn is(&self, lent: (&str, &str)) -> bool {
        By(lent).equivalent(self)
    }
}

/// What is kept per session.
#[derive(Debug)]
pub struct Session<V> {
    pub first: i64,
    pub last: i64,
    pub count: u64,
    pub first_value: V,
    pub last_value: V,
}

impl<V: Kept> Session<V> {
    fn open(time: i64, value: V::Ref<'_>) -> Self {
        Self { first: time, last: time, count: 1, first_value: V::keep(value), last_value: V::keep(value) }
    }

    #[inline]
    fn extend(&mut self, time: i64, value: V::Ref<'_>) {
        self.count += 1;
        if time >= self.last {
            self.last = time;
            self.last_value.replace(value);
        }
        if time < self.first {
            self.first = time;
            self.first_value.replace(value);
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

/// The clock of both jobs.
struct Watermark(i64);

impl Watermark {
    #[inline]
    fn observe(&mut self, time: i64) {
        self.0 = self.0.max(time - DISORDER);
    }
}

pub fn step<K: MapKey, V: Kept>(
    width: i64,
    clicks: &[Click<K::Ref<'_>, V::Ref<'_>>],
    out: &mut dyn FnMut(K, Session<V>),
) {
    let mut watermark = Watermark(i64::MIN);
    let mut first_bucket = clicks.first().map_or(0, |click| (click.time - DISORDER).div_euclid(width));
    let mut open: VecDeque<HashMap<K, Session<V>>> = VecDeque::new();
    let mut spare = Vec::new();
    for click in clicks {
        watermark.observe(click.time);
        while !open.is_empty() && watermark.0 >= (first_bucket + 1) * width {
            let mut over = open.pop_front().expect("it is not empty");
            over.drain().for_each(|(key, session)| out(key, session));
            spare.push(over);
            first_bucket += 1;
        }
        let place = (click.time.div_euclid(width) - first_bucket) as usize;
        while open.len() <= place {
            open.push_back(spare.pop().unwrap_or_default());
        }
        let sessions = &mut open[place];
        match K::find(sessions, click.key) {
            Some(session) => session.extend(click.time, click.value),
            None => {
                sessions.insert(K::keep(click.key), Session::open(click.time, click.value));
            }
        }
    }
    open.into_iter().flatten().for_each(|(key, session)| out(key, session));
}

struct Gaps<K, V> {
    gap: i64,
    watermark: Watermark,
    /// The first open session of each key.
    open: HashMap<K, Session<V>>,
    /// The others: rarely any, since one must begin before the watermark has seen the last one off.
    more: Vec<(K, Session<V>)>,
}

pub fn gap<K: MapKey, V: Kept>(gap: i64, clicks: &[Click<K::Ref<'_>, V::Ref<'_>>], out: &mut dyn FnMut(K, Session<V>)) {
    let mut gaps = Gaps { gap, watermark: Watermark(i64::MIN), open: HashMap::new(), more: Vec::new() };
    let mut next_sweep = clicks.first().map_or(0, |click| click.time);
    for click in clicks {
        gaps.watermark.observe(click.time);
        if gaps.watermark.0 >= next_sweep {
            gaps.sweep(out);
            next_sweep = gaps.watermark.0 + gap / 8;
        }
        gaps.push(click, out);
    }
    gaps.watermark = Watermark(i64::MAX);
    gaps.sweep(out);
}

impl<K: MapKey, V: Kept> Gaps<K, V> {
    #[inline]
    fn push(&mut self, click: &Click<K::Ref<'_>, V::Ref<'_>>, out: &mut dyn FnMut(K, Session<V>)) {
        let Some(session) = K::find(&mut self.open, click.key) else {
            self.open.insert(K::keep(click.key), Session::open(click.time, click.value));
            return;
        };
        if click.time < session.last + self.gap && click.time + self.gap > session.first {
            session.extend(click.time, click.value);
            if !self.more.is_empty() {
                self.untangle(click.key, None);
            }
        } else if self.watermark.0 >= session.last + self.gap && self.more.is_empty() {
            let over = std::mem::replace(session, Session::open(click.time, click.value));
            out(K::keep(click.key), over);
        } else {
            self.untangle(click.key, Some(Session::open(click.time, click.value)));
        }
    }

    /// Joins what belongs together of all sessions of a key.
    #[cold]
    fn untangle(&mut self, key: K::Ref<'_>, new: Option<Session<V>>) {
        let others = self.more.extract_if(.., |(other, _)| other.is(key)).map(|(_, session)| session);
        let mut all: Vec<_> = others.chain(new).collect();
        let Some(first) = K::find(&mut self.open, key) else { return };
        all.sort_by_key(|session| session.first);
        if all.first().is_some_and(|other| other.first < first.first) {
            std::mem::swap(first, &mut all[0]);
            all.sort_by_key(|session| session.first);
        }
        let mut apart: Vec<Session<V>> = Vec::new();
        for session in all {
            let before = apart.last_mut().unwrap_or(first);
            if session.first < before.last + self.gap {
                before.merge(session);
            } else {
                apart.push(session);
            }
        }
        self.more.extend(apart.into_iter().map(|session| (K::keep(key), session)));
    }

    /// Hands out all sessions that are over.
    fn sweep(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        let (gap, now) = (self.gap, self.watermark.0);
        let is_over = |session: &Session<V>| session.last + gap <= now;
        self.open.extract_if(|_, session| is_over(session)).for_each(|(key, session)| out(key, session));
        self.more.sort_by_key(|(_, session)| session.first);
        for (key, session) in std::mem::take(&mut self.more) {
            if is_over(&session) {
                out(key, session);
            } else if self.open.contains_key(&key) {
                self.more.push((key, session));
            } else {
                self.open.insert(key, session);
            }
        }
    }
}
