//! CSV: delimiters, headers, blanks and quotes.

use crate::cases::{Case, check};

const ANN: &[&str] = &["ann 2 2024-03-04T09:00:00Z"];

fn case<'a>(what: &'a str, file: &'a str, input: &'a str, options: &'a str) -> Case<'a> {
    Case { what, file, input: input.as_bytes(), options, rows: ANN, says: &[" 2 events, 0 rejected,"], status: 0 }
}

#[test]
fn csv() {
    check(&[
        case("commas", "in.csv", "u,t\nann,1709542800\nann,1709543400\n", "--key u --time t"),
        case("tabs, by the name", "in.tsv", "u\tt\nann\t1709542800\nann\t1709543400\n", "--key u --time t"),
        case("tabs, by the header", "in.txt", "u\tt\nann\t1709542800\nann\t1709543400\n", "--key u --time t"),
        case("semicolons, by the header", "in.csv", "u;t\nann;1709542800\nann;1709543400\n", "--key u --time t"),
        case(
            "semicolons, as said",
            "in",
            "u|b|c;t\nann;1709542800\nann;1709543400\n",
            "--key u|b|c --time t --delimiter ;",
        ),
        case("bars", "in.csv", "u|t\nann|1709542800\nann|1709543400\n", "--key u --time t"),
        case("tabs, as said", "in", "u\tt\nann\t1709542800\nann\t1709543400\n", "--key u --time t --delimiter tab"),
        case("no header", "in.csv", "ann,1709542800\nann,1709543400\n", "--no-header --key 1 --time 2"),
        case("no header, tabs", "in.tsv", "ann\t1709542800\nann\t1709543400\n", "--no-header --key 1 --time 2"),
        case(
            "blanks around names and cells",
            "in.csv",
            "u , t\nann, 1709542800\n\" ann \",1709543400 \n",
            "--key u --time t",
        ),
        case("empty lines", "in.csv", "\nu,t\n\nann,1709542800\n\nann,1709543400\n", "--key u --time t"),
        case("zeros of a log rotation", "in.csv", "u,t\nann,1709542800\n\0\0\0\0ann,1709543400\n", "--key u --time t"),
        case(
            "a delimiter behind the last cell",
            "in.csv",
            "u,t\nann,1709542800,\nann,1709543400, , \n",
            "--key u --time t",
        ),
        case(
            "and where cells are quoted",
            "in.csv",
            "u;t\n\"ann\";1709542800;\n\"ann\";1709543400;\"\"\n",
            "--key u --time t",
        ),
        case(
            "a delimiter behind the last name",
            "in.csv",
            "u,t,\nann,1709542800\nann,1709543400,\n",
            "--key u --time t",
        ),
        case(
            "and where cells are quoted",
            "in.csv",
            "\"u\",\"t\",\n\"ann\",1709542800\n\"ann\",1709543400,x\n",
            "--key u --time t",
        ),
        case(
            "a quoted header",
            "in.csv",
            "\"u\",\"t\"\n\"ann\",\"1709542800\"\n\"ann\",\"1709543400\"\n",
            "--key u --time t",
        ),
    ]);
}

/// As of the last column: a value that cannot be read is not an empty one.
#[test]
fn values_that_are_no_text() {
    const TOLD: &[&str] = &["line 2: `c` is not valid UTF-8", " 2 events, 1 rejected"];
    let told = |options| Case {
        input: b"u,t,c\nann,1709542800,M\xfcnchen\nann,1709542800,Bonn\nann,1709543400,Bonn\n",
        says: TOLD,
        ..case(options, "in.csv", "", options)
    };
    check(&[
        told("--key u --time t --list c"),
        told("--key u --time t --where c~B"),
        told("--key u --time t --not c~nchen"),
        told("--key u --time t --end-at c~nchen"),
        Case { rows: &["ann 1 2024-03-04T09:00:00Z"], ..told("--key u --time t --unique c") },
        Case {
            rows: &["ann 3 2024-03-04T09:00:00Z"],
            says: &[" 3 events, 0 rejected,"],
            ..told("--key u --time t --where u=ann")
        },
    ]);
}

