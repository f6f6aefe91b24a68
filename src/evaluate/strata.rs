//! What is computed once for all persons: the level of each region, who has met a case, who is exposed.
//!
//! The one idea: cases are few, so whoever may be exposed is found from the cases' side, as one bit a person; exposures that a
//! second degree builds on are computed for those alone.
//!
//! Invariant: whom the strata do not name as having met a case, or as exposed, is not exposed at any later instant either, if no
//! further fact arrives.
//!
//! Cost: levels are one walk a numbered region; who met a case by contact is one visit a neighbour of a case, by place 4 bytes a
//! stay; exposures one evaluation a person who met one, only if a rule of the second degree asks for them.

use rayon::prelude::*;

use super::exposure::{self, Exposures};
use super::moment::Moment;
use crate::facts::{Bitmap, Facts, Sparse, insert_bit};
use crate::limits::{PEOPLE_PER_TASK, WORDS_PER_TASK};
use crate::model::{Level, PersonId, RegionId, RuleId, Timestamp};
use crate::rules::{Cause, ContactRule, Program};

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

    /// Persons with exposures, ascending.
    pub(super) fn persons(&self) -> &[u32] {
        self.rows.keys()
    }
}

/// What the strata hold of one rule; empty where the rule's cause has no use for it.
#[derive(Default)]
struct Stratum {
    /// Who may ever be exposed under this rule.
    met: Bitmap,
    exposed: Exposed,
}

/// The strata at one instant.
pub(super) struct Strata {
    pub(super) at: Timestamp,
    pub(super) levels: Vec<Option<Level>>,
    changing: Bitmap,
    rules: Vec<Stratum>,
}

impl Strata {
    pub(super) fn new(facts: &Facts, program: &Program, at: Timestamp) -> Self {
        let numbers = || 0..u32::try_from(facts.regions.len()).expect("regions are numbered by 32 bits");
        let code = |number: u32| facts.regions.code(RegionId::from_index(number));
        let levels = numbers().into_par_iter().map(|number| facts.regions.level_at(code(number), at)).collect();
        let changes = numbers().filter(|&number| facts.regions.may_change_after(code(number), at));
        let changing = Bitmap::of(facts.regions.len(), changes.map(|number| number as usize));
        let mut strata = Self { at, levels, changing, rules: Vec::new() };
        strata.rules.resize_with(program.rules.len(), Stratum::default);
        for (rule, stratum) in program.numbered() {
            if let Cause::Contact(contact) = &stratum.cause {
                let met = who_met_cases(facts, contact);
                let exposed = is_through(program, rule)
                    .then(|| find_exposed(&Moment::new(facts, program, &strata, at), contact, &met));
                strata.rules[usize::from(rule.0)] = Stratum { met, exposed: exposed.unwrap_or_default() };
            }
        }
        for (rule, stratum) in program.numbered() {
            if let Cause::SecondContact { through, .. } = stratum.cause {
                strata.rules[usize::from(rule.0)].met = neighbours_of(facts, strata.exposed(through).persons());
            }
        }
        strata
    }

    /// Whether the level of a region may differ later.
    pub(super) fn level_may_change(&self, region: RegionId) -> bool {
        self.changing.contains(region.index())
    }

    /// Who may ever be exposed under a rule about contacts of either degree.
    pub(super) fn met(&self, rule: RuleId) -> &Bitmap {
        &self.rules[usize::from(rule.0)].met
    }

    /// Who is exposed under a rule that some rule of the second degree goes through.
    pub(super) fn exposed(&self, rule: RuleId) -> &Exposed {
        &self.rules[usize::from(rule.0)].exposed
    }
}

fn is_through(program: &Program, rule: RuleId) -> bool {
    program.rules.iter().any(|other| matches!(&other.cause, Cause::SecondContact { through, .. } if *through == rule))
}

/// Who has ever met a case in one of the rule's ways, whenever and for however long.
fn who_met_cases(facts: &Facts, rule: &ContactRule) -> Bitmap {
    let mut met =
        if rule.via_contact { neighbours_of(facts, facts.cases_of.keys()) } else { Bitmap::new(facts.people) };
    if rule.via_place && !facts.case_stays.is_empty() {
        met.words_mut().par_chunks_mut(WORDS_PER_TASK).enumerate().for_each(|(task, words)| {
            let first = task * PEOPLE_PER_TASK;
            let rows = facts.stays_of.span(first..facts.people.min(first + PEOPLE_PER_TASK));
            for (row, place) in rows.clone().zip(&facts.stays.place[rows]) {
                if place.is_some_and(|place| facts.case_stays_of.contains(place.index())) {
                    insert_bit(words, facts.stays.person[row].index() - first);
                }
            }
        });
    }
    met
}

/// The neighbours of some persons. Cost: one bit set a contact of theirs, in a set a thread.
fn neighbours_of(facts: &Facts, persons: &[u32]) -> Bitmap {
    let empty = || Bitmap::new(facts.people);
    let insert = |mut set: Bitmap, &person: &u32| {
        for neighbour in &facts.neighbours[facts.contacts_of.range(person as usize)] {
            set.insert(neighbour.index());
        }
        set
    };
    let unite = |mut one: Bitmap, other: Bitmap| {
        one.unite(&other);
        one
    };
    persons.par_iter().with_min_len(PEOPLE_PER_TASK).fold(empty, insert).reduce(empty, unite)
}

fn find_exposed(moment: &Moment<'_>, rule: &ContactRule, met: &Bitmap) -> Exposed {
    let tasks = met.words().len().div_ceil(WORDS_PER_TASK);
    let words_of = |task: usize| task * WORDS_PER_TASK..met.words().len().min((task + 1) * WORDS_PER_TASK);
    let found: Vec<(usize, Exposures)> = (0..tasks)
        .into_par_iter()
        .flat_map_iter(|task| met.ids_in(words_of(task)))
        .filter_map(|id| {
            let person = PersonId(u32::try_from(id).expect("person ids are 32-bit"));
            let exposures = exposure::first_degree(moment, rule, person);
            exposures.possible().then_some((id, exposures))
        })
        .collect();
    let rows = Sparse::of_ascending(moment.facts.people, found.iter().map(|&(id, _)| id));
    Exposed { rows, exposures: found.into_iter().map(|(_, exposures)| exposures).collect() }
}
