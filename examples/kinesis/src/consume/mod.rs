//! `consume`: a stream in, sessions out, and a checkpoint that ties the two together.
//!
//! ```text
//! readers, one for each shard ── pages ──▶ merge ── records in one order ──▶ pipeline ── sessions ──▶ files, sinks
//!    ▲                                                                                                  │
//!    └────────────────── leave to read the next page, once a page is used up ◀── waits for them ────────┘
//! ```
//!
//! One task takes record after record and waits until files, Firehose and standard output have taken what
//! comes of it. While it waits, no page is used up, and no reader asks for another: memory holds two pages
//! of each shard. The webhook and CloudWatch have tasks of their own and are not waited for.
//!
//! An end that is asked for has a deadline ([`crate::shutdown`]). Unfinished work is dropped then,
//! as by a crash; the last checkpoint holds the rest.

mod metrics;
mod options;
mod progress;
mod sinks;
mod application;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rows::SessionRow;
use rows::columns::session_columns;
use rows::hours::hour_of;
use serde_json::{Map, Value};
use stagger::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use options::{Beginning, Misplaced, Options};

use crate::aws::Aws;
use crate::checkpoint::{Checkpoint, Header, Totals};
use crate::decode::Decoder;
use crate::kpl;
use crate::log;
use crate::output::{Content, Destination, ERRORS, Files, Layout, Pending, Row, Target};
use crate::pipeline::{Out, Pipeline};
use crate::retry::Retry;
use crate::shutdown;
use crate::sink::Undelivered;
use crate::status::{self, Status};
use crate::store::Store;
use crate::stream::about::{self, Made};
use crate::stream::feed::{Feed, Next, Progress};
use crate::stream::{Reading, Start};
use application::Application;
use events::rules::Named;
use sinks::Sinks;

/// How long it waits for news before it shows that it is still there.
const LONGEST_STEP: Duration = Duration::from_secs(5);
/// How often the figures are brought up to date while records come without end.
const RECORDS_BETWEEN_FIGURES: u32 = 1_000;

/// The subcommand: figures now and then while it runs, and at its end.
pub(crate) async fn alone(options: Options) -> Result<()> {
    let aws = Aws::new(options.source.endpoint.clone()).await;
    let status = Arc::new(Status::new());
    let stop = shutdown::on_signal_with_deadline();
    let (watch, bar) = (CancellationToken::new(), progress::bar());
    let _watched = watch.clone().drop_guard();
    log::start(options.watch.log_level.clone(), &bar);
    if let Some(address) = options.watch.listen {
        watch::listen(address, Arc::clone(&status), watch.clone()).await?;
    }
    let drawn = tokio::spawn(progress::draw(bar, Arc::clone(&status), watch.clone()));
    tokio::spawn(progress::report(options.watch.report_every, Arc::clone(&status), watch.clone()));
    let state = options.state.state.clone();
    let outcome = run(options, aws, Arc::clone(&status), stop, false).await;
    watch.cancel();
    let _ = drawn.await; // it has only drawn
    progress::close(&status.now(), state.as_deref());
    outcome
}

/// Reads until asked to stop. `quiet`: standard output belongs to a view.
pub(crate) async fn run(
    options: Options,
    aws: Aws,
    status: Arc<Status>,
    stop: CancellationToken,
    quiet: bool,
) -> Result<()> {
    let made = stop.run_until_cancelled(Consumer::new(&options, &aws, status, &stop, quiet)).await;
    let Some(consumer) = made else { return Ok(()) }; // nothing was taken yet
    let mut consumer = consumer?;
    match shutdown::until_deadline(&stop, consumer.work(&options, &stop)).await {
        Some(outcome) => outcome,
        None => consumer.cut_off(),
    }
}

