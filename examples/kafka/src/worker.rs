//! A process of the group: takes partitions over and lets them go, and commits each by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use program::say::say;
use program::signals::Orderly;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{self, Member, Rebalance};
use crate::commit::{Committer, Failed, Position};
use crate::metrics::{self, Figures};
use crate::options::{Connection, GroupOptions, WorkingOptions};
use crate::restore::{self, Note};
use crate::sessions::Counts;
use crate::state::{Entry, Written};
use crate::topics;

/// A record of the input.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// In milliseconds. Producers before Kafka 0.10 give none.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Option<&'a BorrowedHeaders>,
}

impl<'a> Input<'a> {
    pub(crate) fn of(message: &'a BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers: message.headers(),
        }
    }

    /// Its own headers, for a record that is this one again.
    pub(crate) fn copied_headers(&self) -> Headers {
        let all = self.headers.into_iter().flat_map(BorrowedHeaders::iter);
        all.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    }
}

/// Why a record without a value is no event. A compacted topic has such records: they delete the earlier ones of a key.
pub(crate) const NO_VALUE: &str = "it has no value";

/// The headers of a record, in their order.
pub(crate) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) topic: Arc<str>,
    /// By the key, unless it is given.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Headers,
}

/// A record that cannot be used, as it came, with the reason.
pub(crate) fn set_aside(
    topic: &Arc<str>,
    to: Arc<str>,
    input: &Input<'_>,
    rule: Option<&str>,
    reason: String,
) -> Output {
    let mut told = vec![
        ("reason", reason),
        ("topic", topic.to_string()),
        ("partition", input.partition.to_string()),
        ("offset", input.offset.to_string()),
    ];
    told.extend(rule.map(|rule| ("rule", rule.to_owned())));
    let told = told.into_iter().map(|(name, text)| (name.to_owned(), Some(text.into_bytes())));
    let headers = input.copied_headers().into_iter().chain(told).collect();
    let (key, value) = (input.key.map(<[u8]>::to_vec), input.value.map(<[u8]>::to_vec));
    Output { topic: to, partition: None, key, value, timestamp: input.timestamp, headers }
}

/// The work of the processes of a group.
pub(crate) trait Job: Sync {
    type Task: Task;

    /// Whether there is anything to restore.
    const HAS_STATE: bool;

    /// Begins a partition, or goes on from its state.
    fn open(&self, state: Vec<Entry>) -> Result<Self::Task>;

    /// After this time without records clocks go on.
    fn max_delay(&self) -> Option<Duration>;
}

/// The work on one partition.
pub(crate) trait Task: Send {
    fn next_offset(&self) -> i64;

    /// Goes on with the counts of the owner before, if they are not in the state.
    fn recall(&mut self, _: Counts) {}

    /// Where to begin, if not where the state ends.
    fn begin_at(&mut self, offset: i64);

    fn take(&mut self, input: &Input<'_>, out: &mut Vec<Output>);

    /// No record has come for this much longer than `max_delay`, since this was last said.
    fn silence(&mut self, beyond: Duration, out: &mut Vec<Output>);

    /// The whole state, or its changes since [`was_saved`](Self::was_saved). Nothing for a task without
    /// state.
    fn entry(&self, is_base: bool) -> Result<Option<Entry>>;

    fn was_saved(&mut self);

    fn counts(&self) -> Counts;
}

/// A partition that this process has.
struct Slot<T> {
    task: T,
    committer: Committer,
    outputs: Vec<Output>,
    written: Written,
    base_at: i64,
    /// The counts at the latest commit, and the number of commits: neither ever goes down.
    saved: Counts,
    commits: u64,
    is_dirty: bool,
    /// When it was last committed, or tried to be.
    tried: Instant,
    committed: Instant,
    /// When a record last came, and how far clocks went on since.
    heard: Instant,
    went_on: Duration,
    /// All that was there has been read. Where the topic ended then, and when that was asked.
    is_at_end: bool,
    end: Option<(i64, Instant)>,
}

struct Worker<'a, J: Job> {
    job: &'a J,
    connection: &'a Connection,
    group: &'a GroupOptions,
    working: &'a WorkingOptions,
    /// Of the input, where the state depends on it.
    partitions: Option<i32>,
    state_topic: Arc<str>,
    consumer: &'a BaseConsumer<Member>,
    slots: BTreeMap<i32, Slot<J::Task>>,
    /// Partitions that another process has written for, although the group gave them to this one.
    fenced: Vec<(i32, Instant)>,
    /// The group has answered once, perhaps with no partition.
    has_joined: bool,
    /// Whether it was told that a record has no key.
    told_keyless: bool,
}

