//! JSON: one object on each line, over several lines, one after the other, in a list; log events of CloudWatch Logs.

use std::io::Write as _;

use crate::cases::{Case, check};

const ANN: &[&str] = &["ann 2 2024-03-04T09:00:00Z a b"];
const FIELDS: &str = "--key u --time t --value v";

fn case<'a>(what: &'a str, input: &'a str) -> Case<'a> {
    let says = &[" 2 events, 0 rejected,"];
    Case { what, file: "in.json", input: input.as_bytes(), options: FIELDS, rows: ANN, says, status: 0 }
}

const A: &str = r#"{"u":"ann","t":1709542800,"v":"a"}"#;
const B: &str = r#"{"u":"ann","t":1709543400,"v":"b"}"#;
const PRETTY: &str = "{\n  \"u\": \"ann\",\n  \"t\": 1709542800,\n  \"v\": \"a\",\n  \"more\": {\"x\": [1, 2]}\n}\n";

#[test]
fn objects() {
    let both = |between: &str| format!("{A}{between}{B}");
    let list = |inside: &str| format!("[{inside}]\n");
    check(&[
        case("on lines", &both("\n")),
        case("one after the other", &both("")),
        case("with blanks between them", &both(" \t ")),
        case("some on one line", &format!("{A}{B}\n")),
        case("over several lines", &format!("{PRETTY}{B}\n")),
        case("over several lines, the other after it", &format!("{}{B}", PRETTY.trim_end())),
        case("over lines that end like objects", &format!("{{\"x\":{{\"y\":1}}\n,{}\n{B}\n", &A[1..])),
        case("in a list on one line", &list(&both(","))),
        case("in a list, one on each line", &list(&format!("\n{}\n", both(",\n")))),
        case("in a list, over several lines", &list(&format!("\n{}, {B}", PRETTY.trim_end()))),
        case("in two lists", &format!("{}{}", list(A), list(B))),
        case("with commas behind them", &format!("{A},\n{B},\n")),
        case("with record separators (RFC 7464)", &format!("\x1e{A}\n\x1e{B}\n")),
        case("behind zeros of a log rotation", &format!("\0\0\0{}", both("\n"))),
        case("behind marks of byte order, where files were put together", &format!("\u{feff}{}", both("\n\u{feff}"))),
        Case {
            rows: ANN,
            says: &[
                "line 2: not valid JSON: EOF while parsing a value",
                "line 7: not valid JSON",
                " 2 events, 2 rejected,",
            ],
            ..case("one that is broken costs its line", &format!("{A}\n{{\"u\":\n\n\n\n\n}}}}\n{B}\n"))
        },
        Case { rows: &[], says: &[" 0 events, 0 rejected,"], ..case("an empty list", "[]\n") },
    ]);
}

#[test]
fn logs_of_containers() {
    let docker = |object: &str| {
        let log = serde_json::Value::from(format!("{object}\n"));
        format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"2024-03-04T10:00:00.5Z\"}}\n")
    };
    let start = r#"{"log":"server starts\n","stream":"stderr","time":"2024-03-04T08:59:59Z"}"#;
    let cri = |object: &str| format!("2024-03-04T10:00:00.123456789Z stdout F {object}\n");
    let (first, last) = B.split_at(10);
    check(&[
        case("docker", &format!("{}{}", docker(A), docker(B))),
        Case {
            says: &["line 1: `u` is missing", " 2 events, 1 rejected,"],
            ..case("docker, a text before and objects of their own", &format!("{start}\n{}{B}\n", docker(A)))
        },
        Case {
            options: "--key u,stream --time time --value v",
            rows: &["ann+stdout 2 2024-03-04T10:00:00.500000Z a b"],
            ..case("docker, fields around the object", &format!("{}{}", docker(A), docker(B)))
        },
        Case {
            options: "--key stream --time time --value log",
            rows: &["stdout 1 2024-03-04T10:00:00.500000Z {}\n {}"],
            says: &[" 1 event, 0 rejected,"],
            ..case("docker, the object as it is", &docker("{}"))
        },
        Case {
            options: "--key usr --time t",
            rows: &[],
            status: 2,
            says: &["has no field `usr`; it has u, t, v, log, stream, time"],
            ..case("docker, a field that there is not", &docker(A).repeat(30))
        },
        case("Kubernetes", &format!("{}{}", cri(A), cri(B))),
        case(
            "Kubernetes, a long line in parts, another one between them",
            &format!(
                "{}2024-03-04T10:00:00Z stdout P {first}\n2024-03-04T10:00:00Z stderr F \n2024-03-04T10:00:00Z stdout F {last}\n",
                cri(A)
            ),
        ),
    ]);
}

