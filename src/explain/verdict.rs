//! A person's code at an instant, and the true instant at which it next differs.
//!
//! The one idea: a rule is active or not at each T, so the next change is the first of its `moments` at which the answer is
//! another; a code's next change is the first such of any rule, or the white list's.
//!
//! Invariant: no comparison with NEVER is a special case; an open end is simply later than every T.
//! Cost: rules x moments x the sightings of a rule.

use std::collections::HashMap;

use super::area::AreaQuestion;
use super::dossier::dossier;
use super::sighting::{Sighting, latest};
use super::subject::Subject;
use crate::model::facts::{Declaration, TableColumns, Tables};
use crate::model::{Code, Colour, PersonId, RuleId, RuleMask, Timestamp};
use crate::rules::{Cause, Program};

/// A code without the instant at which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The colour.
    pub colour: Colour,
    /// Active rules that are not excused.
    pub reasons: RuleMask,
    /// Active rules that the white list excuses.
    pub excused: RuleMask,
}

/// The code of `person` at the instant `at`, its `valid_until` being the first instant at which colour, reasons or excused
/// differ if no further fact arrives. `None` without a standing declaration.
///
/// Cost: see [`dossier()`], then the person's own history.
#[must_use]
pub fn code_at(facts: &Tables, program: &Program, person: PersonId, at: Timestamp) -> Option<Code> {
    Subject::new(&dossier(facts, program, person), program, person).code(at)
}

/// As [`code_at`], without looking ahead.
#[must_use]
pub fn state_at(facts: &Tables, program: &Program, person: PersonId, at: Timestamp) -> Option<State> {
    Subject::new(&dossier(facts, program, person), program, person).state(at)
}

/// Ids of the declarations that are refused at the instant `at` because they are more than a person may modify, ascending.
#[must_use]
pub fn refused_declarations(facts: &Tables, program: &Program, at: Timestamp) -> Vec<u64> {
    let mut declared: HashMap<PersonId, Vec<Declaration>> = HashMap::new();
    for declaration in facts.declarations.rows().filter(|declaration| declaration.declared_at <= at) {
        declared.entry(declaration.person).or_default().push(declaration);
    }
    let accepted = (program.max_modifications as usize).saturating_add(1);
    let mut refused = Vec::new();
    for mut declarations in declared.into_values() {
        declarations.sort_by_key(|declaration| (declaration.declared_at, declaration.id));
        refused.extend(declarations.iter().skip(accepted).map(|declaration| declaration.id));
    }
    refused.sort_unstable();
    refused
}

impl Subject<'_> {
    /// The state and its true end.
    pub(super) fn code(&self, at: Timestamp) -> Option<Code> {
        let State { colour, reasons, excused } = self.state(at)?;
        Some(Code { colour, reasons, excused, valid_until: self.next_change(at) })
    }

    /// Colour, reasons and excused at T.
    pub(super) fn state(&self, at: Timestamp) -> Option<State> {
        self.standing(at)?;
        let mut active = RuleMask::EMPTY;
        for (rule, _) in self.program.numbered().filter(|&(rule, _)| self.is_active(rule, at)) {
            active.insert(rule);
        }
        let excuses = if self.is_whitelisted(at) { self.program.excuses } else { RuleMask::EMPTY };
        let reasons = active.minus(excuses);
        Some(State { colour: self.program.colour(reasons), reasons, excused: active.and(excuses) })
    }

    /// The first instant after T at which the state differs, NEVER if there is none.
    pub(super) fn next_change(&self, at: Timestamp) -> Timestamp {
        // A rule that begins or ceases to be active always changes reasons or excused; the white list only sometimes does.
        let rule_changes_at = self
            .program
            .numbered()
            .fold(Timestamp::NEVER, |before, (rule, _)| self.next_change_of(rule, at, before).unwrap_or(before));
        let now = self.state(at);
        self.whitelist_moments(at)
            .into_iter()
            .take_while(|&moment| moment < rule_changes_at)
            .find(|&moment| self.state(moment) != now)
            .unwrap_or(rule_changes_at)
    }

    /// The first instant after T and before `before` at which the rule begins or ceases to be active.
    pub(super) fn next_change_of(&self, rule: RuleId, at: Timestamp, before: Timestamp) -> Option<Timestamp> {
        let now = self.is_active(rule, at);
        let moments = self.moments(rule, at).into_iter().take_while(|&moment| moment < before);
        moments.into_iter().find(|&moment| self.is_active(rule, moment) != now)
    }

    /// Whether the rule is active at T, excused or not.
    pub(super) fn is_active(&self, rule: RuleId, at: Timestamp) -> bool {
        let cause = &self.program.rule(rule).cause;
        match cause {
            Cause::Case { .. } | Cause::Quarantine { .. } | Cause::Finding => !self.sightings(rule, at).is_empty(),
            Cause::Untested { .. } | Cause::Unreported { .. } => self.sightings(rule, at).is_empty(),
            _ => cause
                .release()
                .zip(self.trigger(rule, at))
                .is_some_and(|(release, trigger)| self.is_held(trigger, release, at)),
        }
    }

    /// The latest trigger at T.
    fn trigger(&self, rule: RuleId, at: Timestamp) -> Option<Timestamp> {
        match self.program.rule(rule).cause {
            // One person may have met every case of a town; this is asked at every moment.
            Cause::Contact(_) => self.latest_first_degree(rule, at),
            _ => latest(&self.sightings(rule, at)),
        }
    }

    /// What speaks for the rule at T; for `untested` and `unreported`, what speaks against it.
    pub(super) fn sightings(&self, rule: RuleId, at: Timestamp) -> Vec<Sighting> {
        match &self.program.rule(rule).cause {
            Cause::Case { kinds, convalescence_days } => self.patient(*kinds, *convalescence_days, at),
            Cause::Quarantine { kinds, ignore_home_started_before } => {
                self.quarantined(*kinds, *ignore_home_started_before, at)
            }
            Cause::Contact(_) => self.first_degree(rule, at),
            Cause::SecondContact { through, min_minutes, .. } => self.second_degree(rule, *through, *min_minutes, at),
            &Cause::Area { levels, min_minutes, declared, residence, .. } => {
                self.areas(AreaQuestion { levels, min_minutes, declared, residence }, at)
            }
            Cause::Declared { any, .. } => self.admitted(*any, at),
            Cause::Symptoms { any, .. } => self.symptomatic(*any, at),
            Cause::Test { .. } => self.tested_positive(at),
            Cause::Untested { days } => self.tested_within(*days, at),
            Cause::Unreported { days } => self.reported_within(*days, at),
            Cause::Finding => self.found(at),
        }
    }
}

#[cfg(test)]
mod boundaries;
#[cfg(test)]
mod tests;
