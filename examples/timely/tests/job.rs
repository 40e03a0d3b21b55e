//! The program as its user runs it: several workers, several processes, killed and started again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use program::testing::{Running, free_port, output};
use serde_json::Value;
use tempfile::TempDir;
use timely_sessions::state::CRASH;

const PROGRAM: &str = env!("CARGO_BIN_EXE_timely-sessions");
const FILES: usize = 3;
const RULE: [&str; 8] = ["--gap", "30s", "--out-of-order", "10s", "--epoch", "10s", "--checkpoint", "5m"];

/// An event of a file, as the naive reading sees it: user, seconds, value.
type Click = (u64, i64, usize);

/// Three files with clicks that are up to 10 s out of order, one of which is far behind, and a line that is none.
struct Input {
    folder: TempDir,
    files: Vec<Vec<Click>>,
}

impl Input {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut random = 88_172_645_463_325_252_u64;
        let mut next = move |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % most
        };
        let mut files = vec![Vec::new(); FILES];
        for second in 0..4_000 {
            for (file, clicks) in files.iter_mut().enumerate() {
                let time = second - next(10) as i64 - 600 * i64::from(second == 3_000 && file == 1);
                clicks.push((next(60), time, clicks.len()));
            }
        }
        for (index, clicks) in files.iter().enumerate() {
            let mut text = String::new();
            for (number, (user, time, value)) in clicks.iter().enumerate() {
                writeln!(text, r#"{{"user":"u{user}","time":{},"what":"v{value}"}}"#, 1_700_000_000 + time).unwrap();
                if index == 2 && number == 1_500 {
                    text += "no JSON\n";
                }
            }
            fs::write(folder.path().join(format!("{index}.jsonl")), text).unwrap();
        }
        Self { folder, files }
    }

    fn command(&self, state: &Path, workers: usize) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("run");
        command.args((0..FILES).map(|index| self.folder.path().join(format!("{index}.jsonl"))));
        command.args(["--key", "user", "--time", "time", "--value", "what"]).args(RULE);
        command.args(["--workers", &workers.to_string()]).arg("--state").arg(state);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts this many processes of one job.
    fn start(&self, state: &Path, workers: usize, processes: usize, crash: Option<usize>) -> Vec<Running> {
        let addresses = free_addresses(processes);
        (0..processes)
            .map(|process| {
                let mut command = self.command(state, workers);
                if processes > 1 {
                    command.args(["--addresses", &addresses, "--process", &process.to_string()]);
                }
                if let Some(number) = crash.filter(|_| process == processes - 1) {
                    command.env(CRASH, number.to_string());
                }
                Running::start(&mut command)
            })
            .collect()
    }

    fn run(&self, state: &Path, workers: usize, processes: usize, crash: Option<usize>) -> Vec<ExitStatus> {
        self.start(state, workers, processes, crash).into_iter().map(|mut child| child.wait()).collect()
    }

    /// The sessions by a loop that knows nothing of streams: the late click of the second file left out.
    fn expected(&self) -> Vec<(String, i64, i64, u64)> {
        let mut of_user: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
        for (file, clicks) in self.files.iter().enumerate() {
            for (number, (user, time, _)) in clicks.iter().enumerate() {
                if (file, number) != (1, 3_000) {
                    of_user.entry(*user).or_default().push(*time);
                }
            }
        }
        let mut sessions = Vec::new();
        for (user, mut times) in of_user {
            times.sort_unstable();
            for session in times.chunk_by(|a, b| b - a < 30) {
                sessions.push((format!("u{user}"), session[0], session[session.len() - 1], session.len() as u64));
            }
        }
        sessions.sort_unstable();
        sessions
    }
}

fn free_addresses(processes: usize) -> String {
    let addresses: Vec<String> = (0..processes).map(|_| format!("127.0.0.1:{}", free_port())).collect();
    addresses.join(",")
}

