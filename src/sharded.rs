//! One sessionizer on several cores.
//!
//! A key belongs to one shard, and each shard is a plain engine with an output of its own. A batch is shared
//! out first, a portion by each thread: it finds the events of each shard, and those that may move the
//! clock, of which every shard takes the time. So the clock of each is that of a single engine whenever it takes an
//! event, and a session closes, and an event is late, exactly when it would there. Nothing is put in order
//! afterwards.

use std::thread;
use std::vec::Vec;

use core::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use crate::aggregate::Aggregate;
use crate::config::Config;
use crate::data::{Key, Value};
use crate::engine::{Engine, Movers, Tagged, Unplaced};
use crate::error::{ConfigError, RestoreError};
use crate::event::{Event, EventRef};
use crate::open::OpenSession;
use crate::sessionizer::{Clock, Counters, Pushed, Returned, SummaryOf};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// A sessionizer whose keys are shared out over several shards, one thread for each where there are
/// many events or sessions.
///
/// Each shard has an output of its own, which is called on the shard's thread. Within an output the
/// order is that of an [`Engine`]: by deadline, then by opening. All outputs together get exactly the
/// sessions of one engine, with the same ids. [`push_batch`](Self::push_batch) is what makes it faster;
/// give it tens of thousands of events at a time, since starting the threads takes as long as ten thousand
/// events. Every shard takes the times of all events that move the clock. Between batches 8 to 12 bytes stay for each
/// event of the largest batch, of a million events at most, and the room that the lists have grown ahead.
///
/// If an output panics, its shard has not taken the rest of the batch, and others have: go on from a snapshot then.
///
/// The bounds on [open sessions](Config::max_open_sessions) and on
/// [the sessions that a call emits](Config::close_at_most) look at all keys at once, and are refused.
///
/// ```
/// use core::time::Duration;
/// use std::sync::mpsc::channel;
/// use stagger::{Config, Event, Gap, Sharded, Timestamp};
///
/// let config = || Config::<u64, u64>::new(Gap::new(Duration::from_secs(60))).out_of_order(Duration::from_secs(10));
/// let (sender, visits) = channel();
/// let outputs = [sender.clone(), sender].map(|sender| move |visit| _ = sender.send(visit));
/// let mut sessions = Sharded::new(outputs, config)?;
/// let events: Vec<_> = (0..1_000).map(|n| Event::new(n % 100, Timestamp::from_secs(n as i64), n)).collect();
/// let returned = sessions.push_batch(&events);
/// sessions.flush();
/// drop(sessions);
/// assert_eq!((returned.len(), visits.iter().count()), (0, 1_000));
/// # Ok::<(), stagger::ConfigError>(())
/// ```
pub struct Sharded<K: Key, V: Value, O, A: Aggregate<K, V> = ()> {
    shards: Vec<Shard<K, V, O, A>>,
    /// As many.
    portions: Vec<Portion>,
    hasher: DefaultHashBuilder,
}

/// On cache lines of its own: its neighbour is at work on another core.
#[repr(align(128))]
struct Shard<K: Key, V: Value, O, A: Aggregate<K, V>> {
    engine: Engine<K, V, A>,
    out: O,
}

/// Fewer events or sessions than this are not worth another thread.
const WORTH_A_THREAD: usize = 4_096;
/// The number of events shared out at once: few in unit tests, so that they have several times as many.
const MOST: usize = if cfg!(test) { 64 } else { 1 << 20 };

fn shard_of<T: core::hash::Hash>(hasher: &DefaultHashBuilder, key: T, shards: usize) -> usize {
    // The engine's index uses other bits, and another seed.
    ((u128::from(hasher.hash_one(key)) * shards as u128) >> 64) as usize
}

impl<K: Key, V: Value, O, A: Aggregate<K, V>> Shard<K, V, O, A>
where
    O: FnMut(SummaryOf<Engine<K, V, A>>),
{
    /// Takes its own events of a portion, each after the time of those before it. Calls `take` with their indices.
    fn take_portion<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        movers: &[u32],
        own: &[Own],
        mut take: impl FnMut(&mut Self, usize, EventRef<'e, K, V>),
    ) {
        let (mut next, mut observed) = (0, 0);
        for &Own { index, movers_before } in own {
            let (index, end) = (index as usize, movers_before as usize);
            self.engine.as_shard().pass_all(events, &movers[observed..end], index - next, &mut self.out);
            (next, observed) = (index + 1, end);
            take(self, index, events[index]);
        }
        self.engine.as_shard().pass_all(events, &movers[observed..], events.len() - next, &mut self.out);
    }
}

