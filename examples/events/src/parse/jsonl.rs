//! JSON lines: one object per line.
//!
//! Only the wanted fields are kept; everything else is checked and skipped without building
//! anything. A field `a.b` is one whose own name is `a.b`, or else `b` within the object `a`. Of a
//! name that occurs twice in one object the last one counts. Numbers are taken as text; one that is
//! too large to be read exactly is rejected rather than rounded, since two users might become one.

use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::flat::Walker;
use super::tree::{Found, ROOT, Slots, Tree};
use super::{Line, Parser, Record, Reject, Wanted};

pub struct Jsonl {
    wanted: Wanted,
    tree: Tree,
    slots: Slots,
    joined: String,
    /// Lines are tried the quick way first. Not where the tests ask for the other alone.
    quick: Option<Walker>,
}

/// So many levels are too many for the library, or nearly. It shall say so.
const DEEP: usize = 100;

impl Jsonl {
    pub fn new(wanted: Wanted) -> Self {
        let is_deep = wanted.names.iter().any(|name| name.split('.').count() > DEEP);
        let quick = (!is_deep).then(Walker::default);
        Self { quick, ..Self::thorough(wanted) }
    }

    /// Reads every line with `serde_json`, which is what decides.
    pub fn thorough(wanted: Wanted) -> Self {
        let (tree, slots) = (Tree::new(&wanted.names), Slots::new(&wanted.names));
        Self { wanted, tree, slots, joined: String::new(), quick: None }
    }

    /// Fills the slots by the library.
    #[cold]
    fn deserialize(&mut self, line: &str) -> Result<(), Reject> {
        self.slots.clear();
        let mut json = serde_json::Deserializer::from_str(line);
        let root = Root { tree: &self.tree, node: ROOT, slots: &mut self.slots };
        root.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| reject(&error))
    }
}

impl Parser for Jsonl {
    fn parse_line<'a>(&'a mut self, line: Line<'a>) -> Result<Record<'a>, Reject> {
        let line = match line {
            Line::Text(text) => text,
            Line::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| Reject::NotUtf8 { field: None })?,
        };
        let quick = self.quick.as_mut().and_then(|quick| quick.read(line, &self.tree, &mut self.slots));
        if quick.is_none() {
            self.deserialize(line)?;
        }
        self.wanted.record(&mut self.joined, |index| self.slots.field(index, line))
    }

    #[inline]
    fn parse_first<'a>(&'a mut self, text: &'a str) -> Option<(usize, Record<'a>)> {
        self.slots.clear();
        let end = self.quick.as_ref()?.read_alike(text, &self.tree, &mut self.slots)?;
        let line_end = match text.as_bytes()[end..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        let record = self.wanted.record(&mut self.joined, |index| self.slots.field(index, text)).ok()?;
        Some((end + line_end, record))
    }
}

/// The parser counts lines too; here there is only one.
fn reject(error: &serde_json::Error) -> Reject {
    if error.is_data() {
        return Reject::NotAnObject;
    }
    Reject::NotJson { what: error.to_string().replace(" at line 1 ", " at ") }
}

/// The whole line, which must be an object.
struct Root<'t, 's> {
    tree: &'t Tree,
    node: usize,
    slots: &'s mut Slots,
}

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { tree, node, slots } = self;
        while let Some(child) = map.next_key_seed(Name { tree, node })? {
            match child {
                Some(node) => map.next_value_seed(Inner { tree, node, slots })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The name of a field: the child of that name, if it is wanted.
struct Name<'t> {
    tree: &'t Tree,
    node: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.tree.child(self.node, name))
    }
}

/// The value of a wanted field, or of an object on the way to one.
struct Inner<'t, 's> {
    tree: &'t Tree,
    node: usize,
    slots: &'s mut Slots,
}

impl Inner<'_, '_> {
    fn found(self, found: Found) {
        if let Some(slot) = self.tree.slot(self.node) {
            self.slots.set(slot, found);
        }
    }

    fn text(self, text: fmt::Arguments<'_>) {
        let start = self.slots.text.len();
        let _ = self.slots.text.write_fmt(text); // a String takes everything
        let range = start..self.slots.text.len();
        self.found(Found::Text(range));
    }
}

impl<'de> DeserializeSeed<'de> for Inner<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.slots.forget(self.tree, self.node);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inner<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let start = self.slots.text.len();
        self.slots.text.push_str(text);
        let range = start..self.slots.text.len();
        self.found(Found::Text(range));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.text(format_args!("{number}"));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.text(format_args!("{number}"));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        const EXACT: f64 = (1_u64 << 53) as f64;
        if number.abs() < EXACT {
            self.text(format_args!("{number}"));
        } else {
            self.found(Found::Not("a number too large to be read exactly"));
        }
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.text(format_args!("{value}"));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.found(Found::Null);
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.found(Found::Not("a list"));
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<(), M::Error> {
        let Self { tree, node, slots } = self;
        Root { tree, node, slots }.visit_map(map)?;
        Inner { tree, node, slots }.found(Found::Not("an object"));
        Ok(())
    }
}
