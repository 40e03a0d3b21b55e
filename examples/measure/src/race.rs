//! Runs the strategies and times them.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use events::failure::{Failure, Outcome};
use stagger::{Clock, Config, Counters, Engine, EventRef, Key, SessionSummary, Sessionizer, Timestamp, Value};

use crate::command::Command;
use crate::load::{NumberEvent, TextEvent};
use crate::strategies::Choice;

/// The result of one strategy.
pub(crate) struct Raced {
    pub(crate) choice: Choice,
    pub(crate) counters: Counters,
    pub(crate) most_open: usize,
    /// Of all sessions, in any order; see [`digest`].
    pub(crate) checksum: u64,
    /// The CPU time of each run.
    pub(crate) text: Vec<Duration>,
    pub(crate) numbers: Vec<Duration>,
}

/// Looks at each strategy once, then times all of them in turn, so that other work of the
/// machine does not hit one of them alone.
pub(crate) fn run(
    command: &Command,
    bound: Duration,
    events: &[TextEvent<'_>],
    numbers: &[NumberEvent],
) -> Outcome<Vec<Raced>> {
    let end = events.iter().map(|event| event.event_time).max().unwrap_or(Timestamp::MIN);
    let text_config = |choice: Choice| choice.config::<String, String>(&command.lengths, bound);
    let number_config = |choice: Choice| choice.config::<u64, u64>(&command.lengths, bound);
    let mut all = Vec::new();
    for choice in command.choices() {
        all.push(look(choice, build(text_config(choice))?, events, end));
    }
    for _ in 0..command.measuring.runs {
        for raced in &mut all {
            raced.text.push(time(build(text_config(raced.choice))?, events, end, &raced.counters));
            raced.numbers.push(time(build(number_config(raced.choice))?, numbers, end, &raced.counters));
        }
    }
    Ok(all)
}

fn build<K: Key, V: Value>(config: Config<K, V>) -> Outcome<Engine<K, V>> {
    config.build().map_err(Failure::usage)
}

/// The results, and how many sessions are open on the way. Not timed.
fn look(choice: Choice, mut engine: Engine<String, String>, events: &[TextEvent<'_>], end: Timestamp) -> Raced {
    let (mut checksum, mut most_open) = (0, 0);
    let mut add = |session: SessionSummary<String, String>| checksum += digest(&session);
    for event in events {
        let _ = engine.push(*event, &mut add); // the late ones are counted
        most_open = most_open.max(engine.open_sessions());
    }
    finish(&mut engine, end, &mut add);
    Raced { choice, counters: engine.counters(), most_open, checksum, text: Vec::new(), numbers: Vec::new() }
}

/// The CPU time of this thread for all events and the end.
fn time<K: Key, V: Value>(
    mut engine: Engine<K, V>,
    events: &[EventRef<'_, K, V>],
    end: Timestamp,
    expected: &Counters,
) -> Duration {
    let mut out = |session| drop(black_box(session));
    let start = ThreadTime::now();
    for event in events {
        let _ = engine.push(*event, &mut out);
    }
    finish(&mut engine, end, &mut out);
    let taken = start.elapsed();
    assert_eq!(engine.counters(), *expected, "every run has the same sessions");
    taken
}

/// Closes the sessions that the input has ended, then the open ones.
fn finish<S: Sessionizer>(engine: &mut S, end: Timestamp, out: &mut dyn FnMut(stagger::SummaryOf<S>)) {
    if engine.clock() == Clock::Event {
        engine.advance_to(end, out);
    }
    engine.flush(out);
}

/// A number that is hardly the same for another session, made so that SQL can make it too: the script
/// in `benches/peers` compares sums of it.
fn digest<K, V>(session: &SessionSummary<K, V>) -> u64 {
    const PRIME: u64 = 1_000_000_007;
    let micros = |time: Timestamp, modulus: i64| time.as_micros().rem_euclid(modulus).unsigned_abs();
    let times = micros(session.first_time, 1_000_003) * (micros(session.last_time, 1_000_033) + 1);
    times % PRIME * (session.count % PRIME + 1) % PRIME
}
