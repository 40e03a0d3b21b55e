//! By its options, with its files and exit statuses.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Stdio;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::*;

#[test]
fn csv_has_the_promised_columns() {
    let input = clicks(&[("ann", 10, "a, \"quoted\""), ("ann", 0, "first"), ("bob", 40, "only"), ("ann", 70, "late")])
        .replace("a, \"quoted\"", "a, \\\"quoted\\\"");
    let ran = ok(&input, &format!("{FIELDS} --gap 30s"));
    let mut lines = ran.out.lines();
    let header = "session_id,user,window_start,window_end,part,count,first_time,last_time,duration_us,first_event,last_event,reason";
    assert_eq!(lines.next(), Some(header));
    let without_ids: Vec<&str> = lines.map(|line| &line[32..]).collect();
    assert_eq!(
        without_ids,
        [
            ",ann,2018-11-29T23:35:00.000000Z,2018-11-29T23:35:40.000000Z,1,2,2018-11-29T23:35:00.000000Z,2018-11-29T23:35:10.000000Z,10000000,first,\"a, \"\"quoted\"\"\",gap",
            ",bob,2018-11-29T23:35:40.000000Z,2018-11-29T23:36:10.000000Z,1,1,2018-11-29T23:35:40.000000Z,2018-11-29T23:35:40.000000Z,0,only,only,gap",
            ",ann,2018-11-29T23:36:10.000000Z,2018-11-29T23:36:40.000000Z,1,1,2018-11-29T23:36:10.000000Z,2018-11-29T23:36:10.000000Z,0,late,late,flush",
        ]
    );
    assert!(!ran.out.contains('\r'));
    let ids: HashSet<&str> = ran.out.lines().skip(1).map(|line| &line[..32]).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_hexdigit())));
}

#[test]
fn ids_are_those_of_the_library() {
    use stagger::{Config, Event, Gap, Timestamp};
    let ran = ok("{\"user\": 7, \"time\": 5}\n", "--key user --time time --time-format seconds --gap 30s");
    let gap = Gap::new(std::time::Duration::from_secs(30));
    let mut sessions = Config::<String, ()>::new(gap).build().unwrap();
    let _ = sessions.push(Event::new("7", Timestamp::from_secs(5), ()), &mut |_| {});
    sessions.flush(&mut |session| assert_eq!(ran.rows()[0]["session_id"], session.id().to_string()));
}

#[test]
fn jsonl_rows_have_the_bucket_too() {
    let input = clicks(&[("ann", 10, "x"), ("ann", 29, "y")]);
    let ran = ok(&input, &format!("{FIELDS} --step 30s --output-format jsonl"));
    let row: Value = serde_json::from_str(&ran.out).unwrap();
    let names: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 13);
    for (name, value) in [
        ("user", Value::from("ann")),
        ("window_start", "2018-11-29T23:35:00.000000Z".into()),
        ("window_end", "2018-11-29T23:35:30.000000Z".into()),
        ("bucket", "2018-11-29T23:35:00.000000Z".into()),
        ("part", 1.into()),
        ("count", 2.into()),
        ("duration_us", 19_000_000.into()),
        ("first_event", "x".into()),
        ("last_event", "y".into()),
        ("reason", "flush".into()),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let ran = ok(&input, &format!("{FIELDS} --gap 30s --output-format jsonl"));
    assert_eq!(json_lines(&ran.out)[0]["bucket"], Value::Null);
}

#[test]
fn every_format_gives_the_same_sessions() {
    let folder = Folder::new();
    let jsonl = folder.write(
        "a.jsonl",
        "{\"address\":\"::1\",\"time\":\"2015-05-17T10:05:03Z\",\"request\":\"GET /\"}\n\
         {\"address\":\"::1\",\"time\":\"2015-05-17T10:05:13Z\",\"request\":\"GET /b\"}\n",
    );
    let csv =
        folder.write("b.csv", "request,time,address\r\nGET /b,2015-05-17 10:05:13 UTC,::1\r\nGET /,1431857103,::1");
    let log = folder.write(
        "c.log",
        "::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n\
         ::1 - - [17/May/2015:12:05:13 +0200] \"GET /b HTTP/1.1\" 200 1 \"-\" \"-\"\n",
    );
    let fields = ["--key", "address", "--time", "time", "--value", "request", "--gap", "1m"];
    let from_log = run_on("", &[&log, "--gap", "1m"]);
    assert_eq!(pick(&from_log.rows(), "address count duration_us last_event"), ["::1 2 10000000 GET /b"]);
    for path in [&jsonl, &csv] {
        assert_eq!(run_on("", &[&[path.as_str()], &fields[..]].concat()).out, from_log.out, "{path}");
        // By content alone, from a pipe.
        let piped = run_on(&fs::read_to_string(path).unwrap(), &[&["-"], &fields[..]].concat());
        assert_eq!(piped.out, from_log.out, "{path}");
    }
    // All three at once: six events.
    let all = run_on("", &[&[jsonl.as_str(), &csv, &log], &fields[..]].concat());
    assert_eq!(pick(&all.rows(), "count"), ["6"], "{}", all.said);
}

#[test]
fn gzip_of_several_members_is_read_as_it_is() {
    let folder = Folder::new();
    let packed = |text: &str| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let (one, two) = (clicks(&[("ann", 0, "a")]), clicks(&[("ann", 5, "b")]));
    // Not called .gz: it is told by its content.
    let path = folder.write("clicks.jsonl", [packed(&one), packed(&two)].concat());
    let ran = run_on("", &[&[path.as_str()], &words(FIELDS)[..]].concat());
    assert_eq!(pick(&ran.rows(), "user count first_event last_event"), ["ann 2 a b"], "{}", ran.said);
}

