//! The program `files` as its users see it.

mod article_queries;
mod cli;
mod failing;
#[cfg(feature = "parquet")]
mod parquet;
mod shared_data;
mod support;
