//! `--state`: a run goes on where the one before ended, whatever happened in between.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::support::*;

/// The rows of several outputs, sorted.
fn all_rows(outputs: &[String]) -> Vec<String> {
    sorted(outputs.iter().flat_map(|text| text.lines().skip(1).map(str::to_owned)).collect())
}

/// A text in parts, at line ends.
fn parts(text: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.chunks(lines.len().div_ceil(count)).map(<[&str]>::concat).collect()
}

const FURTHER: &str = "--visit-number --distinct client_event --list client_event --sum user_id";

#[test]
fn days_give_what_one_run_gives() {
    let input = generated("--stragglers 0.01 --late-by 1h");
    for rule in [
        "--gap 1m",
        "--gap 1m --max-duration 3m --cut-daily",
        "--step 30s",
        "--gap 1m --unique client_timestamp",
        "--sliding 2m/1m",
        "--stagger step=30s --range 30s --arrival arrival_timestamp",
        "--gap 1m --arrival arrival_timestamp",
        "--gap 1m --end-at client_event~checkout --heartbeat client_event~nav",
    ] {
        let options = format!("{CLICK_FIELDS} {rule} --out-of-order 10s {FURTHER}");
        let folder = Folder::new();
        let (whole, events) = (folder.path("whole.csv"), folder.path("whole.jsonl"));
        let ran = ok(&input, &format!("{options} --output {whole} --events {events}"));
        let (mut outputs, mut all_events, mut late) = (Vec::new(), Vec::new(), 0);
        for (day, part) in parts(&input, 4).iter().enumerate() {
            let path = folder.write(&format!("day{day}.jsonl"), part);
            let end = if day == 3 { "--end" } else { "" };
            let (state, output, events) = (folder.path("state"), folder.path("rows.csv"), folder.path("events.jsonl"));
            let command = format!("{path} {options} --state {state} {end} --output {output} --events {events}");
            let ran = run_on("", &words(&command));
            assert_eq!(ran.status, 0, "{rule}: {}", ran.said);
            late += ran.said.split(" late").next().unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap();
            outputs.push(folder.read("rows.csv"));
            let written = json_lines(&folder.read("events.jsonl"));
            all_events.extend(written.into_iter().map(|row| format!("{} {}", row["session_id"], row["time"])));
        }
        assert!(outputs[..3].iter().all(|rows| rows.lines().count() > 10), "{rule}");
        assert_eq!(all_rows(&outputs), all_rows(&[folder.read("whole.csv")]), "{rule}");
        let of_whole = json_lines(&folder.read("whole.jsonl"));
        let of_whole = of_whole.iter().map(|row| format!("{} {}", row["session_id"], row["time"])).collect();
        assert_eq!(sorted(all_events), sorted(of_whole), "{rule}");
        assert!(ran.said.contains(&format!(", {late} late")), "{rule}: {late}, {}", ran.said);
    }
}

/// One file that grows, is renamed and packed, and in whose last line the writer is at work.
#[test]
fn inputs_are_known_again() {
    let folder = Folder::new();
    let line = |second: u32, user: &str| format!("{user},2018-11-29T23:{:02}:{:02}Z\n", second / 60, second % 60);
    let run = |inputs: &str, more: &str| {
        let options = "--key user --time time --gap 30s --out-of-order 0s --max-rejected 0";
        let (state, late) = (folder.path("state"), folder.path("events"));
        let command = format!("{inputs} {options} --state {state} --events {late} {more}");
        let ran = run_on("", &words(&command));
        assert_eq!(ran.status, 0, "{}", ran.said);
        let events =
            if more.is_empty() || ran.out.is_empty() { Vec::new() } else { json_lines(&folder.read("events")) };
        let lines = events.iter().map(|event| event["line"].as_u64().unwrap()).collect::<Vec<_>>();
        (pick(&ran.rows(), "user count"), lines, ran.said)
    };
    let mut log = "user,time\n".to_owned() + &line(0, "ann") + &line(10, "ann");
    let path = folder.write("log.csv", &log);
    assert_eq!(run(&path, "").0, [""; 0]);
    // It has grown, and the last line is half written.
    log += &(line(60, "bob") + &line(130, "cid"));
    folder.write("log.csv", &log[..log.len() - 12]);
    let (rows, _, said) = run(&path, "");
    assert_eq!(rows, ["ann 2"]);
    assert!(said.contains("log.csv: the last line has no end yet and is left to the next run\n"), "{said}");
    assert!(said.contains("2 lines read: 1 event, 0 rejected"), "{said}"); // the header is read again
    // It is whole now, but for its line end; then it is renamed, and another begins under its name.
    folder.write("log.csv", log.trim_end());
    assert_eq!(run(&path, "").0, ["bob 1"]);
    let old = folder.write("log.csv.1", &(log.clone() + &line(140, "cid")));
    let path = folder.write("log.csv", "user,time\n".to_owned() + &line(150, "cid"));
    assert_eq!(run(&format!("--format csv {old} {path}"), "").0, [""; 0]);
    let (rows, lines, said) = run(&format!("--format csv {old} {path}"), "--end");
    assert_eq!((rows, lines), (vec!["cid 3".to_owned()], vec![5, 6, 2]), "{said}");
}

