//! `consume --sql`: an application on a stream. Killed and started again, it leaves the rows that the same text gives
//! on the same records by itself.

mod support;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use article::{Click, applications};
use clap::Parser as _;
use needs_shared::needs_shared;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sql::model::Arrival;
use sql::plan::{Plan, plan};
use sql::run::{Run, Written};
use sql::source::Source;
use support::{STREAM, Server, output, parsed, rows, spawn, succeed};

/// Every kind of window, and a stream that another pump reads.
const TEXT: &str = r#"
-- each click, with its arrival
CREATE OR REPLACE STREAM clicks (n INTEGER, user_id INTEGER, at TIMESTAMP, arrived BIGINT);
CREATE OR REPLACE STREAM visits (id VARCHAR(60), clicks INTEGER, first_n INTEGER, last_n INTEGER, share DOUBLE);
CREATE OR REPLACE STREAM seconds (device VARCHAR(9), clicks INTEGER, users INTEGER);
CREATE OR REPLACE STREAM latest (n INTEGER, clicks BIGINT, least INTEGER);
CREATE OR REPLACE PUMP a AS INSERT INTO clicks
SELECT STREAM "n", "user_id", "client_timestamp", UNIX_TIMESTAMP(APPROXIMATE_ARRIVAL_TIME) FROM s;
CREATE OR REPLACE PUMP b AS INSERT INTO visits
SELECT STREAM CAST(user_id AS VARCHAR(3)) || '_' || CAST(UNIX_TIMESTAMP(STEP(at BY INTERVAL '30' SECOND)) AS VARCHAR(20)),
    COUNT(*), FIRST_VALUE(n), LAST_VALUE(n), AVG(CAST(n AS DOUBLE))
FROM clicks WINDOWED BY STAGGER (PARTITION BY user_id, STEP(at BY INTERVAL '30' SECOND) RANGE INTERVAL '2' SECOND);
CREATE OR REPLACE PUMP c AS INSERT INTO seconds
SELECT STREAM "device_id", COUNT(*), COUNT(DISTINCT "user_id") FROM s
GROUP BY "device_id", STEP(s.ROWTIME BY INTERVAL '1' SECOND);
CREATE OR REPLACE PUMP d AS INSERT INTO latest
SELECT STREAM n, COUNT(*) OVER w, MIN(n) OVER w FROM clicks
WINDOW w AS (PARTITION BY user_id RANGE INTERVAL '3' SECOND PRECEDING);
"#;

const CLICKS: u32 = 3_000;

fn arguments(folder: &Path, more: &str) -> String {
    format!(
        "consume --stream {STREAM} --sql {0}/app.sql --poll-every 20ms --unpaced --arrival-slack 1s \
         --checkpoint-every 100ms --buffer-interval 300ms --state {0}/state --output {0}/output {more}",
        folder.display()
    )
}

