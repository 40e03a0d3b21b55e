//! Metrics to CloudWatch.
//!
//! Collected while sessions close, sent after a checkpoint is committed, at the time of sending: a
//! session that ended long ago counts when it was seen. They are sent beside the pipeline; while the
//! service does not answer, the next ones are collected. A metric may be missing after a failure, but
//! none is counted twice, so it is tried again only where it is certain that nothing was taken.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataError;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use rows::SessionRow;
use tokio::task::JoinHandle;

use crate::retry::{Passing, Retry, explain};
use crate::status::Status;

/// The name among the sinks.
const CLOUDWATCH: &str = "cloudwatch";
/// How long to try again to send metrics; meanwhile the next ones are collected.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The service's limits.
const MOST_VALUES: usize = 150;
const MOST_DATUMS: usize = 1000;
const MOST_DIMENSIONS: usize = 30;
const LONGEST_NAME: usize = 255;
const LONGEST_DIMENSION_VALUE: usize = 1024;
/// 2 to the power of 360.
const LARGEST_VALUE: f64 = f64::from_bits((1023 + 360) << 52);
/// Of 1 MB, some is left for the bytes around the datums.
const MOST_BYTES: usize = 950_000;

/// Distinct values of one metric that are kept as they are.
const EXACT: usize = 10 * MOST_VALUES;

/// A namespace, and the measurements not yet sent to it.
#[derive(Debug)]
pub(crate) struct CloudWatch {
    sender: Sender,
    /// Those of all metrics.
    dimensions: Vec<Dimension>,
    collected: Collected,
    /// The request under way, if there is one.
    sending: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Sender {
    client: Client,
    namespace: String,
    retry: Retry,
    status: Arc<Status>,
}

/// Observations since the last request.
#[derive(Debug, Default)]
struct Collected {
    /// By strategy.
    sessions: BTreeMap<String, Sessions>,
    /// By metric.
    counts: BTreeMap<&'static str, u64>,
    /// By shard, in milliseconds.
    ages: BTreeMap<String, Distribution>,
}

#[derive(Debug, Default)]
struct Sessions {
    count: u64,
    events: Distribution,
    seconds: Distribution,
}

impl CloudWatch {
    /// # Errors
    ///
    /// When the service would not take the namespace or the dimensions.
    pub(crate) fn new(
        client: Client,
        namespace: String,
        dimensions: &[(String, String)],
        retry: Retry,
        status: Arc<Status>,
    ) -> Result<Self> {
        check_namespace(&namespace)?;
        check_dimensions(dimensions)?;
        let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
        let retry = Retry { give_up_after: retry.give_up_after.min(GIVE_UP_AFTER) };
        let sender = Sender { client, namespace, retry, status };
        Ok(Self { sender, dimensions, collected: Collected::default(), sending: None })
    }

    /// A session that has closed: `Sessions`, `EventsPerSession` and `SessionDuration`, with the
    /// dimension `Strategy`.
    pub(crate) fn observe(&mut self, session: &SessionRow, strategy: &str) {
        let sessions = &mut self.collected.sessions;
        if !sessions.contains_key(strategy) {
            sessions.insert(strategy.to_owned(), Sessions::default());
        }
        let Some(sessions) = sessions.get_mut(strategy) else { return };
        sessions.count += 1;
        sessions.events.add(session.events as f64);
        sessions.seconds.add(session.duration().as_secs_f64());
    }

    /// `n` more of something, such as `Late`, `Refused` or `Rejected`.
    pub(crate) fn count(&mut self, name: &'static str, n: u64) {
        if n > 0 {
            *self.collected.counts.entry(name).or_default() += n;
        }
    }

    /// How far a shard is behind: `IteratorAge`, with the dimension `ShardId`.
    pub(crate) fn iterator_age(&mut self, shard: &str, millis: i64) {
        let ages = &mut self.collected.ages;
        if !ages.contains_key(shard) {
            ages.insert(shard.to_owned(), Distribution::default());
        }
        if let Some(age) = ages.get_mut(shard) {
            age.add(millis.max(0) as f64);
        }
    }

