use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use serde_json::json;

use stagger::Timestamp;

use super::*;

fn columns() -> Columns {
    Columns::declared(&["user_id:int", "device_id"]).unwrap()
}

const AT: i64 = 1_543_534_510; // 2018-11-29T23:35:10Z

fn row(begin: i64) -> SessionRow {
    SessionRow {
        id: "id".to_owned(),
        key: vec![20.into(), "d".into()],
        timeagg: Timestamp::from_secs(begin.div_euclid(60) * 60),
        events: 3,
        begin_navigation: "beer_vitrine_nav".to_owned(),
        end_navigation: String::new(),
        begin: Timestamp::from_micros(begin * 1_000_000 + 123_456),
        end: Timestamp::from_micros(begin * 1_000_000 + 34_123_455),
        reason: "range".to_owned(),
        revision: 0,
        supersedes: Vec::new(),
    }
}

fn with(row: SessionRow, id: &str, user: Value, device: &str) -> SessionRow {
    SessionRow { id: id.to_owned(), key: vec![user, device.into()], ..row }
}

/// The second begins long before 1970; the third is a correction.
fn rows() -> Rows {
    let more = [("sum_n", MoreKind::Number), ("visit", MoreKind::Count), ("list_t", MoreKind::Texts)];
    let mut rows = Rows::with_more(columns(), &more.map(|(name, kind)| (name.to_owned(), kind)));
    let list = |texts: &[&str]| More::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    let cells = |n: &str, visit, texts: &[&str]| [More::Number(n.to_owned()), More::Count(visit), list(texts)];
    rows.push_with(&with(row(AT), "id-20", 20.into(), "möbile"), &cells("0.3", 1, &["ä", "", "b,c"])).unwrap();
    rows.push_with(&with(row(-AT), "id-5", (-5).into(), ""), &[More::Null, More::Count(7), list(&[])]).unwrap();
    let supersedes = vec!["x".to_owned(), "y".to_owned()];
    let third = with(SessionRow { revision: 2, supersedes, ..row(AT) }, "id-7", "7".into(), "möbile");
    rows.push_with(&third, &cells("-12000000000000000000", 2, &["d"])).unwrap();
    rows
}

/// Opens a file of these bytes.
fn opened(bytes: &[u8]) -> SerializedFileReader<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    SerializedFileReader::new(file).unwrap()
}

/// The values of all rows, in the order of the file.
fn read(bytes: &[u8]) -> Vec<Vec<Field>> {
    let reader = opened(bytes);
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    rows.map(|row| row.get_column_iter().map(|(_, value)| value.clone()).collect()).collect()
}

#[test]
fn the_file_says_what_is_in_it() {
    let reader = opened(&rows().file().unwrap());
    let file = reader.metadata().file_metadata();
    assert_eq!((file.created_by(), file.num_rows()), (Some(CREATED_BY), 3));
    let names: Vec<&str> = file.schema_descr().columns().iter().map(|column| column.name()).collect();
    let expected = [
        "session_id",
        "user_id",
        "device_id",
        "timeagg",
        "events",
        "beginnavigation",
        "endnavigation",
        "beginsession",
        "endsession",
        "duration_sec",
        "reason",
        "revision",
        "supersedes",
        "sum_n",
        "visit",
        "element",
    ];
    assert_eq!(names, expected);
    let group = reader.metadata().row_group(0);
    let order: Vec<i32> = group.sorting_columns().unwrap().iter().map(|column| column.column_idx).collect();
    assert_eq!(order, [7, 0, 11]);
    for column in group.columns() {
        let name = column.column_path().string();
        assert_eq!(column.compression(), Compression::SNAPPY, "{name}");
        assert!(column.statistics().is_some_and(|statistics| statistics.min_bytes_opt().is_some()), "{name}");
    }
}

