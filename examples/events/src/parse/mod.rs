//! From the bytes of one record to an event: the edge where anything may come in.
//!
//! Each format has a [`Parser`]. It finds the wanted fields and hands them to
//! [`Wanted::record`], which is the same for all formats. No input makes a parser panic; what
//! cannot be used comes back as a [`Reject`] that says why.
//!
//! A key is compared as text: the number `1` and the string `"1"` are the same user. A key field that
//! is declared as an integer is compared as that.

pub mod combined;
pub mod condition;
pub mod csv;
mod flat;
pub mod json;
pub mod jsonl;
pub mod keys;
pub mod more;
mod reject;
pub mod row;
pub mod times;
mod tree;

pub use reject::{Reject, start_of};

use std::ops::Range;

use stagger::Timestamp;

use crate::columns::{Columns, KeyKind};
use condition::Condition;
use more::{More, MoreFields};
use times::{Recent, TimeFormat};

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
pub trait Parser {
    /// Reads one record, given without its line end.
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject>;

    /// The same, of bytes that may be no text.
    fn parse<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Record<'a>, Reject> {
        self.parse_line(Line::Bytes(bytes))
    }

    /// Reads the first line of a text, if that can be done without looking for its end before. Gives
    /// its length, with the line end, too.
    fn parse_first<'a>(&'a mut self, _text: &'a str) -> Option<(usize, Record<'a>)> {
        None
    }

    /// Where the record ends that this line begins or continues. Asked for each line in turn.
    fn end(&mut self, _line: &[u8]) -> End {
        End::Here
    }

    /// Forgets that a record was going on: its end never came.
    fn give_up(&mut self) {}
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

/// The fields to look for, and what each is for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The names, each once. A parser reports the field `i` for `names[i]`.
    pub names: Vec<String>,
    keys: Vec<(usize, KeyKind)>,
    time: usize,
    arrival: Option<usize>,
    value: Option<usize>,
    format: TimeFormat,
    recent: Recent,
    more: Option<Box<More>>,
}

/// What a parser found for one field.
#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    Text(&'a str),
    Missing,
    Null,
    NotUtf8,
    /// Something that is not one plain value: a list, an object.
    Not(&'static str),
}

impl<'a> Field<'a> {
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        std::str::from_utf8(bytes).map_or(Self::NotUtf8, Self::Text)
    }
}

impl Wanted {
    pub fn new(keys: &Columns, time: &str, arrival: Option<&str>, value: Option<&str>, format: TimeFormat) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut index_of = |name: &str| {
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let keys = keys.key.iter().zip(&keys.kinds).map(|(name, kind)| (index_of(name), *kind)).collect();
        let time = index_of(time);
        let arrival = arrival.map(&mut index_of);
        let value = value.map(&mut index_of);
        Self { names, keys, time, arrival, value, format, recent: Recent::default(), more: None }
    }

    /// Leaves records out by conditions, and takes further fields along.
    #[must_use]
    pub fn more(mut self, only: &[Condition], except: &[Condition], more: &MoreFields) -> Self {
        let names = &mut self.names;
        self.more = More::new(only, except, more, |name| {
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        });
        self
    }

    /// Makes the record of the fields found. `joined` is a buffer for keys of several fields.
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
        if !more.admits(field) {
            return Err(Reject::LeftOut);
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
        let value = self.value.map_or(Ok(""), |value| self.text_or_nothing(value, field))?;
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
        let key = match self.keys[..] {
            [(only, KeyKind::Text)] => self.text(only, &field)?,
            _ => {
                joined.clear();
                for (i, &(key, kind)) in self.keys.iter().enumerate() {
                    let text = self.text(key, &field)?;
                    keys::push(joined, i, text, kind).map_err(|_| self.not_integer(key, text))?;
                }
                joined.as_str()
            }
        };
        Ok(Record {
            key,
            time: self.instant(self.time, &field)?,
            arrival: self.arrival.map(|arrival| self.instant(arrival, &field)).transpose()?,
            value: self.value.map_or(Ok(""), |value| self.text_or_nothing(value, &field))?,
            marks: 0,
            more: "",
        })
    }

    #[inline]
    fn text<'a>(&self, index: usize, field: &impl Fn(usize) -> Field<'a>) -> Result<&'a str, Reject> {
        match field(index) {
            Field::Text(text) => Ok(text),
            other => Err(self.not_text(index, other)),
        }
    }

    #[cold]
    fn not_integer(&self, index: usize, text: &str) -> Reject {
        Reject::NotInteger { field: self.names[index].clone(), text: reject::start_of(text) }
    }

    #[cold]
    fn not_text(&self, index: usize, field: Field<'_>) -> Reject {
        let name = || self.names[index].clone();
        match field {
            Field::Text(_) | Field::Missing => Reject::Missing { field: name() },
            Field::Null => Reject::Not { field: name(), what: "null" },
            Field::NotUtf8 => Reject::NotUtf8 { field: Some(name()) },
            Field::Not(what) => Reject::Not { field: name(), what },
        }
    }

    #[inline]
    fn text_or_nothing<'a>(&self, index: usize, field: &impl Fn(usize) -> Field<'a>) -> Result<&'a str, Reject> {
        match field(index) {
            Field::Missing | Field::Null => Ok(""),
            _ => self.text(index, field),
        }
    }

    #[inline]
    fn instant<'a>(&self, index: usize, field: &impl Fn(usize) -> Field<'a>) -> Result<Timestamp, Reject> {
        let text = self.text(index, field)?;
        self.format
            .parse_after(text, &self.recent)
            .ok_or_else(|| Reject::Time { field: self.names[index].clone(), text: reject::start_of(text) })
    }
}
