//! Columns, conditions and rules that the command line asks for: a table of cases each.

use serde_json::{Value, json};

use crate::support::*;

/// Laps of two runners, out of order.
const LAPS: &str = "\
who,t,speed,lap,note
r1,2024-03-04T09:00:04Z,12,2,b
r1,2024-03-04T09:00:01Z,9.5,1,\"a,\"\"x\"\"\"
r2,2024-03-04T09:00:02Z,0.1,1,
r1,2024-03-04T09:00:09Z,11.5,3,b
r2,2024-03-04T09:00:03Z,0.2,2,fast
r2,2024-03-04T09:00:05Z,,3,fast
";
const BY_WHO: &str = "--key who --time t --step 10s";

#[test]
fn measures_are_columns() {
    for (option, column, of_r1, of_r2) in [
        ("--sum speed", "sum_speed", json!(33), json!(0.3)),
        ("--min speed", "min_speed", json!(9.5), json!(0.1)),
        ("--max speed", "max_speed", json!(12), json!(0.2)),
        ("--avg speed", "avg_speed", json!(11), json!(0.15)),
        ("--avg lap", "avg_lap", json!(2), json!(2)),
        ("--sum note", "sum_note", json!(null), json!(null)),
        ("--distinct note", "distinct_note", json!(2), json!(1)),
        ("--list note", "list_note", json!(["a,\"x\"", "b", "b"]), json!(["fast", "fast"])),
        ("--list speed", "list_speed", json!(["9.5", "12", "11.5"]), json!(["0.1", "0.2"])),
    ] {
        for stream in ["", "--out-of-order 10s"] {
            let options = format!("{BY_WHO} {option} {stream}");
            let rows = json_lines(&ok(LAPS, &format!("{options} --output-format jsonl")).out);
            let of = |who: &str| rows.iter().find(|row| row["who"] == who).unwrap()[column].clone();
            assert_eq!((of("r1"), of("r2")), (of_r1.clone(), of_r2.clone()), "{options}");
            // CSV has the same; a list as JSON.
            let rows = ok(LAPS, &options).rows();
            let of = |who: &str| rows.iter().find(|row| row["who"] == who).unwrap()[column].clone();
            let text = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
            assert_eq!((of("r1"), of("r2")), (text(&of_r1), text(&of_r2)), "{options}");
        }
    }
    let ran = ok(LAPS, &format!("{BY_WHO} --min speed,lap --max speed --sum speed"));
    assert!(ran.out.lines().next().unwrap().ends_with(",reason,sum_speed,min_speed,min_lap,max_speed"), "{}", ran.out);
    // A value that is no number is told, and takes no event along.
    let ran = ok(LAPS, &format!("{BY_WHO} --sum note"));
    assert_eq!(sorted(pick(&ran.rows(), "who count")), ["r1 3", "r2 3"]);
    assert!(ran.said.contains(", 5 values that are no numbers; 2 sessions;"), "{}", ran.said);
    assert!(ok(LAPS, &format!("{BY_WHO} --sum speed")).said.contains("0 late; 2 sessions"));
}

#[test]
fn measures_of_sessions_that_merge_and_of_every_strategy() {
    let input = "who,t,x\na,0,1\na,20,2\na,10,4\nb,50,8\n";
    for (strategy, expected) in [
        ("--gap 15s", vec!["a 3 7 [\"1\",\"4\",\"2\"]", "b 1 8 [\"8\"]"]),
        ("--gap 15s --max-duration 20s", vec!["a 1 2 [\"2\"]", "a 2 5 [\"1\",\"4\"]", "b 1 8 [\"8\"]"]),
        ("--step 1m", vec!["a 3 7 [\"1\",\"4\",\"2\"]", "b 1 8 [\"8\"]"]),
        ("--stagger none --range 15s", vec!["a 1 2 [\"2\"]", "a 2 5 [\"1\",\"4\"]", "b 1 8 [\"8\"]"]),
        ("--sliding 1m", vec!["a 3 7 [\"1\",\"4\",\"2\"]", "b 1 8 [\"8\"]"]),
    ] {
        let ran = ok(input, &format!("--key who --time t --time-format seconds {strategy} --sum x --list x"));
        assert_eq!(sorted(pick(&ran.rows(), "who count sum_x list_x")), expected, "{strategy}");
    }
}

