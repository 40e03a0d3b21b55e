//! Cases that ask for one value at each step: arithmetic, windows of an instant, watermarks.

use std::time::Duration;

use serde_json::{Value, json};
use stagger::{
    Bucket, Config, Event, Gap, Sliding, SourceId, Timestamp, Unit, WatermarkMerger, Window, kinesis_sql_id,
};

use crate::case::{Call, Case, ExpectedValue, Generator, Kind, Step};
use crate::differs::Lens;
use crate::stream::{self, Scale, unit};

/// The value of a step, or why the library has no answer.
type Answer = Result<Value, String>;

/// Where the library and a case differ; empty if nowhere.
pub(crate) fn check(case: &Case, lens: Lens) -> Vec<String> {
    let answers = answers(case);
    if case.expect.values.is_empty() {
        return vec!["nothing is expected".to_owned()];
    }
    let compare = |expected: &ExpectedValue| {
        let wanted = match lens {
            Lens::ThisValue(step, value) if step == expected.step => value.parse().expect("valid JSON"),
            _ => expected.value.clone(),
        };
        let answer = match answers.get(expected.step).unwrap_or(&Err("there is no such step".to_owned())) {
            Ok(answer) => match lens {
                Lens::WindowsFrom(first) => windows_from(first, answer),
                _ => answer.clone(),
            },
            Err(why) => return Some(format!("step {}: {why}", expected.step)),
        };
        (answer != wanted).then(|| format!("step {}: {answer}, not {wanted}", expected.step))
    };
    case.expect.values.iter().filter_map(compare).collect()
}

/// The windows that do not start before `first`.
fn windows_from(first: i64, windows: &Value) -> Value {
    let is_later = |window: &&Value| window[0].as_i64().is_some_and(|start| start >= first);
    windows.as_array().into_iter().flatten().filter(is_later).cloned().collect()
}

/// One answer per step.
fn answers(case: &Case) -> Vec<Answer> {
    let each = |answer: fn(&Case, &Step) -> Answer| case.steps.iter().map(|step| answer(case, step)).collect();
    match case.kind {
        Kind::Call => each(|_, step| match step {
            Step::Call(function) => call(function),
            _ => Err(unknown()),
        }),
        Kind::Assign => each(assign),
        Kind::Overlap => each(overlap),
        Kind::InvalidConfig => each(configure),
        Kind::IntervalSet => add_windows(case),
        Kind::OverRange => stream::counts_over_range(case),
        Kind::Watermark => watermarks(case),
        Kind::Combine => combine(case),
        Kind::Stream => case.steps.iter().map(|_| Err(unknown())).collect(),
    }
}

fn unknown() -> String {
    "the step does not fit the kind of the case".to_owned()
}

fn millis(ts: i64) -> Timestamp {
    Timestamp::from_millis(ts)
}

fn in_millis(instant: Timestamp) -> i64 {
    Scale::MILLIS.units(instant)
}

// --- Arithmetic ---

fn call(function: &Call) -> Answer {
    Ok(match function {
        Call::StepInt { x, by } => {
            let by = Duration::from_micros(by.unsigned_abs());
            json!(window(&Bucket::step(by), Timestamp::from_micros(*x))?.start.as_micros())
        }
        Call::StepTs { ts, n, unit } => json!(in_millis(window(&step_by(*n, unit)?, present(*ts)?)?.start)),
        Call::FloorTs { ts, unit: name } => json!(in_millis(window(&Bucket::floor(unit(name)?), present(*ts)?)?.start)),
        Call::CeilTs { ts, unit: name } => json!(in_millis(ceil(&Bucket::floor(unit(name)?), present(*ts)?)?)),
        Call::CeilNum { x } => {
            // The number, taken as seconds.
            let instant = Timestamp::from_micros((x * 1e6).round() as i64);
            json!(ceil(&Bucket::floor(Unit::Second), instant)?.as_micros() / 1_000_000)
        }
        Call::Substring { s, start, length, form } => {
            return Err(format!("no SUBSTRING of {s:?} ({form}: {start}, {length})"));
        }
        Call::UnixTimestamp { ts } => json!(millis(*ts).as_micros() / 1_000),
        Call::Tsdiff { a, b } => json!(session_of(*b, *a).as_millis() as u64),
        Call::DurationSec { first, last } => json!(session_of(*first, *last).as_secs()),
        Call::SessionId { user_id, device_id, ts, step_ms } => {
            let bucket = window(&Bucket::step(Scale::MILLIS.length(*step_ms)?), millis(*ts))?.start;
            json!(kinesis_sql_id(user_id, device_id, bucket))
        }
    })
}

