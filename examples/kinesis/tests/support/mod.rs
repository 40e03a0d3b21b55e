//! A Kinesis server in the process, reached through HTTP, that can be made to misbehave; and the
//! program, run as a user would.
#![allow(dead_code, reason = "each test uses some of it")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use aws_sdk_kinesis::primitives::{Blob, DateTime, DateTimeFormat};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ScalingType, Shard};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrokinesis::store::StoreOptions;
use program::testing::{self, PATIENCE, Running};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;

pub(crate) const STREAM: &str = "clicks";

/// How the server misbehaves: one of this number of calls, 0 for none.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) refuse: AtomicU64,
    pub(crate) throttle: AtomicU64,
    pub(crate) expire: AtomicU64,
    /// The connection is dropped in the middle of the answer.
    pub(crate) cut: AtomicU64,
    /// Nothing is answered any more.
    pub(crate) hang: AtomicBool,
    /// Lists of shards come in pages of this size.
    pub(crate) shards_in_a_page: AtomicU64,
    /// Its answer at the end of a closed shard; `ferrokinesis` says both, on two pages.
    pub(crate) end: AtEnd,
    /// How many seconds its clock is behind; negative if it is ahead.
    pub(crate) clock_behind: AtomicI64,
    /// Records are clicks of `generate`, and arrived in the second that they say.
    pub(crate) believes_records: AtomicBool,
    /// Only calls that read are disturbed.
    calls: AtomicU64,
    pub(crate) done: AtomicU64,
    /// Records that were given out.
    records: AtomicU64,
}

impl Faults {
    pub(crate) fn records_read(&self) -> u64 {
        self.records.load(Ordering::SeqCst)
    }

    /// From now on it behaves well, as `ferrokinesis` does.
    pub(crate) fn none(&self) {
        for one_in in [&self.refuse, &self.throttle, &self.expire, &self.cut, &self.end.pages] {
            one_in.store(0, Ordering::SeqCst);
        }
        self.end.says_zero.store(false, Ordering::SeqCst);
        self.end.never_says_zero.store(false, Ordering::SeqCst);
    }

    fn strikes(&self, one_in: &AtomicU64, call: u64, offset: u64) -> bool {
        let one_in = one_in.load(Ordering::Relaxed);
        let strikes = one_in > 0 && (call + offset).is_multiple_of(one_in);
        if strikes {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        strikes
    }
}

/// How an answer looks at the end of a closed shard.
#[derive(Debug, Default)]
pub(crate) struct AtEnd {
    /// `MillisBehindLatest` is 0 on all pages without records, or on none.
    pub(crate) says_zero: AtomicBool,
    pub(crate) never_says_zero: AtomicBool,
    /// The number of pages before the one without a next iterator.
    pub(crate) pages: AtomicU64,
    /// How many have come, by iterator.
    given: Mutex<BTreeMap<String, u64>>,
}

impl AtEnd {
    fn change(&self, iterator: &str, answer: &mut Value) {
        if !answer["NextShardIterator"].is_null() {
            return;
        }
        let mut given = self.given.lock().unwrap();
        let given = given.entry(iterator.to_owned()).or_default();
        if *given < self.pages.load(Ordering::SeqCst) {
            *given += 1;
            answer["NextShardIterator"] = iterator.into();
        }
        if self.says_zero.load(Ordering::SeqCst) {
            answer["MillisBehindLatest"] = 0.into();
        } else if self.never_says_zero.load(Ordering::SeqCst) {
            answer["MillisBehindLatest"] = 5_000.into();
        }
    }
}

impl Faults {
    /// The answer as a server of another manner and with another clock would give it.
    fn change_page(&self, asked: &Value, answer: &mut Value) {
        self.end.change(asked["ShardIterator"].as_str().unwrap_or_default(), answer);
        let behind = self.clock_behind.load(Ordering::SeqCst);
        for record in answer["Records"].as_array_mut().into_iter().flatten() {
            let arrival = record["ApproximateArrivalTimestamp"].as_f64().unwrap();
            record["ApproximateArrivalTimestamp"] = (arrival - behind as f64).into();
            if self.believes_records.load(Ordering::SeqCst) {
                record["ApproximateArrivalTimestamp"] = claimed_arrival(record).into();
            }
        }
    }

