//! The files that a run leaves behind when it fails or is ended; and its messages.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use program::testing::Signal;
use rustix::io::ioctl_fionread;

use crate::support::*;

const YESTERDAY: &str = "yesterday\n";

fn names(folder: &Folder) -> Vec<String> {
    let names = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    sorted(names.collect())
}

/// Every output, and what makes a run fail after it has begun.
#[test]
fn an_earlier_result_survives_a_failure() {
    let good = clicks(&[("ann", 0, "a"), ("ann", 9_999, "b")]);
    let failures = [
        ("bad.jsonl", good.clone() + "oops\n", "--strict", 1),
        ("nothing.jsonl", "oops\n".to_owned(), "", 1),
        ("missing.jsonl", good.replace("user", "usr"), "", 2),
    ];
    for (option, more) in
        [("--output", ""), ("--output", "--out-of-order 1s"), ("--events", ""), ("--events", "--report")]
    {
        for (name, input, how, status) in &failures {
            let folder = Folder::new();
            let (input, result) = (folder.write(name, input), folder.write("result", YESTERDAY));
            let ran = run_on("", &words(&format!("{input} {FIELDS} {how} {more} {option} {result}")));
            let case = format!("{option} {more} {name}: {}", ran.said);
            assert_eq!((ran.status, folder.read("result").as_str()), (*status, YESTERDAY), "{case}");
            assert_eq!(names(&folder), sorted(vec!["result".to_owned(), (*name).to_owned()]), "{case}");
        }
    }
    for option in ["--rejects", "--late"] {
        let folder = Folder::new();
        let (input, result) = (folder.write("in.jsonl", &failures[0].1), folder.write("result", YESTERDAY));
        let ran = run_on("", &words(&format!("{input} {FIELDS} --strict {option} {result}")));
        assert_eq!((ran.status, folder.read("result").as_str(), names(&folder).len()), (1, YESTERDAY, 2), "{option}");
    }
}

#[test]
fn rejects_are_written_though_nothing_could_be_used() {
    let folder = Folder::new();
    let (rows, rejects) = (folder.write("rows", YESTERDAY), folder.path("rejects"));
    let ran = run_on("{oops\n", &words(&format!("- {FIELDS} --output {rows} --rejects {rejects}")));
    assert_eq!((ran.status, folder.read("rows").as_str()), (1, YESTERDAY));
    assert_eq!(json_lines(&folder.read("rejects")).len(), 1);
    assert!(ran.said.ends_with("files: no line could be used, so no session is written\n"), "{}", ran.said);
}

#[test]
fn the_exit_status_says_whether_all_was_used() {
    let good = clicks(&[("ann", 0, "a")]);
    let (one_of_two, one_of_200) = (good.clone() + "oops\n", good.repeat(199) + "oops\n");
    for (input, options, status) in [
        (&good, "", 0),
        (&String::new(), "", 0),
        (&one_of_200, "", 0),
        (&one_of_200, "--max-rejected 0.5%", 0),
        (&one_of_200, "--max-rejected 0.004", 1),
        (&one_of_200, "--max-rejected 0", 1),
        (&one_of_two, "", 1),
        (&one_of_two, "--max-rejected 50%", 0),
        (&one_of_two, "--strict", 1),
        (&"{oops\n".to_owned(), "", 1),
        (&"{oops\n".to_owned(), "--max-rejected 100%", 1),
        (&"{oops\n".to_owned(), "--report", 1),
        (&good, "--max-rejected 2", 2),
        (&good, "--max-rejected many", 2),
    ] {
        let ran = run_on(input, &words(&format!("- {FIELDS} {options}")));
        assert_eq!(ran.status, status, "{} lines, {options}: {}", input.lines().count(), ran.said);
    }
    let ran = run_on(&one_of_two, &words(&format!("- {FIELDS}")));
    assert_eq!(ran.rows().len(), 1, "{}", ran.said);
}

