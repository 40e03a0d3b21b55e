//! What travels between the workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stagger::Timestamp;

/// A time of the dataflow, in microseconds since 1970: the watermark of a source, rounded down to an epoch.
pub type Epoch = i64;

/// With its own time: timely may put messages of several times into one container, which then has the least of them.
pub type Timed<M> = (Epoch, M);

/// From a source to the operator that makes sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    Event(Occurrence),
    /// A line that holds no event, or the place where a file cannot be read any further. It goes the same way as events
    /// do, so that it is reported once.
    Unreadable {
        at: Place,
        text: String,
        reason: String,
    },
    /// The state is to be saved as it is before this epoch. One for each worker.
    Checkpoint {
        worker: usize,
        epoch: Epoch,
    },
    /// A source is at its end. Its watermark was this. One for each worker.
    End {
        worker: usize,
        watermark: Epoch,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Occurrence {
    pub at: Place,
    pub key: String,
    pub time: Timestamp,
    pub value: String,
}

/// Where it was read. Orders messages of one epoch, so that threads and machines do not show in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The input, by its position in the command.
    pub source: u32,
    /// From 1.
    pub line: u64,
}

/// An event or a line that is in no session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unused {
    pub source: u32,
    pub line: u64,
    pub reason: String,
    /// Of an event that was late or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<UnusedEvent>,
    /// Of a line that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnusedEvent {
    pub key: String,
    pub time: String,
    pub value: String,
}

/// How far each source was read.
pub type Progress = BTreeMap<u32, Reached>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The last line that was used.
    pub line: u64,
    /// The greatest event time up to there, which the watermark of the source follows.
    pub greatest: Option<Timestamp>,
}

impl Reached {
    pub fn join(&mut self, other: Self) {
        self.line = self.line.max(other.line);
        self.greatest = self.greatest.max(other.greatest);
    }
}

impl Message {
    /// The worker that takes it, of this number of workers.
    pub fn worker(&self, peers: usize) -> u64 {
        let worker = match self {
            Self::Event(event) => stagger::partition_of(event.key.as_str(), peers),
            Self::Unreadable { at, .. } => at.source as usize % peers,
            Self::Checkpoint { worker, .. } | Self::End { worker, .. } => *worker,
        };
        worker as u64
    }
}
