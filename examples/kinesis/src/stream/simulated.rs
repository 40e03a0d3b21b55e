//! A Kinesis whose whole history is known beforehand, in simulated time: the readers of the program ask it
//! through the SDK, without a network. Its purpose: for any history of the shards, any
//! answers of the server and any time of reading, the records come in one order.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use aws_sdk_kinesis::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use base64::Engine as _;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stagger::Timestamp;
use tokio::time::Instant;

use super::feed::{Feed, Progress};
use super::{Reading, Start};
use crate::retry::Retry;
use crate::status::Status;

/// 2020-01-01, in milliseconds: this machine's clock is far ahead.
const EPOCH: i64 = 1_577_836_800_000;
const SLACK: Duration = Duration::from_secs(2);
/// In milliseconds; together with what arrivals lie back, less than the slack.
const LATEST_VISIBLE: i64 = 900;
const LONGEST_LAG: i64 = 900;
const LONGEST_JITTER: i64 = 400;

/// What happens to a stream.
#[derive(Clone, Debug)]
enum Action {
    /// Records of these hashes, in parts of 256 of all.
    Put(Vec<u8>),
    Split(usize),
    Merge(usize),
    Recount(usize),
}

/// How a server may answer.
#[derive(Clone, Debug)]
struct Manner {
    /// At the end of a closed shard: `MillisBehindLatest` 0, or the time since its end.
    says_zero: bool,
    /// How many pages without records come before the one without a next iterator; none: the last page with
    /// records has no next one.
    pages_before_null: Option<usize>,
    /// By how much ListShards is behind, in milliseconds, and how much later still it has every other
    /// shard.
    lag: i64,
    later: i64,
    /// Whether the shards of UpdateShardCount have parents.
    names_parents: bool,
    /// Whether arrivals have whole seconds.
    is_coarse: bool,
    shards_in_a_page: usize,
    records_in_a_page: usize,
}

#[derive(Debug)]
struct Shard {
    /// The shards that it takes keys over from, and those of them that it names.
    follows: Vec<usize>,
    parents: Vec<usize>,
    hashes: RangeInclusive<u128>,
    opened: i64,
    closed: Option<i64>,
    records: Vec<Stored>,
}

#[derive(Debug)]
struct Stored {
    arrival: i64,
    visible: i64,
}

/// All that ever happens to it.
#[derive(Debug)]
struct History {
    manner: Manner,
    shards: Vec<Shard>,
    end: i64,
}

impl History {
    /// `actions`, each some milliseconds after the one before.
    fn new(shards: usize, actions: &[(i64, Action)], manner: Manner, seed: u64) -> Self {
        let mut history = Self { manner, shards: Vec::new(), end: 0 };
        let mut random = StdRng::seed_from_u64(seed);
        history.open_evenly(shards, 0, false);
        for (after, action) in actions {
            history.end += after;
            let (now, open) = (history.end, history.open());
            match action {
                Action::Put(hashes) => hashes.iter().for_each(|hash| history.put(*hash, now, &mut random)),
                Action::Split(number) => history.split(open[number % open.len()], now),
                Action::Merge(number) if open.len() > 1 => {
                    let first = number % (open.len() - 1);
                    history.merge([open[first], open[first + 1]], now);
                }
                Action::Merge(_) => {}
                Action::Recount(count) => {
                    open.iter().for_each(|shard| history.shards[*shard].closed = Some(now));
                    history.open_evenly(*count, now, history.manner.names_parents);
                }
            }
        }
        history
    }

    /// Those that take records, in the order of their hashes.
    fn open(&self) -> Vec<usize> {
        let mut open: Vec<usize> =
            (0..self.shards.len()).filter(|&shard| self.shards[shard].closed.is_none()).collect();
        open.sort_by_key(|&shard| *self.shards[shard].hashes.start());
        open
    }

    fn add(&mut self, follows: Vec<usize>, names_them: bool, hashes: RangeInclusive<u128>, opened: i64) {
        let parents = if names_them { follows.clone() } else { Vec::new() };
        self.shards.push(Shard { follows, parents, hashes, opened, closed: None, records: Vec::new() });
    }

