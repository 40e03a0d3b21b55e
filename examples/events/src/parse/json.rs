//! Fields of JSON objects, picked by name: each as the JSON that stands in the text.
//!
//! A field `a.b` is one whose own name is `a.b`, or else `b` within the object `a`; `a[0]` is the first
//! element of the list `a`. Names within objects may have dots, too: where nothing is found otherwise, `a.b.c` is
//! `b.c` within `a`, or `c` within `a.b`. Of a name that occurs twice in one object the last one counts. Fields that are not wanted are only skipped: that
//! an escape sequence or a number in one of them has no meaning is not noticed.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr_iter};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::lines::{self, Frame};

/// Where a wanted field is looked for.
#[derive(Clone, Debug)]
pub struct Place {
    /// Of the whole name, among the names that [`pick`] is given.
    whole: usize,
    /// Of the first part of a name with dots or brackets, and the way on from there.
    nested: Option<(usize, Vec<Step>)>,
    /// The same of each longer part, and of the rest of the name, in which dots may be parts of names.
    dotted: Vec<(usize, Vec<Step>, String)>,
}

/// One level deeper.
#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Element(usize),
}

impl Place {
    /// The JSON of the field.
    pub fn find<'a>(&self, found: &[Option<&'a str>]) -> Option<&'a str> {
        let nested = || {
            let (first, path) = self.nested.as_ref()?;
            follow(found[*first]?, path)
        };
        let dotted = || self.dotted.iter().find_map(|(first, path, rest)| within(follow(found[*first]?, path)?, rest));
        found[self.whole].or_else(nested).or_else(dotted)
    }
}

fn follow<'a>(json: &'a str, path: &[Step]) -> Option<&'a str> {
    path.iter().try_fold(json, |json, step| step.find(json))
}

/// The field of an object whose name has dots, or that lies in objects within.
fn within<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let deeper = |(dot, _): (usize, &str)| within(follow(json, &steps(&name[..dot]))?, &name[dot + 1..]);
    follow(json, &steps(name)).or_else(|| name.match_indices('.').find_map(deeper))
}

/// Whether dots of a name may be parts of names within: `a.b.c` may be `b.c` in `a`, as labels of Kubernetes and attributes of
/// OpenTelemetry are. Names with very many dots are paths.
pub(super) fn may_have_dots(name: &str) -> bool {
    (2..=8).contains(&name.matches('.').count())
}

impl Step {
    fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        match self {
            Self::Field(name) => {
                let mut inner = [None];
                pick(json, std::slice::from_ref(name), &mut inner).ok()?;
                inner[0]
            }
            Self::Element(index) => {
                let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
                elements.get(*index).map(|element| element.get())
            }
        }
    }
}

/// The place of a field. Adds the field that must be picked for it to the names.
pub fn place(names: &mut Vec<String>, name: &str) -> Place {
    let whole = number_of(names, name);
    let mut steps = name.split('.').flat_map(steps);
    let first = match steps.next() {
        Some(Step::Field(first)) if first != name => Some(first),
        _ => None,
    };
    let nested = first.map(|first| (number_of(names, &first), steps.collect()));
    let mut dotted = |dot: usize| {
        let mut path = self::steps(&name[..dot]);
        let Step::Field(first) = path.remove(0) else { return None };
        Some((number_of(names, &first), path, name[dot + 1..].to_owned()))
    };
    let dots = name.match_indices('.').filter(|_| may_have_dots(name));
    let dotted = dots.filter_map(|(dot, _)| dotted(dot)).collect();
    Place { whole, nested, dotted }
}

/// The steps of `name`, or of `name[0][1]`.
fn steps(part: &str) -> Vec<Step> {
    let (mut name, mut elements) = (part, Vec::new());
    while let Some((before, index)) = name.strip_suffix(']').and_then(|part| part.rsplit_once('['))
        && let Ok(index) = index.parse()
    {
        elements.insert(0, Step::Element(index));
        name = before;
    }
    elements.insert(0, Step::Field(name.to_owned()));
    elements
}

