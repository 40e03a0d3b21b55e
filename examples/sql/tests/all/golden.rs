//! The tables of AWS's developer guide about windows, and the pages of its SQL reference that show values. Statements
//! are written anew after theirs.
//!
//! | page of the guide | prints | test |
//! |---|---|---|
//! | Stagger Windows | four records; the rows of tumbling and of stagger windows | `four_trades_in_…` |
//! | Sliding Windows | counts over five seconds | `a_count_over_five_seconds` |
//! | Sliding Windows, examples 1 to 3; Tumbling Windows | statements | `prices_of_a_ticker` |
//! | Timestamps and the ROWTIME Column | rows of two minutes, the last one late | `a_late_record_is_in_the_next_window` |
//! | Example: Stagger Window | twelve records with their times | `groups_of_six_records_across_the_minute` |
//! | Example: Tumbling Window Using an Event Timestamp | four records | `prices_by_rowtime_and_event_time` |
//! | Example: Aggregating Partial Results | statements | `partial_results_are_added_up` |
//!
//! The rows of the last three, and of "Tumbling Window Using ROWTIME", are pictures there: theirs here follow from the
//! records.
//!
//! | the guide contradicts itself | read here as |
//! |---|---|
//! | Stagger Windows: the window "expires (at 11:00:20)", and its row is of 11:01:20 | the table: one minute after it opened |
//! | the same page: the statement of tumbling windows has three values for two columns | refused; the test has three columns |
//! | Sliding Windows: `ROWS 2 PRECEDING` is called a window of two rows; the SQL reference counts `ROWS 3 PRECEDING` as four | the reference |
//! | the same page: three records at t8 "emit record count 5" | a row for each: 3, 4, 5 |
//! | Aggregating Partial Results: sums per minute, over all tickers | as it is written |

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

/// The table of "Timestamps and the ROWTIME Column": a late record is in the next window of ROWTIME.
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
    let some = |ticker: &str, minute: u32, second: u32, count: u32| -> Vec<String> {
        let record = |at: u32| {
            format!("{{\"TICKER_SYMBOL\": \"{ticker}\", \"arrival\": \"2016-07-19T17:{minute:02}:{at:02}\"}}")
        };
        (second..second + count).map(record).collect()
    };
    // The last record arrived at 17:05:58, and is read when the clock is at 17:06:23.
    let records = [
        some("ABC", 5, 0, 10),
        some("DEF", 5, 10, 15),
        some("XYZ", 5, 30, 6),
        some("ABC", 6, 0, 11),
        some("DEF", 6, 13, 11),
        some("XYZ", 5, 58, 1),
    ];
    let expected = [
        "2016-07-19 17:05:00.000,2016-07-19 17:05:00.000,ABC,10",
        "2016-07-19 17:05:00.000,2016-07-19 17:05:00.000,DEF,15",
        "2016-07-19 17:05:00.000,2016-07-19 17:05:00.000,XYZ,6",
        "2016-07-19 17:06:00.000,2016-07-19 17:06:00.000,ABC,11",
        "2016-07-19 17:06:00.000,2016-07-19 17:06:00.000,DEF,11",
        "2016-07-19 17:06:00.000,2016-07-19 17:05:00.000,XYZ,1",
    ];
    assert_eq!(lines(&run(sql, None, &records.concat())), expected);
}

