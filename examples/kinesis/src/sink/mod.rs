//! Where sessions go besides files.

pub(crate) mod alerts;
pub(crate) mod cloudwatch;
pub(crate) mod firehose;
