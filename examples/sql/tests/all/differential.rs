//! Random applications over random clicks, next to evaluators that share no code with them: DuckDB for expressions,
//! tumbling and sliding windows; plain lists for stagger windows.
//!
//! Each random piece is written twice, in this language and in that of DuckDB. `KINESIS_PYTHON` names a Python with
//! DuckDB; without one that part says that it is skipped. `STAGGER_CASES` says how many applications there are.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use program::testing::{PATIENCE, Running};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::{Wrote, run};

const SCHEMA: &str = "id INTEGER, k VARCHAR(3), a INTEGER, b INTEGER, d DOUBLE, e DECIMAL(9, 2), s VARCHAR(12), f BOOLEAN, \
                      t TIMESTAMP, u TIMESTAMP";
/// How many applications read the same clicks.
const TOGETHER: usize = 50;

fn cases() -> usize {
    std::env::var("STAGGER_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

/// The same piece in both languages.
#[derive(Clone)]
struct Both {
    ours: String,
    duck: String,
}

fn both(ours: impl Into<String>, duck: impl Into<String>) -> Both {
    Both { ours: ours.into(), duck: duck.into() }
}

fn same(text: impl Into<String>) -> Both {
    let text = text.into();
    both(text.clone(), text)
}

struct Made {
    random: SmallRng,
    clicks: Vec<Value>,
}

impl Made {
    fn new(seed: u64) -> Self {
        let mut made = Self { random: SmallRng::seed_from_u64(seed), clicks: Vec::new() };
        let mut arrival = 1_543_449_600_000_i64;
        for id in 0..60 {
            arrival += made.random.random_range(1..9_000);
            let click = made.click(id, arrival);
            made.clicks.push(click);
        }
        made
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.random_range(0..n)
    }

    fn or_null(&mut self, value: Value) -> Value {
        if self.below(6) == 0 { Value::Null } else { value }
    }

    fn click(&mut self, id: i64, arrival: i64) -> Value {
        const TEXTS: [&str; 8] = ["", "beer", "Beer_cart", "xxaxx", "a%b", "åäö", "12", "mobile_app"];
        let time = |millis: i64| chrono::DateTime::from_timestamp_millis(millis).expect("a date").to_rfc3339();
        let (a, b) = (self.random.random_range(-9..9), self.random.random_range(-99..999));
        // Thirds are never half way between two whole numbers, which two engines might round differently.
        let d = f64::from(self.random.random_range(-900..900_i32)) / 3.0;
        let e = format!("{}.{:02}", self.random.random_range(-99..99), self.random.random_range(1..99));
        let s = TEXTS[self.below(8)];
        let f = self.below(2) == 0;
        let (late, span) =
            (self.random.random_range(0..40_000), self.random.random_range(-400_000_000..400_000_000_i64));
        json!({
            "id": id, "k": format!("k{}", self.below(3)),
            "a": self.or_null(a.into()), "b": b,
            "d": self.or_null(d.into()), "e": self.or_null(e.into()),
            "s": self.or_null(s.into()), "f": self.or_null(f.into()),
            "t": time(arrival - late), "u": self.or_null(time(arrival + span).into()),
            "arrival": time(arrival),
        })
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn int(&mut self, depth: usize) -> Both {
        if depth == 0 {
            let literal = self.random.random_range(0..20).to_string();
            return self.pick(&[same("a"), same("b"), same("b"), same("id"), same(literal)]);
        }
        let next = depth - 1;
        let n = self.random.random_range(2..9);
        match self.below(13) {
            0..3 => {
                let (one, other, sign) = (self.int(next), self.int(next), self.pick(&["+", "-"]));
                both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
            }
            3 => {
                let one = self.int(0);
                let other = self.int(0);
                both(format!("({} * {})", one.ours, other.ours), format!("({} * {})", one.duck, other.duck))
            }
            4 => {
                let one = self.int(next);
                both(format!("({} / {n})", one.ours), format!("CAST(trunc(({}) / {n}) AS BIGINT)", one.duck))
            }
            5 => {
                let one = self.int(next);
                let function = self.pick(&["ABS({})", "MOD({}, 7)", "-({})"]);
                both(function.replace("{}", &one.ours), function.replace("{}", &one.duck))
            }
            6 => {
                let one = self.text(next);
                both(format!("CHAR_LENGTH({})", one.ours), format!("length({})", one.duck))
            }
            7 => {
                let one = self.text(next);
                both(format!("POSITION('a' IN {})", one.ours), format!("position('a' IN {})", one.duck))
            }
            8 => {
                let (one, field) =
                    (self.time(next), self.pick(&["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE"]));
                both(format!("EXTRACT({field} FROM {})", one.ours), format!("EXTRACT({field} FROM {})", one.duck))
            }
            9 => {
                let one = self.int(next);
                let duck = format!("CAST(floor(({}) / {n}.0) * {n} AS BIGINT)", one.duck);
                both(format!("STEP({} BY {n})", one.ours), duck)
            }
            10 => {
                let (one, other) = (self.time(next), self.time(next));
                both(
                    format!("TSDIFF({}, {})", one.ours, other.ours),
                    format!("(epoch_ms({}) - epoch_ms({}))", one.duck, other.duck),
                )
            }
            11 => {
                let one = self.double(0);
                same(format!("CAST({} AS INTEGER)", one.ours))
            }
            _ => {
                let (one, other) = (self.int(next), self.int(next));
                self.chosen(next, &one, &other)
            }
        }
    }

    /// CASE, COALESCE or NULLIF.
    fn chosen(&mut self, depth: usize, one: &Both, other: &Both) -> Both {
        let condition = self.truth(depth);
        let choose = self.pick(&[
            "CASE WHEN {c} THEN {1} ELSE {2} END",
            "CASE WHEN {c} THEN {1} END",
            "COALESCE({1}, {2})",
            "NULLIF({1}, {2})",
        ]);
        let write =
            |c: &str, one: &str, other: &str| choose.replace("{c}", c).replace("{1}", one).replace("{2}", other);
        both(write(&condition.ours, &one.ours, &other.ours), write(&condition.duck, &one.duck, &other.duck))
    }

    fn double(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return self.pick(&[same("d"), same("d"), same("2.4E0")]);
        }
        match self.below(4) {
            0 => {
                let (one, other, sign) = (self.double(depth - 1), self.int(depth - 1), self.pick(&["+", "-", "*"]));
                both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
            }
            1 => {
                let one = self.double(depth - 1);
                let function = self.pick(&["FLOOR({})", "CEIL({})", "ABS({})", "SQRT(ABS({}))", "({} / 8)"]);
                both(function.replace("{}", &one.ours), function.replace("{}", &one.duck))
            }
            2 => {
                let one = self.exact(0);
                same(format!("CAST({} AS DOUBLE)", one.ours))
            }
            _ => {
                let (one, other) = (self.double(depth - 1), self.double(depth - 1));
                self.chosen(depth - 1, &one, &other)
            }
        }
    }

    fn exact(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return self.pick(&[same("e"), same("1.25")]);
        }
        let (one, other, sign) = (self.exact(depth - 1), self.exact(0), self.pick(&["+", "-"]));
        both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
    }

    fn text(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return self.pick(&[same("s"), same("s"), same("k"), same("'Cart_a'")]);
        }
        let one = self.text(depth - 1);
        let (from, length) = (self.random.random_range(1..9), self.random.random_range(0..5));
        match self.below(7) {
            0 => {
                let function = self.pick(&["UPPER({})", "LOWER({})"]);
                both(function.replace("{}", &one.ours), function.replace("{}", &one.duck))
            }
            1 => both(
                format!("SUBSTRING({}, {from}, {length})", one.ours),
                format!("substring({}, {from}, {length})", one.duck),
            ),
            2 => both(format!("SUBSTRING({} FROM {from})", one.ours), format!("substring({}, {from})", one.duck)),
            3 => {
                let (side, duck) = self.pick(&[("BOTH", "trim"), ("LEADING", "ltrim"), ("TRAILING", "rtrim")]);
                both(format!("TRIM({side} 'x' FROM {})", one.ours), format!("{duck}({}, 'x')", one.duck))
            }
            4 => {
                let other = self.text(depth - 1);
                both(format!("({} || {})", one.ours, other.ours), format!("({} || {})", one.duck, other.duck))
            }
            5 => {
                let number = self.int(depth - 1);
                both(format!("CAST({} AS VARCHAR(40))", number.ours), format!("CAST({} AS VARCHAR)", number.duck))
            }
            _ => {
                let other = self.text(depth - 1);
                self.chosen(depth - 1, &one, &other)
            }
        }
    }

    fn time(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return self.pick(&[same("t"), same("u"), same("TIMESTAMP '2018-11-29 12:00:00'")]);
        }
        let one = self.time(depth - 1);
        let n = self.random.random_range(1..90);
        match self.below(4) {
            0 => {
                let unit = self.pick(&["SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]);
                both(
                    format!("FLOOR({} TO {unit})", one.ours),
                    format!("CAST(date_trunc('{unit}', {}) AS TIMESTAMP)", one.duck),
                )
            }
            1 => {
                let millis = n * 1000;
                let duck =
                    format!("make_timestamp(CAST(floor(epoch_ms({}) / {millis}.0) AS BIGINT) * {millis}000)", one.duck);
                both(format!("STEP({} BY INTERVAL '{n}' SECOND)", one.ours), duck)
            }
            2 => {
                let (sign, unit) = (self.pick(&["+", "-"]), self.pick(&["SECOND", "MINUTE", "HOUR", "DAY"]));
                both(
                    format!("({} {sign} INTERVAL '{n}' {unit})", one.ours),
                    format!("({} {sign} INTERVAL '{n}' {unit})", one.duck),
                )
            }
            _ => {
                let other = self.time(depth - 1);
                self.chosen(depth - 1, &one, &other)
            }
        }
    }

    fn truth(&mut self, depth: usize) -> Both {
        if depth == 0 {
            return self.pick(&[same("f"), same("(a > 0)"), same("(s = 'beer')"), same("(d IS NULL)")]);
        }
        let next = depth - 1;
        let sign = self.pick(&["=", "<>", "<", "<=", ">", ">="]);
        match self.below(9) {
            0 => {
                let (one, other) = (self.int(next), self.int(next));
                both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
            }
            1 => {
                let (one, other) = (self.time(next), self.time(next));
                both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
            }
            2 => {
                let (one, other) = (self.text(next), self.text(next));
                both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
            }
            3 => {
                let (one, pattern) =
                    (self.text(next), self.pick(&["'%e%'", "'_e%'", "'a!%b' ESCAPE '!'", "'%'", "'xx%xx'"]));
                let not = self.pick(&["", "NOT "]);
                both(format!("({} {not}LIKE {pattern})", one.ours), format!("({} {not}LIKE {pattern})", one.duck))
            }
            4 => {
                let (one, not) = (self.int(next), self.pick(&["", "NOT "]));
                let list = self.pick(&["1, 2, b", "a, 3", "0, NULL, 5"]);
                both(format!("({} {not}IN ({list}))", one.ours), format!("({} {not}IN ({list}))", one.duck))
            }
            5 => {
                let (one, low, high, not) = (self.int(next), self.int(0), self.int(0), self.pick(&["", "NOT "]));
                both(
                    format!("({} {not}BETWEEN {} AND {})", one.ours, low.ours, high.ours),
                    format!("({} {not}BETWEEN {} AND {})", one.duck, low.duck, high.duck),
                )
            }
            6 => {
                let (one, is) =
                    (self.truth(next), self.pick(&["IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NULL", "IS NOT NULL"]));
                both(format!("({} {is})", one.ours), format!("({} {is})", one.duck))
            }
            7 => {
                let one = self.truth(next);
                both(format!("(NOT {})", one.ours), format!("(NOT {})", one.duck))
            }
            _ => {
                let (one, other, sign) = (self.truth(next), self.truth(next), self.pick(&["AND", "OR"]));
                both(format!("({} {sign} {})", one.ours, other.ours), format!("({} {sign} {})", one.duck, other.duck))
            }
        }
    }

    /// A value of any type, and the type of a column for it.
    fn value(&mut self, depth: usize) -> (Both, &'static str) {
        match self.below(7) {
            0 => (self.int(depth), "BIGINT"),
            1 => (self.double(depth), "DOUBLE"),
            2 => (self.exact(depth), "DECIMAL(18, 2)"),
            3 => (self.text(depth), "VARCHAR(4000)"),
            4 => (self.time(depth), "TIMESTAMP"),
            5 => (self.truth(depth), "BOOLEAN"),
            // It may fail: then the whole row does.
            _ => {
                let (one, to) = (self.text(depth), self.pick(&["INTEGER", "DOUBLE"]));
                (both(format!("CAST({} AS {to})", one.ours), format!("TRY_CAST({} AS {to})", one.duck)), to)
            }
        }
    }

    fn condition(&mut self) -> [String; 2] {
        if self.below(2) == 0 {
            return [String::new(), String::new()];
        }
        let condition = self.truth(2);
        [format!(" WHERE {}", condition.ours), format!(" WHERE {}", condition.duck)]
    }

    /// An application, and the query that gives the same rows.
    fn application(&mut self) -> Both {
        match self.below(3) {
            0 => self.rows(),
            1 => self.tumbling(),
            _ => self.sliding(),
        }
    }

    fn rows(&mut self) -> Both {
        let mut items = vec![(same("id"), "INTEGER")];
        for _ in 0..self.random.random_range(1..4) {
            items.push(self.value(3));
        }
        let [ours, duck] = self.condition();
        self.query(&items, &ours, &format!("{duck} ORDER BY id"), "")
    }

    fn query(&self, items: &[(Both, &str)], ours: &str, duck: &str, window: &str) -> Both {
        let mut columns = String::new();
        for (index, (_, ty)) in items.iter().enumerate() {
            let _ = write!(columns, "{}c{index} {ty}", if index > 0 { ", " } else { "" });
        }
        let list = |of: fn(&Both) -> &str| items.iter().map(|(item, _)| of(item)).collect::<Vec<_>>().join(", ");
        let text = format!(
            "CREATE STREAM o ({columns});\nCREATE PUMP p AS INSERT INTO o SELECT STREAM {} FROM s{ours}{window};",
            list(|both| &both.ours)
        );
        both(text, format!("SELECT {} FROM s{duck}", list(|both| &both.duck)))
    }

    fn aggregate(&mut self) -> (Both, &'static str) {
        match self.below(9) {
            0 => (same("COUNT(*)"), "BIGINT"),
            1 => {
                let (one, _) = self.value(1);
                let distinct = self.pick(&["", "DISTINCT "]);
                // A cast that fails would fail the row here.
                if one.ours.starts_with("CAST") {
                    return (same("COUNT(s)"), "BIGINT");
                }
                (both(format!("COUNT({distinct}{})", one.ours), format!("COUNT({distinct}{})", one.duck)), "BIGINT")
            }
            2 => {
                let (one, distinct) = (self.int(1), self.pick(&["", "DISTINCT "]));
                (both(format!("SUM({distinct}{})", one.ours), format!("SUM({distinct}{})", one.duck)), "BIGINT")
            }
            3 => {
                let one = self.int(1);
                let duck = format!("CAST(trunc(SUM({0}) / COUNT({0})) AS BIGINT)", one.duck);
                (both(format!("AVG({})", one.ours), duck), "BIGINT")
            }
            4 => {
                let (one, name) =
                    (self.double(1), self.pick(&["AVG", "SUM", "STDDEV_POP", "STDDEV_SAMP", "VAR_POP", "VAR_SAMP"]));
                (both(format!("{name}({})", one.ours), format!("{name}({})", one.duck)), "DOUBLE")
            }
            5 => {
                let (one, name) = (self.time(1), self.pick(&["MIN", "MAX"]));
                (both(format!("{name}({})", one.ours), format!("{name}({})", one.duck)), "TIMESTAMP")
            }
            6 => {
                let (one, name) = (self.exact(1), self.pick(&["MIN", "MAX", "SUM"]));
                (both(format!("{name}({})", one.ours), format!("{name}({})", one.duck)), "DECIMAL(18, 2)")
            }
            7 => {
                let one = self.text(1);
                (
                    both(format!("FIRST_VALUE({})", one.ours), format!("first({} ORDER BY id)", one.duck)),
                    "VARCHAR(4000)",
                )
            }
            _ => {
                let one = self.text(1);
                (both(format!("LAST_VALUE({})", one.ours), format!("last({} ORDER BY id)", one.duck)), "VARCHAR(4000)")
            }
        }
    }

    fn tumbling(&mut self) -> Both {
        let n = self.pick(&[5, 30, 60, 3600]);
        let step = |of: &str| format!("make_timestamp(epoch_ms({of}) // {n}000 * {n}000000)");
        let mut keys = vec![(both(format!("STEP(ROWTIME BY INTERVAL '{n}' SECOND)"), step("arrival")), "TIMESTAMP")];
        if self.below(4) > 0 {
            keys.push((same("k"), "VARCHAR(9)"));
        }
        if self.below(3) == 0 {
            keys.push((both("FLOOR(t TO MINUTE)", "CAST(date_trunc('MINUTE', t) AS TIMESTAMP)"), "TIMESTAMP"));
        }
        let list = |of: fn(&Both) -> &str| keys.iter().map(|(key, _)| of(key)).collect::<Vec<_>>().join(", ");
        let mut after =
            [format!(" GROUP BY {}", list(|key| &key.ours)), format!(" GROUP BY {}", list(|key| &key.duck))];
        if self.below(3) == 0 {
            let count = self.random.random_range(1..4);
            after.iter_mut().for_each(|after| *after += &format!(" HAVING COUNT(*) > {count}"));
        }
        let [ours, duck] = self.condition();
        let mut items = keys.clone();
        for _ in 0..self.random.random_range(1..4) {
            items.push(self.aggregate());
        }
        self.query(&items, &(ours + &after[0]), &(duck + &after[1]), "")
    }

    fn sliding(&mut self) -> Both {
        let n = self.pick(&[1, 10, 60]);
        let rows = self.random.random_range(0..6);
        let partition = self.pick(&["PARTITION BY k ", ""]);
        let is_rows = self.below(3) == 0;
        let ours =
            if is_rows { format!("ROWS {rows} PRECEDING") } else { format!("RANGE INTERVAL '{n}' SECOND PRECEDING") };
        // A row exactly as old as the window is long has left it; arrivals are whole milliseconds.
        let millis = n * 1000 - 1;
        let duck = if is_rows {
            format!("ORDER BY id ROWS {rows} PRECEDING")
        } else {
            format!("ORDER BY arrival RANGE BETWEEN INTERVAL '{millis}' MILLISECOND PRECEDING AND CURRENT ROW")
        };
        let mut items = vec![(same("id"), "INTEGER")];
        for _ in 0..self.random.random_range(1..4) {
            let one = self.int(1);
            let name = self.pick(&["COUNT", "SUM", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE"]);
            let over =
                both(format!("{name}({}) OVER w", one.ours), format!("{name}({}) OVER ({partition}{duck})", one.duck));
            items.push((over, "BIGINT"));
        }
        let [filter, duck_filter] = self.condition();
        let window = format!(" WINDOW w AS ({partition}{ours})");
        self.query(&items, &filter, &format!("{duck_filter} ORDER BY id"), &window)
    }
}

fn python() -> Option<PathBuf> {
    let python = std::env::var_os("KINESIS_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let has = Command::new(&python).args(["-c", "import duckdb"]).output().ok()?;
    has.status.success().then_some(python)
}

/// The clicks, and applications with the rows that they make of them, for one process of DuckDB. It reads while the
/// next ones are made, and ends early if it has seen enough that differ.
fn write_cases(to: &mut impl Write) -> io::Result<()> {
    for batch in 0..cases().div_ceil(TOGETHER) {
        let mut made = Made::new(batch as u64);
        let clicks: Vec<String> = made.clicks.iter().map(Value::to_string).collect();
        writeln!(to, "{}", json!({ "clicks": made.clicks }))?;
        for _ in 0..TOGETHER {
            let application = made.application();
            let rows = run(&application.ours, Some(SCHEMA), &clicks);
            let (failed, rows): (Vec<Wrote>, Vec<Wrote>) =
                rows.into_iter().partition(|row| row.stream == "error_stream");
            let rows: Vec<_> = rows.into_iter().map(|row| row.values).collect();
            let case =
                json!({ "sql": application.ours, "duck": application.duck, "rows": rows, "failed": failed.len() });
            writeln!(to, "{case}")?;
        }
    }
    to.flush()
}

#[test]
fn random_applications_give_the_rows_of_duckdb() {
    let Some(python) = python() else {
        println!("NOT CHECKED: KINESIS_PYTHON names no Python with duckdb");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/duckdb_rows.py");
    let (input, output) = (Stdio::piped(), Stdio::piped());
    let within = PATIENCE + Duration::from_secs(cases() as u64);
    let mut duck = Running::start_within(within, Command::new(&python).arg(script).stdin(input).stdout(output));
    let written = write_cases(&mut BufWriter::new(duck.stdin.take().expect("a pipe")));
    let ran = duck.wait_with_output();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
    written.expect("all applications were read");
    println!("{said}");
}

/// The rows of stagger windows by plain lists: the partition, how many, the first, the last, the sum.
fn naive(clicks: &[Value], range: i64, key: impl Fn(&Value) -> String) -> Vec<String> {
    let mut windows: Vec<(i64, String, Vec<&Value>)> = Vec::new();
    let time = |click: &Value| {
        let text = click["arrival"].as_str().expect("a text");
        chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis()
    };
    for click in clicks {
        let (now, key) = (time(click), key(click));
        let open = windows.iter_mut().find(|(opened, known, _)| *known == key && now < *opened + range);
        match open {
            Some((.., clicks)) => clicks.push(click),
            None => windows.push((now, key, vec![click])),
        }
    }
    let row = |(opened, key, clicks): &(i64, String, Vec<&Value>)| {
        let sum: i64 = clicks.iter().map(|click| click["b"].as_i64().expect("a number")).sum();
        let (first, last) = (&clicks[0]["id"], &clicks[clicks.len() - 1]["id"]);
        format!("{key},{},{},{first},{last},{sum}", opened + range, clicks.len())
    };
    windows.iter().map(row).collect()
}

#[test]
fn random_stagger_windows_give_the_rows_of_plain_lists() {
    for seed in 0..cases() as u64 {
        let mut made = Made::new(seed);
        let range = made.pick(&[1, 5, 20, 60, 600]);
        let with_bucket = made.below(2) == 0;
        let step = made.pick(&[7, 30, 60]);
        let partition =
            if with_bucket { format!("\"k\", STEP(\"t\" BY INTERVAL '{step}' SECOND)") } else { "\"k\"".to_owned() };
        let bucket = if with_bucket {
            format!("|| '_' || CAST(UNIX_TIMESTAMP(STEP(\"t\" BY INTERVAL '{step}' SECOND)) AS VARCHAR(20))")
        } else {
            String::new()
        };
        let sql = format!(
            "CREATE STREAM o (k VARCHAR(40), at BIGINT, n BIGINT, f INTEGER, l INTEGER, sum BIGINT);\n\
             CREATE PUMP p AS INSERT INTO o SELECT STREAM \"k\" {bucket}, UNIX_TIMESTAMP(ROWTIME), COUNT(*), \
             FIRST_VALUE(\"id\"), LAST_VALUE(\"id\"), SUM(\"b\") FROM s \
             WINDOWED BY STAGGER (PARTITION BY {partition} RANGE INTERVAL '{range}' SECOND);"
        );
        let schema = "\"id\" INTEGER, \"k\" VARCHAR(3), \"b\" INTEGER, \"t\" TIMESTAMP";
        let clicks: Vec<String> = made.clicks.iter().map(Value::to_string).collect();
        let rows: Vec<String> = run(&sql, Some(schema), &clicks).iter().map(|row| row.values.join(",")).collect();
        let expected = naive(&made.clicks, range * 1000, |click| {
            let key = click["k"].as_str().expect("a text").to_owned();
            if !with_bucket {
                return key;
            }
            let time = chrono::DateTime::parse_from_rfc3339(click["t"].as_str().expect("a text")).expect("a time");
            format!("{key}_{}", time.timestamp_millis() / (step * 1000) * step * 1000)
        });
        assert_eq!(rows, expected, "seed {seed}\n{sql}");
    }
}
