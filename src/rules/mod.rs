//! Rule sets as data: TOML in, a checked [`Program`] out.

mod catalog;
mod cause;
mod check;
mod error;
pub mod program;
mod syntax;

pub use catalog::{Catalog, ResolveError, RuleSet};
pub use error::{RuleError, RuleErrorKind, RuleErrors};
pub use program::{Bilingual, Cause, ContactRule, Program, Release, Rule};
