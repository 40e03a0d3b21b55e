//! Two other forms of the same thing: an iterator over an iterator, and a queue to poll.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use crate::aggregate::Aggregate;
use crate::data::{Key, Value};
use crate::engine::{Engine, Tagged};
use crate::event::{Event, EventRef};
use crate::sessionizer::{Clock, Counters, Pushed, Refusal, Returned, Sessionizer, SummaryOf};
use crate::summary::SessionSummary;
use crate::time::Timestamp;

/// One item of [`Sessions`]: a session, or an event that was handed back.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Output<T, E> {
    /// A session that is over.
    Session(T),
    /// An event that came too late.
    Late(E),
    /// An event that was refused.
    Refused(E, Refusal),
}

impl<T, E> Output<T, E> {
    /// The session, if it is one. `events.sessionize(engine).filter_map(Output::session)` leaves out
    /// the events handed back; the engine's counters still know how many there were.
    pub fn session(self) -> Option<T> {
        match self {
            Self::Session(session) => Some(session),
            Self::Late(_) | Self::Refused(..) => None,
        }
    }
}

/// An iterator of sessions over an iterator of events; made by [`Sessionize`]. Flushes at the end.
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Sessions<I: Iterator, S: Sessionizer> {
    events: Option<I>,
    sessionizer: S,
    push: Push<S, I::Item>,
    ready: VecDeque<Output<SummaryOf<S>, I::Item>>,
}

type Push<S, E> = fn(&mut S, E, &mut dyn FnMut(SummaryOf<S>)) -> Pushed<E>;

impl<I: Iterator, S: Sessionizer> Sessions<I, S> {
    /// Takes the events that found no session to join; see [`Sessionizer::take_orphans`].
    pub fn take_orphans(&mut self) -> Vec<Event<S::Key, S::Value>> {
        self.sessionizer.take_orphans()
    }

    /// Takes the events that were in their session already; see [`Sessionizer::take_duplicates`].
    pub fn take_duplicates(&mut self) -> Vec<Event<S::Key, S::Value>> {
        self.sessionizer.take_duplicates()
    }

    /// The sessionizer, for its counters and its clock.
    pub fn sessionizer(&self) -> &S {
        &self.sessionizer
    }
}

impl<I: Iterator, S: Sessionizer> Iterator for Sessions<I, S> {
    type Item = Output<SummaryOf<S>, I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let ready = &mut self.ready;
            let mut out = |session| ready.push_back(Output::Session(session));
            let Some(event) = self.events.as_mut()?.next() else {
                self.events = None;
                self.sessionizer.flush(&mut out);
                continue;
            };
            match (self.push)(&mut self.sessionizer, event, &mut out) {
                Pushed::Late(event) => self.ready.push_back(Output::Late(event)),
                Pushed::Refused(event, why) => self.ready.push_back(Output::Refused(event, why)),
                Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => {}
            }
        }
    }
}

/// Sessions from any iterator of events.
///
/// ```
/// use core::time::Duration;
/// use stagger::{iter::Output, Config, Event, Gap, Timestamp, prelude::*};
///
/// let clicks = [("alice", 0), ("bob", 3), ("alice", 10), ("alice", 100)];
/// let events = clicks.map(|(user, second)| Event::new(user.to_string(), Timestamp::from_secs(second), ()));
///
/// let sessionizer = Config::new(Gap::new(Duration::from_secs(60))).build()?;
/// let sessions: Vec<_> = events.into_iter().sessionize(sessionizer).filter_map(Output::session).collect();
/// assert_eq!(sessions.len(), 3);
/// assert_eq!(sessions[1].count, 2);
/// # Ok::<(), stagger::ConfigError>(())
/// ```
pub trait Sessionize: Iterator + Sized {
    /// Sessions of events that own their key and value.
    fn sessionize<S: Sessionizer>(self, sessionizer: S) -> Sessions<Self, S>
    where
        Self: Iterator<Item = Event<S::Key, S::Value>>,
    {
        let push = |sessionizer: &mut S, event: Self::Item, out: &mut dyn FnMut(SummaryOf<S>)| {
            let pushed = sessionizer.push(event.as_event_ref(), out).map(|_| ());
            pushed.map(|()| event)
        };
        Sessions { events: Some(self), sessionizer, push, ready: VecDeque::new() }
    }

