//! The wanted names as a tree, and the values of a line under them.

use std::borrow::Cow;
use std::ops::Range;

use super::Field;
use super::json::{name_of, unquoted};

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
}

#[derive(Clone)]
pub(super) enum Found {
    Missing,
    Null,
    /// A part of `Slots::text`.
    Text(Range<usize>),
    /// A part of the line.
    InLine(Range<usize>),
    /// A number that may have another spelling, as a part of the line.
    Number(Range<usize>),
    /// A list or an object, as a part of the line.
    Not(Range<usize>, &'static str),
    /// A text without meaning.
    Bad(&'static str),
}

impl Slots {
    pub(super) fn new(names: &[String]) -> Self {
        let count = names.len();
        let is_dotted = names.iter().any(|name| name.contains('.'));
        let found = vec![Found::Missing; if is_dotted { 2 * count } else { count }];
        Self { text: String::new(), found, count }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.found.fill(Found::Missing);
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
                Ok(Cow::Borrowed(text)) => Found::InLine(start + 1..start + 1 + text.len()),
                Ok(Cow::Owned(text)) => {
                    let start = self.text.len();
                    self.text.push_str(&text);
                    Found::Text(start..self.text.len())
                }
                Err(what) => Found::Bad(what),
            },
            [b'-' | b'0'..=b'9', ..] => Found::Number(range),
            [b't' | b'f', ..] => Found::InLine(range),
            [b'n', ..] => Found::Null,
            _ => Found::Not(range, name_of(json)),
        }
    }

    /// The value of an earlier field of the same name is gone.
    pub(super) fn forget(&mut self, tree: &Tree, node: usize) {
        if let Some(slot) = tree.slot(node) {
            self.set(slot, Found::Missing);
        }
        for child in &tree.nodes[node].children {
            self.forget(tree, *child);
        }
    }

    /// The value of the line for a wanted name.
    #[inline]
    pub(super) fn field<'a>(&'a self, index: usize, line: &'a str) -> Field<'a> {
        let by_name = self.found.get(self.count + index).filter(|found| !matches!(found, Found::Missing));
        match by_name.unwrap_or(&self.found[index]) {
            Found::InLine(range) => Field::Text(&line[range.clone()]),
            Found::Text(range) => Field::Text(&self.text[range.clone()]),
            Found::Missing => Field::Missing,
            Found::Number(range) => Field::Number(&line[range.clone()]),
            Found::Null => Field::Absent("null"),
            Found::Not(range, what) => Field::Not(&line[range.clone()], what),
            Found::Bad(what) => Field::Bad(what),
        }
    }
}