#[test]
fn the_last_line_says_how_many_lines_are_too_many() {
    let folder = Folder::new();
    let output = folder.path("sessions.csv");
    let good = clicks(&[("ann", 0, "a")]);
    let (one_of_40, one_of_1000) = (good.repeat(39) + "oops\n", good.repeat(999) + "oops\n");
    let others = "the rows of the others are written to";
    for (input, options, sentence) in [
        (
            &one_of_40,
            format!("--output {output}"),
            format!("1 of 40 lines could not be used (2.5 %, more than the 1 % of --max-rejected); {others} {output}"),
        ),
        (
            &one_of_1000,
            "--max-rejected 0.05%".to_owned(),
            format!(
                "1 of 1,000 lines could not be used (0.1 %, more than the 0.05 % of --max-rejected); {others} \
                 standard output"
            ),
        ),
        (
            &one_of_40,
            "--report".to_owned(),
            "1 of 40 lines could not be used (2.5 %, more than the 1 % of --max-rejected); the report is about the \
             others"
                .to_owned(),
        ),
    ] {
        let ran = run_on(input, &words(&format!("- {FIELDS} {options}")));
        let last = format!("files: {sentence}: --rejects FILE keeps those lines, --max-rejected SHARE allows more\n");
        assert!(ran.status == 1 && ran.said.ends_with(&last), "{}", ran.said);
    }
    assert!(folder.read("sessions.csv").starts_with("session_id,"));
}

#[cfg(unix)]
#[test]
fn input_and_output_are_never_the_same_file() {
    let folder = Folder::new();
    let input = clicks(&[("ann", 0, "a")]);
    let path = folder.write("in.jsonl", &input);
    let (hard, soft) = (folder.path("hard"), folder.path("soft"));
    fs::hard_link(&path, &hard).unwrap();
    std::os::unix::fs::symlink(&path, &soft).unwrap();
    for option in ["--output", "--events", "--rejects", "--late"] {
        for output in [&hard, &soft, &folder.path("./in.jsonl")] {
            for from_stdin in [false, true] {
                let stdin = if from_stdin { File::open(&path).unwrap().into() } else { Stdio::null() };
                let source = if from_stdin { "-" } else { &path };
                let arguments = format!("{source} {FIELDS} {option} {output}");
                let ran = program().args(words(&arguments)).stdin(stdin).output().unwrap();
                let said = String::from_utf8(ran.stderr).unwrap();
                let sentence = format!("files: {output} is an input: write to another file\n");
                assert_eq!((ran.status.code(), said), (Some(2), sentence), "{arguments}");
            }
        }
    }
    // By redirection: `< a >> a`, and `a >> a`.
    for source in ["-", &path] {
        let (read, write) = (File::open(&path).unwrap(), OpenOptions::new().append(true).open(&path).unwrap());
        let arguments = format!("{source} {FIELDS}");
        let ran = program().args(words(&arguments)).stdin(read).stdout(write).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(
            (ran.status.code(), said.as_str()),
            (Some(2), "files: standard output is an input: write to another file\n")
        );
    }
    assert_eq!(folder.read("in.jsonl"), input);
    // Outputs that are one file under two names.
    let (a, b) = (folder.path("out"), folder.path("./out"));
    let ran = run_on("", &words(&format!("{path} {FIELDS} --late {a} --rejects {b}")));
    assert_eq!((ran.status, ran.said), (2, format!("files: {a} is written twice: name two files\n")));
}

