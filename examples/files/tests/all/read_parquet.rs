//! Parquet as an input: every option means what it means for the same rows as lines of JSON.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use crate::support::*;

const SCHEMA: &str = "message events {
    required binary user (UTF8);
    required int64 time (TIMESTAMP(MICROS,false));
    required int64 at (TIMESTAMP(NANOS,true));
    optional binary what (UTF8);
    optional double amount;
    required int64 big;
    optional int64 nothing;
    required group at_home { required binary city (UTF8); }
}";

const START: i64 = 1_543_534_500_000_000;
const ROWS: i64 = 300;

fn amount(row: i64) -> Option<f64> {
    (row % 7 != 0).then_some(row as f64 * 1.25)
}

fn what(row: i64) -> Option<String> {
    (row % 5 != 0).then(|| format!("w{} \"ä\\,", row % 9))
}

fn time(row: i64) -> i64 {
    START + row * 7_777_123 - (row % 3) * 9_000_000
}

fn put<T: DataType>(group: &mut SerializedRowGroupWriter<'_, fs::File>, cells: impl Iterator<Item = Option<T::T>>) {
    let cells: Vec<Option<T::T>> = cells.collect();
    let are_there: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&values, Some(&are_there), None).unwrap();
    column.close().unwrap();
}

/// The rows in two groups.
fn write_parquet(path: &Path) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let mut file = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, Arc::default()).unwrap();
    let text = |text: String| ByteArray::from(text.into_bytes());
    for rows in [0..200, 200..ROWS] {
        let mut group = file.next_row_group().unwrap();
        put::<ByteArrayType>(&mut group, rows.clone().map(|row| Some(text(format!("u{}", row % 7)))));
        put::<Int64Type>(&mut group, rows.clone().map(|row| Some(time(row))));
        put::<Int64Type>(&mut group, rows.clone().map(|row| Some((time(row) + 10_000_000) * 1_000 + 999)));
        put::<ByteArrayType>(&mut group, rows.clone().map(|row| what(row).map(text)));
        put::<DoubleType>(&mut group, rows.clone().map(amount));
        put::<Int64Type>(&mut group, rows.clone().map(|row| Some(i64::MAX - row)));
        put::<Int64Type>(&mut group, rows.clone().map(|_| None));
        put::<ByteArrayType>(&mut group, rows.map(|row| Some(text(format!("city {}", row % 2)))));
        group.close().unwrap();
    }
    file.close().unwrap();
}

/// The same rows.
fn as_json() -> String {
    let iso = |micros: i64| {
        let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
    };
    let line = |row: i64| {
        let row = serde_json::json!({
            "user": format!("u{}", row % 7), "time": iso(time(row)), "at": iso(time(row) + 10_000_000) + "Z",
            "what": what(row), "amount": amount(row), "big": i64::MAX - row, "nothing": null,
            "at_home": { "city": format!("city {}", row % 2) },
        });
        row.to_string() + "\n"
    };
    (0..ROWS).map(line).collect()
}

#[test]
fn options_mean_the_same_as_for_json_lines() {
    let folder = Folder::new();
    let (table, lines, beside) =
        (folder.path("in.parquet"), folder.write("in.jsonl", as_json()), folder.path("beside"));
    write_parquet(Path::new(&table));
    for options in [
        "--gap 30s",
        "--gap 30s --output-format jsonl --input-zone Europe/Berlin",
        "--gap 30s --out-of-order 20s --arrival at --max-future 1m",
        "--stagger none --range 30s --arrival at",
        "--step 30s --key user,big:int,at_home.city",
        "--floor hour --time at --zone Asia/Kolkata",
        "--gap 5m --sum amount,big --min amount --max big --avg amount --distinct what,at_home.city --list what,amount",
        "--gap 5m --where amount>100 --not what~w3 --where at_home.city!=x",
        "--gap 5m --unique amount --end-at what~w4 --heartbeat amount=2.5 --join-only at_home.city=nowhere",
        "--gap 30s --visit-number --out-of-order 30s",
        "--gap 30s --out-of-order 30s --allowed-lateness 1m --update-every-events 3",
        "--key what --no-user keep",
        "--key nothing --rejects BESIDE",
        "--key what --rejects BESIDE",
        "--key what --strict",
        "--gap 20s --out-of-order 1s --late BESIDE --events /dev/null",
        "--gap 30s --events BESIDE --report",
        "--time-format millis",
        "--time nothing",
        "--time oops",
        "--plausible 2000..2001 --max-rejected 100%",
        // They are about other inputs.
        "--format csv --delimiter ;",
    ] {
        let has_key = options.contains("--key");
        let run = |input: &str, options: &str| {
            fs::write(&beside, "").unwrap();
            let key = if has_key { "" } else { "--key user" };
            let time = if options.contains("--time ") { "" } else { "--time time" };
            let command = format!("{input} {key} {time} --value what {}", options.replace("BESIDE", &beside));
            let ran = run_on("", &words(&command));
            // Its last words are about the time it took.
            let said = ran.said.split(" s, ").next().unwrap().rsplit_once(' ').map_or("", |(said, _)| said).to_owned();
            let [said, beside] = [said, folder.read("beside")].map(|text| text.replace(input, "INPUT"));
            (ran.status, ran.out, said, beside)
        };
        let of_lines = if options.starts_with("--format csv") { "" } else { options };
        let of_table = run(&table, options);
        assert!(of_table.0 == 0 || !options.starts_with("--gap"), "{options}: {of_table:?}");
        assert_eq!(of_table, run(&lines, of_lines), "{options}");
    }
}

