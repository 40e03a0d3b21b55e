//! Buffers handed from one thread to the next, in order, and back to be filled again.
//!
//! Only a few are under way at once: a thread that is ahead waits, and memory does not grow.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Buffers that may wait to be taken: enough that neither side often waits for the other.
const AHEAD: usize = 4;

/// The side that fills buffers.
pub struct Filling<T> {
    full: SyncSender<T>,
    used: Receiver<T>,
    /// How many buffers have been handed over and not come back.
    away: usize,
}

/// The side that uses them.
pub struct Using<T> {
    full: Receiver<T>,
    used: Sender<T>,
}

/// The result of waiting for a buffer.
pub enum Waited<T> {
    Ready(T),
    /// None is there yet.
    Nothing,
    /// None will be.
    Over,
}

impl<T> From<Result<T, RecvTimeoutError>> for Waited<T> {
    fn from(received: Result<T, RecvTimeoutError>) -> Self {
        match received {
            Ok(buffer) => Self::Ready(buffer),
            Err(RecvTimeoutError::Timeout) => Self::Nothing,
            Err(RecvTimeoutError::Disconnected) => Self::Over,
        }
    }
}

pub fn relay<T>() -> (Filling<T>, Using<T>) {
    let (full_in, full_out) = sync_channel(AHEAD);
    let (used_in, used_out) = channel();
    (Filling { full: full_in, used: used_out, away: 0 }, Using { full: full_out, used: used_in })
}

impl<T: Default> Filling<T> {
    /// Hands a buffer over and puts an empty one in its place. `false` if nobody takes it any more.
    pub fn hand_over(&mut self, buffer: &mut T) -> bool {
        let back = self.used.try_recv().ok();
        self.away += 1;
        self.away -= usize::from(back.is_some());
        self.full.send(std::mem::replace(buffer, back.unwrap_or_default())).is_ok()
    }

    /// Waits until all buffers have been used, and lets go of their memory.
    #[cold]
    pub fn start_anew(&mut self) {
        while self.away > 0 && self.used.recv().is_ok() {
            self.away -= 1;
        }
    }
}

impl<T> Using<T> {
    /// The next buffer, as soon as it is there. None is left when the other side is gone.
    pub fn next(&self) -> Option<T> {
        self.full.recv().ok()
    }

    /// The next buffer, if it is there within some time.
    pub fn next_within(&self, time: Duration) -> Waited<T> {
        self.full.recv_timeout(time).into()
    }

    /// The next buffer, if it is there.
    pub fn next_now(&self) -> Waited<T> {
        self.next_within(Duration::ZERO)
    }

    /// Gives an empty buffer back.
    pub fn give_back(&self, buffer: T) {
        let _ = self.used.send(buffer); // the other side may be gone
    }
}
