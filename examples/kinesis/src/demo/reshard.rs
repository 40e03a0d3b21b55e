//! The stream changes while it is read: a shard is split, and later two are merged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_kinesis::Client;
use tokio_util::sync::CancellationToken;

use super::{RETRY, STREAM};
use crate::status::Status;
use crate::stream::Stream;

/// When, as shares of the whole time.
const SPLIT_AT: f64 = 0.4;
const MERGE_AT: f64 = 0.7;

pub(crate) async fn run(client: Client, length: Duration, status: Arc<Status>, stop: CancellationToken) -> Result<()> {
    let stream = Stream { client: &client, name: STREAM, retry: RETRY, status: &status };
    if stop.run_until_cancelled(tokio::time::sleep(length.mul_f64(SPLIT_AT))).await.is_none() {
        return Ok(());
    }
    if let [first, ..] = &stream.open_shards().await?[..] {
        stream.split(first).await?;
    }
    if stop.run_until_cancelled(tokio::time::sleep(length.mul_f64(MERGE_AT - SPLIT_AT))).await.is_none() {
        return Ok(());
    }
    // The last two have been there from the beginning, if there were two.
    if let [.., left, right] = &stream.open_shards().await?[..] {
        stream.merge(left, right).await?;
    }
    Ok(())
}
