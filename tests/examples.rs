//! Runs the short examples and checks their output.
//!
//! `cargo test` without further choice builds the examples. `cargo test --test examples` does not: it
//! runs the last build, so say `cargo build --examples` before. (`cargo test --example NAME`
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
        let _ = std::fs::remove_dir_all(&path); // of a process of the same number, which was killed
        std::fs::create_dir(&path).expect("the folder is new");
        Self(path)
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
fn dashboard_tags_clicks_and_replaces_what_it_has_shown() {
    assert_eq!(
        succeed(&mut example("dashboard")),
        "\
at   4 s ann /beer: click 1 of f43f46
at   7 s bob /: click 1 of 6e0c42
  board: f43f46 ann 1 clicks, now at /beer (open)
  board: 6e0c42 bob 1 clicks, now at / (open)
at  12 s ann /cart: click 2 of f43f46
  board: 6b6181 ann 3 clicks, now at /cart (open), in place of f43f46
at   1 s ann /: click 3 of 6b6181
at  35 s bob /beer: click 2 of 6e0c42
at  38 s ann /checkout: click 4 of 6b6181
  board: 6e0c42 bob 2 clicks, now at /beer (over), in place of 6e0c42
  board: 6b6181 ann 4 clicks, now at /checkout (over), in place of 6b6181
at 100 s bob /: click 1 of 0bcc48
  board: 0bcc48 bob 1 clicks, now at / (over)
3 visits
"
    );
}

#[test]
fn service_closes_by_its_timer_what_the_run_before_left_open() {
    let folder = Folder::new("service");
    let mut command = example("service");
    assert_eq!(
        succeed(command.env("TMPDIR", &folder.0).env("TEMP", &folder.0).env("TMP", &folder.0)),
        "\
first run: 4 clicks, 2 visits open
second run: goes on with 2 visits
  bob: 1 clicks, last / (gap)
  ann: 3 clicks, last /beer (gap)
ended with 0 visits open
"
    );
    assert_eq!(std::fs::read_dir(&folder.0).expect("the folder is there").count(), 0, "it left files behind");
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
