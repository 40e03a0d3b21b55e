//! Runs `measure` and checks its output.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8")
}

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    assert!(status.success(), "{status}: {}", text(&stderr));
    assert_eq!(text(&stderr), "");
    text(&stdout)
}

/// A file in a folder that is gone with the test.
fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("the folder can be written to");
    path
}

/// Packed, and cut: the lines before the end are measured, and the status is 1.
#[test]
fn an_input_that_breaks_off_is_used_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let whole = include_bytes!("../../data/clicks.jsonl.gz");
    let path = folder.path().join("cut.jsonl.gz");
    std::fs::write(&path, &whole[..whole.len() * 9 / 10]).unwrap();
    let fields = ["--key", "user_id", "--time", "client_timestamp", "--runs", "1"];
    let Output { status, stdout, stderr } = program().arg(&path).args(fields).output().unwrap();
    let (printed, said) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(printed.contains(" events of ") && printed.contains("cut.jsonl.gz"), "{printed}");
    assert!(
        said.contains("cut.jsonl.gz cannot be read to its end: after ") && said.contains("which are used"),
        "{said}"
    );
}

#[test]
fn shows_every_strategy_on_the_bundled_clicks() {
    let printed = succeed(&mut program());
    assert!(
        printed.starts_with("9,032 events of 475 keys in the bundled clicks; 18 lines cannot be used; "),
        "{printed}"
    );
    let (_, table) = printed.split_once("most open\n").expect("the table has a header");
    // The words of the strategy, then two figures that no two runs share, then counts.
    let rows: Vec<(&str, Vec<&str>)> =
        table.lines().map(|line| (line[..28].trim_end(), line[28..].split_whitespace().skip(2).collect())).collect();
    let expected = [
        ("STEP 30s", ["4,284", "2.1", "56", "19"]),
        ("FLOOR minute", ["3,044", "2.9", "56", "17"]),
        ("gap 30m", ["908", "9.9", "39", "62"]),
        ("gap 30m, inclusive", ["908", "9.9", "39", "62"]),
        ("gap 30m, at most 1h", ["912", "9.9", "44", "61"]),
        ("gap 30m, cut daily", ["908", "9.9", "39", "61"]),
        ("gap 30m, lateness 1h", ["908", "9.9", "23", "156"]),
        ("sliding 10m every 1m", ["13,061", "6.9", "53", "198"]),
        ("stagger 30s, range 30s", ["4,537", "2.0", "0", "10"]),
    ];
    assert_eq!(rows, expected.map(|(words, counts)| (words, counts.to_vec())));
}

#[test]
fn writes_json_for_scripts() {
    let folder = TempDir::new().expect("a folder");
    let csv = file(&folder, "clicks.csv", "who,when\nann,1\nbob,9\nann,5\nann,70\n");
    let mut command = program();
    command.arg(csv).args(["--key", "who", "--time", "when", "--time-format", "seconds"]);
    command.args(["--gap", "1m", "--only", "gap,step", "--runs", "2"]);
    let results: serde_json::Value = serde_json::from_str(&succeed(command.arg("--json"))).expect("it is JSON");
    assert_eq!((&results["events"], &results["keys"]), (&4.into(), &2.into()));
    assert_eq!((&results["out_of_order_us"], &results["behind"]["share"]), (&4_000_000.into(), &0.25.into()));
    let [gap, step] = [0, 1].map(|index| &results["strategies"][index]);
    assert_eq!((&gap["name"], &gap["sessions"], &gap["late"]), (&"gap".into(), &3.into(), &0.into()));
    assert_eq!((&step["words"], &step["sessions"]), (&"STEP 30s".into(), &3.into()));
    assert_eq!(gap["checksum"], digests([(1, 5, 2), (9, 9, 1), (70, 70, 1)]));
    let runs = gap["cpu_ns_per_event"]["numbers"]["runs"].as_array().expect("the time of each run");
    assert!(runs.len() == 2 && runs.iter().all(|run| run.as_f64() > Some(0.0)), "{runs:?}");
}

/// What SQL would say of sessions, given by the seconds of their first and last event and their count.
fn digests<const N: usize>(sessions: [(u64, u64, u64); N]) -> u64 {
    let digest = |(first, last, count): (u64, u64, u64)| {
        let times = (first * 1_000_000 % 1_000_003) * (last * 1_000_000 % 1_000_033 + 1);
        times % 1_000_000_007 * (count + 1) % 1_000_000_007
    };
    sessions.into_iter().map(digest).sum()
}

#[test]
fn says_what_is_wrong() {
    let folder = TempDir::new().expect("a folder");
    let (csv, bad) =
        (file(&folder, "clicks.csv", "who,when\nann,1\n"), file(&folder, "bad.csv", "who,when\nann,noon\n"));
    let fields = ["--key", "who", "--time", "when", "--time-format", "seconds"];
    let cases = [
        (&csv, vec!["--key", "who"], "name the field of "),
        (&csv, vec!["--key", "user", "--time", "when"], ""),
        (&csv, [&fields[..], &["--gap", "0s"]].concat(), "the gap is zero"),
        (&csv, [&fields[..], &["--only", "session"]].concat(), "invalid value 'session' for '--only"),
        (&csv, [&fields[..], &["--run", "3"]].concat(), "there is no option --run; did you mean --runs?"),
        (&bad, fields.to_vec(), "no line of "),
    ];
    for (file, options, message) in cases {
        let output = program().arg(file).args(&options).output().expect("it starts");
        let status = if message == "no line of " { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(status), "{options:?}");
        assert!(text(&output.stderr).starts_with(&format!("measure: {message}")), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
    // A pipe may have been meant.
    let note = "note: reading the bundled clicks; pass - to read standard input\n";
    for (stdin, is_said) in [(Stdio::piped(), cfg!(unix)), (Stdio::null(), false)] {
        let output = program().args(["--key", "nobody"]).stdin(stdin).output().expect("it starts");
        assert_eq!((output.status.code(), text(&output.stderr).starts_with(note)), (Some(2), is_said));
    }
}

/// The report was appended to the events (`measure clicks.csv >> clicks.csv`).
#[cfg(unix)]
#[test]
fn no_input_is_written_or_read_twice_in_silence() {
    let folder = TempDir::new().expect("a folder");
    let clicks = "who,when\nann,1\n";
    let csv = file(&folder, "clicks.csv", clicks);
    let measure = || {
        let mut command = program();
        command.args(["--key", "who", "--time", "when", "--time-format", "seconds", "--runs", "1", "--only", "gap"]);
        command
    };
    let append = std::fs::File::options().append(true).open(&csv).expect("it is there");
    let output = measure().arg(&csv).stdout(append).output().expect("it starts");
    let said = "measure: standard output is an input: write to another file\n";
    assert_eq!((output.status.code(), text(&output.stderr).as_ref()), (Some(2), said));
    assert_eq!(std::fs::read_to_string(&csv).expect("it is there"), clicks);
    let output = measure().args([&csv, &csv]).output().expect("it starts");
    assert!(output.status.success() && text(&output.stderr).contains(" is given more than once: "));
    let output = measure().args(["-", "-"]).stdin(Stdio::piped()).output().expect("it starts");
    let said = "measure: standard input is given twice, but can be read only once: name it once\n";
    assert_eq!((output.status.code(), text(&output.stderr).as_ref()), (Some(2), said));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    program::testing::closed_pipes_are_no_panic(program);
}
