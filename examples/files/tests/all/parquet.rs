//! `--output-format parquet`.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

use crate::support::*;

/// A value as JSON has it; of a time the microseconds.
fn plain(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Str(text) => text.as_str().into(),
        Field::Int(number) => (*number).into(),
        Field::Double(number) => (*number).into(),
        Field::ListInternal(list) => list.elements().iter().map(plain).collect(),
        Field::Long(number) | Field::TimestampMicros(number) => (*number).into(),
        other => panic!("no column is {other:?}"),
    }
}

/// The rows of all Parquet files below a folder, with the folders that each lies in.
fn parquet_rows(folder: &Path) -> Vec<(String, Value)> {
    let mut rows = Vec::new();
    for path in files_below(folder) {
        let hour = path.parent().unwrap().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let columns = row.unwrap();
            let columns = columns.get_column_iter().map(|(name, field)| (name.clone(), plain(field)));
            rows.push((hour.clone(), Value::Object(columns.collect())));
        }
    }
    rows
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = Vec::new();
    for path in entries {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// The row of Parquet for a row of JSON lines. Times come as their numbers there.
fn as_in_parquet(row: &Value) -> Value {
    let micros = |name: &str| {
        let time: chrono::DateTime<chrono::Utc> = row[name].as_str().unwrap().parse().unwrap();
        time.timestamp_micros()
    };
    let supersedes = row["supersedes"].as_array().filter(|ids| !ids.is_empty());
    let supersedes = supersedes.map(|ids| ids.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>().join(","));
    serde_json::json!({
        "session_id": row["session_id"],
        "user_id": row["user_id"],
        "device_id": row["device_id"],
        "timeagg": micros(if row["bucket"].is_null() { "window_start" } else { "bucket" }),
        "events": row["count"],
        "beginnavigation": row["first_event"],
        "endnavigation": row["last_event"],
        "beginsession": micros("first_time"),
        "endsession": micros("last_time"),
        "duration_sec": row["duration_us"].as_i64().unwrap() / 1_000_000,
        "reason": row["reason"],
        "revision": row.get("revision").cloned().unwrap_or(0.into()),
        "supersedes": supersedes,
    })
}

#[test]
fn parquet_has_the_sessions_of_the_rows_in_folders_of_their_hours() {
    let input = generated("--start 2018-11-29T23:30:00Z --stragglers 0.02 --late-by 20m");
    let fields = "--key user_id:int,device_id --time client_timestamp --value client_event";
    for strategy in ["--step 30s", "--gap 20m", "--gap 5m --out-of-order 1s --allowed-lateness 30m"] {
        let folder = Folder::new();
        let lines = ok(&input, &format!("{fields} {strategy} --output-format jsonl"));
        let output = folder.path("new/visits");
        let ran = ok(&input, &format!("{fields} {strategy} --output-format parquet --output {output}"));
        assert_eq!(ran.out, "");

        let written = parquet_rows(Path::new(&output));
        let by_text = |row: &Value| row.to_string();
        let mut expected: Vec<Value> = json_lines(&lines.out).iter().map(as_in_parquet).collect();
        let mut found: Vec<Value> = written.iter().map(|(_, row)| row.clone()).collect();
        expected.sort_by_key(by_text);
        found.sort_by_key(by_text);
        assert!(found.len() > 100 && found[0]["user_id"].is_i64(), "{strategy}: {}", found[0]);
        assert_eq!(found, expected, "{strategy}");
        assert_eq!(found.iter().any(|row| row["revision"] != 0), strategy.contains("lateness"));

        let mut hours = HashSet::new();
        let mut before = (String::new(), i64::MIN);
        for (hour, row) in written {
            let begin = row["beginsession"].as_i64().unwrap();
            let named = chrono::DateTime::from_timestamp_micros(begin).unwrap().format("%Y/%m/%d/%H").to_string();
            assert_eq!(hour, named);
            assert!(before <= (hour.clone(), begin), "{strategy}: in order of time");
            before = (hour.clone(), begin);
            hours.insert(hour);
        }
        assert_eq!(hours.len(), files_below(Path::new(&output)).len(), "{strategy}: one file for each hour");
        assert!(hours.len() > 1);
    }
}

/// A session of `ann` with lists of three texts, one of `bob` without any value, one of `eve` with an empty list.
#[test]
fn further_columns_are_those_of_json_lines() {
    let input = "sum_n,t,n,text\nann,1,9.5,b\nann,0,-3,\"a,\"\"\"\nbob,1,,\nann,2,0.1,b\neve,1,oops,\neve,99,1e3,x\neve,100,,y\n";
    let fields = "--key sum_n --time t --time-format seconds --step 10s";
    for options in [
        "--sum n",
        "--min n --max n --avg n",
        "--distinct text",
        "--list text,n --sum n --visit-number",
        "--visit-number",
        "--list text --out-of-order 1m --update-every-events 1",
    ] {
        let folder = Folder::new();
        let output = folder.path("visits");
        let expected = ok(input, &format!("{fields} {options} --output-format jsonl")).out;
        ok(input, &format!("{fields} {options} --output-format parquet --output {output}"));
        let further: Vec<_> = words("visit sum_n min_n max_n avg_n distinct_text list_text list_n session_id")
            .into_iter()
            .filter(|name| json_lines(&expected)[0].get(name).is_some())
            .collect();
        // 10 is 10.0 there.
        let number = |value: &Value| value.as_f64().map_or_else(|| value.clone(), Value::from);
        let own = |row: &Value| {
            let cells = further.iter().map(|name| number(row.get(name).expect("the column is there")).to_string());
            cells.collect::<Vec<_>>().join(" ")
        };
        let written = parquet_rows(Path::new(&output));
        let found = sorted(written.iter().map(|(_, row)| own(row)).collect());
        assert_eq!(found, sorted(json_lines(&expected).iter().map(own).collect()), "{options}");
        assert!(found.len() >= 5 && further.len() >= 2, "{options}: {found:?}");
        let key = if options.contains("--sum n") { "key_sum_n" } else { "sum_n" };
        assert!(written.iter().any(|(_, row)| row[key] == "eve"), "{options}: {written:?}");
    }
}

#[test]
fn first_and_last_of_stagger_windows_go_by_arrival_in_every_format() {
    let click = |event: &str, second: u32, arrived: u32| {
        format!("{{\"user\": 1, \"time\": {second}, \"at\": {arrived}, \"what\": \"{event}\"}}\n")
    };
    let input = click("arrived first", 20, 21) + &click("happened first", 10, 22) + &click("arrived last", 15, 23);
    let folder = Folder::new();
    let output = folder.path("visits");
    let arguments = format!("{FIELDS} --time-format seconds --arrival at --stagger step=30s --range 30s");
    ok(&input, &format!("{arguments} --output-format parquet --output {output}"));
    let (_, row) = &parquet_rows(Path::new(&output))[0];
    assert_eq!((&row["beginnavigation"], &row["endnavigation"]), (&"arrived first".into(), &"arrived last".into()));
    assert_eq!((&row["beginsession"], &row["endsession"]), (&10_000_000.into(), &20_000_000.into()));
    let rows = ok(&input, &arguments).rows();
    assert_eq!(pick(&rows, "first_event last_event"), ["arrived first arrived last"]);
    let line = ok(&input, &format!("{arguments} --output-format jsonl")).out;
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["first_event"], &object["last_event"]), (&"arrived first".into(), &"arrived last".into()));
    assert_eq!(object["session_id"], row["session_id"]);
}

