//! The report about the sessions, for a person.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, RandomState};

use events::lengths;
use events::parse::keys;
use events::zones::AnyZone;
use program::say::{counted, escaped, grouped};
use rows::visible::visible;
use stagger::{Timestamp, calendar::Zone};

use crate::facts::Kept;
use crate::text::Summary;
use crate::unused::Unused;

const LONGEST: usize = 5;
const BAR: usize = 40;
const HOUR: i64 = 3_600_000_000;
const MINUTE: u64 = 60_000_000;

/// Sessions of several events, by duration: the least that is no longer in the class.
const CLASSES: [(&str, u64); 7] = [
    ("under 10 s", MINUTE / 6),
    ("10 s to 1 min", MINUTE),
    ("1 to 5 min", 5 * MINUTE),
    ("5 to 15 min", 15 * MINUTE),
    ("15 to 60 min", 60 * MINUTE),
    ("1 to 3 h", 180 * MINUTE),
    ("3 h and more", u64::MAX),
];

pub(crate) struct Report {
    rule: String,
    keys: Vec<String>,
    zone: AnyZone,
    durations: Vec<u64>,
    single: u64,
    events: u64,
    largest: u64,
    hours: [u64; 24],
    /// Hashes of the keys: at millions of keys, far smaller than the keys.
    different_keys: HashSet<u64>,
    hasher: RandomState,
    span: Option<(Timestamp, Timestamp)>,
    longest: Vec<Long>,
}

/// One of the longest sessions.
struct Long {
    micros: u64,
    key: String,
    from: Timestamp,
    to: Timestamp,
    count: u64,
    first: String,
    last: String,
}

impl Report {
    /// `rule`: what makes a session, in words.
    pub(crate) fn new(rule: String, keys: Vec<String>, zone: AnyZone) -> Self {
        Self {
            rule,
            keys,
            zone,
            durations: Vec::new(),
            single: 0,
            events: 0,
            largest: 0,
            hours: [0; 24],
            different_keys: HashSet::new(),
            hasher: RandomState::new(),
            span: None,
            longest: Vec::new(),
        }
    }

    /// Counts an event that was used.
    pub(crate) fn event(&mut self, time: Timestamp) {
        let local = time.as_micros().saturating_add(self.zone.offset_at(time));
        self.hours[(local.div_euclid(HOUR)).rem_euclid(24) as usize] += 1;
        let (from, to) = self.span.unwrap_or((time, time));
        self.span = Some((from.min(time), to.max(time)));
    }

    /// Counts a session.
    pub(crate) fn session<O: Kept>(&mut self, session: &Summary<O>) {
        let micros = u64::try_from(session.duration().as_micros()).unwrap_or(u64::MAX);
        self.durations.push(micros);
        self.single += u64::from(session.count == 1);
        self.events += session.count;
        self.largest = self.largest.max(session.count);
        self.different_keys.insert(self.hasher.hash_one(session.key.as_str()));
        let is_full = self.longest.len() == LONGEST;
        if is_full && self.longest.last().is_some_and(|shortest| micros <= shortest.micros) {
            return;
        }
        let at = self.longest.partition_point(|other| other.micros >= micros);
        self.longest.truncate(LONGEST - usize::from(is_full));
        let parts = keys::split(session.key.as_str(), self.keys.len());
        let parts: Vec<String> = parts.map(|part| visible(&part).into_owned()).collect();
        let long = Long {
            micros,
            key: parts.join(", "),
            from: session.first_time,
            to: session.last_time,
            count: session.count,
            first: visible(session.first_event.0.as_str()).into_owned(),
            last: visible(session.last_event.0.as_str()).into_owned(),
        };
        self.longest.insert(at.min(self.longest.len()), long);
    }

    /// The report as text.
    pub(crate) fn text(mut self, unused: &Unused) -> String {
        let mut text = String::new();
        self.durations.sort_unstable();
        // Writing to a String does not fail.
        let _ = self.totals(&mut text);
        if !self.durations.is_empty() {
            let _ = self.how_long(&mut text);
            let _ = self.busiest_hours(&mut text);
            let _ = self.longest_ones(&mut text);
        }
        let _ = not_used(&mut text, unused);
        text
    }

