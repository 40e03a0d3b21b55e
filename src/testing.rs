//! For unit tests: an engine on times of a few microseconds, and the sessions it emits.

use alloc::vec::Vec;
use core::time::Duration;

use crate::config::Config;
use crate::engine::Engine;
use crate::error::ConfigError;
use crate::event::Event;
use crate::sessionizer::{Counters, Pushed};
use crate::strategy::Strategy;
use crate::summary::{CloseReason, SessionSummary};
use crate::time::Timestamp;

pub(crate) const fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) const fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Sessions of `u8` keys; the value of an event is its time.
pub(crate) type Settings = Config<u8, i64>;

/// Key, start and end of the window, number of events.
pub(crate) type Closed = (u8, i64, i64, u64);

pub(crate) fn config(strategy: impl Into<Strategy>) -> Settings {
    Config::new(strategy)
}

pub(crate) fn error_of(config: Settings) -> ConfigError {
    config.build().expect_err("a configuration that cannot work")
}

/// An engine with the summaries it has emitted since they were last asked for.
pub(crate) struct Run {
    pub(crate) engine: Engine<u8, i64>,
    summaries: Vec<SessionSummary<u8, i64, ()>>,
}

impl Run {
    pub(crate) fn new(config: Settings) -> Self {
        Self::of(config.build().expect("a configuration that works"))
    }

    pub(crate) const fn of(engine: Engine<u8, i64>) -> Self {
        Self { engine, summaries: Vec::new() }
    }

    pub(crate) fn push(&mut self, key: u8, time: i64) -> Pushed<()> {
        self.push_at(key, time, time)
    }

    pub(crate) fn push_at(&mut self, key: u8, time: i64, arrival: i64) -> Pushed<()> {
        let event = Event::new(key, at(time), time).arriving_at(at(arrival));
        self.engine.push(event, &mut |summary| self.summaries.push(summary)).map(|_| ())
    }

    pub(crate) fn close_until(&mut self, time: i64) {
        self.engine.advance_to(at(time), &mut |summary| self.summaries.push(summary));
    }

    /// Earlier output, and the sessions that close until `time`.
    pub(crate) fn advance(&mut self, time: i64) -> Vec<Closed> {
        self.close_until(time);
        self.closed()
    }

    pub(crate) fn close_all(&mut self) {
        self.engine.flush(&mut |summary| self.summaries.push(summary));
    }

    pub(crate) fn flush(&mut self) -> Vec<Closed> {
        self.close_all();
        self.closed()
    }

    pub(crate) fn closed(&mut self) -> Vec<Closed> {
        let all = self.summaries().into_iter();
        all.map(|s| (s.key, s.window.start.as_micros(), s.window.end.as_micros(), s.count)).collect()
    }

    pub(crate) fn reasons(&mut self) -> Vec<CloseReason> {
        self.summaries().into_iter().map(|summary| summary.reason).collect()
    }

    pub(crate) fn summaries(&mut self) -> Vec<SessionSummary<u8, i64, ()>> {
        core::mem::take(&mut self.summaries)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.engine.counters()
    }

    pub(crate) fn open(&self) -> usize {
        self.engine.open_sessions()
    }
}
