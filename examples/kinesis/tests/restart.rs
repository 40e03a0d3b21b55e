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

/// The rows of a table that have this kind.
fn of_kind(folder: &Path, table: &str, kind: &str) -> Vec<String> {
    let all = rows(&folder.join("output")).remove(table).unwrap_or_default();
    all.into_iter().filter(|row| support::parsed(row)["kind"] == kind).collect()
}

/// Errors of all kinds; the cause of some is mended, and each event counts once then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_replayed_once_their_cause_is_mended() {
    let (server, folder) = (Server::start(1).await, tempfile::tempdir().unwrap());
    let click = |user: i64, time: &str| format!(r#"{{"user_id":{user},"device_id":"d","client_timestamp":"{time}"}}"#);
    // Two objects in a record, of which one is no event; two as old as no clickstream is; one binary.
    let both = format!("{}\n{}", click(1, "2026-01-05T00:00:00Z"), click(2, "05.01.2026 00:00:01"));
    server.put([("one".to_owned(), both.into_bytes()), ("two".to_owned(), b"\xff\xfe".to_vec())]).await;
    server.put([("three".to_owned(), format!("{0}{0}", click(3, "1999-12-31T23:59:59Z")).into_bytes())]).await;
    server.until_the_next_second().await;
    server.put([("one".to_owned(), click(1, "2026-01-05T01:00:00Z").into_bytes())]).await;
    server.until_the_next_second().await;
    server.put([("one".to_owned(), click(9, "2026-01-05T00:00:00Z").into_bytes())]).await; // late

    let rules = "--gap 10s --step 30s";
    succeed(server.command(&arguments(folder.path(), &format!("{rules} {TO_THE_END}")))).await;
    let kinds = |kind| of_kind(folder.path(), "errors", kind).len();
    assert_eq!((kinds("rejected"), kinds("refused"), kinds("late")), (2, 2, 2), "late under each of two rules");

    let output = folder.path().join("output").display().to_string();
    let replay = async |more: &str| succeed(server.command(&format!("replay --output {output} {more}"))).await.0;
    let would = replay("--stream clicks --dry-run").await;
    assert_eq!(
        would,
        "would put 4 rows of errors/ on clicks; 0 were put before, 2 are of other kinds or times, 0 are too large\n"
    );
    assert!(replay("--stream clicks").await.starts_with("put 4 rows"));
    let again = replay("--stream clicks").await;
    assert!(again.starts_with("put 0 rows of errors/ on clicks; 4 were put before, 2 are of other"), "{again}");
    // A late event, told by two rules, is one event of another stream.
    server.client.create_stream().stream_name("late").shard_count(1).send().await.unwrap();
    assert!(replay("--stream late --kind late").await.starts_with("put 2 rows of errors/ on late; 4 were put before"));
    let late = arguments(&folder.path().join("late"), &format!("{rules} {TO_THE_END}"));
    succeed(server.command(&late.replace("--stream clicks", "--stream late"))).await;
    let events = |folder: &Path, rule: &str| -> u64 {
        let rows = rows(&folder.join("output"));
        rows[rule].iter().map(|row| support::parsed(row)["events"].as_u64().unwrap()).sum()
    };
    assert_eq!(
        (events(&folder.path().join("late"), "gap_10s"), events(&folder.path().join("late"), "step_30s")),
        (1, 1)
    );

    // Read again with the cause mended: the clicks that were put again count, each once.
    let mended = folder.path().join("mended");
    let options = format!("{rules} {TO_THE_END} --earliest 1990-01-01T00:00:00Z --out-of-order 2000w");
    succeed(server.command(&arguments(&mended, &options))).await;
    // 3 of the present, 2 old ones, and these again; what is no event still is none, twice.
    assert_eq!(events(&mended, "gap_10s"), 3 + 2 + 2);
    assert_eq!(of_kind(&mended, "errors", "rejected").len(), 4);
    let keys: Vec<_> = of_kind(folder.path(), "replayed", "refused");
    assert!(keys.iter().all(|row| support::parsed(row)["partition_key"] == "three"), "{keys:?}");
}
