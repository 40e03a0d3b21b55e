//! A row of any of the formats on its way to a session: its columns have names, its cells have values.
//!
//! | column | as `kinesis` writes it | as `files` writes it |
//! |---|---|---|
//! | identity | `session_id` | `session_id` |
//! | time of the first event | `beginsession` | `first_time` |
//! | time of the last event | `endsession` | `last_time` |
//! | events | `events` | `count` |
//! | from first to last | `duration_sec` | `duration_us` |
//! | first and last event | `beginnavigation`, `endnavigation` | `first_event`, `last_event` |
//! | corrections | `revision`, `supersedes` | `revision`, `supersedes` |
//!
//! All others are key fields, apart from `timeagg`, `reason`, `window_start`, `window_end`, `bucket`
//! and `part`. The form `kinesis-sql` of `files` has the columns of `kinesis`, but its times have
//! minutes and seconds only: the hour comes from `timeagg`.

use std::borrow::Cow;

use events::parse::times::{Recent, TimeFormat};
use stagger::SessionId;

const HOUR: i64 = 3_600_000_000;

/// The value of one column of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Empty,
    Text(Cow<'a, str>),
    Whole(i64),
    /// Microseconds since 1970.
    Time(i64),
}

impl Cell<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Empty) || matches!(self, Self::Text(text) if text.is_empty())
    }

    fn text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Time(micros) => stagger::Timestamp::from_micros(*micros).to_string(),
        }
    }

    fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(number) => u64::try_from(*number).ok(),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// The purpose of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Id,
    Bucket,
    Begin,
    End,
    Events,
    Seconds,
    Micros,
    First,
    Last,
    Reason,
    Revision,
    Supersedes,
    Unused,
    Key,
}

impl Role {
    pub(crate) fn of(column: &str) -> Self {
        match column {
            "session_id" => Self::Id,
            "timeagg" => Self::Bucket,
            "beginsession" | "first_time" => Self::Begin,
            "endsession" | "last_time" => Self::End,
            "events" | "count" => Self::Events,
            "duration_sec" => Self::Seconds,
            "duration_us" => Self::Micros,
            "beginnavigation" | "first_event" => Self::First,
            "endnavigation" | "last_event" => Self::Last,
            "reason" => Self::Reason,
            "revision" => Self::Revision,
            "supersedes" => Self::Supersedes,
            "window_start" | "window_end" | "bucket" | "part" => Self::Unused,
            name if rows::columns::named(name).is_some() => Self::Unused,
            _ => Self::Key,
        }
    }
}

/// The time of an event, as far as its row tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Whole(i64),
    /// Minutes and seconds, without the hour.
    WithinHour(i64),
}

/// The values of a row that were read.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) id: Option<SessionId>,
    pub(crate) revision: u32,
    pub(crate) supersedes: Vec<SessionId>,
    pub(crate) first: Option<String>,
    pub(crate) last: Option<String>,
    pub(crate) reason: Option<String>,
    /// Names and values of the key fields, in their order.
    pub(crate) keys: Vec<(String, String)>,
    bucket: Option<i64>,
    begin: Option<Moment>,
    end: Option<Moment>,
    events: Option<u64>,
    seconds: Option<u64>,
    micros: Option<u64>,
}

/// The values of a session that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measures {
    /// Time of the first event, in microseconds since 1970.
    pub(crate) begin: i64,
    /// From the first event to the last, in whole seconds, cut off.
    pub(crate) seconds: u64,
    pub(crate) events: u64,
    /// Whether first and last event have the same time.
    pub(crate) is_instant: bool,
}

