//! JSON lines whose fields are wanted one by one, without a meaning of their own: as many as one likes.

use super::flat::Walker;
use super::json::{name_of, pick, unquoted};
use super::tree::{Slots, Tree};
use super::{Field, Reject};

/// Reads objects, and lends their fields as texts.
pub struct JsonRow {
    names: Vec<String>,
    tree: Tree,
    slots: Slots,
    quick: Walker,
    /// What the latest object has, if it is not of the quick kind.
    found: Option<Vec<Owned>>,
}

enum Owned {
    Missing,
    Null,
    Text(String),
    Not(&'static str),
}

impl JsonRow {
    /// A name `a.b` is a field of that name, or else `b` within the object `a`.
    pub fn new(names: Vec<String>) -> Self {
        let (tree, slots) = (Tree::new(&names), Slots::new(&names));
        Self { names, tree, slots, quick: Walker::default(), found: None }
    }

    /// Reads one object. Its fields can be looked at until the next one is read.
    pub fn read(&mut self, line: &str) -> Result<(), Reject> {
        self.found = None;
        if self.quick.read(line, &self.tree, &mut self.slots).is_none() {
            self.found = Some(self.thorough(line)?);
        }
        Ok(())
    }

    /// The field `names[index]` of the line that was read.
    #[inline]
    pub fn field<'a>(&'a self, index: usize, line: &'a str) -> Field<'a> {
        match &self.found {
            None => self.slots.field(index, line),
            Some(found) => match &found[index] {
                Owned::Missing => Field::Missing,
                Owned::Null => Field::Null,
                Owned::Text(text) => Field::Text(text),
                Owned::Not(what) => Field::Not(what),
            },
        }
    }

    fn thorough(&self, line: &str) -> Result<Vec<Owned>, Reject> {
        let mut found = vec![None; self.names.len()];
        pick(line, &self.names, &mut found).map_err(|error| match error.is_data() {
            true => Reject::NotAnObject,
            false => Reject::NotJson { what: error.to_string().replace(" at line 1 ", " at ") },
        })?;
        let one = |(name, found): (&String, Option<&str>)| match found.or_else(|| nested(line, name)) {
            None => Owned::Missing,
            Some("null") => Owned::Null,
            Some(json) => scalar(json),
        };
        Ok(self.names.iter().zip(found).map(one).collect())
    }
}

fn nested<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    name.contains('.').then(|| name.split('.').try_fold(object, field))?
}

fn field<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut found = [None];
    pick(object, &[name.to_owned()], &mut found).ok()?;
    found[0]
}

/// Numbers as they are written.
fn scalar(json: &str) -> Owned {
    match json.as_bytes() {
        [b'"', ..] => unquoted(json).map_or_else(Owned::Not, |text| Owned::Text(text.into_owned())),
        [b'{' | b'[', ..] => Owned::Not(name_of(json)),
        _ => Owned::Text(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: Field<'_>) -> String {
        match field {
            Field::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn fields_of_both_kinds_of_lines() {
        let names = ["a", "b.c", "d", "x.y"].map(str::to_owned).to_vec();
        let mut row = JsonRow::new(names);
        for (line, expected) in [
            (r#"{"a": 1, "b": {"c": "t"}, "d": null}"#, ["1", "t", "Null", "Missing"]),
            (
                r#"{"a": 1.50, "b": {"c": "t\u0041"}, "d": [1], "x.y": true}"#,
                ["1.50", "tA", "Not(\"an array\")", "true"],
            ),
            (r#"{"d": "", "x": {"y": -2e3}}"#, ["Missing", "Missing", "", "-2e3"]),
        ] {
            row.read(line).expect("an object");
            assert_eq!([0, 1, 2, 3].map(|index| shown(row.field(index, line))), expected);
        }
        assert!(matches!(row.read("[1]"), Err(Reject::NotAnObject)));
        assert!(matches!(row.read("{\"a\": 1"), Err(Reject::NotJson { .. })));
    }
}
