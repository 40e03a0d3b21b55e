//! The work itself: records in, sessions out, nothing lost in between.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use events::batch::Item;
use events::failure::{Failure, Outcome};
use events::input::{Input, Source};
use events::parse::Record;
use events::reading;
use events::setup::{self, AnyParser};
use stagger::{Clock, Event, List, Pushed, Refusal, Sessionizer, Timestamp};

use crate::options::Options;
use crate::outputs;
use crate::progress::Progress;
use crate::report::{counted, grouped};
use crate::results::Results;
use crate::side::{Member, Members};
use crate::strategy;
use crate::text::{EventRef, Payload, Place, Text};
use crate::unused::Unused;
use crate::waiting::Waiting;

/// Does what the options ask for.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    if options.results.events.is_some() {
        let list = List::of(|event: &EventRef<'_>| {
            let (value, place) = event.value;
            Member { time: event.event_time, value: value.into(), place }
        });
        let config = strategy::config::<Vec<Member>>(options).aggregate(list);
        Job::new(options, config.build()?)?.run()
    } else {
        Job::new(options, strategy::config::<()>(options).build()?)?.run()
    }
}

struct Job<'o, S, O: Members> {
    options: &'o Options,
    sources: Vec<Source>,
    engine: S,
    /// Only where all events must be read before the first is processed.
    waiting: Option<Waiting>,
    results: Results<O>,
    unused: Unused,
    /// The greatest event time that was used.
    greatest: Option<Timestamp>,
    lines: u64,
    events: u64,
    empty: u64,
}