/// The number of a name among those that are picked, with which it is added if it is new.
pub fn number_of(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

pub(super) const NO_ESCAPE: &str = "a text with an escape sequence without meaning";

/// The text that a JSON string stands for.
pub fn unquoted(json: &str) -> Result<Cow<'_, str>, &'static str> {
    match json.get(1..json.len() - 1) {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(json).map(Cow::Owned).map_err(|_| NO_ESCAPE),
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

/// A text with null in the place of NaN and Infinity, which Python and others write though JSON has no such numbers, and
/// with escapes that JSON does not have as they stand: `\\x22` of nginx, or `\\U` of a path of Windows. Nothing if it has none
/// of them.
#[cold]
pub(super) fn mended(json: &str) -> Option<String> {
    const NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    let (mut text, mut rest, mut in_quotes, mut is_changed) = (String::new(), json, false, false);
    while let Some(at) = rest.find(['"', '\\', 'N', 'I', '-']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let number = NUMBERS.iter().find(|number| !in_quotes && rest.starts_with(**number));
        let length = match rest.as_bytes() {
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u', ..] => 2,
            [b'\\', ..] => {
                text.push('\\');
                is_changed = true;
                1
            }
            [b'"', ..] => {
                in_quotes = !in_quotes;
                1
            }
            _ => number.map_or(1, |number| number.len()),
        };
        text.push_str(if number.is_some() { "null" } else { &rest[..length] });
        is_changed |= number.is_some();
        rest = &rest[length..];
    }
    text.push_str(rest);
    is_changed.then_some(text)
}

/// Finds the object that begins a text of JSON: on a line of its own, over several lines, or followed by the next
/// one. Marks between objects are passed over. A text that does not begin an object is framed by lines.
pub fn frame(input: &[u8], is_all: bool, is_list: bool) -> Frame {
    let blank = input.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).unwrap_or(input.len());
    match input.get(blank) {
        Some(b'{') => object(input, blank, is_all),
        Some(b'[' | b']') if is_list => padding(input, blank + 1, is_all),
        // A comma between objects, and the record separator of RFC 7464.
        Some(b',' | 0x1e) => padding(input, blank + 1, is_all),
        _ => lines::line(input, is_all),
    }
}

/// A mark between objects, with the line end behind it.
fn padding(input: &[u8], mark_end: usize, is_all: bool) -> Frame {
    let (length, lines) = with_line_end(input, mark_end);
    // Whether a line end follows must not depend on how much has been read.
    if length == input.len() && lines == 0 && !is_all {
        return Frame::Unfinished;
    }
    Frame::Padding { length, lines }
}

/// Frames the object that begins at a place.
fn object(input: &[u8], at: usize, is_all: bool) -> Frame {
    const SHORT: usize = 4 << 10; // a longer line may hold very many objects: it is not looked through for each
    let line_end = match memchr(b'\n', &input[..input.len().min(SHORT)]) {
        None if input.len() < SHORT && is_all => Some(input.len()),
        None if input.len() < SHORT => return Frame::Unfinished,
        found => found,
    };
    // What looks like one object is one, or is broken, if the next line begins another.
    if line_end.is_some_and(|end| input.get(end + 1) == Some(&b'{') && is_one_object(&input[at..end])) {
        return lines::line(input, is_all);
    }
    let most = input.len().min(lines::LONGEST_LINE);
    let mut values = serde_json::Deserializer::from_slice(&input[at..most]).into_iter::<IgnoredAny>();
    let is_open = match values.next() {
        Some(Ok(_)) => {
            let end = at + values.byte_offset();
            // Whether the next line has been read or not: a line that looks like one object is framed as a whole.
            let rest = line_end.and_then(|line_end| Some((line_end, input.get(end..line_end)?)));
            if rest.is_some_and(|(line, rest)| !rest.trim_ascii().is_empty() && is_one_object(&input[at..line])) {
                return lines::line(input, is_all);
            }
            let within = memchr_iter(b'\n', &input[..end]).count() as u64;
            let (length, lines) = with_line_end(input, end);
            if length < input.len() || lines > 0 {
                return Frame::Record { length, lines: within + lines, whole: Ok(()) };
            }
            if is_all {
                return Frame::Record { length, lines: within + 1, whole: Ok(()) };
            }
            true
        }
        // A number that the end of the input cuts off is no number.
        Some(Err(error)) => error.is_eof() || offset(&input[at..most], &error) >= most - at,
        None => false,
    };
    if is_open && !is_all && input.len() < lines::LONGEST_LINE {
        return Frame::Unfinished;
    }
    // It is no JSON: its first line is lost.
    lines::line(input, is_all)
}

/// How many bytes of a text the parser had read when it failed.
fn offset(text: &[u8], error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    lines.map(<[u8]>::len).sum::<usize>() + error.column()
}

/// Whether a line that begins with a brace looks like one whole object: it ends with a brace, and none opens behind
/// one that closes.
fn is_one_object(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.ends_with(b"}") && !memchr_iter(b'}', line).any(|end| line[end + 1..].trim_ascii_start().starts_with(b"{"))
}

/// Passes over blanks, and the end of the line if that is all there is in it. Says whether it was.
fn with_line_end(input: &[u8], at: usize) -> (usize, u64) {
    let blank = input[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    let at = at + blank;
    if input.get(at) == Some(&b'\n') { (at + 1, 1) } else { (at, 0) }
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
