//! Measurements: `cargo test --release -p kafka --test measure -- --ignored --nocapture --test-threads 1`.

mod common;

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Kafka, Worker};
use program::testing::Signal;

/// The number of records, unless `KAFKA_RECORDS` says otherwise.
fn records() -> String {
    std::env::var("KAFKA_RECORDS").unwrap_or_else(|_| "1000000".to_owned())
}

fn now_millis() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// CPU seconds and peak memory of a process so far.
fn used(worker: &Worker) -> (f64, String) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", worker.id())).unwrap();
    let stat = read("stat");
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap().split(' ').map(|of| of.parse().unwrap_or(0.0)).collect();
    let peak = read("status").lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::trim).map(str::to_owned));
    ((fields[12] + fields[13]) / 100.0, peak.unwrap())
}

#[test]
#[ignore = "a measurement"]
fn a_backlog_is_read() {
    let kafka = Kafka::new("soak");
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    let clicks = ["--events", &records(), "--users", "100000", "--rate", "1000", "--start", "2026-11-27T00:00:00Z"];
    let produced = kafka.produce(&topic, &clicks);
    let began = Instant::now();
    let worker = kafka.worker(&topic, &group, &["--gap", "5m", "--step", "30s"]);
    let mut shown = Instant::now();
    while kafka.lag(&topic, &group) > 0 {
        if shown.elapsed() > Duration::from_secs(5) {
            shown = Instant::now();
            println!(
                "{:>6.1} s: {} records to go, {:?}",
                began.elapsed().as_secs_f64(),
                kafka.lag(&topic, &group),
                used(&worker)
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
    let (cpu, peak) = used(&worker);
    let seconds = began.elapsed().as_secs_f64();
    worker.end();
    println!("{produced} records in {seconds:.1} s: {:.0} a second", produced as f64 / seconds);
    println!("{:.2} µs of CPU time each, {peak} at the peak", cpu * 1e6 / produced as f64);
    let report = kafka.report(&topic, &group);
    let sum = |name: &str| report.values().map(|line| line[name].as_u64().unwrap_or(0)).sum::<u64>();
    println!("{} sessions written, {} bytes of state to read", kafka.rows(&group).len(), sum("state_bytes"));
}

/// From the kill of one of two processes to the first commit of each of its partitions by the other.
#[test]
#[ignore = "a measurement"]
fn silence_after_a_kill() {
    let kafka = Kafka::new("after");
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    let clicks = ["--events", &records(), "--users", "1000000", "--rate", "1000", "--start", "2026-11-27T00:00:00Z"];
    kafka.produce(&topic, &clicks);
    let working = ["--step", "1s", "--out-of-order", "10d", "--session-timeout", "6s", "--commit-every", "200ms"];
    let first = kafka.worker(&topic, &group, &working);
    kafka.until_done(&topic, &group, Duration::from_secs(600));
    let second = kafka.worker(&topic, &group, &working);
    thread::sleep(Duration::from_secs(15)); // half of the partitions move
    let few = ["--events", "2000", "--users", "1000000", "--start", "2026-11-27T01:00:00Z"];
    kafka.produce(&topic, &few);
    kafka.until_done(&topic, &group, Duration::from_secs(60));
    let open: u64 =
        kafka.report(&topic, &group).values().map(|line| line["counts"]["open_sessions"].as_u64().unwrap()).sum();
    let killed = now_millis();
    first.signal(Signal::KILL);
    kafka.produce(&topic, &few);
    kafka.until_done(&topic, &group, Duration::from_secs(120));
    let commits = kafka.report(&topic, &group);
    let mut after: Vec<i64> = commits.values().map(|line| line["committed_at"].as_i64().unwrap() - killed).collect();
    after.sort_unstable();
    println!("{open} open sessions; milliseconds from the kill to the commit of each partition: {after:?}");
    second.end();
}