fn rows(state: &Path, unused: bool) -> Vec<String> {
    let mut command = Command::new(PROGRAM);
    command.arg("rows").arg(state).args(unused.then_some("--unused"));
    let Output { status, stdout, stderr } = output(&mut command);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let mut lines: Vec<String> = String::from_utf8(stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Rows of sessions, and events in no session.
fn result(state: &Path) -> (Vec<String>, Vec<String>) {
    (rows(state, false), rows(state, true))
}

/// The rows of a result that the other does not have, for messages.
fn difference((found, others): &(Vec<String>, Vec<String>), expected: &(Vec<String>, Vec<String>)) -> String {
    let missing: Vec<_> = expected.0.iter().filter(|row| !found.contains(row)).take(5).collect();
    let more: Vec<_> = found.iter().filter(|row| !expected.0.contains(row)).take(5).collect();
    format!("{} rows for {}, missing {missing:#?}, more {more:#?}, unused {others:#?}", found.len(), expected.0.len())
}

fn undisturbed(input: &Input, folder: &Path) -> (Vec<String>, Vec<String>) {
    let state = folder.join("undisturbed");
    assert!(input.run(&state, 1, 1, None).iter().all(ExitStatus::success));
    result(&state)
}

fn state(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

#[test]
fn sessions_are_those_of_a_naive_loop() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let (sessions, unused) = undisturbed(&input, folder.path());
    let instant = |value: &Value| {
        let text = value.as_str().unwrap();
        text.parse::<stagger::Timestamp>().unwrap().as_micros() / 1_000_000 - 1_700_000_000
    };
    let mut found: Vec<(String, i64, i64, u64)> = sessions
        .iter()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let user = row["user"].as_str().unwrap().to_owned();
            (user, instant(&row["beginsession"]), instant(&row["endsession"]), row["events"].as_u64().unwrap())
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, input.expected());
    let reasons: Vec<Value> = unused.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let of = |source: u64| reasons.iter().find(|row| row["source"] == source).unwrap();
    assert_eq!(reasons.len(), 2, "{unused:?}");
    assert_eq!((&of(2)["line"], &of(2)["reason"]), (&Value::from(3_001), &Value::from("late")));
    assert_eq!((&of(3)["line"], &of(3)["text"]), (&Value::from(1_502), &Value::from("no JSON")));
}

#[test]
fn rows_are_the_same_on_1_2_and_4_workers_in_1_and_2_processes() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let expected = undisturbed(&input, folder.path());
    for (workers, processes) in [(2, 1), (4, 1), (1, 2), (2, 2)] {
        let state = state(&folder, &format!("{workers}-{processes}"));
        assert!(input.run(&state, workers, processes, None).iter().all(ExitStatus::success));
        assert!(result(&state) == expected, "{workers} workers, {processes} processes");
    }
}

#[test]
fn a_kill_before_any_file_that_is_written_changes_no_row() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let expected = undisturbed(&input, folder.path());
    let mut kills = 0;
    for crash in (1..).step_by(3) {
        let state = state(&folder, &format!("crash-{crash}"));
        if input.run(&state, 2, 1, Some(crash)).iter().all(ExitStatus::success) {
            break; // it writes fewer files than that
        }
        kills += 1;
        assert!(input.run(&state, 2, 1, None).iter().all(ExitStatus::success), "killed at {crash}");
        let found = result(&state);
        assert!(found == expected, "killed at {crash}: {}", difference(&found, &expected));
    }
    assert!(kills > 20, "{kills}");
}

#[test]
fn when_one_of_two_processes_is_killed_the_other_ends_and_both_go_on() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let expected = undisturbed(&input, folder.path());
    for crash in [3, 4, 18, 19, 21] {
        let state = state(&folder, &format!("crash-{crash}"));
        let ended = input.run(&state, 1, 2, Some(crash));
        assert!(ended.iter().all(|status| !status.success()), "{ended:?}");
        assert!(!state.join("end").exists(), "an end without the other process");
        assert!(input.run(&state, 1, 2, None).iter().all(ExitStatus::success));
        let found = result(&state);
        assert!(found == expected, "killed at {crash}: {}", difference(&found, &expected));
    }
}

/// The other worker waited for it without end.
#[test]
fn a_worker_that_panics_ends_the_process() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let expected = undisturbed(&input, folder.path());
    let state = state(&folder, "state");
    let ran = output(input.command(&state, 2).env(CRASH, "panic 15"));
    let told = String::from_utf8(ran.stderr).unwrap();
    let sentence = "timely-sessions: a worker failed; the state is as of the newest checkpoint\n";
    assert!(ran.status.code() == Some(2) && told.ends_with(sentence), "{told}");
    assert!(input.run(&state, 2, 1, None).iter().all(ExitStatus::success));
    assert!(result(&state) == expected);
}