#[cfg(unix)]
#[test]
fn closed_standard_output_is_an_error() {
    let folder = Folder::new();
    let path = folder.write("in.jsonl", clicks(&[("ann", 0, "a")]));
    let program = env!("CARGO_BIN_EXE_files");
    for (arguments, status) in [
        (format!("{path} {FIELDS} >&-"), 2),
        (format!("{path} {FIELDS} --report >&-"), 2),
        ("--help >&-".to_owned(), 2),
        ("--version >&-".to_owned(), 2),
        (format!("{path} {FIELDS} >/dev/null"), 0),
        (format!("{path} {FIELDS} >/dev/full"), 2),
        (format!("{path} {FIELDS} --output {} >&-", folder.path("out")), 0),
        // Nobody hears the message; the work is done.
        (format!("{path} {FIELDS} 2>&- >/dev/null"), 0),
        (format!("{path} {FIELDS} <&- >/dev/null"), 0),
        (format!("- {FIELDS} <&- >/dev/null"), 2),
        (format!("{path} {FIELDS} --xyzzy 2>&-"), 2),
    ] {
        let ran = Command::new("sh").args(["-c", &format!("{program} {arguments}")]).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(status), "{arguments}: {said}");
        let is_told = said.is_empty()
            || !arguments.contains(" >&-")
            || status == 0
            || said.contains("standard output: it is closed");
        assert_eq!(said.contains("cannot read standard input: it is closed"), arguments.starts_with("- "));
        assert!(is_told, "{arguments}: {said}");
    }
}

