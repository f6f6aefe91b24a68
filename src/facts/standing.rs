//! The rows that stand, out of columns in which others have been left behind.
//!
//! The one idea: a row is there if the range of its person names it; what rows have left behind, no range names.
//!
//! Cost: a look at the range of the person of each row that is asked about.

use std::ops::Range;

use super::Facts;
use crate::model::Table;

impl Facts {
    /// Whether a row of a table is one, and not what was left behind, or a place for one. Panics when out of range.
    #[must_use]
    pub fn stands(&self, table: Table, row: usize) -> bool {
        macro_rules! of_person {
            ($table:ident by $ranges:ident) => {{
                let person = self.$table.person[row].index();
                let is_first = row < self.$table.person.base().len();
                (is_first && !self.moved.contains(person)) || self.$ranges.range(person).contains(&row)
            }};
        }
        if self.is_still() {
            return true;
        }
        match table {
            Table::Declarations => of_person!(declarations by declarations_of),
            Table::Checkins => of_person!(checkins by checkins_of),
            Table::Cases => of_person!(cases by cases_of),
            Table::Quarantines => of_person!(quarantines by quarantines_of),
            Table::Contacts => !self.contacts_lost.contains_any(row),
            Table::Stays => of_person!(stays by stays_of),
            Table::Tests => of_person!(tests by tests_of),
            Table::Whitelist => of_person!(whitelist by whitelist_of),
            Table::Findings => of_person!(findings by findings_of),
            Table::RiskAreas | Table::Reviews => true,
        }
    }

    /// Those of some rows of a table that are; `None` if all are.
    ///
    /// # Panics
    /// If they are out of range.
    #[must_use]
    pub fn standing(&self, table: Table, rows: Range<usize>) -> Option<Vec<u32>> {
        if self.is_still() {
            return None;
        }
        let all = rows.len();
        let short = |row| u32::try_from(row).expect("rows are numbered by 32 bits");
        let standing: Vec<u32> = rows.filter(|&row| self.stands(table, row)).map(short).collect();
        Some(standing).filter(|standing| standing.len() < all)
    }

    /// Whether no row has changed since the columns were made.
    fn is_still(&self) -> bool {
        self.moved.words().is_empty()
    }
}
