//! A city as it stood at a position, for those who only read.
//!
//! The one idea: whoever reads has a view and asks the writer nothing more, so that no answer, however long it takes, keeps a fact
//! waiting.
//!
//! Invariant: facts, rules, time and codes of a view are of one position, and never change.

use std::sync::Arc;

use super::Rules;
use crate::evaluate::Codes;
use crate::facts::{Facts, FactsView};
use crate::journal::Position;
use crate::model::facts::Tables;
use crate::model::{PersonId, Table, Timestamp};
use crate::rules::Program;

/// What stood at a position.
#[derive(Debug)]
pub struct View {
    pub(super) position: Position,
    pub(super) as_of: Timestamp,
    pub(super) rules: Option<Rules>,
    pub(super) program: Option<Arc<Program>>,
    pub(super) facts: FactsView,
    pub(super) codes: Option<Codes>,
}

impl View {
    /// Position of the record that was applied last.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// T.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// The rules in force, as they were given; none before the first record.
    #[must_use]
    pub const fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// The rules in force; none before the first record.
    #[must_use]
    pub const fn program(&self) -> Option<&Arc<Program>> {
        self.program.as_ref()
    }

    /// The facts.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        self.facts.facts()
    }

    /// The facts, and what it takes to evaluate everybody over them.
    #[must_use]
    pub const fn facts_view(&self) -> &FactsView {
        &self.facts
    }

    /// Everybody's code, unless records were absorbed only.
    #[must_use]
    pub const fn codes(&self) -> Option<&Codes> {
        self.codes.as_ref()
    }

    /// Number of rows in a table.
    #[must_use]
    pub fn rows_of(&self, table: Table) -> usize {
        self.facts().rows_of(table)
    }

    /// The rows that can bear on a person's code under the rules in force, and few others; none before the first record.
    #[must_use]
    pub fn around(&self, person: PersonId) -> Option<Tables> {
        Some(self.facts().around(person, self.program()?.looks_through_others()))
    }
}
