//! An application at work: rows in, rows out, in the order in which they are inserted.

use serde::{Deserialize, Serialize};
use stagger::Timestamp;

use crate::expr::Expr;
use crate::model::{Plan, Pump, Work};
use crate::types::{Failure, Value};
use crate::window::{Groups, GroupsSnapshot, Slides};

/// The output of an application.
#[derive(Debug)]
pub enum Written<'a> {
    /// A row was inserted into the stream with this number, with this ROWTIME.
    Row { stream: usize, rowtime: Timestamp, values: &'a [Value] },
    /// A row of this pump failed: the values that it failed for, and why. Of no pump: a record of the source.
    Failed { pump: Option<usize>, rowtime: Timestamp, row: &'a [Value], failure: Failure },
}

pub type Out<'o> = &'o mut dyn FnMut(Written<'_>);

/// The state of an application.
pub struct Run<'p> {
    plan: &'p Plan,
    /// For each stream the pumps that read it.
    readers: Vec<Vec<usize>>,
    states: Vec<PumpState>,
    now: Timestamp,
}

enum PumpState {
    Rows,
    Groups(Box<Groups>),
    Slides(Vec<Slides>),
}

/// All that a run knows, to go on from.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    /// The plan that it was saved by.
    identity: String,
    now: Timestamp,
    pumps: Vec<SavedPump>,
}

#[derive(Debug, Serialize, Deserialize)]
enum SavedPump {
    Rows,
    Groups(Box<GroupsSnapshot>),
    Slides(Vec<Slides>),
}

impl<'p> Run<'p> {
    /// Begins without rows.
    ///
    /// # Errors
    /// If a window of the application is longer than the library's windows can be.
    pub fn new(plan: &'p Plan) -> Result<Self, String> {
        let states = plan.pumps.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { plan, readers: readers(plan), states, now: Timestamp::MIN })
    }

    /// Goes on from the saved state of a run of the same text.
    ///
    /// # Errors
    /// If it was saved by another application.
    pub fn restore(plan: &'p Plan, saved: Saved) -> Result<Self, String> {
        if saved.identity != plan.identity() || saved.pumps.len() != plan.pumps.len() {
            return Err("the saved state is of another text or schema: go on with that one, or begin anew".to_owned());
        }
        let pairs = plan.pumps.iter().zip(saved.pumps);
        let states = pairs.map(|(pump, saved)| resume(pump, saved)).collect::<Result<_, _>>()?;
        Ok(Self { plan, readers: readers(plan), states, now: saved.now })
    }

    pub fn save(&self) -> Saved {
        let pump = |state: &PumpState| match state {
            PumpState::Rows => SavedPump::Rows,
            PumpState::Groups(groups) => SavedPump::Groups(Box::new(groups.snapshot())),
            PumpState::Slides(slides) => SavedPump::Slides(slides.clone()),
        };
        let pumps = self.states.iter().map(pump).collect();
        Saved { identity: self.plan.identity(), now: self.now, pumps }
    }

    /// The latest ROWTIME.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Inserts a row into the source. ROWTIME never goes back: a row that claims to be earlier comes now. The last
    /// two values of the row are filled in here.
    pub fn push(&mut self, row: &mut [Value], arrival: Timestamp, out: Out<'_>) {
        self.advance_to(arrival, out);
        let source = self.plan.source;
        let rowtime = self.plan.streams[source].rowtime();
        row[rowtime] = Value::Timestamp(self.now.as_millis());
        row[rowtime + 1] = Value::Timestamp(arrival.as_millis());
        self.read(source, row, self.now, out);
    }

    /// Says that no row with an earlier ROWTIME comes. Windows that are over are closed, in order of time.
    pub fn advance_to(&mut self, now: Timestamp, out: Out<'_>) {
        if now <= self.now {
            return;
        }
        while let Some(deadline) = self.next_deadline().filter(|deadline| *deadline <= now) {
            self.close(deadline, out);
        }
        self.now = now;
    }

    /// When the next window closes.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadline = |state: &PumpState| match state {
            PumpState::Groups(groups) => groups.next_deadline(),
            _ => None,
        };
        self.states.iter().filter_map(deadline).min()
    }

    /// Lets the clock go on until every window has closed.
    pub fn finish(&mut self, out: Out<'_>) {
        while let Some(deadline) = self.next_deadline().filter(|deadline| *deadline < Timestamp::MAX) {
            self.advance_to(deadline, out);
        }
    }

    /// Closes the windows that are over at a time, those of pumps first that others read from.
    fn close(&mut self, deadline: Timestamp, out: Out<'_>) {
        self.now = self.now.max(deadline);
        for &index in &self.plan.order {
            let PumpState::Groups(groups) = &mut self.states[index] else { continue };
            if groups.next_deadline().is_none_or(|next| next > deadline) {
                continue;
            }
            let mut closed = Vec::new();
            groups.advance_to(deadline, |time, row| closed.push((time, row)));
            for (time, row) in closed {
                match row {
                    Ok(row) => self.insert(index, &row, time, out),
                    Err(failure) => out(Written::Failed { pump: Some(index), rowtime: time, row: &[], failure }),
                }
            }
        }
    }

    /// Gives a row of a stream to all pumps that read it.
    fn read(&mut self, stream: usize, row: &[Value], now: Timestamp, out: Out<'_>) {
        for reader in 0..self.readers[stream].len() {
            let index = self.readers[stream][reader];
            if let Err(failure) = self.take(index, row, now, out) {
                out(Written::Failed { pump: Some(index), rowtime: now, row, failure });
            }
        }
    }

    /// Gives a row to one pump.
    fn take(&mut self, index: usize, row: &[Value], now: Timestamp, out: Out<'_>) -> Result<(), Failure> {
        let pump = &self.plan.pumps[index];
        if let Some(filter) = &pump.filter
            && filter.truth(row)? != Some(true)
        {
            return Ok(());
        }
        match (&mut self.states[index], &pump.work) {
            (PumpState::Groups(groups), Work::Group(group)) => groups.push(group, row, now),
            (PumpState::Slides(slides), Work::Over(overs)) => {
                let results: usize = overs.iter().map(|over| over.slots.len()).sum();
                let mut wide = Vec::with_capacity(row.len() + results);
                wide.extend_from_slice(row);
                wide.resize(row.len() + results, Value::Null);
                for (slides, over) in slides.iter_mut().zip(overs) {
                    slides.push(over, &mut wide, now)?;
                }
                self.insert(index, &wide, now, out);
                Ok(())
            }
            _ => {
                self.insert(index, row, now, out);
                Ok(())
            }
        }
    }

    /// Inserts the row that a pump makes of a row of its query into the stream that it fills.
    fn insert(&mut self, index: usize, row: &[Value], now: Timestamp, out: Out<'_>) {
        let pump = &self.plan.pumps[index];
        match made(pump, row) {
            Ok(Some(mut values)) => {
                let stream = &self.plan.streams[pump.into];
                out(Written::Row { stream: pump.into, rowtime: now, values: &values });
                if stream.is_read {
                    values.resize(stream.width(), Value::Null);
                    values[stream.rowtime()] = Value::Timestamp(now.as_millis());
                    self.read(pump.into, &values, now, out);
                }
            }
            Ok(None) => {}
            Err(failure) => out(Written::Failed { pump: Some(index), rowtime: now, row, failure }),
        }
    }
}

