//! The article's views and query, the very text of it.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};

use chrono::NaiveDateTime;
use flate2::read::GzDecoder;
use needs_shared::needs_shared;
use serde_json::Value;

use crate::support::{Folder, KINDS, Kind, Session, query, shared, some_sessions, time};

const TODAY: &str = "2018-11-09"; // one digit in `day(current_date)`, two in the name of the folder
const TEXTS: [&str; 3] = [
    include_str!("../../sql/clicks_today.sql"),
    include_str!("../../sql/clicks_month.sql"),
    include_str!("../../sql/durations.sql"),
];

fn sessions() -> Vec<Session> {
    let mut sessions = some_sessions(600, "2018-11-08T00:00:00", 3);
    sessions.extend(some_sessions(200, "2018-10-30T00:00:00", 3)); // beyond the beginning of the month
    sessions.extend(some_sessions(200, "2017-11-09T00:00:00", 1)); // the same day of another year
    for (number, session) in sessions.iter_mut().enumerate() {
        session.id = format!("id-{number}");
    }
    sessions
}

fn is_of(session: &Session, format: &str, of: &str) -> bool {
    time(session.begin).format(format).to_string() == of
}

/// By number of sessions; durations with the same number are in no order.
fn durations<'a>(sessions: impl Iterator<Item = &'a Session>) -> Vec<(i64, i64)> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for session in sessions.filter(|session| session.seconds() > 0) {
        *counts.entry(session.seconds()).or_default() += 1;
    }
    let mut rows: Vec<(i64, i64)> = counts.into_iter().collect();
    rows.sort_by_key(|&(seconds, count)| (-count, seconds));
    rows
}

fn parsed(rows: &[String]) -> Vec<(i64, i64)> {
    let mut pairs: Vec<(i64, i64)> = Vec::new();
    for row in rows {
        let (seconds, count) = row.split_once(',').unwrap();
        pairs.push((seconds.parse().unwrap(), count.parse().unwrap()));
    }
    assert!(pairs.is_sorted_by(|a, b| a.1 >= b.1), "not in order: {pairs:?}");
    pairs.sort_by_key(|&(seconds, count)| (-count, seconds));
    pairs
}

#[needs_shared]
#[test]
fn the_texts_are_those_of_the_article() {
    let article = std::fs::read_to_string(shared("reference/aws-clickstream-sessions.txt")).unwrap();
    for text in TEXTS {
        assert!(article.contains(text.trim_end()), "{text}");
    }
}

#[test]
fn durations_of_today_are_those_counted_one_by_one() {
    let sessions = sessions();
    let expected = durations(sessions.iter().filter(|session| is_of(session, "%Y-%m-%d", TODAY)));
    assert!(expected.len() > 20);
    for kinds in [&KINDS[..1], &KINDS[1..2], &KINDS[2..], &KINDS] {
        let folder = Folder::new();
        folder.file("aggregated", &sessions, kinds);
        // Without SQL: the query of the article. With it: all its texts, one after the other.
        for sql in [&[][..], &["--sql", &TEXTS.concat()]] {
            let answer = folder.query(&[&["--today", TODAY, "--format", "csv"], sql].concat());
            let rows: Vec<String> = answer.out.lines().skip(1).map(str::to_owned).collect();
            assert_eq!(parsed(&rows), expected, "{kinds:?} {}", answer.errors);
            assert!(answer.out.starts_with("duration_sec,sessions\n"), "{}", answer.out);
        }
    }
}

#[test]
fn the_view_of_the_month_has_the_month() {
    let (sessions, folder) = (sessions(), Folder::new());
    folder.file("aggregated", &sessions, &KINDS);
    let expected = durations(sessions.iter().filter(|session| is_of(session, "%Y-%m", "2018-11")));
    let rows = folder.rows(&TEXTS[2].replace("clicks_today", "clicks_month"), TODAY);
    assert_eq!(parsed(&rows), expected);
    let all = folder.rows("SELECT count(*), sum(events) FROM clicks_month", TODAY);
    let of_month = || sessions.iter().filter(|session| is_of(session, "%Y-%m", "2018-11"));
    assert_eq!(all, [format!("{},{}", of_month().count(), of_month().map(|session| session.events).sum::<i64>())]);
}

