//! Keys that may mean another user than they seem to, or none.
//!
//! Blanks and invisible characters at its ends make another user of a name. Programs write `NULL`, `\N`, `N/A`, `undefined` or blanks where they have no user, a spreadsheet rounds a long
//! number to `1.23457E+11`, and quotes in the wrong place become a part of a name. All of them count as they are
//! written, since a user may be called so. A note tells them: many visitors may look like one, or one like two.

use super::start_of;

/// Texts without a user, without case, and without blanks, quotes and brackets around it.
const SPELLINGS: [&str; 12] =
    ["null", "none", "nil", "nan", "na", "n/a", "#n/a", "undefined", "unknown", "not set", "\\n", ""];

/// The identifier of a device that does not tell its own.
const ZEROS: &str = "00000000-0000-0000-0000-000000000000";

/// Whether a text could be such a key: asked for each event, and seldom true.
#[inline(always)]
pub(super) fn may_be(text: &[u8]) -> bool {
    // Most begin in one of these ways, which is told without a call.
    let is_usual = matches!(text, [b'1'..=b'9' | b'a'..=b'm' | b'A'..=b'M', ..]);
    matches!(text, [.., b'E', b'+', _, _] | [.., b' ' | 0x80..]) || (!is_usual && begins_like_one(text))
}

#[inline(never)]
fn begins_like_one(text: &[u8]) -> bool {
    match text {
        [] | [b'-'] | [b' ' | b'\t' | b'"' | b'\'' | b'(' | b'<' | b'[' | b'{' | b'\\' | b'#' | 0x80.., ..] => true,
        [b'n' | b'N', rest @ ..] => rest.len() < 4,
        [b'u' | b'U', b'n' | b'N', rest @ ..] => matches!(rest.len(), 5 | 7),
        [b'=', b'"', ..] => true,
        [b'0', rest @ ..] => rest.len() == ZEROS.len() - 1,
        _ => false,
    }
}

/// Whether quotes that should stand around a text are a part of it.
#[cold]
fn is_quoted(text: &str) -> bool {
    let quotes = [("\"", "\""), ("'", "'"), ("=\"", "\""), ("\u{201c}", "\u{201d}"), ("\u{2018}", "\u{2019}")];
    text.chars().count() > 2 && quotes.iter().any(|(open, close)| text.starts_with(open) && text.ends_with(close))
}

/// Whether a text begins or ends with blanks, or with characters that nobody sees.
#[cold]
fn is_blurred(text: &str) -> bool {
    let is_unseen =
        |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}');
    text.starts_with(is_unseen) || text.ends_with(is_unseen)
}

/// Whether a text is a number that a spreadsheet rounded, such as `1.23457E+11`.
#[cold]
fn is_rounded(text: &str) -> bool {
    let parts = text.split_once("E+").map(|(number, exponent)| (number.len(), number.parse::<f64>(), exponent));
    parts.is_some_and(|(length, number, exponent)| {
        number.is_ok() && exponent.parse::<usize>().is_ok_and(|exponent| exponent + 2 > length)
    })
}

/// Whether a text is nobody in all likelihood, though it is not empty.
#[cold]
fn is_nobody(text: &str) -> bool {
    let is_around = |c: char| c.is_whitespace() || "\"'()<>[]{}".contains(c);
    let inside = text.trim_matches(is_around);
    !text.is_empty() && (inside == ZEROS || SPELLINGS.iter().any(|spelling| inside.eq_ignore_ascii_case(spelling)))
}

/// How often something was seen, and the first of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Example(Option<(u64, String)>);

impl Example {
    pub(super) fn count(&mut self, text: &str) {
        self.0.get_or_insert_with(|| (0, start_of(text))).0 += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        if let Some((count, text)) = other.0 {
            self.0.get_or_insert((0, text)).0 += count;
        }
    }

    pub(super) fn get(&self) -> Option<(u64, &str)> {
        self.0.as_ref().map(|(count, text)| (*count, text.as_str()))
    }
}

/// The keys that were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct OddKeys {
    /// Of each text that is nobody, the number of events.
    nobodies: Vec<(String, u64)>,
    quoted: Example,
    rounded: Example,
    blurred: Example,
}

