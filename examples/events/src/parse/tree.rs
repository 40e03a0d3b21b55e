//! The wanted names as a tree, and the values of a line under them.

use std::borrow::Cow;
use std::ops::Range;

use super::Field;
use super::json::{NO_ESCAPE, name_of, unquoted};

/// One level for each level of the object. Nodes have numbers.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    name: String,
    slot: Option<usize>,
    children: Vec<usize>,
}

/// The node of the whole object.
pub(super) const ROOT: usize = 0;

impl Tree {
    pub(super) fn new(names: &[String]) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        for (slot, name) in names.iter().enumerate() {
            tree.add(name.split('.'), slot);
            if name.contains('.') {
                tree.add([name.as_str()].into_iter(), names.len() + slot);
            }
        }
        tree
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

    /// The node for a field of the object at a node, if anything about it is wanted.
    pub(super) fn child(&self, node: usize, name: &str) -> Option<usize> {
        self.nodes[node].children.iter().copied().find(|child| self.nodes[*child].name == name)
    }

    /// Whether fields of an object at that node are wanted.
    pub(super) fn goes_deeper(&self, node: usize) -> bool {
        !self.nodes[node].children.is_empty()
    }

    /// The slot for the value at a node, if that itself is wanted.
    pub(super) fn slot(&self, node: usize) -> Option<usize> {
        self.nodes[node].slot
    }
}

/// The wanted values of the line at hand.
pub(super) struct Slots {
    /// Texts that do not lie in the line as they are.
    pub(super) text: String,
    /// For each wanted name the value at the end of its path. If any has a dot, then for each
    /// the value under the dotted name itself.
    found: Vec<Found>,
    count: usize,
    is_dotted: bool,
}

/// A value, by its kind and its place.
#[derive(Clone)]
pub(super) struct Found {
    kind: Kind,
    place: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Null,
    /// A part of `Slots::text`.
    Text,
    /// A part of the line.
    InLine,
    /// A number that may have another spelling, as a part of the line.
    Number,
    /// A list or an object, as a part of the line.
    Not,
    /// A text with an escape sequence without meaning.
    Bad,
}

impl Found {
    pub(super) const MISSING: Self = Self { kind: Kind::Missing, place: 0..0 };
    pub(super) const NULL: Self = Self { kind: Kind::Null, place: 0..0 };

    /// A part of the line.
    #[inline]
    pub(super) fn in_line(place: Range<usize>) -> Self {
        Self { kind: Kind::InLine, place }
    }
}

impl Slots {
    pub(super) fn new(names: &[String]) -> Self {
        let count = names.len();
        let is_dotted = names.iter().any(|name| name.contains('.'));
        let slots = if is_dotted { 2 * count } else { count };
        Self { text: String::new(), found: vec![Found::MISSING; slots], count, is_dotted }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.found.iter_mut().for_each(|found| found.kind = Kind::Missing);
    }

    /// Whether each has a value in the line.
    pub(super) fn has_all(&self) -> bool {
        self.found.iter().all(|found| found.kind == Kind::InLine)
    }

    #[inline]
    pub(super) fn set(&mut self, slot: usize, found: Found) {
        self.found[slot] = found;
    }

    /// A value, by its JSON, which is a part of the line.
    pub(super) fn found(&mut self, json: &str, line: &str) -> Found {
        let start = json.as_ptr() as usize - line.as_ptr() as usize;
        let range = start..start + json.len();
        match json.as_bytes() {
            [b'"', ..] => match unquoted(json) {
                Ok(Cow::Borrowed(text)) => Found::in_line(start + 1..start + 1 + text.len()),
                Ok(Cow::Owned(text)) => {
                    let start = self.text.len();
                    self.text.push_str(&text);
                    Found { kind: Kind::Text, place: start..self.text.len() }
                }
                Err(_) => Found { kind: Kind::Bad, place: range },
            },
            [b'-' | b'0'..=b'9', ..] => Found { kind: Kind::Number, place: range },
            [b't' | b'f', ..] => Found::in_line(range),
            [b'n', ..] => Found::NULL,
            _ => Found { kind: Kind::Not, place: range },
        }
    }

    /// The value of an earlier field of the same name is gone.
    pub(super) fn forget(&mut self, tree: &Tree, node: usize) {
        if let Some(slot) = tree.slot(node) {
            self.set(slot, Found::MISSING);
        }
        for child in &tree.nodes[node].children {
            self.forget(tree, *child);
        }
    }

    /// The place of the value for a wanted name, if it stands in the line as it is; then it has no control character.
    #[inline(always)]
    pub(super) fn place(&self, index: usize) -> Option<Range<usize>> {
        match self.found.get(index) {
            Some(Found { kind: Kind::InLine, place }) if !self.is_dotted => Some(place.clone()),
            _ => None,
        }
    }

    /// Whether a wanted name has no value in the line.
    pub(super) fn is_missing(&self, index: usize) -> bool {
        [Some(&self.found[index]), self.found.get(self.count + index)]
            .into_iter()
            .flatten()
            .all(|found| found.kind == Kind::Missing)
    }

    /// The value of the line for a wanted name.
    #[inline(always)]
    pub(super) fn field<'a>(&'a self, index: usize, line: &'a str) -> Field<'a> {
        match self.place(index).and_then(|place| line.get(place)) {
            Some(text) => Field::Text(text),
            None => self.any_field(index, line),
        }
    }

    #[inline(never)]
    fn any_field<'a>(&'a self, index: usize, line: &'a str) -> Field<'a> {
        let by_name = self.found.get(self.count + index).filter(|found| found.kind != Kind::Missing);
        let Found { kind, place } = by_name.unwrap_or(&self.found[index]);
        let place = place.clone();
        match kind {
            Kind::InLine => Field::Text(&line[place]),
            Kind::Text => Field::Text(&self.text[place]),
            Kind::Missing => Field::Missing,
            Kind::Number => Field::Number(&line[place]),
            Kind::Null => Field::Absent("null"),
            Kind::Not => Field::Not(&line[place.clone()], name_of(&line[place])),
            Kind::Bad => Field::Bad(NO_ESCAPE),
        }
    }
}
