//! From the records of one partition to sessions, without any input or output: a function of the records and their
//! order, which Kafka makes the same in every process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use events::columns::Columns;
use events::lengths;
use events::parse::jsonl::Jsonl;
use events::parse::{Parser, Record};
use events::rules::Named;
use rows::SessionRow;
use serde::{Deserialize, Serialize};
use stagger::{Clock, Counters, Engine, Event, Pushed, SessionSummary, Timestamp};

use crate::options::{Run, TimingOptions};
use crate::state::Entry;
use crate::topics::Side;
use crate::worker::{Input, Job, Output, Task, work};

pub(crate) fn run(options: &Run) -> Result<()> {
    let job = Sessions::new(options)?;
    work(&job, &options.connection, &options.group, &options.working)
}

/// Shared by all partitions.
#[derive(Debug)]
pub(crate) struct Sessions {
    options: Run,
    named: Vec<Named>,
    columns: Columns,
    targets: Targets,
}

/// The topics that records go to.
#[derive(Clone, Debug)]
struct Targets {
    sessions: Arc<str>,
    sides: [Arc<str>; 3],
}

impl Targets {
    fn of(&self, side: Side) -> Arc<str> {
        Arc::clone(&self.sides[side as usize])
    }
}

/// One partition: how its records are read, and its sessions.
pub(crate) struct Partition {
    parser: Jsonl,
    events: Events,
}

#[derive(Debug)]
struct Events {
    timing: TimingOptions,
    columns: Columns,
    fields: String,
    topic: Arc<str>,
    targets: Targets,
    rules: Vec<Rule>,
    clocks: Clocks,
}

#[derive(Debug)]
struct Rule {
    name: String,
    engine: Engine<String, String>,
    /// Keys that events and sessions named since the latest entry of the state.
    changed: HashSet<String>,
}

/// How far the partition has been read, in every sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Clocks {
    next_offset: i64,
    /// The clock of arrival: the latest timestamp of a record.
    arrival: Timestamp,
    /// The latest event time, an event of the future counted at its arrival.
    greatest: Option<Timestamp>,
    records: u64,
    unreadable: u64,
    /// Refused before any rule saw it.
    refused: u64,
}

impl Clocks {
    const BEGINNING: Self =
        Self { next_offset: 0, arrival: Timestamp::MIN, greatest: None, records: 0, unreadable: 0, refused: 0 };
}

/// The part of the state beside the sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    fields: String,
    allowed_lateness: Option<Duration>,
    clocks: Clocks,
}

/// Counts for reports. It goes with each commit, as a note beside the offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) records: u64,
    pub(crate) unreadable: u64,
    pub(crate) refused: u64,
    pub(crate) open_sessions: usize,
    pub(crate) rules: Vec<RuleCounts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleCounts {
    pub(crate) rule: String,
    pub(crate) events: u64,
    pub(crate) late: u64,
    pub(crate) refused: u64,
    /// Events in sessions that were written, and in those that are open.
    pub(crate) closed: u64,
    pub(crate) open: u64,
    pub(crate) sessions: u64,
}

impl RuleCounts {
    fn of(name: &str, counters: &Counters) -> Self {
        Self {
            rule: name.to_owned(),
            events: counters.pushed,
            late: counters.late,
            refused: counters.refused(),
            closed: counters.reported,
            open: counters.open_events(),
            sessions: counters.closed,
        }
    }
}

impl Sessions {
    pub(crate) fn new(options: &Run) -> Result<Self> {
        let named = options.strategies.named().map_err(anyhow::Error::msg)?;
        let targets = Targets {
            sessions: options.group.output.as_str().into(),
            sides: Side::ALL.map(|side| side.topic(&options.group.output).into()),
        };
        Ok(Self {
            columns: options.fields.columns()?,
            named: named.into_iter().map(Named::forgetful).collect(),
            targets,
            options: options.clone(),
        })
    }

    fn config(&self, named: &Named) -> stagger::Config<String, String> {
        let config = named.config();
        match self.options.timing.allowed_lateness {
            Some(lateness) if !named.is_on_arrival() => config.allowed_lateness(lateness),
            _ => config,
        }
    }

    /// Refuses the state of another question.
    fn check(&self, about: &About, names: &[String]) -> Result<()> {
        let fields = self.options.fields.echo();
        ensure!(
            about.fields == fields,
            "the group works with {} and this process with {fields}: give the same, or another --group",
            about.fields
        );
        let lateness = self.options.timing.allowed_lateness;
        let of = |lateness: Option<Duration>| lengths::compact(lateness.unwrap_or_default());
        ensure!(
            about.allowed_lateness == lateness,
            "the group works with --allowed-lateness {} and this process with {}: give the same, or another --group",
            of(about.allowed_lateness),
            of(lateness)
        );
        let own: Vec<&str> = self.named.iter().map(|named| &*named.name).collect();
        ensure!(
            *names == own,
            "the group works with the rules {} and this process with {}: give the same, or another --group",
            names.join(", "),
            own.join(", ")
        );
        Ok(())
    }

