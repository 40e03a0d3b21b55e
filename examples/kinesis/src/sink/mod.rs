//! Where sessions go that cannot be taken back: unlike the files of the store, what is sent here may
//! come twice or be missing after a crash.

pub(crate) mod cloudwatch;
pub(crate) mod firehose;
