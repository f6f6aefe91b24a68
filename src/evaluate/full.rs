//! Everybody's code at one instant, in parallel.
//!
//! The one idea: people are cut into tasks of a fixed size, so the work of a thread does not depend on how many there are; a
//! task keeps a bit for who has a code, a bit for whose code is not the plain one, and only those codes.
//!
//! Cost: what sifting costs; 12 bytes a person for the standing declaration; a visit to the rows of each person who is
//! concerned. Memory: 2 bits a person and 32 bytes a code that is not plain.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::horizon;
use super::moment::Moment;
use super::person;
use super::sift::{Named, Sieve};
use super::strata::Strata;
use crate::facts::Facts;
use crate::limits::{PEOPLE_PER_TASK, WORDS_PER_TASK};
use crate::model::{ClosedEnum as _, Code, Colour, PersonId, RuleMask, Timestamp};
use crate::rules::Program;

/// Everybody's code, by person. A copy costs a pointer a task; whoever changes one copies the codes of that task first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    tasks: Vec<Arc<TaskCodes>>,
}

/// The codes of [`PEOPLE_PER_TASK`] persons; bit `i` of the sets is the `i`th of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TaskCodes {
    /// Who has a code.
    coded: [u64; WORDS_PER_TASK],
    /// Whose code is not [`Code::PLAIN`].
    marked: [u64; WORDS_PER_TASK],
    /// How many are marked before each word.
    before: [u16; WORDS_PER_TASK],
    /// The codes of those marked, in order.
    codes: Vec<Code>,
}

impl Codes {
    /// The code of a person, if they have one.
    #[must_use]
    pub fn of(&self, person: PersonId) -> Option<Code> {
        let (task, place) = (person.index() / PEOPLE_PER_TASK, person.index() % PEOPLE_PER_TASK);
        self.tasks.get(task)?.of(place)
    }

    /// Replaces the code of a person. Gives the one before. Cost: the codes behind it of the same task, if one comes or goes.
    pub(super) fn set(&mut self, person: PersonId, code: Option<Code>) -> Option<Code> {
        let (task, place) = (person.index() / PEOPLE_PER_TASK, person.index() % PEOPLE_PER_TASK);
        if self.tasks.len() <= task {
            self.tasks.resize_with(task + 1, || TaskCodes::new().into());
        }
        Arc::make_mut(&mut self.tasks[task]).set(place, code)
    }

    /// The persons whose codes differ from those in another state, with both.
    pub(super) fn flips(&self, after: &Self) -> Vec<(PersonId, Option<Code>, Option<Code>)> {
        let none = Arc::new(TaskCodes::new());
        let tasks = (0..self.tasks.len().max(after.tasks.len())).into_par_iter();
        let flips = tasks.flat_map_iter(|number| {
            let before = self.tasks.get(number).unwrap_or(&none);
            let after = after.tasks.get(number).unwrap_or(&none);
            let places = 0..if before == after { 0 } else { PEOPLE_PER_TASK };
            let both = move |place| (person_id(number * PEOPLE_PER_TASK + place), before.of(place), after.of(place));
            places.map(both).filter(|(_, before, after)| before != after).collect::<Vec<_>>()
        });
        flips.collect()
    }

    /// All codes, by person.
    pub fn iter(&self) -> impl Iterator<Item = (PersonId, Code)> {
        self.tasks.iter().enumerate().flat_map(|(number, task)| task.iter(number))
    }

    /// How many tasks the persons are cut into: a task has [`PEOPLE_PER_TASK`] of them.
    #[must_use]
    pub const fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// The codes of a task's people. Panics if there is no such task.
    pub fn of_task(&self, task: usize) -> impl Iterator<Item = (PersonId, Code)> {
        self.tasks[task].iter(task)
    }

    /// Those of them that are not [`Code::PLAIN`]. Cost: a bit a person, and a visit to those. Panics if there is no such task.
    pub fn marked_of_task(&self, task: usize) -> impl Iterator<Item = (PersonId, Code)> {
        self.tasks[task].marked(task)
    }

    /// All codes in parallel, a task's people at once.
    #[must_use = "iterators do nothing by themselves"]
    pub fn par_iter(&self) -> impl ParallelIterator<Item = (PersonId, Code)> {
        self.tasks.par_iter().enumerate().flat_map_iter(|(number, task)| task.iter(number))
    }

    /// How many codes there are of each colour; visits none of the plain ones.
    #[must_use]
    pub fn by_colour(&self) -> BTreeMap<Colour, u64> {
        let ones = |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let mut people: BTreeMap<Colour, u64> = Colour::ALL.iter().map(|&colour| (colour, 0)).collect();
        for task in &self.tasks {
            *people.entry(Code::PLAIN.colour).or_default() += ones(&task.coded) - ones(&task.marked);
            for code in &task.codes {
                *people.entry(code.colour).or_default() += 1;
            }
        }
        people
    }
}

impl TaskCodes {
    /// Nobody's.
    const fn new() -> Self {
        let empty = [0; WORDS_PER_TASK];
        Self { coded: empty, marked: empty, before: [0; WORDS_PER_TASK], codes: Vec::new() }
    }

