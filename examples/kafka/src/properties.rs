//! Settings of librdkafka, from the command line and a file. They may hold passwords, so no message repeats a value.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{IsError, KafkaError};
use rdkafka::types::RDKafkaConfRes;

use crate::client;
use crate::options::{Connection, property};

/// Settings on which exactly once rests, or that have an option, and what to do in their place.
const OWN: [(&str, &str); 19] = [
    ("bootstrap.servers", "--bootstrap"),
    ("metadata.broker.list", "--bootstrap"),
    ("group.id", "--group"),
    ("session.timeout.ms", "--session-timeout"),
    ("heartbeat.interval.ms", "--session-timeout"),
    ("auto.commit.interval.ms", "--commit-every"),
    ("auto.offset.reset", ""),
    ("enable.auto.commit", ""),
    ("enable.auto.offset.store", ""),
    ("enable.idempotence", ""),
    ("enable.partition.eof", ""),
    ("fetch.wait.max.ms", ""),
    ("isolation.level", ""),
    ("linger.ms", ""),
    ("partition.assignment.strategy", ""),
    ("partitioner", ""),
    ("statistics.interval.ms", ""),
    ("transaction.timeout.ms", ""),
    ("transactional.id", ""),
];

/// Reads the file, before whose settings those of the command line go, and looks at all of them.
pub(crate) fn settle(connection: &mut Connection) -> Result<()> {
    if let Some(path) = &connection.config {
        let mut all = read(path)?;
        all.append(&mut connection.properties);
        connection.properties = all;
    }
    for (name, value) in &connection.properties {
        check(name, value)?;
    }
    // Some settings are refused together only.
    client::config(connection).create::<BaseConsumer>().map(drop).map_err(|error| told("", &error))
}

fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = (1..).zip(text.lines().map(str::trim));
    let settings = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']));
    let setting = |(number, line): (u32, &str)| {
        property(line).map_err(|error| anyhow!("{}, line {number}: {error}", path.display()))
    };
    settings.map(setting).collect()
}

fn check(name: &str, value: &str) -> Result<()> {
    match OWN.iter().find(|(own, _)| *own == name) {
        Some((_, "")) => bail!("{name} cannot be set: exactly once depends on it"),
        Some((_, option)) => bail!("{name} cannot be set: give {option}"),
        None => {}
    }
    ClientConfig::new().set(name, value).create_native_config().map(drop).map_err(|error| told(name, &error))
}

/// The reason without the value.
fn told(name: &str, error: &KafkaError) -> anyhow::Error {
    let reason = match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
            return anyhow!("librdkafka has no setting {name}: its CONFIGURATION.md lists all");
        }
        KafkaError::ClientConfig(result, reason, ..) if result.is_error() => reason.clone(),
        KafkaError::ClientCreation(reason) => reason.clone(),
        error => error.to_string(),
    };
    let needs_tls = ["not available at build time", "recompile librdkafka"].iter().any(|sign| reason.contains(sign));
    let hint = if needs_tls { ": build with --features tls" } else { "" };
    anyhow!("{reason}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hunter2";

    fn settled(properties: &[&str]) -> String {
        let properties = properties.iter().map(|text| property(text).unwrap()).collect();
        let mut connection = Connection { properties, ..Connection::to("127.0.0.1:1".to_owned()) };
        settle(&mut connection).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn a_setting_that_cannot_be_is_told_without_its_value() {
        for (properties, told) in [
            (
                &[
                    "sasl.mechanism=PLAIN",
                    "security.protocol=sasl_plaintext",
                    "sasl.username=u",
                    "sasl.password=hunter2",
                ][..],
                "",
            ),
            (
                &["sasl.mechanism=PLAIN", "security.protocol=sasl_plaintext"],
                "sasl.username and sasl.password must be set",
            ),
            (&["compression.type=lz4"], ""),
            (&["sasl.pasword=hunter2"], "librdkafka has no setting sasl.pasword: its CONFIGURATION.md lists all"),
            (&["security.protocol=sssl"], "Invalid value \"sssl\" for configuration property \"security.protocol\""),
            (&["isolation.level=read_uncommitted"], "isolation.level cannot be set: exactly once depends on it"),
            (&["session.timeout.ms=9000"], "session.timeout.ms cannot be set: give --session-timeout"),
        ] {
            assert_eq!(settled(properties), told);
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_setting_that_needs_another_build_is_told() {
        let ssl = settled(&["security.protocol=ssl"]);
        assert!(ssl.ends_with("OpenSSL not available at build time: build with --features tls"), "{ssl}");
        let password = format!("sasl.password={SECRET}");
        let scram = ["sasl.mechanism=SCRAM-SHA-256", "security.protocol=sasl_plaintext", "sasl.username=u", &password];
        let scram = settled(&scram);
        assert!(scram.contains("SCRAM-SHA-256") && scram.ends_with(": build with --features tls"), "{scram}");
        assert!(!scram.contains(SECRET), "{scram}");
    }

    #[test]
    fn a_file_holds_settings_and_the_command_line_goes_before_it() {
        let path = std::env::temp_dir().join(format!("kafka-config-{}", std::process::id()));
        fs::write(&path, "# all\n\nclient.id = one\nsasl.password=hunter2=\n").unwrap();
        let properties = vec![property("client.id=two").unwrap()];
        let mut connection =
            Connection { config: Some(path.clone()), properties, ..Connection::to("127.0.0.1:1".to_owned()) };
        settle(&mut connection).unwrap();
        let config = client::config(&connection);
        assert_eq!((config.get("client.id"), config.get("sasl.password")), (Some("two"), Some("hunter2=")));
        fs::write(&path, "client.id = one\nsasl.password hunter2\n").unwrap();
        let told = settle(&mut connection).unwrap_err().to_string();
        assert!(told.ends_with(", line 2: give NAME=VALUE, such as security.protocol=ssl"), "{told}");
        fs::remove_file(&path).unwrap();
        assert!(settle(&mut connection).unwrap_err().to_string().starts_with("cannot read "));
    }
}
