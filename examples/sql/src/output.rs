//! Rows as CSV and as JSON lines.

use std::fs::File;
use std::io::{self, Write};

use compact_str::CompactString;
use program::growing::Growing;
use sql::types::{Value, write_text};

use crate::options::Form;

/// How many bytes are written at once.
const BLOCK: usize = 1 << 18;

/// Where rows go.
pub(crate) enum To {
    Stdout(io::Stdout),
    File(Growing),
    /// In a folder that grows as a whole.
    Within(File),
}

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(to) => to.write(bytes),
            Self::File(to) => to.write(bytes),
            Self::Within(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(to) => to.flush(),
            Self::File(to) => to.flush(),
            Self::Within(to) => to.flush(),
        }
    }
}

/// The rows of one stream.
pub(crate) struct Rows {
    to: To,
    form: Form,
    /// The names of the columns: for JSON as they stand before their values.
    names: Vec<String>,
    bytes: Vec<u8>,
    text: CompactString,
    failure: Option<io::Error>,
}

impl Rows {
    pub(crate) fn new(to: To, form: Form, names: &[&str]) -> Self {
        let mut rows =
            Self { to, form, names: Vec::new(), bytes: Vec::new(), text: CompactString::default(), failure: None };
        match form {
            Form::Csv => {
                for (index, name) in names.iter().enumerate() {
                    rows.separate(index);
                    quote_csv(name, &mut rows.bytes);
                }
                rows.bytes.push(b'\n');
            }
            Form::Jsonl => {
                let json = |name| serde_json::to_string(name).unwrap_or_default() + ":";
                rows.names = names.iter().map(json).collect();
            }
        }
        rows
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.bytes.push(b',');
        }
    }

    /// Writes a row. A failure is told at the end, and nothing is written behind it.
    pub(crate) fn write(&mut self, values: &[Value]) {
        match self.form {
            Form::Csv => self.write_csv(values),
            Form::Jsonl => self.write_json(values),
        }
        self.bytes.push(b'\n');
        if self.bytes.len() >= BLOCK {
            self.empty();
        }
    }

    fn write_csv(&mut self, values: &[Value]) {
        for (index, value) in values.iter().enumerate() {
            self.separate(index);
            match value {
                Value::Null => {}
                // An empty text is not NULL.
                Value::Text(text) if text.is_empty() => self.bytes.extend_from_slice(b"\"\""),
                Value::Text(text) => quote_csv(text, &mut self.bytes),
                other => {
                    self.text.clear();
                    write_text(other, &mut self.text);
                    self.bytes.extend_from_slice(self.text.as_bytes());
                }
            }
        }
    }

    fn write_json(&mut self, values: &[Value]) {
        self.bytes.push(b'{');
        for (index, value) in values.iter().enumerate() {
            self.separate(index);
            self.bytes.extend_from_slice(self.names[index].as_bytes());
            self.text.clear();
            write_text(value, &mut self.text);
            match value {
                Value::Null => self.bytes.extend_from_slice(b"null"),
                Value::Bool(is) => self.bytes.extend_from_slice(if *is { b"true" } else { b"false" }),
                Value::Double(number) if !number.is_finite() => self.bytes.extend_from_slice(b"null"),
                Value::Int(_) | Value::Decimal(..) | Value::Double(_) => {
                    self.bytes.extend_from_slice(self.text.as_bytes());
                }
                _ => _ = serde_json::to_writer(&mut self.bytes, self.text.as_str()), // into memory: it cannot fail
            }
        }
        self.bytes.push(b'}');
    }

    fn empty(&mut self) {
        if self.failure.is_none() {
            self.failure = self.to.write_all(&self.bytes).err();
        }
        self.bytes.clear();
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Writes the rest. Gives the file that is to be placed, if it is one.
    pub(crate) fn finish(mut self) -> io::Result<Option<Growing>> {
        self.empty();
        match self.failure {
            Some(error) => return Err(error),
            None => self.to.flush()?,
        }
        Ok(if let To::File(growing) = self.to { Some(growing) } else { None })
    }
}

fn quote_csv(text: &str, to: &mut Vec<u8>) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        to.extend_from_slice(text.as_bytes());
        return;
    }
    to.push(b'"');
    to.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    to.push(b'"');
}
