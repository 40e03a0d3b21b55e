//! From the bytes of one record to an event: the edge where anything may come in.
//!
//! Each format has a [`Parser`]. It finds the wanted fields and hands them to
//! [`Wanted::record`], which is the same for all formats. No input makes a parser panic; what
//! cannot be used comes back as a [`Reject`] that says why.
//!
//! The meaning of a value is decided in [`Wanted`] and nowhere else, so it is the same in all formats:
//!
//! - **Key.** Compared as text: the number `1` and the string `"1"` are the same user. Of a number without
//!   quotes the value counts, not the spelling: `7.0` is 7, `-0` is 0. So it does in any format where the
//!   field is declared as an integer.
//! - **Conditions and columns.** Nothing, and a `-`, are the empty text. A value that is no text refuses the record.
//! - **No user.** The first key field says whose event it is. JSON null, a field that is not there, an empty cell of
//!   CSV and the `-` of logs are nobody: the record is refused, or, by [`NoUser::Keep`], counted under the empty
//!   text. An empty text of JSON is a text. Further key fields divide the events of a user: nothing in them is the
//!   empty text. Texts such as `NULL` are users, and told; see `odd`.
//! - **Time.** See [`times`]. **Value.** As it is written; nothing is the empty text.

pub mod client;
pub mod combined;
pub mod condition;
pub mod csv;
mod flat;
pub mod json;
pub mod jsonl;
pub mod keys;
pub mod layout;
pub mod more;
mod odd;
pub mod numbers;
mod reject;
pub mod row;
pub mod seen;
pub mod times;
mod tree;
pub mod w3c;
mod worded;

pub use reject::{Reject, start_of};

use std::cell::{Cell, RefCell};
use std::ops::Range;

use stagger::Timestamp;

use crate::batch::Batch;
use crate::columns::{Columns, KeyKind};
use crate::lines::{self, Frame};
use condition::Condition;
use more::{More, MoreFields};
use odd::OddKeys;
use seen::{FieldSeen, Seen};
use times::{TimeFormat, TimeMeaning, TimeReader};

/// One event, as far as it matters here. Borrows from the line or from the parser's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key fields; see [`keys`] for how several are joined.
    pub key: &'a str,
    pub time: Timestamp,
    /// The arrival time, if a field for it was named.
    pub arrival: Option<Timestamp>,
    /// Empty if no field was named, or if it is missing in this record.
    pub value: &'a str,
    /// Which of [`MoreFields::marks`](more::MoreFields::marks) hold.
    pub marks: u8,
    /// Further fields; see [`more::values`].
    pub more: &'a str,
}

/// Reads records of one format.
pub trait Parser: Sized {
    /// Reads one record, given without its line end.
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject>;

    /// The same, of bytes that may be no text.
    fn parse<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Record<'a>, Reject> {
        self.parse_line(Line::Bytes(bytes))
    }

    /// Reads the first line of a text into a batch, if that can be done without looking for its end before. Gives its
    /// length with the line end.
    fn parse_first(&mut self, _text: &str, _line: u64, _batch: &mut Batch) -> Option<usize> {
        None
    }

    /// Reads the bytes that were framed as one: no record, one, or several. Each comes with its own bytes.
    #[inline]
    fn parse_each(&mut self, line: Line<'_>, mut each: impl FnMut(&[u8], Result<Record<'_>, Reject>)) {
        each(line.bytes(), self.parse_line(line));
    }

    /// The first record in an input, of which more may follow unless it `is_all`.
    #[inline]
    fn frame(&mut self, input: &[u8], is_all: bool) -> Frame {
        lines::frame(input, is_all, self)
    }

    /// Where the record ends that this line begins or continues. Asked for each line in turn.
    fn end(&mut self, _line: &[u8]) -> End {
        End::Here
    }

    /// Forgets that a record was going on: its end never came.
    fn give_up(&mut self) {}

    /// The findings in the records read.
    fn seen(&self) -> Seen {
        Seen::default()
    }
}

/// A record as it is read, which may be known to be text.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Line<'a> {
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// A part of it.
    #[inline]
    pub fn field(self, part: Range<usize>) -> Field<'a> {
        match self {
            Self::Text(text) => text.get(part).map_or(Field::NotUtf8, Field::Text),
            Self::Bytes(bytes) => Field::from_bytes(&bytes[part]),
        }
    }
}

impl<'a> Line<'a> {
    /// A part of it in a log, where a text is no value if it is empty, perhaps in quotes.
    #[inline]
    fn log_field(self, part: Range<usize>) -> Field<'a> {
        match self.field(part) {
            Field::Text("" | "\"\"") => Field::Absent("empty"),
            field => field,
        }
    }
}

/// Where a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this line.
    Here,
    /// In a later line.
    Later,
    /// Nowhere: no further line can make it right.
    Never,
}

