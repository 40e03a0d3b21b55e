//! JSON lines: one object per line.
//!
//! Only the wanted fields are kept; everything else is checked and skipped without building
//! anything; [`super::json`] says which field has a name. Numbers are taken as text; one that is
//! too large to be read exactly is rejected rather than rounded, since two users might become one.

use super::flat::Walker;
use super::json::{Place, pick, place, text_of};
use super::tree::{Found, Slots, Tree};
use super::{Line, Parser, Record, Reject, Wanted};

pub struct Jsonl {
    wanted: Wanted,
    tree: Tree,
    slots: Slots,
    joined: String,
    /// What `serde_json` is asked for: names of the outermost object, and the place of each wanted field.
    names: Vec<String>,
    places: Vec<Place>,
    /// Lines are tried the quick way first. Not where the tests ask for the other alone.
    quick: Option<Walker>,
}

/// The quick way goes into objects recursively: not so many levels deep.
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
        let mut names = Vec::new();
        let places = wanted.names.iter().map(|name| place(&mut names, name.clone())).collect();
        Self { wanted, tree, slots, joined: String::new(), names, places, quick: None }
    }

    /// Fills the slots by the library.
    #[cold]
    fn deserialize(&mut self, line: &str) -> Result<(), Reject> {
        self.slots.clear();
        let mut found = vec![None; self.names.len()];
        pick(line, &self.names, &mut found).map_err(|error| reject(&error))?;
        for (slot, place) in self.places.iter().enumerate() {
            let found = match place.find(&found) {
                None => Found::Missing,
                Some("null") => Found::Null,
                Some(json) => self.slots.found(text_of(json)),
            };
            self.slots.set(slot, found);
        }
        Ok(())
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
