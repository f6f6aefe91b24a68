//! Which rows nothing can come of any more.
//!
//! The one idea: a rule counts back a bounded time, so a row that ended before that is over for good, whatever is told later.
//! Declarations are never over: the number of those before decides which one stands.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Facts, LiveFacts};
use crate::model::{Outcome, Table, Timestamp};

/// Up to when what has ended is over: instants in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Over {
    /// What ended then or before.
    ended: i64,
    /// Health reports of before.
    reported: i64,
    /// Cases that recovered then or before.
    recovered: i64,
}

impl Over {
    /// What ended at an instant or before, health reports of before another, and cases that recovered at a third or before.
    #[must_use]
    pub const fn new(ended: Timestamp, reported: Timestamp, recovered: Timestamp) -> Self {
        Self { ended: ended.0, reported: reported.0, recovered: recovered.0 }
    }

    /// Whether a row of a table is over. Panics if it is out of range.
    pub(super) fn holds(&self, facts: &Facts, table: Table, row: usize) -> bool {
        let ended = |at: Timestamp| at.0 <= self.ended;
        match table {
            Table::Declarations => false,
            Table::Checkins => facts.checkins.reported_at[row].0 < self.reported,
            Table::Cases => {
                let (outcome, at) = (facts.cases.outcome[row].get(), facts.cases.outcome_at[row]);
                outcome.is_some() && ended(at) && (outcome != Some(Outcome::Recovered) || at.0 <= self.recovered)
            }
            Table::Quarantines => ended(facts.quarantines.ended_at[row]),
            Table::Contacts => ended(facts.contacts.ended_at(row)),
            Table::Stays => ended(facts.stays.left_at[row]),
            Table::RiskAreas => ended(facts.risk_areas().delisted_at[row]),
            Table::Tests => ended(facts.tests.sampled_at[row]),
            Table::Whitelist => ended(facts.whitelist.until_at[row]),
            Table::Findings => ended(facts.findings.lifted_at[row]),
            Table::Reviews => ended(facts.reviews.decided_at[row]),
        }
    }
}

impl Facts {
    /// Rows of a table that stand and are over.
    fn rows_over(&self, table: Table, over: Over) -> impl ParallelIterator<Item = usize> {
        let rows = (0..self.ids_of(table).len()).into_par_iter();
        rows.filter(move |&row| over.holds(self, table, row) && self.stands(table, row))
    }
}

impl LiveFacts {
    /// Rows that are over, by table and id. Cost: a pass over the columns of every table that say when a row ended.
    #[must_use]
    pub fn forgettable(&self, over: Over) -> Vec<(Table, u64)> {
        let facts = self.facts();
        let of = |&table: &Table| {
            let mut ids: Vec<u64> = facts.rows_over(table, over).map(|row| facts.ids_of(table)[row]).collect();
            ids.sort_unstable();
            ids.into_iter().map(move |id| (table, id))
        };
        Table::ALL.iter().flat_map(of).collect()
    }

    /// Takes out all rows that are over, by making all columns anew without them; persons, places and labels keep their numbers, and
    /// whom it may concern is nobody. Cost: as closing and indexing facts, whatever there is to be taken out. Memory: all columns
    /// that are left, once more.
    pub fn forget(&mut self, over: Over) {
        self.relist();
        self.facts.share();
        // What leads to rows is made anew; its room is wanted before.
        let facts = std::mem::take(&mut self.facts);
        *self = Self::new(Facts::default());
        *self = Self::new(facts.without(over));
    }
}
