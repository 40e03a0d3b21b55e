//! Places in the text of an application, and messages about them.

use std::fmt::Write as _;

use sqlparser::tokenizer::Location;

/// A line and a column, both counted from 1. Line 0: no place is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        Self { line: at.line, column: at.column }
    }
}

/// Something that cannot run: where, what, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    pub what: String,
    pub instead: String,
}

pub type Checked<T> = Result<T, Mistake>;

impl Mistake {
    pub fn new(place: Place, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { place, what: what.into(), instead: instead.into() }
    }

    /// Message, line of the text with a caret below the place, and advice.
    pub fn show(&self, file: &str, text: &str) -> String {
        let Place { line, column } = self.place;
        let mut shown = match line {
            0 => format!("{file}: {}", self.what),
            _ => format!("{file}:{line}:{column}: {}", self.what),
        };
        // A place behind the text is that of its last line's end.
        let last = || text.lines().last().filter(|_| line > 0).map(|last| (last, last.chars().count()));
        let found = text.lines().nth((line as usize).wrapping_sub(1));
        if let Some((source, at)) = found.map(|source| (source, (column as usize).saturating_sub(1))).or_else(last) {
            let (shown_line, before) = around(source, at);
            let _ = write!(shown, "\n    {shown_line}\n    {:before$}^", "");
        }
        if !self.instead.is_empty() {
            let _ = write!(shown, "\n{}", self.instead);
        }
        shown
    }
}

/// The part of a line around a letter, and how many letters come before that one.
fn around(line: &str, at: usize) -> (String, usize) {
    const MOST: usize = 100;
    let skipped = at.saturating_sub(MOST);
    let mut letters = line.chars().map(|c| if c == '\t' { ' ' } else { c }).skip(skipped);
    let mut part: String = letters.by_ref().take(2 * MOST).collect();
    if letters.next().is_some() {
        part.push('…');
    }
    let before = (at - skipped).min(part.chars().count());
    if skipped > 0 { (format!("…{part}"), before + 1) } else { (part, before) }
}

/// The part of a text from one place up to another, without blanks around it.
pub fn between(text: &str, from: Place, to: Place) -> &str {
    let (start, end) = (offset(text, from), offset(text, to));
    text.get(start..end.max(start)).unwrap_or_default().trim()
}

fn offset(text: &str, place: Place) -> usize {
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if number as u64 + 1 == place.line {
            let column = line.char_indices().nth(place.column as usize - 1).map_or(line.len(), |(at, _)| at);
            return start + column;
        }
        start += line.len();
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place() {
        let text = "SELECT\n\tå JOIN b";
        let mistake = Mistake::new(Place { line: 2, column: 4 }, "JOIN is not supported", "use one stream");
        let expected = "app.sql:2:4: JOIN is not supported\n     å JOIN b\n       ^\nuse one stream";
        assert_eq!(mistake.show("app.sql", text), expected);
        let nowhere = Mistake::new(Place::default(), "no pump", "");
        assert_eq!(nowhere.show("app.sql", text), "app.sql: no pump");
    }

    #[test]
    fn of_a_long_line_a_part_is_shown() {
        let text = format!("{}x{}", "a".repeat(70_000), "b".repeat(70_000));
        let shown = Mistake::new(Place { line: 1, column: 70_001 }, "x", "").show("app.sql", &text);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1].chars().nth(lines[2].chars().count() - 1), Some('x'));
        assert!(lines[1].starts_with("    …a") && lines[1].ends_with("b…") && lines[1].len() < 250);
    }

    #[test]
    fn a_part_of_a_text() {
        let text = "ab\n cd ef";
        assert_eq!(between(text, Place { line: 1, column: 2 }, Place { line: 2, column: 5 }), "b\n cd");
        assert_eq!(between(text, Place { line: 2, column: 2 }, Place { line: 9, column: 1 }), "cd ef");
    }
}
