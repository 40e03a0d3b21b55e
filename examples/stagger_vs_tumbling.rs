//! AWS's own two tables from its own four trades: why Kinesis SQL got stagger windows.
//! (Source: "Stagger Windows" in the Kinesis Data Analytics for SQL developer guide.)
//!
//! `cargo run --example stagger_vs_tumbling`
//!
//! Both queries count trades per ticker and minute of trading. They differ in when a count is over.
//!
//! ```text
//! ROWTIME       11:00:20 :30              11:01:05 :15 :20                 11:02:00    :15
//! EVENT_TIME    11:00:10 :20              11:00:55 11:01:05
//!
//! tumbling  |-----2 trades-----------|---------1 + 1 trades---------------|
//!           11:00                    11:01                                11:02
//! stagger
//! (11:00)          [------------------------3 trades--)
//! (11:01)                                          [-----------1 trade----------------)
//! ```
//!
//! Tumbling windows follow the clock on the wall. The third trade was made at 11:00:55, but it is
//! received at 11:01:05, after the window of the first two was closed. So the minute 11:00 is emitted
//! twice, with 2 and with 1, and somebody has to add the two up.
//!
//! A stagger window opens when the first trade of a (ticker, minute) is received, at 11:00:20, and
//! stays open for the whole range of one minute, until 11:01:20. The third trade finds it open: the
//! minute 11:00 is emitted once, with 3. The fourth was made at 11:01:05. That is another minute and
//! so another window, from 11:01:15 to 11:02:15.

use std::time::Duration;

use stagger::{Bucket, Config, ConfigError, Event, EventRef, Sliding, Stagger, Timestamp, Unit, prelude::*};

const MINUTE: Duration = Duration::from_secs(60);

/// A trade as AWS lists it: ROWTIME, EVENT_TIME, ticker.
type Trade = (Timestamp, Timestamp, &'static str);

/// A row of a result: when it is emitted, the minute of trading, the ticker, how many trades.
type Row = (Timestamp, Timestamp, String, u64);

fn main() -> Result<(), ConfigError> {
    let trades = [
        (at(11, 0, 20), at(11, 0, 10), "AMZN"),
        (at(11, 0, 30), at(11, 0, 20), "AMZN"),
        (at(11, 1, 5), at(11, 0, 55), "AMZN"),
        (at(11, 1, 15), at(11, 1, 5), "AMZN"),
    ];
    println!("The trades\n\nROWTIME   EVENT_TIME  TICKER_SYMBOL");
    for (row_time, event_time, ticker) in trades {
        println!("{}  {}    {ticker}", clock(row_time), clock(event_time));
    }
    print("Tumbling windows of a minute over ROWTIME", &tumbling(&trades)?);
    print("Stagger windows with a range of a minute", &stagger(&trades)?);
    Ok(())
}

/// ```sql
/// GROUP BY ticker_symbol, FLOOR(event_time TO MINUTE), STEP(ROWTIME BY INTERVAL '1' MINUTE)
/// ```
///
/// The window is over ROWTIME, so the sessionizer gets ROWTIME as the event time. The minute of
/// trading is a part of the key. Rows are received in order, so the watermark need not wait.
fn tumbling(trades: &[Trade]) -> Result<Vec<Row>, ConfigError> {
    let sessionizer =
        Config::<(String, Timestamp), ()>::new(Sliding::tumbling(MINUTE)).out_of_order(Duration::ZERO).build()?;
    let minute = Bucket::floor(Unit::Minute);
    let mut events = Vec::new();
    for &(row_time, event_time, ticker) in trades {
        let traded = minute.window_of(event_time)?.start;
        events.push(Event::new((ticker, traded), row_time, ()));
    }
    let row = |session| {
        let stagger::SessionSummary { key: (ticker, traded), window, count, .. } = session;
        (window.end, traded, ticker, count)
    };
    Ok(events.into_iter().sessionize_refs(sessionizer).filter_map(stagger::iter::Output::session).map(row).collect())
}

/// ```sql
/// WINDOWED BY STAGGER (PARTITION BY FLOOR(event_time TO MINUTE), ticker_symbol RANGE INTERVAL '1' MINUTE)
/// ```
///
/// The strategy knows both times. The row is emitted at the end of its window.
fn stagger(trades: &[Trade]) -> Result<Vec<Row>, ConfigError> {
    let strategy = Stagger::on_arrival(Bucket::floor(Unit::Minute), MINUTE);
    let mut sessionizer = Config::<String, ()>::new(strategy).build()?;
    let mut rows = Vec::new();
    let mut keep = |session: stagger::SessionSummary<String, ()>| {
        let traded = session.bucket.expect("this strategy has buckets");
        rows.push((session.window.end, traded, session.key, session.count));
    };
    for &(row_time, event_time, ticker) in trades {
        let trade: EventRef<'_, String, ()> = Event::new(ticker, event_time, ()).arriving_at(row_time);
        let pushed = sessionizer.push(trade, &mut keep);
        assert!(pushed.returned().is_none(), "nothing is late on the arrival clock");
    }
    // No trade comes any more, but time goes on, and the windows close by their age.
    while let Some(deadline) = sessionizer.next_deadline() {
        sessionizer.advance_to(deadline, &mut keep);
    }
    Ok(rows)
}

fn print(title: &str, rows: &[Row]) {
    println!("\n{title}\n\nROWTIME   EVENT_TIME  TICKER_SYMBOL  COUNT");
    for (row_time, traded, ticker, count) in rows {
        println!("{}  {}    {ticker:<13}  {count}", clock(*row_time), clock(*traded));
    }
}

/// A time of day. AWS gives no date, and any will do.
fn at(hour: i64, minute: i64, second: i64) -> Timestamp {
    Timestamp::from_secs((hour * 60 + minute) * 60 + second)
}

/// The time of day of `2018-11-29T11:00:20.000000Z`, without the fraction.
fn clock(time: Timestamp) -> String {
    time.to_string()[11..19].to_owned()
}
