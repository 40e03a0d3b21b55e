//! Which format an input has, and which fields it offers.

use std::path::Path;

use serde_json::Value;

use crate::lines::Frame;
use crate::parse::csv::{self, Dialect};
use crate::parse::layout::Layout;
use crate::parse::times::TimeFormat;
use crate::parse::{combined, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON objects: one on each line, over several lines, one after the other, or in one list
    #[value(aliases = ["json", "ndjson"])]
    Jsonl,
    /// Cells with commas, or another character, between them
    #[value(alias = "tsv")]
    Csv,
    /// The access log of Apache and nginx: combined or common, with a virtual host or a prefix before it
    #[value(aliases = ["common", "apache", "nginx"])]
    Combined,
    /// The extended log format of the W3C: IIS, CloudFront
    W3c,
    /// The access log of AWS's load balancers, application and classic
    Alb,
}

/// Tells the format by the name of the file, or else by its first lines.
pub fn detect(path: Option<&Path>, sample: &[u8]) -> Result<Format, &'static str> {
    if let Some(format) = path.and_then(by_name) {
        return Ok(format);
    }
    let mut lines = lines(sample).map(without_zeros).filter(|line| !line.trim_ascii().is_empty());
    let Some(first) = lines.next() else { return Ok(Format::Jsonl) };
    let first_word = first.trim_ascii();
    let first_word = first_word.strip_prefix(b"\x1e").unwrap_or(first_word);
    let first_lines: Vec<&[u8]> = std::iter::once(first_word).chain(lines).take(20).collect();
    // docker's objects of a web server, whose first lines may be messages of its start
    if first_lines.iter().any(|line| line.starts_with(b"{") && combined::fits(line.trim_ascii())) {
        return Ok(Format::Combined);
    }
    let in_list = first_word.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    if first_word.starts_with(b"{") || in_list.is_some_and(|inside| matches!(inside, [] | [b'{' | b']', ..])) {
        return Ok(Format::Jsonl);
    }
    if [&b"#Fields:"[..], b"#Version:", b"#Software:", b"#Date:"].iter().any(|mark| first.starts_with(mark)) {
        return Ok(Format::W3c);
    }
    if first_lines.iter().any(|line| combined::fits(line)) {
        return Ok(Format::Combined);
    }
    if Layout::of_load_balancer(&first_lines).is_some() {
        return Ok(Format::Alb);
    }
    if DELIMITERS.iter().any(|delimiter| first.contains(delimiter)) || csv::named_delimiter(first).is_some() {
        return Ok(Format::Csv);
    }
    let words = |line: &[u8]| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
    let has_columns =
        first_lines.len() > 1 && words(first) > 2 && first_lines[..2].iter().all(|line| words(line) == words(first));
    Err(if first.split(u8::is_ascii_whitespace).filter(|word| is_pair(word)).count() > 1 {
        "its lines are pairs as in logfmt: give their order with --log-format, as in 'time=$time user=$user', or convert \
         them to JSON"
    } else if has_columns {
        "cannot detect its format: pass --format jsonl, csv, combined, w3c or alb, or --log-format; or --delimiter ' ' if \
         blanks are between its columns"
    } else {
        "cannot detect its format: pass --format jsonl, csv, combined, w3c or alb, or --log-format"
    })
}

/// Whether a word is a name and a value.
fn is_pair(word: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    word.iter().position(|byte| *byte == b'=').is_some_and(|end| end > 0 && word[..end].iter().all(is_name))
}

/// A log rotation may leave zeros before a line.
fn without_zeros(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|byte| **byte == 0).count()..]
}

/// By the ending of the name, without that of the packing. Not every `.json` or `.log` is of one kind.
fn by_name(path: &Path) -> Option<Format> {
    match ending(path)?.as_str() {
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" | "tsv" | "tab" => Some(Format::Csv),
        _ => None,
    }
}

