//! Objects in a bucket of S3.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use axum::body::Bytes;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::CHECKPOINT;
use crate::retry::{Passing, Retry, explain};
use crate::shutdown;
use crate::status::Status;

/// A bucket, or the part of it whose names begin alike.
///
/// S3 has no locks. Instead the checkpoint is only ever put in place of the one that this process read
/// or wrote last: of two consumers, the one that comes second is refused, and says so.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    client: Client,
    bucket: Arc<str>,
    /// Empty, or ends in `/`.
    prefix: Arc<str>,
    retry: Retry,
    status: Arc<Status>,
    /// Held while the checkpoint is read or written.
    checkpoint: Arc<Mutex<Known>>,
    /// The most names in one answer; the service's own limit if there is none.
    page: Option<i32>,
    /// Cancelled when the end is asked for.
    stop: CancellationToken,
}

/// How long to wait for an answer once the end is asked for.
const HURRIED: Duration = Duration::from_secs(3);

/// The least speed of a connection, in bytes a second, for a large object to be written.
const SLOWEST: u64 = 256 * 1024;

/// What this process knows of the checkpoint.
#[derive(Debug)]
enum Known {
    /// It has not looked.
    Nothing,
    /// There was none.
    Absent,
    /// There was one, with this ETag.
    Tag(String),
}

/// An object, and its ETag.
struct Found {
    bytes: Vec<u8>,
    tag: Option<String>,
}

impl S3 {
    pub(crate) fn new(client: Client, bucket: &str, prefix: &str, retry: Retry, status: Arc<Status>) -> Self {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self {
            client,
            bucket: bucket.into(),
            prefix: prefix.into(),
            retry,
            status,
            checkpoint: Arc::new(Mutex::new(Known::Nothing)),
            page: None,
            stop: CancellationToken::new(),
        }
    }

