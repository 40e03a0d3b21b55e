//! A case, played: settings become a configuration, lines become calls, summaries become text.

use std::collections::HashMap;

use chrono_tz::Tz;
use stagger::{
    Bucket, Config, FirstLast, Gap, JoinOnly, Pushed, SessionId, SessionSummary, Sliding, Stagger, Strategy, Unit,
    WhenFull, calendar::ChronoZone,
};

use crate::case::{Action, Case, length};

type Settings = Config<String, String>;
type Summary = SessionSummary<String, String>;

/// Which engines play a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Engines {
    One,
    RestoredBeforeEachLine,
}

/// The output of each line.
pub(crate) fn play(case: &Case, engines: Engines) -> Result<Vec<Vec<String>>, String> {
    let config = config(case)?;
    let mut engine = config.clone().build().map_err(|error| error.to_string())?;
    let mut texts = Texts { case, numbers: HashMap::new() };
    let mut all = Vec::new();
    for step in &case.steps {
        if engines == Engines::RestoredBeforeEachLine {
            engine = config.clone().restore(engine.snapshot()).map_err(|error| error.to_string())?;
        }
        let mut found = Vec::new();
        let mut out = |session: Summary| found.push(texts.session(&session));
        let returned = match &step.action {
            Action::Push(event) => match engine.push(event.as_event_ref(), &mut out) {
                Pushed::Late(event) => Some(format!("late: {}", event.value)),
                Pushed::Refused(event, why) => Some(format!("refused: {}, {why}", event.value)),
                _ => None,
            },
            Action::AdvanceTo(time) => {
                engine.advance_to(*time, &mut out);
                None
            }
            Action::Flush => {
                engine.flush(&mut out);
                None
            }
        };
        found.extend(engine.take_orphans().iter().map(|event| format!("joins nothing: {}", event.value)));
        found.extend(returned);
        all.push(found);
    }
    Ok(all)
}

/// Summaries as text.
struct Texts<'c> {
    case: &'c Case,
    /// Ids, numbered as they come.
    numbers: HashMap<SessionId, usize>,
}

impl Texts<'_> {
    fn session(&mut self, session: &Summary) -> String {
        let time = |time| self.case.shown(time);
        let events = if session.count == 1 { "event" } else { "events" };
        let mut text = format!(
            "{}: {} {events}, {} {} to {} {}, window [{}, {})",
            session.key,
            session.count,
            time(session.first_time),
            session.first_event,
            time(session.last_time),
            session.last_event,
            time(session.window.start),
            time(session.window.end),
        );
        if let Some(bucket) = session.bucket.filter(|bucket| *bucket != session.window.start) {
            text += &format!(", bucket {}", time(bucket));
        }
        if session.part > 1 {
            text += &format!(", part {}", session.part);
        }
        text += &format!(", {}", session.reason);
        let may_change = self.case.settings.iter().any(|(_, setting)| setting.starts_with("lateness"));
        if may_change {
            text += &format!(", id {}", self.number(session.id()));
        }
        if session.revision() > 0 {
            let earlier: Vec<_> = session.supersedes().iter().map(|earlier| self.number(earlier.id)).collect();
            text += &format!(" revision {}, replaces {}", session.revision(), earlier.join(" and "));
        }
        text
    }

    fn number(&mut self, id: SessionId) -> String {
        let next = self.numbers.len() + 1;
        self.numbers.entry(id).or_insert(next).to_string()
    }
}

/// The configuration that the settings of a case describe: first the strategy, then its options.
fn config(case: &Case) -> Result<Settings, String> {
    let at = |place: &String, error: String| format!("{place}: {error}");
    let (place, first) = case.settings.first().ok_or_else(|| format!("{case}: a case has a strategy"))?;
    let mut strategy = strategy(first).map_err(|error| at(place, error))?;
    let mut options: Vec<Change> = Vec::new();
    for (place, setting) in &case.settings[1..] {
        match of_strategy(strategy.clone(), setting).map_err(|error| at(place, error))? {
            Some(changed) => strategy = changed,
            None => options.push(option(setting).map_err(|error| at(place, error))?),
        }
    }
    Ok(options.into_iter().fold(Config::new(strategy), |config, change| change(config)))
}

fn unknown<T>(setting: &str) -> Result<T, String> {
    Err(format!("unknown setting `{setting}`"))
}

