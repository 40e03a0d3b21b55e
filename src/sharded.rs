//! One sessionizer on several cores.
//!
//! A key belongs to one shard, and each shard is a plain engine. A batch is worked on in two rounds.
//! First it is cut into as many portions as there are shards, and each thread lists, for one portion,
//! which events are whose, and how far each moves the clock. Then each shard takes its own events from
//! all lists. So each event is looked at once in each round, however many shards there are, and nothing
//! is shared that anyone writes to. With the clock of all events at hand, a session closes, and an
//! event is late, exactly when it would in a single engine.
//!
//! What the shards hand out is put in order again and again, after every few thousand events, while it
//! is still in a cache: by the event at which it came out, by deadline, then by opening. The other
//! threads go on meanwhile, but only a little.

use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::vec::Vec;

use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::aggregate::Aggregate;
use crate::config::Config;
use crate::data::{Key, Value};
use crate::engine::{AHEAD, ClockRule, Engine};
use crate::error::{ConfigError, RestoreError};
use crate::event::Lent;
use crate::sessionizer::{Clock, Counters, Pushed, Sessionizer, SummaryOf};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A sessionizer whose keys are shared out over several shards, which work at the same time where
/// there are many events or sessions: one thread for each shard.
///
/// It is a [`Sessionizer`] like [`Engine`], and does exactly the same: the same sessions with the same
/// ids in the same order, the same events handed back. [`push_batch`](Sessionizer::push_batch) is what
/// makes it faster; give it tens of thousands of events at a time, since starting a thread takes as
/// long as a few thousand events. Pushing one by one works, but is slower than an engine.
///
/// Memory is that of one engine, 24 bytes for each event of a batch, and the summaries of a few rounds
/// of 8,192 events, after each of which they are put in order and handed out.
///
/// The bounds on [open sessions](Config::max_open_sessions) and on
/// [what a call hands out](Config::close_at_most) look at all keys at once, and are refused.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Config, Event, Gap, Sharded, Timestamp, prelude::*};
///
/// let config = || Config::<u64, u64>::new(Gap::new(Duration::from_secs(60))).out_of_order(Duration::from_secs(10));
/// let mut sessions = Sharded::new(2, config)?;
/// let events: Vec<_> = (0..1_000).map(|n| Event::new(n % 100, Timestamp::from_secs(n as i64), n)).collect();
/// let mut visits = Vec::new();
/// let returned = sessions.push_batch(&events, &mut |visit| visits.push(visit));
/// sessions.flush(&mut |visit| visits.push(visit));
/// assert_eq!((returned.len(), visits.len()), (0, 1_000));
/// # Ok::<(), stagger::ConfigError>(())
/// ```
pub struct Sharded<K: Key, V: Value, A: Aggregate<K, V> = ()> {
    shards: Vec<Shard<K, V, A>>,
    hasher: DefaultHashBuilder,
    now: Timestamp,
    /// The number of the latest push.
    arrivals: u64,
    /// From one push to the next: further windows that a push opens take numbers in between.
    stride: u64,
    /// Whether what comes out is in order of deadline, then of opening, whenever it comes.
    is_by_deadline: bool,
    portions: Vec<Portion>,
}

/// On cache lines of its own: its neighbour is at work on another core.
#[repr(align(128))]
struct Shard<K: Key, V: Value, A: Aggregate<K, V>> {
    engine: Engine<K, V, A>,
    handed_out: Vec<HandedOut<K, V, A>>,
}

type HandedOut<K, V, A> = (Place, SummaryOf<Engine<K, V, A>>);

/// Where a summary belongs among those of all shards: the event at which it came out, whether that
/// itself brought it about, deadline, opening.
type Place = (usize, bool, Timestamp, u64);

/// An event in the list of its shard.
#[derive(Clone, Copy)]
struct Routed {
    /// Its place in the batch.
    i: usize,
    hash: u32,
    /// How far the events of its portion have moved the clock up to here, itself included.
    clock: Timestamp,
}

