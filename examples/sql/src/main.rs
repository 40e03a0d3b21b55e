//! Runs the text of Amazon Kinesis Data Analytics SQL applications: the program.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use events::failure::{Failure, Outcome};
use program::growing::Growing;
use program::say::say;
use program::{command, signals, stdout};
use sql::explain::explain;
use sql::plan::{self, Plan};
use sql::text::Mistake;
use sql::{package, parse};

use crate::options::{Command, Options, TranslateOptions};

mod job;
mod options;
mod output;

fn main() -> ExitCode {
    signals::watch("sql");
    let options = command::parse(std::env::args_os());
    match options.and_then(|options| options.map_or(Ok(()), |options| run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end("sql"),
    }
}

fn run(options: &Options) -> Outcome<()> {
    match (&options.command, &options.run) {
        (Some(Command::Explain(text)), _) => {
            let plan = planned(&text.text, text.schema.as_deref())?;
            stdout::write(explain(&plan))
        }
        (Some(Command::Translate(TranslateOptions { text, package })), _) => {
            let plan = planned(&text.text, text.schema.as_deref())?;
            match package {
                None => stdout::write(package::single(&plan, &library())),
                Some(folder) => write_package(&plan, folder),
            }
        }
        (None, Some(run)) => {
            let plan = planned(&run.text, run.schema.as_deref())?;
            if let Some(assumed) = job::assumed(&plan) {
                say(format_args!("columns of the source, by their use: {assumed} (--schema says otherwise)"));
            }
            job::run(&plan, run)
        }
        (None, None) => Err(Failure::usage("give the text of an application (see sql --help)")),
    }
}

/// Where the library is: in the repository that this program was built in, or else among published crates.
fn library() -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match repository.canonicalize() {
        Ok(path) => format!("path = {path:?}"),
        Err(_) => "version = \"0.1\"".to_owned(),
    }
}

fn write_package(plan: &Plan, folder: &Path) -> Outcome<()> {
    if folder.exists() {
        return Err(Failure::usage(format_args!("{} is there already: name a folder that is not", folder.display())));
    }
    let name = package_name(folder);
    let unwritten = |error: io::Error| Failure::file("write", folder, &error);
    let growing = Growing::folder(folder).map_err(unwritten)?;
    for (path, text) in package::package(plan, &name, &library()) {
        let path = growing.path().join(path);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(unwritten)?;
    }
    Growing::place([growing]).map_err(|(_, error)| unwritten(error))?;
    let (shown, plan) = (quoted(folder), job::one_time(plan).unwrap_or("FIELD"));
    say(format_args!("{shown} is a package. Run it: cd {shown} && cargo run --release -- {plan} < RECORDS.jsonl"));
    Ok(())
}

/// The name of the package in a folder. It begins with a letter.
fn package_name(folder: &Path) -> String {
    let name: String = folder.file_name().unwrap_or_default().to_string_lossy().chars().map(letter).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("app_{name}") }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// A character of a package's name.
fn letter(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '_' }
}

/// The plan of a text.
fn planned(path: &Path, schema: Option<&str>) -> Outcome<Plan> {
    let text = read(path)?;
    let schema = schema.map(self::schema).transpose()?;
    plan::plan(&text, schema.as_deref()).map_err(|mistake| failure(&mistake, &path.display().to_string(), &text))
}

/// Columns, or a file with them.
fn schema(given: &str) -> Outcome<Vec<parse::Column>> {
    let text = if Path::new(given).is_file() { read(Path::new(given))? } else { given.to_owned() };
    parse::parse_columns(&text).map_err(|mistake| failure(&mistake, "--schema", &text))
}

fn read(path: &Path) -> Outcome<String> {
    let bytes = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let unreadable = |_| Failure::usage(format_args!("{} is no text in UTF-8: save it as UTF-8", path.display()));
    String::from_utf8(bytes).map_err(unreadable)
}

/// Shows the mistake in a text, on several lines.
fn failure(mistake: &Mistake, file: &str, text: &str) -> Failure {
    mistake.show(file, text).lines().for_each(say);
    Failure { message: String::new(), ..Failure::usage("") }
}
