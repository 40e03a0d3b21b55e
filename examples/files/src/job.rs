//! The work itself: records in, sessions out, nothing lost in between.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use events::batch::{Batch, Item, Rejected};
use events::failure::{Failure, Outcome};
use events::input::{Input, Source};
use events::parse::seen::Seen;
use events::parse::{Record, more};
use events::reading;
use events::relay::Waited;
use events::setup;
use program::growing::Growing;
use program::same;
use program::say::{counted, say};
use program::signals::Orderly;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stagger::{Aggregate, Clock, Config, Counters, Engine, Event, Pushed, Refusal, Timestamp};

use crate::closing::{self, Amount};
use crate::decimal::Decimal;
use crate::facts::{Facts, Gather, Kept};
use crate::options::Options;
use crate::progress::Progress;
use crate::results::Results;
use crate::resume::{self, Tracked};
use crate::silence::Silence;
use crate::state::{self, State};
use crate::strategy;
use crate::text::{EventRef, Origin, Payload, Place, Text};
use crate::unused::Unused;
use crate::waiting::Waiting;

/// How many events are pushed at once: the engine waits for the memory of all of them together.
const MANY: usize = 64;

/// Does the work that the options ask for.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    if options.keeps_facts() {
        let fields = &options.fields.more.names;
        let gather = Gather::new(options.results.events.is_some(), &options.results.measures, fields);
        run_with(options, strategy::config::<Facts>(options).aggregate(gather))
    } else {
        run_with(options, strategy::config::<()>(options))
    }
}

fn run_with<O: Kept, A: Aggregate<Text, Payload<O>, Output = O>>(
    options: &Options,
    config: Config<Text, Payload<O>, A>,
) -> Outcome<()>
where
    A::State: Serialize + DeserializeOwned,
{
    let Some(path) = &options.going_on.state else {
        let engine = config.build().map_err(Failure::usage)?;
        return Job::new(options, engine, None)?.run();
    };
    let (engine, state) = match State::read(path, options)? {
        None => {
            let engine = config.build().map_err(Failure::usage)?;
            let state = State::new(options, engine.snapshot());
            (engine, state)
        }
        Some(state) => {
            let snapshot = state.snapshot.clone();
            (config.restore(snapshot).map_err(|error| state::cannot_go_on(path, &error))?, state)
        }
    };
    Job::new(options, engine, Some(state))?.run()
}

struct Job<'o, O: Kept, A: Aggregate<Text, Payload<O>, Output = O>> {
    options: &'o Options,
    sources: Vec<Source>,
    engine: Engine<Text, Payload<O>, A>,
    /// Only where all events must be read before the first is processed.
    waiting: Option<Waiting>,
    results: Results<O>,
    unused: Unused,
    /// The findings about the fields of the inputs.
    seen: Seen,
    /// The greatest event time that was used.
    greatest: Option<Timestamp>,
    /// How far the clock has come that closes sessions.
    present: Option<Timestamp>,
    amount: Amount,
    /// The places of further fields that should be numbers.
    numbers: Vec<usize>,
    /// By how much the arrival of an event bounds how far it moves the clock.
    bound: Option<Duration>,
    /// How many events are pushed at once.
    many: usize,
    /// What earlier runs had counted.
    before: Counters,
    state: Option<State<Payload<O>, A::State>>,
    /// Of the input that is read, if it may have been read in part before.
    tracked: Option<Tracked>,
    /// Whether any input had anything that no earlier run had read.
    has_news: bool,
    silence: Silence,
    /// Only of a stream: it can end at any time.
    orderly: Option<Orderly>,
}

