//! Files as sources of a dataflow.
//!
//! Each file has a capability of its own, at its watermark (greatest event time less `--out-of-order`), rounded down
//! to an epoch. So the frontier of the dataflow is the watermark over all files: a file that is behind holds it
//! back, a file at its end does not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use events::batch::Item;
use events::fields::Fields;
use events::input::Source;
use events::parse::seen::Seen;
use events::reading::Reading;
use stagger::Timestamp;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilderSession, operator};
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::{Scope, Stream};

use crate::clockwork::Clockwork;
use crate::job::stop;
use crate::message::{Epoch, Message, Occurrence, Place, Timed};
use crate::state::Resumed;

/// How many epochs a file may be ahead of the slowest one: memory stays bounded.
const AHEAD: i64 = 16;
/// How long a worker waits whose files are all that far ahead.
const PAUSE: Duration = Duration::from_millis(1);

type Output<'a> = OutputBuilderSession<'a, Epoch, CapacityContainerBuilder<Vec<Timed<Message>>>>;

/// What this process has read, beyond what an earlier run had.
#[derive(Debug, Default)]
pub struct Amount {
    pub events: u64,
    pub rejected: u64,
    /// The messages about files that cannot be read to their end. What was read of them is used.
    pub broken: Vec<String>,
    pub seen: Seen,
}

/// It grows on several threads.
#[derive(Clone, Debug, Default)]
pub struct Amounts(Arc<Mutex<Amount>>);

impl Amounts {
    fn add(&self, more: Amount) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.events += more.events;
        sum.rejected += more.rejected;
        sum.broken.extend(more.broken);
        sum.seen.merge(more.seen);
    }

    pub fn take(&self) -> Amount {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One file on its way.
struct File {
    index: u32,
    source: Source,
    reading: Reading,
    amounts: Amounts,
    /// Lines that an earlier run has used.
    skip: u64,
    greatest: Option<Timestamp>,
    capability: Capability<Epoch>,
}

/// The messages of this worker's share of the files.
pub fn messages<'scope>(
    scope: Scope<'scope, Epoch>,
    files: &[Source],
    fields: &Fields,
    clockwork: Clockwork,
    resumed: &Resumed,
    done: Handle<Epoch>,
    amounts: &Amounts,
) -> Stream<'scope, Epoch, Vec<Timed<Message>>> {
    let (worker, peers) = (scope.index(), scope.peers());
    operator::source(scope, "files", |capability, info| {
        let mut files: Vec<File> = (0..)
            .zip(files)
            .filter(|(index, _)| *index as usize % peers == worker)
            .map(|(index, source)| {
                let reading = start(source, fields).unwrap_or_else(|error| stop(&error));
                let reached = resumed.progress.get(&index).copied().unwrap_or_default();
                let (source, amounts, capability) = (source.clone(), amounts.clone(), capability.clone());
                File { index, source, reading, amounts, skip: reached.line, greatest: reached.greatest, capability }
            })
            .collect();
        drop(capability);
        let mut resumed_at = resumed.epoch;
        let activator = scope.activator_for(info.address);
        move |output| {
            if let Some(epoch) = resumed_at.take() {
                files.iter_mut().for_each(|file| file.resume(epoch, output, peers, clockwork));
            }
            let mut is_blocked = true;
            files.retain_mut(|file| {
                if file.is_ahead(&done, clockwork) {
                    return true;
                }
                is_blocked = false;
                let goes_on = file.read(output, peers, clockwork);
                if !goes_on {
                    file.end(output, peers);
                }
                goes_on
            });
            match (files.is_empty(), is_blocked) {
                (true, _) => {}
                (false, true) => activator.activate_after(PAUSE),
                (false, false) => activator.activate(),
            }
        }
    })
}

impl File {
    fn is_ahead(&self, done: &Handle<Epoch>, clockwork: Clockwork) -> bool {
        let behind = self.capability.time().saturating_sub(clockwork.epoch.saturating_mul(AHEAD));
        // At the beginning nothing is known: the first batch of each file is read in any case.
        *self.capability.time() > Epoch::MIN && done.less_than(&behind)
    }

