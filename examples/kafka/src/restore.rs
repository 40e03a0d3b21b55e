//! Reads the state of a partition again, from its topic.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::client::{self, PATIENCE};
use crate::options::Connection;
use crate::sessions::Counts;
use crate::state::{Collected, Entry, Written};
use crate::worker::Input;

/// Goes with the committed offset, as its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Where the base of the state begins, in the topic of the state.
    pub(crate) base_at: i64,
    pub(crate) state_bytes: usize,
    /// In milliseconds, by the clock of the process that committed.
    pub(crate) committed_at: i64,
    /// How often the partition was committed: 0 in the note of a release before 2026-11-28.
    #[serde(default)]
    pub(crate) commits: u64,
    pub(crate) counts: Counts,
}

/// How far the group has come in a partition, without a note where the broker keeps none.
pub(crate) fn committed(
    consumer: &BaseConsumer<impl ConsumerContext>,
    topic: &str,
    partition: i32,
) -> Result<Option<(i64, Option<Note>)>> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let committed = consumer.committed_offsets(list, PATIENCE).context("cannot read how far the group has come")?;
    let place = committed.find_partition(topic, partition).context("the broker does not tell how far the group is")?;
    match place.offset() {
        Offset::Offset(offset) => Ok(Some((offset, serde_json::from_str(place.metadata()).ok()))),
        _ => Ok(None),
    }
}

/// All entries of the state from the base on; the offset may lie before it.
pub(crate) fn read(
    connection: &Connection,
    topic: &str,
    partition: i32,
    from: i64,
) -> Result<Option<(Vec<Entry>, Written)>> {
    let mut collected = Collected::default();
    each(connection, topic, partition, from, |input| collected.add(input.value.unwrap_or_default()))
        .and_then(|()| collected.entries())
        .with_context(|| format!("{topic}, partition {partition}"))
}

/// All committed records of a partition from an offset on, to its end. An offset is sooner than `Beginning`, which
/// librdkafka asks for before it has a connection, and half a second later again.
pub(crate) fn each(
    connection: &Connection,
    topic: &str,
    partition: i32,
    from: i64,
    mut each: impl FnMut(&Input<'_>) -> Result<()>,
) -> Result<()> {
    let consumer = client::reader(connection)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(from))?;
    consumer.assign(&list)?;
    let mut heard = Instant::now();
    let mut silence = anyhow!("the broker is silent");
    while heard.elapsed() < PATIENCE {
        match consumer.poll(PATIENCE) {
            None => {}
            Some(Ok(message)) => {
                heard = Instant::now();
                each(&Input::of(&message))?;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) if is_away(&error) => silence = error.into(),
            Some(Err(error)) => return Err(error).context("cannot read"),
        }
    }
    Err(silence).context("cannot read")
}

/// Whether a broker may come back.
pub(crate) fn is_away(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    error.rdkafka_error_code().is_some_and(|code| matches!(code, AllBrokersDown | BrokerTransportFailure))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use program::testing::until;

    use super::*;
    use crate::topics::{self, Wanted};

    #[test]
    fn a_broker_that_is_away_is_waited_for() {
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
        // None of those that the system gives to connections.
        let listener = (19_000..20_000).find_map(free).expect("one of a thousand ports is free");
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connection = Connection::to(address.to_string());
        let wanted = Wanted { name: "late", partitions: 1, replication: 1, is_compacted: false, largest: None };
        let read = thread::scope(|scope| {
            let reading = scope.spawn(|| each(&connection, wanted.name, 0, 0, |_| Ok(())));
            // The reader learns that its broker is gone.
            until("the reader", || listener.accept().is_ok());
            drop(listener);
            let _broker = broker::Broker::start(address.port(), None).unwrap();
            topics::make(&connection, &wanted).unwrap();
            reading.join().unwrap()
        });
        read.unwrap();
    }
}
