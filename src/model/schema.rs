//! The tables' and outputs' schemas: names, columns, types, nulls, as SPEC 1 and 3 give them.
//!
//! The one idea: [`Table::columns`] is the single list that readers, writers, documents and error messages look at.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::enums::{CaseKind, ClosedEnum, DocType, Level, Outcome, QuarantineKind, ReviewState, Setting, TestResult};

/// Type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Unsigned integer of 64 bits.
    UInt64,
    /// Unsigned integer of 32 bits.
    UInt32,
    /// Unsigned integer of 16 bits.
    UInt16,
    /// IEEE double.
    Float64,
    /// Boolean.
    Boolean,
    /// Any text.
    Text,
    /// Text of 1 to 64 bytes.
    Key,
    /// A division code.
    Region,
    /// An instant.
    Timestamp,
    /// A text out of a closed list.
    Enumeration(&'static [&'static str]),
}

impl ColumnType {
    /// The Arrow type that the contract names for such a column.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::UInt64 => DataType::UInt64,
            Self::UInt32 | Self::Region => DataType::UInt32,
            Self::UInt16 => DataType::UInt16,
            Self::Float64 => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Text | Self::Key | Self::Enumeration(_) => DataType::Utf8,
            Self::Timestamp => instant_type(),
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: ColumnType,
    /// Whether it may be null, and missing altogether.
    pub nullable: bool,
}

const fn required(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: false }
}

const fn nullable(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: true }
}

/// One of the eleven tables of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// 申报
    Declarations,
    /// 健康打卡
    Checkins,
    /// Cases.
    Cases,
    /// Quarantines.
    Quarantines,
    /// Contacts.
    Contacts,
    /// Stays, in regions and places.
    Stays,
    /// Levels of regions.
    RiskAreas,
    /// 核酸检测
    Tests,
    /// White list.
    Whitelist,
    /// 谎报瞒报
    Findings,
    /// 复核
    Reviews,
}

impl Table {
    /// All tables, in the contract's order.
    pub const ALL: [Self; 11] = [
        Self::Declarations,
        Self::Checkins,
        Self::Cases,
        Self::Quarantines,
        Self::Contacts,
        Self::Stays,
        Self::RiskAreas,
        Self::Tests,
        Self::Whitelist,
        Self::Findings,
        Self::Reviews,
    ];

    /// Name, as in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declarations => "declarations",
            Self::Checkins => "checkins",
            Self::Cases => "cases",
            Self::Quarantines => "quarantines",
            Self::Contacts => "contacts",
            Self::Stays => "stays",
            Self::RiskAreas => "risk_areas",
            Self::Tests => "tests",
            Self::Whitelist => "whitelist",
            Self::Findings => "findings",
            Self::Reviews => "reviews",
        }
    }

    /// The table so named.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Its columns, `id` first, in the contract's order.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Declarations => DECLARATIONS,
            Self::Checkins => CHECKINS,
            Self::Cases => CASES,
            Self::Quarantines => QUARANTINES,
            Self::Contacts => CONTACTS,
            Self::Stays => STAYS,
            Self::RiskAreas => RISK_AREAS,
            Self::Tests => TESTS,
            Self::Whitelist => WHITELIST,
            Self::Findings => FINDINGS,
            Self::Reviews => REVIEWS,
        }
    }

    /// Its Arrow schema, as the contract names the types.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        let field = |column: &Column| Field::new(column.name, column.kind.arrow(), column.nullable);
        Arc::new(Schema::new(self.columns().iter().map(field).collect::<Vec<_>>()))
    }
}

use ColumnType::{Boolean, Enumeration, Float64, Key, Text, Timestamp as Instant, UInt16, UInt32, UInt64};

const DECLARATIONS: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("declared_at", Instant),
    required("doc_type", Enumeration(DocType::NAMES)),
    required("residence", ColumnType::Region),
    nullable("came_from", ColumnType::Region),
    nullable("arrived_at", Instant),
    required("fever", Boolean),
    required("dyspnea", Boolean),
    required("respiratory", Boolean),
    required("contact_with_case", Boolean),
    required("visited_key_area", Boolean),
    nullable("enterprise", Text),
];
const CHECKINS: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("reported_at", Instant),
    nullable("temperature_c", Float64),
    required("fever", Boolean),
    required("dyspnea", Boolean),
    required("respiratory", Boolean),
    nullable("enterprise", Text),
];
const CASES: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("kind", Enumeration(CaseKind::NAMES)),
    nullable("onset_at", Instant),
    required("reported_at", Instant),
    nullable("isolated_at", Instant),
    nullable("outcome", Enumeration(Outcome::NAMES)),
    nullable("outcome_at", Instant),
];
const QUARANTINES: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("kind", Enumeration(QuarantineKind::NAMES)),
    required("started_at", Instant),
    nullable("ended_at", Instant),
];
const CONTACTS: &[Column] = &[
    required("id", UInt64),
    required("person_a", Key),
    required("person_b", Key),
    required("started_at", Instant),
    required("duration_s", UInt32),
    required("setting", Enumeration(Setting::NAMES)),
];
const STAYS: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("region", ColumnType::Region),
    nullable("place", Key),
    required("entered_at", Instant),
    nullable("left_at", Instant),
    nullable("row", UInt16),
];
const RISK_AREAS: &[Column] = &[
    required("id", UInt64),
    required("region", ColumnType::Region),
    required("level", Enumeration(Level::NAMES)),
    required("listed_at", Instant),
    nullable("delisted_at", Instant),
];
const TESTS: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("sampled_at", Instant),
    required("resulted_at", Instant),
    required("result", Enumeration(TestResult::NAMES)),
];
const WHITELIST: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("from_at", Instant),
    nullable("until_at", Instant),
    required("reason", Text),
];
const FINDINGS: &[Column] =
    &[required("id", UInt64), required("person", Key), required("found_at", Instant), nullable("lifted_at", Instant)];
const REVIEWS: &[Column] = &[
    required("id", UInt64),
    required("person", Key),
    required("district", ColumnType::Region),
    required("filed_at", Instant),
    required("state", Enumeration(ReviewState::NAMES)),
    nullable("decided_at", Instant),
];

/// The Arrow type of an instant: `Timestamp(Microsecond, "UTC")`.
#[must_use]
pub fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type of a list of texts.
#[must_use]
pub fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)))
}

/// Schema of the output `codes`.
#[must_use]
pub fn codes_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("person", DataType::Utf8, false),
        Field::new("colour", DataType::Utf8, false),
        Field::new("reasons", text_list(), false),
        Field::new("excused", text_list(), false),
        Field::new("valid_until", instant_type(), true),
    ]))
}

/// Schema of the output `changes`.
#[must_use]
pub fn changes_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("as_of", instant_type(), false),
        Field::new("position", DataType::UInt64, false),
        Field::new("person", DataType::Utf8, false),
        Field::new("before", DataType::Utf8, true),
        Field::new("after", DataType::Utf8, true),
        Field::new("gained", text_list(), false),
        Field::new("lost", text_list(), false),
    ]))
}

/// Schema of the output `rejections`.
#[must_use]
pub fn rejections_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("table", DataType::Utf8, true),
        Field::new("id", DataType::UInt64, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("column", DataType::Utf8, true),
        Field::new("row", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("offset", DataType::UInt64, false),
    ]))
}
