//! The days of the city: they end before the midnight of 25 February 2020, when both cities' codes have been in use for a week.
//!
//! The one idea: inside the generator an instant is a number of seconds after the first day's local midnight; it becomes a
//! timestamp when it is written.

use crate::model::time::MICROS_PER_SECOND;
use crate::model::{LocalDay, Timestamp, UtcOffset};

/// Seconds after the first day's midnight, negative before it.
pub(super) type Seconds = i64;

pub(super) const MINUTE: Seconds = 60;
pub(super) const HOUR: Seconds = 60 * MINUTE;
pub(super) const DAY: Seconds = 24 * HOUR;

/// The clock of the city.
const OFFSET: UtcOffset = UtcOffset(8 * 3600);
/// 25 February 2020: the instant proposed for codes is its midnight.
const END: LocalDay = LocalDay(18_317);
/// Days from the first declaration to the end: the code went live on 11 February 2020.
const CODE_DAYS: u32 = 14;

/// The days of a city.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    days: u32,
}

impl Calendar {
    /// A calendar of so many days.
    pub(super) const fn new(days: u32) -> Self {
        Self { days }
    }

    /// Number of days.
    pub(super) const fn days(self) -> u32 {
        self.days
    }

    /// The end of the last day.
    pub(super) fn end(self) -> Seconds {
        i64::from(self.days) * DAY
    }

    /// The opening of the code: nobody declares before it.
    pub(super) fn code_opens(self) -> Seconds {
        i64::from(self.days - self.days.min(CODE_DAYS)) * DAY
    }

    /// The timestamp of an instant.
    pub(super) fn at(self, seconds: Seconds) -> Timestamp {
        Timestamp(self.midnight(0).0 + seconds * MICROS_PER_SECOND)
    }

    /// The instant proposed for codes.
    pub(super) fn as_of(self) -> Timestamp {
        self.midnight(self.days)
    }

    fn midnight(self, day: u32) -> Timestamp {
        END.plus(i64::from(day) - i64::from(self.days)).starts_at(OFFSET)
    }

    /// The instant as people of the city write it.
    pub(super) fn as_of_text(self) -> String {
        self.as_of().to_rfc3339_at(OFFSET)
    }

    /// The date of a day, as `20200120`.
    pub(super) fn date(self, day: u32) -> String {
        let text = self.midnight(day).to_rfc3339_at(OFFSET);
        text.chars().take(10).filter(char::is_ascii_digit).collect()
    }

    /// Whether people work on a day: Monday to Friday.
    pub(super) fn is_workday(self, day: u32) -> bool {
        let since_monday = END.0 + 3 + i64::from(day) - i64::from(self.days);
        since_monday.rem_euclid(7) < 5
    }
}

/// The day that holds an instant, from 0.
pub(super) fn day_of(seconds: Seconds) -> i64 {
    seconds.div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_the_end() {
        let calendar = Calendar::new(30);
        assert_eq!(calendar.as_of_text(), "2020-02-25T00:00:00+08:00");
        assert_eq!(calendar.at(calendar.end()), calendar.as_of());
        assert_eq!(calendar.date(0), "20200126");
        assert_eq!(calendar.date(29), "20200224");
        assert!(calendar.is_workday(29) && !calendar.is_workday(28) && !calendar.is_workday(0));
        assert_eq!(calendar.code_opens(), 16 * DAY);
        assert_eq!(Calendar::new(3).code_opens(), 0);
    }
}