/// The records of "Example: Stagger Window": groups of six, ten seconds apart, across the minute.
#[test]
fn groups_of_six_records_across_the_minute() {
    let sql = "CREATE OR REPLACE STREAM d (event_time TIMESTAMP, ticker_symbol VARCHAR(4), ticker_count INTEGER);\n\
               CREATE OR REPLACE PUMP p AS INSERT INTO d\n\
               SELECT STREAM EVENT_TIME, TICKER, COUNT(TICKER) AS ticker_count FROM \"SOURCE_SQL_STREAM_001\"\n\
               WINDOWED BY STAGGER (PARTITION BY TICKER, EVENT_TIME RANGE INTERVAL '1' MINUTE);";
    let some = |ticker: &str, event: &str, times: [&str; 6]| {
        times.map(|at| {
            let (event, arrival) = (format!("2018-08-01T20:{event}"), format!("2018-08-01T20:{at}"));
            format!(r#"{{"EVENT_TIME": "{event}", "TICKER": "{ticker}", "arrival": "{arrival}"}}"#)
        })
    };
    let records = [
        some("AMZN", "17:20.797945", ["17:30", "17:40", "17:50", "18:00", "18:10", "18:21"]),
        some("INTC", "18:21.043084", ["18:31", "18:41", "18:51", "19:01", "19:11", "19:21"]),
    ];
    let wrote = run(sql, None, &records.concat());
    assert_eq!(lines(&wrote), ["2018-08-01 20:17:20.797,AMZN,6", "2018-08-01 20:18:21.043,INTC,6"]);
    let seconds: Vec<i64> = wrote.iter().map(|row| row.rowtime / 1000 % 3600).collect();
    assert_eq!(seconds, [18 * 60 + 30, 19 * 60 + 31], "one minute after the first record of each");
}

/// The records of "Example: Tumbling Window Using an Event Timestamp", five seconds behind: 14:11:55 is in two windows.
#[test]
fn prices_by_rowtime_and_event_time() {
    let sql = "CREATE OR REPLACE STREAM d (EVENT_TIME timestamp, TICKER VARCHAR(4), min_price REAL, max_price REAL);\n\
               CREATE OR REPLACE PUMP p AS INSERT INTO d\n\
               SELECT STREAM STEP(\"SOURCE_SQL_STREAM_001\".EVENT_TIME BY INTERVAL '60' SECOND), TICKER,\n\
               MIN(PRICE) AS MIN_PRICE, MAX(PRICE) AS MAX_PRICE FROM \"SOURCE_SQL_STREAM_001\"\n\
               GROUP BY TICKER, STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '60' SECOND),\n\
               STEP(\"SOURCE_SQL_STREAM_001\".EVENT_TIME BY INTERVAL '60' SECOND);";
    let record = |(event, ticker, price, arrival): (&str, &str, &str, &str)| {
        format!(
            r#"{{"EVENT_TIME": "2018-06-13T14:{event}", "TICKER": "{ticker}", "PRICE": {price}, "arrival": "2018-06-13T14:{arrival}"}}"#
        )
    };
    let records = [
        ("11:05.766191", "TBV", "43.65", "11:10.8"),
        ("11:05.848967", "AMZN", "35.61", "11:10.9"),
        ("11:05.931871", "MSFT", "73.48", "11:11.0"),
        ("11:06.014845", "AMZN", "18.64", "11:11.1"),
        ("11:55", "AMZN", "20.5", "12:00"),
    ]
    .map(record);
    let expected = [
        "2018-06-13 14:11:00.000,TBV,43.65,43.65",
        "2018-06-13 14:11:00.000,AMZN,18.64,35.61",
        "2018-06-13 14:11:00.000,MSFT,73.48,73.48",
        "2018-06-13 14:11:00.000,AMZN,20.5,20.5",
    ];
    assert_eq!(lines(&run(sql, None, &records)), expected);
}

/// "Example: Aggregating Partial Results from a Query": a window that slides adds up those of a tumbling one.
#[test]
fn partial_results_are_added_up() {
    let sql = "CREATE OR REPLACE STREAM calc (TICKER VARCHAR(4), TRADETIME TIMESTAMP, TICKERCOUNT DOUBLE);\n\
               CREATE OR REPLACE STREAM d (TICKER VARCHAR(4), TRADETIME TIMESTAMP, TICKERCOUNT DOUBLE);\n\
               CREATE PUMP p1 AS INSERT INTO calc (\"TICKER\", \"TRADETIME\", \"TICKERCOUNT\")\n\
               SELECT STREAM \"TICKER_SYMBOL\", STEP(\"SOURCE_SQL_STREAM_001\".\"ROWTIME\" BY INTERVAL '1' MINUTE) as \"TradeTime\",\n\
               COUNT(*) AS \"TickerCount\" FROM \"SOURCE_SQL_STREAM_001\"\n\
               GROUP BY STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '1' MINUTE),\n\
               STEP(\"SOURCE_SQL_STREAM_001\".\"APPROXIMATE_ARRIVAL_TIME\" BY INTERVAL '1' MINUTE), TICKER_SYMBOL;\n\
               CREATE PUMP p2 AS INSERT INTO d (\"TICKER\", \"TRADETIME\", \"TICKERCOUNT\")\n\
               SELECT STREAM \"TICKER\", \"TRADETIME\", SUM(\"TICKERCOUNT\") OVER W1 AS \"TICKERCOUNT\" FROM calc\n\
               WINDOW W1 AS (PARTITION BY \"TRADETIME\" RANGE INTERVAL '10' MINUTE PRECEDING);";
    let record = |at: &str| format!(r#"{{"TICKER_SYMBOL": "AMZN", "arrival": "{DAY}{at}"}}"#);
    let records = ["11:00:10", "11:00:20", "11:01:05", "11:00:55"].map(record);
    let wrote = run(sql, None, &records);
    let of = |stream: &str| {
        let rows = wrote.iter().filter(|row| row.stream == stream);
        rows.map(|row| format!("{} {}", &row.values[1][11..16], row.values[2])).collect::<Vec<_>>()
    };
    assert_eq!(of("CALC"), ["11:00 2.0", "11:01 1.0", "11:01 1.0"]);
    assert_eq!(of("D"), ["11:00 2.0", "11:01 1.0", "11:01 2.0"]);
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
    let change = "CREATE STREAM d (ticker_symbol VARCHAR(10), Avg_Percent_Change double);\n\
         CREATE PUMP p AS INSERT INTO d SELECT STREAM Ticker_Symbol,\n\
         AVG(Change / (Price - Change)) over W1 as Avg_Percent_Change FROM \"SOURCE_SQL_STREAM_001\"\n\
         WINDOW W1 AS (PARTITION BY ticker_symbol RANGE INTERVAL '10' SECOND PRECEDING);";
    assert_eq!(lines(&run(change, None, &records))[..2], ["TBV,0.09523809523809523", "TBV,0.125"]);
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
