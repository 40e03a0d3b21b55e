//! The whole state of a sessionizer as a plain value: saved, restored, split and joined.

#[cfg(feature = "serde")]
mod bytes;
mod portions;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use core::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use crate::aggregate::Aggregate;
use crate::config::Config;
use crate::data::{Key, Value};
use crate::engine::{Engine, Part, Placement, Standing, State, Stored, Unplaced, UnplacedEvent};
use crate::error::RestoreError;
use crate::event::Event;
use crate::id::SessionId;
use crate::session::{MAX_EVENTS, Mark, RareState, Session};
use crate::sessionizer::Counters;
use crate::strategy::length_of_text;
use crate::time::Timestamp;

/// The version that this release writes and reads.
const VERSION: u32 = 2;

/// The state of an [`Engine`] between two events.
///
/// Restored under the same configuration, in another process or on another machine, it goes on as if
/// nothing had happened: with the remaining events the output is the same, in the same order, and so
/// are the session ids.
///
/// It carries its format version and the settings it was taken under, and is checked when restored.
/// With the feature `serde` it can be written in any format that knows maps and sequences; the
/// bytes are the caller's choice. The aggregate itself (its closures) is not part of it: restore
/// with the same one.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Config, Event, Gap, Timestamp};
///
/// let config = || Config::<String, u32>::new(Gap::new(Duration::from_secs(60)));
/// let mut before = config().build()?;
/// let _ = before.push(Event::new("alice", Timestamp::from_secs(1), 7), &mut |_| {});
/// let snapshot = before.snapshot();
///
/// let mut after = config().restore(snapshot)?;
/// let _ = after.push(Event::new("alice", Timestamp::from_secs(9), 8), &mut |_| {});
/// after.flush(&mut |session| assert_eq!(session.count, 2));
/// # Ok::<(), stagger::RestoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot<K, V, S = ()> {
    version: u32,
    settings: Vec<(String, String)>,
    now: Timestamp,
    flushes: u32,
    // Fields that version 1 did not have are left out at will, so that a restore can name the version.
    /// How many sessions were closed early.
    #[cfg_attr(feature = "serde", serde(default))]
    early_closings: u64,
    /// Windows that end up to here were given up under another lateness.
    #[cfg_attr(feature = "serde", serde(default))]
    given_up: Option<Timestamp>,
    /// The gap has been changed.
    #[cfg_attr(feature = "serde", serde(default))]
    gap_changed: bool,
    /// The number of the latest push.
    arrivals: u64,
    counters: Counters,
    /// In order of their opening.
    sessions: Vec<Saved<K, V, S>>,
    /// In order of time.
    held: Vec<SavedEvent<K, V>>,
    /// In the order in which they will be forgotten.
    parts: Vec<RememberedPart>,
    /// Events that no session took, and that the caller has not taken.
    #[cfg_attr(feature = "serde", serde(default = "Vec::new"))] // `default` alone wants K and V to have a default
    orphans: Vec<SavedEvent<K, V>>,
    /// Some updates are due that a bounded call has not emitted.
    #[cfg_attr(feature = "serde", serde(default))]
    has_updates_due: bool,
}

/// A session, with all that is known about it under its own name.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Saved<K, V, S> {
    key: K,
    first_value: V,
    last_value: V,
    state: S,
    /// Start of the bucket, index of the sliding window, or 0.
    bucket: i64,
    first: Timestamp,
    last: Timestamp,
    /// End of the window, or the furthest reach of a gap. On the arrival clock: the arrival that
    /// opened it.
    end: Timestamp,
    opened: u64,
    count: u64,
    part: u32,
    cut: bool,
    extra: Option<RareState<V>>,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct SavedEvent<K, V> {
    arrival: u64,
    event: Event<K, V>,
    /// Of those that no session took: its session held an event of its id.
    #[cfg_attr(feature = "serde", serde(default))]
    is_duplicate: bool,
}

/// Keys that are borrowed. A set of `K::Ref` would want all of them, and those looked for, to live equally long.
struct KeySet<'k, K> {
    table: HashTable<&'k K>,
    hasher: DefaultHashBuilder,
}

