//! Files of other partitions are not opened.

use std::fs;

use crate::support::{Folder, KINDS, Kind, Session, micros};

const FILES: usize = 3 * 24;

/// A session in each hour of three days.
fn three_days() -> (Folder, Vec<Session>) {
    let folder = Folder::new();
    let hours = 0..FILES as i64;
    let hour =
        |hour| Session::new(&format!("id-{hour}"), hour, micros("2018-11-08T00:30:00") + hour * 3_600_000_000, 5);
    let sessions: Vec<Session> = hours.map(hour).collect();
    assert_eq!(folder.file("aggregated", &sessions, &KINDS), FILES);
    (folder, sessions)
}

/// Rows that a condition lets through, and files that were read for it.
fn read(folder: &Folder, condition: &str) -> (usize, usize) {
    let sql = format!("SELECT count(1) AS n FROM aggregated WHERE {condition}");
    let answer = folder.query(&["--sql", &sql, "--today", "2018-11-09", "--format", "csv", "--explain-files"]);
    assert_eq!(answer.code, Some(0), "{condition}: {}", answer.errors);
    let rows = answer.out.lines().nth(1).unwrap().parse().unwrap();
    if answer.errors.is_empty() {
        return (rows, 0); // the engine saw that there can be no row, and did not ask for any
    }
    let files = answer.errors.strip_prefix("aggregated: ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(answer.errors.contains(&format!(" of {FILES} files read")), "{}", answer.errors);
    assert_eq!(answer.errors.lines().skip(1).count(), files, "{}", answer.errors);
    (rows, files)
}

#[test]
fn a_condition_on_the_partition_decides_which_files_are_read() {
    let (folder, _) = three_days();
    let day = "cast(partition_2 as integer)=day(current_date)";
    let cases = [
        ("true", (72, 72)),
        (day, (24, 24)),
        ("partition_2 = 9", (24, 24)),
        ("partition_2 = '09' and partition_1 < '12'", (24, 24)), // which Athena refuses
        ("partition_2 in (8, 10) and partition_3 < 6", (12, 12)),
        ("partition_2 between 9 and 10", (48, 48)),
        ("cast(partition_3 as varchar) like '1%'", (33, 33)),
        ("cast(partition_3 as integer) % 12 = 1", (6, 6)),
        ("cast(concat_ws('-', partition_0, partition_1, partition_2) as date) = current_date", (24, 24)),
        ("year(current_date) = 2018", (72, 72)),
        ("year(current_date) = 2017", (0, 0)),
        // The other half of an AND is left to the rows.
        ("partition_2 = 9 and user_id < 30", (6, 24)),
        ("(partition_2 = 9 and user_id < 30) or partition_3 = 23", (9, 26)),
        ("partition_2 = 9 or user_id < 3", (27, 72)),
        ("not (partition_2 = 9 and user_id < 30)", (66, 72)),
        ("user_id < 3", (3, 72)),
    ];
    for (condition, expected) in cases {
        assert_eq!(read(&folder, condition), expected, "{condition}");
    }
}

#[test]
fn views_over_views_prune_too() {
    let (folder, _) = three_days();
    let sql = "CREATE VIEW evening AS SELECT * FROM clicks_today WHERE partition_3 >= 20;
               SELECT count(1), min(partition_3) FROM evening e JOIN aggregated a USING (session_id, partition_0, partition_1, partition_2, partition_3)";
    let answer = folder.query(&["--sql", sql, "--today", "2018-11-10", "--format", "csv"]);
    assert_eq!(answer.out.lines().nth(1), Some("4,20"), "{}", answer.errors);
}

#[test]
fn what_is_damaged_elsewhere_does_no_harm() {
    let (folder, _) = three_days();
    for hour in ["08/05", "10/05", "10/06", "10/07"] {
        for kind in ["json", "json.gz", "parquet"] {
            let path = folder.path().join(format!("aggregated/2018/11/{hour}/clicks-1.{kind}"));
            if path.exists() {
                fs::write(path, b"{ no").unwrap();
            }
        }
    }
    assert_eq!(read(&folder, "partition_2 = 9"), (24, 24));
    assert!(folder.problem(&["--sql", "SELECT count(events) FROM aggregated"]).contains("F/aggregated/2018/11/"));
}

#[test]
fn a_limit_stops_reading() {
    let folder = Folder::new();
    let many = |hour: i64| {
        let begin = micros("2018-11-08T00:00:00") + hour * 3_600_000_000;
        (0..20_000).map(|number| Session::new(&format!("{hour}-{number}"), number, begin, 5)).collect::<Vec<_>>()
    };
    // As many files at once as there are cores; each has more rows than are read ahead.
    let cores = std::thread::available_parallelism().unwrap().get();
    for hour in 0..cores as i64 + 4 {
        folder.file("aggregated", &many(hour), &[Kind::Parquet]);
    }
    let answer = folder.query(&["--sql", "SELECT user_id FROM aggregated LIMIT 3", "--format", "csv"]);
    assert_eq!(answer.out.lines().count(), 4);
    let read: usize = answer.errors.strip_prefix("aggregated: ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(read <= cores, "{}", answer.errors);
}

#[test]
fn of_no_file_of_today_the_last_day_is_told() {
    let (folder, _) = three_days();
    let answer = folder.query(&["--today", "2018-12-01"]);
    assert_eq!(answer.code, Some(0));
    assert!(answer.out.ends_with("0 rows\n"), "{}", answer.out);
    let told = "aggregated: 0 of 72 files read; current_date was 2018-12-01, the last day in it is 2018-11-10: --today 2018-11-10\n";
    assert_eq!(answer.errors, told);
}
