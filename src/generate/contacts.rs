//! The contacts of the city, each a function of its number: the epidemic and the file see the same ones.
//!
//! Invariant: nobody meets who has not arrived, is isolated or in quarantine, unless a draw fails over and over.

use super::calendar::{Calendar, DAY, HOUR, MINUTE, Seconds, day_of};
use super::city::{City, Role};
use super::random::{Draws, Purpose};
use super::withdrawn::Withdrawn;
use crate::model::Setting;

/// Draws for a pair before the household's next door is taken.
const ATTEMPTS: u32 = 8;
/// Days over which the counts of the contract are spread.
const RATE_DAYS: u64 = 30;

/// How many rows a table has a day, for rows spread evenly over the days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Daily {
    /// Rows of [`RATE_DAYS`] days.
    rate: u64,
    days: u64,
}

impl Daily {
    /// `rate` rows every 30 days.
    pub(super) fn new(rate: u64, calendar: Calendar) -> Self {
        Self { rate, days: calendar.days().into() }
    }

    /// Number of the first row of a day.
    pub(super) const fn first(self, day: u64) -> u64 {
        self.rate * day / RATE_DAYS
    }

    /// Rows of all days.
    pub(super) const fn total(self) -> u64 {
        self.first(self.days)
    }

    /// Rows of one day.
    pub(super) const fn of_day(self, day: u64) -> std::ops::Range<u64> {
        self.first(day)..self.first(day + 1)
    }

    /// The day of a row, and its place among the day's rows.
    pub(super) const fn locate(self, row: u64) -> DayRow {
        let mut day = row * RATE_DAYS / self.rate;
        while self.first(day + 1) <= row {
            day += 1;
        }
        let first = self.first(day);
        DayRow { day, row: row - first, rows: self.first(day + 1) - first }
    }
}

/// A row of a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayRow {
    pub(super) day: u64,
    pub(super) row: u64,
    pub(super) rows: u64,
}

impl DayRow {
    /// The instant of the row if the day's rows are spread over the hours `from..to`, a little out of order.
    pub(super) fn instant(self, from: i64, to: i64, draws: &mut Draws) -> Seconds {
        let span = u64::try_from((to - from) * HOUR).unwrap_or(0);
        let even = i64::try_from(span * self.row / self.rows.max(1)).unwrap_or(0);
        let jitter = draws.seconds(0, 20 * MINUTE);
        i64::try_from(self.day).unwrap_or(0) * DAY + from * HOUR + (even + jitter).min((to - from) * HOUR)
    }
}

/// A contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) start: Seconds,
    pub(super) length: Seconds,
    pub(super) setting: Setting,
}

impl Meeting {
    pub(super) const fn end(&self) -> Seconds {
        self.start + self.length
    }
}

/// Rows of contacts: four a person in 30 days.
pub(super) fn daily(city: &City) -> Daily {
    Daily::new(if city.people < 2 { 0 } else { u64::from(city.people) * 4 }, city.calendar)
}

/// The contact of a row.
pub(super) fn meeting(city: &City, withdrawn: &Withdrawn, row: u64) -> Meeting {
    let place = daily(city).locate(row);
    let mut draws = city.draws(Purpose::Contact, row);
    let start = place.instant(6, 23, &mut draws);
    let (mut a, mut b, mut setting) = (0, 0, Setting::Proximity);
    for attempt in 0..=ATTEMPTS {
        a = city.anybody(&mut draws);
        if attempt == ATTEMPTS {
            (b, setting) = ((a + 1) % city.people, Setting::Proximity);
            break;
        }
        let Some((other, found)) = partner(city, a, start, &mut draws) else { continue };
        let home = found == Setting::Household;
        let absent = |person| withdrawn.is_out(person, start, home) || city.is_away(person, start);
        if other != a && !absent(a) && !absent(other) {
            (b, setting) = (other, found);
            break;
        }
    }
    if draws.chance(500_000) {
        (a, b) = (b, a);
    }
    Meeting { a, b, start, length: length(setting, &mut draws), setting }
}

/// Whom `a` meets, and where.
fn partner(city: &City, a: u32, at: Seconds, draws: &mut Draws) -> Option<(u32, Setting)> {
    let workday = u32::try_from(day_of(at)).is_ok_and(|day| city.calendar.is_workday(day));
    let share = draws.below(100);
    // Shares in percent, summed up: household, work or school, transport, venue; the rest is proximity.
    let (home, by_day, transport, venue) = match (city.role(a), workday) {
        (Role::Worker, true) => (28, 68, 78, 86),
        (Role::Pupil, true) => (45, 70, 75, 85),
        (Role::Home, true) => (48, 48, 58, 82),
        (_, false) => (50, 50, 58, 80),
    };
    Some(if share < home {
        let household = city.household(a);
        (household.start + draws.below_u32(household.end - household.start), Setting::Household)
    } else if share < by_day {
        match city.role(a) {
            Role::Pupil => (city.schoolmate(a, draws)?, Setting::School),
            _ => (city.colleague(a, draws)?, Setting::Work),
        }
    } else if share < transport {
        (city.fellow_traveller(a, draws), Setting::Transport)
    } else if share < venue {
        let street = &city.street(a).people;
        (street.start + draws.below_u32(street.end - street.start), Setting::Venue)
    } else if draws.chance(700_000) {
        (city.neighbour(a, draws), Setting::Proximity)
    } else {
        (city.anybody(draws), Setting::Proximity)
    })
}

fn length(setting: Setting, draws: &mut Draws) -> Seconds {
    let (short, typical, long) = match setting {
        Setting::Household => (30 * MINUTE, 3 * HOUR, 9 * HOUR),
        Setting::Work => (5 * MINUTE, 45 * MINUTE, 8 * HOUR),
        Setting::School => (10 * MINUTE, 90 * MINUTE, 7 * HOUR),
        Setting::Transport => (3 * MINUTE, 25 * MINUTE, 2 * HOUR),
        Setting::Venue => (2 * MINUTE, 15 * MINUTE, 2 * HOUR),
        Setting::Proximity => (30, 6 * MINUTE, HOUR),
    };
    draws.length(&[(0, short), (500_000, typical), (1_000_000, long)])
}
