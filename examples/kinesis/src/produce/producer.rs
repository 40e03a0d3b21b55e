//! Records, gathered and put on a stream with `PutRecords`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::put_records::PutRecordsError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry as Entry, PutRecordsResultEntry as Answer};
use serde_json::Value;

use crate::retry::{Passing, Retry, explain};
use crate::status::Status;

/// What Kinesis takes in one request, and in one record with its key.
const MOST_RECORDS: usize = 500;
const MOST_BYTES: usize = 5 << 20;
pub(crate) const MOST_BYTES_OF_RECORD: usize = 1 << 20;
/// In characters.
const LONGEST_KEY: usize = 256;

/// A record for a stream.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) data: Vec<u8>,
    pub(crate) partition_key: String,
}

impl Record {
    /// A line with the value of a field as its key, and whether it has one that can be used. A line
    /// that has none gets a key made of the line, which spreads such lines over the shards.
    pub(crate) fn of_line(line: Vec<u8>, field: &str) -> (Self, bool) {
        let key = key(&line, field);
        let has_key = key.is_some();
        let partition_key = key.unwrap_or_else(|| format!("{:08x}", crc32fast::hash(&line)));
        (Self { data: line, partition_key }, has_key)
    }

    /// As the limits count it.
    fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }

    /// Whether Kinesis takes it.
    pub(crate) fn fits(&self) -> bool {
        self.bytes() <= MOST_BYTES_OF_RECORD
    }
}

fn key(line: &[u8], field: &str) -> Option<String> {
    if line.len() > MOST_BYTES_OF_RECORD {
        return None; // refused anyway
    }
    let object: Value = serde_json::from_slice(line).ok()?;
    let key = match object.get(field)? {
        Value::String(text) => text.clone(),
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        _ => return None,
    };
    (1..=LONGEST_KEY).contains(&key.chars().count()).then_some(key)
}

/// Counts of the records that have been put.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) records: u64,
    /// Without keys.
    pub(crate) bytes: u64,
    /// How often a record was put again, since it was refused or nobody knew.
    pub(crate) again: u64,
}

/// Gathers records and puts them, one request after the other: two at once to one shard could change
/// the order of a user's records.
#[derive(Debug)]
pub(crate) struct Producer {
    client: Client,
    stream: String,
    retry: Retry,
    status: Arc<Status>,
    waiting: Vec<Entry>,
    /// Of those that wait, as the limits count them, and without keys.
    bytes: usize,
    sent: Sent,
}

impl Producer {
    pub(crate) fn new(client: Client, stream: String, retry: Retry, status: Arc<Status>) -> Self {
        Self { client, stream, retry, status, waiting: Vec::new(), bytes: 0, sent: Sent::default() }
    }

    pub(crate) fn sent(&self) -> Sent {
        self.sent
    }

    /// Takes a record that [fits](Record::fits), and puts those that wait if it is one too many for a request.
    pub(crate) async fn put(&mut self, record: Record) -> Result<()> {
        let bytes = record.bytes();
        if self.bytes + bytes > MOST_BYTES {
            self.flush().await?;
        }
        let entry = Entry::builder().data(Blob::new(record.data)).partition_key(record.partition_key);
        self.waiting.push(entry.build().context("a record is not whole")?);
        self.bytes += bytes;
        if self.waiting.len() == MOST_RECORDS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Puts those that wait. When this returns they are on the stream.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let batch = Mutex::new(Batch::new(std::mem::take(&mut self.waiting)));
        let outcome = self.retry.run("PutRecords", &self.status, || self.attempt(&batch)).await;
        let batch = batch.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.sent.records += batch.records;
        self.sent.bytes += batch.bytes;
        self.sent.again += batch.again;
        outcome.map_err(PutError::explain).with_context(|| format!("cannot put records on {}", self.stream))
    }

    /// Puts the rest of a batch.
    async fn attempt(&self, batch: &Mutex<Batch>) -> Result<(), PutError> {
        let entries = lock(batch).next();
        let request = self.client.put_records().stream_name(&self.stream).set_records(Some(entries));
        let answer = request.send().await.map_err(|error| PutError::Request(Box::new(error)))?;
        lock(batch).answered(answer.records())
    }
}

fn lock(batch: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The records of a request, until all of them are on the stream.
#[derive(Debug)]
struct Batch {
    left: Vec<Entry>,
    was_sent: bool,
    records: u64,
    bytes: u64,
    again: u64,
}

impl Batch {
    fn new(left: Vec<Entry>) -> Self {
        Self { left, was_sent: false, records: 0, bytes: 0, again: 0 }
    }

    /// What to send.
    fn next(&mut self) -> Vec<Entry> {
        if self.was_sent {
            self.again += self.left.len() as u64;
        }
        self.was_sent = true;
        self.left.clone()
    }

    /// Keeps those that were refused, in their order.
    fn answered(&mut self, answers: &[Answer]) -> Result<(), PutError> {
        let sent = self.left.len();
        let mut each = answers.iter();
        let mut refusal = None;
        let (mut records, mut bytes) = (0, 0);
        self.left.retain(|entry| {
            let Some(answer) = each.next() else { return true };
            let Some(code) = answer.error_code() else {
                (records, bytes) = (records + 1, bytes + entry.data().as_ref().len() as u64);
                return false;
            };
            refusal.get_or_insert_with(|| (code.to_owned(), answer.error_message().unwrap_or_default().to_owned()));
            true
        });
        self.records += records;
        self.bytes += bytes;
        if self.left.is_empty() {
            return Ok(());
        }
        let (code, message) = refusal.unwrap_or_else(|| ("no answer".to_owned(), String::new()));
        Err(PutError::Part { refused: self.left.len(), sent, code, message })
    }
}

/// Why a request did not put all its records.
#[derive(Debug)]
enum PutError {
    Request(Box<SdkError<PutRecordsError>>),
    /// Some were refused. The code and the message are those of the first.
    Part {
        refused: usize,
        sent: usize,
        code: String,
        message: String,
    },
}

impl PutError {
    fn explain(self) -> anyhow::Error {
        match self {
            Self::Request(error) => explain(*error),
            part if part.is_throttling() => {
                anyhow::anyhow!("{part}; put fewer per second, split shards, or give more time with --give-up-after")
            }
            part => anyhow::anyhow!("{part}"),
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => f.write_str(&error.words()),
            Self::Part { refused, sent, code, message } => {
                write!(f, "{refused} of {sent} records are refused, with {code}")?;
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
        }
    }
}

impl Passing for PutError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Request(error) => error.is_passing(),
            Self::Part { .. } => true, // Kinesis refuses one record for load or its own failure, nothing else
        }
    }

    fn is_throttling(&self) -> bool {
        match self {
            Self::Request(error) => error.is_throttling(),
            Self::Part { code, .. } => code == "ProvisionedThroughputExceededException",
        }
    }
}
