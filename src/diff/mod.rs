//! What changed: two states of everybody's codes, compared.
//!
//! The one idea: both states are in the order of the persons' bytes, so a diff is one merge, and a range of tokens can be
//! merged without the others; lists of reasons are few and numbered once for both, so two persons' reasons are compared as
//! integers.
//!
//! Invariant: applying every diff in order to the first state gives the last one.
//!
//! Cost: one comparison of tokens a person, nothing else where nothing changed.

mod tally;

pub use tally::{Tally, Transition, colour_name, transitions_json};

use std::cmp::Ordering;
use std::ops::Range;

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use crate::evaluate::Codes;
use crate::facts::Facts;
use crate::limits::MERGE_ROWS;
use crate::model::published::{Entry, ListId, ReasonLists, Rows};
use crate::model::{Code, Colour, PersonId, RuleMask};
use crate::rules::Program;

/// Colour and unexcused reasons of a person; `None` without a code.
pub type State = Option<(Colour, ListId)>;

/// One person's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The person's token.
    pub person: &'a str,
    /// The state before.
    pub before: State,
    /// The state after.
    pub after: State,
}

impl Change<'_> {
    fn reasons(state: State, lists: &ReasonLists) -> &[String] {
        state.map_or(&[], |(_, list)| lists.get(list))
    }

    /// Rule ids that are reasons after and were none before, in the order after.
    pub fn gained<'l>(&self, lists: &'l ReasonLists) -> impl Iterator<Item = &'l String> {
        let before = Self::reasons(self.before, lists);
        Self::reasons(self.after, lists).iter().filter(move |id| !before.contains(id))
    }

    /// Rule ids that were reasons before and are none after, in the order before.
    pub fn lost<'l>(&self, lists: &'l ReasonLists) -> impl Iterator<Item = &'l String> {
        let after = Self::reasons(self.after, lists);
        Self::reasons(self.before, lists).iter().filter(move |id| !after.contains(id))
    }
}

/// Freshly computed codes as a state: a row a person, with a code or not.
pub struct Fresh<'a> {
    facts: &'a Facts,
    codes: &'a Codes,
    numbers: HashMap<RuleMask, ListId>,
}

impl<'a> Fresh<'a> {
    /// The codes, their lists of reasons numbered by `lists`.
    #[must_use]
    pub fn new(facts: &'a Facts, program: &Program, codes: &'a Codes, lists: &mut ReasonLists) -> Self {
        Self { facts, codes, numbers: number_masks(program, codes, lists) }
    }
}

impl Rows for Fresh<'_> {
    fn len(&self) -> usize {
        self.facts.names.persons.sorted().len()
    }

    fn person(&self, row: usize) -> &str {
        self.facts.names.person(PersonId(self.facts.names.persons.sorted()[row]))
    }

    fn walk(&self, rows: Range<usize>) -> impl Iterator<Item = Entry<'_>> {
        let persons = self.facts.names.persons.sorted()[rows].iter().copied().map(PersonId);
        persons.filter_map(|person| {
            let code = self.codes.of(person)?;
            let (person, reasons) = (self.facts.names.person(person), self.numbers[&code.reasons]);
            Some(Entry { person, colour: code.colour, reasons })
        })
    }
}

/// The number of the list of rule ids of each mask of reasons that somebody has.
fn number_masks(program: &Program, codes: &Codes, lists: &mut ReasonLists) -> HashMap<RuleMask, ListId> {
    let insert = |mut masks: HashSet<RuleMask>, (_, code): (PersonId, Code)| {
        masks.insert(code.reasons);
        masks
    };
    let masks = codes.par_iter().fold(HashSet::new, insert).reduce(HashSet::new, |mut all, some| {
        all.extend(some);
        all
    });
    let mut masks: Vec<RuleMask> = masks.into_iter().collect();
    masks.sort_unstable();
    masks.into_iter().map(|mask| (mask, number_mask(program, mask, lists))).collect()
}

/// The number of the list of the ids of these rules.
pub fn number_mask(program: &Program, mask: RuleMask, lists: &mut ReasonLists) -> ListId {
    lists.number(program.names(mask).map(str::to_owned).collect())
}

/// The changes from one state to another, in the order of the persons' bytes.
///
/// A change is where colours differ; with `with_reasons`, also where colours are the same and the sets of reasons differ.
#[must_use]
pub fn changes<'a>(
    before: &'a impl Rows,
    after: &'a impl Rows,
    with_reasons: bool,
    lists: &ReasonLists,
) -> Vec<Change<'a>> {
    let found = cut(before, after).into_par_iter().flat_map_iter(|(old, new)| {
        let mut found = Vec::new();
        merge(before.walk(old), after.walk(new), |change| {
            if is_change(&change, with_reasons, lists) {
                found.push(change);
            }
        });
        found
    });
    found.collect()
}