#[test]
fn conditions_choose_records() {
    let log = |agent: &str, path: &str, status: u16| {
        format!("::1 - - [17/May/2015:10:05:03 +0000] \"GET {path} HTTP/1.1\" {status} 1 \"-\" \"{agent}\"\n")
    };
    let log = log("Mozilla/5.0 Firefox/115.0", "/", 200)
        + &log("Mozilla/5.0 Firefox/115.0", "/style.css?v=2", 200)
        + &log("Mozilla/5.0 Firefox/115.0", "/none", 404)
        + &log("Googlebot/2.1", "/", 200)
        + &log("curl/8.5", "/robots.txt", 503);
    let csv = "address,time,status,agent,path\n::1,1543534500,200,Firefox,/\n::1,1543534500,200,Firefox,/style.css\n::1,1543534500,404,Firefox,/none\n\
               ::1,1543534500,200,Googlebot,/\n::1,1543534500,503,curl/8.5,/robots.txt\n";
    let json = "{\"address\":\"::1\",\"time\":1543534500,\"status\":200,\"agent\":\"Firefox\",\"path\":\"/\"}\n\
                {\"address\":\"::1\",\"time\":1543534500,\"status\":200,\"agent\":\"Firefox\",\"path\":\"/style.css\"}\n\
                {\"address\":\"::1\",\"time\":1543534500,\"status\":404,\"agent\":\"Firefox\",\"path\":\"/none\"}\n\
                {\"address\":\"::1\",\"time\":1543534500,\"status\":200,\"agent\":\"Googlebot\",\"path\":\"/\"}\n\
                {\"address\":\"::1\",\"time\":1543534500,\"status\":503,\"agent\":\"curl/8.5\",\"path\":\"/robots.txt\"}\n";
    for (conditions, used) in [
        ("", 5),
        ("--where status=200", 3),
        ("--where status!=200", 2),
        ("--where status>=400", 2),
        ("--where status>=400 --where status<500", 1),
        ("--not status>=500", 4),
        ("--not bots", 3),
        ("--not bots --not static-files", 2),
        ("--where bots", 2),
        ("--where static-files", 1),
        ("--where path~^/(none|style)", 2),
        ("--where path!~^/(none|style)", 3),
        ("--not bots:path", 4),
        ("--where status>9000", 0),
    ] {
        for input in [&log[..], csv, json] {
            let ran = ok(input, &format!("--key address --time time {conditions} --max-rejected 0"));
            let counts: Vec<_> = pick(&ran.rows(), "count");
            assert_eq!(
                counts.concat(),
                if used == 0 { String::new() } else { used.to_string() },
                "{conditions}: {}",
                ran.said
            );
            let told = format!(", {} left out by --where and --not; ", 5 - used);
            assert!(used == 5 || ran.said.contains(&told), "{conditions}: {}", ran.said);
        }
    }
    // One without any event is told from one of bad lines.
    let bad = format!("{csv}::1,oops,200,Firefox,/\n");
    for (input, options, status, last) in [
        (csv, "--where status>9000", 0, "note: 5 lines left out by --where and --not: none remained\n"),
        (
            &bad,
            "--not status>=400 --where status>9000",
            0,
            "note: 6 lines left out by --where and --not: none remained\n",
        ),
        (
            &bad,
            "--where path=/ --not time=1543534500",
            1,
            "files: 5 lines left out by --where and --not: none remained, and 1 could not be used\n",
        ),
    ] {
        let ran = run_on(input, &words(&format!("- --key address --time time {options}")));
        assert!(ran.status == status && ran.said.ends_with(last), "{options}: {}", ran.said);
    }
    for (arguments, sentence) in [
        (
            "--where status",
            "invalid value 'status' for '--where <CONDITION>': a condition is FIELD, an operator and a value: status>=400, method=GET, path~^/api (operators = != < <= > >= ~ !~), or bots, or static-files",
        ),
        ("--not statu=3", "standard input has no field `statu`; it has address, time, status, agent, path"),
        ("--not bots:browser", "standard input has no field `browser`; it has address, time, status, agent, path"),
        ("--sum bytes", "standard input has no field `bytes`; it has address, time, status, agent, path"),
        ("--end-at what=x", "standard input has no field `what`; it has address, time, status, agent, path"),
        (
            "--sum status --output-format kinesis-sql",
            "--sum, --list and the like are columns of csv, jsonl and parquet only",
        ),
        ("--sum status --report", "--sum, --list and the like are columns of csv, jsonl and parquet only"),
        ("--step 1m --end-at what=x", "--end-at is for --gap only"),
        ("--step 1m --heartbeat what=x", "--heartbeat is for --gap only"),
        ("--step 1m --join-only what=x", "--join-only is for --gap only"),
    ] {
        let ran = run_on(csv, &words(&format!("- --key address --time time {arguments}")));
        assert_eq!((ran.status, ran.said), (2, format!("files: {sentence}\n")), "{arguments}");
    }
}

