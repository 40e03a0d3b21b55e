//! What exactly once rests on: promises that the broker keeps, seen through librdkafka. With `KAFKA_TEST_BOOTSTRAP` the
//! same is asked of another Kafka.

mod common;

use std::time::{Duration, Instant};

use common::Kafka;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(120);

fn config(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.bootstrap).set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    config
}

fn producer(kafka: &Kafka, id: &str) -> BaseProducer {
    let producer: BaseProducer = config(kafka).set("transactional.id", kafka.name(id)).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, value: &str) {
    let record = BaseRecord::<(), str>::to(topic).partition(0).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

fn abort(producer: &BaseProducer) {
    producer.flush(PATIENCE).unwrap();
    producer.abort_transaction(PATIENCE).unwrap();
}

/// A topic of one partition, with nothing in it.
fn topic(kafka: &Kafka) -> String {
    let topic = kafka.name("topic");
    assert_eq!(kafka.produce(&topic, &["--partitions", "1", "--events", "0"]), 0);
    topic
}

fn read(kafka: &Kafka, topic: &str, isolation: &str) -> Vec<String> {
    let mut config = config(kafka);
    config.set("group.id", "reader").set("isolation.level", isolation).set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(0)).unwrap();
    consumer.assign(&list).unwrap();
    let mut values = Vec::new();
    loop {
        match consumer.poll(PATIENCE).expect("the broker is silent") {
            Err(KafkaError::PartitionEOF(_)) => return values,
            message => values.push(String::from_utf8(message.unwrap().payload().unwrap().to_vec()).unwrap()),
        }
    }
}

/// A member of a group that has its partition.
fn member(kafka: &Kafka, topic: &str) -> (BaseConsumer, ConsumerGroupMetadata) {
    let mut config = config(kafka);
    config.set("group.id", kafka.name("group")).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let until = Instant::now() + PATIENCE;
    while consumer.assignment().unwrap().count() == 0 {
        assert!(Instant::now() < until, "no partition was assigned");
        let _ = consumer.poll(Duration::from_millis(50));
    }
    let metadata = consumer.group_metadata().unwrap();
    (consumer, metadata)
}

fn offset(topic: &str, offset: i64) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    list
}

fn committed(consumer: &BaseConsumer, topic: &str) -> Offset {
    let list = consumer.committed_offsets(offset(topic, 0), PATIENCE).unwrap();
    list.find_partition(topic, 0).unwrap().offset()
}

#[test]
fn what_was_given_up_or_is_unfinished_is_not_seen() {
    let kafka = Kafka::new("seen");
    let topic = topic(&kafka);
    let producer = producer(&kafka, "writer");
    for (value, is_commit) in [("one", true), ("given up", false), ("two", true)] {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, value);
        match is_commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => abort(&producer),
        }
    }
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "unfinished");
    producer.flush(PATIENCE).unwrap();
    assert_eq!(read(&kafka, &topic, "read_committed"), ["one", "two"]);
    assert_eq!(read(&kafka, &topic, "read_uncommitted"), ["one", "given up", "two", "unfinished"]);
}

#[test]
fn a_new_producer_fences_the_one_before_and_gives_up_what_it_left() {
    let kafka = Kafka::new("fence");
    let topic = topic(&kafka);
    let old = producer(&kafka, "writer");
    old.begin_transaction().unwrap();
    send(&old, &topic, "left");
    old.flush(PATIENCE).unwrap();
    let new = producer(&kafka, "writer");
    send_alone(&new, &topic, "new");
    assert_eq!(read(&kafka, &topic, "read_committed"), ["new"], "nobody waits for what the old one left");
    let refused = old.commit_transaction(PATIENCE).unwrap_err();
    assert!(matches!(refused, KafkaError::Transaction(error) if error.is_fatal()));
    send_alone(&new, &topic, "newer");
    assert_eq!(read(&kafka, &topic, "read_committed"), ["new", "newer"]);
}

fn send_alone(producer: &BaseProducer, topic: &str, value: &str) {
    producer.begin_transaction().unwrap();
    send(producer, topic, value);
    producer.commit_transaction(PATIENCE).unwrap();
}

#[test]
fn offsets_are_committed_with_the_records_or_not_at_all() {
    let kafka = Kafka::new("offsets");
    let topic = topic(&kafka);
    let (consumer, metadata) = member(&kafka, &topic);
    let producer = producer(&kafka, "writer");
    for (value, is_commit) in [(3, true), (7, false)] {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, "row");
        producer.send_offsets_to_transaction(&offset(&topic, value), &metadata, PATIENCE).unwrap();
        match is_commit {
            true => producer.commit_transaction(PATIENCE).unwrap(),
            false => abort(&producer),
        }
        assert_eq!(committed(&consumer, &topic), Offset::Offset(3));
    }
}

#[test]
fn a_member_of_a_former_generation_cannot_commit() {
    let kafka = Kafka::new("generation");
    let topic = topic(&kafka);
    let (left, former) = member(&kafka, &topic);
    drop(left);
    let (consumer, _) = member(&kafka, &topic);
    let producer = producer(&kafka, "writer");
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "of a zombie");
    let refused = producer.send_offsets_to_transaction(&offset(&topic, 5), &former, PATIENCE).unwrap_err();
    assert!(matches!(refused, KafkaError::Transaction(error) if error.txn_requires_abort()));
    abort(&producer);
    assert_eq!(committed(&consumer, &topic), Offset::Invalid);
    assert_eq!(read(&kafka, &topic, "read_committed"), [""; 0]);
}

/// Whatever it has answered, a broker with a journal keeps to after its death.
#[test]
fn a_broker_that_was_killed_keeps_its_promises() {
    let kafka = Kafka::lasting("killed");
    let topic = topic(&kafka);
    let (consumer, metadata) = member(&kafka, &topic);
    let producer = producer(&kafka, "writer");
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "one");
    producer.send_offsets_to_transaction(&offset(&topic, 3), &metadata, PATIENCE).unwrap();
    producer.commit_transaction(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "given up");
    abort(&producer);
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "two");
    producer.flush(PATIENCE).unwrap();
    kafka.kill_broker(Duration::ZERO);
    assert_eq!(read(&kafka, &topic, "read_committed"), ["one"]);
    assert_eq!(committed(&consumer, &topic), Offset::Offset(3));
    producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&kafka, &topic, "read_committed"), ["one", "two"]);
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "of a member before its death");
    let refused = producer.send_offsets_to_transaction(&offset(&topic, 5), &metadata, PATIENCE).unwrap_err();
    assert!(matches!(refused, KafkaError::Transaction(error) if error.txn_requires_abort()));
}
