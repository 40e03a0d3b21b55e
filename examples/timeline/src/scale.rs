//! The axis of time.

use std::time::Duration;

use stagger::{Timestamp, Window};

use crate::reading::Click;
use crate::strategies::Row;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Distances between marks that people like to read.
const DISTANCES: [i64; 20] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
];

pub(crate) struct Scale {
    pub(crate) shown: Window,
}

impl Scale {
    /// Shows all events, and windows as far as a quarter of their span before and after.
    pub(crate) fn over(clicks: &[Click], rows: &[Row]) -> Self {
        let times = || clicks.iter().flat_map(|click| [click.happened, click.received]);
        let first = times().min().unwrap_or_default();
        let last = times().max().unwrap_or_default();
        let margin = (last.since(first) / 4).max(Duration::from_secs(1));
        let windows = || rows.iter().flat_map(|row| &row.sessions).map(|session| session.window);
        let start = windows().map(|window| window.start).min().unwrap_or(first);
        let end = windows().map(|window| window.end).max().unwrap_or(last);
        let start = start.clamp(first - margin, first);
        let end = end.clamp(last + Duration::from_micros(1), last + margin);
        Self { shown: Window::new(start, end) }
    }

    /// Where an instant is drawn if the axis has `length` places; instants beyond are at its ends.
    pub(crate) fn place(&self, time: Timestamp, length: usize) -> usize {
        let Window { start, end } = self.shown;
        let share = time.since(start).as_secs_f64() / end.since(start).as_secs_f64();
        ((share * length as f64) as usize).min(length)
    }

    /// The same for an instant that has something drawn at it.
    pub(crate) fn cell(&self, time: Timestamp, length: usize) -> usize {
        self.place(time, length).min(length - 1)
    }

    /// From the first place of a window to the first after it; at least one place.
    pub(crate) fn span(&self, window: Window, length: usize) -> (usize, usize) {
        let from = self.cell(window.start, length);
        (from, self.place(window.end, length).max(from + 1))
    }

    /// Round times, about `most` at most, with what to write at them.
    pub(crate) fn marks(&self, most: usize) -> Vec<(Timestamp, String)> {
        let Window { start, end } = self.shown;
        let span = i64::try_from(end.since(start).as_micros()).unwrap_or(i64::MAX);
        let longer = std::iter::successors(Some(30 * DAY), |distance| distance.checked_mul(2));
        let fits = |distance: &i64| span / distance <= most as i64;
        let distance = DISTANCES.into_iter().chain(longer).find(fits).unwrap_or(i64::MAX);
        let first = start.as_micros().div_euclid(distance).saturating_add(1).saturating_mul(distance);
        let times = std::iter::successors(Some(first), |time| time.checked_add(distance));
        let shown = times.map(Timestamp::from_micros).take_while(|time| *time < end);
        shown.map(|time| (time, label(time, distance, span))).collect()
    }
}

/// As much of `2018-11-29T23:58:00.000000Z` as tells the marks apart.
fn label(time: Timestamp, distance: i64, span: i64) -> String {
    let text = time.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    match () {
        () if distance >= DAY => date.to_owned(),
        () if span >= DAY => format!("{} {}", &date[date.len() - 5..], &clock[..5]),
        () => clock[..8].to_owned(),
    }
}