/// Runs a shell command, in which `files` is the program, in a folder.
#[cfg(unix)]
fn shell(folder: &Folder, command: &str) -> (i32, String) {
    let command = command.replace("files ", &format!("{} ", env!("CARGO_BIN_EXE_files")));
    let ran = Command::new("sh").args(["-c", &command]).current_dir(&folder.0).output().unwrap();
    (ran.status.code().unwrap(), String::from_utf8(ran.stderr).unwrap())
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_and_written_once() {
    let folder = Folder::new();
    folder.write("in.jsonl", clicks(&[("ann", 0, "a")]));
    for (command, status, sentence) in [
        ("mkfifo pipe; files pipe pipe FIELDS", 2, "pipe is given twice, but can be read only once: name it once"),
        ("files pipe ./pipe FIELDS", 2, "./pipe is given twice"),
        ("cat in.jsonl | files - - FIELDS", 2, "standard input is given twice"),
        ("cat in.jsonl | files /dev/stdin - FIELDS", 2, "standard input is given twice"),
        ("files - /dev/stdin FIELDS < in.jsonl", 2, "/dev/stdin is given twice"),
        ("files in.jsonl - FIELDS < in.jsonl", 2, "standard input is given twice"),
        ("files in.jsonl /dev/null /dev/null - FIELDS --format jsonl < /dev/null", 0, "1 line read"),
        ("files in.jsonl FIELDS --output pipe --events pipe", 2, "pipe is written twice: name two files"),
        ("files in.jsonl FIELDS --output /dev/null --events /dev/null --late /dev/null", 0, "1 line read"),
        ("files in.jsonl FIELDS --events /dev/stdout | cat", 2, "/dev/stdout is standard output, where the rows go"),
        ("files in.jsonl FIELDS --events /dev/stdout > out", 2, "/dev/stdout is standard output"),
        ("files in.jsonl FIELDS --late out > out", 2, "out is standard output, where the rows go: name another file"),
        ("files in.jsonl FIELDS --report --events out > out", 2, "out is standard output"),
        ("files in.jsonl FIELDS --output rows --events out > out", 0, "1 line read"),
        ("files in.jsonl FIELDS --output rows --events /dev/stdout > out", 0, "1 line read"),
        ("(cat pipe > got & files in.jsonl FIELDS --output pipe; wait; grep -q ann got)", 0, "1 line read"),
    ] {
        // The status of the program itself, with or without a reader behind it.
        let (program, reader) = command.split_once(" | cat").map_or((command, ""), |(program, _)| (program, " | cat"));
        let program = format!("({}; echo $? > status){reader}", program.replace("FIELDS", FIELDS));
        let (_, said) = shell(&folder, &program);
        let ended = folder.read("status").trim().parse::<i32>().unwrap();
        assert!(ended == status && said.contains(sentence), "{command}: {ended} {said}");
    }
}

/// Under a name such as `/dev/stdout`, rows go behind what is there already, and before what comes later.
#[cfg(unix)]
#[test]
fn what_is_open_is_gone_on_with() {
    let folder = Folder::new();
    folder.write("in.jsonl", clicks(&[("ann", 0, "a")]));
    let header = "session_id,user,";
    for (command, first, lines) in [
        ("files in.jsonl FIELDS --output /dev/stdout >> out", "earlier", 3),
        ("files in.jsonl FIELDS --output /dev/fd/1 >> out", "earlier", 3),
        ("files in.jsonl FIELDS --output link >> out", "earlier", 3),
        ("files in.jsonl FIELDS --output /dev/fd/3 3>> out", "earlier", 3),
        ("(files in.jsonl FIELDS --output /dev/stdout; echo end) > out", header, 3),
        ("files in.jsonl FIELDS --output rows --events /dev/stdout >> out", "earlier", 2),
        // Between a note and the closing line.
        ("files in.jsonl FIELDS --output /dev/stderr 2> out", "note: ", 4),
        ("files in.jsonl FIELDS --output /dev/stderr 2>> out", "earlier", 5),
    ] {
        folder.write("out", "earlier\n");
        let _ = std::os::unix::fs::symlink("/dev/stdout", folder.path("link"));
        let (status, said) = shell(&folder, &command.replace("FIELDS", FIELDS));
        let out = folder.read("out");
        assert!(status == 0 && out.starts_with(first) && out.lines().count() == lines, "{command}: {out}{said}");
        let is_told = out.contains("1 line read: 1 event") || said.contains("1 line read: 1 event");
        assert!(is_told && folder.0.join("link").is_symlink(), "{command}: {out}{said}");
    }
    let (status, said) = shell(&folder, &format!("files in.jsonl {FIELDS} --output /dev/stdout >&-"));
    assert_eq!((status, said.as_str()), (2, "files: cannot write /dev/stdout: it is closed\n"));
}

/// Also where one of the names is a link to a file that is not there yet.
#[cfg(unix)]
#[test]
fn a_link_is_its_target() {
    let folder = Folder::new();
    folder.write("in.jsonl", clicks(&[("ann", 0, "a")]));
    std::os::unix::fs::symlink("rows", folder.path("link")).unwrap();
    let (status, said) = shell(&folder, &format!("files in.jsonl {FIELDS} --output link --events rows"));
    assert_eq!((status, said.as_str()), (2, "files: rows is written twice: name two files\n"));
    let (status, said) = shell(&folder, &format!("files in.jsonl {FIELDS} --output link"));
    assert_eq!((status, folder.0.join("link").is_symlink()), (0, true), "{said}");
    assert!(folder.read("rows").starts_with("session_id,"));
}

/// Rows on standard output cannot be taken back.
#[cfg(unix)]
#[test]
fn a_state_that_cannot_be_written_is_told_before_any_row() {
    let folder = Folder::new();
    folder.write("empty", "");
    let input = clicks(&[("ann", 0, "a"), ("ann", 9_999, "b")]);
    for (state, why) in [
        ("none/state", "cannot write none/state: no such file or directory"),
        ("empty", "empty is empty: remove it to begin with a new state"),
    ] {
        let options = format!("{FIELDS} --out-of-order 1s --state");
        let (path, why) = (folder.path(state), why.replacen(state, &folder.path(state), 1));
        let ran = run_on(&input, &words(&format!("- {options} {path}")));
        assert_eq!((ran.status, ran.out.as_str(), ran.said), (2, "", format!("files: {why}\n")));
    }
    assert_eq!(names(&folder), ["empty"]);
}

/// Places where no output can be, told before anything is read.
#[cfg(unix)]
#[test]
fn an_output_that_cannot_be_written_is_told_at_once() {
    let folder = Folder::new();
    fs::create_dir(folder.path("dir")).unwrap();
    folder.write("file", YESTERDAY);
    let long = "x".repeat(300);
    for (output, why) in [
        ("dir", "is a directory"),
        ("dir/", "is a directory"),
        ("new/", "is a directory"),
        ("none/rows", "no such file or directory"),
        ("file/rows", "not a directory"),
        (&long, "file name too long"),
    ] {
        for option in ["--output", "--events", "--rejects", "--late"] {
            let (status, said) = shell(&folder, &format!("echo oops | files - {FIELDS} {option} {output}"));
            assert_eq!((status, said), (2, format!("files: cannot write {output}: {why}\n")), "{option}");
        }
    }
    assert_eq!(names(&folder), ["dir", "file"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_read_only_stays() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let output = folder.write("rows", YESTERDAY);
    fs::set_permissions(&output, fs::Permissions::from_mode(0o444)).unwrap();
    if OpenOptions::new().write(true).open(&output).is_ok() {
        return; // to root nothing is read-only
    }
    let ran = run_on(&clicks(&[("ann", 0, "a")]), &words(&format!("- {FIELDS} --output {output}")));
    assert_eq!((ran.status, ran.said), (2, format!("files: cannot write {output}: permission denied\n")));
    assert_eq!(folder.read("rows"), YESTERDAY);
}

/// Too few files may be open, or files may not be so large: a run says so, and leaves nothing.
#[cfg(unix)]
#[test]
fn limits_of_the_system_leave_nothing_behind() {
    let folder = Folder::new();
    let users: Vec<String> = (0..2_000).map(|user| format!("user {user}")).collect();
    let many: Vec<_> = users.iter().zip(0..).map(|(user, hour)| (user.as_str(), hour * 3_600, "x")).collect();
    folder.write("in.jsonl", clicks(&many));
    let outputs = ["--output rows", "--output rows --out-of-order 1s --state state", "--events events --report"];
    let parquet = if cfg!(feature = "parquet") { "--output-format parquet --output visits" } else { outputs[0] };
    for outputs in outputs.into_iter().chain([parquet]) {
        let start = names(&folder);
        for most in 4..20 {
            let (status, said) = shell(&folder, &format!("ulimit -n {most}; files in.jsonl {FIELDS} {outputs}"));
            // With fewer the system cannot even start it.
            assert!([0, 2, 127].contains(&status), "{outputs} {most}: {status} {said}");
            if status == 0 {
                break;
            }
            assert_eq!(names(&folder), start, "{outputs} {most}: {said}");
        }
        for name in ["rows", "state", "events"] {
            let _ = fs::remove_file(folder.path(name));
        }
        let _ = fs::remove_dir_all(folder.path("visits"));
        let (status, said) = shell(&folder, &format!("ulimit -f 1; files in.jsonl {FIELDS} {outputs} >&2"));
        let named =
            ["rows", "state", "events", "visits"].map(|name| format!("files: cannot write {name}: file too large\n"));
        assert!(status == 2 && named.iter().any(|sentence| said.ends_with(sentence)), "{outputs}: {said}");
        assert_eq!(names(&folder), start, "{outputs}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_it_without_a_word() {
    let folder = Folder::new();
    let users: Vec<String> = (0..20_000).map(|user| format!("u{user}")).collect();
    let many: Vec<_> = users.iter().zip(0..).map(|(user, second)| (user.as_str(), second, "x")).collect();
    folder.write("in.jsonl", clicks(&many));
    folder.write("bad.jsonl", "oops\n".repeat(50_000));
    for (input, arguments) in [
        ("in", "--gap 1s"),
        ("in", "--gap 1s --out-of-order 1s"),
        ("in", "--gap 1s --output-format jsonl"),
        ("in", "--gap 1s --output rows --events /dev/stdout"),
        ("in", "--gap 1s --output rows --out-of-order 1s --events /dev/stdout"),
        ("bad", "--output rows --rejects /dev/stdout"),
    ] {
        folder.write("rows", YESTERDAY);
        let command =
            format!("(files {input}.jsonl {FIELDS} --format jsonl {arguments}; echo $? > status) 2> said | head -1");
        shell(&folder, &command);
        let said = folder.read("said");
        let said = said.lines().filter(|line| line.starts_with("files: ")).collect::<Vec<_>>();
        assert_eq!((folder.read("status").trim(), said), ("141", vec![]), "{arguments}");
        assert_eq!(folder.read("rows"), YESTERDAY, "{arguments}");
    }
}

/// A run on a pipe that stays open.
struct Live {
    child: Running,
    /// None once it is closed.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Live {
    fn start(arguments: &str) -> Self {
        let command = format!("- {arguments}");
        let mut child = start(program().args(words(&command)).stderr(Stdio::piped()));
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the next line of its output, and tells its key.
    fn key(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.split(',').nth(1).unwrap_or_default().to_owned()
    }

    /// Sends a signal, and waits for the end: status, the rest of the output, messages.
    fn end_by(mut self, signal: Signal) -> (Option<i32>, String, String) {
        self.child.signal(signal);
        let (mut rest, mut said) = (String::new(), String::new());
        self.output.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().code(), rest, said) // the input is open until here
    }
}

#[test]
fn a_stream_shows_rows_when_they_close() {
    let mut live = Live::start(&format!("{FIELDS} --gap 30s --out-of-order 10s"));
    live.write(&clicks(&[("ann", 0, "a"), ("bob", 45, "b")]));
    assert_eq!((live.key(), live.key()), ("user".to_owned(), "ann".to_owned()));
    live.write(&clicks(&[("cid", 90, "c")]));
    assert_eq!(live.key(), "bob");
    live.input = None;
    assert_eq!(live.key(), "cid");
}

/// Of a session that is open, but whose id is final.
#[test]
fn a_stream_shows_events_as_soon_as_their_session_has_its_id() {
    let mut live = Live::start(&format!("{FIELDS} --gap 30m --out-of-order 10s --events /dev/stderr"));
    let mut events = BufReader::new(live.child.stderr.take().unwrap());
    let mut next = |live: &mut Live, seconds: &[(&str, i64, &str)]| {
        live.write(&clicks(seconds));
        let mut line = String::new();
        events.read_line(&mut line).unwrap();
        let event = json_lines(&line).remove(0);
        (event["value"].as_str().unwrap().to_owned(), event["session_id"].as_str().unwrap().to_owned())
    };
    let first = next(&mut live, &[("ann", 5, "second"), ("ann", 0, "first"), ("ann", 12, "third")]);
    let second = next(&mut live, &[("ann", 20, "fourth")]);
    assert_eq!((first.0.as_str(), second.0.as_str()), ("first", "second"));
    live.input = None;
    let rows = std::io::read_to_string(&mut live.output).unwrap();
    let rows = rows.lines().skip(1).collect::<Vec<_>>();
    assert!(rows.len() == 1 && rows[0].starts_with(&first.1) && first.1 == second.1, "{rows:?}");
    let rest = std::io::read_to_string(events).unwrap();
    let rest: Vec<_> = rest.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(rest.len(), 2, "each event once: {rest:?}");
}

#[test]
fn sessions_close_though_nothing_more_comes() {
    for rule in ["--gap 200ms", "--step 200ms", "--stagger none --range 200ms", "--gap 200ms --arrival time"] {
        let mut live = Live::start(&format!("{FIELDS} {rule} --out-of-order 0s --max-delay 0s"));
        live.write(&clicks(&[("ann", 0, "a")]));
        assert_eq!((live.key(), live.key()), ("user".to_owned(), "ann".to_owned()), "{rule}");
    }
    let ran = run_on("", &words(&format!("- {FIELDS} --max-delay 1s")));
    assert_eq!(ran.status, 2, "a set has no clock");
}

#[test]
fn a_signal_ends_a_stream_with_what_has_closed() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = Folder::new();
        let events = folder.write("events", YESTERDAY);
        let mut live = Live::start(&format!("{FIELDS} --gap 30s --out-of-order 10s --events {events}"));
        live.write(&clicks(&[("ann", 0, "a"), ("bob", 45, "b")]));
        assert_eq!((live.key(), live.key()), ("user".to_owned(), "ann".to_owned()));
        let (status, rest, said) = live.end_by(signal);
        assert_eq!((status, rest.as_str()), (Some(130), ""), "{said}");
        let sentence = "files: interrupted: the sessions that had closed are written, 1 session still open are not\n";
        assert!(said.ends_with(sentence), "{said}");
        let written = json_lines(&folder.read("events"));
        assert_eq!((written.len(), &written[0]["value"]), (1, &"a".into()));
        assert_eq!(names(&folder), ["events"]);
    }
}

/// As two of cron, of which the second starts before the first has ended.
#[test]
fn of_two_runs_on_one_state_the_later_writes_nothing() {
    let folder = Folder::new();
    let (state, events) = (folder.path("state"), folder.write("events", YESTERDAY));
    let options = format!("{FIELDS} --gap 30s --out-of-order 10s --state {state} --events");
    let mut live = Live::start(&format!("{options} {events}"));
    // An input is known again by its first 4 KiB, which are read before anything else.
    live.write(&(clicks(&[("ann", 0, "a"); 100]) + &clicks(&[("bob", 45, "b")])));
    assert_eq!((live.key(), live.key()), ("user".to_owned(), "ann".to_owned()), "it has begun");
    let ran = run_on(&clicks(&[("cid", 0, "c")]), &words(&format!("- {options} {}", folder.path("others"))));
    assert_eq!(ran.status, 0, "{}", ran.said);
    let written = folder.read("state");
    live.input = None;
    let ran = live.child.wait_with_output();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("another run has written ") && said.contains("start this one again"), "{said}");
    assert_eq!((folder.read("state"), folder.read("events").as_str()), (written, YESTERDAY));
    assert_eq!(names(&folder), ["events", "others", "state"]);
}

/// Nobody reads its rows, so that it cannot end in an orderly way.
#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = Folder::new();
    let users: Vec<String> = (0..20_000).map(|user| format!("u{user}")).collect();
    let many: Vec<_> = users.iter().zip(0..).map(|(user, second)| (user.as_str(), second, "x")).collect();
    let (input, events) = (folder.write("in.jsonl", clicks(&many)), folder.write("events", YESTERDAY));
    let arguments = format!("{input} {FIELDS} --gap 1s --out-of-order 0s --events {events}");
    let mut child = start(program().args(words(&arguments)).stderr(Stdio::null()));
    // Hundreds of rows are written at once, more than a pipe holds: with some of them in it, the program waits for a
    // reader, however long it takes until the second signal comes.
    const SOME: u64 = 4_096;
    let rows = child.stdout.take().unwrap();
    while ioctl_fionread(&rows).unwrap() < SOME {
        assert_eq!(child.try_wait(), None, "it ends before it is stuck");
        std::thread::yield_now();
    }
    for signal in [Signal::INT, Signal::TERM] {
        child.signal(signal);
    }
    assert_eq!(child.wait().code(), Some(130));
    assert_eq!(
        (names(&folder), folder.read("events").as_str()),
        (vec!["events".to_owned(), "in.jsonl".to_owned()], YESTERDAY)
    );
}

/// As `nohup`, and a shell for its jobs in the background, ignore some for it.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_is_ignored_stays_so() {
    let folder = Folder::new();
    let output = folder.path("rows");
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT)] {
        let script = format!("trap '' {name}; exec {} - {FIELDS} --output {output}", env!("CARGO_BIN_EXE_files"));
        let mut child = start(Command::new("sh").args(["-c", &script]).stderr(Stdio::piped()));
        let mut input = child.stdin.take().unwrap();
        input.write_all(clicks(&[("ann", 0, "a")]).repeat(20_000).as_bytes()).unwrap(); // more than a pipe holds
        child.signal(signal);
        drop(input);
        let ran = child.wait_with_output();
        assert_eq!(ran.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(folder.read("rows").lines().count(), 2, "{name}");
    }
}

