//! Shared by the tests of the program.

#![allow(dead_code, reason = "each test uses a part")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program in a folder, where it writes `sessions.html` unless told otherwise.
pub(crate) fn picture(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_picture");
    Command::new(program).current_dir(folder).args(arguments).output().expect("the program starts")
}

/// The same for a run that must succeed: its messages, and the page.
pub(crate) fn page(folder: &Path, arguments: &[&str]) -> (String, PathBuf) {
    let output = picture(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (said, folder.join("sessions.html"))
}

/// The object within the page.
pub(crate) fn data(page: &Path) -> Value {
    let html = std::fs::read_to_string(page).expect("the page was written");
    let (_, after) = html.split_once(r#"<script type="application/json" id="data">"#).expect("the page has data");
    let (json, _) = after.split_once("</script>").expect("the data ends");
    serde_json::from_str(json).expect("the data is JSON")
}

/// Sessions, events and seconds.
pub(crate) fn totals(data: &Value) -> [u64; 3] {
    ["sessions", "events", "seconds"].map(|name| data["total"][name].as_u64().expect("a whole number"))
}

/// A row of [`rows`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) number: u64,
    pub(crate) device: &'static str,
    /// After midnight.
    pub(crate) begin: u64,
    pub(crate) seconds: u64,
    pub(crate) events: u64,
}

/// Sessions of a day: one every four minutes, on three devices, each tenth with one event only.
pub(crate) fn rows() -> Vec<Row> {
    let row = |number: u64| {
        let is_bounce = number.is_multiple_of(10);
        Row {
            number,
            device: ["mobile", "computer", "tablet"][(number % 3) as usize],
            begin: number * 240,
            seconds: if is_bounce { 0 } else { 1 + number * 37 % (300 * (1 + number % 3)) },
            events: if is_bounce { 1 } else { 2 + number % 7 },
        }
    };
    (0..300).map(row).collect()
}

/// As `files` writes them.
pub(crate) fn csv(rows: &[Row]) -> String {
    let mut csv = "session_id,user_id,device_id,window_start,window_end,part,count,first_time,last_time,duration_us,\
                   first_event,last_event,reason\n"
        .to_owned();
    for Row { number, device, begin, seconds, events } in rows {
        let (first, last) = (time(*begin), time(begin + seconds));
        let pages = ["home", "list", "cart", "pay"];
        let (from, to) = (pages[(number % 4) as usize], pages[(number / 4 % 4) as usize]);
        let to = if *events == 1 { from } else { to };
        let micros = seconds * 1_000_000;
        let _ = writeln!(
            csv,
            "{number:032x},{},{device},{first},{last},0,{events},{first},{last},{micros},{from},{to},gap",
            number % 40
        );
    }
    csv
}

/// `2018-11-29T00:00:00.000000Z`
pub(crate) fn time(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("2018-11-29T{hours:02}:{minutes:02}:{seconds:02}.000000Z")
}

/// Where the real logs are.
pub(crate) fn shared_data() -> PathBuf {
    Path::new(needs_shared::shared_folder!()).join("data")
}
