//! What is computed once for all persons: the level of each region, and for rules of the second degree who is exposed.
//!
//! Invariant: whom the strata do not name as exposed is not exposed at any later instant either, if no further fact arrives.
//!
//! Cost: levels are one walk a numbered region; exposures one pass over the neighbours, only if a rule of the second degree
//! asks for them.

use rayon::prelude::*;

use super::exposure::{self, Exposures};
use super::moment::Moment;
use crate::facts::{Bitmap, Facts, RegionId, Sparse};
use crate::limits::PEOPLE_PER_TASK;
use crate::model::{Level, PersonId, RuleId, Timestamp};
use crate::rules::{Cause, Program};

/// Who is exposed under one first-degree rule.
#[derive(Default)]
pub(super) struct Exposed {
    rows: Sparse,
    exposures: Vec<Exposures>,
}

impl Exposed {
    /// The exposures of a person at the strata's instant; `None` if there is none now and can be none later.
    pub(super) fn of(&self, person: PersonId) -> Option<&Exposures> {
        self.rows.range(person.index()).next().map(|row| &self.exposures[row])
    }
}

/// The strata at one instant.
pub(super) struct Strata {
    pub(super) at: Timestamp,
    pub(super) levels: Vec<Option<Level>>,
    changing: Bitmap,
    exposed: Vec<Option<Exposed>>,
}

impl Strata {
    pub(super) fn new(facts: &Facts, program: &Program, at: Timestamp) -> Self {
        let numbers = 0..u32::try_from(facts.regions.len()).expect("there are fewer than 2^32 regions");
        let code = |number: u32| facts.regions.code(RegionId(number));
        let levels = numbers.clone().into_par_iter().map(|number| facts.regions.level_at(code(number), at)).collect();
        let changes = numbers.filter(|&number| facts.regions.may_change_after(code(number), at));
        let changing = Bitmap::of(facts.regions.len(), changes.map(|number| number as usize));
        let mut strata = Self { at, levels, changing, exposed: Vec::new() };
        let exposed = program.numbered().map(|(rule, _)| {
            is_through(program, rule).then(|| find_exposed(&Moment::new(facts, program, &strata, at), rule))
        });
        strata.exposed = exposed.collect();
        strata
    }

    /// Whether the level of a region may differ later.
    pub(super) fn level_may_change(&self, region: RegionId) -> bool {
        self.changing.contains(region.0 as usize)
    }

    /// Who is exposed under a rule that some rule of the second degree goes through.
    pub(super) fn exposed(&self, rule: RuleId) -> &Exposed {
        self.exposed[usize::from(rule.0)].as_ref().expect("exposures are computed for every rule gone through")
    }
}

fn is_through(program: &Program, rule: RuleId) -> bool {
    program.rules.iter().any(|other| matches!(&other.cause, Cause::SecondContact { through, .. } if *through == rule))
}

fn find_exposed(moment: &Moment<'_>, rule: RuleId) -> Exposed {
    let Cause::Contact(contact) = &moment.program.rule(rule).cause else {
        unreachable!("a checked program goes through first-degree contact rules only")
    };
    let people = u32::try_from(moment.facts.people).expect("person ids are 32-bit");
    let found: Vec<(PersonId, Exposures)> = (0..people)
        .into_par_iter()
        .with_min_len(PEOPLE_PER_TASK)
        .map(|person| (PersonId(person), exposure::first_degree(moment, contact, PersonId(person))))
        .filter(|(_, exposures)| exposures.possible())
        .collect();
    let rows = Sparse::of_ascending(moment.facts.people, found.iter().map(|(person, _)| person.index()));
    Exposed { rows, exposures: found.into_iter().map(|(_, exposures)| exposures).collect() }
}
