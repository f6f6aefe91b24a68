//! Facts ready to be evaluated: columns in the order of persons, and the indexes that rules ask.
//!
//! The one idea: everything that a rule reads of a person is a range of a column, found by the person's id; what few people
//! have sits behind one bit a person.
//!
//! Invariants: a [`Facts`] never changes once built; nothing here depends on a rule set or an instant.
//!
//! Cost: building is a counting sort a table, the large tables side by side. A contact is kept once, and named at both ends by the
//! neighbour (4 bytes) and its row (4 bytes): a pass over neighbours reads 4 bytes an end and follows the row on a hit only.

mod bitmap;
mod group;
mod regions;

pub use bitmap::{Bitmap, insert_bit, unite_words};
pub use group::{Offsets, Sparse, group};
pub use regions::Regions;

use rayon::prelude::*;

use crate::intern::Tokens;
use crate::model::facts::{
    Cases, Checkins, Contacts, Declarations, Findings, Quarantines, Reviews, RiskAreas, Stays, TableColumns, Tables,
    Tests, Whitelist,
};
use crate::model::{LabelId, PersonId, PlaceId, RegionId, Table};

/// Names behind the ids.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Persons, by [`PersonId`].
    pub persons: Tokens,
    /// Places, by [`PlaceId`].
    pub places: Tokens,
    /// Enterprises and reasons, by [`LabelId`].
    pub labels: Tokens,
}

impl Names {
    /// A person's token.
    #[must_use]
    pub fn person(&self, id: PersonId) -> &str {
        self.persons.get(id.index())
    }

    /// A place's token.
    #[must_use]
    pub fn place(&self, id: PlaceId) -> &str {
        self.places.get(id.index())
    }

    /// A label's text.
    #[must_use]
    pub fn label(&self, id: LabelId) -> &str {
        self.labels.get(id.index())
    }
}

/// All facts, in the order of persons, with their indexes. Fields are public to the evaluators; nobody changes them.
#[derive(Debug, Default)]
pub struct Facts {
    /// Names behind the ids.
    pub names: Names,
    /// Number of persons, with a code or not.
    pub people: usize,
    /// By person, `declared_at` and id.
    pub declarations: Declarations,
    /// Ranges of `declarations`.
    pub declarations_of: Offsets,
    /// Number of each declaration's `residence`.
    pub residence: Vec<RegionId>,
    /// Number of each declaration's `came_from`.
    pub came_from: Vec<Option<RegionId>>,
    /// By person and `reported_at`.
    pub checkins: Checkins,
    /// Ranges of `checkins`.
    pub checkins_of: Offsets,
    /// By person.
    pub cases: Cases,
    /// Ranges of `cases`.
    pub cases_of: Sparse,
    /// By person and `started_at`.
    pub quarantines: Quarantines,
    /// Ranges of `quarantines`.
    pub quarantines_of: Sparse,
    /// As loaded.
    pub contacts: Contacts,
    /// Ranges of `neighbours` and `contact_rows`.
    pub contacts_of: Offsets,
    /// The other person of each end of a contact.
    pub neighbours: Vec<PersonId>,
    /// The row in `contacts` of each end of a contact.
    pub contact_rows: Vec<u32>,
    /// By person.
    pub stays: Stays,
    /// Ranges of `stays`.
    pub stays_of: Offsets,
    /// Number of each stay's region.
    pub stay_region: Vec<RegionId>,
    /// Rows of `stays` of persons who are cases, by place.
    pub case_stays: Vec<u32>,
    /// Ranges of `case_stays`, by place.
    pub case_stays_of: Sparse,
    /// By person.
    pub tests: Tests,
    /// Ranges of `tests`.
    pub tests_of: Sparse,
    /// By person.
    pub whitelist: Whitelist,
    /// Ranges of `whitelist`.
    pub whitelist_of: Sparse,
    /// By person.
    pub findings: Findings,
    /// Ranges of `findings`.
    pub findings_of: Sparse,
    /// As loaded: no rule reads them.
    pub reviews: Reviews,
    /// Regions and their listings.
    pub regions: Regions,
}

impl Facts {
    /// Puts tables in order and builds the indexes. The ids in `tables` are those of `names`.
    #[must_use]
    pub fn new(tables: Tables, names: Names) -> Self {
        let people = names.persons.len();
        let Tables {
            declarations,
            checkins,
            cases,
            quarantines,
            contacts,
            stays,
            risk_areas,
            tests,
            whitelist,
            findings,
            reviews,
        } = tables;
        let mut facts = Self { people, reviews, names, regions: Regions::new(risk_areas), ..Self::default() };
        let (declared, (stayed, neighbours)) = rayon::join(
            || by_person(people, declarations, |table| &table.person, |table, row| table.declared_at[row]),
            || {
                rayon::join(
                    || by_person(people, stays, |table| &table.person, |table, row| table.entered_at[row]),
                    || neighbours_of(people, &contacts),
                )
            },
        );
        (facts.declarations, facts.declarations_of) = declared;
        (facts.stays, facts.stays_of) = stayed;
        (facts.contacts_of, facts.neighbours, facts.contact_rows) = neighbours;
        facts.contacts = contacts;
        (facts.checkins, facts.checkins_of) =
            by_person(people, checkins, |table| &table.person, |table, row| table.reported_at[row]);
        (facts.cases, facts.cases_of) =
            few_by_person(people, cases, |table| &table.person, |table, row| table.reported_at[row]);
        (facts.quarantines, facts.quarantines_of) =
            few_by_person(people, quarantines, |table| &table.person, |table, row| table.started_at[row]);
        (facts.tests, facts.tests_of) =
            few_by_person(people, tests, |table| &table.person, |table, row| table.sampled_at[row]);
        (facts.whitelist, facts.whitelist_of) =
            few_by_person(people, whitelist, |table| &table.person, |table, row| table.from_at[row]);
        (facts.findings, facts.findings_of) =
            few_by_person(people, findings, |table| &table.person, |table, row| table.found_at[row]);
        facts.number_regions();
        facts.index_case_stays();
        facts
    }