/// How a portion of a batch is shared out. (Kept from one batch to the next: to ask for the memory anew costs more.)
struct Portion {
    /// The events that may move the clock.
    movers: Vec<u32>,
    /// The events of each shard.
    own: Vec<Vec<Own>>,
}

/// The index of an event in its portion, and the number of movers before it.
#[derive(Clone, Copy)]
struct Own {
    index: u32,
    movers_before: u32,
}

impl Portion {
    fn new(shards: usize) -> Self {
        Self { movers: Vec::new(), own: (0..shards).map(|_| Vec::new()).collect() }
    }

    /// Shares events out. `clock`: as it stands before the batch; it may have moved further by then.
    fn share_out<K: Copy + core::hash::Hash, V>(
        &mut self,
        events: &[Event<K, V>],
        hasher: &DefaultHashBuilder,
        mut clock: Movers,
    ) {
        let shards = self.own.len();
        self.movers.clear();
        self.own.iter_mut().for_each(Vec::clear);
        for (index, event) in (0..).zip(events) {
            let movers_before = self.movers.len() as u32;
            self.own[shard_of(hasher, event.key, shards)].push(Own { index, movers_before });
            if clock.may_move(event) {
                self.movers.push(index);
            }
        }
    }
}

impl<K: Key, V: Value, O, A: Aggregate<K, V>> Sharded<K, V, O, A>
where
    O: FnMut(SummaryOf<Engine<K, V, A>>),
{
    /// Makes an empty sessionizer with a shard for each output, each with a configuration of its own:
    /// `config` must make the same each time. [`std::thread::available_parallelism`] tells how many can
    /// work at the same time.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that cannot work and what to change; without outputs there is no shard.
    pub fn new(
        outputs: impl IntoIterator<Item = O>,
        config: impl Fn() -> Config<K, V, A>,
    ) -> Result<Self, ConfigError> {
        let shard = |out| Ok(Shard { engine: config().for_one_of_several()?.build()?, out });
        let shards = outputs.into_iter().map(shard).collect::<Result<Vec<_>, ConfigError>>()?;
        if shards.is_empty() {
            return Err(ConfigError::NoShards);
        }
        let portions = shards.iter().map(|_| Portion::new(shards.len())).collect();
        Ok(Self { shards, portions, hasher: DefaultHashBuilder::default() })
    }

    /// Goes on from a snapshot: of any number of shards, or of one [`Engine`].
    ///
    /// # Errors
    /// [`RestoreError`] says what differs.
    pub fn restore(
        outputs: impl IntoIterator<Item = O>,
        config: impl Fn() -> Config<K, V, A>,
        snapshot: Snapshot<K, V, A::State>,
    ) -> Result<Self, RestoreError> {
        let Self { shards, portions, hasher } = Self::new(outputs, config)?;
        let pieces = snapshot.split(shards.len(), |key| shard_of(&hasher, key, shards.len()));
        let restore = |(shard, piece): (Shard<K, V, O, A>, _)| {
            Ok(Shard { engine: shard.engine.go_on_from(piece)?, out: shard.out })
        };
        let shards = shards.into_iter().zip(pieces).map(restore).collect::<Result<Vec<_>, RestoreError>>()?;
        Ok(Self { shards, portions, hasher })
    }

    /// Copies the state: a snapshot like that of an engine, which either can go on from.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<K, V, A::State> {
        let mut pieces = self.shards.iter().map(|shard| shard.engine.snapshot());
        let whole = pieces.next().expect("there is at least one shard");
        pieces.fold(whole, Snapshot::with).in_order()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Which shard takes the events of a key: the index of its output.
    pub fn shard_of(&self, key: K::Ref<'_>) -> usize {
        shard_of(&self.hasher, key, self.shards.len())
    }

    /// Takes one event, on this thread. An [`Engine`] does that faster.
    pub fn push<'e>(&mut self, event: EventRef<'e, K, V>) -> Pushed<EventRef<'e, K, V>> {
        let Shard { engine, out } = self.shard_for(&event);
        engine.push(event, out)
    }

    /// Takes one event, on this thread, and leads to the session that took it; see [`Engine::push_tagged`].
    #[must_use = "a late or refused event is handed back here and nowhere else"]
    pub fn push_tagged<'s, 'e>(&'s mut self, event: EventRef<'e, K, V>) -> Tagged<'s, 'e, K, V, A> {
        let Shard { engine, out } = self.shard_for(&event);
        engine.push_tagged(event, out)
    }

    /// The shard that takes an event. The others have seen its time.
    fn shard_for(&mut self, event: &EventRef<'_, K, V>) -> &mut Shard<K, V, O, A> {
        let own = self.shard_of(event.key);
        for (i, Shard { engine, out }) in self.shards.iter_mut().enumerate() {
            if i != own {
                engine.as_shard().pass(event, out);
            }
        }
        &mut self.shards[own]
    }

    /// The open sessions of a key; see [`Engine::sessions_of`].
    pub fn sessions_of(&self, key: K::Ref<'_>) -> impl Iterator<Item = OpenSession<'_, K, V, A::State>> {
        self.shards[self.shard_of(key)].engine.sessions_of(key)
    }

    /// The open session of a key at an instant; see [`Engine::session_at`].
    pub fn session_at(&self, key: K::Ref<'_>, instant: Timestamp) -> Option<OpenSession<'_, K, V, A::State>> {
        self.shards[self.shard_of(key)].engine.session_at(key, instant)
    }

    /// The open sessions of all shards, in no particular order.
    pub fn open(&self) -> impl Iterator<Item = OpenSession<'_, K, V, A::State>> {
        self.shards.iter().flat_map(|shard| shard.engine.open())
    }

    /// Takes the events that found no session to join, in order of time, then of arrival; see
    /// [`Engine::take_orphans`].
    pub fn take_orphans(&mut self) -> Vec<Event<K, V>> {
        self.take_unplaced(Unplaced::Orphan)
    }

    /// Takes the events that were in their session already, in order of time, then of arrival; see
    /// [`Engine::take_duplicates`].
    pub fn take_duplicates(&mut self) -> Vec<Event<K, V>> {
        self.take_unplaced(Unplaced::Duplicate)
    }

    fn take_unplaced(&mut self, why: Unplaced) -> Vec<Event<K, V>> {
        let taken = self.shards.iter_mut().flat_map(|shard| shard.engine.as_shard().take_unplaced(why));
        let mut all: Vec<_> = taken.collect();
        all.sort_by_key(|unplaced| (unplaced.event.event_time, unplaced.seq));
        all.into_iter().map(|unplaced| unplaced.event).collect()
    }

    /// Where the clock stands; [`Timestamp::MIN`] in the beginning.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shards[0].engine.now()
    }

    /// Which clock that is.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shards[0].engine.clock()
    }

    /// The time to which the clock must move before anything more is emitted; see
    /// [`Engine::next_deadline`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.shards.iter().filter_map(|shard| shard.engine.next_deadline()).min()
    }

    /// Counts of all events and sessions, in all shards.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.shards.iter().for_each(|shard| sum.add(&shard.engine.counters()));
        sum
    }

    /// How many sessions are open, counting those kept only for corrections.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.shards.iter().map(|shard| shard.engine.open_sessions()).sum()
    }
}

