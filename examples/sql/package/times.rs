//! Times in texts.

use stagger::Timestamp;

/// A date and a time, with a zone or in UTC.
pub fn iso(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// The same, or a Unix time in seconds, milliseconds or microseconds.
pub fn any(text: &str) -> Option<Timestamp> {
    if let Some(time) = iso(text) {
        return Some(time);
    }
    let number: f64 = text.trim().parse().ok()?;
    let micros = match number.abs() {
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        _ => number,
    };
    Some(Timestamp::from_micros(micros.round() as i64))
}
