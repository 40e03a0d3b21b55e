//! Topics, offsets and groups that are no longer as a group left them: a process says so and stops, or goes on with
//! `--allow-loss`, and says what is lost.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::Kafka;
use futures_executor::block_on;
use program::testing::{Running, free_port};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(150);

/// A topic of clicks, and the group that reads it.
struct Site {
    kafka: Kafka,
    topic: String,
    group: String,
}

impl Site {
    fn new(name: &str, partitions: &str) -> Self {
        let kafka = Kafka::new(name);
        let site = Self { topic: kafka.name("clicks"), group: kafka.name("sessions"), kafka };
        site.produce(&["--partitions", partitions]);
        site
    }

    fn produce(&self, more: &[&str]) {
        let clicks = ["--events", "50", "--start", "2026-11-27T10:00:00Z"];
        assert_eq!(self.kafka.produce(&self.topic, &[&clicks[..], more].concat()), 50);
    }

    /// Exit status and messages of a process that ends when it has read everything.
    fn run(&self, more: &[&str]) -> (Option<i32>, String) {
        let own = ["run", "--input", &self.topic, "--group", &self.group, "--gap", "1m"];
        let command = [&own[..], &["--stop-when-idle", "1ms"], more].concat();
        let child = Running::start_within(PATIENCE, self.kafka.command(&command).stderr(Stdio::piped()));
        let output = child.wait_with_output();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn runs(&self, more: &[&str]) -> String {
        let (status, told) = self.run(more);
        assert_eq!(status, Some(0), "{told}");
        told
    }

    fn stops(&self, sentence: &str, more: &[&str]) {
        let (status, told) = self.run(more);
        assert!(status == Some(2) && told.contains(sentence), "{status:?}: {told}");
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.kafka.bootstrap).create().unwrap()
    }

    fn delete(&self, topic: &str) {
        block_on(self.admin().delete_topics(&[topic], &options())).unwrap().remove(0).unwrap();
    }

    fn make(&self, topic: &str, setting: (&str, &str)) {
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set(setting.0, setting.1);
        block_on(self.admin().create_topics([&new], &options())).unwrap().remove(0).unwrap();
    }

    fn grow(&self, partitions: usize) {
        let new = NewPartitions::new(&self.topic, partitions);
        block_on(self.admin().create_partitions([&new], &options())).unwrap().remove(0).unwrap();
    }

