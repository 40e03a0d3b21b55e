//! Where checkpoints, waiting rows and finished files are kept: a directory, or a bucket in S3.

mod dir;
mod s3;

use std::sync::Arc;

use anyhow::{Result, bail};
use tokio_util::sync::CancellationToken;

pub(crate) use dir::Dir;
pub(crate) use s3::S3;

use crate::aws::Aws;
use crate::retry::Retry;
use crate::status::Status;

/// The object that says how far the stream has been read. [`S3`] guards it against a second writer.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Named objects, each written whole or not at all. Names are relative paths with `/`.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Dir(Dir),
    S3(S3),
}

impl Store {
    /// `s3://bucket/prefix` is a bucket; anything else is the path of a directory.
    pub(crate) fn parse(text: &str, aws: &Aws, retry: Retry, status: Arc<Status>) -> Result<Self> {
        let Some(address) = text.strip_prefix("s3://") else {
            return Ok(Self::Dir(Dir::new(text.into())));
        };
        let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
        if bucket.is_empty() {
            bail!("{text} names no bucket: write s3://BUCKET or s3://BUCKET/PREFIX");
        }
        Ok(Self::S3(S3::new(aws.s3()?, bucket, prefix, retry, status)))
    }

    /// Writes an object, in place of one of the same name. When this returns it is there for good,
    /// and whoever looks meanwhile sees the old one or the new one, never a part.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.put(name, bytes).await,
            Self::S3(s3) => s3.put(name, bytes).await,
        }
    }

    /// Finds out whether objects whose names begin as this one's can be written, before there are any.
    pub(crate) async fn check_writable(&self, name: &str) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.check_writable(name).await,
            Self::S3(s3) => s3.check_writable(name).await,
        }
    }

    /// Once `stop` is cancelled, time is short: a request that hangs is made again.
    pub(crate) fn hurried_by(self, stop: &CancellationToken) -> Self {
        match self {
            Self::Dir(dir) => Self::Dir(dir),
            Self::S3(s3) => Self::S3(s3.hurried_by(stop.clone())),
        }
    }

    /// Reads an object; `None` if there is none of that name.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Dir(dir) => dir.get(name).await,
            Self::S3(s3) => s3.get(name).await,
        }
    }

    /// Takes an object away; nothing happens if there is none.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.delete(name).await,
            Self::S3(s3) => s3.delete(name).await,
        }
    }

    /// The names that begin with `prefix`, in order.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        match self {
            Self::Dir(dir) => dir.list(prefix).await,
            Self::S3(s3) => s3.list(prefix).await,
        }
    }

    /// Takes the store for this process alone, as far as it can be known: two writers of one
    /// checkpoint would count everything twice.
    pub(crate) async fn claim(&mut self) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.claim().await,
            Self::S3(s3) => s3.claim().await,
        }
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Dir(dir) => dir.place(),
            Self::S3(s3) => s3.place(),
        }
    }
}