/// How often to look at the time.
const TICK: Duration = Duration::from_millis(50);
/// Records between two looks.
const RECORDS: u32 = 512;
/// Between two questions where a silent partition ends.
const SURE: Duration = Duration::from_secs(1);
/// How long to wait for the group's word after another process has written for a partition of ours.
const DOUBT: Duration = Duration::from_millis(500);

/// How long to look for the group's coordinator at the end.
const LEAVING: Duration = Duration::from_secs(5);

/// Works until a signal comes, or until it is idle for as long as was asked for.
pub(crate) fn work<J: Job>(
    signals: &Orderly,
    job: &J,
    connection: &Connection,
    group: &GroupOptions,
    working: &WorkingOptions,
    partitions: Option<i32>,
) -> Result<()> {
    let figures = metrics::serve(working.listen)?;
    let consumer = client::member(connection, &group.group, working)?;
    consumer.subscribe(&[&group.input])?;
    let state_topic = topics::state_topic(&group.group).into();
    let (slots, fenced) = (BTreeMap::new(), Vec::new());
    let (consumer_of, has_joined) = (&consumer, false);
    let mut worker = Worker {
        job,
        connection,
        group,
        working,
        partitions,
        state_topic,
        consumer: consumer_of,
        slots,
        fenced,
        has_joined,
        told_keyless: false,
    };
    let done = worker.until_the_end(signals, &figures);
    drop(worker);
    leave(consumer, &group.input);
    done
}

/// Tells the group that this process ends.
///
/// Two things must not be done with librdkafka 2.12, whose issue 5347 is a SIGSEGV: leave while the coordinator of the
/// group is not known, so it is asked a question first; and close a consumer that has no partition and has not left,
/// after which the group would wait for its session timeout, too.
fn leave(consumer: BaseConsumer<Member>, input: &str) {
    let mut list = TopicPartitionList::new();
    list.add_partition(input, 0);
    match consumer.committed_offsets(list, LEAVING) {
        Ok(_) => consumer.unsubscribe(),
        Err(error) => {
            say(format_args!("kafka: the group waits for the session timeout, since no broker answers: {error}"));
            std::mem::forget(consumer);
        }
    }
}