    /// As retention does.
    fn remove_before(&self, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::Offset(offset)).unwrap();
        block_on(self.admin().delete_records(&list, &options())).unwrap();
    }

    fn consumer(&self, more: &[(&str, &str)]) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka.bootstrap).set("group.id", &self.group);
        more.iter().for_each(|(name, value)| _ = config.set(*name, *value));
        config.create().unwrap()
    }

    /// Writes a record, and waits until the broker has it.
    fn send<'a>(&'a self, with: impl FnOnce(BaseRecord<'a, str, str>) -> BaseRecord<'a, str, str>) {
        let mut config = ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", &self.kafka.bootstrap).create().unwrap();
        producer.send(with(BaseRecord::to(&self.topic))).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// An event that arrives when it happens.
    fn click(&self, partition: i32, user: u8, second: i64) {
        let click =
            json!({"user_id": user, "device_id": "d", "client_timestamp": second, "client_event": "e"}).to_string();
        let mut config = ClientConfig::new();
        let producer: BaseProducer = config.set("bootstrap.servers", &self.kafka.bootstrap).create().unwrap();
        let record = BaseRecord::<str, str>::to(&self.topic).partition(partition).key("k").payload(&click);
        producer.send(record.timestamp(second * 1_000)).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Bytes of the entries of the state of partition 0, without the line before each.
    fn state_bytes(&self) -> usize {
        let consumer = self.consumer(&[("enable.partition.eof", "true"), ("isolation.level", "read_committed")]);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&format!("{}-state", self.group), 0, Offset::Offset(0)).unwrap();
        consumer.assign(&list).unwrap();
        let (mut bytes, until) = (0, Instant::now() + PATIENCE);
        loop {
            assert!(Instant::now() < until, "the state does not end");
            match consumer.poll(Duration::from_millis(50)) {
                None => {}
                Some(Err(KafkaError::PartitionEOF(_))) => return bytes,
                Some(message) => {
                    let record = message.unwrap().payload().unwrap().to_vec();
                    bytes += record.len() - 1 - record.iter().position(|byte| *byte == b'\n').unwrap();
                }
            }
        }
    }

    fn records(&self) -> u64 {
        let report = self.kafka.report(&self.topic, &self.group);
        report.values().filter_map(|line| line["counts"]["records"].as_u64()).sum()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

#[test]
fn a_state_that_was_deleted_is_told() {
    let site = Site::new("stateless", "1");
    site.runs(&[]);
    site.delete(&format!("{}-state", site.group));
    site.stops("stands at offset 50, and ", &[]);
    site.stops("-state does not hold its state: was it deleted?", &[]);
    let told = site.runs(&["--allow-loss"]);
    assert!(told.contains("partition 0: --allow-loss: the group "), "{told}");
    site.produce(&[]);
    site.runs(&[]); // there is a state again
    assert_eq!(site.records(), 50);
}

#[test]
fn an_input_that_was_deleted_and_made_again_is_told() {
    let site = Site::new("again", "1");
    site.runs(&[]);
    site.delete(&site.topic);
    site.produce(&["--partitions", "1"]);
    site.stops("stands at offset 50, and the broker has no offset of the group: the topic was deleted and made", &[]);
}

#[test]
fn records_that_were_removed_before_they_were_read_are_told() {
    let site = Site::new("removed", "1");
    site.runs(&[]);
    site.remove_before(50); // all of them have been read
    site.runs(&[]);
    site.produce(&[]);
    site.remove_before(60);
    site.stops("records 50 to 59 were removed before the group", &[]);
    assert!(site.runs(&["--allow-loss"]).contains("--allow-loss: records 50 to 59 were removed"));
    assert_eq!(site.records(), 90);
    site.runs(&[]);
}

/// The process has its partition while records are removed that it has not read yet: those of an open transaction.
#[test]
fn records_that_are_removed_while_a_process_works_are_told() {
    let site = Site::new("working", "1");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &site.kafka.bootstrap)
        .set("transactional.id", site.kafka.name("writer"))
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to(&site.topic).payload("{}")).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    let mut worker = site.kafka.worker(&site.topic, &site.group, &["--gap", "1m", "--commit-every", "50ms"]);
    site.kafka.until_done(&site.topic, &site.group, PATIENCE);
    site.remove_before(51);
    producer.commit_transaction(PATIENCE).unwrap();
    assert!(!worker.wait(), "it stops");
}

#[test]
fn partitions_that_are_added_are_told() {
    let site = Site::new("grown", "2");
    let often = ["--gap", "1m", "--commit-every", "50ms", "-X", "topic.metadata.refresh.interval.ms=100"];
    let mut worker = site.kafka.worker(&site.topic, &site.group, &often);
    site.kafka.until_done(&site.topic, &site.group, PATIENCE);
    site.grow(3);
    assert!(!worker.wait(), "it stops");
    site.produce(&[]);
    let sentence = "-clicks had 2 partitions when the group began, and has another number now: keys have moved";
    site.stops(sentence, &[]);
    site.runs(&["--allow-loss"]);
    assert_eq!(site.records(), 100);
}

#[test]
fn an_input_with_fewer_partitions_is_told() {
    let site = Site::new("shrunk", "2");
    site.runs(&[]);
    site.delete(&site.topic);
    site.produce(&["--partitions", "1"]);
    site.stops("-clicks had 2 partitions when the group began, and has another number now", &[]);
}

#[test]
fn a_group_of_another_program_is_told() {
    let site = Site::new("other", "1");
    let consumer = site.consumer(&[("partition.assignment.strategy", "range")]);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&site.topic, 0, Offset::Offset(7)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    site.stops("stands at offset 7, which this program has not committed: another program has", &[]);
    let told = site.runs(&["--allow-loss"]);
    assert!(told.contains("another program has"), "{told}");
    assert_eq!(site.records(), 43);
    consumer.subscribe(&[&site.topic]).unwrap();
    let until = Instant::now() + PATIENCE;
    while consumer.assignment().unwrap().count() == 0 {
        assert!(Instant::now() < until, "no partition was assigned");
        let _ = consumer.poll(Duration::from_millis(50));
    }
    site.stops("members of the group are other programs, or have other settings: give another --group", &[]);
}

