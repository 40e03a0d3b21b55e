//! The findings about the fields of an input, to be told at the end.

use std::fmt::Write as _;

use stagger::Timestamp;

use super::client::Addresses;
use super::odd::OddKeys;
use crate::zones::Local;

/// Forms in which times were written: a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms(u16);

impl Forms {
    pub const NONE: Self = Self(0);
    /// A Unix time in the unit that was given.
    pub const SAID: Self = Self(1);
    /// With its zone.
    pub const ZONED: Self = Self(2);
    /// Without a zone.
    pub const LOCAL: Self = Self(4);
    pub const SECONDS: Self = Self(8);
    pub const MILLIS: Self = Self(16);
    pub const MICROS: Self = Self(32);
    pub const NANOS: Self = Self(64);
    /// Digits of a date and a time without marks between them.
    pub const DIGITS: Self = Self(128);
    /// Second 60.
    pub const LEAP: Self = Self(256);
    /// A number whose last digits are worth more than a second.
    pub const ROUNDED: Self = Self(512);
    /// In a form that was given, but not plausible.
    pub const OUTSIDE: Self = Self(1_024);

    #[inline]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The forms of the times of one field.
#[derive(Clone, Debug, Default)]
pub struct TimesSeen {
    forms: Forms,
    /// For each form that was guessed, the first text and its meaning.
    guessed: Vec<(Forms, String, Timestamp)>,
    /// The first number whose last digits are worth more than a second.
    rounded: Option<String>,
    /// The first time that is not plausible, and its meaning.
    outside: Option<(String, Timestamp)>,
    /// The plausible times, in words.
    pub(super) span: String,
    /// The zone of local times, if one was given.
    pub(super) zone: Option<String>,
    /// Local times that the clocks showed twice, or never.
    twice: u64,
    never: u64,
}

impl TimesSeen {
    pub(super) fn add(&mut self, form: Forms, text: &str, time: Timestamp) {
        self.forms = self.forms.with(form);
        if form.has(Forms::ROUNDED) && self.rounded.is_none() {
            self.rounded = Some(super::start_of(text));
        }
        if form.has(Forms::OUTSIDE) && self.outside.is_none() {
            self.outside = Some((super::start_of(text), time));
        }
        let unit = [Forms::SECONDS, Forms::MILLIS, Forms::MICROS, Forms::NANOS, Forms::DIGITS];
        if let Some(guess) = unit.into_iter().find(|guess| form.has(*guess))
            && !self.guessed.iter().any(|(known, ..)| *known == guess)
        {
            self.guessed.push((guess, super::start_of(text), time));
        }
    }

    pub(super) fn unusual(&mut self, local: Local) {
        if local.is_twice { self.twice += 1 } else { self.never += 1 }
    }

    fn merge(&mut self, other: Self) {
        self.forms = self.forms.with(other.forms);
        for (form, text, time) in other.guessed {
            if !self.guessed.iter().any(|(known, ..)| *known == form) {
                self.guessed.push((form, text, time));
            }
        }
        self.rounded = self.rounded.take().or(other.rounded);
        self.outside = self.outside.take().or(other.outside);
        self.span = other.span;
        self.zone = self.zone.take().or(other.zone);
        self.twice += other.twice;
        self.never += other.never;
    }