/// Lines that name the fields are read again, and nothing else is.
#[test]
fn inputs_of_every_kind_go_on() {
    let rows =
        |minutes: &[u32], line: &dyn Fn(u32) -> String| minutes.iter().map(|minute| line(*minute)).collect::<String>();
    let csv = |minute: u32| format!("a,2024-03-04T09:{minute:02}:00Z\n");
    let w3c = |minute: u32| format!("2024-03-04 09:{minute:02}:00 a /x\n");
    let json = |minute: u32| format!("{{\"user\":\"a\",\"time\":\"2024-03-04T09:{minute:02}:00Z\"}}\n");
    let log = |minute: u32| format!("::1 - - [04/Mar/2024:09:{minute:02}:00 +0000] \"GET / HTTP/1.1\" 200 1\n");
    let by_name = "--key user --time time";
    for (name, head, line, options) in [
        ("a.csv", "user,time\n", &csv as &dyn Fn(u32) -> String, by_name),
        ("a2.csv", "sep=,\nuser,time\n", &csv as &dyn Fn(u32) -> String, by_name),
        ("b.csv", "", &csv, "--no-header --key 1 --time 2"),
        ("c.log", "#Version: 1.0\n#Fields: date time c-ip cs-uri-stem\n", &w3c, "--format w3c --key c-ip"),
        ("d.jsonl", "", &json, by_name),
        ("e.log", "", &log, ""),
    ] {
        let folder = Folder::new();
        let state = folder.path("state");
        let run = |minutes: &[u32], more: &str| {
            let input = folder.write(name, head.to_owned() + &rows(minutes, line));
            let command = format!("{input} {options} --gap 5m --out-of-order 0s --state {state} {more}");
            let ran = run_on("", &words(&command));
            assert_eq!(ran.status, 0, "{name}: {}", ran.said);
            pick(&ran.rows(), "count first_time")
        };
        assert_eq!(run(&[0, 1], ""), [""; 0], "{name}");
        assert_eq!(run(&[0, 1, 2, 30], ""), ["3 2024-03-04T09:00:00.000000Z"], "{name}");
        assert_eq!(run(&[0, 1, 2, 30, 31], "--end"), ["2 2024-03-04T09:30:00.000000Z"], "{name}");
    }
}

/// IIS names the fields again when it starts, and they may be others.
#[test]
fn the_latest_names_of_fields_count_for_lines_that_come_later() {
    let folder = Folder::new();
    let state = folder.path("state");
    let first = "#Fields: date time c-ip cs-uri-stem\n2024-03-04 09:00:00 10.0.0.1 /a\n".to_owned();
    let then = "#Date: 2024-03-04 09:01:00\n#Fields: time cs-uri-stem c-ip\n09:01:00 /b 10.0.0.1\n";
    let run = |log: &str, more: &str| {
        let input = folder.write("w3c.log", log);
        let options = "--format w3c --key c-ip --value cs-uri-stem --gap 5m --out-of-order 0s --max-rejected 0";
        let ran = run_on("", &words(&format!("{input} {options} --state {state} {more}")));
        assert_eq!(ran.status, 0, "{}", ran.said);
        pick(&ran.rows(), "c-ip count last_event last_time")
    };
    let mut log = first + then;
    assert_eq!(run(&log, ""), [""; 0]);
    log += "09:02:00 /c 10.0.0.1\n";
    assert_eq!(run(&log, "--end"), ["10.0.0.1 3 /c 2024-03-04T09:02:00.000000Z"]);
}

