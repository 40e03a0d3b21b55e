//! Decisions before the first line: inputs, formats and fields.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use program::same;
use program::say::{list, say};

use crate::columns::{Columns, KeyKind};
use crate::failure::{Failure, Outcome};
use crate::fields::Fields;
use crate::formats::{self, Format, Offered};
use crate::input::{Input, Source};
use crate::lines::{BYTE_ORDER_MARK, without_end};
use crate::parse::Wanted;
use crate::parse::client::Forwarded;
use crate::parse::combined::{self, Combined};
use crate::parse::csv::{self, Csv, Dialect};
use crate::parse::jsonl::{Jsonl, LOGS};
use crate::parse::layout::{Layout, Layouted};
use crate::parse::times::TimeFormat;
use crate::parse::w3c::{self, W3c};

/// A parser for one input.
pub enum AnyParser {
    Jsonl(Jsonl),
    Csv(Csv),
    Combined(Combined),
    W3c(W3c),
    Layout(Layouted),
}

impl AnyParser {
    /// Takes a line that is passed over to go on behind it. Keeps in `preamble` what must be read again for that: the
    /// lines that name the fields, of which the latest count.
    pub fn pass(&self, line: &[u8], preamble: &mut Vec<u8>) {
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        match self {
            // A line that names the delimiter, and the header.
            Self::Csv(parser) if !line.trim_ascii().is_empty() => {
                let is_begun = !preamble.is_empty() && csv::named_delimiter(preamble).is_none();
                if !is_begun && (parser.has_header() || csv::named_delimiter(line).is_some()) {
                    preamble.extend_from_slice(line);
                } else if is_begun && parser.is_header(without_end(line)) {
                    // The header of a file that was appended to the first.
                    *preamble = line.to_vec();
                }
            }
            Self::W3c(_) => {
                if let Some(directive) = w3c::DIRECTIVES.iter().find(|directive| line.starts_with(directive)) {
                    let lines = preamble.split_inclusive(|byte| *byte == b'\n');
                    let others = lines.filter(|line| !line.starts_with(directive)).collect::<Vec<_>>().concat();
                    *preamble = [&others, line].concat();
                }
            }
            _ => {}
        }
    }
}

/// The inputs that are named, or else the bundled clicks.
pub fn sources(inputs: &[PathBuf]) -> Vec<Source> {
    if inputs.is_empty() {
        return vec![Source::Bundled];
    }
    inputs.iter().map(|path| Source::new(path)).collect()
}

/// Refuses inputs that cannot be read twice, or that are an output, and notes those that are named twice.
pub fn check_files<'a>(sources: &'a [Source], outputs: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    let inputs = || sources.iter().filter_map(Source::input);
    same::check(inputs(), outputs)?;
    same::check_once(inputs())?;
    for path in same::repeated(inputs()) {
        let path = path.display();
        say(format_args!("note: {path} is given more than once: unless that is meant, name it once"));
    }
    Ok(())
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
    let sample = &input.sample;
    let format = match fields.format {
        _ if input.is_table => Format::Jsonl,
        _ if fields.log_format.is_some() => Format::Alb,
        Some(format) => format,
        None if fields.no_header || fields.delimiter.is_some() => Format::Csv,
        None => formats::detect(source.path(), sample)
            .map_err(|problem| Failure::usage(format_args!("cannot read {}: {problem}", source.name())))?,
    };
    if matches!(format, Format::Jsonl | Format::Csv) && fields.forwarded != Forwarded::default() {
        return Err(Failure::usage(format_args!(
            "--forwarded chooses an address in access logs; {} is not read as one: leave it out",
            source.name()
        )));
    }
    let dialect = Dialect {
        delimiter: fields.delimiter.unwrap_or_else(|| formats::delimiter(source.path(), sample)),
        has_header: !fields.no_header,
    };
    let of_lines = || Layout::of_load_balancer(&formats::lines(sample).take(20).collect::<Vec<_>>());
    let layout = fields.log_format.clone().or_else(|| (format == Format::Alb).then(of_lines).flatten());
    let layout = layout.unwrap_or_else(Layout::load_balancer);
    let has_log_events = format == Format::Jsonl && is_cloudwatch(sample);
    let mut offered = match format {
        Format::Jsonl => formats::in_objects(sample),
        Format::Csv => formats::columns(sample, dialect),
        Format::Combined => formats::known(combined::FIELDS.map(str::to_owned).to_vec()),
        Format::W3c => formats::known(w3c::names(sample)),
        Format::Alb => formats::known(layout.names()),
    };
    let is_docker = format == Format::Jsonl
        && formats::objects(sample).take(10).any(|object| formats::in_docker(&object).is_some());
    offered.is_complete &= !has_log_events;
    let chosen = chosen(fields, source, format, &offered, sample.is_empty())?;
    let usual = if format == Format::Alb { layout.time_format(&chosen.time) } else { None };
    let wanted = chosen.wanted(fields, usual.unwrap_or(TimeFormat::Auto));
    let wanted = if format == Format::Jsonl { informed(wanted, &chosen.time, &offered) } else { wanted };
    if offered.is_complete && !sample.is_empty() {
        check_names(source, &wanted, &offered)?;
    }
    let unknown = |name: String| no_field(source, &name, &offered);
    Ok(match format {
        Format::Jsonl => {
            let mut parser = Jsonl::new(wanted);
            parser.begin(sample);
            let parser = if is_docker { parser.with_docker() } else { parser };
            AnyParser::Jsonl(if has_log_events { parser.with_cloudwatch_logs() } else { parser })
        }
        Format::Csv => AnyParser::Csv(Csv::new(wanted, dialect)),
        Format::Combined => AnyParser::Combined(Combined::new(wanted, fields.forwarded).map_err(unknown)?),
        Format::W3c => AnyParser::W3c(W3c::new(wanted, fields.forwarded)),
        Format::Alb => AnyParser::Layout(Layouted::new(wanted, layout, fields.forwarded).map_err(unknown)?),
    })
}

