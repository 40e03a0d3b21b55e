//! The share of the lines that may be unusable: beyond it the exit status is 1.

use std::fmt;
use std::str::FromStr;

use crate::failure::{Failure, Outcome};
use crate::say::{counted, grouped};

/// A number from 0 to 1, written as `1%` or `0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// One part of two.
    pub fn of(part: u64, rest: u64) -> Self {
        Self(part as f64 / ((part + rest) as f64).max(1.0))
    }

    pub fn exceeds(self, allowed: Self) -> bool {
        self.0 > allowed.0
    }

    /// Fails if no line could be used, or if more than this share could not. `more`: what became of the lines.
    pub fn check(self, used: u64, rejected: u64, more: impl fmt::Display) -> Outcome<()> {
        if rejected > 0 && used == 0 {
            return Err(Failure::not_used("no line could be used, so no session is written"));
        }
        let share = Self::of(rejected, used);
        if !share.exceeds(self) {
            return Ok(());
        }
        Err(Failure::not_used(format_args!(
            "{} of {} could not be used ({share}, more than the {self} of --max-rejected){more}, --max-rejected SHARE \
             allows more",
            grouped(rejected),
            counted(rejected + used, "line"),
        )))
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
        let share = number.trim().parse::<f64>().map(|number| number / unit).ok();
        let share = share.filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or("a share is a number from 0 to 1, or from 0% to 100%")
    }
}

/// `2.5 %`, with four digits behind the point at most.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", (self.0 * 1e6).round() / 1e4)
    }
}
