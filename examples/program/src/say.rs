//! Messages on standard error. One that nobody reads is no reason to stop, and none can command a terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

/// The maximum length of a message, in letters.
const LONGEST: usize = 2_000;
/// The maximum length of a name or a cell within a message.
const LONGEST_NAME: usize = 60;

/// Writes a message as a line.
pub fn say(message: impl Display) {
    let message = message.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", cut(&escaped(&message), LONGEST));
}

/// A text whose control characters, and marks that turn the direction of writing, are written as codes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(acts) {
        return text.into();
    }
    text.chars().map(|letter| if acts(letter) { letter.escape_default().to_string() } else { letter.into() }).collect()
}

/// The beginning of a name or a cell, short enough for a message.
pub fn start_of(text: &str) -> Cow<'_, str> {
    cut(text, LONGEST_NAME)
}

/// Some names, with commas between them, and how many more there are.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    const MOST: usize = 20;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| start_of(name.as_ref())).collect();
    let more = names.len() - shown.len();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// `1 session`, `2,500 sessions`.
pub fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// A number with commas: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_commands_a_terminal() {
        assert_eq!(escaped("a\u{1b}[31m\nb\u{9b}\u{202e}"), "a\\u{1b}[31m\\nb\\u{9b}\\u{202e}");
        assert_eq!(escaped("日本 é …"), "日本 é …");
    }

    #[test]
    fn numbers_have_commas() {
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "line"), counted(2_000, "line")), ("1 line".to_owned(), "2,000 lines".to_owned()));
    }

    #[test]
    fn long_names_and_many_are_cut() {
        assert_eq!(start_of(&"x".repeat(60)).len(), 60);
        assert_eq!(start_of(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
        let names: Vec<String> = (1..=22).map(|n| n.to_string()).collect();
        assert!(list(&names).ends_with("19, 20 and 2 more"));
        assert_eq!(list(&["a", "b"]), "a, b");
    }
}
