//! A million sessions, in Parquet and in packed JSON, in one run:
//! `cargo test --release -p query -- --ignored --nocapture speed`

use std::time::Instant;

use crate::support::{Folder, KINDS, some_sessions};

#[test]
#[ignore = "a measurement, not a test: takes long without --release"]
fn speed() {
    let sessions = some_sessions(1_000_000, "2018-11-01T00:00:00", 30);
    let queries = [
        ("durations of a day", include_str!("../../sql/durations.sql")),
        ("durations of all days", &include_str!("../../sql/durations.sql").replace("clicks_today", "aggregated")),
        (
            "all columns",
            "SELECT count(distinct session_id), max(timeagg), max(beginnavigation), max(endnavigation), \
          max(beginsession), max(endsession), max(device_id), max(user_id), sum(events) FROM aggregated",
        ),
    ];
    for kind in [KINDS[2], KINDS[1]] {
        let folder = Folder::new();
        let files = folder.file("aggregated", &sessions, &[kind]);
        for (what, sql) in &queries {
            let mut best = f64::MAX;
            let mut told = String::new();
            for _ in 0..3 {
                let begin = Instant::now();
                told = folder.query(&["--sql", sql, "--today", "2018-11-09"]).errors;
                best = best.min(begin.elapsed().as_secs_f64());
            }
            eprintln!("{kind:?} in {files} files, {what}: {best:.2} s, best of 3; {}", told.trim_end());
        }
    }
}
