//! Texts that are nearly applications: each is refused in words, or runs without a panic.
//!
//! `STAGGER_CASES` says how many there are; with `STAGGER_SECONDS` the test goes on for that time.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use sql::explain::explain;
use sql::model::Arrival;
use sql::plan::plan;
use sql::run::Run;
use sql::source::Source;
use stagger::Timestamp;

/// Pieces that the texts are made of, beside their own.
const PIECES: &[&str] = &[
    "CREATE OR REPLACE STREAM d (a INTEGER, b VARCHAR(9), c TIMESTAMP, e DECIMAL(9, 2), f DOUBLE, g BOOLEAN);",
    "CREATE OR REPLACE PUMP p AS INSERT INTO d SELECT STREAM",
    "CREATE PUMP q AS INSERT INTO d (a, c) SELECT",
    "WINDOWED BY STAGGER (PARTITION BY a, FLOOR(t TO MINUTE) RANGE INTERVAL '1' MINUTE)",
    "GROUP BY a, STEP(ROWTIME BY INTERVAL '30' SECOND)",
    "WINDOW w AS (PARTITION BY a RANGE INTERVAL '1' HOUR PRECEDING)",
    "COUNT(*)",
    "COUNT(DISTINCT a)",
    "SUM(a) OVER w",
    "FIRST_VALUE(b) IGNORE NULLS",
    "a",
    "b",
    "c",
    "\"e\"",
    "ROWTIME",
    "CASE WHEN a > 1 THEN b ELSE 'x' END",
    "CAST(a AS VARCHAR(3))",
    "CAST(b AS",
    "SUBSTRING(b FROM 2 FOR 3)",
    "STEP(c BY INTERVAL '1:30' MINUTE TO SECOND)",
    "EXTRACT(DAY FROM c)",
    "TRIM(BOTH 'x' FROM b)",
    "POSITION('x' IN b)",
    "a IN (1, 2, NULL)",
    "a BETWEEN 1 AND 2",
    "b LIKE 'x%' ESCAPE '!'",
    "TIMESTAMP '2018-11-29 00:00:00'",
    "FROM s",
    "FROM d",
    "FROM TABLE(HOTSPOTS(",
    "WHERE",
    "HAVING",
    "AND",
    "OR",
    "NOT",
    "AS",
    "INTERVAL",
    "IS NULL",
    "IS TRUE",
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "+",
    "-",
    "/",
    "||",
    "=",
    "<",
    "'",
    "\"",
    "--",
    "/*",
    "*/",
    "1",
    "1.5",
    "1e9",
    "''",
    "NULL",
    "9223372036854775807",
    "99999999999999999999999",
    "0",
    "-1",
    "\u{e5}",
    "\u{0}",
    "\n",
    "$1",
    "@",
    "{",
    "[",
    "]",
    "::",
    "->",
];

fn records() -> [&'static str; 3] {
    [
        r#"{"a": 1, "b": "x", "c": "2018-11-29T00:00:00Z", "e": 1.5, "t": "2018-11-29T00:00:00Z"}"#,
        r#"{"a": null, "b": "", "c": 9223372036854775807, "e": "-9e99", "t": 0}"#,
        r#"{"a": -9223372036854775808, "b": "\ud83d\ude00", "t": "9999-12-31T23:59:59Z"}"#,
    ]
}

struct Fuzz(SmallRng);

impl Fuzz {
    fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n.max(1))
    }

    fn piece(&mut self) -> &'static str {
        PIECES[self.below(PIECES.len())]
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.piece().to_owned();
        }
        let (one, other) = (self.expression(depth - 1), self.piece());
        match self.below(6) {
            0 => format!("({one})"),
            1 => format!("{one} + {other}"),
            2 => format!("CASE WHEN {one} THEN {other} END"),
            3 => format!("COALESCE({one}, {other})"),
            4 => format!("NOT {one}"),
            _ => format!("{one} {other}"),
        }
    }

    /// A text that has the frame of an application.
    fn text(&mut self) -> String {
        let (depth, count) = (self.below(5), self.below(4) * self.below(4));
        let items: Vec<String> = (0..=count).map(|_| self.expression(depth)).collect();
        let filter = if self.below(2) == 0 { "a IS NOT NULL".to_owned() } else { self.expression(2) };
        let end = if self.below(2) == 0 { "" } else { self.piece() };
        format!(
            "{}\nCREATE PUMP p AS INSERT INTO d (a) SELECT STREAM {} FROM s WHERE {filter} {end};",
            PIECES[0],
            items.join(", ")
        )
    }

    /// Pieces are put in, taken out, doubled; letters too.
    fn changed(&mut self, text: &str) -> String {
        let mut words: Vec<String> = text.split_inclusive(char::is_whitespace).map(str::to_owned).collect();
        for _ in 0..=self.below(6) {
            let at = self.below(words.len());
            match self.below(5) {
                0 => words.insert(at, format!("{} ", self.piece())),
                1 if words.len() > 1 => drop(words.remove(at)),
                2 => words.insert(at, words[at].clone()),
                3 => {
                    let other = self.below(words.len());
                    words.swap(at, other);
                }
                _ => {
                    let letters: Vec<char> = words[at].chars().collect();
                    let gone = self.below(letters.len());
                    words[at] =
                        letters.iter().enumerate().filter(|(index, _)| *index != gone).map(|(_, c)| c).collect();
                }
            }
        }
        words.concat()
    }
}

