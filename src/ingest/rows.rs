//! From decoded cells to a table's columns and the checks of whole rows.
//!
//! The one idea: cells become a table's columns a column at a time, with something that stands for nothing where a cell is at
//! fault: such a row is refused for its first fault, in the contract's order, and taken out. A row without one is
//! checked whole; so the reason given for a row with several faults is always the same one.

use rayon::prelude::*;

use super::cells::{Chunk, Refusal, Values};
use crate::intern::{Provisional, Remap};
use crate::limits::ROWS_PER_TASK;
use crate::model::facts::{
    Case, Cases, Checkins, Contact, Contacts, Declarations, Finding, Findings, Quarantine, Quarantines, Review,
    Reviews, RiskArea, RiskAreas, Stay, Stays, TableColumns, Tables, Test, Tests, Whitelist, WhitelistEntry,
};
use crate::model::flat::Element;
use crate::model::optional::Coded;
use crate::model::{
    Admission, Chunked, ClosedEnum, EnumSet, LabelId, Optional, Origin, PersonId, PlaceId, Reason, Region, Symptom,
    Table, Timestamp,
};

/// Final ids of a load's tokens.
pub(super) struct Remaps {
    pub(super) persons: Remap,
    pub(super) places: Remap,
    pub(super) labels: Remap,
}

/// Who goes over the columns of a table that name something.
pub(super) trait NameColumns {
    /// Persons.
    fn persons(&mut self, column: &mut Chunked<PersonId>);
    /// Places.
    fn places(&mut self, column: &mut Chunked<Option<PlaceId>>);
    /// Labels.
    fn labels(&mut self, column: &mut Chunked<LabelId>);
    /// Labels that may be absent.
    fn labels_if(&mut self, column: &mut Chunked<Option<LabelId>>);
}

/// Turns provisional ids into final ones.
impl NameColumns for Remaps {
    fn persons(&mut self, column: &mut Chunked<PersonId>) {
        let name = |id: &mut PersonId| *id = PersonId(self.persons.apply(Provisional(id.0)));
        if column.len() <= ROWS_PER_TASK {
            column.base_mut().iter_mut().for_each(name);
        } else {
            column.base_mut().par_iter_mut().for_each(name);
        }
    }

    fn places(&mut self, column: &mut Chunked<Option<PlaceId>>) {
        for id in column.base_mut().iter_mut().flatten() {
            *id = PlaceId::from_index(self.places.apply(provisional(id.index())));
        }
    }

    fn labels(&mut self, column: &mut Chunked<LabelId>) {
        for id in column.base_mut().iter_mut() {
            *id = LabelId::from_index(self.labels.apply(provisional(id.index())));
        }
    }

    fn labels_if(&mut self, column: &mut Chunked<Option<LabelId>>) {
        for id in column.base_mut().iter_mut().flatten() {
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

    /// The columns, those of rows with a fault included.
    fn columns(next: Columns<'_>) -> Self;

    /// Checks a row whose cells are all right by themselves.
    fn check(_row: &Self::Row) -> Result<(), Refusal> {
        Ok(())
    }

    /// Shows the columns that name something.
    fn visit_names(&mut self, names: &mut impl NameColumns);

    /// This table among all.
    fn of(tables: &Tables) -> &Self;
    /// This table among all, to be changed.
    fn of_mut(tables: &mut Tables) -> &mut Self;
}

macro_rules! among_tables {
    ($field:ident) => {
        fn of(tables: &Tables) -> &Self {
            &tables.$field
        }

        fn of_mut(tables: &mut Tables) -> &mut Self {
            &mut tables.$field
        }
    };
}

fn require(holds: bool, reason: Reason, column: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal { reason, column: Some(column) }) }
}

fn interval(from: Timestamp, to: Timestamp, end_column: &'static str) -> Result<(), Refusal> {
    require(from <= to, Reason::Interval, end_column)
}

/// Where a cell is at fault, and its column has no value that stands for nothing.
const NOWHERE: Region = Region::new(1).expect("a code of a country");

/// Reading of a chunk's columns one after the other, in the contract's order; `at` counts them.
pub(super) struct Columns<'a> {
    chunk: &'a mut Chunk,
    at: usize,
    offset_of: &'a dyn Fn(usize) -> u64,
}

impl<'a> Columns<'a> {
    /// From the first column on; `offset_of` gives a row's row or line in the source.
    pub(super) fn new(chunk: &'a mut Chunk, offset_of: &'a dyn Fn(usize) -> u64) -> Self {
        Self { chunk, at: 0, offset_of }
    }

