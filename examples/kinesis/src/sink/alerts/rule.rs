//! Rules such as `duration < 20s and device_id = mobile`.

use std::time::Duration;

use events::columns::{Columns, KeyKind};
use events::lengths;
use serde_json::Value;
use stagger::CloseReason;

use rows::SessionRow;

/// Conditions that must hold together.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Duration(Comparison, Duration),
    Events(Comparison, u64),
    /// The number of a key field.
    Key(usize, Comparison, String),
    Text(Field, Comparison, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Begin,
    End,
    Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    NotEqual,
}

const REASONS: [CloseReason; 7] = [
    CloseReason::Gap,
    CloseReason::Range,
    CloseReason::Watermark,
    CloseReason::MaxDuration,
    CloseReason::Cut,
    CloseReason::Flush,
    CloseReason::Evicted,
];

impl Rule {
    /// Reads `FIELD COMPARISON VALUE`, and more of them after `and`.
    pub(crate) fn parse(text: &str, columns: &Columns) -> Result<Self, String> {
        let mut words = Words { text, at: 0 };
        let explain = |(at, what): (usize, String)| {
            let (before, from) = text.split_at(at);
            let place = match from.trim_end() {
                "" => "at its end".to_owned(),
                from => format!("at `{from}`, character {}", before.chars().count() + 1),
            };
            format!("cannot read the rule `{text}` {place}: {what}")
        };
        let conditions = conditions(&mut words, columns).map_err(explain)?;
        Ok(Self { text: text.trim().to_owned(), conditions })
    }

    pub(crate) fn holds(&self, session: &SessionRow) -> bool {
        self.conditions.iter().all(|condition| condition.holds(session))
    }