/// A portion of a batch: the events of each shard, and how far all of them move the clock.
struct Portion {
    lists: Vec<Vec<Routed>>,
    /// The place behind its last event.
    end: usize,
    clock: Timestamp,
    /// Where rounds end in it, and how far its events have moved the clock there.
    ends: Vec<(usize, Timestamp)>,
}

/// A batch, with what all shards know of it.
struct Batch<'b, 'e, K: Key, V: Value> {
    events: &'b [Lent<'e, K, V>],
    portions: &'b [Portion],
    /// The number of the first event, and from one to the next.
    first: u64,
    stride: u64,
    now: Timestamp,
    /// Where each round ends, and how far the clock is there.
    rounds: Vec<(usize, Timestamp)>,
    /// How far the clock is after each event; only where it matters at which one a session closed.
    clocks: Vec<Timestamp>,
}

/// How far a shard is in a batch.
#[derive(Clone, Copy)]
struct Reached {
    portion: usize,
    /// How many of its own events in that portion it has taken.
    taken: usize,
    /// How far the portions before have moved the clock.
    clock: Timestamp,
}

/// Fewer events than this are not worth another thread.
const WORTH_A_THREAD: usize = 4_096;
/// After so many events of all shards, what has come out is put in order.
const ROUND: usize = 8_192;
/// So many rounds may another thread be ahead.
const AHEAD_BY: usize = 2;

/// The shard of a hash. The engine's table uses the upper half.
#[inline]
const fn shard_of(hash: u64, shards: u64) -> u64 {
    ((hash as u32 as u64) * shards) >> 32
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Sharded<K, V, A> {
    /// Makes an empty sessionizer of so many shards (at least one), each with a configuration of its
    /// own: `config` must make the same each time. [`std::thread::available_parallelism`] tells how
    /// many can work at the same time.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot work and what to change.
    pub fn new(shards: usize, config: impl Fn() -> Config<K, V, A>) -> Result<Self, ConfigError> {
        let hasher = DefaultHashBuilder::default();
        let shards: Result<Vec<_>, _> = (0..shards.max(1)).map(|_| Shard::new(config(), &hasher)).collect();
        Ok(Self::of(shards?, hasher))
    }

    /// Goes on from a snapshot: of any number of shards, or of one [`Engine`].
    ///
    /// # Errors
    /// [`RestoreError`] says what differs.
    pub fn restore(
        shards: usize,
        config: impl Fn() -> Config<K, V, A>,
        snapshot: Snapshot<K, V, A::State>,
    ) -> Result<Self, RestoreError> {
        let (shards, hasher) = (shards.max(1), DefaultHashBuilder::default());
        let piece_of = |key: &K| shard_of(hash(&hasher, key.lend()), shards as u64) as usize;
        let pieces = snapshot.split(shards, piece_of);
        let restore = |piece| Shard::new(config(), &hasher)?.restore(piece);
        let shards = pieces.into_iter().map(restore).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(shards, hasher))
    }

    fn of(shards: Vec<Shard<K, V, A>>, hasher: DefaultHashBuilder) -> Self {
        let engine = &shards[0].engine;
        let stride = engine.rules.plan.numbers_per_event();
        let is_by_deadline = engine.rules.lateness == 0 && !engine.rules.plan.is_ordered();
        let (now, arrivals) = (engine.now, engine.arrivals);
        let number = shards.len();
        let portions = (0..number).map(|_| Portion::new(number)).collect();
        Self { shards, hasher, now, arrivals, stride, is_by_deadline, portions }
    }

    /// Copies the state: a snapshot like that of an engine, which either can go on from.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<K, V, A::State> {
        let mut whole = self.shards[0].engine.snapshot();
        self.shards[1..].iter().for_each(|shard| whole.take_in(shard.engine.snapshot()));
        whole.in_order()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The number of the next push: the next multiple of the stride.
    fn next_number(&self) -> u64 {
        (self.arrivals / self.stride + 1) * self.stride
    }

    /// Hands on what all shards have handed out, in order.
    fn merge(&mut self, out: Out<'_, K, V, A>) {
        merge(self.shards.iter_mut().map(|shard| &mut shard.handed_out), out);
    }
}

