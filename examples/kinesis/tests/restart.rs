//! Two runs on one state, between which an option changes: the rows stay the same, none is lost and
//! none is there twice, or the second run says why it cannot go on and what to do.

mod support;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use support::{STREAM, Server, files, output, rows, spawn, succeed, until};

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

const NO_OUTPUT: &str = "--no-output";
const RULES: &str = "--gap 3s --step 10s";

/// The arguments of a run; `options` may repeat them, but for the rules.
fn arguments(folder: &Path, options: &str) -> String {
    let mut all = format!("consume --unpaced {options}");
    let place = |name: &str| folder.join(name).display().to_string();
    for (option, value) in [
        ("--stream", STREAM.to_owned()),
        ("--poll-every", "20ms".to_owned()),
        ("--arrival-slack", "1s".to_owned()),
        ("--state", place("state")),
        ("--output", place("output")),
    ] {
        let is_left_out = option == "--output" && options.contains(NO_OUTPUT);
        if !is_left_out && !options.contains(option) {
            all += &format!(" {option} {value}");
        }
    }
    all.replace(NO_OUTPUT, "")
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
        let is_there = |header: Value| {
            let waits = header["pending"]["tables"].as_object().is_some_and(|tables| tables.len() == 2);
            header["totals"]["records"] == 300 && waits
        };
        until("a checkpoint of all records", || {
            assert_eq!(child.try_wait(), None, "the first run has ended");
            checkpoint(&first).is_some_and(is_there)
        })
        .await;
        child.kill(); // SIGKILL
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

    /// Runs again with other options. Returns its message, which must be a refusal.
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

/// Its shards have the names of the old ones, and positions mean nothing in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_created_again_is_another_one() {
    let stream = Interrupted::new(RULES).await;
    stream.server.create_again(2).await;
    stream.server.put(clicks(300..600)).await;
    let message = stream.refusal("again", RULES).await;
    assert!(message.contains("the checkpoint is of a stream clicks created at 20"), "{message}");
    assert!(message.contains("give another --state, which begins at --start"), "{message}");
}

/// Table, id and number of events of all sessions in all places below a folder, whatever their format.
fn sessions(folder: &Path) -> Vec<(String, String, u64)> {
    let mut all = Vec::new();
    for file in files(folder).iter().filter(|file| !file.starts_with(folder.join("state"))) {
        let name = file.to_str().unwrap();
        let Some(rule) = ["gap_3s", "step_10s"].into_iter().find(|rule| name.contains(rule)) else {
            assert!(name.ends_with("/.writable"), "{name}");
            continue;
        };
        let mut add = |id: String, events: u64| all.push((rule.to_owned(), id, events));
        if name.ends_with(".parquet") {
            let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
            for row in reader.get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let field =
                    |name: &str| row.get_column_iter().find(|(column, _)| *column == name).unwrap().1.to_string();
                add(field("session_id").trim_matches('"').to_owned(), field("events").parse().unwrap());
            }
            continue;
        }
        let bytes = std::fs::File::open(file).unwrap();
        let lines: Box<dyn Read> =
            if name.ends_with(".gz") { Box::new(flate2::read::GzDecoder::new(bytes)) } else { Box::new(bytes) };
        for row in serde_json::Deserializer::from_reader(lines).into_iter::<Value>() {
            let row = row.unwrap();
            add(row["session_id"].as_str().unwrap().to_owned(), row["events"].as_u64().unwrap());
        }
    }
    all.sort();
    all
}

