//! How an infection goes in one person: onset, isolation, report, outcome. A function of the person and the instant.

use std::ops::Range;

use super::calendar::{DAY, HOUR, Seconds};
use super::city::City;
use super::random::{Purpose, Quantiles};
use crate::model::Outcome;

/// From infection to onset: a median of five days. The least leaves a day and a half before others can be infected.
const INCUBATION: &Quantiles = &[
    (0, 7 * DAY / 2),
    (250_000, 17 * DAY / 4),
    (500_000, 21 * DAY / 4),
    (750_000, 7 * DAY),
    (950_000, 11 * DAY),
    (1_000_000, 14 * DAY),
];
/// From onset to report: a median of six days, at most 23, as in the list of Zhejiang's cases.
const DELAY: &Quantiles = &[
    (0, DAY),
    (100_000, 3 * DAY),
    (250_000, 4 * DAY),
    (500_000, 25 * DAY / 4),
    (750_000, 9 * DAY),
    (900_000, 12 * DAY),
    (970_000, 16 * DAY),
    (1_000_000, 23 * DAY),
];
/// Patients infect others from so long before onset.
const INFECTIOUS_BEFORE_ONSET: Seconds = 2 * DAY;

/// The course of an infection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// `None` if there are no symptoms; then nobody is infected either.
    pub(super) onset: Option<Seconds>,
    /// When the case was suspected before it was confirmed, if so.
    pub(super) suspected: Option<Seconds>,
    /// When it was confirmed and reported.
    pub(super) reported: Seconds,
    /// When the patient was isolated, if that is on record.
    pub(super) isolated: Option<Seconds>,
    /// How it ends, and when.
    pub(super) outcome: (Outcome, Seconds),
    /// When others can be infected.
    pub(super) infectious: Range<Seconds>,
}

impl Course {
    /// The course in a person infected at an instant.
    pub(super) fn new(city: &City, person: u32, infected: Seconds) -> Self {
        let mut draws = city.draws(Purpose::Course, u64::from(person));
        let onset = infected + draws.length(INCUBATION);
        let delay = draws.length(DELAY);
        let reported = onset + delay;
        let known_early = delay.min(3 * DAY) - HOUR;
        let suspected =
            (delay > 2 * DAY && draws.chance(250_000)).then(|| reported - draws.seconds(12 * HOUR, known_early));
        let isolated = match draws.below(100) {
            0..80 => Some(reported - draws.seconds(0, known_early)),
            80..95 => Some(reported + draws.seconds(0, 12 * HOUR)),
            _ => None,
        };
        // Whoever is suspected is isolated within hours.
        let isolated = match (isolated, suspected) {
            (Some(isolated), Some(suspected)) => Some(isolated.min(suspected + 6 * HOUR)),
            (isolated, _) => isolated,
        };
        let outcome = if draws.chance(12_000) {
            (Outcome::Died, reported + draws.seconds(5 * DAY, 20 * DAY))
        } else {
            (Outcome::Recovered, reported + draws.seconds(8 * DAY, 25 * DAY))
        };
        let silent = draws.chance(40_000);
        let until = isolated.unwrap_or(reported + DAY);
        let infectious = if silent { onset..onset } else { onset - INFECTIOUS_BEFORE_ONSET..until };
        Self { onset: (!silent).then_some(onset), suspected, reported, isolated, outcome, infectious }
    }

    /// When the patient came to a ward.
    pub(super) fn admitted(&self) -> Seconds {
        self.isolated.unwrap_or(self.reported)
    }

    /// When the case was first known.
    pub(super) fn first_known(&self) -> Seconds {
        self.suspected.unwrap_or(self.reported)
    }
}