#[test]
fn parquet_of_much_text_is_written_in_parts() {
    let folder = Folder::new();
    let long = "x".repeat(60_000);
    let line = |user: u32| format!("{{\"user\": {user}, \"time\": \"2018-11-29T23:35:00\", \"what\": \"{long}\"}}\n");
    let input: String = (0..900).map(line).collect();
    let output = folder.path("visits");
    ok(&input, &format!("{FIELDS} --output-format parquet --output {output}"));
    let files = files_below(Path::new(&output));
    let names: Vec<_> = files.iter().map(|file| file.strip_prefix(&output).unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["2018/11/29/23/sessions-00001.parquet", "2018/11/29/23/sessions-00002.parquet"]);
    let users: HashSet<String> =
        parquet_rows(Path::new(&output)).iter().map(|(_, row)| row["user"].to_string()).collect();
    assert_eq!(users.len(), 900);
}

#[test]
fn parquet_appears_as_a_whole_or_not_at_all() {
    let folder = Folder::new();
    let output = folder.path("visits");
    let arguments = format!("- {FIELDS} --output-format parquet --output {output}");
    let names = || fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let bad = run_on(&(clicks(&[("ann", 0, "a")]) + "oops\n"), &words(&format!("{arguments} --strict")));
    assert_eq!((bad.status, names().len()), (1, 0), "{}", bad.said);

    // Killed while it reads.
    let mut child = start(program().args(words(&arguments)).stderr(Stdio::null()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(clicks(&[("ann", 0, "a"); 30]).as_bytes()).unwrap();
    until("an unfinished folder", || {
        assert_eq!(child.try_wait(), None, "it ends before it begins to write");
        !names().is_empty()
    });
    child.kill();
    let left = names();
    assert_eq!(left.len(), 1);
    assert!(left.iter().all(|name| name.to_str().unwrap().starts_with(".visits.")), "{left:?}");

    fs::create_dir(&output).unwrap(); // an empty folder will do
    let input = clicks(&[("ann", 0, "a")]);
    let ran = run_on(&input, &words(&arguments));
    assert_eq!((ran.status, parquet_rows(Path::new(&output)).len()), (0, 1), "{}", ran.said);
    let events = folder.write("events.jsonl", "of the run before\n");
    let again = run_on(&input, &words(&format!("{arguments} --events {events}")));
    assert_eq!(folder.read("events.jsonl"), "of the run before\n", "what is refused writes nothing");
    let sentence = format!(
        "files: {output} is there already, and two runs in one folder would count twice: name a new one, or remove it\n"
    );
    assert_eq!((again.status, again.said), (2, sentence));
    assert_eq!(parquet_rows(Path::new(&output)).len(), 1);
    assert_eq!(
        sorted(names().iter().map(|name| name.to_str().unwrap().to_owned()).collect()),
        ["events.jsonl", "visits"]
    );
}

#[test]
fn what_cannot_be_parquet_is_refused() {
    let folder = Folder::new();
    let path = folder.write("in.jsonl", clicks(&[("ann", 0, "a")]));
    let none = folder.path("none");
    for (arguments, sentence) in [
        (
            format!("{path} {FIELDS} --output-format parquet --output ."),
            ". is there already, and two runs in one folder would count twice: name a new one, or remove it",
        ),
        (
            format!("{path} {FIELDS} --sum what,what --output-format parquet --output {none}"),
            "the column sum_what is given twice: leave one out",
        ),
    ] {
        let ran = run_on("", &words(&arguments));
        assert_eq!((ran.status, ran.said), (2, format!("files: {sentence}\n")), "{arguments}");
    }
}
