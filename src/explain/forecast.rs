//! What is missing, and when the code can be green again.
//!
//! The one idea: the best future in a person's own hands is made of rows (a healthy report and a negative test every day), so
//! it is judged by the same evaluator as the past, with these rows added.
//!
//! Invariant: an ideal future adds nothing but healthy reports and negative tests; outcomes, ends of quarantines, departures
//! and liftings are other people's to record.

use serde::Serialize;

use super::sighting::{Proof, Sighting, latest};
use super::subject::Subject;
use crate::limits::FORECAST_DAYS_MAX;
use crate::model::facts::{Checkin, Test};
use crate::model::time::MICROS_PER_DAY;
use crate::model::{Colour, EnumSet, RuleId, TestResult, Timestamp};
use crate::rules::{Cause, Release};

/// What still lies between an active rule and its release. All of it is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Days until its time is over, part days counted whole.
    pub days_left: u32,
    /// Clean days running still wanted, from today if today's report is still open.
    pub clean_days: u32,
    /// Days with a negative test still wanted.
    pub negative_tests: u32,
    /// Health reports still wanted.
    pub reports: u32,
    /// What somebody else has to record first.
    pub awaits: Option<Awaited>,
}

/// Something that only a fact of another kind can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The outcome of the person's case.
    Outcome,
    /// The end of the quarantine.
    QuarantineEnd,
    /// The lifting of the finding.
    Lifting,
    /// The person's departure from the area.
    Departure,
    /// The delisting of the area that the person lives in.
    Delisting,
}

impl Subject<'_> {
    /// What is missing for the release of a rule that is active at T because of these sightings.
    pub(super) fn missing(&self, rule: RuleId, sightings: &[Sighting], at: Timestamp) -> Missing {
        let cause = &self.program.rule(rule).cause;
        match cause {
            Cause::Untested { .. } => return Missing { negative_tests: 1, ..Missing::default() },
            Cause::Unreported { .. } => return Missing { reports: 1, ..Missing::default() },
            _ => {}
        }
        if let Some(awaits) = sightings.iter().find_map(|sighting| awaited(&sighting.proof, at)) {
            let wanted = cause.release().map_or_else(Missing::default, |release| self.wanted(at, release, at));
            return Missing { awaits: Some(awaits), ..wanted };
        }
        if let (Some(release), Some(trigger)) = (cause.release(), latest(sightings)) {
            return self.wanted(trigger, release, at);
        }
        let released_at = self.next_change_of(rule, at, Timestamp::NEVER).unwrap_or(at);
        Missing { days_left: days_between(at, released_at), ..Missing::default() }
    }

    fn wanted(&self, trigger: Timestamp, release: Release, at: Timestamp) -> Missing {
        let tested = u32::try_from(self.days_tested_negative(trigger, at).len()).unwrap_or(u32::MAX);
        let clean_days = if self.wants_clean_days(trigger, release, at) {
            release.clean_days.saturating_sub(self.clean_run_now(trigger, at))
        } else {
            0
        };
        Missing {
            days_left: days_between(at, trigger.plus_days(release.days)),
            clean_days,
            negative_tests: release.negative_tests.saturating_sub(tested),
            ..Missing::default()
        }
    }

    /// The clean days running that today or tomorrow can still add to.
    fn clean_run_now(&self, trigger: Timestamp, at: Timestamp) -> u32 {
        let clean = self.clean_days(at);
        let today = self.day(at);
        let reported_today = self.reports(at).iter().any(|report| self.day(report.at) == today);
        let mut day = if reported_today { today } else { today.plus(-1) };
        let mut run = 0;
        while day > self.day(trigger) && clean.contains(&day) {
            run += 1;
            day = day.plus(-1);
        }
        run
    }

    /// The first instant from T on at which a rule that is active at T is not; `None` if there is none.
    pub(super) fn release_from(&self, rule: RuleId, at: Timestamp) -> Option<Timestamp> {
        if self.is_active(rule, at) { self.next_change_of(rule, at, Timestamp::NEVER) } else { Some(at) }
    }

    /// The first instant from T on at which the code is green; `None` if there is none.
    pub(super) fn first_green(&self, at: Timestamp) -> Option<Timestamp> {
        let mut instant = at;
        while self.state(instant)?.colour != Colour::Green {
            instant = self.next_change(instant).finite()?;
        }
        Some(instant)
    }

    /// The person with a healthy report and a negative test now and at the first instant of every day to come.
    pub(super) fn with_ideal_future(&self, at: Timestamp) -> Self {
        let mut ideal = self.clone();
        let today = self.day(at);
        let last_moment = self.program.numbered().filter_map(|(rule, _)| self.moments(rule, at).pop()).max();
        let last_day = self.day(last_moment.unwrap_or(at)).plus(i64::from(self.program.retention_days) + 1);
        let days = (last_day.0 - today.0).min(i64::from(FORECAST_DAYS_MAX));
        let mornings = (1..=days).map(|day| today.plus(day).starts_at(self.program.utc_offset));
        // A test has to be later than the trigger, which may be this very instant.
        for instant in [at, at.plus_micros(1)].into_iter().chain(mornings) {
            ideal.checkins.push(Checkin {
                id: u64::MAX,
                person: self.person,
                reported_at: instant,
                temperature_c: f64::NAN,
                symptoms: EnumSet::EMPTY,
                enterprise: None,
            });
            ideal.tests.push(Test {
                id: u64::MAX,
                person: self.person,
                sampled_at: instant,
                resulted_at: instant,
                result: TestResult::Negative,
            });
        }
        ideal
    }
}

/// What has to be recorded before this can end.
fn awaited(proof: &Proof, at: Timestamp) -> Option<Awaited> {
    match proof {
        Proof::Patient(case) if case.outcome.is_none() => Some(Awaited::Outcome),
        Proof::Held(quarantine) if quarantine.ended_at.is_never() => Some(Awaited::QuarantineEnd),
        Proof::Found(finding) if finding.lifted_at.is_never() => Some(Awaited::Lifting),
        Proof::Visited { stay, .. } if stay.left_at > at => Some(Awaited::Departure),
        Proof::Resides { .. } => Some(Awaited::Delisting),
        _ => None,
    }
}

fn days_between(from: Timestamp, to: Timestamp) -> u32 {
    let micros = to.micros_since(from).max(0);
    u32::try_from(micros / MICROS_PER_DAY + i64::from(micros % MICROS_PER_DAY > 0)).unwrap_or(u32::MAX)
}
