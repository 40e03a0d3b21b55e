//! The tables of AWS's developer guide: "Stagger Windows", "Tumbling Windows" and "Sliding Windows", and the pages
//! of its SQL reference that show values. Statements are written anew after theirs.

use crate::support::{Wrote, lines, run};

const DAY: &str = "2018-11-29T";

/// Records of one ticker: ROWTIME and event time within a day.
fn trades(times: &[(&str, &str)]) -> Vec<String> {
    let line = |(rowtime, event): &(&str, &str)| {
        format!(r#"{{"TICKER_SYMBOL": "AMZN", "EVENT_TIME": "{DAY}{event}", "arrival": "{DAY}{rowtime}"}}"#)
    };
    times.iter().map(line).collect()
}

const FOUR: [(&str, &str); 4] =
    [("11:00:20", "11:00:10"), ("11:00:30", "11:00:20"), ("11:01:05", "11:00:55"), ("11:01:15", "11:01:05")];

fn application(query: &str) -> String {
    format!(
        "CREATE OR REPLACE STREAM \"DESTINATION_SQL_STREAM\" (\n\
         ticker_symbol VARCHAR(4), event_time TIMESTAMP, ticker_count DOUBLE);\n\
         CREATE OR REPLACE PUMP \"STREAM_PUMP\" AS INSERT INTO \"DESTINATION_SQL_STREAM\"\n{query};"
    )
}

/// ROWTIME and event time within the day, and the rest.
fn table(wrote: &[Wrote]) -> Vec<String> {
    let clock = |millis: i64| {
        let seconds = millis / 1000 % 86_400;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    };
    let row =
        |row: &Wrote| format!("{} {} {} {}", clock(row.rowtime), &row.values[1][11..19], row.values[0], row.values[2]);
    wrote.iter().map(row).collect()
}

/// AWS's own statement of this table puts three values into two columns; here the stream has three.
#[test]
fn four_trades_in_tumbling_windows() {
    let sql = application(
        "SELECT STREAM TICKER_SYMBOL, FLOOR(EVENT_TIME TO MINUTE), COUNT(TICKER_SYMBOL) AS TICKER_COUNT\n\
         FROM \"SOURCE_SQL_STREAM_001\"\n\
         GROUP BY ticker_symbol, FLOOR(EVENT_TIME TO MINUTE), STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '1' MINUTE)",
    );
    let expected = ["11:01:00 11:00:00 AMZN 2.0", "11:02:00 11:00:00 AMZN 1.0", "11:02:00 11:01:00 AMZN 1.0"];
    assert_eq!(table(&run(&sql, None, &trades(&FOUR))), expected);
}

#[test]
fn four_trades_in_stagger_windows() {
    let sql = application(
        "SELECT STREAM TICKER_SYMBOL, FLOOR(EVENT_TIME TO MINUTE), COUNT(TICKER_SYMBOL) AS ticker_count\n\
         FROM \"SOURCE_SQL_STREAM_001\"\n\
         WINDOWED BY STAGGER (PARTITION BY FLOOR(EVENT_TIME TO MINUTE), TICKER_SYMBOL RANGE INTERVAL '1' MINUTE)",
    );
    let expected = ["11:01:20 11:00:00 AMZN 3.0", "11:02:15 11:01:00 AMZN 1.0"];
    assert_eq!(table(&run(&sql, None, &trades(&FOUR))), expected);
}

/// Counts of "Sliding Windows": 1, 2, 2, 2, and 5 when the three of second 8 have come.
#[test]
fn a_count_over_five_seconds() {
    let sql = "CREATE STREAM counts (n BIGINT);\n\
               CREATE PUMP p AS INSERT INTO counts SELECT STREAM COUNT(*) OVER w FROM SOURCE_SQL_STREAM_001\n\
               WINDOW w AS (RANGE INTERVAL '5' SECOND PRECEDING);";
    let lines_in: Vec<String> =
        [1, 2, 6, 7, 8, 8, 8].map(|at| format!("{{\"arrival\": \"{DAY}11:00:0{at}\"}}")).to_vec();
    assert_eq!(lines(&run(sql, None, &lines_in)), ["1", "2", "2", "2", "3", "4", "5"]);
}

/// Minute by minute as "Timestamps and the ROWTIME Column" shows it: a late record is in the next window of ROWTIME.
#[test]
fn a_late_record_is_in_the_next_window() {
    let sql = "CREATE OR REPLACE STREAM \"DESTINATION_SQL_STREAM\" (\n\
               \"ingest_time\" timestamp, \"APPROXIMATE_ARRIVAL_TIME\" timestamp, \"ticker_symbol\" VARCHAR(12),\n\
               \"symbol_count\" integer);\n\
               CREATE OR REPLACE PUMP \"STREAM_PUMP\" AS INSERT INTO \"DESTINATION_SQL_STREAM\"\n\
               SELECT STREAM STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '60' SECOND) AS \"ingest_time\",\n\
               STEP(\"SOURCE_SQL_STREAM_001\".APPROXIMATE_ARRIVAL_TIME BY INTERVAL '60' SECOND),\n\
               \"TICKER_SYMBOL\", COUNT(*) AS \"symbol_count\" FROM \"SOURCE_SQL_STREAM_001\"\n\
               GROUP BY \"TICKER_SYMBOL\", STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '60' SECOND),\n\
               STEP(\"SOURCE_SQL_STREAM_001\".APPROXIMATE_ARRIVAL_TIME BY INTERVAL '60' SECOND);";
    let record = |at: &str| format!("{{\"TICKER_SYMBOL\": \"XYZ\", \"arrival\": \"2016-07-19T17:{at}\"}}");
    let mut records: Vec<String> = (10..16).map(|second| record(&format!("05:{second}"))).collect();
    // The clock has gone on to 17:06:03 when the record of 17:05:58 is read.
    records.extend([record("06:03"), record("05:58")]);
    let expected = [
        "2016-07-19 17:05:00.000,2016-07-19 17:05:00.000,XYZ,6",
        "2016-07-19 17:06:00.000,2016-07-19 17:06:00.000,XYZ,1",
        "2016-07-19 17:06:00.000,2016-07-19 17:05:00.000,XYZ,1",
    ];
    assert_eq!(lines(&run(sql, None, &records)), expected);
}

/// The first examples of "Tumbling Windows" and "Sliding Windows", and one with a row-based window.
#[test]
fn prices_of_a_ticker() {
    let record = |at: &str, price: &str| {
        format!(r#"{{"ticker_symbol": "TBV", "price": {price}, "change": 1, "arrival": "{DAY}{at}"}}"#)
    };
    let records = [record("10:00:00", "11.5"), record("10:00:30", "9"), record("10:01:10", "20.25")];
    let tumbling = "CREATE STREAM d (ticker_symbol VARCHAR(4), Min_Price DOUBLE, Max_Price DOUBLE);\n\
         CREATE PUMP p AS INSERT INTO d SELECT STREAM Ticker_Symbol, MIN(Price) AS Min_Price, MAX(Price) AS Max_Price\n\
         FROM \"SOURCE_SQL_STREAM_001\"\n\
         GROUP BY Ticker_Symbol, STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '60' SECOND);";
    assert_eq!(lines(&run(tumbling, None, &records)), ["TBV,9.0,11.5", "TBV,20.25,20.25"]);
    let sliding = "CREATE STREAM d (ticker_symbol VARCHAR(10), Min_Price double, Max_Price double, Avg_Price double);\n\
         CREATE PUMP p AS INSERT INTO d SELECT STREAM ticker_symbol, MIN(Price) OVER W1 AS Min_Price,\n\
         MAX(Price) OVER W1 AS Max_Price, AVG(Price) OVER W1 AS Avg_Price FROM \"SOURCE_SQL_STREAM_001\"\n\
         WINDOW W1 AS (PARTITION BY ticker_symbol RANGE INTERVAL '1' MINUTE PRECEDING);";
    let expected = ["TBV,11.5,11.5,11.5", "TBV,9.0,11.5,10.25", "TBV,9.0,20.25,14.625"];
    assert_eq!(lines(&run(sliding, None, &records)), expected);
    let rows = "CREATE STREAM d (ticker_symbol VARCHAR(12), price double, last2 double, last10 double);\n\
         CREATE PUMP p AS INSERT INTO d SELECT STREAM ticker_symbol, price, avg(price) over last2rows,\n\
         avg(price) over last10rows FROM SOURCE_SQL_STREAM_001 WINDOW\n\
         last2rows AS (PARTITION BY ticker_symbol ROWS 1 PRECEDING), last10rows AS (PARTITION BY ticker_symbol ROWS 9 PRECEDING);";
    assert_eq!(lines(&run(rows, None, &records))[2], "TBV,20.25,14.625,13.583333333333334");
}

/// One value, as a pump makes it of one record.
pub(crate) fn value(expression: &str, ty: &str, record: &str, schema: &str) -> String {
    let sql = format!("CREATE STREAM d (v {ty});\nCREATE PUMP p AS INSERT INTO d SELECT STREAM {expression} FROM s;");
    let record =
        format!("{{{record}{}\"arrival\": \"1970-01-01T00:00:00\"}}", if record.is_empty() { "" } else { ", " });
    let schema = if schema.is_empty() { "x INTEGER" } else { schema };
    lines(&run(&sql, Some(schema), &[record])).join("|")
}

#[test]
fn values_of_the_sql_reference() {
    for (expression, ty, expected) in [
        // CAST
        ("CAST(DATE '2008-08-23' AS VARCHAR(10))", "VARCHAR(10)", "2008-08-23"),
        ("CAST(DATE '2008-08-23' AS VARCHAR(9))", "VARCHAR(9)", "'2008-08-23' is longer than VARCHAR(9)"),
        ("CAST(-1.5 AS INTEGER)", "INTEGER", "-2"),
        // SUBSTRING
        ("SUBSTRING('123456789' FROM 3 FOR 4)", "VARCHAR(9)", "3456"),
        ("SUBSTRING('123456789' FROM 17 FOR 4)", "VARCHAR(9)", ""),
        ("SUBSTRING('123456789', -1, 4)", "VARCHAR(9)", "12"),
        // CEIL, FLOOR, STEP
        ("CEIL(TIMESTAMP '2004-09-30 13:48:23' TO HOUR)", "TIMESTAMP", "2004-09-30 14:00:00.000"),
        ("FLOOR(TIMESTAMP '2004-09-30 13:48:23' TO YEAR)", "TIMESTAMP", "2004-01-01 00:00:00.000"),
        ("STEP(TIMESTAMP '2004-09-30 13:48:23' BY INTERVAL '10' SECOND)", "TIMESTAMP", "2004-09-30 13:48:20.000"),
        ("STEP(23 BY 5)", "INTEGER", "20"),
        ("CEIL(-3.3)", "INTEGER", "-3"),
        // the rest
        ("POSITION('fox' IN 'quick fox')", "INTEGER", "7"),
        ("TRIM(BOTH 'x' FROM 'xxaxx')", "VARCHAR(5)", "a"),
        ("UNIX_TIMESTAMP(TIMESTAMP '1970-01-01 00:00:01.5')", "BIGINT", "1500"),
        ("TO_TIMESTAMP(1500)", "TIMESTAMP", "1970-01-01 00:00:01.500"),
        ("EXTRACT(HOUR FROM TIMESTAMP '2004-09-30 13:48:23')", "BIGINT", "13"),
        ("UPPER('a') || LOWER('B') || CAST(7 / 2 AS VARCHAR(3))", "VARCHAR(9)", "Ab3"),
        ("7 / 0", "INTEGER", "division by zero"),
        ("CASE WHEN x > 1 THEN 'a' ELSE 'b' END", "VARCHAR(1)", "b"),
        ("COALESCE(x, 5) + NULLIF(1, 1)", "INTEGER", "NULL"),
        ("CAST('abc' AS INTEGER)", "INTEGER", "'abc' is no INTEGER"),
        ("CAST(x IS NULL AS VARCHAR(5))", "VARCHAR(5)", "TRUE"),
        ("TSDIFF(TIMESTAMP '2004-09-30 00:01:10', TIMESTAMP '2004-09-30 00:00:00') / 1000", "INTEGER", "70"),
    ] {
        assert_eq!(value(expression, ty, "", ""), expected, "{expression}");
    }
}
