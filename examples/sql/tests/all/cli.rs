//! The program: its options, its files, and its messages.

use std::fs;

use crate::support::program;

const APP: &str = "-- counts clicks\n\
    CREATE OR REPLACE STREAM clean (page VARCHAR(20), price DOUBLE);\n\
    CREATE OR REPLACE STREAM counts (page VARCHAR(20), n INTEGER, total DOUBLE);\n\
    /* only those\n with a page */\n\
    CREATE OR REPLACE PUMP a AS INSERT INTO clean (price, page)\n\
    SELECT STREAM \"price\", LOWER(TRIM(\"page\")) FROM SOURCE_SQL_STREAM_001 WHERE \"page\" IS NOT NULL;\n\
    CREATE OR REPLACE PUMP b AS INSERT INTO counts SELECT STREAM page, COUNT(*), SUM(price) FROM clean\n\
    GROUP BY page, FLOOR(clean.ROWTIME TO MINUTE) HAVING COUNT(*) > 1;\n";

const CLICKS: &str = r#"{"page": " A", "price": 1.5, "at": "2018-11-29T10:00:00Z"}
{"page": "a", "price": 2, "at": "2018-11-29T10:00:59.999Z"}
{"page": "b", "price": 1, "at": "2018-11-29T10:00:59.999Z"}

{"page": "much longer than twenty characters", "price": 1, "at": "2018-11-29T10:01:00Z"}
{"price": 1, "at": "2018-11-29T10:01:00Z"}
{"page": "b", "price": "x", "at": "2018-11-29T10:01:00Z"}
not JSON
{"page": "b", "price": null, "at": "2018-11-29T10:01:00Z"}
{"page": "b", "price": 4, "at": "2018-11-29T10:01:30Z"}
"#;

fn folder(app: &str) -> (tempfile::TempDir, impl Fn(&str) -> String + use<>) {
    let folder = tempfile::tempdir().expect("a folder");
    let base = folder.path().to_owned();
    fs::write(base.join("app.sql"), app).expect("room");
    fs::write(base.join("clicks.jsonl"), CLICKS).expect("room");
    (folder, move |name: &str| base.join(name).to_str().expect("UTF-8").to_owned())
}

#[test]
fn one_pump_reads_what_another_one_fills() {
    let (_folder, path) = folder(APP);
    let ran = program(&[&path("app.sql"), "--input", &path("clicks.jsonl"), "--arrival", "at"]);
    assert_eq!(ran.out, "PAGE,N,TOTAL\na,2,3.5\nb,2,4.0\n", "{}", ran.said);
    assert_eq!(ran.status, 0);
    assert!(ran.said.contains("\"price\" DOUBLE, \"page\" VARCHAR (--schema says otherwise)"), "{}", ran.said);
    assert!(ran.said.contains("a row of \"A\": 'much longer than twenty characters' is longer than VARCHAR(20)"));
    assert!(ran.said.ends_with("9 records read, 2 rows written, 3 to the error stream\n"), "{}", ran.said);
}

