//! Posts to a webhook, beside the pipeline.
//!
//! Posts wait in a bounded queue, and one task sends them one after another. Adding a post never waits:
//! one that finds the queue full is given up, and so is one that is not taken in time. Both are counted.
//! A post leaves the queue when its fate is known, so a checkpoint that holds the queue loses none.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::retry::{Passing, Retry};
use crate::status::Status;

/// The name among the sinks.
pub(crate) const WEBHOOK: &str = "webhook";

/// Bounds of the queue; a post has some 400 bytes.
const MOST_POSTS: usize = 10_000;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// A post that is not taken in this time is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A post that waits; part of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    /// The same again if the same events are read again, so that the receiver can tell.
    pub(super) key: String,
    /// Rule and session, for messages.
    pub(super) about: String,
    /// JSON.
    pub(super) body: String,
}

impl Post {
    fn bytes(&self) -> usize {
        self.key.len() + self.about.len() + self.body.len()
    }
}

/// A webhook, and the posts that it has not taken yet. Dropping it ends the sending.
#[derive(Debug)]
pub(crate) struct Webhook {
    queue: watch::Sender<Queue>,
    status: Arc<Status>,
    _sending: DropGuard,
}

#[derive(Debug, Default)]
struct Queue {
    posts: VecDeque<Post>,
    bytes: usize,
    /// Posts that were given up since the webhook is away.
    missed: u64,
    /// Whether a post has found it full since it was last empty.
    has_overflowed: bool,
}

impl Webhook {
    /// Starts to send. `waiting` are the posts of an earlier run; they go first.
    pub(crate) fn new(address: &str, retry: Retry, waiting: Vec<Post>, status: Arc<Status>) -> Result<Self> {
        let to = Endpoint::new(address, retry)?;
        let bytes = waiting.iter().map(Post::bytes).sum();
        status.sink(WEBHOOK, |sink| sink.waiting = waiting.len() as u64);
        let queue = watch::Sender::new(Queue { posts: waiting.into(), bytes, ..Queue::default() });
        let stop = CancellationToken::new();
        let sending = send_all(to, queue.clone(), Arc::clone(&status));
        tokio::spawn(stop.clone().run_until_cancelled_owned(sending));
        Ok(Self { queue, status, _sending: stop.drop_guard() })
    }

    /// Never waits.
    pub(super) fn add(&self, post: Post) {
        let mut overflows = false;
        self.queue.send_if_modified(|queue| {
            let is_full = queue.posts.len() >= MOST_POSTS || queue.bytes + post.bytes() > MOST_BYTES;
            if is_full {
                overflows = !std::mem::replace(&mut queue.has_overflowed, true);
                self.status.sink(WEBHOOK, |sink| sink.failed += 1);
                return false;
            }
            self.status.sink(WEBHOOK, |sink| sink.waiting += 1);
            queue.bytes += post.bytes();
            queue.posts.push_back(post);
            true
        });
        if overflows {
            let waiting = self.queue.borrow().posts.len();
            self.status
                .trouble(format!("{WEBHOOK}: {waiting} alerts wait, and no more can: those that come are given up"));
        }
    }

    /// Waits until nothing waits, or one more is given up since the webhook is away: so would the others.
    pub(crate) async fn drain(&self) {
        let mut queue = self.queue.subscribe();
        let before = queue.borrow().missed;
        let _ = queue.wait_for(|queue| queue.posts.is_empty() || queue.missed > before).await; // its sender is here
    }

    pub(crate) fn waiting(&self) -> Vec<Post> {
        self.queue.borrow().posts.iter().cloned().collect()
    }
}

/// Sends the first of the queue, again and again.
async fn send_all(to: Endpoint, queue: watch::Sender<Queue>, status: Arc<Status>) {
    let mut waiting = queue.subscribe();
    loop {
        let first = match waiting.wait_for(|queue| !queue.posts.is_empty()).await {
            Ok(queue) => queue.posts.front().cloned(),
            Err(_) => return,
        };
        let Some(post) = first else { continue };
        let outcome = to.deliver(&post, &status).await;
        queue.send_modify(|queue| {
            queue.posts.pop_front();
            queue.bytes -= post.bytes();
            queue.missed += u64::from(outcome.as_ref().is_err_and(|given_up| given_up.is_away));
            queue.has_overflowed &= !queue.posts.is_empty();
            status.sink(WEBHOOK, |sink| {
                sink.waiting -= 1;
                sink.sent += u64::from(outcome.is_ok());
                sink.failed += u64::from(outcome.is_err());
            });
        });
        if let Err(GivenUp { why, .. }) = outcome {
            status.trouble(format!("{WEBHOOK}: {why}; given up: {}", post.about));
        }
    }
}

/// The server that takes posts.
#[derive(Debug)]
struct Endpoint {
    client: Client,
    address: Url,
    retry: Retry,
}

