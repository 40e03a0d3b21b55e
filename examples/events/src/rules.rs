//! The rules for sessions in a stream: one or several at once, each with a name that its rows go under.
//! Shared by the programs that read streams.

use std::time::Duration;

use crate::lengths;
use clap::Args;
use stagger::{Bucket, Config, FirstLast, Gap, Stagger, Strategy, Unit};

/// Any number of them; the article's `step=30s` if there is none.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Sessions: any number of these rules [default: --stagger step=30s]")]
pub struct Strategies {
    /// Kinesis SQL's WINDOWED BY STAGGER, on the arrival clock: step=LENGTH or floor=UNIT, and
    /// /RANGE where a window stays open for longer or shorter than its bucket: step=30s/60s
    #[arg(long, value_name = "BUCKET[/RANGE]", value_parser = stagger)]
    pub stagger: Vec<OnArrival>,

    /// Windows of a fixed length for each key, on the event clock: 30s
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub step: Vec<Duration>,

    /// A window for each second, minute, hour or day, on the event clock
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    pub floor: Vec<Unit>,

    /// Gap: the time without an event that ends a session, such as 30m
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub gap: Vec<Duration>,
}

/// A stagger window on the arrival clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnArrival {
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

/// The meaning of a rule, in any spelling: `step=60s`, `step=1m` and `floor=minute` are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Stagger { bucket: Duration, range: Duration },
    Step(Duration),
    Gap(Duration),
}

/// A rule with its name, as good for a table as for a folder.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    option: String,
    meaning: Meaning,
    strategy: Strategy,
    /// Kinesis SQL's FIRST_VALUE and LAST_VALUE go by arrival.
    first_last: FirstLast,
}

impl Named {
    pub fn config(&self) -> Config<String, String> {
        Config::new(self.strategy.clone()).first_last_by(self.first_last)
    }

    /// The same without the memory of windows that closed: it only numbers the parts of a window, which no row shows.
    #[must_use]
    pub fn forgetful(self) -> Self {
        let strategy = match self.strategy {
            Strategy::Stagger(windows) if self.first_last == FirstLast::Arrival => {
                windows.remember_parts(Duration::ZERO).into()
            }
            other => other,
        };
        Self { strategy, ..self }
    }

    /// The rule as an option, for messages.
    pub fn option(&self) -> &str {
        &self.option
    }

    pub fn is_on_arrival(&self) -> bool {
        self.first_last == FirstLast::Arrival
    }
}

impl OnArrival {
    fn named(self) -> Named {
        let Self { bucket, range } = self;
        let compact = lengths::compact;
        let (mut name, mut option, rounded) = match bucket {
            Rounding::Step(width) => {
                (format!("stagger_step_{}", compact(width)), format!("step={}", compact(width)), Bucket::step(width))
            }
            Rounding::Floor(unit) => {
                (format!("stagger_floor_{}", name_of(unit)), format!("floor={}", name_of(unit)), Bucket::floor(unit))
            }
        };
        if range != bucket.width() {
            name += &format!("_range_{}", compact(range));
            option += &format!("/{}", compact(range));
        }
        Named {
            name,
            option: format!("--stagger {option}"),
            meaning: Meaning::Stagger { bucket: bucket.width(), range },
            strategy: Stagger::on_arrival(rounded, range).into(),
            first_last: FirstLast::Arrival,
        }
    }
}

impl Named {
    fn on_event_time(option: &str, value: &str, meaning: Meaning, strategy: Strategy) -> Self {
        let (name, option) = (format!("{option}_{value}"), format!("--{option} {value}"));
        Self { name, option, meaning, strategy, first_last: FirstLast::EventTime }
    }

    fn step(width: Duration) -> Self {
        let strategy = Stagger::on_event_time(Bucket::step(width));
        Self::on_event_time("step", &lengths::compact(width), Meaning::Step(width), strategy.into())
    }

    fn floor(unit: Unit) -> Self {
        let strategy = Stagger::on_event_time(Bucket::floor(unit));
        Self::on_event_time("floor", name_of(unit), Meaning::Step(Rounding::Floor(unit).width()), strategy.into())
    }

    fn gap(length: Duration) -> Self {
        Self::on_event_time("gap", &lengths::compact(length), Meaning::Gap(length), Gap::new(length).into())
    }
}

impl Strategies {
    /// All rules that were asked for.
    ///
    /// # Errors
    /// Two rules that mean the same would write every session twice under one id.
    pub fn named(&self) -> Result<Vec<Named>, String> {
        let Self { stagger, step, floor, gap } = self;
        let mut all: Vec<Named> = stagger.iter().map(|rule| rule.named()).collect();
        all.extend(step.iter().map(|width| Named::step(*width)));
        all.extend(floor.iter().map(|unit| Named::floor(*unit)));
        all.extend(gap.iter().map(|length| Named::gap(*length)));
        if all.is_empty() {
            let half_a_minute = Duration::from_secs(30);
            all.push(OnArrival { bucket: Rounding::Step(half_a_minute), range: half_a_minute }.named());
        }
        for (number, rule) in all.iter().enumerate() {
            if let Some(same) = all[..number].iter().find(|earlier| earlier.meaning == rule.meaning) {
                return Err(match same.option == rule.option {
                    true => format!("{} is given twice: leave one out", rule.option),
                    false => format!("{} and {} are the same rule: leave one out", same.option, rule.option),
                });
            }
        }
        Ok(all)
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
        let line = Line::try_parse_from(std::iter::once("program").chain(arguments.split_whitespace()));
        let line = line.map_err(|error| error.to_string())?;
        let named = line.strategies.named()?;
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

    /// However they are written; a rule of the other clock or of another length is another rule.
    #[test]
    fn one_rule_given_twice_is_refused() {
        let refused = |arguments: &str| names(arguments).unwrap_err();
        let twice = "--stagger step=30s is given twice: leave one out";
        assert_eq!(refused("--stagger step=30s --stagger step=30000ms"), twice);
        assert_eq!(refused("--stagger step=30s --stagger step=30s/500ms --stagger step=30s/30s"), twice);
        assert_eq!(refused("--gap 30m --step 1s --gap 1800s"), "--gap 30m is given twice: leave one out");
        assert_eq!(
            refused("--stagger floor=minute --stagger step=60s"),
            "--stagger floor=minute and --stagger step=1m are the same rule: leave one out"
        );
        assert_eq!(refused("--step 24h --floor day"), "--step 1d and --floor day are the same rule: leave one out");
        assert_eq!(
            names("--stagger step=30s --stagger step=30s/1s --step 30s --gap 30s --floor minute").unwrap(),
            ["stagger_step_30s", "stagger_step_30s_range_1s", "step_30s", "floor_minute", "gap_30s"]
        );
    }
}
