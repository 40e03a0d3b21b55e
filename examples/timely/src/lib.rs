//! Sessions on timely dataflow: files in, sessions out, on several threads and machines.
//!
//! - [`source`]: files as sources; the watermark of each is its capability.
//! - [`sessions`]: the operator, with the frontier as watermark.
//! - [`commit`], [`state`]: rows and state, written together; restart.
//! - [`job`], [`options`]: from the command line to a dataflow.
//! - [`network`]: connections between the processes.
//! - [`settings`]: what makes a job, and that its folder is for no other.
//! - [`message`], [`clockwork`]: what travels between workers, and its times.

#![allow(missing_docs, reason = "for the program beside it only")]

pub mod clockwork;
pub mod commit;
pub mod job;
pub mod message;
pub mod network;
pub mod options;
pub mod sessions;
pub mod settings;
pub mod source;
pub mod state;
