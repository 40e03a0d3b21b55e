//! Which format an input has, and which fields it offers.

use std::path::Path;

use serde_json::Value;

use crate::parse::{combined, csv};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
    /// The access log of Apache and nginx
    Combined,
}

/// Tells the format by the name of the file, or else by its first lines.
pub fn detect(path: Option<&Path>, sample: &[u8]) -> Result<Format, &'static str> {
    if let Some(format) = path.and_then(by_name) {
        return Ok(format);
    }
    let mut lines = sample.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let Some(first) = lines.next() else { return Ok(Format::Jsonl) };
    if first.trim_ascii_start().starts_with(b"{") {
        return Ok(Format::Jsonl);
    }
    if first.trim_ascii_start().starts_with(b"[{") || first.trim_ascii() == b"[" {
        return Err("it is one JSON array: put one object on each line (`jq -c '.[]'` does that)");
    }
    if std::iter::once(first).chain(lines).take(20).any(|line| combined::split(line).is_ok()) {
        return Ok(Format::Combined);
    }
    if first.contains(&b',') {
        return Ok(Format::Csv);
    }
    Err("it cannot be told what format it has: say --format jsonl, csv or combined")
}

/// By the ending of the name, with or without `.gz`. Not every `.json` or `.log` is of one kind.
fn by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}

/// The fields that the first lines show.
pub struct Offered {
    pub names: Vec<String>,
    /// Whether a name that is not among them cannot come later.
    pub is_complete: bool,
}

/// So many objects without a field make it a mistake in the command rather than a rare field.
const ENOUGH_OBJECTS: usize = 20;

pub fn offered(format: Format, sample: &[u8]) -> Offered {
    match format {
        Format::Jsonl => in_objects(sample),
        Format::Csv => {
            let header = sample.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty());
            Offered { names: header.map(|line| csv::titles(line.trim_ascii())).unwrap_or_default(), is_complete: true }
        }
        Format::Combined => Offered { names: combined::FIELDS.map(str::to_owned).to_vec(), is_complete: true },
    }
}

fn in_objects(sample: &[u8]) -> Offered {
    let lines = sample.split(|b| *b == b'\n').take(10 * ENOUGH_OBJECTS);
    let objects: Vec<Value> =
        lines.filter_map(|line| serde_json::from_slice(line).ok()).filter(Value::is_object).collect();
    let mut names = Vec::new();
    for object in &objects {
        add_names(object, "", &mut names);
    }
    Offered { names, is_complete: objects.len() >= ENOUGH_OBJECTS }
}

/// Adds the names of all plain fields, those within objects as `a.b`.
fn add_names(object: &Value, prefix: &str, names: &mut Vec<String>) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        if value.is_object() {
            add_names(value, &format!("{name}."), names);
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
}
