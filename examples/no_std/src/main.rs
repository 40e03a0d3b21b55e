//! Proof that the library needs `core` and `alloc` only: a program that links only if nothing in it
//! uses std.
//!
//! ```text
//! cargo run -p no-std-proof --profile no-std                  # links; exit status 0: the sessions are right
//! cargo build -p no-std-proof --profile no-std --features std # must fail: duplicate lang item `panic_impl`
//! ```
//!
//! It brings its own allocator and its own panic handler. A second panic handler is an error, and std
//! has one: a dependency that uses std, however deep, breaks the build.
//!
//! Under any other profile it is an ordinary program that makes the same check. Commands on the whole
//! workspace need that: they build every package together, so that the library has its `std` feature
//! there, and tests are built to unwind.
#![cfg_attr(panic = "abort", no_std, no_main)]

extern crate alloc;

#[cfg(panic = "abort")]
mod host;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use stagger::{Bucket, CloseReason, Config, ConfigError, Event, Gap, SessionSummary, Stagger, Strategy, Timestamp};

const CLICKS: [(&str, i64, &str); 4] =
    [("20", 0, "beer_vitrine_nav"), ("20", 7, "beer_cart"), ("31", 8, "beer_cart"), ("20", 42, "beer_checkout")];

/// Pushes the clicks, moves the watermark to one minute, flushes.
fn sessions(strategy: impl Into<Strategy>) -> Result<Vec<SessionSummary<String, String>>, ConfigError> {
    let mut sessions = Config::<String, String>::new(strategy).build()?;
    let mut all = Vec::new();
    for (user, second, click) in CLICKS {
        let pushed = sessions.push(Event::new(user, Timestamp::from_secs(second), click), &mut |s| all.push(s));
        assert!(pushed.returned().is_none(), "no click is late");
    }
    sessions.advance_to(Timestamp::from_secs(60), &mut |s| all.push(s));
    sessions.flush(&mut |s| all.push(s));
    Ok(all)
}

/// User, number of clicks, last click, reason.
type Row<'s> = (&'s str, u64, &'s str, CloseReason);

fn rows(sessions: &[SessionSummary<String, String>]) -> Vec<Row<'_>> {
    sessions.iter().map(|s| (s.key.as_str(), s.count, s.last_event.as_str(), s.reason)).collect()
}

fn all_is_right() -> Result<bool, ConfigError> {
    let by_step = sessions(Stagger::on_event_time(Bucket::step(Duration::from_secs(30))))?;
    let by_gap = sessions(Gap::new(Duration::from_secs(30)))?;
    let expected_by_step = [
        ("20", 2, "beer_cart", CloseReason::Watermark),
        ("31", 1, "beer_cart", CloseReason::Watermark),
        ("20", 1, "beer_checkout", CloseReason::Watermark),
    ];
    let expected_by_gap = [
        ("20", 2, "beer_cart", CloseReason::Gap),
        ("31", 1, "beer_cart", CloseReason::Gap),
        ("20", 1, "beer_checkout", CloseReason::Flush),
    ];
    Ok(rows(&by_step) == expected_by_step && rows(&by_gap) == expected_by_gap)
}

#[cfg(not(panic = "abort"))]
fn main() {
    assert_eq!(all_is_right(), Ok(true));
}
