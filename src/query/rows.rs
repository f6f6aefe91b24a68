//! Some rows of a table: those of a range, or those that are listed.

use std::ops::Range;

/// Rows of a table.
#[derive(Clone, Debug)]
pub(super) enum Rows<'a> {
    /// All of a range.
    Range(Range<usize>),
    /// These.
    List(&'a [u32]),
}

impl Rows<'_> {
    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Range(rows) => rows.len(),
            Self::List(rows) => rows.len(),
        }
    }
}
