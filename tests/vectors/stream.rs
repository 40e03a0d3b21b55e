//! Cases of events in, results out: played through a sessionizer step by step.

use std::time::Duration;

use serde_json::{Value, json};
use stagger::{
    Bucket, Config, Event, EventRef, Gap, Pushed, SessionId, Sessionizer,
    aggregate::{List, Max, Min},
};
use stagger::{SessionSummary, Sliding, Stagger, Timestamp, Unit, aggregate::Sum};

use crate::case::{Align, Bucketing, Case, Expected, Input, Lateness, Step, Strategy, Trigger, Watermark};
use crate::differs::Lens;

/// The key, and the event's bucket where a case groups by both.
type Key = (Option<String>, Option<i64>);

/// Place among the events, `ts`, value, gap in microseconds.
type Payload = (u64, i64, i64, u64);

/// Places, least and greatest `ts`, sum of the values.
type Extra = (Vec<u64>, i64, i64, i128);

type Subject = Box<dyn Sessionizer<Key = Key, Value = Payload, Output = Extra>>;
type Summary = SessionSummary<Key, Payload, Extra>;

/// Units of time: milliseconds in the files, microseconds in the library. A case beyond the range
/// of microseconds is read as if it were written in them.
#[derive(Clone, Copy)]
pub(crate) struct Scale(i64);

impl Scale {
    pub(crate) const MILLIS: Self = Self(1_000);

    pub(crate) fn of(case: &Case) -> Self {
        let is_beyond = |ts: i64| ts.checked_mul(1_000).is_none();
        let beyond = case.steps.iter().any(|step| match step {
            Step::Event(event) => is_beyond(event.ts),
            Step::Watermark { ts } => is_beyond(*ts),
            _ => false,
        });
        Self(if beyond { 1 } else { 1_000 })
    }

    pub(crate) fn instant(self, ts: i64) -> Timestamp {
        Timestamp::from_micros(ts.checked_mul(self.0).expect("the scale fits the case"))
    }

    pub(crate) fn units(self, instant: Timestamp) -> i64 {
        let micros = instant.as_micros();
        assert_eq!(micros % self.0, 0, "{instant} is between two units");
        micros / self.0
    }

    pub(crate) fn length(self, units: i64) -> Result<Duration, String> {
        let micros = units.checked_mul(self.0).and_then(|micros| u64::try_from(micros).ok());
        micros.map(Duration::from_micros).ok_or_else(|| format!("{units} is no length of time"))
    }
}

/// One summary, in the terms of the case.
struct Seen {
    step: usize,
    key: Option<String>,
    start: i64,
    end: i64,
    /// Sorted: in which order ids are listed has no meaning.
    ids: Vec<String>,
    count: u64,
    first_ts: i64,
    last_ts: i64,
    sum: i64,
    opened_at: i64,
    emitted_at: i64,
    report: (SessionId, u32),
    replaces: Vec<(SessionId, u32)>,
}

impl Seen {
    fn agrees(&self, expected: &Expected) -> bool {
        fn same<T: PartialEq>(expected: &Option<T>, seen: &T) -> bool {
            expected.as_ref().is_none_or(|expected| expected == seen)
        }
        let ids = expected.ids.as_deref().map(sorted);
        expected.key == self.key
            && (expected.start, expected.end) == (self.start, self.end)
            && same(&expected.step, &self.step)
            && same(&ids, &self.ids)
            && same(&expected.count, &self.count)
            && same(&expected.first_ts, &self.first_ts)
            && same(&expected.last_ts, &self.last_ts)
            && same(&expected.sum, &self.sum)
            && same(&expected.opened_at, &self.opened_at)
            && same(&expected.emitted_at, &self.emitted_at)
    }

