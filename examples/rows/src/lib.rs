//! Session rows out: what the programs beside this crate write, and what they read again.
//!
//! - [`columns`]: a session as a row, and the columns of a table of sessions.
//! - [`ids`]: session ids that are the same in every program.
//! - [`cells`]: cells of CSV.
//! - [`hours`]: a folder for each hour.
//! - [`parquet`]: Parquet files (feature `parquet`).
//! - [`visible`]: names of the data, made safe to show.

#![allow(missing_docs, reason = "for the programs beside it only: as within a program, names say most of it")]

pub mod cells;
pub mod columns;
pub mod hours;
pub mod ids;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod visible;

pub use columns::SessionRow;
