//! The events of one user: made up, or from a file.

use std::io::Read;
use std::path::Path;

use stagger::Timestamp;

/// When an event happened, and when it was received.
#[derive(Clone, Copy)]
pub(crate) struct Click {
    pub(crate) happened: Timestamp,
    pub(crate) received: Timestamp,
}

/// Around midnight, in order of arrival.
pub(crate) fn sample() -> Vec<Click> {
    let start = 1_543_535_880; // 2018-11-29T23:58:00Z
    let at = |second: i64| Timestamp::from_secs(start + second);
    [
        (5, 6),
        (20, 22),
        (28, 29),
        (55, 63), // received after its minute, but its stagger window (6 to 66) is still open
        (80, 81),
        (100, 102),
        (110, 111),
        (128, 129),
        (140, 141),
        (170, 171), // exactly 30 s after the one before
        (185, 186),
        (230, 232),
        (250, 251),
        (236, 292), // nearly a minute late: its stagger window (186 to 246) is over
    ]
    .map(|(happened, received)| Click { happened: at(happened), received: at(received) })
    .to_vec()
}

/// Reads a file, or standard input for `-`. In order of arrival.
pub(crate) fn read(path: &Path) -> Result<Vec<Click>, String> {
    let text = text_of(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut clicks = parse(&text)?;
    if clicks.is_empty() {
        return Err(format!("there are no events in {}", path.display()));
    }
    clicks.sort_by_key(|click| click.received);
    Ok(clicks)
}

fn text_of(path: &Path) -> std::io::Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<Click>, String> {
    let mut clicks = Vec::new();
    let mut latest = Timestamp::MIN;
    for (number, line) in (1..).zip(text.lines()) {
        let times: Vec<&str> = line.split_whitespace().collect();
        let click = match times[..] {
            [] => continue,
            [first, ..] if first.starts_with('#') => continue,
            // Without an arrival time, the order of the lines is the order of arrival.
            [happened] => time(happened).map(|happened| Click { happened, received: latest.max(happened) }),
            [happened, received] => {
                time(happened).zip(time(received)).map(|(happened, received)| Click { happened, received })
            }
            _ => None,
        };
        let click = click
            .ok_or_else(|| format!("line {number} is not `SECONDS` or `SECONDS ARRIVAL`, such as `12.5 13`: {line}"))?;
        latest = latest.max(click.received);
        clicks.push(click);
    }
    Ok(clicks)
}

fn time(text: &str) -> Option<Timestamp> {
    let seconds: f64 = text.parse().ok()?;
    seconds.is_finite().then(|| Timestamp::from_micros((seconds * 1e6).round() as i64))
}
