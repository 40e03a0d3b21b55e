//! Another broker than our own: Tansu, if `KAFKA_TANSU` names its program. Nothing dies here: Tansu 0.6 shows the
//! records of aborted transactions.

mod common;

use std::path::Path;
use std::time::Duration;

use common::Kafka;

/// What two runs write, one after the other: the second one goes on from the state of the first.
fn rows(kafka: &Kafka) -> Vec<String> {
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    for seed in ["1", "2"] {
        let clicks = ["--partitions", "2", "--events", "1500", "--users", "50", "--start", "2026-11-27T10:00:00Z"];
        let own = ["--replication", "1", "--disorder", "8s", "--seed", seed];
        kafka.produce(&topic, &[&clicks[..], &own].concat());
        let worker = kafka.worker(&topic, &group, &["--gap", "1m", "--step", "30s", "--replication", "1"]);
        kafka.until_done(&topic, &group, Duration::from_secs(600));
        worker.end();
    }
    kafka.all_rows(&group).into_values().flatten().collect()
}

#[test]
fn tansu_holds_the_same_rows() {
    let Ok(tansu) = std::env::var("KAFKA_TANSU") else {
        println!("NOT CHECKED: KAFKA_TANSU names no broker");
        return;
    };
    let other = Kafka::tansu("rows", Path::new(&tansu));
    assert_eq!(rows(&other), rows(&Kafka::new("rows")));
}