fn ending(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let packed = [".gz", ".zst", ".bz2", ".xz"].iter().find_map(|ending| name.strip_suffix(ending));
    Some(packed.unwrap_or(&name).rsplit_once('.')?.1.to_owned())
}

/// The possible delimiters between two cells; in doubt the first.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// The delimiter between two cells, by the name of the file or its first line.
pub fn delimiter(path: Option<&Path>, sample: &[u8]) -> u8 {
    if path.and_then(ending).is_some_and(|ending| ending == "tsv" || ending == "tab") {
        return b'\t';
    }
    if let Some(delimiter) = lines(sample).next().and_then(csv::named_delimiter) {
        return delimiter;
    }
    let mut in_quotes = false;
    let mut counts = [0; DELIMITERS.len()];
    for byte in first_line(sample) {
        in_quotes ^= *byte == b'"';
        if let Some(found) = DELIMITERS.iter().position(|delimiter| delimiter == byte && !in_quotes) {
            counts[found] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let found = counts.iter().position(|count| *count == most).unwrap_or(0);
    DELIMITERS[found]
}

/// The first line that may be a header.
fn first_line(sample: &[u8]) -> &[u8] {
    lines(sample).find(|line| csv::named_delimiter(line).is_none()).unwrap_or_default().trim_ascii()
}

/// The lines that are not empty.
pub fn lines(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    sample.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty())
}

/// The fields that the first lines show.
#[derive(Default)]
pub struct Offered {
    /// Those to name in a message.
    pub names: Vec<String>,
    /// More that can be named: later elements of lists.
    more: Vec<String>,
    /// Whether a name that is not among them cannot come later.
    pub is_complete: bool,
    /// The cells in the first line of CSV, and those of the lines after it.
    cells: Vec<String>,
    later: Vec<Vec<String>>,
    /// Whether that line is taken for names.
    has_header: bool,
}

impl Offered {
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().chain(&self.more).any(|known| known == name)
    }

    /// What may help, if a name is missing.
    pub fn hint(&self, missing: &str) -> String {
        let is_missing = |cell: &String| !missing.is_empty() && cell == missing;
        if let Some(list) = self.list_with(missing) {
            return format!("; to read each element of `{list}` as an event, {}", unpacking(&list));
        }
        if self.has_header && self.cells.iter().any(|cell| is_value(cell)) {
            return "; if its first line is no header, pass --no-header".to_owned();
        }
        if self.has_header
            && let Some(line) = self.later.iter().position(|cells| cells.iter().any(is_missing))
        {
            let line = line + 2;
            return format!(
                "; line {line} has that name: if that is its header, give it from there on: `tail -n +{line} FILE | files -`"
            );
        }
        if self.has_header
            && let [only] = &self.cells[..]
            && !missing.is_empty()
            && only.contains(missing)
        {
            return "; that is one name: another --delimiter separates them".to_owned();
        }
        if !self.has_header && self.cells.iter().any(is_missing) {
            return "; its first line has that name: leave out --no-header".to_owned();
        }
        String::new()
    }

    /// The list whose elements have a field.
    fn list_with(&self, missing: &str) -> Option<String> {
        let of_elements = |name: &&String| name.strip_suffix(missing).is_some_and(|list| list.ends_with("[0]."));
        let name = self.names.iter().filter(|_| !missing.is_empty()).find(of_elements)?;
        Some(name[..name.len() - missing.len() - "[0].".len()].to_owned())
    }

    /// The list of which a name takes the first element only, though it has more.
    pub fn cut_list(&self, name: &str) -> Option<String> {
        let mut places = name.match_indices("[0].").map(|(at, _)| at);
        let at = places.find(|at| self.has(&format!("{}[1]{}", &name[..*at], &name[at + 3..])))?;
        Some(name[..at].to_owned())
    }
}

/// How to make records of the elements of a list.
pub fn unpacking(list: &str) -> String {
    format!("unpack them with `jq -c '.{}[]' FILE | files -`", list.replace("[0]", "[]"))
}

