//! The smallest use: clicks in, sessions out. A session ends after half a minute of silence.
//!
//! `cargo run --example quickstart`

use std::time::Duration;

use stagger::{Config, Event, Gap, Timestamp};

fn main() -> Result<(), stagger::ConfigError> {
    let clicks = [
        ("alice", 0, "beer_vitrine"),
        ("bob", 12, "beer_vitrine"),
        ("alice", 24, "beer_checkout"),
        ("alice", 18, "beer_cart"), // six seconds out of order
        ("bob", 60, "beer_vitrine"),
        ("alice", 90, "beer_vitrine"),
        ("bob", 5, "beer_cart"), // far too late
    ];
    let mut sessions = Config::<String, String>::new(Gap::new(Duration::from_secs(30)))
        .out_of_order(Duration::from_secs(10)) // how far behind the latest click one may be
        .build()?;
    let mut show = |s: stagger::SessionSummary<String, String>| {
        let seconds = s.duration().as_secs();
        println!(
            "{:<5} {} clicks in {seconds:>2} s, {} to {} ({})",
            s.key, s.count, s.first_event, s.last_event, s.reason
        );
    };
    for (user, second, page) in clicks {
        if let Some(late) = sessions.push(Event::new(user, Timestamp::from_secs(second), page), &mut show).returned() {
            println!("{:<5} too late: {} at second {second}", late.key, late.value);
        }
    }
    sessions.flush(&mut show); // the input is over
    Ok(())
}