type Out<'o, K, V, A> = &'o mut dyn FnMut(SummaryOf<Engine<K, V, A>>);

/// Hands on what several have handed out, each in order, in the order of all.
fn merge<'m, S: 'm>(all: impl Iterator<Item = &'m mut Vec<(Place, S)>>, out: &mut dyn FnMut(S)) {
    let mut heads: Vec<_> = all.map(|one| one.drain(..).peekable()).collect();
    if let [only] = &mut heads[..] {
        return only.for_each(|(_, summary)| out(summary));
    }
    loop {
        let places = heads.iter_mut().enumerate().filter_map(|(i, head)| Some((head.peek()?.0, i)));
        let Some((_, first)) = places.min() else { return };
        if let Some((_, summary)) = heads[first].next() {
            out(summary);
        }
    }
}

#[inline]
fn hash<T: core::hash::Hash>(hasher: &DefaultHashBuilder, key: T) -> u64 {
    hasher.hash_one((key, 0_i64)) // as in an engine's table
}

impl Portion {
    fn new(shards: usize) -> Self {
        Self { lists: (0..shards).map(|_| Vec::new()).collect(), end: 0, clock: Timestamp::MIN, ends: Vec::new() }
    }

    /// Lists whose event is whose. `start`: the place of the first event in the batch.
    fn list<K: Key, V: Value>(
        &mut self,
        start: usize,
        events: &[Lent<'_, K, V>],
        hasher: &DefaultHashBuilder,
        rule: ClockRule,
    ) {
        let shards = self.lists.len() as u64;
        self.lists.iter_mut().for_each(Vec::clear);
        self.ends.clear();
        self.end = start + events.len();
        self.clock = Timestamp::MIN;
        for (event, i) in events.iter().zip(start..) {
            self.clock = self.clock.max(rule.clock_of(event));
            let hash = hash(hasher, event.key);
            let shard = shard_of(hash, shards) as usize;
            self.lists[shard].push(Routed { i, hash: (hash >> 32) as u32, clock: self.clock });
            if (i + 1) % ROUND == 0 {
                self.ends.push((i + 1, self.clock));
            }
        }
    }
}

/// Does the same for each, at the same time if it is `much`.
fn for_each<T: Send, R: Send>(all: &mut [T], much: bool, work: impl Fn(usize, &mut T) -> R + Sync) -> Vec<R> {
    if !much {
        return all.iter_mut().enumerate().map(|(i, one)| work(i, one)).collect();
    }
    let Some((first, others)) = all.split_first_mut() else { return Vec::new() };
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> =
            others.iter_mut().enumerate().map(|(i, one)| scope.spawn(move || work(i + 1, one))).collect();
        let first = work(0, first);
        core::iter::once(first).chain(threads.into_iter().map(join)).collect()
    })
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Shard<K, V, A> {
    fn new(config: Config<K, V, A>, hasher: &DefaultHashBuilder) -> Result<Self, ConfigError> {
        let mut engine = config.for_one_of_several()?.build()?;
        engine.table.set_hasher(hasher.clone());
        engine.order = Some(Vec::new());
        Ok(Self { engine, handed_out: Vec::new() })
    }

    fn restore(self, piece: Snapshot<K, V, A::State>) -> Result<Self, RestoreError> {
        Ok(Self { engine: self.engine.go_on_from(piece)?, ..self })
    }

    /// Takes what is this shard's of one round of a batch: of the events before `end`, after which the
    /// clock is at `clock`.
    fn take_round<'e>(
        &mut self,
        me: usize,
        batch: &Batch<'_, 'e, K, V>,
        reached: &mut Reached,
        (end, clock): (usize, Timestamp),
        returned: &mut Vec<(usize, Pushed<Lent<'e, K, V>>)>,
    ) {
        while let Some(portion) = batch.portions.get(reached.portion) {
            let rest = &portion.lists[me][reached.taken..];
            let own = &rest[..rest.partition_point(|routed| routed.i < end)];
            for own in own.chunks(AHEAD) {
                self.take_some(own, reached.clock, batch, returned);
            }
            reached.taken += own.len();
            if own.len() < rest.len() || portion.end > end {
                break;
            }
            *reached = Reached { portion: reached.portion + 1, taken: 0, clock: reached.clock.max(portion.clock) };
        }
        self.advance(clock, &batch.clocks);
    }

    /// Takes all rounds, and hands over what comes out of each. Returns the events handed back, with
    /// their places. Stops if nobody takes it.
    fn take_all<'e>(
        &mut self,
        me: usize,
        batch: &Batch<'_, 'e, K, V>,
        mut hand_over: impl FnMut(&mut Vec<HandedOut<K, V, A>>) -> bool,
    ) -> Vec<(usize, Pushed<Lent<'e, K, V>>)> {
        let mut returned = Vec::new();
        let mut reached = Reached { portion: 0, taken: 0, clock: batch.now };
        for round in &batch.rounds {
            self.take_round(me, batch, &mut reached, *round, &mut returned);
            if !hand_over(&mut self.handed_out) {
                break;
            }
        }
        returned
    }

    /// `before`: how far the portions before have moved the clock.
    fn take_some<'e>(
        &mut self,
        own: &[Routed],
        before: Timestamp,
        batch: &Batch<'_, 'e, K, V>,
        returned: &mut Vec<(usize, Pushed<Lent<'e, K, V>>)>,
    ) {
        let knows_hash = self.engine.rules.plan.hashes_key_only();
        if knows_hash && self.engine.is_large() {
            let mut hashes = [0; AHEAD];
            hashes.iter_mut().zip(own).for_each(|(hash, routed)| *hash = routed.hash);
            self.engine.look_ahead(own.iter().map(|routed| &batch.events[routed.i]), &hashes);
        }
        for &Routed { i, hash, clock } in own {
            self.advance(clock.max(before), &batch.clocks);
            let number = batch.first + i as u64 * batch.stride;
            let pushed = self.take_one(i, number, &batch.events[i], knows_hash.then_some(hash));
            if pushed.is_returned() {
                returned.push((i, pushed));
            }
        }
    }

    /// Takes one event, to which the clock has moved. What comes out is the event's own doing.
    #[inline]
    fn take_one<'e>(
        &mut self,
        i: usize,
        number: u64,
        event: &Lent<'e, K, V>,
        hash: Option<u32>,
    ) -> Pushed<Lent<'e, K, V>> {
        let before = self.handed_out.len();
        let keep = &mut self.handed_out;
        let mut out = |summary| keep.push(((i, true, Timestamp::MIN, 0), summary));
        let pushed = self.engine.push_as(number, event, hash, &mut out);
        if self.handed_out.len() > before {
            let fresh = self.handed_out[before..].iter_mut().zip(0..);
            fresh.for_each(|((place, _), number)| place.3 = number);
            self.engine.order.iter_mut().for_each(Vec::clear);
        }
        pushed
    }

    /// Moves the clock. What that closes comes out at the first event after which the clock was there.
    #[inline]
    fn advance(&mut self, time: Timestamp, clocks: &[Timestamp]) {
        if time > self.engine.now {
            self.note(|engine, out| engine.advance_to(time, out), |deadline| clocks.partition_point(|c| *c < deadline));
        }
    }

    /// Keeps what a call hands out, each with its place.
    fn note(
        &mut self,
        call: impl FnOnce(&mut Engine<K, V, A>, &mut dyn FnMut(SummaryOf<Engine<K, V, A>>)),
        at: impl Fn(Timestamp) -> usize,
    ) {
        let before = self.handed_out.len();
        let keep = &mut self.handed_out;
        call(&mut self.engine, &mut |summary| keep.push(((0, false, Timestamp::MIN, 0), summary)));
        let order = self.engine.order.iter_mut().flat_map(|order| order.drain(..));
        for ((place, _), (deadline, opened)) in self.handed_out[before..].iter_mut().zip(order) {
            *place = (at(deadline), false, deadline, opened);
        }
    }
}

