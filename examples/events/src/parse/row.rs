//! The wanted fields of one JSON object, for any purpose.

use std::ops::Range;

use super::flat::{Known, Walker};
use super::json::{Place, may_have_dots, number_of, pick, place};
use super::tree::{Found, Slots, Tree};
use super::{Field, Reject};

/// Reads objects, and lends their fields.
pub struct JsonRow {
    tree: Tree,
    slots: Slots,
    /// What `serde_json` is asked for: names of the outermost object, and the place of each wanted field.
    names: Vec<String>,
    places: Vec<Place>,
    /// Objects are tried the quick way first. Not where the tests ask for the other alone.
    quick: Option<Walker>,
    /// Fields that the quick way may not find: within objects their names may have dots.
    dotted: Vec<usize>,
}

/// The quick way goes into objects recursively: to this depth at most.
const DEEP: usize = 100;

impl JsonRow {
    /// A name `a.b` is a field of that name, or else `b` within the object `a`; see [`super::json`].
    pub fn new(wanted: &[String]) -> Self {
        let is_quick = |name: &String| name.split('.').count() <= DEEP && !name.contains('[');
        let quick = wanted.iter().all(is_quick).then(Walker::default);
        Self { quick, ..Self::thorough(wanted) }
    }

    /// Reads every object with `serde_json`, which is what decides.
    pub(super) fn thorough(wanted: &[String]) -> Self {
        let (tree, slots) = (Tree::new(wanted), Slots::new(wanted));
        let mut names = Vec::new();
        let places = wanted.iter().map(|name| place(&mut names, name)).collect();
        let dotted = (0..wanted.len()).filter(|field| may_have_dots(&wanted[*field])).collect();
        Self { tree, slots, names, places, quick: None, dotted }
    }

    /// Reads one object. Its fields can be looked at until the next one is read.
    #[inline]
    pub fn read(&mut self, line: &str) -> Result<(), Reject> {
        let quick = self.quick.as_mut().and_then(|quick| quick.read(line, &self.tree, &mut self.slots));
        if quick.is_none() || self.lacks_dotted() { self.deserialize(line) } else { Ok(()) }
    }

    /// Whether a field is not found that may have another place.
    #[inline]
    fn lacks_dotted(&self) -> bool {
        self.dotted.iter().any(|field| self.slots.is_missing(*field))
    }

    /// Reads the object that begins a text, if it looks like the one before. Gives its length.
    #[inline]
    pub(super) fn read_alike(&mut self, text: &str, known: &mut impl Known) -> Option<usize> {
        let length = self.quick.as_ref()?.read_alike(text, &self.tree, &mut self.slots, known)?;
        (!self.lacks_dotted()).then_some(length)
    }

    /// The wanted field with this index, of the line that was read.
    #[inline]
    pub fn field<'a>(&'a self, index: usize, line: &'a str) -> Field<'a> {
        self.slots.field(index, line)
    }

    /// The place of the same, if it is a plain text.
    #[inline]
    pub(super) fn place(&self, index: usize) -> Option<Range<usize>> {
        self.slots.place(index)
    }

    /// Reads one object by the library.
    #[cold]
    fn deserialize(&mut self, line: &str) -> Result<(), Reject> {
        let found = self.pick(line)?;
        self.fill(line, &found);
        Ok(())
    }

    /// A further name of the outermost object, to be picked.
    pub(super) fn also(&mut self, name: &str) -> usize {
        number_of(&mut self.names, name)
    }

    /// The JSON of the names that are wanted or needed on the way.
    pub(super) fn pick<'a>(&self, line: &'a str) -> Result<Vec<Option<&'a str>>, Reject> {
        let mut found = vec![None; self.names.len()];
        pick(line, &self.names, &mut found).map_err(|error| reject(line, &error))?;
        Ok(found)
    }

    /// Fills the slots by the JSON of the names, which lies in the line.
    pub(super) fn fill(&mut self, line: &str, found: &[Option<&str>]) {
        self.slots.clear();
        for (slot, place) in self.places.iter().enumerate() {
            let found = place.find(found).map_or(Found::MISSING, |json| self.slots.found(json, line));
            self.slots.set(slot, found);
        }
    }
}

/// The parser counts lines too; mostly there is only one.
pub(super) fn reject(text: &str, error: &serde_json::Error) -> Reject {
    if error.is_data() && !text.trim_start().starts_with('{') {
        return Reject::NotAnObject;
    }
    let hint = if text.trim_start().starts_with("{'") { "; names and texts need double quotes" } else { "" };
    Reject::NotJson { what: error.to_string().replace(" at line 1 ", " at ") + hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: Field<'_>) -> String {
        match field {
            Field::Text(text) | Field::Number(text) => text.to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn fields_of_both_kinds_of_lines() {
        let names = ["a", "b.c", "d", "x.y"].map(str::to_owned).to_vec();
        let mut row = JsonRow::new(&names);
        for (line, expected) in [
            (r#"{"a": 1, "b": {"c": "t"}, "d": null}"#, ["1", "t", "Absent(\"null\")", "Missing"]),
            (
                r#"{"a": 1.50, "b": {"c": "t\u0041"}, "d": [1], "x.y": true}"#,
                ["1.50", "tA", "Not(\"[1]\", \"an array\")", "true"],
            ),
            (r#"{"d": "", "x": {"y": -2e3}}"#, ["Missing", "Missing", "", "-2e3"]),
        ] {
            row.read(line).expect("an object");
            assert_eq!([0, 1, 2, 3].map(|index| shown(row.field(index, line))), expected);
        }
        // Dots may be parts of names within, but do not hide a whole way.
        let mut row = JsonRow::new(&["a.b.c".to_owned(), "a.x[0].k.l".to_owned()]);
        for (line, expected) in [
            (r#"{"a": {"b.c": 1}}"#, ["1", "Missing"]),
            (r#"{"a.b": {"c": 2}, "a": {"x": [{"k.l": "t"}]}}"#, ["2", "t"]),
            (r#"{"a": {"b.c": 1, "b": {"c": 3}}}"#, ["3", "Missing"]),
            (r#"{"a": {"b.c": 1, "b": {"c": 3}}, "a.b.c": 4}"#, ["4", "Missing"]),
            (r#"{"a": {"b": {"d": 3}}}"#, ["Missing", "Missing"]),
        ] {
            row.read(line).expect("an object");
            assert_eq!([0, 1].map(|index| shown(row.field(index, line))), expected);
        }
        assert!(matches!(row.read("[1]"), Err(Reject::NotAnObject)));
        assert!(matches!(row.read("{\"a\": 1"), Err(Reject::NotJson { .. })));
    }
}
