//! The consumer, as the demonstration starts it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use stagger::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::session::Session;
use crate::status::{Now, Status, Strategy};

// TODO: crate::consume::run(options, aws, status, stop) with stream super::STREAM, both strategies and
// the folder. Until then made-up figures, so that there is something to see.
pub(crate) fn start(
    _folder: &Path,
    _aws: Aws,
    status: Arc<Status>,
    stop: CancellationToken,
) -> impl Future<Output = Result<()>> + Send + 'static {
    async move {
        let mut tick = 0;
        let name = |name: &str| Strategy { name: name.to_owned(), ..Strategy::default() };
        status.change(|now| now.strategies = vec![name("STEP 30s"), name("FLOOR minute")]);
        while stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(100))).await.is_some() {
            tick += 1;
            status.change(|now| pretend(now, tick));
            if tick % 3 == 0 {
                status.session((tick / 3 % 2) as usize, &session(tick));
            }
            if tick % 70 == 0 {
                status.alert(format!("user {} clicked {} times in 30 s", tick % 60, tick));
            }
        }
        Ok(())
    }
}

fn pretend(now: &mut Now, tick: u64) {
    let count = 17 + tick % 7;
    now.records += count;
    now.bytes += count * 126;
    now.events += count;
    now.rejected += u64::from(tick % 50 == 0);
    let shards = if tick > 240 { 6 } else { 4 };
    for shard in 0..shards {
        let shard = now.shards.entry(format!("shardId-{shard:012}")).or_default();
        shard.records += count / shards;
        shard.bytes += count / shards * 126;
        shard.millis_behind = (tick % 3 * 40) as i64;
    }
    if tick > 240 {
        now.shards.entry("shardId-000000000000".to_owned()).or_default().is_closed = true;
    }
    for strategy in &mut now.strategies {
        strategy.open = 100 + (tick % 13) as usize;
        strategy.closed += 2;
        strategy.clock = Timestamp::try_from(std::time::SystemTime::now()).ok();
    }
    now.checkpoints = tick / 50;
    now.files_published = tick / 50 * 2;
}

fn session(tick: u64) -> Session {
    let begin = Timestamp::from_secs(1_543_534_500 + tick as i64);
    Session {
        id: format!("{:032x}", u128::from(tick).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        key: vec![Value::from(tick % 60), Value::from("computer")],
        timeagg: begin,
        events: tick % 20 + 1,
        begin_navigation: "beer_vitrine_nav".to_owned(),
        end_navigation: "beer_product_detail".to_owned(),
        begin,
        end: Timestamp::from_secs(1_543_534_500 + (tick + tick % 30) as i64),
        reason: "deadline".to_owned(),
        revision: 0,
        supersedes: Vec::new(),
    }
}
