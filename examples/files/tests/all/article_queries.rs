//! The article's two queries on generated clicks, next to a naive reading of their SQL.
//!
//! The clicks come from `generate`, the rows from `files`; the reading of the
//! SQL below shares no code with the library: plain lists, and no arithmetic but that of `i64`.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

use crate::support::{made, ok, sorted};

/// One click: times in microseconds.
struct Click {
    user: u64,
    device: String,
    event: String,
    happened: i64,
    arrived: i64,
}

fn read(line: &str) -> Click {
    let value: Value = serde_json::from_str(line).expect("JSON");
    let text = |name: &str| value[name].as_str().expect("text").to_owned();
    let time = |name: &str| {
        let parsed = NaiveDateTime::parse_from_str(&text(name), "%Y-%m-%dT%H:%M:%S%.f").expect("a time");
        parsed.and_utc().timestamp_micros()
    };
    Click {
        user: value["user_id"].as_u64().expect("a number"),
        device: text("device_id"),
        event: text("client_event"),
        happened: time("client_timestamp"),
        arrived: time("arrival_timestamp"),
    }
}

/// A row of DESTINATION_SQL_STREAM from the clicks of one window, in order of arrival. FIRST_VALUE and
/// LAST_VALUE go by arrival, or by event time where the window is one of event time.
fn row(bucket: i64, clicks: &[&Click], by_arrival: bool) -> String {
    let mut ordered = clicks.to_vec();
    if !by_arrival {
        ordered.sort_by_key(|click| click.happened);
    }
    let least = clicks.iter().map(|click| click.happened).min().expect("a click");
    let greatest = clicks.iter().map(|click| click.happened).max().expect("a click");
    // A TIMESTAMP of Kinesis SQL has milliseconds.
    let cast = |micros: i64| {
        DateTime::from_timestamp_millis(micros / 1000).expect("a date").format("%Y-%m-%d %H:%M:%S%.3f").to_string()
    };
    let substring = |text: String| text[14..].to_owned();
    let Click { user, device, .. } = clicks[0];
    format!(
        "{user}_{}{},{user},{device},{},{},{},{},{},{},{}",
        device[..3].to_uppercase(),
        bucket / 1_000_000,
        cast(bucket),
        clicks.len(),
        ordered[0].event,
        ordered[ordered.len() - 1].event,
        substring(cast(least)),
        substring(cast(greatest)),
        (greatest / 1000 - least / 1000) / 1000,
    )
}

/// STEP and FLOOR TO MINUTE are the same arithmetic here: the times are after 1970.
fn bucket_of(click: &Click, width: i64) -> i64 {
    click.happened / width * width
}

fn on_the_event_clock(clicks: &[Click], width: i64) -> Vec<String> {
    let mut groups: BTreeMap<(u64, &str, i64), Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        groups.entry((click.user, &click.device, bucket_of(click, width))).or_default().push(click);
    }
    groups.iter().map(|((.., bucket), clicks)| row(*bucket, clicks, false)).collect()
}

fn on_the_arrival_clock(clicks: &[Click], width: i64, range: i64) -> Vec<String> {
    let mut sorted: Vec<&Click> = clicks.iter().collect();
    sorted.sort_by_key(|click| click.arrived);
    let mut windows: Vec<(i64, Vec<&Click>)> = Vec::new();
    for click in sorted {
        let same = |other: &Click| {
            (other.user, &other.device, bucket_of(other, width)) == (click.user, &click.device, bucket_of(click, width))
        };
        let open = windows.iter_mut().rev().find(|(_, clicks)| same(clicks[0]));
        match open {
            Some((opened, clicks)) if click.arrived < *opened + range => clicks.push(click),
            _ => windows.push((click.arrived, vec![click])),
        }
    }
    windows.iter().map(|(_, clicks)| row(bucket_of(clicks[0], width), clicks, true)).collect()
}

#[test]
fn both_queries_give_the_rows_of_the_sql_on_both_clocks() {
    let lines = made("--users 400 --rate 3 --duration 1h --disorder 20s --stragglers 0.02 --late-by 5m");
    let generated = String::from_utf8(lines).expect("text");
    let clicks: Vec<Click> = generated.lines().map(read).collect();
    let fields = "--key user_id,device_id --time client_timestamp --value client_event --output-format kinesis-sql";
    let rows = |strategy: &str| {
        let ran = ok(&generated, &format!("{fields} {strategy}"));
        sorted(ran.out.lines().skip(1).map(str::to_owned).collect())
    };
    for (seconds, event, arrival) in [(30, "--step 30s", "step=30s"), (60, "--floor minute", "floor=minute")] {
        let width = seconds * 1_000_000;
        let expected = sorted(on_the_event_clock(&clicks, width));
        assert!(expected.len() > 1_000);
        assert_eq!(rows(event), expected);
        let stagger = format!("--stagger {arrival} --range {seconds}s --arrival arrival_timestamp");
        let on_arrival = sorted(on_the_arrival_clock(&clicks, width, width));
        assert!(on_arrival.len() > expected.len(), "some windows are opened again");
        assert_eq!(rows(&stagger), on_arrival);
    }
}