    /// Whether it holds for the same sessions as another, as far as the order of their conditions tells.
    pub(crate) fn means_the_same(&self, other: &Self) -> bool {
        self.conditions == other.conditions
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Condition {
    fn holds(&self, session: &SessionRow) -> bool {
        match self {
            Self::Duration(comparison, limit) => comparison.holds(&session.duration(), limit),
            Self::Events(comparison, limit) => comparison.holds(&session.events, limit),
            Self::Key(index, comparison, value) => {
                session.key.get(*index).is_some_and(|key| key_holds(key, *comparison, value))
            }
            Self::Text(field, comparison, value) => comparison.holds(field.of(session), value.as_str()),
        }
    }
}

impl Field {
    fn of(self, session: &SessionRow) -> &str {
        match self {
            Self::Begin => &session.begin_navigation,
            Self::End => &session.end_navigation,
            Self::Reason => &session.reason,
        }
    }
}

impl Comparison {
    fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }

    fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Numbers are compared as numbers, everything else only for being the same text.
fn key_holds(key: &Value, comparison: Comparison, value: &str) -> bool {
    if let Value::Number(number) = key {
        if let (Some(number), Ok(value)) = (number.as_i128(), value.parse::<i128>()) {
            return comparison.holds(&number, &value);
        }
        if let (Some(number), Ok(value)) = (number.as_f64(), value.parse::<f64>()) {
            return comparison.holds(&number, &value);
        }
    }
    let text = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
    comparison.is_equality() && comparison.holds(text.as_str(), value)
}

/// The mistake, and the byte where it is.
type Wrong = (usize, String);

fn conditions(words: &mut Words<'_>, columns: &Columns) -> Result<Vec<Condition>, Wrong> {
    let mut conditions = vec![condition(words, columns)?];
    while let Some((at, word)) = words.next()? {
        match word {
            Word::Bare(and) if and.eq_ignore_ascii_case("and") => conditions.push(condition(words, columns)?),
            Word::Bare(or) if or.eq_ignore_ascii_case("or") => {
                return Err((at, "write the conditions after `or` as a rule of their own".to_owned()));
            }
            _ => return Err((at, "conditions are joined by `and`; put a value with blanks into \"…\"".to_owned())),
        }
    }
    Ok(conditions)
}

fn condition(words: &mut Words<'_>, columns: &Columns) -> Result<Condition, Wrong> {
    let name = words.next()?;
    let (comparison_at, comparison) = match words.next()? {
        Some((at, Word::Comparison(comparison))) => (at, Some(comparison)),
        Some((at, _)) => (at, None),
        None => (words.text.len(), None),
    };
    let (name_at, name) = match name {
        Some((at, Word::Bare(name))) => (at, name.to_owned()),
        Some((at, Word::Quoted(name))) => (at, name),
        Some((at, Word::Comparison(_))) => return Err((at, fields(columns))),
        None => return Err((words.text.len(), fields(columns))),
    };
    let field = |comparison| field(&name, comparison, columns);
    if field(Comparison::Equal).is_none() {
        return Err((name_at, fields(columns)));
    }
    let comparison = comparison.ok_or((comparison_at, "choose <, <=, >, >=, = or !=".to_owned()))?;
    let make = field(comparison).ok_or((comparison_at, format!("`{name}` is a text: choose = or !=")))?;
    match words.next()? {
        Some((at, Word::Bare(value))) => make(value.to_owned()).map_err(|what| (at, what)),
        Some((at, Word::Quoted(value))) => make(value).map_err(|what| (at, what)),
        Some((at, Word::Comparison(_))) => Err((at, "a value belongs here".to_owned())),
        None => Err((words.text.len(), "a value belongs here".to_owned())),
    }
}

type Make = Box<dyn Fn(String) -> Result<Condition, String>>;

/// Makes the condition out of its value. `None` if there is no such field, or it is not compared so.
fn field(name: &str, comparison: Comparison, columns: &Columns) -> Option<Make> {
    let text = |field| comparison.is_equality().then(|| Box::new(move |value| text(field, comparison, value)) as Make);
    match name {
        "duration" => Some(Box::new(move |value| Ok(Condition::Duration(comparison, lengths::parse(&value)?)))),
        "events" => Some(Box::new(move |value| {
            let events = value.parse().map_err(|_| "a whole number belongs here".to_owned())?;
            Ok(Condition::Events(comparison, events))
        })),
        "beginnavigation" => text(Field::Begin),
        "endnavigation" => text(Field::End),
        "reason" => text(Field::Reason),
        _ => {
            let index = columns.key.iter().position(|key| key == name)?;
            let is_number = columns.kinds[index] == KeyKind::Integer;
            (is_number || comparison.is_equality()).then_some(())?;
            Some(Box::new(move |value| key(index, comparison, value)))
        }
    }
}

fn text(field: Field, comparison: Comparison, value: String) -> Result<Condition, String> {
    if field == Field::Reason && !REASONS.iter().any(|reason| reason.name() == value) {
        return Err(format!("choose {}", join(REASONS.iter().map(|reason| reason.name()))));
    }
    Ok(Condition::Text(field, comparison, value))
}

fn key(index: usize, comparison: Comparison, value: String) -> Result<Condition, String> {
    if !comparison.is_equality() && value.parse::<f64>().is_err() {
        return Err("only numbers can be compared so; for a text choose = or !=".to_owned());
    }
    Ok(Condition::Key(index, comparison, value))
}

fn fields(columns: &Columns) -> String {
    let key = columns.key.iter().map(String::as_str);
    format!(
        "choose {}",
        join(["duration", "events", "beginnavigation", "endnavigation", "reason"].into_iter().chain(key))
    )
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

enum Word<'a> {
    Bare(&'a str),
    Quoted(String),
    Comparison(Comparison),
}

/// The words of a rule, each with the byte where it begins.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<Option<(usize, Word<'a>)>, Wrong> {
        let rest = self.text[self.at..].trim_start();
        let at = self.text.len() - rest.len();
        let (length, word) = match rest.chars().next() {
            None => return Ok(None),
            Some('"') => quoted(rest).ok_or((at, "the closing `\"` is missing".to_owned()))?,
            Some('<' | '>' | '=' | '!') => comparison(rest).ok_or((at, "choose <, <=, >, >=, = or !=".to_owned()))?,
            Some(_) => {
                let end = |c: char| c.is_whitespace() || "<>=!\"".contains(c);
                let length = rest.find(end).unwrap_or(rest.len());
                (length, Word::Bare(&rest[..length]))
            }
        };
        self.at = at + length;
        Ok(Some((at, word)))
    }
}

/// A JSON string.
fn quoted<'a>(text: &str) -> Option<(usize, Word<'a>)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((values.byte_offset(), Word::Quoted(value)))
}

