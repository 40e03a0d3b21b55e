//! The transaction coordinator: one producer at a time for each transactional id.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::errors::{self, Code};
use crate::groups::{Committed, TopicPartition};
use crate::log::Producer;

#[derive(Debug, Default)]
pub(crate) struct Transactions {
    by_id: HashMap<String, Transaction>,
    next_producer: i64,
}

#[derive(Debug)]
struct Transaction {
    producer: Producer,
    timeout: Duration,
    open: Option<Open>,
    /// How the latest one ended, so that a client may ask again.
    ended: Option<bool>,
}

/// The state of a transaction until it ends.
#[derive(Debug)]
pub(crate) struct Open {
    since: Instant,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// Offsets to commit, by group.
    pub(crate) offsets: HashMap<String, HashMap<TopicPartition, Committed>>,
}

/// A transaction that has ended, for the caller to carry out.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) producer: Producer,
    pub(crate) open: Open,
    pub(crate) is_commit: bool,
}

impl Transactions {
    /// A new producer. For a transactional id it fences the one before, whose transaction is given up.
    pub(crate) fn init(&mut self, id: Option<&str>, timeout: Duration) -> (Producer, Option<Ended>) {
        self.next_producer += 1;
        let new = Producer { id: self.next_producer, epoch: 0 };
        let Some(id) = id else { return (new, None) };
        let known = self.by_id.entry(id.to_owned()).or_insert(Transaction {
            producer: Producer { epoch: -1, ..new },
            timeout,
            open: None,
            ended: None,
        });
        let before = known.producer;
        let ended = known.open.take().map(|open| Ended { producer: before, open, is_commit: false });
        known.producer = if before.epoch == i16::MAX { new } else { Producer { epoch: before.epoch + 1, ..before } };
        (known.timeout, known.ended) = (timeout, None);
        (known.producer, ended)
    }

    fn find(&mut self, id: &str, producer: Producer) -> Result<&mut Transaction, Code> {
        let known = self.by_id.get_mut(id).ok_or(errors::INVALID_PRODUCER_ID_MAPPING)?;
        match known.producer {
            current if current == producer => Ok(known),
            current if current.id == producer.id => Err(errors::PRODUCER_FENCED),
            _ => Err(errors::INVALID_PRODUCER_ID_MAPPING),
        }
    }

    /// The transaction that is open; one begins, if none is.
    pub(crate) fn open(&mut self, id: &str, producer: Producer, now: Instant) -> Result<&mut Open, Code> {
        let known = self.find(id, producer)?;
        known.ended = None;
        Ok(known.open.get_or_insert_with(|| Open { since: now, partitions: BTreeSet::new(), offsets: HashMap::new() }))
    }

    /// Whether this producer may write there: it is the latest of its id, and has said so before.
    pub(crate) fn may_write(&mut self, id: &str, producer: Producer, to: &TopicPartition) -> Code {
        match self.find(id, producer) {
            Ok(known) if known.open.as_ref().is_some_and(|open| open.partitions.contains(to)) => errors::NONE,
            Ok(_) => errors::INVALID_TXN_STATE,
            Err(errors::PRODUCER_FENCED) => errors::INVALID_PRODUCER_EPOCH, // the code that Produce knows
            Err(code) => code,
        }
    }

    /// Ends a transaction. Nothing to carry out if it has ended so already, or never began.
    pub(crate) fn end(&mut self, id: &str, producer: Producer, is_commit: bool) -> Result<Option<Ended>, Code> {
        let known = self.find(id, producer)?;
        match (known.open.take(), known.ended) {
            (Some(open), _) => {
                known.ended = Some(is_commit);
                Ok(Some(Ended { producer, open, is_commit }))
            }
            (None, Some(before)) if before == is_commit => Ok(None),
            (None, _) => Err(errors::INVALID_TXN_STATE),
        }
    }

    /// Whether an open transaction has offsets of that partition.
    pub(crate) fn holds(&self, group: &str, partition: &TopicPartition) -> bool {
        let open = self.by_id.values().filter_map(|of| of.open.as_ref());
        open.filter_map(|open| open.offsets.get(group)).any(|offsets| offsets.contains_key(partition))
    }

    /// The ids whose transaction has been open for too long.
    pub(crate) fn expired(&self, now: Instant) -> Vec<String> {
        let is_over =
            |of: &Transaction| of.open.as_ref().is_some_and(|open| now.duration_since(open.since) > of.timeout);
        self.by_id.iter().filter(|(_, of)| is_over(of)).map(|(id, _)| id.clone()).collect()
    }

    /// Gives up the transaction of an id, and fences its producer.
    pub(crate) fn expire(&mut self, id: &str) -> Option<Ended> {
        let of = self.by_id.get_mut(id)?;
        let ended = Ended { producer: of.producer, open: of.open.take()?, is_commit: false };
        of.producer.epoch = of.producer.epoch.saturating_add(1);
        Some(ended)
    }
}