    fn open_evenly(&mut self, count: usize, now: i64, names_parents: bool) {
        let all = self.shards.len();
        for number in 0..count as u128 {
            let width = u128::MAX / count as u128;
            let last = if number + 1 == count as u128 { u128::MAX } else { (number + 1) * width - 1 };
            let hashes = number * width..=last;
            let overlaps = |shard: &usize| {
                let other = &self.shards[*shard];
                other.closed == Some(now)
                    && other.hashes.start() <= hashes.end()
                    && hashes.start() <= other.hashes.end()
            };
            let follows: Vec<usize> = (0..all).filter(overlaps).collect();
            let names_them = names_parents && follows.len() <= 2;
            self.add(follows, names_them, hashes, now);
        }
    }

    fn split(&mut self, shard: usize, now: i64) {
        let (first, last) = (*self.shards[shard].hashes.start(), *self.shards[shard].hashes.end());
        if last - first < 1_000 {
            return;
        }
        let middle = first + (last - first) / 2;
        self.shards[shard].closed = Some(now);
        self.add(vec![shard], true, first..=middle, now);
        self.add(vec![shard], true, middle + 1..=last, now);
    }

    fn merge(&mut self, both: [usize; 2], now: i64) {
        both.iter().for_each(|shard| self.shards[*shard].closed = Some(now));
        let hashes = *self.shards[both[0]].hashes.start()..=*self.shards[both[1]].hashes.end();
        self.add(both.to_vec(), true, hashes, now);
    }

    fn put(&mut self, hash: u8, now: i64, random: &mut StdRng) {
        let hash = u128::from(hash) << 120;
        let is_it = |shard: &Shard| shard.closed.is_none() && shard.hashes.contains(&hash);
        let number = self.shards.iter().position(is_it).unwrap();
        let mut arrival = now - random.random_range(0..=LONGEST_JITTER);
        if self.manner.is_coarse {
            arrival = now.div_euclid(1_000) * 1_000;
        }
        arrival = arrival.max(self.since(number));
        let shard = &mut self.shards[number];
        let visible = now + random.random_range(0..=LATEST_VISIBLE);
        let visible = shard.records.last().map_or(visible, |before| before.visible.max(visible));
        shard.records.push(Stored { arrival, visible });
    }

    /// What arrives in a shard, and in its children, arrives after its opening if nothing else tells that
    /// it comes after records of other shards.
    fn since(&self, shard: usize) -> i64 {
        let Shard { parents, opened, .. } = &self.shards[shard];
        parents.iter().map(|parent| self.since(*parent)).max().unwrap_or(*opened)
    }

    /// When ListShards has a shard at the earliest: not before those that it follows.
    fn listed(&self) -> Vec<i64> {
        let mut listed: Vec<i64> = Vec::new();
        for (number, Shard { follows, opened, .. }) in self.shards.iter().enumerate() {
            let late = if *opened == 0 { 0 } else { self.manner.later * (number % 2) as i64 };
            let since = follows.iter().map(|before| listed[*before]).fold(opened + late, i64::max);
            listed.push(since);
        }
        listed
    }

    /// Arrival, shard and place of all records in the one order. With a time to begin with: without those
    /// of each shard that come before the first one as young.
    fn expected(&self, start: Option<i64>) -> Vec<(i64, usize, usize)> {
        let mut ends: Vec<i64> = Vec::new();
        let mut expected = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let mut arrival = shard.parents.iter().map(|parent| ends[*parent]).max().unwrap_or(i64::MIN);
            let is_earlier = |(_, record): &(usize, &Stored)| start.is_some_and(|start| record.arrival < start);
            for (place, record) in shard.records.iter().enumerate().skip_while(is_earlier) {
                arrival = arrival.max(record.arrival);
                expected.push((arrival, number, place));
            }
            ends.push(arrival);
        }
        expected.sort_unstable();
        expected
    }
}

fn id(shard: usize) -> String {
    format!("shardId-{shard:012}")
}

fn number(id: &str) -> usize {
    id.rsplit('-').next().unwrap().parse().unwrap()
}

/// The server: the history up to now.
#[derive(Debug)]
struct Simulated {
    history: Arc<History>,
    began: Instant,
    random: Mutex<StdRng>,
}