#[test]
fn a_consumers_table_takes_the_articles_name() {
    let (sessions, folder) = (sessions(), Folder::new());
    folder.file("stagger_step_30s", &sessions, &[Kind::JsonGz]);
    folder.put("errors/2018/11/09/00/e.json", b"{\"kind\":\"late\",\"arrival\":\"x\"}\n");
    let count = |arguments: &[&str], expected: usize| {
        let base = ["--format", "csv", "--sql", "SELECT count(1) AS n FROM \"aggregated\""];
        let answer = folder.query(&[&base, arguments].concat());
        assert_eq!(answer.out, format!("n\n{expected}\n"), "{}", answer.errors);
    };
    count(&[], 1000); // the only one beside errors
    folder.file("gap_30m", &sessions[..10], &[Kind::Parquet]);
    count(&["--table", "aggregated=stagger_step_30s"], 1000);
    count(&["--table", "gap_30m"], 10);
    let kinds = folder.rows("SELECT kind, count(1) FROM errors GROUP BY kind", TODAY);
    assert_eq!(kinds, ["late,1"]);
}

#[test]
fn without_a_folder_the_bundled_clicks_answer() {
    let answer = query(None, &["--format", "csv"], "");
    let rows: Vec<String> = answer.out.lines().skip(1).map(str::to_owned).collect();
    assert!(parsed(&rows).len() > 20, "{}", answer.errors);
    assert!(answer.errors.contains("aggregated: 24 of "), "{}", answer.errors);
    // The same as files to keep.
    let folder = Folder::new();
    let sample = folder.path().join("sample");
    let written = query(None, &["--sample", sample.to_str().unwrap()], "");
    assert_eq!(written.code, Some(0), "{}", written.errors);
    let again = query(Some(&sample), &["--format", "csv", "--today", "2018-11-29"], "");
    let rows_again: Vec<String> = again.out.lines().skip(1).map(str::to_owned).collect();
    assert_eq!(parsed(&rows_again), parsed(&rows));
}

/// The bundled clicks by the article's rule, in the plainest way: for each user, device and half
/// minute the window that is open. How many there were, their clicks and their whole seconds.
fn windows_of_the_bundled_clicks() -> (i64, i64, i64) {
    let clicks = GzDecoder::new(&include_bytes!("../../../data/clicks.jsonl.gz")[..]);
    let (mut open, mut closed, mut now) = (HashMap::<_, (i64, i64, i64, i64)>::new(), Vec::new(), i64::MIN);
    for line in BufReader::new(clicks).split(b'\n') {
        let Ok(click) = serde_json::from_slice::<Value>(&line.unwrap()) else { continue };
        let time = |name: &str| click[name].as_str().and_then(|time| time.parse::<NaiveDateTime>().ok());
        let (Some(at), Some(arrival), Some(user)) =
            (time("client_timestamp"), time("arrival_timestamp"), click["user_id"].as_i64())
        else {
            continue;
        };
        let (at, arrival) = (at.and_utc().timestamp_micros(), arrival.and_utc().timestamp_micros());
        if at > arrival + 3_600_000_000 {
            continue;
        }
        now = now.max(arrival);
        let key = (user, click["device_id"].to_string(), at.div_euclid(30_000_000));
        if open.get(&key).is_some_and(|(deadline, ..)| now >= *deadline) {
            closed.extend(open.remove(&key));
        }
        let (_, count, first, last) = open.entry(key).or_insert((now + 30_000_000, 0, at, at));
        *count += 1;
        (*first, *last) = (at.min(*first), at.max(*last));
    }
    closed.extend(open.into_values());
    let seconds = closed.iter().map(|(_, _, first, last)| (last - first) / 1_000_000).sum();
    (closed.len() as i64, closed.iter().map(|(_, count, ..)| count).sum(), seconds)
}

#[test]
fn the_sample_has_the_windows_of_the_bundled_clicks() {
    let sql = "SELECT count(1), sum(events), sum(duration_sec), count(distinct session_id) FROM aggregated";
    let answer = query(None, &["--format", "csv", "--sql", sql], "");
    let (count, events, seconds) = windows_of_the_bundled_clicks();
    assert_eq!(answer.out.lines().nth(1).unwrap(), format!("{count},{events},{seconds},{count}"));
}
