//! Facts that change while they are evaluated: rows put in, replaced and taken out by their id.
//!
//! The one idea: columns stay what the kernels read (`grow.rs`), and each change says at once whose codes it may change, as
//! [`Dirt`]: the person it names, and whoever may have been exposed by what it says of a case.
//!
//! Invariant: after any changes, evaluation over [`LiveFacts::facts`] gives what it gives over facts built anew of the same rows;
//! a person whom no dirt names, nor anyone exposed to those whom it names, has the same code.
//!
//! Cost: a look-up of the id and of the token, and the rows of the person; for a change of a case its contacts and the stays
//! at its places; for listings an index of all of them, once a [`LiveFacts::settle`].

use std::sync::Arc;

use hashbrown::HashMap;

use super::group::Ranges;
use super::grow::{Alone, Beside, Lone, Numbered, insert, remove};
use super::keys::Keys;
use super::{Facts, Sparse};
use crate::model::facts::{
    Case, Checkin, Contact, Declaration, Finding, PlaceStay, Quarantine, Review, RiskArea, RiskAreas, Stay,
    TableColumns as _, Test, WhitelistEntry,
};
use crate::model::{Chunked, ContactRow, LabelId, PersonId, PlaceId, Region, Table, Timestamp};

/// Whom changes may concern. Persons may be named more than once.
#[derive(Debug, Default)]
pub struct Dirt {
    /// Whose own rows changed.
    pub persons: Vec<PersonId>,
    /// Whose exposures to cases may have changed.
    pub exposed: Vec<PersonId>,
    /// Whose quarantines changed, so that they may pass an exposure on for longer or shorter.
    pub isolated: Vec<PersonId>,
    /// Who has met whom, or has not after all: an exposure of either may now be passed on to the other, or no longer.
    pub linked: Vec<(PersonId, PersonId)>,
    /// Regions whose listings changed.
    pub regions: Vec<Region>,
}

/// A row of a table that is in the order of persons and of an instant.
trait OfPerson: Copy {
    fn id(&self) -> u64;
    fn person(&self) -> PersonId;
    fn at(&self) -> Timestamp;
}

macro_rules! of_person {
    ($($row:ident by $at:ident;)+) => {$(
        impl OfPerson for $row {
            fn id(&self) -> u64 {
                self.id
            }

            fn person(&self) -> PersonId {
                self.person
            }

            fn at(&self) -> Timestamp {
                self.$at
            }
        }
    )+};
}

of_person! {
    Declaration by declared_at;
    Checkin by reported_at;
    Case by reported_at;
    Quarantine by started_at;
    Stay by entered_at;
    Test by sampled_at;
    WhitelistEntry by from_at;
    Finding by found_at;
}

impl<R: OfPerson, T: Copy> OfPerson for (R, T) {
    fn id(&self) -> u64 {
        self.0.id()
    }

    fn person(&self) -> PersonId {
        self.0.person()
    }

    fn at(&self) -> Timestamp {
        self.0.at()
    }
}

/// Where rows are, by id. Of a contact the row, of others that a person has the person.
#[derive(Debug, Default)]
struct Index {
    declarations: Keys,
    checkins: Keys,
    cases: Keys,
    quarantines: Keys,
    contacts: Keys,
    stays: Keys,
    tests: Keys,
    whitelist: Keys,
    findings: Keys,
    reviews: HashMap<u64, usize>,
    risk_areas: HashMap<u64, RiskArea>,
}

/// Facts, and what it takes to change them.
#[derive(Debug)]
pub struct LiveFacts {
    pub(super) facts: Facts,
    index: Index,
    /// Rows of `contacts` that hold none.
    free: Vec<u32>,
    /// All stays in places, by place and `entered_at`.
    pub(super) visits: Chunked<PlaceStay>,
    pub(super) visits_of: Sparse,
    relist: bool,
    dirt: Dirt,
}

/// Puts a row in, in the place of the one with its id. Gives that one.
fn replace<R: Numbered<Row: OfPerson>>(
    keys: &mut Keys,
    people: usize,
    rows: &mut R,
    ranges: &mut impl Ranges,
    row: R::Row,
) -> Option<R::Row> {
    let old = take(keys, rows, ranges, row.id());
    put(keys, people, rows, ranges, row);
    old
}

