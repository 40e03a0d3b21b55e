//! Civil dates as day counts.
//!
//! A day count of an `i64` of microseconds is at most 1.1e8 from 1970, so nothing here can overflow.

/// A date of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

impl Civil {
    /// The date `days` after 1970-01-01. Counts in eras of 400 years that begin on 1 March, so
    /// that the leap day comes last (the method of Howard Hinnant's `chrono`-compatible paper).
    pub(crate) const fn from_days(days: i64) -> Self {
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: era * 400 + year_of_era + (month <= 2) as i64,
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
        }
    }

    /// Days from 1970-01-01 to the first day of a month; months beyond 12 run into later years.
    pub(crate) const fn days_to_month(year: i64, month: i64) -> i64 {
        let year = year + (month - 1).div_euclid(12);
        let month = (month - 1).rem_euclid(12) + 1;
        let march_year = year - (month <= 2) as i64;
        let (era, of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * from_march + 2) / 5;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let mut days = -800_000;
        for year in -220..=2600 {
            for month in 1..=12 {
                let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
                let length = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
                if year == -220 && month == 1 {
                    days = Civil::days_to_month(year, 1);
                }
                assert_eq!(Civil::days_to_month(year, month), days);
                for day in 1..=length[month as usize - 1] {
                    assert_eq!(Civil::from_days(days), Civil { year, month, day });
                    days += 1;
                }
            }
        }
        assert_eq!(Civil::from_days(0), Civil { year: 1970, month: 1, day: 1 });
    }
}
