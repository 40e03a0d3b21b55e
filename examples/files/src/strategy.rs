//! From the command line to a configuration of the library.

use std::time::Duration;

use events::lengths::compact;
use events::parse::more;
use events::zones::AnyZone;
use stagger::{Bucket, Clock, Config, FirstLast, Gap, JoinOnly, Sliding, Stagger, Strategy, Unit, fingerprint};

use crate::facts::Kept;
use crate::options::{Options, StaggerBucket};
use crate::text::{Origin, Payload, Text};

const DEFAULT_GAP: Duration = Duration::from_secs(30 * 60);
/// Longer than any input: parts of windows are numbered right however far apart they are.
const FOR_EVER: Duration = Duration::from_secs(100_000 * 86_400);
const AN_HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn config<O: Kept>(options: &Options) -> Config<Text, Payload<O>> {
    let streaming = &options.streaming;
    let mut config = Config::new(strategy(options));
    if let Some(bound) = streaming.out_of_order
        && options.strategy.clock() == Clock::Event
        && options.bound_by_arrival().is_none()
    {
        config = config.out_of_order(bound);
    }
    if let Some(ahead) = streaming.max_future {
        config = config.max_future(ahead);
    }
    if let Some(lateness) = streaming.allowed_lateness {
        config = config.allowed_lateness(lateness);
    }
    if let Some(every) = streaming.update_every {
        config = config.update_every(every);
    }
    if let Some(events) = streaming.update_every_events {
        config = config.update_every_events(events);
    }
    if options.strategy.clock() == Clock::Arrival {
        // FIRST_VALUE and LAST_VALUE of Kinesis SQL go by arrival.
        config = config.first_last_by(FirstLast::Arrival);
    }
    with_rules::<O>(with_unique::<O>(config, options), options.strategy.bits())
}

/// Events with the same value in a field are one. Those without a value differ.
fn with_unique<O: Kept>(config: Config<Text, Payload<O>>, options: &Options) -> Config<Text, Payload<O>> {
    let names = &options.fields.more.names;
    let field = options.strategy.unique.as_ref();
    let Some(field) = field.and_then(|field| names.iter().position(|name| name == field)) else { return config };
    let count = names.len();
    config.unique_by("--unique", move |event| {
        let (value, Origin { place, more, .. }) = event.value;
        let id = more::values(more, count).nth(field).unwrap_or_default();
        match id.is_empty() {
            true => fingerprint((event.event_time, place, value)),
            false => fingerprint(&*id),
        }
    })
}

/// The rules on single events, each by the bit of its condition.
fn with_rules<O: Kept>(
    mut config: Config<Text, Payload<O>>,
    [end_at, heartbeat, join_only]: [u8; 3],
) -> Config<Text, Payload<O>> {
    let has = |event: &stagger::EventRef<'_, Text, Payload<O>>, bit: u8| event.value.1.marks & bit != 0;
    if end_at != 0 {
        config = config.end_at("--end-at", move |event| has(event, end_at));
    }
    if heartbeat | join_only != 0 {
        config = config.join_only("--heartbeat, --join-only", move |event| match event {
            event if has(event, heartbeat) => JoinOnly::DoesNotProlong,
            event if has(event, join_only) => JoinOnly::Prolongs,
            _ => JoinOnly::No,
        });
    }
    config
}

fn strategy(options: &Options) -> Strategy {
    let chosen = &options.strategy;
    let zone = chosen.zone.unwrap_or(AnyZone::UTC);
    if let Some(width) = chosen.step {
        return Stagger::on_event_time(Bucket::step(width)).into();
    }
    if let Some(unit) = chosen.floor {
        return Stagger::on_event_time(Bucket::floor(unit).zone(zone)).into();
    }
    if let Some((size, slide)) = chosen.sliding {
        return Sliding::new(size, slide).into();
    }
    if let (Some(bucket), Some(range)) = (chosen.stagger, chosen.range) {
        let remember = if options.streaming.out_of_order.is_some() { range.max(AN_HOUR) } else { FOR_EVER };
        return on_arrival(bucket, range, zone).remember_parts(remember).into();
    }
    gap(options, zone).into()
}

/// The rule in words, for the report.
pub(crate) fn words(options: &Options) -> String {
    let chosen = &options.strategy;
    let mut words = if let Some(width) = chosen.step {
        format!("windows of {}", compact(width))
    } else if let Some(unit) = chosen.floor {
        format!("one window for each {}", unit.name())
    } else if let Some((size, slide)) = chosen.sliding {
        format!("windows of {} every {}", compact(size), compact(slide))
    } else if let Some(range) = chosen.range {
        format!("stagger windows that stay open for {}", compact(range))
    } else {
        format!("a session ends after {} without an event", compact(chosen.gap.unwrap_or(DEFAULT_GAP)))
    };
    if let Some(most) = chosen.max_duration {
        words += &format!(", or after {}", compact(most));
    }
    if chosen.cut_daily {
        words += ", or at midnight";
    }
    if let Some(bound) = options.streaming.out_of_order.filter(|_| chosen.stagger.is_none()) {
        words += &format!("; events may come {} late", compact(bound));
    }
    words
}

fn on_arrival(bucket: StaggerBucket, range: Duration, zone: AnyZone) -> Stagger {
    match bucket {
        StaggerBucket::Step(width) => Stagger::on_arrival(Bucket::step(width), range),
        StaggerBucket::Floor(unit) => Stagger::on_arrival(Bucket::floor(unit).zone(zone), range),
        StaggerBucket::None => Stagger::per_key(range),
    }
}

fn gap(options: &Options, zone: AnyZone) -> Gap {
    let chosen = &options.strategy;
    let mut gap = Gap::new(chosen.gap.unwrap_or(DEFAULT_GAP));
    if chosen.inclusive {
        gap = gap.inclusive();
    }
    if let Some(most) = chosen.max_duration {
        gap = gap.max_duration(most);
    }
    if chosen.cut_daily {
        gap = gap.cut_between(Bucket::floor(Unit::Day).zone(zone));
    }
    gap
}
