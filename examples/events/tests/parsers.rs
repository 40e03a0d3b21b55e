//! The edge where anything may come in: lines and parsers, on bytes good and bad.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use events::columns::{Columns, KeyKind};
use events::parse::client::Forwarded;
use events::parse::combined::Combined;
use events::parse::csv::{Csv, Dialect, Row};
use events::parse::jsonl::Jsonl;
use events::parse::layout::{Layout, Layouted};
use events::parse::times::{TimeFormat, TimeMeaning, TimeReader};
use events::parse::w3c::W3c;
use events::parse::{Line, Parser, Record, Reject, Wanted, keys};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stagger::Timestamp;

fn wanted(keys: &[&str], time: &str, value: Option<&str>) -> Wanted {
    Wanted::new(&Columns::declared(keys).unwrap(), time, None, value, &any_time())
}

/// Small numbers are times too.
fn any_time() -> TimeMeaning {
    TimeMeaning { span: "..2200".parse().unwrap(), ..TimeMeaning::default() }
}

/// A parser of CSV behind this header.
fn csv(wanted: Wanted, header: &str) -> Csv {
    let mut parser = Csv::new(wanted, Dialect::default());
    parser.parse_each(Line::Text(header), |_, _| panic!("a header is no record"));
    parser
}

/// The content of a record, without its borrows.
type Owned = Result<(String, i64, String), String>;

fn owned(result: Result<Record<'_>, Reject>) -> Owned {
    let record = result.map_err(|reject| reject.to_string())?;
    Ok((record.key.to_owned(), record.time.as_micros(), record.value.to_owned()))
}

fn ok(key: &str, secs: i64, value: &str) -> Owned {
    Ok((key.to_owned(), secs * 1_000_000, value.to_owned()))
}

fn bad(reason: &str) -> Owned {
    Err(reason.to_owned())
}

mod json {
    use super::*;

    fn read(line: impl AsRef<[u8]>) -> Owned {
        owned(Jsonl::new(wanted(&["u"], "t", Some("v"))).parse(line.as_ref()))
    }

