//! The article's two applications, letter for letter, next to a naive reading of their SQL, on clicks of `generate`.

use std::fs;

use article::{Click, applications};
use needs_shared::needs_shared;

use crate::support::{made, program};

#[needs_shared]
#[test]
fn both_applications_give_the_rows_of_a_naive_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let lines = made("--users 400 --rate 3 --duration 30m --disorder 20s --stragglers 0.02 --late-by 5m");
    fs::write(path("clicks.jsonl"), &lines).expect("room");
    let clicks: Vec<Click> = lines.lines().map(Click::read).collect();
    for (text, width) in applications() {
        fs::write(path("app.sql"), text).expect("room");
        let ran = program(&[&path("app.sql"), "--input", &path("clicks.jsonl"), "--arrival", "arrival_timestamp"]);
        assert_eq!(ran.status, 0, "{}", ran.said);
        let rows: Vec<&str> = ran.out.lines().skip(1).collect();
        let expected = article::rows(&clicks, width);
        assert!(rows.len() > 1_000);
        assert_eq!(rows, expected);
    }
}
