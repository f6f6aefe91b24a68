//! A chunk of a table, decoded column by column, before its rows are checked.
//!
//! The one idea: every format ends here. A column is a plain vector of values plus, only where something is wrong, one fault a
//! row; whole-column work (interning, enumerations, ranges) is done once for the column and the row checks read integers.

use crate::intern::{Interner, Provisional};
use crate::model::{Column, ColumnType, LabelId, PersonId, PlaceId, Reason, Region, Table, Timestamp};

/// The interners of a load, one a kind of token.
#[derive(Default)]
pub(super) struct Interners {
    /// Persons.
    pub(super) persons: Interner,
    /// Places.
    pub(super) places: Interner,
    /// Labels: enterprises and reasons.
    pub(super) labels: Interner,
}

impl Interners {
    /// The interner for a column of text.
    pub(super) fn of(&self, column: &Column) -> &Interner {
        match (column.kind, column.name) {
            (ColumnType::Key, "place") => &self.places,
            (ColumnType::Key, _) => &self.persons,
            _ => &self.labels,
        }
    }
}

/// What is wrong with one cell; 0 in a column of faults means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fault {
    Null = 1,
    Type = 2,
    Enumeration = 3,
    Region = 4,
    KeyLength = 5,
}

impl Fault {
    const fn of(code: u8) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::Null),
            3 => Some(Self::Enumeration),
            4 => Some(Self::Region),
            5 => Some(Self::KeyLength),
            _ => Some(Self::Type),
        }
    }

    const fn reason(self) -> Reason {
        match self {
            Self::Null => Reason::Null,
            Self::Type => Reason::Type,
            Self::Enumeration => Reason::Enumeration,
            Self::Region => Reason::Region,
            Self::KeyLength => Reason::KeyLength,
        }
    }
}

/// Values of a column; those at a faulty row mean nothing.
#[derive(Debug)]
pub(super) enum Values {
    UInt(Vec<u64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Instant(Vec<i64>),
    Code(Vec<u8>),
    Token(Vec<Provisional>),
    /// The column is not in the file: all null.
    Absent,
}

/// A decoded column. `faults` is empty where no row has one.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) values: Values,
    pub(super) faults: Vec<u8>,
}

impl Cells {
    pub(super) const ABSENT: Self = Self { values: Values::Absent, faults: Vec::new() };

    /// Collects cells that are each a value or a fault.
    pub(super) fn collect<T: Copy + Default>(
        rows: usize,
        cells: impl Iterator<Item = Result<T, Fault>>,
        wrap: impl FnOnce(Vec<T>) -> Values,
    ) -> Self {
        let mut values = Vec::with_capacity(rows);
        let mut faults = Vec::new();
        for cell in cells {
            match cell {
                Ok(value) => values.push(value),
                Err(fault) => {
                    faults.resize(rows, 0);
                    faults[values.len()] = fault as u8;
                    values.push(T::default());
                }
            }
        }
        Self { values: wrap(values), faults }
    }

    /// Interns the texts of a column; a key out of bounds is a fault instead of a token.
    pub(super) fn intern<'a>(column: &Column, interner: &Interner, texts: &[Result<&'a str, Fault>]) -> Self {
        let checked = |text: &Result<&'a str, Fault>| text.and_then(|text| check_text(column.kind, text));
        let tokens = texts.iter().filter_map(|text| checked(text).ok());
        let mut ids = interner.intern_batch(tokens).into_iter();
        let cells = texts.iter().map(|text| checked(text).map(|_| ids.next().unwrap_or_default()));
        Self::collect(texts.len(), cells, Values::Token)
    }

    fn fault(&self, row: usize) -> Option<Fault> {
        self.faults.get(row).and_then(|&code| Fault::of(code))
    }
}

/// A text if it may stand in a column of this kind.
pub(super) const fn check_text(kind: ColumnType, text: &str) -> Result<&str, Fault> {
    match (kind, text.len()) {
        (ColumnType::Key, 0) => Err(Fault::KeyLength),
        (ColumnType::Key, bytes) if bytes > crate::limits::KEY_BYTES_MAX => Err(Fault::KeyLength),
        _ => Ok(text),
    }
}

/// The number of a spelling in a closed list.
pub(super) fn check_enumeration(names: &[&str], text: &str) -> Result<u8, Fault> {
    let place = names.iter().position(|&name| name == text).ok_or(Fault::Enumeration)?;
    u8::try_from(place).map_err(|_| Fault::Enumeration)
}

/// An integer if it fits a column of this kind.
pub(super) fn check_uint(kind: ColumnType, value: u64) -> Result<u64, Fault> {
    let fits = match kind {
        ColumnType::UInt32 => u32::try_from(value).is_ok(),
        ColumnType::UInt16 => u16::try_from(value).is_ok(),
        ColumnType::Region => {
            return match u32::try_from(value) {
                Ok(code) if Region::new(code).is_some() => Ok(value),
                Ok(_) => Err(Fault::Region),
                Err(_) => Err(Fault::Type),
            };
        }
        _ => true,
    };
    if fits { Ok(value) } else { Err(Fault::Type) }
}

/// Why a row is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) column: Option<&'static str>,
}

/// Decoded columns of one table, in the contract's order.
pub(super) struct Chunk {
    pub(super) table: Table,
    pub(super) rows: usize,
    pub(super) cells: Vec<Cells>,
    /// Index of the source file.
    pub(super) source: u32,
}

macro_rules! accessor {
    ($(#[$doc:meta])* $name:ident -> $type:ty, $variant:ident, $convert:expr) => {
        $(#[$doc])*
        pub(super) fn $name(&self, column: usize, row: usize) -> Result<Option<$type>, Refusal> {
            let cells = &self.cells[column];
            if let Some(fault) = cells.fault(row) {
                return self.faulty(column, fault);
            }
            match &cells.values {
                Values::$variant(values) => Ok(Some($convert(values[row]))),
                _ => self.faulty(column, Fault::Null),
            }
        }
    };
}

impl Chunk {
    /// A null in a nullable column is a value; any other fault refuses the row.
    fn faulty<T>(&self, column: usize, fault: Fault) -> Result<Option<T>, Refusal> {
        let spec = &self.table.columns()[column];
        if fault == Fault::Null && spec.nullable {
            return Ok(None);
        }
        Err(Refusal { reason: fault.reason(), column: Some(spec.name) })
    }

    accessor!(uint -> u64, UInt, |value| value);
    accessor!(float -> f64, Float, |value| value);
    accessor!(bool -> bool, Bool, |value| value);
    accessor!(instant -> Timestamp, Instant, Timestamp);
    accessor!(code -> u8, Code, |value| value);
    accessor!(person -> PersonId, Token, |id: Provisional| PersonId(id.0));
    accessor!(place -> PlaceId, Token, |id: Provisional| PlaceId::from_index(id.0));
    accessor!(label -> LabelId, Token, |id: Provisional| LabelId::from_index(id.0));

    /// The row's id if it is legible.
    pub(super) fn legible_id(&self, row: usize) -> Option<u64> {
        self.uint(0, row).ok().flatten()
    }
}

/// The value of a column that may not be null: `faulty` has refused a null there already, so this is for the type alone.
pub(super) fn present<T>(cell: Result<Option<T>, Refusal>) -> Result<T, Refusal> {
    cell?.ok_or(Refusal { reason: Reason::Null, column: None })
}
