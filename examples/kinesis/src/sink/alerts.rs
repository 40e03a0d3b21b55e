//! Sessions that fulfil a rule are told at once: on the terminal, and to a webhook.
//!
//! The article does this with a Lambda function, for instance for sessions shorter than 20 seconds.
//! The next session waits until the webhook has answered, so alerts never pile up in memory. An
//! alert that cannot be delivered is counted and told among the troubles; it does not stop the run.

mod rule;

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode, Url};
use serde_json::json;

use crate::columns::Columns;
use crate::retry::{Passing, Retry};
use crate::session::Session;
use crate::status::Status;

pub(crate) use rule::Rule;

/// The name among the sinks.
const WEBHOOK: &str = "webhook";

/// What tells alerts.
#[derive(Debug)]
pub(crate) struct Alerts {
    rules: Vec<Rule>,
    columns: Columns,
    stdout: bool,
    webhook: Option<Webhook>,
    status: Arc<Status>,
}

impl Alerts {
    /// `webhook` is the address to which alerts are posted.
    pub(crate) fn new(
        rules: Vec<Rule>,
        columns: Columns,
        stdout: bool,
        webhook: Option<String>,
        retry: Retry,
        status: Arc<Status>,
    ) -> Result<Self> {
        let webhook = webhook.map(|address| Webhook::new(&address, retry)).transpose()?;
        Ok(Self { rules, columns, stdout, webhook, status })
    }

    /// Tells each rule that a session fulfils, in order. Returns when all have been told or given up.
    /// An error is one of the terminal.
    pub(crate) async fn check(&mut self, strategy: &str, session: &Session) -> Result<()> {
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.holds(session) {
                self.tell(Alert { number, rule: rule.text(), strategy, session }).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, alert: Alert<'_>) -> Result<()> {
        self.status.alert(alert.words(&self.columns));
        if self.stdout {
            writeln!(std::io::stdout(), "{}", alert.line(&self.columns)).context("cannot write an alert")?;
        }
        if let Some(webhook) = &self.webhook {
            webhook.post(&alert, &self.columns, &self.status).await;
        }
        Ok(())
    }
}

/// A rule, and a session that fulfils it.
#[derive(Clone, Copy)]
struct Alert<'a> {
    number: usize,
    rule: &'a str,
    strategy: &'a str,
    session: &'a Session,
}

impl Alert<'_> {
    /// For those who watch.
    fn words(&self, columns: &Columns) -> String {
        let Self { session, rule, .. } = self;
        let key = columns.key.iter().zip(&session.key).map(|(name, value)| format!("{name} {value}, "));
        let seconds = session.duration().as_secs_f64();
        format!("{}{} events in {seconds:.1} s ({rule})", key.collect::<String>(), session.events)
    }

    fn line(&self, columns: &Columns) -> String {
        let row = serde_json::Value::Object(columns.json(self.session));
        format!("alert ({}): {}: {row}", self.strategy, self.rule)
    }

    fn body(&self, columns: &Columns) -> serde_json::Value {
        json!({ "rule": self.rule, "strategy": self.strategy, "session": columns.json(self.session) })
    }

    /// The same again if the same events are read again, so that the receiver can tell. Sessions of
    /// two strategies may have the same id.
    fn idempotency_key(&self) -> Result<HeaderValue> {
        let Self { number, strategy, session, .. } = self;
        let key = format!("{strategy}-{}-{}-{number}", session.id, session.revision);
        let key = key.replace(|c: char| c.is_control(), "_");
        HeaderValue::from_bytes(key.as_bytes()).with_context(|| format!("`{key}` cannot be a header"))
    }
}

#[derive(Debug)]
struct Webhook {
    client: Client,
    address: Url,
    retry: Retry,
}

