//! Names of the data, made safe to show: nobody can hide a letter in one, turn the text around it, or
//! command a terminal. `picture` shows names so too.
//!
//! A letter that is not seen, or that changes the direction of the text after it, is written as its code:
//! `⟨U+202E⟩`. Blanks at either end are written `␣`. Names stay different from each other.

use std::borrow::Cow;

/// The name with every letter to be seen.
pub fn visible(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
    if name.bytes().all(is_plain) && !name.starts_with(' ') && !name.ends_with(' ') {
        return Cow::Borrowed(name);
    }
    let letters: Vec<char> = name.chars().collect();
    let is_blank = |letter: &char| *letter == ' ';
    let start = letters.iter().position(|letter| !is_blank(letter)).unwrap_or(letters.len());
    let end = letters.iter().rposition(|letter| !is_blank(letter)).map_or(0, |last| last + 1);
    let mut text = String::with_capacity(name.len());
    for (index, &letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| letters[before]);
        match letter {
            ' ' if !(start..end).contains(&index) => text.push('␣'),
            '\u{200c}' | '\u{200d}' if joins(before) && joins(letters.get(index + 1).copied()) => text.push(letter),
            _ if is_hidden(letter) => text.push_str(&format!("⟨U+{:04X}⟩", letter as u32)),
            _ => text.push(letter),
        }
    }
    Cow::Owned(text)
}

/// Whether a joiner beside this letter belongs there, as within emoji and in scripts that join letters.
fn joins(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| !letter.is_ascii() && !is_hidden(letter))
}

/// Control characters, blanks other than the usual one, letters without width, and marks of direction.
fn is_hidden(letter: char) -> bool {
    let is_blank = letter.is_whitespace() && letter != ' ';
    let has_no_ink = matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    letter.is_control() || is_blank || has_no_ink
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_is_written_as_its_code() {
        assert_eq!(visible("mob\u{200b}ile"), "mob⟨U+200B⟩ile");
        assert_eq!(visible("\u{202e}gnp.exe"), "⟨U+202E⟩gnp.exe");
        assert_eq!(visible("\u{2066}x\u{2069}"), "⟨U+2066⟩x⟨U+2069⟩");
        assert_eq!(visible("a\nb\tc\u{7}"), "a⟨U+000A⟩b⟨U+0009⟩c⟨U+0007⟩");
        assert_eq!(visible("\u{a0}"), "⟨U+00A0⟩");
        assert_eq!(visible("\u{e0041}"), "⟨U+E0041⟩");
    }

    #[test]
    fn blanks_at_the_ends_are_seen() {
        assert_eq!(visible("  "), "␣␣");
        assert_eq!(visible(" a b "), "␣a b␣");
    }

    #[test]
    fn names_of_every_language_stay_as_they_are() {
        for name in
            ["mobile", "<b>bold</b>", "é", "عربي", "میخواهم", "می\u{200c}خواهم", "👩\u{200d}👩\u{200d}👧", "日本"]
        {
            assert_eq!(visible(name), name);
        }
        assert_eq!(visible("a\u{200d}b"), "a⟨U+200D⟩b");
    }

    proptest! {
        #[test]
        fn different_names_stay_different(a in "[ab \u{a0}\u{200b}\u{200d}é]{0,5}", b in "[ab \u{a0}\u{200b}\u{200d}é]{0,5}") {
            prop_assert_eq!(visible(&a) == visible(&b), a == b);
        }

        #[test]
        fn nothing_hidden_is_left(name in any::<String>()) {
            let shown = visible(&name);
            let is_joiner = |letter: char| matches!(letter, '\u{200c}' | '\u{200d}');
            prop_assert!(!shown.chars().any(|letter| is_hidden(letter) && !is_joiner(letter)), "{shown:?}");
            prop_assert!(!shown.starts_with(' ') && !shown.ends_with(' '));
        }
    }
}