    fn describe(&self) -> String {
        let Self { step, key, start, end, ids, .. } = self;
        format!("at step {step} of {key:?} [{start}, {end}) {ids:?}")
    }
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

/// Where the library and a case differ; empty if nowhere.
pub(crate) fn check(case: &Case, lens: Lens) -> Vec<String> {
    let played = match Play::of(case, lens) {
        Ok(played) => played,
        Err(why) => return vec![why],
    };
    let mut differences = played.compare(case, lens);
    if lens == Lens::WithoutLateEvents {
        match Play::of(case, Lens::Plain) {
            Ok(whole) => differences.extend(whole.late.iter().map(|id| format!("{id} is late here too"))),
            Err(why) => differences.push(why),
        }
    }
    differences
}

/// The count of the window that ends with each event, from the sliding windows of that size at
/// every millisecond: `(t - range, t]` is `[t - range + 1, t + 1)`.
pub(crate) fn counts_over_range(case: &Case) -> Vec<Result<Value, String>> {
    let played = match Play::of(case, Lens::Plain) {
        Ok(played) => played,
        Err(why) => return vec![Err(why)],
    };
    let count = |step: &Step| match step {
        Step::Event(event) => {
            let window = played.rest.iter().find(|seen| seen.key == event.key && seen.end == event.ts + 1);
            window.map(|seen| json!(seen.count)).ok_or_else(|| "no such window".to_owned())
        }
        _ => Err("not an event".to_owned()),
    };
    case.steps.iter().map(count).collect()
}

/// A case being played.
struct Play<'c> {
    case: &'c Case,
    lens: Lens,
    scale: Scale,
    inputs: Vec<&'c Input>,
    subject: Subject,
    greatest: i64,
    seen: Vec<Seen>,
    /// The sessions still open after the last step.
    rest: Vec<Seen>,
    late: Vec<String>,
    refused: Vec<String>,
}

impl<'c> Play<'c> {
    fn of(case: &'c Case, lens: Lens) -> Result<Self, String> {
        let mut play = Self {
            case,
            lens,
            scale: Scale::of(case),
            inputs: Vec::new(),
            subject: subject(case)?,
            greatest: i64::MIN,
            seen: Vec::new(),
            rest: Vec::new(),
            late: Vec::new(),
            refused: Vec::new(),
        };
        if let Some(Watermark::BatchBounded { .. }) = case.config.watermark {
            play.subject.advance_to(Timestamp::EPOCH, &mut |_| {}); // where Spark's begins
        }
        for (number, step) in case.steps.iter().enumerate() {
            play.step(number, step)?;
        }
        let mut rest = Vec::new();
        play.subject.flush(&mut |summary| rest.push(summary));
        play.rest = rest.iter().map(|summary| play.see(case.steps.len(), summary)).collect();
        assert!(play.subject.counters().is_conserved(), "{}: {:?}", case.id, play.subject.counters());
        assert_eq!(play.subject.open_sessions(), 0, "{}", case.id);
        if !matches!(case.config.strategy, Strategy::Sliding | Strategy::OverRange) {
            play.assert_each_event_once();
        }
        Ok(play)
    }

    /// Each event is in one session in the end, or late: revisions name all that they replace.
    fn assert_each_event_once(&self) {
        let placed = self.at_last().into_iter().flat_map(|seen| &seen.ids);
        let found: Vec<_> = placed.chain(&self.late).cloned().collect();
        let pushed: Vec<_> = self.inputs.iter().map(|input| input.id.clone()).collect();
        assert_eq!(sorted(&found), sorted(&pushed), "{}", self.case.id);
    }

    fn step(&mut self, number: usize, step: &'c Step) -> Result<(), String> {
        let mut out = Vec::new();
        let take = &mut |summary| out.push(summary);
        match step {
            Step::Event(input) => self.push(input, take),
            Step::Watermark { ts } => self.subject.advance_to(self.watermark(*ts), take),
            Step::Clock { ts } => self.subject.advance_to(self.scale.instant(*ts), take),
            Step::BatchEnd {} => match self.case.config.watermark {
                Some(Watermark::BatchBounded { bound_ms }) => {
                    self.subject.advance_to(self.watermark(self.greatest - bound_ms), take);
                }
                _ => return Err("a batch ends without a rule for its watermark".to_owned()),
            },
            Step::Flush {} => self.subject.flush(take),
            _ => return Err("no step of a stream".to_owned()),
        }
        let seen = out.iter().map(|summary| self.see(number, summary)).collect::<Vec<_>>();
        self.seen.extend(seen);
        Ok(())
    }

