//! Turns streams of events into sessions, inside your own program.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod time;
mod calendar;
mod error;
mod data;
mod event;
mod window;
mod strategy;
mod aggregate;
mod id;
mod summary;
mod session;
mod table;
mod deadline;
mod held;
mod config;
mod sessionizer;
mod engine;

#[cfg(feature = "chrono")]
pub use calendar::ChronoZone;
pub use aggregate::{Aggregate, Count, Fold, LawBroken, List, Max, Min, Number, Set, Sum, check_laws};
pub use calendar::{FixedOffset, Unit, Zone};
pub use config::{Config, Moment, WhenFull};
pub use data::{ByRef, Key, Value};
pub use engine::Engine;
pub use error::{ConfigError, RestoreError};
pub use event::{Event, Lent};
pub use id::{SessionId, SessionIdError, kinesis_sql_id};
pub use session::FirstLast;
pub use sessionizer::{Clock, Counters, Pushed, Refusal, Sessionizer, SummaryOf};
pub use strategy::{Bucket, Gap, Sliding, Stagger, Strategy};
pub use summary::{CloseReason, SessionSummary, Superseded};
pub use time::{TimeRangeError, Timestamp};
pub use window::Window;

/// The trait whose methods push events and take sessions, for a glob import.
pub mod prelude {
    pub use crate::Sessionizer;
}