    /// The next column, converted, with `nothing` where a cell is at fault.
    fn read<T, U: Copy, C: FromIterator<U>>(
        &mut self,
        values: impl FnOnce(Values) -> Option<Vec<T>>,
        convert: impl Fn(T) -> U,
        nothing: U,
    ) -> C {
        let cells = &mut self.chunk.cells[self.at];
        self.at += 1;
        let Some(values) = values(std::mem::replace(&mut cells.values, Values::Absent)) else {
            return std::iter::repeat_n(nothing, self.chunk.rows).collect();
        };
        if cells.faults.is_empty() {
            return values.into_iter().map(convert).collect();
        }
        let judged = values.into_iter().zip(&cells.faults);
        judged.map(|(value, &fault)| if fault == 0 { convert(value) } else { nothing }).collect()
    }

    fn ids(&mut self) -> Chunked<u64> {
        self.uints()
    }

    fn persons(&mut self) -> Chunked<PersonId> {
        self.read(Values::token, |id| PersonId(id.0), PersonId(0))
    }

    fn places(&mut self) -> Chunked<Option<PlaceId>> {
        self.read(Values::token, |id| Some(PlaceId::from_index(id.0)), None)
    }

    fn labels(&mut self) -> Chunked<LabelId> {
        self.read(Values::token, |id| LabelId::from_index(id.0), LabelId::from_index(0))
    }

    fn labels_if(&mut self) -> Chunked<Option<LabelId>> {
        self.read(Values::token, |id| Some(LabelId::from_index(id.0)), None)
    }

    fn instants(&mut self) -> Chunked<Timestamp> {
        self.read(Values::instant, Timestamp, Timestamp::default())
    }

    fn instants_if(&mut self) -> Chunked<Optional<Timestamp>> {
        self.read(Values::instant, |micros| Some(Timestamp(micros)).into(), None.into())
    }

    /// Ends: null is open.
    fn ends(&mut self) -> Chunked<Timestamp> {
        self.read(Values::instant, Timestamp, Timestamp::NEVER)
    }

    fn regions(&mut self) -> Chunked<Region> {
        self.read(Values::uint, |code| region(code).unwrap_or(NOWHERE), NOWHERE)
    }

    fn regions_if(&mut self) -> Chunked<Option<Region>> {
        self.read(Values::uint, region, None)
    }

    fn uints<T: TryFrom<u64> + Element + Default>(&mut self) -> Chunked<T> {
        self.read(Values::uint, |value| T::try_from(value).unwrap_or_default(), T::default())
    }

    fn uints_if<T: TryFrom<u64> + Coded>(&mut self) -> Chunked<Optional<T>>
    where
        Optional<T>: Element,
    {
        self.read(Values::uint, |value| T::try_from(value).ok().into(), None.into())
    }

    fn enumerations<E: ClosedEnum + Element>(&mut self) -> Chunked<E> {
        self.read(Values::code, |code| E::ALL[usize::from(code)], E::ALL[0])
    }

    fn enumerations_if<E: ClosedEnum + Coded>(&mut self) -> Chunked<Optional<E>>
    where
        Optional<E>: Element,
    {
        self.read(Values::code, |code| Some(E::ALL[usize::from(code)]).into(), None.into())
    }

    /// One column of flags a value of the enumeration, in its order.
    fn flags<E: ClosedEnum>(&mut self) -> Chunked<EnumSet<E>>
    where
        EnumSet<E>: Element,
    {
        let mut sets = vec![EnumSet::EMPTY; self.chunk.rows];
        for &value in E::ALL {
            let flags: Vec<bool> = self.read(Values::bool, |flag| flag, false);
            for (set, &flag) in sets.iter_mut().zip(&flags) {
                *set = set.with(value, flag);
            }
        }
        sets.into_iter().collect()
    }

    fn celsius(&mut self) -> Chunked<f64> {
        self.read(Values::float, |degrees| degrees, f64::NAN)
    }

    /// Where each row came from: no column of the file.
    fn origins(&self) -> Chunked<Origin> {
        let offset = |row| u32::try_from((self.offset_of)(row)).unwrap_or(u32::MAX);
        (0..self.chunk.rows).map(|row| Origin { source: self.chunk.source, offset: offset(row) }).collect()
    }
}

fn region(code: u64) -> Option<Region> {
    u32::try_from(code).ok().and_then(Region::new)
}

impl Decode for Declarations {
    const TABLE: Table = Table::Declarations;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            declared_at: next.instants(),
            doc_type: next.enumerations(),
            residence: next.regions(),
            came_from: next.regions_if(),
            arrived_at: next.instants_if(),
            symptoms: next.flags::<Symptom>(),
            admissions: next.flags::<Admission>(),
            enterprise: next.labels_if(),
            origin: next.origins(),
        }
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
        names.labels_if(&mut self.enterprise);
    }

    among_tables!(declarations);
}

