//! Sessions as one HTML file to look at and click through: no server, no network, no build step.
//!
//! `cargo run --release -p picture` shows the sessions of the bundled clicks; README.md has the rest.

mod bundled;
mod cube;
mod input;
mod longest;
mod made_up;
mod names;
mod pack;
mod page;
mod row;
mod scale;
#[cfg(test)]
mod script;
mod sessions;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use input::Reading;
use program::failure::{Failure, Outcome};
use program::say::say;
use program::share::Share;
use program::{command, growing, signals};
use sessions::{Passed, Sessions};

/// Makes one HTML file from sessions: a treemap of devices, durations, sessions over time, first and
/// last events, and the longest sessions.
///
/// Reads the rows that `kinesis` writes (JSON lines and Parquet, folders as Firehose lays them out)
/// and those of `files` (CSV and JSON lines), with gzip or without. Without any argument
/// it shows the sessions of a day of bundled clicks.
#[derive(Debug, Parser)]
#[command(name = "picture", version, max_term_width = 100)]
struct Options {
    /// Files of session rows, or folders with such files
    #[arg(value_name = "FILE-OR-FOLDER")]
    inputs: Vec<PathBuf>,

    /// Where the page goes
    #[arg(long, value_name = "FILE", default_value = "sessions.html")]
    output: PathBuf,

    /// Column whose values are the groups of the treemap [default: device_id, or else the first key field]
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,

    /// Share of the rows that may be unreadable, such as 1% or 0.01; beyond it the exit status is 1 [1%]
    #[arg(long, value_name = "SHARE", default_value = "1%", hide_default_value = true)]
    max_rejected: Share,

    /// Title of the page
    #[arg(long, default_value = "Sessions")]
    title: String,

    /// Show this number of made-up sessions, to measure with
    #[arg(long, value_name = "NUMBER", conflicts_with = "inputs")]
    made_up: Option<u64>,
}

fn main() -> ExitCode {
    signals::watch("picture");
    let options = command::parse(std::env::args_os());
    match options.and_then(|options| options.map_or(Ok(()), |options| work(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("picture"),
    }
}

fn work(options: &Options) -> Outcome<()> {
    let mut sessions = Sessions::new(options.group.clone());
    let bad = match options.made_up {
        Some(number) => made_up::add_to(&mut sessions, number).map(|()| Share::of(0, 1)).map_err(Failure::usage)?,
        None if options.inputs.is_empty() => {
            bundled::add_to(&mut sessions).map(|()| Share::of(0, 1)).map_err(Failure::usage)?
        }
        None => read(options, &mut sessions)?,
    };
    let (list, passed) = sessions.finish();
    let data = pack::pack(&list, &sessions, &options.title).map_err(Failure::usage)?;
    let page = page::html(&data, &options.title);
    let output = options.output.display();
    let written = growing::write(&options.output, page.as_bytes());
    written.map_err(|error| Failure::file("write", &options.output, &error))?;
    tell_passed(passed);
    let total = &data["total"];
    let (events, seconds) = (&total["events"], &total["seconds"]);
    say(format_args!(
        "{output}: {} sessions, {events} events, {seconds} s in sessions, {} bytes",
        list.len(),
        page.len()
    ));
    if bad.exceeds(options.max_rejected) {
        return Err(Failure::not_used(format_args!(
            "{bad} of the rows could not be read, more than the {} of --max-rejected; the page shows the others",
            options.max_rejected
        )));
    }
    Ok(())
}

/// Reads all files. Gives the share of rows that could not be read. Fails if a file is not there, or if they hold rows
/// but not one that is a session.
fn read(options: &Options, sessions: &mut Sessions) -> Outcome<Share> {
    let mut reading = Reading::new(sessions, &options.output);
    options.inputs.iter().try_for_each(|path| reading.path(path)).map_err(Failure::usage)?;
    let Reading { files, good, bad, tables, told, .. } = reading;
    for reason in &told {
        say(format_args!("picture: {reason}"));
    }
    if bad > 0 {
        say(format_args!("picture: {bad} rows or files could not be read, {good} rows could, in {files} files"));
    }
    if tables.len() > 1 {
        let named = |table: &PathBuf| {
            if table.as_os_str().is_empty() { "other files".to_owned() } else { table.display().to_string() }
        };
        let names: Vec<_> = tables.iter().map(named).collect();
        let names = names.join(", ");
        say(format_args!(
            "picture: these are {} tables in one picture, {names}: name one to see it alone",
            tables.len()
        ));
    }
    if good == 0 {
        return Err(Failure::not_used("no session row could be read: name files that `kinesis` or `files` wrote"));
    }
    sessions.group_column().map_err(Failure::usage)?;
    Ok(Share::of(bad, good))
}

fn tell_passed(passed: Passed) {
    if passed.superseded > 0 {
        say(format_args!("picture: {} rows are left out, since corrected rows take their place", passed.superseded));
    }
    if passed.repeated > 0 {
        say(format_args!("picture: {} rows are left out, since they were there before", passed.repeated));
    }
}
