//! One transaction: rows, state and the offset of one partition, all or none.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{self, PATIENCE, Quiet};
use crate::options::Connection;
use crate::worker::Output;

/// How long to wait for room in the queue of the client.
const ROOM: Duration = Duration::from_millis(100);

/// Why nothing was committed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Another process has taken the partition over, or this producer is broken: a new one must begin from the last
    /// commit.
    Lost(anyhow::Error),
    /// Nothing can be written until somebody does something about it.
    Never(anyhow::Error),
    /// The transaction was given up, and may be tried again: the group was changing, or a broker was away.
    Again(anyhow::Error),
}

/// Writes for one partition.
pub(crate) struct Committer {
    producer: BaseProducer<Quiet>,
}

/// The committed position in the input.
#[derive(Debug)]
pub(crate) struct Position<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) next_offset: i64,
    pub(crate) note: String,
}

impl Committer {
    /// Fences all earlier writers of this partition, and gives up their unfinished transactions. Only then it is safe
    /// to read how far they came.
    pub(crate) fn new(connection: &Connection, group: &str, partition: i32) -> anyhow::Result<Self> {
        let producer = client::transactional(connection, &format!("{group}-{partition}"))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match producer.init_transactions(PATIENCE) {
                Ok(()) => return Ok(Self { producer }),
                Err(error) if is_retriable(&error) && Instant::now() < until => {}
                Err(error) => return Err(error).context("cannot begin transactions"),
            }
        }
    }

    pub(crate) fn commit(
        &self,
        outputs: &[Output],
        position: &Position<'_>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), Failed> {
        let done = self.try_commit(outputs, position, group);
        done.map_err(|error| match error {
            error if is_lost(&error) => Failed::Lost(error.into()),
            error => match self.abort() {
                Ok(()) => match error.rdkafka_error_code().and_then(client::remedy) {
                    Some(remedy) => Failed::Never(anyhow!("{remedy}: {error}")),
                    None => Failed::Again(anyhow!("{error}")), // its source says the same again
                },
                Err(abort) => Failed::Lost(anyhow::Error::from(abort).context(error.to_string())),
            },
        })
    }

    fn try_commit(
        &self,
        outputs: &[Output],
        position: &Position<'_>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        for output in outputs {
            self.send(output)?;
        }
        let mut offsets = TopicPartitionList::new();
        let mut place = offsets.add_partition(position.topic, position.partition);
        place.set_offset(Offset::Offset(position.next_offset))?;
        place.set_metadata(position.note.as_str());
        retried(|| self.producer.send_offsets_to_transaction(&offsets, group, PATIENCE))?;
        retried(|| self.producer.commit_transaction(PATIENCE))
    }

    /// librdkafka waits for the fate of every record, and tells it only to whoever asks.
    fn abort(&self) -> Result<(), KafkaError> {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        self.producer.flush(PATIENCE)?;
        retried(|| self.producer.abort_transaction(PATIENCE))
    }

    fn send(&self, output: &Output) -> Result<(), KafkaError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&output.topic);
        record.payload = output.value.as_deref();
        record.key = output.key.as_deref();
        record.partition = output.partition;
        record.timestamp = output.timestamp;
        if !output.headers.is_empty() {
            let with = |headers: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
                headers.insert(Header { key, value: value.as_ref() })
            };
            record.headers = Some(output.headers.iter().fold(OwnedHeaders::new(), with));
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(ROOM);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_retriable() && !error.txn_requires_abort())
}

/// Whether the producer is of no more use.
fn is_lost(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_fatal(),
        error => error.rdkafka_error_code().is_some_and(|code| {
            matches!(code, RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced)
        }),
    }
}

fn retried(mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(error) if is_retriable(&error) && Instant::now() < until => {}
            done => return done,
        }
    }
}