impl<'o, O: Kept, A: Aggregate<Text, Payload<O>, Output = O>> Job<'o, O, A>
where
    A::State: Serialize + DeserializeOwned,
{
    /// Checks everything that can be checked before the first line, then creates the outputs.
    fn new(
        options: &'o Options,
        engine: Engine<Text, Payload<O>, A>,
        state: Option<State<Payload<O>, A::State>>,
    ) -> Outcome<Self> {
        let sources = setup::sources(&options.inputs);
        setup::check_files(&sources, options.files())?;
        if options.writes_stdout() {
            same::check_beside_stdout(options.files())?;
        }
        options.check_names()?;
        setup::check(&options.fields, &sources)?;
        if let Some(path) = &options.going_on.state {
            state::check(path)?;
        }
        let columns = setup::columns(&options.fields, &sources)?;
        let names: Vec<String> = sources.iter().map(Source::name).collect();
        let is_sorted = engine.clock() == Clock::Arrival && options.streaming.out_of_order.is_none();
        Ok(Self {
            options,
            sources,
            waiting: is_sorted.then(Waiting::default),
            results: Results::new(options, &names, &columns, state.as_ref().and_then(|state| state.visits.clone()))?,
            unused: Unused::new(options, names, columns)?,
            seen: Seen::default(),
            greatest: state.as_ref().and_then(|state| state.greatest),
            present: state.as_ref().and_then(|state| state.present),
            before: if state.is_some() { engine.counters() } else { Counters::default() },
            has_news: false,
            tracked: None,
            amount: Amount::default(),
            numbers: options.results.measures.numbers(),
            bound: options.bound_by_arrival(),
            many: if options.looks_at_each_event() { 1 } else { MANY },
            silence: Silence::default(),
            // A run with a state is repeated instead.
            orderly: (options.streams() && state.is_none()).then(Orderly::begin),
            engine,
            state,
        })
    }

    fn run(mut self) -> Outcome<()> {
        let started = Instant::now();
        let read = Arc::new(AtomicU64::new(0));
        let total = self.sources.iter().map(Source::bytes).sum();
        let progress = Progress::new(total, self.results.is_on_terminal, Arc::clone(&read));
        let mut is_whole = true;
        for (index, source) in self.sources.clone().iter().enumerate() {
            is_whole = is_whole && self.read(index as u32, source, &read, &progress)?;
        }
        if is_whole {
            self.end()?;
        }
        progress.finish();
        // A run that goes on where another ended may see a few lines only.
        if let (None, Some(field)) = (&self.state, self.seen.missing_everywhere()) {
            let hint = self.seen.hint(field);
            return Err(Failure::usage(format_args!("no line has the field `{field}`{hint}")));
        }
        self.close(started, is_whole)
    }

    /// Reads one input. `false` if the work should end before its end.
    fn read(&mut self, index: u32, source: &Source, read: &Arc<AtomicU64>, progress: &Progress) -> Outcome<bool> {
        let Some(input) = self.open(source, read)? else { return Ok(false) };
        let parser = setup::parser(&self.options.fields, source, &input)?;
        let input = match &self.state {
            None => input,
            Some(state) => {
                let (input, tracked) = resume::resume(&state.inputs, source, &parser, input)?;
                self.tracked = Some(tracked);
                input
            }
        };
        let lines_before = self.amount.lines;
        let mut reading = reading::start(input, parser);
        while let Some(mut batch) = self.wait(|time| reading.next_within(time))? {
            self.use_batch(index, source, &mut batch)?;
            reading.give_back(batch);
            progress.update();
        }
        if let (Some(state), Some(tracked)) = (&mut self.state, self.tracked.take()) {
            self.has_news |= tracked.has_news();
            if let Some(ended) = tracked.end(self.amount.lines - lines_before) {
                resume::remember(&mut state.inputs, ended, &tracked);
            }
        }
        Ok(!self.is_asked_to_end())
    }

    /// Opens an input, which may be a pipe that says nothing for a long time.
    fn open(&mut self, source: &Source, read: &Arc<AtomicU64>) -> Outcome<Option<Input>> {
        let (input, opened) = sync_channel(1);
        let (source, read) = (source.clone(), Arc::clone(read));
        let thread = thread::Builder::new().name("opening".to_owned());
        thread.spawn(move || input.send(source.open(&read))).expect("the system starts a thread");
        self.wait(|time| opened.recv_timeout(time).into())?.transpose()
    }

    fn use_batch(&mut self, index: u32, source: &Source, batch: &mut Batch) -> Outcome<()> {
        let before = self.tracked.as_ref().map_or(0, |tracked| tracked.lines_before);
        let place = |line: u64| Place { input: index, line: before + line };
        let mut events = Vec::with_capacity(self.many);
        for item in batch.iter() {
            match item {
                Item::Record(line, record) => self.take(record, place(line), &mut events)?,
                Item::Rejected(bad) if self.holds_back(source, bad) => self.amount.lines -= 1,
                Item::Rejected(bad) => {
                    self.push(&mut events)?;
                    self.unused.reject(place(bad.line), &bad.bytes, &bad.reject)?;
                }
            }
        }
        self.push(&mut events)?;
        if let Some(seen) = batch.seen.take() {
            self.seen.merge(*seen);
        }
        self.amount.lines += batch.lines;
        self.amount.empty += batch.empty;
        self.amount.left_out += batch.left_out;
        if let Some(message) = batch.broken_off(source) {
            self.unused.broken.push(message);
            self.tracked.iter().for_each(Tracked::break_off);
        }
        self.take_returned()?;
        self.write_early();
        Ok(())
    }

    /// Writes events of open sessions whose ids are final.
    fn write_early(&mut self) {
        let Some(early) = &mut self.results.early else { return };
        let engine = &self.engine;
        let id_of = |key: &str, time: Timestamp| engine.session_at(key, time).map(|session| session.id());
        for event in early.due(engine.now(), id_of) {
            self.results.event(event);
        }
    }

    /// Whether a line is left to the next run, since its end has not been written yet.
    fn holds_back(&self, source: &Source, bad: &Rejected) -> bool {
        let holds_back = self.tracked.as_ref().is_some_and(|tracked| tracked.holds_back(&bad.bytes));
        if holds_back {
            say(format_args!("{}: the last line has no end yet and is left to the next run", source.name()));
        }
        holds_back
    }

    /// Counts what should be a number and is none.
    fn note_numbers(&mut self, more: &str) {
        if self.numbers.is_empty() {
            return;
        }
        for (place, text) in more::values(more, self.options.fields.more.names.len()).enumerate() {
            let is_wrong = self.numbers.contains(&place) && !text.is_empty() && Decimal::parse(&text).is_none();
            self.amount.no_numbers += u64::from(is_wrong);
        }
    }

    /// Hands back events that waited, and then found no session to join, or one that had them already.
    fn take_returned(&mut self) -> Outcome<()> {
        let orphans = self.engine.take_orphans().into_iter().map(|event| (event, Refusal::NoSession));
        let duplicates = self.engine.take_duplicates().into_iter().map(|event| (event, Refusal::Duplicate));
        for (event, why) in orphans.chain(duplicates).collect::<Vec<_>>() {
            let event = event.as_event_ref();
            if let Some(early) = &mut self.results.early {
                early.forget(event.event_time, event.value.1.place);
            }
            self.unused.refused(&event, why)?;
        }
        Ok(())
    }

    /// Waits for a batch of another thread. Meanwhile a stream shows its sessions. None if no batch comes any
    /// more, or if the work should end.
    fn wait<T>(&mut self, mut next: impl FnMut(Duration) -> Waited<T>) -> Outcome<Option<T>> {
        while !self.is_asked_to_end() {
            match next(self.silence.patience()) {
                Waited::Ready(input) => {
                    self.silence = Silence::default();
                    return Ok(Some(input));
                }
                Waited::Over => break,
                Waited::Nothing if self.options.streams() => self.pause()?,
                Waited::Nothing => {}
            }
        }
        Ok(None)
    }

    fn is_asked_to_end(&self) -> bool {
        self.orderly.as_ref().is_some_and(Orderly::is_asked_to_end)
    }

    /// The input is silent: finished rows are shown, and with `--max-delay` time goes on.
    fn pause(&mut self) -> Outcome<()> {
        let goes_on = self.options.streaming.max_delay.zip(self.present);
        if let Some((delay, present)) = goes_on {
            let results = &mut self.results;
            let now = present + self.silence.length() - delay;
            self.engine.advance_to(now, &mut |session| results.session(session));
        } else if self.silence.is_noted {
            return Ok(());
        }
        self.silence.is_noted = true;
        self.write_early();
        self.unused.flush()?;
        self.results.pause()
    }

    #[inline]
    fn take<'e>(&mut self, record: Record<'e>, place: Place, events: &mut Vec<EventRef<'e>>) -> Outcome<()> {
        self.amount.events += 1;
        self.note_numbers(record.more);
        let origin = Origin { place, marks: record.marks, more: record.more };
        let arrival = record.arrival.unwrap_or_else(|| self.assumed_arrival(record.time));
        let event = Event::new(record.key, record.time, (record.value, origin)).arriving_at(arrival);
        match &mut self.waiting {
            Some(waiting) => {
                waiting.add(&event);
                Ok(())
            }
            None => self.add(event, events),
        }
    }

    /// An event arrives when it happens. To recognize an event from the future, the
    /// latest earlier event is taken for the present.
    fn assumed_arrival(&self, time: Timestamp) -> Timestamp {
        match (self.options.streaming.max_future, self.greatest) {
            (Some(_), Some(greatest)) => greatest,
            _ => time,
        }
    }

    /// Adds an event to those that are pushed together.
    #[inline]
    fn add<'e>(&mut self, event: EventRef<'e>, events: &mut Vec<EventRef<'e>>) -> Outcome<()> {
        events.push(event);
        if events.len() < self.many { Ok(()) } else { self.push(events) }
    }

    fn push(&mut self, events: &mut Vec<EventRef<'_>>) -> Outcome<()> {
        let results = &mut self.results;
        let mut returned = self.engine.push_batch(events, &mut |session| results.session(session)).into_iter();
        let mut next = returned.next();
        for (index, event) in events.iter().enumerate() {
            match next {
                Some((of, pushed)) if of == index => {
                    self.handed_back(pushed)?;
                    next = returned.next();
                }
                _ => self.taken(event),
            }
        }
        events.clear();
        self.results.check()
    }

    #[cold]
    fn handed_back(&mut self, pushed: Pushed<EventRef<'_>>) -> Outcome<()> {
        match pushed {
            Pushed::Late(event) => self.unused.late(&event, self.engine.now()),
            Pushed::Refused(event, why) => {
                if why == Refusal::BetweenWindows {
                    self.reached(&event);
                }
                self.unused.refused(&event, why)
            }
            Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => Ok(()),
        }
    }

    #[inline]
    fn taken(&mut self, event: &EventRef<'_>) {
        self.reached(event);
        if let Some(report) = &mut self.results.report {
            report.event(event.event_time);
        }
        if let Some(early) = &mut self.results.early {
            early.add(event);
        }
    }

    /// Event time has come as far as this event, by its arrival at most: a fast clock makes no event of others late.
    #[inline]
    fn reached(&mut self, event: &EventRef<'_>) {
        let present = match (self.engine.clock(), self.bound) {
            (Clock::Arrival, _) => event.arrival_time,
            (Clock::Event, Some(_)) => event.event_time.min(event.arrival_time),
            (Clock::Event, None) => event.event_time,
        };
        raise(&mut self.greatest, event.event_time);
        raise(&mut self.present, present);
        if let Some(bound) = self.bound {
            let results = &mut self.results;
            let watermark = present - bound;
            if watermark > self.engine.now() {
                self.engine.advance_to(watermark, &mut |session| results.session(session));
            }
        }
    }

    /// Closes the sessions that the input has ended, then the open ones.
    fn end(&mut self) -> Outcome<()> {
        if let Some(mut waiting) = self.waiting.take() {
            waiting.sort();
            let mut events = Vec::with_capacity(self.many);
            waiting.iter().try_for_each(|event| self.add(event, &mut events))?;
            self.push(&mut events)?;
        }
        if self.state.is_some() && !self.options.going_on.end {
            return self.results.check();
        }
        let results = &mut self.results;
        if let (Clock::Event, Some(greatest)) = (self.engine.clock(), self.greatest) {
            self.engine.advance_to(greatest, &mut |session| results.session(session));
        }
        self.engine.flush(&mut |session| results.session(session));
        self.take_returned()?;
        self.results.check()
    }

    /// Places the outputs, and sums the run up.
    fn close(mut self, started: Instant, is_whole: bool) -> Outcome<()> {
        let (mut counters, open) = (self.engine.counters(), self.engine.open_sessions());
        // Without those of earlier runs.
        counters.closed -= self.before.closed;
        counters.revisions -= self.before.revisions;
        counters.updates -= self.before.updates;
        counters.behind -= self.before.behind;
        counters.uncorrected -= self.before.uncorrected;
        if self.results.report.is_none() {
            closing::tell_unused(&self.unused);
        }
        for note in self.seen.notes() {
            say(format_args!("note: {note}"));
        }
        let is_used = self.amount.events > 0 || (self.unused.rejected == 0 && self.unused.broken.is_empty());
        let may_close = self.options.going_on.end && counters.closed > 0;
        if self.state.is_some() && !self.has_news && !may_close {
            say("nothing new since the last run: all files stay as they are");
            return closing::status(&self.amount, &self.unused, self.options);
        }
        let mut files = self.unused.finish()?;
        let results = self.results.finish(&self.unused, self.sources[0] == Source::Bundled)?;
        // An earlier result stays where there is none now.
        files.splice(..0, results.files.into_iter().filter(|_| is_used));
        let goes_on = self.state.is_some().then_some(open);
        if self.state.is_some() && is_used {
            files.iter().try_for_each(Growing::sync).map_err(unwritten)?;
        }
        let _alone = self.options.going_on.state.as_deref().map(state::lock).transpose()?;
        if let (Some(mut state), Some(path), true) = (self.state, &self.options.going_on.state, is_used) {
            state.snapshot = self.engine.snapshot();
            (state.greatest, state.present, state.visits) = (self.greatest, self.present, results.visits);
            files.push(state.write(path)?);
        }
        Growing::place(files).map_err(unwritten)?;
        closing::tell(&self.amount, &self.unused, &counters, goes_on, started.elapsed());
        if !is_whole {
            return Err(Failure::interrupted(format_args!(
                "interrupted: the sessions that had closed are written, {} still open are not",
                counted(open as u64, "session")
            )));
        }
        closing::status(&self.amount, &self.unused, self.options)
    }
}

/// A file that could not be written.
fn unwritten((path, error): (PathBuf, io::Error)) -> Failure {
    Failure::file("write", &path, &error)
}

/// Makes the greatest time that was seen no less than another.
#[inline]
fn raise(greatest: &mut Option<Timestamp>, time: Timestamp) {
    if greatest.is_none_or(|greatest| greatest < time) {
        *greatest = Some(time);
    }
}
