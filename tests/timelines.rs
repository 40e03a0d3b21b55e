//! The cases of `tests/timelines/*.txt`: events, the clock, and the sessions that a person expects.
//! `tests/timelines/README.md` explains the format.
//!
//! Every case runs twice: in one engine, and in an engine that is saved and restored before each line.

#[path = "timelines/case.rs"]
mod case;
#[path = "timelines/play.rs"]
mod play;

use std::fs;
use std::path::{Path, PathBuf};

use case::Case;
use play::{Engines, play};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// How a case runs, beside its expectations; nothing if it runs as expected.
fn difference(case: &Case, engines: Engines) -> Option<String> {
    let found = match play(case, engines) {
        Ok(found) => found,
        Err(error) => return Some(format!("{case}\n{error}\n")),
    };
    if case.steps.iter().map(|step| &step.expected).eq(&found) {
        return None;
    }
    let mut text = format!("{case}, {engines:?}\n(- expected, + found)\n");
    for (step, found) in case.steps.iter().zip(found) {
        text += &format!("      {}\n", step.text);
        if step.expected == found {
            found.iter().for_each(|line| text += &format!("        -> {line}\n"));
        } else {
            step.expected.iter().for_each(|line| text += &format!("    -   -> {line}\n"));
            found.iter().for_each(|line| text += &format!("    +   -> {line}\n"));
        }
    }
    Some(text)
}

#[test]
fn every_timeline_runs_as_written() {
    let (mut cases, mut wrong) = (0, Vec::new());
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let in_file = case::parse(&name, &fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{error}"));
        cases += in_file.len();
        for engines in [Engines::One, Engines::RestoredBeforeEachLine] {
            wrong.extend(in_file.iter().filter_map(|case| difference(case, engines)));
        }
    }
    println!("{cases} timelines");
    assert!(cases > 30, "the timelines are found");
    assert!(wrong.is_empty(), "{} runs of {cases} timelines differ:\n\n{}", wrong.len(), wrong.join("\n"));
}

/// The test of the runner: it shows the line that differs, and where the case stands.
#[test]
fn a_timeline_that_differs_is_shown_beside_its_expectation() {
    let text =
        "== one event\ngap 30m\n10:00 ann a\nend\n  -> ann: 2 events, 10:00 a to 10:00 a, window [10:00, 10:30), gap\n";
    let case = case::parse("example.txt", text).unwrap().remove(0);
    let shown = difference(&case, Engines::One).unwrap();
    let expected = "\
example.txt:1: one event, One
(- expected, + found)
      10:00 ann a
      end
    -   -> ann: 2 events, 10:00 a to 10:00 a, window [10:00, 10:30), gap
    +   -> ann: 1 event, 10:00 a to 10:00 a, window [10:00, 10:30), flush
";
    assert_eq!(shown, expected);
}

#[test]
fn a_line_that_means_nothing_is_refused_with_its_place() {
    let error = |text: &str| {
        let parsed = case::parse("example.txt", text);
        parsed.map(|cases| play(&cases[0], Engines::One).err()).unwrap_or_else(Some).unwrap()
    };
    assert_eq!(error("== a\ngap 30m\n10:0 ann a\n"), "example.txt:3: `10:0` is no time such as 10:00 or 10:00:05.5");
    assert_eq!(error("== a\ngab 30m\n10:00 ann a\n"), "example.txt:2: unknown setting `gab 30m`");
    assert_eq!(error("10:00 ann a\n"), "example.txt:1: a case begins with `== TITLE`");
}
