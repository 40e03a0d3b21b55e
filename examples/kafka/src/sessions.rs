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
use events::stream::EventTiming;
use program::signals::Orderly;
use rows::SessionRow;
use rows::columns::session_columns;
use serde::{Deserialize, Serialize};
use stagger::{Clock, Counters, Engine, Event, Pushed, SessionSummary, Timestamp};

use crate::options::Run;
use crate::state::Entry;
use crate::topics::{self, Side};
use crate::worker::{Input, Job, NO_VALUE, Output, Task, set_aside, work};

pub(crate) fn run(options: &Run) -> Result<()> {
    let signals = Orderly::begin(); // before anything takes time
    let mut job = Sessions::new(options)?;
    job.open(Vec::new())?; // an error in the options shows before anything is made
    let Run { connection, group, working, .. } = options;
    let partitions = topics::prepare(connection, group, working)?;
    job.partitions = Some(partitions);
    work(&signals, &job, connection, group, working, Some(partitions))
}

/// Shared by all partitions.
#[derive(Debug)]
pub(crate) struct Sessions {
    options: Run,
    named: Vec<Named>,
    columns: Columns,
    targets: Targets,
    /// Of the input.
    partitions: Option<i32>,
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
    timing: EventTiming,
    columns: Columns,
    fields: String,
    topic: Arc<str>,
    targets: Targets,
    rules: Vec<Rule>,
    partitions: Option<i32>,
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
    /// The input, and the number of its partitions: unknown in the state of a release before 2026-11-28.
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    partitions: Option<i32>,
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
            sessions: options.group.output().into(),
            sides: Side::ALL.map(|side| side.topic(options.group.output()).into()),
        };
        Ok(Self {
            columns: session_columns(options.fields.declared().map_err(anyhow::Error::msg)?),
            named: named.into_iter().map(Named::forgetful).collect(),
            targets,
            partitions: None,
            options: options.clone(),
        })
    }

    /// Refuses the state of another question.
    fn check(&self, about: &About, names: &[String]) -> Result<()> {
        let input = &self.options.group.input;
        let topic = about.topic.as_ref().unwrap_or(input);
        ensure!(
            topic == input,
            "the group works with --input {topic} and this process with {input}: give the same, or another --group"
        );
        if let (Some(before), Some(_)) =
            (about.partitions.filter(|_| about.partitions != self.partitions), self.partitions)
            && !self.options.working.allow_loss
        {
            bail!(topics::grown(input, before));
        }
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
            let engine = self.options.timing.config(named).build().with_context(|| named.option().to_owned())?;
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
            let restored =
                base.with_changes(changes).and_then(|whole| self.options.timing.config(named).restore(whole));
            let engine = restored.with_context(|| format!("the state of {name}"))?;
            rules.push(Rule { name, engine, changed: HashSet::new() });
        }
        Ok((rules, about.clocks))
    }
}

impl Job for Sessions {
    type Task = Partition;

    const HAS_STATE: bool = true;

    fn open(&self, entries: Vec<Entry>) -> Result<Partition> {
        let (rules, clocks) = match entries.is_empty() {
            true => (self.fresh()?, Clocks::BEGINNING),
            false => self.restored(entries)?,
        };
        let events = Events {
            timing: self.options.timing,
            columns: self.columns.clone(),
            fields: self.options.fields.echo(),
            topic: self.options.group.input.as_str().into(),
            targets: self.targets.clone(),
            partitions: self.partitions,
            rules,
            clocks,
        };
        Ok(Partition { parser: Jsonl::new(self.options.fields.wanted().map_err(anyhow::Error::msg)?), events })
    }

    fn max_delay(&self) -> Option<Duration> {
        self.options.timing.max_delay.0
    }
}

