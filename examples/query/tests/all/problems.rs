//! A sentence for everything that can be wrong, and never a panic.

use std::fs;

use proptest::prelude::*;

use crate::support::{Folder, KINDS, Kind, Session, bytes, gzip, micros, query, some_sessions};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("aggregated", &[Session::new("a", 7, micros("2018-11-09T23:35:10"), 25)], &[Kind::Json]);
    folder
}

#[test]
fn of_sql() {
    let folder = folder();
    let problem = |sql: &str| folder.problem(&["--sql", sql]);
    let cases = [
        (
            "SELECT * FORM aggregated",
            "the SQL cannot be read: Expected: end of statement, found: FORM at Line: 1, Column: 10: correct it there",
        ),
        ("SELECT 'a", "the SQL cannot be read: Unterminated string literal at Line: 1, Column: 8: correct it there"),
        ("", "there is no statement in the SQL: write one, such as SELECT count(*) FROM aggregated"),
        (
            "SELECT * FROM clicks",
            "there is no table `clicks`: there are aggregated, clicks_month, clicks_today, sessions",
        ),
        (
            "SELECT duration FROM \"aggregated\"",
            "there is no column `duration`: there are session_id, user_id, device_id, \
          timeagg, events, beginnavigation, endnavigation, beginsession, endsession, duration_sec, reason, revision, \
          supersedes, partition_0, partition_1, partition_2, partition_3",
        ),
        ("SELECT yaer(current_date)", "the query cannot be run: Invalid function 'yaer'. Did you mean 'year'?"),
        ("SELECT year('2018')", "the query cannot be run: year() takes a date or a timestamp, not Utf8: cast it first"),
        (
            "SELECT cast(device_id AS integer) FROM aggregated",
            "the query failed: Arrow error: Cast error: Cannot cast string \
          'mobile' to value of Int32 type",
        ),
        (
            "DROP TABLE aggregated",
            "nothing is written here: ask with SELECT, or CREATE VIEW for the statements that follow",
        ),
        (
            "INSERT INTO aggregated SELECT * FROM aggregated",
            "nothing is written here: ask with SELECT, or CREATE VIEW \
          for the statements that follow",
        ),
        (
            "COPY aggregated TO 'x.csv'",
            "nothing is written here: ask with SELECT, or CREATE VIEW for the statements that follow",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(problem(sql), expected, "{sql}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000));
    assert_eq!(problem(&deep), "the SQL is nested too deeply: write it with fewer parentheses");
    let long = format!("SELECT {}1 AS n", "1+".repeat(700));
    assert_eq!(folder.rows(&long, "2018-11-09"), ["701"]);
}

#[test]
fn of_folders_and_tables() {
    let problem = |folder: &Folder, arguments: &[&str]| folder.problem(arguments);
    let empty = Folder::new();
    assert_eq!(
        problem(&empty, &[]),
        "F has no tables, which are folders with years in them: `cargo run --release -p kinesis -- demo` writes some to \
         kinesis-demo/sessions"
    );
    let missing = query(Some(&empty.path().join("no")), &[], "");
    let sentence = missing.errors.replace(&empty.path().display().to_string(), "F");
    assert_eq!(
        sentence,
        "query: F/no is no folder: give one that `kinesis` wrote, or `files --output-format parquet`\n"
    );
    let deeper = Folder::new();
    deeper.file("sessions/aggregated", &[Session::new("a", 7, 0, 25)], &[Kind::Json]);
    let try_that = "F has no tables, which are folders with years in them: try F/sessions";
    assert_eq!(problem(&deeper, &[]), try_that);

    let folder = folder();
    assert_eq!(problem(&folder, &["--table", "x"]), "--table: there is no table `x`: there are aggregated");
    folder.file("gap_30m", &[Session::new("a", 7, 0, 25)], &[Kind::Json]);
    assert_eq!(
        problem(&folder, &["--table", "gap_30m"]),
        "--table: there are two tables `aggregated`: give gap_30m another name"
    );
    assert_eq!(
        problem(&folder, &["--file", "no.sql"]),
        "cannot read the SQL from no.sql: No such file or directory (os error 2)"
    );
    folder.file("Gap-30m", &[Session::new("a", 7, 0, 25)], &[Kind::Json]);
    assert_eq!(problem(&folder, &[]), "two folders of F make the same table `gap_30m`: rename one");

    let two = Folder::new();
    two.file("gap_30m", &[Session::new("a", 7, 0, 25)], &[Kind::Json]);
    two.file("step_30s", &[Session::new("a", 7, 0, 25)], &[Kind::Json]);
    assert_eq!(
        problem(&two, &[]),
        "there is no table `clicks_today`: there are gap_30m, step_30s; say which of them is `aggregated`, as in \
         --table gap_30m"
    );
}

#[test]
fn of_files_at_the_wrong_place() {
    let folder = folder();
    let stray = folder.put("aggregated/2018/11/x.json", b"");
    assert_eq!(
        folder.problem(&[]),
        "F/aggregated/2018/11/x.json is not at its place, which is TABLE/YYYY/MM/DD/HH/file: move it there or away"
    );
    fs::remove_file(stray).unwrap();
    let other = folder.put("aggregated/2018/11/09/23/x.txt", b"");
    assert_eq!(
        folder.problem(&[]),
        "F/aggregated/2018/11/09/23/x.txt is no .json, .json.gz or .parquet file: move it away"
    );
    fs::remove_file(other).unwrap();
    folder.put("aggregated/2018/11/09/23/_SUCCESS", b"");
    folder.put("aggregated/2018/11/09/23/.part.json.tmp", b"");
    assert_eq!(folder.rows("SELECT count(1) FROM aggregated", "2018-11-09"), ["1"]);
}

/// The sentence of a file that is read after a whole one.
fn damaged(name: &str, content: &[u8]) -> String {
    let folder = folder();
    folder.put(&format!("aggregated/2018/11/10/00/{name}"), content);
    let sentence = folder.problem(&["--sql", "SELECT max(events), max(beginsession) FROM aggregated"]);
    sentence.replace("F/aggregated/2018/11/10/00/", "")
}

#[test]
fn of_damaged_files() {
    let sessions = some_sessions(500, "2018-11-10T00:00:00", 1);
    let packed = bytes(Kind::JsonGz, &sessions);
    let again = "fetch it again or move it away";
    for cut in [10, packed.len() / 2, packed.len() - 4] {
        let sentence = damaged("a.json.gz", &packed[..cut]);
        assert!(
            sentence.starts_with("a.json.gz is not a whole gzip file (") && sentence.ends_with(again),
            "{sentence}"
        );
    }
    assert!(damaged("a.json.gz", b"{}").starts_with("a.json.gz is not a whole gzip file ("));
    let lines = bytes(Kind::Json, &sessions);
    let at_line = |broken: &str| [&bytes(Kind::Json, &sessions[..6])[..], broken.as_bytes(), b"\n", &lines].concat();
    let is_no_object = |what: &str| format!("line 7 of a.json is no JSON object ({what}): correct or delete that line");
    assert_eq!(damaged("a.json", &at_line("{\"events\": 1")), is_no_object("EOF while parsing an object"));
    assert_eq!(damaged("a.json", &at_line("{\"events\": }")), is_no_object("expected value"));
    assert_eq!(damaged("a.json", &at_line("7")), is_no_object("invalid type: integer `7`, expected a map"));
    assert_eq!(damaged("a.json", &at_line("\u{fffd}oops")), is_no_object("expected value"));
    assert!(damaged("a.json", &lines[..lines.len() - 5]).starts_with("line 500 of a.json is no JSON object (EOF"));
    assert!(damaged("a.json.gz", &gzip(&at_line("{]"))).starts_with("line 7 of a.json.gz is no JSON object ("));
    let of_type = damaged("a.json", &at_line("{\"events\": \"many\"}"));
    assert!(
        of_type.starts_with("a.json: a value is not of the type of its column (whilst decoding field 'events':"),
        "{of_type}"
    );
    let parquet = bytes(Kind::Parquet, &sessions);
    for cut in [0, 3, parquet.len() / 2, parquet.len() - 1] {
        let sentence = damaged("a.parquet", &parquet[..cut]);
        assert!(
            sentence.starts_with("a.parquet is not a whole Parquet file (") && sentence.ends_with(again),
            "{sentence}"
        );
    }
}

#[test]
fn a_folder_instead_of_a_file() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("aggregated/2018/11/10/00/a.json")).unwrap();
    assert!(folder.problem(&[]).ends_with("a.json is no .json, .json.gz or .parquet file: move it away"));
}

proptest! {
    // A quarter of the usual 256, or of what PROPTEST_CASES says.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Bytes changed anywhere: rows or a sentence.
    #[test]
    fn never_a_panic(kind in 0..3_usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let kind = KINDS[kind];
        let mut content = bytes(kind, &some_sessions(50, "2018-11-10T00:00:00", 1));
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        let folder = folder();
        let ending = ["json", "json.gz", "parquet"][KINDS.iter().position(|other| *other == kind).unwrap()];
        folder.put(&format!("aggregated/2018/11/10/00/a.{ending}"), &content);
        let answer = folder.query(&["--sql", "SELECT * FROM aggregated"]);
        prop_assert!(matches!(answer.code, Some(0 | 1)), "{:?}: {}", answer.code, answer.errors);
        prop_assert!(!answer.errors.contains("panicked"), "{}", answer.errors);
        prop_assert!(answer.code == Some(0) || answer.errors.lines().last().unwrap().contains("/a."), "{}", answer.errors);
    }
}

#[test]
fn a_closed_pipe_is_no_panic() {
    program::testing::closed_pipes_are_no_panic(|| std::process::Command::new(env!("CARGO_BIN_EXE_query")));
}
