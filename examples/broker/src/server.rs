//! Connections: each has a thread, and its requests are answered in their order, as the protocol wants it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{self as m, ApiKey, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Encodable, decode_request_header_from_buffer};

use crate::cluster::{Cluster, NODE, answered, text};
use crate::errors;
use crate::groups::Join;
use crate::journal::{Entry, Journal};

/// No request is larger.
const LARGEST: usize = 128 << 20;
/// How often time passes for groups and transactions.
const TICK: Duration = Duration::from_millis(50);

/// The requests that are understood. Versions end before those that name topics by their ids.
const VERSIONS: [(ApiKey, i16, i16); 24] = [
    (ApiKey::Produce, 3, 8),
    (ApiKey::Fetch, 4, 11),
    (ApiKey::ListOffsets, 1, 5),
    (ApiKey::Metadata, 0, 8),
    (ApiKey::OffsetCommit, 2, 7),
    (ApiKey::OffsetFetch, 1, 7),
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::JoinGroup, 0, 5),
    (ApiKey::Heartbeat, 0, 3),
    (ApiKey::LeaveGroup, 0, 1),
    (ApiKey::SyncGroup, 0, 3),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 4),
    (ApiKey::DeleteTopics, 1, 3),
    (ApiKey::CreatePartitions, 0, 1),
    (ApiKey::DeleteRecords, 0, 1),
    (ApiKey::DescribeConfigs, 1, 1),
    (ApiKey::SaslHandshake, 0, 1),
    (ApiKey::SaslAuthenticate, 0, 1),
    (ApiKey::InitProducerId, 0, 1),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 3),
    (ApiKey::EndTxn, 0, 3),
    (ApiKey::TxnOffsetCommit, 0, 3),
];

/// A broker that listens on this machine, until its process ends.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    /// What a client must say first, if it must, in the form of SASL's mechanism PLAIN.
    password: Option<Bytes>,
    refusing: Refusing,
    cluster: Mutex<Cluster>,
    /// Written to while the cluster is locked: so its order is that in which entries are carried out.
    journal: Mutex<Option<Journal>>,
    /// Something that a request may wait for has changed.
    changed: Condvar,
}

impl Broker {
    /// Listens on a port of this machine; on any that is free for 0. With a journal it goes on from what that file holds,
    /// and outlives its process in it.
    ///
    /// # Errors
    /// If the port is taken, or the journal cannot be read.
    pub fn start(port: u16, journal: Option<&Path>) -> Result<Self> {
        Self::start_with(port, journal, None, Refusing::default())
    }

    /// In memory, on any port. Of the commits of offsets in transactions, every so many is refused, as those are that come
    /// while the group changes. None for 0.
    ///
    /// # Errors
    /// If no port is free.
    pub fn refusing(every: u64) -> Result<Self> {
        Self::start_with(0, None, None, Refusing { every, asked: AtomicU64::new(0) })
    }

    /// In memory, on any port. A client must give user and password, by SASL's mechanism PLAIN.
    ///
    /// # Errors
    /// If no port is free.
    pub fn with_password(user: &str, password: &str) -> Result<Self> {
        Self::start_with(0, None, Some(format!("\0{user}\0{password}").into()), Refusing::default())
    }

    fn start_with(port: u16, journal: Option<&Path>, password: Option<Bytes>, refusing: Refusing) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("cannot listen on port {port} of this machine: choose another with --port"))?;
        let address = listener.local_addr()?;
        let mut cluster = Cluster::default();
        let journal = journal.map(|path| Journal::open(path, |entry| replay(&mut cluster, entry))).transpose()?;
        let (cluster, journal) = (Mutex::new(cluster), Mutex::new(journal));
        let shared = Arc::new(Shared { address, password, refusing, cluster, journal, changed: Condvar::new() });
        let (ticking, accepting) = (Arc::clone(&shared), shared);
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                ticking.tick();
            }
        });
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(connection));
            }
        });
        Ok(Self { address })
    }

    /// What `bootstrap.servers` must be to reach it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }
}