/// It ends as if it did not know the signal, but for what it has begun to write.
#[cfg(unix)]
#[test]
fn other_signals_leave_nothing_behind() {
    use std::os::unix::process::ExitStatusExt;
    for signal in [Signal::QUIT, Signal::ALARM, Signal::USR1, Signal::USR2, Signal::XCPU] {
        let folder = Folder::new();
        let output = folder.write("rows", YESTERDAY);
        let script = format!("ulimit -c 0; exec {} - {FIELDS} --output {output}", env!("CARGO_BIN_EXE_files"));
        let mut child = start(Command::new("sh").args(["-c", &script]));
        let mut input = child.stdin.take().unwrap();
        input.write_all(clicks(&[("ann", 0, "a")]).repeat(20_000).as_bytes()).unwrap();
        assert_eq!(names(&folder).len(), 2);
        child.signal(signal);
        assert_eq!(child.wait().signal(), Some(signal.as_raw()));
        assert_eq!((names(&folder), folder.read("rows").as_str()), (vec!["rows".to_owned()], YESTERDAY));
    }
}

/// Also where it waits for the first line.
#[test]
fn a_signal_ends_a_stream_that_has_not_begun() {
    let folder = Folder::new();
    let live = Live::start(&format!("{FIELDS} --out-of-order 10s --events {}", folder.path("events")));
    until("an unfinished file", || !names(&folder).is_empty());
    let (status, _, said) = live.end_by(Signal::TERM);
    assert_eq!(status, Some(130), "{said}");
}

