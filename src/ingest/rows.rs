//! From decoded cells to checked rows, one function a table.
//!
//! The one idea: columns are read in the contract's order and refuse the row at the first fault, then the whole row is checked;
//! so the reason given for a row with several faults is always the same one.

use rayon::prelude::*;

use super::cells::{Chunk, Refusal, present};
use crate::intern::{Provisional, Remap};
use crate::model::facts::{
    Case, Cases, Checkin, Checkins, Contact, Contacts, Declaration, Declarations, Finding, Findings, Quarantine,
    Quarantines, Review, Reviews, RiskArea, RiskAreas, Stay, Stays, TableColumns, Tables, Test, Tests, Whitelist,
    WhitelistEntry,
};
use crate::model::{
    Admission, ClosedEnum, EnumSet, LabelId, Origin, PersonId, PlaceId, Reason, Region, Symptom, Table, Timestamp,
};

/// Final ids of a load's tokens.
pub(super) struct Remaps {
    pub(super) persons: Remap,
    pub(super) places: Remap,
    pub(super) labels: Remap,
}

impl Remaps {
    fn persons(&self, column: &mut [PersonId]) {
        column.par_iter_mut().for_each(|id| *id = PersonId(self.persons.apply(Provisional(id.0))));
    }

    fn places(&self, column: &mut [Option<PlaceId>]) {
        for id in column.iter_mut().flatten() {
            *id = PlaceId::from_index(self.places.apply(provisional(id.index())));
        }
    }

    fn labels<'a>(&self, column: impl Iterator<Item = &'a mut LabelId>) {
        for id in column {
            *id = LabelId::from_index(self.labels.apply(provisional(id.index())));
        }
    }
}

fn provisional(index: usize) -> Provisional {
    Provisional(u32::try_from(index).unwrap_or(u32::MAX))
}

/// A table that can be read from cells.
pub(super) trait Decode: TableColumns {
    const TABLE: Table;

    /// The row, checked, or why it is refused. `offset` is its row or line in the source.
    fn decode(chunk: &Chunk, row: usize, offset: u64) -> Result<Self::Row, Refusal>;

    /// Turns provisional ids into final ones.
    fn remap(&mut self, maps: &Remaps);

    /// This table among all.
    fn of(tables: &mut Tables) -> &mut Self;
}

fn require(holds: bool, reason: Reason, column: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal { reason, column: Some(column) }) }
}

fn interval(from: Timestamp, to: Timestamp, end_column: &'static str) -> Result<(), Refusal> {
    require(from <= to, Reason::Interval, end_column)
}

/// Typed reading of one row, column by column in the contract's order; `at` counts them.
struct Cursor<'a> {
    chunk: &'a Chunk,
    row: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    const fn new(chunk: &'a Chunk, row: usize) -> Self {
        Self { chunk, row, at: 0 }
    }

    const fn advance(&mut self) -> usize {
        self.at += 1;
        self.at - 1
    }

    fn id(&mut self) -> Result<u64, Refusal> {
        let column = self.advance();
        present(self.chunk.uint(column, self.row))
    }

    fn person(&mut self) -> Result<PersonId, Refusal> {
        let column = self.advance();
        present(self.chunk.person(column, self.row))
    }

    fn place(&mut self) -> Result<Option<PlaceId>, Refusal> {
        let column = self.advance();
        self.chunk.place(column, self.row)
    }

    fn label(&mut self) -> Result<Option<LabelId>, Refusal> {
        let column = self.advance();
        self.chunk.label(column, self.row)
    }

    fn instant(&mut self) -> Result<Timestamp, Refusal> {
        let column = self.advance();
        present(self.chunk.instant(column, self.row))
    }

    fn instant_if(&mut self) -> Result<Option<Timestamp>, Refusal> {
        let column = self.advance();
        self.chunk.instant(column, self.row)
    }

    /// An end: null is open.
    fn end(&mut self) -> Result<Timestamp, Refusal> {
        Ok(self.instant_if()?.unwrap_or(Timestamp::NEVER))
    }

    fn region_if(&mut self) -> Result<Option<Region>, Refusal> {
        let column = self.advance();
        let code = self.chunk.uint(column, self.row)?;
        Ok(code.and_then(|code| u32::try_from(code).ok()).and_then(Region::new))
    }

    fn region(&mut self) -> Result<Region, Refusal> {
        present(self.region_if())
    }

    fn uint<T: TryFrom<u64>>(&mut self) -> Result<Option<T>, Refusal> {
        let column = self.advance();
        Ok(self.chunk.uint(column, self.row)?.and_then(|value| T::try_from(value).ok()))
    }

    fn enumeration_if<E: ClosedEnum>(&mut self) -> Result<Option<E>, Refusal> {
        let column = self.advance();
        Ok(self.chunk.code(column, self.row)?.map(|code| E::ALL[usize::from(code)]))
    }

    fn enumeration<E: ClosedEnum>(&mut self) -> Result<E, Refusal> {
        present(self.enumeration_if())
    }

    /// One flag a value of the enumeration, in its order.
    fn flags<E: ClosedEnum>(&mut self) -> Result<EnumSet<E>, Refusal> {
        E::ALL.iter().try_fold(EnumSet::EMPTY, |set, &value| {
            let column = self.advance();
            Ok(set.with(value, present(self.chunk.bool(column, self.row))?))
        })
    }

    fn celsius(&mut self) -> Result<f64, Refusal> {
        let column = self.advance();
        Ok(self.chunk.float(column, self.row)?.unwrap_or(f64::NAN))
    }
}

impl Decode for Declarations {
    const TABLE: Table = Table::Declarations;

