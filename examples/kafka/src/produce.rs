//! Puts clicks of a beer shop on a topic, keyed by user and device.

use std::io::{Write, stdout};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use events::columns::Columns;
use events::parse::jsonl::Jsonl;
use events::parse::times::TimeMeaning;
use events::parse::{Parser, Wanted};
use generate::Lines;
use program::signals::Orderly;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use stagger::Timestamp;

use crate::client::{self, PATIENCE, Quiet};
use crate::options;
use crate::topics;

pub(crate) fn produce(options: &options::Produce) -> Result<()> {
    let options::Produce { connection, topic, partitions, replication, at_once, start, plan } = options;
    topics::make(
        connection,
        &topics::Wanted {
            name: topic,
            partitions: *partitions,
            replication: *replication,
            is_compacted: false,
            largest: None,
        },
    )?;
    let producer = client::plain_producer(connection)?;
    let signals = Orderly::begin();
    let (began, now) = (Instant::now(), Timestamp::try_from(SystemTime::now()).context("the clock is not set")?);
    let start = start.unwrap_or(now);
    let mut lines = Lines::new(plan.clone(), start, true);
    let (mut keys, mut count) = (Keys::new()?, 0_u64);
    while let Some(line) = lines.next_line()? {
        let due = began + line.arrival.since(start);
        if !at_once && !wait_until(due, &signals) {
            break;
        }
        let text = line.text.strip_suffix(b"\n").unwrap_or(line.text);
        send(&producer, topic, keys.of(text), text, line.arrival)?;
        count += 1;
        if signals.is_asked_to_end() {
            break;
        }
    }
    producer.flush(PATIENCE).context("not all clicks were taken")?;
    Ok(writeln!(stdout(), "{count} clicks written to {topic}")?)
}

/// False if a signal came first.
fn wait_until(due: Instant, signals: &Orderly) -> bool {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        if signals.is_asked_to_end() {
            return false;
        }
        thread::sleep(left.min(Duration::from_millis(100)));
    }
    true
}

fn send(producer: &ThreadedProducer<Quiet>, topic: &str, key: &str, value: &[u8], at: Timestamp) -> Result<()> {
    let mut record = BaseRecord::to(topic).key(key).payload(value).timestamp(at.as_millis());
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                thread::sleep(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error).context("a click was not taken"),
        }
    }
}

/// The key of a record: what tells users apart, so that all clicks of one are in one partition.
struct Keys {
    parser: Jsonl,
    key: String,
}

impl Keys {
    fn new() -> Result<Self> {
        let columns = Columns::declared(&["user_id:int", "device_id"]).map_err(anyhow::Error::msg)?;
        let wanted = Wanted::new(&columns, "client_timestamp", None, None, &TimeMeaning::default());
        Ok(Self { parser: Jsonl::new(wanted), key: String::new() })
    }

    /// Without a key if the line is no click.
    fn of(&mut self, line: &[u8]) -> &str {
        self.key.clear();
        if let Ok(record) = self.parser.parse(line) {
            self.key.push_str(record.key);
        }
        &self.key
    }
}
