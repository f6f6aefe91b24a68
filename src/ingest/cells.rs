//! A chunk of a table, decoded column by column, before its rows are checked.
//!
//! The one idea: every format ends here. A column is a plain vector of values plus, only where something is wrong, one fault a
//! row; whole-column work (interning, enumerations, ranges) is done once for the column and the row checks read integers.

use crate::intern::{Interner, Provisional};
use crate::model::{Column, ColumnType, Reason, Region, Table};

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

macro_rules! extractors {
    ($($name:ident: $variant:ident of $type:ty),+ $(,)?) => {
        impl Values {
            $(
                /// The values, if they are of this kind.
                pub(super) fn $name(self) -> Option<Vec<$type>> {
                    match self {
                        Self::$variant(values) => Some(values),
                        _ => None,
                    }
                }
            )+
        }
    };
}

extractors! {
    uint: UInt of u64,
    float: Float of f64,
    bool: Bool of bool,
    instant: Instant of i64,
    code: Code of u8,
    token: Token of Provisional,
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
        let mut values = vec![T::default(); rows];
        let mut faults = Vec::new();
        for (row, (value, cell)) in values.iter_mut().zip(cells).enumerate() {
            match cell {
                Ok(cell) => *value = cell,
                Err(fault) => mark(&mut faults, rows, row, fault),
            }
        }
        Self { values: wrap(values), faults }
    }

    /// Interns the texts of a column; a key out of bounds is a fault instead of a token.
    pub(super) fn intern<'a>(
        column: &Column,
        interner: &Interner,
        rows: usize,
        texts: impl Iterator<Item = Result<&'a str, Fault>>,
    ) -> Self {
        let mut good = Vec::with_capacity(rows);
        let mut faults = Vec::new();
        for (row, text) in texts.enumerate() {
            match text.and_then(|text| check_text(column.kind, text)) {
                Ok(text) => good.push(text),
                Err(fault) => mark(&mut faults, rows, row, fault),
            }
        }
        let tokens = interner.intern_batch(good);
        if faults.is_empty() {
            return Self { values: Values::Token(tokens), faults };
        }
        let mut tokens = tokens.into_iter();
        let by_row = faults.iter().map(|&fault| if fault == 0 { tokens.next() } else { None }.unwrap_or_default());
        Self { values: Values::Token(by_row.collect()), faults }
    }

    fn fault(&self, row: usize) -> Option<Fault> {
        self.faults.get(row).and_then(|&code| Fault::of(code))
    }
}

fn mark(faults: &mut Vec<u8>, rows: usize, row: usize, fault: Fault) {
    if faults.is_empty() {
        *faults = vec![0; rows];
    }
    faults[row] = fault as u8;
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

impl Chunk {
    /// What refuses each row: of its cells that may not stand the first, in the contract's order. Empty if no row has any.
    /// Cost: a pass over the faults of columns that have some.
    pub(super) fn refusals(&self) -> Vec<Option<Refusal>> {
        let mut refusals = Vec::new();
        for (column, cells) in self.table.columns().iter().zip(&self.cells) {
            let is_absent = matches!(cells.values, Values::Absent);
            // A null in a nullable column is a value.
            let bearable = if column.nullable { Fault::Null as u8 } else { 0 };
            if (!is_absent || column.nullable) && cells.faults.iter().all(|&fault| fault <= bearable) {
                continue;
            }
            refusals.resize(self.rows, None);
            for (row, refusal) in refusals.iter_mut().enumerate().filter(|(_, refusal)| refusal.is_none()) {
                let fault = if is_absent { Some(Fault::Null) } else { cells.fault(row) };
                let fault = fault.filter(|&fault| fault as u8 > bearable);
                *refusal = fault.map(|fault| Refusal { reason: fault.reason(), column: Some(column.name) });
            }
        }
        refusals
    }

    /// The row's id if it is legible.
    pub(super) fn legible_id(&self, row: usize) -> Option<u64> {
        match &self.cells[0] {
            cells @ Cells { values: Values::UInt(ids), .. } if cells.fault(row).is_none() => Some(ids[row]),
            _ => None,
        }
    }
}
