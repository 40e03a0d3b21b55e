//! What somebody needs who runs the consumer: figures over HTTP, messages, and an end when asked.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use program::testing::PATIENCE;
use support::{STREAM, Server, output, succeed};

fn click(number: usize) -> (String, Vec<u8>) {
    let (user, second) = (number % 20, number);
    let time = stagger::Timestamp::from_secs(1_767_571_200 + second as i64);
    let line = format!(r#"{{"user_id":{user},"device_id":"d","client_event":"e","client_timestamp":"{time}"}}"#);
    (user.to_string(), line.into_bytes())
}

/// A server with this number of shards and clicks.
async fn with_clicks(shards: i32, clicks: usize) -> Server {
    let server = Server::start(shards).await;
    server.put((0..clicks).map(click)).await;
    server
}

/// A running consumer, and its messages on standard error.
struct Running {
    child: program::testing::Running,
    told: std::sync::mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = program::testing::Running::start(command.stderr(Stdio::piped()));
        let (tell, told) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, told }
    }

    /// The first line with these words.
    fn until_told(&self, words: &str) -> String {
        self.until_told_all(&[words])
    }

    /// The first line that has all of these.
    fn until_told_all(&self, parts: &[&str]) -> String {
        loop {
            let line = self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line has all of {parts:?}"));
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
    }

    /// Where it listens, as a word in a message.
    fn address(&self) -> String {
        let line = self.until_told("/healthz");
        let after = line.split_once("metrics are at http://").unwrap().1;
        after.split_once('/').unwrap().0.to_owned()
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_and_health_are_served_and_told() {
    let server = with_clicks(2, 100).await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!(
        "consume --stream {STREAM} --gap 1h --poll-every 20ms --unpaced --checkpoint-every 100ms --report-every 100ms \
         --state {0}/state --output {0}/output --listen 127.0.0.1:0",
        folder.path().display()
    );
    let running = Running::start(server.command(&arguments));
    let address = running.address();
    // All records may have been read before the watermark has moved: a report a moment later tells of both.
    running.until_told_all(&[
        "100 records",
        "shardId-000000000001 ",
        " s behind",
        "gap_1h: watermark 2026-",
        "20 open",
        "late",
        "checkpoint ",
    ]);
    let (code, metrics) = get(&address, "/metrics").await;
    assert_eq!(code, 200);
    for part in [
        "kinesis_consumer_records_total 100\n",
        "kinesis_consumer_open_sessions{rule=\"gap_1h\"} 20\n",
        "kinesis_consumer_shard_lag_seconds{shard=\"shardId-000000000000\"} 0\n",
        "kinesis_consumer_checkpoint_age_seconds ",
    ] {
        assert!(metrics.contains(part), "no {part:?} in\n{metrics}");
    }
    assert_eq!(get(&address, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/").await.0, 404);
    let (told, _) = succeed(server.command(&format!("health --listen {address}"))).await;
    assert_eq!(told, "ok\n");

    drop(running);
    let nobody = output(server.command(&format!("health --listen {address}"))).await;
    let told = String::from_utf8(nobody.stderr).unwrap();
    assert!(!nobody.status.success() && told.contains("is the consumer started with --listen?"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_told() {
    let server = Server::start(1).await;
    let taken = server.endpoint.strip_prefix("http://").unwrap();
    let refused = output(server.command(&format!("consume --stream {STREAM} --listen {taken}"))).await;
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains(&format!("cannot listen on {taken}: choose another")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_those_of_the_level_that_is_asked_for() {
    let server = Server::start(1).await;
    server.faults.refuse.store(3, std::sync::atomic::Ordering::Relaxed);
    let ends = format!("consume --stream {STREAM} --poll-every 20ms --unpaced --stop-when-idle 1s");
    let (_, told) = succeed(server.command(&ends)).await;
    assert!(told.contains(" WARN ") && told.contains("ServiceUnavailable: made up; trying again"), "{told}");
    let (_, told) = succeed(server.command(&format!("{ends} --log-level error"))).await;
    assert_eq!(told.lines().count(), 1, "only the line at the end: {told}");
    let mut quiet = server.command(&ends);
    quiet.env("RUST_LOG", "kinesis=off");
    let (_, told) = succeed(quiet).await;
    assert_eq!(told.lines().count(), 1, "only the line at the end: {told}");
    let refused = output(server.command(&format!("{ends} --log-level loud"))).await;
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("give off, error, warn, info, debug or trace"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_still_open_are_told_with_what_becomes_of_them() {
    let server = with_clicks(1, 40).await;
    let folder = tempfile::tempdir().unwrap();
    let ends = format!("consume --stream {STREAM} --gap 1h --poll-every 20ms --unpaced --stop-when-idle 1s");
    let (_, told) = succeed(server.command(&ends)).await;
    let dropped = "; 20 sessions are still open, dropped: --state keeps them, --flush closes them\n";
    assert!(told.ends_with(dropped), "{told}");
    let state = folder.path().join("state").display().to_string();
    let (_, told) = succeed(server.command(&format!("{ends} --state {state}"))).await;
    assert!(told.ends_with(&format!("; 20 sessions are still open, kept in {state} for the next run\n")), "{told}");
    let (_, told) = succeed(server.command(&format!("{ends} --flush"))).await;
    assert!(!told.contains("still open"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_that_cannot_be_written_is_told_at_the_start() {
    let server = Server::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let arguments = |output: &str| {
        format!(
            "consume --stream {STREAM} --stop-when-idle 1s --state {0}/state --output {0}/{output} --prefix a/",
            folder.path().display()
        )
    };
    let refused = output(server.command(&arguments("file"))).await;
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("--output takes no files: cannot write ") && told.contains("file/a/.writable"), "{told}");
    succeed(server.command(&arguments("new"))).await;
    assert_eq!(support::files(&folder.path().join("new")), [] as [std::path::PathBuf; 0], "the attempt leaves nothing");
}

#[test]
fn the_version_is_told() {
    let told = Command::new(env!("CARGO_BIN_EXE_kinesis")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(told.stdout).unwrap(), format!("kinesis {}\n", env!("CARGO_PKG_VERSION")));
}

/// Rows are lost that nobody reads: whoever started it must not take that for a good end.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_ends_it_as_sigpipe_does() {
    let server = with_clicks(1, 40).await;
    let mut command = server.command(&format!("consume --stream {STREAM} --poll-every 20ms --unpaced --flush"));
    command.arg("--stop-when-idle").arg("1s");
    let (reads, writes) = std::io::pipe().unwrap();
    drop(reads);
    let ended = output_to(command, writes).await;
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), told.contains("roken pipe")), (Some(128 + 13), false), "{told}");
}

#[cfg(unix)]
async fn output_to(mut command: Command, stdout: std::io::PipeWriter) -> std::process::Output {
    command.stdout(stdout).stderr(Stdio::piped());
    let run = move || program::testing::Running::start(&mut command).wait_with_output();
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Servers that hang, refuse and fail, and the signal that asks for an end.
#[cfg(unix)]
mod signals {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use std::process::ExitStatus;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Instant;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::{Request, State};
    use axum::http::{HeaderMap, Method, StatusCode};
    use axum::response::{IntoResponse, Response};
    use base64::Engine as _;
    use serde_json::{Value, json};
    use support::{listen, parsed, rows, silent, until};

    use super::*;

    impl Running {
        /// Asks for an end, and waits for it. Returns all that was told.
        async fn terminate(self) -> (ExitStatus, String) {
            self.ask_to_end();
            self.end().await
        }

        fn ask_to_end(&self) {
            self.child.signal(program::testing::Signal::TERM);
        }

        async fn end(mut self) -> (ExitStatus, String) {
            let mut status = None;
            until("the end of the consumer", || {
                status = self.child.try_wait();
                status.is_some()
            })
            .await;
            (status.unwrap(), self.told.iter().collect::<Vec<_>>().join("\n"))
        }
    }

    /// Sessions of one click each, of which all but the last ones close at once.
    fn consume(more: &str) -> String {
        format!(
            "consume --stream {STREAM} --gap 15s --out-of-order 0s --poll-every 20ms --unpaced --arrival-slack 1s \
             --checkpoint-every 100ms --buffer-interval 0s --compression none {more}"
        )
    }

    /// The same, with an alert for each session.
    fn alerting(server: &Server, webhook: &str, more: &str) -> Command {
        let mut command = server.command(&consume(&format!("{more} --webhook {webhook} --alert")));
        command.arg("events > 0").stdout(Stdio::null());
        command
    }

    fn places(folder: &Path) -> String {
        format!("--state {0}/state --output {0}/output", folder.display())
    }

    /// Rows in files, while the program may be writing some.
    fn count(folder: &Path) -> usize {
        let files = support::files(&folder.join("output"));
        let finished = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "json"));
        finished.map(|file| std::fs::read_to_string(file).unwrap().lines().count()).sum()
    }

    fn ids(folder: &Path) -> Vec<String> {
        let rows = rows(&folder.join("output"));
        let mut ids: Vec<_> = rows["gap_15s"].iter().map(|row| text(&parsed(row), "session_id")).collect();
        ids.sort();
        ids
    }

    fn text(row: &Value, name: &str) -> String {
        row[name].as_str().unwrap().to_owned()
    }

    type Taken = Arc<Mutex<Vec<Value>>>;

    async fn webhook() -> (String, Taken) {
        let taken = Taken::default();
        let take = async |State(taken): State<Taken>, body: Bytes| {
            taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        };
        (listen(Router::new().fallback(take).with_state(Arc::clone(&taken))).await, taken)
    }

    async fn absent() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_webhook_that_takes_nothing_holds_no_row_up_and_gets_its_alerts_later() {
        let failing = listen(Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR })).await;
        for address in [silent(Arc::default()).await, absent().await, failing] {
            let server = with_clicks(1, 200).await;
            let folder = tempfile::tempdir().unwrap();
            let command =
                |webhook: &str, more: &str| alerting(&server, webhook, &format!("{} {more}", places(folder.path())));
            let running = Running::start(command(&address, ""));
            until("the rows of closed sessions", || count(folder.path()) >= 150).await;
            let (status, told) = running.terminate().await;
            assert!(status.success(), "{told}");
            assert!(told.contains(" alerts that the webhook has not taken are kept in "), "{told}");

            let (address, taken) = webhook().await;
            succeed(command(&address, "--stop-when-idle 1s --flush")).await;
            let alerts: Vec<String> =
                taken.lock().unwrap().iter().map(|post| text(&post["session"], "session_id")).collect();
            assert_eq!(alerts.len(), 200, "each once");
            assert_eq!(alerts.into_iter().collect::<BTreeSet<_>>(), ids(folder.path()).into_iter().collect());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn alerts_that_nothing_keeps_are_told_as_lost() {
        let server = with_clicks(1, 200).await;
        let posts = Arc::new(AtomicU64::new(0));
        let running = Running::start(alerting(&server, &silent(Arc::clone(&posts)).await, ""));
        until("a post", || posts.load(Ordering::SeqCst) > 0).await;
        let (status, told) = running.terminate().await;
        assert!(status.success(), "{told}");
        assert!(told.contains(" alerts that the webhook has not taken are lost: --state keeps them"), "{told}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_kill_loses_no_alert() {
        let server = with_clicks(1, 200).await;
        let folder = tempfile::tempdir().unwrap();
        let command =
            |webhook: &str, more: &str| alerting(&server, webhook, &format!("{} {more}", places(folder.path())));
        let running = Running::start(command(&silent(Arc::default()).await, ""));
        until("the rows of closed sessions", || count(folder.path()) >= 150).await;
        drop(running); // which kills it
        let (address, taken) = webhook().await;
        succeed(command(&address, "--stop-when-idle 1s --flush")).await;
        let alerts = taken.lock().unwrap().iter().map(|post| text(&post["session"], "session_id")).collect();
        assert_eq!(ids(folder.path()).into_iter().collect::<BTreeSet<_>>(), alerts);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn alerts_given_up_are_counted_over_a_restart() {
        let server = Server::start(1).await;
        let folder = tempfile::tempdir().unwrap();
        let refusing = listen(Router::new().fallback(|| async { StatusCode::BAD_REQUEST })).await;
        let places = places(folder.path());
        for (part, more) in [(0..200, ""), (200..400, "--flush")] {
            server.put(part.map(click)).await;
            server.until_the_next_second().await;
            let command = alerting(&server, &refusing, &format!("{places} --stop-when-idle 1s {more}"));
            let (_, told) = succeed(command).await;
            let given_up = if more.is_empty() { 185 } else { 400 };
            assert!(told.contains(&format!(", {given_up} given up by webhook")), "{told}");
            assert!(told.contains("webhook: it answered 400 Bad Request; given up: events > 0 for session "), "{told}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn kinesis_away_leaves_a_checkpoint() {
        let server = with_clicks(2, 200).await;
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(server.command(&consume(&places(folder.path()))));
        until("the rows of closed sessions", || count(folder.path()) >= 150).await;
        server.faults.hang.store(true, Ordering::SeqCst);
        let (status, told) = running.terminate().await;
        assert!(status.success(), "{told}");

        // Nor does it hang where it has not begun.
        let requests = Arc::new(AtomicU64::new(0));
        let mut command = server.command(&consume(""));
        command.env("AWS_ENDPOINT_URL", silent(Arc::clone(&requests)).await);
        let running = Running::start(command);
        until("a request", || requests.load(Ordering::SeqCst) > 0).await;
        assert!(running.terminate().await.0.success());

        server.faults.hang.store(false, Ordering::SeqCst);
        succeed(server.command(&consume(&format!("{} --stop-when-idle 1s --flush", places(folder.path()))))).await;
        assert_eq!(ids(folder.path()).into_iter().collect::<BTreeSet<_>>().len(), 200);
        assert_eq!(count(folder.path()), 200);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn cloudwatch_away_holds_no_row_up() {
        let server = with_clicks(1, 200).await;
        let folder = tempfile::tempdir().unwrap();
        let mut command = server.command(&consume(&format!("{} --metrics Sessions", places(folder.path()))));
        let requests = Arc::new(AtomicU64::new(0));
        command.env("AWS_ENDPOINT_URL_CLOUDWATCH", silent(Arc::clone(&requests)).await);
        let running = Running::start(command);
        until("a request", || requests.load(Ordering::SeqCst) > 0).await;
        server.until_the_next_second().await;
        server.put((200..400).map(click)).await;
        until("the rows of closed sessions", || count(folder.path()) >= 350).await;
        let (status, told) = running.terminate().await;
        assert!(status.success(), "{told}");
        assert!(told.contains("CloudWatch does not answer: the last metrics will be missing"), "{told}");
    }

    /// A delivery stream that takes all.
    async fn firehose() -> (String, Taken) {
        let taken = Taken::default();
        let take = async |State(taken): State<Taken>, body: Bytes| {
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let records = asked["Records"].as_array().unwrap();
            let row = |record: &Value| {
                let data = base64::engine::general_purpose::STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
                serde_json::from_slice::<Value>(&data).unwrap()
            };
            taken.lock().unwrap().extend(records.iter().map(row));
            let taken: Vec<Value> = records.iter().map(|_| json!({"RecordId": "1"})).collect();
            json!({"FailedPutCount": 0, "RequestResponses": taken}).to_string()
        };
        (listen(Router::new().fallback(take).with_state(Arc::clone(&taken))).await, taken)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn firehose_away_leaves_its_rows_in_the_checkpoint() {
        let server = with_clicks(1, 200).await;
        let folder = tempfile::tempdir().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let command = |firehose: &str, more: &str| {
            let mut command = server.command(&consume(&format!("--state {}/state {more}", folder.path().display())));
            command.env("AWS_ENDPOINT_URL_FIREHOSE", firehose).stdout(Stdio::null());
            command
        };
        let running = Running::start(command(&silent(Arc::clone(&requests)).await, "--firehose rows"));
        until("a request", || requests.load(Ordering::SeqCst) > 0).await;
        let (status, told) = running.terminate().await;
        assert!(status.success() && told.contains(" rows that Firehose has not taken are kept in "), "{told}");

        // A run that sends nothing to Firehose keeps them, too.
        let (_, told) = succeed(command("", "--stop-when-idle 1s")).await;
        assert!(told.contains(" rows of an earlier run wait in the state: give --firehose to send them"), "{told}");

        let (address, taken) = firehose().await;
        let (_, told) = succeed(command(&address, "--firehose rows --stop-when-idle 1s --flush")).await;
        assert!(!told.contains("WARN"), "{told}");
        let ids: Vec<String> = taken.lock().unwrap().iter().map(|row| text(row, "session_id")).collect();
        assert_eq!((ids.len(), ids.into_iter().collect::<BTreeSet<_>>().len()), (200, 200));
    }

    /// A bucket that can be made to hang.
    #[derive(Default)]
    struct Bucket {
        objects: Mutex<BTreeMap<String, Vec<u8>>>,
        hangs: AtomicBool,
        hanging: AtomicU64,
    }

    impl Bucket {
        async fn answer(State(bucket): State<Arc<Self>>, request: Request) -> Response {
            if bucket.hangs.load(Ordering::SeqCst) {
                bucket.hanging.fetch_add(1, Ordering::SeqCst);
                return std::future::pending().await;
            }
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let name = parts.uri.path().trim_start_matches("/mine/").to_owned();
            let mut objects = bucket.objects.lock().unwrap();
            let found = objects.get(&name).cloned();
            let error = |status: StatusCode, code: &str| (status, format!("<Error><Code>{code}</Code></Error>"));
            let tag = |bytes: &[u8]| [("etag", format!("\"{:x}\"", crc32fast::hash(bytes)))];
            let has_condition = |headers: &HeaderMap| headers.contains_key("if-match");
            match parts.method {
                Method::PUT if has_condition(&parts.headers) && found.is_none() => {
                    error(StatusCode::NOT_FOUND, "NoSuchKey").into_response()
                }
                Method::PUT => {
                    let answer = tag(&body).into_response();
                    objects.insert(name, body.to_vec());
                    answer
                }
                Method::DELETE => {
                    objects.remove(&name);
                    StatusCode::NO_CONTENT.into_response()
                }
                _ if parts.uri.query().is_some_and(|query| query.contains("list-type")) => {
                    let keys: String = objects
                        .keys()
                        .filter(|key| key.starts_with("state/segments/"))
                        .map(|key| format!("<Contents><Key>{key}</Key></Contents>"))
                        .collect();
                    format!("<ListBucketResult>{keys}</ListBucketResult>").into_response()
                }
                _ => match found {
                    Some(bytes) => (tag(&bytes), bytes).into_response(),
                    None => error(StatusCode::NOT_FOUND, "NoSuchKey").into_response(),
                },
            }
        }

        fn has_segments(&self) -> bool {
            self.objects.lock().unwrap().keys().any(|name| name.starts_with("state/segments/"))
        }

        fn rows(&self) -> Vec<Value> {
            let objects = self.objects.lock().unwrap();
            let files = objects.iter().filter(|(name, _)| name.starts_with("gap_15s/"));
            let text: String = files.map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    /// A consumer whose state and files are in a bucket.
    struct InABucket {
        server: Server,
        bucket: Arc<Bucket>,
        s3: String,
    }

    impl InABucket {
        async fn new() -> Self {
            let (server, bucket) = (with_clicks(1, 200).await, Arc::<Bucket>::default());
            let s3 = listen(Router::new().fallback(Bucket::answer).with_state(Arc::clone(&bucket))).await;
            Self { server, bucket, s3 }
        }

        fn command(&self, more: &str) -> Command {
            let places = "--state s3://mine/state --output s3://mine";
            let mut command = self.server.command(&consume(&format!("{places} {more}")));
            command.env("AWS_ENDPOINT_URL_S3", &self.s3);
            command
        }

        /// A consumer that has written the rows of closed sessions when the bucket begins to hang.
        async fn hanging(&self) -> Running {
            let running = Running::start(self.command(""));
            until("the rows of closed sessions, and nothing else to do", || {
                self.bucket.rows().len() >= 150 && !self.bucket.has_segments()
            })
            .await;
            self.bucket.hangs.store(true, Ordering::SeqCst);
            self.server.until_the_next_second().await;
            self.server.put((200..400).map(click)).await;
            until("a request that hangs", || self.bucket.hanging.load(Ordering::SeqCst) > 0).await;
            running
        }

        /// From now on only new requests are answered: those that hang do so for ever.
        fn come_back(&self) {
            self.bucket.hangs.store(false, Ordering::SeqCst);
        }

        async fn each_session_is_there_once(&self) {
            succeed(self.command("--stop-when-idle 1s --flush")).await;
            let ids: Vec<String> = self.bucket.rows().iter().map(|row| text(row, "session_id")).collect();
            assert_eq!((ids.len(), ids.into_iter().collect::<BTreeSet<_>>().len()), (400, 400));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s3_away_ends_it_in_time_and_the_next_run_goes_on() {
        let consumer = InABucket::new().await;
        let (status, told) = consumer.hanging().await.terminate().await;
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(
            told.contains("no checkpoint could be written within 8 s: the next run on s3://mine/state goes on"),
            "{told}"
        );
        consumer.come_back();
        consumer.each_session_is_there_once().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s3_that_comes_back_in_time_gets_a_checkpoint() {
        let consumer = InABucket::new().await;
        let running = consumer.hanging().await;
        running.ask_to_end();
        consumer.come_back();
        let (status, told) = running.end().await;
        assert!(status.success() && told.contains("S3 PutObject: no answer; trying again"), "{told}");
        consumer.each_session_is_there_once().await;
    }

    /// The thread that writes hangs in the system, so nothing but the process can end.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_pipe_that_nobody_reads_does_not_keep_it() {
        let server = Server::start(1).await;
        server.put((0..2_000).map(click)).await;
        let (_reads, writes) = std::io::pipe().unwrap();
        let mut command = server.command(&consume("--listen 127.0.0.1:0"));
        command.stdout(writes);
        let running = Running::start(command);
        let address = running.address();
        let began = Instant::now();
        loop {
            let (_, metrics) = get(&address, "/metrics").await;
            let age = metrics.lines().find_map(|line| line.strip_prefix("kinesis_consumer_step_age_seconds "));
            let has_read = !metrics.contains("shard_records_total{shard=\"shardId-000000000000\"} 0\n");
            if has_read && age.unwrap().parse::<f64>().unwrap() > 7.0 {
                break; // no step takes longer than five seconds unless it hangs
            }
            assert!(began.elapsed() < PATIENCE, "it has not hung");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (status, told) = running.terminate().await;
        assert_eq!(status.code(), Some(1));
        assert!(told.contains("no end within 9 s of the signal"), "{told}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn produce_ends_in_time_too() {
        let server = Server::start(1).await;
        let requests = Arc::new(AtomicU64::new(0));
        let mut command = server.command(&format!("produce --stream {STREAM} --clicks --rate 100"));
        command.env("AWS_ENDPOINT_URL", silent(Arc::clone(&requests)).await).stdout(Stdio::null());
        let running = Running::start(command);
        until("a request", || requests.load(Ordering::SeqCst) > 0).await;
        let (status, told) = running.terminate().await;
        assert_eq!(status.code(), Some(1));
        assert!(told.contains("no end within 9 s of the signal"), "{told}");
    }
}