/// Every so many of some requests is refused; none if that is 0.
#[derive(Debug, Default)]
struct Refusing {
    every: u64,
    asked: AtomicU64,
}

impl Refusing {
    fn is_next(&self) -> bool {
        (self.asked.fetch_add(1, Ordering::Relaxed) + 1).checked_rem(self.every) == Some(0)
    }
}

impl Shared {
    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the client goes, or sends bytes that are no request.
    fn serve(&self, mut connection: TcpStream) {
        let _ = connection.set_nodelay(true);
        let mut may_ask = self.password.is_none();
        while let Ok(Some(frame)) = read_frame(&mut connection) {
            let Ok(answer) = self.answer(frame, &mut may_ask) else { return };
            if answer.is_some_and(|answer| connection.write_all(&answer).is_err()) {
                return;
            }
        }
    }

    /// Nothing to say to a producer that wants no acknowledgement.
    fn answer(&self, mut frame: Bytes, may_ask: &mut bool) -> Result<Option<BytesMut>> {
        ensure!(frame.len() >= 8, "too short for a header");
        let key = ApiKey::try_from(i16::from_be_bytes([frame[0], frame[1]])).ok().context("an unknown request")?;
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let whole = frame.clone();
        let known = VERSIONS.iter().find(|(known, ..)| *known == key);
        let is_known = known.is_some_and(|(_, min, max)| (*min..=*max).contains(&version));
        if key == ApiKey::ApiVersions {
            let (code, version) = if is_known { (errors::NONE, version) } else { (errors::UNSUPPORTED_VERSION, 0) };
            return framed(&api_versions(code).into(), key, version, correlation).map(Some);
        }
        ensure!(is_known, "a request of a version that was not offered");
        let header = decode_request_header_from_buffer(&mut frame)?;
        let client = header.client_id.as_ref().map_or("client", |id| id.as_str()).to_owned();
        let request = RequestKind::decode(key, &mut frame, version)?;
        if let Some(response) = self.authenticate(&request, may_ask) {
            return framed(&response, key, version, correlation).map(Some);
        }
        ensure!(*may_ask, "a client that has not said who it is");
        let wants_none = matches!(&request, RequestKind::Produce(request) if request.acks == 0);
        let response = self.respond(request, whole, &client, version)?;
        if wants_none { Ok(None) } else { framed(&response, key, version, correlation).map(Some) }
    }

    fn authenticate(&self, request: &RequestKind, may_ask: &mut bool) -> Option<ResponseKind> {
        let plain = text("PLAIN");
        Some(match request {
            RequestKind::SaslHandshake(request) => {
                let is_known = request.mechanism == plain && self.password.is_some();
                let code = if is_known { errors::NONE } else { errors::UNSUPPORTED_SASL_MECHANISM };
                m::SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(vec![plain]).into()
            }
            RequestKind::SaslAuthenticate(request) => {
                *may_ask = self.password.as_ref() == Some(&request.auth_bytes);
                let code = if *may_ask { errors::NONE } else { errors::SASL_AUTHENTICATION_FAILED };
                let message = (!*may_ask).then(|| text("user or password is wrong"));
                m::SaslAuthenticateResponse::default().with_error_code(code).with_error_message(message).into()
            }
            _ => return None,
        })
    }

