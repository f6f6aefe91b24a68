//! The next change of a volatile person: the exact instant, found by looking at every instant at which anything may change.
//!
//! The one idea: a state can change only where a known fact begins, ends or becomes known, where a period of a rule counted
//! from one ends, or where a local day falls out of a window. Those instants are collected (too many do no harm), and the
//! state is computed at each in turn until it differs.
//!
//! Invariant: the instants collected are a superset of those at which the state can change.
//!
//! Cost: one evaluation an instant; few people are volatile, and few instants lie before the change.

use super::exposure::{Span, contact_at, contacts_with_cases, infectious, near, stays_beside_cases, wants};
use super::moment::Moment;
use super::person::{State, state};
use crate::model::facts::{PlaceStay, TableColumns as _};
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{EnumSet, PersonId, Region, RuleId, RuleMask, Setting, Timestamp};
use crate::rules::{Cause, ContactRule, Release};

/// The first instant after the moment at which the person's state differs from `now`; `NEVER` if there is none.
pub(super) fn next_change(moment: &Moment<'_>, person: PersonId, rules: RuleMask, now: &State) -> Timestamp {
    let mut instants = Instants { moment: *moment, found: Vec::new() };
    instants.standing(person);
    for id in rules.iter() {
        instants.cause(&moment.program.rule(id).cause, person);
    }
    let Instants { mut found, .. } = instants;
    found.sort_unstable();
    found.dedup();
    let differs = |&at: &Timestamp| {
        let then = state(&Moment::new(moment.facts, moment.program, moment.strata, at), person, rules);
        then.is_none_or(|then| (then.reasons, then.excused) != (now.reasons, now.excused))
    };
    found.into_iter().find(differs).unwrap_or(Timestamp::NEVER)
}

/// Instants after the moment at which something may change.
struct Instants<'a> {
    moment: Moment<'a>,
    found: Vec<Timestamp>,
}

