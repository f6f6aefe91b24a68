//! What if: the codes under rules or listings that nobody has signed yet, against those in force.
//!
//! The one idea: candidates share the facts. A candidate's listings are put in the place of the data's own, everybody is
//! recomputed, and as persons are numbered alike on both sides, comparing is a walk over two columns without a token.
//!
//! Invariant: what is said of a candidate is what a full run over the edited tables, and a diff, would say.
//!
//! Cost: a recompute and a pass over the codes a candidate; changes are counted by pair of states and district, so nothing is
//! kept of a person who changes.

mod listings;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

pub use listings::{Edit, NotListed};

use crate::diff::{Change, State, Tally, Transition, number_mask, transitions_json};
use crate::evaluate::{self, Codes};
use crate::facts::Facts;
use crate::gazetteer;
use crate::limits::PEOPLE_PER_TASK;
use crate::model::facts::RiskAreas;
use crate::model::published::{ListId, ReasonLists};
use crate::model::{Code, Colour, PersonId, Region, RuleMask, Timestamp};
use crate::rules::Program;

/// Rules and listings that might be put in force.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The rules.
    pub program: &'a Program,
    /// The listings, all of them.
    pub listings: &'a RiskAreas,
}

/// The facts and the codes in force.
pub struct Whatif<'a> {
    facts: Facts,
    program: &'a Program,
    as_of: Timestamp,
    codes: Codes,
    reasons: bool,
}

/// What a candidate would change.
#[derive(Debug)]
pub struct Outcome {
    /// Everybody's code under the candidate.
    pub codes: Codes,
    /// The changes, counted.
    pub tally: Tally,
    /// Those of the people of each county (or city, province), by transition.
    pub by_district: BTreeMap<Region, BTreeMap<Transition, u64>>,
}

/// Changes by district in JSON: its code, with its name, how many, and of which transitions.
#[must_use]
pub fn districts_json(by_district: &BTreeMap<Region, BTreeMap<Transition, u64>>) -> Value {
    let field = |(district, transitions): (&Region, &BTreeMap<Transition, u64>)| {
        let changes: u64 = transitions.values().sum();
        let name = gazetteer::name_zh(*district);
        let told = json!({"name": name, "changes": changes, "transitions": transitions_json(transitions)});
        (district.code().to_string(), told)
    };
    by_district.iter().map(field).collect::<Map<_, _>>().into()
}

/// A person's colour and reasons in one of the two states.
type Side = Option<(Colour, RuleMask)>;

fn side(code: Option<Code>) -> Side {
    code.map(|code| (code.colour, code.reasons))
}

impl<'a> Whatif<'a> {
    /// Computes the codes in force. With `reasons`, a change of reasons alone is a change.
    #[must_use]
    pub fn new(facts: Facts, program: &'a Program, as_of: Timestamp, reasons: bool) -> Self {
        let codes = evaluate::recompute(&facts, program, as_of);
        Self::of_codes(facts, program, as_of, codes, reasons)
    }

    /// The same, of codes that have been computed already.
    #[must_use]
    pub const fn of_codes(facts: Facts, program: &'a Program, as_of: Timestamp, codes: Codes, reasons: bool) -> Self {
        Self { facts, program, as_of, codes, reasons }
    }

    /// T.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// The codes in force.
    #[must_use]
    pub const fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The facts, under the listings of the last candidate.
    #[must_use]
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// What a candidate would change.
    #[must_use]
    pub fn outcome(self, candidate: &Candidate<'_>) -> (Self, Outcome) {
        let whatif = Self { facts: self.facts.listing(candidate.listings.clone()), ..self };
        let codes = evaluate::recompute(&whatif.facts, candidate.program, whatif.as_of);
        let counts = whatif.count(candidate.program, &codes);
        let mut lists = ReasonLists::default();
        let mut outcome = Outcome { codes, tally: Tally::default(), by_district: BTreeMap::new() };
        for ((before, after, district), count) in counts {
            let colour = |side: Side| side.map(|(colour, _)| colour);
            let [old, new] = [(before, whatif.program), (after, candidate.program)]
                .map(|(side, program)| state(side, |mask| number_mask(program, mask, &mut lists)));
            outcome.tally.add(old, new, count, &lists);
            if let Some(district) = district {
                let transitions = outcome.by_district.entry(district).or_default();
                *transitions.entry((colour(before), colour(after))).or_default() += count;
            }
        }
        (whatif, outcome)
    }