fn comparison<'a>(text: &str) -> Option<(usize, Word<'a>)> {
    let length = text.find(|c| !"<>=!".contains(c)).unwrap_or(text.len());
    let comparison = match &text[..length] {
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        ">=" => Comparison::AtLeast,
        "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        _ => return None,
    };
    Some((length, Word::Comparison(comparison)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{columns, session};
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text, &columns()).unwrap()
    }

    /// Of a session of 20, mobile: 3 events in 19.5 seconds.
    fn holds(text: &str) -> bool {
        rule(text).holds(&session())
    }

    #[test]
    fn limits_are_exact() {
        assert!(holds("duration < 20s") && holds("duration <= 19s500ms") && !holds("duration < 19s500ms"));
        assert!(holds("duration>=19s500ms") && !holds("duration > 19s500ms") && holds("duration != 19s"));
        assert!(holds("events = 3") && holds("events > 2") && !holds("events > 3") && holds("events <= 3"));
    }

    #[test]
    fn texts_and_keys() {
        assert!(holds("device_id = mobile") && !holds("device_id != mobile") && holds(r#"device_id = "mobile""#));
        assert!(holds("user_id = 20") && holds("user_id = 20.0") && holds("user_id < 100") && !holds("user_id > 20"));
        assert!(holds("beginnavigation = beer_vitrine_nav") && holds("endnavigation != beer_vitrine_nav"));
        assert!(holds("reason = range") && !holds("reason = flush"));
        assert!(holds("duration < 20s and events = 3 AND user_id=20") && !holds("events = 3 and events = 4"));
    }

    #[test]
    fn a_key_that_is_no_number_is_not_below_one() {
        let of = |text: &str, key: Vec<Value>| rule(text).holds(&SessionRow { key, ..session() });
        assert!(!of("user_id < 99", vec![json!("100")]) && !of("user_id < 101", vec![json!("100")]));
        assert!(of("user_id = 20", vec![json!("20")]) && of("device_id = true", vec![json!(1), json!(true)]));
        assert!(!of("user_id = 20", Vec::new()) && !of("user_id != 20", Vec::new()));
        assert!(of("user_id > 18446744073709551614", vec![json!(u64::MAX)]));
    }

    #[test]
    fn errors_say_where_and_what_instead() {
        let reason = |text: &str| Rule::parse(text, &columns()).unwrap_err();
        let cases = [
            ("duration < 20", "at `20`, character 12: add a unit: 20s, 20m, 20h"),
            (
                "length < 20s",
                "at `length < 20s`, character 1: choose duration, events, beginnavigation, endnavigation, reason, user_id or device_id",
            ),
            ("", "at its end: choose duration, events, beginnavigation, endnavigation, reason, user_id or device_id"),
            ("duration", "at its end: choose <, <=, >, >=, = or !="),
            ("duration == 20s", "at `== 20s`, character 10: choose <, <=, >, >=, = or !="),
            ("duration <", "at its end: a value belongs here"),
            ("events > many", "at `many`, character 10: a whole number belongs here"),
            (
                "events > 5 or events < 2",
                "at `or events < 2`, character 12: write the conditions after `or` as a rule of their own",
            ),
            ("events > 5, events < 2", "at `5, events < 2`, character 10: a whole number belongs here"),
            (
                "device_id = my phone",
                "at `phone`, character 16: conditions are joined by `and`; put a value with blanks into \"…\"",
            ),
            ("device_id = \"é\" and reason < gap", "at `< gap`, character 28: `reason` is a text: choose = or !="),
            (
                "user_id < mobile",
                "at `mobile`, character 11: only numbers can be compared so; for a text choose = or !=",
            ),
            ("device_id < 7", "at `< 7`, character 11: `device_id` is a text: choose = or !="),
            (
                "reason = timeout",
                "at `timeout`, character 10: choose gap, range, watermark, max_duration, cut, flush or evicted",
            ),
            ("device_id = \"open", "at `\"open`, character 13: the closing `\"` is missing"),
            (
                "events > 5 and",
                "at its end: choose duration, events, beginnavigation, endnavigation, reason, user_id or device_id",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(reason(text), format!("cannot read the rule `{text}` {expected}"));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[a-z<>=! \"\\\\é0-9]{0,30}", more in ".{0,20}") {
            for text in [format!("events{text}"), format!("events > 3 and {text}"), more] {
                _ = Rule::parse(&text, &columns());
            }
        }
    }
}
