//! Whom the rules can concern at all, found column by column before anybody is looked at.
//!
//! The one idea: nearly everybody is green and stays so. A rule is active for a person only because of a fact of a kind that can
//! be told from one or two columns (an admission, a symptom, a stay in a listed region, a row among the few), so the columns are
//! read once in the order they lie in, and only the persons behind such rows are evaluated rule by rule.
//!
//! Invariant: a person with a standing declaration who is not named here has [`crate::model::Code::PLAIN`]. Naming too many costs
//! time alone.
//!
//! Cost: 6 bytes a declaration (10 with rules on areas), 9 a check-in, 4 a stay, 1 a test, one bit a person for each table that
//! few have rows in; nothing that no rule of the program asks for.

use std::ops::Range;

use rayon::prelude::*;

use super::moment::Moment;
use crate::facts::{Bitmap, Facts, Sparse, insert_bit, unite_words};
use crate::limits::{PEOPLE_PER_TASK, WORDS_PER_TASK};
use crate::model::{Admission, EnumSet, Level, PersonId, RegionId, Symptom, TestResult};
use crate::rules::Cause;

/// Everybody whom some rule may concern now or later, if no further fact arrives.
pub(super) fn concerned(moment: &Moment<'_>) -> Bitmap {
    let sieve = Sieve::new(moment);
    let mut set = Bitmap::new(moment.facts.people);
    set.words_mut().par_chunks_mut(WORDS_PER_TASK).enumerate().for_each(|(task, words)| {
        let first = task * PEOPLE_PER_TASK;
        sieve.sift(first..moment.facts.people.min(first + PEOPLE_PER_TASK), words);
    });
    set
}

/// What makes a person concerned under one program at one moment.
struct Sieve<'a> {
    facts: &'a Facts,
    /// A rule wants something of everybody.
    everybody: bool,
    /// Sets of persons who are concerned as such.
    sets: Vec<&'a Bitmap>,
    admissions: EnumSet<Admission>,
    symptoms: EnumSet<Symptom>,
    /// From which temperature a report concerns; NaN for none.
    fever_celsius: f64,
    positive_tests: bool,
    areas: Areas,
}

/// Regions that are at a level some rule counts, or may be later, and where rules look for them.
#[derive(Default)]
struct Areas {
    regions: Bitmap,
    stays: bool,
    declared: bool,
    residence: bool,
}

impl Areas {
    fn holds(&self, region: RegionId) -> bool {
        self.regions.contains(region.index())
    }
}

impl<'a> Sieve<'a> {
    fn new(moment: &Moment<'a>) -> Self {
        let facts = moment.facts;
        let mut sieve = Self {
            facts,
            everybody: false,
            sets: Vec::new(),
            admissions: EnumSet::EMPTY,
            symptoms: EnumSet::EMPTY,
            fever_celsius: f64::NAN,
            positive_tests: false,
            areas: Areas::default(),
        };
        let mut levels: EnumSet<Level> = EnumSet::EMPTY;
        for (id, rule) in moment.program.numbered() {
            let few: Option<&Sparse> = match &rule.cause {
                Cause::Case { .. } => Some(&facts.cases_of),
                Cause::Quarantine { .. } => Some(&facts.quarantines_of),
                Cause::Finding => Some(&facts.findings_of),
                Cause::Contact(_) | Cause::SecondContact { .. } => {
                    sieve.sets.push(moment.strata.met(id));
                    None
                }
                Cause::Area { levels: counted, declared, residence, .. } => {
                    levels = levels.or(*counted);
                    sieve.areas.stays = true;
                    sieve.areas.declared |= declared;
                    sieve.areas.residence |= residence;
                    None
                }
                Cause::Declared { any, .. } => {
                    sieve.admissions = sieve.admissions.or(*any);
                    None
                }
                Cause::Symptoms { any, .. } => {
                    sieve.symptoms = sieve.symptoms.or(*any);
                    None
                }
                Cause::Test { .. } => {
                    sieve.positive_tests = true;
                    None
                }
                Cause::Untested { .. } | Cause::Unreported { .. } => {
                    sieve.everybody = true;
                    None
                }
            };
            sieve.sets.extend(few.map(Sparse::present));
        }
        if sieve.symptoms.contains(Symptom::Fever) {
            sieve.fever_celsius = moment.program.fever_celsius;
        }
        let numbers = (0..facts.regions.len()).filter(|&number| {
            let number = RegionId::from_index(u32::try_from(number).expect("regions are numbered by 32 bits"));
            facts.regions.may_reach(facts.regions.code(number), levels, moment.at)
        });
        sieve.areas.regions = Bitmap::of(facts.regions.len(), numbers);
        sieve
    }

    /// Names the concerned among a task's people: bit `i` is the `i`th of them.
    fn sift(&self, people: Range<usize>, words: &mut [u64]) {
        if self.everybody {
            words.fill(u64::MAX);
            return;
        }
        let first = people.start / u64::BITS as usize;
        for set in &self.sets {
            unite_words(words, &set.words()[first..first + words.len()]);
        }
        self.declarations(people.clone(), words);
        self.checkins(people.clone(), words);
        self.stays(people.clone(), words);
        self.tests(people, words);
    }

    fn declarations(&self, people: Range<usize>, words: &mut [u64]) {
        let facts = self.facts;
        let rows = facts.declarations_of.span(people.clone());
        let persons = &facts.declarations.person[rows.clone()];
        let (admissions, symptoms) =
            (&facts.declarations.admissions[rows.clone()], &facts.declarations.symptoms[rows.clone()]);
        name(persons, people.start, words, |row| {
            admissions[row].intersects(self.admissions) || symptoms[row].intersects(self.symptoms)
        });
        if self.areas.declared {
            let came_from = &facts.came_from[rows.clone()];
            name(persons, people.start, words, |row| came_from[row].is_some_and(|region| self.areas.holds(region)));
        }
        if self.areas.residence {
            let residence = &facts.residence[rows];
            name(persons, people.start, words, |row| self.areas.holds(residence[row]));
        }
    }

    fn checkins(&self, people: Range<usize>, words: &mut [u64]) {
        if self.symptoms.is_empty() {
            return;
        }
        let checkins = &self.facts.checkins;
        let rows = self.facts.checkins_of.span(people.clone());
        let (symptoms, celsius) = (&checkins.symptoms[rows.clone()], &checkins.temperature_c[rows.clone()]);
        name(&checkins.person[rows], people.start, words, |row| {
            symptoms[row].intersects(self.symptoms) || celsius[row] >= self.fever_celsius
        });
    }

    fn stays(&self, people: Range<usize>, words: &mut [u64]) {
        if !self.areas.stays {
            return;
        }
        let rows = self.facts.stays_of.span(people.clone());
        let regions = &self.facts.stay_region[rows.clone()];
        name(&self.facts.stays.person[rows], people.start, words, |row| self.areas.holds(regions[row]));
    }

    fn tests(&self, people: Range<usize>, words: &mut [u64]) {
        if !self.positive_tests {
            return;
        }
        let rows = self.facts.tests_of.span(people.clone());
        let results = &self.facts.tests.result[rows.clone()];
        name(&self.facts.tests.person[rows], people.start, words, |row| results[row] == TestResult::Positive);
    }
}

/// Names the persons of the rows that are hits, as bits counted from `first`.
fn name(persons: &[PersonId], first: usize, words: &mut [u64], hit: impl Fn(usize) -> bool) {
    for (row, person) in persons.iter().enumerate() {
        if hit(row) {
            insert_bit(words, person.index() - first);
        }
    }
}
