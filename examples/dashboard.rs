//! Visits while they happen: each click is tagged with its visit at once, and a board shows every visit
//! before it is over.
//!
//! `cargo run --example dashboard`

use std::collections::HashMap;
use std::time::Duration;

use stagger::{Config, ConfigError, Event, Gap, SessionId, SessionSummary, Timestamp};

type Visit = SessionSummary<String, String>;

/// The latest summary of each visit, by its id.
#[derive(Default)]
struct Board(HashMap<SessionId, Visit>);

impl Board {
    /// A summary takes the place of those that it replaces: of one under another id too, if an earlier
    /// click has moved the start of the visit since.
    fn show(&mut self, visit: Visit) {
        let replaced: Vec<_> =
            visit.supersedes().iter().filter_map(|earlier| self.0.remove(&earlier.id)).map(|v| short(v.id())).collect();
        let state = if visit.is_update() { "open" } else { "over" };
        let replaces =
            if replaced.is_empty() { String::new() } else { format!(", in place of {}", replaced.join(", ")) };
        println!(
            "  board: {} {} {} clicks, now at {} ({state}){replaces}",
            short(visit.id()),
            visit.key,
            visit.count,
            visit.last_event
        );
        self.0.insert(visit.id(), visit);
    }
}

/// The beginning of an id, for people.
fn short(id: SessionId) -> String {
    id.to_string()[..6].to_owned()
}

fn main() -> Result<(), ConfigError> {
    let clicks = [
        ("ann", 4, "/beer"),
        ("bob", 7, "/"),
        ("ann", 12, "/cart"),
        ("ann", 1, "/"), // eleven seconds out of order: the visit began earlier than it seemed
        ("bob", 35, "/beer"),
        ("ann", 38, "/checkout"),
        ("bob", 100, "/"),
    ];
    let mut visits = Config::<String, String>::new(Gap::new(Duration::from_secs(45)))
        .out_of_order(Duration::from_secs(12)) // how far behind the latest click one may be
        .update_every(Duration::from_secs(20)) // of event time: as the watermark passes 0, 20, 40 s, …
        .update_every_events(2) // and after two more clicks
        .build()?;
    let mut board = Board::default();
    for (user, second, page) in clicks {
        let click = Event::new(user, Timestamp::from_secs(second), page);
        let tagged = visits.push_tagged(click, &mut |visit| board.show(visit));
        match tagged.session() {
            Some(visit) => println!("at {second:>3} s {user} {page}: click {} of {}", visit.count(), short(visit.id())),
            None => println!("at {second:>3} s {user} {page}: too late"),
        }
    }
    visits.flush(&mut |visit| board.show(visit));
    println!("{} visits", board.0.len());
    Ok(())
}
