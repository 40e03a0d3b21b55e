//! Messages about careless commands and strange names: table by table.

use crate::support::*;

fn said(input: &str, arguments: &str) -> (i32, String) {
    let ran = run_on(input, &words(arguments));
    (ran.status, ran.said)
}

#[test]
fn careless_values_are_understood_or_explained() {
    let input = "user,time\nann,2018-10-28T02:30:00Z\nann,2018-10-28T03:30:00Z\n";
    let rows = |options: &str| {
        let rows = ok(input, &format!("--key user --time time {options}")).rows();
        pick(&rows, "window_start count")
    };
    let days = ["2018-10-27T03:00:00.000000Z 1", "2018-10-28T03:00:00.000000Z 1"];
    assert_eq!(rows("--floor day --zone -03:00"), days);
    assert_eq!(rows("--floor day --zone=-03:00"), days);
    let range = "--range is for --stagger only";
    let length = "a length of time cannot be negative: say 5m";
    for (options, sentence) in [
        ("--gap -5m", &format!("invalid value '-5m' for '--gap <LENGTH>': {length}")[..]),
        ("--step -5m", &format!("invalid value '-5m' for '--step <LENGTH>': {length}")),
        ("--out-of-order -5m", &format!("invalid value '-5m' for '--out-of-order <LENGTH>': {length}")),
        ("--sliding -5m/1m", &format!("invalid value '-5m/1m' for '--sliding <SIZE/SLIDE>': {length}")),
        ("--range 30s", range),
        ("--gap 5m --range 30s", range),
        ("--step 5m --range 30s", range),
        ("--stagger none", "--stagger needs a --range: how long a window stays open, such as --range 30s"),
        ("--allowed-lateness 5m", "--allowed-lateness is for streams only: say --out-of-order too"),
        ("--stagger 30s --range 30s", "invalid value '30s' for '--stagger <BUCKET>': say step=30s"),
        ("--stagger minute --range 30s", "invalid value 'minute' for '--stagger <BUCKET>': say floor=minute"),
        (
            "--out-of-order 1s --update-every-events 0",
            "invalid value '0' for '--update-every-events <N>': 0 is not 1 or more",
        ),
        ("--output rows.json", "rows.json would be CSV: say --output-format jsonl, or csv if that is meant"),
        ("--output rows.xlsx", "rows.xlsx would be CSV, which spreadsheets open too: name it rows.csv"),
        ("--output rows.csv.gz", "rows.csv.gz would not be packed: leave out its ending, and pack it with gzip then"),
        (
            "--events e.zst --output-format jsonl",
            "e.zst would not be packed: leave out its ending, and pack it with zstd then",
        ),
        (
            "--sum time,",
            "invalid value '' for '--sum <F[,F...]>': it names no field: write its name; names in a list have a comma between them",
        ),
        (
            "--delimiter ;",
            "standard input has no field `user`; it has user,time; that is one name: another --delimiter separates them",
        ),
        ("-o x", "there is no option -o; did you mean --output, --output-format or --out-of-order?"),
        ("gap=5m", "cannot read gap=5m: no such file or directory; did you mean --gap=5m?"),
        ("--max-delay 5m", "--max-delay is for streams only: say --out-of-order too"),
        (
            "--floor day --zone -3",
            "invalid value '-3' for '--zone <ZONE>': a zone is a name such as Europe/Berlin, or an offset such as +05:45",
        ),
    ] {
        let (status, said) = said(input, &format!("- --key user --time time {options}"));
        assert_eq!((status, said), (2, format!("files: {sentence}\n")), "{options}");
    }
    // Names in a list may have blanks around them; values that can be listed are taken in capitals too.
    let ran = run_on(input, &["-", "--key", " user, time ", "--time", "time", "--output-format", "CSV"]);
    assert_eq!((ran.status, pick(&ran.rows(), "user")), (0, vec!["ann".to_owned(), "ann".to_owned()]), "{}", ran.said);
    let swapped = ok(input, "--key user --time time --sliding 1m/10m").said;
    assert!(swapped.contains("for windows that overlap the size comes first: --sliding 10m/1m\n"), "{swapped}");
}

#[test]
fn no_name_or_cell_commands_a_terminal() {
    let ugly = "\u{1b}[31mred\u{202e}";
    let folder = Folder::new();
    let path = folder.write(&format!("{ugly}.csv"), format!("user,{ugly}\nann,{ugly}\n"));
    for arguments in [
        format!("{path} --key user --time when"),
        format!("{path} --key user --time {ugly}"),
        format!("{path} --key user --time {ugly} --report"),
        format!("{path} --key {ugly}:int --time user --report"),
        format!("{path} --key user --time when --gap {ugly}"),
        format!("{path} --{ugly}"),
        format!("{path} --key user:{ugly} --time when"),
        format!("{path}{ugly} --key user --time when"),
        format!("{path} --key user --time {ugly} --output {path}"),
        format!("{path} --key user --time {ugly} --output /none/{ugly}"),
    ] {
        let ran = run_on("", &words(&arguments));
        let shown = ran.said + &ran.out;
        assert_ne!(ran.status, 0, "{arguments}");
        assert!(shown.contains("red"), "{arguments:?}: {shown:?}");
        assert!(!shown.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{shown:?}");
    }
}

#[test]
fn long_names_and_cells_are_cut() {
    let long = "x".repeat(100_000);
    let many: Vec<String> = (0..5_000).map(|n| format!("column_{n}")).collect();
    for (input, arguments) in [
        (format!("user,{long}\nann,1\n"), "- --key user --time when"),
        (format!("user,time\nann,{long}\n"), "- --key user --time time"),
        (format!("{{\"user\":1,\"time\":\"{long}\"}}\n"), "- --key user --time time"),
        (format!("{}\n1\n", many.join(",")), "- --key user --time when"),
        (format!("{}\n1\n", many.join(",")), "- --time when"),
        ("user,time\n".to_owned(), &format!("- --key {long} --time time")),
        ("user,time\n".to_owned(), &format!("- --key user --time time --gap {long}")),
    ] {
        let (status, said) = said(&input, arguments);
        assert_ne!(status, 0);
        assert!(said.lines().all(|line| line.chars().count() < 2_100), "{} letters", said.len());
    }
    let (_, said) = said(&format!("{}\n1\n", many.join(",")), "- --key user --time when");
    assert!(said.ends_with(", column_18, column_19 and 4980 more\n"), "{said}");
}

#[test]
fn a_key_named_like_a_column_gets_a_prefix() {
    for key in ["count", "session_id", "reason", "bucket", "revision", "first_event"] {
        let input = format!("{key},time\nann,1543534500\n");
        let ran = ok(&input, &format!("--key {key} --time time"));
        assert_eq!(pick(&ran.rows(), &format!("key_{key}")), ["ann"]);
        let ran = ok(&input, &format!("--key {key} --time time --output-format jsonl"));
        assert_eq!(json_lines(&ran.out)[0][format!("key_{key}")], "ann");
    }
    let ran = ok("count,key_count,time\nann,b,1543534500\n", "--key count,key_count --time time");
    assert_eq!(pick(&ran.rows(), "key_key_count key_count count"), ["ann b 1"]);
}

#[test]
fn the_version_is_said() {
    let ran = run_on("", &["--version"]);
    assert_eq!((ran.status, ran.out), (0, format!("files {}\n", env!("CARGO_PKG_VERSION"))));
}
