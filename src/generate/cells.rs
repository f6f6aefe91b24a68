//! Rows of a table, cell by cell, into Arrow columns.
//!
//! The one idea: whoever makes a row calls one method a column, in the contract's order; a row can be spoilt in one column
//! without its maker knowing, which is how dirt is made.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder, UInt16Builder,
    UInt32Builder, UInt64Builder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::dirt::{Bad, Spoil};
use crate::model::{ClosedEnum, ColumnType, Table, Timestamp};

enum Builder {
    UInt64(UInt64Builder),
    UInt32(UInt32Builder),
    UInt16(UInt16Builder),
    Float64(Float64Builder),
    Boolean(BooleanBuilder),
    Instant(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

impl Builder {
    fn new(kind: ColumnType, rows: usize) -> Self {
        match kind {
            ColumnType::UInt64 => Self::UInt64(UInt64Builder::with_capacity(rows)),
            ColumnType::UInt32 | ColumnType::Region => Self::UInt32(UInt32Builder::with_capacity(rows)),
            ColumnType::UInt16 => Self::UInt16(UInt16Builder::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64(Float64Builder::with_capacity(rows)),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Timestamp => {
                Self::Instant(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"))
            }
            ColumnType::Text | ColumnType::Key | ColumnType::Enumeration(_) => {
                Self::Text(StringBuilder::with_capacity(rows, rows * 16))
            }
        }
    }

    fn null(&mut self) {
        match self {
            Self::UInt64(builder) => builder.append_null(),
            Self::UInt32(builder) => builder.append_null(),
            Self::UInt16(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Instant(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
        }
    }

    fn uint(&mut self, value: u64) {
        match self {
            Self::UInt64(builder) => builder.append_value(value),
            Self::UInt32(builder) => builder.append_value(u32::try_from(value).unwrap_or(u32::MAX)),
            Self::UInt16(builder) => builder.append_value(u16::try_from(value).unwrap_or(u16::MAX)),
            _ => unreachable!("an integer in a column of another type"),
        }
    }

    fn instant(&mut self, value: Timestamp) {
        match self {
            Self::Instant(builder) => builder.append_value(value.0),
            _ => unreachable!("an instant in a column of another type"),
        }
    }

    fn text(&mut self, value: &str) {
        match self {
            Self::Text(builder) => builder.append_value(value),
            _ => unreachable!("a text in a column of another type"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::UInt64(builder) => Arc::new(builder.finish()),
            Self::UInt32(builder) => Arc::new(builder.finish()),
            Self::UInt16(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }

    /// The instant of the row before the one that comes next, or of an earlier one if that is null.
    fn last_instant(&self) -> Timestamp {
        match self {
            Self::Instant(builder) => Timestamp(builder.values_slice().last().copied().unwrap_or_default()),
            _ => Timestamp(0),
        }
    }

    fn last_text(&self) -> String {
        let Self::Text(builder) = self else { return String::new() };
        let from = builder.offsets_slice().iter().rev().nth(1).copied().unwrap_or(0);
        let bytes = &builder.values_slice()[usize::try_from(from).unwrap_or(0)..];
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// Rows being made.
pub(super) struct Cells {
    builders: Vec<Builder>,
    next: usize,
    spoil: Option<Spoil>,
}

impl Cells {
    /// No rows of a table yet, with room for some.
    pub(super) fn new(table: Table, rows: usize) -> Self {
        let builders = table.columns().iter().map(|column| Builder::new(column.kind, rows)).collect();
        Self { builders, next: 0, spoil: None }
    }

    /// Begins a row, which may be spoilt in one column.
    pub(super) fn begin(&mut self, id: u64, spoil: Option<Spoil>) {
        self.next = 0;
        self.spoil = spoil;
        self.uint(id);
    }

    /// Whether the row begun has all its columns.
    pub(super) fn is_complete(&self) -> bool {
        self.next == self.builders.len()
    }

    /// The column that is next, or `None` if its cell has been spoilt.
    fn cell(&mut self, absent: bool) -> Option<&mut Builder> {
        let column = self.next;
        self.next += 1;
        if let Some(spoil) = self.spoil.filter(|spoil| spoil.column == column) {
            self.put_bad(column, spoil.bad, absent);
            return None;
        }
        Some(&mut self.builders[column])
    }

    #[cold]
    fn put_bad(&mut self, column: usize, bad: Bad, absent: bool) {
        match bad {
            Bad::Number(number) => self.builders[column].uint(number),
            Bad::Text(text) => self.builders[column].text(text),
            Bad::SameAs(other) => {
                let text = self.builders[other].last_text();
                self.builders[column].text(&text);
            }
            Bad::Before(other) => {
                let start = self.builders[other].last_instant();
                self.builders[column].instant(Timestamp(start.0 - 1_000_000));
            }
            Bad::Unpaired if absent => {
                let reported = self.builders[4].last_instant();
                self.builders[column].instant(reported);
            }
            Bad::Unpaired | Bad::Null => self.builders[column].null(),
        }
    }

    fn null(&mut self) {
        if let Some(builder) = self.cell(true) {
            builder.null();
        }
    }

    /// An integer of any width, or a region.
    pub(super) fn uint(&mut self, value: u64) {
        if let Some(builder) = self.cell(false) {
            builder.uint(value);
        }
    }

    pub(super) fn uint_if(&mut self, value: Option<u64>) {
        match value {
            Some(value) => self.uint(value),
            None => self.null(),
        }
    }

    pub(super) fn instant(&mut self, value: Timestamp) {
        if let Some(builder) = self.cell(false) {
            builder.instant(value);
        }
    }

    pub(super) fn instant_if(&mut self, value: Option<Timestamp>) {
        match value {
            Some(value) => self.instant(value),
            None => self.null(),
        }
    }

    pub(super) fn flag(&mut self, value: bool) {
        match self.cell(false) {
            Some(Builder::Boolean(builder)) => builder.append_value(value),
            Some(_) => unreachable!("a flag in a column of another type"),
            None => {}
        }
    }

    pub(super) fn float_if(&mut self, value: Option<f64>) {
        match self.cell(value.is_none()) {
            Some(Builder::Float64(builder)) => builder.append_option(value),
            Some(_) => unreachable!("a number in a column of another type"),
            None => {}
        }
    }

    pub(super) fn text(&mut self, value: &str) {
        if let Some(builder) = self.cell(false) {
            builder.text(value);
        }
    }

    pub(super) fn text_if(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// A token, which is ASCII.
    pub(super) fn token(&mut self, token: [u8; 16]) {
        self.text(std::str::from_utf8(&token).unwrap_or_default());
    }

    pub(super) fn choice<E: ClosedEnum>(&mut self, value: E) {
        self.text(value.name());
    }

    pub(super) fn choice_if<E: ClosedEnum>(&mut self, value: Option<E>) {
        self.text_if(value.map(ClosedEnum::name));
    }

    /// The rows as a batch; none are left.
    pub(super) fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Arc::clone(schema), self.builders.iter_mut().map(Builder::finish).collect())
    }
}
