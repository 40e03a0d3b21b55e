//! The quick way through a line of JSON.
//!
//! Most lines are objects of plain fields: texts without escapes, whole numbers, true, false, null.
//! Those are walked here, at less than half the cost of the fastest library (the figures are in
//! docs/DESIGN.md). What is not wanted and not plain is passed over by `serde_json`. Anything else
//! gives `None`, and the whole line is read by `serde_json` instead, which also says what is wrong
//! with one that is no JSON. So whatever is accepted here must be what `serde_json` accepts, with the
//! same meaning; the tests compare the two.

use std::ops::Range;

use serde::de::IgnoredAny;

/// A value, as far as it is told apart here.
pub(crate) enum Value {
    /// Where the text lies in the line: a string without its quotes, a number, true or false.
    Text(Range<usize>),
    Null,
    /// One whose fields have been visited.
    Object,
}

/// Takes the fields of a line. Levels of nested objects have numbers.
pub(crate) trait Visit {
    /// The level within a field, if anything about that field is wanted.
    fn field(&mut self, level: usize, name: &str) -> Option<usize>;

    /// Whether fields of an object at that level may be wanted.
    fn goes_deeper(&self, level: usize) -> bool;

    /// A field begins whose value, or whose fields, are at that level.
    fn begin(&mut self, level: usize);

    /// Its value, behind those of the fields within it.
    fn value(&mut self, level: usize, value: Value);
}

/// What was between two values, and what it means: the comma, the name, the colon, and all blanks.
/// Lines mostly look like the one before, so one comparison of bytes takes the place of reading them.
struct Gap {
    level: usize,
    text: Vec<u8>,
    field: Option<usize>,
}

/// More than this is not remembered of a line.
const MOST_GAPS: usize = 64;
const LONGEST_GAP: usize = 256;

/// Walks lines, one after the other.
#[derive(Default)]
pub(crate) struct Walker {
    gaps: Vec<Gap>,
}

impl Walker {
    /// Walks a line that holds one object. `None` if it is not of the quick kind; what has been
    /// visited is worth nothing then.
    pub(crate) fn walk(&mut self, line: &str, root: usize, visit: &mut impl Visit) -> Option<()> {
        let mut walk = Walk { line, bytes: line.as_bytes(), at: 0, gaps: &mut self.gaps, count: 0 };
        walk.blank();
        walk.object(root, visit)?;
        walk.blank();
        (walk.at == line.len()).then_some(())
    }
}

struct Walk<'l> {
    line: &'l str,
    bytes: &'l [u8],
    at: usize,
    gaps: &'l mut Vec<Gap>,
    /// How many gaps this line had so far.
    count: usize,
}

/// What follows a value, or the beginning of an object.
enum Next {
    Field(Option<usize>),
    End,
}