#[test]
fn a_signal_leaves_nothing_of_a_set() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = Folder::new();
        let output = folder.write("rows", YESTERDAY);
        let (events, late) = (folder.path("events"), folder.path("late"));
        let mut live = Live::start(&format!("{FIELDS} --output {output} --events {events} --late {late}"));
        live.write(&clicks(&[("ann", 0, "a")]).repeat(20_000)); // more than a pipe holds: it reads
        assert_eq!(names(&folder).len(), 4);
        let (status, rest, said) = live.end_by(signal);
        assert_eq!((status, rest.as_str()), (Some(130), ""), "{said}");
        assert_eq!(said, "files: interrupted before the end: no file is written\n");
        assert_eq!((names(&folder), folder.read("rows").as_str()), (vec!["rows".to_owned()], YESTERDAY));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn a_signal_leaves_no_hidden_folder() {
    let folder = Folder::new();
    let mut live = Live::start(&format!("{FIELDS} --output-format parquet --output {}", folder.path("visits")));
    live.write(&clicks(&[("ann", 0, "a")]).repeat(20_000));
    assert_eq!(names(&folder).len(), 1);
    let (status, _, said) = live.end_by(Signal::TERM);
    assert_eq!((status, names(&folder).len()), (Some(130), 0), "{said}");
}