#[test]
fn the_same_command_again_changes_nothing() {
    let folder = Folder::new();
    let (day, state, output) =
        (folder.write("day.jsonl", generated("")), folder.path("state"), folder.path("rows.csv"));
    let command = format!("{day} {CLICK_FIELDS} --gap 1m --out-of-order 10s --state {state} --output {output}");
    assert_eq!(run_on("", &words(&command)).status, 0);
    let written = (folder.read("rows.csv"), folder.read("state"));
    let ran = run_on("", &words(&command));
    assert_eq!((ran.status, ran.said.as_str()), (0, "nothing new since the last run: all files stay as they are\n"));
    assert_eq!((folder.read("rows.csv"), folder.read("state")), written);
}

#[test]
fn a_run_that_is_killed_is_started_again() {
    let input = generated("");
    let days = parts(&input, 2);
    let options = format!("{CLICK_FIELDS} --gap 1m --out-of-order 10s {FURTHER}");
    let mut results = BTreeMap::new();
    for killed_after in [None, Some(0), Some(days[1].len() / 3), Some(days[1].len())] {
        let folder = Folder::new();
        let run = |day: usize, more: &str| {
            let (state, output) = (folder.path("state"), folder.path(&format!("rows{day}.csv")));
            format!("- {options} --state {state} --output {output} {more}")
        };
        assert_eq!(run_on(&days[0], &words(&run(0, ""))).status, 0);
        let before = (folder.read("state"), folder.read("rows0.csv"));
        if let Some(bytes) = killed_after {
            let mut child = start(program().args(words(&run(1, "--end"))));
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&days[1].as_bytes()[..bytes]).unwrap();
            child.kill(); // before its input ends
            assert_eq!((folder.read("state"), folder.read("rows0.csv")), before);
            assert!(!folder.0.join("rows1.csv").exists());
        }
        let ran = run_on(&days[1], &words(&run(1, "--end")));
        assert_eq!(ran.status, 0, "{}", ran.said);
        let names = fs::read_dir(&folder.0).unwrap().count();
        assert_eq!(names, 3, "state and rows, nothing hidden");
        results.insert(killed_after, (folder.read("rows0.csv"), folder.read("rows1.csv")));
    }
    let whole = ok(&input, &options);
    for (killed_after, (first, second)) in results {
        assert_eq!(all_rows(&[first, second]), all_rows(std::slice::from_ref(&whole.out)), "{killed_after:?}");
    }
}