/// Puts a row in. There is none of its id.
fn put<R: Numbered<Row: OfPerson>>(
    keys: &mut Keys,
    people: usize,
    rows: &mut R,
    ranges: &mut impl Ranges,
    row: R::Row,
) {
    if keys.is_full() {
        let rows_of = |person: usize| ranges.span_of(person).range();
        keys.renew(
            (0..people)
                .flat_map(|person| rows_of(person).map(move |at| (at, person)))
                .map(|(at, person)| (rows.id(at), u32::try_from(person).expect("person ids are 32-bit"))),
        );
    }
    let before = |other: &R::Row| (other.at(), other.id()) < (row.at(), row.id());
    insert(rows, ranges, row.person().index(), row, before);
    keys.put(row.id(), row.person().0);
}

/// Takes the row with an id out.
fn take<R: Numbered<Row: OfPerson>>(
    keys: &mut Keys,
    rows: &mut R,
    ranges: &mut impl Ranges,
    id: u64,
) -> Option<R::Row> {
    let holds = |person: u32| ranges.span_of(person as usize).range().any(|at| rows.id(at) == id);
    let person = keys.take(id, holds)?;
    remove(rows, ranges, person as usize, |row| row.id() == id)
}

macro_rules! declarations {
    ($facts:expr) => {
        Beside(Beside(Alone(&mut $facts.declarations), &mut $facts.residence), &mut $facts.came_from)
    };
}
macro_rules! ends {
    ($facts:expr) => {
        Beside(Lone(&mut $facts.neighbours), &mut $facts.contact_rows)
    };
}
macro_rules! stays {
    ($facts:expr) => {
        Beside(Alone(&mut $facts.stays), &mut $facts.stay_region)
    };
}