/// Plans a text, and runs it if it can be run.
fn attempt(text: &str) -> bool {
    let plan = match plan(text, None) {
        Ok(plan) => plan,
        Err(mistake) => {
            assert!(!mistake.what.is_empty());
            mistake.show("app.sql", text);
            return false;
        }
    };
    explain(&plan);
    let Ok(mut run) = Run::new(&plan) else { return false };
    let (mut source, mut row) = (Source::new(&plan, &Arrival::Known), Vec::new());
    for (index, record) in records().iter().cycle().take(9).enumerate() {
        if source.read(record, &mut row).is_ok() {
            run.push(&mut row, Timestamp::from_secs(1_543_449_600 + 20 * index as i64), &mut |_| {});
        }
    }
    let saved = serde_json::to_string(&run.save()).expect("it can be saved");
    let mut again = Run::restore(&plan, serde_json::from_str(&saved).expect("it can be read")).expect("the same plan");
    again.finish(&mut |_| {});
    true
}

#[test]
fn no_text_makes_a_panic() {
    let seconds = std::env::var("STAGGER_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let cases: u64 = std::env::var("STAGGER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000);
    let (started, mut seed, mut ran) = (Instant::now(), 0, 0);
    loop {
        let is_over = match seconds {
            Some(seconds) => started.elapsed() >= Duration::from_secs(seconds),
            None => seed >= cases,
        };
        if is_over {
            break;
        }
        let mut fuzz = Fuzz(SmallRng::seed_from_u64(seed));
        let text = fuzz.text();
        ran += u64::from(attempt(&text));
        ran += u64::from(attempt(&fuzz.changed(&text)));
        ran += u64::from(attempt(&fuzz.changed(SAMPLE)));
        seed += 1;
    }
    println!("{} texts, of which {ran} ran", 3 * seed);
    assert!(ran > seed / 100, "texts that run are among them");
}

/// In the form of the article's.
const SAMPLE: &str = "CREATE OR REPLACE STREAM \"OUT\" ( id VARCHAR(60), a INTEGER, at timestamp, n INTEGER, f VARCHAR(32), d INTEGER ); \
    CREATE OR REPLACE PUMP \"P\" AS INSERT INTO \"OUT\" SELECT STREAM UPPER( cast( \"a\" as VARCHAR(9) ) || '_' || \
    SUBSTRING( \"b\" , 1 , 3 ) ) as id , \"a\" , STEP( \"t\" by interval '30' second ) , COUNT( \"b\" ) n , \
    first_value( \"b\" ) , TSDIFF( max( \"t\" ) , min( \"t\" ) ) / 1000 FROM \"S\" WINDOWED BY STAGGER ( PARTITION BY \
    \"a\" , \"b\" , STEP( \"t\" by interval '30' second ) RANGE INTERVAL '30' SECOND ) ;";

/// Nesting and length beyond any use are refused, however the levels are made.
#[test]
fn no_depth_makes_a_panic() {
    let expression = |expression: &str| {
        format!("CREATE STREAM d (a INTEGER); CREATE PUMP p AS INSERT INTO d SELECT {expression} FROM s;")
    };
    for n in [10, 60, 300, 2_000, 40_000] {
        for (open, inner, close) in [
            ("(", "a", ")"),
            ("NOT ", "a", ""),
            ("-", "a", ""),
            ("a + ", "a", ""),
            ("a AND ", "a", ""),
            ("b || ", "b", ""),
            ("CASE WHEN ", "a", " THEN 1 END"),
            ("CAST(", "a", " AS INTEGER)"),
            ("ABS(", "a", ")"),
            ("EXTRACT(DAY FROM ", "c", ")"),
            ("POSITION('x' IN ", "b", ")"),
            ("POSITION(", "b", " IN b)"),
            ("SUBSTRING(", "b", ", 1)"),
            ("TRIM(", "b", ")"),
            ("FLOOR(", "a", ")"),
            ("a = NOT ", "a", ""),
            ("a IN (SELECT ", "a", ")"),
            ("a IN ((SELECT ", "a", "))"),
            ("EXISTS(", "a", ")"),
            ("CASE a WHEN 1 THEN ", "a", " END"),
            ("COUNT(a) OVER (PARTITION BY ", "a", ")"),
            ("TIMESTAMP ", "'2018-11-29 00:00:00'", ""),
            ("MAP(", "a", ")"),
            ("CONVERT(", "a", ")"),
            ("{d ", "a", "}"),
            ("STRUCT(", "a", ")"),
            ("x -> ", "a", ""),
            ("a IN (", "a", ")"),
            ("a IN ((", "a", "))"),
            ("a BETWEEN 1 AND ", "a", ""),
            ("", "a", " IS NULL"),
            ("", "a", "::INTEGER"),
            ("INTERVAL ", "'1' DAY", ""),
            ("(SELECT ", "a", ")"),
            ("STEP(", "a", " BY 2)"),
            ("ARRAY[", "a", "]"),
        ] {
            attempt(&expression(&format!("{}{inner}{}", open.repeat(n), close.repeat(n))));
        }
        attempt(&";".repeat(n));
        attempt(&"/*".repeat(n));
        attempt(&expression(&"a,".repeat(n)));
    }
}
