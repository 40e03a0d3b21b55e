//! Writes a topic again under the key that sessions need, exactly once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use events::parse::Parser;
use events::parse::jsonl::Jsonl;
use program::signals::Orderly;

use crate::options::Repartition;
use crate::sessions::Counts;
use crate::state::Entry;
use crate::topics::{self, Side};
use crate::worker::{Input, Job, NO_VALUE, Output, Task, set_aside, work};

pub(crate) fn repartition(options: &Repartition) -> Result<()> {
    let signals = Orderly::begin(); // before anything takes time
    let Repartition { connection, group, working, partitions, .. } = options;
    let job = Rekeying { options: options.clone() };
    let of_input = topics::input_partitions(connection, &group.input)?;
    let make = |name: &str, partitions| {
        let replication = working.replication;
        topics::make(connection, &topics::Wanted { name, partitions, replication, is_compacted: false, largest: None })
    };
    make(group.output(), partitions.unwrap_or(of_input))?;
    make(&Side::Unreadable.topic(group.output()), of_input)?;
    work(&signals, &job, connection, group, working, None)
}

struct Rekeying {
    options: Repartition,
}

/// One partition. It has no state.
pub(crate) struct Partition {
    parser: Jsonl,
    input: Arc<str>,
    output: Arc<str>,
    unreadable: Arc<str>,
    next_offset: i64,
    counts: Counts,
}

impl Job for Rekeying {
    type Task = Partition;

    const HAS_STATE: bool = false;

    fn open(&self, _: Vec<Entry>) -> Result<Partition> {
        let group = &self.options.group;
        Ok(Partition {
            parser: Jsonl::new(self.options.fields.wanted().map_err(anyhow::Error::msg)?),
            input: group.input.as_str().into(),
            output: group.output().into(),
            unreadable: Side::Unreadable.topic(group.output()).into(),
            next_offset: 0,
            counts: Counts::default(),
        })
    }

    fn max_delay(&self) -> Option<Duration> {
        None
    }
}

impl Task for Partition {
    fn next_offset(&self) -> i64 {
        self.next_offset
    }

    fn recall(&mut self, counts: Counts) {
        self.counts = counts;
    }

    fn begin_at(&mut self, offset: i64) {
        self.next_offset = offset;
    }

    /// The record as it came, but for its key.
    fn take(&mut self, input: &Input<'_>, out: &mut Vec<Output>) {
        self.next_offset = input.offset + 1;
        self.counts.records += 1;
        let parsed = match input.value {
            Some(value) => {
                let record = self.parser.parse(value).map_err(|reject| reject.to_string());
                record.map(|record| record.key.as_bytes().to_vec())
            }
            None => Err(NO_VALUE.to_owned()),
        };
        out.push(match parsed {
            Ok(key) => Output {
                topic: Arc::clone(&self.output),
                partition: None,
                key: Some(key),
                value: input.value.map(<[u8]>::to_vec),
                timestamp: input.timestamp,
                headers: input.copied_headers(),
            },
            Err(reject) => {
                self.counts.unreadable += 1;
                set_aside(&self.input, Arc::clone(&self.unreadable), input, None, reject)
            }
        });
    }

    fn silence(&mut self, _: Duration, _: &mut Vec<Output>) {}

    fn entry(&self, _: bool) -> Result<Option<Entry>> {
        Ok(None)
    }

    fn was_saved(&mut self) {}

    fn counts(&self) -> Counts {
        self.counts.clone()
    }
}