#[test]
fn what_is_told() {
    let none = |what, input, options, says| Case { rows: &[], says, status: 2, ..case(what, "in.csv", input, options) };
    check(&[
        none(
            "a column that is there twice",
            "u,t,u\nann,1709542800,bob\n",
            "--key u --time t",
            &["in.csv has several columns `u` (1, 3): rename all but one"],
        ),
        Case {
            what: "can be named by its number",
            rows: &["bob 1 2024-03-04T09:00:00Z"],
            says: &["line 1: `2` is not a time", " 1 event, 1 rejected,"],
            ..case("", "in.csv", "u,t,u\nann,1709542800,bob\n", "--no-header --key 3 --time 2")
        },
        Case {
            what: "one that is not wanted does no harm",
            rows: &["ann 1 2024-03-04T09:00:00Z"],
            says: &[],
            ..case("", "in.csv", "u,t,x,x\nann,1709542800,1,2\n", "--key u --time t")
        },
        Case {
            what: "a row of another width",
            rows: ANN,
            says: &[
                "line 3: 3 columns where the header has 2",
                "line 4: 1 columns where the header has 2",
                " 2 events, 2 rejected,",
            ],
            status: 0,
            ..case("", "in.csv", "u,t\nann,1709542800\nann,1709542900,x\nann\nann,1709543400\n", "--key u --time t")
        },
        none(
            "a number that there is not",
            "ann,1709542800\n",
            "--no-header --key 3 --time 2",
            &["has no field `3`; it has 1, 2"],
        ),
        none(
            "a first line that is no header",
            "ann,1709542800\nann,1709543400\n",
            "--key 1 --time 2",
            &["has no field `1`; it has ann, 1709542800; if its first line is no header, pass --no-header"],
        ),
        none(
            "one with a time in text",
            "ann,2024-03-04T09:00:00Z\n",
            "--key user",
            &["pass --time FIELD; its fields are ann, 2024-03-04T09:00:00Z; if its first line is no header, pass"],
        ),
        none(
            "a header that is taken for a row",
            "u,t\nann,1709542800\n",
            "--no-header --key u --time t",
            &["has no field `u`; it has 1, 2; its first line has that name: leave out --no-header"],
        ),
        Case {
            what: "a first line for Excel, which names the delimiter",
            rows: &["ann 1 2024-03-04T09:00:00Z"],
            says: &[" 1 event, 0 rejected,"],
            ..case("", "in.csv", "sep=;\r\nu;t;a,b,c\r\nann;1709542800;1,5\r\n", "--key u --time t")
        },
        Case {
            what: "in quotes, and a tab",
            rows: &["ann 1 2024-03-04T09:00:00Z"],
            says: &[" 1 event, 0 rejected,"],
            ..case("", "export", "\"sep=\t\"\nu\tt\nann\t1709542800\n", "--key u --time t")
        },
        Case {
            what: "quotes that are a part of a name",
            rows: &[
                "\"ann\" 1 2024-03-04T09:00:00Z",
                "'bob' 1 2024-03-04T09:00:00Z",
                "=\"007\" 1 2024-03-04T09:00:00Z",
            ],
            says: &["note: 3 events have quotes around `u` that are a part of it, such as \"ann\"\n"],
            status: 0,
            ..case(
                "",
                "in.csv",
                "u,t\n \"ann\",1709542800\n'bob',1709542800\n=\"007\",1709542800\n",
                "--key u --time t",
            )
        },
        Case {
            what: "numbers that a spreadsheet rounded",
            rows: &["1.23457E+11 2 2024-03-04T08:13:20Z"],
            says: &[
                "note: 2 events have a number as `u` that a spreadsheet has rounded, such as 1.23457E+11: several users may",
                "note: `t` has numbers such as 1.70954E+12: if a spreadsheet rounded them, their seconds are lost\n",
            ],
            status: 0,
            ..case("", "in.csv", "u,t\n1.23457E+11,1.70954E+12\n1.23457E+11,1.70954E+12\n", "--key u --time t")
        },
        Case {
            what: "conditions that make no difference",
            rows: &["ann 1 2024-03-04T09:00:00Z"],
            says: &[
                "note: --not u=bobby left no line out\n",
                "note: --where t>2024 held for every line\n",
                "note: no event fulfils u=logout, the condition of a rule\n",
                " 1 left out by",
            ],
            status: 0,
            ..case(
                "",
                "in.csv",
                "u,t\nann,1709542800\nbob,1709542800\n",
                "--key u --time t --not u=bobby --not u=bob --where t>2024 --end-at u=logout",
            )
        },
        none("a delimiter of two characters", "u,t\n", "--key u --time t --delimiter ;;", &["give one character"]),
    ]);
}

