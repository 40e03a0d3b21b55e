//! Corrected rows take the place of those that they correct, in the view `sessions`.

use std::collections::BTreeSet;

use crate::support::{Folder, KINDS, Session, micros, some_sessions};

/// Reads in order of time: a row that a later row names is gone.
fn corrected(rows: &[Session]) -> BTreeSet<String> {
    let mut left: Vec<&Session> = Vec::new();
    for row in rows {
        left.retain(|old| !row.supersedes.contains(&old.id));
        left.push(row);
    }
    left.iter().map(|row| format!("{},{},{}", row.id, row.revision, row.events)).collect()
}

fn again(row: &Session, revision: i32, supersedes: &[&str]) -> Session {
    let supersedes = supersedes.iter().map(|id| (*id).to_owned()).collect();
    Session { revision, supersedes, events: row.events + 10 * i64::from(revision), ..row.clone() }
}

#[test]
fn the_view_has_each_session_once() {
    let mut rows = some_sessions(200, "2018-11-08T00:00:00", 2);
    let earlier = |row: Session| Session { begin: row.begin - 7_200_000_000, ..row }; // into another file
    for at in (0..200).step_by(4) {
        let (row, next) = (rows[at].clone(), rows[at + 1].clone());
        rows.push(earlier(again(&row, 1, &[&row.id])));
        match at % 3 {
            0 => rows.push(again(&row, 2, &[&row.id])),           // corrected twice
            1 => rows.push(again(&row, 2, &[&row.id, &next.id])), // merged with its neighbour
            _ => {
                rows.push(again(&next, 2, &[&next.id]));
                rows.push(again(&row, 2, &[&row.id, &next.id])); // merged with one of the same revision
            }
        }
    }
    let (expected, folder) = (corrected(&rows), Folder::new());
    folder.file("aggregated", &rows, &KINDS);
    let sql = "SELECT session_id, coalesce(revision, 0), events FROM sessions";
    let found = folder.rows(sql, "2018-11-08");
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(folder.rows("SELECT count(1) FROM aggregated", "2018-11-08"), [rows.len().to_string()]);
}

#[test]
fn what_a_row_supersedes_reads_the_same_in_all_kinds_of_files() {
    let row = again(&Session::new("a", 1, micros("2018-11-08T00:30:00"), 5), 1, &["a", "b"]);
    for kind in KINDS {
        let folder = Folder::new();
        folder.file("aggregated", std::slice::from_ref(&row), &[kind]);
        let sql = "SELECT revision, supersedes, beginsession FROM aggregated";
        assert_eq!(folder.rows(sql, "2018-11-08"), ["1,\"a,b\",2018-11-08T00:30:00Z"], "{kind:?}");
    }
}
