//! The rows around one person: what an explanation reads, found by the indexes instead of by a pass over all facts.
//!
//! The one idea: follow the same nouns as the contract does. Own rows; contacts with cases and shared places; and, where a rule
//! looks through others, the same of whoever the person met.
//!
//! Invariant: no row that can bear on the person's code at any instant is left out; some that cannot are in.
//! Cost: the rows of the person and of the neighbours, and those of cases at their places; every listing.

use std::collections::BTreeSet;

use super::Facts;
use crate::model::facts::{TableColumns, Tables};
use crate::model::{PersonId, PlaceId};

impl Facts {
    /// The rows that can matter for a person, and with `through_others` those that can through whoever the person met.
    /// Rows are in the order of their ids. Reviews are left out: no rule reads them.
    #[must_use]
    pub fn around(&self, person: PersonId, through_others: bool) -> Tables {
        let met = &self.neighbours[self.contacts_of.range(person.index())];
        let mut circle = BTreeSet::from([person]);
        circle.extend(met.iter().filter(|_| through_others));
        let own = person.index();
        let isolated = circle.iter().flat_map(|one| self.quarantines_of.range(one.index()));
        let (contacts, stays) = (self.contacts_around(person, &circle), self.stays_around(person, &circle));
        let mut kept = Tables {
            declarations: take(&self.declarations, self.declarations_of.range(own)),
            checkins: take(&self.checkins, self.checkins_of.range(own)),
            quarantines: take(&self.quarantines, isolated),
            contacts: take(&self.contacts, contacts),
            stays: take(&self.stays, stays),
            risk_areas: take(self.risk_areas(), 0..self.risk_areas().len()),
            tests: take(&self.tests, self.tests_of.range(own)),
            whitelist: take(&self.whitelist, self.whitelist_of.range(own)),
            findings: take(&self.findings, self.findings_of.range(own)),
            ..Tables::default()
        };
        let met = kept.contacts.person_a.iter().chain(kept.contacts.person_b.iter()).chain(kept.stays.person.iter());
        let seen: BTreeSet<PersonId> = met.copied().chain([person]).collect();
        kept.cases = take(&self.cases, seen.iter().flat_map(|one| self.cases_of.range(one.index())));
        kept
    }

    /// All contacts of the person, and those of the circle with cases.
    fn contacts_around(&self, person: PersonId, circle: &BTreeSet<PersonId>) -> BTreeSet<usize> {
        let of = |&one: &PersonId| {
            let ends = self.contacts_of.range(one.index());
            let ends = ends.filter(move |&end| one == person || self.cases_of.contains(self.neighbours[end].index()));
            ends.map(|end| self.contact_rows[end].index())
        };
        circle.iter().flat_map(of).collect()
    }

    /// All stays of the person, those of the circle at places where cases stayed, and those of cases at places of the circle.
    fn stays_around(&self, person: PersonId, circle: &BTreeSet<PersonId>) -> BTreeSet<usize> {
        let at_cases = |row: usize| self.stays.place[row].filter(|place| self.case_stays_of.contains(place.index()));
        let of_circle = || circle.iter().flat_map(|&one| self.stays_of.range(one.index()).map(move |row| (one, row)));
        let places: BTreeSet<PlaceId> = of_circle().filter_map(|(_, row)| at_cases(row)).collect();
        let beside = |place: &PlaceId| self.case_stays[self.case_stays_of.range(place.index())].iter();
        let patients: BTreeSet<PersonId> = places.iter().flat_map(beside).map(|stay| stay.person).collect();
        let theirs = patients.iter().flat_map(|one| self.stays_of.range(one.index()));
        let theirs = theirs.filter(|&row| self.stays.place[row].is_some_and(|place| places.contains(&place)));
        let own = of_circle().filter(|&(one, row)| one == person || at_cases(row).is_some()).map(|(_, row)| row);
        own.chain(theirs).collect()
    }
}

/// Some rows of a table, by id.
fn take<C: TableColumns>(table: &C, rows: impl IntoIterator<Item = usize>) -> C {
    let mut rows: Vec<usize> = rows.into_iter().collect();
    rows.sort_unstable_by_key(|&row| table.ids()[row]);
    let mut kept = C::default();
    for row in rows {
        kept.push(table.row(row));
    }
    kept
}
