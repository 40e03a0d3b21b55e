//! `kinesis demo` without a terminal: its messages and its files.

use std::path::Path;
use std::process::{Command, Output};

/// A short one in a folder, and its messages.
fn demo(folder: &Path, arguments: &[&str]) -> Output {
    lasting("2s", folder, arguments)
}

fn lasting(duration: &str, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis"));
    command.args(["demo", "--duration", duration, "--rate", "50"]).args(arguments).current_dir(folder);
    // It has its own server, wherever the environment leads.
    command.env("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:9");
    program::testing::output(&mut command)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("all is UTF-8 here")
}

#[test]
fn it_ends_by_itself_and_leaves_a_report() {
    let folder = tempfile::tempdir().expect("there is room");
    let output = demo(folder.path(), &["--shards", "3"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = std::fs::read_to_string(folder.path().join("kinesis-demo/report.txt")).expect("there is a report");
    assert!(text(&output.stdout).ends_with(&report), "{}", text(&output.stdout));
    let hint = "A window stays open for 30s: the first sessions close after that\n";
    assert!(text(&output.stdout).starts_with(hint), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains('\x1b'), "nothing is drawn where there is no terminal");
    let (put, _) = report.split_once(" records put on the stream, ").expect("it says what was put");
    assert_ne!(put, "0");
    for words in [
        "\n  shardId-000000000000 ",
        "\nstagger_step_30s: ",
        "\nstagger_floor_minute: ",
        "\nIn kinesis-demo:\n",
        "\nNext:\n",
    ] {
        assert!(report.contains(words), "no {words} in\n{report}");
    }
}

#[test]
fn what_is_there_already_is_not_touched() {
    let folder = tempfile::tempdir().expect("there is room");
    std::fs::create_dir(folder.path().join("kinesis-demo")).expect("there is room");
    std::fs::write(folder.path().join("kinesis-demo/mine"), "mine").expect("there is room");
    let refused = demo(folder.path(), &["--output", "kinesis-demo"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stderr), "kinesis: kinesis-demo is not an empty folder: give a new one with --output\n");
    assert!(demo(folder.path(), &[]).status.success());
    let entries = |name: &str| std::fs::read_dir(folder.path().join(name)).expect("it is there").count();
    assert_eq!(entries("kinesis-demo"), 1);
    assert!(entries("kinesis-demo-2") > 0);
}

/// However long it takes until there are clicks.
#[test]
fn the_time_begins_with_the_first_click() {
    let folder = tempfile::tempdir().expect("there is room");
    let output = lasting("1ms", folder.path(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = std::fs::read_to_string(folder.path().join("kinesis-demo/report.txt")).expect("there is a report");
    assert!(!report.starts_with("0 records put"), "{report}");
}
