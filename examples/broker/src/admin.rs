//! What administrators ask for beside making topics.

use kafka_protocol::messages::{
    self as m, create_partitions_response as grown, delete_records_response as removed,
    delete_topics_response as deleted, describe_configs_response as described,
};

use crate::cluster::{Cluster, text};
use crate::errors;

/// The kind of a resource that is a topic.
const TOPIC: i8 = 2;
/// Where a setting comes from.
const OF_THE_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;
/// Settings of a topic that was made without them.
const DEFAULTS: [(&str, &str); 2] = [("cleanup.policy", "delete"), ("max.message.bytes", "1048588")];

impl Cluster {
    /// With the offsets of all groups in it, as Kafka does.
    pub(crate) fn delete_topics(&mut self, request: &m::DeleteTopicsRequest) -> m::DeleteTopicsResponse {
        let mut responses = Vec::new();
        for name in &request.topic_names {
            let code = match self.topics.remove(name.as_str()) {
                Some(_) => errors::NONE,
                None => errors::UNKNOWN_TOPIC_OR_PARTITION,
            };
            self.groups.values_mut().for_each(|group| group.offsets.retain(|(topic, _), _| topic != name.as_str()));
            let response = deleted::DeletableTopicResult::default().with_name(Some(name.clone()));
            responses.push(response.with_error_code(code));
        }
        m::DeleteTopicsResponse::default().with_responses(responses)
    }

    pub(crate) fn create_partitions(&mut self, request: &m::CreatePartitionsRequest) -> m::CreatePartitionsResponse {
        let mut results = Vec::new();
        for asked in &request.topics {
            let count = usize::try_from(asked.count).unwrap_or(0);
            let code = match self.topics.get_mut(asked.name.as_str()) {
                None => errors::UNKNOWN_TOPIC_OR_PARTITION,
                Some(topic) if count <= topic.logs.len() => errors::INVALID_PARTITIONS,
                Some(topic) => {
                    topic.grow(count);
                    errors::NONE
                }
            };
            let result = grown::CreatePartitionsTopicResult::default().with_name(asked.name.clone());
            results.push(result.with_error_code(code));
        }
        m::CreatePartitionsResponse::default().with_results(results)
    }

    pub(crate) fn delete_records(&mut self, request: &m::DeleteRecordsRequest) -> m::DeleteRecordsResponse {
        let mut topics = Vec::new();
        for topic in &request.topics {
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let log = self.log(topic.name.as_str(), asked.partition_index);
                let begins = log.and_then(|log| log.delete_before(asked.offset));
                partitions.push(
                    removed::DeleteRecordsPartitionResult::default()
                        .with_partition_index(asked.partition_index)
                        .with_low_watermark(begins.unwrap_or(-1))
                        .with_error_code(begins.err().unwrap_or(errors::NONE)),
                );
            }
            let result = removed::DeleteRecordsTopicResult::default().with_name(topic.name.clone());
            topics.push(result.with_partitions(partitions));
        }
        m::DeleteRecordsResponse::default().with_topics(topics)
    }

    /// Those settings of a topic that the broker looks at.
    pub(crate) fn describe_configs(&self, request: &m::DescribeConfigsRequest) -> m::DescribeConfigsResponse {
        let result = |asked: &m::describe_configs_request::DescribeConfigsResource| {
            let result = described::DescribeConfigsResult::default()
                .with_resource_type(asked.resource_type)
                .with_resource_name(asked.resource_name.clone());
            let topic = self.topics.get(asked.resource_name.as_str()).filter(|_| asked.resource_type == TOPIC);
            let Some(topic) = topic else { return result.with_error_code(errors::UNKNOWN_TOPIC_OR_PARTITION) };
            let config = |(name, default): &(&str, &str)| {
                let own = topic.configs.get(*name);
                described::DescribeConfigsResourceResult::default()
                    .with_name(text(name))
                    .with_value(Some(text(own.map_or(*default, |value| value))))
                    .with_config_source(if own.is_some() { OF_THE_TOPIC } else { DEFAULT })
            };
            result.with_configs(DEFAULTS.iter().map(config).collect())
        };
        m::DescribeConfigsResponse::default().with_results(request.resources.iter().map(result).collect())
    }
}
