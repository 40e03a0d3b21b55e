pub(crate) mod alerts;
pub(crate) mod cloudwatch;
pub(crate) mod firehose;
