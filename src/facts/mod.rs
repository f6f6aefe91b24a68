//! Facts ready to be evaluated: columns in the order of persons, and the indexes that rules ask.
//!
//! The one idea: everything that a rule reads of a person is a range of a column, found by the person's id; what few people
//! have sits behind one bit a person.
//!
//! Invariants: a [`Facts`] changes only through [`LiveFacts`], and is then as if it had been built of the rows that are left;
//! nothing here depends on a rule set or an instant.
//!
//! Cost: building is a counting sort a table, all threads at one table, so that what is under way is two columns. A contact is
//! kept once, and named at both ends by the neighbour (4 bytes) and its row (4 bytes): a pass over neighbours reads 4 bytes an
//! end and follows the row on a hit only.

mod absorb;
mod around;
mod closed;
mod cluster;
mod columns;
mod forget;
mod group;
mod grow;
mod keys;
mod live;
mod meetings;
mod paged;
mod regions;
mod standing;
mod view;

pub use crate::model::bitmap::{Bitmap, insert_bit};
pub use forget::Over;
pub use group::{Offsets, Sparse};
pub use live::{Dirt, LiveFacts};
pub use regions::Regions;
pub use view::FactsView;

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashSet;
use rayon::prelude::*;

use cluster::Clusters;

use crate::intern::Tokens;
use crate::model::facts::{
    Cases, Checkins, Contacts, Declarations, Findings, PlaceStay, Quarantines, Reviews, RiskAreas, Stays, TableColumns,
    Tables, Tests, Whitelist,
};
use crate::model::{Chunked, ContactRow, Flat, LabelId, PersonId, PlaceId, Region, RegionId, Table, Timestamp};

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
///
/// A copy shares all columns if they are [`Facts::share`]d, else it is a copy of everything.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Names behind the ids.
    pub names: Names,
    /// Number of persons, with a code or not.
    pub people: usize,
    /// Who has rows that came after the columns were made; empty if nobody has.
    pub moved: Bitmap,
    /// Rows of `contacts` that stand for none any more.
    contacts_lost: Bitmap,
    /// How many rows of each table stand, if others lie between them.
    counts: Option<[usize; Table::ALL.len()]>,
    /// By person, `declared_at` and id.
    pub declarations: Declarations,
    /// Ranges of `declarations`.
    pub declarations_of: Offsets,
    /// Number of each declaration's `residence`.
    pub residence: Chunked<RegionId>,
    /// Number of each declaration's `came_from`.
    pub came_from: Chunked<Option<RegionId>>,
    /// By person and `reported_at`.
    pub checkins: Checkins,
    /// Ranges of `checkins`.
    pub checkins_of: Offsets,
    /// The latest `reported_at` of all, so that an evaluation later than that looks for none ahead.
    pub checkins_until: Timestamp,
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
    pub neighbours: Chunked<PersonId>,
    /// The row in `contacts` of each end of a contact.
    pub contact_rows: Chunked<ContactRow>,
    /// By person.
    pub stays: Stays,
    /// Ranges of `stays`.
    pub stays_of: Offsets,
    /// Number of each stay's region.
    pub stay_region: Chunked<RegionId>,
    /// Contacts of persons who are cases; `person_a` is the case, so one between two cases is there twice.
    pub case_contacts: Contacts,
    /// Stays of persons who are cases, by place and `entered_at`.
    pub case_stays: Chunked<PlaceStay>,
    /// Ranges of `case_stays`, by place.
    pub case_stays_of: Sparse,
    /// All stays at the places at which a case has stayed, by place and `entered_at`.
    pub shared_stays: Flat<PlaceStay>,
    /// Ranges of `shared_stays`, by place.
    pub shared_stays_of: Sparse,
    /// By person.
    pub tests: Tests,
    /// Ranges of `tests`.
    pub tests_of: Sparse,
    /// The latest `resulted_at` of all.
    pub tests_until: Timestamp,
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
    pub regions: Arc<Regions>,
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
        let mut facts = Self { people, reviews, names, regions: Regions::new(risk_areas).into(), ..Self::default() };
        // The widest first: what a table needs while it is put in order adds to what is done already.
        (facts.stays, facts.stays_of) =
            by_person(people, stays, |table| table.person.base(), |table, row| table.entered_at[row]);
        (facts.checkins, facts.checkins_of) =
            by_person(people, checkins, |table| table.person.base(), |table, row| table.reported_at[row]);
        (facts.declarations, facts.declarations_of) =
            by_person(people, declarations, |table| table.person.base(), |table, row| table.declared_at[row]);
        (facts.contacts_of, facts.neighbours, facts.contact_rows) = neighbours_of(people, &contacts);
        facts.contacts = contacts;
        (facts.cases, facts.cases_of) =
            few_by_person(people, cases, |table| table.person.base(), |table, row| table.reported_at[row]);
        (facts.quarantines, facts.quarantines_of) =
            few_by_person(people, quarantines, |table| table.person.base(), |table, row| table.started_at[row]);
        (facts.tests, facts.tests_of) =
            few_by_person(people, tests, |table| table.person.base(), |table, row| table.sampled_at[row]);
        (facts.whitelist, facts.whitelist_of) =
            few_by_person(people, whitelist, |table| table.person.base(), |table, row| table.from_at[row]);
        (facts.findings, facts.findings_of) =
            few_by_person(people, findings, |table| table.person.base(), |table, row| table.found_at[row]);
        facts.checkins_until = latest(facts.checkins.reported_at.base());
        facts.tests_until = latest(facts.tests.resulted_at.base());
        facts.number_regions();
        facts.index_meetings();
        facts
    }

    fn number_regions(&mut self) {
        let Self { regions, stays, declarations, .. } = self;
        let regions = Arc::make_mut(regions);
        let met =
            [meet(stays.region.base().par_iter().copied()), meet(declarations.residence.base().par_iter().copied())];
        let came_from = meet(declarations.came_from.base().par_iter().flatten().copied());
        for region in met.into_iter().flatten().chain(came_from) {
            regions.number(region);
        }
        let number = |&region: &Region| regions.number_of(region).expect("every region met has a number");
        self.stay_region = stays.region.base().par_iter().map(number).collect();
        self.residence = declarations.residence.base().par_iter().map(number).collect();
        self.came_from = declarations.came_from.base().par_iter().map(|region| region.as_ref().map(number)).collect();
    }

    /// The number of a region, a new one if it is met for the first time.
    fn number(&mut self, region: Region) -> RegionId {
        match self.regions.number_of(region) {
            Some(number) => number,
            None => Arc::make_mut(&mut self.regions).number(region),
        }
    }

    /// The same facts under other listings. Cost: indexing those; nothing about persons is touched.
    #[must_use]
    pub fn listing(mut self, listings: RiskAreas) -> Self {
        self.regions = Arc::unwrap_or_clone(self.regions).relisted(listings).into();
        self
    }

    /// The tables alone, in the orders in which they are kept, and the names.
    #[must_use]
    pub fn into_tables(self) -> (Tables, Names) {
        let tables = Tables {
            declarations: self.declarations,
            checkins: self.checkins,
            cases: self.cases,
            quarantines: self.quarantines,
            contacts: self.contacts,
            stays: self.stays,
            risk_areas: Arc::unwrap_or_clone(self.regions).into_listings(),
            tests: self.tests,
            whitelist: self.whitelist,
            findings: self.findings,
            reviews: self.reviews,
        };
        (tables, self.names)
    }

    /// Number of rows in a table; those of facts that change are counted by [`LiveFacts::rows_of`] and [`LiveFacts::view`].
    #[must_use]
    pub fn rows_of(&self, table: Table) -> usize {
        self.counts.as_ref().map_or_else(|| self.ids_of(table).len(), |counts| counts[table as usize])
    }

    /// Keys of the rows of a table, those included that do not stand.
    #[must_use]
    pub fn ids_of(&self, table: Table) -> &Chunked<u64> {
        match table {
            Table::Declarations => &self.declarations.id,
            Table::Checkins => &self.checkins.id,
            Table::Cases => &self.cases.id,
            Table::Quarantines => &self.quarantines.id,
            Table::Contacts => &self.contacts.id,
            Table::Stays => &self.stays.id,
            Table::RiskAreas => &self.risk_areas().id,
            Table::Tests => &self.tests.id,
            Table::Whitelist => &self.whitelist.id,
            Table::Findings => &self.findings.id,
            Table::Reviews => &self.reviews.id,
        }
    }

    /// The listings, by region.
    #[must_use]
    pub fn risk_areas(&self) -> &RiskAreas {
        self.regions.listings()
    }
}