    #[test]
    fn numbers_and_texts_are_the_same_key() {
        assert_eq!(read(r#"{"u": 1, "t": 5, "v": "x"}"#), ok("1", 5, "x"));
        assert_eq!(read(r#"{"u": "1", "t": "5", "v": "x"}"#), ok("1", 5, "x"));
        assert_eq!(read(r#"{"u": -7, "t": 5, "v": 2.5}"#), ok("-7", 5, "2.5"));
        assert_eq!(read(r#"{"u": true, "t": 5, "v": false}"#), ok("true", 5, "false"));
    }

    #[test]
    fn an_empty_key_is_a_key_but_null_and_nothing_are_not() {
        assert_eq!(read(r#"{"u": "", "t": 5}"#), ok("", 5, ""));
        assert_eq!(read(r#"{"u": null, "t": 5}"#), bad("`u` is null"));
        assert_eq!(read(r#"{"t": 5}"#), bad("`u` is missing"));
        assert_eq!(read(r#"{"u": 1}"#), bad("`t` is missing"));
        assert_eq!(read(r#"{"u": 1, "t": 5, "v": null}"#), ok("1", 5, ""));
    }

    #[test]
    fn of_a_name_given_twice_the_last_counts() {
        assert_eq!(read(r#"{"u": 1, "t": 5, "u": 2}"#), ok("2", 5, ""));
        assert_eq!(read(r#"{"u": 1, "t": 5, "u": null}"#), bad("`u` is null"));
    }

    #[test]
    fn what_is_not_one_value_is_rejected() {
        assert_eq!(read(r#"{"u": [1], "t": 5}"#), bad("`u` is an array; name one of its elements, such as `u[0]`"));
        assert_eq!(
            read(r#"{"u": {"id": 1}, "t": 5}"#),
            bad("`u` is an object; name one of its fields, as in `u.name`")
        );
        assert_eq!(
            read(r#"{"u": 123456789012345678901, "t": 5}"#),
            bad("`u` is a number too large to be read exactly: send it as a text")
        );
        assert_eq!(read(r#"{"u": 18446744073709551615, "t": 5}"#), ok("18446744073709551615", 5, ""));
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(read(r#"{"\u0075": "a\"\u00e9\n", "t": 5, "v": "\ud83c\udf7a"}"#), ok("a\"é\n", 5, "🍺"));
    }

    #[test]
    fn what_is_not_an_object_is_rejected() {
        for line in ["[1]", "1", "null", "\"u\""] {
            assert_eq!(read(line), bad("not a JSON object"), "{line}");
        }
        assert_eq!(read("{"), bad("not valid JSON: EOF while parsing an object at column 1"));
        assert_eq!(read(r#"{"u":1,"t":5} {}"#), bad("not valid JSON: trailing characters at column 15"));
        assert_eq!(read(b"{\"u\": 1, \"t\": 5, \"x\": \"\xff\"}"), bad("not valid UTF-8"));
        assert_eq!(read(r#"{"u": 1, "t": "yesterday"}"#), bad("`t` is not a time that can be read: \"yesterday\""));
    }

    #[test]
    fn fields_within_objects_have_dotted_names() {
        let read = |line: &str| owned(Jsonl::new(wanted(&["a.id", "r"], "a.t", Some("a.b.c"))).parse(line.as_bytes()));
        let joined = "7\u{1f}x";
        assert_eq!(read(r#"{"a": {"id": 7, "b": {"c": "deep"}, "t": 5}, "r": "x"}"#), ok(joined, 5, "deep"));
        assert_eq!(read(r#"{"a.id": 7, "a": {"t": 5}, "r": "x"}"#), ok(joined, 5, ""));
        assert_eq!(read(r#"{"a": {"id": 7, "t": 5}, "a": {"t": 6}, "r": "x"}"#), bad("`a.id` is missing"));
        assert_eq!(read(r#"{"a": 3, "r": "x"}"#), bad("`a.id` is missing"));
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(read(format!(r#"{{"u": 1, "t": 5, "x": {deep}}}"#)), ok("1", 5, ""));
        assert!(read(format!(r#"{{"u": {deep}, "t": 5}}"#)).is_err());
        assert!(read("{\"u\":".repeat(200_000)).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
        ];
        plain.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[abc]", inner), 0..4)
                    .prop_map(|fields| Value::from(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn as_text(value: Option<&Value>) -> Option<String> {
        match value? {
            Value::String(text) => Some(text.clone()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            plain => Some(plain.to_string()),
        }
    }

    proptest! {
        #[test]
        fn picks_what_a_tree_of_values_would_give(
            fields in prop::collection::vec(("[abct]", any_value()), 0..6),
        ) {
            // Written by hand, because a map cannot hold a name twice.
            let mut line = "{".to_owned();
            for (name, value) in &fields {
                let _ = write!(line, "{name:?}: {value}, ");
            }
            line.push_str("\"t\": 5}");
            let tree: Value = serde_json::from_str(&line).unwrap();
            for (name, pointer) in [("a", "/a"), ("a.b", "/a/b"), ("c.a.b", "/c/a/b")] {
                let expected = as_text(tree.pointer(pointer));
                let mut parser = Jsonl::new(wanted(&[name], "t", None));
                let found = parser.parse(line.as_bytes()).ok().map(|record| record.key.to_owned());
                prop_assert_eq!(found, expected, "{} in {}", name, line);
            }
        }
    }
}

/// The quick way through a line of JSON, against `serde_json` alone.
mod quick_json {
    use super::*;
    use blocks::{in_blocks, one_by_one};

    /// Values of every kind, right and wrong, that either way could see differently.
    const VALUES: &[&str] = &[
        "1",
        "0",
        "-1",
        "-0",
        "01",
        "-01",
        "-",
        "+1",
        "1.5",
        "1.",
        ".5",
        "1e5",
        "1E+2",
        "1e",
        "1e999",
        "-1.5e-3",
        "123456789012345678",
        "-123456789012345678",
        "1234567890123456789",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "null",
        "nul",
        "nullx",
        "true",
        "false",
        "True",
        "NaN",
        "",
        r#""""#,
        r#""x""#,
        r#""eight ch""#,
        r#""a text of more than sixteen""#,
        r#""é""#,
        r#""🍺 🍺""#,
        r#""a\nb""#,
        r#""a\"b""#,
        r#""\u00e9""#,
        r#""\ud83c\udf7a""#,
        r#""\ud800""#,
        r#""\x""#,
        "\"tab\there\"",
        "\"nul\0\"",
        "\"del\u{7f}\"",
        "\"open",
        r#""a text of more than thirty-two bytes, which no copy of a fixed length holds""#,
        r#""-""#,
        r#""2018-11-29T23:35:10.123456""#,
        r#""2018-11-29T23:35:11.123457""#,
        r#""2018-11-29T23:35:60.123457""#,
        r#""2018-11-29T23:35:11.123456Z""#,
        r#""2018-11-29T23:36:11.123457""#,
        r#""2018-11-29T23:60:11.123457""#,
        r#""\u001f""#,
        "[]",
        "[1, 2]",
        "[1,]",
        "[1 2]",
        r#"["\ud800"]"#,
        "[[[]]]",
        "[",
        "]",
        "{}",
        r#"{"b": 1}"#,
        r#"{"b":1 "b":2}"#,
        r#"{"b": {"c": "x"}}"#,
        r#"{"c": 5, "b": "y"}"#,
        r#"{"b": 1,}"#,
        r#"{"\ud800": 1}"#,
        r#"{"b": [{"b": null}]}"#,
        "{",
        "}",
        "1 1",
        "1,",
    ];
    const NAMES: &[&str] =
        &["u", "t", "v", "a", "a.b", "b", "x", r"\u0075", r"\ud800", "é", "", "u\t", "a long name", LONG_NAME];
    const LONG_NAME: &str = "a name that is longer than what is compared at once";
    const BLANKS: &[&str] = &["", "", "", " ", "  ", "\t", "\r", "\n ", "\u{a0}"];

    fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
        prop::sample::select(texts)
    }

    /// Lines of one layout that may be of the quick kind: they differ in their values. Rarely there
    /// is a comma or a colon too few.
    fn alike() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let name = prop_oneof![4 => one_of(&NAMES[..5]), 1 => one_of(NAMES)];
        let mark = |mark: &'static str| prop_oneof![40 => Just(mark), 1 => Just(""), 1 => Just(",,")];
        let blanks = prop_oneof![4 => Just(""), 1 => one_of(BLANKS)];
        let field = (name, mark(":"), mark(","), [blanks.clone(), blanks.clone(), blanks.clone(), blanks]);
        let plain = prop_oneof![Just("1"), Just(r#""x""#), Just("null"), Just("5")];
        let nested = prop_oneof![Just(r#"{"b": 1}"#), Just(r#"{"b": {"c": "x"}}"#), Just(r#"{"c": 5}"#), Just("{}")];
        let value = prop_oneof![4 => plain, 1 => nested, 2 => one_of(VALUES)];
        let values = prop::collection::vec(value, 6);
        (prop::collection::vec(field, 0..6), prop::collection::vec(values, 1..5)).prop_map(|(fields, lines)| {
            let line = |values: Vec<&str>| {
                let mut line = "{".to_owned();
                for (i, (&(name, colon, comma, [a, b, c, d]), value)) in fields.iter().zip(values).enumerate() {
                    let comma = if i == 0 { "" } else { comma };
                    let _ = write!(line, "{a}{comma}{b}\"{name}\"{c}{colon}{d}{value}");
                }
                (line + "}").into_bytes()
            };
            lines.into_iter().map(line).collect()
        })
    }

    fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let others = prop_oneof![4 => nearly(SEEDS), 1 => prop::collection::vec(any::<u8>(), 0..40)];
        let lines = prop_oneof![3 => alike(), 1 => prop::collection::vec(others, 1..3)];
        // Some come again, since a line is read by the form of the lines before.
        (prop::collection::vec(lines, 1..4), prop::collection::vec(any::<prop::sample::Index>(), 0..12)).prop_map(
            |(lines, order)| {
                let lines = lines.concat();
                order.iter().map(|index| index.get(&lines).clone()).chain(lines.clone()).collect()
            },
        )
    }

    proptest! {
        // Eight times the usual 256, or what PROPTEST_CASES says.
        #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

        #[test]
        fn is_the_same_as_the_thorough_way(lines in lines()) {
            for fields in [
                || wanted(&["u"], "t", Some("v")),
                || wanted(&["a.b", "u"], "t", Some("a")),
                || wanted(&["u", "a"], "t", None),
                || wanted(&["a.b.c"], "u", None),
                || wanted(&["a.b"], "u", Some("a")),
                || wanted(&["a"], "u", Some("a.b")),
            ] {
                let (mut quick, mut thorough) = (Jsonl::new(fields()), Jsonl::thorough(fields()));
                for line in &lines {
                    let expected = owned(thorough.parse(line));
                    prop_assert_eq!(owned(quick.parse(line)), expected, "{}", String::from_utf8_lossy(line));
                }
            }
        }
    }

    #[test]
    fn a_line_is_framed_alike_whether_or_not_the_next_one_has_been_read() {
        let file = b" {\"b\": 1}}\n{\"u\": 1}\n";
        let fields = || wanted(&["u"], "t", Some("v"));
        let expected = one_by_one(file, Jsonl::thorough(fields()));
        for block in 1..=file.len() {
            assert_eq!(in_blocks(file, Jsonl::new(fields()), block, usize::MAX), expected, "blocks of {block}");
        }
    }

    proptest! {
        #[test]
        fn is_the_same_in_a_file(
            lines in lines(),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\n\n", " \n"]), 40),
            block in 1..200_usize,
        ) {
            let mut file = Vec::new();
            for (line, end) in lines.iter().zip(ends) {
                file.extend_from_slice(line);
                file.extend_from_slice(end.as_bytes());
            }
            for fields in [
                || wanted(&["u"], "t", Some("v")),
                || wanted(&["u", "v", "a"], "t", None),
                || wanted(&["a.b"], "u", Some("a")),
            ] {
                let expected = one_by_one(&file, Jsonl::thorough(fields()));
                prop_assert_eq!(in_blocks(&file, Jsonl::new(fields()), block, usize::MAX), expected);
            }
        }
    }

    /// In the same minute as the time before it, in the same field or in another one of the same name.
    #[test]
    fn a_time_is_read_as_if_it_were_the_first() {
        const TIMES: [&str; 14] = [
            r#""2018-11-29T23:35:10.123456""#,
            r#""2018-11-29T23:35:59.999999""#,
            r#""2018-11-29T23:35:60.000000""#,
            r#""2018-11-29T23:35:10.123456Z""#,
            r#""2018-11-29T23:35:10.123456 UTC""#,
            r#""2018-11-29T23:35:10.123456+01:00""#,
            r#""2018-11-29T23:35:10.1234567""#,
            r#""2018-11-29T23:35:10.12345x""#,
            r#""2018-11-29T23:36:10.123456""#,
            r#""2018-11-29\t23:35:10.123456""#,
            "\"2018-11-29\t23:35:10.123456\"",
            "\"2018-11-29T23:35:10.123456",
            "5",
            "null",
        ];
        let once = |time: &str| format!("{{\"u\": 1, \"t\": {time}}}\n");
        let twice = |time: &str, other: &str| format!("{{\"t\": {time}, \"u\": 1, \"t\": {other}}}\n");
        let (new, thorough) = (|| Jsonl::new(wanted(&["u"], "t", None)), || Jsonl::thorough(wanted(&["u"], "t", None)));
        for time in TIMES {
            for other in TIMES {
                let [first, second, third, fourth] = [once(time), once(other), twice(time, time), twice(time, other)];
                let alone = [&second, &fourth].map(|line| one_by_one(line.as_bytes(), thorough()).0);
                let layouts = [once("5"), twice("5", "5")];
                let file = [layouts.concat(), first, second, third, fourth].concat();
                let found = in_blocks(file.as_bytes(), new(), 1_000, usize::MAX);
                assert_eq!(found, one_by_one(file.as_bytes(), thorough()), "{file}");
                let found = [&found.0[3], &found.0[5]].map(|(_, record, _)| record.clone());
                assert_eq!(found, alone.map(|alone| alone[0].1.clone()), "{file}");
            }
        }
    }

    #[test]
    fn a_value_may_go_on_in_the_next_line() {
        let file = b"{\"u\": 1, \"t\": 5, \"x\": [1, 2]}\n{\"u\": 1, \"t\": 5, \"x\": [1,\n 2]}\n";
        let objects = || Jsonl::new(wanted(&["u"], "t", None));
        let found = in_blocks(file, objects(), 1_000, usize::MAX);
        let lines: Vec<u64> = found.0.iter().filter(|(_, result, _)| result.is_ok()).map(|(line, ..)| *line).collect();
        assert_eq!((lines, found.1), (vec![1, 2], 3));
        assert_eq!(found, one_by_one(file, objects()));
    }

    #[test]
    fn very_deep_names_are_not_read_the_quick_way() {
        let depth = 130;
        let name = vec!["a"; depth].join(".");
        let line = format!("{{\"t\":5,{}1{}", &"{\"a\":".repeat(depth)[1..], "}".repeat(depth));
        let fields = || wanted(&[&name], "t", None);
        let expected = owned(Jsonl::thorough(fields()).parse(line.as_bytes()));
        assert_eq!(expected, ok("1", 5, ""));
        assert_eq!(owned(Jsonl::new(fields()).parse(line.as_bytes())), expected);
    }
}

/// Reading on a thread of its own, in blocks, against one record after the other.
mod blocks {
    use std::io::{Cursor, Read};

    use super::*;
    use events::batch::Item;
    use events::lines::Lines;
    use events::reading::Reading;

    pub(super) type Found = (Vec<(u64, Owned, Vec<u8>)>, u64, u64);

    pub(super) fn one_by_one(file: &[u8], mut parser: impl Parser) -> Found {
        let mut lines = Lines::new(file);
        let mut found = Vec::new();
        while let Some(framed) = lines.next(&mut parser).unwrap() {
            let line = framed.line;
            let mut push = |bytes: &[u8], result: Result<Record<'_>, Reject>| {
                let result = owned(result);
                let rejected = if result.is_err() { bytes.to_vec() } else { Vec::new() };
                found.push((line, result, rejected));
            };
            match framed.whole {
                Ok(()) => parser.parse_each(Line::Bytes(framed.bytes), push),
                Err(reject) => push(framed.bytes, Err(reject)),
            }
        }
        (found, lines.count(), lines.empty())
    }

    /// Gives a byte, or a few, at a time.
    struct Slow(Cursor<Vec<u8>>, usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = self.1.min(buffer.len());
            self.0.read(&mut buffer[..most])
        }
    }

    pub(super) fn in_blocks(file: &[u8], parser: impl Parser + Send + 'static, block: usize, at_once: usize) -> Found {
        let input = Slow(Cursor::new(file.to_vec()), at_once);
        let mut reading = Reading::start(Lines::in_blocks(input, block), parser);
        let (mut found, mut count, mut empty) = (Vec::new(), 0, 0);
        while let Some(batch) = reading.next() {
            for item in batch.iter() {
                found.push(match item {
                    Item::Record(line, record) => (line, owned(Ok(record)), Vec::new()),
                    Item::Rejected(bad) => (bad.line, Err(bad.reject.to_string()), bad.bytes.to_vec()),
                });
            }
            count += batch.lines;
            empty += batch.empty;
            assert!(batch.failure.is_none());
            reading.give_back(batch);
        }
        (found, count, empty)
    }

    fn rows() -> Csv {
        csv(wanted(&["u"], "t", Some("v")), "u,t,v")
    }

    const PARTS: &[&str] = &[
        "\n",
        "\n",
        "\r\n",
        "\"",
        "\"\"",
        ",",
        " ",
        "1",
        "é",
        "\0",
        "1,5,x\n",
        "4,8,z\r\n",
        "\u{feff}",
        "\u{feff}5,9,z\n",
        "v,u,t\n",
        "u,t,v\n",
        "4,2018-11-29T23:35:10.123456,a text of more than thirty-two bytes\n",
        "4,2018-11-29T23:35:11.123457,-\n",
        "-,2018-11-29T23:35:11.123457,\u{1f}\n",
        "\t",
        "1,5,\"x\"\n",
        "2,6,\"one\ntwo\"\n",
        "3,7,\"never closed\n",
        "{\"u\": 1, \"t\": 5}\n",
        "{\"u\": null, \"t\": 5}\n",
        "{\"u\": 1, \"t\": 5},\n",
        "\x1e{\"u\": 1, \"t\": 5}\n",
    ];

    fn file() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            8 => prop::sample::select(PARTS).prop_map(|part| part.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn give_the_same_records_lines_and_rejects(file in file(), block in 1..40_usize, at_once in 1..40_usize) {
            let of_two = || csv(wanted(&["u", "v"], "t", Some("v")), "u,t,v");
            prop_assert_eq!(in_blocks(&file, rows(), block, at_once), one_by_one(&file, rows()));
            prop_assert_eq!(in_blocks(&file, of_two(), block, at_once), one_by_one(&file, of_two()));
            let objects = || Jsonl::new(wanted(&["u"], "t", Some("v")));
            prop_assert_eq!(in_blocks(&file, objects(), block, at_once), one_by_one(&file, objects()));
        }
    }

    /// Records that are there are handed over before more input is waited for.
    #[test]
    fn nothing_is_held_back_while_the_input_pauses() {
        let (input, mut feed) = std::io::pipe().unwrap();
        let mut reading = Reading::start(Lines::new(input), Jsonl::new(wanted(&["u"], "t", None)));
        for line in ["{\"u\": 1, \"t\": 5}\n{\"u\"", ": 2, \"t\": 5}\n", "not used\n"] {
            std::io::Write::write_all(&mut feed, line.as_bytes()).unwrap();
            let batch = reading.next().unwrap();
            assert_eq!(batch.iter().count(), 1);
            reading.give_back(batch);
        }
        drop(feed);
        assert_eq!(reading.next().map(|batch| batch.iter().count()), Some(0));
        assert!(reading.next().is_none());
    }

    #[test]
    fn a_failure_comes_behind_the_records_before_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("broken"))
            }
        }
        let input = Cursor::new("1,5,x\n2,5,\"y\n").chain(Broken);
        let mut reading = Reading::start(Lines::new(input), rows());
        let first = reading.next().unwrap();
        assert_eq!((first.iter().count(), first.failure.is_none()), (1, true));
        let second = reading.next().unwrap();
        assert_eq!(second.failure.as_ref().map(ToString::to_string), Some("broken".to_owned()));
        assert!(reading.next().is_none());
    }

    #[test]
    fn empty_lines_are_no_rows_of_one_column() {
        let rows = || csv(wanted(&["t"], "t", None), "t");
        let file = b"1543534510\n\n        \n1543534511\r\n\r\n1543534512\n";
        let found = in_blocks(file, rows(), 1_000, usize::MAX);
        assert_eq!((found.0.len(), found.1, found.2), (3, 6, 3));
        assert_eq!(found, one_by_one(file, rows()));
    }

    /// Batches of such lines wait for each other; none waits for ever.
    #[test]
    fn very_long_lines_are_handed_over_too() {
        let text = "x".repeat(2 << 20);
        let file = format!("1,5,{text}\n2,6,\"{text}\n3,7,y\n").repeat(4).into_bytes();
        assert_eq!(in_blocks(&file, rows(), 100_000, usize::MAX), one_by_one(&file, rows()));
    }

    #[test]
    fn a_line_too_long_is_one_reject_among_the_others() {
        let mut file = b"1,5,x\n".to_vec();
        file.resize(file.len() + (20 << 20), b'9');
        file.extend_from_slice(b"\n\n2,6,y\n");
        let (found, count, empty) = in_blocks(&file, rows(), 100_000, usize::MAX);
        assert_eq!((found[0].clone(), found[2].clone()), ((1, ok("1", 5, "x"), vec![]), (4, ok("2", 6, "y"), vec![])));
        assert_eq!((found[1].0, &found[1].1, found[1].2.len()), (2, &bad("longer than 16 MiB"), 1 << 20));
        assert_eq!((found.len(), count, empty), (3, 4, 1));
    }
}

mod csv_rows {
    use super::*;
    use events::lines::Lines;

    /// The rows of a whole file below its header, or the line and reason of each that is rejected.
    fn read(file: &[u8]) -> Vec<(u64, Owned)> {
        let parser = Csv::new(wanted(&["u"], "t", Some("v")), Dialect::default());
        let (rows, ..) = blocks::one_by_one(file, parser);
        rows.into_iter().map(|(line, result, _)| (line, result)).collect()
    }

    #[test]
    fn columns_are_found_by_name_whatever_their_order() {
        assert_eq!(read(b"v,x,t,u\na,b,5,c\n"), [(2, ok("c", 5, "a"))]);
        let mut parser = csv(wanted(&["u"], "when", None), "u,t");
        assert_eq!(owned(parser.parse(b"1,5")), bad("`when` is missing"));
    }

    #[test]
    fn line_ends_empty_lines_and_a_missing_last_line_end_do_not_matter() {
        assert_eq!(read(b"u,t,v\r\n\r\n1,5,x\r\n\n  \n2,6,y"), [(3, ok("1", 5, "x")), (6, ok("2", 6, "y"))]);
    }

    #[test]
    fn quoted_fields_hold_commas_quotes_and_line_ends() {
        let file = b"u,t,v\n\"a,\"\"b\"\"\",5,\"one\ntwo\"\n2,6,\"\"\n";
        assert_eq!(read(file), [(2, ok("a,\"b\"", 5, "one\ntwo")), (4, ok("2", 6, ""))]);
    }

    #[test]
    fn a_row_of_another_width_is_rejected() {
        let rows = read(b"u,t,v\n1,5\n1,5,x,y\n2,6,y\n");
        let expected = [
            (2, bad("2 columns where the header has 3")),
            (3, bad("4 columns where the header has 3")),
            (4, ok("2", 6, "y")),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_one_line() {
        let never =
            "a quoted field is never closed, or goes on after its closing quote (a quote within is written twice)";
        let mut file = b"u,t,v\n1,5,\"open\n2,6,\"two\nlines\"\n".to_vec();
        assert_eq!(read(&file)[0], (2, bad(never)));
        assert_eq!(read(&file)[1], (3, ok("2", 6, "two\nlines")));
        let rows = [(2, bad(never)), (3, ok("2", 6, "y")), (4, ok("3", 7, "z"))];
        assert_eq!(read(b"u,t,v\n1,5,\"open\n2,6,y\n3,7,z\n"), rows);
        for row in 0..3_000 {
            file.extend_from_slice(format!("{row},7,x\n").as_bytes());
        }
        let rows = read(&file);
        assert_eq!(rows.len(), 3_002);
        assert_eq!(rows.last(), Some(&(3_004, ok("2999", 7, "x"))));
        assert_eq!(read(b"u,t,v\n1,5,\"x\" y\n2,6,x\"y\n"), [(2, bad(never)), (3, ok("2", 6, "x\"y"))]);
    }

    #[test]
    fn bytes_that_are_not_text_are_rejected_where_they_matter() {
        let rows = read(b"u,t,v,x\n\xff,5,x,\n1,5,\xff,\n1,5,x,\xff\n");
        let reasons = [(2, bad("`u` is not valid UTF-8")), (3, bad("`v` is not valid UTF-8")), (4, ok("1", 5, "x"))];
        assert_eq!(rows, reasons);
    }

    /// The fields of all rows, cut and split here; `None` if some quotes do not match.
    fn rows_here(file: &[u8]) -> Option<Vec<Vec<Vec<u8>>>> {
        let mut parser = Csv::new(wanted(&["u"], "t", None), Dialect::default());
        let mut lines = Lines::new(file);
        let mut rows = Vec::new();
        while let Some(framed) = lines.next(&mut parser).unwrap() {
            framed.whole.ok()?;
            let mut row = Row::default();
            if !row.split(framed.bytes, b',') {
                return None;
            }
            rows.push((0..row.width()).map(|index| row.field(index).to_vec()).collect());
        }
        Some(rows)
    }

    proptest! {
        #[test]
        fn splits_as_the_csv_crate_does(file in prop::collection::vec(prop::sample::select(b"a,\",\"\n".to_vec()), 0..40)) {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&file[..]);
            let theirs: Vec<Vec<Vec<u8>>> =
                reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect()).collect();
            if let Some(ours) = rows_here(&file) {
                prop_assert_eq!(ours, theirs);
            } else {
                // The crate forgives everything; but without a closing quote there is one field less.
                prop_assert!(file.contains(&b'"'));
            }
        }
    }
}

mod access_log {
    use super::*;

    const LINE: &str = r#"shop:443 83.149.9.216 id frank [17/May/2015:10:05:03 +0200] "GET /a b?c=\"d\" HTTP/1.1" 200 203 "http://x/" "Mozilla/5.0 (\"q\")""#;

    fn field(name: &str, line: &[u8]) -> Result<String, String> {
        let wanted = wanted(&[name], "time", None);
        let mut parser = Combined::new(wanted, Forwarded::First).map_err(|name| format!("unknown {name}"))?;
        owned(parser.parse(line)).map(|(key, ..)| key)
    }

    #[test]
    fn every_field_has_a_name() {
        let expected = [
            ("address", "83.149.9.216"),
            ("ident", "id"),
            ("user", "frank"),
            ("time", "17/May/2015:10:05:03 +0200"),
            ("method", "GET"),
            ("path", r#"/a b?c=\"d\""#),
            ("protocol", "HTTP/1.1"),
            ("request", r#"GET /a b?c=\"d\""#),
            ("status", "200"),
            ("bytes", "203"),
            ("referrer", "http://x/"),
            ("agent", r#"Mozilla/5.0 (\"q\")"#),
            ("host", "shop:443"),
        ];
        assert_eq!(expected.map(|(name, _)| name), events::parse::combined::FIELDS);
        for (name, text) in expected {
            assert_eq!(field(name, LINE.as_bytes()), Ok(text.to_owned()));
        }
        assert_eq!(field("size", LINE.as_bytes()), Err("unknown size".to_owned()));
        assert_eq!(
            owned(Combined::new(wanted(&["user"], "time", None), Forwarded::First).unwrap().parse(LINE.as_bytes()))
                .unwrap()
                .1,
            1_431_849_903_000_000
        );
    }

    #[test]
    fn the_common_format_has_no_agent_and_longer_ones_have_more() {
        let common = LINE.split(" \"http").next().unwrap();
        assert_eq!(field("bytes", common.as_bytes()), Ok("203".to_owned()));
        assert_eq!(field("agent", common.as_bytes()), Err("`agent` is missing".to_owned()));
        let longer = format!("{LINE} 0.005 \"-\"");
        assert_eq!(field("agent", longer.as_bytes()), Ok(r#"Mozilla/5.0 (\"q\")"#.to_owned()));
    }

    #[test]
    fn a_request_that_is_none_has_no_parts() {
        for (request, method) in
            [("-", Err("`method` is missing")), ("GET /", Ok("GET")), ("", Err("`method` is missing"))]
        {
            let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "{request}" 400 - "-" "-""#);
            assert_eq!(field("method", line.as_bytes()), method.map(str::to_owned).map_err(str::to_owned));
            let found = owned(
                Combined::new(wanted(&["address"], "time", Some("request")), Forwarded::First)
                    .unwrap()
                    .parse(line.as_bytes()),
            );
            assert_eq!(found.map(|(.., value)| value), Ok(request.to_owned()));
        }
    }

    #[test]
    fn a_broken_line_says_what_is_missing() {
        for (text, reason) in [
            ("", "no client address"),
            ("1.2.3.4 ", "no identity after the address"),
            ("1.2.3.4 - - 17/May", "no time in brackets"),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] GET", "no request in quotes after the time"),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP", "the request has no closing quote"),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\"", "no status after the request"),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" abc -", "the status is not a number of three digits"),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" 20 -", "the status is not a number of three digits"),
            (
                "1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" 200 1 5 \"-\" \"x\"",
                "no referrer in quotes after the size",
            ),
            (
                "1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" 200 1 1.2.3.5 - - [17/May",
                "no referrer in quotes after the size",
            ),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" 200 1 \"-", "the referrer has no closing quote"),
            (
                "1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" 200 1 \"-\"",
                "no user agent in quotes after the referrer",
            ),
            ("1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET\" 200 1 \"-\" \"x", "the user agent has no closing quote"),
        ] {
            let expected = format!("not a line of the combined log format: {reason}");
            assert_eq!(field("address", text.as_bytes()), Err(expected), "{text}");
        }
        let time = "1.2.3.4 - - [17/Mai/2015:10:05:03 +0000] \"GET\" 200 1";
        let expected = "`time` is not a time that can be read: \"17/Mai/2015:10:05:03 +0000\"; say its form, ";
        let found = field("address", time.as_bytes());
        assert!(found.as_ref().is_err_and(|reason| reason.starts_with(expected)), "{found:?}");
    }
}

mod whole_lines {
    use super::*;
    use events::lines::Lines;

    #[test]
    fn a_line_too_long_is_rejected_and_the_next_one_is_read() {
        let mut file = vec![b' '; 40 << 20];
        file.extend_from_slice(b"\n{\"u\": 1, \"t\": 5}\n");
        let mut parser = Jsonl::new(wanted(&["u"], "t", None));
        let mut lines = Lines::new(&file[..]);
        let first = lines.next(&mut parser).unwrap().unwrap();
        assert_eq!((first.line, first.whole.unwrap_err().to_string()), (1, "longer than 16 MiB".to_owned()));
        let second = lines.next(&mut parser).unwrap().unwrap();
        assert_eq!((second.line, owned(parser.parse(second.bytes))), (2, ok("1", 5, "")));
        assert!(lines.next(&mut parser).unwrap().is_none());
        assert_eq!((lines.count(), lines.empty()), (2, 0));
    }
}

mod times {
    use super::*;

    fn read(text: &str) -> Option<i64> {
        let read = TimeFormat::Auto.parse(text).or_else(|| TimeReader::new(any_time()).read(text));
        read.map(Timestamp::as_micros)
    }

    fn read_as(format: &str, text: &str) -> Option<i64> {
        format.parse::<TimeFormat>().unwrap().parse(text).map(Timestamp::as_micros)
    }

    const T: i64 = 1_543_534_510_000_000; // 2018-11-29T23:35:10Z

    #[test]
    fn every_form_is_told_by_itself() {
        for (text, micros) in [
            ("2018-11-29T23:35:10Z", T),
            ("2018-11-29T23:35:10", T),
            ("2018-11-29 23:35:10 UTC", T),
            ("2018-11-29 23:35:10 GMT", T),
            ("2018-11-29t23:35:10z", T),
            ("2018-11-30T00:35:10+01:00", T),
            ("2018-11-30 00:35:10 +0100", T),
            ("2018-11-29T18:05:10-05:30", T),
            ("2018-11-29T23:35:10-00:00", T),
            ("2018-11-29T23:35:10.1Z", T + 100_000),
            ("2018-11-29T23:35:10,123456789Z", T + 123_456),
            ("2018-11-29T23:35:10.123456789", T + 123_456),
            (" 2018-11-29T23:35:10Z ", T),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
            ("2017-01-01T00:59:60+01:00", 1_483_228_800_000_000),
            ("01/Jan/2017:00:59:60 +0100", 1_483_228_800_000_000),
            ("20181129233510", T),
            ("201811292335", T - 10_000_000),
            ("20181129T233510Z", T),
            ("1.54353451E+9", T),
            ("1543534510", T),
            ("1543534510.5", T + 500_000),
            ("1543534510.1234569", T + 123_456),
            ("1.54353451E9", T),
            ("1543534510123", T + 123_000),
            ("1543534510123.5", T + 123_500),
            ("1543534510123456", T + 123_456),
            ("1543534510123456789", T + 123_456),
            ("154353451012345678", 154_353_451_012_345),
            ("29/Nov/2018:23:35:10 +0000", T),
            ("29/Nov/2018:23:35:10.123 +0000", T + 123_000),
            ("29/Nov/2018:23:35:10", T),
            ("30/Nov/2018:00:35:10 +0100", T),
            ("0", 0),
            ("-1", -1_000_000),
            ("-0.0000001", -1),
            ("1969-12-31T23:59:59.999999Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999_999),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ] {
            assert_eq!(read(text), Some(micros), "{text}");
        }
    }

    /// The hour of the time before is remembered, with its zone: where clocks are set back and forward too. Those of
    /// Newfoundland were set back at one minute past midnight.
    #[test]
    fn a_time_is_read_the_same_whatever_came_before() {
        let zone = |name| Some(events::zones::parse(name).unwrap());
        let zones = ["Europe/Berlin", "America/St_Johns"].map(|name| TimeMeaning { zone: zone(name), ..any_time() });
        let readers = zones.into_iter().chain([any_time()]);
        let minutes = ["2019-03-31T01:59", "2019-03-31T02:00", "2019-10-27T02:00", "2019-10-27 02:00"];
        let more = ["2017-01-01T00:59", "2006-10-29T00:00", "2006-10-29T00:01", "2006-10-29T00:60", "2006-10-29T00.00"];
        let minutes = [&minutes[..], &more].concat();
        let within =
            [":10.123456", ":59.999999", ":60.000000", ":10,123456", ":10.12345", ":10.1234567", ":1O.123456", ":10"];
        let zones = ["", "Z", " UTC", "+01:00", "+02:00", " ", "0", "x", "-0530"];
        let texts = minutes.iter().flat_map(|minute| within.iter().map(move |within| format!("{minute}{within}")));
        let texts: Vec<_> = texts.flat_map(|text| zones.map(|zone| text.clone() + zone)).collect();
        for meaning in readers {
            let alone: Vec<_> = texts.iter().map(|text| TimeReader::new(meaning.clone()).read(text)).collect();
            for (before, of_before) in texts.iter().zip(&alone).filter(|(text, _)| text.contains(".123456")) {
                let reader = TimeReader::new(meaning.clone());
                for (text, expected) in texts.iter().zip(&alone) {
                    assert_eq!((reader.read(before), reader.read(text)), (*of_before, *expected), "{before}, {text}");
                }
            }
        }
    }

    #[test]
    fn local_times_that_clocks_show_twice_are_all_counted() {
        let zone = Some(events::zones::parse("Europe/Berlin").unwrap());
        let reader = TimeReader::new(TimeMeaning { zone, ..any_time() });
        for text in ["2019-10-27T02:30:00.000000", "2019-10-27T02:30:01.000000", "2019-10-27T02:30:02.000000"] {
            assert!(reader.read(text).is_some());
        }
        assert!(format!("{:?}", reader.seen()).contains("twice: 3"), "{:?}", reader.seen());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2018-11-29",
            "2018-11-29T23",
            "2018-11-29T24:00:00Z",
            "2018-11-29T23:60:00Z",
            "2018-11-29T23:35:61Z",
            "2018-02-29T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-11-29T23:35:10.Z",
            "2018-11-29T23:35:10.1234567890Z",
            "2018-11-29T23:35:10+24:00",
            "2018-11-29T23:35:10 CET",
            "2018-11-29T23:35:10Zx",
            "2018-11-29T23:35:60Z",
            "2018-11-29T12:00:60Z",
            "2018-06-30T23:59:60+01:00",
            "31/Feb/2018:23:35:10 +0000",
            "1543534510 ago",
            "-",
            "1e99",
            "1e",
            "0x10",
            "1_000",
            "١",
            "99999999999999999999999999999999999999999999",
            "--5",
            "5.",
            ".5",
        ] {
            let fine = text == "5."; // no digits after the point are no digits too few
            assert_eq!(read(text).is_some(), fine, "{text:?}");
        }
    }

    /// Digits count as a Unix time only where that is plausible.
    #[test]
    fn not_every_number_is_a_time() {
        for text in ["0", "20240304", "20181329233510", "45355.375", "631151999", "4102444801", "1.7E14", "-5"] {
            assert_eq!(TimeFormat::Auto.parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_form_can_be_demanded() {
        assert_eq!(read_as("millis", "5"), Some(5_000));
        assert_eq!(read_as("seconds", "1543534510123"), Some(1_543_534_510_123_000_000));
        assert_eq!(read_as("micros", "-5"), Some(-5));
        assert_eq!(read_as("nanos", "-5"), Some(-1));
        assert_eq!(read_as("iso", "1543534510"), None);
        assert_eq!(read_as("%d.%m.%Y %H:%M:%S", "29.11.2018 23:35:10"), Some(T));
        assert_eq!(read_as("%d.%m.%Y %H:%M:%S %z", "30.11.2018 00:35:10 +0100"), Some(T));
        assert_eq!(read_as("%d.%m.%Y", "29.11.2018"), Some(T - 84_910_000_000));
        assert_eq!(read_as("%s%.3f", "1543534510.250"), Some(T + 250_000));
        assert!("%!".parse::<TimeFormat>().is_err());
        assert!("minutes".parse::<TimeFormat>().is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000, east in -1439_i32..1440) {
            let utc = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
            let zoned = utc.with_timezone(&FixedOffset::east_opt(east * 60).unwrap());
            let full = zoned.to_rfc3339_opts(SecondsFormat::Nanos, true);
            // Beyond these years the offset may lead to a year of five digits.
            if full.starts_with(|c: char| c.is_ascii_digit()) {
                prop_assert_eq!(read(&full), Some(micros), "{}", full);
                let whole = micros.div_euclid(1_000_000);
                let log = zoned.format("%d/%b/%Y:%H:%M:%S %z").to_string();
                prop_assert_eq!(read(&log), Some(whole * 1_000_000), "{}", log);
            }
            prop_assert_eq!(read_as("micros", &micros.to_string()), Some(micros));
            prop_assert_eq!(read(&utc.format("%Y-%m-%d %H:%M:%S%.6f UTC").to_string()), Some(micros));
        }

        #[test]
        fn seconds_with_a_fraction_are_exact(micros in -99_999_999_999_000_000_i64..99_999_999_999_000_000) {
            let sign = if micros < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:06}", micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
            prop_assert_eq!(read_as("seconds", &text), Some(micros));
        }
    }
}

proptest! {
    #[test]
    fn keys_of_several_fields_come_apart_again(fields in prop::collection::vec("[ab\u{1e}\u{1f}se]{0,4}", 2..4)) {
        let mut key = String::new();
        for (i, field) in fields.iter().enumerate() {
            keys::push(&mut key, i, field, KeyKind::Text).unwrap();
        }
        let split: Vec<String> = keys::split(&key, fields.len()).map(Into::into).collect();
        prop_assert_eq!(split, fields);
    }
}

/// Lines that are right but for a few bytes get further into a parser than noise does.
fn nearly(lines: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..4);
    (prop::sample::select(lines), damage).prop_map(|(line, damage)| {
        let mut bytes = line.as_bytes().to_vec();
        for (at, byte, how) in damage {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(at, byte),
                1 => bytes.truncate(at),
                _ if at == bytes.len() => bytes.push(byte),
                2 => bytes[at] = byte,
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

const SEEDS: &[&str] = &[
    r#"{"u": 1, "t": "2018-11-29T23:35:10.123456+01:00", "v": "beer_cart", "a": {"b": [1, null, {"c": 1e5}]}}"#,
    r#"{"u": "\u00e9\ud83c\udf7a", "t": 1543534510.123, "v": -0.0}"#,
    r#"1,2018-11-29 23:35:10 UTC,"a ""quoted"", field""#,
    r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 203 "http://x/" "Mozilla/5.0""#,
    r#"shop:443 "192.0.2.1, [::1]:80" - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 203 "http://x/" "UA""#,
    r#"https 2024-03-04T09:00:00Z app/x 192.0.2.1:2817 - 0 0 0 200 200 0 57 "GET /a HTTP/1.1" "UA" - - - "-" "x" 1"#,
    "#Fields: date time c-ip cs-method cs-uri-stem",
    "2024-03-04\t09:00:00\t192.0.2.1, 10.0.0.1\tGET\t/a",
    r#"[{"u": [1, {"a": "x"}], "t": 1543534510}, {"u": 1}] {"u""#,
    r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":"{\"u\":1}"}]}"#,
    "%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t \"%r\" $remote_addr",
    "-1543534510123456789.123456789e-17",
    "1e-2147483648",
];

proptest! {
    // Eight times the usual 256, or what PROPTEST_CASES says.
    #![proptest_config(ProptestConfig::with_cases(8 * ProptestConfig::default().cases))]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), nearly(SEEDS)]) {
        let fields = || wanted(&["u", "a.b"], "t", Some("v"));
        let _ = Jsonl::new(fields()).parse(&bytes);
        let mut rows = csv(fields(), "u,t,a.b,v");
        let _ = rows.parse(&bytes);
        Csv::new(fields(), Dialect::default()).parse_each(Line::Bytes(&bytes), |_, _| ());
        let mut lines = events::lines::Lines::new(&bytes[..]);
        let mut seen = 0;
        while let Some(framed) = lines.next(&mut rows).unwrap() {
            seen += framed.bytes.len();
            let _ = framed.whole.and_then(|()| rows.parse(framed.bytes));
        }
        prop_assert!(seen <= bytes.len());
        let _ = Combined::new(wanted(&["address", "method"], "time", Some("agent")), Forwarded::First).unwrap().parse(&bytes);
        let clients = || wanted(&["address"], "time", Some("request"));
        let _ = Combined::new(clients(), Forwarded::Last).unwrap().parse(&bytes);
        let _ = Layouted::new(clients(), Layout::load_balancer(), Forwarded::First).unwrap().parse(&bytes);
        let mut extended = W3c::new(clients(), Forwarded::First);
        events::lines::each_in(b"#Fields: time c-ip cs-method cs-uri-stem", &mut extended, |_, _| ());
        events::lines::each_in(&bytes, &mut extended, |_, _| ());
        let _ = String::from_utf8_lossy(&bytes).parse::<Layout>().map(|layout| layout.fits(&bytes));
        let mut objects = Jsonl::new(wanted(&["u", "u[1].a"], "t", None)).with_cloudwatch_logs();
        objects.begin(&bytes);
        events::lines::each_in(&bytes, &mut objects, |_, _| ());
        let _ = String::from_utf8_lossy(&bytes).parse::<events::parse::times::Span>();
        if let Ok(text) = std::str::from_utf8(&bytes) {
            for format in ["auto", "excel", "iso", "seconds", "nanos", "log", "%d.%m.%Y %H:%M:%S%.f %z"] {
                let format: TimeFormat = format.parse().unwrap();
                let _ = format.parse(text);
                for (zone, span) in [("Europe/Berlin", ".."), ("Pacific/Apia", "1990..2100")] {
                    let (zone, span) = (Some(events::zones::parse(zone).unwrap()), span.parse().unwrap());
                    let reader = TimeReader::new(TimeMeaning { format: format.clone(), zone, span });
                    let _ = (reader.read(text), reader.hint(text), reader.seen());
                }
            }
        }
        let _ = String::from_utf8_lossy(&bytes).parse::<TimeFormat>();
    }
}

#[test]
fn the_reasons_are_counted_without_what_differs_from_line_to_line() {
    let mut parser = Jsonl::new(wanted(&["u"], "t", None));
    let mut kind = |line: Value| parser.parse(line.to_string().as_bytes()).unwrap_err().kind();
    assert_eq!(kind(json!({"u": 1, "t": "a"})), kind(json!({"u": 1, "t": "b"})));
    assert_ne!(kind(json!({"u": 1, "t": "a"})), kind(json!({"u": null, "t": "a"})));
}