#[test]
fn sessions_are_shown_while_they_are_open() {
    let input = clicks(&[
        ("ann", 0, "a"),
        ("ann", 5, "b"),
        ("bob", 6, "x"),
        ("ann", 12, "c"),
        ("cid", 21, "z"),
        ("bob", 90, "y"),
    ]);
    let columns = "user count reason revision";
    for (options, expected, told) in [
        (
            "--update-every 10s",
            vec![
                "ann 2 update 0",
                "bob 1 update 0",
                "ann 3 update 1",
                "bob 1 gap 1",
                "ann 3 gap 2",
                "cid 1 gap 0",
                "bob 1 flush 0",
            ],
            ", 3 updates; 4 sessions;",
        ),
        (
            "--update-every-events 2",
            vec!["ann 2 update 0", "bob 1 gap 0", "ann 3 gap 1", "cid 1 gap 0", "bob 1 flush 0"],
            ", 1 update; 4 sessions;",
        ),
    ] {
        let folder = Folder::new();
        let events = folder.path("events");
        let options = format!("{FIELDS} --gap 30s --out-of-order 0s {options}");
        let ran = ok(&input, &format!("{options} --list what --events {events}"));
        let rows = ran.rows();
        assert_eq!(pick(&rows, columns), expected, "{options}");
        assert!(ran.said.contains(told), "{}", ran.said);
        let last = rows.iter().rfind(|row| row["user"] == "ann").unwrap();
        assert_eq!(
            (last["supersedes"].as_str(), last["list_what"].as_str()),
            (rows[0]["session_id"].as_str(), "[\"a\",\"b\",\"c\"]")
        );
        assert_eq!(json_lines(&folder.read("events")).len(), 6, "each event once");
    }
    for (options, sentence) in [
        ("--update-every 10s", "--update-every is for streams only: say --out-of-order too"),
        ("--update-every-events 1", "--update-every-events is for streams only: say --out-of-order too"),
        (
            "--out-of-order 1s --update-every 10s --report",
            "--update-every needs rows with a revision: --output-format csv, jsonl or parquet",
        ),
        ("--out-of-order 1s --update-every 10s --visit-number", "--visit-number is for sessions that are written once"),
    ] {
        let ran = run_on(&input, &words(&format!("- {FIELDS} {options}")));
        assert_eq!((ran.status, ran.said), (2, format!("files: {sentence}\n")), "{options}");
    }
}

/// Rows that may differ from those of the whole set do not look exact.
#[test]
fn what_the_bound_did_not_hold_is_counted() {
    let straggler = clicks(&[("a", 0, "1"), ("z", 7, "2"), ("a", 3, "3"), ("z", 20, "4")]);
    let under_a_maximum: Vec<_> = [0, 4, 8, 12, 16].map(|minute| ("a", minute * 60, "x")).into();
    let under_a_maximum = clicks(&[&under_a_maximum[..], &[("z", 3_600, "y"), ("a", -180, "x")]].concat());
    let at_most = "--gap 5m --max-duration 10m";
    for (input, options, told) in [
        (
            &straggler,
            "--gap 5s --out-of-order 1s".to_owned(),
            " 0 late, 1 beyond --out-of-order, 1 in sessions that are not corrected;",
        ),
        (&straggler, "--gap 5s --out-of-order 4s".to_owned(), " 0 late;"),
        (
            &straggler,
            "--gap 5s --out-of-order 1s --allowed-lateness 1m".to_owned(),
            " 0 late, 1 corrected, 1 beyond --out-of-order;",
        ),
        (&straggler, "--gap 5s".to_owned(), " 0 late;"),
        (&under_a_maximum, format!("{at_most} --out-of-order 1m"), " 1 late, 1 beyond --out-of-order;"),
        (&under_a_maximum, format!("{at_most} --out-of-order 64m"), " 0 late;"),
        (&under_a_maximum, at_most.to_owned(), " 0 late;"),
    ] {
        let ran = ok(input, &format!("{FIELDS} {options}"));
        assert!(ran.said.contains(told), "{options}: {}", ran.said);
    }
    let ran = ok(&under_a_maximum, &format!("{FIELDS} {at_most} --out-of-order 1m --allowed-lateness 2h"));
    assert!(ran.said.contains(", 1 beyond --out-of-order, 1 in sessions that are not corrected;"), "{}", ran.said);
}