impl<K, V, O, A> Sharded<K, V, O, A>
where
    K: Key + Send,
    V: Value + Send,
    O: FnMut(SummaryOf<Engine<K, V, A>>) + Send,
    A: Aggregate<K, V> + Send,
    A::State: Send,
    for<'e> K::Ref<'e>: Send + Sync,
    for<'e> V::Ref<'e>: Send + Sync,
{
    /// Takes several events, one after the other. Returns those that are handed back, in their order,
    /// each with its index in `events`, as [`Pushed::Late`] or [`Pushed::Refused`].
    #[must_use = "late and refused events are handed back here and nowhere else"]
    pub fn push_batch<'e>(&mut self, events: &[EventRef<'e, K, V>]) -> Returned<EventRef<'e, K, V>> {
        let mut returned = self.take_batch(events, |Shard { engine, out }, i, event| {
            let pushed = engine.push(event, out);
            pushed.is_returned().then_some((i, pushed))
        });
        returned.sort_unstable_by_key(|(i, _)| *i);
        returned
    }

    /// The same, and `each` gets every event with its index in `events` and the session that took it; see
    /// [`Engine::push_batch_tagged`]. It is called on the thread of the event's shard: in order within a shard,
    /// and at the same time for several.
    ///
    /// ```
    /// use core::time::Duration;
    /// use std::sync::mpsc::channel;
    /// use stagger::{Config, Event, Gap, Sharded, Timestamp};
    ///
    /// let config = || Config::<u64, ()>::new(Gap::new(Duration::from_secs(60)));
    /// let mut visits = Sharded::new([|_| {}, |_| {}], config)?;
    /// let events = [(7, 0), (8, 5), (7, 10)].map(|(user, second)| Event::new(user, Timestamp::from_secs(second), ()));
    /// let (sender, tags) = channel();
    /// visits.push_batch_tagged(&events, |i, tagged| sender.send((i, tagged.id())).expect("it is received below"));
    /// drop(sender);
    /// let mut tags: Vec<_> = tags.iter().collect();
    /// tags.sort_unstable();
    /// assert!(tags[0].1 == tags[2].1 && tags[0].1 != tags[1].1);
    /// # Ok::<(), stagger::ConfigError>(())
    /// ```
    pub fn push_batch_tagged<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        each: impl Fn(usize, Tagged<'_, 'e, K, V, A>) + Sync,
    ) {
        self.take_batch(events, |Shard { engine, out }, i, event| {
            each(i, engine.push_tagged(event, out));
            None::<()>
        });
    }

    /// Gives each event to its shard, on several threads if there are many. Returns what `take` gives, in order
    /// within a shard.
    fn take_batch<'e, T: Send>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        take: impl Fn(&mut Shard<K, V, O, A>, usize, EventRef<'e, K, V>) -> Option<T> + Sync,
    ) -> Vec<T> {
        let chunks = events.chunks(MOST).enumerate();
        chunks.flat_map(|(i, events)| self.take_chunk(i * MOST, events, &take)).collect()
    }

    /// The same for events of which the first has an index.
    fn take_chunk<'e, T: Send>(
        &mut self,
        first: usize,
        events: &[EventRef<'e, K, V>],
        take: impl Fn(&mut Shard<K, V, O, A>, usize, EventRef<'e, K, V>) -> Option<T> + Sync,
    ) -> Vec<T> {
        let Self { shards, portions, hasher } = self;
        let (is_much, clock) = (events.len() >= WORTH_A_THREAD, shards[0].engine.as_shard().movers());
        let length = events.len().div_ceil(shards.len());
        let part = |i: usize| events.len().min(i * length)..events.len().min((i + 1) * length);
        for_each(portions, is_much, |i, portion| portion.share_out(&events[part(i)], hasher, clock));
        let taken = for_each(shards, is_much, |own, shard| {
            let mut taken = Vec::new();
            for (i, Portion { movers, own: of }) in portions.iter().enumerate() {
                let begin = first + part(i).start;
                shard.take_portion(&events[part(i)], movers, &of[own], |shard, i, event| {
                    taken.extend(take(shard, begin + i, event));
                });
            }
            taken
        });
        taken.into_iter().flatten().collect()
    }

    /// Moves the clock of all shards; see [`Engine::advance_to`].
    pub fn advance_to(&mut self, time: Timestamp) {
        let is_due = self.next_deadline().is_some_and(|deadline| deadline <= time);
        let is_much = is_due && self.open_sessions() >= WORTH_A_THREAD;
        for_each(&mut self.shards, is_much, |_, shard| shard.engine.advance_to(time, &mut shard.out));
    }

    /// Closes everything in all shards; see [`Engine::flush`].
    pub fn flush(&mut self) {
        let is_much = self.open_sessions() >= WORTH_A_THREAD;
        for_each(&mut self.shards, is_much, |_, shard| shard.engine.flush(&mut shard.out));
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
        let others = others.iter_mut().enumerate();
        let threads: Vec<_> = others.map(|(i, one)| scope.spawn(move || work(i + 1, one))).collect();
        let first = work(0, first);
        core::iter::once(first).chain(threads.into_iter().map(join)).collect()
    })
}