    fn respond(&self, request: RequestKind, frame: Bytes, client: &str, version: i16) -> Result<ResponseKind> {
        let now = Instant::now();
        Ok(match request {
            RequestKind::Fetch(request) => self.fetch(&request).into(),
            RequestKind::JoinGroup(request) => self.join(request, client, version).into(),
            RequestKind::SyncGroup(request) => self.sync(&request).into(),
            RequestKind::Metadata(request) => self.cluster().metadata(&request, self.address).into(),
            RequestKind::ListOffsets(request) => self.cluster().list_offsets(&request).into(),
            RequestKind::DescribeConfigs(request) => self.cluster().describe_configs(&request).into(),
            RequestKind::OffsetFetch(request) => self.cluster().offset_fetch(&request).into(),
            RequestKind::FindCoordinator(_) => m::FindCoordinatorResponse::default()
                .with_node_id(NODE)
                .with_host(text(&self.address.ip().to_string()))
                .with_port(i32::from(self.address.port()))
                .into(),
            RequestKind::Heartbeat(request) => {
                let mut cluster = self.cluster();
                let group = cluster.groups.entry(request.group_id.as_str().to_owned()).or_default();
                let code = group.heartbeat(request.member_id.as_str(), request.generation_id, now);
                m::HeartbeatResponse::default().with_error_code(code).into()
            }
            RequestKind::LeaveGroup(request) => {
                let id = request.group_id.as_str().to_owned();
                let code =
                    self.change(|cluster| cluster.groups.entry(id).or_default().leave(request.member_id.as_str(), now));
                m::LeaveGroupResponse::default().with_error_code(code).into()
            }
            RequestKind::TxnOffsetCommit(request) if self.refusing.is_next() => {
                answered(&request, errors::ILLEGAL_GENERATION).into()
            }
            request => self.keep(&request, frame, now)?,
        })
    }

