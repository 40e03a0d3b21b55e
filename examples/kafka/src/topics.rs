//! The topics of a group.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use program::say::say;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::types::RDKafkaErrorCode;

use crate::client::{self, PATIENCE};
use crate::options::{Connection, GroupOptions, WorkingOptions};

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
    /// The largest record that it takes, in bytes, if not the broker's default.
    pub(crate) largest: Option<u64>,
}

fn admin(connection: &Connection) -> Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    Ok((client::config(connection).create()?, options))
}

/// A setting of a topic, where the broker tells it.
fn setting(connection: &Connection, topic: &str, name: &str) -> Option<String> {
    let (admin, options) = admin(connection).ok()?;
    let described = futures_executor::block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
    described.ok()?.into_iter().next()?.ok()?.get(name)?.value.clone()
}

/// The sentence for an input whose number of partitions has changed.
pub(crate) fn grown(input: &str, before: i32) -> String {
    format!(
        "{input} had {before} partitions when the group began, and has another number now: keys have moved to other \
         partitions, and their sessions would come in two parts. Give another --group, which begins with the first \
         record; or --allow-loss, which takes such sessions in two parts"
    )
}

/// Gives the topic of the state as many partitions as the input has. They are empty.
fn grow(connection: &Connection, topic: &str, partitions: i32) -> Result<()> {
    let (admin, options) = admin(connection)?;
    let wanted = NewPartitions::new(topic, usize::try_from(partitions)?);
    let done = futures_executor::block_on(admin.create_partitions([&wanted], &options))?;
    match done.into_iter().next() {
        Some(Err((_, code))) => bail!("{topic} cannot be given {partitions} partitions: {code}"),
        _ => Ok(()),
    }
}

/// Makes a topic, unless it is there.
pub(crate) fn make(connection: &Connection, wanted: &Wanted<'_>) -> Result<()> {
    let (admin, options) = admin(connection)?;
    let mut topic = NewTopic::new(wanted.name, wanted.partitions, TopicReplication::Fixed(wanted.replication));
    if wanted.is_compacted {
        topic = topic.set("cleanup.policy", "compact");
    }
    let largest = wanted.largest.map(|bytes| bytes.to_string());
    if let Some(largest) = &largest {
        topic = topic.set("max.message.bytes", largest);
    }
    let done = futures_executor::block_on(admin.create_topics([&topic], &options))
        .with_context(|| format!("no broker of {} answers: see --bootstrap", connection.bootstrap))?;
    match done.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            bail!("the topic {} cannot be made: {code}", wanted.name)
        }
        _ => Ok(()),
    }
}

/// Room for what a record has beside that of the input, in bytes: its headers.
const BESIDE: u64 = 64 * 1024;

/// Makes the topics that a group writes to. Returns how many partitions the input has.
pub(crate) fn prepare(connection: &Connection, group: &GroupOptions, working: &WorkingOptions) -> Result<i32> {
    let replication = working.replication;
    let partitions = input_partitions(connection, &group.input)?;
    let make = |name: &str, is_compacted, largest| {
        make(connection, &Wanted { name, partitions, replication, is_compacted, largest })
    };
    let of_input = setting(connection, &group.input, "max.message.bytes").and_then(|bytes| bytes.parse::<u64>().ok());
    make(group.output(), false, of_input.map(|bytes| 2 * bytes + BESIDE))?; // a row has two values of the input
    for side in Side::ALL {
        make(&side.topic(group.output()), false, of_input.map(|bytes| bytes + BESIDE))?;
    }
    let state = state_topic(&group.group);
    make(&state, true, None)?;
    let of_state = partitions_of(connection, &state)?.unwrap_or(partitions);
    if of_state < partitions {
        ensure!(working.allow_loss, grown(&group.input, of_state));
        grow(connection, &state, partitions)?;
    }
    match setting(connection, &state, "cleanup.policy").as_deref() {
        Some("compact") => {}
        Some(policy) => bail!(
            "{state} has cleanup.policy={policy}: Kafka would remove state that is still needed. Set it to compact: \
             kafka-configs --alter --entity-type topics --entity-name {state} --add-config cleanup.policy=compact"
        ),
        None => say(format_args!("kafka: the broker does not tell cleanup.policy of {state}: it must be compact")),
    }
    if setting(connection, group.output(), "cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        let output = group.output();
        say(format_args!(
            "kafka: {output} has cleanup.policy=compact: Kafka keeps the latest session of each key only"
        ));
    }
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
        let connection = Connection::to(address.to_string());
        let told = partitions_within(Duration::from_secs(10), &connection, "any").unwrap_err().to_string();
        let known =
            format!("no broker of {address} answers: see --bootstrap: {address}/bootstrap: Connect to ipv4#{address}");
        assert!(told.starts_with(&known) && told.contains("Connection refused"), "{told}");
    }

    #[test]
    fn user_and_password_reach_the_broker_and_no_message() {
        let broker = broker::Broker::with_password("sessions", "hunter2").unwrap();
        let with = |password: &str| {
            let settings = [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN")];
            let settings = settings.into_iter().chain([("sasl.username", "sessions"), ("sasl.password", password)]);
            let properties = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            Connection { properties, ..Connection::to(broker.bootstrap()) }
        };
        let wanted = Wanted { name: "known", partitions: 3, replication: 1, is_compacted: false, largest: None };
        make(&with("hunter2"), &wanted).unwrap();
        assert_eq!(partitions_of(&with("hunter2"), "known").unwrap(), Some(3));
        let short = Duration::from_secs(5);
        let told = partitions_within(short, &with("hunter3"), "known").unwrap_err().to_string();
        assert!(told.contains("user or password is wrong") && !told.contains("hunter"), "{told}");
        assert!(partitions_within(short, &Connection::to(broker.bootstrap()), "known").is_err());
    }
}
