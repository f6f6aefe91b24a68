//! Rule sets as data: TOML in, a checked [`Program`] out.
//!
//! | file | holds |
//! |---|---|
//! | `program` | what a checked rule set is |
//! | `syntax`, `check`, `cause` | reading: spans and types, the header and the rules, each cause's parameters |
//! | `error` | what can be wrong, and how it is shown |
//! | `catalog` | the shipped sets, and what `--rules` means |
//! | `fields`, `words`, `document` | a rule set as `key = value`, in plain words, as a page |
//!
//! Invariant: no `Program` but out of a rule file without a single error; nothing here knows facts or a clock.

mod catalog;
mod cause;
mod check;
pub mod document;
mod error;
pub mod fields;
pub mod program;
mod syntax;
pub mod words;

pub use catalog::{Catalog, ResolveError, RuleSet};
pub use check::UTC_OFFSET_DEFAULT;
pub use error::{RuleError, RuleErrorKind, RuleErrors};
pub use program::{Bilingual, Cause, ContactRule, Program, Release, Rule};

#[cfg(test)]
mod golden;