/// What becomes of a record whose first key field holds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NoUser {
    /// The record cannot be used
    #[default]
    Refuse,
    /// All such records belong to one user, whose name is the empty text
    Keep,
}

/// The fields to look for, and the purpose of each.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The names, each once. A parser reports the field `i` for `names[i]`.
    pub names: Vec<String>,
    keys: Vec<(usize, KeyKind)>,
    time: (usize, TimeReader),
    arrival: Option<Box<(usize, TimeReader)>>,
    value: Option<usize>,
    more: Option<Box<More>>,
    no_user: NoUser,
    /// Whether no key field is declared an integer, and nothing beside key, time and value is asked for.
    is_usual: bool,
    /// The fields of key, time and value, as bits.
    usual: u64,
    /// Which fields any record had, and which any record lacked, as bits.
    found: Cell<u64>,
    lacked: Cell<u64>,
    empty_keys: Cell<u64>,
    /// Texts of the first key field that may mean another user than they seem to, or none.
    odd_keys: RefCell<OddKeys>,
    /// What helps if a field is in no record, and a note about the fields that are wanted.
    hints: Vec<(String, String)>,
    note: Option<String>,
}

/// The finding of a parser for one field.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    Text(&'a str),
    /// A number of JSON as it is written.
    Number(&'a str),
    /// Something that is not one plain value, a list or an object: its JSON, and its kind.
    Not(&'a str, &'static str),
    /// The format's way to say that there is no value, such as null or an empty cell.
    Absent(&'static str),
    Missing,
    /// A text without meaning, and why.
    Bad(&'static str),
    NotUtf8,
}

impl<'a> Field<'a> {
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        std::str::from_utf8(bytes).map_or(Self::NotUtf8, Self::Text)
    }
}

/// The bit of a field.
#[inline]
fn bit(index: usize) -> u64 {
    1 << (index & 63)
}

/// How logs write that there is no value.
const NOTHING: &str = "-";

impl Wanted {
    pub fn new(keys: &Columns, time: &str, arrival: Option<&str>, value: Option<&str>, meaning: &TimeMeaning) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut index_of = |name: &str| json::number_of(&mut names, name);
        let keys: Vec<_> = keys.key.iter().zip(&keys.kinds).map(|(name, kind)| (index_of(name), *kind)).collect();
        let time = index_of(time);
        let arrival = arrival.map(&mut index_of);
        let value = value.map(&mut index_of);
        let reader = |field| (field, TimeReader::new(meaning.clone()));
        let (time, arrival) = (reader(time), arrival.map(|field| Box::new(reader(field))));
        let is_usual = arrival.is_none() && keys.iter().all(|(_, kind)| *kind == KeyKind::Text);
        let usual = keys.iter().map(|(index, _)| *index).chain([time.0]).chain(value);
        let usual = usual.fold(0, |bits, index| bits | bit(index));
        let (found, lacked, empty_keys) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let (more, no_user, odd_keys) = (None, NoUser::Refuse, RefCell::default());
        let (hints, note) = (Vec::new(), None);
        Self {
            names,
            keys,
            time,
            arrival,
            value,
            more,
            no_user,
            is_usual,
            usual,
            found,
            lacked,
            empty_keys,
            odd_keys,
            hints,
            note,
        }
    }

    /// Leaves records out by conditions, and takes further fields along.
    #[must_use]
    pub fn more(mut self, only: &[Condition], except: &[Condition], more: &MoreFields) -> Self {
        let (names, (time, reader)) = (&mut self.names, &self.time);
        let meaning_of = |index| {
            let meaning = reader.meaning().clone();
            if index == *time { meaning } else { TimeMeaning { format: TimeFormat::Auto, ..meaning } }
        };
        self.more = More::new(only, except, more, |name| json::number_of(names, name), meaning_of);
        self.is_usual &= self.more.is_none();
        self
    }

    /// Whether a field is a part of the key.
    fn has_key(&self, name: &str) -> bool {
        self.keys.iter().any(|(index, _)| self.names[*index] == name)
    }

    /// What helps if a field is in no record, and a note about the fields that are wanted.
    #[must_use]
    pub fn informed(self, hints: Vec<(String, String)>, note: Option<String>) -> Self {
        Self { hints, note, ..self }
    }

    /// What becomes of records without a user.
    #[must_use]
    pub fn no_user(mut self, no_user: NoUser) -> Self {
        self.no_user = no_user;
        self
    }

    /// The format of times of arrival, if it is another than that of times of events.
    #[must_use]
    pub fn arrival_meaning(mut self, meaning: TimeMeaning) -> Self {
        if let Some(arrival) = &mut self.arrival {
            arrival.1 = TimeReader::new(meaning);
        }
        self
    }

    /// Adds the record of fields that are parts of a text and have no control characters, as nearly all have. Nothing is
    /// added if one is missing or means anything but itself, or if more is asked for: then [`record`](Self::record)
    /// decides. `time` is that of the event, if it has been read.
    #[inline(always)]
    pub fn add_usual(
        &self,
        batch: &mut Batch,
        line: u64,
        text: &str,
        time: Option<Timestamp>,
        place: impl Fn(usize) -> Option<Range<usize>>,
    ) -> Option<()> {
        if !self.is_usual {
            return None;
        }
        let value = self.value.map_or(Some(0..0), &place)?;
        let first = place(self.keys.first()?.0)?;
        if odd::may_be(text.as_bytes().get(first.clone())?) {
            return None;
        }
        let (index, reader) = &self.time;
        let time = match time {
            Some(time) => time,
            None => reader.read(text.get(place(*index)?)?)?,
        };
        let others = self.keys.iter().skip(1).map(|(index, _)| place(*index));
        batch.add_parts(line, time, text.as_bytes(), first, others, value)?;
        self.found.set(self.found.get() | self.usual);
        Some(())
    }

    /// Makes the record of the fields found. `joined` is a buffer for keys that are not one text of the record.
    #[inline]
    pub fn record<'a>(&self, joined: &'a mut String, field: impl Fn(usize) -> Field<'a>) -> Result<Record<'a>, Reject> {
        match &self.more {
            None => self.plain_record(joined, field),
            Some(more) => self.record_with(more, joined, &field),
        }
    }

    fn record_with<'a>(
        &self,
        more: &More,
        joined: &'a mut String,
        field: &impl Fn(usize) -> Field<'a>,
    ) -> Result<Record<'a>, Reject> {
        for index in more.filters() {
            self.value(index, field(index))?;
        }
        if !more.admits(field) {
            more.further().for_each(|index| self.note_nothing(index, field(index)));
            return Err(Reject::LeftOut);
        }
        for index in more.further() {
            self.value(index, field(index))?;
        }
        let mut spare = more.spare.0.take();
        joined.clear();
        #[allow(clippy::redundant_closure, reason = "it shortens the lifetime of what it gives")]
        let plain = self.plain_record(&mut spare, |index| field(index)).map(|Record { key, time, arrival, .. }| {
            joined.push_str(key);
            (time, arrival)
        });
        more.spare.0.set(spare);
        let (time, arrival) = plain?;
        let value = self.value.map_or(Ok(""), |value| self.value(value, field(value)))?;
        let key = joined.len();
        more.push(joined, field);
        let (key, further) = joined.split_at(key);
        Ok(Record { key, time, arrival, value, marks: more.marks(field), more: further })
    }

    #[inline]
    fn plain_record<'a>(
        &self,
        joined: &'a mut String,
        field: impl Fn(usize) -> Field<'a>,
    ) -> Result<Record<'a>, Reject> {
        let mut first = "";
        let key = match self.keys[..] {
            [(only, KeyKind::Text)] => match field(only) {
                Field::Text(text) if text != NOTHING => {
                    self.note_found(only);
                    first = text;
                    text
                }
                other => {
                    joined.clear();
                    self.push_key(joined, 0, only, KeyKind::Text, other)?;
                    joined.as_str()
                }
            },
            _ => {
                joined.clear();
                for (i, &(key, kind)) in self.keys.iter().enumerate() {
                    match field(key) {
                        Field::Text(text) if kind == KeyKind::Text && (i > 0 || text != NOTHING) => {
                            self.note_found(key);
                            first = if i == 0 { text } else { first };
                            keys::push_text(joined, i, text);
                        }
                        other => self.push_key(joined, i, key, kind, other)?,
                    }
                }
                joined.as_str()
            }
        };
        let record = Record {
            key,
            time: self.instant(&self.time, &field)?,
            arrival: self.arrival.as_deref().map(|arrival| self.instant(arrival, &field)).transpose()?,
            value: self.value.map_or(Ok(""), |value| self.value(value, field(value)))?,
            marks: 0,
            more: "",
        };
        if key.is_empty() {
            self.empty_keys.set(self.empty_keys.get() + 1);
        }
        if !first.is_empty() && odd::may_be(first.as_bytes()) {
            self.note_odd(first);
        }
        Ok(record)
    }

    #[inline]
    fn note_found(&self, index: usize) {
        self.found.set(self.found.get() | bit(index));
    }

    #[inline]
    fn note_lacked(&self, index: usize) {
        self.lacked.set(self.lacked.get() | bit(index));
    }

    #[cold]
    fn note_odd(&self, key: &str) {
        self.odd_keys.borrow_mut().note(key);
    }

    /// That a field holds nothing.
    fn note_nothing(&self, index: usize, field: Field<'_>) {
        if matches!(field, Field::Missing) { self.note_lacked(index) } else { self.note_found(index) }
    }

    /// Appends one field of a key.
    #[inline]
    fn push_key(
        &self,
        key: &mut String,
        i: usize,
        index: usize,
        kind: KeyKind,
        field: Field<'_>,
    ) -> Result<(), Reject> {
        match field {
            Field::Text(text) if i > 0 || text != NOTHING => {
                self.note_found(index);
                keys::push(key, i, text, kind).map_err(|_| self.not_integer(index, text))
            }
            other => self.push_other(key, i, index, kind, other),
        }
    }

    /// The same of a field that is not simply a text.
    #[cold]
    fn push_other(
        &self,
        key: &mut String,
        i: usize,
        index: usize,
        kind: KeyKind,
        field: Field<'_>,
    ) -> Result<(), Reject> {
        let text = match field {
            Field::Text(_) => return self.push_nothing(key, i, index, kind, Field::Absent("-")),
            Field::Number(json) => {
                numbers::canonical(json).map_err(|what| Reject::Not { field: self.names[index].clone(), what })?
            }
            Field::Absent(_) | Field::Missing => return self.push_nothing(key, i, index, kind, field),
            other => return Err(self.not_text(index, other)),
        };
        self.note_found(index);
        keys::push(key, i, &text, kind).map_err(|_| self.not_integer(index, &text))
    }

    #[cold]
    fn push_nothing(
        &self,
        key: &mut String,
        i: usize,
        index: usize,
        kind: KeyKind,
        nothing: Field<'_>,
    ) -> Result<(), Reject> {
        if (i == 0 && self.no_user == NoUser::Refuse) || kind == KeyKind::Integer {
            return Err(self.not_text(index, nothing));
        }
        self.note_nothing(index, nothing);
        keys::push(key, i, "", kind).map_err(|_| self.not_integer(index, ""))
    }

    #[cold]
    fn not_integer(&self, index: usize, text: &str) -> Reject {
        Reject::NotInteger { field: self.names[index].clone(), text: reject::start_of(text) }
    }

    #[cold]
    fn not_text(&self, index: usize, field: Field<'_>) -> Reject {
        self.note_nothing(index, field);
        let name = || self.names[index].clone();
        match field {
            Field::Text(_) | Field::Number(_) | Field::Missing => Reject::Missing { field: name() },
            Field::Absent(what) | Field::Not(_, what) | Field::Bad(what) => Reject::Not { field: name(), what },
            Field::NotUtf8 => Reject::NotUtf8 { field: Some(name()) },
        }
    }

    #[inline]
    fn value<'a>(&self, index: usize, field: Field<'a>) -> Result<&'a str, Reject> {
        match field {
            Field::Text(text) | Field::Number(text) | Field::Not(text, _) => {
                self.note_found(index);
                Ok(text)
            }
            Field::Absent(_) => {
                self.note_found(index);
                Ok("")
            }
            Field::Missing => {
                self.note_lacked(index);
                Ok("")
            }
            Field::Bad(_) | Field::NotUtf8 => Err(self.not_text(index, field)),
        }
    }

    #[inline]
    fn instant<'a>(
        &self,
        (index, reader): &(usize, TimeReader),
        field: &impl Fn(usize) -> Field<'a>,
    ) -> Result<Timestamp, Reject> {
        let text = match field(*index) {
            Field::Text(text) | Field::Number(text) => text,
            other => return Err(self.not_text(*index, other)),
        };
        self.note_found(*index);
        reader.read(text).ok_or_else(|| self.not_time(*index, reader, text))
    }

    #[cold]
    fn not_time(&self, index: usize, reader: &TimeReader, text: &str) -> Reject {
        let hint = reader.hint(text);
        Reject::Time { field: self.names[index].clone(), text: reject::start_of(text), hint }
    }

    /// The findings in the records read.
    pub fn seen(&self) -> Seen {
        let has = |bits: &Cell<u64>, index: usize| bits.get() & bit(index) != 0;
        let field = |(index, name): (usize, &String)| FieldSeen {
            name: name.clone(),
            is_found: has(&self.found, index),
            is_lacked: has(&self.lacked, index),
        };
        let fields = self.names.iter().enumerate().map(field).collect();
        let times = std::iter::once(&self.time).chain(self.arrival.as_deref());
        let times = times.map(|(index, reader)| (self.names[*index].clone(), reader.seen())).collect();
        let key = self.keys.first().map(|(index, _)| self.names[*index].clone()).unwrap_or_default();
        let idle = self.more.iter().flat_map(|more| more.idle()).collect();
        let odd_keys = self.odd_keys.borrow().clone();
        let (empty_keys, hints, note) = (self.empty_keys.get(), self.hints.clone(), self.note.clone());
        Seen { fields, times, empty_keys, odd_keys, idle, key, hints, note, ..Seen::default() }
    }
}
