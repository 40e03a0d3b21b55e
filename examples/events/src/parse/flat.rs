//! The quick way through a line of JSON.
//!
//! Most lines are objects of plain fields (texts without escapes, whole numbers, true, false, null)
//! and look like the line before: only the values differ. The text between two values is a *gap*:
//! braces, commas, names, colons, blanks. A line is first tried against the gaps of the last one that
//! was read here, by comparing bytes. Equal gaps mean the same, because the reader is in the same
//! state before each. A line of another layout is walked, and its gaps are remembered.
//!
//! Values that are neither wanted nor plain are passed over by `serde_json`. Anything else gives `None`, and
//! the whole line is read by `serde_json` instead, which also finds the mistake in a line that is no
//! JSON. So `serde_json` must accept every line that is accepted here, with the same meaning; the
//! tests compare the two. examples/files/README.md has the figures that made this worth its lines.

use std::ops::Range;

use memchr::memchr;
use serde::de::IgnoredAny;

use super::tree::{Found, ROOT, Slots, Tree};
use crate::eight::{self, Pattern, first};

/// Reads lines, one after the other.
#[derive(Default)]
pub(super) struct Walker {
    /// The layout of the last line that was walked.
    gaps: Vec<Gap>,
    /// The text behind its last value. Empty as long as no line was walked.
    end: Box<Gap>,
    /// Whether each wanted value has a place in it.
    fills_all: bool,
    /// The layout of the line that is being walked.
    steps: Vec<Step>,
}

/// The text before a value.
#[derive(Default)]
struct Gap {
    /// Its beginning, to be compared at once.
    pattern: Pattern,
    length: usize,
    text: Vec<u8>,
    step: Step,
}

impl Gap {
    fn new(step: Step, line: &[u8]) -> Self {
        let text = line[step.gap.clone()].to_vec();
        Self { pattern: Pattern::of(&text, &[]), length: text.len(), text, step }
    }

    /// Whether it begins some bytes.
    #[inline(always)]
    fn begins(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk() {
            Some(first) if self.length <= Pattern::LENGTH => self.pattern.fits(first),
            _ => self.begins_long_or_last(bytes),
        }
    }

    /// The same of a long gap, or of few bytes.
    #[cold]
    fn begins_long_or_last(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.text)
    }
}

#[derive(Clone, Default)]
struct Step {
    /// Where the gap lies in the line it was read from.
    gap: Range<usize>,
    /// Where the value goes, if it is wanted.
    slot: Option<usize>,
    /// Whether nothing about it is wanted, so that it may be of any kind.
    is_free: bool,
    /// Nodes of the objects that begin in the gap and have wanted fields.
    objects: Vec<usize>,
}

/// Knows more of the values of one slot than that they are JSON.
pub(super) trait Known {
    /// Which slot.
    fn slot(&self) -> usize;

    /// The length of the text that begins some bytes and ends with a quote, if it is known to have no other quote, no
    /// escape and no control character. Asked for each value that goes to the slot; without bytes if that is no text.
    fn length(&mut self, bytes: &[u8]) -> Option<usize>;
}

/// For lines that nothing more is known of.
struct NothingKnown;

impl Known for NothingKnown {
    fn slot(&self) -> usize {
        usize::MAX
    }

    fn length(&mut self, _: &[u8]) -> Option<usize> {
        None
    }
}

/// A line with more values than this, or longer gaps, is not remembered.
const MOST_GAPS: usize = 64;
const LONGEST_GAPS: usize = 4 << 10;

impl Walker {
    /// Fills the slots from a line that holds one object. `None` if it is not of the quick kind.
    #[inline]
    pub(super) fn read(&mut self, line: &str, tree: &Tree, slots: &mut Slots) -> Option<()> {
        if self.read_alike(line, tree, slots, &mut NothingKnown) == Some(line.len()) {
            return Some(());
        }
        slots.clear();
        self.walk(line, tree, slots)
    }

