//! Codes kept up to date: after a change of facts, or of time, only those are evaluated whose code may differ.
//!
//! The one idea: the strata stay those of the last full pass, and are followed rather than made anew. They hold who is exposed at
//! their instant or may be later, so that at any later one they still name everybody who is; a change of facts replaces what they
//! say of the people whom it names as perhaps exposed. From there it goes as it does for everybody: levels, exposures of the first
//! degree, then of the second, then codes, each time only of those to whom the step before leads.
//!
//! Time is one more way to be touched: a code says until when it holds, and whoever has none says when the first declaration
//! counts.
//!
//! Invariant: codes are those that [`super::recompute`] gives for the same facts, program and instant, to the last bit.
//!
//! Cost: an evaluation a person touched; above [`PEOPLE_PER_TOUCHED_MIN`] a full pass, and strata of that instant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::full::{self, Codes};
use super::moment::Moment;
use super::sift::Sieve;
use super::strata::Strata;
use crate::facts::{Bitmap, Dirt, Facts, LiveFacts};
use crate::limits::{PEOPLE_PER_TOUCHED_MIN, TOUCHED_PER_TASK};
use crate::model::{Code, PersonId, Region, RegionId, Timestamp};
use crate::rules::Program;

/// A person whose code differs from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Who.
    pub person: PersonId,
    /// The code before, if there was one.
    pub before: Option<Code>,
    /// The code now, if there is one.
    pub after: Option<Code>,
}

/// Everybody's code at the present instant, and what it takes to follow facts and time.
pub struct Current {
    at: Timestamp,
    codes: Codes,
    strata: Strata,
    /// When to look at whom; entries of codes that have been replaced are still there.
    timers: BinaryHeap<Reverse<(Timestamp, PersonId)>>,
    /// How many people have been evaluated so far, each time they were.
    evaluated: u64,
}

impl Current {
    /// Everybody's code at an instant.
    #[must_use]
    pub fn new(live: &mut LiveFacts, program: &Program, at: Timestamp) -> Self {
        live.settle();
        live.index_meetings();
        let facts = live.facts();
        let strata = Strata::new(facts, program, at);
        let codes = full::evaluate_all(&Moment::new(facts, program, &strata, at));
        let timers = timers_of(facts, &codes, at);
        Self { at, codes, strata, timers, evaluated: facts.people as u64 }
    }

    /// How many people have been evaluated so far; somebody who was so twice counts twice.
    #[must_use]
    pub const fn evaluated(&self) -> u64 {
        self.evaluated
    }

    /// The instant that the codes are of.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Everybody's code.
    #[must_use]
    pub const fn codes(&self) -> &Codes {
        &self.codes
    }

    /// Follows the changes made since the last time, and time itself. Gives whose codes differ, by person.
    ///
    /// # Panics
    /// If `at` is before the instant of the codes: time goes one way.
    pub fn follow(&mut self, live: &mut LiveFacts, program: &Program, at: Timestamp) -> Vec<Flip> {
        assert!(at >= self.at, "time goes one way");
        let dirt = live.settle();
        self.at = at;
        let touched = self.touch(live, program, dirt);
        if is_wave(touched.len(), live.facts().people) {
            return self.follow_all(live, program, at);
        }
        self.evaluate(live.facts(), program, &touched)
    }

    /// Evaluates everybody, under a program that may be another one than before. Gives whose codes differ, by person.
    ///
    /// # Panics
    /// If `at` is before the instant of the codes: time goes one way.
    pub fn follow_all(&mut self, live: &mut LiveFacts, program: &Program, at: Timestamp) -> Vec<Flip> {
        assert!(at >= self.at, "time goes one way");
        let before = std::mem::replace(self, Self::new(live, program, at));
        self.evaluated += before.evaluated;
        let flips = before.codes.flips(&self.codes).into_iter();
        flips.map(|(person, before, after)| Flip { person, before, after }).collect()
    }

