//! The places that a session goes to besides files.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use events::columns::Columns;
use rows::SessionRow;
use rows::columns::session_columns;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::options::Options;
use crate::aws::Aws;
use crate::retry::Retry;
use crate::shutdown::with_courtesy;
use crate::sink::Undelivered;
use crate::sink::alerts::{Alerts, Rule};
use crate::sink::cloudwatch::CloudWatch;
use crate::sink::firehose::Firehose;
use crate::sink::webhook::{WEBHOOK, Webhook};
use crate::status::Status;

pub(super) struct Sinks {
    columns: Columns,
    prints: bool,
    firehose: Option<Firehose>,
    metrics: Option<CloudWatch>,
    alerts: Option<Alerts>,
    /// Rows and alerts of an earlier run whose option is missing in this one.
    kept: Undelivered,
    status: Arc<Status>,
    stop: CancellationToken,
    /// How many records out of order are in the metrics.
    ruled_out: u64,
}

impl Sinks {
    /// `stop` is cancelled when the end is asked for. From then on no sink is waited for long; rows and alerts
    /// that it has not taken are undelivered.
    pub(super) fn new(
        options: &Options,
        aws: &Aws,
        retry: Retry,
        undelivered: Undelivered,
        status: &Arc<Status>,
        stop: CancellationToken,
        quiet: bool,
    ) -> Result<Self> {
        let columns = session_columns(options.fields.declared().map_err(anyhow::Error::msg)?);
        let (chosen, mut kept) = (&options.sinks, undelivered);
        let firehose = match &chosen.firehose {
            Some(name) => {
                let waiting = std::mem::take(&mut kept.firehose);
                let (status, stop) = (Arc::clone(status), stop.clone());
                Some(Firehose::new(aws.firehose()?, name.clone(), waiting, retry, status, stop))
            }
            None => None,
        };
        let metrics = match &chosen.metrics {
            Some(namespace) => {
                let dimensions = [("Stream".to_owned(), options.source.stream.clone())];
                Some(CloudWatch::new(aws.cloudwatch()?, namespace.clone(), &dimensions, retry, Arc::clone(status))?)
            }
            None => None,
        };
        let webhook = match &chosen.webhook {
            Some(address) => {
                let waiting = std::mem::take(&mut kept.alerts);
                status.sink(WEBHOOK, |sink| sink.failed = kept.alerts_given_up);
                Some(Webhook::new(address, retry, waiting, Arc::clone(status))?)
            }
            None => None,
        };
        let parse =
            |rule: &String| Rule::parse(rule, &columns).map_err(|error| anyhow::anyhow!("--alert '{rule}': {error}"));
        let rules: Vec<Rule> = chosen.alert.iter().map(parse).collect::<Result<_>>()?;
        for (number, rule) in rules.iter().enumerate() {
            if let Some(same) = rules[..number].iter().find(|earlier| earlier.means_the_same(rule)) {
                bail!("--alert '{}' and '{}' are the same rule: leave one out", same.text(), rule.text());
            }
        }
        let alerts = match rules.is_empty() {
            true => None,
            false => Some(Alerts::new(rules, columns.clone(), !quiet, webhook, Arc::clone(status))),
        };
        let is_only = options.files.output.is_none() && firehose.is_none() && metrics.is_none() && alerts.is_none();
        let (status, prints) = (Arc::clone(status), (chosen.print || is_only) && !quiet);
        let sinks = Self { columns, prints, firehose, metrics, alerts, kept, status, stop, ruled_out: 0 };
        sinks.tell_of_kept();
        Ok(sinks)
    }

    fn tell_of_kept(&self) {
        for (count, what, option) in
            [(self.kept.firehose.len(), "rows", "--firehose"), (self.kept.alerts.len(), "alerts", "--webhook")]
        {
            if count > 0 {
                self.status
                    .trouble(format!("{count} {what} of an earlier run wait in the state: give {option} to send them"));
            }
        }
    }

