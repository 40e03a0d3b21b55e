//! The events of the inputs, in memory, in the order of their lines.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use events::batch::{Batch, Item};
use events::failure::{Failure, Outcome};
use events::fields::Fields;
use events::input::Source;
use events::lines::Lines;
use events::parse::{Parser, Record, Reject};
use events::setup::{self, AnyParser};
use program::failure::plain;
use program::say::escaped;
use stagger::{Event, Timestamp};

use crate::command::Command;

/// All events, with their texts one after the other.
#[derive(Default)]
pub(crate) struct Loaded {
    stored: Vec<Stored>,
    /// The key of each event, followed by its value.
    texts: String,
    greatest: Option<Timestamp>,
    /// The names of the inputs.
    pub(crate) names: Vec<String>,
    /// How many lines cannot be used.
    pub(crate) rejected: u64,
    /// How many events were too far in the future.
    pub(crate) future: u64,
    /// Sentences about inputs that cannot be read to their end.
    pub(crate) broken: Vec<String>,
}

struct Stored {
    time: Timestamp,
    arrival: Timestamp,
    key: u32,
    value: u32,
}

/// An event with key and value as text.
pub(crate) type TextEvent<'a> = Event<&'a str, &'a str>;
/// An event with both numbered.
pub(crate) type NumberEvent = Event<u64, u64>;

/// Reads all inputs.
pub(crate) fn load(command: &Command) -> Outcome<Loaded> {
    let sources = setup::sources(&command.inputs);
    setup::check_files(&sources, None)?;
    setup::check(&command.fields, &sources)?;
    let mut loaded = Loaded::default();
    for source in &sources {
        loaded.read(&command.fields, source, command.measuring.max_future)?;
    }
    if loaded.stored.is_empty() {
        return Err(Failure::usage(format_args!("there are no events in {}", loaded.names.join(", "))));
    }
    Ok(loaded)
}

impl Loaded {
    fn read(&mut self, fields: &Fields, source: &Source, max_future: Option<Duration>) -> Outcome<()> {
        let input = source.open(&Arc::new(AtomicU64::new(0)))?;
        let parser = setup::parser(fields, source, &input)?;
        let mut lines = Lines::new(input.content());
        match parser {
            AnyParser::Jsonl(parser) => self.read_lines(source, &mut lines, parser, max_future),
            AnyParser::Combined(parser) => self.read_lines(source, &mut lines, parser, max_future),
            AnyParser::Csv(parser) => self.read_lines(source, &mut lines, parser, max_future),
            AnyParser::W3c(parser) => self.read_lines(source, &mut lines, parser, max_future),
            AnyParser::Layout(parser) => self.read_lines(source, &mut lines, parser, max_future),
        }
    }

    fn read_lines<R: Read, P: Parser>(
        &mut self,
        source: &Source,
        lines: &mut Lines<R>,
        mut parser: P,
        max_future: Option<Duration>,
    ) -> Outcome<()> {
        let (before, mut first) = (self.stored.len(), None);
        let mut batch = Batch::default();
        let mut goes_on = true;
        while goes_on {
            let block = lines.parse_block(&mut parser, &mut batch);
            for item in batch.iter() {
                match item {
                    Item::Record(_, record) => self.take(record, max_future),
                    Item::Rejected(bad) => self.reject(bad.line, &bad.reject, &mut first),
                }
            }
            batch.clear();
            goes_on = match block {
                Ok(goes_on) => goes_on,
                Err(error) if self.stored.len() == before => return Err(source.unreadable(&error)),
                Err(error) => {
                    self.broken.push(format!(
                        "{} cannot be read to its end: after {} lines, which are used, {}",
                        source.name(),
                        lines.count(),
                        plain(&error)
                    ));
                    false
                }
            };
        }
        self.names.push(escaped(&source.name()).into_owned());
        match first {
            Some(why) if self.stored.len() == before => Err(nothing_in(source, &why)),
            _ => Ok(()),
        }
    }

    fn reject(&mut self, line: u64, reject: &Reject, first: &mut Option<String>) {
        self.rejected += 1;
        first.get_or_insert_with(|| format!("line {line}: {reject}"));
    }

    /// Keeps an event, unless it is from the future. Without an arrival time, the present is the
    /// latest earlier event.
    fn take(&mut self, record: Record<'_>, max_future: Option<Duration>) {
        let Record { key, time, arrival, value, .. } = record;
        let present = arrival.or(self.greatest);
        if let (Some(most), Some(present)) = (max_future, present)
            && time > present
            && time.since(present) > most
        {
            self.future += 1;
            return;
        }
        self.greatest = self.greatest.max(Some(time));
        let (key_length, value_length) = (key.len() as u32, value.len() as u32);
        self.stored.push(Stored { time, arrival: arrival.unwrap_or(time), key: key_length, value: value_length });
        self.texts.push_str(key);
        self.texts.push_str(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.stored.len()
    }

    /// The events as they are pushed.
    pub(crate) fn events(&self) -> Vec<TextEvent<'_>> {
        let mut rest = self.texts.as_str();
        let mut text = |length: u32| {
            let (text, after) = rest.split_at(length as usize);
            rest = after;
            text
        };
        let event = |stored: &Stored| {
            let (key, value) = (text(stored.key), text(stored.value));
            Event::new(key, stored.time, value).arriving_at(stored.arrival)
        };
        self.stored.iter().map(event).collect()
    }
}

fn nothing_in(source: &Source, why: &str) -> Failure {
    Failure::not_used(format_args!("no line of {} can be used: {why}", source.name()))
}

/// The same events with a number for each key and each value, counted from 0 as they first appear.
pub(crate) fn numbered<'a>(events: &[TextEvent<'a>]) -> Vec<NumberEvent> {
    let (mut keys, mut values) = (HashMap::new(), HashMap::new());
    let number = |event: &TextEvent<'a>| Event {
        key: number_of(event.key, &mut keys),
        value: number_of(event.value, &mut values),
        event_time: event.event_time,
        arrival_time: event.arrival_time,
    };
    events.iter().map(number).collect()
}

fn number_of<'a>(text: &'a str, known: &mut HashMap<&'a str, u64>) -> u64 {
    let next = known.len() as u64;
    *known.entry(text).or_insert(next)
}

/// How many different keys there are.
pub(crate) fn keys(events: &[NumberEvent]) -> u64 {
    events.iter().map(|event| event.key + 1).max().unwrap_or(0)
}
