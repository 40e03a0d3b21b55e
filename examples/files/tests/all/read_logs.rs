//! Access logs: who the client is, forms of lines, W3C's extended format, load balancers.

use crate::cases::{Case, check};

fn case<'a>(what: &'a str, input: &'a str, options: &'a str, rows: &'a [&'a str], says: &'a [&'a str]) -> Case<'a> {
    Case { what, file: "access.log", input: input.as_bytes(), options, rows, says, status: 0 }
}

/// The line of a request, behind these words.
macro_rules! line {
    ($head:expr) => {
        concat!($head, " [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100 \"-\" \"UA\"\n")
    };
}

#[test]
fn the_client() {
    const ONE: &[&str] = &["192.0.2.1 1 2024-03-04T09:00:00Z GET /a GET /a"];
    const LAST: &[&str] = &["10.0.0.2 1 2024-03-04T09:00:00Z GET /a GET /a"];
    const V6: &[&str] = &["2001:db8::1 1 2024-03-04T09:00:00Z GET /a GET /a"];
    const NAME: &[&str] = &["bot.example.org 1 2024-03-04T09:00:00Z GET /a GET /a"];
    let read = |input, rows| case(input, input, "", rows, &[" 1 event, 0 rejected,"]);
    let refused = |what, input| Case {
        status: 1,
        ..case(
            what,
            input,
            "--format combined",
            &[],
            &["no address or host name of a client before the time: ", "--log-format\n"],
        )
    };
    check(&[
        read(line!("192.0.2.1 - -"), ONE),
        read(line!("192.0.2.1 - frank of the house"), ONE),
        read(line!("192.0.2.1 id frank"), ONE),
        read(line!("192.0.2.1 - John [x] Doe"), ONE),
        read("\u{feff}192.0.2.1 - - [04/Mar/2024:09:00:00 +0000]\"GET /a HTTP/1.1\" 200 100 a1-b2\n", ONE),
        read(line!("2001:db8::1 - -"), V6),
        read(line!("[2001:db8::1]:443 - -"), V6),
        read(line!("[2001:db8::1] - -"), V6),
        read(line!("fe80::1%eth0 - -"), &["fe80::1%eth0 1 2024-03-04T09:00:00Z GET /a GET /a"]),
        read(line!("[fe80::1%eth0]:443 - -"), &["fe80::1%eth0 1 2024-03-04T09:00:00Z GET /a GET /a"]),
        read(line!("2001:db8:0:0:0:0:0:1:4711 - -"), V6),
        read(line!("192.0.2.1:4711 - -"), ONE),
        read(line!("bot.example.org - -"), NAME),
        read(line!("localhost - -"), &["localhost 1 2024-03-04T09:00:00Z GET /a GET /a"]),
        // A virtual host before it.
        read(line!("shop.example:443 192.0.2.1 - -"), ONE),
        read(line!("shop.example 192.0.2.1 - frank"), ONE),
        read(line!("203.0.113.5 192.0.2.1 - -"), ONE),
        read(line!("203.0.113.5:443 2001:db8::1 - -"), V6),
        read(line!("shop.example:443 bot.example.org - -"), NAME),
        // A list of X-Forwarded-For.
        read(line!("192.0.2.1, 10.0.0.1 - -"), ONE),
        read(line!("192.0.2.1,10.0.0.1 - -"), ONE),
        read(line!("\"192.0.2.1, 10.0.0.1, 10.0.0.2\" - -"), ONE),
        read(line!("unknown, 192.0.2.1, 10.0.0.2 - -"), ONE),
        read(line!("shop.example:443 192.0.2.1, 10.0.0.1 - -"), ONE),
        case("the last of a list", line!("192.0.2.1, 10.0.0.1, 10.0.0.2 - -"), "--forwarded last", LAST, &[]),
        // What syslog, docker and Kubernetes put before a line.
        read(line!("Mar  4 09:00:00 web nginx: 192.0.2.1 - -"), ONE),
        read(line!("<190>Mar  4 09:00:00 10.0.0.5 nginx[12]: 192.0.2.1 - -"), ONE),
        read(line!("<190>1 2024-03-04T09:00:00Z web nginx - - - 192.0.2.1 - -"), ONE),
        read(line!("<190>1 2024-03-04T09:00:00Z web nginx - - [a@1 x=\"5\\\" 10.0.0.7\"] \u{feff}192.0.2.1 - -"), ONE),
        read(line!("web_1  | 192.0.2.1 - -"), ONE),
        read(line!("2024-03-04T09:00:00.123456789Z stdout F 192.0.2.1 - -"), ONE),
        read(line!("[pod/web-7d4b/nginx] 192.0.2.1 - -"), ONE),
        read(line!("Mar  4 09:00:00 web nginx: bot.example.org - -"), NAME),
        read(line!("\0\0\0\0\0192.0.2.1 - -"), ONE),
        read(
            "{\"log\":\"192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \\\"GET /a HTTP/1.1\\\" 200 100 \\\"-\\\" \\\"UA\\\"\\n\",\
             \"stream\":\"stdout\",\"time\":\"2024-03-04T09:00:00.1Z\"}\n",
            ONE,
        ),
        case(
            "Kubernetes, in parts",
            "2024-03-04T09:00:00.1Z stdout P 192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /\n\
             2024-03-04T09:00:00.1Z stdout F a HTTP/1.1\" 200 100 \"-\" \"UA\"\n",
            "",
            ONE,
            &[" 1 event, 0 rejected,"],
        ),
        // A message of the start before it, as docker keeps it.
        case(
            "docker, from the start of the server",
            "{\"log\":\"2024/03/04 08:59:59 [notice] 1#1: start\\n\",\"stream\":\"stderr\",\"time\":\"2024-03-04T08:59:59Z\"}\n\
             {\"log\":\"192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \\\"GET /a HTTP/1.1\\\" 200 100\\n\",\
             \"stream\":\"stdout\",\"time\":\"2024-03-04T09:00:00.1Z\"}\n",
            "",
            ONE,
            &[" 1 event, 1 rejected,"],
        ),
        // Words behind the common form, such as a duration.
        read("192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100 15\n", ONE),
        read("192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 - http-nio-8080-exec-1\n", ONE),
        read("192.0.2.1 -  -  [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100 \n", ONE),
        // What grep puts before a line of one of several files.
        read(line!("access.log.1:192.0.2.1 - -"), ONE),
        read(line!("logs/access.log:2001:db8::1 - frank"), V6),
        read(line!("12:192.0.2.1 - -"), ONE),
        // No client.
        refused("a word", line!("Mar 4 x")),
        refused("no real address", line!("999.0.2.1 - -")),
        refused("a socket", line!("unix: - -")),
        refused("a host before the client, in another order", line!("shop.example - 192.0.2.1")),
        refused("a client in words of its own", line!("shop.example - \"ProxyBy: 192.0.2.1\" - -")),
        refused("a list without an address", line!("unknown, unknown - -")),
        Case { status: 1, ..case("nobody", line!("- - -"), "--format combined", &[], &["line 1: `address` is -"]) },
    ]);
}

