//! Several key fields as one text, and back.
//!
//! The fields are joined with the control character U+001F ("unit separator"). Where it occurs in
//! a field it is escaped with U+001E, so that different fields never make the same key. A key of
//! one field is that field as it is.

use std::borrow::Cow;

const SEPARATOR: char = '\u{1f}';
const ESCAPE: char = '\u{1e}';
const ESCAPED_SEPARATOR: &str = "\u{1e}s";
const ESCAPED_ESCAPE: &str = "\u{1e}e";

/// Appends a field to a key of several.
pub(crate) fn join(key: &mut String, field: &str, is_first: bool) {
    if !is_first {
        key.push(SEPARATOR);
    }
    if field.contains([SEPARATOR, ESCAPE]) {
        let escaped = field.replace(ESCAPE, ESCAPED_ESCAPE).replace(SEPARATOR, ESCAPED_SEPARATOR);
        key.push_str(&escaped);
    } else {
        key.push_str(field);
    }
}

/// The fields of a key made of `fields` of them, in order.
pub(crate) fn split(key: &str, fields: usize) -> impl Iterator<Item = Cow<'_, str>> {
    let one = (fields == 1).then_some(Cow::Borrowed(key));
    let several = (fields != 1).then(|| key.split(SEPARATOR).map(unescape));
    one.into_iter().chain(several.into_iter().flatten())
}

fn unescape(field: &str) -> Cow<'_, str> {
    if !field.contains(ESCAPE) {
        return Cow::Borrowed(field);
    }
    Cow::Owned(field.replace(ESCAPED_SEPARATOR, "\u{1f}").replace(ESCAPED_ESCAPE, "\u{1e}"))
}
