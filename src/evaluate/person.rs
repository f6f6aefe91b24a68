//! One person's state at one instant: the causes put together.

use super::area::{self, AreaRule};
use super::exposure;
use super::health::Health;
use super::moment::Moment;
use super::release::{self, Activity};
use crate::facts::Facts;
use crate::model::{CaseKind, EnumSet, Outcome, PersonId, QuarantineKind, RuleId, RuleMask, TestResult, Timestamp};
use crate::rules::{Cause, Program, Rule};

/// Which rules are active, and when time alone changes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Active rules, not excused.
    pub(super) reasons: RuleMask,
    /// Active rules, excused.
    pub(super) excused: RuleMask,
    /// The next instant at which these differ; meaningless if `volatile`.
    pub(super) changes_at: Timestamp,
    /// Whether something known lies ahead that `changes_at` does not look at.
    pub(super) volatile: bool,
}

/// The state of a person, or `None` without a standing declaration. Only `rules` are looked at: no other can be active.
pub(super) fn state(moment: &Moment<'_>, person: PersonId, rules: RuleMask) -> Option<State> {
    let (standing, may_be_replaced) = standing_declaration(moment.facts, moment.program, person, moment.at)?;
    let mut known = None;
    let mut sight = Sight {
        moment,
        person,
        standing,
        health: &mut || *known.get_or_insert_with(|| Health::of(moment, person, standing)),
        volatile: may_be_replaced || has_checkin_ahead(moment, person) || has_result_ahead(moment, person),
    };
    let mut active = RuleMask::EMPTY;
    let mut changes_at = Timestamp::NEVER;
    for id in rules.iter() {
        let activity = sight.activity(id, moment.program.rule(id));
        changes_at = changes_at.min(activity.flips_at);
        if activity.active {
            active.insert(id);
        }
    }
    let excused_until = sight.whitelisted_until();
    let volatile = sight.volatile;
    let excused = if excused_until.is_some() { active.and(moment.program.excuses) } else { RuleMask::EMPTY };
    if let Some(until) = excused_until.filter(|_| !excused.is_empty()) {
        changes_at = changes_at.min(until);
    }
    Some(State { reasons: active.minus(excused), excused, changes_at, volatile })
}

/// The row of the standing declaration, and whether one that lies ahead will take its place.
pub(super) fn standing_declaration(
    facts: &Facts,
    program: &Program,
    person: PersonId,
    at: Timestamp,
) -> Option<(usize, bool)> {
    let rows = facts.declarations_of.range(person.index());
    let accepted_max = (program.max_modifications as usize).saturating_add(1);
    let accepted = rows.start..rows.end.min(rows.start.saturating_add(accepted_max));
    let declared_at = &facts.declarations.declared_at[accepted.clone()];
    let made = declared_at.partition_point(|&declared_at| declared_at <= at);
    let last = made.checked_sub(1)?;
    Some((accepted.start + last, made < declared_at.len()))
}

fn has_checkin_ahead(moment: &Moment<'_>, person: PersonId) -> bool {
    if moment.facts.checkins_until <= moment.at {
        return false;
    }
    // Ordered by `reported_at`.
    let last = moment.facts.checkins_of.range(person.index()).next_back();
    last.is_some_and(|row| moment.facts.checkins.reported_at[row] > moment.at)
}

/// A result that is still to come matters to the rules about tests and to every release that wants negative ones.
fn has_result_ahead(moment: &Moment<'_>, person: PersonId) -> bool {
    let ahead = |row: usize| moment.facts.tests.resulted_at[row] > moment.at;
    moment.facts.tests_until > moment.at && moment.facts.tests_of.range(person.index()).any(ahead)
}

/// One person, looked at by one rule after the other.
struct Sight<'a> {
    moment: &'a Moment<'a>,
    person: PersonId,
    standing: usize,
    health: &'a mut dyn FnMut() -> Health,
    volatile: bool,
}

