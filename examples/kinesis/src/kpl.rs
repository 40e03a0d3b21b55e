//! Takes apart aggregates of the Kinesis Producer Library (KPL): many small records in one.
//!
//! The form is the library's own, `aggregation-format.md` of awslabs/amazon-kinesis-producer: four
//! bytes that no text begins with, a message of Protocol Buffers (proto2), and the MD5 of that
//! message. A record is taken for an aggregate as `AggregatorUtil` of
//! awslabs/amazon-kinesis-client decides: a record without the four bytes, too short for a message,
//! or with another MD5 is a plain one. Where that library writes a line to its log and goes on
//! without the rest of the record, here the whole record is [`Damage`], so that it can be counted.
//!
//! # Parts on a wrong shard
//!
//! The producer guesses the shard of each part and puts together only those of one shard. If a
//! shard was split meanwhile, the service puts the aggregate where its own hash key belongs, which
//! may be the wrong place for some of its parts. The producer learns the shard from the answer and
//! **sends those parts again** (`Retrier::succeed_if_correct_shard` in
//! awslabs/amazon-kinesis-producer, error "Wrong Shard"; where it does not know the new shard yet it
//! sends all parts again). So the consumer library drops an aggregate as a whole if the hash key of
//! one part is outside of the shard's range, and so does Flink's (apache/flink, pull request 20945:
//! "so we do not process duplicate records"). Who keeps all parts counts events twice after a split.
//!
//! There are other programs that aggregate, awslabs/kinesis-aggregation among them (its issue 11,
//! and issue 343 of amazon-kinesis-client). They do not look at shards and send nothing again: for
//! them an aggregate that is dropped is lost. A record does not tell who made it. Therefore
//! [`take_apart`] drops nothing, [`Parts::belong_to`] says how the library would decide, and the caller
//! chooses and counts.

use std::fmt;
use std::ops::RangeInclusive;

use md5::{Digest, Md5};
use prost::Message;

/// The first bytes of an aggregate. They are not valid UTF-8.
pub(crate) const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;

/// The message within an aggregate.
#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

/// One part. Key and data are required, but only as options can it be seen that they are missing.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(uint64, optional, tag = "1")]
    partition_key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

/// The records that a producer has sent as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) partition_key: &'a str,
    /// A decimal number that takes the place of the hash of the partition key.
    pub(crate) explicit_hash_key: Option<&'a str>,
    pub(crate) data: &'a [u8],
    /// Its place within the aggregate, from 0: the sequence number is the same for all of them.
    pub(crate) sub_sequence: u64,
}

impl Part<'_> {
    /// Where in the range of hash keys it belongs; `None` if the explicit one is not a number below 2^128.
    pub(crate) fn hash_key(&self) -> Option<u128> {
        match self.explicit_hash_key {
            None => Some(u128::from_be_bytes(Md5::digest(self.partition_key).into())),
            Some(number) => number.parse().ok(),
        }
    }
}

/// The parts of a record: those of an aggregate, or a plain record as the only one.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    Plain(Part<'a>),
    /// Its indices are within the tables, and no part is without data.
    Aggregate(AggregatedRecord),
}

impl Parts<'_> {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Kind::Plain(_) => 1,
            Kind::Aggregate(message) => message.records.len(),
        }
    }

    pub(crate) fn is_aggregate(&self) -> bool {
        matches!(self.0, Kind::Aggregate(_))
    }

    /// In the order in which they were put together.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Part<'_>> {
        (0..self.len()).filter_map(|index| match &self.0 {
            Kind::Plain(part) => Some(*part),
            Kind::Aggregate(message) => message.part(index).ok(),
        })
    }

    /// Whether the KPL takes this record for delivered, if it was read from a shard of these hash
    /// keys. If not, it sends the parts again. Always so for a plain record.
    pub(crate) fn belong_to(&self, shard: &RangeInclusive<u128>) -> bool {
        // Without a hash key no shard can be derived, so no record can be in the wrong one.
        let belongs = |part: Part<'_>| part.hash_key().is_none_or(|key| shard.contains(&key));
        !self.is_aggregate() || self.iter().all(belongs)
    }
}