/// Whether the first objects are records of CloudWatch Logs.
fn is_cloudwatch(sample: &[u8]) -> bool {
    formats::objects(sample).take(10).any(|object| LOGS.iter().all(|name| object.get(name).is_some()))
}

/// Refuses fields that the input does not have, or has twice.
fn check_names(source: &Source, wanted: &Wanted, offered: &Offered) -> Outcome<()> {
    for name in &wanted.names {
        if !offered.has(name) {
            return Err(no_field(source, name, offered));
        }
        let same = offered.names.iter().enumerate().filter(|(_, other)| *other == name);
        let places: Vec<String> = same.map(|(index, _)| (index + 1).to_string()).collect();
        if places.len() > 1 {
            return Err(Failure::usage(format_args!(
                "{} has several columns `{name}` ({}): rename all but one, or leave the header out and name the column \
                 by its number with --no-header",
                source.name(),
                places.join(", ")
            )));
        }
    }
    Ok(())
}

/// The failure of a field that an input does not have.
fn no_field(source: &Source, name: &str, offered: &Offered) -> Failure {
    Failure::usage(format_args!("{} has no field `{name}`{}", source.name(), instead(name, offered)))
}

/// The fields that there are, and what may help.
fn instead(missing: &str, offered: &Offered) -> String {
    let names = &offered.names;
    let list = if names.is_empty() { String::new() } else { format!("; it has {}", list(names)) };
    list + &offered.hint(missing)
}

/// Tells the parser what the first objects have, for the end: later ones may have other fields.
fn informed(wanted: Wanted, time: &str, offered: &Offered) -> Wanted {
    let missing = wanted.names.iter().filter(|name| !offered.has(name));
    let hints = missing.map(|name| (name.clone(), instead(name, offered))).collect();
    let note = offered.cut_list(time).map(|list| {
        format!(
            "`{time}` is the time of the first element of `{list}` alone: to read each element as an event, {}",
            formats::unpacking(&list)
        )
    });
    wanted.informed(hints, note)
}

/// The names of the fields to read.
struct Chosen {
    keys: Columns,
    time: String,
    value: Option<String>,
}

impl Chosen {
    /// `usual` is how times are written if the options do not say.
    fn wanted(&self, fields: &Fields, usual: TimeFormat) -> Wanted {
        let Self { keys, time, value } = self;
        let (arrival, meaning) = (fields.arrival.as_deref(), fields.meaning.times(usual));
        let wanted = Wanted::new(keys, time, arrival, value.as_deref(), &meaning).no_user(fields.meaning.no_user);
        let wanted = wanted.more(&fields.only, &fields.except, &fields.more);
        match fields.arrivals() {
            Some(meaning) => wanted.arrival_meaning(meaning),
            None => wanted,
        }
    }
}

/// The fields that are named, or those that the format suggests.
fn chosen(fields: &Fields, source: &Source, format: Format, offered: &Offered, is_empty: bool) -> Outcome<Chosen> {
    let bundled = ["user_id", "client_timestamp", "client_event"].map(Some);
    let of_log = ["address", "time", "request"].map(|name| offered.has(name).then_some(name));
    let [key, time, value] = match (source, format) {
        (Source::Bundled, _) => bundled,
        (_, Format::Combined | Format::W3c | Format::Alb) if of_log[1].is_some() => of_log,
        _ if is_empty => [Some(""), Some(""), None],
        _ => [None; 3],
    };
    let ask = |what: &str, option: &str| {
        let names = match &offered.names[..] {
            [] => "its first lines show no fields: check --format".to_owned(),
            names => format!("its fields are {}{}", list(names), offered.hint("")),
        };
        Failure::usage(format_args!("name the field of {} with {what}: pass {option} FIELD; {names}", source.name()))
    };
    if fields.key.is_empty() && key.is_none() {
        return Err(ask("the key, such as a user", "--key"));
    }
    let keys = key_fields(fields, key.unwrap_or_default())?;
    let time = fields.time.as_deref().or(time).ok_or_else(|| ask("the event time", "--time"))?.to_owned();
    let value = fields.value.as_deref().or(value).map(str::to_owned);
    Ok(Chosen { keys, time, value })
}