impl Endpoint {
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
            .timeout(ATTEMPT)
            // One that asks elsewhere is set up wrongly; a post that becomes a get would seem to work.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make a client for the webhook")?;
        let retry = Retry { give_up_after: retry.give_up_after.min(GIVE_UP_AFTER) };
        Ok(Self { client, address, retry })
    }

    /// Until it is delivered, refused or given up.
    async fn deliver(&self, post: &Post, status: &Status) -> Result<(), GivenUp> {
        let request = self.request(post).map_err(|error| GivenUp { why: format!("{error:#}"), is_away: false })?;
        let mut attempts: u64 = 0;
        let attempt = || {
            attempts += 1;
            self.once(&request)
        };
        let delivered = tokio::time::timeout(GIVE_UP_AFTER, self.retry.run(WEBHOOK, status, attempt)).await;
        status.sink(WEBHOOK, |sink| sink.retried += attempts.saturating_sub(1));
        match delivered {
            Ok(outcome) => {
                outcome.map_err(|failure| GivenUp { why: failure.to_string(), is_away: failure.is_passing() })
            }
            Err(_) => Err(GivenUp { why: format!("not taken within {} s", GIVE_UP_AFTER.as_secs()), is_away: true }),
        }
    }

    fn request(&self, post: &Post) -> Result<reqwest::Request> {
        let key = HeaderValue::from_bytes(post.key.as_bytes());
        let key = key.with_context(|| format!("`{}` cannot be a header", post.key))?;
        let request = self.client.post(self.address.clone()).header("Idempotency-Key", key);
        let request = request.header(CONTENT_TYPE, "application/json").body(post.body.clone());
        request.build().context("cannot make a request of an alert")
    }

    async fn once(&self, request: &reqwest::Request) -> Result<(), Failure> {
        // Only a body that is a stream cannot be copied.
        let request = request.try_clone().ok_or(Failure::Answer(StatusCode::BAD_REQUEST))?;
        let answer = self.client.execute(request).await.map_err(Failure::NoAnswer)?;
        if answer.status().is_success() { Ok(()) } else { Err(Failure::Answer(answer.status())) }
    }
}

/// Why a post will not be delivered.
#[derive(Debug)]
struct GivenUp {
    why: String,
    /// Whether that says nothing of this post: another would not be taken either.
    is_away: bool,
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
    use tokio::time::Instant;

    use super::*;

    type Posts = Arc<Mutex<(Vec<u16>, Vec<(String, String)>)>>;

    async fn take(
        State(posts): State<Posts>,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        assert_eq!(headers["content-type"], "application/json");
        let (answers, taken) = &mut *posts.lock().unwrap();
        taken.push((key, String::from_utf8(body.to_vec()).unwrap()));
        let answer = if answers.is_empty() { 204 } else { answers.remove(0) };
        (StatusCode::from_u16(answer).unwrap(), [("location", "/alerts")])
    }

    async fn listen(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/alerts?token=secret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// A webhook that gives these answers first, and then 204.
    async fn answering(answers: &[u16]) -> (String, Posts) {
        let posts: Posts = Arc::new(Mutex::new((answers.to_vec(), Vec::new())));
        let router = Router::new().route("/alerts", post(take)).with_state(Arc::clone(&posts));
        (listen(router).await, posts)
    }

    /// One that accepts and never answers.
    async fn silent() -> String {
        listen(Router::new().fallback(std::future::pending::<()>)).await
    }

    /// One that nobody listens at.
    async fn absent() -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/secret", listener.local_addr().unwrap())
    }

    fn start(address: &str, waiting: Vec<Post>) -> (Webhook, Arc<Status>) {
        let status = Arc::new(Status::new());
        let retry = Retry { give_up_after: Duration::from_secs(300) };
        (Webhook::new(address, retry, waiting, Arc::clone(&status)).unwrap(), status)
    }

    fn post_of(number: usize) -> Post {
        Post { key: format!("k{number}"), about: format!("session {number}"), body: format!("{{\"n\":{number}}}") }
    }

    /// Sent, tried again, given up, waiting.
    fn counts(status: &Status) -> (u64, u64, u64, u64) {
        let sink = status.now().sinks[WEBHOOK];
        (sink.sent, sink.retried, sink.failed, sink.waiting)
    }

    async fn until_empty(webhook: &Webhook) {
        let all = async { _ = webhook.queue.subscribe().wait_for(|queue| queue.posts.is_empty()).await };
        tokio::time::timeout(Duration::from_secs(1_000), all).await.expect("nothing waits for ever");
    }

