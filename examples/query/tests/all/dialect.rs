//! SQL written for Athena runs here; and all the ways to ask and to be answered.

use crate::support::{Folder, KINDS, Kind, Session, micros, query};

fn folder() -> Folder {
    let folder = Folder::new();
    let rows = [
        Session::new("a", 7, micros("2018-11-09T23:35:10"), 25),
        Session {
            begin: micros("2018-11-10T00:00:01") + 250_000,
            ..Session::new("b", 8, micros("2018-11-10T00:00:02"), 0)
        },
    ];
    folder.file("aggregated", &rows, &[Kind::JsonGz, Kind::Parquet]);
    folder
}

#[test]
fn the_folder_of_a_table_will_do() {
    let folder = folder();
    let table = folder.path().join("aggregated");
    let sql = "SELECT count(1), count(b.session_id) FROM sessions a JOIN aggregated b USING (session_id)";
    let one = query(Some(&table), &["--sql", sql, "--format", "csv"], "");
    assert_eq!((one.code, one.out.lines().nth(1)), (Some(0), Some("2,2")), "{}", one.errors);
    folder.file("Visits-1", &[Session::new("c", 7, 0, 25)], &[Kind::Json]);
    let named = query(Some(&folder.path().join("Visits-1")), &["--sql", "SELECT events FROM visits_1"], "");
    assert_eq!(named.code, Some(0), "{}", named.errors);
}

#[test]
fn functions_of_athena_are_there() {
    let folder = folder();
    let one = |expression: &str| {
        let rows = folder.rows(&format!("SELECT {expression} FROM aggregated WHERE session_id = 'a'"), "2018-11-11");
        rows.into_iter().next().unwrap_or_default()
    };
    let cases = [
        ("year(beginsession), quarter(beginsession), month(beginsession), day(beginsession)", "2018,4,11,9"),
        ("hour(beginsession), minute(beginsession), second(beginsession), millisecond(beginsession)", "23,35,10,0"),
        ("day_of_week(beginsession), day_of_year(beginsession), week(beginsession)", "5,313,45"),
        ("day_of_week(date '2018-11-11'), day_of_month(date '2018-11-11')", "7,11"),
        ("current_date, day(current_date - interval '1' day)", "2018-11-11,10"),
        ("date(now()), date(beginsession), date('2018-01-02')", "2018-11-11,2018-11-09,2018-01-02"),
        ("date_diff('second', beginsession, endsession), date_diff('day', date '2018-11-01', current_date)", "25,10"),
        ("date_diff('hour', timestamp '2018-11-09 12:00:00', timestamp '2018-11-09 10:30:00')", "-1"),
        ("date_trunc('hour', beginsession)", "2018-11-09T23:00:00Z"),
        ("from_iso8601_timestamp('2018-11-09T23:35:10Z') = beginsession", "true"),
        (
            "beginsession >= timestamp '2018-11-09 23:35:10', beginsession < timestamp '2018-11-09 23:35:10.001'",
            "true,true",
        ),
        ("cast(user_id as varchar) || '_' || upper(substr(device_id, 1, 3))", "7_MOB"),
        ("year(cast(null as date)), supersedes", ","),
        ("regexp_like(device_id, '^m.b'), split('a,b', ',') is null", "true,false"),
    ];
    for (expression, expected) in cases {
        assert_eq!(one(expression), expected, "{expression}");
    }
}

#[test]
fn a_time_is_the_same_in_all_kinds_of_files() {
    let row = Session {
        begin: micros("2018-11-09T23:35:10") + 123_456,
        ..Session::new("a", 7, micros("2018-11-09T23:35:10"), 40)
    };
    for kind in KINDS {
        let folder = Folder::new();
        folder.file("aggregated", std::slice::from_ref(&row), &[kind]);
        let sql = "SELECT * FROM aggregated";
        let found = folder.query(&["--sql", sql, "--format", "json"]).out;
        let revision = if kind == Kind::Parquet { "0" } else { "null" };
        let expected = format!(
            "{{\"session_id\":\"a\",\"user_id\":7,\"device_id\":\"mobile\",\"timeagg\":\"2018-11-09T23:35:00Z\",\"events\":41,\
             \"beginnavigation\":\"beer_vitrine_nav\",\"endnavigation\":\"beer_checkout\",\
             \"beginsession\":\"2018-11-09T23:35:10.123456Z\",\"endsession\":\"2018-11-09T23:35:50Z\",\"duration_sec\":39,\
             \"reason\":\"range\",\"revision\":{revision},\"supersedes\":null,\
             \"partition_0\":2018,\"partition_1\":11,\"partition_2\":9,\"partition_3\":23}}\n"
        );
        assert_eq!(found, expected, "{kind:?}");
    }
}

#[test]
fn sql_comes_from_an_argument_a_file_and_standard_input() {
    let folder = folder();
    let (sql, expected) = ("SELECT count(1) AS n FROM aggregated", "n\n2\n");
    let file = folder.put("../query-test.sql", sql.as_bytes());
    let csv = ["--format", "csv"];
    for (arguments, input) in
        [(vec!["--sql", sql], ""), (vec!["--file", file.to_str().unwrap()], ""), (vec!["--file", "-"], sql)]
    {
        let answer = query(Some(folder.path()), &[&csv[..], &arguments].concat(), input);
        assert_eq!(answer.out, expected, "{arguments:?}: {}", answer.errors);
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_table_is_for_the_eye() {
    let answer = folder().query(&["--sql", "SELECT session_id, beginsession, supersedes FROM aggregated ORDER BY 1"]);
    let expected = "\
        +------------+--------------------------+------------+\n\
        | session_id | beginsession             | supersedes |\n\
        +------------+--------------------------+------------+\n\
        | a          | 2018-11-09T23:35:10Z     | NULL       |\n\
        | b          | 2018-11-10T00:00:01.250Z | NULL       |\n\
        +------------+--------------------------+------------+\n\
        2 rows\n";
    assert_eq!(answer.out, expected);
    assert_eq!(answer.errors, "aggregated: 2 of 2 files read\n");
}

#[test]
fn keys_of_any_name_and_type_are_columns() {
    let folder = Folder::new();
    let line = |key: &str| format!("{{\"session_id\":\"a\",{key},\"events\":1}}\n");
    folder.put(
        "aggregated/2018/11/09/00/a.json",
        line("\"visitor\":\"20\",\"score\":2.5,\"new\":true,\"list\":[1]").as_bytes(),
    );
    folder.put("aggregated/2018/11/09/01/b.json", line("\"visitor\":20").as_bytes());
    let rows = folder.rows("SELECT visitor, score, new FROM aggregated ORDER BY partition_3", "2018-11-09");
    assert_eq!(rows, ["20,2.5,true", "20,,"]);
    // Numbers first, a text later: the first lines do not show it.
    folder.put("other/2018/11/09/00/a.json", line("\"user_id\":20").as_bytes());
    folder.put("other/2018/11/09/01/b.json", line("\"user_id\":\"anna\"").as_bytes());
    let sql = ["--sql", "SELECT user_id FROM other ORDER BY 1", "--format", "csv"];
    assert_eq!(
        folder.problem(&sql),
        "F/other/2018/11/09/01/b.json: a value is not of the type of its column (whilst decoding field 'user_id': \
         failed to parse \"anna\" as Int64): give a key column its type with --key, as in --key user_id:text"
    );
    let answer = folder.query(&[&sql[..], &["--key", "user_id:text"]].concat());
    assert_eq!(answer.out, "user_id\n20\nanna\n", "{}", answer.errors);
}