#[test]
fn one_group_for_two_inputs_is_told() {
    let mut site = Site::new("two", "1");
    site.runs(&[]);
    let first = std::mem::replace(&mut site.topic, site.kafka.name("orders"));
    site.produce(&["--partitions", "1"]);
    site.stops(&format!("the group works with --input {first} and this process with {}", site.topic), &[]);
}

#[test]
fn a_state_that_is_not_compacted_is_refused() {
    let site = Site::new("policy", "1");
    site.make(&format!("{}-state", site.group), ("cleanup.policy", "delete"));
    site.stops("-state has cleanup.policy=delete: Kafka would remove state that is still needed", &[]);
}

#[test]
fn an_output_that_is_compacted_is_told() {
    let site = Site::new("latest", "1");
    site.make(&site.group, ("cleanup.policy", "compact"));
    let told = site.runs(&[]);
    assert!(told.contains("has cleanup.policy=compact: Kafka keeps the latest session of each key only"), "{told}");
}

/// The topics of records set aside take what the input took, if this program has made them.
#[test]
fn a_record_that_is_too_large_for_its_topic_is_told() {
    let site = Site::new("large", "1");
    let large = "x".repeat(1_048_400); // the broker takes no larger batch
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &site.kafka.bootstrap)
        .set("message.max.bytes", "2000000")
        .create()
        .unwrap();
    producer.send(BaseRecord::<(), str>::to(&site.topic).payload(&large)).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    site.runs(&[]);
    assert_eq!(site.records(), 51);
    assert_eq!(site.kafka.rows(&format!("{}-unreadable", site.group)).len(), 1);
    let own = Site { group: site.kafka.name("own"), topic: site.topic.clone(), kafka: site.kafka };
    own.make(&format!("{}-unreadable", own.group), ("max.message.bytes", "1000000"));
    own.stops("a record is too large for its topic: raise max.message.bytes there", &[]);
}

/// As they came, with headers and without a value, and told apart by ours.
#[test]
fn records_that_are_set_aside_are_as_they_came() {
    let site = Site::new("aside", "2");
    let headers = OwnedHeaders::new()
        .insert(Header { key: "trace", value: Some("7") })
        .insert(Header { key: "empty", value: None::<&str> });
    site.send(|record| record.key("k").headers(headers.clone()));
    site.send(|record| record.payload("{"));
    let told = site.runs(&[]);
    assert!(told.contains("a record has no key. Sessions come in parts unless"), "{told}");
    let aside = site.kafka.rows(&format!("{}-unreadable", site.group));
    let reasons = "reason=it has no value\ttopic=";
    assert!(aside.iter().any(|row| row.starts_with(&format!("trace=7\tempty=\t{reasons}"))), "{aside:?}");
    let consumer = site.consumer(&[("auto.offset.reset", "earliest")]);
    let mut list = TopicPartitionList::new();
    let side = format!("{}-unreadable", site.group);
    (0..2).for_each(|partition| list.add_partition_offset(&side, partition, Offset::Offset(0)).unwrap());
    consumer.assign(&list).unwrap();
    let until = Instant::now() + PATIENCE;
    let is_null = loop {
        assert!(Instant::now() < until, "no record has the key");
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) if message.key() == Some(b"k") => break message.payload().is_none(),
            _ => {}
        }
    };
    assert!(is_null, "no value is none, not an empty one");
}

