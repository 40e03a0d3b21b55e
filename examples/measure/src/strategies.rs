//! The strategies that are measured.

use std::time::Duration;

use clap::ValueEnum;
use events::lengths::compact;
use stagger::{Bucket, Config, Gap, Key, Sliding, Stagger, Strategy, Unit, Value};

use crate::command::Lengths;

/// One strategy; the name is that of `--only` and of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    Step,
    Floor,
    Gap,
    Inclusive,
    MaxDuration,
    CutDaily,
    Lateness,
    Sliding,
    Stagger,
}

impl Choice {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// All names, as one text.
    pub(crate) fn names() -> String {
        Self::all().iter().map(|choice| choice.name()).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The strategy in words.
    pub(crate) fn words(self, lengths: &Lengths) -> String {
        let gap = compact(lengths.gap);
        match self {
            Self::Step => format!("STEP {}", compact(lengths.step)),
            Self::Floor => format!("FLOOR {}", lengths.floor.name()),
            Self::Gap => format!("gap {gap}"),
            Self::Inclusive => format!("gap {gap}, inclusive"),
            Self::MaxDuration => format!("gap {gap}, at most {}", compact(lengths.max_duration)),
            Self::CutDaily => format!("gap {gap}, cut daily"),
            Self::Lateness => format!("gap {gap}, lateness {}", compact(lengths.allowed_lateness)),
            Self::Sliding => format!("sliding {} every {}", compact(lengths.sliding.0), compact(lengths.sliding.1)),
            Self::Stagger => format!("stagger {}, range {}", compact(lengths.step), compact(lengths.range)),
        }
    }

    fn strategy(self, lengths: &Lengths) -> Strategy {
        let gap = Gap::new(lengths.gap);
        match self {
            Self::Step => Stagger::on_event_time(Bucket::step(lengths.step)).into(),
            Self::Floor => Stagger::on_event_time(Bucket::floor(lengths.floor)).into(),
            Self::Gap | Self::Lateness => gap.into(),
            Self::Inclusive => gap.inclusive().into(),
            Self::MaxDuration => gap.max_duration(lengths.max_duration).into(),
            Self::CutDaily => gap.cut_between(Bucket::floor(Unit::Day)).into(),
            Self::Sliding => Sliding::new(lengths.sliding.0, lengths.sliding.1).into(),
            Self::Stagger => Stagger::on_arrival(Bucket::step(lengths.step), lengths.range).into(),
        }
    }

    /// The configuration, where events are out of order by at most `bound`.
    pub(crate) fn config<K: Key, V: Value>(self, lengths: &Lengths, bound: Duration) -> Config<K, V> {
        let config = Config::new(self.strategy(lengths));
        match self {
            Self::Stagger => config, // on the arrival clock nothing is out of order
            Self::Lateness => config.out_of_order(bound).allowed_lateness(lengths.allowed_lateness),
            _ => config.out_of_order(bound),
        }
    }
}