    /// Goes on where an earlier run was, whose state before this epoch is known. A checkpoint that was asked for by
    /// the last line which that state holds is asked for again.
    fn resume(&mut self, epoch: Epoch, output: &mut Output<'_>, peers: usize, clockwork: Clockwork) {
        let watermark = self.greatest.map_or(epoch, |greatest| clockwork.watermark(greatest).max(epoch));
        if let Some(later) = clockwork.checkpoint_between(epoch, watermark) {
            let mut asked = checkpoints(later, peers).collect();
            self.give(&mut asked, output);
        }
        self.capability.downgrade(&watermark);
    }

    /// Sends a batch of lines. `false` at the end of the file.
    fn read(&mut self, output: &mut Output<'_>, peers: usize, clockwork: Clockwork) -> bool {
        let Some(mut batch) = self.reading.next() else { return false };
        let (mut waiting, mut amount) = (Vec::new(), Amount::default());
        amount.seen = batch.seen.take().map(|seen| *seen).unwrap_or_default();
        for item in batch.iter() {
            match item {
                Item::Record(line, _) => amount.events += u64::from(line > self.skip),
                Item::Rejected(bad) => amount.rejected += u64::from(bad.line > self.skip),
            }
            let message = match item {
                Item::Record(line, record) => Message::Event(Occurrence {
                    at: Place { source: self.index, line },
                    key: record.key.to_owned(),
                    time: record.time,
                    value: record.value.to_owned(),
                }),
                Item::Rejected(bad) => Message::Unreadable {
                    at: Place { source: self.index, line: bad.line },
                    text: String::from_utf8_lossy(&bad.bytes).into_owned(),
                    reason: bad.reject.to_string(),
                },
            };
            self.send(message, &mut waiting, output, peers, clockwork);
        }
        if let Some(reason) = batch.broken_off(&self.source) {
            amount.broken.push(reason.clone());
            let at = Place { source: self.index, line: batch.last_line + 1 };
            let message = Message::Unreadable { at, text: String::new(), reason };
            self.send(message, &mut waiting, output, peers, clockwork);
        }
        self.give(&mut waiting, output);
        self.amounts.add(amount);
        self.reading.give_back(batch);
        true
    }

    fn send(
        &mut self,
        message: Message,
        waiting: &mut Vec<Message>,
        output: &mut Output<'_>,
        peers: usize,
        clockwork: Clockwork,
    ) {
        let (line, time) = match &message {
            Message::Event(event) => (event.at.line, Some(event.time)),
            Message::Unreadable { at, .. } => (at.line, None),
            Message::Checkpoint { .. } | Message::End { .. } => return,
        };
        if line <= self.skip {
            return;
        }
        waiting.push(message);
        self.greatest = self.greatest.max(time);
        let Some(greatest) = self.greatest else { return };
        let (before, after) = (*self.capability.time(), clockwork.watermark(greatest));
        if after > before {
            waiting
                .extend(clockwork.checkpoint_between(before, after).into_iter().flat_map(|at| checkpoints(at, peers)));
            self.give(waiting, output);
            self.capability.downgrade(&after);
        }
    }

    fn give(&self, waiting: &mut Vec<Message>, output: &mut Output<'_>) {
        if !waiting.is_empty() {
            let epoch = *self.capability.time();
            output.session(&self.capability).give_iterator(waiting.drain(..).map(|message| (epoch, message)));
        }
    }

    fn end(&self, output: &mut Output<'_>, peers: usize) {
        let watermark = *self.capability.time();
        let mut ends = (0..peers).map(|worker| Message::End { worker, watermark }).collect();
        self.give(&mut ends, output);
    }
}

/// Asks all workers for a checkpoint.
fn checkpoints(epoch: Epoch, peers: usize) -> impl Iterator<Item = Message> {
    (0..peers).map(move |worker| Message::Checkpoint { worker, epoch })
}

fn start(source: &Source, fields: &Fields) -> Result<Reading> {
    let failed = |failure: events::failure::Failure| anyhow::anyhow!(failure.message);
    let input = source.open(&std::sync::Arc::default()).map_err(failed)?;
    let parser = events::setup::parser(fields, source, &input).map_err(failed)?;
    Ok(events::reading::start(input, parser))
}
