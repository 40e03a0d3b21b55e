//! A broker, workers and readers as processes, as a user has them.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use program::testing::{PATIENCE, Running, Signal, free_port, output, until};
use serde_json::Value;

/// Brokers and workers end with their test, however long it is asked to take; each wait for them has an end of its own.
const WHOLE_TEST: Duration = Duration::from_secs(86_400);

pub const KAFKA: &str = env!("CARGO_BIN_EXE_kafka");

/// Kafka for one test: its own, or the one that `KAFKA_TEST_BOOTSTRAP` names.
pub struct Kafka {
    own: Mutex<Option<Running>>,
    /// The file in which it outlives its process.
    journal: Option<String>,
    pub bootstrap: String,
    /// Names of topics and groups begin with it.
    pub prefix: String,
}

impl Kafka {
    pub fn new(name: &str) -> Self {
        let prefix = format!("{name}-{}", std::process::id());
        if let Ok(bootstrap) = std::env::var("KAFKA_TEST_BOOTSTRAP") {
            return Self { own: Mutex::new(None), journal: None, bootstrap, prefix };
        }
        let (own, bootstrap) = serve(&["--port", "0"]).unwrap();
        Self { own: Mutex::new(Some(own)), journal: None, bootstrap, prefix }
    }

    /// A broker in this process that refuses every so many commits.
    pub fn refusing(name: &str, every: u64) -> Self {
        let bootstrap = broker::Broker::refusing(every).unwrap().bootstrap();
        Self { own: Mutex::new(None), journal: None, bootstrap, prefix: format!("{name}-{}", std::process::id()) }
    }

    /// A broker with a journal.
    pub fn lasting(name: &str) -> Self {
        let prefix = format!("{name}-{}", std::process::id());
        let journal = format!("{}/{prefix}.journal", env!("CARGO_TARGET_TMPDIR"));
        let _ = fs::remove_file(&journal); // of a process of the same number, which was killed
        let (own, bootstrap) = serve(&["--port", &free_port().to_string(), "--journal", &journal]).unwrap();
        Self { own: Mutex::new(Some(own)), journal: Some(journal), bootstrap, prefix }
    }

    /// Kills the broker, and starts it again after a while.
    pub fn kill_broker(&self, away: Duration) {
        let mut own = self.own.lock().unwrap();
        drop(own.take().unwrap());
        thread::sleep(away);
        let port = self.bootstrap.rsplit(':').next().unwrap();
        let journal = self.journal.as_deref().unwrap();
        *own = Some(serve(&["--port", port, "--journal", journal]).expect("the port is still free").0);
    }

    /// Tansu on a port of this machine, in memory, once it listens.
    pub fn tansu(name: &str, program: &Path) -> Self {
        let (bootstrap, prefix) = (format!("127.0.0.1:{}", free_port()), format!("{name}-{}", std::process::id()));
        let listener = format!("tcp://{bootstrap}");
        let mut command = Command::new(program);
        command.args(["broker", "--listener-url", &listener, "--advertised-listener-url", &listener]);
        command.args(["--storage-engine", "memory://tansu/"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut own = Running::start_within(WHOLE_TEST, &mut command);
        until("Tansu", || {
            assert_eq!(own.try_wait(), None, "it has ended");
            TcpStream::connect(&bootstrap).is_ok()
        });
        Self { own: Mutex::new(Some(own)), journal: None, bootstrap, prefix }
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(KAFKA);
        command.args(arguments).env("KAFKA_BOOTSTRAP", &self.bootstrap);
        command
    }

    pub fn output(&self, arguments: &[&str]) -> String {
        let output = output(&mut self.command(arguments));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {err}");
        out.into_owned()
    }

    /// Puts clicks on a topic. Returns how many.
    pub fn produce(&self, topic: &str, arguments: &[&str]) -> u64 {
        let text = self.output(&[&["produce", "--topic", topic, "--at-once"], arguments].concat());
        text.split(' ').next().unwrap().parse().unwrap()
    }

    /// A process of a group, whose messages go to a file.
    pub fn worker(&self, topic: &str, group: &str, arguments: &[&str]) -> Worker {
        self.spawn(&[&["run", "--input", topic, "--output", group, "--group", group], arguments].concat())
    }

    /// Any process, whose messages go to a file.
    pub fn spawn(&self, arguments: &[&str]) -> Worker {
        let log = format!("{}/{}.log", env!("CARGO_TARGET_TMPDIR"), self.prefix);
        let log: File = OpenOptions::new().create(true).append(true).open(log).unwrap();
        Worker { child: Running::start_within(WHOLE_TEST, self.command(arguments).stderr(log)) }
    }

    /// All committed rows of a topic, sorted.
    pub fn rows(&self, topic: &str) -> Vec<String> {
        let mut rows: Vec<String> =
            self.output(&["watch", "--topic", topic, "--once"]).lines().map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    }

    /// The commits of the group, by partition.
    pub fn report(&self, topic: &str, group: &str) -> BTreeMap<u64, Value> {
        let text = self.output(&["report", "--json", "--input", topic, "--output", group, "--group", group]);
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["partition"].as_u64().unwrap(), line)).collect()
    }

    pub fn lag(&self, topic: &str, group: &str) -> u64 {
        self.report(topic, group).values().map(|line| line["lag"].as_u64().unwrap()).sum()
    }

    /// Waits until a group has committed everything.
    pub fn until_done(&self, topic: &str, group: &str, patience: Duration) {
        let until = Instant::now() + patience;
        while self.lag(topic, group) > 0 {
            assert!(Instant::now() < until, "{group} is still behind: {:?}", self.report(topic, group));
        }
    }

    /// Everything that a group has written, by topic.
    pub fn all_rows(&self, group: &str) -> BTreeMap<&'static str, Vec<String>> {
        let topic = |side: &str| if side.is_empty() { group.to_owned() } else { format!("{group}-{side}") };
        ["", "late", "refused", "unreadable"].into_iter().map(|side| (side, self.rows(&topic(side)))).collect()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.journal.as_ref().map(fs::remove_file);
    }
}

/// A broker and its address, if it could begin.
fn serve(arguments: &[&str]) -> Option<(Running, String)> {
    let mut own = Running::start(Command::new(KAFKA).arg("serve").args(arguments).stdout(Stdio::piped()));
    let mut bootstrap = String::new();
    BufReader::new(own.stdout.take().unwrap()).read_line(&mut bootstrap).unwrap();
    if bootstrap.is_empty() {
        own.wait();
        return None;
    }
    own.may_take(WHOLE_TEST);
    Some((own, bootstrap.trim().to_owned()))
}

pub struct Worker {
    child: Running,
}

impl Worker {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) {
        self.signal(Signal::TERM);
        self.child.may_take(PATIENCE);
        let status = self.child.wait();
        assert!(status.success() || status.signal() == Some(15), "{status}"); // 15: it had not begun
    }

    pub fn wait(&mut self) -> bool {
        self.child.may_take(PATIENCE);
        self.child.wait().success()
    }

    pub fn has_ended(&mut self) -> Option<bool> {
        self.child.try_wait().map(|status| status.success())
    }
}
