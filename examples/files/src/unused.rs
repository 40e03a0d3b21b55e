//! Lines and events that were not used, and why: counted, the first few kept to be shown, all written if asked.

use std::collections::BTreeMap;

use events::columns::Columns;
use events::failure::{Failure, Outcome};
use events::parse::Reject;
use program::growing::Growing;
use rows::key::KeyFields;
use rows::lines::Time;
use stagger::{Refusal, Timestamp};

use crate::options::Options;
use crate::side::{JsonLines, LateRow, RejectRow};
use crate::text::{EventRef, Origin, Place};

const SHOWN: usize = 5;

pub(crate) struct Unused {
    rejects: Option<JsonLines>,
    late: Option<JsonLines>,
    strict: bool,
    inputs: Vec<String>,
    columns: Columns,
    /// The first rejects, as they are shown.
    pub(crate) first: Vec<String>,
    /// How many for each reason.
    pub(crate) reasons: BTreeMap<String, u64>,
    pub(crate) rejected: u64,
    pub(crate) late_events: u64,
    pub(crate) refused: u64,
    pub(crate) duplicates: u64,
    /// Inputs that could not be read to their end, and why.
    pub(crate) broken: Vec<String>,
}

impl Unused {
    pub(crate) fn new(options: &Options, inputs: Vec<String>, columns: Columns) -> Outcome<Self> {
        let create = |path: &Option<_>| path.as_deref().map(JsonLines::create).transpose();
        Ok(Self {
            rejects: create(&options.results.rejects)?,
            late: create(&options.results.late)?,
            strict: options.results.strict,
            inputs,
            columns,
            first: Vec::new(),
            reasons: BTreeMap::new(),
            rejected: 0,
            late_events: 0,
            refused: 0,
            duplicates: 0,
            broken: Vec::new(),
        })
    }

    /// A record that cannot be used.
    #[cold]
    pub(crate) fn reject(&mut self, place: Place, bytes: &[u8], reject: &Reject) -> Outcome<()> {
        let input = &self.inputs[place.input as usize];
        let message = format!("{input}, line {}: {reject}", place.line);
        self.rejected += 1;
        *self.reasons.entry(reject.kind()).or_default() += 1;
        if let Some(file) = &mut self.rejects {
            let text = String::from_utf8_lossy(bytes);
            file.write(&RejectRow { input, line: place.line, reason: reject.to_string(), text })?;
        }
        if self.strict {
            return Err(Failure::not_used(message));
        }
        if self.first.len() < SHOWN {
            self.first.push(message);
        }
        Ok(())
    }

    /// An event whose every session is past.
    #[cold]
    pub(crate) fn late(&mut self, event: &EventRef<'_>, watermark: Timestamp) -> Outcome<()> {
        self.late_events += 1;
        *self.reasons.entry("too late: every session it could join had been closed".to_owned()).or_default() += 1;
        self.hand_back(event, || format!("late: the watermark was at {watermark}"))
    }

    /// An event that the library does not take for another reason.
    #[cold]
    pub(crate) fn refused(&mut self, event: &EventRef<'_>, why: Refusal) -> Outcome<()> {
        match why {
            Refusal::Duplicate => self.duplicates += 1,
            _ => self.refused += 1,
        }
        *self.reasons.entry(why.to_string()).or_default() += 1;
        self.hand_back(event, || why.to_string())
    }

    fn hand_back(&mut self, event: &EventRef<'_>, reason: impl Fn() -> String) -> Outcome<()> {
        let Some(file) = &mut self.late else { return Ok(()) };
        let (value, Origin { place, .. }) = event.value;
        file.write(&LateRow {
            input: &self.inputs[place.input as usize],
            line: place.line,
            reason: reason(),
            key: KeyFields { columns: &self.columns, key: event.key },
            time: Time(event.event_time),
            value,
        })
    }

    /// Writes waiting rows, if others see the output.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        self.rejects.iter_mut().chain(&mut self.late).try_for_each(JsonLines::flush)
    }

    /// Completes the files, which are to be placed.
    pub(crate) fn finish(&mut self) -> Outcome<Vec<Growing>> {
        self.rejects.take().into_iter().chain(self.late.take()).map(JsonLines::finish).collect()
    }
}
