//! `sql translate`: the program is what it was, compiles, and gives the same rows.
//!
//! `STAGGER_RENEW=1` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use article::{Click, applications};
use needs_shared::needs_shared;
use program::testing::output;
use sql::model::Arrival;
use sql::plan::Plan;
use sql::run::Run;
use sql::source::Source;
use sql::translate::translate;

use crate::support::{Wrote, made, planned, program, shown};

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
#[path = "translated/shop.rs"]
mod shop;

const TEXT: &str = include_str!("translated/shop.sql");
const CLICKS: &str = "--users 40 --rate 3 --duration 20m --disorder 20s --stragglers 0.02 --late-by 5m";

fn rows(plan: &Plan, lines: &str) -> Vec<Wrote> {
    let mut source = Source::new(plan, &Arrival::Field("arrival_timestamp".to_owned()));
    let mut run = Run::new(plan).expect("windows that work");
    let (mut wrote, mut row) = (Vec::new(), Vec::new());
    for line in lines.lines() {
        let arrival = source.read(line, &mut row).expect("a click").expect("an arrival");
        run.push(&mut row, arrival, &mut |written| wrote.push(shown(plan, &written)));
    }
    run.finish(&mut |written| wrote.push(shown(plan, &written)));
    wrote
}

#[test]
fn the_program_is_what_the_text_is_translated_to() {
    let code = translate(&planned(TEXT, None));
    if std::env::var_os("STAGGER_RENEW").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/translated/shop.rs"), &code).expect("room");
    }
    assert!(code == include_str!("translated/shop.rs"), "STAGGER_RENEW=1 writes it anew; then build again");
}

#[test]
fn the_program_gives_the_rows_of_the_text() {
    let lines = made(CLICKS);
    let (of_text, of_program) = (rows(&planned(TEXT, None), &lines), rows(&shop::application(), &lines));
    for stream in ["VISITS", "CLEAN", "MINUTES", "LATEST", "WORDS", "SUMS"] {
        assert!(of_text.iter().filter(|row| row.stream == stream).count() > 10, "{stream}");
    }
    assert_eq!(of_program, of_text);
}

/// Builds a package with the crates that this repository is built with, so that nothing is downloaded, and once for all
/// packages. Gives the program of that name.
fn build(package: &Path, name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("translated");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).expect("the versions of the repository");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--target-dir"]).arg(&target);
    cargo.current_dir(package).env("RUSTFLAGS", "-D warnings");
    let built = output(&mut cargo);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug").join(name)
}

/// What a program writes that reads a file.
fn ran(executable: &Path, clicks: &Path) -> String {
    let input = Stdio::from(fs::File::open(clicks).expect("clicks"));
    let ran = output(Command::new(executable).arg("arrival_timestamp").stdin(input));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

/// The rows of the streams in a folder, in no order.
fn sorted_rows(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let is_stream = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem != "error_stream");
    let texts = files.filter(is_stream).map(|path| fs::read_to_string(path).expect("rows"));
    sorted(&texts.collect::<String>())
}

fn sorted(lines: &str) -> Vec<String> {
    let mut lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_package_needs_no_other_of_this_repository_than_the_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("app.sql"), TEXT).expect("room");
    fs::write(path("clicks.jsonl"), made(CLICKS)).expect("room");
    let translated = program(&["translate", &text("app.sql"), "--package", &text("Shop 1")]);
    assert_eq!(translated.status, 0, "{}", translated.said);
    assert!(translated.said.contains("cargo run --release -- client_timestamp < RECORDS.jsonl"), "{}", translated.said);
    let again = program(&["translate", &text("app.sql"), "--package", &text("Shop 1")]);
    assert!((again.status, again.said.contains("is there already")) == (2, true), "{}", again.said);
    let rows = ran(&build(&path("Shop 1"), "shop_1"), &path("clicks.jsonl"));

    let form = ["--arrival", "arrival_timestamp", "--output-format", "jsonl"];
    let (app, clicks, output) = (text("app.sql"), text("clicks.jsonl"), text("rows"));
    let all = [&[&app, "--input", &clicks, "--output", &output], &form[..]].concat();
    let run = program(&all);
    assert_eq!(run.status, 0, "{}", run.said);
    assert_eq!(sorted(&rows), sorted_rows(&path("rows")));

    // The same as one file.
    fs::remove_dir_all(path("Shop 1/src/sql")).expect("a folder");
    fs::write(path("Shop 1/src/main.rs"), program(&["translate", &app]).out).expect("room");
    assert_eq!(ran(&build(&path("Shop 1"), "shop_1"), &path("clicks.jsonl")), rows);
}

#[needs_shared]
#[test]
fn the_applications_of_the_article_give_the_rows_of_a_naive_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    let lines = made("--users 400 --rate 3 --duration 30m --disorder 20s --stragglers 0.02 --late-by 5m");
    fs::write(path("clicks.jsonl"), &lines).expect("room");
    let clicks: Vec<Click> = lines.lines().map(Click::read).collect();
    for (number, (sql, width)) in applications().into_iter().enumerate() {
        fs::write(path("app.sql"), sql).expect("room");
        if number == 0 {
            let translated = program(&["translate", &text("app.sql"), "--package", &text("sessions")]);
            assert_eq!(translated.status, 0, "{}", translated.said);
        } else {
            fs::write(path("sessions/src/main.rs"), program(&["translate", &text("app.sql")]).out).expect("room");
        }
        let rows = ran(&build(&path("sessions"), "sessions"), &path("clicks.jsonl"));
        let row = |line: &str| article::csv_of(&serde_json::from_str(line).expect("JSON"));
        assert_eq!(rows.lines().map(row).collect::<Vec<_>>(), article::rows(&clicks, width));
    }
}