impl OddKeys {
    pub(super) fn note(&mut self, key: &str) {
        if is_nobody(key) {
            self.count(key, 1);
        } else if is_quoted(key) {
            self.quoted.count(key);
        } else if is_rounded(key) {
            self.rounded.count(key);
        } else if is_blurred(key) {
            self.blurred.count(key);
        }
    }

    /// Counts a text that is nobody. Of very many such texts the last ones count as one.
    fn count(&mut self, text: &str, events: u64) {
        const MOST: usize = 16;
        let is_full = self.nobodies.len() >= MOST;
        let shown = if text.trim().is_empty() { " " } else { text };
        match self.nobodies.iter().position(|(known, _)| known == shown) {
            Some(known) => self.nobodies[known].1 += events,
            None if is_full => self.nobodies[MOST - 1].1 += events,
            None => self.nobodies.push((start_of(shown), events)),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (text, events) in &other.nobodies {
            self.count(text, *events);
        }
        self.quoted.merge(other.quoted);
        self.rounded.merge(other.rounded);
        self.blurred.merge(other.blurred);
    }

    pub(super) fn notes(&self, field: &str, notes: &mut Vec<String>) {
        let events = |count: u64| if count == 1 { "event has" } else { "events have" };
        for (text, count) in &self.nobodies {
            let (events, condition) = (events(*count), condition(field, text));
            notes.push(format!(
                "{count} {events} {text:?} as `{field}`: they count as one user (--not {condition} leaves them out)"
            ));
        }
        if let Some((count, text)) = self.quoted.get() {
            let events = events(count);
            notes.push(format!("{count} {events} quotes around `{field}` that are a part of it, such as {text}"));
        }
        if let Some((count, text)) = self.blurred.get() {
            let events = events(count);
            notes.push(format!(
                "{count} {events} blanks or invisible characters around `{field}`, such as \"{}\": without them it is \
                 another user",
                text.escape_debug()
            ));
        }
        if let Some((count, text)) = self.rounded.get() {
            let events = events(count);
            notes.push(format!(
                "{count} {events} a number as `{field}` that a spreadsheet has rounded, such as {text}: several users \
                 may be one"
            ));
        }
    }
}

/// The condition that holds for such a text alone, as the command line has it.
fn condition(field: &str, text: &str) -> String {
    match text.trim() {
        "" => format!("'{field}~^\\s*$'"),
        text if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'-') => {
            format!("{field}={text}")
        }
        text if text.contains('\'') => format!("\"{field}={text}\""),
        text => format!("'{field}={text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_from_somebody() {
        let nobody =
            ["NULL", "null", "\\N", "N/A", "n/a", "NA", "NaN", "nil", "None", "undefined", "Unknown", "(not set)"];
        let more =
            ["\"null\"", "''", "\"\"", "(null)", "<nil>", "[]", "{}", " ", "\u{a0}", " \t ", " null ", "#N/A", ZEROS];
        for text in nobody.into_iter().chain(more) {
            assert!(may_be(text.as_bytes()) && is_nobody(text), "{text:?}");
        }
        for text in ["\"ann\"", "'ann'", "=\"007\"", "\u{201c}ann\u{201d}"] {
            assert!(may_be(text.as_bytes()) && is_quoted(text) && !is_nobody(text), "{text}");
        }
        for text in ["1.23457E+11", "5E+10"] {
            assert!(may_be(text.as_bytes()) && is_rounded(text) && !is_nobody(text), "{text}");
        }
        assert!(!is_rounded("1.23456789E+02") && !is_rounded("5E+xx") && !is_quoted("\"") && !is_quoted("\"a"));
        for text in ["ann ", " ann", "ann\u{200b}", "\u{feff}ann", "a\u{a0}"] {
            assert!(may_be(text.as_bytes()) && is_blurred(text) && !is_nobody(text) && !is_quoted(text), "{text:?}");
        }
        assert!(!is_blurred("Jos\u{e9}") && !is_blurred("a b"));
        for text in ["", "-", "ann", "nullo", "Nora", "Nina", "uncle", "unique9", "0", "(ann)", "n", "\\", "Ünal"] {
            assert!(!is_nobody(text), "{text:?}");
        }
        assert!(!may_be(b"user12345") && !may_be(b"192.0.2.1") && !may_be(b"noname"));
    }
}
