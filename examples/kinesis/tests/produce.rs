//! `kinesis produce` against a Kinesis server: the real program, over HTTP, and its records read back.

#[allow(dead_code, reason = "not every test needs all of it")]
#[path = "../src/serve.rs"]
mod serve;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::pin::Pin;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use program::testing::{PATIENCE, Running, Signal};
use serde_json::{Value, json};
use serve::{Options, Server};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::ReaderStream;

const STREAM: &str = "sessionsclicks";
const MIB: usize = 1 << 20;

/// A server, and a client to look at its records.
struct Kinesis {
    server: Server,
    client: Client,
}

/// Partition key and data.
type Put = (String, String);

impl Kinesis {
    async fn start() -> Self {
        Self::of(Server::start(quick()).await.expect("a port is free"))
    }

    /// With something before it.
    async fn behind<F>(front: impl Fn(Request, Next) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let server = Server::start_behind(quick(), |kinesis| kinesis.layer(from_fn(front))).await;
        Self::of(server.expect("a port is free"))
    }

    fn of(server: Server) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "made up"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).build())
            .endpoint_url(server.endpoint());
        Self { client: Client::from_conf(config.build()), server }
    }

    fn produce(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis"));
        command.args(["produce", "--stream", STREAM]).args(arguments).env("AWS_ENDPOINT_URL", self.server.endpoint());
        command.env_remove("AWS_ENDPOINT_URL_KINESIS").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The last line it prints.
    async fn succeed(&self, arguments: &[&str], input: impl Into<Vec<u8>>) -> String {
        let output = run(self.produce(arguments), input.into()).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Its messages.
    async fn fail(&self, arguments: &[&str], input: &str) -> String {
        let output = run(self.produce(arguments), input.into()).await;
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    /// All records, by shard, in their order.
    async fn shards(&self) -> BTreeMap<String, Vec<Put>> {
        let answer = self.client.list_shards().stream_name(STREAM).send().await.expect("there is the stream");
        let mut shards = BTreeMap::new();
        for shard in answer.shards() {
            shards.insert(shard.shard_id.clone(), self.records(&shard.shard_id).await);
        }
        shards
    }

    async fn records(&self, shard: &str) -> Vec<Put> {
        let iterator = self.client.get_shard_iterator().stream_name(STREAM).shard_id(shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        let mut iterator = iterator.expect("there is the shard").shard_iterator;
        let mut records = Vec::new();
        loop {
            let answer = self.client.get_records().set_shard_iterator(iterator).send().await.expect("it is read");
            let put = |record: Record| (record.partition_key.unwrap_or_default(), text(record.data.as_ref()));
            let before = records.len();
            records.extend(answer.records.into_iter().map(put));
            if records.len() == before && answer.millis_behind_latest == Some(0) {
                return records;
            }
            iterator = answer.next_shard_iterator;
        }
    }

    /// All records, in order.
    async fn all(&self) -> Vec<Put> {
        let mut all: Vec<Put> = self.shards().await.into_values().flatten().collect();
        all.sort();
        all
    }
}

/// Streams are there at once.
fn quick() -> Options {
    Options { port: 0, delay: Duration::ZERO }
}

async fn run(mut command: Command, input: Vec<u8>) -> Output {
    let run = move || {
        let mut child = Running::start(command.stdin(Stdio::piped()));
        let mut stdin = child.stdin.take().expect("it is piped");
        // It may end before it has read everything.
        let writing = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output();
        let _ = writing.join().expect("writing does not panic");
        output
    };
    tokio::task::spawn_blocking(run).await.expect("running does not panic")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("all is UTF-8 here")
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("memory takes everything");
    packed.finish().expect("memory takes everything")
}

/// Clicks of users 0 to 9, from a number on, and how they must be on the stream.
fn clicks(numbers: std::ops::Range<usize>) -> (String, Vec<Put>) {
    let line = |number| format!(r#"{{"user_id": {}, "device_id": "mobile", "number": {number}}}"#, number % 10);
    let records = numbers.map(|number| ((number % 10).to_string(), line(number)));
    let records: Vec<Put> = records.collect();
    (records.iter().map(|(_, line)| format!("{line}\n")).collect(), records)
}

fn sorted(mut records: Vec<Put>) -> Vec<Put> {
    records.sort();
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_every_file_is_put_once_and_in_order() {
    let kinesis = Kinesis::start().await;
    let folder = tempfile::tempdir().expect("there is room");
    let ((plain, first), (gzip, second), (stdin, third)) = (clicks(0..1200), clicks(1200..1500), clicks(1500..1530));
    let [plain_file, gzip_file] = ["clicks.jsonl", "clicks"].map(|name| folder.path().join(name));
    std::fs::write(&plain_file, plain.replace('\n', "\r\n")).expect("there is room");
    // Two gzip files, one behind the other, are one, too.
    std::fs::write(&gzip_file, [packed(&gzip[..100]), packed(&gzip[100..])].concat()).expect("there is room");
    let files = [plain_file, gzip_file].map(|file| file.display().to_string());
    let arguments = ["--create", "--shards", "4", &files[0], &files[1], "-"];
    let figures = kinesis.succeed(&arguments, format!("\n  \n{stdin}")).await;
    assert!(figures.starts_with("put 1,530 records ("), "{figures}");
    assert!(figures.ends_with(" per second; 0 sent again, 0 refused\n"), "{figures}");

    let shards = kinesis.shards().await;
    assert_eq!(shards.len(), 4);
    assert!(shards.values().filter(|records| !records.is_empty()).count() > 1, "one shard has everything");
    assert_eq!(kinesis.all().await, sorted([first, second, third].concat()));
    for records in shards.values() {
        for user in 0..10 {
            let of_user = records.iter().filter(|(key, _)| *key == user.to_string());
            let numbers: Vec<u64> = of_user.map(|(_, line)| number(line)).collect();
            assert!(numbers.is_sorted(), "user {user}: {numbers:?}");
        }
    }
}

fn number(line: &str) -> u64 {
    let click: Value = serde_json::from_str(line).expect("it is JSON");
    click["number"].as_u64().expect("it is a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_the_field_that_is_named() {
    let kinesis = Kinesis::start().await;
    let lines = [
        r#"{"device": "tablet", "user_id": 1}"#,
        r#"{"device": 7}"#,
        r#"{"device": true}"#,
        r#"{"device": ""}"#,
        r#"{"device": null}"#,
        r#"{"user_id": 1}"#,
        "not JSON",
    ];
    let figures = kinesis.succeed(&["--create", "--partition-key", "device", "-"], lines.join("\n")).await;
    assert!(figures.ends_with("0 sent again, 0 refused, 4 without device\n"), "{figures}");
    let keys: BTreeMap<String, String> = kinesis.all().await.into_iter().map(|(key, line)| (line, key)).collect();
    assert_eq!(lines[..3].iter().map(|line| &keys[*line]).collect::<Vec<_>>(), ["tablet", "7", "true"]);
    let made_up: HashSet<&String> = lines[3..].iter().map(|line| &keys[*line]).collect();
    assert_eq!(made_up.len(), 4, "lines without a key go to one shard");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_within_their_limits_and_records_beyond_are_refused() {
    let kinesis = Kinesis::start().await;
    let line = |user: &str, length: usize| {
        let head = format!(r#"{{"user_id": "{user}", "x": ""#);
        format!("{head}{}\"}}", "x".repeat(length - head.len() - 2))
    };
    // Seven of the largest, then one that is a byte longer, then one that is far longer, then a small one.
    let mut lines: Vec<String> = (0..7).map(|user| line(&user.to_string(), MIB - 1)).collect();
    lines.extend([line("a", MIB), line("b", 3 * MIB), line("c", 100)]);
    let mut command = kinesis.produce(&["--create", "-"]);
    command.env("RUST_BACKTRACE", "0");
    let output = run(command, lines.join("\n").into_bytes()).await;
    assert!(text(&output.stdout).starts_with("put 8 records ("), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("0 sent again, 2 refused\n"), "{}", text(&output.stdout));
    let told = "is refused: with its key it has more than the 1 MiB that a record may have\n";
    assert_eq!(text(&output.stderr), format!("line 8 of standard input {told}line 9 of standard input {told}"));
    let mut lengths: Vec<usize> = kinesis.all().await.iter().map(|(_, line)| line.len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [vec![100], vec![MIB - 1; 7]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_of_a_given_time_are_the_same_each_time() {
    let kinesis = Kinesis::start().await;
    let clicks = ["--clicks", "--events", "1234", "--full-speed", "--start", "2018-11-29T00:00:00Z", "--users", "5"];
    let figures = kinesis.succeed(&[&clicks[..], &["--create", "--shards", "3"]].concat(), "").await;
    assert!(figures.starts_with("put 1,234 records ("), "{figures}");
    let first = kinesis.all().await;
    assert!(first.iter().any(|(_, line)| line.contains(r#""client_timestamp": "2018-11-29T00:00:00"#)));
    assert!(first.iter().all(|(key, line)| line.starts_with(&format!(r#"{{"user_id": {key}, "device_id": ""#))));
    assert!(!first.iter().any(|(_, line)| line.contains("arrival_timestamp")));
    kinesis.succeed(&clicks, "").await;
    let twice = sorted(first.into_iter().flat_map(|record| [record.clone(), record]).collect());
    assert_eq!(kinesis.all().await, twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_missing_is_told_and_one_that_is_there_is_kept() {
    let kinesis = Kinesis::start().await;
    let told = kinesis.fail(&["-"], "1\n").await;
    assert_eq!(told, "kinesis: there is no stream sessionsclicks: `kinesis produce --create` makes one\n");
    kinesis.succeed(&["--create", "--shards", "2", "-"], "1\n").await;
    kinesis.succeed(&["--create", "--shards", "3", "-"], "2\n").await;
    assert_eq!((kinesis.shards().await.len(), kinesis.all().await.len()), (2, 2));
    let told = kinesis.fail(&["no such file"], "").await;
    assert!(told.starts_with("kinesis: cannot read no such file: No such file"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_clicks_are_refused_with_files() {
    let kinesis = Kinesis::start().await;
    for option in [["--rate", "5"], ["--users", "5"], ["--start", "2018-11-29T00:00:00Z"]] {
        let output = run(kinesis.produce(&[&["-"], &option[..]].concat()), Vec::new()).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("cannot be used with"), "{}", text(&output.stderr));
    }
}

/// Whether a request puts records.
fn puts(headers: &HeaderMap) -> bool {
    headers.get("x-amz-target").is_some_and(|target| target.as_bytes().ends_with(b".PutRecords"))
}

async fn json_of(body: Body) -> Value {
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("it comes whole");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

fn body_of(json: &Value) -> Body {
    Body::from(Bytes::from(json.to_string()))
}

/// Takes entries out of a request, and tells of each that it failed.
async fn refuse(request: Request, next: Next, mut is_refused: impl FnMut(&str) -> bool) -> Response {
    let (mut head, body) = request.into_parts();
    let mut json = json_of(body).await;
    let entries = json["Records"].as_array_mut().expect("there are records");
    let refused: Vec<bool> = entries.iter().map(|entry| is_refused(entry["Data"].as_str().unwrap_or(""))).collect();
    let mut each = refused.iter();
    entries.retain(|_| !each.next().expect("there is one for each"));
    let mut answers = Vec::new();
    let mut answered = None;
    if !entries.is_empty() {
        head.headers.remove("content-length");
        let (head, body) = next.run(Request::from_parts(head, body_of(&json))).await.into_parts();
        answers = json_of(body).await["Records"].as_array().expect("there are answers").clone();
        answered = Some(head);
    }
    let mut taken = answers.into_iter();
    let code = |index| ["ProvisionedThroughputExceededException", "InternalFailure"][index % 2];
    let failure = |index| json!({"ErrorCode": code(index), "ErrorMessage": "not now"});
    let records: Vec<Value> = refused
        .iter()
        .enumerate()
        .map(|(index, is_refused)| if *is_refused { failure(index) } else { taken.next().expect("one for each") })
        .collect();
    let failed = refused.iter().filter(|is_refused| **is_refused).count();
    let body = body_of(&json!({"FailedRecordCount": failed, "Records": records}));
    let mut response = Response::new(body);
    if let Some(head) = answered {
        *response.headers_mut() = head.headers;
        response.headers_mut().remove("content-length");
    }
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_refused_are_put_again_and_no_others() {
    // A third of the records is refused when it comes for the first time.
    let (seen, refused) = (Arc::new(Mutex::new(HashSet::new())), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&refused);
    let kinesis = Kinesis::behind(move |request: Request, next: Next| {
        let (seen, count) = (Arc::clone(&seen), Arc::clone(&count));
        async move {
            if !puts(request.headers()) {
                return next.run(request).await;
            }
            refuse(request, next, |data| {
                let is_new = seen.lock().expect("nobody panics").insert(data.to_owned());
                let is_refused = is_new && crc32fast::hash(data.as_bytes()).is_multiple_of(3);
                count.fetch_add(usize::from(is_refused), Ordering::Relaxed);
                is_refused
            })
            .await
        }
    })
    .await;
    let (lines, records) = clicks(0..1100);
    let figures = kinesis.succeed(&["--create", "--shards", "3", "-"], lines).await;
    assert_eq!(kinesis.all().await, sorted(records));
    let refused = refused.load(Ordering::Relaxed);
    assert!((200..600).contains(&refused), "the front does not refuse a third");
    assert!(figures.starts_with("put 1,100 records ("), "{figures}");
    assert!(figures.ends_with(&format!("; {refused} sent again, 0 refused\n")), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gives_up_when_records_are_refused_for_too_long() {
    let kinesis = Kinesis::behind(|request: Request, next: Next| async move {
        if puts(request.headers()) {
            refuse(request, next, |data| data == "Mg==").await
        } else {
            next.run(request).await
        }
    })
    .await;
    let output = run(kinesis.produce(&["--create", "--give-up-after", "300ms", "-"]), b"1\n2\n3\n".to_vec()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("put 2 records (2 B)"), "{}", text(&output.stdout));
    let told = "kinesis: cannot put records on sessionsclicks: 1 of 1 records are refused, with \
                ProvisionedThroughputExceededException: not now; put fewer per second, split shards, \
                or give more time with --give-up-after\n";
    assert_eq!(text(&output.stderr), told);
    assert_eq!(kinesis.all().await.iter().map(|(_, line)| line.as_str()).collect::<HashSet<_>>(), ["1", "3"].into());
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Throttled,
    Failed,
    /// The connection ends within the answer, though the records are on the stream.
    AnswerLost,
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_are_sent_again() {
    for mishap in [Mishap::Throttled, Mishap::Failed, Mishap::AnswerLost] {
        let count = Arc::new(AtomicUsize::new(0));
        let kinesis = Kinesis::behind(move |request: Request, next: Next| {
            let count = Arc::clone(&count);
            async move {
                // The second request, and the first time that it is tried again.
                let is_hit = puts(request.headers()) && [1, 2].contains(&count.fetch_add(1, Ordering::Relaxed));
                if is_hit { spoil(mishap, request, next).await } else { next.run(request).await }
            }
        })
        .await;
        kinesis.succeed(&["--create", "-"], "0\n").await;
        // A line alone, since of several some could be in a request of their own.
        let (lines, records) = clicks(0..1);
        let figures = kinesis.succeed(&["-"], lines).await;
        assert!(figures.starts_with("put 1 records ("), "{mishap:?}: {figures}");
        assert!(figures.ends_with("; 2 sent again, 0 refused\n"), "{mishap:?}: {figures}");
        let times = if matches!(mishap, Mishap::AnswerLost) { 3 } else { 1 };
        let expected = records.into_iter().flat_map(|record| vec![record; times]).collect();
        let on_stream = kinesis.all().await.into_iter().filter(|(_, line)| line != "0").collect();
        assert_eq!(sorted(on_stream), sorted(expected), "{mishap:?}");
    }
}

async fn spoil(mishap: Mishap, request: Request, next: Next) -> Response {
    let failure = |status, kind: &str| {
        let mut response = Response::new(body_of(&json!({"__type": kind, "message": "not now"})));
        *response.status_mut() = status;
        response
    };
    match mishap {
        Mishap::Throttled => failure(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
        Mishap::Failed => failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        Mishap::AnswerLost => {
            next.run(request).await;
            Response::new(Body::from_stream(ReaderStream::new(Broken)))
        }
    }
}

/// A body that fails, upon which the server closes the connection.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_ends_cleanly_and_tells_how_much_it_has_put() {
    for signal in [Signal::INT, Signal::TERM] {
        let kinesis = Kinesis::start().await;
        kinesis.succeed(&["--create", "--shards", "2", "-"], "").await;
        let live = ["--clicks", "--rate", "50", "--duration", "1m"];
        let mut child = Running::start(&mut kinesis.produce(&live));
        while kinesis.all().await.is_empty() {
            assert_eq!(child.try_wait(), None, "it has ended before it was asked to");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.signal(signal);
        let wait = move || child.wait_with_output();
        let output = tokio::task::spawn_blocking(wait).await.expect("waiting does not panic");
        assert!(output.status.success(), "{signal:?}: {}", text(&output.stderr));
        let figures = text(&output.stdout);
        let count =
            figures.strip_prefix("stopped: put ").and_then(|rest| rest.split_once(" records (")).expect(&figures).0;
        assert_eq!(count.replace(',', ""), kinesis.all().await.len().to_string(), "{figures}");
    }
}