impl Draft {
    /// Takes the value of one column.
    pub(crate) fn set(&mut self, name: &str, role: Role, cell: &Cell<'_>, recent: &Recent) -> Result<(), String> {
        if role == Role::Key {
            self.keys.push((name.to_owned(), cell.text()));
            return Ok(());
        }
        if cell.is_empty() && !matches!(role, Role::First | Role::Last) {
            return Ok(());
        }
        let bad = || format!("`{name}` is {:?}", cell.text());
        match role {
            Role::Id => self.id = cell.text().parse().ok(),
            Role::Bucket => self.bucket = instant(cell, recent),
            Role::Begin => self.begin = Some(moment(cell, recent).ok_or_else(|| bad() + ", which is no time")?),
            Role::End => self.end = Some(moment(cell, recent).ok_or_else(|| bad() + ", which is no time")?),
            Role::Events => self.events = Some(cell.whole().ok_or_else(|| bad() + ", which is no number of events")?),
            Role::Seconds => self.seconds = Some(cell.whole().ok_or_else(|| bad() + ", which is no duration")?),
            Role::Micros => self.micros = Some(cell.whole().ok_or_else(|| bad() + ", which is no duration")?),
            Role::First => self.first = Some(cell.text()),
            Role::Last => self.last = Some(cell.text()),
            Role::Reason => self.reason = Some(cell.text()),
            Role::Revision => {
                let revision = cell.whole().and_then(|number| u32::try_from(number).ok());
                self.revision = revision.ok_or_else(|| bad() + ", which is no number of a revision")?;
            }
            Role::Supersedes => {
                self.supersedes = ids(&cell.text()).ok_or_else(|| bad() + ", which is no list of ids")?;
            }
            Role::Unused | Role::Key => {}
        }
        Ok(())
    }

    /// The counted values of the row, if it has all of them.
    pub(crate) fn measures(&self) -> Result<Measures, String> {
        let events = self.events.ok_or("the number of events is missing: a session row has `events` or `count`")?;
        if events == 0 {
            return Err("the number of events is 0: a session has at least one".to_owned());
        }
        let begin = self.begin_micros()?;
        let (seconds, is_instant) = self.duration(begin)?;
        Ok(Measures { begin, seconds, events, is_instant })
    }

    fn begin_micros(&self) -> Result<i64, String> {
        match (self.begin, self.bucket) {
            (Some(Moment::Whole(micros)), _) => Ok(micros),
            (Some(Moment::WithinHour(within)), Some(bucket)) => Ok(bucket + (within - bucket).rem_euclid(HOUR)),
            (Some(Moment::WithinHour(_)), None) => {
                Err("the first event's time has no hour, and `timeagg` is missing".into())
            }
            (None, _) => {
                Err("the time of the first event is missing: a session row has `beginsession` or `first_time`".into())
            }
        }
    }

    /// In whole seconds, and whether it is nothing at all.
    fn duration(&self, begin: i64) -> Result<(u64, bool), String> {
        let between = match self.end {
            Some(Moment::Whole(end)) => Some(end.checked_sub(begin).ok_or("first and last event are too far apart")?),
            Some(Moment::WithinHour(end)) => Some((end - begin).rem_euclid(HOUR)),
            None => None,
        };
        if between.is_some_and(|between| between < 0) {
            return Err("the last event is earlier than the first".to_owned());
        }
        let between = between.map(i64::unsigned_abs);
        let seconds = self.seconds.or(self.micros.or(between).map(|micros| micros / 1_000_000));
        let seconds = seconds.ok_or("the duration is missing: a session row has `duration_sec` or `duration_us`")?;
        Ok((seconds, seconds == 0 && between.or(self.micros).unwrap_or(0) == 0))
    }

    /// The value of a column that sessions may be grouped by.
    pub(crate) fn value_of(&self, column: &str) -> Option<&str> {
        match Role::of(column) {
            Role::First => self.first.as_deref(),
            Role::Last => self.last.as_deref(),
            Role::Reason => self.reason.as_deref(),
            Role::Key => self.keys.iter().find(|(name, _)| name == column).map(|(_, value)| value.as_str()),
            _ => None,
        }
    }
}

fn instant(cell: &Cell<'_>, recent: &Recent) -> Option<i64> {
    match cell {
        Cell::Time(micros) => Some(*micros),
        Cell::Text(text) => TimeFormat::Iso.parse_after(text, recent).map(stagger::Timestamp::as_micros),
        _ => None,
    }
}

