//! Where sessions go besides files.

pub(crate) mod alerts;
pub(crate) mod cloudwatch;
pub(crate) mod firehose;
pub(crate) mod webhook;

use serde::{Deserialize, Serialize};

/// Rows and alerts that had not reached their sink when a checkpoint was made. The next run delivers them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Undelivered {
    /// Rows for Firehose.
    pub(crate) firehose: Vec<String>,
    /// Alerts for the webhook.
    pub(crate) alerts: Vec<webhook::Post>,
    /// How many alerts have been given up, from the first run on.
    pub(crate) alerts_given_up: u64,
}