/// A log in the hands of logrotate and of people, each time after a run that has read all of it.
#[test]
fn an_input_that_was_changed_is_known_again_or_told() {
    let line = |minute: usize, user: &str| format!("{user},2018-11-29T{:02}:{:02}:00Z\n", minute / 60, minute % 60);
    let lines = |minutes: std::ops::Range<usize>| minutes.map(|minute| line(minute, "ann")).collect::<String>();
    let header = "user,time\n";
    let wide = format!("user,time,{}\n", "x".repeat(5_000));
    let (short, long) = (header.to_owned() + &lines(0..3), header.to_owned() + &lines(0..400));
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let changed = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from));
        text.replacen(from, to, 1).into_bytes()
    };
    let later = |header: &str, count: usize| header.to_owned() + &lines(1_000..1_000 + count);
    let wide_rows = |rows: String| wide.clone() + &rows.replace('\n', ",\n");
    let changed_since = Err("that were read then has changed since: give it as it was, or begin with a new --state");
    let shorter = Err("bytes were read, but has ");
    for (case, before, after, result) in [
        ("short, unchanged", &short, short.clone().into_bytes(), Ok(0)),
        ("short, grown", &short, (short.clone() + &lines(3..5)).into_bytes(), Ok(2)),
        ("short, packed and grown", &short, gzip(&(short.clone() + &lines(3..5))), Ok(2)),
        ("short, copytruncate, empty", &short, Vec::new(), Ok(0)),
        ("short, copytruncate, header only", &short, header.as_bytes().to_vec(), Ok(0)),
        ("short, copytruncate, shorter", &short, later(header, 2).into_bytes(), Ok(2)),
        ("short, copytruncate, as long", &short, later(header, 3).into_bytes(), Ok(3)),
        ("short, copytruncate, longer", &short, later(header, 9).into_bytes(), Ok(9)),
        ("header only, grown", &header.to_owned(), short.clone().into_bytes(), Ok(3)),
        ("long, unchanged", &long, long.clone().into_bytes(), Ok(0)),
        ("long, grown", &long, (long.clone() + &lines(400..403)).into_bytes(), Ok(3)),
        ("long, packed", &long, gzip(&long), Ok(0)),
        ("long, packed and grown", &long, gzip(&(long.clone() + &lines(400..403))), Ok(3)),
        ("long, copytruncate, shorter", &long, later(header, 2).into_bytes(), Ok(2)),
        ("long, copytruncate, as long", &long, later(header, 400).into_bytes(), Ok(400)),
        ("long, copytruncate, longer", &long, later(header, 420).into_bytes(), Ok(420)),
        ("long, cut", &long, long.as_bytes()[..5_000].to_vec(), shorter),
        (
            "long, a line changed near the end",
            &long,
            changed(&long, &line(399, "ann"), &line(399, "bob")),
            changed_since,
        ),
        (
            "long, a line taken out",
            &long,
            changed(&(long.clone() + &lines(400..403)), &line(200, "ann"), ""),
            changed_since,
        ),
        ("wide header, another log", &wide_rows(lines(0..3)), wide_rows(later("", 9)).into_bytes(), changed_since),
    ] {
        let folder = Folder::new();
        let run = |content: &[u8]| {
            let path = folder.write("log.csv", content);
            let options = "--format csv --key user --time time --gap 1m --out-of-order 0s --max-rejected 0";
            let events = folder.write("events", "");
            let ran = run_on("", &words(&format!("{path} {options} --state {} --late {events}", folder.path("state"))));
            // Events of the first log that are read again would be late.
            assert!(ran.status == 2 || folder.read("events").is_empty(), "{case}: {}", folder.read("events"));
            ran
        };
        let first = run(before.as_bytes());
        assert_eq!(first.status, 0, "{case}: {}", first.said);
        let state = folder.read("state");
        let ran = run(&after);
        match result {
            Ok(events) => {
                let told = ran.said.split(" event").next().unwrap().rsplit(' ').next().unwrap();
                let read = if ran.said.contains("nothing new since") { "0" } else { told };
                assert_eq!((ran.status, read), (0, events.to_string().as_str()), "{case}: {}", ran.said);
            }
            Err(sentence) => {
                assert!(ran.status == 2 && ran.said.contains(sentence), "{case}: {}", ran.said);
                assert_eq!(folder.read("state"), state, "{case}");
            }
        }
    }
}

/// The writer is at work in the last line, which can be used each time.
#[test]
fn a_line_that_grows_twice_is_used_once() {
    let folder = Folder::new();
    let run = |log: &str, more: &str| {
        let (path, other) = (folder.write("log.csv", log), folder.write("other.csv", more));
        let options = "--key user --time time --gap 1m --out-of-order 0s --max-rejected 0";
        let ran = run_on("", &words(&format!("{path} {other} {options} --state {}", folder.path("state"))));
        assert_eq!(ran.status, 0, "{}", ran.said);
        ran.said
    };
    let other = "user,time\nbob,2018-11-29T01:00:00Z\n".to_owned();
    let more = |minute: u32| format!("bob,2018-11-29T01:{minute:02}:00Z\n");
    let log = "user,time,x\nann,2018-11-29T01:00:00Z,";
    run(&format!("{log}a"), &other);
    run(&format!("{log}ab"), &(other.clone() + &more(1)));
    let said = run(&format!("{log}abc\nann,2018-11-29T01:02:00Z,d\n"), &(other + &more(1) + &more(2)));
    assert!(said.contains("2 events, 0 rejected"), "{said}");
}