struct Consumer {
    feed: Feed,
    status: Arc<Status>,
    /// When the stream was created.
    created: Timestamp,
    names: Vec<String>,
    fields: String,
    pipeline: Pipeline,
    decoder: Decoder,
    misplaced: Misplaced,
    /// In the place of rules.
    sql: Option<Application>,
    files: Option<Files>,
    sinks: Sinks,
    totals: Totals,
    /// Where checkpoints go, if anywhere.
    store: Option<Store>,
    /// Number of the last checkpoint.
    number: u64,
    /// Whether a record was taken since then.
    is_changed: bool,
    /// When the last record arrived; before the first, when the run began.
    last_arrival: Timestamp,
}

/// The results of a record, before they are handed on.
#[derive(Default)]
struct Results {
    sessions: Vec<(usize, SessionRow)>,
    /// Of an application in SQL: table, ROWTIME and row.
    rows: Vec<(usize, Timestamp, Map<String, Value>)>,
    errors: Vec<NotUsed>,
}

/// Events and records that did not become part of a session.
struct NotUsed {
    counted: &'static str,
    /// The number of the rule that did not take it; none where no rule has seen it.
    rule: Option<usize>,
    arrival: Timestamp,
    row: Map<String, Value>,
}

impl Consumer {
    async fn new(
        options: &Options,
        aws: &Aws,
        status: Arc<Status>,
        stop: &CancellationToken,
        quiet: bool,
    ) -> Result<Self> {
        let retry = Retry { give_up_after: options.source.give_up_after };
        let named = match &options.sql.sql {
            Some(_) => Vec::new(),
            None => options.strategies.named().map_err(anyhow::Error::msg)?,
        };
        let timing = options.timing;
        let store = match &options.state.state {
            Some(place) => {
                let mut store = Store::parse(place, aws, retry, Arc::clone(&status))?.hurried_by(stop);
                store.claim().await?;
                Some(store)
            }
            None => None,
        };
        let found = match &store {
            Some(store) => Checkpoint::load(store).await?,
            None => None,
        };
        let columns = session_columns(options.fields.declared().map_err(anyhow::Error::msg)?);
        let fields = options.fields.echo();
        if let Some(Checkpoint { header, .. }) = &found {
            check(header, &options.source.stream, &fields)?;
        }
        let sql = Application::new(options, found.as_ref().and_then(|found| found.header.sql.as_deref()))?;
        let (client, name) = (aws.kinesis()?, options.source.stream.clone());
        let stream = about::Stream { client: &client, name: &name, retry, status: &status };
        let Made { created, now } = stream.made().await?;
        let (header, pipeline) = match found {
            Some(Checkpoint { header, state }) => {
                check_same(&header, created)?;
                (header, Pipeline::restore(&named, &columns, timing, state)?)
            }
            None => {
                let start = match options.source.start {
                    Beginning::TrimHorizon => Start::TrimHorizon,
                    Beginning::Latest => Start::At(now - options.source.arrival_slack),
                    Beginning::At(time) => Start::At(time),
                };
                if let Start::At(time) = start {
                    ensure!(time <= now, "--start {time} is in the future: nothing has arrived then");
                }
                let header = Header::first(&options.source.stream, created, &fields, start);
                (header, Pipeline::new(&named, &columns, timing)?)
            }
        };
        let reading = Reading {
            start: header.start,
            poll_every: options.source.poll_every,
            is_paced: !options.source.unpaced,
            arrival_slack: options.source.arrival_slack,
            page: options.source.page,
        };
        let feed = Feed::new(client, name, reading, retry, Arc::clone(&status));
        let files = match (options.files.target()?, &store) {
            (Some(target), Some(state)) => {
                let destination = |target: Target| -> Result<Destination> {
                    let output = Store::parse(&target.output, aws, retry, Arc::clone(&status))?.hurried_by(stop);
                    let layout = Layout { target, stream: options.source.stream.clone(), columns: columns.clone() };
                    Ok(Destination { output, layout })
                };
                let promised_to = header.pending.target().filter(|promised| **promised != target).cloned();
                let promised_to = promised_to.map(destination).transpose()?;
                let probe = format!("{}.writable", target.prefix);
                let to = destination(target)?;
                to.output.check_writable(&probe).await.context("--output takes no files")?;
                Some(Files::new(state.clone(), to, promised_to, options.files.roll(), header.pending))
            }
            (_, state) => {
                if let (Some(before), Some(state)) = (header.pending.target(), state) {
                    bail!(
                        "the checkpoint in {} belongs to files in {}, where rows of this run would be missing: \
                         give --output again, or another --state",
                        state.place(),
                        before.output
                    );
                }
                None
            }
        };
        let mut consumer = Self {
            feed,
            sql,
            created,
            names: named.iter().map(|Named { name, .. }| name.clone()).collect(),
            fields,
            pipeline,
            decoder: Decoder::new(options.fields.wanted().map_err(anyhow::Error::msg)?),
            misplaced: options.source.misplaced,
            files,
            sinks: Sinks::new(options, aws, retry, header.undelivered, &status, stop.clone(), quiet)?,
            totals: header.totals,
            store,
            number: header.number,
            is_changed: false,
            last_arrival: now,
            status,
        };
        consumer.begin(Progress { shards: header.shards, finished: header.finished }).await?;
        Ok(consumer)
    }