async fn produce(server: &Server) {
    let mut random = StdRng::seed_from_u64(3);
    for batch in 0..CLICKS / 30 {
        let click = |number: u32| {
            let user = random.random_range(1..=40);
            let time = stagger::Timestamp::from_micros(1_767_571_200_000_000 + i64::from(number) * 40_000);
            let data = match number % 500 {
                7 => format!("not a click {number}"),
                _ => format!(
                    r#"{{"n":{number},"user_id":{user},"device_id":"d{}","client_timestamp":"{time}"}}"#,
                    user % 3
                ),
            };
            (user.to_string(), data.into_bytes())
        };
        server.put((30 * batch..30 * batch + 30).map(click)).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

async fn kill_again_and_again(server: &Server, folder: &Path) {
    let mut random = StdRng::seed_from_u64(5);
    for _ in 0..12 {
        let child = spawn(server.command(&arguments(folder, "")));
        tokio::time::sleep(Duration::from_millis(random.random_range(50..1_200))).await;
        drop(child); // SIGKILL
    }
}

/// The rows of the text by itself, on clicks in this order, with their arrivals.
fn by_itself(plan: &Plan, clicks: &[Value], devices: &dyn Fn(i64) -> String) -> Vec<(String, String)> {
    let (mut source, mut run) = (Source::new(plan, &Arrival::Known), Run::new(plan).unwrap());
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    let mut take = |written: Written<'_>| {
        let Written::Row { stream, values, .. } = written else { panic!("{written:?}") };
        let names: Vec<&str> = plan.streams[stream].columns.iter().map(|column| column.name.as_str()).collect();
        let mut line = Vec::new();
        sql::rows::write_row(sql::rows::Form::Jsonl, &names, values, &mut line);
        let line: Value = serde_json::from_slice(&line).unwrap();
        rows.push((plan.streams[stream].name.clone(), line.to_string()));
    };
    for click in clicks {
        let user = click["USER_ID"].as_i64().unwrap();
        let line = format!(
            r#"{{"n":{},"user_id":{user},"device_id":"{}","client_timestamp":{}}}"#,
            click["N"],
            devices(user),
            click["AT"]
        );
        source.read(&line, &mut row).unwrap();
        let arrival = stagger::Timestamp::from_millis(click["ARRIVED"].as_i64().unwrap());
        run.push(&mut row, arrival, &mut take);
    }
    run.finish(&mut take);
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_leaves_the_rows_of_the_text() {
    let server = Server::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.sql"), TEXT).unwrap();
    tokio::join!(kill_again_and_again(&server, folder.path()), produce(&server));
    succeed(server.command(&arguments(folder.path(), "--stop-when-idle 3s --flush"))).await;
    let got = rows(&folder.path().join("output"));

    assert_eq!(got["errors"].len(), 6);
    let mut clicks: Vec<Value> = got["CLICKS"].iter().map(|line| parsed(line)).collect();
    assert_eq!(clicks.len(), CLICKS as usize - 6);
    clicks.sort_by_key(|click| (click["ARRIVED"].as_i64(), click["N"].as_i64()));
    let expected = by_itself(&plan(TEXT, None).unwrap(), &clicks, &|user| format!("d{}", user % 3));
    let all = got.iter().filter(|(table, _)| *table != "errors");
    let mut all: Vec<(String, String)> =
        all.flat_map(|(table, rows)| rows.iter().map(|line| (table.clone(), parsed(line).to_string()))).collect();
    all.sort();
    assert_eq!(all.len(), expected.len());
    assert_eq!(all, expected);
}

/// Clicks of half an hour in order of arrival, which is in whole seconds.
fn article_clicks() -> (String, Vec<Click>) {
    let options = "generate --users 400 --rate 3 --duration 30m --disorder 20s --stragglers 0.02 --late-by 5m";
    let mut lines = Vec::new();
    generate::Options::parse_from(options.split(' ')).write(&mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let whole = |click: Click| Click { arrived: click.arrived.div_euclid(1_000_000) * 1_000_000, ..click };
    let clicks = lines.lines().map(Click::read).map(whole).collect();
    (lines, clicks)
}

#[needs_shared]
#[tokio::test(flavor = "multi_thread")]
async fn the_applications_of_the_article_leave_the_rows_of_a_naive_reading() {
    let server = Server::start(1).await;
    server.faults.believes_records.store(true, Ordering::SeqCst);
    let (lines, clicks) = article_clicks();
    server.put(lines.lines().map(|line| ("clicks".to_owned(), line.as_bytes().to_vec()))).await;
    for (text, width) in applications() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.sql"), text).unwrap();
        succeed(server.command(&arguments(folder.path(), "--stop-when-idle 3s --flush"))).await;
        let got = rows(&folder.path().join("output"));
        assert_eq!(got.keys().collect::<Vec<_>>(), ["DESTINATION_SQL_STREAM"]);
        let mut got: Vec<String> =
            got["DESTINATION_SQL_STREAM"].iter().map(|line| article::csv_of(&parsed(line))).collect();
        got.sort();
        let mut expected = article::rows(&clicks, width);
        expected.sort();
        assert!(expected.len() > 1_000);
        assert_eq!(got, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_text_does_not_go_on_from_its_state() {
    let server = Server::start(1).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.sql"), TEXT).unwrap();
    server.put([("1".to_owned(), b"{}".to_vec())]).await;
    succeed(server.command(&arguments(folder.path(), "--stop-when-idle 1s"))).await;
    let said = |ran: std::process::Output| String::from_utf8(ran.stderr).unwrap();
    std::fs::write(folder.path().join("app.sql"), TEXT.replace("'2' SECOND", "'3' SECOND")).unwrap();
    let changed = said(output(server.command(&arguments(folder.path(), "--stop-when-idle 1s"))).await);
    assert!(changed.contains("the saved state is of another text or schema"), "{changed}");
    let without = arguments(folder.path(), "").replace(&format!("--sql {}/app.sql", folder.path().display()), "");
    let without = said(output(server.command(&without)).await);
    assert!(without.contains("give its text with --sql"), "{without}");
    std::fs::write(
        folder.path().join("app.sql"),
        "CREATE STREAM d (a INTEGER); CREATE PUMP p AS INSERT INTO d SELECT b c d FROM s;",
    )
    .unwrap();
    let wrong = said(output(server.command(&arguments(folder.path(), ""))).await);
    assert!(wrong.contains("app.sql:1:"), "{wrong}");
}
