//! For any splits, merges and recounts, and any answer of the server at the end of a shard: reading
//! live, later and with pauses leaves the same rows.

mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use program::testing::{Running, Signal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stagger::Timestamp;
use support::{Rows, STREAM, Server, assert_same, ends_well, parsed, rows, spawn, succeed, three_rules, until};

/// How many histories; the environment may ask for another number.
const HISTORIES: u64 = 2;
const BATCHES: u64 = 60;
const IN_A_BATCH: u64 = 25;

/// Clicks of 40 users, 25 a second, up to five seconds out of order.
fn click(number: u64, random: &mut StdRng) -> (String, Vec<u8>) {
    let user = random.random_range(0..40);
    let micros = 1_767_571_200_000_000 + number as i64 * 40_000 - random.random_range(0..5_000_000);
    let time = Timestamp::from_micros(micros);
    let line =
        format!(r#"{{"user_id":{user},"device_id":"d","client_event":"e{number}","client_timestamp":"{time}"}}"#);
    (user.to_string(), line.into_bytes())
}

/// Some seconds of clicks, while shards come and go.
async fn happen(server: &Server, random: &mut StdRng) {
    for batch in 0..BATCHES {
        server.put((0..IN_A_BATCH).map(|number| click(batch * IN_A_BATCH + number, random))).await;
        if random.random_bool(0.15) {
            server.reshard(random).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..160))).await;
    }
}

fn arguments(folder: &Path, more: &str) -> String {
    three_rules(folder, &format!("--buffer-interval 0s {more}"))
}

async fn read_to_the_end(server: &Server, folder: &Path) -> Rows {
    succeed(server.command(&arguments(folder, "--stop-when-idle 3s --flush"))).await;
    rows(&folder.join("output"))
}

async fn until_begun(folder: &Path) {
    until("a checkpoint", || folder.join("state/checkpoint").exists()).await;
}

fn start(server: &Server, folder: &Path, more: &str) -> Running {
    spawn(server.command(&arguments(folder, more)))
}

/// Asks it to end. Before its first checkpoint the signal might kill it.
async fn stop(child: Running, folder: &Path) {
    until_begun(folder).await;
    child.signal(Signal::TERM);
    ends_well(child).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_later_and_with_pauses_the_rows_are_the_same() {
    let histories = std::env::var("STAGGER_HISTORIES").map_or(HISTORIES, |histories| histories.parse().unwrap());
    for seed in 0..histories {
        let server = Server::start(2).await;
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let mut random = StdRng::seed_from_u64(seed);
        let end = &server.faults.end;

        let live = start(&server, &place("live"), "");
        let paused = start(&server, &place("paused"), "");
        let pause = async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            stop(paused, &place("paused")).await;
        };
        tokio::join!(happen(&server, &mut random), pause);
        stop(live, &place("live")).await;
        let live = read_to_the_end(&server, &place("live")).await;
        assert_same(&format!("history {seed}, paused"), &read_to_the_end(&server, &place("paused")).await, &live);

        for (number, (zero, pages)) in
            [(None, 0), (Some(true), 0), (Some(true), 2), (Some(false), 2)].into_iter().enumerate()
        {
            end.says_zero.store(zero == Some(true), Ordering::SeqCst);
            end.never_says_zero.store(zero == Some(false), Ordering::SeqCst);
            end.pages.store(pages, Ordering::SeqCst);
            let later = read_to_the_end(&server, &place(&format!("later-{number}"))).await;
            assert_same(&format!("history {seed}, later, {zero:?}, {pages} pages"), &later, &live);
        }
        assert_eq!(
            live.keys().collect::<Vec<_>>(),
            ["gap_3s", "stagger_step_30s_range_2s", "step_10s"],
            "nothing is late"
        );
        let events: u64 = live["step_10s"].iter().map(|row| parsed(row)["events"].as_u64().unwrap()).sum();
        assert_eq!(events, BATCHES * IN_A_BATCH);
        let shards = server.client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap().len();
        eprintln!("history {seed}: {shards} shards, {} rows six times", live.values().map(Vec::len).sum::<usize>());
    }
}

/// Split, and the still empty child split again: the backlog that was read wrongly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_child_that_is_split_makes_nothing_late() {
    let server = Server::start(2).await;
    let mut random = StdRng::seed_from_u64(1);
    let mut some = |portion: u64| {
        (500 * portion..500 * (portion + 1)).map(|number| click(number, &mut random)).collect::<Vec<_>>()
    };
    server.put(some(0)).await;
    server.split(0).await;
    // An iterator of an empty shard that has ended is at its end only in the second after.
    server.until_the_next_second().await;
    server.until_the_next_second().await;
    server.split(1).await;
    for portion in 1..4 {
        server.put(some(portion)).await;
        server.until_the_next_second().await;
    }
    for _ in 0..4 {
        server.until_the_next_second().await; // all of it is older than the slack of arrivals
    }
    let folder = tempfile::tempdir().unwrap();
    let rows = read_to_the_end(&server, folder.path()).await;
    assert!(!rows.contains_key("errors"), "{} events are late", rows["errors"].len());
}

/// A machine whose clock is an hour ahead of Kinesis, or behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_the_consumer_does_not_matter_and_is_told() {
    for (behind, told) in [(3_600, "s ahead of that of Kinesis"), (-3_600, "s behind that of Kinesis")] {
        let server = Server::start(2).await;
        server.faults.clock_behind.store(behind, Ordering::SeqCst);
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let mut random = StdRng::seed_from_u64(7);
        server.put((0..10).map(|number| click(number, &mut random))).await;
        server.until_the_next_second().await;
        server.until_the_next_second().await;
        server.until_the_next_second().await;

        let live = start(&server, &place("live"), "--start latest");
        until_begun(&place("live")).await;
        happen(&server, &mut random).await;
        stop(live, &place("live")).await;
        let (_, messages) = succeed(server.command(&arguments(&place("live"), "--stop-when-idle 3s --flush"))).await;
        assert!(messages.contains(told), "{messages}");
        let live = rows(&place("live/output"));
        let events: u64 = live["step_10s"].iter().map(|row| parsed(row)["events"].as_u64().unwrap()).sum();
        assert_eq!(events, BATCHES * IN_A_BATCH, "without the ten before the start");
        assert!(!live.contains_key("errors"));
    }
}

/// A server whose clock goes back: records that can no longer be put in order are told everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_were_ruled_out_are_told() {
    let server = Server::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(3);
    server.put((0..10).map(|number| click(number, &mut random))).await;
    let sent = std::sync::Arc::default();
    let cloudwatch = support::recording(std::sync::Arc::clone(&sent)).await;
    let command = |more: &str| {
        let mut command = server.command(&arguments(folder.path(), more));
        command.env("AWS_ENDPOINT_URL_CLOUDWATCH", &cloudwatch);
        command
    };
    succeed(command("--stop-when-idle 1s")).await;
    server.faults.clock_behind.store(60, Ordering::SeqCst);
    server.put((10..20).map(|number| click(number, &mut random))).await;
    let mut live = Running::start(command("--metrics Sessions").stderr(Stdio::piped()));
    until("the metric RuledOut", || {
        assert_eq!(live.try_wait(), None);
        sent.lock().unwrap().windows(8).any(|bytes| bytes == b"RuledOut")
    })
    .await;
    live.signal(Signal::TERM);
    let output = tokio::task::spawn_blocking(move || live.wait_with_output()).await.unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("--arrival-slack allows for") && messages.contains(" 10 ruled out"), "{messages}");
}