impl Simulated {
    fn now(&self) -> i64 {
        self.began.elapsed().as_millis() as i64
    }

    fn chance(&self, one_in: u32) -> bool {
        self.random.lock().unwrap().random_ratio(1, one_in)
    }

    fn answer(&self, operation: &str, asked: &Value) -> Result<Value, &'static str> {
        match operation {
            "ListShards" => Ok(self.list_shards(asked)),
            "GetShardIterator" => Ok(self.shard_iterator(asked)),
            "GetRecords" if self.chance(40) => Err("ExpiredIteratorException"),
            "GetRecords" if self.chance(40) => Err("ProvisionedThroughputExceededException"),
            "GetRecords" => Ok(self.records(asked)),
            other => panic!("{other}"),
        }
    }

    fn list_shards(&self, asked: &Value) -> Value {
        let History { manner, shards, .. } = &*self.history;
        // A stream is listed from its first moment on.
        let then = (self.now() - manner.lag).max(0);
        let from = asked["ExclusiveStartShardId"].as_str().map_or(0, |id| number(id) + 1);
        let since = self.history.listed();
        let listed: Vec<usize> = (from..shards.len()).filter(|&shard| since[shard] <= then).collect();
        let shard = |&number: &usize| {
            let shard = &shards[number];
            let mut listed = json!({
                "ShardId": id(number),
                "HashKeyRange": {
                    "StartingHashKey": shard.hashes.start().to_string(),
                    "EndingHashKey": shard.hashes.end().to_string(),
                },
                "SequenceNumberRange": {"StartingSequenceNumber": "0"},
            });
            if shard.closed.is_some_and(|closed| closed <= then) {
                listed["SequenceNumberRange"]["EndingSequenceNumber"] = "1".into();
            }
            for (parent, name) in shard.parents.iter().zip(["ParentShardId", "AdjacentParentShardId"]) {
                listed[name] = id(*parent).into();
            }
            listed
        };
        let page: Vec<Value> = listed.iter().take(manner.shards_in_a_page).map(shard).collect();
        match listed.len() > page.len() {
            true => json!({"Shards": page, "NextToken": "more"}),
            false => json!({"Shards": page}),
        }
    }

    fn shard_iterator(&self, asked: &Value) -> Value {
        let shard = number(asked["ShardId"].as_str().unwrap());
        let records = &self.history.shards[shard].records;
        let place = match asked["ShardIteratorType"].as_str().unwrap() {
            "AFTER_SEQUENCE_NUMBER" => asked["StartingSequenceNumber"].as_str().unwrap().parse::<usize>().unwrap() + 1,
            "AT_TIMESTAMP" => {
                let time = (asked["Timestamp"].as_f64().unwrap() * 1e3).round() as i64 - EPOCH;
                let mut visible = records.iter().take_while(|record| record.visible <= self.now());
                let at_the_end = visible.clone().count();
                visible.position(|record| record.arrival >= time).unwrap_or(at_the_end)
            }
            _ => 0,
        };
        json!({"ShardIterator": format!("{shard}/{place}/0")})
    }

    fn records(&self, asked: &Value) -> Value {
        let (manner, now) = (&self.history.manner, self.now());
        let parts: Vec<usize> =
            asked["ShardIterator"].as_str().unwrap().split('/').map(|part| part.parse().unwrap()).collect();
        let [number, place, empty] = parts[..] else { panic!("{asked}") };
        let shard = &self.history.shards[number];
        let visible = shard.records.iter().take_while(|record| record.visible <= now).count();
        let next = |place: usize, empty: usize| Some(format!("{number}/{place}/{empty}"));
        let is_closed = shard.closed.is_some_and(|closed| closed <= now);
        if place < visible && self.chance(10) {
            return page(&[], 1_000, next(place, 0)); // on the way
        }
        if place < visible {
            let to = visible.min(place + manner.records_in_a_page);
            let records: Vec<Value> = (place..to).map(|place| record(place, &shard.records[place])).collect();
            let is_last = is_closed && to == shard.records.len() && manner.pages_before_null.is_none();
            let behind = if to < visible { 1_000 } else { 0 };
            return page(&records, behind, if is_last { None } else { next(to, 0) });
        }
        if !is_closed || place < shard.records.len() {
            return page(&[], 0, next(place, 0));
        }
        let behind = if manner.says_zero { 0 } else { now - shard.closed.unwrap() };
        let is_last = manner.pages_before_null.is_none_or(|pages| empty >= pages);
        page(&[], behind, if is_last { None } else { next(place, empty + 1) })
    }
}

