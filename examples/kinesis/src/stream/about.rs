//! The description of a stream: whether it is ready, and which shards it has.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use aws_sdk_kinesis::types::{Shard, StreamDescriptionSummary, StreamStatus};
use stagger::Timestamp;
use tokio::time::Instant;

use super::asked::Asked;
use super::timestamp;
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

/// A stream that can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// When it was created: a stream that was deleted and created again under its name is another one.
    pub(crate) created: Timestamp,
    /// The server's time when it was asked.
    pub(crate) now: Timestamp,
}

impl Stream<'_> {
    /// Waits until it is ACTIVE: nothing is being changed about it.
    pub(crate) async fn ready(&self) -> Result<()> {
        self.until(|state| *state == StreamStatus::Active).await.map(drop)
    }

    /// Waits until it has been made. While shards are split and merged, which may take long, it can be
    /// read all the same.
    pub(crate) async fn made(&self) -> Result<Made> {
        self.until(|state| *state != StreamStatus::Creating).await
    }

    async fn until(&self, is_so: impl Fn(&StreamStatus) -> bool) -> Result<Made> {
        let (give_up, mut pause) = (Instant::now() + READY_AFTER, FIRST_PAUSE);
        loop {
            let asked = Asked::now();
            let summary = self.summary(&asked).await?;
            let state = summary.stream_status();
            if is_so(state) {
                return Ok(Made { created: timestamp(summary.stream_creation_timestamp()), now: asked.as_of() });
            }
            if Instant::now() >= give_up {
                bail!("stream {} is still {state}: try again when it is ACTIVE", self.name);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn summary(&self, asked: &Asked) -> Result<StreamDescriptionSummary> {
        let request = || {
            let request = self.client.describe_stream_summary().stream_name(self.name);
            request.customize().interceptor(asked.clone()).send()
        };
        let answer = self.retry.run("DescribeStreamSummary", self.status, request).await;
        let missing = |error: &SdkError<DescribeStreamSummaryError>| {
            error.as_service_error().is_some_and(DescribeStreamSummaryError::is_resource_not_found_exception)
        };
        if answer.as_ref().is_err_and(missing) {
            bail!("there is no stream {}: `kinesis produce --create` makes one", self.name);
        }
        let answer = answer.map_err(explain).with_context(|| format!("cannot find stream {}", self.name))?;
        answer.stream_description_summary.context("the server described no stream")
    }

    /// All shards, page by page; `asked` is the question for the first page. The pages follow each other
    /// by the last id: a token of the service lives for five minutes only, and `ferrokinesis` does not
    /// know its own.
    pub(crate) async fn shards(&self, mut asked: Asked) -> Result<Vec<Shard>> {
        let mut shards: Vec<Shard> = Vec::new();
        loop {
            let last = shards.last().map(|shard| shard.shard_id.clone());
            let request = || {
                let request = self.client.list_shards().stream_name(self.name);
                request.set_exclusive_start_shard_id(last.clone()).customize().interceptor(asked.clone()).send()
            };
            let answer = self.retry.run("ListShards", self.status, request).await;
            let answer = answer.map_err(explain).with_context(|| format!("cannot list the shards of {}", self.name))?;
            let is_last = answer.next_token.is_none();
            shards.extend(answer.shards.unwrap_or_default());
            if is_last || shards.is_empty() {
                return Ok(shards);
            }
            asked = Asked::now();
        }
    }
}