#[test]
fn each_event_is_taken_once() {
    let input = "user,time,id,what\nann,100,a,first\nann,105,b,x\nann,101,a,copy\nann,105,b,x\nann,106,,x\nann,106,,x\n\
                 bob,106,a,x\nann,300,a,again\nbob,106,a,x\n";
    let fields = "--key user --time time --time-format seconds --value what";
    for (options, expected, copies) in [
        ("--gap 30s", vec!["ann 1 again", "ann 6 first", "bob 2 x"], 0),
        ("--gap 30s --unique id", vec!["ann 1 again", "ann 4 first", "bob 1 x"], 3),
        ("--gap 30s --unique id --out-of-order 200s", vec!["ann 1 again", "ann 4 first", "bob 1 x"], 3),
        ("--step 1m --unique id", vec!["ann 1 again", "ann 4 first", "bob 1 x"], 3),
        ("--gap 30s --unique id --sum time --list id", vec!["ann 1 again", "ann 4 first", "bob 1 x"], 3),
    ] {
        let folder = Folder::new();
        let (late, events) = (folder.path("late"), folder.path("events"));
        let ran = ok(input, &format!("{fields} {options} --late {late} --events {events}"));
        assert_eq!(sorted(pick(&ran.rows(), "user count first_event")), expected, "{options}");
        assert_eq!(json_lines(&folder.read("late")).len(), copies, "{options}");
        assert_eq!(json_lines(&folder.read("events")).len(), 9 - copies, "{options}");
        assert_eq!(ran.said.contains(", 3 left out by --unique;"), copies == 3, "{}", ran.said);
    }
}

#[test]
fn an_event_ends_its_session_and_heartbeats_open_none() {
    let click = |second: i64, what: &'static str| ("ann", second, what);
    let input = clicks(&[
        click(600, "ping"),
        click(0, "page"),
        click(1200, "ping"),
        click(1800, "ping"), // the gap after the page is over
        click(1900, "page"),
        click(1910, "logout"),
        click(1920, "page"),
    ]);
    for (rules, expected, refused) in [
        ("", vec!["7 page page"], 0),
        ("--end-at what=logout", vec!["1 page page", "6 page logout"], 0),
        ("--heartbeat what=ping", vec!["3 page page", "3 page ping"], 1),
        ("--heartbeat what=ping --end-at what=logout", vec!["1 page page", "2 page logout", "3 page ping"], 1),
        ("--join-only what=ping", vec!["7 page page"], 0),
        ("--end-at what~^log --join-only what=ping", vec!["1 page page", "6 page logout"], 0),
    ] {
        for stream in ["", "--out-of-order 1h"] {
            let folder = Folder::new();
            let late = folder.path("late");
            let ran = ok(&input, &format!("{FIELDS} --gap 30m {rules} {stream} --late {late}"));
            assert_eq!(sorted(pick(&ran.rows(), "count first_event last_event")), expected, "{rules} {stream}");
            let orphans = json_lines(&folder.read("late"));
            assert_eq!(orphans.len(), refused, "{rules} {stream}");
            for orphan in orphans {
                assert_eq!(orphan["reason"], "it may only join a session, and there is none");
                assert_eq!(
                    (&orphan["line"], &orphan["value"], &orphan["key"]["user"]),
                    (&4.into(), &"ping".into(), &"ann".into())
                );
            }
            assert_eq!(ran.said.contains(", 1 refused;"), refused == 1, "{}", ran.said);
        }
    }
}

#[test]
fn a_dash_is_no_value() {
    let line = |user: &str, bytes: &str| {
        format!("192.0.2.1 - {user} [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 304 {bytes} \"-\" \"UA\"\n")
    };
    let input = [line("-", "-"), line("-", "7"), line("ann", "-"), line("ann", "5")].concat();
    let run = |options: &str| ok(&input, options);
    let facts = run("--distinct user --list user,referrer --sum bytes --avg bytes");
    let columns = "count distinct_user list_user list_referrer sum_bytes avg_bytes";
    assert_eq!(pick(&facts.rows(), columns), [r#"4 1 ["ann","ann"] [] 12 6"#]);
    assert!(!facts.said.contains("no number"), "{}", facts.said);
    let unique = run("--unique user");
    assert_eq!(pick(&unique.rows(), "count"), ["3"]);
    assert!(unique.said.contains(", 1 left out by --unique;"), "{}", unique.said);
    assert_eq!(pick(&run("--where user!=").rows(), "count"), ["2"]);
    assert_eq!(pick(&run("--not user!=").rows(), "count"), ["2"]);
    assert_eq!(pick(&run("--where user=-").rows(), "count"), ["2"]);
}