fn page(records: &[Value], behind: i64, next: Option<String>) -> Value {
    let mut page = json!({"Records": records, "MillisBehindLatest": behind});
    if let Some(next) = next {
        page["NextShardIterator"] = next.into();
    }
    page
}

fn record(place: usize, stored: &Stored) -> Value {
    json!({
        "SequenceNumber": place.to_string(),
        "ApproximateArrivalTimestamp": (EPOCH + stored.arrival) as f64 / 1e3,
        "PartitionKey": "key",
        "Data": base64::engine::general_purpose::STANDARD.encode("data"),
    })
}

#[derive(Clone, Debug)]
struct Connector(Arc<Simulated>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let server = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let way = |server: &Simulated| Duration::from_millis(server.random.lock().unwrap().random_range(0..40));
            tokio::time::sleep(way(&server)).await;
            let target = request.headers().get("x-amz-target").unwrap();
            let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let (status, body) = match server.answer(target.rsplit('.').next().unwrap(), &asked) {
                Ok(answer) => (200, answer),
                Err(code) => (400, json!({"__type": code, "message": "made up"})),
            };
            let date = DateTime::from_secs((EPOCH + server.now()).div_euclid(1_000)).fmt(DateTimeFormat::HttpDate);
            tokio::time::sleep(way(&server)).await;
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
            response.headers_mut().insert("content-type", "application/x-amz-json-1.1");
            response.headers_mut().insert("date", date.unwrap());
            Ok(response)
        })
    }
}

/// One who reads the stream, now and then.
struct Reader {
    server: Arc<Simulated>,
    client: aws_sdk_kinesis::Client,
    start: Start,
    taken: Vec<(i64, usize, usize)>,
    checkpoint: Checkpoint,
    ruled_out: u64,
}

/// Where it goes on.
#[derive(Clone)]
struct Checkpoint {
    taken: usize,
    passed: Timestamp,
    progress: Progress,
}

impl Reader {
    fn new(history: &Arc<History>, start: Option<i64>, seed: u64) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let server = Arc::new(Simulated { history: Arc::clone(history), began: Instant::now(), random });
        let connector = SharedHttpConnector::new(Connector(Arc::clone(&server)));
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "made up"))
            .endpoint_url("http://simulated")
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let client = aws_sdk_kinesis::Client::from_conf(config.build());
        let checkpoint = Checkpoint { taken: 0, passed: Timestamp::MIN, progress: Progress::default() };
        let start = start.map_or(Start::TrimHorizon, |start| Start::At(Timestamp::from_millis(EPOCH + start)));
        Self { server, client, start, taken: Vec::new(), checkpoint, ruled_out: 0 }
    }

    /// Goes on from the checkpoint until that time, or until all of the history has passed. Then it is as if
    /// killed: records after the last checkpoint are forgotten.
    async fn read(&mut self, until: Option<Duration>, checkpoint_every: Duration) {
        let reading = Reading {
            start: self.start,
            poll_every: Duration::from_secs(1),
            is_paced: false,
            arrival_slack: SLACK,
            page: 1_000,
        };
        let (retry, status) = (Retry { give_up_after: Duration::from_secs(60) }, Arc::new(Status::new()));
        let mut feed = Feed::new(self.client.clone(), "simulated".to_owned(), reading, retry, status);
        let Checkpoint { taken, mut passed, progress } = self.checkpoint.clone();
        self.taken.truncate(taken);
        feed.begin(progress, passed).await.unwrap();
        let end = Timestamp::from_millis(EPOCH + self.server.history.end);
        let stop = Instant::now() + until.unwrap_or(Duration::from_secs(3_600));
        let mut due = Instant::now();
        while Instant::now() < stop && passed <= end {
            while let Some(next) = feed.next().unwrap() {
                let arrival = (next.arrival.as_micros() + 500) / 1_000 - EPOCH; // seconds come as a float
                self.taken.push((arrival, number(&next.shard), next.record.sequence.parse().unwrap()));
                passed = next.arrival;
            }
            passed = passed.max(feed.frontier().unwrap());
            if Instant::now() >= due {
                self.checkpoint = Checkpoint { taken: self.taken.len(), passed, progress: feed.progress() };
                due += checkpoint_every;
            }
            let news =
                tokio::time::timeout_at(stop.min(due.max(Instant::now() + Duration::from_millis(1))), feed.news());
            if let Ok(news) = news.await {
                news.unwrap();
            }
        }
        assert!(until.is_some() || passed > end, "it does not come to the end");
        self.ruled_out += feed.ruled_out();
    }
}

