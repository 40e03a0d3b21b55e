//! Times, zones, numbers and users: decisions that hold in every format, shown on CSV and JSON.

use crate::cases::{Case, check};

fn csv<'a>(
    what: &'a str,
    input: &'a str,
    options: &'a str,
    rows: &'a [&'a str],
    says: &'a [&'a str],
    status: i32,
) -> Case<'a> {
    Case { what, file: "in.csv", input: input.as_bytes(), options, rows, says, status }
}

fn json<'a>(
    what: &'a str,
    input: &'a str,
    options: &'a str,
    rows: &'a [&'a str],
    says: &'a [&'a str],
    status: i32,
) -> Case<'a> {
    Case { file: "in.jsonl", ..csv(what, input, options, rows, says, status) }
}

#[test]
fn times() {
    check(&[
        csv(
            "Unix seconds, milliseconds and so on by what is plausible",
            "u,t\na,1709542800\nb,1709542800000\nc,1709542800000000\nd,1709542800000000000\ne,1709542800.25\n",
            "--key u --time t",
            &[
                "a 1 2024-03-04T09:00:00Z",
                "b 1 2024-03-04T09:00:00Z",
                "c 1 2024-03-04T09:00:00Z",
                "d 1 2024-03-04T09:00:00Z",
                "e 1 2024-03-04T09:00:00.250000Z",
            ],
            &["note: `t` is read as Unix milliseconds: 1709542800000 is 2024-03-04T09:00:00.000000Z\n"],
            0,
        ),
        csv(
            "a number with an exponent, in CSV",
            "u,t\na,1.7095428E+12\na,1.7095428E9\n",
            "--key u --time t",
            &["a 2 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
        json(
            "and in JSON",
            "{\"u\":\"a\",\"t\":1.7095428E+12}\n{\"u\":\"a\",\"t\":\"1.7095428E9\"}\n",
            "--key u --time t",
            &["a 2 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
        json(
            "a fraction is cut, not rounded by way of a float",
            "{\"u\":\"a\",\"t\":1709542800.1234569}\n{\"u\":\"a\",\"t\":\"1709542800.1234569\"}\n",
            "--key u --time t --step 1s",
            &["a 2 2024-03-04T09:00:00.123456Z"],
            &[],
            0,
        ),
        csv(
            "digits of a date and a time",
            "u,t\na,20240304090000\na,202403040910\na,20240304T092000Z\na,20240304092500Z\na,20240304102700.0+0100\n",
            "--key u --time t",
            &["a 5 2024-03-04T09:00:00Z"],
            &["note: `t` is read as digits of date and time: 20240304090000 is 2024-03-04T09:00:00.000000Z\n"],
            0,
        ),
        csv(
            "digits of a time that is not plausible",
            "u,t\na,240304090000\nb,99991231235959\nc,20240304090000\nd,17000101T000000Z\n",
            "--key u --time t",
            &["c 1 2024-03-04T09:00:00Z"],
            &["line 2: `t` is not a time that can be read: \"240304090000\"", " 1 event, 3 rejected,"],
            0,
        ),
        csv(
            "any time that is not plausible",
            "u,t\na,0000-01-01T00:00:00Z\nb,9999-12-31 23:59:59\nc,2024-03-04T09:00:00Z\nd,01/Jan/1970:00:00:00 +0000\n\
             e,0001/01/01 00:00:00\nf,1989-12-31T23:59:59.5Z\ng,1990-01-01T00:00:00Z\ng,1989-12-31T19:00:00-05:00\n\
             h,2100-01-01T00:00:00Z\ni,2100-01-01T00:00:00.000001Z\n",
            "--key u --time t",
            &["c 1 2024-03-04T09:00:00Z", "g 2 1990-01-01T00:00:00Z", "h 1 2100-01-01T00:00:00Z"],
            &[
                "line 2: `t` is not a time that can be read: \"0000-01-01T00:00:00Z\"; it is not from 1990-01-01 to \
                 2100-01-01: widen --plausible if that is right\n",
                "line 3: `t`",
                "line 5: `t`",
                "line 6: `t`",
                "line 7: `t`",
                " 4 events, 6 rejected,",
            ],
            0,
        ),
        csv(
            "unless the form is said, or the span",
            "u,t\na,1969-07-20T20:17:40Z\n",
            "--key u --time t --time-format iso",
            &["a 1 1969-07-20T20:17:40Z"],
            &[],
            0,
        ),
        csv(
            "the span",
            "u,t\na,1969-07-20T20:17:40Z\n",
            "--key u --time t --plausible 1900..2100",
            &["a 1 1969-07-20T20:17:40Z"],
            &[],
            0,
        ),
        csv(
            "digits of a date and an hour are a second of 2034, too",
            "u,t\na,2024030409\nb,1709542800\nc,2034022012\nd,2024030425\n",
            "--key u --time t",
            &["b 1 2024-03-04T09:00:00Z", "d 1 2034-02-20T06:40:25Z"],
            &[
                "line 2: `t` is not a time that can be read: \"2024030409\"; it can be a Unix time or the digits of a \
                 date: pass --time-format seconds (or millis, micros), or --time-format %Y%m%d%H\n",
                "line 4: `t`",
                "note: `t` is read as Unix seconds: 1709542800 is 2024-03-04T09:00:00.000000Z\n",
                " 2 events, 2 rejected,",
            ],
            0,
        ),
        csv(
            "and can be read as both",
            "u,t\na,2024030409\na,2024030410\n",
            "--key u --time t --gap 2h --time-format %Y%m%d%H",
            &["a 2 2024-03-04T09:00:00Z"],
            &["note: `t` names no zone"],
            0,
        ),
        csv(
            "as seconds",
            "u,t\na,2024030409\n",
            "--key u --time t --time-format seconds",
            &["a 1 2034-02-20T06:40:09Z"],
            &[],
            0,
        ),
        csv(
            "a wider span makes other digits two times",
            "u,t\na,202403040910\nb,20240304091000\nc,1709542800\n",
            "--key u --time t --plausible 1970..2100",
            &["c 1 2024-03-04T09:00:00Z"],
            &["--time-format %Y%m%d%H%M\n", "--time-format %Y%m%d%H%M%S\n", " 1 event, 2 rejected,"],
            0,
        ),
        csv(
            "a date of eight digits is no Unix time",
            "u,t\na,20240304\na,20240305\nb,1709542800\n",
            "--key u --time t",
            &["b 1 2024-03-04T09:00:00Z"],
            &["line 2: `t` is not a time that can be read: \"20240304\"; as a Unix time in any unit it is not from \
               1990-01-01 to 2100-01-01: --time-format %Y%m%d reads it as a date\n"],
            0,
        ),
        csv(
            "but can be read",
            "u,t\na,20240304\n",
            "--key u --time t --time-format %Y%m%d",
            &["a 1 2024-03-04T00:00:00Z"],
            &[],
            0,
        ),
        csv(
            "days of a spreadsheet are no Unix time",
            "u,t\na,45355.375\nb,1709542800\n",
            "--key u --time t",
            &["b 1 2024-03-04T09:00:00Z"],
            &["--time-format excel reads it as days of a spreadsheet"],
            0,
        ),
        csv(
            "but can be read",
            "u,t\na,45355.375\nb,45355.3958333333\n",
            "--key u --time t --time-format excel",
            &["a 1 2024-03-04T09:00:00Z", "b 1 2024-03-04T09:30:00Z"],
            &[],
            0,
        ),
        csv(
            "nor is a day of one, without a time",
            "u,t\na,45355\nb,1709542800\n",
            "--key u --time t",
            &["b 1 2024-03-04T09:00:00Z"],
            &["--time-format excel reads it as days of a spreadsheet"],
            0,
        ),
        csv(
            "ticks of .NET are no nanoseconds of 1990",
            "u,t\na,638451396000000000\nb,1709542800\n",
            "--key u --time t",
            &["b 1 2024-03-04T09:00:00Z"],
            &[
                "line 2: `t` is not a time that can be read: \"638451396000000000\"; it looks like ticks of .NET: write them",
            ],
            0,
        ),
        csv(
            "days and months in numbers: which is which must be said",
            "u,t\na,04.03.2024 09:00:00\na,3/4/2024 9:00:00 AM\nb,1709542800\n",
            "--key u --time t",
            &["b 1 2024-03-04T09:00:00Z"],
            &[
                "\"04.03.2024 09:00:00\"; say its form: --time-format '%d.%m.%Y %H:%M:%S', or '%m/%d/%Y %I:%M:%S %p' if the \
                 month is first\n",
                "\"3/4/2024 9:00:00 AM\"; say its form",
            ],
            0,
        ),
        csv(
            "and can be read",
            "u,t\na,3/4/2024 9:00:00 AM\n",
            "--key u --time t --time-format '%m/%d/%Y %I:%M:%S %p'",
            &["a 1 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
        csv(
            "the span can be set",
            "u,t\na,86400\nb,4102444801000\n",
            "--key u --time t --plausible 1970..2200",
            &["a 1 1970-01-02T00:00:00Z", "b 1 2100-01-01T00:00:01Z"],
            &[],
            0,
        ),
        csv(
            "a unit can be said, whatever is plausible",
            "u,t\na,5000\n",
            "--key u --time t --time-format millis",
            &["a 1 1970-01-01T00:00:05Z"],
            &[
                "note: `t` has times that are not from 1990-01-01 to 2100-01-01: 5000 is 1970-01-01T00:00:05.000000Z by \
               --time-format (--plausible makes it usual)\n",
            ],
            0,
        ),
        csv(
            "seconds left out, slashes, and names of zones behind an offset",
            "u,t\na,2024-03-04 09:00\nb,2024-03-04T09:00Z\nc,2024-03-04T10:00+01:00\nd,2024/03/04 09:00:00\n\
             e,2024-03-04T10:00:00+01:00[Europe/Berlin]\nf,2024-03-04T09:00:00Z[UTC]\ng,2024-03-04 09:00:00 +0000 UTC\n\
             h,2024-03-04 10:00:00.5 +0100 CET\n",
            "--key u --time t",
            &[
                "a 1 2024-03-04T09:00:00Z",
                "b 1 2024-03-04T09:00:00Z",
                "c 1 2024-03-04T09:00:00Z",
                "d 1 2024-03-04T09:00:00Z",
                "e 1 2024-03-04T09:00:00Z",
                "f 1 2024-03-04T09:00:00Z",
                "g 1 2024-03-04T09:00:00Z",
                "h 1 2024-03-04T09:00:00.500000Z",
            ],
            &[],
            0,
        ),
        csv(
            "names of zones alone, and other text behind a time, are not read",
            "u,t\na,2024-03-04 09:00:00 EST\na,2024-03-04T09:00[Europe/Berlin]\na,2024-03-04 09:00:00 +0000 utc!\n\
             a,2024-03-04T09:00:00+01:00[]\na,2024-03-04T9:00\nb,2024-03-04\n",
            "--key u --time t",
            &[],
            &[
                "line 2: `t` is not a time that can be read: \"2024-03-04 09:00:00 EST\"; no offset is known of `EST`: write it into a \
                 pattern, as in --time-format '%Y-%m-%d %H:%M:%S EST', and name the zone with --input-zone\n",
                "line 6: `t` is not a time that can be read: \"2024-03-04T9:00\"; there is no such date or time of day, or \
                 other text is behind it\n",
                " 0 events, 6 rejected,",
            ],
            1,
        ),
        csv(
            "a date alone",
            "u,t\na,2024-03-04\n",
            "--key u --time t",
            &[],
            &["\"2024-03-04\"; it names no time of day: --time-format %Y-%m-%d reads it as its midnight\n"],
            1,
        ),
        csv(
            "second 60 is a leap second, or none",
            "u,t\na,2016-12-31T23:59:60Z\nb,2017-01-01T00:59:60+01:00\nc,2024-03-04T12:00:60Z\nd,2024-03-04T23:59:60Z\n",
            "--key u --time t",
            &["a 1 2017-01-01T00:00:00Z", "b 1 2017-01-01T00:00:00Z"],
            &["line 4: `t` is not a time that can be read: \"2024-03-04T12:00:60Z\"", " 2 events, 2 rejected,"],
            0,
        ),
        csv(
            "each time field has its format",
            "u,t,at\na,1709542800,04.03.2024 09:00:01\n",
            "--key u --time t --time-format seconds --arrival at --arrival-format '%d.%m.%Y %H:%M:%S' --max-future 1h",
            &["a 1 2024-03-04T09:00:00Z"],
            &["note: `at` names no zone: its times are taken as UTC"],
            0,
        ),
    ]);
}

#[test]
fn times_in_words() {
    const NINE: &[&str] = &["a 1 2024-03-04T09:00:00Z"];
    let read = |time: &str| format!("u;t\na;{time}\n");
    let told = |time: &str, says: &str| {
        let input = read(time);
        check(&[csv(time, &input, "--key u --time t", &[], &[says], 1)]);
    };
    for time in [
        "Mon, 04 Mar 2024 10:00:00 +0100",
        "Mon, 04 Mar 2024 09:00:00 GMT",
        "Mon Mar  4 09:00:00 UTC 2024",
        "Mon Mar 04 2024 10:00:00 GMT+0100 (Central European Standard Time)",
        "2024-03-04 09:00:00.000000009 +0000 UTC m=+0.000123",
    ] {
        check(&[csv(time, &read(time), "--key u --time t --input-zone Asia/Tokyo", NINE, &[], 0)]);
    }
    for time in [
        "Mon Mar  4 09:00:00 2024",
        "Mar 4, 2024 @ 09:00:00.000",
        "Mar 4, 2024, 9:00:00\u{202f}AM",
        "04-MAR-2024 09.00.00.000000 AM",
        "2024-03-04 9:00:00 am",
    ] {
        check(&[csv(time, &read(time), "--key u --time t", NINE, &["note: `t` names no zone"], 0)]);
    }
    for time in ["/Date(1709542800000)/", "/Date(1709542800000+0100)/", "/Date(1709542800000-0500)/"] {
        check(&[csv(time, &read(time), "--key u --time t --input-zone Asia/Tokyo", NINE, &[], 0)]);
    }
    told("/Date(-62135596800000)/", "; it is not from 1990-01-01 to 2100-01-01");
    told(
        "20240304090000123",
        "; it looks like the digits of a date and a time, with a fraction: --time-format %Y%m%d%H%M%S%3f",
    );
    told("20240304090000.5", " --time-format %Y%m%d%H%M%S%.f reads it\n");
    told("Mar  4 09:00:00", "; it names no year: have the program that writes it add one\n");
    told(
        "04-MAR-24 09.00.00 AM",
        "; its year has two digits: say its form, such as --time-format '%d-%b-%y %H:%M:%S'\n",
    );
    told("09:00:00", "; it names no date: join the date and the time of day into one field\n");
    told("Mar 4, 2024", "; it names no time of day: say its form, such as --time-format '%b %d, %Y'\n");
    told("2023-02-29T09:00:00Z", "; there is no such date or time of day, or other text is behind it\n");
    told("4 mars 2024 09:00:00", "; say its form, such as --time-format '%d.%m.%Y %H:%M:%S'\n");
    told("2024-W10-1T09:00:00Z", "; say its form, such as --time-format");
    told("1709542800,5", "; it has a comma in the place of a point\n");
    told("133540164000000000", "; it looks like a FILETIME of Windows: ");
}

#[test]
fn patterns() {
    let fraction = "u,t\na,2024-03-04 09:00:00.900\na,2024-03-04 09:00:01.100\n";
    let with = |pattern: &'static str, says: &'static [&'static str]| Case {
        what: pattern,
        file: "in.csv",
        input: fraction.as_bytes(),
        options: pattern,
        rows: &[],
        says,
        status: 2,
    };
    let read = |pattern: &'static str, rows: &'static [&'static str]| Case { rows, status: 0, ..with(pattern, &[]) };
    check(&[
        read("--key u --time t --gap 1s --time-format '%Y-%m-%d %H:%M:%S.%f'", &["a 2 2024-03-04T09:00:00.900000Z"]),
        read("--key u --time t --gap 1s --time-format '%Y-%m-%d %H:%M:%S%.f'", &["a 2 2024-03-04T09:00:00.900000Z"]),
        read("--key u --time t --gap 1s --time-format '%F %T.%3f'", &["a 2 2024-03-04T09:00:00.900000Z"]),
        with("--key u --time t --time-format '%F %T,%f'", &["%f would read the digits", "write %.f"]),
        with("--key u --time t --time-format '%F %T %Z'", &["%Z would skip the name of the zone", "--input-zone"]),
        with("--key u --time t --time-format '%d.%m. %H:%M'", &["does not name a date with its year"]),
        with("--key u --time t --time-format '%Y-%m-%d %I:%M:%S'", &["does not name a date with its year"]),
        with("--key u --time t --time-format '%H:%M:%S'", &["does not name a date with its year"]),
        with("--key u --time t --time-format '%Y-%m-%d %I'", &["does not name a date with its year"]),
        Case {
            input: b"u,t\na,2024-03-04 09\nb,2024-03-04 09 +0100\n",
            ..read("--key u --time t --time-format '%Y-%m-%d %H'", &["a 1 2024-03-04T09:00:00Z"])
        },
        with(
            "--key u --time t --time-format '%F %T %#z'",
            &["it holds %#z, by which no time can be written: write %z"],
        ),
        with("--key u --time t --time-format '%Q'", &["a % code that strftime does not know"]),
        Case {
            what: "the name of UTC in a pattern is the zone",
            input: b"u,t\na,2024-03-04T09:00:00Z\n",
            says: &["note: every `t` names its zone or is a Unix time: --input-zone Europe/Berlin changes nothing\n"],
            ..read(
                "--key u --time t --input-zone Europe/Berlin --time-format %Y-%m-%dT%H:%M:%SZ",
                &["a 1 2024-03-04T09:00:00Z"],
            )
        },
        Case {
            what: "in words",
            input: b"u;t\na;Mon, 04 Mar 2024 09:00:00 (GMT) x\n",
            ..read(
                "--key u --time t --input-zone Europe/Berlin --time-format '%a, %d %b %Y %H:%M:%S (GMT) x'",
                &["a 1 2024-03-04T09:00:00Z"],
            )
        },
        Case {
            what: "another name is not",
            input: b"u,t\na,2024-03-04 09:00:00 CET\n",
            ..read(
                "--key u --time t --input-zone Europe/Berlin --time-format '%Y-%m-%d %H:%M:%S CET'",
                &["a 1 2024-03-04T08:00:00Z"],
            )
        },
        Case {
            input: b"u,t\na,04.03.24 09:00:00\n",
            status: 1,
            says: &["`t` is not a time that can be read: \"04.03.24 09:00:00\""],
            ..read("--key u --time t --time-format '%d.%m.%Y %H:%M:%S'", &[])
        },
        Case {
            input: b"u,t\na,04.03.24 09:00:00\n",
            ..read("--key u --time t --time-format '%d.%m.%y %H:%M:%S'", &["a 1 2024-03-04T09:00:00Z"])
        },
    ]);
}

#[test]
fn zones() {
    check(&[
        csv(
            "times without a zone are UTC, and that is told",
            "u,t\na,2024-07-04 23:30:00\n",
            "--key u --time t",
            &["a 1 2024-07-04T23:30:00Z"],
            &["note: `t` names no zone: its times are taken as UTC (--input-zone says another)\n"],
            0,
        ),
        csv(
            "or of a zone; --zone is that of the results",
            "u,t\na,2024-07-04 23:30:00\na,2024-07-05 00:10:00\n",
            "--key u --time t --gap 1h --cut-daily --zone Europe/Berlin --input-zone Europe/Berlin",
            &["a 1 2024-07-04T21:30:00Z", "a 1 2024-07-04T22:10:00Z"],
            &[],
            0,
        ),
        csv(
            "in a pattern, in digits and in a log's form too",
            "u,t\na,20240704233000\nb,04/Jul/2024:23:30:00\n",
            "--key u --time t --input-zone +02:00",
            &["a 1 2024-07-04T21:30:00Z", "b 1 2024-07-04T21:30:00Z"],
            &["digits of date and time: 20240704233000 is 2024-07-04T21:30:00.000000Z\n"],
            0,
        ),
        csv(
            "and in a pattern",
            "u,t\na,04.07.2024 23:30:00\n",
            "--key u --time t --input-zone Europe/Berlin --time-format '%d.%m.%Y %H:%M:%S'",
            &["a 1 2024-07-04T21:30:00Z"],
            &[],
            0,
        ),
        csv(
            "a zone in the text counts",
            "u,t\na,2024-07-04T23:30:00Z\n",
            "--key u --time t --input-zone Europe/Berlin",
            &["a 1 2024-07-04T23:30:00Z"],
            &["note: every `t` names its zone or is a Unix time: --input-zone Europe/Berlin changes nothing\n"],
            0,
        ),
        csv(
            "a time that the clocks show twice is the earlier",
            "u,t\na,2024-10-27 02:30:00\nb,2024-10-27 03:30:00\n",
            "--key u --time t --input-zone Europe/Berlin",
            &["a 1 2024-10-27T00:30:00Z", "b 1 2024-10-27T02:30:00Z"],
            &["note: 1 time of `t` shown twice, when the clocks are set back: taken as the earlier (Europe/Berlin)\n"],
            0,
        ),
        csv(
            "a time that they skip is moved forward",
            "u,t\na,2024-03-31 02:30:00\nb,2024-03-31 03:30:00\n",
            "--key u --time t --input-zone Europe/Berlin",
            &["a 1 2024-03-31T01:30:00Z", "b 1 2024-03-31T01:30:00Z"],
            &["note: 1 time of `t` never shown, when the clocks are set forward: moved forward"],
            0,
        ),
    ]);
}

/// A condition on the time of the event means the time that is read, in whatever form and zone.
#[test]
fn conditions() {
    const BOTH: &str = "u,t\na,2024-03-04 10:00:00\nb,2024-03-04 11:00:00\n";
    const DAYS: &str = "u,t\na,04.03.2024 00:30\nb,03.03.2024 23:30\n";
    const A: &[&str] = &["a 1 2024-03-04T09:00:00Z"];
    check(&[
        csv("in a zone", BOTH, "--key u --time t --input-zone Europe/Berlin --where t<2024-03-04T09:30:00Z", A, &[], 0),
        csv(
            "a time of the condition is in that zone, too",
            BOTH,
            "--key u --time t --input-zone Europe/Berlin --not 't>=2024-03-04 10:30'",
            A,
            &[],
            0,
        ),
        csv(
            "and so is a day, of a pattern",
            DAYS,
            "--key u --time t --time-format '%d.%m.%Y %H:%M' --input-zone Europe/Berlin --where t>=2024-03-04",
            &["a 1 2024-03-03T23:30:00Z"],
            &[],
            0,
        ),
        csv(
            "of days without a time",
            "u,t\na,04.03.2024\nb,03.03.2024\n",
            "--key u --time t --time-format %d.%m.%Y --where t=2024-03-04",
            &["a 1 2024-03-04T00:00:00Z"],
            &[],
            0,
        ),
        csv(
            "of a spreadsheet",
            "u,t\na,45355.375\nb,45354.375\n",
            "--key u --time t --time-format excel --where t>=2024-03-04",
            A,
            &[],
            0,
        ),
        csv(
            "another field is read by its own form, in the same zone",
            "u,t,d\na,1709542800,2024-03-04 10:00:00\nb,1709542800,2024-03-04 11:00:00\n",
            "--key u --time t --time-format seconds --input-zone Europe/Berlin --where d<2024-03-04T09:30:00Z",
            A,
            &[],
            0,
        ),
        csv(
            "values that cannot be compared are told",
            "u,t,n,d\na,1709542800,5,2024-03-04\nb,1709542800,\"1,234\",4.3.\nc,1709542800,,2024-03-04\n",
            "--key u --time t --where n>=5 --where d>=2024-03-04",
            A,
            &[
                "note: `n` has values that are no number, such as 1,234: n>=5 does not hold for them\n",
                "2 left out by --where",
            ],
            0,
        ),
    ]);
}

#[test]
fn users() {
    const CSV: &str =
        "u,t\n,2024-03-04T09:00:00Z\nann,2024-03-04T09:10:00Z\n-,2024-03-04T09:20:00Z\n\"\",2024-03-04T09:40:00Z\n";
    const JSON: &str = "{\"u\":null,\"t\":\"2024-03-04T09:00:00Z\"}\n{\"u\":\"ann\",\"t\":\"2024-03-04T09:10:00Z\"}\n\
                        {\"t\":\"2024-03-04T09:20:00Z\"}\n{\"u\":\"-\",\"t\":\"2024-03-04T09:40:00Z\"}\n";
    const ANN: &[&str] = &["ann 1 2024-03-04T09:10:00Z"];
    const BOTH: &[&str] = &[" 3 2024-03-04T09:00:00Z", "ann 1 2024-03-04T09:10:00Z"];
    const LOG: &str = "192.0.2.1 - - [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"UA\"\n\
                       192.0.2.2 - ann [04/Mar/2024:09:10:00 +0000] \"GET /b HTTP/1.1\" 200 1 \"-\" \"UA\"\n";
    let log = |options, rows, says| Case { file: "access.log", ..csv("a log", LOG, options, rows, says, 0) };
    check(&[
        csv(
            "CSV",
            CSV,
            "--key u --time t",
            ANN,
            &["line 2: `u` is empty", "line 4: `u` is -", "line 5: `u` is empty"],
            0,
        ),
        json(
            "JSON",
            JSON,
            "--key u --time t",
            ANN,
            &["line 1: `u` is null", "line 3: `u` is missing", "line 4: `u` is -"],
            0,
        ),
        log("--key user", &["ann 1 2024-03-04T09:10:00Z GET /b GET /b"], &["line 1: `user` is -"]),
        csv("CSV", CSV, "--key u --time t --no-user keep", BOTH, &["note: 3 events have an empty `u`"], 0),
        json("JSON", JSON, "--key u --time t --no-user keep", BOTH, &["note: 3 events have an empty `u`"], 0),
        log(
            "--key user --no-user keep",
            &[" 1 2024-03-04T09:00:00Z GET /a GET /a", "ann 1 2024-03-04T09:10:00Z GET /b GET /b"],
            &["note: 1 event has an empty `user`"],
        ),
        json(
            "an empty text of JSON is a text, and told",
            "{\"u\":\"\",\"t\":1709542800}\n",
            "--key u --time t",
            &[" 1 2024-03-04T09:00:00Z"],
            &["note: 1 event has an empty `u`: they count as one user (--not u= leaves them out)\n"],
            0,
        ),
        json(
            "texts that mean nobody are users, and told",
            "{\"u\":\"null\",\"t\":1709542800}\n{\"u\":\"undefined\",\"t\":1709542800}\n{\"u\":\"null\",\"t\":1709542800}\n\
             {\"u\":\"  \",\"t\":1709542800}\n{\"u\":\" \",\"t\":1709542800}\n{\"u\":\"ann\",\"t\":1709542800}\n\
             {\"u\":\"\\\\N\",\"t\":1709542800}\n{\"u\":\"null\",\"t\":\"no time\"}\n",
            "--key u --time t",
            &[
                "   1 2024-03-04T09:00:00Z",
                "  1 2024-03-04T09:00:00Z",
                "\\N 1 2024-03-04T09:00:00Z",
                "ann 1 2024-03-04T09:00:00Z",
                "null 2 2024-03-04T09:00:00Z",
                "undefined 1 2024-03-04T09:00:00Z",
            ],
            &[
                "note: 2 events have \"null\" as `u`: they count as one user (--not u=null leaves them out)\n",
                "note: 1 event has \"undefined\" as `u`",
                "note: 2 events have \" \" as `u`: they count as one user (--not 'u~^\\s*$' leaves them out)\n",
                "note: 1 event has \"\\\\N\" as `u`: they count as one user (--not 'u=\\N' leaves them out)\n",
            ],
            0,
        ),
        json(
            "blanks and characters that nobody sees, around a name",
            "{\"u\":\"ann \",\"t\":1709542800}\n{\"u\":\"ann\",\"t\":1709542800}\n{\"u\":\"ann\\u200b\",\"t\":1709542800}\n",
            "--key u --time t",
            &["ann  1 2024-03-04T09:00:00Z", "ann 1 2024-03-04T09:00:00Z", "ann\u{200b} 1 2024-03-04T09:00:00Z"],
            &[
                "note: 2 events have blanks or invisible characters around `u`, such as \"ann \": without them it is another user\n",
            ],
            0,
        ),
        json(
            "in the first of several key fields, whatever is in the others",
            "{\"u\":\"None\",\"d\":\"NULL\",\"t\":1709542800}\n{\"u\":\"ann\",\"d\":\"NULL\",\"t\":1709542800}\n",
            "--key u,d --time t",
            &["None+NULL 1 2024-03-04T09:00:00Z", "ann+NULL 1 2024-03-04T09:00:00Z"],
            &["note: 1 event has \"None\" as `u`"],
            0,
        ),
        csv(
            "in CSV, and left out as the note says",
            "u,t\nNULL,1709542800\nN/A,1709542800\n\"\"\"null\"\"\",1709542800\nann,1709542800\n(not set),1709542800\n\
             00000000-0000-0000-0000-000000000000,1709542800\n",
            "--key u --time t --not u=NULL --not u=N/A --not 'u=(not set)' --not u=00000000-0000-0000-0000-000000000000",
            &["\"null\" 1 2024-03-04T09:00:00Z", "ann 1 2024-03-04T09:00:00Z"],
            &[
                "note: 1 event has \"\\\"null\\\"\" as `u`: they count as one user (--not 'u=\"null\"' leaves them out)\n",
            ],
            0,
        ),
        Case {
            file: "access.log",
            ..csv(
                "in a log; an empty name in quotes is nobody",
                "192.0.2.1 - null [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 1\n\
                 192.0.2.1 - \"\" [04/Mar/2024:09:00:00 +0000] \"GET /a HTTP/1.1\" 200 1\n",
                "--key user --value status",
                &["null 1 2024-03-04T09:00:00Z 200 200"],
                &["note: 1 event has \"null\" as `user`", "line 2: `user` is empty"],
                0,
            )
        },
        json(
            "a further key field may be empty",
            "{\"u\":1,\"d\":null,\"t\":1709542800}\n{\"u\":1,\"t\":1709542800}\n{\"u\":1,\"d\":\"\",\"t\":1709542800}\n",
            "--key u,d --time t",
            &["1+ 3 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
    ]);
}

#[test]
fn numbers_as_keys() {
    check(&[
        csv(
            "an integer of CSV",
            "u,t\n7,1709542800\n7.0,1709542800\n+7,1709542800\n007,1709542800\n7e0,1709542800\n0,1709542800\n-0,1709542800\n7.5,1709542800\n",
            "--key u:int --time t",
            &["0 2 2024-03-04T09:00:00Z", "7 5 2024-03-04T09:00:00Z"],
            &["line 9: `u` is no integer of 64 bits: \"7.5\""],
            0,
        ),
        json(
            "an integer of JSON, as a number or a text",
            "{\"u\":7,\"t\":1709542800}\n{\"u\":7.0,\"t\":1709542800}\n{\"u\":\"7.0\",\"t\":1709542800}\n{\"u\":-0,\"t\":1709542800}\n{\"u\":\"-0\",\"t\":1709542800}\n",
            "--key u:int --time t",
            &["0 2 2024-03-04T09:00:00Z", "7 3 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
        json(
            "as text: of a number the value counts, of a text the letters",
            "{\"u\":0,\"t\":1709542800}\n{\"u\":-0,\"t\":1709542800}\n{\"u\":-0.0,\"t\":1709542800}\n{\"u\":\"7.0\",\"t\":1709542800}\n{\"u\":7.0,\"t\":1709542800}\n{\"u\":7,\"t\":1709542800}\n",
            "--key u --time t",
            &["0 3 2024-03-04T09:00:00Z", "7 2 2024-03-04T09:00:00Z", "7.0 1 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
    ]);
}

#[test]
fn fields_in_no_line() {
    let few = "{\"u\":1,\"t\":1709542800,\"event\":\"x\"}\n";
    let many = few.repeat(30);
    check(&[
        json("a value of few lines", few, "--key u --time t --value evnt", &[], &["no line has the field `evnt`"], 2),
        json(
            "of many lines",
            &many,
            "--key u --time t --value evnt",
            &[],
            &["has no field `evnt`; it has u, t, event"],
            2,
        ),
        json("a key", few, "--key user --time t", &[], &["no line has the field `user`"], 2),
        json("a key, kept", few, "--key user --time t --no-user keep", &[], &["no line has the field `user`"], 2),
        csv(
            "a column",
            "u,t\n1,1709542800\n",
            "--key u --time t --value evnt",
            &[],
            &["has no field `evnt`; it has u, t"],
            2,
        ),
        json(
            "one that some lines lack",
            "{\"u\":1,\"t\":1709542800}\n{\"u\":1,\"t\":1709542800,\"event\":null}\n",
            "--key u --time t --value event",
            &["1 2 2024-03-04T09:00:00Z"],
            &[],
            0,
        ),
    ]);
}
