//! From records to sessions: watermarks, engines and their state, without any input or output.
//!
//! Everything here is a function of the records and their order, which [`crate::stream::feed`] makes
//! the same in every run.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use events::columns::{Columns, KeyKind};
use events::lengths;
use events::parse::Record;
use rows::SessionRow;
use serde::{Deserialize, Serialize};
use stagger::{Clock, Counters, Engine, Event, Pushed, SessionSummary, Snapshot, SourceId, Timestamp, WatermarkMerger};

use crate::stream::ShardId;
use events::rules::Named;

/// How time is understood. It may be another in the next run, but a lateness stays one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub(crate) struct Timing {
    #[command(flatten)]
    pub(crate) of_events: events::stream::EventTiming,

    /// A shard without records for this time holds no session open
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = lengths::parse)]
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
    order: Order,
}

#[derive(Debug)]
struct Rule {
    name: String,
    engine: Engine<String, String>,
}

/// The settings that all rules share.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Clocks {
    /// They are told watermarks, not event times: so `out_of_order` may change.
    sources: WatermarkMerger,
    /// A shard becomes a source with its first event, and stays one: a shard that has ended is idle
    /// like any other in which nothing arrives. When the end of a shard becomes known depends on when
    /// it is asked; when it is idle depends on arrivals alone.
    shards: BTreeMap<ShardId, EventTime>,
    /// The arrival clock.
    arrival: Timestamp,
    watermark: Timestamp,
    /// The latest event time of all shards.
    greatest: Option<Timestamp>,
    /// The arrival clock when an event last moved the event time of its shard on.
    moved: Timestamp,
    /// Events that were refused before any rule saw them.
    refused: u64,
}

/// How far the events of a shard have come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct EventTime {
    source: SourceId,
    greatest: Timestamp,
}

/// Everything that must be kept to go on later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    rules: Vec<(String, Snapshot<String, String>)>,
    clocks: Clocks,
}

/// The output.
#[derive(Debug)]
pub(crate) enum Out {
    /// A session of the rule with this number.
    Session(usize, SessionRow),
    /// An event that the rule with this number did not take, and why; without a number, none did.
    NotTaken { rule: Option<usize>, is_late: bool, why: String },
}

impl Pipeline {
    pub(crate) fn new(named: &[Named], columns: &Columns, timing: Timing) -> Result<Self> {
        let rules = named.iter().map(|named| {
            let engine = timing.of_events.config(named).build().with_context(|| named.option().to_owned())?;
            Ok(Rule { name: named.name.clone(), engine })
        });
        Ok(Self::of(rules.collect::<Result<_>>()?, columns, timing, Clocks::new()))
    }

    fn of(rules: Vec<Rule>, columns: &Columns, timing: Timing, clocks: Clocks) -> Self {
        Self { timing, kinds: columns.kinds.clone(), rules, clocks, order: Order::default() }
    }

    /// Goes on from a state, if it was taken under the same rules.
    pub(crate) fn restore(named: &[Named], columns: &Columns, timing: Timing, mut state: State) -> Result<Self> {
        let missing: Vec<&str> = state
            .rules
            .iter()
            .map(|(name, _)| &**name)
            .filter(|old| named.iter().all(|new| new.name != **old))
            .collect();
        let added: Vec<&str> =
            named.iter().map(|new| &*new.name).filter(|new| state.rules.iter().all(|(old, _)| old != new)).collect();
        ensure!(
            missing.is_empty() && added.is_empty(),
            "the checkpoint has other rules: this run lacks {}, and the checkpoint lacks {}. Give the rules of the \
             checkpoint, or another --state for the new ones; that run begins at --start",
            names(&missing),
            names(&added)
        );
        let mut rules = Vec::new();
        for named in named {
            let place = state.rules.iter().position(|(name, _)| *name == named.name);
            let (name, snapshot) = state.rules.swap_remove(place.context("the checkpoint lacks a rule")?);
            let engine = timing.of_events.config(named).restore_changed(snapshot).with_context(|| {
                format!(
                    "the checkpoint of {name} does not go with these options: give those of the checkpoint, or another \
                     --state; that run begins at --start"
                )
            })?;
            rules.push(Rule { name, engine });
        }
        Ok(Self::of(rules, columns, timing, state.clocks))
    }

    pub(crate) fn state(&self) -> State {
        let snapshot = |rule: &Rule| (rule.name.clone(), rule.engine.snapshot());
        State { rules: self.rules.iter().map(snapshot).collect(), clocks: self.clocks.clone() }
    }

