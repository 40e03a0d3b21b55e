//! The lines of `generate`.

use clap::Parser;
use generate::Options;

#[test]
fn no_arrival_leaves_out_the_arrival_and_nothing_else() {
    let clicks = |flags: &[&str]| {
        let arguments = ["generate", "--events", "200", "--rate", "10", "--disorder", "5s"];
        let options = Options::try_parse_from(arguments.iter().chain(flags)).unwrap();
        let mut lines = Vec::new();
        options.write(&mut lines).unwrap();
        String::from_utf8(lines).unwrap()
    };
    let (with, without) = (clicks(&[]), clicks(&["--no-arrival"]));
    let cut = |line: &str| line.split_once(r#", "arrival_timestamp""#).map(|(rest, _)| format!("{rest}}}\n"));
    let expected: Option<String> = with.lines().map(cut).collect();
    assert!(without.lines().count() >= 200);
    assert_eq!(Some(without), expected);
}
