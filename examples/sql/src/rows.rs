//! A row as a line of CSV or JSON.

use compact_str::CompactString;

use crate::types::{Value, write_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Csv,
    Jsonl,
}

/// Appends a row with its line end.
pub fn write_row(form: Form, names: &[impl AsRef<str>], values: &[Value], to: &mut Vec<u8>) {
    let mut text = CompactString::default();
    match form {
        Form::Csv => write_csv(values, &mut text, to),
        Form::Jsonl => write_json(names, values, &mut text, to),
    }
    to.push(b'\n');
}

/// Appends the names of the columns, as the first line of CSV has them.
pub fn write_header(names: &[impl AsRef<str>], to: &mut Vec<u8>) {
    for (index, name) in names.iter().enumerate() {
        separate(index, to);
        quote(name.as_ref(), to);
    }
    to.push(b'\n');
}

fn separate(index: usize, to: &mut Vec<u8>) {
    if index > 0 {
        to.push(b',');
    }
}

fn write_csv(values: &[Value], text: &mut CompactString, to: &mut Vec<u8>) {
    for (index, value) in values.iter().enumerate() {
        separate(index, to);
        match value {
            Value::Null => {}
            // An empty text is not NULL.
            Value::Text(text) if text.is_empty() => to.extend_from_slice(b"\"\""),
            Value::Text(text) => quote(text, to),
            other => {
                text.clear();
                write_text(other, text);
                to.extend_from_slice(text.as_bytes());
            }
        }
    }
}

fn write_json(names: &[impl AsRef<str>], values: &[Value], text: &mut CompactString, to: &mut Vec<u8>) {
    to.push(b'{');
    for (index, (name, value)) in names.iter().zip(values).enumerate() {
        separate(index, to);
        _ = serde_json::to_writer(&mut *to, name.as_ref()); // into memory: it cannot fail
        to.push(b':');
        text.clear();
        write_text(value, text);
        match value {
            Value::Null => to.extend_from_slice(b"null"),
            Value::Bool(is) => to.extend_from_slice(if *is { b"true" } else { b"false" }),
            Value::Double(number) if !number.is_finite() => to.extend_from_slice(b"null"),
            Value::Int(_) | Value::Decimal(..) | Value::Double(_) => to.extend_from_slice(text.as_bytes()),
            _ => _ = serde_json::to_writer(&mut *to, text.as_str()),
        }
    }
    to.push(b'}');
}

fn quote(text: &str, to: &mut Vec<u8>) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        to.extend_from_slice(text.as_bytes());
        return;
    }
    to.push(b'"');
    to.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    to.push(b'"');
}
