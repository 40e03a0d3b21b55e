//! Rows as CSV and as JSON lines.

use std::fs::File;
use std::io::{self, Write};

use program::growing::Growing;
use sql::rows::{Form, write_header, write_row};
use sql::types::Value;

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
    names: Vec<String>,
    bytes: Vec<u8>,
    failure: Option<io::Error>,
}

impl Rows {
    pub(crate) fn new(to: To, form: Form, names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let mut rows = Self { to, form, names, bytes: Vec::new(), failure: None };
        if form == Form::Csv {
            write_header(&rows.names, &mut rows.bytes);
        }
        rows
    }

    /// Writes a row. A failure is told at the end, and nothing is written behind it.
    pub(crate) fn write(&mut self, values: &[Value]) {
        write_row(self.form, &self.names, values, &mut self.bytes);
        if self.bytes.len() >= BLOCK {
            self.empty();
        }
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
