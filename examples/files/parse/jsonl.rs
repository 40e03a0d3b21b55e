//! JSON lines: one object per line.
//!
//! Only the wanted fields are kept; everything else is checked and skipped without building
//! anything. A field `a.b` is one whose own name is `a.b`, or else `b` within the object `a`. Of a
//! name that occurs twice in one object the last one counts. Numbers are taken as text; one that is
//! too large to be read exactly is rejected rather than rounded, since two users might become one.

use std::fmt::{self, Write as _};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Field, Parser, Record, Reject, Wanted};

pub(crate) struct Jsonl {
    wanted: Wanted,
    tree: Node,
    slots: Slots,
    joined: String,
}

impl Jsonl {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let mut tree = Node::default();
        let count = wanted.names.len();
        for (slot, name) in wanted.names.iter().enumerate() {
            tree.add(name.split('.'), slot);
            if name.contains('.') {
                tree.add([name.as_str()].into_iter(), count + slot);
            }
        }
        let slots = Slots { text: String::new(), found: vec![Found::Missing; 2 * count] };
        Self { wanted, tree, slots, joined: String::new() }
    }
}

impl Parser for Jsonl {
    fn parse<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Record<'a>, Reject> {
        let line = std::str::from_utf8(bytes).map_err(|_| Reject::NotUtf8 { field: None })?;
        self.slots.clear();
        let mut json = serde_json::Deserializer::from_str(line);
        let root = Root { node: &self.tree, slots: &mut self.slots };
        root.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| reject(&error))?;
        self.wanted.record(&mut self.joined, |index| self.slots.field(index))
    }
}

/// The parser counts lines too; here there is only one.
fn reject(error: &serde_json::Error) -> Reject {
    if error.is_data() {
        return Reject::NotAnObject;
    }
    Reject::NotJson { what: error.to_string().replace(" at line 1 ", " at ") }
}

/// The wanted names as a tree, one level for each level of the object.
#[derive(Default)]
struct Node {
    name: String,
    slot: Option<usize>,
    children: Vec<Node>,
}

impl Node {
    fn add<'n>(&mut self, mut path: impl Iterator<Item = &'n str>, slot: usize) {
        let Some(name) = path.next() else {
            self.slot = Some(slot);
            return;
        };
        let known = self.children.iter().position(|child| child.name == name);
        let index = known.unwrap_or_else(|| {
            self.children.push(Self { name: name.to_owned(), ..Self::default() });
            self.children.len() - 1
        });
        self.children[index].add(path, slot);
    }

    /// What an earlier field of the same name held is gone.
    fn forget(&self, slots: &mut Slots) {
        if let Some(slot) = self.slot {
            slots.found[slot] = Found::Missing;
        }
        for child in &self.children {
            child.forget(slots);
        }
    }
}

/// The wanted values of the line at hand.
struct Slots {
    text: String,
    /// For each wanted name what was found at the end of its path, then for each what was found
    /// under the dotted name itself.
    found: Vec<Found>,
}

#[derive(Clone)]
enum Found {
    Missing,
    Null,
    /// A part of `Slots::text`.
    Text(Range<usize>),
    Not(&'static str),
}

impl Slots {
    fn clear(&mut self) {
        self.text.clear();
        self.found.fill(Found::Missing);
    }

    fn field(&self, index: usize) -> Field<'_> {
        let (by_path, by_name) = self.found.split_at(self.found.len() / 2);
        let found = if matches!(by_name[index], Found::Missing) { &by_path[index] } else { &by_name[index] };
        match found {
            Found::Missing => Field::Missing,
            Found::Null => Field::Null,
            Found::Text(range) => Field::Text(&self.text[range.clone()]),
            Found::Not(what) => Field::Not(what),
        }
    }
}

/// The whole line, which must be an object.
struct Root<'n, 's> {
    node: &'n Node,
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
        while let Some(child) = map.next_key_seed(Name(self.node))? {
            match child {
                Some(node) => map.next_value_seed(Inner { node, slots: self.slots })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The name of a field: the child of that name, if it is wanted.
struct Name<'n>(&'n Node);

impl<'de, 'n> DeserializeSeed<'de> for Name<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Name<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|child| child.name == name))
    }
}

/// The value of a wanted field, or of an object on the way to one.
struct Inner<'n, 's> {
    node: &'n Node,
    slots: &'s mut Slots,
}

impl Inner<'_, '_> {
    fn found(self, found: Found) {
        if let Some(slot) = self.node.slot {
            self.slots.found[slot] = found;
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
        self.node.forget(self.slots);
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
        let Self { node, slots } = self;
        Root { node, slots }.visit_map(map)?;
        Inner { node, slots }.found(Found::Not("an object"));
        Ok(())
    }
}
