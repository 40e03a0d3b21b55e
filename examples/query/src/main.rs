//! SQL over the files of sessions that `kinesis` and `files` write: the queries of the clickstream article, or
//! any others, with an engine inside the program.
//!
//! `cargo run --release -p query` answers from a day of bundled clicks; README.md has the rest.

mod columns;
mod engine;
mod folder;
mod functions;
mod options;
mod output;
mod prune;
mod read;
mod reads;
mod sample;
mod sentence;
mod table;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use chrono::{NaiveDate, Utc};
use program::failure::CLOSED_PIPE;
use program::say::escaped;
use program::{command, stdout};

use engine::Engine;
use options::Options;

/// The article's last query.
const DURATIONS: &str = include_str!("../sql/durations.sql");

/// The engine goes into a query recursively: a sum of a thousand terms is a thousand levels deep. Only
/// the used part of a stack takes memory.
const STACK: usize = 512 << 20;

fn main() -> ExitCode {
    let options =
        match command::parse::<Options>(std::env::args_os()).and_then(|options| stdout::check().map(|()| options)) {
            Ok(Some(options)) => options,
            Ok(None) => return ExitCode::SUCCESS,
            Err(failure) => return failure.end("query"),
        };
    match with_stack(move || work(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            say(&format!("query: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Does it in a thread that has more stack than the first one.
fn with_stack(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).context("cannot start a thread")?;
    thread.join().map_err(|_| anyhow!("this is a mistake of the program: please report it, with the SQL"))?
}

fn work(options: &Options) -> Result<()> {
    if let Some(folder) = &options.sample {
        let files = sample::write(folder)?;
        let folder = folder.display();
        let day = sample::DAY;
        say(&format!("{files} files are in {folder}: cargo run --release -p query -- {folder} --today {day}\n"));
        return Ok(());
    }
    let sql = sql(options)?;
    match &options.folder {
        Some(folder) => answer(options, folder, options.today.unwrap_or_else(|| Utc::now().date_naive()), &sql),
        None => {
            let folder =
                tempfile::tempdir().context("cannot make a folder for the sample: name a FOLDER of sessions")?;
            sample::write(folder.path())?;
            say(&format!("without a FOLDER: sessions of the bundled clicks of {}\n", sample::DAY));
            answer(options, folder.path(), options.today.unwrap_or(sample::DAY), &sql)
        }
    }
}

/// The query.
fn sql(options: &Options) -> Result<String> {
    if let Some(sql) = &options.sql {
        return Ok(sql.clone());
    }
    let Some(path) = &options.file else { return Ok(DURATIONS.to_owned()) };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read the SQL from {}", path.display()))?;
    Ok(text)
}

fn answer(options: &Options, folder: &Path, today: NaiveDate, sql: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK / 8)
        .build()
        .context("cannot start threads for the query")?;
    let mut engine = Engine::open(folder, options, today)?;
    let asked = runtime.block_on(async {
        let statements = engine.statements(sql)?;
        engine.create_views().await?;
        for statement in statements {
            if let Some(rows) = engine.run(statement).await? {
                output::write(options.format, &rows, &mut io::stdout().lock())?;
            }
        }
        anyhow::Ok(())
    });
    // Also of a query that failed: then it tells how far it came.
    say(&engine.reads().report(options.explain_files.then_some(folder), today));
    asked
}

/// Writes lines on standard error, safe for a terminal. That nobody reads them is no reason to stop.
fn say(message: &str) {
    let lines: String = message.split_terminator('\n').map(|line| escaped(line) + "\n").collect();
    let _ = io::stderr().write_all(lines.as_bytes());
}

/// Whether nobody reads the output any more, as behind `| head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
