//! What tests talk to in the place of AWS: ministack, and small servers that fail in the ways a test
//! asks for.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method};
use axum::response::Response;

use crate::aws::Aws;
use crate::retry::Retry;

#[path = "../tests/support/ministack.rs"]
mod ministack;

pub(crate) use ministack::StandIn;

/// Long enough for all failures of a test to pass.
pub(crate) const PATIENT: Retry = Retry { give_up_after: Duration::from_secs(15) };
/// For what never passes.
pub(crate) const HASTY: Retry = Retry { give_up_after: Duration::from_millis(300) };

impl StandIn {
    pub(crate) async fn aws(&self) -> Aws {
        Aws::at(self.endpoint().to_owned()).await
    }
}

/// A request, as a server of a test sees it.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A server until the end of the test. Where `answer` gives none, the connection is dropped.
pub(crate) async fn serve(answer: impl Fn(Asked) -> Option<Response> + Send + Sync + 'static) -> Aws {
    let answer = Arc::new(answer);
    let handler = async move |method: Method, headers: HeaderMap, body: Bytes| {
        // Without the hook that would tell of a panic: this only ends the connection.
        answer(Asked { method, headers, body }).unwrap_or_else(|| std::panic::resume_unwind(Box::new("dropped")))
    };
    let router = Router::new().fallback(handler).layer(DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    Aws::at(format!("http://{address}")).await
}

/// An answer with this status and body.
pub(crate) fn answer(status: u16, body: impl Into<axum::body::Body>) -> Option<Response> {
    Some(Response::builder().status(status).body(body.into()).unwrap())
}
