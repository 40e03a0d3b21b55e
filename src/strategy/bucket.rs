//! STEP and FLOOR: event time rounded down.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::positive;
use crate::calendar::{Unit, Zone};
use crate::error::ConfigError;
use crate::time::Timestamp;
use crate::window::Window;

/// Event time rounded down: Kinesis SQL's `STEP(time BY INTERVAL …)` and `FLOOR(time TO unit)`.
///
/// ```
/// use core::time::Duration;
/// use stagger::{Bucket, Timestamp, Unit};
///
/// let t = Timestamp::from_secs(1_096_552_103); // 2004-09-30T13:48:23Z
/// let by_ten = Bucket::step(Duration::from_secs(10)).window_of(t)?;
/// assert_eq!(by_ten.start, Timestamp::from_secs(1_096_552_100));
/// let year = Bucket::floor(Unit::Year).window_of(t)?;
/// assert_eq!(year.to_string(), "[2004-01-01T00:00:00.000000Z, 2005-01-01T00:00:00.000000Z)");
/// # Ok::<(), stagger::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Bucket(Kind);

#[derive(Clone)]
enum Kind {
    Step {
        width: Duration,
        origin: Timestamp,
    },
    Floor {
        unit: Unit,
        zone: Option<Arc<dyn Zone>>,
    },
    /// A setting that the other kind has.
    Misplaced {
        setting: &'static str,
        kind: &'static str,
        instead: &'static str,
    },
}

impl Bucket {
    /// STEP: multiples of `width` since 1970-01-01T00:00:00Z, or since another
    /// [`origin`](Self::origin). Rounds down before it too.
    ///
    /// The AWS reference gives both a formula and a table for steps of several days, which
    /// contradict each other; this follows the formula, as Flink and Arroyo do.
    #[must_use]
    pub const fn step(width: Duration) -> Self {
        Self(Kind::Step { width, origin: Timestamp::EPOCH })
    }

    /// FLOOR: the start of the calendar unit, in UTC or in another [`zone`](Self::zone).
    #[must_use]
    pub const fn floor(unit: Unit) -> Self {
        Self(Kind::Floor { unit, zone: None })
    }

    /// Counts the steps from `origin` instead of 1970. For STEP only: FLOOR refuses it when it is used.
    #[must_use]
    pub fn origin(mut self, at: Timestamp) -> Self {
        match &mut self.0 {
            Kind::Step { origin, .. } => *origin = at,
            Kind::Floor { .. } | Kind::Misplaced { .. } => {
                let instead = "the calendar has its own origin, so leave it out, or use `Bucket::step`";
                self.0 = Kind::Misplaced { setting: "origin", kind: "FLOOR", instead };
            }
        }
        self
    }

    /// Reads the calendar by the clocks of `zone`. For FLOOR only: STEP refuses it when it is used, and
    /// has an [`origin`](Self::origin).
    ///
    /// Days have 23 or 25 hours where the clocks change, an hour lived twice is two buckets, and no
    /// second, minute or hour straddles a change of offset.
    #[must_use]
    pub fn zone(mut self, of: impl Zone + 'static) -> Self {
        match &mut self.0 {
            Kind::Floor { zone, .. } => *zone = Some(Arc::new(of)),
            Kind::Step { .. } | Kind::Misplaced { .. } => {
                let instead = "steps are the same everywhere; give an `origin`, or use `Bucket::floor`";
                self.0 = Kind::Misplaced { setting: "zone", kind: "STEP", instead };
            }
        }
        self
    }

    /// The bucket that holds `time`, from its start to the start of the next.
    ///
    /// # Errors
    /// If the step is zero or not a whole number of microseconds, or a setting is not for this kind.
    pub fn window_of(&self, time: Timestamp) -> Result<Window, ConfigError> {
        Ok(self.rounding()?.window_of(time))
    }

    /// Checks the settings.
    pub(crate) fn rounding(&self) -> Result<Rounding, ConfigError> {
        Ok(match &self.0 {
            Kind::Step { width, origin } => {
                let width = positive("step", *width)?;
                Rounding::Step { width, phase: origin.as_micros().rem_euclid(width) }
            }
            Kind::Floor { unit, zone } => Rounding::Floor { unit: *unit, zone: zone.clone() },
            Kind::Misplaced { setting, kind, instead } => {
                return Err(ConfigError::NotForThisStrategy { setting, strategy: kind, instead });
            }
        })
    }
}