    /// Sentences for people: the guesses about the times of a field.
    fn notes(&self, field: &str, notes: &mut Vec<String>) {
        for (form, text, time) in &self.guessed {
            let what = match *form {
                Forms::SECONDS => "Unix seconds",
                Forms::MILLIS => "Unix milliseconds",
                Forms::MICROS => "Unix microseconds",
                Forms::NANOS => "Unix nanoseconds",
                _ => "digits of date and time",
            };
            notes.push(format!("`{field}` is read as {what}: {text} is {time}"));
        }
        if let Some((text, time)) = &self.outside {
            notes.push(format!(
                "`{field}` has times that are not {}: {text} is {time} by --time-format (--plausible makes it usual)",
                self.span
            ));
        }
        if let Some(text) = &self.rounded {
            notes.push(format!(
                "`{field}` has numbers such as {text}: if a spreadsheet rounded them, their seconds are lost"
            ));
        }
        match &self.zone {
            None if self.forms.has(Forms::LOCAL) => {
                notes.push(format!("`{field}` names no zone: its times are taken as UTC (--input-zone says another)"));
            }
            Some(zone) if !self.forms.has(Forms::LOCAL) && self.forms != Forms::NONE => {
                notes.push(format!(
                    "every `{field}` names its zone or is a Unix time: --input-zone {zone} changes nothing"
                ));
            }
            _ => {}
        }
        let zone = self.zone.as_deref().unwrap_or("UTC");
        for (count, what) in [
            (self.twice, "shown twice, when the clocks are set back: taken as the earlier"),
            (self.never, "never shown, when the clocks are set forward: moved forward by the time that is left out"),
        ] {
            if count > 0 {
                let mut note = format!("{count} ");
                let _ = write!(note, "{} of `{field}` {what} ({zone})", if count == 1 { "time" } else { "times" });
                notes.push(note);
            }
        }
    }
}

/// Whether any record had a field, and whether any lacked it.
#[derive(Clone, Debug)]
pub(super) struct FieldSeen {
    pub(super) name: String,
    pub(super) is_found: bool,
    pub(super) is_lacked: bool,
}

/// The findings under each wanted name, and the form of the times.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub(super) fields: Vec<FieldSeen>,
    /// The fields of times, and what their times were.
    pub(super) times: Vec<(String, TimesSeen)>,
    /// Events whose only key field is an empty text.
    pub(super) empty_keys: u64,
    pub(super) odd_keys: OddKeys,
    /// What is to be told of each condition if it made no difference, and whether it made none.
    pub(super) idle: Vec<(String, bool)>,
    /// What an access log shows about its clients.
    pub(super) addresses: Addresses,
    /// The options that count the clients beside the address.
    pub(super) instead: &'static str,
    pub(super) key: String,
    /// What helps if a field is in no record.
    pub(super) hints: Vec<(String, String)>,
    /// What is to be told of the fields that were wanted.
    pub(super) note: Option<String>,
}

impl Seen {
    /// Adds what another input held.
    pub fn merge(&mut self, other: Self) {
        for field in other.fields {
            match self.fields.iter_mut().find(|known| known.name == field.name) {
                Some(known) => {
                    known.is_found |= field.is_found;
                    known.is_lacked |= field.is_lacked;
                }
                None => self.fields.push(field),
            }
        }
        for (name, times) in other.times {
            match self.times.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.merge(times),
                None => self.times.push((name, times)),
            }
        }
        self.empty_keys += other.empty_keys;
        self.odd_keys.merge(other.odd_keys);
        self.addresses.merge(other.addresses);
        self.instead = if self.instead.is_empty() { other.instead } else { self.instead };
        for (condition, is_idle) in other.idle {
            match self.idle.iter_mut().find(|(known, _)| *known == condition) {
                Some((_, known)) => *known &= is_idle,
                None => self.idle.push((condition, is_idle)),
            }
        }
        self.key = other.key;
        self.hints.extend(other.hints);
        self.note = self.note.take().or(other.note);
    }

    /// A field that no record had, of the fields that were read.
    pub fn missing_everywhere(&self) -> Option<&str> {
        self.fields.iter().find(|field| field.is_lacked && !field.is_found).map(|field| field.name.as_str())
    }

    /// What helps about a field that no record had: a part of a sentence.
    pub fn hint(&self, field: &str) -> &str {
        self.hints.iter().find(|(known, _)| known == field).map_or("", |(_, hint)| hint)
    }

    /// The decisions made for the reader, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (field, times) in &self.times {
            times.notes(field, &mut notes);
        }
        if self.empty_keys > 0 {
            let events = if self.empty_keys == 1 { "event has" } else { "events have" };
            notes.push(format!(
                "{} {events} an empty `{1}`: they count as one user (--not {1}= leaves them out)",
                self.empty_keys, self.key
            ));
        }
        self.odd_keys.notes(&self.key, &mut notes);
        self.addresses.notes(self.instead, &mut notes);
        notes.extend(self.note.clone());
        notes.extend(self.idle.iter().filter(|(_, is_idle)| *is_idle).map(|(note, _)| note.clone()));
        notes
    }
}
