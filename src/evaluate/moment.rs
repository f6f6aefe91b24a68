//! The instant of an evaluation and what follows from it: today, the edge of retention, the levels of regions.

use super::strata::Strata;
use crate::facts::Facts;
use crate::model::{Level, LocalDay, RegionId, Timestamp};
use crate::rules::Program;

/// Everything that an evaluation at one instant looks at.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) facts: &'a Facts,
    pub(super) program: &'a Program,
    pub(super) strata: &'a Strata,
    /// T.
    pub(super) at: Timestamp,
    /// The local day of T.
    pub(super) today: LocalDay,
    /// T less R days: a trigger or exposure counts only if later.
    pub(super) counted_after: Timestamp,
}

impl<'a> Moment<'a> {
    pub(super) fn new(facts: &'a Facts, program: &'a Program, strata: &'a Strata, at: Timestamp) -> Self {
        let today = at.local_day(program.utc_offset);
        Self { facts, program, strata, at, today, counted_after: at.minus_days(program.retention_days) }
    }

    /// Whether this is the instant that the strata were computed for; at a later one they are only an upper bound of who may
    /// be exposed, and values are computed as they are needed.
    pub(super) fn is_base(&self) -> bool {
        self.at == self.strata.at
    }

    pub(super) fn level_of(&self, region: RegionId) -> Option<Level> {
        if self.is_base() || !self.strata.level_may_change(region) {
            self.strata.levels[region.index()]
        } else {
            self.facts.regions.level_at(self.facts.regions.code(region), self.at)
        }
    }

    /// The instant at which an instant `t` falls out of retention.
    pub(super) const fn dropped_at(&self, t: Timestamp) -> Timestamp {
        t.plus_days(self.program.retention_days)
    }

    /// The local midnight at which a day falls out of a window of so many days up to today.
    pub(super) fn day_leaves(&self, day: LocalDay, days: u32) -> Timestamp {
        day.plus(i64::from(days)).starts_at(self.program.utc_offset)
    }
}