/// The neighbours of every person and the rows of the contacts with them, by person: each contact appears at both ends.
fn neighbours_of(people: usize, contacts: &Contacts) -> (Offsets, Chunked<PersonId>, Chunked<ContactRow>) {
    let (left, right) = (contacts.person_a.base(), contacts.person_b.base());
    let ends = || left.iter().chain(right).map(|person| person.index());
    let clusters = Clusters::new(people, ends());
    let rows = (0u32..).take(contacts.len()).map(ContactRow);
    let (owners, (mut neighbours, mut rows)) = rayon::join(
        || clusters.spread(ends().zip(left.iter().chain(right).copied()), PersonId(0)),
        || {
            rayon::join(
                || clusters.spread(ends().zip(right.iter().chain(left).copied()), PersonId(0)),
                || clusters.spread(ends().zip(rows.clone().chain(rows.clone())), ContactRow(0)),
            )
        },
    );
    let pieces = clusters.pieces(&mut neighbours).into_iter().zip(clusters.pieces(&mut rows));
    let reorder = |(neighbours, rows): (&mut [PersonId], &mut [ContactRow]), range: Range<u32>, order: &[u32]| {
        gather(neighbours, range.start, order);
        gather(rows, range.start, order);
    };
    let offsets = clusters.order(|end| owners[end as usize].index(), |_| {}, pieces.collect(), reorder);
    (offsets, neighbours.into(), rows.into())
}

