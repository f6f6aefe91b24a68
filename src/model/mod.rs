//! The nouns that every folder shares: ids, instants, tables, rows, codes, rejections.
//!
//! Invariant: no I/O, no locks, no rules.

pub mod bitmap;
pub mod chunked;
pub mod codes;
pub mod enums;
pub mod facts;
pub mod flat;
pub mod ids;
pub mod optional;
pub mod published;
pub mod rejection;
pub mod renumber;
pub mod schema;
pub mod time;

pub use bitmap::Bitmap;
pub use chunked::Chunked;
pub use codes::Code;
pub use enums::{
    Admission, CaseKind, ClosedEnum, Colour, DocType, EnumSet, Level, Outcome, QuarantineKind, ReviewState, Setting,
    Symptom, TestResult,
};
pub use flat::Flat;
pub use ids::{ContactRow, LabelId, Origin, PersonId, PlaceId, Region, RegionId, RuleId, RuleMask};
pub use optional::Optional;
pub use rejection::{Reason, Rejection};
pub use renumber::{Left, Renumbering};
pub use schema::{Column, ColumnType, Table};
pub use time::{LocalDay, Timestamp, UtcOffset};
