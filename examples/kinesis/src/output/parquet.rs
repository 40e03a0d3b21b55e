//! Sessions as a Parquet file.

use std::borrow::Cow;

use anyhow::{Error, Result};
use events::columns::Columns;
use rows::parquet::{Row, Rows};
use serde_json::Value;

use crate::session::Session;

/// A file of these sessions.
pub(super) fn write(columns: &Columns, sessions: &[Session]) -> Result<Vec<u8>> {
    let mut rows = Rows::new(columns.clone());
    for session in sessions {
        let supersedes = session.supersedes.join(",");
        rows.push(&row(session, &supersedes), session.key.iter().map(text)).map_err(Error::msg)?;
    }
    rows.file().map_err(Error::msg)
}

fn row<'a>(session: &'a Session, supersedes: &'a str) -> Row<'a> {
    Row {
        id: &session.id,
        timeagg: session.timeagg,
        events: session.events,
        begin_navigation: &session.begin_navigation,
        end_navigation: &session.end_navigation,
        begin: session.begin,
        end: session.end,
        reason: &session.reason,
        revision: session.revision,
        supersedes,
    }
}

fn text(key: &Value) -> Cow<'_, str> {
    key.as_str().map_or_else(|| key.to_string().into(), Cow::from)
}
