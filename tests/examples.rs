//! Runs the short examples and looks at what they print.
//!
//! `cargo test` without further choice builds the examples. `cargo test --test examples` does not: it
//! runs what was built last, so say `cargo build --examples` before. (`cargo test --example NAME`
//! builds a test of the example, not the example.)

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// `target/<profile>/examples/<name>`, seen from `target/<profile>/deps/<this test>`.
fn example(name: &str) -> Command {
    let this = std::env::current_exe().expect("a test knows its own path");
    let profile = this.ancestors().nth(2).expect("tests lie two folders below the target");
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{name} is not built: run `cargo test`, or `cargo build --examples` before this test alone");
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("examples print UTF-8")
}

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the example starts");
    assert!(status.success(), "{status}: {}", text(&stderr));
    assert_eq!(text(&stderr), "");
    text(&stdout)
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stagger-examples-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("the folder can be written to");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn quickstart_puts_clicks_out_of_order_into_their_sessions() {
    assert_eq!(
        succeed(&mut example("quickstart")),
        "\
bob   1 clicks in  0 s, beer_vitrine to beer_vitrine (gap)
alice 3 clicks in 24 s, beer_vitrine to beer_checkout (gap)
bob   too late: beer_cart at second 5
bob   1 clicks in  0 s, beer_vitrine to beer_vitrine (flush)
alice 1 clicks in  0 s, beer_vitrine to beer_vitrine (flush)
"
    );
}

#[test]
fn stagger_vs_tumbling_prints_the_tables_of_aws() {
    assert_eq!(
        succeed(&mut example("stagger_vs_tumbling")),
        "\
The trades

ROWTIME   EVENT_TIME  TICKER_SYMBOL
11:00:20  11:00:10    AMZN
11:00:30  11:00:20    AMZN
11:01:05  11:00:55    AMZN
11:01:15  11:01:05    AMZN

Tumbling windows of a minute over ROWTIME

ROWTIME   EVENT_TIME  TICKER_SYMBOL  COUNT
11:01:00  11:00:00    AMZN           2
11:02:00  11:00:00    AMZN           1
11:02:00  11:01:00    AMZN           1

Stagger windows with a range of a minute

ROWTIME   EVENT_TIME  TICKER_SYMBOL  COUNT
11:01:20  11:00:00    AMZN           3
11:02:15  11:01:00    AMZN           1
"
    );
}

#[test]
fn custom_aggregate_is_told_from_a_broken_one() {
    let printed = succeed(&mut example("custom_aggregate"));
    assert!(printed.starts_with("FavouritePage obeys the laws.\nThe exit page made of a fold does not: "), "{printed}");
    assert!(
        printed.ends_with(
            "\
gap of 30 s
bob   3 clicks, mostly cart (2); 550 cents, dearest 400; pages: cart, vitrine
alice 4 clicks, mostly vitrine (2); 250 cents, dearest 250; pages: cart, checkout, vitrine
alice 1 clicks, mostly vitrine (1); 0 cents, dearest 0; pages: vitrine
"
        ),
        "{printed}"
    );
}

#[test]
fn resume_goes_on_after_a_real_crash_and_cleans_up() {
    let folder = Folder::new("resume");
    let mut command = example("resume");
    let printed = succeed(command.env("TMPDIR", &folder.0).env("TEMP", &folder.0).env("TMP", &folder.0));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "gap of 30 s over 400 clicks, a checkpoint every 50");
    assert!(lines[1].starts_with("first worker:  killed at click 230 ("), "{printed}");
    assert!(lines[2].starts_with("checkpoint:    200 clicks read, 9 sessions open, "), "{printed}");
    assert_eq!(lines[4], "The output equals that of an uninterrupted run, byte by byte. Its last lines:");
    assert_eq!(lines[lines.len() - 1], "  400 clicks, 8 late, 140 sessions");
    assert_eq!(std::fs::read_dir(&folder.0).expect("the folder is there").count(), 0, "it left files behind");
}

