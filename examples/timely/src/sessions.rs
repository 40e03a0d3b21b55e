//! The operator: events in, sessions out, with the frontier as watermark.
//!
//! Messages wait until the frontier has passed their epoch. Then they are taken epoch by epoch, and within an epoch in
//! the order of the inputs and lines. So the result does not depend on how many workers there are, nor on when a
//! message comes.

use std::collections::{BTreeMap, BTreeSet};

use stagger::{Engine, Event, Pushed, SessionSummary, Timestamp};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::message::{Epoch, Message, Occurrence, Place, Progress, Timed, Unused, UnusedEvent};
use crate::state::Saved;

pub type Summary = SessionSummary<String, String>;

/// The output of the operator.
pub struct Streams<'scope> {
    pub sessions: Stream<'scope, Epoch, Vec<Timed<Summary>>>,
    /// Late events, refused events and lines that are no events.
    pub unused: Stream<'scope, Epoch, Vec<Timed<Unused>>>,
    /// The state before an epoch. All sessions that ended in it are of earlier epochs.
    pub saved: Stream<'scope, Epoch, Vec<Saved>>,
}

/// Sessions of a stream, on the worker that has their key.
pub fn sessions<'scope>(
    messages: Stream<'scope, Epoch, Vec<Timed<Message>>>,
    engine: Engine<String, String>,
    progress: Progress,
) -> Streams<'scope> {
    let peers = messages.scope().peers();
    let mut builder = OperatorBuilder::new("sessions".to_owned(), messages.scope());
    let mut input =
        builder.new_input(messages, Exchange::new(move |(_, message): &Timed<Message>| message.worker(peers)));
    let (output, sessions) = builder.new_output();
    let mut session_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);
    let (output, unused) = builder.new_output();
    let mut unused_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);
    let (output, saved) = builder.new_output();
    let mut saved_output = OutputBuilder::<_, CapacityContainerBuilder<_>>::from(output);

    let mut worker = Worker::new(engine, progress);
    builder.build(move |capabilities| {
        let mut capabilities = Some(capabilities);
        move |frontiers| {
            input.for_each(|_, messages| worker.wait(messages.drain(..)));
            let frontier = frontiers[0].frontier().first().copied();
            let Some(held) = &mut capabilities else { return };
            let (mut session_output, mut unused_output, mut saved_output) =
                (session_output.activate(), unused_output.activate(), saved_output.activate());
            while let Some((epoch, made)) = worker.next(*held[0].time(), frontier) {
                let at = |port: usize| -> Capability<Epoch> { held[port].delayed(&epoch) };
                session_output.session(&at(0)).give_iterator(made.sessions.into_iter().map(|session| (epoch, session)));
                unused_output.session(&at(1)).give_iterator(made.unused.into_iter().map(|unused| (epoch, unused)));
                saved_output.session(&at(2)).give_iterator(made.saved.into_iter());
            }
            match frontier {
                Some(frontier) => held.iter_mut().for_each(|capability| capability.downgrade(&frontier)),
                None => capabilities = None,
            }
        }
    });
    Streams { sessions, unused, saved }
}

/// The output of one step.
#[derive(Default)]
struct Made {
    sessions: Vec<Summary>,
    unused: Vec<Unused>,
    saved: Option<Saved>,
}

/// The state of the operator on one worker. Knows nothing of timely.
struct Worker {
    engine: Engine<String, String>,
    progress: Progress,
    waiting: BTreeMap<Epoch, Vec<Message>>,
    checkpoints: BTreeSet<Epoch>,
    /// The watermark of the source that was furthest at its end.
    last: Epoch,
    is_over: bool,
}

impl Worker {
    fn new(engine: Engine<String, String>, progress: Progress) -> Self {
        let (waiting, checkpoints) = (BTreeMap::new(), BTreeSet::new());
        Self { engine, progress, waiting, checkpoints, last: Epoch::MIN, is_over: false }
    }

