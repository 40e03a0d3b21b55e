//! Sessions of the bundled clicks, by the article's rule, as files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use stagger::{Bucket, Config, Event, FirstLast, SessionSummary, Stagger, Timestamp};

use crate::options::AGGREGATED;

const CLICKS: &[u8] = include_bytes!("../../data/clicks.jsonl.gz");

/// Nearly all clicks are of this day.
pub(crate) const DAY: NaiveDate = NaiveDate::from_ymd_opt(2018, 11, 29).expect("a day of the calendar");

type Session = SessionSummary<(u64, String), String>;

/// Writes a file for each hour, and returns how many. The folder must be new or empty.
pub(crate) fn write(folder: &Path) -> Result<usize> {
    let shown = folder.display();
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{shown} is not an empty folder: give a new one");
    }
    let mut hours: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for session in sessions()? {
        let begin = DateTime::<Utc>::try_from(session.first_time)?;
        let lines = hours.entry(begin.format("%Y/%m/%d/%H").to_string()).or_default();
        writeln!(lines, "{}", row(&session))?;
    }
    for (hour, lines) in &hours {
        let hour_folder = folder.join(AGGREGATED).join(hour);
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(lines)?;
        let packed = packed.finish()?;
        let file = hour_folder.join(format!("clicks-1-{}.json.gz", hour.replace('/', "-")));
        fs::create_dir_all(&hour_folder)
            .and_then(|()| fs::write(file, packed))
            .with_context(|| format!("cannot write below {shown}: give another folder"))?;
    }
    Ok(hours.len())
}

/// Windows of 30 seconds that open when the first click of a user, a device and a bucket arrives.
/// Lines that are no clicks are left out, and clicks that come from the future.
fn sessions() -> Result<Vec<Session>> {
    let half_minute = Duration::from_secs(30);
    let config = Config::<(u64, String), String>::new(Stagger::on_arrival(Bucket::step(half_minute), half_minute));
    let config = config.first_last_by(FirstLast::Arrival).max_future(Duration::from_secs(3600));
    let mut engine = config.build()?;
    let mut closed = Vec::new();
    for line in BufReader::new(GzDecoder::new(CLICKS)).split(b'\n') {
        if let Some(click) = click(&line?) {
            let _ = engine.push(click.as_event_ref(), &mut |session| closed.push(session));
        }
    }
    engine.flush(&mut |session| closed.push(session));
    Ok(closed)
}

fn click(line: &[u8]) -> Option<Event<(u64, String), String>> {
    let fields: Value = serde_json::from_slice(line).ok()?;
    let time = |name: &str| {
        let time: NaiveDateTime = fields[name].as_str()?.parse().ok()?;
        Some(Timestamp::from(time.and_utc()))
    };
    let text = |name: &str| fields[name].as_str().map(str::to_owned);
    let key = (fields["user_id"].as_u64()?, text("device_id")?);
    let event = Event::new(key, time("client_timestamp")?, text("client_event")?);
    Some(event.arriving_at(time("arrival_timestamp")?))
}

/// The columns as `kinesis` writes them.
fn row(session: &Session) -> Value {
    json!({
        "session_id": session.id().to_string(),
        "user_id": session.key.0,
        "device_id": session.key.1,
        "timeagg": session.bucket.unwrap_or(session.window.start).to_string(),
        "events": session.count,
        "beginnavigation": session.first_event,
        "endnavigation": session.last_event,
        "beginsession": session.first_time.to_string(),
        "endsession": session.last_time.to_string(),
        "duration_sec": session.duration().as_secs(),
        "reason": session.reason.name(),
    })
}
