//! Fields of text, as CSV or JSON have them, to checked cells.
//!
//! The one idea: CSV spells every type as text, JSON has types of its own; past [`Field`] nobody asks which it was.

use super::cells::{Cells, Fault, Interners, Values, check_enumeration, check_uint};
use crate::model::{Column, ColumnType, Timestamp};

/// A field as it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    /// An empty field of CSV, `null` in JSON, or not there.
    Null,
    /// CSV: any type is spelt as text.
    Spelt(&'a str),
    /// A text of JSON.
    Text(&'a str),
    /// A whole number of JSON that is not negative.
    UInt(u64),
    /// Any other number of JSON.
    Float(f64),
    /// A truth value of JSON.
    Bool(bool),
    /// Of no type that a column has: a list or an object of JSON; or not UTF-8.
    Illegible,
}

impl<'a> Field<'a> {
    fn text(self) -> Result<&'a str, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Spelt(text) | Self::Text(text) => Ok(text),
            _ => Err(Fault::Type),
        }
    }

    fn uint(self) -> Result<u64, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Spelt(text) => text.parse().map_err(|_| Fault::Type),
            Self::UInt(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    fn float(self) -> Result<f64, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Spelt(text) => text.parse().map_err(|_| Fault::Type),
            #[expect(clippy::cast_precision_loss, reason = "a number of JSON is the nearest double")]
            Self::UInt(value) => Ok(value as f64),
            Self::Float(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    fn bool(self) -> Result<bool, Fault> {
        match self {
            Self::Null => Err(Fault::Null),
            Self::Spelt(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Self::Spelt(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Self::Bool(value) => Ok(value),
            _ => Err(Fault::Type),
        }
    }

    fn instant(self) -> Result<i64, Fault> {
        let instant = Timestamp::parse_rfc3339(self.text()?).ok_or(Fault::Type)?;
        Ok(instant.0)
    }
}

/// A column's fields, one a row, checked.
pub(super) fn decode<'a>(
    column: &Column,
    fields: impl Iterator<Item = Field<'a>>,
    rows: usize,
    interners: &Interners,
) -> Cells {
    match column.kind {
        ColumnType::UInt64 | ColumnType::UInt32 | ColumnType::UInt16 | ColumnType::Region => {
            let checked = fields.map(|field| field.uint().and_then(|value| check_uint(column.kind, value)));
            Cells::collect(rows, checked, Values::UInt)
        }
        ColumnType::Float64 => Cells::collect(rows, fields.map(Field::float), Values::Float),
        ColumnType::Boolean => Cells::collect(rows, fields.map(Field::bool), Values::Bool),
        ColumnType::Timestamp => Cells::collect(rows, fields.map(Field::instant), Values::Instant),
        ColumnType::Enumeration(names) => {
            let codes = fields.map(|field| field.text().and_then(|text| check_enumeration(names, text)));
            Cells::collect(rows, codes, Values::Code)
        }
        ColumnType::Text | ColumnType::Key => {
            Cells::intern(column, interners.of(column), rows, fields.map(Field::text))
        }
    }
}
