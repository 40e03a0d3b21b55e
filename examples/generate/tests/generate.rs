//! The lines of `generate`.

use std::process::{Command, Stdio};

use clap::Parser;
use generate::Options;

#[test]
fn no_arrival_leaves_out_the_arrival_and_nothing_else() {
    let clicks = |flags: &[&str]| {
        let arguments = ["generate", "--events", "200", "--rate", "10", "--disorder", "5s"];
        let options = Options::try_parse_from(arguments.iter().chain(flags)).unwrap();
        let mut lines = Vec::new();
        options.write(&mut lines).unwrap();
        String::from_utf8(lines).unwrap()
    };
    let (with, without) = (clicks(&[]), clicks(&["--no-arrival"]));
    let cut = |line: &str| line.split_once(r#", "arrival_timestamp""#).map(|(rest, _)| format!("{rest}}}\n"));
    let expected: Option<String> = with.lines().map(cut).collect();
    assert!(without.lines().count() >= 200);
    assert_eq!(Some(without), expected);
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_generate"));
    command.stdin(Stdio::null());
    command
}

#[test]
fn a_closed_pipe_is_no_panic() {
    program::testing::closed_pipes_are_no_panic(program);
}

#[test]
fn a_file_has_its_name_when_it_is_complete() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("clicks.jsonl");
    let write = |path: &std::path::Path| program().args(["--events", "5", "--output"]).arg(path).output().unwrap();
    assert!(write(&path).status.success());
    assert!(std::fs::read_to_string(&path).unwrap().lines().count() >= 5);
    let failed = write(std::path::Path::new("/dev/full"));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(
        (failed.status.code(), said.as_str()),
        (Some(2), "generate: cannot write /dev/full: no space left on device\n")
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