impl Events {
    /// One event goes to all rules. The watermark moves before it is placed, as in an engine that derives its own.
    fn push(&mut self, record: &Record<'_>, input: &Input<'_>, out: &mut Vec<Output>) {
        let refusal = match input.timestamp {
            Some(_) => self.timing.refusal(record.time, self.clocks.arrival),
            None => Some("its record has no timestamp, and so no arrival".to_owned()),
        };
        if let Some(reason) = refusal {
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
        value: Some(serde_json::Value::Object(json).to_string().into_bytes()),
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
        clocks.arrival = clocks.arrival.max(input.timestamp.map_or(Timestamp::MIN, Timestamp::from_millis));
        let parsed = match input.value {
            Some(value) => parser.parse(value).map_err(|reject| reject.to_string()),
            None => Err(NO_VALUE.to_owned()),
        };
        match parsed {
            Ok(record) => events.push(&record, input, out),
            Err(reason) => {
                clocks.unreadable += 1;
                events.advance(out);
                let to = events.targets.of(Side::Unreadable);
                out.push(set_aside(&events.topic, to, input, None, reason));
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
        let Events { timing, fields, topic, partitions, rules, clocks, .. } = &self.events;
        let about = About {
            fields: fields.clone(),
            allowed_lateness: timing.allowed_lateness,
            topic: Some(topic.to_string()),
            partitions: *partitions,
            clocks: *clocks,
        };
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

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser as _;
    use proptest::prelude::*;

    use super::*;
    use crate::options::{Command, Options};
    use crate::state::{Collected, StateRecord, Written};

    pub(crate) fn about() -> About {
        let (topic, partitions) = (None, None); // as a former release wrote it
        About { fields: String::new(), allowed_lateness: None, topic, partitions, clocks: Clocks::BEGINNING }
    }

    fn job(arguments: &str) -> Result<Sessions> {
        let line = ["kafka", "run"].into_iter().chain(arguments.split_whitespace());
        let Command::Run(run) = Options::parse_from(line).command else { panic!("not run") };
        Sessions::new(&run)
    }

    fn input(offset: i64, timestamp: i64, value: &str) -> Input<'_> {
        let (timestamp, value) = (Some(timestamp), Some(value.as_bytes()));
        Input { partition: 3, offset, timestamp, key: Some(b"k"), value, headers: None }
    }

    fn click(user: u8, second: i64) -> String {
        format!(r#"{{"user_id":{user},"device_id":"d","client_timestamp":{second},"client_event":"e{second}"}}"#)
    }

    /// Topic and a header of each output.
    fn told(outputs: &[Output], header: &str) -> Vec<(String, String)> {
        let of =
            |output: &Output| output.headers.iter().find(|(name, _)| *name == header).and_then(|(_, of)| of.clone());
        let of = |output: &Output| of(output).map(|of| String::from_utf8(of).unwrap());
        outputs.iter().map(|output| (output.topic.to_string(), of(output).unwrap_or_default())).collect()
    }

    const T: i64 = 1_790_000_000;

    #[test]
    fn records_in_no_session_are_set_aside_with_the_reason() {
        let job = job("--step 10s --out-of-order 5s").unwrap();
        let (mut partition, mut out) = (job.open(Vec::new()).unwrap(), Vec::new());
        let late = click(1, T - 60);
        let future = click(1, T + 3_600);
        let old = click(1, 900_000_000); // in 1998
        for (offset, value) in [&*click(1, T), &late, &future, &old, "{", ""].into_iter().enumerate() {
            partition.take(&input(i64::try_from(offset).unwrap(), T * 1_000, value), &mut out);
        }
        let side = |side: &str, reason: &str| (format!("sessions-{side}"), reason.to_owned());
        let told_reasons = told(&out, "reason");
        assert_eq!(told_reasons[0], side("late", "it is late: the watermark was 2026-09-21T14:13:15.000000Z"));
        assert_eq!(told_reasons[1], side("refused", "it is more than 5m ahead of its arrival (--max-future)"));
        assert!(told_reasons[2].1.starts_with("it is from before 2000-01-01"), "{told_reasons:?}");
        assert_eq!(told_reasons[3..].iter().map(|(topic, _)| &**topic).collect::<Vec<_>>(), ["sessions-unreadable"; 2]);
        let offsets: Vec<String> = told(&out, "offset").into_iter().map(|(_, offset)| offset).collect();
        assert_eq!(offsets, ["1", "2", "3", "4", "5"]);
        assert_eq!((told(&out, "rule")[0].1.as_str(), told(&out, "partition")[0].1.as_str()), ("step_10s", "3"));
        assert_eq!(out[0].value.as_deref(), Some(late.as_bytes()));
        let counts = partition.counts();
        assert_eq!((counts.records, counts.refused, counts.unreadable, counts.rules[0].late), (6, 2, 2, 1));
    }

    #[test]
    fn records_without_value_or_timestamp_are_set_aside() {
        let job = job("--gap 10s").unwrap();
        let (mut partition, mut out) = (job.open(Vec::new()).unwrap(), Vec::new());
        let value = click(1, T);
        partition.take(&Input { value: None, ..input(0, T * 1_000, "") }, &mut out);
        partition.take(&Input { timestamp: None, ..input(1, 0, &value) }, &mut out);
        let expected = [
            ("sessions-unreadable".to_owned(), "it has no value".to_owned()),
            ("sessions-refused".to_owned(), "its record has no timestamp, and so no arrival".to_owned()),
        ];
        assert_eq!(told(&out, "reason"), expected);
        assert_eq!((&out[0].value, out[1].value.as_deref()), (&None, Some(value.as_bytes())));
        assert_eq!(out[1].timestamp, None);
    }

    #[test]
    fn the_state_of_another_question_is_refused() {
        let partition = job("--gap 5m").unwrap().open(Vec::new()).unwrap();
        let refused = |arguments: &str| {
            let state = partition.entry(true).unwrap().unwrap();
            job(arguments).unwrap().open(vec![state]).err().map(|error| error.to_string())
        };
        assert_eq!(refused("--gap 5m"), None);
        let end = "give the same, or another --group";
        let rules = format!("the group works with the rules gap_5m and this process with gap_6m: {end}");
        assert_eq!(refused("--gap 6m"), Some(rules));
        let key =
            format!("the group works with --key user_id:int,device_id and this process with --key user_id: {end}");
        assert_eq!(refused("--gap 5m --key user_id"), Some(key));
        assert!(refused("--gap 5m --allowed-lateness 1m").unwrap().contains("--allowed-lateness 0s"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Record(u8, i64, i64),
        Silence(u64),
        /// Written as a change or as a base, and read again by another process.
        Move {
            is_base: bool,
        },
        /// The same without the move.
        Commit {
            is_base: bool,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..6_u8, -60..60_i64, 0..30_i64).prop_map(|(user, skew, wait)| Step::Record(user, skew, wait)),
            1 => (1..120_u64).prop_map(Step::Silence),
            2 => any::<bool>().prop_map(|is_base| Step::Move { is_base }),
            2 => any::<bool>().prop_map(|is_base| Step::Commit { is_base }),
        ]
    }

    /// The entries of a log for a new owner: those from the latest base on.
    fn reread(log: &[StateRecord]) -> Vec<Entry> {
        let mut collected = Collected::default();
        log.iter().for_each(|record| collected.add(&record.value).unwrap());
        collected.entries().unwrap().unwrap().0
    }

    proptest! {
        /// A partition that moves at any time, from a base and changes, writes the rows of one that stays.
        #[test]
        fn moving_changes_no_row(
            steps in proptest::collection::vec(step(), 1..60),
            rules in prop_oneof![
                Just("--gap 30s --step 10s --stagger step=10s/20s"),
                Just("--gap 30s --floor minute --allowed-lateness 1m"),
            ],
        ) {
            let job = job(rules).unwrap();
            let (mut stays, mut moves) = (job.open(Vec::new()).unwrap(), job.open(Vec::new()).unwrap());
            let (mut expected, mut found, mut log) = (Vec::new(), Vec::new(), Vec::new());
            let (mut offset, mut now, mut written) = (0, T, Written::default());
            for step in steps {
                match step {
                    Step::Record(user, skew, wait) => {
                        now += wait;
                        let value = click(user, now + skew);
                        stays.take(&input(offset, now * 1_000, &value), &mut expected);
                        moves.take(&input(offset, now * 1_000, &value), &mut found);
                        offset += 1;
                    }
                    Step::Silence(seconds) => {
                        let beyond = Duration::from_secs(seconds);
                        stays.silence(beyond, &mut expected);
                        moves.silence(beyond, &mut found);
                    }
                    Step::Move { is_base } | Step::Commit { is_base } => {
                        let entry = moves.entry(is_base || log.is_empty()).unwrap().unwrap();
                        let (records, next) = written.next(0, &entry).unwrap();
                        log.extend(records);
                        written = next;
                        moves.was_saved();
                        if matches!(step, Step::Move { .. }) {
                            moves = job.open(reread(&log)).unwrap();
                        }
                    }
                }
                prop_assert_eq!(&found, &expected);
                prop_assert_eq!(moves.counts(), stays.counts());
                prop_assert_eq!(moves.next_offset(), stays.next_offset());
            }
        }
    }
}