    fn fresh(&self) -> Result<Vec<Rule>> {
        let rule = |named: &Named| {
            let engine = self.config(named).build().with_context(|| named.option().to_owned())?;
            Ok(Rule { name: named.name.clone(), engine, changed: HashSet::new() })
        };
        self.named.iter().map(rule).collect()
    }

    /// A base with the changes since.
    fn restored(&self, entries: Vec<Entry>) -> Result<(Vec<Rule>, Clocks)> {
        let mut entries = entries.into_iter();
        let Some(Entry::Base(mut about, bases)) = entries.next() else { bail!("the state does not begin with a base") };
        let names: Vec<String> = bases.iter().map(|(name, _)| name.clone()).collect();
        self.check(&about, &names)?;
        let mut changes: Vec<Vec<_>> = names.iter().map(|_| Vec::new()).collect();
        for entry in entries {
            let Entry::Changes(newer, of_rules) = entry else { bail!("the state has a base among its changes") };
            about = newer;
            changes.iter_mut().zip(of_rules).for_each(|(all, (_, change))| all.push(change));
        }
        let mut rules = Vec::new();
        for ((named, (name, base)), changes) in self.named.iter().zip(bases).zip(changes) {
            let restored = base.with_changes(changes).and_then(|whole| self.config(named).restore(whole));
            let engine = restored.with_context(|| format!("the state of {name}"))?;
            rules.push(Rule { name, engine, changed: HashSet::new() });
        }
        Ok((rules, about.clocks))
    }
}

impl Job for Sessions {
    type Task = Partition;

    fn open(&self, entries: Vec<Entry>) -> Result<Partition> {
        let (rules, clocks) = match entries.is_empty() {
            true => (self.fresh()?, Clocks::BEGINNING),
            false => self.restored(entries)?,
        };
        let events = Events {
            timing: self.options.timing.clone(),
            columns: self.columns.clone(),
            fields: self.options.fields.echo(),
            topic: self.options.group.input.as_str().into(),
            targets: self.targets.clone(),
            rules,
            clocks,
        };
        Ok(Partition { parser: self.options.fields.parser()?, events })
    }

    fn max_delay(&self) -> Option<Duration> {
        self.options.timing.max_delay.0
    }
}

/// A record that is in no session, as it came, with the reason.
fn set_aside(topic: &Arc<str>, to: Arc<str>, input: &Input<'_>, rule: Option<&str>, reason: String) -> Output {
    let mut headers = vec![
        ("reason", reason),
        ("topic", topic.to_string()),
        ("partition", input.partition.to_string()),
        ("offset", input.offset.to_string()),
    ];
    headers.extend(rule.map(|rule| ("rule", rule.to_owned())));
    let key = input.key.map(<[u8]>::to_vec);
    Output { topic: to, partition: None, key, value: input.value.to_vec(), timestamp: Some(input.timestamp), headers }
}

impl Events {
    /// One event goes to all rules. The watermark moves before it is placed, as in an engine that derives its own.
    fn push(&mut self, record: &Record<'_>, input: &Input<'_>, out: &mut Vec<Output>) {
        if let Some(reason) = self.refusal(record.time) {
            self.clocks.refused += 1;
            out.push(set_aside(&self.topic, self.targets.of(Side::Refused), input, None, reason));
            return;
        }
        let arrival = self.clocks.arrival;
        // An event of the future says only that it is no earlier than its arrival: else a single fast clock would
        // make the events of all others late.
        self.clocks.greatest = self.clocks.greatest.max(Some(record.time.min(arrival)));
        self.advance(out);
        for rule in &mut self.rules {
            let Rule { name, engine, changed } = rule;
            let event = Event::new(record.key, record.time, record.value).arriving_at(arrival);
            let (columns, to) = (&self.columns, &self.targets.sessions);
            let pushed = engine.push(event, &mut |session| emit(session, name, columns, to, changed, out));
            let (side, reason) = match pushed {
                Pushed::Late(_) => (Side::Late, format!("it is late: the watermark was {}", engine.now())),
                Pushed::Refused(_, why) => (Side::Refused, why.to_string()),
                Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => {
                    if !changed.contains(record.key) {
                        changed.insert(record.key.to_owned());
                    }
                    continue;
                }
            };
            out.push(set_aside(&self.topic, self.targets.of(side), input, Some(name), reason));
        }
    }

