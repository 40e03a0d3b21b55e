//! The program from files to a page: its inputs, its messages, and the content of the page.

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use needs_shared::needs_shared;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use serde_json::json;
use support::{csv, data, page, picture, rows, shared_data, time, totals};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn gzip(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
    let mut packed = GzEncoder::new(fs::File::create(path).expect("a file"), Compression::fast());
    packed.write_all(text.as_bytes()).and_then(|()| packed.finish().map(drop)).expect("it can be written");
}

/// A row as `kinesis` writes it.
fn kinesis(id: u32, events: u64, begin: u64, seconds: u64, more: &str) -> String {
    let (begin, end) = (time(begin), time(begin + seconds));
    let whose = format!(r#""session_id":"{id:032x}","user_id":7,"device_id":"mobile","timeagg":"{begin}""#);
    let what = format!(r#""events":{events},"beginnavigation":"home","endnavigation":"cart""#);
    let when = format!(r#""beginsession":"{begin}","endsession":"{end}","duration_sec":{seconds}"#);
    format!("{{{whose},{what},{when},\"reason\":\"gap\"{more}}}\n")
}

#[test]
fn rows_of_files_give_their_sums() {
    let folder = folder();
    fs::write(folder.path().join("visits.csv"), csv(&rows())).unwrap();
    let (said, page) = page(folder.path(), &["visits.csv", "--title", "Visits & more"]);
    let data = data(&page);
    let sum = |of: fn(&support::Row) -> u64| rows().iter().map(of).sum::<u64>();
    assert_eq!(totals(&data), [300, sum(|row| row.events), sum(|row| row.seconds)]);
    assert_eq!((&data["group"], &data["user"]), (&json!("device_id"), &json!("user_id")));
    assert_eq!(data["times"], json!({"origin": 1_543_449_600, "width": 1200, "count": 60}));
    let mut devices: Vec<_> = data["groups"]["names"].as_array().unwrap().clone();
    devices.sort_by_key(ToString::to_string);
    assert_eq!(devices, ["computer", "mobile", "tablet"]);
    assert!(fs::read_to_string(page).unwrap().contains("<title>Visits &amp; more</title>"));
    assert!(said.contains("sessions.html: 300 sessions"), "{said}");
}

#[test]
fn folders_of_firehose_are_read_and_corrected_rows_take_their_places() {
    let folder = folder();
    let hour = |hour: &str| folder.path().join(format!("data/aggregated/2018/11/29/{hour}/clicks-1-00000001.json.gz"));
    gzip(&hour("00"), &[kinesis(1, 2, 0, 10, ""), kinesis(2, 3, 60, 20, ""), kinesis(3, 4, 120, 40, "")].concat());
    let supersedes = format!(r#","revision":1,"supersedes":["{:032x}","{:032x}"]"#, 1, 2);
    gzip(&hour("01"), &[kinesis(1, 6, 0, 80, &supersedes), kinesis(3, 4, 120, 40, "")].concat());
    fs::write(folder.path().join("data/_SUCCESS.json"), "not rows").unwrap();
    fs::write(folder.path().join("data/notes.txt"), "not rows").unwrap();
    let (said, page) = page(folder.path(), &["data"]);
    assert_eq!(totals(&data(&page)), [2, 10, 120]);
    assert!(said.contains("2 rows are left out, since corrected rows take their place"), "{said}");
    assert!(said.contains("1 rows are left out, since they were there before"), "{said}");
    assert!(!said.contains("could not be read"), "what is no file of rows is passed over: {said}");
}

/// The columns and types of `examples/rows/src/columns.rs`.
const SCHEMA: &str = "message schema {
    required binary session_id (UTF8);
    required int64 user_id;
    required binary device_id (UTF8);
    required int64 timeagg (TIMESTAMP(MICROS, true));
    required int64 events;
    required binary beginnavigation (UTF8);
    required binary endnavigation (UTF8);
    required int64 beginsession (TIMESTAMP(MICROS, true));
    required int64 endsession (TIMESTAMP(MICROS, true));
    required int64 duration_sec;
    required binary reason (UTF8);
    required int32 revision;
    optional binary supersedes (UTF8);
}";

fn parquet(path: &Path) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let file = fs::File::create(path).unwrap();
    let snappy = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(snappy)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let begin = 1_543_449_600_000_000;
    let texts = |list: [&str; 3]| list.map(|text| ByteArray::from(text.as_bytes().to_vec())).to_vec();
    let ids = [1, 2, 1].map(|id| format!("{id:032x}"));
    let mut index = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        let long = |list: [i64; 3]| list.to_vec();
        match index {
            0 => column.typed::<ByteArrayType>().write_batch(&texts([&ids[0], &ids[1], &ids[2]]), None, None),
            2 => column.typed::<ByteArrayType>().write_batch(&texts(["mobile", "tablet", "mobile"]), None, None),
            5 | 6 | 10 => column.typed::<ByteArrayType>().write_batch(&texts(["home", "cart", "pay"]), None, None),
            11 => column.typed::<Int32Type>().write_batch(&[0, 0, 1], None, None),
            12 => {
                let old = ByteArray::from(format!("{},{}", ids[0], ids[1]).into_bytes());
                column.typed::<ByteArrayType>().write_batch(&[old], Some(&[0, 0, 1]), None)
            }
            1 | 4 => column.typed::<Int64Type>().write_batch(&long([7, 8, 9]), None, None),
            8 => column.typed::<Int64Type>().write_batch(&[begin + 1_500_000, begin, begin + 9_000_000], None, None),
            9 => column.typed::<Int64Type>().write_batch(&long([1, 0, 9]), None, None),
            _ => column.typed::<Int64Type>().write_batch(&long([begin; 3]), None, None),
        }
        .unwrap();
        column.close().unwrap();
        index += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn tables_beside_each_other_are_all_shown_and_named() {
    let folder = folder();
    for table in ["steps", "minutes", "errors"] {
        let text = if table == "errors" { "{}\n".to_owned() } else { kinesis(1, 2, 0, 10, "") };
        gzip(&folder.path().join(table).join("2018/11/29/00/clicks-1.json.gz"), &text);
    }
    let (said, page) = page(folder.path(), &["."]);
    assert_eq!(totals(&data(&page)), [2, 4, 20]);
    assert!(said.contains("these are 2 tables in one picture, ./minutes, ./steps: name one to see it alone"), "{said}");
    assert!(!said.contains("could not be read"), "errors are no table: {said}");
}

#[test]
fn parquet_files_are_read() {
    let folder = folder();
    parquet(&folder.path().join("clicks.parquet"));
    let (said, page) = page(folder.path(), &["clicks.parquet"]);
    let data = data(&page);
    assert_eq!(totals(&data), [1, 9, 9]);
    assert_eq!((&data["groups"]["names"], &data["users"]), (&json!(["mobile"]), &json!(["9"])));
    assert_eq!(data["times"]["origin"], 1_543_449_600);
    assert!(said.contains("2 rows are left out"), "{said}");
}

proptest! {
    // A quarter of the usual 256, or of what PROPTEST_CASES says.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Bytes of a Parquet file changed anywhere: a page, or a sentence.
    #[test]
    fn damaged_parquet_is_never_a_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let folder = folder();
        let path = folder.path().join("clicks.parquet");
        parquet(&path);
        let mut content = fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        fs::write(&path, content).unwrap();
        let output = picture(folder.path(), &["clicks.parquet"]);
        let said = String::from_utf8_lossy(&output.stderr);
        prop_assert!(matches!(output.status.code(), Some(0..=2)) && !said.contains("panicked"), "{:?}: {said}", output.status);
    }
}

#[test]
fn rows_of_the_articles_sql_have_their_hour_from_the_rounded_time() {
    let folder = folder();
    let rows = "session_id,user_id,device_id,timeagg,events,beginnavigation,endnavigation,\
        beginsession,endsession,duration_sec\n\
        7_mob_1,7,mobile,2018-11-29 23:35:00.000,3,home,cart,35:10.123,35:40.000,29\n\
        7_mob_1,7,mobile,2018-11-29 23:35:00.000,1,home,home,35:50.000,35:50.000,0\n";
    fs::write(folder.path().join("sql.csv"), rows).unwrap();
    let (_, page) = page(folder.path(), &["sql.csv", "--group", "user_id"]);
    let data = data(&page);
    assert_eq!(totals(&data), [2, 4, 29]);
    assert_eq!((&data["group"], &data["times"]["origin"]), (&json!("user_id"), &json!(1_543_534_510)));
}

#[test]
fn bad_rows_are_counted_and_told_and_the_others_shown() {
    let folder = folder();
    let text =
        [kinesis(1, 2, 0, 10, ""), "{broken\n".to_owned(), "\n{\"events\":1}\n".to_owned(), kinesis(2, 0, 0, 0, "")];
    fs::write(folder.path().join("rows.jsonl"), text.concat()).unwrap();
    let ran = picture(folder.path(), &["rows.jsonl"]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    let last = "75 % of the rows could not be read, more than the 1 % of --max-rejected; the page shows the others\n";
    assert!(said.ends_with(last), "{said}");
    let (allowed, page) = page(folder.path(), &["rows.jsonl", "--max-rejected", "75%"]);
    assert!(!allowed.contains("--max-rejected"), "{allowed}");
    assert_eq!(totals(&data(&page)), [1, 2, 10]);
    assert!(said.contains("rows.jsonl, line 2: it is no JSON object"), "{said}");
    assert!(said.contains("rows.jsonl, line 4: the time of the first event is missing"), "{said}");
    assert!(said.contains("rows.jsonl, line 5: the number of events is 0"), "{said}");
    assert!(said.contains("3 rows or files could not be read, 1 rows could"), "{said}");
}

/// The message of a run that fails.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = picture(folder, arguments);
    assert!(matches!(output.status.code(), Some(1 | 2)));
    assert!(!folder.join("sessions.html").exists(), "no page is left behind");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_cannot_be_a_picture_is_refused_with_a_sentence() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("notes.txt"), "just\nwords\n").unwrap();
    fs::write(at.join("list.json"), "[{}]").unwrap();
    fs::write(at.join("rows.csv"), csv(&rows())).unwrap();
    fs::create_dir(at.join("empty")).unwrap();
    let said = refused(at, &["notes.txt", "list.json"]);
    assert!(said.contains("notes.txt: its first line does not name the columns of session rows"), "{said}");
    assert!(said.contains("list.json: it is a JSON array"), "{said}");
    assert!(said.contains("no session row could be read"), "{said}");
    assert!(refused(at, &["absent.csv"]).contains("cannot read absent.csv: no such file or directory\n"));
    assert!(refused(at, &["empty"]).contains("empty holds no file of session rows"));
    let said = refused(at, &["rows.csv", "--group", "colour"]);
    assert!(
        said.contains("no row has a column `colour` to group by: choose --group from user_id, device_id"),
        "{said}"
    );
}

#[test]
fn without_arguments_the_bundled_clicks_are_shown() {
    let folder = folder();
    let (_, page) = page(folder.path(), &[]);
    let data = data(&page);
    let [sessions, events, _] = totals(&data);
    assert!(sessions > 500 && events > 8_000 && events < 9_053, "{sessions} sessions, {events} events");
    assert_eq!(data["groups"]["names"].as_array().map(Vec::len), Some(3));
}

/// Rows of an expected file: sessions, events and milliseconds.
fn expected(data: &Path, name: &str) -> [u64; 3] {
    let file = fs::File::open(data.join("expected").join(name)).unwrap();
    let mut rows = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
    let header = rows.headers().unwrap().clone();
    let place = |column: &str| header.iter().position(|name| name == column).unwrap();
    let (count, duration) = (place("count"), place("duration_ms"));
    rows.records().map(Result::unwrap).fold([0; 3], |[sessions, events, millis], row| {
        let number = |place: usize| row[place].parse::<u64>().unwrap();
        [sessions + 1, events + number(count), millis + number(duration)]
    })
}

/// Runs `files` as a user would. It is built in a place of its own: beside the others it would take the place of one with
/// more features, which other tests run at the same time.
fn files(folder: &Path, input: &Path, key: &str) {
    let mut command = std::process::Command::new(env!("CARGO"));
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/files");
    command.args(["run", "--quiet", "--locked", "--package", "files", "--target-dir", target, "--"]).arg(input);
    command.args(["--key", key, "--time", "client_timestamp", "--value", "client_event"]);
    // The reference keeps events exactly 30 minutes apart in one session.
    command.args(["--gap", "30m", "--inclusive", "--output"]).arg(folder.join("sessions.csv"));
    let output = program::testing::output(command.current_dir(env!("CARGO_MANIFEST_DIR")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[needs_shared]
#[test]
fn pictures_of_real_logs_have_the_sums_of_the_reference() {
    let shared = shared_data();
    let sets = [
        ("rees46", "user_id", "user"),
        ("apache", "user_id,device_id", "user_device"),
        ("gharchive", "user_id,device_id", "user_device"),
    ];
    for (name, key, key_name) in sets {
        let folder = folder();
        files(folder.path(), &shared.join(format!("{name}.events.jsonl.gz")), key);
        let (_, page) = page(folder.path(), &["sessions.csv"]);
        let [sessions, events, millis] = expected(&shared, &format!("{name}.gap30m.{key_name}.csv.gz"));
        assert_eq!(totals(&data(&page)), [sessions, events, millis / 1000], "{name}"); // times are whole seconds
        println!("{name}: {sessions} sessions, {events} events, {} s, as in the reference", millis / 1000);
    }
}

#[test]
fn no_input_is_overwritten_and_an_earlier_page_survives_a_failure() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, csv(&rows())).unwrap();
    for input in ["rows.csv", "."] {
        let ran = picture(folder.path(), &[input, "--output", "rows.csv"]);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(
            (ran.status.code(), said.as_str()),
            (Some(2), "picture: rows.csv is an input: write to another file\n")
        );
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), csv(&rows()));
    std::fs::write(folder.path().join("sessions.html"), "yesterday").unwrap();
    std::fs::write(folder.path().join("bad.csv"), "no session\n").unwrap();
    assert_eq!(picture(folder.path(), &["bad.csv"]).status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(folder.path().join("sessions.html")).unwrap(), "yesterday");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// `picture 2>&1 | head`: nobody reads its last message.
#[test]
fn a_closed_pipe_is_no_panic() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let (reader, writer) = std::io::pipe().expect("the system makes a pipe");
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_picture"));
    let ran = command.current_dir(folder.path()).stdout(writer.try_clone().unwrap()).stderr(writer).status();
    assert_eq!(ran.unwrap().code(), Some(0));
    assert!(folder.path().join("sessions.html").exists());
}
