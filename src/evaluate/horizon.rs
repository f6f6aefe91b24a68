//! The next change of a volatile person: the exact instant, found by looking at every instant at which anything may change.
//!
//! The one idea: a state can change only where a known fact begins, ends or becomes known, where a period of a rule counted
//! from one ends, or where a local day falls out of a window. Those instants are collected (too many do no harm), and the
//! state is computed at each in turn until it differs.
//!
//! Invariant: the instants collected are a superset of those at which the state can change.
//!
//! Cost: one evaluation an instant; few people are volatile, and few instants lie before the change.

use super::exposure::{Span, infectious, near, wants};
use super::moment::Moment;
use super::person::{State, state};
use crate::model::facts::TableColumns as _;
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{EnumSet, PersonId, Region, RuleId, RuleMask, Setting, Timestamp};
use crate::rules::{Cause, ContactRule, Release};

/// The first instant after the moment at which the person's state differs from `now`; `NEVER` if there is none.
pub(super) fn next_change(moment: &Moment<'_>, person: PersonId, rules: RuleMask, now: &State) -> Timestamp {
    let mut instants = Instants { moment: *moment, found: Vec::new() };
    instants.own_facts(person);
    instants.levels(person);
    for id in rules.iter() {
        match &moment.program.rule(id).cause {
            Cause::Contact(contact) => {
                for exposure in instants.first_degree(contact, person) {
                    instants.trigger(exposure, contact.release);
                }
            }
            Cause::SecondContact { through, settings, release, .. } => {
                if let Cause::Contact(first) = &moment.program.rule(*through).cause {
                    instants.second_degree(*through, first, *settings, *release, person);
                }
            }
            _ => {}
        }
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

    /// As [`Self::trigger`], for every rule whose trigger comes from the person's own facts.
    fn own_trigger(&mut self, at: Timestamp) {
        let program = self.moment.program;
        for rule in &program.rules {
            match &rule.cause {
                Cause::Area { release, .. }
                | Cause::Declared { release, .. }
                | Cause::Symptoms { release, .. }
                | Cause::Test { release } => self.trigger(at, *release),
                Cause::Untested { days } => self.push(at.plus_days(*days)),
                _ => {}
            }
        }
    }

    /// A health report: besides triggering, its day leaves the windows of retention and of reporting.
    fn report(&mut self, at: Timestamp) {
        let program = self.moment.program;
        let day = at.local_day(program.utc_offset);
        self.push(at);
        self.own_trigger(at);
        self.push(self.moment.day_leaves(day, program.retention_days));
        for rule in &program.rules {
            if let Cause::Unreported { days } = rule.cause {
                self.push(self.moment.day_leaves(day, days));
            }
        }
    }

    fn own_facts(&mut self, person: PersonId) {
        let facts = self.moment.facts;
        for row in facts.declarations_of.range(person.index()) {
            self.report(facts.declarations.declared_at[row]);
            if let Some(arrived_at) = facts.declarations.arrived_at[row].get() {
                self.own_trigger(arrived_at);
            }
        }
        for row in facts.checkins_of.range(person.index()) {
            self.report(facts.checkins.reported_at[row]);
        }
        for row in facts.tests_of.range(person.index()) {
            self.own_trigger(facts.tests.sampled_at[row]);
            self.push(facts.tests.resulted_at[row]);
        }
        for row in facts.stays_of.range(person.index()) {
            self.stay(row);
        }
        for row in facts.cases_of.range(person.index()) {
            self.push(facts.cases.reported_at[row]);
            self.push(facts.cases.outcome_at[row]);
            for rule in &self.moment.program.rules {
                if let Cause::Case { convalescence_days, .. } = rule.cause {
                    self.push(facts.cases.outcome_at[row].plus_days(convalescence_days));
                }
            }
        }
        for row in facts.quarantines_of.range(person.index()) {
            self.push(facts.quarantines.started_at[row]);
            self.push(facts.quarantines.ended_at[row]);
        }
        for row in facts.findings_of.range(person.index()) {
            self.push(facts.findings.found_at[row]);
            self.push(facts.findings.lifted_at[row]);
        }
        for row in facts.whitelist_of.range(person.index()) {
            self.push(facts.whitelist.from_at[row]);
            self.push(facts.whitelist.until_at[row]);
        }
    }

    fn stay(&mut self, row: usize) {
        let stays = &self.moment.facts.stays;
        let entered_at = stays.entered_at[row];
        self.push(entered_at);
        self.own_trigger(stays.left_at[row]);
        for rule in &self.moment.program.rules {
            if let Cause::Area { min_minutes, .. } = rule.cause {
                self.push(entered_at.plus_micros(i64::from(min_minutes) * MICROS_PER_MINUTE));
            }
        }
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
            for end in facts.contacts_of.range(person.index()) {
                let other = facts.neighbours[end];
                if !facts.cases_of.contains(other.index()) {
                    continue;
                }
                let contact = facts.contacts.row(facts.contact_rows[end] as usize);
                if wants(rule.settings, contact.setting) {
                    self.push(contact.ended_at());
                    let met = Span { from: contact.started_at, to: contact.ended_at() };
                    self.overlaps(rule, other, met, &mut exposures);
                }
            }
        }
        if rule.via_place {
            for row in facts.stays_of.range(person.index()) {
                self.place(rule, row, &mut exposures);
            }
        }
        exposures
    }

    fn place(&mut self, rule: &ContactRule, row: usize, exposures: &mut Vec<Timestamp>) {
        let facts = self.moment.facts;
        let stay = facts.stays.row(row);
        let Some(place) = stay.place else { return };
        for slot in facts.case_stays_of.range(place.index()) {
            let theirs = facts.case_stays[slot];
            if theirs.person == stay.person || !near(rule.rows, stay.row, theirs.row.get()) {
                continue;
            }
            self.push(stay.left_at.max(theirs.left_at));
            let both = Span { from: stay.entered_at, to: stay.left_at }
                .and(Span { from: theirs.entered_at, to: theirs.left_at });
            self.overlaps(rule, theirs.person, both, exposures);
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
            let contact = facts.contacts.row(facts.contact_rows[end] as usize);
            if !wants(settings, contact.setting) || contact.ended_at() <= base.earliest {
                continue;
            }
            self.trigger(contact.ended_at(), release);
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