impl Webhook {
    fn new(address: &str, retry: Retry) -> Result<Self> {
        let address = Url::parse(address)
            .with_context(|| format!("the webhook {address:?} is not an address: give one such as http://host/path"))?;
        match address.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => bail!("a webhook with https needs TLS: build with `--features tls`, or give one with http"),
            other => bail!("a webhook is asked by http or https, not by {other}"),
        }
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            // One that asks elsewhere is set up wrongly; a post that becomes a get would seem to work.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make a client for the webhook")?;
        Ok(Self { client, address, retry })
    }

    /// Until it is delivered, refused or given up.
    async fn post(&self, alert: &Alert<'_>, columns: &Columns, status: &Status) {
        let mut attempts: u64 = 0;
        let delivered = match self.request(alert, columns) {
            Ok(request) => {
                let attempt = || {
                    attempts += 1;
                    self.once(&request)
                };
                self.retry.run(WEBHOOK, status, attempt).await.map_err(|failure| failure.to_string())
            }
            Err(error) => Err(format!("{error:#}")),
        };
        status.sink(WEBHOOK, |sink| {
            sink.retried += attempts.saturating_sub(1);
            sink.sent += u64::from(delivered.is_ok());
            sink.failed += u64::from(delivered.is_err());
        });
        if let Err(why) = delivered {
            status.trouble(format!("{WEBHOOK}: {why}; not delivered: {} for session {}", alert.rule, alert.session.id));
        }
    }

    fn request(&self, alert: &Alert<'_>, columns: &Columns) -> Result<reqwest::Request> {
        let request = self.client.post(self.address.clone()).header("Idempotency-Key", alert.idempotency_key()?);
        request.json(&alert.body(columns)).build().context("cannot make a request of an alert")
    }

    async fn once(&self, request: &reqwest::Request) -> Result<(), Failure> {
        // Only a body that is a stream cannot be copied.
        let request = request.try_clone().ok_or(Failure::Answer(StatusCode::BAD_REQUEST))?;
        let answer = self.client.execute(request).await.map_err(Failure::NoAnswer)?;
        if answer.status().is_success() { Ok(()) } else { Err(Failure::Answer(answer.status())) }
    }
}

/// Why one attempt did not work.
#[derive(Debug)]
enum Failure {
    Answer(StatusCode),
    NoAnswer(reqwest::Error),
}

impl Passing for Failure {
    fn is_passing(&self) -> bool {
        match self {
            Self::Answer(code) => {
                code.is_server_error() || *code == StatusCode::REQUEST_TIMEOUT || self.is_throttling()
            }
            Self::NoAnswer(error) => !error.is_builder(),
        }
    }

    fn is_throttling(&self) -> bool {
        matches!(self, Self::Answer(StatusCode::TOO_MANY_REQUESTS))
    }
}