    fn decode(chunk: &Chunk, row: usize, offset: u64) -> Result<Declaration, Refusal> {
        let mut next = Cursor::new(chunk, row);
        Ok(Declaration {
            id: next.id()?,
            person: next.person()?,
            declared_at: next.instant()?,
            doc_type: next.enumeration()?,
            residence: next.region()?,
            came_from: next.region_if()?,
            arrived_at: next.instant_if()?,
            symptoms: next.flags::<Symptom>()?,
            admissions: next.flags::<Admission>()?,
            enterprise: next.label()?,
            origin: Origin { source: chunk.source, offset: u32::try_from(offset).unwrap_or(u32::MAX) },
        })
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
        maps.labels(self.enterprise.iter_mut().flatten());
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.declarations
    }
}

impl Decode for Checkins {
    const TABLE: Table = Table::Checkins;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Checkin, Refusal> {
        let mut next = Cursor::new(chunk, row);
        Ok(Checkin {
            id: next.id()?,
            person: next.person()?,
            reported_at: next.instant()?,
            temperature_c: next.celsius()?,
            symptoms: next.flags::<Symptom>()?,
            enterprise: next.label()?,
        })
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
        maps.labels(self.enterprise.iter_mut().flatten());
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.checkins
    }
}

impl Decode for Cases {
    const TABLE: Table = Table::Cases;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Case, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let case = Case {
            id: next.id()?,
            person: next.person()?,
            kind: next.enumeration()?,
            onset_at: next.instant_if()?,
            reported_at: next.instant()?,
            isolated_at: next.end()?,
            outcome: next.enumeration_if()?,
            outcome_at: next.end()?,
        };
        let dated = !case.outcome_at.is_never();
        require(case.outcome.is_some() == dated, Reason::OutcomePair, "outcome_at")?;
        Ok(case)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.cases
    }
}

impl Decode for Quarantines {
    const TABLE: Table = Table::Quarantines;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Quarantine, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let quarantine = Quarantine {
            id: next.id()?,
            person: next.person()?,
            kind: next.enumeration()?,
            started_at: next.instant()?,
            ended_at: next.end()?,
        };
        interval(quarantine.started_at, quarantine.ended_at, "ended_at")?;
        Ok(quarantine)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.quarantines
    }
}

impl Decode for Contacts {
    const TABLE: Table = Table::Contacts;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Contact, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let contact = Contact {
            id: next.id()?,
            person_a: next.person()?,
            person_b: next.person()?,
            started_at: next.instant()?,
            duration_s: present(next.uint())?,
            setting: next.enumeration()?,
        };
        require(contact.person_a != contact.person_b, Reason::SamePerson, "person_b")?;
        require(contact.duration_s > 0, Reason::ZeroDuration, "duration_s")?;
        Ok(contact)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person_a);
        maps.persons(&mut self.person_b);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.contacts
    }
}

impl Decode for Stays {
    const TABLE: Table = Table::Stays;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Stay, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let stay = Stay {
            id: next.id()?,
            person: next.person()?,
            region: next.region()?,
            place: next.place()?,
            entered_at: next.instant()?,
            left_at: next.end()?,
            row: next.uint()?,
        };
        interval(stay.entered_at, stay.left_at, "left_at")?;
        Ok(stay)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
        maps.places(&mut self.place);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.stays
    }
}

impl Decode for RiskAreas {
    const TABLE: Table = Table::RiskAreas;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<RiskArea, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let area = RiskArea {
            id: next.id()?,
            region: next.region()?,
            level: next.enumeration()?,
            listed_at: next.instant()?,
            delisted_at: next.end()?,
        };
        interval(area.listed_at, area.delisted_at, "delisted_at")?;
        Ok(area)
    }

    fn remap(&mut self, _maps: &Remaps) {}

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.risk_areas
    }
}

impl Decode for Tests {
    const TABLE: Table = Table::Tests;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Test, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let test = Test {
            id: next.id()?,
            person: next.person()?,
            sampled_at: next.instant()?,
            resulted_at: next.instant()?,
            result: next.enumeration()?,
        };
        require(test.sampled_at <= test.resulted_at, Reason::ResultBeforeSample, "resulted_at")?;
        Ok(test)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.tests
    }
}

impl Decode for Whitelist {
    const TABLE: Table = Table::Whitelist;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<WhitelistEntry, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let entry = WhitelistEntry {
            id: next.id()?,
            person: next.person()?,
            from_at: next.instant()?,
            until_at: next.end()?,
            reason: present(next.label())?,
        };
        interval(entry.from_at, entry.until_at, "until_at")?;
        Ok(entry)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
        maps.labels(self.reason.iter_mut());
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.whitelist
    }
}

impl Decode for Findings {
    const TABLE: Table = Table::Findings;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Finding, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let finding =
            Finding { id: next.id()?, person: next.person()?, found_at: next.instant()?, lifted_at: next.end()? };
        interval(finding.found_at, finding.lifted_at, "lifted_at")?;
        Ok(finding)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.findings
    }
}

impl Decode for Reviews {
    const TABLE: Table = Table::Reviews;

    fn decode(chunk: &Chunk, row: usize, _offset: u64) -> Result<Review, Refusal> {
        let mut next = Cursor::new(chunk, row);
        let review = Review {
            id: next.id()?,
            person: next.person()?,
            district: next.region()?,
            filed_at: next.instant()?,
            state: next.enumeration()?,
            decided_at: next.end()?,
        };
        interval(review.filed_at, review.decided_at, "decided_at")?;
        Ok(review)
    }

    fn remap(&mut self, maps: &Remaps) {
        maps.persons(&mut self.person);
    }

    fn of(tables: &mut Tables) -> &mut Self {
        &mut tables.reviews
    }
}