    /// The request with fewer results to a page, if it is to have them.
    async fn in_pages(&self, request: Request) -> Request {
        let most = self.shards_in_a_page.load(Ordering::Relaxed);
        if most == 0 {
            return request;
        }
        let (mut parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        body["MaxResults"] = most.into();
        let body = body.to_string();
        parts.headers.insert("content-length", body.len().into());
        Request::from_parts(parts, body.into())
    }
}

/// In seconds, as the times of `ferrokinesis` are.
fn claimed_arrival(record: &Value) -> i64 {
    let data = STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
    article::Click::read(std::str::from_utf8(&data).unwrap()).arrived.div_euclid(1_000_000)
}

/// Puts the time of the server's clock into an answer.
async fn date(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let behind = faults.clock_behind.load(Ordering::SeqCst);
    if behind != 0 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let date = DateTime::from_secs(now - behind).fmt(DateTimeFormat::HttpDate).unwrap();
        response.headers_mut().insert("date", date.parse().unwrap());
    }
    response
}

async fn misbehave(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    if !["GetRecords", "GetShardIterator", "ListShards"].contains(&operation.as_str()) {
        return next.run(request).await;
    }
    if faults.hang.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let call = faults.calls.fetch_add(1, Ordering::Relaxed);
    let error = |status: StatusCode, code: &str| {
        let body = format!("{{\"__type\":\"{code}\",\"message\":\"made up\"}}");
        (status, [("content-type", "application/x-amz-json-1.1")], body).into_response()
    };
    if faults.strikes(&faults.refuse, call, 0) {
        return error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
    }
    if faults.strikes(&faults.throttle, call, 1) {
        return error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException");
    }
    if operation == "GetRecords" && faults.strikes(&faults.expire, call, 2) {
        return error(StatusCode::BAD_REQUEST, "ExpiredIteratorException");
    }
    if faults.strikes(&faults.cut, call, 3) {
        let half = [Ok("{\"Records\":["), Err(std::io::Error::other("cut"))];
        let body = Body::from_stream(futures_util::stream::iter(half));
        return ([("content-type", "application/x-amz-json-1.1")], body).into_response();
    }
    if operation == "ListShards" {
        return next.run(faults.in_pages(request).await).await;
    }
    let (mut parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if operation != "GetRecords" {
        if let Some(time) = asked["Timestamp"].as_f64() {
            asked["Timestamp"] = (time + faults.clock_behind.load(Ordering::SeqCst) as f64).into();
        }
        let body = asked.to_string();
        parts.headers.insert("content-length", body.len().into());
        return next.run(Request::from_parts(parts, body.into())).await;
    }
    let (mut parts, body) = next.run(Request::from_parts(parts, body.into())).await.into_parts();
    let mut body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let records = answer["Records"].as_array().map_or(0, Vec::len);
    faults.records.fetch_add(records as u64, Ordering::SeqCst);
    if parts.status.is_success() {
        faults.change_page(&asked, &mut answer);
        body = answer.to_string().into();
        parts.headers.remove("content-length");
        parts.headers.remove("x-amz-crc32");
    }
    Response::from_parts(parts, body.into())
}

/// The server; it stops with the test.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    pub(crate) client: Client,
    pub(crate) faults: Arc<Faults>,
}

impl Server {
    /// With one stream.
    pub(crate) async fn start(shards: i32) -> Self {
        Self::start_slow(shards, 10).await
    }

    /// With one stream, whose shards take this number of milliseconds to be split or merged.
    pub(crate) async fn start_slow(shards: i32, update_stream_ms: u64) -> Self {
        let options =
            StoreOptions { create_stream_ms: 0, update_stream_ms, shard_limit: 1_000, ..StoreOptions::default() };
        let (app, _) = ferrokinesis::create_app(options);
        let faults = Arc::new(Faults::default());
        let disturbed = app.clone().layer(middleware::from_fn_with_state(Arc::clone(&faults), misbehave));
        let disturbed = disturbed.layer(middleware::from_fn_with_state(Arc::clone(&faults), date));
        // The test itself is not disturbed.
        let (endpoint, undisturbed) = (listen(disturbed).await, listen(app).await);
        let server = Self { client: client(&undisturbed), endpoint, faults };
        server.client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
        server.until_active().await;
        server
    }

