//! Some rows of a table: those of a range, or those that are listed.

use std::ops::Range;

use arrow::buffer::ScalarBuffer;

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

    /// These rows of a whole column of bytes.
    pub(super) fn bytes(&self, column: &[u8]) -> ScalarBuffer<u8> {
        match self {
            Self::Range(rows) => column[rows.clone()].to_vec().into(),
            Self::List(rows) => rows.iter().map(|&row| column[row as usize]).collect(),
        }
    }
}