/// By hand: three events in two sessions that closed, one in an open one, one late, one record that is no event.
#[test]
fn the_report_has_the_figures_of_a_known_input() {
    let site = Site::new("figures", "2");
    site.delete(&site.topic);
    assert_eq!(site.kafka.produce(&site.topic, &["--partitions", "2", "--events", "0"]), 0);
    let second = 1_790_000_000;
    for (user, after) in [(1, 0), (1, 10), (2, 0), (1, 200), (3, 0)] {
        site.click(0, user, second + after);
    }
    site.send(|record| record.partition(0).payload("{"));
    site.runs(&[]);
    for _ in 0..4 {
        site.click(1, 9, second);
    }
    let report = site.kafka.report(&site.topic, &site.group);
    let counts = &report[&0]["counts"];
    assert_eq!((&report[&0]["lag"], &report[&1]["lag"]), (&json!(0), &json!(4)));
    assert!(report[&1]["counts"].is_null(), "nothing of it was committed: {report:?}");
    let rule = json!({"rule": "gap_1m", "events": 5, "late": 1, "refused": 0, "closed": 3, "open": 1, "sessions": 2});
    let expected = json!({"records": 6, "unreadable": 1, "refused": 0, "open_sessions": 1, "rules": [rule]});
    assert_eq!(counts, &expected);
    assert_eq!(report[&0]["state_bytes"], json!(site.state_bytes()));
    assert!(report[&0]["commits"].as_u64() >= Some(1), "{report:?}");
    let text = site.kafka.output(&["report", "--input", &site.topic, "--group", &site.group]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    let cells = |line: usize| lines[line].iter().filter(|cell| !cell.is_empty()).copied().collect::<Vec<_>>();
    assert_eq!(cells(0), ["partition", "lag", "records", "open sessions", "sessions", "state", "last commit"]);
    assert_eq!(cells(1)[..6], ["0", "0", "6", "1", "2", "1 kB"]);
    assert_eq!(cells(2), ["1", "4", "-", "-", "-", "-", "-"]);
}

/// Also of a task without a state.
#[test]
fn counts_go_on_in_the_next_process() {
    let site = Site::new("counts", "2");
    let again = ["repartition", "--input", &site.topic, "--group", &site.group, "--stop-when-idle", "1ms"];
    for processes in 1..=2 {
        site.kafka.output(&again);
        assert_eq!(site.records(), 50 * processes);
        site.produce(&[]);
    }
    let report = site.kafka.report(&site.topic, &site.group);
    assert!(report.values().all(|line| line["commits"].as_u64() >= Some(2)), "{report:?}");
}

#[test]
fn metrics_are_those_of_the_report_in_the_form_of_prometheus() {
    let site = Site::new("metrics", "2");
    let address = format!("127.0.0.1:{}", free_port());
    let rules = ["--gap", "1m", "--step", "30s", "--commit-every", "50ms", "--listen", &address];
    let worker = site.kafka.worker(&site.topic, &site.group, &rules);
    site.kafka.until_done(&site.topic, &site.group, PATIENCE);
    let report = site.kafka.report(&site.topic, &site.group);
    let records = |partition: u64| {
        let count = &report[&partition]["counts"]["records"];
        format!("kafka_sessions_records_total{{partition=\"{partition}\"}} {count}\n")
    };
    let until = Instant::now() + PATIENCE;
    let answer = loop {
        assert!(Instant::now() < until, "the metrics differ from {report:?}");
        let answer = get(&address);
        if (0..2).all(|partition| answer.contains(&records(partition))) {
            break answer;
        }
    };
    // A partition that moves leaves the figures of the process that had it.
    let second = site.kafka.worker(&site.topic, &site.group, &rules[..4]);
    let until = Instant::now() + PATIENCE;
    let has = |answer: &str, partition: u64| answer.contains(&records(partition));
    loop {
        let now = get(&address);
        if has(&now, 0) != has(&now, 1) {
            break;
        }
        assert!(Instant::now() < until, "both partitions stay: {now}");
        thread::sleep(Duration::from_millis(20));
    }
    second.end();
    worker.end();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    let (mut described, mut current) = (Vec::new(), ("", ""));
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current.0 = help.split(' ').next().unwrap();
            assert!(!described.contains(&current.0), "{} is described twice", current.0);
            described.push(current.0);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, current.0);
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            current.1 = kind;
        } else {
            assert_eq!(line.split('{').next(), Some(current.0), "{line}");
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(described.len() >= 11, "{described:?}");
}

#[test]
fn rules_whose_counts_no_broker_takes_are_told() {
    let site = Site::new("many", "1");
    let gaps: Vec<String> = (2..=60).map(|minutes| format!("--gap={minutes}m")).collect();
    let gaps: Vec<&str> = gaps.iter().map(String::as_str).collect();
    site.stops("the note beside the offset is too long for the broker: give fewer rules", &gaps);
}

fn get(address: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "nobody answers on {address}");
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        if asked.is_ok() && stream.read_to_string(&mut answer).is_ok() {
            return answer;
        }
    }
}
