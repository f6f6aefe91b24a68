//! Which rules can concern whom, found column by column before anybody is looked at.
//!
//! The one idea: nearly everybody is green and stays so. A rule is active for a person only because of a fact of a kind that can
//! be told from one or two columns (an admission, a symptom, a stay in a listed region, a row among the few) and that is not too
//! old, so the columns are read once in the order they lie in, and a person is evaluated for the rules alone that some row names.
//!
//! Invariant: a rule that is not named for a person is not active for them, at the moment nor later, if no further fact arrives.
//! Naming too many costs time alone.
//!
//! Cost: 2 bytes a declaration (up to 8 more with rules on areas that read it), 9 a check-in, 4 a stay, 1 a test, one bit a person
//! for each table that few have rows in; 8 bytes a hit for its instant; nothing that no rule of the program asks for.

use std::ops::Range;

use super::moment::Moment;
use crate::facts::Bitmap;
use crate::model::{Admission, ClosedEnum, EnumSet, PersonId, RuleId, RuleMask, Symptom, TestResult, Timestamp};
use crate::rules::{Cause, Release};

/// What names a rule for a person, under one program at one moment.
pub(super) struct Sieve<'a> {
    moment: Moment<'a>,
    /// Rules that want something of everybody.
    everybody: RuleMask,
    /// Rules that concern a set of persons as such.
    sets: Vec<(RuleId, &'a Bitmap)>,
    admissions: Vec<Wanted<Admission>>,
    symptoms: Vec<Wanted<Symptom>>,
    positive_tests: RuleMask,
    areas: Areas,
}

/// Flags that name a rule.
struct Wanted<E> {
    rule: RuleMask,
    any: EnumSet<E>,
    /// Days for which one counts.
    days: u32,
}

/// Rules on areas.
#[derive(Default)]
struct Areas {
    /// All of them: each reads stays.
    stays: RuleMask,
    /// Days for which a stay that has ended counts under any of them.
    stays_days: u32,
    /// Those that read where people came from.
    declared: RuleMask,
    /// Those that read where people live.
    residence: RuleMask,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(moment: &Moment<'a>) -> Self {
        let facts = moment.facts;
        let mut sieve = Self {
            moment: *moment,
            everybody: RuleMask::EMPTY,
            sets: Vec::new(),
            admissions: Vec::new(),
            symptoms: Vec::new(),
            positive_tests: RuleMask::EMPTY,
            areas: Areas::default(),
        };
        let days = |release: &Release| release.days_max(moment.program.retention_days);
        for (id, rule) in moment.program.numbered() {
            match &rule.cause {
                Cause::Case { .. } => sieve.sets.push((id, facts.cases_of.present())),
                Cause::Quarantine { .. } => sieve.sets.push((id, facts.quarantines_of.present())),
                Cause::Finding => sieve.sets.push((id, facts.findings_of.present())),
                Cause::Contact(_) | Cause::SecondContact { .. } => sieve.sets.push((id, moment.strata.met(id))),
                Cause::Area { declared, residence, release, .. } => {
                    sieve.areas.stays.insert(id);
                    sieve.areas.stays_days = sieve.areas.stays_days.max(days(release));
                    if *declared {
                        sieve.areas.declared.insert(id);
                    }
                    if *residence {
                        sieve.areas.residence.insert(id);
                    }
                }
                Cause::Declared { any, release } => {
                    sieve.admissions.push(Wanted { rule: RuleMask::of(id), any: *any, days: days(release) });
                }
                Cause::Symptoms { any, release } => {
                    // A report falls out of retention with its whole local day, up to a day later.
                    let days = days(release).saturating_add(1);
                    sieve.symptoms.push(Wanted { rule: RuleMask::of(id), any: *any, days });
                }
                Cause::Test { .. } => sieve.positive_tests.insert(id),
                Cause::Untested { .. } | Cause::Unreported { .. } => sieve.everybody.insert(id),
            }
        }
        sieve
    }

    /// Names rules for the people of a task, a mask each.
    pub(super) fn sift(&self, people: Range<usize>, named: &mut Named<'_>) {
        named.fill(self.everybody);
        let words = people.start / 64..people.end.div_ceil(64);
        for (rule, set) in &self.sets {
            set.ids_in(words.clone()).for_each(|person| named.add(person, RuleMask::of(*rule)));
        }
        self.declarations(people.clone(), named);
        self.checkins(people.clone(), named);
        self.stays(people.clone(), named);
        self.tests(people, named);
    }

    /// Whether a trigger, now or to come, still counts for so many days.
    fn counts(&self, trigger: Timestamp, days: u32) -> bool {
        trigger.plus_days(days) > self.moment.at
    }

