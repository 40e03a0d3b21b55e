//! A program that is killed and goes on as if nothing had happened.
//!
//! `cargo run --example resume`
//!
//! The program starts itself twice as a worker. The first worker aborts in the middle; the second
//! goes on from the last checkpoint. The output of both together is compared with the output of
//! a run without interruption.
//!
//! A checkpoint holds three things that belong together: the state of the sessionizer, the position in
//! the input, and the length of the output. Output that the dead worker wrote after its last checkpoint
//! is cut off and written again, so that no session is missing or there twice.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stagger::{Config, Engine, Event, Gap, SessionSummary, Snapshot, Timestamp};

type Failure = Box<dyn Error>;
type Sessions = Engine<String, u64, ()>;

const CHECKPOINT_EVERY: usize = 50;
const ABORT_AT: usize = 230;

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    clicks_read: usize,
    bytes_written: u64,
    state: Snapshot<String, u64>,
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => supervise(),
        ["work", folder] => work(Path::new(folder), None),
        ["work", folder, abort_at] => work(Path::new(folder), Some(abort_at.parse()?)),
        _ => Err("this example takes no arguments".into()),
    }
}

/// The strategy. It must be the same before and after: a snapshot knows its settings, and is not
/// restored under others.
fn config() -> Config<String, u64> {
    Config::new(Gap::new(Duration::from_secs(30))).out_of_order(Duration::from_secs(6))
}

fn supervise() -> Result<(), Failure> {
    let folder = Folder::new()?;
    println!("gap of 30 s over {} clicks, a checkpoint every {CHECKPOINT_EVERY}", clicks().len());

    let first = start_worker(&folder.0, &[&ABORT_AT.to_string()])?;
    let written = fs::read_to_string(output_path(&folder.0))?;
    println!("first worker:  killed at click {ABORT_AT} ({first}), {} lines written", written.lines().count());

    let checkpoint = load(&folder.0)?.ok_or("the first worker left no checkpoint")?;
    let (read, open) = (checkpoint.clicks_read, checkpoint.state.open_sessions());
    println!("checkpoint:    {read} clicks read, {open} sessions open, {} bytes written", checkpoint.bytes_written);

    let second = start_worker(&folder.0, &[])?;
    let resumed = fs::read_to_string(output_path(&folder.0))?;
    println!("second worker: went on from there ({second}), {} lines in all", resumed.lines().count());

    let mut uninterrupted = Vec::new();
    run(&mut config().build()?, &clicks(), &mut uninterrupted)?;
    if first.success() || !second.success() || resumed.as_bytes() != uninterrupted {
        return Err("the output differs from that of an uninterrupted run".into());
    }
    println!("The output equals that of an uninterrupted run, byte by byte. Its last lines:");
    let lines: Vec<&str> = resumed.lines().collect();
    lines[lines.len().saturating_sub(4)..].iter().for_each(|line| println!("  {line}"));
    Ok(())
}

fn start_worker(folder: &Path, more: &[&str]) -> io::Result<ExitStatus> {
    Command::new(std::env::current_exe()?).arg("work").arg(folder).args(more).status()
}

fn work(folder: &Path, abort_at: Option<usize>) -> Result<(), Failure> {
    let (mut sessions, read, written) = match load(folder)? {
        Some(checkpoint) => (config().restore(checkpoint.state)?, checkpoint.clicks_read, checkpoint.bytes_written),
        None => (config().build()?, 0, 0),
    };
    let mut output = OpenOptions::new().create(true).truncate(false).write(true).open(output_path(folder))?;
    output.set_len(written)?;
    output.seek(SeekFrom::End(0))?;

    let clicks = clicks();
    for (number, click) in clicks.iter().enumerate().skip(read) {
        if abort_at == Some(number) {
            std::process::abort(); // no destructor runs, nothing is flushed: like `kill -9`
        }
        push(&mut sessions, click, &mut output)?;
        if (number + 1) % CHECKPOINT_EVERY == 0 {
            output.sync_all()?; // before the checkpoint, which claims that it is written
            let bytes_written = output.stream_position()?;
            save(folder, &Checkpoint { clicks_read: number + 1, bytes_written, state: sessions.snapshot() })?;
        }
    }
    finish(&mut sessions, &mut output)
}

fn run(sessions: &mut Sessions, clicks: &[Event<String, u64>], output: &mut impl Write) -> Result<(), Failure> {
    for click in clicks {
        push(sessions, click, output)?;
    }
    finish(sessions, output)
}

fn push(sessions: &mut Sessions, click: &Event<String, u64>, output: &mut impl Write) -> Result<(), Failure> {
    let mut lines = String::new();
    let pushed = sessions.push(click.as_event_ref(), &mut |session| lines += &line(&session));
    output.write_all(lines.as_bytes())?;
    if let Some(late) = pushed.returned() {
        writeln!(output, "late: click {} of {}", late.value, late.key)?;
    }
    Ok(())
}

fn finish(sessions: &mut Sessions, output: &mut impl Write) -> Result<(), Failure> {
    let mut lines = String::new();
    sessions.flush(&mut |session| lines += &line(&session));
    let counters = sessions.counters();
    writeln!(output, "{lines}{} clicks, {} late, {} sessions", counters.pushed, counters.late, counters.closed)?;
    Ok(())
}

fn line(session: &SessionSummary<String, u64>) -> String {
    let SessionSummary { key, count, first_event, last_event, reason, .. } = session;
    format!("{} {key}: {count} clicks, {first_event} to {last_event}, over by {reason}\n", session.id())
}

/// Writes beside the old checkpoint and then takes its place: whenever the program dies, there is
/// either the old one or the new one, never half of one.
fn save(folder: &Path, checkpoint: &Checkpoint) -> Result<(), Failure> {
    let beside = folder.join("checkpoint.new");
    let mut file = File::create(&beside)?;
    serde_json::to_writer(&mut file, checkpoint)?;
    file.sync_all()?;
    fs::rename(beside, checkpoint_path(folder))?;
    Ok(())
}

fn load(folder: &Path) -> Result<Option<Checkpoint>, Failure> {
    match fs::read(checkpoint_path(folder)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn checkpoint_path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.json")
}

fn output_path(folder: &Path) -> PathBuf {
    folder.join("sessions.txt")
}

/// Clicks of eleven users, up to six seconds out of order. Every fortieth is a minute old.
fn clicks() -> Vec<Event<String, u64>> {
    let click = |number: u64| {
        let user = format!("user {}", (number * number + number / 7) % 11);
        let old = if number % 40 == 39 { 60 } else { 0 };
        let second = 100 + 2 * number - number * 5 % 9 - old;
        Event::new(user, Timestamp::from_secs(second as i64), number)
    };
    (0..400).map(click).collect()
}

/// A folder of our own for files that pass; gone with everything in it when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("stagger-resume-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // nothing more can be done about it here
    }
}