    /// Goes on in the shards that were being read, and begins those that may be begun.
    async fn begin(&mut self, progress: Progress) -> Result<()> {
        self.feed.begin(progress, self.pipeline.arrival()).await?;
        if let Some(files) = &mut self.files {
            let published = files.publish().await?;
            self.status.change(|now| now.published(published));
        }
        if self.number == 0 && self.store.is_some() {
            self.checkpoint(false).await?; // from here on a restart begins where this run has begun
        }
        Ok(())
    }

    async fn work(&mut self, options: &Options, stop: &CancellationToken) -> Result<()> {
        let every = options.state.checkpoint_every;
        let mut due = Instant::now() + every;
        loop {
            let is_stopped = self.take_all(&mut due, every, stop).await?;
            self.show();
            if is_stopped || self.is_over(options.end.stop_when_idle) {
                break;
            }
            tokio::select! {
                news = self.feed.news() => news?,
                () = tokio::time::sleep_until(due.min(Instant::now() + LONGEST_STEP)) => {}
                () = stop.cancelled() => break,
            }
        }
        if options.end.flush {
            let mut results = Results::default();
            self.pipeline.flush(&mut |out| results.take(out, None));
            if let Some(sql) = &mut self.sql {
                sql.finish(&mut |out| results.take_row(out));
            }
            self.is_changed = true;
            self.hand_on(results).await?;
        }
        self.sinks.drain().await?;
        self.checkpoint(true).await?;
        if self.files.as_ref().is_some_and(Files::has_news) {
            self.checkpoint(true).await?; // nothing waits any more, and no segments are left
        }
        self.sinks.finish().await;
        self.show();
        self.settle()
    }

    /// Tells what becomes of rows and alerts that could not be delivered; an error if rows are lost.
    fn settle(&self) -> Result<()> {
        let Undelivered { firehose, alerts, .. } = self.sinks.undelivered();
        let kept = self.store.as_ref().map(Store::place);
        let fate = match &kept {
            Some(place) => format!("kept in {place} for the next run"),
            None => "lost: --state keeps them".to_owned(),
        };
        if !alerts.is_empty() {
            self.status.trouble(format!("{} alerts that the webhook has not taken are {fate}", alerts.len()));
        }
        if !firehose.is_empty() {
            let text = format!("{} rows that Firehose has not taken are {fate}", firehose.len());
            ensure!(kept.is_some(), text);
            self.status.trouble(text);
        }
        Ok(())
    }

