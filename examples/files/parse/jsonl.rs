//! JSON lines: one object per line.
//!
//! Only the wanted fields are kept; everything else is checked and skipped without building
//! anything. A field `a.b` is one whose own name is `a.b`, or else `b` within the object `a`. Of a
//! name that occurs twice in one object the last one counts. Numbers are taken as text; one that is
//! too large to be read exactly is rejected rather than rounded, since two users might become one.

use std::fmt::{self, Write as _};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::flat::{self, Visit, Walker};
use super::{Field, Line, Parser, Record, Reject, Wanted};

pub(crate) struct Jsonl {
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
    pub(crate) fn new(wanted: Wanted) -> Self {
        let is_deep = wanted.names.iter().any(|name| name.split('.').count() > DEEP);
        let quick = (!is_deep).then(Walker::default);
        Self { quick, ..Self::thorough(wanted) }
    }

    /// Reads every line with `serde_json`, which is what decides.
    pub(crate) fn thorough(wanted: Wanted) -> Self {
        let mut tree = Tree::new();
        let count = wanted.names.len();
        for (slot, name) in wanted.names.iter().enumerate() {
            tree.add(name.split('.'), slot);
            if name.contains('.') {
                tree.add([name.as_str()].into_iter(), count + slot);
            }
        }
        let slots = Slots { text: String::new(), found: vec![Found::Missing; 2 * count] };
        Self { wanted, tree, slots, joined: String::new(), quick: None }
    }

    /// Fills the slots the quick way, if the line is of that kind.
    fn walk(&mut self, line: &str) -> Option<()> {
        let walker = self.quick.as_mut()?;
        self.slots.clear();
        walker.walk(line, ROOT, &mut Plain { tree: &self.tree, slots: &mut self.slots })
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
        if self.walk(line).is_none() {
            self.deserialize(line)?;
        }
        self.wanted.record(&mut self.joined, |index| self.slots.field(index, line))
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
struct Tree {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    name: String,
    slot: Option<usize>,
    children: Vec<usize>,
}

/// The node of the whole object.
const ROOT: usize = 0;

impl Tree {
    fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    fn add<'n>(&mut self, path: impl Iterator<Item = &'n str>, slot: usize) {
        let mut node = ROOT;
        for name in path {
            node = self.child(node, name).unwrap_or_else(|| {
                self.nodes.push(Node { name: name.to_owned(), ..Node::default() });
                let child = self.nodes.len() - 1;
                self.nodes[node].children.push(child);
                child
            });
        }
        self.nodes[node].slot = Some(slot);
    }

    fn child(&self, node: usize, name: &str) -> Option<usize> {
        self.nodes[node].children.iter().copied().find(|child| self.nodes[*child].name == name)
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
    /// A part of the line.
    InLine(Range<usize>),
    Not(&'static str),
}

impl Slots {
    fn clear(&mut self) {
        self.text.clear();
        self.found.fill(Found::Missing);
    }

    #[inline]
    fn field<'a>(&'a self, index: usize, line: &'a str) -> Field<'a> {
        let (by_path, by_name) = self.found.split_at(self.found.len() / 2);
        let found = if matches!(by_name[index], Found::Missing) { &by_path[index] } else { &by_name[index] };
        match found {
            Found::Missing => Field::Missing,
            Found::Null => Field::Null,
            Found::Text(range) => Field::Text(&self.text[range.clone()]),
            Found::InLine(range) => Field::Text(&line[range.clone()]),
            Found::Not(what) => Field::Not(what),
        }
    }

    /// Takes what was found at a node, if it is wanted.
    #[inline]
    fn set(&mut self, node: &Node, found: Found) {
        if let Some(slot) = node.slot {
            self.found[slot] = found;
        }
    }

    /// What an earlier field of the same name held is gone.
    fn forget(&mut self, tree: &Tree, node: usize) {
        let node = &tree.nodes[node];
        self.set(node, Found::Missing);
        for child in &node.children {
            self.forget(tree, *child);
        }
    }
}

/// What a quick walk puts into the slots.
struct Plain<'t, 's> {
    tree: &'t Tree,
    slots: &'s mut Slots,
}

impl Visit for Plain<'_, '_> {
    fn field(&mut self, node: usize, name: &str) -> Option<usize> {
        self.tree.child(node, name)
    }

    fn goes_deeper(&self, node: usize) -> bool {
        !self.tree.nodes[node].children.is_empty()
    }

    #[inline]
    fn begin(&mut self, node: usize) {
        if self.goes_deeper(node) {
            self.slots.forget(self.tree, node); // of the others only the slot is to be set
        }
    }

    #[inline]
    fn value(&mut self, node: usize, value: flat::Value) {
        let found = match value {
            flat::Value::Text(range) => Found::InLine(range),
            flat::Value::Null => Found::Null,
            flat::Value::Object => Found::Not("an object"),
        };
        self.slots.set(&self.tree.nodes[node], found);
    }
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
        self.slots.set(&self.tree.nodes[self.node], found);
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