    /// A watermark of the dialect as it is here, where it means "no event before".
    fn watermark(&self, ts: i64) -> Timestamp {
        let complete = self.scale.instant(self.case.dialect.first_open_instant(ts));
        let nudge = u64::from(self.lens == Lens::OneMicrosecondLater);
        complete + Duration::from_micros(nudge)
    }

    fn push(&mut self, input: &'c Input, take: &mut dyn FnMut(Summary)) {
        if self.lens == Lens::WithoutLateEvents && self.case.expect.late.iter().flatten().any(|id| *id == input.id) {
            return;
        }
        let config = &self.case.config;
        let event_time = self.event_time(input);
        let bucket = config.event_step_ms.map(|step| input.ts.div_euclid(step) * step);
        let gap = input.gap.or(config.gap_ms).map_or(0, |gap| (gap * self.scale.0).unsigned_abs());
        let payload = (self.inputs.len() as u64, input.ts, input.value.unwrap_or(0), gap);
        let event = Event::new((input.key.as_deref(), bucket), event_time, payload)
            .arriving_at(input.arrival.map_or(event_time, |arrival| self.scale.instant(arrival)));
        self.inputs.push(input);
        self.greatest = self.greatest.max(input.ts);
        match self.subject.push(event, take) {
            Pushed::Late(_) => self.late.push(input.id.clone()),
            Pushed::Refused(_, why) => self.refused.push(format!("{}: {why}", input.id)),
            Pushed::Opened | Pushed::Extended | Pushed::Merged | Pushed::Held => {}
        }
    }

    /// The time that counts: ROWTIME where windows are cut from it.
    fn event_time(&self, input: &Input) -> Timestamp {
        match (self.case.config.strategy, input.arrival) {
            (Strategy::KdaTumbling, Some(arrival)) => self.scale.instant(arrival),
            _ => self.placed(input.ts),
        }
    }

    fn placed(&self, ts: i64) -> Timestamp {
        let rounded = if self.lens == Lens::WholeSeconds { ts.div_euclid(1_000) * 1_000 } else { ts };
        self.scale.instant(rounded)
    }

    fn see(&self, step: usize, summary: &Summary) -> Seen {
        let (places, first_ts, last_ts, sum) = summary.aggregate.clone();
        if self.case.config.strategy != Strategy::KdaTumbling {
            let times = (self.placed(first_ts), self.placed(last_ts));
            assert_eq!((summary.first_time, summary.last_time), times, "{}", self.case.id);
        }
        assert_eq!(summary.count, places.len() as u64, "{}", self.case.id);
        let ids = places.iter().map(|place| self.inputs[*place as usize].id.clone()).collect::<Vec<_>>();
        let (start, end) = self.bounds(summary);
        Seen {
            step,
            key: summary.key.0.clone(),
            start,
            end,
            ids: sorted(&ids),
            count: summary.count,
            first_ts,
            last_ts,
            sum: sum.try_into().expect("small values"),
            opened_at: self.scale.units(summary.window.start),
            emitted_at: self.scale.units(summary.window.end),
            report: (summary.id(), summary.revision()),
            replaces: summary.supersedes().iter().map(|earlier| (earlier.id, earlier.revision)).collect(),
        }
    }

    /// The bounds as the dialect reports them.
    fn bounds(&self, summary: &Summary) -> (i64, i64) {
        let config = &self.case.config;
        let window = match (&config.bucket, summary.bucket) {
            (Some(by), Some(start)) => {
                bucket(by).and_then(|by| by.window_of(start).map_err(|e| e.to_string())).expect("it was built with it")
            }
            _ => summary.window,
        };
        if let (Some(start), Some(step)) = (summary.key.1, config.event_step_ms) {
            return (start, start + step);
        }
        if config.strategy == Strategy::Session && self.case.dialect.ends_at_last_event() {
            return (summary.aggregate.1, summary.aggregate.2);
        }
        (self.scale.units(window.start), self.scale.units(window.end))
    }