impl<J: Job> Worker<'_, J> {
    fn until_the_end(&mut self, signals: &Orderly, figures: &Figures) -> Result<()> {
        let (mut busy, mut asked) = (Instant::now(), None);
        loop {
            if signals.is_asked_to_end() && self.is_all_committed(*asked.get_or_insert_with(Instant::now))? {
                return Ok(());
            }
            let has_heard = self.poll()?;
            self.rebalance()?;
            self.reopen_fenced()?;
            if has_heard || !self.has_read_all() {
                busy = Instant::now();
            } else if self.working.stop_when_idle.is_some_and(|idle| busy.elapsed() >= idle)
                && self.is_all_committed(Instant::now())?
            {
                return Ok(());
            }
            self.go_on_in_silence();
            self.commit_due(false)?;
            figures.set(self.figures());
        }
    }

    /// Commits everything, and tells whether that is done: a commit is refused while the group changes. Fails if it
    /// should have been done for long.
    fn is_all_committed(&mut self, since: Instant) -> Result<bool> {
        self.commit_due(true)?;
        let open: Vec<i32> = self.slots.iter().filter(|(_, slot)| slot.is_dirty).map(|(number, _)| *number).collect();
        if let (Some(partition), true) = (open.first(), since.elapsed() > LEAVING) {
            bail!(
                "the last commit of {partition} of {} was refused: the next process goes on from the one before",
                self.group.input
            );
        }
        Ok(open.is_empty())
    }

    /// Whether the group has given its partitions to this process, and each has been read to its end.
    fn has_read_all(&self) -> bool {
        self.has_joined && self.fenced.is_empty() && self.slots.values().all(|slot| slot.is_at_end)
    }

    /// Takes records until it is time to look. Returns whether one came.
    fn poll(&mut self) -> Result<bool> {
        let until = Instant::now() + TICK;
        let mut has_heard = false;
        for _ in 0..RECORDS {
            match self.consumer.poll(until.saturating_duration_since(Instant::now())) {
                None => break,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.slots.get_mut(&partition).into_iter().for_each(|slot| slot.is_at_end = true);
                }
                Some(Err(error)) => match error.rdkafka_error_code().and_then(client::remedy) {
                    Some(remedy) => {
                        bail!("cannot read {}: {remedy}: {error}", self.group.input);
                    }
                    None => say(format_args!("kafka: {error}")),
                },
                Some(Ok(message)) => {
                    has_heard = true;
                    let input = Input::of(&message);
                    self.tell_keyless(&input);
                    let Some(slot) = self.slots.get_mut(&input.partition) else { continue };
                    if input.offset >= slot.task.next_offset() {
                        slot.task.take(&input, &mut slot.outputs);
                        slot.hear();
                    }
                }
            }
        }
        Ok(has_heard)
    }

    /// Once: producers spread records without a key over all partitions.
    fn tell_keyless(&mut self, input: &Input<'_>) {
        if input.key.is_none() && !self.told_keyless && self.partitions.is_some_and(|partitions| partitions > 1) {
            let Input { partition, offset, .. } = input;
            say(format_args!(
                "kafka: {}, partition {partition}, offset {offset}: a record has no key. Sessions come in parts unless all \
                 events of a session key are in one partition: see `kafka repartition`",
                self.group.input
            ));
            self.told_keyless = true;
        }
    }

    /// Follows the requests of the group.
    fn rebalance(&mut self) -> Result<()> {
        for wanted in self.consumer.context().take() {
            match wanted {
                Rebalance::Assign(list) => {
                    self.assign(&self.own(&list))?;
                    self.has_joined = true;
                }
                Rebalance::Revoke(list) => {
                    let partitions = self.own(&list);
                    if !self.consumer.assignment_lost() {
                        self.commit(|partition, _| partitions.contains(&partition))?;
                    }
                    for partition in &partitions {
                        self.slots.remove(partition);
                    }
                    self.fenced.retain(|(partition, _)| !partitions.contains(partition));
                    self.consumer.incremental_unassign(&list)?;
                    self.tell("let go of", &partitions);
                }
            }
        }
        Ok(())
    }

    fn own(&self, list: &TopicPartitionList) -> Vec<i32> {
        list.elements_for_topic(&self.group.input).iter().map(|of| of.partition()).collect()
    }

    fn tell(&self, what: &str, partitions: &[i32]) {
        if !partitions.is_empty() {
            let numbers: Vec<String> = partitions.iter().map(i32::to_string).collect();
            say(format_args!("kafka: {what} {} of {}", numbers.join(", "), self.group.input));
        }
    }

    /// Takes partitions over, all at the same time, and begins to read them.
    fn assign(&mut self, partitions: &[i32]) -> Result<()> {
        let opening = self.opening();
        let opened: Vec<Result<Slot<J::Task>>> = thread::scope(|scope| {
            let open = |partition: &i32| {
                let (partition, opening) = (*partition, &opening);
                scope.spawn(move || opening.open(partition))
            };
            let threads: Vec<_> = partitions.iter().map(open).collect();
            threads.into_iter().map(|thread| thread.join().expect("a panic has been told")).collect()
        });
        let mut list = TopicPartitionList::new();
        for (partition, slot) in partitions.iter().zip(opened) {
            let slot = slot.with_context(|| format!("{}, partition {partition}", self.group.input))?;
            list.add_partition_offset(&self.group.input, *partition, Offset::Offset(slot.task.next_offset()))?;
            self.slots.insert(*partition, slot);
        }
        self.consumer.incremental_assign(&list)?;
        self.tell("took over", partitions);
        Ok(())
    }

    fn opening(&self) -> Opening<'_, J> {
        let Self { job, connection, group, working, partitions, state_topic, consumer, .. } = self;
        let (partitions, allow_loss) = (*partitions, working.allow_loss);
        Opening { job: *job, connection, group, allow_loss, partitions, state_topic, consumer }
    }

    /// A partition of ours was written for by another process: most likely the group is about to take it away. If it
    /// does not, the other was a zombie, and we begin again from the last commit.
    fn reopen_fenced(&mut self) -> Result<()> {
        let (due, waiting): (Vec<_>, _) = self.fenced.drain(..).partition(|(_, since)| since.elapsed() >= DOUBT);
        self.fenced = waiting;
        let partitions: Vec<i32> = due.into_iter().map(|(partition, _)| partition).collect();
        if partitions.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        partitions.iter().for_each(|partition| _ = list.add_partition(&self.group.input, *partition));
        self.consumer.incremental_unassign(&list)?;
        self.assign(&partitions)
    }

    fn commit_due(&mut self, is_last: bool) -> Result<()> {
        let every = self.working.commit_every;
        self.commit(|_, slot| is_last || slot.tried.elapsed() >= every)
    }

    /// Commits partitions, each in a transaction of its own, all at the same time.
    fn commit(&mut self, is_due: impl Fn(i32, &Slot<J::Task>) -> bool) -> Result<()> {
        let due = |(partition, slot): &(&i32, &mut Slot<J::Task>)| slot.is_dirty && is_due(**partition, slot);
        let place = Place { consumer: self.consumer, topic: &self.group.input, state_topic: &self.state_topic };
        let done: Vec<(i32, Result<Result<(), Failed>>)> = thread::scope(|scope| {
            let commit = |(partition, slot): (&i32, &mut Slot<J::Task>)| (*partition, slot.commit(*partition, &place));
            let mut slots: Vec<_> = self.slots.iter_mut().filter(due).collect();
            let last = slots.pop(); // by this thread
            let threads: Vec<_> = slots.into_iter().map(|slot| scope.spawn(move || commit(slot))).collect();
            let own = last.map(commit);
            threads.into_iter().map(|thread| thread.join().expect("a panic has been told")).chain(own).collect()
        });
        for (partition, done) in done {
            match done.with_context(|| format!("{}, partition {partition}", self.group.input))? {
                Ok(()) => {}
                Err(Failed::Never(error)) => {
                    return Err(error).with_context(|| format!("cannot commit {} of {}", partition, self.group.input));
                }
                Err(Failed::Again(error)) => say(format_args!("kafka: partition {partition}: {error:#}: trying again")),
                Err(Failed::Lost(error)) => {
                    say(format_args!("kafka: partition {partition} is another's: {error:#}"));
                    self.slots.remove(&partition);
                    self.fenced.push((partition, Instant::now()));
                }
            }
        }
        Ok(())
    }

    /// Where nothing comes for longer than was asked for, clocks go on, if the partition is read to its end: to be
    /// sure, the topic has not grown for a while since. A broker that is away says nothing.
    fn go_on_in_silence(&mut self) {
        let Some(delay) = self.job.max_delay() else { return };
        for (partition, slot) in &mut self.slots {
            let beyond = slot.heard.elapsed().saturating_sub(delay).saturating_sub(slot.went_on);
            if beyond < SURE || !slot.is_at_end || slot.end.is_some_and(|(_, asked)| asked.elapsed() < SURE) {
                continue;
            }
            let Ok((_, end)) = self.consumer.fetch_watermarks(&self.group.input, *partition, SURE) else { continue };
            let has_grown = slot.end.replace((end, Instant::now())).is_none_or(|(before, _)| before != end);
            if !has_grown {
                slot.task.silence(beyond, &mut slot.outputs);
                (slot.is_dirty, slot.went_on) = (true, slot.went_on + beyond);
            }
        }
    }

    fn figures(&self) -> Vec<metrics::Partition> {
        let of = |(partition, slot): (&i32, &Slot<J::Task>)| metrics::Partition {
            number: *partition,
            next_offset: slot.task.next_offset(),
            end: self.consumer.context().end_of(*partition),
            state_bytes: slot.written.bytes(),
            committed: slot.committed,
            commits: slot.commits,
            open_sessions: slot.task.counts().open_sessions,
            saved: slot.saved.clone(),
        };
        self.slots.iter().map(of).collect()
    }
}

