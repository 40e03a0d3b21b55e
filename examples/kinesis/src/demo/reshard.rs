//! The stream changes while it is read: a shard is split, and later two are merged.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_kinesis::Client;
use tokio_util::sync::CancellationToken;

use super::{RETRY, STREAM};
use crate::admin::Stream;
use crate::status::Status;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Aws;
    use crate::serve::{Options, Server};

    #[tokio::test]
    async fn one_shard_is_split_and_two_others_are_merged() -> Result<()> {
        let server = Server::start(Options { port: 0, delay: Duration::ZERO }).await?;
        let (client, status) = (Aws::new(Some(server.endpoint())).await.kinesis()?, Arc::new(Status::new()));
        let stream = Stream { client: &client, name: STREAM, retry: RETRY, status: &status };
        stream.create(4).await?;
        run(client.clone(), Duration::ZERO, Arc::clone(&status), CancellationToken::new()).await?;
        let shards = stream.open_shards().await?;
        let ids: Vec<&str> =
            shards.iter().map(|shard| shard.shard_id.trim_start_matches("shardId-00000000000")).collect();
        assert_eq!(ids, ["4", "5", "1", "6"]);
        let parents = [shards[0].parent_shard_id(), shards[3].parent_shard_id(), shards[3].adjacent_parent_shard_id()];
        assert_eq!(
            parents,
            ["0", "2", "3"].map(|id| format!("shardId-00000000000{id}")).each_ref().map(|id| Some(&**id))
        );
        server.stop().await;
        Ok(())
    }

    #[tokio::test]
    async fn asked_to_stop_it_leaves_the_stream_as_it_is() -> Result<()> {
        let server = Server::start(Options { port: 0, delay: Duration::ZERO }).await?;
        let (client, status) = (Aws::new(Some(server.endpoint())).await.kinesis()?, Arc::new(Status::new()));
        let stream = Stream { client: &client, name: STREAM, retry: RETRY, status: &status };
        stream.create(2).await?;
        let stop = CancellationToken::new();
        stop.cancel();
        run(client.clone(), Duration::from_secs(3_600), Arc::clone(&status), stop).await?;
        assert_eq!(stream.open_shards().await?.len(), 2);
        Ok(())
    }
}
