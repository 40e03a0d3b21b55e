//! How far a group has come, from what its processes commit beside the offsets.

use std::io::{Write, stdout};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use events::lengths;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Serialize;

use crate::client::{self, PATIENCE};
use crate::options::{self, Connection, GroupOptions};
use crate::restore::{self, Note};
use crate::topics;

/// A partition, as it was committed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) partition: i32,
    /// Records that are not committed yet.
    pub(crate) lag: i64,
    #[serde(flatten)]
    pub(crate) note: Option<Note>,
}

pub(crate) fn lines(connection: &Connection, group: &GroupOptions) -> Result<Vec<Line>> {
    let partitions = topics::input_partitions(connection, &group.input)?;
    let mut config = client::config(connection);
    let consumer: BaseConsumer =
        config.set("group.id", &group.group).set("isolation.level", "read_committed").create()?;
    let line = |partition| {
        let (begin, end) = consumer.fetch_watermarks(&group.input, partition, PATIENCE)?;
        let committed = restore::committed(&consumer, &group.input, partition)?;
        let (offset, note) = committed.unwrap_or((begin, None));
        Ok(Line { partition, lag: (end - offset).max(0), note })
    };
    (0..partitions).map(line).collect()
}

pub(crate) fn report(options: &options::Report) -> Result<()> {
    let mut text = String::new();
    if !options.json {
        row(&mut text, ["partition", "lag", "records", "open sessions", "sessions", "state", "last commit"]);
    }
    for line in lines(&options.connection, &options.group)? {
        match (options.json, &line.note) {
            (true, _) => text += &(serde_json::to_string(&line)? + "\n"),
            (false, None) => {
                row(&mut text, [&line.partition.to_string(), &line.lag.to_string(), "-", "-", "-", "-", "-"]);
            }
            (false, Some(note)) => {
                let sessions: u64 = note.counts.rules.iter().map(|rule| rule.sessions).sum();
                row(
                    &mut text,
                    [
                        &line.partition.to_string(),
                        &line.lag.to_string(),
                        &note.counts.records.to_string(),
                        &note.counts.open_sessions.to_string(),
                        &sessions.to_string(),
                        &kilobytes(note.state_bytes),
                        &format!("{} ago", age(note.committed_at)),
                    ],
                );
            }
        }
    }
    Ok(stdout().write_all(text.as_bytes())?)
}

fn row(text: &mut String, cells: [&str; 7]) {
    let cells = cells.map(|cell| format!("{cell:>13}"));
    *text += &(cells.join("  ") + "\n");
}

fn kilobytes(bytes: usize) -> String {
    format!("{} kB", bytes.div_ceil(1_000))
}

fn age(at: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Duration::from_millis(u64::try_from(at).unwrap_or(0));
    lengths::compact(Duration::from_secs(now.saturating_sub(at).as_secs()))
}
