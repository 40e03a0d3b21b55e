//! Sessions that fulfil a rule are told at once: on the terminal, and to a webhook.
//!
//! The article does this with a Lambda function, for instance for sessions shorter than 20 seconds.
//! No session waits for the webhook: [`super::webhook`] has the queue.

mod rule;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use events::columns::Columns;
use rows::SessionRow;
use serde_json::json;

use super::webhook::{Post, Webhook};
use crate::status::Status;

pub(crate) use rule::Rule;

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
    pub(crate) fn new(
        rules: Vec<Rule>,
        columns: Columns,
        stdout: bool,
        webhook: Option<Webhook>,
        status: Arc<Status>,
    ) -> Self {
        Self { rules, columns, stdout, webhook, status }
    }

    /// Tells each rule that a session fulfils, in order. An error is one of the terminal.
    pub(crate) fn check(&self, strategy: &str, session: &SessionRow) -> Result<()> {
        for (number, rule) in self.rules.iter().enumerate() {
            if rule.holds(session) {
                self.tell(&Alert { number, rule: rule.text(), strategy, session })?;
            }
        }
        Ok(())
    }

    pub(crate) fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    fn tell(&self, alert: &Alert<'_>) -> Result<()> {
        self.status.alert(alert.words(&self.columns));
        if self.stdout {
            writeln!(std::io::stdout(), "{}", alert.line(&self.columns)).context("cannot write an alert")?;
        }
        if let Some(webhook) = &self.webhook {
            webhook.add(alert.post(&self.columns));
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
    session: &'a SessionRow,
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
        let row = serde_json::Value::Object(self.session.json(columns));
        format!("alert ({}): {}: {row}", self.strategy, self.rule)
    }

    fn post(&self, columns: &Columns) -> Post {
        let Self { rule, strategy, session, .. } = self;
        let body = json!({ "rule": rule, "strategy": strategy, "session": session.json(columns) });
        let about = format!("{rule} for session {}", session.id);
        Post { key: self.idempotency_key(), about, body: body.to_string() }
    }

    /// Sessions of two strategies may have the same id.
    fn idempotency_key(&self) -> String {
        let Self { number, strategy, session, .. } = self;
        let key = format!("{strategy}-{}-{}-{number}", session.id, session.revision);
        key.replace(|c: char| c.is_control(), "_")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use stagger::Timestamp;

    use super::*;
    use crate::retry::Retry;

    pub(super) fn columns() -> Columns {
        Columns::declared(&["user_id:int", "device_id"]).unwrap()
    }

    pub(super) fn session() -> SessionRow {
        SessionRow {
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

    #[tokio::test]
    async fn every_rule_that_holds_is_posted() {
        let status = Arc::new(Status::new());
        let rules = ["duration < 20s", "events > 500", "reason = range"];
        let rules = rules.iter().map(|rule| Rule::parse(rule, &columns()).unwrap()).collect();
        let nobody = "http://127.0.0.1:9/"; // the posts wait
        let retry = Retry { give_up_after: Duration::from_secs(60) };
        let webhook = Webhook::new(nobody, retry, Vec::new(), Arc::clone(&status)).unwrap();
        let alerts = Alerts::new(rules, columns(), false, Some(webhook), Arc::clone(&status));
        alerts.check("minute", &session()).unwrap();
        let corrected = SessionRow { revision: 1, supersedes: vec!["0".to_owned()], events: 501, ..session() };
        alerts.check("minute", &corrected).unwrap();
        let long = SessionRow { end: Timestamp::from_secs(90), reason: "gap".to_owned(), revision: 2, ..session() };
        alerts.check("minute", &long).unwrap();
        let posts = alerts.webhook().unwrap().waiting();
        let keys: Vec<&str> = posts.iter().map(|post| post.key.as_str()).collect();
        let expected = ["0123abcd-0-0", "0123abcd-0-2", "0123abcd-1-0", "0123abcd-1-1", "0123abcd-1-2"];
        assert_eq!(keys, expected.map(|key| format!("minute-{key}")));
        let row = Value::Object(session().json(&columns()));
        let body: Value = serde_json::from_str(&posts[0].body).unwrap();
        assert_eq!(body, json!({ "rule": "duration < 20s", "strategy": "minute", "session": row }));
        assert_eq!(posts[0].about, "duration < 20s for session 0123abcd");
        let now = status.now();
        assert_eq!(now.alerts, 5);
        assert!(now.recent_alerts[0].ends_with(" s (duration < 20s)"), "{}", now.recent_alerts[0]);
    }

    #[test]
    fn any_strategy_and_id_make_a_header() {
        let session = SessionRow { id: "É\n\u{7f}".to_owned(), ..session() };
        let alert = Alert { number: 0, rule: "", strategy: "日\r\n", session: &session };
        let key = alert.idempotency_key();
        assert_eq!(key, "日__-É__-0-0");
        assert!(reqwest::header::HeaderValue::from_bytes(key.as_bytes()).is_ok());
    }
}
