//! What is computed once for all persons: the level of each region, and who is exposed.
//!
//! The one idea: cases are few, so whoever is exposed is found from the cases' side, and nobody else is looked at.
//!
//! Invariant: whom the strata do not name as exposed is not exposed at any later instant either, if no further fact arrives.
//!
//! Cost: levels are one walk a numbered region; exposures are a pass over the contacts of cases and over the stays at places where
//! a case has stayed, some 20 bytes each, and a sort of those exposed.

use rayon::prelude::*;

use super::exposure::{self, Exposures};
use super::moment::Moment;
use crate::facts::{Bitmap, Facts, Sparse};
use crate::limits::{PEOPLE_PER_TASK, STAYS_PER_TASK};
use crate::model::facts::TableColumns as _;
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

    /// Replaces the exposures of a person.
    fn set(&mut self, person: PersonId, exposures: Exposures) {
        let row = self.rows.range(person.index()).next();
        match (row, exposures.possible()) {
            (Some(row), true) => self.exposures[row] = exposures,
            (Some(_), false) => self.rows.clear(person.index()),
            (None, true) => {
                self.rows.place_one(person.index(), self.exposures.len());
                self.exposures.push(exposures);
            }
            (None, false) => {}
        }
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
        let mut strata =
            Self { at, levels: Vec::new(), changing: Bitmap::default(), reach: Vec::new(), rules: Vec::new() };
        strata.number_levels(facts, program);
        strata.rules.resize_with(program.rules.len(), Stratum::default);
        for (id, rule) in program.numbered() {
            if let Cause::Contact(contact) = &rule.cause {
                let exposed = find_exposed(&Moment::new(facts, program, &strata, at), contact);
                strata.rules[usize::from(id.0)].exposed = exposed;
            }
        }
        for (id, rule) in program.numbered() {
            if let Cause::SecondContact { through, .. } = rule.cause {
                strata.rules[usize::from(id.0)].met = neighbours_of(facts, &strata.exposed(through).rows.keys());
            }
        }
        strata
    }

    /// Looks the levels of all regions up anew.
    pub(super) fn number_levels(&mut self, facts: &Facts, program: &Program) {
        let at = self.at;
        let numbers = || 0..u32::try_from(facts.regions.len()).expect("regions are numbered by 32 bits");
        let code = |number: u32| facts.regions.code(RegionId::from_index(number));
        self.levels = numbers().into_par_iter().map(|number| facts.regions.level_at(code(number), at)).collect();
        let changes = numbers().filter(|&number| facts.regions.may_change_after(code(number), at));
        self.changing = Bitmap::of(facts.regions.len(), changes.map(|number| number as usize));
        self.reach = numbers().into_par_iter().map(|number| reach_of(facts, program, code(number), at)).collect();
    }

    /// Follows facts to which regions may have been added, or in which other listings count.
    pub(super) fn follow_regions(&mut self, facts: &Facts, program: &Program, relisted: bool) {
        if relisted {
            self.number_levels(facts, program);
            return;
        }
        self.changing.grow(facts.regions.len());
        for number in self.levels.len()..facts.regions.len() {
            let code = facts.regions.code(RegionId::from_index(u32::try_from(number).expect("regions are few")));
            self.levels.push(facts.regions.level_at(code, self.at));
            self.reach.push(reach_of(facts, program, code, self.at));
            if facts.regions.may_change_after(code, self.at) {
                self.changing.insert(number);
            }
        }
    }

    /// Follows facts in which a person's exposures to cases may have changed. Gives whether the person was or is exposed.
    pub(super) fn expose(&mut self, facts: &Facts, program: &Program, person: PersonId) -> bool {
        let mut concerned = false;
        for (id, rule) in program.numbered() {
            if let Cause::Contact(contact) = &rule.cause {
                let found = exposure::first_degree(&Moment::new(facts, program, self, self.at), contact, person);
                let exposed = &mut self.rules[usize::from(id.0)].exposed;
                concerned |= exposed.of(person).is_some() | found.possible();
                exposed.set(person, found);
            }
        }
        concerned
    }

    /// Whether a person is exposed under any rule.
    pub(super) fn exposes(&self, person: PersonId) -> bool {
        self.rules.iter().any(|stratum| stratum.exposed.of(person).is_some())
    }

    /// Follows facts that have come to have more people.
    pub(super) fn grow(&mut self, people: usize) {
        for stratum in &mut self.rules {
            stratum.exposed.rows.grow(people);
        }
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

/// Exposures under a rule, found from the cases' side and summed up by person.
fn find_exposed(moment: &Moment<'_>, rule: &ContactRule) -> Exposed {
    let facts = moment.facts;
    let mut met: Vec<(PersonId, Exposures)> = Vec::new();
    if rule.via_contact {
        let contacts = &facts.case_contacts;
        met.par_extend((0..contacts.len()).into_par_iter().filter_map(|row| {
            let mut found = Exposures::default();
            let (case, person, setting) = (contacts.person_a[row], contacts.person_b[row], contacts.setting[row]);
            exposure::meet_in_contact(moment, rule, case, setting, exposure::time_of(contacts, row), &mut found);
            found.possible().then_some((person, found))
        }));
    }
    if rule.via_place {
        met.par_extend(facts.case_stays_of.keys().into_par_iter().flat_map(|place| {
            let case_stays = &facts.case_stays[facts.case_stays_of.range(place as usize)];
            let stays = &facts.shared_stays[facts.shared_stays_of.range(place as usize)];
            stays.par_iter().with_min_len(STAYS_PER_TASK).filter_map(move |stay| {
                let mut found = Exposures::default();
                exposure::meet_at_place(moment, rule, stay, case_stays, &mut found);
                found.possible().then_some((stay.person, found))
            })
        }));
    }
    met.par_sort_unstable_by_key(|&(person, _)| person);
    let summed = met.chunk_by(|one, other| one.0 == other.0).map(|of_one| {
        let sum = |sum: Exposures, &(_, found): &(PersonId, Exposures)| sum.and(found);
        (of_one[0].0, of_one.iter().fold(Exposures::default(), sum))
    });
    let (persons, exposures): (Vec<PersonId>, Vec<Exposures>) = summed.unzip();
    let rows = Sparse::of_ascending(facts.people, persons.iter().map(|person| person.index()));
    Exposed { rows, exposures }
}

/// The neighbours of some persons. Cost: a visit an end of a contact of theirs, a set a thread.
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
