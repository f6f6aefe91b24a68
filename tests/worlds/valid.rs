//! SPEC 1's sentence on invalid rows, over cells:
//!
//! "A row is invalid when a type, null, enumeration or code above is violated, `person_a = person_b`, `duration_s = 0`, an
//! interval (`stays`, `quarantines`, `whitelist`, `findings`, `risk_areas`, `reviews`) ends before it starts (equal is allowed
//! and empty), a test's result precedes its sample, `outcome` without `outcome_at` or the reverse, or a key outside 1..64
//! bytes."
//!
//! The one idea: columns in the contract's order, then the row as a whole; the first fault is the reason.

use sanma::model::{Column, ColumnType, Reason, Region, Table};

use super::cells::Cell;

/// The first fault of a row, with the column where a single value is at fault; `None` if the row is valid.
pub fn first_fault(table: Table, row: &[Cell]) -> Option<(Reason, Option<&'static str>)> {
    let columns = table.columns();
    assert_eq!(row.len(), columns.len(), "a cell a column");
    let of_column = |(column, cell): (&'static Column, &Cell)| Some((value_fault(column, cell)?, Some(column.name)));
    columns.iter().zip(row).find_map(of_column).or_else(|| Some((row_fault(table, row)?, None)))
}

fn value_fault(column: &Column, cell: &Cell) -> Option<Reason> {
    let type_unless = |fits: bool| (!fits).then_some(Reason::Type);
    match (column.kind, cell) {
        (_, Cell::Null) => (!column.nullable).then_some(Reason::Null),
        (ColumnType::UInt64, &Cell::Int(value)) => type_unless(u64::try_from(value).is_ok()),
        (ColumnType::UInt32, &Cell::Int(value)) => type_unless(u32::try_from(value).is_ok()),
        (ColumnType::UInt16, &Cell::Int(value)) => type_unless(u16::try_from(value).is_ok()),
        (ColumnType::Region, &Cell::Int(value)) => match u32::try_from(value) {
            Ok(code) => Region::new(code).is_none().then_some(Reason::Region),
            Err(_) => Some(Reason::Type),
        },
        (ColumnType::Key, Cell::Text(token)) => (!(1..=64).contains(&token.len())).then_some(Reason::KeyLength),
        (ColumnType::Enumeration(names), Cell::Text(name)) => {
            (!names.contains(&name.as_str())).then_some(Reason::Enumeration)
        }
        (ColumnType::Float64, Cell::Float(_))
        | (ColumnType::Boolean, Cell::Bool(_))
        | (ColumnType::Text, Cell::Text(_))
        | (ColumnType::Timestamp, Cell::Instant(_)) => None,
        _ => Some(Reason::Type),
    }
}

/// The columns between which an interval lies.
pub fn interval(table: Table) -> Option<(&'static str, &'static str)> {
    match table {
        Table::Stays => Some(("entered_at", "left_at")),
        Table::Quarantines => Some(("started_at", "ended_at")),
        Table::Whitelist => Some(("from_at", "until_at")),
        Table::Findings => Some(("found_at", "lifted_at")),
        Table::RiskAreas => Some(("listed_at", "delisted_at")),
        Table::Reviews => Some(("filed_at", "decided_at")),
        _ => None,
    }
}

fn row_fault(table: Table, row: &[Cell]) -> Option<Reason> {
    let of = |name: &str| &row[column_index(table, name)];
    let reversed = |(from, to): (&str, &str)| match (of(from), of(to)) {
        (Cell::Instant(from), Cell::Instant(to)) => to < from,
        _ => false,
    };
    match table {
        Table::Contacts if of("person_a") == of("person_b") => Some(Reason::SamePerson),
        Table::Contacts if *of("duration_s") == Cell::Int(0) => Some(Reason::ZeroDuration),
        Table::Tests if reversed(("sampled_at", "resulted_at")) => Some(Reason::ResultBeforeSample),
        Table::Cases if (*of("outcome") == Cell::Null) != (*of("outcome_at") == Cell::Null) => {
            Some(Reason::OutcomePair)
        }
        _ => interval(table).is_some_and(reversed).then_some(Reason::Interval),
    }
}

/// Where a column stands in its table.
pub fn column_index(table: Table, name: &str) -> usize {
    table.columns().iter().position(|column| column.name == name).expect("a column of the table")
}
