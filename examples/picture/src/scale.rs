//! How time and durations are cut into buckets: by widths that people count in, chosen from the range
//! of the data.

/// Most buckets of time.
const MOST_TIMES: i64 = 72;
/// Buckets for sessions outside are made if they make the other buckets finer by this factor.
const FINER: i64 = 8;
/// Most buckets of durations.
const MOST_LENGTHS: usize = 16;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Widths of buckets of time, in seconds. Each divides a day or is whole days.
const WIDTHS: [i64; 20] = [
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// Where buckets of durations begin, in seconds.
const STEPS: [u64; 24] = [
    0,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1_200,
    1_800,
    3_600,
    7_200,
    14_400,
    28_800,
    86_400,
    172_800,
    604_800,
    2_592_000,
    7_776_000,
    31_536_000,
    315_360_000,
];

/// Durations up to this are cut into equal steps.
const SHORT: u64 = 120;

/// Buckets of time, one after the other. All numbers are seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// Where the first bucket begins, or would, if it holds all that is earlier.
    pub(crate) origin: i64,
    pub(crate) width: i64,
    pub(crate) count: usize,
    /// The earliest time, if the first bucket reaches back to it.
    pub(crate) earlier: Option<i64>,
    /// The latest time, if the last bucket reaches on to it.
    pub(crate) later: Option<i64>,
}

impl Times {
    /// Buckets for all of these times, in microseconds since 1970. A few that lie far away do not make
    /// the buckets coarse for the others: the first and the last bucket hold them.
    pub(crate) fn of_all(mut times: Vec<i64>) -> Self {
        times.sort_unstable();
        let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
        let all = Self::over(first, last, MOST_TIMES);
        let (from, to) = nearly_all(&times);
        let mut most = Self::over(from, to, MOST_TIMES - 2);
        if most.width.saturating_mul(FINER) > all.width {
            return all;
        }
        let (first, last) = (first.div_euclid(1_000_000), last.div_euclid(1_000_000));
        if last >= most.origin + most.width * most.count as i64 {
            most.later = Some(last);
            most.count += 1;
        }
        if first < most.origin {
            most.earlier = Some(first);
            most.origin -= most.width;
            most.count += 1;
        }
        most
    }

    /// The finest buckets that hold both times and all between them, `most` at most.
    fn over(first: i64, last: i64, most: i64) -> Self {
        let (first, last) = (first.div_euclid(1_000_000), last.div_euclid(1_000_000));
        let widths = WIDTHS.into_iter().chain(std::iter::successors(Some(2 * DAY), |width| Some(2 * width)));
        let mut all = widths.map(|width| Self::of(width, first, last));
        all.find(|times| times.count as i64 <= most).unwrap_or(Self::of(i64::MAX, first, last))
    }

    fn of(width: i64, first: i64, last: i64) -> Self {
        let (first, last) = (first.div_euclid(width), last.div_euclid(width));
        Self { origin: first * width, width, count: (last - first + 1) as usize, earlier: None, later: None }
    }

    /// The bucket of a time in microseconds, which lies in one.
    pub(crate) fn bucket(&self, micros: i64) -> usize {
        let bucket = (micros.div_euclid(1_000_000) - self.origin) / self.width;
        (bucket.max(0) as usize).min(self.count - 1)
    }
}

/// First and last of the shortest range that holds 98 % of these times, which are in order, or all but
/// one of ten and more; and of those next to that range.
fn nearly_all(times: &[i64]) -> (i64, i64) {
    let spare = (times.len() / 50).max(1).min(times.len() / 10);
    let kept = times.len() - spare;
    let ranges = times.windows(kept.max(1)).map(|range| (range[0], range[range.len() - 1]));
    let Some((first, last)) = ranges.min_by_key(|(first, last)| last.saturating_sub(*first)) else { return (0, 0) };
    let beside = last.saturating_sub(first) / 4;
    let from = times.partition_point(|time| *time < first.saturating_sub(beside));
    let to = times.partition_point(|time| *time <= last.saturating_add(beside));
    (times[from], times[to - 1])
}

/// Buckets of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Where each begins, in seconds, and where the last one ends.
    pub(crate) edges: Vec<u64>,
}

impl Lengths {
    /// Those for durations between the two, in seconds.
    pub(crate) fn over(shortest: u64, longest: u64) -> Self {
        if longest < SHORT {
            let steps = [1, 2, 5, 10].into_iter().map(|step| Self::equal(step, longest));
            return steps
                .into_iter()
                .find(|lengths| lengths.count() <= MOST_LENGTHS)
                .unwrap_or(Self::equal(10, longest));
        }
        let mut edges: Vec<u64> = STEPS.into_iter().filter(|edge| *edge <= longest).collect();
        let end = STEPS.into_iter().find(|edge| *edge > longest).unwrap_or(longest + 1);
        let needless = edges.iter().skip(1).filter(|edge| **edge <= shortest).count();
        let too_many = edges.len().saturating_sub(MOST_LENGTHS);
        edges.drain(1..=needless.max(too_many)); // the first bucket reaches further instead
        edges.push(end);
        Self { edges }
    }

    fn equal(step: u64, longest: u64) -> Self {
        Self { edges: (0..=longest / step + 1).map(|number| number * step).collect() }
    }

    pub(crate) fn count(&self) -> usize {
        self.edges.len() - 1
    }

