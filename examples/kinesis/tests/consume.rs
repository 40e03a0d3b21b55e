//! The consumer through the program and HTTP: its input, where it begins, its output.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use program::testing::Signal;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use stagger::Timestamp;
use support::{STREAM, Server, ends_well, output, parsed, rows, rows_so_far, spawn, succeed, until};

const SECOND: i64 = 1_000_000;
/// 2026-01-05T00:00:00Z
const START: i64 = 1_767_571_200 * SECOND;

#[derive(Clone, Debug)]
struct Click {
    user: u32,
    micros: i64,
    number: usize,
}

impl Click {
    fn record(&self) -> (String, Vec<u8>) {
        let Self { user, micros, number } = self;
        let time = Timestamp::from_micros(*micros);
        let line = format!(
            r#"{{"user_id":{user},"device_id":"d{}","client_event":"e{number}","client_timestamp":"{time}"}}"#,
            user % 3
        );
        (user.to_string(), line.into_bytes())
    }
}

/// Clicks, no two at the same time, up to `disorder` out of order.
fn clicks(count: usize, users: u32, disorder: i64) -> Vec<Click> {
    let mut random = StdRng::seed_from_u64(11);
    let mut clicks: Vec<(i64, Click)> = (0..count)
        .map(|number| {
            let micros = START + number as i64 * 200_000;
            let click = Click { user: random.random_range(1..=users), micros, number };
            (micros + random.random_range(0..=disorder), click)
        })
        .collect();
    clicks.sort_by_key(|(arrival, _)| *arrival);
    clicks.into_iter().map(|(_, click)| click).collect()
}

async fn put(server: &Server, clicks: &[Click]) {
    server.put(clicks.iter().map(Click::record)).await;
}

/// Reads the records on the stream, closes everything, and ends.
fn to_the_end(folder: &Path, more: &str) -> String {
    format!(
        "consume --stream {STREAM} --out-of-order 6s --poll-every 20ms --unpaced --arrival-slack 1s \
         --checkpoint-every 100ms --state {0}/state --output {0}/output --stop-when-idle 1s --flush {more}",
        folder.display()
    )
}

/// User, first click, last click and count of sessions that end after silence: read off a sorted list,
/// with none of the crate's code.
fn naive_gap_sessions(clicks: &[Click], gap: i64) -> Vec<(u32, String, String, u64)> {
    let mut by_user: BTreeMap<u32, Vec<&Click>> = BTreeMap::new();
    clicks.iter().for_each(|click| by_user.entry(click.user).or_default().push(click));
    let mut sessions = Vec::new();
    for (user, mut clicks) in by_user {
        clicks.sort_by_key(|click| click.micros);
        for session in clicks.chunk_by(|a, b| b.micros - a.micros < gap) {
            let name = |click: Option<&&Click>| format!("e{}", click.unwrap().number);
            sessions.push((user, name(session.first()), name(session.last()), session.len() as u64));
        }
    }
    sessions.sort();
    sessions
}

fn written_sessions(rows: &[String]) -> Vec<(u32, String, String, u64)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let of = |row: Value| {
        let user = row["user_id"].as_u64().unwrap() as u32;
        (user, text(&row, "beginnavigation"), text(&row, "endnavigation"), row["events"].as_u64().unwrap())
    };
    let mut sessions: Vec<_> = rows.iter().map(|row| of(parsed(row))).collect();
    sessions.sort();
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_those_of_a_naive_reading_whatever_the_shards_do() {
    let server = Server::start(3).await;
    let clicks = clicks(3_000, 40, 5 * SECOND);
    for (number, some) in clicks.chunks(300).enumerate() {
        put(&server, some).await;
        match number % 3 {
            0 => server.split(number).await,
            1 => server.merge(number).await,
            _ => {
                let open = server.open_shards().await.len() as i32;
                server.update_shard_count(open + 1).await;
            }
        }
    }
    // Pages of two shards each, so that lists of shards go over several of them.
    server.faults.shards_in_a_page.store(2, Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    succeed(server.command(&to_the_end(folder.path(), "--gap 10s"))).await;
    let rows = rows(&folder.path().join("output"));
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["gap_10s"], "nothing is late or rejected");
    assert_eq!(written_sessions(&rows["gap_10s"]), naive_gap_sessions(&clicks, 10 * SECOND));
}

