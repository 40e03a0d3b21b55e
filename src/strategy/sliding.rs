//! Windows of one size at regular distances.

use alloc::string::ToString;
use core::time::Duration;

use super::{Settings, length_text, positive};
use crate::error::ConfigError;
use crate::time::Timestamp;
use crate::window::Window;

/// The windows `[k·slide, k·slide + size)`: an event belongs to each that holds it. (With a slide of one
/// microsecond, none begins before [`Timestamp::MIN`].)
///
/// For tumbling windows over the arrival time, as Kinesis SQL had over ROWTIME, push the arrival as
/// the event time; the example `stagger_vs_tumbling` does.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Sliding, Timestamp};
///
/// let hopping = Sliding::new(Duration::from_secs(10), Duration::from_secs(5));
/// let windows: Vec<_> = hopping.windows_of(Timestamp::from_secs(7))?.map(|w| w.start).collect();
/// assert_eq!(windows, [Timestamp::from_secs(0), Timestamp::from_secs(5)]);
/// # Ok::<(), stagger::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sliding {
    size: Duration,
    slide: Duration,
    origin: Timestamp,
}

impl Sliding {
    /// How many windows one event may belong to.
    pub const MOST_WINDOWS: u64 = 10_000;

    /// Windows of `size` that begin every `slide`. With `slide > size` some events belong to none
    /// and are handed back.
    #[must_use]
    pub const fn new(size: Duration, slide: Duration) -> Self {
        Self { size, slide, origin: Timestamp::EPOCH }
    }

    /// Windows that follow each other without overlap: `slide = size`.
    #[must_use]
    pub const fn tumbling(size: Duration) -> Self {
        Self::new(size, size)
    }

    /// Counts the windows from `origin` instead of 1970.
    #[must_use]
    pub const fn origin(mut self, origin: Timestamp) -> Self {
        self.origin = origin;
        self
    }

    /// The windows that hold `time`, in order.
    ///
    /// # Errors
    /// If size or slide is zero or not a whole number of microseconds, or an event would belong to
    /// more than [`MOST_WINDOWS`](Self::MOST_WINDOWS).
    pub fn windows_of(&self, time: Timestamp) -> Result<impl Iterator<Item = Window> + use<>, ConfigError> {
        let hops = self.hops()?;
        Ok(hops.indices_of(time).map(move |index| hops.window(index)))
    }

    pub(super) fn settings(&self) -> Settings {
        [
            ("strategy", "sliding".into()),
            ("size", length_text(self.size)),
            ("slide", length_text(self.slide)),
            ("origin", self.origin.to_string()),
        ]
        .into()
    }

    /// Checks the settings.
    pub(crate) fn hops(&self) -> Result<Hops, ConfigError> {
        let size = positive("window size", self.size)?;
        let slide = positive("slide", self.slide)?;
        let hops = Hops { size, slide, phase: self.origin.as_micros().rem_euclid(slide) };
        let windows = hops.max_per_event();
        if windows > Self::MOST_WINDOWS {
            let (size, slide) = (self.size, self.slide);
            return Err(ConfigError::TooManyWindows { size, slide, windows, most: Self::MOST_WINDOWS });
        }
        Ok(hops)
    }
}

/// Checked [`Sliding`] windows. Window `k` begins at `phase + k·slide`, which may lie beyond the range
/// of timestamps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hops {
    size: i64,
    slide: i64,
    /// From 0 to the slide, exclusive.
    phase: i64,
}

impl Hops {
    /// How many windows an event can be in.
    pub(crate) fn max_per_event(&self) -> u64 {
        self.size.unsigned_abs().div_ceil(self.slide.unsigned_abs())
    }

    /// The indices of the windows that hold `time`, in order. None is below those of 64 bits: with a slide of one
    /// microsecond there would be more windows than such numbers, and two at the ends of time would be taken for one.
    pub(crate) fn indices_of(&self, time: Timestamp) -> core::ops::RangeInclusive<i128> {
        let since = i128::from(time.as_micros()) - i128::from(self.phase);
        let first = self.slides_to(since - i128::from(self.size)) + 1;
        first.max(i64::MIN.into())..=self.slides_to(since)
    }

    /// How many slides fit before `since`. Nearly always all is within 64 bits, and division is fast.
    #[inline]
    fn slides_to(&self, since: i128) -> i128 {
        match i64::try_from(since) {
            Ok(since) => since.div_euclid(self.slide).into(),
            Err(_) => since.div_euclid(self.slide.into()),
        }
    }

    /// The window that holds `time` and whose index has these low 64 bits: all that is kept of it.
    pub(crate) fn window_of(&self, low: i64, time: Timestamp) -> Window {
        let latest = *self.indices_of(time).end();
        self.window(latest - i128::from((latest as i64).wrapping_sub(low) as u64))
    }

    /// The times around one that are in the same windows as it, if that is in any. (The end of time is in none.)
    pub(crate) fn cell_of(&self, time: Timestamp) -> core::ops::Range<Timestamp> {
        let (first, last) = self.indices_of(time).into_inner();
        let (start, end) = (self.window(last).start, self.window(last + 1).start);
        start.max(self.window(first - 1).end)..end.min(self.window(first).end)
    }