/// Options that change nothing about which sessions there are.
const FREE: [&str; 28] = [
    "--format parquet",
    "--compression none",
    "--prefix other/",
    "--format parquet --prefix a/b-",
    "--output OTHER",
    "--buffer-interval 0s",
    "--buffer-size 1",
    "--checkpoint-every 1s",
    "--start latest",
    "--poll-every 50ms",
    "--page 7",
    "--arrival-slack 2s",
    "--give-up-after 1s",
    "--misplaced keep",
    "--time t",
    "--value device_id",
    "--time-format iso",
    "--out-of-order 1m",
    "--out-of-order 0s",
    "--idle-after 1m",
    "--max-delay never",
    "--max-delay 1m",
    "--max-future 1s",
    "--earliest 2025-01-01T00:00:00Z",
    "--print",
    "--report-every 0s",
    "--log-level warn",
    "--listen 127.0.0.1:0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_may_change_and_every_session_is_there_once() {
    let stream = Arc::new(Interrupted::new(RULES).await);
    let whole = stream.folder.path().join("whole");
    succeed(stream.server.command(&arguments(&whole, &format!("{RULES} {TO_THE_END}")))).await;
    let expected = sessions(&whole);
    assert!(expected.len() > 900 && expected.iter().map(|(.., events)| events).sum::<u64>() == 2 * 600);
    assert!(expected.windows(2).all(|pair| pair[0] != pair[1]));

    let swapped = "--step 10s --gap 3s".to_owned();
    let changes = FREE.iter().map(|change| format!("{RULES} {change}")).chain([swapped]);
    let (mut runs, most) = (tokio::task::JoinSet::new(), Arc::new(tokio::sync::Semaphore::new(4)));
    for (number, options) in changes.enumerate() {
        let (stream, most, expected) = (Arc::clone(&stream), Arc::clone(&most), expected.clone());
        runs.spawn(async move {
            let _turn = most.acquire().await;
            let folder = stream.goes_on(&number.to_string());
            let line = options.replace("OTHER", folder.join("other").to_str().unwrap());
            succeed(stream.server.command(&arguments(&folder, &format!("{line} {TO_THE_END}")))).await;
            let got = sessions(&folder);
            let differs = got.iter().zip(&expected).find(|(got, expected)| got != expected);
            assert!(got == expected, "{options}: {} rows, not {}: {differs:?}", got.len(), expected.len());
        });
    }
    runs.join_all().await;
}

/// It would post each alert twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_given_twice_is_refused() {
    let server = Server::start(1).await;
    let run = async |second: &str| {
        let mut command = server.command(&format!("consume --stream {STREAM} --gap 3s --stop-when-idle 1s"));
        command.args(["--alert", "duration < 60s", "--alert", second]);
        output(command).await
    };
    let refused = String::from_utf8(run("duration<1m").await.stderr).unwrap();
    assert!(
        refused.contains("--alert 'duration < 60s' and 'duration<1m' are the same rule: leave one out"),
        "{refused}"
    );
    assert!(run("duration < 61s").await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_change_is_refused_with_what_to_do() {
    let stream = Interrupted::new(RULES).await;
    for (number, (options, part)) in [
        ("--gap 3s", "this run lacks step_10s, and the checkpoint lacks none"),
        ("--gap 3s --step 10s --stagger step=30s", "this run lacks none, and the checkpoint lacks stagger_step_30s"),
        ("--gap 4s --step 10s", "this run lacks gap_3s, and the checkpoint lacks gap_4s"),
        (
            "--gap 3s --step 10s --key user_id",
            "made with --key user_id:int,device_id and this run asks for --key user_id:",
        ),
        ("--gap 3s --step 10s --stream other", "made with --stream clicks and this run asks for --stream other:"),
        ("--gap 3s --step 10s --gap 3000ms", "--gap 3s is given twice"),
        ("--gap 3s --step 10s --prefix ../x/", "must stay within --output"),
    ]
    .into_iter()
    .enumerate()
    {
        let message = stream.refusal(&number.to_string(), options).await;
        assert!(message.contains(part), "{options}: {message}");
        let remedies = ["another --state", "leave one out", "give folders"];
        assert!(remedies.iter().any(|remedy| message.contains(remedy)), "{options}: {message}");
    }
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
    // 3 of the present, 2 old ones, and these again; a record that is no event still is none, twice.
    assert_eq!(events(&mended, "gap_10s"), 3 + 2 + 2);
    assert_eq!(of_kind(&mended, "errors", "rejected").len(), 4);
    let keys: Vec<_> = of_kind(folder.path(), "replayed", "refused");
    assert!(keys.iter().all(|row| support::parsed(row)["partition_key"] == "three"), "{keys:?}");
}