#[test]
fn marks_line_ends_and_empty_lines_do_not_matter() {
    let input = format!("\u{feff}{}", clicks(&[("ann", 0, "a"), ("ann", 5, "b")]));
    let input = input.replace('\n', "\r\n\r\n").trim_end().to_owned();
    let ran = ok(&input, FIELDS);
    assert_eq!(pick(&ran.rows(), "user count"), ["ann 2"]);
    assert!(ran.said.contains("3 lines read: 2 events, 0 rejected, 0 late, 1 empty line; 1 session;"), "{}", ran.said);
    let csv = ok("\u{feff}user,time\r\n\r\nann,5\r\n", "--key user --time time --time-format seconds");
    assert_eq!(pick(&csv.rows(), "user count"), ["ann 1"]);
}

#[test]
fn no_input_is_no_session() {
    let header = "session_id,user,window_start,window_end,part,count,first_time,last_time,duration_us,first_event,last_event,reason\n";
    assert_eq!(ok("", FIELDS).out, header);
    assert_eq!(ok("\n\n", FIELDS).out, header);
    assert!(ok("", "").out.starts_with("session_id,address,"));
    let said = ok("", "--report --format combined").out;
    assert!(said.starts_with("0 sessions of 0 events"), "{said}");
}

#[test]
fn several_and_nested_fields_make_the_key() {
    let input = r#"{"actor": {"id": 1, "login": "x"}, "repo.name": "a,b", "t": 5}
{"actor": {"id": "1"}, "repo.name": "a,b", "t": 6}
{"actor": {"id": 1}, "repo.name": "a", "t": 7}
"#;
    let ran = ok(input, "--key actor.id,repo.name --time t --time-format seconds");
    assert!(ran.out.starts_with("session_id,actor.id,repo.name,window_start"));
    assert_eq!(sorted(pick(&ran.rows(), "actor.id repo.name count")), ["1 a 1", "1 a,b 2"]);
}

#[test]
fn windows_of_every_kind() {
    let input = clicks(&[("ann", 0, "a"), ("ann", 29, "b"), ("ann", 30, "c"), ("ann", 95, "d")]);
    let windows = |strategy: &str| {
        let rows = ok(&input, &format!("{FIELDS} {strategy}")).rows();
        let short = |row: &Row, column: &str| row[column][14..19].to_owned();
        let show = |row: &Row| format!("{}-{} {}", short(row, "window_start"), short(row, "window_end"), row["count"]);
        rows.iter().map(show).collect::<Vec<_>>()
    };
    assert_eq!(windows("--step 30s"), ["35:00-35:30 2", "35:30-36:00 1", "36:30-37:00 1"]);
    assert_eq!(windows("--floor minute"), ["35:00-36:00 3", "36:00-37:00 1"]);
    assert_eq!(windows("--gap 30s"), ["35:00-36:00 3", "36:35-37:05 1"]);
    assert_eq!(windows("--gap 29s"), ["35:00-35:29 1", "35:29-35:59 2", "36:35-37:04 1"]);
    assert_eq!(windows("--gap 29s --inclusive"), ["35:00-35:59 3", "36:35-37:04 1"]);
    assert_eq!(windows("--gap 2m --max-duration 30s"), ["35:00-35:30 2", "35:30-36:00 1", "36:35-37:05 1"]);
    assert_eq!(
        windows("--sliding 1m/30s"),
        ["34:30-35:30 2", "35:00-36:00 3", "35:30-36:30 1", "36:00-37:00 1", "36:30-37:30 1"]
    );
    assert_eq!(windows("--sliding 1m"), windows("--floor minute"));
    assert_eq!(windows("--stagger none --range 30s"), ["35:00-35:30 2", "35:30-36:00 1", "36:35-37:05 1"]);
    assert_eq!(windows(""), windows("--gap 30m"));
}

#[test]
fn days_follow_the_clocks_of_a_zone() {
    // On 28 October 2018 clocks in Berlin went back: a day of 25 hours.
    let input =
        "{\"user\":1,\"time\":\"2018-10-28T00:30:00+02:00\"}\n{\"user\":1,\"time\":\"2018-10-28T23:30:00+01:00\"}\n";
    let rows = ok(input, "--key user --time time --floor day --zone Europe/Berlin").rows();
    assert_eq!(
        pick(&rows, "window_start window_end count"),
        ["2018-10-27T22:00:00.000000Z 2018-10-28T23:00:00.000000Z 2"]
    );
    assert_eq!(ok(input, "--key user --time time --floor day").rows().len(), 2);
    // Midnight in Kathmandu is 18:15 in UTC.
    let input = "{\"user\":1,\"time\":\"2018-10-28T18:14:59Z\"}\n{\"user\":1,\"time\":\"2018-10-28T18:15:00Z\"}\n";
    let cut = |zone: &str| ok(input, &format!("--key user --time time --gap 1h --cut-daily --zone {zone}")).rows();
    assert_eq!(pick(&cut("+05:45"), "count reason"), ["1 cut_between", "1 flush"]);
    assert_eq!(pick(&cut("Europe/Berlin"), "count reason"), ["2 flush"]);
}