impl<K> Default for KeySet<'_, K> {
    fn default() -> Self {
        Self { table: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<'k, K: Key> KeySet<'k, K> {
    /// Returns whether it is new.
    fn insert(&mut self, key: &'k K) -> bool {
        let Self { table, hasher } = self;
        let hash = |key: &K| hasher.hash_one(key.key_ref());
        match table.entry(hash(key), |known| known.key_eq(key.key_ref()), |known| hash(known)) {
            Entry::Vacant(room) => {
                room.insert(key);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    fn contains(&self, key: &K) -> bool {
        self.table.find(self.hasher.hash_one(key.key_ref()), |known| known.key_eq(key.key_ref())).is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct RememberedPart {
    partition: SessionId,
    part: u32,
    opened: Timestamp,
}

/// The state of the keys of an [`Engine`] that changed since its last [`Snapshot`].
///
/// A large state is saved as a snapshot now and then, and as changes in between, whose size goes by the
/// number of changed keys. [`Snapshot::with_changes`] puts them together again.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Changes<K, V, S = ()> {
    keys: Vec<K>,
    /// Clock and counters are those of the whole state; sessions and events are those of the keys.
    state: Snapshot<K, V, S>,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Copies the state. Time and memory are linear in the open sessions and held events.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<K, V, A::State> {
        let (state, mut sessions) = (self.state(), Vec::with_capacity(self.open_sessions()));
        sessions.extend(state.sessions().map(Saved::from));
        let mut snapshot = Snapshot::of(state, sessions);
        snapshot.copy_waiting(state);
        snapshot.parts = state.parts().map(RememberedPart::from).collect();
        snapshot
    }

    /// Copies the state of some keys, to replace their state in an earlier snapshot or
    /// earlier changes.
    ///
    /// The keys that can have changed are those of the events pushed and of the summaries emitted since then.
    /// If the key of an open session is left out, restoring finds that counters and sessions disagree.
    ///
    /// `None` where sessions change without an event or a summary of their key; take snapshots there: with a
    /// strategy that [holds](crate::Pushed::Held) events, and with both
    /// [`allowed_lateness`](Config::allowed_lateness) and [`max_open_sessions`](Config::max_open_sessions), where
    /// the bound removes sessions that wait for corrections.
    ///
    /// Finds each key's sessions: O(1) expected for each session; with windows, for each window in which any key has a
    /// session. Windows remembered on the arrival clock ([`remember_parts`](crate::Stagger::remember_parts)) are copied
    /// all.
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp};
    ///
    /// let config = || Config::<String, u32>::new(Gap::new(Duration::from_secs(60)));
    /// let mut engine = config().build()?;
    /// let _ = engine.push(Event::new("alice", Timestamp::from_secs(1), 7), &mut |_| {});
    /// let base = engine.snapshot();
    /// let _ = engine.push(Event::new("bob", Timestamp::from_secs(9), 8), &mut |_| {});
    /// let changes = engine.changes(["bob"]).expect("this strategy holds no events");
    ///
    /// let again = config().restore(base.with_changes([changes])?)?;
    /// assert_eq!(again.snapshot(), engine.snapshot());
    /// # Ok::<(), stagger::RestoreError>(())
    /// ```
    #[must_use]
    pub fn changes<'k>(&self, keys: impl IntoIterator<Item = K::Ref<'k>>) -> Option<Changes<K, V, A::State>> {
        let state = self.state();
        if state.changes_in_silence() {
            return None;
        }
        let keys: Vec<K> = keys.into_iter().map(K::key_from).collect();
        let parts = state.parts().map(RememberedPart::from).collect();
        Some(Changes { state: Snapshot { parts, ..Snapshot::of_keys(state, &keys) }, keys })
    }
}

impl<K: Key, V: Value, S: Clone> Snapshot<K, V, S> {
    /// With the sessions of some keys, and without events and parts.
    fn of_keys<A: Aggregate<K, V, State = S>>(state: &State<K, V, A>, keys: &[K]) -> Self {
        let (mut known, mut sessions) = (KeySet::default(), Vec::new());
        for key in keys.iter().filter(|key| known.insert(*key)) {
            sessions.extend(state.sessions_of(key.key_ref()).map(Saved::from));
        }
        Self::of(state, sessions)
    }

    /// With some sessions, and without events and parts.
    fn of<A: Aggregate<K, V, State = S>>(state: &State<K, V, A>, mut sessions: Vec<Saved<K, V, S>>) -> Self {
        sessions.sort_by_key(|session| (session.opened, session.bucket));
        let standing = state.standing();
        let Standing { now, flushes, early_closings, given_up, gap_changed, counters, has_updates_due, .. } = standing;
        Self {
            version: VERSION,
            settings: state.settings().to_vec(),
            now,
            flushes,
            early_closings,
            given_up,
            gap_changed,
            arrivals: standing.last_seq,
            counters,
            sessions,
            held: Vec::new(),
            parts: Vec::new(),
            orphans: Vec::new(),
            has_updates_due,
        }
    }

    /// Adds the events that wait, and those without a session.
    fn copy_waiting<A: Aggregate<K, V, State = S>>(&mut self, state: &State<K, V, A>) {
        let copy = |event: &Event<K, V>, arrival, why| SavedEvent {
            arrival,
            event: event.as_event_ref().into_owned(),
            is_duplicate: why == Some(Unplaced::Duplicate),
        };
        self.held.extend(state.held().map(|(event, seq)| copy(event, seq, None)));
        self.orphans.extend(state.unplaced().map(|one| copy(&one.event, one.seq, Some(one.why))));
    }

    const fn standing(&self) -> Standing {
        Standing {
            now: self.now,
            flushes: self.flushes,
            early_closings: self.early_closings,
            given_up: self.given_up,
            gap_changed: self.gap_changed,
            last_seq: self.arrivals,
            counters: self.counters,
            has_updates_due: self.has_updates_due,
        }
    }
}

impl From<Part> for RememberedPart {
    fn from((partition, part, opened): Part) -> Self {
        Self { partition, part, opened }
    }
}

impl From<RememberedPart> for Part {
    fn from(RememberedPart { partition, part, opened }: RememberedPart) -> Self {
        (partition, part, opened)
    }
}

impl<K: Key, V: Value, S: Clone> From<Stored<'_, K, V, S>> for Saved<K, V, S> {
    fn from(stored: Stored<'_, K, V, S>) -> Self {
        let Stored { session, rare, placement } = stored;
        let Session { key, first_value, last_value, state, first, last, opened, .. } = session.copy();
        Self {
            key,
            first_value,
            last_value,
            state,
            bucket: placement.bucket,
            first,
            last,
            end: placement.end,
            opened,
            count: session.count(),
            part: rare.map_or(1, |rare| rare.part),
            cut: session.is(Mark::Cut),
            extra: rare.filter(|rare| !rare.is_blank()).map(RareState::copy),
        }
    }
}

impl<K: Key, V: Value, S> Saved<K, V, S> {
    /// The session as it was, with its rare state and its place.
    fn open(self) -> (Session<K, V, S>, Option<RareState<V>>, Placement) {
        let placement = self.placement();
        let Self { key, first_value, last_value, state, first, last, end, opened, count, part, cut, .. } = self;
        let mut session = Session::new(key, first..=last, end, opened, count, [first_value, last_value], state);
        session.mark(Mark::Cut, cut);
        let rare = self.extra.map(|rare| RareState { part, ..rare });
        (session, rare.or_else(|| (part != 1).then(|| RareState { part, ..RareState::default() })), placement)
    }

    const fn placement(&self) -> Placement {
        Placement { bucket: self.bucket, end: self.end }
    }

    /// How many of its events a summary has held.
    fn reported(&self) -> u64 {
        self.extra.as_ref().and_then(|extra| extra.reported).map_or(0, |reported| reported.count)
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Config<K, V, A> {
    /// Checks the settings and a snapshot, and goes on from there.
    ///
    /// # Errors
    /// [`RestoreError`] says what differs: the version, a setting, or a part of the snapshot that
    /// contradicts the rest.
    pub fn restore(self, snapshot: Snapshot<K, V, A::State>) -> Result<Engine<K, V, A>, RestoreError> {
        let engine = self.build()?;
        engine.go_on_from(snapshot)
    }

    /// The same, under settings that are not those of the snapshot. The new ones count for the events
    /// pushed from now on; sessions that are open keep the end that their events have given them.
    ///
    /// | setting | may change |
    /// |---|---|
    /// | gap length, gap per event | yes |
    /// | `out_of_order`, `max_future` | yes; the watermark never goes back |
    /// | `max_open_sessions` and what happens when it is reached | yes; with more sessions than the new bound, as if it were reached |
    /// | `allowed_lateness` | yes, but not to zero: sessions that wait for corrections would have no place. Windows that were given up under the old lateness stay so |
    /// | `update_every`, `update_every_events` | yes |
    /// | all others | no: they say which session an event belongs to |
    ///
    /// ```
    /// use core::time::Duration;
    /// use stagger::{Config, Event, Gap, Timestamp};
    ///
    /// let gap = |secs| Config::<String, ()>::new(Gap::new(Duration::from_secs(secs)));
    /// let mut before = gap(60).build()?;
    /// let _ = before.push(Event::new("alice", Timestamp::from_secs(0), ()), &mut |_| {});
    /// let mut after = gap(300).restore_changed(before.snapshot())?;
    /// for second in [50, 300] {
    ///     let _ = after.push(Event::new("alice", Timestamp::from_secs(second), ()), &mut |_| {});
    /// }
    /// after.flush(&mut |session| assert_eq!(session.count, 3));
    /// # Ok::<(), stagger::RestoreError>(())
    /// ```
    ///
    /// # Errors
    /// [`RestoreError::Unchangeable`] says which setting must stay, and why; the others as for
    /// [`restore`](Self::restore).
    pub fn restore_changed(self, snapshot: Snapshot<K, V, A::State>) -> Result<Engine<K, V, A>, RestoreError> {
        let engine = self.build()?;
        let mut snapshot = snapshot;
        snapshot.change_settings(engine.settings())?;
        engine.go_on_from(snapshot)
    }
}

/// Why a setting cannot change while sessions are open; nothing if it can.
fn unchangeable(setting: &str, new: &str) -> Option<&'static str> {
    match setting {
        "gap" | "gap_per_event" | "out_of_order" | "max_future" | "max_open_sessions" | "when_full" => None,
        "update_every" | "update_every_events" => None,
        "allowed_lateness" if new != "0ns" => None,
        "allowed_lateness" => Some("sessions that were emitted wait for corrections"),
        "first_last_by" => Some("the first and last events of open sessions go by the old order"),
        _ => Some("open sessions were built by it"),
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Takes over a snapshot; the engine must be unused.
    pub(crate) fn go_on_from(mut self, snapshot: Snapshot<K, V, A::State>) -> Result<Self, RestoreError> {
        if snapshot.version != VERSION {
            return Err(RestoreError::Version { found: snapshot.version, expected: VERSION });
        }
        same_settings(&snapshot.settings, self.settings())?;
        check(&snapshot, self.state())?;
        let standing = snapshot.standing();
        let Snapshot { mut sessions, held, parts, orphans, .. } = snapshot;
        if self.state().shape().is_on_arrival {
            // Pieces of different clocks: those that are over first come first.
            sessions.sort_by_key(|session| (session.end, session.opened));
        }
        self.state_mut().restore(
            standing,
            sessions.into_iter().map(Saved::open),
            held.into_iter().map(|held| (held.event, held.arrival)),
            orphans.into_iter().map(SavedEvent::unplaced),
            parts.into_iter().map(Part::from),
        );
        Ok(self)
    }
}

impl<K, V> SavedEvent<K, V> {
    /// The event, if no session took it.
    fn unplaced(self) -> UnplacedEvent<K, V> {
        let why = if self.is_duplicate { Unplaced::Duplicate } else { Unplaced::Orphan };
        UnplacedEvent { event: self.event, seq: self.arrival, why }
    }
}

/// Names and values of settings.
type Settings = [(String, String)];

fn value_of(settings: &Settings, name: &str) -> String {
    settings.iter().find(|(n, _)| n == name).map_or_else(|| String::from("nothing"), |(_, value)| value.clone())
}

/// The settings that differ: their names, with the old and the new value.
fn differences<'s>(old: &'s Settings, new: &'s Settings) -> impl Iterator<Item = (&'s String, String, String)> {
    let all = new.iter().chain(old).map(|(name, _)| (name, value_of(old, name), value_of(new, name)));
    all.filter(|(_, old, new)| old != new)
}

fn same_settings(snapshot: &Settings, current: &Settings) -> Result<(), RestoreError> {
    match differences(snapshot, current).next() {
        Some((setting, snapshot, current)) => {
            Err(RestoreError::Setting { setting: setting.clone(), snapshot, current })
        }
        None => Ok(()),
    }
}

/// Refuses a snapshot that contradicts itself: no state that is let in makes the engine go wrong.
fn check<K: Key, V: Value, A: Aggregate<K, V>>(
    snapshot: &Snapshot<K, V, A::State>,
    state: &State<K, V, A>,
) -> Result<(), RestoreError> {
    let shape = state.shape();
    let counters = &snapshot.counters;
    let fine = |fine: bool, what: &str| match fine {
        true => Ok(()),
        false => Err(RestoreError::Damaged { what: String::from(what) }),
    };
    let most = MAX_EVENTS; // far beyond any real count, and nothing can overflow
    fine(counters.is_conserved() && counters.are_possible(), "its counters do not add up")?;
    fine(snapshot.arrivals <= most, "it has seen more events than there can be")?;
    let mut open = 0_u64;
    for session in &snapshot.sessions {
        let fine = |is_fine: bool, what: &str| match is_fine {
            true => Ok(()),
            false => fine(false, &format!("the session opened by event {} {what}", session.opened)),
        };
        fine((1..=most).contains(&session.count) && session.reported() <= session.count, "has an impossible count")?;
        fine(session.first <= session.last, "ends before it begins")?;
        fine(session.opened <= snapshot.arrivals, "was opened by an event to come")?;
        fine(state.allows(session.first, session.last, session.placement()), "does not fit its window")?;
        open = open.saturating_add(session.count - session.reported());
    }
    if let Some(session) = repeated(snapshot, state) {
        fine(false, &format!("the session opened by event {} is there twice", session.opened))?;
    }
    fine(counters.open_events() == open, "its counters do not agree with its sessions")?;
    fine(counters.held == snapshot.held.len() as u64, "its counters do not agree with the events held")?;
    fine(shape.holds_events || snapshot.held.is_empty(), "it holds events that this strategy never holds")?;
    let has_orphans = !snapshot.orphans.is_empty();
    fine(shape.holds_events || !has_orphans, "it has events without a session, as this strategy never has")?;
    let known = snapshot.held.iter().chain(&snapshot.orphans).all(|held| held.arrival <= snapshot.arrivals);
    fine(known, "it holds an event that was never pushed")
}

/// A session in whose place there is another.
fn repeated<'s, K: Key, V: Value, A: Aggregate<K, V>>(
    snapshot: &'s Snapshot<K, V, A::State>,
    state: &State<K, V, A>,
) -> Option<&'s Saved<K, V, A::State>> {
    let has_several = state.shape().has_several_per_key;
    let place = |session: &'s Saved<K, V, A::State>| {
        let several = has_several || state.may_be_pending(session.end, snapshot.now);
        let within = if several { (session.first, session.opened) } else { Default::default() };
        (session.key.key_ref(), session.bucket, within)
    };
    // To sort hashes takes a fraction of the time of a set of places. Two that are equal are hardly ever met.
    let hasher = DefaultHashBuilder::default();
    let mut hashes: Vec<u64> = snapshot.sessions.iter().map(|session| hasher.hash_one(place(session))).collect();
    hashes.sort_unstable();
    if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
        return None;
    }
    let mut places = HashSet::new();
    snapshot.sessions.iter().find(|session| !places.insert(place(session)))
}