#[test]
fn a_table_goes_on_with_state_and_rows_that_were_written_can_be_read() {
    let folder = Folder::new();
    let (table, lines) = (folder.path("in.parquet"), folder.write("in.jsonl", as_json()));
    write_parquet(Path::new(&table));
    let options = "--key user --time time --gap 30s --out-of-order 20s";
    let state = format!("--state {}", folder.path("state"));
    let first = run_on("", &words(&format!("{table} {options} {state}")));
    let again = run_on("", &words(&format!("{table} {options} {state} --end")));
    assert_eq!((first.status, again.status), (0, 0), "{} {}", first.said, again.said);
    assert!(again.said.contains("0 lines read"), "{}", again.said);
    let whole = run_on("", &words(&format!("{lines} {options}")));
    let rows = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!([rows(&first.out), rows(&again.out)].concat(), rows(&whole.out));

    let output = folder.path("visits");
    let written = format!("{table} {options} --list what --output-format parquet --output {output}");
    assert_eq!(run_on("", &words(&written)).status, 0);
    let file = format!("{output}/2018/11/29/23/sessions-00001.parquet");
    let read =
        run_on("", &words(&format!("{file} --key user --time beginsession --gap 1d --sum events --list list_what[0]")));
    assert_eq!((read.status, read.rows().len()), (0, 7), "{}", read.said);
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let folder = Folder::new();
    let table = folder.path("in.parquet");
    write_parquet(Path::new(&table));
    let bytes = fs::read(&table).unwrap();
    let cut = folder.write("cut.parquet", &bytes[..bytes.len() / 2]);
    let mut changed = bytes.clone();
    changed[40..200].fill(0xff);
    let changed = folder.write("changed.parquet", changed);
    let options = "--key user --time time";
    for (input, status, sentence) in [
        (&cut, 2, "cut.parquet: it is no parquet file that can be read: "),
        (
            &changed,
            1,
            "changed.parquet cannot be read to its end: after 0 lines, which are used, it is no parquet file",
        ),
    ] {
        let ran = run_on("", &words(&format!("{input} {options}")));
        assert!(ran.status == status && ran.said.contains(sentence), "{}", ran.said);
    }
    let stdin = fs::File::open(&table).unwrap();
    let ran = program().args(words(&format!("- {options}"))).stdin(stdin).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    let sentence = "cannot read standard input: it is a Parquet file: give it by its name to `files` built with";
    assert!(ran.status.code() == Some(2) && said.contains(sentence), "{said}");
}

proptest! {
    // A quarter of the usual 256, or of what PROPTEST_CASES says.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Bytes changed anywhere: rows or a sentence.
    #[test]
    fn damaged_tables_are_never_a_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let folder = Folder::new();
        let table = folder.path("in.parquet");
        write_parquet(Path::new(&table));
        let mut bytes = fs::read(&table).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&table, bytes).unwrap();
        let ran = run_on("", &words(&format!("{table} --key user --time time --gap 30s")));
        prop_assert!((0..=2).contains(&ran.status) && !ran.said.contains("panicked"), "{}: {}", ran.status, ran.said);
    }
}