fn bucket(words: &[&str]) -> Result<Bucket, String> {
    Ok(match words {
        ["step", width] => Bucket::step(length(width)?),
        ["floor", unit] => Bucket::floor(unit.parse::<Unit>().map_err(|error| error.to_string())?),
        ["floor", unit, "in", zone] => {
            bucket(&["floor", unit])?.zone(ChronoZone(zone.parse::<Tz>().map_err(|error| error.to_string())?))
        }
        _ => return unknown(&words.join(" ")),
    })
}

fn strategy(setting: &str) -> Result<Strategy, String> {
    let words: Vec<_> = setting.split_whitespace().collect();
    Ok(match &words[..] {
        ["gap", gap] => Gap::new(length(gap)?).into(),
        ["sliding", size, "every", slide] => Sliding::new(length(size)?, length(slide)?).into(),
        ["stagger", "per", "key", "range", range] => Stagger::per_key(length(range)?).into(),
        ["stagger", bucket_of @ .., "range", range] => Stagger::on_arrival(bucket(bucket_of)?, length(range)?).into(),
        ["step" | "floor", ..] => Stagger::on_event_time(bucket(&words)?).into(),
        _ => return unknown(setting),
    })
}

/// The strategy with a setting of its own, unless the setting goes with every strategy.
fn of_strategy(strategy: Strategy, setting: &str) -> Result<Option<Strategy>, String> {
    let words: Vec<_> = setting.split_whitespace().collect();
    Ok(Some(match (strategy, &words[..]) {
        (Strategy::Gap(gap), ["inclusive"]) => gap.inclusive().into(),
        (Strategy::Gap(gap), ["max", "duration", max]) => gap.max_duration(length(max)?).into(),
        (Strategy::Gap(gap), ["max", "events", max]) => {
            gap.max_events(max.parse().map_err(|_| format!("`{max}` is no number"))?).into()
        }
        (Strategy::Gap(gap), ["cut", "between", buckets @ ..]) => gap.cut_between(bucket(buckets)?).into(),
        (Strategy::Stagger(stagger), ["remember", "parts", long]) => stagger.remember_parts(length(long)?).into(),
        _ => return Ok(None),
    }))
}

type Change = Box<dyn FnOnce(Settings) -> Settings>;

/// A setting that goes with every strategy, or a rule about values.
fn option(setting: &str) -> Result<Change, String> {
    let words: Vec<_> = setting.split_whitespace().collect();
    Ok(match &words[..] {
        ["out", "of", "order", bound] => {
            let bound = length(bound)?;
            Box::new(move |config| config.out_of_order(bound))
        }
        ["lateness", bound] => {
            let bound = length(bound)?;
            Box::new(move |config| config.allowed_lateness(bound))
        }
        ["max", "future", bound] => {
            let bound = length(bound)?;
            Box::new(move |config| config.max_future(bound))
        }
        ["first", "and", "last", "by", "arrival"] => Box::new(|config| config.first_last_by(FirstLast::Arrival)),
        ["at", "most", max, "open,", when_full] => {
            let max = max.parse().map_err(|_| format!("`{max}` is no number"))?;
            let when_full = if *when_full == "refuse" { WhenFull::Refuse } else { WhenFull::CloseOldest };
            Box::new(move |config| config.max_open_sessions(max, when_full))
        }
        ["gap", "after", value, gap] => {
            let (value, gap) = ((*value).to_owned(), length(gap)?);
            Box::new(move |config| {
                config.gap_per_event(&value.clone(), move |event| (event.value == value).then_some(gap))
            })
        }
        ["cut", "before", value] => {
            let value = (*value).to_owned();
            Box::new(move |config| config.cut(&value.clone(), move |_, next| next.value == value))
        }
        ["cut", "if", "the", "first", "was", first, "and", "the", "next", "is", next] => {
            let (first, next) = ((*first).to_owned(), (*next).to_owned());
            Box::new(move |config| {
                config
                    .cut_with(&first.clone(), move |open, _, event| *open.first_event() == first && event.value == next)
            })
        }
        ["ends", "at", value] => {
            let value = (*value).to_owned();
            Box::new(move |config| config.end_at(&value.clone(), move |event| event.value == value))
        }
        [value, "joins", "only,", prolongs] => {
            let value = (*value).to_owned();
            let joins = if *prolongs == "prolongs" { JoinOnly::Prolongs } else { JoinOnly::DoesNotProlong };
            Box::new(move |config| {
                config.join_only(&value.clone(), move |event| if event.value == value { joins } else { JoinOnly::No })
            })
        }
        _ => return unknown(setting),
    })
}
