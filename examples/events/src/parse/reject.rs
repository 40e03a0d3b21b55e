//! Why a record cannot be used.

/// The reason, in words that name the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("longer than {} MiB", .most >> 20)]
    TooLong { most: usize },
    #[error("{}", match .field { Some(field) => format!("`{field}` is not valid UTF-8"), None => "not valid UTF-8".into() })]
    NotUtf8 { field: Option<String> },
    #[error("not valid JSON: {what}")]
    NotJson { what: String },
    #[error("not a JSON object")]
    NotAnObject,
    #[error("`{field}` is missing")]
    Missing { field: String },
    #[error("`{field}` is {what}{}", within(.field, .what))]
    Not { field: String, what: &'static str },
    #[error("`{field}` is not a time that can be read: {text:?}{}", match .hint { Some(hint) => format!("; {hint}"), None => String::new() })]
    Time { field: String, text: String, hint: Option<String> },
    #[error("`{field}` is no integer of 64 bits: {text:?}")]
    NotInteger { field: String, text: String },
    /// A condition says so. That is no fault.
    #[error("left out")]
    LeftOut,
    #[error("{found} columns where the header has {expected}")]
    Columns { found: usize, expected: usize },
    #[error("a quoted field is never closed, or goes on after its closing quote (a quote within is written twice)")]
    Quotes,
    #[error("not a line of the combined log format: {what}")]
    NotCombined { what: &'static str },
    #[error(
        "no address or host name of a client before the time: {found:?}; if the format is another one, name it with --log-format"
    )]
    NoClient { found: String },
    #[error("not a line of that log format: {expected:?} does not follow where the line goes on with {found:?}")]
    NotLayout { expected: String, found: String },
    #[error("no line with #Fields stands before it")]
    NoFields,
}

impl Reject {
    /// The reason without what differs from line to line, to count by.
    pub fn kind(&self) -> String {
        match self {
            Self::NotJson { .. } => "not valid JSON".to_owned(),
            Self::Time { field, .. } => format!("`{field}` is not a time that can be read"),
            Self::NotInteger { field, .. } => format!("`{field}` is no integer of 64 bits"),
            Self::NoClient { .. } => "no address or host name of a client".to_owned(),
            Self::NotLayout { .. } => "not a line of that log format".to_owned(),
            Self::Columns { .. } => "another number of columns than the header".to_owned(),
            other => other.to_string(),
        }
    }
}

/// What to name in the place of a field that holds several values.
fn within(field: &str, what: &str) -> String {
    match what {
        "an array" => format!("; name one of its elements, such as `{field}[0]`"),
        "an object" => format!("; name one of its fields, as in `{field}.name`"),
        _ => String::new(),
    }
}

/// The beginning of a text, short enough for a message.
pub fn start_of(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