    /// Deletes the stream, and creates one of its name in a later second: the server's times have no others.
    pub(crate) async fn create_again(&self, shards: i32) {
        self.client.delete_stream().stream_name(STREAM).send().await.unwrap();
        let began = Instant::now();
        while self.client.describe_stream_summary().stream_name(STREAM).send().await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "the stream is still there");
            tokio::task::yield_now().await;
        }
        self.until_the_next_second().await;
        self.client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
        self.until_active().await;
    }

    /// Waits until the last change of the stream is done.
    pub(crate) async fn until_active(&self) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let summary = self.client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
            let status = summary.stream_description_summary.unwrap().stream_status;
            if status.as_str() == "ACTIVE" {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the stream does not become active");
    }

    pub(crate) async fn put(&self, records: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let entry = |(key, data): (String, Vec<u8>)| {
            PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
        };
        let entries: Vec<_> = records.into_iter().map(entry).collect();
        for batch in entries.chunks(500) {
            let put = self.client.put_records().stream_name(STREAM).set_records(Some(batch.to_vec()));
            let put = put.send().await.unwrap();
            assert_eq!(put.failed_record_count, Some(0));
        }
    }

    /// The shards that take records, in the order of their keys.
    pub(crate) async fn open_shards(&self) -> Vec<Shard> {
        let shards = self.client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap();
        let mut open: Vec<Shard> = shards
            .into_iter()
            .filter(|shard| shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none())
            .collect();
        open.sort_by_key(first_hash);
        open
    }

    /// Splits one open shard in the middle.
    pub(crate) async fn split(&self, number: usize) {
        let open = self.open_shards().await;
        let shard = &open[number % open.len()];
        let range = shard.hash_key_range.as_ref().unwrap();
        let (from, to): (u128, u128) =
            (range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap());
        let middle = (from + (to - from) / 2).to_string();
        let split = self.client.split_shard().stream_name(STREAM).shard_to_split(&shard.shard_id);
        split.new_starting_hash_key(middle).send().await.unwrap();
        self.until_active().await;
    }

    /// Merges one open shard with the next.
    pub(crate) async fn merge(&self, number: usize) {
        let open = self.open_shards().await;
        let first = number % (open.len() - 1);
        let merge = self.client.merge_shards().stream_name(STREAM).shard_to_merge(&open[first].shard_id);
        merge.adjacent_shard_to_merge(&open[first + 1].shard_id).send().await.unwrap();
        self.until_active().await;
    }

    pub(crate) async fn update_shard_count(&self, count: i32) {
        let update = self.client.update_shard_count().stream_name(STREAM).target_shard_count(count);
        update.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
        self.until_active().await;
    }

    /// Splits, merges or counts anew, as chance has it. Children of a split or a merge are often split or
    /// merged at once, so that shards without records stand between those with some.
    pub(crate) async fn reshard(&self, random: &mut StdRng) {
        loop {
            let open = self.open_shards().await.len();
            let number = random.random_range(0..open);
            match random.random_range(0..5) {
                0 | 1 if open < 8 => self.split(number).await,
                2 | 3 if open > 1 => self.merge(number).await,
                4 => {
                    let count = random.random_range(open.div_ceil(2)..=(2 * open).min(6));
                    if count != open {
                        self.update_shard_count(count as i32).await;
                    }
                }
                _ => {}
            }
            if random.random_bool(0.5) {
                return;
            }
        }
    }

    /// Waits until new records arrive later than all before: the server's times have whole seconds.
    pub(crate) async fn until_the_next_second(&self) {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let rest = 1_000_000_000 - since.subsec_nanos();
        tokio::time::sleep(Duration::from_nanos(u64::from(rest) + 1_000_000)).await;
    }

    /// Two users whose clicks go to the first and to the last shard.
    pub(crate) async fn two_users_on_different_shards(&self) -> (u32, u32) {
        let mut of_shard: BTreeMap<String, u32> = BTreeMap::new();
        for user in 1.. {
            let put = self.client.put_record().stream_name("probe").partition_key(user.to_string());
            if user == 1 {
                self.client.create_stream().stream_name("probe").shard_count(2).send().await.unwrap();
            }
            let Ok(put) = put.data(Blob::new("x")).send().await else { continue };
            of_shard.insert(put.shard_id, user);
            if of_shard.len() == 2 {
                break;
            }
        }
        let users: Vec<u32> = of_shard.into_values().collect();
        (users[0], users[1])
    }

    /// The program with arguments split at spaces, and this server as its endpoint.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis"));
        command.args(arguments.split_whitespace()).env("AWS_ENDPOINT_URL", &self.endpoint).stdin(Stdio::null());
        command
    }
}