    pub(super) fn hurried_by(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Tries again as [`Retry`] does. Once the end is asked for, a request without an answer is given up
    /// for a new one, which a server that is back may answer.
    async fn run<T, E, F>(&self, what: &str, bytes: usize, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: Passing + fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        loop {
            let tried = self.retry.run(what, &self.status, &mut attempt);
            match shutdown::until(&self.stop, HURRIED + transfer(bytes), tried).await {
                Some(outcome) => return outcome,
                None => self.status.retried(what, false, "no answer"),
            }
        }
    }

    /// Makes an empty object of this name, if there is none: who may do so may write others.
    pub(crate) async fn check_writable(&self, name: &str) -> Result<()> {
        let nothing = Bytes::new();
        match self.run("S3 PutObject", 0, || self.put_once(name, &nothing, &Known::Absent)).await {
            Err(error) if !is_conflict(&error) => {
                Err(explain(error)).with_context(|| format!("cannot write {}", self.address(name)))
            }
            _ => Ok(()),
        }
    }

    /// One request: S3 shows an object whole or not at all.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let bytes = Bytes::from(bytes);
        let put = async {
            if name == CHECKPOINT {
                return self.put_checkpoint(&bytes).await;
            }
            let put = || self.put_once(name, &bytes, &Known::Nothing);
            self.run("S3 PutObject", bytes.len(), put).await.map(drop).map_err(explain)
        };
        put.await.with_context(|| format!("cannot write {}", self.address(name)))
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if name != CHECKPOINT {
            return Ok(self.read(name).await?.map(|found| found.bytes));
        }
        let mut known = self.checkpoint.lock().await;
        let found = self.read(name).await?;
        *known = Known::from_reading(found.as_ref());
        Ok(found.map(|found| found.bytes))
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        let delete = || self.client.delete_object().bucket(&*self.bucket).key(self.key(name)).send();
        let deleted = self.run("S3 DeleteObject", 0, delete).await;
        deleted.map(drop).map_err(explain).with_context(|| format!("cannot delete {}", self.address(name)))
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next = None;
        loop {
            let request = self.client.list_objects_v2().bucket(&*self.bucket).prefix(self.key(prefix));
            let request = request.set_max_keys(self.page).set_continuation_token(next);
            let listed = self.run("S3 ListObjectsV2", 0, || request.clone().send()).await;
            let page = listed.map_err(explain).with_context(|| format!("cannot list {}", self.address(prefix)))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            names.extend(keys.filter_map(|key| key.strip_prefix(&*self.prefix)).map(str::to_owned));
            next = page.next_continuation_token;
            if next.is_none() {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    /// Notes which checkpoint is there. Another consumer with the same one is noticed as soon as the
    /// second of the two commits.
    pub(crate) async fn claim(&mut self) -> Result<()> {
        self.get(CHECKPOINT).await.map(drop)
    }

    pub(crate) fn place(&self) -> String {
        self.address("").trim_end_matches('/').to_owned()
    }

    /// Puts the checkpoint in the place of the one that is known, and of no other.
    async fn put_checkpoint(&self, bytes: &Bytes) -> Result<()> {
        let mut known = self.checkpoint.lock().await;
        if let Known::Nothing = *known {
            *known = Known::from_reading(self.read(CHECKPOINT).await?.as_ref());
        }
        let mut attempts = 0;
        let put = || {
            attempts += 1;
            self.put_once(CHECKPOINT, bytes, &known)
        };
        let tag = match self.run("S3 PutObject", bytes.len(), put).await {
            Ok(put) => put.e_tag,
            Err(error) if is_conflict(&error) && attempts > 1 => self.tag_of(bytes).await?,
            Err(error) if is_conflict(&error) => return self.conflict(),
            Err(error) => return Err(explain(error)),
        };
        *known = tag.map_or(Known::Nothing, Known::Tag);
        Ok(())
    }

    /// The ETag of the checkpoint, if it is the one that an attempt without an answer was to write.
    async fn tag_of(&self, bytes: &[u8]) -> Result<Option<String>> {
        match self.read(CHECKPOINT).await? {
            Some(found) if found.bytes == bytes => Ok(found.tag),
            _ => self.conflict(),
        }
    }

    fn conflict<T>(&self) -> Result<T> {
        bail!(
            "another consumer has written or deleted it since this one read it: let only one work in {}, \
             and give the other a --state of its own",
            self.place()
        )
    }

    /// Puts an object in the place of the one that is known, or of any where nothing is.
    async fn put_once(
        &self,
        name: &str,
        bytes: &Bytes,
        known: &Known,
    ) -> Result<PutObjectOutput, SdkError<PutObjectError>> {
        let body = ByteStream::from(bytes.clone());
        let request = self.client.put_object().bucket(&*self.bucket).key(self.key(name)).body(body);
        let request = match known {
            Known::Nothing => request,
            Known::Absent => request.if_none_match("*"),
            Known::Tag(tag) => request.if_match(tag),
        };
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(patience(bytes.len())).build();
        request.customize().config_override(Config::builder().timeout_config(timeouts)).send().await
    }

    async fn read(&self, name: &str) -> Result<Option<Found>> {
        let read = || async {
            let request = self.client.get_object().bucket(&*self.bucket).key(self.key(name));
            match request.send().await {
                Ok(answer) => Found::from_answer(answer).await.map(Some).map_err(Unread::Cut),
                Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => Ok(None),
                Err(error) => Err(Unread::Refused(Box::new(error))),
            }
        };
        let found = self.run("S3 GetObject", 0, read).await;
        found.map_err(Unread::explain).with_context(|| format!("cannot read {}", self.address(name)))
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn address(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.key(name))
    }
}

fn transfer(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / SLOWEST)
}

/// How long one attempt to write this number of bytes may take.
fn patience(bytes: usize) -> Duration {
    Duration::from_secs(30) + transfer(bytes)
}

impl Known {
    fn from_reading(found: Option<&Found>) -> Self {
        match found {
            None => Self::Absent,
            Some(Found { tag: Some(tag), .. }) => Self::Tag(tag.clone()),
            Some(_) => Self::Nothing,
        }
    }
}

impl Found {
    async fn from_answer(answer: GetObjectOutput) -> Result<Self, ByteStreamError> {
        let bytes = answer.body.collect().await?.to_vec();
        Ok(Self { bytes, tag: answer.e_tag })
    }
}

/// Whether the condition of a request did not hold: the checkpoint is another one, or gone.
fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().is_some_and(|error| matches!(error.code(), Some("PreconditionFailed" | "NoSuchKey")))
}

/// Why an object was not read to its end.
#[derive(Debug)]
enum Unread {
    Refused(Box<SdkError<GetObjectError>>),
    Cut(ByteStreamError),
}

impl Unread {
    fn explain(self) -> anyhow::Error {
        match self {
            Self::Refused(error) => explain(*error),
            Self::Cut(error) => anyhow::Error::from(error),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Cut(error) => error.fmt(f),
        }
    }
}

impl Passing for Unread {
    fn is_passing(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_passing(),
            Self::Cut(_) => true,
        }
    }

    fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused(error) if error.is_throttling())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::aws::Aws;
    use crate::stand_in::{Asked, PATIENT, StandIn, answer, serve};
    use crate::store::Store;

    async fn bucket(stand_in: &StandIn, prefix: &str) -> Store {
        let aws = stand_in.aws().await;
        // It may be there already.
        let _ = aws.s3().unwrap().create_bucket().bucket("sessions").send().await;
        let status = Arc::new(Status::new());
        Store::parse(&format!("s3://sessions{prefix}"), &aws, PATIENT, status).unwrap()
    }

    #[tokio::test]
    async fn objects_are_put_read_listed_and_deleted() {
        let Some(stand_in) = StandIn::start() else { return };
        let store = bucket(&stand_in, "/clicks/").await;
        let root = bucket(&stand_in, "").await;
        assert_eq!(store.place(), "s3://sessions/clicks");
        assert_eq!(root.place(), "s3://sessions");

        let large: Vec<u8> = (0..6_000_000_u32).map(|at| (at % 251) as u8).collect();
        store.put("rows/large", large.clone()).await.unwrap();
        assert_eq!(store.get("rows/large").await.unwrap(), Some(large));
        store.put("rows/large", b"small".to_vec()).await.unwrap();
        assert_eq!(store.get("rows/large").await.unwrap(), Some(b"small".to_vec()));
        assert_eq!(root.get("clicks/rows/large").await.unwrap(), Some(b"small".to_vec()));

        store.delete("rows/large").await.unwrap();
        store.delete("rows/large").await.unwrap();
        assert_eq!(store.get("rows/large").await.unwrap(), None);
    }

    #[tokio::test]
    async fn lists_go_over_several_pages() {
        let Some(stand_in) = StandIn::start() else { return };
        let (clicks, others) = (bucket(&stand_in, "/clicks").await, bucket(&stand_in, "/clicks-too").await);
        let names: Vec<String> = (0..10).map(|at| format!("rows/a b={at}.jsonl")).collect();
        for name in &names {
            clicks.put(name, Vec::new()).await.unwrap();
            others.put("rows/other", Vec::new()).await.unwrap();
        }
        clicks.put("waiting/1", Vec::new()).await.unwrap();

        let Store::S3(mut clicks) = clicks else { panic!("not a bucket") };
        for page in [None, Some(3), Some(5), Some(1)] {
            clicks.page = page;
            assert_eq!(clicks.list("rows/").await.unwrap(), names, "{page:?}");
            assert_eq!(clicks.list("").await.unwrap().len(), 11, "{page:?}");
            assert!(clicks.list("none").await.unwrap().is_empty(), "{page:?}");
        }
    }

    #[tokio::test]
    async fn of_two_consumers_the_second_to_commit_is_refused() {
        let Some(stand_in) = StandIn::start() else { return };
        // With no checkpoint at first, then with one.
        for turn in 0..2 {
            let (mut first, mut second) = (bucket(&stand_in, "").await, bucket(&stand_in, "").await);
            first.claim().await.unwrap();
            second.claim().await.unwrap();
            first.put(CHECKPOINT, format!("{turn}, first").into()).await.unwrap();
            first.put(CHECKPOINT, format!("{turn}, first again").into()).await.unwrap();
            for _ in 0..2 {
                let error = second.put(CHECKPOINT, format!("{turn}, second").into()).await.unwrap_err();
                assert!(format!("{error:#}").contains("another consumer"), "{error:#}");
            }
            let kept = first.get(CHECKPOINT).await.unwrap().unwrap();
            assert_eq!(kept, format!("{turn}, first again").into_bytes());
            first.put(CHECKPOINT, format!("{turn}, first for the last time").into()).await.unwrap();
            second.put("rows/1", Vec::new()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_checkpoint_that_is_gone_is_not_made_anew() {
        let Some(stand_in) = StandIn::start() else { return };
        let (mut store, other) = (bucket(&stand_in, "").await, bucket(&stand_in, "").await);
        store.put(CHECKPOINT, b"1".to_vec()).await.unwrap();
        store.claim().await.unwrap();
        other.delete(CHECKPOINT).await.unwrap();
        let error = store.put(CHECKPOINT, b"2".to_vec()).await.unwrap_err();
        assert!(format!("{error:#}").contains("another consumer has written or deleted it"), "{error:#}");
    }

    #[tokio::test]
    async fn a_bucket_that_is_not_there_is_named() {
        let Some(stand_in) = StandIn::start() else { return };
        let aws = stand_in.aws().await;
        let store = Store::parse("s3://nowhere/at/all", &aws, PATIENT, Arc::new(Status::new())).unwrap();
        let error = format!("{:#}", store.put("row", Vec::new()).await.unwrap_err());
        assert!(error.starts_with("cannot write s3://nowhere/at/all/row: NoSuchBucket: "), "{error}");
        assert!(store.get("row").await.is_err() && store.list("").await.is_err());
    }

    #[tokio::test]
    async fn addresses_are_told_from_paths() {
        let aws = Aws::at("http://127.0.0.1:1".to_owned()).await;
        let parse = |text| Store::parse(text, &aws, PATIENT, Arc::new(Status::new()));
        assert!(matches!(parse("out/s3"), Ok(Store::Dir(_))));
        assert_eq!(parse("s3://b").unwrap().place(), "s3://b");
        assert_eq!(parse("s3://b//a/b//").unwrap().place(), "s3://b/a/b");
        assert!(parse("s3:///a").unwrap_err().to_string().contains("write s3://BUCKET"));
    }

    /// A server with one object, which loses the answer to the first time that it is written. After
    /// that, somebody else may have written it.
    async fn forgetful(others: Option<&'static str>) -> S3 {
        let object = std::sync::Mutex::new(None);
        let aws = serve(move |asked: Asked| {
            let mut object = object.lock().unwrap();
            match (asked.method.as_str(), &*object) {
                ("GET", None) => answer(404, "<Error><Code>NoSuchKey</Code></Error>"),
                ("GET", Some(found)) => answer(200, Bytes::clone(found)),
                (_, None) => {
                    assert_eq!(asked.headers["if-none-match"], "*");
                    *object = Some(others.map_or(asked.body, Bytes::from));
                    None
                }
                (_, Some(_)) => answer(412, "<Error><Code>PreconditionFailed</Code></Error>"),
            }
        })
        .await;
        S3::new(aws.s3().unwrap(), "b", "", PATIENT, Arc::new(Status::new()))
    }

    #[tokio::test]
    async fn a_lost_answer_is_no_other_consumer() {
        let store = forgetful(None).await;
        store.put(CHECKPOINT, b"mine".to_vec()).await.unwrap();
        assert_eq!(store.status.now().retries, 1);

        let store = forgetful(Some("another's")).await;
        let error = store.put(CHECKPOINT, b"mine".to_vec()).await.unwrap_err();
        assert!(format!("{error:#}").contains("another consumer"), "{error:#}");
    }

    /// A server that ends two of its answers in the middle.
    async fn breaking_off() -> Aws {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for body in ["who", "", "whole"] {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = [0; 16 * 1024];
                assert!(connection.read(&mut request).await.unwrap() > 0);
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n{body}");
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Aws::at(format!("http://{address}")).await
    }

    #[tokio::test]
    async fn an_object_that_breaks_off_is_read_again() {
        let client = breaking_off().await.s3().unwrap();
        let store = S3::new(client, "b", "", PATIENT, Arc::new(Status::new()));
        assert_eq!(store.get("name").await.unwrap(), Some(b"whole".to_vec()));
        assert_eq!(store.status.now().retries, 2);
    }

    #[test]
    fn large_objects_may_take_their_time() {
        assert_eq!(patience(1_000).as_secs(), 30);
        assert_eq!(patience(64 << 20).as_secs(), 30 + 256);
    }
}
