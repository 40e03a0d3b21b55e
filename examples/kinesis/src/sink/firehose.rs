//! Rows to Amazon Data Firehose.
//!
//! At least once: a row is sent until it is known to be taken, so an answer that got lost doubles it.
//! Rows keep their order, except where the service takes only some of a batch: the others follow.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use aws_sdk_firehose::Client;
use aws_sdk_firehose::error::SdkError;
use aws_sdk_firehose::operation::put_record_batch::PutRecordBatchError;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{PutRecordBatchResponseEntry, Record};

use tokio_util::sync::CancellationToken;

use crate::retry::{Passing, Retry, explain};
use crate::status::Status;

/// The service's limits for one request and for one record.
const MOST_RECORDS: usize = 500;
const MOST_BYTES: usize = 4 * 1024 * 1024;
const LONGEST_RECORD: usize = 1000 * 1024;

/// How much of a row is shown where it cannot be sent.
const SHOWN: usize = 120;

/// A delivery stream, and the rows that it has not taken yet.
#[derive(Debug)]
pub(crate) struct Firehose {
    client: Client,
    delivery_stream: String,
    retry: Retry,
    status: Arc<Status>,
    waiting: VecDeque<Vec<u8>>,
    /// Once this is cancelled rows wait for [`Firehose::drain`], so that nobody waits for the service.
    stop: CancellationToken,
}

impl Firehose {
    /// `waiting` are rows that had to wait in the last run.
    pub(crate) fn new(
        client: Client,
        delivery_stream: String,
        waiting: Vec<String>,
        retry: Retry,
        status: Arc<Status>,
        stop: CancellationToken,
    ) -> Self {
        let waiting = waiting.into_iter().map(String::into_bytes).collect();
        Self { client, delivery_stream, retry, status, waiting, stop }
    }

    /// Takes a row, and sends those before it when they fill a batch. A row that is too long for the
    /// service is left out, counted and told: it would never pass, and the store has it.
    ///
    /// After an error, and after it was asked to stop, this row and those before it still wait.
    pub(crate) async fn add(&mut self, line: Vec<u8>) -> Result<()> {
        if line.len() > LONGEST_RECORD {
            self.leave_out(&line);
            return Ok(());
        }
        self.waiting.push_back(line);
        if first_batch(self.waiting.iter().map(Vec::len)) < self.waiting.len() {
            let stop = self.stop.clone();
            return stop.run_until_cancelled(self.send()).await.unwrap_or(Ok(()));
        }
        Ok(())
    }

    /// Sends all waiting rows, until it is asked to stop. After an error, rows that were not taken still wait.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.drain()).await.unwrap_or(Ok(()))
    }

    /// Sends all waiting rows, also after it was asked to stop. Rows that were not taken when the caller
    /// stops waiting still wait.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            self.send().await?;
        }
        Ok(())
    }

    pub(crate) fn waiting(&self) -> Vec<String> {
        self.waiting.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// Sends the first batch, and again the rows that the service did not take, until all are taken.
    async fn send(&mut self) -> Result<()> {
        let waiting = Mutex::new(&mut self.waiting);
        let attempt = || attempt(&self.client, &self.delivery_stream, &self.status, &waiting);
        let sent = self.retry.run("Firehose PutRecordBatch", &self.status, attempt).await;
        sent.map_err(Untaken::explain).with_context(|| {
            format!("cannot send to the delivery stream {}; {} rows wait", self.delivery_stream, self.waiting.len())
        })
    }

    fn leave_out(&self, line: &[u8]) {
        let start = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
        self.status.sink("firehose", |sink| sink.failed += 1);
        self.status.trouble(format!(
            "a row of {} bytes is left out, Firehose takes {LONGEST_RECORD} at most: {start}…",
            line.len()
        ));
    }
}

/// Sends the first batch once. Rows that are taken no longer wait, even if the caller is gone after that.
async fn attempt(
    client: &Client,
    delivery_stream: &str,
    status: &Status,
    waiting: &Mutex<&mut VecDeque<Vec<u8>>>,
) -> Result<(), Untaken> {
    let lock = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let batch: Vec<Record> = {
        let waiting = lock();
        let size = first_batch(waiting.iter().map(Vec::len));
        waiting.iter().take(size).filter_map(|line| record(line)).collect()
    };
    let size = batch.len();
    let request = client.put_record_batch().delivery_stream_name(delivery_stream).set_records(Some(batch));
    let answer = request.send().await.map_err(|error| {
        status.sink("firehose", |sink| sink.retried += if error.is_passing() { size as u64 } else { 0 });
        Untaken::All(Box::new(error))
    })?;
    let entries = answer.request_responses();
    let untaken = keep_untaken(&mut lock(), size, entries);
    status.sink("firehose", |sink| {
        sink.sent += (size - untaken) as u64;
        sink.retried += untaken as u64;
    });
    match untaken {
        0 => Ok(()),
        _ => Err(Untaken::some(untaken, size, entries)),
    }
}