    /// When time alone may change a code, if ever; sometimes a little too early.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Brings the strata up to date. Gives whose codes may differ, ascending; or so many of them that everybody is to be
    /// evaluated.
    fn touch(&mut self, live: &LiveFacts, program: &Program, dirt: Dirt) -> Vec<PersonId> {
        let (facts, strata) = (live.facts(), &mut self.strata);
        strata.grow(facts.people);
        let Dirt { persons: mut touched, exposed, isolated, linked, regions } = dirt;
        strata.follow_regions(facts, program, !regions.is_empty());
        let passes_on = program.looks_through_others();
        let pass_on = |touched: &mut Vec<PersonId>, person: PersonId| {
            if passes_on {
                touched.extend_from_slice(&facts.neighbours[facts.contacts_of.range(person.index())]);
            }
        };
        // An exposure that ends with this step was passed on until now, and one that begins is from now on.
        pass_on_along(strata, &linked, passes_on, &mut touched);
        for person in ascending(exposed) {
            touched.push(person);
            if strata.expose(facts, program, person) {
                pass_on(&mut touched, person);
            }
        }
        pass_on_along(strata, &linked, passes_on, &mut touched);
        for &person in isolated.iter().filter(|&&person| strata.exposes(person)) {
            pass_on(&mut touched, person);
        }
        if !regions.is_empty() {
            let mut people = live.people_of_regions(&regions_within(facts, &regions));
            if is_wave(people.len(), facts.people) {
                return people;
            }
            touched.append(&mut people);
        }
        self.ring(&mut touched);
        ascending(touched)
    }

    /// Those whose time has come.
    fn ring(&mut self, touched: &mut Vec<PersonId>) {
        while let Some(&Reverse((due, person))) = self.timers.peek().filter(|Reverse((due, _))| *due <= self.at) {
            self.timers.pop();
            // A code that has been replaced since holds for longer, or has been looked at already.
            if self.codes.of(person).is_none_or(|code| code.valid_until <= due) {
                touched.push(person);
            }
        }
    }

    fn evaluate(&mut self, facts: &Facts, program: &Program, touched: &[PersonId]) -> Vec<Flip> {
        let moment = Moment::new(facts, program, &self.strata, self.at);
        let sieve = Sieve::new(&moment);
        let evaluate = |&person: &PersonId| full::evaluate_one(&moment, &sieve, person);
        let codes: Vec<Option<Code>> = if touched.len() > TOUCHED_PER_TASK {
            touched.par_iter().with_min_len(TOUCHED_PER_TASK).map(evaluate).collect()
        } else {
            touched.iter().map(evaluate).collect()
        };
        self.evaluated += touched.len() as u64;
        let mut flips = Vec::new();
        for (&person, after) in touched.iter().zip(codes) {
            let before = self.codes.set(person, after);
            self.timers.extend(timer_of(facts, person, after, self.at).map(Reverse));
            if before != after {
                flips.push(Flip { person, before, after });
            }
        }
        flips
    }
}

/// Those with whom somebody exposed is linked.
fn pass_on_along(strata: &Strata, linked: &[(PersonId, PersonId)], passes_on: bool, touched: &mut Vec<PersonId>) {
    for &(one, other) in linked.iter().filter(|_| passes_on) {
        touched.extend(strata.exposes(one).then_some(other));
        touched.extend(strata.exposes(other).then_some(one));
    }
}

/// Whether so many are touched that a pass over everybody is cheaper.
const fn is_wave(touched: usize, people: usize) -> bool {
    touched > TOUCHED_PER_TASK && touched.saturating_mul(PEOPLE_PER_TOUCHED_MIN) > people
}

fn ascending(mut persons: Vec<PersonId>) -> Vec<PersonId> {
    persons.sort_unstable();
    persons.dedup();
    persons
}

/// The numbered regions that are one of these or within one.
fn regions_within(facts: &Facts, regions: &[Region]) -> Bitmap {
    let is_within = |number: &usize| {
        let id = RegionId::from_index(u32::try_from(*number).expect("regions are few"));
        let above = std::iter::successors(Some(facts.regions.code(id)), |region| region.parent());
        above.into_iter().any(|region| regions.contains(&region))
    };
    Bitmap::of(facts.regions.len(), (0..facts.regions.len()).filter(is_within))
}

/// When to look at a person again, if ever.
fn timer_of(facts: &Facts, person: PersonId, code: Option<Code>, at: Timestamp) -> Option<(Timestamp, PersonId)> {
    let due = match code {
        Some(code) => code.valid_until.finite(),
        None => facts.declarations_of.range(person.index()).next().map(|row| facts.declarations.declared_at[row]),
    };
    due.filter(|&due| due > at).map(|due| (due, person))
}

fn timers_of(facts: &Facts, codes: &Codes, at: Timestamp) -> BinaryHeap<Reverse<(Timestamp, PersonId)>> {
    let people = (0..u32::try_from(facts.people).expect("person ids are 32-bit")).into_par_iter().map(PersonId);
    let timers: Vec<_> =
        people.filter_map(|person| timer_of(facts, person, codes.of(person), at).map(Reverse)).collect();
    BinaryHeap::from(timers)
}
