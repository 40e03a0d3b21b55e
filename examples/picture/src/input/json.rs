//! Rows as JSON objects, one on each line.

use std::io::BufRead;

use events::parse::times::Recent;
use serde_json::{Map, Value};

use super::Reading;
use crate::row::{Cell, Draft, Role};

pub(super) fn read(mut from: impl BufRead, reading: &mut Reading<'_>) -> Result<(), String> {
    let recent = Recent::default();
    let mut line = Vec::new();
    let mut number = 0u64;
    loop {
        line.clear();
        let after = |error| format!("it breaks off after line {number}: {error}");
        if from.read_until(b'\n', &mut line).map_err(after)? == 0 {
            return Ok(());
        }
        number += 1;
        if !line.trim_ascii().is_empty() {
            reading.take(&format!("line {number}"), row(&line, &recent));
        }
    }
}

fn row(line: &[u8], recent: &Recent) -> Result<Draft, String> {
    let object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("it is no JSON object ({error})"))?;
    let mut draft = Draft::default();
    for (name, value) in object {
        draft.set(&name, Role::of(&name), &cell(value), recent)?;
    }
    Ok(draft)
}

fn cell(value: Value) -> Cell<'static> {
    match value {
        Value::Null => Cell::Empty,
        Value::String(text) => Cell::Text(text.into()),
        Value::Number(number) => number.as_i64().map_or_else(|| Cell::Text(number.to_string().into()), Cell::Whole),
        Value::Array(list) => {
            let texts = list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            Cell::Text(texts.collect::<Vec<_>>().join(",").into())
        }
        other => Cell::Text(other.to_string().into()),
    }
}
