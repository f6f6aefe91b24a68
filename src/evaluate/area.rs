//! Stays in areas of risk, and what the standing declaration says of them.

use super::health::Health;
use super::moment::Moment;
use super::release::{self, Activity};
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{EnumSet, Level, PersonId, RegionId, RuleId, Timestamp};
use crate::rules::Release;

/// An area rule.
#[derive(Clone, Copy)]
pub(super) struct AreaRule {
    pub(super) id: RuleId,
    pub(super) levels: EnumSet<Level>,
    pub(super) min_minutes: u32,
    pub(super) declared: bool,
    pub(super) residence: bool,
    pub(super) release: Release,
}

/// What the facts give: the latest trigger, and whether it moves along with time.
#[derive(Default)]
struct Found {
    trigger: Option<Timestamp>,
    ongoing: bool,
    volatile: bool,
}

impl Found {
    fn trigger(&mut self, at: Timestamp) {
        self.trigger = self.trigger.max(Some(at));
    }
}

/// The rule's activity for a person, and whether time alone may change it otherwise than that says.
pub(super) fn activity(
    moment: &Moment<'_>,
    rule: &AreaRule,
    person: PersonId,
    standing: usize,
    health: &mut dyn FnMut() -> Health,
) -> (Activity, bool) {
    let mut found = Found::default();
    stays(moment, rule, person, &mut found);
    declaration(moment, rule, standing, &mut found);
    let activity = match found.trigger {
        None => Activity::INACTIVE,
        Some(_) if found.ongoing => release::ongoing(moment, rule.release),
        Some(trigger) => release::activity(moment, person, health, rule.release, trigger, moment.dropped_at(trigger)),
    };
    (activity, found.volatile)
}

/// Whether a region is at a level that counts; raises `volatile` if that may change.
fn counts(moment: &Moment<'_>, rule: &AreaRule, region: RegionId, found: &mut Found) -> bool {
    if !moment.strata.reach(region).contains(rule.id) {
        return false;
    }
    found.volatile |= moment.strata.level_may_change(region);
    moment.level_of(region).is_some_and(|level| rule.levels.contains(level))
}

fn stays(moment: &Moment<'_>, rule: &AreaRule, person: PersonId, found: &mut Found) {
    let facts = moment.facts;
    let least = i64::from(rule.min_minutes) * MICROS_PER_MINUTE;
    for row in facts.stays_of.range(person.index()) {
        if !counts(moment, rule, facts.stay_region[row], found) {
            continue;
        }
        let (entered_at, left_at) = (facts.stays.entered_at[row], facts.stays.left_at[row]);
        if entered_at > moment.at {
            found.volatile = true;
            continue;
        }
        let until = left_at.min(moment.at);
        let long_enough = until.micros_since(entered_at) >= least;
        if long_enough {
            found.trigger(until);
        }
        if left_at > moment.at {
            // Still there: the trigger moves along, unless the stay is too short yet or its end is known.
            found.ongoing |= long_enough;
            found.volatile |= !long_enough || !left_at.is_never();
        }
    }
}

fn declaration(moment: &Moment<'_>, rule: &AreaRule, standing: usize, found: &mut Found) {
    let declarations = &moment.facts.declarations;
    if rule.declared
        && let Some(region) = moment.facts.came_from[standing]
        && counts(moment, rule, region, found)
    {
        let left_at = declarations.arrived_at[standing].get().unwrap_or(declarations.declared_at[standing]);
        if left_at <= moment.at {
            found.trigger(left_at);
        } else {
            found.volatile = true;
        }
    }
    if rule.residence && counts(moment, rule, moment.facts.residence[standing], found) {
        found.trigger(moment.at);
        found.ongoing = true;
    }
}
