//! Streams and their shards: made, waited for, split and merged.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use aws_sdk_kinesis::types::{Shard, StreamStatus};
use tokio::time::Instant;

use crate::retry::{Retry, explain};
use crate::status::Status;

/// How often to ask whether a stream is ready.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// AWS takes less than a minute, mostly.
const READY_AFTER: Duration = Duration::from_secs(300);

/// A stream by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'s> {
    pub(crate) client: &'s Client,
    pub(crate) name: &'s str,
    pub(crate) retry: Retry,
    pub(crate) status: &'s Status,
}

impl Stream<'_> {
    /// Creates it and waits until it can be used. `false` if there is one of that name already, which
    /// is left as it is.
    pub(crate) async fn create(&self, shards: u32) -> Result<bool> {
        let count = i32::try_from(shards).context("so many shards no stream can have")?;
        let request = || self.client.create_stream().stream_name(self.name).shard_count(count).send();
        let is_new = match self.retry.run("CreateStream", self.status, request).await {
            Ok(_) => true,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => false,
            Err(error) => return Err(explain(error)).with_context(|| format!("cannot create stream {}", self.name)),
        };
        self.ready().await?;
        Ok(is_new)
    }

    /// Waits until it is ACTIVE.
    pub(crate) async fn ready(&self) -> Result<()> {
        let (give_up, mut pause) = (Instant::now() + READY_AFTER, FIRST_PAUSE);
        loop {
            let state = self.state().await?;
            if state == StreamStatus::Active {
                return Ok(());
            }
            if Instant::now() >= give_up {
                bail!("stream {} is still {state}: try again when it is ACTIVE", self.name);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn state(&self) -> Result<StreamStatus> {
        let request = || self.client.describe_stream_summary().stream_name(self.name).send();
        let answer = self.retry.run("DescribeStreamSummary", self.status, request).await;
        let missing = |error: &SdkError<DescribeStreamSummaryError>| {
            error.as_service_error().is_some_and(DescribeStreamSummaryError::is_resource_not_found_exception)
        };
        if answer.as_ref().is_err_and(missing) {
            bail!("there is no stream {}: `kinesis produce --create` makes one", self.name);
        }
        let answer = answer.map_err(explain).with_context(|| format!("cannot find stream {}", self.name))?;
        let summary = answer.stream_description_summary.context("the server described no stream")?;
        Ok(summary.stream_status)
    }

    /// All shards, page by page. The pages follow each other by the last id: a token of the service
    /// lives for five minutes only, and `ferrokinesis` does not know its own.
    pub(crate) async fn shards(&self) -> Result<Vec<Shard>> {
        let mut shards: Vec<Shard> = Vec::new();
        loop {
            let last = shards.last().map(|shard| shard.shard_id.clone());
            let request = || {
                let request = self.client.list_shards().stream_name(self.name);
                request.set_exclusive_start_shard_id(last.clone()).send()
            };
            let answer = self.retry.run("ListShards", self.status, request).await;
            let answer = answer.map_err(explain).with_context(|| format!("cannot list the shards of {}", self.name))?;
            let is_last = answer.next_token.is_none();
            shards.extend(answer.shards.unwrap_or_default());
            if is_last || shards.is_empty() {
                return Ok(shards);
            }
        }
    }

    /// The shards that take records, in the order of their hash keys.
    pub(crate) async fn open_shards(&self) -> Result<Vec<Shard>> {
        let mut shards = self.shards().await?;
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
