//! The standing declaration, health reports, clean days, and the release that is made of them.
//!
//! The one idea: a release asks three things of the time after a trigger (days gone by, clean days in a row, days with a
//! negative test), and each is a question of its own here, so that the report can say which one is still open.
//!
//! Invariant: a declaration that does not stand has no effect at all, not even as a health report.

use std::collections::{BTreeMap, BTreeSet};

use super::sighting::{Proof, Report, ReportSource, Sighting};
use super::subject::Subject;
use crate::model::facts::Declaration;
use crate::model::{Admission, EnumSet, LocalDay, Symptom, TestResult, Timestamp};
use crate::rules::Release;

impl Subject<'_> {
    /// The standing declaration at T.
    pub(super) fn standing(&self, at: Timestamp) -> Option<Declaration> {
        let accepted = (self.program.max_modifications as usize).saturating_add(1);
        self.declarations.iter().filter(|declaration| declaration.declared_at <= at).take(accepted).last().copied()
    }

    pub(super) fn day(&self, instant: Timestamp) -> LocalDay {
        instant.local_day(self.program.utc_offset)
    }

    /// The health reports at T.
    pub(super) fn reports(&self, at: Timestamp) -> Vec<Report> {
        let declared = self.standing(at).map(|declaration| Report {
            at: declaration.declared_at,
            source: ReportSource::Declaration(declaration.id),
            symptoms: declaration.symptoms,
        });
        let checked_in = self.checkins.iter().filter(|checkin| checkin.reported_at <= at).map(|checkin| Report {
            at: checkin.reported_at,
            source: ReportSource::Checkin(checkin.id),
            symptoms: checkin.symptoms.with(Symptom::Fever, checkin.temperature_c >= self.program.fever_celsius),
        });
        let oldest = self.day(at).plus(-i64::from(self.program.retention_days));
        declared.into_iter().chain(checked_in).filter(|report| self.day(report.at) > oldest).collect()
    }

    /// The clean days at T: those with a report and no symptomatic one.
    pub(super) fn clean_days(&self, at: Timestamp) -> BTreeSet<LocalDay> {
        let mut symptomatic: BTreeMap<LocalDay, bool> = BTreeMap::new();
        for report in self.reports(at) {
            *symptomatic.entry(self.day(report.at)).or_default() |= !report.symptoms.is_empty();
        }
        symptomatic.into_iter().filter(|&(_, symptomatic)| !symptomatic).map(|(day, _)| day).collect()
    }

    /// Whether a cause with this trigger and release is active at T.
    pub(super) fn is_held(&self, trigger: Timestamp, release: Release, at: Timestamp) -> bool {
        self.is_in_retention(trigger, at)
            && (at < trigger.plus_days(release.days)
                || self.wants_clean_days(trigger, release, at)
                || self.wants_tests(trigger, release, at))
    }

    /// Whether a trigger is neither in the future nor too old to count.
    pub(super) fn is_in_retention(&self, trigger: Timestamp, at: Timestamp) -> bool {
        trigger <= at && trigger > at.minus_days(self.program.retention_days)
    }

    /// Whether the clean days that a release asks for are not there yet at T.
    pub(super) fn wants_clean_days(&self, trigger: Timestamp, release: Release, at: Timestamp) -> bool {
        release.clean_days > 0 && self.longest_clean_run(trigger, at) < release.clean_days
    }

    /// The most consecutive clean days later than the trigger's day and not later than T's.
    fn longest_clean_run(&self, trigger: Timestamp, at: Timestamp) -> u32 {
        let mut longest = 0;
        let mut run = 0;
        let mut before = None;
        for day in self.clean_days(at).into_iter().filter(|&day| day > self.day(trigger) && day <= self.day(at)) {
            run = if before == Some(day.plus(-1)) { run + 1 } else { 1 };
            longest = longest.max(run);
            before = Some(day);
        }
        longest
    }

    fn wants_tests(&self, trigger: Timestamp, release: Release, at: Timestamp) -> bool {
        self.days_tested_negative(trigger, at).len() < release.negative_tests as usize
    }

    /// The local days that hold a negative test taken after the trigger and known at T.
    pub(super) fn days_tested_negative(&self, trigger: Timestamp, at: Timestamp) -> BTreeSet<LocalDay> {
        let negative = self.tests.iter().filter(|test| test.result == TestResult::Negative);
        let counted = negative.filter(|test| test.sampled_at > trigger && test.resulted_at <= at);
        counted.map(|test| self.day(test.sampled_at)).collect()
    }

    /// What the standing declaration admits.
    pub(super) fn admitted(&self, any: EnumSet<Admission>, at: Timestamp) -> Vec<Sighting> {
        let standing = self.standing(at).filter(|declaration| declaration.admissions.intersects(any));
        standing
            .map(|declaration| Sighting { trigger: declaration.declared_at, proof: Proof::Admitted(declaration) })
            .into_iter()
            .collect()
    }

    /// The health reports with one of these symptoms.
    pub(super) fn symptomatic(&self, any: EnumSet<Symptom>, at: Timestamp) -> Vec<Sighting> {
        let reports = self.reports(at).into_iter().filter(|report| report.symptoms.intersects(any));
        reports.map(|report| Sighting { trigger: report.at, proof: Proof::Reported(report) }).collect()
    }

    /// The health reports of the last `days` local days.
    pub(super) fn reported_within(&self, days: u32, at: Timestamp) -> Vec<Sighting> {
        let oldest = self.day(at).plus(-i64::from(days));
        let reports = self.reports(at).into_iter().filter(|report| self.day(report.at) > oldest);
        reports.map(|report| Sighting { trigger: report.at, proof: Proof::Reported(report) }).collect()
    }
}
