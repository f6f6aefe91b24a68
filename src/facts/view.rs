//! Facts as they stood between two changes, for those who read while others change them.
//!
//! The one idea: columns share what they hold with their copies until one of them is changed (`model/chunked.rs`), so that a view is
//! a copy, made in no time and never waited for.
//!
//! Invariant: a view never changes.
//!
//! Cost: a pointer a chunk of what has come since the columns were made, and a bit a person for each table that few have rows in;
//! the chunks that are changed next are copied first.

use super::{Facts, LiveFacts, Names, Sparse};
use crate::model::facts::PlaceStay;
use crate::model::{Chunked, Table};

/// Facts that stand still.
#[derive(Clone, Debug)]
pub struct FactsView {
    facts: Facts,
    visits: Chunked<PlaceStay>,
    visits_of: Sparse,
}

impl FactsView {
    /// The facts; what is found from the cases' side may be out of date.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same under other names, by the same numbers.
    #[must_use]
    pub fn named(&self, names: &Names) -> Self {
        Self { facts: Facts { names: names.clone(), ..self.facts.clone() }, ..self.clone() }
    }

    /// The facts with all that an evaluation of everybody reads. Cost: a visit a contact of a case and a stay at a place where one
    /// stayed.
    #[must_use]
    pub fn indexed(&self) -> Facts {
        let mut facts = self.facts.clone();
        facts.index_live_meetings(&self.visits, &self.visits_of);
        facts
    }
}

impl LiveFacts {
    /// The facts as they stand, for good.
    #[must_use]
    pub fn view(&mut self) -> FactsView {
        self.relist();
        self.facts.share();
        self.visits_of.share();
        let counts = Some(Table::ALL.map(|table| self.rows_of(table)));
        let facts = Facts { counts, ..self.facts.clone() };
        FactsView { facts, visits: self.visits.clone(), visits_of: self.visits_of.clone() }
    }

    /// Brings up to date what an evaluation of everybody reads from the cases' side. Cost: a visit a contact of a case and a
    /// stay at a place where one stayed.
    pub fn index_meetings(&mut self) {
        self.facts.index_live_meetings(&self.visits, &self.visits_of);
    }
}
