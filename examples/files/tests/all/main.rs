//! The program `files` as its users see it.

mod article_queries;
mod cases;
mod cli;
mod columns;
mod failing;
mod messages;
#[cfg(feature = "parquet")]
mod parquet;
mod read_csv;
mod read_json;
mod read_logs;
mod read_packed;
#[cfg(feature = "parquet")]
mod read_parquet;
mod read_times;
mod shared_data;
mod state;
mod support;
