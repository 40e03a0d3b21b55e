//! Runs the text of Amazon Kinesis Data Analytics SQL applications.
//!
//! | module | does |
//! |---|---|
//! | [`parse`] | the text as a tree; [`text`] shows where a mistake is |
//! | [`model`], [`plan`](mod@plan) | the work of each pump; names and types of it; [`infer`] guesses the types of the source |
//! | [`compile`], [`expr`], [`functions`], [`types`] | expressions, with SQL's logic of three values |
//! | [`aggregate`], [`window`] | aggregates, and windows by the library's engine |
//! | [`run`] | rows in, rows out |
//! | [`source`] | records as rows |
//! | [`rows`] | rows as lines |
//! | [`explain`](mod@explain) | tells the work of an application |
//! | [`translate`](mod@translate), [`package`](mod@package) | writes it as a program in Rust, and as a package |
//! | [`translated`], [`program`] | what such a program calls |
#![allow(missing_docs)] // for the programs beside it

pub mod aggregate;
pub mod compile;
mod declared;
pub mod explain;
pub mod expr;
pub mod functions;
pub mod infer;
pub mod model;
pub mod package;
mod pairs;
pub mod parse;
pub mod plan;
pub mod program;
pub mod rows;
pub mod run;
pub mod source;
pub mod text;
mod times;
pub mod translate;
pub mod translated;
pub mod types;
pub mod window;
