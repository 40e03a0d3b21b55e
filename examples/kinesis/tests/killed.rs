//! Killed at any moment, and started again, the consumer leaves the rows of an undisturbed run.

mod support;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::{Faults, Rows, STREAM, Server, assert_same, parsed, rows, spawn, succeed, three_rules, until};

/// How often it is killed; the environment may ask for another number.
const KILLS: u32 = 50;
const BATCHES: usize = 400;
const IN_A_BATCH: usize = 25;
/// Time between two batches: events come all the while that processes come and go.
const BETWEEN_BATCHES: Duration = Duration::from_millis(120);

/// Clicks of 60 users up to five seconds out of order; some a minute late, some from the future, some
/// that are no clicks.
struct Clicks {
    random: StdRng,
    number: u64,
}

impl Clicks {
    fn next(&mut self) -> (String, Vec<u8>) {
        self.number += 1;
        let user = self.random.random_range(1..=60);
        let seconds = match self.random.random_range(0..100) {
            0 => 4.0e9,
            1 | 2 => self.at() - 120.0,
            _ => self.at() - self.random.random_range(0.0..5.0),
        };
        let micros = (seconds * 1e6) as i64;
        let time = stagger::Timestamp::from_micros(micros);
        let data = match self.random.random_range(0..100) {
            0 => format!("not a click {}", self.number),
            _ => format!(
                r#"{{"user_id":{user},"device_id":"d{}","client_event":"e{}","client_timestamp":"{time}"}}"#,
                user % 3,
                self.number
            ),
        };
        (user.to_string(), data.into_bytes())
    }

    /// When the events happen: 25 a second, in 2026.
    fn at(&self) -> f64 {
        1.767e9 + self.number as f64 / 25.0
    }
}

fn arguments(folder: &Path, more: &str) -> String {
    three_rules(folder, &format!("--buffer-interval 700ms {more}"))
}

async fn produce(server: &Server, has_produced: &AtomicBool) {
    let mut clicks = Clicks { random: StdRng::seed_from_u64(4), number: 0 };
    let mut random = StdRng::seed_from_u64(6);
    for batch in 0..BATCHES {
        server.put((0..IN_A_BATCH).map(|_| clicks.next())).await;
        if batch % 10 == 0 {
            server.reshard(&mut random).await;
        }
        tokio::time::sleep(BETWEEN_BATCHES).await;
    }
    has_produced.store(true, SeqCst);
}

/// Starts and kills the consumer again and again: each third time not before it has made a checkpoint, so that it gets
/// on however slow the machine is. Returns how many checkpoints it was killed at.
async fn kill_again_and_again(server: &Server, folder: &Path, kills: u32, has_produced: &AtomicBool) -> usize {
    let mut random = StdRng::seed_from_u64(5);
    let mut seen = std::collections::BTreeSet::new();
    let checkpoint = || std::fs::read(folder.join("state/checkpoint")).unwrap_or_default();
    for kill in 0..kills {
        let before = checkpoint();
        let child = spawn(server.command(&arguments(folder, "")));
        until("a checkpoint", || kill % 3 > 0 || checkpoint() != before || has_produced.load(SeqCst)).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_800))).await;
        drop(child); // SIGKILL
        seen.insert(checkpoint());
    }
    seen.len()
}

/// Reads to the end and closes everything. Returns the rows and counts.
async fn finish(server: &Server, folder: &Path) -> Rows {
    succeed(server.command(&arguments(folder, "--stop-when-idle 5s --flush"))).await;
    rows(&folder.join("output"))
}

async fn check(faults: impl Fn(&Faults)) -> u64 {
    let kills = std::env::var("STAGGER_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let server = Server::start(3).await;
    let folder = tempfile::tempdir().unwrap();
    let (killed, undisturbed) = (folder.path().join("killed"), folder.path().join("undisturbed"));

    faults(&server.faults);
    let has_produced = AtomicBool::new(false);
    let killing = kill_again_and_again(&server, &killed, kills, &has_produced);
    let (checkpoints, ()) = tokio::join!(killing, produce(&server, &has_produced));
    let got = finish(&server, &killed).await;
    let struck = server.faults.done.load(std::sync::atomic::Ordering::Relaxed);
    server.faults.none();
    let expected = finish(&server, &undisturbed).await;

    let tables: Vec<&String> = expected.keys().collect();
    assert_eq!(tables, ["errors", "gap_3s", "stagger_step_30s_range_2s", "step_10s"]);
    assert_same("killed", &got, &expected);
    check_counts(&expected);
    let events: usize = expected["gap_3s"].len();
    eprintln!(
        "killed {kills} times at {checkpoints} different checkpoints, {struck} calls disturbed, {} shards; \
         {} rows in {} tables are the same ({events} gap sessions)",
        server.client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap().len(),
        expected.values().map(Vec::len).sum::<usize>(),
        expected.len(),
    );
    assert!(checkpoints > 2, "it was killed before it got anywhere: {checkpoints} checkpoints");
    struck
}

/// Each record is in a session, or among the errors, once for each strategy.
fn check_counts(rows: &Rows) {
    let errors: Vec<_> = rows["errors"].iter().map(|row| parsed(row)).collect();
    let of_no_rule = errors.iter().filter(|error| error.get("strategy").is_none()).count();
    assert!(["rejected", "refused"].iter().all(|kind| errors.iter().any(|error| error["kind"] == *kind)));
    assert!(of_no_rule > 0 && errors.iter().any(|error| error["kind"] == "late"));
    for strategy in ["gap_3s", "stagger_step_30s_range_2s", "step_10s"] {
        let events: u64 = rows[strategy].iter().map(|row| parsed(row)["events"].as_u64().unwrap()).sum();
        let not_taken = errors.iter().filter(|error| error["strategy"] == strategy).count();
        assert_eq!(events as usize + not_taken + of_no_rule, BATCHES * IN_A_BATCH, "{strategy}");
        let mut ids: Vec<String> = rows[strategy].iter().map(|row| parsed(row)["session_id"].to_string()).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{strategy}: an id comes twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_shards_split_and_merge() {
    let faults = |faults: &Faults| {
        let order = std::sync::atomic::Ordering::SeqCst;
        faults.end.says_zero.store(true, order);
        faults.end.pages.store(2, order);
    };
    assert_eq!(check(faults).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_server_refuses_throttles_and_drops() {
    let faults = |faults: &Faults| {
        let set =
            |one_in: &std::sync::atomic::AtomicU64, value| one_in.store(value, std::sync::atomic::Ordering::Relaxed);
        set(&faults.refuse, 11);
        set(&faults.throttle, 13);
        set(&faults.expire, 17);
        set(&faults.cut, 19);
        faults.end.never_says_zero.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    assert!(check(faults).await > 100);
}
