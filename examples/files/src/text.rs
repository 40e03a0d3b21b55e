//! What a session keeps of its key and of its first and last event.

use std::fmt;

use compact_str::CompactString;
use stagger::{Event, Key, SessionSummary, Value};

use crate::side::Members;

/// A text that lies within its 24 bytes if it has at most that many of its own. With millions of
/// open sessions that saves three allocations for each.
#[derive(Clone)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the inputs, from 0.
    pub(crate) input: u32,
    /// Which line, from 1.
    pub(crate) line: u64,
}

impl Value for Place {
    type Ref<'a> = Self;

    fn value_from(lent: Self) -> Self {
        lent
    }

    fn value_ref(&self) -> Self {
        *self
    }
}

/// In the place of a [`Place`] that events lend but nobody asks for: sessions do not keep it. That
/// saves two words for the first and two for the last event of each.
#[derive(Clone)]
pub(crate) struct Unkept;

impl Value for Unkept {
    type Ref<'a> = Place;

    fn value_from(_: Place) -> Self {
        Self
    }

    /// Of an event that was held for a while. Only an aggregate would see it.
    fn value_ref(&self) -> Place {
        Place { input: 0, line: 0 }
    }
}

/// An event as it is pushed: with the `--value` field and where it was read.
pub(crate) type EventRef<'a> = Event<&'a str, (&'a str, Place)>;

/// What a session keeps of the value of an event, by what is made of all of them.
pub(crate) type Payload<O> = (Text, <O as Members>::Place);

/// What comes out. `O` is `()`, or the list of events if `--events` asks for it.
pub(crate) type Summary<O> = SessionSummary<Text, Payload<O>, O>;
