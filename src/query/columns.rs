//! The columns of the tables of facts as Arrow arrays.
//!
//! The one idea: a column that is kept as Arrow keeps it is handed over as it lies in memory; of ids the tokens' views are
//! gathered, of codes the names'; only the bits that say what is null are made.
//!
//! Cost: nothing a row for numbers and instants without null; a bit for those with; 16 bytes for a text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringViewArray, TimestampMicrosecondArray, UInt8Array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt32Type, UInt64Type};
use arrow::error::ArrowError;

use super::names::Views;
use super::rows::Rows;
use crate::facts::Facts;
use crate::model::flat::Element;
use crate::model::schema::instant_type;
use crate::model::{
    Admission, CaseKind, Chunked, ClosedEnum, DocType, EnumSet, Flat, LabelId, Level, Optional, Outcome, PersonId,
    PlaceId, QuarantineKind, Region, ReviewState, Setting, Symptom, Table, TestResult, Timestamp,
};

/// Where a column lies, and what its values mean.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    /// Keys of rows.
    Id(fn(&Facts) -> &Chunked<u64>),
    /// Seconds.
    Count(fn(&Facts) -> &Chunked<u32>),
    Person(fn(&Facts) -> &Chunked<PersonId>),
    Place(fn(&Facts) -> &Chunked<Option<PlaceId>>),
    Label(fn(&Facts) -> &Chunked<LabelId>),
    MaybeLabel(fn(&Facts) -> &Chunked<Option<LabelId>>),
    Region(fn(&Facts) -> &Chunked<Region>),
    MaybeRegion(fn(&Facts) -> &Chunked<Option<Region>>),
    /// Instants that are there.
    Instant(fn(&Facts) -> &Chunked<Timestamp>),
    /// Ends, of which `NEVER` is null.
    End(fn(&Facts) -> &Chunked<Timestamp>),
    MaybeInstant(fn(&Facts) -> &Chunked<Optional<Timestamp>>),
    Seat(fn(&Facts) -> &Chunked<Optional<u16>>),
    /// Degrees, of which NaN is null.
    Temperature(fn(&Facts) -> &Chunked<f64>),
    Symptom(fn(&Facts) -> &Chunked<EnumSet<Symptom>>, Symptom),
    Admission(fn(&Facts) -> &Chunked<EnumSet<Admission>>, Admission),
    /// One of a few names, whose number is a byte; a number past them is null.
    Name(fn(&Facts, &Rows<'_>) -> ScalarBuffer<u8>, &'static [&'static str]),
}

use Kept::{Count, End, Id, Instant, Label, MaybeInstant, MaybeLabel, MaybeRegion, Name, Person, Place, Seat};

const DECLARATIONS: &[Kept] = &[
    Id(|facts| &facts.declarations.id),
    Person(|facts| &facts.declarations.person),
    Instant(|facts| &facts.declarations.declared_at),
    Name(|facts, rows| bytes(&facts.declarations.doc_type, rows), DocType::NAMES),
    Kept::Region(|facts| &facts.declarations.residence),
    MaybeRegion(|facts| &facts.declarations.came_from),
    MaybeInstant(|facts| &facts.declarations.arrived_at),
    Kept::Symptom(|facts| &facts.declarations.symptoms, Symptom::Fever),
    Kept::Symptom(|facts| &facts.declarations.symptoms, Symptom::Dyspnea),
    Kept::Symptom(|facts| &facts.declarations.symptoms, Symptom::Respiratory),
    Kept::Admission(|facts| &facts.declarations.admissions, Admission::ContactWithCase),
    Kept::Admission(|facts| &facts.declarations.admissions, Admission::VisitedKeyArea),
    MaybeLabel(|facts| &facts.declarations.enterprise),
];
const CHECKINS: &[Kept] = &[
    Id(|facts| &facts.checkins.id),
    Person(|facts| &facts.checkins.person),
    Instant(|facts| &facts.checkins.reported_at),
    Kept::Temperature(|facts| &facts.checkins.temperature_c),
    Kept::Symptom(|facts| &facts.checkins.symptoms, Symptom::Fever),
    Kept::Symptom(|facts| &facts.checkins.symptoms, Symptom::Dyspnea),
    Kept::Symptom(|facts| &facts.checkins.symptoms, Symptom::Respiratory),
    MaybeLabel(|facts| &facts.checkins.enterprise),
];
const CASES: &[Kept] = &[
    Id(|facts| &facts.cases.id),
    Person(|facts| &facts.cases.person),
    Name(|facts, rows| bytes(&facts.cases.kind, rows), CaseKind::NAMES),
    MaybeInstant(|facts| &facts.cases.onset_at),
    Instant(|facts| &facts.cases.reported_at),
    End(|facts| &facts.cases.isolated_at),
    Name(|facts, rows| bytes(&facts.cases.outcome, rows), Outcome::NAMES),
    End(|facts| &facts.cases.outcome_at),
];
const QUARANTINES: &[Kept] = &[
    Id(|facts| &facts.quarantines.id),
    Person(|facts| &facts.quarantines.person),
    Name(|facts, rows| bytes(&facts.quarantines.kind, rows), QuarantineKind::NAMES),
    Instant(|facts| &facts.quarantines.started_at),
    End(|facts| &facts.quarantines.ended_at),
];
const CONTACTS: &[Kept] = &[
    Id(|facts| &facts.contacts.id),
    Person(|facts| &facts.contacts.person_a),
    Person(|facts| &facts.contacts.person_b),
    Instant(|facts| &facts.contacts.started_at),
    Count(|facts| &facts.contacts.duration_s),
    Name(|facts, rows| bytes(&facts.contacts.setting, rows), Setting::NAMES),
];
const STAYS: &[Kept] = &[
    Id(|facts| &facts.stays.id),
    Person(|facts| &facts.stays.person),
    Kept::Region(|facts| &facts.stays.region),
    Place(|facts| &facts.stays.place),
    Instant(|facts| &facts.stays.entered_at),
    End(|facts| &facts.stays.left_at),
    Seat(|facts| &facts.stays.row),
];
const RISK_AREAS: &[Kept] = &[
    Id(|facts| &facts.risk_areas().id),
    Kept::Region(|facts| &facts.risk_areas().region),
    Name(|facts, rows| bytes(&facts.risk_areas().level, rows), Level::NAMES),
    Instant(|facts| &facts.risk_areas().listed_at),
    End(|facts| &facts.risk_areas().delisted_at),
];
const TESTS: &[Kept] = &[
    Id(|facts| &facts.tests.id),
    Person(|facts| &facts.tests.person),
    Instant(|facts| &facts.tests.sampled_at),
    Instant(|facts| &facts.tests.resulted_at),
    Name(|facts, rows| bytes(&facts.tests.result, rows), TestResult::NAMES),
];
const WHITELIST: &[Kept] = &[
    Id(|facts| &facts.whitelist.id),
    Person(|facts| &facts.whitelist.person),
    Instant(|facts| &facts.whitelist.from_at),
    End(|facts| &facts.whitelist.until_at),
    Label(|facts| &facts.whitelist.reason),
];
const FINDINGS: &[Kept] = &[
    Id(|facts| &facts.findings.id),
    Person(|facts| &facts.findings.person),
    Instant(|facts| &facts.findings.found_at),
    End(|facts| &facts.findings.lifted_at),
];
const REVIEWS: &[Kept] = &[
    Id(|facts| &facts.reviews.id),
    Person(|facts| &facts.reviews.person),
    Kept::Region(|facts| &facts.reviews.district),
    Instant(|facts| &facts.reviews.filed_at),
    Name(|facts, rows| bytes(&facts.reviews.state, rows), ReviewState::NAMES),
    End(|facts| &facts.reviews.decided_at),
];

/// Where the columns of a table lie, in the order of [`Table::columns`].
pub(super) const fn kept(table: Table) -> &'static [Kept] {
    match table {
        Table::Declarations => DECLARATIONS,
        Table::Checkins => CHECKINS,
        Table::Cases => CASES,
        Table::Quarantines => QUARANTINES,
        Table::Contacts => CONTACTS,
        Table::Stays => STAYS,
        Table::RiskAreas => RISK_AREAS,
        Table::Tests => TESTS,
        Table::Whitelist => WHITELIST,
        Table::Findings => FINDINGS,
        Table::Reviews => REVIEWS,
    }
}

/// The schema under which a table is asked: the contract's, with texts as views.
pub(super) fn schema(table: Table) -> SchemaRef {
    with_views(&table.schema())
}

/// A schema with its texts as views, as all tables here have them; lists stay as they are.
pub(super) fn with_views(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<Arc<Field>>>()))
}

