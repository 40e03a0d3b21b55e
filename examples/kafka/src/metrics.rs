//! Figures of this process in the text format of Prometheus, and whether it works.
//!
//! Source: Prometheus documentation, "Exposition formats", text-based format, version 0.0.4.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tiny_http::{Header, Response, Server};

use crate::sessions::{Counts, RuleCounts};

/// The figures of a partition that this process has.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) number: i32,
    pub(crate) next_offset: i64,
    /// Behind the last record, if known.
    pub(crate) end: Option<i64>,
    pub(crate) state_bytes: usize,
    pub(crate) committed: Instant,
    pub(crate) commits: u64,
    pub(crate) open_sessions: usize,
    /// The counts at the latest commit: they never go down, whichever process has the partition.
    pub(crate) saved: Counts,
}

/// The figures of this moment.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Arc<Mutex<Now>>);

#[derive(Debug)]
struct Now {
    at: Instant,
    partitions: Vec<Partition>,
}

const FORMAT: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8";
/// A process that has looked at nothing for this time does not work.
const STUCK: Duration = Duration::from_secs(60);

impl Figures {
    pub(crate) fn set(&self, partitions: Vec<Partition>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Now { at: Instant::now(), partitions };
    }

    /// Status and text.
    fn answer(&self, url: &str) -> (u16, String) {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match url {
            "/metrics" => (200, text(&now.partitions)),
            "/healthz" if now.at.elapsed() < STUCK => (200, "works\n".to_owned()),
            "/healthz" => (503, "stuck\n".to_owned()),
            _ => (404, "there are /metrics and /healthz\n".to_owned()),
        }
    }
}

/// Answers on an address, if one is given, until the process ends.
pub(crate) fn serve(address: Option<SocketAddr>) -> Result<Figures> {
    let figures = Figures(Arc::new(Mutex::new(Now { at: Instant::now(), partitions: Vec::new() })));
    let Some(address) = address else { return Ok(figures) };
    let server = Server::http(address).map_err(|error| anyhow!("cannot listen on {address}: {error}: see --listen"))?;
    let shared = figures.clone();
    std::thread::spawn(move || {
        for request in server.incoming_requests() {
            let (status, text) = shared.answer(request.url());
            let response = Response::from_string(text).with_status_code(status);
            let _ = request.respond(response.with_header(FORMAT.parse::<Header>().expect("a header")));
        }
    });
    Ok(figures)
}

/// A figure of each partition.
type Of<T> = fn(&T) -> f64;

const PARTITION: [(&str, &str, &str, Of<Partition>); 8] = [
    ("counter", "records_total", "Records committed, since the group began", |of| of.saved.records as f64),
    ("counter", "unreadable_total", "Records that are no event", |of| of.saved.unreadable as f64),
    ("counter", "refused_total", "Events refused before any rule saw them", |of| of.saved.refused as f64),
    ("counter", "commits_total", "Transactions committed", |of| of.commits as f64),
    ("gauge", "lag_records", "Records that are not read yet", |of| {
        of.end.map_or(f64::NAN, |end| (end - of.next_offset).max(0) as f64)
    }),
    ("gauge", "open_sessions", "Open sessions, of all rules", |of| of.open_sessions as f64),
    ("gauge", "state_bytes", "Bytes that a restore has to read", |of| of.state_bytes as f64),
    ("gauge", "commit_age_seconds", "Time since the latest commit", |of| of.committed.elapsed().as_secs_f64()),
];

const RULE: [(&str, &str, &str, Of<RuleCounts>); 3] = [
    ("counter", "sessions_total", "Sessions written", |of| of.sessions as f64),
    ("counter", "late_total", "Events that came after their session had closed", |of| of.late as f64),
    ("counter", "refused_by_rule_total", "Events that the rule refused", |of| of.refused as f64),
];

fn text(partitions: &[Partition]) -> String {
    let mut text = String::new();
    let head = |text: &mut String, kind: &str, name: &str, help: &str| {
        let _ = writeln!(text, "# HELP kafka_sessions_{name} {help}\n# TYPE kafka_sessions_{name} {kind}");
    };
    for (kind, name, help, of) in PARTITION {
        head(&mut text, kind, name, help);
        for partition in partitions {
            let _ = writeln!(text, "kafka_sessions_{name}{{partition=\"{}\"}} {}", partition.number, of(partition));
        }
    }
    for (kind, name, help, of) in RULE {
        head(&mut text, kind, name, help);
        for partition in partitions {
            for rule in &partition.saved.rules {
                let (number, name_of_rule) = (partition.number, &rule.rule);
                let labels = format!("partition=\"{number}\",rule=\"{name_of_rule}\"");
                let _ = writeln!(text, "kafka_sessions_{name}{{{labels}}} {}", of(rule));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_each_partition_and_rule() {
        let rule = RuleCounts { rule: "gap_30m".to_owned(), late: 3, ..RuleCounts::default() };
        let saved = Counts { records: 7, rules: vec![rule], ..Counts::default() };
        let (number, next_offset, end, open_sessions) = (2, 7, Some(9), 4);
        let partition = Partition {
            number,
            next_offset,
            end,
            state_bytes: 5,
            committed: Instant::now(),
            commits: 1,
            open_sessions,
            saved,
        };
        let text = text(&[partition]);
        for line in [
            "# TYPE kafka_sessions_records_total counter\nkafka_sessions_records_total{partition=\"2\"} 7\n",
            "kafka_sessions_lag_records{partition=\"2\"} 2\n",
            "kafka_sessions_late_total{partition=\"2\",rule=\"gap_30m\"} 3\n",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn a_process_that_looks_at_nothing_is_not_healthy() {
        let figures = serve(None).unwrap();
        assert_eq!(figures.answer("/healthz").0, 200);
        figures.0.lock().unwrap().at = Instant::now().checked_sub(2 * STUCK).unwrap();
        assert_eq!((figures.answer("/healthz").0, figures.answer("/").0), (503, 404));
    }
}