    /// The arrival clock: all that arrived before has been taken.
    pub(crate) fn arrival(&self) -> Timestamp {
        self.clocks.arrival
    }

    /// Takes one event, which arrived with a record of a shard.
    pub(crate) fn take(&mut self, shard: &str, arrival: Timestamp, event: &Record<'_>, out: &mut dyn FnMut(Out)) {
        self.advance(arrival, out);
        let arrival = self.clocks.arrival;
        if let Some(why) = self.timing.of_events.refusal(event.time, arrival) {
            self.clocks.refused += 1;
            return out(Out::NotTaken { rule: None, is_late: false, why });
        }
        let kinds = &self.kinds;
        for (number, rule) in self.rules.iter_mut().enumerate() {
            let lent = Event::new(event.key, event.time, event.value).arriving_at(arrival);
            let pushed = rule.engine.push(lent, &mut |session| out(Out::Session(number, row(session, kinds))));
            let (is_late, why) = match pushed {
                Pushed::Late(_) => {
                    let past = rule.engine.now();
                    (true, format!("it is late: the watermark was {past}"))
                }
                Pushed::Refused(_, why) => (false, why.to_string()),
                Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => continue,
            };
            out(Out::NotTaken { rule: Some(number), is_late, why });
        }
        let moved = self.clocks.observe(shard, event.time, self.timing.of_events.out_of_order);
        self.order.note(event.time, self.clocks.watermark, moved);
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
        if let (Some(greatest), Some(delay)) = (self.clocks.greatest, self.timing.of_events.max_delay.0) {
            let silent = arrival.since(self.clocks.moved);
            if let Some(beyond) = silent.checked_sub(delay) {
                watermark = watermark.max(greatest + beyond);
            }
        }
        self.clocks.watermark = self.clocks.watermark.max(watermark);
        self.advance_rules(self.clocks.watermark, out);
    }

    fn advance_rules(&mut self, watermark: Timestamp, out: &mut dyn FnMut(Out)) {
        let kinds = &self.kinds;
        for (number, rule) in self.rules.iter_mut().enumerate() {
            let now = match rule.engine.clock() {
                Clock::Event => watermark,
                Clock::Arrival => self.clocks.arrival,
            };
            if now > rule.engine.now() {
                rule.engine.advance_to(now, &mut |session| out(Out::Session(number, row(session, kinds))));
            }
        }
    }

    /// Closes everything, at the end of the stream: first the sessions that the events themselves have ended.
    pub(crate) fn flush(&mut self, out: &mut dyn FnMut(Out)) {
        if let Some(greatest) = self.clocks.greatest {
            self.advance_rules(greatest, out);
        }
        let kinds = &self.kinds;
        for (number, rule) in self.rules.iter_mut().enumerate() {
            rule.engine.flush(&mut |session| out(Out::Session(number, row(session, kinds))));
        }
    }

    /// Events that were refused before any rule saw them.
    pub(crate) fn refused(&self) -> u64 {
        self.clocks.refused
    }

    /// A fault in the order of the events, told once each time that it begins.
    pub(crate) fn warning(&mut self) -> Option<String> {
        let warning = self.order.warning.take();
        warning.filter(|_| self.rules.iter().any(|rule| rule.engine.clock() == Clock::Event))
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
    fn new() -> Self {
        Self {
            sources: WatermarkMerger::new(Duration::ZERO),
            shards: BTreeMap::new(),
            arrival: Timestamp::MIN,
            watermark: Timestamp::MIN,
            greatest: None,
            moved: Timestamp::MIN,
            refused: 0,
        }
    }

    /// Notes how far the events of a shard have come. Returns whether this one has moved that on.
    ///
    /// An event from the future says only that it is no earlier than its arrival: else a single fast clock
    /// would make the events of all others late.
    fn observe(&mut self, shard: &str, event_time: Timestamp, out_of_order: Duration) -> bool {
        let time = event_time.min(self.arrival);
        self.greatest = self.greatest.max(Some(time));
        if !self.shards.contains_key(shard) {
            let source = self.sources.add();
            self.shards.insert(shard.into(), EventTime { source, greatest: Timestamp::MIN });
        }
        let Some(known) = self.shards.get_mut(shard) else { return false };
        self.sources.report(known.source, time - out_of_order, self.arrival);
        let has_moved = time > known.greatest;
        if has_moved {
            known.greatest = time;
            self.moved = self.arrival;
        }
        has_moved
    }
}

/// How the latest events lie to the watermark. No part of the state: it only warns.
#[derive(Debug, Default)]
struct Order {
    events: u32,
    /// Those that moved the event time of their shard on.
    moved: u32,
    /// Those behind the watermark, and how far the furthest was.
    behind: u32,
    furthest: Duration,
    is_told: bool,
    warning: Option<String>,
}

impl Order {
    /// The number of events that are looked at together.
    const EVENTS: u32 = 1_000;

