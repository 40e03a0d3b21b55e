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
use crate::eight;

// Both are ASCII: they can be looked for among bytes.
pub(crate) const SEPARATOR: char = '\u{1f}';
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
    match kind {
        KeyKind::Text => push_text(key, index, field),
        KeyKind::Integer => {
            let number = numbers::integer(field).ok_or(NotInteger)?;
            push_text(key, index, itoa::Buffer::new().format(number));
        }
    }
    Ok(())
}

/// Appends a text likewise.
#[inline]
pub(super) fn push_text(key: &mut String, index: usize, field: &str) {
    if index > 0 {
        key.push(SEPARATOR);
    }
    if has_separator(field) {
        key.push_str(&escaped(field));
    } else {
        key.push_str(field);
    }
}

#[cold]
fn escaped(field: &str) -> String {
    field.replace(ESCAPE, ESCAPED_ESCAPE).replace(SEPARATOR, ESCAPED_SEPARATOR)
}

/// The fields of a key made of `fields` of them, in order.
#[inline]
pub fn split(key: &str, fields: usize) -> impl Iterator<Item = Cow<'_, str>> {
    let (mut rest, mut left) = (Some(key), fields);
    std::iter::from_fn(move || {
        let key = rest.take()?;
        left = left.saturating_sub(1);
        // The last field, as it stands there, is the rest.
        if fields == 1 || (left == 0 && !has_separator(key)) {
            return Some(Cow::Borrowed(key));
        }
        let mark = eight::first(key.as_bytes(), 0, eight::separator, is_separator);
        let has_escape = mark.is_some_and(|mark| key.as_bytes()[mark] == ESCAPE as u8);
        let end = if has_escape { key.find(SEPARATOR) } else { mark };
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

/// Whether there is a separator, or the mark of one that is escaped.
#[inline]
fn has_separator(text: &str) -> bool {
    eight::any(text.as_bytes(), eight::has_separator, is_separator)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, 0x1e | 0x1f)
}

#[cold]
fn unescape(field: &str) -> Cow<'_, str> {
    Cow::Owned(field.replace(ESCAPED_SEPARATOR, "\u{1f}").replace(ESCAPED_ESCAPE, "\u{1e}"))
}