    pub(crate) fn bucket(&self, seconds: u64) -> usize {
        self.edges.partition_point(|edge| *edge <= seconds).clamp(1, self.count()) - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;
    const YEAR: i64 = 365 * DAY;

    #[test]
    fn a_day_has_buckets_of_20_minutes() {
        let times = Times::of_all(vec![0, DAY * SECOND - 1]);
        assert_eq!(times, Times { origin: 0, width: 20 * MINUTE, count: 72, earlier: None, later: None });
        assert_eq!(Times::of_all(vec![0, DAY * SECOND]).width, 30 * MINUTE);
        assert_eq!(Times::of_all(vec![7, 7]), Times { origin: 0, width: 1, count: 1, earlier: None, later: None });
        assert_eq!(Times::of_all(Vec::new()).count, 1);
    }

    /// A time every minute of a day.
    fn a_day() -> Vec<i64> {
        (0..24 * 60).map(|minute| minute * MINUTE * SECOND).collect()
    }

    #[test]
    fn a_straggler_and_a_time_a_year_ahead_lie_outside() {
        let day = Times::of_all(a_day());
        let mut times = a_day();
        times.extend([-400 * DAY * SECOND, 365 * DAY * SECOND + 1]);
        let found = Times::of_all(times);
        assert_eq!((found.earlier, found.later), (Some(-400 * DAY), Some(365 * DAY)));
        assert_eq!((found.width, found.count), (30 * MINUTE, 50), "{found:?}");
        assert_eq!(found.origin + found.width, day.origin, "the others begin where they would alone");
        assert_eq!([-400 * DAY, 0, DAY - 1, 365 * DAY].map(|time| found.bucket(time * SECOND)), [0, 1, 48, 49]);
    }

    #[test]
    fn of_ten_times_one_may_lie_outside_but_not_of_nine() {
        let few =
            |count: i64| Times::of_all((1..count).map(|hour| hour * HOUR * SECOND).chain([YEAR * SECOND]).collect());
        assert_eq!((few(10).later, few(10).width), (Some(YEAR), 10 * MINUTE));
        assert_eq!((few(9).later, few(9).width), (None, 8 * DAY));
    }

    #[test]
    fn two_busy_times_a_year_apart_are_both_shown() {
        let later = a_day().into_iter().map(|time| time + YEAR * SECOND);
        let times = Times::of_all(a_day().into_iter().chain(later).collect());
        assert_eq!((times.earlier, times.later), (None, None));
    }

    #[test]
    fn durations_of_the_article_have_equal_steps_and_long_ones_growing_steps() {
        assert_eq!(Lengths::over(0, 59).edges, (0..=12).map(|step| 5 * step).collect::<Vec<_>>());
        assert_eq!(Lengths::over(0, 0).edges, [0, 1]);
        let day = Lengths::over(0, 80_000);
        assert_eq!((day.count(), day.edges.last()), (MOST_LENGTHS, Some(&86_400)));
        assert_eq!(Lengths::over(70, 400).edges, [0, 120, 300, 600]);
    }

    #[test]
    fn a_duration_on_an_edge_belongs_to_the_bucket_that_begins_there() {
        for lengths in [Lengths::over(0, 59), Lengths::over(0, 80_000)] {
            let begins = lengths.edges[..lengths.count()].iter().map(|edge| lengths.bucket(*edge));
            assert!(begins.eq(0..lengths.count()), "{lengths:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_lies_in_its_bucket(
            first in -1e15 as i64..1e15 as i64,
            spans in proptest::collection::vec(prop_oneof![0..1e10 as i64, 0..1e15 as i64], 1..60),
        ) {
            let all: Vec<i64> = spans.iter().map(|span| first + span).collect();
            let times = Times::of_all(all.clone());
            prop_assert!(times.count >= 1 && times.count as i64 <= MOST_TIMES);
            let mut outside = 0;
            for time in all {
                let bucket = times.bucket(time);
                let start = (times.origin + bucket as i64 * times.width) * SECOND;
                let is_earlier = bucket == 0 && times.earlier.is_some();
                let is_later = bucket + 1 == times.count && times.later.is_some();
                outside += usize::from(is_earlier || is_later);
                prop_assert!(start <= time || is_earlier, "{time} {times:?}");
                prop_assert!(time < start + times.width * SECOND || is_later, "{time} {times:?}");
            }
            prop_assert!(outside <= spans.len() / 10);
        }

        #[test]
        fn no_time_is_too_extreme(times in proptest::collection::vec(any::<i64>(), 0..30)) {
            let found = Times::of_all(times.clone());
            prop_assert!(times.iter().all(|time| found.bucket(*time) < found.count));
        }

        #[test]
        fn every_duration_lies_in_its_bucket(shortest in 0u64..1_000_000, more in 0u64..100_000_000, at in 0.0..=1.0) {
            let lengths = Lengths::over(shortest, shortest + more);
            prop_assert!(lengths.count() <= MOST_LENGTHS);
            let seconds = shortest + (at * more as f64) as u64;
            let bucket = lengths.bucket(seconds);
            prop_assert!(lengths.edges[bucket] <= seconds && seconds < lengths.edges[bucket + 1]);
            prop_assert!(lengths.edges.is_sorted_by(|a, b| a < b));
        }
    }
}