/// Ranges of both states that hold the same range of tokens, in order, together all of both.
fn cut(before: &impl Rows, after: &impl Rows) -> Vec<(Range<usize>, Range<usize>)> {
    let mut ranges = Vec::new();
    let (mut old, mut new) = (0, 0);
    while old + MERGE_ROWS < before.len() {
        let next = old + MERGE_ROWS;
        let end = place_of(before.person(next), after, new);
        ranges.push((old..next, new..end));
        (old, new) = (next, end);
    }
    // What is left may be much only where the state after has persons that the one before has not.
    while new + 2 * MERGE_ROWS < after.len() {
        let next = new + MERGE_ROWS;
        let end = place_of(after.person(next), before, old);
        ranges.push((old..end, new..next));
        (old, new) = (end, next);
    }
    ranges.push((old..before.len(), new..after.len()));
    ranges
}

/// The first row from `from` on whose person is not before this one.
fn place_of(person: &str, rows: &impl Rows, from: usize) -> usize {
    let (mut lower, mut upper) = (from, rows.len());
    while lower < upper {
        let middle = lower + (upper - lower) / 2;
        if rows.person(middle) < person { lower = middle + 1 } else { upper = middle }
    }
    lower
}

/// Tells each person of either state, in order, with both states.
fn merge<'a>(
    before: impl Iterator<Item = Entry<'a>>,
    after: impl Iterator<Item = Entry<'a>>,
    mut tell: impl FnMut(Change<'a>),
) {
    let (mut old, mut new) = (before.peekable(), after.peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.person.cmp(new.person),
        };
        let left = if order.is_le() { old.next() } else { None };
        let right = if order.is_ge() { new.next() } else { None };
        let Some(person) = left.or(right).map(|entry| entry.person) else { return };
        let state = |entry: Entry<'_>| (entry.colour, entry.reasons);
        tell(Change { person, before: left.map(state), after: right.map(state) });
    }
}

/// Whether colours differ, or with `with_reasons` at least the sets of reasons.
#[must_use]
pub fn is_change(change: &Change<'_>, with_reasons: bool, lists: &ReasonLists) -> bool {
    let colour = |state: State| state.map(|(colour, _)| colour);
    colour(change.before) != colour(change.after) || (with_reasons && reasons_differ(change, lists))
}

fn reasons_differ(change: &Change<'_>, lists: &ReasonLists) -> bool {
    let number = |state: State| state.map(|(_, list)| list);
    number(change.before) != number(change.after)
        && (change.gained(lists).next().is_some() || change.lost(lists).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_has_what_came_went_and_changed() {
        let mut lists = ReasonLists::default();
        let none = lists.number(vec![]);
        let case = lists.number(vec!["case".into()]);
        let both = lists.number(vec!["case".into(), "area".into()]);
        let swapped = lists.number(vec!["area".into(), "case".into()]);
        let entry = |person, colour, reasons| Entry { person, colour, reasons };
        let before = vec![
            entry("a", Colour::Green, none),
            entry("b", Colour::Red, case),
            entry("d", Colour::Red, both),
            entry("e", Colour::Red, both),
        ];
        let after = vec![
            entry("b", Colour::Red, both),
            entry("c", Colour::Green, none),
            entry("d", Colour::Green, none),
            entry("e", Colour::Red, swapped),
        ];
        let said = |with_reasons| {
            changes(&before, &after, with_reasons, &lists)
                .iter()
                .map(|change| {
                    let gained: Vec<_> = change.gained(&lists).cloned().collect();
                    let lost: Vec<_> = change.lost(&lists).cloned().collect();
                    format!("{} +{} -{}", change.person, gained.join(","), lost.join(","))
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(said(false), ["a + -", "c + -", "d + -case,area"]);
        assert_eq!(said(true), ["a + -", "b +area -", "c + -", "d + -case,area"]);
        assert!(changes(&before, &before, true, &lists).is_empty());
    }

    #[test]
    fn a_long_merge_is_that_of_its_ranges() {
        let tokens: Vec<String> = (0..5 * MERGE_ROWS).map(|number| format!("{number:08}")).collect();
        let mut lists = ReasonLists::default();
        let reasons = lists.number(vec![]);
        let state = |colour, keep: &dyn Fn(usize) -> bool| -> Vec<Entry<'_>> {
            let kept = tokens.iter().enumerate().filter(|(number, _)| keep(*number));
            kept.map(|(_, person)| Entry { person, colour, reasons }).collect()
        };
        let all = state(Colour::Green, &|_| true);
        let states = [
            state(Colour::Red, &|_| true),
            state(Colour::Red, &|number| number % 3 > 0),
            state(Colour::Red, &|number| number > 4 * MERGE_ROWS),
            state(Colour::Red, &|number| number < MERGE_ROWS / 2),
            Vec::new(),
        ];
        for some in &states {
            for (before, after) in [(&all, some), (some, &all)] {
                let mut expected = Vec::new();
                merge(before.iter().copied(), after.iter().copied(), |change| expected.push(change));
                assert_eq!(expected.len(), all.len());
                assert!(changes(before, after, false, &lists) == expected);
                let ranges = cut(before, after);
                assert!(ranges.iter().all(|(old, new)| old.len().min(new.len()) <= 2 * MERGE_ROWS), "{ranges:?}");
            }
        }
    }
}
