//! One partition: its batches, and what transactions do to them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::errors::{self, Code};

/// Who wrote a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

#[derive(Debug)]
struct Batch {
    base: i64,
    last: i64,
    max_timestamp: i64,
    bytes: Bytes,
}

/// A transaction that was given up: its records lie between these offsets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aborted {
    pub(crate) producer: i64,
    pub(crate) first: i64,
    last: i64,
}

/// The result of a fetch.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) bytes: BytesMut,
    pub(crate) aborted: Vec<Aborted>,
}

/// The latest batches of an idempotent producer: first sequence number, last one, and the offset of the first.
#[derive(Debug)]
struct Sequences {
    epoch: i16,
    latest: VecDeque<(i32, i32, i64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    batches: VecDeque<Batch>,
    start: i64,
    end: i64,
    /// First offset of each transaction that is open, by the id of its producer.
    open: BTreeMap<i64, i64>,
    aborted: Vec<Aborted>,
    sequences: HashMap<i64, Sequences>,
    is_compacted: bool,
    /// The number of batches after the last compaction.
    compacted: usize,
}

/// Kafka remembers as many batches of a producer.
const REMEMBERED: usize = 5;
/// A log is compacted when it has grown by this number of batches since the last time.
const DIRTY: usize = 2_000;

/// The header of a batch of version 2, and where its fields lie.
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    const LENGTH: usize = 61;

    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    fn size(&self) -> usize {
        12 + usize::try_from(i32::from_be_bytes(self.number(8))).unwrap_or(usize::MAX - 12)
    }

    fn is_version_2(&self) -> bool {
        self.0[16] == 2
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.number(21))
    }

    fn is_transactional(&self) -> bool {
        self.attributes() & 0x10 != 0
    }

    fn last_delta(&self) -> i64 {
        i64::from(i32::from_be_bytes(self.number(23)))
    }

    fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.number(35))
    }

    fn producer(&self) -> Producer {
        Producer { id: i64::from_be_bytes(self.number(43)), epoch: i16::from_be_bytes(self.number(51)) }
    }

    fn first_sequence(&self) -> i32 {
        i32::from_be_bytes(self.number(53))
    }
}

/// Whether a batch belongs to a transaction, and whose it is.
pub(crate) fn writer_of(batch: &[u8]) -> Option<(Producer, bool)> {
    let header = (batch.len() >= Header::LENGTH).then_some(Header(batch))?;
    Some((header.producer(), header.is_transactional()))
}

impl Log {
    pub(crate) fn new(is_compacted: bool) -> Self {
        Self { is_compacted, ..Self::default() }
    }

    /// The offset of the next record.
    pub(crate) const fn end(&self) -> i64 {
        self.end
    }

    pub(crate) const fn start(&self) -> i64 {
        self.start
    }

    /// Removes what lies before an offset, as retention does. Returns where the log begins from then on.
    pub(crate) fn delete_before(&mut self, offset: i64) -> Result<i64, Code> {
        if offset > self.end {
            return Err(errors::OFFSET_OUT_OF_RANGE);
        }
        self.start = self.start.max(if offset < 0 { self.end } else { offset });
        let is_last = |batch: &Batch| batch.last + 1 == self.end; // by which a client knows that it has come to the end
        self.batches.retain(|batch| batch.last >= self.start || is_last(batch));
        Ok(self.start)
    }

    /// Before it every transaction has ended.
    pub(crate) fn last_stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// Appends batches as a client sent them. Returns the offset of the first record.
    pub(crate) fn append(&mut self, data: &Bytes) -> Result<i64, Code> {
        let first = self.end;
        let mut rest = data.clone();
        let mut known = None;
        while rest.len() >= Header::LENGTH {
            let size = Header(&rest).size();
            if size < Header::LENGTH || size > rest.len() || !Header(&rest).is_version_2() {
                return Err(errors::INVALID_RECORD);
            }
            known = known.or(self.append_batch(&rest.split_to(size))?);
        }
        self.compact_if_dirty();
        Ok(known.unwrap_or(first))
    }

    /// Gives the offset of a batch that was appended before.
    fn append_batch(&mut self, bytes: &[u8]) -> Result<Option<i64>, Code> {
        let header = Header(bytes);
        let (producer, first_sequence, delta) = (header.producer(), header.first_sequence(), header.last_delta());
        if producer.id >= 0 {
            if let Some(base) = self.check_sequence(producer, first_sequence, delta)? {
                return Ok(Some(base));
            }
            if header.is_transactional() {
                self.open.entry(producer.id).or_insert(self.end);
            }
        }
        self.push(bytes);
        Ok(None)
    }

