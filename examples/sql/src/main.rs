//! Runs the text of Amazon Kinesis Data Analytics SQL applications: the program.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use events::failure::{Failure, Outcome};
use program::say::say;
use program::{command, signals, stdout};
use sql::explain::explain;
use sql::parse;
use sql::plan::{self, Plan};
use sql::text::Mistake;
use sql::translate::translate;

use crate::options::{Command, Options};

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
        (Some(Command::Translate(text)), _) => {
            let plan = planned(&text.text, text.schema.as_deref())?;
            stdout::write(translate(&plan))
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
    fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
}

/// Shows the mistake in a text, on several lines.
fn failure(mistake: &Mistake, file: &str, text: &str) -> Failure {
    mistake.show(file, text).lines().for_each(say);
    Failure { message: String::new(), ..Failure::usage("") }
}
