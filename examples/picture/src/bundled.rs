//! The sessions of the clicks that come with the repository, found by the library on the way.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use events::parse::times::{Recent, TimeFormat};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use stagger::{Config, Event, Gap, SessionSummary, Timestamp};

use crate::row::{Cell, Draft, Role};
use crate::sessions::Sessions;

const CLICKS: &[u8] = include_bytes!("../../data/clicks.jsonl.gz");
const MINUTE: Duration = Duration::from_secs(60);

/// Adds the sessions by user and device that end with half an hour of silence. As in the example
/// `files`, clicks that come more than a minute late or from the future are left out.
pub(crate) fn add_to(sessions: &mut Sessions) -> Result<(), String> {
    let config = Config::<String, String>::new(Gap::new(30 * MINUTE)).out_of_order(MINUTE).max_future(60 * MINUTE);
    let mut open = config.build().map_err(|error| error.to_string())?;
    let mut closed = Vec::new();
    for line in BufReader::new(MultiGzDecoder::new(CLICKS)).lines() {
        let line = line.map_err(|error| format!("cannot read the bundled clicks: {error}"))?;
        if let Some(click) = click(&line) {
            let event = Event::new(click.key.as_str(), click.time, click.what.as_str()).arriving_at(click.arrival);
            let _ = open.push(event, &mut |session| closed.push(session));
        }
    }
    open.flush(&mut |session| closed.push(session));
    closed.iter().try_for_each(|session| sessions.add(&row(session)?))
}

struct Click {
    /// User and device, with a tab between them.
    key: String,
    time: Timestamp,
    arrival: Timestamp,
    what: String,
}

/// Some lines are broken, as in real files.
fn click(line: &str) -> Option<Click> {
    let click: Value = serde_json::from_str(line).ok()?;
    let time = |field: &str| TimeFormat::Iso.parse(click.get(field)?.as_str()?);
    let text = |field: &str| Some(click.get(field)?.as_str()?.to_owned());
    let user = click.get("user_id").filter(|user| !user.is_null())?;
    Some(Click {
        key: format!("{user}\t{}", text("device_id")?),
        time: time("client_timestamp")?,
        arrival: time("arrival_timestamp")?,
        what: text("client_event")?,
    })
}

fn row(session: &SessionSummary<String, String>) -> Result<Draft, String> {
    let (user, device) = session.key.split_once('\t').unwrap_or((&session.key, ""));
    let cells = [
        ("user_id", Cell::Text(user.into())),
        ("device_id", Cell::Text(device.into())),
        ("events", Cell::Text(session.count.to_string().into())),
        ("beginsession", Cell::Time(session.first_time.as_micros())),
        ("endsession", Cell::Time(session.last_time.as_micros())),
        ("beginnavigation", Cell::Text(session.first_event.as_str().into())),
        ("endnavigation", Cell::Text(session.last_event.as_str().into())),
        ("reason", Cell::Text(session.reason.name().into())),
    ];
    let mut draft = Draft::default();
    for (name, cell) in &cells {
        draft.set(name, Role::of(name), cell, &Recent::default())?;
    }
    Ok(draft)
}