/// Serves until the end of the test. Returns the address.
pub(crate) async fn listen(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn first_hash(shard: &Shard) -> u128 {
    shard.hash_key_range.as_ref().unwrap().starting_hash_key.parse().unwrap()
}

pub(crate) fn client(endpoint: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "made up"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).build())
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// Runs to the end, off the threads of the server.
pub(crate) async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || testing::output(&mut command)).await.unwrap()
}

/// Runs to the end, which must be a good one. Returns both outputs.
pub(crate) async fn succeed(command: Command) -> (String, String) {
    let output = output(command).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{}: {err}", output.status);
    (out, err)
}

/// Begins to run, with its messages thrown away.
pub(crate) fn spawn(mut command: Command) -> Running {
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Waits for a good end, off the threads of the server.
pub(crate) async fn ends_well(mut child: Running) {
    tokio::task::spawn_blocking(move || assert!(child.wait().success())).await.unwrap();
}

/// Waits for something that must come.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} has not come within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Options of a consumer that reads under a rule of each kind, into files.
pub(crate) fn three_rules(folder: &Path, more: &str) -> String {
    format!(
        "consume --stream {STREAM} --gap 3s --step 10s --stagger step=30s/2s --out-of-order 6s --idle-after 5s \
         --poll-every 50ms --unpaced --checkpoint-every 200ms --state {0}/state --output {0}/output {more}",
        folder.display()
    )
}

/// Rows by table, in order.
pub(crate) type Rows = BTreeMap<String, Vec<String>>;

pub(crate) fn assert_same(what: &str, got: &Rows, expected: &Rows) {
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (table, expected) in expected {
        let got = &got[table];
        let differing = got.iter().zip(expected).find(|(got, expected)| got != expected);
        assert!(got == expected, "{what}, {table}: {} rows, not {}: {differing:#?}", got.len(), expected.len());
    }
}

/// The rows of all files below a directory. Fails on a file that is not whole.
pub(crate) fn rows(output: &Path) -> Rows {
    let files = files(output);
    assert_eq!(files.iter().find(|file| is_unfinished(file)), None);
    rows_of(output, &files)
}

/// The same while a consumer may be writing some.
pub(crate) fn rows_so_far(output: &Path) -> Rows {
    let mut files = files(output);
    files.retain(|file| !is_unfinished(file));
    rows_of(output, &files)
}

fn is_unfinished(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "unfinished")
}

fn rows_of(output: &Path, files: &[PathBuf]) -> Rows {
    let mut rows = Rows::new();
    for file in files {
        let name = file.strip_prefix(output).unwrap().to_str().unwrap().to_owned();
        let table = name.split('/').next().unwrap().to_owned();
        let mut text = String::new();
        let bytes = std::fs::File::open(file).unwrap();
        match name.ends_with(".gz") {
            true => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text),
            false => std::io::BufReader::new(bytes).read_to_string(&mut text),
        }
        .unwrap();
        let hour: String = name.split('/').skip(1).take(4).collect::<Vec<_>>().join("/");
        rows.entry(table).or_default().extend(text.lines().map(|line| format!("{hour} {line}")));
    }
    rows.values_mut().for_each(|rows| rows.sort());
    rows
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A row without the hour before it.
pub(crate) fn parsed(row: &str) -> Value {
    serde_json::from_str(row.split_once(' ').unwrap().1).unwrap()
}

/// An HTTP server that takes requests and never answers. Returns its address.
pub(crate) async fn silent(requests: Arc<AtomicU64>) -> String {
    let app = Router::new().fallback(move || {
        requests.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>()
    });
    listen(app).await
}

/// An HTTP server that takes everything, and keeps the posted bodies. Returns its address.
pub(crate) async fn recording(posted: Arc<Mutex<Vec<u8>>>) -> String {
    let app = Router::new().fallback(async move |body: axum::body::Bytes| {
        posted.lock().unwrap().extend(&body);
    });
    format!("{}/", listen(app).await)
}