fn present(ts: Option<i64>) -> Result<Timestamp, String> {
    ts.map(millis).ok_or_else(|| "no instant is NULL".to_owned())
}

fn window(bucket: &Bucket, instant: Timestamp) -> Result<Window, String> {
    bucket.window_of(instant).map_err(|error| error.to_string())
}

fn step_by(n: u64, unit: &str) -> Result<Bucket, String> {
    let seconds = match unit {
        "SECOND" => 1,
        "MINUTE" => 60,
        "HOUR" => 3_600,
        "DAY" => 86_400,
        _ => return Err(format!("no step by {unit}")),
    };
    Ok(Bucket::step(Duration::from_secs(n * seconds)))
}

/// The bucket's start if the instant is there, and the next one's if not.
fn ceil(bucket: &Bucket, instant: Timestamp) -> Result<Timestamp, String> {
    let window = window(bucket, instant)?;
    Ok(if window.start == instant { instant } else { window.end })
}

/// The duration of the session of two events.
fn session_of(first: i64, last: i64) -> Duration {
    let day = Gap::new(Duration::from_secs(86_400));
    let mut sessions = Config::<u8, ()>::new(day).build().expect("a day is a gap");
    let mut durations = Vec::new();
    for ts in [first, last] {
        let _ = sessions.push(Event::new(1, millis(ts), ()), &mut |_| {});
    }
    sessions.flush(&mut |session| durations.push(session.duration()));
    assert_eq!(durations.len(), 1, "they are less than a day apart");
    durations[0]
}

// --- Windows ---

fn assign(case: &Case, step: &Step) -> Answer {
    let Step::Assign { ts } = step else { return Err(unknown()) };
    let windows = stream::windows(case)?.windows_of(millis(*ts)).map_err(|error| error.to_string())?;
    Ok(windows.map(|window| json!([in_millis(window.start), in_millis(window.end)])).collect())
}

/// Whether two windows meet in the dialect: if the gap sessions they stand for are one.
fn overlap(case: &Case, step: &Step) -> Answer {
    let Step::Overlap { a, b } = step else { return Err(unknown()) };
    let sessions = sessions_from(&[*a, *b], case.dialect.is_inclusive());
    let edge = Duration::from_micros(u64::from(case.dialect.is_inclusive()));
    let window = |(start, end): (i64, i64)| Window::new(millis(start), millis(end) + edge);
    let joined = sessions.len() == 1;
    for (one, other) in [(window(*a), window(*b)), (window(*b), window(*a))] {
        assert_eq!(one.overlaps(&other), joined, "{one} and {other}");
    }
    Ok(json!(joined))
}

/// The window that each one added ends up in.
fn add_windows(case: &Case) -> Vec<Answer> {
    let mut added = Vec::new();
    let add = |step: &Step| {
        let Step::AddWindow { start, end } = step else { return Err(unknown()) };
        added.push((*start, *end));
        let sessions = sessions_from(&added, case.dialect.is_inclusive());
        let holding = sessions.iter().find(|(first, last)| first <= start && end <= last);
        holding.map(|session| json!(session)).ok_or_else(|| "it is in no session".to_owned())
    };
    case.steps.iter().map(add).collect()
}

/// The gap sessions of events that each reach from one time to another.
fn sessions_from(reaches: &[(i64, i64)], inclusive: bool) -> Vec<(i64, i64)> {
    let gap = Gap::new(Duration::from_secs(1));
    let mut sessions = Config::<u8, u64>::new(if inclusive { gap.inclusive() } else { gap })
        .gap_per_event("the value, in milliseconds", |event| Some(Duration::from_millis(event.value)))
        .build()
        .expect("a valid gap");
    for (start, end) in reaches {
        let _ = sessions.push(Event::new(1, millis(*start), start.abs_diff(*end)), &mut |_| {});
    }
    let mut found = Vec::new();
    sessions.flush(&mut |session| found.push((in_millis(session.window.start), in_millis(session.window.end))));
    found
}

/// Whether a configuration is accepted. That a `Duration` cannot be negative is a refusal too.
fn configure(case: &Case, step: &Step) -> Answer {
    let Step::Config { gap_ms, grace_ms } = step else { return Err(unknown()) };
    let scale = Scale::of(case);
    let build =
        |gap, grace| Config::<u8, ()>::new(Gap::new(gap)).out_of_order(grace).build().map_err(|e| e.to_string());
    let built = scale.length(*gap_ms).and_then(|gap| build(gap, scale.length(grace_ms.unwrap_or(0))?));
    Ok(json!(if built.is_ok() { "ok" } else { "error" }))
}

