//! The text of a Kinesis Data Analytics SQL application in the place of rules: records in, rows of its streams out.
//!
//! The state of all its windows is part of the checkpoint, as text in its header: bytes of postcard in base64.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sql::model::Arrival;
use sql::parse::parse_columns;
use sql::plan::{Plan, plan};
use sql::run::{Run, Saved, Written};
use sql::source::Source;
use sql::types::{self, write_text};
use stagger::Timestamp;

use super::options::Options;
use crate::output::{ERRORS, Format};

/// An application at work.
pub(super) struct Application {
    plan: &'static Plan,
    run: Run<'static>,
    source: Source,
    /// The table of each stream.
    tables: Vec<String>,
    row: Vec<types::Value>,
}

/// A row of a stream, or one that failed.
#[derive(Debug)]
pub(super) enum Out {
    Row { table: usize, rowtime: Timestamp, row: Map<String, Value> },
    Failed { rowtime: Timestamp, pump: String, why: String },
}

impl Application {
    /// Plans the text that the options name, and goes on from what a checkpoint has of it.
    pub(super) fn new(options: &Options, saved: Option<&str>) -> Result<Option<Self>> {
        let Some(path) = &options.sql.sql else {
            if saved.is_some() {
                bail!("the checkpoint is of an application in SQL: give its text with --sql, or another --state");
            }
            return Ok(None);
        };
        if !options.sinks.alert.is_empty() {
            bail!("--alert is for sessions, not for the rows of --sql: write a WHERE or HAVING clause");
        }
        if options.files.output.is_some() && options.files.format == Format::Parquet {
            bail!("rows of --sql are written as JSON lines: give --format json");
        }
        // Once in a run of the program: it lives as long.
        let plan: &'static Plan = Box::leak(Box::new(planned(path, options.sql.sql_schema.as_deref())?));
        let run = match saved {
            Some(saved) => Run::restore(plan, decode(saved)?).map_err(|what| anyhow!("the checkpoint: {what}"))?,
            None => Run::new(plan).map_err(anyhow::Error::msg)?,
        };
        let source = Source::new(plan, &Arrival::Known);
        let tables = plan.streams.iter().map(|stream| table(&stream.name)).collect();
        Ok(Some(Self { plan, run, source, tables, row: Vec::new() }))
    }

    pub(super) fn table(&self, number: usize) -> &str {
        &self.tables[number]
    }

    /// Takes one object of a record. An error says why it is no row of the source.
    pub(super) fn take(&mut self, object: &[u8], arrival: Timestamp, out: &mut dyn FnMut(Out)) -> Result<(), String> {
        let Self { plan, run, source, row, .. } = self;
        let text = std::str::from_utf8(object).map_err(|_| "not valid UTF-8".to_owned())?;
        source.read(text, row).map_err(|failure| failure.0)?;
        run.push(row, arrival, &mut |written| out(shown(plan, &written)));
        Ok(())
    }

    /// Nothing that arrived before will come any more.
    pub(super) fn advance(&mut self, arrival: Timestamp, out: &mut dyn FnMut(Out)) {
        let plan = self.plan;
        self.run.advance_to(arrival, &mut |written| out(shown(plan, &written)));
    }

    /// Lets the clock go on until all windows have closed.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(Out)) {
        let plan = self.plan;
        self.run.finish(&mut |written| out(shown(plan, &written)));
    }

    /// What a checkpoint holds of it.
    pub(super) fn save(&self) -> Result<String> {
        Ok(STANDARD.encode(postcard::to_allocvec(&self.run.save()).context("the state of --sql")?))
    }
}

fn decode(saved: &str) -> Result<Saved> {
    let bytes = STANDARD.decode(saved).context("the checkpoint's state of --sql is no base64")?;
    postcard::from_bytes(&bytes).context("the checkpoint's state of --sql is not understood")
}

fn planned(path: &Path, schema: Option<&str>) -> Result<Plan> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let columns =
        |schema: &str| parse_columns(schema).map_err(|mistake| anyhow!("{}", mistake.show("--sql-schema", schema)));
    let schema = schema.map(columns).transpose()?;
    plan(&text, schema.as_deref()).map_err(|mistake| anyhow!("{}", mistake.show(&path.display().to_string(), &text)))
}

/// The name of a stream as that of a folder.
fn table(name: &str) -> String {
    let letter = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let table: String = name.chars().map(letter).collect();
    if table == ERRORS { format!("{table}_") } else { table }
}

fn shown(plan: &Plan, written: &Written<'_>) -> Out {
    match written {
        Written::Row { stream, rowtime, values } => {
            let columns = plan.streams[*stream].columns.iter().map(|column| column.name.clone());
            let row = columns.zip(values.iter().map(json)).collect();
            Out::Row { table: *stream, rowtime: *rowtime, row }
        }
        Written::Failed { pump, rowtime, failure, .. } => {
            let pump = pump.map_or_else(String::new, |pump| plan.pumps[pump].name.clone());
            Out::Failed { rowtime: *rowtime, pump, why: failure.0.clone() }
        }
    }
}

fn json(value: &types::Value) -> Value {
    let text = || {
        let mut text = Default::default();
        write_text(value, &mut text);
        String::from(text)
    };
    match value {
        types::Value::Null => Value::Null,
        types::Value::Bool(is) => (*is).into(),
        types::Value::Int(number) => (*number).into(),
        types::Value::Double(number) => (*number).into(), // null if it is none
        types::Value::Decimal(..) => serde_json::from_str(&text()).unwrap_or_else(|_| text().into()),
        _ => text().into(),
    }
}