    /// The window with an index, its bounds saturated.
    pub(crate) fn window(&self, index: i128) -> Window {
        let start = i128::from(self.phase) + index * i128::from(self.slide);
        let instant = |t: i128| Timestamp::from_micros(t.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
        Window::new(instant(start), instant(start + i128::from(self.size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, us};
    use alloc::vec::Vec;

    fn hops(size: u64, slide: u64, origin: i64) -> Hops {
        Sliding::new(us(size), us(slide)).origin(at(origin)).hops().expect("windows that work")
    }

    fn indices(hops: Hops, time: i64) -> Vec<i128> {
        hops.indices_of(at(time)).collect()
    }

    #[test]
    fn at_the_start_and_at_the_end_of_a_window() {
        let hops = hops(10, 5, 0);
        assert_eq!(indices(hops, 4), [-1, 0]);
        assert_eq!(indices(hops, 5), [0, 1]);
        assert_eq!(indices(hops, 9), [0, 1]);
        assert_eq!(indices(hops, 10), [1, 2]);
    }

    #[test]
    fn one_microsecond_before_1970() {
        assert_eq!(indices(hops(10, 10, 0), -1), [-1]);
        assert_eq!(hops(10, 10, 0).window(-1), Window::new(at(-10), at(0)));
    }

    #[test]
    fn between_two_windows() {
        let hops = hops(3, 10, 0);
        assert_eq!(indices(hops, 2), [0]);
        assert!(indices(hops, 3).is_empty() && indices(hops, 9).is_empty());
        assert_eq!(indices(hops, 10), [1]);
    }

    #[test]
    fn an_origin_counts_modulo_the_slide() {
        assert_eq!(hops(10, 10, 23).window(0), Window::new(at(3), at(13)));
        assert_eq!(indices(hops(10, 10, 23), 2), [-1]);
        assert_eq!(indices(hops(10, 10, -7), 3), [0]);
    }

    #[test]
    fn a_size_that_is_no_multiple_of_the_slide() {
        let hops = hops(12, 5, 0);
        assert_eq!(hops.max_per_event(), 3);
        assert_eq!(indices(hops, 11), [0, 1, 2]);
        assert_eq!(indices(hops, 12), [1, 2]);
    }

    #[test]
    fn exactly_the_most_windows_and_one_more() {
        let most = Sliding::MOST_WINDOWS;
        assert_eq!(hops(most, 1, 0).max_per_event(), most);
        let more = Sliding::new(us(most + 1), us(1));
        let (size, slide, windows) = (us(most + 1), us(1), most + 1);
        assert_eq!(more.hops().err(), Some(ConfigError::TooManyWindows { size, slide, windows, most }));
    }

    #[test]
    fn bounds_beyond_the_ends_of_time_saturate() {
        let hops = hops(10, 10, 0);
        for time in [Timestamp::MIN, Timestamp::MAX] {
            let [index] = hops.indices_of(time).collect::<Vec<_>>()[..] else { panic!("one window") };
            assert!(hops.window(index).contains(time), "{:?}", hops.window(index));
        }
        assert_eq!(hops.window(i128::from(i64::MAX)), Window::new(Timestamp::MAX, Timestamp::MAX));
    }

    #[test]
    fn no_window_at_one_end_of_time_is_taken_for_one_at_the_other() {
        for hops in [hops(15, 1, 0), hops(9_000, 1, 0), hops(9_000, 2, 1), hops(10, 3, 2)] {
            let low_of = |time: Timestamp| hops.indices_of(time).map(|index| index as i64).collect::<Vec<_>>();
            let (first, last) = (low_of(Timestamp::MIN), low_of(Timestamp::MAX));
            assert!(!first.is_empty() && !last.is_empty());
            assert!(first.iter().all(|index| !last.contains(index)), "{hops:?}");
        }
        assert_eq!(indices(hops(15, 1, 0), i64::MIN), [i64::MIN.into()]);
        assert_eq!(hops(15, 2, 0).indices_of(Timestamp::MIN).count(), 8, "with another slide they are all there");
    }

    #[test]
    fn the_times_of_a_cell_are_in_the_same_windows_and_their_neighbours_are_not() {
        for hops in [hops(10, 5, 0), hops(12, 5, 3), hops(3, 10, 0), hops(1, 1, 0), hops(9_000, 7, 0)] {
            for time in [-11, -1, 0, 1, 2, 3, 4, 7, 12, 100].into_iter().filter(|time| !indices(hops, *time).is_empty())
            {
                let cell = hops.cell_of(at(time));
                let (start, end) = (cell.start.as_micros(), cell.end.as_micros());
                assert!((start..end).contains(&time), "{hops:?} {time} {cell:?}");
                assert!(
                    (start..end).all(|other| indices(hops, other) == indices(hops, time)),
                    "{hops:?} {time} {cell:?}"
                );
                assert!([start - 1, end].iter().all(|other| indices(hops, *other) != indices(hops, time)));
            }
            for time in [Timestamp::MIN, Timestamp::MAX] {
                let cell = hops.cell_of(time);
                let windows = |time| hops.indices_of(time).collect::<Vec<_>>();
                let ends = [cell.start, cell.end.shift(-1)].into_iter().filter(|_| cell.start < cell.end);
                ends.for_each(|other| assert_eq!(windows(other), windows(time), "{hops:?} {time}"));
            }
        }
    }

    #[test]
    fn the_low_bits_of_an_index_and_a_time_within_tell_the_window() {
        for hops in [hops(12, 5, 3), hops(1, 1, 0), hops(9_000, 1, 0)] {
            for time in [Timestamp::MIN, at(-1), at(0), at(3), Timestamp::MAX] {
                for index in hops.indices_of(time) {
                    assert_eq!(hops.window_of(index as i64, time), hops.window(index), "{hops:?} {time} {index}");
                }
            }
        }
    }
}