// --- Watermarks ---

/// The watermark after each step, or whether the source is idle.
fn watermarks(case: &Case) -> Vec<Answer> {
    let config = &case.config;
    if config.generator == Some(Generator::IdleTimer) {
        return idleness(case);
    }
    let waiting = config.bound_ms.or(config.wait_ms).unwrap_or(0);
    let bound = Scale::MILLIS.length(waiting).expect("a positive bound");
    let in_batches = config.generator == Some(Generator::BatchBounded);
    let rules = Config::<(), ()>::new(Sliding::tumbling(Duration::from_secs(1)));
    let rules = if in_batches { rules } else { rules.out_of_order(bound) };
    let mut subject = rules.build().expect("valid rules");
    if in_batches {
        subject.advance_to(Timestamp::EPOCH, &mut |_| {}); // where Spark's begins
    }
    let (mut clock, mut greatest) = (None, Timestamp::MIN);
    let mut answer = |step: &Step| {
        match step {
            Step::Event(event) => {
                greatest = greatest.max(millis(event.ts));
                let _ = subject.push(Event::new((), millis(event.ts), ()), &mut |_| {});
            }
            Step::BatchEnd {} if in_batches => subject.advance_to(greatest - bound, &mut |_| {}),
            Step::Clock { ts } if config.generator == Some(Generator::EventClockWithSystemTime) => {
                // The library reads no clock: its caller lets the watermark go on with the time.
                let passed = millis(*ts).since(clock.map_or(millis(*ts), millis));
                clock = Some(*ts);
                subject.advance_to(subject.now() + passed, &mut |_| {});
            }
            Step::Probe {} => {}
            _ => return Err(unknown()),
        }
        let now = subject.now();
        Ok(match now == Timestamp::MIN {
            true => json!(i64::MIN),
            false => json!(in_millis(now) - i64::from(config.minus_one == Some(true))),
        })
    };
    case.steps.iter().map(&mut answer).collect()
}

fn idleness(case: &Case) -> Vec<Answer> {
    let timeout = Scale::MILLIS.length(case.config.timeout_ms.unwrap_or(0)).expect("a positive timeout");
    let mut sources = WatermarkMerger::new(Duration::ZERO);
    sources.add();
    let mut now = Timestamp::MIN;
    let mut answer = |step: &Step| {
        match step {
            Step::Clock { ts } => now = millis(*ts),
            Step::CheckIdle {} => sources.check_idle(now, timeout),
            _ => return Err(unknown()),
        }
        Ok(json!(sources.all_idle()))
    };
    case.steps.iter().map(&mut answer).collect()
}

/// The outcome of several sources at each step: the watermark if it moved, and whether all fell
/// idle or one came back. For a probe: how things stand.
fn combine(case: &Case) -> Vec<Answer> {
    let mut sources = WatermarkMerger::new(Duration::ZERO);
    let ids: Vec<_> = (0..case.config.sources.unwrap_or(0)).map(|_| sources.add()).collect();
    let mut answer = |step: &Step| {
        let before = (sources.watermark(), sources.all_idle());
        take(&mut sources, &ids, step)?;
        let after = (sources.watermark(), sources.all_idle());
        if let Step::Probe {} = step {
            let watermark = (after.0 != Timestamp::MIN).then(|| in_millis(after.0));
            return Ok(json!([watermark, after.1]));
        }
        let moved = (after.0 != before.0).then(|| json!(in_millis(after.0)));
        let turned = (after.1 != before.1).then(|| json!(if after.1 { "IDLE" } else { "ACTIVE" }));
        Ok([moved, turned].into_iter().flatten().collect())
    };
    case.steps.iter().map(&mut answer).collect()
}

fn take(sources: &mut WatermarkMerger, ids: &[SourceId], step: &Step) -> Result<(), String> {
    let now = Timestamp::EPOCH; // idleness is declared in these cases
    let id = |source: &usize| ids.get(*source).copied().ok_or("no such source");
    match step {
        Step::SourceWatermark { source, ts } => sources.report(id(source)?, millis(*ts), now),
        Step::SourceIdle { source } => sources.set_idle(id(source)?),
        Step::SourceActive { source } => sources.set_active(id(source)?, now),
        Step::SourceRemove { source } => sources.remove(id(source)?),
        Step::Probe {} => {}
        _ => return Err(unknown()),
    }
    Ok(())
}
