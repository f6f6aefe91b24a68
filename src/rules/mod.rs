//! Rule sets as data: TOML in, a checked [`Program`] out.
pub mod program;

pub use program::{Bilingual, Cause, ContactRule, Program, Release, Rule};
