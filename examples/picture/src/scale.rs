//! How time and durations are cut into buckets: by widths that people count in, chosen from the range
//! of the data.

/// Most buckets of time.
const MOST_TIMES: i64 = 72;
/// Most buckets of durations.
const MOST_LENGTHS: usize = 16;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Widths of buckets of time, in seconds. Each divides what follows a day or is whole days.
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
    pub(crate) origin: i64,
    pub(crate) width: i64,
    pub(crate) count: usize,
}

impl Times {
    /// The finest that hold both times, in microseconds since 1970, and all between them.
    pub(crate) fn over(first: i64, last: i64) -> Self {
        let (first, last) = (first.div_euclid(1_000_000), last.div_euclid(1_000_000));
        let widths = WIDTHS.into_iter().chain(std::iter::successors(Some(2 * DAY), |width| Some(2 * width)));
        let mut all = widths.map(|width| Self::of(width, first, last));
        all.find(|times| times.count as i64 <= MOST_TIMES).unwrap_or(Self::of(i64::MAX, first, last))
    }

    fn of(width: i64, first: i64, last: i64) -> Self {
        let (first, last) = (first.div_euclid(width), last.div_euclid(width));
        Self { origin: first * width, width, count: (last - first + 1) as usize }
    }

    /// The bucket of a time in microseconds, which lies in one.
    pub(crate) fn bucket(&self, micros: i64) -> usize {
        let bucket = (micros.div_euclid(1_000_000) - self.origin) / self.width;
        (bucket.max(0) as usize).min(self.count - 1)
    }
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

    #[test]
    fn a_day_has_buckets_of_20_minutes() {
        let times = Times::over(0, DAY * SECOND - 1);
        assert_eq!(times, Times { origin: 0, width: 20 * MINUTE, count: 72 });
        assert_eq!(Times::over(0, DAY * SECOND).width, 30 * MINUTE);
        assert_eq!(Times::over(7, 7), Times { origin: 0, width: 1, count: 1 });
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
        fn every_time_lies_in_its_bucket(first in -1e15 as i64..1e15 as i64, span in 0..1e15 as i64, at in 0.0..=1.0) {
            let times = Times::over(first, first + span);
            prop_assert!(times.count >= 1 && times.count as i64 <= MOST_TIMES);
            let time = first + (at * span as f64) as i64;
            let start = (times.origin + times.bucket(time) as i64 * times.width) * SECOND;
            prop_assert!(start <= time && time < start + times.width * SECOND);
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