/// Each waited for the other without end.
#[test]
fn processes_that_do_not_fit_together_end() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let state = state(&folder, "state");
    let addresses = free_addresses(2);
    let start = |process: &str, workers: usize, wait: &str| {
        let mut command = input.command(&state, workers);
        command.args(["--addresses", &addresses, "--process", process, "--connect-timeout", wait]);
        Running::start(command.stderr(Stdio::piped()))
    };
    let end = |child: Running| {
        let Output { status, stderr, .. } = child.wait_with_output();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    for process in ["0", "1"] {
        let (status, told) = end(start(process, 1, "10ms"));
        let sentence = " within 10ms: start all processes together, or give a longer --connect-timeout\n";
        assert!(status == Some(2) && told.ends_with(sentence), "{told}");
    }
    let first = start("0", 1, "2m");
    for (process, sentence) in [
        (start("1", 3, "2m"), "process 0 has --workers = 1, which is 3 here: start all with the same command\n"),
        (first, "process 1 has --workers = 3, which is 1 here: start all with the same command\n"),
    ] {
        let (status, told) = end(process);
        assert!(status == Some(2) && told.ends_with(sentence), "{told}");
    }
}

#[test]
fn a_job_goes_on_with_another_number_of_workers() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let expected = undisturbed(&input, folder.path());
    let state = state(&folder, "rescaled");
    // 2 workers, then 3, then 1 in each of 2 processes.
    assert!(!input.run(&state, 2, 1, Some(14)).iter().all(ExitStatus::success));
    assert!(!input.run(&state, 3, 1, Some(20)).iter().all(ExitStatus::success));
    assert!(input.run(&state, 1, 2, None).iter().all(ExitStatus::success));
    assert!(result(&state) == expected);
}