    /// The deadline of a clean end came first: tells the position of the last checkpoint.
    fn cut_off(&self) -> Result<()> {
        let seconds = shutdown::CLEAN_END.as_secs();
        match &self.store {
            Some(store) if !self.is_changed => {
                let text = "files of the last checkpoint may be missing: the next run on";
                self.status.trouble(format!("{text} {} writes them", store.place()));
                Ok(())
            }
            Some(store) => bail!(
                "no checkpoint could be written within {seconds} s: the next run on {} goes on from checkpoint {}, \
                 and reads again what came after it",
                store.place(),
                self.number
            ),
            None => bail!("not all rows could be delivered within {seconds} s, and without --state they are lost"),
        }
    }

    /// Takes the records whose turn has come, and makes checkpoints as they fall due. Returns whether
    /// it was asked to stop.
    async fn take_all(&mut self, due: &mut Instant, every: Duration, stop: &CancellationToken) -> Result<bool> {
        let mut taken = 0;
        loop {
            let results = match self.feed.next()? {
                Some(next) => {
                    taken += 1;
                    self.take(next)
                }
                None => {
                    let mut results = Results::default();
                    if let Some(frontier) = self.feed.frontier() {
                        self.pipeline.advance(frontier, &mut |out| results.take(out, None));
                        if let Some(sql) = &mut self.sql {
                            sql.advance(frontier, &mut |out| results.take_row(out));
                        }
                    }
                    taken = 0;
                    results
                }
            };
            self.hand_on(results).await?;
            let is_waiting = taken == 0;
            let is_full = self.files.as_ref().is_some_and(Files::is_full);
            if is_full || ((is_waiting || taken % RECORDS_BETWEEN_FIGURES == 0) && Instant::now() >= *due) {
                self.checkpoint(false).await?;
                *due = Instant::now() + every;
            }
            if is_waiting {
                return Ok(false);
            }
            if taken % RECORDS_BETWEEN_FIGURES == 0 {
                self.show();
                tokio::task::yield_now().await;
                if stop.is_cancelled() {
                    return Ok(true);
                }
            }
        }
    }

    fn take(&mut self, next: Next) -> Results {
        let Next { shard, arrival, record } = next;
        let mut results = Results::default();
        self.is_changed = true;
        self.last_arrival = self.last_arrival.max(arrival);
        self.totals.records += 1;
        self.totals.bytes += record.data.len() as u64;
        let (partition_key, sequence) = (&*record.partition_key, &*record.sequence);
        let place = Place { shard: &shard, sequence, partition_key, arrival };
        let wrong = match kpl::take_apart(&record.data, partition_key) {
            Ok(parts) if self.is_misplaced(&shard, &parts) => {
                ("misplaced", "a part of it belongs to another shard".to_owned())
            }
            Ok(parts) => {
                for part in parts.iter() {
                    let place = Place { partition_key: part.partition_key, ..place };
                    self.take_part(part.data, &place, &mut results);
                }
                return results;
            }
            Err(damage) => ("rejected", damage.to_string()),
        };
        let (kind, why) = wrong;
        self.totals.rejected += 1;
        results.errors.push(place.rejected(kind, &why, &record.data));
        results
    }

    /// Whether the KPL will send the parts of a record again, because it is not where they belong.
    fn is_misplaced(&self, shard: &str, parts: &kpl::Parts<'_>) -> bool {
        let belongs = self.feed.hashes(shard).is_none_or(|hashes| parts.belong_to(hashes));
        self.misplaced == Misplaced::Drop && !belongs
    }

    fn take_part(&mut self, data: &[u8], place: &Place<'_>, results: &mut Results) {
        let Self { decoder, pipeline, totals, sql, .. } = self;
        if let Some(sql) = sql {
            pipeline.advance(place.arrival, &mut |out| results.take(out, None));
            decoder.decode_all(data, |object, _| {
                match sql.take(object, place.arrival, &mut |out| results.take_row(out)) {
                    Ok(()) => totals.events += 1,
                    Err(why) => {
                        totals.rejected += 1;
                        results.errors.push(place.rejected("rejected", &why, object));
                    }
                }
            });
            return;
        }
        decoder.decode_all(data, |object, decoded| match decoded {
            Ok(event) => {
                totals.events += 1;
                let origin = Some((place, object));
                pipeline.take(place.shard, place.arrival, &event, &mut |out| results.take(out, origin));
            }
            Err(reject) => {
                totals.rejected += 1;
                results.errors.push(place.rejected("rejected", &reject.to_string(), object));
            }
        });
    }