    /// Begins to send the collected measurements, unless a request is under way.
    pub(crate) fn send(&mut self) {
        if self.sending.as_ref().is_some_and(|sending| !sending.is_finished()) {
            return;
        }
        let datums = std::mem::take(&mut self.collected).datums(&self.dimensions);
        self.sending = (!datums.is_empty()).then(|| tokio::spawn(self.sender.clone().send(datums)));
    }

    /// Sends the collected measurements, and waits for it. If the caller stops waiting, the figures count the
    /// request as waiting.
    pub(crate) async fn finish(&mut self) {
        for _ in 0..2 {
            if let Some(sending) = self.sending.take() {
                let _ = sending.await; // it tells of failures itself
            }
            self.send();
        }
    }
}

impl Sender {
    /// A failure is counted and told, and its measurements are missing from the metrics.
    async fn send(self, datums: Vec<MetricDatum>) {
        self.status.sink(CLOUDWATCH, |sink| sink.waiting = datums.len() as u64);
        for request in requests(datums) {
            let size = request.len() as u64;
            let outcome = self.put(request).await;
            self.status.sink(CLOUDWATCH, |sink| {
                sink.waiting -= size;
                sink.sent += if outcome.is_ok() { size } else { 0 };
                sink.failed += if outcome.is_ok() { 0 } else { size };
            });
            if let Err(error) = outcome {
                self.status.trouble(format!("CloudWatch PutMetricData: {error:#}; {size} datums will be missing"));
            }
        }
    }

    async fn put(&self, datums: Vec<MetricDatum>) -> Result<()> {
        let request = self.client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(datums));
        let mut attempts = 0;
        let put = || {
            attempts += 1;
            let put = request.clone().send();
            async move { put.await.map_err(Refused) }
        };
        let put = self.retry.run("CloudWatch PutMetricData", &self.status, put).await;
        self.status.sink(CLOUDWATCH, |sink| sink.retried += attempts - 1);
        put.map(drop).map_err(|Refused(error)| explain(error))
    }
}

impl Collected {
    fn datums(self, shared: &[Dimension]) -> Vec<MetricDatum> {
        let mut datums = Vec::new();
        for (strategy, sessions) in self.sessions {
            let metric = |name, unit| Metric::new(name, unit, shared, Some(("Strategy", &strategy)));
            datums.push(metric("Sessions", StandardUnit::Count).value(sessions.count as f64));
            datums.extend(metric("EventsPerSession", StandardUnit::Count).values(&sessions.events));
            datums.extend(metric("SessionDuration", StandardUnit::Seconds).values(&sessions.seconds));
        }
        for (name, count) in self.counts {
            datums.push(Metric::new(name, StandardUnit::Count, shared, None).value(count as f64));
        }
        for (shard, ages) in self.ages {
            let metric = Metric::new("IteratorAge", StandardUnit::Milliseconds, shared, Some(("ShardId", &shard)));
            datums.extend(metric.values(&ages));
        }
        datums
    }
}

/// The parts that the datums of one metric share.
struct Metric {
    name: &'static str,
    unit: StandardUnit,
    dimensions: Vec<Dimension>,
}

impl Metric {
    fn new(name: &'static str, unit: StandardUnit, shared: &[Dimension], own: Option<(&str, &str)>) -> Self {
        let mut dimensions = shared.to_vec();
        dimensions.extend(own.map(|(name, value)| dimension(name, value)));
        Self { name, unit, dimensions }
    }

    fn value(&self, value: f64) -> MetricDatum {
        self.datum().value(value).build()
    }