/// Of a file that breaks off everything before is used, and told; the other files are used as ever.
#[test]
fn a_packed_file_that_breaks_off_is_used_up_to_there() {
    let folder = TempDir::new().unwrap();
    let line = |user: &str, second: u32| format!("{{\"user\":\"{user}\",\"time\":{}}}\n", 1_700_000_000 + second);
    let packed = |text: String| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let whole = packed((0..9_000).map(|second| line("ann", second)).collect());
    fs::write(folder.path().join("a.jsonl.gz"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path().join("b.jsonl"), line("bob", 0) + &line("bob", 1)).unwrap();
    for workers in ["1", "2"] {
        let state = folder.path().join(workers);
        let mut command = Command::new(PROGRAM);
        command.arg("run").args(["a.jsonl.gz", "b.jsonl", "--key", "user", "--time", "time"]);
        command.args(["--workers", workers, "--state"]).arg(&state).current_dir(&folder);
        let ran = output(&mut command);
        let said = String::from_utf8(ran.stderr).unwrap();
        let sentence = "timely-sessions: a.jsonl.gz cannot be read to its end: after ";
        assert!(ran.status.code() == Some(1) && said.contains(sentence), "{said}");
        let lines: u64 =
            said.split(sentence).nth(1).unwrap().split(' ').next().unwrap().replace(',', "").parse().unwrap();
        let (sessions, unused) = result(&state);
        let events: Vec<(Value, u64)> = sessions
            .iter()
            .map(|row| serde_json::from_str::<Value>(row).unwrap())
            .map(|row| (row["user"].clone(), row["events"].as_u64().unwrap()))
            .collect();
        let of = |user: &str| events.iter().find(|(key, _)| key == user).map(|(_, events)| *events);
        // The line that is cut in two may count as one.
        assert!(
            of("bob") == Some(2) && of("ann").is_some_and(|events| events > 1_000 && lines - events < 2),
            "{events:?}"
        );
        assert!(unused.iter().any(|row| row.contains("cannot be read to its end")), "{unused:?}");
    }
}

#[test]
fn failures_have_the_status_of_all_programs() {
    let folder = TempDir::new().unwrap();
    for (arguments, status) in [
        ("rows none", 2),
        ("run none.jsonl --key user --time time --state state", 2),
        ("run - --key user --time time --state state", 2),
        ("run --xyzzy", 2),
    ] {
        let ran = output(Command::new(PROGRAM).args(arguments.split(' ')).current_dir(&folder));
        assert_eq!(ran.status.code(), Some(status), "{arguments}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    fs::write(folder.path().join("a.jsonl"), "{\"user\":\"ann\",\"time\":1700000000}\n").unwrap();
    for (command, status) in [
        ("PROGRAM run a.jsonl --key user --time time --state state", 0),
        ("PROGRAM rows state >&-", 2),
        ("PROGRAM rows state > /dev/full", 2),
        ("PROGRAM rows state", 0),
        ("PROGRAM --version", 0),
        ("PROGRAM --help >&-", 2),
        ("PROGRAM run --help > /dev/full", 2),
    ] {
        let shell = ["-c", &command.replace("PROGRAM", PROGRAM)].map(str::to_owned);
        let ran = Command::new("sh").args(shell).current_dir(&folder).output().unwrap();
        assert_eq!(ran.status.code(), Some(status), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    for arguments in [["rows", "state"], ["--help", ""], ["--version", ""]] {
        let mut command = Command::new(PROGRAM);
        command.args(arguments.iter().filter(|argument| !argument.is_empty())).current_dir(&folder);
        command.stdout(program::testing::closed_pipe()).stderr(program::testing::closed_pipe());
        assert_eq!(command.status().unwrap().code(), Some(141), "{arguments:?}");
    }
}

#[test]
fn another_rule_is_refused_and_a_finished_job_says_so() {
    let (input, folder) = (Input::new(), TempDir::new().unwrap());
    let state = state(&folder, "state");
    assert!(!input.run(&state, 1, 1, Some(14)).iter().all(ExitStatus::success));
    let other = output(input.command(&state, 1).args(["--gap", "31s"]));
    assert_eq!(other.status.code(), Some(2), "clap refuses --gap twice: {}", String::from_utf8_lossy(&other.stderr));
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg(input.folder.path().join("0.jsonl"));
    command.args(["--key", "user", "--time", "time", "--gap", "31s"]).arg("--state").arg(&state);
    let Output { status, stderr, .. } = output(&mut command);
    let message = String::from_utf8_lossy(&stderr);
    assert!(!status.success() && message.contains("gap"), "{message}");

    assert!(input.run(&state, 1, 1, None).iter().all(ExitStatus::success));
    let again = output(&mut input.command(&state, 1));
    let message = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && message.contains("has ended already"), "{message}");
}

/// Runs the program in a folder: status and messages.
fn said(folder: &TempDir, arguments: &str) -> (Option<i32>, String) {
    let ran = output(Command::new(PROGRAM).args(arguments.split(' ')).current_dir(folder));
    (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
}

fn lines(users: &[&str]) -> String {
    let line =
        |(second, user): (usize, &&str)| format!("{{\"user\":\"{user}\",\"time\":{}}}\n", 1_700_000_000 + second);
    users.iter().enumerate().map(line).collect()
}

/// It was read as the same job, which had ended: no row of it changed, and the status was 0.
#[test]
fn a_state_is_for_one_job() {
    let folder = TempDir::new().unwrap();
    for (name, users) in [("a.jsonl", vec!["ann"; 3]), ("b.jsonl", vec!["bob"; 3])] {
        fs::write(folder.path().join(name), lines(&users)).unwrap();
    }
    let run = |arguments: &str| said(&folder, &format!("run {arguments}"));
    let begin = "a.jsonl --key user --time time --state state";
    let (status, told) = run(begin);
    assert!(status == Some(0) && told.starts_with("done: 3 events, 0 rejected; `timely-sessions rows"), "{told}");
    for (arguments, why) in [
        (format!("{begin} --gap 5m"), "it was begun with rule = --gap 30m, which is --gap 5m now"),
        (format!("{begin} --step 30m"), "it was begun with rule = --gap 30m, which is --step 30m now"),
        (format!("{begin} --out-of-order 1m"), "it was begun with --out-of-order = 10s, which is 1m now"),
        (begin.replace("key user", "key user,time"), "it was begun with --key = user, which is user,time now"),
        (format!("{begin} --where user!=bob"), "it was begun with --where = , which is user!=bob now"),
        (begin.replace("a.jsonl", "b.jsonl"), "it was begun with the inputs a.jsonl, which are b.jsonl now"),
        (
            begin.replace("a.jsonl", "a.jsonl b.jsonl"),
            "it was begun with the inputs a.jsonl, which are a.jsonl, b.jsonl now",
        ),
    ] {
        let sentence = format!(
            "timely-sessions: state is the state of another job: use the same command, or give another --state: {why}\n"
        );
        assert_eq!(run(&arguments), (Some(2), sentence), "{arguments}");
    }
    let (status, told) = run(&format!("{begin} --workers 2 --checkpoint 5m"));
    assert!(status == Some(0) && told.contains("nothing to do: the job has ended already"), "{told}");
    fs::write(folder.path().join("a.jsonl"), lines(&["ann"; 4])).unwrap();
    let (status, told) = run(begin);
    let grown = "a.jsonl had 99 bytes when it began, and has 132 now\n";
    assert!(status == Some(2) && told.ends_with(grown), "{told}");
}

/// Lines that cannot be used were told by `rows --unused` alone.
#[test]
fn the_exit_status_says_whether_all_was_used() {
    let folder = TempDir::new().unwrap();
    let good = lines(&["ann"; 200]);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("good", &good);
    write("some", &(good.clone() + "oops\n"));
    write("many", &(lines(&["ann"; 3]) + "oops\n"));
    write("none", "oops\n{oops\n");
    write("empty", "");
    let many = "1 of 4 lines could not be used (25 %, more than the 1 % of --max-rejected): `timely-sessions rows STATE \
                --unused` has those lines, --max-rejected SHARE allows more\n";
    for (number, (input, options, status, sentence)) in [
        ("good", "--key user", 0, "done: 200 events, 0 rejected; "),
        ("empty", "--key user", 0, "done: 0 events, 0 rejected; "),
        ("some", "--key user", 0, "done: 200 events, 1 rejected; "),
        ("some", "--key user --max-rejected 0", 1, "1 of 201 lines could not be used (0.4975 %, more than the 0 % of"),
        ("many", "--key user", 1, many),
        ("many", "--key user --max-rejected 25%", 0, "done: 3 events, 1 rejected; "),
        ("none", "--key user", 1, "timely-sessions: no line could be used, so no session is written\n"),
        ("many", "--key usr", 2, "timely-sessions: no line has the field `usr`; remove STATE to begin anew\n"),
        ("good good", "--key user", 0, "note: good is given more than once: unless that is meant, name it once\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let state = format!("state-{number}");
        let (ended, told) = said(&folder, &format!("run {input} --format jsonl --time time {options} --state {state}"));
        assert_eq!(ended, Some(status), "{input} {options}: {told}");
        assert!(told.contains(&sentence.replace("STATE", &state)), "{input} {options}: {told}");
    }
}

#[test]
fn careless_commands_are_explained() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.jsonl"), lines(&["ann"])).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let run = "run a.jsonl --key user --time time --state state";
    let address = "give the address of a machine, or its name, and a port, such as 10.0.0.1:2101";
    for (arguments, sentence) in [
        ("rum a.jsonl".to_owned(), "there is no command rum: say run or rows first; --help tells more"),
        ("a.jsonl --state state".to_owned(), "there is no command a.jsonl: say run or rows first; --help tells more"),
        (format!("{run} --workers 0"), "invalid value '0' for '--workers <N>': 0 is not in 1..=1024"),
        (format!("{run} --workers 1000000"), "invalid value '1000000' for '--workers <N>': 1000000 is not in 1..=1024"),
        (
            format!("{run} --addresses localhost --process 0"),
            &format!("invalid value 'localhost' for '--addresses <ADDRESS,…>': {address}"),
        ),
        (
            format!("{run} --addresses 127.0.0.1:1,127.0.0.1:1 --process 0"),
            "--addresses has 127.0.0.1:1 twice: each process needs one of its own",
        ),
        (run.replace("--state state", "--state file"), "cannot read file: not a directory"),
        (
            "rows none".to_owned(),
            "none has no complete checkpoint: its job has not come to one yet, or it is no folder of --state",
        ),
    ] {
        assert_eq!(said(&folder, &arguments), (Some(2), format!("timely-sessions: {sentence}\n")), "{arguments}");
    }
    let (status, told) = said(&folder, &run.replace("run", "run --epoch 30000000w --checkpoint 30000000w"));
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(rows(&folder.path().join("state"), false).len(), 1);
}

/// While one is at work, another of the same job does not begin.
#[test]
fn one_run_is_at_work_in_a_state() {
    let folder = TempDir::new().unwrap();
    let state = state(&folder, "state");
    fs::create_dir(&state).unwrap();
    fs::write(folder.path().join("a.jsonl"), lines(&["ann"])).unwrap();
    let at_work = fs::File::open(&state).unwrap();
    at_work.lock().unwrap();
    let run = "run a.jsonl --key user --time time --state state";
    let sentence = "timely-sessions: another run is at work in state: wait for its end, or give another --state\n";
    assert_eq!(said(&folder, run), (Some(2), sentence.to_owned()));
    drop(at_work);
    assert_eq!(said(&folder, run).0, Some(0));
}