/// Files that were put together, and lines that are no rows.
#[test]
fn headers_within() {
    let ann = |what, input| case(what, "in.csv", input, "--key u --time t");
    let none = |what, input, says| Case { rows: &[], says, status: 2, ..ann(what, input) };
    let gone_on = "u,d,t\nann,x,1709542800\nd,u,t\ny,ann,1709543400\n";
    check(&[
        ann("the same header again", "u,t\nann,1709542800\nu,t\nann,1709543400\n"),
        ann("with a mark of byte order", "\u{feff}u,t\nann,1709542800\n\u{feff}u,t\nann,1709543400\n"),
        ann("in quotes", "u,t\nann,1709542800\n\"u\",\"t\"\nann,1709543400\n"),
        ann("in another order", gone_on),
        Case {
            what: "in another order, where a condition leaves lines out",
            options: "--key u --time t --not d=bot --value d",
            rows: &["ann 2 2024-03-04T09:00:00Z x y"],
            ..ann("", "u,d,t\nann,x,1709542800\nd,u,t\nbot,ann,1709543000\ny,ann,1709543400\n")
        },
        ann("with other columns", "u,t,v\nann,1709542800,1\nt,u\n1709543400,ann\n"),
        Case {
            what: "only some of the names",
            says: &["line 3: `t` is not a time that can be read: \"t\"", " 2 events, 1 rejected,"],
            ..ann("", "u,t\nann,1709542800\nx,t\nann,1709543400\n")
        },
        case(
            "a mark of byte order where there is no header",
            "in.csv",
            "\u{feff}ann,1709542800\n\u{feff}ann,1709543400\n",
            "--no-header --key 1 --time 2",
        ),
        none(
            "lines before the header",
            "# made by a program\n\nu,t\nann,1709542800\n",
            &[
                "has no field `u`; it has # made by a program; line 3 has that name: if that is its header, give it from there on: \
               `tail -n +3 FILE | files -`\n",
            ],
        ),
        none(
            "another delimiter",
            "u^t\nann^1709542800\n",
            &["it has u^t; that is one name: another --delimiter separates them\n"],
        ),
        Case {
            status: 2,
            file: "flows.log",
            ..none(
                "blanks between the columns",
                "u t note\nann 1709542800 1\n",
                &["or --delimiter ' ' if blanks are between its columns\n"],
            )
        },
        Case {
            options: "--key u --time t --delimiter ' '",
            file: "flows.log",
            ..ann("as the message says", "u t n\nann 1709542800 1\nann 1709543400 1\n")
        },
        Case {
            file: "in.log",
            ..none(
                "pairs",
                "time=1 user=ann\n",
                &["its lines are pairs as in logfmt: give their order with --log-format"],
            )
        },
        Case {
            what: "a quote behind a backslash",
            says: &[
                "line 2: a quoted field is never closed, or goes on after its closing quote (a quote within is written twice)",
            ],
            ..ann("", "u,t\n\"O\\\"Brien\",1709542800\nann,1709542800\nann,1709543400\n")
        },
    ]);
}
