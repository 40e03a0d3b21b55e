//! From records to sessions: watermarks, engines and their state, without any input or output.
//!
//! Everything here is a function of the records and their order, which [`crate::stream::merge`] makes
//! the same in every run.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stagger::prelude::*;
use stagger::{Clock, Counters, Engine, Event, Pushed, SessionSummary, Snapshot, SourceId, Sources, Timestamp};

use crate::columns::{Columns, KeyKind};
use crate::decode::Decoded;
use crate::ids::id_of;
use crate::keys;
use crate::session::Session;
use crate::strategy::Named;
use crate::stream::ShardId;

/// How time is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// How far events of one shard may be out of order.
    pub(crate) out_of_order: Duration,
    /// How long sessions can still be corrected.
    pub(crate) allowed_lateness: Option<Duration>,
    /// Events further ahead of their arrival than this are refused.
    pub(crate) max_future: Duration,
    /// Events come at most so long after they happened: the watermark follows the clock of arrival
    /// where nothing comes.
    pub(crate) max_delay: Option<Duration>,
    /// A shard without records for so long, by the clock of arrival, holds the watermark up no more.
    pub(crate) idle_after: Duration,
}

/// All rules at work on one stream.
#[derive(Debug)]
pub(crate) struct Pipeline {
    timing: Timing,
    /// Of the key fields.
    kinds: Vec<KeyKind>,
    rules: Vec<Rule>,
    clocks: Clocks,
}

#[derive(Debug)]
struct Rule {
    name: String,
    engine: Engine<String, String>,
}

/// What is the same for all rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Clocks {
    sources: Sources,
    /// A shard becomes a source with its first event, and stays one: a shard that has ended is idle
    /// like any other in which nothing arrives. When the end of a shard becomes known depends on when
    /// it is asked; when it is idle depends on arrivals alone.
    shards: BTreeMap<ShardId, SourceId>,
    /// The clock of arrival.
    arrival: Timestamp,
    /// The latest event time that counts.
    greatest: Option<Timestamp>,
}

/// Everything that must be kept to go on later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    timing: Timing,
    rules: Vec<(String, Snapshot<String, String>)>,
    clocks: Clocks,
}

/// What comes out.
#[derive(Debug)]
pub(crate) enum Out {
    /// A session of the rule with this number.
    Session(usize, Session),
    /// An event that the rule with this number did not take, and why.
    NotTaken { rule: usize, is_late: bool, why: String },
}

impl Pipeline {
    pub(crate) fn new(named: &[Named], columns: &Columns, timing: Timing) -> Result<Self> {
        let rules = named.iter().map(|named| {
            let engine = timing.config(named).build().with_context(|| named.option().to_owned())?;
            Ok(Rule { name: named.name.clone(), engine })
        });
        let clocks = Clocks {
            sources: Sources::new(timing.out_of_order),
            shards: BTreeMap::new(),
            arrival: Timestamp::MIN,
            greatest: None,
        };
        Ok(Self { timing, kinds: columns.kinds.clone(), rules: rules.collect::<Result<_>>()?, clocks })
    }

    /// Goes on from a state, if it was taken under the same rules.
    pub(crate) fn restore(named: &[Named], columns: &Columns, timing: Timing, state: State) -> Result<Self> {
        let names = |rules: &[&str]| rules.join(", ");
        let (old, new): (Vec<&str>, Vec<&str>) =
            (state.rules.iter().map(|(name, _)| &**name).collect(), named.iter().map(|named| &*named.name).collect());
        anyhow::ensure!(
            old == new,
            "the checkpoint was made with the sessions {} and this run asks for {}: give the same, or another --state",
            names(&old),
            names(&new)
        );
        anyhow::ensure!(
            state.timing == timing,
            "the checkpoint was made with {:?} and this run asks for {timing:?}: give the same, or another --state",
            state.timing
        );
        let restore = |(named, (name, snapshot)): (&Named, (String, Snapshot<String, String>))| {
            let engine = timing.config(named).restore(snapshot).with_context(|| format!("the checkpoint of {name}"))?;
            Ok(Rule { name, engine })
        };
        let rules = named.iter().zip(state.rules).map(restore).collect::<Result<_>>()?;
        Ok(Self { timing, kinds: columns.kinds.clone(), rules, clocks: state.clocks })
    }

    pub(crate) fn state(&self) -> State {
        let snapshot = |rule: &Rule| (rule.name.clone(), rule.engine.snapshot());
        State { timing: self.timing, rules: self.rules.iter().map(snapshot).collect(), clocks: self.clocks.clone() }
    }

    /// The clock of arrival: all that arrived before has been taken.
    pub(crate) fn arrival(&self) -> Timestamp {
        self.clocks.arrival
    }

