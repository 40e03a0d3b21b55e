//! Error codes of the protocol, as far as they are used here.
//!
//! Source: Apache Kafka documentation, "Kafka protocol guide", error codes.

pub(crate) type Code = i16;

pub(crate) const NONE: Code = 0;
pub(crate) const OFFSET_OUT_OF_RANGE: Code = 1;
pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: Code = 3;
pub(crate) const MESSAGE_TOO_LARGE: Code = 10;
pub(crate) const OFFSET_METADATA_TOO_LARGE: Code = 12;
pub(crate) const ILLEGAL_GENERATION: Code = 22;
pub(crate) const INCONSISTENT_GROUP_PROTOCOL: Code = 23;
pub(crate) const UNKNOWN_MEMBER_ID: Code = 25;
pub(crate) const REBALANCE_IN_PROGRESS: Code = 27;
pub(crate) const UNSUPPORTED_SASL_MECHANISM: Code = 33;
pub(crate) const UNSUPPORTED_VERSION: Code = 35;
pub(crate) const TOPIC_ALREADY_EXISTS: Code = 36;
pub(crate) const INVALID_PARTITIONS: Code = 37;
pub(crate) const OUT_OF_ORDER_SEQUENCE_NUMBER: Code = 45;
pub(crate) const DUPLICATE_SEQUENCE_NUMBER: Code = 46;
pub(crate) const INVALID_PRODUCER_EPOCH: Code = 47;
pub(crate) const INVALID_TXN_STATE: Code = 48;
pub(crate) const INVALID_PRODUCER_ID_MAPPING: Code = 49;
pub(crate) const SASL_AUTHENTICATION_FAILED: Code = 58;
pub(crate) const MEMBER_ID_REQUIRED: Code = 79;
pub(crate) const UNSTABLE_OFFSET_COMMIT: Code = 88;
pub(crate) const PRODUCER_FENCED: Code = 90;
pub(crate) const INVALID_RECORD: Code = 87;
