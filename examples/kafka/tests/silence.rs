//! A partition without new records.

mod common;

use std::time::Duration;

use common::Kafka;

/// With `--max-delay` the sessions of a silent partition close; without more records, and without a flush.
#[test]
fn sessions_of_a_silent_partition_close() {
    let kafka = Kafka::new("silence");
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    let clicks = ["--partitions", "2", "--events", "50", "--users", "5", "--start", "2026-11-27T10:00:00Z"];
    let produced = kafka.produce(&topic, &clicks);
    let waiting = ["--step", "1s", "--out-of-order", "1s", "--max-delay", "1s", "--commit-every", "100ms"];
    let worker = kafka.worker(&topic, &group, &waiting);
    let is_open = || kafka.report(&topic, &group).values().any(|line| line["counts"]["open_sessions"] != 0);
    kafka.until_done(&topic, &group, Duration::from_secs(60));
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while is_open() {
        assert!(std::time::Instant::now() < until, "sessions stay open");
    }
    worker.end();
    let rows = kafka.rows(&group);
    let events = |row: &String| serde_json::from_str::<serde_json::Value>(row).unwrap()["events"].as_u64().unwrap();
    assert_eq!(rows.iter().map(events).sum::<u64>(), produced);
}
