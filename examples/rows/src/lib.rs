//! Session rows out: the rows that the programs beside this crate write and read.
//!
//! - [`columns`]: the columns of the rows, each said once; a session as a row.
//! - [`key`]: key fields by name.
//! - [`lines`]: CSV and JSON lines, as `files` writes them.
//! - [`cells`]: cells of CSV.
//! - [`hours`]: a folder for each hour.
//! - [`parquet`]: Parquet files (feature `parquet`).
//! - [`visible`]: names of the data, made safe to show.

#![allow(missing_docs, reason = "for the programs beside it only: as within a program, names say most of it")]

pub mod cells;
pub mod columns;
pub mod hours;
pub mod key;
pub mod lines;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod visible;

pub use columns::SessionRow;
