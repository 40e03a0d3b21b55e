//! The results, for people and for scripts.

use std::fmt::Write;
use std::time::Duration;

use events::lengths;
use program::say::grouped;
use serde_json::{Value, json};

use crate::command::{Command, Measuring};
use crate::disorder::Disorder;
use crate::load::Loaded;
use crate::race::Raced;

/// The machine and the data of the measurement.
pub(crate) struct About<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) disorder: &'a Disorder,
    pub(crate) bound: Duration,
    pub(crate) keys: u64,
}

impl About<'_> {
    fn events(&self) -> u64 {
        self.loaded.len() as u64
    }
}

pub(crate) fn table(command: &Command, about: &About<'_>, results: &[Raced]) -> String {
    let mut text = header(about, &command.measuring);
    let _ = writeln!(
        text,
        "{:<28}{:>6}{:>9}{:>13}{:>12}{:>10}{:>11}",
        "strategy", "text", "numbers", "sessions", "events each", "late", "most open"
    );
    for raced in results {
        let _ = writeln!(
            text,
            "{:<28}{:>6.0}{:>9.0}{:>13}{:>12.1}{:>10}{:>11}",
            raced.choice.words(&command.lengths),
            median(&raced.text, about.events()),
            median(&raced.numbers, about.events()),
            grouped(raced.counters.closed),
            each(raced),
            grouped(raced.counters.late),
            grouped(raced.most_open as u64),
        );
    }
    text
}

fn header(about: &About<'_>, options: &Measuring) -> String {
    let About { loaded, disorder, bound, keys } = about;
    let mut text =
        format!("{} events of {} keys in {}", grouped(about.events()), grouped(*keys), loaded.names.join(", "));
    for (count, what) in [(loaded.rejected, "lines cannot be used"), (loaded.future, "events are from the future")] {
        if count > 0 {
            let _ = write!(text, "; {} {what}", grouped(count));
        }
    }
    let [most, within] = [disorder.most(), disorder.within(0.999)].map(show);
    let _ = writeln!(
        text,
        "\n{:.1} % of them are behind the latest before them: 99.9 % by at most {within}, all by at most {most}",
        disorder.share() * 100.0,
    );
    let _ = match options.out_of_order {
        Some(_) => writeln!(text, "taken to be out of order by at most {}", lengths::compact(*bound)),
        None => writeln!(text, "{HOW_TO_BOUND}"),
    };
    let _ = writeln!(
        text,
        "\nnanoseconds of CPU time per event, median of {}, with keys and values as text and as numbers\n",
        options.runs,
    );
    text
}

const HOW_TO_BOUND: &str =
    "taken to be out of order as far as that (--out-of-order: less far; --max-future: without clocks that are ahead)";

/// A length of time for people, however short.
fn show(length: Duration) -> String {
    if length < Duration::from_secs(1) { lengths::compact(length) } else { lengths::show(length.as_micros() as u64) }
}

/// Events per session; with sliding windows an event counts in each.
fn each(raced: &Raced) -> f64 {
    raced.counters.reported as f64 / raced.counters.closed.max(1) as f64
}

fn nanos(time: Duration, events: u64) -> f64 {
    time.as_nanos() as f64 / events as f64
}

fn median(times: &[Duration], events: u64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2 };
    nanos(median, events)
}

pub(crate) fn json(command: &Command, about: &About<'_>, results: &[Raced]) -> String {
    let About { loaded, disorder, bound, keys } = about;
    let within = |share| micros(disorder.within(share));
    let strategies: Vec<Value> = results.iter().map(|raced| strategy(command, raced, about.events())).collect();
    let all = json!({
        "inputs": loaded.names,
        "events": about.events(),
        "keys": keys,
        "rejected": loaded.rejected,
        "future": loaded.future,
        "behind": { "share": disorder.share(), "p50_us": within(0.5), "p99_us": within(0.99), "p999_us": within(0.999),
            "most_us": micros(disorder.most()) },
        "out_of_order_us": micros(*bound),
        "strategies": strategies,
    });
    format!("{all:#}\n")
}

fn strategy(command: &Command, raced: &Raced, events: u64) -> Value {
    let times = |times: &[Duration]| {
        let runs: Vec<f64> = times.iter().map(|time| nanos(*time, events)).collect();
        json!({ "median": median(times, events), "runs": runs })
    };
    json!({
        "name": raced.choice.name(),
        "words": raced.choice.words(&command.lengths),
        "cpu_ns_per_event": { "text": times(&raced.text), "numbers": times(&raced.numbers) },
        "sessions": raced.counters.closed,
        "events_in_sessions": raced.counters.reported,
        "events_per_session": each(raced),
        "late": raced.counters.late,
        "revisions": raced.counters.revisions,
        "most_open": raced.most_open,
        "checksum": raced.checksum,
    })
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