fn record(line: &[u8]) -> Option<Record> {
    Record::builder().data(Blob::new(line)).build().ok() // it has its data: there is always one
}

/// How many of the rows, given their lengths, fit into one request. At least one, if there is one.
fn first_batch(lengths: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |length: &usize| {
        bytes += encoded(*length);
        bytes <= MOST_BYTES
    };
    lengths.take(MOST_RECORDS).take_while(fits).count()
}

/// The length of a row in the request: in Base64, with what JSON puts around it. The documentation
/// leaves open whether the limit is meant before or after that; this fits both.
fn encoded(length: usize) -> usize {
    length.div_ceil(3) * 4 + r#"{"Data":""},"#.len()
}

/// Removes the taken rows among the first `size`, and returns how many of these remain. They stay
/// before rows that have not been sent, in order.
fn keep_untaken(waiting: &mut VecDeque<Vec<u8>>, size: usize, entries: &[PutRecordBatchResponseEntry]) -> usize {
    let later = waiting.split_off(size.min(waiting.len()));
    let mut entries = entries.iter();
    waiting.retain(|_| entries.next().is_none_or(|entry| entry.error_code().is_some()));
    let untaken = waiting.len();
    waiting.extend(later);
    untaken
}

/// Why rows are still there after an attempt.
#[derive(Debug)]
enum Untaken {
    All(Box<SdkError<PutRecordBatchError>>),
    Some { untaken: usize, of: usize, why: String },
}

impl Untaken {
    fn some(untaken: usize, of: usize, entries: &[PutRecordBatchResponseEntry]) -> Self {
        let refused = entries.iter().find_map(|entry| Some((entry.error_code()?, entry.error_message())));
        let why = match refused {
            Some((code, Some(message))) => format!("{code}: {message}"),
            Some((code, None)) => code.to_owned(),
            None => "no answer".to_owned(),
        };
        Self::Some { untaken, of, why }
    }

    fn explain(self) -> anyhow::Error {
        match self {
            Self::All(error) => explain(*error),
            Self::Some { .. } => anyhow::anyhow!("{self}"),
        }
    }
}

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(error) => error.fmt(f),
            Self::Some { untaken, of, why } => write!(f, "{untaken} of {of} rows were not taken ({why})"),
        }
    }
}

impl Passing for Untaken {
    fn is_passing(&self) -> bool {
        match self {
            Self::All(error) => error.is_passing(),
            Self::Some { .. } => true, // the reasons that are documented are a busy service and one that failed
        }
    }