/// Some rows of a column.
///
/// # Errors
/// None that facts give rise to.
pub(super) fn array(kept: Kept, facts: &Facts, views: &Views, rows: &Rows<'_>) -> Result<ArrayRef, ArrowError> {
    Ok(match kept {
        Id(column) => Arc::new(values::<UInt64Type, _>(column(facts), rows)),
        Count(column) => Arc::new(values::<UInt32Type, _>(column(facts), rows)),
        Kept::Region(column) => Arc::new(values::<UInt32Type, _>(column(facts), rows)),
        Person(column) => views.persons(facts, &values(column(facts), rows))?,
        Place(column) => views.places(facts, &values(column(facts), rows))?,
        Label(column) => views.labels(facts, &values(column(facts), rows))?,
        MaybeLabel(column) => views.labels(facts, &values(column(facts), rows))?,
        MaybeRegion(column) => Arc::new(but_for(&values::<UInt32Type, _>(column(facts), rows), |code| code == 0)),
        Instant(column) => Arc::new(instants(values(column(facts), rows))),
        End(column) => {
            let never = |at| at == Timestamp::NEVER.0;
            Arc::new(instants(but_for(&values(column(facts), rows), never)))
        }
        MaybeInstant(column) => {
            let none = |at| at == Timestamp::EARLIEST.0;
            Arc::new(instants(but_for(&values(column(facts), rows), none)))
        }
        // What stands for no seat does not fit.
        Seat(column) => cast(&values::<UInt32Type, _>(column(facts), rows), &DataType::UInt16)?,
        Kept::Temperature(column) => Arc::new(but_for(&values::<Float64Type, _>(column(facts), rows), f64::is_nan)),
        Kept::Symptom(column, symptom) => flags(column(facts), rows, symptom),
        Kept::Admission(column, admission) => flags(column(facts), rows, admission),
        Name(column, names) => {
            let codes = column(facts, rows);
            let nulls: NullBuffer = codes.iter().map(|&code| usize::from(code) < names.len()).collect();
            let codes = UInt8Array::new(codes, Some(nulls).filter(|nulls| nulls.null_count() > 0));
            take(&StringViewArray::from_iter_values(names), &codes, None)?
        }
    })
}