/// The rows that the article's first query gives, computed by hand.
#[test]
fn kinesis_sql_rows_of_the_article() {
    let event = |user: u32, device: &str, what: &str, time: &str, arrival: &str| {
        format!(
            "{{\"user_id\": {user}, \"device_id\": \"{device}\", \"client_event\": \"{what}\", \
             \"client_timestamp\": \"2018-11-29T23:{time}\", \"arrival\": \"2018-11-29T23:{arrival}Z\"}}\n"
        )
    };
    let input = [
        event(20, "computer", "beer_cart", "35:10.123456", "35:11"),
        event(20, "computer", "beer_vitrine_nav", "35:05.900999", "35:12"),
        event(7, "mobile", "beer_checkout", "35:29.999999", "35:30"),
        event(20, "computer", "beer_products", "35:30.000000", "35:31"),
        // 30 seconds after 35:11: the next part of the same bucket.
        event(20, "computer", "beer_selection", "35:20.000000", "35:41"),
    ]
    .concat();
    let header = "session_id,user_id,device_id,timeagg,events,beginnavigation,endnavigation,beginsession,endsession,duration_sec\n";
    let fields = "--key user_id,device_id --time client_timestamp --value client_event --output-format kinesis-sql";
    let arrival = ok(&input, &format!("{fields} --arrival arrival --stagger step=30s --range 30s"));
    let rows = "\
        20_COM1543534500,20,computer,2018-11-29 23:35:00.000,2,beer_cart,beer_vitrine_nav,35:05.900,35:10.123,4\n\
        7_MOB1543534500,7,mobile,2018-11-29 23:35:00.000,1,beer_checkout,beer_checkout,35:29.999,35:29.999,0\n\
        20_COM1543534530,20,computer,2018-11-29 23:35:30.000,1,beer_products,beer_products,35:30.000,35:30.000,0\n\
        20_COM1543534500,20,computer,2018-11-29 23:35:00.000,1,beer_selection,beer_selection,35:20.000,35:20.000,0\n";
    assert_eq!(arrival.out, format!("{header}{rows}"));
    // On the event clock there is one window for each bucket, and first and last go by event time.
    let events = ok(&input, &format!("{fields} --step 30s"));
    let rows = "\
        20_COM1543534500,20,computer,2018-11-29 23:35:00.000,3,beer_vitrine_nav,beer_selection,35:05.900,35:20.000,14\n\
        7_MOB1543534500,7,mobile,2018-11-29 23:35:00.000,1,beer_checkout,beer_checkout,35:29.999,35:29.999,0\n\
        20_COM1543534530,20,computer,2018-11-29 23:35:30.000,1,beer_products,beer_products,35:30.000,35:30.000,0\n";
    assert_eq!(events.out, format!("{header}{rows}"));
    // The second query: FLOOR to MINUTE.
    let minute = ok(&input, &format!("{fields} --arrival arrival --stagger floor=minute --range 1m"));
    let rows = "\
        20_COM1543534500,20,computer,2018-11-29 23:35:00.000,4,beer_cart,beer_selection,35:05.900,35:30.000,24\n\
        7_MOB1543534500,7,mobile,2018-11-29 23:35:00.000,1,beer_checkout,beer_checkout,35:29.999,35:29.999,0\n";
    assert_eq!(minute.out, format!("{header}{rows}"));
}

#[test]
fn a_report_shows_what_is_hidden_in_names_and_commands_no_terminal() {
    let input = "{\"user\":\"\\u202ebob\",\"time\":1,\"what\":\"\\u001b[31mred\"}\n{\"user\":\"  \",\"time\":2,\"what\":\"\"}\n";
    let said = ok(input, &format!("{FIELDS} --time-format seconds --report")).out;
    assert!(said.contains("  ⟨U+202E⟩bob  ") && said.contains("⟨U+001B⟩[31mred … "), "{said}");
    assert!(said.contains("  ␣␣ ") && !said.contains(['\u{1b}', '\u{202e}']), "{said}");
}

/// `kinesis` has a test of the same name: it finds these rows, with these ids, in the same events.
#[test]
fn rows_and_ids_are_those_of_kinesis() {
    let input = include_str!("../../../data/same_rows/events.jsonl");
    let fields = "--key user_id:int,device_id --time client_timestamp --value client_event --arrival arrived";
    let columns = "session_id user_id device_id count first_event last_event first_time last_time";
    let rules = [
        ("step_30s", "--step 30s"),
        ("floor_minute", "--floor minute"),
        ("gap_5s", "--gap 5s"),
        ("stagger_step_30s_range_5s", "--stagger step=30s --range 5s"),
    ];
    let of_rule = |(name, options): (&str, &str)| {
        let rows = pick(&ok(input, &format!("{fields} {options}")).rows(), columns);
        rows.into_iter().map(|row| format!("{name} {row}")).collect::<Vec<_>>()
    };
    let found = sorted(rules.into_iter().flat_map(of_rule).collect());
    assert_eq!(found, include_str!("../../../data/same_rows/rows.txt").lines().collect::<Vec<_>>());
}

