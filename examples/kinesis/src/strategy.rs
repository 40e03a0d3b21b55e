//! What makes a session: one or several rules at once, each with a name that its rows go under.

use std::time::Duration;

use clap::Args;
use stagger::{Bucket, Config, FirstLast, Gap, Stagger, Strategy, Unit};

use crate::lengths;

/// Any number of them; the article's `step=30s` if there is none.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What makes a session (any number at once) [default: --stagger step=30s]")]
pub(crate) struct Strategies {
    /// Kinesis SQL's WINDOWED BY STAGGER, on the clock of arrival: step=LENGTH or floor=UNIT, and
    /// /RANGE where a window stays open for longer or shorter than its bucket: step=30s/60s
    #[arg(long, value_name = "BUCKET[/RANGE]", value_parser = stagger)]
    pub(crate) stagger: Vec<OnArrival>,

    /// Windows of a fixed length for each key, on the event clock: 30s
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) step: Vec<Duration>,

    /// A window for each second, minute, hour or day, on the event clock
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub(crate) floor: Vec<Unit>,

    /// A session ends after so long without an event: 30m
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub(crate) gap: Vec<Duration>,
}

/// A stagger window on the clock of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnArrival {
    bucket: Rounding,
    range: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    Step(Duration),
    Floor(Unit),
}

impl Rounding {
    fn width(self) -> Duration {
        match self {
            Self::Step(width) => width,
            Self::Floor(unit) => {
                let seconds = UNITS.iter().find(|(_, known, _)| *known == unit).map_or(60, |(.., seconds)| *seconds);
                Duration::from_secs(seconds)
            }
        }
    }
}

const UNITS: [(&str, Unit, u64); 4] = [
    ("second", Unit::Second, 1),
    ("minute", Unit::Minute, 60),
    ("hour", Unit::Hour, 3_600),
    ("day", Unit::Day, 86_400),
];

fn unit(text: &str) -> Result<Unit, String> {
    let found = UNITS.iter().find(|(name, ..)| *name == text);
    found.map(|(_, unit, _)| *unit).ok_or_else(|| "choose second, minute, hour or day".to_owned())
}

fn name_of(unit: Unit) -> &'static str {
    UNITS.iter().find(|(_, known, _)| *known == unit).map_or("unit", |(name, ..)| name)
}

fn stagger(text: &str) -> Result<OnArrival, String> {
    let (bucket, range) = match text.split_once('/') {
        Some((bucket, range)) => (bucket, Some(lengths::parse(range)?)),
        None => (text, None),
    };
    let bucket = match bucket.split_once('=') {
        Some(("step", width)) => Rounding::Step(lengths::parse(width)?),
        Some(("floor", name)) => Rounding::Floor(unit(name)?),
        _ => return Err("give step=LENGTH or floor=UNIT, such as step=30s or floor=minute".to_owned()),
    };
    Ok(OnArrival { bucket, range: range.unwrap_or(bucket.width()) })
}

/// A rule with its name, as good for a table as for a folder.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    strategy: Strategy,
    /// Kinesis SQL's FIRST_VALUE and LAST_VALUE go by arrival.
    first_last: FirstLast,
}

impl Named {
    pub(crate) fn config(&self) -> Config<String, String> {
        Config::new(self.strategy.clone()).first_last_by(self.first_last)
    }

    pub(crate) fn is_on_arrival(&self) -> bool {
        self.first_last == FirstLast::Arrival
    }
}

impl Strategies {
    /// All that were asked for.
    pub(crate) fn named(&self) -> Vec<Named> {
        let mut all = Vec::new();
        let mut add = |name: String, strategy: Strategy, first_last| all.push(Named { name, strategy, first_last });
        let compact = lengths::compact;
        let article = [OnArrival { bucket: Rounding::Step(Duration::from_secs(30)), range: Duration::from_secs(30) }];
        let is_empty = self.stagger.is_empty() && self.step.is_empty() && self.floor.is_empty() && self.gap.is_empty();
        for OnArrival { bucket, range } in if is_empty { &article[..] } else { &self.stagger } {
            let (mut name, rounded) = match bucket {
                Rounding::Step(width) => (format!("stagger_step_{}", compact(*width)), Bucket::step(*width)),
                Rounding::Floor(unit) => (format!("stagger_floor_{}", name_of(*unit)), Bucket::floor(*unit)),
            };
            if *range != bucket.width() {
                name += &format!("_range_{}", compact(*range));
            }
            let bucket = rounded;
            add(name, Stagger::on_arrival(bucket, *range).into(), FirstLast::Arrival);
        }
        for width in &self.step {
            let strategy = Stagger::on_event_time(Bucket::step(*width));
            add(format!("step_{}", compact(*width)), strategy.into(), FirstLast::EventTime);
        }
        for unit in &self.floor {
            let strategy = Stagger::on_event_time(Bucket::floor(*unit));
            add(format!("floor_{}", name_of(*unit)), strategy.into(), FirstLast::EventTime);
        }
        for length in &self.gap {
            add(format!("gap_{}", compact(*length)), Gap::new(*length).into(), FirstLast::EventTime);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        strategies: Strategies,
    }

    fn names(arguments: &str) -> Result<Vec<String>, String> {
        let line = Line::try_parse_from(std::iter::once("kinesis").chain(arguments.split_whitespace()));
        let line = line.map_err(|error| error.to_string())?;
        let named = line.strategies.named();
        Ok(named.into_iter().map(|named| named.config().build().map(|_| named.name)).collect::<Result<_, _>>().unwrap())
    }

    #[test]
    fn each_rule_has_its_name() {
        assert_eq!(names("").unwrap(), ["stagger_step_30s"]);
        assert_eq!(
            names("--stagger step=30s --stagger floor=minute/2m --floor hour --step 10s --gap 30m").unwrap(),
            ["stagger_step_30s", "stagger_floor_minute_range_2m", "step_10s", "floor_hour", "gap_30m"]
        );
        let error = names("--stagger minute").unwrap_err();
        assert!(error.contains("step=30s or floor=minute"), "{error}");
    }
}