impl<K, V, A> Sessionizer for Sharded<K, V, A>
where
    K: Key + Send,
    V: Value + Send,
    A: Aggregate<K, V> + Send,
    A::State: Send,
    A::Output: Send,
    for<'e> K::Ref<'e>: Send + Sync,
    for<'e> V::Ref<'e>: Send + Sync,
{
    type Key = K;
    type Value = V;
    type Output = A::Output;

    fn push<'e>(&mut self, event: Lent<'e, K, V>, out: &mut dyn FnMut(SummaryOf<Self>)) -> Pushed<Lent<'e, K, V>> {
        let clock = self.now.max(self.shards[0].engine.clock_rule().clock_of(&event));
        self.shards.iter_mut().for_each(|shard| shard.advance(clock, &[]));
        self.now = clock;
        let first = self.next_number();
        self.arrivals = first + self.stride - 1;
        let me = shard_of(hash(&self.hasher, event.key), self.shards.len() as u64) as usize;
        let pushed = self.shards[me].take_one(0, first, &event, None);
        self.merge(out);
        pushed
    }

    fn push_batch<'e>(
        &mut self,
        events: &[Lent<'e, K, V>],
        out: &mut dyn FnMut(SummaryOf<Self>),
    ) -> Vec<Pushed<Lent<'e, K, V>>> {
        let much = events.len() >= WORTH_A_THREAD && self.shards.len() > 1;
        let rule = self.shards[0].engine.clock_rule();
        self.list(events, rule, much);
        let first = self.next_number();
        let mut clock = self.now;
        let mut clock_after = |event| {
            clock = clock.max(rule.clock_of(event));
            clock
        };
        let clocks = if self.is_by_deadline { Vec::new() } else { events.iter().map(&mut clock_after).collect() };
        let rounds = rounds(&self.portions, self.now, events.len());
        let batch =
            Batch { events, portions: &self.portions, first, stride: self.stride, now: self.now, rounds, clocks };
        let returned =
            if much { in_threads(&mut self.shards, &batch, out) } else { in_turn(&mut self.shards, &batch, out) };
        self.now = batch.rounds.last().map_or(self.now, |(_, clock)| *clock);
        self.arrivals = first + events.len() as u64 * self.stride - 1;
        let mut returned: Vec<_> = returned.into_iter().flatten().collect();
        returned.sort_unstable_by_key(|(i, _)| *i);
        returned.into_iter().map(|(_, pushed)| pushed).collect()
    }

    fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>)) {
        let much = self.open_sessions() >= WORTH_A_THREAD && self.shards.len() > 1 && self.is_due(time);
        for_each(&mut self.shards, much, |_, shard| shard.note(|engine, out| engine.advance_to(time, out), |_| 0));
        self.now = self.now.max(time);
        self.merge(out);
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn clock(&self) -> Clock {
        self.shards[0].engine.clock()
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.shards.iter().filter_map(|shard| shard.engine.next_deadline()).min()
    }

    fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>)) {
        let forgets = self.shards.iter().any(|shard| shard.engine.is_in_use());
        let much = self.open_sessions() >= WORTH_A_THREAD && self.shards.len() > 1;
        for_each(&mut self.shards, much, |_, shard| shard.note(|engine, out| engine.flush_all(forgets, out), |_| 0));
        self.merge(out);
    }

    fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.shards.iter().for_each(|shard| sum.add(&shard.engine.counters()));
        sum
    }

    fn open_sessions(&self) -> usize {
        self.shards.iter().map(|shard| shard.engine.open_sessions()).sum()
    }
}