#[test]
fn on_the_arrival_clock_the_order_of_arrival_counts_not_that_of_lines() {
    let line = |time: u32, arrival: u32| {
        format!("{{\"user\": 1, \"time\": {time}, \"at\": {arrival}, \"what\": \"e{time}\"}}\n")
    };
    let input = [line(2, 45), line(1, 10), line(3, 39), line(4, 40)].concat();
    let fields = "--key user --time time --time-format seconds --value what --arrival at --stagger step=1m --range 30s";
    let columns = "window_start window_end part count first_event last_event reason";
    let exact = pick(&ok(&input, fields).rows(), columns);
    let expected = [
        "1970-01-01T00:00:10.000000Z 1970-01-01T00:00:40.000000Z 1 2 e1 e3 range",
        "1970-01-01T00:00:40.000000Z 1970-01-01T00:01:10.000000Z 2 2 e4 e2 flush",
    ];
    assert_eq!(exact, expected);
    // As a stream the lines arrive as they come, and the clock does not go back.
    let streamed = pick(&ok(&input, &format!("{fields} --out-of-order 0s")).rows(), "window_start part count reason");
    assert_eq!(streamed, ["1970-01-01T00:00:45.000000Z 1 4 flush"]);
}

#[test]
fn a_stream_gives_what_the_whole_set_gives() {
    let input = generated("");
    assert!(input.lines().count() > 5_000, "{}", input.lines().count());
    for strategy in [
        "--step 30s",
        "--floor hour --zone Asia/Kathmandu",
        "--gap 20s",
        "--gap 20s --inclusive",
        "--gap 1m --max-duration 3m",
        "--gap 30m --cut-daily --zone +23:45",
        "--gap 40s --max-duration 7m --cut-daily --zone +23:45 --inclusive",
        "--sliding 5m/90s",
        "--sliding 1m/90s",
    ] {
        let exact = ok(&input, &format!("{CLICK_FIELDS} {strategy}"));
        let streamed = ok(&input, &format!("{CLICK_FIELDS} {strategy} --out-of-order 10s"));
        let lines = |out: &str| sorted(out.lines().map(str::to_owned).collect());
        assert!(exact.out.lines().count() > 50, "{strategy}");
        assert_eq!(lines(&exact.out), lines(&streamed.out), "{strategy}");
        assert!(streamed.said.contains(", 0 late"), "{strategy}: {}", streamed.said);
    }
}

#[test]
fn nothing_vanishes() {
    let folder = Folder::new();
    let more = "--stragglers 0.02 --late-by 1h --duplicates 0.05 --robots 1 --broken 0.02";
    let input = generated(more);
    let lines = input.lines().count();
    for strategy in ["--step 30s", "--gap 5m", "--gap 5m --max-duration 10m"] {
        let options = format!(
            "{CLICK_FIELDS} {strategy} --out-of-order 10s --arrival arrival_timestamp --max-future 1h --max-rejected 5% --late {} --rejects {}",
            folder.path("late.jsonl"),
            folder.path("rejects.jsonl")
        );
        let ran = ok(&input, &options);
        let in_sessions: usize = ran.rows().iter().map(|row| row["count"].parse::<usize>().unwrap()).sum();
        let (late, rejects) = (json_lines(&folder.read("late.jsonl")), json_lines(&folder.read("rejects.jsonl")));
        let future = late.iter().filter(|row| row["reason"] == "its time is too far in the future").count();
        assert!(late.len() - future > 20 && future > 5 && rejects.len() > 50, "{strategy}");
        assert_eq!(in_sessions + late.len() + rejects.len(), lines, "{strategy}");
        let summary = format!("{} rejected, {} late, {future} refused", rejects.len(), late.len() - future);
        assert!(ran.said.contains(&summary), "{summary} / {}", ran.said);
        // Each by its own line.
        let numbers: HashSet<u64> = late.iter().chain(&rejects).map(|row| row["line"].as_u64().unwrap()).collect();
        assert_eq!(numbers.len(), late.len() + rejects.len());
        for row in &rejects {
            let line = input.lines().nth(row["line"].as_u64().unwrap() as usize - 1);
            assert_eq!(row["text"].as_str(), line);
        }
    }
}

#[test]
fn rejects_have_line_number_reason_and_text() {
    let folder = Folder::new();
    let good = clicks(&[("ann", 0, "a")]);
    let input =
        format!("{good}not json\n{{\"user\": null, \"time\": 5}}\n\n{{\"user\": 1, \"time\": \"noon\"}}\n{good}");
    let path = folder.write("in.jsonl", &input);
    let rejects = folder.path("rejects.jsonl");
    let ran = run_on("", &[&[path.as_str(), "--rejects", &rejects], &words(FIELDS)[..]].concat());
    assert_eq!(pick(&ran.rows(), "user count"), ["ann 2"]);
    let written = json_lines(&folder.read("rejects.jsonl"));
    let expected = [
        (2, "not valid JSON: expected ident at column 2", "not json"),
        (3, "`user` is null", "{\"user\": null, \"time\": 5}"),
        (5, "`time` is not a time that can be read: \"noon\"", "{\"user\": 1, \"time\": \"noon\"}"),
    ];
    assert_eq!(written.len(), 3);
    for (row, (line, reason, text)) in written.iter().zip(expected) {
        assert_eq!(row, &serde_json::json!({"input": path, "line": line, "reason": reason, "text": text}));
        assert!(ran.said.contains(&format!("not used: {path}, line {line}: {reason}\n")), "{}", ran.said);
    }
    assert!(ran.said.contains("6 lines read: 2 events, 3 rejected, 0 late, 1 empty line; 1 session;"), "{}", ran.said);
}

#[test]
fn only_the_first_rejects_are_shown() {
    let input = clicks(&[("ann", 0, "a")]) + &"oops\n".repeat(8);
    let ran = ok(&input, &format!("{FIELDS} --max-rejected 100%"));
    assert_eq!(ran.said.matches("not used: standard input, line ").count(), 5);
    assert!(ran.said.contains("not used: 3 more (see --rejects)\n"), "{}", ran.said);
}

