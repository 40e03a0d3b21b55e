//! Two runs on one state, between which an option changes: the rows stay the same, none is lost and
//! none is there twice, or the second run says why it cannot go on and what to do.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{STREAM, Server, files, output, rows, spawn, succeed};

/// Clicks that lie 200 ms apart, in order, of 31 users.
fn clicks(numbers: std::ops::Range<i64>) -> impl Iterator<Item = (String, Vec<u8>)> {
    numbers.map(|number| {
        let time = stagger::Timestamp::from_micros(1_767_571_200_000_000 + number * 200_000);
        let user = number * 17 % 31;
        let line = format!(
            r#"{{"user_id":{user},"device_id":"d","client_event":"e{number}","client_timestamp":"{time}","t":"{time}"}}"#
        );
        (user.to_string(), line.into_bytes())
    })
}

const RULES: &str = "--gap 3s --step 10s";

/// What a run is told; `options` may say what is said here already, but for the rules.
fn arguments(folder: &Path, options: &str) -> String {
    let mut all = format!("consume --stream {STREAM} --poll-every 20ms --unpaced --arrival-slack 1s {options}");
    for (option, value) in [("--state", "state"), ("--output", "output")] {
        if !options.contains(option.trim_start_matches("--")) {
            all += &format!(" {option} {}", folder.join(value).display());
        }
    }
    all.replace("--no-output", "")
}

const TO_THE_END: &str = "--stop-when-idle 1s --flush";

fn checkpoint(folder: &Path) -> Option<Value> {
    let bytes = std::fs::read(folder.join("state/checkpoint")).ok()?;
    serde_json::from_slice(bytes.split(|byte| *byte == b'\n').nth(1)?).ok()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => _ = std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap(),
        }
    }
}

/// A stream that a first run has read half of: it was killed while rows waited for their file.
struct Interrupted {
    server: Server,
    folder: tempfile::TempDir,
}

impl Interrupted {
    async fn new(options: &str) -> Self {
        let (server, folder) = (Server::start(2).await, tempfile::tempdir().unwrap());
        server.put(clicks(0..300)).await;
        let first = folder.path().join("first");
        let options = format!("{options} --checkpoint-every 50ms --buffer-interval 1h");
        let mut child = spawn(server.command(&arguments(&first, &options)));
        let started = std::time::Instant::now();
        let is_there = |header: Value| {
            let waits = header["pending"]["tables"].as_object().is_some_and(|tables| tables.len() == 2);
            header["totals"]["records"] == 300 && waits
        };
        while !checkpoint(&first).is_some_and(is_there) {
            assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", checkpoint(&first));
            assert!(child.try_wait().unwrap().is_none(), "the first run has ended");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        server.until_the_next_second().await;
        server.put(clicks(300..600)).await;
        Self { server, folder }
    }

    /// A folder for a second run, that goes on from the first.
    fn goes_on(&self, name: &str) -> std::path::PathBuf {
        let folder = self.folder.path().join(name);
        copy(&self.folder.path().join("first"), &folder);
        folder
    }

    /// Runs again with other options. Returns what it says, which must be a refusal.
    async fn refusal(&self, name: &str, options: &str) -> String {
        let folder = self.goes_on(name);
        let before = std::fs::read(folder.join("state/checkpoint")).unwrap();
        let output = output(self.server.command(&arguments(&folder, &format!("{options} {TO_THE_END}")))).await;
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{options} is not refused: {message}");
        assert_eq!(std::fs::read(folder.join("state/checkpoint")).unwrap(), before, "{options}");
        assert!(files(&folder.join("output")).is_empty(), "{options}");
        message
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_rows_are_not_lost_without_output() {
    let stream = Interrupted::new(RULES).await;
    let message = stream.refusal("none", &format!("{RULES} --no-output")).await;
    let first = stream.folder.path().join("first/output");
    assert!(message.contains(&format!("belongs to files in {}", first.display())), "{message}");
    assert!(message.contains("give --output again, or another --state"), "{message}");

    // Given again, all rows are there.
    let (again, whole) = (stream.goes_on("again"), stream.folder.path().join("whole"));
    succeed(stream.server.command(&arguments(&again, &format!("{RULES} {TO_THE_END}")))).await;
    succeed(stream.server.command(&arguments(&whole, &format!("{RULES} {TO_THE_END}")))).await;
    assert_eq!(rows(&again.join("output")), rows(&whole.join("output")));
}