    /// Gives all that came of a record to files and sinks, and waits until they have it.
    async fn hand_on(&mut self, results: Results) -> Result<()> {
        let Results { sessions, rows, errors } = results;
        for (table, rowtime, row) in rows {
            let Some(sql) = &self.sql else { break };
            if let Some(files) = &mut self.files {
                let content = Content::Row(row.clone());
                files.add(sql.table(table), &Row { hour: hour_of(rowtime), content }).await?;
            }
            self.sinks.row(row).await?;
        }
        for (rule, session) in sessions {
            let name = &self.names[rule];
            self.sinks.session(name, &session).await?;
            self.status.session(rule, &session);
            if let Some(files) = &mut self.files {
                files.add(name, &Row { hour: hour_of(session.begin), content: Content::Session(session) }).await?;
            }
        }
        for NotUsed { counted, rule, arrival, mut row } in errors {
            self.sinks.count(counted);
            if let Some(rule) = rule {
                row.insert("strategy".to_owned(), self.names[rule].clone().into());
            }
            if let Some(files) = &mut self.files {
                files.add(ERRORS, &Row { hour: hour_of(arrival), content: Content::Error(row) }).await?;
            }
        }
        Ok(())
    }

    /// Whether no more records are expected: none has arrived for this time, or no shard is left.
    fn is_over(&mut self, idle: Option<Duration>) -> bool {
        match self.feed.frontier() {
            Some(frontier) => idle.is_some_and(|idle| frontier >= self.last_arrival + idle),
            None => true,
        }
    }

    /// Saves positions and state, as one. Deliveries that must not be lost happen before; those that
    /// must not happen twice, after.
    async fn checkpoint(&mut self, is_end: bool) -> Result<()> {
        self.sinks.flush().await?;
        let has_news = self.files.as_ref().is_some_and(Files::has_news);
        let must_save = self.is_changed || has_news || is_end || self.number == 0;
        if let (Some(store), true) = (&self.store, must_save) {
            let number = self.number + 1;
            let pending = match &mut self.files {
                Some(files) => files.stage(number, is_end).await?,
                None => Pending::default(),
            };
            let Progress { shards, finished } = self.feed.progress();
            let header = Header {
                number,
                stream: self.feed.name().to_owned(),
                created: self.created,
                fields: self.fields.clone(),
                start: self.feed.reading().start,
                shards,
                finished,
                totals: self.totals,
                pending,
                undelivered: self.sinks.undelivered(),
                sql: self.sql.as_ref().map(Application::save).transpose()?,
            };
            Checkpoint { header, state: self.pipeline.state() }.save(store).await?;
            self.number = number;
            self.is_changed = false;
            if let Some(files) = &mut self.files {
                let published = files.commit().await?;
                self.status.change(|now| now.published(published));
            }
            self.status.change(|now| {
                now.checkpoints += 1;
                now.last_checkpoint = Some(std::time::Instant::now());
            });
        }
        self.sinks.measure();
        Ok(())
    }

    /// Brings the figures up to date.
    fn show(&mut self) {
        if let Some(warning) = self.pipeline.warning() {
            self.status.trouble(warning);
        }
        self.status.ruled_out(self.feed.ruled_out());
        self.status.change(|now| {
            now.last_step = Some(std::time::Instant::now());
            now.records = self.totals.records;
            now.bytes = self.totals.bytes;
            now.events = self.totals.events;
            now.rejected = self.totals.rejected;
            now.strategies.resize_with(self.names.len(), status::Strategy::default);
            for (shown, (name, clock, open, counters)) in now.strategies.iter_mut().zip(self.pipeline.rules()) {
                if shown.name.is_empty() {
                    shown.name = name.to_owned();
                }
                shown.clock = (clock > Timestamp::MIN).then_some(clock);
                shown.open = open;
                shown.closed = counters.closed;
                shown.late = counters.late;
                shown.refused = counters.refused() + self.pipeline.refused();
            }
        });
    }
}