    fn write(&self, entry: &Entry) -> Result<()> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.as_mut().map_or(Ok(()), |journal| journal.write(entry))
    }

    /// First written, then carried out, then answered.
    fn keep(&self, request: &RequestKind, frame: Bytes, now: Instant) -> Result<ResponseKind> {
        self.change(|cluster| {
            if !cluster.is_refused(request, now) {
                self.write(&Entry::Request(frame))?;
            }
            cluster.keep(request, now).context("a request that was not offered")
        })
    }

    fn tick(&self) {
        self.change(|cluster| {
            for id in cluster.tick(Instant::now()) {
                if self.write(&Entry::Expired(id.clone())).is_ok() {
                    cluster.expire(&id);
                }
            }
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Cluster) -> T) -> T {
        let done = change(&mut self.cluster());
        self.changed.notify_all();
        done
    }

    /// Asks again after each change, until there is an answer or the time is over.
    fn wait<T>(&self, until: Option<Instant>, mut ask: impl FnMut(&mut Cluster, bool) -> Option<T>) -> T {
        let mut cluster = self.cluster();
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if let Some(answer) = ask(&mut cluster, left == Some(Duration::ZERO)) {
                return answer;
            }
            let wait = self.changed.wait_timeout(cluster, left.unwrap_or(TICK));
            cluster = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn fetch(&self, request: &m::FetchRequest) -> m::FetchResponse {
        let until = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let enough = usize::try_from(request.min_bytes).unwrap_or(0);
        self.wait(Some(until), |cluster, is_over| {
            let (response, bytes) = cluster.fetch(request);
            let is_wrong = |of: &m::fetch_response::PartitionData| of.error_code != errors::NONE;
            let wrong = response.responses.iter().any(|topic| topic.partitions.iter().any(is_wrong));
            (is_over || bytes >= enough || wrong).then_some(response)
        })
    }

    fn join(&self, request: m::JoinGroupRequest, client: &str, version: i16) -> m::JoinGroupResponse {
        let id = request.group_id.as_str().to_owned();
        let millis = |millis: i32| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        let join = Join {
            member: request.member_id.as_str().to_owned(),
            client: client.to_owned(),
            needs_id: version >= 4,
            session_timeout: millis(request.session_timeout_ms),
            rebalance_timeout: millis(request.rebalance_timeout_ms.max(request.session_timeout_ms)),
            protocol_type: request.protocol_type.as_str().to_owned(),
            protocols: request.protocols.into_iter().map(|of| (of.name.as_str().to_owned(), of.metadata)).collect(),
        };
        let failed = |code, member: &str| {
            m::JoinGroupResponse::default().with_error_code(code).with_generation_id(-1).with_member_id(text(member))
        };
        let joining = self.change(|cluster| cluster.groups.entry(id.clone()).or_default().join(join, Instant::now()));
        let member = match joining {
            Ok(member) => member,
            Err((code, member)) => return failed(code, &member),
        };
        match self.wait(None, |cluster, _| cluster.groups.entry(id.clone()).or_default().joined(&member)) {
            Err(code) => failed(code, &member),
            Ok(joined) => {
                self.changed.notify_all();
                let of = |(member, words): &(String, Bytes)| {
                    JoinGroupResponseMember::default().with_member_id(text(member)).with_metadata(words.clone())
                };
                m::JoinGroupResponse::default()
                    .with_generation_id(joined.generation)
                    .with_protocol_name(Some(text(&joined.protocol)))
                    .with_leader(text(&joined.leader))
                    .with_member_id(text(&joined.member))
                    .with_members(joined.members.iter().map(of).collect())
            }
        }
    }

    fn sync(&self, request: &m::SyncGroupRequest) -> m::SyncGroupResponse {
        let (id, member) = (request.group_id.as_str().to_owned(), request.member_id.as_str());
        let all = request.assignments.iter().map(|of| (of.member_id.as_str().to_owned(), of.assignment.clone()));
        let all = all.collect();
        let code = self.change(|cluster| {
            cluster.groups.entry(id.clone()).or_default().sync(member, request.generation_id, all, Instant::now())
        });
        if code != errors::NONE {
            return m::SyncGroupResponse::default().with_error_code(code);
        }
        let waited = self.wait(None, |cluster, _| {
            cluster.groups.entry(id.clone()).or_default().assignment(member, request.generation_id)
        });
        match waited {
            Ok(assignment) => m::SyncGroupResponse::default().with_assignment(assignment),
            Err(code) => m::SyncGroupResponse::default().with_error_code(code),
        }
    }
}

/// Carries an entry of the journal out again.
fn replay(cluster: &mut Cluster, entry: Entry) -> Result<()> {
    let mut frame = match entry {
        Entry::Request(frame) => frame,
        Entry::Expired(id) => {
            cluster.expire(&id);
            return Ok(());
        }
    };
    ensure!(frame.len() >= 4, "too short for a header");
    let key = ApiKey::try_from(i16::from_be_bytes([frame[0], frame[1]])).ok().context("an unknown request")?;
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    decode_request_header_from_buffer(&mut frame)?;
    let mut request = RequestKind::decode(key, &mut frame, version)?;
    // Its sender was a member of the group. Nobody is one now.
    match &mut request {
        RequestKind::OffsetCommit(of) => (of.member_id, of.generation_id_or_member_epoch) = (text(""), -1),
        RequestKind::TxnOffsetCommit(of) => (of.member_id, of.generation_id) = (text(""), -1),
        _ => {}
    }
    cluster.keep(&request, Instant::now()).map(drop).context("a request that changes nothing")
}

fn api_versions(code: errors::Code) -> m::ApiVersionsResponse {
    let of = |&(key, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max)
    };
    m::ApiVersionsResponse::default().with_error_code(code).with_api_keys(VERSIONS.iter().map(of).collect())
}

fn framed(response: &ResponseKind, key: ApiKey, version: i16, correlation: i32) -> Result<BytesMut> {
    let mut answer = BytesMut::zeroed(4);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut answer, key.response_header_version(version))?;
    response.encode(&mut answer, version)?;
    let length = i32::try_from(answer.len() - 4)?;
    answer[..4].copy_from_slice(&length.to_be_bytes());
    Ok(answer)
}

fn read_frame(from: &mut impl Read) -> std::io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= LARGEST);
    let mut frame = vec![0; length.ok_or(ErrorKind::InvalidData)?];
    from.read_exact(&mut frame)?;
    Ok(Some(frame.into()))
}
