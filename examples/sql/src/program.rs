//! The frame of a program that `sql translate` has made: JSON lines in, JSON lines out.

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use crate::model::Arrival;
use crate::model::Plan;
use crate::rows::{Form, write_row};
use crate::run::{Run, Written};
use crate::source::Source;

/// Runs an application on standard input. The argument names the field with the time of arrival.
pub fn main(plan: &Plan) -> ExitCode {
    let Some(arrival) = std::env::args().nth(1) else {
        eprintln!("name the field with the time of arrival, and give the records as standard input");
        return ExitCode::from(2);
    };
    match work(plan, arrival) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn work(plan: &Plan, arrival: String) -> Result<(), String> {
    let mut run = Run::new(plan)?;
    let mut source = Source::new(plan, &Arrival::Field(arrival));
    let (mut to, mut bytes, mut row) = (io::BufWriter::new(io::stdout().lock()), Vec::new(), Vec::new());
    let mut show = |written: Written<'_>| match written {
        Written::Row { stream, values, .. } => {
            let names: Vec<&str> = plan.streams[stream].columns.iter().map(|column| column.name.as_str()).collect();
            bytes.clear();
            write_row(Form::Jsonl, &names, values, &mut bytes);
            let _ = to.write_all(&bytes); // who closed it has seen enough
        }
        Written::Failed { failure, .. } => eprintln!("error stream: {}", failure.0),
    };
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        match source.read(&line, &mut row) {
            Ok(arrival) => {
                let arrival = arrival.unwrap_or(run.now());
                run.push(&mut row, arrival, &mut show);
            }
            Err(failure) => eprintln!("error stream: {}", failure.0),
        }
    }
    run.finish(&mut show);
    to.flush().map_err(|error| error.to_string())
}
