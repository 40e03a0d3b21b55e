//! Live clicks, put on the stream as they happen.

use std::time::Duration;

use anyhow::Result;
use generate::Plan;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::produce::{Given, Pace, Producer, Record, Sent, clicks, ticks};

pub(crate) type Lines = Receiver<Result<Given>>;

/// A little of everything that goes wrong with data, so that it is seen what becomes of it.
fn plan(options: &Options) -> Plan {
    Plan {
        users: options.users,
        rate: f64::from(options.rate),
        duration: options.duration,
        events: None,
        daily_rhythm: false,
        disorder: Duration::from_secs(2),
        stragglers: 0.002,
        late_by: Duration::from_secs(90),
        duplicates: 0.0,
        robots: 0,
        broken: 0.002,
        seed: options.seed,
    }
}

/// The clicks, from now on: the shop has been open for a while already.
pub(crate) fn open(options: &Options) -> Result<Lines> {
    clicks(plan(options), Pace::Live)
}

/// For that long from the first click on, or until it is asked to stop.
pub(crate) async fn run(
    mut lines: Lines,
    length: Duration,
    mut producer: Producer,
    stop: CancellationToken,
) -> Result<Sent> {
    let first = tokio::select! {
        first = lines.recv() => first,
        () = stop.cancelled() => None,
    };
    let Some(first) = first else { return Ok(producer.sent()) };
    put(&mut producer, first?).await?;
    let end = tokio::time::sleep(length);
    tokio::pin!(end);
    let mut waited = ticks();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = &mut end => break, // stragglers of the last clicks would come for minutes
            _ = waited.tick() => producer.flush().await?,
            line = lines.recv() => match line {
                Some(line) => put(&mut producer, line?).await?,
                None => break,
            },
        }
    }
    producer.flush().await?;
    Ok(producer.sent())
}

async fn put(producer: &mut Producer, click: Given) -> Result<()> {
    producer.put(Record::of_line(click.line, "user_id").0).await
}
