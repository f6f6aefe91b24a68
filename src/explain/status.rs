//! What the person is or has: a case, a quarantine, a test, a finding, a place on the white list.
//!
//! The one idea: each is a filter over the person's own rows of one table.
//!
//! Invariant: nothing here looks at another person's rows.

use super::sighting::{Proof, Sighting};
use super::subject::Subject;
use crate::model::{CaseKind, EnumSet, Outcome, QuarantineKind, TestResult, Timestamp};

impl Subject<'_> {
    /// The person's cases that hold at T: without an outcome yet, or recovered less than `convalescence_days` ago.
    pub(super) fn patient(&self, kinds: EnumSet<CaseKind>, convalescence_days: u32, at: Timestamp) -> Vec<Sighting> {
        let reported = self.cases.iter().filter(|case| kinds.contains(case.kind) && case.reported_at <= at);
        let holding = reported.filter(|case| {
            let no_outcome_yet = at < case.outcome_at;
            let convalescent =
                case.outcome == Some(Outcome::Recovered) && at < case.outcome_at.plus_days(convalescence_days);
            no_outcome_yet || convalescent
        });
        holding.map(|case| Sighting { trigger: case.reported_at, proof: Proof::Patient(*case) }).collect()
    }

    /// The person's quarantines that hold at T.
    pub(super) fn quarantined(
        &self,
        kinds: EnumSet<QuarantineKind>,
        ignore_home_started_before: Option<Timestamp>,
        at: Timestamp,
    ) -> Vec<Sighting> {
        let of_kind = self.quarantines.iter().filter(|quarantine| kinds.contains(quarantine.kind));
        let holding = of_kind.filter(|quarantine| quarantine.started_at <= at && at < quarantine.ended_at);
        let counted = holding.filter(|quarantine| {
            let too_early = ignore_home_started_before.is_some_and(|instant| quarantine.started_at < instant);
            !(quarantine.kind == QuarantineKind::Home && too_early)
        });
        counted.map(|quarantine| Sighting { trigger: quarantine.started_at, proof: Proof::Held(*quarantine) }).collect()
    }

    /// The person's positive tests whose result is known at T.
    pub(super) fn tested_positive(&self, at: Timestamp) -> Vec<Sighting> {
        let positive = self.tests.iter().filter(|test| test.result == TestResult::Positive);
        let known = positive.filter(|test| test.resulted_at <= at);
        known.map(|test| Sighting { trigger: test.sampled_at, proof: Proof::Tested(*test) }).collect()
    }

    /// The person's negative tests of the last `days` days whose result is known at T.
    pub(super) fn tested_within(&self, days: u32, at: Timestamp) -> Vec<Sighting> {
        let negative = self.tests.iter().filter(|test| test.result == TestResult::Negative);
        let recent = negative.filter(|test| test.resulted_at <= at && test.sampled_at > at.minus_days(days));
        recent.map(|test| Sighting { trigger: test.sampled_at, proof: Proof::Tested(*test) }).collect()
    }

    /// The findings that hold at T.
    pub(super) fn found(&self, at: Timestamp) -> Vec<Sighting> {
        let holding = self.findings.iter().filter(|finding| finding.found_at <= at && at < finding.lifted_at);
        holding.map(|finding| Sighting { trigger: finding.found_at, proof: Proof::Found(*finding) }).collect()
    }

    /// Whether the person is on the white list at T.
    pub(super) fn is_whitelisted(&self, at: Timestamp) -> bool {
        self.whitelist.iter().any(|entry| entry.from_at <= at && at < entry.until_at)
    }
}
