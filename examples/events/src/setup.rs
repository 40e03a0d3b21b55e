//! What is decided before the first line: inputs, formats and fields.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use program::say::list;

use crate::columns::{Columns, KeyKind};
use crate::failure::{Failure, Outcome};
use crate::fields::Fields;
use crate::formats::{self, Format, Offered};
use crate::input::{Input, Source};
use crate::parse::Wanted;
use crate::parse::combined::Combined;
use crate::parse::csv::Csv;
use crate::parse::jsonl::Jsonl;

/// A parser for one input.
pub enum AnyParser {
    Jsonl(Jsonl),
    /// Needs the header line before it can read rows.
    Csv(Csv),
    Combined(Combined),
}

/// The inputs that are named, or else the bundled clicks.
pub fn sources(inputs: &[PathBuf]) -> Vec<Source> {
    if inputs.is_empty() {
        return vec![Source::Bundled];
    }
    inputs.iter().map(|path| Source::new(path)).collect()
}

/// The key fields, with the names under which they come out.
pub fn columns(fields: &Fields, sources: &[Source]) -> Outcome<Columns> {
    key_fields(fields, if sources[0] == Source::Bundled { "user_id" } else { "address" })
}

fn key_fields(fields: &Fields, default: &str) -> Outcome<Columns> {
    if fields.key.is_empty() {
        return Ok(Columns { key: vec![default.to_owned()], kinds: vec![KeyKind::Text] });
    }
    Columns::declared(&fields.key).map_err(|error| Failure::usage(format_args!("--key: {error}")))
}

/// Finds mistakes in the command while nothing has been written: files that cannot be read, fields
/// that are not there.
pub fn check(fields: &Fields, sources: &[Source]) -> Outcome<()> {
    for source in sources {
        // A pipe can be opened once only.
        let is_pipe = matches!(source, Source::File(path) if path.exists() && !path.is_file() && !path.is_dir());
        if *source != Source::Stdin && !is_pipe {
            let input = source.open(&Arc::new(AtomicU64::new(0)))?;
            parser(fields, source, &input)?;
        }
    }
    Ok(())
}

/// The parser for an input, by the options and its first lines.
pub fn parser(fields: &Fields, source: &Source, input: &Input) -> Outcome<AnyParser> {
    let format = match fields.format {
        Some(format) => format,
        None => formats::detect(source.path(), &input.sample)
            .map_err(|problem| Failure::usage(format_args!("cannot read {}: {problem}", source.name())))?,
    };
    let offered = formats::offered(format, &input.sample);
    let wanted = wanted(fields, source, format, &offered, input.sample.is_empty())?;
    if offered.is_complete && !input.sample.is_empty() {
        let missing = wanted.names.iter().find(|name| !offered.names.contains(name));
        if let Some(name) = missing {
            return Err(no_field(source, name, &offered.names));
        }
    }
    let unknown = |name: String| no_field(source, &name, &offered.names);
    Ok(match format {
        Format::Jsonl => AnyParser::Jsonl(Jsonl::new(wanted)),
        Format::Csv => AnyParser::Csv(Csv::new(wanted)),
        Format::Combined => AnyParser::Combined(Combined::new(wanted).map_err(unknown)?),
    })
}

/// The failure of a field that an input does not have.
pub fn no_field(source: &Source, name: &str, offered: &[String]) -> Failure {
    let list = if offered.is_empty() { String::new() } else { format!("; it has {}", list(offered)) };
    Failure::usage(format_args!("{} has no field `{name}`{list}", source.name()))
}

/// The fields to read: those named, or what the format suggests.
fn wanted(fields: &Fields, source: &Source, format: Format, offered: &Offered, is_empty: bool) -> Outcome<Wanted> {
    let defaults = match (source, format) {
        (Source::Bundled, _) => Some(("user_id", "client_timestamp", "client_event")),
        (_, Format::Combined) => Some(("address", "time", "request")),
        _ if is_empty => Some(("", "", "")),
        _ => None,
    };
    let ask = |what: &str, option: &str| {
        Failure::usage(format_args!(
            "say which field of {} tells {what} with {option} FIELD: it has {}",
            source.name(),
            list(&offered.names)
        ))
    };
    if fields.key.is_empty() && defaults.is_none() {
        return Err(ask("whose event it is", "--key"));
    }
    let keys = key_fields(fields, defaults.map_or("", |(key, _, _)| key))?;
    let time = match (&fields.time, defaults) {
        (Some(time), _) => time,
        (None, Some((_, time, _))) => time,
        (None, None) => return Err(ask("when it happened", "--time")),
    };
    let value = fields.value.as_deref().or(defaults.map(|(_, _, value)| value).filter(|value| !value.is_empty()));
    let arrival = fields.arrival.as_deref();
    let wanted = Wanted::new(&keys, time, arrival, value, fields.time_format.clone());
    Ok(wanted.more(&fields.only, &fields.except, &fields.more))
}
