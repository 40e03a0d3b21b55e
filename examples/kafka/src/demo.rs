//! All of it on one machine: a broker, clicks, and processes that die and come while clicks flow.

use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::options::{Connection, Demo, GroupOptions};
use crate::report;
use crate::restore;
use crate::topics::{self, Side};
use anyhow::{Context, Result, bail, ensure};

const INPUT: &str = "demo-clicks";
const RULES: [&str; 4] = ["--gap", "5m", "--step", "30s"];
/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(180);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Clicks come in this number of portions, and something happens before some of them.
const HELPINGS: u64 = 10;

/// A process, which goes with the demonstration.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Kafka of the demonstration.
struct Stage {
    connection: Connection,
    began: Instant,
    _broker: Option<Process>,
}

pub(crate) fn demo(options: &Demo) -> Result<()> {
    let stage = Stage::new(options)?;
    let group = group("demo-sessions");
    let mut produced = stage.produce(0, options.events)?;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(stage.worker(&group, &["--session-timeout", "3s"])?);
    }
    stage.say("three processes share the partitions")?;
    for helping in 1..HELPINGS {
        produced += stage.produce(helping, options.events)?;
        match helping {
            3 => {
                workers.remove(0);
                stage
                    .say("one process is killed (SIGKILL): after 3 s of silence the others take its partitions over")?;
            }
            6 => {
                workers.push(stage.worker(&group, &["--session-timeout", "3s"])?);
                stage.say("one process is added: partitions move to it one by one")?;
            }
            _ => thread::sleep(Duration::from_secs(1)),
        }
    }
    stage.until_read(&group)?;
    stage.say(&format!("{produced} clicks are read and committed"))?;
    drop(workers);
    let alone = self::group("demo-alone");
    let undisturbed = stage.worker(&alone, &["--stop-when-idle", "3s"])?;
    ensure!(stage.end(undisturbed)?.success(), "the undisturbed process has failed");
    stage.say("one undisturbed process has read the same clicks")?;
    stage.compare(&group, &alone, produced)
}

fn group(name: &str) -> GroupOptions {
    GroupOptions::of(INPUT, name)
}

impl Stage {
    fn new(options: &Demo) -> Result<Self> {
        let began = Instant::now();
        let (broker, bootstrap) = match &options.bootstrap {
            Some(bootstrap) => (None, bootstrap.clone()),
            None => {
                let mut broker = this(&["serve", "--port", "0"]).stdout(Stdio::piped()).spawn().map(Process)?;
                let mut line = String::new();
                let said = broker.0.stdout.take().context("the broker says nothing")?;
                BufReader::new(said).read_line(&mut line)?;
                (Some(broker), line.trim().to_owned())
            }
        };
        let connection = Connection::to(bootstrap);
        let stage = Self { connection, began, _broker: broker };
        ensure!(
            topics::partitions_of(&stage.connection, INPUT)?.is_none(),
            "there is a topic {INPUT} already: delete it and all that begin with demo-, and try again"
        );
        stage.say(&format!("Kafka is at {}", stage.connection.bootstrap))?;
        Ok(stage)
    }

    fn say(&self, text: &str) -> Result<()> {
        Ok(writeln!(stdout(), "{:>6.1} s  {text}", self.began.elapsed().as_secs_f64())?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = this(arguments);
        command.env("KAFKA_BOOTSTRAP", &self.connection.bootstrap);
        command
    }

    /// A helping of all clicks, a little untidy. Returns how many.
    fn produce(&self, helping: u64, all: u64) -> Result<u64> {
        let (events, seed) = ((all / HELPINGS).max(1).to_string(), helping.to_string());
        let minutes = 20 * helping;
        let start = format!("2026-11-27T{:02}:{:02}:00Z", 8 + minutes / 60, minutes % 60);
        let what = ["produce", "--topic", INPUT, "--at-once", "--events", &events, "--seed", &seed, "--start", &start];
        let untidy = ["--disorder", "15s", "--stragglers", "0.01", "--broken", "0.01"];
        let output = self.command(&[&what[..], &untidy].concat()).stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.split(' ').next().and_then(|count| count.parse().ok()).context("the clicks were not taken")
    }

    fn worker(&self, group: &GroupOptions, more: &[&str]) -> Result<Process> {
        let own = ["run", "--input", INPUT, "--output", group.output(), "--group", &group.group];
        let child = self.command(&[&own[..], &RULES, more].concat()).stderr(Stdio::null()).spawn()?;
        Ok(Process(child))
    }

    fn until_read(&self, group: &GroupOptions) -> Result<()> {
        while report::lines(&self.connection, group)?.iter().any(|line| line.lag > 0) {
            if self.began.elapsed() > PATIENCE {
                bail!("the clicks are not read in time");
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        Ok(())
    }

    fn end(&self, mut process: Process) -> Result<ExitStatus> {
        loop {
            if let Some(status) = process.0.try_wait()? {
                return Ok(status);
            }
            ensure!(self.began.elapsed() < PATIENCE, "the undisturbed process does not end in time");
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// All committed rows of a topic, sorted.
    fn rows(&self, topic: &str) -> Result<Vec<Vec<u8>>> {
        let partitions = topics::partitions_of(&self.connection, topic)?.unwrap_or(0);
        let mut rows = Vec::new();
        for partition in 0..partitions {
            restore::each(&self.connection, topic, partition, 0, |input| {
                rows.push(input.value.unwrap_or_default().to_vec());
                Ok(())
            })?;
        }
        rows.sort_unstable();
        Ok(rows)
    }

    fn compare(&self, disturbed: &GroupOptions, alone: &GroupOptions, produced: u64) -> Result<()> {
        let topics = |group: &GroupOptions| {
            let sides = Side::ALL.map(|side| side.topic(group.output()));
            std::iter::once(group.output().to_owned()).chain(sides).collect::<Vec<_>>()
        };
        for (topic, other) in topics(disturbed).iter().zip(topics(alone)) {
            let (rows, expected) = (self.rows(topic)?, self.rows(&other)?);
            ensure!(rows == expected, "{topic} differs from {other}: {} and {} rows", rows.len(), expected.len());
            self.say(&format!("{topic}: {} rows, each as the undisturbed process writes it", rows.len()))?;
        }
        let lines = report::lines(&self.connection, disturbed)?;
        let counts = || lines.iter().filter_map(|line| Some(&line.note.as_ref()?.counts));
        let records: u64 = counts().map(|counts| counts.records).sum();
        ensure!(records == produced, "{produced} clicks were written and {records} read");
        let of = |of: fn(&crate::sessions::RuleCounts) -> u64| -> u64 { counts().flat_map(|c| &c.rules).map(of).sum() };
        self.say(&format!(
            "nothing is lost or doubled: {records} records, under {} rules {} in sessions that closed, {} in open ones, \
             {} late; {} refused, {} unreadable",
            RULES.len() / 2,
            of(|rule| rule.closed),
            of(|rule| rule.open),
            of(|rule| rule.late),
            counts().map(|counts| counts.refused).sum::<u64>(),
            counts().map(|counts| counts.unreadable).sum::<u64>()
        ))
    }
}

/// This program again.
fn this(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| "kafka".into()));
    command.args(arguments);
    command
}
