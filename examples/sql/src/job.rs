//! A run over a file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use events::failure::{Failure, Outcome};
use events::input::Source as Input;
use events::lines::{Frame, Framed, Lines};
use events::parse::{Line, Parser, Record, Reject, json};
use program::growing::Growing;
use program::say::say;
use program::{endings, same, stdout};
use sql::model::Arrival;
use sql::plan::{Plan, Stream};
use sql::rows::Form;
use sql::run::{Run, Written};
use sql::source::{Source, time_columns};
use sql::types::{self, Type, Value};
use stagger::Timestamp;

use crate::options::RunOptions;
use crate::output::{Rows, To};

/// The columns of the service's error stream.
const ERRORS: [&str; 7] =
    ["ERROR_TIME", "ERROR_LEVEL", "ERROR_NAME", "MESSAGE", "DATA_ROWTIME", "DATA_ROW", "PUMP_NAME"];

/// The number of failures that are shown.
const SHOWN: u64 = 5;

/// Records are framed here, and read by [`Source`]: one on a line, or one after the other as Firehose stores them, or
/// in a list.
#[derive(Default)]
struct Objects {
    /// Known from the first bytes on.
    is_list: Option<bool>,
}

impl Parser for Objects {
    fn parse_line<'a>(&'a mut self, _: Line<'a>) -> Result<Record<'a>, Reject> {
        Err(Reject::NotAnObject)
    }

    fn frame(&mut self, input: &[u8], is_all: bool) -> Frame {
        let first = input.trim_ascii_start().first();
        self.is_list = self.is_list.or(first.map(|first| *first == b'['));
        json::frame(input, is_all, self.is_list.unwrap_or_default())
    }
}

/// Where rows go.
struct Outputs<'p> {
    plan: &'p Plan,
    /// For each stream, if its rows are written.
    streams: Vec<Option<Rows>>,
    errors: Option<Rows>,
    /// The folder that they are in.
    folder: Option<Growing>,
    rows: u64,
    failed: u64,
    /// Of those, the records that are no rows of the source.
    rejected: u64,
    said: Vec<String>,
}

/// Reads all records, and writes the rows that the application makes of them.
pub(crate) fn run(plan: &Plan, options: &RunOptions) -> Outcome<()> {
    if let Some(records) = &options.records {
        return Err(Failure::usage(format_args!("name the records once, with --input {}", records.display())));
    }
    let arrival = arrival(plan, options)?;
    let is_stdin = options.input == Path::new("-");
    let records = if is_stdin { same::Input::Stdin } else { same::Input::File(&options.input) };
    let texts = std::iter::once(options.text.as_path()).chain(options.schema.as_deref().map(Path::new));
    same::check(texts.map(same::Input::File).chain([records]), options.output.as_deref())?;
    endings::check_packed(options.output.as_deref())?;
    if let (Some(output), None) = (&options.output, options.output_format) {
        endings::check_csv(output)?;
    }
    let mut source = Source::new(plan, &arrival);
    let mut run = Run::new(plan).map_err(Failure::usage)?;
    let input = Input::new(&options.input);
    let read = Arc::new(AtomicU64::new(0));
    let mut lines = Lines::new(input.open(&read)?.content());
    let mut outputs = Outputs::new(plan, options)?;
    let (mut objects, mut row) = (Objects::default(), Vec::new());
    let mut records = 0_u64;
    while let Some(Framed { bytes, whole, .. }) = lines.next(&mut objects).map_err(|error| input.unreadable(&error))? {
        records += 1;
        let line = whole.map_err(|reject| reject.to_string()).and_then(|()| text_of(bytes));
        let read = line.and_then(|line| source.read(line, &mut row).map_err(|failure| failure.0));
        match read {
            Ok(arrival) => {
                let arrival = arrival.unwrap_or(run.now());
                run.push(&mut row, arrival, &mut |written| outputs.take(written));
            }
            Err(what) => outputs.reject(run.now(), bytes, &what),
        }
        if outputs.has_failed() {
            break;
        }
    }
    run.finish(&mut |written| outputs.take(written));
    if records > 0 && outputs.rejected == records {
        outputs.said.iter().for_each(say);
        return Err(Failure::not_used(format_args!("none of the {records} records is a row of the source")));
    }
    let unknown: Vec<String> = source.unknown().map(|name| format!("\"{name}\"")).collect();
    outputs.finish(records)?;
    if records > 0 && !unknown.is_empty() {
        say(format_args!("NULL in every row, since no record has such a field: {}", unknown.join(", ")));
    }
    Ok(())
}

fn text_of(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "not valid UTF-8".to_owned())
}

/// Where the arrival is: in the field that was named, or in the only column of time.
fn arrival(plan: &Plan, options: &RunOptions) -> Outcome<Arrival> {
    if let Some(field) = &options.arrival {
        return Ok(Arrival::Field(field.clone()));
    }
    match one_time(plan) {
        Some(field) => Ok(Arrival::Field(field.to_owned())),
        None => Err(Failure::usage(format_args!(
            "say which field tells when a record arrived with --arrival FIELD: the text uses {} columns of type \
             TIMESTAMP, so it cannot be told from it",
            time_columns(plan).len()
        ))),
    }
}

/// The field of the only column of time.
pub(crate) fn one_time(plan: &Plan) -> Option<&str> {
    match &time_columns(plan)[..] {
        [only] if only.fields.len() == 1 => Some(&only.fields[0]),
        _ => None,
    }
}

