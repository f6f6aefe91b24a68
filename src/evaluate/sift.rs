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
use crate::facts::{Bitmap, Facts};
use crate::model::{
    Admission, ClosedEnum, EnumSet, PersonId, RegionId, RuleId, RuleMask, Symptom, TestResult, Timestamp,
};
use crate::rules::{Cause, Release};

/// The rows of some people in the tables that are read a column at a time.
struct RowsOf {
    declarations: Range<usize>,
    checkins: Range<usize>,
    stays: Range<usize>,
    tests: Range<usize>,
}

impl RowsOf {
    /// Those that a range of people had when the columns were made.
    fn people(facts: &Facts, people: &Range<usize>) -> Self {
        Self {
            declarations: facts.declarations_of.span(people.clone()),
            checkins: facts.checkins_of.span(people.clone()),
            stays: facts.stays_of.span(people.clone()),
            tests: facts.tests_of.span(people.clone()),
        }
    }

    /// Those that one person has.
    fn person(facts: &Facts, person: usize) -> Self {
        Self {
            declarations: facts.declarations_of.range(person),
            checkins: facts.checkins_of.range(person),
            stays: facts.stays_of.range(person),
            tests: facts.tests_of.range(person),
        }
    }
}

/// What names a rule for a person, under one program at one moment.
pub(super) struct Sieve<'a> {
    moment: Moment<'a>,
    /// Rules that want something of everybody.
    everybody: RuleMask,
    /// Rules that concern a set of persons as such.
    sets: Vec<(RuleId, &'a Bitmap)>,
    /// Those of them that are about contacts.
    contacts: RuleMask,
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
            contacts: RuleMask::EMPTY,
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
                Cause::Contact(_) | Cause::SecondContact { .. } => {
                    sieve.contacts.insert(id);
                    sieve.sets.push((id, moment.strata.met(id)));
                }
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
            set.ids_in(words.clone()).for_each(|person| named.add_at(person - people.start, RuleMask::of(*rule)));
        }
        let facts = self.moment.facts;
        self.rows(&RowsOf::people(facts, &people), named);
        for person in facts.moved.ids_in(words).filter(|person| people.contains(person)) {
            self.rows(&RowsOf::person(facts, person), named);
        }
    }

    /// The rules that can concern one person, other than those about contacts, which find that out by themselves.
    pub(super) fn sift_one(&self, person: PersonId) -> RuleMask {
        let mut rules = [self.everybody];
        for (rule, set) in &self.sets {
            if self.contacts.contains(*rule) || set.contains(person.index()) {
                rules[0].insert(*rule);
            }
        }
        let rows = RowsOf::person(self.moment.facts, person.index());
        self.rows(&rows, &mut Named::new(person.index(), &mut rules));
        rules[0]
    }

    /// Names rules for the people who have these rows.
    fn rows(&self, rows: &RowsOf, named: &mut Named<'_>) {
        self.declarations(rows.declarations.clone(), named);
        self.checkins(rows.checkins.clone(), named);
        self.stays(rows.stays.clone(), named);
        self.tests(rows.tests.clone(), named);
    }

    /// Whether a trigger, now or to come, still counts for so many days.
    fn counts(&self, trigger: Timestamp, days: u32) -> bool {
        trigger.plus_days(days) > self.moment.at
    }

    fn declarations(&self, rows: Range<usize>, named: &mut Named<'_>) {
        let (facts, declarations) = (self.moment.facts, &self.moment.facts.declarations);
        let (persons, declared_at) = (&declarations.person[rows.clone()], &declarations.declared_at[rows.clone()]);
        for wanted in &self.admissions {
            self.flags(wanted, &declarations.admissions[rows.clone()], persons, declared_at, named);
        }
        for wanted in &self.symptoms {
            self.flags(wanted, &declarations.symptoms[rows.clone()], persons, declared_at, named);
        }
        let reach = |region| self.moment.strata.reach(region);
        if !self.areas.declared.is_empty() {
            let rules = |region: Option<RegionId>| region.map_or(RuleMask::EMPTY, reach).and(self.areas.declared);
            for (row, region) in hits(&facts.came_from[rows.clone()], |region| !rules(region).is_empty()) {
                named.add(persons[row], rules(region));
            }
        }
        if !self.areas.residence.is_empty() {
            let rules = |region| reach(region).and(self.areas.residence);
            for (row, region) in hits(&facts.residence[rows], |region| !rules(region).is_empty()) {
                named.add(persons[row], rules(region));
            }
        }
    }

    /// Names a rule where flags are wanted and still count.
    fn flags<E: ClosedEnum>(
        &self,
        wanted: &Wanted<E>,
        flags: &[EnumSet<E>],
        persons: &[PersonId],
        given_at: &[Timestamp],
        named: &mut Named<'_>,
    ) {
        for (row, _) in hits(flags, |flags| flags.intersects(wanted.any)) {
            if self.counts(given_at[row], wanted.days) {
                named.add(persons[row], wanted.rule);
            }
        }
    }

    fn checkins(&self, rows: Range<usize>, named: &mut Named<'_>) {
        let checkins = &self.moment.facts.checkins;
        let (persons, reported_at) = (&checkins.person[rows.clone()], &checkins.reported_at[rows.clone()]);
        for wanted in &self.symptoms {
            self.flags(wanted, &checkins.symptoms[rows.clone()], persons, reported_at, named);
            if wanted.any.contains(Symptom::Fever) {
                let fever = self.moment.program.fever_celsius;
                for (row, _) in hits(&checkins.temperature_c[rows.clone()], |celsius| celsius >= fever) {
                    if self.counts(reported_at[row], wanted.days) {
                        named.add(persons[row], wanted.rule);
                    }
                }
            }
        }
    }

    fn stays(&self, rows: Range<usize>, named: &mut Named<'_>) {
        if self.areas.stays.is_empty() {
            return;
        }
        let (facts, stays) = (self.moment.facts, &self.moment.facts.stays);
        let (persons, left_at) = (&stays.person[rows.clone()], &stays.left_at[rows.clone()]);
        let rules = |region| self.moment.strata.reach(region);
        for (row, region) in hits(&facts.stay_region[rows], |region| !rules(region).is_empty()) {
            if self.counts(left_at[row], self.areas.stays_days) {
                named.add(persons[row], rules(region));
            }
        }
    }

    fn tests(&self, rows: Range<usize>, named: &mut Named<'_>) {
        if self.positive_tests.is_empty() {
            return;
        }
        let tests = &self.moment.facts.tests;
        let persons = &tests.person[rows.clone()];
        for (row, _) in hits(&tests.result[rows], |result| result == TestResult::Positive) {
            named.add(persons[row], self.positive_tests);
        }
    }
}

/// The rows of a column whose value is a hit, with it.
fn hits<T: Copy>(column: &[T], is_hit: impl Fn(T) -> bool) -> impl Iterator<Item = (usize, T)> {
    column.iter().copied().enumerate().filter(move |&(_, value)| is_hit(value))
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

    fn add(&mut self, person: PersonId, rules: RuleMask) {
        self.add_at(person.index() - self.first, rules);
    }

    /// As [`Self::add`], for the `place`th of the people.
    fn add_at(&mut self, place: usize, rules: RuleMask) {
        let mask = &mut self.rules[place];
        *mask = mask.or(rules);
    }
}