    /// The changes themselves, in the order of the persons' bytes; their lists of reasons go to `lists`.
    #[must_use]
    pub fn changes(&self, candidate: &Candidate<'_>, outcome: &Outcome, lists: &mut ReasonLists) -> Vec<Change<'_>> {
        let bits = Bits::new(self.program, candidate.program);
        let sorted = self.facts.names.persons.sorted().par_chunks(PEOPLE_PER_TASK);
        let changed = sorted.flat_map_iter(|persons| {
            let sides = |&person: &u32| {
                let person = PersonId(person);
                (person, side(self.codes.of(person)), side(outcome.codes.of(person)))
            };
            persons.iter().map(sides).filter(|&(_, before, after)| self.differ(&bits, before, after))
        });
        let changed: Vec<(PersonId, Side, Side)> = changed.collect();
        let mut numbers: [HashMap<RuleMask, ListId>; 2] = [HashMap::new(), HashMap::new()];
        let mut state_of = |at: usize, program: &Program, side: Side| {
            state(side, |mask| *numbers[at].entry(mask).or_insert_with(|| number_mask(program, mask, lists)))
        };
        let change = |(person, before, after)| Change {
            person: self.facts.names.person(person),
            before: state_of(0, self.program, before),
            after: state_of(1, candidate.program, after),
        };
        changed.into_iter().map(change).collect()
    }

    fn differ(&self, bits: &Bits, before: Side, after: Side) -> bool {
        match (before, after) {
            (None, None) => false,
            (Some((old, reasons)), Some((new, reasons_after))) if old == new => {
                self.reasons && u128::from(reasons.0) != bits.of(reasons_after)
            }
            _ => true,
        }
    }

    /// Changes by states and district of residence.
    fn count(&self, candidate: &Program, codes: &Codes) -> HashMap<(Side, Side, Option<Region>), u64> {
        let bits = Bits::new(self.program, candidate);
        let people = u32::try_from(self.facts.people).expect("person ids are 32-bit");
        let persons = (0..people).into_par_iter().with_min_len(PEOPLE_PER_TASK).map(PersonId);
        let counted = persons.fold(HashMap::new, |mut counts, person| {
            let (before, after) = (side(self.codes.of(person)), side(codes.of(person)));
            if self.differ(&bits, before, after) {
                *counts.entry((before, after, self.district(candidate, person))).or_default() += 1;
            }
            counts
        });
        counted.reduce(HashMap::new, |mut all, counts| {
            for (states, count) in counts {
                *all.entry(states).or_default() += count;
            }
            all
        })
    }

    /// Where a person lives, by the declaration that stands, or would.
    #[must_use]
    pub fn district(&self, candidate: &Program, person: PersonId) -> Option<Region> {
        let standing = |program| evaluate::standing_declaration(&self.facts, program, person, self.as_of);
        let row = standing(self.program).or_else(|| standing(candidate))?;
        Some(self.facts.declarations.residence[row].district())
    }
}

fn state(side: Side, number: impl FnOnce(RuleMask) -> ListId) -> State {
    side.map(|(colour, reasons)| (colour, number(reasons)))
}

/// Rules of two sets as bits of one mask: those before as they are, those after where their id is, or above all before.
struct Bits {
    after: Vec<u128>,
}

impl Bits {
    fn new(before: &Program, after: &Program) -> Self {
        let place = |id: &str| before.rules.iter().position(|rule| rule.id == id);
        let bit = |(number, id): (usize, &str)| 1 << place(id).unwrap_or(64 + number);
        Self { after: after.rules.iter().map(|rule| rule.id.as_str()).enumerate().map(bit).collect() }
    }

    fn of(&self, mask: RuleMask) -> u128 {
        mask.iter().fold(0, |bits, rule| bits | self.after[usize::from(rule.0)])
    }
}