/// The result of a thread; its panic is one here.
fn join<R>(thread: thread::ScopedJoinHandle<'_, R>) -> R {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl<K: Key, V: Value, O, A: Aggregate<K, V>> core::fmt::Debug for Sharded<K, V, O, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.shards.iter().map(|shard| &shard.engine)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Gap;
    use crate::testing::{at, us};

    #[test]
    fn a_batch_that_is_shared_out_in_several_turns_gives_the_sessions_and_late_events_of_one_engine() {
        let config = || Config::<u64, u64>::new(Gap::new(us(5))).out_of_order(us(20));
        let event = |n: u64| Event::new(n % 7, at(n as i64 * 3 - (n * n % 45) as i64), n);
        let events: Vec<_> = (0..MOST as u64 * 5 + 3).map(event).collect();
        let (mut engine, mut sessions) = (config().build().expect("it works"), Vec::new());
        let late = engine.push_batch(&events, &mut |session| sessions.push((session.key, session.first_time)));
        engine.flush(&mut |session| sessions.push((session.key, session.first_time)));
        let mut found: [Vec<_>; 3] = Default::default();
        let outputs = found.each_mut().map(|found| {
            |session: SummaryOf<Engine<_, _>>| {
                found.push((session.key, session.first_time));
            }
        });
        let mut sharded = Sharded::new(outputs, config).expect("it works");
        let late_in_shards = sharded.push_batch(&events);
        sharded.flush();
        drop(sharded);
        let mut found = found.concat();
        sessions.sort_unstable();
        found.sort_unstable();
        assert!(late.len() > 1 && late.last().is_some_and(|(i, _)| *i > MOST), "{late:?}");
        assert_eq!((found, late_in_shards), (sessions, late));
    }
}
