//! The program `files` as its users see it.

mod article_queries;
mod cli;
mod columns;
mod failing;
mod messages;
#[cfg(feature = "parquet")]
mod parquet;
mod shared_data;
mod state;
mod support;
