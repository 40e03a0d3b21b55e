//! One question to the server: when it was asked, by this machine's clock and by the server's.
//!
//! Arrival times come from the server's clock, so "everything that arrived before the question has been
//! read" must be said by that clock. The `Date` header of the answer tells it, in whole seconds.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_kinesis::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use chrono::Utc;
use stagger::Timestamp;
use tokio::time::Instant;

/// Give it to the request as an interceptor, and ask it afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    sent: Instant,
    sent_at: Timestamp,
    attempt: Arc<Mutex<Attempt>>,
}

/// The last attempt: the times before and after it, and the server's in between.
#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    sent_at: Option<Timestamp>,
    answered: Option<Answered>,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    at: Timestamp,
    date: Timestamp,
}

impl Asked {
    pub(crate) fn now() -> Self {
        Self { sent: Instant::now(), sent_at: Timestamp::from(Utc::now()), attempt: Arc::default() }
    }

    pub(crate) fn sent(&self) -> Instant {
        self.sent
    }

    /// A time of the server's clock at which the question had not been answered yet: that in the header, or
    /// the time of sending by this machine's clock, put forward by as much as that clock is certainly
    /// behind. The earlier one; so it does not matter by how much this machine's clock is wrong.
    pub(crate) fn as_of(&self) -> Timestamp {
        let Some(Answered { at, date }) = self.attempt().answered else { return self.sent_at };
        date.min(self.sent_at + date.since(at))
    }

    /// How far this machine's clock is ahead of the server's, in microseconds; negative if it is behind,
    /// and zero if the two may agree.
    pub(crate) fn clock_ahead(&self) -> i64 {
        let Attempt { sent_at: Some(sent_at), answered: Some(answered) } = self.attempt() else { return 0 };
        let [sent, received, date] = [sent_at, answered.at, answered.date].map(Timestamp::as_micros);
        let at_least = sent - (date + 1_000_000); // the header has whole seconds
        let at_most = received - date;
        if at_least > 0 { at_least } else { at_most.min(0) }
    }

    fn attempt(&self) -> Attempt {
        *self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Attempt)) {
        change(&mut self.attempt.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Intercept for Asked {
    fn name(&self) -> &'static str {
        "Asked"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.change(|attempt| *attempt = Attempt { sent_at: Some(Timestamp::from(Utc::now())), answered: None });
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let at = Timestamp::from(Utc::now());
        let date = context.response().headers().get("date").and_then(parse);
        self.change(|attempt| attempt.answered = date.map(|date| Answered { at, date }));
        Ok(())
    }
}

fn parse(date: &str) -> Option<Timestamp> {
    DateTime::from_str(date, DateTimeFormat::HttpDate).ok().map(|date| Timestamp::from_secs(date.secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question sent at second 100, whose answer came half a second later with this date.
    fn asked(date: Option<i64>) -> Asked {
        let sent_at = Timestamp::from_secs(100);
        let answered =
            date.map(|date| Answered { at: Timestamp::from_micros(100_500_000), date: Timestamp::from_secs(date) });
        let attempt = Attempt { sent_at: Some(sent_at), answered };
        Asked { sent: Instant::now(), sent_at, attempt: Arc::new(Mutex::new(attempt)) }
    }

    #[test]
    fn it_does_not_matter_how_wrong_this_machines_clock_is() {
        let as_of = |date| asked(date).as_of().as_micros() / 1_000_000;
        assert_eq!(as_of(None), 100);
        assert_eq!(as_of(Some(100)), 100);
        assert_eq!(as_of(Some(40)), 40, "this machine is ahead");
        assert_eq!(as_of(Some(160)), 159, "this machine is behind by 59.5 s at least");
    }

    #[test]
    fn only_what_is_certain_is_told_of_the_clocks() {
        let ahead = |date| asked(date).clock_ahead();
        assert_eq!(ahead(None), 0);
        assert_eq!(ahead(Some(99)), 0, "the server's clock may have said 99.99");
        assert_eq!(ahead(Some(100)), 0);
        assert_eq!(ahead(Some(101)), -500_000);
        assert_eq!(ahead(Some(90)), 9_000_000);
    }

    #[test]
    fn the_header_is_understood() {
        assert_eq!(parse("Fri, 27 Nov 2026 18:22:43 GMT"), Some(Timestamp::from_secs(1_795_803_763)));
        assert_eq!(parse("yesterday"), None);
    }
}
