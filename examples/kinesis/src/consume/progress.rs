//! Figures while the consumer runs: a line on a terminal that is drawn again and again, and without one
//! a line at the end.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::status::{Now, Status};

const OFTEN: Duration = Duration::from_millis(250);

/// Draws until it is told to stop, then says what was done.
pub(super) async fn show(status: Arc<Status>, stop: CancellationToken) {
    let bar = match stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let (mut told, mut before) = (0, 0);
    while stop.run_until_cancelled(tokio::time::sleep(OFTEN)).await.is_some() {
        let now = status.now();
        let rate = (now.records - before) as f64 / OFTEN.as_secs_f64();
        before = now.records;
        bar.set_message(format!("{}, {}/s", line(&now), HumanCount(rate as u64)));
        bar.tick();
        told = tell(&now, told, &bar);
    }
    bar.finish_and_clear();
    let now = status.now();
    tell(&now, told, &bar);
    eprintln!("{} in {:.1} s", line(&now), now.started.elapsed().as_secs_f64());
}

/// Says what has gone wrong since the last time. Returns how much has been told in all.
fn tell(now: &Now, told: u64, bar: &ProgressBar) -> u64 {
    let new = now.all_troubles.saturating_sub(told) as usize;
    for trouble in now.troubles.iter().rev().take(new).rev() {
        bar.suspend(|| eprintln!("kinesis: {trouble}"));
    }
    now.all_troubles
}

fn line(now: &Now) -> String {
    let open = now.shards.values().filter(|shard| !shard.is_closed).count();
    let behind = now.shards.values().filter(|shard| !shard.is_closed).map(|shard| shard.millis_behind).max();
    let sum = |of: fn(&crate::status::Strategy) -> u64| HumanCount(now.strategies.iter().map(of).sum());
    let mut line = format!(
        "{} records of {open} shards, {:.1} s behind; {} sessions, {} late, {} refused, {} rejected",
        HumanCount(now.records),
        behind.unwrap_or(0) as f64 / 1_000.0,
        sum(|strategy| strategy.closed),
        sum(|strategy| strategy.late),
        sum(|strategy| strategy.refused),
        HumanCount(now.rejected),
    );
    for (count, what) in [(now.files_published, "files"), (now.checkpoints, "checkpoints"), (now.retries, "retries")] {
        if count > 0 {
            line += &format!(", {} {what}", HumanCount(count));
        }
    }
    line
}
