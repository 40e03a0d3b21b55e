//! The figures in the text format of Prometheus.
//!
//! Source: Prometheus documentation, "Exposition formats", text-based format, version 0.0.4.

use std::fmt::Write;
use std::time::Instant;

use crate::status::{Now, Shard, Sink, Strategy};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// All figures at one moment.
pub(super) fn text(now: &Now, at: Instant) -> String {
    let mut text = Text::default();
    text.gauge("build_info", "Version of the program", "version", [(env!("CARGO_PKG_VERSION"), 1.0)]);
    work(&mut text, now, at);
    shards(&mut text, now, at);
    rules(&mut text, now);
    sinks(&mut text, now);
    text.0
}

fn work(text: &mut Text, now: &Now, at: Instant) {
    for (name, help, value) in [
        ("records_total", "Records taken, since the first run on this state", now.records),
        ("bytes_total", "Bytes of these records", now.bytes),
        ("events_total", "Events in these records", now.events),
        ("rejected_total", "Records and parts of records that are no events", now.rejected),
        ("ruled_out_total", "Records that came after later ones had been taken: clocks differ", now.ruled_out),
        ("checkpoints_total", "Checkpoints saved by this process", now.checkpoints),
        ("files_total", "Files published by this process", now.files_published),
        ("rows_total", "Rows in these files", now.rows_published),
        ("alerts_total", "Sessions that fulfilled a rule of --alert", now.alerts),
        ("retries_total", "Requests tried again", now.retries),
        ("throttled_total", "Requests refused as too many", now.throttled),
        ("troubles_total", "Warnings", now.all_troubles),
    ] {
        text.one("counter", name, help, value as f64);
    }
    let age = |since: Instant| at.saturating_duration_since(since).as_secs_f64();
    if let Some(last) = now.last_checkpoint {
        text.one("gauge", "checkpoint_age_seconds", "Time since the last checkpoint", age(last));
    }
    let last = now.last_step.unwrap_or(now.started);
    text.one("gauge", "step_age_seconds", "Time since the consumer has last taken a step", age(last));
    let ahead = now.clock_ahead as f64 / 1e6;
    text.one("gauge", "clock_ahead_seconds", "How far this machine's clock is ahead of Kinesis', at least", ahead);
    text.one("gauge", "uptime_seconds", "Time since the start", age(now.started));
}

fn shards(text: &mut Text, now: &Now, at: Instant) {
    let open = || now.shards.iter().filter(|(_, shard)| !shard.is_closed);
    let lag = |shard: &Shard| shard.millis_behind as f64 / 1_000.0;
    text.gauge("shard_lag_seconds", "How far reading is behind", "shard", open().map(|(id, of)| (&**id, lag(of))));
    let silent =
        open().filter_map(|(id, shard)| Some((&**id, at.saturating_duration_since(shard.last_answer?).as_secs_f64())));
    text.gauge("shard_answer_age_seconds", "Time since Kinesis last gave a page of the shard", "shard", silent);
    let records = open().map(|(id, shard)| (&**id, shard.records as f64));
    text.counter("shard_records_total", "Records read of the shard by this process", "shard", records);
}

fn rules(text: &mut Text, now: &Now) {
    let each = |of: fn(&Strategy) -> f64| now.strategies.iter().map(move |rule| (&*rule.name, of(rule)));
    let clocks = now.strategies.iter().filter_map(|rule| Some((&*rule.name, rule.clock?.as_micros() as f64 / 1e6)));
    text.gauge("watermark_timestamp_seconds", "The clock that sessions close by", "rule", clocks);
    text.gauge("open_sessions", "Open sessions", "rule", each(|rule| rule.open as f64));
    text.counter("sessions_total", "Closed sessions", "rule", each(|rule| rule.closed as f64));
    text.counter(
        "late_total",
        "Events that came after their session had closed",
        "rule",
        each(|rule| rule.late as f64),
    );
    text.counter("refused_total", "Events refused, as those in the future", "rule", each(|rule| rule.refused as f64));
}

