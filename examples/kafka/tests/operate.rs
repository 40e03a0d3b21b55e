//! Operating a group: silence, and offsets that somebody has moved.

mod common;

use std::process::Command;
use std::time::Duration;

use common::Kafka;
use program::testing::output;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

/// Less than the longest session timeout here.
const PATIENCE: Duration = Duration::from_secs(150);

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
    kafka.until_done(&topic, &group, PATIENCE);
    let until = std::time::Instant::now() + PATIENCE;
    while is_open() {
        assert!(std::time::Instant::now() < until, "sessions stay open");
    }
    worker.end();
    let rows = kafka.rows(&group);
    let events = |row: &String| serde_json::from_str::<serde_json::Value>(row).unwrap()["events"].as_u64().unwrap();
    assert_eq!(rows.iter().map(events).sum::<u64>(), produced);
}

/// However short the time: it begins when all has been read.
#[test]
fn a_process_is_idle_only_when_all_records_are_read() {
    let kafka = Kafka::new("backlog");
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    kafka.produce(&topic, &["--partitions", "3", "--events", "500", "--start", "2026-11-27T10:00:00Z"]);
    assert!(kafka.worker(&topic, &group, &["--gap", "1m", "--stop-when-idle", "1ms"]).wait());
    assert_eq!(kafka.lag(&topic, &group), 0);
}

/// The state would not fit: a process says so and stops.
#[test]
fn offsets_that_were_moved_are_told() {
    let kafka = Kafka::new("moved");
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    kafka.produce(&topic, &["--partitions", "1", "--events", "50", "--start", "2026-11-27T10:00:00Z"]);
    assert!(kafka.worker(&topic, &group, &["--gap", "1m", "--stop-when-idle", "1s"]).wait());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.bootstrap).set("group.id", &group);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(7)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    let run = ["run", "--input", &topic, "--output", &group, "--group", &group, "--gap", "1m"];
    let output = output(&mut kafka.command(&run));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    let sentence =
        format!("the group {group} stands at offset 7, and its state at 50: somebody has moved the offsets.");
    assert!(told.contains(&sentence), "{told}");
}

/// Else the others would wait for its session timeout before partitions can move again.
#[test]
fn a_process_without_a_partition_tells_the_group_that_it_leaves() {
    let kafka = Kafka::new("idle");
    let (topic, group) = (kafka.name("clicks"), kafka.name("sessions"));
    let clicks = ["--partitions", "1", "--events", "50", "--start", "2026-11-27T10:00:00Z"];
    kafka.produce(&topic, &clicks);
    let options = ["--gap", "1m", "--session-timeout", "200s", "--commit-every", "100ms"];
    let first = kafka.worker(&topic, &group, &options);
    kafka.until_done(&topic, &group, PATIENCE);
    let idle = [&options[..], &["--stop-when-idle", "1s"]].concat(); // from when it is let in, by the heartbeat of the first
    assert!(kafka.worker(&topic, &group, &idle).wait());
    let third = kafka.worker(&topic, &group, &options);
    first.end(); // the third has the partition from here on, if nobody else is waited for
    kafka.produce(&topic, &clicks);
    kafka.until_done(&topic, &group, PATIENCE);
    third.end();
}

/// No broker is asked: all of it is told before.
#[test]
fn what_the_command_line_cannot_mean_is_told_at_once() {
    for (command, status, sentence) in [
        ("watch >&-", 2, "kafka: cannot write to standard output: it is closed\n"),
        ("report >&-", 2, "kafka: cannot write to standard output: it is closed\n"),
        ("produce >&-", 2, "kafka: cannot write to standard output: it is closed\n"),
        ("--help >&-", 2, "kafka: cannot write to standard output: it is closed\n"),
        ("--help >/dev/full", 2, "kafka: cannot write the results: no space left on device\n"),
        ("run --sum amount", 2, "kafka: there is no option --sum; only the program `files` has it\n"),
        ("run --where a=b", 2, "kafka: there is no option --where; only the program `files` has it\n"),
        ("--version", 0, ""),
    ] {
        let shell = format!("{} {command}", env!("CARGO_BIN_EXE_kafka"));
        let ran = Command::new("sh").args(["-c", &shell]).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!((ran.status.code(), said.as_str()), (Some(status), sentence), "{command}");
    }
    for argument in ["--help", "--version"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kafka"));
        command.arg(argument).stdout(program::testing::closed_pipe()).stderr(program::testing::closed_pipe());
        assert_eq!(command.status().unwrap().code(), Some(141), "{argument}");
    }
}
