//! What changed: two states of everybody's codes, compared.
//!
//! The one idea: both states are in the order of the persons' bytes, so a diff is one merge; lists of reasons are few and
//! numbered once for both, so two persons' reasons are compared as integers.
//!
//! Invariant: applying every diff in order to the first state gives the last one.
//!
//! Cost: one comparison of tokens a person, nothing else where nothing changed.

use std::cmp::Ordering;

use hashbrown::HashMap;

use crate::evaluate::Codes;
use crate::facts::Facts;
use crate::model::published::{Entry, ListId, ReasonLists};
use crate::model::{Colour, PersonId, RuleMask};
use crate::rules::Program;

/// One person's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The person's token.
    pub person: &'a str,
    /// Colour and reasons before; `None` without a code.
    pub before: Option<(Colour, ListId)>,
    /// Colour and reasons after; `None` without a code.
    pub after: Option<(Colour, ListId)>,
}

impl Change<'_> {
    fn reasons(state: Option<(Colour, ListId)>, lists: &ReasonLists) -> &[String] {
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

/// The entries of freshly computed codes, in the order of the persons' bytes.
#[must_use]
pub fn entries<'a>(facts: &'a Facts, program: &Program, codes: &Codes, lists: &mut ReasonLists) -> Vec<Entry<'a>> {
    let mut numbers: HashMap<RuleMask, ListId> = HashMap::new();
    let sorted = facts.names.persons.sorted().iter().copied().map(PersonId);
    sorted
        .filter_map(|person| {
            let code = codes.of(person)?;
            let reasons = *numbers
                .entry(code.reasons)
                .or_insert_with(|| lists.number(program.names(code.reasons).map(str::to_owned).collect()));
            Some(Entry { person: facts.names.person(person), colour: code.colour, reasons })
        })
        .collect()
}

/// The changes from one state to another, in the order of the persons' bytes. Both states are in that order.
///
/// A change is where colours differ; with `with_reasons`, also where colours are the same and the sets of reasons differ.
#[must_use]
pub fn changes<'a>(
    before: &[Entry<'a>],
    after: &[Entry<'a>],
    with_reasons: bool,
    lists: &ReasonLists,
) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.person.as_bytes().cmp(new.person.as_bytes()),
        };
        let left = if order.is_le() { old.next() } else { None };
        let right = if order.is_ge() { new.next() } else { None };
        let Some(person) = left.or(right).map(|entry| entry.person) else { return found };
        let state = |entry: &Entry<'_>| (entry.colour, entry.reasons);
        let change = Change { person, before: left.map(state), after: right.map(state) };
        let same_colour = change.before.map(|(colour, _)| colour) == change.after.map(|(colour, _)| colour);
        if !same_colour || (with_reasons && reasons_differ(&change, lists)) {
            found.push(change);
        }
    }
}

fn reasons_differ(change: &Change<'_>, lists: &ReasonLists) -> bool {
    let number = |state: Option<(Colour, ListId)>| state.map(|(_, list)| list);
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
        let before = [
            entry("a", Colour::Green, none),
            entry("b", Colour::Red, case),
            entry("d", Colour::Red, both),
            entry("e", Colour::Red, both),
        ];
        let after = [
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
}