fn sinks(text: &mut Text, now: &Now) {
    let each = |of: fn(&Sink) -> u64| now.sinks.iter().map(move |(name, sink)| (*name, of(sink) as f64));
    text.counter("sink_sent_total", "Rows, alerts or metrics taken by a place", "sink", each(|sink| sink.sent));
    text.counter("sink_retried_total", "The same, sent again", "sink", each(|sink| sink.retried));
    text.counter("sink_given_up_total", "The same, given up", "sink", each(|sink| sink.failed));
    text.gauge("sink_waiting", "The same, waiting", "sink", each(|sink| sink.waiting));
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn one(&mut self, kind: &str, name: &str, help: &str, value: f64) {
        self.head(kind, name, help);
        let _ = writeln!(self.0, "kinesis_consumer_{name} {value}");
    }

    fn gauge<'a>(&mut self, name: &str, help: &str, label: &str, of: impl IntoIterator<Item = (&'a str, f64)>) {
        self.labelled("gauge", name, help, label, of);
    }

    fn counter<'a>(&mut self, name: &str, help: &str, label: &str, of: impl IntoIterator<Item = (&'a str, f64)>) {
        self.labelled("counter", name, help, label, of);
    }

    fn labelled<'a>(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        label: &str,
        of: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        for (number, (key, value)) in of.into_iter().enumerate() {
            if number == 0 {
                self.head(kind, name, help);
            }
            let key = key.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = writeln!(self.0, "kinesis_consumer_{name}{{{label}=\"{key}\"}} {value}");
        }
    }

    fn head(&mut self, kind: &str, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP kinesis_consumer_{name} {help}\n# TYPE kinesis_consumer_{name} {kind}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stagger::Timestamp;

    use super::*;
    use crate::status::Status;

    #[test]
    fn every_figure_has_its_line() {
        let status = Status::new();
        status.change(|now| {
            now.records = 52_600;
            now.clock_ahead = -1_500_000;
            let shard = Shard { records: 7, millis_behind: 1_500, last_answer: Some(now.started), ..Shard::default() };
            now.shards.insert("shardId-0".to_owned(), shard);
            now.shards.insert("shardId-1".to_owned(), Shard { is_closed: true, ..Shard::default() });
            now.last_checkpoint = Some(now.started);
            let clock = Some(Timestamp::from_millis(1_767_571_200_250));
            let rule =
                Strategy { name: "gap_30m".to_owned(), clock, open: 12, closed: 3, late: 2, ..Strategy::default() };
            now.strategies = vec![rule];
            now.sinks.insert("webhook", Sink { sent: 5, retried: 4, failed: 3, waiting: 2 });
        });
        let now = status.now();
        let text = text(&now, now.started + Duration::from_millis(2_500));
        for line in [
            "# TYPE kinesis_consumer_records_total counter\nkinesis_consumer_records_total 52600",
            "kinesis_consumer_checkpoint_age_seconds 2.5",
            "kinesis_consumer_clock_ahead_seconds -1.5",
            "# TYPE kinesis_consumer_shard_lag_seconds gauge\nkinesis_consumer_shard_lag_seconds{shard=\"shardId-0\"} 1.5",
            "kinesis_consumer_shard_answer_age_seconds{shard=\"shardId-0\"} 2.5",
            "kinesis_consumer_watermark_timestamp_seconds{rule=\"gap_30m\"} 1767571200.25",
            "kinesis_consumer_open_sessions{rule=\"gap_30m\"} 12",
            "kinesis_consumer_sink_given_up_total{sink=\"webhook\"} 3",
            "kinesis_consumer_sink_waiting{sink=\"webhook\"} 2",
        ] {
            assert!(text.contains(&format!("{line}\n")), "no {line} in\n{text}");
        }
        assert!(!text.contains("shardId-1"), "a closed shard is not behind");
    }

    /// A small reading of the format: each sample follows the head of its family, which is there once.
    #[test]
    fn the_text_is_in_the_format() {
        let status = Status::new();
        status.change(|now| _ = now.shards.insert("a\"b\\c\nd".to_owned(), Shard::default()));
        let text = text(&status.now(), Instant::now());
        let mut families = Vec::new();
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                let (name, kind) = head.split_once(' ').unwrap();
                assert!(!families.contains(&name) && ["counter", "gauge"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                families.push(name);
            } else if !line.starts_with("# HELP ") {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(Some(&sample.split('{').next().unwrap()), families.last(), "{line}");
                value.parse::<f64>().unwrap();
            }
        }
        assert!(text.contains(r#"{shard="a\"b\\c\nd"}"#), "{text}");
    }
}