    #[tokio::test]
    async fn posts_arrive_in_order_with_their_keys() {
        let (address, posts) = answering(&[]).await;
        let (webhook, status) = start(&address, vec![post_of(0)]);
        (1..4).for_each(|number| webhook.add(post_of(number)));
        webhook.drain().await;
        let expected: Vec<_> = (0..4).map(|number| (format!("k{number}"), format!("{{\"n\":{number}}}"))).collect();
        assert_eq!(posts.lock().unwrap().1, expected);
        assert!(webhook.waiting().is_empty());
        assert_eq!(counts(&status), (4, 0, 0, 0));
    }

    #[tokio::test]
    async fn an_answer_that_passes_is_asked_for_again_with_the_same_key() {
        let (address, posts) = answering(&[500, 429, 503]).await;
        let (webhook, status) = start(&address, vec![post_of(7)]);
        webhook.drain().await;
        let taken = posts.lock().unwrap().1.clone();
        assert_eq!(taken, vec![("k7".to_owned(), "{\"n\":7}".to_owned()); 4]);
        assert_eq!(counts(&status), (1, 3, 0, 0));
        let now = status.now();
        assert_eq!((now.retries, now.throttled), (3, 1));
        assert_eq!(now.troubles[0], "webhook: it answered 500 Internal Server Error; trying again");
    }

    #[tokio::test]
    async fn a_refused_post_is_not_sent_again_and_stops_nothing() {
        let (address, posts) = answering(&[400, 307]).await;
        let (webhook, status) = start(&address, (0..3).map(post_of).collect());
        webhook.drain().await;
        assert_eq!(posts.lock().unwrap().1.len(), 3);
        assert_eq!(counts(&status), (1, 0, 2, 0));
        let troubles = status.now().troubles;
        assert_eq!(troubles[0], "webhook: it answered 400 Bad Request; given up: session 0");
        assert_eq!(troubles.len(), 2);
    }

    /// Each is given up after a minute at most, by the clock of the test.
    #[tokio::test(start_paused = true)]
    async fn an_alert_that_nobody_takes_is_given_up_and_the_address_is_not_told() {
        let always_500 = listen(Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR })).await;
        for address in [silent().await, absent().await, always_500] {
            let (webhook, status) = start(&address, Vec::new());
            let began = Instant::now();
            (0..3).for_each(|number| webhook.add(post_of(number)));
            assert_eq!(began.elapsed(), Duration::ZERO, "adding does not wait");
            assert_eq!(counts(&status), (0, 0, 0, 3));
            webhook.drain().await;
            assert_eq!(webhook.waiting().len(), 2, "it is away: the others are not waited for");
            until_empty(&webhook).await;
            assert!(began.elapsed() <= 3 * (GIVE_UP_AFTER + Duration::from_secs(1)), "{:?}", began.elapsed());
            let (sent, retried, failed, waiting) = counts(&status);
            assert_eq!((sent, failed, waiting), (0, 3, 0));
            assert!(retried >= 3);
            let troubles = status.now().troubles;
            assert!(troubles.back().unwrap().ends_with("; given up: session 2"), "{troubles:?}");
            assert!(troubles.iter().all(|text| !text.contains("secret")), "{troubles:?}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_takes_no_more_and_tells_so_once() {
        let (webhook, status) = start(&silent().await, Vec::new());
        (0..MOST_POSTS + 5).for_each(|number| webhook.add(post_of(number)));
        let (_, _, failed, waiting) = counts(&status);
        assert_eq!((failed, waiting), (5, MOST_POSTS as u64));
        let full = status.now().troubles.iter().filter(|text| text.contains("and no more can")).count();
        assert_eq!(full, 1);

        let (webhook, status) = start(&silent().await, Vec::new());
        let long = |number| Post { body: "x".repeat(MOST_BYTES / 4), ..post_of(number) };
        (0..5).for_each(|number| webhook.add(long(number)));
        assert_eq!((counts(&status).2, webhook.waiting().len()), (2, 3), "bytes are bounded too");
    }

    #[tokio::test]
    async fn posts_that_wait_are_delivered_by_the_next_run() {
        let (webhook, _) = start(&silent().await, Vec::new());
        (0..3).for_each(|number| webhook.add(post_of(number)));
        let waiting = webhook.waiting();
        drop(webhook);
        assert_eq!(waiting.len(), 3, "also the one under way");
        let (address, posts) = answering(&[]).await;
        let (webhook, _) = start(&address, waiting);
        webhook.drain().await;
        let keys: Vec<String> = posts.lock().unwrap().1.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, ["k0", "k1", "k2"]);
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_at_once() {
        let reason = |address: &str| {
            let retry = Retry { give_up_after: Duration::from_secs(60) };
            Endpoint::new(address, retry).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(reason("here"), "the webhook \"here\" is not an address: give one such as http://host/path");
        assert_eq!(reason("ftp://host/"), "a webhook is asked by http or https, not by ftp");
        #[cfg(not(feature = "tls"))]
        assert_eq!(
            reason("https://host/"),
            "a webhook with https needs TLS: build with `--features tls`, or give one with http"
        );
    }
}
