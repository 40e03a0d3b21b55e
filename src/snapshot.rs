//! The whole state of a sessionizer as a plain value: saved, restored, split and joined.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashSet;

use crate::aggregate::Aggregate;
use crate::config::Config;
use crate::data::{Key, Value};
use crate::engine::{Engine, Plan};
use crate::error::RestoreError;
use crate::event::Event;
use crate::id::SessionId;
use crate::session::{Extra, MOST_EVENTS, Mark, Session};
use crate::sessionizer::{Counters, Sessionizer};
use crate::time::Timestamp;

/// The version that this release writes and reads.
const VERSION: u32 = 1;

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
/// use stagger::{Config, Event, Gap, Timestamp, prelude::*};
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
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Snapshot<K, V, S = ()> {
    version: u32,
    settings: Vec<(String, String)>,
    now: Timestamp,
    flushes: u32,
    /// The number of the latest push.
    arrivals: u64,
    counters: Counters,
    /// In order of their opening.
    sessions: Vec<Saved<K, V, S>>,
    /// In order of time.
    held: Vec<HeldEvent<K, V>>,
    /// In the order in which they will be forgotten.
    parts: Vec<RememberedPart>,
}

/// A session, with all that is known about it under its own name.
#[derive(Clone, Debug)]
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
    again: bool,
    extra: Option<Extra<V>>,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct HeldEvent<K, V> {
    arrival: u64,
    event: Event<K, V>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct RememberedPart {
    partition: SessionId,
    part: u32,
    opened: Timestamp,
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Copies the state. Time and memory are linear in the open sessions and held events.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<K, V, A::State> {
        let plan = &self.rules.plan;
        let save = |(slot, session)| Saved::new(plan, session, self.table.extra(slot, session));
        let mut sessions: Vec<_> = self.table.iter().map(save).collect();
        sessions.sort_by_key(|session| (session.opened, session.bucket));
        let copy = |(event, arrival): (&Event<K, V>, u64)| HeldEvent {
            arrival,
            event: Event {
                key: K::keep(event.key.lend()),
                event_time: event.event_time,
                arrival_time: event.arrival_time,
                value: V::keep(event.value.lend()),
            },
        };
        let part = |(partition, part, opened)| RememberedPart { partition, part, opened };
        Snapshot {
            version: VERSION,
            settings: self.rules.settings.clone(),
            now: self.now,
            flushes: self.flushes,
            arrivals: self.arrivals,
            counters: Counters { held: self.held.len() as u64, ..self.counters },
            sessions,
            held: self.held.iter().map(copy).collect(),
            parts: self.parts.iter().map(part).collect(),
        }
    }
}

impl<K: Key, V: Value, S> Saved<K, V, S> {
    fn new(plan: &Plan, session: &Session<K, V, S>, extra: Option<&Extra<V>>) -> Self
    where
        S: Clone,
    {
        let Session { key, first_value, last_value, state, first, last, opened, .. } = session.copy();
        Self {
            key,
            first_value,
            last_value,
            state,
            bucket: plan.bucket_of(session),
            first,
            last,
            end: plan.end_of(session),
            opened,
            count: session.count(),
            part: extra.map_or(1, |extra| extra.part),
            cut: session.is(Mark::Cut),
            again: session.is(Mark::Again),
            extra: extra.filter(|extra| !extra.is_blank()).map(Extra::copy),
        }
    }

    /// The session as it was, and what else is known about it.
    fn open(self, plan: &Plan) -> (Session<K, V, S>, Option<Extra<V>>) {
        let place = if plan.has_groups() { Timestamp::from_micros(self.bucket) } else { self.end };
        let Self { key, first_value, last_value, state, first, last, opened, count, part, cut, again, .. } = self;
        let mut session = Session::new(key, first..=last, place, opened, count, [first_value, last_value], state);
        session.mark(Mark::Cut, cut);
        session.mark(Mark::Again, again);
        let extra = self.extra.map(|extra| Extra { part, ..extra });
        (session, extra.or_else(|| (part != 1).then(|| Extra { part, ..Extra::default() })))
    }

    /// How many of its events a summary has held.
    fn reported(&self) -> u64 {
        self.extra.as_ref().and_then(|extra| extra.reported).map_or(0, |reported| reported.count)
    }

    /// Whether a session could have come about under this plan.
    fn fits(&self, plan: &Plan) -> bool {
        let Self { first, last, end, bucket, .. } = *self;
        match plan {
            Plan::Bucketed(rounding) => {
                let window = rounding.window_of(first);
                window.start.as_micros() == bucket && window.end == end && window.contains(last)
            }
            Plan::Sliding(hops) => {
                let window = hops.window_of(bucket, first);
                window.end == end && window.contains(first) && window.contains(last)
            }
            Plan::Arrival { rounding, .. } => {
                let bucket_of = |t| rounding.as_ref().map_or(0, |r| r.window_of(t).start.as_micros());
                bucket_of(first) == bucket && bucket_of(last) == bucket
            }
            Plan::Gap(_) | Plan::Ordered { .. } => bucket == 0 && end >= last,
        }
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
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Engine<K, V, A> {
    /// Takes over a snapshot; so far the engine must not have been used.
    pub(crate) fn go_on_from(self, snapshot: Snapshot<K, V, A::State>) -> Result<Self, RestoreError> {
        let mut engine = self;
        if snapshot.version != VERSION {
            return Err(RestoreError::Version { found: snapshot.version, expected: VERSION });
        }
        same_settings(&snapshot.settings, &engine.rules.settings)?;
        check(&snapshot, &engine.rules.plan)?;
        let Snapshot { now, flushes, arrivals, counters, sessions, held, parts, .. } = snapshot;
        engine.now = now;
        engine.flushes = flushes;
        engine.arrivals = arrivals;
        if !engine.rules.plan.has_groups() {
            engine.table.reserve(sessions.len());
        }
        for session in sessions {
            let (session, extra) = session.open(&engine.rules.plan);
            engine.resume(session, extra);
        }
        for HeldEvent { arrival, event } in held {
            engine.held.hold(&event.lend(), arrival);
        }
        for RememberedPart { partition, part, opened } in parts {
            engine.parts.remember(partition, part, opened);
        }
        engine.counters = counters;
        // Sessions may have been waiting to be handed out.
        engine.may_wait |= engine.open_sessions() > 0 && engine.next_look() <= engine.now;
        Ok(engine)
    }
}

fn same_settings(snapshot: &[(String, String)], current: &[(String, String)]) -> Result<(), RestoreError> {
    let of = |settings: &[(String, String)], name: &str| {
        settings.iter().find(|(n, _)| n == name).map_or_else(|| String::from("nothing"), |(_, value)| value.clone())
    };
    for (setting, _) in current.iter().chain(snapshot) {
        let (old, new) = (of(snapshot, setting), of(current, setting));
        if old != new {
            return Err(RestoreError::Setting { setting: setting.clone(), snapshot: old, current: new });
        }
    }
    Ok(())
}

/// Refuses a snapshot that contradicts itself: no state that is let in makes the engine go wrong.
fn check<K: Key, V: Value, S>(snapshot: &Snapshot<K, V, S>, plan: &Plan) -> Result<(), RestoreError> {
    let counters = &snapshot.counters;
    let fine = |fine: bool, what: &str| match fine {
        true => Ok(()),
        false => Err(RestoreError::Damaged { what: String::from(what) }),
    };
    let most = MOST_EVENTS; // far beyond any real count, and nothing can overflow
    fine(counters.is_conserved() && counters.are_possible(), "its counters do not add up")?;
    fine(snapshot.arrivals <= most, "it has seen more events than there can be")?;
    let mut open = 0_u64;
    let mut places = HashSet::new();
    for session in &snapshot.sessions {
        let at = |what: &str| format!("the session opened by event {} {what}", session.opened);
        fine(
            (1..=most).contains(&session.count) && session.reported() <= session.count,
            &at("has an impossible count"),
        )?;
        fine(session.first <= session.last, &at("ends before it begins"))?;
        fine(session.opened <= snapshot.arrivals, &at("was opened by an event to come"))?;
        fine(session.fits(plan), &at("does not fit its window"))?;
        let several = plan.has_several_per_key() || plan.is_over(session.end, snapshot.now);
        let within = if several { (session.first, session.opened) } else { Default::default() };
        fine(places.insert((session.key.lend(), session.bucket, within)), &at("is there twice"))?;
        open = open.saturating_add(session.count - session.reported());
    }
    fine(counters.open_events() == open, "its counters do not agree with its sessions")?;
    fine(counters.held == snapshot.held.len() as u64, "its counters do not agree with the events held")?;
    fine(plan.is_ordered() || snapshot.held.is_empty(), "it holds events that this strategy never holds")?;
    let known = snapshot.held.iter().all(|held| held.arrival <= snapshot.arrivals);
    fine(known, "it holds an event that was never pushed")
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
    /// What has been counted stays with the first piece; what is open is counted as carried over.
    /// All pieces keep the clock, and with it the order and the ids of their sessions.
    #[must_use]
    pub fn split(self, pieces: usize, piece_of: impl Fn(&K) -> usize) -> Vec<Self> {
        let last = pieces.saturating_sub(1);
        let Self { sessions, held, mut counters, .. } = self;
        let empty = || Self {
            settings: self.settings.clone(),
            counters: Counters::default(),
            sessions: Vec::new(),
            held: Vec::new(),
            parts: self.parts.clone(),
            ..self
        };
        let mut all: Vec<Self> = (0..=last).map(|_| empty()).collect();
        for session in sessions {
            all[piece_of(&session.key).min(last)].sessions.push(session);
        }
        for event in held {
            all[piece_of(&event.event.key).min(last)].held.push(event);
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
            whole.take_in(piece);
        }
        Ok(whole.in_order())
    }

    /// Adds a piece of the same configuration.
    pub(crate) fn take_in(&mut self, piece: Self) {
        self.now = self.now.min(piece.now);
        self.flushes = self.flushes.max(piece.flushes);
        self.arrivals = self.arrivals.max(piece.arrivals);
        self.counters.add(&piece.counters);
        self.sessions.extend(piece.sessions);
        self.held.extend(piece.held);
        self.parts.extend(piece.parts);
    }

    pub(crate) fn in_order(mut self) -> Self {
        self.sessions.sort_by_key(|session| (session.opened, session.bucket));
        self.held.sort_by_key(|held| (held.event.event_time, held.arrival));
        self.parts.sort_by_key(|part| (part.opened, part.partition, part.part));
        self.parts.dedup();
        self
    }
}
