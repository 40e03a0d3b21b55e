//! The form in which a session keeps its key and its first and last event.

use std::fmt;

use compact_str::CompactString;
use stagger::{Event, Key, SessionSummary, Value};

use serde::{Deserialize, Serialize};

use crate::facts::Kept;

/// A text that lies within its 24 bytes if it has at most that many of its own. With millions of
/// open sessions that saves three allocations for each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Text(CompactString);

impl Text {
    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    #[inline]
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Key for Text {
    type Ref<'a> = &'a str;

    fn key_from(lent: &str) -> Self {
        lent.into()
    }

    fn key_ref(&self) -> &str {
        self.as_str()
    }

    fn key_eq(&self, lent: &str) -> bool {
        self.as_str() == lent
    }
}

impl Value for Text {
    type Ref<'a> = &'a str;

    fn value_from(lent: &str) -> Self {
        lent.into()
    }

    fn value_ref(&self) -> &str {
        self.as_str()
    }
}

/// Where an event was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which of the inputs, from 0.
    pub(crate) input: u32,
    /// Which line, from 1.
    pub(crate) line: u64,
}

/// The part of an event beside its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    pub(crate) place: Place,
    /// Which conditions hold for it, bit by bit.
    pub(crate) marks: u8,
    /// Further fields.
    pub(crate) more: &'a str,
}

/// The same, kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeptOrigin {
    place: Place,
    marks: u8,
    more: Text,
}

impl Value for KeptOrigin {
    type Ref<'a> = Origin<'a>;

    fn value_from(lent: Origin<'_>) -> Self {
        Self { place: lent.place, marks: lent.marks, more: lent.more.into() }
    }

    fn value_ref(&self) -> Origin<'_> {
        Origin { place: self.place, marks: self.marks, more: self.more.as_str() }
    }
}

/// In the place of an [`Origin`] that events lend but nobody asks for: sessions do not keep it. That
/// saves some words for the first and for the last event of each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unkept;

impl Value for Unkept {
    type Ref<'a> = Origin<'a>;

    fn value_from(_: Origin<'_>) -> Self {
        Self
    }

    /// Of an event that was held for a while. Only a rule or an aggregate would see it.
    fn value_ref(&self) -> Origin<'_> {
        Origin { place: Place { input: 0, line: 0 }, marks: 0, more: "" }
    }
}

/// An event as it is pushed: with the `--value` field and where it was read.
pub(crate) type EventRef<'a> = Event<&'a str, (&'a str, Origin<'a>)>;

/// The kept form of the value of an event, by the aggregate of the session.
pub(crate) type Payload<O> = (Text, <O as Kept>::Origin);

/// A summary. `O` is `()`, or [`Facts`](crate::facts::Facts) where an option asks for them.
pub(crate) type Summary<O> = SessionSummary<Text, Payload<O>, O>;
