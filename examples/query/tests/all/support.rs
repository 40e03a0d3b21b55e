//! Folders of sessions in the layout of `kinesis`, and the program, run as a user would.
#![allow(dead_code, reason = "each test uses some of it")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as Packing;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};

/// A row, its times in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: i64,
    pub(crate) device: String,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) events: i64,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) revision: i32,
    pub(crate) supersedes: Vec<String>,
}

impl Session {
    /// A session of this length in seconds.
    pub(crate) fn new(id: &str, user: i64, begin: i64, seconds: i64) -> Self {
        Self {
            id: id.to_owned(),
            user,
            device: "mobile".to_owned(),
            begin,
            end: begin + seconds * 1_000_000,
            events: seconds + 1,
            first: "beer_vitrine_nav".to_owned(),
            last: "beer_checkout".to_owned(),
            revision: 0,
            supersedes: Vec::new(),
        }
    }

    pub(crate) fn seconds(&self) -> i64 {
        (self.end - self.begin) / 1_000_000
    }

    fn json(&self) -> Value {
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
        put("session_id", json!(self.id));
        put("user_id", json!(self.user));
        put("device_id", json!(self.device));
        put("timeagg", json!(text(self.begin / 30_000_000 * 30_000_000)));
        put("events", json!(self.events));
        put("beginnavigation", json!(self.first));
        put("endnavigation", json!(self.last));
        put("beginsession", json!(text(self.begin)));
        put("endsession", json!(text(self.end)));
        put("duration_sec", json!(self.seconds()));
        put("reason", json!("range"));
        if self.revision > 0 {
            put("revision", json!(self.revision));
            put("supersedes", json!(self.supersedes));
        }
        Value::Object(row)
    }
}

/// `2018-11-29T23:35:10.123456Z`
pub(crate) fn text(micros: i64) -> String {
    time(micros).format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

/// Of `2018-11-29T23:35:10`.
pub(crate) fn micros(text: &str) -> i64 {
    text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    JsonGz,
    Parquet,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Json, Kind::JsonGz, Kind::Parquet];

impl Kind {
    fn ending(self) -> &'static str {
        match self {
            Self::Json => ".json",
            Self::JsonGz => ".json.gz",
            Self::Parquet => ".parquet",
        }
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub(crate) fn bytes(kind: Kind, sessions: &[Session]) -> Vec<u8> {
    let lines = || sessions.iter().map(|session| format!("{}\n", session.json())).collect::<String>().into_bytes();
    match kind {
        Kind::Json => lines(),
        Kind::JsonGz => gzip(&lines()),
        Kind::Parquet => parquet_bytes(sessions),
    }
}

fn parquet_bytes(sessions: &[Session]) -> Vec<u8> {
    let texts = |of: fn(&Session) -> &str| Arc::new(StringArray::from_iter_values(sessions.iter().map(of))) as ArrayRef;
    let longs = |of: fn(&Session) -> i64| Arc::new(Int64Array::from_iter_values(sessions.iter().map(of))) as ArrayRef;
    let times = |of: fn(&Session) -> i64| {
        Arc::new(TimestampMicrosecondArray::from_iter_values(sessions.iter().map(of)).with_timezone("UTC")) as ArrayRef
    };
    let superseded = sessions.iter().map(|row| (!row.supersedes.is_empty()).then(|| row.supersedes.join(",")));
    let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let columns = [
        ("session_id", DataType::Utf8, texts(|row| &row.id)),
        ("user_id", DataType::Int64, longs(|row| row.user)),
        ("device_id", DataType::Utf8, texts(|row| &row.device)),
        ("timeagg", utc(), times(|row| row.begin / 30_000_000 * 30_000_000)),
        ("events", DataType::Int64, longs(|row| row.events)),
        ("beginnavigation", DataType::Utf8, texts(|row| &row.first)),
        ("endnavigation", DataType::Utf8, texts(|row| &row.last)),
        ("beginsession", utc(), times(|row| row.begin)),
        ("endsession", utc(), times(|row| row.end)),
        ("duration_sec", DataType::Int64, longs(Session::seconds)),
        ("reason", DataType::Utf8, texts(|_| "range")),
        ("revision", DataType::Int32, Arc::new(Int32Array::from_iter_values(sessions.iter().map(|row| row.revision)))),
        ("supersedes", DataType::Utf8, Arc::new(StringArray::from_iter(superseded))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone(), *name == "supersedes")).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, _, array)| array).collect());
    let snappy = WriterProperties::builder().set_compression(Packing::SNAPPY).build();
    let mut file = ArrowWriter::try_new(Vec::new(), schema, Some(snappy)).unwrap();
    file.write(&batch.unwrap()).unwrap();
    file.into_inner().unwrap()
}

/// A folder of tables that goes away at the end.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts a file anywhere.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Files each session under the hour of its beginning. The kinds take turns with the hours.
    pub(crate) fn file(&self, table: &str, sessions: &[Session], kinds: &[Kind]) -> usize {
        let mut hours: std::collections::BTreeMap<String, Vec<Session>> = Default::default();
        for session in sessions {
            hours.entry(time(session.begin).format("%Y/%m/%d/%H").to_string()).or_default().push(session.clone());
        }
        for ((hour, sessions), kind) in hours.iter().zip(kinds.iter().cycle()) {
            self.put(&format!("{table}/{hour}/clicks-1{}", kind.ending()), &bytes(*kind, sessions));
        }
        hours.len()
    }

    /// Runs the program over this folder.
    pub(crate) fn query(&self, arguments: &[&str]) -> Answer {
        query(Some(self.path()), arguments, "")
    }

    /// The rows of a query, as CSV without the header.
    pub(crate) fn rows(&self, sql: &str, today: &str) -> Vec<String> {
        let answer = self.query(&["--sql", sql, "--today", today, "--format", "csv"]);
        assert_eq!(answer.code, Some(0), "{sql}: {}", answer.errors);
        answer.out.lines().skip(1).map(str::to_owned).collect()
    }

    /// The sentence of a query that fails, which is the last line; the folder in it is written `F`.
    pub(crate) fn problem(&self, arguments: &[&str]) -> String {
        let answer = self.query(arguments);
        assert_eq!(answer.code, Some(1), "{arguments:?}: {} {}", answer.out, answer.errors);
        assert!(!answer.errors.contains("panicked"), "{}", answer.errors);
        let last = answer.errors.lines().last().unwrap_or_default();
        let sentence = last.strip_prefix("query: ").unwrap_or_else(|| panic!("{}", answer.errors));
        sentence.replace(&self.path().display().to_string(), "F")
    }
}

pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

pub(crate) fn query(folder: Option<&Path>, arguments: &[&str], input: &str) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_query"));
    command.args(folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Answer { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

/// Sessions from a seed, begun in these days, with every duration from 0 to 30 seconds.
pub(crate) fn some_sessions(count: usize, from: &str, days: i64) -> Vec<Session> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64) % below
    };
    let from = micros(from);
    let session = |number| {
        let begin = from + random(days * 86_400) * 1_000_000 + random(1_000_000);
        Session { events: 1 + random(9), ..Session::new(&format!("id-{number}"), random(50), begin, random(31)) }
    };
    (0..count).map(session).collect()
}

/// A path in the folder that `needs_shared` looks for.
pub(crate) fn shared(path: &str) -> PathBuf {
    Path::new(needs_shared::shared_folder!()).join(path)
}