/// The row that a pump inserts, unless HAVING leaves it out.
fn made(pump: &Pump, row: &[Value]) -> Result<Option<Vec<Value>>, Failure> {
    if let Some(having) = &pump.having
        && having.truth(row)? != Some(true)
    {
        return Ok(None);
    }
    pump.outputs.iter().map(|output: &Expr| output.eval(row)).collect::<Result<_, _>>().map(Some)
}

fn start(pump: &Pump) -> Result<PumpState, String> {
    Ok(match &pump.work {
        Work::Rows => PumpState::Rows,
        Work::Group(group) => PumpState::Groups(Box::new(Groups::new(group).map_err(|error| of_pump(pump, &error))?)),
        Work::Over(overs) => PumpState::Slides(overs.iter().map(|_| Slides::default()).collect()),
    })
}

fn resume(pump: &Pump, saved: SavedPump) -> Result<PumpState, String> {
    match (&pump.work, saved) {
        (Work::Rows, SavedPump::Rows) => Ok(PumpState::Rows),
        (Work::Group(group), SavedPump::Groups(snapshot)) => {
            let groups = Groups::restore(group, *snapshot).map_err(|error| of_pump(pump, &error))?;
            Ok(PumpState::Groups(Box::new(groups)))
        }
        (Work::Over(overs), SavedPump::Slides(slides)) if overs.len() == slides.len() => Ok(PumpState::Slides(slides)),
        _ => Err(format!("the saved state of the pump \"{}\" is of another query", pump.name)),
    }
}

fn of_pump(pump: &Pump, error: &dyn std::fmt::Display) -> String {
    format!("the pump \"{}\": {error}", pump.name)
}

fn readers(plan: &Plan) -> Vec<Vec<usize>> {
    let of = |stream| (0..plan.pumps.len()).filter(|pump| plan.pumps[*pump].from == stream).collect();
    (0..plan.streams.len()).map(of).collect()
}