    /// Sessions of events in borrowed form, such as `Event<&str, &str>`.
    fn sessionize_refs<'e, S: Sessionizer>(self, sessionizer: S) -> Sessions<Self, S>
    where
        Self: Iterator<Item = EventRef<'e, S::Key, S::Value>>,
        S::Key: 'e,
        S::Value: 'e,
    {
        Sessions { events: Some(self), sessionizer, push: |s, event, out| s.push(event, out), ready: VecDeque::new() }
    }
}

impl<I: Iterator> Sessionize for I {}

/// A sessionizer with a queue in place of the callback, for code that must not run in one: loops
/// with `?` and `.await`.
///
/// Push or advance, then drain the queue. It holds the sessions that one call closed, so it stays small
/// if it is emptied after each call. A loop that is left early, by `?` or `break`, leaves the rest in
/// the queue: a failed write loses no session but the one in hand.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Config, Event, Gap, Queued, SessionSummary, Timestamp};
///
/// fn write(session: &SessionSummary<u64, ()>) -> Result<(), std::io::Error> {
///     # let _ = session;
///     Ok(()) // or fail
/// }
///
/// let mut sessions = Queued::new(Config::<u64, ()>::new(Gap::new(Duration::from_secs(60))).build()?);
/// let _ = sessions.push(Event::new(7, Timestamp::from_secs(0), ()));
/// sessions.advance_to(Timestamp::from_secs(60));
/// for session in sessions.drain() {
///     write(&session)?; // or with `.await`
/// }
/// let all: Vec<_> = sessions.drain().collect(); // nothing is left
/// # assert_eq!(all.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queued<S: Sessionizer> {
    sessionizer: S,
    ready: VecDeque<SummaryOf<S>>,
}

impl<S: Sessionizer> Queued<S> {
    /// Wraps a sessionizer.
    pub fn new(sessionizer: S) -> Self {
        Self { sessionizer, ready: VecDeque::new() }
    }

    /// Takes one event; see [`Sessionizer::push`].
    pub fn push<'e>(&mut self, event: EventRef<'e, S::Key, S::Value>) -> Pushed<EventRef<'e, S::Key, S::Value>> {
        self.sessionizer.push(event, &mut |session| self.ready.push_back(session))
    }

    /// Moves the clock; see [`Sessionizer::advance_to`].
    pub fn advance_to(&mut self, time: Timestamp) {
        self.sessionizer.advance_to(time, &mut |session| self.ready.push_back(session));
    }

    /// Closes everything; see [`Sessionizer::flush`].
    pub fn flush(&mut self) {
        self.sessionizer.flush(&mut |session| self.ready.push_back(session));
    }

    /// Takes several events; see [`Sessionizer::push_batch`].
    #[must_use = "late and refused events are handed back here and nowhere else"]
    pub fn push_batch<'e>(
        &mut self,
        events: &[EventRef<'e, S::Key, S::Value>],
    ) -> Returned<EventRef<'e, S::Key, S::Value>> {
        self.sessionizer.push_batch(events, &mut |session| self.ready.push_back(session))
    }

    /// The sessions that are over, oldest deadline first. Sessions that the iterator has not given when
    /// it is dropped stay in the queue.
    pub fn drain(&mut self) -> impl Iterator<Item = SummaryOf<S>> + '_ {
        core::iter::from_fn(|| self.ready.pop_front())
    }

    /// Takes the events that found no session to join; see [`Sessionizer::take_orphans`].
    pub fn take_orphans(&mut self) -> Vec<Event<S::Key, S::Value>> {
        self.sessionizer.take_orphans()
    }

    /// Takes the events that were in their session already; see [`Sessionizer::take_duplicates`].
    pub fn take_duplicates(&mut self) -> Vec<Event<S::Key, S::Value>> {
        self.sessionizer.take_duplicates()
    }

    /// The next session that is over, oldest deadline first.
    pub fn poll(&mut self) -> Option<SessionSummary<S::Key, S::Value, S::Output>> {
        self.ready.pop_front()
    }

    /// How many sessions wait to be polled.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The sessionizer, for its clock, its counters, its deadline and its snapshot. Summaries that wait
    /// to be polled are not in a snapshot: poll first.
    #[must_use]
    pub fn sessionizer(&self) -> &S {
        &self.sessionizer
    }

    /// The sessionizer itself, and the sessions that wait to be polled.
    #[must_use]
    pub fn into_inner(self) -> (S, VecDeque<SummaryOf<S>>) {
        (self.sessionizer, self.ready)
    }
}