    /// Moves the clocks of all rules.
    fn advance(&mut self, out: &mut Vec<Output>) {
        let arrival = self.clocks.arrival;
        let watermark = self.clocks.greatest.map(|greatest| greatest - self.timing.out_of_order);
        for rule in &mut self.rules {
            let clock = rule.engine.clock();
            let now = match clock {
                Clock::Event => watermark.unwrap_or(Timestamp::MIN),
                Clock::Arrival => arrival,
            };
            if now > rule.engine.now() {
                let Rule { name, engine, changed } = rule;
                let (columns, to) = (&self.columns, &self.targets.sessions);
                engine.advance_to(now, &mut |session| emit(session, name, columns, to, changed, out));
            }
        }
    }

    fn refusal(&self, time: Timestamp) -> Option<String> {
        let TimingOptions { earliest, max_future, .. } = &self.timing;
        if time < *earliest {
            return Some(format!("it is from before {earliest} (--earliest)"));
        }
        (time > self.clocks.arrival + *max_future)
            .then(|| format!("it is more than {} ahead of its arrival (--max-future)", lengths::compact(*max_future)))
    }
}

/// A session as a record.
fn emit(
    mut session: SessionSummary<String, String>,
    rule: &str,
    columns: &Columns,
    to: &Arc<str>,
    changed: &mut HashSet<String>,
    out: &mut Vec<Output>,
) {
    let id = session.id();
    let values = (std::mem::take(&mut session.first_event), std::mem::take(&mut session.last_event));
    let row = SessionRow::of(&session, id, (&session.key, &columns.kinds), values);
    let mut json = row.json(columns);
    json.insert("strategy".to_owned(), rule.into());
    out.push(Output {
        topic: Arc::clone(to),
        partition: None,
        key: Some(session.key.clone().into_bytes()),
        value: serde_json::Value::Object(json).to_string().into_bytes(),
        timestamp: Some(session.last_time.as_millis()),
        headers: Vec::new(),
    });
    changed.insert(session.key);
}

impl Task for Partition {
    fn next_offset(&self) -> i64 {
        self.events.clocks.next_offset
    }

    fn begin_at(&mut self, offset: i64) {
        self.events.clocks.next_offset = offset;
    }

    fn take(&mut self, input: &Input<'_>, out: &mut Vec<Output>) {
        let Self { parser, events } = self;
        let clocks = &mut events.clocks;
        (clocks.next_offset, clocks.records) = (input.offset + 1, clocks.records + 1);
        clocks.arrival = clocks.arrival.max(Timestamp::from_millis(input.timestamp));
        match parser.parse(input.value) {
            Ok(record) => events.push(&record, input, out),
            Err(reject) => {
                clocks.unreadable += 1;
                events.advance(out);
                let to = events.targets.of(Side::Unreadable);
                out.push(set_aside(&events.topic, to, input, None, reject.to_string()));
            }
        }
    }

    fn silence(&mut self, beyond: Duration, out: &mut Vec<Output>) {
        let clocks = &mut self.events.clocks;
        clocks.arrival = clocks.arrival + beyond;
        clocks.greatest = clocks.greatest.map(|greatest| greatest + beyond);
        self.events.advance(out);
    }

    fn entry(&self, is_base: bool) -> Result<Option<Entry>> {
        let Events { timing, fields, rules, clocks, .. } = &self.events;
        let about = About { fields: fields.clone(), allowed_lateness: timing.allowed_lateness, clocks: *clocks };
        let changes = |rule: &Rule| Some((rule.name.clone(), rule.engine.changes(rule.changed.iter().map(|k| &**k))?));
        let changes = if is_base { None } else { rules.iter().map(changes).collect() };
        let snapshot = |rule: &Rule| (rule.name.clone(), rule.engine.snapshot());
        Ok(Some(match changes {
            Some(changes) => Entry::Changes(about, changes),
            None => Entry::Base(about, rules.iter().map(snapshot).collect()),
        }))
    }

    fn was_saved(&mut self) {
        for rule in &mut self.events.rules {
            rule.changed.clear();
            rule.changed.shrink_to(1 << 16);
        }
    }

    fn counts(&self) -> Counts {
        let Events { clocks, rules, .. } = &self.events;
        Counts {
            records: clocks.records,
            unreadable: clocks.unreadable,
            refused: clocks.refused,
            open_sessions: rules.iter().map(|rule| rule.engine.open_sessions()).sum(),
            rules: rules.iter().map(|rule| RuleCounts::of(&rule.name, &rule.engine.counters())).collect(),
        }
    }
}
