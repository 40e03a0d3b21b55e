//! Trying again: bounded, with growing and jittered pauses, and counted.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use backon::{ExponentialBuilder, Retryable};

use crate::status::Status;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long to go on trying.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    /// Pauses in all, before an error is passed on.
    pub(crate) give_up_after: Duration,
}

impl Retry {
    /// Tries until it works, the error is one that does not pass, or the time is up. `what` says what
    /// is tried, for those who watch.
    pub(crate) async fn run<T, E, F>(&self, what: &str, status: &Status, attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: Passing + Display,
        F: Future<Output = Result<T, E>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_total_delay(Some(self.give_up_after));
        let noted = |error: &E, _| status.retried(what, error.is_throttling(), &error.words());
        attempt.retry(pauses).when(E::is_passing).notify(noted).await
    }
}

/// An error that may be gone the next time.
pub(crate) trait Passing {
    /// Whether it is worth trying again.
    fn is_passing(&self) -> bool;

    /// Whether the other side asked for fewer requests.
    fn is_throttling(&self) -> bool;

    /// The failures, for those who watch.
    fn words(&self) -> String
    where
        Self: Display,
    {
        self.to_string()
    }
}

/// What services say when they are asked too much.
const THROTTLING: [&str; 9] = [
    "ProvisionedThroughputExceededException",
    "KMSThrottlingException",
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The message when they fail.
const FAILING: [&str; 8] = [
    "ConditionalRequestConflict",
    "InternalError",
    "InternalFailure",
    "InternalFailureException",
    "InternalServerError",
    "InternalServiceFault",
    "RequestTimeout",
    "ServiceUnavailable",
];

impl<E: ProvideErrorMetadata> Passing for SdkError<E> {
    fn is_passing(&self) -> bool {
        match self {
            Self::TimeoutError(_) | Self::ResponseError(_) => true,
            Self::DispatchFailure(failure) => !failure.is_user(),
            Self::ServiceError(error) => {
                let is_failing = error.err().code().is_some_and(|code| FAILING.contains(&code));
                is_failing || error.raw().status().is_server_error() || self.is_throttling()
            }
            _ => false,
        }
    }

    fn is_throttling(&self) -> bool {
        self.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(|code| THROTTLING.contains(&code))
    }

    /// The error's own text says only what kind it is.
    fn words(&self) -> String {
        match self {
            Self::ServiceError(error) => told(error.err()),
            Self::DispatchFailure(failure) => {
                failure.as_connector_error().map_or_else(|| self.to_string(), |error| deepest(error))
            }
            _ => self.to_string(),
        }
    }
}

/// As the service tells it.
fn told(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("error");
    error.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
}

/// The cause of all causes: `Connection refused` rather than `io error`.
fn deepest(mut error: &(dyn std::error::Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// One sentence out of an error of the SDK, whose own text says only what kind it is.
pub(crate) fn explain<E>(error: SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = &error else { return anyhow::Error::from(error) };
    match service.err().code() {
        Some(_) => anyhow::Error::msg(told(service.err())),
        None => anyhow::anyhow!("the server answered with status {} and no reason", service.raw().status()),
    }
}