#[test]
fn a_folder_has_a_file_for_each_stream_and_for_errors() {
    let (_folder, path) = folder(APP);
    let ran = program(&[
        &path("app.sql"),
        "--input",
        &path("clicks.jsonl"),
        "--arrival",
        "at",
        "--output",
        &path("rows"),
        "--output-format",
        "jsonl",
    ]);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{}", ran.said);
    let read = |name: &str| fs::read_to_string(path(name)).expect("a file");
    assert_eq!(read("rows/CLEAN.jsonl").lines().next(), Some(r#"{"PAGE":"a","PRICE":1.5}"#));
    assert!(read("rows/CLEAN.jsonl").contains(r#"{"PAGE":"b","PRICE":null}"#));
    assert_eq!(read("rows/COUNTS.jsonl").lines().count(), 2);
    let errors = read("rows/error_stream.jsonl");
    assert_eq!(errors.lines().count(), 3);
    assert!(errors.contains(
        r#""MESSAGE":"\"price\": 'x' is no DOUBLE","DATA_ROWTIME":"2018-11-29 10:01:00.000","DATA_ROW":"7b22"#
    ));
    assert!(errors.contains(r#""PUMP_NAME":"A""#));
}

#[test]
fn one_stream_of_several_is_named() {
    let (_folder, path) = folder(APP);
    let with = |more: &[&str]| {
        let (app, clicks) = (path("app.sql"), path("clicks.jsonl"));
        let all = [&[app.as_str(), "--input", &clicks, "--arrival", "at"], more].concat();
        program(&all)
    };
    let clean = with(&["--stream", "CLEAN", "--output", &path("clean.csv")]);
    assert_eq!(clean.status, 0, "{}", clean.said);
    assert_eq!(fs::read_to_string(path("clean.csv")).expect("a file").lines().count(), 6);
    let wrong = with(&["--stream", "clean"]);
    assert_eq!(wrong.said.lines().last(), Some("sql: no pump fills a stream \"clean\": there are CLEAN, COUNTS"));
    assert_eq!(wrong.status, 2);
}

#[test]
fn types_may_be_told() {
    let app = "CREATE STREAM d (v VARCHAR(9)); CREATE PUMP p AS INSERT INTO d SELECT STREAM CAST(\"price\" AS VARCHAR(9)) FROM s;";
    let (_folder, path) = folder(app);
    let rows = |schema: &str| {
        let ran = program(&[&path("app.sql"), "--input", &path("clicks.jsonl"), "--arrival", "at", "--schema", schema]);
        assert_eq!(ran.status, 0, "{}", ran.said);
        ran.out.lines().skip(1).take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(rows("\"price\" DECIMAL(9, 2)"), "1.50 2.00");
    assert_eq!(rows("\"price\" INTEGER"), "2 2");
    let wrong = program(&[&path("app.sql"), "--input", "x", "--schema", "price FLOATY"]);
    assert!(wrong.said.contains("the type FLOATY is not supported"), "{}", wrong.said);
}

#[test]
fn what_is_missing_is_said() {
    let (_folder, path) = folder(APP);
    let run = |arguments: &[&str]| {
        let ran = program(arguments);
        assert_eq!(ran.status, 2, "{}", ran.said);
        ran.said.lines().last().unwrap_or_default().to_owned()
    };
    assert!(run(&[]).contains("--input <FILE> <APP.SQL>"));
    assert!(run(&[&path("app.sql"), &path("clicks.jsonl")]).contains("not provided: --input <FILE>"));
    assert!(run(&[&path("app.sql"), "x", "--input", "y"]).ends_with("name the records once, with --input x"));
    assert!(run(&["no.sql", "--input", "x"]).contains("cannot read no.sql"));
    let no_arrival = run(&[&path("app.sql"), "--input", &path("clicks.jsonl")]);
    assert!(no_arrival.contains("with --arrival FIELD"), "{no_arrival}");
    assert!(run(&[&path("app.sql"), "--input", "no.jsonl", "--arrival", "at"]).contains("cannot read no.jsonl"));
}

/// Nothing is written over the rows of an earlier run.
#[test]
fn a_run_on_other_records_fails() {
    let (_folder, path) = folder(APP);
    fs::write(path("rows.csv"), "rows of yesterday").expect("room");
    let run = |arrival: &str| {
        let (app, clicks, rows) = (path("app.sql"), path("clicks.jsonl"), path("rows.csv"));
        program(&[&app, "--input", &clicks, "--arrival", arrival, "--stream", "COUNTS", "--output", &rows])
    };
    let ran = run("arrived");
    assert!(ran.said.contains("a record: `arrived`, the time of arrival, is missing"), "{}", ran.said);
    assert!(ran.said.ends_with("sql: none of the 9 records is a row of the source\n"), "{}", ran.said);
    assert_eq!((ran.status, fs::read_to_string(path("rows.csv")).expect("rows").as_str()), (1, "rows of yesterday"));
    assert_eq!(run("at").status, 0);
}

/// It was written over: the text, and a file with the schema.
#[test]
fn nothing_that_is_read_is_written_over() {
    let (_folder, path) = folder(APP);
    fs::write(path("schema"), "\"page\" VARCHAR(20), \"price\" DOUBLE").expect("room");
    let (app, clicks, schema) = (path("app.sql"), path("clicks.jsonl"), path("schema"));
    let run = |output: &str| {
        program(&[
            &app,
            "--input",
            &clicks,
            "--arrival",
            "at",
            "--schema",
            &schema,
            "--stream",
            "COUNTS",
            "--output",
            output,
        ])
    };
    for read in [&app, &clicks, &schema] {
        let ran = run(read);
        assert!(ran.said.ends_with(&format!("sql: {read} is an input: write to another file\n")), "{}", ran.said);
        assert_eq!(ran.status, 2);
    }
    assert_eq!(fs::read_to_string(&app).expect("the text"), APP);
    for (name, why) in [
        ("rows.json", "would be CSV: say --output-format jsonl, or csv if that is meant"),
        ("rows.csv.gz", "would not be packed: leave out its ending, and pack it with gzip then"),
    ] {
        let ran = run(&path(name));
        assert!(ran.status == 2 && ran.said.ends_with(&format!("{name} {why}\n")), "{}", ran.said);
    }
}

/// Its name was none for cargo, and the command that is told did not work when copied.
#[test]
fn a_package_has_a_name_that_cargo_takes() {
    let (_folder, path) = folder(APP);
    for (name, package, shown) in
        [("visits", "visits", "visits"), ("1 app", "app_1_app", "'1 app'"), ("it's", "it_s", r"'it'\''s'")]
    {
        let ran = program(&["translate", &path("app.sql"), "--package", &path(name)]);
        assert_eq!(ran.status, 0, "{}", ran.said);
        let manifest = fs::read_to_string(path(&format!("{name}/Cargo.toml"))).expect("a manifest");
        assert!(manifest.contains(&format!("name = \"{package}\"\n")), "{manifest}");
        let folder = path("");
        let shown = if shown == name { path(name) } else { shown.replacen('\'', &format!("'{folder}"), 1) };
        assert!(ran.said.contains(&format!("Run it: cd {shown} && cargo run")), "{}", ran.said);
    }
    fs::create_dir(path("rows")).expect("room");
    fs::write(path("rows/x"), "").expect("room");
    let (app, clicks) = (path("app.sql"), path("clicks.jsonl"));
    let ran = program(&[&app, "--input", &clicks, "--arrival", "at", "--output", &path("rows")]);
    assert!(
        ran.status == 2 && ran.said.ends_with(&format!("cannot create {}: directory not empty\n", path("rows"))),
        "{}",
        ran.said
    );
}

/// Firehose stores records one after the other; others keep them in a list, or over several lines.
#[test]
fn objects_need_no_lines_of_their_own() {
    let (_folder, path) = folder(APP);
    let run = || {
        let ran =
            program(&[&path("app.sql"), "--input", &path("clicks.jsonl"), "--arrival", "at", "--stream", "CLEAN"]);
        assert_eq!(ran.status, 0, "{}", ran.said);
        ran.out
    };
    let objects = CLICKS.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>();
    let expected = run();
    assert_eq!(expected.lines().count(), 6);
    for text in [
        objects.concat(),
        format!("\n[{}]\n", objects.join(",\n")),
        objects.join("\n").replace(", ", ",\n"),
        objects.join("\r\n\r\n"),
    ] {
        fs::write(path("clicks.jsonl"), text).expect("room");
        assert_eq!(run(), expected);
    }
}

#[test]
fn columns_that_no_record_has_are_named() {
    let (_folder, path) = folder(&APP.replace("\"price\"", "\"Price\""));
    let ran = program(&[&path("app.sql"), "--input", &path("clicks.jsonl"), "--arrival", "at"]);
    assert!(ran.said.ends_with("NULL in every row, since no record has such a field: \"Price\"\n"), "{}", ran.said);
    assert_eq!((ran.status, ran.out.as_str()), (0, "PAGE,N,TOTAL\na,2,\nb,3,\n"));
}

#[test]
fn a_text_in_another_encoding_is_named() {
    let (_folder, path) = folder(APP);
    let utf16: Vec<u8> = [0xfeff].into_iter().chain(APP.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(path("app.sql"), utf16).expect("room");
    let ran = program(&["explain", &path("app.sql")]);
    assert!(ran.said.ends_with("app.sql is no text in UTF-8: save it as UTF-8\n"), "{}", ran.said);
    assert_eq!(ran.status, 2);
}

#[test]
fn an_application_is_explained() {
    let (_folder, path) = folder(APP);
    let ran = program(&["explain", &path("app.sql")]);
    assert_eq!(ran.status, 0, "{}", ran.said);
    for line in [
        "source \"SOURCE_SQL_STREAM_001\"",
        "  column     \"price\" DOUBLE, from the field `price`",
        "pump \"B\"",
        "  clock      ROWTIME, when a record arrived",
        "  window     tumbling: each minute of ROWTIME, in UTC, closes at its end",
        "  partition  page",
        "  aggregate  SUM of \"PRICE\": DOUBLE",
        "  having     COUNT(*) > 1",
        "  column     \"PAGE\" VARCHAR(20) = LOWER(TRIM(\"page\"))",
        "  - Rows that several pumps insert at one time come in the order of the pumps in the text.",
    ] {
        assert!(ran.out.lines().any(|said| said == line), "{line}\n{}", ran.out);
    }
}