#[test]
fn measure_shows_every_strategy_on_the_bundled_clicks() {
    let printed = succeed(&mut example("measure"));
    assert!(
        printed.starts_with("9,032 events of 475 keys in the bundled clicks; 18 lines cannot be used; "),
        "{printed}"
    );
    let (_, table) = printed.split_once("most open\n").expect("the table has a header");
    // The words of the strategy, then two figures that no two runs share, then counts.
    let rows: Vec<(&str, Vec<&str>)> =
        table.lines().map(|line| (line[..28].trim_end(), line[28..].split_whitespace().skip(2).collect())).collect();
    let expected = [
        ("STEP 30s", ["4,284", "2.1", "56", "19"]),
        ("FLOOR minute", ["3,044", "2.9", "56", "17"]),
        ("gap 30m", ["908", "9.9", "39", "62"]),
        ("gap 30m, inclusive", ["908", "9.9", "39", "62"]),
        ("gap 30m, at most 1h", ["912", "9.9", "44", "61"]),
        ("gap 30m, cut daily", ["908", "9.9", "39", "61"]),
        ("gap 30m, lateness 1h", ["908", "9.9", "23", "156"]),
        ("sliding 10m every 1m", ["13,061", "6.9", "53", "198"]),
        ("stagger 30s, range 30s", ["4,537", "2.0", "0", "10"]),
    ];
    assert_eq!(rows, expected.map(|(words, counts)| (words, counts.to_vec())));
}

#[test]
fn measure_writes_json_for_scripts() {
    let folder = Folder::new("measure");
    let csv = folder.file("clicks.csv", "who,when\nann,1\nbob,9\nann,5\nann,70\n");
    let mut command = example("measure");
    command.arg(csv).args(["--key", "who", "--time", "when", "--gap", "1m", "--only", "gap,step", "--runs", "2"]);
    let results: serde_json::Value = serde_json::from_str(&succeed(command.arg("--json"))).expect("it is JSON");
    assert_eq!((&results["events"], &results["keys"]), (&4.into(), &2.into()));
    assert_eq!((&results["out_of_order_us"], &results["behind"]["share"]), (&4_000_000.into(), &0.25.into()));
    let [gap, step] = [0, 1].map(|index| &results["strategies"][index]);
    assert_eq!((&gap["name"], &gap["sessions"], &gap["late"]), (&"gap".into(), &3.into(), &0.into()));
    assert_eq!((&step["words"], &step["sessions"]), (&"STEP 30s".into(), &3.into()));
    assert_eq!(gap["checksum"], digests([(1, 5, 2), (9, 9, 1), (70, 70, 1)]));
    let runs = gap["cpu_ns_per_event"]["numbers"]["runs"].as_array().expect("the time of each run");
    assert!(runs.len() == 2 && runs.iter().all(|run| run.as_f64() > Some(0.0)), "{runs:?}");
}

/// What SQL would say of sessions, given by the seconds of their first and last event and their count.
fn digests<const N: usize>(sessions: [(u64, u64, u64); N]) -> u64 {
    let digest = |(first, last, count): (u64, u64, u64)| {
        let times = (first * 1_000_000 % 1_000_003) * (last * 1_000_000 % 1_000_033 + 1);
        times % 1_000_000_007 * (count + 1) % 1_000_000_007
    };
    sessions.into_iter().map(digest).sum()
}

