//! The work itself: records in, sessions out, nothing lost in between.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use stagger::{Clock, Event, Lent, List, Pushed, Refusal, Sessionizer, Timestamp};

use crate::failure::{Failure, Outcome};
use crate::input::{Input, Source};
use crate::lines::Lines;
use crate::options::{Options, OutputFormat};
use crate::output::{self, Rows};
use crate::parse::{Parser, Record};
use crate::progress::Progress;
use crate::report::{Report, counted, grouped};
use crate::setup::{self, AnyParser};
use crate::side::{EventsFile, JsonLines, Member, Members};
use crate::strategy;
use crate::text::{Payload, Place, Summary, Text};
use crate::unused::Unused;
use crate::waiting::Waiting;
use crate::zones::AnyZone;

/// Does what the options ask for.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let config = strategy::config(options);
    if options.results.events.is_some() {
        let list = List::of(|event: &Lent<'_, Text, Payload>| {
            let (value, place) = event.value;
            Member { time: event.event_time, value: value.into(), place }
        });
        Job::new(options, config.aggregate(list).build()?)?.run()
    } else {
        Job::new(options, config.build()?)?.run()
    }
}

struct Job<'o, S> {
    options: &'o Options,
    sources: Vec<Source>,
    engine: S,
    /// Only where all events must be read before the first is processed.
    waiting: Option<Waiting>,
    results: Results,
    unused: Unused,
    /// The greatest event time that was used.
    greatest: Option<Timestamp>,
    lines: u64,
    events: u64,
    empty: u64,
}

impl<'o, S> Job<'o, S>
where
    S: Sessionizer<Key = Text, Value = Payload, Output: Members>,
{
    /// Checks everything that can be checked before the first line, then creates the outputs.
    fn new(options: &'o Options, engine: S) -> Outcome<Self> {
        let sources = setup::sources(options);
        setup::check(options, &sources)?;
        let keys = setup::key_names(options, &sources);
        let names: Vec<String> = sources.iter().map(Source::name).collect();
        let is_sorted = engine.clock() == Clock::Arrival && options.streaming.out_of_order.is_none();
        Ok(Self {
            options,
            sources,
            engine,
            waiting: is_sorted.then(Waiting::default),
            results: Results::new(options, &names, &keys)?,
            unused: Unused::new(options, names, keys)?,
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
            let parser = setup::parser(self.options, source, &input)?;
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
        mut parser: AnyParser,
        progress: &Progress,
    ) -> Outcome<()> {
        const LINES_PER_UPDATE: u64 = 1 << 12;
        let mut lines = Lines::new(input.reader());
        if let AnyParser::Csv(csv) = &mut parser {
            if let Some(header) = lines.next(csv).map_err(|error| source.unreadable(&error))? {
                csv.header(header.bytes).map_err(|name| setup::no_field(source, &name, &[]))?;
            }
        }
        let parser: &mut dyn Parser = parser.as_dyn();
        while let Some(framed) = lines.next(parser).map_err(|error| source.unreadable(&error))? {
            let place = Place { input: index, line: framed.line };
            match framed.whole.and_then(|()| parser.parse(framed.bytes)) {
                Ok(record) => self.take(record, place)?,
                Err(reject) => self.unused.reject(place, framed.bytes, &reject)?,
            }
            if framed.line % LINES_PER_UPDATE == 0 {
                progress.update();
            }
        }
        self.lines += lines.count();
        self.empty += lines.empty();
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

    fn push(&mut self, event: Lent<'_, Text, Payload>) -> Outcome<()> {
        let results = &mut self.results;
        match self.engine.push(event, &mut |session| results.session(&session)) {
            Pushed::Late(event) => self.unused.late(&event, self.engine.now())?,
            Pushed::Refused(event, why) => {
                if why == Refusal::BetweenWindows {
                    self.greatest = self.greatest.max(Some(event.event_time));
                }
                self.unused.refused(&event, why)?;
            }
            Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => {
                self.greatest = self.greatest.max(Some(event.event_time));
                if let Some(report) = &mut self.results.report {
                    report.event(event.event_time);
                }
            }
        }
        self.results.check()
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
            self.engine.advance_to(greatest, &mut |session| results.session(&session));
        }
        self.engine.flush(&mut |session| results.session(&session));
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

/// Where the sessions go.
struct Results {
    rows: Option<Rows>,
    report: Option<Report>,
    events: Option<EventsFile>,
    is_on_terminal: bool,
    /// The first failure; the library's callback cannot return it.
    failure: Option<Failure>,
}

impl Results {
    fn new(options: &Options, inputs: &[String], keys: &[String]) -> Outcome<Self> {
        let revisions = options.streaming.allowed_lateness.is_some();
        let events = match &options.results.events {
            Some(path) => {
                let (inputs, keys) = (inputs.to_vec(), keys.to_vec());
                Some(EventsFile { file: JsonLines::create(path)?, inputs, keys, revisions })
            }
            None => None,
        };
        let mut results = Self { rows: None, report: None, events, is_on_terminal: false, failure: None };
        if options.shows_report() {
            let zone = options.strategy.zone.unwrap_or(AnyZone::UTC);
            results.report = Some(Report::new(strategy::words(options), keys.to_vec(), zone));
            return Ok(results);
        }
        let format = options.output_format();
        if let Some(name) = keys.iter().find(|name| format != OutputFormat::KinesisSql && output::is_taken(name)) {
            return Err(Failure::usage(format_args!("the key field `{name}` has the name of an output column")));
        }
        let to: Box<dyn Write> = match options.results.output.as_deref() {
            Some(path) if path != Path::new("-") => {
                Box::new(File::create(path).map_err(|error| Failure::file("write", path, &error))?)
            }
            _ => {
                results.is_on_terminal = io::stdout().is_terminal();
                Box::new(io::stdout().lock())
            }
        };
        let rows = Rows::new(to, format, keys.to_vec(), revisions);
        results.rows = Some(rows.map_err(|error| Failure::writing(&error))?);
        Ok(results)
    }

    /// Takes a session that has closed.
    fn session<O: Members>(&mut self, session: &Summary<O>) {
        if self.failure.is_none() {
            self.failure = self.write(session).err();
        }
    }

    fn write<O: Members>(&mut self, session: &Summary<O>) -> Outcome<()> {
        if let Some(rows) = &mut self.rows {
            rows.write(session).map_err(|error| Failure::writing(&error))?;
        }
        if let Some(report) = &mut self.report {
            report.session(session);
        }
        if let Some(events) = &mut self.events {
            events.write(session)?;
        }
        Ok(())
    }

    /// Whether everything could be written so far.
    fn check(&mut self) -> Outcome<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn finish(self, unused: &Unused, is_bundled: bool) -> Outcome<()> {
        if let Some(rows) = self.rows {
            rows.finish().map_err(|error| Failure::writing(&error))?;
        }
        if let Some(events) = self.events {
            events.file.finish()?;
        }
        if let Some(report) = self.report {
            let text = report.text(unused) + if is_bundled { TRY_YOUR_OWN } else { "" };
            io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::writing(&error))?;
        }
        Ok(())
    }
}

const TRY_YOUR_OWN: &str = r#"
These clicks were made up by the example `generate` (see examples/data/README.md). Now try your own:
  a web server log (or .gz, or several)
    cargo run --release --example files -- /var/log/nginx/access.log --report
  the work on any git repository: sessions with breaks of less than two hours
    git log --format='{"who":"%ae","when":"%aI","what":"%f"}' |
      cargo run --release --example files -- - --key who --time when --value what --gap 2h --report
  rows instead of a report: --output sessions.csv in place of --report; all options: --help
"#;