    fn wait(&mut self, messages: impl Iterator<Item = Timed<Message>>) {
        for (epoch, message) in messages {
            match message {
                Message::Checkpoint { epoch, .. } => _ = self.checkpoints.insert(epoch),
                Message::End { watermark, .. } => self.last = self.last.max(watermark),
                Message::Event(_) | Message::Unreadable { .. } => {
                    self.waiting.entry(epoch).or_default().push(message);
                }
            }
        }
    }

    /// The next step that the frontier allows, and the epoch of its output. No frontier: the streams are over.
    fn next(&mut self, held: Epoch, frontier: Option<Epoch>) -> Option<(Epoch, Made)> {
        let is_passed = |epoch: &Epoch| frontier.is_none_or(|frontier| *epoch < frontier);
        let waiting = self.waiting.first_key_value().map(|(epoch, _)| *epoch).filter(is_passed);
        // The state before an epoch is known when the frontier has come to it.
        let checkpoint = self.checkpoints.first().copied();
        let checkpoint = checkpoint.filter(|epoch| frontier.is_none_or(|frontier| *epoch <= frontier));
        match (waiting, checkpoint) {
            (Some(waiting), checkpoint) if checkpoint.is_none_or(|checkpoint| waiting < checkpoint) => {
                Some((waiting, self.take(waiting)))
            }
            // Its rows are the last before the epoch.
            (_, Some(checkpoint)) => Some((checkpoint.saturating_sub(1), self.save(checkpoint))),
            _ if frontier.is_none() && !self.is_over => Some((held, self.end())),
            _ => None,
        }
    }

    /// Takes the messages of an epoch: no event before it will come.
    fn take(&mut self, epoch: Epoch) -> Made {
        let mut made = Made::default();
        self.engine.advance_to(Timestamp::from_micros(epoch), &mut |session| made.sessions.push(session));
        let mut messages = self.waiting.remove(&epoch).unwrap_or_default();
        messages.sort_unstable_by_key(place);
        for message in messages {
            match message {
                Message::Event(event) => self.push(&event, &mut made),
                Message::Unreadable { at, text, reason } => {
                    self.reached(at, None);
                    made.unused.push(Unused { text: Some(text), ..Unused::at(at, reason) });
                }
                Message::Checkpoint { .. } | Message::End { .. } => {}
            }
        }
        made
    }

    fn push(&mut self, occurrence: &Occurrence, made: &mut Made) {
        let Occurrence { at, key, time, value } = occurrence;
        self.reached(*at, Some(*time));
        let event = Event::new(key.as_str(), *time, value.as_str());
        let reason = match self.engine.push(event, &mut |session| made.sessions.push(session)) {
            Pushed::Late(_) => "late".to_owned(),
            Pushed::Refused(_, why) => why.to_string(),
            _ => return,
        };
        let event = UnusedEvent { key: key.clone(), time: time.to_string(), value: value.clone() };
        made.unused.push(Unused { event: Some(event), ..Unused::at(*at, reason) });
    }

    fn reached(&mut self, at: Place, time: Option<Timestamp>) {
        let reached = crate::message::Reached { line: at.line, greatest: time };
        self.progress.entry(at.source).or_default().join(reached);
    }

    fn save(&mut self, epoch: Epoch) -> Made {
        self.checkpoints.remove(&epoch);
        let mut made = Made::default();
        self.engine.advance_to(Timestamp::from_micros(epoch), &mut |session| made.sessions.push(session));
        made.saved = Some(Saved { epoch, progress: self.progress.clone(), engine: self.engine.snapshot() });
        made
    }

    /// Closes the sessions that the last watermark has ended, then all.
    fn end(&mut self) -> Made {
        self.is_over = true;
        let mut made = Made::default();
        self.engine.advance_to(Timestamp::from_micros(self.last), &mut |session| made.sessions.push(session));
        self.engine.flush(&mut |session| made.sessions.push(session));
        made
    }
}

fn place(message: &Message) -> Option<Place> {
    match message {
        Message::Event(event) => Some(event.at),
        Message::Unreadable { at, .. } => Some(*at),
        Message::Checkpoint { .. } | Message::End { .. } => None,
    }
}

impl Unused {
    fn at(at: Place, reason: String) -> Self {
        Self { source: at.source + 1, line: at.line, reason, event: None, text: None }
    }
}
