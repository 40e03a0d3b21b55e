//! A topic whose key is another than that of the sessions.

mod common;

use std::time::Duration;

use common::Kafka;
use program::testing::Signal;

const PATIENCE: Duration = Duration::from_secs(300);

/// Clicks keyed by user and device, written again by device: the process dies in the middle, and nothing is lost or
/// doubled, and each device has one session over all partitions.
#[test]
fn a_topic_is_written_again_exactly_once() {
    let kafka = Kafka::new("repartition");
    let (raw, keyed, group) = (kafka.name("raw"), kafka.name("keyed"), kafka.name("group"));
    let clicks = ["--partitions", "4", "--users", "50", "--rate", "100", "--start", "2026-11-27T10:00:00Z"];
    let untidy = ["--broken", "0.02", "--events", "3000"];
    let mut produced = kafka.produce(&raw, &[&clicks[..], &untidy].concat());
    let own = ["repartition", "--input", &raw, "--output", &keyed, "--group", &group, "--key", "device_id"];
    let again = || kafka.spawn(&[&own[..], &["--commit-every", "50ms", "--session-timeout", "2s"]].concat());
    let first = again();
    let until = std::time::Instant::now() + PATIENCE;
    while kafka.report(&raw, &group).values().all(|line| line["counts"].is_null()) {
        assert!(std::time::Instant::now() < until, "nothing is committed");
    }
    produced += kafka.produce(&raw, &[&clicks[..], &untidy, &["--seed", "2"]].concat());
    first.signal(Signal::KILL);
    let second = again();
    kafka.until_done(&raw, &group, PATIENCE);
    second.end();
    let (rows, unreadable) = (kafka.rows(&keyed), kafka.rows(&format!("{keyed}-unreadable")));
    assert_eq!((rows.len() + unreadable.len()) as u64, produced);
    let sessions = kafka.name("sessions");
    let rule = ["--key", "device_id", "--gap", "1d", "--stop-when-idle", "1ms"];
    assert!(kafka.worker(&keyed, &sessions, &rule).wait());
    let counts = kafka.report(&keyed, &sessions);
    let open: u64 = counts.values().filter_map(|line| line["counts"]["open_sessions"].as_u64()).sum();
    assert_eq!(open, 3, "mobile, computer and tablet: {counts:?}");
}
