//! Three ways to the same sessions: the library one by one, the library in batches, and by hand.
//!
//! A benchmark lets each take the same clicks, after a [`Tally`] of the output has shown that
//! the results are the same.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::hint::black_box;
use std::time::Duration;

use stagger::{Bucket, Config, Engine, Event, EventRef, Gap, Key, SessionSummary, Stagger, Strategy, Timestamp, Value};

use crate::clicks::{Click, DISORDER, GAP, SECOND};
use crate::hand_written::{Gaps, Session, Steps};

pub const STEP: i64 = 30 * SECOND;
/// Events in each call of the form that takes several.
pub const BATCH: usize = 256;

#[derive(Clone, Copy)]
pub enum Job {
    Step,
    Gap,
}

impl Job {
    fn strategy(self) -> Strategy {
        match self {
            Self::Step => Stagger::on_event_time(Bucket::step(micros(STEP))).into(),
            Self::Gap => Gap::new(micros(GAP)).into(),
        }
    }

    fn engine<K: Key, V: Value>(self) -> Engine<K, V> {
        Config::new(self.strategy()).out_of_order(micros(DISORDER)).build().expect("a configuration that works")
    }
}

fn micros(length: i64) -> Duration {
    Duration::from_micros(length.unsigned_abs())
}

/// Takes clicks in any number of pieces, and hands sessions out when they are over.
pub trait Contestant<K: Key, V: Value> {
    const NAME: &'static str;

    fn new(job: Job) -> Self;

    fn take<'c>(
        &mut self,
        clicks: impl Iterator<Item = Click<K::Ref<'c>, V::Ref<'c>>>,
        out: &mut dyn FnMut(K, Session<V>),
    );

    fn finish(&mut self, out: &mut dyn FnMut(K, Session<V>));
}

/// The library, one by one.
pub struct OneByOne<K: Key, V: Value>(Engine<K, V>);

/// The library, in batches.
pub struct InBatches<K: Key, V: Value>(Engine<K, V>);

pub enum ByHand<K, V> {
    Step(Steps<STEP, K, V>),
    Gap(Gaps<GAP, K, V>),
}

fn session<K, V>(summary: SessionSummary<K, V>) -> (K, Session<V>) {
    let (first, last) = (summary.first_time.as_micros(), summary.last_time.as_micros());
    let (first_value, last_value) = (summary.first_event, summary.last_event);
    (summary.key, Session { first, last, count: summary.count, first_value, last_value })
}

#[inline]
fn event<'c, K: Key, V: Value>(click: Click<K::Ref<'c>, V::Ref<'c>>) -> EventRef<'c, K, V> {
    Event::new(click.key, Timestamp::from_micros(click.time), click.value)
}

/// Passes the output of the library on.
fn pass_on<K, V>(out: &mut dyn FnMut(K, Session<V>)) -> impl FnMut(SessionSummary<K, V>) {
    |summary| {
        let (key, session) = session(summary);
        out(key, session);
    }
}

impl<K: Key, V: Value> Contestant<K, V> for OneByOne<K, V> {
    const NAME: &'static str = "stagger";

    fn new(job: Job) -> Self {
        Self(job.engine())
    }

    fn take<'c>(
        &mut self,
        clicks: impl Iterator<Item = Click<K::Ref<'c>, V::Ref<'c>>>,
        out: &mut dyn FnMut(K, Session<V>),
    ) {
        let mut out = pass_on(out);
        for click in clicks {
            let _ = self.0.push(event::<K, V>(click), &mut out);
        }
    }

    fn finish(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        self.0.flush(&mut pass_on(out));
    }
}

impl<K: Key, V: Value> Contestant<K, V> for InBatches<K, V> {
    const NAME: &'static str = "stagger_batch";

    fn new(job: Job) -> Self {
        Self(job.engine())
    }

    fn take<'c>(
        &mut self,
        mut clicks: impl Iterator<Item = Click<K::Ref<'c>, V::Ref<'c>>>,
        out: &mut dyn FnMut(K, Session<V>),
    ) {
        let mut out = pass_on(out);
        let mut events = Vec::with_capacity(BATCH);
        loop {
            for click in clicks.by_ref().take(BATCH) {
                events.push(event::<K, V>(click)); // built in place, as `extend` does not
            }
            if events.is_empty() {
                return;
            }
            let _ = self.0.push_batch(&events, &mut out);
            events.clear();
        }
    }

    fn finish(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        self.0.flush(&mut pass_on(out));
    }
}

impl<K: Key, V: Value> Contestant<K, V> for ByHand<K, V> {
    const NAME: &'static str = "by_hand";

    fn new(job: Job) -> Self {
        match job {
            Job::Step => Self::Step(Steps::new()),
            Job::Gap => Self::Gap(Gaps::new()),
        }
    }

    fn take<'c>(
        &mut self,
        clicks: impl Iterator<Item = Click<K::Ref<'c>, V::Ref<'c>>>,
        out: &mut dyn FnMut(K, Session<V>),
    ) {
        match self {
            Self::Step(steps) => clicks.for_each(|click| steps.push(&click, out)),
            Self::Gap(gaps) => clicks.for_each(|click| gaps.push(&click, out)),
        }
    }

    fn finish(&mut self, out: &mut dyn FnMut(K, Session<V>)) {
        match self {
            Self::Step(steps) => steps.finish(out),
            Self::Gap(gaps) => gaps.finish(out),
        }
    }
}

/// Number of sessions, number of clicks in them, and a sum over all that is in them.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    pub sessions: u64,
    pub clicks: u64,
    sum: u64,
}

impl Tally {
    fn add(&mut self, key: impl Hash, session: &Session<impl Hash>) {
        self.sessions += 1;
        self.clicks += session.count;
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((key, session));
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Everything that a contestant makes of some clicks.
    pub fn of<'c, K, V, C>(job: Job, clicks: impl Iterator<Item = Click<K::Ref<'c>, V::Ref<'c>>>) -> Self
    where
        K: Key + Hash,
        V: Value + Hash,
        C: Contestant<K, V>,
    {
        let (mut contestant, mut tally) = (C::new(job), Self::default());
        let mut add = |key, session: Session<V>| tally.add(&key, &session);
        contestant.take(clicks, &mut add);
        contestant.finish(&mut add);
        tally
    }
}

/// Checks that all three make the same sessions of the clicks.
pub fn agree<'c, K, V, I>(job: Job, clicks: impl Fn() -> I)
where
    K: Key + Hash,
    V: Value + Hash,
    I: Iterator<Item = Click<K::Ref<'c>, V::Ref<'c>>>,
{
    let by_hand = Tally::of::<K, V, ByHand<K, V>>(job, clicks());
    assert_eq!(by_hand.clicks, clicks().count() as u64, "no click is lost");
    assert_eq!(by_hand, Tally::of::<K, V, OneByOne<K, V>>(job, clicks()));
    assert_eq!(by_hand, Tally::of::<K, V, InBatches<K, V>>(job, clicks()));
}

/// Takes the output, and does next to nothing with it.
#[derive(Default)]
pub struct Count(pub u64);

impl Count {
    pub fn add<K, V>(&mut self, key: &K, session: &Session<V>) {
        self.0 += session.count;
        black_box((key, session)); // to move them would cost more than the rest
    }
}
