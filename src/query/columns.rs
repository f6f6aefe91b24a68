//! The columns of the tables of facts as Arrow arrays.
//!
//! The one idea: a column that is kept as Arrow keeps it is handed over as it lies in memory; of ids the tokens' views are
//! gathered, of codes the names'; only the bits that say what is null are made.
//!
//! Cost: nothing a row for numbers and instants without null; a bit for those with; 16 bytes for a text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray as _, BooleanArray, PrimitiveArray, StringViewArray,
    TimestampMicrosecondArray, UInt8Array, UInt32Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt32Type, UInt64Type};
use arrow::error::ArrowError;

use super::names::Views;
use super::rows::Rows;
use crate::facts::Facts;
use crate::model::flat::Element;
use crate::model::schema::instant_type;
use crate::model::{
    Admission, CaseKind, ClosedEnum, DocType, EnumSet, Flat, LabelId, Level, Optional, Outcome, PersonId, PlaceId,
    QuarantineKind, Region, ReviewState, Setting, Symptom, Table, TestResult, Timestamp,
};

/// Where a column lies, and what its values mean.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    /// Keys of rows.
    Id(fn(&Facts) -> &Flat<u64>),
    /// Seconds.
    Count(fn(&Facts) -> &Flat<u32>),
    Person(fn(&Facts) -> &Flat<PersonId>),
    Place(fn(&Facts) -> &Flat<Option<PlaceId>>),
    Label(fn(&Facts) -> &Flat<LabelId>),
    MaybeLabel(fn(&Facts) -> &Flat<Option<LabelId>>),
    Region(fn(&Facts) -> &Flat<Region>),
    MaybeRegion(fn(&Facts) -> &Flat<Option<Region>>),
    /// Instants that are there.
    Instant(fn(&Facts) -> &Flat<Timestamp>),
    /// Ends, of which `NEVER` is null.
    End(fn(&Facts) -> &Flat<Timestamp>),
    MaybeInstant(fn(&Facts) -> &Flat<Optional<Timestamp>>),
    Seat(fn(&Facts) -> &Flat<Optional<u16>>),
    /// Degrees, of which NaN is null.
    Temperature(fn(&Facts) -> &Flat<f64>),
    Symptom(fn(&Facts) -> &Flat<EnumSet<Symptom>>, Symptom),
    Admission(fn(&Facts) -> &Flat<EnumSet<Admission>>, Admission),
    /// One of a few names, whose number is a byte; a number past them is null.
    Name(fn(&Facts) -> &[u8], &'static [&'static str]),
}

use Kept::{Count, End, Id, Instant, Label, MaybeInstant, MaybeLabel, MaybeRegion, Name, Person, Place, Seat};

const DECLARATIONS: &[Kept] = &[
    Id(|facts| &facts.declarations.id),
    Person(|facts| &facts.declarations.person),
    Instant(|facts| &facts.declarations.declared_at),
    Name(|facts| facts.declarations.doc_type.bytes(), DocType::NAMES),
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
    Name(|facts| facts.cases.kind.bytes(), CaseKind::NAMES),
    MaybeInstant(|facts| &facts.cases.onset_at),
    Instant(|facts| &facts.cases.reported_at),
    End(|facts| &facts.cases.isolated_at),
    Name(|facts| facts.cases.outcome.bytes(), Outcome::NAMES),
    End(|facts| &facts.cases.outcome_at),
];
const QUARANTINES: &[Kept] = &[
    Id(|facts| &facts.quarantines.id),
    Person(|facts| &facts.quarantines.person),
    Name(|facts| facts.quarantines.kind.bytes(), QuarantineKind::NAMES),
    Instant(|facts| &facts.quarantines.started_at),
    End(|facts| &facts.quarantines.ended_at),
];
const CONTACTS: &[Kept] = &[
    Id(|facts| &facts.contacts.id),
    Person(|facts| &facts.contacts.person_a),
    Person(|facts| &facts.contacts.person_b),
    Instant(|facts| &facts.contacts.started_at),
    Count(|facts| &facts.contacts.duration_s),
    Name(|facts| facts.contacts.setting.bytes(), Setting::NAMES),
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
    Name(|facts| facts.risk_areas().level.bytes(), Level::NAMES),
    Instant(|facts| &facts.risk_areas().listed_at),
    End(|facts| &facts.risk_areas().delisted_at),
];
const TESTS: &[Kept] = &[
    Id(|facts| &facts.tests.id),
    Person(|facts| &facts.tests.person),
    Instant(|facts| &facts.tests.sampled_at),
    Instant(|facts| &facts.tests.resulted_at),
    Name(|facts| facts.tests.result.bytes(), TestResult::NAMES),
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
    Name(|facts| facts.reviews.state.bytes(), ReviewState::NAMES),
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
        Person(column) => texts(views.persons(facts), &values(column(facts), rows))?,
        Place(column) => texts(views.places(facts), &values(column(facts), rows))?,
        Label(column) => texts(views.labels(facts), &values(column(facts), rows))?,
        MaybeLabel(column) => texts(views.labels(facts), &values(column(facts), rows))?,
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
            let codes = rows.bytes(column(facts));
            let nulls: NullBuffer = codes.iter().map(|&code| usize::from(code) < names.len()).collect();
            let codes = UInt8Array::new(codes, Some(nulls).filter(|nulls| nulls.null_count() > 0));
            take(&StringViewArray::from_iter_values(names), &codes, None)?
        }
    })
}

/// Texts of tokens. A view keeps all long tokens in memory: those that are not named are left behind.
///
/// # Errors
/// None where codes are of the tokens.
pub(super) fn texts(views: &StringViewArray, codes: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    let texts = take(views, codes, None)?;
    Ok(if views.data_buffers().is_empty() { texts } else { Arc::new(texts.as_string_view().gc()) })
}

/// Rows of a column whose values Arrow keeps alike. Cost: of a range, none.
fn values<T: ArrowPrimitiveType, E: Element>(column: &Flat<E>, rows: &Rows<'_>) -> PrimitiveArray<T> {
    match rows {
        Rows::Range(rows) => PrimitiveArray::new(column.part(rows.clone()).into(), None),
        Rows::List(rows) => {
            let whole = ScalarBuffer::<T::Native>::from(column.buffer());
            PrimitiveArray::from_iter_values(rows.iter().map(|&row| whole[row as usize]))
        }
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

fn flags<E: ClosedEnum>(column: &Flat<EnumSet<E>>, rows: &Rows<'_>, flag: E) -> ArrayRef
where
    EnumSet<E>: Element,
{
    let bits = rows.bytes(column.bytes());
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