/// Runs a test in simulated time.
fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(test)
}

fn manners() -> impl Strategy<Value = Manner> {
    let pages = prop_oneof![Just(None), (0usize..4).prop_map(Some)];
    let lags = (0..=LONGEST_LAG, prop_oneof![Just(0_i64), 0_i64..5_000]);
    (any::<[bool; 3]>(), pages, lags, 1usize..6, 1usize..20).prop_map(
        |(
            [says_zero, names_parents, is_coarse],
            pages_before_null,
            (lag, later),
            shards_in_a_page,
            records_in_a_page,
        )| Manner {
            says_zero,
            pages_before_null,
            lag,
            later,
            names_parents,
            is_coarse,
            shards_in_a_page,
            records_in_a_page,
        },
    )
}

fn actions() -> impl Strategy<Value = Vec<(i64, Action)>> {
    let action = prop_oneof![
        5 => prop::collection::vec(any::<u8>(), 1..8).prop_map(Action::Put),
        3 => (0usize..8).prop_map(Action::Split),
        2 => (0usize..8).prop_map(Action::Merge),
        1 => (1usize..6).prop_map(Action::Recount),
    ];
    let after = prop_oneof![Just(0_i64), 0_i64..50, 0_i64..5_000];
    prop::collection::vec((after, action), 1..30)
}

/// Time to read, to the next checkpoint, and to do nothing; in milliseconds.
fn sittings() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    prop::collection::vec((1u64..15_000, 100u64..5_000, 0u64..20_000), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("STAGGER_HISTORIES").map_or(20, |cases| cases.parse().unwrap())
    ))]

    /// Live, later and after any pauses, killed at any moment in between.
    #[test]
    fn the_order_is_that_of_the_history(
        shards in 1usize..4,
        actions in actions(),
        manner in manners(),
        sittings in sittings(),
        start in prop::option::weighted(0.3, 0.0..1.0_f64),
        seed in any::<u64>(),
    ) {
        let history = Arc::new(History::new(shards, &actions, manner, seed));
        let start = start.map(|part| (history.end as f64 * part) as i64);
        let expected = history.expected(start);
        let often = Duration::from_secs(1);

        let live = simulate(async {
            let mut live = Reader::new(&history, start, seed);
            live.read(None, often).await;
            live
        });
        prop_assert_eq!(&live.taken, &expected, "live");
        prop_assert_eq!(live.ruled_out, 0);

        let later = simulate(async {
            let mut later = Reader::new(&history, start, seed);
            tokio::time::sleep(Duration::from_millis(history.end as u64 + 60_000)).await;
            later.read(None, often).await;
            later
        });
        prop_assert_eq!(&later.taken, &expected, "later");
        prop_assert_eq!(later.ruled_out, 0);

        let paused = simulate(async {
            let mut paused = Reader::new(&history, start, seed);
            for (reads, checkpoints, sleeps) in &sittings {
                let [reads, checkpoints, sleeps] = [reads, checkpoints, sleeps].map(|millis| Duration::from_millis(*millis));
                paused.read(Some(reads), checkpoints).await;
                tokio::time::sleep(sleeps).await;
            }
            paused.read(None, often).await;
            paused
        });
        prop_assert_eq!(&paused.taken, &expected, "paused");
        prop_assert_eq!(paused.ruled_out, 0);
    }
}
