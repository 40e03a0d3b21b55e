//! Runs `timeline` and checks its output.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timeline"));
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

/// The drawing of one strategy, without its first line.
fn strategy<'t>(printed: &'t str, name: &str) -> (&'t str, Vec<&'t str>) {
    let block = printed.split("\n\n").find(|block| block.starts_with(&format!("{name}  ")));
    let mut lines = block.unwrap_or_else(|| panic!("{name} is not in:\n{printed}")).lines();
    (lines.next().expect("a block has a title"), lines.map(str::trim).collect())
}

#[test]
fn draws_every_strategy_within_100_columns() {
    let printed = succeed(&mut program());
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
    assert!(!printed.contains('\x1b'), "no colour when it is not a terminal");
    let (title, floor) = strategy(&printed, "FLOOR minute, event clock");
    assert!(title.contains("  5 sessions: "), "{title}");
    assert_eq!(floor[1].split_whitespace().filter(|word| *word == "watermark").count(), 5);
    for (name, labels) in [
        ("Gap 30s", "9 gap 2 gap 3 gap"),
        ("Gap 30s, inclusive", "11 gap 3 gap"),
        ("Gap 30s, max duration 1m", "4 max duration 4 max duration 1 gap 2 gap 3 gap"),
        ("Gap 30s, cut daily", "7 cut between 2 gap 2 gap 3 gap"),
    ] {
        let (_, lines) = strategy(&printed, name);
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>().join(" "), labels, "{name}");
    }
    let (_, stagger) = strategy(&printed, "Stagger: FLOOR minute, RANGE 1m, arrival clock");
    assert_eq!(stagger.concat().matches(", part 2").count(), 1, "{stagger:?}");
    for name in ["STEP 30s, event clock", "Sliding 1m every 30s"] {
        strategy(&printed, name);
    }
}

#[test]
fn draws_a_window_with_its_ends_and_events() {
    let folder = TempDir::new().expect("a folder");
    let events = file(&folder, "events.txt", "# happened received\n0 0\n48 48\n\n95 95\n");
    let mut command = program();
    command.arg("--events").arg(events).args(["--gap", "1m", "--step", "1h", "--floor", "hour", "--range", "1h"]);
    let printed = succeed(command.args(["--sliding", "1h", "--max-duration", "1h"]));
    let (_, gap) = strategy(&printed, "Gap 1m");
    assert_eq!(gap[1], "3 gap");
    assert_eq!(gap[0].matches('●').count(), 3);
    assert!(gap[0].starts_with("●━") && gap[0].contains("━●━") && gap[0].contains("━●─"), "{}", gap[0]);
}

#[test]
fn shows_what_is_too_late() {
    let folder = TempDir::new().expect("a folder");
    let events = file(&folder, "events.txt", "100\n200\n20\n");
    let printed = succeed(program().arg("--events").arg(events).args(["--out-of-order", "10s"]));
    let (title, step) = strategy(&printed, "STEP 30s, event clock");
    assert!(title.contains("  2 sessions: "), "{title}");
    assert_eq!(step[2..], ["×", "× 1 handed back, too late"]);
    let (_, stagger) = strategy(&printed, "Stagger: FLOOR minute, RANGE 1m, arrival clock");
    assert!(!stagger.concat().contains('×'), "nothing is late on the arrival clock");
}

#[test]
fn writes_a_picture_that_stands_alone() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("timeline.svg");
    succeed(program().arg("--svg").arg(&path));
    let svg = std::fs::read_to_string(&path).expect("the picture is written");
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert!(!svg.contains("href") && !svg.contains("<script") && !svg.contains("url("), "it needs something else");
    // 9 steps, 5 minutes, 6 staggered, 3, 2, 5 and 4 by gap, 10 sliding.
    assert_eq!(svg.matches("<g><title>").count(), 44);
    assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    assert!(svg.contains(
        "<g><title>Gap 30s, inclusive: 11 gap, [2018-11-29T23:58:05.000000Z, 2018-11-30T00:01:35.000000Z)</title>"
    ));
}

#[test]
fn says_what_is_wrong_with_its_input() {
    let folder = TempDir::new().expect("a folder");
    let cases = [
        ("1\nnoon\n", vec![], "line 2 is not `SECONDS` or `SECONDS ARRIVAL`, such as `12.5 13`: noon\n"),
        ("1 2 3\n", vec![], "line 1 is not `SECONDS` or `SECONDS ARRIVAL`, such as `12.5 13`: 1 2 3\n"),
        ("# nothing\n", vec![], "there are no events in "),
        ("1\n", vec!["--gap", "0s"], "the gap is zero"),
    ];
    for (content, options, message) in cases {
        let events = file(&folder, "events.txt", content);
        let output = program().arg("--events").arg(events).args(options).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(text(&output.stderr).starts_with(&format!("timeline: {message}")), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_closed_pipe_is_no_panic() {
    program::testing::closed_pipes_are_no_panic(program);
}

#[test]
fn a_picture_takes_no_input_along() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let events = file(&folder, "events.txt", "1\n2\n");
    let ran = program().arg("--events").arg(&events).arg("--svg").arg(&events).output().unwrap();
    let sentence = format!("timeline: {} is an input: write to another file\n", events.display());
    assert_eq!((ran.status.code(), text(&ran.stderr)), (Some(2), sentence));
    assert_eq!(std::fs::read_to_string(&events).unwrap(), "1\n2\n");
}