    /// Reads a line that begins a text and has the same gaps as the last line. Gives its length. Nothing in
    /// it is a line end, for no gap and no plain value has one.
    #[inline(never)] // a loop of its own keeps its values in registers
    pub(super) fn read_alike(
        &self,
        text: &str,
        tree: &Tree,
        slots: &mut Slots,
        known: &mut impl Known,
    ) -> Option<usize> {
        let bytes = text.as_bytes();
        if !self.fills_all {
            slots.clear();
        }
        let known_slot = known.slot();
        let mut at = 0;
        for gap in &self.gaps {
            if !gap.begins(&bytes[at..]) {
                return None;
            }
            at += gap.length;
            let step = &gap.step;
            if !step.objects.is_empty() {
                step.apply_objects(tree, slots);
            }
            let value = match step.slot {
                Some(slot) if slot == known_slot => known_text(bytes, at, known),
                _ => simple(bytes, at),
            };
            at = match value {
                Some((place, end)) => {
                    if let Some(slot) = step.slot {
                        slots.set(slot, Found::in_line(place));
                    }
                    end
                }
                None => step.value(text, at, slots)?,
            };
        }
        let Gap { length, step, .. } = &*self.end;
        if *length == 0 || !self.end.begins(&bytes[at..]) {
            return None;
        }
        if !step.objects.is_empty() {
            step.apply_objects(tree, slots);
        }
        Some(at + length)
    }

    /// Reads a line of any layout, and remembers it.
    #[cold]
    fn walk(&mut self, line: &str, tree: &Tree, slots: &mut Slots) -> Option<()> {
        self.steps.clear();
        let mut walk =
            Walk { line, bytes: line.as_bytes(), at: 0, tree, slots, steps: &mut self.steps, gap: 0, objects: vec![] };
        walk.blank();
        walk.object(ROOT)?;
        walk.blank();
        let Walk { at, gap, objects, .. } = walk;
        if at < line.len() {
            return None;
        }
        let end = Step { gap: gap..at, objects, ..Step::default() };
        let length: usize = self.steps.iter().map(|step| step.gap.len()).sum();
        let is_one_line = memchr(b'\n', line.as_bytes()).is_none();
        if is_one_line && self.steps.len() <= MOST_GAPS && length + end.gap.len() <= LONGEST_GAPS {
            let remember = |step| Gap::new(step, line.as_bytes());
            self.gaps.clear();
            self.gaps.extend(self.steps.drain(..).map(remember));
            *self.end = remember(end);
            self.fills_all = slots.has_all();
        }
        Some(())
    }
}

impl Step {
    #[cold]
    fn apply_objects(&self, tree: &Tree, slots: &mut Slots) {
        for object in &self.objects {
            slots.forget(tree, *object);
        }
    }

    /// Reads the value behind the gap, of any kind. Gives its end.
    #[inline(never)]
    fn value(&self, line: &str, at: usize, slots: &mut Slots) -> Option<usize> {
        match plain(line.as_bytes(), at) {
            Some((found, end)) => {
                if let Some(slot) = self.slot {
                    slots.set(slot, found);
                }
                Some(end)
            }
            None if self.is_free => any(line, at),
            None => None,
        }
    }
}

struct Walk<'w> {
    line: &'w str,
    bytes: &'w [u8],
    at: usize,
    tree: &'w Tree,
    slots: &'w mut Slots,
    steps: &'w mut Vec<Step>,
    /// Where the gap before the next value begins, and the objects in it.
    gap: usize,
    objects: Vec<usize>,
}