#[test]
fn strict_stops_at_the_first_bad_line() {
    let input = clicks(&[("ann", 0, "a")]) + "oops\noops\n";
    let ran = run_on(&input, &words(&format!("- {FIELDS} --strict")));
    assert_eq!(ran.status, 1);
    assert_eq!(ran.said, "files: standard input, line 2: not valid JSON: expected value at column 1\n");
    assert_eq!(ok(&clicks(&[("ann", 0, "a")]), &format!("{FIELDS} --strict")).rows().len(), 1);
}

#[test]
fn late_events_are_written_with_their_reason() {
    let folder = Folder::new();
    let input = clicks(&[("ann", 0, "a"), ("ann", 100, "b"), ("bob", 5, "c"), ("bob", 95, "d")]);
    let late = folder.path("late.jsonl");
    let ran = ok(&input, &format!("{FIELDS} --step 30s --out-of-order 10s --late {late}"));
    assert_eq!(ran.rows().len(), 3);
    let row = serde_json::json!({
        "input": "standard input",
        "line": 3,
        "reason": "late: the watermark was at 2018-11-29T23:36:30.000000Z",
        "key": {"user": "bob"},
        "time": "2018-11-29T23:35:05.000000Z",
        "value": "c",
    });
    assert_eq!(json_lines(&folder.read("late.jsonl")), [row]);
    let input = clicks(&[("ann", 0, "a"), ("ann", 10, "b"), ("bob", 5, "c"), ("bob", 99, "d")]);
    let ran = ok(&input, &format!("{FIELDS} --sliding 10s/30s --late {late}"));
    let reasons: Vec<_> = json_lines(&folder.read("late.jsonl")).iter().map(|row| row["reason"].clone()).collect();
    assert_eq!(reasons, ["it falls between two windows"]);
    assert_eq!(ran.rows().len(), 3);
}

#[test]
fn corrections_name_what_they_replace() {
    let input =
        clicks(&[("ann", 0, "a"), ("bob", 50, "b"), ("ann", 10, "late"), ("bob", 200, "c"), ("ann", 1, "too late")]);
    let ran = ok(&input, &format!("{FIELDS} --step 30s --out-of-order 0s --allowed-lateness 1m"));
    let header = ran.out.lines().next().unwrap();
    assert!(header.ends_with(",reason,revision,supersedes"), "{header}");
    let rows = ran.rows();
    assert_eq!(pick(&rows, "user count revision"), ["ann 1 0", "ann 2 1", "bob 1 0", "bob 1 0"]);
    assert_eq!(rows[1]["supersedes"], rows[0]["session_id"]);
    assert_eq!(rows[1]["session_id"], rows[0]["session_id"]);
    assert_eq!(rows[0]["supersedes"], "");
    assert!(ran.said.contains("5 events, 0 rejected, 1 late, 1 corrected, 2 beyond --out-of-order;"), "{}", ran.said);
    let ran = ok(&input, &format!("{FIELDS} --step 30s --out-of-order 0s --allowed-lateness 1m --output-format jsonl"));
    let row = &json_lines(&ran.out)[1];
    assert_eq!((&row["revision"], &row["supersedes"][0]), (&1.into(), &row["session_id"]));
}

#[test]
fn an_event_from_the_future_leaves_the_others_alone() {
    let input = clicks(&[("ann", 0, "a"), ("bob", 999_999, "x"), ("ann", 5, "b")]);
    let columns = "user count";
    let ran = ok(&input, &format!("{FIELDS} --gap 30s --out-of-order 10s --max-future 1h"));
    assert_eq!(pick(&ran.rows(), columns), ["ann 2"]);
    assert!(ran.said.contains(", 1 refused;"), "{}", ran.said);
    let ran = ok(&input, &format!("{FIELDS} --gap 30s --out-of-order 10s"));
    assert_eq!(pick(&ran.rows(), columns), ["ann 1", "bob 1"], "the second click of ann is late");
    let with_arrival = input.replace("\"what\"", "\"at\": \"2018-11-29T23:35:00\", \"what\"");
    let ran = ok(&with_arrival, &format!("{FIELDS} --gap 30s --arrival at --max-future 1h"));
    assert_eq!(pick(&ran.rows(), columns), ["ann 2"]);
}

