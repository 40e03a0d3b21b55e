//! The laws of aggregates, as a function to run on one's own.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use super::Aggregate;
use crate::data::{Key, Value};
use crate::event::Event;

/// An aggregate that depends on how its events are grouped or ordered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{law}: expected {expected}, got {got} ({how})")]
#[non_exhaustive]
pub struct LawBroken {
    /// The law, in words.
    pub law: &'static str,
    /// How the events were put together when it failed.
    pub how: String,
    /// The result of adding all events one by one in order of time.
    pub expected: String,
    /// The differing result.
    pub got: String,
}

/// Tries the laws of [`Aggregate`] on all ways to cut `events` in two and in three between different
/// times, and on several orders. Takes time in the cube of the number of events: a dozen well-chosen ones are plenty.
/// Include equal times, and values at the ends of their range. Events must share a key: they are taken as
/// those of one session, as an aggregate never sees events of different keys together.
///
/// # Errors
/// [`LawBroken`] with the first law that fails and the two results.
pub fn check_laws<K, V, A>(aggregate: &A, events: &[Event<K, V>]) -> Result<(), LawBroken>
where
    K: Key,
    V: Value,
    A: Aggregate<K, V>,
    A::Output: PartialEq + Debug,
{
    let mut events: Vec<&Event<K, V>> = events.iter().collect();
    events.sort_by_key(|event| event.event_time);
    let Some(whole) = state_of(aggregate, &events) else { return Ok(()) };
    let expected = aggregate.finish(whole);
    let check = |law, how: String, state| {
        let got = aggregate.finish(state);
        if got == expected {
            return Ok(());
        }
        Err(LawBroken { law, how, expected: format!("{expected:?}"), got: format!("{got:?}") })
    };
    let borders: Vec<usize> = (1..events.len()).filter(|&i| events[i - 1].event_time != events[i].event_time).collect();
    for (i, &cut) in borders.iter().enumerate() {
        let (early, late) = events.split_at(cut);
        for (how, one, other) in [("later into earlier", early, late), ("earlier into later", late, early)] {
            if let Some(state) = merged(aggregate, &[one, other]) {
                let how = format!("events 0..{cut} and {cut}.., {how}");
                check("merging two states must equal adding all events to one", how, state)?;
            }
        }
        for &second in &borders[i + 1..] {
            let (middle, last) = late.split_at(second - cut);
            if let Some(state) = merged(aggregate, &[middle, last, early]) {
                let how = format!("events cut at {cut} and {second}");
                check("merging must not depend on the order of merges", how, state)?;
            }
        }
    }
    for turn in 0..events.len() {
        for reverse in [false, true] {
            let order = reordered(&events, turn, reverse);
            if let Some(state) = state_of(aggregate, &order) {
                let how = format!("rotated by {turn}{}", if reverse { " and reversed" } else { "" });
                check("the order of events with different times must not matter", how, state)?;
            }
        }
    }
    Ok(())
}

fn state_of<K: Key, V: Value, A: Aggregate<K, V>>(aggregate: &A, events: &[&Event<K, V>]) -> Option<A::State> {
    let (first, rest) = events.split_first()?;
    let mut state = aggregate.open(&first.as_event_ref());
    for event in rest {
        aggregate.add(&mut state, &event.as_event_ref());
    }
    Some(state)
}

fn merged<K: Key, V: Value, A: Aggregate<K, V>>(aggregate: &A, groups: &[&[&Event<K, V>]]) -> Option<A::State> {
    let mut states = groups.iter().filter_map(|group| state_of(aggregate, group));
    let mut state = states.next()?;
    for other in states {
        aggregate.merge(&mut state, other);
    }
    Some(state)
}

/// Another order of the events, in which those of one time keep theirs.
fn reordered<'e, K, V>(events: &[&'e Event<K, V>], turn: usize, reverse: bool) -> Vec<&'e Event<K, V>> {
    let mut groups: Vec<&[&Event<K, V>]> = events.chunk_by(|a, b| a.event_time == b.event_time).collect();
    let turns = turn % groups.len().max(1);
    groups.rotate_left(turns);
    if reverse {
        groups.reverse();
    }
    groups.concat()
}
