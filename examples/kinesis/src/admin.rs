//! Streams made, and their shards split and merged: for trying out, not for the consumer.

use anyhow::{Context, Result};
use aws_sdk_kinesis::types::Shard;

use crate::retry::explain;
pub(crate) use crate::stream::about::Stream;
use crate::stream::asked::Asked;

impl Stream<'_> {
    /// Creates it and waits until it can be used. `false` if there is one of that name already, which
    /// is left as it is.
    pub(crate) async fn create(&self, shards: u32) -> Result<bool> {
        let count = i32::try_from(shards).context("no stream can have that many shards")?;
        let request = || self.client.create_stream().stream_name(self.name).shard_count(count).send();
        let is_new = match self.retry.run("CreateStream", self.status, request).await {
            Ok(_) => true,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => false,
            Err(error) => return Err(explain(error)).with_context(|| format!("cannot create stream {}", self.name)),
        };
        self.ready().await?;
        Ok(is_new)
    }

    /// The shards that take records, in the order of their hash keys.
    pub(crate) async fn open_shards(&self) -> Result<Vec<Shard>> {
        let mut shards = self.shards(Asked::now()).await?;
        shards.retain(|shard| shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number.is_none()));
        shards.sort_by_key(|shard| hash_keys(shard).map_or(0, |(first, _)| first));
        Ok(shards)
    }

    /// Cuts a shard into two halves.
    pub(crate) async fn split(&self, shard: &Shard) -> Result<()> {
        let (first, last) = hash_keys(shard)?;
        let middle = (first + (last - first) / 2 + 1).to_string();
        let request = || {
            let request = self.client.split_shard().stream_name(self.name).shard_to_split(&shard.shard_id);
            request.new_starting_hash_key(&middle).send()
        };
        let answer = self.retry.run("SplitShard", self.status, request).await;
        answer.map_err(explain).with_context(|| format!("cannot split {}", shard.shard_id))?;
        self.ready().await
    }

    /// Makes one of two neighbours.
    pub(crate) async fn merge(&self, left: &Shard, right: &Shard) -> Result<()> {
        let request = || {
            let request = self.client.merge_shards().stream_name(self.name).shard_to_merge(&left.shard_id);
            request.adjacent_shard_to_merge(&right.shard_id).send()
        };
        let answer = self.retry.run("MergeShards", self.status, request).await;
        answer.map_err(explain).with_context(|| format!("cannot merge {} and {}", left.shard_id, right.shard_id))?;
        self.ready().await
    }
}

fn hash_keys(shard: &Shard) -> Result<(u128, u128)> {
    let range = shard.hash_key_range().with_context(|| format!("{} has no range of hash keys", shard.shard_id))?;
    let number = |text: &str| text.parse().with_context(|| format!("{text} is no hash key"));
    Ok((number(&range.starting_hash_key)?, number(&range.ending_hash_key)?))
}