    /// Takes one event, which arrived with a record of a shard.
    pub(crate) fn take(&mut self, shard: &str, arrival: Timestamp, event: &Decoded<'_>, out: &mut dyn FnMut(Out)) {
        self.advance(arrival, out);
        let arrival = self.clocks.arrival;
        let mut counts = true;
        let kinds = &self.kinds;
        for (number, rule) in self.rules.iter_mut().enumerate() {
            let clock = rule.engine.clock();
            let lent = Event::new(event.key, event.time, event.value).arriving_at(arrival);
            let pushed = rule.engine.push(lent, &mut |session| out(Out::Session(number, row(session, clock, kinds))));
            let (is_late, why) = match pushed {
                Pushed::Late(_) => {
                    let past = rule.engine.now();
                    (true, format!("it is late: the watermark was {past}"))
                }
                Pushed::Refused(_, why) => {
                    counts &= why != stagger::Refusal::Future;
                    (false, why.to_string())
                }
                Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => continue,
            };
            out(Out::NotTaken { rule: number, is_late, why });
        }
        if counts {
            self.clocks.observe(shard, event.time);
        }
    }

    /// Nothing that arrived before `arrival` will come any more.
    ///
    /// The watermark moves here and nowhere else: all that arrived at one instant is judged by what
    /// came before it. So it does not matter in which order the records of one instant are taken,
    /// though with arrivals in whole seconds that instant is long.
    pub(crate) fn advance(&mut self, arrival: Timestamp, out: &mut dyn FnMut(Out)) {
        if arrival <= self.clocks.arrival {
            return;
        }
        self.clocks.arrival = arrival;
        self.clocks.sources.check_idle(arrival, self.timing.idle_after);
        let mut watermark = self.clocks.sources.watermark();
        if let Some(delay) = self.timing.max_delay {
            watermark = watermark.max(self.clocks.arrival - delay);
        }
        self.advance_rules(watermark, out);
    }

    fn advance_rules(&mut self, watermark: Timestamp, out: &mut dyn FnMut(Out)) {
        let kinds = &self.kinds;
        for (number, rule) in self.rules.iter_mut().enumerate() {
            let clock = rule.engine.clock();
            let now = match clock {
                Clock::Event => watermark,
                Clock::Arrival => self.clocks.arrival,
            };
            if now > rule.engine.now() {
                rule.engine.advance_to(now, &mut |session| out(Out::Session(number, row(session, clock, kinds))));
            }
        }
    }

    /// Closes everything, at the end of the stream: first what the events themselves have ended.
    pub(crate) fn flush(&mut self, out: &mut dyn FnMut(Out)) {
        if let Some(greatest) = self.clocks.greatest {
            self.advance_rules(greatest, out);
        }
        let kinds = &self.kinds;
        for (number, rule) in self.rules.iter_mut().enumerate() {
            let clock = rule.engine.clock();
            rule.engine.flush(&mut |session| out(Out::Session(number, row(session, clock, kinds))));
        }
    }

    /// Name, clock, open sessions and counts of each rule.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&str, Timestamp, usize, Counters)> {
        let of = |rule: &Rule| (rule.engine.now(), rule.engine.open_sessions(), rule.engine.counters());
        self.rules.iter().map(move |rule| {
            let (now, open, counters) = of(rule);
            (&*rule.name, now, open, counters)
        })
    }
}

impl Clocks {
    fn observe(&mut self, shard: &str, event_time: Timestamp) {
        self.greatest = self.greatest.max(Some(event_time));
        if !self.shards.contains_key(shard) {
            self.shards.insert(shard.into(), self.sources.add());
        }
        if let Some(source) = self.shards.get(shard) {
            self.sources.observe(*source, event_time, self.arrival);
        }
    }
}

impl Timing {
    fn config(&self, named: &Named) -> stagger::Config<String, String> {
        let mut config = named.config().max_future(self.max_future);
        if let (Some(lateness), false) = (self.allowed_lateness, named.is_on_arrival()) {
            config = config.allowed_lateness(lateness);
        }
        config
    }
}

fn row(mut session: SessionSummary<String, String>, clock: Clock, kinds: &[KeyKind]) -> Session {
    Session {
        id: id_of(&mut session, clock).to_string(),
        key: keys::split(&session.key, kinds.len()).zip(kinds).map(|(text, kind)| value(&text, *kind)).collect(),
        timeagg: session.bucket.unwrap_or(session.window.start),
        events: session.count,
        begin: session.first_time,
        end: session.last_time,
        reason: session.reason.name().to_owned(),
        revision: session.revision(),
        supersedes: session.supersedes().iter().map(|old| old.id.to_string()).collect(),
        begin_navigation: session.first_event,
        end_navigation: session.last_event,
    }
}

/// A key field as it stands in a row.
fn value(text: &str, kind: KeyKind) -> Value {
    match (kind, text.parse::<i64>()) {
        (KeyKind::Integer, Ok(number)) => number.into(),
        _ => text.into(),
    }
}