    fn push(&mut self, bytes: &[u8]) {
        let header = Header(bytes);
        let (base, last, max_timestamp) = (self.end, self.end + header.last_delta(), header.max_timestamp());
        let mut own = BytesMut::from(bytes);
        own[..8].copy_from_slice(&base.to_be_bytes());
        own[12..16].copy_from_slice(&0_i32.to_be_bytes()); // the epoch of the leader
        self.batches.push_back(Batch { base, last, max_timestamp, bytes: own.freeze() });
        self.end = last + 1;
    }

    fn check_sequence(&mut self, producer: Producer, first: i32, delta: i64) -> Result<Option<i64>, Code> {
        let known =
            self.sequences.entry(producer.id).or_insert(Sequences { epoch: producer.epoch, latest: VecDeque::new() });
        if producer.epoch < known.epoch {
            return Err(errors::INVALID_PRODUCER_EPOCH);
        }
        if producer.epoch > known.epoch {
            *known = Sequences { epoch: producer.epoch, latest: VecDeque::new() };
        }
        if let Some((_, _, base)) = known.latest.iter().find(|(earlier, ..)| *earlier == first) {
            return Ok(Some(*base));
        }
        match known.latest.back() {
            Some((_, last, _)) if first <= *last => return Err(errors::DUPLICATE_SEQUENCE_NUMBER),
            Some((_, last, _)) if first != *last + 1 => return Err(errors::OUT_OF_ORDER_SEQUENCE_NUMBER),
            _ => {}
        }
        let last = first.wrapping_add(i32::try_from(delta).unwrap_or(0));
        known.latest.push_back((first, last, self.end));
        if known.latest.len() > REMEMBERED {
            known.latest.pop_front();
        }
        Ok(None)
    }

    /// Ends a transaction here.
    pub(crate) fn mark(&mut self, producer: Producer, is_commit: bool) {
        let marker = self.end;
        self.push(&marker_batch(producer, is_commit));
        if let (Some(first), false) = (self.open.remove(&producer.id), is_commit) {
            self.aborted.push(Aborted { producer: producer.id, first, last: marker });
        }
        self.compact_if_dirty();
    }

    /// Whole batches from an offset on, up to about this number of bytes; at least one, if there is one.
    pub(crate) fn read(&self, from: i64, max_bytes: usize, is_committed: bool) -> Result<Found, Code> {
        if from > self.end || from < self.start {
            return Err(errors::OFFSET_OUT_OF_RANGE);
        }
        let end = if is_committed { self.last_stable() } else { self.end };
        let mut found = Found::default();
        let mut last = from;
        let first = self.batches.partition_point(|batch| batch.last < from);
        for batch in self.batches.range(first..).take_while(|batch| batch.base < end) {
            if !found.bytes.is_empty() && found.bytes.len() + batch.bytes.len() > max_bytes {
                break;
            }
            found.bytes.extend_from_slice(&batch.bytes);
            last = batch.last;
        }
        if is_committed {
            let is_near = |aborted: &&Aborted| aborted.last >= from && aborted.first <= last;
            found.aborted = self.aborted.iter().filter(is_near).copied().collect();
        }
        Ok(found)
    }

    /// The first offset whose batch has a record as late as that.
    pub(crate) fn offset_of(&self, timestamp: i64) -> Option<(i64, i64)> {
        let batch = self.batches.iter().find(|batch| batch.max_timestamp >= timestamp)?;
        Some((batch.base, batch.max_timestamp))
    }

    fn compact_if_dirty(&mut self) {
        if self.is_compacted && self.batches.len() > self.compacted + DIRTY {
            self.compact();
            self.compacted = self.batches.len();
        }
    }

    /// Leaves out batches of which every key has a later record that was committed, and aborted ones.
    fn compact(&mut self) {
        let stable = self.last_stable();
        let mut latest: HashMap<Bytes, i64> = HashMap::new();
        let mut keys = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let records = match batch.base < stable {
                true => decode(&batch.bytes),
                false => Vec::new(),
            };
            let is_given_up = records.first().is_some_and(|record| self.is_aborted(record.producer_id, batch.base));
            let own: Vec<Bytes> =
                records.iter().filter(|record| !record.control).filter_map(|r| r.key.clone()).collect();
            if !is_given_up {
                own.iter().for_each(|key| _ = latest.insert(key.clone(), batch.base));
            }
            keys.push(own);
        }
        let mut keys = keys.into_iter();
        self.batches.retain(|batch| {
            let own = keys.next().unwrap_or_default();
            let is_last = batch.last + 1 == self.end; // by which a client knows that it has come to the end
            batch.base >= stable || is_last || own.iter().any(|key| latest.get(key) == Some(&batch.base))
        });
        // With the marker that ends it gone, a client would take all later records of its producer for aborted, too.
        self.aborted.retain(|aborted| aborted.last >= stable);
    }

    fn is_aborted(&self, producer: i64, offset: i64) -> bool {
        self.aborted.iter().any(|of| of.producer == producer && (of.first..=of.last).contains(&offset))
    }
}