#[test]
fn measure_says_what_is_wrong() {
    let folder = Folder::new("measure-wrong");
    let (csv, bad) = (folder.file("clicks.csv", "who,when\nann,1\n"), folder.file("bad.csv", "who,when\nann,noon\n"));
    let fields = ["--key", "who", "--time", "when"];
    let cases = [
        (&csv, vec!["--key", "who"], "say which field of "),
        (&csv, vec!["--key", "user", "--time", "when"], ""),
        (&csv, [&fields[..], &["--gap", "0s"]].concat(), "the gap is zero"),
        (&csv, [&fields[..], &["--only", "session"]].concat(), "invalid value 'session' for '--only"),
        (&csv, [&fields[..], &["--run", "3"]].concat(), "there is no option --run; did you mean --runs?"),
        (&bad, fields.to_vec(), "no line of "),
    ];
    for (file, options, message) in cases {
        let output = example("measure").arg(file).args(&options).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(text(&output.stderr).starts_with(&format!("measure: {message}")), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn generate_leaves_out_the_arrival_and_nothing_else() {
    let clicks = |flags: &[&str]| {
        let mut command = example("generate");
        succeed(command.args(["--events", "200", "--rate", "10", "--disorder", "5s"]).args(flags))
    };
    let (with, without) = (clicks(&[]), clicks(&["--no-arrival"]));
    let cut = |line: &str| line.split_once(r#", "arrival_timestamp""#).map(|(rest, _)| format!("{rest}}}\n"));
    let expected: Option<String> = with.lines().map(cut).collect();
    assert_eq!(Some(without), expected);
}

/// The drawing of one strategy, without its first line.
fn strategy<'t>(printed: &'t str, name: &str) -> (&'t str, Vec<&'t str>) {
    let block = printed.split("\n\n").find(|block| block.starts_with(&format!("{name}  ")));
    let mut lines = block.unwrap_or_else(|| panic!("{name} is not in:\n{printed}")).lines();
    (lines.next().expect("a block has a title"), lines.map(str::trim).collect())
}

#[test]
fn timeline_draws_every_strategy_within_100_columns() {
    let printed = succeed(&mut example("timeline"));
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
    assert!(!printed.contains('\x1b'), "no colour when it is not a terminal");
    let (title, floor) = strategy(&printed, "FLOOR minute, event clock");
    assert!(title.contains("  5 sessions: "), "{title}");
    assert_eq!(floor[1].split_whitespace().filter(|word| *word == "watermark").count(), 5);
    for (name, labels) in [
        ("Gap 30s", "9 gap 2 gap 3 gap"),
        ("Gap 30s, inclusive", "11 gap 3 gap"),
        ("Gap 30s, max duration 1m", "4 max duration 4 max duration 1 gap 2 gap 3 gap"),
        ("Gap 30s, cut daily", "7 cut 2 gap 2 gap 3 gap"),
    ] {
        let (_, lines) = strategy(&printed, name);
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>().join(" "), labels, "{name}");
    }
    let (_, stagger) = strategy(&printed, "Stagger: FLOOR minute, RANGE 1m, arrival clock");
    assert_eq!(stagger.concat().matches(", part 2").count(), 1, "{stagger:?}");
    for name in ["STEP 30s, event clock", "Sliding 1m every 30s"] {
        strategy(&printed, name);
    }
}

#[test]
fn timeline_draws_a_window_with_its_ends_and_events() {
    let folder = Folder::new("drawing");
    let events = folder.file("events.txt", "# happened received\n0 0\n48 48\n\n95 95\n");
    let mut command = example("timeline");
    command.arg("--events").arg(events).args(["--gap", "1m", "--step", "1h", "--floor", "hour", "--range", "1h"]);
    let printed = succeed(command.args(["--sliding", "1h", "--max-duration", "1h"]));
    let (_, gap) = strategy(&printed, "Gap 1m");
    assert_eq!(gap[1], "3 gap");
    assert_eq!(gap[0].matches('●').count(), 3);
    assert!(gap[0].starts_with("●━") && gap[0].contains("━●━") && gap[0].contains("━●─"), "{}", gap[0]);
}

#[test]
fn timeline_shows_what_is_too_late() {
    let folder = Folder::new("late");
    let events = folder.file("events.txt", "100\n200\n20\n");
    let printed = succeed(example("timeline").arg("--events").arg(events).args(["--out-of-order", "10s"]));
    let (title, step) = strategy(&printed, "STEP 30s, event clock");
    assert!(title.contains("  2 sessions: "), "{title}");
    assert_eq!(step[2..], ["×", "× 1 handed back, too late"]);
    let (_, stagger) = strategy(&printed, "Stagger: FLOOR minute, RANGE 1m, arrival clock");
    assert!(!stagger.concat().contains('×'), "nothing is late on the arrival clock");
}

#[test]
fn timeline_writes_a_picture_that_stands_alone() {
    let folder = Folder::new("picture");
    let path = folder.0.join("timeline.svg");
    succeed(example("timeline").arg("--svg").arg(&path));
    let svg = std::fs::read_to_string(&path).expect("the picture is written");
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert!(!svg.contains("href") && !svg.contains("<script") && !svg.contains("url("), "it needs something else");
    // 9 steps, 5 minutes, 6 staggered, 3, 2, 5 and 4 by gap, 10 sliding.
    assert_eq!(svg.matches("<g><title>").count(), 44);
    assert_eq!(svg.matches("<g>").count(), svg.matches("</g>").count());
    assert!(svg.contains(
        "<g><title>Gap 30s, inclusive: 11 gap, [2018-11-29T23:58:05.000000Z, 2018-11-30T00:01:35.000000Z)</title>"
    ));
}

#[test]
fn timeline_says_what_is_wrong_with_its_input() {
    let folder = Folder::new("wrong");
    let cases = [
        ("1\nnoon\n", vec![], "line 2 is not `SECONDS` or `SECONDS ARRIVAL`, such as `12.5 13`: noon\n"),
        ("1 2 3\n", vec![], "line 1 is not `SECONDS` or `SECONDS ARRIVAL`, such as `12.5 13`: 1 2 3\n"),
        ("# nothing\n", vec![], "there are no events in "),
        ("1\n", vec!["--gap", "0s"], "the gap is zero"),
    ];
    for (content, options, message) in cases {
        let events = folder.file("events.txt", content);
        let output = example("timeline").arg("--events").arg(events).args(options).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(text(&output.stderr).starts_with(message), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}