/// Its events are used once, the one of the line that is cut in two too.
#[test]
fn a_packed_input_that_breaks_off_goes_on_when_it_is_whole() {
    let text = generated("");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let options = format!("{CLICK_FIELDS} --gap 1m --out-of-order 10s");
    let whole = ok(&text, &options);
    for bytes in [5, 12, 100, 3_000, packed.len() / 2, packed.len() / 2 + 1, packed.len() - 4] {
        let folder = Folder::new();
        let run = |bytes: usize, output: &str, more: &str| {
            let (input, output) = (folder.write("in.jsonl.gz", &packed[..bytes]), folder.path(output));
            let ran = run_on("", &words(&format!("{input} {options} {more} --output {output}")));
            assert!(
                bytes == packed.len() || ran.said.contains("in.jsonl.gz cannot be read to its end"),
                "{}",
                ran.said
            );
            ran.status
        };
        let state = format!("--state {}", folder.path("state"));
        assert_eq!(
            [run(bytes, "none", ""), run(bytes, "first", &state), run(bytes, "second", &state)],
            [1; 3],
            "{bytes}"
        );
        assert_eq!(run(packed.len(), "third", &format!("{state} --end")), 0);
        let rows = ["first", "second", "third"].map(|name| fs::read_to_string(folder.path(name)).unwrap_or_default());
        assert_eq!(all_rows(&rows), all_rows(std::slice::from_ref(&whole.out)), "{bytes}");
    }
}

#[cfg(unix)]
#[test]
fn an_input_that_is_cut_while_it_is_read_is_told() {
    let folder = Folder::new();
    // More than the pipes between its threads hold: it waits for a reader of its events.
    let users: Vec<String> = (0..60_000).map(|user| format!("u{user}")).collect();
    let many: Vec<_> = users.iter().zip(0..).map(|(user, second)| (user.as_str(), second, "x")).collect();
    let path = folder.write("in.jsonl", clicks(&many));
    let arguments = format!("{path} {FIELDS} --gap 1s --out-of-order 0s");
    let mut child = start(program().args(words(&arguments)).stderr(Stdio::piped()));
    let mut rows = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut rows, &mut [0; 8_000]).unwrap(); // it is on its way
    fs::File::create(&path).unwrap();
    std::io::copy(&mut rows, &mut std::io::sink()).unwrap();
    let ran = child.wait_with_output();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    let sentence = "which are used, it was cut while it was read\n";
    assert!(said.contains("in.jsonl cannot be read to its end: after ") && said.ends_with(sentence), "{said}");
}

/// At each change of its folder, until the run ends.
#[test]
fn killed_at_any_step_it_is_started_again() {
    let input = generated("");
    let days = parts(&input, 2);
    let options = format!("{CLICK_FIELDS} --gap 1m --out-of-order 10s {FURTHER}");
    let whole = ok(&input, &options);
    let mut steps = 0;
    for end in ["", "--end"] {
        for step in 1.. {
            let folder = Folder::new();
            let run = |day: usize, end: &str| {
                let input = folder.write(&format!("day{day}.jsonl"), &days[day]);
                let [state, rows, events] =
                    ["state".to_owned(), format!("rows{day}"), format!("events{day}")].map(|name| folder.path(&name));
                format!("{input} {options} --state {state} --output {rows} --events {events} {end}")
            };
            assert_eq!(run_on("", &words(&run(0, ""))).status, 0);
            let command = run(1, end);
            let listing = || {
                let entries = fs::read_dir(&folder.0).unwrap().map(|entry| {
                    let entry = entry.unwrap();
                    (entry.file_name(), std::os::unix::fs::DirEntryExt::ino(&entry))
                });
                entries.collect::<std::collections::BTreeSet<_>>()
            };
            let (mut seen, mut changes) = (listing(), 0);
            let mut child = Running::start(program().args(words(&command)).stderr(Stdio::null()));
            let has_ended = loop {
                let now = listing();
                changes += usize::from(now != seen);
                seen = now;
                if changes == step {
                    break child.try_wait().is_some();
                }
                if child.try_wait().is_some() {
                    break true;
                }
            };
            child.kill();
            let ran = run_on("", &words(&command));
            assert_eq!(ran.status, 0, "{end} {step}: {}", ran.said);
            let last = if end.is_empty() {
                run_on(
                    "",
                    &words(&format!("{} --end", run(1, "").replace("rows1", "rows2").replace("events1", "events2"))),
                )
            } else {
                ran
            };
            assert_eq!(last.status, 0, "{end} {step}: {}", last.said);
            let outputs: Vec<String> = (0..3)
                .map(|day| fs::read_to_string(folder.path(&format!("rows{day}"))))
                .filter_map(Result::ok)
                .collect();
            assert_eq!(all_rows(&outputs), all_rows(std::slice::from_ref(&whole.out)), "{end} {step}");
            assert!(listing().iter().all(|(name, _)| !name.as_encoded_bytes().starts_with(b".")), "{end} {step}");
            steps += 1;
            if has_ended {
                break;
            }
        }
    }
    assert!(steps >= 2, "{steps}");
}