    fn is_throttling(&self) -> bool {
        match self {
            Self::All(error) => error.is_throttling(),
            Self::Some { why, .. } => why.starts_with("ServiceUnavailable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::Aws;
    use crate::stand_in::{Asked, HASTY, PATIENT, StandIn, answer, serve};

    fn firehose(aws: &Aws, retry: Retry) -> Firehose {
        let (status, stop) = (Arc::new(Status::new()), CancellationToken::new());
        Firehose::new(aws.firehose().unwrap(), "rows".to_owned(), Vec::new(), retry, status, stop)
    }

    /// What happens to a request.
    enum Fate {
        /// All is taken but the rows for which this holds.
        Taken(fn(usize) -> bool),
        Busy,
        Throttled,
        Dropped,
    }

    type Requests = Arc<Mutex<Vec<Vec<Vec<u8>>>>>;

    /// A delivery stream that keeps to the service's limits; `fate` decides by the number of the request.
    async fn delivery_stream(fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> (Aws, Requests) {
        let taken = Requests::default();
        let (keep, asked_before) = (Arc::clone(&taken), Mutex::new(0));
        let aws = serve(move |asked: Asked| {
            assert_eq!(asked.headers["x-amz-target"], "Firehose_20150804.PutRecordBatch");
            assert!(asked.body.len() <= MOST_BYTES + 100, "{} bytes", asked.body.len());
            let mut asked_before = asked_before.lock().unwrap();
            *asked_before += 1;
            let fails = match fate(*asked_before) {
                Fate::Taken(fails) => fails,
                Fate::Busy => return answer(503, r#"{"__type":"ServiceUnavailableException"}"#),
                Fate::Throttled => return answer(400, r#"{"__type":"ThrottlingException","message":"slow down"}"#),
                Fate::Dropped => return None,
            };
            let rows = rows(&asked.body);
            assert!((1..=MOST_RECORDS).contains(&rows.len()) && rows.iter().all(|row| row.len() <= LONGEST_RECORD));
            let entry = |at| match fails(at) {
                true => json!({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}),
                false => json!({"RecordId": "1"}),
            };
            let entries: Vec<Value> = (0..rows.len()).map(entry).collect();
            let failed = (0..rows.len()).filter(|&at| fails(at)).count();
            let rows = rows.into_iter().enumerate().filter(|&(at, _)| !fails(at)).map(|(_, row)| row);
            keep.lock().unwrap().push(rows.collect());
            answer(200, json!({"FailedPutCount": failed, "RequestResponses": entries}).to_string())
        })
        .await;
        (aws, taken)
    }

    fn rows(body: &[u8]) -> Vec<Vec<u8>> {
        let request: Value = serde_json::from_slice(body).unwrap();
        let records = request["Records"].as_array().unwrap();
        records.iter().map(|record| BASE64_STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).collect()
    }

    fn line(at: usize) -> Vec<u8> {
        format!("{{\"row\":{at}}}\n").into_bytes()
    }

    async fn send(sink: &mut Firehose, rows: usize) {
        for at in 0..rows {
            sink.add(line(at)).await.unwrap();
        }
        sink.flush().await.unwrap();
    }

    #[tokio::test]
    async fn batches_that_fail_as_a_whole_arrive_once_in_order() {
        let fate = |request| match request % 4 {
            1 => Fate::Busy,
            2 => Fate::Throttled,
            3 => Fate::Dropped,
            _ => Fate::Taken(|_| false),
        };
        let (aws, taken) = delivery_stream(fate).await;
        let mut sink = firehose(&aws, PATIENT);
        send(&mut sink, 1203).await;
        let taken = taken.lock().unwrap();
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 203]);
        assert_eq!(taken.concat(), (0..1203).map(line).collect::<Vec<_>>());
        let now = sink.status.now();
        assert_eq!((now.sinks["firehose"].sent, now.retries, now.throttled), (1203, 9, 3));
        assert_eq!(now.sinks["firehose"].retried, 3 * 1203);
    }

    #[tokio::test]
    async fn rows_that_fail_alone_are_sent_again_alone() {
        let fate = |request| match request % 5 {
            0 => Fate::Dropped,
            1 => Fate::Taken(|at| at % 7 == 3),
            2 => Fate::Taken(|at| at < 10),
            _ => Fate::Taken(|_| false),
        };
        let (aws, taken) = delivery_stream(fate).await;
        let mut sink = firehose(&aws, PATIENT);
        send(&mut sink, 3000).await;

        let taken = taken.lock().unwrap();
        let arrived: Vec<usize> = taken
            .concat()
            .iter()
            .map(|row| serde_json::from_slice::<Value>(row).unwrap()["row"].as_u64().unwrap() as usize)
            .collect();
        let mut sorted = arrived.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..3000).collect::<Vec<_>>());
        assert_ne!(arrived, sorted);
        // None comes before another that was waiting a batch earlier.
        let mut latest = 0;
        for row in arrived {
            latest = latest.max(row);
            assert!(latest - row <= MOST_RECORDS, "{row} after {latest}");
        }
        assert_eq!(sink.status.now().sinks["firehose"].sent, 3000);
    }

    #[tokio::test]
    async fn large_rows_make_small_batches() {
        let (aws, taken) = delivery_stream(|_| Fate::Taken(|_| false)).await;
        let mut sink = firehose(&aws, PATIENT);
        for at in 0..8 {
            sink.add(vec![b'a' + at; LONGEST_RECORD]).await.unwrap();
        }
        sink.flush().await.unwrap();
        assert_eq!(taken.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    }

    #[tokio::test]
    async fn a_row_that_is_too_long_is_told_and_holds_nothing_up() {
        let (aws, taken) = delivery_stream(|_| Fate::Taken(|_| false)).await;
        let mut sink = firehose(&aws, PATIENT);
        let mut long = br#"{"session_id":"abc","rest":""#.to_vec();
        long.resize(LONGEST_RECORD + 1, b'x');
        sink.add(line(0)).await.unwrap();
        sink.add(long).await.unwrap();
        sink.add(line(1)).await.unwrap();
        sink.flush().await.unwrap();
        assert_eq!(taken.lock().unwrap().concat(), [line(0), line(1)]);
        let now = sink.status.now();
        assert_eq!((now.sinks["firehose"].sent, now.sinks["firehose"].failed), (2, 1));
        assert!(now.troubles[0].contains("1024001 bytes") && now.troubles[0].contains(r#""session_id":"abc""#));
    }

    #[tokio::test]
    async fn what_is_not_taken_in_time_still_waits() {
        let heals = Arc::new(Mutex::new(false));
        let healed = Arc::clone(&heals);
        let fate = move |_| Fate::Taken(if *healed.lock().unwrap() { |_| false } else { |at| at == 0 });
        let (aws, taken) = delivery_stream(fate).await;
        let mut sink = firehose(&aws, HASTY);
        for at in 0..3 {
            sink.add(line(at)).await.unwrap();
        }
        let error = format!("{:#}", sink.flush().await.unwrap_err());
        assert!(error.contains("the delivery stream rows; 1 rows wait: 1 of 1 rows were not taken"), "{error}");
        assert_eq!(sink.waiting, [line(0)]);

        *heals.lock().unwrap() = true;
        sink.flush().await.unwrap();
        assert_eq!(taken.lock().unwrap().concat(), [line(1), line(2), line(0)]);
    }

    #[tokio::test]
    async fn rows_wait_for_the_next_run_once_it_is_asked_to_stop() {
        let (aws, taken) =
            delivery_stream(|request| if request > 4 { Fate::Taken(|_| false) } else { Fate::Busy }).await;
        let mut sink = firehose(&aws, PATIENT);
        sink.add(line(0)).await.unwrap();
        sink.stop.cancel();
        for at in 1..1_203 {
            sink.add(line(at)).await.unwrap();
        }
        sink.flush().await.unwrap();
        assert_eq!(taken.lock().unwrap().len(), 0);
        let waiting = sink.waiting();
        assert_eq!(waiting.len(), 1_203);

        let client = aws.firehose().unwrap();
        let (status, stop) = (Arc::new(Status::new()), CancellationToken::new());
        let mut next = Firehose::new(client, "rows".to_owned(), waiting, PATIENT, status, stop);
        next.flush().await.unwrap();
        assert_eq!(taken.lock().unwrap().concat(), (0..1_203).map(line).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_delivery_stream_that_is_not_there_is_told_at_once() {
        let Some(stand_in) = StandIn::start() else { return };
        let mut sink = firehose(&stand_in.aws().await, PATIENT);
        sink.add(line(0)).await.unwrap();
        let error = format!("{:#}", sink.flush().await.unwrap_err());
        assert!(error.contains("ResourceNotFoundException"), "{error}");
        assert_eq!((sink.waiting.len(), sink.status.now().retries), (1, 0));
    }

    /// ministack writes one object for each row, under a name that does not keep their order.
    #[tokio::test]
    async fn rows_arrive_behind_a_delivery_stream() {
        use aws_sdk_firehose::types::ExtendedS3DestinationConfiguration;

        let Some(stand_in) = StandIn::start() else { return };
        let aws = stand_in.aws().await;
        let (s3, client) = (aws.s3().unwrap(), aws.firehose().unwrap());
        s3.create_bucket().bucket("delivered").send().await.unwrap();
        let destination = ExtendedS3DestinationConfiguration::builder()
            .role_arn("arn:aws:iam::000000000000:role/firehose")
            .bucket_arn("arn:aws:s3:::delivered")
            .build()
            .unwrap();
        let create = client.create_delivery_stream().delivery_stream_name("rows");
        create.extended_s3_destination_configuration(destination).send().await.unwrap();

        send(&mut firehose(&aws, PATIENT), 603).await;

        let mut arrived = Vec::new();
        let listed = s3.list_objects_v2().bucket("delivered").send().await.unwrap();
        for object in listed.contents() {
            let object = s3.get_object().bucket("delivered").key(object.key().unwrap()).send().await.unwrap();
            arrived.push(object.body.collect().await.unwrap().to_vec());
        }
        let mut expected: Vec<Vec<u8>> = (0..603).map(line).collect();
        arrived.sort();
        expected.sort();
        assert_eq!(arrived, expected);
    }

    #[test]
    fn batches_end_at_the_limits() {
        let batch = |lengths: &[usize]| first_batch(lengths.iter().copied());
        assert_eq!(batch(&[]), 0);
        assert_eq!(batch(&[1; 500]), 500);
        assert_eq!(batch(&[1; 501]), 500);
        assert_eq!(batch(&[LONGEST_RECORD; 4]), 3);
        // Exactly full, and one byte more.
        let rest = (MOST_BYTES - encoded(0)) / 4 * 3;
        assert_eq!(batch(&[rest]), 1);
        let half = (MOST_BYTES / 2 - encoded(0)) / 4 * 3;
        assert_eq!(batch(&[half, half]), 2);
        assert_eq!(batch(&[half, half + 1]), 1);
    }

    #[test]
    fn rows_without_an_answer_still_wait() {
        let taken = PutRecordBatchResponseEntry::builder().record_id("1").build();
        let failed = PutRecordBatchResponseEntry::builder().error_code("InternalFailure").build();
        let mut waiting: VecDeque<Vec<u8>> = (0..5).map(line).collect();
        assert_eq!(keep_untaken(&mut waiting, 4, &[taken.clone(), failed, taken]), 2);
        assert_eq!(waiting, [line(1), line(3), line(4)]);
    }
}
