//! On real logs: every expected file beside them is reproduced exactly, from
//! the raw file and from the same events in their common shape.
//!
//! The logs are not part of the repository; where they are absent the tests are ignored (`needs_shared`).

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use needs_shared::{needs_shared, shared_folder};

use crate::support::{Row, program};

fn data() -> PathBuf {
    Path::new(shared_folder!()).join("data")
}

fn rows(csv: &[u8]) -> Vec<Row> {
    csv::Reader::from_reader(csv).deserialize().collect::<Result<_, _>>().expect("well-formed rows")
}

fn expected(data: &Path, name: &str) -> Vec<Row> {
    let path = data.join("expected").join(name);
    let mut text = Vec::new();
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    MultiGzDecoder::new(file).read_to_end(&mut text).expect("a gzip file");
    rows(&text)
}

/// The rows of `files` for an input, and its messages.
fn files(input: &Path, options: &[&str]) -> (Vec<Row>, String) {
    let output = program().arg(input).args(options).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{options:?}: {said}");
    (rows(&output.stdout), said)
}

/// One way to read a set, and how its key is called on either side.
struct Reading {
    file: &'static str,
    fields: &'static str,
    /// The key field of ours and of the expected file.
    user: (&'static str, &'static str),
    /// The second key field of ours, for the files by user and device.
    device: &'static str,
}

/// The columns that both sides have, ours first.
const GAP: &[(&str, &str)] = &[
    ("first_time", "start"),
    ("last_time", "end"),
    ("count", "count"),
    ("duration_us", "duration_ms"),
    ("first_event", "first_action"),
    ("last_event", "last_action"),
];
const WINDOW: &[(&str, &str)] = &[
    ("window_start", "window_start"),
    ("first_time", "first_event"),
    ("last_time", "last_event"),
    ("count", "count"),
    ("first_event", "first_action"),
    ("last_event", "last_action"),
];

/// The chosen columns of all rows, sorted.
fn table(rows: &[Row], columns: &[&str], form: impl Fn(&str, &str) -> String) -> Vec<Vec<String>> {
    let mut table: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| form(column, &row[*column])).collect()).collect();
    table.sort();
    table
}