impl<'o, S, O: Members> Job<'o, S, O>
where
    S: Sessionizer<Key = Text, Value = Payload<O>, Output = O>,
{
    /// Checks everything that can be checked before the first line, then creates the outputs.
    fn new(options: &'o Options, engine: S) -> Outcome<Self> {
        let sources = setup::sources(&options.inputs);
        outputs::check(&options.results, &sources)?;
        setup::check(&options.fields, &sources)?;
        let columns = setup::columns(&options.fields, &sources)?;
        let names: Vec<String> = sources.iter().map(Source::name).collect();
        let is_sorted = engine.clock() == Clock::Arrival && options.streaming.out_of_order.is_none();
        Ok(Self {
            options,
            sources,
            engine,
            waiting: is_sorted.then(Waiting::default),
            results: Results::new(options, &names, &columns)?,
            unused: Unused::new(options, names, columns)?,
            greatest: None,
            lines: 0,
            events: 0,
            empty: 0,
        })
    }

    fn run(mut self) -> Outcome<()> {
        let started = Instant::now();
        let read = Arc::new(AtomicU64::new(0));
        let total = self.sources.iter().map(Source::bytes).sum();
        let progress = Progress::new(total, self.results.is_on_terminal, Arc::clone(&read));
        for (index, source) in self.sources.clone().iter().enumerate() {
            let input = source.open(&read)?;
            let parser = setup::parser(&self.options.fields, source, &input)?;
            self.read(index as u32, source, input, parser, &progress)?;
        }
        self.end()?;
        progress.finish();
        self.unused.finish()?;
        if let (0, Some(field)) = (self.events, self.unused.missing_everywhere()) {
            return Err(Failure::usage(format_args!("no line has the field `{field}`")));
        }
        self.close(started)
    }

    /// Reads one input.
    fn read(
        &mut self,
        index: u32,
        source: &Source,
        input: Input,
        parser: AnyParser,
        progress: &Progress,
    ) -> Outcome<()> {
        let mut reading = reading::start(source, input, parser)?;
        while let Some(batch) = reading.next() {
            for item in batch.iter() {
                match item {
                    Item::Record(line, record) => self.take(record, Place { input: index, line })?,
                    Item::Rejected(bad) => {
                        self.unused.reject(Place { input: index, line: bad.line }, &bad.bytes, &bad.reject)?;
                    }
                }
            }
            if let Some(error) = &batch.failure {
                return Err(source.unreadable(error));
            }
            self.lines += batch.lines;
            self.empty += batch.empty;
            reading.give_back(batch);
            progress.update();
        }
        Ok(())
    }

    fn take(&mut self, record: Record<'_>, place: Place) -> Outcome<()> {
        self.events += 1;
        let arrival = record.arrival.unwrap_or_else(|| self.assumed_arrival(record.time));
        let event = Event::new(record.key, record.time, (record.value, place)).arriving_at(arrival);
        match &mut self.waiting {
            Some(waiting) => {
                waiting.add(&event);
                Ok(())
            }
            None => self.push(event),
        }
    }

    /// An event arrives when it happens. To see an event from the future for what it is, the
    /// present is taken to be the latest event so far.
    fn assumed_arrival(&self, time: Timestamp) -> Timestamp {
        match (self.options.streaming.max_future, self.greatest) {
            (Some(_), Some(greatest)) => greatest,
            _ => time,
        }
    }

    fn push(&mut self, event: EventRef<'_>) -> Outcome<()> {
        let results = &mut self.results;
        match self.engine.push(event, &mut |session| results.session(session)) {
            Pushed::Late(event) => self.unused.late(&event, self.engine.now())?,
            Pushed::Refused(event, why) => {
                if why == Refusal::BetweenWindows {
                    self.reached(&event);
                }
                self.unused.refused(&event, why)?;
            }
            Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => {
                self.reached(&event);
                if let Some(report) = &mut self.results.report {
                    report.event(event.event_time);
                }
            }
        }
        self.results.check()
    }

    /// Event time has come as far as this event, by its arrival at most: a fast clock makes no event of others late.
    fn reached(&mut self, event: &EventRef<'_>) {
        self.greatest = self.greatest.max(Some(event.event_time));
        if let Some(bound) = self.options.bound_by_arrival() {
            let results = &mut self.results;
            let watermark = event.event_time.min(event.arrival_time) - bound;
            if watermark > self.engine.now() {
                self.engine.advance_to(watermark, &mut |session| results.session(session));
            }
        }
    }

    /// Closes what the input has ended, then what it has left open.
    fn end(&mut self) -> Outcome<()> {
        if let Some(mut waiting) = self.waiting.take() {
            waiting.sort();
            for event in waiting.iter() {
                self.push(event)?;
            }
        }
        let results = &mut self.results;
        if let (Clock::Event, Some(greatest)) = (self.engine.clock(), self.greatest) {
            self.engine.advance_to(greatest, &mut |session| results.session(session));
        }
        self.engine.flush(&mut |session| results.session(session));
        self.results.check()
    }

    /// Finishes the outputs and says what was done.
    fn close(self, started: Instant) -> Outcome<()> {
        let counters = self.engine.counters();
        let is_report = self.results.report.is_some();
        self.results.finish(&self.unused, self.sources[0] == Source::Bundled)?;
        let mut say = io::stderr().lock();
        if !is_report {
            for message in &self.unused.first {
                let _ = writeln!(say, "not used: {message}");
            }
            let more = self.unused.rejected - self.unused.first.len() as u64;
            if more > 0 {
                let _ = writeln!(say, "not used: {} more (see --rejects)", grouped(more));
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let mut line = format!(
            "{} read: {}, {} rejected, {} late",
            counted(self.lines, "line"),
            counted(self.events, "event"),
            grouped(self.unused.rejected),
            grouped(self.unused.late_events),
        );
        for (count, what) in [(self.unused.refused, "refused"), (counters.revisions, "corrected")] {
            if count > 0 {
                line += &format!(", {} {what}", grouped(count));
            }
        }
        if self.empty > 0 {
            line += &format!(", {}", counted(self.empty, "empty line"));
        }
        let rate = (self.events as f64 / seconds.max(1e-6)) as u64;
        let sessions = counted(counters.closed, "session");
        let _ = writeln!(say, "{line}; {sessions}; {seconds:.2} s, {} events/s", grouped(rate));
        Ok(())
    }
}