impl Decode for Checkins {
    const TABLE: Table = Table::Checkins;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            reported_at: next.instants(),
            temperature_c: next.celsius(),
            symptoms: next.flags::<Symptom>(),
            enterprise: next.labels_if(),
        }
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
        names.labels_if(&mut self.enterprise);
    }

    among_tables!(checkins);
}

impl Decode for Cases {
    const TABLE: Table = Table::Cases;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            kind: next.enumerations(),
            onset_at: next.instants_if(),
            reported_at: next.instants(),
            isolated_at: next.ends(),
            outcome: next.enumerations_if(),
            outcome_at: next.ends(),
        }
    }

    fn check(row: &Case) -> Result<(), Refusal> {
        let dated = !row.outcome_at.is_never();
        require(row.outcome.is_some() == dated, Reason::OutcomePair, "outcome_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
    }

    among_tables!(cases);
}

impl Decode for Quarantines {
    const TABLE: Table = Table::Quarantines;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            kind: next.enumerations(),
            started_at: next.instants(),
            ended_at: next.ends(),
        }
    }

    fn check(row: &Quarantine) -> Result<(), Refusal> {
        interval(row.started_at, row.ended_at, "ended_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
    }

    among_tables!(quarantines);
}

impl Decode for Contacts {
    const TABLE: Table = Table::Contacts;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person_a: next.persons(),
            person_b: next.persons(),
            started_at: next.instants(),
            duration_s: next.uints(),
            setting: next.enumerations(),
        }
    }

    fn check(row: &Contact) -> Result<(), Refusal> {
        require(row.person_a != row.person_b, Reason::SamePerson, "person_b")?;
        require(row.duration_s > 0, Reason::ZeroDuration, "duration_s")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person_a);
        names.persons(&mut self.person_b);
    }

    among_tables!(contacts);
}

impl Decode for Stays {
    const TABLE: Table = Table::Stays;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            region: next.regions(),
            place: next.places(),
            entered_at: next.instants(),
            left_at: next.ends(),
            row: next.uints_if(),
        }
    }

    fn check(row: &Stay) -> Result<(), Refusal> {
        interval(row.entered_at, row.left_at, "left_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
        names.places(&mut self.place);
    }

    among_tables!(stays);
}

impl Decode for RiskAreas {
    const TABLE: Table = Table::RiskAreas;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            region: next.regions(),
            level: next.enumerations(),
            listed_at: next.instants(),
            delisted_at: next.ends(),
        }
    }

    fn check(row: &RiskArea) -> Result<(), Refusal> {
        interval(row.listed_at, row.delisted_at, "delisted_at")
    }

    fn visit_names(&mut self, _names: &mut impl NameColumns) {}

    among_tables!(risk_areas);
}

impl Decode for Tests {
    const TABLE: Table = Table::Tests;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            sampled_at: next.instants(),
            resulted_at: next.instants(),
            result: next.enumerations(),
        }
    }

    fn check(row: &Test) -> Result<(), Refusal> {
        require(row.sampled_at <= row.resulted_at, Reason::ResultBeforeSample, "resulted_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
    }

    among_tables!(tests);
}

impl Decode for Whitelist {
    const TABLE: Table = Table::Whitelist;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            from_at: next.instants(),
            until_at: next.ends(),
            reason: next.labels(),
        }
    }

    fn check(row: &WhitelistEntry) -> Result<(), Refusal> {
        interval(row.from_at, row.until_at, "until_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
        names.labels(&mut self.reason);
    }

    among_tables!(whitelist);
}

impl Decode for Findings {
    const TABLE: Table = Table::Findings;

    fn columns(mut next: Columns<'_>) -> Self {
        Self { id: next.ids(), person: next.persons(), found_at: next.instants(), lifted_at: next.ends() }
    }

    fn check(row: &Finding) -> Result<(), Refusal> {
        interval(row.found_at, row.lifted_at, "lifted_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
    }

    among_tables!(findings);
}

impl Decode for Reviews {
    const TABLE: Table = Table::Reviews;

    fn columns(mut next: Columns<'_>) -> Self {
        Self {
            id: next.ids(),
            person: next.persons(),
            district: next.regions(),
            filed_at: next.instants(),
            state: next.enumerations(),
            decided_at: next.ends(),
        }
    }

    fn check(row: &Review) -> Result<(), Refusal> {
        interval(row.filed_at, row.decided_at, "decided_at")
    }

    fn visit_names(&mut self, names: &mut impl NameColumns) {
        names.persons(&mut self.person);
    }

    among_tables!(reviews);
}