    fn number_regions(&mut self) {
        self.stay_region = self.stays.region.iter().map(|&region| self.regions.number(region)).collect();
        self.residence = self.declarations.residence.iter().map(|&region| self.regions.number(region)).collect();
        let came_from = self.declarations.came_from.iter();
        self.came_from = came_from.map(|region| region.map(|region| self.regions.number(region))).collect();
    }

    fn index_case_stays(&mut self) {
        let mut rows: Vec<u32> = Vec::new();
        for &person in self.cases_of.keys() {
            let stays = self.stays_of.range(person as usize);
            let placed = stays.filter(|&row| self.stays.place[row].is_some());
            rows.extend(placed.map(|row| u32::try_from(row).expect("a table has fewer than 2^32 rows")));
        }
        let place_of = |row: u32| self.stays.place[row as usize].map_or(usize::MAX, PlaceId::index);
        rows.sort_unstable_by_key(|&row| (place_of(row), row));
        self.case_stays_of = Sparse::of_ascending(self.names.places.len(), rows.iter().map(|&row| place_of(row)));
        self.case_stays = rows;
    }

    /// Number of rows in a table.
    #[must_use]
    pub fn rows_of(&self, table: Table) -> usize {
        match table {
            Table::Declarations => self.declarations.len(),
            Table::Checkins => self.checkins.len(),
            Table::Cases => self.cases.len(),
            Table::Quarantines => self.quarantines.len(),
            Table::Contacts => self.contacts.len(),
            Table::Stays => self.stays.len(),
            Table::RiskAreas => self.risk_areas().len(),
            Table::Tests => self.tests.len(),
            Table::Whitelist => self.whitelist.len(),
            Table::Findings => self.findings.len(),
            Table::Reviews => self.reviews.len(),
        }
    }

    /// The listings, by region.
    #[must_use]
    pub const fn risk_areas(&self) -> &RiskAreas {
        self.regions.listings()
    }
}

/// The neighbours of every person and the rows of the contacts with them, by person: each contact appears at both ends.
fn neighbours_of(people: usize, contacts: &Contacts) -> (Offsets, Vec<PersonId>, Vec<u32>) {
    let ends = contacts.person_a.iter().chain(&contacts.person_b).map(|person| person.index());
    let (offsets, mut rows) = group(people, ends);
    let count = u32::try_from(contacts.len()).expect("a table has fewer than 2^32 rows");
    // Ends are numbered through: those of `person_a`, then those of `person_b`.
    let neighbours = rows.par_iter().map(|&end| match end.checked_sub(count) {
        None => contacts.person_b[end as usize],
        Some(row) => contacts.person_a[row as usize],
    });
    let neighbours = neighbours.collect();
    rows.par_iter_mut().for_each(|end| *end = end.checked_sub(count).unwrap_or(*end));
    (offsets, neighbours, rows)
}

/// A table in the order of persons, then of `then` and id, with the ranges.
fn by_person<C: TableColumns, K: Ord>(
    people: usize,
    mut table: C,
    person: impl Fn(&C) -> &Vec<PersonId> + Sync,
    then: impl Fn(&C, usize) -> K + Sync,
) -> (C, Offsets) {
    let (offsets, mut order) = group(people, person(&table).iter().map(|person| person.index()));
    let persons = person(&table);
    order.par_chunk_by_mut(|&left, &right| persons[left as usize] == persons[right as usize]).for_each(|rows| {
        rows.sort_unstable_by_key(|&row| (then(&table, row as usize), table.ids()[row as usize]));
    });
    table.permute(&order);
    (table, offsets)
}

/// As [`by_person`], for tables in which few persons have rows: a sort of those rows, no offset a person.
fn few_by_person<C: TableColumns, K: Ord + Send>(
    people: usize,
    mut table: C,
    person: impl Fn(&C) -> &Vec<PersonId> + Sync,
    then: impl Fn(&C, usize) -> K + Sync,
) -> (C, Sparse) {
    let mut order: Vec<u32> = (0u32..).take(table.len()).collect();
    order.par_sort_unstable_by_key(|&row| {
        let row = row as usize;
        (person(&table)[row], then(&table, row), table.ids()[row])
    });
    table.permute(&order);
    let ranges = Sparse::of_ascending(people, person(&table).iter().map(|person| person.index()));
    (table, ranges)
}
