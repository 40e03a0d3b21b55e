//! Real sessions, as two independent programs computed them, put into the layout and asked by SQL.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use flate2::read::GzDecoder;
use needs_shared::needs_shared;

use crate::support::{Folder, KINDS, Session, micros, shared};

/// The rows of a file of expected sessions.
fn expected(name: &str) -> Vec<Session> {
    let path = shared(&format!("data/expected/{name}.gap30m.user.csv.gz"));
    let mut rows = csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()));
    let mut sessions = Vec::new();
    for row in rows.records() {
        let row = row.unwrap();
        let time = |at: usize| micros(row[at].trim_end_matches('Z'));
        sessions.push(Session {
            id: format!("{}-{}", &row[0], &row[2]),
            end: time(4),
            events: row[5].parse().unwrap(),
            first: row[7].to_owned(),
            last: row[8].to_owned(),
            ..Session::new("", row[0].parse().unwrap(), time(3), 0)
        });
    }
    sessions
}

/// The totals that the summary beside the sessions has.
fn summary(name: &str) -> String {
    let mut text = String::new();
    File::open(shared(&format!("data/expected/{name}.summary.json"))).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn check(name: &str, count: usize, today: &str) {
    let sessions = expected(name);
    assert_eq!(sessions.len(), count);
    assert!(summary(name).contains(&count.to_string()), "{name}");
    let folder = Folder::new();
    folder.file("aggregated", &sessions, &KINDS);
    let total: i64 = sessions.iter().map(|session| session.events).sum();
    let seconds: i64 = sessions.iter().map(Session::seconds).sum();
    let users: std::collections::BTreeSet<i64> = sessions.iter().map(|session| session.user).collect();
    let longest = sessions.iter().map(|session| session.events).max().unwrap();
    let sql = "SELECT count(1), sum(events), sum(duration_sec), count(distinct user_id), max(events) FROM sessions";
    assert_eq!(folder.rows(sql, today), [format!("{count},{total},{seconds},{},{longest}", users.len())]);

    let mut actions: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
    for session in &sessions {
        let (sessions, events) = actions.entry((&session.first, &session.last)).or_default();
        *sessions += 1;
        *events += session.events;
    }
    let sql = "SELECT count(1), sum(events) FROM aggregated GROUP BY beginnavigation, endnavigation \
               ORDER BY beginnavigation, endnavigation";
    let expected: Vec<String> = actions.values().map(|(sessions, events)| format!("{sessions},{events}")).collect();
    assert_eq!(folder.rows(sql, today), expected, "{name}");

    let of_today = sessions.iter().filter(|session| crate::support::text(session.begin).starts_with(today));
    let of_today: i64 = of_today.map(|session| session.events).sum();
    assert_eq!(folder.rows("SELECT sum(events) FROM clicks_today", today), [of_today.to_string()]);
}

#[needs_shared]
#[test]
fn a_web_server() {
    check("apache", 3052, "2015-05-18");
}

#[needs_shared]
#[test]
fn a_shop() {
    check("rees46", 4518, "2019-10-01");
}

#[needs_shared]
#[test]
fn a_code_host() {
    check("gharchive", 6900, "2015-01-01");
}
