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
use crate::eight::{self, first};

/// Reads lines, one after the other.
#[derive(Default)]
pub(super) struct Walker {
    /// The layout of the last line that was walked.
    gaps: Vec<Gap>,
    /// The text behind its last value. Empty as long as no line was walked.
    end: Gap,
    /// Whether each wanted value has a place in it.
    fills_all: bool,
    /// The layout of the line that is being walked.
    steps: Vec<Step>,
}

/// The text before a value.
#[derive(Default)]
struct Gap {
    text: Vec<u8>,
    step: Step,
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
        let (line, bytes) = (text, text.as_bytes());
        if !self.fills_all {
            slots.clear();
        }
        let mut at = 0;
        for Gap { text, step } in &self.gaps {
            if !eight::begins(&bytes[at..], text) {
                return None;
            }
            at += text.len();
            if !step.objects.is_empty() {
                step.apply_objects(tree, slots);
            }
            let end = match step.slot {
                Some(slot) if slot == known.slot() => Step::known(slot, bytes, at, slots, known),
                _ => None,
            };
            at = match end {
                Some(end) => end,
                None => step.value(line, at, slots)?,
            };
        }
        let Gap { text, step } = &self.end;
        if text.is_empty() || !eight::begins(&bytes[at..], text) {
            return None;
        }
        if !step.objects.is_empty() {
            step.apply_objects(tree, slots);
        }
        Some(at + text.len())
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
            let remember = |step: Step| Gap { text: line.as_bytes()[step.gap.clone()].to_vec(), step };
            self.gaps.clear();
            self.gaps.extend(self.steps.drain(..).map(remember));
            self.end = remember(end);
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

    /// Passes over the value behind the gap, if it is known. Gives its end.
    #[inline(always)]
    fn known(slot: usize, bytes: &[u8], at: usize, slots: &mut Slots, known: &mut impl Known) -> Option<usize> {
        let text = bytes.get(at..).and_then(|bytes| bytes.strip_prefix(b"\"")).unwrap_or_default();
        let length = known.length(text)?;
        let (start, end) = (at + 1, at + 1 + length);
        slots.set(slot, Found::in_line(start..end));
        Some(end + 1)
    }

    /// Reads the value behind the gap. Gives its end.
    #[inline(always)]
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

/// A plain value: its kind, and where it ends.
#[inline(always)]
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
    /// One less than the greatest u64 and i64 have.
    const MOST_DIGITS: usize = 18;
    let is_negative = bytes[at] == b'-';
    let start = at + usize::from(is_negative);
    let digits = first(bytes.get(start..)?, eight::no_digit, |byte| !byte.is_ascii_digit());
    let digits = digits.unwrap_or(bytes.len() - start);
    let end = start + digits;
    let has_zero = bytes.get(start) == Some(&b'0') && (digits > 1 || is_negative);
    let goes_on = matches!(bytes.get(end), Some(b'.' | b'e' | b'E'));
    ((1..=MOST_DIGITS).contains(&digits) && !has_zero && !goes_on).then_some(end)
}

/// A string without escapes, by where it is behind its opening quote: its content, and its end.
#[inline]
fn string(bytes: &[u8], start: usize) -> Option<(Range<usize>, usize)> {
    let length = first(bytes.get(start..)?, eight::no_plain, |byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
    let end = start + length;
    (bytes[end] == b'"').then_some((start..end, end + 1))
}
