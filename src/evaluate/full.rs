//! Everybody's code at one instant, in parallel.
//!
//! Cost: one pass over the ranges of each person; people are cut into tasks of a fixed size, so the work of a thread does not
//! depend on how many there are.

use rayon::prelude::*;

use super::horizon;
use super::moment::Moment;
use super::person;
use super::strata::Strata;
use crate::facts::Facts;
use crate::limits::PEOPLE_PER_TASK;
use crate::model::{Code, PersonId, Timestamp};
use crate::rules::Program;

/// Everybody's code, by person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    codes: Vec<Option<Code>>,
}

impl Codes {
    /// The code of a person, if they have one. Panics if the person is of other facts.
    #[must_use]
    pub fn of(&self, person: PersonId) -> Option<Code> {
        self.codes[person.index()]
    }

    /// All codes, by person.
    pub fn iter(&self) -> impl Iterator<Item = (PersonId, Code)> {
        (0u32..).zip(&self.codes).filter_map(|(person, code)| Some((PersonId(person), (*code)?)))
    }
}

/// Computes everybody's code at `at`.
///
/// # Panics
/// If `facts` is of more persons than ids, which its interner rules out.
#[must_use]
pub fn recompute(facts: &Facts, program: &Program, at: Timestamp) -> Codes {
    let strata = Strata::new(facts, program, at);
    let moment = Moment::new(facts, program, &strata, at);
    let mut codes = vec![None; facts.people];
    codes.par_chunks_mut(PEOPLE_PER_TASK).enumerate().for_each(|(task, codes)| {
        let first = task * PEOPLE_PER_TASK;
        for (person, slot) in (first..).zip(codes) {
            let person = PersonId(u32::try_from(person).expect("person ids are 32-bit"));
            *slot = code(&moment, person);
        }
    });
    Codes { codes }
}

fn code(moment: &Moment<'_>, person: PersonId) -> Option<Code> {
    let state = person::state(moment, person)?;
    let valid_until = if state.volatile { horizon::next_change(moment, person, &state) } else { state.changes_at };
    let colour = moment.program.colour(state.reasons);
    Some(Code { colour, reasons: state.reasons, excused: state.excused, valid_until })
}

/// The row of `facts.declarations` that stands for a person at `at`, if one does.
#[must_use]
pub fn standing_declaration(facts: &Facts, program: &Program, person: PersonId, at: Timestamp) -> Option<usize> {
    person::standing_declaration(facts, program, person, at).map(|(row, _)| row)
}

/// Rows of `facts.declarations` that are refused at `at` because they are over the limit of modifications, ascending.
#[must_use]
pub fn refused_declarations(facts: &Facts, program: &Program, at: Timestamp) -> Vec<usize> {
    let accepted_max = (program.max_modifications as usize).saturating_add(1);
    (0..facts.people)
        .into_par_iter()
        .with_min_len(PEOPLE_PER_TASK)
        .flat_map_iter(|person| {
            let made = facts.declarations_of.range(person);
            let over = made.start.saturating_add(accepted_max).min(made.end)..made.end;
            over.take_while(|&row| facts.declarations.declared_at[row] <= at)
        })
        .collect()
}
