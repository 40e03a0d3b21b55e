//! The two applications of AWS's article, and a naive reading of them, for tests of several programs.
//!
//! The reading shares no code with the library: plain lists, and no arithmetic but that of `i64`. Its clicks are those
//! that `generate` writes.

use std::fs;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

/// The texts of both applications as they stand in the article, with the length of their windows in microseconds.
/// Only a test with `#[needs_shared]` may ask for them.
pub fn applications() -> [(String, i64); 2] {
    let path = Path::new(needs_shared::shared_folder!()).join("reference/aws-clickstream-sessions.txt");
    let article = fs::read_to_string(path).expect("the article");
    let stream = part(&article, "-- CREATE a Stream", "Kinesis Data Analytics SQL – Using a SECOND");
    let seconds = part(&article, "-- Create the PUMP", "Kinesis Data Analytics SQL – Using a MINUTE");
    let behind = &article[article.find("Using a MINUTE").expect("the second")..];
    let minutes = part(behind, "-- Create the PUMP", "\nSessions\n");
    [(format!("{stream}{seconds}"), 30_000_000), (format!("{stream}{minutes}"), 60_000_000)]
}

fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).expect("the beginning");
    &text[start..start + text[start..].find(to).expect("the end")]
}

/// One click: times in microseconds since 1970.
#[derive(Clone, Debug)]
pub struct Click {
    /// The field `user_id`.
    pub user: u64,
    /// The field `device_id`.
    pub device: String,
    /// The field `client_event`.
    pub event: String,
    /// The field `client_timestamp`.
    pub happened: i64,
    /// The field `arrival_timestamp`.
    pub arrived: i64,
}

impl Click {
    /// Reads a line of JSON.
    pub fn read(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| value[name].as_str().expect("text").to_owned();
        let time = |name: &str| {
            let parsed = NaiveDateTime::parse_from_str(&text(name), "%Y-%m-%dT%H:%M:%S%.f").expect("a time");
            parsed.and_utc().timestamp_micros()
        };
        Self {
            user: value["user_id"].as_u64().expect("a number"),
            device: text("device_id"),
            event: text("client_event"),
            happened: time("client_timestamp"),
            arrived: time("arrival_timestamp"),
        }
    }

    /// STEP and FLOOR TO MINUTE are the same arithmetic here: the times are after 1970.
    pub fn bucket(&self, width: i64) -> i64 {
        self.happened / width * width
    }
}

/// The row of a window as a line of CSV. The clicks are in the order of FIRST_VALUE and LAST_VALUE.
pub fn row(bucket: i64, clicks: &[&Click]) -> String {
    let least = clicks.iter().map(|click| click.happened).min().expect("a click");
    let greatest = clicks.iter().map(|click| click.happened).max().expect("a click");
    // A TIMESTAMP of Kinesis SQL has milliseconds.
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

/// A row of JSON as the same line of CSV.
pub fn csv_of(row: &Value) -> String {
    let columns = "SESSION_ID USER_ID DEVICE_ID TIMEAGG EVENTS BEGINNAVIGATION ENDNAVIGATION BEGINSESSION ENDSESSION \
                   DURATION_SEC";
    let text = |name| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
    columns.split(' ').map(text).collect::<Vec<_>>().join(",")
}

/// The rows of stagger windows as old and as wide as `width`, in the order in which they close. The clicks are in
/// order of arrival.
pub fn rows(clicks: &[Click], width: i64) -> Vec<String> {
    let mut windows: Vec<(i64, Vec<&Click>)> = Vec::new();
    for click in clicks {
        let key = |other: &Click| (other.user, other.device.clone(), other.bucket(width));
        let open = windows.iter_mut().rev().find(|(_, clicks)| key(clicks[0]) == key(click));
        match open {
            Some((opened, clicks)) if click.arrived < *opened + width => clicks.push(click),
            _ => windows.push((click.arrived, vec![click])),
        }
    }
    windows.iter().map(|(_, clicks)| row(clicks[0].bucket(width), clicks)).collect()
}
