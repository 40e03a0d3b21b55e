//! The key fields of a row: the parts of a key that is one text, under their names.

use std::borrow::Cow;

use events::columns::{Columns, KeyKind};
use events::parse::keys;
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// The key fields under their names.
#[derive(Clone, Copy, Debug)]
pub struct KeyFields<'a> {
    pub columns: &'a Columns,
    pub key: &'a str,
}

impl<'a> KeyFields<'a> {
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, KeyField<'a>)> + use<'a> {
        self.columns.key.iter().map(String::as_str).zip(fields(self.key, &self.columns.kinds))
    }
}

impl Serialize for KeyFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// The fields of a key (see [`keys`]).
pub fn fields<'a>(key: &'a str, kinds: &'a [KeyKind]) -> impl Iterator<Item = KeyField<'a>> {
    keys::split(key, kinds.len()).zip(kinds).map(|(text, kind)| KeyField { text, kind: *kind })
}

/// A key field: a number if it was declared as one.
#[derive(Clone, Debug)]
pub struct KeyField<'a> {
    text: Cow<'a, str>,
    kind: KeyKind,
}

impl KeyField<'_> {
    fn integer(&self) -> Option<i64> {
        if self.kind == KeyKind::Integer { self.text.parse().ok() } else { None }
    }

    fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn value(&self) -> Value {
        self.integer().map_or_else(|| self.text().into(), Value::from)
    }
}

impl Serialize for KeyField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.integer() {
            Some(number) => serializer.serialize_i64(number),
            None => serializer.serialize_str(&self.text),
        }
    }
}