    /// Whether flags given at an instant are wanted and still count.
    fn wants<E: ClosedEnum>(&self, wanted: &Wanted<E>, flags: EnumSet<E>, at: Timestamp) -> bool {
        flags.intersects(wanted.any) && self.counts(at, wanted.days)
    }

    fn declarations(&self, people: Range<usize>, named: &mut Named<'_>) {
        let (facts, declarations) = (self.moment.facts, &self.moment.facts.declarations);
        let rows = facts.declarations_of.span(people);
        let (persons, declared_at) = (&declarations.person[rows.clone()], &declarations.declared_at[rows.clone()]);
        let admissions = &declarations.admissions[rows.clone()];
        for wanted in &self.admissions {
            named.add_where(persons, wanted.rule, |row| self.wants(wanted, admissions[row], declared_at[row]));
        }
        let symptoms = &declarations.symptoms[rows.clone()];
        for wanted in &self.symptoms {
            named.add_where(persons, wanted.rule, |row| self.wants(wanted, symptoms[row], declared_at[row]));
        }
        if !self.areas.declared.is_empty() {
            let came_from = &facts.came_from[rows.clone()];
            let rules = |row: usize| came_from[row].map_or(RuleMask::EMPTY, |region| self.moment.strata.reach(region));
            named.add_each(persons, self.areas.declared, rules);
        }
        if !self.areas.residence.is_empty() {
            let residence = &facts.residence[rows];
            named.add_each(persons, self.areas.residence, |row| self.moment.strata.reach(residence[row]));
        }
    }

    fn checkins(&self, people: Range<usize>, named: &mut Named<'_>) {
        let (facts, checkins) = (self.moment.facts, &self.moment.facts.checkins);
        let rows = facts.checkins_of.span(people);
        let (persons, symptoms) = (&checkins.person[rows.clone()], &checkins.symptoms[rows.clone()]);
        let (celsius, reported_at) = (&checkins.temperature_c[rows.clone()], &checkins.reported_at[rows]);
        for wanted in &self.symptoms {
            named.add_where(persons, wanted.rule, |row| {
                let fever = celsius[row] >= self.moment.program.fever_celsius;
                self.wants(wanted, symptoms[row].with(Symptom::Fever, fever), reported_at[row])
            });
        }
    }

    fn stays(&self, people: Range<usize>, named: &mut Named<'_>) {
        if !self.areas.stays.is_empty() {
            let rows = self.moment.facts.stays_of.span(people);
            let (regions, stays) = (&self.moment.facts.stay_region[rows.clone()], &self.moment.facts.stays);
            let (persons, left_at) = (&stays.person[rows.clone()], &stays.left_at[rows]);
            named.add_each(persons, self.areas.stays, |row| {
                let rules = self.moment.strata.reach(regions[row]);
                let counts = !rules.is_empty() && self.counts(left_at[row], self.areas.stays_days);
                if counts { rules } else { RuleMask::EMPTY }
            });
        }
    }

    fn tests(&self, people: Range<usize>, named: &mut Named<'_>) {
        if !self.positive_tests.is_empty() {
            let rows = self.moment.facts.tests_of.span(people);
            let results = &self.moment.facts.tests.result[rows.clone()];
            let persons = &self.moment.facts.tests.person[rows];
            named.add_where(persons, self.positive_tests, |row| results[row] == TestResult::Positive);
        }
    }
}

/// The rules named for the people of a task.
pub(super) struct Named<'a> {
    /// The first of the people.
    first: usize,
    rules: &'a mut [RuleMask],
}

impl<'a> Named<'a> {
    /// Nothing is named yet; `rules` is a mask a person, `first` the first of them.
    pub(super) const fn new(first: usize, rules: &'a mut [RuleMask]) -> Self {
        Self { first, rules }
    }

    fn fill(&mut self, rules: RuleMask) {
        self.rules.fill(rules);
    }

    fn add(&mut self, person: usize, rules: RuleMask) {
        let mask = &mut self.rules[person - self.first];
        *mask = mask.or(rules);
    }

    /// Adds `rules` for the persons of the rows that are hits.
    fn add_where(&mut self, persons: &[PersonId], rules: RuleMask, hit: impl Fn(usize) -> bool) {
        for (row, person) in persons.iter().enumerate() {
            if hit(row) {
                self.add(person.index(), rules);
            }
        }
    }

    /// Adds what each row names, among `rules`.
    fn add_each(&mut self, persons: &[PersonId], rules: RuleMask, of_row: impl Fn(usize) -> RuleMask) {
        for (row, person) in persons.iter().enumerate() {
            let named = of_row(row).and(rules);
            if !named.is_empty() {
                self.add(person.index(), named);
            }
        }
    }
}
