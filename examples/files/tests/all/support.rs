//! The program, run on small inputs, and its output.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
pub(crate) use program::testing::{Running, until};
use serde_json::Value;

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_files"))
}

/// A folder of one test's own, removed when the test is over.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("stagger-files-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path); // of a process of the same number, which was killed
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.0.join(name), content).expect("room for a small file");
        self.path(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("the file was written")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) said: String,
}

impl Ran {
    pub(crate) fn rows(&self) -> Vec<Row> {
        rows(&self.out)
    }
}

/// A row, by the names of its columns.
pub(crate) type Row = HashMap<String, String>;

pub(crate) fn rows(csv: &str) -> Vec<Row> {
    csv::Reader::from_reader(csv.as_bytes()).deserialize().collect::<Result<_, _>>().expect("well-formed rows")
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("an object on each line")).collect()
}

/// Starts a program whose standard input and output are pipes.
pub(crate) fn start(command: &mut Command) -> Running {
    Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))
}

/// Runs the program on arguments separated by blanks, with `input` as its standard input.
pub(crate) fn run_on(input: &str, arguments: &[&str]) -> Ran {
    let mut child = start(program().args(arguments).stderr(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // A stream writes while it reads, so both ends must be served. A program that stops early
        // does not read everything.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output()
    });
    Ran {
        status: output.status.code().expect("no signal"),
        out: String::from_utf8(output.stdout).expect("text"),
        said: String::from_utf8(output.stderr).expect("text"),
    }
}

pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

/// Runs on standard input and expects success.
pub(crate) fn ok(input: &str, arguments: &str) -> Ran {
    let ran = run_on(input, &words(&format!("- {arguments}")));
    assert_eq!(ran.status, 0, "{}", ran.said);
    ran
}

/// Clicks of users at seconds after 2018-11-29T23:35:00Z, as JSON lines.
pub(crate) fn clicks(clicks: &[(&str, i64, &str)]) -> String {
    let line = |(user, second, event): &(&str, i64, &str)| {
        let time = chrono::DateTime::from_timestamp(1_543_534_500 + second, 0).expect("in range");
        let time = time.format("%Y-%m-%dT%H:%M:%S");
        format!("{{\"user\": \"{user}\", \"time\": \"{time}\", \"what\": \"{event}\"}}\n")
    };
    clicks.iter().map(line).collect()
}

pub(crate) const FIELDS: &str = "--key user --time time --value what";

/// The columns of interest, joined.
pub(crate) fn pick(rows: &[Row], columns: &str) -> Vec<String> {
    let columns = words(columns);
    rows.iter().map(|row| columns.iter().map(|column| row[*column].as_str()).collect::<Vec<_>>().join(" ")).collect()
}

pub(crate) fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// The lines that `generate` writes with these options.
pub(crate) fn made(options: &str) -> Vec<u8> {
    let options = generate::Options::try_parse_from(std::iter::once("generate").chain(words(options)));
    let mut lines = Vec::new();
    options.expect("options that `generate` has").write(&mut lines).expect("room for the lines");
    lines
}

/// Clicks with disorder within ten seconds.
pub(crate) fn generated(more: &str) -> String {
    String::from_utf8(made(&format!("--users 50 --rate 2 --duration 1h --disorder 10s --seed 5 {more}"))).unwrap()
}

pub(crate) const CLICK_FIELDS: &str = "--key user_id,device_id --time client_timestamp --value client_event";
