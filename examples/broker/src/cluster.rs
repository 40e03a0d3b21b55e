//! Topics, groups and transactions together, and the requests that are answered at once.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{
    self as m, RequestKind, ResponseKind, add_partitions_to_txn_response as add, create_topics_request,
    create_topics_response as create, fetch_response as fetch, list_offsets_response as list,
    metadata_response as meta, offset_commit_response as commit, offset_fetch_response as fetched,
    produce_response as produce, txn_offset_commit_response as txn,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;

use crate::errors::{self, Code};
use crate::groups::{Committed, Group, TopicPartition};
use crate::log::{self, Log, Producer};
use crate::transactions::{Ended, Transactions};

/// The one node there is.
pub(crate) const NODE: BrokerId = BrokerId(1);

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) groups: HashMap<String, Group>,
    transactions: Transactions,
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn millis(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn index(partition: i32) -> usize {
    usize::try_from(partition).unwrap_or(usize::MAX)
}

#[derive(Debug, Default)]
pub(crate) struct Topic {
    pub(crate) logs: Vec<Log>,
    /// The settings it was made with.
    pub(crate) configs: BTreeMap<String, String>,
}

impl Topic {
    /// As many partitions as that, with the settings of the topic.
    pub(crate) fn grow(&mut self, partitions: usize) {
        let is_compacted = self.configs.get("cleanup.policy").is_some_and(|policy| policy.contains("compact"));
        self.logs.resize_with(partitions, || Log::new(is_compacted));
    }

    /// The largest batch that it takes, in bytes.
    fn largest(&self) -> usize {
        self.configs.get("max.message.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(LARGEST_BATCH)
    }
}

/// Kafka's own default.
const LARGEST_BATCH: usize = 1_048_588;
/// The longest note beside a committed offset: Kafka's own default.
const LONGEST_NOTE: usize = 4096;

fn is_too_long(note: Option<&StrBytes>) -> bool {
    note.is_some_and(|note| note.len() > LONGEST_NOTE)
}

/// The answer to a commit of offsets, the same for each of them.
pub(crate) fn answered(request: &m::TxnOffsetCommitRequest, code: Code) -> m::TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partition = |of: &m::txn_offset_commit_request::TxnOffsetCommitRequestPartition| {
            let result = txn::TxnOffsetCommitResponsePartition::default();
            result.with_partition_index(of.partition_index).with_error_code(code)
        };
        txn::TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(partition).collect())
    });
    m::TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

impl Cluster {
    pub(crate) fn log(&mut self, topic: &str, partition: i32) -> Result<&mut Log, Code> {
        let log = self.topics.get_mut(topic).and_then(|topic| topic.logs.get_mut(index(partition)));
        log.ok_or(errors::UNKNOWN_TOPIC_OR_PARTITION)
    }

    /// What time alone brings about. Also gives the ids of the transactions that are to [`expire`](Self::expire).
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<String> {
        self.groups.values_mut().for_each(|group| group.check(now));
        self.transactions.expired(now)
    }

    pub(crate) fn expire(&mut self, id: &str) {
        if let Some(ended) = self.transactions.expire(id) {
            self.carry_out(ended);
        }
    }

    /// Whether a request has no effect because its sender is no member of the group. All other refusals depend on the
    /// requests before alone.
    pub(crate) fn is_refused(&mut self, request: &RequestKind, now: Instant) -> bool {
        let (group, member, generation) = match request {
            RequestKind::OffsetCommit(of) => (&of.group_id, &of.member_id, of.generation_id_or_member_epoch),
            RequestKind::TxnOffsetCommit(of) => (&of.group_id, &of.member_id, of.generation_id),
            _ => return false,
        };
        let group = self.groups.entry(group.as_str().to_owned()).or_default();
        group.may_commit(member.as_str(), generation, now) != errors::NONE
    }

    /// Carries out a request that is kept in the journal: the same requests in the same order make the same state.
    /// Nothing for any other.
    pub(crate) fn keep(&mut self, request: &RequestKind, now: Instant) -> Option<ResponseKind> {
        Some(match request {
            RequestKind::CreateTopics(request) => self.create_topics(request).into(),
            RequestKind::DeleteTopics(request) => self.delete_topics(request).into(),
            RequestKind::CreatePartitions(request) => self.create_partitions(request).into(),
            RequestKind::DeleteRecords(request) => self.delete_records(request).into(),
            RequestKind::Produce(request) => self.produce(request).into(),
            RequestKind::OffsetCommit(request) => self.offset_commit(request, now).into(),
            RequestKind::InitProducerId(request) => self.init_producer_id(request).into(),
            RequestKind::AddPartitionsToTxn(request) => self.add_partitions(request, now).into(),
            RequestKind::AddOffsetsToTxn(request) => {
                m::AddOffsetsToTxnResponse::default().with_error_code(self.add_offsets(request, now)).into()
            }
            RequestKind::TxnOffsetCommit(request) => self.txn_offset_commit(request, now).into(),
            RequestKind::EndTxn(request) => m::EndTxnResponse::default().with_error_code(self.end_txn(request)).into(),
            _ => return None,
        })
    }

