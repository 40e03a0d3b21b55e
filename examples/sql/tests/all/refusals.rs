//! Refusals: before the first row, with the place, the clause, and an alternative.

use crate::support::{lines, mistake, run};

const STREAM: &str = "CREATE STREAM d (v INTEGER);\n";

/// Message, place and advice for the SELECT of a pump, which is the second line.
fn of_select(select: &str) -> Vec<String> {
    let sql = format!("{STREAM}CREATE PUMP p AS INSERT INTO d {select};");
    mistake(&sql).lines().map(str::to_owned).collect()
}

#[test]
fn a_caret_stands_below_the_place() {
    let shown = of_select("SELECT STREAM a FROM s JOIN t ON s.x = t.x");
    assert_eq!(
        shown,
        [
            "app.sql:2:55: JOIN is not supported, nor are reference tables",
            "    CREATE PUMP p AS INSERT INTO d SELECT STREAM a FROM s JOIN t ON s.x = t.x;",
            "                                                          ^",
            "A pump reads one stream here. Put the fields that belong together into one record before they reach the stream."
        ]
    );
}

#[test]
fn text_from_a_word_processor_or_a_web_page() {
    let shown = mistake("CREATE STREAM “d” (v INTEGER);\nCREATE PUMP p AS INSERT INTO d SELECT STREAM a FROM s;");
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "app.sql:1:15: the quotation mark “ is not one of SQL",
            "    CREATE STREAM “d” (v INTEGER);",
            "                  ^",
            "Write straight ones, \" or ': word processors and web pages change them."
        ]
    );
    // The mark at the beginning of a file, blanks that do not break a line, and quotation marks within a text.
    let sql = "\u{feff}CREATE STREAM d\u{a0}(v VARCHAR(9));\r\n\
               CREATE\u{2003}PUMP p AS INSERT INTO d SELECT STREAM '“\u{a0}”' FROM s;";
    assert_eq!(
        lines(&run(sql, Some("x INTEGER"), &[r#"{"arrival": "2018-11-29T23:35:10"}"#.to_owned()])),
        ["“\u{a0}”"]
    );
}

#[test]
fn what_is_never_closed_is_shown_at_the_end() {
    for (sql, caret) in [("CREATE STREAM d (v INTEGER);\n/* é\n", "        ^"), ("/* é", "        ^")] {
        let shown = mistake(sql);
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(lines, ["    /* é", caret, "Close the quote or the comment, or remove the character."], "{shown}");
    }
}

#[test]
fn a_window_clause_is_shown_where_it_stands() {
    let shown = of_select("SELECT STREAM COUNT(*) OVER w FROM s WINDOW w AS (RANGE CURRENT ROW)");
    assert_eq!(shown[0], "app.sql:2:76: RANGE CURRENT ROW, all rows of one time, is not supported");
}

#[test]
fn what_is_not_there_is_named() {
    for (select, what, instead) in [
        ("SELECT STREAM a FROM s LEFT JOIN t ON x", "JOIN is not supported", "one record"),
        ("SELECT STREAM a FROM s, t", "a join of two streams", "one record"),
        (
            "SELECT STREAM a FROM s OVER (RANGE INTERVAL '1' MINUTE PRECEDING) AS o JOIN t ON x",
            "a window behind",
            "one record",
        ),
        (
            "SELECT STREAM a FROM TABLE(RANDOM_CUT_FOREST(CURSOR(SELECT STREAM * FROM s), 100))",
            "the table function RANDOM_CUT_FOREST",
            "random cut forests",
        ),
        ("SELECT a FROM TABLE (HOTSPOTS(CURSOR(SELECT STREAM * FROM s), 1000, 0.2, 17))", "HOTSPOTS", "cluster"),
        (
            "SELECT STREAM a FROM TABLE(TOP_K_ITEMS_TUMBLING(CURSOR(SELECT STREAM * FROM s), 'c', 10, 60))",
            "TOP_K",
            "Count",
        ),
        ("SELECT STREAM a FROM (SELECT STREAM * FROM s) x", "a SELECT in FROM", "Create a stream"),
        ("SELECT STREAM DISTINCT a FROM s", "SELECT DISTINCT", "GROUP BY"),
        ("SELECT STREAM a FROM s UNION ALL SELECT STREAM b FROM s", "UNION is not supported", "two pumps"),
        ("SELECT STREAM a FROM s ORDER BY a", "ORDER BY is not supported", "ROWTIME"),
        ("SELECT STREAM a FROM s LIMIT 5", "LIMIT is not supported", "stored"),
        ("SELECT STREAM COUNT(*) FROM s", "an aggregate has no window here", "STAGGER"),
        ("SELECT STREAM COUNT(*) FROM s GROUP BY a", "would never end a group", "STEP(ROWTIME"),
        (
            "SELECT STREAM b FROM s GROUP BY a, STEP(ROWTIME BY INTERVAL '1' MINUTE)",
            "neither grouped by",
            "FIRST_VALUE",
        ),
        (
            "SELECT STREAM SUM(COUNT(a)) FROM s GROUP BY STEP(ROWTIME BY INTERVAL '1' MINUTE)",
            "an aggregate has no window here",
            "within each other",
        ),
        ("SELECT STREAM a FROM s WHERE COUNT(a) > 1", "an aggregate has no window here", "HAVING"),
        ("SELECT STREAM COUNT(a) OVER w FROM s", "there is no window \"W\"", "WINDOW W AS"),
        ("SELECT STREAM COUNT(a) OVER (PARTITION BY b) FROM s", "no RANGE or ROWS", "PRECEDING"),
        ("SELECT STREAM LAG(a) OVER (ROWS 1 PRECEDING) FROM s", "is not supported", "functions"),
        ("SELECT STREAM a FROM s WINDOWED BY TUMBLE (x)", "expected STAGGER", "GROUP BY"),
        ("SELECT STREAM STEP(a BY INTERVAL '1' MONTH) FROM s", "an INTERVAL of MONTH", "'7' DAY"),
        ("SELECT STREAM REGEX_REPLACE(a, 'b', 'c', 1, 0) FROM s", "the function REGEX_REPLACE", "README"),
        ("SELECT STREAM a, b FROM s", "2 values for the 1 columns of \"D\"", "\"V\""),
        ("SELECT STREAM 'x' FROM s", "VARCHAR(1) does not go into the column \"V\"", "CAST"),
        ("SELECT STREAM a + 'x' FROM s", "+ VARCHAR(1) has no meaning", "CAST"),
        ("SELECT STREAM CAST(CAST(a AS BOOLEAN) AS DATE) FROM s", "CAST makes no DATE of BOOLEAN", "texts"),
        ("SELECT STREAM CAST(a AS VARBINARY(3)) FROM s", "the type VARBINARY(3) is not supported", "BIGINT"),
        ("SELECT STREAM * FROM s", "are not known", "--schema"),
        ("SELECT STREAM x.a FROM s AS y", "there is no stream \"X\" here", "\"Y\""),
        ("SELECT STREAM a FROM 's'", "expected a name", "quoted with \""),
    ] {
        let shown = of_select(select);
        assert!(shown[0].contains(what), "{select}\n{shown:#?}");
        assert!(shown.last().is_some_and(|last| last.contains(instead)), "{select}\n{shown:#?}");
        assert!(shown[0].starts_with("app.sql:2:") && shown[2].trim() == "^", "{select}\n{shown:#?}");
    }
}

#[test]
fn mistakes_of_other_statements_are_named() {
    for (sql, what, instead) in [
        ("", "has no pump", "CREATE OR REPLACE PUMP"),
        ("DROP STREAM s;", "a statement `DROP …`", "CREATE"),
        ("CREATE FUNCTION f(x INTEGER) RETURNS INTEGER RETURN x;", "CREATE FUNCTION", "pump"),
        ("CREATE STREAM s (a VARIANT);", "the type VARIANT", ""),
        (
            "CREATE PUMP p AS INSERT INTO d SELECT STREAM a FROM s;",
            "no stream \"D\" to insert into",
            "CREATE OR REPLACE STREAM",
        ),
        (
            "CREATE STREAM \"d\" (a INTEGER); CREATE PUMP p AS INSERT INTO d SELECT a FROM s;",
            "no stream \"D\"",
            "Write \"d\"",
        ),
        ("CREATE STREAM d (a INTEGER, A INTEGER);", "a second column \"A\"", "Rename"),
        (
            "CREATE STREAM d (a INTEGER); CREATE PUMP p AS INSERT INTO d SELECT a FROM d;",
            "comes from outside",
            "SOURCE_SQL_STREAM_001",
        ),
        (
            "CREATE STREAM d (a INTEGER); CREATE PUMP p AS INSERT INTO d SELECT a FROM s; CREATE PUMP q AS INSERT INTO d \
             SELECT a FROM t;",
            "a second source, \"T\" beside \"S\"",
            "two texts",
        ),
        (
            "CREATE STREAM d (a INTEGER); CREATE STREAM e (a INTEGER); CREATE PUMP p AS INSERT INTO d SELECT a FROM e; \
             CREATE PUMP q AS INSERT INTO e SELECT a FROM d; CREATE PUMP r AS INSERT INTO d SELECT a FROM s;",
            "reads what comes of its own rows",
            "circle",
        ),
        ("CREATE STREAM d (a INTEGER) –- comment", "", ""),
        ("CREATE STREAM d (a INTEGER, b 'x", "Unterminated", "quote"),
    ] {
        let shown = mistake(&format!(
            "{sql}{}",
            if sql.contains("PUMP") || sql.is_empty() {
                ""
            } else {
                " CREATE PUMP p AS INSERT INTO d SELECT a FROM s;"
            }
        ));
        assert!(shown.contains(what) && shown.contains(instead), "{sql}\n{shown}");
    }
}
