//! The edges that the programs beside this crate share, each decision in one place.
//!
//! - [`command`]: the command line.
//! - [`endings`]: names that promise another form.
//! - [`failure`]: why a program stops, and with which exit status.
//! - [`growing`]: files and folders that get their names when they are complete.
//! - `places`: the file behind a name.
//! - [`panics`]: damaged files that make another crate panic.
//! - [`signals`]: SIGINT, SIGTERM and SIGHUP.
//! - [`same`]: whether an output is an input.
//! - [`say`]: messages, safe for a terminal.
//! - [`stdin`], [`stdout`]: standard input and output, closed or not.
//! - [`share`]: a share of lines, `1%`.
//! - [`testing`]: a test that every program passes.

#![allow(missing_docs, reason = "for the programs beside it only: as within a program, names say most of it")]

pub mod command;
pub mod endings;
pub mod failure;
pub mod growing;
pub mod panics;
mod places;
pub mod same;
pub mod say;
pub mod share;
pub mod signals;
pub mod stdin;
pub mod stdout;
pub mod testing;