#[test]
fn a_fast_clock_makes_nothing_late_where_arrivals_are_known() {
    let second = |second: i64| format!("2018-11-29T23:{:02}:{:02}", second / 60, second % 60);
    let mut input = String::new();
    for number in 0..600 {
        let ahead = if number % 200 == 100 { 1_800 } else { 0 };
        let (time, arrival) = (second(number + ahead), second(number));
        input += &format!(r#"{{"user": "u{}", "time": "{time}", "at": "{arrival}", "what": "w"}}"#, number % 20);
        input.push('\n');
    }
    let streaming = format!("{FIELDS} --gap 30s --arrival at --out-of-order 10s");
    let ran = ok(&input, &streaming);
    assert!(ran.said.contains(" 0 late;"), "{}", ran.said);
    let set = ok(&input, &format!("{FIELDS} --gap 30s"));
    let columns = "user count first_time last_time";
    assert_eq!(sorted(pick(&ran.rows(), columns)), sorted(pick(&set.rows(), columns)));
}

#[test]
fn events_carry_the_id_of_their_session() {
    let folder = Folder::new();
    let path = folder.path("events.jsonl");
    let input = generated("--broken 0.01");
    for (strategy, times) in [
        ("--gap 1m", 1),
        ("--gap 1m --out-of-order 10s --max-future 1h", 1),
        ("--gap 1m --max-duration 3m --cut-daily --out-of-order 10s --max-future 1h", 1),
        ("--step 30s --out-of-order 10s --max-future 1h", 1),
        ("--sliding 1m/20s", 3),
    ] {
        let ran = ok(&input, &format!("{CLICK_FIELDS} {strategy} --events {path}"));
        let mut of_session: HashMap<String, Vec<Value>> = HashMap::new();
        let mut of_line: BTreeMap<u64, usize> = BTreeMap::new();
        for event in json_lines(&folder.read("events.jsonl")) {
            *of_line.entry(event["line"].as_u64().unwrap()).or_default() += 1;
            of_session.entry(event["session_id"].as_str().unwrap().to_owned()).or_default().push(event);
        }
        assert!(of_line.len() > 5_000 && of_line.values().all(|count| *count == times), "{strategy}");
        assert_eq!(ran.rows().len(), of_session.len(), "{strategy}");
        for row in ran.rows() {
            let events = &of_session[&row["session_id"]];
            assert_eq!(events.len().to_string(), row["count"]);
            assert_eq!(events[0]["value"], *row["first_event"]);
            assert_eq!(events[0]["time"], *row["first_time"]);
            assert_eq!(events[events.len() - 1]["time"], *row["last_time"]);
            assert!(events.iter().all(|event| event["key"]["user_id"] == *row["user_id"]));
        }
        let (line, _) = of_line.first_key_value().unwrap();
        let original: Value = serde_json::from_str(input.lines().nth(*line as usize - 1).unwrap()).unwrap();
        let event = of_session.values().flatten().find(|event| event["line"] == *line).unwrap();
        assert_eq!(event["value"], original["client_event"]);
    }
}

#[test]
fn files_are_written_but_never_over_an_input() {
    let folder = Folder::new();
    let input = clicks(&[("ann", 0, "a")]);
    let path = folder.write("in.jsonl", &input);
    let output = folder.path("out.csv");
    let run = |more: &[&str]| run_on("", &[&[path.as_str()], &words(FIELDS)[..], more].concat());
    let ran = run(&["--output", &output]);
    assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{}", ran.said);
    assert_eq!(folder.read("out.csv"), run(&["--output", "-"]).out);
    for option in ["--output", "--events", "--rejects", "--late"] {
        let ran = run(&[option, &path]);
        assert_eq!((ran.status, ran.said), (2, format!("files: {path} is an input: write to another file\n")));
    }
    let ran = run(&["--late", &output, "--rejects", &output]);
    assert_eq!((ran.status, ran.said), (2, format!("files: {output} is written twice: name two files\n")));
    assert_eq!(folder.read("in.jsonl"), input);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn without_parquet_the_program_says_how_to_get_it() {
    let folder = Folder::new();
    let ran = run_on("", &words(&format!("--output-format parquet --output {}", folder.path("visits"))));
    let sentence = "files: this `files` is built without Parquet: build it again with `--features parquet`, as in \
                    `cargo run --release -p files --features parquet -- …`\n";
    assert!(ran.status == 2 && ran.said.ends_with(sentence), "{}", ran.said);
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0, "nothing is written");
}

#[test]
fn a_key_field_declared_as_an_integer_is_one() {
    let input = "user,time\n7,0\n007,1\n+7,2\n-3,3\nann,4\n9223372036854775808,5\n";
    let ran = ok(input, "--key user:int --time time --time-format seconds --output-format jsonl --max-rejected 50%");
    let rows: Vec<(Value, Value)> =
        json_lines(&ran.out).iter().map(|row| (row["user"].clone(), row["count"].clone())).collect();
    assert_eq!(rows, [(7.into(), 3.into()), ((-3).into(), 1.into())]);
    assert!(ran.said.contains("line 6: `user` is no integer of 64 bits: \"ann\"\n"), "{}", ran.said);
    assert!(ran.said.contains(" 4 events, 2 rejected,"), "{}", ran.said);
    let two =
        ok("a,b,time\n1,x,0\n01,x,1\n", "--key a:int,b:text --time time --time-format seconds --output-format jsonl");
    let row = &json_lines(&two.out)[0];
    assert_eq!((&row["a"], &row["b"], &row["count"]), (&1.into(), &"x".into(), &2.into()));
}

#[test]
fn mistakes_are_one_sentence_and_status_2() {
    let folder = Folder::new();
    let many = clicks(&[("ann", 0, "a"); 30]);
    let path = folder.write("in.jsonl", &many);
    let csv = folder.write("in.csv", "user,time\nann,5\n");
    let log = folder.write("access.log", "::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n");
    let prose = folder.write("prose.txt", "Once upon a time\n");
    let zip = folder.write("in.zip", b"PK\x03\x04rest");
    let none = folder.path("none.jsonl");
    let here = folder.path("");
    let dash = "only the rows go to standard output by `-`: name a file for --events, --rejects, --late and --state, such \
                as /dev/stdout for events with the rows in an --output";
    for (arguments, sentence) in [
        (format!("{path} {FIELDS} --events -"), dash.to_owned()),
        (format!("{path} {FIELDS} --rejects -"), dash.to_owned()),
        (
            format!("{path} {FIELDS} --sum what,user --sum what"),
            "the column sum_what is given twice: leave one out".to_owned(),
        ),
        (format!("{path} {FIELDS} --out-of-order 1s --state -"), dash.to_owned()),
        (
            format!("{path} {FIELDS} --forwarded last"),
            format!("--forwarded chooses an address in access logs; {path} is not read as one: leave it out"),
        ),
        (format!("{path} --key usr --time time"), format!("{path} has no field `usr`; it has user, time, what")),
        (format!("{path} --key user --time t"), format!("{path} has no field `t`; it has user, time, what")),
        (format!("{path} {FIELDS} --arrival at"), format!("{path} has no field `at`; it has user, time, what")),
        (format!("{csv} --key user --time when"), format!("{csv} has no field `when`; it has user, time")),
        (
            format!("{log} --key device"),
            format!(
                "{log} has no field `device`; it has address, ident, user, time, method, path, protocol, request, status, bytes, referrer, agent, host"
            ),
        ),
        (
            format!("{path} --time time"),
            format!(
                "name the field of {path} with the key, such as a user: pass --key FIELD; its fields are user, time, what"
            ),
        ),
        (
            format!("{csv} --key user"),
            format!("name the field of {csv} with the event time: pass --time FIELD; its fields are user, time"),
        ),
        (
            format!("{csv} --format jsonl"),
            format!(
                "name the field of {csv} with the key, such as a user: pass --key FIELD; its first lines show no \
                 fields: check --format"
            ),
        ),
        (format!("{none} {FIELDS}"), format!("cannot read {none}: no such file or directory")),
        (format!("{here} {FIELDS}"), format!("cannot read {here}: it is a folder; give its files, as in {here}*")),
        (
            prose.clone(),
            format!(
                "cannot read {prose}: cannot detect its format: pass --format jsonl, csv, combined, w3c or alb, or --log-format"
            ),
        ),
        (
            zip.clone(),
            format!("cannot read {zip}: it is a zip file: unpack it with `unzip -p` and give `-` as the input"),
        ),
        (format!("{path} {FIELDS} --xyzzy"), "there is no option --xyzzy".to_owned()),
        (
            format!("{path} {FIELDS} --output-formt csv"),
            "there is no option --output-formt; did you mean --output-format?".to_owned(),
        ),
        (
            format!("{path} {FIELDS} --gap 30"),
            "invalid value '30' for '--gap <LENGTH>': add a unit: 30s, 30m, 30h".to_owned(),
        ),
        (format!("{path} {FIELDS} --gap 0s"), "the gap is zero: choose at least one microsecond".to_owned()),
        (
            format!("{path} {FIELDS} --gap 1m --step 1m"),
            "the argument '--gap <LENGTH>' cannot be used with '--step <LENGTH>'".to_owned(),
        ),
        (format!("{path} {FIELDS} --step 1m --inclusive"), "--inclusive is for --gap only".to_owned()),
        (
            format!("{path} {FIELDS} --zone Europe/Berlin"),
            "--zone is for --floor, --cut-daily and --report only; the zone of the times that are read is --input-zone"
                .to_owned(),
        ),
        (
            format!("{path} {FIELDS} --max-future 1h"),
            "--max-future needs --arrival, or --out-of-order on the event clock, to tell what the future is".to_owned(),
        ),
        (
            format!("{path} {FIELDS} --step 30s --output-format kinesis-sql"),
            "--output-format kinesis-sql needs two key fields, the user and the device: --key user_id,device_id"
                .to_owned(),
        ),
        (
            format!("{path} --key user,what --time time --output-format kinesis-sql"),
            "--output-format kinesis-sql needs a rounded time: --stagger step=30s or floor=minute, --step or --floor"
                .to_owned(),
        ),
        (
            format!("{path} {FIELDS} --output {here}none/out.csv"),
            format!("cannot write {here}none/out.csv: no such file or directory"),
        ),
        (
            format!("{path} {FIELDS} --output-format parquet"),
            "--output-format parquet needs a folder to write: --output FOLDER".to_owned(),
        ),
        (
            format!("{path} {FIELDS} --output visits.parquet"),
            "visits.parquet would be CSV: say --output-format parquet, which makes a folder of that name".to_owned(),
        ),
        (
            format!("{path} --key user:number --time time"),
            "--key: `user:number` has an unknown type `number`: write int or text after the colon, or \
             user:number:text if the colon belongs to the name"
                .to_owned(),
        ),
    ] {
        let ran = run_on("", &words(&arguments));
        assert_eq!((ran.status, ran.said, ran.out), (2, format!("files: {sentence}\n"), String::new()), "{arguments}");
    }
    // Too few lines to tell at once: it is said at the end.
    let ran = run_on(&clicks(&[("ann", 0, "a")]), &words("- --key usr --time time"));
    assert_eq!((ran.status, ran.said), (2, "files: no line has the field `usr`; it has user, time, what\n".to_owned()));
    // A field that only some lines have is no mistake.
    let ran = run_on(
        &format!("{}{{\"usr\": 1, \"time\": 1543534500}}\n", clicks(&[("ann", 0, "a"); 3])),
        &words("- --key usr --time time --max-rejected 75%"),
    );
    assert_eq!((ran.status, ran.rows().len()), (0, 1), "{}", ran.said);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_a_word() {
    let folder = Folder::new();
    let path = folder.write("in.jsonl", generated(""));
    let arguments = format!("{path} {CLICK_FIELDS} --sliding 10m/20s");
    let mut child = start(program().args(words(&arguments)).stderr(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).unwrap();
    assert!(line.starts_with("session_id,"));
    let output = child.wait_with_output();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
        (Some(141), ""),
        "as from a shell"
    );
}

#[test]
fn help_names_every_option() {
    let ran = run_on("", &["--help"]);
    assert_eq!((ran.status, ran.said.as_str()), (0, ""));
    for option in words(
        "--format --log-format --forwarded --delimiter --no-header --key --time --value --arrival --time-format --arrival-format --input-zone \
         --plausible --no-user --step --floor --zone --gap --inclusive --max-duration \
         --cut-daily --sliding --stagger --range --out-of-order --allowed-lateness --max-future --output \
         --output-format --events --rejects --late --strict --report --max-rejected --max-delay \
         --sum --min --max --avg --distinct --list --where --not --end-at --heartbeat --join-only --state --end \
         --visit-number --version --update-every --update-every-events --unique",
    ) {
        assert!(ran.out.contains(option), "{option}");
    }
}

#[test]
fn without_arguments_it_reports_on_the_bundled_clicks() {
    let ran = run_on("", &[]);
    assert_eq!(ran.status, 0, "{}", ran.said);
    for text in [
        "How long they lasted",
        "Events by hour of the day (UTC)",
        "the busiest hour begins at 20:00",
        "The longest",
        "Not used",
        "too late: every session it could join had been closed",
        "not valid JSON",
        "its time is too far in the future",
        "the bundled clicks, line ",
        "cargo run --release -p files -- /var/log/nginx/access.log --report",
        "git log --format=",
        "is the same as: files --out-of-order 1m --arrival arrival_timestamp --max-future 1h --report\n",
    ] {
        assert!(ran.out.contains(text), "{text} is not in\n{}", ran.out);
    }
    assert!(ran.said.contains(" lines read: ") && ran.said.contains(" events/s\n"), "{}", ran.said);
    assert_eq!(ran.said.lines().filter(|line| !line.starts_with("note: ")).count(), 1, "no progress bar in a pipe");
}

#[test]
fn a_note_says_that_an_input_is_not_read_or_read_twice() {
    let folder = Folder::new();
    let path = folder.write("in.jsonl", clicks(&[("ann", 0, "a")]));
    let bundled = "note: reading the bundled clicks; pass - to read standard input\n";
    let twice = format!("note: {path} is given more than once: unless that is meant, name it once\n");
    for (arguments, note, is_said) in [
        ("--gap 30m".to_owned(), bundled, cfg!(unix)),
        ("--report".to_owned(), bundled, cfg!(unix)),
        (String::new(), bundled, false),
        (format!("- {FIELDS}"), bundled, false),
        (format!("{path} {FIELDS}"), bundled, false),
        (format!("{path} {FIELDS}"), &twice, false),
        (
            format!("{path} {} {FIELDS}", folder.path("./in.jsonl")),
            &format!("note: {} is given more than once", folder.path("./in.jsonl")),
            true,
        ),
    ] {
        let ran = run_on("", &words(&arguments));
        assert_eq!((ran.status, ran.said.contains(note)), (0, is_said), "{arguments}: {}", ran.said);
    }
    let ran = run_on("", &words(&format!("{path} {path} {FIELDS}")));
    assert!(ran.said.contains(&twice) && pick(&ran.rows(), "count") == ["2"], "{}", ran.said);
    // Nobody reads the null device by mistake; a file may be meant.
    for (stdin, is_said) in [(Stdio::null(), false), (fs::File::open(&path).unwrap().into(), cfg!(unix))] {
        let ran = program().args(["--gap", "30m"]).stdin(stdin).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stderr).contains(bundled), is_said);
    }
}

