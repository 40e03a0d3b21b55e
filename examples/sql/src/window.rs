//! Windows of groups, by the library's engine; and windows that slide with each row.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use stagger::{Config, ConfigError, Engine, Event, EventRef, RestoreError, SessionSummary, Snapshot, Timestamp};

use crate::aggregate::{Aggregate, State, decode, encode};
use crate::model::{Frame, Group, Over};
use crate::types::{Failure, Value, failure};

/// The values of the expressions that a group is made by, as bytes.
type Key = Box<[u8]>;
type States = Box<[State]>;

/// Arguments of aggregates: an engine sees them, and keeps none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unkept;

impl stagger::Value for Unkept {
    type Ref<'a> = &'a [Value];

    fn value_from(_: &[Value]) -> Self {
        Self
    }

    fn value_ref(&self) -> &[Value] {
        &[]
    }

    fn set_value(&mut self, _: &[Value]) {}
}

/// The aggregates of a query, together.
#[derive(Clone, Debug)]
struct Together(Vec<Aggregate>);

impl stagger::Aggregate<Key, Unkept> for Together {
    type State = States;
    type Output = States;

    fn open(&self, event: &EventRef<'_, Key, Unkept>) -> States {
        let mut states: States = self.0.iter().map(Aggregate::start).collect();
        self.add(&mut states, event);
        states
    }

    fn add(&self, states: &mut States, event: &EventRef<'_, Key, Unkept>) {
        for (aggregate, state) in self.0.iter().zip(states) {
            aggregate.add(state, event.value);
        }
    }

    /// Windows of one key are never joined here.
    fn merge(&self, states: &mut States, later: States) {
        for ((aggregate, state), later) in self.0.iter().zip(states).zip(&later) {
            aggregate.merge(state, later);
        }
    }

    fn finish(&self, states: States) -> States {
        states
    }
}

/// The open windows of a query with groups.
pub struct Groups {
    engine: Engine<Key, Unkept, Together>,
    keys: usize,
    aggregates: Vec<Aggregate>,
    /// Buffers for the row at hand.
    key: Vec<u8>,
    arguments: Vec<Value>,
}

pub type GroupsSnapshot = Snapshot<Key, Unkept, States>;

fn config(group: &Group) -> Config<Key, Unkept, Together> {
    Config::new(group.windows.clone()).aggregate(Together(group.aggregates.clone()))
}

impl Groups {
    pub fn new(group: &Group) -> Result<Self, ConfigError> {
        Ok(Self::around(group, config(group).build()?))
    }

    pub fn restore(group: &Group, snapshot: GroupsSnapshot) -> Result<Self, RestoreError> {
        Ok(Self::around(group, config(group).restore(snapshot)?))
    }

    fn around(group: &Group, engine: Engine<Key, Unkept, Together>) -> Self {
        let (keys, aggregates) = (group.keys.len(), group.aggregates.clone());
        Self { engine, keys, aggregates, key: Vec::new(), arguments: Vec::new() }
    }

    pub fn snapshot(&self) -> GroupsSnapshot {
        self.engine.snapshot()
    }

    /// Adds a row. Everything that was over by then has been closed before.
    pub fn push(&mut self, group: &Group, row: &[Value], now: Timestamp) -> Result<(), Failure> {
        self.key.clear();
        for key in &group.keys {
            key.expr.with(row, |value| encode(value, &mut self.key))?;
        }
        self.arguments.clear();
        for argument in &group.arguments {
            self.arguments.push(argument.eval(row)?);
        }
        let event = Event::new(&self.key[..], now, &self.arguments[..]);
        let returned = self.engine.push(event, &mut |_| {}).returned();
        if returned.is_some() { failure("too many windows are open") } else { Ok(()) }
    }

    /// When the next window closes.
    #[inline]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.engine.next_deadline()
    }

    /// Closes windows that are over. `out` gets the time and the row of each window.
    pub fn advance_to(&mut self, now: Timestamp, mut out: impl FnMut(Timestamp, Result<Vec<Value>, Failure>)) {
        let (keys, aggregates) = (self.keys, &self.aggregates);
        self.engine.advance_to(now, &mut |window: SessionSummary<Key, Unkept, States>| {
            out(window.window.end, row(keys, aggregates, &window));
        });
    }
}

