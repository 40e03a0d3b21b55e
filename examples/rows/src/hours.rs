//! A folder for each hour, as Firehose names them.

use chrono::{DateTime, Utc};
use stagger::Timestamp;

/// The hour that a time is in, in UTC. A session belongs to that of its first event.
pub fn hour_of(time: Timestamp) -> Timestamp {
    const HOUR: i64 = 3_600_000_000;
    Timestamp::from_micros(time.as_micros().div_euclid(HOUR).saturating_mul(HOUR))
}

/// The folder of an hour: `YYYY/MM/DD/HH`, as Firehose names it.
pub fn folder_of(hour: Timestamp) -> String {
    formatted(hour, "%Y/%m/%d/%H")
}

/// A time in UTC as it is in names, by a pattern of chrono.
pub fn formatted(time: Timestamp, pattern: &str) -> String {
    DateTime::<Utc>::try_from(time).map_or_else(|_| "unknown".to_owned(), |time| time.format(pattern).to_string())
}