#[test]
fn a_long_line_of_objects() {
    let many = format!("{A}{B}").repeat(20_000);
    let rows = &["ann 40000 2024-03-04T09:00:00Z a b"];
    check(&[Case {
        rows,
        says: &["1 line read: 40,000 events, 0 rejected"],
        ..case("as Firehose writes them", &many)
    }]);
}

#[test]
fn elements_of_lists() {
    let caddy = r#"{"level":"info","ts":1709542800.25,"request":{"remote_ip":"192.0.2.1","method":"GET","uri":"/a","headers":{"User-Agent":["UA 1"]}},"status":200}
{"level":"info","ts":1709542801.5,"request":{"remote_ip":"192.0.2.1","method":"GET","uri":"/b","headers":{"User-Agent":["UA 1"]}},"status":200}
"#;
    let traefik = r#"{"ClientHost":"192.0.2.1","RequestPath":"/a","StartUTC":"2024-03-04T09:00:00.25Z","time":"2024-03-04T09:00:01Z"}
{"ClientHost":"192.0.2.1","RequestPath":"/b","StartUTC":"2024-03-04T09:10:00.25Z","time":"2024-03-04T09:10:01Z"}
"#;
    let nginx = r#"{"msec":"1709542800.250","remote_addr":"192.0.2.1","request_uri":"/a"}
{"msec":"1709543400.250","remote_addr":"192.0.2.1","request_uri":"/b"}
"#;
    let rows = &["192.0.2.1 2 2024-03-04T09:00:00.250000Z /a /b"];
    check(&[
        Case {
            options: "--key request.remote_ip,request.headers.User-Agent[0] --time ts --value request.uri",
            rows: &["192.0.2.1+UA 1 2 2024-03-04T09:00:00.250000Z /a /b"],
            ..case("Caddy", caddy)
        },
        Case { options: "--key ClientHost --time StartUTC --value RequestPath", rows, ..case("Traefik", traefik) },
        Case { options: "--key remote_addr --time msec --value request_uri", rows, ..case("nginx", nginx) },
        Case {
            options: "--key a[1].b[0] --time t --value v[1]",
            rows: &["x 1 2024-03-04T09:00:00Z 2 2"],
            says: &[" 1 event, 0 rejected,"],
            ..case("deep in lists", r#"{"a":[0,{"b":["x"]}],"t":1709542800,"v":[1,2]}"#)
        },
        Case {
            options: "--key a[0] --time t",
            rows: &["whole 1 2024-03-04T09:00:00Z"],
            says: &[" 1 event, 0 rejected,"],
            ..case("a name that has brackets itself", r#"{"a[0]":"whole","a":["no"],"t":1709542800}"#)
        },
        Case {
            options: "--key u --time t --value v",
            rows: &["1 1 2024-03-04T09:00:00Z [1, 2] [1, 2]"],
            says: &[" 1 event, 0 rejected,"],
            ..case("a value that is a list is its JSON", r#"{"u":1,"t":1709542800,"v":[1, 2]}"#)
        },
    ]);
}

/// As a subscription writes them by way of Firehose: gzip after gzip, without a line end.
#[test]
fn records_of_cloudwatch_logs() {
    let event = |object: &str| {
        let message = serde_json::Value::from(object);
        format!(r#"{{"id":"1","timestamp":1709542800000,"message":{message}}}"#)
    };
    let record = |kind: &str, events: &str| {
        format!(
            r#"{{"messageType":"{kind}","owner":"1","logGroup":"shop","logStream":"web","subscriptionFilters":["all"],"logEvents":[{events}]}}"#
        )
    };
    let packed = |text: String| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let data = record("DATA_MESSAGE", &format!("{},{}", event(A), event("no click")));
    let file = [
        packed(record("CONTROL_MESSAGE", &event("CWL CONTROL MESSAGE: Checking health of destination Firehose."))),
        packed(data),
        packed(record("DATA_MESSAGE", &event(B))),
    ]
    .concat();
    check(&[
        Case {
            input: &file,
            says: &["`u` is missing", " 2 events, 1 rejected,"],
            ..case("fields of the messages", "")
        },
        Case {
            input: &file,
            options: "--key logStream --time timestamp --value message",
            rows: &[
                "web 3 2024-03-04T09:00:00Z {\"u\":\"ann\",\"t\":1709542800,\"v\":\"a\"} {\"u\":\"ann\",\"t\":1709543400,\"v\":\"b\"}",
            ],
            says: &[" 3 events, 0 rejected,"],
            ..case("fields around the messages", "")
        },
    ]);
}

#[test]
fn names_with_dots() {
    fn named<'a>(what: &'a str, input: &'a str) -> Case<'a> {
        let rows = &["ann 2 2024-03-04T09:00:00Z"];
        Case { options: "--key k.labels.app.io/name --time t", rows, ..case(what, input) }
    }
    let labels = r#"{"k":{"labels":{"app.io/name":"ann"}},"t":1709542800}"#;
    let nested = r#"{"k":{"labels":{"app":{"io/name":"ann"}}},"t":1709543400}"#;
    let before = r#"{"k.labels":{"app.io/name":"ann"},"t":1709543400}"#;
    let whole = r#"{"k.labels.app.io/name":"ann","k":{"labels":{"app.io/name":"bob"}},"t":1709543400}"#;
    check(&[
        named("labels of Kubernetes, attributes of OpenTelemetry", &format!("{labels}\n{labels}\n")),
        named("and objects all the way", &format!("{labels}\n{nested}\n")),
        named("a name with a dot before", &format!("{labels}\n{before}\n")),
        named("the whole name counts first", &format!("{labels}\n{whole}\n")),
        Case {
            options: "--key k.labels.app.io/name --time t --value k.x[0].y.z",
            rows: &["ann 1 2024-03-04T09:00:00Z 7 7"],
            says: &[" 1 event, 0 rejected,"],
            ..case("in elements of lists", r#"{"k":{"labels":{"app.io/name":"ann"},"x":[{"y.z":7}]},"t":1709542800}"#)
        },
    ]);
}

#[test]
fn what_helps() {
    fn none<'a>(what: &'a str, options: &'a str, input: &'a str, says: &'a [&'a str]) -> Case<'a> {
        Case { options, rows: &[], says, status: 2, ..case(what, input) }
    }
    let trail = r#"{"Records":[{"user":{"arn":"ann"},"time":"2024-03-04T09:00:00Z"},{"user":{"arn":"ann"},"time":"2024-03-04T09:10:00Z"}]}"#;
    let long = trail.replacen(r#""time""#, &format!("\"x\":\"{}\",\"time\"", "x".repeat(20_000)), 2);
    let long = format!("{},{}", &long[..long.len() - 2], &long[12..]);
    let refused = |what, input, says| Case { status: 1, ..none(what, FIELDS, input, says) };
    check(&[
        none(
            "a list of events in an object, as of CloudTrail",
            "--key user.arn --time time",
            trail,
            &[
                "no line has the field `user.arn`; it has Records[0].",
                "; to read each element of `Records` as an event, unpack them with `jq -c '.Records[]' FILE | files -`\n",
            ],
        ),
        none(
            "in an object that is longer than what is looked at before",
            "--key user.arn --time time",
            &long,
            &["unpack them with `jq -c '.Records[]' FILE | files -`\n"],
        ),
        Case {
            options: "--key Records[0].user.arn --time Records[0].time",
            rows: &["ann 1 2024-03-04T09:00:00Z"],
            says: &[
                "note: `Records[0].time` is the time of the first element of `Records` alone: to read each element as an \
                     event, unpack them with `jq -c '.Records[]' FILE | files -`\n",
            ],
            ..case("the first element alone", trail)
        },
        none(
            "lists in lists, as of OpenTelemetry",
            "--key traceId --time timeUnixNano",
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1709542800000000000","traceId":"x"}]}]}]}"#,
            &["`jq -c '.resourceLogs[].scopeLogs[].logRecords[]' FILE | files -`\n"],
        ),
        none(
            "over several lines, as of Elasticsearch",
            "--key _source.u --time _source.t",
            "{\n \"took\": 1,\n \"hits\": {\n  \"hits\": [\n   {\"_source\": {\"u\": \"ann\", \"t\": 1709542800}}\n  ]\n }\n}\n",
            &["unpack them with `jq -c '.hits.hits[]' FILE | files -`\n"],
        ),
        refused(
            "a key with several values",
            r#"{"u":{"id":"ann"},"t":1709542800}"#,
            &["`u` is an object; name one of its fields, as in `u.name`\n"],
        ),
        refused(
            "a list as a key",
            r#"{"u":["ann"],"t":1709542800}"#,
            &["`u` is an array; name one of its elements, such as `u[0]`\n"],
        ),
        refused(
            "as Python shows objects",
            "{'u': 'ann', 't': 1709542800}",
            &["; names and texts need double quotes\n"],
        ),
        case(
            "numbers that JSON does not have",
            &format!(
                "{}\n{}\n",
                A.replace("{", r#"{"x":NaN,"y":[-Infinity,"NaN \" N"],"#),
                B.replace("{", r#"{"x":Infinity,"#)
            ),
        ),
        case(
            "escapes that JSON does not have, of nginx and Windows",
            &format!(
                "{}\n{}\n",
                A.replace("{", r#"{"x":"\\ \x22 \" \u00e9 NaN","#),
                B.replace("{", r#"{"x":"C:\Users\\x","#)
            ),
        ),
        Case {
            options: "--key u --time t",
            rows: &[r"a\x22 1 2024-03-04T09:00:00Z"],
            says: &[" 1 event, 0 rejected,"],
            ..case("and in a key, where they stand as they are", r#"{"u":"a\x22","t":1709542800}"#)
        },
        refused("such a number as the key", r#"{"u":NaN,"t":1709542800}"#, &["line 1: `u` is null\n"]),
    ]);
}

/// Numbers that are one as floats.
#[test]
fn numbers_of_many_digits() {
    const ONE: &[&str] = &["ann 1 2024-03-04T09:00:00Z"];
    let ids = |one: &str, other: &str| {
        format!(
            "{}\n{}\n",
            A.replace("{", &format!("{{\"id\":{one},")),
            B.replace("{", &format!("{{\"id\":\"{other}\","))
        )
    };
    let large = ids("9007199254740993", "9007199254740992");
    let decimal = ids("-0.10000000000000000000000000001", "-0.1");
    let kept = |options, input| Case {
        options,
        rows: ONE,
        says: &[" 1 event, 0 rejected,", "1 left out by --where"],
        ..case(options, input)
    };
    check(&[
        kept("--key u --time t --where id=9007199254740993", &large),
        kept("--key u --time t --where id>9007199254740992", &large),
        kept("--key u --time t --not id<=9007199254740992.0", &large),
        kept("--key u --time t --where id<-1.0e-1", &decimal),
        Case {
            rows: ONE,
            options: "--key id --time t",
            says: &["line 1: `id` is a number with too many digits to be read exactly: send it as a text"],
            ..case("as a key", "{\"id\":1234567890.1709542801,\"t\":1709542800}\n{\"id\":\"ann\",\"t\":1709542800}\n")
        },
        Case {
            rows: &["0.30000000000000004 2 2024-03-04T09:00:00Z"],
            options: "--key id --time t",
            ..case(
                "as floats are written",
                "{\"id\":0.30000000000000004,\"t\":1709542800}\n{\"id\":3.0000000000000004e-1,\"t\":1709542800}\n",
            )
        },
    ]);
}

#[test]
fn values_that_are_no_text() {
    let input = format!("{}\n{B}\n", A.replace("\"a\"", r#""\ud83d""#));
    let told = |options| Case {
        options,
        rows: &["ann 1 2024-03-04T09:10:00Z"],
        says: &["line 1: `v` is a text with an escape sequence without meaning", " 1 event, 1 rejected"],
        ..case(options, &input)
    };
    check(&[
        told("--key u --time t --list v"),
        told("--key u --time t --where v!="),
        told("--key u --time t --unique v"),
    ]);
}
