//! An application, run in this process; and the program, run on files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser as _;
use compact_str::CompactString;
use program::testing::output;
use sql::model::Arrival;
use sql::parse::parse_columns;
use sql::plan::{Plan, plan};
use sql::run::{Run, Written};
use sql::source::Source;
use sql::types::{Value, write_text};
use stagger::Timestamp;

/// A row or a failure that an application wrote.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrote {
    /// The stream, or `error_stream`.
    pub(crate) stream: String,
    /// In milliseconds.
    pub(crate) rowtime: i64,
    /// Values as texts, or the message.
    pub(crate) values: Vec<String>,
}

pub(crate) fn planned(sql: &str, schema: Option<&str>) -> Plan {
    let schema = schema.map(|schema| parse_columns(schema).expect("a schema"));
    plan(sql, schema.as_deref()).unwrap_or_else(|mistake| panic!("{}", mistake.show("app.sql", sql)))
}

/// Runs an application on JSON lines whose field `arrival` has the arrival; until all windows have closed.
pub(crate) fn run(sql: &str, schema: Option<&str>, lines: &[String]) -> Vec<Wrote> {
    let plan = planned(sql, schema);
    let mut source = Source::new(&plan, &Arrival::Field("arrival".to_owned()));
    let mut run = Run::new(&plan).expect("windows that work");
    let (mut wrote, mut row) = (Vec::new(), Vec::new());
    for line in lines {
        match source.read(line, &mut row) {
            Ok(arrival) => {
                run.push(&mut row, arrival.expect("an arrival"), &mut |written| wrote.push(shown(&plan, &written)));
            }
            Err(failure) => wrote.push(failed(run.now(), failure.0)),
        }
    }
    run.finish(&mut |written| wrote.push(shown(&plan, &written)));
    wrote
}

pub(crate) fn shown(plan: &Plan, written: &Written<'_>) -> Wrote {
    match written {
        Written::Row { stream, rowtime, values } => Wrote {
            stream: plan.streams[*stream].name.clone(),
            rowtime: rowtime.as_millis(),
            values: values.iter().map(text).collect(),
        },
        Written::Failed { rowtime, failure, .. } => failed(*rowtime, failure.0.clone()),
    }
}

fn failed(rowtime: Timestamp, message: String) -> Wrote {
    Wrote { stream: "error_stream".to_owned(), rowtime: rowtime.as_millis(), values: vec![message] }
}

pub(crate) fn text(value: &Value) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    let mut text = CompactString::default();
    write_text(value, &mut text);
    text.into()
}

/// The values of rows, one line each.
pub(crate) fn lines(wrote: &[Wrote]) -> Vec<String> {
    wrote.iter().map(|row| row.values.join(",")).collect()
}

/// The message of a text that does not run.
pub(crate) fn mistake(sql: &str) -> String {
    match plan(sql, None) {
        Ok(_) => panic!("it runs: {sql}"),
        Err(mistake) => mistake.show("app.sql", sql),
    }
}

pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) said: String,
}

pub(crate) fn program(arguments: &[&str]) -> Ran {
    let output = output(Command::new(env!("CARGO_BIN_EXE_sql")).args(arguments).stdin(Stdio::null()));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { status: output.status.code().unwrap_or(-1), out: text(output.stdout), said: text(output.stderr) }
}

/// The lines that `generate` writes with these options.
pub(crate) fn made(options: &str) -> String {
    let options = generate::Options::try_parse_from(std::iter::once("generate").chain(options.split(' ')));
    let mut lines = Vec::new();
    options.expect("options that `generate` has").write(&mut lines).expect("room for the lines");
    String::from_utf8(lines).expect("text")
}

/// A path in the folder that `needs_shared` looks for.
pub(crate) fn shared(path: &str) -> PathBuf {
    Path::new(needs_shared::shared_folder!()).join(path)
}