/// Where rounds end, and how far the clock is there: the last ends with the batch.
fn rounds(portions: &[Portion], now: Timestamp, events: usize) -> Vec<(usize, Timestamp)> {
    let (mut rounds, mut clock) = (Vec::new(), now);
    for portion in portions {
        rounds.extend(portion.ends.iter().map(|(end, at_end)| (*end, clock.max(*at_end))));
        clock = clock.max(portion.clock);
    }
    if events % ROUND != 0 {
        rounds.push((events, clock));
    }
    rounds
}

type Returned<'e, K, V> = Vec<Vec<(usize, Pushed<Lent<'e, K, V>>)>>;

/// All shards take a batch round by round, one after the other.
fn in_turn<'e, K: Key, V: Value, A: Aggregate<K, V>>(
    shards: &mut [Shard<K, V, A>],
    batch: &Batch<'_, 'e, K, V>,
    out: Out<'_, K, V, A>,
) -> Returned<'e, K, V> {
    let mut all: Vec<_> =
        shards.iter().map(|_| (Reached { portion: 0, taken: 0, clock: batch.now }, Vec::new())).collect();
    for round in &batch.rounds {
        for (me, (shard, (reached, returned))) in shards.iter_mut().zip(&mut all).enumerate() {
            shard.take_round(me, batch, reached, *round, returned);
        }
        merge(shards.iter_mut().map(|shard| &mut shard.handed_out), out);
    }
    all.into_iter().map(|(_, returned)| returned).collect()
}