/// AWS takes minutes to split and merge many shards, and the stream can be read all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_being_resharded_is_read() {
    let server = Server::start_slow(2, 3_600_000).await;
    let clicks = clicks(100, 5, 0);
    put(&server, &clicks).await;
    let shard = server.open_shards().await.remove(0).shard_id;
    let split = server.client.split_shard().stream_name(STREAM).shard_to_split(shard);
    split.new_starting_hash_key("1000").send().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    succeed(server.command(&to_the_end(folder.path(), "--gap 1h"))).await;
    let rows = rows(&folder.path().join("output"));
    assert_eq!(written_sessions(&rows["gap_1h"]), naive_gap_sessions(&clicks, 3_600 * SECOND));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_has_the_columns_of_the_article() {
    let server = Server::start(1).await;
    let click = |micros, number| Click { user: 20, micros, number };
    put(&server, &[click(START + 1_500_000, 2), click(START, 1)]).await;
    let folder = tempfile::tempdir().unwrap();
    succeed(server.command(&to_the_end(folder.path(), "--step 30s --compression none"))).await;
    let rows = rows(&folder.path().join("output"));
    let [row] = &rows["step_30s"][..] else { panic!("{rows:?}") };
    let row = row.replace(parsed(row)["session_id"].as_str().unwrap(), "ID");
    assert_eq!(
        row,
        "2026/01/05/00 {\"session_id\":\"ID\",\"user_id\":20,\"device_id\":\"d2\",\
         \"timeagg\":\"2026-01-05T00:00:00.000000Z\",\"events\":2,\"beginnavigation\":\"e1\",\"endnavigation\":\"e2\",\
         \"beginsession\":\"2026-01-05T00:00:00.000000Z\",\"endsession\":\"2026-01-05T00:00:01.500000Z\",\
         \"duration_sec\":1,\"reason\":\"flush\"}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_is_kept_with_its_place() {
    let server = Server::start(1).await;
    let lines = [
        "not JSON",
        r#"{"user_id":"twenty","device_id":"a","client_timestamp":"2026-01-05T00:00:00"}"#,
        r#"{"user_id":1,"device_id":"a","client_timestamp":"yesterday"}"#,
        "{\"user_id\":1,\"device_id\":\"a\",\"client_timestamp\":\"2026-01-05T00:00:00\"}\n\
         {\"user_id\":2,\"device_id\":\"a\",\"client_timestamp\":\"2026-01-05T00:00:00\"}\n",
    ];
    server.put(lines.map(|line| ("key".to_owned(), line.into()))).await;
    server.put([("key".to_owned(), vec![0xff, 0xfe])]).await;
    let folder = tempfile::tempdir().unwrap();
    succeed(server.command(&to_the_end(folder.path(), "--gap 10s"))).await;
    let rows = rows(&folder.path().join("output"));
    assert_eq!(rows["gap_10s"].len(), 2, "two events in one record");
    let errors: Vec<Value> = rows["errors"].iter().map(|row| parsed(row)).collect();
    let mut reasons: Vec<&str> = errors.iter().map(|error| error["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    for (reason, part) in reasons.iter().zip(["`client_timestamp`", "`user_id`", "not valid JSON", "UTF-8"]) {
        assert!(reason.contains(part), "{reason}");
    }
    for error in &errors {
        assert_eq!(error["shard"], "shardId-000000000000");
        assert!(error["sequence"].as_str().unwrap().len() > 40, "{error}");
        let is_binary = error["reason"].as_str().unwrap().contains("UTF-8");
        assert_eq!(error.get("data_base64").is_some(), is_binary, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_where_it_is_told_and_goes_on_where_it_stopped() {
    let server = Server::start(2).await;
    let clicks = clicks(600, 20, 0);
    put(&server, &clicks[..200]).await;
    let folder = tempfile::tempdir().unwrap();
    let sum = |rows: &BTreeMap<String, Vec<String>>| -> u64 {
        rows.values().flatten().map(|row| parsed(row)["events"].as_u64().unwrap()).sum()
    };
    let place = |name: &str| folder.path().join(name);

    // Sessions stay open in the checkpoint, and nothing is read twice.
    let halves = to_the_end(&place("halves"), "--gap 1h").replace("--flush", "");
    succeed(server.command(&halves)).await;
    assert_eq!(sum(&rows(&place("halves/output"))), 0);
    put(&server, &clicks[200..400]).await;
    succeed(server.command(&format!("{halves} --flush"))).await;
    let got = rows(&place("halves/output"));
    assert_eq!(written_sessions(&got["gap_1h"]), naive_gap_sessions(&clicks[..400], 3_600 * SECOND));

    server.until_the_next_second().await;
    let second = Timestamp::from_micros(chrono_now() / SECOND * SECOND);
    put(&server, &clicks[400..]).await; // in this second, or in one after it
    succeed(server.command(&to_the_end(&place("later"), &format!("--gap 1h --start {second}")))).await;
    assert_eq!(
        written_sessions(&rows(&place("later/output"))["gap_1h"]),
        naive_gap_sessions(&clicks[400..], 3_600 * SECOND)
    );
    succeed(server.command(&to_the_end(&place("earlier"), "--gap 1h --start 2020-01-01T00:00:00Z"))).await;
    assert_eq!(sum(&rows(&place("earlier/output"))), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_is_where_the_first_run_began_also_after_a_restart() {
    let server = Server::start(2).await;
    let clicks = clicks(300, 20, 0);
    put(&server, &clicks[..100]).await;
    // A second for the slack of the arrivals, and one for the rest of this one.
    server.until_the_next_second().await;
    server.until_the_next_second().await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = to_the_end(folder.path(), "--gap 1h --start latest").replace("--flush", "");
    succeed(server.command(&arguments)).await;
    put(&server, &clicks[100..]).await; // nobody is there
    succeed(server.command(&format!("{arguments} --flush"))).await;
    let rows = rows(&folder.path().join("output"));
    assert_eq!(written_sessions(&rows["gap_1h"]), naive_gap_sessions(&clicks[100..], 3_600 * SECOND));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregated_records_are_taken_apart_and_those_on_a_wrong_shard_are_told() {
    let server = Server::start(1).await;
    let vectors = include_str!("data/kpl.jsonl");
    let vector: Value = vectors
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|vector| vector["parts"].as_array().is_some_and(|parts| parts.len() > 1))
        .unwrap();
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.decode(vector["data"].as_str().unwrap()).unwrap();
    let parts = vector["parts"].as_array().unwrap().len();
    server.put([("any".to_owned(), data.clone())]).await;
    let folder = tempfile::tempdir().unwrap();
    succeed(server.command(&to_the_end(&folder.path().join("whole"), "--gap 1h"))).await;
    let errors = rows(&folder.path().join("whole/output"))["errors"].clone();
    assert_eq!(errors.len(), parts, "the parts are no clicks, and each is told by itself");

    server.split(0).await;
    server.put([("any".to_owned(), data)]).await;
    succeed(server.command(&to_the_end(&folder.path().join("split"), "--gap 1h"))).await;
    let errors = rows(&folder.path().join("split/output"))["errors"].clone();
    let misplaced = errors.iter().filter(|row| row.contains("belongs to another shard")).count();
    assert_eq!((errors.len(), misplaced), (parts + 1, 1));
    succeed(server.command(&to_the_end(&folder.path().join("kept"), "--gap 1h --misplaced keep"))).await;
    assert_eq!(rows(&folder.path().join("kept/output"))["errors"].len(), 2 * parts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_shard_holds_nothing_open_and_makes_nothing_late() {
    let server = Server::start(2).await;
    let folder = tempfile::tempdir().unwrap();
    // Times are those of the present: events of one shard come all the time, of the other at both ends.
    let now = |number| Click { user: number, micros: chrono_now(), number: 0 };
    let (busy, quiet) = server.two_users_on_different_shards().await;
    let arguments = to_the_end(folder.path(), "--step 1s --idle-after 2s --out-of-order 1s --buffer-interval 0s")
        .replace("--out-of-order 6s", "");
    let child = spawn(server.command(&arguments.replace("--stop-when-idle 1s", "--stop-when-idle 6s")));
    put(&server, &[now(quiet)]).await;
    let output = folder.path().join("output");
    // Sessions of the busy shard come into sight though nothing more comes on the other.
    let mut count = 0;
    while rows_so_far(&output).get("step_1s").is_none_or(|rows| rows.len() < 3) {
        put(&server, &[now(busy)]).await;
        count += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(count < 600, "nothing has come out after a minute");
    }
    put(&server, &[now(quiet), now(busy)]).await;
    ends_well(child).await;
    let rows = rows(&output);
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["step_1s"], "what the quiet shard brought was not late");
    let events: u64 = rows["step_1s"].iter().map(|row| parsed(row)["events"].as_u64().unwrap()).sum();
    assert_eq!(events, count + 3);
}

fn chrono_now() -> i64 {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap().as_micros()
}

/// A place that must not miss a row stops the reading while it does not answer: two pages of each shard,
/// and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_slow_holds_the_reading_up() {
    let server = Server::start(1).await;
    let clicks = clicks(1_000, 20, 0);
    put(&server, &clicks[..100]).await;
    server.until_the_next_second().await; // the watermark moves from one arrival time to the next
    put(&server, &clicks[100..]).await;
    let requests = Arc::new(AtomicU64::new(0));
    let firehose = support::silent(Arc::clone(&requests)).await;
    let arguments = format!(
        "consume --stream {STREAM} --gap 2s --out-of-order 0s --page 10 --poll-every 1ms --unpaced \
         --checkpoint-every 1ms --firehose rows"
    );
    let mut command = server.command(&arguments);
    command.env("AWS_ENDPOINT_URL_FIREHOSE", firehose);
    let child = spawn(command);
    until("a request", || requests.load(Ordering::SeqCst) > 0).await;
    // The reader has time for a thousand more calls.
    let before = server.faults.records_read();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = server.faults.records_read();
    drop(child);
    assert!(after < 1_000 && after - before <= 20, "{before} records read, then {after} of 1,000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_in_a_sentence() {
    let server = Server::start(1).await;
    put(&server, &clicks(10, 3, 0)).await;
    let folder = tempfile::tempdir().unwrap();
    let good = to_the_end(folder.path(), "--gap 10s");
    succeed(server.command(&good)).await;
    let fails = async |arguments: &str, part: &str| {
        let output = output(server.command(arguments)).await;
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(part), "{arguments}: {message}");
    };
    fails(&good.replace("--gap 10s", "--gap 20s"), "this run lacks gap_10s, and the checkpoint lacks gap_20s").await;
    succeed(server.command(&format!("{good} --allowed-lateness 7s"))).await;
    fails(&good, "allowed_lateness cannot change from 7s to 0ns").await;
    let good = format!("{good} --allowed-lateness 7s");
    fails(&format!("{good} --key user_id"), "--key user_id:int,device_id").await;
    fails(&good.replace("--stream clicks", "--stream other"), "other").await;
    fails(&good.replace("--stream clicks", "--stream none --state x/y").replacen("--state", "--prefix", 1), "none")
        .await;
    fails(&format!("{good} --stagger minute"), "step=30s or floor=minute").await;
    let new = to_the_end(&folder.path().join("new"), "--gap 10s --start 2100-01-01T00:00:00Z");
    fails(&new, "in the future").await;
    fails(&format!("{good} --start soon"), "2026-11-24T08:00:00Z").await;

    let checkpoint = folder.path().join("state/checkpoint");
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&checkpoint, bytes).unwrap();
    fails(&good, "damaged").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_of_one_state_are_one_too_many() {
    let server = Server::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let forever = to_the_end(folder.path(), "--gap 10s").replace("--stop-when-idle 1s --flush", "");
    let first = spawn(server.command(&forever));
    until("a checkpoint", || folder.path().join("state/checkpoint").exists()).await;
    let second = output(server.command(&forever)).await;
    drop(first);
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && message.contains("another consumer"), "{message}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_with_a_checkpoint() {
    let server = Server::start(1).await;
    let mut clicks = clicks(100, 5, 0);
    clicks.shuffle(&mut StdRng::seed_from_u64(1));
    put(&server, &clicks).await;
    let folder = tempfile::tempdir().unwrap();
    let forever = to_the_end(folder.path(), "--gap 1h --checkpoint-every 1h")
        .replace("--checkpoint-every 100ms", "")
        .replace("--stop-when-idle 1s --flush", "");
    let child = spawn(server.command(&forever));
    until("the last record", || server.faults.records_read() >= 100).await;
    child.signal(Signal::TERM);
    ends_well(child).await;
    let read_before = server.faults.records_read();
    succeed(server.command(&to_the_end(folder.path(), "--gap 1h"))).await;
    let rows = rows(&folder.path().join("output"));
    let events: u64 = rows["gap_1h"].iter().map(|row| parsed(row)["events"].as_u64().unwrap()).sum();
    assert_eq!(events, 100, "what was open came through the checkpoint");
    assert!(server.faults.records_read() <= read_before + 100);
}
