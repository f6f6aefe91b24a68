//! How long a cause with a trigger is active.

use super::health::Health;
use super::moment::Moment;
use crate::model::{PersonId, TestResult, Timestamp};
use crate::rules::Release;

/// What a rule is at an instant, and when it next becomes the other (`NEVER` if it does not), as far as time alone decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) active: bool,
    pub(super) flips_at: Timestamp,
}

impl Activity {
    pub(super) const INACTIVE: Self = Self { active: false, flips_at: Timestamp::NEVER };
    pub(super) const FOREVER: Self = Self { active: true, flips_at: Timestamp::NEVER };

    pub(super) const fn until(flips_at: Timestamp) -> Self {
        Self { active: true, flips_at }
    }

    pub(super) const fn from(flips_at: Timestamp) -> Self {
        Self { active: false, flips_at }
    }
}

/// The activity of a cause triggered at `trigger`, which stops counting at `dropped_at` (retention).
///
/// With no report or test to come, what is missing of clean days and negative tests stays missing until the trigger is
/// dropped: every day later than the trigger's stays within retention as long as the trigger does.
pub(super) fn activity(
    moment: &Moment<'_>,
    person: PersonId,
    health: &mut dyn FnMut() -> Health,
    release: Release,
    trigger: Timestamp,
    dropped_at: Timestamp,
) -> Activity {
    if trigger > moment.at || moment.at >= dropped_at {
        return Activity::INACTIVE;
    }
    let unclean = release.clean_days > 0 && {
        let day = trigger.local_day(moment.program.utc_offset);
        !health().clean_run_after(day, moment.today, release.clean_days)
    };
    if unclean || fewer_negative_days(moment, person, trigger, release.negative_tests) {
        return Activity::until(dropped_at);
    }
    let days_end = trigger.plus_days(release.days);
    if moment.at < days_end { Activity::until(days_end.min(dropped_at)) } else { Activity::INACTIVE }
}

/// The activity of a cause whose trigger is the instant itself, for as long as nothing else changes.
pub(super) const fn ongoing(moment: &Moment<'_>, release: Release) -> Activity {
    let holds = release.days > 0 || release.clean_days > 0 || release.negative_tests > 0;
    if holds && moment.program.retention_days > 0 { Activity::FOREVER } else { Activity::INACTIVE }
}

/// Whether fewer than `wanted` distinct local days hold a negative sample later than `trigger` with a result by now.
fn fewer_negative_days(moment: &Moment<'_>, person: PersonId, trigger: Timestamp, wanted: u32) -> bool {
    if wanted == 0 {
        return false;
    }
    let tests = &moment.facts.tests;
    let mut days = 0;
    let mut last = None;
    // Ordered by `sampled_at`, so equal days are neighbours.
    for row in moment.facts.tests_of.range(person.index()) {
        let counts = tests.result[row] == TestResult::Negative
            && tests.sampled_at[row] > trigger
            && tests.resulted_at[row] <= moment.at;
        let day = Some(tests.sampled_at[row].local_day(moment.program.utc_offset));
        if counts && day != last {
            days += 1;
            last = day;
        }
    }
    days < wanted
}
