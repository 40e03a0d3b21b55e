//! What somebody needs who runs the consumer: figures over HTTP, messages, and an end when asked.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{STREAM, Server, output, succeed};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn click(number: usize) -> (String, Vec<u8>) {
    let (user, second) = (number % 20, number);
    let time = stagger::Timestamp::from_secs(1_767_571_200 + second as i64);
    let line = format!(r#"{{"user_id":{user},"device_id":"d","client_event":"e","client_timestamp":"{time}"}}"#);
    (user.to_string(), line.into_bytes())
}

/// A consumer that is at work, and what it tells on standard error.
struct Running {
    child: Child,
    told: std::sync::mpsc::Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, told }
    }

    /// The first line with these words.
    fn until_told(&self, words: &str) -> String {
        loop {
            let line = self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never told of {words:?}"));
            if line.contains(words) {
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

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_and_health_are_served_and_told() {
    let server = Server::start(2).await;
    server.put((0..100).map(click)).await;
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!(
        "consume --stream {STREAM} --gap 1h --poll-every 20ms --unpaced --checkpoint-every 100ms --report-every 100ms \
         --state {0}/state --output {0}/output --listen 127.0.0.1:0",
        folder.path().display()
    );
    let running = Running::start(server.command(&arguments));
    let address = running.address();
    let line = running.until_told("100 records");
    for part in ["shardId-000000000001 ", " s behind", "gap_1h: watermark 2026-", "open", "late", "checkpoint "] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
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
    let server = Server::start(1).await;
    server.put((0..40).map(click)).await;
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

#[test]
fn the_version_is_told() {
    let told = Command::new(env!("CARGO_BIN_EXE_kinesis")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(told.stdout).unwrap(), format!("kinesis {}\n", env!("CARGO_PKG_VERSION")));
}

/// Rows are lost that nobody reads: whoever started it must not take that for a good end.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_ends_it_as_sigpipe_does() {
    let server = Server::start(1).await;
    server.put((0..40).map(click)).await;
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
    tokio::task::spawn_blocking(move || command.spawn().unwrap().wait_with_output().unwrap()).await.unwrap()
}