/// However it ends: the consumer waits for its partitions to be let go of.
impl<J: Job> Drop for Worker<'_, J> {
    fn drop(&mut self) {
        self.consumer.context().end();
    }
}

/// What taking a partition over needs.
struct Opening<'a, J> {
    job: &'a J,
    connection: &'a Connection,
    group: &'a GroupOptions,
    allow_loss: bool,
    partitions: Option<i32>,
    state_topic: &'a str,
    consumer: &'a BaseConsumer<Member>,
}

/// What is known of a partition before its first record is read.
#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    group: &'a str,
    state_topic: &'a str,
    /// The offset that the group has committed, and whether it was this program.
    committed: Option<(i64, bool)>,
    /// Where the state ends, if there is one.
    stands: Option<i64>,
    has_state: bool,
    /// First record of the topic, and behind the last one.
    low: i64,
    high: i64,
}

/// Where a partition begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Beginning {
    At(i64),
    /// There, with something lost: what, and what to do about it.
    Lossy(i64, String),
    /// Offset, state and topic contradict each other.
    Never(String),
}

impl Known<'_> {
    fn beginning(&self) -> Beginning {
        let Self { group, state_topic, low, high, .. } = *self;
        let offset = match (self.committed, self.stands) {
            (None, None) => low,
            (Some((offset, true)), None) if !self.has_state => offset,
            (Some((offset, _)), Some(stands)) if offset == stands => offset,
            (Some((offset, _)), Some(stands)) => {
                return Beginning::Never(format!(
                    "the group {group} stands at offset {offset}, and its state at {stands}: somebody has moved the \
                     offsets. Move them back, or give another --group"
                ));
            }
            (None, Some(stands)) => {
                return Beginning::Never(format!(
                    "the state of the group {group} stands at offset {stands}, and the broker has no offset of the \
                     group: the topic was deleted and made again, or the offset has expired. Give another --group; or, \
                     if the topic is the same, set the offset to {stands} (kafka-consumer-groups --reset-offsets)"
                ));
            }
            (Some((offset, true)), None) => {
                return Beginning::Lossy(
                    offset,
                    format!(
                        "the group {group} stands at offset {offset}, and {state_topic} does not hold its state: was \
                         it deleted? Give another --group, which begins with the first record; or --allow-loss, which \
                         goes on without the sessions that were open"
                    ),
                );
            }
            (Some((offset, false)), None) => {
                return Beginning::Lossy(
                    offset,
                    format!(
                        "the group {group} stands at offset {offset}, which this program has not committed: another \
                         program has. Give another --group; or --allow-loss, which begins there"
                    ),
                );
            }
        };
        if offset > high {
            return Beginning::Never(format!(
                "the group {group} stands at offset {offset}, and the topic ends at {high}: it was deleted and made \
                 again. Give another --group"
            ));
        }
        if offset < low {
            let lost = format!(
                "records {offset} to {} were removed before the group {group} had read them (see retention.ms of the \
                 topic). Give --allow-loss to go on without them",
                low - 1
            );
            return Beginning::Lossy(low, lost);
        }
        Beginning::At(offset)
    }
}