/// All shards take a batch at the same time. This thread works for the first and puts in order what
/// comes out of all.
fn in_threads<'e, K, V, A>(
    shards: &mut [Shard<K, V, A>],
    batch: &Batch<'_, 'e, K, V>,
    out: Out<'_, K, V, A>,
) -> Returned<'e, K, V>
where
    K: Key + Send,
    V: Value + Send,
    A: Aggregate<K, V> + Send,
    A::State: Send,
    A::Output: Send,
    for<'r> K::Ref<'r>: Send + Sync,
    for<'r> V::Ref<'r>: Send + Sync,
{
    let Some((first, others)) = shards.split_first_mut() else { return Vec::new() };
    thread::scope(|scope| {
        let (mut links, mut threads) = (Vec::new(), Vec::new());
        for (i, shard) in others.iter_mut().enumerate() {
            let (full, take) = sync_channel::<Vec<HandedOut<K, V, A>>>(AHEAD_BY);
            let (give_back, empty) = channel();
            links.push((take, give_back));
            threads.push(scope.spawn(move || {
                shard.take_all(i + 1, batch, |handed_out| {
                    let next = empty.try_recv().unwrap_or_default();
                    full.send(core::mem::replace(handed_out, next)).is_ok()
                })
            }));
        }
        let of_first = first.take_all(0, batch, |own| {
            let mut theirs: Vec<_> = links.iter().map_while(|(take, _)| take.recv().ok()).collect();
            if theirs.len() < links.len() {
                return false; // a thread has panicked: that is found out below
            }
            merge(core::iter::once(own).chain(&mut theirs), out);
            links.iter().zip(theirs).for_each(|((_, give_back), empty)| drop(give_back.send(empty)));
            true
        });
        drop(links);
        core::iter::once(of_first).chain(threads.into_iter().map(join)).collect()
    })
}

/// The result of a thread; its panic is one here.
fn join<R>(thread: thread::ScopedJoinHandle<'_, R>) -> R {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Sharded<K, V, A> {
    /// Lists in portions whose event is whose.
    fn list(&mut self, events: &[Lent<'_, K, V>], rule: ClockRule, much: bool)
    where
        for<'e> K::Ref<'e>: Send + Sync,
        for<'e> V::Ref<'e>: Send + Sync,
    {
        let length = events.len().div_ceil(self.portions.len());
        let hasher = &self.hasher;
        for_each(&mut self.portions, much, |i, portion| {
            let start = (i * length).min(events.len());
            let end = (start + length).min(events.len());
            portion.list::<K, V>(start, &events[start..end], hasher, rule);
        });
    }

    fn is_due(&self, time: Timestamp) -> bool {
        self.shards.iter().any(|shard| shard.engine.next_deadline().is_some_and(|deadline| deadline <= time))
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> core::fmt::Debug for Sharded<K, V, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.shards.iter().map(|shard| &shard.engine)).finish()
    }
}
