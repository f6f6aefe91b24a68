//! Health reports of a person as masks of days.
//!
//! The one idea: retention is at most 60 days, so the days with a report and the days with symptoms are two machine words; a run
//! of K clean days is K − 1 shifts.

use super::moment::Moment;
use crate::model::{EnumSet, LocalDay, PersonId, Symptom, Timestamp};

/// Reports of one person at one instant. Bit `i` of a mask is the local day `i` days before today.
#[derive(Clone, Copy, Default)]
pub(super) struct Health {
    reported: u64,
    symptomatic: u64,
    /// The latest report with each symptom.
    latest: [Option<Timestamp>; 3],
}

impl Health {
    /// The reports at the moment: the standing declaration and check-ins, within retention.
    pub(super) fn of(moment: &Moment<'_>, person: PersonId, standing: usize) -> Self {
        let facts = moment.facts;
        let mut health = Self::default();
        let declaration = (facts.declarations.declared_at[standing], facts.declarations.symptoms[standing]);
        health.add(moment, declaration.0, declaration.1);
        // Ordered by `reported_at`: what lies ahead is at the end, what is past retention at the begin.
        for row in facts.checkins_of.range(person.index()).rev() {
            let at = facts.checkins.reported_at[row];
            if at > moment.at {
                continue;
            }
            let hot = facts.checkins.temperature_c[row] >= moment.program.fever_celsius;
            if !health.add(moment, at, facts.checkins.symptoms[row].with(Symptom::Fever, hot)) {
                break;
            }
        }
        health
    }

    /// Counts a report; gives whether it is within retention.
    fn add(&mut self, moment: &Moment<'_>, at: Timestamp, symptoms: EnumSet<Symptom>) -> bool {
        let age = moment.today.0 - at.local_day(moment.program.utc_offset).0;
        if age >= i64::from(moment.program.retention_days) {
            return false;
        }
        debug_assert!(age >= 0, "a report that lies ahead does not count");
        self.reported |= 1 << age;
        if !symptoms.is_empty() {
            self.symptomatic |= 1 << age;
            for symptom in symptoms.iter() {
                let latest = &mut self.latest[symptom as usize];
                *latest = (*latest).max(Some(at));
            }
        }
        true
    }

    /// The latest report with one of these symptoms.
    pub(super) fn latest_with(&self, any: EnumSet<Symptom>) -> Option<Timestamp> {
        any.iter().filter_map(|symptom| self.latest[symptom as usize]).max()
    }

    /// The latest day with a report.
    pub(super) fn latest_day(&self, today: LocalDay) -> Option<LocalDay> {
        (self.reported != 0).then(|| today.plus(-i64::from(self.reported.trailing_zeros())))
    }

    /// Whether there are `wanted` (at least 1) consecutive clean days, all later than `day`.
    pub(super) fn clean_run_after(&self, day: LocalDay, today: LocalDay, wanted: u32) -> bool {
        let later_days = today.0 - day.0;
        if later_days <= 0 {
            return false;
        }
        let later = if later_days >= 64 { u64::MAX } else { (1 << later_days) - 1 };
        let mut run = self.reported & !self.symptomatic & later;
        for _ in 1..wanted {
            run &= run >> 1;
        }
        run != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_clean_days_are_consecutive_and_later() {
        let today = LocalDay(100);
        let health = Health { reported: 0b1110_1111, symptomatic: 0b0000_0100, latest: [None; 3] };
        // Clean: 0, 1, 3, 5, 6 and 7 days ago.
        assert!(health.clean_run_after(LocalDay(0), today, 3));
        assert!(!health.clean_run_after(LocalDay(0), today, 4));
        assert!(health.clean_run_after(LocalDay(92), today, 3), "7 days ago is later than 8 days ago");
        assert!(!health.clean_run_after(LocalDay(93), today, 3), "7 days ago is not later than itself");
        assert!(health.clean_run_after(LocalDay(98), today, 2));
        assert!(!health.clean_run_after(LocalDay(99), today, 2));
        assert!(!health.clean_run_after(today, today, 1));
        assert_eq!(health.latest_day(today), Some(today));
    }
}