/// Upsert and removal of tables that no other index reads.
macro_rules! plain_tables {
    ($($(#[$doc:meta])* $visible:vis $upsert:ident, $remove:ident: $row:ident in $table:ident by $ranges:ident;)+) => {$(
        $(#[$doc])*
        $visible fn $upsert(&mut self, row: $row) {
            let (facts, keys) = (&mut self.facts, &mut self.index.$table);
            let old = replace(keys, facts.people, &mut Alone(&mut facts.$table), &mut facts.$ranges, row);
            self.touch(old.map(|old| old.person));
            self.touch([row.person]);
        }

        fn $remove(&mut self, id: u64) -> bool {
            let (facts, keys) = (&mut self.facts, &mut self.index.$table);
            let old = take(keys, &mut Alone(&mut facts.$table), &mut facts.$ranges, id);
            self.touch(old.map(|old| old.person));
            old.is_some()
        }
    )+};
}

impl LiveFacts {
    /// Indexes facts so that they can change. Cost: a pass over the ids of every table, and a sort of the stays in places.
    #[must_use]
    pub fn new(mut facts: Facts) -> Self {
        facts.share();
        let mut index = Index::default();
        macro_rules! index {
            ($($table:ident),+) => {
                rayon::scope(|scope| {$(
                    let (keys, table) = (&mut index.$table, &facts.$table);
                    scope.spawn(|_| *keys = Keys::of(table.id.base(), table.person.base().iter().map(|person| person.0)));
                )+
                    let (keys, contacts) = (&mut index.contacts, &facts.contacts);
                    scope.spawn(|_| *keys = Keys::of(contacts.id.base(), 0..));
                });
            };
        }
        index!(declarations, checkins, cases, quarantines, stays, tests, whitelist, findings);
        index.reviews = facts.reviews.id.iter().copied().zip(0..).collect();
        index.risk_areas = facts.risk_areas().rows().map(|area| (area.id, area)).collect();
        let (visits, visits_of) = facts.all_visits();
        let mut live = Self {
            facts,
            index,
            free: Vec::new(),
            visits: visits.into(),
            visits_of,
            relist: false,
            dirt: Dirt::default(),
        };
        live.facts.moved.grow(live.facts.people);
        live
    }

    /// The facts as they stand; listings and what is found from cases' side as of the last [`Self::settle`] and
    /// [`Self::index_meetings`].
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Number of rows in a table.
    #[must_use]
    pub fn rows_of(&self, table: Table) -> usize {
        match table {
            Table::Declarations => self.index.declarations.len(),
            Table::Checkins => self.index.checkins.len(),
            Table::Cases => self.index.cases.len(),
            Table::Quarantines => self.index.quarantines.len(),
            Table::Contacts => self.index.contacts.len(),
            Table::Stays => self.index.stays.len(),
            Table::RiskAreas => self.index.risk_areas.len(),
            Table::Tests => self.index.tests.len(),
            Table::Whitelist => self.index.whitelist.len(),
            Table::Findings => self.index.findings.len(),
            Table::Reviews => self.index.reviews.len(),
        }
    }

    /// The id of a person's token, a new one if it is met for the first time.
    pub fn person(&mut self, token: &str) -> PersonId {
        let facts = &mut self.facts;
        let person = PersonId(facts.names.persons.intern(token));
        if person.index() >= facts.people {
            facts.people = person.index() + 1;
            facts.moved.grow(facts.people);
            for ranges in [
                &mut facts.cases_of,
                &mut facts.quarantines_of,
                &mut facts.tests_of,
                &mut facts.whitelist_of,
                &mut facts.findings_of,
            ] {
                ranges.grow(facts.people);
            }
        }
        person
    }

    /// The id of a place's token, a new one if it is met for the first time.
    pub fn place(&mut self, token: &str) -> PlaceId {
        let place = PlaceId::from_index(self.facts.names.places.intern(token));
        let bound = place.index() + 1;
        for ranges in [&mut self.facts.case_stays_of, &mut self.facts.shared_stays_of, &mut self.visits_of] {
            ranges.grow(bound);
        }
        place
    }

    /// The id of a label, a new one if it is met for the first time.
    pub fn label(&mut self, text: &str) -> LabelId {
        LabelId::from_index(self.facts.names.labels.intern(text))
    }

    /// Puts names that came late in the order of bytes, which outputs want. Cost: a merge of all names with the late ones.
    pub fn sort_names(&mut self) {
        let names = &mut self.facts.names;
        names.persons.sort();
        names.places.sort();
        names.labels.sort();
    }

    fn touch(&mut self, persons: impl IntoIterator<Item = PersonId>) {
        for person in persons {
            self.facts.moved.insert(person.index());
            self.dirt.persons.push(person);
        }
    }

    plain_tables! {
        put_checkin, remove_checkin: Checkin in checkins by checkins_of;
        put_test, remove_test: Test in tests by tests_of;
        /// Puts an entry of the white list in.
        pub upsert_whitelisting, remove_whitelisting: WhitelistEntry in whitelist by whitelist_of;
        /// Puts a finding in.
        pub upsert_finding, remove_finding: Finding in findings by findings_of;
        put_quarantine, take_quarantine: Quarantine in quarantines by quarantines_of;
    }

    /// Puts a check-in in.
    pub fn upsert_checkin(&mut self, row: Checkin) {
        self.facts.checkins_until = self.facts.checkins_until.max(row.reported_at);
        self.put_checkin(row);
    }

    /// Puts a test in.
    pub fn upsert_test(&mut self, row: Test) {
        self.facts.tests_until = self.facts.tests_until.max(row.resulted_at);
        self.put_test(row);
    }

    /// Puts a quarantine in.
    pub fn upsert_quarantine(&mut self, row: Quarantine) {
        let from = self.dirt.persons.len();
        self.put_quarantine(row);
        self.dirt.isolated.extend_from_slice(&self.dirt.persons[from..]);
    }

    fn remove_quarantine(&mut self, id: u64) -> bool {
        let from = self.dirt.persons.len();
        let removed = self.take_quarantine(id);
        self.dirt.isolated.extend_from_slice(&self.dirt.persons[from..]);
        removed
    }

    /// Puts a declaration in.
    pub fn upsert_declaration(&mut self, row: Declaration) {
        let facts = &mut self.facts;
        let (residence, came_from) = (facts.number(row.residence), row.came_from.map(|region| facts.number(region)));
        let (keys, row) = (&mut self.index.declarations, ((row, residence), came_from));
        let old = replace(keys, facts.people, &mut declarations!(facts), &mut facts.declarations_of, row);
        self.touch(old.map(|old| old.person()));
        self.touch([row.person()]);
    }

    fn remove_declaration(&mut self, id: u64) -> bool {
        let facts = &mut self.facts;
        let old = take(&mut self.index.declarations, &mut declarations!(facts), &mut facts.declarations_of, id);
        self.touch(old.map(|old| old.person()));
        old.is_some()
    }

    /// Puts a case in.
    pub fn upsert_case(&mut self, row: Case) {
        self.remove_case(row.id);
        let facts = &mut self.facts;
        let is_first = !facts.cases_of.contains(row.person.index());
        put(&mut self.index.cases, facts.people, &mut Alone(&mut facts.cases), &mut facts.cases_of, row);
        if is_first {
            self.for_placed_stays(row.person, Self::add_case_stay);
        }
        self.touch([row.person]);
        self.expose_those_met_by(row.person);
    }

    fn remove_case(&mut self, id: u64) -> bool {
        let facts = &mut self.facts;
        let old = take(&mut self.index.cases, &mut Alone(&mut facts.cases), &mut facts.cases_of, id);
        let Some(Case { person, .. }) = old else { return false };
        if !facts.cases_of.contains(person.index()) {
            self.for_placed_stays(person, Self::drop_case_stay);
        }
        self.touch([person]);
        self.expose_those_met_by(person);
        true
    }

    fn for_placed_stays(&mut self, person: PersonId, act: impl Fn(&mut Self, PlaceId, PlaceStay)) {
        for row in self.facts.stays_of.range(person.index()) {
            if let Some(place) = self.facts.stays.place[row] {
                act(self, place, self.facts.place_stay(row));
            }
        }
    }

    fn add_case_stay(&mut self, place: PlaceId, stay: PlaceStay) {
        let before = |other: &PlaceStay| other.entered_at <= stay.entered_at;
        insert(&mut Lone(&mut self.facts.case_stays), &mut self.facts.case_stays_of, place.index(), stay, before);
    }

    fn drop_case_stay(&mut self, place: PlaceId, stay: PlaceStay) {
        let is = |other: &PlaceStay| *other == stay;
        remove(&mut Lone(&mut self.facts.case_stays), &mut self.facts.case_stays_of, place.index(), is);
    }

    /// Whoever met a person, in contact or at a place, may be exposed otherwise than before.
    fn expose_those_met_by(&mut self, person: PersonId) {
        let facts = &self.facts;
        self.dirt.exposed.extend_from_slice(&facts.neighbours[facts.contacts_of.range(person.index())]);
        self.for_placed_stays(person, Self::expose_those_beside);
    }

    fn expose_those_beside(&mut self, place: PlaceId, stay: PlaceStay) {
        let visits = &self.visits[self.visits_of.range(place.index())];
        let met = visits.iter().take_while(|visit| visit.entered_at < stay.left_at);
        let met = met.filter(|visit| visit.left_at > stay.entered_at);
        self.dirt.exposed.extend(met.map(|visit| visit.person));
    }

    /// Puts a stay in.
    pub fn upsert_stay(&mut self, row: Stay) {
        self.remove_stay(row.id);
        let facts = &mut self.facts;
        let row = (row, facts.number(row.region));
        put(&mut self.index.stays, facts.people, &mut stays!(facts), &mut facts.stays_of, row);
        if let Some((place, stay)) = visit_of(&row.0) {
            let before = |other: &PlaceStay| other.entered_at <= stay.entered_at;
            insert(&mut Lone(&mut self.visits), &mut self.visits_of, place.index(), stay, before);
            if self.facts.cases_of.contains(stay.person.index()) {
                self.add_case_stay(place, stay);
                self.expose_those_beside(place, stay);
            }
        }
        self.touch([row.person()]);
        self.dirt.exposed.push(row.person());
    }

    fn remove_stay(&mut self, id: u64) -> bool {
        let facts = &mut self.facts;
        let old = take(&mut self.index.stays, &mut stays!(facts), &mut facts.stays_of, id);
        let Some((row, _)) = old else { return false };
        if let Some((place, stay)) = visit_of(&row) {
            remove(&mut Lone(&mut self.visits), &mut self.visits_of, place.index(), |other| *other == stay);
            if self.facts.cases_of.contains(stay.person.index()) {
                self.drop_case_stay(place, stay);
                self.expose_those_beside(place, stay);
            }
        }
        self.touch([row.person]);
        self.dirt.exposed.push(row.person);
        true
    }

    /// Puts a contact in.
    ///
    /// # Panics
    /// If there are 2^32 contacts.
    pub fn upsert_contact(&mut self, contact: Contact) {
        self.remove_contact(contact.id);
        let Self { facts, index, free, .. } = self;
        if index.contacts.is_full() {
            let standing = (0..facts.contacts.len()).filter(|&row| facts.stands(Table::Contacts, row));
            let short = |row| u32::try_from(row).expect("rows are numbered by 32 bits");
            index.contacts.renew(standing.map(|row| (facts.contacts.id[row], short(row))));
        }
        let row = free.pop().unwrap_or_else(|| {
            let row = facts.contacts.open(1, contact);
            u32::try_from(row).expect("rows are numbered by 32 bits")
        });
        facts.contacts.set(row as usize, contact);
        if facts.contacts_lost.contains_any(row as usize) {
            facts.contacts_lost.remove(row as usize);
        }
        index.contacts.put(contact.id, row);
        for (person, other) in [(contact.person_a, contact.person_b), (contact.person_b, contact.person_a)] {
            let mut ends = ends!(self.facts);
            insert(&mut ends, &mut self.facts.contacts_of, person.index(), (other, ContactRow(row)), |_| true);
        }
        self.link(contact.person_a, contact.person_b);
    }

    /// Two persons have met, or have not: that exposes who met a case, and may pass an exposure on.
    fn link(&mut self, one: PersonId, other: PersonId) {
        for (person, other) in [(one, other), (other, one)] {
            if self.facts.cases_of.contains(other.index()) {
                self.dirt.exposed.push(person);
            }
        }
        self.dirt.linked.push((one, other));
    }

    fn remove_contact(&mut self, id: u64) -> bool {
        let facts = &mut self.facts;
        let Some(row) = self.index.contacts.take(id, |row| facts.contacts.id[row as usize] == id) else { return false };
        let contact = facts.contacts.row(row as usize);
        for person in [contact.person_a, contact.person_b] {
            let mut ends = ends!(self.facts);
            remove(&mut ends, &mut self.facts.contacts_of, person.index(), |&(_, other)| other == ContactRow(row));
        }
        self.link(contact.person_a, contact.person_b);
        let facts = &mut self.facts;
        facts.contacts_lost.grow(row as usize + 1);
        facts.contacts_lost.insert(row as usize);
        // The base is never written: a row of it is left behind.
        if row as usize >= facts.contacts.id.base().len() {
            self.free.push(row);
        }
        true
    }

    /// Puts a listing in; it counts from the next [`Self::settle`] on.
    pub fn upsert_risk_area(&mut self, area: RiskArea) {
        let old = self.index.risk_areas.insert(area.id, area);
        self.dirt.regions.extend(old.map(|old| old.region).into_iter().chain([area.region]));
        self.relist = true;
    }

    fn remove_risk_area(&mut self, id: u64) -> bool {
        let old = self.index.risk_areas.remove(&id);
        self.dirt.regions.extend(old.map(|old| old.region));
        self.relist |= old.is_some();
        old.is_some()
    }

    /// Puts a review in. No rule reads it.
    pub fn upsert_review(&mut self, review: Review) {
        if let Some(&row) = self.index.reviews.get(&review.id) {
            self.facts.reviews.set(row, review);
        } else {
            self.index.reviews.insert(review.id, self.facts.reviews.len());
            self.facts.reviews.push(review);
        }
    }

    fn remove_review(&mut self, id: u64) -> bool {
        let Some(row) = self.index.reviews.remove(&id) else { return false };
        let reviews = &mut self.facts.reviews;
        let last = reviews.len() - 1;
        if row < last {
            let moved = reviews.row(last);
            reviews.set(row, moved);
            self.index.reviews.insert(moved.id, row);
        }
        reviews.truncate(last);
        true
    }

    /// Takes a row out. Gives whether it was there.
    pub fn delete(&mut self, table: Table, id: u64) -> bool {
        match table {
            Table::Declarations => self.remove_declaration(id),
            Table::Checkins => self.remove_checkin(id),
            Table::Cases => self.remove_case(id),
            Table::Quarantines => self.remove_quarantine(id),
            Table::Contacts => self.remove_contact(id),
            Table::Stays => self.remove_stay(id),
            Table::RiskAreas => self.remove_risk_area(id),
            Table::Tests => self.remove_test(id),
            Table::Whitelist => self.remove_whitelisting(id),
            Table::Findings => self.remove_finding(id),
            Table::Reviews => self.remove_review(id),
        }
    }

    /// Ends a run of changes: listings count, and whom the changes may concern is handed over.
    pub fn settle(&mut self) -> Dirt {
        self.relist();
        std::mem::take(&mut self.dirt)
    }

    /// Lets listings count that were put in or taken out.
    pub(super) fn relist(&mut self) {
        if std::mem::take(&mut self.relist) {
            let mut listings = RiskAreas::default();
            for &area in self.index.risk_areas.values() {
                listings.push(area);
            }
            let regions = Arc::unwrap_or_clone(std::mem::take(&mut self.facts.regions));
            self.facts.regions = regions.relisted(listings).into();
        }
    }
}

fn visit_of(stay: &Stay) -> Option<(PlaceId, PlaceStay)> {
    let Stay { person, row, entered_at, left_at, .. } = *stay;
    Some((stay.place?, PlaceStay { person, row: row.into(), entered_at, left_at }))
}
