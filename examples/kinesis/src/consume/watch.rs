//! The figures over HTTP: `/metrics` for Prometheus, `/healthz` for a supervisor that restarts a stalled consumer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::status::{Now, Status};

/// A consumer that takes no step for this time holds rows up.
const STALLED_AFTER: Duration = Duration::from_secs(120);

/// Listens until told to stop; open connections are cut off then.
pub(super) async fn listen(address: SocketAddr, status: Arc<Status>, stop: CancellationToken) -> Result<()> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}: choose another with --listen"))?;
    let address = listener.local_addr().context("the system does not tell on which port it listens")?;
    tracing::info!("metrics are at http://{address}/metrics, health is at http://{address}/healthz");
    let router =
        Router::new().route("/metrics", get(answer_metrics)).route("/healthz", get(answer_health)).with_state(status);
    tokio::spawn(stop.run_until_cancelled_owned(async move { axum::serve(listener, router).await }));
    Ok(())
}

async fn answer_metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    ([("content-type", metrics::CONTENT_TYPE)], metrics::text(&status.now(), Instant::now()))
}

async fn answer_health(State(status): State<Arc<Status>>) -> impl IntoResponse {
    match health(&status.now(), Instant::now()) {
        Ok(text) => (StatusCode::OK, text),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

/// A sentence on how it is; an error where it takes no steps any more.
fn health(now: &Now, at: Instant) -> Result<String, String> {
    let since = at.saturating_duration_since(now.last_step.unwrap_or(now.started));
    if since < STALLED_AFTER {
        return Ok("ok\n".to_owned());
    }
    let trouble = now.troubles.back().map_or(String::new(), |trouble| format!("; the last trouble: {trouble}"));
    Err(format!("no step for {} s{trouble}\n", since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_healthy_while_it_takes_steps() {
        let status = Status::new();
        let begin = status.now().started;
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(health(&status.now(), at(119)).is_ok(), "the first checkpoint is read meanwhile");
        assert_eq!(health(&status.now(), at(120)).unwrap_err(), "no step for 120 s\n");
        status.change(|now| now.last_step = Some(at(100)));
        assert!(health(&status.now(), at(219)).is_ok());
        status.trouble("S3 PutObject: no answer".to_owned());
        let told = health(&status.now(), at(225)).unwrap_err();
        assert_eq!(told, "no step for 125 s; the last trouble: S3 PutObject: no answer\n");
    }
}