fn decode(bytes: &Bytes) -> Vec<Record> {
    let uncompressed = |data: &mut Bytes, _| Ok(data.clone());
    RecordBatchDecoder::decode_with_custom_compression(&mut bytes.clone(), Some(uncompressed))
        .map(|set| set.records)
        .unwrap_or_default()
}

/// A control batch: key is (version, type), value is (version, epoch of the coordinator).
fn marker_batch(producer: Producer, is_commit: bool) -> BytesMut {
    let record = Record {
        transactional: true,
        control: true,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 0,
        key: Some(Bytes::copy_from_slice(&[0, 0, 0, u8::from(is_commit)])),
        value: Some(Bytes::from_static(&[0; 6])),
        headers: IndexMap::new(),
    };
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, [&record], &options).expect("a record of fixed size");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: Producer = Producer { id: 7, epoch: 0 };

    /// A batch of one record.
    fn batch(key: &str, sequence: i32, transactional: bool) -> Bytes {
        let record = Record {
            transactional,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: WRITER.id,
            producer_epoch: WRITER.epoch,
            timestamp_type: TimestampType::Creation,
            offset: 0,
            sequence,
            timestamp: 5,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: None,
            headers: IndexMap::new(),
        };
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, [&record], &options).unwrap();
        bytes.freeze()
    }

    fn keys(log: &Log) -> Vec<String> {
        let mut bytes = log.read(0, usize::MAX, false).unwrap().bytes.freeze();
        let sets = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
        let records = sets.into_iter().flat_map(|set| set.records).filter(|record| !record.control);
        records.map(|record| String::from_utf8(record.key.unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_batch_that_is_sent_again_is_there_once() {
        let mut log = Log::new(false);
        assert_eq!(log.append(&batch("a", 0, false)), Ok(0));
        assert_eq!(log.append(&batch("b", 1, false)), Ok(1));
        assert_eq!(log.append(&batch("a", 0, false)), Ok(0));
        assert_eq!(log.append(&batch("d", 3, false)), Err(errors::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(keys(&log), ["a", "b"]);
    }

    #[test]
    fn a_reader_of_what_is_committed_stops_at_the_first_open_transaction() {
        let mut log = Log::new(false);
        log.append(&batch("a", 0, true)).unwrap();
        assert_eq!((log.last_stable(), log.end()), (0, 1));
        log.mark(WRITER, false);
        assert_eq!((log.last_stable(), log.end()), (2, 2));
        log.append(&batch("b", 1, true)).unwrap();
        let found = log.read(0, usize::MAX, true).unwrap();
        assert_eq!(found.aborted.iter().map(|of| (of.producer, of.first)).collect::<Vec<_>>(), [(7, 0)]);
        assert!(log.read(2, usize::MAX, true).unwrap().bytes.is_empty());
        assert!(matches!(log.read(9, 1, true), Err(errors::OFFSET_OUT_OF_RANGE)));
    }

    #[test]
    fn a_reader_comes_to_the_end_of_a_compacted_log() {
        let mut log = Log::new(true);
        log.append(&batch("a", 0, true)).unwrap();
        log.mark(WRITER, true);
        log.append(&batch("b", 1, true)).unwrap();
        log.mark(WRITER, false);
        log.compact();
        assert_eq!((keys(&log), log.end()), (vec!["a".to_owned()], 4));
        assert!(!log.read(2, usize::MAX, true).unwrap().bytes.is_empty(), "something behind the last record");
    }

    #[test]
    fn compaction_keeps_the_latest_committed_record_of_a_key() {
        let mut log = Log::new(true);
        for (sequence, (key, is_commit)) in (0..).zip([("a", true), ("b", true), ("a", true), ("b", false)]) {
            log.append(&batch(key, sequence, true)).unwrap();
            log.mark(WRITER, is_commit);
        }
        log.append(&batch("a", 4, true)).unwrap(); // not committed yet
        log.compact();
        assert_eq!(keys(&log), ["b", "a", "a"]);
        assert_eq!(log.end(), 9);
        let found = log.read(0, usize::MAX, true).unwrap();
        assert!(found.aborted.is_empty(), "records and marker of the aborted one are gone: {:?}", found.aborted);
    }
}