impl<K: Key, V: Value, A: Aggregate<K, V>> Queued<Engine<K, V, A>> {
    /// Takes one event, and leads to the session that took it; see [`Engine::push_tagged`].
    #[must_use = "a late or refused event is handed back here and nowhere else"]
    pub fn push_tagged<'s, 'e>(&'s mut self, event: EventRef<'e, K, V>) -> Tagged<'s, 'e, K, V, A> {
        self.sessionizer.push_tagged(event, &mut |session| self.ready.push_back(session))
    }

    /// Takes several events, and leads to the session that took each; see [`Engine::push_batch_tagged`]. The
    /// sessions that are over wait in the queue until all events are taken.
    pub fn push_batch_tagged<'e>(
        &mut self,
        events: &[EventRef<'e, K, V>],
        each: impl FnMut(usize, Tagged<'_, 'e, K, V, A>),
    ) {
        self.sessionizer.push_batch_tagged(events, &mut |session| self.ready.push_back(session), each);
    }
}

/// A pointer to a sessionizer is one: `Queued::new(&mut engine)`, or a `Box<dyn Sessionizer<…>>`.
macro_rules! pointer {
    ($($pointer:ty),*) => {$(
    impl<S: Sessionizer + ?Sized> Sessionizer for $pointer {
        type Key = S::Key;
        type Value = S::Value;
        type Output = S::Output;

        fn push<'e>(
            &mut self,
            event: EventRef<'e, Self::Key, Self::Value>,
            out: &mut dyn FnMut(SummaryOf<Self>),
        ) -> Pushed<EventRef<'e, Self::Key, Self::Value>> {
            (**self).push(event, out)
        }

        fn push_batch<'e>(
            &mut self,
            events: &[EventRef<'e, Self::Key, Self::Value>],
            out: &mut dyn FnMut(SummaryOf<Self>),
        ) -> Returned<EventRef<'e, Self::Key, Self::Value>> {
            (**self).push_batch(events, out)
        }

        fn take_orphans(&mut self) -> Vec<Event<Self::Key, Self::Value>> {
            (**self).take_orphans()
        }

        fn take_duplicates(&mut self) -> Vec<Event<Self::Key, Self::Value>> {
            (**self).take_duplicates()
        }

        fn advance_to(&mut self, time: Timestamp, out: &mut dyn FnMut(SummaryOf<Self>)) {
            (**self).advance_to(time, out);
        }

        fn now(&self) -> Timestamp {
            (**self).now()
        }

        fn clock(&self) -> Clock {
            (**self).clock()
        }

        fn next_deadline(&self) -> Option<Timestamp> {
            (**self).next_deadline()
        }

        fn flush(&mut self, out: &mut dyn FnMut(SummaryOf<Self>)) {
            (**self).flush(out);
        }

        fn counters(&self) -> Counters {
            (**self).counters()
        }

        fn open_sessions(&self) -> usize {
            (**self).open_sessions()
        }
    })*};
}

pointer!(&mut S, Box<S>);

impl<I: Iterator, S: Sessionizer + fmt::Debug> fmt::Debug for Sessions<I, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "Sessions", &self.sessionizer, self.ready.len())
    }
}

impl<S: Sessionizer + fmt::Debug> fmt::Debug for Queued<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "Queued", &self.sessionizer, self.ready.len())
    }
}

fn debug(f: &mut fmt::Formatter<'_>, name: &str, sessionizer: &dyn fmt::Debug, ready: usize) -> fmt::Result {
    f.debug_struct(name).field("sessionizer", sessionizer).field("ready", &ready).finish_non_exhaustive()
}