/// Rows of a column whose values Arrow keeps alike. Cost: of a range of the base, none.
fn values<T: ArrowPrimitiveType, E: Element>(column: &Chunked<E>, rows: &Rows<'_>) -> PrimitiveArray<T> {
    PrimitiveArray::new(buffer(column, rows).into(), None)
}

/// Rows of a column whose values are a byte.
fn bytes<E: Element>(column: &Chunked<E>, rows: &Rows<'_>) -> ScalarBuffer<u8> {
    buffer(column, rows).into()
}

/// The bytes of some rows of a column.
fn buffer<E: Element>(column: &Chunked<E>, rows: &Rows<'_>) -> Buffer {
    match rows {
        Rows::Range(rows) if rows.end <= column.base().len() => column.base().part(rows.clone()),
        Rows::Range(rows) => Flat::<E>::from(column[rows.clone()].to_vec()).into_buffer(),
        Rows::List(rows) => rows.iter().map(|&row| column[row as usize]).collect::<Flat<E>>().into_buffer(),
    }
}

/// The values, but for those that stand for nothing.
fn but_for<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    is_none: impl Fn(T::Native) -> bool,
) -> PrimitiveArray<T> {
    let nulls: NullBuffer = values.values().iter().map(|&value| !is_none(value)).collect();
    PrimitiveArray::new(values.values().clone(), Some(nulls))
}

/// Instants as the contract types them.
fn instants(values: TimestampMicrosecondArray) -> TimestampMicrosecondArray {
    values.with_data_type(instant_type())
}

fn flags<E: ClosedEnum>(column: &Chunked<EnumSet<E>>, rows: &Rows<'_>, flag: E) -> ArrayRef
where
    EnumSet<E>: Element,
{
    let bits = bytes(column, rows);
    Arc::new(bits.iter().map(|bits| Some(bits >> flag.index() & 1 == 1)).collect::<BooleanArray>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_contract_is_kept_somewhere() {
        for table in Table::ALL {
            assert_eq!(kept(table).len(), table.columns().len(), "{}", table.name());
        }
    }
}