    /// The sessions as they stand in the end: no summary that a later one replaces.
    fn at_last(&self) -> Vec<&Seen> {
        let all = || self.seen.iter().chain(&self.rest);
        let replaced: Vec<_> = all().flat_map(|seen| &seen.replaces).collect();
        all().filter(|seen| !replaced.contains(&&seen.report)).collect()
    }

    /// The news of each summary, beyond those before it.
    fn only_added(&mut self) {
        let mut told: Vec<String> = Vec::new();
        for seen in &mut self.seen {
            seen.ids.retain(|id| !told.contains(id));
            told.extend(seen.ids.iter().cloned());
            let added = || self.inputs.iter().filter(|input| seen.ids.contains(&input.id));
            seen.count = added().count() as u64;
            seen.first_ts = added().map(|input| input.ts).min().expect("a revision adds something");
            seen.last_ts = added().map(|input| input.ts).max().expect("a revision adds something");
            seen.sum = added().filter_map(|input| input.value).sum();
        }
    }

    fn compare(mut self, case: &Case, lens: Lens) -> Vec<String> {
        match lens {
            Lens::AddedByRevision => self.only_added(),
            Lens::WindowsFrom(first) => {
                self.seen.retain(|seen| seen.start >= first);
                self.rest.retain(|seen| seen.start >= first);
            }
            Lens::TheseSessions(sessions) => return self.compare_ids(sessions),
            _ => {}
        }
        let expect = &case.expect;
        let mut differences: Vec<_> = self.refused.iter().map(|what| format!("refused {what}")).collect();
        if case.config.trigger == Some(Trigger::Update) && expect.emissions.is_some() {
            differences.push("a result after every event".to_owned());
        }
        if let Some(emissions) = &expect.emissions {
            let seen: Vec<_> = self.seen.iter().collect();
            differences.extend(compare(emissions, &seen, expect.emissions_complete));
        }
        if let Some(sessions) = &expect.at_last {
            differences.extend(compare(sessions, &self.at_last(), expect.at_last_complete));
        }
        if let Some(late) = expect.late.as_ref().filter(|_| lens != Lens::WithoutLateEvents) {
            let same =
                if expect.late_complete { *late == self.late } else { late.iter().all(|id| self.late.contains(id)) };
            if !same {
                differences.push(format!("late are {:?}, not {late:?}", self.late));
            }
        }
        if expect.emissions.is_none() && expect.at_last.is_none() && expect.late.is_none() {
            differences.push("nothing is expected".to_owned());
        }
        differences
    }

    fn compare_ids(&self, sessions: &[&[&str]]) -> Vec<String> {
        let found: Vec<_> = self.at_last().iter().map(|seen| seen.ids.clone()).collect();
        if found == sessions { Vec::new() } else { vec![format!("the sessions are {found:?}")] }
    }
}

/// Finds each expected result once.
fn compare(expected: &[Expected], seen: &[&Seen], complete: bool) -> Vec<String> {
    let mut rest = seen.to_vec();
    let mut differences = Vec::new();
    for expected in expected {
        match rest.iter().position(|seen| seen.agrees(expected)) {
            Some(place) => drop(rest.remove(place)),
            None => differences.push(format!("missing {expected:?}")),
        }
    }
    if complete {
        differences.extend(rest.iter().map(|seen| format!("unexpected {}", seen.describe())));
    }
    differences
}

