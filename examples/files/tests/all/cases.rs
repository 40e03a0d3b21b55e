//! A table of inputs, options, and expected rows: one row of the table for each decision of a reader.

use crate::support::{Folder, run_on};

/// One input and what `files` makes of it.
pub(crate) struct Case<'a> {
    /// The decision that it shows.
    pub(crate) what: &'a str,
    /// The name of the file, which may tell the format.
    pub(crate) file: &'a str,
    pub(crate) input: &'a [u8],
    /// Separated by blanks; one with blanks of its own stands in single quotes.
    pub(crate) options: &'a str,
    /// For each session: key, count, first time, first event, last event.
    pub(crate) rows: &'a [&'a str],
    /// Parts of its messages.
    pub(crate) says: &'a [&'a str],
    pub(crate) status: i32,
}

/// Runs every case, and shows all that differ at once.
pub(crate) fn check(cases: &[Case<'_>]) {
    let wrong: Vec<String> = cases.iter().filter_map(difference).collect();
    assert!(wrong.is_empty(), "{} of {} cases differ:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

fn difference(case: &Case<'_>) -> Option<String> {
    let folder = Folder::new();
    let path = folder.write(case.file, case.input);
    let arguments: Vec<String> =
        [path, "--max-rejected".to_owned(), "100%".to_owned()].into_iter().chain(split(case.options)).collect();
    let ran = run_on("", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let rows = shown(&ran.out);
    let unsaid: Vec<&&str> = case.says.iter().filter(|text| !ran.said.contains(**text)).collect();
    let is_right = rows == case.rows && unsaid.is_empty() && ran.status == case.status;
    (!is_right).then(|| {
        format!(
            "{}: status {} for {}\n  rows {rows:?}\n   for {:?}\n  it does not say {unsaid:?} but\n{}",
            case.what, ran.status, case.status, case.rows, ran.said
        )
    })
}

/// Rows as `key count first_time first_event last_event`.
fn shown(rows: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    let names: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let column = |name: &str| names.iter().position(|column| column == name);
    let Some(window) = column("window_start") else { return Vec::new() };
    let shown = ["count", "first_time", "first_event", "last_event"].map(|name| column(name).expect("a column"));
    let row = |record: csv::StringRecord| {
        let key = record.iter().take(window).skip(1).collect::<Vec<_>>().join("+");
        let rest = shown.map(|column| record[column].replace(".000000Z", "Z"));
        let row = format!("{key} {}", rest.join(" "));
        row.trim_end().to_owned()
    };
    let mut rows: Vec<String> = reader.records().map(|record| row(record.expect("a row"))).collect();
    rows.sort();
    rows
}

/// Words between blanks, or in single quotes.
fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in options.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