    /// Gives a session to all of them, and waits until they have taken it; the webhook and CloudWatch are
    /// not waited for.
    pub(super) async fn session(&mut self, strategy: &str, session: &SessionRow) -> Result<()> {
        if self.prints || self.firehose.is_some() {
            let mut row = session.json(&self.columns);
            row.insert("strategy".to_owned(), strategy.into());
            self.row(row).await?;
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.observe(session, strategy);
        }
        if let Some(alerts) = &self.alerts {
            alerts.check(strategy, session)?;
        }
        Ok(())
    }

    /// Gives a row to standard output and to Firehose.
    pub(super) async fn row(&mut self, row: Map<String, Value>) -> Result<()> {
        if !self.prints && self.firehose.is_none() {
            return Ok(());
        }
        let mut line = Value::Object(row).to_string().into_bytes();
        line.push(b'\n');
        if self.prints {
            std::io::stdout().lock().write_all(&line).context("cannot write to standard output")?;
        }
        match &mut self.firehose {
            Some(firehose) => firehose.add(line).await,
            None => Ok(()),
        }
    }

    /// Counts an event or record that did not become part of a session.
    pub(super) fn count(&mut self, what: &'static str) {
        if let Some(metrics) = &mut self.metrics {
            metrics.count(what, 1);
        }
    }

    /// Before a checkpoint: sends the rows that wait for a full batch.
    pub(super) async fn flush(&mut self) -> Result<()> {
        match &mut self.firehose {
            Some(firehose) => firehose.flush().await,
            None => Ok(()),
        }
    }

    /// Before the last checkpoint: delivers waiting rows and alerts, for a short time if the end was asked for.
    pub(super) async fn drain(&mut self) -> Result<()> {
        let Self { firehose, alerts, stop, status, .. } = self;
        let rows = async {
            match firehose {
                Some(firehose) => firehose.drain().await,
                None => Ok(()),
            }
        };
        let posts = async {
            if let Some(webhook) = alerts.as_ref().and_then(Alerts::webhook) {
                webhook.drain().await;
            }
        };
        let (rows, _) = tokio::join!(with_courtesy(stop, rows), with_courtesy(stop, posts));
        match rows {
            Some(Err(error)) if stop.is_cancelled() => status.trouble(format!("{error:#}")),
            Some(outcome) => return outcome,
            None => {}
        }
        Ok(())
    }

    /// The rows and alerts that a checkpoint must hold: after it their events are not read again.
    pub(super) fn undelivered(&self) -> Undelivered {
        let Undelivered { firehose, alerts, alerts_given_up } = &self.kept;
        match self.alerts.as_ref().and_then(Alerts::webhook) {
            Some(webhook) => Undelivered {
                firehose: self.rows_waiting(firehose),
                alerts: webhook.waiting(),
                alerts_given_up: self.status.now().sinks.get(WEBHOOK).map_or(0, |sink| sink.failed),
            },
            None => Undelivered {
                firehose: self.rows_waiting(firehose),
                alerts: alerts.clone(),
                alerts_given_up: *alerts_given_up,
            },
        }
    }

    fn rows_waiting(&self, kept: &[String]) -> Vec<String> {
        self.firehose.as_ref().map_or_else(|| kept.to_vec(), Firehose::waiting)
    }

    /// After a checkpoint: measurements, which are rather missing than counted twice.
    pub(super) fn measure(&mut self) {
        if let Some(metrics) = &mut self.metrics {
            let now = self.status.now();
            metrics.count("RuledOut", now.ruled_out - std::mem::replace(&mut self.ruled_out, now.ruled_out));
            for (shard, state) in now.shards {
                if !state.is_closed {
                    metrics.iterator_age(&shard, state.millis_behind);
                }
            }
            metrics.send();
        }
    }

    /// After the last checkpoint: sends the last measurements, for a short time if the end was asked for.
    pub(super) async fn finish(&mut self) {
        if let Some(metrics) = &mut self.metrics
            && with_courtesy(&self.stop, metrics.finish()).await.is_none()
        {
            self.status.trouble("CloudWatch does not answer: the last metrics will be missing".to_owned());
        }
    }
}