    /// As many datums as the values need.
    fn values(&self, distribution: &Distribution) -> Vec<MetricDatum> {
        let pairs: Vec<(f64, f64)> = distribution.pairs().collect();
        let datum = |pairs: &[(f64, f64)]| {
            let (values, counts) = pairs.iter().copied().unzip();
            self.datum().set_values(Some(values)).set_counts(Some(counts)).build()
        };
        pairs.chunks(MOST_VALUES).map(datum).collect()
    }

    fn datum(&self) -> aws_sdk_cloudwatch::types::builders::MetricDatumBuilder {
        let dimensions = Some(self.dimensions.clone());
        MetricDatum::builder().metric_name(self.name).unit(self.unit.clone()).set_dimensions(dimensions)
    }
}

/// Values and how often each has come.
///
/// Up to [`EXACT`] distinct values are kept as they are. From then on, until the next sending, all are
/// rounded to three significant digits, so that there are at most 900 of them for each power of ten.
#[derive(Debug, Default)]
struct Distribution {
    /// By the bits of the value: none is negative, so they are in the order of the values.
    counts: BTreeMap<u64, u64>,
    is_rounded: bool,
}

impl Distribution {
    /// Values that the service would not take are left out.
    fn add(&mut self, value: f64) {
        if !(0.0..=LARGEST_VALUE).contains(&value) {
            return;
        }
        let value = if self.is_rounded { rounded(value) } else { value.abs() };
        *self.counts.entry(value.to_bits()).or_default() += 1;
        if !self.is_rounded && self.counts.len() > EXACT {
            self.round();
        }
    }

