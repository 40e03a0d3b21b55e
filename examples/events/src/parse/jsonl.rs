//! JSON: objects on a line each, over several lines, one after the other, or in one list; records of
//! CloudWatch Logs, whose log events are events of their own; and docker's objects around objects,
//! `{"log":"{…}\n","stream":"stdout","time":"…"}`.
//!
//! Only the wanted fields are kept; everything else is checked and skipped without building
//! anything; [`super::json`] says which field has a name. `files` and `kinesis` read JSON here.

use memchr::memmem;
use serde_json::value::RawValue;
use stagger::Timestamp;

use super::combined;
use super::flat::Known;
use super::json::{self, pick, unquoted};
use super::row::{JsonRow, reject};
use super::seen::Seen;
use super::{Line, Parser, Record, Reject, Wanted};
use crate::batch::Batch;
use crate::lines::{Frame, LONGEST_LINE};

pub struct Jsonl {
    wanted: Wanted,
    row: JsonRow,
    joined: String,
    /// An object of docker, and the one in it; or an object whose text had to be mended.
    text: String,
    /// The objects are elements of one list.
    is_list: bool,
    /// Numbers of the two fields that tell a record of CloudWatch Logs, where those are expected.
    logs: Option<[usize; 2]>,
    /// Objects may lie in those of docker.
    is_docker: bool,
}

impl Jsonl {
    pub fn new(wanted: Wanted) -> Self {
        let row = JsonRow::new(&wanted.names);
        Self { wanted, row, joined: String::new(), text: String::new(), is_list: false, logs: None, is_docker: false }
    }

    /// Reads every object with `serde_json`, which is what decides.
    pub fn thorough(wanted: Wanted) -> Self {
        Self { row: JsonRow::thorough(&wanted.names), ..Self::new(wanted) }
    }

    /// The objects are elements of a list if the text begins with a bracket.
    pub fn begin(&mut self, text: &[u8]) {
        self.is_list = text.trim_ascii_start().starts_with(b"[");
    }

    /// Looks for records of CloudWatch Logs too. A field is looked for in the JSON of the message of a log
    /// event, then in the log event, then in what surrounds all of them.
    #[must_use]
    pub fn with_cloudwatch_logs(mut self) -> Self {
        self.logs = Some(LOGS.map(|name| self.row.also(name)));
        self
    }

    /// Looks for objects in those of docker too. A field is looked for in the inner one first.
    #[must_use]
    pub fn with_docker(self) -> Self {
        Self { is_docker: true, ..self }
    }

    /// The record of an object that lies in one of docker.
    #[cold]
    fn in_docker(&mut self, line: &str) -> Option<Result<Record<'_>, Reject>> {
        combined::in_object(line.as_bytes()).filter(|text| text.starts_with('{'))?;
        let text = self.fill_by_log_event(line, "log", "{}");
        Some(text.and_then(|text| {
            self.text = text;
            self.wanted.record(&mut self.joined, |index| self.row.field(index, &self.text))
        }))
    }

    /// Each log event by itself, if this is a record of CloudWatch Logs. The bytes of each are a record that holds
    /// no other.
    #[cold]
    fn log_events(&mut self, line: &str, mut each: impl FnMut(&[u8], Result<Record<'_>, Reject>)) -> Option<()> {
        let found = self.row.pick(line).ok()?;
        let [kind, events] = self.logs?.map(|field| found[field]);
        let events = match (kind?, events?) {
            ("\"CONTROL_MESSAGE\"", _) => return Some(()), // CloudWatch Logs asks whether the stream is there
            ("\"DATA_MESSAGE\"", events) => events,
            _ => return None,
        };
        let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(events) else {
            let [_, field] = LOGS.map(str::to_owned);
            each(line.as_bytes(), Err(Reject::Not { field, what: "no array" }));
            return Some(());
        };
        let begin = events.as_ptr() as usize - line.as_ptr() as usize; // `events` is a part of `line`
        let (before, after) = (&line[..begin], &line[begin + events.len()..]);
        for event in all {
            let text = self.fill_by_log_event(event.get(), "message", &format!("{before}[]{after}"));
            let record = match &text {
                Ok(text) => self.wanted.record(&mut self.joined, |index| self.row.field(index, text)),
                Err(reject) => Err(reject.clone()),
            };
            each(format!("{before}[{event}]{after}").as_bytes(), record);
        }
        Some(())
    }

    /// Fills the row from a log event, its message, and what surrounds it. Gives a text in which they lie.
    fn fill_by_log_event(&mut self, event: &str, name: &str, around: &str) -> Result<String, Reject> {
        let mut message = [None];
        pick(event, &[name.to_owned()], &mut message).map_err(|error| reject(event, &error))?;
        let message = message[0].filter(|json| json.starts_with('"')).and_then(|json| unquoted(json).ok());
        let text = format!("{around}{event}{}", message.as_deref().unwrap_or_default().trim());
        let (before, message) = text.split_at(around.len() + event.len());
        let (around, event) = before.split_at(around.len());
        let mut found = self.row.pick(around)?;
        for part in [event, message] {
            let inner = self.row.pick(part).unwrap_or_default();
            for (known, inner) in found.iter_mut().zip(inner) {
                *known = inner.or(*known);
            }
        }
        self.row.fill(&text, &found);
        Ok(text)
    }
}