impl<J: Job> Opening<'_, J> {
    /// The group's offset and the state are two questions: in between another owner may have committed, one that
    /// thinks the partition its own, or whose it now is. It is fenced then, and both are asked for again.
    fn open(&self, partition: i32) -> Result<Slot<J::Task>> {
        if let Some(known) = self.partitions.filter(|known| partition >= *known) {
            bail!(topics::grown(&self.group.input, known));
        }
        let mut before = None;
        loop {
            let (mut slot, beginning) = self.try_open(partition)?;
            match &beginning {
                Beginning::At(offset) => {
                    slot.task.begin_at(*offset);
                    return Ok(slot);
                }
                Beginning::Lossy(offset, lost) if self.allow_loss => {
                    say(format_args!("kafka: {}, partition {partition}: --allow-loss: {lost}", self.group.input));
                    slot.task.begin_at(*offset);
                    slot.is_dirty = true; // from the next commit on nothing is missing
                    return Ok(slot);
                }
                Beginning::Lossy(_, told) | Beginning::Never(told) => {
                    ensure!(before.as_ref() != Some(&beginning), "{told}");
                }
            }
            before = Some(beginning);
        }
    }

    fn try_open(&self, partition: i32) -> Result<(Slot<J::Task>, Beginning)> {
        let committer = Committer::new(self.connection, &self.group.group, partition)?;
        let committed = restore::committed(self.consumer, &self.group.input, partition)?;
        let note = committed.as_ref().and_then(|(_, note)| note.clone());
        let base_at = note.as_ref().map_or(0, |note| note.base_at);
        let state = match J::HAS_STATE {
            true => restore::read(self.connection, self.state_topic, partition, base_at)?,
            false => None,
        };
        let (entries, written) = state.unwrap_or_default();
        let is_restored = !entries.is_empty();
        let mut task = self.job.open(entries)?;
        let commits = written.number.max(note.as_ref().map_or(0, |note| note.commits));
        note.into_iter().for_each(|note| task.recall(note.counts));
        let ends = self.consumer.fetch_watermarks(&self.group.input, partition, client::PATIENCE);
        let (low, high) = ends.context("cannot read where the topic begins and ends")?;
        let known = Known {
            group: &self.group.group,
            state_topic: self.state_topic,
            committed: committed.map(|(offset, note)| (offset, note.is_some())),
            stands: is_restored.then(|| task.next_offset()),
            has_state: J::HAS_STATE,
            low,
            high,
        };
        Ok((Slot { commits, ..Slot::new(task, committer, written, base_at) }, known.beginning()))
    }
}