fn moment(cell: &Cell<'_>, recent: &Recent) -> Option<Moment> {
    instant(cell, recent).map(Moment::Whole).or_else(|| match cell {
        Cell::Text(text) => within_hour(text).map(Moment::WithinHour),
        _ => None,
    })
}

/// `35:10.123`
fn within_hour(text: &str) -> Option<i64> {
    let (minutes, rest) = text.split_once(':')?;
    let (seconds, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten();
    let micros = number(&format!("{fraction:0<6}").chars().take(6).collect::<String>())?;
    let (minutes, seconds) = (number(minutes)?, number(seconds)?);
    (minutes < 60 && seconds < 60).then_some((minutes * 60 + seconds) * 1_000_000 + micros)
}

/// Ids with commas or spaces between them.
fn ids(text: &str) -> Option<Vec<SessionId>> {
    text.split([',', ' ']).filter(|id| !id.is_empty()).map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cells: &[(&str, &str)]) -> Result<Measures, String> {
        let mut draft = Draft::default();
        for (name, text) in cells {
            draft.set(name, Role::of(name), &Cell::Text((*text).into()), &Recent::default())?;
        }
        draft.measures()
    }

    #[test]
    fn rows_of_both_programs_mean_the_same() {
        let kinesis = measured(&[
            ("events", "3"),
            ("beginsession", "2018-11-29T23:35:10.123456Z"),
            ("endsession", "2018-11-29T23:35:12.923456Z"),
            ("duration_sec", "2"),
        ]);
        let files = measured(&[
            ("count", "3"),
            ("first_time", "2018-11-29T23:35:10.123456Z"),
            ("last_time", "2018-11-29T23:35:12.923456Z"),
            ("duration_us", "2800000"),
        ]);
        assert_eq!(kinesis, files);
        let begin = 1_543_534_510_123_456;
        assert_eq!(files, Ok(Measures { begin, seconds: 2, events: 3, is_instant: false }));
    }

    #[test]
    fn times_without_hour_follow_the_rounded_time() {
        let sql = |timeagg: &str, begin: &str, end: &str, seconds: &str| {
            let times = [("timeagg", timeagg), ("beginsession", begin), ("endsession", end)];
            measured(&[&times[..], &[("events", "2"), ("duration_sec", seconds)]].concat()).unwrap()
        };
        let minute = sql("2018-11-29 23:35:00.000", "35:10.123", "36:01.000", "50");
        assert_eq!((minute.begin, minute.seconds), (1_543_534_510_123_000, 50));
        let over_the_hour = sql("2018-11-29 23:59:30.000", "00:05.000", "00:05.000", "0");
        assert_eq!(over_the_hour.begin, 1_543_536_005_000_000);
        assert!(over_the_hour.is_instant);
        assert!(!sql("2018-11-29 23:35:00.000", "35:10.123", "35:10.124", "0").is_instant);
        assert!(!sql("2018-11-29 23:35:00.000", "35:10.123", "35:10.123", "3600").is_instant);
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let begin = ("beginsession", "2018-11-29T23:35:10Z");
        let reason = |cells: &[(&str, &str)]| measured(cells).unwrap_err();
        assert!(reason(&[begin]).starts_with("the number of events is missing"));
        assert!(reason(&[begin, ("events", "0")]).contains("at least one"));
        assert_eq!(reason(&[("events", "many")]), "`events` is \"many\", which is no number of events");
        assert!(reason(&[("events", "1")]).starts_with("the time of the first event is missing"));
        assert!(reason(&[begin, ("events", "1")]).starts_with("the duration is missing"));
        assert_eq!(reason(&[("beginsession", "noon")]), "`beginsession` is \"noon\", which is no time");
        let back = reason(&[begin, ("events", "2"), ("endsession", "2018-11-29T23:35:09Z")]);
        assert_eq!(back, "the last event is earlier than the first");
    }
}