#[test]
fn many_rows_are_in_groups_in_one_order() {
    let many = || {
        let mut rows = Rows::new(columns());
        for user in 0..10 {
            // Of two with the same begin the id decides, and of two with the same id the revision.
            let (id, revision) = (["b", "a"][user % 2], u32::from(user < 5));
            let row = SessionRow { revision, ..row(AT - user as i64 / 4) };
            rows.push(&with(row, id, user.into(), "d")).unwrap();
        }
        rows
    };
    let bytes = many().file_in_groups(4).unwrap();
    let sizes: Vec<i64> = opened(&bytes).metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(sizes, [4, 4, 2]);
    let users: Vec<Field> = read(&bytes).iter().map(|row| row[1].clone()).collect();
    assert_eq!(users, [9, 8, 5, 7, 6, 4, 1, 3, 0, 2].map(Field::Long));
    assert!(read(&Rows::new(columns()).file().unwrap()).is_empty());
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_row() {
    let reason = |row: SessionRow, key: &[&str]| {
        let key = key.iter().map(|text| Value::from(*text)).collect();
        Rows::new(columns()).push(&SessionRow { key, ..row }).unwrap_err()
    };
    let no_integer = |value: &str| {
        format!(
            "the key field `user_id` is {value} in the row of session id, which is no integer of 64 bits: \
             declare it as user_id:text"
        )
    };
    assert_eq!(reason(row(AT), &["ann", "d"]), no_integer("\"ann\""));
    assert_eq!(reason(row(AT), &["2.5", "d"]), no_integer("\"2.5\""));
    assert_eq!(reason(row(AT), &["18446744073709551615", "d"]), no_integer("\"18446744073709551615\""));
    assert_eq!(reason(row(AT), &["1"]), "the row of session id is without the key field `device_id`");
    let large = reason(SessionRow { events: u64::MAX, ..row(AT) }, &["1", "d"]);
    assert_eq!(large, "18446744073709551615 in the row of session id is too large for its column");
}

/// The rows found by each reader, or nothing if the readers are not installed.
fn readers(folder: &Path) -> Option<Value> {
    let python = std::env::var("KINESIS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python).args(["-c", include_str!("readers.py")]).arg(folder).output();
    match output {
        Ok(output) if output.status.success() => Some(serde_json::from_slice(&output.stdout).unwrap()),
        Ok(output) if output.status.code() != Some(77) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        _ => {
            // Past the capture of output: who runs the tests shall see it.
            let what = "SKIPPED other_programs_read_it: needs duckdb, polars, pandas and pyarrow in";
            writeln!(std::io::stderr(), "{what} {python} (KINESIS_PYTHON names another)").unwrap();
            None
        }
    }
}

#[test]
fn other_programs_read_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sessions.parquet"), rows().file().unwrap()).unwrap();
    let Some(found) = readers(folder.path()) else { return };

    let row = |id: &str, user: i64, device: &str, begin: i64, revision: i32, supersedes: Value, more: [Value; 3]| {
        let timeagg = begin.div_euclid(60) * 60_000_000;
        let (first, last) = (begin * 1_000_000 + 123_456, begin * 1_000_000 + 34_123_455);
        let [sum, visit, list] = more;
        json!([
            id,
            user,
            device,
            timeagg,
            3,
            "beer_vitrine_nav",
            "",
            first,
            last,
            33,
            "range",
            revision,
            supersedes,
            sum,
            visit,
            list
        ])
    };
    let rows = json!([
        row("id-20", 20, "möbile", AT, 0, Value::Null, [json!(0.3), json!(1), json!(["ä", "", "b,c"])]),
        row("id-5", -5, "", -AT, 0, Value::Null, [Value::Null, json!(7), json!([])]),
        row("id-7", 7, "möbile", AT, 2, json!("x,y"), [json!(-1.2e19), json!(2), json!(["d"])]),
    ]);
    let types = json!({
        "session_id": "text", "user_id": "int64", "device_id": "text", "timeagg": "utc", "events": "int64",
        "beginnavigation": "text", "endnavigation": "text", "beginsession": "utc", "endsession": "utc",
        "duration_sec": "int64", "reason": "text", "revision": "int32", "supersedes": "text",
        "sum_n": "double", "visit": "int64", "list_t": "texts",
    });
    for reader in ["duckdb", "polars", "pandas"] {
        assert_eq!(found[reader], json!({ "types": types, "rows": rows }), "{reader}");
    }
}
