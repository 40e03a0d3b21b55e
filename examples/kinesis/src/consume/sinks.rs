//! The places that a session goes to besides files.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;

use super::options::Options;
use crate::aws::Aws;
use crate::columns::Columns;
use crate::retry::Retry;
use crate::session::Session;
use crate::sink::alerts::{Alerts, Rule};
use crate::sink::cloudwatch::CloudWatch;
use crate::sink::firehose::Firehose;
use crate::status::Status;

pub(super) struct Sinks {
    columns: Columns,
    prints: bool,
    firehose: Option<Firehose>,
    metrics: Option<CloudWatch>,
    alerts: Option<Alerts>,
}

impl Sinks {
    pub(super) fn new(options: &Options, aws: &Aws, retry: Retry, status: &Arc<Status>, quiet: bool) -> Result<Self> {
        let columns = options.fields.columns()?;
        let chosen = &options.sinks;
        let firehose = match &chosen.firehose {
            Some(name) => Some(Firehose::new(aws.firehose()?, name.clone(), retry, Arc::clone(status))),
            None => None,
        };
        let metrics = match &chosen.metrics {
            Some(namespace) => {
                let dimensions = [("Stream".to_owned(), options.source.stream.clone())];
                Some(CloudWatch::new(aws.cloudwatch()?, namespace.clone(), &dimensions, retry, Arc::clone(status))?)
            }
            None => None,
        };
        let parse =
            |rule: &String| Rule::parse(rule, &columns).map_err(|error| anyhow::anyhow!("--alert '{rule}': {error}"));
        let rules: Vec<Rule> = chosen.alert.iter().map(parse).collect::<Result<_>>()?;
        let alerts = match rules.is_empty() {
            true => None,
            false => {
                Some(Alerts::new(rules, columns.clone(), !quiet, chosen.webhook.clone(), retry, Arc::clone(status))?)
            }
        };
        let is_only = options.files.output.is_none() && firehose.is_none() && metrics.is_none() && alerts.is_none();
        Ok(Self { columns, prints: (chosen.print || is_only) && !quiet, firehose, metrics, alerts })
    }

    /// Gives a session to all of them, and waits until they have taken it.
    pub(super) async fn session(&mut self, strategy: &str, session: &Session) -> Result<()> {
        if self.prints || self.firehose.is_some() {
            let mut row = self.columns.json(session);
            row.insert("strategy".to_owned(), strategy.into());
            let mut line = Value::Object(row).to_string().into_bytes();
            line.push(b'\n');
            if self.prints {
                std::io::stdout().lock().write_all(&line).context("cannot write to standard output")?;
            }
            if let Some(firehose) = &mut self.firehose {
                firehose.add(line).await?;
            }
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.observe(session, strategy);
        }
        if let Some(alerts) = &mut self.alerts {
            alerts.check(strategy, session).await?;
        }
        Ok(())
    }

    /// Counts what did not become part of a session.
    pub(super) fn count(&mut self, what: &'static str) {
        if let Some(metrics) = &mut self.metrics {
            metrics.count(what, 1);
        }
    }

    /// Before a checkpoint: sends what is still held back, since afterwards it does not come again.
    pub(super) async fn flush(&mut self) -> Result<()> {
        match &mut self.firehose {
            Some(firehose) => firehose.flush().await,
            None => Ok(()),
        }
    }

    /// After a checkpoint: measurements, which are rather missing than counted twice.
    pub(super) async fn measure(&mut self, status: &Status) {
        if let Some(metrics) = &mut self.metrics {
            for (shard, state) in status.now().shards {
                if !state.is_closed {
                    metrics.iterator_age(&shard, state.millis_behind);
                }
            }
            metrics.send().await;
        }
    }
}