impl AggregatedRecord {
    fn part(&self, index: usize) -> Result<Part<'_>, Damage> {
        let record = self.records.get(index).ok_or(Damage::Incomplete { part: index, what: "record" })?;
        let incomplete = |what| Damage::Incomplete { part: index, what };
        let partition_key = record.partition_key.ok_or_else(|| incomplete("partition key"))?;
        let explicit =
            record.explicit_hash_key.map(|key| look_up(&self.explicit_hash_keys, key, index, "explicit hash"));
        Ok(Part {
            partition_key: look_up(&self.partition_keys, partition_key, index, "partition")?,
            explicit_hash_key: explicit.transpose()?,
            data: record.data.as_deref().ok_or_else(|| incomplete("data"))?,
            sub_sequence: index as u64,
        })
    }
}

fn look_up<'a>(table: &'a [String], key: u64, part: usize, kind: &'static str) -> Result<&'a str, Damage> {
    let found = usize::try_from(key).ok().and_then(|key| table.get(key));
    found.map(String::as_str).ok_or(Damage::NoSuchKey { part, kind, key, keys: table.len() })
}

/// Why an aggregate cannot be taken apart although its checksum fits: its producer is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    NotProtobuf { what: String },
    NoSuchKey { part: usize, kind: &'static str, key: u64, keys: usize },
    Incomplete { part: usize, what: &'static str },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an aggregated record is damaged: ")?;
        match self {
            Self::NotProtobuf { what } => write!(f, "{what}"),
            Self::NoSuchKey { part, kind, key, keys } => {
                write!(f, "part {part} names {kind} key {key}, and there are {keys}, counted from 0")
            }
            Self::Incomplete { part, what } => write!(f, "part {part} is without {what}"),
        }
    }
}

impl std::error::Error for Damage {}

/// The parts of a record with this partition key. None of them is missing, or it is an error.
pub(crate) fn take_apart<'a>(data: &'a [u8], partition_key: &'a str) -> Result<Parts<'a>, Damage> {
    let Some(message) = message_of(data) else {
        let part = Part { partition_key, explicit_hash_key: None, data, sub_sequence: 0 };
        return Ok(Parts(Kind::Plain(part)));
    };
    let message = AggregatedRecord::decode(message).map_err(|error| Damage::NotProtobuf { what: error.to_string() })?;
    for index in 0..message.records.len() {
        message.part(index)?;
    }
    Ok(Parts(Kind::Aggregate(message)))
}