impl Sight<'_> {
    fn activity(&mut self, id: RuleId, rule: &Rule) -> Activity {
        match &rule.cause {
            Cause::Case { kinds, convalescence_days } => self.case(*kinds, *convalescence_days),
            Cause::Quarantine { kinds, ignore_home_started_before } => {
                self.quarantine(*kinds, *ignore_home_started_before)
            }
            Cause::Contact(contact) => {
                let Some(&base) = self.moment.strata.exposed(id).of(self.person) else { return Activity::INACTIVE };
                let found = if self.moment.is_base() {
                    base
                } else {
                    exposure::first_degree(self.moment, contact, self.person)
                };
                self.exposed(&found, contact.release)
            }
            Cause::SecondContact { through, min_minutes, settings, release } => {
                let found = exposure::second_degree(self.moment, *through, *min_minutes, *settings, self.person);
                self.exposed(&found, *release)
            }
            &Cause::Area { levels, min_minutes, declared, residence, release } => {
                let rule = AreaRule { id, levels, min_minutes, declared, residence, release };
                let (activity, volatile) = area::activity(self.moment, &rule, self.person, self.standing, self.health);
                self.volatile |= volatile;
                activity
            }
            Cause::Declared { any, release } => {
                let declarations = &self.moment.facts.declarations;
                let admitted = declarations.admissions[self.standing].intersects(*any);
                let trigger = admitted.then(|| declarations.declared_at[self.standing]);
                self.triggered(trigger, *release)
            }
            Cause::Symptoms { any, release } => {
                let Some(trigger) = (self.health)().latest_with(*any) else { return Activity::INACTIVE };
                // A report falls out of retention with its whole local day.
                let day = trigger.local_day(self.moment.program.utc_offset);
                let dropped_at = self.moment.day_leaves(day, self.moment.program.retention_days);
                release::activity(self.moment, self.person, self.health, *release, trigger, dropped_at)
            }
            Cause::Test { release } => {
                let trigger = self.latest_sample(TestResult::Positive);
                self.triggered(trigger, *release)
            }
            Cause::Untested { days } => {
                let negative_until = self.latest_sample(TestResult::Negative).map(|sampled| sampled.plus_days(*days));
                self.missing_from(negative_until)
            }
            Cause::Unreported { days } => {
                let last = (self.health)().latest_day(self.moment.today);
                self.missing_from(last.map(|day| self.moment.day_leaves(day, *days)))
            }
            Cause::Finding => self.finding(),
        }
    }

    fn triggered(&mut self, trigger: Option<Timestamp>, release: crate::rules::Release) -> Activity {
        let Some(trigger) = trigger else { return Activity::INACTIVE };
        let dropped_at = self.moment.dropped_at(trigger);
        release::activity(self.moment, self.person, self.health, release, trigger, dropped_at)
    }

    fn exposed(&mut self, found: &exposure::Exposures, release: crate::rules::Release) -> Activity {
        self.volatile |= found.volatile;
        self.triggered(found.counted.map(|(_, last)| last), release)
    }

    /// The activity of a rule that wants something by a deadline: active from then on, and always if there was nothing.
    fn missing_from(&self, deadline: Option<Timestamp>) -> Activity {
        match deadline {
            Some(deadline) if self.moment.at < deadline => Activity::from(deadline),
            _ => Activity::FOREVER,
        }
    }

    fn case(&mut self, kinds: EnumSet<CaseKind>, convalescence_days: u32) -> Activity {
        let (cases, at) = (&self.moment.facts.cases, self.moment.at);
        let mut until = None;
        for row in self.moment.facts.cases_of.range(self.person.index()) {
            if !kinds.contains(cases.kind[row]) {
                continue;
            }
            let outcome_at = cases.outcome_at[row];
            let ends_at = if cases.outcome[row].get() == Some(Outcome::Recovered) {
                outcome_at.plus_days(convalescence_days)
            } else {
                outcome_at
            };
            self.volatile |= cases.reported_at[row] > at;
            if cases.reported_at[row] <= at && at < ends_at {
                until = until.max(Some(ends_at));
            }
        }
        until.map_or(Activity::INACTIVE, Activity::until)
    }

    fn quarantine(&mut self, kinds: EnumSet<QuarantineKind>, ignore_home_before: Option<Timestamp>) -> Activity {
        let (quarantines, at) = (&self.moment.facts.quarantines, self.moment.at);
        let mut until = None;
        for row in self.moment.facts.quarantines_of.range(self.person.index()) {
            let (kind, started_at) = (quarantines.kind[row], quarantines.started_at[row]);
            let ignored = kind == QuarantineKind::Home && ignore_home_before.is_some_and(|before| started_at < before);
            if ignored || !kinds.contains(kind) {
                continue;
            }
            self.volatile |= started_at > at;
            if started_at <= at && at < quarantines.ended_at[row] {
                until = until.max(Some(quarantines.ended_at[row]));
            }
        }
        until.map_or(Activity::INACTIVE, Activity::until)
    }

    fn finding(&mut self) -> Activity {
        let (findings, at) = (&self.moment.facts.findings, self.moment.at);
        let mut until = None;
        for row in self.moment.facts.findings_of.range(self.person.index()) {
            self.volatile |= findings.found_at[row] > at;
            if findings.found_at[row] <= at && at < findings.lifted_at[row] {
                until = until.max(Some(findings.lifted_at[row]));
            }
        }
        until.map_or(Activity::INACTIVE, Activity::until)
    }

    /// Until when the white list holds the person, if it does.
    fn whitelisted_until(&mut self) -> Option<Timestamp> {
        let (whitelist, at) = (&self.moment.facts.whitelist, self.moment.at);
        let mut until = None;
        for row in self.moment.facts.whitelist_of.range(self.person.index()) {
            self.volatile |= whitelist.from_at[row] > at;
            if whitelist.from_at[row] <= at && at < whitelist.until_at[row] {
                until = until.max(Some(whitelist.until_at[row]));
            }
        }
        until
    }

    /// The latest sample of such a result that is known.
    fn latest_sample(&self, result: TestResult) -> Option<Timestamp> {
        let (tests, at) = (&self.moment.facts.tests, self.moment.at);
        let mut latest = None;
        for row in self.moment.facts.tests_of.range(self.person.index()) {
            if tests.result[row] == result && tests.resulted_at[row] <= at {
                latest = latest.max(Some(tests.sampled_at[row]));
            }
        }
        latest
    }
}
