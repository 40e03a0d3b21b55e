//! Closed sessions as files.

pub(crate) mod parquet;