/// The message of an aggregate; `None` for a plain record.
fn message_of(data: &[u8]) -> Option<&[u8]> {
    let (message, digest) = data.strip_prefix(&MAGIC)?.split_last_chunk::<DIGEST>()?;
    let is_aggregate = !message.is_empty() && Md5::digest(message)[..] == digest[..];
    is_aggregate.then_some(message)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Puts records together as the KPL does; each key is written once. Where a part stands is told by
    /// its place, not by its `sub_sequence`.
    pub(crate) fn aggregate<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Vec<u8> {
        let (mut partition_keys, mut explicit_hash_keys) = (Table::default(), Table::default());
        let record = |part: Part<'a>| Record {
            partition_key: Some(partition_keys.index(part.partition_key)),
            explicit_hash_key: part.explicit_hash_key.map(|key| explicit_hash_keys.index(key)),
            data: Some(part.data.to_vec()),
        };
        let records = parts.into_iter().map(record).collect();
        let message = AggregatedRecord {
            partition_keys: partition_keys.keys,
            explicit_hash_keys: explicit_hash_keys.keys,
            records,
        };
        seal(&message.encode_to_vec())
    }

    fn seal(message: &[u8]) -> Vec<u8> {
        [&MAGIC, message, &Md5::digest(message)[..]].concat()
    }

    /// Keys, each once.
    #[derive(Default)]
    struct Table<'a> {
        keys: Vec<String>,
        indices: HashMap<&'a str, u64>,
    }

    impl<'a> Table<'a> {
        fn index(&mut self, key: &'a str) -> u64 {
            *self.indices.entry(key).or_insert_with(|| {
                self.keys.push(key.to_owned());
                self.keys.len() as u64 - 1
            })
        }
    }

    fn part<'a>(partition_key: &'a str, explicit_hash_key: Option<&'a str>, data: &'a [u8]) -> Part<'a> {
        Part { partition_key, explicit_hash_key, data, sub_sequence: 0 }
    }

    fn bytes(value: &Value) -> Vec<u8> {
        BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
    }

    /// Made by another implementation: tests/data/make_kpl.py.
    #[test]
    fn takes_apart_what_the_python_library_put_together() {
        let mut lines = 0;
        for line in include_str!("../tests/data/kpl.jsonl").lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let (name, data) = (case["name"].as_str().unwrap(), bytes(&case["data"]));
            let outer = case["partition_key"].as_str().unwrap();
            let taken = take_apart(&data, outer);
            match case["damage"].as_str() {
                Some(damage) => assert_eq!(taken.unwrap_err().to_string(), damage, "{name}"),
                None => assert_parts(name, &taken.unwrap(), case["parts"].as_array().unwrap()),
            }
            lines += 1;
        }
        assert_eq!(lines, 18);
    }

    fn assert_parts(name: &str, parts: &Parts<'_>, expected: &[Value]) {
        assert_eq!(parts.iter().count(), expected.len(), "{name}");
        assert_eq!(parts.len(), expected.len(), "{name}");
        for (index, (part, expected)) in parts.iter().zip(expected).enumerate() {
            assert_eq!(part.partition_key, expected["partition_key"].as_str().unwrap(), "{name}");
            assert_eq!(part.explicit_hash_key, expected["explicit_hash_key"].as_str(), "{name}");
            assert_eq!(part.data, bytes(&expected["data"]), "{name}");
            assert_eq!(part.sub_sequence, index as u64, "{name}");
            assert_eq!(part.hash_key().unwrap().to_string(), expected["hash_key"].as_str().unwrap(), "{name}");
        }
    }

    #[test]
    fn a_part_outside_of_the_shard_takes_the_others_with_it() {
        let (low, high) = ("5", "340282366920938463463374607431768211455");
        let aggregate = |keys: &[&str]| aggregate(keys.iter().map(|key| part("k", Some(key), b"d")));
        let belongs = |data: &[u8], shard| take_apart(data, "k").unwrap().belong_to(&shard);
        assert!(belongs(&aggregate(&[low, low]), 0..=5));
        assert!(belongs(&aggregate(&[low, high]), 0..=u128::MAX));
        assert!(belongs(&aggregate(&[high]), 6..=u128::MAX));
        assert!(!belongs(&aggregate(&[low, high]), 0..=5));
        assert!(!belongs(&aggregate(&[low, high]), 6..=u128::MAX));
        assert!(belongs(&aggregate(&["no number"]), 0..=0), "nothing would be sent again");
        assert!(belongs(b"plain", 0..=0));
    }

    #[test]
    fn what_a_producer_got_wrong_is_named() {
        let record = |partition_key, explicit_hash_key, data: Option<&[u8]>| {
            let records = vec![Record { partition_key, explicit_hash_key, data: data.map(<[u8]>::to_vec) }];
            let partition_keys = vec!["k".to_owned()];
            AggregatedRecord { partition_keys, explicit_hash_keys: Vec::new(), records }.encode_to_vec()
        };
        let damage = |message: &[u8]| take_apart(&seal(message), "k").unwrap_err().to_string();
        let key = "an aggregated record is damaged: part 0 names explicit hash key 0, and there are 0, counted from 0";
        assert_eq!(damage(&record(Some(0), Some(0), Some(b"x"))), key);
        let key = "an aggregated record is damaged: part 0 names partition key 1, and there are 1, counted from 0";
        assert_eq!(damage(&record(Some(1), None, Some(b"x"))), key);
        let missing = "an aggregated record is damaged: part 0 is without data";
        assert_eq!(damage(&record(Some(0), None, None)), missing);
        let missing = "an aggregated record is damaged: part 0 is without partition key";
        assert_eq!(damage(&record(None, None, Some(b"x"))), missing);
    }

    fn owned_parts() -> impl Strategy<Value = Vec<(String, Option<String>, Vec<u8>)>> {
        let hash_key = any::<u128>().prop_map(|key| key.to_string());
        let data = proptest::collection::vec(any::<u8>(), 0..40);
        proptest::collection::vec(("[a-cä]{0,3}", proptest::option::of(hash_key), data), 1..30)
    }

    proptest! {
        #[test]
        fn what_is_put_together_is_taken_apart(owned in owned_parts()) {
            let given = owned.iter().zip(0..).map(|((key, hash_key, data), sub_sequence)| {
                Part { sub_sequence, ..part(key, hash_key.as_deref(), data) }
            });
            let data = aggregate(given.clone());
            let parts = take_apart(&data, "outer").unwrap();
            prop_assert!(parts.is_aggregate());
            prop_assert_eq!(parts.iter().collect::<Vec<_>>(), given.collect::<Vec<_>>());
        }

        /// Bytes that pass for a message or not: as many parts as promised, or an error.
        #[test]
        fn nothing_is_lost_whatever_the_bytes(message in proptest::collection::vec(any::<u8>(), 0..60)) {
            for data in [&message[..], &seal(&message), &[&MAGIC, &message[..]].concat()] {
                if let Ok(parts) = take_apart(data, "outer") {
                    prop_assert_eq!(parts.iter().count(), parts.len());
                    prop_assert!(parts.is_aggregate() || parts.iter().next().unwrap().data == data);
                }
            }
        }

        /// One bit that is not as it was: the record is whole again as a plain one.
        #[test]
        fn a_flipped_bit_makes_a_plain_record(owned in owned_parts(), bit in any::<proptest::sample::Index>()) {
            let mut data = aggregate(owned.iter().map(|(key, hash_key, data)| part(key, hash_key.as_deref(), data)));
            let bit = bit.index(data.len() * 8);
            data[bit / 8] ^= 1 << (bit % 8);
            let parts = take_apart(&data, "outer").unwrap();
            prop_assert_eq!(parts.iter().collect::<Vec<_>>(), vec![part("outer", None, &data)]);
        }

        /// Messages with indices and fields as they come, all with a checksum that fits.
        #[test]
        fn a_message_of_any_shape_is_whole_or_damaged(
            keys in 0_usize..3,
            records in proptest::collection::vec((proptest::option::of(0_u64..4), proptest::option::of(0_u64..3)), 0..6),
        ) {
            let records = records.into_iter().map(|(partition_key, explicit_hash_key)| {
                Record { partition_key, explicit_hash_key, data: Some(Vec::new()) }
            });
            let keys = vec!["k".to_owned(); keys];
            let message = AggregatedRecord {
                partition_keys: keys.clone(), explicit_hash_keys: keys, records: records.collect(),
            };
            let data = seal(&message.encode_to_vec());
            match take_apart(&data, "outer") {
                Ok(parts) if parts.is_aggregate() => prop_assert_eq!(parts.iter().count(), message.records.len()),
                Ok(_) => prop_assert!(message.encode_to_vec().is_empty()),
                Err(damage) => prop_assert!(damage.to_string().contains("part ")),
            }
        }
    }
}