    fn set(&mut self, place: usize, code: Option<Code>) -> Option<Code> {
        let (word, bit) = (place / 64, place % 64);
        let old = self.of(place);
        if old == code {
            return old;
        }
        let at = self.rank(word, bit);
        let marked = code.filter(|&code| code != Code::PLAIN);
        match (self.marked[word] >> bit & 1 == 1, marked) {
            (true, Some(code)) => self.codes[at] = code,
            (false, None) => {}
            (true, None) => {
                self.codes.remove(at);
                self.marked[word] &= !(1 << bit);
                self.before[word + 1..].iter_mut().for_each(|before| *before -= 1);
            }
            (false, Some(code)) => {
                self.codes.insert(at, code);
                self.marked[word] |= 1 << bit;
                self.before[word + 1..].iter_mut().for_each(|before| *before += 1);
            }
        }
        self.coded[word] = self.coded[word] & !(1 << bit) | u64::from(code.is_some()) << bit;
        old
    }

    /// How many are marked before a person.
    const fn rank(&self, word: usize, bit: usize) -> usize {
        self.before[word] as usize + (self.marked[word] & ((1 << bit) - 1)).count_ones() as usize
    }

    /// The codes, of the task with this number.
    fn iter(&self, number: usize) -> impl Iterator<Item = (PersonId, Code)> {
        let first = number * PEOPLE_PER_TASK;
        (0..PEOPLE_PER_TASK).filter_map(move |place| Some((person_id(first + place), self.of(place)?)))
    }

    /// The codes of those marked, of the task with this number.
    fn marked(&self, number: usize) -> impl Iterator<Item = (PersonId, Code)> {
        let first = number * PEOPLE_PER_TASK;
        let words = self.marked.iter().enumerate();
        let places =
            words.flat_map(|(at, &word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit));
        places.zip(&self.codes).map(move |(place, &code)| (person_id(first + place), code))
    }

    fn of(&self, place: usize) -> Option<Code> {
        let (word, bit) = (place / 64, place % 64);
        if self.coded[word] >> bit & 1 == 0 {
            return None;
        }
        if self.marked[word] >> bit & 1 == 0 {
            return Some(Code::PLAIN);
        }
        Some(self.codes[self.rank(word, bit)])
    }
}

fn person_id(index: usize) -> PersonId {
    PersonId(u32::try_from(index).expect("person ids are 32-bit"))
}

/// Computes everybody's code at `at`.
///
/// # Panics
/// If `facts` is of more persons than ids, which its interner rules out.
#[must_use]
pub fn recompute(facts: &Facts, program: &Program, at: Timestamp) -> Codes {
    let strata = Strata::new(facts, program, at);
    evaluate_all(&Moment::new(facts, program, &strata, at))
}

/// Everybody's code at a moment.
pub(super) fn evaluate_all(moment: &Moment<'_>) -> Codes {
    let sieve = Sieve::new(moment);
    let tasks = (0..moment.facts.people.div_ceil(PEOPLE_PER_TASK)).into_par_iter();
    Codes { tasks: tasks.map(|task| evaluate_task(moment, &sieve, task * PEOPLE_PER_TASK).into()).collect() }
}

/// The codes of a task's people, from `first` on.
fn evaluate_task(moment: &Moment<'_>, sieve: &Sieve<'_>, first: usize) -> TaskCodes {
    let people = first..moment.facts.people.min(first + PEOPLE_PER_TASK);
    let mut named = vec![RuleMask::EMPTY; people.len()];
    sieve.sift(people, &mut Named::new(first, &mut named));
    let mut done = TaskCodes::new();
    let words = named.len().div_ceil(64);
    for (word, named) in named.chunks(64).enumerate() {
        done.before[word] = rank_of(done.codes.len());
        done.coded[word] = who_has_declared(moment, first + word * 64);
        for (bit, &rules) in named.iter().enumerate() {
            if rules.is_empty() || done.coded[word] >> bit & 1 == 0 {
                continue;
            }
            let code = code(moment, person_id(first + word * 64 + bit), rules);
            if code != Code::PLAIN {
                done.marked[word] |= 1 << bit;
                done.codes.push(code);
            }
        }
    }
    done.before[words..].fill(rank_of(done.codes.len()));
    done
}

fn rank_of(codes: usize) -> u16 {
    u16::try_from(codes).expect("a task's people are numbered by 16 bits")
}

/// Which of the 64 persons from `first` on have a standing declaration: the first one is always accepted.
fn who_has_declared(moment: &Moment<'_>, first: usize) -> u64 {
    let facts = moment.facts;
    let mut coded = 0;
    for (bit, person) in (first..facts.people.min(first + 64)).enumerate() {
        let rows = facts.declarations_of.range(person);
        let declared = !rows.is_empty() && facts.declarations.declared_at[rows.start] <= moment.at;
        coded |= u64::from(declared) << bit;
    }
    coded
}

/// The code of one person, whatever the strata's sets say of who is concerned by contacts.
pub(super) fn evaluate_one(moment: &Moment<'_>, sieve: &Sieve<'_>, person: PersonId) -> Option<Code> {
    let first = moment.facts.declarations_of.range(person.index()).next()?;
    if moment.facts.declarations.declared_at[first] > moment.at {
        return None;
    }
    let rules = sieve.sift_one(person);
    Some(if rules.is_empty() { Code::PLAIN } else { code(moment, person, rules) })
}

/// The code of a person who has declared, for whom no rule but `rules` can be active.
fn code(moment: &Moment<'_>, person: PersonId, rules: RuleMask) -> Code {
    let state = person::state(moment, person, rules).expect("whoever has declared has a standing declaration");
    let valid_until =
        if state.volatile { horizon::next_change(moment, person, rules, &state) } else { state.changes_at };
    let colour = moment.program.colour(state.reasons);
    Code { colour, reasons: state.reasons, excused: state.excused, valid_until }
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
