//! What is computed once for all persons: the level of each region, and who is exposed.
//!
//! The one idea: cases are few, so whoever is exposed is found from the cases' side, as one bit a person; exposures are summed up
//! for those alone.
//!
//! Invariant: whom the strata do not name as exposed is not exposed at any later instant either, if no further fact arrives.
//!
//! Cost: levels are one walk a numbered region; who met a case by contact is one visit a contact of a case, by place 4 bytes a
//! stay and a visit a stay where a case has been; then one evaluation a person who is exposed.

use rayon::prelude::*;

use super::exposure::{self, Exposures};
use super::moment::Moment;
use crate::facts::{Bitmap, Facts, Sparse, insert_bit};
use crate::limits::{PEOPLE_PER_TASK, WORDS_PER_TASK};
use crate::model::{Level, PersonId, Region, RegionId, RuleId, RuleMask, Timestamp};
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
}

/// What the strata hold of one rule; empty where the rule's cause has no use for it.
#[derive(Default)]
struct Stratum {
    /// Of a rule of the first degree: who is exposed.
    exposed: Exposed,
    /// Of a rule of the second degree: who has met one of those exposed in the first.
    met: Bitmap,
}

/// The strata at one instant.
pub(super) struct Strata {
    pub(super) at: Timestamp,
    pub(super) levels: Vec<Option<Level>>,
    changing: Bitmap,
    /// By region: the rules on areas that count a level that it is at, or may be at later.
    reach: Vec<RuleMask>,
    rules: Vec<Stratum>,
}

impl Strata {
    pub(super) fn new(facts: &Facts, program: &Program, at: Timestamp) -> Self {
        let numbers = || 0..u32::try_from(facts.regions.len()).expect("regions are numbered by 32 bits");
        let code = |number: u32| facts.regions.code(RegionId::from_index(number));
        let levels = numbers().into_par_iter().map(|number| facts.regions.level_at(code(number), at)).collect();
        let changes = numbers().filter(|&number| facts.regions.may_change_after(code(number), at));
        let changing = Bitmap::of(facts.regions.len(), changes.map(|number| number as usize));
        let reach = numbers().into_par_iter().map(|number| reach_of(facts, program, code(number), at)).collect();
        let mut strata = Self { at, levels, changing, reach, rules: Vec::new() };
        strata.rules.resize_with(program.rules.len(), Stratum::default);
        for (id, rule) in program.numbered() {
            if let Cause::Contact(contact) = &rule.cause {
                let exposed = find_exposed(&Moment::new(facts, program, &strata, at), contact);
                strata.rules[usize::from(id.0)].exposed = exposed;
            }
        }
        for (id, rule) in program.numbered() {
            if let Cause::SecondContact { through, .. } = rule.cause {
                strata.rules[usize::from(id.0)].met = neighbours_of(facts, strata.exposed(through).rows.keys());
            }
        }
        strata
    }

    /// Whether the level of a region may differ later.
    pub(super) fn level_may_change(&self, region: RegionId) -> bool {
        self.changing.contains(region.index())
    }

    /// The rules on areas that count a level that a region is at, or may be at later.
    pub(super) fn reach(&self, region: RegionId) -> RuleMask {
        self.reach[region.index()]
    }

    /// Who may ever be exposed under a rule about contacts of either degree.
    pub(super) fn met(&self, rule: RuleId) -> &Bitmap {
        let stratum = &self.rules[usize::from(rule.0)];
        if stratum.met.words().is_empty() { stratum.exposed.rows.present() } else { &stratum.met }
    }

    /// Who is exposed under a rule of the first degree.
    pub(super) fn exposed(&self, rule: RuleId) -> &Exposed {
        &self.rules[usize::from(rule.0)].exposed
    }
}

fn reach_of(facts: &Facts, program: &Program, region: Region, at: Timestamp) -> RuleMask {
    let mut rules = RuleMask::EMPTY;
    for (id, rule) in program.numbered() {
        if matches!(rule.cause, Cause::Area { levels, .. } if facts.regions.may_reach(region, levels, at)) {
            rules.insert(id);
        }
    }
    rules
}

/// Exposures under a rule: who has any is found from the cases' side, then all of theirs are summed up.
fn find_exposed(moment: &Moment<'_>, rule: &ContactRule) -> Exposed {
    let met = who_met_cases(moment, rule);
    let words = met.words().len();
    let words_of = |task: usize| task * WORDS_PER_TASK..words.min((task + 1) * WORDS_PER_TASK);
    let found: Vec<(usize, Exposures)> = (0..words.div_ceil(WORDS_PER_TASK))
        .into_par_iter()
        .flat_map_iter(|task| met.ids_in(words_of(task)))
        .map(|id| {
            let person = PersonId(u32::try_from(id).expect("person ids are 32-bit"));
            (id, exposure::first_degree(moment, rule, person))
        })
        .collect();
    let rows = Sparse::of_ascending(moment.facts.people, found.iter().map(|&(id, _)| id));
    Exposed { rows, exposures: found.into_iter().map(|(_, exposures)| exposures).collect() }
}

/// Who has an exposure that counts or may count later.
fn who_met_cases(moment: &Moment<'_>, rule: &ContactRule) -> Bitmap {
    let facts = moment.facts;
    let mut met = if rule.via_contact {
        neighbours_where(facts, facts.cases_of.keys(), |case, end| {
            let mut found = Exposures::default();
            exposure::meet_in_contact(moment, rule, case, facts.contact_rows[end], &mut found);
            found.possible()
        })
    } else {
        Bitmap::new(facts.people)
    };
    if rule.via_place && !facts.case_stays.is_empty() {
        met.words_mut().par_chunks_mut(WORDS_PER_TASK).enumerate().for_each(|(task, words)| {
            let first = task * PEOPLE_PER_TASK;
            let rows = facts.stays_of.span(first..facts.people.min(first + PEOPLE_PER_TASK));
            for (row, place) in rows.clone().zip(&facts.stays.place[rows]) {
                let Some(place) = place.filter(|place| facts.case_stays_of.contains(place.index())) else { continue };
                let mut found = Exposures::default();
                exposure::meet_at_place(moment, rule, row, place, &mut found);
                if found.possible() {
                    insert_bit(words, facts.stays.person[row].index() - first);
                }
            }
        });
    }
    met
}

/// The neighbours of some persons.
fn neighbours_of(facts: &Facts, persons: &[u32]) -> Bitmap {
    neighbours_where(facts, persons, |_, _| true)
}

/// The neighbours of some persons at those ends of contacts that are `wanted`. Cost: a visit an end, a set a thread.
fn neighbours_where(facts: &Facts, persons: &[u32], wanted: impl Fn(PersonId, usize) -> bool + Sync) -> Bitmap {
    let empty = || Bitmap::new(facts.people);
    let insert = |mut set: Bitmap, &person: &u32| {
        for end in facts.contacts_of.range(person as usize) {
            if wanted(PersonId(person), end) {
                set.insert(facts.neighbours[end].index());
            }
        }
        set
    };
    let unite = |mut one: Bitmap, other: Bitmap| {
        one.unite(&other);
        one
    };
    persons.par_iter().with_min_len(PEOPLE_PER_TASK).fold(empty, insert).reduce(empty, unite)
}
