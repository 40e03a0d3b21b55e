//! Options that the programs on streams share: the fields of a record, and how its time is understood.

#![allow(rustdoc::broken_intra_doc_links, reason = "help texts of the command line are no links")]

use std::time::Duration;

use clap::Args;
use stagger::{Config, Timestamp};

use crate::columns::Columns;
use crate::fields::Meaning;
use crate::lengths;
use crate::parse::Wanted;
use crate::parse::times::TimeFormat;
use crate::rules::Named;

/// Fields of a record.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Fields of a record (a JSON object)")]
pub struct RecordFields {
    /// Key fields: who the event belongs to; nested ones as a.b. A field is text (the number 7 is the text
    /// 7), or with :int a whole number
    #[arg(long, value_name = "F[:int][,F...]", value_delimiter = ',', default_value = "user_id:int,device_id")]
    pub key: Vec<String>,

    /// Field with the time of the event
    #[arg(long, value_name = "F", default_value = "client_timestamp")]
    pub time: String,

    /// Field that first and last event report
    #[arg(long, value_name = "F", default_value = "client_event")]
    pub value: String,

    #[command(flatten)]
    pub meaning: Meaning,
}

impl RecordFields {
    /// The key fields of the events.
    pub fn declared(&self) -> Result<Columns, String> {
        Columns::declared(&self.key).map_err(|error| format!("--key: {error}"))
    }

    pub fn wanted(&self) -> Result<Wanted, String> {
        let times = self.meaning.times(TimeFormat::Auto);
        let wanted = Wanted::new(&self.declared()?, &self.time, None, Some(&self.value), &times);
        Ok(wanted.no_user(self.meaning.no_user))
    }

    /// The key fields as they were asked for: all runs on one state must agree.
    pub fn echo(&self) -> String {
        format!("--key {}", self.key.join(","))
    }
}

/// How time is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Time")]
pub struct EventTiming {
    /// How far the events of one shard or partition may be out of order (event clock)
    #[arg(long, value_name = "LENGTH", default_value = "10s", value_parser = lengths::parse)]
    pub out_of_order: Duration,

    /// How long sessions can still be corrected (event clock); a corrected row names those it replaces
    #[arg(long, value_name = "LENGTH", value_parser = lengths::parse)]
    pub allowed_lateness: Option<Duration>,

    /// Refuse events that are further ahead of the arrival of their record. Events less far ahead keep their own
    /// time; they do not make other events late
    #[arg(long, value_name = "LENGTH", default_value = "5m", value_parser = lengths::parse)]
    pub max_future: Duration,

    /// Refuse events before this time: the clock of their device was never set
    #[arg(long, value_name = "TIME", default_value = "2000-01-01T00:00:00Z", value_parser = time)]
    pub earliest: Timestamp,

    /// Once no event has moved event time for this time, event time follows the clock, so that sessions close
    /// though the input is silent (event clock). never: sessions stay open until more events arrive
    #[arg(long, value_name = "LENGTH", default_value = "10m", value_parser = max_delay)]
    pub max_delay: MaxDelay,
}

/// A length, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxDelay(pub Option<Duration>);

fn max_delay(text: &str) -> Result<MaxDelay, String> {
    match text {
        "never" => Ok(MaxDelay(None)),
        _ => lengths::parse(text).map(|length| MaxDelay(Some(length))).map_err(|error| format!("{error}; or never")),
    }
}

/// An instant on the command line.
pub fn time(text: &str) -> Result<Timestamp, String> {
    TimeFormat::Auto.parse(text).ok_or_else(|| "give a time such as 2018-11-29T00:00:00Z".to_owned())
}

impl EventTiming {
    /// Why an event of that time, whose record arrived then, is not plausible.
    #[must_use]
    pub fn refusal(&self, time: Timestamp, arrival: Timestamp) -> Option<String> {
        if time < self.earliest {
            return Some(format!("it is from before {} (--earliest)", self.earliest));
        }
        let ahead = lengths::compact(self.max_future);
        (time > arrival + self.max_future)
            .then(|| format!("it is more than {ahead} ahead of its arrival (--max-future)"))
    }

    #[must_use]
    pub fn config(&self, named: &Named) -> Config<String, String> {
        let config = named.config();
        match self.allowed_lateness {
            Some(lateness) if !named.is_on_arrival() => config.allowed_lateness(lateness),
            _ => config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_plausible_up_to_both_bounds() {
        let second = Timestamp::from_secs;
        let timing = EventTiming {
            out_of_order: Duration::ZERO,
            allowed_lateness: None,
            max_future: Duration::from_secs(5),
            earliest: second(100),
            max_delay: MaxDelay(None),
        };
        let microsecond = Duration::from_micros(1);
        assert_eq!(timing.refusal(second(100), second(200)), None);
        assert_eq!(timing.refusal(second(205), second(200)), None);
        let early = timing.refusal(second(100) - microsecond, second(200)).unwrap();
        assert!(early.ends_with("(--earliest)"), "{early}");
        let future = timing.refusal(second(205) + microsecond, second(200)).unwrap();
        assert!(future.ends_with("(--max-future)"), "{future}");
    }

    #[test]
    fn a_greatest_delay_is_a_length_or_never() {
        assert_eq!(max_delay("never"), Ok(MaxDelay(None)));
        assert_eq!(max_delay("90s"), Ok(MaxDelay(Some(Duration::from_secs(90)))));
        assert!(max_delay("soon").unwrap_err().ends_with("; or never"));
    }
}
