//! Every instant at which a rule can begin or cease to be active if no further fact arrives.
//!
//! The one idea: a rule compares T with instants of rows, with such instants plus a period of the rule set, and T's local day
//! with days of reports. Between two neighbours in the list of all of these no comparison changes its outcome, so
//! nothing does. The lists are supersets: an instant too many costs a look, one too few a wrong answer.
//!
//! Where each comes from, with x an instant of a row:
//! - `x <= T`, `T < x`: x itself (rows known that lie after T come into force by themselves);
//! - `T < t + N days`, `t > T - R days`: t + N and t + R, for every t that can be a trigger. A trigger is the end of an
//!   overlap, and that is an end of a contact, of a stay or of a window; a second degree's window ends at a quarantine's begin
//!   or N days after an exposure of the other, so that there t is such a sum already;
//! - a trigger that is T itself (an open stay, a residence) moves with T and releases nothing; it needs no instant but those
//!   at which it begins and ends;
//! - `min(left_at, T) - entered_at >= M`: `entered_at` + M minutes;
//! - days: a report comes at its instant and goes at a midnight, at most R days later.
//!
//! Invariant: moments are finite; an open end is no moment.

use super::subject::Subject;
use crate::model::time::MICROS_PER_MINUTE;
use crate::model::{RuleId, Timestamp};
use crate::rules::{Cause, Release};

/// Collects instants.
struct Moments<'a> {
    subject: &'a Subject<'a>,
    found: Vec<Timestamp>,
}

impl Subject<'_> {
    /// The instants after T at which this rule can change, in order, each once.
    pub(super) fn moments(&self, rule: RuleId, at: Timestamp) -> Vec<Timestamp> {
        let mut moments = Moments { subject: self, found: Vec::new() };
        moments.of_rule(rule);
        in_order(moments.found, at)
    }

    /// The instants after T at which the white list can change for the person, in order, each once.
    pub(super) fn whitelist_moments(&self, at: Timestamp) -> Vec<Timestamp> {
        in_order(self.whitelist.iter().flat_map(|entry| [entry.from_at, entry.until_at]).collect(), at)
    }
}

fn in_order(mut instants: Vec<Timestamp>, after: Timestamp) -> Vec<Timestamp> {
    instants.retain(|&instant| instant > after && !instant.is_never());
    instants.sort_unstable();
    instants.dedup();
    instants
}

impl Moments<'_> {
    fn of_rule(&mut self, rule: RuleId) {
        let subject = self.subject;
        let cause = &subject.program.rule(rule).cause;
        if let Some(release) = cause.release() {
            self.of_release(release);
        }
        match cause {
            Cause::Case { convalescence_days, .. } => {
                for case in &subject.cases {
                    let recovered_at = case.outcome_at.plus_days(*convalescence_days);
                    self.found.extend([case.reported_at, case.outcome_at, recovered_at]);
                }
            }
            Cause::Quarantine { .. } => {
                for quarantine in &subject.quarantines {
                    self.found.extend([quarantine.started_at, quarantine.ended_at]);
                }
            }
            Cause::Contact(contact) => self.of_first_degree(rule, contact.release),
            Cause::SecondContact { through, release, .. } => self.of_second_degree(rule, *through, *release),
            Cause::Area { min_minutes, release, .. } => self.of_area(*min_minutes, *release),
            Cause::Declared { release, .. } => {
                self.triggers(subject.declarations.iter().map(|declaration| declaration.declared_at), *release);
            }
            Cause::Symptoms { release, .. } => {
                self.of_reports();
                self.triggers(subject.declarations.iter().map(|declaration| declaration.declared_at), *release);
                self.triggers(subject.checkins.iter().map(|checkin| checkin.reported_at), *release);
            }
            Cause::Test { release } => {
                self.found.extend(subject.tests.iter().map(|test| test.resulted_at));
                self.triggers(subject.tests.iter().map(|test| test.sampled_at), *release);
            }
            Cause::Untested { days } => {
                for test in &subject.tests {
                    self.found.extend([test.resulted_at, test.sampled_at.plus_days(*days)]);
                }
            }
            Cause::Unreported { .. } => self.of_reports(),
            Cause::Finding => {
                for finding in &subject.findings {
                    self.found.extend([finding.found_at, finding.lifted_at]);
                }
            }
        }
    }

    fn of_first_degree(&mut self, rule: RuleId, release: Release) {
        let exposures = &self.subject.exposures[usize::from(rule.0)];
        for exposure in exposures {
            self.found.extend([exposure.known.from, exposure.known.until]);
        }
        self.triggers(exposures.iter().map(|exposure| exposure.known.at), release);
    }

    fn of_second_degree(&mut self, rule: RuleId, through: RuleId, release: Release) {
        let through_days = match &self.subject.program.rule(through).cause {
            Cause::Contact(through) => through.release.days,
            _ => 0,
        };
        let retention_days = self.subject.program.retention_days;
        for neighbour in &self.subject.neighbours[usize::from(rule.0)] {
            for exposure in &neighbour.exposures {
                let forgotten_at = exposure.at.plus_days(retention_days);
                self.found.extend([exposure.from, exposure.until, forgotten_at]);
            }
            // What the overlap of a contact with the other's window can end with.
            self.triggers(neighbour.contacts.iter().map(crate::model::facts::Contact::ended_at), release);
            self.triggers(neighbour.quarantines.iter().map(|quarantine| quarantine.started_at), release);
            self.triggers(neighbour.exposures.iter().map(|exposure| exposure.at.plus_days(through_days)), release);
        }
    }

    fn of_area(&mut self, min_minutes: u32, release: Release) {
        let subject = self.subject;
        for area in &subject.risk_areas {
            self.found.extend([area.listed_at, area.delisted_at]);
        }
        for stay in &subject.stays {
            let long_enough_at = stay.entered_at.plus_micros(i64::from(min_minutes) * MICROS_PER_MINUTE);
            self.found.extend([stay.entered_at, long_enough_at]);
        }
        self.found.extend(subject.declarations.iter().map(|declaration| declaration.declared_at));
        self.triggers(subject.stays.iter().map(|stay| stay.left_at), release);
        let arrivals =
            subject.declarations.iter().map(|declaration| declaration.arrived_at.unwrap_or(declaration.declared_at));
        self.triggers(arrivals, release);
    }

    /// Instants that can be triggers of a cause with this release: each, and when it is over or forgotten.
    fn triggers(&mut self, triggers: impl Iterator<Item = Timestamp>, release: Release) {
        let retention_days = self.subject.program.retention_days;
        for trigger in triggers {
            self.found.extend([trigger, trigger.plus_days(release.days), trigger.plus_days(retention_days)]);
        }
    }

    /// Whatever else a release looks at.
    fn of_release(&mut self, release: Release) {
        if release.clean_days > 0 {
            self.of_reports();
        }
        if release.negative_tests > 0 {
            self.found.extend(self.subject.tests.iter().map(|test| test.resulted_at));
        }
    }

    /// Every report, and every midnight after it while it can count.
    fn of_reports(&mut self) {
        let subject = self.subject;
        let declared = subject.declarations.iter().map(|declaration| declaration.declared_at);
        for reported_at in declared.chain(subject.checkins.iter().map(|checkin| checkin.reported_at)) {
            self.found.push(reported_at);
            for later in 1..=i64::from(subject.program.retention_days) {
                self.found.push(subject.day(reported_at).plus(later).starts_at(subject.program.utc_offset));
            }
        }
    }
}
