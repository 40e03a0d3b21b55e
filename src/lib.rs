//! Turns streams of events into sessions, inside your own program.
//!
//! Events have a key, a time and a value. They arrive out of order, and there is no last one. A session is
//! the group of events of one key that belong together. This crate finds sessions exactly: they do not
//! depend on the order of arrival, no event is lost, and none is counted twice.
//!
//! ```
//! use std::time::Duration;
//! use stagger::{Config, Event, Gap, Timestamp};
//!
//! // A visit ends after half an hour of silence; events may be 10 s out of order.
//! let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(30 * 60)))
//!     .out_of_order(Duration::from_secs(10))
//!     .build()?;
//!
//! let at = Timestamp::from_secs;
//! let mut closed = Vec::new();
//! for (user, second, page) in [("ann", 0, "/"), ("bob", 9, "/"), ("ann", 5, "/beer"), ("bob", 7200, "/cart")] {
//!     let pushed = visits.push(Event::new(user, at(second), page), &mut |visit| closed.push(visit));
//!     assert_eq!(pushed.returned(), None); // late and refused events are handed back here
//! }
//! visits.flush(&mut |visit| closed.push(visit));
//!
//! assert_eq!(closed.len(), 3);
//! assert_eq!((closed[0].key.as_str(), closed[0].count), ("ann", 2));
//! assert_eq!(closed[0].last_event, "/beer");
//! # Ok::<(), stagger::ConfigError>(())
//! ```
//!
//! # Where to look
//! - **Which session does an event belong to?** [`Stagger`], [`Gap`], [`Sliding`]; [`Bucket`] for STEP
//!   and FLOOR, [`calendar`] for time zones.
//! - **When is a session over, and an event late?** [`Config::out_of_order`],
//!   [`Config::allowed_lateness`], [`WatermarkMerger`] for several shards.
//! - **What does a session report?** [`SessionSummary`], and [`Aggregate`] for more than count, first and last;
//!   [`aggregate`] has sums, extremes, sets and lists.
//! - **What if an event comes twice?** [`Config::unique_by`].
//! - **Which session took this event?** [`Engine::push_tagged`].
//! - **What does a session look like before it is over?** [`Config::update_every`], [`Config::update_every_events`].
//! - **Which sessions are open now?** [`Engine::sessions_of`], [`Engine::session_at`], [`Engine::open`].
//! - **How do I drive it?** [`Sessionizer`]: push, advance, flush. [`Sessionize`] makes an iterator of
//!   it, [`Queued`] a queue to poll in async code.
//! - **How do I make it fast?** [`Sessionizer::push_batch`] where very many sessions are open,
//!   [`Config::close_at_most`] where no call may take long, `Sharded` (with `std`) on several cores.
//! - **How does it survive a restart?** [`Snapshot`]; with a large state, [`Changes`] in between, or
//!   [in portions](Engine::begin_snapshot).
//! - **Which types are keys and values?** [`Key`] and [`Value`]: integers, text, tuples, your own types.
//!
//! # The rules of time
//! Instants are whole microseconds ([`Timestamp`]), windows are half open, and no clock is read: time
//! is always an argument. On the event clock the *watermark* W says that no more events before W are
//! expected. A session closes when W reaches its end, and an event is late when every window it could
//! join is past its end plus the allowed lateness. While events stay within the out-of-orderness
//! bound, the sessions are those of the same events in order of time. Sessions are emitted by deadline,
//! then by opening.
//!
//! # Features
//! - `std` (default): conversions from and to `SystemTime`, and `Sharded`, which needs threads. Without
//!   it the crate is `no_std` with `alloc`.
//! - `serde`: snapshots, summaries and events can be serialized; `Rfc3339` writes times as text.
//! - `chrono`: conversions from and to `chrono::DateTime`, and `ChronoZone` for time zones.
//!
//! Nothing in the crate panics on any input, and there is no unsafe code.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

// In the order in which data flows.
mod civil;
mod time;
pub mod calendar;
mod error;
mod data;
mod event;
mod event_ids;
mod window;
mod strategy;
mod rules;
pub mod aggregate;
mod id;
mod summary;
mod session;
mod open;
mod gap_rules;
mod segments;
mod slab;
mod index;
mod table;
mod windows;
mod deadline;
mod reorder;
mod parts;
mod reopen;
mod watermark;
mod sessionizer;
mod engine;
mod config;
#[cfg(feature = "std")]
mod sharded;
mod adapt;
mod snapshot;
#[cfg(feature = "serde")]
mod codec;
#[cfg(feature = "serde")]
mod serial;
#[cfg(test)]
mod testing;

pub use adapt::{Queued, Sessionize};
pub use aggregate::Aggregate;
pub use calendar::Unit;
pub use config::Config;
pub use data::{ByRef, Key, Value};
pub use engine::{Engine, Tagged};
#[cfg(feature = "serde")]
pub use error::WriteError;
pub use error::{ConfigError, RestoreError};
pub use event::{Event, EventFn, EventRef};
pub use gap_rules::JoinOnly;
pub use id::{SessionId, SessionIdError, fingerprint, kinesis_sql_id, partition_of};
pub use open::OpenSession;
pub use rules::{FirstLast, TimedValue, WhenFull};
#[cfg(feature = "serde")]
pub use serial::Rfc3339;
pub use sessionizer::{Clock, Counters, Pushed, Refusal, Returned, Sessionizer, SummaryOf};
#[cfg(feature = "std")]
pub use sharded::Sharded;
pub use snapshot::{Changes, Snapshot};
pub use strategy::{Bucket, Gap, Sliding, Stagger, Strategy};
pub use summary::{CloseReason, SessionSummary, Superseded};
pub use time::{ParseTimestampError, TimeRangeError, Timestamp};
pub use watermark::{SourceId, WatermarkMerger};
pub use window::Window;

/// The items of an iterator of sessions; [`Sessionize`] makes one of an iterator of events.
pub mod iter {
    pub use crate::adapt::{Output, Sessions};
}

/// The trait whose methods push events and take sessions, for a glob import.
pub mod prelude {
    pub use crate::{Sessionize, Sessionizer};
}

/// The code in the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
