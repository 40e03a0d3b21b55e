//! A span of time, half open.

use core::fmt;

use crate::time::Timestamp;

/// The instants from `start` (inclusive) to `end` (exclusive).
///
/// An `end` of [`Timestamp::MAX`] means that the window has no end: it holds that instant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Window {
    /// The first instant that belongs to the window.
    pub start: Timestamp,
    /// The first instant after the window.
    pub end: Timestamp,
}

impl Window {
    /// The window `[start, end)`.
    #[must_use]
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Whether `instant` lies within.
    ///
    /// ```
    /// use stagger::{Timestamp, Window};
    /// let window = Window::new(Timestamp::from_secs(10), Timestamp::from_secs(20));
    /// assert!(window.contains(Timestamp::from_secs(10)));
    /// assert!(!window.contains(Timestamp::from_secs(20)));
    /// ```
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && !is_past(self.end, instant)
    }

    /// Whether the two windows share an instant. Windows that only meet do not.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !is_past(self.end, other.start) && !is_past(other.end, self.start)
    }
}

/// Whether an open-ended reach to `end` is over at `instant`: the one place that compares an event
/// with the end of a window.
#[inline]
pub(crate) fn is_past(end: Timestamp, instant: Timestamp) -> bool {
    instant >= end && end != Timestamp::MAX
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn windows_that_only_meet_do_not_overlap() {
        let window = |start, end| Window::new(at(start), at(end));
        let overlap = |one: Window, other: Window| (one.overlaps(&other), other.overlaps(&one));
        assert_eq!(overlap(window(0, 10), window(10, 20)), (false, false));
        assert_eq!(overlap(window(0, 10), window(9, 20)), (true, true));
        assert_eq!(overlap(window(0, 10), window(30, 40)), (false, false));
    }
}