#[test]
fn a_state_fits_one_command() {
    let folder = Folder::new();
    let (state, damaged) = (folder.path("state"), folder.write("damaged", "{}"));
    let input = clicks(&[("ann", 0, "a")]);
    let run = |options: &str| run_on(&input, &words(&format!("- --key user --time time {options}")));
    let ran = run(&format!("--gap 30s --out-of-order 1s --state {state}"));
    assert_eq!(ran.status, 0, "{}", ran.said);
    assert!(ran.said.contains("; 0 sessions, 1 open for the next run; "), "{}", ran.said);
    let text = folder.read("state");
    let changed = folder.write("changed", text.replacen("1543534500", "1543534509", 1));
    let cut = folder.write("cut", &text[..text.len() / 2]);
    let other = folder.write("other", text.replacen("\"version\":2", "\"version\":99", 1));
    assert_ne!(folder.read("changed"), text);
    for (options, sentence) in [
        (
            format!("--gap 30s --out-of-order 1s --state {changed}"),
            "changed is damaged, its checksum does not fit: put a copy in its place, or begin with a new --state",
        ),
        (format!("--gap 30s --out-of-order 1s --state {cut}"), "cut is no state of a run like this"),
        (format!("--gap 30s --out-of-order 1s --state {other}"), "other has version 99, but this program reads 2"),
        (
            format!("--gap 30s --out-of-order 1s --unique what --state {state}"),
            "--unique = , but it is what now: use the same options, or another --state",
        ),
        (
            format!("--gap 40s --out-of-order 1s --state {state}"),
            "gap = 30s, but it is 40s now: use the same options, or another --state",
        ),
        (
            format!("--gap 30s --out-of-order 1s --value what --state {state}"),
            "--value = , but it is what now: use the same options, or another --state",
        ),
        (
            format!("--gap 30s --out-of-order 1s --not what=b --state {state}"),
            "--not = , but it is what=b now: use the same options, or another --state",
        ),
        (format!("--gap 30s --out-of-order 1s --state {damaged}"), "damaged is no state of a run like this"),
        ("--gap 30s --out-of-order 1s --state /dev/full".to_owned(), "/dev/full is no file: --state needs one"),
        ("--gap 30s --out-of-order 1s --state .".to_owned(), ". is no file: --state needs one"),
        (format!("--gap 30s --state {state}"), "--state is for streams only: say --out-of-order too"),
        (
            format!("--gap 30s --out-of-order 1s --state {state} --report"),
            "--state keeps sessions for later rows: --report has none",
        ),
        ("--gap 30s --out-of-order 1s --end".to_owned(), "--end is for --state only"),
    ] {
        let ran = run(&options);
        assert_eq!(ran.status, 2, "{options}: {}", ran.said);
        assert!(ran.said.contains(sentence), "{options}: {}", ran.said);
    }
}

#[test]
fn visits_of_a_key_are_numbered() {
    let input = clicks(&[("ann", 0, "a"), ("bob", 10, "b"), ("ann", 100, "c"), ("ann", 300, "d"), ("bob", 500, "e")]);
    for stream in ["", "--out-of-order 10s"] {
        let rows = ok(&input, &format!("{FIELDS} --gap 30s {stream} --visit-number")).rows();
        assert_eq!(pick(&rows, "user visit"), ["ann 1", "bob 1", "ann 2", "ann 3", "bob 2"]);
    }
    let ran = ok(&input, &format!("{FIELDS} --gap 30s --visit-number --output-format jsonl"));
    assert_eq!(json_lines(&ran.out)[4]["visit"], 2);
}