/// The README beside the data names the command that made it.
#[test]
fn the_bundled_clicks_are_what_the_recorded_command_makes() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    let readme = fs::read_to_string(data.join("README.md")).unwrap();
    let command = readme.lines().find_map(|line| line.split_once("-p generate -- ")).expect("the command").1;
    let (options, output) = command.split_once(" --output ").expect("where it goes");
    assert_eq!(output, "examples/data/clicks.jsonl.gz");
    let mut bundled = Vec::new();
    MultiGzDecoder::new(fs::File::open(data.join("clicks.jsonl.gz")).unwrap()).read_to_end(&mut bundled).unwrap();
    assert!(bundled.len() > 1_000_000);
    assert!(made(options) == bundled, "run the command of examples/data/README.md again");
}

/// The command that the report suggests for `git log`, on lines as git prints them.
#[test]
fn the_suggestion_for_git_works() {
    let report = run_on("", &[]).out;
    let command = report.lines().find(|line| line.contains("-p files -- - ")).expect("the second line of it");
    let (_, options) = command.split_once(" -- - ").unwrap();
    let format = report.split_once("git log --format='").unwrap().1.split_once('\'').unwrap().0;
    let commit =
        |who: &str, when: &str, what: &str| format.replace("%ae", who).replace("%aI", when).replace("%f", what) + "\n";
    let log = commit("a@b.c", "2018-11-29T23:35:10+01:00", "Fix-the-tap")
        + &commit("a@b.c", "2018-11-29T20:36:00Z", "Start")
        + &commit("a@b.c", "2018-11-29T03:00:00-05:00", "Early");
    let ran = ok(&log, options.trim());
    assert!(ran.out.starts_with("2 sessions of 3 events, for 1 different value of who\n"), "{}", ran.out);
    assert!(ran.out.contains("Start … Fix-the-tap"), "{}", ran.out);
}
