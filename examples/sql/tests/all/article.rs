//! The article's two applications, letter for letter, next to a naive reading of their SQL.
//!
//! The clicks come from `generate`. The reading shares no code with the library or the program: plain lists, and
//! no arithmetic but that of `i64`.

use std::fs;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

use crate::support::{made, program, shared};

/// The texts of both applications, as they stand in the article.
pub(crate) fn texts() -> [String; 2] {
    let article = fs::read_to_string(shared("reference/aws-clickstream-sessions.txt")).expect("the article");
    let stream = part(&article, "-- CREATE a Stream", "Kinesis Data Analytics SQL – Using a SECOND");
    let seconds = part(&article, "-- Create the PUMP", "Kinesis Data Analytics SQL – Using a MINUTE");
    let behind = &article[article.find("Using a MINUTE").expect("the second")..];
    let minutes = part(behind, "-- Create the PUMP", "\nSessions\n");
    [format!("{stream}{seconds}"), format!("{stream}{minutes}")]
}

fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).expect("the beginning");
    &text[start..start + text[start..].find(to).expect("the end")]
}

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

/// The row of a window, whose clicks are in order of arrival. A TIMESTAMP has milliseconds.
fn row(bucket: i64, clicks: &[&Click]) -> String {
    let least = clicks.iter().map(|click| click.happened).min().expect("a click");
    let greatest = clicks.iter().map(|click| click.happened).max().expect("a click");
    let cast = |micros: i64| {
        DateTime::from_timestamp_millis(micros / 1000).expect("a date").format("%Y-%m-%d %H:%M:%S%.3f").to_string()
    };
    let Click { user, device, .. } = clicks[0];
    format!(
        "{user}_{}{},{user},{device},{},{},{},{},{},{},{}",
        device[..3].to_uppercase(),
        bucket / 1_000_000,
        cast(bucket),
        clicks.len(),
        clicks[0].event,
        clicks[clicks.len() - 1].event,
        &cast(least)[14..],
        &cast(greatest)[14..],
        (greatest / 1000 - least / 1000) / 1000,
    )
}

/// Rows in the order in which their windows close.
fn naive(clicks: &[Click], width: i64) -> Vec<String> {
    let bucket_of = |click: &Click| click.happened / width * width;
    let mut windows: Vec<(i64, Vec<&Click>)> = Vec::new();
    for click in clicks {
        let key = |other: &Click| (other.user, other.device.clone(), bucket_of(other));
        let open = windows.iter_mut().rev().find(|(_, clicks)| key(clicks[0]) == key(click));
        match open {
            Some((opened, clicks)) if click.arrived < *opened + width => clicks.push(click),
            _ => windows.push((click.arrived, vec![click])),
        }
    }
    windows.iter().map(|(_, clicks)| row(bucket_of(clicks[0]), clicks)).collect()
}

#[test]
#[cfg_attr(not(shared), ignore = "needs ../shared, or STAGGER_SHARED")]
fn both_applications_give_the_rows_of_a_naive_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let lines = made("--users 400 --rate 3 --duration 30m --disorder 20s --stragglers 0.02 --late-by 5m");
    fs::write(path("clicks.jsonl"), &lines).expect("room");
    let clicks: Vec<Click> = lines.lines().map(read).collect();
    for (text, width) in texts().iter().zip([30_000_000, 60_000_000]) {
        fs::write(path("app.sql"), text).expect("room");
        let ran = program(&[&path("app.sql"), "--input", &path("clicks.jsonl"), "--arrival", "arrival_timestamp"]);
        assert_eq!(ran.status, 0, "{}", ran.said);
        let rows: Vec<&str> = ran.out.lines().skip(1).collect();
        let expected = naive(&clicks, width);
        assert!(rows.len() > 1_000);
        assert_eq!(rows, expected);
    }
}