    fn round(&mut self) {
        self.is_rounded = true;
        for (bits, count) in std::mem::take(&mut self.counts) {
            *self.counts.entry(rounded(f64::from_bits(bits)).to_bits()).or_default() += count;
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.counts.iter().map(|(&bits, &count)| (f64::from_bits(bits), count as f64))
    }
}

/// To three significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// Datums by request, each within the limits.
fn requests(datums: Vec<MetricDatum>) -> Vec<Vec<MetricDatum>> {
    let mut requests: Vec<Vec<MetricDatum>> = Vec::new();
    let mut bytes = 0;
    for datum in datums {
        let size = size(&datum);
        match requests.last_mut() {
            Some(request) if request.len() < MOST_DATUMS && bytes + size <= MOST_BYTES => {
                request.push(datum);
                bytes += size;
            }
            _ => {
                requests.push(vec![datum]);
                bytes = size;
            }
        }
    }
    requests
}

/// An upper bound for the bytes of the datum in a request, encoded as CBOR: nine bytes for a number, the texts,
/// and the names of their fields.
fn size(datum: &MetricDatum) -> usize {
    let text = |text: Option<&str>| text.unwrap_or_default().len() + 3;
    let dimension = |dimension: &Dimension| text(dimension.name()) + text(dimension.value()) + 16;
    let dimensions: usize = datum.dimensions().iter().map(dimension).sum();
    let numbers = datum.values().len() + datum.counts().len() + 1;
    text(datum.metric_name()) + dimensions + 9 * numbers + 100
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(accepted(value)).build()
}

/// The value of a dimension as the service takes it: some ASCII, and not too much.
fn accepted(value: &str) -> String {
    let accepted = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    let value: String = value.chars().take(LONGEST_DIMENSION_VALUE).map(accepted).collect();
    if value.trim().is_empty() { "-".to_owned() } else { value }
}

fn check_namespace(namespace: &str) -> Result<()> {
    let accepted = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    ensure!(
        (1..=LONGEST_NAME).contains(&namespace.len())
            && namespace.chars().all(accepted)
            && !namespace.trim().is_empty()
            && !namespace.starts_with(':')
            && !namespace.starts_with("AWS/"),
        "{namespace:?} cannot be a namespace in CloudWatch: give up to {LONGEST_NAME} of A-Z a-z 0-9 . - _ / # : \
         and spaces, not beginning with `:` or `AWS/`"
    );
    Ok(())
}

fn check_dimensions(dimensions: &[(String, String)]) -> Result<()> {
    let most = MOST_DIMENSIONS - 1; // one is added: `Strategy` or `ShardId`
    ensure!(dimensions.len() <= most, "{} dimensions are too many: give {most} at most", dimensions.len());
    for (at, (name, value)) in dimensions.iter().enumerate() {
        ensure!(
            (1..=LONGEST_NAME).contains(&name.len())
                && name.chars().all(|character| matches!(character, ' '..='~'))
                && !name.trim().is_empty()
                && !name.starts_with(':'),
            "{name:?} cannot be the name of a dimension in CloudWatch: give up to {LONGEST_NAME} ASCII characters, \
             not beginning with `:`"
        );
        ensure!(
            accepted(value) == *value,
            "{value:?} cannot be the value of the dimension {name}: give up to {LONGEST_DIMENSION_VALUE} ASCII characters"
        );
        let is_taken = ["Strategy", "ShardId"].contains(&name.as_str());
        let is_double = dimensions[..at].iter().any(|(other, _)| other == name);
        ensure!(!is_taken && !is_double, "the dimension {name} would be there twice: give another name");
    }
    Ok(())
}

/// Why metrics were not taken.
#[derive(Debug)]
struct Refused(SdkError<PutMetricDataError>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Passing for Refused {
    /// Only where the metrics cannot have been counted: the service was too busy, or not reached.
    fn is_passing(&self) -> bool {
        match &self.0 {
            SdkError::ServiceError(error) => self.is_throttling() || error.raw().status().as_u16() == 503,
            SdkError::DispatchFailure(_) => is_unreachable(&self.0),
            _ => false,
        }
    }

    fn is_throttling(&self) -> bool {
        self.0.is_throttling()
    }
}

/// Whether there was no connection at all.
fn is_unreachable(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) = kind {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;
    use std::time::SystemTime;

    use aws_sdk_cloudwatch::primitives::DateTime;
    use aws_sdk_cloudwatch::types::Statistic;
    use axum::response::Response;
    use stagger::Timestamp;

    use super::*;
    use crate::aws::Aws;
    use crate::stand_in::{Asked, HASTY, PATIENT, StandIn, answer, serve};

    fn session(events: u64, millis: i64) -> SessionRow {
        SessionRow {
            id: String::new(),
            key: Vec::new(),
            timeagg: Timestamp::from_millis(0),
            events,
            begin_navigation: String::new(),
            end_navigation: String::new(),
            begin: Timestamp::from_millis(1_000),
            end: Timestamp::from_millis(1_000 + millis),
            reason: String::new(),
            revision: 0,
            supersedes: Vec::new(),
        }
    }

    fn metrics(aws: &Aws, retry: Retry) -> CloudWatch {
        let dimensions = [("App".to_owned(), "clicks".to_owned())];
        let status = Arc::new(Status::new());
        CloudWatch::new(aws.cloudwatch().unwrap(), "Sessions/Test".to_owned(), &dimensions, retry, status).unwrap()
    }

    /// How many, their sum, the least and the greatest, as the service tells them.
    async fn told(aws: &Aws, metric: &str, own: Option<(&str, &str)>) -> [f64; 4] {
        use Statistic::{Maximum, Minimum, SampleCount, Sum};
        let at = |seconds| DateTime::from(SystemTime::now() + std::time::Duration::from_secs(seconds));
        let mut dimensions = vec![dimension("App", "clicks")];
        dimensions.extend(own.map(|(name, value)| dimension(name, value)));
        let request = aws.cloudwatch().unwrap().get_metric_statistics().namespace("Sessions/Test").metric_name(metric);
        let request = request.set_dimensions(Some(dimensions)).start_time(DateTime::from_secs(0)).end_time(at(3600));
        let request = request.period(86_400).set_statistics(Some(vec![SampleCount, Sum, Minimum, Maximum]));
        let points = request.send().await.unwrap().datapoints.unwrap_or_default();
        assert!(!points.is_empty(), "{metric}: nothing has arrived");
        points.iter().fold([0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY], |[count, sum, least, greatest], point| {
            [
                count + point.sample_count.unwrap(),
                sum + point.sum.unwrap(),
                least.min(point.minimum.unwrap()),
                greatest.max(point.maximum.unwrap()),
            ]
        })
    }

    #[tokio::test]
    async fn what_arrives_is_what_was_observed() {
        let Some(stand_in) = StandIn::start() else { return };
        let aws = stand_in.aws().await;
        let mut metrics = metrics(&aws, PATIENT);
        // 400 distinct lengths: three datums. Numbers of events repeat. In two portions.
        for at in 0..400_u32 {
            metrics.observe(&session(u64::from(at % 9) + 1, i64::from(at) * 500), "gap 30 s");
            if at == 100 {
                metrics.finish().await;
            }
        }
        metrics.observe(&session(7, 250), "stagger");
        metrics.count("Late", 3);
        metrics.count("Late", 4);
        metrics.count("Refused", 0);
        for millis in [0, 2_500, 1_000, -1] {
            metrics.iterator_age("shardId-000000000001", millis);
        }
        metrics.finish().await;
        metrics.finish().await; // nothing is left: nothing is counted again

        let gap = Some(("Strategy", "gap 30 s"));
        let events: u32 = (0..400).map(|at| at % 9 + 1).sum();
        assert_eq!(told(&aws, "Sessions", gap).await, [2.0, 400.0, 101.0, 299.0]);
        assert_eq!(told(&aws, "EventsPerSession", gap).await, [400.0, f64::from(events), 1.0, 9.0]);
        assert_eq!(told(&aws, "SessionDuration", gap).await, [400.0, 39_900.0, 0.0, 199.5]);
        let stagger = Some(("Strategy", "stagger"));
        assert_eq!(told(&aws, "SessionDuration", stagger).await, [1.0, 0.25, 0.25, 0.25]);
        assert_eq!(told(&aws, "Late", None).await, [1.0, 7.0, 7.0, 7.0]);
        let shard = Some(("ShardId", "shardId-000000000001"));
        assert_eq!(told(&aws, "IteratorAge", shard).await, [4.0, 3_500.0, 0.0, 2_500.0]);

        let now = metrics.sender.status.now();
        assert_eq!((now.sinks["cloudwatch"].failed, now.retries), (0, 0), "{:?}", now.troubles);
        let listed = aws.cloudwatch().unwrap().list_metrics().namespace("Sessions/Test").send().await.unwrap();
        assert_eq!(listed.metrics().len(), 8);
    }

    fn taken() -> Option<Response> {
        let mut taken = answer(200, vec![0xa0])?;
        taken.headers_mut().insert("smithy-protocol", "rpc-v2-cbor".parse().unwrap());
        Some(taken)
    }

    /// The body as it was before it was packed.
    fn unpacked(asked: &Asked) -> Vec<u8> {
        let mut body = Vec::new();
        match asked.headers.get("content-encoding") {
            Some(encoding) => {
                assert_eq!(encoding, "gzip");
                flate2::read::GzDecoder::new(&*asked.body).read_to_end(&mut body).unwrap();
            }
            None => body.extend_from_slice(&asked.body),
        }
        body
    }

    /// Against the client's own encoding, packed or not.
    #[tokio::test]
    async fn requests_stay_within_the_limits() {
        const MARK: &[u8] = b"MetricName";
        let requests = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&requests);
        let aws = serve(move |asked: Asked| {
            let body = unpacked(&asked);
            let datums = body.windows(MARK.len()).filter(|part| *part == MARK).count();
            keep.lock().unwrap().push((body.len(), datums));
            taken()
        })
        .await;
        let mut metrics = metrics(&aws, PATIENT);
        // Few datums with many values, then many datums with one.
        for strategy in 0..60 {
            for at in 0..1_500_u32 {
                let millis = 3_600_000 + i64::from(at) * 1_001;
                metrics.observe(&session(1 << 40 | u64::from(at), millis), &format!("{strategy:0>1024}"));
            }
        }
        for shard in 0..2_500 {
            metrics.iterator_age(&format!("shard {shard}"), shard);
        }
        metrics.finish().await;

        let requests = requests.lock().unwrap();
        let all: usize = requests.iter().map(|(_, datums)| datums).sum();
        assert_eq!(all, 60 * (1 + 10 + 10) + 2_500);
        assert!(requests.iter().any(|(_, datums)| *datums == MOST_DATUMS), "{requests:?}");
        assert!(requests.iter().any(|(bytes, _)| *bytes > 850_000), "{requests:?}");
        assert!(requests.iter().all(|(bytes, datums)| *bytes <= 1_000_000 && *datums <= MOST_DATUMS), "{requests:?}");
        assert_eq!(metrics.sender.status.now().sinks["cloudwatch"].sent, all as u64);
    }

    /// Sends one metric to a server that answers its first request in this way.
    async fn sent_after(first: fn() -> Option<Response>) -> (usize, crate::status::Now) {
        let requests = Arc::new(Mutex::new(0));
        let count = Arc::clone(&requests);
        let aws = serve(move |_| {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == 1 { first() } else { taken() }
        })
        .await;
        let mut metrics = metrics(&aws, PATIENT);
        metrics.count("Late", 1);
        metrics.finish().await;
        let requests = *requests.lock().unwrap();
        (requests, metrics.sender.status.now())
    }

    #[tokio::test]
    async fn what_was_surely_not_taken_is_sent_again() {
        let (requests, now) = sent_after(|| answer(503, "")).await;
        let sink = now.sinks["cloudwatch"];
        assert_eq!((requests, sink.sent, sink.retried, sink.failed), (2, 1, 1, 0));
    }

    #[tokio::test]
    async fn what_may_have_been_taken_is_not_sent_again() {
        for first in [|| None, || answer(500, ""), || answer(504, ""), || answer(400, "")] {
            let (requests, now) = sent_after(first).await;
            let sink = now.sinks["cloudwatch"];
            assert_eq!((requests, sink.sent, sink.retried, sink.failed), (1, 0, 0, 1));
            assert!(now.troubles[0].contains("1 datums will be missing"), "{:?}", now.troubles);
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_reached_is_tried_again_and_stops_nothing() {
        let aws = Aws::at("http://127.0.0.1:1".to_owned()).await;
        let mut metrics = metrics(&aws, HASTY);
        metrics.count("Late", 1);
        metrics.finish().await;
        let sink = metrics.sender.status.now().sinks["cloudwatch"];
        assert_eq!((sink.sent, sink.failed), (0, 1));
        assert!(sink.retried > 0);
    }

    fn collected(add: impl FnOnce(&mut Distribution)) -> Vec<MetricDatum> {
        let mut distribution = Distribution::default();
        add(&mut distribution);
        Metric::new("Any", StandardUnit::Count, &[], None).values(&distribution)
    }

    #[test]
    fn equal_values_are_counted_and_none_is_no_datum() {
        let datums = collected(|values| [2.0, 1.0, 2.0, 0.0, -0.0].into_iter().for_each(|value| values.add(value)));
        assert_eq!(datums.len(), 1);
        assert_eq!(datums[0].values(), [0.0, 1.0, 2.0]);
        assert_eq!(datums[0].counts(), [2.0, 1.0, 2.0]);
        assert!(collected(|_| {}).is_empty());
    }

    #[test]
    fn a_datum_has_150_values_at_most() {
        let sizes = |n: u32| -> Vec<usize> {
            let datums = collected(|values| (0..n).for_each(|value| values.add(f64::from(value))));
            datums.iter().map(|datum| datum.values().len()).collect()
        };
        assert_eq!(sizes(150), [150]);
        assert_eq!(sizes(151), [150, 1]);
        assert_eq!(sizes(1_500), [150; 10]);
    }

    #[test]
    fn many_distinct_values_are_rounded_and_none_is_lost() {
        let datums = collected(|values| (0..1_000_000_u32).for_each(|value| values.add(f64::from(value))));
        // Below 1,000 each as it is; 900 for each of the powers from there to a million.
        let pairs = datums.iter().flat_map(|datum| datum.values().iter().zip(datum.counts()));
        let (values, counts): (Vec<f64>, Vec<f64>) = pairs.unzip();
        assert_eq!(values.len(), 1_000 + 3 * 900 + 1);
        assert_eq!(counts.iter().sum::<f64>(), 1e6);
        assert!(values.is_sorted() && values.contains(&123_000.0) && !values.contains(&123_400.0));
        let sum: f64 = values.iter().zip(&counts).map(|(value, count)| value * count).sum();
        let exact = 999_999.0 * 500_000.0;
        assert!((sum / exact - 1.0).abs() < 1e-4, "{sum}");
    }

    #[test]
    fn values_outside_the_limits_are_left_out() {
        let largest = 2_f64.powi(360);
        let values = [f64::NAN, f64::INFINITY, -1.0, largest * 1.01, largest, 0.0];
        let datums = collected(|kept| values.into_iter().for_each(|value| kept.add(value)));
        assert_eq!(datums[0].values(), [0.0, largest]);
    }

    #[test]
    fn requests_end_at_the_limits() {
        let datum = |name: &str| MetricDatum::builder().metric_name(name).value(1.0).build();
        let sizes = |datums| requests(datums).iter().map(Vec::len).collect::<Vec<_>>();
        assert!(sizes(vec![]).is_empty());
        assert_eq!(sizes(vec![datum("Late"); 1_000]), [1_000]);
        assert_eq!(sizes(vec![datum("Late"); 1_001]), [1_000, 1]);
        let large = datum(&"n".repeat(MOST_BYTES / 2 - size(&datum(""))));
        assert_eq!(sizes(vec![large.clone(), large.clone()]), [2]);
        assert_eq!(sizes(vec![large.clone(), large.clone(), datum("")]), [2, 1]);
    }

    #[test]
    fn names_the_service_would_not_take_are_refused() {
        assert!(["Sessions", "a/b c#1.-_:"].iter().all(|name| check_namespace(name).is_ok()));
        let long = "n".repeat(256);
        for name in ["", " ", ":a", "AWS/Kinesis", "ä", "a,b", &long] {
            assert!(check_namespace(name).is_err(), "{name}");
        }
        let check = |pairs: &[(&str, &str)]| {
            let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
            check_dimensions(&pairs.iter().map(owned).collect::<Vec<_>>())
        };
        let long_value = "v".repeat(1025);
        check(&[("App", "clicks"), ("Stage", &long_value[1..])]).unwrap();
        for wrong in [("", "a"), (":a", "a"), ("ä", "a"), (&*long, "a"), ("a", ""), ("a", "ä"), ("a", &*long_value)] {
            assert!(check(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(check(&[("Strategy", "a")]).is_err() && check(&[("a", "a"), ("a", "b")]).is_err());
        let names: Vec<String> = (0..30).map(|at| format!("D{at}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
        check(&many[..29]).unwrap();
        assert!(check(&many).unwrap_err().to_string().contains("give 29 at most"));
    }

    #[test]
    fn texts_become_values_of_dimensions() {
        assert_eq!(accepted("gap 30 s"), "gap 30 s");
        assert_eq!(accepted("Lücke\n"), "L?cke?");
        assert_eq!(accepted(" "), "-");
        assert_eq!(accepted(&"é".repeat(2_000)), "?".repeat(1_024));
    }
}