impl Header {
    /// Before anything was read.
    fn first(stream: &str, created: Timestamp, fields: &str, start: Start) -> Self {
        Self {
            number: 0,
            stream: stream.to_owned(),
            created,
            fields: fields.to_owned(),
            start,
            shards: std::collections::BTreeMap::new(),
            finished: std::collections::BTreeMap::new(),
            totals: Totals::default(),
            pending: Pending::default(),
            undelivered: Undelivered::default(),
            sql: None,
        }
    }
}

/// A checkpoint is of one stream and one key.
fn check(header: &Header, stream: &str, fields: &str) -> Result<()> {
    for (old, new) in [
        (format!("--stream {}", header.stream), format!("--stream {stream}")),
        (header.fields.clone(), fields.to_owned()),
    ] {
        ensure!(
            old == new,
            "the checkpoint was made with {old} and this run asks for {new}: give the same, or another --state; that \
             run begins at --start"
        );
    }
    Ok(())
}

/// Positions mean nothing in a stream that has taken the place of another.
fn check_same(header: &Header, created: Timestamp) -> Result<()> {
    ensure!(
        header.created == created,
        "the checkpoint is of a stream {0} created at {1}, and the stream {0} that is there was created at {created}: \
         give another --state, which begins at --start",
        header.stream,
        header.created
    );
    Ok(())
}

/// Where a record comes from.
#[derive(Clone, Copy)]
struct Place<'a> {
    shard: &'a str,
    sequence: &'a str,
    partition_key: &'a str,
    arrival: Timestamp,
}

impl Place<'_> {
    fn rejected(&self, kind: &str, why: &str, data: &[u8]) -> NotUsed {
        let row = self.error(kind, why, data);
        NotUsed { counted: "Rejected", rule: None, arrival: self.arrival, row }
    }

    /// A row of the table of errors: why, from where, and the data itself, so that nothing is lost.
    fn error(&self, kind: &str, why: &str, data: &[u8]) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("kind".to_owned(), kind.into());
        row.insert("reason".to_owned(), why.into());
        row.insert("shard".to_owned(), self.shard.into());
        row.insert("sequence".to_owned(), self.sequence.into());
        row.insert("partition_key".to_owned(), self.partition_key.into());
        row.insert("arrival".to_owned(), self.arrival.to_string().into());
        match std::str::from_utf8(data) {
            Ok(text) => row.insert("data".to_owned(), text.into()),
            Err(_) => {
                use base64::Engine as _;
                row.insert("data_base64".to_owned(), base64::engine::general_purpose::STANDARD.encode(data).into())
            }
        };
        row
    }
}

impl Results {
    fn take_row(&mut self, out: application::Out) {
        match out {
            application::Out::Row { table, rowtime, row } => self.rows.push((table, rowtime, row)),
            application::Out::Failed { rowtime, pump, why } => {
                let fields = [("kind", "sql".into()), ("reason", why.into()), ("pump", pump.into())];
                let mut row: Map<String, Value> =
                    fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
                row.insert("arrival".to_owned(), rowtime.to_string().into());
                self.errors.push(NotUsed { counted: "Rejected", rule: None, arrival: rowtime, row });
            }
        }
    }

    fn take(&mut self, out: Out, place: Option<(&Place<'_>, &[u8])>) {
        match out {
            Out::Session(rule, session) => self.sessions.push((rule, session)),
            Out::NotTaken { rule, is_late, why } => {
                let Some((place, data)) = place else { return };
                let (kind, counted) = if is_late { ("late", "Late") } else { ("refused", "Refused") };
                let row = place.error(kind, &why, data);
                self.errors.push(NotUsed { counted, rule, arrival: place.arrival, row });
            }
        }
    }
}
