use crate::{retry::Retry, status::Status};
use anyhow::Result;
use std::sync::Arc;
pub(crate) struct Firehose;
impl Firehose {
    pub(crate) fn new(_: aws_sdk_firehose::Client, _: String, _: Retry, _: Arc<Status>) -> Self {
        Self
    }
    pub(crate) async fn add(&mut self, _: Vec<u8>) -> Result<()> {
        Ok(())
    }
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
