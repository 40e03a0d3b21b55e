//! The figures, as a line every few seconds: for output that is no terminal.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use anyhow::Result;
use events::lengths;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::view::clock;
use crate::status::{Now, Status};

const EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(status: &Status, began: Instant, ended: &CancellationToken, window: Duration) -> Result<()> {
    writeln!(stdout(), "A window stays open for {}: the first sessions close after that", lengths::compact(window))?;
    let mut before = (began, 0);
    while ended.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let now = status.now();
        let at = Instant::now();
        let rate = (now.records - before.1) as f64 / at.duration_since(before.0).as_secs_f64();
        before = (at, now.records);
        writeln!(stdout(), "{}", line(&now, at.duration_since(began), rate))?;
    }
    Ok(())
}

fn line(now: &Now, elapsed: Duration, rate: f64) -> String {
    let mut text = format!("{}  {} records, {rate:.0} per second", clock(elapsed), HumanCount(now.records));
    let open = now.shards.values().filter(|shard| !shard.is_closed).count();
    text += &format!("; {open} of {} shards open", now.shards.len());
    for strategy in &now.strategies {
        let (closed, late) = (HumanCount(strategy.closed), HumanCount(strategy.late));
        text += &format!("; {}: {} open, {closed} closed, {late} late", strategy.name, strategy.open);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::view::samples;
    use super::*;

    #[test]
    fn a_line_has_the_figures_of_all_parts() {
        assert_eq!(
            line(&samples::now(), Duration::from_secs(65), 200.4),
            "1:05  4,612 records, 200 per second; 4 of 7 shards open; \
             STEP 30s: 105 open, 312 closed, 0 late; FLOOR minute: 131 open, 98 closed, 3 late"
        );
    }
}