/// The fields that tell a record of CloudWatch Logs.
pub const LOGS: [&str; 2] = ["messageType", "logEvents"];

/// Reads the time of an event while its line is read.
struct Ahead<'a> {
    wanted: &'a Wanted,
    time: Option<Timestamp>,
}

impl Known for Ahead<'_> {
    fn slot(&self) -> usize {
        self.wanted.time.0
    }

    /// The value before in the same slot, if there was one, does not count.
    #[inline(always)]
    fn length(&mut self, bytes: &[u8]) -> Option<usize> {
        let read = self.wanted.time.1.read_alike(bytes);
        let read = read.filter(|(_, length)| bytes.get(*length) == Some(&b'"'));
        self.time = read.map(|(time, _)| time);
        read.map(|(_, length)| length)
    }
}

impl Parser for Jsonl {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let line = match line {
            Line::Text(text) => text,
            Line::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| Reject::NotUtf8 { field: None })?,
        };
        let line = match self.row.read(line) {
            Ok(()) => line,
            Err(reject) => {
                self.text = json::mended(line).ok_or_else(|| reject.clone())?;
                self.row.read(&self.text).map_err(|_| reject)?;
                &self.text
            }
        };
        self.wanted.record(&mut self.joined, |index| self.row.field(index, line))
    }

    #[inline(always)]
    fn parse_first(&mut self, text: &str, line: u64, batch: &mut Batch) -> Option<usize> {
        let Self { wanted, row, joined, .. } = self;
        let mut ahead = Ahead { wanted, time: None };
        let end = row.read_alike(text, &mut ahead).filter(|end| *end < LONGEST_LINE)?;
        let time = ahead.time;
        let line_end = match text.as_bytes()[end..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        if wanted.add_usual(batch, line, text, time, |index| row.place(index)).is_none() {
            let record = wanted.record(joined, |index| row.field(index, text)).ok()?;
            batch.take(line, &[], Ok(record));
        }
        Some(end + line_end)
    }

    #[inline]
    fn parse_each(&mut self, line: Line<'_>, mut each: impl FnMut(&[u8], Result<Record<'_>, Reject>)) {
        let [_, events] = LOGS;
        if self.logs.is_some()
            && memmem::find(line.bytes(), events.as_bytes()).is_some()
            && let Ok(text) = std::str::from_utf8(line.bytes())
            && self.log_events(text, &mut each).is_some()
        {
            return;
        }
        if self.is_docker
            && let Ok(text) = std::str::from_utf8(line.bytes())
            && let Some(record) = self.in_docker(text)
        {
            return each(line.bytes(), record);
        }
        each(line.bytes(), self.parse_line(line));
    }

    fn frame(&mut self, input: &[u8], is_all: bool) -> Frame {
        json::frame(input, is_all, self.is_list)
    }

    fn seen(&self) -> Seen {
        self.wanted.seen()
    }
}