    fn note(&mut self, time: Timestamp, watermark: Timestamp, moved: bool) {
        self.events += 1;
        self.moved += u32::from(moved);
        if time < watermark {
            self.behind += 1;
            self.furthest = self.furthest.max(watermark.since(time));
        }
        if self.events == Self::EVENTS {
            let is_wrong = self.behind > Self::EVENTS / 2;
            let warning = (is_wrong && !self.is_told).then(|| self.words()).or(self.warning.take());
            *self = Self { is_told: is_wrong, warning, ..Self::default() };
        }
    }

    fn words(&self) -> String {
        let percent = |count: u32| f64::from(count) * 100.0 / f64::from(Self::EVENTS);
        format!(
            "{:.1} % of the last {} events were behind the watermark, by up to {}, and {:.1} % moved it: a few clocks \
             are ahead of the others, or old events are put on the stream again. A longer --out-of-order keeps the \
             order; README.md, Time, says how to choose it",
            percent(self.behind),
            Self::EVENTS,
            lengths::compact(Duration::from_secs(self.furthest.as_secs())),
            percent(self.moved)
        )
    }
}

fn row(mut session: SessionSummary<String, String>, kinds: &[KeyKind]) -> SessionRow {
    let id = session.id();
    let values = (std::mem::take(&mut session.first_event), std::mem::take(&mut session.last_event));
    SessionRow::of(&session, id, (&session.key, kinds), values)
}

/// Names in a sentence.
fn names(rules: &[&str]) -> String {
    if rules.is_empty() { "none".to_owned() } else { rules.join(", ") }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use serde_json::Value;

    use super::*;
    use crate::consume::Options;
    use crate::decode::Decoder;
    use events::parse::times::TimeFormat;
    use rows::columns::session_columns;

    /// Of the present, in microseconds.
    const START: i64 = 1_767_571_200_000_000;
    const SECOND: i64 = 1_000_000;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(START + micros)
    }

    fn options(more: &str) -> Options {
        Options::try_parse_from("consume --stream clicks".split(' ').chain(more.split_whitespace())).unwrap()
    }

    struct Run {
        pipeline: Pipeline,
        sessions: Vec<(u64, Timestamp, Timestamp)>,
        late: usize,
        refused: Vec<String>,
        warnings: Vec<String>,
    }

    impl Run {
        fn new(more: &str) -> Self {
            let options = options(more);
            let named = options.strategies.named().unwrap();
            let columns = Columns::declared(&["user"]).unwrap();
            let pipeline = Pipeline::new(&named, &columns, options.timing).unwrap();
            Self { pipeline, sessions: Vec::new(), late: 0, refused: Vec::new(), warnings: Vec::new() }
        }

        /// The same state in a run with other options.
        fn again(self, more: &str) -> Result<Self> {
            let options = options(more);
            let named = options.strategies.named().unwrap();
            let columns = Columns::declared(&["user"]).unwrap();
            let pipeline = Pipeline::restore(&named, &columns, options.timing, self.pipeline.state())?;
            Ok(Self { pipeline, ..self })
        }

        fn hear(&mut self, step: impl FnOnce(&mut Pipeline, &mut dyn FnMut(Out))) {
            let Self { pipeline, sessions, late, refused, warnings } = self;
            step(pipeline, &mut |out| match out {
                Out::Session(_, session) => sessions.push((session.events, session.begin, session.end)),
                Out::NotTaken { is_late: true, .. } => *late += 1,
                Out::NotTaken { why, .. } => refused.push(why),
            });
            warnings.extend(pipeline.warning());
        }

        fn take(&mut self, arrival: i64, user: u32, time: i64) {
            let key = user.to_string();
            let event = Record { key: &key, time: at(time), arrival: None, value: "", marks: 0, more: "" };
            self.hear(|pipeline, out| pipeline.take("shard", at(arrival), &event, out));
        }

        fn advance(&mut self, arrival: i64) {
            self.hear(|pipeline, out| pipeline.advance(at(arrival), out));
        }
    }