/// Where a partition lies.
struct Place<'a> {
    consumer: &'a BaseConsumer<Member>,
    topic: &'a str,
    state_topic: &'a Arc<str>,
}

impl<T: Task> Slot<T> {
    fn new(task: T, committer: Committer, written: Written, base_at: i64) -> Self {
        let now = Instant::now();
        Self {
            saved: task.counts(),
            commits: 0,
            task,
            committer,
            outputs: Vec::new(),
            written,
            base_at,
            is_dirty: false,
            tried: now,
            committed: now,
            heard: now,
            went_on: Duration::ZERO,
            is_at_end: false,
            end: None,
        }
    }

    /// A record has come.
    fn hear(&mut self) {
        (self.is_dirty, self.heard, self.went_on) = (true, Instant::now(), Duration::ZERO);
        (self.is_at_end, self.end) = (false, None);
    }

    fn commit(&mut self, partition: i32, place: &Place<'_>) -> Result<Result<(), Failed>> {
        self.tried = Instant::now();
        let Some(group) = place.consumer.group_metadata() else { return Ok(Ok(())) };
        let rows = self.outputs.len();
        let (mut written, mut base_at) = (self.written, self.base_at);
        let is_base = written.wants_base();
        if let Some(entry) = self.task.entry(is_base)? {
            let (records, next) = written.next(partition, &entry)?;
            if is_base {
                // No earlier than that.
                base_at = match place.consumer.fetch_watermarks(place.state_topic, partition, client::PATIENCE) {
                    Ok((_, end)) => end,
                    Err(error) => return Ok(Err(Failed::Again(error.into()))), // no broker answers
                };
            }
            self.outputs.extend(records.into_iter().map(|record| Output {
                topic: Arc::clone(place.state_topic),
                partition: Some(partition),
                key: Some(record.key.into_bytes()),
                value: Some(record.value),
                timestamp: None,
                headers: Vec::new(),
            }));
            written = next;
        }
        let (counts, commits) = (self.task.counts(), self.commits + 1);
        let note = Note { base_at, state_bytes: written.bytes(), committed_at: now_millis(), commits, counts };
        let next_offset = self.task.next_offset();
        let position = Position { topic: place.topic, partition, next_offset, note: serde_json::to_string(&note)? };
        let done = self.committer.commit(&self.outputs, &position, &group);
        self.outputs.truncate(rows);
        if done.is_ok() {
            self.outputs.clear();
            self.task.was_saved();
            (self.written, self.base_at, self.is_dirty, self.committed) = (written, base_at, false, Instant::now());
            (self.saved, self.commits) = (note.counts, commits);
        }
        Ok(done)
    }
}

fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning, and whether something is lost or nothing can be done.
    fn beginning(committed: Option<(i64, bool)>, stands: Option<i64>, has_state: bool) -> (&'static str, i64, String) {
        let known = Known { group: "g", state_topic: "g-state", committed, stands, has_state, low: 10, high: 20 };
        match known.beginning() {
            Beginning::At(offset) => ("at", offset, String::new()),
            Beginning::Lossy(offset, told) => ("lossy", offset, told),
            Beginning::Never(told) => ("never", 0, told),
        }
    }

    #[test]
    fn offset_state_and_topic_say_where_a_partition_begins() {
        let at = |offset| ("at", offset, String::new());
        assert_eq!(beginning(None, None, true), at(10));
        for own in [true, false] {
            assert_eq!(beginning(Some((15, own)), Some(15), true), at(15), "some brokers keep no notes");
        }
        assert_eq!(beginning(Some((20, true)), None, false), at(20));
        for (committed, stands, has_state, kind, offset, told) in [
            (Some((15, true)), Some(14), true, "never", 0, "somebody has moved the offsets"),
            (None, Some(14), true, "never", 0, "the topic was deleted and made again, or the offset has expired"),
            (Some((15, true)), None, true, "lossy", 15, "g-state does not hold its state"),
            (Some((15, false)), None, true, "lossy", 15, "which this program has not committed"),
            (Some((15, false)), None, false, "lossy", 15, "which this program has not committed"),
            (Some((21, true)), Some(21), true, "never", 0, "the topic ends at 20: it was deleted and made again"),
            (Some((9, true)), Some(9), true, "lossy", 10, "records 9 to 9 were removed before"),
            (Some((5, true)), None, false, "lossy", 10, "records 5 to 9 were removed before"),
        ] {
            let found = beginning(committed, stands, has_state);
            assert_eq!((found.0, found.1), (kind, offset), "{found:?}");
            assert!(found.2.contains(told) && found.2.contains("ive "), "{found:?}");
        }
    }
}
