//! Events in: from files and records to keys, times and values. Shared by the programs beside this crate.
//!
//! ```text
//! input ─▶ lines ─▶ parse ─▶ Record { key, time, arrival, value }
//!                   formats  (or a Reject that says why)
//! ```
//!
//! - [`input`]: files, standard input and the bundled clicks, unpacked; with the feature `parquet` rows of Parquet too.
//! - [`formats`], [`setup`]: the format of an input and its parser.
//! - [`lines`], [`parse`]: records and their fields; [`reading`] does both on a thread of its own.
//! - [`columns`]: key fields and their types; [`parse::keys`]: several key fields as one text.
//! - [`eight`]: bytes looked at eight at a time.
//! - [`lengths`], [`zones`], [`parse::times`]: lengths of time, zones and instants as people write them.
//! - [`rules`], [`stream`]: for the programs that read streams: what makes a session, fields and time of a record.
//! - [`fields`]: the options of the command line for all that; [`failure`]: why a program stops.

#![allow(missing_docs, reason = "for the programs beside it only: as within a program, names say most of it")]

pub mod batch;
pub mod columns;
mod cri;
pub mod eight;
pub mod fields;
pub mod formats;
pub mod input;
pub mod lengths;
pub mod lines;
pub mod packed;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod parse;
pub mod reading;
pub mod relay;
pub mod rules;
pub mod setup;
pub mod stream;
pub mod zones;

pub use program::failure;