/// The sessionizer that a case asks for.
fn subject(case: &Case) -> Result<Subject, String> {
    let (config, scale) = (&case.config, Scale::of(case));
    let extra = (
        List::of(|event: &EventRef<'_, Key, Payload>| event.value.0),
        Min::of(|event: &EventRef<'_, Key, Payload>| event.value.1),
        Max::of(|event: &EventRef<'_, Key, Payload>| event.value.1),
        Sum::of(|event: &EventRef<'_, Key, Payload>| event.value.2),
    );
    let mut rules = Config::<Key, Payload>::new(strategy(case, scale)?).aggregate(extra);
    if config.gap.is_some() {
        rules = rules.gap_per_event("as the event says", |event| Some(Duration::from_micros(event.value.3)));
    }
    if let Some(lateness) = config.allowed_lateness_ms {
        rules = rules.allowed_lateness(match lateness {
            Lateness::Millis(lateness) => scale.length(lateness)?,
            Lateness::Unlimited(_) => Duration::from_micros(i64::MAX as u64 - 1),
        });
    }
    if let Some(bound) = derived_bound(case)? {
        rules = rules.out_of_order(scale.length(bound)?);
    }
    Ok(Box::new(rules.build().map_err(|error| error.to_string())?))
}

fn strategy(case: &Case, scale: Scale) -> Result<stagger::Strategy, String> {
    let config = &case.config;
    let length = |units: Option<i64>| scale.length(units.ok_or("a length is missing")?);
    Ok(match config.strategy {
        Strategy::Session => {
            let default = if config.gap.is_some() { Some(1) } else { config.gap_ms };
            let gap = Gap::new(length(default)?);
            let gap = if case.dialect.is_inclusive() { gap.inclusive() } else { gap };
            match config.max_duration_ms {
                Some(most) => gap.max_duration(scale.length(most)?).into(),
                None => gap.into(),
            }
        }
        Strategy::Tumbling | Strategy::Sliding => windows(case)?.into(),
        Strategy::Stagger => {
            let by = bucket(config.bucket.as_ref().ok_or("a bucket is missing")?)?;
            Stagger::on_arrival(by, length(config.range_ms)?).into()
        }
        Strategy::KdaTumbling => Sliding::tumbling(length(config.rowtime_step_ms)?).into(),
        Strategy::OverRange => Sliding::new(length(config.range_ms)?, scale.length(1)?).into(),
        _ => return Err("not a stream of events".to_owned()),
    })
}

/// The sliding or tumbling windows of a case. The grid begins where the case says, which may be at
/// its first event.
pub(crate) fn windows(case: &Case) -> Result<Sliding, String> {
    let (config, scale) = (&case.config, Scale::of(case));
    let size = config.size_ms.ok_or("a size is missing")?;
    let first_event =
        || case.steps.iter().find_map(|step| if let Step::Event(event) = step { Some(event.ts) } else { None });
    let origin = match config.align {
        Some(Align::FirstEvent) => first_event(),
        None => config.offset_ms,
    };
    let windows = Sliding::new(scale.length(size)?, scale.length(config.slide_ms.unwrap_or(size))?);
    Ok(windows.origin(scale.instant(origin.unwrap_or(0))))
}

fn bucket(by: &Bucketing) -> Result<Bucket, String> {
    match (by.floor.as_deref(), by.step_ms) {
        (Some(name), None) => Ok(Bucket::floor(unit(name)?)),
        (None, Some(step)) => Ok(Bucket::step(Scale::MILLIS.length(step)?)),
        _ => Err("neither FLOOR nor STEP".to_owned()),
    }
}

/// The calendar unit of an SQL name.
pub(crate) fn unit(name: &str) -> Result<Unit, String> {
    match name {
        "SECOND" => Ok(Unit::Second),
        "MINUTE" => Ok(Unit::Minute),
        "HOUR" => Ok(Unit::Hour),
        "DAY" => Ok(Unit::Day),
        "YEAR" => Ok(Unit::Year),
        _ => Err(format!("no unit {name}")),
    }
}

/// How far the watermark that is derived from the events stays behind, if it is.
///
/// Kafka's stream time less the grace, which nothing older may enter, is a bound on disorder.
fn derived_bound(case: &Case) -> Result<Option<i64>, String> {
    match case.config.watermark {
        _ if case.config.strategy == Strategy::KdaTumbling => Ok(Some(0)),
        Some(Watermark::StreamTime) => Ok(Some(case.config.grace_ms.unwrap_or(0))),
        Some(Watermark::Bounded { bound_ms, minus_one }) if minus_one == case.dialect.is_watermark_inclusive() => {
            Ok(Some(bound_ms))
        }
        Some(Watermark::Bounded { .. }) => Err("a watermark between two instants".to_owned()),
        Some(Watermark::BatchBounded { .. } | Watermark::None) | None => Ok(None),
    }
}
