//! A Kafka broker of one node, for the tests and the demonstration of the program `kafka`.
//!
//! It speaks Kafka's own protocol, with messages of the crate `kafka-protocol`, and keeps Kafka's promises to clients
//! that use transactions and consumer groups. The modules:
//!
//! - `log`: partitions; the last stable offset, aborted transactions, sequence numbers, compaction by batch.
//! - `groups`: the group coordinator: generations, session timeouts, committed offsets.
//! - `transactions`: the transaction coordinator: fencing by epoch, timeouts, offsets that wait for the commit.
//! - `cluster`: the three together behind one lock, and the requests that need all of them.
//! - `admin`: topics deleted and enlarged, records removed as retention does, and settings of topics.
//! - `journal`: requests in a file, from which the state is made again.
//! - `server`: connections.
//!
//! All is in memory. With a journal it outlives the process: topics, records, transactions and committed offsets, not
//! the members of groups, which join again. It is no broker to keep data in, even so: the journal only grows, nobody waits
//! for the disk, and whoever connects may do everything. Records must not be compressed with anything that the client
//! cannot read; the broker never looks into a record but its key.

#![allow(missing_docs, reason = "for the programs beside it only: as within a program, names say most of it")]

mod admin;
mod cluster;
mod errors;
mod groups;
mod journal;
mod log;
mod server;
mod transactions;

pub use server::Broker;