/// Keys, ROWTIME, aggregates.
fn row(
    keys: usize,
    aggregates: &[Aggregate],
    window: &SessionSummary<Key, Unkept, States>,
) -> Result<Vec<Value>, Failure> {
    let mut row = Vec::with_capacity(keys + 1 + aggregates.len());
    let mut key = &window.key[..];
    row.extend((0..keys).map(|_| decode(&mut key)));
    row.push(Value::Timestamp(window.window.end.as_millis()));
    for (aggregate, state) in aggregates.iter().zip(&window.aggregate) {
        row.push(aggregate.finish(state)?);
    }
    Ok(row)
}

// --- Windows that slide ---

/// The rows of all partitions that are within a window that ends with the latest row.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slides {
    #[serde(with = "crate::pairs")]
    partitions: HashMap<Key, Partition>,
    /// The last row of a partition by time; an older entry of it is obsolete.
    latest: VecDeque<(Timestamp, Key)>,
}

/// The rows of one partition. Those in `front` came before those in `back`; each front row has the state
/// of it and all front rows behind it, so that nothing has to be taken out of an aggregate.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Partition {
    /// The oldest row is the last of the list.
    front: Vec<(Timestamp, States)>,
    back: Vec<(Timestamp, Vec<Value>)>,
    /// The state of `back`.
    back_states: Option<States>,
}

impl Slides {
    /// Adds a row and writes the results of its window into the slots.
    pub fn push(&mut self, over: &Over, row: &mut [Value], now: Timestamp) -> Result<(), Failure> {
        self.forget(over, now);
        let mut key = Vec::new();
        for one in &over.partition {
            one.with(row, |value| encode(value, &mut key))?;
        }
        let arguments = over.arguments.iter().map(|one| one.eval(row)).collect::<Result<Vec<_>, _>>()?;
        let key: Key = key.into();
        if matches!(over.frame, Frame::Range(_)) {
            self.latest.push_back((now, key.clone()));
        }
        let partition = self.partitions.entry(key).or_default();
        partition.add(over, now, arguments);
        partition.shrink(over, now);
        for (result, slot) in partition.results(over)?.into_iter().zip(&over.slots) {
            row[*slot] = result;
        }
        Ok(())
    }

    /// Partitions whose last row has left the window are removed.
    fn forget(&mut self, over: &Over, now: Timestamp) {
        while let Some((time, _)) = self.latest.front()
            && over.frame.is_past(*time, now)
        {
            let Some((time, key)) = self.latest.pop_front() else { return };
            if self.partitions.get(&key).is_some_and(|partition| partition.last() == Some(time)) {
                self.partitions.remove(&key);
            }
        }
    }
}

impl Frame {
    /// Whether a row has left the window. One that is exactly as old as the window is long has.
    fn is_past(self, time: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Range(length) => time.as_micros().saturating_add(length.saturating_mul(1_000)) <= now.as_micros(),
            Self::Rows(_) => false,
        }
    }
}

impl Partition {
    fn last(&self) -> Option<Timestamp> {
        self.back.last().map(|(time, _)| *time).or_else(|| self.front.first().map(|(time, _)| *time))
    }

    fn add(&mut self, over: &Over, now: Timestamp, arguments: Vec<Value>) {
        let states = self.back_states.get_or_insert_with(|| over.aggregates.iter().map(Aggregate::start).collect());
        for (aggregate, state) in over.aggregates.iter().zip(states) {
            aggregate.add(state, &arguments);
        }
        self.back.push((now, arguments));
    }

    /// Removes rows that have left the window. The latest row is always in it.
    fn shrink(&mut self, over: &Over, now: Timestamp) {
        loop {
            if self.front.is_empty() {
                let is_one_past = self.back.first().is_some_and(|(time, _)| over.frame.is_past(*time, now));
                if !is_one_past && !self.has_too_many(over) {
                    return;
                }
                self.turn(over);
            }
            let is_past = self.front.last().is_some_and(|(time, _)| over.frame.is_past(*time, now));
            if !is_past && !self.has_too_many(over) {
                return;
            }
            self.front.pop();
        }
    }

    fn has_too_many(&self, over: &Over) -> bool {
        matches!(over.frame, Frame::Rows(before) if self.front.len() + self.back.len() > before + 1)
    }