impl<K, V, S> Snapshot<K, V, S> {
    /// Puts other settings in the place of its own, if all that differ may change.
    fn change_settings(&mut self, new: &Settings) -> Result<(), RestoreError> {
        for (setting, snapshot, current) in differences(&self.settings, new) {
            if let Some(why) = unchangeable(setting, &current) {
                return Err(RestoreError::Unchangeable { setting: setting.clone(), snapshot, current, why });
            }
            match &**setting {
                "allowed_lateness" => {
                    let given_up = length_of_text(&snapshot).map(|lateness| self.now.shift(-lateness));
                    self.given_up = self.given_up.max(given_up);
                }
                "gap" | "gap_per_event" => self.gap_changed = true,
                _ => {}
            }
        }
        self.settings = new.to_vec();
        Ok(())
    }
}

impl<K: Key, V: Value, S> Snapshot<K, V, S> {
    /// Where the clock stood.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many sessions are in it.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Splits the state by key, to go on in `pieces` places: piece `i` gets the keys for which
    /// `piece_of` returns `i`. A result of `pieces` or more counts as the last piece, and fewer than
    /// one piece as one.
    ///
    /// Counts stay with the first piece; events of open sessions are counted as carried over.
    /// All pieces keep the clock, and with it the order and the ids of their sessions.
    ///
    /// `piece_of` gets the key in its borrowed form, as events carry it. Choose the piece of an event by
    /// the same function, such as [`partition_of`](crate::partition_of): by two that differ, a user's
    /// open session lies in one place and the user's next events in another.
    ///
    /// From here on each piece has a clock of its own, which only its own events move. Where pieces must
    /// close sessions at the same time, and call the same events late, build them without
    /// [`out_of_order`](Config::out_of_order) and [advance](Engine::advance_to) all to one watermark,
    /// that of a [`WatermarkMerger`](crate::WatermarkMerger) for example.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use stagger::{Config, Event, Gap, Timestamp, partition_of};
    /// # let config = || Config::<String, ()>::new(Gap::new(Duration::from_secs(60)));
    /// # let mut engine = config().build()?;
    /// # let _ = engine.push(Event::new("alice", Timestamp::from_secs(1), ()), &mut |_| {});
    /// let pieces = engine.snapshot().split(3, |user| partition_of(user, 3));
    /// let mut engines = pieces.into_iter().map(|piece| config().restore(piece)).collect::<Result<Vec<_>, _>>()?;
    /// let event = Event::new("alice", Timestamp::from_secs(9), ());
    /// let pushed = engines[partition_of(event.key, 3)].push(event, &mut |_| {});
    /// assert_eq!(pushed, stagger::Pushed::Extended);
    /// # Ok::<(), stagger::RestoreError>(())
    /// ```
    #[must_use]
    pub fn split(self, pieces: usize, piece_of: impl Fn(K::Ref<'_>) -> usize) -> Vec<Self> {
        let last = pieces.saturating_sub(1);
        let Self { sessions, held, orphans, mut counters, .. } = self;
        let empty = || Self {
            settings: self.settings.clone(),
            counters: Counters::default(),
            sessions: Vec::new(),
            held: Vec::new(),
            orphans: Vec::new(),
            parts: self.parts.clone(),
            ..self
        };
        let mut all: Vec<Self> = (0..=last).map(|_| empty()).collect();
        for session in sessions {
            all[piece_of(session.key.key_ref()).min(last)].sessions.push(session);
        }
        for event in held {
            all[piece_of(event.event.key.key_ref()).min(last)].held.push(event);
        }
        for orphan in orphans {
            all[piece_of(orphan.event.key.key_ref()).min(last)].orphans.push(orphan);
        }
        for piece in &mut all[1..] {
            let placed = piece.sessions.iter().map(|session| session.count - session.reported()).sum();
            piece.counters = counters.carry_out(placed, piece.held.len() as u64);
        }
        all[0].counters = counters;
        all
    }

    /// Puts pieces together that were taken under the same configuration and have no key in common.
    /// The clock of the whole is the earliest of theirs.
    ///
    /// # Errors
    /// If version or settings differ, or there is no piece. Keys in common are found when the whole
    /// is restored.
    pub fn join(pieces: impl IntoIterator<Item = Self>) -> Result<Self, RestoreError> {
        let mut pieces = pieces.into_iter();
        let none = RestoreError::Damaged { what: String::from("there is nothing to join") };
        let mut whole = pieces.next().ok_or(none)?;
        for piece in pieces {
            if piece.version != whole.version {
                return Err(RestoreError::Version { found: piece.version, expected: whole.version });
            }
            same_settings(&piece.settings, &whole.settings)?;
            whole = whole.with(piece);
        }
        Ok(whole.in_order())
    }

    /// The state as it was when the last of these changes was taken: changes in the order in which they were
    /// taken, all of one engine, beginning with the first after this snapshot.
    ///
    /// Time and memory are linear in the sessions and events of the snapshot and of all changes.
    ///
    /// # Errors
    /// If version or settings differ. Whether sessions and counters agree is found when the state is restored.
    pub fn with_changes(self, changes: impl IntoIterator<Item = Changes<K, V, S>>) -> Result<Self, RestoreError> {
        let (keys, mut states): (Vec<Vec<K>>, Vec<Self>) = core::iter::once((Vec::new(), self))
            .chain(changes.into_iter().map(|changes| (changes.keys, changes.state)))
            .unzip();
        let none = || RestoreError::Damaged { what: String::from("there is nothing to change") };
        let mut whole = states.pop().ok_or_else(none)?;
        let mut newer = KeySet::default();
        for (keys, state) in keys.iter().skip(1).zip(states).rev() {
            keys.iter().for_each(|key| _ = newer.insert(key));
            if state.version != whole.version {
                return Err(RestoreError::Version { found: state.version, expected: whole.version });
            }
            same_settings(&state.settings, &whole.settings)?;
            if state.flushes < whole.flushes {
                break; // a flush leaves nothing
            }
            let is_newest = |key: &K| !newer.contains(key);
            whole.sessions.extend(state.sessions.into_iter().filter(|session| is_newest(&session.key)));
            whole.held.extend(state.held.into_iter().filter(|held| is_newest(&held.event.key)));
            whole.orphans.extend(state.orphans.into_iter().filter(|orphan| is_newest(&orphan.event.key)));
        }
        let parts = core::mem::take(&mut whole.parts); // in their own order already
        Ok(Self { parts, ..whole.in_order() })
    }

    /// With a piece of the same configuration.
    pub(crate) fn with(mut self, piece: Self) -> Self {
        self.now = self.now.min(piece.now);
        self.has_updates_due |= piece.has_updates_due;
        self.flushes = self.flushes.max(piece.flushes);
        self.early_closings = self.early_closings.max(piece.early_closings);
        self.given_up = self.given_up.max(piece.given_up);
        self.gap_changed |= piece.gap_changed;
        self.arrivals = self.arrivals.max(piece.arrivals);
        self.counters.add(&piece.counters);
        self.sessions.extend(piece.sessions);
        self.held.extend(piece.held);
        self.orphans.extend(piece.orphans);
        self.parts.extend(piece.parts);
        self
    }

    pub(crate) fn in_order(mut self) -> Self {
        self.sessions.sort_by_key(|session| (session.opened, session.bucket));
        self.held.sort_by_key(|held| (held.event.event_time, held.arrival));
        self.orphans.sort_by_key(|orphan| (orphan.event.event_time, orphan.arrival));
        // Each piece has all of them, in the order in which they will be forgotten: it stays where instants are equal.
        self.parts.sort_by_key(|part| part.opened);
        // At the end of time all instants are equal: the newest of a partition is the one with the highest number.
        let mut newest: HashMap<(SessionId, Timestamp), u32> = HashMap::new();
        for part in &self.parts {
            let number = newest.entry((part.partition, part.opened)).or_default();
            *number = part.part.max(*number);
        }
        self.parts.retain(|part| {
            let place = (part.partition, part.opened);
            newest.get(&place) == Some(&part.part) && newest.remove(&place).is_some()
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{Bucket, Gap, Stagger};
    use crate::testing::{Run, Settings, at, config, us};

    type Saved = Snapshot<u8, i64>;
    type Change = fn(&mut Saved);

    fn windows() -> Settings {
        config(Stagger::on_event_time(Bucket::step(us(10))))
    }

    fn gap() -> Settings {
        config(Gap::new(us(10)))
    }

    fn by_arrival() -> Settings {
        config(Stagger::on_arrival(Bucket::step(us(10)), us(10)))
    }

    fn ordered() -> Settings {
        config(Gap::new(us(10)).max_duration(us(20)))
    }

    /// The state after events of two keys.
    fn taken(config: Settings) -> Saved {
        let mut run = Run::new(config);
        run.advance(3);
        for (key, time) in [(1, 3), (1, 5), (2, 6)] {
            assert!(!run.push(key, time).is_returned());
        }
        run.engine.snapshot()
    }

    fn damage(config: fn() -> Settings, change: impl FnOnce(&mut Saved)) -> String {
        let mut snapshot = taken(config());
        change(&mut snapshot);
        match config().restore(snapshot) {
            Err(RestoreError::Damaged { what }) => what,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    #[test]
    fn a_restored_engine_goes_on_as_if_nothing_had_happened() {
        for config in [windows, by_arrival, gap, ordered] {
            let mut before = Run::of(config().restore(taken(config())).expect("it can be restored"));
            let mut same = Run::new(config());
            same.advance(3);
            for (key, time) in [(1, 3), (1, 5), (2, 6)] {
                assert!(!same.push(key, time).is_returned());
            }
            for run in [&mut before, &mut same] {
                assert!(!run.push(2, 4).is_returned());
                run.close_until(30);
            }
            assert_eq!(before.counters(), same.counters());
            assert_eq!(before.summaries(), same.summaries());
        }
    }

    #[test]
    fn another_version_or_setting_is_named() {
        let mut newer = taken(gap());
        newer.version = VERSION + 1;
        let error = gap().restore(newer).err();
        assert_eq!(error, Some(RestoreError::Version { found: VERSION + 1, expected: VERSION }));
        let other = config(Gap::new(us(11))).restore(taken(gap())).err();
        assert!(matches!(other, Some(RestoreError::Setting { setting, .. }) if setting == "gap"));
        assert!(matches!(windows().restore(taken(gap())).err(), Some(RestoreError::Setting { .. })));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let cases: [(Change, &str); 11] = [
            (|s| s.counters.pushed += 1, "its counters do not add up"),
            (|s| s.counters.closed = MAX_EVENTS + 1, "its counters do not add up"),
            (|s| s.arrivals = MAX_EVENTS + 1, "it has seen more events than there can be"),
            (|s| s.sessions[0].count = 0, "the session opened by event 1 has an impossible count"),
            (|s| s.sessions[0].count = MAX_EVENTS + 1, "the session opened by event 1 has an impossible count"),
            (|s| s.sessions[0].first = at(6), "the session opened by event 1 ends before it begins"),
            (|s| s.arrivals = 2, "the session opened by event 3 was opened by an event to come"),
            (|s| s.sessions[0].end = at(11), "the session opened by event 1 does not fit its window"),
            (|s| s.sessions[1].key = 1, "the session opened by event 3 is there twice"),
            (|s| s.sessions[0].count = 1, "its counters do not agree with its sessions"),
            (|s| (s.counters.held, s.counters.pushed) = (1, 4), "its counters do not agree with the events held"),
        ];
        for (change, what) in cases {
            assert_eq!(damage(windows, change), what);
        }
    }

    #[test]
    fn held_events_are_refused_where_none_are_held_or_none_was_pushed() {
        let held = SavedEvent { arrival: 3, event: Event::new(1, at(50), 50), is_duplicate: false };
        let add = |s: &mut Saved| {
            (s.counters.held, s.counters.pushed) = (s.counters.held + 1, s.counters.pushed + 1);
            s.held.push(held.clone());
        };
        assert_eq!(damage(gap, add), "it holds events that this strategy never holds");
        let from_the_future = |s: &mut Saved| s.held[0].arrival = s.arrivals + 1;
        assert_eq!(damage(ordered, from_the_future), "it holds an event that was never pushed");
    }

    #[test]
    fn sessions_of_one_key_that_differ_in_their_beginning_are_let_in() {
        let mut run = Run::new(gap());
        for time in [0, 10, 20] {
            assert!(!run.push(1, time).is_returned());
        }
        let mut run = Run::of(gap().restore(run.engine.snapshot()).expect("it can be restored"));
        assert_eq!(run.flush(), [(1, 0, 10, 1), (1, 10, 20, 1), (1, 20, 30, 1)]);
    }

    #[test]
    fn pieces_joined_are_the_whole() {
        for config in [windows, by_arrival, gap, ordered] {
            let whole = taken(config());
            let (text, now) = (format!("{whole:?}"), whole.now());
            let pieces = whole.split(3, |key| usize::from(key) + 1);
            assert_eq!(pieces.iter().map(Snapshot::open_sessions).sum::<usize>(), taken(config()).open_sessions());
            assert!(pieces.iter().all(|piece| piece.now() == now));
            assert!(pieces.iter().all(|piece| config().restore(piece.clone()).is_ok()));
            let joined = Snapshot::join(pieces.into_iter().rev()).expect("they are of one configuration");
            assert_eq!(format!("{joined:?}"), text);
        }
    }

    #[test]
    fn pieces_of_other_settings_or_none_are_refused() {
        let none: [Saved; 0] = [];
        assert!(matches!(Snapshot::join(none), Err(RestoreError::Damaged { .. })));
        assert!(matches!(Snapshot::join([taken(gap()), taken(windows())]), Err(RestoreError::Setting { .. })));
        let mut newer = taken(gap());
        newer.version = VERSION + 1;
        assert!(matches!(Snapshot::join([taken(gap()), newer]), Err(RestoreError::Version { .. })));
    }

    #[test]
    fn no_pieces_are_one() {
        assert_eq!(taken(gap()).split(0, |_| 5).len(), 1);
    }
}
