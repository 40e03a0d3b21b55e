//! Several key fields as one text, and back: the form of a key in `files` and `kinesis`, from which both
//! make session ids.
//!
//! A field is text: the number 1 and the text "1" are the same user. A field that is declared an integer
//! is written as the digits of its value. The fields are joined with the control character U+001F ("unit separator"). Where it occurs in
//! a field it is escaped with U+001E, so that different fields never make the same key. A key of
//! one field is that field as it is.

use std::borrow::Cow;

use super::numbers;
use crate::columns::KeyKind;

// Both are ASCII: they can be looked for among bytes.
const SEPARATOR: char = '\u{1f}';
const ESCAPE: char = '\u{1e}';
const ESCAPED_SEPARATOR: &str = "\u{1e}s";
const ESCAPED_ESCAPE: &str = "\u{1e}e";

/// A field that is declared an integer is none of 64 bits.
#[derive(Debug)]
pub struct NotInteger;

/// Appends a field, the one with this index, to a key of several or of an integer. `007`, `+7` and `7.0` are 7.
/// Fails if the field is no integer of 64 bits.
#[inline]
pub fn push(key: &mut String, index: usize, field: &str, kind: KeyKind) -> Result<(), NotInteger> {
    if index > 0 {
        key.push(SEPARATOR);
    }
    match kind {
        KeyKind::Text => push_text(key, field),
        KeyKind::Integer => key.push_str(itoa::Buffer::new().format(numbers::integer(field).ok_or(NotInteger)?)),
    }
    Ok(())
}

#[inline]
fn push_text(key: &mut String, field: &str) {
    // Without a branch for each byte.
    if field.bytes().fold(false, |found, byte| found | (byte == SEPARATOR as u8) | (byte == ESCAPE as u8)) {
        let escaped = field.replace(ESCAPE, ESCAPED_ESCAPE).replace(SEPARATOR, ESCAPED_SEPARATOR);
        key.push_str(&escaped);
    } else {
        key.push_str(field);
    }
}

/// The fields of a key made of `fields` of them, in order.
pub fn split(key: &str, fields: usize) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(key);
    std::iter::from_fn(move || {
        let key = rest.take()?;
        if fields == 1 {
            return Some(Cow::Borrowed(key));
        }
        let mut has_escape = false;
        let end = key.bytes().position(|byte| {
            has_escape |= byte == ESCAPE as u8;
            byte == SEPARATOR as u8
        });
        let field = match end {
            Some(end) => {
                rest = Some(&key[end + 1..]);
                &key[..end]
            }
            None => key,
        };
        Some(if has_escape { unescape(field) } else { Cow::Borrowed(field) })
    })
}

#[cold]
fn unescape(field: &str) -> Cow<'_, str> {
    Cow::Owned(field.replace(ESCAPED_SEPARATOR, "\u{1f}").replace(ESCAPED_ESCAPE, "\u{1e}"))
}