/// The different ones of many regions, ascending.
fn meet(regions: impl ParallelIterator<Item = Region>) -> Vec<Region> {
    let add = |mut met: HashSet<Region>, region| {
        met.insert(region);
        met
    };
    let unite = |mut one: HashSet<Region>, other: HashSet<Region>| {
        one.extend(other);
        one
    };
    let met = regions.fold(HashSet::new, add).reduce(HashSet::new, unite);
    let mut met: Vec<Region> = met.into_iter().collect();
    met.sort_unstable();
    met
}

/// Puts a piece of a column, which begins at row `first`, in order.
fn gather<T: Copy>(piece: &mut [T], first: u32, order: &[u32]) {
    let before = piece.to_vec();
    for (value, &row) in piece.iter_mut().zip(order) {
        *value = before[(row - first) as usize];
    }
}

fn latest(instants: &[Timestamp]) -> Timestamp {
    instants.par_iter().copied().max().unwrap_or(Timestamp::EARLIEST)
}

/// A table in the order of persons, then of `then` and id, with the ranges.
fn by_person<C: TableColumns, K: Ord>(
    people: usize,
    mut table: C,
    person: impl Fn(&C) -> &[PersonId] + Sync,
    then: impl Fn(&C, usize) -> K + Sync,
) -> (C, Offsets) {
    let clusters = Clusters::new(people, person(&table).iter().map(|person| person.index()));
    let cluster_of: Vec<u16> = person(&table).par_iter().map(|person| clusters.of(person.index())).collect();
    table.scatter(&cluster_of, clusters.begins());
    drop(cluster_of);
    let mut order = vec![0u32; table.len()];
    let key = |row: u32| person(&table)[row as usize].index();
    let sort = |rows: &mut [u32]| sort_rows(&table, rows, &then);
    let take = |piece: &mut [u32], _, order: &[u32]| piece.copy_from_slice(order);
    let offsets = clusters.order(key, sort, clusters.pieces(&mut order), take);
    table.permute(&order);
    (table, offsets)
}

/// As [`by_person`], for tables in which few persons have rows: a sort of those rows, no offset a person.
fn few_by_person<C: TableColumns, K: Ord + Send>(
    people: usize,
    mut table: C,
    person: impl Fn(&C) -> &[PersonId] + Sync,
    then: impl Fn(&C, usize) -> K + Sync,
) -> (C, Sparse) {
    let mut keyed: Vec<(PersonId, u32)> = person(&table).iter().copied().zip(0..).collect();
    keyed.par_sort_unstable();
    let mut order: Vec<u32> = keyed.into_iter().map(|(_, row)| row).collect();
    let same = |&left: &u32, &right: &u32| person(&table)[left as usize] == person(&table)[right as usize];
    order.par_chunk_by_mut(same).for_each(|rows| sort_rows(&table, rows, &then));
    table.permute(&order);
    let ranges = Sparse::of_ascending(people, person(&table).iter().map(|person| person.index()));
    (table, ranges)
}

fn sort_rows<C: TableColumns, K: Ord>(table: &C, rows: &mut [u32], then: impl Fn(&C, usize) -> K) {
    rows.sort_unstable_by_key(|&row| (then(table, row as usize), table.ids()[row as usize]));
}