/// Without the address, which may hold a secret.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(code) => write!(f, "it answered {code}"),
            Self::NoAnswer(error) => {
                let mut cause: &dyn Error = error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                if error.is_timeout() { f.write_str("no answer in time") } else { write!(f, "no answer: {cause}") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use serde_json::Value;
    use stagger::Timestamp;

    use super::*;

    pub(super) fn columns() -> Columns {
        Columns::declared(&["user_id:int", "device_id"]).unwrap()
    }

    pub(super) fn session() -> Session {
        Session {
            id: "0123abcd".to_owned(),
            key: vec![json!(20), json!("mobile")],
            timeagg: Timestamp::from_secs(60),
            events: 3,
            begin_navigation: "beer_vitrine_nav".to_owned(),
            end_navigation: "beer_cart".to_owned(),
            begin: Timestamp::from_millis(60_500),
            end: Timestamp::from_secs(80),
            reason: "range".to_owned(),
            revision: 0,
            supersedes: Vec::new(),
        }
    }

    type Posts = Arc<Mutex<(Vec<u16>, Vec<(String, Value)>)>>;

    async fn take(
        State(posts): State<Posts>,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        assert_eq!(headers["content-type"], "application/json");
        let (answers, taken) = &mut *posts.lock().unwrap();
        taken.push((key, serde_json::from_slice(&body).unwrap()));
        let answer = if answers.is_empty() { 204 } else { answers.remove(0) };
        (StatusCode::from_u16(answer).unwrap(), [("location", "/alerts")])
    }

    /// A webhook that gives these answers first, and then 204.
    async fn webhook(answers: &[u16]) -> (String, Posts) {
        let posts: Posts = Arc::new(Mutex::new((answers.to_vec(), Vec::new())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/alerts?token=secret", listener.local_addr().unwrap());
        let router = Router::new().route("/alerts", post(take)).with_state(Arc::clone(&posts));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, posts)
    }

    fn alerts(rules: &[&str], address: &str, give_up_after: Duration) -> (Alerts, Arc<Status>) {
        let status = Arc::new(Status::new());
        let rules = rules.iter().map(|rule| Rule::parse(rule, &columns()).unwrap()).collect();
        let retry = Retry { give_up_after };
        let alerts = Alerts::new(rules, columns(), false, Some(address.to_owned()), retry, Arc::clone(&status));
        (alerts.unwrap(), status)
    }

    const LONG: Duration = Duration::from_secs(60);

    /// Sent, tried again, failed.
    fn counts(status: &Status) -> (u64, u64, u64) {
        let sink = status.now().sinks[WEBHOOK];
        (sink.sent, sink.retried, sink.failed)
    }

    #[tokio::test]
    async fn every_rule_that_holds_is_posted() {
        let (address, posts) = webhook(&[]).await;
        let (mut alerts, status) = alerts(&["duration < 20s", "events > 500", "reason = range"], &address, LONG);
        alerts.check("minute", &session()).await.unwrap();
        let corrected = Session { revision: 1, supersedes: vec!["0".to_owned()], events: 501, ..session() };
        alerts.check("minute", &corrected).await.unwrap();
        let long = Session { end: Timestamp::from_secs(90), reason: "gap".to_owned(), revision: 2, ..session() };
        alerts.check("minute", &long).await.unwrap();
        let taken = posts.lock().unwrap().1.clone();
        let keys: Vec<&str> = taken.iter().map(|(key, _)| key.as_str()).collect();
        let expected = ["0123abcd-0-0", "0123abcd-0-2", "0123abcd-1-0", "0123abcd-1-1", "0123abcd-1-2"];
        assert_eq!(keys, expected.map(|key| format!("minute-{key}")));
        let row = Value::Object(columns().json(&session()));
        assert_eq!(taken[0].1, json!({ "rule": "duration < 20s", "strategy": "minute", "session": row }));
        assert_eq!(counts(&status), (5, 0, 0));
        let now = status.now();
        assert_eq!(now.alerts, 5);
        assert!(now.recent_alerts[0].ends_with(" s (duration < 20s)"), "{}", now.recent_alerts[0]);
    }

    #[tokio::test]
    async fn what_passes_is_tried_again_with_the_same_key() {
        let (address, posts) = webhook(&[500, 429, 503]).await;
        let (mut alerts, status) = alerts(&["events = 3"], &address, LONG);
        alerts.check("minute", &session()).await.unwrap();
        let taken = posts.lock().unwrap().1.clone();
        assert_eq!(taken.len(), 4);
        assert!(taken.iter().all(|post| *post == taken[0]));
        assert_eq!(counts(&status), (1, 3, 0));
        let now = status.now();
        assert_eq!((now.retries, now.throttled), (3, 1));
        assert_eq!(now.troubles[0], "webhook: it answered 500 Internal Server Error; trying again");
    }

    #[tokio::test]
    async fn what_is_refused_is_not_tried_again_and_stops_nothing() {
        let (address, posts) = webhook(&[400, 307]).await;
        let (mut alerts, status) = alerts(&["events = 3"], &address, LONG);
        for _ in 0..3 {
            alerts.check("minute", &session()).await.unwrap();
        }
        assert_eq!(posts.lock().unwrap().1.len(), 3);
        assert_eq!(counts(&status), (1, 0, 2));
        let troubles = status.now().troubles;
        let refused = "webhook: it answered 400 Bad Request; not delivered: events = 3 for session 0123abcd";
        assert_eq!(troubles[0], refused);
        assert_eq!(troubles.len(), 2);
    }

    #[tokio::test]
    async fn nobody_there_is_given_up_in_time_and_the_address_is_not_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/secret", listener.local_addr().unwrap());
        drop(listener);
        let (mut alerts, status) = alerts(&["events = 3"], &address, Duration::from_millis(400));
        tokio::time::timeout(Duration::from_secs(20), alerts.check("minute", &session())).await.unwrap().unwrap();
        let (sent, retried, failed) = counts(&status);
        assert_eq!((sent, failed), (0, 1));
        assert!(retried > 0);
        let troubles = status.now().troubles;
        assert!(troubles.back().unwrap().contains("; not delivered: events = 3"), "{troubles:?}");
        assert!(troubles.iter().all(|text| text.starts_with("webhook: no answer") && !text.contains("secret")));
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_at_once() {
        let reason = |address: &str| {
            let retry = Retry { give_up_after: LONG };
            let status = Arc::new(Status::new());
            let alerts = Alerts::new(Vec::new(), columns(), false, Some(address.to_owned()), retry, status);
            alerts.map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(reason("here"), "the webhook \"here\" is not an address: give one such as http://host/path");
        assert_eq!(reason("ftp://host/"), "a webhook is asked by http or https, not by ftp");
        #[cfg(not(feature = "tls"))]
        assert_eq!(
            reason("https://host/"),
            "a webhook with https needs TLS: build with `--features tls`, or give one with http"
        );
    }

    #[test]
    fn any_strategy_and_id_make_a_header() {
        let session = Session { id: "É\n\u{7f}".to_owned(), ..session() };
        let alert = Alert { number: 0, rule: "", strategy: "日\r\n", session: &session };
        assert_eq!(alert.idempotency_key().unwrap().as_bytes(), "日__-É__-0-0".as_bytes());
    }
}
