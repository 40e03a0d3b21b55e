//! Where lines come from: files, or the shop. Both are read on a thread of their own, since files,
//! standard input and the pauses between clicks would keep others waiting.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use generate::{Lines, Plan};
use stagger::Timestamp;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::producer::MOST_BYTES_OF_RECORD;

/// The number of lines read ahead.
const AHEAD: usize = 1_024;

/// A line without its end.
#[derive(Debug)]
pub(crate) struct Given {
    /// Where it was found, for messages.
    pub(crate) place: Place,
    pub(crate) line: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Place {
    file: Arc<str>,
    number: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} of {}", self.number, self.file)
    }
}

/// How fast clicks come, and of which time they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As they happen.
    Live,
    /// As they happened from then on, one second in a second.
    RealFrom(Timestamp),
    /// Without pauses; the first click is of that time, or the last one of the present.
    FullSpeed(Option<Timestamp>),
}

/// The lines of the files, one file after the other.
pub(crate) fn files(paths: Vec<PathBuf>) -> Result<Receiver<Result<Given>>> {
    spawn(move |to| paths.iter().try_for_each(|path| read_file(path, to)))
}

/// The clicks as lines.
pub(crate) fn clicks(plan: Plan, pace: Pace) -> Result<Receiver<Result<Given>>> {
    spawn(move |to| make_clicks(plan, pace, to))
}

/// The error goes to whoever receives the lines, as the last of them.
fn spawn(read: impl FnOnce(&Sender<Result<Given>>) -> Result<()> + Send + 'static) -> Result<Receiver<Result<Given>>> {
    let (to, lines) = channel(AHEAD);
    let run = move || {
        if let Err(error) = read(&to) {
            let _ = to.blocking_send(Err(error)); // nobody waits for it any more
        }
    };
    std::thread::Builder::new().name("lines".to_owned()).spawn(run).context("the system gives no thread")?;
    Ok(lines)
}

fn read_file(path: &Path, to: &Sender<Result<Given>>) -> Result<()> {
    let name = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
    let failed = || format!("cannot read {name}");
    let mut input = open(path).with_context(failed)?;
    let (file, mut number) = (Arc::from(name.as_str()), 0);
    while let Some(line) = read_line(&mut input).with_context(failed)? {
        number += 1;
        let place = Place { file: Arc::clone(&file), number };
        if !line.trim_ascii().is_empty() && to.blocking_send(Ok(Given { place, line })).is_err() {
            return Ok(()); // asked to stop
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut raw: Box<dyn Read> = if path == Path::new("-") { Box::new(stdin()) } else { Box::new(File::open(path)?) };
    let mut head = Vec::new();
    raw.by_ref().take(2).read_to_end(&mut head)?;
    let is_gzip = head == b"\x1f\x8b";
    let raw = BufReader::new(Cursor::new(head).chain(raw));
    Ok(if is_gzip { Box::new(BufReader::new(MultiGzDecoder::new(raw))) } else { Box::new(raw) })
}

/// A line without its end. A line that no record can hold is cut off just above the maximum.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let most = MOST_BYTES_OF_RECORD + 2;
    let mut line = Vec::new();
    if input.by_ref().take(most as u64).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        line.pop_if(|byte| *byte == b'\r');
    } else if line.len() == most {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

fn make_clicks(plan: Plan, pace: Pace, to: &Sender<Result<Given>>) -> Result<()> {
    let (mut lines, from) = match pace {
        Pace::Live => {
            let mut lines = Lines::under_way_at(plan, now()?, false);
            let now = now()?; // that took a moment
            lines.skip_until(now);
            (lines, Some(now))
        }
        Pace::RealFrom(start) => (Lines::new(plan, start, false), Some(start)),
        Pace::FullSpeed(Some(start)) => (Lines::new(plan, start, false), None),
        Pace::FullSpeed(None) => {
            let start = now()?.as_micros().saturating_sub(plan.length());
            (Lines::new(plan, Timestamp::from_micros(start), false), None)
        }
    };
    let began = Instant::now();
    let (file, mut number) = (Arc::from("the clicks"), 0);
    while let Some(line) = lines.next_line()? {
        number += 1;
        let due = from.map_or(Duration::ZERO, |from| line.arrival.since(from));
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let place = Place { file: Arc::clone(&file), number };
        if to.blocking_send(Ok(Given { place, line: line.text.trim_ascii_end().to_vec() })).is_err() {
            return Ok(()); // asked to stop
        }
    }
    Ok(())
}

fn now() -> Result<Timestamp> {
    Timestamp::try_from(SystemTime::now()).context("the clock of this machine is far off")
}
