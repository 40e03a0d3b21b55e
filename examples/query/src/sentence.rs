//! Errors as sentences.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::engine::{ERRORS, VIEWS};
use crate::options::AGGREGATED;

/// Something for the user to read, on its way through the engine.
#[derive(Debug)]
pub(crate) struct Sentence(pub(crate) String);

impl std::fmt::Display for Sentence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Sentence {}

impl From<Sentence> for DataFusionError {
    fn from(sentence: Sentence) -> Self {
        Self::External(Box::new(sentence))
    }
}

/// The engine's message, on one line. `tables` are the existing tables.
pub(crate) fn of(error: &DataFusionError, tables: &[String]) -> Sentence {
    let text = match error.find_root() {
        DataFusionError::External(error) => error.to_string(),
        DataFusionError::SQL(error, _) => match &**error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                format!("the SQL cannot be read: {text}: correct it there")
            }
            ParserError::RecursionLimitExceeded => {
                "the SQL is nested too deeply: write it with fewer parentheses".into()
            }
        },
        DataFusionError::SchemaError(error, _) => match &**error {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let mut names: Vec<&str> = valid_fields.iter().map(|field| &*field.name).collect();
                names.dedup();
                let there_are = if names.is_empty() {
                    "there are none here".to_owned()
                } else {
                    format!("there are {}", names.join(", "))
                };
                format!("there is no column `{}`: {there_are}", field.name)
            }
            other => format!("the query cannot be run: {other}"),
        },
        DataFusionError::Plan(text) => match missing_table(text) {
            Some(table) => no_table(table, tables),
            None => format!("the query cannot be run: {}", of_function(text)),
        },
        DataFusionError::NotImplemented(text) => format!("the engine cannot do this: {text}"),
        other => format!("the query failed: {}", other.strip_backtrace()),
    };
    Sentence(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The message of one of our functions about its values, without the engine's words around it.
fn of_function(text: &str) -> &str {
    let ours = text.split_once("coercion failed with: Error during planning: ");
    ours.and_then(|(_, text)| text.split_once(". No function matches")).map_or(text, |(text, _)| text)
}

/// From `table 'datafusion.public.name' not found`.
fn missing_table(text: &str) -> Option<&str> {
    let name = text.strip_prefix("table '")?.split_once("' not found")?.0;
    Some(name.strip_prefix("datafusion.public.").unwrap_or(name))
}

fn no_table(name: &str, tables: &[String]) -> String {
    let is_over_it = name == AGGREGATED || VIEWS.iter().any(|(view, _)| *view == name);
    let advice = match tables.iter().find(|table| *table != ERRORS) {
        Some(table) if is_over_it => format!("; say which of them is `{AGGREGATED}`, as in --table {table}"),
        _ => String::new(),
    };
    format!("there is no table `{name}`: there are {}{advice}", tables.join(", "))
}
