//! An aggregate of one's own beside built-in ones, and the laws that it must obey.
//!
//! Events come in any order, and a late one may join two sessions. So an aggregate must give the
//! same result however its events were grouped and ordered. `check_laws` tries that; in your program
//! it belongs in a test. Here it also finds the mistake in an aggregate that looks right.
//!
//! `cargo run --example custom_aggregate`

use std::collections::BTreeMap;
use std::time::Duration;

use stagger::{
    Aggregate, Config, Event, EventRef, Gap, Timestamp,
    aggregate::{Count, Fold, Max, Set, Sum, check_laws},
    prelude::*,
};

/// A page of the shop, and the price in cents of the beer put into the cart there (0 for none).
type Page = (String, u32);
type Click<'a> = EventRef<'a, String, Page>;

/// The page that was seen most often, and how often. Of several, the first by name.
///
/// The answer alone would not do as the state: of "cart, twice" and "vitrine, twice" nobody can tell
/// which pages came once. States can be merged; `finish` makes the answer of a state.
struct FavouritePage;

impl Aggregate<String, Page> for FavouritePage {
    type State = BTreeMap<String, u64>;
    type Output = (String, u64);

    fn open(&self, event: &Click<'_>) -> Self::State {
        BTreeMap::from([(event.value.0.to_owned(), 1)])
    }

    fn add(&self, state: &mut Self::State, event: &Click<'_>) {
        let (page, _) = event.value;
        match state.get_mut(page) {
            Some(times) => *times += 1,
            None => self.merge(state, self.open(event)),
        }
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) {
        for (page, times) in other {
            *state.entry(page).or_default() += times;
        }
    }

    fn finish(&self, state: Self::State) -> (String, u64) {
        // `max_by_key` takes the last of equals; from the end it is the first by name.
        state.into_iter().rev().max_by_key(|(_, times)| *times).expect("a session has an event")
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clicks = clicks();

    check_laws(&FavouritePage, &clicks)?;
    println!("FavouritePage obeys the laws.");

    // It keeps the page that is *added* last, which with clicks out of order is not the latest.
    let exit_page = Fold::new(
        |first: &Click<'_>| first.value.0.to_owned(),
        |page: &mut String, next: &Click<'_>| next.value.0.clone_into(page),
        |page: &mut String, other: String| *page = other,
    );
    let broken = check_laws(&exit_page, &clicks).expect_err("the order of events matters to it");
    println!("The exit page made of a fold does not: {broken}.\n");

    let aggregate = (
        FavouritePage,
        Count,
        Sum::of(|click: &Click<'_>| click.value.1),
        Max::of(|click: &Click<'_>| click.value.1),
        Set::of(|click: &Click<'_>| click.value.0.to_owned()),
    );
    let sessionizer = Config::new(Gap::new(Duration::from_secs(30)))
        .out_of_order(Duration::from_secs(10))
        .aggregate(aggregate)
        .build()?;
    println!("gap of 30 s");
    for session in clicks.into_iter().sessionize(sessionizer).filter_map(stagger::iter::Output::session) {
        let ((favourite, times), count, cents, dearest, pages) = session.aggregate;
        let pages: Vec<_> = pages.into_iter().collect();
        println!(
            "{:<5} {count} clicks, mostly {favourite} ({times}); {cents} cents, dearest {dearest}; pages: {}",
            session.key,
            pages.join(", ")
        );
    }
    Ok(())
}

/// Out of order, and with two clicks at the same time: `check_laws` is only as good as its events.
fn clicks() -> Vec<Event<String, Page>> {
    [
        ("alice", 0, "vitrine", 0),
        ("bob", 4, "vitrine", 0),
        ("alice", 12, "cart", 250),
        ("alice", 6, "vitrine", 0),
        ("bob", 9, "cart", 400),
        ("bob", 9, "cart", 150),
        ("alice", 20, "checkout", 0),
        ("alice", 70, "vitrine", 0),
    ]
    .map(|(user, second, page, cents)| {
        Event::new(user.to_owned(), Timestamp::from_secs(second), (page.to_owned(), cents))
    })
    .to_vec()
}
