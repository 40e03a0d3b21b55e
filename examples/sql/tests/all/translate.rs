//! `sql translate`: the program compiles, since it is a module here, and gives the same rows.
//!
//! `STAGGER_RENEW=1` writes it anew.

use sql::plan::Plan;
use sql::run::Run;
use sql::source::{Arrival, Source};
use sql::translate::translate;

use crate::support::{Wrote, made, planned, shown};

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
#[path = "translated/shop.rs"]
mod shop;

const TEXT: &str = include_str!("translated/shop.sql");

fn rows(plan: &Plan, lines: &str) -> Vec<Wrote> {
    let mut source = Source::new(plan, &Arrival::Field("arrival_timestamp".to_owned()));
    let mut run = Run::new(plan).expect("windows that work");
    let (mut wrote, mut row) = (Vec::new(), Vec::new());
    for line in lines.lines() {
        let arrival = source.read(line, &mut row).expect("a click").expect("an arrival");
        run.push(&mut row, arrival, &mut |written| wrote.push(shown(plan, &written)));
    }
    run.finish(&mut |written| wrote.push(shown(plan, &written)));
    wrote
}

#[test]
fn the_program_is_what_the_text_is_translated_to() {
    let code = translate(&planned(TEXT, None));
    if std::env::var_os("STAGGER_RENEW").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/translated/shop.rs"), &code).expect("room");
    }
    assert!(code == include_str!("translated/shop.rs"), "STAGGER_RENEW=1 writes it anew; then build again");
}

#[test]
fn the_program_gives_the_rows_of_the_text() {
    let lines = made("--users 40 --rate 3 --duration 20m --disorder 20s --stragglers 0.02 --late-by 5m");
    let (of_text, of_program) = (rows(&planned(TEXT, None), &lines), rows(&shop::application(), &lines));
    for stream in ["VISITS", "CLEAN", "MINUTES", "LATEST"] {
        assert!(of_text.iter().filter(|row| row.stream == stream).count() > 10, "{stream}");
    }
    assert_eq!(of_program, of_text);
}
