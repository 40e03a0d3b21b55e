//! A case as it is written: a title, settings, and lines with the output of each.

use std::fmt;
use std::time::Duration;

use stagger::{Event, Timestamp};

/// The day of times without a date, if a case names no other.
const DAY: &str = "2024-01-01";

pub(crate) struct Case {
    place: String,
    title: String,
    /// With the place of each.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) steps: Vec<Step>,
    day: String,
}

/// A line, and the output that is expected of it.
pub(crate) struct Step {
    pub(crate) text: String,
    pub(crate) action: Action,
    pub(crate) expected: Vec<String>,
}

pub(crate) enum Action {
    Push(Event<String, String>),
    AdvanceTo(Timestamp),
    Flush,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.title)
    }
}

/// The cases of a file.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{file}:{number}");
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(title) = line.strip_prefix("== ") {
            let (title, day) = (title.to_owned(), DAY.to_owned());
            cases.push(Case { place, title, settings: Vec::new(), steps: Vec::new(), day });
        } else if !line.is_empty() {
            let case = cases.last_mut().ok_or_else(|| format!("{place}: a case begins with `== TITLE`"))?;
            case.add(&place, line).map_err(|error| format!("{place}: {error}"))?;
        }
    }
    Ok(cases)
}

impl Case {
    fn add(&mut self, place: &str, line: &str) -> Result<(), String> {
        if let Some(output) = line.strip_prefix("-> ") {
            let step = self.steps.last_mut().ok_or("an output stands below the line that causes it")?;
            step.expected.push(output.to_owned());
        } else if let Some(day) = line.strip_prefix("day ") {
            self.day = day.to_owned();
        } else if let Some(action) = self.action(line)? {
            self.steps.push(Step { text: line.to_owned(), action, expected: Vec::new() });
        } else if self.steps.is_empty() {
            self.settings.push((place.to_owned(), line.to_owned()));
        } else {
            return Err(format!("`{line}` is no event, no `clock TIME` and not `end`"));
        }
        Ok(())
    }

    /// The action of a line, unless it is a setting.
    fn action(&self, line: &str) -> Result<Option<Action>, String> {
        if line == "end" {
            return Ok(Some(Action::Flush));
        }
        if let Some(time) = line.strip_prefix("clock ") {
            return self.time(time).map(|time| Some(Action::AdvanceTo(time)));
        }
        if !line.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let (line, arrival) = line.split_once(" arrives ").map_or((line, None), |(line, time)| (line, Some(time)));
        let words: Vec<_> = line.split_whitespace().collect();
        let (time, key, value) = match words[..] {
            [time, key, value] => (time.to_owned(), key, value),
            [date, time, key, value] => (format!("{date} {time}"), key, value),
            _ => return Err(format!("`{line}` is no event: TIME KEY VALUE [arrives TIME]")),
        };
        let event = Event::new(key.to_owned(), self.time(&time)?, value.to_owned());
        Ok(Some(Action::Push(match arrival {
            Some(arrival) => event.arriving_at(self.time(arrival)?),
            None => event,
        })))
    }

    /// `10:00`, `10:00:05.5` or `2024-01-02 10:00`, in UTC.
    fn time(&self, text: &str) -> Result<Timestamp, String> {
        let (day, clock) = text.split_once(' ').unwrap_or((&self.day, text));
        let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
        let time = format!("{day}T{clock}{seconds}Z").parse();
        time.map_err(|_| format!("`{text}` is no time such as 10:00 or 10:00:05.5"))
    }

    /// The shortest text of a time: without the date of the case, without seconds that are zero.
    pub(crate) fn shown(&self, time: Timestamp) -> String {
        let text = time.to_string();
        let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
        let (date, clock) = text.split_once('T').unwrap_or((text, ""));
        let clock = format!("{clock:0<8}"); // zeros of the seconds that were cut off
        let clock = clock.strip_suffix(":00").unwrap_or(&clock);
        if date == self.day { clock.to_owned() } else { format!("{date} {clock}") }
    }
}

/// `10s`, `30m`, `1h`, `1d`, `5us`.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no length such as 30m"))?;
    Ok(match &text[digits.len()..] {
        "us" => Duration::from_micros(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3_600),
        "d" => Duration::from_secs(number * 86_400),
        _ => return Err(format!("`{text}` has no unit: us, s, m, h or d")),
    })
}
