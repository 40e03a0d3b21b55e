//! The topics of a group.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaErrorCode;

use crate::client::{self, PATIENCE};
use crate::options::{Connection, GroupOptions};

/// Where records go that are in no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Side {
    Late,
    Refused,
    Unreadable,
}

impl Side {
    pub(crate) const ALL: [Self; 3] = [Self::Late, Self::Refused, Self::Unreadable];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }

    pub(crate) fn topic(self, output: &str) -> String {
        format!("{output}-{}", self.name())
    }
}

pub(crate) fn state_topic(group: &str) -> String {
    format!("{group}-state")
}

/// How many partitions a topic has, if it is there.
pub(crate) fn partitions_of(connection: &Connection, topic: &str) -> Result<Option<i32>> {
    partitions_within(PATIENCE, connection, topic)
}

fn partitions_within(patience: Duration, connection: &Connection, topic: &str) -> Result<Option<i32>> {
    let consumer = client::reader(connection)?;
    let metadata = consumer.fetch_metadata(Some(topic), patience).map_err(|error| {
        let why = client::trouble(&consumer).unwrap_or_else(|| error.to_string());
        anyhow!("no broker of {} answers: see --bootstrap: {why}", connection.bootstrap)
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let count = found.map(|topic| i32::try_from(topic.partitions().len())).transpose()?;
    Ok(count.filter(|count| *count > 0))
}

/// The same of the input, which must be there.
pub(crate) fn input_partitions(connection: &Connection, input: &str) -> Result<i32> {
    partitions_of(connection, input)?
        .with_context(|| format!("there is no topic {input}: make it, or name another with --input"))
}

/// A topic that may have to be made.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) partitions: i32,
    pub(crate) replication: i32,
    pub(crate) is_compacted: bool,
}

/// Makes a topic, unless it is there.
pub(crate) fn make(connection: &Connection, wanted: &Wanted<'_>) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client::config(connection).create()?;
    let mut topic = NewTopic::new(wanted.name, wanted.partitions, TopicReplication::Fixed(wanted.replication));
    if wanted.is_compacted {
        topic = topic.set("cleanup.policy", "compact");
    }
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let done = futures_executor::block_on(admin.create_topics([&topic], &options))
        .with_context(|| format!("no broker of {} answers: see --bootstrap", connection.bootstrap))?;
    match done.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            bail!("the topic {} cannot be made: {code}", wanted.name)
        }
        _ => Ok(()),
    }
}

/// Makes the topics that a group writes to. Returns how many partitions the input has.
pub(crate) fn prepare(connection: &Connection, group: &GroupOptions, replication: i32) -> Result<i32> {
    let partitions = input_partitions(connection, &group.input)?;
    let make = |name: &str, is_compacted| make(connection, &Wanted { name, partitions, replication, is_compacted });
    make(&group.output, false)?;
    for side in Side::ALL {
        make(&side.topic(&group.output), false)?;
    }
    let state = state_topic(&group.group);
    make(&state, true)?;
    let of_state = partitions_of(connection, &state)?.unwrap_or(partitions);
    ensure!(
        of_state >= partitions,
        "{state} has {of_state} partitions and {} has {partitions}: state is kept by partition. Give {state} as many",
        group.input
    );
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_broker_that_does_not_answer_is_told_with_the_reason() {
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
        // None of those that the system gives to connections, and closed again.
        let address = (18_000..19_000).find_map(free).expect("one of a thousand ports is free").local_addr().unwrap();
        let connection = Connection { bootstrap: address.to_string(), properties: Vec::new() };
        let told = partitions_within(Duration::from_secs(10), &connection, "any").unwrap_err().to_string();
        let known =
            format!("no broker of {address} answers: see --bootstrap: {address}/bootstrap: Connect to ipv4#{address}");
        assert!(told.starts_with(&known) && told.contains("Connection refused"), "{told}");
    }
}