/// While files are written into it.
#[cfg(feature = "parquet")]
#[test]
fn a_signal_leaves_no_folder_that_is_written() {
    let folder = Folder::new();
    let many: Vec<_> = (0..3_000).map(|hour| ("ann", hour * 3_600, "x")).collect();
    let (input, output) = (folder.write("in.jsonl", clicks(&many)), folder.path("visits"));
    let arguments = format!("{input} {FIELDS} --output-format parquet --output {output}");
    let mut child = Running::start(program().args(words(&arguments)).stderr(Stdio::null()));
    // So many days that removing them takes a while.
    let has_begun = |name: &String| {
        let days = fs::read_dir(folder.path(&format!("{name}/2019/01"))).map(Iterator::count);
        name.starts_with(".visits.") && days.is_ok_and(|days| days > 1)
    };
    while child.try_wait().is_none() && !names(&folder).iter().any(has_begun) {
        std::thread::yield_now();
    }
    child.signal(Signal::TERM);
    let status = child.wait().code();
    let left = names(&folder);
    assert!([Some(0), Some(130)].contains(&status) && !left[0].starts_with('.'), "{status:?} {left:?}");
}

#[test]
fn leftovers_of_a_killed_run_go_with_the_next() {
    let folder = Folder::new();
    let output = folder.path("rows");
    let mut live = Live::start(&format!("{FIELDS} --output {output}"));
    live.write(&clicks(&[("ann", 0, "a")]).repeat(20_000));
    assert!(names(&folder)[0].starts_with(".rows."), "{:?}", names(&folder));
    live.end_by(Signal::KILL);
    assert_eq!(names(&folder).len(), 1);
    ok(&clicks(&[("ann", 0, "a")]), &format!("{FIELDS} --output {output}"));
    assert_eq!(names(&folder), ["rows"]);
}
