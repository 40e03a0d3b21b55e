//! The sessions of each strategy.

use std::time::Duration;

use events::lengths::compact;
use stagger::{
    Bucket, Clock, CloseReason, Config, ConfigError, Event, EventRef, Gap, Sliding, Stagger, Strategy, Timestamp, Unit,
    Window, aggregate::List,
};

use crate::Options;
use crate::reading::Click;

/// One strategy and its sessions.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) hint: &'static str,
    pub(crate) sessions: Vec<Session>,
    /// When the events happened that were handed back.
    pub(crate) handed_back: Vec<Timestamp>,
}

pub(crate) struct Session {
    pub(crate) window: Window,
    /// On the clock of the strategy, in order.
    pub(crate) events: Vec<Timestamp>,
    pub(crate) part: u32,
    pub(crate) reason: CloseReason,
}

impl Session {
    /// Between its first and its last event.
    pub(crate) fn active(&self) -> (Timestamp, Timestamp) {
        (self.events[0], self.events[self.events.len() - 1])
    }

    /// Captions that can stand below it, the longest first.
    pub(crate) fn labels(&self) -> [String; 2] {
        let part = if self.part > 1 { format!(", part {}", self.part) } else { String::new() };
        let count = self.events.len();
        [format!("{count} {}{part}", self.reason.name().replace('_', " ")), count.to_string()]
    }
}

pub(crate) fn rows(options: &Options, clicks: &[Click]) -> Result<Vec<Row>, ConfigError> {
    let bound = options.out_of_order.unwrap_or_else(|| disorder(clicks));
    let row = |(name, hint, strategy)| row(name, hint, strategy, bound, clicks);
    choices(options).into_iter().map(row).collect()
}

fn choices(options: &Options) -> Vec<(String, &'static str, Strategy)> {
    let Options { step, floor, range, gap, max_duration, sliding: (size, slide), .. } = *options;
    let (gap_text, unit) = (compact(gap), floor.name());
    let minute = || Bucket::floor(floor);
    vec![
        (
            format!("STEP {}, event clock", compact(step)),
            "equal steps by when it happened, busy or not",
            Stagger::on_event_time(Bucket::step(step)).into(),
        ),
        (
            format!("FLOOR {unit}, event clock"),
            "units of the calendar: easy to add up",
            Stagger::on_event_time(minute()).into(),
        ),
        (
            format!("Stagger: FLOOR {unit}, RANGE {}, arrival clock", compact(range)),
            "opens on arrival (Kinesis SQL)",
            Stagger::on_arrival(minute(), range).into(),
        ),
        (format!("Gap {gap_text}"), "a visit: it lasts until there is silence", Gap::new(gap).into()),
        (
            format!("Gap {gap_text}, inclusive"),
            "exactly the gap apart is still together, as in Flink",
            Gap::new(gap).inclusive().into(),
        ),
        (
            format!("Gap {gap_text}, max duration {}", compact(max_duration)),
            "no visit without end: robots, music",
            Gap::new(gap).max_duration(max_duration).into(),
        ),
        (
            format!("Gap {gap_text}, cut daily"),
            "no visit on two days (UTC here)",
            Gap::new(gap).cut_between(Bucket::floor(Unit::Day)).into(),
        ),
        (
            format!("Sliding {} every {}", compact(size), compact(slide)),
            "moving totals: an event counts in each window",
            Sliding::new(size, slide).into(),
        ),
    ]
}

/// How far an event is behind the latest before it, at most.
fn disorder(clicks: &[Click]) -> Duration {
    let mut latest = Timestamp::MIN;
    let behind = |click: &Click| {
        latest = latest.max(click.happened);
        latest.since(click.happened)
    };
    clicks.iter().map(behind).max().unwrap_or_default()
}

fn row(
    name: String,
    hint: &'static str,
    strategy: Strategy,
    bound: Duration,
    clicks: &[Click],
) -> Result<Row, ConfigError> {
    let on_arrival = Config::<(), ()>::new(strategy.clone()).build()?.clock() == Clock::Arrival;
    // An event is drawn at its time on the clock of the strategy.
    let times = List::of(move |e: &EventRef<'_, (), ()>| if on_arrival { e.arrival_time } else { e.event_time });
    let config = Config::<(), ()>::new(strategy).aggregate(times);
    let mut sessionizer = if on_arrival { config } else { config.out_of_order(bound) }.build()?;

    let mut row = Row { name, hint, sessions: Vec::new(), handed_back: Vec::new() };
    let mut keep = |session: stagger::SessionSummary<(), (), Vec<Timestamp>>| {
        let stagger::SessionSummary { window, aggregate: mut events, part, reason, .. } = session;
        events.sort();
        row.sessions.push(Session { window, events, part, reason });
    };
    for click in clicks {
        let event = Event::new((), click.happened, ()).arriving_at(click.received);
        row.handed_back.extend(sessionizer.push(event, &mut keep).returned().map(|event| event.event_time));
    }
    sessionizer.advance_to(Timestamp::MAX, &mut keep); // time goes on, and everything reaches its end
    sessionizer.flush(&mut keep); // but what ends beyond all time
    row.sessions.sort_by_key(|session| session.window);
    Ok(row)
}
