//! The days on which people in China work: Monday to Friday, but for the holidays and shifted workdays of 2020 to 2023.
//!
//! The one idea: the shipped list names the days that differ, and is part of the program.
//!
//! Cost: parsing takes a millisecond, once; counting is a division and a look at the days that differ.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{Datelike as _, NaiveDate};

use crate::model::LocalDay;

static WORKDAYS: &str = include_str!("../datasets/workdays.csv");

/// The days that differ, and whether they are workdays.
static SHIFTED: LazyLock<BTreeMap<LocalDay, bool>> = LazyLock::new(|| {
    let records = csv::Reader::from_reader(WORKDAYS.as_bytes()).into_records().filter_map(Result::ok);
    let shifted = records.filter_map(|record| {
        let day: NaiveDate = record.get(0)?.parse().ok()?;
        Some((LocalDay(i64::from(day.num_days_from_ce()) - CE_DAYS), record.get(1)? == "1"))
    });
    shifted.collect()
});

/// Days of the common era before 1970-01-01.
const CE_DAYS: i64 = 719_163;

/// Whether a day is one of Monday to Friday: 1970-01-01 was a Thursday.
const fn is_weekday(day: LocalDay) -> bool {
    (day.0 + 3).rem_euclid(7) < 5
}

/// Weekdays before a day, counted from some Monday.
const fn weekdays_before(day: LocalDay) -> i64 {
    let (weeks, rest) = ((day.0 + 3).div_euclid(7), (day.0 + 3).rem_euclid(7));
    weeks * 5 + if rest < 5 { rest } else { 5 }
}

/// The workdays after one day up to another, that included; negative if the other is before.
#[must_use]
pub fn between(since: LocalDay, until: LocalDay) -> i64 {
    if until < since {
        return -between(until, since);
    }
    let (after, end) = (since.plus(1), until.plus(1));
    let shifted = SHIFTED.range(after..end).map(|(&day, &works)| i64::from(works) - i64::from(is_weekday(day)));
    weekdays_before(end) - weekdays_before(after) + shifted.sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> LocalDay {
        let day: NaiveDate = text.parse().expect("a day");
        LocalDay(i64::from(day.num_days_from_ce()) - CE_DAYS)
    }

    #[test]
    fn weekends_and_holidays_are_no_workdays() {
        assert_eq!(day("1970-01-01"), LocalDay(0));
        let days = |since, until| between(day(since), day(until));
        // From a Friday over a weekend to a Monday.
        assert_eq!(days("2020-02-14", "2020-02-17"), 1);
        assert_eq!(days("2020-02-17", "2020-02-14"), -1);
        assert_eq!(days("2020-02-14", "2020-02-16"), 0);
        // The holiday of that spring was made longer: work began on Monday the 3rd of February.
        assert_eq!(days("2020-01-23", "2020-02-03"), 1);
        // A Sunday that was worked on, before it.
        assert_eq!(days("2020-01-18", "2020-01-19"), 1);
    }

    #[test]
    fn counting_is_that_of_each_day() {
        let first = day("2020-01-01");
        let works = |day: LocalDay| SHIFTED.get(&day).copied().unwrap_or_else(|| is_weekday(day));
        for length in 0..400 {
            let counted = (1..=length).filter(|&days| works(first.plus(days))).count();
            assert_eq!(between(first, first.plus(length)), i64::try_from(counted).expect("few"));
        }
    }
}
