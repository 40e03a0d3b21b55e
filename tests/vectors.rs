//! Cases from the tests and documentation of other systems: Kinesis SQL, Flink, Beam, Kafka Streams,
//! Spark, Bytewax and others.
//!
//! Every case is played. It agrees in everything that it expects, or it is listed in
//! `vectors/differs.rs` with the rule that makes the difference; then the rest of it is checked all
//! the same. A case that neither agrees nor is listed fails the test, and so does a listed one that
//! does agree.
//!
//! The cases are not part of the repository; where they are absent the tests are ignored (`needs_shared`).

#[path = "vectors/case.rs"]
mod case;
#[path = "vectors/differs.rs"]
mod differs;
#[path = "vectors/stream.rs"]
mod stream;
#[path = "vectors/values.rs"]
mod values;

use std::path::{Path, PathBuf};

use case::{Case, Kind};
use differs::{DIFFERS, Lens, listed};
use needs_shared::{needs_shared, shared_folder};
use serde_json::Value;

/// The files, and how many cases each holds: agreeing, and listed as differing.
const FILES: [(&str, usize, usize); 11] = [
    ("01_kda_scalar.jsonl", 16, 2),
    ("02_kda_stagger.jsonl", 12, 0),
    ("03_session_flink.jsonl", 9, 2),
    ("04_session_beam.jsonl", 6, 1),
    ("05_session_kafka.jsonl", 7, 0),
    ("06_session_spark.jsonl", 4, 0),
    ("07_session_other.jsonl", 5, 2),
    ("08_tumbling_sliding.jsonl", 14, 2),
    ("09_lateness.jsonl", 4, 3),
    ("10_watermarks.jsonl", 13, 1),
    ("11_cross_dialect.jsonl", 1, 5),
];

fn vectors() -> PathBuf {
    Path::new(shared_folder!()).join("vectors")
}

/// The cases of a file, as JSON.
fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| line.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))).collect()
}

fn parse(case: &Value) -> Result<Case, String> {
    serde_json::from_value(case.clone()).map_err(|error| format!("{}: {error}", case["id"]))
}

/// Where the library and a case differ, seen through a lens.
fn differences(case: &Case, lens: Lens) -> Vec<String> {
    match (lens, case.kind) {
        (Lens::Outside, _) => Vec::new(),
        (_, Kind::Stream) => stream::check(case, lens),
        _ => values::check(case, lens),
    }
}

/// Whether a case agrees (true) or differs as listed (false); otherwise the difference.
fn verdict(case: &Case) -> Result<bool, String> {
    let plain = differences(case, Lens::Plain);
    match (plain.is_empty(), listed(&case.id)) {
        (true, None) => Ok(true),
        (true, Some(_)) => Err(format!("{} is listed as differing, but agrees", case.id)),
        (false, None) => Err(format!("{} differs:\n  {}", case.id, plain.join("\n  "))),
        (false, Some(entry)) => match &differences(case, entry.lens)[..] {
            [] => Ok(false),
            more => Err(format!("{} differs in more than is listed:\n  {}", case.id, more.join("\n  "))),
        },
    }
}

#[needs_shared]
#[test]
fn every_case_agrees_or_is_listed() {
    let vectors = vectors();
    let (mut wrong, mut ids) = (Vec::new(), Vec::new());
    for (file, agreeing, differing) in FILES {
        let verdicts: Vec<_> = read(&vectors.join(file))
            .iter()
            .map(|case| parse(case).and_then(|case| verdict(&case).inspect(|_| ids.push(case.id.clone()))))
            .collect();
        let agree = verdicts.iter().filter(|verdict| **verdict == Ok(true)).count();
        let differ = verdicts.iter().filter(|verdict| **verdict == Ok(false)).count();
        println!("{file:26} {:3} cases: {agree:2} agree, {differ} differ by rule", verdicts.len());
        if (agree, differ) != (agreeing, differing) {
            wrong.push(format!("{file}: expected {agreeing} that agree and {differing} that differ"));
        }
        wrong.extend(verdicts.into_iter().filter_map(Result::err));
    }
    for entry in DIFFERS {
        println!("differs: {}\n  rule: {}\n  checked: {}", entry.ids.join(", "), entry.rule, entry.checked);
        for id in entry.ids {
            if !ids.iter().any(|known| known == id) {
                wrong.push(format!("{id} is listed, but no such case was played"));
            }
            if DIFFERS.iter().flat_map(|entry| entry.ids).filter(|other| *other == id).count() > 1 {
                wrong.push(format!("{id} is listed twice"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[needs_shared]
#[test]
fn no_file_is_forgotten() {
    let vectors = vectors();
    let mut found: Vec<_> = std::fs::read_dir(vectors)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable entry").file_name().into_string().expect("a plain name"))
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    found.sort();
    assert_eq!(found, FILES.map(|(file, ..)| file));
}

/// The test of the runner itself: a case that expects anything else must not pass.
#[needs_shared]
#[test]
fn every_expectation_is_looked_at() {
    let vectors = vectors();
    let mut changes = 0;
    for (file, ..) in FILES {
        for case in read(&vectors.join(file)) {
            let lens = listed(case["id"].as_str().expect("an id")).map_or(Lens::Plain, |entry| entry.lens);
            if matches!(lens, Lens::Outside | Lens::TheseSessions(_) | Lens::ThisValue(..)) {
                continue; // the table says what is expected instead
            }
            for (what, other) in others(&case) {
                let passes = parse(&other).is_ok_and(|case| differences(&case, lens).is_empty());
                assert!(!passes, "{}: {what} is not looked at", case["id"]);
                changes += 1;
            }
        }
    }
    println!("{changes} expectations changed, each noticed");
}

/// The case with each expected value changed in turn, and with one result fewer.
fn others(case: &Value) -> Vec<(String, Value)> {
    let places = leaves(&case["expect"], "/expect");
    let mut others: Vec<_> = places.into_iter().map(|place| (place.clone(), changed(case, &place))).collect();
    for list in ["emissions", "final", "late"] {
        let is_complete = case["expect"][format!("{list}_complete")] != false;
        let mut fewer = case.clone();
        if let Some(results) = fewer["expect"][list].as_array_mut().filter(|_| is_complete) {
            if results.pop().is_some() {
                others.push((format!("the last of {list}"), fewer));
            }
        }
    }
    others
}

/// Paths to all values within a JSON value, but for the flags about completeness.
fn leaves(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().flat_map(|(i, item)| leaves(item, &format!("{path}/{i}"))).collect()
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| !name.ends_with("_complete"));
            fields.flat_map(|(name, field)| leaves(field, &format!("{path}/{name}"))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// The case with another value at `place`. A step is moved beyond the last: the next one may well
/// have the same value.
fn changed(case: &Value, place: &str) -> Value {
    let mut case = case.clone();
    let more = if place.ends_with("/step") { 1_000 } else { 1 };
    let leaf = case.pointer_mut(place).expect("it was found there");
    *leaf = match &*leaf {
        Value::Number(number) => number.as_i64().map_or(Value::Null, |n| n.wrapping_add(more).into()),
        Value::String(text) => format!("{text}?").into(),
        Value::Bool(flag) => (!flag).into(),
        Value::Array(_) => vec!["?"].into(),
        _ => "?".into(),
    };
    case
}
