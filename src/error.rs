//! Errors of a configuration or a snapshot. Each says what to change.

use alloc::string::String;
use core::time::Duration;

/// A configuration that cannot work. Every message names the setting and what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A length of time that must be positive is zero.
    #[error("the {setting} is zero: choose at least one microsecond")]
    Zero {
        /// Which setting.
        setting: &'static str,
    },
    /// A length of time is not a whole number of microseconds.
    #[error("the {setting} of {length:?} is not a whole number of microseconds: round it")]
    Fraction {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        length: Duration,
    },
    /// A length of time is beyond the range of timestamps.
    #[error("the {setting} of {length:?} is longer than 292,000 years: choose a shorter one")]
    TooLong {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        length: Duration,
    },
    /// Each event would belong to more sliding windows than is sensible.
    #[error(
        "with windows of {size:?} every {slide:?} each event belongs to {windows} windows; \
         {most} are allowed: choose a longer slide or a shorter size"
    )]
    TooManyWindows {
        /// Length of each window.
        size: Duration,
        /// From one start to the next.
        slide: Duration,
        /// How many windows an event would be in.
        windows: u64,
        /// How many are allowed.
        most: u64,
    },
    /// A setting was given to a strategy that has no use for it.
    #[error("`{setting}` has no meaning for {strategy}: {instead}")]
    NotForThisStrategy {
        /// Which setting.
        setting: &'static str,
        /// The strategy in use.
        strategy: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// The bound on open sessions is zero.
    #[error("a bound of zero open sessions would refuse every event: choose at least one")]
    NoRoom,
    /// There is no output, and so no shard.
    #[error("there is no output: give `Sharded` one for each shard")]
    NoShards,
    /// One event alone may open more sliding windows than the bound on open sessions allows.
    #[error(
        "each event may open {per_event} sliding windows, but at most {most} sessions may be open: raise the bound"
    )]
    TooFewSessions {
        /// The bound on open sessions.
        most: usize,
        /// How many windows one event may open.
        per_event: u64,
    },
}

/// A snapshot that cannot be restored. Every message says what differs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The configuration to restore under is itself wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Written by another version of the snapshot format.
    #[error(
        "the snapshot has version {found}, and this release reads version {expected}: \
         flush with the release that wrote it, or start afresh"
    )]
    Version {
        /// Version of the snapshot.
        found: u32,
        /// Version that this release reads and writes.
        expected: u32,
    },
    /// Written as bytes in a layout that this release does not read.
    #[error(
        "the bytes have layout {found}, and this release reads layout {expected}: \
         restore with the release that wrote them, or start afresh"
    )]
    Layout {
        /// Layout of the bytes.
        found: u8,
        /// Layout that this release reads and writes.
        expected: u8,
    },
    /// Taken under another configuration.
    #[error(
        "the snapshot was taken with {setting} = {snapshot}, but this configuration has {current}: \
         restore with the old setting, with `Config::restore_changed` if it may change, or start afresh"
    )]
    Setting {
        /// Which setting differs.
        setting: String,
        /// Its value in the snapshot.
        snapshot: String,
        /// Its value in the configuration.
        current: String,
    },
    /// Taken under another configuration, and the setting cannot change on the way.
    #[error("{setting} cannot change from {snapshot} to {current} while sessions are open: {why}")]
    Unchangeable {
        /// Which setting differs.
        setting: String,
        /// Its value in the snapshot.
        snapshot: String,
        /// Its value in the configuration.
        current: String,
        /// What would be wrong.
        why: &'static str,
    },
    /// The content contradicts itself.
    #[error("the snapshot is damaged: {what}")]
    Damaged {
        /// The part that does not fit.
        what: String,
    },
}

/// A key, a value or the state of an aggregate that has no form as bytes.
#[cfg(feature = "serde")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key, a value or the state of an aggregate cannot be written: {what}")]
#[non_exhaustive]
pub struct WriteError {
    /// What its type says.
    pub what: String,
}
