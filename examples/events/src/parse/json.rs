//! Fields of JSON objects, picked by name: each as the JSON that stands in the text.
//!
//! A field `a.b` is one whose own name is `a.b`, or else `b` within the object `a`. Of a name that
//! occurs twice in one object the last one counts. Fields that are not wanted are only skipped: that
//! an escape sequence or a number in one of them has no meaning is not noticed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Where a wanted field is looked for.
#[derive(Clone, Debug)]
pub struct Place {
    pub name: String,
    /// Of the whole name, among the names that [`pick`] is given.
    whole: usize,
    /// Of the first part of a name with dots, and the parts after it.
    nested: Option<(usize, Vec<String>)>,
}

impl Place {
    /// The JSON of the field.
    pub fn find<'a>(&self, found: &[Option<&'a str>]) -> Option<&'a str> {
        found[self.whole].or_else(|| {
            let (first, path) = self.nested.as_ref()?;
            path.iter().try_fold(found[*first]?, |object, name| {
                let mut inner = [None];
                pick(object, std::slice::from_ref(name), &mut inner).ok()?;
                inner[0]
            })
        })
    }
}

/// The place of a field. Adds what must be picked for it to the names.
pub fn place(names: &mut Vec<String>, name: String) -> Place {
    let whole = number_of(names, &name);
    let nested = name.split_once('.').map(|(first, rest)| {
        let path = rest.split('.').map(str::to_owned).collect();
        (number_of(names, first), path)
    });
    Place { name, whole, nested }
}

/// The number of a name among those that are picked, with which it is added if it is new.
pub fn number_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// A scalar as text, the same text however it is written in JSON; or what it is instead.
pub fn text_of(json: &str) -> Result<Cow<'_, str>, &'static str> {
    match json.as_bytes() {
        [b'-' | b'0'..=b'9', ..] => number(json),
        [b'"', ..] => unquoted(json),
        [b't' | b'f', ..] => Ok(Cow::Borrowed(json)),
        _ => Err(name_of(json)),
    }
}

/// Refuses a number that would be rounded: two users might become one.
fn number(json: &str) -> Result<Cow<'_, str>, &'static str> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    let is_integer = json != "-0" && !json.contains(['.', 'e', 'E']);
    if is_integer && (json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok()) {
        return Ok(Cow::Borrowed(json));
    }
    match json.parse::<f64>() {
        Ok(number) if number.abs() < EXACT => Ok(Cow::Owned(number.to_string())),
        _ => Err("a number too large to be read exactly: send it as a text"),
    }
}

/// The text that a JSON string stands for.
pub fn unquoted(json: &str) -> Result<Cow<'_, str>, &'static str> {
    match json.get(1..json.len() - 1) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(json).map(Cow::Owned).map_err(|_| "a text with an escape sequence without meaning"),
    }
}

pub fn name_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Fills in the JSON of the named fields of an object. The text must hold nothing else.
pub fn pick<'de>(object: &'de str, names: &[String], found: &mut [Option<&'de str>]) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(object);
    Pick { names, found }.deserialize(&mut json)?;
    json.end()
}

struct Pick<'a, 'de> {
    names: &'a [String],
    found: &'a mut [Option<&'de str>],
}

impl<'de> DeserializeSeed<'de> for Pick<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name(self.names))? {
            match name {
                Some(index) => self.found[index] = Some(map.next_value::<&RawValue>()?.get()),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// The number of a name, if it is wanted.
struct Name<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|wanted| wanted == name))
    }
}
