//! Rows that were refused: kept whole, with where they came from and why.
//!
//! Invariant: a refused row never changes a colour and is never lost.

use super::enums::ClosedEnum;
use super::schema::Table;

/// Why a row was refused; a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The line is no record of its format at all (not JSON, not an object, a wrong number of CSV fields), or no message.
    Malformed,
    /// A value is not of its column's type or does not fit it.
    Type,
    /// A column that may not be null is null.
    Null,
    /// A value is not in the column's closed list.
    Enumeration,
    /// A region is outside the ranges of division and country codes.
    Region,
    /// A person or place is not 1 to 64 bytes long.
    KeyLength,
    /// A contact of a person with themselves.
    SamePerson,
    /// A contact of no length.
    ZeroDuration,
    /// An interval ends before it starts.
    Interval,
    /// A test's result precedes its sample.
    ResultBeforeSample,
    /// `outcome` without `outcome_at`, or the reverse.
    OutcomePair,
    /// A valid declaration over the rule set's limit of modifications, at the instant of the run.
    ModificationLimit,
}

impl ClosedEnum for Reason {
    const ALL: &'static [Self] = &[
        Self::Malformed,
        Self::Type,
        Self::Null,
        Self::Enumeration,
        Self::Region,
        Self::KeyLength,
        Self::SamePerson,
        Self::ZeroDuration,
        Self::Interval,
        Self::ResultBeforeSample,
        Self::OutcomePair,
        Self::ModificationLimit,
    ];
    const NAMES: &'static [&'static str] = &[
        "malformed",
        "type",
        "null",
        "enumeration",
        "region",
        "key_length",
        "same_person",
        "zero_duration",
        "interval",
        "result_before_sample",
        "outcome_pair",
        "modification_limit",
    ];

    fn index(self) -> usize {
        self as usize
    }
}

/// A refused row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Table it was meant for; none where a feed's line does not say one of ours.
    pub table: Option<Table>,
    /// Its id, if legible.
    pub id: Option<u64>,
    /// Why it was refused: the first reason found, columns in the contract's order before checks of the whole row.
    pub reason: Reason,
    /// The column at fault, where one is; of a feed's line that is no message, the key.
    pub column: Option<&'static str>,
    /// The row that came, as JSON text.
    pub row: String,
    /// File, relative to the data directory, or feed.
    pub source: String,
    /// Row (columnar files, from 0) or line (text, from 1).
    pub offset: u64,
}