#[test]
fn what_stands_behind_the_agent() {
    const ONE: &[&str] = &["192.0.2.1 1 2024-03-04T09:00:00Z GET /a GET /a"];
    let line =
        |client: &str, behind: &str| line!("192.0.2.1 - -").replace("192.0.2.1", client).replace("\"UA\"", behind);
    let proxied = [
        line("10.0.0.1", "\"UA\" \"198.51.100.7, 10.0.0.9\""),
        line("10.0.0.1", "\"UA\" \"198.51.100.8\""),
        line("192.0.2.1", "\"UA\" \"-\""),
    ]
    .concat();
    let main = "--log-format '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                \"$http_referer\" \"$http_user_agent\" \"$http_x_forwarded_for\"'";
    let w3c = "#Fields: date time c-ip cs-method cs-uri-stem X-Forwarded-For\n2024-03-04 09:00:00 10.0.0.1 GET /a 192.0.2.1\n";
    check(&[
        case("times and the like", &line("192.0.2.1", "\"UA\" 0.005 \"-\""), "", ONE, &[]),
        case(
            "more behind the clients",
            &line("192.0.2.1", "\"UA\" \"198.51.100.7\" \"10.0.0.9:80\" 0.005"),
            "",
            ONE,
            &["note: 1 line names another client beside `address`, such as 198.51.100.7: "],
        ),
        case(
            "clients behind a proxy, in nginx's main",
            &proxied,
            "",
            &["10.0.0.1 2 2024-03-04T09:00:00Z GET /a GET /a", "192.0.2.1 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &[
                "note: 2 lines name another client beside `address`, such as 198.51.100.7: `address` may be that of a proxy. ",
                &format!("pass --key forwarded_for {main}\n"),
            ],
        ),
        case(
            "as the note says",
            &proxied,
            &format!("--key forwarded_for --no-user keep {main}"),
            &[
                " 1 2024-03-04T09:00:00Z GET /a GET /a",
                "198.51.100.7 1 2024-03-04T09:00:00Z GET /a GET /a",
                "198.51.100.8 1 2024-03-04T09:00:00Z GET /a GET /a",
            ],
            &[],
        ),
        case(
            "in a column of W3C",
            w3c,
            "",
            &["10.0.0.1 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &["note: 1 line names another client beside `address`, such as 192.0.2.1: ", "pass --key forwarded_for\n"],
        ),
        case("as the note says", w3c, "--key forwarded_for", ONE, &[]),
        case(
            "a public address anywhere, where that of the client is a private one",
            &[
                line("10.0.0.1", "\"UA\" 192.0.2.1"),
                line("127.0.0.1", "\"UA\" 0.005 \"192.0.2.1\""),
                line("10.0.0.1", "\"UA\" xff=\"192.0.2.1, 10.0.0.9\""),
                line("10.0.0.1", "\"UA\" 5 \"web@docker\" \"http://10.0.0.9:80\" 10.0.0.9:80"),
                line("192.0.2.1 10.0.0.1", "\"UA\""),
                line("192.0.2.1", "\"UA\" 198.51.100.7"),
            ]
            .concat(),
            "",
            &[
                "10.0.0.1 4 2024-03-04T09:00:00Z GET /a GET /a",
                "127.0.0.1 1 2024-03-04T09:00:00Z GET /a GET /a",
                ONE[0],
            ],
            &["note: 4 lines name another client beside `address`, such as 192.0.2.1: "],
        ),
        case(
            "another line, where a line end is missing",
            &format!("{}{}", line("192.0.2.1", "\"UA\"").trim_end(), line("192.0.2.2", "\"UA\"").repeat(2)),
            "",
            &["192.0.2.2 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &["line 1: not a line of the combined log format: another line begins right behind the user agent"],
        ),
    ]);
}

#[test]
fn mixed_forms_are_one_visitor() {
    let input = concat!(
        line!("192.0.2.1, 10.0.0.1 - -"),
        line!("192.0.2.1 - -"),
        line!("\"192.0.2.1, 10.0.0.1\" - -"),
        line!("shop.example:443 192.0.2.1 - -"),
    );
    check(&[
        case("client", input, "", &["192.0.2.1 4 2024-03-04T09:00:00Z GET /a GET /a"], &[]),
        case(
            "host",
            line!("shop.example:443 192.0.2.1 - -"),
            "--key host",
            &["shop.example:443 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &[],
        ),
    ]);
}

#[test]
fn a_log_behind_a_proxy_is_told() {
    let note = "note: no `address` is public, all are such as 127.0.0.1: if it is that of a proxy, its visitors count as one\n";
    let one: &[&str] = &["127.0.0.1 1 2024-03-04T09:00:00Z GET /a GET /a"];
    let two = concat!(line!("127.0.0.1 - -"), line!("::1 - -"));
    let w3c = "#Fields: date time c-ip cs-method cs-uri-stem\n2024-03-04 09:00:00 127.0.0.1 GET /a\n";
    check(&[
        case("combined", two, "", &[one[0], "::1 1 2024-03-04T09:00:00Z GET /a GET /a"], &[note]),
        case("W3C", w3c, "", one, &[note]),
    ]);
    let public = format!("{two}{}", line!("192.0.2.1 - -"));
    let folder = crate::support::Folder::new();
    let ran = crate::support::run_on("", &[&folder.write("access.log", public)]);
    assert!(ran.status == 0 && !ran.said.contains("public"), "{}", ran.said);
}

#[test]
fn masked_addresses_are_told() {
    let note = "note: every `address` ends in zero, such as 192.0.2.0: if addresses are masked, several visitors count as one\n";
    let masked = concat!(line!("192.0.2.0 - -"), line!("2001:db8:: - -"));
    let rows: &[&str] =
        &["192.0.2.0 1 2024-03-04T09:00:00Z GET /a GET /a", "2001:db8:: 1 2024-03-04T09:00:00Z GET /a GET /a"];
    let w3c = "#Fields: date time c-ip cs-method cs-uri-stem\n2024-03-04 09:00:00 192.0.2.0 GET /a\n";
    check(&[
        case("combined", masked, "", rows, &[note]),
        case("W3C", w3c, "", &rows[..1], &[note]),
        case(
            "a form of its own",
            "192.0.2.0 1709542800 x\n",
            "--log-format '$remote_addr $msec $x' --value x",
            &["192.0.2.0 1 2024-03-04T09:00:00Z x x"],
            &[note],
        ),
    ]);
    let whole = format!("{masked}{}", line!("192.0.2.1 - -"));
    let folder = crate::support::Folder::new();
    let ran = crate::support::run_on("", &[&folder.write("access.log", whole)]);
    assert!(ran.status == 0 && !ran.said.contains("masked"), "{}", ran.said);
}

/// However it is written, in each reader of logs.
#[test]
fn one_client_is_one_visitor() {
    const V6: [&str; 7] = [
        "2001:db8::1",
        "2001:DB8::1",
        "2001:db8:0:0::1",
        "2001:0db8:0000:0000:0000:0000:0000:0001",
        "[2001:db8::1]",
        "[2001:DB8:0::1]:443",
        "2001:db8:0:0:0:0:0:1:4711",
    ];
    const V4: [&str; 6] = [
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "0:0::FFFF:192.0.2.1",
        "192.0.2.1:80",
        "[::ffff:192.0.2.1]:80",
        "192.000.002.001",
    ];
    const NAME: [&str; 3] = ["bot.example.org", "Bot.Example.ORG", "bot.example.org."];
    let request = "[04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"";
    for (spellings, client) in [(&V6[..], V6[0]), (&V4, V4[0]), (&NAME, NAME[0])] {
        let lines = |line: &dyn Fn(&str) -> String| spellings.iter().map(|client| line(client)).collect::<String>();
        let rows = |first: &str| [format!("{client} {} {first}", spellings.len())];
        let [usual, listed, alb, status] = [
            rows("2024-03-04T09:00:00Z GET /a GET /a"),
            rows("2024-03-04T09:00:00Z 200 200"),
            rows("2024-03-04T09:00:00Z 1 1"),
            rows("2024-03-04T09:00:00Z GET GET"),
        ];
        check(&[
            case("combined", &lines(&|client| format!("{client} - - {request} 200 100\n")), "", &[&usual[0]], &[]),
            case(
                "behind a host",
                &lines(&|client| format!("shop.example:443 {client} - - {request} 200 100\n")),
                "",
                &[&usual[0]],
                &[],
            ),
            case(
                "a list",
                &lines(&|client| format!("{client}, 10.0.0.1 {request} 200\n")),
                "--log-format '$http_x_forwarded_for [$time_local] \"$request\" $status' --value status",
                &[&listed[0]],
                &[],
            ),
            case(
                "load balancers",
                &lines(&|client| {
                    format!(
                        "http 2024-03-04T09:00:00Z app/x {client} 10.0.0.1:80 0.1 0.1 0.1 1 1 0 1 \"GET http://x:80/ HTTP/1.1\" \
                         \"UA\" - - arn \"Root\" \"-\"\n"
                    )
                }),
                "--format alb --value elb_status_code",
                &[&alb[0]],
                &[],
            ),
            case(
                "W3C",
                &format!(
                    "#Fields: date time c-ip cs-method\n{}",
                    lines(&|client| format!("2024-03-04 09:00:00 {client} GET\n"))
                ),
                "--value method",
                &[&status[0]],
                &[],
            ),
        ]);
    }
    let two = concat!(line!("2001:DB8::1 - -"), line!("2001:db8::2 - -"));
    check(&[
        case(
            "conditions",
            two,
            "--where address=2001:db8:0::1",
            &["2001:db8::1 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &[],
        ),
        case(
            "two zones are two interfaces",
            concat!(line!("fe80:0::1%eth0 - -"), line!("fe80::1%eth1 - -")),
            "",
            &["fe80::1%eth0 1 2024-03-04T09:00:00Z GET /a GET /a", "fe80::1%eth1 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &[],
        ),
    ]);
}

#[test]
fn log_formats() {
    const ONE: &[&str] = &["192.0.2.1 1 2024-03-04T09:00:00Z GET /a GET /a"];
    let thousandths: &[&str] = &["192.0.2.1 1 2024-03-04T09:00:00.250000Z GET /a GET /a"];
    check(&[
        case(
            "thousandths in the time of the usual form",
            "192.0.2.1 - - [04/Mar/2024:09:00:00.250 +0000] \"GET /a HTTP/1.1\" 200 100 \"-\" \"UA\"\n",
            "",
            thousandths,
            &[],
        ),
        case(
            "nginx, the format string",
            "192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 0.005\n",
            "--log-format '$remote_addr - $remote_user [$time_local] \"$request\" $status $request_time'",
            ONE,
            &[],
        ),
        case(
            "nginx, milliseconds beside the time",
            "192.0.2.1 [04/Mar/2024:09:00:00 +0000] 1709542800.250 \"GET /a HTTP/1.1\"\n",
            "--log-format '$remote_addr [$time_local] $msec \"$request\"'",
            thousandths,
            &[],
        ),
        case(
            "nginx, another field as the value",
            "192.0.2.1|2024-03-04T09:00:00+00:00|/a b|0.005\n",
            "--log-format '$remote_addr|$time_iso8601|$request_uri|$request_time' --value request_time",
            &["192.0.2.1 1 2024-03-04T09:00:00Z 0.005 0.005"],
            &[],
        ),
        case(
            "nginx, a proxy before it",
            "192.0.2.1, 10.0.0.1 - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 10.0.0.9\n",
            "--log-format '$http_x_forwarded_for - [$time_local] \"$request\" $remote_addr' --key forwarded_for",
            ONE,
            &[],
        ),
        case(
            "Apache, as it stands in the configuration",
            "192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100 \"-\" \"UA \\\"x\\\"\" 1234\n",
            "--log-format '%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" \\\"%{User-Agent}i\\\" %D'",
            ONE,
            &[],
        ),
        case(
            "Apache, the whole directive",
            "shop.example:443 192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100\n",
            "--log-format 'LogFormat \"%v:%p %h %l %u %t \\\"%r\\\" %>s %O\" vhost'",
            ONE,
            &[],
        ),
        case(
            "Apache, a time in parts",
            "192.0.2.1 04/Mar/2024:10:00:00.250 +0100 \"GET /a HTTP/1.1\"\n",
            "--log-format '%h %{%d/%b/%Y:%T}t.%{msec_frac}t %{%z}t \"%r\"'",
            thousandths,
            &[],
        ),
        case(
            "Apache, a list of addresses",
            "192.0.2.1, 10.0.0.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100\n",
            "--log-format '%{X-Forwarded-For}i %l %u %t \"%r\" %>s %b'",
            ONE,
            &[],
        ),
        case(
            "nginx, the parts of a request",
            "192.0.2.1 [04/Mar/2024:09:00:00 +0000] GET /a HTTP/1.1\n",
            "--log-format '${remote_addr} [${time_local}] $request_method $request_uri $server_protocol' --value method",
            &["192.0.2.1 1 2024-03-04T09:00:00Z GET GET"],
            &[],
        ),
        case(
            "Apache, the parts of a request",
            "192.0.2.1 [04/Mar/2024:09:00:00 +0000] \"GET /a?b=c HTTP/1.1\" 200\n",
            "--log-format '%h %t \"%m %U%q %H\" %>s' --value path --key address,method,protocol",
            &["192.0.2.1+GET+HTTP/1.1 1 2024-03-04T09:00:00Z /a?b=c /a?b=c"],
            &[],
        ),
        case(
            "Apache, the directive of the log",
            "192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 100\n",
            "--log-format 'CustomLog \"logs/access log\" \"%h %l %u %t \\\"%r\\\" %>s %b\"'",
            ONE,
            &[],
        ),
        case(
            "behind prefixes of syslog and Kubernetes, and in docker's objects",
            "<190>Mar  4 09:00:00 web nginx[12]: 192.0.2.1 [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"\n\
             2024-03-04T09:00:00.1Z stdout F 192.0.2.1 [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"\n\
             [pod/web-1/nginx] 2024-03-04T09:00:00.1Z 192.0.2.1, 10.0.0.1 [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"\n\
             {\"log\":\"192.0.2.1 [04/Mar/2024:09:00:00 +0000] \\\"GET /a HTTP/1.1\\\"\\n\",\"stream\":\"stdout\"}\n",
            "--log-format '$remote_addr [$time_local] \"$request\"'",
            &["192.0.2.1 4 2024-03-04T09:00:00Z GET /a GET /a"],
            &[" 4 events, 0 rejected,"],
        ),
        case(
            "aligned, as Squid writes them",
            "1709542800.123     45 192.0.2.1 TCP_MISS/200 12 GET http://x/ -\n1709542801.123 145123 192.0.2.1 TCP_HIT/200 1 GET http://x/ -\n",
            "--log-format '$msec $duration $remote_addr $result/$status $bytes_sent $request_method $request_uri $remote_user' \
             --value path",
            &["192.0.2.1 2 2024-03-04T09:00:00.123000Z http://x/ http://x/"],
            &[" 2 events, 0 rejected,"],
        ),
        case(
            "an address of version 6 before a colon",
            "2001:db8::1:4711 [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"\n",
            "--log-format '$remote_addr:$remote_port [$time_local] \"$request\"'",
            &["2001:db8::1 1 2024-03-04T09:00:00Z GET /a GET /a"],
            &[],
        ),
        case(
            "nginx, groups of upstream servers",
            "192.0.2.1 1709542800 /a 10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 0.1, 0.2 : 0.3 200\n",
            "--log-format '$remote_addr $msec $request_uri $upstream_addr $upstream_response_time $status' --value status",
            &["192.0.2.1 1 2024-03-04T09:00:00Z 200 200"],
            &[],
        ),
        case(
            "a status that is none: the line has other fields",
            "192.0.2.1|1709542800|/a|b|200\n192.0.2.1|1709542800|/a|200 x\n192.0.2.1|1709542800|/a|-1\n192.0.2.1|1709542800|/a|-\n",
            "--log-format '$remote_addr|$msec|$request_uri|$status' --where status!=404",
            &["192.0.2.1 2 2024-03-04T09:00:00Z"],
            &["line 1: `status` is no status of three digits", "line 2: `status`", " 2 events, 2 rejected,"],
        ),
        case(
            "but of other logs it is any text",
            "192.0.2.1 1709542800 done\n",
            "--log-format '$remote_addr $msec $status' --value status",
            &["192.0.2.1 1 2024-03-04T09:00:00Z done done"],
            &[],
        ),
        case(
            "behind a mark of byte order, of syslog",
            "<190>1 2024-03-04T09:00:00Z web nginx - - - \u{feff}192.0.2.1 1709542800 x\n",
            "--log-format '$remote_addr $msec $x' --value x",
            &["192.0.2.1 1 2024-03-04T09:00:00Z x x"],
            &[],
        ),
        case(
            "lines of another form are told",
            "192.0.2.1 [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200\nMar 4 09:00:00 web\n",
            "--log-format '$remote_addr [$time_local] \"$request\" $status'",
            ONE,
            &["line 2: not a line of that log format: \" [\" does not follow"],
        ),
        case(
            "and words that are no client",
            "192.0.2.1 [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"\nMar: [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\"\n",
            "--log-format '$remote_addr [$time_local] \"$request\"'",
            ONE,
            &["line 2: `address` is no address or host name of a client"],
        ),
    ]);
    let wrong = |format, says| Case { status: 2, ..case(format, "x\n", format, &[], says) };
    check(&[
        wrong("--log-format '$remote_addr$time_local'", &["nothing is between remote_addr and time_local"]),
        wrong(
            "--log-format '%(h)s %(l)s %(t)s'",
            &["Apache has no %(: write the fields of another program as nginx's"],
        ),
        wrong("--log-format '%ci:%cp [%tr] %ST'", &["Apache has no %c: "]),
        wrong("--log-format '[%START_TIME%] %PROTOCOL%'", &["Apache has no %]: "]),
        wrong("--log-format 'hello'", &["it names no field"]),
        wrong("--log-format '{\"time\":\"$time_iso8601\"}'", &["it writes JSON: leave --log-format out"]),
        wrong("--log-format '%h %t' --key user", &["has no field `user`; it has address, time"]),
    ]);
}

#[test]
fn values_that_are_no_text() {
    let input = [line!("192.0.2.1 - -"), &line!("192.0.2.1 - -").replace("/a", "/caf?")].concat();
    let input: Vec<u8> = input.bytes().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    let told = |options, rows| {
        let says = &["line 2: `path` is not valid UTF-8", "1 rejected"];
        Case { input: &input, ..case(options, "", options, rows, says) }
    };
    check(&[
        told("--not path~^/caf", &["192.0.2.1 1 2024-03-04T09:00:00Z GET /a GET /a"]),
        told("--distinct path --value status", &["192.0.2.1 1 2024-03-04T09:00:00Z 200 200"]),
    ]);
}

#[test]
fn directives_of_nginx() {
    let directive = "--log-format 'log_format main escape=default \"$remote_addr - $remote_user [$time_local] \"\n    \"$request_method $request_uri\";'";
    check(&[case(
        "in parts",
        "192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] GET /a\n",
        &format!("{directive} --value path"),
        &["192.0.2.1 1 2024-03-04T09:00:00Z /a /a"],
        &[],
    )]);
}

#[test]
fn w3c() {
    const IIS: &str = "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2024-03-04 09:00:00\r\n\
        #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status time-taken\r\n\
        2024-03-04 09:00:00 10.0.0.1 GET /a - 443 - 192.0.2.1 UA+1 200 15\r\n\
        #Fields: date time c-ip cs-method cs-uri-stem\r\n\
        2024-03-04 09:10:00 192.0.2.1 GET /b\r\n";
    const CLOUDFRONT: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status\n\
        2024-03-04\t09:00:00\tFRA2\t100\t192.0.2.1\tGET\td1.cloudfront.net\t/a\t200\n\
        2024-03-04\t09:10:00\tFRA2\t100\t192.0.2.1\tGET\td1.cloudfront.net\t/b\t200\n";
    const TIME_ONLY: &str = "#Date: 2024-03-04 00:00:00\n#Fields: time c-ip cs-method cs-uri-stem\n\
        09:00:00 192.0.2.1 GET /a\n09:10:00 192.0.2.1 GET /b\n";
    let rows: &[&str] = &["192.0.2.1 2 2024-03-04T09:00:00Z GET /a GET /b"];
    check(&[
        case("IIS, with other columns further down", IIS, "", rows, &[" 2 events, 0 rejected,"]),
        case("CloudFront", CLOUDFRONT, "", rows, &[" 2 events, 0 rejected,"]),
        case(
            "blanks and tabs at the ends of lines",
            &[IIS, CLOUDFRONT].map(|log| log.replace("GET /b", "GET /b ").replace("/b\t200", "/b\t200\t")).concat(),
            "",
            &["192.0.2.1 4 2024-03-04T09:00:00Z GET /a GET /b"],
            &[" 4 events, 0 rejected,"],
        ),
        case(
            "texts in quotes, as Blue Coat writes them",
            "#Fields: date time c-ip cs(User-Agent) cs-method cs-uri-stem x-note\n\
             2024-03-04 09:00:00 192.0.2.1 \"UA 1 (x)\" GET /a \"-\"\n2024-03-04 09:10:00 192.0.2.1 UA GET /b \"a b\"\n",
            "",
            rows,
            &[" 2 events, 0 rejected,"],
        ),
        case(
            "commas, as Exchange writes them",
            "\u{feff}#Software: Microsoft Exchange Server\r\n#Fields: date-time,client-ip,subject,event-id\r\n\
             2024-03-04T09:00:00.000Z,192.0.2.1,\"Hi, you\",SEND\r\n2024-03-04T09:10:00.000Z,192.0.2.1,,\"A \"\"B\"\"\"\r\n",
            "--key client-ip --time date-time --value event-id",
            &["192.0.2.1 2 2024-03-04T09:00:00Z SEND A \"\"B\"\""],
            &[" 2 events, 0 rejected,"],
        ),
        case("the day in #Date", TIME_ONLY, "", rows, &[" 2 events, 0 rejected,"]),
        case(
            "fields by the names of their columns",
            CLOUDFRONT,
            "--key c-ip,cs(Host) --value sc-status",
            &["192.0.2.1+d1.cloudfront.net 2 2024-03-04T09:00:00Z 200 200"],
            &[],
        ),
        case(
            "a list of clients, by the name of its column, with blanks as IIS and CloudFront write them",
            "#Fields: date time c-ip X-Forwarded-For\n2024-03-04 09:00:00 10.0.0.1 198.51.100.7,+192.0.2.1\n\
             2024-03-04 09:10:00 10.0.0.1 198.51.100.7,%20192.0.2.1:80\n",
            "--key X-Forwarded-For --forwarded last --value c-ip",
            &["192.0.2.1 2 2024-03-04T09:00:00Z 10.0.0.1 10.0.0.1"],
            &[],
        ),
        case(
            "an address by the name of its column",
            "#Fields: date time c-ip\n2024-03-04 09:00:00 2001:DB8::1\n2024-03-04 09:10:00 2001:db8:0::1\n\
             2024-03-04 09:00:00 a7c0f3\n2024-03-04 09:00:00 -\n",
            "--key c-ip --value date",
            &[
                "2001:db8::1 2 2024-03-04T09:00:00Z 2024-03-04 2024-03-04",
                "a7c0f3 1 2024-03-04T09:00:00Z 2024-03-04 2024-03-04",
            ],
            &["line 5: `c-ip` is -", " 3 events, 1 rejected,"],
        ),
        Case {
            input: b"#Fields: date time c-ip cs-method cs-uri-stem\n2024-03-04 09:00:00 192.0.2.1 GET /caf\xe9\n\
                2024-03-04 09:00:00 192.0.2.1 GET /a\n2024-03-04 09:10:00 192.0.2.1 GET /b\n",
            ..case("a path that is no text", "", "", rows, &["line 2: `request` is not valid UTF-8"])
        },
        Case {
            status: 1,
            ..case("nobody is logged in", IIS, "--key user", &[], &["line 5: `user` is -", "line 7: `user` is missing"])
        },
    ]);
}

#[test]
fn load_balancers() {
    let line = "https 2024-03-04T09:00:00.250000Z app/my-lb/50dc 192.0.2.1:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 \
                \"GET https://shop.example:443/a HTTP/1.1\" \"curl/7.46.0\" ECDHE TLSv1.2 arn:aws:x \"Root=1-58\" \"shop.example\" \
                \"arn:aws:acm\" 1 2024-03-04T09:00:00.200000Z \"forward\" \"-\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\"\n";
    let get = "GET https://shop.example:443/a";
    check(&[
        case("ALB", line, "", &[&format!("192.0.2.1 1 2024-03-04T09:00:00.250000Z {get} {get}")], &[]),
        case(
            "IPv6, whose port follows a further colon",
            &line.replace("192.0.2.1:2817", "2001:db8::1:2817"),
            "",
            &[&format!("2001:db8::1 1 2024-03-04T09:00:00.250000Z {get} {get}")],
            &[],
        ),
        case(
            "IPv6 in full",
            &line.replace("192.0.2.1:2817", "2001:db8:0:0:0:0:0:1:2817"),
            "",
            &[&format!("2001:db8::1 1 2024-03-04T09:00:00.250000Z {get} {get}")],
            &[],
        ),
        case(
            "IPv6 in brackets",
            &line.replace("192.0.2.1:2817", "[2001:db8::1]:2817"),
            "",
            &[&format!("2001:db8::1 1 2024-03-04T09:00:00.250000Z {get} {get}")],
            &[],
        ),
        case(
            "a classic load balancer",
            "2024-03-04T09:00:00.250000Z my-lb 192.0.2.1:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 \
             \"GET https://shop.example:443/a HTTP/1.1\" \"curl/7.38.0\" - -\n",
            "",
            &[&format!("192.0.2.1 1 2024-03-04T09:00:00.250000Z {get} {get}")],
            &[],
        ),
        case(
            "fields by AWS's names",
            line,
            "--key domain_name --value elb_status_code",
            &["shop.example 1 2024-03-04T09:00:00.250000Z 200 200"],
            &[],
        ),
    ]);
}
