//! Texts that programs write where they have no user: `NULL`, `\N`, `N/A`, `undefined`, blanks.
//!
//! They count as they are written, since a user may be called so. A note tells them, with the option that leaves them
//! out: many visitors without a name look like one.

/// The same without case, and without blanks, quotes and brackets around it.
const SPELLINGS: [&str; 12] =
    ["null", "none", "nil", "nan", "na", "n/a", "#n/a", "undefined", "unknown", "not set", "\\n", ""];

/// The identifier of a device that does not tell its own.
const ZEROS: &str = "00000000-0000-0000-0000-000000000000";

/// Whether a text could be nobody: asked for each event, and seldom true.
#[inline(always)]
pub(super) fn may_be(text: &[u8]) -> bool {
    // Most begin in one of these ways, which is told without a call.
    !matches!(text, [b'1'..=b'9' | b'a'..=b'm' | b'A'..=b'M', ..]) && begins_like_one(text)
}

#[inline(never)]
fn begins_like_one(text: &[u8]) -> bool {
    match text {
        [] | [b'-'] | [b' ' | b'\t' | b'"' | b'\'' | b'(' | b'<' | b'[' | b'{' | b'\\' | b'#' | 0x80.., ..] => true,
        [b'n' | b'N', rest @ ..] => rest.len() < 4,
        [b'u' | b'U', b'n' | b'N', rest @ ..] => matches!(rest.len(), 5 | 7),
        [b'0', rest @ ..] => rest.len() == ZEROS.len() - 1,
        _ => false,
    }
}

/// Whether a text is nobody in all likelihood, though it is not empty.
#[cold]
pub(super) fn is(text: &str) -> bool {
    let is_around = |c: char| c.is_whitespace() || "\"'()<>[]{}".contains(c);
    let inside = text.trim_matches(is_around);
    !text.is_empty() && (inside == ZEROS || SPELLINGS.iter().any(|spelling| inside.eq_ignore_ascii_case(spelling)))
}

/// The condition that holds for such a text alone, as the command line has it.
pub(super) fn condition(field: &str, text: &str) -> String {
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
            assert!(may_be(text.as_bytes()) && is(text), "{text:?}");
        }
        for text in ["", "-", "ann", "nullo", "Nora", "Nina", "uncle", "unique9", "0", "(ann)", "n", "\\", "Ünal"] {
            assert!(!is(text), "{text:?}");
        }
        assert!(!may_be(b"user12345") && !may_be(b"192.0.2.1") && !may_be(b"noname"));
    }
}
