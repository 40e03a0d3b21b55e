//! Every case of ../shared/vectors 01 and 02, through a statement made from the case.
//!
//! | case | AWS's pages contradict each other about | read here as |
//! |---|---|---|
//! | kda-scalar-005 | STEP by 5 days: the formula gives 24, the table 25 September | the formula, counted from 1970 |
//! | kda-scalar-017 | SUBSTRING past the end: empty, or NULL | empty, in both forms |
//! | kda-scalar-022 | the sign of TSDIFF(startTime, endTime) | first less second, as the article uses it |
//! | kda-scalar-025 | STEP before 1970: the formula cuts, the prose goes down | down |
//! | kda-stagger-005 | a record exactly as old as the window: nothing is said | it opens the next window |
//! | kda-over-001 | three records at once: the text shows the count after all of them | a row for each, one after another |

use std::fs;

use needs_shared::needs_shared;
use serde_json::Value;

use crate::golden::value;
use crate::support::{lines, run, shared};

fn cases(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(shared(&format!("vectors/{file}.jsonl"))).expect("the vectors");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// An expression, its type, and the record and schema that it reads.
fn scalar(step: &Value) -> [String; 4] {
    let millis = |field: &str| match step[field].as_i64() {
        Some(time) => format!("TO_TIMESTAMP({time})"),
        None => "CAST(NULL AS TIMESTAMP)".to_owned(),
    };
    let (unit, n) = (step["unit"].as_str().unwrap_or_default(), &step["n"]);
    let plain = |expression: String, ty: &str| [expression, ty.to_owned(), String::new(), String::new()];
    let in_millis = |time: String| plain(format!("UNIX_TIMESTAMP({time})"), "BIGINT");
    match step["fn"].as_str().expect("a function") {
        "step_int" => plain(format!("STEP({} BY {})", step["x"], step["by"]), "INTEGER"),
        "step_ts" => in_millis(format!("STEP({} BY INTERVAL '{n}' {unit})", millis("ts"))),
        "floor_ts" => in_millis(format!("FLOOR({} TO {unit})", millis("ts"))),
        "ceil_ts" => in_millis(format!("CEIL({} TO {unit})", millis("ts"))),
        "ceil_num" => plain(format!("CEIL({})", step["x"]), "INTEGER"),
        "substring" => {
            let (text, start, length) = (step["s"].as_str().expect("text"), &step["start"], &step["length"]);
            plain(format!("SUBSTRING('{text}' FROM {start} FOR {length})"), "VARCHAR(9)")
        }
        "unix_timestamp" => in_millis(millis("ts")),
        "tsdiff" => plain(format!("TSDIFF({}, {})", millis("a"), millis("b")), "BIGINT"),
        "duration_sec" => plain(format!("TSDIFF({}, {})/1000", millis("last"), millis("first")), "INTEGER"),
        "session_id" => [
            format!(
                "UPPER(cast(\"user_id\" as VARCHAR(3))|| '_' ||SUBSTRING(\"device_id\",1,3)||cast(UNIX_TIMESTAMP(STEP(\
                 \"t\" by interval '{}' second))/1000 as VARCHAR(20)))",
                step["step_ms"].as_i64().expect("a step") / 1000
            ),
            "VARCHAR(60)".to_owned(),
            format!(
                "\"user_id\": {}, \"device_id\": {}, \"t\": \"{}\"",
                step["user_id"], step["device_id"], step["ts"]
            ),
            "\"user_id\" INTEGER, \"device_id\" VARCHAR(10), \"t\" TIMESTAMP".to_owned(),
        ],
        other => panic!("a function without a statement: {other}"),
    }
}

#[needs_shared]
#[test]
fn scalar_functions() {
    let cases = cases("01_kda_scalar");
    assert_eq!(cases.len(), 18);
    for case in cases {
        for expected in case["expect"]["values"].as_array().expect("values") {
            let step = &case["steps"][expected["step"].as_u64().expect("a number") as usize];
            let [expression, ty, record, schema] = scalar(step);
            let expected = match &expected["value"] {
                Value::String(text) => text.clone(),
                Value::Null => "NULL".to_owned(),
                number => number.to_string(),
            };
            assert_eq!(value(&expression, &ty, &record, &schema), expected, "{} {expression}", case["id"]);
        }
    }
}

/// The bucket of event time, the windowing clause, and the length of the bucket.
fn grouping(config: &Value) -> (String, String, i64) {
    let seconds = |field: &Value| field.as_i64().expect("milliseconds") / 1000;
    let (bucket, length) = match &config["bucket"] {
        Value::Object(bucket) if bucket.contains_key("floor") => {
            (format!("FLOOR(\"ts\" TO {})", bucket["floor"].as_str().expect("a unit")), 60_000)
        }
        Value::Object(bucket) => {
            let step = seconds(&bucket["step_ms"]);
            (format!("STEP(\"ts\" BY INTERVAL '{step}' SECOND)"), step * 1000)
        }
        _ => {
            let step = seconds(&config["event_step_ms"]);
            (format!("STEP(\"ts\" BY INTERVAL '{step}' SECOND)"), step * 1000)
        }
    };
    let clause = match config["range_ms"].as_i64() {
        Some(range) => {
            format!("WINDOWED BY STAGGER (PARTITION BY \"key\", {bucket} RANGE INTERVAL '{}' SECOND)", range / 1000)
        }
        None => {
            format!(
                "GROUP BY \"key\", {bucket}, STEP(ROWTIME BY INTERVAL '{}' SECOND)",
                seconds(&config["rowtime_step_ms"])
            )
        }
    };
    (bucket, clause, length)
}

/// Records with their arrival in milliseconds; times are written out, because small ones look like seconds.
fn records(case: &Value) -> Vec<String> {
    let time = |millis: i64| chrono::DateTime::from_timestamp_millis(millis).expect("a date").to_rfc3339();
    let record = |step: &Value| {
        let ts = step["ts"].as_i64().expect("a time");
        let arrival = step["arrival"].as_i64().unwrap_or(ts);
        format!(
            "{{\"key\": {}, \"ts\": \"{}\", \"id\": {}, \"arrival\": \"{}\"}}",
            step["key"],
            time(ts),
            step["id"],
            time(arrival)
        )
    };
    let steps = case["steps"].as_array().expect("steps");
    steps.iter().filter(|step| step["op"] == "event").map(record).collect()
}

fn windows(case: &Value) {
    let (bucket, clause, length) = grouping(&case["config"]);
    let sql = format!(
        "CREATE STREAM d (k VARCHAR(9), at BIGINT, start BIGINT, n INTEGER, f VARCHAR(9), l VARCHAR(9), least BIGINT, most BIGINT);\n\
         CREATE PUMP p AS INSERT INTO d SELECT STREAM \"key\", UNIX_TIMESTAMP(ROWTIME), UNIX_TIMESTAMP({bucket}), COUNT(*),\n\
         FIRST_VALUE(\"id\"), LAST_VALUE(\"id\"), UNIX_TIMESTAMP(MIN(\"ts\")), UNIX_TIMESTAMP(MAX(\"ts\"))\n\
         FROM s {clause};"
    );
    let emissions = case["expect"]["emissions"].as_array().expect("emissions");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let row = |emission: &Value| {
        let ids = emission["ids"].as_array().expect("ids");
        assert_eq!(emission["end"].as_i64(), emission["start"].as_i64().map(|start| start + length));
        format!(
            "{},{},{},{},{},{},{},{}",
            text(&emission["key"]),
            emission["emitted_at"],
            emission["start"],
            emission["count"],
            text(&ids[0]),
            text(&ids[ids.len() - 1]),
            emission["first_ts"],
            emission["last_ts"]
        )
    };
    let expected: Vec<String> = emissions.iter().map(row).collect();
    assert_eq!(lines(&run(&sql, None, &records(case))), expected, "{}", case["id"]);
}

fn over(case: &Value) {
    let range = case["config"]["range_ms"].as_i64().expect("a range") / 1000;
    let sql = format!(
        "CREATE STREAM d (n BIGINT);\nCREATE PUMP p AS INSERT INTO d SELECT STREAM COUNT(*) OVER w FROM s\n\
         WINDOW w AS (PARTITION BY \"key\" RANGE INTERVAL '{range}' SECOND PRECEDING);"
    );
    let rows = lines(&run(&sql, None, &records(case)));
    for expected in case["expect"]["values"].as_array().expect("values") {
        let step = expected["step"].as_u64().expect("a number") as usize;
        assert_eq!(rows[step], expected["value"].to_string(), "{} {step}", case["id"]);
    }
}

#[needs_shared]
#[test]
fn windows_of_the_service() {
    let cases = cases("02_kda_stagger");
    assert_eq!(cases.len(), 12);
    for case in cases {
        if case["config"]["strategy"] == "over_range" { over(&case) } else { windows(&case) }
    }
}