impl<'p> Outputs<'p> {
    fn new(plan: &'p Plan, options: &RunOptions) -> Outcome<Self> {
        let form = options.output_format.map_or(Form::Csv, Form::from);
        let is_folder = options.output.as_deref().is_some_and(is_folder);
        let streams = plan.streams.iter().map(|_| None).collect();
        let mut outputs =
            Self { plan, streams, errors: None, folder: None, rows: 0, failed: 0, rejected: 0, said: Vec::new() };
        match (&options.output, &options.stream) {
            (Some(folder), None) if is_folder => outputs.open_folder(folder, form)?,
            (path, name) => {
                let stream = one_stream(plan, name.as_deref())?;
                let to = match path {
                    Some(path) => To::File(Growing::file(path).map_err(|error| Failure::file("create", path, &error))?),
                    None => {
                        stdout::check()?;
                        To::Stdout(io::stdout())
                    }
                };
                outputs.streams[stream] = Some(rows(&plan.streams[stream], to, form));
            }
        }
        Ok(outputs)
    }

    fn open_folder(&mut self, folder: &Path, form: Form) -> Outcome<()> {
        let growing = Growing::folder(folder).map_err(|error| Failure::file("create", folder, &error))?;
        let ending = if form == Form::Csv { "csv" } else { "jsonl" };
        let create = |name: &str| {
            let path = growing.path().join(format!("{}.{ending}", file_name(name)));
            File::create(&path).map(To::Within).map_err(|error| Failure::file("create", &path, &error))
        };
        for (stream, rows_of) in self.plan.streams.iter().zip(&mut self.streams) {
            if stream.is_filled {
                *rows_of = Some(rows(stream, create(&stream.name)?, form));
            }
        }
        self.errors = Some(Rows::new(create("error_stream")?, form, &ERRORS));
        self.folder = Some(growing);
        Ok(())
    }

    fn take(&mut self, written: Written<'_>) {
        match written {
            Written::Row { stream, values, .. } => {
                if let Some(rows) = &mut self.streams[stream] {
                    rows.write(values);
                    self.rows += 1;
                }
            }
            Written::Failed { pump, rowtime, row, failure } => {
                let pump = pump.map_or("", |pump| self.plan.pumps[pump].name.as_str());
                let mut text = Default::default();
                for (index, value) in row.iter().enumerate() {
                    if index > 0 {
                        text += ",";
                    }
                    types::write_text(value, &mut text);
                }
                self.fail(rowtime, text.as_bytes(), &failure.0, pump);
            }
        }
    }

    /// A record that is no row of the source.
    fn reject(&mut self, now: Timestamp, record: &[u8], what: &str) {
        self.rejected += 1;
        self.fail(now, record, what, "");
    }

    fn fail(&mut self, rowtime: Timestamp, data: &[u8], what: &str, pump: &str) {
        self.failed += 1;
        if self.failed <= SHOWN {
            let of = if pump.is_empty() { "a record".to_owned() } else { format!("a row of \"{pump}\"") };
            self.said.push(format!("error stream: {of}: {what}"));
        }
        let Some(errors) = &mut self.errors else { return };
        let time = if rowtime == Timestamp::MIN { Value::Null } else { Value::Timestamp(rowtime.as_millis()) };
        let hex: String = data.iter().take(24 << 10).map(|byte| format!("{byte:02x}")).collect();
        errors.write(&[
            time.clone(),
            Value::text("ERROR"),
            Value::text(if pump.is_empty() { "Coercion error" } else { "Evaluation error" }),
            Value::text(what),
            time,
            Value::text(hex),
            Value::text(pump),
        ]);
    }

    fn has_failed(&self) -> bool {
        self.streams.iter().flatten().chain(&self.errors).any(Rows::has_failed)
    }

    fn finish(self, records: u64) -> Outcome<()> {
        let mut complete = Vec::new();
        for rows in self.streams.into_iter().flatten().chain(self.errors) {
            complete.extend(rows.finish().map_err(|error| Failure::writing(&error))?);
        }
        complete.extend(self.folder);
        Growing::place(complete).map_err(|(path, error)| Failure::file("write", &path, &error))?;
        self.said.iter().for_each(say);
        say(format_args!("{records} records read, {} rows written, {} to the error stream", self.rows, self.failed));
        Ok(())
    }
}

/// A folder, or a name that is neither taken nor has an ending.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || !path.exists() && path.extension().is_none()
}

fn rows(stream: &Stream, to: To, form: Form) -> Rows {
    let names: Vec<&str> = stream.columns.iter().map(|column| column.name.as_str()).collect();
    Rows::new(to, form, &names)
}

/// A name as that of a file, without characters that would lead elsewhere.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }).collect()
}

/// The stream that is meant, or the only one that no pump reads.
fn one_stream(plan: &Plan, name: Option<&str>) -> Outcome<usize> {
    let filled = || plan.streams.iter().enumerate().filter(|(_, stream)| stream.is_filled);
    let names = |list: Vec<(usize, &Stream)>| {
        list.iter().map(|(_, stream)| stream.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = name {
        let found = filled().find(|(_, stream)| stream.name == name);
        return found.map(|(index, _)| index).ok_or_else(|| {
            Failure::usage(format_args!("no pump fills a stream \"{name}\": there are {}", names(filled().collect())))
        });
    }
    match filled().filter(|(_, stream)| !stream.is_read).collect::<Vec<_>>()[..] {
        [(only, _)] => Ok(only),
        _ => Err(Failure::usage(format_args!(
            "the application fills several streams: {}. Name one with --stream, or a folder for all with --output",
            names(filled().collect())
        ))),
    }
}

/// The types that the source's columns were taken to have.
pub(crate) fn assumed(plan: &Plan) -> Option<String> {
    let columns = &plan.streams[plan.source].columns;
    let one = |(name, ty): (&str, Type)| format!("\"{name}\" {ty}");
    let list: Vec<String> = columns.iter().map(|column| one((&column.name, column.ty))).collect();
    (plan.is_inferred && !list.is_empty()).then(|| list.join(", "))
}
