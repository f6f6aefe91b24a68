//! Bad rows, of every kind that SPEC 1 calls invalid and Parquet of the contract's types can hold, and ids given twice.
//!
//! The one idea: a bad row is a good one spoilt in one cell, so a table's kinds of dirt follow from its columns. Every
//! thousandth row is followed by one of dirt, and all kinds stand once at the end, so that small tables have them too.
//!
//! Invariant: a row of dirt changes no fact: it is invalid, or it repeats a row whole.

use super::random::{Draws, Purpose};
use crate::model::{ColumnType, Table};

/// Good rows for each row of dirt.
const GOOD_PER_BAD: u64 = 1000;
/// A key longer than any may be.
const LONG_KEY: &str = "this-token-was-never-meant-to-be-so-long-that-no-table-could-hold-it";
const _: () = assert!(LONG_KEY.len() > crate::limits::KEY_BYTES_MAX);

/// What stands in a spoilt cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Nothing, where something must be.
    Null,
    /// A number that no such cell may hold.
    Number(u64),
    /// A text that no such cell may hold.
    Text(&'static str),
    /// The text of another column.
    SameAs(usize),
    /// The instant a second before another column's.
    Before(usize),
    /// An instant where there should be none, or none where there should be one.
    Unpaired,
}

/// How a row is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spoil {
    pub(super) column: usize,
    pub(super) bad: Bad,
}

/// What stands at a place of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The good row that is written here, or spoilt.
    pub(super) row: u64,
    /// The id.
    pub(super) id: u64,
    /// How it is spoilt, if it is.
    pub(super) spoil: Option<Spoil>,
}

/// Good and bad rows of a table, in order.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    seed: u64,
    table: Table,
    good: u64,
    /// `None` repeats a row whole. Empty where there is no dirt.
    kinds: Vec<Option<Spoil>>,
}

impl Layout {
    /// The rows of a table of so many good ones, with dirt or without.
    pub(super) fn new(seed: u64, table: Table, good: u64, dirt: bool) -> Self {
        let kinds = if dirt && good > 0 { kinds_of(table) } else { Vec::new() };
        Self { seed, table, good, kinds }
    }

    /// Whether there is any dirt.
    pub(super) fn is_dirty(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Good rows with the dirt between them.
    fn mixed(&self) -> u64 {
        self.good + if self.is_dirty() { self.good / GOOD_PER_BAD } else { 0 }
    }

    /// All rows.
    pub(super) fn rows(&self) -> u64 {
        self.mixed() + self.kinds.len() as u64
    }

    /// What stands at a place.
    pub(super) fn slot(&self, place: u64) -> Slot {
        if !self.is_dirty() {
            return Slot { row: place, id: place + 1, spoil: None };
        }
        let of_block = place % (GOOD_PER_BAD + 1);
        if place < self.mixed() && of_block < GOOD_PER_BAD {
            return Slot { row: place - place / (GOOD_PER_BAD + 1), id: place + 1, spoil: None };
        }
        let number = if place < self.mixed() {
            Draws::new(self.seed, Purpose::Dirt, place << 8 | self.table as u64).below(self.kinds.len() as u64)
        } else {
            place - self.mixed()
        };
        let before = place.min(self.mixed());
        let row = Draws::new(self.seed, Purpose::Dirt, before << 8 | 128 | self.table as u64)
            .below((before - before / (GOOD_PER_BAD + 1)).max(1));
        let spoil = self.kinds[usize::try_from(number).unwrap_or(0)];
        let id = if spoil.is_some() { place } else { row + row / GOOD_PER_BAD };
        Slot { row, id: id + 1, spoil }
    }
}

/// All kinds of dirt of a table.
fn kinds_of(table: Table) -> Vec<Option<Spoil>> {
    let mut kinds = vec![None];
    let column_of = |name| table.columns().iter().position(|column| column.name == name).unwrap_or(0);
    let mut add = |column, bad| kinds.push(Some(Spoil { column, bad }));
    for (index, column) in table.columns().iter().enumerate() {
        if !column.nullable {
            add(index, Bad::Null);
        }
        match column.kind {
            ColumnType::Enumeration(_) => add(index, Bad::Text("Unknown")),
            ColumnType::Region => {
                for code in [0, 1_000, 109_999, 830_000, 33_010_600] {
                    add(index, Bad::Number(code));
                }
            }
            ColumnType::Key => {
                add(index, Bad::Text(""));
                add(index, Bad::Text(LONG_KEY));
            }
            _ => {}
        }
    }
    let mut ends_before = |end, start| add(column_of(end), Bad::Before(column_of(start)));
    match table {
        Table::Quarantines => ends_before("ended_at", "started_at"),
        Table::Stays => ends_before("left_at", "entered_at"),
        Table::RiskAreas => ends_before("delisted_at", "listed_at"),
        Table::Tests => ends_before("resulted_at", "sampled_at"),
        Table::Whitelist => ends_before("until_at", "from_at"),
        Table::Findings => ends_before("lifted_at", "found_at"),
        Table::Reviews => ends_before("decided_at", "filed_at"),
        Table::Contacts => {
            add(column_of("person_b"), Bad::SameAs(column_of("person_a")));
            add(column_of("duration_s"), Bad::Number(0));
        }
        Table::Cases => add(column_of("outcome_at"), Bad::Unpaired),
        Table::Declarations | Table::Checkins => {}
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_rows_stand_in_order_and_once() {
        for good in [1, 999, 1000, 1001, 5000] {
            for dirt in [false, true] {
                let layout = Layout::new(3, Table::Contacts, good, dirt);
                let slots: Vec<Slot> = (0..layout.rows()).map(|place| layout.slot(place)).collect();
                let mut ids = std::collections::HashSet::new();
                let first_seen: Vec<u64> = slots
                    .iter()
                    .filter(|slot| slot.spoil.is_none() && ids.insert(slot.id))
                    .map(|slot| slot.row)
                    .collect();
                assert_eq!(first_seen, (0..good).collect::<Vec<_>>());
                let repeated = slots.iter().filter(|slot| slot.spoil.is_none()).count() as u64 - good;
                assert_eq!(repeated > 0, dirt);
            }
        }
    }
}