fn compare(data: &Path, set: &str, kind: &str, strategy: &str, reading: &Reading) -> usize {
    let Reading { file, fields, user, device } = reading;
    let with_device = kind.ends_with("user_device");
    let key = if with_device { format!("{},{device}", user.0) } else { user.0.to_owned() };
    let options: Vec<&str> = strategy.split(' ').chain(fields.split(' ').filter(|word| !word.is_empty())).collect();
    let (ours, _) = files(&data.join(file), &[&options[..], &["--key", &key]].concat());
    let theirs = expected(data, &format!("{set}.{kind}.csv.gz"));
    let mut columns = vec![*user];
    if with_device {
        columns.push((device, "device"));
    }
    columns.extend(if kind.starts_with("gap") { GAP } else { WINDOW });
    let (our_columns, their_columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let ours = table(&ours, &our_columns, |_, text| text.to_owned());
    let theirs = table(&theirs, &their_columns, |column, text| match column {
        "start" | "end" | "window_start" | "first_event" | "last_event" => text.replace('Z', ".000000Z"),
        "duration_ms" => (text.parse::<u64>().expect("a number") * 1_000).to_string(),
        _ => text.to_owned(),
    });
    assert_eq!(ours.len(), theirs.len(), "{set}.{kind} from {file}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "{set}.{kind} from {file}");
    }
    ours.len()
}

const KINDS: [(&str, &str); 7] = [
    ("gap30m.user", "--gap 30m --inclusive"),
    ("gap30m.user_device", "--gap 30m --inclusive"),
    ("gap30s.user", "--gap 30s --inclusive"),
    ("step30s", "--step 30s"),
    ("floor_minute", "--floor minute"),
    ("floor_hour", "--floor hour"),
    ("floor_day", "--floor day"),
];

/// Compares every expected file of a set; returns the rows of each kind.
fn compare_all(set: &str, readings: &[Reading]) -> Vec<(&'static str, usize)> {
    let data = data();
    let mut counts = Vec::new();
    for (kind, strategy) in KINDS {
        if !data.join("expected").join(format!("{set}.{kind}.csv.gz")).exists() {
            continue;
        }
        for reading in readings {
            counts.push((kind, compare(&data, set, kind, strategy, reading)));
        }
    }
    counts
}

const fn events(file: &'static str) -> Reading {
    let fields = "--time client_timestamp --value client_event";
    Reading { file, fields, user: ("user_id", "user_id"), device: "device_id" }
}

/// Every kind twice (raw and events), with these numbers of rows.
fn assert_counts(counts: &[(&str, usize)], expected: &[(&str, usize)]) {
    let twice: Vec<_> = expected.iter().flat_map(|count| [*count, *count]).collect();
    assert_eq!(counts, twice);
}

#[needs_shared]
#[test]
fn web_server_log() {
    let raw = Reading { file: "apache_access.log.gz", fields: "", user: ("address", "key"), device: "agent" };
    let counts = compare_all("apache", &[raw, events("apache.events.jsonl.gz")]);
    let expected = [
        ("gap30m.user", 3052),
        ("gap30m.user_device", 3223),
        ("gap30s.user", 3258),
        ("step30s", 4178),
        ("floor_minute", 3052),
        ("floor_hour", 3052),
        ("floor_day", 2034),
    ];
    assert_counts(&counts, &expected);
}

#[needs_shared]
#[test]
fn online_shop() {
    let raw = Reading {
        file: "rees46_2019-10-01.csv.gz",
        fields: "--time event_time --value event_type",
        user: ("user_id", "user_id"),
        device: "",
    };
    let counts = compare_all("rees46", &[raw, events("rees46.events.jsonl.gz")]);
    let expected = [
        ("gap30m.user", 4518),
        ("gap30s.user", 11540),
        ("step30s", 14828),
        ("floor_minute", 12199),
        ("floor_hour", 4520),
        ("floor_day", 4504),
    ];
    assert_counts(&counts, &expected);
}

#[needs_shared]
#[test]
fn public_activity() {
    let raw = Reading {
        file: "gharchive_2015-01-01_00-01.jsonl.gz",
        fields: "--time created_at --value type",
        user: ("actor.id", "user_id"),
        device: "repo.name",
    };
    let counts = compare_all("gharchive", &[raw, events("gharchive.events.jsonl.gz")]);
    let expected = [
        ("gap30m.user", 6900),
        ("gap30m.user_device", 8438),
        ("gap30s.user", 12991),
        ("step30s", 13554),
        ("floor_minute", 13020),
        ("floor_hour", 7064),
        ("floor_day", 6208),
    ];
    assert_counts(&counts, &expected);
}

/// The README of the data gives these numbers for the edge of the gap and for other zones.
#[needs_shared]
#[test]
fn exclusive_gaps_and_other_zones() {
    let data = data();
    let rees46 = data.join("rees46.events.jsonl.gz");
    let gharchive = data.join("gharchive.events.jsonl.gz");
    let fields = ["--time", "client_timestamp", "--key"];
    for (file, options, expected) in [
        (&rees46, &["user_id", "--gap", "30s"][..], 11_689),
        (&gharchive, &["user_id", "--gap", "30s"], 13_025),
        (&gharchive, &["user_id,device_id", "--gap", "30m"], 8_439),
        (&gharchive, &["user_id", "--floor", "hour", "--zone", "Asia/Kathmandu"], 7_497),
        (&gharchive, &["user_id", "--floor", "hour", "--zone", "+05:45"], 7_497),
    ] {
        let (rows, _) = files(file, &[&fields[..], options].concat());
        assert_eq!(rows.len(), expected, "{options:?}");
    }
}

/// The shop's own session ids, as keys of sessions that no silence ends.
#[needs_shared]
#[test]
fn sessions_given_by_the_source() {
    let data = data();
    let fields = ["--time", "event_time", "--value", "event_type", "--key", "user_session,user_id"];
    let (ours, _) = files(&data.join("rees46_2019-10-01.csv.gz"), &[&fields[..], &["--gap", "365d"]].concat());
    let theirs = expected(&data, "rees46.given_session.csv.gz");
    let ours =
        table(&ours, &["user_session", "user_id", "count", "first_event", "last_event"], |_, text| text.to_owned());
    let theirs = table(&theirs, &["given_session", "user_id", "count", "first_action", "last_action"], |_, text| {
        text.to_owned()
    });
    assert_eq!(ours, theirs);
}

/// The lines that the README calls broken are the only ones that are not used.
#[needs_shared]
#[test]
fn broken_lines_are_named() {
    let data = data();
    let (_, said) = files(&data.join("apache_access.log.gz"), &[]);
    assert!(
        said.contains("line 8899: not a line of the combined log format: the user agent has no closing quote"),
        "{said}"
    );
    assert!(said.contains("10,000 lines read: 9,999 events, 1 rejected, 0 late; 3,052 sessions"), "{said}");
    let fields = ["--time", "event_time", "--key", "user_id"];
    let (_, said) = files(&data.join("rees46_2019-10-01.csv.gz"), &fields);
    assert!(said.contains("line 17436: 8 columns where the header has 9"), "{said}");
    assert!(said.contains("17,436 lines read: 17,434 events, 1 rejected, 0 late; 4,518 sessions"), "{said}");
}

/// As a stream with a bound beyond the disorder of the file, the rows are the same.
#[needs_shared]
#[test]
fn streaming_gives_the_same() {
    let data = data();
    let log = data.join("apache_access.log.gz");
    for strategy in ["--gap 30m", "--gap 30s --inclusive", "--step 30s", "--floor day", "--sliding 1m/20s"] {
        let strategy: Vec<&str> = strategy.split(' ').collect();
        let (exact, _) = files(&log, &strategy);
        let (streamed, said) = files(&log, &[&strategy[..], &["--out-of-order", "1m"]].concat());
        assert!(said.contains(", 0 late"), "{said}");
        let columns = ["session_id", "address", "window_end", "count", "first_event", "last_event", "reason"];
        let form = |_: &str, text: &str| text.to_owned();
        assert!(table(&exact, &columns, form) == table(&streamed, &columns, form), "{strategy:?}");
    }
}
