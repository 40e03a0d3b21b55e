//! The figures of a run, for those who watch: counted as it happens, read by the view and the report.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rows::SessionRow;
use stagger::Timestamp;

use crate::output::Published;

/// How many of the latest sessions, alerts and troubles are kept.
const RECENT: usize = 64;

/// Shared by all parts of a run.
#[derive(Debug)]
pub(crate) struct Status(Mutex<Now>);

/// The figures at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    pub(crate) started: Instant,
    /// Records and bytes read, before aggregated ones are taken apart; by shard.
    pub(crate) shards: BTreeMap<String, Shard>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Events pushed, after records were taken apart and decoded.
    pub(crate) events: u64,
    /// Records or parts of them that are no events.
    pub(crate) rejected: u64,
    /// One for each strategy.
    pub(crate) strategies: Vec<Strategy>,
    pub(crate) checkpoints: u64,
    pub(crate) last_checkpoint: Option<Instant>,
    /// When the consumer last came around, having handed on all that it had taken.
    pub(crate) last_step: Option<Instant>,
    pub(crate) files_published: u64,
    pub(crate) rows_published: u64,
    /// Counts of deliveries and failures of each sink.
    pub(crate) sinks: BTreeMap<&'static str, Sink>,
    pub(crate) alerts: u64,
    pub(crate) retries: u64,
    pub(crate) throttled: u64,
    /// Records that came after later ones had been taken: rows may differ from those of another run.
    pub(crate) ruled_out: u64,
    /// How far this machine's clock is ahead of Kinesis', in microseconds, as far as that is certain;
    /// negative if it is behind.
    pub(crate) clock_ahead: i64,
    pub(crate) has_told_of_clock: bool,
    /// The latest, newest last: strategy and session.
    pub(crate) recent: VecDeque<(usize, SessionRow)>,
    pub(crate) recent_alerts: VecDeque<String>,
    /// Failures that were tried again or told; the latest, and how many there were.
    pub(crate) troubles: VecDeque<String>,
    pub(crate) all_troubles: u64,
}

/// A shard that is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// How far behind the tip of the shard, as its server said last.
    pub(crate) millis_behind: i64,
    /// When it said so.
    pub(crate) last_answer: Option<Instant>,
    /// Whether it was read to its end.
    pub(crate) is_closed: bool,
}

/// How a strategy is doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strategy {
    pub(crate) name: String,
    pub(crate) clock: Option<Timestamp>,
    pub(crate) open: usize,
    pub(crate) closed: u64,
    pub(crate) late: u64,
    pub(crate) refused: u64,
    /// Of the sessions told to [`Status::session`]: their seconds and their events.
    pub(crate) seconds: Spread,
    pub(crate) events: Spread,
}

/// A summary of many numbers, without the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
        self.most = self.most.max(number);
    }

    /// `None` before the first number.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Counts of a sink that cannot commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sink {
    pub(crate) sent: u64,
    pub(crate) retried: u64,
    /// Given up.
    pub(crate) failed: u64,
    pub(crate) waiting: u64,
}

impl Now {
    /// Late events. Each rule counts an event that is late, and it is one event: the rule with the most
    /// tells how many there are at least.
    pub(crate) fn late(&self) -> u64 {
        self.strategies.iter().map(|rule| rule.late).max().unwrap_or(0)
    }

    /// Refused events, each of which every rule refuses.
    pub(crate) fn refused(&self) -> u64 {
        self.strategies.iter().map(|rule| rule.refused).max().unwrap_or(0)
    }

    pub(crate) fn published(&mut self, published: Published) {
        self.files_published += published.files;
        self.rows_published += published.rows;
    }
}

impl Status {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Now {
            started: Instant::now(),
            shards: BTreeMap::new(),
            records: 0,
            bytes: 0,
            events: 0,
            rejected: 0,
            strategies: Vec::new(),
            checkpoints: 0,
            last_checkpoint: None,
            last_step: None,
            files_published: 0,
            rows_published: 0,
            sinks: BTreeMap::new(),
            alerts: 0,
            retries: 0,
            throttled: 0,
            ruled_out: 0,
            clock_ahead: 0,
            has_told_of_clock: false,
            recent: VecDeque::new(),
            recent_alerts: VecDeque::new(),
            troubles: VecDeque::new(),
            all_troubles: 0,
        }))
    }

    /// Changes figures; the closure must be short.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        change(&mut self.lock())
    }

    /// All figures at this moment.
    pub(crate) fn now(&self) -> Now {
        self.lock().clone()
    }

    pub(crate) fn retried(&self, what: &str, throttled: bool, why: &str) {
        self.change(|now| {
            now.retries += 1;
            now.throttled += u64::from(throttled);
        });
        self.trouble(format!("{what}: {why}; trying again"));
    }

    pub(crate) fn trouble(&self, what: String) {
        tracing::warn!("{what}");
        self.change(|now| {
            now.all_troubles += 1;
            remember(&mut now.troubles, what);
        });
    }

    /// An answer of Kinesis shows how far this machine's clock is ahead. Told once, if it is more than
    /// `slack`.
    pub(crate) fn clock_ahead(&self, micros: i64, slack: Duration) {
        let is_far = u128::from(micros.unsigned_abs()) > slack.as_micros();
        let is_news = self.change(|now| {
            now.clock_ahead = micros;
            is_far && !std::mem::replace(&mut now.has_told_of_clock, true)
        });
        if is_news {
            let way = if micros > 0 { "ahead of" } else { "behind" };
            let seconds = micros.unsigned_abs() as f64 / 1e6;
            self.trouble(format!(
                "the clock of this machine is {seconds:.0} s {way} that of Kinesis, whose times are used: set the clock"
            ));
        }
    }

    /// Records came that had been ruled out.
    pub(crate) fn ruled_out(&self, all: u64) {
        let before = self.change(|now| std::mem::replace(&mut now.ruled_out, all));
        if before == 0 && all > 0 {
            let text = "a record came after later ones had been taken, so rows may differ from those of another run: \
                        records can be read later than --arrival-slack allows for, so raise it";
            self.trouble(text.to_owned());
        }
    }

    pub(crate) fn alert(&self, text: String) {
        self.change(|now| {
            now.alerts += 1;
            remember(&mut now.recent_alerts, text);
        });
    }

    pub(crate) fn session(&self, strategy: usize, session: &SessionRow) {
        self.change(|now| {
            if let Some(strategy) = now.strategies.get_mut(strategy) {
                strategy.seconds.add(session.duration().as_secs_f64());
                strategy.events.add(session.events as f64);
            }
            remember(&mut now.recent, (strategy, session.clone()));
        });
    }

    pub(crate) fn sink(&self, name: &'static str, change: impl FnOnce(&mut Sink)) {
        self.change(|now| change(now.sinks.entry(name).or_default()));
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // A thread that panicked while it counted has left figures, not invariants.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn remember<T>(recent: &mut VecDeque<T>, item: T) {
    if recent.len() == RECENT {
        recent.pop_front();
    }
    recent.push_back(item);
}