    fn carry_out(&mut self, ended: Ended) {
        let Ended { producer, open, is_commit } = ended;
        for (topic, partition) in &open.partitions {
            if let Ok(log) = self.log(topic, *partition) {
                log.mark(producer, is_commit);
            }
        }
        for (group, offsets) in open.offsets.into_iter().filter(|_| is_commit) {
            self.groups.entry(group).or_default().offsets.extend(offsets);
        }
    }

    pub(crate) fn metadata(&self, request: &m::MetadataRequest, address: SocketAddr) -> m::MetadataResponse {
        let asked = request.topics.as_ref().filter(|topics| !topics.is_empty());
        let names: Vec<String> = match asked {
            Some(topics) => topics.iter().filter_map(|of| Some(of.name.as_ref()?.as_str().to_owned())).collect(),
            None => self.topics.keys().cloned().collect(),
        };
        let broker = meta::MetadataResponseBroker::default()
            .with_node_id(NODE)
            .with_host(text(&address.ip().to_string()))
            .with_port(i32::from(address.port()));
        m::MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(text("memory")))
            .with_controller_id(NODE)
            .with_topics(names.iter().map(|name| self.metadata_of(name)).collect())
    }

    fn metadata_of(&self, name: &str) -> meta::MetadataResponseTopic {
        let topic = meta::MetadataResponseTopic::default().with_name(Some(TopicName(text(name))));
        let Some(Topic { logs, .. }) = self.topics.get(name) else {
            return topic.with_error_code(errors::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let partition = |number| {
            meta::MetadataResponsePartition::default()
                .with_partition_index(number)
                .with_leader_id(NODE)
                .with_replica_nodes(vec![NODE])
                .with_isr_nodes(vec![NODE])
        };
        topic.with_partitions((0..).take(logs.len()).map(partition).collect())
    }

    fn create_topics(&mut self, request: &m::CreateTopicsRequest) -> m::CreateTopicsResponse {
        let mut results = Vec::new();
        for topic in &request.topics {
            let name = topic.name.as_str().to_owned();
            let partitions = usize::try_from(topic.num_partitions.max(-1) + i32::from(topic.num_partitions == -1) * 2);
            let code = match partitions {
                _ if self.topics.contains_key(&name) => errors::TOPIC_ALREADY_EXISTS,
                Ok(count @ 1..=10_000) => {
                    let config = |of: &create_topics_request::CreatableTopicConfig| {
                        Some((of.name.as_str().to_owned(), of.value.as_ref()?.as_str().to_owned()))
                    };
                    let configs = topic.configs.iter().filter_map(config).collect();
                    self.topics.entry(name).or_insert(Topic { logs: Vec::new(), configs }).grow(count);
                    errors::NONE
                }
                _ => errors::INVALID_PARTITIONS,
            };
            results.push(create::CreatableTopicResult::default().with_name(topic.name.clone()).with_error_code(code));
        }
        m::CreateTopicsResponse::default().with_topics(results)
    }

    fn produce(&mut self, request: &m::ProduceRequest) -> m::ProduceResponse {
        let id = request.transactional_id.as_ref().map(|id| id.as_str().to_owned());
        let mut responses = Vec::new();
        for topic in &request.topic_data {
            let mut partitions = Vec::new();
            for data in &topic.partition_data {
                let appended = self.append(id.as_deref(), topic.name.as_str(), data.index, data.records.as_ref());
                partitions.push(
                    produce::PartitionProduceResponse::default()
                        .with_index(data.index)
                        .with_error_code(appended.err().unwrap_or(errors::NONE))
                        .with_base_offset(appended.unwrap_or(-1))
                        .with_log_append_time_ms(-1),
                );
            }
            let response = produce::TopicProduceResponse::default().with_name(topic.name.clone());
            responses.push(response.with_partition_responses(partitions));
        }
        m::ProduceResponse::default().with_responses(responses)
    }

    fn append(
        &mut self,
        id: Option<&str>,
        topic: &str,
        partition: i32,
        records: Option<&bytes::Bytes>,
    ) -> Result<i64, Code> {
        let records = records.ok_or(errors::INVALID_RECORD)?;
        let (producer, is_transactional) = log::writer_of(records).ok_or(errors::INVALID_RECORD)?;
        if is_transactional {
            let id = id.ok_or(errors::INVALID_TXN_STATE)?;
            match self.transactions.may_write(id, producer, &(topic.to_owned(), partition)) {
                errors::NONE => {}
                code => return Err(code),
            }
        }
        if self.topics.get(topic).is_some_and(|topic| records.len() > topic.largest()) {
            return Err(errors::MESSAGE_TOO_LARGE);
        }
        self.log(topic, partition)?.append(records)
    }

    /// Also gives how many bytes there are.
    pub(crate) fn fetch(&mut self, request: &m::FetchRequest) -> (m::FetchResponse, usize) {
        let is_committed = request.isolation_level == 1;
        let mut left = usize::try_from(request.max_bytes).unwrap_or(0);
        let mut all = 0;
        let mut responses = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let max = left.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
                let mut data = fetch::PartitionData::default().with_partition_index(asked.partition);
                if let Ok(log) = self.log(topic.topic.as_str(), asked.partition) {
                    data.high_watermark = log.end();
                    data.last_stable_offset = log.last_stable();
                    data.log_start_offset = log.start();
                    match log.read(asked.fetch_offset, max, is_committed) {
                        Ok(found) => {
                            let bytes = found.bytes.freeze();
                            (left, all) = (left.saturating_sub(bytes.len()), all + bytes.len());
                            data.records = Some(bytes);
                            let of = |of: &log::Aborted| {
                                let of_producer = fetch::AbortedTransaction::default();
                                of_producer.with_producer_id(of.producer.into()).with_first_offset(of.first)
                            };
                            data.aborted_transactions = Some(found.aborted.iter().map(of).collect());
                        }
                        Err(code) => data.error_code = code,
                    }
                } else {
                    data.error_code = errors::UNKNOWN_TOPIC_OR_PARTITION;
                }
                if left == 0 && data.records.as_ref().is_some_and(bytes::Bytes::is_empty) {
                    continue; // not looked at: asked for again next time
                }
                partitions.push(data);
            }
            let response = fetch::FetchableTopicResponse::default().with_topic(topic.topic.clone());
            responses.push(response.with_partitions(partitions));
        }
        (m::FetchResponse::default().with_responses(responses), all)
    }

    pub(crate) fn list_offsets(&mut self, request: &m::ListOffsetsRequest) -> m::ListOffsetsResponse {
        let is_committed = request.isolation_level == 1;
        let mut topics = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let mut of = list::ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
                match self.log(topic.name.as_str(), asked.partition_index) {
                    Err(code) => of.error_code = code,
                    Ok(log) => {
                        let end = if is_committed { log.last_stable() } else { log.end() };
                        (of.offset, of.timestamp) = match asked.timestamp {
                            -1 => (end, -1),
                            -2 => (log.start(), -1),
                            time => log.offset_of(time).unwrap_or((-1, -1)),
                        };
                    }
                }
                partitions.push(of);
            }
            let of = list::ListOffsetsTopicResponse::default().with_name(topic.name.clone());
            topics.push(of.with_partitions(partitions));
        }
        m::ListOffsetsResponse::default().with_topics(topics)
    }

    fn offset_commit(&mut self, request: &m::OffsetCommitRequest, now: Instant) -> m::OffsetCommitResponse {
        let group = self.groups.entry(request.group_id.as_str().to_owned()).or_default();
        let code = group.may_commit(request.member_id.as_str(), request.generation_id_or_member_epoch, now);
        let mut topics = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for of in &topic.partitions {
                let metadata = of.committed_metadata.as_ref().map(|text| text.as_str().to_owned());
                if code == errors::NONE {
                    let place = (topic.name.as_str().to_owned(), of.partition_index);
                    group.offsets.insert(place, Committed { offset: of.committed_offset, metadata });
                }
                let response = commit::OffsetCommitResponsePartition::default();
                partitions.push(response.with_partition_index(of.partition_index).with_error_code(code));
            }
            let response = commit::OffsetCommitResponseTopic::default().with_name(topic.name.clone());
            topics.push(response.with_partitions(partitions));
        }
        m::OffsetCommitResponse::default().with_topics(topics)
    }

    pub(crate) fn offset_fetch(&mut self, request: &m::OffsetFetchRequest) -> m::OffsetFetchResponse {
        let id = request.group_id.as_str();
        let offsets = self.groups.get(id).map(|group| group.offsets.clone()).unwrap_or_default();
        let asked: Vec<(String, Vec<i32>)> = match &request.topics {
            Some(topics) => {
                topics.iter().map(|of| (of.name.as_str().to_owned(), of.partition_indexes.clone())).collect()
            }
            None => offsets.keys().map(|(topic, partition)| (topic.clone(), vec![*partition])).collect(),
        };
        let partition = |topic: &str, number: i32| {
            let place = (topic.to_owned(), number);
            let of =
                fetched::OffsetFetchResponsePartition::default().with_partition_index(number).with_committed_offset(-1);
            if request.require_stable && self.transactions.holds(id, &place) {
                return of.with_error_code(errors::UNSTABLE_OFFSET_COMMIT);
            }
            match offsets.get(&place) {
                Some(known) => {
                    of.with_committed_offset(known.offset).with_metadata(known.metadata.as_deref().map(text))
                }
                None => of,
            }
        };
        let topic = |(topic, numbers): (String, Vec<i32>)| {
            fetched::OffsetFetchResponseTopic::default()
                .with_name(TopicName(text(&topic)))
                .with_partitions(numbers.into_iter().map(|number| partition(&topic, number)).collect())
        };
        m::OffsetFetchResponse::default().with_topics(asked.into_iter().map(topic).collect())
    }

    fn init_producer_id(&mut self, request: &m::InitProducerIdRequest) -> m::InitProducerIdResponse {
        let id = request.transactional_id.as_ref().map(|id| id.as_str());
        let (producer, ended) = self.transactions.init(id, millis(request.transaction_timeout_ms));
        if let Some(ended) = ended {
            self.carry_out(ended);
        }
        m::InitProducerIdResponse::default().with_producer_id(producer.id.into()).with_producer_epoch(producer.epoch)
    }

    fn add_partitions(
        &mut self,
        request: &m::AddPartitionsToTxnRequest,
        now: Instant,
    ) -> m::AddPartitionsToTxnResponse {
        let producer = Producer { id: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
        let opened = self.transactions.open(request.v3_and_below_transactional_id.as_str(), producer, now);
        let code = match opened {
            Err(code) => code,
            Ok(open) => {
                for topic in &request.v3_and_below_topics {
                    let place = |partition: &i32| (topic.name.as_str().to_owned(), *partition);
                    open.partitions.extend(topic.partitions.iter().map(place));
                }
                errors::NONE
            }
        };
        let topics = request.v3_and_below_topics.iter().map(|topic| {
            let partition = |partition: &i32| {
                let result = add::AddPartitionsToTxnPartitionResult::default();
                result.with_partition_index(*partition).with_partition_error_code(code)
            };
            add::AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(topic.partitions.iter().map(partition).collect())
        });
        m::AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
    }

    fn add_offsets(&mut self, request: &m::AddOffsetsToTxnRequest, now: Instant) -> Code {
        let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        self.transactions.open(request.transactional_id.as_str(), producer, now).err().unwrap_or(errors::NONE)
    }

    /// Fences by the epoch of the producer, and by the generation of the group.
    fn txn_offset_commit(&mut self, request: &m::TxnOffsetCommitRequest, now: Instant) -> m::TxnOffsetCommitResponse {
        let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        let group = request.group_id.as_str();
        let member = self.groups.entry(group.to_owned()).or_default().may_commit(
            request.member_id.as_str(),
            request.generation_id,
            now,
        );
        let opened = match member {
            errors::NONE => self.transactions.open(request.transactional_id.as_str(), producer, now),
            code => Err(code),
        };
        let mut notes = request.topics.iter().flat_map(|topic| &topic.partitions);
        let code = match opened {
            Err(code) => code,
            Ok(_) if notes.any(|of| is_too_long(of.committed_metadata.as_ref())) => errors::OFFSET_METADATA_TOO_LARGE,
            Ok(open) => {
                let offsets = open.offsets.entry(group.to_owned()).or_default();
                for topic in &request.topics {
                    for of in &topic.partitions {
                        let metadata = of.committed_metadata.as_ref().map(|text| text.as_str().to_owned());
                        let place: TopicPartition = (topic.name.as_str().to_owned(), of.partition_index);
                        offsets.insert(place, Committed { offset: of.committed_offset, metadata });
                    }
                }
                errors::NONE
            }
        };
        answered(request, code)
    }

    fn end_txn(&mut self, request: &m::EndTxnRequest) -> Code {
        let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
        match self.transactions.end(request.transactional_id.as_str(), producer, request.committed) {
            Ok(ended) => {
                if let Some(ended) = ended {
                    self.carry_out(ended);
                }
                errors::NONE
            }
            Err(code) => code,
        }
    }
}