impl Walk<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        let is_there = self.peek()? == byte;
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    #[inline]
    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// An object with its fields. As deep as the wanted names are.
    fn object(&mut self, level: usize, visit: &mut impl Visit) -> Option<()> {
        let mut is_first = true;
        loop {
            let field = match self.known_gap(level) {
                Some(field) => field,
                None => match self.gap(level, is_first, visit)? {
                    Next::Field(field) => field,
                    Next::End => return Some(()),
                },
            };
            is_first = false;
            match field {
                Some(level) => self.wanted(level, visit)?,
                None => self.unwanted()?,
            }
        }
    }

    /// The field behind a gap that looks as in the line before.
    #[inline]
    fn known_gap(&mut self, level: usize) -> Option<Option<usize>> {
        let gap = self.gaps.get(self.count)?;
        if gap.level != level || !self.bytes[self.at..].starts_with(&gap.text) {
            return None;
        }
        self.at += gap.text.len();
        self.count += 1;
        Some(gap.field)
    }

    /// Reads from a value, or from the brace that opens the object, to the next value.
    #[inline(never)]
    fn gap(&mut self, level: usize, is_first: bool, visit: &mut impl Visit) -> Option<Next> {
        let start = self.at;
        if is_first {
            self.expect(b'{')?;
        }
        self.blank();
        if self.expect(b'}').is_some() {
            return Some(Next::End);
        }
        if !is_first {
            self.expect(b',')?;
            self.blank();
        }
        self.expect(b'"')?;
        let name = self.string()?;
        let field = visit.field(level, &self.line[name]);
        self.blank();
        self.expect(b':')?;
        self.blank();
        self.remember(level, start, field);
        Some(Next::Field(field))
    }

    fn remember(&mut self, level: usize, start: usize, field: Option<usize>) {
        let text = &self.bytes[start..self.at];
        if self.count < MOST_GAPS && text.len() <= LONGEST_GAP {
            let gap = Gap { level, text: text.to_vec(), field };
            match self.gaps.get_mut(self.count) {
                Some(known) => *known = gap,
                None => self.gaps.push(gap),
            }
        }
        self.count += 1;
    }

    #[inline]
    fn wanted(&mut self, level: usize, visit: &mut impl Visit) -> Option<()> {
        visit.begin(level);
        let value = match self.peek()? {
            b'{' if visit.goes_deeper(level) => {
                self.object(level, visit)?;
                Value::Object
            }
            _ => self.plain()?,
        };
        visit.value(level, value);
        Some(())
    }

    #[inline]
    fn unwanted(&mut self) -> Option<()> {
        let start = self.at;
        if self.plain().is_none() {
            self.at = start;
            self.any()?;
        }
        Some(())
    }

    /// Passes over a value of any kind.
    fn any(&mut self) -> Option<()> {
        let mut values = serde_json::Deserializer::from_str(&self.line[self.at..]).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(())
    }

    #[inline]
    fn plain(&mut self) -> Option<Value> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                self.at += 1;
                return self.string().map(Value::Text);
            }
            b'-' | b'0'..=b'9' => self.integer()?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => {
                self.word(b"null")?;
                return Some(Value::Null);
            }
            _ => return None,
        }
        Some(Value::Text(start..self.at))
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_there = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        is_there.then_some(())
    }

    /// A whole number that prints as it is written.
    #[inline]
    fn integer(&mut self) -> Option<()> {
        /// One less than the greatest u64 and i64 have.
        const MOST_DIGITS: usize = 18;
        let is_negative = self.expect(b'-').is_some();
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let digits = self.at - start;
        let has_zero = self.bytes.get(start) == Some(&b'0') && (digits > 1 || is_negative);
        let goes_on = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        ((1..=MOST_DIGITS).contains(&digits) && !has_zero && !goes_on).then_some(())
    }

    /// A string without escapes, behind its opening quote.
    #[inline]
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        while let Some(eight) = self.bytes[self.at..].first_chunk() {
            match end_in(*eight) {
                Some(end) => {
                    self.at += end;
                    break;
                }
                None => self.at += eight.len(),
            }
        }
        while self.peek().is_some_and(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\')) {
            self.at += 1;
        }
        let end = self.at;
        self.expect(b'"')?;
        Some(start..end)
    }
}

/// Where the first quote, backslash or control character is among eight bytes, all at once: each
/// test sets the high bit of the bytes it finds, and may be wrong only behind one that it is right
/// about.
#[inline]
fn end_in(eight: [u8; 8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH << 7;
    let bytes = u64::from_le_bytes(eight);
    let zeros = |bytes: u64| bytes.wrapping_sub(EACH) & !bytes;
    let quotes = zeros(bytes ^ (EACH * b'"' as u64));
    let backslashes = zeros(bytes ^ (EACH * b'\\' as u64));
    let controls = bytes.wrapping_sub(EACH * b' ' as u64) & !bytes;
    let found = (quotes | backslashes | controls) & HIGH;
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}