    /// 20,000 events, 20 a second, up to 2 s under way. One in 200 is up to 50 minutes ahead. All are
    /// put on the stream that long after they happened.
    fn with_fast_clocks(run: &mut Run, age: i64) -> usize {
        let mut random = StdRng::seed_from_u64(50);
        let mut ahead = 0;
        for number in 0..20_000 {
            let arrival = number * SECOND / 20;
            let mut time = arrival - age - random.random_range(0..2 * SECOND);
            if random.random_range(0..200) == 0 {
                time += random.random_range(0..50 * 60 * SECOND);
                ahead += 1;
            }
            run.take(arrival, random.random_range(0..200), time);
        }
        ahead
    }

    #[test]
    fn a_fast_clock_makes_nothing_late() {
        let mut run = Run::new("--gap 30s");
        let ahead = with_fast_clocks(&mut run, 0);
        assert!((80..120).contains(&ahead), "{ahead}");
        assert_eq!((run.late, run.warnings.len()), (0, 0));
        assert!(run.refused.len() < ahead && run.refused.len() > ahead / 2, "{}", run.refused.len());
        assert_eq!(run.refused[0], "it is more than 5m ahead of its arrival (--max-future)");

        let mut hour = Run::new("--gap 30s --max-future 1h");
        with_fast_clocks(&mut hour, 0);
        assert_eq!((hour.late, hour.refused.len(), hour.warnings.len()), (0, 0, 0));
    }

    /// Of events that are put on the stream a day later nobody can tell which are ahead of the others.
    #[test]
    fn it_warns_where_few_events_move_the_watermark() {
        let mut run = Run::new("--gap 30s");
        with_fast_clocks(&mut run, 86_400 * SECOND);
        assert!(run.late > 10_000 && run.refused.is_empty(), "{}", run.late);
        assert_eq!(run.warnings.len(), 1, "told once: {:?}", run.warnings);
        let warning = &run.warnings[0];
        assert!(warning.contains("of the last 1000 events were behind the watermark"), "{warning}");
        assert!(warning.contains("A longer --out-of-order keeps the order"), "{warning}");

        let mut longer = Run::new("--gap 30s --out-of-order 1h");
        with_fast_clocks(&mut longer, 86_400 * SECOND);
        assert_eq!((longer.late, longer.warnings.len()), (0, 0));
    }

    #[test]
    fn a_clock_that_was_never_set_is_refused() {
        let mut run = Run::new("--stagger step=30s --gap 30s");
        for time in [Timestamp::from_micros(-62_135_596_800_000_000), Timestamp::EPOCH] {
            run.take(0, 1, time.as_micros() - START);
        }
        run.take(0, 1, 1_543_449_600 * SECOND - START); // the article's day
        assert_eq!(run.refused, vec!["it is from before 2000-01-01T00:00:00.000000Z (--earliest)"; 2]);
        assert_eq!((run.late, run.pipeline.refused()), (0, 2));
    }

    #[test]
    fn sessions_of_a_silent_stream_close_after_max_delay() {
        let age = 86_400 * SECOND; // old events that are put on the stream again
        let minute = 60 * SECOND;
        for (options, closes) in
            [("", Some(10 * minute)), ("--max-delay 1m", Some(minute)), ("--max-delay never", None)]
        {
            let mut run = Run::new(&format!("--gap 30s {options}"));
            run.take(0, 1, -age);
            run.take(5 * SECOND, 1, 5 * SECOND - age);
            let closed_at = |run: &mut Run, second: i64| {
                run.advance(second * SECOND);
                run.sessions.len()
            };
            let end = closes.map_or(1_000_000, |delay| delay / SECOND + 35);
            assert_eq!(closed_at(&mut run, end - 1), 0, "{options}");
            let expected = usize::from(closes.is_some());
            assert_eq!(closed_at(&mut run, end), expected, "{options}");
            // An event that comes meanwhile, as old as the others, is in order.
            run.take((end + 60) * SECOND, 2, (end + 60) * SECOND - age);
            assert_eq!((run.late, run.sessions.len()), (0, expected), "{options}");
        }
    }

    /// A broken clock, whose event time stands still, holds nothing open; a pause shorter than
    /// `--max-delay` makes nothing late.
    #[test]
    fn silence_is_when_event_time_stands_still() {
        let mut run = Run::new("--gap 30s");
        run.take(0, 1, 0);
        for minute in 1..12 {
            run.take(minute * 60 * SECOND, 2, -86_400 * SECOND);
        }
        assert_eq!(run.sessions, [(1, at(0), at(0))]);
        let mut paused = Run::new("--gap 30s");
        paused.take(0, 1, -86_400 * SECOND);
        paused.advance(9 * 60 * SECOND);
        paused.take(9 * 60 * SECOND, 1, -86_399 * SECOND);
        paused.take(18 * 60 * SECOND, 1, -86_398 * SECOND);
        assert_eq!((paused.late, paused.sessions.len()), (0, 0));
    }

