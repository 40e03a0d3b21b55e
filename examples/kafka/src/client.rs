//! Clients of librdkafka, with the settings that exactly once wants.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use program::say::say;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use crate::options::{Connection, WorkingOptions};

/// How long to wait for an answer of a broker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The settings of all clients.
pub(crate) fn config(connection: &Connection) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &connection.bootstrap)
        .set("client.id", "stagger")
        .set("log.connection.close", "false")
        .set_log_level(RDKafkaLogLevel::Error);
    for (name, value) in &connection.properties {
        config.set(name, value);
    }
    config
}

/// For single questions.
pub(crate) fn reader(connection: &Connection) -> Result<BaseConsumer<Heard>> {
    let mut config = config(connection);
    config
        .set("group.id", "stagger-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10") // the end of a partition is only told after this wait
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest");
    Ok(config.create_with_context(Heard::default())?)
}

/// Remembers the latest trouble with a connection: the reason of a question without an answer.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Option<String>>);

impl ClientContext for Heard {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Heard {}

/// Why nobody has answered, as far as that is known.
pub(crate) fn trouble(consumer: &BaseConsumer<Heard>) -> Option<String> {
    for _ in 0..10 {
        let _ = consumer.poll(Duration::from_millis(10)); // the context hears of it only then
    }
    consumer.context().0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// For records that belong to no transaction. Keys choose partitions as those of Java's clients do.
pub(crate) fn plain_producer(connection: &Connection) -> Result<ThreadedProducer<Quiet>> {
    let mut config = config(connection);
    config.set("enable.idempotence", "true").set("linger.ms", "20").set("partitioner", "murmur2_random");
    Ok(config.create_with_context(Quiet)?)
}

/// The producer of a partition. Its id is the same in every process: the latest one fences those before.
pub(crate) fn transactional(connection: &Connection, id: &str) -> Result<BaseProducer<Quiet>> {
    let mut config = config(connection);
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "60000")
        .set("message.max.bytes", "1000000000") // the broker's limit counts
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random");
    Ok(config.create_with_context(Quiet)?)
}

/// A member of the group.
pub(crate) fn member(connection: &Connection, group: &str, working: &WorkingOptions) -> Result<BaseConsumer<Member>> {
    let timeout = working.session_timeout;
    let mut config = config(connection);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error") // records that were removed before they were read are told
        .set("statistics.interval.ms", "1000")
        .set("fetch.wait.max.ms", "100");
    if !connection.properties.iter().any(|(name, value)| name == "group.protocol" && value == "consumer") {
        // With group.protocol=consumer (KIP-848) the broker decides all three.
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (timeout.as_millis() / 20).max(100).to_string());
    }
    Ok(config.create_with_context(Member::default())?)
}

/// The sentence for an error that stays until somebody does something about it.
pub(crate) fn remedy(code: RDKafkaErrorCode) -> Option<&'static str> {
    use RDKafkaErrorCode as Code;
    Some(match code {
        Code::NotImplemented => "records are packed with zstd, which this build cannot read: build with --features tls",
        Code::BadCompression | Code::BadMessage => "records are damaged",
        Code::UnknownProtocol | Code::InconsistentGroupProtocol => {
            "members of the group are other programs, or have other settings: give another --group"
        }
        Code::AutoOffsetReset | Code::OffsetOutOfRange => {
            "records were removed before they were read (see retention.ms of the topic): start again to see which"
        }
        Code::MessageSizeTooLarge => "a record is too large for its topic: raise max.message.bytes there",
        Code::OffsetMetadataTooLarge => "the note beside the offset is too long for the broker: give fewer rules",
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            "a topic or partition is no longer there: was it deleted?"
        }
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => "the broker does not allow it: see its ACLs",
        Code::PolicyViolation | Code::InvalidTopic | Code::InvalidRecord => "the broker refuses it",
        _ => return None,
    })
}

/// A client whose troubles are told by those who use it, except when all brokers are gone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _: KafkaError, _: &str) {}
}

impl rdkafka::producer::ProducerContext for Quiet {
    type DeliveryOpaque = ();

    /// A transaction whose records were not delivered is not committed: no need to look here.
    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}

/// The requests of the group to a member.
#[derive(Debug)]
pub(crate) enum Rebalance {
    Assign(TopicPartitionList),
    Revoke(TopicPartitionList),
}

/// Keeps the requests of the group until the worker has time for them, and the end of the topic.
#[derive(Debug, Default)]
pub(crate) struct Member {
    wanted: Mutex<Vec<Rebalance>>,
    /// Nobody will ask any more.
    is_ending: AtomicBool,
    ends: Mutex<BTreeMap<i32, i64>>,
}

impl Member {
    pub(crate) fn take(&self) -> Vec<Rebalance> {
        std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on partitions are let go of at once: all is committed.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
    }

    /// The offset behind the last record of a partition, as far as it is known.
    pub(crate) fn end_of(&self, partition: i32) -> Option<i64> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).copied()
    }
}

impl ClientContext for Member {
    fn stats(&self, statistics: Statistics) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, partition) in statistics.topics.into_values().flat_map(|topic| topic.partitions) {
            if partition.ls_offset >= 0 {
                ends.insert(number, partition.ls_offset);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            say(format_args!("kafka: {error}: {reason}"));
        }
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.is_ending.load(Ordering::SeqCst) {
            let nothing = TopicPartitionList::new();
            let _ = match is_assigned {
                true => consumer.incremental_assign(&nothing),
                false => consumer.incremental_unassign(list),
            };
            return;
        }
        let wanted = match is_assigned {
            true => Rebalance::Assign(list.clone()),
            false => Rebalance::Revoke(list.clone()),
        };
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
    }
}