    fn totals(&self, text: &mut String) -> fmt::Result {
        let sessions = self.durations.len() as u64;
        let keys = self.different_keys.len() as u64;
        write!(text, "{} of {}", counted(sessions, "session"), counted(self.events, "event"))?;
        writeln!(text, ", for {} of {}", counted(keys, "different value"), escaped(&self.keys.join(" and ")))?;
        if let Some((from, to)) = self.span {
            writeln!(text, "from {} to {} {}", self.local(from), self.local(to), self.zone.name())?;
        }
        writeln!(text, "The rule: {}", self.rule)
    }

    fn how_long(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "\nHow long they lasted")?;
        let mut rows = vec![("one event only", self.single)];
        let mut below = self.single as usize; // single events last 0 and come first
        for (name, end) in CLASSES {
            let until = self.durations.partition_point(|micros| *micros < end || end == u64::MAX);
            rows.push((name, until.saturating_sub(below) as u64));
            below = below.max(until);
        }
        bars(text, &rows)?;
        let median = self.durations[self.durations.len() / 2];
        let longest = self.durations[self.durations.len() - 1];
        let average = self.events as f64 / self.durations.len() as f64;
        let half = if median == 0 { "a single moment".to_owned() } else { format!("up to {}", lengths::show(median)) };
        writeln!(text, "  half of them {half}, the longest {}", lengths::show(longest))?;
        writeln!(text, "  {average:.1} events on average, {} at most", grouped(self.largest))
    }

    fn busiest_hours(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "\nEvents by hour of the day ({})", self.zone.name())?;
        let rows: Vec<_> = (0..24).map(|hour| format!("{hour:02}:00")).zip(self.hours).collect();
        bars(text, &rows)?;
        let busiest = (0..24).max_by_key(|hour| (self.hours[*hour], std::cmp::Reverse(*hour))).unwrap_or(0);
        writeln!(text, "  the busiest hour begins at {busiest:02}:00")
    }

    fn longest_ones(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "\nThe longest")?;
        let width = self.longest.iter().map(|long| long.key.chars().count()).max().unwrap_or(0).min(40);
        for long in &self.longest {
            let Long { micros, key, from, to, count, first, last } = long;
            let key = shortened(key, width);
            write!(text, "  {key:<width$}")?;
            let (from, to) = (self.local(*from), self.local(*to));
            write!(text, "  {from} to {}", if from[..10] == to[..10] { &to[11..] } else { &to })?;
            write!(text, "  {:>12}  {:>13}", lengths::show(*micros), counted(*count, "event"))?;
            match (first.as_str(), last.as_str()) {
                ("", "") => writeln!(text)?,
                (first, last) => writeln!(text, "  {} … {}", shortened(first, 30), shortened(last, 30))?,
            }
        }
        Ok(())
    }

    /// By the clocks of the zone, to the second, without naming it.
    fn local(&self, time: Timestamp) -> String {
        let local = Timestamp::from_micros(time.as_micros().saturating_add(self.zone.offset_at(time)));
        let text = local.to_string();
        text[..text.len() - ".000000Z".len()].replace('T', " ")
    }
}

fn not_used(text: &mut String, unused: &Unused) -> fmt::Result {
    if unused.reasons.is_empty() {
        return writeln!(text, "\nEvery line was used.");
    }
    writeln!(text, "\nNot used")?;
    let mut reasons: Vec<_> = unused.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in reasons {
        writeln!(text, "  {:>7}  {}", grouped(*count), escaped(reason))?;
    }
    if !unused.first.is_empty() {
        writeln!(text, "  the first lines that could not be read:")?;
    }
    for message in &unused.first {
        writeln!(text, "    {}", escaped(message))?;
    }
    Ok(())
}

/// A line for each row, from the first that is not zero to the last.
fn bars(text: &mut String, rows: &[(impl fmt::Display, u64)]) -> fmt::Result {
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let first = rows.iter().position(|(_, count)| *count > 0).unwrap_or(0);
    let last = rows.iter().rposition(|(_, count)| *count > 0).unwrap_or(0);
    for (name, count) in &rows[first..=last] {
        let line = format!("  {name:<16}{:>9}  {}", grouped(*count), bar(*count, most));
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A bar with eighths of a character.
fn bar(count: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (count as f64 / most.max(1) as f64 * BAR as f64 * 8.0).round() as usize;
    let eighths = eighths.max(usize::from(count > 0));
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The beginning of a text, if it is too long for its place.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most.saturating_sub(1)).collect();
    start + "…"
}
