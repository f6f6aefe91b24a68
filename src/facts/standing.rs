//! The rows that stand, out of columns in which others have been left behind.
//!
//! The one idea: a row is there if the range of its person names it; what rows have left behind, no range names.
//!
//! Cost: a pass over every table, and a byte a row.

use super::{LiveFacts, Names};
use crate::model::facts::{TableColumns as _, Tables};

impl LiveFacts {
    /// All rows that stand, and the names. The order of rows has no meaning.
    #[must_use]
    pub fn into_tables(mut self) -> (Tables, Names) {
        self.settle();
        let facts = self.into_facts();
        let people = 0..facts.people;
        macro_rules! standing {
            ($($ranges:ident of $table:ident),+) => {
                ($(named(facts.$table.len(), people.clone().flat_map(|person| facts.$ranges.range(person)))),+)
            };
        }
        let (declarations, checkins, cases, quarantines, stays, tests, whitelist, findings) = standing!(
            declarations_of of declarations,
            checkins_of of checkins,
            cases_of of cases,
            quarantines_of of quarantines,
            stays_of of stays,
            tests_of of tests,
            whitelist_of of whitelist,
            findings_of of findings
        );
        let ends = people.clone().flat_map(|person| facts.contacts_of.range(person));
        let contacts = named(facts.contacts.len(), ends.map(|end| facts.contact_rows[end] as usize));
        let (mut tables, names) = facts.into_tables();
        tables.declarations.retain(&declarations);
        tables.checkins.retain(&checkins);
        tables.cases.retain(&cases);
        tables.quarantines.retain(&quarantines);
        tables.contacts.retain(&contacts);
        tables.stays.retain(&stays);
        tables.tests.retain(&tests);
        tables.whitelist.retain(&whitelist);
        tables.findings.retain(&findings);
        (tables, names)
    }
}

/// Of so many rows, which ones are named.
fn named(rows: usize, names: impl Iterator<Item = usize>) -> Vec<bool> {
    let mut flags = vec![false; rows];
    names.for_each(|row| flags[row] = true);
    flags
}