/// Whether a cell holds a number or a time, as headers seldom do.
fn is_value(cell: &str) -> bool {
    let is_number = || cell.parse::<f64>().is_ok();
    cell.starts_with(|first: char| first.is_ascii_digit()) && (is_number() || TimeFormat::Auto.parse(cell).is_some())
}

/// After this number of objects without a field, the field is a mistake in the command, not a rare field.
const ENOUGH_OBJECTS: usize = 20;

/// The names of the columns of CSV.
pub fn columns(sample: &[u8], dialect: Dialect) -> Offered {
    const MOST_LATER: usize = 20;
    let line = first_line(sample);
    let cells_of = |line| Dialect { has_header: true, ..dialect }.titles(line);
    let cells = cells_of(line);
    // With the empty lines, so that they can be counted.
    let later = sample.split(|byte| *byte == b'\n').skip_while(|line| line.trim_ascii().is_empty());
    let later = later.skip(1).take(MOST_LATER).map(|line| cells_of(line.trim_ascii())).collect();
    let has_header = dialect.has_header;
    Offered { names: dialect.titles(line), is_complete: true, cells, later, has_header, ..Offered::default() }
}

/// The names of a format whose fields are known.
pub fn known(names: Vec<String>) -> Offered {
    Offered { names, is_complete: true, ..Offered::default() }
}

/// The names in the first objects.
pub fn in_objects(sample: &[u8]) -> Offered {
    let mut offered = Offered::default();
    let mut count = 0;
    for object in objects(sample).take(10 * ENOUGH_OBJECTS) {
        in_docker(&object).iter().for_each(|inner| add_names(inner, "", &mut offered));
        add_names(&object, "", &mut offered);
        count += 1;
    }
    offered.is_complete = count >= ENOUGH_OBJECTS;
    if count == 0
        && let Some((name, list)) = first_list(sample)
    {
        for (index, object) in objects(list).take(2).enumerate() {
            add_names(&object, &format!("{name}[{index}]"), &mut offered);
        }
    }
    offered
}

/// The list that begins an object whose end is not in the sample, as a whole file of CloudTrail is one object.
fn first_list(sample: &[u8]) -> Option<(String, &[u8])> {
    let rest = sample.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    let (name, rest) = rest.split_at(rest.iter().position(|byte| *byte == b'"')?);
    let list = rest[1..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    list.starts_with(b"[").then(|| (String::from_utf8_lossy(name).into_owned(), list))
}

/// The object that lies in one of docker.
pub fn in_docker(object: &Value) -> Option<Value> {
    object.get("stream")?;
    serde_json::from_str(object.get("log")?.as_str()?).ok().filter(Value::is_object)
}

/// The first objects of a sample, which may end within one.
pub fn objects(sample: &[u8]) -> impl Iterator<Item = Value> {
    let is_list = sample.trim_ascii_start().starts_with(b"[");
    let mut rest = sample;
    std::iter::from_fn(move || {
        loop {
            let length = match json::frame(rest, true, is_list) {
                Frame::Record { length, .. } | Frame::Empty { length } | Frame::Padding { length, .. } => length,
                _ => return None,
            };
            let (one, after) = rest.split_at(length);
            rest = after;
            if let Ok(value) = serde_json::from_slice::<Value>(one)
                && value.is_object()
            {
                return Some(value);
            }
        }
    })
}

/// Adds the names of all plain fields, those within objects as `a.b`, elements of lists as `a[0]`.
fn add_names(value: &Value, name: &str, offered: &mut Offered) {
    match value {
        Value::Object(fields) => {
            let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
            for (field, value) in fields {
                add_names(value, &format!("{prefix}{field}"), offered);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                add_names(element, &format!("{name}[{index}]"), offered);
            }
            add(&mut offered.more, name);
        }
        _ if name.contains('[') && !name.contains("[0]") => add(&mut offered.more, name),
        _ => add(&mut offered.names, name),
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}