    #[test]
    fn timing_may_change_between_runs() {
        let first = "--gap 30s --step 10s --out-of-order 0s";
        let start = || {
            let mut run = Run::new(first);
            run.take(0, 1, 0);
            run.take(SECOND, 1, SECOND);
            run
        };
        for change in ["--max-future 1s", "--max-delay never", "--idle-after 1h", "--earliest 2020-01-01T00:00:00Z"] {
            assert!(start().again(&format!("{first} {change}")).is_ok(), "{change}");
        }
        let mut longer = start().again("--step 10s --gap 30s --out-of-order 1h --max-delay never").unwrap();
        longer.take(3_000 * SECOND, 1, 3_000 * SECOND);
        longer.take(3_001 * SECOND, 1, 30 * SECOND);
        assert_eq!((longer.late, longer.sessions.len()), (0, 0), "an hour is in order now");
        let mut shorter = longer.again(first).unwrap();
        shorter.take(3_100 * SECOND, 1, 3_100 * SECOND);
        shorter.advance(3_101 * SECOND);
        assert_eq!((shorter.late, shorter.sessions.len()), (0, 2 + 3), "two gap sessions, and three windows");

        let refusal = |run: Run, change: &str| format!("{:#}", run.again(change).map(drop).unwrap_err());
        let rules = refusal(start(), "--gap 30s --floor hour");
        assert!(rules.contains("this run lacks step_10s, and the checkpoint lacks floor_hour"), "{rules}");
        assert!(start().again("--gap 30s --step 10s --allowed-lateness 0s").is_ok());
        let late = start().again("--gap 30s --step 10s --allowed-lateness 5m").unwrap();
        let late = late.again("--gap 30s --step 10s --allowed-lateness 1m").unwrap();
        let none = refusal(late, "--gap 30s --step 10s");
        assert!(none.contains("allowed_lateness cannot change from 60s to 0ns"), "{none}");
    }

    /// A lateness that is given in a later run counts from there on.
    #[test]
    fn sessions_are_corrected_for_as_long_as_the_present_run_says() {
        let timing = "--gap 5s --out-of-order 0s --max-delay never";
        let mut run = Run::new(timing);
        run.take(0, 1, 0);
        run.take(4 * SECOND, 2, 4 * SECOND);
        run.advance(5 * SECOND);
        let mut run = run.again(&format!("{timing} --allowed-lateness 1m")).unwrap();
        run.take(8 * SECOND, 2, 8 * SECOND);
        run.advance(9 * SECOND);
        assert_eq!(run.sessions.len(), 1, "user 1 has left");
        run.take(10 * SECOND, 1, SECOND);
        run.advance(11 * SECOND);
        assert_eq!((run.late, run.sessions.len(), run.sessions[1].0), (0, 2, 2), "a correction with both events");
    }

    fn line(name: &str, session: &SessionRow) -> String {
        let SessionRow { id, key, events, begin_navigation, end_navigation, begin, end, .. } = session;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let key = key.iter().map(text).collect::<Vec<_>>().join(" ");
        format!("{name} {id} {key} {events} {begin_navigation} {end_navigation} {begin} {end}")
    }

    /// `files` has a test of the same kind, in `tests/files_cli.rs`: it finds these rows, with these ids,
    /// in the same events.
    #[test]
    fn rows_and_ids_are_those_of_files() {
        let options = options("--step 30s --floor minute --gap 5s --stagger step=30s/5s");
        let (named, columns) =
            (options.strategies.named().unwrap(), session_columns(options.fields.declared().unwrap()));
        let mut pipeline = Pipeline::new(&named, &columns, options.timing).unwrap();
        let mut decoder = Decoder::new(options.fields.wanted().unwrap());
        let mut rows = Vec::new();
        let mut out = |out| match out {
            Out::Session(rule, session) => rows.push(line(&named[rule].name, &session)),
            Out::NotTaken { why, .. } => panic!("{why}"),
        };
        for text in include_str!("../../data/same_rows/events.jsonl").lines() {
            let event: Value = serde_json::from_str(text).unwrap();
            let arrival = event["arrived"].as_str().and_then(|text| TimeFormat::Iso.parse(text)).unwrap();
            decoder.decode_all(text.as_bytes(), |_, event| pipeline.take("shard", arrival, &event.unwrap(), &mut out));
        }
        pipeline.flush(&mut out);
        rows.sort_unstable();
        assert_eq!(rows, include_str!("../../data/same_rows/rows.txt").lines().collect::<Vec<_>>());
    }
}