impl Walk<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        let is_there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// An object with its fields. As deep as the wanted names are.
    fn object(&mut self, node: usize) -> Option<()> {
        self.expect(b'{')?;
        self.blank();
        if self.expect(b'}').is_some() {
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let (name, end) = string(self.bytes, self.at)?;
            self.at = end;
            self.blank();
            self.expect(b':')?;
            self.blank();
            self.value(self.tree.child(node, &self.line[name]))?;
            self.blank();
            if self.expect(b',').is_none() {
                return self.expect(b'}');
            }
            self.blank();
        }
    }

    /// The value of a field, and its purpose.
    fn value(&mut self, node: Option<usize>) -> Option<()> {
        let deeper = node.filter(|node| self.tree.goes_deeper(*node));
        if let Some(node) = deeper {
            self.slots.forget(self.tree, node);
            self.objects.push(node);
            if self.bytes.get(self.at) == Some(&b'{') {
                // An object that is wanted itself is not of the quick kind.
                return if self.tree.slot(node).is_none() { self.object(node) } else { None };
            }
        }
        let slot = node.and_then(|node| self.tree.slot(node));
        let objects = std::mem::take(&mut self.objects);
        let step = Step { gap: self.gap..self.at, slot, is_free: node.is_none(), objects };
        self.at = step.value(self.line, self.at, self.slots)?;
        self.steps.push(step);
        self.gap = self.at;
        Some(())
    }
}

/// The place of a text that is known, and the end of its JSON.
#[inline(always)]
fn known_text(bytes: &[u8], at: usize, known: &mut impl Known) -> Option<(Range<usize>, usize)> {
    let text = bytes.get(at..).and_then(|bytes| bytes.strip_prefix(b"\"")).unwrap_or_default();
    let end = at + 1 + known.length(text)?;
    Some((at + 1..end, end + 1))
}

/// The place of a value of the most frequent kinds, and the end of its JSON: a text without escapes, or digits.
#[inline(always)]
fn simple(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    match bytes.get(at)? {
        b'"' => string(bytes, at + 1),
        b'1'..=b'9' => {
            let end = first(bytes, at, eight::no_digit, |byte| !byte.is_ascii_digit())?;
            let goes_on = matches!(bytes[end], b'.' | b'e' | b'E');
            (end - at <= MOST_DIGITS && !goes_on).then_some((at..end, end))
        }
        _ => None,
    }
}

/// One less than the greatest u64 and i64 have.
const MOST_DIGITS: usize = 18;

/// A plain value: its kind, and where it ends.
#[inline]
fn plain(bytes: &[u8], at: usize) -> Option<(Found, usize)> {
    let end = match bytes.get(at)? {
        b'"' => {
            let (text, end) = string(bytes, at + 1)?;
            return Some((Found::in_line(text), end));
        }
        b'-' | b'0'..=b'9' => integer(bytes, at)?,
        b't' => word(bytes, at, b"true")?,
        b'f' => word(bytes, at, b"false")?,
        b'n' => return Some((Found::NULL, word(bytes, at, b"null")?)),
        _ => return None,
    };
    Some((Found::in_line(at..end), end))
}

/// Passes over a value of any kind, within the line.
#[cold]
fn any(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let rest = &rest[..memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len())];
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(at + values.byte_offset())
}

#[inline]
fn word(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(word).then_some(at + word.len())
}

/// A whole number that prints as it is written.
#[inline]
fn integer(bytes: &[u8], at: usize) -> Option<usize> {
    let is_negative = bytes[at] == b'-';
    let start = at + usize::from(is_negative);
    let end = first(bytes, start, eight::no_digit, |byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let digits = end - start;
    let has_zero = bytes.get(start) == Some(&b'0') && (digits > 1 || is_negative);
    let goes_on = matches!(bytes.get(end), Some(b'.' | b'e' | b'E'));
    ((1..=MOST_DIGITS).contains(&digits) && !has_zero && !goes_on).then_some(end)
}

/// A string without escapes, by where it is behind its opening quote: its content, and its end.
#[inline]
fn string(bytes: &[u8], start: usize) -> Option<(Range<usize>, usize)> {
    let end = first(bytes, start, eight::no_plain, |byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
    (bytes[end] == b'"').then_some((start..end, end + 1))
}