impl PartialEq for Bucket {
    /// Zones are equal if their names are.
    fn eq(&self, other: &Self) -> bool {
        let name = |zone: &Option<Arc<dyn Zone>>| zone.as_ref().map(|zone| zone.name());
        match (&self.0, &other.0) {
            (Kind::Step { width: a, origin: b }, Kind::Step { width: x, origin: y }) => (a, b) == (x, y),
            (Kind::Floor { unit: a, zone: b }, Kind::Floor { unit: x, zone: y }) => (a, name(b)) == (x, name(y)),
            (Kind::Misplaced { setting: a, kind: b, .. }, Kind::Misplaced { setting: x, kind: y, .. }) => {
                (a, b) == (x, y)
            }
            (Kind::Step { .. } | Kind::Floor { .. } | Kind::Misplaced { .. }, _) => false,
        }
    }
}

impl Eq for Bucket {}

impl fmt::Display for Bucket {
    /// As in a snapshot's configuration: `step 30s from 1970-01-01T00:00:00.000000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Step { width, origin } => write!(f, "step {width:?} from {origin}"),
            Kind::Floor { unit, zone } => {
                let zone = zone.as_ref().map_or_else(|| String::from("UTC"), |zone| zone.name());
                write!(f, "floor to {} in {zone}", unit.name())
            }
            Kind::Misplaced { setting, kind, .. } => write!(f, "{kind} with {setting}"),
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A checked [`Bucket`], ready for arithmetic.
#[derive(Clone)]
pub(crate) enum Rounding {
    Step { width: i64, phase: i64 },
    Floor { unit: Unit, zone: Option<Arc<dyn Zone>> },
}

impl Rounding {
    pub(crate) fn window_of(&self, time: Timestamp) -> Window {
        let (start, end) = match self {
            Self::Step { width, phase } => time.step(*width, *phase),
            Self::Floor { unit, zone: None } => unit.floor(time),
            Self::Floor { unit, zone: Some(zone) } => unit.floor_in(time, &**zone),
        };
        Window::new(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, us};
    use alloc::string::ToString;

    fn bounds(bucket: &Bucket, time: i64) -> (i64, i64) {
        let window = bucket.window_of(at(time)).expect("a bucket that works");
        (window.start.as_micros(), window.end.as_micros())
    }

    #[test]
    fn a_step_begins_at_its_multiple() {
        let ten = Bucket::step(us(10));
        assert_eq!(bounds(&ten, 9), (0, 10));
        assert_eq!(bounds(&ten, 10), (10, 20));
        assert_eq!(bounds(&ten, -1), (-10, 0));
    }

    #[test]
    fn an_origin_moves_the_steps_and_counts_modulo_the_width() {
        for origin in [3, 13, -7] {
            let bucket = Bucket::step(us(10)).origin(at(origin));
            assert_eq!(bounds(&bucket, 2), (-7, 3), "{origin}");
            assert_eq!(bounds(&bucket, 3), (3, 13), "{origin}");
        }
    }

    #[test]
    fn a_floor_begins_at_its_unit() {
        let second = Bucket::floor(Unit::Second);
        assert_eq!(bounds(&second, 999_999), (0, 1_000_000));
        assert_eq!(bounds(&second, 1_000_000), (1_000_000, 2_000_000));
    }

    #[test]
    fn a_setting_of_the_other_kind_is_refused_with_a_way_out() {
        let origin = Bucket::floor(Unit::Day).origin(at(1)).window_of(at(0)).unwrap_err().to_string();
        assert!(origin.contains("`origin` has no meaning for FLOOR"), "{origin}");
        let step = Bucket::step(Duration::ZERO).window_of(at(0));
        assert_eq!(step, Err(ConfigError::Zero { setting: "step" }));
    }

    #[test]
    fn settings_are_told_apart_by_their_text() {
        assert_eq!(alloc::format!("{:?}", Bucket::floor(Unit::Day)), Bucket::floor(Unit::Day).to_string());
        assert_eq!(Bucket::step(us(10)).to_string(), "step 10µs from 1970-01-01T00:00:00.000000Z");
        assert_eq!(Bucket::floor(Unit::Day).to_string(), "floor to day in UTC");
        assert_eq!(Bucket::floor(Unit::Day).origin(at(1)).to_string(), "FLOOR with origin");
    }

    #[test]
    fn buckets_are_equal_if_all_their_settings_are() {
        let all = || {
            [
                Bucket::step(us(10)),
                Bucket::step(us(11)),
                Bucket::step(us(10)).origin(at(1)),
                Bucket::floor(Unit::Day),
                Bucket::floor(Unit::Hour),
                Bucket::floor(Unit::Day).origin(at(1)),
            ]
        };
        for (i, one) in all().iter().enumerate() {
            for (j, other) in all().iter().enumerate() {
                assert_eq!(one == other, i == j, "{one} {other}");
            }
        }
    }
}
