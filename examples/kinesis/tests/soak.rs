//! Millions of records through the server at full speed: memory stays flat, and figures come out.
//!
//! Not one of the usual tests, since it takes minutes:
//! `cargo test --release -p kinesis --test soak -- --ignored --nocapture`. `STAGGER_SOAK` is the number
//! of records, five million if it is not given.
#![cfg(target_os = "linux")] // memory and time are read from /proc

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::program::testing::Running;
use support::{parsed, rows};

const STREAM: &str = "clicks";

/// Far longer than all of it takes.
const A_DAY: Duration = Duration::from_secs(86_400);

fn program(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis"));
    command.args(arguments.split_whitespace()).stdin(Stdio::null()).env_remove("AWS_ENDPOINT_URL");
    command
}

/// A server in a process of its own, so that the memory of its records does not count; and its address.
fn server() -> (Running, String) {
    let mut serve = program(&format!("serve --port 0 --stream {STREAM} --shards 4"));
    let mut child = Running::start_within(A_DAY, serve.stdout(Stdio::piped()));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = lines.find_map(|line| Some(line.unwrap().split_once("AWS_ENDPOINT_URL=")?.1.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    (child, endpoint)
}

/// Memory in use now, in MiB.
fn resident(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Seconds of processor time, in the program and in the kernel.
fn processor(pid: u32) -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |index: usize| Some(fields.get(index)?.parse::<f64>().ok()? / 100.0);
    Some((seconds(11)?, seconds(12)?))
}

/// Runs the consumer to the end. Returns its memory once a second, and prints its figures.
fn consume(what: &str, endpoint: &str, folder: &Path, records: u64) -> Vec<f64> {
    let arguments = format!(
        "consume --endpoint {endpoint} --stream {STREAM} --gap 30s --step 30s --out-of-order 10s --unpaced --poll-every 50ms \
         --state {0}/state --output {0}/output --stop-when-idle 3s --flush",
        folder.display()
    );
    let start = Instant::now();
    let mut child = Running::start_within(A_DAY, &mut program(&arguments));
    let pid = child.id();
    let (mut memory, mut used) = (Vec::new(), (0.0, 0.0));
    while child.try_wait().is_none() {
        memory.extend(resident(pid));
        used = processor(pid).unwrap_or(used);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(child.wait().success());
    let seconds = start.elapsed().as_secs_f64() - 5.0; // it waits for more at the end: three seconds, and two of slack
    eprintln!(
        "{what}: {records} records in {seconds:.0} s, {:.0} records/s; {:.1} s of processor in the program and {:.1} s in the kernel; \
         memory {:?} MiB",
        records as f64 / seconds,
        used.0,
        used.1,
        memory.iter().map(|mib| mib.round()).collect::<Vec<_>>()
    );
    let tables = rows(&folder.join("output"));
    for table in ["gap_30s", "step_30s"] {
        let events: u64 = tables[table].iter().map(|row| parsed(row)["events"].as_u64().unwrap()).sum();
        let late = tables.get("errors").map_or(0, |errors| errors.iter().filter(|row| row.contains(table)).count());
        assert_eq!(events + late as u64, records, "{table}");
        eprintln!("{what}: {} rows in {table}, {late} late", tables[table].len());
    }
    memory
}

/// In the second half the memory is at most a tenth above that of the first.
fn assert_flat(memory: &[f64]) {
    let (first, second) = memory.split_at(memory.len() / 2);
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    assert!(most(second) <= 1.1 * most(first), "{:.0} MiB, then {:.0} MiB", most(first), most(second));
}

#[test]
#[ignore = "takes minutes"]
fn memory_is_flat_at_full_speed() {
    let records: u64 = std::env::var("STAGGER_SOAK").map_or(5_000_000, |records| records.parse().unwrap());
    let (_server, endpoint) = server();
    let folder = tempfile::tempdir().unwrap();
    let produce = format!(
        "produce --endpoint {endpoint} --stream {STREAM} --clicks --users 20000 --rate 2000 --disorder 5s --full-speed --events {records}"
    );
    let start = Instant::now();
    let producer = Running::start_within(A_DAY, &mut program(&produce));
    // While records come.
    let live = consume("live", &endpoint, &folder.path().join("live"), records);
    drop(producer);
    eprintln!("all of it in {:.0} s", start.elapsed().as_secs_f64());
    // All of it from the oldest record, nothing else going on.
    let backlog = consume("backlog", &endpoint, &folder.path().join("backlog"), records);
    assert_flat(&live);
    assert_flat(&backlog);
}