impl Instants<'_> {
    fn push(&mut self, at: Timestamp) {
        if at > self.moment.at && !at.is_never() {
            self.found.push(at);
        }
    }

    /// An instant that may trigger a cause: it comes, its days end, it is dropped.
    fn trigger(&mut self, at: Timestamp, release: Release) {
        self.push(at);
        self.push(at.plus_days(release.days));
        self.push(self.moment.dropped_at(at));
    }

    /// Instants that matter whatever the rule: another declaration comes to stand, the white list takes or drops the person.
    fn standing(&mut self, person: PersonId) {
        let facts = self.moment.facts;
        for row in facts.declarations_of.range(person.index()) {
            self.push(facts.declarations.declared_at[row]);
        }
        for row in facts.whitelist_of.range(person.index()) {
            self.push(facts.whitelist.from_at[row]);
            self.push(facts.whitelist.until_at[row]);
        }
    }

    /// Instants that matter to a cause.
    fn cause(&mut self, cause: &Cause, person: PersonId) {
        let facts = self.moment.facts;
        match *cause {
            Cause::Case { convalescence_days, .. } => {
                for row in facts.cases_of.range(person.index()) {
                    self.push(facts.cases.reported_at[row]);
                    self.push(facts.cases.outcome_at[row]);
                    self.push(facts.cases.outcome_at[row].plus_days(convalescence_days));
                }
            }
            Cause::Quarantine { .. } => {
                for row in facts.quarantines_of.range(person.index()) {
                    self.push(facts.quarantines.started_at[row]);
                    self.push(facts.quarantines.ended_at[row]);
                }
            }
            Cause::Finding => {
                for row in facts.findings_of.range(person.index()) {
                    self.push(facts.findings.found_at[row]);
                    self.push(facts.findings.lifted_at[row]);
                }
            }
            Cause::Contact(ref contact) => {
                for exposure in self.first_degree(contact, person) {
                    self.trigger(exposure, contact.release);
                }
                self.release(contact.release, person);
            }
            Cause::SecondContact { through, settings, release, .. } => {
                if let Cause::Contact(first) = &self.moment.program.rule(through).cause {
                    self.second_degree(through, first, settings, release, person);
                }
                self.release(release, person);
            }
            Cause::Area { min_minutes, release, .. } => {
                self.areas(min_minutes, release, person);
                self.release(release, person);
            }
            Cause::Declared { release, .. } => {
                for row in facts.declarations_of.range(person.index()) {
                    self.trigger(facts.declarations.declared_at[row], release);
                }
                self.release(release, person);
            }
            Cause::Symptoms { release, .. } => {
                self.reports(person, |instants, at| instants.trigger(at, release));
                self.release(release, person);
            }
            Cause::Test { release } => {
                for row in facts.tests_of.range(person.index()) {
                    self.trigger(facts.tests.sampled_at[row], release);
                }
                self.results(person);
                self.release(release, person);
            }
            Cause::Untested { days } => {
                for row in facts.tests_of.range(person.index()) {
                    self.push(facts.tests.sampled_at[row].plus_days(days));
                }
                self.results(person);
            }
            Cause::Unreported { days } => self.reports(person, |instants, at| {
                let day = at.local_day(instants.moment.program.utc_offset);
                instants.push(instants.moment.day_leaves(day, days));
            }),
        }
    }

    /// Instants that matter to a release, besides those counted from the trigger.
    fn release(&mut self, release: Release, person: PersonId) {
        if release.clean_days > 0 {
            self.reports(person, |_, _| {});
        }
        if release.negative_tests > 0 {
            self.results(person);
        }
    }

    /// Health reports: each is made, and its day falls out of retention; `also` is told of each.
    fn reports(&mut self, person: PersonId, also: impl Fn(&mut Self, Timestamp)) {
        let (facts, program) = (self.moment.facts, self.moment.program);
        let declared = &facts.declarations.declared_at[facts.declarations_of.range(person.index())];
        let reported = &facts.checkins.reported_at[facts.checkins_of.range(person.index())];
        for &at in declared.iter().chain(reported) {
            self.push(at);
            self.push(self.moment.day_leaves(at.local_day(program.utc_offset), program.retention_days));
            also(self, at);
        }
    }

    /// Tests whose result is still to come.
    fn results(&mut self, person: PersonId) {
        let facts = self.moment.facts;
        for row in facts.tests_of.range(person.index()) {
            self.push(facts.tests.resulted_at[row]);
        }
    }

    /// Stays and what the declarations say, and the levels of their regions.
    fn areas(&mut self, min_minutes: u32, release: Release, person: PersonId) {
        let facts = self.moment.facts;
        for row in facts.stays_of.range(person.index()) {
            let entered_at = facts.stays.entered_at[row];
            self.push(entered_at);
            self.push(entered_at.plus_micros(i64::from(min_minutes) * MICROS_PER_MINUTE));
            self.trigger(facts.stays.left_at[row], release);
        }
        for row in facts.declarations_of.range(person.index()) {
            self.trigger(facts.declarations.declared_at[row], release);
            if let Some(arrived_at) = facts.declarations.arrived_at[row].get() {
                self.trigger(arrived_at, release);
            }
        }
        self.levels(person);
    }

    /// Where the level of a region that the person's facts name begins or ends. A stay's or residence's trigger may be any
    /// instant while the level lasts, so the periods of releases are counted from the facts, not from here.
    fn levels(&mut self, person: PersonId) {
        let facts = self.moment.facts;
        for row in facts.stays_of.range(person.index()) {
            self.listings(facts.stays.region[row]);
        }
        for row in facts.declarations_of.range(person.index()) {
            self.listings(facts.declarations.residence[row]);
            if let Some(region) = facts.declarations.came_from[row] {
                self.listings(region);
            }
        }
    }

    fn listings(&mut self, region: Region) {
        let regions = &self.moment.facts.regions;
        for row in regions.listings_above(region).flatten() {
            self.push(regions.listings().listed_at[row]);
            self.push(regions.listings().delisted_at[row]);
        }
    }

    /// Every instant that may ever be an exposure of the person to a case; what makes it known is pushed on the way.
    fn first_degree(&mut self, rule: &ContactRule, person: PersonId) -> Vec<Timestamp> {
        let facts = self.moment.facts;
        let mut exposures = Vec::new();
        if rule.via_contact {
            for (case, setting, met) in contacts_with_cases(facts, person) {
                if wants(rule.settings, setting) {
                    self.push(met.to);
                    self.overlaps(rule, case, met, &mut exposures);
                }
            }
        }
        if rule.via_place {
            for (stay, case_stays) in stays_beside_cases(facts, person) {
                self.place(rule, &stay, case_stays, &mut exposures);
            }
        }
        exposures
    }

    fn place(
        &mut self,
        rule: &ContactRule,
        stay: &PlaceStay,
        case_stays: &[PlaceStay],
        exposures: &mut Vec<Timestamp>,
    ) {
        for theirs in case_stays {
            if theirs.person == stay.person || !near(rule.rows, stay.row.get(), theirs.row.get()) {
                continue;
            }
            self.push(stay.left_at.max(theirs.left_at));
            self.overlaps(rule, theirs.person, Span::of(stay).and(Span::of(theirs)), exposures);
        }
    }

    fn overlaps(&mut self, rule: &ContactRule, other: PersonId, met: Span, exposures: &mut Vec<Timestamp>) {
        let facts = self.moment.facts;
        for row in facts.cases_of.range(other.index()) {
            let case = facts.cases.row(row);
            let overlap = met.and(infectious(&case, rule.infectious_days_before_onset));
            if overlap.lasts(rule.min_minutes) && !overlap.to.is_never() {
                self.push(case.reported_at);
                self.push(case.outcome_at);
                exposures.push(overlap.to);
            }
        }
    }

    /// A contact's exposure ends with the contact or with the other's window, which ends with a quarantine or some days after
    /// an exposure; the window moves whenever one of the other's exposures comes or drops.
    fn second_degree(
        &mut self,
        through: RuleId,
        first: &ContactRule,
        settings: Option<EnumSet<Setting>>,
        release: Release,
        person: PersonId,
    ) {
        let facts = self.moment.facts;
        for end in facts.contacts_of.range(person.index()) {
            let other = facts.neighbours[end];
            // Whom the strata do not name is not exposed now and cannot be later; who was met before the first exposure that
            // may ever count does not pass it on.
            let Some(base) = self.moment.strata.exposed(through).of(other) else { continue };
            let (setting, met) = contact_at(facts, end);
            if !wants(settings, setting) || met.to <= base.earliest {
                continue;
            }
            self.trigger(met.to, release);
            let exposures = self.first_degree(first, other);
            for exposure in exposures {
                self.push(exposure);
                self.push(self.moment.dropped_at(exposure));
                self.trigger(exposure.plus_days(first.release.days), release);
            }
            for row in facts.quarantines_of.range(other.index()) {
                self.trigger(facts.quarantines.started_at[row], release);
            }
        }
    }
}
