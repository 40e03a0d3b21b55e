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