    /// Makes front rows of those at the back.
    fn turn(&mut self, over: &Over) {
        let mut behind: Option<States> = None;
        for (time, arguments) in self.back.drain(..).rev() {
            let mut states: States = over.aggregates.iter().map(Aggregate::start).collect();
            for (index, (aggregate, state)) in over.aggregates.iter().zip(&mut states).enumerate() {
                aggregate.add(state, &arguments);
                if let Some(behind) = &behind {
                    aggregate.merge(state, &behind[index]);
                }
            }
            self.front.push((time, states.clone()));
            behind = Some(states);
        }
        self.back_states = None;
    }

    fn results(&self, over: &Over) -> Result<Vec<Value>, Failure> {
        let result = |(index, aggregate): (usize, &Aggregate)| {
            let mut state = match self.front.last() {
                Some((_, states)) => states[index].clone(),
                None => aggregate.start(),
            };
            if let Some(back) = &self.back_states {
                aggregate.merge(&mut state, &back[index]);
            }
            aggregate.finish(&state)
        };
        over.aggregates.iter().enumerate().map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Kind;
    use crate::expr::Expr;
    use crate::types::Type;

    fn over(frame: Frame) -> Over {
        let kinds = [Kind::Sum, Kind::Min, Kind::Max, Kind::First, Kind::Last, Kind::Count];
        let aggregate = |kind: Kind, is_distinct| Aggregate {
            kind,
            argument: Some(0),
            is_distinct,
            ignores_nulls: false,
            ty: kind.type_for(Type::Integer),
        };
        let mut aggregates: Vec<_> = kinds.into_iter().map(|kind| aggregate(kind, false)).collect();
        aggregates.push(aggregate(Kind::Count, true));
        let slots = (2..2 + aggregates.len()).collect();
        Over { partition: vec![Expr::Column(0)], frame, arguments: vec![Expr::Column(1)], aggregates, slots }
    }

    /// The results as a list of all rows of the window gives them.
    fn naive(over: &Over, rows: &[(i64, i64, i64)]) -> Vec<Value> {
        let &(key, _, now) = rows.last().expect("a row");
        let of_key: Vec<_> = rows.iter().filter(|row| row.0 == key).collect();
        let within = of_key.iter().rev().enumerate().take_while(|(age, row)| match over.frame {
            Frame::Range(length) => row.2 > now - length,
            Frame::Rows(before) => *age <= before,
        });
        let values: Vec<Value> = within.map(|(_, row)| Value::Int(row.1)).collect();
        let result = |aggregate: &Aggregate| {
            let mut state = aggregate.start();
            values.iter().rev().for_each(|value| aggregate.add(&mut state, std::slice::from_ref(value)));
            aggregate.finish(&state).expect("a value")
        };
        over.aggregates.iter().map(result).collect()
    }

    #[test]
    fn a_window_that_slides_has_the_rows_of_a_naive_list() {
        for frame in [Frame::Range(50), Frame::Range(1), Frame::Rows(0), Frame::Rows(3)] {
            let over = over(frame);
            let (mut slides, mut rows, mut random, mut now) = (Slides::default(), Vec::new(), 1_u64, 0);
            for _ in 0..3_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                now += [0, 0, 1, 7, 30, 200][(random >> 40) as usize % 6];
                let (key, value) = ((random >> 50) as i64 % 3, (random >> 20) as i64 % 10);
                rows.push((key, value, now));
                let mut row = vec![Value::Null; 2 + over.slots.len()];
                (row[0], row[1]) = (Value::Int(key), Value::Int(value));
                slides.push(&over, &mut row, Timestamp::from_millis(now)).expect("a row");
                assert_eq!(row[2..], naive(&over, &rows));
            }
            assert!(slides.partitions.len() <= 3);
        }
    }

    #[test]
    fn partitions_whose_rows_have_left_the_window_are_forgotten() {
        let (over, mut slides) = (over(Frame::Range(10)), Slides::default());
        for key in 0..10_000 {
            let mut row = vec![Value::Null; 2 + over.slots.len()];
            (row[0], row[1]) = (Value::Int(key), Value::Int(1));
            slides.push(&over, &mut row, Timestamp::from_millis(key)).expect("a row");
            assert!(slides.partitions.len() <= 11 && slides.latest.len() <= 11);
        }
    }
}
