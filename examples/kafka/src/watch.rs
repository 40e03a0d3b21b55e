//! Prints the rows of a topic, as a reader that sees only committed records.

use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, Result};
use program::signals::Orderly;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::client;
use crate::options;
use crate::restore;
use crate::topics;

pub(crate) fn watch(options: &options::Watch) -> Result<()> {
    let options::Watch { connection, topic, all, once } = options;
    let partitions = topics::partitions_of(connection, topic)?
        .with_context(|| format!("there is no topic {topic}: name another with --topic"))?;
    let consumer = client::reader(connection)?;
    let mut list = TopicPartitionList::new();
    let from = if *all || *once { Offset::Beginning } else { Offset::End };
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&list)?;
    let (signals, mut open) = (Orderly::begin(), (0..partitions).collect::<BTreeSet<_>>());
    while !signals.is_asked_to_end() && (!open.is_empty() || !once) {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition), // each tells it again and again
            Some(Err(error)) if !once && restore::is_away(&error) => {} // sessions come when it is back
            Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            Some(Ok(message)) => print(&message)?,
        }
    }
    Ok(())
}

/// The value, and the reason before it, if it has one.
fn print(message: &BorrowedMessage<'_>) -> std::io::Result<()> {
    let mut line = Vec::new();
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        let value = String::from_utf8_lossy(header.value.unwrap_or_default());
        write!(line, "{}={value}\t", header.key)?;
    }
    line.extend_from_slice(message.payload().unwrap_or_default());
    line.push(b'\n');
    stdout().lock().write_all(&line)
}
